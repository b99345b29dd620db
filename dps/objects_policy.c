// SPDX-License-Identifier: Apache-2.0
/* Policies: from JSON and back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/objects.h"

static void enter(struct json_error *err, const char *field)
{
	snprintf(err->prefix, sizeof(err->prefix), "%s.", field);
}

static int leave(struct json_error *err, int rc)
{
	err->prefix[0] = '\0';
	return rc;
}

static int no_field(const char *field, struct json_error *err)
{
	return json_fail(err, field, "policies are logical: '%.60s' is no field of a policy", field);
}

static int parse_other_network(const cJSON *json, struct selector *out, struct json_error *err)
{
	const char *network = NULL;
	int rc = json_str_opt(json, "network", &network, err);

	if (rc || !network)
		return rc;
	if (!objects_check_name(network))
		return json_fail(err, "network",
				 "'%.80s': policies are logical: this is not the name of a network", network);
	out->network = mem_copy(network);
	return 0;
}

static int parse_external(const cJSON *json, struct selector *out, struct json_error *err)
{
	const char *external = NULL;
	int rc = json_str_opt(json, "external", &external, err);

	if (rc || !external)
		return rc;
	if (!objects_check_name(external))
		return json_fail(err, "external",
				 "'%.80s': policies are logical: this is not the name of an external network",
				 external);
	if (out->network)
		return json_fail(err, "external", "it is of the policy's own network, not of '%s'",
				 out->network);
	out->external = mem_copy(external);
	return 0;
}

static int parse_members(const cJSON *json, struct selector *out, struct json_error *err)
{
	int rc = objects_names(json, "endpoints", MEMBERS_MAX, "an endpoint", &out->endpoints, err);

	rc = rc ? rc : objects_names(json, "groups", GROUPS_MAX, "a group", &out->groups, err);
	if (rc)
		return rc;
	if (json_get(json, "endpoints") && !out->endpoints.n)
		return json_fail(err, "endpoints", "'endpoints' must not be empty");
	if (json_get(json, "groups") && !out->groups.n)
		return json_fail(err, "groups", "'groups' must not be empty");
	return 0;
}

static int parse_selector_fields(const cJSON *json, struct selector *out, struct json_error *err)
{
	static const char *const fields[] = { "endpoints", "groups", "network", "external", NULL };
	const cJSON *item;
	int rc;

	cJSON_ArrayForEach (item, json) {
		bool known = false;

		for (int i = 0; fields[i]; i++)
			known |= !strcmp(fields[i], item->string);
		if (!known)
			return no_field(item->string, err);
	}
	rc = json_only(json, fields, err);
	rc = rc ? rc : parse_other_network(json, out, err);
	rc = rc ? rc : parse_external(json, out, err);
	return rc ? rc : parse_members(json, out, err);
}

static int parse_selector(const cJSON *json, const char *field, struct selector *out, struct json_error *err)
{
	const cJSON *side = json_get(json, field);

	if (!side)
		return json_fail(err, field, "'%s' is missing", field);
	if (cJSON_IsString(side) && !strcmp(side->valuestring, "any")) {
		out->any = true;
		return 0;
	}
	if (cJSON_IsString(side))
		return json_fail(err, field,
				 "'%.60s': policies are logical: '%s' is \"any\" or names endpoints, groups, "
				 "a network or an external one",
				 side->valuestring, field);
	if (!cJSON_IsObject(side) || !side->child)
		return json_fail(err, field,
				 "'%s' is \"any\" or names endpoints, groups, a network or an external one",
				 field);
	enter(err, field);
	return leave(err, parse_selector_fields(side, out, err));
}

static int parse_proto(const cJSON *json, struct flow_box *match, struct json_error *err)
{
	const cJSON *item = json_get(json, "proto");
	uint64_t number;
	int proto;

	if (!item)
		return 0;
	if (json_whole(item, 1, 255, &number)) {
		match->proto = number;
		return 0;
	}
	proto = cJSON_IsString(item) ? flow_proto(item->valuestring) : -EINVAL;
	if (proto < 0)
		return json_fail(err, "proto", "'proto' is a name like tcp, a number from 1 to 255, or any");
	match->proto = proto;
	return 0;
}

/* "a-b" or "a"; each at most five digits. */
static bool parse_port_text(const char *text, uint16_t out[2])
{
	unsigned int lo, hi;
	int used = 0;

	if (strspn(text, "0123456789-") != strlen(text) || strlen(text) > 11 || *text == '-')
		return false;
	if (sscanf(text, "%5u-%5u%n", &lo, &hi, &used) != 2 || text[used]) {
		used = 0;
		if (sscanf(text, "%5u%n", &lo, &used) != 1 || text[used])
			return false;
		hi = lo;
	}
	if (lo > hi || hi > PORT_MAX)
		return false;
	out[0] = lo;
	out[1] = hi;
	return true;
}

