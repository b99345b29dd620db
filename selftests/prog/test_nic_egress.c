// SPDX-License-Identifier: Apache-2.0
/* dove_nic_egress: only a bridged port's frames are ours; and what dove_port does with those before. */
#include <string.h>

#include "prog.h"

#define MEMBER 55u /* a bridge's member, VM 1's */

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_NIC_EGRESS | PROG_PORT });
}

TestSuite(nic_egress, .init = load);

static void begin_bridged(const char *name)
{
	struct dove_translation t = allow_to(&vm2);
	struct dove_port port;
	struct dove_addr_key key = { .addr = ip_of(vm1.ip), .vnid = BLUE, .ifindex = PORT };
	struct dove_addr addr;

	begin(name);
	check(map_get(dove_ports, &(uint32_t){ PORT }, &port) && map_get(dove_addrs, &key, &addr), "no port");
	port.kind = DOVE_PORT_BRIDGED;
	key.ifindex = MEMBER;
	map_put(dove_ports, &(uint32_t){ MEMBER }, &port);
	map_put(dove_addrs, &key, &addr);
	map_put(dove_budgets, &(uint32_t){ MEMBER },
		&((struct dove_budget){ .ns_per_kib = 1000, .burst_ns = SECOND }));
	cache_put(&vm2, &t);
}

static struct run leave(uint32_t came_in_by, uint32_t mark)
{
	struct __sk_buff ctx = { .ingress_ifindex = came_in_by, .mark = mark };
	struct vm_frame v = udp_to(&vm2);
	struct frame f = frame_vm(&v);

	return run_skb(dove->progs.dove_nic_egress, &f, &ctx);
}

static void expect_untouched(const struct run *r)
{
	check(r->action == TC_ACT_UNSPEC, "returned %d", r->action);
	expect_bytes(&r->out, &r->in);
	for (uint32_t i = 0; i < DOVE_STATS_MAX; i++)
		check(!counted(i), "counted under %s", reason_name(i));
	expect_quiet();
}

