// SPDX-License-Identifier: Apache-2.0
#include "ctl/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/delegate.h"
#include "ctl/path.h"
#include "ctl/pki.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/usage.h"

#define FILE_BYTES_MAX ((size_t)64 << 20) /* what the service takes */

static int print_json(cJSON *json)
{
	char *text = cJSON_Print(json);
	int rc = text && puts(text) >= 0 && !fflush(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;

	free(text);
	cJSON_Delete(json);
	return rc;
}

static double number_of(const cJSON *json, const char *field)
{
	const cJSON *item = json_get(json, field);

	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

/* apply */

static char *read_all(FILE *file, size_t *len)
{
	size_t room = 1 << 16, n;
	char *text = malloc(room + 1), *more;

	for (*len = 0; text && (n = fread(text + *len, 1, room - *len, file)) > 0;) {
		*len += n;
		if (*len < room)
			continue;
		if (room > FILE_BYTES_MAX)
			break;
		room *= 2;
		more = realloc(text, room + 1);
		if (!more)
			free(text);
		text = more;
	}
	if (text)
		text[*len] = '\0';
	return text;
}

static char *read_file(const char *path, size_t *len)
{
	bool is_stdin = !strcmp(path, "-");
	FILE *file = is_stdin ? stdin : fopen(path, "re");
	char *text = NULL;

	if (!file) {
		fprintf(stderr, "dovectl: cannot read %s: %s\n", path, strerror(errno));
		return NULL;
	}
	errno = 0;
	text = read_all(file, len);
	if (!text || ferror(file)) {
		fprintf(stderr, "dovectl: cannot read %s: %s\n", path, strerror(errno));
		free(text);
		text = NULL;
	}
	if (!is_stdin)
		fclose(file);
	return text;
}

/* Bad JSON is said here already, with its place in the file. */
static int check_file(const char *path, const char *text, size_t len)
{
	struct json_error err = { 0 };
	cJSON *json = NULL;

	if (len > FILE_BYTES_MAX)
		json_fail(&err, NULL, "larger than %zu bytes", FILE_BYTES_MAX);
	else
		json = json_parse(text, len, &err);
	if (json && !cJSON_IsArray(json))
		json_fail(&err, NULL, "not a JSON list of objects");
	cJSON_Delete(json);
	if (!*err.text)
		return 0;
	fprintf(stderr, "dovectl: %s: %s\n", path, err.text);
	return -1;
}

static int run_apply(const struct options *options)
{
	_free_ char *text = NULL;
	size_t len = 0;
	cJSON *out;

	if (!options->file) {
		fprintf(stderr, "dovectl: apply needs -f FILE\n");
		return EXIT_USAGE;
	}
	text = read_file(options->file, &len);
	if (!text || check_file(options->file, text, len))
		return EXIT_FAILURE;
	if (client_call(&options->client, "POST", "/v1/apply", text, &out))
		return EXIT_FAILURE;
	if (options->json)
		return print_json(out);
	printf("%.0f changed, %.0f unchanged\n", number_of(out, "changed"), number_of(out, "unchanged"));
	cJSON_Delete(out);
	return EXIT_SUCCESS;
}

/* get, delete */

/* "/v1/objects/KIND[/NAME]"; the slash within "network/name" stays. */
static char *object_path(const struct options *options)
{
	_free_ char *kind = client_escape(options->args[0]), *name = NULL, *path = NULL;
	char *slash;

	if (options->n_args == 1)
		return asprintf(&path, "/v1/objects/%s", kind) < 0 ? NULL : take_ptr(path);
	name = client_escape(options->args[1]);
	slash = name ? strstr(name, "%2F") : NULL;
	if (slash) {
		*slash = '/';
		memmove(slash + 1, slash + 3, strlen(slash + 3) + 1);
	}
	return asprintf(&path, "/v1/objects/%s/%s", kind, name) < 0 ? NULL : take_ptr(path);
}

static int run_get(const struct options *options)
{
	_free_ char *path = object_path(options);
	cJSON *out;

	if (!path || client_call(&options->client, "GET", path, NULL, &out))
		return EXIT_FAILURE;
	return print_json(out);
}

static int run_delete(const struct options *options)
{
	_free_ char *path = object_path(options);
	cJSON *out;

	if (!path || client_call(&options->client, "DELETE", path, NULL, &out))
		return EXIT_FAILURE;
	if (options->json) {
		cJSON_AddStringToObject(out, "deleted", options->args[1]);
		return print_json(out);
	}
	printf("%s %s deleted\n", options->args[0], options->args[1]);
	cJSON_Delete(out);
	return EXIT_SUCCESS;
}

/* resolve */

static const struct {
	const char *name;
	int number;
} protos[] = {
	{ "any", 0 },  { "icmp", 1 }, { "tcp", 6 },	{ "udp", 17 },
	{ "gre", 47 }, { "esp", 50 }, { "icmpv6", 58 }, { "sctp", 132 },
};

static int parse_number(const char *text, unsigned long max)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	return *text < '0' || *text > '9' || *end || value > max ? -1 : (int)value;
}

static int parse_proto(const char *text)
{
	for (size_t i = 0; i < ARRAY_SIZE(protos); i++)
		if (!strcmp(protos[i].name, text))
			return protos[i].number;
	return parse_number(text, 255);
}

static int add_number(cJSON *key, const char *field, const char *option, const char *text, int value)
{
	if (!text)
		return 0;
	if (value < 0) {
		fprintf(stderr, "dovectl: %s: '%s' is not one\n", option, text);
		return -1;
	}
	cJSON_AddNumberToObject(key, field, value);
	return 0;
}

static int add_packet(cJSON *key, const struct options *o)
{
	/* A port without a protocol most likely means TCP. */
	const char *proto = !o->proto && (o->port || o->from_port) ? "tcp" : o->proto;

	if (add_number(key, "proto", "--proto", proto, proto ? parse_proto(proto) : 0) ||
	    add_number(key, "to_port", "--port", o->port, o->port ? parse_number(o->port, 65535) : 0) ||
	    add_number(key, "from_port", "--from-port", o->from_port,
		       o->from_port ? parse_number(o->from_port, 65535) : 0))
		return -1;
	return 0;
}

static cJSON *make_question(const struct options *o)
{
	cJSON *question = cJSON_CreateObject(), *key = cJSON_CreateObject();

	cJSON_AddItemToArray(cJSON_AddArrayToObject(question, "keys"), key);
	cJSON_AddStringToObject(key, "network", o->network);
	cJSON_AddStringToObject(key, "from", o->from);
	cJSON_AddStringToObject(key, "to_endpoint", o->to);
	cJSON_AddTrueToObject(key, "explain");
	if (!add_packet(key, o))
		return question;
	cJSON_Delete(question);
	return NULL;
}

/* The answer, the caller's; NULL: there is none, and it has been said. */
static cJSON *take_answer(const struct options *o, cJSON *out)
{
	cJSON *answer = cJSON_DetachItemFromArray(cJSON_GetObjectItem(out, "answers"), 0);
	const cJSON *item = json_get(answer, "verdict"), *failed = json_get(answer, "error");
	const char *verdict = cJSON_IsString(item) ? item->valuestring : "";

	cJSON_Delete(out);
	if (cJSON_IsString(failed))
		fprintf(stderr, "dovectl: %s\n", failed->valuestring);
	else if (!strcmp(verdict, "no_source"))
		fprintf(stderr, "dovectl: --from: '%s' is not an endpoint of network %s\n", o->from,
			o->network);
	else if (!strcmp(verdict, "no_endpoint"))
		fprintf(stderr, "dovectl: --to: '%s' is not an endpoint of network %s\n", o->to, o->network);
	else
		return answer;
	cJSON_Delete(answer);
	return NULL;
}

/* 0 and *answer, the caller's; else the exit status. */
static int ask(const struct options *options, const char *command, cJSON **answer)
{
	_free_ char *body = NULL;
	cJSON *question, *out;

	if (!options->network || !options->from || !options->to) {
		fprintf(stderr, "dovectl: %s needs --network, --from and --to\n", command);
		return EXIT_USAGE;
	}
	question = make_question(options);
	if (!question)
		return EXIT_USAGE;
	body = cJSON_PrintUnformatted(question);
	cJSON_Delete(question);
	if (!body || client_call(&options->client, "POST", "/v1/resolve", body, &out))
		return EXIT_FAILURE;
	*answer = take_answer(options, out);
	return *answer ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_resolve(const struct options *options)
{
	cJSON *answer;
	int rc = ask(options, "resolve", &answer);

	return rc ? rc : print_json(answer);
}

static int run_path(const struct options *options)
{
	cJSON *answer;
	int rc = ask(options, "path", &answer);

	return rc ? rc : path_show(options, answer);
}

/* status */

static int run_status(const struct options *options)
{
	static const char *const counts[] = { "networks", "endpoints", "externals", "policies", "hosts",
					      "services", "questions", "commits",   "watchers" };
	const cJSON *item;
	cJSON *out;

	if (client_call(&options->client, "GET", "/v1/status", NULL, &out))
		return EXIT_FAILURE;
	if (options->json)
		return print_json(out);
	item = json_get(out, "version");
	printf("%-10s %s\n", "version", cJSON_IsString(item) ? item->valuestring : "?");
	printf("%-10s %.0f s\n", "uptime", number_of(out, "uptime"));
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		printf("%-10s %.0f\n", counts[i], number_of(out, counts[i]));
	cJSON_ArrayForEach (item, json_get(out, "revisions"))
		printf("network %s is at revision %.0f\n", item->string, item->valuedouble);
	cJSON_Delete(out);
	return EXIT_SUCCESS;
}

const struct command commands[] = {
	{ "apply", "-f FILE.json|-", "put all objects of a file in place, or none", 0, 0, TAKES_FILE,
	  run_apply },
	{ "get", "KIND [NAME]", "print objects as JSON", 1, 2, 0, run_get },
	{ "delete", "KIND NAME", "remove an object that nothing refers to", 2, 2, 0, run_delete },
	{ "resolve", "--network N --from VM --to VM", "ask what happens to a packet", 0, 0, TAKES_PAIR,
	  run_resolve },
	{ "path", "--network N --from VM --to VM", "the services on a packet's way, and where they are", 0, 0,
	  TAKES_PAIR, run_path },
	{ "delegate", "[DOMAIN [--range A-B --server NAME=ADDR:PORT | --withdraw]]",
	  "give VNIDs to a domain below; without DOMAIN, list", 0, 1, TAKES_DELEGATION, delegate_run },
	{ "status", "", "what the service says of itself", 0, 0, 0, run_status },
	{ "pki", "root|server|host|admin|key [NAME]",
	  "make certificates and keys, here and without the service", 1, 2, TAKES_PKI, pki_run },
	{ 0 },
};

const struct command *command_find(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}
