// SPDX-License-Identifier: Apache-2.0
#include "lib/proof.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "lib/succession.h"

#define TRUSTED_MAX (ZONE_KEYS_MAX + SUCCESSIONS_MAX)

struct proven {
	struct delegation d;
	struct sign_public signer; /* the parent's key that signed it */
	UT_hash_handle hh;	   /* by domain */
};

struct proofs {
	struct delegation root; /* its keys; all VNIDs */
	uint64_t root_serial;	/* of the root zone that they are of; 0: they were given to us */
	struct proven *zones;
};

struct proofs *proof_open(const struct sign_public *keys, size_t n)
{
	struct proofs *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->root.n_keys = n < ZONE_KEYS_MAX ? n : ZONE_KEYS_MAX;
	memcpy(t->root.keys, keys, t->root.n_keys * sizeof(*keys));
	ranges_add(&t->root.ranges, 1, VNID_LAST);
	return t;
}

void proof_close(struct proofs *t)
{
	struct proven *zone, *next;

	if (!t)
		return;
	HASH_ITER (hh, t->zones, zone, next) {
		HASH_DEL(t->zones, zone);
		free(zone);
	}
	free(t);
}

static struct proven *find(const struct proofs *t, const char *domain)
{
	struct proven *zone;

	HASH_FIND_STR(t->zones, domain, zone);
	return zone;
}

/* The delegation of a zone that is believed now; NULL: it isn't. Its parents are at most DOMAIN_DEPTH_MAX. */
static const struct delegation *believed(const struct proofs *t, const char *domain, int64_t now)
{
	const struct proven *zone = *domain ? find(t, domain) : NULL;
	const struct delegation *above;
	char parent[DOMAIN_ROOM];
	uint32_t vnid;

	if (!*domain)
		return &t->root;
	if (!zone || delegation_times(zone->d.issued, zone->d.expires, now))
		return NULL;
	domain_parent(domain, parent);
	above = believed(t, parent, now);
	if (!above || !delegation_has_key(above, &zone->signer) ||
	    ranges_exceed(&zone->d.ranges, &above->ranges, &vnid))
		return NULL;
	return &zone->d;
}

static void drop_ended(struct proofs *t, int64_t now)
{
	struct proven *zone, *next;

	HASH_ITER (hh, t->zones, zone, next)
		if (zone->d.expires <= now) {
			HASH_DEL(t->zones, zone);
			free(zone);
		}
}

static int keep(struct proofs *t, const struct delegation *d, const struct sign_public *signer, int64_t now)
{
	struct proven *zone = find(t, d->domain);

	if (zone && !delegation_newer(d, &zone->d))
		return 0;
	if (!zone) {
		if (HASH_COUNT(t->zones) >= PROOF_ZONES_MAX)
			drop_ended(t, now);
		zone = HASH_COUNT(t->zones) < PROOF_ZONES_MAX ? calloc(1, sizeof(*zone)) : NULL;
		if (!zone)
			return -ENOSPC;
		strcpy(zone->d.domain, d->domain);
		HASH_ADD_STR(t->zones, d.domain, zone);
	}
	zone->d = *d;
	zone->signer = *signer;
	return 0;
}

static int learn_one(struct proofs *t, const char *above, const struct signed_doc *doc, int64_t now,
		     struct delegation *d)
{
	const struct delegation *parent = believed(t, above, now);
	const struct sign_public *signer;
	struct json_error err = { 0 };
	uint32_t vnid;
	int rc;

	if (!parent || delegation_parse(doc->body, doc->len, d, &err) || !domain_is_child(d->domain, above))
		return -EINVAL;
	signer = signed_by(doc, SIGNED_DELEGATION, parent->keys, parent->n_keys);
	if (!signer)
		return -EKEYREJECTED;
	rc = delegation_times(d->issued, d->expires, now);
	if (rc)
		return rc;
	if (ranges_exceed(&d->ranges, &parent->ranges, &vnid))
		return -ERANGE;
	return keep(t, d, signer, now);
}

int proof_learn(struct proofs *t, const struct signed_doc *chain, size_t n, int64_t now)
{
	char above[DOMAIN_ROOM] = "";
	struct delegation d;
	int rc = 0;

	for (size_t i = 0; !rc && i < n; i++) {
		rc = learn_one(t, above, &chain[i], now, &d);
		if (!rc)
			strcpy(above, d.domain);
	}
	return rc;
}

/* ---- the root's keys ---- */

struct root_words {
	struct sign_public keys[ZONE_KEYS_MAX];
	size_t n_keys;
	uint64_t serial, issued, expires;
	struct signed_doc succession[SUCCESSIONS_MAX];
	size_t n_succession;
};

static int read_succession(const cJSON *json, struct root_words *out, struct json_error *err)
{
	const cJSON *list = json_get(json, "succession"), *item;

	if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > SUCCESSIONS_MAX)
		return -EINVAL;
	cJSON_ArrayForEach (item, list)
		if (signed_parse(item, SIGNED_BODY_MAX, &out->succession[out->n_succession++], err))
			return -EINVAL;
	return 0;
}

