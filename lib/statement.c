// SPDX-License-Identifier: Apache-2.0
#include "lib/statement.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/delegation.h"

static const char *const kinds[] = {
	[STATEMENT_POLICY] = "policy",
	[STATEMENT_NAME] = "name",
	[STATEMENT_NO_NETWORK] = "no_network",
	[STATEMENT_NO_DELEGATION] = "no_delegation",
};

const char *statement_kind_name(enum statement_kind kind)
{
	return kinds[kind];
}

static int parse_kind(const cJSON *json, struct statement *out, struct json_error *err)
{
	const char *kind = NULL;
	int rc = json_str(json, "kind", &kind, err);

	for (size_t i = 0; !rc && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i], kind))
			continue;
		out->kind = i;
		return 0;
	}
	return rc ? rc : json_fail(err, "kind", "no such kind of statement: '%.40s'", kind);
}

static int parse_zone(const cJSON *json, struct statement *out, struct json_error *err)
{
	const char *zone = NULL;
	int rc = json_str(json, "zone", &zone, err);

	if (!rc && *zone && !domain_check(zone))
		rc = json_fail(err, "zone", "'%.80s' is not a domain", zone);
	if (!rc)
		strcpy(out->zone, zone);
	return rc;
}

static int parse_times(const cJSON *json, struct statement *out, struct json_error *err)
{
	uint64_t issued = 0, expires = 0, lifetime = 0, stale = 0;
	int rc = json_uint(json, "sequence", 0, JSON_INT_MAX, &out->sequence, err);

	rc = rc ? rc : json_uint(json, "issued", 0, JSON_INT_MAX, &issued, err);
	rc = rc ? rc : json_uint(json, "expires", 0, JSON_INT_MAX, &expires, err);
	rc = rc ? rc : json_uint(json, "lifetime", 0, STATEMENT_LIFE_MAX, &lifetime, err);
	rc = rc ? rc : json_uint_opt(json, "stale", 0, STATEMENT_LIFE_MAX, &stale, err);
	if (rc)
		return rc;
	if (expires <= issued || expires - issued > STATEMENT_LIFE_MAX)
		return json_fail(err, "expires", "'expires' must be 1 to %d seconds after 'issued'",
				 STATEMENT_LIFE_MAX);
	if (lifetime > expires - issued)
		return json_fail(err, "lifetime", "'lifetime' goes beyond 'expires'");
	out->issued = (int64_t)issued;
	out->expires = (int64_t)expires;
	out->lifetime = lifetime;
	out->stale = stale;
	return 0;
}

static int parse_vnid(const cJSON *json, const char *field, uint32_t *out, struct json_error *err)
{
	uint64_t vnid = 0;
	int rc = json_uint_opt(json, field, 1, VNID_LAST, &vnid, err);

	*out = vnid;
	return rc;
}

static int parse_packet(const cJSON *json, struct statement *out, struct json_error *err)
{
	const cJSON *packet = json_get(json, "packet");
	uint64_t proto = 0, from = 0, to = 0;
	int rc;

	out->whole = !packet;
	if (!packet)
		return 0;
	strcpy(err->prefix, "packet.");
	rc = json_uint(packet, "proto", 0, UINT8_MAX, &proto, err);
	rc = rc ? rc : json_uint_opt(packet, "from_port", 0, UINT16_MAX, &from, err);
	rc = rc ? rc : json_uint_opt(packet, "to_port", 0, UINT16_MAX, &to, err);
	err->prefix[0] = '\0';
	out->packet = (struct packet_fields){ proto, from, to };
	return rc;
}

/* An answer for a pair whose packets fare differently lets pass if one of its rules does. */
static bool has_allowing_rule(const cJSON *json)
{
	const cJSON *rule, *verdict;

	cJSON_ArrayForEach (rule, json_get(json, "rules")) {
		verdict = json_get(rule, "verdict");
		if (cJSON_IsString(verdict) && !strcmp(verdict->valuestring, "allow"))
			return true;
	}
	return false;
}

