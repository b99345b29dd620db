// SPDX-License-Identifier: Apache-2.0
/* dove_port: frames that a VM may not send, or not like this. */
#include <string.h>

#include "prog.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT });
}

TestSuite(sender, .init = load);

/* Everything is allowed, to anyone that a case below may name: what is dropped is so for its own sake. */
static void begin_open(const char *name)
{
	static const uint32_t anyone[] = { 0x0a01000c, 0x0a01000d, 0, 0xe0000001, 0xefffffff, 0xffffffff };
	struct dove_translation t;

	begin(name);
	t = allow_to(&vm2);
	for (size_t i = 0; i < ARRAY_SIZE(anyone); i++) {
		struct vm to = { .ip = anyone[i] };

		cache_put(&to, &t);
	}
}

static const uint8_t stranger[6] = { 0x02, 0, 0, 0, 9, 9 };

/* ---- who ---- */

Test(sender, R6_spoofed_mac)
{
	static const uint8_t flips[6] = { 1, 2, 4, 8, 16, 128 };

	for (int i = 0; i < 6; i++) {
		struct vm_frame v = udp_to(&vm2);
		struct frame f;
		struct run r;

		begin_open(case_text("byte %d of the source MAC", i));
		v.smac[i] ^= flips[i];
		f = frame_vm(&v);
		r = run_port(&f);
		expect_dropped(&r, DOVE_SPOOFED_MAC);
	}
}

Test(sender, R6_mac_of_the_endpoint_that_has_the_address)
{
	struct dove_addr addr = { .endpoint = vm1.endpoint };
	struct vm_frame v = udp_to(&vm2);
	struct frame f = frame_vm(&v);
	struct run r;

	begin_open("port's MAC, address of another");
	memcpy(addr.mac, vm3.mac, 6);
	map_put(dove_addrs, &((struct dove_addr_key){ .addr = ip_of(vm1.ip), .vnid = BLUE, .ifindex = PORT }),
		&addr);
	r = run_port(&f);
	expect_dropped(&r, DOVE_SPOOFED_MAC);
}

Test(sender, R6_spoofed_ip)
{
	static const uint32_t sources[] = { 0x0a01000c, 0x0a01000a, 0x0b01000b, 0,    0x7f000001,
					    0xe0000001, 0xffffffff, HOST1,	HOST2 };

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		struct vm_frame v = udp_to(&vm2);
		struct frame f;
		struct run r;

		begin_open(case_text("source %08x", sources[i]));
		v.src = sources[i];
		f = frame_vm(&v);
		r = run_port(&f);
		expect_dropped(&r, DOVE_SPOOFED_IP);
	}
}

/* The same address belongs to it only in this network, and only at this port. */
Test(sender, R6_address_of_another_network_or_port)
{
	struct dove_addr_key key = { .addr = ip_of(vm1.ip), .vnid = BLUE, .ifindex = PORT };
	struct vm_frame v = udp_to(&vm2);
	struct frame f = frame_vm(&v);
	struct dove_addr addr;
	struct run r;

	begin_open("another network");
	check(map_get(dove_addrs, &key, &addr), "no address");
	map_del(dove_addrs, &key);
	key.vnid = GREEN;
	map_put(dove_addrs, &key, &addr);
	r = run_port(&f);
	expect_dropped(&r, DOVE_SPOOFED_IP);

	begin_open("another port");
	key.vnid = BLUE;
	map_del(dove_addrs, &key);
	key.ifindex = PORT3;
	map_put(dove_addrs, &key, &addr);
	r = run_port(&f);
	expect_dropped(&r, DOVE_SPOOFED_IP);
}

