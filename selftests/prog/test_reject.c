// SPDX-License-Identifier: Apache-2.0
/* Denials that are told: resets (RFC 9293), and ICMP's "administratively prohibited". */
#include <string.h>

#include "answers.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT });
}

TestSuite(reject, .init = load);

static void begin_rejected(enum family family, const char *name)
{
	struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_REJECT);

	begin(case_text("IPv%u: %s", family ? 6 : 4, name));
	answer_put(&vm2, &t);
}

static struct vm_frame segment(enum family family, uint8_t flags, uint32_t payload)
{
	struct vm_frame v = udp_in(family, &vm2);

	v.proto = 6;
	v.tcp_flags = flags;
	v.tcp_seq = 0x11223344;
	v.tcp_ack = 0x55667788;
	v.payload = payload;
	return v;
}

static void expect_reset(const struct run *r, const struct vm_frame *v, uint32_t len)
{
	struct frame want = tcp_reset(v, len);

	expect_sent(r, DOVE_REJECTED);
	expect_bytes(&r->out, &want);
	check(stats_of_policy(BLUE, POLICY).denied == 1, "not counted as denied by its policy");
}

/* ---- TCP ---- */

Test(reject, R8_tcp_is_reset)
{
	static const struct {
		const char *name;
		uint8_t flags;
		uint32_t payload, len;
	} cases[] = {
		{ "SYN", TCP_SYN, 0, 1 },
		{ "SYN with data (RFC 7413)", TCP_SYN, 100, 101 },
		{ "FIN", TCP_FIN, 0, 1 },
		{ "FIN with data", TCP_FIN, 3, 4 },
		{ "SYN and FIN", TCP_SYN | TCP_FIN, 5, 7 },
		{ "no flags", 0, 0, 0 },
		{ "data", TCP_PSH, 1400, 1400 },
		{ "ACK", TCP_ACK, 0, 0 },
		{ "ACK with data", TCP_ACK | TCP_PSH, 1400, 0 },
		{ "SYN and ACK", TCP_SYN | TCP_ACK, 0, 0 },
		{ "FIN and ACK", TCP_FIN | TCP_ACK, 9, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases) * FAMILIES; i++) {
		struct vm_frame v =
			segment(i % FAMILIES, cases[i / FAMILIES].flags, cases[i / FAMILIES].payload);
		struct run r;

		begin_rejected(i % FAMILIES, cases[i / FAMILIES].name);
		r = run_vm(&v);
		expect_reset(&r, &v, cases[i / FAMILIES].len);
	}
}

Test(reject, R8_sequence_numbers_turn_round)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame v = segment(f, TCP_SYN, 9);
		struct run r;

		begin_rejected(f, "2^32 - 5");
		v.tcp_seq = 0xfffffffb;
		r = run_vm(&v);
		expect_reset(&r, &v, 10);
	}
}

/* Checksums through all carries. */
Test(reject, R8_checksums_are_right)
{
	begin_rejected(V4, "many ports and numbers");
	for (uint32_t i = 0; i < 20000; i++) {
		struct vm_frame v = segment(i & 1, i & 2 ? TCP_ACK : TCP_SYN, 0);
		struct frame want;
		struct run r;

		v.from_port = i * 7919;
		v.tcp_ack = v.tcp_seq = i * 2654435761u;
		budget_put(PORT, DOVE_BUDGET_ANSWERS, 1);
		want = tcp_reset(&v, 1);
		r = run_vm(&v);
		expect_bytes(&r.out, &want);
	}
}

/* TCP's options are no data, nor is what Ethernet pads a short frame with. */
Test(reject, R8_only_data_counts)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame v = segment(f, TCP_SYN, 20);
		struct frame frame = frame_vm(&v);
		struct run r;

		begin_rejected(f, "20 bytes of options");
		frame.b[l4_at(&v) + 12] = 0xa0;
		r = run_port(&frame);
		expect_reset(&r, &v, 1);

		begin_rejected(f, "padding");
		v.payload = 0;
		frame = frame_vm(&v);
		memset(frame.b + frame.len, 0, 20);
		frame.len += 20;
		r = run_port(&frame);
		expect_reset(&r, &v, 1);
	}
}

Test(reject, R8_behind_options_and_extension_headers)
{
	struct vm_frame v = segment(V4, TCP_SYN, 7);
	struct run r;

	begin_rejected(V4, "IP options");
	v.option_words = 3;
	r = run_vm(&v);
	expect_reset(&r, &v, 8);

	begin_rejected(V6, "destination options");
	v = segment(V6, TCP_SYN, 7);
	v.extension[0] = (struct extension_field){ 60, 1 };
	v.n_extensions = 1;
	r = run_vm(&v);
	expect_reset(&r, &v, 8);
}

