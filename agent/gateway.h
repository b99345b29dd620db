/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The external networks whose gateway this host is.
 *
 *   VMs -- data path -- dvpN | dvxN -- this host's routing, nftables -- outside
 *
 * Each has a pair of devices. What VMs send there comes up at dvxN as from a
 * wire, and this host's kernel routes and masquerades it. What belongs to them
 * on its way back wears N's mark, which leads to a routing table with the
 * network's own subnets, and so into dvxN; dvpN takes it, as a port of kind
 * DOVE_PORT_EXTERNAL, into the data path. What N is, and all that nftables has
 * to do with it, stands in gateway_nft.h; what else of the host, in gateway_host.h.
 *
 * The kernel remembers: names of devices and dove_ports say which N is whose,
 * so an agent that comes back finds all of it, and flows go on meanwhile. Work
 * is done by one function that makes things as they should be, soon after what
 * should be has changed, and again after a failure.
 */
#ifndef DOVE_GATEWAY_H
#define DOVE_GATEWAY_H

#include "agent.h"
#include "ports.h"

int gateway_open(struct agent *a, struct gateway **out, struct error *err);
void gateway_close(struct gateway *g);

/*
 * gateway_update() - what the watch says of a network: its list "externals",
 * where it is in the frame, and with it "subnets", both complete.
 */
void gateway_update(struct gateway *g, uint32_t vnid, const char *network, const cJSON *json);

/* gateway_drop() - the network is served here no more. */
void gateway_drop(struct gateway *g, uint32_t vnid);

/* gateway_settle() - a snapshot is complete: what no update has named is an earlier agent's, and goes. */
void gateway_settle(struct gateway *g);

/* gateway_refresh() - underlay devices have come, gone or changed. */
void gateway_refresh(struct gateway *g);

/* gateway_device_gone() - if it was one of ours it is made again. */
void gateway_device_gone(struct gateway *g, int ifindex);

/* gateway_leave() - take everything away, for a host that has nothing attached any more. */
void gateway_leave(struct gateway *g);

/* gateway_refuses() - is the device one of ours? Then a command that wants it is told so. */
bool gateway_refuses(const struct gateway *g, int ifindex, struct request *rq);

/* gateway_device() - by which the external network's packets come to the kernel; "?" where it is not here. */
const char *gateway_device(const struct gateway *g, uint32_t id);

/* gateway_view() - as ports_view(). It has no addresses: whoever asks says as whom it speaks. */
int gateway_view(const struct gateway *g, const char *port, struct port_view *out);

/* gateway_show() - the external networks as a JSON list; gateway_show_ports() - their ports, added to ports_show()'s. */
cJSON *gateway_show(const struct gateway *g);
void gateway_show_ports(const struct gateway *g, cJSON *list);
/* gateway_show_forwarding() - {"ipv4": does this host forward, "ipv6"}. */
cJSON *gateway_show_forwarding(void);

/* gateway_save(), gateway_restore() - as kept in the run directory: what the host's settings were before. */
cJSON *gateway_save(const struct gateway *g);
void gateway_restore(struct gateway *g, const cJSON *saved);

#endif
