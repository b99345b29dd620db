// SPDX-License-Identifier: Apache-2.0
#include "dps/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

static void name_object(const struct object *obj, struct json_error *err)
{
	memset(err, 0, sizeof(*err));
	snprintf(err->object, sizeof(err->object), "%s %s", objects_kind_name(obj->kind), obj->key);
}

/* Addresses and their owners */

struct claims {
	uint32_t vnid;
	const struct ip_addr *addresses;
	size_t n;
};

static struct claims claims_of(const struct object *obj)
{
	if (obj->kind == KIND_ENDPOINT)
		return (struct claims){ obj->net->o.id, obj->spec->u.endpoint.addresses,
					obj->spec->u.endpoint.n_addresses };
	if (obj->kind == KIND_HOST)
		return (struct claims){ 0, obj->spec->u.host.addresses, obj->spec->u.host.n_addresses };
	return (struct claims){ 0 };
}

static int owned_already(const struct object *obj, const struct object *owner, size_t i,
			 const struct ip_addr *addr, struct json_error *err)
{
	char text[IP_TEXT];

	name_object(obj, err);
	if (owner == obj)
		json_fail_item(err, "addresses", i, "%s is there twice", ip_format(addr, text));
	else
		json_fail_item(err, "addresses", i, "%s is the address of %s %s", ip_format(addr, text),
			       objects_kind_name(owner->kind), owner->key);
	return -EEXIST;
}

static int own_mac(struct model *m, struct object *obj, struct json_error *err)
{
	struct ip_addr key = model_mac_key(&obj->spec->u.endpoint.mac);
	const struct object *owner = model_own(m, obj->net->o.id, &key, obj);
	char text[MAC_TEXT];

	if (!owner)
		return 0;
	name_object(obj, err);
	json_fail(err, "mac", "%s is the MAC address of endpoint %s",
		  mac_format(&obj->spec->u.endpoint.mac, text), owner->key);
	return -EEXIST;
}

/* The address that the MAC gives; the endpoint may list it, too. */
static int own_link_local(struct model *m, struct object *obj, struct json_error *err)
{
	struct ip_addr addr = ip_link_local(&obj->spec->u.endpoint.mac);
	const struct object *owner = model_own(m, obj->net->o.id, &addr, obj);
	char text[IP_TEXT];

	if (!owner || owner == obj)
		return 0;
	name_object(obj, err);
	json_fail(err, "mac", "its link-local address %s is an address of endpoint %s",
		  ip_format(&addr, text), owner->key);
	return -EEXIST;
}

static void disown_mac(struct model *m, struct object *obj)
{
	struct ip_addr key = model_mac_key(&obj->spec->u.endpoint.mac);

	model_disown(m, obj->net->o.id, &key);
}

static void disown_link_local(struct model *m, struct object *obj)
{
	struct ip_addr addr = ip_link_local(&obj->spec->u.endpoint.mac);

	model_disown(m, obj->net->o.id, &addr);
}

static void disown_first(struct model *m, const struct claims *claims, size_t n)
{
	for (size_t i = 0; i < n; i++)
		model_disown(m, claims->vnid, &claims->addresses[i]);
}

static int own_all(struct model *m, struct object *obj, const struct claims *claims, struct json_error *err)
{
	for (size_t i = 0; i < claims->n; i++) {
		const struct object *owner = model_own(m, claims->vnid, &claims->addresses[i], obj);

		if (owner) {
			disown_first(m, claims, i);
			return owned_already(obj, owner, i, &claims->addresses[i], err);
		}
	}
	return 0;
}

/* By its MAC, too: the MAC itself, and its link-local address. */
static int own_by_mac(struct model *m, struct object *obj, struct json_error *err)
{
	int rc = own_mac(m, obj, err);

	if (rc)
		return rc;
	rc = own_link_local(m, obj, err);
	if (rc)
		disown_mac(m, obj);
	return rc;
}

int link_index(struct model *m, struct object *obj, struct json_error *err)
{
	struct claims claims = claims_of(obj);
	int rc = own_all(m, obj, &claims, err);

	if (rc || obj->kind != KIND_ENDPOINT)
		return rc;
	rc = own_by_mac(m, obj, err);
	if (rc)
		disown_first(m, &claims, claims.n);
	return rc;
}

void link_unindex(struct model *m, struct object *obj)
{
	struct claims claims = claims_of(obj);

	disown_first(m, &claims, claims.n);
	if (obj->kind != KIND_ENDPOINT)
		return;
	disown_mac(m, obj);
	disown_link_local(m, obj);
}

