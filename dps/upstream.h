/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which server to ask next. What is known of a server is kept by its address:
 * how long its replies take (RFC 6298's smoothed time and deviation), whether
 * it has fallen silent, and for which zones it is lame: listed for them, and
 * not able or not willing to answer believably. Lameness is of an edition of
 * the zone's delegation: with another one, the server gets another chance.
 *
 * A silent server is left alone for a time that doubles with each question in
 * vain; then one question may go there to see whether it is back. Times are
 * milliseconds of a clock that never goes back ("ticks").
 */
#ifndef DPS_UPSTREAM_H
#define DPS_UPSTREAM_H

#include <uthash.h>

#include "lib/delegation.h"

#define UPSTREAM_FIRST_MS 300 /* how long the first reply of a server may take */
#define UPSTREAM_LEAST_MS 200 /* and of the nearest one: as TCP's, or a busy moment doubles the questions */
#define UPSTREAM_MOST_MS 1500 /* and of any: half of QUERY_DEADLINE_MS, so that another can be tried */
#define UPSTREAM_BAND_MS 40   /* servers that are this much slower than the best share the load */
#define UPSTREAM_SILENT 3     /* questions in vain, one after another, until it counts as dead */
#define UPSTREAM_DEAD_MS 1000 /* left alone so long at first, */
#define UPSTREAM_DEAD_MOST_MS 16000 /* and never longer, so that one that is back is found out soon */
#define UPSTREAM_LAME_MS 60000	    /* not asked for that zone: its administrator may be repairing it */
#define UPSTREAM_LAME_ZONES 8	    /* zones of one server that are remembered as lame */
#define UPSTREAM_EXPLORE 16	    /* one question in so many goes to any live server, whatever its time */
#define UPSTREAM_SERVERS_MAX 4096   /* remembered; the least recently used are forgotten */
#define UPSTREAM_CANDIDATES (ZONE_SERVERS_MAX * SERVER_ADDRESSES_MAX)

struct upstream_server;

struct upstream {
	struct upstream_server *servers, *recent;
	size_t n;
};

/* Where a question may go: one address of one server of the zone. */
struct upstream_choice {
	size_t server, address; /* in the list that was given */
	uint32_t timeout;	/* ms after which another one is to be tried */
};

/* What is known of one server, for /metrics and tests. */
struct upstream_view {
	bool known, dead;
	uint32_t rtt, timeout; /* ms; rtt 0: none was measured */
	unsigned int silent;
	uint64_t dead_until;
};

void upstream_init(struct upstream *u);
void upstream_free(struct upstream *u);

/*
 * upstream_pick() - of n servers of the zone, one that isn't in `tried` (bit
 * server * SERVER_ADDRESSES_MAX + address), isn't lame for the zone, and is
 * alive, or due to be tried again. random: any number. False: none is left.
 */
bool upstream_pick(struct upstream *u, const char *zone, uint64_t edition, const struct server_name *servers,
		   size_t n, uint64_t tried, uint64_t ticks, uint32_t random, struct upstream_choice *out);

uint64_t upstream_bit(const struct upstream_choice *choice); /* its bit in `tried` */

/*
 * What became of a question that was sent at the tick `sent`. Silence counts
 * once for all questions that were out together, and not if the server was
 * heard of meanwhile.
 */
void upstream_replied(struct upstream *u, const struct server_address *addr, uint64_t sent, uint64_t ticks);
void upstream_silent(struct upstream *u, const struct server_address *addr, uint64_t sent, uint64_t ticks);
void upstream_lame(struct upstream *u, const struct server_address *addr, const char *zone, uint64_t edition,
		   uint64_t ticks);

struct upstream_view upstream_look(const struct upstream *u, const struct server_address *addr,
				   uint64_t ticks);

#endif
