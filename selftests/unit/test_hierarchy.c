// SPDX-License-Identifier: Apache-2.0
/*
 * R21-R26 at random: hierarchies of up to hundreds of servers, in which servers
 * die, lag, lose messages and lie, networks, delegations and keys change, and
 * caches ask all the while. Whatever happens:
 *
 *   - a query ends, once, in time, and within its budget of questions;
 *   - what it ends with is true, or was within the time that it was signed for;
 *   - what it doesn't find out it says honestly; where nothing is wrong, it finds out;
 *   - when everybody is well again, everything is found again.
 *
 * DOVE_SEED=n plays one world again, DOVE_SEEDS=n plays so many.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hier_world.h"

#define ASKS 25 /* at once */
#define ROUNDS 30
#define SEEDS 4
#define FIRST_VNID 1000
#define TOP_VNIDS 400 /* of each top domain */
#define NETWORKS_MAX 400

struct play {
	struct hier h;
	uint64_t seed;
	bool faults;
	struct hier_node *caches[32];
	int n_caches;
	struct hier_network *networks[NETWORKS_MAX];
	int n_networks;
	struct hier_result results[ASKS];
	unsigned int kinds[RESULT_FAILED + 1], asked, stale, rolled, withdrawn;
};

static struct play p;

static uint32_t dice(uint32_t below)
{
	return hier_random(&p.h, below);
}

/* Making a world */

static void add_network(struct hier_domain *d, uint32_t vnid)
{
	char name[32];

	if (p.n_networks == NETWORKS_MAX)
		return;
	snprintf(name, sizeof(name), "n%u-%d", vnid, p.n_networks);
	p.networks[p.n_networks++] = hier_network(d, name, vnid);
}

/* A domain of these VNIDs: some are its own, the rest are its children's. */
static void grow(struct hier_domain *parent, const char *name, uint32_t first, uint32_t last, int depth)
{
	const struct vnid_ranges ranges = { .v = { { first, last } }, .n = 1 };
	uint32_t n = 1 + dice(3), children = depth && last - first > 20 ? dice(4) : 0, width;
	struct hier_domain *d = hier_domain(&p.h, name);
	struct json_error err = { 0 };
	char text[DOMAIN_ROOM];

	authority_resize(&d->authority, &ranges, hier_now(&p.h));
	for (uint32_t i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "s%u.%.200s", i, name);
		for (char *c = text; *c; c++)
			if (*c == '/')
				*c = '.';
		hier_server(&p.h, text, d);
	}
	d->lifetime = 2 + dice(60);
	d->stale = dice(2) ? dice(300) : 0;
	d->authority.life = 100 + dice(1000);
	cr_assert_eq(hier_delegate(d, &ranges, &err), 0, "%s %s: %s", name, err.field, err.text);
	for (uint32_t i = 0; i < 3; i++)
		add_network(d, first + i);
	width = (last - first - 10) / (children + 1);
	for (uint32_t i = 0; i < children; i++) {
		snprintf(text, sizeof(text), "%.200s/c%u", name, i);
		grow(d, text, first + 10 + i * width, first + 9 + (i + 1) * width, depth - 1);
	}
	(void)parent;
}

static struct hier_node *any_node(void)
{
	struct hier_node *n = p.h.nodes;

	for (uint32_t i = dice(p.h.ports); i && n->next; i--)
		n = n->next;
	return n;
}

static void make_caches(int n)
{
	char name[16], via[16];

	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "cache%d", i);
		snprintf(via, sizeof(via), "cache%d", i - 1);
		p.caches[p.n_caches++] = hier_cache(&p.h, name, i && dice(3) == 0 ? via : NULL);
	}
	if (dice(2)) /* a ring */
		p.caches[0]->parent =
			(struct server_name){ .n_addresses = 1, .addresses = { p.caches[n - 1]->addr } };
	if (dice(2)) /* somebody's authority finds our answers */
		p.caches[1]->parent =
			(struct server_name){ .n_addresses = 1, .addresses = { any_node()->addr } };
}

static void make_world(uint64_t seed, int tops, int depth, int caches)
{
	char name[32];

	memset(&p, 0, sizeof(p));
	p.seed = seed;
	hier_init(&p.h, seed);
	for (int i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "root%d", i);
		hier_server(&p.h, name, p.h.root);
	}
	for (int i = 0; i < tops; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		grow(p.h.root, name, FIRST_VNID + i * TOP_VNIDS, FIRST_VNID + (i + 1) * TOP_VNIDS - 1, depth);
	}
	make_caches(caches);
	hier_boot(&p.h);
	p.h.tending = true;
	hier_run(&p.h, 20000);
}

