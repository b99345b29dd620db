// SPDX-License-Identifier: Apache-2.0
#include "dps/sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

#include "dps/mem.h"

struct source {
	uint32_t id, vnid;
	char host[NAME_MAX_LEN + 1];
	UT_hash_handle hh;
};

struct sources {
	struct source *table; /* in the order in which they came */
};

struct sources *sources_open(void)
{
	return mem_alloc(sizeof(struct sources));
}

static void drop(struct sources *s, struct source *one)
{
	HASH_DEL(s->table, one);
	free(one);
}

void sources_close(struct sources *s)
{
	struct source *one, *next;

	HASH_ITER (hh, s->table, one, next)
		drop(s, one);
	free(s);
}

static struct source *find(const struct sources *s, uint32_t id)
{
	struct source *one;

	HASH_FIND(hh, s->table, &id, sizeof(id), one);
	return one;
}

void sources_put(struct sources *s, uint32_t id, uint32_t vnid, const char *host)
{
	struct source *one = find(s, id);

	if (one)
		drop(s, one);
	if (HASH_COUNT(s->table) >= SOURCES_MAX)
		drop(s, s->table);
	one = mem_alloc(sizeof(*one));
	one->id = id;
	one->vnid = vnid;
	snprintf(one->host, sizeof(one->host), "%s", host);
	HASH_ADD(hh, s->table, id, sizeof(one->id), one);
}

uint32_t sources_vnid(const struct sources *s, uint32_t id, const char **host)
{
	const struct source *one = find(s, id);

	if (one && host)
		*host = one->host;
	return one ? one->vnid : 0;
}
