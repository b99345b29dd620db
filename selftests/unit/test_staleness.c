// SPDX-License-Identifier: Apache-2.0
/*
 * The rules of docs/staleness.md against a model of what origins and
 * destinations do: origins keep answers as long as they like, destinations
 * hold packets to the check's steps 2 to 5, and random commits go on beneath
 * them. What may pass and which services it needs is worked out by a second,
 * naive evaluation here, by names and without any of resolve.c.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dps_world.h"
#include "lib/cleanup.h"

#define NETWORKS 3
#define VMS 4
#define SEEDS 20
#define STEPS 260
#define POLICIES 7

static const char *const networks[NETWORKS] = { "blue", "green", "red" };
static const char *const services[] = { "firewall", "ips", "ssl" };
static const struct flow_box packets[] = {
	{ 6, { 4000, 4000 }, { 80, 80 } },   { 6, { 1000, 1000 }, { 85, 85 } },
	{ 6, { 1000, 1000 }, { 443, 443 } }, { 17, { 53, 53 }, { 443, 443 } },
	{ 1, { 0, 65535 }, { 0, 65535 } },
};
static const char *const matches[] = {
	"",
	"'proto':'tcp',",
	"'proto':'tcp','to_port':80,",
	"'proto':'tcp','to_port':'80-90',",
	"'to_port':443,",
	"'from_port':'900-1100',",
	"'proto':'udp',",
	"'proto':'icmp',",
	"",
	"",
};

static unsigned int seed;

static unsigned int any(unsigned int below)
{
	return (unsigned int)rand_r(&seed) % below;
}

/* The naive evaluation */

static bool is_named(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (!strcmp(names->v[i], name))
			return true;
	return false;
}

static bool is_member(struct world *w, const struct endpoint *ep, const char *group)
{
	struct object *obj = model_find_in(&w->m, KIND_GROUP, ep->o.spec->network, group);

	return is_named(&ep->o.spec->u.endpoint.groups, group) ||
	       (obj && is_named(&obj->spec->u.group.endpoints, ep->o.spec->name));
}

static bool is_meant(struct world *w, const struct object *policy, const struct selector *sel,
		     const struct endpoint *ep)
{
	const char *network = sel->network ? sel->network : policy->spec->network;

	if (sel->any)
		return true;
	if (strcmp(network, ep->o.spec->network))
		return false;
	if (!sel->endpoints.n && !sel->groups.n)
		return true;
	for (size_t i = 0; i < sel->groups.n; i++)
		if (is_member(w, ep, sel->groups.v[i]))
			return true;
	return is_named(&sel->endpoints, ep->o.spec->name);
}

static bool is_before(const struct object *a, const struct object *b)
{
	const struct policy_spec *p = &a->spec->u.policy, *q = &b->spec->u.policy;

	if (p->priority != q->priority)
		return p->priority > q->priority;
	if (p->allow != q->allow)
		return !p->allow;
	return strcmp(a->spec->name, b->spec->name) < 0;
}

struct decision {
	bool allow;
	uint32_t policy;
	char path[256];
	int dscp;
};

static void add_to_path(char *path, const char *service)
{
	char token[64];

	snprintf(token, sizeof(token), "%s,", service);
	if (!strstr(path, token))
		strcat(path, token);
}

/* One network's word. */
static void judge(struct world *w, const struct network *net, const struct endpoint *from,
		  const struct endpoint *to, const struct flow_box *packet, struct decision *out)
{
	const struct object *hits[64], *obj;
	size_t n = 0;

	for (obj = net->policies; obj; obj = obj->next) {
		const struct policy_spec *p = &obj->spec->u.policy;

		if (obj != &net->fallback->o && is_meant(w, obj, &p->from, from) &&
		    is_meant(w, obj, &p->to, to) && flow_contains(&p->match, packet))
			hits[n++] = obj;
	}
	for (size_t i = 0; i < n; i++)
		for (size_t j = i + 1; j < n; j++)
			if (is_before(hits[j], hits[i])) {
				obj = hits[i];
				hits[i] = hits[j];
				hits[j] = obj;
			}
	out->policy = net->fallback->o.id;
	out->allow = from->o.net == to->o.net && net->o.spec->u.network.allow;
	if (n) {
		out->policy = hits[0]->id;
		out->allow = hits[0]->spec->u.policy.allow;
	}
	for (size_t i = 0; out->allow && i < n; i++) {
		const struct policy_spec *p = &hits[i]->spec->u.policy;

		for (size_t j = 0; p->allow && j < p->path.n; j++)
			add_to_path(out->path, p->path.v[j]);
		if (p->allow && out->dscp < 0)
			out->dscp = p->dscp;
		if (p->allow && p->final)
			break;
	}
}

