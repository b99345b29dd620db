// SPDX-License-Identifier: Apache-2.0
#include "dps/relay.h"

#include <errno.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/access.h"
#include "dps/feed.h"
#include "dps/pending.h"
#include "dps/relay_state.h"
#include "dps/sources.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define PATH_ROOM 1024

struct relay *relay_open(struct hierarchy *h)
{
	struct relay *r = mem_alloc(sizeof(*r));

	r->h = h;
	return r;
}

void relay_close(struct relay *r)
{
	struct relay_network *net, *next_net;
	struct relay_host *host, *next;

	if (!r)
		return;
	relay_watch_close(r);
	HASH_ITER (hh, r->hosts, host, next) {
		HASH_DEL(r->hosts, host);
		for (size_t i = 0; i < host->n_domains; i++)
			free(host->domains[i]);
		free(host);
	}
	HASH_ITER (hh, r->networks, net, next_net) {
		HASH_DEL(r->networks, net);
		free(net);
	}
	free(r);
}

/* ---- a server of a domain ---- */

struct finding_server {
	struct relay *r;
	char domain[DOMAIN_ROOM];
	void (*found)(const struct relay_target *target, const char *why, void *arg);
	void *arg;
};

static bool pick(struct relay *r, const char *domain, struct relay_target *out)
{
	struct resolver *res = &r->h->node.r;
	const struct zone *zone = reference_get(&res->ref, domain, res->env.now(r->h));
	struct upstream_choice choice;

	if (!zone || !upstream_pick(&res->upstream, domain, zone->version, zone->d.servers, zone->d.n_servers,
				    0, res->env.ticks(r->h), res->env.random(r->h), &choice))
		return false;
	out->server = zone->d.servers[choice.server];
	out->addr = out->server.addresses[choice.address];
	return true;
}

static void on_zone(const struct query_result *result, void *arg)
{
	_free_ struct finding_server *f = arg;
	struct relay_target target;

	if (result->kind == RESULT_NO_DELEGATION)
		f->found(NULL, "nobody is responsible for that domain", f->arg);
	else if (result->kind == RESULT_FAILED)
		f->found(NULL, query_reason_text(result->reason), f->arg);
	else if (pick(f->r, f->domain, &target))
		f->found(&target, NULL, f->arg);
	else
		f->found(NULL, "no server of the domain replies", f->arg);
}

void relay_find(struct relay *r, const char *domain,
		void (*found)(const struct relay_target *target, const char *why, void *arg), void *arg)
{
	struct finding_server *f = mem_alloc(sizeof(*f));
	const struct errand errand = { .recursive = true };
	struct ask ask = { .kind = ASK_ZONE };

	*f = (struct finding_server){ .r = r, .found = found, .arg = arg };
	strcpy(f->domain, domain);
	strcpy(ask.name, domain);
	query_ask(&r->h->node.r, &ask, &errand, on_zone, f);
	hierarchy_arm(r->h);
}

/* ---- what is known of hosts ---- */

struct relay_host *relay_host(struct relay *r, const char *name)
{
	struct relay_host *host;

	HASH_FIND_STR(r->hosts, name, host);
	return host;
}

static bool knows(const struct relay_host *host, const char *domain)
{
	for (size_t i = 0; i < host->n_domains; i++)
		if (!strcmp(host->domains[i], domain))
			return true;
	return false;
}

static void note_domain(struct relay *r, const char *name, const char *domain)
{
	struct relay_host *host = relay_host(r, name);

	if (!host) {
		host = mem_alloc(sizeof(*host));
		snprintf(host->name, sizeof(host->name), "%s", name);
		HASH_ADD_STR(r->hosts, name, host);
	}
	if (knows(host, domain) || host->n_domains == RELAY_DOMAINS_MAX)
		return;
	host->domains[host->n_domains++] = mem_copy(domain);
	relay_watch_domain(r, host, domain);
}

static void note_network(struct relay *r, uint32_t vnid, const char *domain)
{
	struct relay_network *net;

	HASH_FIND(hh, r->networks, &vnid, sizeof(vnid), net);
	if (!net) {
		net = mem_alloc(sizeof(*net));
		net->vnid = vnid;
		HASH_ADD(hh, r->networks, vnid, sizeof(net->vnid), net);
	}
	strcpy(net->domain, domain);
}

/* ---- one request passed on ---- */

struct passing {
	struct pending pending;
	struct relay *r;
	char domain[DOMAIN_ROOM];
	char host[NAME_MAX_LEN + 1]; /* of a claim; "": none */
	char *method, *path, *body;
	char *registration; /* the host's addresses, to be said before; NULL: not needed */
	bool gone;	    /* nobody waits any more; it goes on to its end */
	struct relay_target target;
};

static void free_passing(struct passing *p)
{
	free(p->method);
	free(p->path);
	free(p->body);
	free(p->registration);
	free(p);
}

