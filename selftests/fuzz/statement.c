// SPDX-License-Identifier: Apache-2.0
/* The body of a statement: what is taken says the same when it is written again. */
#include <string.h>

#include "fuzz.h"
#include "lib/cleanup.h"
#include "lib/statement.h"

FUZZ(statement)
{
	struct statement s = {}, again = {};
	struct json_error err = {};
	_free_ char *text = NULL;
	cJSON *json;

	if (statement_parse((const char *)data, size, &s, &err))
		return;
	statement_valid(&s, FUZZ_NOW);
	statement_fresh(&s, FUZZ_NOW);
	fuzz_check(statement_stale_until(&s) >= s.issued, "over before it was made");
	json = fuzz_json(data, size);
	text = statement_render(&s, cJSON_Duplicate(json_get(json, "answer"), true));
	cJSON_Delete(json);
	fuzz_check(!statement_parse(text, strlen(text), &again, &err), "%s: %s in %s", err.field, err.text,
		   text);
	fuzz_check(!memcmp(&s, &again, sizeof(s)), "it says something else: %s", text);
}
