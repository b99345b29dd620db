// SPDX-License-Identifier: Apache-2.0
/* dove_port: frames that a VM may not send, or not like this. */
#include <string.h>

#include "prog.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT });
}

TestSuite(sender, .init = load, .timeout = 120);

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

static void expect_sent_or_dropped(const struct run *r, enum dove_reason reason)
{
	if (reason == DOVE_ENCAPSULATED)
		expect_sent(r, reason);
	else
		expect_dropped(r, reason);
}

/* ---- who ---- */

Test(sender, R6_spoofed_mac)
{
	static const uint8_t flips[6] = { 1, 2, 4, 8, 16, 128 };

	for (int i = 0; i < 12; i++) {
		struct vm_frame v = udp_in(i / 6, &vm2);
		struct run r;

		begin_open(case_text("IPv%u, byte %d of the source MAC", i / 6 ? 6 : 4, i % 6));
		v.smac[i % 6] ^= flips[i % 6];
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_MAC);
	}
}

Test(sender, R6_mac_of_the_endpoint_that_has_the_address)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_addr_key key = { .addr = ip_in(f, vm1.ip), .vnid = BLUE, .ifindex = PORT };
		struct dove_addr addr = { .endpoint = vm1.endpoint };
		struct vm_frame v = udp_in(f, &vm2);
		struct run r;

		begin_open(case_text("IPv%u, port's MAC, address of another", f ? 6 : 4));
		memcpy(addr.mac, vm3.mac, 6);
		map_put(dove_addrs, &key, &addr);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_MAC);
	}
}

Test(sender, R6_spoofed_ip)
{
	static const uint32_t sources[] = { 0x0a01000c, 0x0a01000a, 0x0b01000b, 0,    0x7f000001,
					    0xe0000001, 0xffffffff, HOST1,	HOST2 };

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		struct vm_frame v = udp_to(&vm2);
		struct run r;

		begin_open(case_text("source %08x", sources[i]));
		v.src = ip_of(sources[i]);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_IP);
	}
}

/* A link-local address is one like all others: also it must have been given to the port. */
Test(sender, R6_spoofed_ipv6)
{
	static const char *const sources[] = {
		"2001:db8::a01:c", "2001:db8::a01:a", "2001:db8:0:1::a01:b", "::1", "::", "fe80::1",
		"ff02::1",	   "::a01:b",	      "64:ff9b::a01:b"
	};

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		struct vm_frame v = udp_in(V6, &vm2);
		struct run r;

		begin_open(sources[i]);
		v.src = ip6_text(sources[i]);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_IP);
	}
}

/* The same address belongs to it only in this network, and only at this port. */
Test(sender, R6_address_of_another_network_or_port)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_addr_key key = { .addr = ip_in(f, vm1.ip), .vnid = BLUE, .ifindex = PORT };
		struct vm_frame v = udp_in(f, &vm2);
		struct dove_addr addr;
		struct run r;

		begin_open("another network");
		check(map_get(dove_addrs, &key, &addr), "no address");
		map_del(dove_addrs, &key);
		key.vnid = GREEN;
		map_put(dove_addrs, &key, &addr);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_IP);

		begin_open("another port");
		key.vnid = BLUE;
		map_del(dove_addrs, &key);
		key.ifindex = PORT3;
		map_put(dove_addrs, &key, &addr);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_SPOOFED_IP);
	}
}

static void port_is_greens(uint32_t endpoint)
{
	struct dove_port port = { .vnid = GREEN, .endpoint = endpoint, .kind = DOVE_PORT_VM };
	struct dove_addr_key key = { .addr = ip_of(vm1.ip), .vnid = GREEN, .ifindex = PORT };
	struct dove_addr addr = { .endpoint = endpoint };

	memcpy(port.mac, vm1.mac, 6);
	memcpy(addr.mac, vm1.mac, 6);
	map_put(dove_ports, &(uint32_t){ PORT }, &port);
	map_put(dove_addrs, &key, &addr);
}

/* Two networks with the same addresses: the port alone says whose packet it is. */
Test(sender, R2_the_port_says_which_network)
{
	struct dove_translation t = allow_to(&vm2);
	struct dove_cache_key key = pair_key(&vm2);
	struct vm_frame v = udp_to(&vm2);
	struct run r;

	begin("green");
	port_is_greens(900);
	map_put(dove_cache, &key, &t); /* VM 1 of blue may */
	r = run_vm(&v);
	check(expect_held(&r, DOVE_HELD_MISS)->key.source == 900, "not green's VM");

	counters_clear();
	key.source = 900;
	t.vnid = GREEN;
	map_put(dove_cache, &key, &t);
	r = run_vm(&v);
	expect_sent(&r, DOVE_ENCAPSULATED);
	check(frame_get(&r.out, OUTER_AT(geneve.vni), 4) == GREEN << 8, "VNI");
	check(frame_get(&r.out, OUTER_AT(option.source), 4) == 900, "source");
	check(frame_get(&r.out, OUTER_AT(option.stage_vnid), 4) == GREEN, "source's VNID");
}

