// SPDX-License-Identifier: Apache-2.0
/*
 * External networks: which of them has an address, the way out to it, and
 * what comes in from there by the host's own kernel.
 *
 *   VM 1 -- its gateway -- [way out: a port of kind "external"] -- 10.200.0.0/16, 2001:db8::ac8:0/112
 */
#include <string.h>

#include "flows.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT });
}

TestSuite(external, .init = load);

enum { OUTSIDE = 8001, NARROW = 8002, WIDE = 8003 };
#define WAY_OUT 4711u /* the interface */

static const struct vm server = { 0x0ac80005, 0, { 0x02, 0, 0, 0, 9, 9 } };
static const struct vm other = { 0x0ac90005, 0, {} };
static const struct vm router = { 0xc0000207, 0, {} }; /* 192.0.2.7: of no prefix */

/* The prefix with so many of the 32 bits that count. */
static void prefix_of(enum family f, const struct vm *vm, uint32_t bits, uint32_t external)
{
	struct dove_ip addr = ip_in(f, vm->ip);

	prefix_put(BLUE, &addr, f == V6 ? 96 + bits : bits, external);
}

static void way_out_put(uint64_t floor)
{
	struct dove_place_key key = { .addr = external_addr(OUTSIDE), .vnid = BLUE };
	struct dove_local out = {
		.sequence = 1, .floor = floor, .ifindex = WAY_OUT, .endpoint = OUTSIDE, .mtu = PORT_MTU
	};

	memcpy(out.mac, server.mac, 6);
	map_put(dove_local, &key, &out);
}

static void cache_put_external(uint32_t external, const struct dove_translation *t)
{
	struct dove_cache_key key = { .dst = external_addr(external), .source = vm1.endpoint };

	map_put(dove_cache, &key, t);
}

static struct vm_frame to_server(enum family f)
{
	struct vm_frame v = udp_in(f, &server);

	memcpy(v.dmac, gateway.mac, 6);
	return v;
}

static struct dove_translation here(void)
{
	struct dove_translation t = allow_to(&vm3);

	t.endpoint = OUTSIDE;
	return t;
}

/* ---- out ---- */

Test(external, R8_by_the_way_out_of_this_host)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = here();
		struct vm_frame v = to_server(f), next = v;
		struct dove_flow_key key = flow_of(&v, OUTSIDE);
		struct frame want;
		struct run r;

		begin(case_text("IPv%u", f ? 6 : 4));
		prefix_of(f, &server, 16, OUTSIDE);
		way_out_put(1);
		t.flags = DOVE_RULE_TRACK;
		cache_put_external(OUTSIDE, &t);
		will_count(DOVE_COUNT_FLOWS, 1);
		r = run_vm(&v);
		expect_sent(&r, DOVE_DELIVERED_LOCAL);
		next.ttl--;
		memcpy(next.dmac, server.mac, 6);
		memcpy(next.smac, gateway.mac, 6);
		want = frame_vm(&next);
		expect_bytes(&r.out, &want);
		expect_flow(&key, vm1.endpoint); /* of the real address: that is what replies come from */
	}
}

Test(external, R8_by_that_of_another_host)
{
	for (unsigned mix = 0; mix < 4; mix++) {
		enum family inner = mix & 1, outer = mix >> 1;
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = to_server(inner), next = v;
		struct frame passed, want;
		struct run r;

		begin(case_text("IPv%u in IPv%u", inner ? 6 : 4, outer ? 6 : 4));
		prefix_of(inner, &server, 16, OUTSIDE);
		t.host = ip_in(outer, HOST2);
		cache_put_external(OUTSIDE, &t);
		r = run_vm(&v);
		expect_sent(&r, DOVE_ENCAPSULATED);
		next.ttl--;
		memcpy(next.dmac, vm2.mac, 6);
		memcpy(next.smac, gateway.mac, 6);
		passed = frame_vm(&next);
		want = on_the_wire(outer, &passed, &r.out);
		expect_bytes(&r.out, &want);
	}
}

/* Longest prefix first, whatever order they came in; an inside one in an outside one stays inside. */
Test(external, R8_the_longest_prefix_says_which)
{
	static const struct {
		const char *name;
		struct {
			uint32_t bits, external;
		} prefixes[3];
		uint32_t external;
	} cases[] = {
		{ "one", { { 16, OUTSIDE } }, OUTSIDE },
		{ "all there is", { { 0, WIDE } }, WIDE },
		{ "wide, then narrow", { { 8, WIDE }, { 24, NARROW } }, NARROW },
		{ "narrow, then wide", { { 24, NARROW }, { 8, WIDE } }, NARROW },
		{ "of three", { { 16, OUTSIDE }, { 32, NARROW }, { 0, WIDE } }, NARROW },
		{ "inside", { { 8, WIDE }, { 24, 0 } }, 0 },
		{ "none", {}, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases) * FAMILIES; i++) {
		enum family f = i % FAMILIES;
		struct vm_frame v = to_server(f);
		struct dove_ip want =
			cases[i / FAMILIES].external ? external_addr(cases[i / FAMILIES].external) : v.dst;
		const struct dove_held *held;
		struct run r;

		begin(case_text("IPv%u: %s", f ? 6 : 4, cases[i / FAMILIES].name));
		for (int n = 0; n < 3; n++)
			if (cases[i / FAMILIES].prefixes[n].bits || cases[i / FAMILIES].prefixes[n].external)
				prefix_of(f, &server, cases[i / FAMILIES].prefixes[n].bits,
					  cases[i / FAMILIES].prefixes[n].external);
		r = run_vm(&v);
		held = expect_held(&r, DOVE_HELD_MISS);
		check(ip_is(&held->key.dst, &want), "asked for another");
	}
}

