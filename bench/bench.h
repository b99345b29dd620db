/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs of bench/ have in common: each is one file, and this. */
#ifndef DOVE_BENCH_H
#define DOVE_BENCH_H

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000ull

/* die() - the program's name, what failed, and errno; then exit with 1. */
static inline _Noreturn void die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	exit(1);
}

/* now_ns() - nanoseconds by that clock, CLOCK_MONOTONIC for what is measured. */
static inline uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

/* enter() - the calling thread goes into that network namespace (a path). */
static inline void enter(const char *ns)
{
	int fd = open(ns, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(ns);
	close(fd);
}

#endif
