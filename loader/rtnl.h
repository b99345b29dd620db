/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What DOVE asks of and tells rtnetlink(7): links, addresses, routes and
 * neighbours of the network namespace that it runs in. All calls block for
 * the kernel's answer, return 0 or -errno, and leave *out alone on failure.
 */
#ifndef DOVE_RTNL_H
#define DOVE_RTNL_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/addr.h"

struct rtnl_link {
	int ifindex;
	int master; /* ifindex of the bridge it is a member of, else 0 */
	bool up;
	bool carrier;	     /* somebody is at the other end */
	bool peer_elsewhere; /* its peer (veth) is in another network namespace */
	uint32_t mtu;
	uint64_t received; /* packets, since the device is there */
	struct mac_addr mac;
	char name[IF_NAMESIZE];
	char kind[16];	      /* "veth", "bridge", "tun", ...; "" for hardware */
	char member_kind[16]; /* kind of the master, "" without one */
};

struct rtnl_route {
	int ifindex;
	struct ip_addr next_hop; /* the gateway, or the destination itself */
	struct ip_addr source;
	uint32_t mtu; /* 0: the device's */
};

int rtnl_link_by_name(const char *name, struct rtnl_link *out); /* -ENODEV where there is none */
int rtnl_link_by_index(int ifindex, struct rtnl_link *out);

/* rtnl_addrs() - global addresses of an interface, at most `max`; returns how many. */
int rtnl_addrs(int ifindex, struct ip_addr *out, int max);

/* rtnl_route_get() - as `ip route get`: -ENETUNREACH and the like where there is no way. */
int rtnl_route_get(const struct ip_addr *dst, struct rtnl_route *out);

/* rtnl_neigh_get() - the link-layer address of a neighbour: -EAGAIN while it is being resolved. */
int rtnl_neigh_get(int ifindex, const struct ip_addr *addr, struct mac_addr *out);

/*
 * rtnl_neigh_keep() - have the kernel resolve the neighbour and keep it so
 * (NTF_EXT_MANAGED, Linux 5.16); where it can't, ask it once to resolve.
 */
int rtnl_neigh_keep(int ifindex, const struct ip_addr *addr);

/*
 * rtnl_bridge_member_set() - close a bridge member off from the others:
 * isolated, nothing learned from it, nothing flooded to it; or undo that.
 */
int rtnl_bridge_member_set(int ifindex, bool closed);

/* rtnl_link_no_addresses() - the kernel gives the device no IPv6 address by itself. */
int rtnl_link_no_addresses(int ifindex);
int rtnl_link_up(int ifindex);
int rtnl_link_mtu(int ifindex, uint32_t mtu);
int rtnl_link_delete(int ifindex);

/*
 * rtnl_tunnel_add() - a "geneve" or "vxlan" device that takes what comes to
 * the UDP port (host byte order) for any network. -EOPNOTSUPP: not in this kernel.
 */
int rtnl_tunnel_add(const char *name, const char *kind, uint16_t port);

/* rtnl_veth_add() - a pair, both ends here and down; the first end has the MAC, and resolves no neighbours (NOARP). */
int rtnl_veth_add(const char *name, const struct mac_addr *mac, const char *peer, uint32_t mtu);

/*
 * rtnl_pacing_queue() - how many packets of one flow the device's queueing
 * discipline holds until their departure times: fq, alone or as all of mq's.
 * 0: it does not hold any, or that is not known.
 */
uint32_t rtnl_pacing_queue(int ifindex);

/* rtnl_clsact_add() - returns 0 when it was made now, -EEXIST when one was there. */
int rtnl_clsact_add(int ifindex);
int rtnl_clsact_del(int ifindex);
/* rtnl_clsact_in_use() - does a filter hang on either side of it? */
bool rtnl_clsact_in_use(int ifindex);

/*
 * rtnl_monitor_open() - a non-blocking netlink socket that becomes readable
 * when links, addresses, routes or neighbours change. The caller closes it.
 */
int rtnl_monitor_open(void);

enum rtnl_change {
	RTNL_LINK,	/* ifindex: a link changed */
	RTNL_LINK_GONE, /* ifindex: it is no more */
	RTNL_QDISC,	/* ifindex: how it queues changed */
	RTNL_PATH,	/* addresses, routes or neighbours changed: look again */
};

/* rtnl_monitor_read() - call `on` for every change that waits; after an overrun RTNL_PATH and
 * RTNL_QDISC with ifindex 0. */
void rtnl_monitor_read(int fd, void (*on)(enum rtnl_change what, int ifindex, void *arg), void *arg);

#endif
