// SPDX-License-Identifier: Apache-2.0
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/commands.h"
#include "ctl/pki.h"
#include "lib/cleanup.h"
#include "lib/usage.h"

#define DEFAULT_URL "http://127.0.0.1:6083"

enum option_key {
	OPT_DPS = 256,
	OPT_CERT,
	OPT_KEY,
	OPT_CA,
	OPT_JSON,
	OPT_NETWORK,
	OPT_FROM,
	OPT_TO,
	OPT_PROTO,
	OPT_PORT,
	OPT_FROM_PORT,
	OPT_DIR,
	OPT_DAYS,
	OPT_SUCCESSOR_OF,
	OPT_ADDRESS,
	OPT_RANGE,
	OPT_SERVER,
	OPT_PUBLIC,
	OPT_WITHDRAW,
	OPT_OF,
};

/* Options that every command takes, before or after its name. */
static const struct argp_option common_options[] = {
	{ "dps", OPT_DPS, "URL", 0, "the service ($DOVE_DPS, or " DEFAULT_URL ")", 0 },
	{ "tls-cert", OPT_CERT, "FILE", 0, "our certificate, PEM", 0 },
	{ "tls-key", OPT_KEY, "FILE", 0, "its key, PEM", 0 },
	{ "tls-ca", OPT_CA, "FILE", 0, "who signs the service's certificate", 0 },
	{ "domain", OPT_OF, "DOMAIN", 0, "whose objects, at a server of several domains", 0 },
	{ "json", OPT_JSON, NULL, 0, "print JSON", 0 },
	{ 0 },
};

static const struct argp_option file_options[] = {
	{ "file", 'f', "FILE", 0, "a JSON list of objects; - is standard input", 0 },
	{ 0 },
};

static const struct argp_option pair_options[] = {
	{ "network", OPT_NETWORK, "NAME", 0, "the sender's network", 0 },
	{ "from", OPT_FROM, "VM", 0, "the sender", 0 },
	{ "to", OPT_TO, "VM", 0, "the receiver, or an external network; NETWORK/VM in another network", 0 },
	{ "proto", OPT_PROTO, "PROTO", 0, "name or number (tcp where a port is given)", 0 },
	{ "port", OPT_PORT, "PORT", 0, "destination port", 0 },
	{ "from-port", OPT_FROM_PORT, "PORT", 0, "source port", 0 },
	{ 0 },
};

static const struct argp_option pki_options[] = {
	{ "dir", OPT_DIR, "DIR", 0, "where certificates and keys are, and go (" PKI_DIR_DEFAULT ")", 0 },
	{ "address", OPT_ADDRESS, "ADDRESS", 0,
	  "an IP address that a certificate is for, too; may be repeated", 0 },
	{ "successor-of", OPT_SUCCESSOR_OF, "NAME", 0,
	  "the key of that name says that this new one follows it (the root's: docs/pki.md)", 0 },
	{ "days", OPT_DAYS, "N", 0, "how long a certificate is good (365; 3650 for the root)", 0 },
	{ 0 },
};

static const struct argp_option delegation_options[] = {
	{ "range", OPT_RANGE, "A-B", 0, "VNIDs that it gets; may be repeated", 0 },
	{ "server", OPT_SERVER, "NAME=ADDR:PORT", 0, "a server of it; may be repeated", 0 },
	{ "key", OPT_PUBLIC, "KEY", 0, "a public key of it, where it has one; may be repeated", 0 },
	{ "file", 'f', "FILE", 0, "a configuration with the root, for that of a new domain's server", 0 },
	{ "dir", OPT_DIR, "DIR", 0, "where a new domain's key and configuration go (" PKI_DIR_DEFAULT ")",
	  0 },
	{ "withdraw", OPT_WITHDRAW, NULL, 0, "take it back", 0 },
	{ 0 },
};

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case OPT_DPS:
		o->client.url = arg;
		return 0;
	case OPT_CERT:
		o->client.tls_cert = arg;
		return 0;
	case OPT_KEY:
		o->client.tls_key = arg;
		return 0;
	case OPT_CA:
		o->client.tls_ca = arg;
		return 0;
	case OPT_OF:
		o->domain = o->client.domain = arg;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void add_to_list(struct argp_state *state, const char **list, int *n, const char *arg)
{
	if (*n == COMMAND_LIST_MAX)
		usage_error(state, "at most %d of each", COMMAND_LIST_MAX);
	list[(*n)++] = arg;
}

