// SPDX-License-Identifier: Apache-2.0
/*
 * The rules of docs/staleness.md against a model of what origins and
 * destinations do: origins keep answers as long as they like, destinations
 * hold packets to the check's steps 2 to 5, and random commits go on beneath
 * them. What may pass and which services it needs is worked out by a second,
 * naive evaluation here, by names and without any of resolve.c.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "dps_naive.h"
#include "dps_random.h"
#include "lib/cleanup.h"

#define SEEDS 20
#define STEPS 260

static const struct flow_box packets[] = {
	{ 6, { 4000, 4000 }, { 80, 80 } },   { 6, { 1000, 1000 }, { 85, 85 } },
	{ 6, { 1000, 1000 }, { 443, 443 } }, { 17, { 53, 53 }, { 443, 443 } },
	{ 6, { 80, 80 }, { 4000, 4000 } },   { 1, { 0, 65535 }, { 0, 65535 } },
};

/* Origins and destinations */

struct flow {
	uint32_t source; /* endpoint id; 0: nothing is cached */
	struct flow_box packet;
	struct ip_addr address;
	uint32_t vnid, policy;
	uint64_t sequence;
	const struct host *host;
	struct ip_addr underlay; /* the host's address */
	struct decision decision;
	bool replies; /* denied, but not to replies: then it stands for these */
};

static struct flow flows[PARTIES * (PARTIES + OUTSIDES) * ARRAY_SIZE(packets)];

enum judgement { PASSES, STALE, REFUSED, UNKNOWN };

/*
 * Whose the packet is at the host that it goes to: a local endpoint's; else
 * what is beyond an edge that is there; else an endpoint's that has moved.
 */
static const struct endpoint *arrive(struct world *w, const struct flow *f)
{
	const struct network *net = model_network(&w->m, f->vnid);
	const struct endpoint *at = model_at(&w->m, f->vnid, &f->address), *beyond;

	if (at && at->place.host == f->host)
		return at;
	beyond = naive_beyond(w, net, &f->address);
	return beyond && f->host && model_host_of(&w->m, beyond) == f->host ? beyond : at;
}

/* Steps 1 and 3 to 5 of the check, over the numbers that a watch brings. */
static enum judgement check(struct world *w, const struct flow *f)
{
	const struct network *net = model_network(&w->m, f->vnid);
	const struct endpoint *to = arrive(w, f);
	const struct policy *p = model_policy(&w->m, f->policy);

	if (!to || !p)
		return UNKNOWN;
	if (f->sequence < net->o.floor || f->sequence < p->o.floor || f->sequence < to->o.floor)
		return REFUSED;
	return f->sequence < p->o.sequence || f->sequence < to->o.sequence ? STALE : PASSES;
}

/* Whether what answers a flow may pass, and on what terms. */
static void expect_replies(struct world *w, const struct endpoint *from, const struct endpoint *to,
			   const struct decision *truth, const struct outcome *got, const char *path,
			   unsigned int run)
{
	bool is_answer = false;

	for (size_t p = 0; p < ARRAY_SIZE(packets); p++)
		is_answer |= naive_decide(w, to, from, &packets[p]).remember;
	if (got->allow)
		cr_assert_eq(got->reply, truth->remember, "seed %u: %s -> %s: reply", run, from->o.key,
			     to->o.key);
	else if (got->replies)
		cr_assert(!truth->denied && !strcmp(path, truth->path) &&
				  got->policy == to->o.net->fallback && naive_may_reply(w, to, from),
			  "seed %u: %s -> %s lets replies pass", run, from->o.key, to->o.key);
	else
		cr_assert(truth->denied || !is_answer, "seed %u: %s -> %s lets no replies pass", run,
			  from->o.key, to->o.key);
}

/* What was found, against the naive evaluation; returned in its terms. */
static struct decision compare(struct world *w, const struct endpoint *from, const struct endpoint *to,
			       const struct flow_box *packet, const struct outcome *outcome, unsigned int run)
{
	struct decision truth = naive_decide(w, from, to, packet), got = { .dscp = outcome->dscp };

	for (size_t i = 0; i < outcome->n_path; i++)
		naive_add(got.path, outcome->path[i]);
	got.allow = outcome->allow;
	got.reject = outcome->reject;
	got.remember = outcome->reply;
	got.policy = outcome->policy->o.id;
	cr_assert(naive_same(&truth, &got), "seed %u: %s -> %s: %d/%s, by names %d/%s", run, from->o.key,
		  to->o.key, got.allow, got.path, truth.allow, truth.path);
	if (got.allow)
		cr_assert(got.policy == truth.policy && got.dscp == truth.dscp, "seed %u", run);
	cr_assert_eq(got.reject, truth.reject, "seed %u: %s -> %s: reject", run, from->o.key, to->o.key);
	expect_replies(w, from, to, &truth, outcome, got.path, run);
	return got;
}

