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
		{ "ICMPv6", 58, 0, 0, 56 },
		{ "no ports", 47, 0, 0, 1 },
		{ "no payload", 17, 0, 0, 0 },
		{ "IP header alone", 47, 0, 0, 0 }, /* IPv6 has no such thing but with jumbograms' length */
		{ "IP options", 17, 10, 0, 8 },
		{ "first fragment", 17, 0, 0x2000, 80 },
		{ "later fragment", 17, 0, 10, 8 },
		{ "large", 17, 0, 0, 3000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
			struct vm_frame v = udp_from_vm2(w.inner);
			struct frame inner, f;
			struct run r;

			if (w.inner == V6 && cases[i].proto == 47 && !cases[i].payload)
				continue;
			begin_way(&w, cases[i].name);
			v.proto = cases[i].proto;
			v.option_words = cases[i].option_words;
			v.frag_off = cases[i].frag_off;
			v.payload = cases[i].payload;
			inner = frame_vm(&v);
			f = wrap(w.outer, &inner);
			r = arrive(w.hook, &f);
			expect_accepted(w.hook, &r, &inner);
			expect_quiet();
		}
	}
}

/* How to deliver is TC's to know, which sees nothing of the outer headers. */
Test(ingress, R14_xdp_tells_tc_how_to_deliver)
{
	static const enum dove_delivery ways[] = { DOVE_DELIVER_REDIRECT, DOVE_DELIVER_PEER,
						   DOVE_DELIVER_TUNNEL };
	struct frame inner = the_inner(V4), f = wrap(V4, &inner);
	struct dove_meta meta;
	struct run r;

	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		begin_hook(AT_XDP, case_text("delivery %u", ways[i]));
		local_deliver(&vm3, 4711, ways[i]);
		r = arrive(AT_XDP, &f);
		expect_end(&r, XDP_PASS, DOVE_STRIPPED);
		memcpy(&meta, r.out.b, sizeof(meta));
		check(meta.magic == DOVE_META_MAGIC && meta.delivery == ways[i] && meta.ifindex == 4711,
		      "metadata %x, delivery %u, port %u", meta.magic, meta.delivery, meta.ifindex);
	}
}

static void green_is_served(void)
{
	network_put(GREEN, REVISION, 1);
	policy_put(GREEN, POLICY, 1, 1);
}

/* Two networks with the same addresses: the VNI says whose it is, and nothing else. */
Test(ingress, R2_the_vni_says_which_network)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct outer_frame o = outer_from_host2(w.outer);
		struct frame inner = the_inner(w.inner), f;
		struct run r;

		begin_way(&w, "green has no such VM");
		green_is_served();
		o.vnid = GREEN;
		f = frame_encapsulated(&o, &inner);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_UNKNOWN_ENDPOINT);
		check(expect_event(DOVE_EVENT_UNKNOWN_ENDPOINT).vnid == GREEN, "the event's network");

		begin_way(&w, "green has one");
		green_is_served();
		local_put(GREEN, &vm3, 4713, 1, 1);
		r = arrive(w.hook, &f);
		expect_accepted_for(w.hook, &r, &inner, 4713);
	}
}

/* ---- not ours: the kernel goes on with it ---- */

/* What a table says of each: edits of one outer family, or, behind the outer IP header, of both. */
struct wrong {
	struct edit edit;
	enum dove_reason reason;
};

static void expect_wrong(const struct way *w, const struct wrong *c)
{
	struct run r = arrive_edited(w, &c->edit);

	if (c->reason == DOVE_PASSED)
		expect_passed(w->hook, &r);
	else
		expect_refused(w->hook, &r, c->reason);
	expect_quiet();
}

#define OF_OUTER(family) (1 << (family))
#define OF_BOTH (OF_OUTER(V4) | OF_OUTER(V6))

static void expect_all_wrong(const struct wrong *cases, size_t n, unsigned families)
{
	for (size_t i = 0; i < n; i++)
		for (struct way w = {}; w.hook < AT_COUNT; way_next(&w))
			if (families & OF_OUTER(w.outer))
				expect_wrong(&w, &cases[i]);
}

