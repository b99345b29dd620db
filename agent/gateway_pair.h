/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pair of devices of one external network, its routes, and what the data
 * path knows of it: the port in dove_ports, the place in dove_local.
 */
#ifndef DOVE_GATEWAY_PAIR_H
#define DOVE_GATEWAY_PAIR_H

#include "agent.h"
#include "loader/rtnl.h"

struct gateway_pair {
	uint16_t number;	       /* N of gateway_nft.h */
	uint32_t vnid, id;	       /* of the external network; 0: not known */
	uint64_t sequence, floor;      /* as of an endpoint */
	struct rtnl_link device, port; /* dvxN, dvpN; ifindex 0: not there */
	bool placed;		       /* VMs' packets find it */
};

/* gateway_pair_named() - number N's pair, of which nothing is there yet. */
struct gateway_pair gateway_pair_named(uint16_t number);

/*
 * gateway_pair_adopt() - is the device of that name one end of a pair of an
 * earlier agent's? Then *out is it; of whose network stands in its port's row.
 */
bool gateway_pair_adopt(const struct agent *a, const char *device, struct gateway_pair *out);

/*
 * gateway_pair_up() - make it as it should be, whatever of it is there: with
 * routes to these subnets, and taking packets of mtu bytes. nftables watches
 * over its number already. 0 or -errno.
 */
int gateway_pair_up(const struct agent *a, struct gateway_pair *p, const struct ip_prefix *subnets, int n,
		    uint32_t mtu, struct error *err);

/* gateway_pair_place() - enter sequence and floor as they are now. 0 or -errno. */
int gateway_pair_place(const struct agent *a, struct gateway_pair *p);

/* gateway_pair_lost() - one of its devices has gone: take back what was said of them. */
void gateway_pair_lost(const struct agent *a, struct gateway_pair *p);

/* gateway_pair_down() - take it away, with its routes and its connections. */
void gateway_pair_down(const struct agent *a, struct gateway_pair *p);

bool gateway_pair_has(const struct gateway_pair *p, int ifindex);

#endif
