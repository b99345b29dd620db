/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Service paths: which services are ahead of a packet, which instance has its
 * flow, what went into an appliance and may therefore come out of it. RFC 7665
 * has the words; docs/decisions/0008-service-paths.md what was chosen.
 *
 * A host knows the whole path of a pair by its own translation, as the origin
 * does. What travels is how many services are ahead (the stage): on the way
 * there services[n - stage] is next, on the way back services[stage - 1].
 */
#ifndef DOVE_PATH_H
#define DOVE_PATH_H

#include "deliver.h"
#include "flow.h"
#include "maps.bpf.h"
#include "maps/slot.h"
#include "packet.h"
#include "route.h"
#include "translation.h"

static __always_inline struct leg *leg_here(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&dove_legs, &zero);
}

/* ---- which path ---- */

/* An external network, where the frame is for a gateway: its MAC is that network's, too. */
static __always_inline void find_external(struct packet *p)
{
	p->external = mac_equal(p->dmac, gateway_mac) ? prefix_external(p->source_vnid, &p->dst) : 0;
}

/*
 * packet_turn() - the packet as if it were one that it answers, from that
 * sender: what it is asked for by, and a rule looks at. A global function: its
 * stack is its own.
 */
__noinline int packet_turn(struct packet *p, __u32 source)
{
	__u8 mac[6] __attribute__((aligned(8)));
	struct dove_ip ip;
	__u16 port;

	if (!p)
		return 0;
	ip = p->src;
	port = p->from_port;
	p->src = p->dst;
	p->dst = ip;
	p->from_port = p->to_port;
	p->to_port = port;
	__builtin_memcpy(mac, p->smac, sizeof(mac));
	__builtin_memcpy(p->smac, p->dmac, sizeof(p->smac));
	__builtin_memcpy(p->dmac, mac, sizeof(p->dmac));
	p->source = source;
	find_external(p);
	return 0;
}

/*
 * The translation that has the packet's path: its own, or, of a reply, that of
 * what it answers. -DOVE_HELD_MISS leaves the packet as the service is to be
 * asked for it. A path that is in the maps is never a refusal's.
 */
static __noinline int path_find(struct packet *p, struct decision *d)
{
	__u32 source = p->source;

	if (p->reverse)
		packet_turn(p, p->peer);
	TRY(translation_find(p, d));
	if (p->reverse)
		packet_turn(p, source);
	return 0;
}

/*
 * Do a packet of revision S and the translation mean the same path? They do
 * unless a floor was raised in between; of the destination's only the service
 * knows, and has put it into the translation.
 */
static __always_inline int path_holds(const struct decision *d, __u32 vnid, __u64 sequence)
{
	if (d->t->vnid != vnid || sequence < d->t->floor)
		return -DOVE_REFUSED;
	return d->t->revision < sequence ? -DOVE_HELD_MISS : 0;
}

/* ---- which instance ---- */

/*
 * leg_find() - leg->hop of a packet that has leg->stage services ahead. Where a
 * service has no live instance: -DOVE_NO_SERVICE, or, if the path says so, the
 * next one; leg->stage is 0 when none is left. A global function: the verifier
 * looks at it once.
 */
__noinline int leg_find(const struct packet *p)
{
	struct leg *leg = leg_here();
	struct dove_hop_key key = {};
	struct dove_path *path;
	struct dove_hop *hop;
	__u32 number, at;

	if (!p || !leg)
		return -DOVE_NO_SERVICE;
	number = leg->path;
	path = bpf_map_lookup_elem(&dove_paths, &number);
	if (!path)
		return -DOVE_NO_SERVICE;
	key.slot = dove_slot(&p->src, p->from_port, &p->dst, p->to_port, p->l4_proto);
	for (int i = 0; i < DOVE_PATH_HOPS && leg->stage; i++, leg->stage--) {
		at = leg->reverse ? leg->stage - 1u : path->n - leg->stage;
		if (at >= DOVE_PATH_HOPS)
			return -DOVE_NO_SERVICE;
		key.service = path->services[at];
		hop = bpf_map_lookup_elem(&dove_hops, &key);
		if (hop) {
			leg->hop = *hop;
			return 0;
		}
		if (!(path->flags & DOVE_PATH_OPEN))
			return -DOVE_NO_SERVICE;
	}
	return 0;
}

