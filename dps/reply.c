// SPDX-License-Identifier: Apache-2.0
#include "dps/reply.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const statuses[] = {
	[REPLY_ANSWER] = "answer", [REPLY_REFERRAL] = "referral", [REPLY_ROOT] = "root",
	[REPLY_BEHIND] = "behind", [REPLY_NOT_MINE] = "not_mine", [REPLY_FAILED] = "failed",
	[REPLY_LOOP] = "loop",
};

const char *reply_status_name(enum reply_status status)
{
	return statuses[status];
}

void reply_free(struct reply *reply)
{
	signed_free(&reply->doc);
	for (size_t i = 0; i < reply->n_chain; i++)
		signed_free(&reply->chain[i]);
	memset(reply, 0, sizeof(*reply));
}

void reply_add(struct reply *reply, const struct signed_doc *doc)
{
	if (reply->n_chain < REPLY_CHAIN_MAX && !signed_copy(doc, &reply->chain[reply->n_chain]))
		reply->n_chain++;
}

void reply_say(struct reply *reply, enum reply_status status, const char *fmt, ...)
{
	va_list ap;

	reply->status = status;
	va_start(ap, fmt);
	vsnprintf(reply->reason, sizeof(reply->reason), fmt, ap);
	va_end(ap);
}

cJSON *reply_json(const struct reply *reply)
{
	cJSON *out = cJSON_CreateObject(), *chain;

	cJSON_AddStringToObject(out, "status", statuses[reply->status]);
	if (*reply->reason)
		cJSON_AddStringToObject(out, "reason", reply->reason);
	if (reply->doc.body)
		cJSON_AddItemToObject(out, reply->status == REPLY_ROOT ? "root" : "statement",
				      signed_json(&reply->doc));
	if (!reply->n_chain)
		return out;
	chain = cJSON_AddArrayToObject(out, "chain");
	for (size_t i = 0; i < reply->n_chain; i++)
		cJSON_AddItemToArray(chain, signed_json(&reply->chain[i]));
	return out;
}

static int parse_status(const cJSON *json, struct reply *out, struct json_error *err)
{
	const char *status = NULL;
	int rc = json_str(json, "status", &status, err);

	for (int i = 0; !rc && i < REPLY_STATUSES; i++) {
		if (strcmp(statuses[i], status))
			continue;
		out->status = i;
		return 0;
	}
	return rc ? rc : json_fail(err, "status", "no such status: '%.40s'", status);
}

static int parse_chain(const cJSON *json, struct reply *out, struct json_error *err)
{
	const cJSON *list = NULL, *item;
	int rc = json_list_opt(json, "chain", REPLY_CHAIN_MAX, &list, err);

	cJSON_ArrayForEach (item, list) {
		snprintf(err->prefix, sizeof(err->prefix), "chain[%zu].", out->n_chain);
		rc = rc ? rc : signed_parse(item, SIGNED_BODY_MAX, &out->chain[out->n_chain], err);
		if (rc)
			return rc;
		out->n_chain++;
	}
	err->prefix[0] = '\0';
	return rc;
}

static int parse_doc(const cJSON *json, const char *field, size_t max, struct reply *out,
		     struct json_error *err)
{
	const cJSON *item = json_get(json, field);
	int rc;

	if (!item)
		return json_fail(err, field, "'%s' is missing", field);
	snprintf(err->prefix, sizeof(err->prefix), "%s.", field);
	rc = signed_parse(item, max, &out->doc, err);
	err->prefix[0] = '\0';
	return rc;
}

static int parse_fields(const cJSON *json, struct reply *out, struct json_error *err)
{
	const char *reason = "";
	int rc = cJSON_IsObject(json) ? 0 : json_fail(err, NULL, "a reply is an object");

	rc = rc ? rc : parse_status(json, out, err);
	rc = rc ? rc : json_str_opt(json, "reason", &reason, err);
	rc = rc ? rc : parse_chain(json, out, err);
	if (!rc && out->status == REPLY_ANSWER)
		rc = parse_doc(json, "statement", SIGNED_BODY_MAX, out, err);
	if (!rc && out->status == REPLY_ROOT)
		rc = parse_doc(json, "root", ROOT_ZONE_BODY_MAX, out, err);
	snprintf(out->reason, sizeof(out->reason), "%s", reason);
	return rc;
}

int reply_parse(const cJSON *json, struct reply *out, struct json_error *err)
{
	int rc;

	memset(out, 0, sizeof(*out));
	rc = parse_fields(json, out, err);
	if (rc)
		reply_free(out);
	return rc;
}
