// SPDX-License-Identifier: Apache-2.0
#include "trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/flow.h"
#include "lib/halves.h"
#include "lib/proof.h"

#define VNID_MAX 0xffffff
#define KEYS_MAX 8

struct range {
	uint32_t first, last;
};

struct zone {
	char name[DOMAIN_ROOM];
	struct range ranges[RANGES_MAX];
	size_t n_ranges;
	struct sign_public keys[KEYS_MAX];
	size_t n_keys;
};

struct trust {
	struct zone *zones;
	size_t n;
	struct sign_public roots[ZONE_KEYS_MAX];
	size_t n_roots;
	struct proofs *proofs; /* NULL: without a root */
};

/* "256", or "256-511". */
static bool vnids_text(const char *text, struct range *out)
{
	unsigned int first, last;
	int end = 0;

	if (text && sscanf(text, "%8u-%8u%n", &first, &last, &end) == 2 && end == (int)strlen(text)) {
		*out = (struct range){ first, last };
	} else if (text && sscanf(text, "%8u%n", &first, &end) == 1 && end == (int)strlen(text)) {
		*out = (struct range){ first, first };
	} else {
		return false;
	}
	return out->first >= 1 && out->first <= out->last && out->last <= VNID_MAX;
}

static int vnids_parse(const cJSON *json, struct zone *z, struct json_error *err)
{
	const cJSON *list, *one;

	if (json_list(json, "vnids", RANGES_MAX, &list, err))
		return -EINVAL;
	cJSON_ArrayForEach (one, list) {
		const char *text = cJSON_GetStringValue(one);

		if (!vnids_text(text, &z->ranges[z->n_ranges++]))
			return json_fail(err, "trust.vnids", "'%s' is no range of VNIDs such as 256-511",
					 text ? text : "");
	}
	return 0;
}

static int zone_keys_parse(const cJSON *json, struct zone *z, struct json_error *err)
{
	const cJSON *list, *one;

	if (json_list(json, "keys", KEYS_MAX, &list, err))
		return -EINVAL;
	cJSON_ArrayForEach (one, list) {
		const char *text = cJSON_GetStringValue(one);

		if (!text || sign_from_text(text, z->keys[z->n_keys++].b, SIGN_PUBLIC_BYTES))
			return json_fail(err, "trust.keys", "'%s' is no Ed25519 public key in base64",
					 text ? text : "");
	}
	return z->n_keys ? 0 : json_fail(err, "trust.keys", "is empty");
}

static int root_parse(const cJSON *json, struct trust *t, struct json_error *err)
{
	static const char *const fields[] = { "root", NULL };
	const char *text = NULL;

	if (json_only(json, fields, err) || json_str(json, "root", &text, err))
		return -EINVAL;
	if (t->n_roots == ZONE_KEYS_MAX)
		return json_fail(err, "trust.root", "there are more than %d", ZONE_KEYS_MAX);
	if (sign_from_text(text, t->roots[t->n_roots++].b, SIGN_PUBLIC_BYTES))
		return json_fail(err, "trust.root", "'%s' is no Ed25519 public key in base64", text);
	return 0;
}

static int zone_parse(const cJSON *json, struct zone *z, struct json_error *err)
{
	static const char *const fields[] = { "zone", "vnids", "keys", NULL };
	const char *name;

	if (json_only(json, fields, err) || json_str(json, "zone", &name, err))
		return -EINVAL;
	if (strlen(name) >= sizeof(z->name))
		return json_fail(err, "trust.zone", "'%.40s...' is too long", name);
	snprintf(z->name, sizeof(z->name), "%s", name);
	return vnids_parse(json, z, err) || zone_keys_parse(json, z, err) ? -EINVAL : 0;
}

static int one_parse(const cJSON *json, struct trust *t, struct json_error *err)
{
	if (!cJSON_IsObject(json))
		return json_fail(err, "trust", "is a list of objects");
	return json_get(json, "root") ? root_parse(json, t, err) : zone_parse(json, &t->zones[t->n++], err);
}

