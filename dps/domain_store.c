// SPDX-License-Identifier: Apache-2.0
/* What of an authority outlives a restart: its serial, its children, and what they have lost. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "dps/hierarchy.h"
#include "dps/persist.h"
#include "lib/cleanup.h"

#define SERIAL "serial" /* a counter; the rest are kinds of records */
#define SERIAL_SPARE                                                                                         \
	16 /* above the stored one after a restart: what was signed last may not have been stored */

/* Writing: all of it, in one transaction. Children are few, or change seldom. */

static int put_child(struct store *store, const struct child *child)
{
	_free_ char *body = delegation_render(&child->d);
	const struct store_record record = { .table = STORE_LOGICAL,
					     .kind = PERSIST_DELEGATION,
					     .key = child->d.domain,
					     .revision = child->d.serial,
					     .until = child->d.expires,
					     .body = body };

	return body ? store_put(store, &record) : -ENOMEM;
}

static int put_leaving(struct store *store, const struct leaving *leaving, size_t i)
{
	cJSON *json = cJSON_CreateObject();
	_free_ char *body = NULL;
	char key[32];
	struct store_record record = {
		.table = STORE_LOGICAL, .kind = PERSIST_LEAVING, .key = key, .until = leaving->until
	};

	snprintf(key, sizeof(key), "%zu", i);
	cJSON_AddStringToObject(json, "domain", leaving->domain);
	cJSON_AddItemToObject(json, "ranges", ranges_json(&leaving->ranges));
	body = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	record.body = body;
	return store_put(store, &record);
}

static int put_all(const struct domain *d, struct store *store)
{
	const struct authority *a = &d->authority;
	const struct leaving *leaving;
	int rc = store_remove_kind(store, STORE_LOGICAL, PERSIST_DELEGATION);
	size_t i = 0;

	rc = rc ? rc : store_remove_kind(store, STORE_LOGICAL, PERSIST_LEAVING);
	for (const struct child *child = a->children; !rc && child; child = child->hh.next)
		rc = put_child(store, child);
	DL_FOREACH (a->leaving, leaving)
		rc = rc ? rc : put_leaving(store, leaving, i++);
	return rc ? rc : store_put_counter(store, SERIAL, a->serial);
}

int domain_save(struct domain *d)
{
	struct store *store = d->api->store;
	int rc = store ? store_begin(store) : 0;

	if (!store || rc)
		return rc;
	rc = put_all(d, store);
	if (rc)
		store_rollback(store);
	else
		rc = store_commit(store);
	if (!rc)
		d->saved = d->authority.serial;
	return rc;
}

/* Reading */

struct loading {
	struct domain *d;
	int64_t now;
	struct json_error *err;
};

static int load_leaving(struct loading *loading, const struct store_record *record)
{
	cJSON *json = json_parse(record->body, strlen(record->body), loading->err);
	struct vnid_ranges ranges = { .n = 0 };
	const char *domain = NULL;
	int rc = json ? json_str(json, "domain", &domain, loading->err) : -EINVAL;

	rc = rc ? rc : ranges_parse(json, "ranges", &ranges, loading->err);
	if (!rc && strlen(domain) < DOMAIN_ROOM && record->until > loading->now)
		authority_restore_leaving(&loading->d->authority, domain, &ranges, record->until);
	cJSON_Delete(json);
	return rc;
}

static int load_child(struct loading *loading, const struct store_record *record)
{
	struct delegation d;
	int rc = delegation_parse(record->body, strlen(record->body), &d, loading->err);

	if (!rc)
		authority_restore(&loading->d->authority, &d, loading->now);
	return rc;
}

static int load_record(const struct store_record *record, void *arg)
{
	struct loading *loading = arg;
	int rc = 0;

	if (record->table != STORE_LOGICAL)
		return 0;
	if (!strcmp(record->kind, PERSIST_LEAVING))
		rc = load_leaving(loading, record);
	else if (!strcmp(record->kind, PERSIST_DELEGATION))
		rc = load_child(loading, record);
	if (rc)
		snprintf(loading->err->object, sizeof(loading->err->object), "the store, %s %s", record->kind,
			 record->key);
	return rc;
}

static int load_counter(const char *name, uint64_t value, void *arg)
{
	struct loading *loading = arg;

	if (!strcmp(name, SERIAL))
		loading->d->authority.serial = value + SERIAL_SPARE;
	return 0;
}

int domain_load(struct domain *d, int64_t now, struct json_error *err)
{
	struct loading loading = { .d = d, .now = now, .err = err };
	int rc = store_load_counters(d->api->store, load_counter, &loading);

	rc = rc ? rc : store_load(d->api->store, load_record, &loading);
	if (rc && !*err->text)
		json_fail(err, NULL, "the store cannot be read: %s", strerror(-rc));
	return rc ? rc : domain_save(d);
}

/* The root zone */

int domain_save_zone(struct store *store, const struct signed_doc *doc)
{
	cJSON *json = signed_json(doc);
	_free_ char *body = cJSON_PrintUnformatted(json);
	const struct store_record record = {
		.table = STORE_LOGICAL, .kind = PERSIST_ROOT_ZONE, .key = ".", .body = body
	};
	int rc = store ? store_begin(store) : 0;

	cJSON_Delete(json);
	if (!store || rc)
		return rc;
	rc = store_put(store, &record);
	if (!rc)
		return store_commit(store);
	store_rollback(store);
	return rc;
}

static int load_zone(const struct store_record *record, void *arg)
{
	struct json_error err = { 0 };
	cJSON *json;

	if (strcmp(record->kind, PERSIST_ROOT_ZONE) != 0)
		return 0;
	json = json_parse(record->body, strlen(record->body), &err);
	if (json)
		signed_parse(json, ROOT_ZONE_BODY_MAX, arg, &err);
	cJSON_Delete(json);
	return 0;
}

int domain_load_zone(struct store *store, struct signed_doc *out)
{
	int rc = store_load(store, load_zone, out);

	return rc ? rc : out->body ? 0 : -ENOENT;
}
