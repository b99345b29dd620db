// SPDX-License-Identifier: Apache-2.0
#include "dps/commit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "dps/link.h"
#include "dps/persist.h"
#include "dps/staleness.h"

static void name_error(struct json_error *err, enum kind kind, const char *key)
{
	memset(err, 0, sizeof(*err));
	snprintf(err->object, sizeof(err->object), "%s %s", objects_kind_name(kind), key);
}

/* What a transaction remembers */

static void txn_begin(struct txn *txn, const struct commit_context *ctx, struct json_error *err)
{
	*txn = (struct txn){
		.m = ctx->m,
		.store = ctx->store,
		.err = err,
		.now = ctx->now,
		.lifetime = ctx->lifetime,
		.serial = ++ctx->m->serial,
	};
	memset(err, 0, sizeof(*err));
}

struct saved *txn_saved(const struct txn *txn, const struct object *obj)
{
	if (obj->touched_by != txn->serial)
		return NULL;
	for (size_t i = txn->saved.n; i > 0; i--) {
		struct saved *saved = txn->saved.v[i - 1];

		if (saved->obj == obj)
			return saved;
	}
	return NULL;
}

struct saved *txn_touch(struct txn *txn, struct object *obj)
{
	struct saved *saved;

	if (obj->touched_by == txn->serial)
		return NULL;
	obj->touched_by = txn->serial;
	saved = mem_alloc(sizeof(*saved));
	saved->obj = obj;
	saved->revision = obj->revision;
	saved->sequence = obj->sequence;
	saved->floor = obj->floor;
	if (obj->kind == KIND_NETWORK)
		saved->net_revision = ((struct network *)obj)->revision;
	if (obj->kind == KIND_ENDPOINT)
		saved->place = ((struct endpoint *)obj)->place;
	ptrs_push(&txn->saved, saved);
	return saved;
}

uint64_t txn_raise(struct txn *txn, struct network *net)
{
	if (txn_touch(txn, &net->o))
		net->revision++;
	return net->revision;
}

static struct change *add_change(struct txn *txn, struct object *obj, struct spec *after)
{
	struct change *change = mem_alloc(sizeof(*change));

	change->obj = obj;
	change->before = obj->spec;
	change->after = after;
	ptrs_push(&txn->changes, change);
	return change;
}

/* New contents in place */

static int compare_kinds(const void *left, const void *right)
{
	const struct spec *a = *(struct spec *const *)left, *b = *(struct spec *const *)right;

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return strcmp(a->key, b->key);
}

static int refuse_twins(struct spec **specs, size_t n, struct json_error *err)
{
	for (size_t i = 1; i < n; i++)
		if (!compare_kinds(&specs[i - 1], &specs[i])) {
			name_error(err, specs[i]->kind, specs[i]->key);
			return json_fail(err, "name", "'%s' is there twice", specs[i]->key);
		}
	return 0;
}

/* A network's default policy follows what the network says of it. */
static int stage_fallback(struct txn *txn, struct network *net, const struct spec *spec)
{
	const struct spec *now = net->fallback ? net->fallback->o.spec : NULL;
	char key[KEY_ROOM];

	if (now && now->u.policy.allow == spec->u.network.allow &&
	    now->u.policy.reject == spec->u.network.reject)
		return 0;
	if (!net->fallback) {
		snprintf(key, sizeof(key), "%s/%s", spec->name, DEFAULT_POLICY);
		net->fallback = (struct policy *)model_create(txn->m, KIND_POLICY, key, net, 0);
	}
	if (!net->fallback)
		return -EEXIST;
	add_change(txn, &net->fallback->o, objects_default_policy(spec->name, &spec->u.network));
	return 0;
}

/* Endpoints and external networks are called by name alike. */
static int refuse_namesake(struct txn *txn, const struct spec *spec)
{
	const struct endpoint *other = model_find_party(txn->m, spec->key);

	if ((spec->kind != KIND_ENDPOINT && spec->kind != KIND_EXTERNAL) || !other)
		return 0;
	name_error(txn->err, spec->kind, spec->key);
	json_fail(txn->err, "name", "'%s' is the name of %s %s", spec->name, objects_kind_name(other->o.kind),
		  other->o.key);
	return -EEXIST;
}

