// SPDX-License-Identifier: Apache-2.0
/* Who waits for a query, and what they are told. */
#include "dps/query.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "dps/mem.h"
#include "dps/query_state.h"

#define CACHE_ENTRIES_DEFAULT 100000
#define CACHE_BYTES_DEFAULT ((size_t)256 << 20)

#define QUERY_REASON_NAME(name, text) #name,
#define QUERY_REASON_TEXT(name, text) text,
static const char *const reason_names[] = { QUERY_REASONS(QUERY_REASON_NAME) };
static const char *const reason_texts[] = { QUERY_REASONS(QUERY_REASON_TEXT) };

static const char *const kind_names[] = {
	[RESULT_ANSWER] = "answer",
	[RESULT_NO_VM] = "no_vm",
	[RESULT_NO_NETWORK] = "no_network",
	[RESULT_NO_DELEGATION] = "no_delegation",
	[RESULT_ZONE] = "zone",
	[RESULT_ROOT] = "root",
	[RESULT_FAILED] = "failed",
};

const char *query_reason_name(enum query_reason reason)
{
	return reason_names[reason];
}

const char *query_reason_text(enum query_reason reason)
{
	return reason_texts[reason];
}

const char *result_kind_name(enum result_kind kind)
{
	return kind_names[kind];
}

void query_init(struct resolver *r, const struct query_env *env, const struct query_config *config)
{
	memset(r, 0, sizeof(*r));
	r->env = *env;
	r->config = *config;
	reference_init(&r->ref, config->zones);
	cache_init(&r->cache, config->cache_entries ? config->cache_entries : CACHE_ENTRIES_DEFAULT,
		   config->cache_bytes ? config->cache_bytes : CACHE_BYTES_DEFAULT);
	upstream_init(&r->upstream);
}

static int64_t now_of(const struct resolver *r)
{
	return r->env.now(r->env.arg);
}

static uint64_t ticks_of(const struct resolver *r)
{
	return r->env.ticks(r->env.arg);
}

void query_note(const struct query *q, const char *event, const char *zone, const struct server_address *addr,
		const char *detail)
{
	if (q->r->env.note)
		q->r->env.note(q->r->env.arg, q->errand.id, event, zone, addr, detail);
}

/* Queries */

struct query *query_running(struct resolver *r, const struct ask *ask)
{
	char key[ASK_TEXT];
	struct query *q;

	ask_text(ask, false, key);
	HASH_FIND(hh_key, r->by_key, key, strlen(key), q);
	return q;
}

struct query *query_start(struct resolver *r, const struct ask *ask, const struct errand *errand, bool forced,
			  unsigned int budget)
{
	struct query *q = mem_alloc(sizeof(*q));

	q->r = r;
	q->ask = *ask;
	q->serial = ++r->serials;
	q->budget = budget;
	q->forward_over = forced || ask->kind == ASK_SERVICE || (errand && errand->n_path == ASK_PATH_MAX);
	if (errand)
		q->errand = *errand;
	q->earliest = UINT64_MAX;
	q->started = ticks_of(r);
	ask_text(ask, false, q->key);
	HASH_ADD_KEYPTR(hh_key, r->by_key, q->key, strlen(q->key), q);
	HASH_ADD(hh_serial, r->by_serial, serial, sizeof(q->serial), q);
	r->running++;
	return q;
}

void query_close(struct query *q)
{
	if (!q->closed)
		HASH_DELETE(hh_key, q->r->by_key, q);
	q->closed = true;
}

static void end(struct query *q)
{
	struct resolver *r = q->r;

	query_close(q);
	HASH_DELETE(hh_serial, r->by_serial, q);
	timers_clear(&r->timers, &q->timer);
	if (q->renewal)
		query_cancel(r, q->renewal);
	for (unsigned int i = 0; i < q->n_attempts; i++)
		free(q->attempts[i].zone);
	r->running--;
	r->ahead -= q->ahead;
	free(q);
}

