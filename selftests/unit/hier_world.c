// SPDX-License-Identifier: Apache-2.0
#include "hier_world.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/mem.h"

#define MAX_MESSAGES 2000000 /* of one world: more than that is a loop */

struct hier_event {
	struct timer t; /* first */
	enum { EVENT_ASK, EVENT_REPLY, EVENT_BROKEN } type;
	struct hier_node *from, *to;
	uint64_t id;
	char *text;
};

struct hier_memory {
	char key[ASK_TEXT];
	struct reply reply;
	struct hier_memory *next;
};

/* Chance and time */

uint32_t hier_random(struct hier *h, uint32_t below)
{
	h->random ^= h->random << 13;
	h->random ^= h->random >> 7;
	h->random ^= h->random << 17;
	return (uint32_t)(h->random >> 32) % below;
}

int64_t hier_now(const struct hier *h)
{
	return HIER_EPOCH + (int64_t)(h->ticks / 1000);
}

static int64_t env_now(void *arg)
{
	return hier_now(((struct hier_node *)arg)->h);
}

static uint64_t env_ticks(void *arg)
{
	return ((struct hier_node *)arg)->h->ticks;
}

static uint32_t env_random(void *arg)
{
	return hier_random(((struct hier_node *)arg)->h, UINT32_MAX);
}

/* The truth */

struct ip_addr hier_address(int vm)
{
	struct ip_addr addr;

	cr_assert_eq(ip_parse("10.1.0.0", &addr), 0);
	addr.b[15] = vm + 1;
	return addr;
}

static int vm_of(const struct ip_addr *addr)
{
	struct ip_addr base = hier_address(0);

	if (memcmp(addr, &base, 15) != 0 || !addr->b[15] || addr->b[15] > HIER_VMS)
		return -1;
	return addr->b[15] - 1;
}

static struct hier_network *own_network(const struct hier_domain *d, uint32_t vnid)
{
	for (struct hier_network *net = d->networks; net; net = net->next)
		if (net->vnid == vnid && !net->gone)
			return net;
	return NULL;
}

static struct hier_network *named_network(const struct hier_domain *d, const char *full)
{
	const char *name = strchr(full, ':') + 1;

	for (struct hier_network *net = d->networks; net; net = net->next)
		if (!strcmp(net->name, name) && !net->gone)
			return net;
	return NULL;
}

static cJSON *verdict_json(const char *verdict, uint32_t vnid, uint64_t revision)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddStringToObject(out, "verdict", verdict);
	cJSON_AddNumberToObject(out, "vnid", vnid);
	cJSON_AddNumberToObject(out, "sequence", (double)revision);
	return out;
}

static void find_policy(const struct hier_network *net, uint64_t revision, const struct ask *ask,
			struct finding *out)
{
	int vm = vm_of(&ask->to.address);
	bool source = ask->source && ask->source <= HIER_VMS;

	out->kind = STATEMENT_POLICY;
	out->whole = true;
	out->absent = !source || vm < 0 || !net->history[revision].is[vm];
	out->vnid = net->vnid;
	out->answer = verdict_json(!source			      ? "no_source"
				   : out->absent		      ? "no_endpoint"
				   : net->history[revision].allow[vm] ? "allow"
								      : "deny",
				   net->vnid, revision);
}

void hier_service(struct hier_domain *d, const char *name, int instances)
{
	int i = 0;

	while (i < HIER_SERVICES && *d->services[i].name && strcmp(d->services[i].name, name) != 0)
		i++;
	cr_assert_lt(i, HIER_SERVICES);
	snprintf(d->services[i].name, sizeof(d->services[i].name), "%s", name);
	d->services[i].instances = instances;
	d->h->changes++;
}

/* How many instances it has now; -1: there is no such service. */
static int instances_of(const struct hier_domain *d, const char *full)
{
	for (int i = 0; i < HIER_SERVICES && *d->services[i].name; i++)
		if (!strcmp(d->services[i].name, strchr(full, ':') + 1))
			return d->services[i].instances;
	return -1;
}

static void find_service(const struct hier_domain *d, const struct ask *ask, struct finding *out)
{
	int n = instances_of(d, ask->name);

	out->kind = STATEMENT_SERVICE;
	out->sequence = d->h->changes;
	out->absent = n < 0;
	if (out->absent)
		return;
	out->answer = cJSON_CreateObject();
	cJSON_AddNumberToObject(out->answer, "instances", n);
}

static int find(void *arg, const struct ask *ask, struct finding *out)
{
	struct hier_domain *d = arg;
	struct hier_network *net = ask->kind == ASK_POLICY ? own_network(d, ask->vnid)
							   : named_network(d, ask->name);
	uint64_t revision;

	*out = (struct finding){ .kind = STATEMENT_NO_NETWORK, .lifetime = d->lifetime, .stale = d->stale };
	if (ask->kind == ASK_SERVICE) {
		find_service(d, ask, out);
		return 0;
	}
	if (!net)
		return 0;
	revision = d->lags && d->lag < net->revision ? d->lag : net->revision;
	out->sequence = revision;
	out->vnid = net->vnid;
	if (ask->kind == ASK_POLICY)
		find_policy(net, revision, ask, out);
	else
		out->kind = STATEMENT_NAME;
	return 0;
}

