// SPDX-License-Identifier: Apache-2.0
#include "lib/claim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int sign(const struct sign_key *key, const char *context, cJSON *json, struct signed_doc *out)
{
	char *body = cJSON_PrintUnformatted(json);

	cJSON_Delete(json);
	return body ? signed_make(key, context, body, out) : -ENOMEM;
}

static cJSON *parse(const struct signed_doc *doc)
{
	struct json_error err = { 0 };

	return json_parse(doc->body, doc->len, &err);
}

static bool says(const cJSON *json, const char *field, const char *text)
{
	const char *said = cJSON_GetStringValue(json_get(json, field));

	return said && !strcmp(said, text);
}

static int64_t issued_of(const cJSON *json)
{
	uint64_t issued = 0;

	json_whole(json_get(json, "issued"), 1, JSON_INT_MAX, &issued);
	return (int64_t)issued;
}

/* Claims */

int claim_sign(const struct sign_key *key, const struct claim *claim, struct signed_doc *out)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "host", claim->host);
	cJSON_AddStringToObject(json, "network", claim->network);
	cJSON_AddStringToObject(json, "endpoint", claim->endpoint);
	cJSON_AddNumberToObject(json, "revision", (double)claim->revision);
	cJSON_AddNumberToObject(json, "issued", (double)claim->issued);
	return sign(key, SIGNED_CLAIM, json, out);
}

static int claim_says(const cJSON *json, const struct claim *claim, int64_t now)
{
	int64_t age = now - issued_of(json);
	uint64_t revision = 0;

	if (!says(json, "host", claim->host) || !says(json, "network", claim->network) ||
	    !says(json, "endpoint", claim->endpoint) ||
	    !json_whole(json_get(json, "revision"), 0, JSON_INT_MAX, &revision) ||
	    revision != claim->revision)
		return -EINVAL;
	return age > CLAIM_SECONDS || age < -CLAIM_SECONDS ? -ETIME : 0;
}

int claim_check(const struct signed_doc *doc, const struct sign_public *key, const struct claim *claim,
		int64_t now)
{
	cJSON *json;
	int rc;

	if (!signed_by(doc, SIGNED_CLAIM, key, 1))
		return -EKEYREJECTED;
	json = parse(doc);
	rc = claim_says(json, claim, now);
	cJSON_Delete(json);
	return rc;
}

/* Registrations */

int claim_host_sign(const struct sign_key *key, const char *host, const cJSON *addresses, int64_t issued,
		    struct signed_doc *out)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "host", host);
	cJSON_AddItemToObject(json, "addresses", cJSON_Duplicate(addresses, true));
	cJSON_AddNumberToObject(json, "issued", (double)issued);
	return sign(key, SIGNED_REGISTRATION, json, out);
}

int claim_host_check(const struct signed_doc *doc, const struct sign_public *key, const char *host,
		     const cJSON *addresses, int64_t *issued)
{
	cJSON *json;
	bool right;

	if (!signed_by(doc, SIGNED_REGISTRATION, key, 1))
		return -EKEYREJECTED;
	json = parse(doc);
	right = says(json, "host", host) && cJSON_Compare(json_get(json, "addresses"), addresses, true);
	*issued = issued_of(json);
	cJSON_Delete(json);
	return right && *issued ? 0 : -EINVAL;
}

int64_t claim_host_issued(const struct signed_doc *doc)
{
	cJSON *json = parse(doc);
	int64_t issued = issued_of(json);

	cJSON_Delete(json);
	return issued;
}
