// SPDX-License-Identifier: Apache-2.0
/* Where things are, and whose an address is: endpoints, external networks, subnets, hosts, services. */
#include <string.h>
#include <utlist.h>

#include "dps/staleness_rules.h"

/* Services */

void staleness_service(struct txn *txn, const char *service)
{
	struct object *obj;

	for (obj = txn->m->by_key[KIND_POLICY]; obj; obj = obj->hh.next) {
		const struct names *path = &obj->spec->u.policy.path;

		for (size_t i = 0; i < path->n; i++)
			if (!strcmp(path->v[i], service))
				staleness_sequence(txn, obj);
	}
}

void staleness_instance(struct txn *txn, const struct endpoint *ep)
{
	struct object *obj;

	for (obj = txn->m->by_key[KIND_SERVICE]; obj; obj = obj->hh.next)
		if (idset_has(&obj->spec->u.service.ids, ep->o.id))
			staleness_service(txn, obj->key);
}

/* Endpoints */

/* The MAC is an address, too: it gives the link-local one. */
static bool addresses_equal(const struct endpoint_spec *a, const struct endpoint_spec *b)
{
	return !memcmp(&a->mac, &b->mac, sizeof(a->mac)) && a->n_addresses == b->n_addresses &&
	       (!a->n_addresses ||
		!memcmp(a->addresses, b->addresses, a->n_addresses * sizeof(*a->addresses)));
}

/* An address in no subnet is, or was, beyond an edge as well: this network's, or a joined one's. */
static void mark_holders(struct txn *txn, const struct network *net, const struct ip_addr *addr, bool lost)
{
	for (size_t i = 0; i <= net->n_joints; i++) {
		const struct network *one = i ? net->joints[i - 1].other : net;
		struct endpoint *holder = model_external(one, addr);

		if (holder)
			staleness_sequence(txn, &holder->o);
		if (holder && lost)
			staleness_floor(txn, &holder->o);
	}
}

static void mark_all_holders(struct txn *txn, const struct network *net, const struct endpoint_spec *spec,
			     bool lost)
{
	for (size_t i = 0; i < spec->n_addresses; i++)
		if (!ip_is_link_local(&spec->addresses[i]) && !model_subnet(net, &spec->addresses[i]))
			mark_holders(txn, net, &spec->addresses[i], lost);
}

void staleness_endpoint(struct txn *txn, struct change *change)
{
	const struct endpoint_spec *before = change->before ? &change->before->u.endpoint : NULL;
	const struct endpoint_spec *after = change->after ? &change->after->u.endpoint : NULL;
	bool same = before && after && addresses_equal(before, after);

	if (before && !same)
		mark_all_holders(txn, change->obj->net, before, true);
	if (!after)
		return;
	if (!same)
		mark_all_holders(txn, change->obj->net, after, false);
	staleness_sequence(txn, change->obj);
	if (!same)
		staleness_floor(txn, change->obj);
	if (before)
		staleness_instance(txn, (struct endpoint *)change->obj);
}

/* External networks, and subnets, which come first */

void staleness_externals(struct txn *txn, struct network *net)
{
	struct object *obj;

	txn_raise(txn, net);
	DL_FOREACH (net->externals, obj) {
		staleness_sequence(txn, obj);
		staleness_floor(txn, obj);
	}
}

static bool prefixes_equal(const struct external_spec *a, const struct external_spec *b)
{
	if (a->n_prefixes != b->n_prefixes)
		return false;
	for (size_t i = 0; i < a->n_prefixes; i++)
		if (!ip_prefix_equal(&a->prefixes[i], &b->prefixes[i]))
			return false;
	return true;
}

/* Has it a prefix around one of the other's, whose addresses fall to it when that goes? */
static bool surrounds(const struct external_spec *outer, const struct external_spec *inner)
{
	for (size_t i = 0; i < outer->n_prefixes; i++)
		for (size_t j = 0; j < inner->n_prefixes; j++)
			if (outer->prefixes[i].bits < inner->prefixes[j].bits &&
			    ip_prefix_contains(&outer->prefixes[i], &inner->prefixes[j].addr))
				return true;
	return false;
}

static void raise_heirs(struct txn *txn, const struct object *ext, const struct external_spec *before)
{
	struct object *obj;

	DL_FOREACH (ext->net->externals, obj)
		if (obj != ext && surrounds(&obj->spec->u.external, before)) {
			staleness_sequence(txn, obj);
			staleness_floor(txn, obj);
		}
}

void staleness_external(struct txn *txn, struct change *change)
{
	const struct external_spec *before = change->before ? &change->before->u.external : NULL;
	const struct external_spec *after = change->after ? &change->after->u.external : NULL;
	bool same = before && after && prefixes_equal(before, after);

	if (before && !same)
		raise_heirs(txn, change->obj, before);
	if (!after)
		return;
	staleness_sequence(txn, change->obj);
	if (!same)
		staleness_floor(txn, change->obj);
}

static bool subnets_equal(const struct network_spec *a, const struct network_spec *b)
{
	if (a->n_subnets != b->n_subnets)
		return false;
	for (size_t i = 0; i < a->n_subnets; i++)
		if (!ip_prefix_equal(&a->subnets[i].prefix, &b->subnets[i].prefix) ||
		    !ip_equal(&a->subnets[i].gateway, &b->subnets[i].gateway))
			return false;
	return true;
}

void staleness_network(struct txn *txn, struct change *change)
{
	struct network *net = (struct network *)change->obj;

	if (!change->before || !change->after ||
	    subnets_equal(&change->before->u.network, &change->after->u.network))
		return;
	staleness_externals(txn, net);
	for (size_t i = 0; i < net->n_joints; i++)
		staleness_externals(txn, net->joints[i].other);
}

static void mark_place(struct txn *txn, struct endpoint *ep)
{
	staleness_sequence(txn, &ep->o);
	staleness_instance(txn, ep);
}

void staleness_host(struct txn *txn, struct host *host)
{
	struct endpoint *ep;
	struct object *obj;

	DL_FOREACH (host->endpoints, ep)
		mark_place(txn, ep);
	for (obj = txn->m->by_key[KIND_EXTERNAL]; obj; obj = obj->hh.next)
		if (model_is_edge(host, obj))
			staleness_sequence(txn, obj);
}

/* The host that it left may be a gateway: there its addresses in no subnet are beyond the edge now. */
void staleness_moved(struct txn *txn, struct endpoint *ep, const struct host *from)
{
	if (from == ep->place.host)
		return;
	mark_place(txn, ep);
	if (from)
		mark_all_holders(txn, ep->o.net, &ep->o.spec->u.endpoint, true);
}
