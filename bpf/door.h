/* SPDX-License-Identifier: GPL-2.0 */
/* The ways in that only the agent has: its own device, for packets that waited, and tracing. */
#ifndef DOVE_DOOR_H
#define DOVE_DOOR_H

#include "maps.bpf.h"
#include "packet.h"
#include "qos.h"
#include "translation.h"

/* Take off what the agent put before the frame: whose it is, and which way it goes. */
static __always_inline int door_open(struct __sk_buff *skb, struct packet *p, __u32 *way)
{
	struct dove_door door;
	struct ethhdr eth;

	p->len = skb->len;
	if (bpf_skb_load_bytes(skb, 0, &door, sizeof(door)) || door.magic != DOVE_DOOR_MAGIC ||
	    bpf_skb_load_bytes(skb, sizeof(door), &eth, sizeof(eth)))
		return -DOVE_NO_PORT;
	/* What is removed lies behind the first Ethernet header, which then becomes the frame's own. */
	if (bpf_skb_adjust_room(skb, -(__s32)sizeof(door), BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET) ||
	    bpf_skb_store_bytes(skb, 0, &eth, sizeof(eth), 0))
		return -DOVE_TRUNCATED;
	p->ifindex = door.ifindex;
	/* As it is: a comparison doubles the verifier's work. */
	__builtin_memcpy(&p->to_gateway, &door.routed, 1);
	*way = door.way;
	return 0;
}

/* What is known of a traced packet, and how its way would end. */
static __always_inline void trace_note(const struct packet *p, const struct decision *d, int rc)
{
	traced = (struct dove_traced){
		.src = p->src,
		.dst = p->dst,
		.wanted = d->judged.wanted,
		.reason = -rc,
		.source = p->source,
		.source_vnid = p->source_vnid,
		.policy = d->policy,
		.external = p->external,
		.from_port = p->from_port,
		.to_port = p->to_port,
		.proto = p->l4_proto,
		.verdict = d->verdict,
		.flags = d->flags,
		.qos = qos_id(d),
		.fresh = d->judged.fresh,
		.to_gateway = p->to_gateway,
	};
	traced.path = d->path;
	traced.reverse = p->reverse;
	traced.hop = traced_hop;
	traced.path_sequence = traced_sequence;
	if (!d->t)
		return;
	traced.host = d->t->host;
	traced.revision = d->t->revision;
	traced.endpoint = d->t->endpoint;
	traced.vnid = d->t->vnid;
	traced.local = d->t->local;
}

#endif
