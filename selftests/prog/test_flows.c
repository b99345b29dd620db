// SPDX-License-Identifier: Apache-2.0
/* Which flows are remembered, where, and what of them travels: the first half of "replies pass". */
#include <string.h>

#include "flows.h"
#include "ingress.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT | PROG_NIC_INGRESS | PROG_XDP });
}

TestSuite(flows, .init = load);

/* ---- on the wire ---- */

static void expect_label(const struct run *r, uint8_t flags)
{
	expect_sent(r, DOVE_ENCAPSULATED);
	check(frame_get(&r->out, OUTER_AT(option.stage_vnid), 1) == flags, "flags %02x, expected %02x",
	      frame_get(&r->out, OUTER_AT(option.stage_vnid), 1), flags);
}

Test(flows, R8_the_flag_travels_where_the_answer_says_so)
{
	static const struct {
		const char *name;
		uint8_t answer, on_the_wire;
	} cases[] = {
		{ "nothing", 0, 0 },
		{ "track", DOVE_RULE_TRACK, DOVE_FLAG_TRACK },
		{ "replies", DOVE_RULE_REPLIES, 0 },
		{ "both", DOVE_RULE_TRACK | DOVE_RULE_REPLIES, DOVE_FLAG_TRACK },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases) * FAMILIES; i++) {
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = udp_in(i % FAMILIES, &vm2);
		struct run r;

		begin(cases[i / FAMILIES].name);
		t.flags = cases[i / FAMILIES].answer;
		cache_put(&vm2, &t);
		r = run_vm(&v);
		expect_label(&r, cases[i / FAMILIES].on_the_wire);
		expect_no_flow(); /* it is the destination's to remember */
	}
}

Test(flows, R9_a_rules_flag_counts_and_not_the_pairs)
{
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = udp_to(&vm2);
	struct run r;

	t.scope = DOVE_SCOPE_TO_PORT;
	t.flags = DOVE_RULE_TRACK;
	t.n_rules = 2;
	t.rules[0] =
		(struct dove_rule){ POLICY, 0, 0xffff, 53, 53, 0, DOVE_VERDICT_ALLOW, DOVE_RULE_TRACK, 0, 0 };
	t.rules[1] = (struct dove_rule){ POLICY, 0, 0xffff, 0, 0xffff, 0, DOVE_VERDICT_ALLOW, 0, 0, 0 };
	begin("the first rule tracks");
	cache_put(&vm2, &t);
	r = run_vm(&v);
	expect_label(&r, DOVE_FLAG_TRACK);

	begin("the second does not");
	cache_put(&vm2, &t);
	v.to_port = 54;
	r = run_vm(&v);
	expect_label(&r, 0);
}

Test(flows, R9_an_exact_entrys_flag_counts_and_not_the_pairs)
{
	struct dove_translation t = allow_to(&vm2);
	struct dove_cache_key key = pair_key(&vm2);
	struct vm_frame v = udp_to(&vm2);
	struct run r;

	for (int tracks = 0; tracks < 2; tracks++) {
		begin(tracks ? "tracks" : "does not");
		t.scope = DOVE_SCOPE_TO_PORT;
		t.flags = tracks ? 0 : DOVE_RULE_TRACK;
		cache_put(&vm2, &t);
		key.exact = 1;
		key.to_port = 53;
		t.scope = 0;
		t.flags = tracks ? DOVE_RULE_TRACK : 0;
		map_put(dove_cache, &key, &t);
		r = run_vm(&v);
		expect_label(&r, tracks ? DOVE_FLAG_TRACK : 0);
	}
}

/* ---- at the destination ---- */

static struct frame tracked(const struct way *w, const struct vm_frame *v)
{
	struct outer_frame o = outer_from_host2(w->outer);
	struct frame inner = frame_vm(v);

	o.stage_flags = DOVE_FLAG_TRACK;
	return frame_encapsulated(&o, &inner);
}

/* What a reply to it looks like is the key; a packet that nothing replies to leaves none. */
static const struct {
	const char *name;
	uint8_t proto; /* 1: ICMP of the family */
	uint16_t icmp4, icmp6, frag_off;
	bool remembered;
} kinds[] = {
	{ "UDP", 17, 0, 0, 0, true },
	{ "TCP", 6, 0, 0, 0, true },
	{ "GRE, no ports", 47, 0, 0, 0, true },
	{ "ping", 1, 0x0800, 0x8000, 0, true },
	{ "its reply", 1, 0x0000, 0x8100, 0, false },
	{ "ICMP error", 1, 0x0301, 0x0100, 0, false },
	{ "other ICMP", 1, 0x0d00, 0x8500, 0, false },
	{ "first fragment", 17, 0, 0, MORE_FRAGMENTS, true },
	{ "later fragment", 17, 0, 0, 7, false },
	{ "later fragment of a ping", 1, 0x0800, 0x8000, 7, false },
};

static struct vm_frame of_kind(size_t i, enum family f, struct vm_frame v)
{
	v.proto = kinds[i].proto == 1 ? icmp_proto(f) : kinds[i].proto;
	v.icmp = f == V6 ? kinds[i].icmp6 : kinds[i].icmp4;
	v.frag_off = kinds[i].frag_off;
	return v;
}

