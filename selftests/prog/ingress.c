// SPDX-License-Identifier: Apache-2.0
#include "ingress.h"

#include <string.h>

void way_next(struct way *w)
{
	if (++w->inner < FAMILIES)
		return;
	w->inner = V4;
	if (++w->outer < FAMILIES)
		return;
	w->outer = V4;
	w->hook++;
}

void begin_hook(enum at h, const char *name)
{
	begin(case_text("%s: %s", h == AT_TC ? "TC" : "XDP", name));
}

void begin_way(const struct way *w, const char *name)
{
	begin_hook(w->hook,
		   case_text("%s in %s: %s", w->inner ? "IPv6" : "IPv4", w->outer ? "IPv6" : "IPv4", name));
}

struct vm_frame udp_from_vm2(enum family inner)
{
	return udp_between(inner, &vm2, &vm3);
}

struct frame the_inner(enum family inner)
{
	struct vm_frame v = udp_from_vm2(inner);

	return frame_vm(&v);
}

struct frame wrap(enum family outer, const struct frame *inner)
{
	struct outer_frame o = outer_from_host2(outer);

	return frame_encapsulated(&o, inner);
}

struct frame wrap_sent_at(const struct way *w, uint64_t sequence)
{
	struct outer_frame o = outer_from_host2(w->outer);
	struct frame inner = the_inner(w->inner);

	o.sequence = (uint32_t)sequence;
	return frame_encapsulated(&o, &inner);
}

void frame_lengths_outer(struct frame *f, enum family outer, size_t trailer)
{
	size_t udp = f->len - trailer - outer_at(outer, OUTER_AT(udp));

	frame_put(f, outer_at(outer, OUTER_AT(udp.len)), 2, udp);
	if (outer == V6)
		frame_put(f, OUTER6_AT(ip.payload_len), 2, udp);
	else
		frame_put(f, OUTER_AT(ip.tot_len), 2, udp + 20);
	frame_checksum_outer(f);
}

struct run arrive(enum at h, const struct frame *f)
{
	return h == AT_TC ? run_skb(dove->progs.dove_nic_ingress, f, NULL) : run_xdp(f);
}

struct frame edited(const struct way *w, const struct edit *edit)
{
	struct frame inner = the_inner(w->inner), f = wrap(w->outer, &inner);

	frame_put(&f, edit->how & EDIT_OUTER6 ? edit->at : outer_at(w->outer, edit->at), edit->size,
		  edit->value);
	if (edit->how & EDIT_CHECKSUM)
		frame_checksum_outer(&f);
	return f;
}

struct run arrive_edited(const struct way *w, const struct edit *edit)
{
	struct frame f = edited(w, edit);

	begin_way(w, edit->name);
	return arrive(w->hook, &f);
}

struct frame take_meta(const struct frame *out, struct dove_meta *meta)
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
	expect_nothing_counted();
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

void expect_from_vm2(const struct way *w, const struct dove_event *e, bool processed)
{
	struct dove_ip origin = ip_in(w->outer, HOST2), src = ip_in(w->inner, vm2.ip),
		       dst = ip_in(w->inner, vm3.ip);

	check(ip_is(&e->origin, &origin) && ip_is(&e->src, &src) && ip_is(&e->dst, &dst),
	      "origin, source or destination");
	check(e->vnid == BLUE && e->policy == POLICY && e->source == vm2.endpoint,
	      "network %x, policy %x, source %u", e->vnid, e->policy, e->source);
	check(e->proto == 17 && e->from_port == 4000 && e->to_port == 53, "flow %u %u %u", e->proto,
	      e->from_port, e->to_port);
	check(e->processed == processed &&
		      (e->reason == DOVE_DELIVERED || e->reason == DOVE_RELAYED) == processed,
	      "processed %u, %s", e->processed, reason_name(e->reason));
}
