// SPDX-License-Identifier: Apache-2.0
/* What passes although nothing lets it, because it answers what was let through: the second half of "replies pass". */
#include <string.h>

#include "answers.h"
#include "flows.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT });
}

TestSuite(replies, .init = load);

/* VM 1 may not speak to VM 2, unless it answers. */
static void begin_denied(enum family family, const char *name)
{
	struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_DENY);

	begin(case_text("IPv%u: %s", family ? 6 : 4, name));
	t.flags = DOVE_RULE_REPLIES;
	answer_put(&vm2, &t);
}

static void expect_passes(const struct run *r)
{
	struct frame want;

	expect_sent(r, DOVE_ENCAPSULATED);
	want = on_the_wire(V4, &r->in, &r->out); /* flags and all: a reply is not tracked itself */
	expect_bytes(&r->out, &want);
	check(stats_of_policy(BLUE, POLICY).packets == 1, "not counted under its policy");
}

static struct vm_frame reply_in(enum family family, uint8_t proto)
{
	struct vm_frame v = udp_in(family, &vm2);

	v.proto = proto == 1 ? icmp_proto(family) : proto;
	v.icmp = family == V6 ? 0x8100 : 0x0000;
	v.icmp_rest = 0xbeef << 16 | 1;
	return v;
}

Test(replies, R8_a_reply_passes)
{
	static const uint8_t protos[] = { 17, 6, 1, 47, 132 };

	for (size_t i = 0; i < ARRAY_SIZE(protos) * FAMILIES; i++) {
		enum family f = i % FAMILIES;
		struct vm_frame v = reply_in(f, protos[i / FAMILIES]);
		struct dove_flow_key key = flow_for(&v);
		struct run r;

		begin_denied(f, case_text("protocol %u", v.proto));
		if (v.proto == 132) { /* the payload's first bytes */
			key.from_port = 0x0108;
			key.to_port = 0x0f16;
		}
		flow_put(&key, 0);
		r = run_vm(&v);
		expect_passes(&r);
	}
}

/* A refusal that is due to be asked for again is in no reply's way, be the service there or not. */
Test(replies, R8_a_reply_into_a_network_that_is_not_watched)
{
	struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_DENY);
	struct vm_frame v = reply_in(V4, 17);
	struct dove_flow_key key = flow_for(&v);
	struct run r;

	t.vnid = BLUE + 1;
	t.flags = DOVE_RULE_REPLIES;
	t.refuses_until = now_ns() - SECOND;
	begin("a reply");
	answer_put(&vm2, &t);
	flow_put(&key, 0);
	r = run_vm(&v);
	expect_sent(&r, DOVE_ENCAPSULATED);
	begin("none");
	answer_put(&vm2, &t);
	r = run_vm(&v);
	expect_held(&r, DOVE_HELD_MISS);
}

Test(replies, R8_only_where_the_answer_says_so)
{
	static const enum dove_verdict verdicts[] = { DOVE_VERDICT_NO_ENDPOINT, DOVE_VERDICT_NO_PLACE,
						      DOVE_VERDICT_NO_SERVICE };
	struct vm_frame v = reply_in(V4, 17);
	struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_DENY);
	struct dove_flow_key key = flow_for(&v);
	struct run r;

	begin("denied without the flag");
	answer_put(&vm2, &t);
	flow_put(&key, 0);
	r = run_vm(&v);
	expect_dropped(&r, DOVE_DENIED);

	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		t = answer_to(&vm2, verdicts[i]);
		begin(case_text("verdict %u with the flag", verdicts[i]));
		t.flags = DOVE_RULE_REPLIES;
		answer_put(&vm2, &t);
		flow_put(&key, 0);
		r = run_vm(&v);
		check(r.action == TC_ACT_SHOT && !counted(DOVE_ENCAPSULATED), "it passed");
	}
}

Test(replies, R8_past_a_rule_that_rejects_too)
{
	struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_REJECT);
	struct vm_frame v = reply_in(V4, 6);
	struct dove_flow_key key = flow_for(&v);
	struct frame want = tcp_reset(&v, 0);
	struct run r;

	t.flags = DOVE_RULE_REPLIES;
	begin("a reply");
	answer_put(&vm2, &t);
	flow_put(&key, 0);
	r = run_vm(&v);
	expect_passes(&r);

	begin("none");
	answer_put(&vm2, &t);
	r = run_vm(&v);
	expect_sent(&r, DOVE_REJECTED);
	expect_bytes(&r.out, &want);
}

