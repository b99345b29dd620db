// SPDX-License-Identifier: Apache-2.0
#include "across.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "believe.h"
#include "dps.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"
#include "miss.h"
#include "paths.h"
#include "ports.h"
#include "underlay.h"
#include "watch.h"

#define TICK_MS 100
/* After no answer, or one that is not believed; and never more often than this. */
#define AGAIN_NS SECOND_NS
/* Who waits for the first word on a service waits so long at most. */
#define FIRST_NS (2 * SECOND_NS)
/* The translations are looked through so often for what is not in use any more; the first time soon. */
#define WALK_NS (30 * SECOND_NS)
#define WALK_FIRST_NS SECOND_NS

struct far {
	char name[FULL_NAME_ROOM];
	struct dove_cache_key key; /* a translation that leads through it */
	uint32_t vnid;		   /* of its source; 0: not known */
	uint64_t since, next;	   /* known of; to be asked for again */
	int64_t expires; /* unix seconds: what was said last is worth nothing then; 0: nothing was */
	bool asking;
	bool waits;  /* packets wait for the first word */
	bool in_use; /* a translation led through it since the last walk */
	UT_hash_handle hh;
};

struct network {
	uint32_t vnid, source; /* source: a VM of it, of which something is held */
	uint64_t floor;
	uint64_t next;
	bool asking;
	UT_hash_handle hh;
};

struct across {
	struct agent *agent;
	struct far *services;
	struct network *networks;
	struct event *tick;
	uint64_t walk;
	bool adopting; /* the first walk: what an earlier process held */
};

/* The service, or the network, may not be of interest any more when the answer comes. */
struct pending {
	struct across *across;
	char name[FULL_NAME_ROOM];
	uint32_t vnid;
};

static struct far *find(const struct across *x, const char *name)
{
	struct far *f;

	HASH_FIND_STR(x->services, name, f);
	return f;
}

static void forget(struct across *x, struct far *f)
{
	HASH_DEL(x->services, f);
	paths_across(x->agent->paths, f->name, NULL);
	free(f);
}

static void tick_later(struct across *x)
{
	evtimer_add(x->tick, &(struct timeval){ .tv_usec = TICK_MS * 1000 });
}

/* Only while there is something to look after. */
static void tend_soon(struct across *x)
{
	if (evtimer_pending(x->tick, NULL))
		return;
	x->walk = clock_now() + WALK_NS;
	tick_later(x);
}

/* New or known; NULL: a watch tells of it, or there are too many. */
static struct far *want(struct across *x, const char *name, const struct dove_cache_key *key, uint32_t vnid)
{
	struct far *f = find(x, name);

	if (paths_told(x->agent->paths, name))
		return NULL;
	if (!f) {
		if (HASH_COUNT(x->services) >= ACROSS_MAX || strlen(name) >= FULL_NAME_ROOM)
			return NULL;
		f = calloc(1, sizeof(*f));
		if (!f)
			abort();
		strcpy(f->name, name);
		f->since = clock_now();
		HASH_ADD_STR(x->services, name, f);
		tend_soon(x);
	}
	if (f->key.source != key->source || vnid)
		f->vnid = vnid;
	f->key = *key;
	f->in_use = true;
	return f;
}

/* ---- what the authority says ---- */

/* They send to us as well. */
static void know_hosts(struct across *x, const cJSON *service, uint64_t until)
{
	const cJSON *instance, *one;
	struct ip_addr addr;

	cJSON_ArrayForEach (instance, json_get(service, "instances")) {
		const char *host = cJSON_GetStringValue(json_get(instance, "host"));

		cJSON_ArrayForEach (one, json_get(instance, "host_addresses"))
			if (!ip_parse(cJSON_GetStringValue(one), &addr))
				underlay_guest(x->agent->underlay, host, &addr, until);
	}
}

static void take(struct across *x, struct far *f, const struct statement *s, const cJSON *service)
{
	int64_t now = time(NULL), fresh = s->issued + s->lifetime - now;

	f->next = clock_now() + (fresh > 0 ? (uint64_t)fresh * SECOND_NS : AGAIN_NS);
	f->expires = s->expires;
	know_hosts(x, service, clock_now() + (uint64_t)(s->expires - now) * SECOND_NS);
	paths_across(x->agent->paths, f->name, service);
}

static bool is_about(const struct far *f, const struct statement *s)
{
	return s->kind == STATEMENT_SERVICE && !strcmp(s->name, f->name);
}

