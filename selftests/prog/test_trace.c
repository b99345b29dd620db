// SPDX-License-Identifier: Apache-2.0
/* dove_trace: what would become of a frame. Nothing is sent, counted, told or kept. */
#include <bpf/libbpf.h>
#include <string.h>

#include "flows.h"
#include "groups.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_TRACE });
}

TestSuite(trace, .init = load);

/* Every map but that of counters, as one sum over keys and values: what a trace must not change. */
static uint64_t sum_of(struct bpf_map *map, uint64_t sum)
{
	uint8_t key[64], next[64], value[8192];
	uint32_t key_len = bpf_map__key_size(map), value_len = bpf_map__value_size(map);

	for (void *at = NULL; !bpf_map__get_next_key(map, at, next, key_len); at = key) {
		memcpy(key, next, sizeof(key));
		if (!map_get_sized(map, key, key_len, value, value_len))
			continue;
		for (uint32_t i = 0; i < value_len; i++)
			sum = sum * 31 + value[i];
	}
	return sum;
}

static uint64_t world_sum(void)
{
	struct bpf_map *const maps[] = {
		dove->maps.dove_ports,	  dove->maps.dove_budgets,  dove->maps.dove_addrs,
		dove->maps.dove_cache,	  dove->maps.dove_denied,   dove->maps.dove_local,
		dove->maps.dove_policies, dove->maps.dove_networks, dove->maps.dove_hosts,
		dove->maps.dove_flows,	  dove->maps.dove_groups,   dove->maps.dove_fragments,
		dove->maps.dove_prefixes, dove->maps.dove_moved,    dove->maps.dove_event_times,
	};
	uint64_t sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
		sum = sum_of(maps[i], sum);
	return sum + map_count(dove->maps.dove_policy_stats);
}

static const struct dove_traced *trace_frame(const struct frame *f)
{
	uint64_t before = world_sum();

	memset(&dove->bss->traced, 0xee, sizeof(dove->bss->traced));
	run_skb(dove->progs.dove_trace, f, NULL);
	expect_nothing_counted();
	expect_quiet();
	check(world_sum() == before, "a map has changed");
	return &dove->bss->traced;
}

static const struct dove_traced *trace(const struct vm_frame *v)
{
	struct frame f = frame_vm(v);

	return trace_frame(&f);
}

static void expect_traced(const struct dove_traced *got, const struct dove_traced *want)
{
	check(got->reason == want->reason, "reason %s, expected %s", reason_name(got->reason),
	      reason_name(want->reason));
	check(ip_is(&got->src, &want->src) && ip_is(&got->dst, &want->dst) && ip_is(&got->host, &want->host),
	      "source, destination or host");
	check(got->source == want->source && got->source_vnid == want->source_vnid, "source %u of %x",
	      got->source, got->source_vnid);
	check(got->endpoint == want->endpoint && got->vnid == want->vnid, "endpoint %u of %x", got->endpoint,
	      got->vnid);
	check(got->policy == want->policy && got->verdict == want->verdict && got->flags == want->flags,
	      "policy %x, verdict %u, flags %x", got->policy, got->verdict, got->flags);
	check(got->revision == want->revision && got->wanted == want->wanted && got->fresh == want->fresh,
	      "revision %llx, wanted %llx, fresh %u", got->revision, got->wanted, got->fresh);
	check(got->from_port == want->from_port && got->to_port == want->to_port && got->proto == want->proto,
	      "flow %u %u %u", got->proto, got->from_port, got->to_port);
	check(got->local == want->local && got->to_gateway == want->to_gateway &&
		      got->external == want->external,
	      "local %u, to the gateway %u, external %u", got->local, got->to_gateway, got->external);
}

/* All that is known of UDP from VM 1 to `to`, under this translation. */
static struct dove_traced known(enum family f, const struct vm *to, const struct dove_translation *t,
				enum dove_reason reason)
{
	return (struct dove_traced){ .src = ip_in(f, vm1.ip),
				     .dst = ip_in(f, to->ip),
				     .host = t->host,
				     .revision = t->revision,
				     .wanted = POLICY_SEQ,
				     .reason = reason,
				     .source = vm1.endpoint,
				     .source_vnid = BLUE,
				     .endpoint = t->endpoint,
				     .vnid = t->vnid,
				     .policy = t->policy,
				     .from_port = 4000,
				     .to_port = 53,
				     .proto = 17,
				     .verdict = t->verdict,
				     .flags = t->flags,
				     .local = t->local };
}

