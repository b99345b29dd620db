/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What routers of the underlay say of the way to a host (RFC 1191, RFC 8201):
 * our packets are never fragmented, so one that is too large for some link ends
 * there, and the router tells. The kernel does not keep it for us, for no
 * socket of its own has sent the packet.
 */
#ifndef DOVE_PMTU_H
#define DOVE_PMTU_H

#include "agent.h"

/* Whose packet it was that the message tells of: for a host, or for a router of its path (bpf/routers.h). */
enum pmtu_of { PMTU_HOST = 0, PMTU_ROUTER = 1 };

int pmtu_open(struct agent *a, struct pmtu **out, struct error *err);
void pmtu_close(struct pmtu *p);

/*
 * pmtu_parse() - an ICMP (v6: ICMPv6) message, from its type on, len bytes:
 * PMTU_HOST when it says that a Geneve packet of ours was too large, PMTU_ROUTER
 * one of ours within IP. *from and *to:
 * that packet's addresses; *mtu: what the link takes, bytes of IP, 576 (IPv6: 1280) to 65535.
 * -ENOMSG: it says something else.
 */
int pmtu_parse(const uint8_t *icmp, size_t len, bool v6, struct ip_addr *from, struct ip_addr *to,
	       uint32_t *mtu);

#endif
