// SPDX-License-Identifier: Apache-2.0
/*
 * A host's watch through a local server: one stream to the host, made of one
 * from each domain where it has claimed something, and of those of the domains
 * that this process is an authority of. Frames go through as they
 * are but for hosts, whose ids each domain counts for itself: here they get
 * ours, by their names.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "dps/access.h"
#include "dps/relay_state.h"
#include "dps/sources.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define RETRY_SECONDS 1 /* after a domain's stream has ended */

/* A host as a domain names it. */
struct named_host {
	uint32_t id; /* the domain's */
	char name[NAME_MAX_LEN + 1];
	UT_hash_handle hh;
};

/* One domain's stream. */
struct branch {
	struct relay_watcher *w;
	char domain[DOMAIN_ROOM];
	struct http_call *call;	    /* NULL: it is to be tried again */
	struct api_watcher *inside; /* the domain is ours: no connection, and no end */
	struct event *retry;
	struct idset vnids;
	struct named_host *hosts;
	cJSON *services; /* the domain's, as it said last */
	bool finding;	 /* a server is being looked for: not to be freed */
	bool dead;	 /* to be freed as soon as that is over */
	struct branch *prev, *next;
};

/* Ids that the host is told. */
struct told_host {
	char name[NAME_MAX_LEN + 1];
	uint32_t id;
	UT_hash_handle hh;
};

struct relay_watcher {
	struct relay *r;
	struct evhttp_request *req;
	char host[NAME_MAX_LEN + 1];
	struct branch *branches;
	struct told_host *told;
	uint32_t last_id;
	bool slow;
	struct relay_watcher *prev, *next;
};

/* ---- to the host ---- */

static void emit_text(struct relay_watcher *w, const char *text, size_t len)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(w->req);
	struct evbuffer *out = bufferevent_get_output(evhttp_connection_get_bufferevent(conn));
	struct evbuffer *chunk;

	if (w->slow || evbuffer_get_length(out) > WATCH_BACKLOG_MAX) {
		w->slow = true;
		return;
	}
	chunk = evbuffer_new();
	evbuffer_add(chunk, text, len);
	evbuffer_add(chunk, "\n", 1);
	evhttp_send_reply_chunk(w->req, chunk);
	evbuffer_free(chunk);
}

static void emit(struct relay_watcher *w, cJSON *json)
{
	_free_ char *text = cJSON_PrintUnformatted(json);

	cJSON_Delete(json);
	if (text)
		emit_text(w, text, strlen(text));
}

static cJSON *frame(const char *type)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddStringToObject(out, "type", type);
	return out;
}

/* ---- hosts' ids ---- */

static uint32_t told_id(struct relay_watcher *w, const char *name)
{
	struct told_host *host;

	HASH_FIND_STR(w->told, name, host);
	if (host)
		return host->id;
	host = mem_alloc(sizeof(*host));
	snprintf(host->name, sizeof(host->name), "%s", name);
	host->id = ++w->last_id;
	HASH_ADD_STR(w->told, name, host);
	return host->id;
}

static void drop_named(struct branch *b, struct named_host *host)
{
	HASH_DEL(b->hosts, host);
	free(host);
}

static void drop_all_named(struct branch *b)
{
	struct named_host *host, *next;

	HASH_ITER (hh, b->hosts, host, next)
		drop_named(b, host);
}

static void note_host(struct branch *b, uint32_t id, const char *name)
{
	struct named_host *host;

	HASH_FIND(hh, b->hosts, &id, sizeof(id), host);
	if (!host) {
		host = mem_alloc(sizeof(*host));
		host->id = id;
		HASH_ADD(hh, b->hosts, id, sizeof(host->id), host);
	}
	snprintf(host->name, sizeof(host->name), "%s", name);
}

/* {"id": theirs, ...} becomes {"id": ours, ...}. */
static cJSON *translate_hosts(struct branch *b, const cJSON *list)
{
	cJSON *out = cJSON_CreateArray(), *copy;
	const cJSON *one;

	cJSON_ArrayForEach (one, list) {
		const char *name = cJSON_GetStringValue(json_get(one, "name"));
		uint64_t id = 0;

		if (!name || !json_whole(json_get(one, "id"), 1, UINT32_MAX, &id))
			continue;
		note_host(b, (uint32_t)id, name);
		copy = cJSON_Duplicate(one, true);
		cJSON_ReplaceItemInObject(copy, "id", cJSON_CreateNumber(told_id(b->w, name)));
		cJSON_AddItemToArray(out, copy);
	}
	return out;
}

