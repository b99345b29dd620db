/* SPDX-License-Identifier: Apache-2.0 */
/* The command line's side of the control socket. */
#ifndef DOVE_CLIENT_H
#define DOVE_CLIENT_H

#include "options.h"

/*
 * client_run() - send the command, print the answer by `show` (or as JSON).
 * Returns the process's exit status: 1 with one line on standard error when
 * the agent says no, or when none answers.
 */
int client_run(const char *command, const struct options *o,
	       void (*show)(const cJSON *result, const struct options *o));

#endif
