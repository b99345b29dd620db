// SPDX-License-Identifier: Apache-2.0
#include "dps.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/curl_loop.h"
#include "lib/json_arena.h"
#include "lib/log.h"

#define CONNECT_TIMEOUT_MS 2000L
#define CALL_TIMEOUT_MS 5000L
/* The largest answer: a watch's snapshot of a large network, in one line. */
#define BODY_MAX (256u << 20)

/* Thousands of ports renew their claims at once; the service should not see a connection for each. */
#define CONNECTIONS_MAX 16

/* A stream speaks every second; silent for so long it is dead. */
#define STREAM_SILENT_S 5L

struct call {
	struct call *next;
	struct dps *dps;
	CURL *easy;
	char *body;
	char *data;		    /* of the reply; a stream keeps only its unfinished line */
	size_t len, room, searched; /* no newline before `searched` */
	char error[CURL_ERROR_SIZE];
	dps_done done;
	dps_line line;
	void *arg;
};

struct dps {
	struct agent *agent;
	struct curl_loop *loop;
	struct curl_slist *headers;  /* of all that have a body */
	CURL *idle[CONNECTIONS_MAX]; /* handles of calls that are over: a new one takes longer than a call */
	int n_idle;
	struct json_arena arena; /* of the reply, or line, that is being looked at */
	struct call *calls;	 /* list of those under way */
	struct call *stream;	 /* the one of them that is a stream */
};

static void easy_give(struct dps *d, CURL *easy)
{
	if (d->n_idle == CONNECTIONS_MAX) {
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_reset(easy);
	d->idle[d->n_idle++] = easy;
}

static CURL *easy_take(struct dps *d)
{
	return d->n_idle ? d->idle[--d->n_idle] : curl_easy_init();
}

static cJSON *tree(struct dps *d, const char *text, size_t len)
{
	cJSON *json;

	json_arena_enter(&d->arena);
	json = cJSON_ParseWithLength(text, len);
	json_arena_leave();
	return json;
}

static void call_free(struct call *c)
{
	easy_give(c->dps, c->easy);
	free(c->body);
	free(c->data);
	free(c);
}

static void call_unlink(struct call *c)
{
	if (c->dps->stream == c)
		c->dps->stream = NULL;
	for (struct call **at = &c->dps->calls; *at; at = &(*at)->next) {
		if (*at != c)
			continue;
		*at = c->next;
		return;
	}
}

/* The service says in the body what is wrong; without one libcurl or the status must do. */
static void reply_error(struct dps_reply *r, const struct call *c, CURLcode code)
{
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(r->json, "error");
	const char *url = c->dps->agent->config.dps;

	if (code != CURLE_OK) {
		r->status = 0;
		snprintf(r->error, sizeof(r->error), "policy service at %s: %s", url,
			 c->error[0] ? c->error : curl_easy_strerror(code));
	} else if (cJSON_IsString(text)) {
		snprintf(r->error, sizeof(r->error), "%s", text->valuestring);
	} else if (!dps_ok(r)) {
		snprintf(r->error, sizeof(r->error), "policy service at %s: HTTP status %ld", url, r->status);
	}
}

static void call_finish(struct call *c, CURLcode code)
{
	struct dps_reply reply = {};
	cJSON *json = c->len ? tree(c->dps, c->data, c->len) : NULL;

	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &reply.status);
	reply.json = json;
	reply_error(&reply, c, code);
	call_unlink(c);
	c->done(&reply, c->arg);
	json_arena_clear(&c->dps->arena);
	call_free(c);
}

/* Hand out the whole lines, keep the rest; -errno of the first that was refused. */
static int stream_lines(struct call *c)
{
	char *start = c->data, *end = c->data + c->len, *nl;
	int rc = 0;

	while (!rc && (nl = memchr(start + c->searched, '\n', end - start - c->searched))) {
		cJSON *json = tree(c->dps, start, nl - start);

		if (json)
			rc = c->line(json, c->arg);
		else if (nl > start)
			rc = -EBADMSG;
		json_arena_clear(&c->dps->arena);
		start = nl + 1;
		c->searched = 0;
	}
	c->len = end - start;
	c->searched = c->len;
	memmove(c->data, start, c->len);
	return rc;
}

/*
 * What the stream has brought. Not from within on_data(): libcurl takes no new
 * request while one of its callbacks runs, and a line may lead to many.
 */
