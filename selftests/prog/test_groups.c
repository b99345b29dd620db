// SPDX-License-Identifier: Apache-2.0
/* What a VM sends to many: a copy for each that is on the list, and only for those. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "answers.h"
#include "groups.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT | PROG_NIC_EGRESS });
}

TestSuite(groups, .init = load);

/* Two more VMs here, and the NIC. */
static const struct vm vm4 = { 0x0a01000e, 104, { 0x02, 0, 0, 0, 1, 4 } };
static struct tap tap3, tap4, nic;

static void taps_open(void)
{
	begin("taps");
	tap3 = tap_open("port3");
	tap4 = tap_open("port4");
	nic = tap_open("nic");
}

static void begin_many(enum family f, const char *name)
{
	begin(case_text("IPv%u: %s", f ? 6 : 4, name));
	port_put(tap3.ifindex, &vm3, DOVE_PORT_VM);
	port_put(tap4.ifindex, &vm4, DOVE_PORT_VM);
	host2_put(nic.ifindex, 0);
}

static struct dove_group both_ports(void)
{
	struct dove_group g = group_of(DOVE_GROUP_PORTS);

	group_add_port(&g, tap3.ifindex, vm3.endpoint);
	group_add_port(&g, tap4.ifindex, vm4.endpoint);
	return g;
}

static struct dove_group host2_in(enum family outer)
{
	struct dove_group g = group_of(outer == V6 ? DOVE_GROUP_HOSTS_V6 : DOVE_GROUP_HOSTS_V4);
	struct dove_ip host = ip_in(outer, HOST2);

	group_add_host(&g, &host);
	return g;
}

/* The packet itself ends here, all that goes on are copies. */
static void expect_replicated(const struct run *r)
{
	expect_end(r, TC_ACT_SHOT, DOVE_REPLICATED);
	expect_quiet();
}

static void all_silent(void)
{
	tap_silent(&tap3);
	tap_silent(&tap4);
	tap_silent(&nic);
}

/* On the underlay it is under no policy, but as of the list's revision. */
static void expect_copy_to_host2(enum family outer, const struct frame *inner, uint64_t revision)
{
	struct outer_frame o;
	struct frame got, want;

	check(tap_read(&nic, &got), "nothing left by the NIC");
	o = outer_to_host2(outer, &got);
	o.policy = 0;
	o.sequence = (uint32_t)revision;
	want = frame_encapsulated(&o, inner);
	expect_bytes(&got, &want);
}

/* ---- who gets it ---- */

Test(groups, R4_neighbours_get_a_copy_each)
{
	taps_open();
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame v = to_many(f, &vm1);
		struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
		struct dove_group g = both_ports();
		struct run r;

		begin_many(f, "two of them");
		group_put(&key, &g);
		r = run_vm(&v);
		expect_replicated(&r);
		tap_expect(&tap3, &r.in);
		tap_expect(&tap4, &r.in);
		all_silent();
	}
}

/* Indexes are used again, and lists outlive ports; nor does the sender hear itself. */
Test(groups, R6_only_those_who_are_still_there)
{
	struct vm_frame v = to_many(V4, &vm1);
	struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
	struct frame f = frame_vm(&v);
	struct dove_group g;
	struct run r;

	taps_open();
	g = both_ports();
	begin_many(V4, "one is no port any more");
	group_put(&key, &g);
	map_del(dove_ports, &tap3.ifindex);
	r = run_vm(&v);
	expect_replicated(&r);
	tap_expect(&tap4, &r.in);
	all_silent();

	begin_many(V4, "one is another VM's now");
	group_put(&key, &g);
	port_put(tap3.ifindex, &vm2, DOVE_PORT_VM);
	r = run_vm(&v);
	expect_replicated(&r);
	tap_expect(&tap4, &r.in);
	all_silent();

	begin_many(V4, "the sender's own");
	port_put(tap3.ifindex, &vm1, DOVE_PORT_VM);
	g.at[0].endpoint = vm1.endpoint;
	group_put(&key, &g);
	r = run_port_at(tap3.ifindex, &f);
	expect_replicated(&r);
	tap_expect(&tap4, &r.in);
	all_silent();
}

