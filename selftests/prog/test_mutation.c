// SPDX-License-Identifier: Apache-2.0
/*
 * Packets that were right until something happened to them: whatever it is,
 * the programs come to an end, count it once, agree with one another, and
 * let through only what a second reading of the bytes, here, finds right.
 */
#include <stdlib.h>
#include <string.h>

#include "ingress.h"

#define ROUNDS 20000
#define SEED 20240607u

static void load_ingress(void)
{
	prog_load((struct prog_config){ .programs = PROG_NIC_INGRESS | PROG_XDP });
}

static void load_port(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT });
}

TestSuite(mutation_ingress, .init = load_ingress, .timeout = 300);
TestSuite(mutation_port, .init = load_port, .timeout = 300);

static unsigned seed = SEED;

static uint32_t any(uint32_t below)
{
	return ((uint32_t)rand_r(&seed) << 8 ^ (uint32_t)rand_r(&seed)) % below;
}

/* ---- what happens to packets ---- */

static void flip_bit(struct frame *f, uint32_t below)
{
	f->b[any(below)] ^= 1 << any(8);
}

static void set_byte(struct frame *f, uint32_t below)
{
	f->b[any(below)] = any(256);
}

static void set_word(struct frame *f, uint32_t below)
{
	static const uint16_t extremes[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff };

	frame_put(f, any(below / 2 - 1) * 2, 2, extremes[any(ARRAY_SIZE(extremes))]);
}

static void cut(struct frame *f, uint32_t below)
{
	/* What TEST_RUN refuses to run at TC has a test of its own, at every length. */
	f->len = 34 + any(f->len - 34);
}

static void grow(struct frame *f, uint32_t below)
{
	f->len += any(100);
}

static void cut_out(struct frame *f, uint32_t below)
{
	uint32_t at = any(below), n = 1 + any(20);

	if (f->len < 60 + n + at)
		return;
	memmove(f->b + at, f->b + at + n, f->len - at - n);
	f->len -= n;
}

static void put_in(struct frame *f, uint32_t below)
{
	uint32_t at = any(below);

	if (at < f->len)
		frame_insert(f, at, 1 + any(20));
}

static void mutate(struct frame *f)
{
	static void (*const ways[])(struct frame *, uint32_t) = { flip_bit, flip_bit, set_byte, set_word,
								  cut,	    grow,     cut_out,	put_in };
	uint32_t times = 1 + any(3), below = f->len < 112 ? f->len : 112;

	for (uint32_t i = 0; i < times; i++) {
		ways[any(ARRAY_SIZE(ways))](f, below < f->len ? below : f->len);
		if (f->len < 40)
			return;
	}
}

/* Lengths that agree with one another, but not with the frame. */
static void shift_lengths(struct frame *f)
{
	uint32_t by = any(40) - 20;

	frame_put(f, OUTER_AT(ip.tot_len), 2, frame_get(f, OUTER_AT(ip.tot_len), 2) + by);
	frame_put(f, OUTER_AT(udp.len), 2, frame_get(f, OUTER_AT(udp.len), 2) + by);
}

/* ---- a second reading ---- */

static bool outer_right(const struct frame *f)
{
	uint32_t ip_len = frame_get(f, OUTER_AT(ip.tot_len), 2);

	return f->len >= OUTER_LEN && frame_get(f, 12, 2) == 0x0800 && f->b[14] == 0x45 &&
	       !internet_checksum(f->b + 14, 20) && !(frame_get(f, 20, 2) & 0x3fff) && f->b[23] == 17 &&
	       frame_get(f, 26, 4) == HOST2 && frame_get(f, 30, 4) == HOST1 && frame_get(f, 36, 2) == 6081 &&
	       ip_len + 14 <= f->len && ip_len >= 56 + 34 && frame_get(f, 38, 2) == ip_len - 20;
}

