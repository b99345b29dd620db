/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hosts of the underlay: who is known (dove_hosts, which ingress holds
 * senders to), and, for those that we send to, the next hop: device, source,
 * neighbour, kept current by rtnetlink.
 */
#ifndef DOVE_UNDERLAY_H
#define DOVE_UNDERLAY_H

#include "agent.h"

int underlay_open(struct agent *a, struct underlay **out, struct error *err);
void underlay_close(struct underlay *u);

/* underlay_host() - a host that the service names, under one of its addresses. */
void underlay_host(struct underlay *u, uint32_t id, const char *name, const struct ip_addr *addr);

/*
 * underlay_guest() - another authority's host, of which no watch tells: known until then (clock_now()), and for longer
 * where a watch names it. name NULL: that is not known.
 */
void underlay_guest(struct underlay *u, const char *name, const struct ip_addr *addr, uint64_t until);

/* underlay_begin(), underlay_end(): the hosts named between the two are all there are; the rest go. */
void underlay_begin(struct underlay *u);
void underlay_end(struct underlay *u);

/* underlay_only() - a host has these addresses and no others any more; with n 0 it is gone. */
void underlay_only(struct underlay *u, uint32_t id, const struct ip_addr *addrs, int n);

/* underlay_self() - our own underlay addresses, all of them; what was ours before goes. */
void underlay_self(struct underlay *u, const struct ip_addr *addrs, int n);

/* underlay_serving() - the addresses of all hosts that have instances of services. */
void underlay_serving(struct underlay *u, const struct ip_addr *addrs, int n);

/*
 * underlay_need() - find the next hop to a host and keep it; true when packets
 * can go there now. Where not yet, miss_next_hop() is told when they can.
 */
bool underlay_need(struct underlay *u, const struct ip_addr *addr);

/*
 * underlay_router() - find the next hop to the first router of a path, and keep it for as long as an answer may
 * hold that leads by it. Nothing for a family that this host has no address of. Where it is not found yet,
 * miss_next_hop() is told when it is.
 */
void underlay_router(struct underlay *u, const struct ip_addr *addr);

/*
 * underlay_choose() - of a host's addresses, a JSON list of texts, the first
 * of a family that this host has an address of; -ENOENT when there is none.
 */
int underlay_choose(const struct underlay *u, const cJSON *addresses, struct ip_addr *out);

/*
 * underlay_path_mtu() - a router on the way to a host says that its next link
 * takes so many bytes. Believed of hosts that we know, and that we send to, for
 * ten minutes (RFC 1191, 6.3). underlay_router_mtu() - the same of the way to a path's first router.
 */
void underlay_path_mtu(struct underlay *u, const struct ip_addr *addr, uint32_t mtu);
void underlay_router_mtu(struct underlay *u, const struct ip_addr *addr, uint32_t mtu);

/* underlay_refresh() - look at all next hops again, soon: something about the underlay changed. */
void underlay_refresh(struct underlay *u);

bool underlay_is_self(const struct underlay *u, const struct ip_addr *addr);
bool underlay_knows(const struct underlay *u, const struct ip_addr *addr);

/* underlay_name() - of the host with that address, "?" when not known. */
const char *underlay_name(const struct underlay *u, const struct ip_addr *addr);

/* underlay_show() - the hosts as a JSON list, underlay_routers() - first routers of paths; the caller's. */
cJSON *underlay_show(const struct underlay *u);
cJSON *underlay_routers(const struct underlay *u);

#endif
