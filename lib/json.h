/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Typed reading of JSON that came from outside, over cJSON. Each getter checks
 * type and range and says in struct json_error which field of which object is
 * wrong and why, so that a caller only passes the failure on.
 *
 * All return 0, or -EINVAL with *err filled and *out untouched. Strings handed
 * out belong to the cJSON tree. Names compare case-sensitively.
 */
#ifndef DOVE_JSON_H
#define DOVE_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_INT_MAX ((uint64_t)1 << 53) /* integers up to here survive a JSON number */

struct json_error {
	char object[192]; /* "policy blue/no-db"; "" when none can be named */
	char prefix[96];  /* put before the field names of a nested object: "to." */
	char field[192];  /* "to.endpoints[0]"; "" when none can be named */
	char text[320];	  /* the sentence for people */
};

/* json_fail() - fill field (after the prefix; NULL: none) and text. Returns -EINVAL. */
int json_fail(struct json_error *err, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* json_fail_item() - the same for item i of a list. */
int json_fail_item(struct json_error *err, const char *field, size_t i, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * json_parse() - parse exactly len bytes. The tree is the caller's
 * (cJSON_Delete()). Refuses what follows the value, NUL bytes and "\u0000".
 * The text names line and column. NULL on failure.
 */
cJSON *json_parse(const char *text, size_t len, struct json_error *err);

/* json_only() - every field of obj is in the NULL-ended list, and none is there twice. */
int json_only(const cJSON *obj, const char *const *fields, struct json_error *err);

/* Required fields. Integers: min..max, whole, at most JSON_INT_MAX. */
int json_str(const cJSON *obj, const char *field, const char **out, struct json_error *err);
int json_uint(const cJSON *obj, const char *field, uint64_t min, uint64_t max, uint64_t *out,
	      struct json_error *err);
int json_list(const cJSON *obj, const char *field, size_t max, const cJSON **out, struct json_error *err);

/* The same where the field may be absent: 0 and *out untouched then. */
int json_str_opt(const cJSON *obj, const char *field, const char **out, struct json_error *err);
int json_uint_opt(const cJSON *obj, const char *field, uint64_t min, uint64_t max, uint64_t *out,
		  struct json_error *err);
int json_list_opt(const cJSON *obj, const char *field, size_t max, const cJSON **out, struct json_error *err);
int json_bool_opt(const cJSON *obj, const char *field, bool *out, struct json_error *err);

/* json_get() - the field, or NULL. */
const cJSON *json_get(const cJSON *obj, const char *field);

/* json_whole() - is this number whole and in min..max? Then *out is it. */
bool json_whole(const cJSON *number, uint64_t min, uint64_t max, uint64_t *out);

#endif