/* ---- what ---- */

static void tag(struct frame *f, uint16_t type)
{
	frame_insert(f, 12, 4);
	frame_put(f, 12, 2, type);
	frame_put(f, 14, 2, 42);
}

Test(sender, R2_tagged)
{
	static const uint16_t tags[] = { 0x8100, 0x88a8, 0x9100 };

	for (size_t i = 0; i < ARRAY_SIZE(tags); i++) {
		struct vm_frame v = udp_to(&vm2);
		struct frame f = frame_vm(&v);
		struct run r;

		begin_open(case_text("tag %04x", tags[i]));
		tag(&f, tags[i]);
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
	port_put(tap.ifindex, &vm1, DOVE_PORT_VM);
	tap_write(&tap, &f); /* the same way without a tag is not dropped as tagged */
	check(!counted(DOVE_TAGGED) && counted(DOVE_ENCAPSULATED) == 1, "an untagged frame was not sent");
	tag(&f, 0x8100);
	tap_write(&tap, &f);
	check(counted(DOVE_TAGGED) == 1, "%llu counted as tagged", (unsigned long long)counted(DOVE_TAGGED));
}

Test(sender, R6_not_ip)
{
	static const uint16_t protos[] = { 0x0842, 0x8847, 0x888e, 0x88cc, 0x0027, 0xffff, 0, 0x6558 };

	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		struct vm_frame v = udp_to(&vm2);
		struct run r;

		begin_open(case_text("ethertype %04x", protos[i]));
		v.eth_proto = protos[i];
		r = run_vm(&v);
		expect_dropped(&r, DOVE_NOT_IP);
	}
}

/* A packet to many in a frame to one would come to one that has no use for it, past the list of those who may. */
Test(sender, R6_unicast_frame_to_a_group)
{
	static const uint32_t groups[] = { 0xe0000001, 0xefffffff, 0xffffffff };
	struct vm_frame v;
	struct run r;

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		begin_open(case_text("%08x", groups[i]));
		v = udp_to(&vm2);
		v.dst = ip_of(groups[i]);
		r = run_vm(&v);
		expect_dropped(&r, DOVE_MALFORMED);
	}
	begin_open("ff02::1");
	v = udp_in(V6, &vm2);
	v.dst = ip6_text("ff02::1");
	r = run_vm(&v);
	expect_dropped(&r, DOVE_MALFORMED);
}

/* ---- headers ---- */

struct wrong {
	const char *name;
	unsigned at, size;
	uint32_t value;
	enum dove_reason reason;
};

static void expect_wrong(enum family family, const struct wrong *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct vm_frame v = udp_in(family, &vm2);
		struct frame f = frame_vm(&v);
		struct run r;

		begin_open(case_text("IPv%u: %s", family ? 6 : 4, cases[i].name));
		frame_put(&f, cases[i].at, cases[i].size, cases[i].value);
		r = run_port(&f);
		expect_sent_or_dropped(&r, cases[i].reason);
	}
}

Test(sender, R6_ipv4_header_is_wrong)
{
	static const struct wrong cases[] = {
		{ "as it should be", 14, 1, 0x45, DOVE_ENCAPSULATED },
		{ "version 6", 14, 1, 0x65, DOVE_MALFORMED },
		{ "version 0", 14, 1, 0x05, DOVE_MALFORMED },
		{ "version 15", 14, 1, 0xf5, DOVE_MALFORMED },
		{ "IPv6 by the Ethernet header", 12, 2, 0x86dd, DOVE_MALFORMED },
		{ "IHL 4", 14, 1, 0x44, DOVE_MALFORMED },
		{ "IHL 0", 14, 1, 0x40, DOVE_MALFORMED },
		{ "IHL 15, and ports behind it", 14, 1, 0x4f, DOVE_ENCAPSULATED },
		{ "total length below the header's", 16, 2, 19, DOVE_TRUNCATED },
		{ "total length 0, which stands for more than 64 KiB", 16, 2, 0, DOVE_MALFORMED },
		{ "total length 1", 16, 2, 1, DOVE_TRUNCATED },
		{ "total length without ports", 16, 2, 23, DOVE_TRUNCATED },
		{ "total length with ports alone", 16, 2, 24, DOVE_ENCAPSULATED },
		{ "total length one too many", 16, 2, 20 + 8 + 40 + 1, DOVE_TRUNCATED },
		{ "total length 65535", 16, 2, 65535, DOVE_TRUNCATED },
		{ "frame padded behind it", 16, 2, 20 + 8 + 4, DOVE_ENCAPSULATED },
	};

	expect_wrong(V4, cases, ARRAY_SIZE(cases));
}

