// SPDX-License-Identifier: Apache-2.0
#include "dps/ask.h"

#include <stdio.h>
#include <string.h>

#define DEADLINE_MAX 60000

static const char *const kinds[] = {
	[ASK_POLICY] = "policy", [ASK_NAME] = "name",	    [ASK_ZONE] = "zone",
	[ASK_ROOT] = "root",	 [ASK_SERVICE] = "service", [ASK_PLACE] = "place",
};

bool ask_by_vnid(const struct ask *ask)
{
	return ask->kind == ASK_POLICY || ask->kind == ASK_PLACE;
}

const char *ask_text(const struct ask *ask, bool pair, char buf[ASK_TEXT])
{
	char to[IP_TEXT];
	int len;

	if (!ask_by_vnid(ask)) {
		snprintf(buf, ASK_TEXT, "%s %s", kinds[ask->kind], ask->kind == ASK_ROOT ? "" : ask->name);
		return buf;
	}
	if (ask->to.id)
		snprintf(to, sizeof(to), "%u", ask->to.id);
	else
		ip_format(&ask->to.address, to);
	len = snprintf(buf, ASK_TEXT, "%s %u %u/%u %s", kinds[ask->kind], ask->vnid, ask->from_vnid,
		       ask->source, to);
	if (!pair)
		snprintf(buf + len, ASK_TEXT - len, " %u %u %u", ask->packet.proto, ask->packet.from_port,
			 ask->packet.to_port);
	return buf;
}

bool ask_domain(const struct ask *ask, char out[DOMAIN_ROOM])
{
	out[0] = '\0';
	if (ask->kind == ASK_NAME || ask->kind == ASK_SERVICE)
		return domain_of_name(ask->name, out);
	if (ask->kind == ASK_ZONE)
		snprintf(out, DOMAIN_ROOM, "%.*s", DOMAIN_ROOM - 1, ask->name);
	return !ask_by_vnid(ask);
}

static bool same_packet(const struct packet_fields *a, const struct packet_fields *b)
{
	return a->proto == b->proto && a->from_port == b->from_port && a->to_port == b->to_port;
}

static bool has_vnid(struct vnid_range r, uint32_t vnid)
{
	return r.first && vnid >= r.first && vnid <= r.last;
}

/* Is the domain, or one above it that is below the zone, strictly between the two names? */
static bool lies_between(const struct statement *s, const char *domain)
{
	char child[DOMAIN_ROOM];

	if (!s->between || !domain_toward(domain, s->zone, child))
		return false;
	return strcmp(child, s->after) > 0 && (!*s->before || strcmp(child, s->before) < 0);
}

/* "There is none of these": no network, or nobody that the zone knows of. */
static bool denied(const struct ask *ask, const struct statement *s)
{
	char domain[DOMAIN_ROOM];

	if (ask_by_vnid(ask))
		return has_vnid(s->vnids, ask->vnid);
	if (!ask_domain(ask, domain))
		return false;
	if (s->kind == STATEMENT_NO_NETWORK)
		return ask->kind == ASK_NAME && !strcmp(s->name, ask->name);
	return lies_between(s, domain);
}

bool ask_answered(const struct ask *ask, const struct statement *s)
{
	switch (s->kind) {
	case STATEMENT_POLICY:
		return ask->kind == ASK_POLICY && s->vnid == ask->vnid && s->from_vnid == ask->from_vnid &&
		       s->source == ask->source && target_equal(&s->to, &ask->to) &&
		       (s->whole || same_packet(&s->packet, &ask->packet));
	case STATEMENT_NAME:
		return ask->kind == ASK_NAME && !strcmp(s->name, ask->name);
	case STATEMENT_SERVICE:
		return ask->kind == ASK_SERVICE && !strcmp(s->name, ask->name);
	case STATEMENT_PLACE:
		return ask->kind == ASK_PLACE && s->vnid == ask->vnid && s->source == ask->source &&
		       target_equal(&s->to, &ask->to);
	default:
		return denied(ask, s);
	}
}

