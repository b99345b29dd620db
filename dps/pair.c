// SPDX-License-Identifier: Apache-2.0
#include "dps/pair.h"

#include <string.h>

#include "dps/order.h"

static const struct policy_spec *spec_of(const struct policy *p)
{
	return &p->o.spec->u.policy;
}

/* Which policies concern a pair */

static bool selects(const struct selector *sel, const struct endpoint *ep)
{
	if (sel->any)
		return true;
	if (sel->net != ep->o.net)
		return false;
	if (!sel->ids.n && !sel->group_ids.n)
		return !model_is_external(ep);
	return idset_has(&sel->ids, ep->o.id) || idset_meets(&sel->group_ids, &ep->groups);
}

bool pair_adds(const struct policy_spec *p)
{
	return p->allow && (p->path.n || p->final || p->dscp >= 0 || p->rate_mbps || p->class);
}

/*
 * Below a policy that matches every packet only those count that add services
 * or quality to what is allowed above; a denial in between adds nothing and
 * hinders nothing.
 */
static void collect(struct half *half, const struct endpoint *from, const struct endpoint *to)
{
	bool decided = false, allowed = false, over = false;
	struct ptrs candidates = { 0 };

	order_candidates(half->net, from, to, &candidates);
	for (size_t i = 0; !over && i < candidates.n; i++) {
		const struct policy_spec *p = spec_of(candidates.v[i]);

		if (!selects(&p->from, from) || !selects(&p->to, to))
			continue;
		if (decided && !pair_adds(p))
			continue;
		ptrs_push(&half->policies, candidates.v[i]);
		allowed |= p->allow;
		decided |= flow_is_all(&p->match);
		over = flow_is_all(&p->match) && (!allowed || (p->allow && p->final));
	}
	ptrs_free(&candidates);
}

static bool allows_something(const struct half *half)
{
	for (size_t i = 0; i < half->policies.n; i++)
		if (spec_of(half->policies.v[i])->allow)
			return true;
	return false;
}

/* Are there packets that no policy of this network matches? */
static bool leaves_gap(const struct half *half)
{
	for (size_t i = 0; i < half->policies.n; i++)
		if (flow_is_all(&spec_of(half->policies.v[i])->match))
			return false;
	return true;
}

static bool has_gap(const struct pair *pair)
{
	if (leaves_gap(&pair->halves[0]))
		return true;
	return pair->n_halves == 2 && allows_something(&pair->halves[0]) && leaves_gap(&pair->halves[1]);
}

/* Does policy i, where it is the first to match, let replies pass? A policy above may hide it. */
static bool lets_reply(const struct ptrs *list, size_t i)
{
	const struct policy_spec *p = spec_of(list->v[i]);

	if (!p->allow || !p->reply)
		return false;
	for (size_t j = 0; j < i; j++)
		if (flow_contains(&spec_of(list->v[j])->match, &p->match))
			return false;
	return true;
}

/* Could both networks let one packet pass, and the replies to it? In doubt, yes. */
static bool let_reply(const struct ptrs *first, const struct ptrs *last)
{
	struct flow_box both;

	if (first->n > BOXES_MAX || last->n > BOXES_MAX)
		return true;
	for (size_t i = 0; i < first->n; i++)
		for (size_t j = 0; j < last->n; j++)
			if (lets_reply(first, i) && lets_reply(last, j) &&
			    flow_meet(&spec_of(first->v[i])->match, &spec_of(last->v[j])->match, &both))
				return true;
	return false;
}

/* Could the other direction of this pair pass, so that there are replies? */
static bool is_answered(const struct pair *pair)
{
	int last = pair->n_halves - 1;
	struct half halves[2] = { 0 };
	bool answered;

	for (int h = 0; h <= last; h++) {
		halves[h].net = pair->halves[last - h].net;
		collect(&halves[h], pair->to, pair->from);
	}
	answered = let_reply(&halves[0].policies, &halves[last].policies);
	ptrs_free(&halves[0].policies);
	ptrs_free(&halves[1].policies);
	return answered;
}

