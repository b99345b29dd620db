// SPDX-License-Identifier: Apache-2.0
/* The typed reading of JSON: whatever the tree is, each getter says what it is or why not. */
#include <string.h>

#include "fuzz.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/ranges.h"

static void read_field(const cJSON *json, const char *name)
{
	struct json_error err = {};
	struct vnid_ranges ranges;
	const char *text = NULL;
	const cJSON *list = NULL;
	uint64_t n = 0;
	bool yes;

	json_str(json, name, &text, &err);
	if (!json_uint(json, name, 3, JSON_INT_MAX, &n, &err))
		fuzz_check(n >= 3 && n <= JSON_INT_MAX, "%llu is out of range", (unsigned long long)n);
	json_list(json, name, 4, &list, &err);
	json_bool_opt(json, name, &yes, &err);
	if (!ranges_parse(json, name, &ranges, &err)) {
		cJSON *out = ranges_json(&ranges);

		fuzz_check(ranges.n && ranges.n <= RANGES_MAX && cJSON_IsArray(out), "%zu ranges", ranges.n);
		cJSON_Delete(out);
	}
	fuzz_check(strlen(err.text) < sizeof(err.text) && strlen(err.field) < sizeof(err.field), "no end");
}

FUZZ(json)
{
	static const char *const fields[] = { "a", "b", "c", NULL };
	cJSON *json = fuzz_json(data, size);
	struct json_error err = {};
	_free_ char *text = NULL;

	if (!json)
		return;
	for (const char *const *name = fields; cJSON_IsObject(json) && *name; name++)
		read_field(json, *name);
	if (cJSON_IsObject(json))
		json_only(json, fields, &err);
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	json = json_parse(text, strlen(text), &err);
	fuzz_check(json, "what was printed is not taken: %s: %s", err.text, text);
	cJSON_Delete(json);
}
