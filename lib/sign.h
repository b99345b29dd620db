/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ed25519 (RFC 8032) keys and signatures, by OpenSSL.
 *
 * What is signed is never the bytes alone but "dove/1 CONTEXT", a NUL, and the
 * bytes: the context says what kind of document they are, so that a signature
 * under one kind is worth nothing under another.
 *
 * A key's id is the first eight bytes of SHA-256 over its public half, as hex.
 * It only says which key of a set to try; nothing is believed for it.
 */
#ifndef DOVE_SIGN_H
#define DOVE_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/error.h"

#define SIGN_PUBLIC_BYTES 32
#define SIGN_BYTES 64
#define SIGN_ID_ROOM 17	    /* 16 hex digits and the NUL */
#define SIGN_PUBLIC_TEXT 45 /* base64 of a public key, with the NUL */
#define SIGN_TEXT 89	    /* base64 of a signature, with the NUL */

struct sign_public {
	uint8_t b[SIGN_PUBLIC_BYTES];
};

struct sign_key; /* a private key and its public half */

/* All that return int: 0, or -errno with one line in *err; *out is untouched then. */

int sign_key_make(struct sign_key **out, struct error *err);

/*
 * sign_key_load() - from a PEM file (PKCS #8). -EPERM when others than its
 * owner may read it, -EINVAL when it holds no Ed25519 key.
 */
int sign_key_load(const char *path, struct sign_key **out, struct error *err);

/* sign_key_save() - to a new file of mode 0600, synced. -EEXIST: a key is never overwritten. */
int sign_key_save(const struct sign_key *key, const char *path, struct error *err);

void sign_key_free(struct sign_key *key); /* NULL is fine */
const struct sign_public *sign_key_public(const struct sign_key *key);

/* sign_bytes() - 0, or -ENOMEM. */
int sign_bytes(const struct sign_key *key, const char *context, const void *data, size_t len,
	       uint8_t out[SIGN_BYTES]);
/*
 * Signatures that were found good, by a digest of key, context, data and signature: a
 * digest takes 2 us, Ed25519 100 to 160. Zeroed it is empty; what is new takes old ones' places.
 */
#define SIGN_MEMO_MAX 8192
struct sign_memo {
	uint8_t good[SIGN_MEMO_MAX][32];
	uint64_t again; /* verified by it */
};

/* sign_verify_memo() - sign_verify(), unless that has been done before. memo NULL: none. */
bool sign_verify_memo(struct sign_memo *memo, const struct sign_public *key, const char *context,
		      const void *data, size_t len, const uint8_t sig[SIGN_BYTES]);
bool sign_verify(const struct sign_public *key, const char *context, const void *data, size_t len,
		 const uint8_t sig[SIGN_BYTES]);

bool sign_public_equal(const struct sign_public *a, const struct sign_public *b);
void sign_id(const struct sign_public *key, char out[SIGN_ID_ROOM]);

/*
 * Base64 (RFC 4648, 4) of a known number of bytes. sign_to_text() writes the
 * text with its NUL; sign_from_text() takes only what sign_to_text() would
 * have written: -EINVAL otherwise.
 */
void sign_to_text(const uint8_t *data, size_t len, char *out);
int sign_from_text(const char *text, uint8_t *out, size_t len);

#endif
