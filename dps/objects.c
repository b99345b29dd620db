// SPDX-License-Identifier: Apache-2.0
#include "dps/objects.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"

struct kind_ops {
	const char *name;
	bool in_network;
	int (*parse)(const cJSON *json, struct spec *spec, struct json_error *err);
	void (*render)(const struct spec *spec, cJSON *out);
	void (*free)(struct spec *spec);
	const char *fields[20];
};

static const struct kind_ops kinds[KIND_COUNT];

const struct mac_addr gateway_mac = { { 0x02, 0xd0, 0x7e, 0x00, 0x00, 0x01 } };

const char *objects_kind_name(enum kind kind)
{
	return kinds[kind].name;
}

int objects_kind(const char *name)
{
	for (int k = 0; k < KIND_COUNT; k++)
		if (!strcmp(kinds[k].name, name))
			return k;
	return -EINVAL;
}

bool objects_in_network(enum kind kind)
{
	return kinds[kind].in_network;
}

static bool is_address(const char *text)
{
	char head[IP_TEXT];
	struct ip_addr addr;
	size_t len = strcspn(text, "/");

	if (len >= sizeof(head))
		return false;
	memcpy(head, text, len);
	head[len] = '\0';
	return !ip_parse(head, &addr);
}

bool objects_check_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > NAME_MAX_LEN || !isalnum((unsigned char)name[0]) || is_address(name))
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("._-", *name))
			return false;
	return true;
}

/* Says of a text why it is no name. */
static int bad_name(const char *text, const char *field, ssize_t i, const char *what, struct json_error *err)
{
	char why[160];

	if (is_address(text))
		snprintf(why, sizeof(why), "policies are logical: an address stands where %s is to be named",
			 what);
	else
		snprintf(why, sizeof(why),
			 "not a name (1 to %d of A-Z a-z 0-9 . _ -, a letter or digit first)", NAME_MAX_LEN);
	if (i >= 0)
		return json_fail_item(err, field, i, "'%.80s': %s", text, why);
	return json_fail(err, field, "'%.80s': %s", text, why);
}

int objects_names(const cJSON *json, const char *field, size_t max, const char *what, struct names *out,
		  struct json_error *err)
{
	const cJSON *list = NULL, *item;
	int rc = json_list_opt(json, field, max, &list, err);

	if (rc || !list)
		return rc;
	out->v = mem_alloc(cJSON_GetArraySize(list) * sizeof(*out->v));
	cJSON_ArrayForEach (item, list) {
		if (!cJSON_IsString(item))
			return json_fail_item(err, field, out->n, "%s is named by a string", what);
		if (!objects_check_name(item->valuestring))
			return bad_name(item->valuestring, field, out->n, what, err);
		out->v[out->n++] = mem_copy(item->valuestring);
	}
	return 0;
}

cJSON *objects_names_json(const struct names *names)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < names->n; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(names->v[i]));
	return list;
}

void objects_free_names(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
	free(names->v);
}

int objects_action(const cJSON *json, const char *field, bool *allow, bool *reject, struct json_error *err)
{
	const char *text = NULL;
	int rc = json_str_opt(json, field, &text, err);

	if (rc || !text)
		return rc;
	if (strcmp(text, "allow") && strcmp(text, "deny") && strcmp(text, "reject"))
		return json_fail(err, field, "'%.40s' is neither allow nor deny nor reject", text);
	*allow = !strcmp(text, "allow");
	*reject = !strcmp(text, "reject");
	return 0;
}

const char *objects_action_name(bool allow, bool reject)
{
	return allow ? "allow" : reject ? "reject" : "deny";
}

/* Addresses */

static int parse_addresses(const cJSON *json, size_t max, struct ip_addr **out, size_t *n,
			   struct json_error *err)
{
	const cJSON *list = NULL, *item;
	int rc = json_list_opt(json, "addresses", max, &list, err);

	if (rc || !list)
		return rc;
	*out = mem_alloc(cJSON_GetArraySize(list) * sizeof(**out));
	cJSON_ArrayForEach (item, list) {
		struct ip_addr addr;

		if (!cJSON_IsString(item) || ip_parse(item->valuestring, &addr) || !ip_is_host(&addr))
			return json_fail_item(
				err, "addresses", *n,
				"'%.60s' is not the IP address of a host (none that is multicast, "
				"loopback, unspecified or IPv4 in IPv6's notation)",
				cJSON_IsString(item) ? item->valuestring : "?");
		(*out)[(*n)++] = addr;
	}
	return 0;
}