/* Whatever changes, of any domain. */
static uint64_t version(void *arg)
{
	return ((const struct hier_domain *)arg)->h->changes;
}

static uint32_t used(void *arg, struct vnid_range r)
{
	const struct hier_domain *d = arg;

	for (struct hier_network *net = d->networks; net; net = net->next)
		if (!net->gone && net->vnid >= r.first && net->vnid <= r.last)
			return net->vnid;
	return 0;
}

/* Events */

static void schedule(struct hier *h, uint64_t in, struct hier_event event)
{
	struct hier_event *copy = mem_alloc(sizeof(*copy));

	*copy = event;
	timers_set(&h->events, &copy->t, h->ticks + in);
	cr_assert_lt(h->messages++, MAX_MESSAGES, "the world does not come to rest");
}

/* One way; 0: it is lost. */
static uint64_t way(struct hier_node *a, struct hier_node *b)
{
	struct hier *h = a->h;
	uint64_t ms = 1 + a->delay + b->delay + hier_random(h, a->jitter + b->jitter + 1);

	return hier_random(h, 100) < a->loss || hier_random(h, 100) < b->loss ? 0 : ms;
}

static struct hier_node *node_at(struct hier *h, const struct server_address *addr)
{
	for (struct hier_node *n = h->nodes; n; n = n->next)
		if (server_address_equal(&n->addr, addr))
			return n;
	return NULL;
}

static int env_send(void *arg, uint64_t id, const struct server_name *server,
		    const struct server_address *addr, const struct ask *ask, const struct errand *errand)
{
	struct hier_node *from = arg, *to = node_at(from->h, addr);
	struct hier_event event = { .type = EVENT_ASK, .from = from, .to = to, .id = id };
	uint64_t ms;
	cJSON *json;

	cr_assert(server && errand->deadline <= QUERY_DEADLINE_MOST_MS);
	if (!to)
		return -EHOSTUNREACH;
	ms = way(from, to);
	if (to->dead || !ms)
		return 0; /* silence */
	if (to->refuses)
		event.type = EVENT_BROKEN;
	json = ask_json(ask, errand);
	event.text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	schedule(from->h, ms, event);
	return 0;
}

/* Hostile servers */

static const char *const lies[] = {
#define HIER_LIE_NAME(name, text) text,
	HIER_LIES(HIER_LIE_NAME)
#undef HIER_LIE_NAME
};

const char *hier_lie_name(enum hier_lie lie)
{
	return lies[lie];
}

static void clear(struct reply *reply, enum reply_status status)
{
	reply_free(reply);
	reply->status = status;
}

/* "Allow", about exactly what was asked. */
static void say_allow(struct hier_node *n, const struct ask *ask, const char *zone,
		      const struct sign_key *key, struct reply *out)
{
	struct statement s = { .kind = ask->kind == ASK_NAME	  ? STATEMENT_NAME
				       : ask->kind == ASK_SERVICE ? STATEMENT_SERVICE
								  : STATEMENT_POLICY,
			       .whole = true,
			       .vnid = ask->kind == ASK_NAME ? 7 : ask->vnid,
			       .from_vnid = ask->from_vnid,
			       .source = ask->source,
			       .to = ask->to,
			       .sequence = 1000000,
			       .issued = env_now(n),
			       .expires = env_now(n) + 3600,
			       .lifetime = 3600 };

	strcpy(s.zone, zone);
	if (ask->kind != ASK_POLICY)
		strcpy(s.name, ask->name);
	clear(out, REPLY_ANSWER);
	signed_make(key, SIGNED_STATEMENT, statement_render(&s, verdict_json("allow", ask->vnid, 1000000)),
		    &out->doc);
}

/* Is the question its own authority's, or its child's? What it signs of that counts: it might have kept it. */
static bool is_own(const struct hier_node *n, const struct ask *ask)
{
	return n->domain && *n->domain->name && authority_covers(&n->domain->authority, ask);
}

static const struct sign_key *key_of(const struct hier_node *n)
{
	return n->domain && *n->domain->name ? n->domain->key : n->own_key;
}

static const char *zone_of(const struct hier_node *n)
{
	return n->domain ? n->domain->name : "";
}

/* The zone that is truly responsible, as far as the liar knows. */
static void forge(struct hier_node *n, const struct ask *ask, struct reply *reply)
{
	struct zone *zone = reference_closest(&n->node.r.ref, ask, env_now(n));
	char name[DOMAIN_ROOM];

	strcpy(name, zone ? zone->d.domain : "");
	say_allow(n, ask, name, n->own_key, reply);
}

static void answer_other(struct hier_node *n, const struct ask *ask, const struct errand *errand,
			 struct reply *reply)
{
	struct ask other = *ask;

	if (ask->kind != ASK_POLICY)
		return;
	other.to.address.b[15] = ask->to.address.b[15] % HIER_VMS + 1;
	reply_free(reply);
	node_answer(&n->node, &other, errand, reply);
}

static void corrupt(struct hier_node *n, struct reply *reply)
{
	struct signed_doc *doc = reply->n_chain ? &reply->chain[hier_random(n->h, reply->n_chain)]
						: &reply->doc;
	size_t at;

	if (!doc->body)
		return;
	at = hier_random(n->h, doc->len);
	if (hier_random(n->h, 4) == 0)
		doc->sig[hier_random(n->h, SIGN_BYTES)] ^= 1;
	else if (doc->body[at] >= '0' && doc->body[at] < '9')
		doc->body[at]++;
	else if (doc->body[at] >= 'a' && doc->body[at] < 'z')
		doc->body[at]++;
	else
		doc->sig[0] ^= 1;
}