void query_settle(struct query *q)
{
	uint64_t at = q->ahead && q->deadline < q->earliest ? q->deadline : q->earliest;

	if (q->state == QUERY_DONE) {
		end(q);
		return;
	}
	if ((q->state == QUERY_WAIT || q->state == QUERY_LINGER) && q->patience < at)
		at = q->patience;
	timers_set(&q->r->timers, &q->timer, at);
}

/* Waiters */

struct waiter *query_join(struct query *q, uint64_t min_revision, uint64_t deadline, query_done done,
			  void *arg)
{
	struct waiter *w = mem_alloc(sizeof(*w));

	*w = (struct waiter){ .query = q,
			      .serial = ++q->r->serials,
			      .min_revision = min_revision,
			      .deadline = deadline,
			      .done = done,
			      .arg = arg };
	DL_APPEND(q->waiters, w);
	q->n_waiters++;
	if (min_revision > q->ask.min_revision)
		q->ask.min_revision = min_revision;
	if (deadline > q->deadline)
		q->deadline = deadline;
	if (deadline < q->earliest)
		q->earliest = deadline;
	if (!q->stepping && q->timer.place && deadline < q->timer.at)
		timers_set(&q->r->timers, &q->timer, deadline);
	return w;
}

static void drop_waiter(struct waiter *w)
{
	DL_DELETE(w->query->waiters, w);
	w->query->n_waiters--;
	if (w->handle)
		*w->handle = NULL;
	free(w);
}

void query_cancel(struct resolver *r, struct waiter *waiter)
{
	struct query *q = waiter->query;

	drop_waiter(waiter);
	if (!q->n_waiters && !q->ahead && !q->stepping)
		end(q);
}

static void tell(struct waiter *w, const struct query_result *result)
{
	query_done done = w->done;
	void *arg = w->arg;

	drop_waiter(w); /* first: done() may do as it likes */
	done(result, arg);
}

/* Revisions are of networks: that there is none, or where a zone is, is not below any. */
static bool has_revision(enum result_kind kind)
{
	return kind == RESULT_ANSWER || kind == RESULT_NO_VM;
}

static struct waiter *find_satisfied(const struct query *q, const struct query_result *result,
				     uint64_t serial)
{
	struct waiter *w;

	DL_FOREACH (q->waiters, w)
		if (w->serial <= serial &&
		    (!has_revision(result->kind) || w->min_revision <= result->sequence))
			return w;
	return NULL;
}

/* The result is copied: a waiter may ask again and so change what it was made of. */
void query_tell(struct query *q, const struct query_result *result)
{
	struct query_result copy = *result;
	struct signed_doc doc = { 0 };
	uint64_t serial = q->r->serials; /* who joins from inside done() has to wait */
	char zone[DOMAIN_ROOM];
	struct waiter *w;

	strcpy(zone, result->zone);
	query_note(q, "end", zone, NULL, result_kind_name(result->kind));
	if (result->doc)
		copy.doc = signed_copy(result->doc, &doc) ? NULL : &doc;
	copy.zone = zone;
	copy.entry = NULL;
	copy.upstream = q->upstream;
	copy.referrals = q->referrals;
	while ((w = find_satisfied(q, result, serial)))
		tell(w, &copy);
	signed_free(&doc);
}

/* Results */

static struct query_result result_of(const struct cached *entry)
{
	static const enum result_kind result_kinds[] = {
		[CACHED_ANSWER] = RESULT_ANSWER,	 [CACHED_NO_VM] = RESULT_NO_VM,
		[CACHED_NO_NETWORK] = RESULT_NO_NETWORK, [CACHED_NO_DELEGATION] = RESULT_NO_DELEGATION,
		[CACHED_FAILURE] = RESULT_FAILED,
	};

	return (struct query_result){ .kind = result_kinds[entry->kind],
				      .reason = entry->reason,
				      .doc = &entry->doc,
				      .entry = entry,
				      .zone = entry->zone,
				      .sequence = entry->sequence,
				      .fresh = entry->fresh,
				      .expires = entry->expires };
}

static struct query_result result_of_statement(const struct statement *s, const struct signed_doc *doc)
{
	enum result_kind kind = s->kind == STATEMENT_NO_NETWORK	     ? RESULT_NO_NETWORK
				: s->kind == STATEMENT_NO_DELEGATION ? RESULT_NO_DELEGATION
				: s->absent			     ? RESULT_NO_VM
								     : RESULT_ANSWER;