Test(external, R2_another_networks_prefixes_say_nothing)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame v = to_server(f);
		struct run r;

		begin(case_text("IPv%u", f ? 6 : 4));
		prefix_put(GREEN, &v.dst, f == V6 ? 96 : 0, OUTSIDE);
		r = run_vm(&v);
		check(ip_is(&expect_held(&r, DOVE_HELD_MISS)->key.dst, &v.dst), "green's");
	}
}

/* A neighbour is spoken to directly, whatever lies outside: only the gateway knows a way there. */
Test(external, R8_only_by_the_gateway)
{
	struct vm_frame v = udp_to(&server);
	struct run r;

	begin("to another MAC");
	prefix_of(V4, &server, 0, OUTSIDE);
	r = run_vm(&v);
	check(ip_is(&expect_held(&r, DOVE_HELD_MISS)->key.dst, &v.dst), "an external network's");
}

/* ---- in ---- */

static void begin_way_out(enum family f, const char *name)
{
	struct dove_port port = { .vnid = BLUE, .endpoint = OUTSIDE, .kind = DOVE_PORT_EXTERNAL };
	struct dove_translation t = allow_to(&vm3);
	struct dove_cache_key key = { .dst = ip_in(f, vm3.ip), .source = OUTSIDE };

	begin(case_text("IPv%u: %s", f ? 6 : 4, name));
	addr_del(PORT, &vm1);
	memcpy(port.mac, gateway.mac, 6);
	map_put(dove_ports, &(uint32_t){ PORT }, &port);
	map_put(dove_cache, &key, &t);
	prefix_of(f, &server, 16, OUTSIDE);
	way_out_put(1);
}

/* The host's kernel has routed it: it comes from the gateway's MAC. */
static struct vm_frame from_server(enum family f)
{
	struct vm_frame v = udp_between(f, &server, &vm3);

	memcpy(v.smac, gateway.mac, 6);
	return v;
}

Test(external, R8_what_comes_in_is_the_external_networks)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame v = from_server(f);
		struct run r;

		begin_way_out(f, "to VM 3");
		r = run_vm(&v);
		expect_sent(&r, DOVE_DELIVERED_LOCAL);
		expect_bytes(&r.out, &r.in);

		begin_way_out(f, "nothing known");
		map_del(dove_cache, &((struct dove_cache_key){ .dst = v.dst, .source = OUTSIDE }));
		r = run_vm(&v);
		check(expect_held(&r, DOVE_HELD_MISS)->key.source == OUTSIDE, "not the external network's");
	}
}

Test(external, R6_only_with_that_networks_addresses)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		static const struct vm inside = { 0x0ac80105, 0, {} };
		struct vm_frame v = from_server(f);
		struct run r;

		begin_way_out(f, "an address that is nobody's");
		v.src = ip_in(f, other.ip);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_IP);

		begin_way_out(f, "a VM's");
		v.src = ip_in(f, vm1.ip);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_IP);

		begin_way_out(f, "another external network's");
		prefix_of(f, &other, 16, NARROW);
		v.src = ip_in(f, other.ip);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_IP);

		begin_way_out(f, "of a subnet that is inside");
		prefix_of(f, &inside, 24, 0);
		v.src = ip_in(f, inside.ip);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_IP);

		begin_way_out(f, "a router's on the way, and no ICMP error");
		v.src = ip_in(f, router.ip);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_IP);

		begin_way_out(f, "another MAC");
		v = from_server(f);
		memcpy(v.smac, server.mac, 6);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_MAC);
	}
}

Test(external, R6_to_no_more_than_one)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame v = from_server(f);
		struct run r;

		begin_way_out(f, "multicast");
		v.dst = f == V6 ? ip6_text("ff02::fb") : ip_of(0xe00000fb);
		multicast_mac(v.dmac, &v.dst);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_MULTICAST);

		begin_way_out(f, "from no address, multicast");
		v.src = f == V6 ? ip6_text("::") : ip_of(0);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_MULTICAST);
	}
}

/* ---- what routers say ---- */

/* An ICMP error about what VM 3 has sent to `to`, of which so many bytes are quoted; they stay in *sent. */
static struct vm_frame error_about(enum family f, const struct vm *to, uint32_t bytes, struct frame *sent)
{
	struct vm_frame v = udp_between(f, &router, &vm3), about = udp_between(f, &vm3, to);

