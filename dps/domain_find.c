// SPDX-License-Identifier: Apache-2.0
/* What a domain's own model says to other servers' questions. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "dps/feed.h"
#include "dps/hierarchy.h"

/* Instances come and go, and VMs move: what is said of them is asked for again soon. */
#define SERVICE_SECONDS 4
#define SERVICE_STALE_SECONDS 60 /* and good for so long where nobody can be asked */
#define PLACE_SECONDS 4

/* ---- policy ---- */

static struct question question_of(const struct ask *ask)
{
	struct question q = { .source = ask->source,
			      .from_vnid = ask->from_vnid,
			      .destination = ask->to.id,
			      .by_address = !ask->to.id,
			      .address = ask->to.address,
			      .packet = flow_all };

	q.packet.proto = ask->packet.proto;
	if (!flow_has_ports(ask->packet.proto) || !ask->packet.proto)
		return q;
	q.packet.from_port[0] = q.packet.from_port[1] = ask->packet.from_port;
	q.packet.to_port[0] = q.packet.to_port[1] = ask->packet.to_port;
	return q;
}

/* An endpoint of another network than the one that is asked about is none of this one's. */
static bool is_of(const struct model *m, const struct ask *ask)
{
	const struct endpoint *ep = model_party(m, ask->source);

	return ask->from_vnid || (ep && ep->o.net->o.id == ask->vnid);
}

/* It must be this network's own, and the answer to a half is about this network. */
static bool is_beyond(const struct ask *ask, const struct answer *answer)
{
	return ask->from_vnid && answer->destination && answer->destination->o.net->o.id != ask->vnid;
}

static int find_policy(struct domain *d, const struct ask *ask, struct finding *out)
{
	struct model *m = &d->api->model;
	struct question q = question_of(ask);
	const struct network *net = model_network(m, ask->vnid);
	struct answer answer;

	if (!net || model_is_foreign(net))
		return 0;
	if (!is_of(m, ask))
		q.source = UINT32_MAX; /* nobody's */
	resolve(m, &q, &answer);
	if (is_beyond(ask, &answer))
		return 0;
	out->kind = STATEMENT_POLICY;
	out->absent = answer.verdict == VERDICT_NO_ENDPOINT || answer.verdict == VERDICT_NO_SOURCE;
	out->whole = !answer.scope || answer.n_rules;
	out->vnid = answer.vnid ? answer.vnid : net->o.id;
	out->sequence = answer.vnid ? answer.sequence : net->revision;
	out->beyond = answer.beyond;
	out->answer = translate_answer_json(m, &q, &answer, &d->api->signer, time(NULL),
					    out->lifetime + out->stale);
	return 0;
}

/* ---- names ---- */

static void find_endpoint(const struct endpoint *ep, struct finding *out)
{
	out->answer = cJSON_CreateObject();
	cJSON_AddNumberToObject(out->answer, "id", ep->o.id);
	if (!model_is_external(ep))
		cJSON_AddItemToObject(out->answer, "addresses",
				      objects_addresses_json(ep->o.spec->u.endpoint.addresses,
							     ep->o.spec->u.endpoint.n_addresses));
}

/* "acme:blue", "acme:blue/vm1": the domain is ours. */
static int find_name(struct domain *d, const struct ask *ask, struct finding *out)
{
	const struct model *m = &d->api->model;
	const char *name = strchr(ask->name, ':') + 1, *slash = strchr(name, '/');
	char network[KEY_ROOM];
	const struct object *net;
	const struct endpoint *ep;

	snprintf(network, sizeof(network), "%.*s", slash ? (int)(slash - name) : NAME_MAX_LEN, name);
	net = model_find(m, KIND_NETWORK, network);
	if (!net)
		return 0;
	ep = slash ? model_find_party(m, name) : NULL;
	if (slash && !ep)
		return 0;
	out->kind = STATEMENT_NAME;
	out->vnid = net->id;
	out->sequence = ((const struct network *)net)->revision;
	if (ep)
		find_endpoint(ep, out);
	return 0;
}

/* ---- services and places ---- */

static bool names(const struct outcome *outcome, const char *service)
{
	for (size_t i = 0; i < outcome->n_path; i++)
		if (!strcmp(outcome->path[i], service))
			return true;
	return false;
}

/* Does our half of the answer that the asker says it has lead through it? To others it is as if there were none. */
static bool is_named(struct domain *d, const struct ask *ask, const char *service)
{
	struct model *m = &d->api->model;
	const struct question q = question_of(ask);
	const struct network *net = model_network(m, ask->vnid);
	struct answer answer;
	bool found;

	if (!net || model_is_foreign(net) || !is_of(m, ask))
		return false;
	resolve(m, &q, &answer);
	found = names(&answer.outcome, service);
	for (size_t i = 0; i < answer.n_rules; i++)
		found |= names(&answer.rules[i].outcome, service);
	return found;
}