Test(replies, R9_a_rules_flag_counts)
{
	struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_ALLOW);
	struct vm_frame v = reply_in(V4, 17);
	struct dove_flow_key key = flow_for(&v);
	struct run r;

	t.scope = DOVE_SCOPE_FROM_PORT;
	t.n_rules = 1;
	t.rules[0] =
		(struct dove_rule){ POLICY, 4000, 4000, 0, 0xffff, 0, DOVE_VERDICT_DENY, DOVE_RULE_REPLIES,
				    0,	    0 };
	for (int flag = 0; flag < 2; flag++) {
		begin(flag ? "with the flag" : "without");
		t.rules[0].flags = flag ? DOVE_RULE_REPLIES : 0;
		cache_put(&vm2, &t);
		flow_put(&key, 0);
		r = run_vm(&v);
		if (flag)
			expect_passes(&r);
		else
			expect_dropped(&r, DOVE_DENIED);
	}
}

Test(replies, R4_to_a_neighbour)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = answer_to(&vm3, DOVE_VERDICT_DENY);
		struct vm_frame v = udp_in(f, &vm3);
		struct dove_flow_key key = flow_for(&v);
		struct run r;

		begin(case_text("IPv%u", f ? 6 : 4));
		t.flags = DOVE_RULE_REPLIES | DOVE_RULE_TRACK;
		answer_put(&vm3, &t);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_DENIED);

		counters_clear();
		flow_put(&key, 0);
		r = run_vm(&v);
		expect_sent(&r,
			    DOVE_DELIVERED_LOCAL); /* and no flow of its own: will_count() was not called */
		expect_bytes(&r.out, &r.in);
	}
}

/* ---- other flows ---- */

/* Every field of the key, one at a time. */
Test(replies, R6_another_flow_is_no_excuse)
{
	static const char *const fields[] = { "its port",    "the other's port", "protocol",
					      "its address", "whom it was to",	 "endpoint" };

	for (size_t i = 0; i < ARRAY_SIZE(fields) * FAMILIES; i++) {
		enum family f = i % FAMILIES;
		struct vm_frame v = reply_in(f, 17);
		struct dove_flow_key key = flow_for(&v);
		struct run r;

		begin_denied(f, fields[i / FAMILIES]);
		key.from_port ^= i / FAMILIES == 0;
		key.to_port ^= i / FAMILIES == 1;
		key.proto ^= i / FAMILIES == 2;
		key.src.b[15] ^= i / FAMILIES == 3;
		key.dst.b[15] ^= i / FAMILIES == 4;
		key.source ^= i / FAMILIES == 5;
		flow_put(&key, 0);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_DENIED);
	}
}

/* ---- time ---- */

Test(replies, R8_flows_end_by_protocol)
{
	static const struct {
		uint8_t proto;
		uint64_t life;
	} cases[] = {
		{ 6, DOVE_FLOW_TCP_NS },  { 132, DOVE_FLOW_TCP_NS }, { 33, DOVE_FLOW_TCP_NS },
		{ 17, DOVE_FLOW_UDP_NS }, { 47, DOVE_FLOW_UDP_NS },  { 136, DOVE_FLOW_UDP_NS },
		{ 1, DOVE_FLOW_ICMP_NS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases) * 4; i++) {
		enum family f = i & 1;
		bool late = i & 2;
		struct vm_frame v = reply_in(f, cases[i / 4].proto);
		struct dove_flow_key key = flow_for(&v);
		struct run r;

		begin_denied(f, case_text("protocol %u, %s", v.proto, late ? "just over" : "just before"));
		if (v.proto == 132 || v.proto == 33 || v.proto == 136) {
			key.from_port = 0x0108;
			key.to_port = 0x0f16;
		}
		flow_put(&key, cases[i / 4].life + (late ? SECOND : -SECOND));
		r = run_vm(&v);
		if (late)
			expect_dropped(&r, DOVE_DENIED);
		else
			expect_passes(&r);
	}
}

Test(replies, R8_a_reply_keeps_the_flow_alive)
{
	static const struct {
		uint64_t ago;
		bool touched;
	} cases[] = { { SECOND / 2, false }, { 2 * SECOND, true }, { 100 * SECOND, true } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vm_frame v = reply_in(V4, 17);
		struct dove_flow_key key = flow_for(&v);
		struct dove_flow before, after;
		struct run r;

		begin_denied(V4, case_text("seen %llu ms ago", (unsigned long long)cases[i].ago / 1000000));
		flow_put(&key, cases[i].ago);
		map_get(dove_flows, &key, &before);
		r = run_vm(&v);
		expect_passes(&r);
		check(map_get(dove_flows, &key, &after), "it is gone");
		check((after.seen != before.seen) == cases[i].touched, "touched: %d",
		      after.seen != before.seen);
		before.seen = after.seen;
		check(!memcmp(&before, &after, sizeof(after)), "something else changed");
	}
}

