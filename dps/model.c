// SPDX-License-Identifier: Apache-2.0
#include "dps/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "dps/order.h"

struct owner_key {
	uint32_t vnid; /* 0: the underlay */
	struct ip_addr addr;
};

struct owner {
	struct owner_key key;
	struct object *obj;
	UT_hash_handle hh;
};

struct group_id {
	char key[KEY_ROOM];
	uint32_t id;
	UT_hash_handle hh;
};

static const size_t sizes[KIND_COUNT] = {
	[KIND_NETWORK] = sizeof(struct network),   [KIND_HOST] = sizeof(struct host),
	[KIND_ENDPOINT] = sizeof(struct endpoint), [KIND_EXTERNAL] = sizeof(struct endpoint),
	[KIND_GROUP] = sizeof(struct object),	   [KIND_SERVICE] = sizeof(struct object),
	[KIND_POLICY] = sizeof(struct policy),	   [KIND_UNDERLAY_PATH] = sizeof(struct object),
};

void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
}

struct object *model_find(const struct model *m, enum kind kind, const char *key)
{
	struct object *obj;

	HASH_FIND_STR(m->by_key[kind], key, obj);
	return obj;
}

struct object *model_find_in(const struct model *m, enum kind kind, const char *network, const char *name)
{
	char key[KEY_ROOM];

	if ((size_t)snprintf(key, sizeof(key), "%s/%s", network, name) >= sizeof(key))
		return NULL;
	return model_find(m, kind, key);
}

static struct object *find_id(const struct model *m, enum kind kind, uint32_t id)
{
	struct object *obj;

	HASH_FIND(hh_id, m->by_id[kind], &id, sizeof(id), obj);
	return obj;
}

struct network *model_network(const struct model *m, uint32_t vnid)
{
	return (struct network *)find_id(m, KIND_NETWORK, vnid);
}

struct endpoint *model_endpoint(const struct model *m, uint32_t id)
{
	return (struct endpoint *)find_id(m, KIND_ENDPOINT, id);
}

struct endpoint *model_party(const struct model *m, uint32_t id)
{
	struct endpoint *ep = model_endpoint(m, id);

	return ep ? ep : (struct endpoint *)find_id(m, KIND_EXTERNAL, id);
}

struct endpoint *model_find_party(const struct model *m, const char *key)
{
	struct object *obj = model_find(m, KIND_ENDPOINT, key);

	return (struct endpoint *)(obj ? obj : model_find(m, KIND_EXTERNAL, key));
}

struct policy *model_policy(const struct model *m, uint32_t id)
{
	return (struct policy *)find_id(m, KIND_POLICY, id);
}

struct host *model_host(const struct model *m, uint32_t id)
{
	return (struct host *)find_id(m, KIND_HOST, id);
}

static struct owner *find_owner(const struct model *m, uint32_t vnid, const struct ip_addr *addr)
{
	struct owner_key key = { .vnid = vnid, .addr = *addr };
	struct owner *owner;

	HASH_FIND(hh, m->owners, &key, sizeof(key), owner);
	return owner;
}

struct endpoint *model_at(const struct model *m, uint32_t vnid, const struct ip_addr *addr)
{
	struct owner *owner = find_owner(m, vnid, addr);

	return owner && vnid ? (struct endpoint *)owner->obj : NULL;
}

bool model_is_gateway(const struct model *m, const struct network *net, const struct ip_addr *addr)
{
	const struct network_spec *spec = &net->o.spec->u.network;

	for (size_t i = 0; i < spec->n_subnets; i++)
		if (ip_equal(&spec->subnets[i].gateway, addr))
			return !model_at(m, net->o.id, addr);
	return false;
}

const struct subnet *model_subnet(const struct network *net, const struct ip_addr *addr)
{
	const struct network_spec *spec = &net->o.spec->u.network;

	for (size_t i = 0; i < spec->n_subnets; i++)
		if (ip_prefix_contains(&spec->subnets[i].prefix, addr))
			return &spec->subnets[i];
	return NULL;
}

const struct ip_addr *model_gateway(const struct model *m, const struct network *net,
				    const struct ip_addr *addr)
{
	const struct subnet *subnet = model_subnet(net, addr);

	return subnet && !model_at(m, net->o.id, &subnet->gateway) ? &subnet->gateway : NULL;
}

struct endpoint *model_external(const struct network *net, const struct ip_addr *addr)
{
	struct object *obj, *found = NULL;
	int longest = -1;

