// SPDX-License-Identifier: Apache-2.0
/*
 * Ports behind the tunnel device: what is accepted for them gets a mark, and
 * falls into it; what comes out of it without that mark ends.
 */
#include <string.h>

#include "ingress.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_NIC_INGRESS | PROG_TUNNEL });
}

static void load_vxlan(void)
{
	prog_load((struct prog_config){ .programs = PROG_NIC_INGRESS, .tunnel_vxlan = true });
}

TestSuite(tunnel, .init = load);
TestSuite(tunnel_vxlan, .init = load_vxlan);

#define BEHIND_IT 0x123456u

static void begin_tunneled(const struct way *w, const char *name)
{
	begin_way(w, name);
	local_deliver(&vm3, BEHIND_IT, DOVE_DELIVER_TUNNEL);
}

static void expect_left_to_it(const struct run *r, const struct frame *want)
{
	expect_end(r, TC_ACT_UNSPEC, DOVE_TUNNELED);
	check(r->mark == (DOVE_MARK_DELIVER | BEHIND_IT), "mark %x", r->mark);
	expect_bytes(&r->out, want);
	expect_quiet();
}

Test(tunnel, R14_accepted_is_marked_for_its_port)
{
	for (struct way w = {}; w.hook == AT_TC; way_next(&w)) {
		struct frame inner = the_inner(w.inner), f = wrap(w.outer, &inner);
		struct run r;

		begin_tunneled(&w, "as it is");
		r = arrive(w.hook, &f);
		expect_left_to_it(&r, &f);
	}
}

/* What is decided before the headers come off is in it already. */
Test(tunnel, R14_congestion_marks_are_inside)
{
	for (struct way w = {}; w.hook == AT_TC; way_next(&w)) {
		struct outer_frame o = outer_from_host2(w.outer);
		struct vm_frame v = udp_from_vm2(w.inner);
		struct frame inner, f, want;
		struct run r;

		begin_tunneled(&w, "ECT(0), marked on the way");
		o.tos = 3;
		v.tos = 2;
		inner = frame_vm(&v);
		f = frame_encapsulated(&o, &inner);
		v.tos = 3;
		inner = frame_vm(&v);
		want = frame_encapsulated(&o, &inner);
		r = arrive(w.hook, &f);
		expect_left_to_it(&r, &want);
	}
}

/* Lower layers' and others' marks are theirs, but one that looks like ours is nobody's to bring. */
Test(tunnel, R6_foreign_marks_are_cleared)
{
	static const struct {
		uint32_t before, after;
	} cases[] = {
		{ DOVE_MARK_DELIVER, 0 },
		{ DOVE_MARK_DELIVER | PORT3, 0 },
		{ DOVE_MARK_DELIVER | DOVE_MARK_IFINDEX, 0 },
		{ 0x1234, 0x1234 },
		{ DOVE_MARK_DELIVER ^ 0x01000000, DOVE_MARK_DELIVER ^ 0x01000000 },
		{ DOVE_MARK_ENCAPSULATED, DOVE_MARK_ENCAPSULATED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct __sk_buff ctx = { .ingress_ifindex = PORT, .mark = cases[i].before };
		struct frame f = the_inner(V4);
		struct run r;

		begin(case_text("mark %x", cases[i].before));
		r = run_skb(dove->progs.dove_nic_ingress, &f, &ctx);
		expect_end(&r, TC_ACT_UNSPEC, DOVE_PASSED);
		check(r.mark == cases[i].after, "mark %x", r.mark);
	}
}

Test(tunnel, R14_what_comes_out_marked_goes_to_its_port)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct __sk_buff ctx = { .ingress_ifindex = PORT, .mark = DOVE_MARK_DELIVER | BEHIND_IT };
		struct frame inner = the_inner(f);
		struct run r;

		begin(case_text("IPv%u", f ? 6 : 4));
		r = run_skb(dove->progs.dove_tunnel, &inner, &ctx);
		expect_end(&r, TC_ACT_REDIRECT, DOVE_DELIVERED);
		expect_bytes(&r.out, &inner);
		check(!r.mark, "the mark %x stays on it", r.mark);
		expect_quiet();
	}
}

