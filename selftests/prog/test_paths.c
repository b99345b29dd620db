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
#define INSTANCE 500u
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
	hop_put(service, &(struct dove_hop){ .endpoint = INSTANCE, .in = OTHER_PORT, .out = PORT });
}

static void appliance_elsewhere(uint32_t service)
{
	hop_put(service, &(struct dove_hop){ .endpoint = INSTANCE, .host = ip_in(V4, HOST2) });
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
		struct frame f = frame_vm(&v);
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
		expect_handed(INSTANCE, &f);
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
		expect_handed(INSTANCE, &inner);

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

/* ---- a proxy ---- */

static const uint8_t proxy_mac[6] = { 0x02, 0, 0, 0, 2, 1 };

/* What goes a path's way goes in at one port, and what comes back at the other. */
static void proxy_put(uint32_t service, uint32_t in, uint32_t out)
{
	struct dove_hop hop = { .endpoint = 500, .in = in, .out = out, .routed = 1, .proxy = 1 };

	memcpy(hop.in_mac, proxy_mac, 6);
	hop_put(service, &hop);
	port_put(PORT, &vm1, DOVE_PORT_SERVICE);
}

/* In VM 3's name to VM 2, and how VM 2 gets it. */
static struct vm_frame the_answer(enum family inner)
{
	struct vm_frame v = udp_between(inner, &vm3, &vm2);

	v.from_port = 53;
	v.to_port = 4000;
	return v;
}

static struct frame from_the_proxy(const struct vm_frame *v)
{
	struct frame f = frame_vm(v);

	memcpy(f.b + 6, proxy_mac, 6);
	return f;
}

/* A reply on its way back, one service ahead. */
static struct frame staged_reply(const struct way *w)
{
	struct vm_frame v = the_answer(w->inner);
	struct outer_frame o = outer_from_host2(w->outer);
	struct frame inner = frame_vm(&v);

	o.stage_flags = 0x10 | DOVE_FLAG_REVERSE;
	return frame_encapsulated(&o, &inner);
}

static void begin_proxy(const struct way *w, const char *name)
{
	struct dove_translation back = allow_to(&vm2);
	struct dove_cache_key key = pair_key_in(w->inner, &vm2);

	begin_hop(w, name);
	proxy_put(FIREWALL, PORT, OTHER_PORT);
	key.source = vm3.endpoint;
	map_put(dove_cache, &key, &back);
	host2_flags(DOVE_HOST_REACHABLE | DOVE_HOST_SERVICES);
}

static struct dove_context_key context_of(const struct vm_frame *v, uint32_t ifindex)
{
	return (struct dove_context_key){ .src = v->src,
					  .dst = v->dst,
					  .ifindex = ifindex,
					  .from_port = v->from_port,
					  .to_port = v->to_port,
					  .proto = v->proto };
}

static void expect_into_proxy(const struct run *r, uint32_t contexts)
{
	expect_end(r, TC_ACT_REDIRECT, DOVE_TO_SERVICE);
	check(map_count(dove->maps.dove_contexts) == contexts, "%u contexts",
	      map_count(dove->maps.dove_contexts));
	counters_clear();
}

Test(paths, R10_a_proxy_answers_in_its_destinations_name)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct vm_frame answer = the_answer(w.inner), other = answer;
		struct frame f = staged(&w, 0x10), out = from_the_proxy(&answer), want = frame_vm(&answer);
		struct run r;

		if (w.hook == AT_XDP)
			continue;
		begin_proxy(&w, "the answer");
		r = arrive(AT_TC, &f);
		expect_into_proxy(&r, 2);
		r = run_port(&out);
		expect_sent(&r, DOVE_ENCAPSULATED);
		check(frame_get(&r.out, OUTER_AT(option.stage_vnid), 1) == 0, "stage");
		check(frame_get(&r.out, OUTER_AT(option.source), 4) == vm3.endpoint, "source %u",
		      frame_get(&r.out, OUTER_AT(option.source), 4));
		check(r.out.len == OUTER_LEN + want.len && !memcmp(r.out.b + OUTER_LEN, want.b, want.len),
		      "bytes");

		case_set("another flow");
		other.to_port++;
		out = from_the_proxy(&other);
		counters_clear();
		r = run_port(&out);
		expect_dropped(&r, DOVE_OFF_PATH);

		case_set("what went in does not come back out of that port");
		out = the_inner(w.inner);
		memcpy(out.b + 6, proxy_mac, 6);
		counters_clear();
		r = run_port(&out);
		expect_dropped_again(&r, DOVE_OFF_PATH);

		begin_proxy(&w, "nothing has gone in");
		out = from_the_proxy(&answer);
		r = run_port(&out);
		expect_dropped(&r, DOVE_OFF_PATH);

		begin_proxy(&w, "one that is no proxy");
		appliance_put(FIREWALL);
		arrive(AT_TC, &f);
		counters_clear();
		r = run_port(&out);
		expect_dropped(&r, DOVE_OFF_PATH);
	}
}

