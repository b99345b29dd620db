/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flows that replies rest on (dove_flows). The programs make and use them;
 * here is what they can't do: ask the service whether a flow still holds, when
 * a floor has risen since it was last let through, and pass a VM's flows on
 * to the host that it has moved to.
 */
#ifndef DOVE_FLOWS_H
#define DOVE_FLOWS_H

#include "agent.h"

struct flows_counters {
	uint64_t asked;	   /* whether a flow still holds */
	uint64_t ended;	   /* it did not */
	uint64_t sent;	   /* passed on to another host */
	uint64_t received; /* taken over from one */
	uint64_t dropped;  /* packets that waited in vain, or found no room to wait */
};

int flows_open(struct agent *a, struct flows **out, struct error *err);
void flows_close(struct flows *f);

/* flows_take() - a reply that came up (DOVE_HELD_FLOW). */
void flows_take(struct flows *f, const struct dove_held *held);

/* flows_move() - the endpoint, which was here, is on the host with that underlay address now. */
void flows_move(struct flows *f, uint32_t endpoint, const struct ip_addr *host);

/*
 * flows_receive() - another host says that this flow was let through to an
 * endpoint that is here now. It is only as good as the service's word, which
 * is asked for when the first reply comes.
 */
void flows_receive(struct flows *f, const struct dove_flow_key *key, const struct dove_flow *flow);

const struct flows_counters *flows_counters(const struct flows *f);

#endif
