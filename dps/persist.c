// SPDX-License-Identifier: Apache-2.0
#include "dps/persist.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "dps/link.h"
#include "lib/cleanup.h"

#define TOMBSTONE "tombstone" /* records that are not objects' contents */
#define PLACE "place"
#define GONE "gone"
#define SMALL_KEY 48
#define NOT_AN_OBJECT (-EINVAL) /* what objects_kind() says of them */

/* Where an object's content belongs: what is defined, or where it is. */
static enum store_table table_of(enum kind kind)
{
	return kind == KIND_HOST || kind == KIND_SERVICE || kind == KIND_UNDERLAY_PATH ||
			       kind == KIND_EXTERNAL
		       ? STORE_PHYSICAL
		       : STORE_LOGICAL;
}

static int put_object(struct store *store, const struct object *obj)
{
	struct store_record record = {
		.table = table_of(obj->kind),
		.kind = objects_kind_name(obj->kind),
		.key = obj->key,
		.id = obj->id,
		.revision = obj->revision,
		.sequence = obj->sequence,
		.floor = obj->floor,
		.body = obj->spec->body,
	};

	if (obj->kind == KIND_NETWORK)
		record.sequence = ((const struct network *)obj)->revision;
	return store_put(store, &record);
}

static void tombstone_key(const struct object *obj, char *key)
{
	snprintf(key, SMALL_KEY, "%u/%u", obj->net->o.id, obj->id);
}

static int put_tombstone(struct store *store, const struct object *obj, int64_t until)
{
	char key[SMALL_KEY];
	struct store_record record = {
		.table = STORE_LOGICAL,
		.kind = TOMBSTONE,
		.key = key,
		.id = obj->id,
		.revision = obj->revision,
		.sequence = obj->sequence,
		.floor = obj->floor,
		.until = until,
		.body = obj->key,
	};

	tombstone_key(obj, key);
	return store_put(store, &record);
}

static int remove_tombstone(struct store *store, const struct object *obj)
{
	char key[SMALL_KEY];

	tombstone_key(obj, key);
	return store_remove(store, STORE_LOGICAL, TOMBSTONE, key);
}

static int put_place(struct store *store, const struct endpoint *ep)
{
	struct store_record record = {
		.table = STORE_PHYSICAL,
		.kind = PLACE,
		.key = ep->o.key,
		.id = ep->place.host ? ep->place.host->o.id : 0,
		.revision = ep->place.revision,
		.body = ep->place.claim,
	};

	return store_put(store, &record);
}

static int remove_network_tombstones(struct store *store, const struct network *net)
{
	struct object *obj;
	int rc = 0;

	DL_FOREACH (net->tombstones, obj)
		rc = rc ? rc : remove_tombstone(store, obj);
	return rc;
}

static int remove_object(struct txn *txn, const struct object *obj)
{
	int rc = store_remove(txn->store, table_of(obj->kind), objects_kind_name(obj->kind), obj->key);

	if (!rc && obj->kind == KIND_ENDPOINT)
		rc = store_remove(txn->store, STORE_PHYSICAL, PLACE, obj->key);
	if (!rc && obj->kind == KIND_POLICY && obj->net->o.spec)
		rc = put_tombstone(txn->store, obj, txn->now + TOMBSTONE_SECONDS);
	if (!rc && obj->kind == KIND_NETWORK)
		rc = remove_network_tombstones(txn->store, (const struct network *)obj);
	return rc;
}

static bool is_tombstone(const struct model *m, const struct object *obj)
{
	return obj->kind == KIND_POLICY && !obj->spec && model_policy(m, obj->id);
}

static int persist_saved(struct txn *txn, const struct saved *saved)
{
	const struct object *obj = saved->obj;
	int rc;

	if (is_tombstone(txn->m, obj))
		return remove_tombstone(txn->store, obj);
	rc = obj->spec ? put_object(txn->store, obj) : remove_object(txn, obj);
	if (!rc && saved->placed && obj->spec)
		rc = put_place(txn->store, (const struct endpoint *)obj);
	return rc;
}

/* Past places */

static void gone_key(const struct gone *gone, char *key)
{
	snprintf(key, SMALL_KEY, "%u/%u", gone->host->o.id, gone->endpoint);
}

static char *gone_body(const struct gone *gone)
{
	cJSON *body = cJSON_CreateObject();
	char *text;

	cJSON_AddNumberToObject(body, "vnid", gone->vnid);
	cJSON_AddNumberToObject(body, "host", gone->host->o.id);
	cJSON_AddItemToObject(body, "addresses", objects_addresses_json(gone->addresses, gone->n_addresses));
	text = cJSON_PrintUnformatted(body);
	cJSON_Delete(body);
	return text;
}

static int put_gone(struct store *store, const struct gone *gone)
{
	_free_ char *body = gone_body(gone);
	char key[SMALL_KEY];
	struct store_record record = {
		.table = STORE_PHYSICAL,
		.kind = GONE,
		.key = key,
		.id = gone->endpoint,
		.revision = gone->revision,
		.until = gone->until,
		.body = body,
	};

	gone_key(gone, key);
	return store_put(store, &record);
}

