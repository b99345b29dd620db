// SPDX-License-Identifier: Apache-2.0
#include "lib/signed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int signed_make(const struct sign_key *key, const char *context, char *body, struct signed_doc *out)
{
	struct signed_doc doc = { .body = body, .len = body ? strlen(body) : 0 };

	if (!body || sign_bytes(key, context, body, doc.len, doc.sig)) {
		free(body);
		return -ENOMEM;
	}
	sign_id(sign_key_public(key), doc.key);
	*out = doc;
	return 0;
}

static bool is_key(const struct signed_doc *doc, const struct sign_public *key)
{
	char id[SIGN_ID_ROOM];

	sign_id(key, id);
	return !strcmp(id, doc->key);
}

const struct sign_public *signed_by(const struct signed_doc *doc, const char *context,
				    const struct sign_public *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_key(doc, &keys[i]) && sign_verify(&keys[i], context, doc->body, doc->len, doc->sig))
			return &keys[i];
	return NULL;
}

const struct sign_public *signed_named(const struct signed_doc *doc, const struct sign_public *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_key(doc, &keys[i]))
			return &keys[i];
	return NULL;
}

bool signed_equal(const struct signed_doc *a, const struct signed_doc *b)
{
	return a->len == b->len && a->body && b->body && !memcmp(a->body, b->body, a->len) &&
	       !strcmp(a->key, b->key) && !memcmp(a->sig, b->sig, sizeof(a->sig));
}

int signed_copy(const struct signed_doc *from, struct signed_doc *out)
{
	struct signed_doc doc = *from;

	if (from->body) {
		doc.body = strndup(from->body, from->len);
		if (!doc.body)
			return -ENOMEM;
	}
	*out = doc;
	return 0;
}

void signed_free(struct signed_doc *doc)
{
	free(doc->body);
	memset(doc, 0, sizeof(*doc));
}

cJSON *signed_json(const struct signed_doc *doc)
{
	cJSON *out = cJSON_CreateObject();
	char sig[SIGN_TEXT];

	sign_to_text(doc->sig, sizeof(doc->sig), sig);
	cJSON_AddStringToObject(out, "body", doc->body);
	cJSON_AddStringToObject(out, "key", doc->key);
	cJSON_AddStringToObject(out, "sig", sig);
	return out;
}

static int check_lengths(const char *body, const char *key, size_t max, struct json_error *err)
{
	if (!*body || strlen(body) > max)
		return json_fail(err, "body", "'body' takes 1 to %zu bytes", max);
	if (strlen(key) != SIGN_ID_ROOM - 1 || strspn(key, "0123456789abcdef") != SIGN_ID_ROOM - 1)
		return json_fail(err, "key", "'key' must be %d hex digits", SIGN_ID_ROOM - 1);
	return 0;
}

int signed_parse(const cJSON *json, size_t max, struct signed_doc *out, struct json_error *err)
{
	static const char *const fields[] = { "body", "key", "sig", NULL };
	const char *body = NULL, *key = NULL, *sig = NULL;
	struct signed_doc doc = { 0 };
	int rc = cJSON_IsObject(json) ? json_only(json, fields, err)
				      : json_fail(err, NULL, "a signed document is an object");

	rc = rc ? rc : json_str(json, "body", &body, err);
	rc = rc ? rc : json_str(json, "key", &key, err);
	rc = rc ? rc : json_str(json, "sig", &sig, err);
	rc = rc ? rc : check_lengths(body, key, max, err);
	if (!rc && sign_from_text(sig, doc.sig, sizeof(doc.sig)))
		rc = json_fail(err, "sig", "'sig' must be base64 of %d bytes", SIGN_BYTES);
	if (rc)
		return rc;
	doc.len = strlen(body);
	doc.body = strdup(body);
	if (!doc.body)
		return json_fail(err, NULL, "no memory");
	strcpy(doc.key, key);
	*out = doc;
	return 0;
}