	DL_FOREACH (net->externals, obj) {
		const struct external_spec *spec = &obj->spec->u.external;

		for (size_t i = 0; i < spec->n_prefixes; i++)
			if (spec->prefixes[i].bits > longest &&
			    ip_prefix_contains(&spec->prefixes[i], addr)) {
				longest = spec->prefixes[i].bits;
				found = obj;
			}
	}
	return (struct endpoint *)found;
}

bool model_is_foreign(const struct network *net)
{
	return net->o.spec && net->o.spec->u.network.foreign;
}

bool model_is_external(const struct endpoint *ep)
{
	return ep->o.kind == KIND_EXTERNAL;
}

bool model_is_edge(const struct host *host, const struct object *ext)
{
	const char *gateway = ext->spec->u.external.gateway;

	return gateway && !strcmp(gateway, host->o.key);
}

struct host *model_host_of(const struct model *m, const struct endpoint *ep)
{
	const char *gateway;

	if (!model_is_external(ep))
		return ep->place.host;
	gateway = ep->o.spec->u.external.gateway;
	return gateway ? (struct host *)model_find(m, KIND_HOST, gateway) : NULL;
}

struct object *model_own(struct model *m, uint32_t vnid, const struct ip_addr *addr, struct object *obj)
{
	struct owner *owner = find_owner(m, vnid, addr);

	if (owner)
		return owner->obj;
	owner = mem_alloc(sizeof(*owner));
	owner->key.vnid = vnid;
	owner->key.addr = *addr;
	owner->obj = obj;
	HASH_ADD(hh, m->owners, key, sizeof(owner->key), owner);
	return NULL;
}

void model_disown(struct model *m, uint32_t vnid, const struct ip_addr *addr)
{
	struct owner *owner = find_owner(m, vnid, addr);

	if (!owner)
		return;
	HASH_DEL(m->owners, owner);
	free(owner);
}

struct ip_addr model_mac_key(const struct mac_addr *mac)
{
	struct ip_addr key = { { 0xff } }; /* a multicast prefix: no endpoint's address */

	memcpy(key.b + 10, mac->b, sizeof(mac->b));
	return key;
}

uint32_t model_group_id(struct model *m, const char *network, const char *name)
{
	struct group_id *group;
	char key[KEY_ROOM];

	snprintf(key, sizeof(key), "%s/%s", network, name);
	HASH_FIND_STR(m->groups, key, group);
	if (!group) {
		group = mem_alloc(sizeof(*group));
		snprintf(group->key, sizeof(group->key), "%s", key);
		group->id = ++m->last_group;
		HASH_ADD_STR(m->groups, key, group);
	}
	return group->id;
}

/* The list of its network that an object of this kind is on. */
static struct object **list_of(struct object *obj)
{
	switch (obj->kind) {
	case KIND_ENDPOINT:
		return &obj->net->endpoints;
	case KIND_EXTERNAL:
		return &obj->net->externals;
	case KIND_GROUP:
		return &obj->net->groups;
	case KIND_POLICY:
		return &obj->net->policies;
	case KIND_NETWORK:
	case KIND_HOST:
	case KIND_SERVICE:
	case KIND_UNDERLAY_PATH:
	case KIND_COUNT:
		break;
	}
	return NULL;
}

static void count_policies(struct object *obj, int change)
{
	if (obj->kind != KIND_POLICY)
		return;
	obj->net->n_policies += change;
	obj->net->order_stale = true;
}

void model_list(struct model *m, struct object *obj)
{
	struct object **list = list_of(obj);

	HASH_ADD_STR(m->by_key[obj->kind], key, obj);
	HASH_ADD(hh_id, m->by_id[obj->kind], id, sizeof(obj->id), obj);
	if (list)
		DL_APPEND(*list, obj);
	count_policies(obj, 1);
}

void model_unlist(struct model *m, struct object *obj)
{
	struct object **list = list_of(obj);

	HASH_DEL(m->by_key[obj->kind], obj);
	HASH_DELETE(hh_id, m->by_id[obj->kind], obj);
	if (list)
		DL_DELETE(*list, obj);
	count_policies(obj, -1);
}

static uint32_t next_id(struct model *m, enum kind kind)
{
	uint32_t last = kind == KIND_NETWORK ? VNID_MAX : UINT32_MAX;
	uint32_t *count = &m->last_id[kind == KIND_EXTERNAL ? KIND_ENDPOINT : kind], id;

	if (m->next_id)
		id = m->next_id(m->next_id_arg, kind, *count);
	else
		id = *count < last ? *count + 1 : 0;
	if (id)
		*count = id;
	return id;
}

