// SPDX-License-Identifier: Apache-2.0
/* R24: what is kept, for how long, and what goes first. And whom to ask, and when. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/cache.h"
#include "dps/timers.h"
#include "dps/upstream.h"

static struct cache c;

static void setup(void)
{
	cache_init(&c, 100, 100000);
}

static void teardown(void)
{
	cache_free(&c);
}

TestSuite(cache, .init = setup, .fini = teardown);

static struct ask question(uint32_t n)
{
	struct ask ask = { .kind = ASK_POLICY, .vnid = 300, .source = n, .packet = { 6, 1, 2 } };

	cr_assert_eq(ip_parse("10.1.0.1", &ask.to.address), 0);
	return ask;
}

static struct statement statement(uint64_t sequence, int64_t issued)
{
	return (struct statement){ .kind = STATEMENT_POLICY,
				   .zone = "acme",
				   .vnid = 300,
				   .decided_by = 300,
				   .whole = true,
				   .sequence = sequence,
				   .issued = issued,
				   .expires = issued + 150,
				   .lifetime = 100,
				   .stale = 500 };
}

static void put(uint32_t n, const struct statement *s, int64_t now)
{
	struct signed_doc doc = { .body = strdup("{}"), .len = 2 };
	struct ask ask = question(n);

	cache_put(&c, &ask, s, &doc, now);
	signed_free(&doc);
}

/* The sequence of what is there; 0: nothing. */
static uint64_t get(uint32_t n, uint64_t min_revision, int64_t now)
{
	struct ask ask = question(n);
	const struct cached *entry;

	ask.min_revision = min_revision;
	entry = cache_get(&c, &ask, now);
	return entry ? entry->sequence : 0;
}

static uint64_t get_stale(uint32_t n, int64_t now)
{
	struct ask ask = question(n);
	const struct cached *entry = cache_get_stale(&c, &ask, now);

	return entry ? entry->sequence : 0;
}

Test(cache, R24_lives_as_long_as_it_says)
{
	struct statement s = statement(5, 1000);

	put(1, &s, 1000);
	cr_assert_eq(get(1, 0, 1000), 5);
	cr_assert_eq(get(1, 5, 1099), 5);
	cr_assert_eq(get(1, 6, 1000), 0, "not new enough");
	cr_assert_eq(get(1, 0, 1100), 0);
	cr_assert_eq(get_stale(1, 1149), 5);
	cr_assert_eq(get_stale(1, 1150), 0, "an allowance ends where it was signed to end");
	cr_assert_eq(get(2, 0, 1000), 0);
	s.refuses = true;
	put(3, &s, 1000);
	cr_assert_eq(get_stale(3, 1599), 5);
	cr_assert_eq(get_stale(3, 1600), 0);
}

Test(cache, R24_newer_ones_stay)
{
	struct statement s = statement(5, 1000), older = statement(4, 1010), other = statement(1, 1010);

	put(1, &s, 1000);
	put(1, &older, 1010);
	cr_assert_eq(get(1, 0, 1010), 5);
	put(1, &older, 1150);
	cr_assert_eq(get(1, 0, 1100), 4, "what is over doesn't stand in the way");
	put(1, &s, 1000);
	strcpy(other.zone, "globex");
	put(1, &other, 1010);
	cr_assert_eq(get(1, 0, 1010), 1, "another zone counts for itself");
	s = statement(5, 1020);
	put(2, &s, 1020);
	s = statement(5, 1000);
	put(2, &s, 1020);
	cr_assert_eq(get(2, 0, 1119), 5, "of two of one sequence the later issued");
}

Test(cache, R24_pairs_and_packets)
{
	struct statement s = statement(5, 1000);
	struct ask ask = question(1);

	put(1, &s, 1000);
	ask.packet = (struct packet_fields){ 17, 5, 6 };
	cr_assert(cache_get(&c, &ask, 1000), "whatever the packet");
	s.whole = false;
	put(2, &s, 1000);
	cr_assert_eq(get(2, 0, 1000), 5);
	ask = question(2);
	ask.packet.to_port = 3;
	cr_assert_null(cache_get(&c, &ask, 1000));
}

Test(cache, R22_each_kind_of_no_has_its_time)
{
	struct statement vm = statement(5, 1000), network = statement(0, 1000), zone = statement(0, 1000);
	struct ask ask = question(4);

	vm.absent = true;
	network.kind = STATEMENT_NO_NETWORK;
	zone.kind = STATEMENT_NO_DELEGATION;
	network.sequence = zone.sequence = 1;
	put(1, &vm, 1000);
	put(2, &network, 1000);
	put(3, &zone, 1000);
	cache_put_failure(&c, &ask, 7, 1000 + CACHE_FAILED_SECONDS);
	cr_assert(get(1, 0, 1004) && !get(1, 0, 1005));
	cr_assert(get(2, 0, 1014) && !get(2, 0, 1015));
	cr_assert(get(3, 0, 1059) && !get(3, 0, 1060));
	cr_assert_eq(get_stale(1, 1005) + get_stale(2, 1015) + get_stale(3, 1060), 0,
		     "no 'no' is served stale");
	cr_assert_eq(cache_get_failure(&c, &ask, 1004)->reason, 7);
	cr_assert_null(cache_get_failure(&c, &ask, 1005));
	cr_assert_eq(get(4, 0, 1000), 0, "a failure is no answer");
}

