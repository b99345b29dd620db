// SPDX-License-Identifier: Apache-2.0
#include "ctl/delegate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/pki.h"
#include "lib/cleanup.h"
#include "lib/delegation.h"
#include "lib/json.h"
#include "lib/usage.h"

#define PATH_ROOM 1024
#define ROOT_FILE_MAX 65536

static int complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static int complain(const char *fmt, ...)
{
	va_list ap;

	fputs("dovectl: delegate: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -1;
}

/* "pki/acme-eng.sign": a domain's slashes are no folders. */
static const char *path_of(const struct options *o, const char *domain, const char *end, char out[PATH_ROOM])
{
	int len = snprintf(out, PATH_ROOM, "%s/", o->dir ? o->dir : PKI_DIR_DEFAULT);

	snprintf(out + len, PATH_ROOM - len, "%s%s", domain, end);
	for (char *c = out + len; *c; c++)
		if (*c == '/')
			*c = '-';
	return out;
}

static char *delegation_path(const char *domain)
{
	_free_ char *name = client_escape(domain);
	char *path = NULL;

	return name && asprintf(&path, "/v1/delegations/%s", name) > 0 ? path : NULL;
}

/* ---- what the options say ---- */

/* "256-511", "600" */
static int parse_range(const char *text, struct vnid_ranges *out)
{
	unsigned int first = 0, last = 0;
	int n = 0, fields = sscanf(text, "%u%n-%u%n", &first, &n, &last, &n);

	if (*text < '0' || *text > '9' || fields < 1 || text[n])
		return complain("--range: '%s' is not VNIDs, like 256-511", text);
	if (ranges_add(out, first, fields == 2 ? last : first))
		return complain("--range: %s is no range of VNIDs (1 to %d), or overlaps another", text,
				VNID_LAST);
	return 0;
}

static struct server_name *find_server(const char *name, struct server_name *servers, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		if (!strcmp(servers[i].name, name))
			return &servers[i];
	if (*n == ZONE_SERVERS_MAX)
		return NULL;
	strcpy(servers[*n].name, name);
	return &servers[(*n)++];
}

/* "ns1.acme=192.0.2.1:6083"; the same name again adds an address */
static int parse_server(const char *text, struct server_name *servers, size_t *n)
{
	size_t len = strcspn(text, "=");
	struct server_address addr;
	struct server_name *server;
	char name[SERVER_NAME_ROOM];

	if (!len || len >= sizeof(name) || !text[len] || server_address_parse(text + len + 1, &addr))
		return complain("--server: '%s' is not NAME=ADDRESS:PORT", text);
	memcpy(name, text, len);
	name[len] = '\0';
	server = find_server(name, servers, n);
	if (!server || server->n_addresses == SERVER_ADDRESSES_MAX)
		return complain("--server: at most %d servers with %d addresses each", ZONE_SERVERS_MAX,
				SERVER_ADDRESSES_MAX);
	server->addresses[server->n_addresses++] = addr;
	return 0;
}

static int parse_options(const struct options *o, struct delegation *d)
{
	for (int i = 0; i < o->n_ranges; i++)
		if (parse_range(o->ranges[i], &d->ranges))
			return -1;
	for (int i = 0; i < o->n_servers; i++)
		if (parse_server(o->servers[i], d->servers, &d->n_servers))
			return -1;
	for (int i = 0; i < o->n_keys; i++)
		if (sign_from_text(o->keys[i], d->keys[d->n_keys++].b, SIGN_PUBLIC_BYTES))
			return complain("--key: '%s' is not a public key", o->keys[i]);
	return 0;
}

/* ---- a new child's files ---- */

static int make_key(const char *path, struct delegation *d)
{
	struct sign_key *key = NULL;
	struct error err;
	int rc = access(path, F_OK) ? sign_key_make(&key, &err) : sign_key_load(path, &key, &err);

	if (!rc && access(path, F_OK))
		rc = sign_key_save(key, path, &err);
	if (!rc) {
		d->keys[0] = *sign_key_public(key);
		d->n_keys = 1;
	}
	sign_key_free(key);
	return rc ? complain("%s", err.text) : 0;
}

/* The root's keys and servers, as in every configuration. */
static cJSON *read_root(const char *path)
{
	_free_ char *text = malloc(ROOT_FILE_MAX);
	_fclose_ FILE *file = fopen(path, "re");
	struct json_error err = { 0 };
	size_t len;
	cJSON *json, *root;

	if (!file || !text) {
		complain("cannot read %s: %s", path, strerror(errno));
		return NULL;
	}
	len = fread(text, 1, ROOT_FILE_MAX, file);
	json = json_parse(text, len, &err);
	if (!json) {
		complain("%s: %s", path, err.text);
		return NULL;
	}
	root = cJSON_DetachItemFromObject(json, "root");
	if (!root)
		complain("%s: 'root' is missing: the keys of the root, and its servers", path);
	cJSON_Delete(json);
	return root;
}

static cJSON *authority_json(const struct delegation *d, const char *key_path)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddStringToObject(out, "domain", d->domain);
	cJSON_AddStringToObject(out, "sign-key", key_path);
	cJSON_AddItemToObject(out, "ranges", ranges_json(&d->ranges));
	cJSON_AddItemToObject(out, "servers", servers_json(d->servers, d->n_servers));
	return out;
}