/* The number of services of a path; 0: there is no such path. */
static __always_inline __u32 path_length(__u32 number)
{
	struct dove_path *path = bpf_map_lookup_elem(&dove_paths, &number);

	return path ? path->n : 0;
}

/* Has the second path all of the first one's services? */
static __always_inline bool path_covers(__u32 first, __u32 second)
{
	struct dove_path *a = bpf_map_lookup_elem(&dove_paths, &first);
	struct dove_path *b = bpf_map_lookup_elem(&dove_paths, &second);

	return a && b && !(a->flags & DOVE_PATH_MANY) && !(a->mask & ~b->mask);
}

/* Handed to an instance, here or elsewhere. */
static __noinline void count_hop(__u32 endpoint, __u32 bytes)
{
	struct dove_stats *stats, none = {};
	__u32 key = endpoint;

	stats = bpf_map_lookup_elem(&dove_hop_stats, &key);
	if (!stats) {
		bpf_map_update_elem(&dove_hop_stats, &key, &none, BPF_NOEXIST);
		stats = bpf_map_lookup_elem(&dove_hop_stats, &key);
	}
	if (!stats)
		return;
	stats->packets++;
	stats->bytes += bytes;
}

/* ---- what is in an appliance ---- */

/* Ports of fragments are not told apart: an appliance may put them together, and cut them otherwise. */
static __always_inline void context_key(const struct packet *p, __u32 ifindex, struct dove_context_key *key)
{
	bool whole = !p->first_fragment && !p->later_fragment;

	/* Field by field: a compound literal would be made on the stack first. */
	__builtin_memset(key, 0, sizeof(*key));
	key->src = p->src;
	key->dst = p->dst;
	key->ifindex = ifindex;
	key->proto = p->l4_proto;
	if (whole && p->has_ports) {
		key->from_port = p->from_port;
		key->to_port = p->to_port;
	} else if (whole && is_icmp(p) && !is_icmp_error(p)) {
		key->from_port = key->to_port = p->icmp_id;
	}
}

static __always_inline void context_fill(const struct packet *p, const struct leg *leg,
					 struct dove_context *c)
{
	__builtin_memset(c, 0, sizeof(*c));
	c->seen = bpf_ktime_get_coarse_ns();
	c->revision = leg->sequence;
	c->vnid = leg->vnid;
	c->policy = leg->policy;
	c->source = leg->source;
	c->source_vnid = p->source_vnid;
	c->stage = leg->stage;
	c->reverse = leg->reverse;
	__builtin_memcpy(c->smac, p->smac, sizeof(c->smac));
	__builtin_memcpy(c->dmac, leg->dmac, sizeof(c->dmac));
}

/*
 * context_put() - the leg's context under the leg's key, or whether it may be.
 * Two networks may have the same addresses, and a frame does not say whose it
 * is: who came first has the flow. A newer label was judged here as well, and
 * stays. A global function: the verifier looks at it once.
 */
__noinline int context_put(__u64 lifetime, bool look)
{
	struct dove_context *now, *old;
	struct leg *leg = leg_here();

	if (!leg)
		return -DOVE_OFF_PATH;
	now = &leg->context;
	old = bpf_map_lookup_elem(&dove_contexts, &leg->key);
	if (old && since(now->seen, old->seen) < (__s64)lifetime) {
		if (old->source != now->source || old->reverse != now->reverse)
			return -DOVE_TAKEN;
		if (old->revision >= now->revision && old->stage == now->stage &&
		    old->policy == now->policy && since(now->seen, old->seen) < (__s64)DOVE_FLOW_TOUCH_NS)
			return 0;
	}
	return !look && bpf_map_update_elem(&dove_contexts, &leg->key, now, BPF_ANY) ? -DOVE_OFF_PATH : 0;
}

/*
 * The leg's context as that of what answers it: out of the port that it goes
 * into, its flow and its path turned round. A packet that was routed has the
 * gateway's MAC for its sender's, and so have its answers.
 */
