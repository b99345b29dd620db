// SPDX-License-Identifier: Apache-2.0
/* A signed translation, signed for this: what is taken has this one encoding, and an ANSWER that it stands for. */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "lib/translation.h"

static void sign(struct translation_doc *doc)
{
	const struct sign_key *key = fuzz_key();

	sign_id(sign_key_public(key), doc->key);
	fuzz_check(!sign_bytes(key, SIGNED_TRANSLATION, doc->body, doc->len, doc->sig), "no signature");
}

/* As JSON there and back: the same document. */
static void there_and_back(const struct translation_doc *doc)
{
	struct translation_doc again = {};
	struct json_error err = {};
	cJSON *json = translation_doc_json(doc);

	fuzz_check(!translation_doc_parse(json, &again, &err), "%s: %s", err.field, err.text);
	fuzz_check(again.len == doc->len && !memcmp(again.body, doc->body, doc->len) &&
			   !memcmp(again.sig, doc->sig, sizeof(doc->sig)) && !strcmp(again.key, doc->key),
		   "another document");
	cJSON_Delete(json);
	translation_doc_free(&again);
}

FUZZ(translation)
{
	struct translation_doc doc = { .body = (uint8_t *)data, .len = size };
	static struct translation t;
	int rc;

	if (translation_decode(data, size, &t))
		return;
	cJSON_Delete(translation_answer(&t, FUZZ_NOW));
	sign(&doc);
	rc = translation_open(&doc, sign_key_public(fuzz_key()), 1, FUZZ_NOW, &t);
	fuzz_check(rc == 0 || rc == -ETIME || rc == -EAGAIN, "opened with %d", rc);
	there_and_back(&doc);
}
