// SPDX-License-Identifier: Apache-2.0
/* dove_nic_egress: only a bridged port's frames are ours; and what dove_port does with those before. */
#include <string.h>

#include "answers.h"

#define MEMBER 55u /* a bridge's member, VM 1's */

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_NIC_EGRESS | PROG_PORT });
}

TestSuite(nic_egress, .init = load);

static void begin_bridged(const char *name)
{
	struct dove_translation t = allow_to(&vm2);

	begin(name);
	port_put(MEMBER, &vm1, DOVE_PORT_BRIDGED);
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
	expect_nothing_counted();
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

Test(nic_egress, R13_bridged_is_encapsulated_and_goes_on)
{
	struct frame want;
	struct run r;

	begin_bridged("bridged");
	r = leave(MEMBER, 0);
	expect_end(&r, TC_ACT_UNSPEC, DOVE_ENCAPSULATED);
	want = on_the_wire(V4, &r.in, &r.out);
	expect_bytes(&r.out, &want);
	check(!r.mark, "marked %x", r.mark);
	expect_quiet();
}

/* The next hop is behind another NIC, whose egress program then must know it. */
Test(nic_egress, R13_bridged_to_another_nic_is_marked)
{
	struct run r;

	begin_bridged("bridged");
	host2_put(4712, 0);
	r = leave(MEMBER, 0);
	expect_sent(&r, DOVE_ENCAPSULATED);
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
	addr_del(MEMBER, &vm1);
	r = leave(MEMBER, 0);
	expect_dropped(&r, DOVE_SPOOFED_IP);
}

/* ---- the member port's half ---- */

static void begin_member(const char *name)
{
	begin(name);
	port_put(PORT, &vm1, DOVE_PORT_BRIDGED);
}

Test(nic_egress, R6_member_port_steers_past_the_host)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct __sk_buff marked = { .ingress_ifindex = PORT, .mark = DOVE_MARK_ENCAPSULATED };
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = udp_in(f, &vm2);
		struct frame want = frame_vm(&v), in;
		struct run r;

		begin_member(case_text("IPv%u, known destination, frame to the host's own MAC", f ? 6 : 4));
		cache_put(&vm2, &t);
		memcpy(v.dmac, nic_mac, 6);
		in = frame_vm(&v);
		r = run_skb(dove->progs.dove_port, &in, &marked);
		expect_end(&r, TC_ACT_UNSPEC, DOVE_BRIDGED);
		expect_bytes(&r.out, &want);
		check(!r.mark, "mark %x is still on it", r.mark);
		expect_quiet();
	}
}

Test(nic_egress, R6_member_port_checks_the_sender)
{
	struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_NO_ENDPOINT);
	struct vm_frame v = udp_to(&vm2);
	struct run r;

	begin_member("unknown destination");
	r = run_vm(&v);
	expect_held(&r, DOVE_HELD_MISS);

	begin_member("no such endpoint");
	answer_put(&vm2, &t);
	r = run_vm(&v);
	expect_dropped(&r, DOVE_NO_ENDPOINT);

	begin_member("nobody had it, and the network has moved on");
	answer_put(&vm2, &t);
	network_put(BLUE, REVISION + 1, 1);
	r = run_vm(&v);
	expect_held(&r, DOVE_HELD_MISS);

	begin_member("broadcast, no list yet");
	memset(v.dmac, 0xff, 6);
	r = run_vm(&v);
	check(expect_held(&r, DOVE_HELD_MISS)->group == DOVE_GROUP_SENT + 1, "not the list's question");

	begin_member("spoofed address");
	v = udp_to(&vm2);
	v.src = ip_of(vm3.ip);
	r = run_vm(&v);
	expect_dropped(&r, DOVE_SPOOFED_IP);
}

/* ---- routed: the member port says so by a mark, the NIC's program does it ---- */

static struct vm_frame routed(enum family family, uint8_t ttl)
{
	struct vm_frame v = udp_in(family, &vm2);

	memcpy(v.dmac, gateway.mac, 6);
	v.ttl = ttl;
	return v;
}

/* As it is on its way over the bridge: to the destination's MAC, so that nobody else has a use for it. */
static struct vm_frame on_the_bridge(enum family family, uint8_t ttl)
{
	struct vm_frame v = routed(family, ttl);

	memcpy(v.dmac, vm2.mac, 6);
	return v;
}

Test(nic_egress, R3_member_port_marks_what_is_to_be_routed)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = routed(f, 1), want = on_the_bridge(f, 1);
		struct frame in = frame_vm(&v), out = frame_vm(&want);
		struct run r;

		begin_member(case_text("IPv%u", f ? 6 : 4));
		cache_put(&vm2, &t);
		r = run_skb(dove->progs.dove_port, &in, NULL);
		expect_end(&r, TC_ACT_UNSPEC, DOVE_BRIDGED);
		expect_bytes(&r.out, &out); /* as long to live as before */
		check(r.mark == DOVE_MARK_ROUTED, "mark %x", r.mark);
	}
}

