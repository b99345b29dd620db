/* SPDX-License-Identifier: GPL-2.0 */
/* Who sent it: known from the interface, never from what the packet claims. */
#ifndef DOVE_SENDER_H
#define DOVE_SENDER_H

#include "flow.h"
#include "maps.bpf.h"
#include "packet.h"
#include "route.h"
#include "rows.h"

/*
 * The address must be one of those that the agent entered for this port, the
 * MAC that of the endpoint which has the address.
 */
static __always_inline int sender_is(const struct dove_addr *known, const __u8 *mac, struct packet *p)
{
	if (!known)
		return -DOVE_SPOOFED_IP;
	if (!mac_equal(known->mac, mac))
		return -DOVE_SPOOFED_MAC;
	p->source = known->endpoint;
	p->gateway = known->gateway;
	return 0;
}

/* Of what asks for addresses, which is rare. */
static __always_inline int sender_speaks_with(const struct dove_ip *addr, const __u8 *mac, struct packet *p)
{
	struct dove_addr_key key = { .addr = *addr, .vnid = p->source_vnid, .ifindex = p->ifindex };

	return sender_is(bpf_map_lookup_elem(&dove_addrs, &key), mac, p);
}

/* The port's network, and its MAC on the frame itself. */
static __always_inline int sender_port(const struct dove_port *port, struct packet *p)
{
	p->source_vnid = port->vnid;
	p->vnid = port->vnid;
	p->source = port->endpoint;
	return mac_equal(port->mac, p->smac) ? 0 : -DOVE_SPOOFED_MAC;
}

/* Where the packet was going that an ICMP error speaks of. */
static __always_inline int quoted_destination(struct __sk_buff *skb, const struct packet *p,
					      struct dove_ip *dst)
{
	__u32 at = sizeof(struct ethhdr) + p->l3_len + 8;
	__be32 v4 = 0;

	if (p->eth_proto == bpf_htons(ETH_P_IPV6))
		return bpf_skb_load_bytes(skb, at + offsetof(struct ipv6hdr, daddr), dst, sizeof(*dst));
	if (bpf_skb_load_bytes(skb, at + offsetof(struct iphdr, daddr), &v4, sizeof(v4)))
		return -1;
	*dst = ip_from_v4(v4);
	return 0;
}

/*
 * The host's kernel, for an external network: with that network's addresses
 * alone, and to no more than one. A router on the way there, the host itself
 * among them, has any address: what its error speaks of was sent there.
 */
static __always_inline int sender_external(struct __sk_buff *skb, const struct packet *p)
{
	struct dove_ip beyond = p->src;

	if (p->dmac[0] & 1)
		return -DOVE_MULTICAST;
	if (is_icmp_error(p) && quoted_destination(skb, p, &beyond))
		return -DOVE_TRUNCATED;
	return prefix_external(p->source_vnid, &beyond) == p->source ? 0 : -DOVE_SPOOFED_IP;
}

/*
 * An IP packet's sender. Who asks for an address has none yet (DHCP, RFC 2131;
 * MLD, RFC 3590) and says so to many at once; the port tells who it is. A
 * global function: its stack is its own.
 */
__noinline int sender_check(struct __sk_buff *skb, const struct dove_port *port, struct packet *p)
{
	struct dove_addr_key key;

	if (!port || !p)
		return -DOVE_NO_PORT;
	if (port->kind == DOVE_PORT_EXTERNAL)
		return sender_external(skb, p);
	if (unlikely(p->dmac[0] & 1 && ip_is_unspecified(&p->src)))
		return 0;
	key = (struct dove_addr_key){ .addr = p->src, .vnid = p->source_vnid, .ifindex = p->ifindex };
	return sender_is(addr_find(&key, p), p->smac, p);
}

#endif
