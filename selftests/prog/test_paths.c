// SPDX-License-Identifier: Apache-2.0
/* Packets that policies lead through services: from their sender, at a hop, out of an appliance, at their destination. */
#include <string.h>

#include "ingress.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT | PROG_NIC_INGRESS | PROG_XDP });
}

TestSuite(paths, .init = load);

#define PATH 1u
#define FIREWALL 71u
#define IPS 72u
#define OTHER_PORT 93u /* of the appliance, that packets go into */

static void path_put(uint32_t n, uint32_t flags)
{
	uint32_t number = PATH;

	map_put(dove_paths, &number,
		&((struct dove_path){ .n = n, .flags = flags, .mask = 3, .services = { FIREWALL, IPS } }));
}

static void hop_put(uint32_t service, const struct dove_hop *hop)
{
	for (uint32_t slot = 0; slot < DOVE_SLOTS; slot++)
		map_put(dove_hops, &((struct dove_hop_key){ .service = service, .slot = slot }), hop);
}

/* An appliance here: what goes in at OTHER_PORT comes out at PORT. */
static void appliance_put(uint32_t service)
{
	hop_put(service, &(struct dove_hop){ .endpoint = 500, .in = OTHER_PORT, .out = PORT });
}

static void appliance_elsewhere(uint32_t service)
{
	hop_put(service, &(struct dove_hop){ .endpoint = 500, .host = ip_in(V4, HOST2) });
}

static struct dove_translation through(const struct vm *to, bool local)
{
	struct dove_translation t = allow_to(to);

	t.path = PATH;
	t.floor = POLICY_FLOOR;
	t.local = local;
	return t;
}

/* What this host knows of VM 2's packets to VM 3, which is here: they go through services. */
static void hop_knows(enum family f, const struct dove_translation *t)
{
	struct dove_cache_key key = pair_key_in(f, &vm3);

	key.source = vm2.endpoint;
	map_put(dove_cache, &key, t);
}

static void host2_flags(uint32_t flags)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_ip key = ip_in(f, HOST2);
		struct dove_host host;

		check(map_get(dove_hosts, &key, &host), "no host 2");
		host.flags = flags;
		map_put(dove_hosts, &key, &host);
	}
}

static struct frame staged(const struct way *w, uint8_t stage_flags)
{
	struct outer_frame o = outer_from_host2(w->outer);
	struct frame inner = the_inner(w->inner);

	o.stage_flags = stage_flags;
	return frame_encapsulated(&o, &inner);
}

/* ---- from a VM ---- */

Test(paths, R13_the_first_service_is_the_first_stop)
{
	static const struct {
		const char *name;
		uint32_t n;
		uint8_t flags, stage;
	} cases[] = {
		{ "one service", 1, 0, 0x10 },
		{ "two", 2, 0, 0x20 },
		{ "two, and the flow is remembered at its end", 2, DOVE_RULE_TRACK, 0x20 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dove_translation t = through(&vm2, false);
		struct vm_frame v = udp_to(&vm2);
		struct run r;

		begin(cases[i].name);
		path_put(cases[i].n, 0);
		appliance_elsewhere(FIREWALL);
		t.host = ip_in(V4, 0xcb007109); /* nobody knows the way there, nor need it be known */
		t.flags = cases[i].flags;
		cache_put(&vm2, &t);
		r = run_vm(&v);
		expect_sent(&r, DOVE_ENCAPSULATED);
		check(frame_get(&r.out, OUTER_AT(option.stage_vnid), 1) == cases[i].stage, "stage %02x",
		      frame_get(&r.out, OUTER_AT(option.stage_vnid), 1));
		check(frame_get(&r.out, OUTER_AT(option.policy), 4) == POLICY, "policy");
	}
}

Test(paths, R13_no_live_instance)
{
	struct dove_translation t = through(&vm2, false);
	struct vm_frame v = udp_to(&vm2);
	struct run r;

	begin("closed");
	path_put(2, 0);
	appliance_elsewhere(IPS);
	cache_put(&vm2, &t);
	r = run_vm(&v);
	expect_dropped(&r, DOVE_NO_SERVICE);
	begin("open: the next one");
	path_put(2, DOVE_PATH_OPEN);
	appliance_elsewhere(IPS);
	cache_put(&vm2, &t);
	r = run_vm(&v);
	expect_sent(&r, DOVE_ENCAPSULATED);
	check(frame_get(&r.out, OUTER_AT(option.stage_vnid), 1) == 0x10, "stage");
	begin("open: none is left");
	path_put(2, DOVE_PATH_OPEN);
	cache_put(&vm2, &t);
	r = run_vm(&v);
	expect_sent(&r, DOVE_ENCAPSULATED);
	check(frame_get(&r.out, OUTER_AT(option.stage_vnid), 1) == 0, "stage");
	begin("a path that is not there");
	path_put(0, 0);
	cache_put(&vm2, &t);
	r = run_vm(&v);
	expect_dropped(&r, DOVE_NO_SERVICE);
}

/* ---- at a hop ---- */

static void begin_hop(const struct way *w, const char *name)
{
	struct dove_translation t = through(&vm3, true);

	begin_way(w, name);
	path_put(1, 0);
	appliance_put(FIREWALL);
	hop_knows(w->inner, &t);
}

Test(paths, R13_into_the_appliance_and_out_of_it)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct frame f = staged(&w, 0x10), inner = the_inner(w.inner), other = inner;
		struct run r;

		begin_hop(&w, "in");
		r = arrive(w.hook, &f);
		if (w.hook == AT_XDP) {
			expect_untouched_by_xdp(&r);
			continue;
		}
		expect_end(&r, TC_ACT_REDIRECT, DOVE_TO_SERVICE);
		expect_bytes(&r.out, &inner);
		check(map_count(dove->maps.dove_contexts) == 1, "no context");

		counters_clear();
		port_put(PORT, &vm1, DOVE_PORT_SERVICE);
		r = run_port(&inner);
		expect_sent(&r, DOVE_DELIVERED_LOCAL);
		expect_bytes(&r.out, &inner);

		case_set("another flow");
		other.b[(w.inner == V6 ? 14 + 40 : 14 + 20) + 1] ^= 1; /* the source port */
		counters_clear();
		r = run_port(&other);
		expect_dropped(&r, DOVE_OFF_PATH);
	}
}

