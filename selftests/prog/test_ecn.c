// SPDX-License-Identifier: Apache-2.0
/* Marks of the IP header: ECN in and out by RFC 6040, DSCP (RFC 2983) as the VM's or as this host says. */
#include <string.h>

#include "ingress.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT | PROG_NIC_INGRESS | PROG_XDP });
}

static void load_expedited(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT, .outer_dscp = 1 + 46 });
}

static void load_best_effort(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT, .outer_dscp = 1 });
}

TestSuite(ecn, .init = load);
TestSuite(ecn_expedited, .init = load_expedited);
TestSuite(ecn_best_effort, .init = load_best_effort);

enum { NOT_ECT = 0, ECT1 = 1, ECT0 = 2, CE = 3, DROP = -1 };

/* RFC 6040, figure 4: what comes out, by what is inside (rows) and outside. */
static const int combined[4][4] = {
	/*              Not-ECT  ECT(1)   ECT(0)   CE */
	[NOT_ECT] = { NOT_ECT, NOT_ECT, NOT_ECT, DROP },
	[ECT1] = { ECT1, ECT1, ECT1, CE },
	[ECT0] = { ECT0, ECT1, ECT0, CE },
	[CE] = { CE, CE, CE, CE },
};

static struct frame marked(const struct way *w, const struct vm_frame *v, uint8_t outer_tos)
{
	struct outer_frame o = outer_from_host2(w->outer);
	struct frame inner = frame_vm(v);

	o.tos = outer_tos;
	return frame_encapsulated(&o, &inner);
}

static void expect_combined(const struct way *w, uint8_t inner_tos, uint8_t outer_tos, uint16_t id)
{
	int ecn = combined[inner_tos & 3][outer_tos & 3];
	struct vm_frame v = udp_from_vm2(w->inner);
	struct frame f, want;
	struct run r;

	begin_way(w, case_text("%02x in %02x", inner_tos, outer_tos));
	v.tos = inner_tos;
	v.id = id;
	f = marked(w, &v, outer_tos);
	r = arrive(w->hook, &f);
	if (ecn == DROP) {
		expect_refused(w->hook, &r, DOVE_CONGESTED);
		expect_quiet();
		return;
	}
	v.tos = (inner_tos & ~3) | ecn;
	want = frame_vm(&v);
	expect_accepted(w->hook, &r, &want);
	expect_quiet();
}

Test(ecn, R14_all_combinations)
{
	static const uint8_t dscps[][2] = { { 0, 0 }, { 46, 10 }, { 63, 63 } };

	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w))
		for (unsigned i = 0; i < 16 * ARRAY_SIZE(dscps); i++)
			expect_combined(&w, dscps[i / 16][0] << 2 | (i & 3),
					dscps[i / 16][1] << 2 | (i >> 2 & 3), 0);
}

/* Through the carries of the inner IPv4 header's checksum, which must follow. */
Test(ecn, R14_the_checksum_follows)
{
	for (uint32_t id = 0; id < 65536; id += 97) {
		struct way w = { .hook = id & 1 ? AT_XDP : AT_TC };

		expect_combined(&w, ECT0, CE, id);
		expect_combined(&w, ECT0, ECT1, id);
	}
}

/* ---- on the way out ---- */

static void expect_outer_tos(unsigned mix, uint8_t inner_tos, uint8_t outer_tos)
{
	enum family inner = mix & 1, outer = mix >> 1;
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = udp_in(inner, &vm2);
	struct outer_frame o;
	struct frame want;
	struct run r;

	begin(case_text("%02x of IPv%u in IPv%u", inner_tos, inner ? 6 : 4, outer ? 6 : 4));
	v.tos = inner_tos;
	t.host = ip_in(outer, HOST2);
	cache_put(&vm2, &t);
	r = run_vm(&v);
	expect_sent(&r, DOVE_ENCAPSULATED);
	o = outer_to_host2(outer, &r.out);
	o.tos = outer_tos;
	want = frame_encapsulated(&o, &r.in);
	expect_bytes(&r.out, &want);
}

Test(ecn, R13_marks_are_the_vms_own)
{
	for (unsigned mix = 0; mix < 4; mix++)
		for (unsigned tos = 0; tos < 256; tos++)
			expect_outer_tos(mix, tos, tos);
}

Test(ecn_expedited, R13_this_host_may_set_its_own_class)
{
	for (unsigned mix = 0; mix < 4; mix++)
		for (unsigned tos = 0; tos < 256; tos += 5)
			expect_outer_tos(mix, tos, 46 << 2 | (tos & 3));
}

Test(ecn_best_effort, R13_also_the_least)
{
	for (unsigned mix = 0; mix < 4; mix++)
		for (unsigned tos = 0; tos < 256; tos += 5)
			expect_outer_tos(mix, tos, tos & 3);
}
