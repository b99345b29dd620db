// SPDX-License-Identifier: Apache-2.0
#include "dps/resolve.h"

#include <string.h>

/* From the key to the pair */

static const struct endpoint *find_name(const struct model *m, const char *network, const char *name)
{
	const struct object *obj = model_find_in(m, KIND_ENDPOINT, network, name);

	return (const struct endpoint *)(obj ? obj : model_find_in(m, KIND_EXTERNAL, network, name));
}

const struct endpoint *resolve_source(const struct model *m, const struct question *q)
{
	return q->source ? model_party(m, q->source) : find_name(m, q->network, q->from);
}

/* Does it lie in a subnet of this network, or of one joined with it? */
static bool is_inside(const struct network *net, const struct ip_addr *addr)
{
	for (size_t i = 0; i < net->n_joints; i++)
		if (model_subnet(net->joints[i].other, addr))
			return true;
	return model_subnet(net, addr);
}

/* Who is in a foreign network only its authority knows: there are its subnets, and whoever is in them. */
static const struct endpoint *find_in_joint(const struct model *m, const struct network *net,
					    const struct ip_addr *addr)
{
	if (model_is_foreign(net))
		return model_subnet(net, addr) ? &net->stranger : NULL;
	return model_at(m, net->o.id, addr);
}

/*
 * An address means the source's network first, then those joined with it, then
 * what is beyond the source's network; a link-local one the source's network
 * alone.
 */
static const struct endpoint *find_address(const struct model *m, const struct network *net,
					   const struct ip_addr *addr)
{
	const struct endpoint *ep = model_at(m, net->o.id, addr);

	if (ep || ip_is_link_local(addr))
		return ep;
	for (size_t i = 0; !ep && i < net->n_joints; i++)
		ep = find_in_joint(m, net->joints[i].other, addr);
	if (ep || !ip_is_host(addr) || is_inside(net, addr))
		return ep;
	return model_external(net, addr);
}

static const struct endpoint *find_destination(const struct model *m, const struct network *net,
					       const struct question *q)
{
	if (q->by_address)
		return find_address(m, net, &q->address);
	if (q->destination)
		return model_party(m, q->destination);
	return strchr(q->to, '/') ? model_find_party(m, q->to) : find_name(m, net->o.key, q->to);
}

/* What is beyond a network's edge is there for its own endpoints alone. */
static bool may_meet(const struct endpoint *from, const struct endpoint *to)
{
	return from->o.net == to->o.net || (!model_is_external(from) && !model_is_external(to));
}

/* Nobody has the address: it may be a gateway's, of the source's network or of those joined with it. */
static void answer_nobody(const struct model *m, const struct network *net, const struct question *q,
			  struct answer *out)
{
	out->verdict = VERDICT_NO_ENDPOINT;
	for (size_t i = 0; q->by_address && i <= net->n_joints; i++) {
		const struct network *one = i ? net->joints[i - 1].other : net;

		if (model_is_foreign(one) || !model_is_gateway(m, one, &q->address))
			continue;
		out->verdict = VERDICT_GATEWAY;
		out->vnid = one->o.id;
		out->sequence = one->revision;
		return;
	}
}

