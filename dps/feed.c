// SPDX-License-Identifier: Apache-2.0
#include "dps/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* What a commit did to one network. */
struct network_news {
	const struct network *net;
	char *policies;	       /* JSON list, the same for every host */
	char *moved;	       /* JSON list, as policies: endpoints that have another place now, or none */
	struct ptrs endpoints; /* touched */
	bool regated;	       /* gateways that its endpoints are told of may be others now */
	bool redrawn;	       /* so may its external networks, or the subnets that it reaches */
	struct network_news *next;
};

struct feed_news {
	const struct txn *txn;
	char *hosts;	/* the frame, NULL: none */
	char *services; /* JSON list, all */
	bool moves;	/* a host may begin or end to serve a network */
	struct network_news *networks;
};

static struct host *host_of(const struct model *m, const char *name)
{
	return (struct host *)model_find(m, KIND_HOST, name);
}

static bool has_instance(const struct model *m, const struct host *host, const struct object *service)
{
	const struct idset *ids = &service->spec->u.service.ids;

	for (uint32_t i = 0; i < ids->n; i++) {
		const struct endpoint *ep = model_endpoint(m, ids->v[i]);

		if (ep && ep->place.host == host)
			return true;
	}
	return false;
}

static bool leads_through(const struct policy_spec *p, const struct object *service)
{
	for (size_t i = 0; i < p->path.n; i++)
		if (!strcmp(p->path.v[i], service->key))
			return true;
	return false;
}

/* Of another authority's network we have no numbers: that one tells them. */
static void add_own(const struct network *net, struct idset *out)
{
	if (!model_is_foreign(net))
		idset_add(out, net->o.id);
}

/* What passes under a policy carries the number of the network that it goes to. */
static void add_destinations(const struct object *policy, struct idset *out)
{
	const struct selector *to = &policy->spec->u.policy.to;

	add_own(policy->net, out);
	if (!to->any)
		add_own(to->net, out);
	for (size_t i = 0; to->any && i < policy->net->n_joints; i++)
		add_own(policy->net->joints[i].other, out);
}

/* The networks whose packets come through services that the host has instances of: it judges them, too. */
static void find_passing(const struct model *m, const struct host *host, struct idset *out)
{
	const struct object *service, *policy;

	for (service = m->by_key[KIND_SERVICE]; service; service = service->hh.next) {
		if (!has_instance(m, host, service))
			continue;
		for (policy = m->by_key[KIND_POLICY]; policy; policy = policy->hh.next)
			if (leads_through(&policy->spec->u.policy, service))
				add_destinations(policy, out);
	}
}

/* The networks that it has, or lately had, endpoints of, and those that it is a gateway of. */
static void find_served(const struct model *m, const struct host *host, struct idset *out)
{
	const struct endpoint *ep;
	const struct object *obj;
	const struct gone *gone;

	if (!host)
		return;
	for (obj = m->by_key[KIND_EXTERNAL]; obj; obj = obj->hh.next)
		if (model_is_edge(host, obj))
			idset_add(out, obj->net->o.id);
	DL_FOREACH (host->endpoints, ep)
		idset_add(out, ep->o.net->o.id);
	DL_FOREACH (m->gone, gone)
		if (gone->host == host)
			idset_add(out, gone->vnid);
	find_passing(m, host, out);
}

static void emit(struct feed *feed, cJSON *frame)
{
	char *line = cJSON_PrintUnformatted(frame);

	cJSON_Delete(frame);
	feed->emit(line, feed->arg);
	free(line);
}

static cJSON *new_frame(const char *type)
{
	cJSON *frame = cJSON_CreateObject();

	cJSON_AddStringToObject(frame, "type", type);
	return frame;
}

static cJSON *hosts_json(const struct model *m)
{
	cJSON *list = cJSON_CreateArray();
	const struct object *obj;

	for (obj = m->by_key[KIND_HOST]; obj; obj = obj->hh.next)
		cJSON_AddItemToArray(list, feed_host_json((const struct host *)obj));
	return list;
}

static char *services_text(const struct model *m)
{
	cJSON *list = feed_services_json(m);
	char *text = cJSON_PrintUnformatted(list);

	cJSON_Delete(list);
	return text;
}

