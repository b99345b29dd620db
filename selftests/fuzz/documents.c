// SPDX-License-Identifier: Apache-2.0
/* Signed documents as JSON, of both kinds: what is taken is sent on as it came. */
#include "fuzz.h"
#include "lib/signed.h"
#include "lib/translation.h"

static void as_translation(const cJSON *json)
{
	static struct translation t;
	struct translation_doc doc = {};
	struct json_error err = {};

	if (translation_doc_parse(json, &doc, &err))
		return;
	translation_open(&doc, sign_key_public(fuzz_key()), 1, FUZZ_NOW, &t);
	cJSON_Delete(translation_doc_json(&doc));
	translation_doc_free(&doc);
}

static void as_document(const cJSON *json)
{
	struct signed_doc doc = {}, again = {};
	struct json_error err = {};
	cJSON *out;

	if (signed_parse(json, SIGNED_BODY_MAX, &doc, &err))
		return;
	signed_by(&doc, SIGNED_STATEMENT, sign_key_public(fuzz_key()), 1);
	out = signed_json(&doc);
	fuzz_check(!signed_parse(out, SIGNED_BODY_MAX, &again, &err), "%s: %s", err.field, err.text);
	fuzz_check(signed_equal(&doc, &again), "another document");
	cJSON_Delete(out);
	signed_free(&doc);
	signed_free(&again);
}

FUZZ(documents)
{
	cJSON *json = fuzz_json(data, size);

	as_translation(json);
	as_document(json);
	cJSON_Delete(json);
}
