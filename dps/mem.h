/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is there or ends the program: everything the service knows is
 * durable in its store, so a start afresh is the safe answer to none left.
 */
#ifndef DPS_MEM_H
#define DPS_MEM_H

#include <stddef.h>
#include <stdint.h>

void *mem_alloc(size_t size); /* zeroed */
void *mem_resize(void *p, size_t count, size_t size);
char *mem_copy(const char *text);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A list of pointers. The list owns its array, not what it points at. */
struct ptrs {
	void **v;
	size_t n, room;
};

void ptrs_push(struct ptrs *list, void *p);
void ptrs_free(struct ptrs *list);

/* A set of ids, ascending, each once. */
struct idset {
	uint32_t *v;
	uint32_t n, room;
};

void idset_add(struct idset *set, uint32_t id);
int idset_has(const struct idset *set, uint32_t id);
int idset_meets(const struct idset *a, const struct idset *b); /* have they an id in common? */
int idset_equal(const struct idset *a, const struct idset *b);
void idset_free(struct idset *set);

#endif