cJSON *objects_addresses_json(const struct ip_addr *addresses, size_t n)
{
	cJSON *list = cJSON_CreateArray();
	char text[IP_TEXT];

	for (size_t i = 0; i < n; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(ip_format(&addresses[i], text)));
	return list;
}

/* Hosts */

static int host_parse(const cJSON *json, struct spec *spec, struct json_error *err)
{
	struct host_spec *host = &spec->u.host;

	const cJSON *sworn = json_get(json, "signed");
	int rc = parse_addresses(json, HOST_ADDRESSES_MAX, &host->addresses, &host->n_addresses, err);

	return rc || !sworn ? rc : signed_parse(sworn, SIGNED_BODY_MAX, &host->sworn, err);
}

static void host_render(const struct spec *spec, cJSON *out)
{
	cJSON_AddItemToObject(out, "addresses",
			      objects_addresses_json(spec->u.host.addresses, spec->u.host.n_addresses));
	if (spec->u.host.sworn.body)
		cJSON_AddItemToObject(out, "signed", signed_json(&spec->u.host.sworn));
}

static void host_free(struct spec *spec)
{
	free(spec->u.host.addresses);
	signed_free(&spec->u.host.sworn);
}

/* Endpoints */

static int parse_port_qos(const cJSON *json, uint32_t *rate_mbps, struct json_error *err)
{
	static const char *const fields[] = { "rate_mbps", NULL };
	const cJSON *qos = json_get(json, "qos");
	uint64_t rate = 0;
	int rc;

	if (!qos)
		return 0;
	if (!cJSON_IsObject(qos))
		return json_fail(err, "qos", "'qos' is an object like {\"rate_mbps\": 100}");
	snprintf(err->prefix, sizeof(err->prefix), "qos.");
	rc = json_only(qos, fields, err);
	rc = rc ? rc : json_uint_opt(qos, "rate_mbps", 1, RATE_MAX_MBPS, &rate, err);
	err->prefix[0] = '\0';
	*rate_mbps = rate;
	return rc;
}

static int endpoint_parse(const cJSON *json, struct spec *spec, struct json_error *err)
{
	struct endpoint_spec *ep = &spec->u.endpoint;
	const char *mac = NULL;
	int rc = json_str(json, "mac", &mac, err);

	if (rc)
		return rc;
	if (mac_parse(mac, &ep->mac) || !mac_is_host(&ep->mac))
		return json_fail(err, "mac", "'%.40s' is not a unicast MAC address like 02:00:00:00:01:01",
				 mac);
	if (!memcmp(&ep->mac, &gateway_mac, sizeof(gateway_mac)))
		return json_fail(err, "mac", "%s is the MAC address of every network's gateway", mac);
	rc = parse_addresses(json, ADDRESSES_MAX, &ep->addresses, &ep->n_addresses, err);
	rc = rc ? rc : objects_names(json, "groups", GROUPS_MAX, "a group", &ep->groups, err);
	return rc ? rc : parse_port_qos(json, &ep->rate_mbps, err);
}

static void endpoint_render(const struct spec *spec, cJSON *out)
{
	const struct endpoint_spec *ep = &spec->u.endpoint;
	char mac[MAC_TEXT];

	cJSON_AddStringToObject(out, "mac", mac_format(&ep->mac, mac));
	cJSON_AddItemToObject(out, "addresses", objects_addresses_json(ep->addresses, ep->n_addresses));
	cJSON_AddItemToObject(out, "groups", objects_names_json(&ep->groups));
	if (ep->rate_mbps)
		cJSON_AddNumberToObject(cJSON_AddObjectToObject(out, "qos"), "rate_mbps", ep->rate_mbps);
}

static void endpoint_free(struct spec *spec)
{
	free(spec->u.endpoint.addresses);
	objects_free_names(&spec->u.endpoint.groups);
}

/* Groups */

static int group_parse(const cJSON *json, struct spec *spec, struct json_error *err)
{
	return objects_names(json, "endpoints", MEMBERS_MAX, "an endpoint", &spec->u.group.endpoints, err);
}

static void group_render(const struct spec *spec, cJSON *out)
{
	cJSON_AddItemToObject(out, "endpoints", objects_names_json(&spec->u.group.endpoints));
}

static void group_free(struct spec *spec)
{
	objects_free_names(&spec->u.group.endpoints);
	idset_free(&spec->u.group.ids);
}

/* Services */

static bool is_full_name(const char *text)
{
	const char *slash = strchr(text, '/');
	char network[NAME_MAX_LEN + 1];

	if (!slash || slash - text > NAME_MAX_LEN)
		return false;
	memcpy(network, text, slash - text);
	network[slash - text] = '\0';
	return objects_check_name(network) && objects_check_name(slash + 1);
}

