/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The gateway that every VM has on its own host. It has no place and no state:
 * what is sent to its MAC gets a shorter life and a new sender's MAC, and goes
 * straight to where the destination is.
 */
#ifndef DOVE_ROUTE_H
#define DOVE_ROUTE_H

#include "maps.bpf.h"
#include "packet.h"

static const __u8 gateway_mac[6] __attribute__((aligned(8))) = DOVE_GATEWAY_MAC;

/* The external network that has the address, longest prefix first; 0: it is inside, or nobody's. */
static __always_inline __u32 prefix_external(__u32 vnid, const struct dove_ip *addr)
{
	struct dove_prefix_key key = { .bits = 8 * (sizeof(key.vnid) + sizeof(key.addr)),
				       .vnid = bpf_htonl(vnid),
				       .addr = *addr };
	struct dove_prefix *prefix = bpf_map_lookup_elem(&dove_prefixes, &key);

	return prefix ? prefix->external : 0;
}

/* What stands for an external network where an address is asked for. */
static __always_inline struct dove_ip external_ip(__u32 external)
{
	return (struct dove_ip){ .w = { bpf_htonl(DOVE_EXTERNAL_WORD), 0, 0, bpf_htonl(external) } };
}

/* What the service is asked for: the address, or the external network that has it. */
static __always_inline struct dove_ip route_target(const struct packet *p)
{
	return p->external ? external_ip(p->external) : p->dst;
}

/* Is the packet for the gateway to route, and where does it lead? */
static __always_inline void route_begin(struct packet *p)
{
	if (likely(!p->to_gateway && !mac_equal(p->dmac, gateway_mac)))
		return;
	p->to_gateway = true;
	p->external = prefix_external(p->source_vnid, &p->dst);
}

/* The last hop of its life: a router does not pass it on (RFC 1812, 5.3.1; RFC 8200, 3). */
static __always_inline bool route_ends(const struct packet *p)
{
	return p->to_gateway && p->ttl <= 1;
}

/* One hop less to live; the IPv4 header's checksum follows (RFC 1624). `before` bytes precede the VM's frame. */
static __always_inline int route_hop(struct __sk_buff *skb, struct packet *p, const __u32 before)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ipv6hdr *ip6 = data + before + sizeof(struct ethhdr);
	struct iphdr *ip4 = data + before + sizeof(struct ethhdr);
	__u32 check;

	if (p->eth_proto == bpf_htons(ETH_P_IPV6)) {
		if ((void *)(ip6 + 1) > end)
			return -DOVE_TRUNCATED;
		ip6->hop_limit--;
	} else {
		if ((void *)(ip4 + 1) > end)
			return -DOVE_TRUNCATED;
		ip4->ttl--;
		check = ip4->check + bpf_htons(0x0100);
		ip4->check = check + (check >= 0xffff);
	}
	__builtin_memcpy(p->smac, gateway_mac, sizeof(p->smac));
	return 0;
}

#endif