static void on_statement(const struct dps_reply *r, void *arg)
{
	_free_ struct pending *pending = arg;
	struct across *x = pending->across;
	struct far *f = find(x, pending->name);
	struct statement s;
	cJSON *service = NULL;
	int rc;

	if (!f)
		return;
	f->asking = false;
	f->next = clock_now() + AGAIN_NS;
	rc = believe_statement(x->agent->believe, r, &s, &service);
	if (!rc && is_about(f, &s))
		take(x, f, &s, service);
	else if (rc == -EAGAIN)
		f->next = clock_now() + AGAIN_NS / 4;
	else
		log_debug("service %s: %s", f->name, dps_ok(r) ? strerror(-rc) : r->error);
	cJSON_Delete(service);
	if (rc == -EAGAIN || !f->waits)
		return;
	f->waits = false;
	miss_services(x->agent->miss);
}

static void ask(struct across *x, struct far *f)
{
	struct pending *pending = malloc(sizeof(*pending));
	cJSON *body = cJSON_CreateObject(), *key = miss_key_json(&f->key);

	if (!pending)
		abort();
	pending->across = x;
	strcpy(pending->name, f->name);
	if (f->vnid)
		cJSON_AddNumberToObject(key, "vnid", f->vnid);
	cJSON_AddStringToObject(body, "service", f->name);
	cJSON_AddItemToObject(body, "key", key);
	f->asking = true;
	dps_call(x->agent->dps, "POST", "/v1/statement", body, on_statement, pending);
}

/* ---- other authorities' networks ---- */

static struct network *network_find(const struct across *x, uint32_t vnid)
{
	struct network *n;

	HASH_FIND(hh, x->networks, &vnid, sizeof(vnid), n);
	return n;
}

/* Of before: what it says of VMs elsewhere. Which of these are of that network only the service could say. */
static bool renew(const struct dove_cache_key *key, const struct dove_translation *t, void *arg)
{
	struct across *x = arg;

	if (!ports_vnid(x->agent->ports, key->source))
		miss_refresh(x->agent->miss, key, 0, t->revision + 1);
	return true;
}

void across_said(struct across *x, const struct statement *s)
{
	struct network *n = network_find(x, s->vnid);

	if (!n || s->kind != STATEMENT_PLACE || s->sequence <= n->floor)
		return;
	n->floor = s->sequence;
	miss_walk(x->agent->miss, renew, x);
}

static void on_floor(const struct dps_reply *r, void *arg)
{
	_free_ struct pending *pending = arg;
	struct across *x = pending->across;
	struct network *n = network_find(x, pending->vnid);
	struct statement s;
	cJSON *answer = NULL;

	if (!n)
		return;
	n->asking = false;
	n->next = clock_now() + AGAIN_NS;
	if (believe_statement(x->agent->believe, r, &s, &answer))
		return;
	cJSON_Delete(answer);
	if (s.kind != STATEMENT_PLACE || s.vnid != n->vnid)
		return;
	n->next = clock_now() + (s.lifetime ? s.lifetime : 1) * SECOND_NS;
	across_said(x, &s);
}

static void ask_floor(struct across *x, struct network *n)
{
	struct pending *pending = calloc(1, sizeof(*pending));
	cJSON *body = cJSON_CreateObject();

	if (!pending)
		abort();
	pending->across = x;
	pending->vnid = n->vnid;
	cJSON_AddNumberToObject(body, "vnid", n->vnid);
	cJSON_AddNumberToObject(body, "source", n->source);
	n->asking = true;
	dps_call(x->agent->dps, "POST", "/v1/statement", body, on_floor, pending);
}

static void note_network(struct across *x, uint32_t vnid, uint32_t source)
{
	struct network *n = network_find(x, vnid);

	if (n || watch_has(x->agent->watch, vnid) || HASH_COUNT(x->networks) >= ACROSS_NETWORKS_MAX)
		return;
	n = calloc(1, sizeof(*n));
	if (!n)
		abort();
	n->vnid = vnid;
	n->source = source;
	HASH_ADD(hh, x->networks, vnid, sizeof(n->vnid), n);
	tend_soon(x);
}

static void network_forget(struct across *x, struct network *n)
{
	HASH_DEL(x->networks, n);
	free(n);
}

/* ---- which services ---- */

static bool note_path(struct across *x, const struct dove_cache_key *key, uint32_t vnid, const cJSON *path)
{
	const cJSON *one;
	bool wait = false;

	cJSON_ArrayForEach (one, path) {
		const char *name = cJSON_GetStringValue(one);
		struct far *f = name ? want(x, name, key, vnid) : NULL;

		if (!f)
			continue;
		if (!f->asking && clock_now() >= f->next)
			ask(x, f);
		if (!f->expires && clock_now() - f->since < FIRST_NS)
			wait = f->waits = true;
	}
	return wait;
}

