// SPDX-License-Identifier: Apache-2.0
/* Hosts and the places of endpoints: what agents say of themselves. */
#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "dps/access.h"
#include "dps/api.h"
#include "dps/feed.h"
#include "dps/hierarchy.h"
#include "dps/places.h"
#include "dps/relay.h"
#include "dps/sources.h"
#include "dps/sworn.h"
#include "lib/cleanup.h"
#include "lib/log.h"

static int make_host_spec(const struct api_call *call, const cJSON *json, struct spec **out,
			  struct json_error *err)
{
	cJSON *whole;
	int rc;

	if (!cJSON_IsObject(json))
		return json_fail(err, NULL, "a host is written {\"addresses\": [...]}");
	if (json_get(json, "kind") || json_get(json, "name"))
		return json_fail(err, "name", "the host's name is in the path");
	whole = cJSON_Duplicate(json, true);
	cJSON_AddStringToObject(whole, "kind", objects_kind_name(KIND_HOST));
	cJSON_AddStringToObject(whole, "name", call->args[0]);
	rc = objects_parse(whole, out, err);
	cJSON_Delete(whole);
	return rc;
}

static bool same_addresses(const struct host_spec *a, const struct host_spec *b)
{
	return a->n_addresses == b->n_addresses &&
	       !memcmp(a->addresses, b->addresses, a->n_addresses * sizeof(*a->addresses));
}

/* Signed again, and nothing new: the host is what it was. */
static void keep_word(const struct model *m, const char *name, struct host_spec *want)
{
	const struct object *had = model_find(m, KIND_HOST, name);
	const struct host_spec *before = had ? &had->spec->u.host : NULL;

	if (!before || !before->sworn.body || !want->sworn.body || !same_addresses(before, want))
		return;
	signed_free(&want->sworn);
	signed_copy(&before->sworn, &want->sworn);
}

static int register_host(const struct api_call *call, struct api *api, const cJSON *json,
			 struct json_error *err)
{
	struct commit_context ctx = api_context(api);
	struct commit_counts counts;
	struct spec *spec = NULL;
	int rc = make_host_spec(call, json, &spec, err);

	if (rc)
		return rc;
	if (call->who.role != ROLE_ADMIN) /* who may write it down need not have it signed */
		rc = sworn_host(&api->model, call->args[0], &spec->u.host, err);
	if (rc) {
		objects_free(spec);
		return rc;
	}
	keep_word(&api->model, call->args[0], &spec->u.host);
	return commit_apply(&ctx, &spec, 1, ANY_REVISION, &counts, err);
}

/* A host of a local server may claim of any domain that the same process is an authority of. */
static void register_everywhere(const struct api_call *call, const cJSON *json)
{
	const struct hierarchy *h = call->api->h;
	_free_ char *domain = api_query(call, "domain");
	struct json_error err = { 0 };

	for (size_t i = 0; h && h->relay && !domain && i < h->n_domains; i++)
		if (h->domains[i] != h->writer && h->domains[i]->api != call->api &&
		    register_host(call, h->domains[i]->api, json, &err))
			log_warn("host %s is not registered with %s: %s", call->args[0],
				 h->domains[i]->authority.domain, err.text);
}

void api_put_host(struct api_call *call)
{
	struct json_error err = { 0 };
	cJSON *json;
	int rc;

	if (!access_host(call, call->args[0]))
		return;
	json = api_body(call, BODY_MAX);
	if (!json)
		return;
	rc = register_host(call, call->api, json, &err);
	if (rc) {
		cJSON_Delete(json);
		api_refuse(call, rc, &err);
		return;
	}
	register_everywhere(call, json);
	cJSON_Delete(json);
	relay_registered(call->api->h, call->args[0]);
	api_reply(call, HTTP_OK,
		  feed_host_json((struct host *)model_find(&call->api->model, KIND_HOST, call->args[0])));
}

/* "acme:blue" is acme's network blue, where acme is ours, whichever domain was asked. */
static struct api *own_api(struct api_call *call)
{
	const char *colon = strchr(call->args[0], ':');
	char domain[DOMAIN_ROOM];
	const struct domain *d;

	if (!colon || !domain_of_name(call->args[0], domain))
		return call->api;
	d = hierarchy_domain(call->api->h, domain);
	if (!d)
		return call->api;
	call->args[0] = colon + 1;
	call->api = d->api;
	return d->api;
}

/* The endpoint that the path names, or a refusal. */
static struct endpoint *endpoint_of(struct api_call *call)
{
	const struct model *m;
	struct json_error err = { 0 };
	struct object *obj;