static __always_inline void context_turn(struct leg *leg)
{
	struct dove_context_key *key = &leg->key;
	struct dove_context *c = &leg->context;
	__u8 mac[6] __attribute__((aligned(8)));
	__u16 port = key->from_port;
	struct dove_ip ip = key->src;

	key->src = key->dst;
	key->dst = ip;
	key->from_port = key->to_port;
	key->to_port = port;
	key->ifindex = leg->reverse ? leg->hop.out : leg->hop.in;
	c->source_vnid = leg->vnid;
	c->stage = path_length(leg->path) + 1 - leg->stage;
	c->reverse = !leg->reverse;
	__builtin_memcpy(mac, c->smac, sizeof(mac));
	if (!mac_equal(mac, gateway_mac))
		__builtin_memcpy(c->smac, c->dmac, sizeof(c->smac));
	__builtin_memcpy(c->dmac, mac, sizeof(c->dmac));
}

/*
 * A proxy answers out of the port that the packet goes into, in the name of
 * its destination, and maybe before anything has come from there. What began
 * the flow came from a network that a reply does not name: only what is there
 * already is kept alive by one. Another's that has ended stands in nobody's way.
 */
static __always_inline int context_back(struct leg *leg, __u64 lifetime)
{
	struct dove_context *old;

	context_turn(leg);
	if (!leg->reverse)
		return context_put(lifetime, false);
	old = bpf_map_lookup_elem(&dove_contexts, &leg->key);
	if (!old)
		return 0;
	if (old->source != leg->source)
		return since(leg->context.seen, old->seen) < (__s64)lifetime ? -DOVE_TAKEN : 0;
	leg->context.source_vnid = old->source_vnid;
	return context_put(lifetime, false);
}

static __noinline int context_begin(const struct packet *p, struct leg *leg)
{
	context_key(p, leg->reverse ? leg->hop.in : leg->hop.out, &leg->key);
	context_fill(p, leg, &leg->context);
	return 0;
}

/*
 * context_write() - the packet goes into the appliance of the leg, and will come
 * out of its other port; what goes into a proxy is answered, too. Both, or it
 * does not go in. A global function, as above.
 */
__noinline int context_write(const struct packet *p)
{
	struct leg *leg = leg_here();
	__u64 lifetime;

	if (!p || !leg)
		return -DOVE_OFF_PATH;
	lifetime = flow_lifetime(p->l4_proto);
	context_begin(p, leg);
	if (unlikely(leg->hop.proxy)) {
		TRY(context_put(lifetime, true));
		TRY(context_back(leg, lifetime));
		context_begin(p, leg);
	}
	return context_put(lifetime, false);
}

/*
 * context_take() - what comes out of an appliance's port, as it went in: the
 * packet's sender, label and MACs, and in the leg what it is labelled with.
 * -DOVE_OFF_PATH: no such thing went in. A global function, as above.
 */
__noinline int context_take(struct packet *p)
{
	struct leg *leg = leg_here();
	struct dove_context *c;

	if (!p || !leg)
		return -DOVE_OFF_PATH;
	context_key(p, p->ifindex, &leg->key);
	c = bpf_map_lookup_elem(&dove_contexts, &leg->key);
	if (!c || since(bpf_ktime_get_coarse_ns(), c->seen) > (__s64)flow_lifetime(p->l4_proto))
		return -DOVE_OFF_PATH;
	p->source = c->source;
	p->source_vnid = c->source_vnid;
	p->vnid = c->vnid;
	p->policy = c->policy;
	p->stage = c->stage;
	p->reverse = c->reverse;
	__builtin_memcpy(p->smac, c->smac, sizeof(p->smac));
	__builtin_memcpy(p->dmac, c->dmac, sizeof(p->dmac));
	p->peer = c->source;
	find_external(p);
	leg->sequence = c->revision;
	leg->vnid = c->vnid;
	leg->policy = c->policy;
	leg->source = c->source;
	leg->reverse = c->reverse;
	__builtin_memcpy(leg->dmac, c->dmac, sizeof(leg->dmac));
	return 0;
}

#endif