/* ---- what it was let through by may hold no more ---- */

static void expect_held_flow(const struct run *r)
{
	const struct dove_held *held = expect_held(r, DOVE_HELD_FLOW);

	check(held->key.source == vm1.endpoint && held->key.exact && held->vnid == BLUE, "the record's key");
}

Test(replies, R17_a_floor_that_rose_is_asked_about)
{
	static const struct {
		const char *name;
		uint64_t net, policy, self;
		bool holds;
	} cases[] = {
		{ "all below", 1, 1, 1, true },
		{ "all just there", REVISION, REVISION, REVISION, true },
		{ "the network's", REVISION + 1, 1, 1, false },
		{ "the policy's", 1, REVISION + 1, 1, false },
		{ "the replier's own", 1, 1, REVISION + 1, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases) * FAMILIES; i++) {
		enum family f = i % FAMILIES;
		struct vm_frame v = reply_in(f, 17);
		struct dove_flow_key key = flow_for(&v);
		struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_DENY);
		struct run r;

		begin(case_text("IPv%u: %s", f ? 6 : 4, cases[i / FAMILIES].name));
		t.flags = DOVE_RULE_REPLIES;
		t.revision = REVISION + 2;
		t.policy = 0x99; /* another than that which let the flow through, and current */
		answer_put(&vm2, &t);
		policy_put(BLUE, 0x99, 1, 1);
		policy_put(BLUE, POLICY, REVISION, cases[i / FAMILIES].policy);
		network_put(BLUE, REVISION + 2, cases[i / FAMILIES].net);
		local_put(BLUE, &vm1, PORT, 1, cases[i / FAMILIES].self);
		flow_put(&key, 0);
		r = run_vm(&v);
		if (cases[i / FAMILIES].holds)
			expect_sent(&r, DOVE_ENCAPSULATED);
		else
			expect_held_flow(&r);
	}
}

Test(replies, R17_what_is_not_known_is_asked_about)
{
	struct vm_frame v = reply_in(V4, 17);
	struct dove_flow_key key = flow_for(&v);
	struct dove_flow flow = { .seen = now_ns(), .revision = REVISION, .vnid = BLUE, .policy = 0x98 };
	struct run r;

	begin_denied(V4, "the policy is not there any more");
	map_put(dove_flows, &key, &flow);
	r = run_vm(&v);
	expect_held_flow(&r);

	begin_denied(V4, "the network is not served");
	flow.vnid = GREEN;
	flow.policy = POLICY;
	map_put(dove_flows, &key, &flow);
	r = run_vm(&v);
	expect_held_flow(&r);
}

/* ---- pings ---- */

Test(replies, R8_only_the_reply_of_a_ping_passes)
{
	static const struct {
		const char *name;
		uint16_t icmp4, icmp6, id;
		bool passes;
	} cases[] = {
		{ "reply", 0x0000, 0x8100, 0xbeef, true },
		{ "reply to another", 0x0000, 0x8100, 0xbeee, false },
		{ "request of its own", 0x0800, 0x8000, 0xbeef, false },
		{ "timestamp reply", 0x0e00, 0x8a00, 0xbeef, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases) * FAMILIES; i++) {
		enum family f = i % FAMILIES;
		struct vm_frame v = reply_in(f, 1);
		struct dove_flow_key key = flow_for(&v);
		struct run r;

		begin_denied(f, cases[i / FAMILIES].name);
		flow_put(&key, 0);
		v.icmp = f == V6 ? cases[i / FAMILIES].icmp6 : cases[i / FAMILIES].icmp4;
		v.icmp_rest = (uint32_t)cases[i / FAMILIES].id << 16 | 1;
		r = run_vm(&v);
		if (cases[i / FAMILIES].passes)
			expect_passes(&r);
		else
			expect_dropped(&r, DOVE_DENIED);
	}
}

/* ---- ICMP errors about a flow ---- */

/* VM 2's packet to VM 1, which made the flow. */
static struct vm_frame first_packet(enum family f, uint8_t proto)
{
	struct vm_frame v = udp_between(f, &vm2, &vm1);

	v.proto = proto == 1 ? icmp_proto(f) : proto;
	v.icmp_rest = 0xbeef << 16 | 1;
	return v;
}

/* VM 1's error about that, quoting `n` bytes of it. */
static struct vm_frame error_about(enum family f, const struct frame *quoted, uint32_t n)
{
	struct vm_frame v = udp_in(f, &vm2);

	v.proto = icmp_proto(f);
	v.icmp = f == V6 ? 0x0104 : 0x0303;
	v.icmp_rest = 0;
	v.payload = n;
	v.data = quoted->b + 14;
	return v;
}

