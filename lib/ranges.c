// SPDX-License-Identifier: Apache-2.0
#include "lib/ranges.h"

#include <errno.h>
#include <string.h>

/* Where a range that begins at `first` has its place. */
static size_t place_of(const struct vnid_ranges *set, uint32_t first)
{
	size_t i = 0;

	while (i < set->n && set->v[i].first < first)
		i++;
	return i;
}

static void drop(struct vnid_ranges *set, size_t i)
{
	set->n--;
	memmove(&set->v[i], &set->v[i + 1], (set->n - i) * sizeof(*set->v));
}

static void insert(struct vnid_ranges *set, size_t i, uint32_t first, uint32_t last)
{
	memmove(&set->v[i + 1], &set->v[i], (set->n - i) * sizeof(*set->v));
	set->v[i] = (struct vnid_range){ first, last };
	set->n++;
}

int ranges_add(struct vnid_ranges *set, uint32_t first, uint32_t last)
{
	size_t i = place_of(set, first);
	bool joins_left, joins_right;

	if (!first || first > last || last > VNID_LAST)
		return -EINVAL;
	if ((i > 0 && set->v[i - 1].last >= first) || (i < set->n && set->v[i].first <= last))
		return -EEXIST;
	joins_left = i > 0 && set->v[i - 1].last + 1 == first;
	joins_right = i < set->n && set->v[i].first == last + 1;
	if (joins_left && joins_right) {
		set->v[i - 1].last = set->v[i].last;
		drop(set, i);
	} else if (joins_left) {
		set->v[i - 1].last = last;
	} else if (joins_right) {
		set->v[i].first = first;
	} else if (set->n == RANGES_MAX) {
		return -ENOSPC;
	} else {
		insert(set, i, first, last);
	}
	return 0;
}

/* What of range r is left without the set `gone`, added to out. */
static int add_rest(struct vnid_ranges *out, struct vnid_range r, const struct vnid_ranges *gone)
{
	uint32_t at = r.first;
	int rc = 0;

	for (size_t i = 0; !rc && i < gone->n && gone->v[i].first <= r.last; i++) {
		if (gone->v[i].last < at)
			continue;
		if (gone->v[i].first > at)
			rc = ranges_add(out, at, gone->v[i].first - 1);
		at = gone->v[i].last + 1;
	}
	return rc || at > r.last ? rc : ranges_add(out, at, r.last);
}

int ranges_remove(struct vnid_ranges *set, const struct vnid_ranges *gone)
{
	struct vnid_ranges out = { .n = 0 };
	int rc = 0;

	for (size_t i = 0; !rc && i < set->n; i++)
		rc = add_rest(&out, set->v[i], gone);
	if (!rc)
		*set = out;
	return rc;
}

bool ranges_has(const struct vnid_ranges *set, uint32_t vnid)
{
	for (size_t i = 0; i < set->n; i++)
		if (vnid >= set->v[i].first && vnid <= set->v[i].last)
			return true;
	return false;
}

bool ranges_equal(const struct vnid_ranges *a, const struct vnid_ranges *b)
{
	return a->n == b->n && !memcmp(a->v, b->v, a->n * sizeof(*a->v));
}

/* Is the range inside one of the set's? They are apart, so it cannot be inside two. */
static bool holds(const struct vnid_ranges *set, struct vnid_range r, uint32_t *vnid)
{
	*vnid = r.first;
	for (size_t i = 0; i < set->n; i++) {
		if (r.first < set->v[i].first || r.first > set->v[i].last)
			continue;
		*vnid = set->v[i].last + 1;
		return r.last <= set->v[i].last;
	}
	return false;
}

bool ranges_exceed(const struct vnid_ranges *inner, const struct vnid_ranges *outer, uint32_t *vnid)
{
	for (size_t i = 0; i < inner->n; i++)
		if (!holds(outer, inner->v[i], vnid))
			return true;
	return false;
}

bool ranges_meet(const struct vnid_ranges *a, const struct vnid_ranges *b, uint32_t *vnid)
{
	for (size_t i = 0, j = 0; i < a->n && j < b->n;) {
		uint32_t first = a->v[i].first > b->v[j].first ? a->v[i].first : b->v[j].first;

		if (first <= a->v[i].last && first <= b->v[j].last) {
			*vnid = first;
			return true;
		}
		if (a->v[i].last < b->v[j].last)
			i++;
		else
			j++;
	}
	return false;
}

uint32_t ranges_next(const struct vnid_ranges *set, uint32_t after)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->v[i].last > after)
			return set->v[i].first > after ? set->v[i].first : after + 1;
	return 0;
}

/* JSON */

cJSON *ranges_json(const struct vnid_ranges *set)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < set->n; i++) {
		const double pair[] = { set->v[i].first, set->v[i].last };

		cJSON_AddItemToArray(list, cJSON_CreateDoubleArray(pair, 2));
	}
	return list;
}

int range_parse(const cJSON *pair, const char *field, size_t i, struct vnid_range *out,
		struct json_error *err)
{
	uint64_t first = 0, last = 0;

	if (!cJSON_IsArray(pair) || cJSON_GetArraySize(pair) != 2 ||
	    !json_whole(cJSON_GetArrayItem(pair, 0), 1, VNID_LAST, &first) ||
	    !json_whole(cJSON_GetArrayItem(pair, 1), 1, VNID_LAST, &last) || first > last)
		return json_fail_item(err, field, i, "a range is [FIRST, LAST], VNIDs from 1 to %d",
				      VNID_LAST);
	*out = (struct vnid_range){ first, last };
	return 0;
}

int ranges_parse(const cJSON *obj, const char *field, struct vnid_ranges *out, struct json_error *err)
{
	struct vnid_ranges set = { .n = 0 };
	const cJSON *list = NULL, *item;
	struct vnid_range r = { 0, 0 };
	size_t i = 0;
	int rc = json_list(obj, field, RANGES_MAX, &list, err);

	if (rc)
		return rc;
	cJSON_ArrayForEach (item, list) {
		rc = range_parse(item, field, i, &r, err);
		if (!rc && ranges_add(&set, r.first, r.last))
			rc = json_fail_item(err, field, i, "[%u, %u] overlaps another range of the list",
					    r.first, r.last);
		if (rc)
			return rc;
		i++;
	}
	if (!set.n)
		return json_fail(err, field, "'%s' must not be empty", field);
	*out = set;
	return 0;
}