/* The bytes are others, the signature is not. */
static void rewrite(struct signed_doc *doc, char *body)
{
	free(doc->body);
	doc->body = body;
	doc->len = strlen(body);
}

static void turn(struct reply *reply)
{
	cJSON *json = reply->doc.body ? cJSON_Parse(reply->doc.body) : NULL;
	cJSON *answer = cJSON_GetObjectItem(json, "answer");
	const cJSON *verdict = cJSON_GetObjectItem(answer, "verdict");

	if (cJSON_IsString(verdict)) {
		cJSON_ReplaceItemInObject(
			answer, "verdict",
			cJSON_CreateString(!strcmp(verdict->valuestring, "allow") ? "deny" : "allow"));
		rewrite(&reply->doc, cJSON_PrintUnformatted(json));
	}
	cJSON_Delete(json);
}

static void pose(struct hier_node *n, const struct ask *ask, struct reply *reply)
{
	struct signed_doc *doc = reply->n_chain ? &reply->chain[reply->n_chain - 1] : NULL;
	struct json_error err = { 0 };
	struct delegation d;

	if (!doc || reply->status != REPLY_REFERRAL) {
		forge(n, ask, reply);
		return;
	}
	cr_assert_eq(delegation_parse(doc->body, doc->len, &d, &err), 0);
	strcpy(d.servers[0].name, n->name);
	d.servers[0].addresses[0] = n->addr;
	d.n_servers = d.servers[0].n_addresses = 1;
	d.keys[0] = *sign_key_public(n->own_key);
	d.n_keys = 1;
	rewrite(doc, delegation_render(&d));
}

static void copy_reply(const struct reply *from, struct reply *out)
{
	memset(out, 0, sizeof(*out));
	out->status = from->status;
	strcpy(out->reason, from->reason);
	signed_copy(&from->doc, &out->doc);
	for (size_t i = 0; i < from->n_chain; i++)
		reply_add(out, &from->chain[i]);
}

/* The first reply that it ever gave to the question; NULL: this is it, and is remembered. */
static const struct reply *remember(struct hier_node *n, const struct ask *ask, const struct reply *reply)
{
	struct hier_memory *m;
	char key[ASK_TEXT];

	ask_text(ask, false, key);
	for (m = n->memory; m; m = m->next)
		if (!strcmp(m->key, key))
			return &m->reply;
	m = mem_alloc(sizeof(*m));
	strcpy(m->key, key);
	copy_reply(reply, &m->reply);
	m->next = n->memory;
	n->memory = m;
	return NULL;
}

static void replay(const struct reply *first, struct reply *reply)
{
	if (!first)
		return;
	reply_free(reply);
	copy_reply(first, reply);
}

/* Its own delegation, or that of the top, in place of one that leads on. */
static void refer_to(struct hier_node *n, bool top, struct reply *reply)
{
	struct reply chain = { 0 };

	clear(reply, REPLY_REFERRAL);
	if (!reference_chain(&n->node.r.ref, "", zone_of(n), env_now(n), &chain) || !chain.n_chain)
		return;
	reply_add(reply, &chain.chain[top ? 0 : chain.n_chain - 1]);
	reply_free(&chain);
}

/* A child of its own that has what is asked for, and whose server it is. */
static void steal(struct hier_node *n, const struct ask *ask, struct reply *reply)
{
	struct delegation d = { .serial = 1000000, .issued = env_now(n), .expires = env_now(n) + 3600 };
	const char *zone = zone_of(n);
	struct signed_doc doc;
	char domain[DOMAIN_ROOM];

	clear(reply, REPLY_REFERRAL);
	if (!ask_domain(ask, domain) || !domain_toward(domain, zone, d.domain))
		snprintf(d.domain, sizeof(d.domain), "%.200s%sthief", zone, *zone ? "/" : "");
	ranges_add(&d.ranges, ask->vnid ? ask->vnid : 7, ask->vnid ? ask->vnid : 7);
	strcpy(d.servers[0].name, n->name);
	d.servers[0].addresses[0] = n->addr;
	d.servers[0].n_addresses = d.n_servers = 1;
	d.keys[0] = *sign_key_public(n->own_key);
	d.n_keys = 1;
	if (!delegation_sign(&d, key_of(n), &doc))
		reply_add(reply, &doc);
	signed_free(&doc);
}

static void deny(struct hier_node *n, const struct ask *ask, struct reply *reply)
{
	struct statement s = { .kind = STATEMENT_NO_DELEGATION,
			       .vnids = { 1, VNID_LAST },
			       .sequence = 1000000,
			       .issued = env_now(n),
			       .expires = env_now(n) + 3600,
			       .lifetime = 3600 };

	if (ask->kind != ASK_POLICY) {
		s.vnids.first = 0;
		s.between = true;
	}
	clear(reply, REPLY_ANSWER);
	signed_make(n->own_key, SIGNED_STATEMENT, statement_render(&s, NULL), &reply->doc);
}