/* For the first of its servers; the others differ in "name" and "listen". */
static cJSON *config_json(const struct delegation *d, const char *key_path, cJSON *root)
{
	cJSON *out = cJSON_CreateObject(), *list;
	char text[SERVER_ADDRESS_TEXT];

	cJSON_AddStringToObject(out, "name", d->servers[0].name);
	cJSON_AddStringToObject(out, "listen", server_address_format(&d->servers[0].addresses[0], text));
	cJSON_AddItemToObject(out, "root", root);
	list = cJSON_AddArrayToObject(out, "authorities");
	cJSON_AddItemToArray(list, authority_json(d, key_path));
	return out;
}

static int write_config(const char *path, const cJSON *json)
{
	_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	_free_ char *text = cJSON_Print(json);

	if (fd < 0)
		return complain("cannot make %s: %s", path, strerror(errno));
	if (text && dprintf(fd, "%s\n", text) > 0)
		return 0;
	unlink(path);
	return complain("cannot write %s", path);
}

/* ---- commands ---- */

static cJSON *request_json(const struct delegation *d)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddItemToObject(out, "ranges", ranges_json(&d->ranges));
	cJSON_AddItemToObject(out, "servers", servers_json(d->servers, d->n_servers));
	cJSON_AddItemToObject(out, "keys", keys_json(d->keys, d->n_keys));
	return out;
}

static int print(const struct options *o, cJSON *out, const char *key, const char *config)
{
	if (o->json) {
		_free_ char *text = NULL;

		if (key)
			cJSON_AddStringToObject(out, "key_file", key);
		if (config)
			cJSON_AddStringToObject(out, "config_file", config);
		text = cJSON_Print(out);
		puts(text ? text : "");
	} else {
		printf("%s is delegated\n", o->args[0]);
		if (key)
			printf("%s\n", key);
		if (config)
			printf("%s\n", config);
	}
	cJSON_Delete(out);
	return EXIT_SUCCESS;
}

/* What an existing delegation has, and the options don't say, stays. */
static int fill_from(const cJSON *now, struct delegation *d)
{
	_free_ char *text = cJSON_PrintUnformatted(now);
	struct json_error err = { 0 };
	struct delegation old;

	if (!text || delegation_parse(text, strlen(text), &old, &err))
		return complain("the service's delegation of %s: %s", d->domain, err.text);
	if (!d->ranges.n)
		d->ranges = old.ranges;
	if (!d->n_servers) {
		memcpy(d->servers, old.servers, sizeof(d->servers));
		d->n_servers = old.n_servers;
	}
	if (!d->n_keys) {
		memcpy(d->keys, old.keys, sizeof(d->keys));
		d->n_keys = old.n_keys;
	}
	return 0;
}

