// SPDX-License-Identifier: Apache-2.0
/* What answers ask for beside their verdict: marks of the outer header, rates. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "prog.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT | PROG_TRACE });
}

TestSuite(qos, .init = load);

#define ROW 0x7005u
#define GOLD 0x00070009u
#define SEGMENT 1000u

/* So dear that nothing comes back while a test runs; an eighth of a burst is less than a guest has been up. */
#define NS_PER_BYTE (SECOND / 10)

static struct dove_qos row_of(uint8_t dscp, uint64_t burst_bytes)
{
	return (struct dove_qos){ .dscp = dscp,
				  .policy = burst_bytes ? GOLD : 0,
				  .ns_per_mib = burst_bytes ? NS_PER_BYTE << 20 : 0,
				  .burst_ns = burst_bytes * NS_PER_BYTE };
}

static void row_put(struct dove_qos row)
{
	uint32_t id = ROW;

	map_put(dove_qos, &id, &row);
}

static void answer_with_row(const struct vm *to)
{
	struct dove_translation t = allow_to(to);

	t.qos = ROW;
	cache_put(to, &t);
}

/* Bytes that have been let through for the sender, by its meter; only right while it is above zero. */
static uint64_t metered(uint32_t source, uint64_t since)
{
	struct dove_meter_key key = { .policy = GOLD, .source = source };
	struct dove_meter meter;

	if (!map_get(dove_meters, &key, &meter))
		return 0;
	return (meter.used_until - since + NS_PER_BYTE / 2) / NS_PER_BYTE;
}

Test(qos, R8_a_mark_is_the_outer_headers_alone_and_ecn_stays)
{
	static const uint8_t dscps[] = { 0, 10, 46, 63 };

	for (size_t i = 0; i < ARRAY_SIZE(dscps); i++) {
		for (unsigned mix = 0; mix < 16; mix++) {
			enum family inner = mix & 1, outer = mix >> 1 & 1;
			struct vm_frame v = udp_in(inner, &vm2);
			struct dove_translation t = allow_to(&vm2);
			struct outer_frame o;
			struct frame want;
			struct run r;

			begin(case_text("DSCP %u, IPv%u in IPv%u, ECN %u", dscps[i], inner ? 6 : 4,
					outer ? 6 : 4, mix >> 2));
			v.tos = 8 << 2 | mix >> 2;
			t.host = ip_in(outer, HOST2);
			t.qos = ROW;
			cache_put(&vm2, &t);
			row_put(row_of(dscps[i], 0));
			r = run_vm(&v);
			expect_sent(&r, DOVE_ENCAPSULATED);
			o = outer_to_host2(outer, &r.out);
			o.tos = dscps[i] << 2 | mix >> 2;
			memcpy(r.in.b, vm2.mac, 6);
			want = frame_encapsulated(&o, &r.in);
			expect_bytes(&r.out, &want);
		}
	}
}

Test(qos, R8_rules_have_rows_of_their_own)
{
	for (int i = 0; i < DOVE_RULES_MAX; i++) {
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = udp_to(&vm2);
		struct run r;

		begin(case_text("rule %d", i));
		t.scope = DOVE_SCOPE_TO_PORT;
		for (int j = 0; j < DOVE_RULES_MAX; j++) {
			uint32_t id = ROW + j;
			struct dove_qos row = row_of(j + 1, 0);

			map_put(dove_qos, &id, &row);
			t.rules[t.n_rules++] = (struct dove_rule){
				POLICY, 0, 0xffff, 4000 + j, 4000 + j, 17, DOVE_VERDICT_ALLOW, 0, 0, id
			};
		}
		cache_put(&vm2, &t);
		v.to_port = 4000 + i;
		r = run_vm(&v);
		expect_sent(&r, DOVE_ENCAPSULATED);
		check(r.out.b[15] >> 2 == i + 1, "DSCP %u", r.out.b[15] >> 2);
	}
}

Test(qos, R8_a_row_that_is_gone_is_a_miss)
{
	struct vm_frame v = udp_to(&vm2);
	struct run r;

	begin("no row");
	answer_with_row(&vm2);
	r = run_vm(&v);
	expect_held(&r, DOVE_HELD_MISS);
}

