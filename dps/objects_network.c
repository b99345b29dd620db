// SPDX-License-Identifier: Apache-2.0
/* Networks and what is beyond their edges: from JSON and back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/objects.h"
#include "lib/domain.h"
#include "lib/ranges.h"

/* A prefix that endpoints, or hosts beyond an edge, may have addresses in. */
static int parse_prefix(const char *text, const char *at, struct ip_prefix *out, struct json_error *err)
{
	if (!text || ip_prefix_parse(text, out))
		return json_fail(err, at, "'%.60s' is not a prefix like 10.1.0.0/24 or 2001:db8::/64",
				 text ? text : "?");
	if (!ip_prefix_has_hosts(out))
		return json_fail(err, at, "'%.60s' is multicast, loopback or unspecified: no host is there",
				 text);
	if (out->bits >= 10 && ip_is_link_local(&out->addr))
		return json_fail(err, at, "'%.60s' is link-local: that each endpoint has anyway", text);
	return 0;
}

/* Networks */

static struct ip_addr first_address(const struct ip_prefix *prefix)
{
	struct ip_addr addr = prefix->addr;

	if (prefix->bits < 128)
		addr.b[15] |= 1;
	return addr;
}

static int parse_subnet(const cJSON *item, size_t i, struct subnet *out, struct json_error *err)
{
	static const char *const fields[] = { "prefix", "gateway", NULL };
	const char *prefix = NULL, *gateway = NULL;
	char at[40];
	int rc;

	snprintf(at, sizeof(at), "subnets[%zu]", i);
	if (cJSON_IsString(item)) {
		prefix = item->valuestring;
	} else if (cJSON_IsObject(item)) {
		snprintf(err->prefix, sizeof(err->prefix), "%s.", at);
		rc = json_only(item, fields, err);
		rc = rc ? rc : json_str(item, "prefix", &prefix, err);
		rc = rc ? rc : json_str_opt(item, "gateway", &gateway, err);
		err->prefix[0] = '\0';
		if (rc)
			return rc;
	}
	rc = parse_prefix(prefix, at, &out->prefix, err);
	if (rc)
		return rc;
	out->gateway = first_address(&out->prefix);
	out->named = gateway;
	if (gateway && (ip_parse(gateway, &out->gateway) || !ip_is_host(&out->gateway) ||
			!ip_prefix_contains(&out->prefix, &out->gateway)))
		return json_fail(err, at, "gateway '%.60s' is not an address in %s", gateway, prefix);
	if (!ip_is_host(&out->gateway))
		return json_fail(err, at, "%s needs a named gateway: its first address is no host's", prefix);
	return 0;
}

static bool prefixes_overlap(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return ip_prefix_contains(a, &b->addr) || ip_prefix_contains(b, &a->addr);
}

/* {"h1": "<public key>"}: what these hosts claim, and register, they sign. */
static int parse_host_keys(const cJSON *json, struct network_spec *net, struct json_error *err)
{
	const cJSON *keys = json_get(json, "host_keys"), *item;

	if (!keys)
		return 0;
	if (!cJSON_IsObject(keys) || !keys->child || cJSON_GetArraySize(keys) > CLAIMANTS_MAX)
		return json_fail(err, "host_keys", "'host_keys' is an object of 1 to %d hosts' public keys",
				 CLAIMANTS_MAX);
	net->host_keys = mem_alloc(cJSON_GetArraySize(keys) * sizeof(*net->host_keys));
	cJSON_ArrayForEach (item, keys) {
		struct host_key *one = &net->host_keys[net->n_host_keys];

		if (!objects_check_name(item->string))
			return json_fail(err, "host_keys", "'%.63s' is not a host's name", item->string);
		if (!cJSON_IsString(item) || sign_from_text(item->valuestring, one->key.b, SIGN_PUBLIC_BYTES))
			return json_fail(err, "host_keys", "of '%.63s': no Ed25519 public key in base64",
					 item->string);
		one->host = mem_copy(item->string);
		net->n_host_keys++;
	}
	return 0;
}