static int parse_port(const cJSON *item, const char *field, const char **out, struct json_error *err)
{
	int rc = json_str_opt(item, field, out, err);

	if (rc || !*out || is_full_name(*out))
		return rc;
	return json_fail(err, field, "'%.140s' is not network/endpoint", *out);
}

/* A word of two, the first of which need not be said. */
static int parse_either(const cJSON *item, const char *field, const char *usual, const char *other, bool *out,
			struct json_error *err)
{
	const char *text = NULL;
	int rc = json_str_opt(item, field, &text, err);

	if (rc || !text)
		return rc;
	if (strcmp(text, usual) && strcmp(text, other))
		return json_fail(err, field, "'%.40s' is neither %s nor %s", text, usual, other);
	*out = !strcmp(text, other);
	return 0;
}

static int parse_mode(const cJSON *item, struct instance *out, struct json_error *err)
{
	const char *text = NULL;
	int rc = json_str_opt(item, "mode", &text, err);

	if (rc || !text)
		return rc;
	out->routed = !strcmp(text, "routed");
	out->proxy = !strcmp(text, "proxy");
	if (out->routed || out->proxy || !strcmp(text, "transparent"))
		return 0;
	return json_fail(err, "mode", "'%.40s' is none of transparent, routed, proxy", text);
}

static int parse_instance_fields(const cJSON *item, const char **endpoint, struct instance *out,
				 struct json_error *err)
{
	static const char *const fields[] = { "endpoint", "out",  "weight", "capacity_mbps",
					      "state",	  "mode", "probe",  NULL };
	const char *other = NULL;
	bool probed = true;
	uint64_t weight = 1, capacity = 0;
	int rc = json_only(item, fields, err);

	rc = rc ? rc : parse_port(item, "endpoint", endpoint, err);
	if (rc)
		return rc;
	if (!*endpoint)
		return json_fail(err, "endpoint", "'endpoint' is missing");
	rc = parse_port(item, "out", &other, err);
	if (!rc && other && !strcmp(other, *endpoint))
		rc = json_fail(err, "out", "'%.140s' is its 'endpoint' already", other);
	rc = rc ? rc : json_uint_opt(item, "weight", 1, WEIGHT_MAX, &weight, err);
	rc = rc ? rc : json_uint_opt(item, "capacity_mbps", 1, RATE_MAX_MBPS, &capacity, err);
	rc = rc ? rc : parse_either(item, "state", "up", "down", &out->down, err);
	rc = rc ? rc : parse_mode(item, out, err);
	rc = rc ? rc : json_bool_opt(item, "probe", &probed, err);
	if (rc)
		return rc;
	out->unprobed = !probed;
	out->weight = weight;
	out->capacity_mbps = capacity;
	out->out = other ? mem_copy(other) : NULL;
	return 0;
}

static int parse_instance(const cJSON *item, size_t i, struct service_spec *out, struct json_error *err)
{
	const char *text = NULL;
	int rc;

	if (!cJSON_IsObject(item))
		return json_fail_item(err, "instances", i,
				      "an instance is an object like {\"endpoint\": \"blue/fw1\"}");
	snprintf(err->prefix, sizeof(err->prefix), "instances[%zu].", i);
	rc = parse_instance_fields(item, &text, &out->more[i], err);
	err->prefix[0] = '\0';
	if (!rc)
		out->instances.v[out->instances.n++] = mem_copy(text);
	return rc;
}

static int service_parse(const cJSON *json, struct spec *spec, struct json_error *err)
{
	struct service_spec *service = &spec->u.service;
	const cJSON *list = NULL, *item;
	int rc = json_list_opt(json, "instances", INSTANCES_MAX, &list, err);

	if (rc || !list)
		return rc;
	service->instances.v = mem_alloc(cJSON_GetArraySize(list) * sizeof(*service->instances.v));
	service->more = mem_alloc(cJSON_GetArraySize(list) * sizeof(*service->more));
	cJSON_ArrayForEach (item, list) {
		rc = parse_instance(item, service->instances.n, service, err);
		if (rc)
			return rc;
	}
	return 0;
}

