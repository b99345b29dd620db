// SPDX-License-Identifier: Apache-2.0
/*
 * What the sequence in a packet says at the destination, at both hooks: the
 * checks of docs/staleness.md, and the events that come of them.
 */
#include <string.h>

#include "ingress.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_NIC_INGRESS | PROG_XDP });
}

static void load_strict(void)
{
	prog_load((struct prog_config){ .programs = PROG_NIC_INGRESS | PROG_XDP, .refuse_stale = true });
}

TestSuite(judge, .init = load);
TestSuite(judge_strict, .init = load_strict);

/* ---- sequences, as extended to 64 bits ---- */

struct judged {
	const char *name;
	uint64_t sent;	  /* S; its low half travels */
	uint64_t watched; /* the network's revision */
	uint64_t net_floor, policy_seq, policy_floor, local_seq, local_floor;
	enum dove_reason reason; /* DELIVERED or what it is refused for */
	int event;		 /* enum dove_event_type, 0 for none */
	uint64_t wanted;
};

static void judged_put(const struct judged *c)
{
	network_put(BLUE, c->watched, c->net_floor);
	policy_put(BLUE, POLICY, c->policy_seq, c->policy_floor);
	local_put(BLUE, &vm3, PORT3, c->local_seq, c->local_floor);
}

static struct run arrive_sent_at(const struct way *w, uint64_t sequence)
{
	struct frame f = wrap_sent_at(w, sequence);

	return arrive(w->hook, &f);
}

static void expect_judged(const struct way *w, const struct judged *c, const struct run *r)
{
	struct frame inner = the_inner(w->inner);
	struct dove_event e;

	will_count(DOVE_COUNT_STALE, c->event == DOVE_EVENT_STALE);
	will_count(DOVE_COUNT_NEWER, c->event == DOVE_EVENT_NEWER);
	if (c->reason == DOVE_DELIVERED)
		expect_accepted(w->hook, r, &inner);
	else
		expect_refused(w->hook, r, c->reason);
	if (c->event) {
		e = expect_event(c->event);
		expect_from_vm2(w, &e, c->reason == DOVE_DELIVERED);
		check(e.sequence == c->sent, "sequence %llx, sent %llx", e.sequence,
		      (unsigned long long)c->sent);
		check(!c->wanted || e.wanted == c->wanted, "wanted %llx", e.wanted);
	}
	expect_quiet();
}

static void judge_all(const struct judged *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
			struct run r;

			begin_way(&w, cases[i].name);
			judged_put(&cases[i]);
			r = arrive_sent_at(&w, cases[i].sent);
			expect_judged(&w, &cases[i], &r);
		}
	}
}

#define R REVISION
#define TURN (1ull << 32)

Test(judge, R15_R17_stale_refused_newer)
{
	static const struct judged cases[] = {
		{ "current", R, R, R, R, R, R, R, DOVE_DELIVERED, 0, 0 },
		{ "old but nothing changed since", R - 50, R, 1, 1, 1, 1, 1, DOVE_DELIVERED, 0, 0 },
		{ "just current", R - 5, R, R - 5, R - 5, R - 5, R - 5, R - 5, DOVE_DELIVERED, 0, 0 },
		{ "policy changed", R - 5, R, 1, R - 4, 1, 1, 1, DOVE_DELIVERED, DOVE_EVENT_STALE, R - 4 },
		{ "endpoint changed", R - 5, R, 1, 1, 1, R - 4, 1, DOVE_DELIVERED, DOVE_EVENT_STALE, R - 4 },
		{ "both changed", R - 5, R, 1, R - 3, 1, R - 4, 1, DOVE_DELIVERED, DOVE_EVENT_STALE, R - 3 },
		{ "stale, on all floors", R - 5, R, R - 5, R, R - 5, R, R - 5, DOVE_DELIVERED,
		  DOVE_EVENT_STALE, R },
		{ "below the policy's floor", R - 5, R, 1, R, R - 4, 1, 1, DOVE_REFUSED, DOVE_EVENT_REFUSED,
		  R - 4 },
		{ "below the endpoint's floor", R - 5, R, 1, 1, 1, R, R - 4, DOVE_REFUSED, DOVE_EVENT_REFUSED,
		  R - 4 },
		{ "below the network's floor", R - 5, R, R - 4, 1, 1, 1, 1, DOVE_REFUSED, DOVE_EVENT_REFUSED,
		  R - 4 },
		{ "below all of them", R - 5, R, R - 4, 1, R - 2, 1, R - 3, DOVE_REFUSED, DOVE_EVENT_REFUSED,
		  R - 2 },
		{ "newer by one", R + 1, R, R, R, R, R, R, DOVE_DELIVERED, DOVE_EVENT_NEWER, 0 },
		{ "newer by far", R + 0x70000000, R, R, R, R, R, R, DOVE_DELIVERED, DOVE_EVENT_NEWER, 0 },
	};

	judge_all(cases, ARRAY_SIZE(cases));
}