void feed_start(struct feed *feed, const struct model *m, unsigned int lifetime)
{
	const struct host *host = host_of(m, feed->host);
	cJSON *frame = new_frame("snapshot"), *list;

	cJSON_AddNumberToObject(frame, "lifetime", lifetime);
	cJSON_AddItemToObject(frame, "hosts", hosts_json(m));
	feed->services = services_text(m);
	cJSON_AddRawToObject(frame, "services", feed->services);
	list = cJSON_AddArrayToObject(frame, "networks");
	find_served(m, host, &feed->served);
	for (uint32_t i = 0; i < feed->served.n; i++)
		cJSON_AddItemToArray(list, feed_network_json(m, model_network(m, feed->served.v[i]), host));
	emit(feed, frame);
}

void feed_stop(struct feed *feed)
{
	idset_free(&feed->served);
	free(feed->services);
	feed->services = NULL;
}

void feed_progress(struct feed *feed, const struct model *m)
{
	cJSON *frame = new_frame("progress");
	cJSON *list = cJSON_AddArrayToObject(frame, "networks");

	for (uint32_t i = 0; i < feed->served.n; i++) {
		const struct network *net = model_network(m, feed->served.v[i]);
		cJSON *item = cJSON_CreateObject();

		cJSON_AddNumberToObject(item, "vnid", net->o.id);
		cJSON_AddNumberToObject(item, "revision", net->revision);
		cJSON_AddItemToArray(list, item);
	}
	emit(feed, frame);
}

/* Making the news */

static char *hosts_frame(const struct txn *txn)
{
	cJSON *frame = new_frame("hosts");
	cJSON *hosts = cJSON_AddArrayToObject(frame, "hosts");
	cJSON *gone = cJSON_AddArrayToObject(frame, "gone");
	char *line;

	for (size_t i = 0; i < txn->changes.n; i++) {
		const struct change *change = txn->changes.v[i];

		if (change->obj->kind != KIND_HOST)
			continue;
		if (change->after)
			cJSON_AddItemToArray(hosts, feed_host_json((struct host *)change->obj));
		else
			cJSON_AddItemToArray(gone, cJSON_CreateNumber(change->obj->id));
	}
	line = cJSON_PrintUnformatted(frame);
	cJSON_Delete(frame);
	return line;
}

static struct network_news *news_of(const struct feed_news *news, const struct network *net)
{
	struct network_news *entry;

	LL_SEARCH_SCALAR(news->networks, entry, net, net);
	return entry;
}

static void add_networks(struct feed_news *news)
{
	for (size_t i = 0; i < news->txn->saved.n; i++) {
		const struct saved *saved = news->txn->saved.v[i];
		struct network_news *entry;

		if (saved->placed || saved->obj->kind == KIND_EXTERNAL)
			news->moves = true;
		if (saved->obj->kind != KIND_NETWORK)
			continue;
		entry = mem_alloc(sizeof(*entry));
		entry->net = (const struct network *)saved->obj;
		LL_PREPEND(news->networks, entry);
	}
}

static char *policies_text(const struct txn *txn, const struct network *net)
{
	cJSON *list = cJSON_CreateArray();
	char *text;

	for (size_t i = 0; i < txn->saved.n; i++) {
		const struct object *obj = ((const struct saved *)txn->saved.v[i])->obj;

		if (obj->kind == KIND_POLICY && obj->net == net)
			cJSON_AddItemToArray(list, feed_policy_json(obj));
	}
	text = cJSON_PrintUnformatted(list);
	cJSON_Delete(list);
	return text;
}

/*
 * Who still sends to where they were finds out by that host, if it lives. It
 * may not: so the frame that tells of the new revision anyway says it, too.
 */