Test(groups, R3_other_hosts_get_a_copy_each)
{
	taps_open();
	for (unsigned mix = 0; mix < 4; mix++) {
		enum family inner = mix & 1, outer = mix >> 1;
		struct vm_frame v = to_many(inner, &vm1);
		struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
		struct dove_group g = host2_in(outer);
		struct run r;

		begin_many(inner, case_text("in IPv%u", outer ? 6 : 4));
		g.revision = REVISION + 0x100000003;
		group_put(&key, &g);
		r = run_vm(&v);
		expect_replicated(&r);
		expect_copy_to_host2(outer, &r.in, REVISION + 3);
		all_silent();
	}
}

/* Ports, hosts over IPv4, hosts over IPv6: the frame grows from part to part. */
Test(groups, R3_a_list_of_all_kinds)
{
	taps_open();
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame v = to_many(f, &vm1);
		struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
		struct dove_group ports = both_ports(), v4 = host2_in(V4), v6 = host2_in(V6);
		struct dove_ip again = ip_of(HOST2);
		struct run r;

		begin_many(f, "three parts");
		group_add_host(&v4, &again);
		group_put_part(&key, 0, &ports, true);
		group_put_part(&key, 1, &v4, true);
		group_put_part(&key, 2, &v6, false);
		r = run_vm(&v);
		expect_replicated(&r);
		tap_expect(&tap3, &r.in);
		tap_expect(&tap4, &r.in);
		expect_copy_to_host2(V4, &r.in, REVISION);
		expect_copy_to_host2(V4, &r.in, REVISION);
		expect_copy_to_host2(V6, &r.in, REVISION);
		all_silent();
	}
}

/* Every part has up to 64, and there are up to 16 parts; a list that lacks one ends there. */
Test(groups, R3_long_lists)
{
	struct vm_frame v = to_many(V4, &vm1);
	struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
	struct dove_group g = group_of(DOVE_GROUP_PORTS);
	unsigned copies = 0;
	struct frame got;
	struct run r;

	taps_open();
	while (g.n < DOVE_TARGETS_MAX)
		group_add_port(&g, tap3.ifindex, vm3.endpoint);

	begin_many(V4, "64 of them");
	group_put(&key, &g);
	r = run_vm(&v);
	expect_replicated(&r);
	while (copies < DOVE_TARGETS_MAX && tap_read(&tap3, &got))
		copies++;
	check(copies == DOVE_TARGETS_MAX, "%u copies", copies);
	all_silent();

	begin_many(V4, "16 parts of one, and a 17th");
	g.n = 1;
	for (unsigned part = 0; part < DOVE_GROUP_PARTS_MAX + 1; part++)
		group_put_part(&key, part, &g, true);
	r = run_vm(&v);
	expect_replicated(&r);
	for (copies = 0; copies < DOVE_GROUP_PARTS_MAX && tap_read(&tap3, &got); copies++)
		;
	check(copies == DOVE_GROUP_PARTS_MAX, "%u copies", copies);
	all_silent();

	begin_many(V4, "the second part is gone");
	group_put_part(&key, 0, &g, true);
	group_put_part(&key, 2, &g, false);
	r = run_vm(&v);
	expect_replicated(&r);
	tap_expect(&tap3, &r.in);
	all_silent();
}