int trust_parse(const cJSON *list, struct trust **out, struct json_error *err)
{
	struct trust *t = calloc(1, sizeof(*t));
	const cJSON *one;

	if (!t)
		abort();
	t->zones = calloc(cJSON_GetArraySize(list) + 1, sizeof(*t->zones));
	if (!t->zones)
		abort();
	if (list && !cJSON_IsArray(list)) {
		trust_free(t);
		return json_fail(err, "trust", "is a list of objects");
	}
	cJSON_ArrayForEach (one, list) {
		if (one_parse(one, t, err)) {
			trust_free(t);
			return -EINVAL;
		}
	}
	t->proofs = t->n_roots ? proof_open(t->roots, t->n_roots) : NULL;
	if (t->n_roots && !t->proofs)
		abort();
	*out = t;
	return 0;
}

void trust_free(struct trust *t)
{
	if (!t)
		return;
	proof_close(t->proofs);
	free(t->zones);
	free(t);
}

bool trust_any(const struct trust *t)
{
	return t && (t->n || t->proofs);
}

/* How many of the zone's ranges' numbers: the narrowest one that has the VNID; 0: none has. */
static uint32_t width(const struct zone *z, uint32_t vnid)
{
	uint32_t least = 0;

	for (size_t i = 0; i < z->n_ranges; i++) {
		const struct range *r = &z->ranges[i];

		if (vnid >= r->first && vnid <= r->last && (!least || r->last - r->first + 1 < least))
			least = r->last - r->first + 1;
	}
	return least;
}

/* Who delegated a VNID away has nothing to say of it any more: the closest zone that has it. */
static const struct zone *zone_of(const struct trust *t, uint32_t vnid)
{
	const struct zone *best = NULL;

	for (size_t i = 0; i < t->n; i++) {
		uint32_t w = width(&t->zones[i], vnid);

		if (w && (!best || w < width(best, vnid)))
			best = &t->zones[i];
	}
	return best;
}

struct proofs *trust_proofs(const struct trust *t)
{
	return t ? t->proofs : NULL;
}

static int open_static(const struct trust *t, const struct translation_doc *doc, int64_t now,
		       struct translation *out)
{
	int rc = -EKEYREJECTED;

	for (size_t i = 0; t && i < t->n; i++) {
		const struct zone *z = &t->zones[i];

		rc = translation_open(doc, z->keys, z->n_keys, now, out);
		if (rc == -EKEYREJECTED)
			continue;
		return !rc && (strcmp(out->zone, z->name) || zone_of(t, out->vnid) != z) ? -EACCES : rc;
	}
	return rc;
}

/* One half: signed by the zone whose network has decided. */
static int open_half(const struct trust *t, const struct translation_doc *doc, int64_t now,
		     struct translation *out)
{
	int rc = open_static(t, doc, now, out);

	return rc == -EKEYREJECTED && trust_proofs(t) ? proof_translation(t->proofs, doc, now, out) : rc;
}

static bool speaks(const struct trust *t, const char *zone, uint32_t vnid, int64_t now)
{
	const struct zone *z = zone_of(t, vnid);

	return (z && !strcmp(z->name, zone)) || (trust_proofs(t) && proof_speaks(t->proofs, zone, vnid, now));
}

int trust_open(const struct trust *t, const struct translation_doc *doc, int64_t now, struct translation *out)
{
	int rc = open_half(t, doc, now, out);

	return rc || speaks(t, out->zone, out->from_vnid, now) ? rc : -EXDEV;
}

/* ---- answers ---- */

static bool is_packet(const struct trust_question *q, const struct translation *t)
{
	if (!t->scope || t->n_rules)
		return true;
	return t->proto == q->proto && (!flow_has_ports(q->proto) || !q->proto ||
					(t->from_port == q->from_port && t->to_port == q->to_port));
}

static bool is_about(const struct trust_question *q, const struct translation *t)
{
	if (t->source != q->source || (q->vnid && t->from_vnid != q->vnid) || !is_packet(q, t))
		return false;
	if (q->destination)
		return t->has_destination ? t->destination.id == q->destination : !t->has_address;
	return t->has_address && ip_equal(&t->address, &q->address);
}

