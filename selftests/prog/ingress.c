// SPDX-License-Identifier: Apache-2.0
#include "ingress.h"

#include <string.h>

void begin_hook(enum at h, const char *name)
{
	begin(case_text("%s: %s", h == AT_TC ? "TC" : "XDP", name));
}

struct frame the_inner(void)
{
	struct vm_frame v = udp_from_vm2();

	return frame_vm(&v);
}

struct frame wrap(const struct frame *inner)
{
	struct outer_frame o = outer_from_host2();

	return frame_encapsulated(&o, inner);
}

struct run arrive(enum at h, const struct frame *f)
{
	return h == AT_TC ? run_skb(dove->progs.dove_nic_ingress, f, NULL) : run_xdp(f);
}

struct frame edited(const struct edit *edit)
{
	struct frame inner = the_inner(), f = wrap(&inner);

	frame_put(&f, edit->at, edit->size, edit->value);
	if (edit->checksum)
		frame_checksum_outer(&f);
	return f;
}

struct run arrive_edited(enum at h, const struct edit *edit)
{
	struct frame f = edited(edit);

	begin_hook(h, edit->name);
	return arrive(h, &f);
}

/* TEST_RUN gives an XDP program's metadata and frame in one piece. */
static struct frame take_meta(const struct frame *out, struct dove_meta *meta)
{
	struct frame f = { .len = out->len - sizeof(*meta) };

	check(out->len >= sizeof(*meta), "no metadata");
	memcpy(meta, out->b, sizeof(*meta));
	memcpy(f.b, out->b + sizeof(*meta), f.len);
	return f;
}

void expect_accepted_for(enum at h, const struct run *r, const struct frame *inner, uint32_t ifindex)
{
	struct dove_meta meta;
	struct frame out;

	if (h == AT_TC) {
		expect_end(r, TC_ACT_REDIRECT, DOVE_DELIVERED);
		expect_bytes(&r->out, inner);
		return;
	}
	expect_end(r, XDP_PASS, DOVE_STRIPPED);
	out = take_meta(&r->out, &meta);
	expect_bytes(&out, inner);
	check(meta.magic == DOVE_META_MAGIC && meta.ifindex == ifindex && !meta.pad && !meta.delivery,
	      "metadata %x for port %u", meta.magic, meta.ifindex);
}

void expect_accepted(enum at h, const struct run *r, const struct frame *inner)
{
	expect_accepted_for(h, r, inner, PORT3);
}

void expect_refused(enum at h, const struct run *r, enum dove_reason reason)
{
	expect_end(r, h == AT_TC ? TC_ACT_SHOT : XDP_DROP, reason);
}

void expect_untouched_by_xdp(const struct run *r)
{
	check(r->action == XDP_PASS, "returned %d", r->action);
	for (uint32_t i = 0; i < DOVE_STATS_MAX; i++)
		check(!counted(i), "counted under %s", reason_name(i));
	expect_bytes(&r->out, &r->in);
}

void expect_passed(enum at h, const struct run *r)
{
	if (h == AT_XDP) {
		expect_untouched_by_xdp(r);
		return;
	}
	expect_end(r, TC_ACT_UNSPEC, DOVE_PASSED);
	expect_bytes(&r->out, &r->in);
}

void expect_from_vm2(const struct dove_event *e, bool processed)
{
	check(ip_is(&e->origin, HOST2) && ip_is(&e->dst, vm3.ip), "origin or destination");
	check(e->vnid == BLUE && e->policy == POLICY && e->source == vm2.endpoint,
	      "network %x, policy %x, source %u", e->vnid, e->policy, e->source);
	check(e->proto == 17 && e->from_port == 4000 && e->to_port == 53, "flow %u %u %u", e->proto,
	      e->from_port, e->to_port);
	check(e->processed == processed, "processed %u", e->processed);
}
