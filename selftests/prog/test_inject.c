// SPDX-License-Identifier: Apache-2.0
/*
 * dove_inject and dove_inject_received: packets that waited in the agent.
 * They leave by a clone, so a tap sees what becomes of them; the program's
 * value is the reason.
 */
#include <bpf/libbpf.h>
#include <string.h>

#include "ingress.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_INJECT | PROG_INJECT_RECEIVED | PROG_NIC_EGRESS });
}

TestSuite(inject, .init = load);

static void nic_is(uint32_t ifindex)
{
	struct dove_ip key = ip_of(HOST2);
	struct dove_host host;

	check(map_get(dove_hosts, &key, &host), "no host 2");
	host.ifindex = ifindex;
	map_put(dove_hosts, &key, &host);
}

static struct run inject(const struct vm *to)
{
	struct vm_frame v = udp_to(to);
	struct frame f = frame_vm(&v);

	return run_skb(dove->progs.dove_inject, &f, NULL);
}

static struct frame on_the_wire(const struct frame *inner, const struct frame *got)
{
	struct outer_frame o = outer_from_host2();

	o.src = HOST1;
	o.dst = HOST2;
	o.source = vm1.endpoint;
	o.source_port = frame_get(got, OUTER_AT(udp.source), 2);
	memcpy(o.dmac, hop_mac, 6);
	memcpy(o.smac, nic_mac, 6);
	return frame_encapsulated(&o, inner);
}

/* What waits is sent before the entry becomes active, so that nothing overtakes it. */
Test(inject, R11_pending_entries_are_open_to_it)
{
	static const enum dove_state states[] = { DOVE_PENDING, DOVE_ACTIVE };
	struct tap nic;

	begin("taps");
	nic = tap_open("nic");
	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		struct dove_translation t = allow_to(&vm2);
		struct frame got = {}, want;
		struct run r;

		begin(states[i] == DOVE_PENDING ? "pending" : "active");
		nic_is(nic.ifindex);
		t.state = states[i];
		cache_put(&vm2, &t);
		r = inject(&vm2);
		expect_end(&r, DOVE_ENCAPSULATED, DOVE_ENCAPSULATED);
		check(r.mark == DOVE_MARK_ENCAPSULATED, "mark %x", r.mark);
		check(tap_read(&nic, &got), "nothing left by the NIC");
		want = on_the_wire(&r.in, &got);
		expect_bytes(&got, &want);
		check(!tap_read(&nic, &got), "it left twice");
		expect_quiet();
	}
}

/* The NIC's own egress program lets it by and takes its mark off; it is counted once. */
Test(inject, R13_the_nic_knows_what_was_injected)
{
	struct dove_translation t = allow_to(&vm2);
	struct frame got, want;
	struct tap nic;
	struct run r;

	begin("NIC with its egress program");
	nic = tap_attached("nic", dove->progs.dove_nic_egress);
	nic_is(nic.ifindex);
	cache_put(&vm2, &t);
	r = inject(&vm2);
	expect_end(&r, DOVE_ENCAPSULATED, DOVE_ENCAPSULATED);
	check(tap_read(&nic, &got), "nothing left by the NIC");
	want = on_the_wire(&r.in, &got);
	expect_bytes(&got, &want);
}

Test(inject, R11_reasons_come_back_and_nothing_is_held_again)
{
	static const struct {
		const char *name;
		enum dove_verdict verdict;
		enum dove_state state;
		enum dove_reason reason;
	} cases[] = {
		{ "denied", DOVE_VERDICT_DENY, DOVE_ACTIVE, DOVE_DENIED },
		{ "denied, pending", DOVE_VERDICT_DENY, DOVE_PENDING, DOVE_DENIED },
		{ "no endpoint", DOVE_VERDICT_NO_ENDPOINT, DOVE_ACTIVE, DOVE_NO_ENDPOINT },
		{ "no place", DOVE_VERDICT_NO_PLACE, DOVE_ACTIVE, DOVE_NO_PLACE },
		{ "no service", DOVE_VERDICT_NO_SERVICE, DOVE_ACTIVE, DOVE_NO_SERVICE },
	};
	struct dove_ip host2 = ip_of(HOST2);
	struct dove_translation t;
	struct run r;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(cases[i].name);
		t = allow_to(&vm2);
		t.verdict = cases[i].verdict;
		t.state = cases[i].state;
		denied_put(&vm2, &t);
		r = inject(&vm2);
		expect_end(&r, cases[i].reason, cases[i].reason);
		expect_quiet();
	}

	begin("still nothing known");
	r = inject(&vm2);
	expect_end(&r, DOVE_HELD_MISS, DOVE_HELD_MISS);
	expect_quiet();

	begin("next hop still not known");
	t = allow_to(&vm2);
	cache_put(&vm2, &t);
	map_del(dove_hosts, &host2);
	r = inject(&vm2);
	expect_end(&r, DOVE_HELD_NEXT_HOP, DOVE_HELD_NEXT_HOP);
	expect_quiet();

	begin("the port is gone");
	map_del(dove_ports, &(uint32_t){ PORT });
	r = inject(&vm2);
	expect_end(&r, DOVE_NO_PORT, DOVE_NO_PORT);
	expect_quiet();

	begin("the address was taken from the port");
	map_del(dove_addrs,
		&((struct dove_addr_key){ .addr = ip_of(vm1.ip), .vnid = BLUE, .ifindex = PORT }));
	r = inject(&vm2);
	expect_end(&r, DOVE_SPOOFED_IP, DOVE_SPOOFED_IP);
	expect_quiet();
}