static bool names_network(const struct network *net, const struct network *other)
{
	for (const struct object *obj = net->policies; obj; obj = obj->next) {
		const struct policy_spec *p = &obj->spec->u.policy;

		if ((p->from.network && !strcmp(p->from.network, other->o.key)) ||
		    (p->to.network && !strcmp(p->to.network, other->o.key)))
			return true;
	}
	return false;
}

static struct decision decide(struct world *w, const struct endpoint *from, const struct endpoint *to,
			      const struct flow_box *packet)
{
	struct network *source = from->o.net, *destination = to->o.net;
	struct decision out = { .dscp = -1 }, none = { .dscp = -1 };

	if (source != destination && !names_network(source, destination) &&
	    !names_network(destination, source))
		return none;
	judge(w, source, from, to, packet, &out);
	if (source == destination || !out.allow)
		return out;
	judge(w, destination, from, to, packet, &out);
	return out;
}

/* Origins and destinations */

struct flow {
	uint32_t source; /* endpoint id; 0: nothing is cached */
	struct flow_box packet;
	struct ip_addr address;
	uint32_t vnid, policy;
	uint64_t sequence;
	const struct host *host;
	struct decision decision;
};

static struct flow flows[NETWORKS * VMS * NETWORKS * VMS * ARRAY_SIZE(packets)];

static struct endpoint *vm(struct world *w, unsigned int i)
{
	char key[32];

	snprintf(key, sizeof(key), "%s/vm%u", networks[i / VMS], i % VMS);
	return world_endpoint(w, key);
}

static bool same(const struct decision *a, const struct decision *b)
{
	return a->allow == b->allow && (!a->allow || !strcmp(a->path, b->path));
}

enum judgement { PASSES, STALE, REFUSED, UNKNOWN };

/* Steps 1 and 3 to 5 of the check, over the numbers that a watch brings. */
static enum judgement check(struct world *w, const struct flow *f)
{
	const struct network *net = model_network(&w->m, f->vnid);
	const struct endpoint *to = model_at(&w->m, f->vnid, &f->address);
	const struct policy *p = model_policy(&w->m, f->policy);

	if (!to || !p)
		return UNKNOWN;
	if (f->sequence < net->o.floor || f->sequence < p->o.floor || f->sequence < to->o.floor)
		return REFUSED;
	return f->sequence < p->o.sequence || f->sequence < to->o.sequence ? STALE : PASSES;
}

/* Asks, compares the answer with the naive one and caches it. */
static void ask(struct world *w, struct flow *f, const struct endpoint *from, const struct endpoint *to,
		const struct flow_box *packet, unsigned int run)
{
	struct decision truth = decide(w, from, to, packet), got = { .dscp = -1 };
	struct question q = { .source = from->o.id, .to = to->o.key, .packet = *packet };
	struct answer a;

	resolve(&w->m, &q, &a);
	for (size_t i = 0; i < a.outcome.n_path; i++)
		add_to_path(got.path, a.outcome.path[i]);
	got.allow = a.outcome.allow;
	got.policy = a.outcome.policy->o.id;
	got.dscp = a.outcome.dscp;
	cr_assert(same(&truth, &got), "seed %u: %s -> %s: %d/%s, by names %d/%s", run, from->o.key, to->o.key,
		  got.allow, got.path, truth.allow, truth.path);
	if (got.allow)
		cr_assert_eq(got.policy, truth.policy, "seed %u", run);
	if (got.allow)
		cr_assert_eq(got.dscp, truth.dscp, "seed %u", run);
	*f = (struct flow){ .packet = *packet, .decision = got };
	if (a.verdict != VERDICT_ALLOW)
		return;
	f->source = from->o.id;
	f->address = a.address;
	f->vnid = a.vnid;
	f->policy = got.policy;
	f->sequence = a.sequence;
	f->host = to->place.host;
	cr_assert_eq(check(w, f), PASSES, "seed %u: a fresh answer does not pass", run);
}

