/* SPDX-License-Identifier: GPL-2.0 */
/* The way up to the agent: whole packets that wait for an answer, and small events. */
#ifndef DOVE_UPCALL_H
#define DOVE_UPCALL_H

#include "count.h"
#include "maps.bpf.h"
#include "packet.h"
#include "route.h"
#include "stale.h"

#define EVENT_INTERVAL_NS (100ull * 1000 * 1000)

/*
 * A device, or a network, may cost others so much at once and so much a
 * second; what is above that costs only itself. A lost race for the bucket
 * counts as no room: two CPUs of one port at its limit.
 */
static __always_inline bool budget_allows(__u32 id, __u32 kind, __u32 units)
{
	struct dove_budget *budget = bpf_map_lookup_elem(&dove_budgets, &id);
	__u64 now = bpf_ktime_get_ns();
	struct dove_bucket *bucket;
	__u64 used, from;

	if (!budget || kind >= DOVE_BUDGET_KINDS)
		return false;
	bucket = &budget->of[kind];
	for (int i = 0; i < 3; i++) {
		used = bucket->used_until;
		from = newest(used, now);
		if (from - now > bucket->burst_ns)
			return false;
		from += units * bucket->ns_per_1024 >> 10;
		if (__sync_val_compare_and_swap(&bucket->used_until, used, from) == used)
			return true;
	}
	return false;
}

/*
 * Who pays for what is given to the agent: of what came from the underlay for many, or from a host that nobody has
 * named, the network. So a stranger's flood takes nothing from what known hosts' packets wait by.
 */
static __always_inline __u32 hold_payer(const struct packet *p)
{
	bool stranger = !p->known && !ip_is_unspecified(&p->origin);

	return stranger || p->group == DOVE_GROUP_RECEIVED + 1 ? DOVE_BUDGET_NETWORK | p->vnid : p->ifindex;
}

/* Copy the packet into a record of `room` bytes of data; room is a constant. */
static __always_inline int hold_in(struct __sk_buff *skb, const struct packet *p, int reason, __u32 len,
				   const __u32 room)
{
	struct dove_held *held;

	if (!budget_allows(hold_payer(p), DOVE_BUDGET_HELD, room))
		return -DOVE_MISS_LIMITED;
	held = bpf_ringbuf_reserve(&dove_packets, sizeof(*held) + room, 0);
	if (!held)
		return -DOVE_RING_FULL;
	*held = (struct dove_held){
		.time = bpf_ktime_get_ns(),
		.ifindex = p->ifindex,
		.len = len,
		.reason = -reason,
		.vnid = p->vnid,
		.gso_size = skb->gso_size,
		.group = p->group,
		.key = { .dst = route_target(p),
			 .source = p->source,
			 .from_port = p->from_port,
			 .to_port = p->to_port,
			 .proto = p->l4_proto,
			 .exact = 1 },
		.policy = p->policy,
		.sequence = p->sequence,
		/* A reply at a hop is held as what it answers, from the network that it goes to. */
		.source_vnid = p->reverse ? p->vnid : p->source_vnid,
	};
	/*
	 * The verifier needs both bounds of the length. The barriers keep the
	 * compiler from dropping what it knows from the caller, and from making
	 * one comparison of two, out of which 6.1 reads no lower bound.
	 */
	barrier_var(len);
	if (len < sizeof(struct ethhdr))
		goto cut_off;
	barrier_var(len);
	if (len > room || bpf_skb_load_bytes(skb, 0, held->data, len))
		goto cut_off;
	/* On its way over a bridge it had its destination's MAC; the door knows by this one that it is to be routed. */
	if (p->to_gateway)
		__builtin_memcpy(held->data, gateway_mac, sizeof(gateway_mac));
	bpf_ringbuf_submit(held, 0);
	return reason;
cut_off:
	bpf_ringbuf_discard(held, 0);
	return -DOVE_TRUNCATED;
}

/*
 * hold() - give the packet to the agent: returns `reason`, or why that was not
 * possible. A global function: the verifier looks at it once.
 */
__noinline int hold(struct __sk_buff *skb, const struct packet *p, int reason)
{
	__u32 len = skb->len;

	if (!p || p->hook == HOOK_TRACE || (p->hook == HOOK_DOOR && reason != -DOVE_HELD_PATH))
		return reason;
	if (len <= DOVE_HELD_SMALL)
		return hold_in(skb, p, reason, len, DOVE_HELD_SMALL);
	if (len <= DOVE_HELD_FRAME)
		return hold_in(skb, p, reason, len, DOVE_HELD_FRAME);
	if (len <= DOVE_HELD_JUMBO)
		return hold_in(skb, p, reason, len, DOVE_HELD_JUMBO);
	return hold_in(skb, p, reason, len, DOVE_HELD_MAX);
}

/* One event of a kind per origin, network, policy and sender in EVENT_INTERVAL_NS. */
static __always_inline bool event_is_due(const struct dove_event_key *key)
{
	__u64 now = bpf_ktime_get_ns();
	__u64 *last = bpf_map_lookup_elem(&dove_event_times, key);

	if (last && now - *last < EVENT_INTERVAL_NS)
		return false;
	bpf_map_update_elem(&dove_event_times, key, &now, BPF_ANY);
	return true;
}

/*
 * event_report() - tell the agent what was seen of a packet, at most so often.
 *
 * reason: how the packet's way ends; DOVE_DELIVERED: it is delivered all the
 * same. An event that finds the
 * ring full is lost, and counted; the next packet brings it up again. A global
 * function: the verifier looks at it once.
 */
__noinline int event_report(__u32 type, const struct packet *p, const struct judgement *j, __u32 reason)
{
	bool processed = reason == DOVE_DELIVERED || reason == DOVE_RELAYED;
	struct dove_event_key key = { .type = type, .reason = type == DOVE_EVENT_DROPPED ? reason : 0 };
	struct dove_event *event;

	if (!p || !j)
		return 0;
	key.origin = p->origin;
	key.vnid = p->vnid;
	key.policy = type == DOVE_EVENT_NEWER ? 0 : p->policy;
	key.source = type == DOVE_EVENT_NEWER ? 0 : p->source;
	if (p->hook == HOOK_TRACE || !event_is_due(&key))
		return 0;
	event = bpf_ringbuf_reserve(&dove_events, sizeof(*event), 0);
	if (!event) {
		count(DOVE_COUNT_EVENTS_LOST, 0);
		return 0;
	}
	/* Field by field: a compound literal would be made on the stack first, of which 6.1 has too little here. */
	__builtin_memset(event, 0, sizeof(*event));
	event->time = bpf_ktime_get_ns();
	event->sequence = j->sequence;
	event->wanted = j->wanted;
	event->origin = p->origin;
	event->src = p->src;
	event->dst = route_target(p);
	event->type = type;
	event->vnid = p->vnid;
	event->policy = p->policy;
	event->source = p->source;
	event->from_port = p->from_port;
	event->to_port = p->to_port;
	event->proto = p->l4_proto;
	event->processed = processed;
	event->reason = reason;
	event->relays = p->relays;
	bpf_ringbuf_submit(event, 0);
	return 0;
}

#endif
