/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets from hosts that nobody has named to this one: another authority's,
 * which no watch of ours tells of. They wait, few of them and not for long,
 * until it has been found out whether their VM is at that host, as its own
 * authority signs it, or else whether it has an instance of a service that they
 * have come by. Then it is known for a while (underlay_guest()).
 */
#ifndef DOVE_STRANGERS_H
#define DOVE_STRANGERS_H

#include "agent.h"

struct strangers_counters {
	uint64_t asked;	  /* hosts that were asked about */
	uint64_t known;	  /* that turned out to be some */
	uint64_t dropped; /* packets of those that did not, or above a bound */
};

int strangers_open(struct agent *a, struct strangers **out, struct error *err);
void strangers_close(struct strangers *s);

/* strangers_take() - a packet from the underlay at the agent's. False: its host is known, and the packet another room's. */
bool strangers_take(struct strangers *s, const struct dove_held *held);

const struct strangers_counters *strangers_counters(const struct strangers *s);

#endif
