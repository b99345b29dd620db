// SPDX-License-Identifier: Apache-2.0
/* What arrives for many: a copy for each VM here that is on the list. XDP leaves it to TC. */
#include <string.h>

#include "groups.h"
#include "ingress.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_NIC_INGRESS | PROG_XDP });
}

TestSuite(groups_received, .init = load);

static struct tap tap1, tap3;

static void taps_open(void)
{
	begin("taps");
	tap1 = tap_open("port1");
	tap3 = tap_open("port3");
}

static void begin_received(const struct way *w, const char *name)
{
	begin_way(w, name);
	port_put(tap1.ifindex, &vm1, DOVE_PORT_VM);
	port_put(tap3.ifindex, &vm3, DOVE_PORT_VM);
	map_del(dove_budgets, &(uint32_t){ PORT }); /* the network pays */
	budget_put(DOVE_BUDGET_NETWORK | BLUE, DOVE_BUDGET_COPIES, 100);
	budget_put(DOVE_BUDGET_NETWORK | BLUE, DOVE_BUDGET_HELD, 100000);
}

static struct dove_group both_ports(void)
{
	struct dove_group g = group_of(DOVE_GROUP_PORTS);

	group_add_port(&g, tap1.ifindex, vm1.endpoint);
	group_add_port(&g, tap3.ifindex, vm3.endpoint);
	return g;
}

static struct dove_group_key key_in(enum family f)
{
	struct vm_frame v = to_many(f, &vm2);

	return group_key(&v, &vm2, DOVE_GROUP_RECEIVED);
}

/* VM 2's packet to many as its host sends it: under no policy. */
static struct frame sent_by_host2(const struct way *w, const struct vm_frame *v, uint8_t outer_tos)
{
	struct outer_frame o = outer_from_host2(w->outer);
	struct frame inner = frame_vm(v);

	o.policy = 0;
	o.tos = outer_tos;
	return frame_encapsulated(&o, &inner);
}

static struct frame many_from_host2(const struct way *w)
{
	struct vm_frame v = to_many(w->inner, &vm2);

	return sent_by_host2(w, &v, 0);
}

static void all_silent(void)
{
	tap_silent(&tap1);
	tap_silent(&tap3);
}

static void expect_replicated(const struct run *r, const struct frame *copy)
{
	expect_end(r, TC_ACT_SHOT, DOVE_REPLICATED);
	expect_quiet();
	tap_expect(&tap1, copy);
	tap_expect(&tap3, copy);
	all_silent();
}

Test(groups_received, R14_a_copy_for_each_that_is_here)
{
	taps_open();
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct vm_frame v = to_many(w.inner, &vm2);
		struct frame f = many_from_host2(&w), copy = frame_vm(&v);
		struct dove_group_key key = key_in(w.inner);
		struct dove_group g = both_ports();
		struct run r;

		begin_received(&w, "two of them");
		group_put(&key, &g);
		r = arrive(w.hook, &f);
		if (w.hook == AT_XDP)
			expect_untouched_by_xdp(&r);
		else
			expect_replicated(&r, &copy);
	}
}

static void expect_asked(const struct way *w, const struct run *r)
{
	const struct dove_held *held;

	expect_end(r, TC_ACT_SHOT, DOVE_HELD_MISS);
	held = expect_record(r, DOVE_HELD_MISS);
	check(held->group == DOVE_GROUP_RECEIVED + 1 && held->vnid == BLUE && held->ifindex == PORT &&
		      held->key.source == vm2.endpoint && held->key.proto == 17 && held->key.to_port == 53,
	      "group %u, network %x, source %u", held->group, held->vnid, held->key.source);
	expect_quiet();
	all_silent();
}