/* Is there a policy for the other direction whose replies are to pass its services, too? */
static bool is_reply_to_path(const struct pair *pair)
{
	bool found = false;

	for (int h = 0; !found && h < pair->n_halves; h++) {
		struct half half = { .net = pair->halves[h].net };

		if (!order_has_paths(half.net))
			continue;
		collect(&half, pair->to, pair->from);
		for (size_t i = 0; i < half.policies.n; i++)
			found |= spec_of(half.policies.v[i])->path.n && spec_of(half.policies.v[i])->reply;
		ptrs_free(&half.policies);
	}
	return found;
}

/* May policies let anything pass at all? An external network is its own network's alone. */
static bool is_decided(const struct endpoint *from, const struct endpoint *to)
{
	int externals = model_is_external(from) + model_is_external(to);

	return externals ? externals == 1 && from->o.net == to->o.net : model_joined(from->o.net, to->o.net);
}

/* Of another authority's network we have no policies: there is only our half. */
static void init_halves(struct pair *pair, bool inner)
{
	struct network *from = pair->from->o.net, *to = pair->to->o.net;

	pair->foreign = model_is_foreign(from) || model_is_foreign(to);
	pair->n_halves = from == to || pair->foreign ? 1 : 2;
	pair->halves[0] = (struct half){ .net = model_is_foreign(from) ? to : from, .inner = inner };
	pair->halves[1] = (struct half){ .net = to };
}

void pair_init(struct pair *pair, const struct endpoint *from, const struct endpoint *to)
{
	bool decided = is_decided(from, to), one = from->o.net == to->o.net;
	bool inner = one && !model_is_external(from) && !model_is_external(to);

	*pair = (struct pair){ .from = from, .to = to };
	init_halves(pair, inner);
	for (int h = 0; decided && h < pair->n_halves; h++)
		collect(&pair->halves[h], from, to);
	pair->closed = !inner || !spec_of(from->o.net->fallback)->allow;
	pair->answered = decided && pair->closed && (pair->foreign || has_gap(pair)) && is_answered(pair);
	pair->answerable = pair->answered && has_gap(pair);
	pair->through = decided && is_reply_to_path(pair);
	pair->barred = !pair->answerable && !allows_something(&pair->halves[0]);
	if (pair->barred)
		pair->halves[1].policies.n = 0;
}

void pair_free(struct pair *pair)
{
	ptrs_free(&pair->halves[0].policies);
	ptrs_free(&pair->halves[1].policies);
}

/* What they decide */

static bool has_service(const struct outcome *out, const char *service)
{
	for (size_t i = 0; i < out->n_path; i++)
		if (!strcmp(out->path[i], service))
			return true;
	return false;
}

/* false: more services than a path can hold. */
static bool add_service(struct outcome *out, const char *service)
{
	if (has_service(out, service))
		return true;
	if (out->n_path == PATH_MAX_HOPS)
		return false;
	out->path[out->n_path++] = service;
	return true;
}

/* Each part of it is said by the first policy that says anything of it. */
static void add_qos(struct outcome *out, const struct outcome *more)
{
	if (out->dscp < 0)
		out->dscp = more->dscp;
	if (!out->rate_mbps) {
		out->rate_mbps = more->rate_mbps;
		out->rate_policy = more->rate_policy;
	}
	if (!out->class)
		out->class = more->class;
}

/* What one policy asks for. */
static struct outcome qos_of(const struct policy *policy)
{
	const struct policy_spec *p = spec_of(policy);

	return (struct outcome){ .dscp = p->dscp,
				 .rate_mbps = p->rate_mbps,
				 .rate_policy = p->rate_mbps ? policy->o.id : 0,
				 .class = p->class };
}

static void add_open(struct outcome *out, bool open)
{
	out->open = open && (out->open || !out->n_path);
}

static void refuse(struct outcome *out, const struct policy *policy)
{
	*out = (struct outcome){ .policy = policy, .dscp = -1 };
}