static int parse_port(const cJSON *json, const char *field, const struct flow_box *match, uint16_t out[2],
		      struct json_error *err)
{
	const cJSON *item = json_get(json, field);
	uint64_t port;

	if (!item)
		return 0;
	if (json_whole(item, 0, PORT_MAX, &port))
		out[0] = out[1] = port;
	else if (!cJSON_IsString(item) || !parse_port_text(item->valuestring, out))
		return json_fail(err, field, "'%s' is a port from 0 to 65535 or a range like \"8000-8099\"",
				 field);
	if (!flow_has_ports(match->proto))
		return json_fail(err, field, "protocol %d has no ports", match->proto);
	return 0;
}

static int parse_qos_fields(const cJSON *qos, struct policy_spec *out, struct json_error *err)
{
	static const char *const fields[] = { "dscp", "rate_mbps", "class", NULL };
	const char *class = NULL;
	uint64_t dscp = 64, rate = 0;
	int rc = json_only(qos, fields, err);

	rc = rc ? rc : json_uint_opt(qos, "dscp", 0, 63, &dscp, err);
	rc = rc ? rc : json_uint_opt(qos, "rate_mbps", 1, RATE_MAX_MBPS, &rate, err);
	rc = rc ? rc : json_str_opt(qos, "class", &class, err);
	if (!rc && class && !objects_check_name(class))
		rc = json_fail(err, "class", "'%.80s': policies are logical: this is not the name of a class",
			       class);
	if (rc)
		return rc;
	out->dscp = dscp == 64 ? -1 : (int)dscp;
	out->rate_mbps = rate;
	out->class = class ? mem_copy(class) : NULL;
	return 0;
}

static int parse_qos(const cJSON *json, struct policy_spec *out, struct json_error *err)
{
	const cJSON *qos = json_get(json, "qos");

	out->dscp = -1;
	if (!qos)
		return 0;
	if (!cJSON_IsObject(qos))
		return json_fail(err, "qos", "'qos' is an object like {\"dscp\": 46}");
	if (!out->allow)
		return json_fail(err, "qos", "a policy that denies or rejects has no quality of service");
	enter(err, "qos");
	return leave(err, parse_qos_fields(qos, out, err));
}

static int parse_on_failure(const cJSON *json, struct policy_spec *out, struct json_error *err)
{
	const char *text = NULL;
	int rc = json_str_opt(json, "on_failure", &text, err);

	if (rc || !text)
		return rc;
	if (strcmp(text, "closed") && strcmp(text, "open"))
		return json_fail(err, "on_failure", "'%.40s' is neither closed nor open", text);
	if (!out->path.n)
		return json_fail(err, "on_failure", "a policy without a path has nothing that could fail");
	out->open = !strcmp(text, "open");
	return 0;
}

static int parse_path(const cJSON *json, struct policy_spec *out, struct json_error *err)
{
	int rc = objects_names(json, "path", PATH_MAX_HOPS, "a service", &out->path, err);

	if (rc)
		return rc;
	if (out->path.n && !out->allow)
		return json_fail(err, "path", "a policy that denies or rejects has no path");
	for (size_t i = 0; i < out->path.n; i++)
		for (size_t j = 0; j < i; j++)
			if (!strcmp(out->path.v[i], out->path.v[j]))
				return json_fail_item(err, "path", i, "'%s' is in the path twice",
						      out->path.v[i]);
	return parse_on_failure(json, out, err);
}