Test(groups, R3_hosts_that_cannot_have_it_are_left_out)
{
	struct vm_frame v = to_many(V4, &vm1);
	struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
	struct dove_ip host1 = ip_of(HOST1), host2 = ip_of(HOST2), nobody = ip_of(0xc6336409);
	struct dove_group g = group_of(DOVE_GROUP_HOSTS_V4);
	struct dove_host host;
	struct run r;

	taps_open();
	group_add_host(&g, &nobody);
	group_add_host(&g, &host1); /* has no next hop */
	group_add_host(&g, &host2);
	begin_many(V4, "unknown, unreachable, well");
	group_put(&key, &g);
	will_count(DOVE_COUNT_COPIES_LOST, 2);
	r = run_vm(&v);
	expect_replicated(&r);
	expect_copy_to_host2(V4, &r.in, REVISION);
	all_silent();

	begin_many(V4, "its next hop was lost");
	group_put(&key, &g);
	map_get(dove_hosts, &host2, &host);
	host.flags = 0;
	map_put(dove_hosts, &host2, &host);
	will_count(DOVE_COUNT_COPIES_LOST, 3);
	r = run_vm(&v);
	expect_replicated(&r);
	all_silent();
}

/* ---- too big for some ---- */

static void begin_of_size(enum family f, const char *name, struct vm_frame *v, uint32_t ip_len)
{
	struct dove_group_key key;
	struct dove_group ports = both_ports(), v4 = host2_in(V4), v6 = host2_in(V6);

	*v = to_many(f, &vm1);
	v->payload = ip_len - (f == V6 ? 40 : 20) - 8;
	key = group_key(v, &vm1, DOVE_GROUP_SENT);
	begin_many(f, name);
	group_put_part(&key, 0, &ports, true);
	group_put_part(&key, 1, &v4, true);
	group_put_part(&key, 2, &v6, false);
}

/* RFC 1122, 3.2.2: nobody is told; those get it who can. */
Test(groups, R13_ipv4_too_big_for_some_hosts)
{
	struct vm_frame v;
	struct run r;

	taps_open();
	begin_of_size(V4, "just fits", &v, HOST2_MTU6);
	r = run_vm(&v);
	expect_replicated(&r);
	tap_expect(&tap3, &r.in);
	tap_expect(&tap4, &r.in);
	expect_copy_to_host2(V4, &r.in, REVISION);
	expect_copy_to_host2(V6, &r.in, REVISION);

	begin_of_size(V4, "over IPv6 it does not", &v, HOST2_MTU6 + 1);
	r = run_vm(&v);
	expect_dropped(&r, DOVE_TOO_BIG);
	tap_expect(&tap3, &r.in);
	tap_expect(&tap4, &r.in);
	expect_copy_to_host2(V4, &r.in, REVISION);
	all_silent();
}

/* RFC 4443, 2.4 (e.3): its sender is told what fits all, by its gateway, and goes on in fragments. */
Test(groups, R13_ipv6_too_big_for_some_hosts)
{
	static const char *const gateways[] = { "2001:db8::a01:1", "::" };
	struct dove_addr_key key = { .addr = ip6_of(vm1.ip), .vnid = BLUE, .ifindex = PORT };

	taps_open();
	for (size_t i = 0; i < ARRAY_SIZE(gateways); i++) {
		struct dove_ip speaker = i ? ip6_text("fe80::d0:7eff:fe00:1") : ip6_text(gateways[0]);
		struct dove_addr known;
		struct vm_frame v;
		struct frame want;
		struct run r;

		begin_of_size(V6, case_text("gateway %s", gateways[i]), &v, HOST2_MTU6 + 1);
		check(map_get(dove_addrs, &key, &known), "no address");
		known.gateway = ip6_text(gateways[i]);
		map_put(dove_addrs, &key, &known);
		r = run_vm(&v);
		expect_sent(&r, DOVE_TOO_BIG_ANSWERED);
		want = icmp_error(&r.in, TOLD_TOO_BIG, HOST2_MTU6, &speaker);
		memcpy(want.b + 6, gateway.mac, 6);
		expect_bytes(&r.out, &want);
		all_silent();
	}
}