Test(paths, R13_a_proxys_answer_goes_back_by_the_services_before_it)
{
	struct vm_frame answer = the_answer(V4);
	struct frame out = from_the_proxy(&answer), f;
	struct way w = { .hook = AT_TC };
	struct run r;

	f = staged(&w, 0x10);
	begin_proxy(&w, "the second of two");
	path_put(2, 0);
	appliance_elsewhere(FIREWALL);
	proxy_put(IPS, PORT, OTHER_PORT);
	r = arrive(AT_TC, &f);
	expect_into_proxy(&r, 2);
	r = run_port(&out);
	expect_sent(&r, DOVE_ENCAPSULATED);
	check(frame_get(&r.out, OUTER_AT(option.stage_vnid), 1) == (0x10 | DOVE_FLAG_REVERSE), "stage %02x",
	      frame_get(&r.out, OUTER_AT(option.stage_vnid), 1));
	check(frame_get(&r.out, OUTER_AT(option.source), 4) == vm2.endpoint, "as what it answers");
	check(frame_get(&r.out, OUTER_AT(option.policy), 4) == POLICY, "policy");

	f = staged(&w, 0x20);
	begin_proxy(&w, "the first of two");
	path_put(2, 0);
	appliance_elsewhere(IPS);
	r = arrive(AT_TC, &f);
	expect_into_proxy(&r, 2);
	r = run_port(&out);
	expect_sent(&r, DOVE_ENCAPSULATED);
	check(frame_get(&r.out, OUTER_AT(option.stage_vnid), 1) == 0, "stage");
	check(frame_get(&r.out, OUTER_AT(option.source), 4) == vm3.endpoint, "nothing is ahead of it");
}

/* The other half: what the destination says keeps alive what the proxy may say to it, and begins nothing. */
Test(paths, R13_a_proxy_answers_replies_where_the_flow_is_known)
{
	struct way w = { .hook = AT_TC };
	struct frame f = staged(&w, 0x10), back = staged_reply(&w), inner = the_inner(V4);
	struct vm_frame asked = udp_from_vm2(V4);
	struct dove_context_key key = context_of(&asked, PORT);
	struct dove_context first, c;
	struct run r;

	begin_proxy(&w, "nothing is known of it");
	proxy_put(FIREWALL, OTHER_PORT, PORT);
	r = arrive(AT_TC, &back);
	expect_into_proxy(&r, 1);

	begin_proxy(&w, "known");
	proxy_put(FIREWALL, OTHER_PORT, PORT);
	r = arrive(AT_TC, &f);
	expect_into_proxy(&r, 2);
	check(map_get(dove_contexts, &key, &first), "no context");
	c = first;
	c.seen = 1;
	c.source_vnid = GREEN; /* which a reply does not tell */
	map_put(dove_contexts, &key, &c);
	r = arrive(AT_TC, &back);
	expect_into_proxy(&r, 2);
	check(map_get(dove_contexts, &key, &c) && c.seen >= first.seen, "as old as it was");
	check(c.source_vnid == GREEN && c.stage == first.stage && !c.reverse && c.policy == first.policy &&
		      !memcmp(c.smac, first.smac, 6) && !memcmp(c.dmac, first.dmac, 6),
	      "not as it was");
	r = run_port(&inner);
	expect_sent(&r, DOVE_DELIVERED_LOCAL);

	case_set("another's");
	counters_clear();
	c.source++;
	c.seen = now_ns();
	map_put(dove_contexts, &key, &c);
	r = arrive(AT_TC, &back);
	expect_refused(AT_TC, &r, DOVE_TAKEN);

	case_set("another's, which has ended");
	counters_clear();
	c.seen = now_ns() - DOVE_FLOW_TCP_NS - SECOND;
	map_put(dove_contexts, &key, &c);
	r = arrive(AT_TC, &back);
	expect_into_proxy(&r, 2);
}

