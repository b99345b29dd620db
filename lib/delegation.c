// SPDX-License-Identifier: Apache-2.0
#include "lib/delegation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Addresses of servers */

static int parse_port(const char *text, uint16_t *out)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (*text < '1' || *text > '9' || *end || port > UINT16_MAX)
		return -EINVAL;
	*out = port;
	return 0;
}

int server_address_parse(const char *text, struct server_address *out)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? colon - text : 0;
	bool brackets = len > 1 && text[0] == '[' && text[len - 1] == ']';
	struct server_address addr;
	char ip[IP_TEXT];

	if (brackets) {
		text++;
		len -= 2;
	}
	if (!len || len >= sizeof(ip))
		return -EINVAL;
	memcpy(ip, text, len);
	ip[len] = '\0';
	if (ip_parse(ip, &addr.ip) || brackets == !strchr(ip, ':') || parse_port(colon + 1, &addr.port))
		return -EINVAL;
	*out = addr;
	return 0;
}

const char *server_address_format(const struct server_address *addr, char buf[SERVER_ADDRESS_TEXT])
{
	bool v4 = ip_is_v4(&addr->ip);
	char ip[IP_TEXT];

	snprintf(buf, SERVER_ADDRESS_TEXT, "%s%s%s:%u", v4 ? "" : "[", ip_format(&addr->ip, ip),
		 v4 ? "" : "]", addr->port);
	return buf;
}

bool server_address_equal(const struct server_address *a, const struct server_address *b)
{
	return a->port == b->port && ip_equal(&a->ip, &b->ip);
}

/* Servers */

static bool is_server_name(const char *name)
{
	size_t len = strlen(name);

	return len && len < SERVER_NAME_ROOM && *name != '.' &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_") == len;
}

static int parse_addresses(const cJSON *obj, struct server_name *out, struct json_error *err)
{
	const cJSON *list = NULL, *item;
	int rc = json_list(obj, "addresses", SERVER_ADDRESSES_MAX, &list, err);

	if (rc)
		return rc;
	cJSON_ArrayForEach (item, list) {
		if (!cJSON_IsString(item) ||
		    server_address_parse(item->valuestring, &out->addresses[out->n_addresses]))
			return json_fail_item(err, "addresses", out->n_addresses,
					      "not ADDRESS:PORT, like 192.0.2.1:6083 or [2001:db8::1]:6083");
		out->n_addresses++;
	}
	return out->n_addresses ? 0 : json_fail(err, "addresses", "'addresses' must not be empty");
}

static int parse_server(const cJSON *json, struct server_name *out, struct json_error *err)
{
	static const char *const fields[] = { "name", "addresses", NULL };
	const char *name = NULL;
	int rc = cJSON_IsObject(json) ? json_only(json, fields, err)
				      : json_fail(err, NULL, "a server is an object");

	memset(out, 0, sizeof(*out));
	rc = rc ? rc : json_str(json, "name", &name, err);
	if (!rc && !is_server_name(name))
		rc = json_fail(err, "name", "'%.80s' is not a server's name", name);
	if (!rc)
		strcpy(out->name, name);
	return rc ? rc : parse_addresses(json, out, err);
}

int servers_parse(const cJSON *obj, struct server_name *out, size_t *n, struct json_error *err)
{
	const cJSON *list = NULL, *item;
	char prefix[sizeof(err->prefix)];
	int rc = json_list(obj, "servers", ZONE_SERVERS_MAX, &list, err);

	if (rc)
		return rc;
	strcpy(prefix, err->prefix);
	*n = 0;
	cJSON_ArrayForEach (item, list) {
		snprintf(err->prefix, sizeof(err->prefix), "%.60sservers[%zu].", prefix, *n);
		rc = parse_server(item, &out[(*n)++], err);
		if (rc)
			return rc;
	}
	strcpy(err->prefix, prefix);
	return *n ? 0 : json_fail(err, "servers", "'servers' must not be empty");
}

cJSON *servers_json(const struct server_name *servers, size_t n)
{
	cJSON *list = cJSON_CreateArray(), *server, *addresses;
	char text[SERVER_ADDRESS_TEXT];

	for (size_t i = 0; i < n; i++) {
		server = cJSON_CreateObject();
		cJSON_AddStringToObject(server, "name", servers[i].name);
		addresses = cJSON_AddArrayToObject(server, "addresses");
		for (size_t j = 0; j < servers[i].n_addresses; j++)
			cJSON_AddItemToArray(addresses, cJSON_CreateString(server_address_format(
								&servers[i].addresses[j], text)));
		cJSON_AddItemToArray(list, server);
	}
	return list;
}

/* Keys */

