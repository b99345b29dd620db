// SPDX-License-Identifier: Apache-2.0
/* The gateway that every VM has on its own host: what it passes on, what it answers, what it says of the rest. */
#include <string.h>

#include "answers.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT });
}

TestSuite(gateway, .init = load, .timeout = 60);

/* To a VM of another subnet, so to the gateway's MAC. */
static struct vm_frame routed(enum family family, const struct vm *to, uint8_t ttl)
{
	struct vm_frame v = udp_in(family, to);

	memcpy(v.dmac, gateway.mac, 6);
	v.ttl = ttl;
	return v;
}

/* What goes on: one hop less to live, from the gateway's MAC. */
static struct frame passed_on(const struct vm_frame *v, const uint8_t *dmac)
{
	struct vm_frame next = *v;

	next.ttl--;
	memcpy(next.dmac, dmac, 6);
	memcpy(next.smac, gateway.mac, 6);
	return frame_vm(&next);
}

static void begin_with(enum family family, const char *name, const struct vm *to,
		       const struct dove_translation *t)
{
	begin(case_text("IPv%u: %s", family ? 6 : 4, name));
	answer_put(to, t);
}

/* ---- passed on ---- */

Test(gateway, R3_passes_on_to_another_host)
{
	static const uint8_t ttls[] = { 255, 64, 3, 2 };

	for (size_t i = 0; i < ARRAY_SIZE(ttls) * 4; i++) {
		enum family inner = i & 1, outer = i >> 1 & 1;
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = routed(inner, &vm2, ttls[i / 4]);
		struct frame next, want;
		struct run r;

		t.host = ip_in(outer, HOST2);
		begin_with(inner, case_text("TTL %u, in IPv%u", v.ttl, outer ? 6 : 4), &vm2, &t);
		r = run_vm(&v);
		expect_sent(&r, DOVE_ENCAPSULATED);
		next = passed_on(&v, vm2.mac);
		want = on_the_wire(outer, &next, &r.out);
		expect_bytes(&r.out, &want);
	}
}

Test(gateway, R4_passes_on_to_a_neighbour)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = allow_to(&vm3);
		struct vm_frame v = routed(f, &vm3, 64);
		struct frame want = passed_on(&v, vm3.mac);
		struct run r;

		begin_with(f, "neighbour", &vm3, &t);
		r = run_vm(&v);
		expect_sent(&r, DOVE_DELIVERED_LOCAL);
		expect_bytes(&r.out, &want);
	}
}

/* Through all carries that the IPv4 header's checksum can have. */
Test(gateway, R3_the_checksum_follows_the_ttl)
{
	struct dove_translation t = allow_to(&vm3);

	begin("every IP id");
	cache_put(&vm3, &t);
	for (uint32_t id = 0; id < 65536; id += 1 + (id & 7)) {
		struct vm_frame v = routed(V4, &vm3, 64);
		struct frame want;
		struct run r;

		v.id = id;
		v.payload = 1;
		want = passed_on(&v, vm3.mac);
		r = run_vm(&v);
		expect_bytes(&r.out, &want);
	}
}

/* Inside a subnet nobody is between two VMs, whatever is left to live. */
Test(gateway, R3_inside_a_subnet_nobody_counts_hops)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = allow_to(&vm3);
		struct vm_frame v = udp_in(f, &vm3);
		struct run r;

		v.ttl = 1;
		begin_with(f, "TTL 1, not to the gateway", &vm3, &t);
		r = run_vm(&v);
		expect_sent(&r, DOVE_DELIVERED_LOCAL);
		expect_bytes(&r.out, &r.in);
	}
}

/* ---- the end of its life ---- */

Test(gateway, R3_what_has_no_hop_left_comes_back_as_time_exceeded)
{
	static const enum dove_verdict verdicts[] = { DOVE_VERDICT_ALLOW, DOVE_VERDICT_DENY,
						      DOVE_VERDICT_NO_ENDPOINT };

	for (size_t i = 0; i < ARRAY_SIZE(verdicts) * 4; i++) {
		enum family f = i & 1;
		struct dove_translation t = answer_to(&vm2, verdicts[i / 4]);
		struct dove_ip speaker = ip_in(f, gateway.ip);
		struct vm_frame v = routed(f, &vm2, i >> 1 & 1);
		struct run r;

		begin_with(f, case_text("TTL %u, verdict %u", v.ttl, verdicts[i / 4]), &vm2, &t);
		r = run_vm(&v);
		expect_told(&r, DOVE_EXPIRED_ANSWERED, TOLD_EXPIRED, 0, &speaker);
	}
}