Test(replies, R8_errors_about_a_flow_pass)
{
	static const uint8_t protos[] = { 17, 6, 1 };
	static const uint16_t errors[FAMILIES][3] = { { 0x0303, 0x0b00, 0x0c00 },
						      { 0x0104, 0x0300, 0x0200 } };

	for (size_t i = 0; i < ARRAY_SIZE(protos) * 6; i++) {
		enum family f = i & 1;
		struct vm_frame first = first_packet(f, protos[i / 6]), v;
		struct dove_flow_key key = flow_of(&first, vm1.endpoint);
		struct frame quoted = frame_vm(&first);
		struct run r;

		v = error_about(f, &quoted, (f == V6 ? 40 : 20) + 8);
		v.icmp = errors[f][i / 2 % 3];
		begin_denied(f, case_text("error %04x about protocol %u", v.icmp, first.proto));
		flow_put(&key, 0);
		r = run_vm(&v);
		expect_passes(&r);
	}
}

Test(replies, R8_errors_live_as_long_as_what_they_are_about)
{
	struct vm_frame first = first_packet(V4, 6), v;
	struct dove_flow_key key = flow_of(&first, vm1.endpoint);
	struct frame quoted = frame_vm(&first);
	struct run r;

	begin_denied(V4, "TCP an hour ago");
	v = error_about(V4, &quoted, 28);
	flow_put(&key, 3600 * SECOND);
	r = run_vm(&v);
	expect_passes(&r);
}

/* Whatever stands in the quotation: the packet goes where its own header says, and that must be the flow's other end. */
Test(replies, R6_errors_about_other_flows_do_not)
{
	static const struct {
		const char *name;
		size_t at4, at6; /* in the quoted IP packet */
	} cases[] = {
		{ "quoted source port", 21, 41 },
		{ "quoted destination port", 23, 43 },
		{ "quoted protocol", 9, 6 },
		{ "quoted source address", 15, 23 },
		{ "quoted destination address", 19, 39 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases) * FAMILIES; i++) {
		enum family f = i % FAMILIES;
		struct vm_frame first = first_packet(f, 17), v;
		struct dove_flow_key key = flow_of(&first, vm1.endpoint);
		struct frame quoted = frame_vm(&first);
		struct run r;

		quoted.b[14 + (f == V6 ? cases[i / FAMILIES].at6 : cases[i / FAMILIES].at4)] ^= 1;
		v = error_about(f, &quoted, 48);
		begin_denied(f, cases[i / FAMILIES].name);
		flow_put(&key, 0);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_DENIED);
	}
}

Test(replies, R6_an_error_to_somebody_else_does_not_pass)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = answer_to(&vm3, DOVE_VERDICT_DENY);
		struct vm_frame first = first_packet(f, 17), v;
		struct dove_flow_key key = flow_of(&first, vm1.endpoint);
		struct frame quoted = frame_vm(&first);
		struct run r;

		begin_denied(f, "to VM 3, about VM 2's flow");
		t.flags = DOVE_RULE_REPLIES;
		answer_put(&vm3, &t);
		v = error_about(f, &quoted, 48);
		v.dst = ip_in(f, vm3.ip);
		flow_put(&key, 0);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_DENIED);
	}
}

Test(replies, R6_errors_that_quote_too_little_do_not)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame first = first_packet(f, 17), v;
		struct dove_flow_key key = flow_of(&first, vm1.endpoint);
		struct frame quoted = frame_vm(&first);
		uint32_t least = (f == V6 ? 40 : 20) + 8;

		for (uint32_t n = 0; n < least; n++) {
			struct run r;

			begin_denied(f, case_text("%u of %u bytes", n, least));
			v = error_about(f, &quoted, n);
			flow_put(&key, 0);
			r = run_vm(&v);
			expect_dropped(&r, DOVE_DENIED);
		}
	}
}

/* A later fragment has no ICMP header: what stands where one would be is the VM's to choose. */
Test(replies, R6_later_fragments_of_icmp_are_no_errors_or_replies)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame first = first_packet(f, 17), v;
		struct dove_flow_key key = flow_of(&first, vm1.endpoint), zero = key;
		struct frame quoted = frame_vm(&first);
		uint8_t payload[8 + 48] = {};
		struct run r;

		begin_denied(f, "later fragment like an error");
		memcpy(payload + 8, quoted.b + 14, 48);
		v = error_about(f, &quoted, sizeof(payload));
		v.data = payload;
		v.frag_off = 3;
		flow_put(&key, 0);
		zero.proto = v.proto;
		zero.from_port = zero.to_port = 0;
		flow_put(&zero, 0);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_DENIED);
	}
}