static struct ip_addr underlay_of(const struct host *host)
{
	return host ? host->o.spec->u.host.addresses[0] : (struct ip_addr){ 0 };
}

/* Asks, compares the answer with the naive one and caches it. */
static void ask(struct world *w, struct flow *f, const struct endpoint *from, const struct endpoint *to,
		const struct question *q, unsigned int run)
{
	struct answer a;

	resolve(&w->m, q, &a);
	cr_assert_eq(a.destination, to, "seed %u: %s asks for %s", run, from->o.key, to->o.key);
	cr_assert_eq(a.host, model_host_of(&w->m, to));
	*f = (struct flow){ .packet = q->packet, .replies = a.outcome.replies };
	f->decision = compare(w, from, to, &q->packet, &a.outcome, run);
	if ((!a.outcome.allow && !a.outcome.replies) || (to->o.kind == KIND_EXTERNAL && !a.host))
		return;
	f->source = from->o.id;
	f->address = a.address;
	f->vnid = a.vnid;
	f->policy = f->decision.policy;
	f->sequence = a.sequence;
	f->host = a.host;
	f->underlay = underlay_of(a.host);
}

static void expect_nobody(struct world *w, const struct endpoint *from, const struct question *q,
			  unsigned int run)
{
	bool gateway = q->by_address && !naive_find(w, from->o.net, &q->address) &&
		       naive_is_gateway(w, from->o.net, &q->address);
	struct answer a;

	resolve(&w->m, q, &a);
	cr_assert_eq(a.verdict, gateway ? VERDICT_GATEWAY : VERDICT_NO_ENDPOINT, "seed %u: %s", run,
		     resolve_verdict_name(a.verdict));
}

static bool may_meet(const struct endpoint *from, const struct endpoint *to)
{
	return from->o.net == to->o.net || (from->o.kind == KIND_ENDPOINT && to->o.kind == KIND_ENDPOINT);
}

/* By name or, of the same network, by link-local address; external networks by name or by id. */
static void ask_party(struct world *w, struct flow *f, const struct endpoint *from, const struct endpoint *to,
		      const struct flow_box *packet, unsigned int run)
{
	struct question q = { .source = from->o.id, .to = to->o.key, .packet = *packet };

	if (from->o.net == to->o.net && to->o.kind == KIND_ENDPOINT && !random_any(3)) {
		q.by_address = true;
		q.address = ip_link_local(&to->o.spec->u.endpoint.mac);
	}
	if (!random_any(3))
		q.destination = to->o.id;
	if (may_meet(from, to))
		ask(w, f, from, to, &q, run);
	else
		expect_nobody(w, from, &q, run);
	if (to->o.kind == KIND_EXTERNAL)
		f->source = 0; /* no address to send to: see ask_outside() */
	if (f->source)
		cr_assert_eq(check(w, f), PASSES, "seed %u: a fresh answer does not pass", run);
}

/* By an address, or as a host does that has found in its map whose that is. */
static void ask_outside(struct world *w, struct flow *f, const struct endpoint *from, unsigned int i,
			const struct flow_box *packet, unsigned int run)
{
	struct question q = { .source = from->o.id, .by_address = true, .packet = *packet };
	const struct endpoint *to;

	q.address = random_outside(i);
	to = naive_find(w, from->o.net, &q.address);
	if (to == from)
		return;
	if (!to || !may_meet(from, to)) {
		expect_nobody(w, from, &q, run);
		return;
	}
	if (to->o.kind == KIND_EXTERNAL && !random_any(2)) {
		q.by_address = false;
		q.destination = to->o.id;
	}
	ask(w, f, from, to, &q, run);
	f->address = q.address;
	if (f->source)
		cr_assert_eq(check(w, f), PASSES, "seed %u: a fresh answer does not pass", run);
}

/* Delivered: it may be, by today's policies. */
static bool may_pass(const struct flow *f, const struct decision *truth)
{
	if (f->replies)
		return !truth->denied && !strcmp(truth->path, f->decision.path);
	return naive_same(truth, &f->decision) && (!f->decision.remember || truth->reply);
}

