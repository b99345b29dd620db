/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A signed document: bytes, and one signature over exactly these bytes as they
 * were sent. Nothing is ever rendered again to be verified. As JSON:
 *
 *   {"body": "<the bytes, as a string>", "key": "<key id>", "sig": "<base64>"}
 *
 * The bytes are JSON text themselves, without NUL; inside a CBOR message they
 * travel as a byte string beside key and sig. The contexts (lib/sign.h) are
 * named here, one for each kind of document.
 */
#ifndef DOVE_SIGNED_H
#define DOVE_SIGNED_H

#include "lib/json.h"
#include "lib/sign.h"

#define SIGNED_DELEGATION "delegation" /* lib/delegation.h */
#define SIGNED_STATEMENT "statement"   /* lib/statement.h */
#define SIGNED_SUCCESSION "succession" /* lib/succession.h */
#define SIGNED_CLAIM "claim"	       /* lib/claim.h, as is the next */
#define SIGNED_REGISTRATION "registration"
#define SIGNED_ROOT_ZONE "root zone" /* dps/zone.h */

#define SIGNED_BODY_MAX ((size_t)64 << 10) /* of all but a root zone: an answer's 8 rules take 4 kB */

/* The owner frees with signed_free(). A zeroed one is empty. */
struct signed_doc {
	char *body; /* len bytes and a NUL */
	size_t len;
	char key[SIGN_ID_ROOM];
	uint8_t sig[SIGN_BYTES];
};

/* signed_make() - take body (malloc'ed) over, in any case, and sign it. 0 or -ENOMEM. */
int signed_make(const struct sign_key *key, const char *context, char *body, struct signed_doc *out);

/* signed_by() - the one of the n keys that signed it under this context, or NULL. */
const struct sign_public *signed_by(const struct signed_doc *doc, const char *context,
				    const struct sign_public *keys, size_t n);

/* signed_named() - the one of the n keys that it says it was signed by, or NULL. It proves nothing. */
const struct sign_public *signed_named(const struct signed_doc *doc, const struct sign_public *keys,
				       size_t n);

bool signed_equal(const struct signed_doc *a, const struct signed_doc *b);
int signed_copy(const struct signed_doc *from, struct signed_doc *out); /* 0 or -ENOMEM */
void signed_free(struct signed_doc *doc);				/* leaves it empty */

cJSON *signed_json(const struct signed_doc *doc); /* the caller's */

/* signed_parse() - 0, or -EINVAL with *err and *out untouched; max: bytes of body that are taken. */
int signed_parse(const cJSON *json, size_t max, struct signed_doc *out, struct json_error *err);

#endif