static void lie_once(struct hier_node *n, enum hier_lie lie, const struct ask *ask,
		     const struct errand *errand, const struct reply *first, struct reply *reply)
{
	switch (lie) {
	case LIE_FORGE:
		forge(n, ask, reply);
		return;
	case LIE_OUTSIDE:
		if (!is_own(n, ask))
			say_allow(n, ask, zone_of(n), key_of(n), reply);
		return;
	case LIE_USURP:
		if (is_own(n, ask) && authority_child(&n->domain->authority, ask))
			say_allow(n, ask, zone_of(n), key_of(n), reply);
		return;
	case LIE_OTHER:
		answer_other(n, ask, errand, reply);
		return;
	case LIE_CORRUPT:
		corrupt(n, reply);
		return;
	case LIE_TURN:
		turn(reply);
		return;
	case LIE_POSE:
		pose(n, ask, reply);
		return;
	case LIE_REPLAY:
		replay(first, reply);
		return;
	case LIE_SELF:
	case LIE_UPWARD:
		refer_to(n, lie == LIE_UPWARD, reply);
		return;
	case LIE_STEAL:
		if (!is_own(n, ask))
			steal(n, ask, reply);
		return;
	case LIE_DENY:
		deny(n, ask, reply);
		return;
	case LIE_MISNAME:
		if (ask->kind == ASK_NAME && n->domain && !ranges_has(&n->domain->authority.ranges, 7))
			say_allow(n, ask, zone_of(n), key_of(n), reply);
		return;
	default:
		clear(reply, lie == LIE_LAME ? REPLY_NOT_MINE : REPLY_FAILED);
	}
}

static void hostile(struct hier_node *n, const struct ask *ask, const struct errand *errand,
		    struct reply *reply)
{
	const struct reply *first = remember(n, ask, reply);
	enum hier_lie lie = n->lie;

	if (lie == LIE_ANY)
		lie = hier_random(n->h, LIE_ANY);
	if (lie != LIE_NONE)
		lie_once(n, lie, ask, errand, first, reply);
}

/* Delivery */

struct delivery {
	struct hier_node *from, *to;
	uint64_t id;
	struct ask ask;
	struct errand errand;
};

static void on_reply(const struct reply *reply, const struct query_result *result, void *arg)
{
	struct delivery *d = arg;
	struct hier_event event = { .type = EVENT_REPLY, .from = d->to, .to = d->from, .id = d->id };
	uint64_t ms = way(d->to, d->from);
	struct reply copy;
	cJSON *json;

	copy_reply(reply, &copy);
	hostile(d->to, &d->ask, &d->errand, &copy);
	if (ms && !d->to->dead) {
		json = reply_json(&copy);
		event.text = cJSON_PrintUnformatted(json);
		cJSON_Delete(json);
		schedule(d->to->h, ms, event);
	}
	reply_free(&copy);
	free(d);
}

static void deliver_ask(struct hier_event *event)
{
	struct delivery *d = mem_alloc(sizeof(*d));
	struct json_error err = { 0 };
	cJSON *json = cJSON_Parse(event->text);

	event->to->received++;
	*d = (struct delivery){ .from = event->from, .to = event->to, .id = event->id };
	cr_assert_eq(ask_parse(json, &d->ask, &d->errand, &err), 0, "%s: %s: %s", err.field, err.text,
		     event->text);
	cJSON_Delete(json);
	node_ask(&event->to->node, &d->ask, &d->errand, on_reply, d);
}

static void deliver_reply(struct hier_event *event)
{
	struct json_error err = { 0 };
	cJSON *json = cJSON_Parse(event->text);
	struct reply reply;

	if (reply_parse(json, &reply, &err)) {
		query_broken(&event->to->node.r, event->id);
	} else {
		query_reply(&event->to->node.r, event->id, &reply);
		reply_free(&reply);
	}
	cJSON_Delete(json);
}

static void deliver(struct hier_event *event)
{
	if (event->type == EVENT_BROKEN)
		query_broken(&event->from->node.r, event->id);
	else if (event->to->dead)
		;
	else if (event->type == EVENT_ASK)
		deliver_ask(event);
	else
		deliver_reply(event);
	free(event->text);
	free(event);
}

/* The tick of what happens next. */
static uint64_t next_tick(const struct hier *h)
{
	const struct timer *first = timers_first(&h->events);
	uint64_t at = first ? first->at : UINT64_MAX, wanted;

	for (const struct hier_node *n = h->nodes; n; n = n->next) {
		wanted = n->running ? query_next(&n->node.r) : UINT64_MAX;
		if (wanted < at)
			at = wanted;
	}
	if (h->tending && (h->ticks / NODE_TEND_MS + 1) * NODE_TEND_MS < at)
		at = (h->ticks / NODE_TEND_MS + 1) * NODE_TEND_MS;
	return at;
}

static void step(struct hier *h)
{
	struct timer *first;

	if (h->tending && h->ticks % NODE_TEND_MS == 0)
		for (struct hier_node *n = h->nodes; n; n = n->next)
			if (n->running && !n->dead)
				node_tend(&n->node);
	while ((first = timers_first(&h->events)) && first->at <= h->ticks) {
		timers_clear(&h->events, first);
		deliver((struct hier_event *)first);
	}
	for (struct hier_node *n = h->nodes; n; n = n->next)
		if (n->running)
			query_tick(&n->node.r);
}