static void init_network(struct network *net)
{
	net->stranger.o.kind = KIND_ENDPOINT;
	net->stranger.o.net = net;
}

struct object *model_create(struct model *m, enum kind kind, const char *key, struct network *net,
			    uint32_t id)
{
	struct object *obj;

	if (!id)
		id = next_id(m, kind);
	if (!id)
		return NULL;
	obj = mem_alloc(sizes[kind]);
	obj->kind = kind;
	obj->id = id;
	obj->net = net;
	obj->made_by = m->serial;
	if (kind == KIND_NETWORK)
		init_network((struct network *)obj);
	snprintf(obj->key, sizeof(obj->key), "%s", key);
	model_list(m, obj);
	return obj;
}

void model_bury(struct model *m, struct policy *p)
{
	struct object *obj = &p->o;

	HASH_ADD(hh_id, m->by_id[KIND_POLICY], id, sizeof(obj->id), obj);
	DL_APPEND(obj->net->tombstones, obj);
}

static void free_network(struct model *m, struct network *net)
{
	struct object *obj, *tmp;

	DL_FOREACH_SAFE(net->tombstones, obj, tmp)
	model_destroy(m, obj);
	order_free(net->order);
	free(net->joints);
}

void model_destroy(struct model *m, struct object *obj)
{
	if (obj->kind == KIND_POLICY && !obj->spec && find_id(m, KIND_POLICY, obj->id) == obj) {
		HASH_DELETE(hh_id, m->by_id[KIND_POLICY], obj);
		DL_DELETE(obj->net->tombstones, obj);
	}
	if (obj->kind == KIND_NETWORK)
		free_network(m, (struct network *)obj);
	if (obj->kind == KIND_ENDPOINT)
		idset_free(&((struct endpoint *)obj)->groups);
	objects_free(obj->spec);
	free(obj);
}

void model_set_place(struct endpoint *ep, const struct place *place)
{
	if (ep->place.host)
		DL_DELETE(ep->place.host->endpoints, ep);
	ep->place = *place;
	if (ep->place.host)
		DL_APPEND(ep->place.host->endpoints, ep);
}

static struct joint *find_joint(const struct network *a, const struct network *b)
{
	for (size_t i = 0; i < a->n_joints; i++)
		if (a->joints[i].other == b)
			return &a->joints[i];
	return NULL;
}

bool model_joined(const struct network *a, const struct network *b)
{
	return a == b || find_joint(a, b);
}

static void join_one(struct model *m, struct network *a, struct network *b)
{
	struct joint *joint = find_joint(a, b);

	if (!joint) {
		a->joined_by = m->serial;
		a->joints = mem_resize(a->joints, a->n_joints + 1, sizeof(*a->joints));
		joint = &a->joints[a->n_joints++];
		*joint = (struct joint){ .other = b };
	}
	joint->policies++;
}

static void part_one(struct model *m, struct network *a, struct network *b)
{
	struct joint *joint = find_joint(a, b);

	if (--joint->policies)
		return;
	a->joined_by = m->serial;
	*joint = a->joints[--a->n_joints];
}

void model_join(struct model *m, struct network *a, struct network *b)
{
	join_one(m, a, b);
	join_one(m, b, a);
}

void model_part(struct model *m, struct network *a, struct network *b)
{
	part_one(m, a, b);
	part_one(m, b, a);
}

void model_free_gone(struct model *m, struct gone *gone)
{
	DL_DELETE(m->gone, gone);
	free(gone->addresses);
	free(gone);
}

static void free_kind(struct model *m, enum kind kind)
{
	struct object *obj, *tmp;

	HASH_ITER (hh, m->by_key[kind], obj, tmp) {
		model_unlist(m, obj);
		model_destroy(m, obj);
	}
}

void model_free(struct model *m)
{
	struct gone *gone, *next_gone;
	struct owner *owner, *next_owner;
	struct group_id *group, *next_group;

	DL_FOREACH_SAFE(m->gone, gone, next_gone)
	model_free_gone(m, gone);
	for (int kind = KIND_COUNT - 1; kind >= 0; kind--)
		free_kind(m, kind);
	HASH_ITER (hh, m->owners, owner, next_owner) {
		HASH_DEL(m->owners, owner);
		free(owner);
	}
	HASH_ITER (hh, m->groups, group, next_group) {
		HASH_DEL(m->groups, group);
		free(group);
	}
}