/* The short cut to a veth peer is for packets that arrive; an injected one takes the long way in any case. */
Test(inject, R4_to_a_neighbour)
{
	static const enum dove_delivery ways[] = { DOVE_DELIVER_REDIRECT, DOVE_DELIVER_PEER };
	struct dove_place_key key = { .addr = ip_of(vm3.ip), .vnid = BLUE };
	struct tap port;

	begin("a tap");
	port = tap_open("port3");
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		struct dove_translation t = allow_to(&vm3);
		struct dove_local local;
		struct frame got;
		struct run r;

		begin(ways[i] == DOVE_DELIVER_PEER ? "peer" : "redirect");
		check(map_get(dove_local, &key, &local), "no VM 3");
		local.ifindex = port.ifindex;
		local.delivery = ways[i];
		map_put(dove_local, &key, &local);
		cache_put(&vm3, &t);
		r = inject(&vm3);
		expect_end(&r, DOVE_DELIVERED_LOCAL, DOVE_DELIVERED_LOCAL);
		check(tap_read(&port, &got), "nothing came to the VM");
		expect_bytes(&got, &r.in);
	}
}

Test(inject, R11_arp_that_waited_is_answered)
{
	struct dove_translation t = allow_to(&vm2);
	struct arp_fields a = arp_for(vm2.ip), reply = a;
	struct frame f = frame_arp(&a), got, want;
	struct __sk_buff ctx = {};
	struct tap port;
	struct run r;

	begin("ARP");
	port = tap_open("port1");
	tap_is_port(&port);
	t.state = DOVE_PENDING;
	cache_put(&vm2, &t);
	ctx.ingress_ifindex = port.ifindex;
	r = run_skb(dove->progs.dove_inject, &f, &ctx);
	expect_end(&r, DOVE_ARP_ANSWERED, DOVE_ARP_ANSWERED);
	check(tap_read(&port, &got), "no answer came to the VM");
	reply.operation = 2;
	memcpy(reply.dmac, vm1.mac, 6);
	memcpy(reply.smac, vm2.mac, 6);
	memcpy(reply.sender_mac, vm2.mac, 6);
	memcpy(reply.target_mac, vm1.mac, 6);
	reply.sender_ip = vm2.ip;
	reply.target_ip = vm1.ip;
	want = frame_arp(&reply);
	expect_bytes(&got, &want);
}

/* ---- from the underlay ---- */

static struct run inject_received(void)
{
	struct frame inner = the_inner(), f = wrap(&inner);

	return run_skb(dove->progs.dove_inject_received, &f, NULL);
}

Test(inject, R15_received_is_delivered_once_its_policy_is_known)
{
	struct frame inner = the_inner(), got;
	struct tap port;
	struct run r;

	begin("known now");
	port = tap_open("port3");
	local_put(BLUE, &vm3, port.ifindex, 1, 1);
	r = inject_received();
	expect_end(&r, DOVE_DELIVERED, DOVE_DELIVERED);
	check(tap_read(&port, &got), "nothing came to the VM");
	expect_bytes(&got, &inner);
	check(!tap_read(&port, &got), "it came twice");

	begin("still not known");
	map_del(dove_policies, &((struct dove_policy_key){ .vnid = BLUE, .policy = POLICY }));
	r = inject_received();
	expect_end(&r, DOVE_HELD_UNKNOWN, DOVE_HELD_UNKNOWN);
	expect_event(DOVE_EVENT_UNKNOWN);
	expect_quiet();

	begin("known now, and refused");
	policy_put(BLUE, POLICY, REVISION + 1, REVISION + 1);
	network_put(BLUE, REVISION + 1, 1);
	r = inject_received();
	expect_end(&r, DOVE_REFUSED, DOVE_REFUSED);
	check(!tap_read(&port, &got), "it was delivered all the same");
}
