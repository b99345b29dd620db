// SPDX-License-Identifier: Apache-2.0
/* What a domain has given away, and what proves it: delegations, the root zone, chains. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dps/access.h"
#include "dps/hierarchy.h"
#include "dps/pending.h"
#include "lib/cleanup.h"

bool api_in_hierarchy(struct api_call *call)
{
	struct json_error err = { 0 };

	if (call->api->h)
		return true;
	json_fail(&err, NULL, "this service stands alone: it has no root");
	api_refuse(call, -ENOENT, &err);
	return false;
}

/* "acme%2Feng" comes decoded; "." is the root. */
static const char *domain_arg(const struct api_call *call)
{
	return strcmp(call->args[0], ".") != 0 ? call->args[0] : "";
}

/* Our domain that is, or would be, its parent; refused where there is none. */
static struct domain *parent_of(struct api_call *call)
{
	struct json_error err = { 0 };
	char above[DOMAIN_ROOM];
	struct domain *d;

	if (!api_in_hierarchy(call))
		return NULL;
	if (!domain_check(domain_arg(call))) {
		json_fail(&err, "domain", "'%.80s' is not a domain, like acme or acme/eng", call->args[0]);
		api_refuse(call, -EINVAL, &err);
		return NULL;
	}
	domain_parent(domain_arg(call), above);
	d = hierarchy_domain(call->api->h, above);
	if (d)
		return access_administers(call, above) ? d : NULL;
	json_fail(&err, "domain", "this server is not the authority of '%.80s', which '%.80s' would be below",
		  *above ? above : ".", call->args[0]);
	api_refuse(call, -ENOENT, &err);
	return NULL;
}

static const struct child *child_of(const struct domain *d, const char *domain)
{
	struct ask ask = { .kind = ASK_ZONE };

	snprintf(ask.name, sizeof(ask.name), "%s", domain);
	return authority_child(&d->authority, &ask);
}

static cJSON *child_json(const struct child *child)
{
	struct json_error err = { 0 };
	cJSON *out = json_parse(child->doc.body, child->doc.len, &err);

	return out ? out : cJSON_CreateObject();
}

static cJSON *leaving_json(const struct authority *a)
{
	cJSON *list = cJSON_CreateArray(), *one;

	for (const struct leaving *l = a->leaving; l; l = l->next) {
		one = cJSON_CreateObject();
		cJSON_AddStringToObject(one, "domain", l->domain);
		cJSON_AddItemToObject(one, "ranges", ranges_json(&l->ranges));
		cJSON_AddNumberToObject(one, "until", (double)l->until);
		cJSON_AddItemToArray(list, one);
	}
	return list;
}

static cJSON *authority_json(const struct domain *d)
{
	const struct authority *a = &d->authority;
	cJSON *out = cJSON_CreateObject(), *list;

	cJSON_AddStringToObject(out, "domain", *a->domain ? a->domain : ".");
	cJSON_AddItemToObject(out, "ranges", ranges_json(&a->ranges));
	cJSON_AddItemToObject(out, "keys", keys_json(d->self.keys, d->self.n_keys));
	cJSON_AddNumberToObject(out, "serial", (double)a->serial);
	list = cJSON_AddArrayToObject(out, "delegations");
	for (const struct child *child = a->children; child; child = child->hh.next)
		cJSON_AddItemToArray(list, child_json(child));
	cJSON_AddItemToObject(out, "leaving", leaving_json(a));
	return out;
}

/* Those of the domains that the asker may see. */
void api_list_delegations(struct api_call *call)
{
	const struct hierarchy *h = call->api->h;
	cJSON *list;

	if (!api_in_hierarchy(call) || !access_is_admin(call))
		return;
	list = cJSON_CreateArray();
	for (size_t i = 0; i < h->n_domains; i++)
		if (access_owns(call, h->domains[i]->authority.domain))
			cJSON_AddItemToArray(list, authority_json(h->domains[i]));
	api_reply(call, HTTP_OK, list);
}

static void refuse_unknown(struct api_call *call)
{
	struct json_error err = { 0 };

	snprintf(err.object, sizeof(err.object), "delegation %.80s", call->args[0]);
	json_fail(&err, "domain", "'%.80s' is not delegated", call->args[0]);
	api_refuse(call, -ENOENT, &err);
}

void api_get_delegation(struct api_call *call)
{
	struct domain *d = parent_of(call);
	const struct child *child = d ? child_of(d, call->args[0]) : NULL;

	if (child)
		api_reply(call, HTTP_OK, child_json(child));
	else if (d)
		refuse_unknown(call);
}

static int read_delegation(const cJSON *json, const char *domain, struct delegation *out,
			   struct json_error *err)
{
	static const char *const fields[] = { "ranges", "servers", "keys", NULL };
	int rc = cJSON_IsObject(json)
			 ? json_only(json, fields, err)
			 : json_fail(err, NULL, "a delegation has 'ranges', 'servers' and 'keys'");

	memset(out, 0, sizeof(*out));
	strcpy(out->domain, domain);
	rc = rc ? rc : ranges_parse(json, "ranges", &out->ranges, err);
	rc = rc ? rc : servers_parse(json, out->servers, &out->n_servers, err);
	return rc ? rc : keys_parse(json, out->keys, &out->n_keys, err);
}

/* A change that cannot be stored is none: what was there before is put back. */
static int store_change(struct domain *d, const char *domain, const struct delegation *before,
			struct json_error *err)
{
	struct json_error ignored = { 0 };