static void end_world(void)
{
	for (int i = 0; i < ASKS; i++)
		hier_result_free(&p.results[i]);
	hier_free(&p.h);
}

/* Mishaps and changes */

static void mishap(void)
{
	struct hier_node *n = any_node();

	switch (dice(10)) {
	case 0:
		n->dead = true;
		return;
	case 1:
		n->refuses = true;
		return;
	case 2:
		n->loss = dice(60);
		return;
	case 3:
		n->delay = dice(600);
		n->jitter = dice(300);
		return;
	case 4:
		if (n->domain && *n->domain->name)
			hier_lag(n->domain, 1 + dice(3));
		return;
	case 5:
		n->lie = dice(LIE_ANY);
		return;
	default:
		n->lie = LIE_ANY;
	}
}

static void heal(struct hier_node *n)
{
	n->dead = n->refuses = false;
	n->lie = LIE_NONE;
	n->loss = n->jitter = 0;
	n->delay = 5;
	if (n->domain)
		hier_lag(n->domain, 0);
}

static struct hier_domain *any_domain(void)
{
	struct hier_domain *d = p.h.domains;

	for (uint32_t i = dice(60); i; i--)
		d = d->next ? d->next : p.h.domains;
	return *d->name ? d : NULL;
}

static bool is_delegated(const struct hier_domain *d)
{
	return d->tenures[d->n_tenures - 1].until == UINT64_MAX;
}

/* In good order: published, given time, used, given time. */
static void roll_key(struct hier_domain *d)
{
	struct json_error err = { 0 };

	if (!is_delegated(d))
		return;
	hier_add_key(d);
	hier_delegate(d, &d->authority.ranges, &err);
	hier_publish(&p.h);
	hier_roll_key(d);
	hier_drop_keys(d);
	hier_delegate(d, &d->authority.ranges, &err);
	hier_publish(&p.h);
	p.rolled++;
}

static void withdraw_or_return(struct hier_domain *d)
{
	struct json_error err = { 0 };

	p.withdrawn++;
	if (is_delegated(d))
		hier_withdraw(d, &err);
	else
		hier_delegate(d, &d->authority.ranges, &err);
	if (dice(2))
		hier_publish(&p.h);
}

static void change(void)
{
	struct hier_network *net = p.networks[dice(p.n_networks)];
	struct hier_domain *d = any_domain();

	switch (dice(8)) {
	case 0:
		if (d && d->n_old < 8)
			roll_key(d);
		return;
	case 1:
		if (d)
			withdraw_or_return(d);
		return;
	case 2:
		if (!net->gone && dice(4) == 0)
			hier_remove(net);
		return;
	case 3:
		hier_publish(&p.h);
		return;
	default:
		if (!net->gone)
			hier_change(net, (int)dice(HIER_VMS), dice(5), dice(2));
	}
}

/* Questions */

static struct ask any_question(void)
{
	const struct hier_network *net = p.networks[dice(p.n_networks)];
	struct hier_domain *d = any_domain();
	struct ask ask = { .kind = ASK_POLICY, .vnid = net->vnid, .source = 1 + dice(HIER_VMS) };

	if (dice(20) == 0)
		ask.vnid = 1 + dice(FIRST_VNID + 20 * TOP_VNIDS);
	if (dice(20) == 0)
		ask.source = HIER_VMS + 1;
	ask.to.address = hier_address((int)dice(HIER_VMS + 1));
	if (!net->gone && ask.vnid == net->vnid && dice(4) == 0)
		ask.min_revision = net->revision;
	if (dice(5) == 0) {
		ask = (struct ask){ .kind = ASK_NAME };
		snprintf(ask.name, sizeof(ask.name), "%s:%s", dice(10) ? net->domain->name : "t0/nobody",
			 net->name);
	} else if (d && dice(10) == 0) {
		ask = (struct ask){ .kind = ASK_ZONE };
		strcpy(ask.name, d->name);
	}
	return ask;
}

static void check(const struct hier_result *r, uint32_t within)
{
	const char *fault = hier_truth(&p.h, r);
	char key[ASK_TEXT];

	ask_text(&r->ask, false, key);
	cr_assert_null(fault, "seed %lu, tick %lu: %s: %s: %s", p.seed, p.h.ticks, key,
		       result_kind_name(r->result.kind), fault);
	cr_assert_eq(r->times, 1);
	cr_assert_leq(r->told - r->asked, within ? within : QUERY_DEADLINE_MS, "seed %lu: %s took %lu ms",
		      p.seed, key, r->told - r->asked);
	cr_assert_leq(r->result.upstream, QUERY_UPSTREAM_MAX, "seed %lu: %s", p.seed, key);
	cr_assert_leq(r->result.referrals, QUERY_REFERRALS_MAX, "seed %lu: %s", p.seed, key);
	cr_assert(p.faults || r->result.kind != RESULT_FAILED,
		  "seed %lu, tick %lu: %s: %s, and nothing was wrong", p.seed, p.h.ticks, key,
		  query_reason_text(r->result.reason));
	p.kinds[r->result.kind]++;
	p.stale += r->result.stale;
	p.asked++;
}