static void render_host_keys(const struct network_spec *net, cJSON *out)
{
	cJSON *keys = net->n_host_keys ? cJSON_AddObjectToObject(out, "host_keys") : NULL;
	char text[SIGN_PUBLIC_TEXT];

	for (size_t i = 0; i < net->n_host_keys; i++) {
		sign_to_text(net->host_keys[i].key.b, SIGN_PUBLIC_BYTES, text);
		cJSON_AddStringToObject(keys, net->host_keys[i].host, text);
	}
}

/* A network of another authority's, as far as our policies have to know it. */
static int parse_foreign(const cJSON *json, struct network_spec *net, struct json_error *err)
{
	static const char *const own[] = { "default", "broadcast", "hosts", "host_keys" };
	const char *name = NULL;
	char domain[DOMAIN_ROOM];
	uint64_t vnid = 0;
	int rc = json_str_opt(json, "foreign", &name, err);

	if (rc)
		return rc;
	if (!name)
		return json_get(json, "vnid")
			       ? json_fail(err, "vnid", "VNIDs of our own networks are assigned")
			       : 0;
	if (!domain_of_name(name, domain) || strchr(strchr(name, ':'), '/'))
		return json_fail(err, "foreign", "'%.80s' is not a network's full name, like acme:blue",
				 name);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (json_get(json, own[i]))
			return json_fail(err, own[i], "that is for its own authority to say");
	rc = json_uint(json, "vnid", 1, VNID_LAST, &vnid, err);
	if (rc)
		return rc;
	net->vnid = vnid;
	net->foreign = mem_copy(name);
	net->broadcast = false;
	return 0;
}

int network_parse(const cJSON *json, struct spec *spec, struct json_error *err)
{
	struct network_spec *net = &spec->u.network;
	const cJSON *list = NULL, *item;
	int rc = json_list_opt(json, "subnets", SUBNETS_MAX, &list, err);

	net->allow = net->broadcast = true;
	net->subnets = mem_alloc(SUBNETS_MAX * sizeof(*net->subnets));
	if (!rc && list)
		cJSON_ArrayForEach (item, list) {
			rc = parse_subnet(item, net->n_subnets, &net->subnets[net->n_subnets], err);
			if (rc)
				return rc;
			for (size_t i = 0; i < net->n_subnets; i++)
				if (prefixes_overlap(&net->subnets[i].prefix,
						     &net->subnets[net->n_subnets].prefix))
					return json_fail_item(err, "subnets", net->n_subnets,
							      "overlaps subnets[%zu]", i);
			net->n_subnets++;
		}
	rc = rc ? rc : objects_action(json, "default", &net->allow, &net->reject, err);
	rc = rc ? rc : json_bool_opt(json, "broadcast", &net->broadcast, err);
	rc = rc ? rc : objects_names(json, "hosts", CLAIMANTS_MAX, "a host", &net->hosts, err);
	if (!rc && json_get(json, "hosts") && !net->hosts.n)
		rc = json_fail(err, "hosts", "'hosts' must not be empty; without it all hosts may claim");
	rc = rc ? rc : parse_host_keys(json, net, err);
	return rc ? rc : parse_foreign(json, net, err);
}