/* The whole frame is held as it came, for the door. */
Test(groups_received, R11_no_list_is_asked_for)
{
	taps_open();
	for (struct way w = {}; w.hook == AT_TC; way_next(&w)) {
		struct frame f = many_from_host2(&w);
		struct dove_group_key key = key_in(w.inner);
		struct dove_group g = both_ports();
		struct run r;

		begin_received(&w, "none");
		r = arrive(w.hook, &f);
		expect_asked(&w, &r);

		begin_received(&w, "that of the sender's side");
		key.side = DOVE_GROUP_SENT;
		group_put(&key, &g);
		r = arrive(w.hook, &f);
		expect_asked(&w, &r);

		begin_received(&w, "of an older revision");
		key.side = DOVE_GROUP_RECEIVED;
		g.revision--;
		group_put(&key, &g);
		r = arrive(w.hook, &f);
		expect_asked(&w, &r);

		begin_received(&w, "pending");
		g.revision++;
		g.gate = DOVE_GATE_SHUT;
		group_put(&key, &g);
		r = arrive(w.hook, &f);
		expect_asked(&w, &r);
	}
}

/* What strangers to a network send to many costs that network alone, and nothing where it has no budget. */
Test(groups_received, R11_the_network_pays)
{
	taps_open();
	for (struct way w = {}; w.hook == AT_TC; way_next(&w)) {
		struct frame f = many_from_host2(&w);
		struct dove_group_key key = key_in(w.inner);
		struct dove_group g = both_ports();
		struct run r;

		begin_received(&w, "no copies left");
		group_put(&key, &g);
		budget_put(DOVE_BUDGET_NETWORK | BLUE, DOVE_BUDGET_COPIES, 0);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_GROUP_LIMITED);
		all_silent();

		begin_received(&w, "no questions left");
		budget_put(DOVE_BUDGET_NETWORK | BLUE, DOVE_BUDGET_HELD, 0);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_MISS_LIMITED);
		expect_quiet();

		begin_received(&w, "a network that is not served");
		frame_put(&f, outer_at(w.outer, OUTER_AT(geneve.vni)), 4, GREEN << 8);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_MISS_LIMITED);
		expect_quiet();
	}
}

Test(groups_received, R8_a_network_may_carry_none)
{
	taps_open();
	for (struct way w = {}; w.hook == AT_TC; way_next(&w)) {
		struct frame f = many_from_host2(&w);
		struct dove_group_key key = key_in(w.inner);
		struct dove_group g = both_ports();
		struct run r;

		begin_received(&w, "off");
		g.off = 1;
		group_put(&key, &g);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_MULTICAST);
		all_silent();
	}
}

Test(groups_received, R14_strangers_are_not_heard)
{
	taps_open();
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct frame f = many_from_host2(&w);
		struct dove_group_key key = key_in(w.inner);
		struct dove_group g = both_ports();
		struct dove_ip host2 = ip_in(w.outer, HOST2);
		struct run r;

		begin_received(&w, "no host of ours");
		group_put(&key, &g);
		map_del(dove_hosts, &host2);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_UNKNOWN_HOST);
		all_silent();
	}
}

/* RFC 6040 holds for copies as for all that is decapsulated. */
Test(groups_received, R14_congestion_marks_reach_the_copies)
{
	taps_open();
	for (struct way w = {}; w.hook == AT_TC; way_next(&w)) {
		struct vm_frame v = to_many(w.inner, &vm2);
		struct dove_group_key key = key_in(w.inner);
		struct dove_group g = both_ports();
		struct frame f, copy;
		struct run r;

		begin_received(&w, "ECT(0), marked on the way");
		group_put(&key, &g);
		v.tos = 2;
		f = sent_by_host2(&w, &v, 3);
		v.tos = 3;
		copy = frame_vm(&v);
		r = arrive(w.hook, &f);
		expect_replicated(&r, &copy);

		begin_received(&w, "knows no ECN, marked on the way");
		group_put(&key, &g);
		v.tos = 0;
		f = sent_by_host2(&w, &v, 3);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_CONGESTED);
		all_silent();
	}
}
