// SPDX-License-Identifier: Apache-2.0
#include "dps/upstream.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "dps/mem.h"

struct lame {
	char zone[DOMAIN_ROOM];
	uint64_t edition;
	uint64_t until;
};

struct upstream_server {
	struct server_address addr;
	bool measured;
	uint32_t rtt, deviation; /* ms */
	unsigned int silent;	 /* questions in vain since its last reply */
	uint64_t heard, missed;	 /* ticks: its last reply, the last silence that counted */
	uint64_t dead_until;
	struct lame *lame; /* UPSTREAM_LAME_ZONES of them, or NULL */
	struct upstream_server *prev, *next;
	UT_hash_handle hh;
};

/* The table */

void upstream_init(struct upstream *u)
{
	memset(u, 0, sizeof(*u));
}

static void drop(struct upstream *u, struct upstream_server *server)
{
	HASH_DEL(u->servers, server);
	DL_DELETE(u->recent, server);
	u->n--;
	free(server->lame);
	free(server);
}

void upstream_free(struct upstream *u)
{
	struct upstream_server *server, *next;

	HASH_ITER (hh, u->servers, server, next)
		drop(u, server);
}

/* Padding included, keys are compared by their bytes. */
static struct server_address key_of(const struct server_address *addr)
{
	struct server_address key;

	memset(&key, 0, sizeof(key));
	key.ip = addr->ip;
	key.port = addr->port;
	return key;
}

static struct upstream_server *find(const struct upstream *u, const struct server_address *addr)
{
	struct server_address key = key_of(addr);
	struct upstream_server *server;

	HASH_FIND(hh, u->servers, &key, sizeof(key), server);
	return server;
}

static struct upstream_server *find_or_add(struct upstream *u, const struct server_address *addr)
{
	struct upstream_server *server = find(u, addr);

	if (server) {
		DL_DELETE(u->recent, server);
		DL_PREPEND(u->recent, server);
		return server;
	}
	if (u->n == UPSTREAM_SERVERS_MAX)
		drop(u, u->recent->prev); /* utlist: the head's prev is the tail */
	server = mem_alloc(sizeof(*server));
	server->addr = key_of(addr);
	HASH_ADD(hh, u->servers, addr, sizeof(server->addr), server);
	DL_PREPEND(u->recent, server);
	u->n++;
	return server;
}

/* Times */

static uint32_t bounded(uint64_t ms)
{
	if (ms < UPSTREAM_LEAST_MS)
		return UPSTREAM_LEAST_MS;
	return ms > UPSTREAM_MOST_MS ? UPSTREAM_MOST_MS : ms;
}

static uint32_t timeout_of(const struct upstream_server *server)
{
	unsigned int doublings;

	if (!server)
		return UPSTREAM_FIRST_MS;
	doublings = server->silent < UPSTREAM_SILENT ? server->silent : UPSTREAM_SILENT;
	return bounded((uint64_t)(server->measured ? server->rtt + 4 * server->deviation : UPSTREAM_FIRST_MS)
		       << doublings);
}

/* What it is compared by: a stranger counts as near, so that it gets its chance. */
static uint32_t cost_of(const struct upstream_server *server)
{
	if (!server || (!server->measured && !server->silent))
		return 0;
	return server->silent ? timeout_of(server) : server->rtt;
}

void upstream_replied(struct upstream *u, const struct server_address *addr, uint64_t sent, uint64_t ticks)
{
	struct upstream_server *server = find_or_add(u, addr);
	uint32_t ms = ticks - sent;
	uint32_t off = server->rtt > ms ? server->rtt - ms : ms - server->rtt;

	if (server->measured) {
		server->deviation = (3 * server->deviation + off) / 4;
		server->rtt = (7 * server->rtt + ms) / 8;
	} else {
		server->deviation = ms / 2;
		server->rtt = ms;
	}
	server->measured = true;
	server->heard = ticks;
	server->silent = 0;
	server->dead_until = 0;
}