static int put(const struct options *o, const struct delegation *d, const char *key, const char *config)
{
	_free_ char *path = delegation_path(d->domain), *body = NULL;
	cJSON *json = request_json(d), *out;

	body = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	if (!path || !body || client_call(&o->client, "PUT", path, body, &out))
		return EXIT_FAILURE;
	return print(o, out, key, config);
}

static int create(const struct options *o, struct delegation *d)
{
	char key[PATH_ROOM], config[PATH_ROOM];
	cJSON *json, *root;
	int rc;

	if (!d->ranges.n || !d->n_servers)
		return complain("a new delegation needs %s", d->ranges.n ? "--server" : "--range"),
		       EXIT_USAGE;
	path_of(o, d->domain, ".sign", key);
	path_of(o, d->domain, ".json", config);
	if (d->n_keys)
		return put(o, d, NULL, NULL);
	if (!o->file)
		return complain("a new delegation needs -f FILE, a configuration with the 'root', or --key"),
		       EXIT_USAGE;
	if (mkdir(o->dir ? o->dir : PKI_DIR_DEFAULT, 0700) && errno != EEXIST)
		return complain("cannot make %s: %s", o->dir ? o->dir : PKI_DIR_DEFAULT, strerror(errno)),
		       EXIT_FAILURE;
	root = read_root(o->file);
	if (!root || make_key(key, d)) {
		cJSON_Delete(root);
		return EXIT_FAILURE;
	}
	json = config_json(d, key, root);
	rc = access(config, F_OK) ? write_config(config, json) : complain("%s is there already", config);
	cJSON_Delete(json);
	rc = rc ? EXIT_FAILURE : put(o, d, key, config);
	if (rc == EXIT_FAILURE)
		unlink(config);
	return rc;
}

/* The delegation that the service has: NULL: none, or *failed. */
static cJSON *find(const struct options *o, bool *failed)
{
	cJSON *all = NULL, *one, *found = NULL;
	const cJSON *authority;

	*failed = client_call(&o->client, "GET", "/v1/delegations", NULL, &all);
	cJSON_ArrayForEach (authority, all)
		cJSON_ArrayForEach (one, json_get(authority, "delegations")) {
			const char *domain = cJSON_GetStringValue(json_get(one, "domain"));

			if (domain && !strcmp(domain, o->args[0]))
				found = cJSON_Duplicate(one, true);
		}
	cJSON_Delete(all);
	return found;
}

static int delegate(const struct options *o)
{
	_free_ struct delegation *d = calloc(1, sizeof(*d));
	bool failed = false;
	cJSON *now;
	int rc;

	if (!d || !domain_check(o->args[0]))
		return complain("'%s' is not a domain, like acme or acme/eng", o->args[0]), EXIT_USAGE;
	strcpy(d->domain, o->args[0]);
	if (parse_options(o, d))
		return EXIT_USAGE;
	now = find(o, &failed);
	if (failed)
		return EXIT_FAILURE;
	if (!now)
		return create(o, d);
	rc = fill_from(now, d) ? EXIT_FAILURE : put(o, d, NULL, NULL);
	cJSON_Delete(now);
	return rc;
}

static int withdraw(const struct options *o)
{
	_free_ char *path = delegation_path(o->args[0]);
	cJSON *out;

	if (!path || client_call(&o->client, "DELETE", path, NULL, &out))
		return EXIT_FAILURE;
	cJSON_Delete(out);
	if (o->json)
		printf("{\"withdrawn\": \"%s\"}\n", o->args[0]);
	else
		printf("%s is delegated no more\n", o->args[0]);
	return EXIT_SUCCESS;
}

static int list(const struct options *o)
{
	_free_ char *text = NULL;
	cJSON *out;

	if (client_call(&o->client, "GET", "/v1/delegations", NULL, &out))
		return EXIT_FAILURE;
	text = cJSON_Print(out);
	cJSON_Delete(out);
	puts(text ? text : "");
	return EXIT_SUCCESS;
}

int delegate_run(const struct options *options)
{
	if (!options->n_args)
		return list(options);
	return options->withdraw ? withdraw(options) : delegate(options);
}