/* To VM 2 elsewhere and to VM 3 here alike. */
Test(qos, R8_frames_are_paid_for_until_the_burst_is_used)
{
	const struct vm *const to[] = { &vm2, &vm3 };

	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		struct vm_frame v = udp_to(to[i]);
		uint32_t len = frame_vm(&v).len;
		enum dove_reason sent = to[i] == &vm2 ? DOVE_ENCAPSULATED : DOVE_DELIVERED_LOCAL;
		uint64_t since = now_ns();
		struct run r;

		begin(to[i] == &vm2 ? "to another host" : "on this host");
		answer_with_row(to[i]);
		/* Room for two and a half: the third still begins below the burst. */
		row_put(row_of(DOVE_DSCP_UNSAID, 2 * len + len / 2));
		for (int n = 1; n <= 3; n++) {
			counters_clear();
			r = run_vm(&v);
			expect_sent(&r, sent);
			check(metered(vm1.endpoint, since) == (uint64_t)n * len, "%llu bytes after %d of %u",
			      (unsigned long long)metered(vm1.endpoint, since), n, len);
		}
		counters_clear();
		r = run_vm(&v);
		expect_dropped(&r, DOVE_RATE_LIMITED);
		check(metered(vm1.endpoint, since) == 3ull * len, "a dropped one was paid for");
		check(stats_of_policy(BLUE, POLICY).limited == 1, "not counted for the policy");
		check(stats_of_policy(BLUE, POLICY).packets == 3, "counted for the policy");
	}
}

Test(qos, R8_each_sender_and_each_policy_has_its_own_meter)
{
	struct dove_meter full = { .used_until = now_ns() + 100 * SECOND };
	struct vm_frame v = udp_to(&vm2);
	struct run r;

	begin("others are over their limit");
	answer_with_row(&vm2);
	row_put(row_of(DOVE_DSCP_UNSAID, 1));
	map_put(dove_meters, &((struct dove_meter_key){ .policy = GOLD, .source = vm3.endpoint }), &full);
	map_put(dove_meters, &((struct dove_meter_key){ .policy = GOLD + 1, .source = vm1.endpoint }), &full);
	r = run_vm(&v);
	expect_sent(&r, DOVE_ENCAPSULATED);

	begin("this one is");
	answer_with_row(&vm2);
	row_put(row_of(DOVE_DSCP_UNSAID, 1));
	map_put(dove_meters, &((struct dove_meter_key){ .policy = GOLD, .source = vm1.endpoint }), &full);
	r = run_vm(&v);
	expect_dropped(&r, DOVE_RATE_LIMITED);
}

/*
 * Two and a half segments, each with its headers: as they will be on a wire.
 * On this host, because TEST_RUN's super-packets are of no kind that can be encapsulated.
 */
Test(qos, R8_a_super_packet_pays_for_all_its_segments)
{
	static const uint8_t protos[] = { 6, 17 };

	for (size_t i = 0; i < ARRAY_SIZE(protos) * 2; i++) {
		enum family family = i & 1;
		struct vm_frame v = udp_in(family, &vm3);
		struct __sk_buff ctx = { .ifindex = PORT, .ingress_ifindex = PORT, .gso_size = SEGMENT };
		uint64_t since = now_ns();
		uint32_t headers;
		struct frame f;

		v.proto = protos[i / 2];
		v.payload = SEGMENT * 5 / 2;
		begin(case_text("IPv%u, protocol %u", family ? 6 : 4, v.proto));
		f = frame_vm(&v);
		headers = f.len - v.payload;
		answer_with_row(&vm3);
		row_put(row_of(DOVE_DSCP_UNSAID, 1));
		run_skb(dove->progs.dove_port, &f, &ctx);
		check(counted(DOVE_DELIVERED_LOCAL) == 1, "not sent");
		check(metered(vm1.endpoint, since) == v.payload + 3 * headers, "%llu bytes, not %u",
		      (unsigned long long)metered(vm1.endpoint, since), v.payload + 3 * headers);
	}
}

/* The departure time that the packet leaves with; 0: none. */
static uint64_t departs(struct bpf_program *prog, const struct frame *f)
{
	struct __sk_buff in = { .ifindex = PORT, .ingress_ifindex = PORT }, out = {};
	uint8_t bytes[sizeof(f->b)];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->b, .data_size_in = f->len, .data_out = bytes,
		    .data_size_out = sizeof(bytes), .repeat = 1, .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .ctx_out = &out, .ctx_size_out = sizeof(out));

	check(!bpf_prog_test_run_opts(bpf_program__fd(prog), &opts), "did not run");
	return out.tstamp;
}

