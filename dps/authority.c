// SPDX-License-Identifier: Apache-2.0
#include "dps/authority.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "dps/mem.h"

#define PREPARED_BYTES ((size_t)64 << 20)

void authority_init(struct authority *a, const char *domain, const struct sign_key *key,
		    const struct vnid_ranges *ranges, uint64_t serial, const struct authority_env *env)
{
	static const struct vnid_ranges all = { .v = { { 1, VNID_LAST } }, .n = 1 };

	memset(a, 0, sizeof(*a));
	strcpy(a->domain, domain);
	a->key = key;
	a->ranges = *domain ? *ranges : all;
	a->serial = serial;
	a->life = *domain ? AUTHORITY_LIFE : DELEGATION_LIFE_MAX;
	a->env = *env;
	cache_init(&a->prepared, AUTHORITY_PREPARED, PREPARED_BYTES);
}

static void free_child(struct authority *a, struct child *child)
{
	HASH_DEL(a->children, child);
	signed_free(&child->doc);
	free(child);
}

void authority_free(struct authority *a)
{
	struct leaving *leaving, *after;
	struct child *child, *next;

	HASH_ITER (hh, a->children, child, next)
		free_child(a, child);
	DL_FOREACH_SAFE(a->leaving, leaving, after)
	free(leaving);
	cache_free(&a->prepared);
	memset(a, 0, sizeof(*a));
}

/* Children */

static struct child *find_child(const struct authority *a, const char *domain)
{
	struct child *child;

	HASH_FIND_STR(a->children, domain, child);
	return child;
}

static void sign_child(struct authority *a, struct child *child, int64_t now)
{
	struct signed_doc doc;

	child->d.serial = ++a->serial;
	child->d.issued = now;
	child->d.expires = now + a->life;
	if (delegation_sign(&child->d, a->key, &doc))
		return; /* the old one goes on as long as it lives */
	signed_free(&child->doc);
	child->doc = doc;
}

static int check_siblings(const struct authority *a, const struct delegation *d, struct json_error *err)
{
	uint32_t vnid;

	for (const struct child *child = a->children; child; child = child->hh.next)
		if (strcmp(child->d.domain, d->domain) != 0 &&
		    ranges_meet(&child->d.ranges, &d->ranges, &vnid)) {
			json_fail(err, "ranges", "VNID %u is %.80s's", vnid, child->d.domain);
			return -EEXIST;
		}
	return 0;
}

static int check_leaving(const struct authority *a, const struct delegation *d, int64_t now,
			 struct json_error *err)
{
	const struct leaving *leaving;
	uint32_t vnid;

	DL_FOREACH (a->leaving, leaving)
		if (leaving->until > now && strcmp(leaving->domain, d->domain) != 0 &&
		    ranges_meet(&leaving->ranges, &d->ranges, &vnid)) {
			json_fail(err, "ranges",
				  "VNID %u was %.80s's and may be believed to be for %lld s yet", vnid,
				  leaving->domain, (long long)(leaving->until - now));
			return -EEXIST;
		}
	return 0;
}

static int check_own(const struct authority *a, const struct delegation *d, struct json_error *err)
{
	uint32_t vnid;

	if (ranges_exceed(&d->ranges, &a->ranges, &vnid)) {
		json_fail(err, "ranges", "VNID %u is not ours to give", vnid);
		return -ERANGE;
	}
	for (size_t i = 0; a->env.used && i < d->ranges.n; i++) {
		vnid = a->env.used(a->env.arg, d->ranges.v[i]);
		if (!vnid)
			continue;
		json_fail(err, "ranges", "VNID %u is in use by networks or endpoints of our own", vnid);
		return -EEXIST;
	}
	return 0;
}

static int check_fields(const struct authority *a, const struct delegation *d, struct json_error *err)
{
	if (!domain_check(d->domain) || !domain_is_child(d->domain, a->domain))
		return json_fail(err, "domain", "'%.80s' is not a child of '%.80s'", d->domain, a->domain);
	if (!d->ranges.n)
		return json_fail(err, "ranges", "'ranges' must not be empty");
	if (!d->n_servers)
		return json_fail(err, "servers", "'servers' must not be empty");
	return d->n_keys ? 0 : json_fail(err, "keys", "'keys' must not be empty");
}