static int parse_verdict(const cJSON *json, struct statement *out, struct json_error *err)
{
	const char *verdict = NULL;
	int rc = json_str(json, "verdict", &verdict, err);

	if (rc)
		return rc;
	out->allow = !strcmp(verdict, "allow") || has_allowing_rule(json);
	out->absent = !strcmp(verdict, "no_endpoint") || !strcmp(verdict, "no_source");
	if (!out->allow && !out->absent && strcmp(verdict, "deny") != 0)
		return json_fail(err, "verdict", "no such verdict: '%.40s'", verdict);
	return 0;
}

static int parse_policy(const cJSON *json, struct statement *out, struct json_error *err)
{
	const char *address = NULL;
	uint64_t source = 0;
	int rc = parse_vnid(json, "vnid", &out->vnid, err);

	rc = rc ? rc : parse_vnid(json, "from_vnid", &out->from_vnid, err);
	rc = rc ? rc : parse_vnid(json, "beyond", &out->beyond, err);
	rc = rc ? rc : json_uint(json, "source", 1, UINT32_MAX, &source, err);
	rc = rc ? rc : json_str(json, "address", &address, err);
	if (!rc && !out->vnid)
		rc = json_fail(err, "vnid", "'vnid' is missing");
	if (!rc && ip_parse(address, &out->address))
		rc = json_fail(err, "address", "'%.60s' is not an IP address", address);
	out->source = source;
	rc = rc ? rc : parse_verdict(json, out, err);
	return rc ? rc : parse_packet(json, out, err);
}

static int parse_name(const cJSON *json, struct statement *out, struct json_error *err)
{
	const char *name = NULL;
	char domain[DOMAIN_ROOM];
	int rc = json_str(json, "name", &name, err);

	if (!rc && !domain_of_name(name, domain))
		rc = json_fail(err, "name", "'%.80s' is not a full name, like acme:blue/vm1", name);
	if (!rc)
		strcpy(out->name, name);
	return rc;
}

static int parse_end(const cJSON *list, int i, char out[DOMAIN_ROOM], struct json_error *err)
{
	const cJSON *item = cJSON_GetArrayItem(list, i);

	if (!cJSON_IsString(item) || (*item->valuestring && !domain_check(item->valuestring)))
		return json_fail_item(err, "between", i, "not a domain");
	strcpy(out, item->valuestring);
	return 0;
}

static int parse_between(const cJSON *json, struct statement *out, struct json_error *err)
{
	const cJSON *list = NULL;
	int rc = json_list(json, "between", 2, &list, err);

	if (!rc && cJSON_GetArraySize(list) != 2)
		rc = json_fail(err, "between", "'between' takes two names");
	rc = rc ? rc : parse_end(list, 0, out->after, err);
	rc = rc ? rc : parse_end(list, 1, out->before, err);
	out->between = true;
	return rc;
}

/* One of three ways to say what there is none of. */
static int parse_none(const cJSON *json, struct statement *out, struct json_error *err)
{
	const cJSON *vnids = json_get(json, "vnids");

	if (vnids)
		return range_parse(vnids, "vnids", 0, &out->vnids, err);
	if (out->kind == STATEMENT_NO_NETWORK)
		return parse_name(json, out, err);
	return parse_between(json, out, err);
}

static int parse_subject(const cJSON *json, struct statement *out, struct json_error *err)
{
	int rc;

	switch (out->kind) {
	case STATEMENT_POLICY:
		return parse_policy(json, out, err);
	case STATEMENT_NAME:
		rc = parse_name(json, out, err);
		rc = rc ? rc : parse_vnid(json, "vnid", &out->vnid, err);
		return !rc && !out->vnid ? json_fail(err, "vnid", "'vnid' is missing") : rc;
	default:
		return parse_none(json, out, err);
	}
}