static char *moved_text(const struct txn *txn, const struct network *net)
{
	cJSON *list = cJSON_CreateArray();
	char *text;

	for (size_t i = 0; i < txn->saved.n; i++) {
		const struct saved *saved = txn->saved.v[i];
		const struct endpoint *ep = (const struct endpoint *)saved->obj;
		cJSON *item;

		if (saved->obj->kind != KIND_ENDPOINT || saved->obj->net != net || !saved->placed ||
		    !saved->place.host || !saved->obj->spec)
			continue;
		item = cJSON_CreateObject();
		cJSON_AddNumberToObject(item, "id", saved->obj->id);
		feed_add_addresses(item, txn->m, ep);
		cJSON_AddNumberToObject(item, "revision", ep->place.revision);
		cJSON_AddItemToArray(list, item);
	}
	text = cJSON_PrintUnformatted(list);
	cJSON_Delete(list);
	return text;
}

static bool has_gateway(const struct network *net, const struct spec *endpoint)
{
	const struct network_spec *spec = &net->o.spec->u.network;

	for (size_t i = 0; endpoint && i < endpoint->u.endpoint.n_addresses; i++)
		for (size_t j = 0; j < spec->n_subnets; j++)
			if (ip_equal(&spec->subnets[j].gateway, &endpoint->u.endpoint.addresses[i]))
				return true;
	return false;
}

/* The network is written anew, or an endpoint takes or gives up a gateway's address. */
static bool regates(const struct change *change)
{
	const struct object *obj = change->obj;

	if (obj->kind != KIND_ENDPOINT)
		return obj->kind == KIND_NETWORK;
	return has_gateway(obj->net, change->before) || has_gateway(obj->net, change->after);
}

static void find_regated(struct feed_news *news)
{
	for (size_t i = 0; i < news->txn->changes.n; i++) {
		const struct change *change = news->txn->changes.v[i];
		const struct object *obj = change->obj;

		if (regates(change))
			news_of(news, obj->net ? obj->net : (const struct network *)obj)->regated = true;
	}
}

/* Another network's subnets count where it is joined: staleness.c has touched this one then. */
static bool has_new_subnets(const struct feed_news *news, const struct network *net)
{
	bool found = net->joined_by == news->txn->serial || news_of(news, net)->regated;

	for (size_t i = 0; i < net->n_joints; i++) {
		const struct network_news *other = news_of(news, net->joints[i].other);

		found |= other && other->regated;
	}
	return found;
}

static void find_redrawn(struct feed_news *news)
{
	struct network_news *entry;

	for (size_t i = 0; i < news->txn->saved.n; i++) {
		const struct object *obj = ((const struct saved *)news->txn->saved.v[i])->obj;

		if (obj->kind == KIND_EXTERNAL)
			news_of(news, obj->net)->redrawn = true;
	}
	LL_FOREACH (news->networks, entry)
		entry->redrawn |= has_new_subnets(news, entry->net);
}

/* Which networks a host's appliances see may be others now. */
static bool changes_paths(const struct txn *txn)
{
	for (size_t i = 0; i < txn->changes.n; i++) {
		const struct change *change = txn->changes.v[i];
		enum kind kind = change->obj->kind;

		if (kind == KIND_SERVICE ||
		    (kind == KIND_POLICY && ((change->before && change->before->u.policy.path.n) ||
					     (change->after && change->after->u.policy.path.n))))
			return true;
	}
	return false;
}

struct feed_news *feed_news(const struct txn *txn)
{
	struct feed_news *news = mem_alloc(sizeof(*news));
	struct network_news *entry;

	news->txn = txn;
	news->moves = txn->gone.n || txn->ended.n || changes_paths(txn);
	news->services = services_text(txn->m);
	if (txn->hosts)
		news->hosts = hosts_frame(txn);
	add_networks(news);
	LL_FOREACH (news->networks, entry) {
		entry->policies = policies_text(txn, entry->net);
		entry->moved = moved_text(txn, entry->net);
	}
	for (size_t i = 0; i < txn->saved.n; i++) {
		struct object *obj = ((const struct saved *)txn->saved.v[i])->obj;

		if (obj->kind == KIND_ENDPOINT)
			ptrs_push(&news_of(news, obj->net)->endpoints, obj);
	}
	find_regated(news);
	find_redrawn(news);
	return news;
}

void feed_news_free(struct feed_news *news)
{
	struct network_news *entry, *tmp;

	LL_FOREACH_SAFE(news->networks, entry, tmp)
	{
		free(entry->policies);
		free(entry->moved);
		ptrs_free(&entry->endpoints);
		free(entry);
	}
	free(news->hosts);
	free(news->services);
	free(news);
}

