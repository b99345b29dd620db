// SPDX-License-Identifier: Apache-2.0
#include "dps/members.h"

#include <errno.h>
#include <utlist.h>

int members_find(const struct model *m, uint32_t vnid, uint32_t source, const struct network **out,
		 struct json_error *err)
{
	const struct network *net = model_network(m, vnid);
	const struct endpoint *ep = model_party(m, source);

	if (!net) {
		json_fail(err, "vnid", "no network has the id %u", vnid);
		return -ENOENT;
	}
	if (!ep || ep->o.net != net) {
		json_fail(err, "source", "no endpoint of network %s has the id %u", net->o.key, source);
		return -ENOENT;
	}
	*out = net;
	return 0;
}

/* Hosts without an underlay address can't be sent to. */
static void find_hosts(const struct network *net, struct idset *out)
{
	const struct object *obj;

	DL_FOREACH (net->endpoints, obj) {
		const struct host *host = ((const struct endpoint *)obj)->place.host;

		if (host && host->o.spec->u.host.n_addresses)
			idset_add(out, host->o.id);
	}
}

static cJSON *host_json(const struct host *host)
{
	const struct host_spec *spec = &host->o.spec->u.host;
	cJSON *out = cJSON_CreateObject();

	cJSON_AddStringToObject(out, "name", host->o.key);
	cJSON_AddItemToObject(out, "addresses", objects_addresses_json(spec->addresses, spec->n_addresses));
	return out;
}

cJSON *members_json(const struct model *m, const struct network *net)
{
	bool broadcast = net->o.spec->u.network.broadcast;
	cJSON *out = cJSON_CreateObject(), *list;
	struct idset hosts = { 0 };

	if (broadcast)
		find_hosts(net, &hosts);
	cJSON_AddNumberToObject(out, "vnid", net->o.id);
	cJSON_AddNumberToObject(out, "revision", net->revision);
	cJSON_AddBoolToObject(out, "broadcast", broadcast);
	list = cJSON_AddArrayToObject(out, "hosts");
	for (uint32_t i = 0; i < hosts.n; i++)
		cJSON_AddItemToArray(list, host_json(model_host(m, hosts.v[i])));
	idset_free(&hosts);
	return out;
}
