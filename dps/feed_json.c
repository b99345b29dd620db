// SPDX-License-Identifier: Apache-2.0
/* What a watch tells of hosts, policies, endpoints and networks, as JSON. */
#include <string.h>
#include <utlist.h>

#include "dps/feed.h"
#include "lib/domain.h"

cJSON *feed_host_json(const struct host *host)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddNumberToObject(out, "id", host->o.id);
	cJSON_AddStringToObject(out, "name", host->o.key);
	cJSON_AddItemToObject(
		out, "addresses",
		objects_addresses_json(host->o.spec->u.host.addresses, host->o.spec->u.host.n_addresses));
	return out;
}

cJSON *feed_policy_json(const struct object *obj)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddNumberToObject(out, "id", obj->id);
	cJSON_AddStringToObject(out, "name", strchr(obj->key, '/') + 1);
	cJSON_AddNumberToObject(out, "sequence", obj->sequence);
	cJSON_AddNumberToObject(out, "floor", obj->floor);
	cJSON_AddBoolToObject(out, "deleted", !obj->spec);
	if (obj->spec && obj->spec->u.policy.path.n && !obj->spec->u.policy.open)
		cJSON_AddTrueToObject(out, "through");
	return out;
}

void feed_add_addresses(cJSON *out, const struct model *m, const struct endpoint *ep)
{
	const struct endpoint_spec *spec = &ep->o.spec->u.endpoint;
	cJSON *gateways = cJSON_CreateArray();
	char text[IP_TEXT];

	for (size_t i = 0; i < spec->n_addresses; i++) {
		const struct ip_addr *gateway = model_gateway(m, ep->o.net, &spec->addresses[i]);

		cJSON_AddItemToArray(gateways, gateway ? cJSON_CreateString(ip_format(gateway, text))
						       : cJSON_CreateNull());
	}
	cJSON_AddItemToObject(out, "addresses", objects_addresses_json(spec->addresses, spec->n_addresses));
	cJSON_AddItemToObject(out, "gateways", gateways);
}

cJSON *feed_endpoint_json(const struct model *m, const struct endpoint *ep)
{
	const struct endpoint_spec *spec = &ep->o.spec->u.endpoint;
	cJSON *out = cJSON_CreateObject();
	char mac[MAC_TEXT];

	cJSON_AddNumberToObject(out, "id", ep->o.id);
	cJSON_AddStringToObject(out, "name", ep->o.spec->name);
	cJSON_AddStringToObject(out, "mac", mac_format(&spec->mac, mac));
	feed_add_addresses(out, m, ep);
	cJSON_AddNumberToObject(out, "sequence", ep->o.sequence);
	cJSON_AddNumberToObject(out, "floor", ep->o.floor);
	cJSON_AddNumberToObject(out, "place_revision", ep->place.revision);
	if (spec->rate_mbps)
		cJSON_AddNumberToObject(out, "rate_mbps", spec->rate_mbps);
	return out;
}

cJSON *feed_gone_json(const struct model *m, const struct gone *gone)
{
	const struct endpoint *ep = model_endpoint(m, gone->endpoint);
	const struct host *host = ep ? ep->place.host : NULL;
	cJSON *out = cJSON_CreateObject();

	cJSON_AddNumberToObject(out, "id", gone->endpoint);
	cJSON_AddItemToObject(out, "addresses", objects_addresses_json(gone->addresses, gone->n_addresses));
	if (host) {
		cJSON_AddStringToObject(out, "host", host->o.key);
		cJSON_AddItemToObject(out, "host_addresses",
				      objects_addresses_json(host->o.spec->u.host.addresses,
							     host->o.spec->u.host.n_addresses));
	} else {
		cJSON_AddNullToObject(out, "host");
		cJSON_AddItemToObject(out, "host_addresses", cJSON_CreateArray());
	}
	cJSON_AddNumberToObject(out, "revision", ep ? ep->place.revision : gone->revision);
	return out;
}

static bool is_in_subnet(const struct network *net, const struct ip_prefix *prefix)
{
	const struct subnet *subnet = model_subnet(net, &prefix->addr);

	return subnet && subnet->prefix.bits <= prefix->bits;
}

/* Subnets come first: a prefix wholly inside one means nothing, and is not told. */
static cJSON *outer_prefixes_json(const struct object *ext)
{
	const struct external_spec *spec = &ext->spec->u.external;
	cJSON *list = cJSON_CreateArray();
	char text[IP_PREFIX_TEXT];

	for (size_t i = 0; i < spec->n_prefixes; i++) {
		bool inside = is_in_subnet(ext->net, &spec->prefixes[i]);

		for (size_t j = 0; j < ext->net->n_joints; j++)
			inside |= is_in_subnet(ext->net->joints[j].other, &spec->prefixes[i]);
		if (!inside)
			cJSON_AddItemToArray(list,
					     cJSON_CreateString(ip_prefix_format(&spec->prefixes[i], text)));
	}
	return list;
}

static cJSON *external_json(const struct object *ext, const struct host *host)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddNumberToObject(out, "id", ext->id);
	cJSON_AddStringToObject(out, "name", ext->spec->name);
	cJSON_AddItemToObject(out, "prefixes", outer_prefixes_json(ext));
	cJSON_AddBoolToObject(out, "here", model_is_edge(host, ext));
	cJSON_AddNumberToObject(out, "sequence", ext->sequence);
	cJSON_AddNumberToObject(out, "floor", ext->floor);
	return out;
}