/* A network of this transaction has its content not in place yet. */
static bool is_foreign_now(const struct txn *txn, const struct network *net)
{
	for (size_t i = 0; i < txn->changes.n; i++) {
		const struct change *change = txn->changes.v[i];

		if (change->obj == &net->o && change->after)
			return change->after->u.network.foreign;
	}
	return false;
}

static uint32_t foreign_vnid(const struct spec *spec)
{
	return spec->kind == KIND_NETWORK ? spec->u.network.vnid : 0;
}

static int stage_new(struct txn *txn, struct spec *spec, struct object **out)
{
	struct network *net = NULL;
	int rc = refuse_namesake(txn, spec);

	if (rc)
		return rc;
	if (spec->network) {
		net = (struct network *)model_find(txn->m, KIND_NETWORK, spec->network);
		if (!net) {
			name_error(txn->err, spec->kind, spec->key);
			return json_fail(txn->err, "network", "no such network '%s'", spec->network);
		}
		if (model_is_foreign(net) || (!net->o.spec && is_foreign_now(txn, net))) {
			name_error(txn->err, spec->kind, spec->key);
			return json_fail(txn->err, "network", "network %s is another authority's",
					 spec->network);
		}
	}
	*out = model_create(txn->m, spec->kind, spec->key, net, foreign_vnid(spec));
	if (*out)
		return 0;
	name_error(txn->err, spec->kind, spec->key);
	json_fail(txn->err, NULL, "all ids for this kind are used up");
	return -EEXIST;
}

/* Which network a foreign one is, and that it is another authority's, is said once. */
static int check_foreign(struct txn *txn, const struct spec *spec, const struct object *obj)
{
	const struct network_spec *net = &spec->u.network;
	const struct object *other;

	if (obj && (net->foreign ? obj->id != net->vnid || !model_is_foreign((const struct network *)obj)
				 : model_is_foreign((const struct network *)obj))) {
		name_error(txn->err, spec->kind, spec->key);
		json_fail(txn->err, net->foreign ? "vnid" : "foreign", "it cannot become another network");
		return -EEXIST;
	}
	other = net->foreign ? (const struct object *)model_network(txn->m, net->vnid) : NULL;
	if (!other || other == obj)
		return 0;
	name_error(txn->err, spec->kind, spec->key);
	json_fail(txn->err, "vnid", "VNID %u is network %s's", net->vnid, other->key);
	return -EEXIST;
}

/* Takes the spec over only when it returns 0 and counts it as changed. */
static int stage(struct txn *txn, struct spec *spec, struct commit_counts *counts)
{
	struct object *obj = model_find(txn->m, spec->kind, spec->key);
	int rc = 0;

	if (obj && !strcmp(obj->spec->body, spec->body)) {
		counts->unchanged++;
		objects_free(spec);
		return 0;
	}
	if (spec->kind == KIND_NETWORK)
		rc = check_foreign(txn, spec, obj);
	if (!rc && !obj)
		rc = stage_new(txn, spec, &obj);
	if (rc)
		return rc;
	if (spec->kind == KIND_NETWORK)
		rc = stage_fallback(txn, (struct network *)obj, spec);
	if (rc)
		return rc;
	add_change(txn, obj, spec);
	counts->changed++;
	return 0;
}

static void take_out(struct txn *txn, struct change *change)
{
	if (change->before) {
		link_release(txn->m, change->obj);
		link_unindex(txn->m, change->obj);
	}
	change->obj->spec = change->after;
	change->taken = true;
	if (!change->after)
		model_unlist(txn->m, change->obj);
	if (change->obj->kind == KIND_POLICY)
		change->obj->net->order_stale = true;
}

static int swap_all(struct txn *txn)
{
	struct ptrs *changes = &txn->changes;

	for (size_t i = 0; i < changes->n; i++)
		take_out(txn, changes->v[i]);
	for (size_t i = 0; i < changes->n; i++) {
		struct change *change = changes->v[i];
		int rc = change->after ? link_index(txn->m, change->obj, txn->err) : 0;

		if (rc)
			return rc;
		change->indexed = change->after;
	}
	return 0;
}

