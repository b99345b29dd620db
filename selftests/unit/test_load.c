// SPDX-License-Identifier: Apache-2.0
/* Instances with too much to do: when others get their flows, and when they have them again. */
#include <criterion/criterion.h>
#include <string.h>

#include "dps/feed.h"
#include "dps/load.h"
#include "dps_world.h"

WORLD_SUITE(load);

#define CAPACITY 100 /* Mbit/s */

/* Each second from `from` to before `to` it is told to have so many percent to do, and judged. What it came to. */
static uint8_t seconds(struct load *l, int64_t from, int64_t to, int percent, bool room)
{
	for (int64_t now = from; now < to; now++) {
		load_tell(l, percent * CAPACITY * 10, 7, now);
		l->aside = load_judge(l, CAPACITY, room, now);
	}
	return l->aside;
}

Test(load, R28_too_much_must_last)
{
	struct load l = { 0 };

	cr_assert_eq(seconds(&l, 1, 100, LOAD_HIGH, true), 0, "as much as it may have");
	cr_assert_eq(seconds(&l, 100, 102, 90, true), 0);
	cr_assert_eq(seconds(&l, 102, 103, 50, true), 0, "not any more");
	cr_assert_eq(seconds(&l, 103, 106, 90, true), 0);
	cr_assert_eq(seconds(&l, 106, 107, 90, true), 3, "5 parts of 8 are 56 percent");
	cr_assert_eq(seconds(&l, 107, 200, 56, true), 3);
}

Test(load, R28_where_nobody_else_has_room_nothing_changes)
{
	struct load l = { 0 };

	cr_assert_eq(seconds(&l, 1, 1000, 300, false), 0);
	cr_assert_eq(seconds(&l, 1000, 1004, 300, true), 7);
	cr_assert_eq(seconds(&l, 1004, 1100, 300, true), 7, "it keeps one part");
}

Test(load, R28_nothing_is_known_of_who_is_silent)
{
	struct load l = { 0 };

	cr_assert_eq(load_judge(&l, CAPACITY, true, 1), 0);
	cr_assert_eq(load_percent(&l, CAPACITY, 1), -1);
	cr_assert_eq(seconds(&l, 1, 5, 120, true), 4);
	for (int64_t now = 5 + LOAD_FRESH_SECONDS; now < 1000; now++)
		cr_assert_eq(load_judge(&l, CAPACITY, true, now), 4);
	cr_assert_eq(load_percent(&l, CAPACITY, 1000), -1);
}

Test(load, R28_flows_are_taken_again_where_that_is_not_too_much)
{
	struct load l = { 0 };

	cr_assert_eq(seconds(&l, 1, 5, 90, true), 3);
	cr_assert_eq(seconds(&l, 5, 500, 51, true), 3, "a part more were 61 percent");
	cr_assert_eq(seconds(&l, 500, 500 + LOAD_LOW_SECONDS, 50, true), 3);
	cr_assert_eq(seconds(&l, 500 + LOAD_LOW_SECONDS, 501 + LOAD_LOW_SECONDS, 50, true), 2);
	cr_assert_eq(seconds(&l, 600, 600 + LOAD_LOW_SECONDS, 0, true), 2);
	cr_assert_eq(seconds(&l, 600 + LOAD_LOW_SECONDS, 601 + LOAD_LOW_SECONDS, 0, true), 0);
}

/* One flow that is too much for an instance goes with the part that is given up, and comes back with it. */
Test(load, R28_what_can_not_be_shared_out_does_not_flap)
{
	struct load l = { 0 };
	int changes = 0, late = 0;

	for (int64_t now = 1; now <= 3600; now++) {
		uint8_t before = l.aside;

		seconds(&l, now, now + 1, l.aside ? 0 : 120, true);
		changes += l.aside != before;
		late += l.aside != before && now > 1800;
	}
	cr_assert_leq(changes, 30, "%d changes in an hour", changes);
	cr_assert_leq(late, 12, "%d in its second half", late);
	cr_assert_eq(l.wait, LOAD_LOW_SECONDS_MAX);
	cr_assert_eq(seconds(&l, 3600, 3600 + 2 * LOAD_CALM_SECONDS, 0, true), 0);
	cr_assert_eq(l.wait, 0, "after some calm it is as if it had never been");
}

