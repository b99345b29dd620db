// SPDX-License-Identifier: Apache-2.0
/* Whom an agent believes, asked about a translation that the tests' key has signed. */
#include <errno.h>

#include "agent/trust.h"
#include "fuzz.h"

FUZZ(trust)
{
	cJSON *json = fuzz_json(data, size);
	static struct translation_doc doc;
	static struct translation out;
	struct trust *trust = NULL;
	struct json_error err = {};
	int rc;

	if (!doc.body)
		fuzz_translation("acme", &doc);
	if (json && !trust_parse(json, &trust, &err)) {
		rc = trust_open(trust, &doc, FUZZ_NOW, &out);
		fuzz_check(rc == 0 || rc == -EKEYREJECTED || rc == -EACCES || rc == -ENOKEY || rc == -EXDEV,
			   "opened with %d", rc);
		fuzz_check(rc == -EKEYREJECTED || trust_any(trust), "believed, and nobody is");
	}
	trust_free(trust);
	cJSON_Delete(json);
}
