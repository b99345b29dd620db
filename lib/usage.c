// SPDX-License-Identifier: Apache-2.0
#include "usage.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void usage_init(struct argp_state *state)
{
	FILE *nowhere = fopen("/dev/null", "we");

	argp_err_exit_status = EXIT_USAGE;
	if (nowhere)
		state->err_stream = nowhere;
}

void usage_error(const struct argp_state *state, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", state->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EXIT_USAGE);
}