void network_render(const struct spec *spec, cJSON *out)
{
	const struct network_spec *net = &spec->u.network;
	cJSON *list = cJSON_AddArrayToObject(out, "subnets");

	for (size_t i = 0; i < net->n_subnets; i++) {
		char prefix[IP_PREFIX_TEXT], gateway[IP_TEXT];
		cJSON *item;

		ip_prefix_format(&net->subnets[i].prefix, prefix);
		if (net->subnets[i].named) {
			item = cJSON_CreateObject();
			cJSON_AddStringToObject(item, "prefix", prefix);
			cJSON_AddStringToObject(item, "gateway",
						ip_format(&net->subnets[i].gateway, gateway));
		} else {
			item = cJSON_CreateString(prefix);
		}
		cJSON_AddItemToArray(list, item);
	}
	if (net->foreign) {
		cJSON_AddStringToObject(out, "foreign", net->foreign);
		cJSON_AddNumberToObject(out, "vnid", net->vnid);
		return;
	}
	cJSON_AddStringToObject(out, "default", objects_action_name(net->allow, net->reject));
	cJSON_AddBoolToObject(out, "broadcast", net->broadcast);
	if (net->hosts.n)
		cJSON_AddItemToObject(out, "hosts", objects_names_json(&net->hosts));
	render_host_keys(net, out);
}

void network_free(struct spec *spec)
{
	free(spec->u.network.foreign);
	objects_free_names(&spec->u.network.hosts);
	for (size_t i = 0; i < spec->u.network.n_host_keys; i++)
		free(spec->u.network.host_keys[i].host);
	free(spec->u.network.host_keys);
	free(spec->u.network.subnets);
}

/* External networks */

static int parse_prefixes(const cJSON *list, struct external_spec *out, struct json_error *err)
{
	const cJSON *item;

	out->prefixes = mem_alloc(cJSON_GetArraySize(list) * sizeof(*out->prefixes));
	cJSON_ArrayForEach (item, list) {
		struct ip_prefix prefix;
		char at[40];
		int rc;

		snprintf(at, sizeof(at), "prefixes[%zu]", out->n_prefixes);
		rc = parse_prefix(cJSON_GetStringValue(item), at, &prefix, err);
		if (rc)
			return rc;
		for (size_t i = 0; i < out->n_prefixes; i++)
			if (ip_prefix_equal(&out->prefixes[i], &prefix))
				return json_fail(err, at, "'%s' is there twice", item->valuestring);
		out->prefixes[out->n_prefixes++] = prefix;
	}
	return out->n_prefixes ? 0 : json_fail(err, "prefixes", "'prefixes' must not be empty");
}

static int parse_edge(const cJSON *gateway, struct external_spec *out, struct json_error *err)
{
	static const char *const fields[] = { "host", NULL };
	const char *host = NULL;
	int rc;

	if (!cJSON_IsObject(gateway))
		return json_fail(err, "gateway", "a gateway is an object like {\"host\": \"gw1\"}");
	snprintf(err->prefix, sizeof(err->prefix), "gateway.");
	rc = json_only(gateway, fields, err);
	rc = rc ? rc : json_str(gateway, "host", &host, err);
	if (!rc && !objects_check_name(host))
		rc = json_fail(err, "host", "'%.80s' is not the name of a host", host);
	err->prefix[0] = '\0';
	if (!rc)
		out->gateway = mem_copy(host);
	return rc;
}

int external_parse(const cJSON *json, struct spec *spec, struct json_error *err)
{
	const cJSON *list = NULL, *gateway = json_get(json, "gateway");
	int rc = json_list(json, "prefixes", PREFIXES_MAX, &list, err);

	rc = rc ? rc : parse_prefixes(list, &spec->u.external, err);
	return rc || !gateway ? rc : parse_edge(gateway, &spec->u.external, err);
}

void external_render(const struct spec *spec, cJSON *out)
{
	const struct external_spec *ext = &spec->u.external;
	cJSON *list = cJSON_AddArrayToObject(out, "prefixes");
	char text[IP_PREFIX_TEXT];

	for (size_t i = 0; i < ext->n_prefixes; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(ip_prefix_format(&ext->prefixes[i], text)));
	if (ext->gateway)
		cJSON_AddStringToObject(cJSON_AddObjectToObject(out, "gateway"), "host", ext->gateway);
}

void external_free(struct spec *spec)
{
	free(spec->u.external.prefixes);
	free(spec->u.external.gateway);
}
