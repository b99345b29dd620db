/* SPDX-License-Identifier: Apache-2.0 */
/* A second, naive evaluation of the policies: by names, and without any of dps/resolve.c. */
#ifndef UNIT_DPS_NAIVE_H
#define UNIT_DPS_NAIVE_H

#include "dps_world.h"

struct decision {
	bool allow;
	bool reject;   /* denied, and the sender is told */
	bool denied;   /* a policy says so, or the networks are not joined */
	bool reply;    /* every policy that decided lets replies pass */
	bool remember; /* and they would not pass anyway */
	uint32_t policy;
	char path[256];
	int dscp;
};

struct decision naive_decide(struct world *w, const struct endpoint *from, const struct endpoint *to,
			     const struct flow_box *packet);

/* naive_may_reply() - has each network concerned a policy that lets packets of the pair pass, and replies? */
bool naive_may_reply(struct world *w, const struct endpoint *from, const struct endpoint *to);

/* naive_find() - whom an address (no link-local one) means to a source of this network, or NULL. */
const struct endpoint *naive_find(struct world *w, const struct network *net, const struct ip_addr *addr);

/* naive_beyond() - the external network of this one that the address would be in, endpoints apart. */
const struct endpoint *naive_beyond(struct world *w, const struct network *net, const struct ip_addr *addr);

/* naive_is_gateway() - is it a gateway's, where naive_find() finds nobody? */
bool naive_is_gateway(struct world *w, const struct network *net, const struct ip_addr *addr);

/* naive_same() - the same verdict and, where it allows, services. */
bool naive_same(const struct decision *a, const struct decision *b);

/* naive_add() - a service to a path, unless it is there. */
void naive_add(char *path, const char *service);

#endif
