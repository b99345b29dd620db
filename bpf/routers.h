/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Paths on the underlay that lead by routers: a header for each of them before
 * the outer one, IP in IP (RFC 2003, RFC 2473), the first router's outermost.
 * Each takes off its own and routes what is inside to the next one, the last
 * one the packet as it would have left without them, to its host.
 */
#ifndef DOVE_BPF_ROUTERS_H
#define DOVE_BPF_ROUTERS_H

#include "maps.bpf.h"
#include "packet.h"
#include "tunnel.h"

/* What each header has of the outer one, as copied from there: marks, DF, time to live, our address, flow label. */
static __noinline int routers_push4(struct __sk_buff *skb, struct dove_qos *q)
{
	__u32 n = ((q->n_laid - 1) & (DOVE_LAID_MAX - 1)) + 1, len = n * sizeof(struct iphdr), left;
	struct iphdr *outer, *ip;
	void *data, *end;

	if (bpf_skb_adjust_room(skb, len, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_NO_CSUM_RESET))
		return -DOVE_ENCAP_FAILED;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	outer = data + sizeof(struct ethhdr) + len;
	left = skb->len - (__u32)sizeof(struct ethhdr);
	if ((void *)(outer + 1) > end)
		return -DOVE_ENCAP_FAILED;
	for (__u32 i = 0; i < DOVE_LAID_MAX && i < n; i++, left -= sizeof(*ip)) {
		/* Or the address is what is counted, and the verifier misses its bound. */
		barrier_var(i);
		ip = data + sizeof(struct ethhdr) + i * sizeof(*ip);
		if ((void *)(ip + 1) > end)
			return -DOVE_ENCAP_FAILED;
		*ip = *outer;
		ip->protocol = IPPROTO_IPIP;
		ip->tot_len = bpf_htons(left);
		ip->daddr = ip_to_v4(&q->routers[i]);
		ip->check = 0;
		ip->check = checksum(ip, sizeof(*ip));
	}
	return 0;
}

static __noinline int routers_push6(struct __sk_buff *skb, struct dove_qos *q)
{
	__u32 n = ((q->n_laid - 1) & (DOVE_LAID_MAX - 1)) + 1, len = n * sizeof(struct ipv6hdr), left;
	struct ipv6hdr *outer, *ip;
	void *data, *end;

	if (bpf_skb_adjust_room(skb, len, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_NO_CSUM_RESET))
		return -DOVE_ENCAP_FAILED;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	outer = data + sizeof(struct ethhdr) + len;
	left = skb->len - (__u32)sizeof(struct ethhdr);
	if ((void *)(outer + 1) > end)
		return -DOVE_ENCAP_FAILED;
	for (__u32 i = 0; i < DOVE_LAID_MAX && i < n; i++) {
		barrier_var(i);
		ip = data + sizeof(struct ethhdr) + i * sizeof(*ip);
		if ((void *)(ip + 1) > end)
			return -DOVE_ENCAP_FAILED;
		left -= sizeof(*ip);
		*ip = *outer;
		ip->nexthdr = IPPROTO_IPV6;
		ip->payload_len = bpf_htons(left);
		__builtin_memcpy(&ip->daddr, &q->routers[i], sizeof(ip->daddr));
	}
	return 0;
}

#endif
