// SPDX-License-Identifier: Apache-2.0
#include "lib/sign.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/cleanup.h"

#define PREFIX "dove/1 "
#define ID_BYTES 8

struct sign_key {
	EVP_PKEY *pkey;
	struct sign_public public;
};

static void cleanup_digest(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

#define _digest_ __attribute__((cleanup(cleanup_digest)))

/* Keys */

/* Takes pkey over, in any case. */
static int wrap(EVP_PKEY *pkey, struct sign_key **out)
{
	struct sign_key *key = calloc(1, sizeof(*key));
	size_t len = SIGN_PUBLIC_BYTES;

	if (!key || EVP_PKEY_get_raw_public_key(pkey, key->public.b, &len) != 1) {
		free(key);
		EVP_PKEY_free(pkey);
		return -ENOMEM;
	}
	key->pkey = pkey;
	*out = key;
	return 0;
}

int sign_key_make(struct sign_key **out, struct error *err)
{
	EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	if (!pkey)
		return error_set(err, -EIO, "cannot make an Ed25519 key");
	return wrap(pkey, out) ? error_set(err, -ENOMEM, "no memory for a key") : 0;
}

static int open_private(const char *path, FILE **out, struct error *err)
{
	_fclose_ FILE *file = fopen(path, "re");
	struct stat st;

	if (!file || fstat(fileno(file), &st))
		return error_set(err, -errno, "cannot read key %s: %m", path);
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return error_set(err, -EPERM, "key %s may be read by others than its owner", path);
	*out = take_ptr(file);
	return 0;
}

int sign_key_load(const char *path, struct sign_key **out, struct error *err)
{
	_fclose_ FILE *file = NULL;
	EVP_PKEY *pkey;
	int rc = open_private(path, &file, err);

	if (rc)
		return rc;
	pkey = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	if (pkey && EVP_PKEY_is_a(pkey, "ED25519"))
		return wrap(pkey, out) ? error_set(err, -ENOMEM, "no memory for a key") : 0;
	EVP_PKEY_free(pkey);
	return error_set(err, -EINVAL, "%s holds no Ed25519 private key in PEM", path);
}

int sign_key_save(const struct sign_key *key, const char *path, struct error *err)
{
	_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	_fclose_ FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
	int rc = 0;

	if (!file)
		return error_set(err, -errno, "cannot make key file %s: %m", path);
	(void)take_fd(fd);
	errno = 0;
	if (PEM_write_PrivateKey(file, key->pkey, NULL, NULL, 0, NULL, NULL) != 1 || fflush(file) ||
	    fsync(fileno(file)))
		rc = error_set(err, errno ? -errno : -EIO, "cannot write key file %s: %m", path);
	if (rc)
		unlink(path);
	return rc;
}

void sign_key_free(struct sign_key *key)
{
	if (key)
		EVP_PKEY_free(key->pkey);
	free(key);
}

const struct sign_public *sign_key_public(const struct sign_key *key)
{
	return &key->public;
}

bool sign_public_equal(const struct sign_public *a, const struct sign_public *b)
{
	return !memcmp(a, b, sizeof(*a));
}

void sign_id(const struct sign_public *key, char out[SIGN_ID_ROOM])
{
	uint8_t digest[SHA256_DIGEST_LENGTH];

	SHA256(key->b, sizeof(key->b), digest);
	for (int i = 0; i < ID_BYTES; i++)
		snprintf(out + 2 * i, 3, "%02x", digest[i]);
}

/* Signatures */

/* What is signed; the caller's. Ed25519 takes its input in one piece. */
static uint8_t *message(const char *context, const void *data, size_t len, size_t *total)
{
	size_t head = strlen(PREFIX) + strlen(context) + 1;
	uint8_t *out = malloc(head + len);

	if (!out)
		return NULL;
	snprintf((char *)out, head, PREFIX "%s", context);
	if (len)
		memcpy(out + head, data, len);
	*total = head + len;
	return out;
}

int sign_bytes(const struct sign_key *key, const char *context, const void *data, size_t len,
	       uint8_t out[SIGN_BYTES])
{
	size_t total = 0, n = SIGN_BYTES;
	_free_ uint8_t *text = message(context, data, len, &total);
	_digest_ EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	if (!text || !ctx || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) != 1 ||
	    EVP_DigestSign(ctx, out, &n, text, total) != 1)
		return -ENOMEM;
	return 0;
}

bool sign_verify(const struct sign_public *key, const char *context, const void *data, size_t len,
		 const uint8_t sig[SIGN_BYTES])
{
	size_t total = 0;
	_free_ uint8_t *text = message(context, data, len, &total);
	_digest_ EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key->b, sizeof(key->b));
	bool good = text && ctx && pkey && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
		    EVP_DigestVerify(ctx, sig, SIGN_BYTES, text, total) == 1;

	EVP_PKEY_free(pkey);
	return good;
}

static bool digest_of(const struct sign_public *key, const char *context, const void *data, size_t len,
		      const uint8_t sig[SIGN_BYTES], uint8_t out[SHA256_DIGEST_LENGTH])
{
	_digest_ EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	/* All but the data is of one length, or ends in a NUL. */
	return ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
	       EVP_DigestUpdate(ctx, key->b, sizeof(key->b)) == 1 &&
	       EVP_DigestUpdate(ctx, sig, SIGN_BYTES) == 1 &&
	       EVP_DigestUpdate(ctx, context, strlen(context) + 1) == 1 &&
	       EVP_DigestUpdate(ctx, data, len) == 1 && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
}

bool sign_verify_memo(struct sign_memo *memo, const struct sign_public *key, const char *context,
		      const void *data, size_t len, const uint8_t sig[SIGN_BYTES])
{
	uint8_t digest[SHA256_DIGEST_LENGTH], *place;
	uint32_t at;

	if (!memo || !digest_of(key, context, data, len, sig, digest))
		return sign_verify(key, context, data, len, sig);
	memcpy(&at, digest, sizeof(at));
	place = memo->good[at % SIGN_MEMO_MAX];
	if (!memcmp(place, digest, sizeof(digest))) {
		memo->again++;
		return true;
	}
	if (!sign_verify(key, context, data, len, sig))
		return false;
	memcpy(place, digest, sizeof(digest));
	return true;
}

/* Base64 */

static size_t text_len(size_t len)
{
	return (len + 2) / 3 * 4;
}

void sign_to_text(const uint8_t *data, size_t len, char *out)
{
	EVP_EncodeBlock((unsigned char *)out, data, (int)len);
}

int sign_from_text(const char *text, uint8_t *out, size_t len)
{
	size_t want = text_len(len);
	_free_ uint8_t *raw = malloc(want);
	_free_ char *again = malloc(want + 1);

	if (!raw || !again || strlen(text) != want ||
	    EVP_DecodeBlock(raw, (const unsigned char *)text, (int)want) < 0)
		return -EINVAL;
	sign_to_text(raw, len, again); /* one text for each value: no stray bits, blanks or padding */
	if (strcmp(text, again))
		return -EINVAL;
	memcpy(out, raw, len);
	return 0;
}
