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

static void load_strict(void)
{
	prog_load((struct prog_config){ .programs = PROG_NIC_INGRESS | PROG_XDP, .refuse_stale = true });
}

TestSuite(ingress, .init = load);
TestSuite(ingress_strict, .init = load_strict);

/* ---- delivered ---- */

Test(ingress, R14_delivers_what_was_sent_byte_by_byte)
{
	static const struct {
		const char *name;
		uint8_t proto, option_words;
		uint16_t frag_off;
		uint32_t payload;
	} cases[] = {
		{ "UDP", 17, 0, 0, 40 },	   { "TCP", 6, 0, 0, 1390 },	   { "ICMP", 1, 0, 0, 56 },
		{ "no ports", 47, 0, 0, 1 },	   { "no payload", 17, 0, 0, 0 },  { "IP header alone", 47, 0, 0, 0 },
		{ "IP options", 17, 10, 0, 8 },	   { "first fragment", 17, 0, 0x2000, 80 },
		{ "later fragment", 17, 0, 10, 8 }, { "large", 17, 0, 0, 3000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for_each_hook(h) {
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

/* Two networks with the same addresses: the VNI says whose it is, and nothing else. */
Test(ingress, R2_the_vni_says_which_network)
{
	for_each_hook(h) {
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
		{ "outer later fragment, which has no ports", OUTER_AT(ip.frag_off), 2, 0x0010, EDIT_CHECKSUM },
		{ "outer last fragment", OUTER_AT(ip.frag_off), 2, 0x1fff, EDIT_CHECKSUM },
		{ "outer IP version 6", OUTER_AT(ip), 1, 0x65, EDIT_CHECKSUM },
		{ "outer IP options", OUTER_AT(ip), 1, 0x46, EDIT_CHECKSUM },
		{ "outer IHL 0", OUTER_AT(ip), 1, 0x40, EDIT_CHECKSUM },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for_each_hook(h) {
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
		{ { "outer first fragment", OUTER_AT(ip.frag_off), 2, 0x2000, EDIT_CHECKSUM }, DOVE_OUTER_FRAGMENT },
		{ { "outer length beyond the frame", OUTER_AT(ip.tot_len), 2, 139, EDIT_CHECKSUM },
		  DOVE_OUTER_MALFORMED },
		{ { "outer length 65535", OUTER_AT(ip.tot_len), 2, 65535, EDIT_CHECKSUM }, DOVE_OUTER_MALFORMED },
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
		{ { "from nobody we know", OUTER_AT(ip.saddr), 4, 0xc6336409, EDIT_CHECKSUM }, DOVE_UNKNOWN_HOST },
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
		for_each_hook(h) {
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
		for_each_hook(h) {
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
	for_each_hook(h) {
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
	for_each_hook(h) {
		for (uint32_t len = 14; len < whole.len; len++) {
			struct frame f = whole;
			struct run r;

			begin_hook(h, case_text("%u of %u bytes", len, whole.len));
			f.len = len;
			r = h == AT_TC ? run_tc(&tap, dove->progs.dove_nic_ingress, &f) : arrive(h, &f);
			if (len < 34 && h == AT_TC)
				r.action = TC_ACT_OK; /* came by the tap */
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
		for_each_hook(h) {
			for (uint32_t len = 0; len <= full; len++) {
				struct frame inner = frame_vm(&v), f;
				struct run r;

				begin_hook(h, case_text("protocol %u, %u of %u bytes inside", v.proto, len, full));
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
	for_each_hook(h) {
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

static void check_event(const struct dove_event *e, bool processed)
{
	check(ip_is(&e->origin, HOST2) && ip_is(&e->dst, vm3.ip), "origin or destination");
	check(e->vnid == BLUE && e->policy == POLICY && e->source == vm2.endpoint, "network %x, policy %x, source %u",
	      e->vnid, e->policy, e->source);
	check(e->proto == 17 && e->from_port == 4000 && e->to_port == 53, "flow %u %u %u", e->proto, e->from_port,
	      e->to_port);
	check(e->processed == processed, "processed %u", e->processed);
}

Test(ingress, R19_moved_and_unknown_endpoints)
{
	for_each_hook(h) {
		struct frame inner = the_inner(), f = wrap(&inner);
		struct dove_event e;
		struct run r;

		begin_hook(h, "moved");
		moved_put(HOST2, now_ns() + 60 * SECOND);
		r = arrive(h, &f);
		expect_refused(h, &r, DOVE_MOVED);
		e = expect_event(DOVE_EVENT_MOVED);
		check_event(&e, false);
		check(e.wanted == REVISION + 3, "wanted %llx", e.wanted);
		check((uint32_t)e.sequence == (uint32_t)REVISION, "sequence %llx", e.sequence);
		expect_quiet();

		begin_hook(h, "moved long ago");
		moved_put(HOST2, now_ns() - SECOND);
		r = arrive(h, &f);
		expect_refused(h, &r, DOVE_UNKNOWN_ENDPOINT);
		e = expect_event(DOVE_EVENT_UNKNOWN_ENDPOINT);
		check_event(&e, false);
		expect_quiet();

		begin_hook(h, "came back");
		moved_put(HOST2, now_ns() + 60 * SECOND);
		local_put(BLUE, &vm3, PORT3, 1, 1);
		r = arrive(h, &f);
		expect_accepted(h, &r, &inner);
		expect_quiet();
	}
}

/* ---- sequences, as extended to 64 bits ---- */

struct judged {
	const char *name;
	uint64_t sent;	  /* S; its low half travels */
	uint64_t watched; /* the network's revision */
	uint64_t net_floor, policy_seq, policy_floor, local_seq, local_floor;
	enum dove_reason reason; /* DELIVERED or what it is refused for */
	int event;		 /* enum dove_event_type, 0 for none */
	uint64_t wanted;
};

static void judged_put(const struct judged *c)
{
	network_put(BLUE, c->watched, c->net_floor);
	policy_put(BLUE, POLICY, c->policy_seq, c->policy_floor);
	local_put(BLUE, &vm3, PORT3, c->local_seq, c->local_floor);
}

static struct run arrive_sent_at(enum at h, uint64_t sequence)
{
	struct outer_frame o = outer_from_host2();
	struct frame inner = the_inner(), f;

	o.sequence = (uint32_t)sequence;
	f = frame_encapsulated(&o, &inner);
	return arrive(h, &f);
}

static void expect_judged(enum at h, const struct judged *c, const struct run *r)
{
	struct frame inner = the_inner();
	struct dove_event e;

	if (c->reason == DOVE_DELIVERED)
		expect_accepted(h, r, &inner);
	else
		expect_refused(h, r, c->reason);
	expect_counter(DOVE_COUNT_STALE, c->event == DOVE_EVENT_STALE);
	expect_counter(DOVE_COUNT_NEWER, c->event == DOVE_EVENT_NEWER);
	if (c->event) {
		e = expect_event(c->event);
		check_event(&e, c->reason == DOVE_DELIVERED);
		check(e.sequence == c->sent, "sequence %llx, sent %llx", e.sequence, (unsigned long long)c->sent);
		check(!c->wanted || e.wanted == c->wanted, "wanted %llx", e.wanted);
	}
	expect_quiet();
}

static void judge_all(const struct judged *cases, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		for_each_hook(h) {
			struct run r;

			begin_hook(h, cases[i].name);
			judged_put(&cases[i]);
			r = arrive_sent_at(h, cases[i].sent);
			expect_judged(h, &cases[i], &r);
		}
	}
}

#define R REVISION
#define TURN (1ull << 32)

Test(ingress, R15_R17_stale_refused_newer)
{
	static const struct judged cases[] = {
		{ "current", R, R, R, R, R, R, R, DOVE_DELIVERED, 0, 0 },
		{ "old but nothing changed since", R - 50, R, 1, 1, 1, 1, 1, DOVE_DELIVERED, 0, 0 },
		{ "just current", R - 5, R, R - 5, R - 5, R - 5, R - 5, R - 5, DOVE_DELIVERED, 0, 0 },
		{ "policy changed", R - 5, R, 1, R - 4, 1, 1, 1, DOVE_DELIVERED, DOVE_EVENT_STALE, R - 4 },
		{ "endpoint changed", R - 5, R, 1, 1, 1, R - 4, 1, DOVE_DELIVERED, DOVE_EVENT_STALE, R - 4 },
		{ "both changed", R - 5, R, 1, R - 3, 1, R - 4, 1, DOVE_DELIVERED, DOVE_EVENT_STALE, R - 3 },
		{ "stale, on all floors", R - 5, R, R - 5, R, R - 5, R, R - 5, DOVE_DELIVERED, DOVE_EVENT_STALE, R },
		{ "below the policy's floor", R - 5, R, 1, R, R - 4, 1, 1, DOVE_REFUSED, DOVE_EVENT_REFUSED, R - 4 },
		{ "below the endpoint's floor", R - 5, R, 1, 1, 1, R, R - 4, DOVE_REFUSED, DOVE_EVENT_REFUSED, R - 4 },
		{ "below the network's floor", R - 5, R, R - 4, 1, 1, 1, 1, DOVE_REFUSED, DOVE_EVENT_REFUSED, R - 4 },
		{ "below all of them", R - 5, R, R - 4, 1, R - 2, 1, R - 3, DOVE_REFUSED, DOVE_EVENT_REFUSED, R - 2 },
		{ "newer by one", R + 1, R, R, R, R, R, R, DOVE_DELIVERED, DOVE_EVENT_NEWER, 0 },
		{ "newer by far", R + 0x70000000, R, R, R, R, R, R, DOVE_DELIVERED, DOVE_EVENT_NEWER, 0 },
	};

	judge_all(cases, ARRAY_SIZE(cases));
}

Test(ingress, R15_low_halves_wrap_around)
{
	static const struct judged cases[] = {
		{ "watch just past the turn, packet before it", 5 * TURN - 2, 5 * TURN + 3, 1, 1, 1, 1, 1,
		  DOVE_DELIVERED, 0, 0 },
		{ "the same, stale", 5 * TURN - 2, 5 * TURN + 3, 1, 5 * TURN + 1, 1, 1, 1, DOVE_DELIVERED,
		  DOVE_EVENT_STALE, 5 * TURN + 1 },
		{ "the same, refused", 5 * TURN - 2, 5 * TURN + 3, 1, 1, 5 * TURN - 1, 1, 1, DOVE_REFUSED,
		  DOVE_EVENT_REFUSED, 5 * TURN - 1 },
		{ "watch just before the turn, packet past it", 5 * TURN + 2, 5 * TURN - 3, 1, 1, 1, 1, 1,
		  DOVE_DELIVERED, DOVE_EVENT_NEWER, 0 },
		{ "both at the turn", 5 * TURN, 5 * TURN, 5 * TURN, 5 * TURN, 5 * TURN, 5 * TURN, 5 * TURN,
		  DOVE_DELIVERED, 0, 0 },
		{ "watch at the turn, packet one below", 5 * TURN - 1, 5 * TURN, 5 * TURN, 1, 1, 1, 1, DOVE_REFUSED,
		  DOVE_EVENT_REFUSED, 5 * TURN },
		{ "half a turn old", 5 * TURN, 5 * TURN + 0x7fffffff, 1, 1, 1, 1, 1, DOVE_DELIVERED, 0, 0 },
		{ "a young network", 2, 5, 3, 1, 1, 1, 1, DOVE_REFUSED, DOVE_EVENT_REFUSED, 3 },
		{ "first revision", 1, 1, 1, 1, 1, 1, 1, DOVE_DELIVERED, 0, 0 },
	};

	judge_all(cases, ARRAY_SIZE(cases));
}

/* A sequence that lies before revision 0 is a forgery or a mistake, and the oldest there is. */
Test(ingress, R15_below_zero_is_the_oldest)
{
	for_each_hook(h) {
		struct run r;

		begin_hook(h, "five revisions, and a sequence of 2^32 - 3");
		network_put(BLUE, 5, 1);
		r = arrive_sent_at(h, TURN - 3);
		expect_refused(h, &r, DOVE_REFUSED);
		check(expect_event(DOVE_EVENT_REFUSED).sequence == 0, "not the oldest");
	}
}

Test(ingress_strict, R17_stale_is_dropped_where_configured)
{
	static const struct judged cases[] = {
		{ "current", R, R, R, R, R, R, R, DOVE_DELIVERED, 0, 0 },
		{ "policy changed", R - 5, R, 1, R - 4, 1, 1, 1, DOVE_STALE_REFUSED, DOVE_EVENT_STALE, R - 4 },
		{ "below a floor", R - 5, R, R, 1, 1, 1, 1, DOVE_REFUSED, DOVE_EVENT_REFUSED, R },
		{ "newer", R + 5, R, R, 1, 1, 1, 1, DOVE_DELIVERED, DOVE_EVENT_NEWER, 0 },
	};

	judge_all(cases, ARRAY_SIZE(cases));
}

/* TC gives the whole packet to the agent; XDP leaves that to TC, and so passes it on as it came. */
Test(ingress, R15_unknown_policy_is_held)
{
	for_each_hook(h) {
		struct frame inner = the_inner(), f = wrap(&inner);
		const struct dove_held *held;
		struct dove_event e;
		struct run r;

		begin_hook(h, "policy not known");
		map_del(dove_policies, &((struct dove_policy_key){ .vnid = BLUE, .policy = POLICY }));
		r = arrive(h, &f);
		e = expect_event(DOVE_EVENT_UNKNOWN);
		check_event(&e, false);
		if (h == AT_XDP) {
			expect_untouched_by_xdp(&r);
			expect_quiet();
			continue;
		}
		expect_end(&r, TC_ACT_SHOT, DOVE_HELD_UNKNOWN);
		held = expect_record(&r, DOVE_HELD_UNKNOWN);
		check(held->policy == POLICY && held->sequence == (uint32_t)REVISION && held->vnid == BLUE &&
		      held->ifindex == PORT, "policy %x, sequence %x, network %x, port %u", held->policy,
		      held->sequence, held->vnid, held->ifindex);
		check(ip_is(&held->key.dst, vm3.ip) && held->key.source == vm2.endpoint && held->key.to_port == 53,
		      "the record's key");
		expect_quiet();

		begin_hook(h, "no budget");
		map_del(dove_policies, &((struct dove_policy_key){ .vnid = BLUE, .policy = POLICY }));
		map_del(dove_budgets, &(uint32_t){ PORT });
		r = arrive(h, &f);
		expect_end(&r, TC_ACT_SHOT, DOVE_MISS_LIMITED);
		expect_event(DOVE_EVENT_UNKNOWN);
		expect_quiet();
	}
}

Test(ingress, R15_policy_of_another_network_is_unknown)
{
	for_each_hook(h) {
		struct frame inner = the_inner(), f = wrap(&inner);

		begin_hook(h, "known in green only");
		map_del(dove_policies, &((struct dove_policy_key){ .vnid = BLUE, .policy = POLICY }));
		policy_put(GREEN, POLICY, 1, 1);
		arrive(h, &f);
		expect_event(DOVE_EVENT_UNKNOWN);
		check(!counted(DOVE_DELIVERED) && !counted(DOVE_STRIPPED), "accepted");
	}
}

/* ---- when the watch is silent ---- */

static void silent(bool may_judge)
{
	struct dove_network n = { .revision = REVISION,
				  .floor = 1,
				  .alive_until = now_ns() - SECOND,
				  .judge_until = may_judge ? now_ns() + 60 * SECOND : now_ns() - SECOND };

	map_put(dove_networks, &(uint32_t){ BLUE }, &n);
}

Test(ingress, R15_cannot_judge)
{
	static const struct {
		struct judged c;
		bool may_judge;
	} cases[] = {
		{ { "silent, answers may hold", R, R, 1, 1, 1, 1, 1, DOVE_DELIVERED, DOVE_EVENT_CANNOT_JUDGE, 0 }, true },
		{ { "silent for too long", R, R, 1, 1, 1, 1, 1, DOVE_CANNOT_JUDGE, DOVE_EVENT_CANNOT_JUDGE, 0 }, false },
		{ { "silent, and newer", R + 1, R, 1, 1, 1, 1, 1, DOVE_DELIVERED, DOVE_EVENT_CANNOT_JUDGE, 0 }, true },
		{ { "silent for too long, and newer", R + 1, R, 1, 1, 1, 1, 1, DOVE_CANNOT_JUDGE,
		    DOVE_EVENT_CANNOT_JUDGE, 0 }, false },
		{ { "silent, and stale", R - 5, R, 1, R - 4, 1, 1, 1, DOVE_DELIVERED, DOVE_EVENT_STALE, R - 4 }, true },
		{ { "silent for too long, and stale", R - 5, R, 1, R - 4, 1, 1, 1, DOVE_CANNOT_JUDGE,
		    DOVE_EVENT_CANNOT_JUDGE, 0 }, false },
		{ { "silent, and refused", R - 5, R, 1, R, R, 1, 1, DOVE_REFUSED, DOVE_EVENT_REFUSED, R }, true },
		{ { "silent for too long, and refused", R - 5, R, 1, R, R, 1, 1, DOVE_REFUSED, DOVE_EVENT_REFUSED, R },
		  false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for_each_hook(h) {
			struct run r;

			begin_hook(h, cases[i].c.name);
			judged_put(&cases[i].c);
			silent(cases[i].may_judge);
			r = arrive_sent_at(h, cases[i].c.sent);
			expect_judged(h, &cases[i].c, &r);
		}
	}
}

/* ---- events are few ---- */

Test(ingress, R16_one_event_per_policy_and_sender_in_100_ms)
{
	for_each_hook(h) {
		struct outer_frame o = outer_from_host2();
		struct frame inner = the_inner(), f = wrap(&inner);
		struct dove_event e;

		begin_hook(h, "stale");
		policy_put(BLUE, POLICY, REVISION, 1);
		o.sequence--;
		f = frame_encapsulated(&o, &inner);
		for (int i = 0; i < 20; i++)
			arrive(h, &f);
		check(counted(DOVE_COUNT_STALE) == 20, "not every stale packet was counted");
		expect_event(DOVE_EVENT_STALE);
		expect_quiet();

		o.source = 4711;
		f = frame_encapsulated(&o, &inner);
		arrive(h, &f);
		e = expect_event(DOVE_EVENT_STALE);
		check(e.source == 4711, "another sender has an event of its own");
	}
}

/* That the watch is behind concerns the network: one event, whoever the packets are from. */
Test(ingress, R16_newer_is_one_event_per_network)
{
	for_each_hook(h) {
		begin_hook(h, "newer");
		for (uint32_t i = 0; i < 20; i++) {
			struct outer_frame o = outer_from_host2();
			struct frame inner = the_inner(), f;

			o.sequence += 5;
			o.source = 100 + i;
			o.policy = 7000 + i;
			f = frame_encapsulated(&o, &inner);
			arrive(h, &f);
		}
		check(counted(DOVE_COUNT_NEWER) == 20, "not every newer packet was counted");
		expect_event(DOVE_EVENT_NEWER);
		expect_quiet();
	}
}

Test(ingress, R16_lost_events_are_counted)
{
	unsigned seen = 0, sent = 4000;
	struct outer_frame o = outer_from_host2();
	struct frame inner = the_inner();
	struct dove_event e;

	begin_hook(AT_XDP, "nobody reads");
	policy_put(BLUE, POLICY, REVISION, 1);
	o.sequence--;
	for (unsigned i = 0; i < sent; i++) {
		struct frame f;

		o.source = i;
		f = frame_encapsulated(&o, &inner);
		arrive(AT_XDP, &f);
	}
	check(counted(DOVE_STRIPPED) == sent, "events that are lost cost packets");
	check(counted(DOVE_COUNT_EVENTS_LOST) > 0, "the ring took all");
	while (take_event(&e))
		seen++;
	check(seen > 1000 && seen + counted(DOVE_COUNT_EVENTS_LOST) == sent, "%u seen, %llu lost, %u sent", seen,
	      (unsigned long long)counted(DOVE_COUNT_EVENTS_LOST), sent);
}
