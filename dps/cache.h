/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy information that others have signed: statements, by question. Knows
 * nothing of zones: whether a zone is still believed is looked at by the
 * caller, with each use (dps/judge.h).
 *
 * Three rooms, so that none can push out another: what lets or keeps packets,
 * what is denied to exist, and questions that nobody could answer. Each has a
 * bound of entries and of bytes, and drops what was used least recently.
 *
 * An answer that is older (by sequence, then by issue) never replaces a newer
 * one of the same zone that still counts. One below a network's known floor is not handed out.
 * Times are unix seconds.
 */
#ifndef DPS_CACHE_H
#define DPS_CACHE_H

#include <uthash.h>

#include "dps/ask.h"
#include "dps/kept.h"

#define CACHE_PREFETCH_PART 10 /* a used answer is asked for anew when a tenth of its life is left */

/* How long each kind of "no" is taken for one at most, whatever it says itself. */
#define CACHE_NO_VM_SECONDS 5	       /* a VM that comes up is asked for at once */
#define CACHE_NO_NETWORK_SECONDS 15    /* an administrator who has just made it waits */
#define CACHE_NO_DELEGATION_SECONDS 60 /* so does one who has just been delegated to; rare */
#define CACHE_FAILED_SECONDS 5	       /* who replies to nobody is left in peace */

enum cache_room { CACHE_POLICY, CACHE_NEGATIVE, CACHE_FAILED, CACHE_ROOMS };

/* What an entry says; the negative ones are apart, each has its own time. */
enum cached_kind {
	CACHED_ANSWER,	      /* policy or name */
	CACHED_NO_VM,	      /* the network has no such source or destination */
	CACHED_NO_NETWORK,    /* the zone has no such network */
	CACHED_NO_DELEGATION, /* the zone knows nobody who is responsible */
	CACHED_FAILURE,	      /* nobody could be asked */
};

struct cached {
	char *key;	 /* ask_text() */
	uint64_t number; /* of this entry and no other, also when its question is answered anew */
	enum cached_kind kind;
	char *zone;    /* whose word it is */
	uint32_t vnid; /* that `sequence` is of, or a name leads to; 0: none */
	bool refuses;  /* a policy that lets nothing pass */
	uint64_t sequence;
	int64_t issued, fresh, stale, expires; /* fresh, stale: until when; a failure has only fresh */
	struct signed_doc doc;		       /* empty for a failure */
	int reason;			       /* of a failure: enum query_reason */
	struct kept *kept;		       /* what was made of it for agents; NULL: nothing yet */
	enum cache_room room;
	size_t bytes, alone;	    /* with what is beside it, and without */
	struct cached *prev, *next; /* of its room, by use, the latest first */
	UT_hash_handle hh;
};

struct cache_limits {
	size_t entries, bytes;
};

struct cache_floor;

struct cache {
	struct cached *entries, *recent[CACHE_ROOMS];
	size_t n[CACHE_ROOMS], bytes[CACHE_ROOMS];
	struct cache_limits limits[CACHE_ROOMS];
	struct cache_floor *floors;
	uint64_t numbers;
	uint64_t hits, misses, evicted, said_again;
};

/* cache_init() - limits of the first room; the other two get an eighth of it each. */
void cache_init(struct cache *c, size_t entries, size_t bytes);
void cache_free(struct cache *c);

/*
 * cache_put() - keep a statement that was verified. The entry that is there
 * now: the new one, or a newer one that was there; NULL: too large to be kept.
 */
const struct cached *cache_put(struct cache *c, const struct ask *ask, const struct statement *s,
			       const struct signed_doc *doc, int64_t now);

/* cache_put_failure() - remember until `until` that there was no answer. */
void cache_put_failure(struct cache *c, const struct ask *ask, int reason, int64_t until);

/* cache_get() - a statement for the question, fresh and new enough for its min_revision; NULL: none. */
const struct cached *cache_get(struct cache *c, const struct ask *ask, int64_t now);

/* cache_get_stale() - the same, where it is not fresh but may be served while nobody can be asked. */
const struct cached *cache_get_stale(struct cache *c, const struct ask *ask, int64_t now);

/* cache_get_failure() - was there lately no answer to this? */
const struct cached *cache_get_failure(struct cache *c, const struct ask *ask, int64_t now);

/* cache_ageing() - is it time to ask anew, ahead of its end? */
bool cache_ageing(const struct cached *entry, int64_t now);

void cache_drop(struct cache *c, const struct cached *entry);

/*
 * cache_keep() - have this text beside an entry that was just got: of what it says to packets under
 * that rule of the answer (kept_put()). It counts among the cache's bytes, and others may go for it.
 */
void cache_keep(struct cache *c, const struct cached *entry, uint64_t first, const cJSON *answer, int rule,
		char *text);

/* cache_keep_beyond() - the same, where it is a half and leads to this network. */
void cache_keep_beyond(struct cache *c, const struct cached *entry, uint32_t beyond);

/* cache_raise_floor() - answers of this network below `floor` are not handed out any more. Never falls. */
void cache_raise_floor(struct cache *c, uint32_t vnid, uint64_t floor);
uint64_t cache_floor(const struct cache *c, uint32_t vnid); /* 0: none is known */

/*
 * cache_least() - the floor that holds for the answer to this question: of the
 * network that decided it when it was last answered, which may be the
 * destination's. 0: none is known.
 */
uint64_t cache_least(const struct cache *c, const struct ask *ask);

const char *cached_kind_name(enum cached_kind kind);

#endif