static void ask_round(void)
{
	uint32_t within[ASKS];
	struct ask ask;

	for (int i = 0; i < ASKS; i++) {
		ask = any_question();
		within[i] = p.faults && dice(3) == 0 ? 1 + dice(5000) : 0;
		hier_result_free(&p.results[i]);
		hier_ask(p.caches[dice(p.n_caches)], &ask, within[i], &p.results[i]);
	}
	for (int i = 0; i < ASKS; i++) {
		cr_assert(hier_wait(&p.h, &p.results[i]), "seed %lu: a question has no end", p.seed);
		check(&p.results[i], within[i]);
	}
}

static void no_query_is_left(void)
{
	p.h.tending = false;
	hier_run(&p.h, 2 * QUERY_DEADLINE_MOST_MS);
	for (const struct hier_node *n = p.h.nodes; n; n = n->next)
		cr_assert_eq(n->node.r.running, 0, "seed %lu: %s still has %zu queries", p.seed, n->name,
			     n->node.r.running);
	p.h.tending = true;
}

/* After all mishaps: every network is found as it is now, by every cache. */
static void everything_is_found(void)
{
	struct hier_result *r = &p.results[0];

	for (struct hier_node *n = p.h.nodes; n; n = n->next)
		heal(n);
	hier_publish(&p.h);
	p.faults = false;
	hier_run(&p.h, 1200000);
	hier_publish(&p.h);
	for (int i = 0; i < p.n_networks; i++) {
		struct ask ask = { .kind = ASK_POLICY, .vnid = p.networks[i]->vnid, .source = 1 };

		ask.to.address = hier_address(1);
		hier_result_free(r);
		hier_ask(p.caches[dice(p.n_caches)], &ask, 0, r);
		cr_assert(hier_wait(&p.h, r));
		check(r, 0);
		if (!p.networks[i]->gone && is_delegated(p.networks[i]->domain))
			cr_assert(r->result.kind == RESULT_NO_DELEGATION ||
					  r->result.kind == RESULT_NO_NETWORK ||
					  r->result.sequence == p.networks[i]->revision,
				  "seed %lu: VNID %u at %lu", p.seed, ask.vnid, r->result.sequence);
	}
}

static void say_what_happened(void)
{
	fprintf(stderr, "seed %lu: %u servers, %d networks, %u questions:", p.seed, p.h.ports, p.n_networks,
		p.asked);
	for (int kind = 0; kind <= RESULT_FAILED; kind++)
		fprintf(stderr, " %s %u", result_kind_name(kind), p.kinds[kind]);
	fprintf(stderr, ", stale %u, keys rolled %u, delegations changed %u, %zu messages\n", p.stale,
		p.rolled, p.withdrawn, p.h.messages);
}

static void play_world(uint64_t seed, bool faults, int tops, int depth, int caches, int rounds)
{
	make_world(seed, tops, depth, caches);
	p.faults = faults;
	for (int round = 0; round < rounds; round++) {
		for (uint32_t i = dice(4); faults && i; i--)
			mishap();
		for (uint32_t i = dice(6); faults && i; i--)
			heal(any_node());
		for (uint32_t i = dice(4); i; i--)
			if (faults)
				change();
			else if (!p.networks[0]->gone)
				hier_change(p.networks[dice(p.n_networks)], (int)dice(HIER_VMS), dice(5),
					    dice(2));
		ask_round();
		hier_run(&p.h, dice(10) ? dice(3000) : dice(400000));
	}
	no_query_is_left();
	everything_is_found();
	say_what_happened();
	end_world();
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

Test(hierarchy, R21_R24_mishaps_at_random)
{
	uint64_t one = number_of("DOVE_SEED", 0), n = number_of("DOVE_SEEDS", SEEDS);

	for (uint64_t seed = one ? one : 1; seed <= (one ? one : n); seed++)
		play_world(seed, true, 3 + (int)(seed % 4), 3, 6, ROUNDS);
}

Test(hierarchy, R22_without_mishaps_everything_is_found)
{
	for (uint64_t seed = 1; seed <= 3; seed++)
		play_world(seed, false, 4, 2, 6, 15);
}

Test(hierarchy, R21_R26_hundreds_of_servers)
{
	play_world(1, true, 16, 3, 24, 8);
}
