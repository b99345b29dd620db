// SPDX-License-Identifier: Apache-2.0
#include "dps/staleness_rules.h"

#include <string.h>
#include <utlist.h>

/* Beyond so many changed policies all of the networks concerned are marked instead of the overlaps.
 */
#define OVERLAPS_MAX 128
/* Beyond so many endpoints the whole network's floor is raised instead of each one's. */
#define ENDPOINT_FLOORS_MAX 1024

void staleness_sequence(struct txn *txn, struct object *obj)
{
	uint64_t revision = txn_raise(txn, obj->net);

	txn_touch(txn, obj);
	obj->sequence = revision;
}

void staleness_floor(struct txn *txn, struct object *obj)
{
	uint64_t revision = txn_raise(txn, obj->net);

	txn_touch(txn, obj);
	obj->floor = revision;
}

static void raise_network_floor(struct txn *txn, struct network *net)
{
	net->o.floor = txn_raise(txn, net);
}

/* Could one endpoint be meant by both? Groups and whole networks: in doubt, yes. */
static bool selectors_overlap(const struct selector *a, const struct selector *b)
{
	if (a->any || b->any)
		return true;
	if (a->net != b->net)
		return false;
	if (!a->groups.n && a->ids.n && !b->groups.n && b->ids.n)
		return idset_meets(&a->ids, &b->ids);
	return true;
}

static bool policies_overlap(const struct policy_spec *a, const struct policy_spec *b)
{
	struct flow_box both;

	return flow_meet(&a->match, &b->match, &both) && selectors_overlap(&a->from, &b->from) &&
	       selectors_overlap(&a->to, &b->to);
}

/* Does it do more than let pass, with the replies, what others may decide as well? */
static bool is_effective(const struct policy_spec *p)
{
	return !p->allow || p->path.n || p->final || !p->reply;
}

static bool selectors_equal(const struct selector *a, const struct selector *b)
{
	return a->any == b->any && a->net == b->net && idset_equal(&a->ids, &b->ids) &&
	       idset_equal(&a->group_ids, &b->group_ids);
}

static bool paths_equal(const struct names *a, const struct names *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]))
			return false;
	return true;
}

static bool same_requirements(const struct policy_spec *a, const struct policy_spec *b)
{
	return a->allow == b->allow && a->final == b->final && a->reply == b->reply && a->open == b->open &&
	       a->priority == b->priority && flow_equal(&a->match, &b->match) &&
	       selectors_equal(&a->from, &b->from) && selectors_equal(&a->to, &b->to) &&
	       paths_equal(&a->path, &b->path);
}

/* Sequences of what a policy overlaps */

static void mark_overlaps_in(struct txn *txn, struct network *net, const struct object *but,
			     const struct policy_spec *spec)
{
	struct object *obj;

	DL_FOREACH (net->policies, obj)
		if (obj != but && policies_overlap(&obj->spec->u.policy, spec))
			staleness_sequence(txn, obj);
}

static bool means(const struct selector *sel, const struct network *net)
{
	return sel->any || sel->net == net;
}

/*
 * In its own network, and in those whose traffic with it the policy may
 * decide. There a network's default lets in replies, and decides nothing else.
 */
static void mark_one_way(struct txn *txn, struct network *net, const struct policy_spec *spec)
{
	mark_overlaps_in(txn, net, NULL, spec);
	for (size_t i = 0; i < net->n_joints; i++) {
		struct network *other = net->joints[i].other;

		if (means(&spec->to, other))
			mark_overlaps_in(txn, other, NULL, spec);
		else if (means(&spec->from, other))
			mark_overlaps_in(txn, other, &other->fallback->o, spec);
	}
}

/* The packets that answer those which a policy matches, as a policy's text. */
static struct policy_spec turned(const struct policy_spec *spec)
{
	struct policy_spec back = *spec;

	back.from = spec->to;
	back.to = spec->from;
	memcpy(back.match.from_port, spec->match.to_port, sizeof(back.match.from_port));
	memcpy(back.match.to_port, spec->match.from_port, sizeof(back.match.to_port));
	return back;
}

/* What leads through services leads the replies back through them, whatever decides these. */
static void mark_overlaps(struct txn *txn, struct network *net, const struct policy_spec *spec)
{
	struct policy_spec back = turned(spec);

	mark_one_way(txn, net, spec);
	if (spec->path.n && spec->reply)
		mark_one_way(txn, net, &back);
}

static void mark_all(struct txn *txn, struct network *net)
{
	struct object *obj;

	DL_FOREACH (net->policies, obj)
		staleness_sequence(txn, obj);
}

/* Floors of what a policy lets packets reach */

