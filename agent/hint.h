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
 * By configuration ("attach") it carries what holds now, as its authority
 * signed it (docs/translations.md):
 *
 *   15 the body (bytes)   16 key id, a text   17 signature (64 bytes)
 *
 * The receiver puts that in the place of the older one that it holds, if it
 * knows the key (agent/trust.h). Unsigned, or under a signature that it can't
 * believe, the message is a hint and nothing more: it can make the receiver ask
 * the service for a translation that it holds and that is older than "least
 * that will do". It is taken from known hosts only, and so many a second from
 * each. docs/control-message.md has the whole of it.
 */
#ifndef DOVE_HINT_H
#define DOVE_HINT_H

#include "agent.h"

struct hint_counters {
	uint64_t sent, received;
	uint64_t asked;	     /* the service, for what to attach */
	uint64_t attached;   /* sent with a signed translation */
	uint64_t stored;     /* translations that were taken over from one */
	uint64_t distrusted; /* signatures that were not believed */
	uint64_t useless;    /* about nothing that we hold, or nothing newer */
	uint64_t refused;    /* not a message, or not from a known host */
	uint64_t limited;
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

/* One that takes more than a datagram carries anywhere is not attached. */
#define HINT_DATAGRAM_MAX 1200
#define HINT_BODY_MAX 960

struct hint_signed {
	size_t len; /* of the body; 0: there is none */
	uint8_t body[HINT_BODY_MAX];
	char key[17];
	uint8_t sig[64];
};

struct hint_message {
	struct dove_event ev;
	struct hint_signed signature;
	struct dove_ip src; /* of HINT_FLOW, as is the next */
	uint32_t peer;
};

/* hint_write() - the datagram for what is sent (stale, refused, moved, unknown, HINT_FLOW); its length, 0: no room. */
size_t hint_write(const struct hint_message *m, uint8_t *buf, size_t size);

/* hint_parse() - a datagram's content; -EINVAL when it is not exactly such a map. */
int hint_parse(const void *data, size_t len, struct hint_message *out);

#endif
