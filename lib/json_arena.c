// SPDX-License-Identifier: Apache-2.0
#include "json_arena.h"

#include <cjson/cJSON.h>
#include <stdalign.h>
#include <stdlib.h>

#define BLOCK_BYTES (128u << 10)

struct json_arena_block {
	struct json_arena_block *next;
	size_t size;
	alignas(max_align_t) char data[];
};

static struct json_arena *entered;

static struct json_arena_block *block_add(struct json_arena *a, size_t least)
{
	size_t size = least > BLOCK_BYTES ? least : BLOCK_BYTES;
	struct json_arena_block *b = malloc(sizeof(*b) + size);

	if (!b)
		return NULL;
	b->next = a->blocks;
	b->size = size;
	a->blocks = b;
	a->used = 0;
	return b;
}

static void *take(size_t size)
{
	struct json_arena *a = entered;
	struct json_arena_block *b = a->blocks;
	void *out;

	size = (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
	if (!b || size > b->size - a->used)
		b = block_add(a, size);
	if (!b)
		return NULL;
	out = b->data + a->used;
	a->used += size;
	return out;
}

static void leave_it(void *p)
{
	(void)p;
}

void json_arena_enter(struct json_arena *a)
{
	static cJSON_Hooks hooks = { .malloc_fn = take, .free_fn = leave_it };

	entered = a;
	cJSON_InitHooks(&hooks);
}

void json_arena_leave(void)
{
	cJSON_InitHooks(NULL);
	entered = NULL;
}

static void blocks_free(struct json_arena_block *b)
{
	while (b) {
		struct json_arena_block *next = b->next;

		free(b);
		b = next;
	}
}

void json_arena_clear(struct json_arena *a)
{
	if (!a->blocks)
		return;
	blocks_free(a->blocks->next);
	a->blocks->next = NULL;
	a->used = 0;
	if (a->blocks->size > BLOCK_BYTES)
		json_arena_free(a);
}

void json_arena_free(struct json_arena *a)
{
	blocks_free(a->blocks);
	*a = (struct json_arena){ 0 };
}
