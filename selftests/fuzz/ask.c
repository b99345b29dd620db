// SPDX-License-Identifier: Apache-2.0
/* A question between servers: what is taken says the same when it is sent on. */
#include <string.h>

#include "dps/ask.h"
#include "fuzz.h"

FUZZ(ask)
{
	cJSON *json = fuzz_json(data, size), *out;
	static struct ask ask, again;
	static struct errand errand, other;
	struct json_error err = {};
	char domain[DOMAIN_ROOM], text[ASK_TEXT];

	if (json && !ask_parse(json, &ask, &errand, &err)) {
		ask_text(&ask, false, text);
		ask_domain(&ask, domain);
		out = ask_json(&ask, &errand);
		fuzz_check(!ask_parse(out, &again, &other, &err), "%s: %s", err.field, err.text);
		fuzz_check(!memcmp(&ask, &again, sizeof(ask)), "another question");
		fuzz_check(!memcmp(&errand, &other, sizeof(errand)), "another errand");
		cJSON_Delete(out);
	}
	cJSON_Delete(json);
}
