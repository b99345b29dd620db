// SPDX-License-Identifier: Apache-2.0
#include "dps/cache.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "dps/mem.h"

#define OTHER_ROOMS_PART 8

struct cache_floor {
	uint32_t vnid;
	uint64_t floor;
	UT_hash_handle hh;
};

static const char *const kinds[] = {
	[CACHED_ANSWER] = "answer",	    [CACHED_NO_VM] = "no_vm",
	[CACHED_NO_NETWORK] = "no_network", [CACHED_NO_DELEGATION] = "no_delegation",
	[CACHED_FAILURE] = "failed",
};

const char *cached_kind_name(enum cached_kind kind)
{
	return kinds[kind];
}

void cache_init(struct cache *c, size_t entries, size_t bytes)
{
	memset(c, 0, sizeof(*c));
	c->limits[CACHE_POLICY] = (struct cache_limits){ entries, bytes };
	for (int room = CACHE_NEGATIVE; room < CACHE_ROOMS; room++)
		c->limits[room] =
			(struct cache_limits){ entries / OTHER_ROOMS_PART + 1, bytes / OTHER_ROOMS_PART + 1 };
}

static void drop(struct cache *c, struct cached *entry)
{
	HASH_DEL(c->entries, entry);
	DL_DELETE(c->recent[entry->room], entry);
	c->n[entry->room]--;
	c->bytes[entry->room] -= entry->bytes;
	signed_free(&entry->doc);
	kept_free(entry->kept);
	free(entry->zone);
	free(entry->key);
	free(entry);
}

void cache_free(struct cache *c)
{
	struct cached *entry, *next;
	struct cache_floor *floor, *next_floor;

	HASH_ITER (hh, c->entries, entry, next)
		drop(c, entry);
	HASH_ITER (hh, c->floors, floor, next_floor) {
		HASH_DEL(c->floors, floor);
		free(floor);
	}
	memset(c, 0, sizeof(*c));
}

void cache_drop(struct cache *c, const struct cached *entry)
{
	drop(c, (struct cached *)entry);
}

static struct cached *find(const struct cache *c, const char *key)
{
	struct cached *entry;

	HASH_FIND_STR(c->entries, key, entry);
	return entry;
}

static void make_room(struct cache *c, enum cache_room room, size_t bytes)
{
	const struct cache_limits *limits = &c->limits[room];

	while (c->recent[room] && (c->n[room] >= limits->entries || c->bytes[room] + bytes > limits->bytes)) {
		drop(c, c->recent[room]->prev); /* utlist: the head's prev is the tail */
		c->evicted++;
	}
}

/* Takes over what the entry holds, in any case. */
static const struct cached *add(struct cache *c, struct cached *entry)
{
	entry->number = ++c->numbers;
	entry->bytes = sizeof(*entry) + strlen(entry->key) + 1 + strlen(entry->zone) + 1 + entry->doc.len + 1;
	entry->alone = entry->bytes;
	make_room(c, entry->room, entry->bytes);
	HASH_ADD_KEYPTR(hh, c->entries, entry->key, strlen(entry->key), entry);
	DL_PREPEND(c->recent[entry->room], entry);
	c->n[entry->room]++;
	c->bytes[entry->room] += entry->bytes;
	if (entry->bytes <= c->limits[entry->room].bytes)
		return entry;
	drop(c, entry);
	return NULL;
}

/* What is beside them */

/* It was used last: others go before it, and without them what is beside it. */
static void grow(struct cache *c, struct cached *entry, long more)
{
	enum cache_room room = entry->room;

	entry->bytes += more;
	c->bytes[room] += more;
	while (c->bytes[room] > c->limits[room].bytes && c->recent[room]->prev != entry) {
		drop(c, c->recent[room]->prev);
		c->evicted++;
	}
	if (c->bytes[room] <= c->limits[room].bytes)
		return;
	c->bytes[room] -= entry->bytes - entry->alone;
	entry->bytes = entry->alone;
	kept_free(entry->kept);
	entry->kept = NULL;
}

static struct kept *kept_of(struct cache *c, struct cached *entry)
{
	if (!entry->kept) {
		entry->kept = mem_alloc(sizeof(*entry->kept));
		entry->bytes += sizeof(*entry->kept);
		c->bytes[entry->room] += sizeof(*entry->kept);
	}
	return entry->kept;
}

void cache_keep(struct cache *c, const struct cached *entry, uint64_t first, const cJSON *answer, int rule,
		char *text)
{
	struct cached *e = (struct cached *)entry;

	grow(c, e, kept_put(kept_of(c, e), first, answer, rule, text));
}

void cache_keep_beyond(struct cache *c, const struct cached *entry, uint32_t beyond)
{
	struct cached *e = (struct cached *)entry;

	kept_of(c, e)->beyond = beyond;
	grow(c, e, 0);
}

/* Putting */

static enum cached_kind kind_of(const struct statement *s)
{
	switch (s->kind) {
	case STATEMENT_NO_NETWORK:
		return CACHED_NO_NETWORK;
	case STATEMENT_NO_DELEGATION:
		return CACHED_NO_DELEGATION;
	default:
		return s->absent ? CACHED_NO_VM : CACHED_ANSWER;
	}
}

static bool is_newer(const struct cached *entry, const struct statement *s, int64_t now)
{
	if (now >= entry->expires || strcmp(entry->zone, s->zone) != 0)
		return false;
	return entry->sequence != s->sequence ? entry->sequence > s->sequence : entry->issued > s->issued;
}