void upstream_silent(struct upstream *u, const struct server_address *addr, uint64_t sent, uint64_t ticks)
{
	struct upstream_server *server = find_or_add(u, addr);
	uint64_t alone = UPSTREAM_DEAD_MS;

	if ((server->heard && sent <= server->heard) || (server->missed && sent < server->missed))
		return;
	server->missed = ticks;
	server->silent++;
	if (server->silent < UPSTREAM_SILENT)
		return;
	for (unsigned int i = UPSTREAM_SILENT; i < server->silent && alone < UPSTREAM_DEAD_MOST_MS; i++)
		alone *= 2;
	server->dead_until = ticks + (alone < UPSTREAM_DEAD_MOST_MS ? alone : UPSTREAM_DEAD_MOST_MS);
}

/* Lame servers */

void upstream_lame(struct upstream *u, const struct server_address *addr, const char *zone, uint64_t edition,
		   uint64_t ticks)
{
	struct upstream_server *server = find_or_add(u, addr);
	struct lame *slot;

	if (!server->lame)
		server->lame = mem_alloc(UPSTREAM_LAME_ZONES * sizeof(*server->lame));
	slot = &server->lame[0];
	for (size_t i = 0; i < UPSTREAM_LAME_ZONES; i++) {
		if (server->lame[i].until < slot->until)
			slot = &server->lame[i];
		if (server->lame[i].until && !strcmp(server->lame[i].zone, zone)) {
			slot = &server->lame[i];
			break;
		}
	}
	strcpy(slot->zone, zone);
	slot->edition = edition;
	slot->until = ticks + UPSTREAM_LAME_MS;
}

static bool is_lame(const struct upstream_server *server, const char *zone, uint64_t edition, uint64_t ticks)
{
	for (size_t i = 0; server && server->lame && i < UPSTREAM_LAME_ZONES; i++)
		if (server->lame[i].until > ticks && server->lame[i].edition == edition &&
		    !strcmp(server->lame[i].zone, zone))
			return true;
	return false;
}

/* Choosing */

struct candidate {
	struct upstream_choice choice;
	uint32_t cost;
};

static size_t collect(const struct upstream *u, const char *zone, uint64_t edition,
		      const struct server_name *servers, size_t n, uint64_t tried, uint64_t ticks,
		      struct candidate *out)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < servers[i].n_addresses; j++) {
			const struct upstream_server *server = find(u, &servers[i].addresses[j]);
			struct candidate c = { .choice = { .server = i, .address = j } };

			if ((tried & upstream_bit(&c.choice)) || is_lame(server, zone, edition, ticks) ||
			    (server && server->dead_until > ticks))
				continue;
			c.choice.timeout = timeout_of(server);
			c.cost = cost_of(server);
			out[count++] = c;
		}
	return count;
}

static uint32_t least_cost(const struct candidate *list, size_t n)
{
	uint32_t least = UINT32_MAX;

	for (size_t i = 0; i < n; i++)
		if (list[i].cost < least)
			least = list[i].cost;
	return least;
}

bool upstream_pick(struct upstream *u, const char *zone, uint64_t edition, const struct server_name *servers,
		   size_t n, uint64_t tried, uint64_t ticks, uint32_t random, struct upstream_choice *out)
{
	struct candidate list[UPSTREAM_CANDIDATES];
	size_t count = collect(u, zone, edition, servers, n, tried, ticks, list), near = 0;
	uint32_t most = least_cost(list, count) + UPSTREAM_BAND_MS;
	struct upstream_server *server;

	if (!count)
		return false;
	if (random % UPSTREAM_EXPLORE)
		for (size_t i = 0; i < count; i++)
			if (list[i].cost <= most)
				list[near++] = list[i];
	if (near)
		count = near;
	*out = list[random / UPSTREAM_EXPLORE % count].choice;
	server = find(u, &servers[out->server].addresses[out->address]);
	if (server && server->dead_until) /* one question at a time finds out whether it is back */
		server->dead_until = ticks + out->timeout;
	return true;
}

uint64_t upstream_bit(const struct upstream_choice *choice)
{
	return 1ull << (choice->server * SERVER_ADDRESSES_MAX + choice->address);
}

struct upstream_view upstream_look(const struct upstream *u, const struct server_address *addr,
				   uint64_t ticks)
{
	const struct upstream_server *server = find(u, addr);

	if (!server)
		return (struct upstream_view){ .timeout = UPSTREAM_FIRST_MS };
	return (struct upstream_view){ .known = true,
				       .dead = server->dead_until > ticks,
				       .rtt = server->measured ? server->rtt : 0,
				       .timeout = timeout_of(server),
				       .silent = server->silent,
				       .dead_until = server->dead_until };
}