Test(cache, R20_floors)
{
	struct statement s = statement(5, 1000);

	put(1, &s, 1000);
	cache_raise_floor(&c, 300, 5);
	cr_assert_eq(get(1, 0, 1000), 5);
	cache_raise_floor(&c, 300, 6);
	cr_assert_eq(get(1, 0, 1000), 0);
	cr_assert_eq(get_stale(1, 1000), 0);
	cache_raise_floor(&c, 300, 3);
	cr_assert_eq(cache_floor(&c, 300), 6, "it never falls");
}

Test(cache, R26_rooms_are_bounded_and_apart)
{
	struct statement s = statement(5, 1000), none = statement(5, 1000);
	struct ask ask;

	none.absent = true;
	for (uint32_t n = 1; n <= 100; n++)
		put(n, &s, 1000);
	cr_assert_eq(c.n[CACHE_POLICY], 100);
	for (uint32_t n = 1000; n < 2000; n++) {
		put(n, &none, 1000);
		ask = question(n);
		cache_put_failure(&c, &ask, 1, 2000);
	}
	cr_assert_eq(c.n[CACHE_POLICY], 100, "what there is isn't pushed out by what there isn't");
	cr_assert_leq(c.n[CACHE_NEGATIVE], 13);
	cr_assert_leq(c.n[CACHE_FAILED], 13);
	cr_assert_eq(get(1, 0, 1000), 5);
	put(200, &s, 1000);
	cr_assert_eq(get(1, 0, 1000), 5, "it was used last");
	cr_assert_eq(get(2, 0, 1000), 0, "and this one longest ago");
	cache_free(&c);
	cache_init(&c, 1000, 2000);
	for (uint32_t n = 1; n <= 100; n++) {
		put(n, &s, 1000);
		cr_assert_leq(c.bytes[CACHE_POLICY], 2000);
	}
	cr_assert_eq(get(100, 0, 1000), 5);
}

Test(cache, R24_ahead_of_time)
{
	struct statement s = statement(5, 1000);
	struct ask ask = question(1);
	const struct cached *entry;

	put(1, &s, 1000);
	entry = cache_get(&c, &ask, 1000);
	cr_assert_not(cache_ageing(entry, 1089));
	cr_assert(cache_ageing(entry, 1091));
}

/* Whom to ask */

static struct upstream u;
static struct server_name servers[3];

static void setup_upstream(void)
{
	upstream_init(&u);
	for (int i = 0; i < 3; i++) {
		servers[i].n_addresses = 1;
		cr_assert_eq(server_address_parse("192.0.2.1:1", &servers[i].addresses[0]), 0);
		servers[i].addresses[0].port = i + 1;
	}
}

static void teardown_upstream(void)
{
	upstream_free(&u);
}

TestSuite(upstream, .init = setup_upstream, .fini = teardown_upstream);

static void replied(int server, uint32_t ms, uint64_t at)
{
	upstream_replied(&u, &servers[server].addresses[0], at - ms, at);
}

static void silent(int server, uint64_t sent, uint64_t at)
{
	upstream_silent(&u, &servers[server].addresses[0], sent, at);
}

/* How often each was picked, of 1600 times. */
static void count(uint64_t tried, uint64_t ticks, unsigned int out[3])
{
	struct upstream_choice choice;

	memset(out, 0, 3 * sizeof(*out));
	for (uint32_t random = 0; random < 1600; random++)
		if (upstream_pick(&u, "acme", 1, servers, 3, tried, ticks, random, &choice))
			out[choice.server]++;
}

Test(upstream, R22_the_nearest_is_asked_and_others_are_tried)
{
	unsigned int n[3];

	count(0, 1000, n);
	cr_assert(n[0] > 400 && n[1] > 400 && n[2] > 400, "strangers share the load");
	for (int i = 0; i < 20; i++) {
		replied(0, 10, 1000 + i);
		replied(1, 30, 1000 + i);
		replied(2, 300, 1000 + i);
	}
	count(0, 2000, n);
	cr_assert(n[0] > 600 && n[1] > 600, "those in one band do, too");
	cr_assert(n[2] > 10 && n[2] < 100, "the far one is looked at now and then: %u", n[2]);
	count(1, 2000, n);
	cr_assert_eq(n[0], 0, "it was tried already");
	count(0x111, 2000, n);
	cr_assert_eq(n[0] + n[1] + n[2], 0);
}