void authority_restore_leaving(struct authority *a, const char *domain, const struct vnid_ranges *ranges,
			       int64_t until)
{
	struct leaving *leaving = mem_alloc(sizeof(*leaving));

	strcpy(leaving->domain, domain);
	leaving->ranges = *ranges;
	leaving->until = until;
	DL_APPEND(a->leaving, leaving);
}

/* Of what the child had, `kept` stays with it. */
static void let_go(struct authority *a, const struct child *child, const struct vnid_ranges *kept)
{
	struct vnid_ranges lost = child->d.ranges;

	if (ranges_remove(&lost, kept))
		lost = child->d.ranges; /* too many pieces: rather too much of it waits */
	if (lost.n)
		authority_restore_leaving(a, child->d.domain, &lost, child->d.expires);
}

static void put_child(struct authority *a, const struct delegation *d, int64_t now)
{
	struct child *child = find_child(a, d->domain);

	if (child) {
		let_go(a, child, &d->ranges);
	} else {
		child = mem_alloc(sizeof(*child));
		strcpy(child->d.domain, d->domain);
		HASH_ADD_STR(a->children, d.domain, child);
	}
	child->d = *d;
	sign_child(a, child, now);
}

int authority_delegate(struct authority *a, const struct delegation *d, int64_t now, struct json_error *err)
{
	int rc = check_fields(a, d, err);

	rc = rc ? rc : check_own(a, d, err);
	rc = rc ? rc : check_siblings(a, d, err);
	rc = rc ? rc : check_leaving(a, d, now, err);
	if (!rc)
		put_child(a, d, now);
	return rc;
}

void authority_restore(struct authority *a, const struct delegation *d, int64_t now)
{
	put_child(a, d, now);
}

static void withdraw(struct authority *a, struct child *child)
{
	let_go(a, child, &(struct vnid_ranges){ .n = 0 });
	free_child(a, child);
	a->serial++;
}

int authority_withdraw(struct authority *a, const char *domain, struct json_error *err)
{
	struct child *child = find_child(a, domain);

	if (!child) {
		json_fail(err, "domain", "'%.80s' is not delegated", domain);
		return -ENOENT;
	}
	withdraw(a, child);
	return 0;
}

unsigned int authority_renew(struct authority *a, int64_t now)
{
	struct leaving *leaving, *next;
	unsigned int n = 0;

	for (struct child *child = a->children; child; child = child->hh.next)
		if ((child->d.expires - now) * 2 <= a->life) {
			sign_child(a, child, now);
			n++;
		}
	DL_FOREACH_SAFE(a->leaving, leaving, next)
	if (leaving->until <= now) {
		DL_DELETE(a->leaving, leaving);
		free(leaving);
	}
	return n;
}

static void forget_prepared(struct authority *a)
{
	cache_free(&a->prepared);
	cache_init(&a->prepared, AUTHORITY_PREPARED, PREPARED_BYTES);
}

void authority_rekey(struct authority *a, const struct sign_key *key, int64_t now)
{
	a->key = key;
	for (struct child *child = a->children; child; child = child->hh.next)
		sign_child(a, child, now);
	forget_prepared(a);
}

/* True: the child was cut back, or is gone. */
static bool cut(struct authority *a, struct child *child, int64_t now)
{
	struct vnid_ranges excess = child->d.ranges, rest = child->d.ranges;

	if (ranges_remove(&excess, &a->ranges) || !excess.n)
		return false;
	if (ranges_remove(&rest, &excess) || !rest.n) {
		withdraw(a, child);
		return true;
	}
	child->d.ranges = rest;
	sign_child(a, child, now);
	return true;
}