/* Endpoints and the subnets of their network */

static const char *misfit(const struct network *net, const struct ip_addr *addr)
{
	struct ip_addr gateway = ip_link_local(&gateway_mac);
	const struct subnet *subnet;

	if (ip_is_link_local(addr))
		return ip_equal(addr, &gateway) ? "is the gateway" : NULL;
	subnet = model_subnet(net, addr);
	if (!subnet)
		return net->o.spec->u.network.n_subnets ? "is in none of the subnets" : NULL;
	return subnet->named && ip_equal(&subnet->gateway, addr) ? "is the gateway" : NULL;
}

static int check_addresses(struct object *obj, struct json_error *err)
{
	const struct endpoint_spec *ep = &obj->spec->u.endpoint;
	char text[IP_TEXT];

	for (size_t i = 0; i < ep->n_addresses; i++) {
		const char *why = misfit(obj->net, &ep->addresses[i]);

		if (!why)
			continue;
		name_object(obj, err);
		return json_fail_item(err, "addresses", i, "%s %s of network %s",
				      ip_format(&ep->addresses[i], text), why, obj->net->o.key);
	}
	return 0;
}

static const struct subnet *find_overlap(const struct network_spec *a, const struct network_spec *b)
{
	for (size_t i = 0; i < a->n_subnets; i++)
		for (size_t j = 0; j < b->n_subnets; j++) {
			const struct ip_prefix *p = &a->subnets[i].prefix;
			const struct ip_prefix *q = &b->subnets[j].prefix;

			if (ip_prefix_contains(p, &q->addr) || ip_prefix_contains(q, &p->addr))
				return &a->subnets[i];
		}
	return NULL;
}

static int check_apart(const struct object *obj, const char *field, const struct network *a,
		       const struct network *b, struct json_error *err)
{
	if (a == b || !find_overlap(&a->o.spec->u.network, &b->o.spec->u.network))
		return 0;
	name_object(obj, err);
	json_fail(err, field, "networks %s and %s have overlapping subnets and cannot be joined", a->o.key,
		  b->o.key);
	return -EEXIST;
}

static int resolve_network(struct object *obj, struct json_error *err)
{
	struct network *net = (struct network *)obj;
	struct object *ep;
	int rc;

	DL_FOREACH (net->endpoints, ep) {
		const struct endpoint_spec *spec = &ep->spec->u.endpoint;

		for (size_t i = 0; i < spec->n_addresses; i++)
			if (misfit(net, &spec->addresses[i])) {
				name_object(obj, err);
				json_fail(err, "subnets", "endpoint %s would not fit any more", ep->key);
				return -EEXIST;
			}
	}
	for (size_t i = 0; i < net->n_joints; i++) {
		rc = check_apart(obj, "subnets", net, net->joints[i].other, err);
		if (rc)
			return rc;
	}
	return 0;
}

/* Prefixes, each of one external network only */

static const struct object *find_twin(const struct object *obj, const struct ip_prefix *prefix)
{
	const struct object *other;

	DL_FOREACH (obj->net->externals, other) {
		const struct external_spec *spec = &other->spec->u.external;

		for (size_t i = 0; other != obj && i < spec->n_prefixes; i++)
			if (ip_prefix_equal(&spec->prefixes[i], prefix))
				return other;
	}
	return NULL;
}

static int check_prefixes(const struct object *obj, struct json_error *err)
{
	const struct external_spec *spec = &obj->spec->u.external;
	char text[IP_PREFIX_TEXT];

	for (size_t i = 0; i < spec->n_prefixes; i++) {
		const struct object *twin = find_twin(obj, &spec->prefixes[i]);

		if (!twin)
			continue;
		name_object(obj, err);
		json_fail_item(err, "prefixes", i, "%s is a prefix of external %s",
			       ip_prefix_format(&spec->prefixes[i], text), twin->key);
		return -EEXIST;
	}
	return 0;
}

/* References by name */

static int resolve_names(struct model *m, const struct object *obj, const struct network *net,
			 const struct names *names, const char *field, struct idset *out,
			 struct json_error *err)
{
	idset_free(out);
	for (size_t i = 0; i < names->n; i++) {
		const struct object *ep = net ? model_find_in(m, KIND_ENDPOINT, net->o.key, names->v[i])
					      : model_find(m, KIND_ENDPOINT, names->v[i]);

		if (!ep) {
			name_object(obj, err);
			return net ? json_fail_item(err, field, i, "'%s' is not an endpoint of network %s",
						    names->v[i], net->o.key)
				   : json_fail_item(err, field, i, "'%s' is not an endpoint", names->v[i]);
		}
		idset_add(out, ep->id);
	}
	return 0;
}

