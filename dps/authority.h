/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signing side: who answers for a domain. Holds the domain's key, what its
 * parent has given it, and what it has delegated further. Invariants, whatever
 * is asked of it:
 *
 *   - children's ranges are within the domain's, apart from one another, and
 *     hold no network of the domain itself; what one child has lost is given to
 *     no other as long as the old delegation could be believed;
 *   - every change takes a new serial, so that of two words the later shows;
 *   - nothing that is signed here lives longer than DELEGATION_LIFE_MAX.
 *
 * The root zone's writer is an authority too: of the domain "", with all VNIDs.
 * Keeps nothing durable: who runs it stores serial, children and what is
 * leaving, and hands them in again.
 */
#ifndef DPS_AUTHORITY_H
#define DPS_AUTHORITY_H

#include <uthash.h>

#include "dps/cache.h"
#include "dps/reply.h"
#include "dps/zone.h"

#define AUTHORITY_LIFE 3600	   /* of a delegation: how long a withdrawn one may still be believed */
#define AUTHORITY_NEGATIVE_LIFE 5  /* seconds that "there is none" need not be asked again */
#define AUTHORITY_NEGATIVE_HELD 60 /* and that it is worth anything, for askers whose clock is ahead */
#define AUTHORITY_PREPARED 10000   /* signed answers that are kept to be sent again */

/* What the domain's own store says to a question. */
struct finding {
	enum statement_kind kind; /* STATEMENT_POLICY, _NAME, _SERVICE, _PLACE, _NO_NETWORK */
	cJSON *answer; /* of a policy: the ANSWER of docs/api.md; of a name: what else is known; of a service:
			  the SERVICE; of a place: {}, or none; taken over */
	bool whole;    /* it holds for all packets of the pair */
	bool absent;   /* there is no such source or destination, service, or it is not there */
	uint32_t vnid; /* what a name leads to; of a policy: the network that `sequence` is of */
	uint32_t
		beyond; /* of a policy: the destination's network, where another authority's half is needed */
	uint64_t sequence;
	uint32_t lifetime, stale; /* seconds */
};

struct authority_env {
	/*
	 * find() - 0 and *out filled: STATEMENT_NO_NETWORK where there is none, and what is known also where
	 * that is below min_revision. -EAGAIN: nothing can be said now.
	 */
	int (*find)(void *arg, const struct ask *ask, struct finding *out);
	uint64_t (*version)(void *arg); /* another one whenever a finding may be another */
	uint32_t (*used)(void *arg,
			 struct vnid_range r); /* a VNID in it that a network of ours has; 0: none */
	void *arg;
};

struct child {
	struct delegation d;
	struct signed_doc doc;
	UT_hash_handle hh; /* by domain */
};

/* What a child has lost, and may still be believed to have. */
struct leaving {
	char domain[DOMAIN_ROOM];
	struct vnid_ranges ranges;
	int64_t until; /* unix time */
	struct leaving *prev, *next;
};

struct authority {
	char domain[DOMAIN_ROOM];
	const struct sign_key *key; /* that signs; the caller's */
	struct vnid_ranges ranges;  /* that our parent has given us */
	uint64_t serial;	    /* of the last change */
	uint32_t life;		    /* seconds that a delegation lives */
	struct child *children;
	struct leaving *leaving;
	struct authority_env env;
	struct cache prepared;
	uint64_t version; /* that they are of */
};

/* authority_init() - serial: the highest that was ever used. The root has all VNIDs, whatever `ranges` says. */
void authority_init(struct authority *a, const char *domain, const struct sign_key *key,
		    const struct vnid_ranges *ranges, uint64_t serial, const struct authority_env *env);
void authority_free(struct authority *a);

/*
 * authority_delegate() - make or change a child: domain, ranges, servers and
 * keys of *d are taken. 0, or with *err -EINVAL (not our child; a field is
 * missing), -EEXIST (a VNID is a sibling's, was one's until lately, or one of
 * our networks has it), -ERANGE (a VNID isn't ours to give).
 */
int authority_delegate(struct authority *a, const struct delegation *d, int64_t now, struct json_error *err);
int authority_withdraw(struct authority *a, const char *domain, struct json_error *err); /* 0 or -ENOENT */

/* For the start: a child, and what one has lost, as they were stored. Not checked again; signed anew. */
void authority_restore(struct authority *a, const struct delegation *d, int64_t now);
void authority_restore_leaving(struct authority *a, const char *domain, const struct vnid_ranges *ranges,
			       int64_t until);

/* authority_renew() - sign again what has used up half of its life; how many. Forget what has left. */
unsigned int authority_renew(struct authority *a, int64_t now);

/* authority_rekey() - sign with another key from now on, and everything again. */
void authority_rekey(struct authority *a, const struct sign_key *key, int64_t now);

/*
 * authority_resize() - our parent gives us other ranges. Children are cut back
 * to what is left of theirs; those with nothing left are withdrawn. How many
 * were touched.
 */
unsigned int authority_resize(struct authority *a, const struct vnid_ranges *ranges, int64_t now);

/*
 * authority_next_vnid() - for a new network of ours: of our ranges, no child's,
 * nor lately one's, and above `last`, the highest that we ever gave; 0: none left.
 */
uint32_t authority_next_vnid(const struct authority *a, uint32_t last, int64_t now);

const struct child *authority_child(const struct authority *a,
				    const struct ask *ask); /* whose it is; NULL: ours */

/* authority_covers() - is the question of this domain's, or of one below it? */
bool authority_covers(const struct authority *a, const struct ask *ask);

/*
 * authority_answer() - for a question that it covers: a referral to a child,
 * or a statement of its own, negative ones included. *out must be zeroed.
 */
void authority_answer(struct authority *a, const struct ask *ask, int64_t now, struct reply *out);

/*
 * authority_zone() - the root zone, by the domain "" only: everything that was
 * delegated, and the word that nothing else was. A new serial. The caller's
 * (zone_free()); keys: of the zone, the signing one among them.
 */
struct root_zone *authority_zone(struct authority *a, const struct sign_public *keys, size_t n_keys,
				 const struct signed_doc *succession, size_t n_succession,
				 const struct server_name *servers, size_t n_servers, int64_t now);

#endif
