// SPDX-License-Identifier: Apache-2.0
#include "dps/short.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "dps/access.h"
#include "dps/hierarchy.h"
#include "lib/cleanup.h"
#include "lib/json_text.h"

#define LENGTH_DIGITS 6
#define HEAD_ROOM 256
#define OUT_KEPT (64 << 10) /* a reply's room is kept for the next one */

/* ---- is it such a request? ---- */

static bool skip(const char **at, const char *end, const char *text)
{
	size_t len = strlen(text);

	if ((size_t)(end - *at) < len || memcmp(*at, text, len) != 0)
		return false;
	*at += len;
	return true;
}

static bool is_name(const char *line, const char *colon, const char *name)
{
	return (size_t)(colon - line) == strlen(name) && !strncasecmp(line, name, strlen(name));
}

/* Headers that leave the request what it is. Of others (Connection, Expect, ...) evhttp knows. */
static bool is_harmless(const char *line, const char *colon)
{
	static const char *const names[] = { "Host", "Accept", "User-Agent", "Content-Type" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (is_name(line, colon, names[i]))
			return true;
	return false;
}

static bool read_length(const char *value, const char *end, size_t *out)
{
	size_t n = 0;

	if (value < end && *value == ' ')
		value++;
	if (value == end || end - value > LENGTH_DIGITS)
		return false;
	for (; value < end; value++) {
		if (*value < '0' || *value > '9')
			return false;
		n = n * 10 + (size_t)(*value - '0');
	}
	*out = n;
	return true;
}

/* A line of printable characters with its CR LF; *next is what follows. NULL: it is none. */
static const char *end_of_line(const char *line, const char *end, const char **next)
{
	for (; line < end && (*line >= ' ' || *line == '\t') && *line != 0x7f; line++)
		;
	*next = line + 2;
	return end - line >= 2 && line[0] == '\r' && line[1] == '\n' ? line : NULL;
}

const char *short_body(const char *text, size_t len, size_t *body_len)
{
	const char *at = text, *end = text + len, *next, *eol, *colon;
	bool said = false;

	if (!skip(&at, end, "POST /v1/resolve HTTP/1.1\r\n"))
		return NULL;
	for (; (eol = end_of_line(at, end, &next)) && eol != at; at = next) {
		colon = memchr(at, ':', (size_t)(eol - at));
		if (!colon || at - text > HEADERS_MAX)
			return NULL;
		if (is_harmless(at, colon))
			continue;
		if (!is_name(at, colon, "Content-Length") || said || !read_length(colon + 1, eol, body_len))
			return NULL;
		said = true;
	}
	return eol && said && (size_t)(end - next) == *body_len ? next : NULL;
}

/* ---- the reply ---- */

static const char *date(void)
{
	static char text[64];
	static time_t of;
	time_t now = time(NULL);
	struct tm tm;

	if (now != of && gmtime_r(&now, &tm) && evutil_date_rfc1123(text, sizeof(text), &tm) > 0)
		of = now;
	return text;
}

/* A reply that its connection had no room for: evhttp's callbacks meanwhile. */
struct rest {
	struct guard *guard;
	bufferevent_data_cb read, write;
	bufferevent_event_cb event;
	void *arg;
};

static struct rest hand_back(struct bufferevent *bev, struct rest *kept)
{
	struct rest rest = *kept;

	free(kept);
	bufferevent_disable(bev, EV_WRITE);
	bufferevent_setcb(bev, rest.read, rest.write, rest.event, rest.arg);
	return rest;
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct rest rest = hand_back(bev, arg);

	guard_sent(rest.guard, bev);
	bufferevent_enable(bev, EV_READ);
	if (evbuffer_get_length(bufferevent_get_input(bev)))
		bufferevent_trigger(bev, EV_READ, 0);
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
	struct rest rest = hand_back(bev, arg);

	rest.event(bev, what, rest.arg);
}

static void write_later(struct guard *guard, struct bufferevent *bev, const char *data, size_t len)
{
	struct rest *rest = mem_alloc(sizeof(*rest));

	rest->guard = guard;
	bufferevent_getcb(bev, &rest->read, &rest->write, &rest->event, &rest->arg);
	bufferevent_setcb(bev, NULL, on_written, on_end, rest);
	bufferevent_disable(bev, EV_READ); /* as evhttp does: who does not read is not read */
	bufferevent_write(bev, data, len);
	bufferevent_enable(bev, EV_WRITE);
}

static ssize_t write_some(struct bufferevent *bev, SSL *ssl, const char *data, size_t len)
{
	ssize_t n;

	if (!ssl) {
		n = send(bufferevent_getfd(bev), data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		return n > 0 ? n : 0;
	}
	n = SSL_write(ssl, data, (int)len);
	if (n <= 0)
		ERR_clear_error(); /* whoever looks next is to see what is of his own call */
	return n > 0 ? n : 0;
}

/* By the socket itself, as nothing waits to be written before it; what it does not take goes the usual way. */
static enum guard_took write_now(struct guard *guard, struct bufferevent *bev, const char *data, size_t len)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	ssize_t n = 1;
	size_t done = 0;

	while (done < len && n) {
		n = write_some(bev, ssl, data + done, len - done);
		done += (size_t)n;
	}
	if (done == len)
		return GUARD_SENT;
	write_later(guard, bev, data + done, len - done);
	return GUARD_SENDING;
}

/* ---- all of it ---- */

/* The reply's body. False: not at once. */
static bool answer(struct api *api, struct bufferevent *bev, const char *text, size_t len,
		   struct json_text *out)
{
	struct api_call call = { .api = hierarchy_default_api(api) };
	const char *body = short_body(text, len, &len);

	if (!body)
		return false;
	access_identity_bev(bev, &call.who);
	return api_resolve_at_once(&call, body, len, out);
}

/* The body stands behind HEAD_ROOM bytes, in which the head goes right before it: one write, no copy. */
static enum guard_took reply(struct guard *guard, struct bufferevent *bev, const struct json_text *out)
{
	char head[HEAD_ROOM], *at = out->text + HEAD_ROOM;
	int len = snprintf(head, sizeof(head),
			   "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: %s\r\n"
			   "Content-Length: %zu\r\n\r\n",
			   date(), out->len - HEAD_ROOM);

	at -= len;
	memcpy(at, head, (size_t)len);
	return write_now(guard, bev, at, out->len - HEAD_ROOM + (size_t)len);
}

enum guard_took short_way(struct bufferevent *bev, void *arg)
{
	static const char head_room[HEAD_ROOM];
	static struct json_text out;
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t len = evbuffer_get_length(in);
	enum guard_took took = GUARD_LEFT;
	struct api *api = arg;

	if (len > SHORT_REQUEST_MAX || evbuffer_get_length(bufferevent_get_output(bev)))
		return GUARD_LEFT;
	out.len = 0;
	json_text_raw(&out, head_room, sizeof(head_room));
	if (answer(api, bev, (char *)evbuffer_pullup(in, -1), len, &out)) {
		api->requests++;
		api->short_ways++;
		evbuffer_drain(in, len);
		took = reply(api->guard, bev, &out);
	}
	if (out.room > OUT_KEPT) {
		free(out.text);
		out = (struct json_text){ 0 };
	}
	return took;
}