Test(groups, R13_ipv6_that_fits_all_is_not_answered)
{
	struct vm_frame v;
	struct run r;

	taps_open();
	begin_of_size(V6, "just fits", &v, HOST2_MTU6);
	r = run_vm(&v);
	expect_replicated(&r);
	tap_expect(&tap3, &r.in);
	tap_expect(&tap4, &r.in);
	expect_copy_to_host2(V4, &r.in, REVISION);
	expect_copy_to_host2(V6, &r.in, REVISION);

	begin_of_size(V6, "too big, and nobody may be told", &v, HOST2_MTU6 + 1);
	budget_put(PORT, DOVE_BUDGET_ANSWERS, 0);
	r = run_vm(&v);
	expect_dropped(&r, DOVE_TOO_BIG);
	all_silent();
}

/* ---- fragments ---- */

Test(groups, R9_later_fragments_go_where_their_first_went)
{
	taps_open();
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame v = to_many(f, &vm1);
		struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
		struct dove_group g = both_ports();
		struct run r;

		begin_many(f, "first not seen");
		group_put(&key, &g);
		v.id = 0x99;
		v.frag_off = 70;
		r = run_vm(&v);
		expect_dropped(&r, DOVE_FRAGMENT);
		all_silent();

		counters_clear();
		v.frag_off = MORE_FRAGMENTS;
		r = run_vm(&v);
		expect_replicated(&r);
		tap_expect(&tap3, &r.in);
		tap_expect(&tap4, &r.in);

		counters_clear();
		v.frag_off = 70;
		r = run_vm(&v);
		expect_replicated(&r);
		tap_expect(&tap3, &r.in);
		tap_expect(&tap4, &r.in);
		all_silent();
	}
}

/* A NIC that is a bridge's member has a program of ours at its egress, which must know them for what they are. */
Test(groups, R13_copies_pass_the_nics_program_as_they_are)
{
	struct vm_frame v = to_many(V4, &vm1);
	struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
	struct dove_group v4 = host2_in(V4), v6 = host2_in(V6);
	struct frame f = frame_vm(&v);
	struct run r;

	taps_open();
	tap_attach(&nic, dove->progs.dove_nic_egress);
	begin_many(V4, "from a bridge's member");
	port_put(tap3.ifindex, &vm1, DOVE_PORT_BRIDGED);
	group_put_part(&key, 0, &v4, true);
	group_put_part(&key, 1, &v6, false);
	r = run_port_at(tap3.ifindex, &f);
	expect_replicated(&r);
	expect_copy_to_host2(V4, &r.in, REVISION);
	expect_copy_to_host2(V6, &r.in, REVISION);
	all_silent();
}

/* ---- whether the list is good ---- */

static void expect_asked(const struct run *r, const struct vm_frame *v)
{
	const struct dove_held *held = expect_held(r, DOVE_HELD_MISS);

	check(held->group == DOVE_GROUP_SENT + 1, "group %u", held->group);
	check(held->vnid == BLUE && held->ifindex == PORT && held->key.source == vm1.endpoint &&
		      held->key.from_port == v->from_port && held->key.to_port == v->to_port &&
		      held->key.proto == v->proto && ip_is(&held->key.dst, &v->dst),
	      "the record's key");
	all_silent();
}

Test(groups, R11_no_list_is_asked_for)
{
	taps_open();
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame v = to_many(f, &vm1);
		struct run r;

		begin_many(f, "none");
		r = run_vm(&v);
		expect_asked(&r, &v);
	}
}

/* Each field of the question. */
Test(groups, R9_another_packets_list_is_none)
{
	static const char *const fields[] = { "network",	  "sender",   "source port",
					      "destination port", "protocol", "side" };

	taps_open();
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		struct vm_frame v = to_many(V4, &vm1);
		struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
		struct dove_group g = both_ports();
		struct run r;

		begin_many(V4, fields[i]);
		key.vnid ^= i == 0;
		key.source ^= i == 1;
		key.from_port ^= i == 2;
		key.to_port ^= i == 3;
		key.proto ^= i == 4;
		key.side ^= i == 5;
		group_put(&key, &g);
		r = run_vm(&v);
		expect_asked(&r, &v);
	}
}

