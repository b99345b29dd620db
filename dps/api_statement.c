// SPDX-License-Identifier: Apache-2.0
/*
 * POST /v1/statement: what a host must know of other authorities' hosts, as
 * these have signed it, found out by its local server: the instances of a
 * service that an answer leads through; whether a VM is where its packets come
 * from, and since when what its network's policies require has not changed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/access.h"
#include "dps/pending.h"
#include "dps/recurse.h"
#include "dps/relay.h"
#include "lib/cleanup.h"

struct saying {
	struct pending pending;
	struct hierarchy *h;
	struct recurse_key key; /* of a service: the answer that names it */
	struct recurse *recurse;
	struct waiter *waiter;
	struct ask ask;
	char id[ERRAND_ID_ROOM];
	char passer[NAME_MAX_LEN + 1]; /* as in api_passes(); "": it need not be looked at */
};

static void on_gone(void *arg)
{
	struct saying *s = arg;

	if (s->recurse)
		recurse_cancel(s->recurse);
	if (s->waiter)
		query_cancel(&s->h->node.r, s->waiter);
	hierarchy_arm(s->h);
	free(s);
}

static void refuse(struct saying *s, int rc, const char *why)
{
	struct json_error err = { 0 };

	pending_end(&s->pending);
	json_fail(&err, NULL, "%s", why);
	api_refuse(&s->pending.call, rc, &err);
	free(s);
}

/* ---- the statement ---- */

/* That there is none, or that it is elsewhere, is said by the statement as well. */
static void on_statement(const struct query_result *result, void *arg)
{
	struct saying *s = arg;
	cJSON *out;

	if (result->kind == RESULT_FAILED) {
		refuse(s, -EAGAIN, query_reason_text(result->reason));
		return;
	}
	if ((result->kind != RESULT_ANSWER && result->kind != RESULT_NO_VM) || !result->doc) {
		refuse(s, -ENOENT, "nobody is responsible for that");
		return;
	}
	if (s->ask.kind == ASK_PLACE) /* no host of ours may be there, by whose watch we would know */
		cache_raise_floor(&s->h->node.r.cache, s->ask.vnid, result->sequence);
	out = cJSON_CreateObject();
	cJSON_AddItemToObject(out, "statement", signed_json(result->doc));
	pending_end(&s->pending);
	api_reply(&s->pending.call, HTTP_OK, out);
	free(s);
}

static void ask_statement(struct saying *s)
{
	struct errand errand = { .recursive = true };
	struct waiter *waiter;

	strcpy(errand.id, s->id);
	waiter = query_ask(&s->h->node.r, &s->ask, &errand, on_statement, s);
	if (waiter) /* else it is answered already, and s may be gone */
		s->waiter = waiter;
}

/* ---- a service ---- */

static bool names(const cJSON *json, const char *service)
{
	const cJSON *one;

	cJSON_ArrayForEach (one, json_get(json, "path")) {
		const char *name = cJSON_GetStringValue(one);

		if (name && !strcmp(name, service))
			return true;
	}
	return false;
}

static bool is_named(const struct saying *s, const cJSON *answer)
{
	bool found = names(answer, s->ask.name);
	const cJSON *rule;

	cJSON_ArrayForEach (rule, json_get(answer, "rules"))
		found |= names(rule, s->ask.name);
	return found && (!*s->passer || api_passes(s->h->relay, s->passer, answer));
}

/* The half that names it is its own domain's: the source's, else the destination's. */
static void ask_service(struct saying *s, const cJSON *answer)
{
	struct resolver *r = &s->h->node.r;
	const struct zone *zone = reference_closest_vnid(&r->ref, s->key.vnid, r->env.now(r->env.arg));
	uint64_t beyond = 0;

	json_whole(json_get(json_get(answer, "destination"), "vnid"), 1, VNID_LAST, &beyond);
	s->ask.vnid = s->key.vnid;
	s->ask.source = s->key.source;
	s->ask.packet = s->key.packet;
	s->ask.to.id = s->key.by_address ? 0 : s->key.destination;
	s->ask.to.address = s->key.address;
	if (zone && beyond && !domain_has(zone->d.domain, s->ask.name)) {
		s->ask.from_vnid = s->key.vnid;
		s->ask.vnid = (uint32_t)beyond;
	}
	ask_statement(s);
}

