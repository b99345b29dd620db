// SPDX-License-Identifier: Apache-2.0
/* Which translation applies to a packet, and for how long: dove_cache and dove_denied at egress. */
#include <string.h>

#include "prog.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT });
}

static void load_unchecked(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT, .no_origin_check = true });
}

TestSuite(translation, .init = load);
TestSuite(translation_unchecked, .init = load_unchecked);

static struct run send_udp(const struct vm *to)
{
	struct vm_frame v = udp_to(to);

	return run_vm(&v);
}

static struct run send_flow(uint8_t proto, uint16_t from_port, uint16_t to_port)
{
	struct vm_frame v = udp_to(&vm2);

	v.proto = proto;
	v.from_port = from_port;
	v.to_port = to_port;
	return run_vm(&v);
}

static void expect_encapsulated(const struct run *r)
{
	expect_end(r, TC_ACT_REDIRECT, DOVE_ENCAPSULATED);
}

/* ---- life of an entry ---- */

Test(translation, R11_pending_and_expired_are_misses)
{
	struct dove_translation t = allow_to(&vm2);
	struct run r;

	begin("pending");
	t.gate = DOVE_GATE_SHUT;
	cache_put(&vm2, &t);
	r = send_udp(&vm2);
	expect_held(&r, DOVE_HELD_MISS);

	begin("expired");
	t.gate = 0;
	t.expires = now_ns() - SECOND;
	cache_put(&vm2, &t);
	r = send_udp(&vm2);
	expect_held(&r, DOVE_HELD_MISS);

	begin("expired refusal");
	t.verdict = DOVE_VERDICT_DENY;
	denied_put(&vm2, &t);
	r = send_udp(&vm2);
	expect_held(&r, DOVE_HELD_MISS);

	begin("not yet expired");
	t = allow_to(&vm2);
	t.expires = now_ns() + SECOND;
	cache_put(&vm2, &t);
	r = send_udp(&vm2);
	expect_encapsulated(&r);
}

Test(translation, R2_the_sender_is_part_of_the_key)
{
	struct dove_translation t = allow_to(&vm2);
	struct dove_cache_key key = pair_key(&vm2);
	struct run r;

	begin("another endpoint's entry");
	key.source = vm3.endpoint;
	map_put(dove_cache, &key, &t);
	r = send_udp(&vm2);
	expect_held(&r, DOVE_HELD_MISS);
}

/* The destination's network goes onto the wire as VNI, the sender's into the option. */
Test(translation, R1_the_vni_is_the_destinations)
{
	struct dove_translation t = allow_to(&vm2);
	struct run r;

	begin("into another network");
	t.vnid = GREEN;
	cache_put(&vm2, &t);
	r = send_udp(&vm2);
	expect_encapsulated(&r);
	check(frame_get(&r.out, OUTER_AT(geneve.vni), 4) == GREEN << 8, "VNI");
	check(frame_get(&r.out, OUTER_AT(option.stage_vnid), 4) == BLUE, "source's VNID");
}

/* ---- refusals ---- */

