/* SPDX-License-Identifier: GPL-2.0 */
/* Who sent it: known from the interface, never from what the packet claims. */
#ifndef DOVE_SENDER_H
#define DOVE_SENDER_H

#include "maps.bpf.h"
#include "packet.h"
#include "route.h"

/*
 * The address must be one of those that the agent entered for this port, the
 * MAC that of the endpoint which has the address.
 */
static __always_inline int sender_speaks_with(const struct dove_ip *addr, const __u8 *mac, struct packet *p)
{
	struct dove_addr_key key = { .addr = *addr, .vnid = p->source_vnid, .ifindex = p->ifindex };
	struct dove_addr *known = bpf_map_lookup_elem(&dove_addrs, &key);

	if (!known)
		return -DOVE_SPOOFED_IP;
	if (!mac_equal(known->mac, mac))
		return -DOVE_SPOOFED_MAC;
	p->source = known->endpoint;
	p->gateway = known->gateway;
	return 0;
}

/* The port's network, and its MAC on the frame itself. */
static __always_inline int sender_port(const struct dove_port *port, struct packet *p)
{
	p->source_vnid = port->vnid;
	p->vnid = port->vnid;
	p->source = port->endpoint;
	return mac_equal(port->mac, p->smac) ? 0 : -DOVE_SPOOFED_MAC;
}

/* The host's kernel, for an external network: with that network's addresses alone, and to no more than one. */
static __always_inline int sender_external(const struct packet *p)
{
	if (p->dmac[0] & 1)
		return -DOVE_MULTICAST;
	return prefix_external(p->source_vnid, &p->src) == p->source ? 0 : -DOVE_SPOOFED_IP;
}

/*
 * An IP packet's sender. Who asks for an address has none yet (DHCP, RFC 2131;
 * MLD, RFC 3590) and says so to many at once; the port tells who it is.
 */
static __always_inline int sender_check(const struct dove_port *port, struct packet *p)
{
	if (port->kind == DOVE_PORT_EXTERNAL)
		return sender_external(p);
	if (unlikely(p->dmac[0] & 1 && ip_is_unspecified(&p->src)))
		return 0;
	return sender_speaks_with(&p->src, p->smac, p);
}

#endif