Test(flows, R8_the_destination_remembers)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
			struct vm_frame v = of_kind(i, w.inner, udp_from_vm2(w.inner));
			struct dove_flow_key key = flow_of(&v, vm3.endpoint);
			struct frame f = tracked(&w, &v), inner = frame_vm(&v);
			struct run r;

			begin_way(&w, kinds[i].name);
			will_count(DOVE_COUNT_FLOWS, kinds[i].remembered);
			r = arrive(w.hook, &f);
			expect_accepted(w.hook, &r, &inner);
			if (kinds[i].remembered)
				expect_flow(&key, vm2.endpoint);
			else
				expect_no_flow();
			expect_quiet();
		}
	}
}

Test(flows, R8_a_neighbour_remembers)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds) * FAMILIES; i++) {
		enum family f = i % FAMILIES;
		struct dove_translation t = allow_to(&vm3);
		struct vm_frame v = of_kind(i / FAMILIES, f, udp_in(f, &vm3));
		struct dove_flow_key key = flow_of(&v, vm3.endpoint);
		struct run r;

		begin(case_text("IPv%u: %s", f ? 6 : 4, kinds[i / FAMILIES].name));
		t.flags = DOVE_RULE_TRACK;
		cache_put(&vm3, &t);
		will_count(DOVE_COUNT_FLOWS, kinds[i / FAMILIES].remembered);
		r = run_vm(&v);
		expect_sent(&r, DOVE_DELIVERED_LOCAL);
		if (kinds[i / FAMILIES].remembered)
			expect_flow(&key, vm1.endpoint);
		else
			expect_no_flow();
	}
}

Test(flows, R8_nothing_is_remembered_unasked_or_of_what_is_refused)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct vm_frame v = udp_from_vm2(w.inner);
		struct frame inner = frame_vm(&v), plain = wrap(w.outer, &inner), f = tracked(&w, &v);
		struct run r;

		begin_way(&w, "no flag");
		r = arrive(w.hook, &plain);
		expect_accepted(w.hook, &r, &inner);
		expect_no_flow();

		begin_way(&w, "below the floor");
		network_put(BLUE, REVISION + 1, REVISION + 1);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_REFUSED);
		expect_no_flow();

		begin_way(&w, "nobody here");
		local_del(BLUE, &vm3);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_UNKNOWN_ENDPOINT);
		expect_no_flow();

		begin_way(&w, "policy not known");
		policy_del(BLUE, POLICY);
		arrive(w.hook, &f);
		expect_no_flow();
	}
}

/* The same flow under the same policy is written at most once a second; under another at once. */
Test(flows, R8_a_flow_is_touched_once_a_second)
{
	static const struct {
		const char *name;
		uint64_t ago;
		uint64_t revision;
		uint32_t policy;
		bool touched;
	} cases[] = {
		{ "half a second ago", SECOND / 2, REVISION, POLICY, false },
		{ "two seconds ago", 2 * SECOND, REVISION, POLICY, true },
		{ "half a second ago, of an older revision", SECOND / 2, REVISION - 1, POLICY, true },
		{ "half a second ago, by another policy", SECOND / 2, REVISION, 0x99, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct way w = { .hook = AT_TC };
		struct vm_frame v = udp_from_vm2(V4);
		struct dove_flow_key key = flow_of(&v, vm3.endpoint);
		struct dove_flow before = { .seen = now_ns() - cases[i].ago,
					    .revision = cases[i].revision,
					    .vnid = BLUE,
					    .policy = cases[i].policy,
					    .peer = vm2.endpoint };
		struct frame f = tracked(&w, &v), inner = frame_vm(&v);
		struct dove_flow after;
		struct run r;

		begin(cases[i].name);
		map_put(dove_flows, &key, &before);
		r = arrive(AT_TC, &f);
		expect_accepted(AT_TC, &r, &inner);
		check(map_get(dove_flows, &key, &after), "it is gone");
		check((after.seen != before.seen) == cases[i].touched, "touched: %d",
		      after.seen != before.seen);
		check(!cases[i].touched || (after.revision == REVISION && after.policy == POLICY),
		      "not of what let it through now");
	}
}

/* Newer than watched: its revision is the one that it says, not the one that is known here. */
Test(flows, R15_the_revision_of_a_newer_packet_is_its_own)
{
	struct outer_frame o = outer_from_host2(V4);
	struct vm_frame v = udp_from_vm2(V4);
	struct dove_flow_key key = flow_of(&v, vm3.endpoint);
	struct frame inner = frame_vm(&v), f;
	struct dove_flow flow;

	begin("newer");
	o.stage_flags = DOVE_FLAG_TRACK;
	o.sequence += 7;
	f = frame_encapsulated(&o, &inner);
	arrive(AT_TC, &f);
	check(map_get(dove_flows, &key, &flow) && flow.revision == REVISION + 7, "revision %llx",
	      flow.revision);
}
