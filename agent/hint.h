/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control message between agents, UDP port 6082: "what you sent me was
 * sent under an old policy". One datagram, CBOR (RFC 8949), a map:
 *
 *   1 version (1)         5 sequence seen           9 the packet was delivered (bool)
 *   2 reason, a text      6 least that will do     10 protocol
 *   3 VNID                7 destination (16 bytes) 11 source port
 *   4 policy id           8 source endpoint id     12 destination port
 *
 * With the reason "flow" it is not about a packet: "replies of this endpoint,
 * which has moved to you, were let through because of a flow" (agent/flows.h).
 * Then 5 is the flow's revision, 7 to 12 are the reply's, and there are two more:
 *
 *   13 the reply's source (16 bytes)   14 endpoint id of the one that began the flow
 *
 * Unsigned, it is a hint and nothing more: it can make the receiver ask the
 * service for a translation that it holds and that is older than "least that
 * will do". It is taken from known hosts only, and only so many a second.
 */
#ifndef DOVE_HINT_H
#define DOVE_HINT_H

#include "agent.h"

struct hint_counters {
	uint64_t sent, received, useless, refused, limited;
};

int hint_open(struct agent *a, struct hint **out, struct error *err);
void hint_close(struct hint *h);

/* hint_send() - tell the origin of a packet; nothing for packets of this host, or where hints are off. */
void hint_send(struct hint *h, const struct dove_event *ev);

/* hint_flow() - pass a flow on to the host that its endpoint has moved to. */
void hint_flow(struct hint *h, const struct ip_addr *host, const struct dove_flow_key *key,
	       const struct dove_flow *flow);

const struct hint_counters *hint_counters(const struct hint *h);

#define HINT_FLOW 100 /* in the place of an event's type */

struct hint_message {
	struct dove_event ev;
	struct dove_ip src; /* of HINT_FLOW, as is the next */
	uint32_t peer;
};

/* hint_write() - the datagram for what is sent (stale, refused, moved, unknown, HINT_FLOW); its length, 0: no room. */
size_t hint_write(const struct hint_message *m, uint8_t *buf, size_t size);

/* hint_parse() - a datagram's content; -EINVAL when it is not exactly such a map. */
int hint_parse(const void *data, size_t len, struct hint_message *out);

#endif