void hier_run(struct hier *h, uint64_t ms)
{
	uint64_t end = h->ticks + ms, at;

	while ((at = next_tick(h)) <= end) {
		h->ticks = at > h->ticks ? at : h->ticks;
		step(h);
	}
	h->ticks = end;
}

bool hier_wait(struct hier *h, const struct hier_result *result)
{
	uint64_t limit = h->ticks + QUERY_DEADLINE_MOST_MS + 1, at;

	while (!result->done && (at = next_tick(h)) <= limit) {
		h->ticks = at > h->ticks ? at : h->ticks;
		step(h);
	}
	return result->done;
}

/* Building */

void hier_init(struct hier *h, uint64_t seed)
{
	memset(h, 0, sizeof(*h));
	h->ticks = 1;
	h->random = seed * 0x9e3779b97f4a7c15ull + 1;
	h->root = hier_domain(h, "");
}

static void free_node(struct hier_node *n)
{
	struct hier_memory *m;

	if (n->running)
		node_free(&n->node);
	while ((m = n->memory)) {
		n->memory = m->next;
		reply_free(&m->reply);
		free(m);
	}
	sign_key_free(n->own_key);
	free(n);
}

static void free_domain(struct hier_domain *d)
{
	struct hier_network *net;

	authority_free(&d->authority);
	sign_key_free(d->key);
	for (size_t i = 0; i < d->n_old; i++)
		sign_key_free(d->old_keys[i]);
	while ((net = d->networks)) {
		d->networks = net->next;
		free(net->history);
		free(net);
	}
	free(d->tenures);
	free(d);
}

/* Nodes end first: who still waits is told, and what they send goes nowhere. */
void hier_free(struct hier *h)
{
	struct hier_domain *d;
	struct hier_node *n;
	struct timer *first;

	for (n = h->nodes; n; n = n->next)
		if (n->running) {
			node_free(&n->node);
			n->running = false;
		}
	while ((n = h->nodes)) {
		h->nodes = n->next;
		free_node(n);
	}
	while ((d = h->domains)) {
		h->domains = d->next;
		free_domain(d);
	}
	while ((first = timers_first(&h->events))) {
		timers_clear(&h->events, first);
		free(((struct hier_event *)first)->text);
		free(first);
	}
	timers_free(&h->events);
	zone_free(h->zone);
	for (size_t i = 0; i < h->n_succession; i++)
		signed_free(&h->succession[i]);
}

struct hier_domain *hier_find_domain(struct hier *h, const char *name)
{
	struct hier_domain *d = h->domains;

	while (d && strcmp(d->name, name) != 0)
		d = d->next;
	return d;
}

struct hier_domain *hier_domain(struct hier *h, const char *name)
{
	const struct authority_env env = { .find = find, .version = version, .used = used };
	struct hier_domain *d = mem_alloc(sizeof(*d));
	const struct vnid_ranges none = { .n = 0 };
	char above[DOMAIN_ROOM];

	strcpy(d->name, name);
	d->h = h;
	d->lifetime = 600;
	d->next = h->domains;
	h->domains = d;
	cr_assert_eq(sign_key_make(&d->key, NULL), 0);
	d->keys[d->n_keys++] = *sign_key_public(d->key);
	authority_init(&d->authority, name, d->key, &none, 0, &env);
	d->authority.env.arg = d;
	domain_parent(name, above);
	d->parent = *name ? hier_find_domain(h, above) : NULL;
	cr_assert(!*name || d->parent, "%s has no parent", name);
	return d;
}

/* The servers of the domain as they are to be listed. */
static size_t list_servers(struct hier *h, const struct hier_domain *d, struct server_name *out)
{
	size_t n = 0;

	for (const struct hier_node *node = h->nodes; node && n < ZONE_SERVERS_MAX; node = node->next) {
		if (node->domain != d)
			continue;
		strcpy(out[n].name, node->name);
		out[n].addresses[0] = node->addr;
		out[n].n_addresses = 1;
		n++;
	}
	return n;
}

static void describe(struct hier_domain *d, struct delegation *out)
{
	memset(out, 0, sizeof(*out));
	strcpy(out->domain, d->name);
	out->ranges = d->authority.ranges;
	memcpy(out->keys, d->keys, sizeof(d->keys));
	out->n_keys = d->n_keys;
	out->n_servers = list_servers(d->h, d, out->servers);
}

static void start(struct hier_node *n)
{
	const struct query_env env = {
		.now = env_now, .ticks = env_ticks, .random = env_random, .send = env_send, .arg = n
	};
	const struct query_config config = { .name = n->name,
					     .parents = &n->parent,
					     .n_parents = n->parent.n_addresses ? 1 : 0,
					     .primaries = &n->primary,
					     .n_primaries = n->primary.n_addresses ? 1 : 0,
					     .cache_entries = 1000,
					     .cache_bytes = 1 << 20,
					     .zones = 1000 };
	struct json_error err = { 0 };
	struct delegation d;

	describe(n->h->root, &d);
	node_init(&n->node, &env, &config, &d);
	n->running = true;
	if (n->domain == n->h->root)
		cr_assert_eq(node_set_root(&n->node, &n->h->zone->doc, &err), 0, "%s: %s", err.field,
			     err.text);
	if (!n->domain || n->domain == n->h->root)
		return;
	describe(n->domain, &d);
	node_add_authority(&n->node, &n->domain->authority, &d);
}

