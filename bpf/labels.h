/* SPDX-License-Identifier: GPL-2.0 */
/*
 * MPLS label stacks (RFC 3032) of paths on the underlay: between Ethernet and
 * the outer IP header. Pushed here, for a kernel without MPLS has nothing that
 * could.
 */
#ifndef DOVE_BPF_LABELS_H
#define DOVE_BPF_LABELS_H

#include "maps.bpf.h"
#include "packet.h"

/*
 * Have the kernel know the frame by the type that stands in it: a device that
 * finds the headers of a checksum it is to fill in by that type must not look
 * for IP. Only taking a tag out of the frame does that: one tag is put beside
 * the frame, goes into it for another one, and comes out again; what is left
 * beside the frame is the first, and the path's own if it has one.
 */
static __always_inline int labels_protocol(struct __sk_buff *skb, __u16 vlan)
{
	if (bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), vlan ? vlan : 1) ||
	    bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 1) || bpf_skb_vlan_pop(skb))
		return -DOVE_ENCAP_FAILED;
	return !vlan && bpf_skb_vlan_pop(skb) ? -DOVE_ENCAP_FAILED : 0;
}

/* The labels, and the tag, of the packet's path. */
static __noinline int labels_push(struct __sk_buff *skb, const struct packet *p, struct dove_qos *q)
{
	__be16 type = bpf_htons(ETH_P_MPLS_UC);
	/* There are 1 to 4: a mask, for the verifier, as in qos_id(). */
	__u32 len = (((q->n_laid - 1) & (DOVE_LAID_MAX - 1)) + 1) * sizeof(__be32);

	if (bpf_skb_adjust_room(skb, len, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_NO_CSUM_RESET) ||
	    bpf_skb_store_bytes(skb, sizeof(struct ethhdr), q->labels, len, 0) ||
	    bpf_skb_store_bytes(skb, __builtin_offsetof(struct ethhdr, h_proto), &type, sizeof(type), 0))
		return -DOVE_ENCAP_FAILED;
	return labels_protocol(skb, p->vlan);
}

#endif