static int persist_gone(struct txn *txn)
{
	char key[SMALL_KEY];
	int rc = 0;

	for (size_t i = 0; !rc && i < txn->ended.n; i++) {
		gone_key(txn->ended.v[i], key);
		rc = store_remove(txn->store, STORE_PHYSICAL, GONE, key);
	}
	for (size_t i = 0; !rc && i < txn->gone.n; i++)
		rc = put_gone(txn->store, txn->gone.v[i]);
	return rc;
}

static int persist_counters(struct txn *txn)
{
	int rc = store_put_counter(txn->store, "commits", txn->m->commits);

	for (int kind = 0; !rc && kind < KIND_COUNT; kind++)
		rc = store_put_counter(txn->store, objects_kind_name(kind), txn->m->last_id[kind]);
	return rc;
}

int persist_txn(struct txn *txn)
{
	int rc = txn->store ? store_begin(txn->store) : 0;

	if (!txn->store || rc)
		return rc;
	rc = persist_gone(txn);
	for (size_t i = 0; !rc && i < txn->saved.n; i++)
		rc = persist_saved(txn, txn->saved.v[i]);
	rc = rc ? rc : persist_counters(txn);
	if (!rc)
		return store_commit(txn->store);
	store_rollback(txn->store);
	return rc;
}

/* Loading: records are kept until those that they refer to are there. */

struct kept {
	struct store_record record;
	int kind; /* or NOT_AN_OBJECT */
};

struct loading {
	struct model *m;
	struct json_error *err;
	struct ptrs kept;
};

static bool is_hierarchys(const struct store_record *record)
{
	return !strcmp(record->kind, PERSIST_DELEGATION) || !strcmp(record->kind, PERSIST_LEAVING) ||
	       !strcmp(record->kind, PERSIST_ROOT_ZONE);
}

static int keep(const struct store_record *record, void *arg)
{
	struct loading *loading = arg;
	struct kept *kept;

	if (is_hierarchys(record))
		return 0;
	kept = mem_alloc(sizeof(*kept));

	kept->record = *record;
	kept->record.kind = mem_copy(record->kind);
	kept->record.key = mem_copy(record->key);
	kept->record.body = mem_copy(record->body);
	kept->kind = objects_kind(record->kind);
	ptrs_push(&loading->kept, kept);
	return 0;
}

static void free_kept(struct loading *loading)
{
	for (size_t i = 0; i < loading->kept.n; i++) {
		struct kept *kept = loading->kept.v[i];

		free((char *)kept->record.kind);
		free((char *)kept->record.key);
		free((char *)kept->record.body);
		free(kept);
	}
	ptrs_free(&loading->kept);
}

static int damaged(const struct store_record *record, struct json_error *err)
{
	char why[200]; /* of the sentence, as much as fits */

	snprintf(why, sizeof(why), "%.199s", err->text);
	json_fail(err, NULL, "the store is damaged at %s %s: %s", record->kind, record->key,
		  *why ? why : "it does not fit");
	return -EINVAL;
}

static struct network *network_of_key(const struct model *m, const char *key)
{
	char name[KEY_ROOM];
	size_t len = strcspn(key, "/");

	if (!key[len] || len >= sizeof(name))
		return NULL;
	memcpy(name, key, len);
	name[len] = '\0';
	return (struct network *)model_find(m, KIND_NETWORK, name);
}

static bool is_fallback(const struct kept *kept)
{
	const char *slash = strchr(kept->record.key, '/');

	return kept->kind == KIND_POLICY && slash && !strcmp(slash + 1, DEFAULT_POLICY);
}

static struct spec *parse_body(const struct kept *kept, const struct network *net, struct json_error *err)
{
	struct spec *spec = NULL;
	cJSON *json;

	if (is_fallback(kept))
		return net ? objects_default_policy(net->o.key, &net->o.spec->u.network) : NULL;
	json = json_parse(kept->record.body, strlen(kept->record.body), err);
	if (json)
		objects_parse(json, &spec, err);
	cJSON_Delete(json);
	return spec;
}

static int load_object(struct loading *loading, const struct kept *kept)
{
	const struct store_record *record = &kept->record;
	struct network *net = network_of_key(loading->m, record->key);
	struct spec *spec = parse_body(kept, net, loading->err);
	struct object *obj;

	if (!spec || objects_in_network(kept->kind) != !!net || strcmp(spec->key, record->key)) {
		objects_free(spec);
		return damaged(record, loading->err);
	}
	obj = model_create(loading->m, kept->kind, record->key, net, record->id);
	obj->spec = spec;
	obj->revision = record->revision;
	obj->sequence = record->sequence;
	obj->floor = record->floor;
	if (kept->kind == KIND_NETWORK) {
		((struct network *)obj)->revision = record->sequence;
		obj->sequence = 0;
	}
	if (is_fallback(kept))
		net->fallback = (struct policy *)obj;
	return link_index(loading->m, obj, loading->err) ? damaged(record, loading->err) : 0;
}

