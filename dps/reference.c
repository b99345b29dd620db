// SPDX-License-Identifier: Apache-2.0
#include "dps/reference.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "dps/mem.h"

#define AGEING_PART 4 /* a delegation is renewed when a quarter of its life is left */

static const char *const learned_texts[] = {
	[LEARN_NEW] = "new",
	[LEARN_SAME] = "known",
	[LEARN_OLD] = "older than what is known",
	[LEARN_MALFORMED] = "malformed",
	[LEARN_ORPHAN] = "its parent is not known",
	[LEARN_KEY] = "signed by a key that its parent hasn't",
	[LEARN_FORGED] = "its signature is wrong",
	[LEARN_TIME] = "not of this time",
	[LEARN_RANGE] = "more than its parent has",
	[LEARN_WITHDRAWN] = "withdrawn",
};

const char *reference_learned_text(enum learned what)
{
	return learned_texts[what];
}

/* The table */

void reference_init(struct reference *ref, size_t max)
{
	memset(ref, 0, sizeof(*ref));
	ref->max = max ? max : REFERENCE_MAX;
}

static void free_zone(struct reference *ref, struct zone *zone)
{
	HASH_DEL(ref->zones, zone);
	DL_DELETE(ref->recent, zone);
	ref->n--;
	signed_free(&zone->doc);
	free(zone->spans);
	free(zone);
}

void reference_free(struct reference *ref)
{
	struct zone *zone, *next;

	HASH_ITER (hh, ref->zones, zone, next)
		free_zone(ref, zone);
	memset(ref, 0, sizeof(*ref));
}

struct zone *reference_find(const struct reference *ref, const char *domain)
{
	struct zone *zone;

	HASH_FIND_STR(ref->zones, domain, zone);
	return zone;
}

static void touch(struct reference *ref, struct zone *zone)
{
	DL_DELETE(ref->recent, zone);
	DL_PREPEND(ref->recent, zone);
}

/* Ranges of a zone's children */

static void remove_spans(struct zone *parent, const struct zone *child)
{
	size_t n = 0;

	for (size_t i = 0; i < parent->n_spans; i++)
		if (parent->spans[i].child != child)
			parent->spans[n++] = parent->spans[i];
	parent->n_spans = n;
}

