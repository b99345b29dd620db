// SPDX-License-Identifier: Apache-2.0
/* dove_port: what becomes of a VM's frame at its own interface. */
#include <string.h>

#include "prog.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT });
}

TestSuite(egress, .init = load);

/* What the hit must have become: the same packet to the MAC of the translation, in headers of our own. */
static void expect_encapsulated(enum family outer, const struct run *r, const struct dove_translation *t)
{
	struct frame inner = r->in, want;

	memcpy(inner.b, t->mac, 6);
	expect_sent(r, DOVE_ENCAPSULATED);
	want = on_the_wire(outer, &inner, &r->out);
	expect_bytes(&r->out, &want);
}

Test(egress, R13_hit_is_encapsulated_byte_by_byte)
{
	const struct {
		const char *name;
		uint8_t proto, option_words;
		uint32_t payload;
	} cases[] = {
		{ "UDP", 17, 0, 40 },
		{ "TCP", 6, 0, 1340 },
		{ "ICMP", 1, 0, 56 },
		{ "ICMPv6", 58, 0, 56 },
		{ "GRE, no ports", 47, 0, 4 },
		{ "UDP, empty", 17, 0, 0 },
		{ "UDP, IP options", 17, 10, 9 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (unsigned mix = 0; mix < 4; mix++) {
			enum family inner = mix & 1, outer = mix >> 1;
			struct vm_frame v = udp_in(inner, &vm2);
			struct dove_translation t = allow_to(&vm2);
			struct run r;

			begin(case_text("%s, IPv%u in IPv%u", cases[i].name, inner ? 6 : 4, outer ? 6 : 4));
			v.proto = cases[i].proto;
			v.payload = cases[i].payload;
			v.option_words = cases[i].option_words;
			memset(v.dmac, 0x0e,
			       6); /* what the VM believes its neighbour's MAC to be is of no weight */
			t.host = ip_in(outer, HOST2);
			cache_put(&vm2, &t);
			r = run_vm(&v);
			expect_encapsulated(outer, &r, &t);
		}
	}
}

static struct vm_frame udp_flow(enum family family, const struct vm *to, uint16_t from_port)
{
	struct vm_frame v = udp_in(family, to);

	v.from_port = from_port;
	return v;
}

/* What routers on the underlay choose among equal paths by: the source port; over IPv6 also the flow label (RFC 6438). */
struct entropy {
	uint32_t port, label;
};

static struct entropy entropy_of(enum family outer, const struct run *r)
{
	struct outer_frame o = outer_to_host2(outer, &r->out);

	return (struct entropy){ o.source_port, o.flow_label };
}

static bool seen_before(const struct entropy *seen, unsigned n, const struct entropy *e)
{
	for (unsigned i = 0; i < n; i++)
		if (seen[i].port == e->port || (e->label && seen[i].label == e->label))
			return true;
	return false;
}

Test(egress, R13_entropy_is_constant_per_flow_and_spreads_flows)
{
	for (unsigned mix = 0; mix < 4; mix++) {
		enum family inner = mix & 1, outer = mix >> 1;
		struct dove_translation t = allow_to(&vm2);
		struct entropy seen[64];
		unsigned different = 0;

		begin(case_text("64 flows, IPv%u in IPv%u", inner ? 6 : 4, outer ? 6 : 4));
		t.host = ip_in(outer, HOST2);
		cache_put(&vm2, &t);
		for (unsigned flow = 0; flow < 64; flow++) {
			struct vm_frame v = udp_flow(inner, &vm2, 1000 + flow);
			struct run once = run_vm(&v), again = run_vm(&v);
			struct entropy e = entropy_of(outer, &once), e2 = entropy_of(outer, &again);

			check(e.port == e2.port && e.label == e2.label,
			      "one flow, two source ports or labels");
			check(outer == V4 || e.label, "no flow label");
			if (!seen_before(seen, different, &e))
				seen[different++] = e;
		}
		check(different > 32, "64 flows have only %u source ports", different);
	}
}

Test(egress, R4_local_hit_is_redirected_with_the_mac_of_today)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = allow_to(&vm3);
		struct vm_frame v = udp_in(f, &vm3);
		struct frame want = frame_vm(&v);
		struct run r;

		begin(case_text("to a neighbour, IPv%u", f ? 6 : 4));
		memset(t.mac, 0x0e, 6);
		memset(v.dmac, 0x0c, 6);
		cache_put(&vm3, &t);
		r = run_vm(&v);
		expect_sent(&r, DOVE_DELIVERED_LOCAL);
		expect_bytes(&r.out, &want);
	}
}

/* The neighbour's own numbers hold for what never leaves the host, too. */
Test(egress, R4_local_destination_is_held_to_its_numbers)
{
	struct dove_translation t = allow_to(&vm3);
	struct vm_frame v = udp_to(&vm3);
	struct dove_event event;
	struct run r;

	begin("below the endpoint's floor");
	cache_put(&vm3, &t);
	local_put(BLUE, &vm3, PORT3, REVISION, REVISION + 1);
	r = run_vm(&v);
	expect_held(&r, DOVE_HELD_MISS);

	begin("gone from this host");
	cache_put(&vm3, &t);
	local_del(BLUE, &vm3);
	r = run_vm(&v);
	expect_held(&r, DOVE_HELD_MISS);

	begin("the endpoint's sequence is newer");
	cache_put(&vm3, &t);
	local_put(BLUE, &vm3, PORT3, REVISION + 5, 1);
	r = run_vm(&v);
	expect_end(&r, TC_ACT_REDIRECT, DOVE_DELIVERED_LOCAL);
	event = expect_event(DOVE_EVENT_ORIGIN_STALE);
	check(event.sequence == REVISION && event.wanted == REVISION + 5, "sequence %llx, wanted %llx",
	      event.sequence, event.wanted);
	expect_quiet();
}