/* Telling it to one host */

static bool touched(const struct network_news *entry, uint32_t endpoint)
{
	for (size_t i = 0; i < entry->endpoints.n; i++)
		if (((const struct object *)entry->endpoints.v[i])->id == endpoint)
			return true;
	return false;
}

static cJSON *commit_frame(const struct txn *txn, const struct network_news *entry, const struct host *host)
{
	cJSON *frame = new_frame("commit"), *list;
	const struct endpoint *ep;
	const struct gone *gone;

	cJSON_AddNumberToObject(frame, "vnid", entry->net->o.id);
	cJSON_AddNumberToObject(frame, "revision", entry->net->revision);
	cJSON_AddNumberToObject(frame, "floor", entry->net->o.floor);
	cJSON_AddRawToObject(frame, "policies", entry->policies);
	cJSON_AddRawToObject(frame, "moved", entry->moved);
	list = cJSON_AddArrayToObject(frame, "endpoints");
	DL_FOREACH (host->endpoints, ep)
		if (ep->o.net == entry->net && (entry->regated || ep->o.touched_by == txn->serial))
			cJSON_AddItemToArray(list, feed_endpoint_json(txn->m, ep));
	list = cJSON_AddArrayToObject(frame, "gone");
	DL_FOREACH (txn->m->gone, gone)
		if (gone->host == host && gone->vnid == entry->net->o.id && touched(entry, gone->endpoint))
			cJSON_AddItemToArray(list, feed_gone_json(txn->m, gone));
	if (entry->redrawn)
		feed_add_map(frame, entry->net, host);
	return frame;
}

static void emit_forget(struct feed *feed, uint32_t vnid)
{
	cJSON *frame = new_frame("forget");

	cJSON_AddNumberToObject(frame, "vnid", vnid);
	emit(feed, frame);
}

static void emit_network(struct feed *feed, const struct model *m, const struct network *net,
			 const struct host *host)
{
	cJSON *frame = new_frame("network");

	cJSON_AddItemToObject(frame, "network", feed_network_json(m, net, host));
	emit(feed, frame);
}

/* Networks that the host begins or ends to serve. */
static void tell_served(struct feed *feed, const struct feed_news *news, const struct host *host)
{
	struct idset before = feed->served, now = { 0 };

	find_served(news->txn->m, host, &now);
	feed->served = now;
	for (uint32_t i = 0; i < before.n; i++)
		if (!idset_has(&now, before.v[i]))
			emit_forget(feed, before.v[i]);
	for (uint32_t i = 0; i < now.n; i++)
		if (!idset_has(&before, now.v[i]))
			emit_network(feed, news->txn->m, model_network(news->txn->m, now.v[i]), host);
	idset_free(&before);
}

static void copy_set(const struct idset *from, struct idset *to)
{
	for (uint32_t i = 0; i < from->n; i++)
		idset_add(to, from->v[i]);
}

/* Before the policies that lead through them. */
static void tell_services(struct feed *feed, const char *services)
{
	cJSON *frame;

	if (!strcmp(feed->services, services))
		return;
	free(feed->services);
	feed->services = mem_copy(services);
	frame = new_frame("services");
	cJSON_AddRawToObject(frame, "services", feed->services);
	emit(feed, frame);
}

void feed_tell_services(struct feed *feed, const struct model *m)
{
	char *text = services_text(m);

	tell_services(feed, text);
	free(text);
}

void feed_tell(struct feed *feed, const struct feed_news *news)
{
	const struct host *host = host_of(news->txn->m, feed->host);
	const struct network_news *entry;
	struct idset before = { 0 };

	if (news->hosts)
		feed->emit(news->hosts, feed->arg);
	tell_services(feed, news->services);
	copy_set(&feed->served, &before);
	if (news->moves)
		tell_served(feed, news, host);
	LL_FOREACH (news->networks, entry)
		if (host && idset_has(&before, entry->net->o.id) &&
		    idset_has(&feed->served, entry->net->o.id))
			emit(feed, commit_frame(news->txn, entry, host));
	idset_free(&before);
}