	return (struct query_result){ .kind = kind,
				      .doc = doc,
				      .zone = s->zone,
				      .sequence = s->sequence,
				      .fresh = s->issued + s->lifetime,
				      .expires = s->expires };
}

void query_keep(struct query *q, const struct statement *s, const struct signed_doc *doc,
		struct query_result *out)
{
	const struct cached *entry = cache_put(&q->r->cache, &q->ask, s, doc, now_of(q->r));

	*out = entry ? result_of(entry) : result_of_statement(s, doc);
	out->stale = out->fresh <= now_of(q->r);
}

/* What may be served while nobody can be asked: a refusal always, an allowance as long as its zone is believed. */
static bool find_stale(struct resolver *r, const struct ask *ask, struct query_result *out)
{
	int64_t now = now_of(r);
	const struct cached *entry = cache_get_stale(&r->cache, ask, now);

	if (!entry || (!entry->refuses && !judge_still(&r->ref, ask, entry, now)))
		return false;
	r->counters.stale++;
	*out = result_of(entry);
	out->stale = true;
	return true;
}

static void fail(struct resolver *r, const struct ask *ask, enum query_reason reason,
		 struct query_result *out)
{
	if (find_stale(r, ask, out))
		return;
	r->counters.failed++;
	*out = (struct query_result){ .kind = RESULT_FAILED, .reason = reason, .zone = "" };
}

static struct waiter *find_overdue(const struct query *q, uint64_t overdue, uint64_t serial)
{
	struct waiter *w;

	DL_FOREACH (q->waiters, w)
		if (w->deadline <= overdue && w->serial <= serial)
			return w;
	return NULL;
}

void query_tell_none(struct query *q, uint64_t overdue, enum query_reason reason)
{
	uint64_t serial = q->r->serials;
	struct query_result result;
	struct ask ask = q->ask;
	struct waiter *w;

	query_note(q, "end", q->zone, NULL, query_reason_name(reason));
	while ((w = find_overdue(q, overdue, serial))) {
		ask.min_revision = w->min_revision;
		fail(q->r, &ask, reason, &result);
		result.upstream = q->upstream;
		result.referrals = q->referrals;
		tell(w, &result);
	}
}

/* Ahead of time */

void query_ahead(struct resolver *r, const struct ask *ask, bool forced)
{
	struct query *q;

	if (query_running(r, ask) || r->ahead >= QUERY_AHEAD_MAX ||
	    cache_get_failure(&r->cache, ask, now_of(r)))
		return;
	q = query_start(r, ask, NULL, forced, QUERY_UPSTREAM_MAX);
	q->ahead = true;
	q->deadline = ticks_of(r) + QUERY_DEADLINE_MS;
	r->ahead++;
	r->counters.ahead++;
	query_run(q);
}

static bool is_due(const struct resolver *r, const struct zone *zone)
{
	int64_t life = r->ref.root_expires - r->ref.root_issued;

	if (*zone->d.domain)
		return reference_ageing(zone, now_of(r));
	return zone->d.n_servers && now_of(r) >= r->ref.root_issued + life - life / 4;
}

void query_keep_young(struct resolver *r, struct zone *zone)
{
	struct ask ask = { .kind = *zone->d.domain ? ASK_ZONE : ASK_ROOT };
	uint64_t ticks = ticks_of(r);

	if (!is_due(r, zone) || (zone->asked && ticks - zone->asked < QUERY_RENEW_MS))
		return;
	zone->asked = ticks;
	strcpy(ask.name, zone->d.domain);
	query_ahead(r, &ask, true);
}

/* What is here */

/* Our own word, which a result points into. */
struct own_word {
	struct reply reply;
	struct statement statement;
};

static bool from_own(struct resolver *r, const struct ask *ask, struct own_word *own,
		     struct query_result *out)
{
	struct reply *reply = &own->reply;
	struct json_error err = { 0 };