/* The first of the parent's spans that does not end before the VNID. */
static size_t span_at(const struct zone *parent, uint32_t vnid)
{
	size_t lo = 0, hi = parent->n_spans;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (parent->spans[mid].r.last < vnid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void add_span(struct zone *parent, struct vnid_range r, struct zone *child)
{
	size_t at = span_at(parent, r.first);

	if (parent->n_spans == parent->room_spans) {
		parent->room_spans = parent->room_spans ? parent->room_spans * 2 : 4;
		parent->spans = mem_resize(parent->spans, parent->room_spans, sizeof(*parent->spans));
	}
	memmove(&parent->spans[at + 1], &parent->spans[at], (parent->n_spans - at) * sizeof(*parent->spans));
	parent->spans[at] = (struct zone_span){ r, child };
	parent->n_spans++;
}

static struct zone *child_at(const struct zone *parent, uint32_t vnid)
{
	size_t i = span_at(parent, vnid);

	return i < parent->n_spans && parent->spans[i].r.first <= vnid ? parent->spans[i].child : NULL;
}

/* A child, other than this one, that has a VNID of the range. */
static struct zone *rival(const struct zone *parent, const struct zone *child, struct vnid_range r)
{
	for (size_t i = span_at(parent, r.first); i < parent->n_spans && parent->spans[i].r.first <= r.last;
	     i++)
		if (parent->spans[i].child != child)
			return parent->spans[i].child;
	return NULL;
}

/* Zones come and go */

/* It is there by name only, from now on, and what is below it is believed no more. */
static void forget(struct reference *ref, struct zone *zone)
{
	if (!zone->known || zone->anchor)
		return;
	remove_spans(zone->parent, zone);
	signed_free(&zone->doc);
	zone->known = false;
	zone->version = ++ref->versions;
}

/* The least recently used that nothing hangs on makes room. */
static void make_room(struct reference *ref)
{
	struct zone *zone = ref->recent ? ref->recent->prev : NULL; /* utlist: the head's prev is the tail */

	for (size_t i = 0; i < ref->n && ref->n >= ref->max; i++) {
		struct zone *before = zone->prev;

		if (!zone->n_children && !zone->anchor) {
			forget(ref, zone);
			zone->parent->n_children--;
			free_zone(ref, zone);
		}
		zone = before;
	}
}

static struct zone *add_zone(struct reference *ref, const char *domain, struct zone *parent)
{
	struct zone *zone = reference_find(ref, domain);

	if (zone)
		return zone;
	if (parent)
		parent->n_children++; /* first, so that it stays when room is made */
	make_room(ref);
	zone = mem_alloc(sizeof(*zone));
	strcpy(zone->d.domain, domain);
	zone->parent = parent;
	HASH_ADD_STR(ref->zones, d.domain, zone);
	DL_PREPEND(ref->recent, zone);
	ref->n++;
	return zone;
}

/* All zones above it exist, if by name only, so that a chain of parents leads to the root. */
static struct zone *add_path(struct reference *ref, const char *domain)
{
	struct zone *zone = ref->root;
	char at[DOMAIN_ROOM] = "", next[DOMAIN_ROOM];

	while (domain_toward(domain, at, next)) {
		strcpy(at, next);
		zone = add_zone(ref, at, zone);
	}
	return zone;
}

static void set_ranges(struct zone *zone, const struct vnid_ranges *ranges)
{
	remove_spans(zone->parent, zone);
	for (size_t i = 0; i < ranges->n; i++)
		add_span(zone->parent, ranges->v[i], zone);
}

static void set_root(struct reference *ref, const struct delegation *d)
{
	ref->root = add_zone(ref, "", NULL);
	ref->root->d = *d;
	ref->root->d.ranges = (struct vnid_ranges){ .v = { { 1, VNID_LAST } }, .n = 1 };
	ref->root->known = ref->root->anchor = true;
	ref->root->version = ++ref->versions;
}

void reference_anchor(struct reference *ref, const struct delegation *d)
{
	struct zone *zone, *other;

	if (!*d->domain || !ref->root)
		set_root(ref, *d->domain ? &(struct delegation){ 0 } : d);
	if (!*d->domain)
		return;
	zone = add_path(ref, d->domain);
	zone->d = *d;
	zone->known = zone->anchor = true;
	zone->version = ++ref->versions;
	for (size_t i = 0; i < d->ranges.n; i++)
		while ((other = rival(zone->parent, zone, d->ranges.v[i])) && !other->anchor)
			forget(ref, other);
	set_ranges(zone, &d->ranges);
}

/* Belief */

static bool fits_parent(const struct zone *zone)
{
	uint32_t vnid;

	return delegation_has_key(&zone->parent->d, &zone->signer) &&
	       !ranges_exceed(&zone->d.ranges, &zone->parent->d.ranges, &vnid);
}

bool reference_believed(const struct zone *zone, int64_t now)
{
	for (; !zone->anchor; zone = zone->parent) /* ends: the root is an anchor */
		if (!zone->known || delegation_times(zone->d.issued, zone->d.expires, now) ||
		    !fits_parent(zone))
			return false;
	return zone->known;
}

struct zone *reference_get(struct reference *ref, const char *domain, int64_t now)
{
	struct zone *zone = reference_find(ref, domain);

	if (!zone || !reference_believed(zone, now))
		return NULL;
	touch(ref, zone);
	return zone;
}

/* Learning */

/* Older siblings that have one of its VNIDs end; is there a newer one, the delegation is outdated itself. */
static bool clear_rivals(struct reference *ref, struct zone *zone, const struct delegation *d)
{
	struct zone *other;

	for (size_t i = 0; i < d->ranges.n; i++)
		while ((other = rival(zone->parent, zone, d->ranges.v[i]))) {
			if (other->anchor || !delegation_newer(d, &other->d))
				return false;
			forget(ref, other);
		}
	return true;
}

/* Our own domain: what the parent says of it is kept to be shown to others, and no more. */
static void keep_shown(struct zone *zone, const struct delegation *d)
{
	zone->d.serial = d->serial;
	zone->d.issued = d->issued;
	zone->d.expires = d->expires;
}

static enum learned keep(struct reference *ref, struct zone *zone, const struct delegation *d,
			 const struct signed_doc *doc)
{
	struct signed_doc copy;

	if (!zone->anchor && !clear_rivals(ref, zone, d))
		return LEARN_OLD;
	if (signed_copy(doc, &copy))
		return LEARN_MALFORMED;
	signed_free(&zone->doc);
	zone->doc = copy;
	zone->version = ++ref->versions;
	zone->least_serial = d->serial;
	if (zone->anchor) {
		keep_shown(zone, d);
		return LEARN_NEW;
	}
	zone->d = *d;
	zone->known = true;
	zone->signer = *signed_named(doc, zone->parent->d.keys, zone->parent->d.n_keys);
	set_ranges(zone, &d->ranges);
	return LEARN_NEW;
}

/* Would its parent have it? */
static enum learned check(const struct zone *parent, const struct delegation *d, const struct signed_doc *doc,
			  int64_t now)
{
	uint32_t vnid;

	if (!signed_named(doc, parent->d.keys, parent->d.n_keys))
		return LEARN_KEY;
	if (!signed_by(doc, SIGNED_DELEGATION, parent->d.keys, parent->d.n_keys))
		return LEARN_FORGED;
	if (delegation_times(d->issued, d->expires, now))
		return LEARN_TIME;
	if (ranges_exceed(&d->ranges, &parent->d.ranges, &vnid))
		return LEARN_RANGE;
	return LEARN_NEW;
}

static enum learned learn(struct reference *ref, const struct delegation *d, const struct signed_doc *doc,
			  int64_t now)
{
	struct zone *zone = reference_find(ref, d->domain), *parent;
	char above[DOMAIN_ROOM];
	enum learned rc;

	if (zone && zone->known && signed_equal(&zone->doc, doc) && reference_believed(zone, now))
		return LEARN_SAME;
	domain_parent(d->domain, above);
	parent = reference_get(ref, above, now);
	if (!parent)
		return LEARN_ORPHAN;
	rc = check(parent, d, doc, now);
	if (rc != LEARN_NEW)
		return rc;
	if (zone && zone->known && zone->doc.body && reference_believed(zone, now) &&
	    !delegation_newer(d, &zone->d))
		return LEARN_OLD;
	if (zone && d->serial < zone->least_serial)
		return LEARN_WITHDRAWN;
	return keep(ref, add_zone(ref, d->domain, parent), d, doc);
}

enum learned reference_learn(struct reference *ref, const struct signed_doc *doc, int64_t now,
			     struct delegation *out)
{
	struct json_error err = { 0 };
	struct delegation d;

	if (delegation_parse(doc->body, doc->len, &d, &err))
		return LEARN_MALFORMED;
	if (out)
		*out = d;
	return ref->root ? learn(ref, &d, doc, now) : LEARN_ORPHAN;
}

bool reference_withdraw(struct reference *ref, const char *parent, const struct ask *ask, uint64_t serial)
{
	char domain[DOMAIN_ROOM], child[DOMAIN_ROOM];
	struct zone *above = reference_find(ref, parent), *zone = NULL;

	if (above && ask_by_vnid(ask))
		zone = child_at(above, ask->vnid);
	else if (above && ask_domain(ask, domain) && domain_toward(domain, parent, child))
		zone = reference_find(ref, child);
	if (!zone || !zone->known)
		return true;
	if (zone->anchor || zone->d.serial > serial)
		return false;
	forget(ref, zone);
	zone->least_serial = serial + 1;
	return true;
}

/* The root zone */

static int by_domain(const void *domain, const void *part)
{
	return strcmp(domain, ((const struct zone_delegation *)part)->d->domain);
}

static bool in_zone(const struct root_zone *root, const char *domain)
{
	return bsearch(domain, root->delegations, root->n_delegations, sizeof(*root->delegations), by_domain);
}

static void take_all(struct reference *ref, const struct root_zone *root, int64_t now)
{
	struct zone *zone, *next;

	HASH_ITER (hh, ref->zones, zone, next)
		if (zone->parent == ref->root && !in_zone(root, zone->d.domain)) {
			forget(ref, zone);
			zone->least_serial = root->serial + 1;
		}
	for (size_t i = 0; i < root->n_delegations; i++) {
		const struct zone_delegation *part = &root->delegations[i];
		const struct zone *known = reference_find(ref, part->d->domain);

		if (!delegation_times(part->d->issued, part->d->expires, now) &&
		    !(known && signed_equal(&known->doc, &part->doc)))
			keep(ref, add_zone(ref, part->d->domain, ref->root), part->d, &part->doc);
	}
}

void reference_root(struct reference *ref, const struct root_zone *root, bool all, int64_t now)
{
	struct delegation d = { .serial = root->serial,
				.n_keys = root->n_keys,
				.n_servers = root->n_servers };

	memcpy(d.keys, root->keys, sizeof(d.keys));
	memcpy(d.servers, root->servers, sizeof(d.servers));
	set_root(ref, &d);
	ref->root_serial = root->serial;
	ref->root_issued = root->issued;
	ref->root_expires = root->expires;
	if (all)
		take_all(ref, root, now);
}

/* Lookups */

struct zone *reference_closest_vnid(struct reference *ref, uint32_t vnid, int64_t now)
{
	struct zone *zone = ref->root, *child;

	while (zone && (child = child_at(zone, vnid)) && reference_believed(child, now))
		zone = child;
	if (zone)
		touch(ref, zone);
	return zone;
}

struct zone *reference_closest_domain(struct reference *ref, const char *domain, int64_t now)
{
	char at[DOMAIN_ROOM];
	struct zone *zone;

	strcpy(at, domain);
	while (!(zone = reference_get(ref, at, now)) && *at)
		domain_parent(at, at);
	return zone;
}

struct zone *reference_closest(struct reference *ref, const struct ask *ask, int64_t now)
{
	char domain[DOMAIN_ROOM];

	if (ask_domain(ask, domain))
		return reference_closest_domain(ref, domain, now);
	return reference_closest_vnid(ref, ask->vnid, now);
}

bool reference_chain(const struct reference *ref, const char *above, const char *domain, int64_t now,
		     struct reply *out)
{
	const struct zone *links[DOMAIN_DEPTH_MAX], *zone = reference_find(ref, domain);
	size_t n = 0;

	if (!domain_within(domain, above))
		return false;
	for (; zone && strcmp(zone->d.domain, above) != 0; zone = zone->parent) {
		if (!zone->doc.body || n == DOMAIN_DEPTH_MAX ||
		    delegation_times(zone->d.issued, zone->d.expires, now))
			return false;
		links[n++] = zone;
	}
	if (!zone || n > REPLY_CHAIN_MAX - out->n_chain)
		return false;
	while (n)
		reply_add(out, &links[--n]->doc);
	return true;
}

bool reference_ageing(const struct zone *zone, int64_t now)
{
	return !zone->anchor && zone->known &&
	       (zone->d.expires - now) * AGEING_PART < zone->d.expires - zone->d.issued;
}