	*sent = frame_vm(&about);
	memcpy(v.smac, gateway.mac, 6);
	v.proto = icmp_proto(f);
	v.icmp = f == V6 ? 0x0300 : 0x0b00;
	v.data = sent->b + ETH_HLEN;
	v.payload = bytes;
	return v;
}

Test(external, R6_errors_are_about_what_was_sent_there)
{
	static const struct {
		const char *name;
		const struct vm *to;
		uint32_t bytes;
		enum dove_reason reason;
	} cases[] = {
		{ "to the server", &server, 48, DOVE_DELIVERED_LOCAL },
		{ "to another external network", &other, 48, DOVE_SPOOFED_IP },
		{ "to nobody", &router, 48, DOVE_SPOOFED_IP },
		{ "to a VM", &vm2, 48, DOVE_SPOOFED_IP },
		{ "too little is quoted", &server, 16, DOVE_TRUNCATED },
		{ "nothing is quoted", &server, 0, DOVE_TRUNCATED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases) * FAMILIES; i++) {
		enum family f = i % FAMILIES;
		struct frame sent;
		struct vm_frame v = error_about(f, cases[i / FAMILIES].to, cases[i / FAMILIES].bytes, &sent);
		struct run r;

		begin_way_out(f, cases[i / FAMILIES].name);
		prefix_of(f, &other, 16, NARROW);
		r = run_vm(&v);
		if (cases[i / FAMILIES].reason == DOVE_DELIVERED_LOCAL)
			expect_sent(&r, DOVE_DELIVERED_LOCAL);
		else
			expect_dropped(&r, cases[i / FAMILIES].reason);
	}
}

Test(external, R6_only_errors_have_any_sender)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct frame sent;
		struct vm_frame v = error_about(f, &server, 48, &sent);
		struct run r;

		begin_way_out(f, "an echo's reply");
		v.icmp = f == V6 ? 0x8100 : 0;
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_IP);

		begin_way_out(f, "a later fragment");
		v = error_about(f, &server, 48, &sent);
		v.frag_off = 5;
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_IP);
	}
}

/* ---- replies from outside ---- */

static void denied_from_outside(enum family f)
{
	struct dove_translation t = answer_to(&vm3, DOVE_VERDICT_DENY);
	struct dove_cache_key key = { .dst = ip_in(f, vm3.ip), .source = OUTSIDE };

	map_del(dove_cache, &key);
	t.flags = DOVE_RULE_REPLIES;
	map_put(dove_denied, &key, &t);
}

Test(external, R8_replies_come_in)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame v = from_server(f), first = udp_between(f, &vm3, &server);
		struct dove_flow_key key;
		struct run r;

		first.from_port = v.to_port;
		first.to_port = v.from_port;
		key = flow_of(&first, OUTSIDE);
		begin_way_out(f, "nothing was sent there");
		denied_from_outside(f);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_DENIED);

		begin_way_out(f, "a reply");
		denied_from_outside(f);
		flow_put(&key, 0);
		r = run_vm(&v);
		expect_sent(&r, DOVE_DELIVERED_LOCAL);

		begin_way_out(f, "the external network's floor rose");
		denied_from_outside(f);
		flow_put(&key, 0);
		way_out_put(REVISION + 1);
		r = run_vm(&v);
		expect_held(&r, DOVE_HELD_FLOW);
	}
}

/* The server's reply to a ping of VM 3's: their identifiers are the same. */
static struct vm_frame pong(enum family f, uint16_t frag_off)
{
	struct vm_frame v = from_server(f);

	v.proto = icmp_proto(f);
	v.icmp = f == V6 ? 0x8100 : 0;
	v.id = 77;
	v.frag_off = frag_off;
	return v;
}

static void begin_pinged(enum family f, const char *name)
{
	struct vm_frame ping = udp_between(f, &vm3, &server);
	struct dove_flow_key key;

	ping.proto = icmp_proto(f);
	key = flow_of(&ping, OUTSIDE);
	begin_way_out(f, name);
	denied_from_outside(f);
	flow_put(&key, 0);
}

Test(external, R8_fragments_of_an_echos_reply_follow_their_first)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame first = pong(f, MORE_FRAGMENTS), later = pong(f, 5);
		struct run r;

		begin_pinged(f, "in order");
		r = run_vm(&first);
		expect_sent(&r, DOVE_DELIVERED_LOCAL);
		counters_clear();
		r = run_vm(&later);
		expect_sent(&r, DOVE_DELIVERED_LOCAL);

		begin_pinged(f, "without its first");
		r = run_vm(&later);
		expect_dropped(&r, DOVE_DENIED);

		begin_pinged(f, "of another ping");
		first.icmp_rest += 1 << 16;
		r = run_vm(&first);
		expect_dropped(&r, DOVE_DENIED);
		counters_clear();
		rings_clear();
		r = run_vm(&later);
		expect_dropped_again(&r, DOVE_DENIED);
	}
}
