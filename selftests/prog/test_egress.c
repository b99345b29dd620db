// SPDX-License-Identifier: Apache-2.0
/* dove_port: what becomes of a VM's frame at its own interface. */
#include <string.h>

#include "prog.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT });
}

TestSuite(egress, .init = load);

/* VM 1's frame as it must be on the wire; the source port is the program's to choose, from a range. */
static struct frame on_the_wire(const struct run *r, const struct dove_translation *t)
{
	struct outer_frame o = { .src = HOST1,
				 .dst = HOST2,
				 .source_port = frame_get(&r->out, OUTER_AT(udp.source), 2),
				 .vnid = t->vnid,
				 .policy = t->policy,
				 .sequence = (uint32_t)t->revision,
				 .source = vm1.endpoint,
				 .source_vnid = BLUE };
	struct frame inner = r->in;

	check(o.source_port >= 0xc000, "source port %u is not dynamic", o.source_port);
	memcpy(o.dmac, hop_mac, 6);
	memcpy(o.smac, nic_mac, 6);
	memcpy(inner.b, t->mac, 6);
	return frame_encapsulated(&o, &inner);
}

Test(egress, R13_hit_is_encapsulated_byte_by_byte)
{
	const struct {
		const char *name;
		uint8_t proto, option_words;
		uint32_t payload;
	} cases[] = { { "UDP", 17, 0, 40 },	  { "TCP", 6, 0, 1390 },
		      { "ICMP", 1, 0, 56 },	  { "GRE, no ports", 47, 0, 4 },
		      { "UDP, empty", 17, 0, 0 }, { "UDP, IP options", 17, 10, 9 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vm_frame v = udp_to(&vm2);
		struct dove_translation t = allow_to(&vm2);
		struct frame f, want;
		struct run r;

		begin(cases[i].name);
		v.proto = cases[i].proto;
		v.payload = cases[i].payload;
		v.option_words = cases[i].option_words;
		memset(v.dmac, 0x0e, 6); /* what the VM believes its neighbour's MAC to be is of no weight */
		cache_put(&vm2, &t);
		f = frame_vm(&v);
		r = run_port(&f);
		expect_end(&r, TC_ACT_REDIRECT, DOVE_ENCAPSULATED);
		expect_counter(DOVE_COUNT_HITS, 1);
		expect_counter(DOVE_COUNT_MISSES, 0);
		want = on_the_wire(&r, &t);
		expect_bytes(&r.out, &want);
		expect_quiet();
	}
}

static struct frame udp_frame(const struct vm *to, uint16_t from_port)
{
	struct vm_frame v = udp_to(to);

	v.from_port = from_port;
	return frame_vm(&v);
}

Test(egress, R13_source_port_is_constant_per_flow_and_spreads_flows)
{
	struct dove_translation t = allow_to(&vm2);
	bool seen[65536] = {};
	unsigned different = 0;

	begin("64 flows");
	cache_put(&vm2, &t);
	for (unsigned flow = 0; flow < 64; flow++) {
		struct frame f = udp_frame(&vm2, 1000 + flow);
		struct run once = run_port(&f), again = run_port(&f);
		uint32_t port = frame_get(&once.out, OUTER_AT(udp.source), 2);

		check(port == frame_get(&again.out, OUTER_AT(udp.source), 2), "one flow, two source ports");
		different += !seen[port];
		seen[port] = true;
	}
	check(different > 32, "64 flows have only %u source ports", different);
}

Test(egress, R4_local_hit_is_redirected_with_the_mac_of_today)
{
	struct dove_translation t = allow_to(&vm3);
	struct frame f = udp_frame(&vm3, 4000), want = f;
	struct run r;

	begin("to a neighbour");
	memset(t.mac, 0x0e, 6);
	cache_put(&vm3, &t);
	r = run_port(&f);
	expect_end(&r, TC_ACT_REDIRECT, DOVE_DELIVERED_LOCAL);
	memcpy(want.b, vm3.mac, 6);
	expect_bytes(&r.out, &want);
	expect_counter(DOVE_COUNT_HITS, 1);
	expect_quiet();
}

/* The neighbour's own numbers hold for what never leaves the host, too. */
Test(egress, R4_local_destination_is_held_to_its_numbers)
{
	struct dove_translation t = allow_to(&vm3);
	struct frame f = udp_frame(&vm3, 4000);
	struct dove_event event;
	struct run r;

	begin("below the endpoint's floor");
	cache_put(&vm3, &t);
	local_put(BLUE, &vm3, PORT3, REVISION, REVISION + 1);
	r = run_port(&f);
	expect_held(&r, DOVE_HELD_MISS);

	begin("gone from this host");
	cache_put(&vm3, &t);
	map_del(dove_local, &((struct dove_place_key){ .addr = ip_of(vm3.ip), .vnid = BLUE }));
	r = run_port(&f);
	expect_held(&r, DOVE_HELD_MISS);

	begin("the endpoint's sequence is newer");
	cache_put(&vm3, &t);
	local_put(BLUE, &vm3, PORT3, REVISION + 5, 1);
	r = run_port(&f);
	expect_end(&r, TC_ACT_REDIRECT, DOVE_DELIVERED_LOCAL);
	event = expect_event(DOVE_EVENT_ORIGIN_STALE);
	check(event.sequence == REVISION && event.wanted == REVISION + 5, "sequence %llx, wanted %llx",
	      event.sequence, event.wanted);
	expect_quiet();
}

Test(egress, R11_miss_goes_whole_to_the_agent)
{
	/* Around the borders of the records' size classes. */
	static const uint32_t lengths[] = { 42, 60, 191, 192, 193, 1599, 1600, 1601, 3500 };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct vm_frame v = udp_to(&vm2);
		const struct dove_held *held;
		struct dove_cache_key key;
		struct frame f;
		struct run r;

		begin(case_text("%u bytes", lengths[i]));
		v.payload = lengths[i] - 42;
		f = frame_vm(&v);
		r = run_port(&f);
		held = expect_held(&r, DOVE_HELD_MISS);
		key = (struct dove_cache_key){ .dst = ip_of(vm2.ip),
					       .source = vm1.endpoint,
					       .from_port = 4000,
					       .to_port = 53,
					       .proto = 17,
					       .exact = 1 };
		check(!memcmp(&held->key, &key, sizeof(key)), "the record's key is not the packet's");
		check(held->ifindex == PORT && held->vnid == BLUE && !held->gso_size, "port %u, network %x",
		      held->ifindex, held->vnid);
		expect_counter(DOVE_COUNT_MISSES, 1);
		expect_counter(DOVE_COUNT_HITS, 0);
	}
}