/* JSON */

static void put_policy(cJSON *out, const struct ask *ask)
{
	cJSON_AddNumberToObject(out, "vnid", ask->vnid);
	if (ask->from_vnid)
		cJSON_AddNumberToObject(out, "from_vnid", ask->from_vnid);
	cJSON_AddNumberToObject(out, "source", ask->source);
	target_put(out, &ask->to);
	if (!ask->packet.proto)
		return;
	cJSON_AddNumberToObject(out, "proto", ask->packet.proto);
	cJSON_AddNumberToObject(out, "from_port", ask->packet.from_port);
	cJSON_AddNumberToObject(out, "to_port", ask->packet.to_port);
}

static void put_errand(cJSON *out, const struct errand *errand)
{
	cJSON *path;

	if (*errand->zone)
		cJSON_AddStringToObject(out, "zone", errand->zone);
	if (errand->recursive)
		cJSON_AddBoolToObject(out, "recursive", true);
	cJSON_AddNumberToObject(out, "deadline", errand->deadline);
	if (*errand->id)
		cJSON_AddStringToObject(out, "id", errand->id);
	if (!errand->n_path)
		return;
	path = cJSON_AddArrayToObject(out, "path");
	for (size_t i = 0; i < errand->n_path; i++)
		cJSON_AddItemToArray(path, cJSON_CreateString(errand->path[i]));
}

cJSON *ask_json(const struct ask *ask, const struct errand *errand)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddStringToObject(out, "kind", kinds[ask->kind]);
	if (ask->kind == ASK_POLICY || ask->kind == ASK_PLACE || (ask->kind == ASK_SERVICE && ask->vnid))
		put_policy(out, ask);
	if (*ask->name)
		cJSON_AddStringToObject(out, "name", ask->name);
	if (ask->min_revision)
		cJSON_AddNumberToObject(out, "min_revision", (double)ask->min_revision);
	if (errand)
		put_errand(out, errand);
	return out;
}

static int parse_kind(const cJSON *json, struct ask *ask, struct json_error *err)
{
	const char *kind = NULL;
	int rc = json_str(json, "kind", &kind, err);

	for (size_t i = 0; !rc && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i], kind))
			continue;
		ask->kind = i;
		return 0;
	}
	return rc ? rc : json_fail(err, "kind", "no such kind of question: '%.40s'", kind);
}

static int parse_packet(const cJSON *json, struct packet_fields *out, struct json_error *err)
{
	uint64_t proto = 0, from = 0, to = 0;
	int rc = json_uint_opt(json, "proto", 0, UINT8_MAX, &proto, err);

	rc = rc ? rc : json_uint_opt(json, "from_port", 0, UINT16_MAX, &from, err);
	rc = rc ? rc : json_uint_opt(json, "to_port", 0, UINT16_MAX, &to, err);
	if (!rc && !proto && (from || to))
		rc = json_fail(err, from ? "from_port" : "to_port", "ports need a protocol");
	if (!rc)
		*out = (struct packet_fields){ proto, from, to };
	return rc;
}

static int parse_policy(const cJSON *json, struct ask *ask, struct json_error *err)
{
	uint64_t vnid = 0, from_vnid = 0, source = 0;
	int rc = json_uint(json, "vnid", 1, VNID_LAST, &vnid, err);

	rc = rc ? rc : json_uint_opt(json, "from_vnid", 1, VNID_LAST, &from_vnid, err);
	rc = rc ? rc : json_uint(json, "source", 1, UINT32_MAX, &source, err);
	rc = rc ? rc : target_parse(json, &ask->to, err);
	ask->vnid = vnid;
	ask->from_vnid = from_vnid == vnid ? 0 : from_vnid;
	ask->source = source;
	return rc ? rc : parse_packet(json, &ask->packet, err);
}

