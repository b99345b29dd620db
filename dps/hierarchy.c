// SPDX-License-Identifier: Apache-2.0
#include "dps/hierarchy.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "dps/persist.h"
#include "dps/relay.h"
#include "dps/sources.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define PATH_ROOM 1024
#define ZONE_PART 4 /* the root zone is made anew when a quarter of its life is over */

/* ---- what the node sees of the world ---- */

static int64_t env_now(void *arg)
{
	(void)arg;
	return time(NULL);
}

static uint64_t env_ticks(void *arg)
{
	struct timespec now;

	(void)arg;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 + 1;
}

static uint32_t env_random(void *arg)
{
	uint32_t n = 0;

	(void)arg;
	RAND_bytes((unsigned char *)&n, sizeof(n));
	return n;
}

static void env_note(void *arg, const char *id, const char *event, const char *zone,
		     const struct server_address *addr, const char *detail)
{
	char at[SERVER_ADDRESS_TEXT] = "-";

	(void)arg;
	if (addr)
		server_address_format(addr, at);
	log_debug("query=%s event=%s zone=%s server=%s detail=\"%s\"", *id ? id : "-", event,
		  *zone ? zone : ".", at, detail);
}

struct sent {
	struct hierarchy *h;
	uint64_t id;
};

static int read_reply(const struct http_reply *http, struct reply *out)
{
	struct json_error err = { 0 };
	cJSON *json = http->status == HTTP_OK ? json_parse(http->text, http->len, &err) : NULL;
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "replies");
	int rc = cJSON_GetArraySize(list) == 1 ? reply_parse(cJSON_GetArrayItem(list, 0), out, &err)
					       : -EINVAL;

	cJSON_Delete(json);
	return rc;
}

static void on_reply(const struct http_reply *http, void *arg)
{
	_free_ struct sent *sent = arg;
	struct reply reply = { 0 };

	if (read_reply(http, &reply)) {
		log_debug("a server's reply is of no use: %s",
			  http->status ? "not what /v1/ask gives" : http->error);
		query_broken(&sent->h->node.r, sent->id);
	} else {
		query_reply(&sent->h->node.r, sent->id, &reply);
		reply_free(&reply);
	}
	hierarchy_arm(sent->h);
}

static int env_send(void *arg, uint64_t id, const struct server_name *server,
		    const struct server_address *addr, const struct ask *ask, const struct errand *errand)
{
	struct hierarchy *h = arg;
	struct sent *sent = mem_alloc(sizeof(*sent));
	cJSON *json = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(json, "questions");
	_free_ char *body = NULL;

	*sent = (struct sent){ .h = h, .id = id };
	cJSON_AddItemToArray(list, ask_json(ask, errand));
	body = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	http_call(h->http, server->name, addr, "POST", "/v1/ask", body, NULL, QUERY_DEADLINE_MOST_MS,
		  on_reply, sent);
	return 0;
}

/* ---- the loop ---- */