static void on_gone(void *arg)
{
	((struct passing *)arg)->gone = true;
}

static void refuse(struct passing *p, const char *why)
{
	struct json_error err = { 0 };

	if (!p->gone) {
		pending_end(&p->pending);
		json_fail(&err, NULL, "the authority of %.80s: %.200s", p->domain, why);
		api_refuse(&p->pending.call, -EAGAIN, &err);
	}
	free_passing(p);
}

/* What the authority says of a place that it gave: of which network the endpoint is. */
static void learn(struct passing *p, cJSON *json)
{
	const char *network = cJSON_GetStringValue(json_get(json, "network"));
	uint64_t vnid = 0, id = 0;
	char full[FULL_NAME_ROOM];

	if (!json_whole(json_get(json, "vnid"), 1, VNID_LAST, &vnid) ||
	    !json_whole(json_get(json, "id"), 1, UINT32_MAX, &id) || !network)
		return;
	note_network(p->r, vnid, p->domain);
	if (*p->host) {
		sources_put(p->r->h->sources, id, vnid, p->host);
		note_domain(p->r, p->host, p->domain);
	}
	snprintf(full, sizeof(full), "%s:%s", p->domain, network);
	cJSON_ReplaceItemInObject(json, "network", cJSON_CreateString(full));
}

static void on_reply(const struct http_reply *reply, void *arg)
{
	struct passing *p = arg;
	struct json_error err = { 0 };
	cJSON *json;

	if (!reply->status) {
		refuse(p, reply->error);
		return;
	}
	json = json_parse(reply->text, reply->len, &err);
	if (!json) {
		refuse(p, "what it said cannot be read");
		return;
	}
	if (reply->status == HTTP_OK)
		learn(p, json);
	if (!p->gone) {
		pending_end(&p->pending);
		api_reply(&p->pending.call, (int)reply->status, json);
	} else {
		cJSON_Delete(json);
	}
	free_passing(p);
}

static void send_on(struct passing *p)
{
	http_call(p->r->h->http, p->target.server.name, &p->target.addr, p->method, p->path, p->body, NULL,
		  RELAY_TIMEOUT_MS, on_reply, p);
}

static void on_registered(const struct http_reply *reply, void *arg)
{
	struct passing *p = arg;

	if (reply->status == HTTP_OK)
		send_on(p);
	else
		on_reply(reply, p);
}

static void add_domain(struct passing *p, char path[PATH_ROOM], const char *plain)
{
	_free_ char *domain = evhttp_uriencode(p->domain, -1, 0);

	snprintf(path, PATH_ROOM, "%s%cdomain=%s", plain, strchr(plain, '?') ? '&' : '?', domain);
}

static void on_found(const struct relay_target *target, const char *why, void *arg)
{
	struct passing *p = arg;
	char plain[PATH_ROOM / 2], path[PATH_ROOM];

	if (!target) {
		refuse(p, why);
		return;
	}
	p->target = *target;
	if (!p->registration) {
		send_on(p);
		return;
	}
	snprintf(plain, sizeof(plain), "/v1/hosts/%s", p->host);
	add_domain(p, path, plain);
	http_call(p->r->h->http, target->server.name, &target->addr, "PUT", path, p->registration, NULL,
		  RELAY_TIMEOUT_MS, on_registered, p);
}

static struct passing *passing_new(struct api_call *call, const char *domain, const char *method,
				   const char *plain, char *body)
{
	struct passing *p = mem_alloc(sizeof(*p));
	char path[PATH_ROOM];

	p->r = call->api->h->relay;
	strcpy(p->domain, domain);
	p->method = mem_copy(method);
	p->body = body;
	add_domain(p, path, plain);
	p->path = mem_copy(path);
	pending_start(&p->pending, call, on_gone, p);
	return p;
}

/* ---- places ---- */

/* "acme:blue": the domain, where it is not ours and hosts are served here. */
static bool is_far(const struct api_call *call, const char *network, char domain[DOMAIN_ROOM])
{
	const struct hierarchy *h = call->api->h;

	return h && h->relay && strchr(network, ':') && domain_of_name(network, domain) &&
	       !hierarchy_domain(h, domain);
}

static char *registration(const struct api_call *call, const char *host)
{
	const struct host *found = (struct host *)model_find(&call->api->model, KIND_HOST, host);
	cJSON *json;
	char *text;

	if (!found)
		return NULL;
	json = cJSON_CreateObject();
	cJSON_AddItemToObject(
		json, "addresses",
		objects_addresses_json(found->o.spec->u.host.addresses, found->o.spec->u.host.n_addresses));
	if (found->o.spec->u.host.sworn.body) /* as it came: we can add nothing to it */
		cJSON_AddItemToObject(json, "signed", signed_json(&found->o.spec->u.host.sworn));
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	return text;
}

