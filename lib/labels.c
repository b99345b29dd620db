// SPDX-License-Identifier: Apache-2.0
#include "lib/labels.h"

#include <errno.h>
#include <stdio.h>

static int object_parse(const cJSON *item, uint64_t *label, uint64_t *tc, struct json_error *err)
{
	static const char *const fields[] = { "label", "tc", NULL };
	int rc = json_only(item, fields, err);

	rc = rc ? rc : json_uint(item, "label", LABEL_FIRST, LABEL_LAST, label, err);
	return rc ? rc : json_uint_opt(item, "tc", 0, LABEL_TC_LAST, tc, err);
}

static int label_parse(const cJSON *item, size_t i, uint32_t *out, struct json_error *err)
{
	uint64_t label = 0, tc = 0;
	int rc = 0;

	if (cJSON_IsObject(item)) {
		snprintf(err->prefix, sizeof(err->prefix), "mpls[%zu].", i);
		rc = object_parse(item, &label, &tc, err);
		err->prefix[0] = '\0';
	} else if (!json_whole(item, LABEL_FIRST, LABEL_LAST, &label)) {
		rc = json_fail_item(
			err, "mpls", i,
			"a label is a whole number from %d to %d, or {\"label\": ..., \"tc\": ...}",
			LABEL_FIRST, LABEL_LAST);
	}
	if (!rc)
		*out = LABEL_CODE(label, tc);
	return rc;
}

int labels_parse(const cJSON *obj, struct labels *out, struct json_error *err)
{
	struct labels labels = { .n = 0 };
	const cJSON *list = NULL, *item;
	int rc = json_list_opt(obj, "mpls", LABELS_MAX, &list, err);

	if (!rc && list && !cJSON_GetArraySize(list))
		rc = json_fail(err, "mpls", "a path has 1 to %d labels, or no 'mpls'", LABELS_MAX);
	cJSON_ArrayForEach (item, list) {
		rc = rc ? rc : label_parse(item, labels.n, &labels.at[labels.n], err);
		if (rc)
			return rc;
		labels.n++;
	}
	if (!rc)
		*out = labels;
	return rc;
}

void labels_render(cJSON *obj, const struct labels *labels)
{
	cJSON *list = labels->n ? cJSON_AddArrayToObject(obj, "mpls") : NULL;

	for (size_t i = 0; i < labels->n; i++) {
		cJSON *item = cJSON_CreateObject();

		cJSON_AddNumberToObject(item, "label", labels->at[i] >> 3);
		if (labels->at[i] & LABEL_TC_LAST)
			cJSON_AddNumberToObject(item, "tc", labels->at[i] & LABEL_TC_LAST);
		cJSON_AddItemToArray(list, item);
	}
}