static bool is_named_elsewhere(const struct branch *b, const char *name)
{
	const struct branch *other;

	DL_FOREACH (b->w->branches, other)
		for (const struct named_host *host = other->hosts; other != b && host; host = host->hh.next)
			if (!strcmp(host->name, name))
				return true;
	return false;
}

static cJSON *translate_gone(struct branch *b, const cJSON *list)
{
	cJSON *out = cJSON_CreateArray();
	const cJSON *one;

	cJSON_ArrayForEach (one, list) {
		struct named_host *host = NULL;
		uint64_t n = 0;
		uint32_t id;

		if (!json_whole(one, 1, UINT32_MAX, &n))
			continue;
		id = (uint32_t)n;
		HASH_FIND(hh, b->hosts, &id, sizeof(id), host);
		if (!host)
			continue;
		if (!is_named_elsewhere(b, host->name))
			cJSON_AddItemToArray(out, cJSON_CreateNumber(told_id(b->w, host->name)));
		drop_named(b, host);
	}
	return out;
}

/* ---- services ---- */

/* Each domain's apart, and named with it: what another one says of these, the host does not take. */
static void take_services(struct branch *b, const cJSON *list)
{
	cJSON *out = frame("services");

	cJSON_Delete(b->services);
	b->services = list ? cJSON_Duplicate(list, true) : cJSON_CreateArray();
	cJSON_AddStringToObject(out, "domain", b->domain);
	cJSON_AddItemToObject(out, "services", cJSON_Duplicate(b->services, true));
	emit(b->w, out);
}

static bool is_instance_at(const cJSON *service, const char *host)
{
	const cJSON *instance;

	cJSON_ArrayForEach (instance, json_get(service, "instances")) {
		const char *at = cJSON_GetStringValue(json_get(instance, "host"));

		if (at && !strcmp(at, host))
			return true;
	}
	return false;
}

static bool branch_serves(const struct branch *b, const char *service)
{
	const cJSON *one;

	cJSON_ArrayForEach (one, b->services) {
		const char *name = cJSON_GetStringValue(json_get(one, "name"));

		if (name && (!service || !strcmp(name, service)) && domain_has(b->domain, name) &&
		    is_instance_at(one, b->w->host))
			return true;
	}
	return false;
}

bool relay_serves(const struct relay *r, const char *host, const char *service)
{
	const struct relay_watcher *w;
	const struct branch *b;

	DL_FOREACH (r->watchers, w)
		if (!strcmp(w->host, host))
			DL_FOREACH (w->branches, b)
				if (branch_serves(b, service))
					return true;
	return false;
}

/* ---- frames of a domain ---- */

static void on_hosts(struct branch *b, const cJSON *json)
{
	cJSON *out = frame("hosts");

	cJSON_AddItemToObject(out, "hosts", translate_hosts(b, json_get(json, "hosts")));
	if (json_get(json, "gone"))
		cJSON_AddItemToObject(out, "gone", translate_gone(b, json_get(json, "gone")));
	emit(b->w, out);
}

/* Kept answers of before are not handed out any more: who asks now is asked for, upstream. */
static void raise_floor(struct branch *b, const cJSON *json, uint32_t vnid)
{
	uint64_t revision = 0;

	if (json_whole(json_get(json, "revision"), 1, JSON_INT_MAX, &revision))
		cache_raise_floor(&b->w->r->h->node.r.cache, vnid, revision);
}

static void on_network(struct branch *b, const cJSON *network)
{
	const char *name = cJSON_GetStringValue(json_get(network, "name"));
	cJSON *out = frame("network"), *copy = cJSON_Duplicate(network, true);
	const cJSON *endpoint;
	char full[FULL_NAME_ROOM];
	uint64_t vnid = 0, id = 0;

	if (name && json_whole(json_get(network, "vnid"), 1, VNID_LAST, &vnid)) {
		idset_add(&b->vnids, (uint32_t)vnid);
		raise_floor(b, network, (uint32_t)vnid);
		snprintf(full, sizeof(full), "%s:%s", b->domain, name);
		cJSON_ReplaceItemInObject(copy, "name", cJSON_CreateString(full));
	}
	cJSON_ArrayForEach (endpoint, json_get(network, "endpoints"))
		if (json_whole(json_get(endpoint, "id"), 1, UINT32_MAX, &id))
			sources_put(b->w->r->h->sources, (uint32_t)id, (uint32_t)vnid, b->w->host);
	cJSON_AddItemToObject(out, "network", copy);
	emit(b->w, out);
}

