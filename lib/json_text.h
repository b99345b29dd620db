/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON written as text, without a tree in between: for what is written many times a second. cJSON takes
 * an allocation or two for each value, and prints a number by sprintf() and reads it again.
 *
 * `name` is that of the value in its object, NULL in a list. Commas come of themselves. Without memory
 * the program ends.
 */
#ifndef LIB_JSON_TEXT_H
#define LIB_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: empty. Not terminated before json_text_end(); `text` is the writer's, free() it. */
struct json_text {
	char *text;
	size_t len, room;
};

void json_text_open(struct json_text *t, const char *name, char bracket); /* '{' or '[' */
void json_text_close(struct json_text *t, char bracket);
void json_text_uint(struct json_text *t, const char *name, uint64_t value);
void json_text_str(struct json_text *t, const char *name, const char *value); /* NULL: null */
void json_text_true(struct json_text *t, const char *name, bool is);	      /* not so: nothing */

/* json_text_value() - the name of a value, which is to follow; NULL: only the comma. */
void json_text_value(struct json_text *t, const char *name);
/* json_text_raw() - as it is, without a comma. */
void json_text_raw(struct json_text *t, const char *text, size_t len);
/* json_text_end() - terminate it; the text. */
char *json_text_end(struct json_text *t);

#endif