static int find_service(struct domain *d, const struct ask *ask, struct finding *out)
{
	const struct model *m = &d->api->model;
	const char *name = strchr(ask->name, ':') + 1;
	const struct object *service = model_find(m, KIND_SERVICE, name);

	out->kind = STATEMENT_SERVICE;
	out->sequence = m->commits;
	out->lifetime = SERVICE_SECONDS;
	out->stale = SERVICE_STALE_SECONDS;
	out->absent = !service || !is_named(d, ask, name);
	out->answer = out->absent ? NULL : feed_service_json(m, service);
	return 0;
}

/* Since then no policy of the network's has let pass, kept out or led otherwise what it did before. */
static uint64_t floor_of(const struct network *net)
{
	uint64_t floor = net->o.floor;
	const struct object *policy;

	DL_FOREACH (net->policies, policy)
		floor = policy->floor > floor ? policy->floor : floor;
	DL_FOREACH (net->tombstones, policy)
		floor = policy->floor > floor ? policy->floor : floor;
	return floor;
}

static int find_place(const struct domain *d, const struct ask *ask, struct finding *out)
{
	const struct model *m = &d->api->model;
	const struct network *net = model_network(m, ask->vnid);
	const struct endpoint *ep = model_party(m, ask->source);
	const struct host *host = ep && ep->o.net == net ? model_host_of(m, ep) : NULL;
	const struct host_spec *spec = host ? &host->o.spec->u.host : NULL;

	if (!net || model_is_foreign(net))
		return 0;
	out->kind = STATEMENT_PLACE;
	out->sequence = floor_of(net);
	out->lifetime = PLACE_SECONDS;
	out->stale = 0;
	out->absent = true;
	for (size_t i = 0; spec && i < spec->n_addresses; i++)
		if (ip_equal(&spec->addresses[i], &ask->to.address))
			out->absent = false;
	out->answer = out->absent ? NULL : cJSON_CreateObject();
	return 0;
}

int domain_find(void *arg, const struct ask *ask, struct finding *out)
{
	struct domain *d = arg;

	*out = (struct finding){ .kind = STATEMENT_NO_NETWORK,
				 .lifetime = d->api->lifetime,
				 .stale = STALE_DEFAULT };
	if (d == d->h->writer)
		return 0;
	if (out->lifetime + out->stale > STATEMENT_LIFE_MAX)
		out->stale = STATEMENT_LIFE_MAX - out->lifetime;
	switch (ask->kind) {
	case ASK_POLICY:
		return find_policy(d, ask, out);
	case ASK_SERVICE:
		return find_service(d, ask, out);
	case ASK_PLACE:
		return find_place(d, ask, out);
	default:
		return find_name(d, ask, out);
	}
}

uint64_t domain_version(void *arg)
{
	return ((const struct domain *)arg)->api->model.commits;
}

/* ---- ids ---- */

static bool is_in(uint32_t vnid, struct vnid_range r)
{
	return vnid >= r.first && vnid <= r.last;
}

/* The VNID, of the range, whose ids endpoints have; 0: none. */
static uint32_t used_by(const struct object *list, struct vnid_range r)
{
	for (const struct object *obj = list; obj; obj = obj->hh.next)
		if (is_in(obj->id / IDS_PER_VNID, r))
			return obj->id / IDS_PER_VNID;
	return 0;
}

uint32_t domain_used(void *arg, struct vnid_range r)
{
	const struct domain *d = arg;
	const struct model *m = &d->api->model;
	uint32_t vnid;

	if (d == d->h->writer)
		return 0;
	for (const struct object *net = m->by_key[KIND_NETWORK]; net; net = net->hh.next)
		if (is_in(net->id, r) && !model_is_foreign((const struct network *)net))
			return net->id;
	vnid = used_by(m->by_key[KIND_ENDPOINT], r);
	return vnid ? vnid : used_by(m->by_key[KIND_EXTERNAL], r);
}

/* The next of this VNID's ids, if that is still ours to give; else the first of the next VNID's. */
static uint32_t next_endpoint(const struct domain *d, uint32_t last)
{
	uint32_t next = last + 1, vnid = next / IDS_PER_VNID;
	uint32_t ours = authority_next_vnid(&d->authority, vnid ? vnid - 1 : 0, time(NULL));

	return ours == vnid && vnid ? next : ours * IDS_PER_VNID;
}

uint32_t domain_next_id(void *arg, enum kind kind, uint32_t last)
{
	const struct domain *d = arg;

	switch (kind) {
	case KIND_NETWORK:
		return authority_next_vnid(&d->authority, last, time(NULL));
	case KIND_ENDPOINT:
	case KIND_EXTERNAL:
		return next_endpoint(d, last);
	default:
		return last < UINT32_MAX ? last + 1 : 0;
	}
}