static bool has_network(const cJSON *list, uint32_t vnid)
{
	const cJSON *one;
	uint64_t n = 0;

	cJSON_ArrayForEach (one, list)
		if (json_whole(json_get(one, "vnid"), 1, VNID_LAST, &n) && n == vnid)
			return true;
	return false;
}

static void forget_network(struct relay_watcher *w, uint32_t vnid)
{
	cJSON *out = frame("forget");

	cJSON_AddNumberToObject(out, "vnid", vnid);
	emit(w, out);
}

/* A domain's snapshot is news to a host that has had its own: networks one by one, and what is over. */
static void on_snapshot(struct branch *b, const cJSON *json)
{
	const cJSON *networks = json_get(json, "networks"), *one;
	struct idset before = b->vnids;

	b->vnids = (struct idset){ 0 };
	drop_all_named(b);
	on_hosts(b, json);
	for (uint32_t i = 0; i < before.n; i++)
		if (!has_network(networks, before.v[i]))
			forget_network(b->w, before.v[i]);
	idset_free(&before);
	take_services(b, json_get(json, "services"));
	cJSON_ArrayForEach (one, networks)
		on_network(b, one);
}

static void pass_on(struct branch *b, const cJSON *json, const char *type, const char *line, size_t len)
{
	uint64_t vnid = 0;

	if (!strcmp(type, "commit") && json_whole(json_get(json, "vnid"), 1, VNID_LAST, &vnid))
		raise_floor(b, json, (uint32_t)vnid);
	emit_text(b->w, line, len);
}

static int on_line(const char *line, size_t len, void *arg)
{
	struct branch *b = arg;
	struct json_error err = { 0 };
	cJSON *json = json_parse(line, len, &err);
	const char *type = cJSON_GetStringValue(json_get(json, "type"));

	if (type && !strcmp(type, "snapshot"))
		on_snapshot(b, json);
	else if (type && !strcmp(type, "network"))
		on_network(b, json_get(json, "network"));
	else if (type && !strcmp(type, "hosts"))
		on_hosts(b, json);
	else if (type && !strcmp(type, "services"))
		take_services(b, json_get(json, "services"));
	else if (type)
		pass_on(b, json, type, line, len);
	cJSON_Delete(json);
	return type ? 0 : -1;
}

/* ---- a domain's stream ---- */

static void free_branch(struct branch *b)
{
	event_free(b->retry);
	cJSON_Delete(b->services);
	drop_all_named(b);
	idset_free(&b->vnids);
	free(b);
}

static void try_later(struct branch *b)
{
	static const struct timeval later = { RETRY_SECONDS, 0 };

	b->call = NULL;
	evtimer_add(b->retry, &later);
}

static void on_end(const struct http_reply *reply, void *arg)
{
	struct branch *b = arg;

	log_info("watch of %s for host %s ended: %s", b->domain, b->w->host,
		 *reply->error ? reply->error : "it was closed");
	try_later(b);
}

static void on_server(const struct relay_target *target, const char *why, void *arg)
{
	struct branch *b = arg;
	_free_ char *domain = NULL;
	char path[1024];

	(void)why;
	b->finding = false;
	if (b->dead) {
		free_branch(b);
		return;
	}
	if (!target) {
		try_later(b);
		return;
	}
	domain = evhttp_uriencode(b->domain, -1, 0);
	snprintf(path, sizeof(path), "/v1/watch?host=%s&domain=%s", b->w->host, domain);
	b->call = http_stream(b->w->r->h->http, target->server.name, &target->addr, path, NULL, on_line,
			      on_end, b);
}

static void connect_branch(struct branch *b)
{
	b->finding = true;
	relay_find(b->w->r, b->domain, on_server, b);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	connect_branch(arg);
}

static void on_inside(const char *line, void *arg)
{
	on_line(line, strlen(line), arg);
}

static void add_branch(struct relay_watcher *w, const char *domain)
{
	const struct domain *own = hierarchy_domain(w->r->h, domain);
	struct branch *b = mem_alloc(sizeof(*b));

	b->w = w;
	strcpy(b->domain, domain);
	b->retry = evtimer_new(w->r->h->base->base, on_retry, b);
	DL_APPEND(w->branches, b);
	if (own)
		b->inside = api_watch_inside(own->api, w->host, on_inside, b);
	else
		connect_branch(b);
}