Test(ingress, R14_foreign_traffic_passes_untouched)
{
	static const struct wrong both[] = {
		{ { "ARP", OUTER_AT(eth.h_proto), 2, 0x0806, EDIT_CHECKSUM }, DOVE_PASSED },
		{ { "802.1Q outside", OUTER_AT(eth.h_proto), 2, 0x8100, EDIT_CHECKSUM }, DOVE_PASSED },
		{ { "another UDP port", OUTER_AT(udp.dest), 2, 4789, 0 }, DOVE_PASSED },
		{ { "the control message's port", OUTER_AT(udp.dest), 2, 6082, 0 }, DOVE_PASSED },
		{ { "from port 6081, not to it", OUTER_AT(udp.source), 4, 6081u << 16 | 4000, 0 },
		  DOVE_PASSED },
	};
	static const struct wrong in_ipv4[] = {
		{ { "IPv6", OUTER_AT(eth.h_proto), 2, 0x86dd, EDIT_CHECKSUM }, DOVE_PASSED },
		{ { "TCP", OUTER_AT(ip.protocol), 1, 6, EDIT_CHECKSUM }, DOVE_PASSED },
		{ { "not to one of our addresses", OUTER_AT(ip.daddr), 4, 0xc0000203, EDIT_CHECKSUM },
		  DOVE_PASSED },
		{ { "to another host", OUTER_AT(ip.daddr), 4, HOST2, EDIT_CHECKSUM }, DOVE_PASSED },
		{ { "outer later fragment, which has no ports", OUTER_AT(ip.frag_off), 2, 0x0010,
		    EDIT_CHECKSUM },
		  DOVE_PASSED },
		{ { "outer last fragment", OUTER_AT(ip.frag_off), 2, 0x1fff, EDIT_CHECKSUM }, DOVE_PASSED },
		{ { "outer IP version 6", OUTER_AT(ip), 1, 0x65, EDIT_CHECKSUM }, DOVE_PASSED },
		{ { "outer IP options", OUTER_AT(ip), 1, 0x46, EDIT_CHECKSUM }, DOVE_PASSED },
		{ { "outer IHL 0", OUTER_AT(ip), 1, 0x40, EDIT_CHECKSUM }, DOVE_PASSED },
	};
	static const struct wrong in_ipv6[] = {
		{ { "IPv4", OUTER6_AT(eth.h_proto), 2, 0x0800, EDIT_OUTER6 }, DOVE_PASSED },
		{ { "TCP", OUTER6_AT(ip.nexthdr), 1, 6, EDIT_OUTER6 }, DOVE_PASSED },
		{ { "hop-by-hop header", OUTER6_AT(ip.nexthdr), 1, 0, EDIT_OUTER6 }, DOVE_PASSED },
		{ { "fragment header", OUTER6_AT(ip.nexthdr), 1, 44, EDIT_OUTER6 }, DOVE_PASSED },
		{ { "version 4", OUTER6_AT(ip), 1, 0x40, EDIT_OUTER6 }, DOVE_PASSED },
		{ { "not to one of our addresses", OUTER6_AT(ip.daddr) + 12, 4, 0xc0000203, EDIT_OUTER6 },
		  DOVE_PASSED },
		{ { "to another host", OUTER6_AT(ip.daddr) + 12, 4, HOST2, EDIT_OUTER6 }, DOVE_PASSED },
	};

	expect_all_wrong(both, ARRAY_SIZE(both), OF_BOTH);
	expect_all_wrong(in_ipv4, ARRAY_SIZE(in_ipv4), OF_OUTER(V4));
	expect_all_wrong(in_ipv6, ARRAY_SIZE(in_ipv6), OF_OUTER(V6));
}

/* ---- refused, each for its reason ---- */