static int parse_fields(const cJSON *json, struct statement *out, struct json_error *err)
{
	int rc = cJSON_IsObject(json) ? 0 : json_fail(err, NULL, "a statement is an object");

	rc = rc ? rc : parse_kind(json, out, err);
	rc = rc ? rc : parse_zone(json, out, err);
	rc = rc ? rc : parse_subject(json, out, err);
	return rc ? rc : parse_times(json, out, err);
}

int statement_parse(const char *body, size_t len, struct statement *out, struct json_error *err)
{
	struct statement s = { .whole = true };
	cJSON *json = json_parse(body, len, err);
	int rc = json ? parse_fields(json, &s, err) : -EINVAL;

	cJSON_Delete(json);
	if (!rc)
		*out = s;
	return rc;
}

/* Rendering */

static void put_number(cJSON *out, const char *field, double value, bool always)
{
	if (always || value != 0)
		cJSON_AddNumberToObject(out, field, value);
}

static void put_policy(cJSON *out, const struct statement *s)
{
	char text[IP_TEXT];
	cJSON *packet;

	put_number(out, "vnid", s->vnid, true);
	put_number(out, "from_vnid", s->from_vnid, false);
	put_number(out, "beyond", s->beyond, false);
	put_number(out, "source", s->source, true);
	cJSON_AddStringToObject(out, "address", ip_format(&s->address, text));
	if (s->whole)
		return;
	packet = cJSON_AddObjectToObject(out, "packet");
	put_number(packet, "proto", s->packet.proto, true);
	put_number(packet, "from_port", s->packet.from_port, true);
	put_number(packet, "to_port", s->packet.to_port, true);
}

static void put_subject(cJSON *out, const struct statement *s)
{
	if (s->kind == STATEMENT_POLICY)
		put_policy(out, s);
	if (*s->name)
		cJSON_AddStringToObject(out, "name", s->name);
	if (s->kind == STATEMENT_NAME)
		put_number(out, "vnid", s->vnid, true);
	if (s->vnids.first) {
		const double pair[] = { s->vnids.first, s->vnids.last };

		cJSON_AddItemToObject(out, "vnids", cJSON_CreateDoubleArray(pair, 2));
	} else if (s->between) {
		const char *const pair[] = { s->after, s->before };

		cJSON_AddItemToObject(out, "between", cJSON_CreateStringArray(pair, 2));
	}
}

static void put_times(cJSON *out, const struct statement *s)
{
	put_number(out, "sequence", (double)s->sequence, true);
	put_number(out, "issued", (double)s->issued, true);
	put_number(out, "expires", (double)s->expires, true);
	put_number(out, "lifetime", s->lifetime, true);
	put_number(out, "stale", s->stale, false);
}

/* What the header says counts: content that has the same field is not signed twice over. */
static void put_content(cJSON *out, cJSON *content)
{
	cJSON *item, *next;

	for (item = content ? content->child : NULL; item; item = next) {
		next = item->next;
		if (json_get(out, item->string))
			continue;
		cJSON_DetachItemViaPointer(content, item);
		cJSON_AddItemToObject(out, item->string, item);
	}
	cJSON_Delete(content);
}

char *statement_render(const struct statement *s, cJSON *content)
{
	cJSON *out = cJSON_CreateObject();
	char *text;

	cJSON_AddStringToObject(out, "zone", s->zone);
	cJSON_AddStringToObject(out, "kind", kinds[s->kind]);
	put_subject(out, s);
	put_times(out, s);
	put_content(out, content);
	text = cJSON_PrintUnformatted(out);
	cJSON_Delete(out);
	return text;
}

/* Times */

bool statement_valid(const struct statement *s, int64_t now)
{
	return !delegation_times(s->issued, s->expires, now);
}

bool statement_fresh(const struct statement *s, int64_t now)
{
	return statement_valid(s, now) && now < s->issued + s->lifetime;
}

bool statement_refuses(const struct statement *s)
{
	return s->kind == STATEMENT_POLICY && !s->allow && !s->absent;
}

int64_t statement_stale_until(const struct statement *s)
{
	int64_t until = s->issued + s->lifetime + s->stale;

	return until <= s->expires || statement_refuses(s) ? until : s->expires;
}
