/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one interface to durable storage. It knows records, not objects:
 * persist.c turns one into the other. Logical definitions and physical facts
 * are kept apart. Everything between begin and commit is stored or nothing
 * is, also when the machine loses power in between.
 *
 * All return 0 or -errno; the reason has been logged then.
 */
#ifndef DPS_STORE_H
#define DPS_STORE_H

#include <stdint.h>

#include "lib/json.h"

enum store_table { STORE_LOGICAL, STORE_PHYSICAL, STORE_TABLES };

struct store_record {
	enum store_table table;
	const char *kind, *key; /* together unique in their table */
	uint64_t id, revision, sequence, floor;
	int64_t until;	  /* unix time, 0: none */
	const char *body; /* JSON or other text */
};

struct store;

/*
 * store_open() - open or create the store in directory dir, for this process
 * alone. On failure *err has the sentence for people (one line).
 */
int store_open(const char *dir, struct store **out, struct json_error *err);
void store_close(struct store *store);

/* store_load() - call fn for every record until it returns other than 0, which is returned. */
int store_load(struct store *store, int (*fn)(const struct store_record *record, void *arg), void *arg);
int store_load_counters(struct store *store, int (*fn)(const char *name, uint64_t value, void *arg),
			void *arg);

int store_begin(struct store *store);
int store_put(struct store *store, const struct store_record *record);
int store_remove(struct store *store, enum store_table table, const char *kind, const char *key);
int store_remove_kind(struct store *store, enum store_table table, const char *kind); /* all of them */
int store_put_counter(struct store *store, const char *name, uint64_t value);
int store_commit(struct store *store); /* on failure all is rolled back */
void store_rollback(struct store *store);

#endif
