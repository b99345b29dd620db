// SPDX-License-Identifier: Apache-2.0
/*
 * A file of objects, as `dovectl apply` takes it, into a service that has
 * nothing yet. Each object's canonical form stands for itself, all of them are
 * put in place or none, and a second time nothing changes.
 */
#include <string.h>

#include "dps/commit.h"
#include "fuzz.h"

#define OBJECTS_MAX 256

static void canonical(const struct spec *spec)
{
	struct spec *again = NULL;
	struct json_error err = {};
	cJSON *json = json_parse(spec->body, strlen(spec->body), &err);

	fuzz_check(json && !objects_parse(json, &again, &err), "%s: %s in %s", err.field, err.text,
		   spec->body);
	fuzz_check(!strcmp(spec->body, again->body) && !strcmp(spec->key, again->key), "%s\n%s", spec->body,
		   again->body);
	objects_free(again);
	cJSON_Delete(json);
}

/* What of the list is an object; how many. */
static size_t parse_all(const cJSON *list, struct spec **specs)
{
	const cJSON *one;
	size_t n = 0;

	cJSON_ArrayForEach (one, list) {
		struct json_error err = {};

		if (n == OBJECTS_MAX || objects_parse(one, &specs[n], &err))
			continue;
		canonical(specs[n++]);
	}
	return n;
}

static int apply(struct model *m, const cJSON *list, struct commit_counts *counts)
{
	struct commit_context ctx = { .m = m, .now = FUZZ_NOW, .lifetime = 3600 };
	struct spec *specs[OBJECTS_MAX];
	struct json_error err = {};
	size_t n = parse_all(list, specs);

	return commit_apply(&ctx, specs, n, ANY_REVISION, counts, &err);
}

static size_t count(const struct model *m)
{
	size_t n = 0;

	for (int kind = 0; kind < KIND_COUNT; kind++)
		n += HASH_COUNT(m->by_key[kind]);
	return n;
}

FUZZ(objects)
{
	cJSON *json = fuzz_json(data, size);
	struct commit_counts counts = {};
	struct model m;

	if (!cJSON_IsArray(json)) {
		cJSON_Delete(json);
		return;
	}
	model_init(&m);
	if (apply(&m, json, &counts)) {
		fuzz_check(!count(&m), "refused, but %zu objects are there", count(&m));
	} else {
		counts = (struct commit_counts){};
		fuzz_check(!apply(&m, json, &counts) && !counts.changed, "the same changes %u objects",
			   counts.changed);
	}
	model_free(&m);
	cJSON_Delete(json);
}