unsigned int authority_resize(struct authority *a, const struct vnid_ranges *ranges, int64_t now)
{
	struct child *child, *next;
	unsigned int n = 0;

	a->ranges = *ranges;
	HASH_ITER (hh, a->children, child, next)
		n += cut(a, child, now);
	return n;
}

/* Whose is it? */

static const struct child *child_at(const struct authority *a, uint32_t vnid)
{
	for (const struct child *child = a->children; child; child = child->hh.next)
		if (ranges_has(&child->d.ranges, vnid))
			return child;
	return NULL;
}

static bool is_leaving(const struct authority *a, uint32_t vnid, int64_t now)
{
	const struct leaving *leaving;

	DL_FOREACH (a->leaving, leaving)
		if (leaving->until > now && ranges_has(&leaving->ranges, vnid))
			return true;
	return false;
}

uint32_t authority_next_vnid(const struct authority *a, uint32_t last, int64_t now)
{
	uint32_t vnid = last;

	do
		vnid = ranges_next(&a->ranges, vnid);
	while (vnid && (child_at(a, vnid) || is_leaving(a, vnid, now)));
	return vnid;
}

const struct child *authority_child(const struct authority *a, const struct ask *ask)
{
	char domain[DOMAIN_ROOM], child[DOMAIN_ROOM];

	if (!ask_domain(ask, domain))
		return child_at(a, ask->vnid);
	return domain_toward(domain, a->domain, child) ? find_child(a, child) : NULL;
}

bool authority_covers(const struct authority *a, const struct ask *ask)
{
	char domain[DOMAIN_ROOM];

	if (ask->kind == ASK_ROOT)
		return false;
	if (!ask_domain(ask, domain))
		return ranges_has(&a->ranges, ask->vnid);
	return domain_within(domain, a->domain) && (ask->kind != ASK_ZONE || strcmp(domain, a->domain) != 0);
}

/* Denials */

/* Between which of the children's names is it? */
static void name_gap(const struct authority *a, const char *child, struct statement *s)
{
	s->between = true;
	for (const struct child *c = a->children; c; c = c->hh.next) {
		if (strcmp(c->d.domain, child) < 0 && strcmp(c->d.domain, s->after) > 0)
			strcpy(s->after, c->d.domain);
		if (strcmp(c->d.domain, child) > 0 && (!*s->before || strcmp(c->d.domain, s->before) < 0))
			strcpy(s->before, c->d.domain);
	}
}

/* The VNIDs around this one that no child has. */
static void vnid_gap(const struct authority *a, uint32_t vnid, struct statement *s)
{
	s->vnids = (struct vnid_range){ 1, VNID_LAST };
	for (const struct child *c = a->children; c; c = c->hh.next)
		for (size_t i = 0; i < c->d.ranges.n; i++) {
			struct vnid_range r = c->d.ranges.v[i];

			if (r.last < vnid && r.last >= s->vnids.first)
				s->vnids.first = r.last + 1;
			if (r.first > vnid && r.first <= s->vnids.last)
				s->vnids.last = r.first - 1;
		}
}

static int sign_statement(const struct authority *a, const struct statement *s, cJSON *answer,
			  struct signed_doc *out)
{
	return signed_make(a->key, SIGNED_STATEMENT, statement_render(s, answer), out);
}

static struct statement denial(const struct authority *a, int64_t now, uint32_t life)
{
	struct statement s = { .kind = STATEMENT_NO_DELEGATION,
			       .whole = true,
			       .sequence = a->serial,
			       .issued = now,
			       .expires = now +
					  (life > AUTHORITY_NEGATIVE_HELD ? life : AUTHORITY_NEGATIVE_HELD),
			       .lifetime = life };

	strcpy(s.zone, a->domain);
	return s;
}

static void deny_delegation(struct authority *a, const struct ask *ask, int64_t now, struct reply *out)
{
	struct statement s = denial(a, now, AUTHORITY_NEGATIVE_LIFE);
	char domain[DOMAIN_ROOM], child[DOMAIN_ROOM];

	if (ask_domain(ask, domain) && domain_toward(domain, a->domain, child))
		name_gap(a, child, &s);
	else
		vnid_gap(a, ask->vnid, &s);
	if (sign_statement(a, &s, NULL, &out->doc))
		reply_say(out, REPLY_FAILED, "no memory");
}