Test(judge, R15_low_halves_wrap_around)
{
	static const struct judged cases[] = {
		{ "watch just past the turn, packet before it", 5 * TURN - 2, 5 * TURN + 3, 1, 1, 1, 1, 1,
		  DOVE_DELIVERED, 0, 0 },
		{ "the same, stale", 5 * TURN - 2, 5 * TURN + 3, 1, 5 * TURN + 1, 1, 1, 1, DOVE_DELIVERED,
		  DOVE_EVENT_STALE, 5 * TURN + 1 },
		{ "the same, refused", 5 * TURN - 2, 5 * TURN + 3, 1, 1, 5 * TURN - 1, 1, 1, DOVE_REFUSED,
		  DOVE_EVENT_REFUSED, 5 * TURN - 1 },
		{ "watch just before the turn, packet past it", 5 * TURN + 2, 5 * TURN - 3, 1, 1, 1, 1, 1,
		  DOVE_DELIVERED, DOVE_EVENT_NEWER, 0 },
		{ "both at the turn", 5 * TURN, 5 * TURN, 5 * TURN, 5 * TURN, 5 * TURN, 5 * TURN, 5 * TURN,
		  DOVE_DELIVERED, 0, 0 },
		{ "watch at the turn, packet one below", 5 * TURN - 1, 5 * TURN, 5 * TURN, 1, 1, 1, 1,
		  DOVE_REFUSED, DOVE_EVENT_REFUSED, 5 * TURN },
		{ "half a turn old", 5 * TURN, 5 * TURN + 0x7fffffff, 1, 1, 1, 1, 1, DOVE_DELIVERED, 0, 0 },
		{ "a young network", 2, 5, 3, 1, 1, 1, 1, DOVE_REFUSED, DOVE_EVENT_REFUSED, 3 },
		{ "first revision", 1, 1, 1, 1, 1, 1, 1, DOVE_DELIVERED, 0, 0 },
	};

	judge_all(cases, ARRAY_SIZE(cases));
}

/* A sequence that lies before revision 0 is a forgery or a mistake, and the oldest there is. */
Test(judge, R15_below_zero_is_the_oldest)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct run r;

		begin_way(&w, "five revisions, and a sequence of 2^32 - 3");
		network_put(BLUE, 5, 1);
		r = arrive_sent_at(&w, TURN - 3);
		expect_refused(w.hook, &r, DOVE_REFUSED);
		check(expect_event(DOVE_EVENT_REFUSED).sequence == 0, "not the oldest");
	}
}

Test(judge_strict, R17_stale_is_dropped_where_configured)
{
	static const struct judged cases[] = {
		{ "current", R, R, R, R, R, R, R, DOVE_DELIVERED, 0, 0 },
		{ "policy changed", R - 5, R, 1, R - 4, 1, 1, 1, DOVE_STALE_REFUSED, DOVE_EVENT_STALE,
		  R - 4 },
		{ "below a floor", R - 5, R, R, 1, 1, 1, 1, DOVE_REFUSED, DOVE_EVENT_REFUSED, R },
		{ "newer", R + 5, R, R, 1, 1, 1, 1, DOVE_DELIVERED, DOVE_EVENT_NEWER, 0 },
	};

	judge_all(cases, ARRAY_SIZE(cases));
}