void relay_watch_domain(struct relay *r, const struct relay_host *host, const char *domain)
{
	struct relay_watcher *w;

	DL_FOREACH (r->watchers, w)
		if (!strcmp(w->host, host->name))
			add_branch(w, domain);
}

/* ---- the host's connection ---- */

static void drop_branch(struct relay_watcher *w, struct branch *b)
{
	DL_DELETE(w->branches, b);
	if (b->call)
		http_cancel(b->call);
	if (b->inside)
		api_watch_leave(b->inside);
	b->dead = true;
	if (!b->finding)
		free_branch(b);
}

static void forget(struct relay_watcher *w)
{
	struct told_host *host, *next;
	struct branch *b, *after;

	DL_DELETE(w->r->watchers, w);
	w->r->h->base->n_watchers--;
	DL_FOREACH_SAFE(w->branches, b, after)
	drop_branch(w, b);
	HASH_ITER (hh, w->told, host, next) {
		HASH_DEL(w->told, host);
		free(host);
	}
	free(w);
}

static void closed(struct evhttp_connection *conn, void *arg)
{
	struct relay_watcher *w = arg;

	(void)conn;
	/* evhttp lets go of a request that is still being answered: it is ours to end then. */
	if (!evhttp_request_get_connection(w->req))
		evhttp_send_reply_end(w->req);
	forget(w);
}

/* Nothing is known to the host yet but that we are there. */
static void greet(struct relay_watcher *w, unsigned int lifetime)
{
	cJSON *out = frame("snapshot");

	cJSON_AddNumberToObject(out, "lifetime", lifetime);
	cJSON_AddArrayToObject(out, "hosts");
	cJSON_AddArrayToObject(out, "networks");
	emit(w, out);
}

/* Of our own domains, where the host is registered: with all of them (api_places.c), so now or never. */
static void add_own_branches(struct relay_watcher *w)
{
	const struct hierarchy *h = w->r->h;

	for (size_t i = 0; i < h->n_domains; i++)
		if (h->domains[i] != h->writer && model_find(&h->domains[i]->api->model, KIND_HOST, w->host))
			add_branch(w, h->domains[i]->authority.domain);
}

bool relay_watch(struct api_call *call, const char *host)
{
	struct relay *r = call->api->h ? call->api->h->relay : NULL;
	_free_ char *domain = api_query(call, "domain");
	const struct relay_host *known;
	struct relay_watcher *w;

	if (!r || domain) /* another server's, for this domain alone */
		return false;
	w = mem_alloc(sizeof(*w));
	w->r = r;
	w->req = call->req;
	snprintf(w->host, sizeof(w->host), "%s", host);
	DL_APPEND(r->watchers, w);
	r->h->base->n_watchers++;
	evhttp_connection_set_closecb(evhttp_request_get_connection(call->req), closed, w);
	evhttp_add_header(evhttp_request_get_output_headers(call->req), "Content-Type",
			  "application/x-ndjson");
	evhttp_send_reply_start(call->req, HTTP_OK, NULL);
	greet(w, call->api->lifetime);
	add_own_branches(w);
	known = relay_host(r, host);
	for (size_t i = 0; known && i < known->n_domains; i++)
		add_branch(w, known->domains[i]);
	return true;
}

/* A line a second also where no domain says anything. */
void relay_progress(struct relay *r)
{
	static const char nothing[] = "{\"type\":\"progress\",\"networks\":[]}";
	struct relay_watcher *w, *next;

	DL_FOREACH_SAFE(r->watchers, w, next)
	{
		struct evhttp_connection *conn = evhttp_request_get_connection(w->req);

		emit_text(w, nothing, sizeof(nothing) - 1);
		if (!w->slow)
			continue;
		log_warn("the watcher of host %s does not keep up: dropped", w->host);
		evhttp_connection_set_closecb(conn, NULL, NULL);
		forget(w);
		evhttp_connection_free(conn);
	}
}

void relay_watch_close(struct relay *r)
{
	struct relay_watcher *w, *next;

	DL_FOREACH_SAFE(r->watchers, w, next)
	{
		evhttp_connection_set_closecb(evhttp_request_get_connection(w->req), NULL, NULL);
		forget(w);
	}
}