static int resolve_external_name(const struct model *m, const struct object *obj, struct selector *sel,
				 const char *side, struct json_error *err)
{
	const struct object *ext;
	char field[32];

	if (!sel->external)
		return 0;
	ext = model_find_in(m, KIND_EXTERNAL, obj->net->o.key, sel->external);
	if (ext) {
		idset_add(&sel->ids, ext->id);
		return 0;
	}
	name_object(obj, err);
	snprintf(field, sizeof(field), "%s.external", side);
	return json_fail(err, field, "no such external network '%s' of network %s", sel->external,
			 obj->net->o.key);
}

static int resolve_selector(struct model *m, const struct object *obj, struct selector *sel, const char *side,
			    struct json_error *err)
{
	char field[32];
	int rc;

	sel->net = obj->net;
	if (sel->network)
		sel->net = (struct network *)model_find(m, KIND_NETWORK, sel->network);
	snprintf(field, sizeof(field), "%s.network", side);
	if (!sel->net) {
		name_object(obj, err);
		return json_fail(err, field, "no such network '%s'", sel->network);
	}
	idset_free(&sel->group_ids);
	for (size_t i = 0; i < sel->groups.n; i++)
		idset_add(&sel->group_ids, model_group_id(m, sel->net->o.key, sel->groups.v[i]));
	snprintf(field, sizeof(field), "%s.endpoints", side);
	rc = resolve_names(m, obj, sel->net, &sel->endpoints, field, &sel->ids, err);
	return rc ? rc : resolve_external_name(m, obj, sel, side, err);
}

static int resolve_path(const struct model *m, const struct object *obj, struct json_error *err)
{
	const struct names *path = &obj->spec->u.policy.path;

	for (size_t i = 0; i < path->n; i++)
		if (!model_find(m, KIND_SERVICE, path->v[i])) {
			name_object(obj, err);
			return json_fail_item(err, "path", i, "no such service '%s'", path->v[i]);
		}
	return 0;
}

/*
 * What comes out of an appliance is known by its port and flow: a packet that
 * went in twice, for two services, could not be told from one that went in once.
 */
static int check_instances(const struct model *m, const struct object *obj, size_t ports,
			   struct json_error *err)
{
	const struct idset *ids = &obj->spec->u.service.ids;
	const struct object *other;

	if (ids->n < ports) {
		name_object(obj, err);
		return json_fail(err, "instances", "an endpoint is a port of two instances");
	}
	for (other = m->by_key[KIND_SERVICE]; other; other = other->hh.next) {
		if (other == obj || !idset_meets(ids, &other->spec->u.service.ids))
			continue;
		name_object(obj, err);
		return json_fail(err, "instances", "an endpoint gives service %s already", other->key);
	}
	return 0;
}

static int resolve_service(struct model *m, const struct object *obj, struct json_error *err)
{
	struct service_spec *service = &obj->spec->u.service;
	int rc = resolve_names(m, obj, NULL, &service->instances, "instances", &service->ids, err);
	size_t ports = service->instances.n;

	for (size_t i = 0; !rc && i < service->instances.n; i++) {
		const char *out = service->more[i].out;
		const struct object *ep = out ? model_find(m, KIND_ENDPOINT, out) : NULL;

		if (out && !ep) {
			name_object(obj, err);
			return json_fail_item(err, "instances", i, "'%s' is not an endpoint", out);
		}
		if (ep)
			idset_add(&service->ids, ep->id);
		ports += ep != NULL;
	}
	return rc ? rc : check_instances(m, obj, ports, err);
}

static bool is_foreign(const struct selector *sel, const struct network *net)
{
	return !sel->any && sel->net != net;
}

static int resolve_policy(struct model *m, struct object *obj, struct json_error *err)
{
	struct policy_spec *p = &obj->spec->u.policy;
	int rc = resolve_selector(m, obj, &p->from, "from", err);

	rc = rc ? rc : resolve_selector(m, obj, &p->to, "to", err);
	rc = rc ? rc : resolve_path(m, obj, err);
	if (rc)
		return rc;
	if (is_foreign(&p->from, obj->net) && is_foreign(&p->to, obj->net)) {
		name_object(obj, err);
		return json_fail(err, "to.network", "neither side is of network %s", obj->net->o.key);
	}
	rc = check_apart(obj, "from.network", p->from.net, obj->net, err);
	rc = rc ? rc : check_apart(obj, "to.network", p->to.net, obj->net, err);
	if (rc)
		return rc;
	if (p->from.net != obj->net)
		model_join(m, obj->net, p->from.net);
	if (p->to.net != obj->net)
		model_join(m, obj->net, p->to.net);
	return 0;
}

