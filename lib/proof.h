/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host believes, that was given the root's keys and nothing else: zones,
 * by chains of delegations from the root (GET /v1/chain/DOMAIN), and what their
 * keys have signed. It never asks anybody: it says which zone's chain is missing.
 *
 * Believed is a zone whose delegation is of now, signed by a key that its parent
 * has, and gives no VNID that the parent hasn't; and whose parent is believed.
 * Looked at with each use, so what ends above ends below. Times: unix seconds.
 *
 * The root's keys follow one another by successions (lib/succession.h), which the
 * root zone lists (GET /v1/root); that zone's "keys" are those of today.
 */
#ifndef DOVE_PROOF_H
#define DOVE_PROOF_H

#include "lib/delegation.h"
#include "lib/statement.h"
#include "lib/translation.h"

#define PROOF_ROOT_ZONE_MAX                                                                                  \
	((size_t)64 << 20)   /* bytes of a root zone that are taken: 16,384 delegations are 20 MB */
#define PROOF_ZONES_MAX 4096 /* 4 kB each; beyond that nothing new is learnt until old ones end */

struct proofs;

/* proof_open() - keys (1 to ZONE_KEYS_MAX) of the root, copied. NULL: no memory. */
struct proofs *proof_open(const struct sign_public *keys, size_t n);
void proof_close(struct proofs *t); /* NULL is fine */

/*
 * proof_learn() - a chain from the root's child down. All of it that holds is
 * learnt; 0, or of the first that does not: -EINVAL (malformed, or not the child
 * of the one before), -EKEYREJECTED (not signed by a key of its parent's),
 * -ETIME, -EAGAIN (of the future), -ERANGE (more than its parent has), -ENOSPC.
 * An older delegation than the one that is known is no fault, and changes nothing.
 */
int proof_learn(struct proofs *t, const struct signed_doc *chain, size_t n, int64_t now);

/*
 * proof_root() - the root's keys of today, from a root zone: signed by a key that we
 * have, or by a successor of one. Of the zone nothing else is looked at. 0, or with
 * nothing changed: -EINVAL (malformed), -EKEYREJECTED, -ETIME, -EAGAIN, -ESTALE (a
 * newer zone was seen before).
 */
int proof_root(struct proofs *t, const struct signed_doc *zone, int64_t now);

/*
 * proof_translation() - 0 and *out, if its zone has signed it, may speak for the
 * VNID, and all is of now. Else as translation_open() says; -ENOKEY with
 * out->zone: that zone's chain is to be fetched, or fetched anew; -ERANGE: the
 * VNID is not that zone's, or was delegated further.
 */
int proof_translation(const struct proofs *t, const struct translation_doc *doc, int64_t now,
		      struct translation *out);

/*
 * proof_statement() - 0 and *out, if it is a service's or a place's (lib/statement.h), its zone has
 * signed it, it is that zone's to say, and valid. Else -EINVAL (malformed, or of another kind),
 * -ETIME, -ERANGE (not that zone's), -ENOKEY as above, with out->zone.
 */
int proof_statement(const struct proofs *t, const struct signed_doc *doc, int64_t now, struct statement *out);

/* proof_speaks() - may the zone speak for that VNID: believed, its own, and not delegated further? */
bool proof_speaks(const struct proofs *t, const char *zone, uint32_t vnid, int64_t now);

#endif