Test(sender, R6_ipv6_header_is_wrong)
{
	static const struct wrong cases[] = {
		{ "as it should be", 14, 1, 0x60, DOVE_ENCAPSULATED },
		{ "version 4", 14, 1, 0x40, DOVE_MALFORMED },
		{ "version 0", 14, 1, 0x00, DOVE_MALFORMED },
		{ "version 15", 14, 1, 0xf0, DOVE_MALFORMED },
		{ "IPv4 by the Ethernet header", 12, 2, 0x0800, DOVE_MALFORMED },
		{ "payload length 0, which stands for more than 64 KiB", 18, 2, 0, DOVE_MALFORMED },
		{ "payload length 1", 18, 2, 1, DOVE_TRUNCATED },
		{ "payload length without ports", 18, 2, 3, DOVE_TRUNCATED },
		{ "payload length with ports alone", 18, 2, 4, DOVE_ENCAPSULATED },
		{ "payload length one too many", 18, 2, 8 + 40 + 1, DOVE_TRUNCATED },
		{ "payload length 65535", 18, 2, 65535, DOVE_TRUNCATED },
		{ "frame padded behind it", 18, 2, 8 + 4, DOVE_ENCAPSULATED },
	};

	expect_wrong(V6, cases, ARRAY_SIZE(cases));
}

/* What stands for something else in the maps must not come in by a header: IPv4 addresses, external networks. */
Test(sender, R6_ipv6_addresses_that_mean_something_else)
{
	static const struct {
		const char *addr;
		enum dove_reason as_source, as_destination;
	} cases[] = {
		{ "::ffff:10.1.0.11", DOVE_MALFORMED, DOVE_MALFORMED },
		{ "::ffff:10.1.0.12", DOVE_MALFORMED, DOVE_MALFORMED },
		{ "::ffff:224.0.0.1", DOVE_MALFORMED, DOVE_MALFORMED },
		{ "100::1f41", DOVE_MALFORMED, DOVE_MALFORMED },
		{ "100::ffff:ffff:ffff:ffff", DOVE_MALFORMED, DOVE_MALFORMED },
		{ "100:0:0:1::", DOVE_SPOOFED_IP, DOVE_HELD_MISS },
		{ "100:1::", DOVE_SPOOFED_IP, DOVE_HELD_MISS },
		{ "::fffe:10.1.0.12", DOVE_SPOOFED_IP, DOVE_HELD_MISS },
		{ "0:0:0:1:0:ffff:a01:c", DOVE_SPOOFED_IP, DOVE_HELD_MISS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct dove_ip addr = ip6_text(cases[i].addr);
		struct vm_frame v = udp_in(V6, &vm2);
		struct frame f = frame_vm(&v), to = f;
		struct run r;

		begin_open(case_text("from %s", cases[i].addr));
		memcpy(f.b + 14 + 8, &addr, 16);
		r = run_port(&f);
		expect_dropped(&r, cases[i].as_source);

		begin_open(case_text("to %s", cases[i].addr));
		memcpy(to.b + 14 + 24, &addr, 16);
		r = run_port(&to);
		if (cases[i].as_destination == DOVE_HELD_MISS)
			expect_held(&r, DOVE_HELD_MISS);
		else
			expect_dropped(&r, cases[i].as_destination);
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
		port_put(tap->ifindex, &vm1, DOVE_PORT_VM);
		f.len = len;
		r = run_tc(tap, dove->progs.dove_port, &f);
		if (len < whole)
			expect_dropped(&r, DOVE_TRUNCATED);
		else
			expect_sent(&r, complete);
	}
}

Test(sender, R6_truncated_at_every_length)
{
	static const uint8_t protos[] = { 17, 6, 1, 47, 58 };
	struct tap tap;

	begin("a tap");
	tap = tap_attached("cut", dove->progs.dove_port);
	for (size_t i = 0; i < ARRAY_SIZE(protos) * FAMILIES; i++) {
		struct vm_frame v = udp_in(i % FAMILIES, &vm2);

		v.proto = protos[i / FAMILIES];
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
	static const uint8_t stranger[6] = { 0x02, 0, 0, 0, 9, 9 };
	struct arp_fields a = arp_for(vm2.ip);
	struct dove_ip target = ip6_of(vm2.ip);
	struct nd_fields n = solicitation_for(&target);
	struct frame f;
	struct run r;

	begin_open("ARP");
	memcpy(a.smac, stranger, 6);
	memcpy(a.sender_mac, stranger, 6);
	f = frame_arp(&a);
	r = run_port(&f);
	expect_dropped(&r, DOVE_SPOOFED_MAC);

	begin_open("neighbour discovery");
	memcpy(n.smac, stranger, 6);
	memcpy(n.option_mac, stranger, 6);
	f = frame_nd(&n);
	r = run_port(&f);
	expect_dropped(&r, DOVE_SPOOFED_MAC);
}
