// SPDX-License-Identifier: Apache-2.0
/*
 * Packets that were right until something happened to them: whatever it is,
 * the programs come to an end, count it once, agree with one another, and
 * let through only what a second reading of the bytes, here, finds right.
 */
#include <stdlib.h>
#include <string.h>

#include "door.h"
#include "ingress.h"
#include "mutate.h"

static void load_ingress(void)
{
	prog_load((struct prog_config){ .programs = PROG_NIC_INGRESS | PROG_XDP });
}

static void load_port(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT | PROG_DOOR | PROG_TRACE });
}

static void load_tunnel(void)
{
	prog_load((struct prog_config){ .programs = PROG_NIC_INGRESS | PROG_TUNNEL, .tunnel_vxlan = true });
}

TestSuite(mutation_ingress, .init = load_ingress, .timeout = 600);
TestSuite(mutation_port, .init = load_port, .timeout = 600);
TestSuite(mutation_tunnel, .init = load_tunnel, .timeout = 600);

/* ---- a second reading ---- */

/* Reads of bytes that are not there are of zeroes: the builder leaves them so. */
static uint32_t at2(const struct frame *f, size_t at)
{
	return frame_get(f, at, 2);
}

static bool is_ip(const struct frame *f, size_t at, const struct dove_ip *ip)
{
	return family_of(ip) == V6 ? !memcmp(f->b + at, ip->b, 16) : !memcmp(f->b + at, ip->b + 12, 4);
}

static bool lengths_right(const struct frame *f, enum family outer)
{
	uint32_t udp = at2(f, outer_at(outer, OUTER_AT(udp.len))), ip = outer == V6 ? 54 : 34;
	uint32_t said = outer == V6 ? at2(f, OUTER6_AT(ip.payload_len)) : at2(f, OUTER_AT(ip.tot_len)) - 20;

	return said == udp && ip + udp <= f->len && udp >= 36 + 34;
}

static bool outer4_right(const struct frame *f)
{
	struct dove_ip src = ip_of(HOST2), dst = ip_of(HOST1);

	return at2(f, 12) == ETH_P_IP && f->b[14] == 0x45 && !internet_checksum(f->b + 14, 20) &&
	       !(at2(f, 20) & 0x3fff) && f->b[23] == 17 && is_ip(f, 26, &src) && is_ip(f, 30, &dst);
}

static bool outer6_right(const struct frame *f)
{
	struct dove_ip src = ip6_of(HOST2), dst = ip6_of(HOST1);

	return at2(f, 12) == ETH_P_IPV6 && f->b[14] >> 4 == 6 && f->b[20] == 17 && is_ip(f, 22, &src) &&
	       is_ip(f, 38, &dst);
}

static bool outer_right(const struct frame *f, enum family outer)
{
	return f->len >= outer_len(outer) && (outer == V6 ? outer6_right(f) : outer4_right(f)) &&
	       at2(f, outer_at(outer, OUTER_AT(udp.dest))) == 6081 && lengths_right(f, outer);
}

static bool geneve_right(const struct frame *f, enum family outer)
{
	size_t at = outer_at(outer, OUTER_AT(geneve));
	uint64_t sequence = (REVISION & ~0xffffffffull) | frame_get(f, at + 16, 4);

	/*
	 * Nearest to the watched revision, which has a small low half. A newer
	 * one may be under a policy that nobody here has heard of yet.
	 */
	if ((uint32_t)sequence - (uint32_t)REVISION >= 0x80000000u && (uint32_t)sequence > (uint32_t)REVISION)
		sequence -= 1ull << 32;
	return f->b[at] == 5 && (f->b[at + 1] & 0xc0) == 0x40 && at2(f, at + 2) == 0x6558 &&
	       frame_get(f, at + 4, 4) >> 8 == BLUE && frame_get(f, at + 8, 4) == 0xff018104 &&
	       (sequence > REVISION || (frame_get(f, at + 12, 4) == POLICY && sequence >= POLICY_FLOOR)) &&
	       !(f->b[at + 24] & ~(DOVE_FLAG_TRACK | DOVE_FLAG_RELAYED));
}

