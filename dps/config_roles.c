// SPDX-License-Identifier: Apache-2.0
/* What part the server plays in the hierarchy. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/config.h"
#include "dps/mem.h"

#define LIFE_LEAST                                                                                           \
	10	/* seconds; node_tend() signs again at half of it, and a resolver asks at its last quarter */
#define NONE "" /* the field has a default */

/* "." is the root, in configurations as in commands; in names it is nothing. */
static int take_domain(const cJSON *json, const char *field, char out[DOMAIN_ROOM], struct json_error *err)
{
	const char *text = NULL;
	int rc = json_str(json, field, &text, err);

	if (rc)
		return rc;
	if (strcmp(text, ".") != 0 && !domain_check(text))
		return json_fail(err, field,
				 "'%.80s' is not a domain, like acme or acme/eng ('.' is the root)", text);
	strcpy(out, strcmp(text, ".") != 0 ? text : "");
	return 0;
}

static int take_ranges(const cJSON *json, struct config_authority *a, struct json_error *err)
{
	if (!*a->domain)
		return json_get(json, "ranges") ? json_fail(err, "ranges", "the root has all VNIDs") : 0;
	return ranges_parse(json, "ranges", &a->ranges, err);
}

static int take_servers(const cJSON *json, const char *field, struct server_name *out, size_t *n,
			struct json_error *err)
{
	const cJSON *list = json_get(json, field);
	cJSON *wrapped;
	int rc;

	if (!list)
		return 0;
	wrapped = cJSON_CreateObject();
	cJSON_AddItemToObject(wrapped, "servers", cJSON_Duplicate(list, true));
	rc = servers_parse(wrapped, out, n, err);
	cJSON_Delete(wrapped);
	return rc;
}

/* How the root's keys have followed one another, as dovectl makes it. */
static int take_succession(const cJSON *json, struct config_authority *a, struct json_error *err)
{
	const cJSON *list = NULL, *item;
	int rc = json_list_opt(json, "succession", SUCCESSIONS_MAX, &list, err);

	if (!rc && list && *a->domain)
		return json_fail(err, "succession", "the root's alone: other keys stand in delegations");
	cJSON_ArrayForEach (item, list) {
		rc = rc ? rc : signed_parse(item, SIGNED_BODY_MAX, &a->succession[a->n_succession], err);
		a->n_succession += !rc;
	}
	return rc;
}

static int take_authority(const cJSON *json, struct config_authority *a, struct json_error *err)
{
	static const char *const fields[] = { "domain", "sign-key",   "ranges", "servers",
					      "life",	"succession", NULL };
	const char *key = NULL;
	uint64_t life = 0;
	int rc = cJSON_IsObject(json) ? json_only(json, fields, err)
				      : json_fail(err, NONE, "an authority is an object");

	rc = rc ? rc : take_domain(json, "domain", a->domain, err);
	rc = rc ? rc : json_str(json, "sign-key", &key, err);
	rc = rc ? rc : take_ranges(json, a, err);
	rc = rc ? rc : take_servers(json, "servers", a->servers, &a->n_servers, err);
	rc = rc ? rc : take_succession(json, a, err);
	rc = rc ? rc : json_uint_opt(json, "life", LIFE_LEAST, DELEGATION_LIFE_MAX, &life, err);
	a->life = life;
	if (!rc)
		a->sign_key = mem_copy(key);
	return rc;
}

static int take_authorities(const cJSON *json, struct config *config, struct json_error *err)
{
	const cJSON *list = NULL, *item;
	char prefix[sizeof(err->prefix)];
	int rc = json_list_opt(json, "authorities", CONFIG_AUTHORITIES_MAX, &list, err);

	if (rc || !list)
		return rc;
	config->authorities =
		mem_alloc(((size_t)cJSON_GetArraySize(list) + 1) * sizeof(*config->authorities));
	cJSON_ArrayForEach (item, list) {
		snprintf(prefix, sizeof(prefix), "authorities[%zu].", config->n_authorities);
		strcpy(err->prefix, prefix);
		rc = take_authority(item, &config->authorities[config->n_authorities++], err);
		if (rc)
			return rc;
	}
	err->prefix[0] = '\0';
	return 0;
}