void link_release(struct model *m, struct object *obj)
{
	struct policy_spec *p = &obj->spec->u.policy;

	if (obj->kind != KIND_POLICY)
		return;
	if (p->from.net != obj->net)
		model_part(m, obj->net, p->from.net);
	if (p->to.net != obj->net)
		model_part(m, obj->net, p->to.net);
}

int link_resolve(struct model *m, struct object *obj, struct json_error *err)
{
	struct spec *spec = obj->spec;

	switch (obj->kind) {
	case KIND_NETWORK:
		return resolve_network(obj, err);
	case KIND_ENDPOINT:
		return check_addresses(obj, err);
	case KIND_EXTERNAL:
		return check_prefixes(obj, err);
	case KIND_GROUP:
		return resolve_names(m, obj, obj->net, &spec->u.group.endpoints, "endpoints",
				     &spec->u.group.ids, err);
	case KIND_SERVICE:
		return resolve_service(m, obj, err);
	case KIND_POLICY:
		return resolve_policy(m, obj, err);
	case KIND_HOST:
	case KIND_UNDERLAY_PATH:
	case KIND_COUNT:
		break;
	}
	return 0;
}

void link_groups(struct model *m, const struct endpoint *ep, struct idset *out)
{
	const struct names *own = &ep->o.spec->u.endpoint.groups;
	const struct object *group;

	for (size_t i = 0; i < own->n; i++)
		idset_add(out, model_group_id(m, ep->o.net->o.key, own->v[i]));
	DL_FOREACH (ep->o.net->groups, group)
		if (group->spec && idset_has(&group->spec->u.group.ids, ep->o.id))
			idset_add(out, model_group_id(m, ep->o.net->o.key, group->spec->name));
}

/* Who refers to an object */

static bool names_has(const struct names *names, const char *name)
{
	for (size_t i = 0; i < names->n; i++)
		if (!strcmp(names->v[i], name))
			return true;
	return false;
}

static bool policy_names(const struct policy_spec *p, const struct object *obj)
{
	switch (obj->kind) {
	case KIND_NETWORK:
		return &p->from.net->o == obj || &p->to.net->o == obj;
	case KIND_ENDPOINT:
	case KIND_EXTERNAL:
		return idset_has(&p->from.ids, obj->id) || idset_has(&p->to.ids, obj->id);
	case KIND_SERVICE:
		return names_has(&p->path, obj->key);
	case KIND_GROUP:
	case KIND_HOST:
	case KIND_POLICY:
	case KIND_UNDERLAY_PATH:
	case KIND_COUNT:
		break;
	}
	return false;
}

static bool refers(const struct object *from, const struct object *obj)
{
	switch (from->kind) {
	case KIND_POLICY:
		if (strcmp(from->spec->name, DEFAULT_POLICY) == 0)
			return false;
		return policy_names(&from->spec->u.policy, obj) || &from->net->o == obj;
	case KIND_SERVICE:
		return obj->kind == KIND_ENDPOINT && idset_has(&from->spec->u.service.ids, obj->id);
	case KIND_GROUP:
		return &from->net->o == obj ||
		       (obj->kind == KIND_ENDPOINT && idset_has(&from->spec->u.group.ids, obj->id));
	case KIND_EXTERNAL:
		return &from->net->o == obj;
	case KIND_ENDPOINT:
		return &from->net->o == obj ||
		       (const struct object *)((const struct endpoint *)from)->place.host == obj;
	case KIND_NETWORK:
	case KIND_HOST:
	case KIND_UNDERLAY_PATH:
	case KIND_COUNT:
		break;
	}
	return false;
}

const struct object *link_referrer(const struct model *m, const struct object *obj)
{
	const struct object *from;

	if (obj->kind == KIND_POLICY || obj->kind == KIND_GROUP)
		return NULL;
	for (int kind = 0; kind < KIND_COUNT; kind++)
		for (from = m->by_key[kind]; from; from = from->hh.next)
			if (from != obj && refers(from, obj))
				return from;
	return NULL;
}