static void service_render(const struct spec *spec, cJSON *out)
{
	const struct names *instances = &spec->u.service.instances;
	cJSON *list = cJSON_AddArrayToObject(out, "instances");

	for (size_t i = 0; i < instances->n; i++) {
		const struct instance *more = &spec->u.service.more[i];
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, "endpoint", instances->v[i]);
		if (more->out)
			cJSON_AddStringToObject(item, "out", more->out);
		if (more->weight != 1)
			cJSON_AddNumberToObject(item, "weight", more->weight);
		if (more->capacity_mbps)
			cJSON_AddNumberToObject(item, "capacity_mbps", more->capacity_mbps);
		if (more->down)
			cJSON_AddStringToObject(item, "state", "down");
		if (more->routed)
			cJSON_AddStringToObject(item, "mode", "routed");
		if (more->proxy)
			cJSON_AddStringToObject(item, "mode", "proxy");
		if (more->unprobed)
			cJSON_AddBoolToObject(item, "probe", false);
		cJSON_AddItemToArray(list, item);
	}
}

static void service_free(struct spec *spec)
{
	for (size_t i = 0; i < spec->u.service.instances.n; i++)
		free(spec->u.service.more[i].out);
	free(spec->u.service.more);
	objects_free_names(&spec->u.service.instances);
	idset_free(&spec->u.service.ids);
}

/* Underlay paths: the name is the class that policies name */

static int underlay_parse(const cJSON *json, struct spec *spec, struct json_error *err)
{
	uint64_t dscp = 64, vlan = 0;
	int rc = json_uint_opt(json, "dscp", 0, 63, &dscp, err);

	rc = rc ? rc : json_uint_opt(json, "vlan", 1, VLAN_MAX, &vlan, err);
	rc = rc ? rc : labels_parse(json, &spec->u.underlay.labels, err);
	rc = rc ? rc : routers_parse(json, &spec->u.underlay.routers, err);
	if (!rc && spec->u.underlay.labels.n && spec->u.underlay.routers.n)
		rc = json_fail(err, "hops", "a path is laid out by 'mpls' or by 'hops'");
	if (!rc && dscp == 64 && !vlan && !spec->u.underlay.labels.n && !spec->u.underlay.routers.n)
		rc = json_fail(
			err, "vlan",
			"a path is told from others by a 'vlan', a 'dscp', 'mpls', 'hops', or several");
	spec->u.underlay.dscp = dscp == 64 ? -1 : (int)dscp;
	spec->u.underlay.vlan = vlan;
	return rc;
}

static void underlay_render(const struct spec *spec, cJSON *out)
{
	if (spec->u.underlay.dscp >= 0)
		cJSON_AddNumberToObject(out, "dscp", spec->u.underlay.dscp);
	if (spec->u.underlay.vlan)
		cJSON_AddNumberToObject(out, "vlan", spec->u.underlay.vlan);
	labels_render(out, &spec->u.underlay.labels);
	routers_render(out, &spec->u.underlay.routers);
}

static void underlay_free(struct spec *spec)
{
	(void)spec;
}

/* Policies: their own file does the work */

static int policy_spec_parse(const cJSON *json, struct spec *spec, struct json_error *err)
{
	if (!strcmp(spec->name, DEFAULT_POLICY))
		return json_fail(err, "name", "'%s' is the network's own: set \"default\" of network %s",
				 DEFAULT_POLICY, spec->network);
	return policy_parse(json, &spec->u.policy, err);
}

static void policy_spec_render(const struct spec *spec, cJSON *out)
{
	policy_render(&spec->u.policy, out);
}

static void policy_spec_free(struct spec *spec)
{
	policy_free(&spec->u.policy);
}

static const struct kind_ops kinds[KIND_COUNT] = {
	[KIND_NETWORK] = { "network",
			   false,
			   network_parse,
			   network_render,
			   network_free,
			   { "kind", "name", "subnets", "default", "broadcast", "foreign", "vnid", "hosts",
			     "host_keys" } },
	[KIND_HOST] = { "host",
			false,
			host_parse,
			host_render,
			host_free,
			{ "kind", "name", "addresses", "signed" } },
	[KIND_ENDPOINT] = { "endpoint",
			    true,
			    endpoint_parse,
			    endpoint_render,
			    endpoint_free,
			    { "kind", "network", "name", "mac", "addresses", "groups", "qos" } },
	[KIND_EXTERNAL] = { "external",
			    true,
			    external_parse,
			    external_render,
			    external_free,
			    { "kind", "network", "name", "prefixes", "gateway" } },
	[KIND_GROUP] = { "group",
			 true,
			 group_parse,
			 group_render,
			 group_free,
			 { "kind", "network", "name", "endpoints" } },
	[KIND_SERVICE] = { "service",
			   false,
			   service_parse,
			   service_render,
			   service_free,
			   { "kind", "name", "instances" } },
	[KIND_UNDERLAY_PATH] = { "underlay_path",
				 false,
				 underlay_parse,
				 underlay_render,
				 underlay_free,
				 { "kind", "name", "vlan", "dscp", "mpls", "hops" } },
	[KIND_POLICY] = { "policy",
			  true,
			  policy_spec_parse,
			  policy_spec_render,
			  policy_spec_free,
			  { "kind", "network", "name", "priority", "from", "to", "proto", "from_port",
			    "to_port", "action", "path", "on_failure", "final", "reply", "qos" } },
};