/* Is it still the one that the sender means? Link-local addresses mean nobody elsewhere. */
static bool is_meant(struct world *w, const struct flow *f, const struct endpoint *from,
		     const struct endpoint *to)
{
	return ip_is_link_local(&f->address) ? from->o.net == to->o.net
					     : naive_find(w, from->o.net, &f->address) == to;
}

/* Delivered, and not found stale: nothing of it has changed. */
static bool is_current(const struct flow *f, const struct decision *truth, const struct host *host)
{
	struct ip_addr underlay = underlay_of(host);

	if (host != f->host || !ip_equal(&underlay, &f->underlay))
		return false;
	if (f->replies)
		return !truth->allow;
	return truth->policy == f->policy && truth->dscp == f->decision.dscp &&
	       truth->remember == f->decision.remember;
}

/* What the origin sends by what it keeps. */
static void send_packet(struct world *w, struct flow *f, unsigned int run, unsigned int step)
{
	const struct endpoint *from = model_party(&w->m, f->source), *to;
	enum judgement judgement = check(w, f);
	struct decision truth;

	if (!from) {
		f->source = 0; /* its port is gone, and what was kept for it */
		return;
	}
	if (judgement == UNKNOWN || judgement == REFUSED)
		return;
	to = arrive(w, f);
	truth = naive_decide(w, from, to, &f->packet);
	cr_assert(may_pass(f, &truth),
		  "seed %u step %u: %s -> %s accepted with %d/%s of policy %u, revision %lu, replies %d/%d, "
		  "now %d/%s, %d/%d",
		  run, step, from->o.key, to->o.key, f->decision.allow, f->decision.path, f->policy,
		  f->sequence, f->decision.remember, f->replies, truth.allow, truth.path, truth.reply,
		  !truth.denied);
	if (judgement == PASSES)
		cr_assert(is_current(f, &truth, model_host_of(&w->m, to)) && is_meant(w, f, from, to),
			  "seed %u step %u: %s -> %s (policy %u, replies %d) has changed and is not found "
			  "stale",
			  run, step, from->o.key, to->o.key, f->policy, f->replies);
}

static void play_flow(struct world *w, struct flow *f, unsigned int i, unsigned int j,
		      const struct flow_box *packet, unsigned int run)
{
	const struct endpoint *from = random_party(w, i), *to = j < PARTIES ? random_party(w, j) : NULL;

	if (!from || random_any(12))
		return;
	if (j >= PARTIES)
		ask_outside(w, f, from, j - PARTIES, packet, run);
	else if (to && i != j)
		ask_party(w, f, from, to, packet, run);
}

static void play_flows(struct world *w, unsigned int run, unsigned int step)
{
	struct flow *f = flows;

	for (unsigned int i = 0; i < PARTIES; i++)
		for (unsigned int j = 0; j < PARTIES + OUTSIDES; j++)
			for (size_t p = 0; p < ARRAY_SIZE(packets); p++, f++) {
				if (f->source)
					send_packet(w, f, run, step);
				play_flow(w, f, i, j, &packets[p], run);
			}
}

static const struct outcome *find_rule(const struct answer *a, const struct flow_box *packet)
{
	for (size_t i = 0; i < a->n_rules; i++)
		if (flow_contains(&a->rules[i].match, packet))
			return &a->rules[i].outcome;
	return &a->outcome;
}

/* The rules of a pair decide as the single questions do. */
static void play_rules(struct world *w, unsigned int run)
{
	const struct endpoint *from = random_party(w, random_any(PARTIES));
	const struct endpoint *to = random_party(w, random_any(PARTIES));
	struct question q = { .packet = flow_all };
	struct answer a;

	if (!from || !to || from == to || !may_meet(from, to))
		return;
	q.source = from->o.id;
	q.to = to->o.key;
	resolve(&w->m, &q, &a);
	for (size_t p = 0; p < ARRAY_SIZE(packets); p++)
		if (!a.scope || a.n_rules)
			compare(w, from, to, &packets[p], find_rule(&a, &packets[p]), run);
}

static void play(unsigned int run)
{
	struct world w;

	memset(flows, 0, sizeof(flows));
	random_world(&w, run);
	for (unsigned int step = 0; step < STEPS; step++) {
		random_commit(&w);
		play_flows(&w, run, step);
		play_rules(&w, run);
	}
	world_free(&w);
}

Test(staleness, R15_R17_R20_random_commits, .timeout = 120)
{
	unsigned int first = random_seeds("staleness", SEEDS);

	for (unsigned int i = 0; i < SEEDS; i++)
		play(first + i);
}