/* Answers */

static void fill_subject(const struct authority *a, const struct ask *ask, const struct finding *f,
			 struct statement *s)
{
	strcpy(s->zone, a->domain);
	s->kind = f->kind;
	s->whole = f->whole || f->kind != STATEMENT_POLICY;
	if (!ask_by_vnid(ask))
		strcpy(s->name, ask->name);
	if (f->kind == STATEMENT_NAME)
		s->vnid = f->vnid;
	if (f->kind == STATEMENT_NO_NETWORK && ask_by_vnid(ask))
		s->vnids = (struct vnid_range){ ask->vnid, ask->vnid };
	s->absent = f->absent;
	if (f->kind != STATEMENT_POLICY && f->kind != STATEMENT_PLACE)
		return;
	s->vnid = ask->vnid;
	s->source = ask->source;
	s->to = ask->to;
	if (f->kind == STATEMENT_PLACE)
		return;
	s->from_vnid = ask->from_vnid;
	s->beyond = f->beyond;
	s->packet = ask->packet;
	s->decided_by = f->vnid;
}

static void fill_times(const struct finding *f, int64_t now, struct statement *s)
{
	bool none = f->absent || f->kind == STATEMENT_NO_NETWORK;
	uint32_t lifetime = none ? AUTHORITY_NEGATIVE_LIFE : f->lifetime;
	uint32_t held = none ? AUTHORITY_NEGATIVE_HELD : f->lifetime + f->stale;

	s->sequence = f->sequence;
	s->issued = now;
	s->lifetime = lifetime;
	s->stale = none ? 0 : f->stale;
	s->expires = now + (held < STATEMENT_LIFE_MAX ? held : STATEMENT_LIFE_MAX);
}

/* Whom a service's instances are told is decided each time (env.find). */
static bool is_for_anyone(const struct ask *ask)
{
	return ask->kind != ASK_SERVICE;
}

/* Half of its life must be left, so that who gets it has something of it. */
static bool from_prepared(struct authority *a, const struct ask *ask, int64_t now, struct reply *out)
{
	uint64_t version = a->env.version(a->env.arg);
	const struct cached *entry;

	if (version != a->version)
		forget_prepared(a);
	a->version = version;
	entry = is_for_anyone(ask) ? cache_get(&a->prepared, ask, now) : NULL;
	return entry && (entry->fresh - now) * 2 >= entry->fresh - entry->issued &&
	       !signed_copy(&entry->doc, &out->doc);
}

static void answer(struct authority *a, const struct ask *ask, int64_t now, struct reply *out)
{
	struct statement s = { .packet.proto = 0 };
	struct finding f = { .kind = STATEMENT_NO_NETWORK };
	int rc = from_prepared(a, ask, now, out) ? 1 : a->env.find(a->env.arg, ask, &f);

	if (rc > 0)
		return;
	if (rc < 0) {
		cJSON_Delete(f.answer);
		reply_say(out, REPLY_BEHIND, "not at revision %llu yet",
			  (unsigned long long)ask->min_revision);
		return;
	}
	fill_subject(a, ask, &f, &s);
	fill_times(&f, now, &s);
	if (sign_statement(a, &s, f.answer, &out->doc))
		reply_say(out, REPLY_FAILED, "no memory");
	else if (is_for_anyone(ask))
		cache_put(&a->prepared, ask, &s, &out->doc, now);
}

void authority_answer(struct authority *a, const struct ask *ask, int64_t now, struct reply *out)
{
	const struct child *child = authority_child(a, ask);
	char domain[DOMAIN_ROOM];

	if (child) {
		out->status = REPLY_REFERRAL;
		reply_add(out, &child->doc);
		return;
	}
	out->status = REPLY_ANSWER;
	if (!*a->domain || (ask_domain(ask, domain) && strcmp(domain, a->domain) != 0))
		deny_delegation(a, ask, now, out);
	else
		answer(a, ask, now, out);
}

