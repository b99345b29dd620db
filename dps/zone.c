// SPDX-License-Identifier: Apache-2.0
#include "dps/zone.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/mem.h"
#include "dps/reply.h"

#define ANCHORS_MAX (ZONE_KEYS_MAX + SUCCESSIONS_MAX)

void zone_free(struct root_zone *zone)
{
	if (!zone)
		return;
	for (size_t i = 0; i < zone->n_succession; i++)
		signed_free(&zone->succession[i]);
	for (size_t i = 0; i < zone->n_delegations; i++) {
		signed_free(&zone->delegations[i].doc);
		free(zone->delegations[i].d);
	}
	for (size_t i = 0; i < zone->n_denials; i++) {
		signed_free(&zone->denials[i].doc);
		free(zone->denials[i].after);
		free(zone->denials[i].before);
	}
	free(zone->delegations);
	free(zone->denials);
	signed_free(&zone->doc);
	free(zone);
}

/* Reading */

static int parse_succession(const cJSON *json, struct root_zone *zone, struct json_error *err)
{
	const cJSON *list = NULL, *item;
	int rc = json_list(json, "succession", SUCCESSIONS_MAX, &list, err);

	cJSON_ArrayForEach (item, list) {
		snprintf(err->prefix, sizeof(err->prefix), "succession[%zu].", zone->n_succession);
		rc = signed_parse(item, SIGNED_BODY_MAX, &zone->succession[zone->n_succession], err);
		if (rc)
			return rc;
		zone->n_succession++;
	}
	err->prefix[0] = '\0';
	return rc;
}

/* A part, as the whole's signature has it; that the key it names is one of the zone's is all that is asked. */
static int take_part(const cJSON *item, struct root_zone *zone, struct signed_doc *doc,
		     struct json_error *err)
{
	int rc = signed_parse(item, SIGNED_BODY_MAX, doc, err);

	if (!rc && !signed_named(doc, zone->keys, zone->n_keys))
		rc = json_fail(err, "key", "signed by a key that is not in 'keys'");
	return rc;
}

static int take_delegation(const cJSON *item, struct root_zone *zone, struct json_error *err)
{
	struct zone_delegation *part = &zone->delegations[zone->n_delegations++];
	int rc = take_part(item, zone, &part->doc, err);

	part->d = mem_alloc(sizeof(*part->d));
	rc = rc ? rc : delegation_parse(part->doc.body, part->doc.len, part->d, err);
	if (!rc && domain_depth(part->d->domain) != 1)
		rc = json_fail(err, "domain", "'%.80s' is not the root's to delegate", part->d->domain);
	return rc;
}

static int take_denial(const cJSON *item, struct root_zone *zone, struct json_error *err)
{
	struct zone_denial *part = &zone->denials[zone->n_denials++];
	struct statement s;
	int rc = take_part(item, zone, &part->doc, err);

	rc = rc ? rc : statement_parse(part->doc.body, part->doc.len, &s, err);
	if (rc)
		return rc;
	if (*s.zone || s.kind != STATEMENT_NO_DELEGATION)
		return json_fail(err, NULL, "not the root's word that nothing is delegated");
	part->vnids = s.vnids;
	part->after = mem_copy(s.after);
	part->before = mem_copy(s.before);
	return 0;
}

static int take_list(const cJSON *json, const char *field, size_t max, struct root_zone *zone,
		     int (*take)(const cJSON *, struct root_zone *, struct json_error *),
		     struct json_error *err)
{
	const cJSON *list = json_get(json, field), *item;
	size_t i = 0;
	int rc = 0;

	if (!cJSON_IsArray(list) || (size_t)cJSON_GetArraySize(list) > max)
		return json_fail(err, field, "'%s' must be a list of at most %zu", field, max);
	if (take == take_delegation)
		zone->delegations = mem_alloc(cJSON_GetArraySize(list) * sizeof(*zone->delegations));
	else
		zone->denials = mem_alloc(cJSON_GetArraySize(list) * sizeof(*zone->denials));
	cJSON_ArrayForEach (item, list) {
		snprintf(err->prefix, sizeof(err->prefix), "%s[%zu].", field, i++);
		rc = take(item, zone, err);
		if (rc)
			return rc;
	}
	err->prefix[0] = '\0';
	return rc;
}

