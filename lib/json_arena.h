/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree of cJSON's that is read once and then let go of as a whole: its pieces lie one after the other.
 * One by one, malloc() and free() take longer than reading the text.
 *
 *	json_arena_enter(&a);
 *	tree = cJSON_Parse(text);
 *	json_arena_leave();
 *	...                        nothing of the tree is changed, kept or deleted
 *	json_arena_clear(&a);
 *
 * Between enter and leave all of cJSON's memory is the arena's: not for programs with threads.
 */
#ifndef LIB_JSON_ARENA_H
#define LIB_JSON_ARENA_H

#include <stddef.h>

/* All zero: empty. */
struct json_arena {
	struct json_arena_block *blocks; /* the one in use first */
	size_t used;			 /* of it */
};

void json_arena_enter(struct json_arena *a);
void json_arena_leave(void);
/* json_arena_clear() - the trees are gone; a block is kept for the next ones. */
void json_arena_clear(struct json_arena *a);
void json_arena_free(struct json_arena *a);

#endif
