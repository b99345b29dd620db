/* SPDX-License-Identifier: Apache-2.0 */
/* A policy service without its server: what the tests of dps/ play with. */
#ifndef UNIT_DPS_WORLD_H
#define UNIT_DPS_WORLD_H

#include <criterion/criterion.h>

#include "dps/commit.h"
#include "dps/resolve.h"

struct world {
	struct model m;
	struct store *store; /* NULL: nothing is kept */
	struct json_error err;
	struct commit_counts counts;
	int64_t now;
	void (*committed)(const struct txn *txn, void *arg);
	void *arg;
};

void world_init(struct world *w);
void world_free(struct world *w);
struct commit_context world_context(struct world *w);

/* world_apply() - JSON list of objects, written with ' for ". The commit's result; w->err. */
int world_apply(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* world_take() - world_apply() of what must be taken. */
void world_take(struct world *w, const char *text);
int world_delete(struct world *w, const char *kind, const char *key);

/* world_place() - host NULL: nowhere. */
int world_place(struct world *w, const char *endpoint, const char *host, const char *claim);

struct network *world_network(struct world *w, const char *name);
struct endpoint *world_endpoint(struct world *w, const char *key);
struct policy *world_policy(struct world *w, const char *key);

/* world_ask() - about a packet, "network/vm" to "network/vm"; proto 0: about the pair. */
struct answer world_ask(struct world *w, const char *from, const char *to, int proto, int from_port,
			int to_port);

/* world_ask_at() - about the pair of a VM and whoever has the address. */
struct answer world_ask_at(struct world *w, const char *from, const char *address);

/* world_answer_json() - as it is sent, unsigned; the caller's. */
cJSON *world_answer_json(const struct world *w, const struct answer *answer, unsigned int lifetime);

/* world_path() - an outcome's services, joined by ','; static buffer. */
const char *world_path(const struct outcome *outcome);

/* world_dump() - all contents and numbers as text, the caller's. */
char *world_dump(const struct world *w);

/* The networks, VMs and services of the reference table, without its policies. */
void world_reference(struct world *w);

/* WORLD_OWN - a file's world `w`, and apply() of what it must take. */
#define WORLD_OWN                                                                                            \
	static struct world w;                                                                               \
                                                                                                             \
	static __attribute__((unused)) void apply(const char *text)                                          \
	{                                                                                                    \
		world_take(&w, text);                                                                        \
	}

/* WORLD_SUITE() - the same, and its suite: each test begins with the reference table. */
#define WORLD_SUITE(suite)                                                                                   \
	WORLD_OWN                                                                                            \
                                                                                                             \
	static void setup(void)                                                                              \
	{                                                                                                    \
		world_init(&w);                                                                              \
		world_reference(&w);                                                                         \
	}                                                                                                    \
                                                                                                             \
	static void teardown(void)                                                                           \
	{                                                                                                    \
		world_free(&w);                                                                              \
	}                                                                                                    \
                                                                                                             \
	TestSuite(suite, .init = setup, .fini = teardown)

#endif