	if (!r->env.own || !r->env.own(r->env.own_arg, ask, reply))
		return false;
	r->counters.own++;
	switch (reply->status) {
	case REPLY_ANSWER:
		if (statement_parse(reply->doc.body, reply->doc.len, &own->statement, &err))
			return false;
		*out = result_of_statement(&own->statement, &reply->doc);
		if (has_revision(out->kind) && out->sequence < ask->min_revision)
			fail(r, ask, QUERY_BEHIND, out);
		return true;
	case REPLY_ROOT:
		*out = (struct query_result){ .kind = RESULT_ROOT, .doc = &reply->doc, .zone = "" };
		return true;
	case REPLY_BEHIND:
		fail(r, ask, QUERY_BEHIND, out);
		return true;
	default:
		for (size_t i = 0; i < reply->n_chain; i++)
			reference_learn(&r->ref, &reply->chain[i], now_of(r), NULL);
		return false;
	}
}

static bool from_reference(struct resolver *r, const struct ask *ask, struct query_result *out)
{
	struct zone *zone = ask->kind == ASK_ZONE ? reference_get(&r->ref, ask->name, now_of(r)) : NULL;

	if (!zone)
		return false;
	*out = (struct query_result){ .kind = RESULT_ZONE,
				      .doc = zone->doc.body ? &zone->doc : NULL,
				      .zone = zone->d.domain,
				      .sequence = zone->d.serial,
				      .fresh = zone->d.expires,
				      .expires = zone->d.expires };
	query_keep_young(r, zone);
	return true;
}

static bool from_cache(struct resolver *r, const struct ask *ask, struct query_result *out)
{
	int64_t now = now_of(r);
	const struct cached *entry = cache_get(&r->cache, ask, now);

	if (!entry || !judge_still(&r->ref, ask, entry, now))
		return false;
	r->counters.hits++;
	*out = result_of(entry);
	if (cache_ageing(entry, now))
		query_ahead(r, ask, false);
	query_keep_young(r, reference_closest(&r->ref, ask, now));
	return true;
}

static bool from_here(struct resolver *r, const struct ask *ask, struct own_word *own,
		      struct query_result *out)
{
	return from_own(r, ask, own, out) || from_reference(r, ask, out) || from_cache(r, ask, out);
}

/* Nobody is to be asked again so soon, or nobody can be. */
static bool is_hopeless(struct resolver *r, const struct ask *ask, struct query_result *out)
{
	const struct cached *failure = cache_get_failure(&r->cache, ask, now_of(r));
	const struct query *q = query_running(r, ask);

	if (q ? q->n_waiters >= QUERY_WAITERS_MAX : r->running >= QUERY_RUNNING_MAX)
		fail(r, ask, QUERY_BUSY, out);
	else if (!q && failure)
		fail(r, ask, failure->reason, out);
	else
		return false;
	return true;
}

static uint64_t deadline_of(const struct resolver *r, const struct errand *errand)
{
	uint32_t ms = errand && errand->deadline ? errand->deadline : QUERY_DEADLINE_MS;

	return ticks_of(r) + (ms < QUERY_DEADLINE_MOST_MS ? ms : QUERY_DEADLINE_MOST_MS);
}

static struct waiter *wait(struct resolver *r, const struct ask *ask, const struct errand *errand,
			   query_done done, void *arg)
{
	struct query *q = query_running(r, ask);
	struct waiter *w;
	bool joined = q;

	if (!q)
		q = query_start(r, ask, errand, false, QUERY_UPSTREAM_MAX);
	w = query_join(q, ask->min_revision, deadline_of(r, errand), done, arg);
	if (joined) {
		r->counters.joined++;
		return w;
	}
	w->handle = &w;
	query_run(q);
	if (w)
		w->handle = NULL;
	return w;
}

bool query_here(struct resolver *r, const struct ask *question, query_done done, void *arg)
{
	struct ask ask = *question;
	uint64_t floor = cache_least(&r->cache, &ask);
	struct own_word own = { 0 };
	struct query_result result;
	bool here;

	if (floor > ask.min_revision)
		ask.min_revision = floor;
	here = from_here(r, &ask, &own, &result);
	if (here) {
		r->counters.questions++;
		done(&result, arg);
	}
	reply_free(&own.reply);
	return here;
}

