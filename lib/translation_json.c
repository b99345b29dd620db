// SPDX-License-Identifier: Apache-2.0
/* Translations and their signatures as the JSON of docs/api.md. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/translation.h"

static const char *const verdicts[TRANSLATION_VERDICTS] = {
	[TRANSLATION_ALLOW] = "allow",	       [TRANSLATION_DENY] = "deny",
	[TRANSLATION_GATEWAY] = "gateway",     [TRANSLATION_NO_ENDPOINT] = "no_endpoint",
	[TRANSLATION_NO_SOURCE] = "no_source",
};

/* The signed bytes */

static size_t text_len(size_t len)
{
	return (len + 2) / 3 * 4;
}

cJSON *translation_doc_json(const struct translation_doc *doc)
{
	_free_ char *body = malloc(text_len(doc->len) + 1);
	cJSON *out = cJSON_CreateObject();
	char sig[SIGN_TEXT];

	sign_to_text(doc->sig, sizeof(doc->sig), sig);
	if (body)
		sign_to_text(doc->body, doc->len, body);
	cJSON_AddStringToObject(out, "body", body ? body : "");
	cJSON_AddStringToObject(out, "key", doc->key);
	cJSON_AddStringToObject(out, "sig", sig);
	return out;
}

/* How many bytes a base64 text of whole groups stands for; 0: none, or too many. */
static size_t body_len(const char *text)
{
	size_t len = strlen(text), padding = 0;

	if (!len || len % 4 || len > text_len(TRANSLATION_MAX))
		return 0;
	while (padding < 2 && text[len - 1 - padding] == '=')
		padding++;
	return len / 4 * 3 - padding;
}

static int parse_texts(const char *body, const char *key, const char *sig, struct translation_doc *out,
		       struct json_error *err)
{
	struct translation_doc doc = { .len = body_len(body) };

	if (strlen(key) != SIGN_ID_ROOM - 1 || strspn(key, "0123456789abcdef") != SIGN_ID_ROOM - 1)
		return json_fail(err, "key", "'key' must be %d hex digits", SIGN_ID_ROOM - 1);
	if (sign_from_text(sig, doc.sig, sizeof(doc.sig)))
		return json_fail(err, "sig", "'sig' must be base64 of %d bytes", SIGN_BYTES);
	doc.body = doc.len ? malloc(doc.len) : NULL;
	if (!doc.body || sign_from_text(body, doc.body, doc.len)) {
		free(doc.body);
		return json_fail(err, "body", "'body' must be base64 of 1 to %d bytes", TRANSLATION_MAX);
	}
	strcpy(doc.key, key);
	*out = doc;
	return 0;
}

int translation_doc_parse(const cJSON *json, struct translation_doc *out, struct json_error *err)
{
	static const char *const fields[] = { "body", "key", "sig", NULL };
	const char *body = NULL, *key = NULL, *sig = NULL;
	int rc = cJSON_IsObject(json) ? json_only(json, fields, err)
				      : json_fail(err, NULL, "a signed translation is an object");

	rc = rc ? rc : json_str(json, "body", &body, err);
	rc = rc ? rc : json_str(json, "key", &key, err);
	rc = rc ? rc : json_str(json, "sig", &sig, err);
	return rc ? rc : parse_texts(body, key, sig, out, err);
}

/* What it says */

static cJSON *addresses_json(const struct ip_addr *addresses, size_t n)
{
	cJSON *list = cJSON_CreateArray();
	char text[IP_TEXT];

	for (size_t i = 0; i < n; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(ip_format(&addresses[i], text)));
	return list;
}

static cJSON *destination_json(const struct translation_destination *d)
{
	cJSON *out = cJSON_CreateObject();
	char mac[MAC_TEXT];

	cJSON_AddNumberToObject(out, "id", d->id);
	cJSON_AddStringToObject(out, "name", d->name);
	if (d->external)
		cJSON_AddTrueToObject(out, "external");
	cJSON_AddNumberToObject(out, "vnid", d->vnid);
	cJSON_AddStringToObject(out, "mac", mac_format(&d->mac, mac));
	if (*d->host)
		cJSON_AddStringToObject(out, "host", d->host);
	else
		cJSON_AddNullToObject(out, "host");
	cJSON_AddItemToObject(out, "host_addresses", addresses_json(d->host_addresses, d->n_host_addresses));
	return out;
}

