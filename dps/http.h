/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP to other servers, without blocking: libcurl on the event loop. With TLS
 * the name that a server goes by is checked against its certificate, wherever
 * it listens; without, the name is only for people.
 */
#ifndef DPS_HTTP_H
#define DPS_HTTP_H

#include <event2/event.h>

#include "lib/delegation.h"

#define HTTP_CONNECT_MS 2000L
#define HTTP_CONNECTIONS_MAX 8L /* to one server: questions wait for one another no longer than that */
#define HTTP_REPLY_MAX ((size_t)32 << 20) /* a root zone, as JSON in JSON */
#define HTTP_SILENT_SECONDS 5L		  /* a stream speaks every second */

/* What we show, and whom we believe. cert NULL: no TLS. Strings are the caller's, and must last. */
struct http_tls {
	const char *cert, *key, *ca;
};

struct http_reply {
	long status; /* 0: there is none */
	const char *text;
	size_t len;
	const char *error; /* one line for people where status is 0 */
};

struct http;
struct http_call;

typedef void (*http_done)(const struct http_reply *reply, void *arg);
typedef int (*http_line)(const char *line, size_t len, void *arg);

struct http *http_open(struct event_base *base, const struct http_tls *tls); /* NULL: no memory */
void http_close(struct http *http); /* ends everything under way, without callbacks */

/*
 * http_call() - one request; done is called once, from the loop, never from
 * within this call. method is "GET", "PUT", ...; body (NULL: none) is copied;
 * timeout in milliseconds. headers: a NULL-ended list of "Name: value", or NULL.
 */
struct http_call *http_call(struct http *http, const char *name, const struct server_address *addr,
			    const char *method, const char *path, const char *body,
			    const char *const *headers, long timeout_ms, http_done done, void *arg);

/* http_stream() - a GET of NDJSON: line for each, done when it is over. A line that returns other than 0 ends it. */
struct http_call *http_stream(struct http *http, const char *name, const struct server_address *addr,
			      const char *path, const char *const *headers, http_line line, http_done done,
			      void *arg);
void http_cancel(struct http_call *call); /* done won't be called */

#endif
