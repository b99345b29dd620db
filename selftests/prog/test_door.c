// SPDX-License-Identifier: Apache-2.0
/* dove_door: packets that waited in the agent, as if they came again to where they were held. */
#include <string.h>

#include "answers.h"
#include "door.h"
#include "groups.h"
#include "ingress.h"
#include "loader/door.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_DOOR | PROG_NIC_EGRESS });
}

TestSuite(door, .init = load);

static struct run send_again(uint16_t way, const struct vm_frame *v)
{
	struct frame f = frame_vm(v);

	return run_door(way, PORT, &f);
}

/* ---- sent ---- */

/* What waits is sent before the entry becomes active, so that nothing overtakes it. */
Test(door, R11_pending_entries_are_open_to_it)
{
	static const uint64_t gates[] = { DOVE_GATE_SHUT, 0 };

	for (size_t i = 0; i < ARRAY_SIZE(gates) * 4; i++) {
		enum family inner = i & 1, outer = i >> 1 & 1;
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = udp_in(inner, &vm2);
		struct frame want;
		struct run r;

		begin(case_text("%s, IPv%u in IPv%u", gates[i / 4] ? "shut" : "open", inner ? 6 : 4,
				outer ? 6 : 4));
		t.gate = gates[i / 4];
		t.host = ip_in(outer, HOST2);
		cache_put(&vm2, &t);
		r = send_again(DOVE_DOOR_SENT, &v);
		expect_sent(&r, DOVE_ENCAPSULATED);
		expect_door_reason(DOVE_ENCAPSULATED);
		want = on_the_wire(outer, &r.in, &r.out);
		expect_bytes(&r.out, &want);
		check(r.mark == DOVE_MARK_ENCAPSULATED, "mark %x", r.mark);
	}
}

Test(door, R11_reasons_come_back_and_nothing_is_held_again)
{
	static const struct {
		enum dove_verdict verdict;
		uint64_t gate;
		enum dove_reason reason;
	} cases[] = {
		{ DOVE_VERDICT_DENY, 0, DOVE_DENIED },
		{ DOVE_VERDICT_DENY, DOVE_GATE_SHUT, DOVE_DENIED },
		{ DOVE_VERDICT_NO_ENDPOINT, 0, DOVE_NO_ENDPOINT },
		{ DOVE_VERDICT_NO_PLACE, 0, DOVE_NO_PLACE },
		{ DOVE_VERDICT_NO_SERVICE, 0, DOVE_NO_SERVICE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dove_translation t = answer_to(&vm2, cases[i].verdict);
		struct vm_frame v = udp_to(&vm2);
		struct run r;

		begin(case_text("%s, gate %s", reason_name(cases[i].reason),
				cases[i].gate ? "shut" : "open"));
		t.gate = cases[i].gate;
		answer_put(&vm2, &t);
		r = send_again(DOVE_DOOR_SENT, &v);
		expect_dropped(&r, cases[i].reason);
		expect_door_reason(cases[i].reason);
	}
}

static void expect_still_open(const struct run *r, enum dove_reason reason)
{
	expect_end(r, TC_ACT_SHOT, reason);
	expect_quiet();
	expect_door_reason(reason);
}

Test(door, R11_what_is_still_open_is_the_agents_to_keep)
{
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = udp_to(&vm2), many = to_many(V4, &vm1);
	struct dove_ip host2 = ip_of(HOST2);
	struct run r;

	begin("still nothing known");
	r = send_again(DOVE_DOOR_SENT, &v);
	expect_still_open(&r, DOVE_HELD_MISS);

	begin("still no list");
	r = send_again(DOVE_DOOR_SENT, &many);
	expect_still_open(&r, DOVE_HELD_MISS);

	begin("next hop still not known");
	cache_put(&vm2, &t);
	map_del(dove_hosts, &host2);
	r = send_again(DOVE_DOOR_SENT, &v);
	expect_still_open(&r, DOVE_HELD_NEXT_HOP);
}

/* What has changed while they waited holds for them, too. */
Test(door, R6_the_port_may_be_gone)
{
	struct vm_frame v = udp_to(&vm2);
	struct frame f = frame_vm(&v), whole = behind_door(DOVE_DOOR_SENT, PORT, &f);
	struct run r;

	begin("the port is gone");
	map_del(dove_ports, &(uint32_t){ PORT });
	r = run_skb(dove->progs.dove_door, &whole, NULL);
	expect_dropped(&r, DOVE_NO_PORT);
	expect_door_reason(DOVE_NO_PORT);

	begin("the address was taken from the port");
	addr_del(PORT, &vm1);
	r = send_again(DOVE_DOOR_SENT, &v);
	expect_dropped(&r, DOVE_SPOOFED_IP);
	expect_door_reason(DOVE_SPOOFED_IP);
}

Test(door, R3_the_gateway_passes_them_on)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = udp_in(f, &vm2);
		struct dove_ip speaker = ip_in(f, gateway.ip);
		struct frame inner, want;
		struct run r;

		memcpy(v.dmac, gateway.mac, 6);
		begin(case_text("IPv%u, passed on", f ? 6 : 4));
		cache_put(&vm2, &t);
		r = send_again(DOVE_DOOR_SENT, &v);
		expect_sent(&r, DOVE_ENCAPSULATED);
		v.ttl--;
		memcpy(v.dmac, vm2.mac, 6);
		memcpy(v.smac, gateway.mac, 6);
		inner = frame_vm(&v);
		want = on_the_wire(V4, &inner, &r.out);
		expect_bytes(&r.out, &want);

		begin(case_text("IPv%u, nobody there", f ? 6 : 4));
		memcpy(v.dmac, gateway.mac, 6);
		memcpy(v.smac, vm1.mac, 6);
		t = answer_to(&vm2, DOVE_VERDICT_NO_ENDPOINT);
		answer_put(&vm2, &t);
		r = send_again(DOVE_DOOR_SENT, &v);
		expect_told(&r, DOVE_UNREACHABLE_ANSWERED, TOLD_HOST, 0, &speaker);
	}
}