/* TC gives the whole packet to the agent; XDP leaves that to TC, and so passes it on as it came. */
static void expect_held_unknown(const struct way *w, const struct run *r)
{
	struct dove_ip dst = ip_in(w->inner, vm3.ip);
	const struct dove_held *held;

	expect_end(r, TC_ACT_SHOT, DOVE_HELD_UNKNOWN);
	held = expect_record(r, DOVE_HELD_UNKNOWN);
	check(held->policy == POLICY && held->sequence == (uint32_t)REVISION && held->vnid == BLUE &&
		      held->ifindex == PORT && !held->group,
	      "policy %x, sequence %x, network %x, port %u", held->policy, held->sequence, held->vnid,
	      held->ifindex);
	check(ip_is(&held->key.dst, &dst) && held->key.source == vm2.endpoint && held->key.to_port == 53,
	      "the record's key");
}

/* TC gives the whole packet to the agent; XDP leaves that to TC, and so passes it on as it came. */
Test(judge, R15_unknown_policy_is_held)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct frame inner = the_inner(w.inner), f = wrap(w.outer, &inner);
		struct dove_event e;
		struct run r;

		begin_way(&w, "policy not known");
		policy_del(BLUE, POLICY);
		r = arrive(w.hook, &f);
		e = expect_event(DOVE_EVENT_UNKNOWN);
		expect_from_vm2(&w, &e, false);
		if (w.hook == AT_XDP) {
			expect_untouched_by_xdp(&r);
			expect_quiet();
			continue;
		}
		expect_held_unknown(&w, &r);
		expect_quiet();

		begin_way(&w, "no budget");
		policy_del(BLUE, POLICY);
		map_del(dove_budgets, &(uint32_t){ PORT });
		r = arrive(w.hook, &f);
		expect_end(&r, TC_ACT_SHOT, DOVE_MISS_LIMITED);
		expect_event(DOVE_EVENT_UNKNOWN);
		expect_quiet();
	}
}

Test(judge, R15_policy_of_another_network_is_unknown)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct frame inner = the_inner(w.inner), f = wrap(w.outer, &inner);

		begin_way(&w, "known in green only");
		policy_del(BLUE, POLICY);
		policy_put(GREEN, POLICY, 1, 1);
		arrive(w.hook, &f);
		expect_event(DOVE_EVENT_UNKNOWN);
		check(!counted(DOVE_DELIVERED) && !counted(DOVE_STRIPPED), "accepted");
	}
}

/* ---- when the watch is silent ---- */

static void silent(bool may_judge)
{
	struct dove_network n = { .revision = REVISION,
				  .floor = 1,
				  .alive_until = now_ns() - SECOND,
				  .judge_until = may_judge ? now_ns() + 60 * SECOND : now_ns() - SECOND };

	map_put(dove_networks, &(uint32_t){ BLUE }, &n);
}

/* What a processor has read of the two maps is used until the agent has changed them; while it does, nothing is. */
Test(judge, R15_numbers_hold_until_their_version_changes)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct dove_policy_key key = { .vnid = BLUE, .policy = POLICY };
		struct dove_policy risen = { .sequence = REVISION + 1, .floor = REVISION + 1 };
		struct frame inner = the_inner(w.inner);
		struct run r;

		begin_way(&w, "a floor that nobody has told of");
		network_put(BLUE, REVISION + 1, 1);
		policy_put(BLUE, POLICY, 1, 1);
		r = arrive_sent_at(&w, REVISION);
		expect_accepted(w.hook, &r, &inner);
		counters_clear();
		bpf_map__update_elem(dove->maps.dove_policies, &key, sizeof(key), &risen, sizeof(risen),
				     BPF_ANY);
		r = arrive_sent_at(&w, REVISION);
		expect_accepted(w.hook, &r, &inner);

		begin_way(&w, "while it is written");
		version_put(0);
		bpf_map__update_elem(dove->maps.dove_policies, &key, sizeof(key), &risen, sizeof(risen),
				     BPF_ANY);
		r = arrive_sent_at(&w, REVISION);
		expect_refused(w.hook, &r, DOVE_REFUSED);

		begin_way(&w, "written");
		policy_put(BLUE, POLICY, REVISION + 1, REVISION + 1);
		r = arrive_sent_at(&w, REVISION);
		expect_refused(w.hook, &r, DOVE_REFUSED);
	}
}

