// SPDX-License-Identifier: Apache-2.0
#include "json_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#define ROOM_LEAST 512

/* Room for so many bytes more, and for the end. */
static char *room_for(struct json_text *t, size_t len)
{
	size_t room = t->room ? t->room : ROOM_LEAST;

	if (t->len + len < t->room)
		return t->text + t->len;
	while (room <= t->len + len)
		room *= 2;
	t->text = realloc(t->text, room);
	if (!t->text) {
		log_error("out of memory");
		abort();
	}
	t->room = room;
	return t->text + t->len;
}

void json_text_raw(struct json_text *t, const char *text, size_t len)
{
	memcpy(room_for(t, len), text, len);
	t->len += len;
}

char *json_text_end(struct json_text *t)
{
	*room_for(t, 1) = '\0';
	return t->text;
}

/* RFC 8259, 7. */
static void quoted(struct json_text *t, const char *value)
{
	size_t plain;

	json_text_raw(t, "\"", 1);
	for (; *value; value += plain) {
		char *at;

		for (plain = 0;
		     (unsigned char)value[plain] >= ' ' && value[plain] != '"' && value[plain] != '\\';)
			plain++;
		json_text_raw(t, value, plain);
		if (!value[plain])
			break;
		at = room_for(t, 7);
		t->len += (size_t)sprintf(at, "\\u%04x", (unsigned char)value[plain++]);
	}
	json_text_raw(t, "\"", 1);
}

void json_text_value(struct json_text *t, const char *name)
{
	char last = t->len ? t->text[t->len - 1] : '[';

	if (last != '{' && last != '[' && last != ':')
		json_text_raw(t, ",", 1);
	if (!name)
		return;
	quoted(t, name);
	json_text_raw(t, ":", 1);
}

void json_text_open(struct json_text *t, const char *name, char bracket)
{
	json_text_value(t, name);
	json_text_raw(t, &bracket, 1);
}

void json_text_close(struct json_text *t, char bracket)
{
	json_text_raw(t, &bracket, 1);
}

void json_text_uint(struct json_text *t, const char *name, uint64_t value)
{
	char digits[20], *at = digits + sizeof(digits);

	json_text_value(t, name);
	do
		*--at = (char)('0' + value % 10);
	while (value /= 10);
	json_text_raw(t, at, (size_t)(digits + sizeof(digits) - at));
}

void json_text_str(struct json_text *t, const char *name, const char *value)
{
	json_text_value(t, name);
	if (value)
		quoted(t, value);
	else
		json_text_raw(t, "null", 4);
}

void json_text_true(struct json_text *t, const char *name, bool is)
{
	if (!is)
		return;
	json_text_value(t, name);
	json_text_raw(t, "true", 4);
}