bool across_note(struct across *x, const struct dove_cache_key *key, uint32_t vnid, const cJSON *answer)
{
	bool wait = note_path(x, key, vnid, json_get(answer, "path"));
	const cJSON *rule;

	if (vnid)
		note_network(x, vnid, key->source);
	cJSON_ArrayForEach (rule, json_get(answer, "rules"))
		wait |= note_path(x, key, vnid, json_get(rule, "path"));
	return wait;
}

struct walk {
	struct across *across;
	bool others; /* something is held of VMs elsewhere */
	bool seen[DOVE_PATHS];
};

static void see(struct walk *w, uint8_t number, const struct dove_cache_key *key)
{
	cJSON *path;

	if (!number || w->seen[number])
		return;
	w->seen[number] = true;
	path = paths_json(w->across->agent->paths, number);
	note_path(w->across, key, 0, path);
	cJSON_Delete(path);
}

static bool see_translation(const struct dove_cache_key *key, const struct dove_translation *t, void *arg)
{
	struct walk *w = arg;
	const struct agent *a = w->across->agent;

	if (t->expires < clock_now())
		return true;
	if (!ports_vnid(a->ports, key->source)) {
		w->others = true;
		if (w->across->adopting) /* which network's is not known any more: the next packet says so */
			bpf_map_delete_elem(a->maps->cache, key);
	}
	see(arg, t->path, key);
	for (int i = 0; i < t->n_rules && i < DOVE_RULES_MAX; i++)
		see(arg, t->rules[i].path, key);
	return true;
}

/* What no translation leads through any more is forgotten. */
static void look_through(struct across *x)
{
	struct walk w = { .across = x };
	struct network *n, *next;
	struct far *f, *tmp;

	x->walk = clock_now() + WALK_NS;
	miss_walk(x->agent->miss, see_translation, &w);
	x->adopting = false;
	HASH_ITER (hh, x->networks, n, next)
		if (!w.others && !n->asking)
			network_forget(x, n);
	HASH_ITER (hh, x->services, f, tmp) {
		if (!f->in_use && !f->asking)
			forget(x, f);
		else
			f->in_use = false;
	}
}

/* ---- time ---- */

static void tend(struct across *x, struct far *f, uint64_t now)
{
	if (f->expires && time(NULL) >= f->expires) {
		log_warn("service %s: nobody says any more where it has instances", f->name);
		f->expires = 0;
		paths_across(x->agent->paths, f->name, NULL);
	}
	if (f->waits && now - f->since >= FIRST_NS) {
		f->waits = false;
		miss_services(x->agent->miss);
	}
	if (!f->asking && now >= f->next)
		ask(x, f);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct across *x = arg;
	uint64_t now = clock_now();
	struct network *n, *next;
	struct far *f, *tmp;

	HASH_ITER (hh, x->networks, n, next) {
		if (n->asking || now < n->next)
			continue;
		if (watch_has(x->agent->watch, n->vnid))
			network_forget(x, n);
		else
			ask_floor(x, n);
	}
	HASH_ITER (hh, x->services, f, tmp) {
		if (paths_told(x->agent->paths, f->name) && !f->asking)
			forget(x, f);
		else
			tend(x, f, now);
	}
	if (now >= x->walk)
		look_through(x);
	if (x->services || x->networks || x->adopting)
		tick_later(x);
}

cJSON *across_show(const struct across *x)
{
	cJSON *list = cJSON_CreateArray();
	int64_t now = time(NULL);

	for (const struct far *f = x->services; f; f = f->hh.next) {
		cJSON *one = cJSON_CreateObject();

		cJSON_AddStringToObject(one, "name", f->name);
		cJSON_AddNumberToObject(one, "valid", (double)(f->expires > now ? f->expires - now : 0));
		cJSON_AddItemToArray(list, one);
	}
	return list;
}

int across_open(struct agent *a, struct across **out, struct error *err)
{
	struct across *x = calloc(1, sizeof(*x));

	if (!x)
		return error_set(err, -ENOMEM, "out of memory");
	x->agent = a;
	x->adopting = true;
	x->walk = clock_now() + WALK_FIRST_NS;
	x->tick = evtimer_new(a->base, on_tick, x);
	tick_later(x);
	*out = x;
	return 0;
}

void across_close(struct across *x)
{
	struct network *n, *next;
	struct far *f, *tmp;

	if (!x)
		return;
	HASH_ITER (hh, x->networks, n, next)
		network_forget(x, n);
	HASH_ITER (hh, x->services, f, tmp) {
		HASH_DEL(x->services, f);
		free(f);
	}
	event_free(x->tick);
	free(x);
}