static struct run leave_routed(const struct vm_frame *v)
{
	struct __sk_buff ctx = { .ingress_ifindex = MEMBER, .mark = DOVE_MARK_ROUTED };
	struct frame f = frame_vm(v);

	return run_skb(dove->progs.dove_nic_egress, &f, &ctx);
}

Test(nic_egress, R3_marked_is_routed)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame v = on_the_bridge(f, 64), next = v;
		struct frame inner, want;
		struct run r;

		begin_bridged(case_text("IPv%u", f ? 6 : 4));
		next.ttl--;
		memcpy(next.smac, gateway.mac, 6);
		inner = frame_vm(&next);
		r = leave_routed(&v);
		expect_end(&r, TC_ACT_UNSPEC, DOVE_ENCAPSULATED);
		want = on_the_wire(V4, &inner, &r.out);
		expect_bytes(&r.out, &want);
		check(!r.mark, "the mark %x stays on it", r.mark);
	}
}

/* It comes from the gateway, MAC and address, wherever on the host it is made. */
Test(nic_egress, R3_the_gateway_answers_from_its_own_mac)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_ip speaker = ip_in(f, gateway.ip);
		struct vm_frame v = on_the_bridge(f, 1);
		struct frame want;
		struct run r;

		begin_bridged(case_text("IPv%u, TTL 1", f ? 6 : 4));
		r = leave_routed(&v);
		expect_sent(&r, DOVE_EXPIRED_ANSWERED);
		want = icmp_error(&r.in, TOLD_EXPIRED, 0, &speaker);
		memcpy(want.b + 6, gateway.mac, 6);
		expect_bytes(&r.out, &want);
	}
}

/* What waits comes back by the door, which knows what is to be routed by the MAC alone. */
Test(nic_egress, R11_what_is_held_is_the_gateways_still)
{
	enum { OUTSIDE = 8001 };

	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_ip net = ip_in(f, vm2.ip), external = external_addr(OUTSIDE);
		struct vm_frame v = on_the_bridge(f, 64), as_sent = routed(f, 64);
		struct frame want = frame_vm(&as_sent);
		const struct dove_held *held;
		struct run r;

		begin_bridged(case_text("IPv%u", f ? 6 : 4));
		prefix_put(BLUE, &net, 8, OUTSIDE);
		r = leave_routed(&v);
		expect_end(&r, TC_ACT_SHOT, DOVE_HELD_MISS);
		held = take_packet();
		check(held && held->len == want.len && !memcmp(held->data, want.b, want.len),
		      "not as the VM sent it to the gateway");
		check(ip_is(&held->key.dst, &external), "not asked for the external network");
	}
}

/* Who has nobody's mark is not routed, whatever MAC it goes to. */
Test(nic_egress, R3_other_marks_mean_nothing)
{
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = on_the_bridge(V4, 1);
	struct __sk_buff ctx = { .ingress_ifindex = MEMBER, .mark = DOVE_MARK_ROUTED + 1 };
	struct frame f = frame_vm(&v), want;
	struct run r;

	begin_bridged("TTL 1, not routed");
	cache_put(&vm2, &t);
	r = run_skb(dove->progs.dove_nic_egress, &f, &ctx);
	expect_end(&r, TC_ACT_UNSPEC, DOVE_ENCAPSULATED);
	want = on_the_wire(V4, &r.in, &r.out);
	expect_bytes(&r.out, &want);
}

/* The gateway itself, and nobody, are answered for at the port. */
Test(nic_egress, R3_member_port_answers_for_the_gateway)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = answer_to(&gateway, DOVE_VERDICT_GATEWAY);
		struct dove_ip speaker = ip_in(f, gateway.ip);
		struct vm_frame v = echo_in(f, &gateway);
		struct run r;

		begin_member(case_text("IPv%u, ping", f ? 6 : 4));
		answer_put(&gateway, &t);
		r = run_vm(&v);
		expect_sent(&r, DOVE_GATEWAY_ANSWERED);

		begin_member(case_text("IPv%u, nobody there", f ? 6 : 4));
		t = answer_to(&vm2, DOVE_VERDICT_NO_ENDPOINT);
		answer_put(&vm2, &t);
		v = routed(f, 64);
		r = run_vm(&v);
		expect_told(&r, DOVE_UNREACHABLE_ANSWERED, TOLD_HOST, 0, &speaker);
	}
}

Test(nic_egress, R4_bridged_to_a_neighbour)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct __sk_buff ctx = { .ingress_ifindex = MEMBER };
		struct dove_translation t = allow_to(&vm3);
		struct vm_frame v = udp_in(f, &vm3);
		struct frame in = frame_vm(&v);
		struct run r;

		begin_bridged(case_text("IPv%u", f ? 6 : 4));
		cache_put(&vm3, &t);
		r = run_skb(dove->progs.dove_nic_egress, &in, &ctx);
		expect_sent(&r, DOVE_DELIVERED_LOCAL);
		expect_bytes(&r.out, &r.in);
	}
}