static bool geneve_right(const struct frame *f)
{
	uint64_t sequence = (REVISION & ~0xffffffffull) | frame_get(f, OUTER_AT(option.sequence), 4);

	/*
	 * Nearest to the watched revision, which has a small low half. A newer
	 * one may be under a policy that nobody here has heard of yet.
	 */
	if ((uint32_t)sequence - (uint32_t)REVISION >= 0x80000000u && (uint32_t)sequence > (uint32_t)REVISION)
		sequence -= 1ull << 32;
	return f->b[42] == 5 && (f->b[43] & 0xc0) == 0x40 && frame_get(f, 44, 2) == 0x6558 &&
	       frame_get(f, 46, 4) >> 8 == BLUE && frame_get(f, 50, 4) == 0xff018104 &&
	       (sequence > REVISION || (frame_get(f, 54, 4) == POLICY && sequence >= POLICY_FLOOR)) &&
	       f->b[66] == 0;
}

/* Ports are where the protocol has them, save in later fragments. */
static uint32_t ports_len(const uint8_t *ip)
{
	switch (ip[9]) {
	case 6:
	case 17:
	case 33:
	case 132:
	case 136:
		return (ip[6] & 0x1f) || ip[7] ? 0 : 4;
	}
	return 0;
}

/* A unicast IPv4 frame to one of the VMs here that lies within what the outer headers say is there. */
static bool inner_right(const struct frame *f)
{
	uint32_t at = OUTER_LEN + 14, total = frame_get(f, at + 2, 2), header = (f->b[at] & 15) * 4;
	uint32_t room = frame_get(f, OUTER_AT(ip.tot_len), 2) - 56 - 14,
		 least = header + ports_len(f->b + at);
	uint32_t dst = frame_get(f, at + 16, 4);

	return !(f->b[OUTER_LEN] & 1) && frame_get(f, at - 2, 2) == 0x0800 && f->b[at] >> 4 == 4 &&
	       header >= 20 && total <= room && total >= least && (dst == vm3.ip || dst == vm1.ip);
}

static bool acceptable(const struct frame *f)
{
	return outer_right(f) && geneve_right(f) && inner_right(f);
}

/* ---- rounds ---- */

/* The one reason that has one packet more than before; DOVE_REASON_COUNT for none. */
static uint32_t reason_of(uint64_t before[DOVE_REASON_COUNT])
{
	uint32_t reason = DOVE_REASON_COUNT, n = 0;

	for (uint32_t i = 0; i < DOVE_REASON_COUNT; i++) {
		uint64_t now = counted(i);

		if (now != before[i]) {
			n += now - before[i];
			reason = i;
		}
		before[i] = now;
	}
	check(n <= 1, "counted %u times", n);
	return reason;
}

/* What XDP leaves to TC it does not count. */
static uint32_t as_xdp_counts(uint32_t tc)
{
	switch (tc) {
	case DOVE_DELIVERED:
		return DOVE_STRIPPED;
	case DOVE_PASSED:
	case DOVE_HELD_UNKNOWN:
	case DOVE_MISS_LIMITED:
	case DOVE_RING_FULL:
		return DOVE_REASON_COUNT;
	}
	return tc;
}

static uint32_t both_hooks(const struct frame *f, uint64_t before[DOVE_REASON_COUNT])
{
	struct run tc = arrive(AT_TC, f), xdp;
	uint32_t by_tc = reason_of(before), by_xdp;
	bool passed, accepted;

	xdp = arrive(AT_XDP, f);
	by_xdp = reason_of(before);
	passed = by_tc == DOVE_PASSED;
	accepted = by_tc == DOVE_DELIVERED;
	check(by_tc != DOVE_REASON_COUNT, "not counted at TC");
	check(by_xdp == as_xdp_counts(by_tc), "%s at TC, %s at XDP", reason_name(by_tc), reason_name(by_xdp));
	check(tc.action == (accepted ? TC_ACT_REDIRECT
			    : passed ? TC_ACT_UNSPEC
				     : TC_ACT_SHOT),
	      "%s at TC, returned %d", reason_name(by_tc), tc.action);
	check(xdp.action == (by_xdp == DOVE_STRIPPED || by_xdp == DOVE_REASON_COUNT ? XDP_PASS : XDP_DROP),
	      "%s at XDP, returned %d", reason_name(by_xdp), xdp.action);
	if (accepted) {
		struct frame inner = { .len = f->len - OUTER_LEN };

		check(acceptable(f), "accepted, but wrong is its%s%s%s",
		      outer_right(f) ? "" : " outer header", geneve_right(f) ? "" : " Geneve header",
		      inner_right(f) ? "" : " frame");
		memcpy(inner.b, f->b + OUTER_LEN, inner.len);
		expect_bytes(&tc.out, &inner);
	} else {
		check(!acceptable(f), "right, but %s", reason_name(by_tc));
	}
	if (by_xdp == DOVE_REASON_COUNT)
		expect_bytes(&xdp.out, f);
	return by_tc;
}