static struct hier_node *add_node(struct hier *h, const char *name)
{
	struct hier_node *n = mem_alloc(sizeof(*n)), **last = &h->nodes;

	snprintf(n->name, sizeof(n->name), "%s", name);
	cr_assert_eq(ip_parse("192.0.2.1", &n->addr.ip), 0);
	n->addr.port = ++h->ports;
	n->h = h;
	cr_assert_eq(sign_key_make(&n->own_key, NULL), 0);
	while (*last)
		last = &(*last)->next;
	*last = n;
	return n;
}

struct hier_node *hier_server(struct hier *h, const char *name, struct hier_domain *domain)
{
	struct hier_node *n = add_node(h, name);

	n->domain = domain;
	n->delay = 5;
	if (h->zone)
		start(n);
	return n;
}

struct hier_node *hier_cache(struct hier *h, const char *name, const char *via)
{
	struct hier_node *n = add_node(h, name), *above = via ? hier_find(h, via) : NULL;

	n->delay = 1;
	if (above) {
		strcpy(n->parent.name, above->name);
		n->parent.addresses[0] = above->addr;
		n->parent.n_addresses = 1;
	}
	if (h->zone)
		start(n);
	return n;
}

struct hier_node *hier_find(struct hier *h, const char *name)
{
	struct hier_node *n = h->nodes;

	while (n && strcmp(n->name, name) != 0)
		n = n->next;
	cr_assert(n, "no node %s", name);
	return n;
}

static void begin_tenure(struct hier_domain *d, const struct vnid_ranges *ranges)
{
	struct hier_tenure *t = d->n_tenures ? &d->tenures[d->n_tenures - 1] : NULL;

	if (t && t->until == UINT64_MAX && ranges_equal(&t->ranges, ranges))
		return;
	if (t && t->until == UINT64_MAX)
		t->until = d->h->ticks;
	d->tenures = mem_resize(d->tenures, d->n_tenures + 1, sizeof(*t));
	t = &d->tenures[d->n_tenures++];
	*t = (struct hier_tenure){ .ranges = *ranges, .from = d->h->ticks, .until = UINT64_MAX };
}

int hier_delegate(struct hier_domain *d, const struct vnid_ranges *ranges, struct json_error *err)
{
	struct delegation want;
	int rc;

	describe(d, &want);
	want.ranges = *ranges;
	rc = authority_delegate(&d->parent->authority, &want, hier_now(d->h), err);
	if (rc)
		return rc;
	authority_resize(&d->authority, ranges, hier_now(d->h));
	begin_tenure(d, ranges);
	if (!d->h->zone)
		return 0;
	for (struct hier_node *n = d->h->nodes; n; n = n->next)
		if (n->domain == d && n->running)
			reference_anchor(&n->node.r.ref, &want);
	return 0;
}

int hier_withdraw(struct hier_domain *d, struct json_error *err)
{
	int rc = authority_withdraw(&d->parent->authority, d->name, err);

	if (!rc && d->n_tenures)
		d->tenures[d->n_tenures - 1].until = d->h->ticks;
	return rc;
}

void hier_publish(struct hier *h)
{
	struct server_name servers[ZONE_SERVERS_MAX];
	size_t n = list_servers(h, h->root, servers);
	struct json_error err = { 0 };

	memset(&servers[n], 0, (ZONE_SERVERS_MAX - n) * sizeof(*servers));
	zone_free(h->zone);
	h->zone = authority_zone(&h->root->authority, h->root->keys, h->root->n_keys, h->succession,
				 h->n_succession, servers, n, hier_now(h));
	cr_assert(h->zone);
	for (struct hier_node *node = h->nodes; node; node = node->next)
		if (node->domain == h->root && node->running && !node->dead)
			cr_assert_eq(node_set_root(&node->node, &h->zone->doc, &err), 0, "%s: %s", err.field,
				     err.text);
}

void hier_boot(struct hier *h)
{
	hier_publish(h);
	for (struct hier_node *n = h->nodes; n; n = n->next)
		if (!n->running)
			start(n);
}

/* Keys */

void hier_add_key(struct hier_domain *d)
{
	struct sign_key *key;

	cr_assert_eq(sign_key_make(&key, NULL), 0);
	cr_assert_lt(d->n_keys, ZONE_KEYS_MAX);
	d->keys[d->n_keys++] = *sign_key_public(key);
	d->old_keys[d->n_old++] = key; /* not old yet: hier_roll_key() takes the last */
}

void hier_roll_key(struct hier_domain *d)
{
	struct sign_key *next = d->old_keys[d->n_old - 1];

	if (d == d->h->root)
		cr_assert_eq(succession_sign(d->key, sign_key_public(next), hier_now(d->h),
					     &d->h->succession[d->h->n_succession++]),
			     0);
	d->old_keys[d->n_old - 1] = d->key;
	d->key = next;
	authority_rekey(&d->authority, d->key, hier_now(d->h));
}

void hier_drop_keys(struct hier_domain *d)
{
	d->keys[0] = *sign_key_public(d->key);
	d->n_keys = 1;
	memset(&d->keys[1], 0, sizeof(d->keys) - sizeof(d->keys[0]));
}

/* Networks */