Test(paths, R15_a_hop_judges_by_the_numbers)
{
	struct way w = { .hook = AT_TC };
	struct dove_translation t = through(&vm3, true);
	struct frame f = staged(&w, 0x10);
	struct run r;

	begin_hop(&w, "older than the path");
	t.floor = REVISION + 1;
	hop_knows(V4, &t);
	r = arrive(AT_TC, &f);
	expect_refused(AT_TC, &r, DOVE_REFUSED);

	begin_hop(&w, "newer than what is known here");
	t.floor = POLICY_FLOOR;
	t.revision = REVISION - 1;
	hop_knows(V4, &t);
	r = arrive(AT_TC, &f);
	expect_end(&r, TC_ACT_SHOT, DOVE_HELD_HOP);
	check(expect_record(&r, DOVE_HELD_HOP)->key.source == vm2.endpoint, "whose");

	begin_hop(&w, "more services ahead than the path has");
	f = staged(&w, 0x20);
	r = arrive(AT_TC, &f);
	expect_refused(AT_TC, &r, DOVE_REFUSED);

	begin_hop(&w, "the policy's floor");
	f = staged(&w, 0x10);
	policy_put(BLUE, POLICY, POLICY_SEQ, REVISION + 1);
	network_put(BLUE, REVISION + 1, 0);
	r = arrive(AT_TC, &f);
	expect_refused(AT_TC, &r, DOVE_REFUSED);
}

Test(paths, R13_whose_flow_is_in_the_appliance_already)
{
	struct way w = { .hook = AT_TC };
	struct frame f = staged(&w, 0x10);
	struct dove_context c = {};
	struct dove_context_key key;
	struct run r;

	begin_hop(&w, "another sender's");
	arrive(AT_TC, &f);
	check(!bpf_map__get_next_key(dove->maps.dove_contexts, NULL, &key, sizeof(key)) &&
		      map_get(dove_contexts, &key, &c),
	      "no context");
	check(c.source == vm2.endpoint && c.vnid == BLUE && c.policy == POLICY && c.stage == 1 && !c.reverse,
	      "context: source %u, stage %u", c.source, c.stage);
	c.source++;
	map_put(dove_contexts, &key, &c);
	counters_clear();
	r = arrive(AT_TC, &f);
	expect_refused(AT_TC, &r, DOVE_TAKEN);
}

Test(paths, R20_who_comes_past_a_service_is_found_out)
{
	struct dove_policy through_services = { .sequence = POLICY_SEQ, .floor = POLICY_FLOOR, .through = 1 };
	struct dove_policy_key key = { .vnid = BLUE, .policy = POLICY };

	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct frame inner = the_inner(w.inner), f = staged(&w, 0);
		struct dove_translation t = through(&vm3, true);
		struct run r;

		begin_way(&w, "at the destination, from a host without services");
		map_put(dove_policies, &key, &through_services);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_BYPASSED);
		begin_way(&w, "newer numbers do not help");
		network_put(BLUE, REVISION - 1, 0);
		map_put(dove_policies, &key, &through_services);
		will_count(DOVE_COUNT_NEWER, 1);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_BYPASSED);
		begin_way(&w, "from a host with services");
		map_put(dove_policies, &key, &through_services);
		host2_flags(DOVE_HOST_REACHABLE | DOVE_HOST_SERVICES);
		r = arrive(w.hook, &f);
		expect_accepted(w.hook, &r, &inner);
		if (w.hook == AT_XDP)
			continue;
		f = staged(&w, 0x10);
		begin_hop(&w, "at the second of two, from a host without services");
		path_put(2, 0);
		appliance_put(IPS);
		r = arrive(AT_TC, &f);
		expect_refused(AT_TC, &r, DOVE_BYPASSED);
		begin_hop(&w, "and from one with");
		path_put(2, 0);
		appliance_put(IPS);
		hop_knows(w.inner, &t);
		host2_flags(DOVE_HOST_REACHABLE | DOVE_HOST_SERVICES);
		r = arrive(AT_TC, &f);
		expect_end(&r, TC_ACT_REDIRECT, DOVE_TO_SERVICE);
	}
}