static int parse_name(const cJSON *json, struct ask *ask, struct json_error *err)
{
	char domain[DOMAIN_ROOM];
	const char *name = NULL;
	int rc = json_str(json, "name", &name, err);

	if (rc)
		return rc;
	if (ask->kind == ASK_ZONE ? !domain_check(name) : !domain_of_name(name, domain))
		return json_fail(err, "name", "'%.80s' is not %s", name,
				 ask->kind == ASK_ZONE ? "a domain" : "a full name, like acme:blue/vm1");
	strcpy(ask->name, name);
	return 0;
}

static int parse_place(const cJSON *json, struct ask *ask, struct json_error *err)
{
	int rc = parse_policy(json, ask, err);

	if (!rc && (ask->to.id || ask->from_vnid || ask->packet.proto))
		rc = json_fail(err, "to",
			       "a place is asked for by 'vnid', 'source', and a host's address as 'to'");
	return rc;
}

static int parse_service(const cJSON *json, struct ask *ask, struct json_error *err)
{
	int rc = parse_name(json, ask, err);

	return rc || !json_get(json, "vnid") ? rc : parse_policy(json, ask, err);
}

static int parse_path(const cJSON *json, struct errand *errand, struct json_error *err)
{
	const cJSON *list = NULL, *item;
	int rc = json_list_opt(json, "path", ASK_PATH_MAX, &list, err);

	if (rc)
		return rc;
	cJSON_ArrayForEach (item, list) {
		if (!cJSON_IsString(item) || strlen(item->valuestring) >= SERVER_NAME_ROOM)
			return json_fail_item(err, "path", errand->n_path, "not a server's name");
		strcpy(errand->path[errand->n_path++], item->valuestring);
	}
	return 0;
}

static int parse_errand(const cJSON *json, struct errand *errand, struct json_error *err)
{
	uint64_t deadline = 0;
	const char *zone = "", *id = "";
	int rc = json_str_opt(json, "zone", &zone, err);

	rc = rc ? rc : json_str_opt(json, "id", &id, err);
	if (!rc && (strlen(id) >= ERRAND_ID_ROOM || strspn(id, "0123456789abcdef") != strlen(id)))
		rc = json_fail(err, "id", "'id' takes up to %d hex digits", ERRAND_ID_ROOM - 1);

	if (!rc && *zone && !domain_check(zone))
		rc = json_fail(err, "zone", "'%.80s' is not a domain", zone);
	rc = rc ? rc : json_bool_opt(json, "recursive", &errand->recursive, err);
	rc = rc ? rc : json_uint_opt(json, "deadline", 0, DEADLINE_MAX, &deadline, err);
	rc = rc ? rc : parse_path(json, errand, err);
	if (rc)
		return rc;
	strcpy(errand->zone, zone);
	strcpy(errand->id, id);
	errand->deadline = deadline;
	return rc;
}

static int parse_subject(const cJSON *json, struct ask *ask, struct json_error *err)
{
	switch (ask->kind) {
	case ASK_POLICY:
		return parse_policy(json, ask, err);
	case ASK_PLACE:
		return parse_place(json, ask, err);
	case ASK_SERVICE:
		return parse_service(json, ask, err);
	case ASK_ROOT:
		return 0;
	default:
		return parse_name(json, ask, err);
	}
}

int ask_parse(const cJSON *json, struct ask *ask, struct errand *errand, struct json_error *err)
{
	static const char *const fields[] = { "kind",	  "vnid",	  "from_vnid", "source",
					      "to",	  "proto",	  "from_port", "to_port",
					      "name",	  "min_revision", "zone",      "recursive",
					      "deadline", "path",	  "id",	       NULL };
	int rc = cJSON_IsObject(json) ? json_only(json, fields, err)
				      : json_fail(err, NULL, "a question is an object");

	memset(ask, 0, sizeof(*ask));
	memset(errand, 0, sizeof(*errand));
	rc = rc ? rc : parse_kind(json, ask, err);
	rc = rc ? rc : parse_subject(json, ask, err);
	rc = rc ? rc : json_uint_opt(json, "min_revision", 0, JSON_INT_MAX, &ask->min_revision, err);
	return rc ? rc : parse_errand(json, errand, err);
}
