// SPDX-License-Identifier: Apache-2.0
/* Watchers and their connections. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "dps/access.h"
#include "dps/api.h"
#include "dps/feed.h"
#include "dps/relay.h"
#include "lib/cleanup.h"
#include "lib/log.h"

struct api_watcher {
	struct feed feed;
	struct api *api;
	struct evhttp_request *req; /* NULL: of this process, which gets the lines itself */
	bool slow;		    /* to be dropped */
	struct api_watcher *prev, *next;
};

static size_t backlog(struct api_watcher *w)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(w->req);
	struct bufferevent *bev = evhttp_connection_get_bufferevent(conn);

	return evbuffer_get_length(bufferevent_get_output(bev));
}

static void emit(const char *line, void *arg)
{
	struct api_watcher *w = arg;
	struct evbuffer *chunk;

	if (w->slow || backlog(w) > WATCH_BACKLOG_MAX) {
		w->slow = true;
		return;
	}
	chunk = evbuffer_new();
	evbuffer_add_printf(chunk, "%s\n", line);
	evhttp_send_reply_chunk(w->req, chunk);
	evbuffer_free(chunk);
}

static void forget(struct api_watcher *w)
{
	DL_DELETE(w->api->watchers, w);
	w->api->n_watchers--;
	feed_stop(&w->feed);
	free(w);
}

static void closed(struct evhttp_connection *conn, void *arg)
{
	struct api_watcher *w = arg;

	(void)conn;
	/* evhttp lets go of a request that is still being answered: it is ours to end then. */
	if (!evhttp_request_get_connection(w->req))
		evhttp_send_reply_end(w->req);
	forget(w);
}

static void drop(struct api_watcher *w)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(w->req);

	log_warn("the watcher of host %s does not keep up: dropped", w->feed.host);
	evhttp_connection_set_closecb(conn, NULL, NULL);
	forget(w);
	evhttp_connection_free(conn);
}

static void drop_slow(struct api *api)
{
	struct api_watcher *w, *tmp;

	DL_FOREACH_SAFE(api->watchers, w, tmp)
	if (w->slow)
		drop(w);
}

static void add(struct api_watcher *w, struct api *api, const char *host,
		void (*told)(const char *line, void *arg), void *arg)
{
	w->api = api;
	w->feed.emit = told;
	w->feed.arg = arg;
	snprintf(w->feed.host, sizeof(w->feed.host), "%s", host);
	DL_APPEND(api->watchers, w);
	api->n_watchers++;
}

struct api_watcher *api_watch_inside(struct api *api, const char *host,
				     void (*told)(const char *line, void *arg), void *arg)
{
	struct api_watcher *w = mem_alloc(sizeof(*w));

	add(w, api, host, told, arg);
	feed_start(&w->feed, &api->model, api->lifetime);
	return w;
}

void api_watch_leave(struct api_watcher *w)
{
	forget(w);
}

void api_watch(struct api_call *call)
{
	_free_ char *host = api_query(call, "host");
	struct json_error err = { 0 };
	struct api_watcher *w;

	if (!host || !model_find(&call->api->model, KIND_HOST, host)) {
		json_fail(&err, "host", "no such host '%.63s'", host ? host : "");
		api_refuse(call, host ? -ENOENT : -EINVAL, &err);
		return;
	}
	if (!access_host(call, host) || relay_watch(call, host))
		return;
	w = mem_alloc(sizeof(*w));
	w->req = call->req;
	add(w, call->api, host, emit, w);
	evhttp_connection_set_closecb(evhttp_request_get_connection(call->req), closed, w);
	evhttp_add_header(evhttp_request_get_output_headers(call->req), "Content-Type",
			  "application/x-ndjson");
	evhttp_send_reply_start(call->req, HTTP_OK, NULL);
	feed_start(&w->feed, &call->api->model, call->api->lifetime);
}

void api_watch_committed(const struct txn *txn, void *arg)
{
	struct api *api = arg;
	struct feed_news *news;
	struct api_watcher *w;

	if (!api->watchers)
		return;
	news = feed_news(txn);
	DL_FOREACH (api->watchers, w)
		feed_tell(&w->feed, news);
	feed_news_free(news);
}

void api_watch_services(struct api *api)
{
	struct api_watcher *w;

	DL_FOREACH (api->watchers, w)
		feed_tell_services(&w->feed, &api->model);
}

void api_watch_progress(struct api *api)
{
	struct api_watcher *w;

	DL_FOREACH (api->watchers, w)
		feed_progress(&w->feed, &api->model);
	drop_slow(api);
}

void api_watch_close(struct api *api)
{
	struct api_watcher *w, *tmp;

	DL_FOREACH_SAFE(api->watchers, w, tmp)
	{
		evhttp_connection_set_closecb(evhttp_request_get_connection(w->req), NULL, NULL);
		forget(w);
	}
}