static int link_all(struct txn *txn)
{
	for (size_t i = 0; i < txn->changes.n; i++) {
		struct change *change = txn->changes.v[i];
		int rc = change->after ? link_resolve(txn->m, change->obj, txn->err) : 0;

		if (rc)
			return rc;
		change->linked = change->after;
	}
	return 0;
}

/* Groups */

static void regroup(struct txn *txn, struct endpoint *ep)
{
	struct idset now = { 0 };
	struct regroup *entry;

	if (!ep->o.spec)
		return;
	link_groups(txn->m, ep, &now);
	if (idset_equal(&now, &ep->groups)) {
		idset_free(&now);
		return;
	}
	entry = mem_alloc(sizeof(*entry));
	entry->ep = ep;
	entry->before = ep->groups;
	ep->groups = now;
	ptrs_push(&txn->regroups, entry);
}

static void regroup_members(struct txn *txn, const struct spec *group)
{
	for (uint32_t i = 0; group && i < group->u.group.ids.n; i++) {
		struct endpoint *ep = model_endpoint(txn->m, group->u.group.ids.v[i]);

		if (ep)
			regroup(txn, ep);
	}
}

static void regroup_all(struct txn *txn)
{
	for (size_t i = 0; i < txn->changes.n; i++) {
		struct change *change = txn->changes.v[i];

		if (change->obj->kind == KIND_ENDPOINT)
			regroup(txn, (struct endpoint *)change->obj);
		if (change->obj->kind == KIND_GROUP) {
			regroup_members(txn, change->before);
			regroup_members(txn, change->after);
		}
	}
}

/* Revisions of the objects themselves */

static void raise_revisions(struct txn *txn)
{
	txn->m->commits++;
	for (size_t i = 0; i < txn->changes.n; i++) {
		struct change *change = txn->changes.v[i];
		struct object *obj = change->obj;
		struct network *net = obj->kind == KIND_NETWORK ? (struct network *)obj : obj->net;

		if (obj->kind == KIND_HOST)
			txn->hosts = true;
		txn_touch(txn, obj);
		if (net)
			obj->revision = txn_raise(txn, net);
		else
			obj->revision = txn->m->commits;
	}
}

/* A new network's touch must come before its revision is raised: touch it once, raise it once. */
static void open_networks(struct txn *txn)
{
	for (size_t i = 0; i < txn->changes.n; i++) {
		struct object *obj = ((struct change *)txn->changes.v[i])->obj;

		if (obj->kind == KIND_NETWORK)
			txn_raise(txn, (struct network *)obj);
	}
}

/* Past places */

static void leave_gone(struct txn *txn, const struct endpoint *ep, const struct spec *spec, struct host *from)
{
	struct gone *gone = mem_alloc(sizeof(*gone));
	const struct endpoint_spec *last = &spec->u.endpoint;

	gone->vnid = ep->o.net->o.id;
	gone->endpoint = ep->o.id;
	gone->host = from;
	gone->n_addresses = last->n_addresses;
	gone->addresses = mem_alloc(last->n_addresses * sizeof(*gone->addresses));
	if (last->n_addresses)
		memcpy(gone->addresses, last->addresses, last->n_addresses * sizeof(*gone->addresses));
	gone->revision = ep->place.revision;
	gone->until = txn->now + txn->lifetime;
	ptrs_push(&txn->gone, gone);
}

/* An older entry of the same host, or one of the host that the endpoint is on now, ends. */
static void end_gone(struct txn *txn, const struct endpoint *ep, const struct host *from)
{
	struct gone *gone;

	DL_FOREACH (txn->m->gone, gone)
		if (gone->endpoint == ep->o.id && (gone->host == from || gone->host == ep->place.host))
			ptrs_push(&txn->ended, gone);
}

