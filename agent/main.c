// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "client.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/usage.h"
#include "lib/version.h"
#include "options.h"
#include "show.h"

static const struct {
	const char *name;
	unsigned int set;
	void (*show)(const cJSON *result, const struct options *o);
	const char *doc;
} commands[] = {
	{ "run", OPT_RUN, NULL, "be this host's agent, in the foreground" },
	{ "attach", OPT_DEVICE | OPT_INGRESS | OPT_SHOW, show_attach,
	  "carry overlay traffic over an underlay device" },
	{ "detach", OPT_DEVICE | OPT_SHOW, show_nothing, "stop that" },
	{ "port add", OPT_DEVICE | OPT_PORT | OPT_SHOW, show_port, "an interface is that VM's" },
	{ "port del", OPT_DEVICE | OPT_SHOW, show_nothing, "it is no more" },
	{ "port list", OPT_SHOW, show_ports, "this host's ports" },
	{ "status", OPT_SHOW, show_status, "what the agent has and whom it knows" },
	{ "stats", OPT_SHOW, show_stats, "every packet by the reason its way ended with" },
	{ "cache", OPT_SHOW, show_cache, "the translations in the kernel" },
	{ "events", OPT_SHOW | OPT_FOLLOW, show_events,
	  "stale, refused, moved ... packets as they are seen" },
	{ "trace", OPT_DEVICE | OPT_TRACE | OPT_SHOW, show_trace,
	  "what would become of a packet of the VM at that port, and why" },
	{ "flush", OPT_SHOW, show_flush, "forget all translations" },
};

static int usage(FILE *to, int status)
{
	fprintf(to, "Usage: dove-agent COMMAND [OPTION...]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(to, "  %-10s  %s\n", commands[i].name, commands[i].doc);
	fprintf(to, "\n`dove-agent COMMAND --help` tells more.\n");
	return status;
}

static bool url_is_fit(const char *url)
{
	return !strncmp(url, "http://", 7) || !strncmp(url, "https://", 8);
}

/* The same rule as for all names at the service. */
static bool name_is_fit(const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

	return isalnum((unsigned char)name[0]) && !name[len] && len <= 63;
}

/* The daemon may change its working directory, with its mount namespace. The path lives as long as the process. */
static void make_absolute(const char **path)
{
	_free_ char *cwd = NULL;
	char *absolute;

	if (!*path || **path == '/')
		return;
	cwd = getcwd(NULL, 0);
	if (cwd && asprintf(&absolute, "%s/%s", cwd, *path) > 0)
		*path = absolute;
}

static void make_paths_absolute(struct agent_config *c)
{
	const char **paths[] = { &c->run_dir, &c->pin_dir, &c->tls_cert, &c->tls_key, &c->tls_ca };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		make_absolute(paths[i]);
}

static int run(struct options *o)
{
	struct agent_config *c = &o->config;

	options_config_file(o);
	if (!c->run_dir)
		c->run_dir = AGENT_DEFAULT_RUN_DIR;
	if (!c->pin_dir)
		c->pin_dir = DOVE_DEFAULT_PIN_DIR;
	if (!c->host || !name_is_fit(c->host)) {
		fprintf(stderr, "dove-agent: --host: %s\n",
			c->host ? "not a name (letters, digits, . _ -)" : "is required");
		return EXIT_USAGE;
	}
	if (!c->dps || !url_is_fit(c->dps)) {
		fprintf(stderr, "dove-agent: --dps: %s\n",
			c->dps ? "not an http:// or https:// URL" : "is required");
		return EXIT_USAGE;
	}
	make_paths_absolute(c);
	log_init("dove-agent", o->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	return agent_run(c);
}

/* How many words of the command line are this command's name; 0: it is another. */
static int words_of(const char *name, int argc, char **argv)
{
	char two[64];

	if (argc > 1 && !strcmp(argv[1], name))
		return 1;
	if (argc > 2) {
		snprintf(two, sizeof(two), "%.20s %.20s", argv[1], argv[2]);
		if (!strcmp(two, name))
			return 2;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct options o; /* what it holds is in use for as long as the process */

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")))
		return usage(stdout, EXIT_SUCCESS);
	if (argc > 1 && !strcmp(argv[1], "--version")) {
		printf("dove-agent %s\n", DOVE_VERSION);
		return EXIT_SUCCESS;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		int words = words_of(commands[i].name, argc, argv);
		char name[64];

		if (!words)
			continue;
		snprintf(name, sizeof(name), "dove-agent %s", commands[i].name);
		argv[words] = name;
		options_parse(argc - words, argv + words, commands[i].set, commands[i].doc, &o);
		return commands[i].show ? client_run(commands[i].name, &o, commands[i].show) : run(&o);
	}
	if (argc < 2)
		return usage(stderr, EXIT_USAGE);
	fprintf(stderr, "dove-agent: '%s' is no command (dove-agent --help)\n", argv[1]);
	return EXIT_USAGE;
}