static void mutate_outer(struct frame *f)
{
	if (any(8) == 0)
		shift_lengths(f);
	if (any(16))
		mutate(f);
	if (any(3))
		frame_checksum_outer(f);
}

Test(mutation_ingress, R14_only_right_packets_are_accepted)
{
	uint64_t before[DOVE_REASON_COUNT] = {};
	uint32_t by_reason[DOVE_REASON_COUNT] = {}, different = 0;
	static const uint8_t protos[] = { 17, 6, 1, 47 };

	begin("mutations");
	for (int round = 0; round < ROUNDS; round++) {
		struct vm_frame v = udp_from_vm2();
		struct frame inner, f;

		v.proto = protos[any(ARRAY_SIZE(protos))];
		v.payload = any(60);
		inner = frame_vm(&v);
		f = wrap(&inner);
		mutate_outer(&f);
		case_set(case_text("seed %u, round %d", SEED, round));
		by_reason[both_hooks(&f, before)]++;
		if (round % 500 == 0)
			rings_clear();
	}
	for (uint32_t i = 0; i < DOVE_REASON_COUNT; i++)
		different += by_reason[i] > 0;
	printf("%d mutated packets at both hooks: %u accepted, %u passed, the others dropped for %u "
	       "reasons\n",
	       ROUNDS, by_reason[DOVE_DELIVERED], by_reason[DOVE_PASSED], different - 2);
	check(by_reason[DOVE_DELIVERED] > ROUNDS / 20 && different >= 14,
	      "the mutations are too tame or too wild");
}

/* ---- what a VM sends ---- */

static bool sendable(const struct frame *f)
{
	return !memcmp(f->b + 6, vm1.mac, 6) && !(f->b[0] & 1) && frame_get(f, 12, 2) == 0x0800 &&
	       f->b[14] >> 4 == 4 && (f->b[14] & 15) >= 5 && frame_get(f, 16, 2) + 14 <= f->len &&
	       frame_get(f, 16, 2) >= (f->b[14] & 15) * 4 + ports_len(f->b + 14) &&
	       frame_get(f, 26, 4) == vm1.ip && frame_get(f, 30, 4) == vm2.ip;
}

Test(mutation_port, R6_only_right_packets_are_sent)
{
	struct dove_translation t = allow_to(&vm2);
	uint64_t before[DOVE_REASON_COUNT] = {};
	uint32_t sent = 0;

	begin("mutations");
	cache_put(&vm2, &t);
	map_put(dove_budgets, &(uint32_t){ PORT }, &((struct dove_budget){ .burst_ns = SECOND }));
	for (int round = 0; round < ROUNDS; round++) {
		struct vm_frame v = udp_to(&vm2);
		struct frame f;
		uint32_t reason;
		struct run r;

		v.payload = any(60);
		f = frame_vm(&v);
		mutate(&f);
		case_set(case_text("seed %u, round %d", SEED, round));
		r = run_port(&f);
		reason = reason_of(before);
		check(reason != DOVE_REASON_COUNT, "not counted");
		if (reason == DOVE_ENCAPSULATED) {
			check(r.action == TC_ACT_REDIRECT && sendable(&f), "sent, but it is not right");
			check(r.out.len == f.len + OUTER_LEN &&
				      !memcmp(r.out.b + OUTER_LEN + 6, f.b + 6, f.len - 6),
			      "sent, but not as it was");
			sent++;
		} else {
			check(r.action == TC_ACT_SHOT, "%s, returned %d", reason_name(reason), r.action);
		}
		if (round % 200 == 0)
			rings_clear();
	}
	printf("%d mutated packets at a port: %u sent\n", ROUNDS, sent);
	check(sent > ROUNDS / 20 && sent < ROUNDS, "the mutations are too tame or too wild");
}
