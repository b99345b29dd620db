// SPDX-License-Identifier: Apache-2.0
/* Packets larger than their way: who sent them is told what fits (RFC 1191, RFC 8201). */
#include <string.h>

#include "answers.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT | PROG_TRACE });
}

TestSuite(too_big, .init = load);

/* VM 1's packet of so many bytes, IP header and all. */
static struct vm_frame of_size(enum family family, const struct vm *to, uint8_t proto, uint32_t ip_len)
{
	struct vm_frame v = udp_in(family, to);

	v.proto = proto == 1 ? icmp_proto(family) : proto;
	v.payload = 0;
	v.payload = ip_len + 14 - frame_vm(&v).len;
	return v;
}

/* Over either outer family what fits is another size; what comes of it is the sender's family's. */
Test(too_big, R13_told_the_size_that_fits)
{
	static const uint8_t protos[] = { 17, 6, 1, 47 };

	for (size_t i = 0; i < ARRAY_SIZE(protos) * 4; i++) {
		enum family inner = i & 1, outer = i >> 1 & 1;
		uint32_t mtu = outer == V6 ? HOST2_MTU6 : HOST2_MTU;
		struct dove_translation t = allow_to(&vm2);
		struct dove_ip speaker = ip_in(inner, vm2.ip);
		struct vm_frame v = of_size(inner, &vm2, protos[i / 4], mtu);
		struct run r;

		t.host = ip_in(outer, HOST2);
		begin(case_text("protocol %u, IPv%u in IPv%u, just fits", v.proto, inner ? 6 : 4,
				outer ? 6 : 4));
		cache_put(&vm2, &t);
		r = run_vm(&v);
		expect_sent(&r, DOVE_ENCAPSULATED);

		begin(case_text("protocol %u, IPv%u in IPv%u, one byte more", v.proto, inner ? 6 : 4,
				outer ? 6 : 4));
		cache_put(&vm2, &t);
		v.payload++;
		r = run_vm(&v);
		expect_told(&r, DOVE_TOO_BIG_ANSWERED, TOLD_TOO_BIG, mtu, &speaker);
	}
}

Test(too_big, R4_a_neighbours_device_has_a_size_too)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = allow_to(&vm3);
		struct dove_ip speaker = ip_in(f, vm3.ip);
		struct vm_frame v = of_size(f, &vm3, 17, 1280);
		struct run r;

		begin(case_text("IPv%u, just fits", f ? 6 : 4));
		cache_put(&vm3, &t);
		local_mtu(&vm3, 1280);
		r = run_vm(&v);
		expect_sent(&r, DOVE_DELIVERED_LOCAL);

		begin(case_text("IPv%u, one byte more", f ? 6 : 4));
		cache_put(&vm3, &t);
		local_mtu(&vm3, 1280);
		v.payload++;
		r = run_vm(&v);
		expect_told(&r, DOVE_TOO_BIG_ANSWERED, TOLD_TOO_BIG, 1280, &speaker);
	}
}

/* A router says so in its own name, and has not counted the hop. */
Test(too_big, R3_the_gateway_says_so)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = allow_to(&vm2);
		struct dove_ip speaker = ip_in(f, gateway.ip);
		struct vm_frame v = of_size(f, &vm2, 6, 1500);
		struct run r;

		begin(case_text("IPv%u", f ? 6 : 4));
		memcpy(v.dmac, gateway.mac, 6);
		cache_put(&vm2, &t);
		r = run_vm(&v);
		expect_told(&r, DOVE_TOO_BIG_ANSWERED, TOLD_TOO_BIG, HOST2_MTU, &speaker);
	}
}

/* As much is quoted as the error may be long: RFC 1812, 4.3.2.3; RFC 4443, 2.4 (c). */
Test(too_big, R13_quotes_as_much_as_it_may)
{
	static const uint32_t sizes[] = { 100, 101, 102, 103, 547, 548, 549, 1231, 1232, 1233, 1500 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes) * FAMILIES; i++) {
		enum family f = i % FAMILIES;
		struct dove_translation t = allow_to(&vm3);
		struct vm_frame v = of_size(f, &vm3, 17, sizes[i / FAMILIES]);
		struct dove_ip speaker = ip_in(f, vm3.ip);
		struct run r;

		begin(case_text("IPv%u, %u bytes", f ? 6 : 4, sizes[i / FAMILIES]));
		cache_put(&vm3, &t);
		local_mtu(&vm3, 68);
		r = run_vm(&v);
		expect_told(&r, DOVE_TOO_BIG_ANSWERED, TOLD_TOO_BIG, 68, &speaker);
	}
}

/* Ethernet pads what is short; that is no part of the packet. */
Test(too_big, R13_padding_is_not_quoted)
{
	struct dove_translation t = allow_to(&vm3);
	struct vm_frame v = of_size(V4, &vm3, 17, 30);
	struct dove_ip speaker = ip_of(vm3.ip);
	struct frame f = frame_vm(&v), want = icmp_error(&f, TOLD_TOO_BIG, 28, &speaker);
	struct run r;

	begin("30 bytes in a frame of 60");
	cache_put(&vm3, &t);
	local_mtu(&vm3, 28);
	f.len = 60;
	memset(f.b + 44, 0x77, 16);
	r = run_port(&f);
	expect_sent(&r, DOVE_TOO_BIG_ANSWERED);
	expect_bytes(&r.out, &want);
}

