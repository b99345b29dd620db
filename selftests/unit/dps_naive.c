// SPDX-License-Identifier: Apache-2.0
#include "dps_naive.h"

#include <stdio.h>
#include <string.h>

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
	if (ep->o.kind == KIND_EXTERNAL)
		return sel->external && !strcmp(sel->external, ep->o.spec->name);
	if (!sel->endpoints.n && !sel->groups.n && !sel->external)
		return true;
	for (size_t i = 0; i < sel->groups.n; i++)
		if (is_member(w, ep, sel->groups.v[i]))
			return true;
	return is_named(&sel->endpoints, ep->o.spec->name);
}

static bool means(struct world *w, const struct network *net, const struct object *policy,
		  const struct endpoint *from, const struct endpoint *to)
{
	const struct policy_spec *p = &policy->spec->u.policy;

	return policy != &net->fallback->o && is_meant(w, policy, &p->from, from) &&
	       is_meant(w, policy, &p->to, to);
}

static bool is_before(const struct object *a, const struct object *b)
{
	const struct policy_spec *p = &a->spec->u.policy, *q = &b->spec->u.policy;

	if (p->priority != q->priority)
		return p->priority > q->priority;
	if (p->allow != q->allow)
		return !p->allow;
	if (p->reject != q->reject)
		return !p->reject;
	return strcmp(a->spec->name, b->spec->name) < 0;
}

void naive_add(char *path, const char *service)
{
	char token[64];

	snprintf(token, sizeof(token), "%s,", service);
	if (!strstr(path, token))
		strcat(path, token);
}

bool naive_same(const struct decision *a, const struct decision *b)
{
	return a->allow == b->allow && (!a->allow || !strcmp(a->path, b->path));
}

/* The policies that match, first match first. */
static size_t find_hits(struct world *w, const struct network *net, const struct endpoint *from,
			const struct endpoint *to, const struct flow_box *packet, const struct object **hits)
{
	const struct object *obj;
	size_t n = 0;

	for (obj = net->policies; obj; obj = obj->next) {
		size_t i = n;

		if (!means(w, net, obj, from, to) || !flow_contains(&obj->spec->u.policy.match, packet))
			continue;
		for (; i > 0 && is_before(obj, hits[i - 1]); i--)
			hits[i] = hits[i - 1];
		hits[i] = obj;
		n++;
	}
	return n;
}