/* Two networks with the same addresses: the port alone says whose packet it is. */
Test(sender, R2_the_port_says_which_network)
{
	struct dove_port port = { .vnid = GREEN, .endpoint = 900, .kind = DOVE_PORT_VM };
	struct dove_addr addr = { .endpoint = 900 };
	struct dove_translation t = allow_to(&vm2);
	struct dove_cache_key key = pair_key(&vm2);
	struct vm_frame v = udp_to(&vm2);
	struct frame f = frame_vm(&v);
	struct run r;

	begin("green");
	memcpy(port.mac, vm1.mac, 6);
	memcpy(addr.mac, vm1.mac, 6);
	map_put(dove_ports, &(uint32_t){ PORT }, &port);
	map_put(dove_addrs,
		&((struct dove_addr_key){ .addr = ip_of(vm1.ip), .vnid = GREEN, .ifindex = PORT }), &addr);
	map_put(dove_cache, &key, &t); /* VM 1 of blue may */
	r = run_port(&f);
	check(expect_held(&r, DOVE_HELD_MISS)->key.source == 900, "not green's VM");

	counters_clear();
	key.source = 900;
	t.vnid = GREEN;
	map_put(dove_cache, &key, &t);
	r = run_port(&f);
	expect_end(&r, TC_ACT_REDIRECT, DOVE_ENCAPSULATED);
	check(frame_get(&r.out, OUTER_AT(geneve.vni), 4) == GREEN << 8, "VNI");
	check(frame_get(&r.out, OUTER_AT(option.source), 4) == 900, "source");
	check(frame_get(&r.out, OUTER_AT(option.stage_vnid), 4) == GREEN, "source's VNID");
}

/* ---- what ---- */

Test(sender, R2_tagged)
{
	static const uint16_t tags[] = { 0x8100, 0x88a8, 0x9100 };

	for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
		struct vm_frame v = udp_to(&vm2);
		struct frame f = frame_vm(&v);
		struct run r;

		begin_open(case_text("tag %04x", tags[i]));
		frame_insert(&f, 12, 4);
		frame_put(&f, 12, 2, tags[i]);
		frame_put(&f, 14, 2, 42);
		r = run_port(&f);
		expect_dropped(&r, DOVE_TAGGED);
	}
}

/* On the way in from a device the kernel has moved the tag out of the frame, into the skb. */
Test(sender, R2_tagged_in_the_skb)
{
	struct vm_frame v = udp_to(&vm2);
	struct frame f = frame_vm(&v);
	struct tap tap;

	begin_open("tag in the skb");
	tap = tap_attached("tagged", dove->progs.dove_port);
	tap_is_port(&tap);
	tap_write(&tap, &f); /* the same way without a tag is not dropped as tagged */
	check(!counted(DOVE_TAGGED) && counted(DOVE_ENCAPSULATED) == 1, "an untagged frame was not sent");
	frame_insert(&f, 12, 4);
	frame_put(&f, 12, 2, 0x8100);
	frame_put(&f, 14, 2, 42);
	tap_write(&tap, &f);
	check(counted(DOVE_TAGGED) == 1, "%llu counted as tagged", (unsigned long long)counted(DOVE_TAGGED));
}

Test(sender, R6_not_ip)
{
	static const uint16_t protos[] = {
		0x86dd, 0x0842, 0x8847, 0x888e, 0x88cc, 0x0027, 0xffff, 0, 0x6558
	};

	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		struct vm_frame v = udp_to(&vm2);
		struct frame f;
		struct run r;

		begin_open(case_text("ethertype %04x", protos[i]));
		v.eth_proto = protos[i];
		f = frame_vm(&v);
		r = run_port(&f);
		expect_dropped(&r, DOVE_NOT_IP);
	}
}

Test(sender, R6_multicast_and_broadcast)
{
	static const struct {
		const char *name;
		uint8_t dmac0;
		uint32_t dst;
	} cases[] = {
		{ "broadcast MAC", 0xff, 0x0a01000c },	 { "multicast MAC", 0x01, 0x0a01000c },
		{ "224.0.0.1", 0x02, 0xe0000001 },	 { "239.255.255.255", 0x02, 0xefffffff },
		{ "255.255.255.255", 0x02, 0xffffffff },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vm_frame v = udp_to(&vm2);
		struct frame f;
		struct run r;

		begin_open(cases[i].name);
		v.dmac[0] = cases[i].dmac0;
		v.dst = cases[i].dst;
		f = frame_vm(&v);
		r = run_port(&f);
		expect_dropped(&r, DOVE_MULTICAST);
	}
}