static int parse_times(const cJSON *json, struct root_zone *zone, struct json_error *err)
{
	uint64_t issued = 0, expires = 0;
	int rc = json_uint(json, "serial", 1, JSON_INT_MAX, &zone->serial, err);

	rc = rc ? rc : json_uint(json, "issued", 0, JSON_INT_MAX, &issued, err);
	rc = rc ? rc : json_uint(json, "expires", 0, JSON_INT_MAX, &expires, err);
	if (!rc && (expires <= issued || expires - issued > DELEGATION_LIFE_MAX))
		rc = json_fail(err, "expires", "'expires' must be 1 to %d seconds after 'issued'",
			       DELEGATION_LIFE_MAX);
	zone->issued = (int64_t)issued;
	zone->expires = (int64_t)expires;
	return rc;
}

static int by_first(const void *a, const void *b)
{
	const struct vnid_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

static int by_domain(const void *a, const void *b)
{
	return strcmp(((const struct zone_delegation *)a)->d->domain,
		      ((const struct zone_delegation *)b)->d->domain);
}

/* All ranges of all delegations, sorted; the caller's. */
static struct vnid_range *collect_ranges(const struct root_zone *zone, size_t *n)
{
	struct vnid_range *all;

	*n = 0;
	for (size_t i = 0; i < zone->n_delegations; i++)
		*n += zone->delegations[i].d->ranges.n;
	all = mem_alloc(*n * sizeof(*all));
	*n = 0;
	for (size_t i = 0; i < zone->n_delegations; i++) {
		const struct vnid_ranges *set = &zone->delegations[i].d->ranges;

		memcpy(&all[*n], set->v, set->n * sizeof(*set->v));
		*n += set->n;
	}
	qsort(all, *n, sizeof(*all), by_first);
	return all;
}

static int check_apart(struct root_zone *zone, struct json_error *err)
{
	size_t n;
	struct vnid_range *all = collect_ranges(zone, &n);
	int rc = 0;

	for (size_t i = 1; !rc && i < n; i++)
		if (all[i].first <= all[i - 1].last)
			rc = json_fail(err, "delegations", "VNID %u is delegated twice", all[i].first);
	free(all);
	qsort(zone->delegations, zone->n_delegations, sizeof(*zone->delegations), by_domain);
	for (size_t i = 1; !rc && i < zone->n_delegations; i++)
		if (!strcmp(zone->delegations[i].d->domain, zone->delegations[i - 1].d->domain))
			rc = json_fail(err, "delegations", "'%.80s' is there twice",
				       zone->delegations[i].d->domain);
	return rc;
}

static int parse_fields(const cJSON *json, struct root_zone *zone, struct json_error *err)
{
	static const char *const fields[] = { "serial",	    "issued",	   "expires", "keys", "servers",
					      "succession", "delegations", "denials", NULL };
	int rc = cJSON_IsObject(json) ? json_only(json, fields, err)
				      : json_fail(err, NULL, "a root zone is an object");

	rc = rc ? rc : parse_times(json, zone, err);
	rc = rc ? rc : keys_parse(json, zone->keys, &zone->n_keys, err);
	rc = rc ? rc : servers_parse(json, zone->servers, &zone->n_servers, err);
	rc = rc ? rc : parse_succession(json, zone, err);
	rc = rc ? rc : take_list(json, "delegations", ZONE_DELEGATIONS_MAX, zone, take_delegation, err);
	rc = rc ? rc
		: take_list(json, "denials", ZONE_DELEGATIONS_MAX * (RANGES_MAX + 1), zone, take_denial, err);
	return rc ? rc : check_apart(zone, err);
}

/* Believing */

static int check_trust(const struct root_zone *zone, const struct sign_public *anchors, size_t n_anchors,
		       struct json_error *err)
{
	struct sign_public trusted[ANCHORS_MAX];
	size_t n = n_anchors < ZONE_KEYS_MAX ? n_anchors : ZONE_KEYS_MAX;
	const struct sign_public *signer;

	memcpy(trusted, anchors, n * sizeof(*anchors));
	succession_follow(zone->succession, zone->n_succession, trusted, &n, ANCHORS_MAX);
	signer = signed_by(&zone->doc, SIGNED_ROOT_ZONE, trusted, n);
	for (size_t i = 0; signer && i < zone->n_keys; i++)
		if (sign_public_equal(signer, &zone->keys[i]))
			return 0;
	json_fail(err, NULL, "not signed by a root key that we were given, or by a successor of one");
	return -EKEYREJECTED;
}

static int check_age(const struct root_zone *zone, uint64_t least_serial, int64_t now, struct json_error *err)
{
	int rc = delegation_times(zone->issued, zone->expires, now);

	if (zone->serial < least_serial) {
		json_fail(err, "serial", "serial %llu is older than %llu, which was seen already",
			  (unsigned long long)zone->serial, (unsigned long long)least_serial);
		return -ESTALE;
	}
	if (rc)
		json_fail(err, rc == -ETIME ? "expires" : "issued", "the root zone is %s",
			  rc == -ETIME ? "over" : "of the future");
	return rc;
}

int zone_open(const struct signed_doc *doc, const struct sign_public *anchors, size_t n_anchors,
	      uint64_t least_serial, int64_t now, struct root_zone **out, struct json_error *err)
{
	struct root_zone *zone = mem_alloc(sizeof(*zone));
	cJSON *json = json_parse(doc->body, doc->len, err);
	int rc = json ? parse_fields(json, zone, err) : -EINVAL;

	cJSON_Delete(json);
	if (!rc)
		rc = signed_copy(doc, &zone->doc);
	rc = rc ? rc : check_trust(zone, anchors, n_anchors, err);
	rc = rc ? rc : check_age(zone, least_serial, now, err);
	if (rc)
		zone_free(zone);
	else
		*out = zone;
	return rc;
}

/* Writing */

static cJSON *docs_json(const void *first, size_t n, size_t stride)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < n; i++)
		cJSON_AddItemToArray(
			list, signed_json((const struct signed_doc *)((const char *)first + i * stride)));
	return list;
}