Test(ingress, R14_wrong_outer_headers_are_dropped)
{
	static const struct wrong in_ipv4[] = {
		{ { "outer checksum", OUTER_AT(ip.check), 2, 0x1234, 0 }, DOVE_OUTER_MALFORMED },
		{ { "TTL changed, checksum not", OUTER_AT(ip.ttl), 1, 9, 0 }, DOVE_OUTER_MALFORMED },
		{ { "outer first fragment", OUTER_AT(ip.frag_off), 2, 0x2000, EDIT_CHECKSUM },
		  DOVE_OUTER_FRAGMENT },
		{ { "outer length beyond the frame", OUTER_AT(ip.tot_len), 2, 159, EDIT_CHECKSUM },
		  DOVE_OUTER_MALFORMED },
		{ { "outer length 65535", OUTER_AT(ip.tot_len), 2, 65535, EDIT_CHECKSUM },
		  DOVE_OUTER_MALFORMED },
		{ { "outer length 0", OUTER_AT(ip.tot_len), 2, 0, EDIT_CHECKSUM }, DOVE_OUTER_MALFORMED },
		{ { "outer length 19", OUTER_AT(ip.tot_len), 2, 19, EDIT_CHECKSUM }, DOVE_OUTER_MALFORMED },
		{ { "from nobody we know", OUTER_AT(ip.saddr), 4, 0xc6336409, EDIT_CHECKSUM },
		  DOVE_UNKNOWN_HOST },
		{ { "from ourselves", OUTER_AT(ip.saddr), 4, HOST1, EDIT_CHECKSUM }, DOVE_UNKNOWN_HOST },
		{ { "from 0.0.0.0", OUTER_AT(ip.saddr), 4, 0, EDIT_CHECKSUM }, DOVE_UNKNOWN_HOST },
	};
	static const struct wrong in_ipv6[] = {
		{ { "outer length beyond the frame", OUTER6_AT(ip.payload_len), 2, 139, EDIT_OUTER6 },
		  DOVE_OUTER_MALFORMED },
		{ { "outer length 65535", OUTER6_AT(ip.payload_len), 2, 65535, EDIT_OUTER6 },
		  DOVE_OUTER_MALFORMED },
		{ { "outer length 0", OUTER6_AT(ip.payload_len), 2, 0, EDIT_OUTER6 }, DOVE_OUTER_MALFORMED },
		{ { "outer length 7", OUTER6_AT(ip.payload_len), 2, 7, EDIT_OUTER6 }, DOVE_OUTER_MALFORMED },
		{ { "from nobody we know", OUTER6_AT(ip.saddr) + 12, 4, 0xc6336409, EDIT_OUTER6 },
		  DOVE_UNKNOWN_HOST },
		{ { "from ourselves", OUTER6_AT(ip.saddr) + 12, 4, HOST1, EDIT_OUTER6 }, DOVE_UNKNOWN_HOST },
	};
	static const struct wrong both[] = {
		{ { "UDP length one less than with IPv4", OUTER_AT(udp.len), 2, 117, 0 },
		  DOVE_OUTER_MALFORMED },
		{ { "one more", OUTER_AT(udp.len), 2, 119, 0 }, DOVE_OUTER_MALFORMED },
		{ { "UDP length one less than with IPv6", OUTER_AT(udp.len), 2, 137, 0 },
		  DOVE_OUTER_MALFORMED },
		{ { "one more than with IPv6", OUTER_AT(udp.len), 2, 139, 0 }, DOVE_OUTER_MALFORMED },
		{ { "UDP length 0", OUTER_AT(udp.len), 2, 0, 0 }, DOVE_OUTER_MALFORMED },
		{ { "UDP length 65535", OUTER_AT(udp.len), 2, 65535, 0 }, DOVE_OUTER_MALFORMED },
	};

	expect_all_wrong(in_ipv4, ARRAY_SIZE(in_ipv4), OF_OUTER(V4));
	expect_all_wrong(in_ipv6, ARRAY_SIZE(in_ipv6), OF_OUTER(V6));
	expect_all_wrong(both, ARRAY_SIZE(both), OF_BOTH);
}

Test(ingress, R14_wrong_geneve_headers_are_dropped)
{
	static const struct wrong cases[] = {
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
		{ { "at a hop, and returned", OUTER_AT(option.stage_vnid), 1, 0x14, 0 }, DOVE_GENEVE_OPTION },
		{ { "returned", OUTER_AT(option.stage_vnid), 1, 0x04, 0 }, DOVE_NOT_OURS },
		{ { "returned, and tracked", OUTER_AT(option.stage_vnid), 1, 0x0c, 0 }, DOVE_NOT_OURS },
		{ { "network not served", OUTER_AT(geneve.vni), 4, GREEN << 8, 0 }, DOVE_UNKNOWN_NETWORK },
		{ { "network 0", OUTER_AT(geneve.vni), 4, 0, 0 }, DOVE_UNKNOWN_NETWORK },
	};

	expect_all_wrong(cases, ARRAY_SIZE(cases), OF_BOTH);
}