/* ---- cut ---- */

/* Pieces of a super-packet have not waited: they are behind those that do, and wait like all others. */
Test(door, R11_pieces_wait_behind_what_waits)
{
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = udp_to(&vm2);
	struct run r;

	begin("pending");
	t.gate = DOVE_GATE_SHUT;
	cache_put(&vm2, &t);
	r = send_again(DOVE_DOOR_CUT, &v);
	check(expect_held(&r, DOVE_HELD_MISS)->ifindex == PORT, "not the port's");
	expect_door_reason(DOVE_HELD_MISS);

	begin("active");
	t.gate = 0;
	cache_put(&vm2, &t);
	r = send_again(DOVE_DOOR_CUT, &v);
	expect_sent(&r, DOVE_ENCAPSULATED);
	check(r.mark == DOVE_MARK_ENCAPSULATED, "mark %x", r.mark);
}

/* ---- what is not the agent's ---- */

Test(door, R6_only_what_the_agent_wrote)
{
	static const struct {
		const char *name;
		size_t at, size;
		uint32_t value;
	} cases[] = {
		{ "the magic's first byte", 0, 1, 0x03 },
		{ "the magic's last byte", 3, 1, 0 },
		{ "a port that is none", 4, 4, 0x12345678 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = udp_to(&vm2);
		struct frame inner = frame_vm(&v), f = behind_door(DOVE_DOOR_SENT, PORT, &inner);
		struct run r;

		begin(cases[i].name);
		cache_put(&vm2, &t);
		frame_put(&f, cases[i].at, cases[i].size, cases[i].value);
		r = run_skb(dove->progs.dove_door, &f, NULL);
		expect_dropped(&r, DOVE_NO_PORT);
	}
}

Test(door, R6_truncated_at_every_length)
{
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = udp_to(&vm2);
	struct frame inner = frame_vm(&v), whole = behind_door(DOVE_DOOR_SENT, PORT, &inner);

	for (uint32_t len = 34; len < whole.len; len++) {
		struct frame f = whole;
		struct run r;

		begin(case_text("%u of %u bytes", len, whole.len));
		cache_put(&vm2, &t);
		f.len = len;
		r = run_skb(dove->progs.dove_door, &f, NULL);
		check(r.action == TC_ACT_SHOT, "returned %d", r.action);
		check(counted(DOVE_TRUNCATED) == 1, "%s", reason_name(dove->bss->door_reason));
	}
}

/* ---- through the device itself ---- */

static struct tap agents_device(void)
{
	struct error err = {};
	int ifindex = 0, fd = door_open(&ifindex, &err);
	struct tap t;

	if (fd < 0)
		skip("/dev/net/tun can't be opened");
	t = (struct tap){ .fd = fd, .ifindex = ifindex, .vnet = true };
	tap_attach(&t, dove->progs.dove_door);
	return t;
}

static void write_door(const struct tap *t, uint16_t way, uint32_t ifindex, const struct frame *f)
{
	check(!door_write(t->fd, way, ifindex, f->b, f->len, 0), "not written");
}

Test(door, R13_the_nic_knows_what_waited)
{
	struct tap agent, nic;

	begin("devices");
	agent = agents_device();
	nic = tap_attached("nic", dove->progs.dove_nic_egress);
	for (unsigned mix = 0; mix < 4; mix++) {
		enum family inner = mix & 1, outer = mix >> 1;
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = udp_in(inner, &vm2);
		struct frame f = frame_vm(&v), got, want;

		begin(case_text("IPv%u in IPv%u", inner ? 6 : 4, outer ? 6 : 4));
		host2_put(nic.ifindex, 0);
		t.host = ip_in(outer, HOST2);
		cache_put(&vm2, &t);
		write_door(&agent, DOVE_DOOR_SENT, PORT, &f);
		check(counted(DOVE_ENCAPSULATED) == 1, "not encapsulated");
		check(tap_read(&nic, &got), "nothing left by the NIC");
		want = on_the_wire(outer, &f, &got);
		expect_bytes(&got, &want);
		tap_silent(&nic);
		expect_quiet();
	}
}

Test(door, R4_to_a_neighbour)
{
	struct tap agent, port;

	begin("devices");
	agent = agents_device();
	port = tap_open("port3");
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = allow_to(&vm3);
		struct vm_frame v = udp_in(f, &vm3);
		struct frame sent = frame_vm(&v);

		begin(case_text("IPv%u", f ? 6 : 4));
		local_deliver(&vm3, port.ifindex, DOVE_DELIVER_REDIRECT);
		cache_put(&vm3, &t);
		write_door(&agent, DOVE_DOOR_SENT, PORT, &sent);
		check(counted(DOVE_DELIVERED_LOCAL) == 1, "not delivered");
		tap_expect(&port, &sent);
		tap_silent(&port);
	}
}

