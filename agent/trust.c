// SPDX-License-Identifier: Apache-2.0
#include "trust.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/proof.h"

#define VNID_MAX 0xffffff
#define RANGES_MAX 64
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
		if (!rc && (strcmp(out->zone, z->name) || zone_of(t, out->vnid) != z))
			return -EACCES;
		return rc || zone_of(t, out->from_vnid) == z ? rc : -EXDEV;
	}
	return rc;
}

int trust_open(const struct trust *t, const struct translation_doc *doc, int64_t now, struct translation *out)
{
	int rc = open_static(t, doc, now, out);

	if (rc != -EKEYREJECTED || !trust_proofs(t))
		return rc;
	rc = proof_translation(t->proofs, doc, now, out);
	return rc || proof_speaks(t->proofs, out->zone, out->from_vnid, now) ? rc : -EXDEV;
}
