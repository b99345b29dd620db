// SPDX-License-Identifier: Apache-2.0
#include "dps_world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "dps/translate.h"

void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	w->now = 1000000;
	model_init(&w->m);
}

void world_free(struct world *w)
{
	model_free(&w->m);
	store_close(w->store);
}

struct commit_context world_context(struct world *w)
{
	return (struct commit_context){ .m = &w->m,
					.store = w->store,
					.now = w->now,
					.lifetime = 3600,
					.committed = w->committed,
					.arg = w->arg };
}

static int parse_all(struct world *w, const cJSON *list, struct spec **specs, size_t *n)
{
	const cJSON *item;

	cJSON_ArrayForEach (item, list) {
		int rc = objects_parse(item, &specs[*n], &w->err);

		if (rc)
			return rc;
		++*n;
	}
	return 0;
}

static int apply_text(struct world *w, char *text)
{
	struct commit_context ctx = world_context(w);
	struct spec **specs;
	size_t n = 0;
	cJSON *json;
	int rc;

	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	json = json_parse(text, strlen(text), &w->err);
	cr_assert(json, "bad JSON in a test: %s: %s", w->err.text, text);
	specs = calloc(cJSON_GetArraySize(json) + 1, sizeof(*specs));
	rc = parse_all(w, json, specs, &n);
	cJSON_Delete(json);
	if (!rc)
		rc = commit_apply(&ctx, specs, n, ANY_REVISION, &w->counts, &w->err);
	else
		for (size_t i = 0; i < n; i++)
			objects_free(specs[i]);
	free(specs);
	return rc;
}

int world_apply(struct world *w, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = vasprintf(&text, fmt, ap);
	va_end(ap);
	cr_assert(rc >= 0);
	rc = apply_text(w, text);
	free(text);
	return rc;
}

void world_take(struct world *w, const char *text)
{
	cr_assert_eq(world_apply(w, "%s", text), 0, "%s %s: %s", w->err.object, w->err.field, w->err.text);
}

int world_delete(struct world *w, const char *kind, const char *key)
{
	struct commit_context ctx = world_context(w);

	return commit_delete(&ctx, objects_kind(kind), key, ANY_REVISION, &w->err);
}

int world_place(struct world *w, const char *endpoint, const char *host, const char *claim)
{
	struct commit_context ctx = world_context(w);
	struct host *at = host ? (struct host *)model_find(&w->m, KIND_HOST, host) : NULL;

	return commit_place(&ctx, world_endpoint(w, endpoint), at, claim, &w->err);
}

struct network *world_network(struct world *w, const char *name)
{
	return (struct network *)model_find(&w->m, KIND_NETWORK, name);
}

struct endpoint *world_endpoint(struct world *w, const char *key)
{
	return (struct endpoint *)model_find(&w->m, KIND_ENDPOINT, key);
}

struct policy *world_policy(struct world *w, const char *key)
{
	return (struct policy *)model_find(&w->m, KIND_POLICY, key);
}

struct answer world_ask(struct world *w, const char *from, const char *to, int proto, int from_port,
			int to_port)
{
	struct question q = { .source = world_endpoint(w, from)->o.id, .to = to, .packet = flow_all };
	struct answer answer;

	q.packet.proto = proto;
	if (proto && flow_has_ports(proto)) {
		q.packet.from_port[0] = q.packet.from_port[1] = from_port;
		q.packet.to_port[0] = q.packet.to_port[1] = to_port;
	}
	resolve(&w->m, &q, &answer);
	return answer;
}

struct answer world_ask_at(struct world *w, const char *from, const char *address)
{
	struct question q = { .source = world_endpoint(w, from)->o.id,
			      .by_address = true,
			      .packet = flow_all };
	struct answer answer;

	cr_assert_eq(ip_parse(address, &q.address), 0, "%s", address);
	resolve(&w->m, &q, &answer);
	return answer;
}

cJSON *world_answer_json(const struct world *w, const struct answer *answer, unsigned int lifetime)
{
	static const struct question unsaid;
	static const struct signer nobody;

	return translate_answer_json(&w->m, &unsaid, answer, &nobody, w->now, lifetime);
}

