// SPDX-License-Identifier: Apache-2.0
#include "dps/api.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "dps/access.h"
#include "dps/guard.h"
#include "dps/hierarchy.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define RECORD_BYTES (16 << 10) /* of plain text, at most (RFC 8446, section 5.1) */

/* "*" in a pattern is one part of the path, "**" one or two joined by '/': a name. */
static const struct route {
	enum evhttp_cmd_type method;
	bool admin; /* for the administrator of the domain only; else the handler looks who it is */
	const char *pattern;
	void (*handle)(struct api_call *call);
} routes[] = {
	{ EVHTTP_REQ_POST, true, "v1/apply", api_apply },
	{ EVHTTP_REQ_GET, true, "v1/objects/*", api_list_objects },
	{ EVHTTP_REQ_GET, true, "v1/objects/*/**", api_get_object },
	{ EVHTTP_REQ_PUT, true, "v1/objects/*/**", api_put_object },
	{ EVHTTP_REQ_DELETE, true, "v1/objects/*/**", api_delete_object },
	{ EVHTTP_REQ_GET, false, "v1/delegations", api_list_delegations },
	{ EVHTTP_REQ_GET, false, "v1/delegations/*", api_get_delegation },
	{ EVHTTP_REQ_PUT, false, "v1/delegations/*", api_put_delegation },
	{ EVHTTP_REQ_DELETE, false, "v1/delegations/*", api_delete_delegation },
	{ EVHTTP_REQ_POST, false, "v1/ask", api_ask },
	{ EVHTTP_REQ_GET, false, "v1/root", api_get_root },
	{ EVHTTP_REQ_GET, false, "v1/chain/*", api_get_chain },
	{ EVHTTP_REQ_PUT, false, "v1/hosts/*", api_put_host },
	{ EVHTTP_REQ_GET, false, "v1/endpoints/*/*/place", api_get_place },
	{ EVHTTP_REQ_PUT, false, "v1/endpoints/*/*/place", api_put_place },
	{ EVHTTP_REQ_DELETE, false, "v1/endpoints/*/*/place", api_delete_place },
	{ EVHTTP_REQ_POST, false, "v1/resolve", api_resolve },
	{ EVHTTP_REQ_POST, false, "v1/statement", api_statement },
	{ EVHTTP_REQ_POST, false, "v1/check", api_check },
	{ EVHTTP_REQ_POST, false, "v1/members", api_members },
	{ EVHTTP_REQ_GET, false, "v1/watch", api_watch },
	{ EVHTTP_REQ_GET, true, "v1/status", api_status },
	{ EVHTTP_REQ_GET, false, "healthz", api_healthz },
	{ EVHTTP_REQ_GET, false, "metrics", api_metrics },
};

/* Headers and body in one piece are one TLS record and one write; libevent makes one of each piece. */
static void join_record(struct evhttp_request *req)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(req);
	struct bufferevent *bev = conn ? evhttp_connection_get_bufferevent(conn) : NULL;
	struct evbuffer *out = bev ? bufferevent_get_output(bev) : NULL;

	if (out && bufferevent_openssl_get_ssl(bev) && evbuffer_get_length(out) <= RECORD_BYTES)
		evbuffer_pullup(out, -1);
}

static void send_body(struct api_call *call, int status, const char *type, struct evbuffer *body)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(call->req);

	evhttp_add_header(headers, "Content-Type", type);
	evhttp_send_reply(call->req, status, NULL, body);
	join_record(call->req);
	evbuffer_free(body);
}

static void send_text(struct api_call *call, int status, const char *type, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	evbuffer_add(body, text, strlen(text));
	send_body(call, status, type, body);
}

void api_reply_buffer(struct api_call *call, int status, struct evbuffer *json)
{
	send_body(call, status, "application/json", json);
}

void api_reply(struct api_call *call, int status, cJSON *json)
{
	_free_ char *text = cJSON_PrintUnformatted(json);

	cJSON_Delete(json);
	send_text(call, status, "application/json", text ? text : "{}");
}

void api_reply_text(struct api_call *call, const char *type, const char *text)
{
	send_text(call, HTTP_OK, type, text);
}

void api_refuse_status(struct api_call *call, int status, const struct json_error *err)
{
	cJSON *json = cJSON_CreateObject();

	call->api->errors++;
	cJSON_AddStringToObject(json, "error", err->text);
	if (*err->object)
		cJSON_AddStringToObject(json, "object", err->object);
	if (*err->field)
		cJSON_AddStringToObject(json, "field", err->field);
	log_debug("refused (%d): %s%s%s", status, err->object, *err->object ? ": " : "", err->text);
	api_reply(call, status, json);
}

static int status_of(int rc)
{
	switch (rc) {
	case -EINVAL:
		return HTTP_BADREQUEST;
	case -ENOENT:
		return HTTP_NOTFOUND;
	case -EEXIST:
		return 409;
	case -EACCES:
		return 403;
	case -E2BIG:
		return HTTP_ENTITYTOOLARGE;
	default:
		return HTTP_SERVUNAVAIL;
	}
}

void api_refuse(struct api_call *call, int rc, const struct json_error *err)
{
	api_refuse_status(call, status_of(rc), err);
}

