// SPDX-License-Identifier: Apache-2.0
#include "dps/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"

static void *must(void *p)
{
	if (p)
		return p;
	log_error("out of memory");
	abort();
}

void *mem_alloc(size_t size)
{
	return must(calloc(1, size ? size : 1));
}

void *mem_resize(void *p, size_t count, size_t size)
{
	return must(reallocarray(p, count, size));
}

char *mem_copy(const char *text)
{
	return must(strdup(text));
}

char *mem_printf(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	return must(len < 0 ? NULL : text);
}

void ptrs_push(struct ptrs *list, void *p)
{
	if (list->n == list->room) {
		list->room = list->room ? list->room * 2 : 8;
		list->v = mem_resize(list->v, list->room, sizeof(*list->v));
	}
	list->v[list->n++] = p;
}

void ptrs_free(struct ptrs *list)
{
	free(list->v);
	memset(list, 0, sizeof(*list));
}

/* The place of id in the set, or where it would go. */
static uint32_t find(const struct idset *set, uint32_t id)
{
	uint32_t lo = 0, hi = set->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (set->v[mid] < id)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

int idset_has(const struct idset *set, uint32_t id)
{
	uint32_t at = find(set, id);

	return at < set->n && set->v[at] == id;
}

void idset_add(struct idset *set, uint32_t id)
{
	uint32_t at = find(set, id);

	if (at < set->n && set->v[at] == id)
		return;
	if (set->n == set->room) {
		set->room = set->room ? set->room * 2 : 4;
		set->v = mem_resize(set->v, set->room, sizeof(*set->v));
	}
	memmove(set->v + at + 1, set->v + at, (set->n - at) * sizeof(*set->v));
	set->v[at] = id;
	set->n++;
}

int idset_meets(const struct idset *a, const struct idset *b)
{
	const struct idset *few = a->n < b->n ? a : b, *many = few == a ? b : a;

	for (uint32_t i = 0; i < few->n; i++)
		if (idset_has(many, few->v[i]))
			return 1;
	return 0;
}

int idset_equal(const struct idset *a, const struct idset *b)
{
	return a->n == b->n && (!a->n || !memcmp(a->v, b->v, a->n * sizeof(*a->v)));
}

void idset_free(struct idset *set)
{
	free(set->v);
	memset(set, 0, sizeof(*set));
}
