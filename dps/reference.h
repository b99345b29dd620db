/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy reference: who is responsible for which networks, as far as this
 * server knows and can prove. A tree of zones under the root. A zone is
 * believed as long as its delegation is of now, is signed by a key that its
 * parent has today, and gives no VNID that the parent hasn't; and the parent
 * is believed. That is looked at with every lookup, so whatever ends above
 * ends below at once.
 *
 * Anchors need no proof: the root, whose keys we were given, and domains that
 * we are the authority of ourselves.
 *
 * Siblings never overlap: a delegation that takes a VNID which an older one of
 * another child has, ends that one. Of a child that was replaced or withdrawn
 * the serial is remembered, so that what is over is not taken again.
 */
#ifndef DPS_REFERENCE_H
#define DPS_REFERENCE_H

#include <uthash.h>

#include "dps/ask.h"
#include "dps/reply.h"
#include "dps/zone.h"

#define REFERENCE_MAX 16384 /* zones: 5 kB each */

struct zone;

/* A range of a child's, in its parent's list. */
struct zone_span {
	struct vnid_range r;
	struct zone *child;
};

struct zone {
	struct delegation d;   /* domain always; the rest while known */
	struct signed_doc doc; /* empty for anchors that were not delegated, as far as we know */
	bool known;	       /* has a delegation, or is an anchor */
	bool anchor;
	struct sign_public signer; /* the parent's key that signed it */
	uint64_t least_serial;	   /* delegations below were replaced or withdrawn */
	uint64_t version;	   /* counts changes to d, over all zones */
	uint64_t asked;		   /* ticks: when its renewal was last asked for; 0: never */
	struct zone *parent;
	struct zone_span *spans; /* of its children, sorted, apart */
	size_t n_spans, room_spans;
	size_t n_children;
	struct zone *prev, *next; /* by use, the latest first */
	UT_hash_handle hh;	  /* by domain */
};

struct reference {
	struct zone *zones, *recent, *root;
	size_t n, max;
	uint64_t versions;
	uint64_t root_serial; /* of the last root zone; 0: none yet */
	int64_t root_issued, root_expires;
};

/* max: zones that are kept; 0: REFERENCE_MAX. Until reference_anchor() has set the root nothing is believed. */
void reference_init(struct reference *ref, size_t max);
void reference_free(struct reference *ref);

/* reference_anchor() - believe this without proof: d->domain "" is the root (servers and keys). Copies. */
void reference_anchor(struct reference *ref, const struct delegation *d);

/*
 * reference_root() - keys and servers of a root zone that zone_open() took;
 * all: its delegations too, and no others of the root (a root server).
 */
void reference_root(struct reference *ref, const struct root_zone *zone, bool all, int64_t now);

/* What became of a delegation. The first three are no faults. */
enum learned {
	LEARN_NEW,
	LEARN_SAME,
	LEARN_OLD, /* we know a newer one */
	LEARN_MALFORMED,
	LEARN_ORPHAN,	 /* its parent is not known, or not believed */
	LEARN_KEY,	 /* signed by a key that its parent hasn't, as far as we know */
	LEARN_FORGED,	 /* the signature is wrong */
	LEARN_TIME,	 /* over, or of the future */
	LEARN_RANGE,	 /* more than its parent has */
	LEARN_WITHDRAWN, /* its parent has taken it back since */
};

/* reference_learn() - believe a delegation, if it is to be believed. *d (may be NULL) is what it says. */
enum learned reference_learn(struct reference *ref, const struct signed_doc *doc, int64_t now,
			     struct delegation *d);
const char *reference_learned_text(enum learned what);

/*
 * reference_withdraw() - `parent` says, at its serial, that it has no such
 * child: the one toward this question is believed no more, and nor is any
 * delegation of it up to this serial. False, and nothing is changed, if we know
 * a child that is newer than this word.
 */
bool reference_withdraw(struct reference *ref, const char *parent, const struct ask *ask, uint64_t serial);

/* Lookups; the result is good until the next call that changes anything. */
struct zone *reference_find(const struct reference *ref,
			    const char *domain); /* known or not; NULL: never seen */
struct zone *reference_get(struct reference *ref, const char *domain, int64_t now); /* believed, or NULL */
bool reference_believed(const struct zone *zone, int64_t now);

/* reference_closest() - the deepest zone that is believed and responsible for the question; NULL: no root. */
struct zone *reference_closest(struct reference *ref, const struct ask *ask, int64_t now);
struct zone *reference_closest_vnid(struct reference *ref, uint32_t vnid, int64_t now);
struct zone *reference_closest_domain(struct reference *ref, const char *domain, int64_t now);

/*
 * reference_chain() - append the delegations from the child of `above` down to
 * `domain`. False, with nothing appended, when one of them is not at hand, or over.
 */
bool reference_chain(const struct reference *ref, const char *above, const char *domain, int64_t now,
		     struct reply *out);

/* reference_ageing() - has most of its time gone, so that it should be renewed? */
bool reference_ageing(const struct zone *zone, int64_t now);

#endif