static int64_t fresh_until(const struct statement *s, enum cached_kind kind, int64_t now)
{
	static const int most[] = {
		[CACHED_ANSWER] = STATEMENT_LIFE_MAX,
		[CACHED_NO_VM] = CACHE_NO_VM_SECONDS,
		[CACHED_NO_NETWORK] = CACHE_NO_NETWORK_SECONDS,
		[CACHED_NO_DELEGATION] = CACHE_NO_DELEGATION_SECONDS,
	};
	int64_t end = s->issued + s->lifetime;

	return end < now + most[kind] ? end : now + most[kind];
}

const struct cached *cache_put(struct cache *c, const struct ask *ask, const struct statement *s,
			       const struct signed_doc *doc, int64_t now)
{
	char key[ASK_TEXT];
	struct cached *entry = find(c, ask_text(ask, s->whole, key));

	if (entry && is_newer(entry, s, now))
		return entry;
	if (entry)
		drop(c, entry);
	entry = mem_alloc(sizeof(*entry));
	*entry = (struct cached){ .key = mem_copy(key),
				  .kind = kind_of(s),
				  .zone = mem_copy(s->zone),
				  .vnid = s->kind == STATEMENT_POLICY ? s->decided_by : s->vnid,
				  .refuses = s->refuses,
				  .sequence = s->sequence,
				  .issued = s->issued,
				  .fresh = fresh_until(s, kind_of(s), now),
				  .expires = s->expires };
	entry->room = entry->kind == CACHED_ANSWER ? CACHE_POLICY : CACHE_NEGATIVE;
	entry->stale = entry->kind == CACHED_ANSWER ? statement_stale_until(s) : entry->fresh;
	if (signed_copy(doc, &entry->doc))
		entry->stale = entry->fresh = 0;
	return add(c, entry);
}

/* Failures have keys of their own: what was known before stays, and may be served stale. */
static const char *failure_key(const struct ask *ask, char key[ASK_TEXT + 1])
{
	ask_text(ask, false, key + 1);
	key[0] = '!';
	return key;
}

void cache_put_failure(struct cache *c, const struct ask *ask, int reason, int64_t until)
{
	char key[ASK_TEXT + 1];
	struct cached *entry = find(c, failure_key(ask, key));

	if (entry)
		drop(c, entry);
	entry = mem_alloc(sizeof(*entry));
	*entry = (struct cached){ .key = mem_copy(key),
				  .kind = CACHED_FAILURE,
				  .zone = mem_copy(""),
				  .fresh = until,
				  .reason = reason,
				  .room = CACHE_FAILED };
	add(c, entry);
}

/* Getting */

uint64_t cache_floor(const struct cache *c, uint32_t vnid)
{
	struct cache_floor *floor;

	HASH_FIND(hh, c->floors, &vnid, sizeof(vnid), floor);
	return floor ? floor->floor : 0;
}

static bool will_do(const struct cache *c, const struct cached *entry, const struct ask *ask)
{
	return entry && entry->sequence >= ask->min_revision &&
	       (!entry->vnid || entry->sequence >= cache_floor(c, entry->vnid));
}

/* The pair's answer, else the packet's. */
static struct cached *get(struct cache *c, const struct ask *ask, int64_t now, bool fresh)
{
	struct cached *entry;
	char key[ASK_TEXT];

	for (int pair = 1; pair >= 0; pair--) {
		entry = find(c, ask_text(ask, pair, key));
		if (!will_do(c, entry, ask) || now >= (fresh ? entry->fresh : entry->stale) ||
		    (fresh && now >= entry->expires))
			continue;
		DL_DELETE(c->recent[entry->room], entry);
		DL_PREPEND(c->recent[entry->room], entry);
		return entry;
	}
	return NULL;
}

const struct cached *cache_get(struct cache *c, const struct ask *ask, int64_t now)
{
	const struct cached *entry = get(c, ask, now, true);

	if (entry)
		c->hits++;
	else
		c->misses++;
	return entry;
}

const struct cached *cache_get_stale(struct cache *c, const struct ask *ask, int64_t now)
{
	return get(c, ask, now, false);
}

const struct cached *cache_get_failure(struct cache *c, const struct ask *ask, int64_t now)
{
	char key[ASK_TEXT + 1];
	const struct cached *entry = find(c, failure_key(ask, key));

	return entry && now < entry->fresh ? entry : NULL;
}

bool cache_ageing(const struct cached *entry, int64_t now)
{
	return (entry->fresh - now) * CACHE_PREFETCH_PART < entry->fresh - entry->issued;
}

uint64_t cache_least(const struct cache *c, const struct ask *ask)
{
	const struct cached *entry = NULL;
	char key[ASK_TEXT];

	if (ask->kind != ASK_POLICY)
		return 0;
	if (ask->from_vnid) /* a destination's half is its own network's */
		return cache_floor(c, ask->vnid);
	for (int pair = 1; pair >= 0 && !entry; pair--)
		entry = find(c, ask_text(ask, pair, key));
	return entry ? cache_floor(c, entry->vnid) : 0;
}

void cache_raise_floor(struct cache *c, uint32_t vnid, uint64_t floor)
{
	struct cache_floor *entry;

	HASH_FIND(hh, c->floors, &vnid, sizeof(vnid), entry);
	if (!entry) {
		entry = mem_alloc(sizeof(*entry));
		entry->vnid = vnid;
		HASH_ADD(hh, c->floors, vnid, sizeof(entry->vnid), entry);
	}
	if (floor > entry->floor)
		entry->floor = floor;
}