Test(tunnel, R6_what_comes_out_unmarked_ends)
{
	static const uint32_t marks[] = { 0,
					  PORT3,
					  0x1234,
					  DOVE_MARK_ENCAPSULATED,
					  DOVE_MARK_ROUTED,
					  DOVE_MARK_DELIVER ^ 0x01000000,
					  0xffffffff };

	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		struct __sk_buff ctx = { .ingress_ifindex = PORT, .mark = marks[i] };
		struct frame inner = the_inner(V4);
		struct run r;

		begin(case_text("mark %x", marks[i]));
		r = run_skb(dove->progs.dove_tunnel, &inner, &ctx);
		expect_end(&r, TC_ACT_SHOT, DOVE_NOT_ACCEPTED);
		expect_quiet();
	}
}

/* Through the device, where the kernel does what it was told: the mark leads to the tap. */
Test(tunnel, R14_the_mark_leads_to_the_port)
{
	struct frame inner = the_inner(V4), f = wrap(V4, &inner), got;
	struct tap nic, port;

	begin("devices");
	nic = tap_attached("nic", dove->progs.dove_nic_ingress);
	/* Behind it, as if the tunnel device had taken the headers off. */
	tap_attach(&nic, dove->progs.dove_tunnel);
	port = tap_open("port3");
	local_deliver(&vm3, port.ifindex, DOVE_DELIVER_TUNNEL);
	tap_write(&nic, &f);
	check(counted(DOVE_TUNNELED) == 1 && counted(DOVE_DELIVERED) == 1, "not delivered");
	check(tap_read(&port, &got), "nothing came to the VM");
	expect_bytes(&got, &f);
}

/* ---- where the kernel has no Geneve ---- */

/* RFC 7348: flags and VNI in place of Geneve's header and our option, all lengths as much shorter. */
static struct frame as_vxlan(enum family outer, const struct frame *geneve)
{
	size_t at = outer_at(outer, OUTER_AT(geneve));
	struct frame f = *geneve;

	memmove(f.b + at + 8, f.b + at + 28, f.len - at - 28);
	f.len -= 20;
	frame_put(&f, at, 4, 0x08000000);
	frame_put(&f, at + 4, 4, BLUE << 8);
	frame_put(&f, outer_at(outer, OUTER_AT(udp.check)), 2, 0);
	frame_lengths_outer(&f, outer, 0);
	return f;
}

Test(tunnel_vxlan, R14_accepted_becomes_vxlan)
{
	static const uint32_t payloads[] = { 0, 1, 40, 1400 };

	for (struct way w = {}; w.hook == AT_TC; way_next(&w)) {
		for (size_t i = 0; i < ARRAY_SIZE(payloads); i++) {
			struct vm_frame v = udp_from_vm2(w.inner);
			struct frame inner, f, want;
			struct run r;

			begin_tunneled(&w, case_text("%u bytes", payloads[i]));
			v.payload = payloads[i];
			inner = frame_vm(&v);
			f = wrap(w.outer, &inner);
			want = as_vxlan(w.outer, &f);
			r = arrive(w.hook, &f);
			expect_left_to_it(&r, &want);
		}
	}
}

/* A sum that was there is of what was there. */
Test(tunnel_vxlan, R14_a_udp_checksum_is_taken_off)
{
	for (struct way w = {}; w.hook == AT_TC; way_next(&w)) {
		struct frame inner = the_inner(w.inner), f = wrap(w.outer, &inner),
			     want = as_vxlan(w.outer, &f);
		struct run r;

		begin_tunneled(&w, "checksum 1234");
		frame_put(&f, outer_at(w.outer, OUTER_AT(udp.check)), 2, 0x1234);
		r = arrive(w.hook, &f);
		expect_left_to_it(&r, &want);
	}
}

Test(tunnel_vxlan, R14_other_ports_get_theirs_plain)
{
	for (struct way w = {}; w.hook == AT_TC; way_next(&w)) {
		struct frame inner = the_inner(w.inner), f = wrap(w.outer, &inner);
		struct run r;

		begin_way(&w, "redirect");
		r = arrive(w.hook, &f);
		expect_accepted(w.hook, &r, &inner);
	}
}
