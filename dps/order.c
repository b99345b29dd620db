// SPDX-License-Identifier: Apache-2.0
#include "dps/order.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum side { FROM_ENDPOINT, FROM_GROUP, TO_ENDPOINT, TO_GROUP };

/* The policy at this place of the order names this id on this side. */
struct mention {
	enum side side;
	uint32_t id;
	uint32_t at;
};

struct places {
	uint32_t *v;
	size_t n, room;
};

struct order {
	struct policy **policies;
	size_t n;
	struct mention *mentions; /* by side, id and place */
	size_t n_mentions, room;
	struct places wide; /* policies that name nobody on either side */
	bool paths;	    /* some lead through services */
};

/* Of one priority: what denies, what rejects, what allows. */
static int rank(const struct policy_spec *p)
{
	return p->allow ? 2 : p->reject;
}

/* Higher priority first; then by rank; then by name. */
static int compare_policies(const void *left, const void *right)
{
	const struct object *a = *(struct object *const *)left, *b = *(struct object *const *)right;
	const struct policy_spec *p = &a->spec->u.policy, *q = &b->spec->u.policy;

	if (p->priority != q->priority)
		return p->priority > q->priority ? -1 : 1;
	if (rank(p) != rank(q))
		return rank(p) - rank(q);
	return strcmp(a->spec->name, b->spec->name);
}

static int compare_mentions(const void *left, const void *right)
{
	const struct mention *a = left, *b = right;

	if (a->side != b->side)
		return a->side < b->side ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->at < b->at ? -1 : a->at > b->at;
}

static int compare_places(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return a < b ? -1 : a > b;
}

static void add_place(struct places *places, uint32_t at)
{
	if (places->n == places->room) {
		places->room = places->room ? places->room * 2 : 16;
		places->v = mem_resize(places->v, places->room, sizeof(*places->v));
	}
	places->v[places->n++] = at;
}

static void mention_all(struct order *order, enum side side, const struct idset *ids, uint32_t at)
{
	for (uint32_t i = 0; i < ids->n; i++) {
		if (order->n_mentions == order->room) {
			order->room = order->room ? order->room * 2 : 64;
			order->mentions = mem_resize(order->mentions, order->room, sizeof(*order->mentions));
		}
		order->mentions[order->n_mentions++] =
			(struct mention){ .side = side, .id = ids->v[i], .at = at };
	}
}

static bool names_somebody(const struct selector *sel)
{
	return !sel->any && (sel->ids.n || sel->group_ids.n);
}

static void index_policy(struct order *order, const struct policy_spec *p, uint32_t at)
{
	if (names_somebody(&p->from)) {
		mention_all(order, FROM_ENDPOINT, &p->from.ids, at);
		mention_all(order, FROM_GROUP, &p->from.group_ids, at);
	} else if (names_somebody(&p->to)) {
		mention_all(order, TO_ENDPOINT, &p->to.ids, at);
		mention_all(order, TO_GROUP, &p->to.group_ids, at);
	} else {
		add_place(&order->wide, at);
	}
}

static struct order *order_make(struct network *net)
{
	struct order *order = mem_alloc(sizeof(*order));
	struct object *obj;

	order->policies = mem_alloc(net->n_policies * sizeof(*order->policies));
	DL_FOREACH (net->policies, obj)
		if (obj != &net->fallback->o)
			order->policies[order->n++] = (struct policy *)obj;
	if (order->n)
		qsort(order->policies, order->n, sizeof(*order->policies), compare_policies);
	for (size_t i = 0; i < order->n; i++)
		order->paths |= order->policies[i]->o.spec->u.policy.path.n;
	for (size_t i = 0; i < order->n; i++)
		index_policy(order, &order->policies[i]->o.spec->u.policy, i);
	if (order->n_mentions)
		qsort(order->mentions, order->n_mentions, sizeof(*order->mentions), compare_mentions);
	return order;
}

void order_free(struct order *order)
{
	if (!order)
		return;
	free(order->policies);
	free(order->mentions);
	free(order->wide.v);
	free(order);
}

/* The first mention that is not before this one. */
static size_t find_mention(const struct order *order, const struct mention *key)
{
	size_t lo = 0, hi = order->n_mentions;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare_mentions(&order->mentions[mid], key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void add_mentions(const struct order *order, enum side side, uint32_t id, struct places *out)
{
	const struct mention key = { .side = side, .id = id };

	for (size_t i = find_mention(order, &key); i < order->n_mentions; i++) {
		const struct mention *m = &order->mentions[i];

		if (m->side != side || m->id != id)
			return;
		add_place(out, m->at);
	}
}

static void add_side(const struct order *order, enum side endpoint, enum side group,
		     const struct endpoint *ep, struct places *out)
{
	add_mentions(order, endpoint, ep->o.id, out);
	for (uint32_t i = 0; i < ep->groups.n; i++)
		add_mentions(order, group, ep->groups.v[i], out);
}

/* Both lists in one, ascending; one place may be in the named list more than once. */
static void merge(const struct order *order, const struct places *named, struct ptrs *out)
{
	size_t i = 0, j = 0;

	while (i < named->n || j < order->wide.n) {
		uint32_t at;

		if (j == order->wide.n || (i < named->n && named->v[i] < order->wide.v[j]))
			at = named->v[i++];
		else
			at = order->wide.v[j++];
		if (!out->n || out->v[out->n - 1] != order->policies[at])
			ptrs_push(out, order->policies[at]);
	}
}

static void order_refresh(struct network *net)
{
	if (!net->order_stale)
		return;
	order_free(net->order);
	net->order = order_make(net);
	net->order_stale = false;
}

bool order_has_paths(struct network *net)
{
	order_refresh(net);
	return net->order->paths;
}

void order_candidates(struct network *net, const struct endpoint *from, const struct endpoint *to,
		      struct ptrs *out)
{
	struct places named = { 0 };

	order_refresh(net);
	add_side(net->order, FROM_ENDPOINT, FROM_GROUP, from, &named);
	add_side(net->order, TO_ENDPOINT, TO_GROUP, to, &named);
	if (named.n)
		qsort(named.v, named.n, sizeof(*named.v), compare_places);
	merge(net->order, &named, out);
	free(named.v);
}
