/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs that were here and have left (dove_moved). While nobody has said where
 * to, packets for them wait here; then they are sent on, and the programs send
 * on what still comes (bpf/relay.h), for as long as old translations are about.
 */
#ifndef DOVE_MOVED_H
#define DOVE_MOVED_H

#include "agent.h"

struct moved_counters {
	uint64_t waited;  /* packets that came before it was known where to */
	uint64_t sent_on; /* of those */
	uint64_t dropped; /* of those: in vain, or no room */
	uint64_t asked;	  /* questions to the service */
};

int moved_open(struct agent *a, struct moved **out, struct error *err);
void moved_close(struct moved *m);

/* moved_left() - the VM with these addresses has left its port here, for nobody knows where. */
void moved_left(struct moved *m, uint32_t vnid, const struct ip_addr *addrs, int n);

/*
 * moved_to() - it is on the host with that underlay address now, since that
 * revision of its network. NULL: on none that there is a way to, or on none.
 */
void moved_to(struct moved *m, uint32_t vnid, const struct ip_addr *addr, const struct ip_addr *host,
	      uint64_t revision);

/* moved_here() - somebody with that address is here (again). */
void moved_here(struct moved *m, uint32_t vnid, const struct ip_addr *addr);

/* moved_take() - a packet from the underlay that came up for one of them (DOVE_HELD_MOVED). */
void moved_take(struct moved *m, const struct dove_held *held);

/* moved_next_hop() - the way to a host has been found. */
void moved_next_hop(struct moved *m);

const struct moved_counters *moved_counters(const struct moved *m);

#endif
