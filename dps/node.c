// SPDX-License-Identifier: Apache-2.0
#include "dps/node.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dps/judge.h"
#include "dps/mem.h"

struct node_call {
	struct node *n;
	struct errand errand;
	struct waiter *waiter;
	void (*done)(const struct reply *reply, const struct query_result *result, void *arg);
	void *arg;
};

static int64_t now_of(const struct node *n)
{
	return n->r.env.now(n->r.env.arg);
}

/* Roles */

static bool own(void *arg, const struct ask *ask, struct reply *out);

void node_init(struct node *n, const struct query_env *env, const struct query_config *config,
	       const struct delegation *root)
{
	struct query_env with_own = *env;

	memset(n, 0, sizeof(*n));
	with_own.own = own;
	with_own.own_arg = n;
	query_init(&n->r, &with_own, config);
	n->name = config->name;
	reference_anchor(&n->r.ref, root);
}

void node_free(struct node *n)
{
	query_free(&n->r);
	zone_free(n->root);
	memset(n, 0, sizeof(*n));
}

int node_add_authority(struct node *n, struct authority *a, const struct delegation *self)
{
	if (n->n_authorities == NODE_AUTHORITIES_MAX)
		return -ENOSPC;
	n->authorities[n->n_authorities++] = a;
	reference_anchor(&n->r.ref, self);
	return 0;
}

struct authority *node_find_authority(const struct node *n, const struct ask *ask)
{
	struct authority *deepest = NULL;

	for (size_t i = 0; i < n->n_authorities; i++)
		if (authority_covers(n->authorities[i], ask) &&
		    (!deepest || domain_depth(n->authorities[i]->domain) > domain_depth(deepest->domain)))
			deepest = n->authorities[i];
	return deepest;
}

int node_set_root(struct node *n, const struct signed_doc *doc, struct json_error *err)
{
	struct reference *ref = &n->r.ref;
	struct root_zone *zone;
	int rc = zone_open(doc, ref->root->d.keys, ref->root->d.n_keys, ref->root_serial, now_of(n), &zone,
			   err);

	n->is_root = true;
	if (rc)
		return rc;
	reference_root(ref, zone, true, now_of(n));
	zone_free(n->root);
	n->root = zone;
	return 0;
}

static void on_root(const struct query_result *result, void *arg)
{
	struct json_error err = { 0 };

	if (result->kind == RESULT_ROOT && result->doc)
		node_set_root(arg, result->doc, &err);
}

/* Tending */

/* Rarely, and several times in its life. */
static uint64_t pull_seconds(const struct root_zone *zone)
{
	uint64_t part = (uint64_t)(zone->expires - zone->issued) / NODE_ROOT_PART;

	return part < NODE_ROOT_SECONDS ? part : NODE_ROOT_SECONDS;
}

static void pull_root(struct node *n)
{
	const struct ask ask = { .kind = ASK_ROOT, .min_revision = n->root ? n->root->serial + 1 : 0 };
	uint64_t ticks = n->r.env.ticks(n->r.env.arg);

	if (n->root && ticks - n->pulled < pull_seconds(n->root) * 1000)
		return;
	n->pulled = ticks;
	query_ask_others(&n->r, &ask, NULL, on_root, n);
}

/* Our parent's word on our ranges and servers is ours. */
static void adopt(struct node *n, struct authority *a, const struct zone *zone)
{
	struct json_error err = { 0 };
	struct delegation d;

	if (!zone->doc.body || delegation_parse(zone->doc.body, zone->doc.len, &d, &err) ||
	    (ranges_equal(&d.ranges, &a->ranges) && ranges_equal(&d.ranges, &zone->d.ranges)))
		return;
	authority_resize(a, &d.ranges, now_of(n));
	reference_anchor(&n->r.ref, &d);
}

static void tend_authority(struct node *n, struct authority *a, uint64_t *adopted)
{
	struct ask ask = { .kind = ASK_ZONE };
	struct zone *zone = reference_find(&n->r.ref, a->domain);
	int64_t now = now_of(n);

	authority_renew(a, now);
	if (!*a->domain || !zone)
		return;
	if (*adopted != zone->version)
		adopt(n, a, zone);
	*adopted = zone->version;
	strcpy(ask.name, a->domain);
	if (!zone->doc.body || (zone->d.expires - now) * 2 < zone->d.expires - zone->d.issued)
		query_ahead(&n->r, &ask, true);
}

void node_tend(struct node *n)
{
	for (size_t i = 0; i < n->n_authorities; i++)
		tend_authority(n, n->authorities[i], &n->adopted[i]);
	if (n->is_root)
		pull_root(n);
}

/* A root server stops when its zone is over. */
static bool has_root(const struct node *n)
{
	return n->root && !delegation_times(n->root->issued, n->root->expires, now_of(n));
}

/* The writer's word that nobody is responsible, where that is so. */
static bool deny(struct node *n, const struct ask *ask, struct reply *out)
{
	char domain[DOMAIN_ROOM], child[DOMAIN_ROOM];
	const struct signed_doc *doc;

	if (!ask_domain(ask, domain))
		doc = zone_denial(n->root, ask->vnid, NULL);
	else
		doc = domain_toward(domain, "", child) ? zone_denial(n->root, 0, child) : NULL;
	out->status = REPLY_ANSWER;
	return doc && !signed_copy(doc, &out->doc);
}