/* What the origin sends by what it keeps. */
static void send_packet(struct world *w, struct flow *f, unsigned int run, unsigned int step)
{
	const struct endpoint *from = model_endpoint(&w->m, f->source), *to;
	enum judgement judgement = check(w, f);
	struct decision truth;

	if (!from) {
		f->source = 0; /* its port is gone, and what was kept for it */
		return;
	}
	if (judgement == UNKNOWN || judgement == REFUSED)
		return;
	to = model_at(&w->m, f->vnid, &f->address);
	truth = decide(w, from, to, &f->packet);
	cr_assert(same(&truth, &f->decision),
		  "seed %u step %u: %s -> %s accepted with %d/%s of policy %u, revision %lu, now %d/%s", run,
		  step, from->o.key, to->o.key, f->decision.allow, f->decision.path, f->policy, f->sequence,
		  truth.allow, truth.path);
	if (judgement == PASSES)
		cr_assert(truth.policy == f->policy && truth.dscp == f->decision.dscp &&
				  to->place.host == f->host,
			  "seed %u step %u: %s -> %s has changed and is not found stale", run, step,
			  from->o.key, to->o.key);
}

static void play_flows(struct world *w, unsigned int run, unsigned int step)
{
	struct flow *f = flows;

	for (unsigned int i = 0; i < NETWORKS * VMS; i++)
		for (unsigned int j = 0; j < NETWORKS * VMS; j++)
			for (size_t p = 0; p < ARRAY_SIZE(packets); p++, f++) {
				const struct endpoint *from = vm(w, i), *to = vm(w, j);

				if (f->source)
					send_packet(w, f, run, step);
				if (i != j && from && to && !any(12))
					ask(w, f, from, to, &packets[p], run);
			}
}

/* The rules of a pair decide as the single questions do. */
static void play_rules(struct world *w, unsigned int run)
{
	const struct endpoint *from = vm(w, any(NETWORKS * VMS)), *to = vm(w, any(NETWORKS * VMS));
	struct question q = { .packet = flow_all };
	struct answer a;

	if (!from || !to || from == to)
		return;
	q.source = from->o.id;
	q.to = to->o.key;
	resolve(&w->m, &q, &a);
	for (size_t p = 0; p < ARRAY_SIZE(packets); p++) {
		struct decision truth = decide(w, from, to, &packets[p]), got = { .dscp = -1 };
		const struct outcome *outcome = &a.outcome;

		if (a.scope && !a.n_rules)
			return;
		for (size_t r = 0; r < a.n_rules; r++) {
			outcome = &a.rules[r].outcome;
			if (flow_contains(&a.rules[r].match, &packets[p]))
				break;
		}
		for (size_t i = 0; i < outcome->n_path; i++)
			add_to_path(got.path, outcome->path[i]);
		got.allow = outcome->allow;
		cr_assert(same(&truth, &got), "seed %u: rules of %s -> %s, packet %zu: %d/%s for %d/%s", run,
			  from->o.key, to->o.key, p, got.allow, got.path, truth.allow, truth.path);
	}
}

/* Random commits */

static const char *selector(char *out, unsigned int net, bool may_leave)
{
	unsigned int other = any(NETWORKS);
	char network[40] = "";

	if (may_leave && other != net && !any(2))
		snprintf(network, sizeof(network), ",'network':'%s'", networks[other]);
	switch (any(5)) {
	case 0:
		return strcpy(out, "'any'");
	case 1:
		snprintf(out, 128, "{'endpoints':['vm%u','vm%u']%s}", any(VMS / 2), VMS / 2 + any(VMS / 2),
			 network);
		return out;
	case 2:
		snprintf(out, 128, "{'groups':['g%u']%s}", any(3), network);
		return out;
	case 3:
		snprintf(out, 128, "{'endpoints':['vm%u'],'groups':['g%u']%s}", any(VMS), any(3), network);
		return out;
	default:
		snprintf(out, 128, "{'network':'%s'}", *network ? networks[other] : networks[net]);
		return out;
	}
}