static void raise_endpoint_floors(struct txn *txn, const struct selector *to)
{
	unsigned int raised = 0;
	struct object *obj;

	DL_FOREACH (to->net->externals, obj)
		if (idset_has(&to->ids, obj->id))
			staleness_floor(txn, obj);
	DL_FOREACH (to->net->endpoints, obj) {
		if (!idset_has(&to->ids, obj->id) &&
		    !idset_meets(&to->group_ids, &((struct endpoint *)obj)->groups))
			continue;
		if (++raised > ENDPOINT_FLOORS_MAX) {
			raise_network_floor(txn, to->net);
			return;
		}
		staleness_floor(txn, obj);
	}
}

/*
 * own: packets into the policy's network may be decided otherwise though they
 * carry another policy's id. cross: so may packets into another network, which
 * never carry this one's.
 */
static void raise_destinations(struct txn *txn, struct network *net, const struct policy_spec *spec, bool own,
			       bool cross)
{
	const struct selector *to = &spec->to;
	bool leaves = spec->from.any || spec->from.net == net;

	if (to->any && own)
		raise_network_floor(txn, net);
	if (to->any && cross && leaves)
		for (size_t i = 0; i < net->n_joints; i++)
			raise_network_floor(txn, net->joints[i].other);
	if (to->any || !(to->net == net ? own : cross))
		return;
	if (to->ids.n || to->group_ids.n)
		raise_endpoint_floors(txn, to);
	else
		raise_network_floor(txn, to->net);
}

/* Networks that this content of a policy joined, and that are not any more: nothing may pass. */
static void raise_parted(struct txn *txn, struct network *net, const struct policy_spec *before)
{
	const struct selector *sides[] = { &before->from, &before->to };

	for (int i = 0; i < 2; i++) {
		struct network *other = sides[i]->net;

		if (sides[i]->any || other == net || model_joined(net, other))
			continue;
		raise_network_floor(txn, net);
		raise_network_floor(txn, other);
	}
}

/* Networks that this content of a policy has joined: each reaches the other's addresses now. */
static void raise_joined(struct txn *txn, const struct policy_spec *spec)
{
	struct network *nets[] = { spec->from.net, spec->to.net };

	for (int i = 0; i < 2; i++)
		if (nets[i]->joined_by == txn->serial)
			staleness_externals(txn, nets[i]);
}

/*
 * What lets in from other networks, and did, may have hidden a denial. Replies
 * that a network beyond does not decide on came in past it, under the default.
 */
static void raise_hidden(struct txn *txn, struct network *net, const struct policy_spec *spec)
{
	bool enters = spec->from.any ? net->n_joints : spec->from.net != net;

	if (enters && !is_effective(spec) && means(&spec->to, net))
		staleness_floor(txn, &net->fallback->o);
}

static const struct policy_spec *policy_of(const struct spec *spec)
{
	return spec ? &spec->u.policy : NULL;
}

static void policy_changed(struct txn *txn, struct change *change, bool many)
{
	const struct policy_spec *before = policy_of(change->before);
	const struct policy_spec *after = policy_of(change->after);
	struct network *net = change->obj->net;
	bool kept = before && after && same_requirements(before, after);

	staleness_sequence(txn, change->obj);
	if (after)
		raise_joined(txn, after);
	if (before && !many)
		mark_overlaps(txn, net, before);
	if (after && !many)
		mark_overlaps(txn, net, after);
	if (kept)
		return;
	staleness_floor(txn, change->obj);
	if (before) {
		raise_destinations(txn, net, before, is_effective(before), true);
		raise_hidden(txn, net, before);
		raise_parted(txn, net, before);
	}
	if (after)
		raise_destinations(txn, net, after, is_effective(after), before || is_effective(after));
}

/* Which flows of the network are to be remembered for their replies depends on its default. */
static void fallback_changed(struct txn *txn, struct change *change)
{
	const struct policy_spec *before = policy_of(change->before), *after = policy_of(change->after);

	staleness_sequence(txn, change->obj);
	if (before && after && before->allow == after->allow)
		return;
	staleness_floor(txn, change->obj);
	mark_all(txn, change->obj->net);
}

/* Groups */

struct group_hits {
	bool from_lost, from_won, to;
};

static void hit_side(const struct selector *sel, const struct regroup *entry, bool *lost, bool *won)
{
	const struct idset *now = &entry->ep->groups;

	if (sel->any || sel->net != entry->ep->o.net)
		return;
	for (uint32_t i = 0; i < sel->group_ids.n; i++) {
		bool was = idset_has(&entry->before, sel->group_ids.v[i]);
		bool is = idset_has(now, sel->group_ids.v[i]);

		*lost |= was && !is;
		*won |= is && !was;
	}
}