static int parse_flags(const cJSON *json, struct policy_spec *out, struct json_error *err)
{
	uint64_t priority = 0;
	int rc = json_uint_opt(json, "priority", 0, PRIORITY_MAX, &priority, err);

	out->priority = priority;
	out->reply = true;
	rc = rc ? rc : json_bool_opt(json, "final", &out->final, err);
	rc = rc ? rc : json_bool_opt(json, "reply", &out->reply, err);
	if (!rc && !json_get(json, "action"))
		rc = json_fail(err, "action", "'action' is missing");
	return rc ? rc : objects_action(json, "action", &out->allow, &out->reject, err);
}

int policy_parse(const cJSON *json, struct policy_spec *out, struct json_error *err)
{
	int rc = parse_flags(json, out, err);

	out->match = flow_all;
	rc = rc ? rc : parse_selector(json, "from", &out->from, err);
	rc = rc ? rc : parse_selector(json, "to", &out->to, err);
	rc = rc ? rc : parse_proto(json, &out->match, err);
	rc = rc ? rc : parse_port(json, "from_port", &out->match, out->match.from_port, err);
	rc = rc ? rc : parse_port(json, "to_port", &out->match, out->match.to_port, err);
	rc = rc ? rc : parse_path(json, out, err);
	return rc ? rc : parse_qos(json, out, err);
}

static void render_selector(const struct selector *sel, const char *field, cJSON *out)
{
	cJSON *side;

	if (sel->any) {
		cJSON_AddStringToObject(out, field, "any");
		return;
	}
	side = cJSON_AddObjectToObject(out, field);
	if (sel->endpoints.n)
		cJSON_AddItemToObject(side, "endpoints", objects_names_json(&sel->endpoints));
	if (sel->groups.n)
		cJSON_AddItemToObject(side, "groups", objects_names_json(&sel->groups));
	if (sel->network)
		cJSON_AddStringToObject(side, "network", sel->network);
	if (sel->external)
		cJSON_AddStringToObject(side, "external", sel->external);
}

static void render_port(const uint16_t range[2], const char *field, cJSON *out)
{
	char text[16];

	if (range[0] == 0 && range[1] == PORT_MAX)
		return;
	if (range[0] == range[1]) {
		cJSON_AddNumberToObject(out, field, range[0]);
		return;
	}
	snprintf(text, sizeof(text), "%u-%u", range[0], range[1]);
	cJSON_AddStringToObject(out, field, text);
}

static void render_match(const struct flow_box *match, cJSON *out)
{
	const char *name = flow_proto_name(match->proto);

	if (match->proto && name)
		cJSON_AddStringToObject(out, "proto", name);
	else if (match->proto)
		cJSON_AddNumberToObject(out, "proto", match->proto);
	render_port(match->from_port, "from_port", out);
	render_port(match->to_port, "to_port", out);
}

void policy_render(const struct policy_spec *spec, cJSON *out)
{
	cJSON_AddNumberToObject(out, "priority", spec->priority);
	render_selector(&spec->from, "from", out);
	render_selector(&spec->to, "to", out);
	render_match(&spec->match, out);
	cJSON_AddStringToObject(out, "action", objects_action_name(spec->allow, spec->reject));
	if (spec->path.n)
		cJSON_AddItemToObject(out, "path", objects_names_json(&spec->path));
	if (spec->open)
		cJSON_AddStringToObject(out, "on_failure", "open");
	if (spec->final)
		cJSON_AddTrueToObject(out, "final");
	if (!spec->reply)
		cJSON_AddFalseToObject(out, "reply");
	if (spec->dscp >= 0 || spec->rate_mbps || spec->class) {
		cJSON *qos = cJSON_AddObjectToObject(out, "qos");

		if (spec->dscp >= 0)
			cJSON_AddNumberToObject(qos, "dscp", spec->dscp);
		if (spec->rate_mbps)
			cJSON_AddNumberToObject(qos, "rate_mbps", spec->rate_mbps);
		if (spec->class)
			cJSON_AddStringToObject(qos, "class", spec->class);
	}
}

static void free_selector(struct selector *sel)
{
	free(sel->network);
	free(sel->external);
	objects_free_names(&sel->endpoints);
	objects_free_names(&sel->groups);
	idset_free(&sel->ids);
	idset_free(&sel->group_ids);
}

void policy_free(struct policy_spec *spec)
{
	free_selector(&spec->from);
	free_selector(&spec->to);
	objects_free_names(&spec->path);
	free(spec->class);
}
