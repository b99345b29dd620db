// SPDX-License-Identifier: Apache-2.0
#include "dps/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/mem.h"
#include "dps/server.h"
#include "lib/cleanup.h"

#define CONFIG_MAX_BYTES 65536

static int take_string(const cJSON *json, const char *field, char **out, struct json_error *err)
{
	const char *text = NULL;
	int rc = json_str_opt(json, field, &text, err);

	if (!rc && text && !*out)
		*out = mem_copy(text);
	return rc;
}

static int take(const cJSON *json, struct config *config, struct json_error *err)
{
	static const char *const fields[] = {
		"data",	    "listen",	   "tls-cert", "tls-key",   "tls-ca", "insecure",
		"lifetime", "verbose",	   "sign-key", "name",	    "local",  "root-server",
		"root",	    "authorities", "parents",  "primaries", "relays", "connections-per-peer",
		NULL
	};
	uint64_t lifetime = 0, per_peer = 0;
	int rc = cJSON_IsObject(json) ? json_only(json, fields, err)
				      : json_fail(err, NULL, "the configuration is a JSON object");

	rc = rc ? rc : take_string(json, "data", &config->data, err);
	rc = rc ? rc : take_string(json, "listen", &config->listen, err);
	rc = rc ? rc : take_string(json, "tls-cert", &config->tls_cert, err);
	rc = rc ? rc : take_string(json, "tls-key", &config->tls_key, err);
	rc = rc ? rc : take_string(json, "tls-ca", &config->tls_ca, err);
	rc = rc ? rc : take_string(json, "sign-key", &config->sign_key, err);
	rc = rc ? rc : json_uint_opt(json, "connections-per-peer", 1, 1000000, &per_peer, err);
	rc = rc ? rc : config_roles(json, config, err);
	rc = rc ? rc : json_uint_opt(json, "lifetime", 1, LIFETIME_MAX, &lifetime, err);
	if (!rc && !config->insecure)
		rc = json_bool_opt(json, "insecure", &config->insecure, err);
	if (!rc && !config->verbose)
		rc = json_bool_opt(json, "verbose", &config->verbose, err);
	if (!rc && !config->lifetime)
		config->lifetime = lifetime;
	config->per_peer = per_peer;
	return rc;
}

int config_take(const char *text, size_t len, struct config *config, struct json_error *err)
{
	cJSON *json;
	int rc;

	memset(err, 0, sizeof(*err));
	json = json_parse(text, len, err);
	rc = json ? take(json, config, err) : -EINVAL;
	cJSON_Delete(json);
	return rc;
}

int config_read(const char *path, struct config *config, struct json_error *err)
{
	_free_ char *text = mem_alloc(CONFIG_MAX_BYTES);
	_fclose_ FILE *file = fopen(path, "re");
	size_t len;

	memset(err, 0, sizeof(*err));
	if (!file)
		return json_fail(err, NULL, "cannot read %s: %s", path, strerror(errno));
	len = fread(text, 1, CONFIG_MAX_BYTES, file);
	if (len == CONFIG_MAX_BYTES)
		return json_fail(err, NULL, "%s is too large for a configuration", path);
	return config_take(text, len, config, err);
}

unsigned int config_lifetime(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > LIFETIME_MAX)
		return 0;
	return value;
}

static int check_tls(const struct config *config, struct json_error *err)
{
	struct listen_addr addr;

	if (server_parse_listen(config->listen, &addr))
		return json_fail(err, "listen", "'%s' is not ADDR:PORT, like 127.0.0.1:6083 or [::1]:6083",
				 config->listen);
	if (!config->tls_cert != !config->tls_key)
		return json_fail(err, config->tls_cert ? "tls-key" : "tls-cert",
				 "--tls-cert and --tls-key go together");
	if (config->tls_ca && !config->tls_cert)
		return json_fail(err, "tls-ca", "--tls-ca needs --tls-cert and --tls-key");
	if (config->tls_cert && !config->tls_ca && !addr.loopback && !config->insecure)
		return json_fail(err, "tls-ca",
				 "'tls-ca' is missing: without it nobody is told apart, and all may do all; "
				 "--insecure allows it");
	if (!config->tls_cert && !addr.loopback && !config->insecure)
		return json_fail(err, "listen",
				 "without TLS only loopback is listened on, not %s; --insecure allows it",
				 config->listen);
	return 0;
}

int config_finish(struct config *config, struct json_error *err)
{
	memset(err, 0, sizeof(*err));
	if (!config->data)
		config->data = mem_copy(DATA_DEFAULT);
	if (!config->listen)
		config->listen = mem_copy(LISTEN_DEFAULT);
	if (!config->lifetime)
		config->lifetime = LIFETIME_DEFAULT;
	return config_check_roles(config, err) ? -EINVAL : check_tls(config, err);
}

static void config_free_authority(struct config_authority *a)
{
	free(a->sign_key);
	for (size_t i = 0; i < a->n_succession; i++)
		signed_free(&a->succession[i]);
}

void config_free(struct config *config)
{
	free(config->data);
	free(config->listen);
	free(config->tls_cert);
	free(config->tls_key);
	free(config->tls_ca);
	free(config->sign_key);
	free(config->name);
	for (size_t i = 0; i < config->n_authorities; i++)
		config_free_authority(&config->authorities[i]);
	free(config->authorities);
	free(config->root);
	memset(config, 0, sizeof(*config));
}
