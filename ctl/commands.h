/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of dovectl. One table gives the parser and the help: what a
 * command's options are called, which it takes and what it prints.
 */
#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

#include <stdbool.h>

#include "ctl/client.h"

#define COMMAND_ARGS_MAX 2
#define COMMAND_ADDRESSES_MAX 8
#define COMMAND_LIST_MAX 64

/* Everything that any command may be told. NULL: not said. */
struct options {
	struct client client;
	bool json;
	const char *file;
	const char *network, *from, *to, *proto, *port, *from_port;
	const char *dir, *domain, *days, *successor_of;
	const char *addresses[COMMAND_ADDRESSES_MAX];
	int n_addresses;
	const char *ranges[COMMAND_LIST_MAX], *servers[COMMAND_LIST_MAX], *keys[COMMAND_LIST_MAX];
	int n_ranges, n_servers, n_keys;
	bool withdraw;
	const char *args[COMMAND_ARGS_MAX];
	int n_args;
};

enum option_bit {
	TAKES_FILE = 1,
	TAKES_PAIR = 2,
	TAKES_PKI = 4,
	TAKES_DELEGATION = 8,
};

struct command {
	const char *name;
	const char *usage; /* after the name */
	const char *help;
	int min_args, max_args;
	unsigned int takes;			   /* enum option_bit, or-ed */
	int (*run)(const struct options *options); /* the exit status */
};

extern const struct command commands[]; /* up to one without a name */

const struct command *command_find(const char *name);

#endif
