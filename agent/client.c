// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/cleanup.h"

static FILE *agent_connect(const char *run_dir)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	FILE *f;

	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/agent.sock", run_dir) >=
	    (int)sizeof(addr.sun_path)) {
		fprintf(stderr, "dove-agent: --run-dir %s: path too long for a socket\n", run_dir);
		return NULL;
	}
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		fprintf(stderr, "dove-agent: no agent answers at %s: %s\n", addr.sun_path, strerror(errno));
		return NULL;
	}
	f = fdopen(fd, "r+");
	if (f)
		take_fd(fd);
	return f;
}

static void send_command(FILE *f, const char *command, const struct options *o)
{
	cJSON *json = cJSON_CreateObject();
	_free_ char *text = NULL;

	cJSON_AddStringToObject(json, "command", command);
	if (o->device)
		cJSON_AddStringToObject(json, "device", o->device);
	if (o->network)
		cJSON_AddStringToObject(json, "network", o->network);
	if (o->endpoint)
		cJSON_AddStringToObject(json, "endpoint", o->endpoint);
	if (o->to)
		cJSON_AddStringToObject(json, "to", o->to);
	if (o->from)
		cJSON_AddStringToObject(json, "from", o->from);
	if (o->proto >= 0)
		cJSON_AddNumberToObject(json, "proto", o->proto);
	if (o->port >= 0)
		cJSON_AddNumberToObject(json, "to_port", o->port);
	if (o->from_port >= 0)
		cJSON_AddNumberToObject(json, "from_port", o->from_port);
	cJSON_AddStringToObject(json, "ingress", o->ingress);
	cJSON_AddBoolToObject(json, "follow", o->follow);
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	fprintf(f, "%s\n", text);
	fflush(f);
}

static void print_json(const cJSON *json, bool pretty)
{
	_free_ char *text = pretty ? cJSON_Print(json) : cJSON_PrintUnformatted(json);

	puts(text);
	fflush(stdout);
}

int client_run(const char *command, const struct options *o,
	       void (*show)(const cJSON *result, const struct options *o))
{
	_fclose_ FILE *f = agent_connect(o->config.run_dir);
	_free_ char *line = NULL;
	size_t room = 0;
	ssize_t len;

	if (!f)
		return EXIT_FAILURE;
	send_command(f, command, o);
	while ((len = getline(&line, &room, f)) > 0) {
		cJSON *json = cJSON_ParseWithLength(line, len);
		const cJSON *error = cJSON_GetObjectItemCaseSensitive(json, "error");
		const cJSON *event = cJSON_GetObjectItemCaseSensitive(json, "event");
		const cJSON *result = event ? event : cJSON_GetObjectItemCaseSensitive(json, "result");

		if (error)
			fprintf(stderr, "dove-agent: %s\n", cJSON_GetStringValue(error));
		else if (o->json)
			print_json(result, !event);
		else
			show(result, o);
		if (event) {
			fflush(stdout);
			cJSON_Delete(json);
			continue;
		}
		len = error ? 1 : 0;
		cJSON_Delete(json);
		return len ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	fprintf(stderr, "dove-agent: the agent at %s went away\n", o->config.run_dir);
	return EXIT_FAILURE;
}