Test(gateway, R11_what_has_no_hop_left_is_asked_for_first)
{
	struct vm_frame v = routed(V4, &vm2, 1);
	struct run r;

	begin("miss");
	r = run_vm(&v);
	expect_held(&r, DOVE_HELD_MISS);
}

/* ---- the gateway itself ---- */

static struct dove_translation the_gateway(void)
{
	return answer_to(&gateway, DOVE_VERDICT_GATEWAY);
}

static struct vm_frame pinged(const struct vm_frame *v)
{
	struct vm_frame reply = *v;

	reply.src = v->dst;
	reply.dst = v->src;
	reply.ttl = 64;
	reply.icmp = family_of(&v->src) == V6 ? 0x8100 : 0x0000;
	memcpy(reply.dmac, vm1.mac, 6);
	memcpy(reply.smac, gateway.mac, 6);
	return reply;
}

static void expect_pinged(const struct run *r, const struct vm_frame *v)
{
	struct vm_frame reply = pinged(v);
	struct frame want = frame_vm(&reply);

	expect_sent(r, DOVE_GATEWAY_ANSWERED);
	expect_bytes(&r->out, &want);
}

Test(gateway, R3_answers_pings)
{
	static const uint32_t payloads[] = { 0, 1, 56, 1400, 3000 };
	static const uint8_t ttls[] = { 1, 64, 255 };

	for (size_t i = 0; i < ARRAY_SIZE(payloads) * ARRAY_SIZE(ttls) * FAMILIES; i++) {
		enum family f = i % FAMILIES;
		struct dove_translation t = the_gateway();
		struct vm_frame v = echo_in(f, &gateway);
		struct run r;

		v.payload = payloads[i / FAMILIES % ARRAY_SIZE(payloads)];
		v.ttl = ttls[i / FAMILIES / ARRAY_SIZE(payloads)];
		begin_with(f, case_text("%u bytes, TTL %u", v.payload, v.ttl), &gateway, &t);
		r = run_vm(&v);
		expect_pinged(&r, &v);
	}
}

Test(gateway, R3_checksums_of_echoes_are_right_for_every_number)
{
	struct dove_translation t = the_gateway();

	begin("every identifier");
	answer_put(&gateway, &t);
	for (uint32_t i = 0; i < 65536; i += 1 + (i & 7)) {
		struct vm_frame v = echo_in(i & 1, &gateway), reply;
		struct frame want;
		struct run r;

		v.icmp_rest = i << 16 | 7;
		v.id = i;
		v.payload = 2;
		budget_put(PORT, DOVE_BUDGET_ANSWERS, 1);
		reply = pinged(&v);
		want = frame_vm(&reply);
		r = run_vm(&v);
		expect_bytes(&r.out, &want);
	}
}

/* A gateway of another subnet is as near. */
Test(gateway, R3_answers_pings_by_whatever_mac_they_come)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = the_gateway();
		struct vm_frame v = echo_in(f, &gateway);
		struct run r;

		begin_with(f, "to a VM's MAC", &gateway, &t);
		memcpy(v.dmac, vm3.mac, 6);
		r = run_vm(&v);
		expect_pinged(&r, &v);
	}
}

Test(gateway, R3_has_no_ports)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_ip speaker = ip_in(f, gateway.ip);
		struct dove_translation t = the_gateway();
		struct vm_frame v = udp_in(f, &gateway);
		struct run r;

		begin_with(f, "UDP", &gateway, &t);
		r = run_vm(&v);
		expect_told(&r, DOVE_GATEWAY_ANSWERED, TOLD_PORT, 0, &speaker);

		begin_with(f, "TTL 1", &gateway, &t);
		v.ttl = 1;
		r = run_vm(&v);
		expect_told(&r, DOVE_GATEWAY_ANSWERED, TOLD_PORT, 0, &speaker);
	}
}

/* RFC 9293, 3.10.7.1: in the gateway's name. */
Test(gateway, R3_resets_connections_to_it)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = the_gateway();
		struct vm_frame v = udp_in(f, &gateway);
		struct frame want;
		struct run r;

		begin_with(f, "SYN", &gateway, &t);
		v.proto = 6;
		v.tcp_flags = TCP_SYN;
		v.tcp_seq = 0xfffffff0;
		v.payload = 20;
		want = tcp_reset(&v, 21);
		r = run_vm(&v);
		expect_sent(&r, DOVE_GATEWAY_ANSWERED);
		expect_bytes(&r.out, &want);
	}
}