Test(egress, R11_miss_of_a_super_packet_says_its_segment_size)
{
	struct __sk_buff ctx = { .ingress_ifindex = PORT, .gso_size = 500, .gso_segs = 4 };
	struct vm_frame v = udp_to(&vm2);
	struct frame f;
	struct run r;

	begin("gso");
	v.proto = 6;
	v.payload = 2000;
	f = frame_vm(&v);
	r = run_skb(dove->progs.dove_port, &f, &ctx);
	check(expect_held(&r, DOVE_HELD_MISS)->gso_size == 500, "not the skb's gso_size");
}

Test(egress, R11_no_next_hop_goes_to_the_agent)
{
	struct dove_translation t = allow_to(&vm2);
	struct frame f = udp_frame(&vm2, 4000);
	struct dove_ip key = ip_of(HOST2);
	struct dove_host host;
	struct run r;

	begin("host known, neighbour not");
	cache_put(&vm2, &t);
	check(map_get(dove_hosts, &key, &host), "no host 2");
	host.flags = 0;
	map_put(dove_hosts, &key, &host);
	r = run_port(&f);
	expect_held(&r, DOVE_HELD_NEXT_HOP);

	begin("host not known");
	cache_put(&vm2, &t);
	map_del(dove_hosts, &key);
	r = run_port(&f);
	expect_held(&r, DOVE_HELD_NEXT_HOP);
}

