// SPDX-License-Identifier: Apache-2.0
#include "dps/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/mem.h"
#include "lib/curl_loop.h"

#define URL_ROOM 4096

struct http {
	struct http_tls tls;
	struct curl_loop *loop;
	struct http_call *calls;
};

struct http_call {
	struct http *http;
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	char *body, *data;
	size_t len, room;
	char error[CURL_ERROR_SIZE];
	http_done done;
	http_line line; /* NULL: no stream */
	void *arg;
	struct http_call *next;
};

static void unlink_call(struct http_call *c)
{
	for (struct http_call **at = &c->http->calls; *at; at = &(*at)->next)
		if (*at == c) {
			*at = c->next;
			return;
		}
}

static void free_call(struct http_call *c)
{
	curl_loop_remove(c->http->loop, c->easy);
	curl_easy_cleanup(c->easy);
	curl_slist_free_all(c->headers);
	curl_slist_free_all(c->connect_to);
	free(c->body);
	free(c->data);
	free(c);
}

void http_cancel(struct http_call *call)
{
	unlink_call(call);
	free_call(call);
}

static void finish(struct http_call *c, CURLcode code)
{
	struct http_reply reply = { .text = c->data ? c->data : "", .len = c->len, .error = "" };

	if (code == CURLE_OK)
		curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &reply.status);
	else
		reply.error = *c->error ? c->error : curl_easy_strerror(code);
	unlink_call(c);
	c->done(&reply, c->arg);
	free_call(c);
}

/* ---- streams ---- */

/* Hand out the whole lines, keep the rest. */
static int hand_out(struct http_call *c)
{
	char *start = c->data, *end = c->data + c->len, *nl;
	int rc = 0;

	while (!rc && (nl = memchr(start, '\n', end - start))) {
		if (nl > start)
			rc = c->line(start, nl - start, c->arg);
		start = nl + 1;
	}
	c->len = end - start;
	memmove(c->data, start, c->len);
	return rc;
}

static bool has_line(const struct http_call *c)
{
	return c->line && c->len && memchr(c->data, '\n', c->len);
}

static struct http_call *next_with_line(const struct http *http)
{
	struct http_call *c = http->calls;

	while (c && !has_line(c))
		c = c->next;
	return c;
}

/* A line may end its stream, or another one: look from the start after each. */
static void read_streams(struct http *http)
{
	struct http_call *c;

	while ((c = next_with_line(http))) {
		long status = 0;

		curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
		if (status == 200 && !hand_out(c))
			continue;
		snprintf(c->error, sizeof(c->error),
			 status == 200 ? "what it sent is of no use" : "HTTP status %ld", status);
		finish(c, CURLE_WRITE_ERROR);
	}
}

static void reap(void *arg)
{
	struct http *http = arg;
	struct http_call *c;
	CURLcode code;
	CURL *easy;

	read_streams(http);
	while ((easy = curl_loop_over(http->loop, &code))) {
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&c);
		finish(c, code);
	}
}

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *c = arg;
	size_t len = size * n;

	if (len > HTTP_REPLY_MAX - c->len)
		return 0;
	if (c->len + len > c->room) {
		c->room = (c->len + len) * 2;
		c->data = mem_resize(c->data, c->room, 1);
	}
	memcpy(c->data + c->len, data, len);
	c->len += len;
	return len;
}

/* ---- requests ---- */

/* The name where TLS checks it, and always the address to connect to. */
static void set_url(struct http_call *c, const char *name, const struct server_address *addr,
		    const char *path)
{
	char at[SERVER_ADDRESS_TEXT], to[SERVER_NAME_ROOM + SERVER_ADDRESS_TEXT + 16], url[URL_ROOM];

	server_address_format(addr, at);
	if (!c->http->tls.cert) {
		snprintf(url, sizeof(url), "http://%s%s", at, path);
	} else {
		snprintf(url, sizeof(url), "https://%s:%u%s", name, addr->port, path);
		snprintf(to, sizeof(to), "%s:%u:%s", name, addr->port, at);
		c->connect_to = curl_slist_append(NULL, to);
		curl_easy_setopt(c->easy, CURLOPT_CONNECT_TO, c->connect_to);
	}
	curl_easy_setopt(c->easy, CURLOPT_URL, url);
}

static void set_tls(struct http_call *c)
{
	const struct http_tls *tls = &c->http->tls;

	if (!tls->cert)
		return;
	curl_easy_setopt(c->easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	curl_easy_setopt(c->easy, CURLOPT_SSLCERT, tls->cert);
	curl_easy_setopt(c->easy, CURLOPT_SSLKEY, tls->key);
	if (tls->ca)
		curl_easy_setopt(c->easy, CURLOPT_CAINFO, tls->ca);
}

static struct http_call *make_call(struct http *http, const char *name, const struct server_address *addr,
				   const char *method, const char *path, const char *const *headers,
				   http_done done, void *arg)
{
	struct http_call *c = mem_alloc(sizeof(*c));

	c->http = http;
	c->done = done;
	c->arg = arg;
	c->easy = curl_easy_init();
	c->headers = curl_slist_append(NULL, "Expect:");
	c->headers = curl_slist_append(c->headers, "Content-Type: application/json");
	for (; headers && *headers; headers++)
		c->headers = curl_slist_append(c->headers, *headers);
	set_url(c, name, addr, path);
	set_tls(c);
	curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
	curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, http->tls.cert ? "https" : "http");
	curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, HTTP_CONNECT_MS);
	c->next = http->calls;
	http->calls = c;
	return c;
}

struct http_call *http_call(struct http *http, const char *name, const struct server_address *addr,
			    const char *method, const char *path, const char *body,
			    const char *const *headers, long timeout_ms, http_done done, void *arg)
{
	struct http_call *c = make_call(http, name, addr, method, path, headers, done, arg);

	curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, timeout_ms);
	if (body) {
		c->body = mem_copy(body);
		curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
		curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, c->body);
	}
	curl_loop_add(http->loop, c->easy);
	return c;
}

struct http_call *http_stream(struct http *http, const char *name, const struct server_address *addr,
			      const char *path, const char *const *headers, http_line line, http_done done,
			      void *arg)
{
	struct http_call *c = make_call(http, name, addr, "GET", path, headers, done, arg);

	c->line = line;
	/* A connection of its own: nothing waits behind an endless answer. */
	curl_easy_setopt(c->easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(c->easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(c->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c->easy, CURLOPT_LOW_SPEED_TIME, HTTP_SILENT_SECONDS);
	curl_loop_add(http->loop, c->easy);
	return c;
}

struct http *http_open(struct event_base *base, const struct http_tls *tls)
{
	struct http *http = mem_alloc(sizeof(*http));

	http->tls = *tls;
	http->loop = curl_loop_open(base, HTTP_CONNECTIONS_MAX, reap, http);
	return http;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	while (http->calls)
		http_cancel(http->calls);
	curl_loop_close(http->loop);
	free(http);
}
