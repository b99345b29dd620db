/* SPDX-License-Identifier: GPL-2.0 */
/* Handing a frame over to an interface. */
#ifndef DOVE_DELIVER_H
#define DOVE_DELIVER_H

#include "maps.bpf.h"
#include "packet.h"

/* Out of `ifindex`. */
static __always_inline int send_out(struct __sk_buff *skb, struct packet *p, __u32 ifindex)
{
	if (p->hook == HOOK_TRACE)
		return 0;
	/* The sender's receive queue says nothing about the NIC's transmit queues. */
	skb->queue_mapping = 0;
	p->action = bpf_redirect(ifindex, 0);
	return 0;
}

/*
 * To a VM. The short cut through a veth's peer exists only where the kernel
 * receives; it delivers nothing where the peer is in the same namespace, which
 * is why the agent says for each port whether it may be taken.
 */
static __always_inline int send_to_vm(struct __sk_buff *skb, struct packet *p, __u32 ifindex, __u32 delivery)
{
	if (delivery == DOVE_DELIVER_PEER && p->hook != HOOK_NIC_EGRESS && p->hook != HOOK_TRACE) {
		p->action = bpf_redirect_peer(ifindex, 0);
		return 0;
	}
	return send_out(skb, p, ifindex);
}

#endif