static void expect_miss_of(enum family family, uint32_t len)
{
	struct vm_frame v = udp_in(family, &vm2);
	struct dove_cache_key key = { .dst = ip_in(family, vm2.ip),
				      .source = vm1.endpoint,
				      .from_port = 4000,
				      .to_port = 53,
				      .proto = 17,
				      .exact = 1 };
	const struct dove_held *held;
	struct run r;

	v.payload = len - l4_at(&v) - 8;
	r = run_vm(&v);
	held = expect_held(&r, DOVE_HELD_MISS);
	check(!memcmp(&held->key, &key, sizeof(key)), "the record's key is not the packet's");
	check(held->ifindex == PORT && held->vnid == BLUE && !held->gso_size && !held->group,
	      "port %u, network %x, group %u", held->ifindex, held->vnid, held->group);
}

Test(egress, R11_miss_goes_whole_to_the_agent)
{
	/* Around the borders of the records' size classes. */
	static const uint32_t lengths[] = { 62, 191, 192, 193, 1599, 1600, 1601, 3500 };

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		for (enum family f = V4; f < FAMILIES; f++) {
			begin(case_text("IPv%u, %u bytes", f ? 6 : 4, lengths[i]));
			expect_miss_of(f, lengths[i]);
		}
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
	struct vm_frame v = udp_to(&vm2);
	struct dove_ip key = ip_of(HOST2);
	struct dove_host host;
	struct run r;

	begin("host known, neighbour not");
	cache_put(&vm2, &t);
	check(map_get(dove_hosts, &key, &host), "no host 2");
	host.flags = 0;
	map_put(dove_hosts, &key, &host);
	r = run_vm(&v);
	expect_held(&r, DOVE_HELD_NEXT_HOP);

	begin("host not known");
	cache_put(&vm2, &t);
	map_del(dove_hosts, &key);
	r = run_vm(&v);
	expect_held(&r, DOVE_HELD_NEXT_HOP);
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
	struct vm_frame v = udp_to(&vm2);
	struct run r;

	begin("no such port");
	cache_put(&vm2, &t);
	map_del(dove_ports, &(uint32_t){ PORT });
	r = run_vm(&v);
	expect_dropped(&r, DOVE_NO_PORT);
}

/* ---- what a port may ask of the agent ---- */

/* Records of the smallest class, of which each costs DOVE_HELD_SMALL. */
#define THREE_RECORDS (3 * DOVE_HELD_SMALL)

Test(egress, R11_a_port_that_floods_misses_harms_only_itself)
{
	struct vm_frame v = udp_to(&vm2), others = udp_between(V4, &vm3, &vm2);
	struct frame f = frame_vm(&others);
	struct dove_translation t = allow_to(&vm2);
	struct tap second;
	struct run r;

	begin("flood");
	second = tap_open("second");
	port_put(second.ifindex, &vm3, DOVE_PORT_VM);
	budget_put(PORT, DOVE_BUDGET_HELD, THREE_RECORDS);
	for (int i = 0; i < 3; i++) {
		counters_clear();
		r = run_vm(&v);
		expect_held(&r, DOVE_HELD_MISS);
	}
	counters_clear();
	r = run_vm(&v);
	expect_dropped(&r, DOVE_MISS_LIMITED);
	for (int i = 0; i < 100; i++) {
		counters_clear();
		r = run_vm(&v);
		expect_dropped_again(&r, DOVE_MISS_LIMITED);
	}

	counters_clear();
	r = run_port_at(second.ifindex, &f);
	check(expect_held(&r, DOVE_HELD_MISS)->key.source == vm3.endpoint, "not the other port's key");

	counters_clear();
	cache_put(&vm2, &t);
	r = run_vm(&v);
	expect_sent(&r, DOVE_ENCAPSULATED);
}

Test(egress, R11_a_port_without_a_budget_asks_nothing)
{
	struct vm_frame v = udp_to(&vm2);
	struct run r;

	begin("no budget");
	map_del(dove_budgets, &(uint32_t){ PORT });
	r = run_vm(&v);
	expect_dropped(&r, DOVE_MISS_LIMITED);
}

/* Each kind of what a port costs others has a bucket of its own. */
Test(egress, R11_other_budgets_are_not_the_misses)
{
	struct vm_frame v = udp_to(&vm2);
	struct run r;

	begin("answers and copies used up");
	budget_put(PORT, DOVE_BUDGET_ANSWERS, 0);
	budget_put(PORT, DOVE_BUDGET_COPIES, 0);
	r = run_vm(&v);
	expect_held(&r, DOVE_HELD_MISS);

	begin("those for misses used up");
	budget_put(PORT, DOVE_BUDGET_HELD, 0);
	r = run_vm(&v);
	expect_dropped(&r, DOVE_MISS_LIMITED);
}

/* Records of jumbo size, nobody reads: 8 MiB hold some 900 of them. */
Test(egress, R11_full_ring_is_closed_and_counted)
{
	struct dove_budget endless = { .of = { [DOVE_BUDGET_HELD] = { .burst_ns = SECOND } } };
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
