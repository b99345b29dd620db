// SPDX-License-Identifier: Apache-2.0
/*
 * POST /v1/resolve in a hierarchy: what a domain of ours can say alone is said
 * at once, from prepared answers; for the rest others are asked.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/access.h"
#include "dps/pending.h"
#include "dps/recurse.h"
#include "dps/relay.h"
#include "dps/sources.h"
#include "lib/log.h"

struct batch;

struct slot {
	struct batch *batch;
	struct recurse *recurse;
	char *text; /* the ANSWER */
	/* It is told only if packets come by this host's instances; "": anyway. */
	char passer[NAME_MAX_LEN + 1];
	uint32_t vnid; /* the source's network, as it said */
};

struct batch {
	struct pending pending;
	struct hierarchy *h;
	struct slot *slots;
	size_t n, left;
	bool starting;
	char id[ERRAND_ID_ROOM];
};

static void free_batch(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->slots[i].text);
	free(b->slots);
	free(b);
}

static void on_gone(void *arg)
{
	struct batch *b = arg;

	for (size_t i = 0; i < b->n; i++)
		if (b->slots[i].recurse)
			recurse_cancel(b->slots[i].recurse);
	hierarchy_arm(b->h);
	free_batch(b);
}

static void reply_all(struct batch *b)
{
	struct evbuffer *out = evbuffer_new();

	evbuffer_add_printf(out, "{\"answers\":[");
	for (size_t i = 0; i < b->n; i++)
		evbuffer_add_printf(out, "%s%s", i ? "," : "", b->slots[i].text ? b->slots[i].text : "{}");
	evbuffer_add_printf(out, "]}");
	pending_end(&b->pending);
	api_reply_buffer(&b->pending.call, HTTP_OK, out);
	free_batch(b);
}

static char *no_source(uint32_t source)
{
	cJSON *none = cJSON_CreateObject();
	char *text;

	cJSON_AddNumberToObject(none, "vnid", 0);
	cJSON_AddNumberToObject(none, "source", source);
	cJSON_AddStringToObject(none, "verdict", "no_source");
	cJSON_AddNumberToObject(none, "policy", 0);
	cJSON_AddArrayToObject(none, "scope");
	cJSON_AddNumberToObject(none, "sequence", 0);
	cJSON_AddNumberToObject(none, "lifetime", 1);
	text = cJSON_PrintUnformatted(none);
	cJSON_Delete(none);
	return text;
}

static bool leads_by(const struct relay *relay, const char *host, const cJSON *json)
{
	const cJSON *one;

	cJSON_ArrayForEach (one, json_get(json, "path")) {
		const char *service = cJSON_GetStringValue(one);

		if (service && relay_serves(relay, host, service))
			return true;
	}
	return false;
}

/* The destination is there, for whose replies it has to know the way. */
static bool ends_at(const cJSON *answer, const char *host)
{
	const char *at = cJSON_GetStringValue(json_get(json_get(answer, "destination"), "host"));

	return at && !strcmp(at, host);
}

bool api_passes(const struct relay *relay, const char *host, const cJSON *answer)
{
	bool found = leads_by(relay, host, answer) || ends_at(answer, host) ||
		     (cJSON_IsTrue(json_get(answer, "through")) && relay_serves(relay, host, NULL));
	const cJSON *rule;

	cJSON_ArrayForEach (rule, json_get(answer, "rules"))
		found |= leads_by(relay, host, rule);
	return found;
}

/* Takes over the text, and gives one. */
static char *as_passer(const struct slot *slot, char *text)
{
	struct sources *sources = slot->batch->h->sources;
	struct json_error err = { 0 };
	cJSON *answer = text ? json_parse(text, strlen(text), &err) : NULL;
	uint64_t source = 0;

	json_whole(json_get(answer, "source"), 0, UINT32_MAX, &source);
	if (!api_passes(slot->batch->h->relay, slot->passer, answer)) {
		free(text);
		text = no_source((uint32_t)source);
	} else if (!sources_vnid(sources, (uint32_t)source, NULL)) {
		sources_put(sources, (uint32_t)source, slot->vnid, ""); /* asked again, it need not say */
	}
	cJSON_Delete(answer);
	return text;
}

static void on_answer(char *answer, void *arg)
{
	struct slot *slot = arg;
	struct batch *b = slot->batch;

	slot->recurse = NULL;
	slot->text = *slot->passer ? as_passer(slot, answer) : answer;
	if (!--b->left && !b->starting)
		reply_all(b);
}

/* ---- from a question to what is looked for ---- */