/* What must be there of it where it is not a later fragment. */
static uint32_t l4_least(uint8_t proto)
{
	switch (proto) {
	case 6:
	case 17:
	case 33:
	case 132:
	case 136:
		return 4;
	case 1:
	case 58:
		return 8;
	}
	return 0;
}

static bool is_extension(uint8_t proto)
{
	return proto == 0 || proto == 43 || proto == 44 || proto == 60;
}

/* An IPv4 packet at `at`, in `room` bytes. */
static bool ipv4_right(const struct frame *f, size_t at, uint32_t room)
{
	uint32_t header = (f->b[at] & 15) * 4, total = at2(f, at + 2);
	bool later = at2(f, at + 6) & 0x1fff;

	return room >= 20 && f->b[at] >> 4 == 4 && header >= 20 && total <= room && total >= header &&
	       (later || total >= header + l4_least(f->b[at + 9]));
}

static bool ipv6_right(const struct frame *f, size_t at, uint32_t room)
{
	uint32_t header = 40, total = at2(f, at + 4) + 40, n = 0;
	uint8_t proto = f->b[at + 6];
	bool later = false;

	if (room < 40 || f->b[at] >> 4 != 6 || total == 40 || total > room)
		return false;
	while (is_extension(proto) && !later) {
		const uint8_t *ext = f->b + at + header;

		if (++n > 4 || header + 8 > total)
			return false;
		later = proto == 44 && (ext[2] << 8 | ext[3]) & 0xfff8;
		header += proto == 44 ? 8 : 8 + ext[1] * 8;
		proto = ext[0];
		if (header > 40 + 128)
			return false;
	}
	return header <= total && (later || total >= header + l4_least(proto));
}

/* A unicast IP frame to one of the VMs here that lies within what the outer headers say is there. */
static bool inner_right(const struct frame *f, enum family outer)
{
	size_t eth = outer_len(outer), at = eth + 14;
	uint32_t room = at2(f, outer_at(outer, OUTER_AT(udp.len))) - 36 - 14;
	enum family inner = at2(f, eth + 12) == ETH_P_IPV6 ? V6 : V4;
	struct dove_ip v1 = ip_in(inner, vm1.ip), v3 = ip_in(inner, vm3.ip);
	size_t dst = at + (inner == V6 ? 24 : 16);

	if (f->b[eth] & 1 || (inner == V4 && at2(f, eth + 12) != ETH_P_IP))
		return false;
	return (inner == V6 ? ipv6_right(f, at, room) : ipv4_right(f, at, room)) &&
	       (is_ip(f, dst, &v1) || is_ip(f, dst, &v3));
}

/* What ECN makes of it: RFC 6040. The inner field afterwards, or -1. */
static int ecn_after(const struct frame *f, enum family outer)
{
	size_t at = outer_len(outer) + 14;
	int in = f->b[at] >> 4 == 6 ? f->b[at + 1] >> 4 & 3 : f->b[at + 1] & 3;
	int out = outer == V6 ? f->b[15] >> 4 & 3 : f->b[15] & 3;

	if (out == 3)
		return in ? 3 : -1;
	return out == 1 && in == 2 ? 1 : in;
}

static bool acceptable(const struct frame *f, enum family outer)
{
	return outer_right(f, outer) && geneve_right(f, outer) && inner_right(f, outer) &&
	       ecn_after(f, outer) >= 0;
}

/* ---- rounds ---- */

/* What XDP leaves to TC it does not count. */
static uint32_t as_xdp_counts(uint32_t tc, const struct frame *f, enum family outer)
{
	bool many = f->b[outer_len(outer)] & 1;
	bool at_hop = f->b[outer_at(outer, OUTER_AT(option.stage_vnid))] >> 4;

	switch (tc) {
	case DOVE_DELIVERED:
		return DOVE_STRIPPED;
	case DOVE_PASSED:
	case DOVE_HELD_UNKNOWN:
	case DOVE_HELD_HOP:
	case DOVE_HELD_MISS:
	case DOVE_MISS_LIMITED:
	case DOVE_RING_FULL:
		return DOVE_REASON_COUNT;
	case DOVE_FRAGMENT:
		return many || at_hop ? DOVE_REASON_COUNT : tc;
	case DOVE_REFUSED:
	case DOVE_UNKNOWN_NETWORK:
		return at_hop ? DOVE_REASON_COUNT : tc;
	}
	return tc;
}