static int take_root(const cJSON *json, struct config *config, struct json_error *err)
{
	static const char *const fields[] = { "keys", "servers", NULL };
	const cJSON *root = json_get(json, "root");
	int rc;

	if (!root)
		return 0;
	if (!cJSON_IsObject(root))
		return json_fail(err, "root", "'root' is an object with 'keys' and 'servers'");
	strcpy(err->prefix, "root.");
	config->root = mem_alloc(sizeof(*config->root));
	rc = json_only(root, fields, err);
	rc = rc ? rc : keys_parse(root, config->root->keys, &config->root->n_keys, err);
	if (!rc && json_get(root, "servers"))
		rc = servers_parse(root, config->root->servers, &config->root->n_servers, err);
	err->prefix[0] = '\0';
	return rc;
}

static int take_relays(const cJSON *json, struct config *config, struct json_error *err)
{
	const cJSON *list = NULL, *item;
	int rc = json_list_opt(json, "relays", CONFIG_RELAYS_MAX, &list, err);

	if (rc || !list)
		return rc;
	cJSON_ArrayForEach (item, list) {
		const char *text = cJSON_GetStringValue(item);

		if (!text || (strcmp(text, ".") != 0 && !domain_check(text)))
			return json_fail_item(err, "relays", config->n_relays, "'%.80s' is not a domain",
					      text ? text : "?");
		strcpy(config->relays[config->n_relays++], strcmp(text, ".") != 0 ? text : "");
	}
	return 0;
}

static int take_name(const cJSON *json, struct config *config, struct json_error *err)
{
	const char *name = NULL;
	int rc = json_str_opt(json, "name", &name, err);

	if (rc || !name)
		return rc;
	if (!*name || strlen(name) >= SERVER_NAME_ROOM)
		return json_fail(err, "name", "'name' takes 1 to %d bytes", SERVER_NAME_ROOM - 1);
	config->name = mem_copy(name);
	return 0;
}

int config_roles(const cJSON *json, struct config *config, struct json_error *err)
{
	int rc = take_name(json, config, err);

	rc = rc ? rc : json_bool_opt(json, "local", &config->local, err);
	rc = rc ? rc : json_bool_opt(json, "root-server", &config->root_server, err);
	rc = rc ? rc : take_root(json, config, err);
	rc = rc ? rc : take_authorities(json, config, err);
	rc = rc ? rc : take_servers(json, "parents", config->parents, &config->n_parents, err);
	rc = rc ? rc : take_servers(json, "primaries", config->primaries, &config->n_primaries, err);
	return rc ? rc : take_relays(json, config, err);
}

/* Whether all of it goes together */

static int check_authorities(const struct config *config, struct json_error *err)
{
	for (size_t i = 0; i < config->n_authorities; i++)
		for (size_t j = 0; j < i; j++)
			if (!strcmp(config->authorities[i].domain, config->authorities[j].domain))
				return json_fail_item(err, "authorities", i, "'%.80s' is there twice",
						      config->authorities[i].domain);
	return 0;
}

int config_check_roles(const struct config *config, struct json_error *err)
{
	bool plays = config->local || config->root_server || config->n_authorities;
	int rc = check_authorities(config, err);

	if (rc)
		return rc;
	if (!config->root && (plays || config->n_parents || config->n_primaries))
		return json_fail(err, "root", "'root' is missing: the keys of the root, and its servers");
	if (config->root && !config->name)
		return json_fail(err, "name", "'name' is missing: this server's, as in its certificate");
	if (config->root && config->sign_key)
		return json_fail(err, "sign-key",
				 "'sign-key' is of a service that stands alone; an authority has its own");
	return 0;
}