Test(reject, R8_what_is_not_reset)
{
	static const struct {
		const char *name;
		uint8_t flags;
		uint16_t frag_off;
		bool short_header;
	} cases[] = {
		{ "a reset itself", TCP_RST, 0, false },
		{ "a reset with ACK", TCP_RST | TCP_ACK, 0, false },
		{ "a reset with SYN", TCP_RST | TCP_SYN, 0, false },
		{ "later fragment", TCP_SYN, 10, false },
		{ "less than a header", TCP_SYN, 0, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases) * FAMILIES; i++) {
		struct vm_frame v = segment(i % FAMILIES, cases[i / FAMILIES].flags, 4);
		struct frame f;
		struct run r;

		begin_rejected(i % FAMILIES, cases[i / FAMILIES].name);
		v.frag_off = cases[i / FAMILIES].frag_off;
		f = frame_vm(&v);
		if (cases[i / FAMILIES].short_header) {
			f.len = l4_at(&v) + 19;
			frame_put(&f, i % FAMILIES ? 18 : 16, 2, f.len - (i % FAMILIES ? 54 : 14));
		}
		r = run_port(&f);
		expect_dropped(&r, DOVE_DENIED);
	}
}

/* ---- all else ---- */

Test(reject, R8_others_are_told_by_icmp)
{
	static const uint8_t protos[] = { 17, 1, 47, 132 };

	for (size_t i = 0; i < ARRAY_SIZE(protos) * 4; i++) {
		enum family f = i & 1;
		bool routed = i & 2;
		struct vm_frame v = udp_in(f, &vm2);
		struct dove_ip speaker = routed ? ip_in(f, gateway.ip) : v.dst;
		struct run r;

		begin_rejected(f, case_text("protocol %u%s", protos[i / 4], routed ? ", routed" : ""));
		v.proto = protos[i / 4] == 1 ? icmp_proto(f) : protos[i / 4];
		if (routed)
			memcpy(v.dmac, gateway.mac, 6);
		r = run_vm(&v);
		expect_told(&r, DOVE_REJECTED, TOLD_PROHIBITED, 0, &speaker);
		check(stats_of_policy(BLUE, POLICY).denied == 1, "not counted as denied by its policy");
	}
}

/* A connection that is routed is reset by its other end all the same. */
Test(reject, R8_routed_tcp_is_reset_by_the_destination)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct vm_frame v = segment(f, TCP_SYN, 0);
		struct run r;

		begin_rejected(f, "routed");
		memcpy(v.dmac, gateway.mac, 6);
		r = run_vm(&v);
		expect_reset(&r, &v, 1);
	}
}

Test(reject, R8_who_is_not_told_is_denied)
{
	struct vm_frame v = echo_in(V4, &vm2);
	struct run r;

	begin_rejected(V4, "an ICMP error");
	v.icmp = 0x0301;
	r = run_vm(&v);
	expect_dropped(&r, DOVE_DENIED);

	begin_rejected(V6, "later fragment");
	v = udp_in(V6, &vm2);
	v.frag_off = 9;
	r = run_vm(&v);
	expect_dropped(&r, DOVE_DENIED);

	begin_rejected(V4, "no budget, TCP");
	budget_put(PORT, DOVE_BUDGET_ANSWERS, 0);
	v = segment(V4, TCP_SYN, 0);
	r = run_vm(&v);
	expect_dropped(&r, DOVE_DENIED);

	begin_rejected(V4, "no budget, UDP");
	budget_put(PORT, DOVE_BUDGET_ANSWERS, 0);
	v = udp_in(V4, &vm2);
	r = run_vm(&v);
	expect_dropped(&r, DOVE_DENIED);
}

Test(reject, R9_one_rule_rejects_and_the_next_does_not)
{
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = segment(V4, TCP_SYN, 0);
	struct run r;

	t.scope = DOVE_SCOPE_PROTO | DOVE_SCOPE_TO_PORT;
	t.n_rules = 2;
	t.rules[0] = (struct dove_rule){ 0x51, 0, 0xffff, 53, 53, 6, DOVE_VERDICT_REJECT, 0, 0, 0 };
	t.rules[1] = (struct dove_rule){ 0x52, 0, 0xffff, 0, 0xffff, 0, DOVE_VERDICT_ALLOW, 0, 0, 0 };
	begin("rejected");
	policy_put(BLUE, 0x51, 1, 1);
	policy_put(BLUE, 0x52, 1, 1);
	cache_put(&vm2, &t);
	r = run_vm(&v);
	expect_sent(&r, DOVE_REJECTED);
	check(stats_of_policy(BLUE, 0x51).denied == 1, "not counted under the rule's policy");

	counters_clear();
	v.to_port = 54;
	r = run_vm(&v);
	expect_sent(&r, DOVE_ENCAPSULATED);
}