/* What comes out is what was inside, but for the ECN field and its checksum. */
static void expect_inner(const struct frame *f, enum family outer, const struct frame *got)
{
	struct frame inner = { .len = f->len - outer_len(outer) };
	int ecn = ecn_after(f, outer);
	struct frame out = *got;

	memcpy(inner.b, f->b + outer_len(outer), inner.len);
	if (inner.b[14] >> 4 == 6) {
		inner.b[15] = (inner.b[15] & 0xcf) | ecn << 4;
	} else if ((inner.b[15] & 3) != ecn) {
		inner.b[15] = (inner.b[15] & ~3) | ecn;
		memset(inner.b + 24, 0, 2);
		memset(out.b + 24, 0, 2);
	}
	expect_bytes(&out, &inner);
}

/* XDP says which port it is for. */
static void expect_port(const struct frame *f, enum family outer, const struct frame *stripped)
{
	size_t at = outer_len(outer) + 14;
	enum family inner = f->b[at] >> 4 == 6 ? V6 : V4;
	struct dove_ip v1 = ip_in(inner, vm1.ip);
	uint32_t port = is_ip(f, at + (inner == V6 ? 24 : 16), &v1) ? PORT : PORT3;
	struct dove_meta meta;
	struct frame out = take_meta(stripped, &meta);

	check(meta.magic == DOVE_META_MAGIC && meta.ifindex == port, "for port %u, not %u", meta.ifindex,
	      port);
	expect_inner(f, outer, &out);
}

static uint32_t both_hooks(struct rounds *rounds, const struct frame *f)
{
	enum family outer = rounds->family;
	struct run tc = arrive(AT_TC, f), xdp;
	uint32_t by_tc = rounds_reason(rounds), by_xdp;
	bool passed = by_tc == DOVE_PASSED, accepted = by_tc == DOVE_DELIVERED;

	xdp = arrive(AT_XDP, f);
	by_xdp = rounds_reason(rounds);
	check(by_tc != DOVE_REASON_COUNT, "not counted at TC");
	check(by_xdp == as_xdp_counts(by_tc, f, outer), "%s at TC, %s at XDP", reason_name(by_tc),
	      reason_name(by_xdp));
	check(tc.action == (accepted ? TC_ACT_REDIRECT
			    : passed ? TC_ACT_UNSPEC
				     : TC_ACT_SHOT),
	      "%s at TC, returned %d", reason_name(by_tc), tc.action);
	check(xdp.action == (by_xdp == DOVE_STRIPPED || by_xdp == DOVE_REASON_COUNT ? XDP_PASS : XDP_DROP),
	      "%s at XDP, returned %d", reason_name(by_xdp), xdp.action);
	check(accepted == acceptable(f, outer), "%s, but right are:%s%s%s", reason_name(by_tc),
	      outer_right(f, outer) ? " outer header" : "", geneve_right(f, outer) ? " Geneve header" : "",
	      inner_right(f, outer) ? " frame" : "");
	if (accepted)
		expect_inner(f, outer, &tc.out);
	if (by_xdp == DOVE_STRIPPED)
		expect_port(f, outer, &xdp.out);
	if (passed)
		expect_bytes(&xdp.out, f);
	return by_tc;
}

static void usual_world(void)
{
	begin("mutations");
}

static struct frame from_underlay(enum family outer)
{
	struct vm_frame v = any_packet(any(FAMILIES), &vm2, &vm3);
	struct outer_frame o = outer_from_host2(outer);
	struct frame inner = frame_vm(&v), f;

