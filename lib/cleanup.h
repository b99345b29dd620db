/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership by scope: a variable marked with one of these frees what it holds
 * when it goes out of scope. take_ptr() and take_fd() hand the ownership on.
 * The empty descriptor is -1, the empty pointer NULL.
 */
#ifndef DOVE_CLEANUP_H
#define DOVE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _free_ __attribute__((cleanup(cleanup_free)))
#define _close_ __attribute__((cleanup(cleanup_fd)))
#define _fclose_ __attribute__((cleanup(cleanup_file)))

#define take_ptr(p)                                                                                          \
	({                                                                                                   \
		__typeof__(p) _t = (p);                                                                      \
		(p) = NULL;                                                                                  \
		_t;                                                                                          \
	})
#define take_fd(fd)                                                                                          \
	({                                                                                                   \
		int _t = (fd);                                                                               \
		(fd) = -1;                                                                                   \
		_t;                                                                                          \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
