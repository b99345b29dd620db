/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server of the hierarchy, without its sockets: any mix of three roles.
 *
 *   authority   of domains: answers for them, refers to what it has delegated
 *   root        holds the root zone: refers, or hands out the word that there is nothing
 *   local       finds answers for agents, and keeps them
 *
 * To a question that is to be answered (recursive) it finds the answer. To any
 * other it says at once what it knows: its own answer, else one that it keeps,
 * else a referral to who is closer; else that it isn't responsible. What it keeps
 * of a service's instances is for its own hosts: who else may know them their
 * authority decides, with each question.
 */
#ifndef DPS_NODE_H
#define DPS_NODE_H

#include "dps/authority.h"
#include "dps/query.h"

#define NODE_AUTHORITIES_MAX 64 /* domains of one process */
#define NODE_TEND_MS 10000	/* how often node_tend() wants to be called */
#define NODE_ROOT_PART 8	/* or at least so many times in the zone's life */
#define NODE_ROOT_SECONDS 60	/* how old a root server's zone gets before it asks for a newer one */

struct node {
	struct resolver r;
	const char *name; /* as it stands in delegations and paths; the caller's */
	struct authority *authorities[NODE_AUTHORITIES_MAX];
	uint64_t adopted[NODE_AUTHORITIES_MAX]; /* version of the delegation that we took our ranges from */
	size_t n_authorities;
	bool is_root;		/* set by node_set_root(), or by who has no zone yet and wants to pull one */
	struct root_zone *root; /* NULL: not had yet */
	uint64_t pulled;	/* ticks: when a newer one was last asked for */
	uint64_t loops;		/* questions refused because they had been here */
};

/*
 * node_init() - env: but for own(), which is the node's. root: the keys that
 * we were given, and where root servers were when they were.
 */
void node_init(struct node *n, const struct query_env *env, const struct query_config *config,
	       const struct delegation *root);
void node_free(struct node *n);

/*
 * node_add_authority() - answer for its domain. The authority stays the
 * caller's. self: what our parent says, or is to say, of us (domain, ranges,
 * servers, keys): believed as it is. 0, or -ENOSPC.
 */
int node_add_authority(struct node *n, struct authority *a, const struct delegation *self);

/* node_find_authority() - the deepest of ours that covers the question; NULL: none. */
struct authority *node_find_authority(const struct node *n, const struct ask *ask);

/*
 * node_set_root() - be a root server with this zone, from now on. 0, or as
 * zone_open() says with *err; the zone before goes on then, as long as it lives.
 */
int node_set_root(struct node *n, const struct signed_doc *doc, struct json_error *err);

/*
 * node_tend() - what has to be done now and then: delegations that we gave are
 * signed again, our own are fetched anew from our parents, and the ranges that
 * they say are ours from then on; a root server asks for a newer zone.
 */
void node_tend(struct node *n);

struct node_call;

/*
 * node_ask() - a question from outside. done is called once, maybe before this
 * returns (NULL then); the reply is the node's. node_cancel(): it won't be.
 */
struct node_call *
node_ask(struct node *n, const struct ask *ask, const struct errand *errand,
	 void (*done)(const struct reply *reply, const struct query_result *result, void *arg), void *arg);
void node_cancel(struct node_call *call);

/* node_answer() - what it knows at once. *out must be zeroed; the caller frees it. */
void node_answer(struct node *n, const struct ask *ask, const struct errand *errand, struct reply *out);

#endif