/* The root zone */

static int by_name(const struct child *a, const struct child *b)
{
	return strcmp(a->d.domain, b->d.domain);
}

static int by_first(const void *a, const void *b)
{
	const struct vnid_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

static void add_delegations(const struct authority *a, struct root_zone *zone)
{
	struct zone_delegation *part;

	zone->delegations = mem_alloc(HASH_COUNT(a->children) * sizeof(*zone->delegations));
	for (const struct child *child = a->children; child; child = child->hh.next) {
		part = &zone->delegations[zone->n_delegations++];
		part->d = mem_alloc(sizeof(*part->d));
		*part->d = child->d;
		signed_copy(&child->doc, &part->doc);
	}
}

static void add_denial(const struct authority *a, struct root_zone *zone, const struct statement *s)
{
	struct zone_denial part = { .vnids = s->vnids };

	if (sign_statement(a, s, NULL, &part.doc))
		return; /* a gap that is not denied is a question that fails, and no lie */
	part.after = mem_copy(s->after);
	part.before = mem_copy(s->before);
	zone->denials = mem_resize(zone->denials, zone->n_denials + 1, sizeof(*zone->denials));
	zone->denials[zone->n_denials++] = part;
}

static void add_name_denials(const struct authority *a, struct root_zone *zone, struct statement s)
{
	s.between = true;
	for (const struct child *child = a->children; child; child = child->hh.next) {
		strcpy(s.before, child->d.domain);
		add_denial(a, zone, &s);
		strcpy(s.after, child->d.domain);
	}
	s.before[0] = '\0';
	add_denial(a, zone, &s);
}

static struct vnid_range *sorted_ranges(const struct authority *a, size_t *n)
{
	struct vnid_range *all = mem_alloc(HASH_COUNT(a->children) * RANGES_MAX * sizeof(*all));

	*n = 0;
	for (const struct child *child = a->children; child; child = child->hh.next) {
		memcpy(&all[*n], child->d.ranges.v, child->d.ranges.n * sizeof(*all));
		*n += child->d.ranges.n;
	}
	qsort(all, *n, sizeof(*all), by_first);
	return all;
}

static void add_vnid_denials(const struct authority *a, struct root_zone *zone, struct statement s)
{
	struct vnid_range *all;
	uint32_t at = 1;
	size_t n;

	all = sorted_ranges(a, &n);
	for (size_t i = 0; i <= n; i++) {
		uint32_t end = i < n ? all[i].first - 1 : VNID_LAST;

		s.vnids = (struct vnid_range){ at, end };
		if (at <= end)
			add_denial(a, zone, &s);
		at = i < n ? all[i].last + 1 : 0;
	}
	free(all);
}

struct root_zone *authority_zone(struct authority *a, const struct sign_public *keys, size_t n_keys,
				 const struct signed_doc *succession, size_t n_succession,
				 const struct server_name *servers, size_t n_servers, int64_t now)
{
	struct root_zone *zone = mem_alloc(sizeof(*zone));

	authority_renew(a, now);
	HASH_SORT(a->children, by_name);
	zone->serial = ++a->serial;
	zone->issued = now;
	zone->expires = now + a->life;
	memcpy(zone->keys, keys, n_keys * sizeof(*keys));
	zone->n_keys = n_keys;
	memcpy(zone->servers, servers, n_servers * sizeof(*servers));
	zone->n_servers = n_servers;
	for (size_t i = 0; i < n_succession && i < SUCCESSIONS_MAX; i++)
		if (!signed_copy(&succession[i], &zone->succession[zone->n_succession]))
			zone->n_succession++;
	add_delegations(a, zone);
	add_name_denials(a, zone, denial(a, now, a->life));
	add_vnid_denials(a, zone, denial(a, now, a->life));
	if (!zone_sign(zone, a->key))
		return zone;
	zone_free(zone);
	return NULL;
}