/* One network's word; its services come after those that *out has already. */
static void judge(struct world *w, const struct network *net, const struct endpoint *from,
		  const struct endpoint *to, const struct flow_box *packet, struct decision *out)
{
	const struct object *hits[64];
	size_t n = find_hits(w, net, from, to, packet, hits);
	bool is_inner = from->o.net == to->o.net && from->o.kind == to->o.kind;

	out->policy = n ? hits[0]->id : net->fallback->o.id;
	out->allow = n ? hits[0]->spec->u.policy.allow : is_inner && net->o.spec->u.network.allow;
	out->denied = n && !out->allow;
	out->reject = n ? hits[0]->spec->u.policy.reject : is_inner && net->o.spec->u.network.reject;
	out->reply = out->allow && (!n || hits[0]->spec->u.policy.reply);
	for (size_t i = 0; out->allow && i < n; i++) {
		const struct policy_spec *p = &hits[i]->spec->u.policy;

		for (size_t j = 0; p->allow && j < p->path.n; j++)
			naive_add(out->path, p->path.v[j]);
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

static bool are_joined(const struct network *a, const struct network *b)
{
	return a == b || names_network(a, b) || names_network(b, a);
}

struct decision naive_decide(struct world *w, const struct endpoint *from, const struct endpoint *to,
			     const struct flow_box *packet)
{
	struct network *source = from->o.net, *destination = to->o.net;
	struct decision first = { .dscp = -1 }, both, none = { .denied = true, .dscp = -1 };
	int externals = (from->o.kind == KIND_EXTERNAL) + (to->o.kind == KIND_EXTERNAL);

	if (externals == 2 || !are_joined(source, destination))
		return none;
	judge(w, source, from, to, packet, &first);
	first.remember = first.reply && (externals || !source->o.spec->u.network.allow || *first.path);
	if (source == destination)
		return first;
	both = first;
	judge(w, destination, from, to, packet, &both);
	both.denied |= first.denied;
	both.reply &= first.reply;
	both.remember = both.reply;
	if (!first.allow) {
		both.allow = false;
		both.reject = first.reject;
		both.policy = first.policy;
	}
	return both;
}

static bool has_replying(struct world *w, const struct network *net, const struct endpoint *from,
			 const struct endpoint *to)
{
	for (const struct object *obj = net->policies; obj; obj = obj->next) {
		const struct policy_spec *p = &obj->spec->u.policy;

		if (means(w, net, obj, from, to) && p->allow && p->reply)
			return true;
	}
	return false;
}

bool naive_may_reply(struct world *w, const struct endpoint *from, const struct endpoint *to)
{
	return has_replying(w, from->o.net, from, to) && has_replying(w, to->o.net, from, to);
}

/* Addresses */

static const struct endpoint *find_listed(struct world *w, const struct network *net,
					  const struct ip_addr *addr)
{
	for (struct object *obj = w->m.by_key[KIND_ENDPOINT]; obj; obj = obj->hh.next) {
		const struct endpoint_spec *spec = &obj->spec->u.endpoint;
		struct ip_addr own = ip_link_local(&spec->mac);
		bool has = ip_equal(&own, addr);

		for (size_t i = 0; i < spec->n_addresses; i++)
			has |= ip_equal(&spec->addresses[i], addr);
		if (has && obj->net == net)
			return (struct endpoint *)obj;
	}
	return NULL;
}

static bool is_in_subnet(const struct network *net, const struct ip_addr *addr)
{
	const struct network_spec *spec = &net->o.spec->u.network;

	for (size_t i = 0; i < spec->n_subnets; i++)
		if (ip_prefix_contains(&spec->subnets[i].prefix, addr))
			return true;
	return false;
}

const struct endpoint *naive_beyond(struct world *w, const struct network *net, const struct ip_addr *addr)
{
	const struct object *obj, *found = NULL;
	int longest = -1;

	for (obj = w->m.by_key[KIND_NETWORK]; obj; obj = obj->hh.next)
		if (are_joined(net, (const struct network *)obj) &&
		    is_in_subnet((const struct network *)obj, addr))
			return NULL;
	for (obj = w->m.by_key[KIND_EXTERNAL]; obj; obj = obj->hh.next)
		for (size_t i = 0; obj->net == net && i < obj->spec->u.external.n_prefixes; i++) {
			const struct ip_prefix *prefix = &obj->spec->u.external.prefixes[i];

			if (!ip_prefix_contains(prefix, addr) || prefix->bits <= longest)
				continue;
			longest = prefix->bits;
			found = obj;
		}
	return (const struct endpoint *)found;
}

const struct endpoint *naive_find(struct world *w, const struct network *net, const struct ip_addr *addr)
{
	const struct endpoint *found = find_listed(w, net, addr);

	for (struct object *obj = w->m.by_key[KIND_NETWORK]; obj && !found; obj = obj->hh.next)
		if (are_joined(net, (struct network *)obj))
			found = find_listed(w, (struct network *)obj, addr);
	return found ? found : naive_beyond(w, net, addr);
}

bool naive_is_gateway(struct world *w, const struct network *net, const struct ip_addr *addr)
{
	for (struct object *obj = w->m.by_key[KIND_NETWORK]; obj; obj = obj->hh.next) {
		const struct network_spec *spec = &obj->spec->u.network;

		for (size_t i = 0; i < spec->n_subnets; i++)
			if (are_joined(net, (struct network *)obj) &&
			    ip_equal(&spec->subnets[i].gateway, addr))
				return true;
	}
	return false;
}