	if (!hierarchy_changed(d))
		return 0;
	if (before)
		authority_restore(&d->authority, before, time(NULL));
	else
		authority_withdraw(&d->authority, domain, &ignored);
	json_fail(err, NULL, "the store refused it");
	return -EIO;
}

static int delegate(struct domain *d, const cJSON *json, const char *domain, struct json_error *err)
{
	const struct child *child = child_of(d, domain);
	struct delegation want, before;
	int rc = read_delegation(json, domain, &want, err);

	if (child)
		before = child->d;
	rc = rc ? rc : authority_delegate(&d->authority, &want, time(NULL), err);
	return rc ? rc : store_change(d, domain, child ? &before : NULL, err);
}

void api_put_delegation(struct api_call *call)
{
	struct domain *d = parent_of(call);
	struct json_error err = { 0 };
	cJSON *json = d ? api_body(call, BODY_MAX) : NULL;
	int rc;

	if (!json)
		return;
	rc = delegate(d, json, call->args[0], &err);
	cJSON_Delete(json);
	if (!rc) {
		hierarchy_arm(call->api->h);
		api_reply(call, HTTP_OK, child_json(child_of(d, call->args[0])));
		return;
	}
	snprintf(err.object, sizeof(err.object), "delegation %.80s", call->args[0]);
	api_refuse(call, rc == -ERANGE ? -EEXIST : rc, &err);
}

void api_delete_delegation(struct api_call *call)
{
	struct domain *d = parent_of(call);
	const struct child *child = d ? child_of(d, call->args[0]) : NULL;
	struct json_error err = { 0 };
	struct delegation before;

	if (!child) {
		if (d)
			refuse_unknown(call);
		return;
	}
	before = child->d;
	authority_withdraw(&d->authority, call->args[0], &err);
	if (store_change(d, call->args[0], &before, &err))
		api_refuse(call, -EIO, &err);
	else
		api_reply(call, HTTP_OK, cJSON_CreateObject());
}

/* ---- proofs ---- */

/* Found out where it is not at hand: a local server's hosts know nobody else. */
struct proving {
	struct pending pending;
	struct hierarchy *h;
	char domain[DOMAIN_ROOM]; /* "": the root zone is wanted */
	bool gone;
};

static void on_proving_gone(void *arg)
{
	((struct proving *)arg)->gone = true;
}

/* The delegations from the root's child down to the domain: what an agent needs to verify what it has signed. */
static bool reply_chain(struct api_call *call, const char *domain)
{
	struct reference *ref = &call->api->h->node.r.ref;
	struct reply chain = { 0 };
	cJSON *out, *list;

	if (!reference_chain(ref, "", domain, time(NULL), &chain)) {
		reply_free(&chain);
		return false;
	}
	out = cJSON_CreateObject();
	cJSON_AddStringToObject(out, "domain", domain);
	list = cJSON_AddArrayToObject(out, "chain");
	for (size_t i = 0; i < chain.n_chain; i++)
		cJSON_AddItemToArray(list, signed_json(&chain.chain[i]));
	reply_free(&chain);
	api_reply(call, HTTP_OK, out);
	return true;
}

static void refuse_proof(struct api_call *call, const char *domain)
{
	struct json_error err = { 0 };

	if (*domain)
		json_fail(&err, "domain", "no chain of delegations to '%.80s' is known here", domain);
	else
		json_fail(&err, NULL, "no root zone is here");
	api_refuse(call, -ENOENT, &err);
}

static void on_root_found(const struct query_result *result, void *arg)
{
	_free_ struct proving *p = arg;

	if (p->gone)
		return;
	pending_end(&p->pending);
	if (result->kind == RESULT_ROOT && result->doc)
		api_reply(&p->pending.call, HTTP_OK, signed_json(result->doc));
	else
		refuse_proof(&p->pending.call, "");
}

static void on_chain_found(const struct query_result *result, void *arg)
{
	_free_ struct proving *p = arg;

	(void)result; /* what was found out is in the reference now */
	if (p->gone)
		return;
	pending_end(&p->pending);
	if (!reply_chain(&p->pending.call, p->domain))
		refuse_proof(&p->pending.call, p->domain);
}

static void find_proof(struct api_call *call, const struct ask *ask, query_done found)
{
	struct proving *p = mem_alloc(sizeof(*p));
	const struct errand errand = { .recursive = true };

	p->h = call->api->h;
	strcpy(p->domain, ask->name);
	pending_start(&p->pending, call, on_proving_gone, p);
	query_ask(&p->h->node.r, ask, &errand, found, p);
	hierarchy_arm(call->api->h);
}

void api_get_root(struct api_call *call)
{
	static const struct ask ask = { .kind = ASK_ROOT };
	const struct root_zone *zone;

	if (!access_asks(call) || !api_in_hierarchy(call))
		return;
	zone = call->api->h->node.root;
	if (zone)
		api_reply(call, HTTP_OK, signed_json(&zone->doc));
	else if (call->api->h->relay)
		find_proof(call, &ask, on_root_found);
	else
		refuse_proof(call, "");
}

void api_get_chain(struct api_call *call)
{
	struct ask ask = { .kind = ASK_ZONE };
	struct json_error err = { 0 };

	if (!access_asks(call) || !api_in_hierarchy(call))
		return;
	if (domain_check(call->args[0])) {
		strcpy(ask.name, call->args[0]);
		if (reply_chain(call, call->args[0]))
			return;
		if (call->api->h->relay)
			find_proof(call, &ask, on_chain_found);
		else
			refuse_proof(call, call->args[0]);
		return;
	}
	json_fail(&err, "domain", "'%.80s' is not a domain, like acme or acme/eng", call->args[0]);
	api_refuse(call, -EINVAL, &err);
}
