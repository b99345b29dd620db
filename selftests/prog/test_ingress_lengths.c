// SPDX-License-Identifier: Apache-2.0
/* What arrives at the NIC cut, padded or longer than it says, at both hooks. */
#include <string.h>

#include "ingress.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_NIC_INGRESS | PROG_XDP });
}

TestSuite(ingress_lengths, .init = load, .timeout = 300);

/* Cut by somebody on the way: the headers still say the whole length. */
static void expect_cut(const struct way *w, const struct tap *tap, const struct frame *f)
{
	bool by_tap = w->hook == AT_TC && f->len < (w->outer == V6 ? 54u : 34u);
	struct run r;

	r = w->hook == AT_TC ? run_tc(tap, dove->progs.dove_nic_ingress, f) : arrive(w->hook, f);
	if (by_tap)
		r.action = TC_ACT_UNSPEC;
	if (f->len < outer_at(w->outer, OUTER_AT(geneve)))
		expect_passed(w->hook, &r);
	else if (f->len < outer_len(w->outer))
		expect_refused(w->hook, &r, DOVE_TRUNCATED);
	else
		expect_refused(w->hook, &r, DOVE_OUTER_MALFORMED);
	expect_quiet();
}

Test(ingress_lengths, R14_truncated_at_every_length)
{
	struct tap tap;

	begin("taps");
	tap = tap_attached("cut", dove->progs.dove_nic_ingress);
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct frame inner = the_inner(w.inner), f = wrap(w.outer, &inner);
		uint32_t whole = f.len;

		for (f.len = 14; f.len < whole; f.len++) {
			begin_way(&w, case_text("%u of %u bytes", f.len, whole));
			expect_cut(&w, &tap, &f);
		}
	}
}

/* Cut by its sender: the outer headers say what is there, the inner ones do not. */
static void expect_cut_inside(const struct way *w, uint8_t proto)
{
	struct vm_frame v = udp_from_vm2(w->inner);
	struct frame whole;

	v.proto = proto;
	whole = frame_vm(&v);
	for (uint32_t len = 0; len <= whole.len; len++) {
		struct frame inner = whole, f;
		struct run r;

		begin_way(w, case_text("protocol %u, %u of %u bytes inside", proto, len, whole.len));
		inner.len = len;
		f = wrap(w->outer, &inner);
		r = arrive(w->hook, &f);
		if (len == whole.len)
			expect_accepted(w->hook, &r, &inner);
		else
			expect_refused(w->hook, &r, DOVE_TRUNCATED);
		expect_quiet();
	}
}

Test(ingress_lengths, R14_truncated_inside_at_every_length)
{
	static const uint8_t protos[] = { 17, 6, 47 };

	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w))
		for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
			expect_cut_inside(&w, protos[i]);
}

/* Whatever lies behind what the outer lengths say belongs to nobody, and fills no inner packet. */
Test(ingress_lengths, R14_a_trailer_is_no_part_of_the_packet)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct frame inner = the_inner(w.inner), f = wrap(w.outer, &inner);
		struct run r;

		begin_way(&w, "trailer of 4 bytes");
		f.len += 4;
		inner.len += 4;
		r = arrive(w.hook, &f);
		expect_accepted(w.hook, &r, &inner);

		begin_way(&w, "last byte of the inner packet is in the trailer");
		frame_lengths_outer(&f, w.outer, 5);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_TRUNCATED);
	}
}