Test(translation, R10_refusals_drop_under_their_own_reason)
{
	static const struct {
		const char *name;
		enum dove_verdict verdict;
		enum dove_reason reason;
	} cases[] = {
		{ "deny", DOVE_VERDICT_DENY, DOVE_DENIED },
		{ "no endpoint", DOVE_VERDICT_NO_ENDPOINT, DOVE_NO_ENDPOINT },
		{ "no place", DOVE_VERDICT_NO_PLACE, DOVE_NO_PLACE },
		{ "no service", DOVE_VERDICT_NO_SERVICE, DOVE_NO_SERVICE },
		{ "a verdict that nobody knows", 250, DOVE_DENIED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dove_translation t = allow_to(&vm2);
		struct run r;

		begin(cases[i].name);
		t.verdict = cases[i].verdict;
		denied_put(&vm2, &t);
		r = send_udp(&vm2);
		expect_dropped(&r, cases[i].reason);
		expect_counter(DOVE_COUNT_MISSES, 0);

		/* What it rests on has changed since: asked again, not refused again. */
		begin(case_text("%s, policy changed since", cases[i].name));
		denied_put(&vm2, &t);
		policy_put(BLUE, POLICY, REVISION + 1, POLICY_FLOOR);
		network_put(BLUE, REVISION + 1, 1);
		r = send_udp(&vm2);
		expect_held(&r, DOVE_HELD_MISS);

		begin(case_text("%s, below the network's floor", cases[i].name));
		denied_put(&vm2, &t);
		network_put(BLUE, REVISION + 1, REVISION + 1);
		r = send_udp(&vm2);
		expect_held(&r, DOVE_HELD_MISS);

		/* No policy gave it: good for its revision only. */
		begin(case_text("%s by no policy", cases[i].name));
		t.policy = 0;
		denied_put(&vm2, &t);
		r = send_udp(&vm2);
		expect_dropped(&r, cases[i].reason);

		begin(case_text("%s by no policy, network moved on", cases[i].name));
		denied_put(&vm2, &t);
		network_put(BLUE, REVISION + 1, 1);
		r = send_udp(&vm2);
		expect_held(&r, DOVE_HELD_MISS);
	}
}

Test(translation, R9_packets_are_counted_by_policy)
{
	struct dove_translation t = allow_to(&vm2);
	struct dove_policy_stats s;
	uint32_t bytes = 0;

	begin("three allowed");
	cache_put(&vm2, &t);
	for (int i = 0; i < 3; i++)
		bytes += send_udp(&vm2).in.len;
	s = stats_of_policy(BLUE, POLICY);
	check(s.packets == 3 && s.bytes == bytes && !s.denied, "%llu packets, %llu bytes, %llu denied",
	      s.packets, s.bytes, s.denied);

	begin("two denied");
	t.verdict = DOVE_VERDICT_DENY;
	denied_put(&vm2, &t);
	for (int i = 0; i < 2; i++)
		send_udp(&vm2);
	s = stats_of_policy(BLUE, POLICY);
	check(!s.packets && !s.bytes && s.denied == 2, "%llu packets, %llu denied", s.packets, s.denied);
}

/* ---- rules held in the pair's entry ---- */

#define ANY_PORT 0, 0xffff
enum { R_DENY = 0x51, R_ALLOW = 0x52, R_LAST = 0x53 };

static void rules_put(const struct dove_rule *rules, uint8_t n)
{
	struct dove_translation t = allow_to(&vm2);

	t.scope = DOVE_SCOPE_PROTO | DOVE_SCOPE_FROM_PORT | DOVE_SCOPE_TO_PORT;
	t.policy = 0;
	t.verdict = DOVE_VERDICT_DENY; /* of no weight beside rules */
	t.n_rules = n;
	memcpy(t.rules, rules, n * sizeof(*rules));
	cache_put(&vm2, &t);
	for (uint32_t policy = R_DENY; policy <= R_LAST; policy++)
		policy_put(BLUE, policy, 1, 1);
}

Test(translation, R9_rules_decide_by_protocol_ports_and_order)
{
	static const struct dove_rule rules[] = {
		{ R_DENY, ANY_PORT, 22, 22, 6, DOVE_VERDICT_DENY, 0, 0, 0 },
		{ R_ALLOW, 1024, 2047, 20, 80, 6, DOVE_VERDICT_ALLOW, 0, 0, 0 },
		{ R_DENY, ANY_PORT, 53, 53, 0, DOVE_VERDICT_DENY, 0, 0, 0 },
		{ R_LAST, ANY_PORT, ANY_PORT, 17, DOVE_VERDICT_ALLOW, 0, 0, 0 },
	};
	static const struct {
		const char *name;
		uint8_t proto;
		uint16_t from_port, to_port;
		enum dove_reason reason;
		uint32_t policy;
	} cases[] = {
		{ "first rule wins over the second", 6, 1500, 22, DOVE_DENIED, 0 },
		{ "low ends", 6, 1024, 20, DOVE_ENCAPSULATED, R_ALLOW },
		{ "high ends", 6, 2047, 80, DOVE_ENCAPSULATED, R_ALLOW },
		{ "below the from ports", 6, 1023, 80, DOVE_HELD_MISS, 0 },
		{ "above the from ports", 6, 2048, 80, DOVE_HELD_MISS, 0 },
		{ "below the to ports", 6, 1024, 19, DOVE_HELD_MISS, 0 },
		{ "above the to ports", 6, 1024, 81, DOVE_HELD_MISS, 0 },
		{ "second rule before the third", 6, 1024, 53, DOVE_ENCAPSULATED, R_ALLOW },
		{ "any protocol, TCP", 6, 9, 53, DOVE_DENIED, 0 },
		{ "any protocol, UDP", 17, 9, 53, DOVE_DENIED, 0 },
		{ "any port of UDP", 17, 22, 22, DOVE_ENCAPSULATED, R_LAST },
		{ "UDP, port 0", 17, 0, 0, DOVE_ENCAPSULATED, R_LAST },
		{ "ICMP has no ports: no rule", 1, 0, 0, DOVE_HELD_MISS, 0 },
		{ "SCTP has ports", 132, 0x0108, 0x0f16, DOVE_HELD_MISS, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run r;

		begin(cases[i].name);
		rules_put(rules, ARRAY_SIZE(rules));
		r = send_flow(cases[i].proto, cases[i].from_port, cases[i].to_port);
		if (cases[i].reason == DOVE_HELD_MISS) {
			expect_held(&r, DOVE_HELD_MISS);
		} else if (cases[i].reason == DOVE_DENIED) {
			expect_dropped(&r, DOVE_DENIED);
			check(stats_of_policy(BLUE, R_DENY).denied == 1,
			      "not counted under the rule's policy");
		} else {
			expect_encapsulated(&r);
			check(frame_get(&r.out, OUTER_AT(option.policy), 4) == cases[i].policy, "policy %x",
			      frame_get(&r.out, OUTER_AT(option.policy), 4));
		}
	}
}

Test(translation, R9_all_eight_rules_are_looked_at_and_no_ninth)
{
	struct dove_rule rules[DOVE_RULES_MAX];
	struct run r;

	for (int i = 0; i < DOVE_RULES_MAX; i++)
		rules[i] = (struct dove_rule){ R_DENY, ANY_PORT, 100 + i, 100 + i, 17, DOVE_VERDICT_DENY,
					       0,      0,	 0 };
	rules[DOVE_RULES_MAX - 1].verdict = DOVE_VERDICT_ALLOW;
	rules[DOVE_RULES_MAX - 1].policy = R_LAST;

	begin("the eighth");
	rules_put(rules, DOVE_RULES_MAX);
	r = send_flow(17, 1, 107);
	expect_encapsulated(&r);

	begin("not beyond n_rules");
	rules_put(rules, DOVE_RULES_MAX);
	rules_put(rules, DOVE_RULES_MAX - 1);
	r = send_flow(17, 1, 108);
	expect_held(&r, DOVE_HELD_MISS);
}

/* The rule's own policy is what the numbers are looked up for. */
Test(translation, R15_a_rule_is_judged_by_its_policy)
{
	static const struct dove_rule rules[] = {
		{ R_ALLOW, ANY_PORT, 80, 80, 6, DOVE_VERDICT_ALLOW, 0, 0, 0 },
		{ R_LAST, ANY_PORT, ANY_PORT, 0, DOVE_VERDICT_ALLOW, 0, 0, 0 },
	};
	struct run r;

	begin("floor of the first rule's policy");
	rules_put(rules, ARRAY_SIZE(rules));
	network_put(BLUE, REVISION + 9, 1);
	policy_put(BLUE, R_ALLOW, REVISION + 1, REVISION + 1);
	r = send_flow(6, 1, 81);
	expect_encapsulated(&r);
	counters_clear();
	r = send_flow(6, 1, 80);
	expect_held(&r, DOVE_HELD_MISS);
}

/* ---- exact entries ---- */

static struct dove_cache_key exact_key(uint8_t scope, uint8_t proto, uint16_t from_port, uint16_t to_port)
{
	struct dove_cache_key key = pair_key(&vm2);

	key.exact = 1;
	key.proto = scope & DOVE_SCOPE_PROTO ? proto : 0;
	key.from_port = scope & DOVE_SCOPE_FROM_PORT ? from_port : 0;
	key.to_port = scope & DOVE_SCOPE_TO_PORT ? to_port : 0;
	return key;
}

/* The pair says allow, which must be of no weight; one exact entry, for TCP 4000 to 443. */
static void scope_world(const char *name, uint8_t scope, enum dove_verdict exact)
{
	struct dove_cache_key key = exact_key(scope, 6, 4000, 443);
	struct dove_translation t = allow_to(&vm2);

	begin(name);
	t.scope = scope;
	t.policy = R_ALLOW;
	cache_put(&vm2, &t);
	t.scope = 0;
	t.policy = POLICY;
	t.verdict = exact;
	if (exact == DOVE_VERDICT_ALLOW)
		map_put(dove_cache, &key, &t);
	else
		map_put(dove_denied, &key, &t);
}

Test(translation, R9_exact_entries_have_the_fields_of_the_scope_and_no_others)
{
	for (uint8_t scope = 1; scope < 8; scope++) {
		static const struct {
			uint8_t proto;
			uint16_t from_port, to_port;
			uint8_t differs;
		} flows[] = {
			{ 6, 4000, 443, 0 },
			{ 17, 4000, 443, DOVE_SCOPE_PROTO },
			{ 6, 4001, 443, DOVE_SCOPE_FROM_PORT },
			{ 6, 4000, 444, DOVE_SCOPE_TO_PORT },
			{ 17, 4001, 444, DOVE_SCOPE_PROTO | DOVE_SCOPE_FROM_PORT | DOVE_SCOPE_TO_PORT },
		};

		for (size_t i = 0; i < ARRAY_SIZE(flows); i++) {
			const char *name = case_text("scope %u, flow %zu", scope, i);
			bool same = !(scope & flows[i].differs);
			struct run r;

			scope_world(name, scope, DOVE_VERDICT_ALLOW);
			r = send_flow(flows[i].proto, flows[i].from_port, flows[i].to_port);
			if (same) {
				expect_encapsulated(&r);
				check(frame_get(&r.out, OUTER_AT(option.policy), 4) == POLICY,
				      "not by the exact entry");
			} else {
				expect_held(&r, DOVE_HELD_MISS);
			}
			scope_world(name, scope, DOVE_VERDICT_DENY);
			r = send_flow(flows[i].proto, flows[i].from_port, flows[i].to_port);
			if (same)
				expect_dropped(&r, DOVE_DENIED);
			else
				expect_held(&r, DOVE_HELD_MISS);
		}
	}
}

Test(translation, R11_exact_entry_pending_or_expired_is_a_miss)
{
	uint8_t scope = DOVE_SCOPE_TO_PORT;
	struct dove_cache_key key = exact_key(scope, 0, 0, 443);
	struct dove_translation t = allow_to(&vm2);
	struct run r;

	scope_world("pending", scope, DOVE_VERDICT_ALLOW);
	t.gate = DOVE_GATE_SHUT;
	map_put(dove_cache, &key, &t);
	r = send_flow(6, 1, 443);
	expect_held(&r, DOVE_HELD_MISS);

	scope_world("expired", scope, DOVE_VERDICT_ALLOW);
	t.gate = 0;
	t.expires = now_ns() - SECOND;
	map_put(dove_cache, &key, &t);
	r = send_flow(6, 1, 443);
	expect_held(&r, DOVE_HELD_MISS);
}

/* ---- what the origin itself has watched ---- */

static struct run send_at(uint64_t revision, uint64_t seq, uint64_t floor, uint64_t net_floor)
{
	struct dove_translation t = allow_to(&vm2);

	t.revision = revision;
	cache_put(&vm2, &t);
	policy_put(BLUE, POLICY, seq, floor);
	network_put(BLUE, REVISION, net_floor);
	return send_udp(&vm2);
}

Test(translation, R15_stale_is_sent_once_more_and_told)
{
	struct dove_ip dst = ip_of(vm2.ip);
	struct dove_event e;
	struct run r;

	begin("stale");
	r = send_at(REVISION - 10, REVISION - 3, REVISION - 10, 1);
	expect_encapsulated(&r);
	e = expect_event(DOVE_EVENT_ORIGIN_STALE);
	check(e.sequence == REVISION - 10 && e.wanted == REVISION - 3, "%llx, wanted %llx", e.sequence,
	      e.wanted);
	check(e.vnid == BLUE && e.policy == POLICY && e.source == vm1.endpoint && ip_is(&e.dst, &dst),
	      "network %x, policy %x, source %u", e.vnid, e.policy, e.source);
	check(e.proto == 17 && e.from_port == 4000 && e.to_port == 53 && e.processed, "flow %u %u %u",
	      e.proto, e.from_port, e.to_port);
	check(!memcmp(&e.origin, &(struct dove_ip){}, 16), "an origin that is not this host");
	expect_quiet();

	/* At most one event in 100 ms, however many packets. */
	counters_clear();
	r = send_udp(&vm2);
	expect_encapsulated(&r);
	expect_quiet();
}

Test(translation, R15_origin_numbers)
{
	static const struct {
		const char *name;
		uint64_t revision, seq, floor, net_floor;
		enum dove_reason reason;
	} cases[] = {
		{ "current", REVISION, REVISION, REVISION, REVISION, DOVE_ENCAPSULATED },
		{ "from before the last change elsewhere", REVISION - 9, REVISION - 9, REVISION - 9,
		  REVISION - 9, DOVE_ENCAPSULATED },
		{ "newer than watched", REVISION + 9, REVISION, REVISION, REVISION, DOVE_ENCAPSULATED },
		{ "below the policy's floor", REVISION - 1, REVISION, REVISION, 1, DOVE_HELD_MISS },
		{ "below the network's floor", REVISION - 1, 1, 1, REVISION, DOVE_HELD_MISS },
		{ "old in the upper half", REVISION - (1ull << 32), 1, REVISION, 1, DOVE_HELD_MISS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run r;

		begin(cases[i].name);
		r = send_at(cases[i].revision, cases[i].seq, cases[i].floor, cases[i].net_floor);
		if (cases[i].reason == DOVE_HELD_MISS) {
			expect_held(&r, DOVE_HELD_MISS);
		} else {
			expect_encapsulated(&r);
			expect_quiet();
		}
	}
}

Test(translation, R15_what_the_origin_does_not_know_is_the_destinations_to_judge)
{
	struct dove_translation t = allow_to(&vm2);
	struct run r;

	begin("policy not known here");
	cache_put(&vm2, &t);
	policy_del(BLUE, POLICY);
	r = send_udp(&vm2);
	expect_encapsulated(&r);
	expect_quiet();

	begin("network not served here");
	t.revision = 1;
	cache_put(&vm2, &t);
	map_del(dove_networks, &(uint32_t){ BLUE });
	r = send_udp(&vm2);
	expect_encapsulated(&r);
	expect_quiet();
}

/* Nobody tells this host that a network has changed which it does not serve: what that refuses is asked for again. */
Test(translation, R20_a_refusal_is_asked_for_again_when_its_time_has_come)
{
	static const enum dove_verdict refused[] = { DOVE_VERDICT_DENY, DOVE_VERDICT_NO_ENDPOINT,
						     DOVE_VERDICT_NO_PLACE };

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct dove_translation t = answer_to(&vm2, refused[i]);
		struct run r;

		begin(case_text("verdict %d, not yet", refused[i]));
		map_del(dove_networks, &(uint32_t){ BLUE });
		t.refuses_until = now_ns() + 60 * SECOND;
		cache_put(&vm2, &t);
		r = send_udp(&vm2);
		check(r.action == TC_ACT_SHOT && !counted(DOVE_HELD_MISS), "returned %d", r.action);

		begin(case_text("verdict %d, of a network that is watched", refused[i]));
		t.refuses_until = now_ns() - SECOND;
		cache_put(&vm2, &t);
		r = send_udp(&vm2);
		check(r.action == TC_ACT_SHOT && !counted(DOVE_HELD_MISS), "returned %d", r.action);

		begin(case_text("verdict %d, then", refused[i]));
		map_del(dove_networks, &(uint32_t){ BLUE });
		t.refuses_until = now_ns() - SECOND;
		cache_put(&vm2, &t);
		r = send_udp(&vm2);
		expect_held(&r, DOVE_HELD_MISS);
	}
}

/* By a policy of the sender's network, say: the destination's has numbers, but not for that. */
Test(translation, R20_a_refusal_by_a_policy_that_is_not_watched_is_asked_for_again)
{
	struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_DENY);
	struct run r;

	begin("denied by another policy");
	t.policy = POLICY + 1;
	t.refuses_until = now_ns() - SECOND;
	cache_put(&vm2, &t);
	r = send_udp(&vm2);
	expect_held(&r, DOVE_HELD_MISS);
}

Test(translation, R20_what_is_allowed_does_not_end_with_what_is_refused)
{
	struct dove_translation t = allow_to(&vm2);
	struct run r;

	begin("allowed");
	t.refuses_until = now_ns() - SECOND;
	cache_put(&vm2, &t);
	r = send_udp(&vm2);
	expect_encapsulated(&r);
	expect_quiet();
}

/* Origins that look at nothing, so that destinations find out alone. */

Test(translation_unchecked, R15_old_translations_leave_unseen)
{
	struct run r;

	begin("stale");
	r = send_at(REVISION - 10, REVISION - 3, 1, 1);
	expect_encapsulated(&r);
	expect_quiet();
	counters_clear();
	begin("below the floor");
	r = send_at(REVISION - 10, REVISION, REVISION, REVISION);
	expect_encapsulated(&r);
	expect_quiet();
}

/* On one host there is no other side to find out. */
Test(translation_unchecked, R4_neighbours_are_judged_all_the_same)
{
	struct dove_translation t = allow_to(&vm3);
	struct run r;

	begin("current");
	cache_put(&vm3, &t);
	local_put(BLUE, &vm3, PORT3, REVISION, REVISION);
	r = send_udp(&vm3);
	expect_end(&r, TC_ACT_REDIRECT, DOVE_DELIVERED_LOCAL);
	expect_quiet();

	begin("below the policy's floor");
	cache_put(&vm3, &t);
	network_put(BLUE, REVISION + 1, 1);
	policy_put(BLUE, POLICY, REVISION + 1, REVISION + 1);
	r = send_udp(&vm3);
	expect_held(&r, DOVE_HELD_MISS);

	begin("below the endpoint's floor");
	cache_put(&vm3, &t);
	local_put(BLUE, &vm3, PORT3, 1, REVISION + 1);
	r = send_udp(&vm3);
	expect_held(&r, DOVE_HELD_MISS);
}

Test(translation_unchecked, R10_refusals_are_asked_again_all_the_same)
{
	struct dove_translation t = allow_to(&vm2);
	struct run r;

	begin("policy changed since");
	t.verdict = DOVE_VERDICT_DENY;
	denied_put(&vm2, &t);
	network_put(BLUE, REVISION + 1, 1);
	policy_put(BLUE, POLICY, REVISION + 1, 1);
	r = send_udp(&vm2);
	expect_held(&r, DOVE_HELD_MISS);
}