/* How many packets of a flow the NIC towards host 2 holds until they may leave. */
static void host2_queue(uint32_t packets)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_ip key = ip_in(f, HOST2);
		struct dove_host host;

		check(map_get(dove_hosts, &key, &host), "no host");
		host.queue = packets;
		map_put(dove_hosts, &key, &host);
	}
}

/* Each when what was sent before it will have been sent at that rate; a part of the burst may be made up for. */
Test(qos, R8_a_nic_that_holds_packets_is_told_until_when)
{
	for (enum family outer = V4; outer < FAMILIES; outer++) {
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = udp_to(&vm2);
		struct frame f = frame_vm(&v);
		uint64_t since, at;

		begin(case_text("over IPv%u", outer ? 6 : 4));
		t.host = ip_in(outer, HOST2);
		t.qos = ROW;
		cache_put(&vm2, &t);
		host2_queue(100);
		row_put(row_of(DOVE_DSCP_UNSAID, 8 * f.len)); /* an eighth: one packet */
		since = now_ns();
		check(!departs(dove->progs.dove_port, &f), "the first waits");
		check(departs(dove->progs.dove_port, &f) < since + NS_PER_BYTE, "the one made up for waits");
		for (int n = 1; n < 4; n++) {
			at = departs(dove->progs.dove_port, &f);
			check((at - since + NS_PER_BYTE / 2) / NS_PER_BYTE == (uint64_t)n * f.len,
			      "packet %d after %llu bytes' time", n,
			      (unsigned long long)((at - since) / NS_PER_BYTE));
		}
		check(counted(DOVE_ENCAPSULATED) == 5, "not sent");
		host2_queue(0);
		check(!departs(dove->progs.dove_port, &f), "one that holds nothing is told");
	}
}

