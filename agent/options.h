/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: one table of commands and one of options make parser and help. */
#ifndef DOVE_OPTIONS_H
#define DOVE_OPTIONS_H

#include "agent.h"

struct options {
	struct agent_config config;
	const char *config_file;
	cJSON *file;	     /* what was in it: the configuration's texts lie there */
	const char *device;  /* DEV */
	const char *network; /* --network */
	const char *endpoint;
	const char *ingress;	    /* "auto", "xdp" or "tc" */
	const char *to, *from;	    /* addresses */
	int proto, port, from_port; /* -1: not given */
	bool json, follow, verbose;
};

/* Which of the options a command takes. */
enum option_set {
	OPT_RUN = 0x1,	   /* what `run` takes */
	OPT_SHOW = 0x2,	   /* --json */
	OPT_DEVICE = 0x4,  /* DEV, required */
	OPT_INGRESS = 0x8, /* --ingress */
	OPT_PORT = 0x10,   /* --network, --endpoint, required */
	OPT_FOLLOW = 0x20, /* -f */
	OPT_TRACE = 0x40,  /* --to (required), --from, --proto, --port, --from-port */
};

/*
 * options_parse() - parse what follows the command's name. argv[0] is the name
 * for messages. Ends the process on --help (0) and on a usage error (2).
 */
void options_parse(int argc, char **argv, unsigned int set, const char *doc, struct options *out);

/* options_config_file() - what the file says, where the command line says nothing. One line and exit 1 on errors. */
void options_config_file(struct options *o);

/*
 * options_config() - take what the file's JSON says, where *c does not say it
 * yet; c keeps strings of the tree. 0 or -EINVAL with *err; c->trust is the
 * caller's in any case.
 */
struct json_error;
int options_config(const cJSON *json, struct agent_config *c, struct json_error *err);

#endif