Test(trace, R11_what_is_known)
{
	static const struct {
		const struct vm *to;
		enum dove_verdict verdict;
		enum dove_reason reason;
		uint64_t gate;
		uint8_t flags;
	} cases[] = {
		{ &vm2, DOVE_VERDICT_ALLOW, DOVE_ENCAPSULATED, 0, 0 },
		{ &vm2, DOVE_VERDICT_ALLOW, DOVE_ENCAPSULATED, DOVE_GATE_SHUT, DOVE_RULE_TRACK },
		{ &vm3, DOVE_VERDICT_ALLOW, DOVE_DELIVERED_LOCAL, 0, DOVE_RULE_TRACK },
		{ &vm2, DOVE_VERDICT_DENY, DOVE_DENIED, 0, 0 },
		{ &vm2, DOVE_VERDICT_DENY, DOVE_DENIED, 0, DOVE_RULE_REPLIES },
		{ &vm2, DOVE_VERDICT_REJECT, DOVE_REJECTED, 0, 0 },
		{ &vm2, DOVE_VERDICT_NO_PLACE, DOVE_NO_PLACE, 0, 0 },
		{ &vm2, DOVE_VERDICT_NO_SERVICE, DOVE_NO_SERVICE, 0, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases) * FAMILIES; i++) {
		enum family f = i % FAMILIES;
		struct dove_translation t = answer_to(cases[i / FAMILIES].to, cases[i / FAMILIES].verdict);
		struct vm_frame v = udp_in(f, cases[i / FAMILIES].to);
		struct dove_traced want;

		begin(case_text("IPv%u, case %zu", f ? 6 : 4, i / FAMILIES));
		t.gate = cases[i / FAMILIES].gate;
		t.flags = cases[i / FAMILIES].flags;
		answer_put(cases[i / FAMILIES].to, &t);
		want = known(f, cases[i / FAMILIES].to, &t, cases[i / FAMILIES].reason);
		expect_traced(trace(&v), &want);
	}
}

/* Whatever the next packet has the service asked for: this is what is known. */
Test(trace, R20_a_refusal_that_is_due)
{
	static const enum dove_verdict refused[] = { DOVE_VERDICT_DENY, DOVE_VERDICT_NO_ENDPOINT };
	static const enum dove_reason reasons[] = { DOVE_DENIED, DOVE_NO_ENDPOINT };

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct dove_translation t = answer_to(&vm2, refused[i]);
		struct vm_frame v = udp_to(&vm2);
		const struct dove_traced *got;

		begin(case_text("verdict %d", refused[i]));
		map_del(dove_networks, &(uint32_t){ BLUE });
		t.refuses_until = now_ns() - SECOND;
		answer_put(&vm2, &t);
		got = trace(&v);
		check(got->reason == reasons[i] && got->verdict == refused[i], "reason %s, verdict %u",
		      reason_name(got->reason), got->verdict);
	}
}

Test(trace, R11_what_is_not)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation none = {};
		struct vm_frame v = udp_in(f, &vm2);
		struct dove_traced want = known(f, &vm2, &none, DOVE_HELD_MISS);

		begin(case_text("IPv%u", f ? 6 : 4));
		want.wanted = 0;
		expect_traced(trace(&v), &want);
	}
}

Test(trace, R15_what_is_stale)
{
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = udp_to(&vm2);
	struct dove_traced want;

	begin("stale");
	t.revision = REVISION - 10;
	cache_put(&vm2, &t);
	policy_put(BLUE, POLICY, REVISION - 3, REVISION - 20);
	want = known(V4, &vm2, &t, DOVE_ENCAPSULATED);
	want.fresh = 3; /* STALE of bpf/stale.h */
	want.wanted = REVISION - 3;
	expect_traced(trace(&v), &want);

	begin("below a floor");
	cache_put(&vm2, &t);
	policy_put(BLUE, POLICY, REVISION, REVISION - 3);
	want = known(V4, &vm2, &t, DOVE_HELD_MISS);
	want.fresh = 4; /* STALE_REFUSED */
	want.wanted = REVISION - 3;
	expect_traced(trace(&v), &want);

	begin("the neighbour's own number");
	t = allow_to(&vm3);
	cache_put(&vm3, &t);
	local_put(BLUE, &vm3, PORT3, REVISION + 9, 1);
	want = known(V4, &vm3, &t, DOVE_DELIVERED_LOCAL);
	want.fresh = 3;
	want.wanted = REVISION + 9;
	v = udp_to(&vm3);
	expect_traced(trace(&v), &want);
}