static void leave_places(struct txn *txn)
{
	struct gone *gone;

	for (size_t i = 0; i < txn->changes.n; i++) {
		struct change *change = txn->changes.v[i];
		struct endpoint *ep = (struct endpoint *)change->obj;

		if (change->after)
			continue;
		if (change->obj->kind == KIND_ENDPOINT && ep->place.host) {
			struct place nowhere = { .revision = txn_raise(txn, ep->o.net) };
			struct host *from = ep->place.host;

			txn_saved(txn, &ep->o)->placed = true;
			model_set_place(ep, &nowhere);
			end_gone(txn, ep, from);
			leave_gone(txn, ep, change->before, from);
		}
		DL_FOREACH (txn->m->gone, gone)
			if ((change->obj->kind == KIND_NETWORK && gone->vnid == change->obj->id) ||
			    &gone->host->o == change->obj)
				ptrs_push(&txn->ended, gone);
	}
}

/* The end, one way or the other */

static void put_back_contents(struct txn *txn)
{
	for (size_t i = 0; i < txn->changes.n; i++) {
		struct change *change = txn->changes.v[i];

		if (change->linked)
			link_release(txn->m, change->obj);
		if (change->indexed)
			link_unindex(txn->m, change->obj);
	}
	for (size_t i = 0; i < txn->changes.n; i++) {
		struct change *change = txn->changes.v[i];

		if (!change->taken)
			continue;
		change->obj->spec = change->before;
		if (!change->after)
			model_list(txn->m, change->obj);
		if (change->before)
			link_index(txn->m, change->obj, txn->err);
	}
}

static void relink_contents(struct txn *txn)
{
	for (size_t i = 0; i < txn->changes.n; i++) {
		struct change *change = txn->changes.v[i];

		if (change->taken && change->before)
			link_resolve(txn->m, change->obj, txn->err);
		if (change->obj->kind == KIND_POLICY)
			change->obj->net->order_stale = true;
	}
}

static void put_back_states(struct txn *txn)
{
	for (size_t i = 0; i < txn->saved.n; i++) {
		struct saved *saved = txn->saved.v[i];

		saved->obj->revision = saved->revision;
		saved->obj->sequence = saved->sequence;
		saved->obj->floor = saved->floor;
		if (saved->obj->kind == KIND_NETWORK)
			((struct network *)saved->obj)->revision = saved->net_revision;
		if (saved->placed)
			model_set_place((struct endpoint *)saved->obj, &saved->place);
	}
	for (size_t i = 0; i < txn->regroups.n; i++) {
		struct regroup *entry = txn->regroups.v[i];
		struct idset now = entry->ep->groups;

		entry->ep->groups = entry->before;
		entry->before = now;
	}
}

/* Objects that this transaction had made go: contents before their network. */
static void drop_created(struct txn *txn)
{
	struct ptrs networks = { 0 };

	for (size_t i = txn->changes.n; i > 0; i--) {
		struct change *change = txn->changes.v[i - 1];

		if (change->before)
			continue;
		model_unlist(txn->m, change->obj);
		change->obj->spec = NULL;
		if (change->obj->kind == KIND_NETWORK)
			ptrs_push(&networks, change->obj);
		else
			model_destroy(txn->m, change->obj);
	}
	for (size_t i = 0; i < networks.n; i++)
		model_destroy(txn->m, networks.v[i]);
	ptrs_free(&networks);
}

static void free_txn(struct txn *txn)
{
	for (size_t i = 0; i < txn->saved.n; i++)
		free(txn->saved.v[i]);
	for (size_t i = 0; i < txn->regroups.n; i++) {
		struct regroup *entry = txn->regroups.v[i];

		idset_free(&entry->before);
		free(entry);
	}
	for (size_t i = 0; i < txn->changes.n; i++)
		free(txn->changes.v[i]);
	ptrs_free(&txn->saved);
	ptrs_free(&txn->changes);
	ptrs_free(&txn->regroups);
	ptrs_free(&txn->gone);
	ptrs_free(&txn->ended);
}

static int txn_abort(struct txn *txn, int rc)
{
	struct json_error err = *txn->err;

	put_back_contents(txn);
	relink_contents(txn);
	put_back_states(txn);
	for (size_t i = 0; i < txn->changes.n; i++)
		objects_free(((struct change *)txn->changes.v[i])->after);
	drop_created(txn);
	for (size_t i = 0; i < txn->gone.n; i++) {
		free(((struct gone *)txn->gone.v[i])->addresses);
		free(txn->gone.v[i]);
	}
	free_txn(txn);
	*txn->err = err;
	return rc;
}