static char *place_path(const struct api_call *call)
{
	_free_ char *network = evhttp_uriencode(strchr(call->args[0], ':') + 1, -1, 0);
	_free_ char *endpoint = evhttp_uriencode(call->args[1], -1, 0);
	_free_ char *claim = api_query(call, "claim"), *escaped = NULL;

	if (!claim)
		return mem_printf("/v1/endpoints/%s/%s/place", network, endpoint);
	escaped = evhttp_uriencode(claim, -1, 0);
	return mem_printf("/v1/endpoints/%s/%s/place?claim=%s", network, endpoint, escaped);
}

/* A claim is for a host that is registered here, and by itself. */
static bool may_claim(struct api_call *call, const cJSON *json, const char **host)
{
	struct json_error err = { 0 };

	*host = cJSON_GetStringValue(json_get(json, "host"));
	if (!*host || !objects_check_name(*host) || !model_find(&call->api->model, KIND_HOST, *host)) {
		json_fail(&err, "host", "no such host '%.63s'", *host ? *host : "");
		api_refuse(call, -ENOENT, &err);
		return false;
	}
	return access_host(call, *host);
}

static void put_place(struct api_call *call, const char *domain, const char *plain)
{
	cJSON *json = api_body(call, BODY_MAX);
	const char *host = NULL;
	struct passing *p;

	if (!json)
		return;
	if (may_claim(call, json, &host)) {
		p = passing_new(call, domain, "PUT", plain, cJSON_PrintUnformatted(json));
		snprintf(p->host, sizeof(p->host), "%s", host);
		if (!json_get(json, "claim"))
			p->registration = registration(call, host);
		relay_find(p->r, domain, on_found, p);
	}
	cJSON_Delete(json);
}

bool relay_place(struct api_call *call)
{
	char domain[DOMAIN_ROOM];
	_free_ char *plain = NULL;
	struct passing *p;
	bool get;

	if (!is_far(call, call->args[0], domain))
		return false;
	if (!access_questions(call, call->api->admin))
		return true;
	plain = place_path(call);
	if (evhttp_request_get_command(call->req) == EVHTTP_REQ_PUT) {
		put_place(call, domain, plain);
		return true;
	}
	get = evhttp_request_get_command(call->req) == EVHTTP_REQ_GET;
	p = passing_new(call, domain, get ? "GET" : "DELETE", plain, NULL);
	relay_find(p->r, domain, on_found, p);
	return true;
}

/* ---- questions about a VNID ---- */

bool relay_question(struct api_call *call, const char *path, cJSON *json)
{
	struct relay *r = call->api->h ? call->api->h->relay : NULL;
	struct relay_network *net = NULL;
	struct passing *p;
	uint64_t n = 0;
	uint32_t vnid;

	if (!r || !json_whole(json_get(json, "vnid"), 1, VNID_LAST, &n) ||
	    model_network(&call->api->model, (uint32_t)n))
		return false;
	vnid = (uint32_t)n;
	HASH_FIND(hh, r->networks, &vnid, sizeof(vnid), net);
	if (!net || hierarchy_domain(r->h, net->domain))
		return false;
	p = passing_new(call, net->domain, "POST", path, cJSON_PrintUnformatted(json));
	relay_find(r, net->domain, on_found, p);
	cJSON_Delete(json);
	return true;
}

/* ---- hosts ---- */

struct telling {
	struct relay *r;
	char domain[DOMAIN_ROOM], host[NAME_MAX_LEN + 1];
	char *body;
};

static void on_told(const struct http_reply *reply, void *arg)
{
	struct telling *t = arg;

	if (reply->status != HTTP_OK)
		log_warn("domain %s was not told of host %s: %s", t->domain, t->host,
			 reply->status ? "it refuses" : reply->error);
	free(t->body);
	free(t);
}

static void tell(const struct relay_target *target, const char *why, void *arg)
{
	const struct http_reply none = { .error = why };
	struct telling *t = arg;
	_free_ char *domain = NULL;
	char path[PATH_ROOM];

	if (!target) {
		on_told(&none, t);
		return;
	}
	domain = evhttp_uriencode(t->domain, -1, 0);
	snprintf(path, sizeof(path), "/v1/hosts/%s?domain=%s", t->host, domain);
	http_call(t->r->h->http, target->server.name, &target->addr, "PUT", path, t->body, NULL,
		  RELAY_TIMEOUT_MS, on_told, t);
}

void relay_registered(struct hierarchy *h, const char *name)
{
	struct relay_host *host = h && h->relay ? relay_host(h->relay, name) : NULL;
	const struct api_call call = { .api = h ? h->base : NULL };

	for (size_t i = 0; host && i < host->n_domains; i++) {
		struct telling *t = mem_alloc(sizeof(*t));

		t->r = h->relay;
		strcpy(t->domain, host->domains[i]);
		snprintf(t->host, sizeof(t->host), "%s", name);
		t->body = registration(&call, name);
		relay_find(h->relay, t->domain, tell, t);
	}
}