Test(trace, R3_to_the_gateway)
{
	enum { OUTSIDE = 8001 };

	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = allow_to(&vm2), outside = allow_to(&vm2);
		struct dove_ip net = ip6_of(0);
		struct vm_frame v = udp_in(f, &vm2);
		struct dove_cache_key key = { .dst = external_addr(OUTSIDE), .source = vm1.endpoint };
		struct dove_traced want;

		memcpy(v.dmac, gateway.mac, 6);
		begin(case_text("IPv%u, passed on", f ? 6 : 4));
		cache_put(&vm2, &t);
		want = known(f, &vm2, &t, DOVE_ENCAPSULATED);
		want.to_gateway = 1;
		expect_traced(trace(&v), &want);

		begin(case_text("IPv%u, TTL 1", f ? 6 : 4));
		cache_put(&vm2, &t);
		want.reason = DOVE_EXPIRED_ANSWERED;
		v.ttl = 1;
		expect_traced(trace(&v), &want);

		begin(case_text("IPv%u, an external network", f ? 6 : 4));
		v.ttl = 64;
		net = ip_in(f, vm2.ip);
		prefix_put(BLUE, &net, 8, OUTSIDE);
		map_put(dove_cache, &key, &outside);
		want.reason = DOVE_ENCAPSULATED;
		want.external = OUTSIDE;
		expect_traced(trace(&v), &want);
	}
}

/* The frame at the port of nobody, in nobody's name, too long: what is found out before the translation is. */
Test(trace, R6_what_ends_early)
{
	struct __sk_buff elsewhere = { .ingress_ifindex = 4711 };
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = udp_to(&vm2);
	struct frame f = frame_vm(&v);

	begin("no port");
	run_skb(dove->progs.dove_trace, &f, &elsewhere);
	check(dove->bss->traced.reason == DOVE_NO_PORT, "%s", reason_name(dove->bss->traced.reason));
	expect_nothing_counted();

	begin("spoofed");
	v.src = ip_of(vm3.ip);
	check(trace(&v)->reason == DOVE_SPOOFED_IP, "%s", reason_name(dove->bss->traced.reason));

	begin("too big");
	v = udp_to(&vm2);
	v.payload = 1500;
	cache_put(&vm2, &t);
	check(trace(&v)->reason == DOVE_TOO_BIG_ANSWERED, "%s", reason_name(dove->bss->traced.reason));
}

Test(trace, R8_replies)
{
	struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_DENY);
	struct vm_frame v = udp_to(&vm2);
	struct dove_flow_key key = flow_for(&v);

	begin("a reply");
	t.flags = DOVE_RULE_REPLIES;
	answer_put(&vm2, &t);
	flow_put(&key, 100 * SECOND);
	check(trace(&v)->reason == DOVE_ENCAPSULATED, "%s", reason_name(dove->bss->traced.reason));
}

Test(trace, R9_fragments)
{
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = udp_to(&vm2);

	begin("a first");
	cache_put(&vm2, &t);
	v.frag_off = MORE_FRAGMENTS;
	check(trace(&v)->reason == DOVE_ENCAPSULATED, "%s", reason_name(dove->bss->traced.reason));
}

Test(trace, R4_to_many)
{
	struct vm_frame v = to_many(V4, &vm1);
	struct dove_group_key key = group_key(&v, &vm1, DOVE_GROUP_SENT);
	struct dove_group g = group_of(DOVE_GROUP_PORTS);
	struct tap tap;

	begin("a list");
	tap = tap_open("port3");
	port_put(tap.ifindex, &vm3, DOVE_PORT_VM);
	group_add_port(&g, tap.ifindex, vm3.endpoint);
	group_put(&key, &g);
	check(trace(&v)->reason == DOVE_REPLICATED, "%s", reason_name(dove->bss->traced.reason));
	tap_silent(&tap);

	begin("none");
	check(trace(&v)->reason == DOVE_HELD_MISS, "%s", reason_name(dove->bss->traced.reason));
}

/* Questions are answered in place, of which the trace must let nothing out. */
Test(trace, R11_questions)
{
	struct dove_translation t = allow_to(&vm2);
	struct dove_ip target = ip6_of(vm2.ip);
	struct arp_fields a = arp_for(vm2.ip);
	struct nd_fields n = solicitation_for(&target);
	struct frame f = frame_arp(&a);
	struct tap tap;

	begin("ARP");
	tap = tap_open("port1");
	cache_put(&vm2, &t);
	check(trace_frame(&f)->reason == DOVE_ARP_ANSWERED, "%s", reason_name(dove->bss->traced.reason));
	f = frame_nd(&n);
	check(trace_frame(&f)->reason == DOVE_ND_ANSWERED, "%s", reason_name(dove->bss->traced.reason));
	tap_silent(&tap);
}