Test(ingress, R14_wrong_frames_inside_are_dropped)
{
	static const struct wrong both[] = {
		{ { "802.1Q", OUTER_AT(inner_eth.h_proto), 2, 0x8100, 0 }, DOVE_TAGGED },
		{ { "802.1ad", OUTER_AT(inner_eth.h_proto), 2, 0x88a8, 0 }, DOVE_TAGGED },
		{ { "ARP", OUTER_AT(inner_eth.h_proto), 2, 0x0806, 0 }, DOVE_NOT_IP },
		{ { "MPLS", OUTER_AT(inner_eth.h_proto), 2, 0x8847, 0 }, DOVE_NOT_IP },
		{ { "a length", OUTER_AT(inner_eth.h_proto), 2, 0x0040, 0 }, DOVE_NOT_IP },
		{ { "version 0", OUTER_AT(inner_ip), 1, 0x05, 0 }, DOVE_MALFORMED },
		{ { "version 5", OUTER_AT(inner_ip), 1, 0x55, 0 }, DOVE_MALFORMED },
	};
	static const struct wrong ipv4[] = {
		{ { "IPv6 by the Ethernet header", OUTER_AT(inner_eth.h_proto), 2, 0x86dd, 0 },
		  DOVE_MALFORMED },
		{ { "version 6", OUTER_AT(inner_ip), 1, 0x65, 0 }, DOVE_MALFORMED },
		{ { "IHL 4", OUTER_AT(inner_ip), 1, 0x44, 0 }, DOVE_MALFORMED },
		{ { "length one more", OUTER_AT(inner_ip.tot_len), 2, 69, 0 }, DOVE_TRUNCATED },
		{ { "length 65535", OUTER_AT(inner_ip.tot_len), 2, 65535, 0 }, DOVE_TRUNCATED },
		{ { "length 0", OUTER_AT(inner_ip.tot_len), 2, 0, 0 }, DOVE_MALFORMED },
		{ { "length 19", OUTER_AT(inner_ip.tot_len), 2, 19, 0 }, DOVE_TRUNCATED },
		{ { "length without ports", OUTER_AT(inner_ip.tot_len), 2, 23, 0 }, DOVE_TRUNCATED },
	};
	static const struct wrong ipv6[] = {
		{ { "IPv4 by the Ethernet header", OUTER_AT(inner_eth.h_proto), 2, 0x0800, 0 },
		  DOVE_MALFORMED },
		{ { "version 4", OUTER_AT(inner_ip), 1, 0x40, 0 }, DOVE_MALFORMED },
		{ { "length one more", OUTER_AT(inner_ip) + 4, 2, 49, 0 }, DOVE_TRUNCATED },
		{ { "length 65535", OUTER_AT(inner_ip) + 4, 2, 65535, 0 }, DOVE_TRUNCATED },
		{ { "length 0", OUTER_AT(inner_ip) + 4, 2, 0, 0 }, DOVE_MALFORMED },
		{ { "length without ports", OUTER_AT(inner_ip) + 4, 2, 3, 0 }, DOVE_TRUNCATED },
	};

	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		for (size_t i = 0; i < ARRAY_SIZE(both); i++)
			expect_wrong(&w, &both[i]);
		for (size_t i = 0; w.inner == V4 && i < ARRAY_SIZE(ipv4); i++)
			expect_wrong(&w, &ipv4[i]);
		for (size_t i = 0; w.inner == V6 && i < ARRAY_SIZE(ipv6); i++)
			expect_wrong(&w, &ipv6[i]);
	}
}

static void expect_harmless(const struct way *w, const struct edit *edit)
{
	struct run r = arrive_edited(w, edit);
	struct frame inner = the_inner(w->inner);

	expect_accepted(w->hook, &r, &inner);
	expect_quiet();
}