/* Half of its places, behind the one made up for, and not beyond the burst: what it would drop is not paid for. */
Test(qos, R8_no_more_is_sent_ahead_than_the_nic_has_room_for)
{
	static const struct {
		uint32_t queue, burst, sent;
	} cases[] = { { 8, 8, 6 }, { 100, 8, 9 }, { 2, 8, 3 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vm_frame v = udp_to(&vm2);
		struct frame f = frame_vm(&v);
		uint64_t since;

		begin(case_text("%u places, %u packets of burst", cases[i].queue, cases[i].burst));
		answer_with_row(&vm2);
		host2_queue(cases[i].queue);
		row_put(row_of(DOVE_DSCP_UNSAID, cases[i].burst * f.len));
		since = now_ns();
		for (uint32_t n = 0; n < cases[i].sent + 3; n++)
			departs(dove->progs.dove_port, &f);
		check(counted(DOVE_ENCAPSULATED) == cases[i].sent, "%llu sent",
		      (unsigned long long)counted(DOVE_ENCAPSULATED));
		check(counted(DOVE_RATE_LIMITED) == 3, "not dropped");
		check(metered(vm1.endpoint, since) == (uint64_t)cases[i].sent * f.len, "paid otherwise");
	}
}

/* Whatever of the limit went to neighbours, which no queue holds: only the limit itself is shared. */
Test(qos, R8_what_is_paced_does_not_wait_for_what_is_policed)
{
	struct vm_frame v = udp_to(&vm2), near = udp_to(&vm3);
	struct frame f = frame_vm(&v), g = frame_vm(&near);

	begin("beside");
	answer_with_row(&vm2);
	answer_with_row(&vm3);
	host2_queue(4);
	row_put(row_of(DOVE_DSCP_UNSAID, 8 * f.len));
	for (int n = 0; n < 7; n++)
		departs(dove->progs.dove_port, &g);
	check(counted(DOVE_DELIVERED_LOCAL) == 7, "not delivered");
	check(!departs(dove->progs.dove_port, &f), "waits");
	check(counted(DOVE_ENCAPSULATED) == 1, "not sent");
	for (int n = 0; n < 2; n++)
		departs(dove->progs.dove_port, &f);
	check(counted(DOVE_ENCAPSULATED) == 2 && counted(DOVE_RATE_LIMITED) == 1, "the limit is not shared");
}

/* Ten of its own size would have had no room. */
Test(qos, R8_a_small_packet_waits_behind_large_ones)
{
	struct vm_frame v = udp_to(&vm2);
	struct frame small = frame_vm(&v), large;

	v.payload = 300;
	large = frame_vm(&v);
	begin("waits");
	answer_with_row(&vm2);
	host2_queue(20);
	row_put(row_of(DOVE_DSCP_UNSAID, 6 * large.len));
	for (int n = 0; n < 5; n++)
		departs(dove->progs.dove_port, &large);
	check(departs(dove->progs.dove_port, &small) > now_ns() + 10 * small.len * NS_PER_BYTE,
	      "does not wait");
	check(counted(DOVE_ENCAPSULATED) == 6, "dropped");
}

Test(qos, R8_tracing_costs_nothing)
{
	struct vm_frame v = udp_to(&vm2);
	struct frame f = frame_vm(&v);

	begin("trace");
	answer_with_row(&vm2);
	row_put(row_of(46, 1));
	run_skb(dove->progs.dove_trace, &f, NULL);
	check(dove->bss->traced.reason == DOVE_ENCAPSULATED, "%s", reason_name(dove->bss->traced.reason));
	check(dove->bss->traced.qos == ROW, "row %x", dove->bss->traced.qos);
	check(!map_count(dove->maps.dove_meters), "paid for");
}

/* A port's own limit counts all that its VM sends, whatever policies say. */
Test(qos, R8_a_port_has_a_limit_of_its_own)
{
	struct dove_port port = {
		.vnid = BLUE, .endpoint = vm1.endpoint, .kind = DOVE_PORT_VM, .qos = ROW + 1
	};
	struct dove_qos row = { .dscp = 63, .ns_per_mib = NS_PER_BYTE << 20, .burst_ns = 1 };
	struct vm_frame v = udp_to(&vm2);
	uint32_t id = ROW + 1, at = PORT;
	struct dove_translation t;
	struct run r;

	memcpy(port.mac, vm1.mac, 6);
	for (int policy_too = 0; policy_too < 2; policy_too++) {
		begin(policy_too ? "beside a policy's" : "alone");
		t = allow_to(&vm2);
		t.qos = policy_too ? ROW : 0;
		cache_put(&vm2, &t);
		t = allow_to(&vm3);
		cache_put(&vm3, &t);
		row_put(row_of(46, 1000000));
		map_put(dove_qos, &id, &row);
		map_put(dove_ports, &at, &port);
		r = run_vm(&v);
		expect_sent(&r, DOVE_ENCAPSULATED);
		check(r.out.b[15] >> 2 == (policy_too ? 46 : 0), "the port's row marks nothing: %u",
		      r.out.b[15] >> 2);
		v = udp_to(&vm3);
		counters_clear();
		r = run_vm(&v);
		expect_dropped(&r, DOVE_RATE_LIMITED);
		v = udp_to(&vm2);
	}
}

Test(qos, R8_a_port_whose_row_is_gone_is_shut)
{
	struct dove_port port = {
		.vnid = BLUE, .endpoint = vm1.endpoint, .kind = DOVE_PORT_VM, .qos = ROW + 1
	};
	struct vm_frame v = udp_to(&vm2);
	struct dove_translation t;
	uint32_t at = PORT;
	struct run r;

	begin("no row");
	memcpy(port.mac, vm1.mac, 6);
	t = allow_to(&vm2);
	cache_put(&vm2, &t);
	map_put(dove_ports, &at, &port);
	r = run_vm(&v);
	expect_dropped(&r, DOVE_RATE_LIMITED);
}

/* TEST_RUN shows the priority in the context; the tag lies beside the packet, and only captures show it. */
Test(qos, R8_a_class_gives_a_priority)
{
	struct vm_frame v = udp_to(&vm2);
	struct frame f = frame_vm(&v);
	uint32_t id = ROW;
	struct dove_qos row = { .dscp = DOVE_DSCP_UNSAID, .vlan = 100, .priority = 0x10010 };
	struct __sk_buff out = {};
	uint8_t bytes[sizeof(f.b)];
	struct __sk_buff in = { .ingress_ifindex = PORT };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f.b, .data_size_in = f.len, .data_out = bytes,
		    .data_size_out = sizeof(bytes), .repeat = 1, .ctx_in = &in, .ctx_size_in = sizeof(in),
		    .ctx_out = &out, .ctx_size_out = sizeof(out));

	begin("VLAN 100");
	answer_with_row(&vm2);
	map_put(dove_qos, &id, &row);
	check(!bpf_prog_test_run_opts(bpf_program__fd(dove->progs.dove_port), &opts), "did not run");
	check(counted(DOVE_ENCAPSULATED) == 1, "not sent");
	check(out.priority == 0x10010, "priority %x", out.priority);
	check(opts.data_size_out == f.len + OUTER_LEN, "%u bytes", opts.data_size_out);
}
