/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets from the underlay that this host cannot judge by what it has watched
 * (DOVE_HELD_UNKNOWN), or must not deliver under the policy that they were
 * sent by (DOVE_HELD_REFUSED). The service is asked, once for all that have
 * the same question, and says that it still holds, or what holds now. Then
 * they are delivered under that, where it lets them and the VM is here.
 */
#ifndef DOVE_CHECK_H
#define DOVE_CHECK_H

#include "agent.h"

struct check_counters {
	uint64_t asked;
	uint64_t current;   /* packets whose policy still held */
	uint64_t forwarded; /* packets delivered under the new answer */
	uint64_t dropped;   /* packets that it did not let, or that waited in vain, or found no room */
};

int check_open(struct agent *a, struct check **out, struct error *err);
void check_close(struct check *c);

/* check_take() - such a packet, as it came up. */
void check_take(struct check *c, const struct dove_held *held);

/* check_json() - /v1/check's question about a packet from the underlay. */
cJSON *check_json(const struct agent *a, const struct dove_held *held);

const struct check_counters *check_counters(const struct check *c);

#endif