static void change_policy(struct world *w)
{
	unsigned int net = any(NETWORKS), side = any(3);
	char from[128], to[128], path[64] = "";
	bool allow = any(3);

	if (allow && any(2))
		snprintf(path, sizeof(path), "'path':['%s'],", services[any(3)]);
	world_apply(w,
		    "[{'kind':'policy','network':'%s','name':'p%u','priority':%u,'from':%s,"
		    "'to':%s,%s%s%s%s'action':'%s'}]",
		    networks[net], any(POLICIES), any(4), selector(from, net, side == 1),
		    selector(to, net, side == 2), matches[any(ARRAY_SIZE(matches))], path,
		    any(5) ? "" : "'final':true,", any(4) ? "" : "'qos':{'dscp':46},",
		    allow ? "allow" : "deny");
}

static void set_item(cJSON *json, const char *field, cJSON *value)
{
	cJSON_DeleteItemFromObject(json, field);
	cJSON_AddItemToObject(json, field, value);
}

/* One policy, changed in one thing only. */
static void tweak_policy(struct world *w)
{
	char key[32];
	struct policy *p;
	cJSON *json;
	char *text;

	snprintf(key, sizeof(key), "%s/p%u", networks[any(NETWORKS)], any(POLICIES));
	p = world_policy(w, key);
	if (!p)
		return;
	json = cJSON_Parse(p->o.spec->body);
	switch (any(4)) {
	case 0:
		set_item(json, "priority", cJSON_CreateNumber(any(4)));
		break;
	case 1:
		set_item(json, "final", cJSON_CreateBool(any(2)));
		break;
	case 2:
		set_item(json, "action", cJSON_CreateString(any(2) ? "allow" : "deny"));
		cJSON_DeleteItemFromObject(json, "path");
		break;
	default:
		set_item(json, "qos", cJSON_CreateObject());
		cJSON_AddNumberToObject(cJSON_GetObjectItem(json, "qos"), "dscp", any(4));
	}
	text = cJSON_PrintUnformatted(json);
	world_apply(w, "[%s]", text);
	free(text);
	cJSON_Delete(json);
}

static const char *groups_text(char *out)
{
	*out = '\0';
	for (unsigned int g = 0; g < 3; g++)
		if (!any(3))
			sprintf(out + strlen(out), "%s'g%u'", *out ? "," : "", g);
	return out;
}

static void change_endpoint(struct world *w, unsigned int i)
{
	char groups[64];

	world_apply(w,
		    "[{'kind':'endpoint','network':'%s','name':'vm%u','mac':'02:00:00:00:00:%02u',"
		    "'addresses':['10.%u.0.%u'],'groups':[%s]}]",
		    networks[i / VMS], i % VMS, i % VMS, i / VMS, 1 + (any(3) ? i % VMS : any(VMS + 2)),
		    groups_text(groups));
}

/* Deleted and made again: the same name and address, another id and other groups. */
static void renew_endpoint(struct world *w, unsigned int i)
{
	const struct endpoint *ep = vm(w, i);

	if (ep)
		world_delete(w, "endpoint", ep->o.key);
	memset(&w->err, 0, sizeof(w->err));
	if (vm(w, i))
		return;
	change_endpoint(w, i);
	if (vm(w, i))
		world_place(w, vm(w, i)->o.key, "h2", "claim");
	memset(&w->err, 0, sizeof(w->err));
}

static void change_group(struct world *w)
{
	world_apply(w, "[{'kind':'group','network':'%s','name':'g%u','endpoints':['vm%u']}]",
		    networks[any(NETWORKS)], any(3), any(VMS));
}

static void change_place(struct world *w)
{
	const struct endpoint *ep = vm(w, any(NETWORKS * VMS));
	char host[8];

	snprintf(host, sizeof(host), "h%u", any(3));
	if (ep)
		world_place(w, ep->o.key, any(6) ? host : NULL, "claim");
}