/* What the resolver need not ask others about. */
static bool own(void *arg, const struct ask *ask, struct reply *out)
{
	struct node *n = arg;
	struct authority *a = node_find_authority(n, ask);

	if (a) {
		authority_answer(a, ask, now_of(n), out);
		return true;
	}
	if (!has_root(n))
		return false;
	if (ask->kind != ASK_ROOT)
		return deny(n, ask, out);
	if (n->root->serial < ask->min_revision) {
		reply_say(out, REPLY_BEHIND, "the root zone is at serial %llu",
			  (unsigned long long)n->root->serial);
		return true;
	}
	out->status = REPLY_ROOT;
	return !signed_copy(&n->root->doc, &out->doc);
}

/* Answering at once */

/* The proof for a zone below the one that the asker knows. */
static bool prove(struct node *n, const struct errand *errand, const char *domain, struct reply *out)
{
	return reference_chain(&n->r.ref, errand->zone, domain, now_of(n), out);
}

static void answer_as_authority(struct node *n, struct authority *a, const struct ask *ask,
				const struct errand *errand, struct reply *out)
{
	bool proven = prove(n, errand, a->domain, out);

	authority_answer(a, ask, now_of(n), out);
	if (proven || out->status != REPLY_REFERRAL || !domain_within(a->domain, errand->zone))
		return;
	reply_free(out);
	reply_say(out, REPLY_FAILED, "our own delegation is not known yet");
}

static bool answer_from_cache(struct node *n, const struct ask *ask, const struct errand *errand,
			      struct reply *out)
{
	const struct cached *entry = ask->kind != ASK_SERVICE ? cache_get(&n->r.cache, ask, now_of(n)) : NULL;

	if (!entry || !judge_still(&n->r.ref, ask, entry, now_of(n)) || !prove(n, errand, entry->zone, out))
		return false;
	out->status = REPLY_ANSWER;
	return !signed_copy(&entry->doc, &out->doc);
}

static bool refer(struct node *n, const struct ask *ask, const struct errand *errand, struct reply *out)
{
	const struct zone *closest = reference_closest(&n->r.ref, ask, now_of(n));

	if (!closest || !strcmp(closest->d.domain, errand->zone) || !prove(n, errand, closest->d.domain, out))
		return false;
	out->status = REPLY_REFERRAL;
	return true;
}

static void answer_as_root(struct node *n, const struct ask *ask, struct reply *out)
{
	if (!has_root(n))
		reply_say(out, REPLY_FAILED, "no root zone of today is here");
	else if (!own(n, ask, out))
		reply_say(out, REPLY_FAILED, "the root zone does not tell");
}

static bool was_here(const struct node *n, const struct errand *errand)
{
	for (size_t i = 0; i < errand->n_path; i++)
		if (!strcmp(errand->path[i], n->name))
			return true;
	return false;
}

void node_answer(struct node *n, const struct ask *ask, const struct errand *errand, struct reply *out)
{
	struct authority *a = node_find_authority(n, ask);

	if (was_here(n, errand)) {
		n->loops++;
		reply_say(out, REPLY_LOOP, "the question has been here");
	} else if (a) {
		answer_as_authority(n, a, ask, errand, out);
	} else if (ask->kind == ASK_ROOT && n->is_root) {
		answer_as_root(n, ask, out);
	} else if (!answer_from_cache(n, ask, errand, out) && !refer(n, ask, errand, out)) {
		if (n->is_root && !*errand->zone)
			answer_as_root(n, ask, out);
		else
			reply_say(out, REPLY_NOT_MINE, "not responsible for '%.80s'", errand->zone);
	}
}

/* Finding out */

static void make_reply(struct node *n, const struct errand *errand, const struct query_result *result,
		       struct reply *out)
{
	switch (result->kind) {
	case RESULT_FAILED:
		reply_say(out, result->reason == QUERY_BEHIND ? REPLY_BEHIND : REPLY_FAILED, "%s",
			  query_reason_text(result->reason));
		return;
	case RESULT_ROOT:
		out->status = REPLY_ROOT;
		break;
	case RESULT_ZONE:
		if (prove(n, errand, result->zone, out) && out->n_chain)
			out->status = REPLY_REFERRAL;
		else
			reply_say(out, REPLY_FAILED, "the delegation itself is not known yet");
		return;
	default:
		out->status = REPLY_ANSWER;
		prove(n, errand, result->zone, out);
	}
	if (!result->doc || signed_copy(result->doc, &out->doc))
		reply_say(out, REPLY_FAILED, "no memory");
}

static void on_result(const struct query_result *result, void *arg)
{
	struct node_call *call = arg;
	struct reply reply = { 0 };

	make_reply(call->n, &call->errand, result, &reply);
	call->done(&reply, result, call->arg);
	reply_free(&reply);
	free(call);
}

static struct node_call *find_out(struct node *n, const struct ask *ask, const struct errand *errand,
				  void (*done)(const struct reply *, const struct query_result *, void *),
				  void *arg)
{
	struct node_call *call = mem_alloc(sizeof(*call));
	struct waiter *waiter;

	*call = (struct node_call){ .n = n, .errand = *errand, .done = done, .arg = arg };
	waiter = query_ask(&n->r, ask, errand, on_result, call);
	if (!waiter)
		return NULL;
	call->waiter = waiter;
	return call;
}

struct node_call *node_ask(struct node *n, const struct ask *ask, const struct errand *errand,
			   void (*done)(const struct reply *, const struct query_result *, void *), void *arg)
{
	struct reply reply = { 0 };

	if (errand->recursive && ask->kind != ASK_SERVICE && !was_here(n, errand))
		return find_out(n, ask, errand, done, arg);
	node_answer(n, ask, errand, &reply);
	done(&reply, NULL, arg);
	reply_free(&reply);
	return NULL;
}

void node_cancel(struct node_call *call)
{
	query_cancel(&call->n->r, call->waiter);
	free(call);
}