/* ---- all of them ---- */

static bool told;

static void note(const char *line, void *arg)
{
	told |= strstr(line, "\"type\":\"services\"") && strstr(line, "\"aside\":7");
}

static void tell(const struct txn *txn, void *arg)
{
	struct feed_news *news = feed_news(txn);

	feed_tell(arg, news);
	feed_news_free(news);
}

static void balanced(int64_t from, int64_t to, uint32_t vm7, uint32_t vm8)
{
	struct commit_context ctx = world_context(&w);

	for (int64_t now = from; now < to; now++) {
		load_tell(&world_endpoint(&w, "blue/vm7")->place.load, vm7, 1, now);
		load_tell(&world_endpoint(&w, "blue/vm8")->place.load, vm8, 1, now);
		load_balance(&ctx, now);
	}
}

Test(load, R28_R20_the_service_chooses_anew_and_says_so_by_the_sequence)
{
	struct feed feed = { .host = "h9", .emit = note };
	const struct endpoint *vm7, *vm8;
	uint64_t floor, sequence;

	apply("[{'kind':'host','name':'h9','addresses':['192.0.2.9']},"
	      "{'kind':'service','name':'firewall','instances':[{'endpoint':'blue/vm7','capacity_mbps':100},"
	      "{'endpoint':'blue/vm8','capacity_mbps':100}]},"
	      "{'kind':'policy','network':'blue','name':'led','from':{'endpoints':['vm1']},'to':'any',"
	      "'action':'allow','path':['firewall']},"
	      "{'kind':'policy','network':'blue','name':'other','from':{'endpoints':['vm3']},'to':'any',"
	      "'action':'allow'}]");
	cr_assert_eq(world_place(&w, "blue/vm7", "h9", "a"), 0);
	cr_assert_eq(world_place(&w, "blue/vm8", "h9", "b"), 0);
	vm7 = world_endpoint(&w, "blue/vm7");
	vm8 = world_endpoint(&w, "blue/vm8");
	feed_start(&feed, &w.m, 60);
	w.committed = tell;
	w.arg = &feed;
	sequence = world_policy(&w, "blue/led")->o.sequence;
	floor = world_policy(&w, "blue/led")->o.floor;
	balanced(1, 10, 120000, 90000);
	cr_assert_eq(vm7->place.load.aside, 0, "both have too much");
	cr_assert_eq(world_policy(&w, "blue/led")->o.sequence, sequence);
	balanced(10, 30, 120000, 30000);
	cr_assert_eq(vm7->place.load.aside, LOAD_PARTS - 1, "what is left is still too much");
	cr_assert_eq(vm8->place.load.aside, 0);
	cr_assert_gt(world_policy(&w, "blue/led")->o.sequence, sequence);
	cr_assert_eq(world_policy(&w, "blue/led")->o.sequence, world_network(&w, "blue")->revision);
	cr_assert_eq(world_policy(&w, "blue/led")->o.floor, floor, "the requirement is the same");
	cr_assert_lt(world_policy(&w, "blue/other")->o.sequence, world_network(&w, "blue")->revision);
	cr_assert(told);
	sequence = world_network(&w, "blue")->revision;
	balanced(30, 130, 30000, 30000);
	cr_assert_eq(vm7->place.load.aside, LOAD_PARTS - 2);
	cr_assert_eq(world_network(&w, "blue")->revision, sequence + 1, "one change, one revision");
	apply("[{'kind':'service','name':'firewall','instances':[{'endpoint':'blue/vm7'},"
	      "{'endpoint':'blue/vm8'}]}]");
	balanced(130, 131, 120000, 30000);
	cr_assert_eq(vm7->place.load.aside, 0, "without a bound there is none to be above");
	cr_assert_eq(world_place(&w, "blue/vm7", NULL, ""), 0);
	cr_assert_eq(vm7->place.load.told, 0, "at its next place nothing is known of it");
	w.committed = NULL;
	feed_stop(&feed);
}