	if (relay_place(call)) /* another authority's: it replies */
		return NULL;
	m = &own_api(call)->model;
	obj = model_find_in(m, KIND_ENDPOINT, call->args[0], call->args[1]);

	if (obj)
		return (struct endpoint *)obj;
	snprintf(err.object, sizeof(err.object), "endpoint %.63s/%.63s", call->args[0], call->args[1]);
	if (model_find(m, KIND_NETWORK, call->args[0]))
		json_fail(&err, NULL, "'%.63s' is not an endpoint of network %.63s", call->args[1],
			  call->args[0]);
	else
		json_fail(&err, NULL, "no such network '%.63s'", call->args[0]);
	api_refuse(call, -ENOENT, &err);
	return NULL;
}

/* Who it is that has, or may have, the place: a host is ready for its packets before it claims it. */
static cJSON *identity_json(const struct model *m, const struct endpoint *ep)
{
	cJSON *out = cJSON_CreateObject();
	char mac[MAC_TEXT];

	cJSON_AddStringToObject(out, "network", ep->o.net->o.key);
	cJSON_AddNumberToObject(out, "vnid", ep->o.net->o.id);
	cJSON_AddNumberToObject(out, "id", ep->o.id);
	cJSON_AddStringToObject(out, "name", ep->o.spec->name);
	cJSON_AddStringToObject(out, "mac", mac_format(&ep->o.spec->u.endpoint.mac, mac));
	feed_add_addresses(out, m, ep);
	return out;
}

/* Of an instance of a service: is anybody there, and what does its host say that it has to do? */
static void add_work(cJSON *out, const struct place *place)
{
	const struct load *load = &place->load;
	cJSON *json;

	cJSON_AddBoolToObject(out, "up", place->host && !place->idle);
	if (load->aside)
		cJSON_AddNumberToObject(out, "aside", load->aside);
	if (!load->told)
		return;
	json = cJSON_AddObjectToObject(out, "load");
	cJSON_AddNumberToObject(json, "kbps", load->kbps);
	cJSON_AddNumberToObject(json, "packets", load->packets);
	cJSON_AddNumberToObject(json, "age", api_monotonic() - load->told);
}

void api_get_place(struct api_call *call)
{
	const struct endpoint *ep = access_questions(call, call->api->admin) ? endpoint_of(call) : NULL;
	cJSON *out;

	if (!ep)
		return;
	out = identity_json(&call->api->model, ep);
	cJSON_AddNumberToObject(out, "network_revision", ep->o.net->revision);
	if (ep->place.host)
		cJSON_AddStringToObject(out, "host", ep->place.host->o.key);
	else
		cJSON_AddNullToObject(out, "host");
	cJSON_AddNumberToObject(out, "revision", ep->place.revision);
	add_work(out, &ep->place);
	api_reply(call, HTTP_OK, out);
}

static cJSON *place_json(const struct model *m, const struct endpoint *ep)
{
	cJSON *out = identity_json(m, ep);

	cJSON_AddStringToObject(out, "host", ep->place.host->o.key);
	cJSON_AddStringToObject(out, "claim", ep->place.claim);
	cJSON_AddNumberToObject(out, "place_revision", ep->place.revision);
	cJSON_AddNumberToObject(out, "revision", ep->o.net->revision);
	return out;
}

static int make_claim(char *claim)
{
	unsigned char bytes[(CLAIM_ROOM - 1) / 2];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return -EIO;
	for (size_t i = 0; i < sizeof(bytes); i++)
		sprintf(claim + 2 * i, "%02x", bytes[i]);
	return 0;
}

struct place_request {
	struct host *host;
	const char *claim;
	uint64_t revision;
	bool up;       /* of a renewal: is anybody behind the device? */
	bool has_load; /* and what has it to do? */
	uint64_t kbps, packets;
	struct signed_doc sworn; /* empty: none; signed_free() it */
};

static int read_load(const cJSON *json, struct place_request *out, struct json_error *err)
{
	static const char *const fields[] = { "kbps", "packets", NULL };
	const cJSON *load = json_get(json, "load");
	int rc;

	if (!out->claim)
		return json_fail(err, "load", "'load' is said of a place that one has, by its claim");
	if (!cJSON_IsObject(load))
		return json_fail(err, "load", "'load' is an object like {\"kbps\": 100, \"packets\": 5000}");
	snprintf(err->prefix, sizeof(err->prefix), "load.");
	rc = json_only(load, fields, err);
	rc = rc ? rc : json_uint(load, "kbps", 0, UINT32_MAX, &out->kbps, err);
	rc = rc ? rc : json_uint(load, "packets", 0, JSON_INT_MAX, &out->packets, err);
	err->prefix[0] = '\0';
	out->has_load = true;
	return rc;
}

