// SPDX-License-Identifier: Apache-2.0
/* Whom an agent believes, asked about a translation that the tests' key has signed. */
#include <errno.h>

#include "agent/trust.h"
#include "fuzz.h"

static const struct translation about = { .zone = "acme",
					  .vnid = 300,
					  .from_vnid = 300,
					  .source = 7,
					  .outcome = { .verdict = TRANSLATION_DENY, .dscp = -1 },
					  .sequence = 1,
					  .issued = FUZZ_NOW,
					  .expires = FUZZ_NOW + 60 };

FUZZ(trust)
{
	cJSON *json = fuzz_json(data, size);
	static struct translation_doc doc;
	static struct translation out;
	struct trust *trust = NULL;
	struct json_error err = {};
	int rc;

	if (!doc.body)
		fuzz_check(!translation_sign(&about, fuzz_key(), &doc), "no signature");
	if (json && !trust_parse(json, &trust, &err)) {
		rc = trust_open(trust, &doc, FUZZ_NOW, &out);
		fuzz_check(rc == 0 || rc == -EKEYREJECTED || rc == -EACCES || rc == -ENOKEY || rc == -EXDEV,
			   "opened with %d", rc);
		fuzz_check(rc == -EKEYREJECTED || trust_any(trust), "believed, and nobody is");
	}
	trust_free(trust);
	cJSON_Delete(json);
}