static void on_answer(char *text, void *arg)
{
	_free_ char *kept = text;
	struct saying *s = arg;
	struct json_error err = { 0 };
	cJSON *answer = kept ? json_parse(kept, strlen(kept), &err) : NULL;

	s->recurse = NULL;
	if (answer && is_named(s, answer))
		ask_service(s, answer);
	else
		refuse(s, -EACCES, "no answer that it may have leads through that service");
	cJSON_Delete(answer);
}

static void find_service(struct saying *s)
{
	struct recurse *r;

	if (!*s->key.from && !s->key.vnid) {
		refuse(s, -EACCES, "no such source is here");
		return;
	}
	r = recurse_start(s->h, &s->key, s->id, on_answer, s);
	if (r)
		s->recurse = r;
}

static int read_service(struct api_call *call, const cJSON *json, struct saying *s, struct json_error *err)
{
	static const char *const fields[] = { "service", "key", NULL };
	const char *service = NULL, *passer = NULL;
	char domain[DOMAIN_ROOM];
	int rc = json_only(json, fields, err);

	rc = rc ? rc : json_str(json, "service", &service, err);
	if (!rc && !domain_of_name(service, domain))
		rc = json_fail(err, "service", "'%.80s' is not a full name, like acme:firewall", service);
	if (!rc)
		snprintf(err->prefix, sizeof(err->prefix), "key.");
	rc = rc ? rc : api_resolve_key(call, json_get(json, "key"), &s->key, &passer, err);
	if (rc)
		return rc;
	s->ask.kind = ASK_SERVICE;
	strcpy(s->ask.name, service);
	snprintf(s->passer, sizeof(s->passer), "%s", passer ? passer : "");
	return 0;
}

/* ---- a place ---- */

static int read_place(const cJSON *json, struct saying *s, struct json_error *err)
{
	static const char *const fields[] = { "vnid", "source", "address", NULL };
	const char *address = NULL;
	uint64_t vnid = 0, source = 0;
	int rc = json_only(json, fields, err);

	rc = rc ? rc : json_uint(json, "vnid", 1, VNID_LAST, &vnid, err);
	rc = rc ? rc : json_uint(json, "source", 1, UINT32_MAX, &source, err);
	rc = rc ? rc : json_str_opt(json, "address", &address, err);
	if (!rc && address && ip_parse(address, &s->ask.to.address))
		rc = json_fail(err, "address", "'%.60s' is not an IP address", address);
	s->ask.kind = ASK_PLACE;
	s->ask.vnid = (uint32_t)vnid;
	s->ask.source = (uint32_t)source;
	return rc;
}

/* ---- the request ---- */

static void start(struct api_call *call, const cJSON *json)
{
	struct saying *s = mem_alloc(sizeof(*s));
	struct json_error err = { 0 };
	int rc = cJSON_IsObject(json) ? 0 : json_fail(&err, NULL, "an object says what is to be stated");

	s->h = call->api->h;
	if (!rc)
		rc = json_get(json, "service") ? read_service(call, json, s, &err)
					       : read_place(json, s, &err);
	if (rc) {
		api_refuse(call, rc, &err);
		free(s);
		return;
	}
	hierarchy_new_id(s->h, s->id);
	pending_start(&s->pending, call, on_gone, s);
	if (s->ask.kind == ASK_SERVICE)
		find_service(s);
	else
		ask_statement(s);
	hierarchy_arm(call->api->h);
}

void api_statement(struct api_call *call)
{
	cJSON *json;

	if (!access_questions(call, call->api->admin) || !api_in_hierarchy(call))
		return;
	json = api_body(call, BODY_MAX);
	if (json)
		start(call, json);
	cJSON_Delete(json);
}