int zone_sign(struct root_zone *zone, const struct sign_key *key)
{
	cJSON *out = cJSON_CreateObject();
	char *body;

	cJSON_AddNumberToObject(out, "serial", (double)zone->serial);
	cJSON_AddNumberToObject(out, "issued", (double)zone->issued);
	cJSON_AddNumberToObject(out, "expires", (double)zone->expires);
	cJSON_AddItemToObject(out, "keys", keys_json(zone->keys, zone->n_keys));
	cJSON_AddItemToObject(out, "servers", servers_json(zone->servers, zone->n_servers));
	cJSON_AddItemToObject(out, "succession",
			      docs_json(zone->succession, zone->n_succession, sizeof(*zone->succession)));
	cJSON_AddItemToObject(out, "delegations",
			      docs_json(zone->delegations, zone->n_delegations, sizeof(*zone->delegations)));
	cJSON_AddItemToObject(out, "denials",
			      docs_json(zone->denials, zone->n_denials, sizeof(*zone->denials)));
	body = cJSON_PrintUnformatted(out);
	cJSON_Delete(out);
	signed_free(&zone->doc);
	return signed_make(key, SIGNED_ROOT_ZONE, body, &zone->doc);
}

const struct signed_doc *zone_denial(const struct root_zone *zone, uint32_t vnid, const char *domain)
{
	for (size_t i = 0; i < zone->n_denials; i++) {
		const struct zone_denial *part = &zone->denials[i];

		if (domain ? !part->vnids.first && strcmp(domain, part->after) > 0 &&
				     (!*part->before || strcmp(domain, part->before) < 0)
			   : part->vnids.first && vnid >= part->vnids.first && vnid <= part->vnids.last)
			return &part->doc;
	}
	return NULL;
}
