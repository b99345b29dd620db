/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that cost more than they are worth. evhttp's own timeouts measure
 * idleness, so that who sends a byte now and then keeps its place for ever.
 * Here each connection has an absolute time to bring a whole request, its TLS
 * handshake included; then as long as an answer takes; then to be idle. And
 * there are only so many of one address, and in all, and only so many bytes of
 * requests that are not whole.
 *
 * A connection over its bound is shut down, which evhttp then sees as its end.
 * All but guard_open() take NULL for a guard: nothing is bounded then, or counted.
 */
#ifndef DPS_GUARD_H
#define DPS_GUARD_H

#include <event2/bufferevent.h>
#include <event2/http.h>
#include <stddef.h>
#include <stdint.h>

#define GUARD_REQUEST_SECONDS 10 /* from a request's first byte, or the connection's, to its last */
#define GUARD_RATE (64 << 10)	 /* bytes a second that a longer body must bring beyond that */
#define GUARD_IDLE_SECONDS 300	 /* between requests: agents keep connections open */
#define GUARD_CONNECTIONS 8192	 /* in all */
#define GUARD_PER_PEER 2048	 /* from one address: hosts behind one, 17 connections of an agent each */
#define GUARD_BYTES ((size_t)256 << 20) /* of requests that are not whole, in all: then the largest goes */

struct guard_counters {
	uint64_t accepted, slow, idle, crowded, large; /* connections; the last four: shut down, and why */
};

struct guard;

/* guard_open() - looks at its connections once a second. per_peer 0: GUARD_PER_PEER. */
struct guard *guard_open(struct event_base *base, unsigned int per_peer);
void guard_close(struct guard *g); /* after evhttp_free() */

/* guard_add() - watch over a connection that was just made for evhttp. Its socket may not be there yet. */
void guard_add(struct guard *g, struct bufferevent *bev);

/* What became of a request that came in one piece. */
enum guard_took {
	GUARD_LEFT,    /* evhttp is to read it */
	GUARD_SENT,    /* it is answered, and gone from the connection's input */
	GUARD_SENDING, /* the same, but for what of the answer guard_sent() will tell of */
};

/*
 * guard_at_once() - what begins a request, where nothing else waits to be read, is shown to this
 * function before evhttp sees it. Once, before the first connection.
 */
void guard_at_once(struct guard *g, enum guard_took (*at_once)(struct bufferevent *bev, void *arg),
		   void *arg);
void guard_sent(struct guard *g, struct bufferevent *bev);

/* guard_whole() - a request is whole, and is being answered: until that is sent nothing is due. */
void guard_whole(struct guard *g, struct evhttp_request *req);

const struct guard_counters *guard_counters(const struct guard *g);
size_t guard_count(const struct guard *g);

#endif