Test(groups, R15_a_list_holds_for_one_revision)
{
	static const struct {
		const char *name;
		int64_t revision, expires;
		uint64_t gate;
		bool good;
	} cases[] = {
		{ "of this revision", 0, 60, 0, true },
		{ "of a newer one", 1, 60, 0, true },
		{ "of an older one", -1, 60, 0, false },
		{ "expired", 0, -1, 0, false },
		{ "others wait for it", 0, 60, DOVE_GATE_SHUT, false },
	};

	taps_open();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vm_frame v = to_many(V4, &vm1);
		struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
		struct dove_group g = both_ports();
		struct run r;

		begin_many(V4, cases[i].name);
		g.revision = REVISION + cases[i].revision;
		g.expires = now_ns() + cases[i].expires * SECOND;
		g.gate = cases[i].gate;
		group_put(&key, &g);
		r = run_vm(&v);
		if (!cases[i].good) {
			expect_asked(&r, &v);
			continue;
		}
		expect_replicated(&r);
		tap_expect(&tap3, &r.in);
		tap_expect(&tap4, &r.in);
	}
}

static struct dove_group group_now(const struct dove_group_key *key)
{
	struct dove_group g;

	check(map_get(dove_groups, key, &g), "the list is gone");
	return g;
}

/* dove_open_group for the list; the gate as it came back. */
static int open_group(const struct dove_group_key *key, uint64_t expires, uint64_t expected, uint64_t *was)
{
	struct dove_group_opening opening = { .key = *key, .expires = expires, .gate = expected };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &opening, .ctx_size_in = sizeof(opening));

	check(!bpf_prog_test_run_opts(bpf_program__fd(dove->progs.dove_open_group), &opts),
	      "dove_open_group: %s", strerror(errno));
	*was = opening.gate;
	return opts.retval;
}

Test(groups, R11_who_comes_while_others_wait_is_counted_and_held)
{
	const uint64_t two = DOVE_GATE_SHUT | (2 * DOVE_GATE_HELD + 2);
	struct vm_frame v = to_many(V4, &vm1);
	struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
	struct dove_group g;
	struct run r;
	uint64_t was;

	taps_open();
	g = both_ports();
	begin_many(V4, "two packets meet a shut gate");
	g.gate = DOVE_GATE_SHUT;
	group_put(&key, &g);
	for (int i = 0; i < 2; i++) {
		r = run_vm(&v);
		expect_asked(&r, &v);
		counters_clear();
	}
	check(group_now(&key).gate == two, "gate %llx", (unsigned long long)group_now(&key).gate);

	/* Who has seen one alone can't open it; nor who speaks of another list; who has seen both can. */
	check(open_group(&key, g.expires, DOVE_GATE_SHUT | (DOVE_GATE_HELD + 1), &was) && was == two,
	      "gate %llx", (unsigned long long)was);
	check(!open_group(&key, g.expires + 1, two, &was) && group_now(&key).gate == two, "gate %llx",
	      (unsigned long long)group_now(&key).gate);
	check(!open_group(&key, g.expires, two, &was) && !group_now(&key).gate, "gate %llx",
	      (unsigned long long)group_now(&key).gate);
	r = run_vm(&v);
	expect_replicated(&r);
	tap_expect(&tap3, &r.in);
	tap_expect(&tap4, &r.in);
}

Test(groups, R15_what_network_nobody_watches_has_no_lists)
{
	struct vm_frame v = to_many(V4, &vm1);
	struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
	struct dove_group g;
	struct run r;

	taps_open();
	g = both_ports();
	begin_many(V4, "not watched");
	group_put(&key, &g);
	map_del(dove_networks, &(uint32_t){ BLUE });
	r = run_vm(&v);
	expect_asked(&r, &v);
}