/* "blue" is of the domain that was asked; "acme:blue" says it. False: there is none. */
static bool full_name(const struct api *api, const char *network, const char *name, char out[FULL_NAME_ROOM])
{
	char domain[DOMAIN_ROOM];

	if (strchr(network, ':'))
		snprintf(out, FULL_NAME_ROOM, "%s/%s", network, name);
	else if (api->domain && *api->domain->authority.domain)
		snprintf(out, FULL_NAME_ROOM, "%s:%s/%s", api->domain->authority.domain, network, name);
	else
		return false;
	return domain_of_name(out, domain);
}

static int name_source(const struct api *api, const struct question *q, struct recurse_key *out,
		       struct json_error *err)
{
	if (full_name(api, q->network, q->from, out->from))
		return 0;
	return json_fail(err, "network", "'%.80s' is not a network's full name, like acme:blue", q->network);
}

/* "vm2" is of the source's network, "green/vm2" of its domain, "globex:green/vm2" of another. */
static int name_destination(const struct question *q, struct recurse_key *out, struct json_error *err)
{
	int domain = (int)strcspn(out->from, ":"), network = (int)(strrchr(out->from, '/') - out->from);
	char ignored[DOMAIN_ROOM];

	if (strchr(q->to, ':'))
		snprintf(out->to, sizeof(out->to), "%s", q->to);
	else if (strchr(q->to, '/'))
		snprintf(out->to, sizeof(out->to), "%.*s:%s", domain, out->from, q->to);
	else
		snprintf(out->to, sizeof(out->to), "%.*s/%s", network, out->from, q->to);
	if (domain_of_name(out->to, ignored))
		return 0;
	return json_fail(err, "to_endpoint", "'%.80s' is not an endpoint's name", q->to);
}

/* Where the source is by id: of ours, as its authority told when it was claimed here, or as a packet said. */
static uint32_t vnid_of(const struct hierarchy *h, const struct question *q)
{
	uint32_t vnid = 0;

	for (size_t i = 0; !vnid && i < h->n_domains; i++) {
		const struct endpoint *ep = model_party(&h->domains[i]->api->model, q->source);

		vnid = ep ? ep->o.net->o.id : 0;
	}
	vnid = vnid ? vnid : sources_vnid(h->sources, q->source, NULL);
	return vnid ? vnid : q->vnid;
}

static int make_key(const struct api *api, const struct question *q, struct recurse_key *out,
		    struct json_error *err)
{
	*out = (struct recurse_key){ .source = q->source,
				     .destination = q->destination,
				     .by_address = q->by_address,
				     .address = q->address,
				     .least_vnid = q->least_vnid,
				     .least_revision = q->least_revision,
				     .packet = { q->packet.proto } };
	if (q->packet.proto && flow_has_ports(q->packet.proto)) {
		out->packet.from_port = q->packet.from_port[0];
		out->packet.to_port = q->packet.to_port[0];
	}
	out->vnid = q->source ? vnid_of(api->h, q) : 0;
	if (!q->source && name_source(api, q, out, err))
		return -EINVAL;
	if (q->to && q->source)
		return json_fail(err, "to_endpoint", "by name, where the source is by name");
	return q->to ? name_destination(q, out, err) : 0;
}

/* ---- at once, where that can be ---- */

/* Our own endpoint, to one that is ours, too: the answer needs nobody else. */
static struct domain *answerer(const struct hierarchy *h, const struct question *q)
{
	for (size_t i = 0; i < h->n_domains; i++) {
		struct domain *d = h->domains[i];
		struct answer answer;

		if (d == h->writer || !q->source || !model_party(&d->api->model, q->source))
			continue;
		resolve(&d->api->model, q, &answer);
		return answer.beyond ? NULL : d;
	}
	return NULL;
}

static int answer_at_once(struct slot *slot, struct domain *d, const struct question *q, const char *host,
			  uint64_t min_revision, struct json_error *err)
{
	struct json_text out = { 0 };
	int rc = api_answer(d->api, q, host, min_revision, &out, err);

	if (rc) {
		free(out.text);
		return rc;
	}
	slot->text = json_text_end(&out);
	slot->batch->left--;
	return 0;
}

/* ---- a question of the batch ---- */

/*
 * Of endpoints that it does not serve a host learns nothing. *passer: the host, which may hear what
 * comes by its instances, or ends there; else NULL.
 */
static void hide(const struct api_call *call, struct recurse_key *key, const char **passer)
{
	const struct hierarchy *h = call->api->h;
	const char *host = access_speaks_for(call), *at = NULL;

	*passer = NULL;
	if (!host)
		return;
	*key->from = '\0'; /* a name says nothing of where it is: hosts ask by id */
	if (sources_vnid(h->sources, key->source, &at) && !strcmp(at, host))
		return;
	if (key->destination && sources_vnid(h->sources, key->destination, &at) && !strcmp(at, host))
		return;
	if (h->relay)
		*passer = host;
	else
		key->vnid = 0;
}

