/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets what a VM sends to many. A broadcast or multicast for which the
 * kernel has no list comes up whole, and waits. The list is made for its
 * sender, protocol and ports: at the sender's host of the network's other
 * hosts (POST /v1/members) and of the ports here, at a receiving host of the
 * ports here alone; each port is on it only if the service's answer for the
 * pair lets the packet through. Then the waiting ones go on.
 */
#ifndef DOVE_GROUP_ROOM_H
#define DOVE_GROUP_ROOM_H

#include "agent.h"

struct group_counters {
	uint64_t lists;	  /* made */
	uint64_t dropped; /* packets that waited in vain, or found no room to wait */
};

int group_open(struct agent *a, struct group **out, struct error *err);
void group_close(struct group *g);

/* group_take() - a packet that came up, with held->group set. */
void group_take(struct group *g, const struct dove_held *held);

const struct group_counters *group_counters(const struct group *g);

#endif