static void delete_something(struct world *w)
{
	static const char *const kinds[] = { "policy", "policy", "endpoint", "group" };
	unsigned int kind = any(4);
	char key[32];

	snprintf(key, sizeof(key), "%s/%s%u", networks[any(NETWORKS)],
		 kind < 2    ? "p"
		 : kind == 2 ? "vm"
			     : "g",
		 any(kind < 2	 ? POLICIES
		     : kind == 2 ? VMS
				 : 3));
	world_delete(w, kinds[kind], key);
}

static void change_network(struct world *w)
{
	world_apply(w, "[{'kind':'network','name':'%s','default':'%s'}]", networks[any(NETWORKS)],
		    any(2) ? "allow" : "deny");
}

/* Several of everything in one commit: endpoints that change groups while policies change. */
static void change_together(struct world *w)
{
	unsigned int net = any(NETWORKS), v = any(VMS);
	char from[128], to[128], groups[64];

	world_apply(w,
		    "[{'kind':'policy','network':'%s','name':'p%u','from':%s,'to':%s,%s"
		    "'priority':%u,'action':'%s'},"
		    "{'kind':'policy','network':'%s','name':'p%u','from':%s,'to':'any','priority':2,"
		    "'action':'allow','path':['ips']},"
		    "{'kind':'endpoint','network':'%s','name':'vm%u','mac':'02:00:00:00:00:%02u',"
		    "'addresses':['10.%u.0.%u'],'groups':[%s]}]",
		    networks[net], any(3), selector(from, net, false), selector(to, net, true),
		    matches[any(ARRAY_SIZE(matches))], any(4), any(3) ? "allow" : "deny", networks[net],
		    3 + any(3), "{'groups':['g1']}", networks[net], v, v, net, 1 + v, groups_text(groups));
}

static void commit_something(struct world *w)
{
	unsigned int what = any(24);
	char *before = world_dump(w), *after;

	memset(&w->err, 0, sizeof(w->err));
	if (what < 8)
		change_policy(w);
	else if (what < 10)
		change_endpoint(w, any(NETWORKS * VMS));
	else if (what < 12)
		change_group(w);
	else if (what < 14)
		change_place(w);
	else if (what < 17)
		delete_something(w);
	else if (what < 18)
		change_network(w);
	else if (what < 20)
		change_together(w);
	else if (what < 22)
		tweak_policy(w);
	else
		renew_endpoint(w, any(NETWORKS * VMS));
	if (*w->err.text) {
		after = world_dump(w);
		cr_assert_str_eq(before, after, "a refused commit left something behind: %s", w->err.text);
		free(after);
	}
	free(before);
}

static void play(unsigned int run)
{
	struct world w;

	seed = run;
	memset(flows, 0, sizeof(flows));
	world_init(&w);
	cr_assert_eq(world_apply(&w, "[{'kind':'network','name':'blue'},"
				     "{'kind':'network','name':'green'},"
				     "{'kind':'network','name':'red','default':'deny'},"
				     "{'kind':'host','name':'h0','addresses':['192.0.2.1']},"
				     "{'kind':'host','name':'h1','addresses':['192.0.2.2']},"
				     "{'kind':'host','name':'h2','addresses':['192.0.2.3']},"
				     "{'kind':'service','name':'firewall'},"
				     "{'kind':'service','name':'ips'},{'kind':'service','name':'ssl'}]"),
		     0);
	for (unsigned int i = 0; i < NETWORKS * VMS; i++) {
		change_endpoint(&w, i);
		if (vm(&w, i))
			world_place(&w, vm(&w, i)->o.key, "h0", "claim");
	}
	for (unsigned int step = 0; step < STEPS; step++) {
		commit_something(&w);
		play_flows(&w, run, step);
		play_rules(&w, run);
	}
	world_free(&w);
}

Test(staleness, R15_R17_R20_random_commits, .timeout = 120)
{
	const char *text = getenv("DOVE_SEED");
	unsigned int first = text ? (unsigned int)atoi(text) : (unsigned int)time(NULL);

	printf("staleness: DOVE_SEED=%u, and %d after it\n", first, SEEDS - 1);
	for (unsigned int i = 0; i < SEEDS; i++)
		play(first + i);
}