static int load_tombstone(struct loading *loading, const struct store_record *record)
{
	struct network *net = network_of_key(loading->m, record->body);
	struct object *obj;

	if (!net || model_find(loading->m, KIND_POLICY, record->key))
		return damaged(record, loading->err);
	obj = model_create(loading->m, KIND_POLICY, record->key, net, record->id);
	model_unlist(loading->m, obj);
	snprintf(obj->key, sizeof(obj->key), "%s", record->body);
	obj->revision = record->revision;
	obj->sequence = record->sequence;
	obj->floor = record->floor;
	((struct policy *)obj)->until = record->until;
	model_bury(loading->m, (struct policy *)obj);
	return 0;
}

static int load_place(struct loading *loading, const struct store_record *record)
{
	struct endpoint *ep = (struct endpoint *)model_find(loading->m, KIND_ENDPOINT, record->key);
	struct place place = { .revision = record->revision };

	if (record->id)
		place.host = model_host(loading->m, record->id);
	if (!ep || (record->id && !place.host))
		return damaged(record, loading->err);
	snprintf(place.claim, sizeof(place.claim), "%s", record->body);
	model_set_place(ep, &place);
	return 0;
}

static int read_gone(struct gone *gone, const struct model *m, const cJSON *body, struct json_error *err)
{
	const cJSON *list = NULL, *item;
	uint64_t vnid = 0, host = 0;
	int rc = json_uint(body, "vnid", 1, VNID_MAX, &vnid, err);

	rc = rc ? rc : json_uint(body, "host", 1, UINT32_MAX, &host, err);
	rc = rc ? rc : json_list(body, "addresses", ADDRESSES_MAX, &list, err);
	if (rc)
		return rc;
	gone->vnid = vnid;
	gone->host = model_host(m, host);
	gone->addresses = mem_alloc(cJSON_GetArraySize(list) * sizeof(*gone->addresses));
	cJSON_ArrayForEach (item, list)
		if (cJSON_IsString(item) && !ip_parse(item->valuestring, &gone->addresses[gone->n_addresses]))
			gone->n_addresses++;
	return gone->host ? 0 : -EINVAL;
}

static int load_gone(struct loading *loading, const struct store_record *record)
{
	cJSON *body = json_parse(record->body, strlen(record->body), loading->err);
	struct gone *gone;
	int rc;

	if (!body)
		return damaged(record, loading->err);
	gone = mem_alloc(sizeof(*gone));
	gone->endpoint = record->id;
	gone->revision = record->revision;
	gone->until = record->until;
	rc = read_gone(gone, loading->m, body, loading->err);
	cJSON_Delete(body);
	DL_APPEND(loading->m->gone, gone);
	if (!rc)
		return 0;
	model_free_gone(loading->m, gone);
	return damaged(record, loading->err);
}

static int load_rest(struct loading *loading, const struct store_record *record)
{
	if (!strcmp(record->kind, TOMBSTONE))
		return load_tombstone(loading, record);
	if (!strcmp(record->kind, PLACE))
		return load_place(loading, record);
	if (!strcmp(record->kind, GONE))
		return load_gone(loading, record);
	return damaged(record, loading->err);
}

static int load_kind(struct loading *loading, int kind)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < loading->kept.n; i++) {
		struct kept *kept = loading->kept.v[i];

		if (kept->kind != kind)
			continue;
		rc = kind < 0 ? load_rest(loading, &kept->record) : load_object(loading, kept);
	}
	return rc;
}

static int load_links(struct loading *loading)
{
	struct object *obj;

	for (int kind = 0; kind < KIND_COUNT; kind++)
		for (obj = loading->m->by_key[kind]; obj; obj = obj->hh.next)
			if (link_resolve(loading->m, obj, loading->err))
				return -EINVAL;
	for (obj = loading->m->by_key[KIND_ENDPOINT]; obj; obj = obj->hh.next)
		link_groups(loading->m, (struct endpoint *)obj, &((struct endpoint *)obj)->groups);
	for (obj = loading->m->by_key[KIND_NETWORK]; obj; obj = obj->hh.next)
		if (!((struct network *)obj)->fallback)
			return json_fail(loading->err, NULL,
					 "the store is damaged: network %s has no default policy", obj->key);
	return 0;
}

static int load_counter(const char *name, uint64_t value, void *arg)
{
	struct loading *loading = arg;
	int kind = objects_kind(name);

	if (kind >= 0)
		loading->m->last_id[kind] = value;
	else if (!strcmp(name, "commits"))
		loading->m->commits = value;
	return 0;
}

int persist_load(struct model *m, struct store *store, struct json_error *err)
{
	struct loading loading = { .m = m, .err = err };
	int rc;

	memset(err, 0, sizeof(*err));
	rc = store_load(store, keep, &loading);
	for (int kind = 0; !rc && kind < KIND_COUNT; kind++)
		rc = load_kind(&loading, kind);
	rc = rc ? rc : load_links(&loading);
	rc = rc ? rc : load_kind(&loading, NOT_AN_OBJECT);
	rc = rc ? rc : store_load_counters(store, load_counter, &loading);
	free_kept(&loading);
	if (rc && !*err->text)
		json_fail(err, NULL, "the store cannot be read: %s", strerror(-rc));
	return rc;
}
