// SPDX-License-Identifier: Apache-2.0
#include "lib/succession.h"

#include <stdlib.h>
#include <string.h>

int succession_sign(const struct sign_key *old, const struct sign_public *successor, int64_t issued,
		    struct signed_doc *out)
{
	cJSON *json = cJSON_CreateObject();
	char text[SIGN_PUBLIC_TEXT], *body;

	sign_to_text(sign_key_public(old)->b, SIGN_PUBLIC_BYTES, text);
	cJSON_AddStringToObject(json, "old", text);
	sign_to_text(successor->b, SIGN_PUBLIC_BYTES, text);
	cJSON_AddStringToObject(json, "new", text);
	cJSON_AddNumberToObject(json, "issued", (double)issued);
	body = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return signed_make(old, SIGNED_SUCCESSION, body, out);
}

static bool read_key(const cJSON *json, const char *field, struct sign_public *out)
{
	const cJSON *item = json_get(json, field);

	return cJSON_IsString(item) && !sign_from_text(item->valuestring, out->b, SIGN_PUBLIC_BYTES);
}

static bool has(const struct sign_public *keys, size_t n, const struct sign_public *key)
{
	for (size_t i = 0; i < n; i++)
		if (sign_public_equal(&keys[i], key))
			return true;
	return false;
}

/* The new key, if the document is one of a key that is in the set. */
static bool leads_on(const struct signed_doc *doc, const struct sign_public *keys, size_t n,
		     struct sign_public *out)
{
	struct json_error err = { 0 };
	cJSON *json = json_parse(doc->body, doc->len, &err);
	struct sign_public old, successor;
	bool good = read_key(json, "old", &old) && read_key(json, "new", &successor) && has(keys, n, &old) &&
		    signed_by(doc, SIGNED_SUCCESSION, &old, 1);

	cJSON_Delete(json);
	if (good)
		*out = successor;
	return good;
}

void succession_follow(const struct signed_doc *docs, size_t n_docs, struct sign_public *keys, size_t *n,
		       size_t max)
{
	struct sign_public successor;
	bool more = true;

	while (more) { /* ends: each round but the last adds one of at most max keys */
		more = false;
		for (size_t i = 0; i < n_docs && *n < max; i++) {
			if (!leads_on(&docs[i], keys, *n, &successor) || has(keys, *n, &successor))
				continue;
			keys[(*n)++] = successor;
			more = true;
		}
	}
}