Test(sender, R6_inner_header_is_wrong)
{
	static const struct {
		const char *name;
		unsigned at, size;
		uint32_t value;
		enum dove_reason reason;
	} cases[] = {
		{ "as it should be", 14, 1, 0x45, DOVE_ENCAPSULATED },
		{ "version 6", 14, 1, 0x65, DOVE_MALFORMED },
		{ "version 0", 14, 1, 0x05, DOVE_MALFORMED },
		{ "version 15", 14, 1, 0xf5, DOVE_MALFORMED },
		{ "IHL 4", 14, 1, 0x44, DOVE_MALFORMED },
		{ "IHL 0", 14, 1, 0x40, DOVE_MALFORMED },
		{ "IHL beyond the total length", 14, 1, 0x4f, DOVE_ENCAPSULATED },
		{ "total length below the header's", 16, 2, 19, DOVE_TRUNCATED },
		{ "total length 0, which stands for more than 64 KiB", 16, 2, 0, DOVE_MALFORMED },
		{ "total length 1", 16, 2, 1, DOVE_TRUNCATED },
		{ "total length without ports", 16, 2, 23, DOVE_TRUNCATED },
		{ "total length with ports alone", 16, 2, 24, DOVE_ENCAPSULATED },
		{ "total length one too many", 16, 2, 20 + 8 + 40 + 1, DOVE_TRUNCATED },
		{ "total length 65535", 16, 2, 65535, DOVE_TRUNCATED },
		{ "frame padded behind it", 16, 2, 20 + 8 + 4, DOVE_ENCAPSULATED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vm_frame v = udp_to(&vm2);
		struct frame f = frame_vm(&v);
		struct run r;

		begin_open(cases[i].name);
		frame_put(&f, cases[i].at, cases[i].size, cases[i].value);
		r = run_port(&f);
		if (cases[i].reason == DOVE_ENCAPSULATED)
			expect_end(&r, TC_ACT_REDIRECT, DOVE_ENCAPSULATED);
		else
			expect_dropped(&r, cases[i].reason);
	}
}

/* ---- how much of it ---- */

/* TEST_RUN takes no frame below 14 bytes, nor does any device. */
#define LEAST_FRAME 14

/* What is complete is taken, and only that. */
static void cut_everywhere(const struct tap *tap, struct frame f, enum dove_reason complete)
{
	uint32_t whole = f.len;

	for (uint32_t len = LEAST_FRAME; len <= whole; len++) {
		struct run r;

		begin_open(case_text("%u of %u bytes", len, whole));
		tap_is_port(tap);
		f.len = len;
		r = run_tc(tap, dove->progs.dove_port, &f);
		if (len < whole)
			expect_dropped(&r, DOVE_TRUNCATED);
		else
			expect_end(&r, TC_ACT_REDIRECT, complete);
	}
}

Test(sender, R6_truncated_at_every_length)
{
	static const uint8_t protos[] = { 17, 6, 1, 47 };
	struct tap tap;

	begin("a tap");
	tap = tap_attached("cut", dove->progs.dove_port);
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		struct vm_frame v = udp_to(&vm2);

		v.proto = protos[i];
		v.payload = 12;
		cut_everywhere(&tap, frame_vm(&v), DOVE_ENCAPSULATED);
	}
}

Test(sender, R6_truncated_arp_at_every_length)
{
	struct arp_fields a = arp_for(vm2.ip);
	struct tap tap;

	begin("a tap");
	tap = tap_attached("cut", dove->progs.dove_port);
	cut_everywhere(&tap, frame_arp(&a), DOVE_ARP_ANSWERED);
}

Test(sender, R6_foreign_mac_on_anything_is_never_answered)
{
	struct arp_fields a = arp_for(vm2.ip);
	struct frame f;
	struct run r;

	begin_open("ARP");
	memcpy(a.smac, stranger, 6);
	memcpy(a.sender_mac, stranger, 6);
	f = frame_arp(&a);
	r = run_port(&f);
	expect_dropped(&r, DOVE_SPOOFED_MAC);
}
