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
	if (!sel->endpoints.n && !sel->groups.n)
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
	bool is_inner = from->o.net == to->o.net;

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

struct decision naive_decide(struct world *w, const struct endpoint *from, const struct endpoint *to,
			     const struct flow_box *packet)
{
	struct network *source = from->o.net, *destination = to->o.net;
	struct decision first = { .dscp = -1 }, both, none = { .denied = true, .dscp = -1 };

	if (source != destination && !names_network(source, destination) &&
	    !names_network(destination, source))
		return none;
	judge(w, source, from, to, packet, &first);
	first.remember = first.reply && !source->o.spec->u.network.allow;
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