static void add_marks(cJSON *out, const struct translation_outcome *outcome)
{
	if (outcome->flags & TRANSLATION_REJECT)
		cJSON_AddTrueToObject(out, "reject");
	if (outcome->flags & TRANSLATION_REPLY)
		cJSON_AddTrueToObject(out, "reply");
	if (outcome->flags & TRANSLATION_REPLIES)
		cJSON_AddTrueToObject(out, "replies");
	if (outcome->flags & TRANSLATION_OPEN)
		cJSON_AddTrueToObject(out, "open");
	if (outcome->flags & TRANSLATION_THROUGH)
		cJSON_AddTrueToObject(out, "through");
}

static void add_care(cJSON *out, const char *zone, const struct translation_outcome *outcome)
{
	cJSON *path = cJSON_AddArrayToObject(out, "path"), *qos = cJSON_AddObjectToObject(out, "qos");
	char name[FULL_NAME_ROOM];

	for (size_t i = 0; i < outcome->n_path; i++)
		cJSON_AddItemToArray(path, cJSON_CreateString(domain_full(zone, outcome->path[i], name)));
	if (outcome->dscp >= 0)
		cJSON_AddNumberToObject(qos, "dscp", outcome->dscp);
	if (outcome->rate_mbps) {
		cJSON_AddNumberToObject(qos, "rate_mbps", outcome->rate_mbps);
		cJSON_AddNumberToObject(qos, "rate_policy", outcome->rate_policy);
	}
	if (*outcome->class)
		cJSON_AddStringToObject(qos, "class", outcome->class);
	if (outcome->vlan)
		cJSON_AddNumberToObject(qos, "vlan", outcome->vlan);
	labels_render(qos, &outcome->labels);
	routers_render(qos, &outcome->routers);
}

static void add_range(cJSON *out, const char *field, const uint16_t range[2])
{
	const int ends[2] = { range[0], range[1] };

	cJSON_AddItemToObject(out, field, cJSON_CreateIntArray(ends, 2));
}

static cJSON *rule_json(const char *zone, const struct translation_rule *rule)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddNumberToObject(out, "proto", rule->proto);
	add_range(out, "from_port", rule->from_port);
	add_range(out, "to_port", rule->to_port);
	cJSON_AddStringToObject(out, "verdict", verdicts[rule->outcome.verdict]);
	add_marks(out, &rule->outcome);
	cJSON_AddNumberToObject(out, "policy", rule->outcome.policy);
	add_care(out, zone, &rule->outcome);
	return out;
}

static void add_rules(cJSON *out, const struct translation *t)
{
	static const char *const names[] = { "proto", "from_port", "to_port" };
	cJSON *scope = cJSON_AddArrayToObject(out, "scope"), *rules;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (t->scope & 1u << i)
			cJSON_AddItemToArray(scope, cJSON_CreateString(names[i]));
	if (!t->n_rules)
		return;
	rules = cJSON_AddArrayToObject(out, "rules");
	for (size_t i = 0; i < t->n_rules; i++)
		cJSON_AddItemToArray(rules, rule_json(t->zone, &t->rules[i]));
}

cJSON *translation_answer(const struct translation *t, int64_t now)
{
	cJSON *out = cJSON_CreateObject();
	char text[IP_TEXT];

	cJSON_AddNumberToObject(out, "vnid", t->vnid);
	cJSON_AddNumberToObject(out, "source", t->source);
	if (t->has_address)
		cJSON_AddStringToObject(out, "address", ip_format(&t->address, text));
	if (t->has_destination)
		cJSON_AddItemToObject(out, "destination", destination_json(&t->destination));
	cJSON_AddStringToObject(out, "verdict", verdicts[t->outcome.verdict]);
	add_marks(out, &t->outcome);
	cJSON_AddNumberToObject(out, "policy", t->outcome.policy);
	cJSON_AddStringToObject(out, "policy_name", t->policy_name);
	add_care(out, t->zone, &t->outcome);
	add_rules(out, t);
	cJSON_AddNumberToObject(out, "sequence", (double)t->sequence);
	cJSON_AddNumberToObject(out, "lifetime", t->expires > now ? (double)(t->expires - now) : 0);
	return out;
}