static int read_place(const struct model *m, const cJSON *json, struct place_request *out,
		      struct json_error *err)
{
	static const char *const fields[] = { "host", "claim", "revision", "up", "load", "signed", NULL };
	const char *host = NULL;
	int rc = cJSON_IsObject(json) ? json_only(json, fields, err)
				      : json_fail(err, NULL, "a place is written {\"host\": ...}");

	out->revision = ANY_REVISION;
	rc = rc ? rc : json_str(json, "host", &host, err);
	rc = rc ? rc : json_str_opt(json, "claim", &out->claim, err);
	rc = rc ? rc : json_uint_opt(json, "revision", 0, JSON_INT_MAX, &out->revision, err);
	out->up = true;
	rc = rc ? rc : json_bool_opt(json, "up", &out->up, err);
	if (!rc && !out->claim && json_get(json, "up"))
		rc = json_fail(err, "up", "'up' is said of a place that one has, by its claim");
	if (!rc && json_get(json, "load"))
		rc = read_load(json, out, err);
	if (!rc && json_get(json, "signed"))
		rc = signed_parse(json_get(json, "signed"), SIGNED_BODY_MAX, &out->sworn, err);
	if (rc)
		return rc;
	out->host = (struct host *)model_find(m, KIND_HOST, host);
	if (out->host)
		return 0;
	json_fail(err, "host", "no such host '%.63s'", host);
	return -ENOENT;
}

static int claim(const struct api_call *call, struct endpoint *ep, const struct place_request *want,
		 struct json_error *err)
{
	struct commit_context ctx = api_context(call->api);
	const struct domain *d = call->api->domain;
	char id[CLAIM_ROOM];

	if (call->who.role != ROLE_ADMIN &&
	    sworn_claim(ep, d ? d->authority.domain : "", want->host, want->revision,
			want->sworn.body ? &want->sworn : NULL, time(NULL), err))
		return -EACCES;
	if (!make_claim(id))
		return places_claim(&ctx, ep, want->host, want->revision, id, err);
	json_fail(err, NULL, "no random numbers to be had");
	return -EIO;
}

/* Whether anybody is behind the device is no part of the place: who watches services is told, and nothing is stored. */
static int renew(struct api *api, struct endpoint *ep, const struct place_request *want,
		 struct json_error *err)
{
	int rc = places_renew(ep, want->host, want->claim, err);

	if (!rc && want->has_load)
		load_tell(&ep->place.load, want->kbps, want->packets, api_monotonic());
	if (rc || ep->place.idle == !want->up)
		return rc;
	ep->place.idle = !want->up;
	api_watch_services(api);
	return 0;
}

void api_put_place(struct api_call *call)
{
	struct endpoint *ep = access_questions(call, call->api->admin) ? endpoint_of(call) : NULL;
	struct place_request want = { 0 };
	struct json_error err = { 0 };
	cJSON *json;
	int rc;

	if (!ep)
		return;
	json = api_body(call, BODY_MAX);
	if (!json)
		return;
	rc = read_place(&call->api->model, json, &want, &err);
	if (!rc && !access_host(call, want.host->o.key)) { /* it has been refused */
		signed_free(&want.sworn);
		cJSON_Delete(json);
		return;
	}
	if (!rc)
		rc = want.claim ? renew(call->api, ep, &want, &err) : claim(call, ep, &want, &err);
	signed_free(&want.sworn);
	cJSON_Delete(json);
	if (!rc) {
		if (call->api->h) /* it may ask for what others decide of this endpoint's packets */
			sources_put(call->api->h->sources, ep->o.id, ep->o.net->o.id, ep->place.host->o.key);
		api_reply(call, HTTP_OK, place_json(&call->api->model, ep));
		return;
	}
	snprintf(err.object, sizeof(err.object), "endpoint %s", ep->o.key);
	api_refuse(call, rc, &err);
}

void api_delete_place(struct api_call *call)
{
	struct endpoint *ep = access_questions(call, call->api->admin) ? endpoint_of(call) : NULL;
	struct commit_context ctx = api_context(call->api);
	_free_ char *id = api_query(call, "claim");
	struct json_error err = { 0 };
	int rc;

	if (!ep || (id && ep->place.host && !access_host(call, ep->place.host->o.key)))
		return;
	rc = id ? places_release(&ctx, ep, id, &err) : json_fail(&err, "claim", "'claim' is missing");
	if (!rc) {
		api_reply(call, HTTP_OK, cJSON_CreateObject());
		return;
	}
	snprintf(err.object, sizeof(err.object), "endpoint %s", ep->o.key);
	api_refuse(call, rc, &err);
}