int keys_parse(const cJSON *obj, struct sign_public *out, size_t *n, struct json_error *err)
{
	const cJSON *list = NULL, *item;
	int rc = json_list(obj, "keys", ZONE_KEYS_MAX, &list, err);

	if (rc)
		return rc;
	*n = 0;
	cJSON_ArrayForEach (item, list) {
		if (!cJSON_IsString(item) || sign_from_text(item->valuestring, out[*n].b, SIGN_PUBLIC_BYTES))
			return json_fail_item(err, "keys", *n, "a key is base64 of %d bytes",
					      SIGN_PUBLIC_BYTES);
		++*n;
	}
	return *n ? 0 : json_fail(err, "keys", "'keys' must not be empty");
}

cJSON *keys_json(const struct sign_public *keys, size_t n)
{
	cJSON *list = cJSON_CreateArray();
	char text[SIGN_PUBLIC_TEXT];

	for (size_t i = 0; i < n; i++) {
		sign_to_text(keys[i].b, SIGN_PUBLIC_BYTES, text);
		cJSON_AddItemToArray(list, cJSON_CreateString(text));
	}
	return list;
}

bool delegation_has_key(const struct delegation *d, const struct sign_public *key)
{
	for (size_t i = 0; i < d->n_keys; i++)
		if (sign_public_equal(&d->keys[i], key))
			return true;
	return false;
}

/* The document */

int delegation_times(int64_t issued, int64_t expires, int64_t now)
{
	if (now >= expires)
		return -ETIME;
	return issued > now + CLOCK_SKEW ? -EAGAIN : 0;
}

static int parse_domain(const cJSON *json, struct delegation *out, struct json_error *err)
{
	const char *domain = NULL;
	int rc = json_str(json, "domain", &domain, err);

	if (rc)
		return rc;
	if (!domain_check(domain))
		return json_fail(err, "domain", "'%.80s' is not a domain, like acme or acme/eng", domain);
	strcpy(out->domain, domain);
	snprintf(err->object, sizeof(err->object), "delegation %.*s", LABEL_MAX * 2, domain);
	return 0;
}

static int parse_times(const cJSON *json, struct delegation *out, struct json_error *err)
{
	uint64_t issued = 0, expires = 0;
	int rc = json_uint(json, "serial", 1, JSON_INT_MAX, &out->serial, err);

	rc = rc ? rc : json_uint(json, "issued", 0, JSON_INT_MAX, &issued, err);
	rc = rc ? rc : json_uint(json, "expires", 0, JSON_INT_MAX, &expires, err);
	if (rc)
		return rc;
	if (expires <= issued || expires - issued > DELEGATION_LIFE_MAX)
		return json_fail(err, "expires", "'expires' must be 1 to %d seconds after 'issued'",
				 DELEGATION_LIFE_MAX);
	out->issued = (int64_t)issued;
	out->expires = (int64_t)expires;
	return 0;
}

static int parse_fields(const cJSON *json, struct delegation *out, struct json_error *err)
{
	static const char *const fields[] = { "domain", "ranges", "servers", "keys",
					      "serial", "issued", "expires", NULL };
	int rc = cJSON_IsObject(json) ? json_only(json, fields, err)
				      : json_fail(err, NULL, "a delegation is an object");

	rc = rc ? rc : parse_domain(json, out, err);
	rc = rc ? rc : ranges_parse(json, "ranges", &out->ranges, err);
	rc = rc ? rc : servers_parse(json, out->servers, &out->n_servers, err);
	rc = rc ? rc : keys_parse(json, out->keys, &out->n_keys, err);
	return rc ? rc : parse_times(json, out, err);
}

int delegation_parse(const char *body, size_t len, struct delegation *out, struct json_error *err)
{
	struct delegation d = { 0 };
	cJSON *json = json_parse(body, len, err);
	int rc = json ? parse_fields(json, &d, err) : -EINVAL;

	cJSON_Delete(json);
	if (!rc)
		*out = d;
	return rc;
}

char *delegation_render(const struct delegation *d)
{
	cJSON *out = cJSON_CreateObject();
	char *text;

	cJSON_AddStringToObject(out, "domain", d->domain);
	cJSON_AddItemToObject(out, "ranges", ranges_json(&d->ranges));
	cJSON_AddItemToObject(out, "servers", servers_json(d->servers, d->n_servers));
	cJSON_AddItemToObject(out, "keys", keys_json(d->keys, d->n_keys));
	cJSON_AddNumberToObject(out, "serial", (double)d->serial);
	cJSON_AddNumberToObject(out, "issued", (double)d->issued);
	cJSON_AddNumberToObject(out, "expires", (double)d->expires);
	text = cJSON_PrintUnformatted(out);
	cJSON_Delete(out);
	return text;
}

int delegation_sign(const struct delegation *d, const struct sign_key *parent, struct signed_doc *out)
{
	return signed_make(parent, SIGNED_DELEGATION, delegation_render(d), out);
}

bool delegation_newer(const struct delegation *a, const struct delegation *b)
{
	return a->serial != b->serial ? a->serial > b->serial : a->issued > b->issued;
}
