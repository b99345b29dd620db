// SPDX-License-Identifier: Apache-2.0
#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int json_fail(struct json_error *err, const char *field, const char *fmt, ...)
{
	va_list ap;

	snprintf(err->field, sizeof(err->field), "%s%s", field ? err->prefix : "", field ? field : "");
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

int json_fail_item(struct json_error *err, const char *field, size_t i, const char *fmt, ...)
{
	va_list ap;

	snprintf(err->field, sizeof(err->field), "%s%s[%zu]", err->prefix, field, i);
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static cJSON *bad_text(const char *text, const char *at, const char *what, struct json_error *err)
{
	size_t line = 1, column = 1;

	for (const char *p = text; p < at; p++, column++) {
		if (*p == '\n') {
			line++;
			column = 0;
		}
	}
	json_fail(err, NULL, "%s at line %zu, column %zu", what, line, column);
	return NULL;
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return p;
}

cJSON *json_parse(const char *text, size_t len, struct json_error *err)
{
	const char *nul = memchr(text, '\0', len), *esc = memmem(text, len, "\\u0000", 6);
	const char *end = text;
	cJSON *tree;

	if (nul || esc)
		return bad_text(text, nul ? nul : esc, "not usable JSON: a NUL", err);
	tree = cJSON_ParseWithLengthOpts(text, len, &end, false);
	if (!tree)
		return bad_text(text, end, "not JSON: error", err);
	end = skip_blanks(end, text + len);
	if (end == text + len)
		return tree;
	cJSON_Delete(tree);
	return bad_text(text, end, "not JSON: something follows the value", err);
}

/* Most names differ in their first letter, which is seen before strcmp() is called. */
static bool is_same(const char *a, const char *b)
{
	return *a == *b && !strcmp(a, b);
}

static bool is_listed(const char *name, const char *const *fields)
{
	for (; *fields; fields++)
		if (is_same(name, *fields))
			return true;
	return false;
}

int json_only(const cJSON *obj, const char *const *fields, struct json_error *err)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, obj) {
		if (!is_listed(item->string, fields))
			return json_fail(err, item->string, "no such field '%s'", item->string);
		if (json_get(obj, item->string) != item)
			return json_fail(err, item->string, "'%s' is there twice", item->string);
	}
	return 0;
}

const cJSON *json_get(const cJSON *obj, const char *field)
{
	const cJSON *item = obj ? obj->child : NULL;

	while (item && item->string && !is_same(item->string, field))
		item = item->next;
	return item && item->string ? item : NULL;
}

bool json_whole(const cJSON *number, uint64_t min, uint64_t max, uint64_t *out)
{
	double d;

	if (!cJSON_IsNumber(number))
		return false;
	d = number->valuedouble;
	if (!(d >= (double)min && d <= (double)max && d <= (double)JSON_INT_MAX))
		return false;
	if ((double)(uint64_t)d != d)
		return false;
	*out = (uint64_t)d;
	return true;
}

static int missing(const char *field, struct json_error *err)
{
	return json_fail(err, field, "'%s' is missing", field);
}

int json_str_opt(const cJSON *obj, const char *field, const char **out, struct json_error *err)
{
	const cJSON *item = json_get(obj, field);

	if (!item)
		return 0;
	if (!cJSON_IsString(item))
		return json_fail(err, field, "'%s' must be a string", field);
	*out = item->valuestring;
	return 0;
}

int json_uint_opt(const cJSON *obj, const char *field, uint64_t min, uint64_t max, uint64_t *out,
		  struct json_error *err)
{
	const cJSON *item = json_get(obj, field);

	if (!item || json_whole(item, min, max, out))
		return 0;
	return json_fail(err, field, "'%s' must be a whole number from %" PRIu64 " to %" PRIu64, field, min,
			 max);
}

int json_list_opt(const cJSON *obj, const char *field, size_t max, const cJSON **out, struct json_error *err)
{
	const cJSON *item = json_get(obj, field);

	if (!item)
		return 0;
	if (!cJSON_IsArray(item))
		return json_fail(err, field, "'%s' must be a list", field);
	if ((size_t)cJSON_GetArraySize(item) > max)
		return json_fail(err, field, "'%s' has more than %zu items", field, max);
	*out = item;
	return 0;
}

int json_bool_opt(const cJSON *obj, const char *field, bool *out, struct json_error *err)
{
	const cJSON *item = json_get(obj, field);

	if (!item)
		return 0;
	if (!cJSON_IsBool(item))
		return json_fail(err, field, "'%s' must be true or false", field);
	*out = cJSON_IsTrue(item);
	return 0;
}

int json_str(const cJSON *obj, const char *field, const char **out, struct json_error *err)
{
	return json_get(obj, field) ? json_str_opt(obj, field, out, err) : missing(field, err);
}

int json_uint(const cJSON *obj, const char *field, uint64_t min, uint64_t max, uint64_t *out,
	      struct json_error *err)
{
	return json_get(obj, field) ? json_uint_opt(obj, field, min, max, out, err) : missing(field, err);
}

int json_list(const cJSON *obj, const char *field, size_t max, const cJSON **out, struct json_error *err)
{
	return json_get(obj, field) ? json_list_opt(obj, field, max, out, err) : missing(field, err);
}