const char *world_path(const struct outcome *outcome)
{
	static char text[2048];

	*text = '\0';
	for (size_t i = 0; i < outcome->n_path; i++) {
		if (i)
			strcat(text, ",");
		strcat(text, outcome->path[i]);
	}
	return text;
}

static void dump_object(const struct object *obj, FILE *out)
{
	fprintf(out, "%s id %u rev %lu seq %lu floor %lu\n", obj->spec ? obj->spec->body : obj->key, obj->id,
		obj->revision, obj->sequence, obj->floor);
	if (obj->kind == KIND_NETWORK) {
		const struct network *net = (const struct network *)obj;

		fprintf(out, " at %lu, %zu policies, %zu joints\n", net->revision, net->n_policies,
			net->n_joints);
	}
	if (obj->kind == KIND_ENDPOINT) {
		const struct endpoint *ep = (const struct endpoint *)obj;

		fprintf(out, " at %s %s %lu", ep->place.host ? ep->place.host->o.key : "-", ep->place.claim,
			ep->place.revision);
		fprintf(out, " in %u groups\n", ep->groups.n);
	}
}

static int by_key(struct object *a, struct object *b)
{
	return strcmp(a->key, b->key);
}

static int by_endpoint(struct gone *a, struct gone *b)
{
	return a->endpoint < b->endpoint ? -1 : a->endpoint > b->endpoint;
}

char *world_dump(const struct world *w)
{
	struct world *writable = (struct world *)w;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	const struct object *obj;
	const struct gone *gone;

	for (int kind = 0; kind < KIND_COUNT; kind++) {
		HASH_SORT(writable->m.by_key[kind], by_key);
		for (obj = w->m.by_key[kind]; obj; obj = obj->hh.next)
			dump_object(obj, out);
	}
	for (obj = w->m.by_key[KIND_NETWORK]; obj; obj = obj->hh.next)
		for (const struct object *t = ((const struct network *)obj)->tombstones; t; t = t->next)
			fprintf(out, "tombstone %s %u %lu %lu\n", t->key, t->id, t->sequence, t->floor);
	DL_SORT(writable->m.gone, by_endpoint);
	for (gone = w->m.gone; gone; gone = gone->next)
		fprintf(out, "gone %u from %s %lu\n", gone->endpoint, gone->host->o.key, gone->revision);
	fclose(out);
	return text;
}

void world_reference(struct world *w)
{
	cr_assert_eq(world_apply(w, "[{'kind':'network','name':'blue','subnets':['10.1.0.0/24']},"
				    "{'kind':'network','name':'green','subnets':['10.2.0.0/24']},"
				    "{'kind':'host','name':'h1','addresses':['192.0.2.1']},"
				    "{'kind':'host','name':'h2','addresses':['192.0.2.2']},"
				    "{'kind':'host','name':'h3','addresses':['192.0.2.3']},"
				    "{'kind':'service','name':'firewall'},"
				    "{'kind':'service','name':'ips'},"
				    "{'kind':'service','name':'ssl-accelerator'}]"),
		     0, "%s", w->err.text);
	for (int i = 1; i <= 9; i++) {
		char key[32];

		cr_assert_eq(world_apply(w,
					 "[{'kind':'endpoint','network':'blue','name':'vm%d',"
					 "'mac':'02:00:00:00:01:%02d','addresses':['10.1.0.%d']},"
					 "{'kind':'endpoint','network':'green','name':'vm%d',"
					 "'mac':'02:00:00:00:01:%02d','addresses':['10.2.0.%d']}]",
					 i, i, 10 + i, i, i, 10 + i),
			     0, "%s", w->err.text);
		snprintf(key, sizeof(key), "blue/vm%d", i);
		cr_assert_eq(world_place(w, key, i % 2 ? "h1" : "h2", "first"), 0);
		snprintf(key, sizeof(key), "green/vm%d", i);
		cr_assert_eq(world_place(w, key, i % 2 ? "h2" : "h1", "first"), 0);
	}
}
