// SPDX-License-Identifier: Apache-2.0
/*
 * What arrives at the NIC: dove_nic_ingress and dove_xdp, which must come to
 * the same end. Every case runs through both; they differ only in what
 * "accepted" looks like, and in that XDP leaves to TC what is not ours.
 */
#include <string.h>

#include "ingress.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_NIC_INGRESS | PROG_XDP });
}

TestSuite(ingress, .init = load);

/* ---- delivered ---- */

Test(ingress, R14_delivers_what_was_sent_byte_by_byte)
{
	static const struct {
		const char *name;
		uint8_t proto, option_words;
		uint16_t frag_off;
		uint32_t payload;
	} cases[] = {
		{ "UDP", 17, 0, 0, 40 },
		{ "TCP", 6, 0, 0, 1390 },
		{ "ICMP", 1, 0, 0, 56 },
		{ "no ports", 47, 0, 0, 1 },
		{ "no payload", 17, 0, 0, 0 },
		{ "IP header alone", 47, 0, 0, 0 },
		{ "IP options", 17, 10, 0, 8 },
		{ "first fragment", 17, 0, 0x2000, 80 },
		{ "later fragment", 17, 0, 10, 8 },
		{ "large", 17, 0, 0, 3000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (enum at h = AT_TC; h < AT_COUNT; h++) {
			struct vm_frame v = udp_from_vm2();
			struct frame inner, f;
			struct run r;

			begin_hook(h, cases[i].name);
			v.proto = cases[i].proto;
			v.option_words = cases[i].option_words;
			v.frag_off = cases[i].frag_off;
			v.payload = cases[i].payload;
			inner = frame_vm(&v);
			f = wrap(&inner);
			r = arrive(h, &f);
			expect_accepted(h, &r, &inner);
			expect_quiet();
		}
	}
}

/* How to deliver is TC's to know, which sees nothing of the outer headers. */
Test(ingress, R14_xdp_tells_tc_how_to_deliver)
{
	struct dove_place_key key = { .addr = ip_of(vm3.ip), .vnid = BLUE };
	struct frame inner = the_inner(), f = wrap(&inner);
	struct dove_local local;
	struct dove_meta meta;
	struct run r;

	begin_hook(AT_XDP, "by the peer");
	check(map_get(dove_local, &key, &local), "no VM 3");
	local.delivery = DOVE_DELIVER_PEER;
	map_put(dove_local, &key, &local);
	r = arrive(AT_XDP, &f);
	expect_end(&r, XDP_PASS, DOVE_STRIPPED);
	memcpy(&meta, r.out.b, sizeof(meta));
	check(meta.magic == DOVE_META_MAGIC && meta.delivery == DOVE_DELIVER_PEER, "metadata %x, delivery %u",
	      meta.magic, meta.delivery);
}

/* Two networks with the same addresses: the VNI says whose it is, and nothing else. */
Test(ingress, R2_the_vni_says_which_network)
{
	for (enum at h = AT_TC; h < AT_COUNT; h++) {
		struct outer_frame o = outer_from_host2();
		struct vm_frame v = udp_from_vm2();
		struct frame inner = frame_vm(&v), f;
		struct run r;

		begin_hook(h, "green has no such VM");
		network_put(GREEN, REVISION, 1);
		policy_put(GREEN, POLICY, 1, 1);
		o.vnid = GREEN;
		f = frame_encapsulated(&o, &inner);
		r = arrive(h, &f);
		expect_refused(h, &r, DOVE_UNKNOWN_ENDPOINT);
		check(expect_event(DOVE_EVENT_UNKNOWN_ENDPOINT).vnid == GREEN, "the event's network");

		begin_hook(h, "green has one");
		network_put(GREEN, REVISION, 1);
		policy_put(GREEN, POLICY, 1, 1);
		local_put(GREEN, &vm3, 4713, 1, 1);
		r = arrive(h, &f);
		expect_accepted_for(h, &r, &inner, 4713);
	}
}

/* ---- not ours: the kernel goes on with it ---- */

Test(ingress, R14_foreign_traffic_passes_untouched)
{
	static const struct edit cases[] = {
		{ "ARP", OUTER_AT(eth.h_proto), 2, 0x0806, EDIT_CHECKSUM },
		{ "IPv6", OUTER_AT(eth.h_proto), 2, 0x86dd, EDIT_CHECKSUM },
		{ "802.1Q outside", OUTER_AT(eth.h_proto), 2, 0x8100, EDIT_CHECKSUM },
		{ "TCP", OUTER_AT(ip.protocol), 1, 6, EDIT_CHECKSUM },
		{ "another UDP port", OUTER_AT(udp.dest), 2, 4789, EDIT_CHECKSUM },
		{ "the control message's port", OUTER_AT(udp.dest), 2, 6082, EDIT_CHECKSUM },
		{ "from port 6081, not to it", OUTER_AT(udp.source), 4, 6081u << 16 | 4000, EDIT_CHECKSUM },
		{ "not to one of our addresses", OUTER_AT(ip.daddr), 4, 0xc0000203, EDIT_CHECKSUM },
		{ "to another host", OUTER_AT(ip.daddr), 4, HOST2, EDIT_CHECKSUM },
		{ "outer later fragment, which has no ports", OUTER_AT(ip.frag_off), 2, 0x0010,
		  EDIT_CHECKSUM },
		{ "outer last fragment", OUTER_AT(ip.frag_off), 2, 0x1fff, EDIT_CHECKSUM },
		{ "outer IP version 6", OUTER_AT(ip), 1, 0x65, EDIT_CHECKSUM },
		{ "outer IP options", OUTER_AT(ip), 1, 0x46, EDIT_CHECKSUM },
		{ "outer IHL 0", OUTER_AT(ip), 1, 0x40, EDIT_CHECKSUM },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (enum at h = AT_TC; h < AT_COUNT; h++) {
			struct run r = arrive_edited(h, &cases[i]);

			expect_passed(h, &r);
			expect_quiet();
		}
	}
}

/* ---- refused, each for its reason ---- */

Test(ingress, R14_wrong_headers_are_dropped)
{
	static const struct {
		struct edit edit;
		enum dove_reason reason;
	} cases[] = {
		{ { "outer checksum", OUTER_AT(ip.check), 2, 0x1234, 0 }, DOVE_OUTER_MALFORMED },
		{ { "TTL changed, checksum not", OUTER_AT(ip.ttl), 1, 9, 0 }, DOVE_OUTER_MALFORMED },
		{ { "outer first fragment", OUTER_AT(ip.frag_off), 2, 0x2000, EDIT_CHECKSUM },
		  DOVE_OUTER_FRAGMENT },
		{ { "outer length beyond the frame", OUTER_AT(ip.tot_len), 2, 139, EDIT_CHECKSUM },
		  DOVE_OUTER_MALFORMED },
		{ { "outer length 65535", OUTER_AT(ip.tot_len), 2, 65535, EDIT_CHECKSUM },
		  DOVE_OUTER_MALFORMED },
		{ { "outer length 0", OUTER_AT(ip.tot_len), 2, 0, EDIT_CHECKSUM }, DOVE_OUTER_MALFORMED },
		{ { "outer length 19", OUTER_AT(ip.tot_len), 2, 19, EDIT_CHECKSUM }, DOVE_OUTER_MALFORMED },
		{ { "UDP length one more", OUTER_AT(udp.len), 2, 119, EDIT_CHECKSUM }, DOVE_OUTER_MALFORMED },
		{ { "UDP length one less", OUTER_AT(udp.len), 2, 117, EDIT_CHECKSUM }, DOVE_OUTER_MALFORMED },
		{ { "UDP length 0", OUTER_AT(udp.len), 2, 0, EDIT_CHECKSUM }, DOVE_OUTER_MALFORMED },
		{ { "UDP length 65535", OUTER_AT(udp.len), 2, 65535, EDIT_CHECKSUM }, DOVE_OUTER_MALFORMED },
		{ { "version 1", OUTER_AT(geneve), 1, 0x45, 0 }, DOVE_GENEVE_VERSION },
		{ { "version 3", OUTER_AT(geneve), 1, 0xc5, 0 }, DOVE_GENEVE_VERSION },
		{ { "O bit", OUTER_AT(geneve.flags), 1, 0xc0, 0 }, DOVE_GENEVE_VERSION },
		{ { "no C bit", OUTER_AT(geneve.flags), 1, 0, 0 }, DOVE_GENEVE_OPTION },
		{ { "payload IPv4", OUTER_AT(geneve.proto), 2, 0x0800, 0 }, DOVE_GENEVE_PROTOCOL },
		{ { "payload 0", OUTER_AT(geneve.proto), 2, 0, 0 }, DOVE_GENEVE_PROTOCOL },
		{ { "no option", OUTER_AT(geneve), 1, 0, 0 }, DOVE_GENEVE_OPTION },
		{ { "options a word short", OUTER_AT(geneve), 1, 4, 0 }, DOVE_GENEVE_OPTION },
		{ { "options a word long", OUTER_AT(geneve), 1, 6, 0 }, DOVE_GENEVE_OPTION },
		{ { "as many options as there can be", OUTER_AT(geneve), 1, 63, 0 }, DOVE_GENEVE_OPTION },
		{ { "class of another", OUTER_AT(option.opt_class), 2, 0x0102, 0 }, DOVE_GENEVE_OPTION },
		{ { "type not critical", OUTER_AT(option.type), 1, 0x01, 0 }, DOVE_GENEVE_OPTION },
		{ { "type of another", OUTER_AT(option.type), 1, 0x82, 0 }, DOVE_GENEVE_OPTION },
		{ { "body a word short", OUTER_AT(option.words), 1, 3, 0 }, DOVE_GENEVE_OPTION },
		{ { "body empty", OUTER_AT(option.words), 1, 0, 0 }, DOVE_GENEVE_OPTION },
		{ { "body of 31 words", OUTER_AT(option.words), 1, 31, 0 }, DOVE_GENEVE_OPTION },
		{ { "stage 1", OUTER_AT(option.stage_vnid), 1, 0x10, 0 }, DOVE_GENEVE_OPTION },
		{ { "stage 15", OUTER_AT(option.stage_vnid), 1, 0xf0, 0 }, DOVE_GENEVE_OPTION },
		{ { "relayed", OUTER_AT(option.stage_vnid), 1, 0x01, 0 }, DOVE_GENEVE_OPTION },
		{ { "returned", OUTER_AT(option.stage_vnid), 1, 0x04, 0 }, DOVE_GENEVE_OPTION },
		{ { "from nobody we know", OUTER_AT(ip.saddr), 4, 0xc6336409, EDIT_CHECKSUM },
		  DOVE_UNKNOWN_HOST },
		{ { "from ourselves", OUTER_AT(ip.saddr), 4, HOST1, EDIT_CHECKSUM }, DOVE_UNKNOWN_HOST },
		{ { "from 0.0.0.0", OUTER_AT(ip.saddr), 4, 0, EDIT_CHECKSUM }, DOVE_UNKNOWN_HOST },
		{ { "802.1Q inside", OUTER_AT(inner_eth.h_proto), 2, 0x8100, 0 }, DOVE_TAGGED },
		{ { "802.1ad inside", OUTER_AT(inner_eth.h_proto), 2, 0x88a8, 0 }, DOVE_TAGGED },
		{ { "ARP inside", OUTER_AT(inner_eth.h_proto), 2, 0x0806, 0 }, DOVE_NOT_IP },
		{ { "IPv6 inside", OUTER_AT(inner_eth.h_proto), 2, 0x86dd, 0 }, DOVE_NOT_IP },
		{ { "length inside", OUTER_AT(inner_eth.h_proto), 2, 0x0040, 0 }, DOVE_NOT_IP },
		{ { "multicast inside", OUTER_AT(inner_eth), 1, 0x01, 0 }, DOVE_MULTICAST },
		{ { "broadcast inside", OUTER_AT(inner_eth), 4, 0xffffffff, 0 }, DOVE_MULTICAST },
		{ { "inner version 6", OUTER_AT(inner_ip), 1, 0x65, 0 }, DOVE_MALFORMED },
		{ { "inner IHL 4", OUTER_AT(inner_ip), 1, 0x44, 0 }, DOVE_MALFORMED },
		{ { "inner length one more", OUTER_AT(inner_ip.tot_len), 2, 69, 0 }, DOVE_TRUNCATED },
		{ { "inner length 65535", OUTER_AT(inner_ip.tot_len), 2, 65535, 0 }, DOVE_TRUNCATED },
		{ { "inner length 0", OUTER_AT(inner_ip.tot_len), 2, 0, 0 }, DOVE_MALFORMED },
		{ { "inner length 19", OUTER_AT(inner_ip.tot_len), 2, 19, 0 }, DOVE_TRUNCATED },
		{ { "inner length without ports", OUTER_AT(inner_ip.tot_len), 2, 23, 0 }, DOVE_TRUNCATED },
		{ { "network not served", OUTER_AT(geneve.vni), 4, GREEN << 8, 0 }, DOVE_UNKNOWN_NETWORK },
		{ { "network 0", OUTER_AT(geneve.vni), 4, 0, 0 }, DOVE_UNKNOWN_NETWORK },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (enum at h = AT_TC; h < AT_COUNT; h++) {
			struct run r = arrive_edited(h, &cases[i].edit);

			expect_refused(h, &r, cases[i].reason);
			expect_quiet();
		}
	}
}

/* The bits that RFC 8926 and RFC 791 leave to others change nothing. */
Test(ingress, R14_harmless_differences_are_accepted)
{
	static const struct edit cases[] = {
		{ "nothing changed", OUTER_AT(ip.ttl), 1, 64, EDIT_CHECKSUM },
		{ "TTL 1", OUTER_AT(ip.ttl), 1, 1, EDIT_CHECKSUM },
		{ "DSCP and ECN", OUTER_AT(ip.tos), 1, 0xb9, EDIT_CHECKSUM },
		{ "IP id", OUTER_AT(ip.id), 2, 0xabcd, EDIT_CHECKSUM },
		{ "no DF", OUTER_AT(ip.frag_off), 2, 0, EDIT_CHECKSUM },
		{ "any source port", OUTER_AT(udp.source), 2, 1, 0 },
		{ "reserved flags", OUTER_AT(geneve.flags), 1, 0x7f, 0 },
		{ "reserved byte behind the VNI", OUTER_AT(geneve.vni) + 3, 1, 0xff, 0 },
		{ "another endpoint as source", OUTER_AT(option.source), 4, 0xffffffff, 0 },
		{ "another network as source", OUTER_AT(option.stage_vnid), 4, 0x00ffffff, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (enum at h = AT_TC; h < AT_COUNT; h++) {
			struct run r = arrive_edited(h, &cases[i]);
			struct frame inner = the_inner();

			expect_accepted(h, &r, &inner);
			expect_quiet();
		}
	}
}

/* Two options, one behind the other, either of them ours. */
Test(ingress, R14_two_options_are_dropped)
{
	for (enum at h = AT_TC; h < AT_COUNT; h++) {
		for (int second = 0; second < 2; second++) {
			struct frame inner = the_inner(), f = wrap(&inner);
			uint8_t ours[20];
			struct run r;

			begin_hook(h, second ? "ours last" : "ours first");
			memcpy(ours, f.b + OUTER_AT(option), 20);
			frame_insert(&f, OUTER_AT(option), 20);
			frame_put(&f, OUTER_AT(geneve), 1, 10);
			frame_put(&f, OUTER_AT(ip.tot_len), 2, f.len - 14);
			frame_put(&f, OUTER_AT(udp.len), 2, f.len - 34);
			frame_checksum_outer(&f);
			memcpy(f.b + OUTER_AT(option), ours, 20);
			frame_put(&f, OUTER_AT(option) + (second ? 0 : 20), 2, 0x0102);
			r = arrive(h, &f);
			expect_refused(h, &r, DOVE_GENEVE_OPTION);
			expect_quiet();
		}
	}
}

/* ---- how much of it ---- */

/* Cut by somebody on the way: the headers still say the whole length. */
Test(ingress, R14_truncated_at_every_length)
{
	struct frame inner = the_inner(), whole = wrap(&inner);
	struct tap tap;

	begin("taps");
	tap = tap_attached("cut", dove->progs.dove_nic_ingress);
	for (enum at h = AT_TC; h < AT_COUNT; h++) {
		for (uint32_t len = 14; len < whole.len; len++) {
			struct frame f = whole;
			struct run r;

			begin_hook(h, case_text("%u of %u bytes", len, whole.len));
			f.len = len;
			r = h == AT_TC ? run_tc(&tap, dove->progs.dove_nic_ingress, &f) : arrive(h, &f);
			if (len < 34 && h == AT_TC)
				r.action = TC_ACT_UNSPEC; /* came by the tap */
			if (len < OUTER_AT(geneve))
				expect_passed(h, &r);
			else if (len < OUTER_LEN)
				expect_refused(h, &r, DOVE_TRUNCATED);
			else
				expect_refused(h, &r, DOVE_OUTER_MALFORMED);
			expect_quiet();
		}
	}
}

/* Cut by its sender: the outer headers say what is there, the inner ones do not. */
Test(ingress, R14_truncated_inside_at_every_length)
{
	static const uint8_t protos[] = { 17, 6, 47 };

	for (size_t i = 0; i < ARRAY_SIZE(protos); i++) {
		struct vm_frame v = udp_from_vm2();
		uint32_t full;

		v.proto = protos[i];
		full = frame_vm(&v).len;
		for (enum at h = AT_TC; h < AT_COUNT; h++) {
			for (uint32_t len = 0; len <= full; len++) {
				struct frame inner = frame_vm(&v), f;
				struct run r;

				begin_hook(h, case_text("protocol %u, %u of %u bytes inside", v.proto, len,
							full));
				inner.len = len;
				f = wrap(&inner);
				r = arrive(h, &f);
				if (len == full)
					expect_accepted(h, &r, &inner);
				else
					expect_refused(h, &r, DOVE_TRUNCATED);
				expect_quiet();
			}
		}
	}
}

/* Whatever lies behind what the outer lengths say belongs to nobody, and fills no inner packet. */
Test(ingress, R14_a_trailer_is_no_part_of_the_packet)
{
	for (enum at h = AT_TC; h < AT_COUNT; h++) {
		struct frame inner = the_inner(), f = wrap(&inner);
		struct run r;

		begin_hook(h, "trailer of 4 bytes");
		f.len += 4;
		inner.len += 4;
		r = arrive(h, &f);
		expect_accepted(h, &r, &inner);

		begin_hook(h, "last byte of the inner packet is in the trailer");
		frame_put(&f, OUTER_AT(ip.tot_len), 2, f.len - 14 - 5);
		frame_put(&f, OUTER_AT(udp.len), 2, f.len - 34 - 5);
		frame_checksum_outer(&f);
		r = arrive(h, &f);
		expect_refused(h, &r, DOVE_TRUNCATED);
	}
}

/* ---- who shall have it ---- */

static void moved_put(uint32_t host, uint64_t until)
{
	struct dove_moved moved = { .host = ip_of(host), .revision = REVISION + 3, .until = until };

	map_del(dove_local, &((struct dove_place_key){ .addr = ip_of(vm3.ip), .vnid = BLUE }));
	map_put(dove_moved, &((struct dove_place_key){ .addr = ip_of(vm3.ip), .vnid = BLUE }), &moved);
}

Test(ingress, R19_moved_and_unknown_endpoints)
{
	for (enum at h = AT_TC; h < AT_COUNT; h++) {
		struct frame inner = the_inner(), f = wrap(&inner);
		struct dove_event e;
		struct run r;

		begin_hook(h, "moved");
		moved_put(HOST2, now_ns() + 60 * SECOND);
		r = arrive(h, &f);
		expect_refused(h, &r, DOVE_MOVED);
		e = expect_event(DOVE_EVENT_MOVED);
		expect_from_vm2(&e, false);
		check(e.wanted == REVISION + 3, "wanted %llx", e.wanted);
		check((uint32_t)e.sequence == (uint32_t)REVISION, "sequence %llx", e.sequence);
		expect_quiet();

		begin_hook(h, "moved long ago");
		moved_put(HOST2, now_ns() - SECOND);
		r = arrive(h, &f);
		expect_refused(h, &r, DOVE_UNKNOWN_ENDPOINT);
		e = expect_event(DOVE_EVENT_UNKNOWN_ENDPOINT);
		expect_from_vm2(&e, false);
		expect_quiet();

		begin_hook(h, "came back");
		moved_put(HOST2, now_ns() + 60 * SECOND);
		local_put(BLUE, &vm3, PORT3, 1, 1);
		r = arrive(h, &f);
		expect_accepted(h, &r, &inner);
		expect_quiet();
	}
}
