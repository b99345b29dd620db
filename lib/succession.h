/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An old key signs its successor: {"old": "<key>", "new": "<key>", "issued": t}
 * under SIGNED_SUCCESSION, signed by `old`. Who was given a key long ago and
 * meets a chain of these arrives at today's. It says nothing of when the old
 * key ceases to count: the list of keys in the root zone, or in a delegation,
 * does.
 */
#ifndef DOVE_SUCCESSION_H
#define DOVE_SUCCESSION_H

#include "lib/signed.h"

#define SUCCESSIONS_MAX 16 /* that a document lists: ten years of a key change every eight months */

/* succession_sign() - 0 or -ENOMEM. */
int succession_sign(const struct sign_key *old, const struct sign_public *successor, int64_t issued,
		    struct signed_doc *out);

/*
 * succession_follow() - add to the *n keys, up to max, every key that is
 * reached from one of them by these documents, in any order. Documents that
 * are malformed or not signed by the key they name as old are passed over.
 */
void succession_follow(const struct signed_doc *docs, size_t n_docs, struct sign_public *keys, size_t *n,
		       size_t max);

#endif