/* The bits that RFC 8926 and RFC 791 leave to others change nothing. */
Test(ingress, R14_harmless_differences_are_accepted)
{
	static const struct edit ipv4[] = {
		{ "nothing changed", OUTER_AT(ip.ttl), 1, 64, EDIT_CHECKSUM },
		{ "TTL 1", OUTER_AT(ip.ttl), 1, 1, EDIT_CHECKSUM },
		{ "DSCP and ECT(0)", OUTER_AT(ip.tos), 1, 0xba, EDIT_CHECKSUM },
		{ "IP id", OUTER_AT(ip.id), 2, 0xabcd, EDIT_CHECKSUM },
		{ "no DF", OUTER_AT(ip.frag_off), 2, 0, EDIT_CHECKSUM },
	};
	static const struct edit ipv6[] = {
		{ "hop limit 1", OUTER6_AT(ip.hop_limit), 1, 1, EDIT_OUTER6 },
		{ "DSCP and ECT(0), flow label", OUTER6_AT(ip), 4, 0x6baabcde, EDIT_OUTER6 },
		{ "a UDP checksum", OUTER_AT(udp.check), 2, 0x1234, 0 },
	};
	static const struct edit both[] = {
		{ "any source port", OUTER_AT(udp.source), 2, 1, 0 },
		{ "reserved flags", OUTER_AT(geneve.flags), 1, 0x7f, 0 },
		{ "reserved byte behind the VNI", OUTER_AT(geneve.vni) + 3, 1, 0xff, 0 },
		{ "another endpoint as source", OUTER_AT(option.source), 4, 0xffffffff, 0 },
		{ "another network as source", OUTER_AT(option.stage_vnid), 4, 0x00ffffff, 0 },
	};

	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		for (size_t i = 0; i < ARRAY_SIZE(both); i++)
			expect_harmless(&w, &both[i]);
		for (size_t i = 0; w.outer == V4 && i < ARRAY_SIZE(ipv4); i++)
			expect_harmless(&w, &ipv4[i]);
		for (size_t i = 0; w.outer == V6 && i < ARRAY_SIZE(ipv6); i++)
			expect_harmless(&w, &ipv6[i]);
	}
}

/* Two options, one behind the other, either of them ours. */
static struct frame with_two_options(const struct way *w, bool ours_last)
{
	struct frame inner = the_inner(w->inner), f = wrap(w->outer, &inner);
	size_t at = outer_at(w->outer, OUTER_AT(option));

	frame_insert(&f, at, 20);
	memcpy(f.b + at, f.b + at + 20, 20);
	frame_put(&f, at + (ours_last ? 0 : 20), 2, 0x0102);
	frame_put(&f, outer_at(w->outer, OUTER_AT(geneve)), 1, 10);
	frame_lengths_outer(&f, w->outer, 0);
	return f;
}

Test(ingress, R14_two_options_are_dropped)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		for (int last = 0; last < 2; last++) {
			struct frame f = with_two_options(&w, last);
			struct run r;

			begin_way(&w, last ? "ours last" : "ours first");
			r = arrive(w.hook, &f);
			expect_refused(w.hook, &r, DOVE_GENEVE_OPTION);
			expect_quiet();
		}
	}
}

/* ---- who shall have it ---- */

/* What nobody here has may be an external network's, whose way out is here: longest prefix first. */
Test(ingress, R14_the_way_out_gets_what_is_outside)
{
	enum { WIDE = 8001, NARROW = 8002 };

	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct dove_ip net = ip_in(w.inner, vm3.ip);
		struct dove_local out = { .sequence = 1, .floor = 1, .ifindex = 4714, .mtu = PORT_MTU };
		struct dove_place_key key = { .addr = external_addr(NARROW), .vnid = BLUE };
		struct frame inner = the_inner(w.inner), f = wrap(w.outer, &inner);
		struct dove_event e;
		struct run r;

		begin_way(&w, "here");
		local_del(BLUE, &vm3);
		prefix_put(BLUE, &net, 8, WIDE);
		prefix_put(BLUE, &net, w.inner == V6 ? 120 : 24, NARROW);
		map_put(dove_local, &key, &out);
		r = arrive(w.hook, &f);
		expect_accepted_for(w.hook, &r, &inner, 4714);
		expect_quiet();

		begin_way(&w, "elsewhere");
		local_del(BLUE, &vm3);
		prefix_put(BLUE, &net, 8, WIDE);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_UNKNOWN_ENDPOINT);
		net = external_addr(WIDE);
		e = expect_event(DOVE_EVENT_UNKNOWN_ENDPOINT);
		check(ip_is(&e.dst, &net), "the event is not of the external network");
	}
}