void hierarchy_arm(struct hierarchy *h)
{
	uint64_t at = query_next(&h->node.r), now = env_ticks(h);
	uint64_t ms = at > now ? at - now : 0;
	struct timeval tv = { .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	if (at == UINT64_MAX)
		evtimer_del(h->tick);
	else
		evtimer_add(h->tick, &tv);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct hierarchy *h = arg;

	(void)fd;
	(void)what;
	query_tick(&h->node.r);
	hierarchy_arm(h);
}

/* ---- the root zone ---- */

static int publish(struct domain *d)
{
	const struct delegation *root = &d->self;
	struct json_error err = { 0 };
	struct root_zone *zone = authority_zone(&d->authority, root->keys, root->n_keys,
						d->config->succession, d->config->n_succession, root->servers,
						root->n_servers, time(NULL));
	int rc = zone ? domain_save(d) : -ENOMEM; /* its serial is durable before anyone sees it */

	rc = rc ? rc : node_set_root(&d->h->node, &zone->doc, &err);
	if (rc)
		log_error("cannot make the root zone: %s", *err.text ? err.text : strerror(-rc));
	zone_free(zone);
	return rc;
}

static void keep_zone(struct hierarchy *h)
{
	const struct root_zone *zone = h->node.root;

	if (!zone || zone->serial == h->zone_saved)
		return;
	if (!domain_save_zone(h->base->store, &zone->doc)) {
		h->zone_saved = zone->serial;
		log_info("root zone: serial %llu, %zu delegations", (unsigned long long)zone->serial,
			 zone->n_delegations);
	}
}

static void load_zone(struct hierarchy *h)
{
	struct signed_doc doc = { 0 };
	struct json_error err = { 0 };

	if (domain_load_zone(h->base->store, &doc))
		return;
	if (node_set_root(&h->node, &doc, &err))
		log_warn("the root zone that was kept is not used: %s", err.text);
	signed_free(&doc);
}

static bool zone_is_due(const struct hierarchy *h)
{
	const struct root_zone *zone = h->node.root;
	int64_t now = time(NULL);

	return !zone || now - zone->issued > (zone->expires - zone->issued) / ZONE_PART ||
	       h->writer->authority.serial != zone->serial;
}

/* ---- what has to be done now and then ---- */

/* Short lives are looked after more often. */
static time_t tend_seconds(const struct hierarchy *h)
{
	time_t least = NODE_TEND_MS / 1000;

	for (size_t i = 0; i < h->n_domains; i++)
		if (h->domains[i]->authority.life / 8 < least)
			least = h->domains[i]->authority.life / 8;
	if (h->node.root && (h->node.root->expires - h->node.root->issued) / NODE_ROOT_PART < least)
		least = (h->node.root->expires - h->node.root->issued) / NODE_ROOT_PART;
	return least ? least : 1;
}

static void on_tend(evutil_socket_t fd, short what, void *arg)
{
	struct hierarchy *h = arg;
	const struct timeval again = { .tv_sec = tend_seconds(h) };

	(void)fd;
	(void)what;
	node_tend(&h->node);
	if (h->writer && zone_is_due(h))
		publish(h->writer);
	for (size_t i = 0; i < h->n_domains; i++)
		if (h->domains[i]->authority.serial != h->domains[i]->saved)
			domain_save(h->domains[i]);
	keep_zone(h);
	hierarchy_arm(h);
	evtimer_add(h->tend, &again);
}

int hierarchy_changed(struct domain *d)
{
	static const struct timeval now = { 0 };
	int rc = d == d->h->writer ? publish(d) : domain_save(d);

	evtimer_add(d->h->tend, &now);
	return rc;
}

/* ---- our domains ---- */

struct domain *hierarchy_domain(const struct hierarchy *h, const char *domain)
{
	for (size_t i = 0; h && i < h->n_domains; i++)
		if (!strcmp(h->domains[i]->authority.domain, domain))
			return h->domains[i];
	return NULL;
}

struct api *hierarchy_default_api(struct api *base)
{
	struct api *only = NULL;

	for (size_t i = 0; base->h && i < base->h->n_domains; i++) {
		struct domain *d = base->h->domains[i];

		if (d == base->h->writer)
			continue;
		if (only)
			return base;
		only = d->api;
	}
	return only ? only : base;
}

struct domain *hierarchy_domain_of_vnid(const struct hierarchy *h, uint32_t vnid)
{
	struct domain *deepest = NULL;

	for (size_t i = 0; h && i < h->n_domains; i++) {
		struct domain *d = h->domains[i];

		if (d != h->writer && ranges_has(&d->authority.ranges, vnid) &&
		    (!deepest || domain_depth(d->authority.domain) > domain_depth(deepest->authority.domain)))
			deepest = d;
	}
	return deepest;
}

/* "acme/eng" has its store in DIR/acme+eng: no label has a '+'. */
static int open_store(struct domain *d, const struct config *config, struct json_error *err)
{
	char dir[PATH_ROOM];
	int len = snprintf(dir, sizeof(dir), "%s/", config->data);

	snprintf(dir + len, sizeof(dir) - len, "%s", d->authority.domain);
	for (char *c = dir + len; *c; c++)
		if (*c == '/')
			*c = '+';
	if (mkdir(dir, 0700) && errno != EEXIST)
		return json_fail(err, "data", "cannot make %.300s: %s", dir, strerror(errno));
	return store_open(dir, &d->own.store, err);
}

static int open_api(struct domain *d, const struct config *config, struct json_error *err)
{
	struct api *api = &d->own;
	int rc;

	if (d == d->h->writer) {
		d->api = d->h->base;
		d->api->domain = d;
		return 0;
	}
	d->api = api;
	api->h = d->h;
	api->domain = d;
	api->base = d->h->base->base;
	api->lifetime = config->lifetime;
	api->started = d->h->base->started;
	api->guard = d->h->base->guard;
	strcpy(api->admin, d->authority.domain);
	api->signer = (struct signer){ .key = d->key, .zone = d->authority.domain };
	model_init(&api->model);
	api->model.next_id = domain_next_id;
	api->model.next_id_arg = d;
	api->model.domain = d->authority.domain;
	rc = open_store(d, config, err);
	return rc ? rc : persist_load(&api->model, api->store, err);
}

static void describe(const struct domain *d, const struct config *config, const struct config_authority *from,
		     struct delegation *out)
{
	strcpy(out->domain, from->domain);
	out->ranges = d->authority.ranges;
	memcpy(out->servers, from->servers, sizeof(out->servers));
	out->n_servers = from->n_servers;
	out->keys[out->n_keys++] = *sign_key_public(d->key);
	if (*from->domain)
		return;
	/* the root's keys and servers are those that everybody is given */
	memcpy(out->keys, config->root->keys, sizeof(out->keys));
	out->n_keys = config->root->n_keys;
	if (from->n_servers)
		return;
	memcpy(out->servers, config->root->servers, sizeof(out->servers));
	out->n_servers = config->root->n_servers;
}

static int load_key(struct domain *d, const struct config_authority *from, struct json_error *err)
{
	struct error why;

	if (!sign_key_load(from->sign_key, &d->key, &why))
		return 0;
	snprintf(err->object, sizeof(err->object), "authority %.80s", *from->domain ? from->domain : ".");
	return json_fail(err, "sign-key", "%.300s", why.text);
}

static int add_to_node(struct domain *d, struct json_error *err)
{
	if (d == d->h->writer)
		return publish(d) ? json_fail(err, "authorities", "the root zone cannot be made") : 0;
	return node_add_authority(&d->h->node, &d->authority, &d->self)
		       ? json_fail(err, "authorities", "more than %d domains", NODE_AUTHORITIES_MAX)
		       : 0;
}

static int check_root_key(const struct domain *d, const struct config *config, struct json_error *err)
{
	for (size_t i = 0; i < config->root->n_keys; i++)
		if (sign_public_equal(&config->root->keys[i], sign_key_public(d->key)))
			return 0;
	return json_fail(err, "root.keys", "the writer's key is none of them: nobody would believe it");
}

static int open_domain(struct hierarchy *h, const struct config_authority *from, struct json_error *err)
{
	struct domain *d = mem_alloc(sizeof(*d));
	const struct authority_env env = {
		.find = domain_find, .version = domain_version, .used = domain_used, .arg = d
	};
	int rc;

	d->h = h;
	d->config = from;
	h->domains[h->n_domains++] = d;
	if (!*from->domain)
		h->writer = d;
	rc = load_key(d, from, err);
	if (rc || (!*from->domain && check_root_key(d, h->config, err)))
		return -EINVAL;
	authority_init(&d->authority, from->domain, d->key, &from->ranges, 0, &env);
	if (from->life)
		d->authority.life = from->life;
	rc = open_api(d, h->config, err);
	rc = rc ? rc : domain_load(d, time(NULL), err);
	if (rc)
		return rc;
	describe(d, h->config, from, &d->self);
	return add_to_node(d, err);
}

static void close_domain(struct domain *d)
{
	if (d->api == &d->own) {
		api_watch_close(d->api);
		prepared_clear(&d->own.prepared);
		model_free(&d->own.model);
		store_close(d->own.store);
	}
	authority_free(&d->authority);
	sign_key_free(d->key);
	free(d);
}

/* ---- all of it ---- */

static void open_node(struct hierarchy *h)
{
	const struct query_env env = { .now = env_now,
				       .ticks = env_ticks,
				       .random = env_random,
				       .send = env_send,
				       .note = env_note,
				       .arg = h };
	const struct config *config = h->config;
	const struct query_config query = { .name = config->name,
					    .parents = config->parents,
					    .n_parents = config->n_parents,
					    .primaries = config->primaries,
					    .n_primaries = config->n_primaries };

	node_init(&h->node, &env, &query, config->root);
	h->node.is_root = config->root_server;
	if (config->root_server)
		load_zone(h);
}

int hierarchy_open(struct api *base, const struct config *config, struct hierarchy **out,
		   struct json_error *err)
{
	static const struct timeval soon = { 0 };
	const struct http_tls tls = { config->tls_cert, config->tls_key, config->tls_ca };
	struct hierarchy *h = mem_alloc(sizeof(*h));
	int rc = 0;

	h->base = base;
	h->config = config;
	base->h = h;
	h->http = http_open(base->base, &tls);
	h->tick = evtimer_new(base->base, on_tick, h);
	h->tend = evtimer_new(base->base, on_tend, h);
	h->sources = sources_open();
	h->relay = config->local ? relay_open(h) : NULL;
	RAND_bytes((unsigned char *)&h->ids, sizeof(h->ids));
	open_node(h);
	for (size_t i = 0; !rc && i < config->n_authorities; i++)
		rc = open_domain(h, &config->authorities[i], err);
	if (rc) {
		hierarchy_close(h);
		return rc;
	}
	evtimer_add(h->tend, &soon);
	*out = h;
	return 0;
}

void hierarchy_close(struct hierarchy *h)
{
	if (!h)
		return;
	relay_close(h->relay);
	node_free(&h->node);
	h->base->h = NULL;
	http_close(h->http);
	for (size_t i = 0; i < h->n_domains; i++)
		close_domain(h->domains[i]);
	sources_close(h->sources);
	event_free(h->tick);
	event_free(h->tend);
	free(h);
}

void hierarchy_new_id(struct hierarchy *h, char id[ERRAND_ID_ROOM])
{
	snprintf(id, ERRAND_ID_ROOM, "%016llx", (unsigned long long)++h->ids);
}
