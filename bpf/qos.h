/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Quality of service, at the origin: the marks of the outer header, and rates.
 *
 * A rate is held by a leaky bucket (ITU-T I.371, the generic cell rate
 * algorithm; the token bucket of RFC 2697 is its mirror): used_until is when
 * all that was let through will have been sent at that rate, and who is
 * further ahead of now than the burst is dropped. The packet that reaches the
 * burst still passes, so a super-packet always finds a way. Where the NIC's
 * queue holds packets until their departure time (fq), the rate is paced: each
 * leaves when those before it will have been sent at that rate.
 */
#ifndef DOVE_QOS_H
#define DOVE_QOS_H

#include "count.h"
#include "maps.bpf.h"
#include "packet.h"
#include "translation.h"

/* The row of dove_qos that the answer names; 0: it asks for nothing beside its verdict. */
static __always_inline __u32 qos_id(const struct decision *d)
{
	if (!d->t)
		return 0;
	/* A mask, for the verifier: a comparison is made with another register than the one that is used. */
	return d->rule ? d->t->rules[(d->rule - 1) & (DOVE_RULES_MAX - 1)].qos : d->t->qos;
}

/* The largest IP packet that this one becomes on the wire, before encapsulation. */
static __always_inline __u32 wire_size(struct __sk_buff *skb, const struct packet *p)
{
	__u8 data_offset = 0;

	if (!skb->gso_size)
		return skb->len - (__u32)sizeof(struct ethhdr);
	if (p->l4_proto != IPPROTO_TCP)
		return skb->gso_size + p->l3_len + (__u32)sizeof(struct udphdr);
	/* The upper four bits of byte 12 count the TCP header's words. */
	bpf_skb_load_bytes(skb, sizeof(struct ethhdr) + p->l3_len + 12, &data_offset, 1);
	return skb->gso_size + p->l3_len + (data_offset >> 4) * 4;
}

/* All frames that it becomes, each with its headers from Ethernet on. */
static __always_inline __u32 wire_bytes(struct __sk_buff *skb, const struct packet *p)
{
	__u32 len = skb->len, payload = skb->gso_size, headers;

	if (!payload)
		return len;
	headers = wire_size(skb, p) - payload + (__u32)sizeof(struct ethhdr);
	return len <= headers ? len : len + (len - headers - 1) / payload * headers;
}

static __always_inline struct dove_meter *meter_of(const struct dove_meter_key *key)
{
	struct dove_meter *meter = bpf_map_lookup_elem(&dove_meters, key), first = {};

	if (likely(meter))
		return meter;
	bpf_map_update_elem(&dove_meters, key, &first, BPF_NOEXIST);
	return bpf_map_lookup_elem(&dove_meters, key);
}

/* Who is paced may make up for that part of a burst: whoever sends is late at times, and would lose the time. */
#define LATE 8

#define ROOM_MAX (256u << 20) /* bytes; more would not fit a product */

/*
 * How far ahead of now a packet that is paced may depart: what the NIC's queue
 * would have no place for until then must be dropped before it is paid for.
 * Half of its places, for flows may share them, of the size that packets had
 * of late.
 */
static __always_inline __u64 room_ns(const struct dove_qos *q, __u32 places, __u32 mean)
{
	__u64 bytes = (__u64)places / 2 * mean;

	return (bytes < ROOM_MAX ? bytes : ROOM_MAX) * q->ns_per_mib >> 20;
}

/*
 * Departure times have a number of their own, beside used_until, which all that
 * the limit is for shares: what is paced does not wait for what is policed.
 * Nowhere to count it (dove_meters is full): closed.
 */
static __always_inline int meter_spend(struct packet *p, const struct dove_qos *q,
				       const struct dove_meter_key *key, __u32 bytes)
{
	__u64 cost = bytes * q->ns_per_mib >> 20, now = bpf_ktime_get_ns(), late = now - q->burst_ns / LATE;
	__u64 last = now + q->burst_ns, room = ~0ull, used, paced;
	struct dove_meter *meter = meter_of(key);
	__u32 mean;
	bool fits;

	if (!meter)
		return -DOVE_RATE_LIMITED;
	bpf_spin_lock(&meter->lock);
	mean = meter->mean ? meter->mean - meter->mean / 8 + bytes / 8 : bytes;
	meter->mean = mean;
	used = meter->used_until > now ? meter->used_until : now;
	paced = meter->paced_until > late ? meter->paced_until : late;
	if (p->queue)
		room = now + room_ns(q, p->queue, mean);
	fits = used <= last && paced <= room;
	if (fits)
		meter->used_until = used + cost;
	if (fits && p->queue)
		meter->paced_until = paced + cost;
	bpf_spin_unlock(&meter->lock);
	if (!fits)
		return -DOVE_RATE_LIMITED;
	if (p->queue && paced > now && paced > p->departs)
		p->departs = paced;
	return 0;
}

/* A frame that was cut here has been paid for when it was whole. */
static __always_inline bool is_metered(const struct packet *p, const struct dove_qos *q)
{
	return q->ns_per_mib && p->hook != HOOK_TRACE && p->hook != HOOK_CUT;
}

/* Pay for the packet by this row's limit, if it has one. */
static __always_inline int qos_pay(struct __sk_buff *skb, struct packet *p, const struct dove_qos *q)
{
	struct dove_meter_key key = { .policy = q->policy, .source = p->source };

	return is_metered(p, q) ? meter_spend(p, q, &key, wire_bytes(skb, p)) : 0;
}

/* The marks that the row says: for this leg. NULL: the row is not known any more. */
static __always_inline struct dove_qos *qos_mark(struct __sk_buff *skb, struct packet *p, __u32 id)
{
	struct dove_qos *q = bpf_map_lookup_elem(&dove_qos, &id);

	if (!q)
		return 0;
	p->marked = q->dscp < DOVE_DSCP_UNSAID ? q->dscp + 1 : 0;
	p->vlan = q->vlan;
	p->laid = q->laid_len;
	p->quality = id;
	if (q->priority && p->hook != HOOK_TRACE)
		skb->priority = q->priority;
	return q;
}

/*
 * qos_apply() - what the row says that the answer names, at the origin: 0,
 * -DOVE_RATE_LIMITED, or -DOVE_HELD_MISS where it is not known any more.
 */
static __always_inline int qos_apply(struct __sk_buff *skb, struct packet *p, __u32 id)
{
	struct dove_qos *q = qos_mark(skb, p, id);

	return q ? qos_pay(skb, p, q) : -DOVE_HELD_MISS;
}

/* The port's own limit. */
static __always_inline int qos_port(struct __sk_buff *skb, struct packet *p, __u32 id)
{
	struct dove_qos *q = bpf_map_lookup_elem(&dove_qos, &id);

	return q ? qos_pay(skb, p, q) : -DOVE_RATE_LIMITED;
}

#endif
