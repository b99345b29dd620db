// SPDX-License-Identifier: Apache-2.0
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/config.h"
#include "dps/mem.h"
#include "dps/server.h"
#include "lib/log.h"
#include "lib/usage.h"

enum option_key {
	OPT_CONFIG = 256,
	OPT_DATA,
	OPT_LISTEN,
	OPT_CERT,
	OPT_KEY,
	OPT_CA,
	OPT_INSECURE,
	OPT_LIFETIME,
	OPT_RESTORED
};

static const struct argp_option options[] = {
	{ "config", OPT_CONFIG, "FILE", 0, "JSON object with the keys data, listen, tls-cert, ...", 0 },
	{ "data", OPT_DATA, "DIR", 0, "where the store lives (" DATA_DEFAULT ")", 0 },
	{ "listen", OPT_LISTEN, "ADDR:PORT", 0, "where to listen (" LISTEN_DEFAULT ")", 0 },
	{ "tls-cert", OPT_CERT, "FILE", 0, "certificate chain, PEM", 0 },
	{ "tls-key", OPT_KEY, "FILE", 0, "its key, PEM", 0 },
	{ "tls-ca", OPT_CA, "FILE", 0, "who signs clients' certificates, which are required then", 0 },
	{ "insecure", OPT_INSECURE, NULL, 0, "listen beyond loopback without TLS", 0 },
	{ "lifetime", OPT_LIFETIME, "SECONDS", 0, "how long an answer holds (3600, at most 86400)", 0 },
	{ "restored", OPT_RESTORED, NULL, 0,
	  "this once: the data is a backup; no number that was given out since is used again", 0 },
	{ "verbose", 'v', NULL, 0, "say more", 0 },
	{ 0 },
};

struct arguments {
	struct config config;
	const char *file;
	bool run;
};

static void set(char **field, const char *value)
{
	free(*field);
	*field = mem_copy(value);
}

static error_t parse_command(struct arguments *args, const char *arg, struct argp_state *state)
{
	if (args->run || strcmp(arg, "run"))
		usage_error(state, "unexpected argument '%s'", arg);
	args->run = true;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *args = state->input;
	struct config *config = &args->config;

	switch (key) {
	case ARGP_KEY_INIT:
		usage_init(state);
		return 0;
	case OPT_CONFIG:
		args->file = arg;
		return 0;
	case OPT_DATA:
		set(&config->data, arg);
		return 0;
	case OPT_LISTEN:
		set(&config->listen, arg);
		return 0;
	case OPT_CERT:
		set(&config->tls_cert, arg);
		return 0;
	case OPT_KEY:
		set(&config->tls_key, arg);
		return 0;
	case OPT_CA:
		set(&config->tls_ca, arg);
		return 0;
	case OPT_INSECURE:
		config->insecure = true;
		return 0;
	case OPT_LIFETIME:
		config->lifetime = config_lifetime(arg);
		if (!config->lifetime)
			usage_error(state, "--lifetime takes 1 to %d seconds", LIFETIME_MAX);
		return 0;
	case OPT_RESTORED:
		config->restored = true;
		return 0;
	case 'v':
		config->verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		return parse_command(args, arg, state);
	case ARGP_KEY_END:
		if (!args->run)
			usage_error(state, "the command is 'run'");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	const struct argp argp = {
		options, parse, "run", "The policy service of DOVE.\vOne instance serves one data directory.",
		NULL,	 NULL,	NULL
	};
	struct arguments args = { 0 };
	struct json_error err;
	int rc;

	log_init("dove-dps", LOG_LEVEL_INFO);
	argp_parse(&argp, argc, argv, 0, NULL, &args);
	rc = args.file ? config_read(args.file, &args.config, &err) : 0;
	rc = rc ? rc : config_finish(&args.config, &err);
	if (!rc && args.config.verbose)
		log_init("dove-dps", LOG_LEVEL_DEBUG);
	rc = rc ? rc : server_run(&args.config, &err);
	if (rc)
		log_error("%s%s%s", err.field, *err.field ? ": " : "", err.text);
	config_free(&args.config);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
