/* SPDX-License-Identifier: GPL-2.0 */
/* Who sent it: known from the interface, never from what the packet claims. */
#ifndef DOVE_SENDER_H
#define DOVE_SENDER_H

#include "maps.bpf.h"
#include "packet.h"

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

#endif