Test(nic_egress, R6_what_no_bridged_port_sent_is_left_alone)
{
	static const struct {
		const char *name;
		uint32_t came_in_by;
	} cases[] = {
		{ "the host's own", 0 },
		{ "an ordinary port's", PORT },
		{ "another interface's", 4711 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct run r;

		begin_bridged(cases[i].name);
		r = leave(cases[i].came_in_by, 0x1234);
		expect_untouched(&r);
		check(r.mark == 0x1234, "somebody's mark %x changed", r.mark);
	}
}

Test(nic_egress, R13_marked_is_encapsulated_already)
{
	struct run r;

	begin_bridged("marked");
	r = leave(MEMBER, DOVE_MARK_ENCAPSULATED);
	expect_untouched(&r);
	check(!r.mark, "the mark %x stays on it", r.mark);
}

static struct frame on_the_wire(const struct run *r)
{
	struct outer_frame o = outer_from_host2();

	o.src = HOST1;
	o.dst = HOST2;
	o.source = vm1.endpoint;
	o.source_port = frame_get(&r->out, OUTER_AT(udp.source), 2);
	memcpy(o.dmac, hop_mac, 6);
	memcpy(o.smac, nic_mac, 6);
	return frame_encapsulated(&o, &r->in);
}

Test(nic_egress, R13_bridged_is_encapsulated_and_goes_on)
{
	struct frame want;
	struct run r;

	begin_bridged("bridged");
	r = leave(MEMBER, 0);
	expect_end(&r, TC_ACT_UNSPEC, DOVE_ENCAPSULATED);
	want = on_the_wire(&r);
	expect_bytes(&r.out, &want);
	expect_counter(DOVE_COUNT_HITS, 1);
	check(!r.mark, "marked %x", r.mark);
	expect_quiet();
}

/* The next hop is behind another NIC, whose egress program then must know it. */
Test(nic_egress, R13_bridged_to_another_nic_is_marked)
{
	struct dove_ip key = ip_of(HOST2);
	struct dove_host host;
	struct run r;

	begin_bridged("bridged");
	check(map_get(dove_hosts, &key, &host), "no host 2");
	host.ifindex = 4712;
	map_put(dove_hosts, &key, &host);
	r = leave(MEMBER, 0);
	expect_end(&r, TC_ACT_REDIRECT, DOVE_ENCAPSULATED);
	check(r.mark == DOVE_MARK_ENCAPSULATED, "mark %x", r.mark);
}

Test(nic_egress, R6_bridged_is_held_to_the_same_rules)
{
	struct dove_translation t = allow_to(&vm2);
	struct dove_cache_key key = pair_key(&vm2);
	struct run r;

	begin_bridged("denied");
	t.verdict = DOVE_VERDICT_DENY;
	map_del(dove_cache, &key);
	denied_put(&vm2, &t);
	r = leave(MEMBER, 0);
	expect_dropped(&r, DOVE_DENIED);

	begin_bridged("miss");
	map_del(dove_cache, &key);
	r = leave(MEMBER, 0);
	check(expect_held(&r, DOVE_HELD_MISS)->ifindex == MEMBER, "not the member port's");

	begin_bridged("spoofed");
	map_del(dove_addrs,
		&((struct dove_addr_key){ .addr = ip_of(vm1.ip), .vnid = BLUE, .ifindex = MEMBER }));
	r = leave(MEMBER, 0);
	expect_dropped(&r, DOVE_SPOOFED_IP);
}

Test(nic_egress, R4_bridged_to_a_neighbour)
{
	struct __sk_buff ctx = { .ingress_ifindex = MEMBER };
	struct dove_translation t = allow_to(&vm3);
	struct vm_frame v = udp_to(&vm3);
	struct frame f = frame_vm(&v);
	struct run r;

	begin_bridged("bridged");
	cache_put(&vm3, &t);
	r = run_skb(dove->progs.dove_nic_egress, &f, &ctx);
	expect_end(&r, TC_ACT_REDIRECT, DOVE_DELIVERED_LOCAL);
	expect_bytes(&r.out, &r.in);
}

/* ---- the member port's half ---- */

static void begin_member(const char *name)
{
	struct dove_port port;

	begin(name);
	check(map_get(dove_ports, &(uint32_t){ PORT }, &port), "no port");
	port.kind = DOVE_PORT_BRIDGED;
	map_put(dove_ports, &(uint32_t){ PORT }, &port);
}

Test(nic_egress, R6_member_port_checks_the_sender_and_steers_past_the_host)
{
	struct __sk_buff marked = { .ingress_ifindex = PORT, .mark = DOVE_MARK_ENCAPSULATED };
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = udp_to(&vm2);
	struct frame f, want;
	struct run r;

	begin_member("known destination, frame to the host's own MAC");
	cache_put(&vm2, &t);
	memcpy(v.dmac, nic_mac, 6);
	f = frame_vm(&v);
	r = run_skb(dove->progs.dove_port, &f, &marked);
	expect_end(&r, TC_ACT_UNSPEC, DOVE_BRIDGED);
	want = f;
	memcpy(want.b, vm2.mac, 6);
	expect_bytes(&r.out, &want);
	check(!r.mark, "mark %x is still on it", r.mark);
	expect_quiet();

	begin_member("unknown destination");
	r = run_port(&f);
	expect_held(&r, DOVE_HELD_MISS);

	begin_member("no such endpoint");
	t.verdict = DOVE_VERDICT_NO_ENDPOINT;
	t.policy = 0;
	denied_put(&vm2, &t);
	r = run_port(&f);
	expect_dropped(&r, DOVE_NO_ENDPOINT);

	begin_member("broadcast");
	memset(v.dmac, 0xff, 6);
	f = frame_vm(&v);
	r = run_port(&f);
	expect_dropped(&r, DOVE_MULTICAST);

	begin_member("spoofed address");
	v = udp_to(&vm2);
	v.src = vm3.ip;
	f = frame_vm(&v);
	r = run_port(&f);
	expect_dropped(&r, DOVE_SPOOFED_IP);

	begin_member("IPv6");
	v = udp_to(&vm2);
	v.eth_proto = ETH_P_IPV6;
	f = frame_vm(&v);
	r = run_port(&f);
	expect_dropped(&r, DOVE_NOT_IP);
}

Test(nic_egress, R6_member_port_when_the_network_has_moved_on)
{
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = udp_to(&vm2);
	struct frame f = frame_vm(&v);
	struct run r;

	begin_member("nobody had it then");
	t.verdict = DOVE_VERDICT_NO_ENDPOINT;
	t.policy = 0;
	denied_put(&vm2, &t);
	network_put(BLUE, REVISION + 1, 1);
	r = run_port(&f);
	expect_held(&r, DOVE_HELD_MISS);
}