/* RFC 1191: type 3, code 4, the next hop's MTU, and what the host needs to know its own packet by. */
static struct frame frag_needed(const struct frame *of, uint16_t mtu)
{
	struct vm_frame v = {
		.eth_proto = ETH_P_IP, .src = vm2.ip, .dst = vm1.ip, .proto = 1, .payload = 28
	};
	struct frame f;
	uint16_t check;

	memcpy(v.dmac, vm1.mac, 6);
	memcpy(v.smac, of->b, 6);
	f = frame_vm(&v);
	frame_put(&f, 34, 4, 0x03040000);
	frame_put(&f, 38, 4, mtu);
	memcpy(f.b + 42, of->b + 14, 28);
	check = internet_checksum(f.b + 34, 36);
	memcpy(f.b + 36, &check, 2);
	return f;
}

Test(egress, R13_too_big_is_answered_with_the_size_that_fits)
{
	static const struct {
		const char *name;
		uint8_t proto, option_words;
		uint16_t frag_off;
		uint32_t ip_len, icmp;
		enum dove_reason reason;
	} cases[] = {
		{ "UDP that just fits", 17, 0, 0, 1430, 0, DOVE_ENCAPSULATED },
		{ "UDP, one byte more", 17, 0, 0, 1431, 0, DOVE_TOO_BIG_ANSWERED },
		{ "TCP", 6, 0, 0, 1500, 0, DOVE_TOO_BIG_ANSWERED },
		{ "echo request", 1, 0, 0, 1500, 0x0800, DOVE_TOO_BIG_ANSWERED },
		{ "echo reply", 1, 0, 0, 1500, 0x0000, DOVE_TOO_BIG_ANSWERED },
		{ "ICMP error, never answered", 1, 0, 0, 1500, 0x0301, DOVE_TOO_BIG },
		{ "later fragment, never answered", 17, 0, 100, 1500, 0, DOVE_TOO_BIG },
		{ "IP options", 17, 2, 0, 1500, 0, DOVE_TOO_BIG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = udp_to(&vm2);
		struct frame f, want;
		struct run r;

		begin(cases[i].name);
		cache_put(&vm2, &t);
		v.proto = cases[i].proto;
		v.option_words = cases[i].option_words;
		v.frag_off = cases[i].frag_off;
		v.payload = 0;
		v.payload = cases[i].ip_len + 14 - frame_vm(&v).len;
		f = frame_vm(&v);
		if (v.proto == 1)
			frame_put(&f, 34, 2, cases[i].icmp);
		r = run_port(&f);
		expect_end(&r, cases[i].reason == DOVE_TOO_BIG ? TC_ACT_SHOT : TC_ACT_REDIRECT,
			   cases[i].reason);
		expect_counter(DOVE_COUNT_HITS, 1);
		expect_quiet();
		if (cases[i].reason != DOVE_TOO_BIG_ANSWERED)
			continue;
		want = frag_needed(&f, 1430);
		expect_bytes(&r.out, &want);
	}
}

/* TEST_RUN's super-packets are of no type, so the kernel makes no room in them: they must not leave. */
Test(egress, R13_what_gets_no_room_is_dropped)
{
	struct __sk_buff ctx = { .ingress_ifindex = PORT, .gso_size = 500, .gso_segs = 2 };
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = udp_to(&vm2);
	struct frame f;
	struct run r;

	begin("super-packet of no type");
	cache_put(&vm2, &t);
	v.payload = 1000;
	f = frame_vm(&v);
	r = run_skb(dove->progs.dove_port, &f, &ctx);
	expect_dropped(&r, DOVE_ENCAP_FAILED);
}

Test(egress, R6_not_a_port)
{
	struct dove_translation t = allow_to(&vm2);
	struct frame f = udp_frame(&vm2, 4000);
	struct run r;

	begin("no such port");
	cache_put(&vm2, &t);
	map_del(dove_ports, &(uint32_t){ PORT });
	r = run_port(&f);
	expect_dropped(&r, DOVE_NO_PORT);
}

/* ---- what a port may ask of the agent ---- */

/* 500 seconds ahead at most, a small record costs 187.5: three of them. */
static const struct dove_budget three_records = { .ns_per_kib = 1000 * SECOND, .burst_ns = 500 * SECOND };

static uint32_t second_port(const struct vm *vm)
{
	struct tap tap = tap_open("second");
	struct dove_port port = { .vnid = BLUE, .endpoint = vm->endpoint, .kind = DOVE_PORT_VM };
	struct dove_addr addr = { .endpoint = vm->endpoint };

	memcpy(port.mac, vm->mac, 6);
	memcpy(addr.mac, vm->mac, 6);
	map_put(dove_ports, &tap.ifindex, &port);
	map_put(dove_addrs,
		&((struct dove_addr_key){ .addr = ip_of(vm->ip), .vnid = BLUE, .ifindex = tap.ifindex }),
		&addr);
	map_put(dove_budgets, &tap.ifindex, &three_records);
	return tap.ifindex;
}

Test(egress, R11_a_port_that_floods_misses_harms_only_itself)
{
	struct frame f = udp_frame(&vm2, 4000), other;
	struct vm_frame v = udp_to(&vm2);
	struct dove_translation t = allow_to(&vm2);
	uint32_t port3;
	struct run r;

	begin("flood");
	port3 = second_port(&vm3);
	map_put(dove_budgets, &(uint32_t){ PORT }, &three_records);
	for (int i = 0; i < 3; i++) {
		counters_clear();
		r = run_port(&f);
		expect_held(&r, DOVE_HELD_MISS);
	}
	for (int i = 0; i < 100; i++) {
		counters_clear();
		r = run_port(&f);
		expect_dropped(&r, DOVE_MISS_LIMITED);
	}

	counters_clear();
	v.src = vm3.ip;
	memcpy(v.smac, vm3.mac, 6);
	other = frame_vm(&v);
	r = run_port_at(port3, &other);
	check(expect_held(&r, DOVE_HELD_MISS)->key.source == vm3.endpoint, "not the other port's key");

	counters_clear();
	cache_put(&vm2, &t);
	r = run_port(&f);
	expect_end(&r, TC_ACT_REDIRECT, DOVE_ENCAPSULATED);
}

Test(egress, R11_a_port_without_a_budget_asks_nothing)
{
	struct frame f = udp_frame(&vm2, 4000);
	struct run r;

	begin("no budget");
	map_del(dove_budgets, &(uint32_t){ PORT });
	r = run_port(&f);
	expect_dropped(&r, DOVE_MISS_LIMITED);
}

/* Records of jumbo size, nobody reads: 8 MiB hold some 900 of them. */
Test(egress, R11_full_ring_is_closed_and_counted)
{
	struct dove_budget endless = { .ns_per_kib = 0, .burst_ns = SECOND };
	struct vm_frame v = udp_to(&vm2);
	struct frame f;

	begin("nobody reads");
	map_put(dove_budgets, &(uint32_t){ PORT }, &endless);
	v.payload = 3400;
	f = frame_vm(&v);
	for (int i = 0; i < 1000; i++)
		check(run_port(&f).action == TC_ACT_SHOT, "a packet got through");
	check(counted(DOVE_RING_FULL) > 50 && counted(DOVE_HELD_MISS) > 800, "full %llu, held %llu",
	      (unsigned long long)counted(DOVE_RING_FULL), (unsigned long long)counted(DOVE_HELD_MISS));
	check(counted(DOVE_RING_FULL) + counted(DOVE_HELD_MISS) == 1000, "not each counted once");
}