static bool is_new_enough(const struct trust_question *q, const struct translation *t)
{
	return !q->least_vnid || t->vnid != q->least_vnid || t->sequence >= q->least;
}

/*
 * The source's half: its zone speaks for the source's network and, where that is
 * proven from the root, for the source, whose id is of the zone's range.
 */
static bool is_sources(const struct trust *t, const struct translation *half, int64_t now)
{
	return speaks(t, half->zone, half->from_vnid, now) &&
	       (!trust_proofs(t) || zone_of(t, half->from_vnid) ||
		proof_speaks(t->proofs, half->zone, half->source / IDS_PER_VNID, now));
}

/* The destination's: of the network that the first one says is beyond. */
static bool belongs(const struct translation *first, const struct translation *second)
{
	return first->beyond && second->vnid == first->beyond && second->from_vnid == first->from_vnid &&
	       (!second->has_destination || second->destination.vnid == first->beyond);
}

/* Of the rules for all packets the one for this. */
static void fit(const struct trust_question *q, struct translation *t)
{
	const struct flow_box packet = { .proto = q->proto,
					 .from_port = { q->from_port, q->from_port },
					 .to_port = { q->to_port, q->to_port } };
	unsigned int through = t->outcome.flags & TRANSLATION_THROUGH;

	for (size_t i = 0; q->proto && i < t->n_rules; i++) {
		const struct translation_rule *rule = &t->rules[i];
		const struct flow_box box = { .proto = rule->proto,
					      .from_port = { rule->from_port[0], rule->from_port[1] },
					      .to_port = { rule->to_port[0], rule->to_port[1] } };

		if (!flow_contains(&box, &packet))
			continue;
		t->outcome = rule->outcome;
		t->outcome.flags |= through;
		return;
	}
}

/* halves: room for both, and for what they say together. */
static int join(const struct trust *t, const struct trust_question *q, struct translation halves[3], size_t n,
		int64_t now)
{
	bool whole = !halves[0].beyond || halves_refused(&halves[0]);

	if (!is_sources(t, &halves[0], now) || (n == 1 ? !whole : !belongs(&halves[0], &halves[1])))
		return -EXDEV;
	for (size_t i = 0; i < n; i++) {
		if (!is_about(q, &halves[i]))
			return -EBADMSG;
		if (!is_new_enough(q, &halves[i]))
			return -ESTALE;
	}
	if (n == 2)
		halves_join(&halves[0], &halves[1], &halves[2]);
	else
		halves[2] = halves[0];
	fit(q, &halves[2]);
	return 0;
}

int trust_answer(const struct trust *t, const struct trust_question *q, const struct translation_doc *docs,
		 size_t n, int64_t now, struct translation *out)
{
	struct translation *halves = calloc(3, sizeof(*halves));
	int rc = n == 1 || n == 2 ? 0 : -EKEYREJECTED;

	if (!halves)
		abort();
	for (size_t i = 0; !rc && i < n; i++) {
		rc = open_half(t, &docs[i], now, &halves[i]);
		*out = halves[i];
	}
	rc = rc ? rc : join(t, q, halves, n, now);
	if (!rc)
		*out = halves[2];
	free(halves);
	return rc;
}

/* By a key that was given for that zone alone. */
static bool is_static(const struct trust *t, const struct signed_doc *doc, const struct statement *s)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct zone *z = &t->zones[i];

		if (!strcmp(z->name, s->zone) && signed_by(doc, SIGNED_STATEMENT, z->keys, z->n_keys))
			return s->kind == STATEMENT_SERVICE ? domain_has(s->zone, s->name)
							    : zone_of(t, s->vnid) == z;
	}
	return false;
}

int trust_statement(const struct trust *t, const struct signed_doc *doc, int64_t now, struct statement *out)
{
	struct json_error err = {};

	if (statement_parse(doc->body, doc->len, out, &err))
		return -EINVAL;
	if (is_static(t, doc, out))
		return statement_valid(out, now) ? 0 : -ETIME;
	return trust_proofs(t) ? proof_statement(t->proofs, doc, now, out) : -EKEYREJECTED;
}