Test(groups, R8_a_network_may_carry_none)
{
	struct vm_frame v = to_many(V4, &vm1);
	struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
	struct dove_group g;
	struct run r;

	taps_open();
	g = both_ports();
	begin_many(V4, "off");
	g.off = 1;
	group_put(&key, &g);
	r = run_vm(&v);
	expect_dropped(&r, DOVE_MULTICAST);
	all_silent();
}

/* ---- what it costs ---- */

Test(groups, R11_a_port_that_sends_much_to_many_harms_only_itself)
{
	struct vm_frame v = to_many(V4, &vm1);
	struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
	struct dove_group g;
	struct run r;

	taps_open();
	g = both_ports();
	begin_many(V4, "four copies at once");
	group_put(&key, &g);
	budget_put(PORT, DOVE_BUDGET_COPIES, 4);
	for (int i = 0; i < 2; i++) {
		counters_clear();
		r = run_vm(&v);
		expect_replicated(&r);
		tap_expect(&tap3, &r.in);
		tap_expect(&tap4, &r.in);
	}
	counters_clear();
	r = run_vm(&v);
	expect_dropped(&r, DOVE_GROUP_LIMITED);
	all_silent();

	begin_many(V4, "enough for the first part alone");
	group_put_part(&key, 0, &g, true);
	g = host2_in(V4);
	group_put_part(&key, 1, &g, false);
	budget_put(PORT, DOVE_BUDGET_COPIES, 2);
	r = run_vm(&v);
	expect_dropped(&r, DOVE_GROUP_LIMITED);
	tap_expect(&tap3, &r.in);
	tap_expect(&tap4, &r.in);
	all_silent();
}

/* ---- in whose name ---- */

static struct vm_frame dhcp_discover(void)
{
	struct vm_frame v = to_many(V4, &vm1);

	v.src = ip_of(0);
	v.from_port = 68;
	v.to_port = 67;
	return v;
}

static struct vm_frame mld_report(void)
{
	struct vm_frame v = to_many(V6, &vm1);

	v.src = ip6_text("::");
	v.dst = ip6_text("ff02::16");
	multicast_mac(v.dmac, &v.dst);
	v.extension[0].type = 0;
	v.n_extensions = 1;
	v.proto = 58;
	v.icmp = 143 << 8;
	v.ttl = 1;
	v.from_port = v.to_port = 0;
	return v;
}

/* RFC 2131, RFC 3810: the port says who it is. */
Test(groups, R6_who_has_no_address_yet_may_ask_many)
{
	const struct vm_frame cases[] = { dhcp_discover(), mld_report() };

	taps_open();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dove_group_key key = group_key(&cases[i], &vm1, DOVE_GROUP_SENT);
		struct dove_group g = both_ports();
		struct run r;

		begin_many(i, i ? "MLD report" : "DHCP");
		group_put(&key, &g);
		r = run_vm(&cases[i]);
		expect_replicated(&r);
		tap_expect(&tap3, &r.in);
		tap_expect(&tap4, &r.in);
	}
}

Test(groups, R6_no_other_address_may_be_made_up)
{
	static const char *const sources6[] = { "fe80::1", "::1", "2001:db8::a01:c", "ff02::1" };
	static const uint32_t sources4[] = { 0x0a01000c, 0xffffffff, 0x7f000001, 0xe0000001, 1 };
	struct vm_frame v;
	struct run r;

	taps_open();
	for (size_t i = 0; i < ARRAY_SIZE(sources4); i++) {
		begin_many(V4, case_text("%08x", sources4[i]));
		v = to_many(V4, &vm1);
		v.src = ip_of(sources4[i]);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_IP);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sources6); i++) {
		begin_many(V6, sources6[i]);
		v = to_many(V6, &vm1);
		v.src = ip6_text(sources6[i]);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_IP);
	}
	begin_many(V4, "another MAC");
	v = to_many(V4, &vm1);
	v.src = ip_of(0);
	v.smac[5]++;
	r = run_vm(&v);
	expect_dropped(&r, DOVE_SPOOFED_MAC);
}