	o.tos = any(4) ? 0 : any(4);
	f = frame_encapsulated(&o, &inner);
	mutate_outer(&f, outer);
	return f;
}

static uint32_t mutations_arrive(enum family outer, uint32_t by_reason[DOVE_REASON_COUNT])
{
	struct rounds rounds = rounds_begin("prog-ingress", outer, usual_world, from_underlay);
	struct frame f;

	while (rounds_next(&rounds, &f))
		by_reason[both_hooks(&rounds, &f)]++;
	return rounds.n;
}

Test(mutation_ingress, R14_only_right_packets_are_accepted)
{
	for (enum family outer = V4; outer < FAMILIES; outer++) {
		uint32_t by_reason[DOVE_REASON_COUNT] = {}, different = 0;
		uint32_t n = mutations_arrive(outer, by_reason);

		for (uint32_t i = 0; i < DOVE_REASON_COUNT; i++)
			different += by_reason[i] > 0;
		printf("%u mutated packets over IPv%u at both hooks: %u accepted, %u passed, the others for "
		       "%u reasons\n",
		       n, outer ? 6 : 4, by_reason[DOVE_DELIVERED], by_reason[DOVE_PASSED], different - 2);
		check(by_reason[DOVE_DELIVERED] > n / 20 && (different >= 14 || n < ROUNDS),
		      "the mutations are too tame or too wild");
	}
}

/* ---- what a VM sends ---- */

/* From VM 1, in its own name, to VM 2, which is all that it may. */
static bool sendable(const struct frame *f)
{
	enum family family = at2(f, 12) == ETH_P_IPV6 ? V6 : V4;
	struct dove_ip src = ip_in(family, vm1.ip), dst = ip_in(family, vm2.ip);

	if (memcmp(f->b + 6, vm1.mac, 6) || f->b[0] & 1 || (family == V4 && at2(f, 12) != ETH_P_IP))
		return false;
	if (family == V6)
		return ipv6_right(f, 14, f->len - 14) && is_ip(f, 22, &src) && is_ip(f, 38, &dst);
	return ipv4_right(f, 14, f->len - 14) && is_ip(f, 26, &src) && is_ip(f, 30, &dst);
}

static bool is_answer(uint32_t reason)
{
	return reason == DOVE_ARP_ANSWERED || reason == DOVE_ND_ANSWERED || reason == DOVE_TOO_BIG_ANSWERED;
}

static void expect_fate(const struct frame *f, const struct run *r, uint32_t reason)
{
	check(reason != DOVE_REASON_COUNT, "not counted");
	check(r->action == (reason == DOVE_ENCAPSULATED || is_answer(reason) ? TC_ACT_REDIRECT : TC_ACT_SHOT),
	      "%s, returned %d", reason_name(reason), r->action);
	if (reason != DOVE_ENCAPSULATED)
		return;
	check(sendable(f), "sent, but it is not right");
	check(r->out.len == f->len + OUTER_LEN && !memcmp(r->out.b + OUTER_LEN + 6, f->b + 6, f->len - 6),
	      "sent, but not as it was");
}

static void open_world(void)
{
	static const struct dove_budget endless = {
		.of = { { .burst_ns = SECOND }, { .burst_ns = SECOND }, { .burst_ns = SECOND } }
	};
	struct dove_translation t = allow_to(&vm2);

	begin("mutations");
	cache_put(&vm2, &t);
	map_put(dove_budgets, &(uint32_t){ PORT }, &endless);
}

static struct frame from_vm1(enum family any_of_them)
{
	struct vm_frame v = any_packet(any(FAMILIES), &vm1, &vm2);
	struct frame out = frame_vm(&v);

	mutate(&out);
	return out;
}