Test(paths, R13_a_proxy_has_both_ways_of_a_flow_or_none)
{
	struct way w = { .hook = AT_TC };
	struct vm_frame asked = udp_from_vm2(V4), answer = the_answer(V4);
	struct dove_context_key keys[] = { context_of(&asked, OTHER_PORT), context_of(&answer, PORT) };
	struct frame f = staged(&w, 0x10);
	struct dove_context c;
	struct run r;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		begin_proxy(&w, i ? "another has the way back" : "another has the way on");
		r = arrive(AT_TC, &f);
		expect_into_proxy(&r, 2);
		check(map_get(dove_contexts, &keys[i], &c), "no context");
		c.source++;
		map_put(dove_contexts, &keys[i], &c);
		map_del(dove_contexts, &keys[!i]);
		r = arrive(AT_TC, &f);
		expect_refused(AT_TC, &r, DOVE_TAKEN);
		check(map_count(dove->maps.dove_contexts) == 1, "something was opened");
	}
}

/* A packet that was routed came with the gateway's MAC, and is answered so. */
Test(paths, R3_a_proxys_answer_to_what_was_routed)
{
	struct way w = { .hook = AT_TC };
	struct vm_frame asked = udp_from_vm2(V4), answer = the_answer(V4);
	struct outer_frame o = outer_from_host2(V4);
	struct frame inner, f, out = from_the_proxy(&answer), want;
	struct run r;

	memcpy(asked.smac, gateway.mac, 6);
	memcpy(answer.smac, gateway.mac, 6);
	o.stage_flags = 0x10;
	inner = frame_vm(&asked);
	want = frame_vm(&answer);
	f = frame_encapsulated(&o, &inner);
	begin_proxy(&w, "routed");
	r = arrive(AT_TC, &f);
	expect_into_proxy(&r, 2);
	r = run_port(&out);
	expect_sent(&r, DOVE_ENCAPSULATED);
	check(!memcmp(r.out.b + OUTER_LEN, want.b, want.len), "bytes");
}

/* ---- probes through an appliance ---- */

static struct frame probe_of(uint64_t number)
{
	struct dove_probe probe = { .magic = DOVE_PROBE_MAGIC,
				    .endpoint = INSTANCE,
				    .number = number,
				    .token = 0x0123456789abcdefull };
	struct frame f = { .len = ETH_ZLEN };

	memcpy(f.b, vm2.mac, 6);
	memcpy(f.b + 6, vm1.mac, 6);
	f.b[12] = DOVE_PROBE_PROTO >> 8;
	f.b[13] = DOVE_PROBE_PROTO & 0xff;
	memcpy(f.b + 14, &probe, sizeof(probe));
	return f;
}