struct hier_network *hier_network(struct hier_domain *d, const char *name, uint32_t vnid)
{
	struct hier_network *net = mem_alloc(sizeof(*net));

	net->vnid = vnid;
	snprintf(net->name, sizeof(net->name), "%s", name);
	net->domain = d;
	net->made = d->h->ticks;
	d->h->changes++;
	net->history = mem_alloc(2 * sizeof(*net->history));
	net->revision = 1;
	net->history[1].at = d->h->ticks;
	for (int vm = 0; vm < HIER_VMS; vm++)
		net->history[1].is[vm] = net->history[1].allow[vm] = true;
	net->next = d->networks;
	d->networks = net;
	return net;
}

struct hier_network *hier_find_network(struct hier *h, uint32_t vnid)
{
	struct hier_network *net;

	for (struct hier_domain *d = h->domains; d; d = d->next)
		if ((net = own_network(d, vnid)))
			return net;
	return NULL;
}

void hier_change(struct hier_network *net, int vm, bool is, bool allow)
{
	uint64_t r = ++net->revision;

	net->domain->h->changes++;
	net->history = mem_resize(net->history, r + 1, sizeof(*net->history));
	net->history[r] = net->history[r - 1];
	net->history[r].at = net->domain->h->ticks;
	if (vm < 0)
		return;
	net->history[r].is[vm] = is;
	net->history[r].allow[vm] = allow;
}

void hier_remove(struct hier_network *net)
{
	net->gone = net->domain->h->ticks;
	net->domain->h->changes++;
}

void hier_lag(struct hier_domain *d, uint64_t revision)
{
	if (d->lags && !revision)
		d->caught_up = d->h->ticks;
	d->h->changes++;
	d->lags = revision;
	d->lag = revision;
}

/* Asking */

static void on_done(const struct query_result *result, void *arg)
{
	struct hier_result *out = arg;
	struct json_error err = { 0 };

	out->times++;
	out->done = true;
	out->told = out->h->ticks;
	out->result = *result;
	strcpy(out->zone, result->zone);
	if (result->doc) {
		signed_copy(result->doc, &out->doc);
		if (result->kind < RESULT_ZONE)
			cr_assert_eq(statement_parse(out->doc.body, out->doc.len, &out->statement, &err), 0,
				     "%s", err.text);
	}
	out->result.doc = NULL;
	out->result.zone = NULL;
}

void hier_ask(struct hier_node *node, const struct ask *ask, uint32_t within, struct hier_result *result)
{
	const struct errand errand = { .recursive = true, .deadline = within };

	memset(result, 0, sizeof(*result));
	result->h = node->h;
	result->ask = *ask;
	result->asked = node->h->ticks;
	query_ask(&node->node.r, ask, &errand, on_done, result);
}

void hier_result_free(struct hier_result *result)
{
	signed_free(&result->doc);
}

/* Is it true? */

static char why[256];