Test(upstream, R22_time_to_wait)
{
	struct upstream_view view;

	view = upstream_look(&u, &servers[0].addresses[0], 1000);
	cr_assert_eq(view.timeout, UPSTREAM_FIRST_MS);
	silent(1, 1000, 1300);
	cr_assert_eq(upstream_look(&u, &servers[1].addresses[0], 1300).timeout, 2 * UPSTREAM_FIRST_MS);
	silent(1, 1300, 1900);
	cr_assert_eq(upstream_look(&u, &servers[1].addresses[0], 1900).timeout, 4 * UPSTREAM_FIRST_MS);
	silent(1, 1900, 3100);
	cr_assert_eq(upstream_look(&u, &servers[1].addresses[0], 3100).timeout, UPSTREAM_MOST_MS);
	for (int i = 0; i < 50; i++)
		replied(0, 10, 1000 + i);
	view = upstream_look(&u, &servers[0].addresses[0], 2000);
	cr_assert_eq(view.timeout, UPSTREAM_LEAST_MS);
	cr_assert_eq(view.rtt, 10);
	silent(0, 2000, 2200);
	view = upstream_look(&u, &servers[0].addresses[0], 2200);
	cr_assert_eq(view.silent, 1);
	for (int i = 0; i < 50; i++)
		replied(0, 700, 3000 + i);
	view = upstream_look(&u, &servers[0].addresses[0], 4000);
	cr_assert(view.timeout >= 700 && view.timeout <= UPSTREAM_MOST_MS);
}

Test(upstream, R26_the_dead_are_left_alone_ever_longer)
{
	uint64_t at = 1000, alone, last = 0;
	struct upstream_view view;
	unsigned int n[3];

	for (int i = 0; i < 12; i++) {
		silent(0, at, at + 300);
		at += 300;
		view = upstream_look(&u, &servers[0].addresses[0], at);
		cr_assert_eq(view.dead, i + 1 >= UPSTREAM_SILENT, "after %d", i + 1);
		if (!view.dead)
			continue;
		alone = view.dead_until - at;
		cr_assert(alone >= last && alone <= UPSTREAM_DEAD_MOST_MS, "alone for %lu", alone);
		last = alone;
		count(0x110, at, n);
		cr_assert_eq(n[0], 0);
		at = view.dead_until;
		count(0x110, at, n);
		cr_assert_eq(n[0], 1, "one question finds out");
	}
	cr_assert_eq(last, UPSTREAM_DEAD_MOST_MS);
	replied(0, 20, at);
	view = upstream_look(&u, &servers[0].addresses[0], at);
	cr_assert(!view.dead && !view.silent);
}

Test(upstream, R26_silence_counts_once_for_what_was_out_together)
{
	for (int i = 0; i < 10; i++)
		silent(0, 1000 + i, 1300 + i);
	cr_assert_eq(upstream_look(&u, &servers[0].addresses[0], 1400).silent, 1);
	replied(0, 500, 1500);
	silent(0, 1450, 1750);
	cr_assert_eq(upstream_look(&u, &servers[0].addresses[0], 1800).silent, 0, "it was heard of since");
}

Test(upstream, R22_lame_for_one_edition_of_one_zone_for_a_while)
{
	const struct server_address *addr = &servers[0].addresses[0];
	struct upstream_choice choice;
	char zone[16];

	upstream_lame(&u, addr, "acme", 1, 1000);
	cr_assert_not(upstream_pick(&u, "acme", 1, servers, 1, 0, 1000, 1, &choice));
	cr_assert(upstream_pick(&u, "acme", 2, servers, 1, 0, 1000, 1, &choice));
	cr_assert(upstream_pick(&u, "globex", 1, servers, 1, 0, 1000, 1, &choice));
	cr_assert(upstream_pick(&u, "acme", 1, servers, 1, 0, 1000 + UPSTREAM_LAME_MS, 1, &choice));
	for (int i = 0; i < 2 * UPSTREAM_LAME_ZONES; i++) {
		snprintf(zone, sizeof(zone), "z%d", i);
		upstream_lame(&u, addr, zone, 1, 2000 + i);
		cr_assert_not(upstream_pick(&u, zone, 1, servers, 1, 0, 2000 + i, 1, &choice));
	}
}

/* Timers: the heap against a plain search. */
Test(timers, the_first_is_the_first)
{
	struct timers t = { 0 };
	struct timer timer[200] = { 0 };
	const struct timer *first;

	srandom(3);
	for (int round = 0; round < 20000; round++) {
		struct timer *one = &timer[random() % 200];

		if (random() % 3)
			timers_set(&t, one, random() % 1000);
		else
			timers_clear(&t, one);
		first = NULL;
		for (int i = 0; i < 200; i++)
			if (timer[i].place && (!first || timer[i].at < first->at))
				first = &timer[i];
		cr_assert_eq(!first, !timers_first(&t));
		cr_assert(!first || timers_first(&t)->at == first->at);
	}
	timers_free(&t);
}
