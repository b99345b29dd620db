/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only way to change the model. A transaction puts new contents in place,
 * links and checks them, raises revisions, sequences and floors
 * (staleness.c), stores all of it durably, and only then lets others see it.
 * Whatever fails on the way, everything is as it was before.
 *
 * Each call returns 0, or with *err filled: -EINVAL (malformed), -ENOENT (no
 * such object), -EEXIST (conflicts with what is there), -EIO (the store
 * refused). now is in unix seconds; a NULL store keeps nothing.
 */
#ifndef DPS_COMMIT_H
#define DPS_COMMIT_H

#include "dps/model.h"
#include "dps/store.h"

#define TOMBSTONE_SECONDS 86400 /* the longest that an answer may live */
#define ANY_REVISION UINT64_MAX /* compare with nothing */

/* What an object was before the transaction touched it. */
struct saved {
	struct object *obj;
	uint64_t revision, sequence, floor;
	uint64_t net_revision; /* of a network */
	struct place place;    /* of an endpoint */
	bool placed;	       /* the place is among what changed */
};

struct change {
	struct object *obj;
	struct spec *before, *after; /* NULL: was not, is no more */
	bool taken;		     /* the old content is out */
	bool indexed, linked;	     /* the new one is in */
};

struct regroup {
	struct endpoint *ep;
	struct idset before;
};

struct txn {
	struct model *m;
	struct store *store;
	struct json_error *err;
	int64_t now;
	int64_t lifetime; /* seconds that answers live: how long a past place is remembered */
	uint64_t serial;
	struct ptrs saved;    /* every object touched, once */
	struct ptrs changes;  /* contents that changed */
	struct ptrs regroups; /* endpoints whose groups changed */
	struct ptrs gone;     /* past places to add */
	struct ptrs ended;    /* past places to drop */
	bool hosts;	      /* a host came, changed or went */
};

/* Who runs commits: what every call needs. */
struct commit_context {
	struct model *m;
	struct store *store;
	int64_t now;
	int64_t lifetime;
	void (*committed)(const struct txn *txn, void *arg); /* may be NULL */
	void *arg;
};

struct commit_counts {
	unsigned int changed, unchanged;
};

/* commit_apply() - all specs or none. Takes the specs over, in any case. */
int commit_apply(const struct commit_context *ctx, struct spec **specs, size_t n, uint64_t if_match,
		 struct commit_counts *counts, struct json_error *err);

int commit_delete(const struct commit_context *ctx, enum kind kind, const char *key, uint64_t if_match,
		  struct json_error *err);

/* commit_place() - host NULL: the endpoint is nowhere now. claim: the new claim's id. */
int commit_place(const struct commit_context *ctx, struct endpoint *ep, struct host *host, const char *claim,
		 struct json_error *err);

/*
 * commit_aside() - an instance of a service stands aside for so many eighths of its flows. Raises the sequence of
 * the policies that lead through the service; the part itself is not stored.
 */
int commit_aside(const struct commit_context *ctx, struct endpoint *ep, uint8_t aside,
		 struct json_error *err);

/* commit_expire() - drop the tombstones and past places whose time is over; raises no revision. */
int commit_expire(const struct commit_context *ctx, struct json_error *err);

/*
 * commit_restored() - the store is a backup: go on above every revision, and
 * every id, that may have been given out since it was made, and raise all
 * floors, for nobody knows what was decided meanwhile.
 */
int commit_restored(const struct commit_context *ctx, struct json_error *err);

/* For staleness.c and tests: remember the object as it is, once. NULL unless it was touched. */
struct saved *txn_touch(struct txn *txn, struct object *obj);
struct saved *txn_saved(const struct txn *txn, const struct object *obj);

/* txn_raise() - the network's revision for this commit, raised at the first call. */
uint64_t txn_raise(struct txn *txn, struct network *net);

#endif