static error_t parse_special(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'f':
		o->file = arg;
		return 0;
	case OPT_NETWORK:
		o->network = arg;
		return 0;
	case OPT_FROM:
		o->from = arg;
		return 0;
	case OPT_TO:
		o->to = arg;
		return 0;
	case OPT_PROTO:
		o->proto = arg;
		return 0;
	case OPT_PORT:
		o->port = arg;
		return 0;
	case OPT_FROM_PORT:
		o->from_port = arg;
		return 0;
	case OPT_DIR:
		o->dir = arg;
		return 0;
	case OPT_SUCCESSOR_OF:
		o->successor_of = arg;
		return 0;
	case OPT_DAYS:
		o->days = arg;
		return 0;
	case OPT_WITHDRAW:
		o->withdraw = true;
		return 0;
	case OPT_RANGE:
		add_to_list(state, o->ranges, &o->n_ranges, arg);
		return 0;
	case OPT_SERVER:
		add_to_list(state, o->servers, &o->n_servers, arg);
		return 0;
	case OPT_PUBLIC:
		add_to_list(state, o->keys, &o->n_keys, arg);
		return 0;
	case OPT_ADDRESS:
		if (o->n_addresses == COMMAND_ADDRESSES_MAX)
			usage_error(state, "at most %d addresses", COMMAND_ADDRESSES_MAX);
		o->addresses[o->n_addresses++] = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp common_argp = { common_options, parse_common, NULL, NULL, NULL, NULL, NULL };

/* One command's own line: which options and how many arguments it takes. */
struct command_line {
	struct options *options;
	const struct command *command;
};

static error_t parse_command(int key, char *arg, struct argp_state *state)
{
	struct command_line *line = state->input;
	struct options *o = line->options;

	switch (key) {
	case ARGP_KEY_INIT:
		usage_init(state);
		state->child_inputs[0] = o;
		if (line->command->takes)
			state->child_inputs[1] = o;
		return 0;
	case ARGP_KEY_ARG:
		if (o->n_args == line->command->max_args)
			usage_error(state, "unexpected argument '%s'", arg);
		o->args[o->n_args++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (o->n_args < line->command->min_args)
			usage_error(state, "it takes %s", line->command->usage);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int run_command(const struct command *command, int argc, char **argv, struct options *o)
{
	const struct argp special = { command->takes & TAKES_FILE	  ? file_options
				      : command->takes & TAKES_PKI	  ? pki_options
				      : command->takes & TAKES_DELEGATION ? delegation_options
									  : pair_options,
				      parse_special,
				      NULL,
				      NULL,
				      NULL,
				      NULL,
				      NULL };
	const struct argp_child children[] = {
		{ &common_argp, 0, NULL, 0 },
		{ command->takes ? &special : NULL, 0, NULL, 0 },
		{ 0 },
	};
	const struct argp argp = { NULL, parse_command, command->usage, command->help, children, NULL, NULL };
	struct command_line line = { .options = o, .command = command };
	char name[64];

	snprintf(name, sizeof(name), "dovectl %s", command->name);
	argv[0] = name;
	argp_parse(&argp, argc, argv, 0, NULL, &line);
	return command->run(o);
}

/* Before the command: the common options, then the command's name ends the parse. */
struct first_line {
	struct options *options;
	int command; /* its index in argv */
};

static error_t parse_first(int key, char *arg, struct argp_state *state)
{
	struct first_line *line = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		usage_init(state);
		state->child_inputs[0] = line->options;
		return 0;
	case ARGP_KEY_ARG:
		if (!command_find(arg))
			usage_error(state, "no such command '%s'", arg);
		line->command = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		usage_error(state, "which command?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The help's list of commands, from their table. */
static char *make_doc(void)
{
	char *doc = NULL;
	size_t len;
	FILE *out = open_memstream(&doc, &len);

	if (!out)
		return NULL;
	fputs("The administrators' tool of DOVE.\n\nCommands:\n", out);
	for (const struct command *c = commands; c->name; c++)
		fprintf(out, "  %-9s%s\n", c->name, c->help);
	fputs("\v'dovectl COMMAND --help' tells more of each.", out);
	fclose(out);
	return doc;
}

int main(int argc, char **argv)
{
	_free_ char *doc = make_doc();
	const struct argp_child children[] = { { &common_argp, 0, NULL, 0 }, { 0 } };
	const struct argp argp = { NULL, parse_first, "COMMAND ...", doc, children, NULL, NULL };
	struct options options = { 0 };
	struct first_line line = { .options = &options };
	const char *url = getenv("DOVE_DPS");

	options.client.url = url && *url ? url : DEFAULT_URL;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &line);
	return run_command(command_find(argv[line.command]), argc - line.command, argv + line.command,
			   &options);
}