static void retire(struct txn *txn, struct change *change)
{
	struct object *obj = change->obj;

	objects_free(change->before);
	if (change->after)
		return;
	if (obj->kind == KIND_POLICY && obj->net->o.spec) {
		((struct policy *)obj)->until = txn->now + TOMBSTONE_SECONDS;
		model_bury(txn->m, (struct policy *)obj);
	} else {
		model_destroy(txn->m, obj);
	}
}

static int txn_end(struct txn *txn, const struct commit_context *ctx)
{
	int rc = persist_txn(txn);

	if (rc) {
		memset(txn->err, 0, sizeof(*txn->err));
		json_fail(txn->err, NULL, "the store refuses the change: %s", strerror(-rc));
		return txn_abort(txn, -EIO);
	}
	for (size_t i = 0; i < txn->ended.n; i++)
		model_free_gone(txn->m, txn->ended.v[i]);
	for (size_t i = 0; i < txn->gone.n; i++)
		DL_APPEND(txn->m->gone, (struct gone *)txn->gone.v[i]);
	if (ctx->committed)
		ctx->committed(txn, ctx->arg);
	for (size_t i = 0; i < txn->changes.n; i++)
		retire(txn, txn->changes.v[i]);
	free_txn(txn);
	return 0;
}

/* Runs the staged changes of a transaction to its end. */
static int run(struct txn *txn, const struct commit_context *ctx)
{
	int rc;

	if (!txn->changes.n) {
		free_txn(txn);
		return 0;
	}
	rc = swap_all(txn);
	rc = rc ? rc : link_all(txn);
	if (rc)
		return txn_abort(txn, rc);
	regroup_all(txn);
	open_networks(txn);
	raise_revisions(txn);
	staleness_apply(txn);
	leave_places(txn);
	return txn_end(txn, ctx);
}

static int compare_revision(const struct object *obj, uint64_t if_match, struct json_error *err)
{
	uint64_t revision = obj && obj->spec ? obj->revision : 0;

	if (if_match == ANY_REVISION || if_match == revision)
		return 0;
	if (obj)
		name_error(err, obj->kind, obj->key);
	json_fail(err, NULL, "it is at revision %llu, not %llu", (unsigned long long)revision,
		  (unsigned long long)if_match);
	return -EEXIST;
}

int commit_apply(const struct commit_context *ctx, struct spec **specs, size_t n, uint64_t if_match,
		 struct commit_counts *counts, struct json_error *err)
{
	struct txn txn;
	size_t staged = 0;
	int rc;

	txn_begin(&txn, ctx, err);
	*counts = (struct commit_counts){ 0 };
	qsort(specs, n, sizeof(*specs), compare_kinds);
	rc = refuse_twins(specs, n, err);
	if (!rc && n == 1)
		rc = compare_revision(model_find(ctx->m, specs[0]->kind, specs[0]->key), if_match, err);
	for (; !rc && staged < n; staged++) {
		rc = stage(&txn, specs[staged], counts);
		if (rc)
			break;
	}
	for (size_t i = staged; i < n; i++)
		objects_free(specs[i]);
	return rc ? txn_abort(&txn, rc) : run(&txn, ctx);
}

static int check_unused(const struct model *m, struct object *obj, struct json_error *err)
{
	const struct object *from = link_referrer(m, obj);

	if (!from)
		return 0;
	name_error(err, obj->kind, obj->key);
	json_fail(err, NULL, "%s %s still refers to it", objects_kind_name(from->kind), from->key);
	return -EEXIST;
}

static int find_deletable(const struct commit_context *ctx, enum kind kind, const char *key,
			  struct object **out, struct json_error *err)
{
	struct object *obj = model_find(ctx->m, kind, key);

	name_error(err, kind, key);
	if (!obj) {
		json_fail(err, NULL, "no such %s '%s'", objects_kind_name(kind), key);
		return -ENOENT;
	}
	if (kind == KIND_POLICY && obj == &obj->net->fallback->o) {
		json_fail(err, NULL, "it is the network's own and goes with it");
		return -EEXIST;
	}
	*out = obj;
	return check_unused(ctx->m, obj, err);
}

