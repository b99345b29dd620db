// SPDX-License-Identifier: Apache-2.0
#include "lib/statement.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/delegation.h"

static const char *const kinds[] = {
	[STATEMENT_POLICY] = "policy",	       [STATEMENT_NAME] = "name",
	[STATEMENT_NO_NETWORK] = "no_network", [STATEMENT_NO_DELEGATION] = "no_delegation",
	[STATEMENT_SERVICE] = "service",       [STATEMENT_PLACE] = "place",
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

/* Whom a packet is for */

int target_parse(const cJSON *obj, struct target *out, struct json_error *err)
{
	const cJSON *to = json_get(obj, "to");
	struct target target = { 0 };
	uint64_t id = 0;

	if (!to)
		return json_fail(err, "to", "'to' is missing");
	if (cJSON_IsString(to) ? ip_parse(to->valuestring, &target.address)
			       : !json_whole(to, 1, UINT32_MAX, &id))
		return json_fail(err, "to", "'to' must be an IP address, or an id");
	target.id = id;
	*out = target;
	return 0;
}

void target_put(cJSON *obj, const struct target *to)
{
	char text[IP_TEXT];

	if (to->id)
		cJSON_AddNumberToObject(obj, "to", to->id);
	else
		cJSON_AddStringToObject(obj, "to", ip_format(&to->address, text));
}

bool target_equal(const struct target *a, const struct target *b)
{
	return a->id == b->id && (a->id || ip_equal(&a->address, &b->address));
}

/* Policies */

static const char *verdict_of(const cJSON *json)
{
	const cJSON *verdict = json_get(json, "verdict");

	return cJSON_IsString(verdict) ? verdict->valuestring : "";
}

static bool refuses(const cJSON *json)
{
	return !strcmp(verdict_of(json), "deny") && !cJSON_IsTrue(json_get(json, "replies"));
}

/* An answer for a pair whose packets fare differently refuses if all of its rules do. */
static bool all_refuse(const cJSON *answer)
{
	const cJSON *rule;

	cJSON_ArrayForEach (rule, json_get(answer, "rules"))
		if (!refuses(rule))
			return false;
	return refuses(answer);
}

static int parse_answer(const cJSON *json, struct statement *out, struct json_error *err)
{
	const cJSON *answer = json_get(json, "answer");
	const char *verdict = verdict_of(answer);
	uint64_t vnid = 0;
	int rc = 0;

	strcpy(err->prefix, "answer.");
	if (!*verdict)
		rc = json_fail(err, "verdict", "'verdict' is missing");
	rc = rc ? rc : json_uint(answer, "vnid", 0, VNID_LAST, &vnid, err);
	err->prefix[0] = '\0';
	out->refuses = all_refuse(answer);
	out->absent = !strcmp(verdict, "no_endpoint") || !strcmp(verdict, "no_source");
	out->decided_by = vnid;
	return rc;
}

/* {"vnid": 300, "source": 5, "to": ...} */
static int parse_pair(const cJSON *json, struct statement *out, struct json_error *err)
{
	uint64_t source = 0;
	int rc = parse_vnid(json, "vnid", &out->vnid, err);

	rc = rc ? rc : json_uint(json, "source", 1, UINT32_MAX, &source, err);
	rc = rc ? rc : target_parse(json, &out->to, err);
	if (!rc && !out->vnid)
		rc = json_fail(err, "vnid", "'vnid' is missing");
	out->source = source;
	return rc;
}

static int parse_policy(const cJSON *json, struct statement *out, struct json_error *err)
{
	int rc = parse_pair(json, out, err);

	rc = rc ? rc : parse_vnid(json, "from_vnid", &out->from_vnid, err);
	rc = rc ? rc : parse_vnid(json, "beyond", &out->beyond, err);
	rc = rc ? rc : parse_answer(json, out, err);
	return rc ? rc : parse_packet(json, out, err);
}

static int parse_place(const cJSON *json, struct statement *out, struct json_error *err)
{
	int rc = parse_pair(json, out, err);

	out->absent = !cJSON_IsObject(json_get(json, "answer"));
	return !rc && out->to.id ? json_fail(err, "to", "'to' must be a host's address") : rc;
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

static int parse_service(const cJSON *json, struct statement *out, struct json_error *err)
{
	out->absent = !cJSON_IsObject(json_get(json, "answer"));
	return parse_name(json, out, err);
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
	case STATEMENT_SERVICE:
		return parse_service(json, out, err);
	case STATEMENT_PLACE:
		return parse_place(json, out, err);
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

/* Of a place as well, which has none of what a policy's may have. */
static void put_policy(cJSON *out, const struct statement *s)
{
	cJSON *packet;

	put_number(out, "vnid", s->vnid, true);
	put_number(out, "from_vnid", s->from_vnid, false);
	put_number(out, "beyond", s->beyond, false);
	put_number(out, "source", s->source, true);
	target_put(out, &s->to);
	if (s->whole)
		return;
	packet = cJSON_AddObjectToObject(out, "packet");
	put_number(packet, "proto", s->packet.proto, true);
	put_number(packet, "from_port", s->packet.from_port, true);
	put_number(packet, "to_port", s->packet.to_port, true);
}

static void put_subject(cJSON *out, const struct statement *s)
{
	if (s->kind == STATEMENT_POLICY || s->kind == STATEMENT_PLACE)
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

char *statement_render(const struct statement *s, cJSON *answer)
{
	cJSON *out = cJSON_CreateObject();
	char *text;

	cJSON_AddStringToObject(out, "zone", s->zone);
	cJSON_AddStringToObject(out, "kind", kinds[s->kind]);
	put_subject(out, s);
	put_times(out, s);
	if (answer)
		cJSON_AddItemToObject(out, "answer", answer);
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

int64_t statement_stale_until(const struct statement *s)
{
	int64_t until = s->issued + s->lifetime + s->stale;

	return until <= s->expires || s->refuses ? until : s->expires;
}