/* Where the trace says that it would go, it goes. */
Test(mutation_port, R6_only_right_packets_are_sent)
{
	struct rounds rounds = rounds_begin("prog-port", V4, open_world, from_vm1);
	uint32_t sent = 0, right = 0;
	struct frame f;

	while (rounds_next(&rounds, &f)) {
		uint32_t reason;
		struct run r;

		run_skb(dove->progs.dove_trace, &f, NULL);
		check(rounds_reason(&rounds) == DOVE_REASON_COUNT, "a trace was counted");
		r = run_port(&f);
		reason = rounds_reason(&rounds);
		expect_fate(&f, &r, reason);
		check(dove->bss->traced.reason == reason, "traced %s, then %s",
		      reason_name(dove->bss->traced.reason), reason_name(reason));
		sent += reason == DOVE_ENCAPSULATED;
		right += sendable(&f);
	}
	printf("%u mutated packets at a port: %u sent, %u right\n", rounds.n, sent, right);
	check(sent > rounds.n / 20 && sent < rounds.n && sent >= right * 9 / 10,
	      "the mutations are too tame or too wild");
}

static struct frame from_agent(enum family any_of_them)
{
	struct frame f = from_vm1(any_of_them), whole = behind_door(1 + any(3), PORT, &f);

	if (any(4) == 0)
		flip_bit(&whole,
			 offsetof(struct dove_door, routed)); /* what is routed leaves with another TTL */
	return whole;
}

/* What the agent writes, and what it would never write. */
Test(mutation_port, R6_only_right_packets_pass_the_door)
{
	struct rounds rounds = rounds_begin("prog-door", V4, open_world, from_agent);
	uint32_t sent = 0;
	struct frame whole;

	while (rounds_next(&rounds, &whole)) {
		struct run r = run_skb(dove->progs.dove_door, &whole, NULL);
		uint32_t reason = rounds_reason(&rounds);
		struct frame f = { .len = whole.len - sizeof(struct dove_door) };

		memcpy(f.b, whole.b + sizeof(struct dove_door), f.len);
		check(reason != DOVE_REASON_COUNT, "not counted");
		if (reason == DOVE_ENCAPSULATED) {
			expect_fate(&f, &r, reason);
			sent++;
		}
		check(reason != DOVE_DELIVERED && reason != DOVE_DELIVERED_LOCAL, "delivered");
	}
	printf("%u mutated packets at the door: %u sent\n", rounds.n, sent);
	check(sent > rounds.n / 40, "the mutations are too wild");
}

/* ---- by the tunnel device ---- */

static void tunnel_world(void)
{
	begin("mutations");
	local_deliver(&vm1, 5, DOVE_DELIVER_TUNNEL);
	local_deliver(&vm3, 5, DOVE_DELIVER_TUNNEL);
}

static struct frame for_tunnel(enum family outer)
{
	struct vm_frame v = any_packet(any(FAMILIES), &vm2, &vm3);
	struct frame inner = frame_vm(&v), f = wrap(outer, &inner);

	mutate_outer(&f, outer);
	return f;
}

static void expect_marked(const struct frame *f, enum family outer, const struct run *r, uint32_t reason)
{
	bool marked = reason == DOVE_TUNNELED;

	check(marked == acceptable(f, outer), "%s", reason_name(reason));
	check(r->mark == (marked ? DOVE_MARK_DELIVER | 5 : 0), "%s, mark %x", reason_name(reason), r->mark);
	check(!marked || r->out.len == f->len - 20, "%u bytes of %u", r->out.len, f->len);
}

Test(mutation_tunnel, R14_only_right_packets_are_marked)
{
	for (enum family outer = V4; outer < FAMILIES; outer++) {
		struct rounds rounds = rounds_begin("prog-tunnel", outer, tunnel_world, for_tunnel);
		uint32_t marked = 0;
		struct frame f;

		while (rounds_next(&rounds, &f)) {
			struct run r = arrive(AT_TC, &f);
			uint32_t reason = rounds_reason(&rounds);

			expect_marked(&f, outer, &r, reason);
			marked += reason == DOVE_TUNNELED;
		}
		printf("%u mutated packets over IPv%u for a port behind the tunnel device: %u marked\n",
		       rounds.n, outer ? 6 : 4, marked);
		check(marked > rounds.n / 20, "the mutations are too wild");
	}
}
