/* SPDX-License-Identifier: Apache-2.0 */
/* Usage errors on top of argp(3): one line, exit status 2. */
#ifndef DOVE_USAGE_H
#define DOVE_USAGE_H

#include <argp.h>

#define EXIT_USAGE 2

/*
 * usage_init() - for a parser's ARGP_KEY_INIT: of an error only the line that
 * says it is printed, and not argp's second one about --help.
 */
void usage_init(struct argp_state *state);

/* usage_error() - in place of argp_error(): "PROGRAM: text" on standard error, then exit. */
void usage_error(const struct argp_state *state, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));

#endif