Test(gateway, R3_has_no_answer_to_the_rest)
{
	static const struct {
		const char *name;
		uint8_t proto; /* 0: ICMP of the family */
		uint16_t icmp4, icmp6, frag_off;
		uint8_t tcp_flags;
	} cases[] = {
		{ "echo reply", 0, 0x0000, 0x8100, 0, 0 },
		{ "port unreachable", 0, 0x0303, 0x0104, 0, 0 },
		{ "timestamp, router solicitation", 0, 0x0d00, 0x8500, 0, 0 },
		{ "first fragment of a ping", 0, 0x0800, 0x8000, MORE_FRAGMENTS, 0 },
		{ "later fragment of a ping", 0, 0x0800, 0x8000, 5, 0 },
		{ "later fragment of UDP", 17, 0, 0, 5, 0 },
		{ "reset", 6, 0, 0, 0, TCP_RST },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases) * FAMILIES; i++) {
		enum family f = i % FAMILIES;
		struct dove_translation t = the_gateway();
		struct vm_frame v = echo_in(f, &gateway);
		struct run r;

		begin_with(f, cases[i / FAMILIES].name, &gateway, &t);
		v.proto = cases[i / FAMILIES].proto ? cases[i / FAMILIES].proto : v.proto;
		v.icmp = f == V6 ? cases[i / FAMILIES].icmp6 : cases[i / FAMILIES].icmp4;
		v.frag_off = cases[i / FAMILIES].frag_off;
		v.tcp_flags = cases[i / FAMILIES].tcp_flags;
		r = run_vm(&v);
		expect_dropped(&r, DOVE_GATEWAY);
	}
}

Test(gateway, R11_is_asked_for_again_when_the_network_has_moved_on)
{
	struct dove_translation t = the_gateway();
	struct vm_frame v = echo_in(V4, &gateway);
	struct run r;

	begin("moved on");
	answer_put(&gateway, &t);
	network_put(BLUE, REVISION + 1, 1);
	r = run_vm(&v);
	expect_held(&r, DOVE_HELD_MISS);
}

/* ---- nobody there ---- */

Test(gateway, R3_nobody_there)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_NO_ENDPOINT);
		struct dove_ip speaker = ip_in(f, gateway.ip);
		struct vm_frame v = routed(f, &vm2, 64);
		struct run r;

		begin_with(f, "routed", &vm2, &t);
		r = run_vm(&v);
		expect_told(&r, DOVE_UNREACHABLE_ANSWERED, TOLD_HOST, 0, &speaker);

		begin_with(f, "inside the subnet", &vm2, &t);
		v = udp_in(f, &vm2);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_NO_ENDPOINT);
	}
}

/* Somebody is there, whether it is attached or not: only the services of the network know more. */
Test(gateway, R3_other_refusals_are_silent)
{
	static const struct {
		enum dove_verdict verdict;
		enum dove_reason reason;
	} cases[] = {
		{ DOVE_VERDICT_DENY, DOVE_DENIED },
		{ DOVE_VERDICT_NO_PLACE, DOVE_NO_PLACE },
		{ DOVE_VERDICT_NO_SERVICE, DOVE_NO_SERVICE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dove_translation t = answer_to(&vm2, cases[i].verdict);
		struct vm_frame v = routed(V4, &vm2, 64);
		struct run r;

		begin_with(V4, reason_name(cases[i].reason), &vm2, &t);
		r = run_vm(&v);
		expect_dropped(&r, cases[i].reason);
	}
}

/* ---- what is never answered ---- */

static const struct {
	const char *name;
	uint8_t proto;
	uint16_t icmp, frag_off;
	enum family family;
	bool told;
} no_answers[] = {
	{ "UDP", 17, 0, 0, V4, true },
	{ "echo request", 1, 0x0800, 0, V4, true },
	{ "echo reply", 1, 0x0000, 0, V4, true },
	{ "timestamp", 1, 0x0d00, 0, V4, true },
	{ "unreachable", 1, 0x0301, 0, V4, false },
	{ "source quench", 1, 0x0400, 0, V4, false },
	{ "redirect", 1, 0x0501, 0, V4, false },
	{ "time exceeded", 1, 0x0b00, 0, V4, false },
	{ "parameter problem", 1, 0x0c00, 0, V4, false },
	{ "first fragment", 17, 0, MORE_FRAGMENTS, V4, true },
	{ "later fragment", 17, 0, 1, V4, false },
	{ "last fragment", 17, 0, 0x1fff, V4, false },
	{ "UDP", 17, 0, 0, V6, true },
	{ "echo request", 58, 0x8000, 0, V6, true },
	{ "echo reply", 58, 0x8100, 0, V6, true },
	{ "unreachable", 58, 0x0100, 0, V6, false },
	{ "too big", 58, 0x0200, 0, V6, false },
	{ "time exceeded", 58, 0x0300, 0, V6, false },
	{ "an error that nobody knows yet", 58, 0x7f00, 0, V6, false },
	{ "first fragment", 17, 0, MORE_FRAGMENTS, V6, true },
	{ "later fragment", 17, 0, 1, V6, false },
};

/* RFC 1812, 4.3.2.7 and RFC 4443, 2.4 (e): or one error would bring forth the next. */
Test(gateway, R3_no_error_about_errors_or_later_fragments)
{
	for (size_t i = 0; i < ARRAY_SIZE(no_answers); i++) {
		enum family f = no_answers[i].family;
		struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_NO_ENDPOINT);
		struct dove_ip speaker = ip_in(f, gateway.ip);
		struct vm_frame v = routed(f, &vm2, 64);
		struct run r;

		begin_with(f, no_answers[i].name, &vm2, &t);
		v.proto = no_answers[i].proto;
		v.icmp = no_answers[i].icmp;
		v.frag_off = no_answers[i].frag_off;
		r = run_vm(&v);
		if (no_answers[i].told)
			expect_told(&r, DOVE_UNREACHABLE_ANSWERED, TOLD_HOST, 0, &speaker);
		else
			expect_dropped(&r, DOVE_NO_ENDPOINT);
	}
}