static int parse_name(const cJSON *json, const char *field, char **out, struct json_error *err)
{
	const char *text = NULL;
	int rc = json_str(json, field, &text, err);

	if (rc)
		return rc;
	if (!objects_check_name(text))
		return bad_name(text, field, -1, "an object", err);
	*out = mem_copy(text);
	return 0;
}

static int parse_kind(const cJSON *json, enum kind *out, struct json_error *err)
{
	const char *text = NULL;
	int kind, rc;

	if (!cJSON_IsObject(json))
		return json_fail(err, NULL, "an object is written {\"kind\": ..., \"name\": ...}");
	rc = json_str(json, "kind", &text, err);
	if (rc)
		return rc;
	kind = objects_kind(text);
	if (kind < 0)
		return json_fail(err, "kind", "no such kind '%.40s'", text);
	*out = kind;
	return 0;
}

static void set_key(struct spec *spec, struct json_error *err)
{
	if (spec->network)
		snprintf(spec->key, sizeof(spec->key), "%s/%s", spec->network, spec->name);
	else
		snprintf(spec->key, sizeof(spec->key), "%s", spec->name);
	snprintf(err->object, sizeof(err->object), "%s %s", kinds[spec->kind].name, spec->key);
}

static void set_body(struct spec *spec)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddStringToObject(out, "kind", kinds[spec->kind].name);
	if (spec->network)
		cJSON_AddStringToObject(out, "network", spec->network);
	cJSON_AddStringToObject(out, "name", spec->name);
	kinds[spec->kind].render(spec, out);
	spec->body = cJSON_PrintUnformatted(out);
	cJSON_Delete(out);
}

static int check_fields(const cJSON *json, const struct kind_ops *ops, struct json_error *err)
{
	int rc = json_only(json, ops->fields, err);

	if (rc && ops == &kinds[KIND_POLICY] && !strncmp(err->text, "no such", 7))
		snprintf(err->text, sizeof(err->text),
			 "policies are logical: '%.60s' is no field of a policy", err->field);
	return rc;
}

static int parse_into(const cJSON *json, struct spec *spec, struct json_error *err)
{
	const struct kind_ops *ops;
	int rc = parse_kind(json, &spec->kind, err);

	if (rc)
		return rc;
	ops = &kinds[spec->kind];
	snprintf(err->object, sizeof(err->object), "%s", ops->name);
	rc = parse_name(json, "name", &spec->name, err);
	if (!rc && ops->in_network)
		rc = parse_name(json, "network", &spec->network, err);
	if (rc)
		return rc;
	set_key(spec, err);
	rc = check_fields(json, ops, err);
	rc = rc ? rc : ops->parse(json, spec, err);
	if (!rc)
		set_body(spec);
	return rc;
}

int objects_parse(const cJSON *json, struct spec **out, struct json_error *err)
{
	struct spec *spec = mem_alloc(sizeof(*spec));
	int rc;

	memset(err, 0, sizeof(*err));
	rc = parse_into(json, spec, err);
	if (rc) {
		objects_free(spec);
		return rc;
	}
	memset(err, 0, sizeof(*err));
	*out = spec;
	return 0;
}

struct spec *objects_default_policy(const char *network, const struct network_spec *net)
{
	struct spec *spec = mem_alloc(sizeof(*spec));
	struct json_error err;

	spec->kind = KIND_POLICY;
	spec->network = mem_copy(network);
	spec->name = mem_copy(DEFAULT_POLICY);
	spec->u.policy = (struct policy_spec){
		.from.any = true,
		.to.any = true,
		.match = flow_all,
		.allow = net->allow,
		.reject = net->reject,
		.reply = true,
		.dscp = -1,
	};
	set_key(spec, &err);
	set_body(spec);
	return spec;
}

void objects_free(struct spec *spec)
{
	if (!spec)
		return;
	kinds[spec->kind].free(spec);
	free(spec->network);
	free(spec->name);
	free(spec->body);
	free(spec);
}