Test(paths, R28_a_probe_comes_out_of_an_appliance)
{
	struct frame f = probe_of(7);
	struct dove_event e;
	struct run r;

	begin("at an appliance's port");
	port_put(PORT, &vm1, DOVE_PORT_SERVICE);
	budget_put(PORT, DOVE_BUDGET_ANSWERS, 2);
	r = run_port(&f);
	expect_end(&r, TC_ACT_SHOT, DOVE_PROBED);
	e = expect_event(DOVE_EVENT_PROBE);
	check(e.source == vm1.endpoint && e.policy == INSTANCE && e.sequence == 7 &&
		      e.wanted == 0x0123456789abcdefull,
	      "of %u into %u: %llu", e.source, e.policy, (unsigned long long)e.sequence);
	expect_quiet();

	case_set("the next one");
	counters_clear();
	f = probe_of(8);
	r = run_port(&f);
	expect_end(&r, TC_ACT_SHOT, DOVE_PROBED);
	check(expect_event(DOVE_EVENT_PROBE).sequence == 8, "its number");
	case_set("more than the port has answers for");
	counters_clear();
	r = run_port(&f);
	expect_end(&r, TC_ACT_SHOT, DOVE_PROBED);
	expect_quiet();

	begin("at a VM's port");
	r = run_port(&f);
	expect_dropped(&r, DOVE_NOT_IP);
	begin("at a bridge's member");
	port_put(PORT, &vm1, DOVE_PORT_BRIDGED);
	r = run_port(&f);
	expect_dropped_again(&r, DOVE_NOT_IP);
}

/* From VM 1, as if it were a router: what its kernel answers to who has no address yet. */
static struct arp_fields reply_to_probe(void)
{
	struct arp_fields a = arp_for(0);

	a.operation = 2;
	a.target_mac[0] = DOVE_PROBE_MAC_0;
	a.target_mac[1] = DOVE_PROBE_MAC_1;
	memcpy(a.target_mac + 2, &vm1.endpoint, 4);
	memcpy(a.dmac, a.target_mac, 6);
	return a;
}

Test(paths, R28_a_router_answers_for_its_address)
{
	struct arp_fields a = reply_to_probe();
	struct frame f = frame_arp(&a);
	struct dove_event e;
	struct run r;

	begin("at an appliance's port");
	port_put(PORT, &vm1, DOVE_PORT_SERVICE);
	r = run_port(&f);
	expect_end(&r, TC_ACT_SHOT, DOVE_PROBED);
	e = expect_event(DOVE_EVENT_PROBE);
	check(e.source == vm1.endpoint && e.policy == vm1.endpoint && !e.sequence && !e.wanted,
	      "of %u into %u", e.source, e.policy);
	expect_quiet();
	begin("at a VM's port");
	r = run_port(&f);
	expect_dropped(&r, DOVE_ARP_UNASKED);
	begin("to an address");
	port_put(PORT, &vm1, DOVE_PORT_SERVICE);
	a.target_ip = vm2.ip;
	f = frame_arp(&a);
	r = run_port(&f);
	expect_dropped_again(&r, DOVE_ARP_UNASKED);
	begin("to another port's probe");
	port_put(PORT, &vm1, DOVE_PORT_SERVICE);
	a = reply_to_probe();
	a.target_mac[5] ^= 1;
	f = frame_arp(&a);
	r = run_port(&f);
	expect_dropped_again(&r, DOVE_ARP_UNASKED);
	begin("in another's name");
	port_put(PORT, &vm1, DOVE_PORT_SERVICE);
	a = reply_to_probe();
	a.sender_ip = vm2.ip;
	f = frame_arp(&a);
	r = run_port(&f);
	expect_dropped_again(&r, DOVE_SPOOFED_IP);
}

Test(paths, R28_what_is_no_probe)
{
	static const struct {
		const char *name;
		uint32_t at; /* a byte that is changed */
		uint32_t len;
	} cases[] = {
		{ "another protocol", 13, ETH_ZLEN },
		{ "another magic", 14, ETH_ZLEN },
		{ "cut off", FRAME_MAX - 1, 14 + sizeof(struct dove_probe) - 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct frame f = probe_of(7);
		struct run r;

		begin(cases[i].name);
		port_put(PORT, &vm1, DOVE_PORT_SERVICE);
		f.b[cases[i].at] ^= 1;
		f.len = cases[i].len;
		r = run_port(&f);
		expect_dropped_again(&r, DOVE_NOT_IP);
	}
}