/* Each answer costs its port; where nothing is left, there are no answers, and the packets are dropped all the same. */
Test(gateway, R3_answers_are_limited)
{
	const struct {
		const char *name;
		struct vm_frame v;
		struct dove_translation t;
		const struct vm *to;
		enum dove_reason answered, silent;
	} cases[] = {
		{ "time exceeded", routed(V4, &vm2, 1), allow_to(&vm2), &vm2, DOVE_EXPIRED_ANSWERED,
		  DOVE_EXPIRED },
		{ "unreachable", routed(V6, &vm2, 9), answer_to(&vm2, DOVE_VERDICT_NO_ENDPOINT), &vm2,
		  DOVE_UNREACHABLE_ANSWERED, DOVE_NO_ENDPOINT },
		{ "ping", echo_in(V4, &gateway), the_gateway(), &gateway, DOVE_GATEWAY_ANSWERED,
		  DOVE_GATEWAY },
		{ "ping", echo_in(V6, &gateway), the_gateway(), &gateway, DOVE_GATEWAY_ANSWERED,
		  DOVE_GATEWAY },
		{ "port", udp_in(V4, &gateway), the_gateway(), &gateway, DOVE_GATEWAY_ANSWERED,
		  DOVE_GATEWAY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run r;

		begin(cases[i].name);
		answer_put(cases[i].to, &cases[i].t);
		budget_put(PORT, DOVE_BUDGET_ANSWERS, 3);
		for (int n = 0; n < 3; n++) {
			counters_clear();
			r = run_vm(&cases[i].v);
			expect_sent(&r, cases[i].answered);
		}
		counters_clear();
		r = run_vm(&cases[i].v);
		expect_dropped(&r, cases[i].silent);
	}
}

/* ---- in whose name ---- */

static void gateway_is(enum family f, const struct dove_ip *addr)
{
	struct dove_addr_key key = { .addr = ip_in(f, vm1.ip), .vnid = BLUE, .ifindex = PORT };
	struct dove_addr known;

	check(map_get(dove_addrs, &key, &known), "no address");
	known.gateway = *addr;
	map_put(dove_addrs, &key, &known);
}

/* A subnet without a gateway, or with one of the other family only: the destination speaks. */
Test(gateway, R3_speaks_by_the_address_of_the_senders_subnet)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_NO_ENDPOINT);
		struct dove_ip none = {}, other = ip_in(f, 0x0a0100fe), strange = ip_in(!f, gateway.ip),
			       dst = ip_in(f, vm2.ip);
		struct vm_frame v = routed(f, &vm2, 64);
		struct run r;

		begin_with(f, "another gateway", &vm2, &t);
		gateway_is(f, &other);
		r = run_vm(&v);
		expect_told(&r, DOVE_UNREACHABLE_ANSWERED, TOLD_HOST, 0, &other);

		begin_with(f, "none", &vm2, &t);
		gateway_is(f, &none);
		r = run_vm(&v);
		expect_told(&r, DOVE_UNREACHABLE_ANSWERED, TOLD_HOST, 0, &dst);

		begin_with(f, "of the other family", &vm2, &t);
		gateway_is(f, &strange);
		r = run_vm(&v);
		expect_told(&r, DOVE_UNREACHABLE_ANSWERED, TOLD_HOST, 0, &dst);
	}
}
