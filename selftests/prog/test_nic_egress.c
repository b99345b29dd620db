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