static const char *no(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static const char *no(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	return why;
}

/* Did [from, until) have a part in the second that begins at this unix time? */
static bool was_then(uint64_t from, uint64_t until, int64_t second)
{
	uint64_t begin = (uint64_t)(second - HIER_EPOCH) * 1000;

	return from < begin + 1000 && until >= begin;
}

static bool had_of_parent(const struct hier_domain *d, uint32_t vnid, int64_t second, uint64_t tick)
{
	for (size_t i = 0; i < d->n_tenures; i++) {
		const struct hier_tenure *t = &d->tenures[i];

		if (ranges_has(&t->ranges, vnid) && was_then(t->from, UINT64_MAX, second) &&
		    (t->until == UINT64_MAX ||
		     tick <= t->until + ((uint64_t)d->parent->authority.life + 1) * 1000))
			return true;
	}
	return false;
}

/* Had the domain the VNID at that time, and could that still be believed to be so? Those above it then, too. */
static bool had(const struct hier_domain *d, uint32_t vnid, int64_t second, uint64_t tick)
{
	for (; *d->name; d = d->parent) {
		if (!had_of_parent(d, vnid, second, tick))
			return false;
		second = HIER_EPOCH +
			 (int64_t)(tick / 1000); /* when it was told counts, not when it was said */
	}
	return true;
}

static const char *check_revision(const struct hier_network *net, const struct hier_result *r)
{
	const struct statement *s = &r->statement;
	uint64_t until = net->gone ? net->gone : UINT64_MAX;

	if (!s->sequence || s->sequence > net->revision)
		return no("network %u never was at revision %lu", net->vnid, s->sequence);
	if (s->sequence < net->revision)
		until = net->history[s->sequence + 1].at;
	if (!net->domain->lags && !was_then(0, net->domain->caught_up, s->issued) &&
	    !was_then(net->history[s->sequence].at, until, s->issued))
		return no("network %u was not at revision %lu when that was said", net->vnid, s->sequence);
	if (s->sequence < r->ask.min_revision)
		return no("revision %lu, and at least %lu was wanted", s->sequence, r->ask.min_revision);
	return NULL;
}

static const char *check_verdict(const struct hier_network *net, const struct hier_result *r)
{
	const struct statement *s = &r->statement;
	int vm = vm_of(&r->ask.to.address);
	bool source = r->ask.source && r->ask.source <= HIER_VMS;
	bool is = source && vm >= 0 && net->history[s->sequence].is[vm];

	if (s->absent != !is)
		return no("a VM that %s", is ? "is there is denied" : "isn't there is said to be");
	if (is && s->refuses == net->history[s->sequence].allow[vm])
		return no("revision %lu says otherwise", s->sequence);
	return NULL;
}

static const char *check_times(const struct hier_result *r)
{
	const struct statement *s = &r->statement;
	int64_t told = HIER_EPOCH + (int64_t)(r->told / 1000);

	if (told >= s->expires && (!s->refuses || told >= s->issued + s->lifetime + s->stale))
		return no("it was over for %ld s (issued %ld, lifetime %u, stale %u, took %u, %s)",
			  told - s->expires, s->issued - HIER_EPOCH, s->lifetime, s->stale,
			  r->result.upstream, r->result.stale ? "stale" : "fresh");
	if (!r->result.stale && told >= s->issued + s->lifetime)
		return no("stale, and not said so");
	return NULL;
}

static const struct hier_network *network_of(struct hier *h, const struct hier_result *r)
{
	const struct statement *s = &r->statement;
	struct hier_domain *d = hier_find_domain(h, s->zone);
	const struct hier_network *best = NULL;

	for (struct hier_network *net = d ? d->networks : NULL; net; net = net->next)
		if (net->vnid == s->vnid &&
		    was_then(net->made, net->gone ? net->gone : UINT64_MAX, s->issued))
			best = net;
	return best;
}

static const char *check_answer(struct hier *h, const struct hier_result *r)
{
	const struct statement *s = &r->statement;
	const struct hier_network *net = network_of(h, r);
	const char *fault;

	if (!ask_answered(&r->ask, s))
		return no("it is about another question");
	if (s->kind == STATEMENT_SERVICE)
		return domain_has(s->zone, r->ask.name) ? check_times(r)
							: no("%s speaks of %s", s->zone, r->ask.name);
	if (!net)
		return no("%s had no network %u then", s->zone, s->vnid);
	if (!had(net->domain, s->vnid, s->issued, r->told))
		return no("VNID %u was not %s's", s->vnid, s->zone);
	fault = check_times(r);
	if (!fault)
		fault = check_revision(net, r);
	if (!fault && r->ask.kind == ASK_POLICY)
		fault = check_verdict(net, r);
	return fault;
}

static const char *check_no_network(struct hier *h, const struct hier_result *r)
{
	const struct statement *s = &r->statement;
	struct hier_domain *d = hier_find_domain(h, s->zone);

	if (!d || (r->ask.kind == ASK_POLICY && !had(d, r->ask.vnid, s->issued, r->told)))
		return no("'%s' had nothing to say about it", s->zone);
	for (struct hier_network *net = d->networks; net; net = net->next) {
		uint64_t until = net->gone ? net->gone : UINT64_MAX;
		bool meant = r->ask.kind == ASK_POLICY ? net->vnid == r->ask.vnid
						       : !strcmp(net->name, strchr(r->ask.name, ':') + 1);

		if (meant && was_then(net->made, until, s->issued) &&
		    !(was_then(0, net->made, s->issued) || was_then(until, UINT64_MAX, s->issued)))
			return no("network %s was there", net->name);
	}
	return check_times(r);
}

/* Nobody below the zone had it throughout that second. */
static const char *check_no_delegation(struct hier *h, const struct hier_result *r)
{
	const struct statement *s = &r->statement;
	char domain[DOMAIN_ROOM];
	bool by_name = ask_domain(&r->ask, domain);

	for (struct hier_domain *d = h->domains; d; d = d->next)
		for (size_t i = 0; *d->name && i < d->n_tenures; i++) {
			const struct hier_tenure *t = &d->tenures[i];
			bool meant = by_name ? domain_within(domain, d->name)
					     : ranges_has(&t->ranges, r->ask.vnid);

			if (meant && domain_is_child(d->name, s->zone) &&
			    was_then(t->from, t->until, s->issued) && !was_then(0, t->from, s->issued) &&
			    (t->until == UINT64_MAX || !was_then(t->until, UINT64_MAX, s->issued)))
				return no("%s had it", d->name);
		}
	return check_times(r);
}

static const char *check_zone(struct hier *h, const struct hier_result *r)
{
	const struct hier_domain *d = hier_find_domain(h, r->ask.name);
	struct json_error err = { 0 };
	struct delegation what;

	if (!d)
		return no("there is no such domain");
	if (!r->doc.body)
		return NULL;
	if (delegation_parse(r->doc.body, r->doc.len, &what, &err) || strcmp(what.domain, d->name) != 0)
		return no("it is no delegation of %s", d->name);
	for (size_t i = 0; i < what.ranges.n; i++)
		if (!had(d, what.ranges.v[i].first, what.issued, r->told) ||
		    !had(d, what.ranges.v[i].last, what.issued, r->told))
			return no("%s never had these VNIDs", d->name);
	return NULL;
}

const char *hier_truth(struct hier *h, const struct hier_result *r)
{
	switch (r->result.kind) {
	case RESULT_ANSWER:
	case RESULT_NO_VM:
		return check_answer(h, r);
	case RESULT_NO_NETWORK:
		return check_no_network(h, r);
	case RESULT_NO_DELEGATION:
		return check_no_delegation(h, r);
	case RESULT_ZONE:
		return check_zone(h, r);
	default:
		return NULL;
	}
}