int api_resolve_key(const struct api_call *call, const cJSON *json, struct recurse_key *out,
		    const char **passer, struct json_error *err)
{
	struct question q;
	int rc = api_read_key(json, &q, err);

	rc = rc ? rc : make_key(call->api, &q, out, err);
	if (!rc)
		hide(call, out, passer);
	return rc;
}

static void find_out(struct slot *slot, const struct recurse_key *key)
{
	struct recurse *r;

	if (!*key->from && !key->vnid) { /* nobody told us of such an endpoint */
		*slot->passer = '\0';
		on_answer(no_source(key->source), slot);
		return;
	}
	r = recurse_start(slot->batch->h, key, slot->batch->id, on_answer, slot);
	if (r)
		slot->recurse = r;
}

static int start_one(struct api_call *call, struct slot *slot, const cJSON *item, uint64_t min_revision,
		     struct json_error *err)
{
	struct recurse_key key;
	const char *passer;
	struct question q;
	struct domain *d;
	int rc = api_read_key(item, &q, err);

	if (rc)
		return rc;
	d = answerer(call->api->h, &q);
	if (d)
		return answer_at_once(slot, d, &q, access_speaks_for(call), min_revision, err);
	rc = make_key(call->api, &q, &key, err);
	if (rc)
		return rc;
	call->api->questions++;
	key.min_revision = min_revision;
	hide(call, &key, &passer);
	snprintf(slot->passer, sizeof(slot->passer), "%s", passer ? passer : "");
	slot->vnid = key.vnid;
	find_out(slot, &key);
	return 0;
}

static int start_all(struct api_call *call, struct batch *b, const cJSON *keys, uint64_t min_revision,
		     struct json_error *err)
{
	const cJSON *item;
	size_t n = 0;
	int rc;

	cJSON_ArrayForEach (item, keys) {
		snprintf(err->prefix, sizeof(err->prefix), "keys[%zu].", n);
		rc = start_one(call, &b->slots[n++], item, min_revision, err);
		if (rc)
			return rc;
	}
	return 0;
}

/* ---- without waiting for anybody ---- */

static bool answer_here(struct api_call *call, const cJSON *item, uint64_t min_revision,
			struct json_text *out, struct json_error *err)
{
	struct recurse_key key;
	const char *passer;
	struct question q;
	struct domain *d;
	char *text;

	if (api_read_key(item, &q, err))
		return false;
	d = answerer(call->api->h, &q);
	if (d)
		return !api_answer(d->api, &q, access_speaks_for(call), min_revision, out, err);
	if (make_key(call->api, &q, &key, err))
		return false;
	key.min_revision = min_revision;
	hide(call, &key, &passer);
	text = !passer && (*key.from || key.vnid) ? recurse_here(call->api->h, &key) : NULL;
	if (!text)
		return false;
	call->api->questions++;
	json_text_raw(out, text, strlen(text));
	free(text);
	return true;
}

bool api_resolve_far_at_once(struct api_call *call, const cJSON *json, struct json_text *out)
{
	struct json_error err = { 0 };
	const cJSON *keys = NULL, *item;
	uint64_t min_revision = 0;
	char id[ERRAND_ID_ROOM];
	bool good = !api_read_questions(json, &min_revision, &keys, &err);

	cJSON_ArrayForEach (item, keys) {
		json_text_value(out, NULL);
		good = good && answer_here(call, item, min_revision, out, &err);
		if (!good)
			break;
	}
	hierarchy_arm(call->api->h);
	if (good) {
		hierarchy_new_id(call->api->h, id);
		log_debug("query=%s event=resolve keys=%d", id, cJSON_GetArraySize(keys));
	}
	return good;
}

void api_resolve_far(struct api_call *call, const cJSON *json)
{
	struct json_error err = { 0 };
	const cJSON *keys = NULL;
	uint64_t min_revision = 0;
	struct batch *b;
	int rc = api_read_questions(json, &min_revision, &keys, &err);

	if (rc) {
		api_refuse(call, rc, &err);
		return;
	}
	b = mem_alloc(sizeof(*b));
	b->h = call->api->h;
	b->n = b->left = cJSON_GetArraySize(keys);
	b->slots = mem_alloc(b->n * sizeof(*b->slots));
	for (size_t i = 0; i < b->n; i++)
		b->slots[i].batch = b;
	hierarchy_new_id(b->h, b->id);
	pending_start(&b->pending, call, on_gone, b);
	log_debug("query=%s event=resolve keys=%zu", b->id, b->n);
	b->starting = true;
	rc = start_all(call, b, keys, min_revision, &err);
	b->starting = false;
	if (rc) {
		struct api_call refused = b->pending.call;

		pending_end(&b->pending);
		on_gone(b);
		api_refuse(&refused, rc, &err);
		return;
	}
	hierarchy_arm(b->h);
	if (!b->left)
		reply_all(b);
}