static int read_root(const struct signed_doc *zone, struct root_words *out)
{
	struct json_error err = { 0 };
	cJSON *json = json_parse(zone->body, zone->len, &err);
	int rc = cJSON_IsObject(json) ? 0 : -EINVAL;

	rc = rc ? rc : keys_parse(json, out->keys, &out->n_keys, &err);
	rc = rc ? rc : json_uint(json, "serial", 1, JSON_INT_MAX, &out->serial, &err);
	rc = rc ? rc : json_uint(json, "issued", 0, JSON_INT_MAX, &out->issued, &err);
	rc = rc ? rc : json_uint(json, "expires", 0, JSON_INT_MAX, &out->expires, &err);
	rc = rc ? rc : read_succession(json, out, &err);
	cJSON_Delete(json);
	return rc;
}

/* Is it signed by one of its own keys, and is that ours, or reached from one of ours? */
static bool follows(const struct proofs *t, const struct signed_doc *zone, const struct root_words *words)
{
	struct sign_public trusted[TRUSTED_MAX];
	size_t n = t->root.n_keys;
	const struct sign_public *signer;

	memcpy(trusted, t->root.keys, n * sizeof(*trusted));
	succession_follow(words->succession, words->n_succession, trusted, &n, TRUSTED_MAX);
	signer = signed_by(zone, SIGNED_ROOT_ZONE, trusted, n);
	for (size_t i = 0; signer && i < words->n_keys; i++)
		if (sign_public_equal(signer, &words->keys[i]))
			return true;
	return false;
}

static int take_root(struct proofs *t, const struct signed_doc *zone, const struct root_words *words,
		     int64_t now)
{
	int rc = delegation_times((int64_t)words->issued, (int64_t)words->expires, now);

	if (!follows(t, zone, words))
		return -EKEYREJECTED;
	if (rc || words->serial < t->root_serial)
		return rc ? rc : -ESTALE;
	memcpy(t->root.keys, words->keys, words->n_keys * sizeof(*words->keys));
	t->root.n_keys = words->n_keys;
	t->root_serial = words->serial;
	return 0;
}

int proof_root(struct proofs *t, const struct signed_doc *zone, int64_t now)
{
	struct root_words words = { .n_keys = 0 };
	int rc = read_root(zone, &words);

	rc = rc ? rc : take_root(t, zone, &words, now);
	for (size_t i = 0; i < words.n_succession; i++)
		signed_free(&words.succession[i]);
	return rc;
}

/* Has a child of the zone, or one below, been given it? Who delegated it away has no say in it. */
static bool is_delegated(const struct proofs *t, const char *domain, uint32_t vnid, int64_t now)
{
	for (const struct proven *zone = t->zones; zone; zone = zone->hh.next)
		if (strcmp(zone->d.domain, domain) != 0 && domain_within(zone->d.domain, domain) &&
		    ranges_has(&zone->d.ranges, vnid) && believed(t, zone->d.domain, now))
			return true;
	return false;
}

bool proof_speaks(const struct proofs *t, const char *zone, uint32_t vnid, int64_t now)
{
	const struct delegation *d = believed(t, zone, now);

	return d && ranges_has(&d->ranges, vnid) && !is_delegated(t, zone, vnid, now);
}

int proof_translation(const struct proofs *t, const struct translation_doc *doc, int64_t now,
		      struct translation *out)
{
	const struct delegation *zone;
	char domain[DOMAIN_ROOM];
	int rc;

	if (translation_decode(doc->body, doc->len, out))
		return -EINVAL;
	strcpy(domain, out->zone);
	zone = believed(t, domain, now);
	if (!zone)
		return -ENOKEY;
	rc = translation_open(doc, zone->keys, zone->n_keys, now, out);
	if (rc)
		return rc == -EKEYREJECTED && *domain ? -ENOKEY : rc; /* its keys may be others by now */
	return proof_speaks(t, domain, out->vnid, now) ? 0 : -ERANGE;
}

/* The name of a service is of its zone, and a place is told of the zone's own endpoint. */
static bool is_own(const struct proofs *t, const struct statement *s, int64_t now)
{
	if (s->kind == STATEMENT_SERVICE)
		return domain_has(s->zone, s->name);
	return proof_speaks(t, s->zone, s->vnid, now) &&
	       proof_speaks(t, s->zone, s->source / IDS_PER_VNID, now);
}

int proof_statement(const struct proofs *t, const struct signed_doc *doc, int64_t now, struct statement *out)
{
	struct json_error err = { 0 };
	const struct delegation *zone;

	if (statement_parse(doc->body, doc->len, out, &err) ||
	    (out->kind != STATEMENT_SERVICE && out->kind != STATEMENT_PLACE))
		return -EINVAL;
	zone = believed(t, out->zone, now);
	if (!zone || !signed_by(doc, SIGNED_STATEMENT, zone->keys, zone->n_keys))
		return -ENOKEY; /* its keys may be others by now */
	if (!statement_valid(out, now))
		return -ETIME;
	return is_own(t, out, now) ? 0 : -ERANGE;
}
