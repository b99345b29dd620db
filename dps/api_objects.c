// SPDX-License-Identifier: Apache-2.0
/* Objects of all kinds: apply, get, put, delete. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/api.h"
#include "dps/link.h"
#include "lib/cleanup.h"

static void free_specs(struct spec **specs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		objects_free(specs[i]);
}

/* Parses a list of objects; *n of them are the caller's also on failure. */
static int parse_all(const cJSON *list, struct spec **specs, size_t *n, struct json_error *err)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, list) {
		int rc = objects_parse(item, &specs[*n], err);

		if (rc && (!*err->object || !strchr(err->object, ' ')))
			snprintf(err->object, sizeof(err->object), "object %zu", *n + 1);
		if (rc)
			return rc;
		++*n;
	}
	return 0;
}

void api_apply(struct api_call *call)
{
	cJSON *json = api_body(call, APPLY_BODY_MAX), *out;
	struct commit_context ctx = api_context(call->api);
	struct commit_counts counts = { 0 };
	struct json_error err = { 0 };
	_free_ struct spec **specs = NULL;
	size_t n = 0;
	int rc;

	if (!json)
		return;
	specs = mem_alloc(((size_t)cJSON_GetArraySize(json) + 1) * sizeof(*specs));
	rc = cJSON_IsArray(json) ? parse_all(json, specs, &n, &err)
				 : json_fail(&err, NULL, "what is applied is a JSON list of objects");
	cJSON_Delete(json);
	if (rc)
		free_specs(specs, n);
	else
		rc = commit_apply(&ctx, specs, n, ANY_REVISION, &counts, &err);
	if (rc) {
		api_refuse(call, rc, &err);
		return;
	}
	out = cJSON_CreateObject();
	cJSON_AddNumberToObject(out, "changed", counts.changed);
	cJSON_AddNumberToObject(out, "unchanged", counts.unchanged);
	api_reply(call, HTTP_OK, out);
}

/* The kind that the path names, or a refusal. */
static int kind_of(struct api_call *call)
{
	struct json_error err = { 0 };
	int kind = objects_kind(call->args[0]);

	if (kind >= 0)
		return kind;
	json_fail(&err, NULL, "no such kind '%.60s'", call->args[0]);
	api_refuse(call, -ENOENT, &err);
	return kind;
}

static void key_of(const struct api_call *call, char *key)
{
	if (call->n_args == 3)
		snprintf(key, KEY_ROOM, "%.63s/%.63s", call->args[1], call->args[2]);
	else
		snprintf(key, KEY_ROOM, "%.127s", call->args[1]);
}

static bool is_shown(const struct object *obj)
{
	return obj->kind != KIND_POLICY || obj != &obj->net->fallback->o;
}

void api_list_objects(struct api_call *call)
{
	int kind = kind_of(call);
	const struct object *obj;
	cJSON *list;

	if (kind < 0)
		return;
	list = cJSON_CreateArray();
	for (obj = call->api->model.by_key[kind]; obj; obj = obj->hh.next)
		if (is_shown(obj))
			cJSON_AddItemToArray(list, cJSON_CreateRaw(obj->spec->body));
	api_reply(call, HTTP_OK, list);
}

static void refuse_missing(struct api_call *call, int kind, const char *key)
{
	struct json_error err = { 0 };

	snprintf(err.object, sizeof(err.object), "%s %s", objects_kind_name(kind), key);
	json_fail(&err, NULL, "no such %s '%s'", objects_kind_name(kind), key);
	api_refuse(call, -ENOENT, &err);
}

static void reply_object(struct api_call *call, const struct object *obj)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(call->req);
	char etag[32];

	snprintf(etag, sizeof(etag), "\"%llu\"", (unsigned long long)obj->revision);
	evhttp_add_header(headers, "ETag", etag);
	api_reply(call, HTTP_OK, cJSON_CreateRaw(obj->spec->body));
}

void api_get_object(struct api_call *call)
{
	int kind = kind_of(call);
	const struct object *obj;
	char key[KEY_ROOM];

	if (kind < 0)
		return;
	key_of(call, key);
	obj = model_find(&call->api->model, kind, key);
	if (obj && is_shown(obj))
		reply_object(call, obj);
	else
		refuse_missing(call, kind, key);
}

/* The revision that If-Match names: "R", in quotes. */
static int read_if_match(const struct api_call *call, uint64_t *out, struct json_error *err)
{
	const char *text = evhttp_find_header(evhttp_request_get_input_headers(call->req), "If-Match");
	char *end;

	*out = ANY_REVISION;
	if (!text || !strcmp(text, "*"))
		return 0;
	if (*text == '"' && text[1] >= '0' && text[1] <= '9') {
		*out = strtoull(text + 1, &end, 10);
		if (!strcmp(end, "\""))
			return 0;
	}
	return json_fail(err, "If-Match", "'%.60s' is not a revision in quotes", text);
}

static int parse_one(int kind, const char *key, const cJSON *json, struct spec **out, struct json_error *err)
{
	int rc = objects_parse(json, out, err);

	if (rc || ((int)(*out)->kind == kind && !strcmp((*out)->key, key)))
		return rc;
	objects_free(*out);
	return json_fail(err, "name", "the body is not that of %s %s", objects_kind_name(kind), key);
}

void api_put_object(struct api_call *call)
{
	struct commit_context ctx = api_context(call->api);
	struct commit_counts counts;
	struct json_error err = { 0 };
	int kind = kind_of(call), rc;
	uint64_t if_match;
	struct spec *spec;
	char key[KEY_ROOM];
	cJSON *json;

	if (kind < 0)
		return;
	key_of(call, key);
	json = api_body(call, BODY_MAX);
	if (!json)
		return;
	rc = read_if_match(call, &if_match, &err);
	rc = rc ? rc : parse_one(kind, key, json, &spec, &err);
	cJSON_Delete(json);
	rc = rc ? rc : commit_apply(&ctx, &spec, 1, if_match, &counts, &err);
	if (rc)
		api_refuse(call, rc, &err);
	else
		reply_object(call, model_find(&call->api->model, kind, key));
}

void api_delete_object(struct api_call *call)
{
	struct commit_context ctx = api_context(call->api);
	struct json_error err = { 0 };
	int kind = kind_of(call), rc;
	uint64_t if_match;
	char key[KEY_ROOM];

	if (kind < 0)
		return;
	key_of(call, key);
	rc = read_if_match(call, &if_match, &err);
	rc = rc ? rc : commit_delete(&ctx, kind, key, if_match, &err);
	if (rc)
		api_refuse(call, rc, &err);
	else
		api_reply(call, HTTP_OK, cJSON_CreateObject());
}