Test(door, R11_questions_that_waited_are_answered)
{
	struct dove_translation t = allow_to(&vm2);
	struct arp_fields a = arp_for(vm2.ip), reply = a;
	struct dove_ip target = ip6_of(vm2.ip);
	struct nd_fields n = solicitation_for(&target);
	struct frame f = frame_arp(&a), got;
	struct tap agent, port;

	begin("ARP");
	agent = agents_device();
	port = tap_open("port1");
	port_put(port.ifindex, &vm1, DOVE_PORT_VM);
	t.gate = DOVE_GATE_SHUT;
	cache_put(&vm2, &t);
	write_door(&agent, DOVE_DOOR_SENT, port.ifindex, &f);
	reply.operation = 2;
	memcpy(reply.dmac, vm1.mac, 6);
	memcpy(reply.smac, vm2.mac, 6);
	memcpy(reply.sender_mac, vm2.mac, 6);
	memcpy(reply.target_mac, vm1.mac, 6);
	reply.sender_ip = vm2.ip;
	reply.target_ip = vm1.ip;
	f = frame_arp(&reply);
	tap_expect(&port, &f);

	begin("neighbour discovery");
	port_put(port.ifindex, &vm1, DOVE_PORT_VM);
	cache_put(&vm2, &t);
	f = frame_nd(&n);
	write_door(&agent, DOVE_DOOR_SENT, port.ifindex, &f);
	check(counted(DOVE_ND_ANSWERED) == 1, "not answered");
	check(tap_read(&port, &got) && got.b[54] == 136, "no advertisement came to the VM");
}