Test(too_big, R13_who_cannot_be_told)
{
	static const struct {
		const char *name;
		enum family family;
		uint8_t proto, option_words;
		uint16_t frag_off, icmp;
		bool told;
	} cases[] = {
		{ "echo request", V4, 1, 0, 0, 0x0800, true },
		{ "echo reply", V4, 1, 0, 0, 0x0000, true },
		{ "ICMP error", V4, 1, 0, 0, 0x0301, false },
		{ "later fragment", V4, 17, 0, 100, 0, false },
		{ "first fragment", V4, 17, 0, MORE_FRAGMENTS, 0, true },
		{ "IP options", V4, 17, 2, 0, 0, true },
		{ "ICMPv6 error", V6, 58, 0, 0, 0x0100, false },
		{ "later fragment", V6, 17, 0, 100, 0, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = udp_in(cases[i].family, &vm2);
		struct dove_ip speaker = v.dst;
		struct run r;

		begin(cases[i].name);
		cache_put(&vm2, &t);
		v.proto = cases[i].proto;
		v.icmp = cases[i].icmp;
		v.option_words = cases[i].option_words;
		v.frag_off = cases[i].frag_off;
		v.payload = 1500;
		r = run_vm(&v);
		if (cases[i].told)
			expect_told(&r, DOVE_TOO_BIG_ANSWERED, TOLD_TOO_BIG, HOST2_MTU, &speaker);
		else
			expect_dropped(&r, DOVE_TOO_BIG);
	}
}

Test(too_big, R13_answers_are_limited)
{
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = of_size(V4, &vm2, 17, 1500);
	struct run r;

	begin("no budget");
	cache_put(&vm2, &t);
	budget_put(PORT, DOVE_BUDGET_ANSWERS, 0);
	r = run_vm(&v);
	expect_dropped(&r, DOVE_TOO_BIG);
}

/* ---- super-packets: what each of their segments will have counts ---- */

/* Nothing need leave to be judged, so the program that traces is asked; TEST_RUN's super-packets can't leave. */
static uint32_t traced_reason(const struct vm_frame *v, uint32_t gso_size)
{
	struct __sk_buff ctx = { .ingress_ifindex = PORT, .gso_size = gso_size, .gso_segs = 2 };
	struct frame f = frame_vm(v);

	run_skb(dove->progs.dove_trace, &f, &ctx);
	return dove->bss->traced.reason;
}

Test(too_big, R13_segments_of_super_packets_must_fit)
{
	static const struct {
		enum family family;
		uint8_t proto, extension;
		uint32_t headers;
	} cases[] = {
		{ V4, 6, 0, 20 + 20 }, { V6, 6, 0, 40 + 20 },	   { V4, 17, 0, 20 + 8 },
		{ V6, 17, 0, 40 + 8 }, { V6, 6, 1, 40 + 16 + 20 }, { V6, 17, 1, 40 + 16 + 8 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = of_size(cases[i].family, &vm2, cases[i].proto, 3000);
		uint32_t fits = HOST2_MTU - cases[i].headers;

		begin(case_text("IPv%u, protocol %u", v.eth_proto == ETH_P_IP ? 4 : 6, v.proto));
		v.extension[0] = (struct extension_field){ 60, 1 };
		v.n_extensions = cases[i].extension;
		cache_put(&vm2, &t);
		check(traced_reason(&v, fits) == DOVE_ENCAPSULATED, "%u bytes a segment: %s", fits,
		      reason_name(traced_reason(&v, fits)));
		check(traced_reason(&v, fits + 1) == DOVE_TOO_BIG_ANSWERED, "%u bytes a segment: %s",
		      fits + 1, reason_name(traced_reason(&v, fits + 1)));
	}
}

/* TCP with options has longer headers. */
Test(too_big, R13_tcp_options_count)
{
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = of_size(V4, &vm2, 6, 3000);
	struct __sk_buff ctx = { .ingress_ifindex = PORT, .gso_size = HOST2_MTU - 20 - 32, .gso_segs = 2 };
	struct frame f = frame_vm(&v);

	begin("12 bytes of them");
	cache_put(&vm2, &t);
	f.b[14 + 20 + 12] = 0x80;
	run_skb(dove->progs.dove_trace, &f, &ctx);
	check(dove->bss->traced.reason == DOVE_ENCAPSULATED, "%s", reason_name(dove->bss->traced.reason));
	ctx.gso_size++;
	run_skb(dove->progs.dove_trace, &f, &ctx);
	check(dove->bss->traced.reason == DOVE_TOO_BIG_ANSWERED, "%s", reason_name(dove->bss->traced.reason));
}

/* ---- what the kernel still had to do for the packet ---- */

/*
 * A VM that leaves checksums to its device: no trace of that may be in the
 * answer, which has nothing where its sum was to be put.
 */
Test(too_big, R13_a_checksum_that_was_to_be_made_is_not_made_in_the_answer)
{
	static const uint8_t protos[] = { 6, 17 };
	struct tap tap;

	begin("a tap");
	tap = tap_open_vnet("port1");
	tap_attach(&tap, dove->progs.dove_port);
	for (size_t i = 0; i < ARRAY_SIZE(protos) * FAMILIES; i++) {
		enum family f = i % FAMILIES;
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = of_size(f, &vm2, protos[i / FAMILIES], 1500);
		struct dove_ip speaker = v.dst;
		struct frame sent = frame_offloaded(&v),
			     want = icmp_error(&sent, TOLD_TOO_BIG, HOST2_MTU, &speaker), got;

		begin(case_text("IPv%u, protocol %u", f ? 6 : 4, v.proto));
		port_put(tap.ifindex, &vm1, DOVE_PORT_VM);
		cache_put(&vm2, &t);
		tap_write_offloaded(&tap, &v, 0);
		check(tap_read(&tap, &got), "no answer came to the VM");
		expect_bytes(&got, &want);
	}
}