static void hit_policy(struct txn *txn, const struct policy_spec *spec, struct group_hits *hits)
{
	for (size_t i = 0; i < txn->regroups.n; i++) {
		const struct regroup *entry = txn->regroups.v[i];

		hit_side(&spec->from, entry, &hits->from_lost, &hits->from_won);
		hit_side(&spec->to, entry, &hits->to, &hits->to);
	}
}

static void group_users_changed(struct txn *txn, struct object *obj)
{
	const struct policy_spec *spec = &obj->spec->u.policy;
	struct group_hits hits = { 0 };

	if (!spec->from.group_ids.n && !spec->to.group_ids.n)
		return;
	hit_policy(txn, spec, &hits);
	if (!hits.from_lost && !hits.from_won && !hits.to)
		return;
	staleness_sequence(txn, obj);
	mark_overlaps(txn, obj->net, spec);
	if (hits.from_lost) {
		staleness_floor(txn, obj);
		raise_hidden(txn, obj->net, spec);
	}
	if (hits.from_lost || hits.from_won)
		raise_destinations(txn, obj->net, spec, is_effective(spec),
				   hits.from_lost || is_effective(spec));
}

/* Forget those that are new in this commit: nobody can have an answer about them. */
static void drop_new(struct txn *txn)
{
	size_t kept = 0;

	for (size_t i = 0; i < txn->regroups.n; i++) {
		struct regroup *entry = txn->regroups.v[i];

		if (entry->ep->o.made_by == txn->serial) {
			idset_free(&entry->before);
			free(entry);
			continue;
		}
		txn->regroups.v[kept++] = entry;
	}
	txn->regroups.n = kept;
}

static void groups_changed(struct txn *txn)
{
	struct object *obj;

	drop_new(txn);
	if (!txn->regroups.n)
		return;
	for (size_t i = 0; i < txn->regroups.n; i++) {
		struct object *ep = &((struct regroup *)txn->regroups.v[i])->ep->o;

		staleness_sequence(txn, ep);
		staleness_floor(txn, ep);
	}
	for (obj = txn->m->by_key[KIND_POLICY]; obj; obj = obj->hh.next)
		group_users_changed(txn, obj);
}

/* All policies of the networks that the changed ones belong to or may concern. */
static void mark_widely(struct txn *txn)
{
	struct object *obj;

	for (obj = txn->m->by_key[KIND_NETWORK]; obj; obj = obj->hh.next) {
		struct network *net = (struct network *)obj;
		bool concerned = obj->touched_by == txn->serial;

		for (size_t i = 0; i < net->n_joints; i++)
			concerned |= net->joints[i].other->o.touched_by == txn->serial;
		if (concerned)
			mark_all(txn, net);
	}
}

/* All packets of the class take another path; what may pass does not change. */
static void underlay_changed(struct txn *txn, const char *class)
{
	struct object *obj;

	for (obj = txn->m->by_key[KIND_POLICY]; obj; obj = obj->hh.next) {
		const struct policy_spec *spec = &obj->spec->u.policy;

		if (!spec->class || strcmp(spec->class, class) != 0)
			continue;
		staleness_sequence(txn, obj);
		mark_overlaps(txn, obj->net, spec);
	}
}

static void one_changed(struct txn *txn, struct change *change, bool many)
{
	struct object *obj = change->obj;

	switch (obj->kind) {
	case KIND_POLICY:
		if (obj == &obj->net->fallback->o)
			fallback_changed(txn, change);
		else
			policy_changed(txn, change, many);
		break;
	case KIND_ENDPOINT:
		staleness_endpoint(txn, change);
		break;
	case KIND_EXTERNAL:
		staleness_external(txn, change);
		break;
	case KIND_SERVICE:
		staleness_service(txn, obj->key);
		break;
	case KIND_UNDERLAY_PATH:
		underlay_changed(txn, obj->key);
		break;
	case KIND_HOST:
		staleness_host(txn, (struct host *)obj);
		break;
	case KIND_NETWORK:
		staleness_network(txn, change);
		break;
	case KIND_GROUP:
	case KIND_COUNT:
		break;
	}
}

void staleness_apply(struct txn *txn)
{
	size_t policies = 0;

	for (size_t i = 0; i < txn->changes.n; i++)
		policies += ((struct change *)txn->changes.v[i])->obj->kind == KIND_POLICY;
	if (policies > OVERLAPS_MAX)
		mark_widely(txn);
	for (size_t i = 0; i < txn->changes.n; i++)
		one_changed(txn, txn->changes.v[i], policies > OVERLAPS_MAX);
	groups_changed(txn);
}