Test(door, R11_lists_that_are_pending_are_open_to_it)
{
	struct tap agent, port;

	begin("devices");
	agent = agents_device();
	port = tap_open("port3");
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame v = to_many(f, &vm1);
		struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
		struct dove_group g = group_of(DOVE_GROUP_PORTS);
		struct frame sent = frame_vm(&v);

		begin(case_text("IPv%u", f ? 6 : 4));
		port_put(port.ifindex, &vm3, DOVE_PORT_VM);
		group_add_port(&g, port.ifindex, vm3.endpoint);
		g.gate = DOVE_GATE_SHUT;
		group_put(&key, &g);
		write_door(&agent, DOVE_DOOR_SENT, PORT, &sent);
		check(counted(DOVE_REPLICATED) == 1, "not replicated");
		tap_expect(&port, &sent);
		tap_silent(&port);
	}
}

/* ---- received ---- */

/* Whichever way the port gets its packets: the tunnel device is no way from here. */
Test(door, R15_received_is_delivered_once_its_policy_is_known)
{
	static const enum dove_delivery ways[] = { DOVE_DELIVER_REDIRECT, DOVE_DELIVER_TUNNEL };
	struct tap agent, port;

	begin("devices");
	agent = agents_device();
	port = tap_open("port3");
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		for (struct way w = {}; w.hook == AT_TC; way_next(&w)) {
			struct frame inner = the_inner(w.inner), f = wrap(w.outer, &inner);

			begin_way(&w, case_text("delivery %u", ways[i]));
			local_deliver(&vm3, port.ifindex, ways[i]);
			write_door(&agent, DOVE_DOOR_RECEIVED, PORT, &f);
			check(counted(DOVE_DELIVERED) == 1, "not delivered, but %s",
			      reason_name(dove->bss->door_reason));
			expect_door_reason(DOVE_DELIVERED);
			tap_expect(&port, &inner);
			tap_silent(&port);
			expect_quiet();
		}
	}
}

Test(door, R15_received_and_still_not_known)
{
	for (struct way w = {}; w.hook == AT_TC; way_next(&w)) {
		struct frame inner = the_inner(w.inner), f = wrap(w.outer, &inner);
		struct run r;

		begin_way(&w, "still not known");
		policy_del(BLUE, POLICY);
		r = run_door(DOVE_DOOR_RECEIVED, PORT, &f);
		expect_event(DOVE_EVENT_UNKNOWN);
		expect_still_open(&r, DOVE_HELD_UNKNOWN);

		begin_way(&w, "known now, and refused");
		policy_put(BLUE, POLICY, REVISION + 1, REVISION + 1);
		network_put(BLUE, REVISION + 1, 1);
		r = run_door(DOVE_DOOR_RECEIVED, PORT, &f);
		expect_event(DOVE_EVENT_REFUSED);
		expect_still_open(&r, DOVE_REFUSED);
	}
}

Test(door, R14_received_for_many)
{
	struct tap agent, port;

	begin("devices");
	agent = agents_device();
	port = tap_open("port3");
	for (struct way w = {}; w.hook == AT_TC; way_next(&w)) {
		struct vm_frame v = to_many(w.inner, &vm2);
		struct dove_group_key key = group_key(&v, &vm2, DOVE_GROUP_RECEIVED);
		struct dove_group g = group_of(DOVE_GROUP_PORTS);
		struct frame inner = frame_vm(&v), f = wrap(w.outer, &inner);

		begin_way(&w, "pending");
		port_put(port.ifindex, &vm3, DOVE_PORT_VM);
		budget_put(DOVE_BUDGET_NETWORK | BLUE, DOVE_BUDGET_COPIES, 10);
		group_add_port(&g, port.ifindex, vm3.endpoint);
		g.gate = DOVE_GATE_SHUT;
		group_put(&key, &g);
		write_door(&agent, DOVE_DOOR_RECEIVED, PORT, &f);
		check(counted(DOVE_REPLICATED) == 1, "not replicated, but %s",
		      reason_name(dove->bss->door_reason));
		tap_expect(&port, &inner);
		tap_silent(&port);
	}
}