/* As the one policy says that matches first. */
static void begin(struct outcome *out, const struct policy *policy)
{
	const struct policy_spec *p = spec_of(policy);

	refuse(out, policy);
	out->allow = p->allow;
	out->reject = p->reject;
	out->reply = p->allow && p->reply;
}

/* false: it is refused now. */
static bool add_policy(struct outcome *out, const struct policy *policy)
{
	const struct policy_spec *p = spec_of(policy);
	struct outcome more = qos_of(policy);

	if (p->path.n)
		add_open(out, p->open);
	for (size_t i = 0; i < p->path.n; i++)
		if (!add_service(out, p->path.v[i])) {
			refuse(out, out->policy);
			return false;
		}
	add_qos(out, &more);
	return true;
}

static void decide_half(const struct half *half, const struct flow_box *box, struct outcome *out)
{
	bool decided = false;

	if (half->inner)
		begin(out, half->net->fallback);
	else
		refuse(out, half->net->fallback);
	for (size_t i = 0; i < half->policies.n; i++) {
		const struct policy *policy = half->policies.v[i];
		const struct policy_spec *p = spec_of(policy);

		if (!flow_contains(&p->match, box))
			continue;
		if (!decided)
			begin(out, policy);
		decided = true;
		if (!out->allow || (p->allow && (!add_policy(out, policy) || p->final)))
			return;
	}
}

/* The destination's word, where the source's network lets pass. */
static void add_half(struct outcome *out, const struct outcome *second)
{
	if (!second->allow) {
		*out = *second;
		return;
	}
	out->reply &= second->reply;
	out->policy = second->policy;
	if (second->n_path)
		add_open(out, second->open);
	for (size_t i = 0; i < second->n_path; i++)
		if (!add_service(out, second->path[i])) {
			refuse(out, second->policy);
			return;
		}
	add_qos(out, second);
}

/* Does a policy say so, not the lack of one? */
static bool is_denied(const struct outcome *out)
{
	return !out->allow && out->policy != out->policy->o.net->fallback;
}

/*
 * Nothing but replies may pass, under the destination's default policy, and
 * through the services that one of the networks has for this direction.
 */
static void let_replies(const struct pair *pair, const struct outcome *second, struct outcome *out)
{
	if (!out->allow)
		*out = *second;
	out->allow = out->reply = false;
	out->replies = true;
	out->policy = pair->halves[pair->n_halves - 1].net->fallback;
}

/* Both networks' words; second is the same as *out inside a network. */
static void settle(const struct pair *pair, const struct outcome *second, struct outcome *out)
{
	if (pair->answerable && !is_denied(out) && !is_denied(second) && !(out->allow && second->allow))
		let_replies(pair, second, out);
	else if (pair->n_halves == 2 && out->allow)
		add_half(out, second);
	out->reply &= pair->closed || out->n_path;
	if (pair->foreign && out->allow)
		out->replies = pair->answered; /* the other authority may have a gap here */
}

void pair_decide(const struct pair *pair, const struct flow_box *box, struct outcome *out)
{
	struct outcome second;

	decide_half(&pair->halves[0], box, out);
	decide_half(&pair->halves[pair->n_halves - 1], box, &second);
	settle(pair, &second, out);
}

void pair_decide_alone(const struct pair *pair, const struct policy *policy, struct outcome *out)
{
	struct outcome second;

	begin(out, policy);
	if (out->allow)
		add_policy(out, policy);
	second = *out;
	settle(pair, &second, out);
}

unsigned int pair_scope(const struct pair *pair)
{
	unsigned int scope = 0;

	for (int h = 0; h < pair->n_halves; h++)
		for (size_t i = 0; i < pair->halves[h].policies.n; i++) {
			const struct flow_box *box = &spec_of(pair->halves[h].policies.v[i])->match;

			if (box->proto)
				scope |= SCOPE_PROTO;
			if (box->from_port[0] || box->from_port[1] != PORT_MAX)
				scope |= SCOPE_PROTO | SCOPE_FROM_PORT;
			if (box->to_port[0] || box->to_port[1] != PORT_MAX)
				scope |= SCOPE_PROTO | SCOPE_TO_PORT;
		}
	return scope;
}
