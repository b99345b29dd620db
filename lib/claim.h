/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host signs with its own key, so that who passes it on (a local server) can
 * neither make it up nor change it. The bodies are JSON:
 *
 *   claim         (SIGNED_CLAIM)         {"host": "h1", "network": "acme:blue", "endpoint": "vm1",
 *                                         "revision": 41, "issued": t}
 *   registration  (SIGNED_REGISTRATION)  {"host": "h1", "addresses": ["192.0.2.1"], "issued": t}
 *
 * A claim names the place's revision that the host has read: once the place has
 * changed the same words are worth nothing, whoever repeats them. Of registrations the
 * one issued last is meant. Times are unix seconds.
 */
#ifndef DOVE_CLAIM_H
#define DOVE_CLAIM_H

#include "lib/signed.h"

#define CLAIM_SECONDS 300 /* how old a claim may be, or how far ahead its host's clock */

struct claim {
	const char *host, *network, *endpoint; /* the network as the host calls it */
	uint64_t revision;
	int64_t issued;
};

/* claim_sign() - 0 or -ENOMEM. */
int claim_sign(const struct sign_key *key, const struct claim *claim, struct signed_doc *out);

/*
 * claim_check() - does the document say just this (`issued` apart), by this key, and
 * is it of now? 0, -EKEYREJECTED (not by that key), -EINVAL (says something else), or
 * -ETIME.
 */
int claim_check(const struct signed_doc *doc, const struct sign_public *key, const struct claim *claim,
		int64_t now);

/* claim_host_sign() - addresses: a JSON list of texts, which stays the caller's. 0 or -ENOMEM. */
int claim_host_sign(const struct sign_key *key, const char *host, const cJSON *addresses, int64_t issued,
		    struct signed_doc *out);

/* claim_host_check() - the same for a registration; *issued is when it was. 0, -EKEYREJECTED or -EINVAL. */
int claim_host_check(const struct signed_doc *doc, const struct sign_public *key, const char *host,
		     const cJSON *addresses, int64_t *issued);

/* claim_host_issued() - when, whoever signed it; 0: it does not say. */
int64_t claim_host_issued(const struct signed_doc *doc);

#endif