static void add_subnets(cJSON *list, const struct network *net)
{
	const struct network_spec *spec = &net->o.spec->u.network;
	char prefix[IP_PREFIX_TEXT], gateway[IP_TEXT];

	for (size_t i = 0; i < spec->n_subnets; i++) {
		cJSON *item = cJSON_CreateObject();

		cJSON_AddStringToObject(item, "prefix", ip_prefix_format(&spec->subnets[i].prefix, prefix));
		cJSON_AddStringToObject(item, "gateway", ip_format(&spec->subnets[i].gateway, gateway));
		cJSON_AddNumberToObject(item, "vnid", net->o.id);
		cJSON_AddItemToArray(list, item);
	}
}

/* What addresses mean where no endpoint has them: both lists are complete. */
void feed_add_map(cJSON *out, const struct network *net, const struct host *host)
{
	cJSON *list = cJSON_AddArrayToObject(out, "externals");
	const struct object *ext;

	DL_FOREACH (net->externals, ext)
		cJSON_AddItemToArray(list, external_json(ext, host));
	list = cJSON_AddArrayToObject(out, "subnets");
	add_subnets(list, net);
	for (size_t i = 0; i < net->n_joints; i++)
		add_subnets(list, net->joints[i].other);
}

static void add_port(cJSON *out, const char *field, const struct model *m, const char *endpoint)
{
	const struct object *ep = model_find(m, KIND_ENDPOINT, endpoint);

	if (ep)
		cJSON_AddNumberToObject(out, field, ep->id);
}

/* At a device with somebody behind it; an instance with two ports needs both, on one host. */
static bool is_attached(const struct model *m, const char *endpoint, const struct host *host)
{
	const struct endpoint *ep = (struct endpoint *)model_find(m, KIND_ENDPOINT, endpoint);

	return ep && host && ep->place.host == host && !ep->place.idle;
}

static cJSON *instance_json(const struct model *m, const struct service_spec *service, size_t i)
{
	const struct endpoint *ep = (struct endpoint *)model_find(m, KIND_ENDPOINT, service->instances.v[i]);
	const struct instance *more = &service->more[i];
	const struct host *host = ep ? ep->place.host : NULL;
	cJSON *out = cJSON_CreateObject();

	cJSON_AddStringToObject(out, "endpoint", service->instances.v[i]);
	add_port(out, "id", m, service->instances.v[i]);
	if (more->out)
		add_port(out, "out", m, more->out);
	cJSON_AddNumberToObject(out, "weight", more->weight);
	if (ep && ep->place.load.aside)
		cJSON_AddNumberToObject(out, "aside", ep->place.load.aside);
	cJSON_AddBoolToObject(out, "up",
			      !more->down && is_attached(m, service->instances.v[i], host) &&
				      (!more->out || is_attached(m, more->out, host)));
	cJSON_AddBoolToObject(out, "routed", more->routed || more->proxy);
	cJSON_AddBoolToObject(out, "proxy", more->proxy);
	if (more->unprobed)
		cJSON_AddBoolToObject(out, "probe", false);
	if (host)
		cJSON_AddStringToObject(out, "host", host->o.key);
	else
		cJSON_AddNullToObject(out, "host");
	cJSON_AddItemToObject(out, "host_addresses",
			      host ? objects_addresses_json(host->o.spec->u.host.addresses,
							    host->o.spec->u.host.n_addresses)
				   : cJSON_CreateArray());
	return out;
}

cJSON *feed_service_json(const struct model *m, const struct object *service)
{
	const struct service_spec *spec = &service->spec->u.service;
	cJSON *out = cJSON_CreateObject(), *instances;
	char name[FULL_NAME_ROOM];

	cJSON_AddNumberToObject(out, "id", service->id);
	cJSON_AddStringToObject(out, "name", domain_full(m->domain, service->key, name));
	instances = cJSON_AddArrayToObject(out, "instances");
	for (size_t i = 0; i < spec->instances.n; i++)
		cJSON_AddItemToArray(instances, instance_json(m, spec, i));
	return out;
}

cJSON *feed_services_json(const struct model *m)
{
	cJSON *list = cJSON_CreateArray();
	const struct object *obj;

	for (obj = m->by_key[KIND_SERVICE]; obj; obj = obj->hh.next)
		cJSON_AddItemToArray(list, feed_service_json(m, obj));
	return list;
}

cJSON *feed_network_json(const struct model *m, const struct network *net, const struct host *host)
{
	cJSON *out = cJSON_CreateObject(), *list;
	const struct endpoint *ep;
	const struct object *obj;
	const struct gone *gone;

	cJSON_AddNumberToObject(out, "vnid", net->o.id);
	cJSON_AddStringToObject(out, "name", net->o.key);
	cJSON_AddNumberToObject(out, "revision", net->revision);
	cJSON_AddNumberToObject(out, "floor", net->o.floor);
	list = cJSON_AddArrayToObject(out, "policies");
	DL_FOREACH (net->policies, obj)
		cJSON_AddItemToArray(list, feed_policy_json(obj));
	DL_FOREACH (net->tombstones, obj)
		cJSON_AddItemToArray(list, feed_policy_json(obj));
	list = cJSON_AddArrayToObject(out, "endpoints");
	DL_FOREACH (host->endpoints, ep)
		if (ep->o.net == net)
			cJSON_AddItemToArray(list, feed_endpoint_json(m, ep));
	list = cJSON_AddArrayToObject(out, "gone");
	DL_FOREACH (m->gone, gone)
		if (gone->host == host && gone->vnid == net->o.id)
			cJSON_AddItemToArray(list, feed_gone_json(m, gone));
	feed_add_map(out, net, host);
	return out;
}
