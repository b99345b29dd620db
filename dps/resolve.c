// SPDX-License-Identifier: Apache-2.0
#include "dps/resolve.h"

#include <string.h>

#include "dps/order.h"

/* Boxes that a pair's rules may be cut into before we give up: answers hold few. */
#define BOXES_MAX 64

/* The policies of one network that could match a pair, first match first. */
struct half {
	struct network *net;
	struct ptrs policies;
};

struct pair {
	const struct endpoint *from, *to;
	struct half halves[2]; /* the source's network, then the destination's */
	int n_halves;	       /* one inside a network */
	bool closed;	       /* only policies let anything pass, here and in the other direction */
	bool answerable;       /* replies to the other direction may pass where no policy decides */
	bool barred;	       /* the source's network lets nothing out, whatever the packet */
};

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
		return true;
	return idset_has(&sel->ids, ep->o.id) || idset_meets(&sel->group_ids, &ep->groups);
}

static bool adds_something(const struct policy_spec *p)
{
	return p->allow && (p->path.n || p->final || p->dscp >= 0 || p->rate_mbps);
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
		if (decided && !adds_something(p))
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

/* Are there packets that no policy of this network decides, its default apart? */
static bool leaves_gap(const struct half *half)
{
	for (size_t i = 0; i < half->policies.n; i++)
		if (half->policies.v[i] != half->net->fallback &&
		    flow_is_all(&spec_of(half->policies.v[i])->match))
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

static void collect_pair(struct pair *pair)
{
	struct network *from = pair->from->o.net, *to = pair->to->o.net;
	bool joined = model_joined(from, to);

	pair->n_halves = from == to ? 1 : 2;
	pair->halves[0].net = from;
	pair->halves[1].net = to;
	for (int h = 0; joined && h < pair->n_halves; h++)
		collect(&pair->halves[h], pair->from, pair->to);
	if (from == to)
		ptrs_push(&pair->halves[0].policies, from->fallback);
	pair->closed = from != to || !spec_of(from->fallback)->allow;
	pair->answerable = joined && pair->closed && has_gap(pair) && is_answered(pair);
	pair->barred = !pair->answerable && !allows_something(&pair->halves[0]);
	if (pair->barred)
		pair->halves[1].policies.n = 0;
}

static void free_pair(struct pair *pair)
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

static void add_qos(struct outcome *out, int dscp, uint32_t rate_mbps)
{
	if (out->dscp < 0)
		out->dscp = dscp;
	if (!out->rate_mbps)
		out->rate_mbps = rate_mbps;
}

static void refuse(struct outcome *out, const struct policy *policy)
{
	*out = (struct outcome){ .policy = policy, .dscp = -1 };
}

/* By the first policy that matches. */
static void decide_first(struct outcome *out, const struct policy *policy)
{
	refuse(out, policy);
	out->allow = spec_of(policy)->allow;
	out->reply = out->allow && spec_of(policy)->reply;
}

static bool add_policy(struct outcome *out, const struct policy_spec *p)
{
	for (size_t i = 0; i < p->path.n; i++)
		if (!add_service(out, p->path.v[i]))
			return false;
	add_qos(out, p->dscp, p->rate_mbps);
	return true;
}

/* One network's word on the packets of a box that lies wholly in or out of each policy. */
static void decide_half(const struct half *half, const struct flow_box *box, struct outcome *out)
{
	refuse(out, half->net->fallback);
	for (size_t i = 0; i < half->policies.n; i++) {
		const struct policy *policy = half->policies.v[i];
		const struct policy_spec *p = spec_of(policy);

		if (!flow_contains(&p->match, box))
			continue;
		if (!out->allow)
			decide_first(out, policy);
		if (!p->allow && out->policy == policy)
			return;
		if (p->allow && !add_policy(out, p)) {
			refuse(out, out->policy);
			return;
		}
		if (p->allow && p->final)
			return;
	}
}

/* The destination's word, where the source's network lets pass. */
static void add_half(struct outcome *out, const struct outcome *second)
{
	out->allow = second->allow;
	out->reply &= second->reply;
	out->policy = second->policy;
	for (size_t i = 0; second->allow && i < second->n_path; i++)
		out->allow &= add_service(out, second->path[i]);
	if (!out->allow)
		refuse(out, second->policy);
	else
		add_qos(out, second->dscp, second->rate_mbps);
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
	out->policy = pair->to->o.net->fallback;
}

/* Both networks' words; second is the same as *out inside a network. */
static void settle(const struct pair *pair, const struct outcome *second, struct outcome *out)
{
	if (pair->answerable && !is_denied(out) && !is_denied(second) && !(out->allow && second->allow))
		let_replies(pair, second, out);
	else if (pair->n_halves == 2 && out->allow)
		add_half(out, second);
	out->reply &= pair->closed;
}

static void decide(const struct pair *pair, const struct flow_box *box, struct outcome *out)
{
	struct outcome second;

	decide_half(&pair->halves[0], box, out);
	decide_half(&pair->halves[pair->n_halves - 1], box, &second);
	settle(pair, &second, out);
}

static unsigned int scope_of(const struct pair *pair)
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

/* Rules for the whole pair */

struct boxes {
	struct flow_box v[BOXES_MAX];
	size_t n;
};

static bool add_box(struct boxes *boxes, const struct flow_box *box)
{
	for (size_t i = 0; i < boxes->n; i++)
		if (flow_equal(&boxes->v[i], box))
			return true;
	if (boxes->n == BOXES_MAX)
		return false;
	boxes->v[boxes->n++] = *box;
	return true;
}

/* The boxes of the policies and all their intersections. */
static bool cut_by(struct boxes *boxes, const struct half *half)
{
	for (size_t i = 0; i < half->policies.n; i++) {
		size_t n = boxes->n;

		for (size_t j = 0; j < n; j++) {
			struct flow_box both;

			if (flow_meet(&boxes->v[j], &spec_of(half->policies.v[i])->match, &both) &&
			    !add_box(boxes, &both))
				return false;
		}
	}
	return true;
}

/*
 * Smaller boxes first. The boxes are closed under intersection, so the first
 * that holds a packet is the smallest, and is wholly in or out of each policy.
 */
static void sort_boxes(struct boxes *boxes)
{
	for (size_t i = 1; i < boxes->n; i++) {
		struct flow_box box = boxes->v[i];
		size_t j = i;

		for (; j > 0 && flow_volume(&boxes->v[j - 1]) > flow_volume(&box); j--)
			boxes->v[j] = boxes->v[j - 1];
		boxes->v[j] = box;
	}
}

static bool outcomes_equal(const struct outcome *a, const struct outcome *b)
{
	if (a->allow != b->allow || a->reply != b->reply || a->replies != b->replies ||
	    a->policy != b->policy || a->n_path != b->n_path || a->dscp != b->dscp ||
	    a->rate_mbps != b->rate_mbps)
		return false;
	for (size_t i = 0; i < a->n_path; i++)
		if (strcmp(a->path[i], b->path[i]))
			return false;
	return true;
}

/* Would its packets, without this rule, all meet the same outcome further down? */
static bool is_idle(const struct rule *rules, size_t i, size_t n)
{
	struct flow_box both;

	for (size_t j = i + 1; j < n; j++) {
		if (!flow_meet(&rules[i].match, &rules[j].match, &both))
			continue;
		if (!outcomes_equal(&rules[i].outcome, &rules[j].outcome))
			return false;
		if (flow_contains(&rules[j].match, &rules[i].match))
			return true;
	}
	return false;
}

static size_t drop_idle(struct rule *rules, size_t n)
{
	for (size_t i = n; i > 0; i--)
		if (is_idle(rules, i - 1, n)) {
			memmove(&rules[i - 1], &rules[i], (n - i) * sizeof(*rules));
			n--;
		}
	return n;
}

static size_t rules_by_boxes(const struct pair *pair, struct rule *rules)
{
	struct boxes boxes = { .v = { flow_all }, .n = 1 };

	for (int i = 0; i < pair->n_halves; i++)
		if (!cut_by(&boxes, &pair->halves[i]))
			return 0;
	sort_boxes(&boxes);
	for (size_t i = 0; i < boxes.n; i++) {
		rules[i].match = boxes.v[i];
		decide(pair, &boxes.v[i], &rules[i].outcome);
	}
	return drop_idle(rules, boxes.n);
}

/* Does the order of one network's policies, each taken alone, say everything? */
static bool is_plain(const struct pair *pair)
{
	const struct ptrs *list = &pair->halves[0].policies;
	struct flow_box both;

	if (pair->n_halves > 1 || list->n > BOXES_MAX)
		return false;
	for (size_t i = 0; i < list->n; i++)
		for (size_t j = i + 1; j < list->n; j++)
			if (spec_of(list->v[i])->allow && adds_something(spec_of(list->v[j])) &&
			    flow_meet(&spec_of(list->v[i])->match, &spec_of(list->v[j])->match, &both))
				return false;
	return true;
}

static size_t rules_by_order(const struct pair *pair, struct rule *rules)
{
	const struct ptrs *list = &pair->halves[0].policies;
	struct outcome alone;

	for (size_t i = 0; i < list->n; i++) {
		const struct policy_spec *p = spec_of(list->v[i]);

		decide_first(&alone, list->v[i]);
		if (p->allow)
			add_policy(&alone, p);
		rules[i] = (struct rule){ .match = p->match, .outcome = alone };
		settle(pair, &alone, &rules[i].outcome);
		if (flow_is_all(&p->match))
			return i + 1;
	}
	return 0;
}

static void make_rules(const struct pair *pair, struct answer *out)
{
	struct rule rules[BOXES_MAX];
	size_t n = is_plain(pair) ? rules_by_order(pair, rules) : rules_by_boxes(pair, rules);

	if (n > RULES_MAX)
		return;
	memcpy(out->rules, rules, n * sizeof(*rules));
	out->n_rules = n;
}

/* From the key to the pair */

static const struct endpoint *find_source(const struct model *m, const struct question *q)
{
	const struct endpoint *ep;

	if (!q->source)
		return (struct endpoint *)model_find_in(m, KIND_ENDPOINT, q->network, q->from);
	ep = model_endpoint(m, q->source);
	return ep;
}

/* An address means the source's network first, then those joined with it. */
static const struct endpoint *find_address(const struct model *m, const struct network *net,
					   const struct ip_addr *addr)
{
	const struct endpoint *ep = model_at(m, net->o.id, addr);

	for (size_t i = 0; !ep && i < net->n_joints; i++)
		ep = model_at(m, net->joints[i].other->o.id, addr);
	return ep;
}

static const struct endpoint *find_destination(const struct model *m, const struct network *net,
					       const struct question *q)
{
	if (q->by_address)
		return find_address(m, net, &q->address);
	if (strchr(q->to, '/'))
		return (struct endpoint *)model_find(m, KIND_ENDPOINT, q->to);
	return (struct endpoint *)model_find_in(m, KIND_ENDPOINT, net->o.key, q->to);
}

/* Nobody has the address: it may be a gateway's, of the source's network or of those joined with it. */
static void answer_nobody(const struct model *m, const struct network *net, const struct question *q,
			  struct answer *out)
{
	out->verdict = VERDICT_NO_ENDPOINT;
	for (size_t i = 0; q->by_address && i <= net->n_joints; i++) {
		const struct network *one = i ? net->joints[i - 1].other : net;

		if (!model_is_gateway(m, one, &q->address))
			continue;
		out->verdict = VERDICT_GATEWAY;
		out->vnid = one->o.id;
		out->sequence = one->revision;
		return;
	}
}

static void answer_pair(struct pair *pair, const struct question *q, struct answer *out)
{
	const struct network *net = pair->to->o.net;

	collect_pair(pair);
	decide(pair, &q->packet, &out->outcome);
	out->scope = scope_of(pair);
	out->verdict = out->outcome.allow ? VERDICT_ALLOW : VERDICT_DENY;
	if (out->scope)
		make_rules(pair, out);
	if (pair->barred || (!out->n_rules && out->outcome.policy->o.net == pair->from->o.net))
		net = pair->from->o.net;
	out->vnid = net->o.id;
	out->sequence = net->revision;
}

void resolve(struct model *m, const struct question *q, struct answer *out)
{
	struct pair pair = { .from = find_source(m, q) };

	*out = (struct answer){ .verdict = VERDICT_NO_SOURCE,
				.source = q->source,
				.has_address = q->by_address,
				.address = q->address };
	refuse(&out->outcome, NULL);
	if (!pair.from)
		return;
	out->source = pair.from->o.id;
	out->vnid = pair.from->o.net->o.id;
	out->sequence = pair.from->o.net->revision;
	pair.to = out->destination = find_destination(m, pair.from->o.net, q);
	if (!pair.to) {
		answer_nobody(m, pair.from->o.net, q, out);
		return;
	}
	if (!q->by_address && pair.to->o.spec->u.endpoint.n_addresses) {
		out->has_address = true;
		out->address = pair.to->o.spec->u.endpoint.addresses[0];
	}
	answer_pair(&pair, q, out);
	free_pair(&pair);
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void resolve_check(struct model *m, const struct question *q, struct check *check)
{
	const struct network *net = model_network(m, check->vnid);
	const struct answer *answer = &check->answer;
	const struct policy *p = model_policy(m, check->policy);
	uint64_t least;

	resolve(m, q, &check->answer);
	check->revision = net ? net->revision : 0;
	check->found = p && p->o.net == net ? p : NULL;
	check->current = false;
	if (!net || !check->found || !(answer->outcome.allow || answer->outcome.replies) ||
	    answer->outcome.policy != check->found || answer->vnid != check->vnid)
		return;
	least = max_of(net->o.floor, max_of(p->o.sequence, p->o.floor));
	least = max_of(least, max_of(answer->destination->o.sequence, answer->destination->o.floor));
	check->current = check->sequence >= least;
}