cJSON *api_body(struct api_call *call, size_t max)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(call->req);
	size_t len = evbuffer_get_length(in);
	struct json_error err = { 0 };
	cJSON *json = NULL;
	int rc = -EINVAL;

	if (len > max) {
		rc = -E2BIG;
		json_fail(&err, NULL, "the body is larger than %zu bytes", max);
	} else if (!len) {
		json_fail(&err, NULL, "the body is empty, not JSON");
	} else {
		json = json_parse((char *)evbuffer_pullup(in, -1), len, &err);
	}
	if (!json)
		api_refuse(call, rc, &err);
	return json;
}

char *api_query(const struct api_call *call, const char *name)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(call->req);
	const char *query = evhttp_uri_get_query(uri);
	struct evkeyvalq params;
	const char *value;
	char *copy;

	if (!query || evhttp_parse_query_str(query, &params))
		return NULL;
	value = evhttp_find_header(&params, name);
	copy = value ? mem_copy(value) : NULL;
	evhttp_clear_headers(&params);
	return copy;
}

struct commit_context api_context(struct api *api)
{
	return (struct commit_context){
		.m = &api->model,
		.store = api->store,
		.now = time(NULL),
		.lifetime = api->lifetime,
		.committed = api_watch_committed,
		.arg = api,
	};
}

int64_t api_monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Finding the handler */

/* Parts are decoded one by one: a "%2F" in a name is no end of it. -1: too many, or none that could be meant. */
static int split(const char *path, char **parts)
{
	int n = 0;

	while (*path) {
		size_t len, decoded;
		char *raw;

		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (!len)
			break;
		if (n == PATH_PARTS_MAX)
			return -1;
		raw = mem_printf("%.*s", (int)len, path);
		parts[n] = evhttp_uridecode(raw, 0, &decoded);
		free(raw);
		if (!parts[n] || strlen(parts[n]) != decoded) /* a NUL */
			return -1;
		n++;
		path += len;
	}
	return n;
}

/* Does the path fit the pattern? Then call->args are what the stars stood for. */
static bool fits(const char *pattern, char **parts, int n, struct api_call *call)
{
	int i = 0;

	call->n_args = 0;
	for (; *pattern; i++) {
		size_t len = strcspn(pattern, "/");
		bool name = len == 2 && !strncmp(pattern, "**", 2);

		if (i == n)
			return false;
		if (*pattern == '*')
			call->args[call->n_args++] = parts[i];
		else if (strlen(parts[i]) != len || strncmp(pattern, parts[i], len))
			return false;
		if (name && i + 1 < n)
			call->args[call->n_args++] = parts[++i];
		pattern += len + (pattern[len] == '/');
	}
	return i == n;
}

static const struct route *find_route(struct api_call *call, char **parts, int n, bool *known)
{
	for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
		if (!fits(routes[i].pattern, parts, n, call))
			continue;
		*known = true;
		if (routes[i].method == evhttp_request_get_command(call->req))
			return &routes[i];
	}
	return NULL;
}

static void refuse_route(struct api_call *call, bool known)
{
	struct json_error err = { 0 };

	json_fail(&err, NULL, known ? "not this method here" : "no such resource");
	api_refuse_status(call, known ? HTTP_BADMETHOD : HTTP_NOTFOUND, &err);
}

/* The domain that the query names, or the only one that is served; the service's own where there is none. */
static struct api *choose_api(struct api_call *call)
{
	const struct hierarchy *h = call->api->h;
	_free_ char *name = api_query(call, "domain");
	const struct domain *d;
	struct json_error err = { 0 };

	if (!name)
		return hierarchy_default_api(call->api);
	d = hierarchy_domain(h, strcmp(name, ".") != 0 ? name : "");
	if (d)
		return d->api;
	json_fail(&err, "domain", "this server is not the authority of '%.80s'", name);
	api_refuse(call, -ENOENT, &err);
	return NULL;
}

static void handle(struct api_call *call, char **parts, int n)
{
	const struct route *route = NULL;
	bool known = false;

	if (n >= 0)
		route = find_route(call, parts, n, &known);
	if (!route) {
		refuse_route(call, known);
		return;
	}
	call->api = choose_api(call);
	if (call->api && (!route->admin || access_administers(call, call->api->admin)))
		route->handle(call);
}

/* Two lengths, or a length and chunks: somebody before us may have read another body than we have. */
static bool is_ambiguous(struct evhttp_request *req)
{
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
	const struct evkeyval *h;
	int lengths = 0, encodings = 0;

	TAILQ_FOREACH(h, headers, next)
	{
		lengths += !strcasecmp(h->key, "Content-Length");
		encodings += !strcasecmp(h->key, "Transfer-Encoding");
	}
	return lengths > 1 || encodings > 1 || (lengths && encodings);
}

static void refuse_ambiguous(struct api_call *call)
{
	struct json_error err = { 0 };

	evhttp_add_header(evhttp_request_get_output_headers(call->req), "Connection", "close");
	json_fail(&err, NULL, "the length of the body is said twice");
	api_refuse(call, -EINVAL, &err);
}

void api_handle(struct evhttp_request *req, void *arg)
{
	struct api_call call = { .api = arg, .req = req };
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(req));
	char *parts[PATH_PARTS_MAX] = { 0 };
	int n;

	call.api->requests++;
	guard_whole(call.api->guard, req);
	access_identity(req, &call.who);
	if (is_ambiguous(req)) {
		refuse_ambiguous(&call);
		return;
	}
	n = path ? split(path, parts) : -1;
	handle(&call, parts, n);
	for (int i = 0; i < PATH_PARTS_MAX; i++)
		free(parts[i]);
}