Test(judge, R15_cannot_judge)
{
	static const struct {
		struct judged c;
		bool may_judge;
	} cases[] = {
		{ { "silent, answers may hold", R, R, 1, 1, 1, 1, 1, DOVE_DELIVERED, DOVE_EVENT_CANNOT_JUDGE,
		    0 },
		  true },
		{ { "silent for too long", R, R, 1, 1, 1, 1, 1, DOVE_CANNOT_JUDGE, DOVE_EVENT_CANNOT_JUDGE,
		    0 },
		  false },
		{ { "silent, and newer", R + 1, R, 1, 1, 1, 1, 1, DOVE_DELIVERED, DOVE_EVENT_CANNOT_JUDGE,
		    0 },
		  true },
		{ { "silent for too long, and newer", R + 1, R, 1, 1, 1, 1, 1, DOVE_CANNOT_JUDGE,
		    DOVE_EVENT_CANNOT_JUDGE, 0 },
		  false },
		{ { "silent, and stale", R - 5, R, 1, R - 4, 1, 1, 1, DOVE_DELIVERED, DOVE_EVENT_STALE,
		    R - 4 },
		  true },
		{ { "silent for too long, and stale", R - 5, R, 1, R - 4, 1, 1, 1, DOVE_CANNOT_JUDGE,
		    DOVE_EVENT_CANNOT_JUDGE, 0 },
		  false },
		{ { "silent, and refused", R - 5, R, 1, R, R, 1, 1, DOVE_REFUSED, DOVE_EVENT_REFUSED, R },
		  true },
		{ { "silent for too long, and refused", R - 5, R, 1, R, R, 1, 1, DOVE_REFUSED,
		    DOVE_EVENT_REFUSED, R },
		  false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
			struct run r;

			begin_way(&w, cases[i].c.name);
			judged_put(&cases[i].c);
			silent(cases[i].may_judge);
			r = arrive_sent_at(&w, cases[i].c.sent);
			expect_judged(&w, &cases[i].c, &r);
		}
	}
}

/* ---- events are few ---- */

Test(judge, R16_one_event_per_policy_and_sender_in_100_ms)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct outer_frame o = outer_from_host2(w.outer);
		struct frame inner = the_inner(w.inner), f = wrap(w.outer, &inner);
		struct dove_event e;

		begin_way(&w, "stale");
		policy_put(BLUE, POLICY, REVISION, 1);
		o.sequence--;
		f = frame_encapsulated(&o, &inner);
		for (int i = 0; i < 20; i++)
			arrive(w.hook, &f);
		check(counted(DOVE_COUNT_STALE) == 20, "not every stale packet was counted");
		expect_event(DOVE_EVENT_STALE);
		expect_quiet();

		o.source = 4711;
		f = frame_encapsulated(&o, &inner);
		arrive(w.hook, &f);
		e = expect_event(DOVE_EVENT_STALE);
		check(e.source == 4711, "another sender has an event of its own");
	}
}

/* That the watch is behind concerns the network: one event, whoever the packets are from. */
Test(judge, R16_newer_is_one_event_per_network)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		begin_way(&w, "newer");
		for (uint32_t i = 0; i < 20; i++) {
			struct outer_frame o = outer_from_host2(w.outer);
			struct frame inner = the_inner(w.inner), f;

			o.sequence += 5;
			o.source = 100 + i;
			o.policy = 7000 + i;
			f = frame_encapsulated(&o, &inner);
			arrive(w.hook, &f);
		}
		check(counted(DOVE_COUNT_NEWER) == 20, "not every newer packet was counted");
		expect_event(DOVE_EVENT_NEWER);
		expect_quiet();
	}
}

Test(judge, R16_lost_events_are_counted)
{
	unsigned seen = 0, sent = 4000;
	struct outer_frame o = outer_from_host2(V4);
	struct frame inner = the_inner(V4);
	struct dove_event e;

	begin_hook(AT_XDP, "nobody reads");
	policy_put(BLUE, POLICY, REVISION, 1);
	o.sequence--;
	for (unsigned i = 0; i < sent; i++) {
		struct frame f;

		o.source = i;
		f = frame_encapsulated(&o, &inner);
		arrive(AT_XDP, &f);
	}
	check(counted(DOVE_STRIPPED) == sent, "events that are lost cost packets");
	check(counted(DOVE_COUNT_EVENTS_LOST) > 0, "the ring took all");
	while (take_event(&e))
		seen++;
	check(seen > 1000 && seen + counted(DOVE_COUNT_EVENTS_LOST) == sent, "%u seen, %llu lost, %u sent",
	      seen, (unsigned long long)counted(DOVE_COUNT_EVENTS_LOST), sent);
}