static uint64_t max_of(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The floors that stand in the way of a packet of the pair: at a hop nobody else knows the destination's. */
static uint64_t floor_of(const struct network *net, const struct endpoint *to, const struct answer *answer)
{
	uint64_t floor = max_of(net->o.floor, to->o.floor);

	if (answer->outcome.policy)
		floor = max_of(floor, answer->outcome.policy->o.floor);
	for (size_t i = 0; i < answer->n_rules; i++)
		floor = max_of(floor, answer->rules[i].outcome.policy->o.floor);
	return floor;
}

static void answer_pair(const struct endpoint *from, const struct endpoint *to, const struct question *q,
			struct answer *out)
{
	const struct network *net = to->o.net;
	struct pair pair;

	pair_init(&pair, from, to);
	pair_decide(&pair, &q->packet, &out->outcome);
	out->verdict = out->outcome.allow ? VERDICT_ALLOW : VERDICT_DENY;
	out->scope = pair_scope(&pair);
	out->n_rules = out->scope ? pair_rules(&pair, out->rules) : 0;
	if (pair.foreign)
		net = pair.halves[0].net;
	else if (pair.barred || (!out->n_rules && out->outcome.policy->o.net == from->o.net))
		net = from->o.net;
	out->vnid = net->o.id;
	out->sequence = net->revision;
	out->through = pair.through;
	out->floor = net == to->o.net ? floor_of(net, to, out) : out->sequence;
	pair_free(&pair);
}

/* From another authority's network: into the destination's, which alone is ours. */
static void resolve_stranger(struct model *m, const struct question *q, struct answer *out)
{
	const struct network *from = model_network(m, q->from_vnid);
	const struct endpoint *to = q->destination ? model_party(m, q->destination) : NULL;

	for (size_t i = 0; !to && q->by_address && from && i < from->n_joints; i++)
		to = model_at(m, from->joints[i].other->o.id, &q->address);
	if (!from || !model_is_foreign(from) || !to || model_is_external(to)) {
		out->verdict = VERDICT_NO_ENDPOINT;
		return;
	}
	out->destination = to;
	out->host = model_host_of(m, to);
	answer_pair(&from->stranger, to, q, out);
}

static void resolve_key(struct model *m, const struct question *q, struct answer *out)
{
	const struct endpoint *from, *to;

	*out = (struct answer){ .verdict = VERDICT_NO_SOURCE,
				.source = q->source,
				.has_address = q->by_address,
				.address = q->address,
				.outcome.dscp = -1 };
	if (q->from_vnid) {
		resolve_stranger(m, q, out);
		return;
	}
	from = resolve_source(m, q);
	if (!from || (q->vnid && q->vnid != from->o.net->o.id))
		return;
	out->source = from->o.id;
	out->vnid = from->o.net->o.id;
	out->sequence = from->o.net->revision;
	to = find_destination(m, from->o.net, q);
	if (!to || !may_meet(from, to)) {
		answer_nobody(m, from->o.net, q, out);
		return;
	}
	if (model_is_foreign(to->o.net)) {
		out->beyond = to->o.net->o.id;
		answer_pair(from, to, q, out);
		return;
	}
	out->destination = to;
	out->host = model_host_of(m, to);
	if (!q->by_address && !model_is_external(to) && to->o.spec->u.endpoint.n_addresses) {
		out->has_address = true;
		out->address = to->o.spec->u.endpoint.addresses[0];
	}
	answer_pair(from, to, q, out);
}

/* From the class to the path that is laid out for it: the physical network's word goes first. */
static void lay_out(const struct model *m, struct outcome *out)
{
	const struct object *path = out->class ? model_find(m, KIND_UNDERLAY_PATH, out->class) : NULL;

	if (!path)
		return;
	out->vlan = path->spec->u.underlay.vlan;
	out->labels = path->spec->u.underlay.labels;
	out->routers = path->spec->u.underlay.routers;
	if (path->spec->u.underlay.dscp >= 0)
		out->dscp = path->spec->u.underlay.dscp;
}

void resolve(struct model *m, const struct question *q, struct answer *out)
{
	resolve_key(m, q, out);
	lay_out(m, &out->outcome);
	for (size_t i = 0; i < out->n_rules; i++)
		lay_out(m, &out->rules[i].outcome);
}

/*
 * A source that is not ours is another authority's: which of its networks the
 * packet does not say. That it came under the policy is enough, if this still
 * lets one of them in.
 */
static void resolve_checked(struct model *m, const struct question *question, const struct network *net,
			    struct check *check)
{
	struct question q = *question;

	resolve(m, &q, &check->answer);
	for (size_t i = 0; net && !model_party(m, q.source) && i < net->n_joints; i++) {
		const struct network *from = net->joints[i].other;

		if (!model_is_foreign(from))
			continue;
		q.from_vnid = from->o.id;
		resolve(m, &q, &check->answer);
		if (check->answer.outcome.policy && check->answer.outcome.policy->o.id == check->policy)
			return;
	}
}

void resolve_check(struct model *m, const struct question *q, struct check *check)
{
	const struct network *net = model_network(m, check->vnid);
	const struct answer *answer = &check->answer;
	const struct policy *p = model_policy(m, check->policy);
	uint64_t least;

	resolve_checked(m, q, net, check);
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