struct waiter *query_ask(struct resolver *r, const struct ask *question, const struct errand *errand,
			 query_done done, void *arg)
{
	struct ask ask = *question;
	uint64_t floor = cache_least(&r->cache, &ask);
	struct own_word own = { 0 };
	struct query_result result;
	struct waiter *w = NULL;

	r->counters.questions++;
	if (floor > ask.min_revision)
		ask.min_revision = floor;
	if (from_here(r, &ask, &own, &result) || is_hopeless(r, &ask, &result))
		done(&result, arg);
	else
		w = wait(r, &ask, errand, done, arg);
	reply_free(&own.reply);
	return w;
}

struct waiter *query_ask_others(struct resolver *r, const struct ask *ask, const struct errand *errand,
				query_done done, void *arg)
{
	struct query_result result;

	r->counters.questions++;
	if (!is_hopeless(r, ask, &result))
		return wait(r, ask, errand, done, arg);
	done(&result, arg);
	return NULL;
}

/* From outside */

static struct query *find_attempt(struct resolver *r, uint64_t id, unsigned int *attempt)
{
	uint64_t serial = id / QUERY_UPSTREAM_MAX;
	struct query *q;

	HASH_FIND(hh_serial, r->by_serial, &serial, sizeof(serial), q);
	*attempt = id % QUERY_UPSTREAM_MAX;
	return q && *attempt < q->n_attempts && q->attempts[*attempt].open ? q : NULL;
}

void query_reply(struct resolver *r, uint64_t id, const struct reply *reply)
{
	unsigned int attempt;
	struct query *q = find_attempt(r, id, &attempt);

	if (q)
		query_judge(q, attempt, reply);
}

void query_broken(struct resolver *r, uint64_t id)
{
	unsigned int attempt;
	struct query *q = find_attempt(r, id, &attempt);

	if (!q)
		return;
	q->attempts[attempt].open = false;
	query_lost(q, attempt);
}

uint64_t query_next(const struct resolver *r)
{
	const struct timer *timer = timers_first(&r->timers);

	return timer ? timer->at : UINT64_MAX;
}

/* Who has waited long enough goes, with what there is. */
static void dismiss(struct query *q, uint64_t ticks)
{
	const struct waiter *w;

	q->stepping = true; /* callbacks may cancel the last waiter: the query stays until we are through */
	query_tell_none(q, ticks, QUERY_DEADLINE);
	q->stepping = false;
	q->earliest = UINT64_MAX;
	DL_FOREACH (q->waiters, w)
		if (w->deadline < q->earliest)
			q->earliest = w->deadline;
}

/* Who had time enough for any server need not be followed at once by others who wait as long. */
static void note_failure(const struct query *q, uint64_t ticks)
{
	if (ticks - q->started >= UPSTREAM_MOST_MS)
		cache_put_failure(&q->r->cache, &q->ask, QUERY_DEADLINE, now_of(q->r) + QUERY_RETRY_SECONDS);
}

static void wake(struct query *q, uint64_t ticks)
{
	if (q->earliest <= ticks)
		dismiss(q, ticks);
	if (!q->n_waiters && (!q->ahead || q->deadline <= ticks)) {
		note_failure(q, ticks);
		end(q);
	} else if ((q->state == QUERY_WAIT || q->state == QUERY_LINGER) && q->patience <= ticks) {
		query_late(q);
	} else {
		query_settle(q);
	}
}

void query_tick(struct resolver *r)
{
	uint64_t ticks = ticks_of(r);
	struct timer *timer;

	while ((timer = timers_first(&r->timers)) && timer->at <= ticks)
		wake((struct query *)timer, ticks);
}

void query_free(struct resolver *r)
{
	struct query *q;

	while ((q = r->by_serial)) {
		query_close(q);
		q->stepping = true;
		query_tell_none(q, UINT64_MAX, QUERY_BUSY);
		end(q);
	}
	timers_free(&r->timers);
	upstream_free(&r->upstream);
	cache_free(&r->cache);
	reference_free(&r->ref);
	memset(r, 0, sizeof(*r));
}