static void stream_read(struct dps *d)
{
	struct call *c = d->stream;
	long status = 0;

	if (!c || !c->len)
		return;
	curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200 || !stream_lines(c))
		return;
	snprintf(c->error, sizeof(c->error), "it sent what can't be used");
	c->len = 0;
	curl_loop_remove(d->loop, c->easy);
	call_finish(c, CURLE_WRITE_ERROR);
}

static void reap(void *arg)
{
	struct dps *d = arg;
	struct call *c;
	CURLcode code;
	CURL *easy;

	stream_read(d);
	while ((easy = curl_loop_over(d->loop, &code))) {
		curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&c);
		call_finish(c, code);
	}
}

/* ---- data ---- */

static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct call *c = arg;
	size_t len = size * n;

	if (c->len + len > BODY_MAX)
		return 0;
	if (c->len + len > c->room) {
		size_t room = (c->len + len) * 2;
		char *more = realloc(c->data, room);

		if (!more)
			return 0;
		c->data = more;
		c->room = room;
	}
	memcpy(c->data + c->len, data, len);
	c->len += len;
	return len;
}

/* ---- calls ---- */

static void set_tls(CURL *easy, const struct agent_config *config)
{
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	if (config->tls_ca)
		curl_easy_setopt(easy, CURLOPT_CAINFO, config->tls_ca);
	if (config->tls_cert)
		curl_easy_setopt(easy, CURLOPT_SSLCERT, config->tls_cert);
	if (config->tls_key)
		curl_easy_setopt(easy, CURLOPT_SSLKEY, config->tls_key);
}

static struct call *call_new(struct dps *d, const char *method, const char *path)
{
	struct call *c = calloc(1, sizeof(*c));
	char url[2048];

	if (!c)
		abort(); /* an agent without memory for a question can't go on */
	snprintf(url, sizeof(url), "%s%s", d->agent->config.dps, path);
	c->dps = d;
	c->easy = easy_take(d);
	curl_easy_setopt(c->easy, CURLOPT_URL, url);
	curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(c->easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
	set_tls(c->easy, &d->agent->config);
	c->next = d->calls;
	d->calls = c;
	return c;
}

void dps_call_text(struct dps *d, const char *method, const char *path, char *body, dps_done done, void *arg)
{
	struct call *c = call_new(d, method, path);

	c->done = done;
	c->arg = arg;
	c->body = body;
	curl_easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, CALL_TIMEOUT_MS);
	if (body) {
		curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, d->headers);
		curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, c->body);
	}
	curl_loop_add(d->loop, c->easy);
}

void dps_call(struct dps *d, const char *method, const char *path, cJSON *body, dps_done done, void *arg)
{
	dps_call_text(d, method, path, body ? cJSON_PrintUnformatted(body) : NULL, done, arg);
	cJSON_Delete(body);
}

void dps_stream(struct dps *d, const char *path, dps_line line, dps_done end, void *arg)
{
	struct call *c = call_new(d, "GET", path);

	c->done = end;
	c->line = line;
	c->arg = arg;
	d->stream = c;
	/* A connection of its own: nothing waits behind an endless answer. */
	curl_easy_setopt(c->easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(c->easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(c->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c->easy, CURLOPT_LOW_SPEED_TIME, STREAM_SILENT_S);
	curl_loop_add(d->loop, c->easy);
}

char *dps_escape(const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0);
	char *copy = escaped ? strdup(escaped) : NULL;

	curl_free(escaped);
	return copy;
}

int dps_open(struct agent *a, struct dps **out, struct error *err)
{
	struct dps *d = calloc(1, sizeof(*d));

	d->agent = a;
	d->loop = curl_loop_open(a->base, CONNECTIONS_MAX, reap, d);
	d->headers = curl_slist_append(NULL, "Content-Type: application/json");
	d->headers = curl_slist_append(d->headers, "Expect:");
	*out = d;
	return 0;
}

void dps_close(struct dps *d)
{
	if (!d)
		return;
	while (d->calls) {
		struct call *c = d->calls;

		d->calls = c->next;
		curl_loop_remove(d->loop, c->easy);
		call_free(c);
	}
	while (d->n_idle)
		curl_easy_cleanup(d->idle[--d->n_idle]);
	curl_loop_close(d->loop);
	curl_slist_free_all(d->headers);
	json_arena_free(&d->arena);
	free(d);
}