int commit_delete(const struct commit_context *ctx, enum kind kind, const char *key, uint64_t if_match,
		  struct json_error *err)
{
	struct object *obj = NULL;
	struct txn txn;
	int rc;

	txn_begin(&txn, ctx, err);
	rc = find_deletable(ctx, kind, key, &obj, err);
	rc = rc ? rc : compare_revision(obj, if_match, err);
	if (rc)
		return txn_abort(&txn, rc);
	if (kind == KIND_NETWORK)
		add_change(&txn, &((struct network *)obj)->fallback->o, NULL);
	add_change(&txn, obj, NULL);
	return run(&txn, ctx);
}

int commit_place(const struct commit_context *ctx, struct endpoint *ep, struct host *host, const char *claim,
		 struct json_error *err)
{
	struct host *from = ep->place.host;
	struct place place = { .host = host };
	struct saved *saved;
	struct txn txn;

	txn_begin(&txn, ctx, err);
	txn.m->commits++;
	place.revision = txn_raise(&txn, ep->o.net);
	snprintf(place.claim, sizeof(place.claim), "%s", host ? claim : "");
	saved = txn_touch(&txn, &ep->o);
	saved->placed = true;
	model_set_place(ep, &place);
	staleness_moved(&txn, ep, from);
	end_gone(&txn, ep, from);
	if (from && from != host)
		leave_gone(&txn, ep, ep->o.spec, from);
	return txn_end(&txn, ctx);
}

int commit_aside(const struct commit_context *ctx, struct endpoint *ep, uint8_t aside, struct json_error *err)
{
	uint8_t before = ep->place.load.aside;
	struct txn txn;
	int rc;

	txn_begin(&txn, ctx, err);
	txn.m->commits++;
	ep->place.load.aside = aside;
	staleness_instance(&txn, ep);
	rc = txn_end(&txn, ctx);
	if (rc)
		ep->place.load.aside = before;
	return rc;
}

int commit_expire(const struct commit_context *ctx, struct json_error *err)
{
	struct object *net, *obj, *tmp;
	struct ptrs over = { 0 };
	struct gone *gone;
	struct txn txn;
	int rc;

	txn_begin(&txn, ctx, err);
	DL_FOREACH (ctx->m->gone, gone)
		if (gone->until <= ctx->now)
			ptrs_push(&txn.ended, gone);
	for (net = ctx->m->by_key[KIND_NETWORK]; net; net = net->hh.next)
		DL_FOREACH_SAFE(((struct network *)net)->tombstones, obj, tmp)
	if (((struct policy *)obj)->until <= ctx->now) {
		txn_touch(&txn, obj);
		((struct policy *)obj)->until = 0;
		ptrs_push(&over, obj);
	}
	if (!txn.ended.n && !over.n) {
		free_txn(&txn);
		return 0;
	}
	rc = txn_end(&txn, ctx);
	for (size_t i = 0; !rc && i < over.n; i++)
		model_destroy(ctx->m, over.v[i]);
	ptrs_free(&over);
	return rc;
}

/* More commits than there were since any backup; less than half of what the wire's 32 bits can tell apart. */
#define RESTORED_JUMP (1u << 24)
/* More objects of a kind than were made since. Networks' numbers are few. */
#define RESTORED_IDS (1u << 16)
#define RESTORED_NETWORKS 256

int commit_restored(const struct commit_context *ctx, struct json_error *err)
{
	struct model *m = ctx->m;
	struct object *obj;
	struct txn txn;

	txn_begin(&txn, ctx, err);
	m->commits += RESTORED_JUMP;
	for (int kind = 0; kind < KIND_COUNT; kind++)
		m->last_id[kind] += kind == KIND_NETWORK ? RESTORED_NETWORKS : RESTORED_IDS;
	for (obj = m->by_key[KIND_NETWORK]; obj; obj = obj->hh.next) {
		struct network *net = (struct network *)obj;

		txn_raise(&txn, net);
		net->revision += RESTORED_JUMP;
		obj->floor = net->revision;
	}
	return txn_end(&txn, ctx);
}
