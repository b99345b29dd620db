// SPDX-License-Identifier: Apache-2.0
/* The states of a query, in the order in which a question meets them. */
#include <errno.h>
#include <string.h>

#include "dps/mem.h"
#include "dps/query_state.h"

#define FORWARD_ZONE "*" /* what a parent is lame for, when it can't find answers */

static int64_t now_of(const struct query *q)
{
	return q->r->env.now(q->r->env.arg);
}

static uint64_t ticks_of(const struct query *q)
{
	return q->r->env.ticks(q->r->env.arg);
}

/* AIM */

/* Of a domain's delegation its parent is to be asked, also if we know one. */
static struct zone *closest(struct query *q)
{
	char above[DOMAIN_ROOM];

	if (q->ask.kind != ASK_ZONE)
		return reference_closest(&q->r->ref, &q->ask, now_of(q));
	domain_parent(q->ask.name, above);
	return reference_closest_domain(&q->r->ref, above, now_of(q));
}

static void aim_at(struct query *q, const char *zone, uint64_t version)
{
	if (q->aimed && !strcmp(q->zone, zone) && q->version == version)
		return;
	strcpy(q->zone, zone);
	q->version = version;
	q->aimed = true;
	q->tried = q->spent = 0;
	q->rounds = 0;
}

static enum query_state aim(struct query *q)
{
	struct zone *zone;

	q->forward = q->r->config.n_parents && !q->forward_over;
	if (q->forward) {
		aim_at(q, "", UINT64_MAX);
		return QUERY_PICK;
	}
	zone = closest(q);
	if (!zone || (!zone->d.n_servers && !q->r->config.n_primaries)) {
		q->reason = QUERY_NO_ROOT;
		return QUERY_GIVE_UP;
	}
	aim_at(q, zone->d.domain, zone->version);
	query_keep_young(q->r, zone);
	return QUERY_PICK;
}

/* PICK */

/* NULL: the zone is not what it was when it was aimed at. */
static const struct server_name *servers(struct query *q, size_t *n)
{
	struct zone *zone;

	if (q->forward) {
		*n = q->r->config.n_parents;
		return q->r->config.parents;
	}
	if (q->ask.kind == ASK_ROOT && q->r->config.n_primaries) {
		*n = q->r->config.n_primaries;
		return q->r->config.primaries;
	}
	zone = reference_get(&q->r->ref, q->zone, now_of(q));
	if (!zone || zone->version != q->version)
		return NULL;
	*n = zone->d.n_servers;
	return zone->d.servers;
}

/* Somebody is slow, or nobody is left. */
static enum query_state idle(struct query *q)
{
	q->patience = 0;
	for (unsigned int i = 0; i < q->n_attempts; i++)
		if (q->attempts[i].open && q->attempts[i].sent + UPSTREAM_MOST_MS > q->patience)
			q->patience = q->attempts[i].sent + UPSTREAM_MOST_MS;
	return q->patience > ticks_of(q) ? QUERY_LINGER : QUERY_GIVE_UP;
}

static bool renew(struct query *q, const char *domain);

static enum query_state nobody_left(struct query *q)
{
	if (q->forward) {
		q->forward_over = true;
		return QUERY_AIM;
	}
	if (q->tried != q->spent && q->rounds + 1 < QUERY_ROUNDS_MAX) {
		q->rounds++;
		q->tried = q->spent;
		return QUERY_PICK;
	}
	q->suspect = false;
	if (*q->zone && renew(q, q->zone)) /* of the root's servers only they could tell */
		return q->renewal ? QUERY_RENEW : QUERY_RENEWED;
	return idle(q);
}

static enum query_state pick(struct query *q)
{
	struct resolver *r = q->r;
	size_t n = 0;
	const struct server_name *list = servers(q, &n);

	if (!list)
		return QUERY_AIM;
	if (upstream_pick(&r->upstream, q->forward ? FORWARD_ZONE : q->zone, q->version, list, n, q->tried,
			  ticks_of(q), r->env.random(r->env.arg), &q->choice))
		return QUERY_ASK;
	return nobody_left(q);
}

/* ASK */

/* Only a question that is to be answered, not referred, can come back to us. */
static void make_errand(struct query *q, uint64_t ticks, struct errand *out)
{
	*out = (struct errand){ .recursive = q->forward,
				.deadline = q->deadline > ticks ? q->deadline - ticks : 0 };
	strcpy(out->zone, q->zone);
	strcpy(out->id, q->errand.id);
	if (!q->forward)
		return;
	memcpy(out->path, q->errand.path, sizeof(out->path));
	out->n_path = q->errand.n_path;
	strcpy(out->path[out->n_path++], q->r->config.name);
}

static void note_attempt(struct query *q, const struct server_address *addr, uint64_t ticks)
{
	q->current = q->n_attempts++;
	q->attempts[q->current] = (struct attempt){ .addr = *addr,
						    .zone = mem_copy(q->zone),
						    .bit = upstream_bit(&q->choice),
						    .version = q->version,
						    .sent = ticks,
						    .open = true,
						    .forward = q->forward };
	q->patience = ticks + q->choice.timeout;
}

static enum query_state ask(struct query *q)
{
	struct resolver *r = q->r;
	uint64_t ticks = ticks_of(q);
	size_t n = 0;
	const struct server_name *server = servers(q, &n) + q->choice.server;
	const struct server_address *addr = &server->addresses[q->choice.address];
	struct errand errand;

	if (!q->budget) {
		q->reason = QUERY_BUDGET;
		return idle(q);
	}
	make_errand(q, ticks, &errand);
	query_note(q, "ask", q->zone, addr, q->key);
	note_attempt(q, addr, ticks);
	q->tried |= upstream_bit(&q->choice);
	q->budget--;
	q->upstream++;
	r->counters.upstream++;
	if (!r->env.send(r->env.arg, q->serial * QUERY_UPSTREAM_MAX + q->current, server, addr, &q->ask,
			 &errand))
		return QUERY_WAIT;
	q->attempts[q->current].open = false;
	upstream_silent(&r->upstream, addr, ticks, ticks);
	return QUERY_PICK;
}

/* WAIT and LINGER end from outside */

static void count_silence(struct query *q, const struct attempt *a)
{
	q->r->counters.timeouts++;
	query_note(q, "silence", a->zone, &a->addr, q->key);
	upstream_silent(&q->r->upstream, &a->addr, a->sent, ticks_of(q));
}

void query_late(struct query *q)
{
	if (q->state == QUERY_WAIT)
		count_silence(q, &q->attempts[q->current]);
	q->state = q->state == QUERY_WAIT ? QUERY_PICK : QUERY_GIVE_UP;
	query_run(q);
}

void query_lost(struct query *q, unsigned int attempt)
{
	count_silence(q, &q->attempts[attempt]);
	if (q->state == QUERY_LINGER)
		q->state = idle(q);
	else if (q->state == QUERY_WAIT && attempt == q->current)
		q->state = QUERY_PICK;
	query_run(q);
}

/* JUDGE */

void query_judge(struct query *q, unsigned int attempt, const struct reply *reply)
{
	struct attempt *a = &q->attempts[attempt];

	a->open = false;
	upstream_replied(&q->r->upstream, &a->addr, a->sent, ticks_of(q));
	judge_reply(&q->r->ref, &q->ask, a->zone, reply, now_of(q), &q->judged);
	query_note(q, "reply", a->zone, &a->addr,
		   *q->judged.why ? q->judged.why : judgement_name(q->judged.judgement));
	if (q->state == QUERY_RENEW) {
		if (q->judged.judgement != JUDGE_ANSWER)
			return;
		query_cancel(q->r, q->renewal);
		q->renewal = NULL;
	}
	q->judged_attempt = attempt;
	q->reply = reply;
	q->state = QUERY_JUDGE;
	query_run(q);
}

/* Is the query still where this reply's server was asked? */
static bool is_here(const struct query *q, const struct attempt *a)
{
	return a->version == q->version && a->forward == q->forward && !strcmp(a->zone, q->zone);
}

/* The reply is of no use; if another server has the question by now, it keeps its time. */
static enum query_state next_server(struct query *q)
{
	const struct attempt *a = &q->attempts[q->judged_attempt];

	if (is_here(q, a))
		q->spent |= a->bit;
	if (q->judged_attempt != q->current && q->attempts[q->current].open && ticks_of(q) < q->patience)
		return QUERY_WAIT;
	return QUERY_PICK;
}

static enum query_state reject(struct query *q, bool lie)
{
	const struct attempt *a = &q->attempts[q->judged_attempt];

	upstream_lame(&q->r->upstream, &a->addr, a->forward ? FORWARD_ZONE : a->zone, a->version,
		      ticks_of(q));
	q->unbelievable = true;
	if (lie)
		q->r->counters.lies++;
	else
		q->r->counters.lame++;
	return next_server(q);
}

/* It is known that this network has been further: whoever is asked next is asked for no less. */
static bool is_below_floor(struct query *q)
{
	const struct statement *s = &q->judged.statement;
	uint64_t floor = s->kind == STATEMENT_POLICY ? cache_floor(&q->r->cache, s->decided_by) : 0;

	if (s->sequence >= floor)
		return false;
	if (floor > q->ask.min_revision)
		q->ask.min_revision = floor;
	return true;
}

static enum query_state take_answer(struct query *q)
{
	struct query_result result;

	if (is_below_floor(q)) {
		q->behind = true;
		return next_server(q);
	}
	query_keep(q, &q->judged.statement, &q->reply->doc, &result);
	query_tell(q, &result);
	if (!q->n_waiters)
		return QUERY_DONE;
	q->behind = true; /* who came meanwhile wants a later revision */
	return next_server(q);
}

static enum query_state take_old(struct query *q)
{
	q->behind = true;
	return q->judged.believed ? take_answer(q) : next_server(q);
}

static enum query_state take_zone(struct query *q)
{
	const struct zone *zone = reference_get(&q->r->ref, q->ask.name, now_of(q));
	struct query_result result = { .kind = RESULT_ZONE, .zone = q->ask.name };

	if (!zone)
		return next_server(q);
	result.doc = zone->doc.body ? &zone->doc : NULL;
	result.sequence = zone->d.serial;
	result.fresh = result.expires = zone->d.expires;
	query_close(q);
	query_tell(q, &result);
	return QUERY_DONE;
}

static enum query_state take_referral(struct query *q)
{
	const struct attempt *a = &q->attempts[q->judged_attempt];
	const struct zone *zone;

	q->r->counters.referrals++;
	q->forward_over = q->forward_over || a->forward; /* it points the way: we walk it ourselves */
	if (q->judged.reached)
		return take_zone(q);
	if (++q->referrals > QUERY_REFERRALS_MAX) {
		q->reason = QUERY_REFERRALS;
		return QUERY_GIVE_UP;
	}
	zone = closest(q);
	if (q->judged_attempt != q->current && zone && !strcmp(zone->d.domain, q->zone))
		return next_server(q);
	return QUERY_AIM;
}

static enum query_state take_root(struct query *q)
{
	struct reference *ref = &q->r->ref;
	struct query_result result = { .kind = RESULT_ROOT, .doc = &q->reply->doc, .zone = "" };
	struct json_error err = { 0 };
	struct root_zone *zone;
	int rc = zone_open(&q->reply->doc, ref->root->d.keys, ref->root->d.n_keys, ref->root_serial,
			   now_of(q), &zone, &err);

	if (rc == -ESTALE) { /* a root server that hasn't heard of the last one yet */
		q->behind = true;
		return next_server(q);
	}
	if (rc)
		return reject(q, true);
	reference_root(ref, zone, false, now_of(q));
	result.sequence = zone->serial;
	result.fresh = result.expires = zone->expires;
	zone_free(zone);
	query_close(q);
	query_tell(q, &result);
	return QUERY_DONE;
}

/* Keys change: before the server counts as a liar, its zone's parent is asked for the keys of today. */
static enum query_state doubt(struct query *q)
{
	q->suspect = true;
	if (renew(q, q->judged.zone))
		return q->renewal ? QUERY_RENEW : QUERY_RENEWED;
	q->unbelievable = true;
	return next_server(q);
}

static enum query_state judge(struct query *q)
{
	switch (q->judged.judgement) {
	case JUDGE_ANSWER:
		return take_answer(q);
	case JUDGE_REFERRAL:
		return take_referral(q);
	case JUDGE_ROOT:
		return take_root(q);
	case JUDGE_BEHIND:
		return take_old(q);
	case JUDGE_KEY:
		return doubt(q);
	case JUDGE_LAME:
	case JUDGE_LIE:
		return reject(q, q->judged.judgement == JUDGE_LIE);
	case JUDGE_OVER: /* from further up again, where the query has not gone by itself */
		return is_here(q, &q->attempts[q->judged_attempt]) ? QUERY_AIM : next_server(q);
	default:
		return next_server(q);
	}
}

/* RENEW */

/* What a query for a delegation waits for is always further up, so that none waits for itself. */
static bool is_above(const struct query *q, const char *domain)
{
	if (q->ask.kind == ASK_ROOT)
		return false;
	return q->ask.kind != ASK_ZONE ||
	       (domain_within(q->ask.name, domain) && strcmp(q->ask.name, domain) != 0);
}

static void on_renewed(const struct query_result *result, void *arg)
{
	struct query *q = arg;

	q->renewal = NULL;
	q->upstream += result->upstream;
	q->budget -= result->upstream < q->budget ? result->upstream : q->budget;
	if (q->stepping)
		return;
	q->state = QUERY_RENEWED;
	query_run(q);
}

static struct query *ask_above(struct query *q, struct zone *zone)
{
	struct ask ask = { .kind = *zone->d.domain ? ASK_ZONE : ASK_ROOT };
	struct query *above;
	uint64_t ticks = ticks_of(q);

	strcpy(ask.name, zone->d.domain);
	above = query_running(q->r, &ask);
	if (above || (zone->asked && ticks - zone->asked < QUERY_RENEW_MS))
		return above;
	zone->asked = ticks;
	return query_start(q->r, &ask, NULL, true, q->budget);
}

/* Ask the zone's parent for its delegation; then q->renewal is set until the word is here. False: not now. */
static bool renew(struct query *q, const char *domain)
{
	struct zone *zone = reference_find(&q->r->ref, domain);
	struct query *above;

	if (!zone || (zone->anchor && *domain) || !is_above(q, domain) || !q->budget ||
	    q->renewals == QUERY_RENEWALS_MAX)
		return false;
	strcpy(q->renewing, domain);
	q->renewing_version = zone->version;
	above = ask_above(q, zone);
	if (!above)
		return false;
	q->renewals++;
	q->r->counters.renewals++;
	q->renewal = query_join(above, 0, q->deadline, on_renewed, q);
	if (above->state == QUERY_AIM && !above->stepping) /* it was just started */
		query_run(above);
	return true;
}

static enum query_state renewed(struct query *q)
{
	const struct zone *zone = reference_find(&q->r->ref, q->renewing);
	const struct attempt *a = &q->attempts[q->judged_attempt];
	bool changed = !zone || zone->version != q->renewing_version;

	if (!q->suspect)
		return changed ? QUERY_AIM : idle(q);
	if (!changed)
		return reject(q, true);
	if (is_here(q, a))
		q->tried &= ~a->bit; /* by today's keys it may well be right */
	return QUERY_AIM;
}

/* GIVE_UP */

static enum query_state give_up(struct query *q)
{
	bool brief;

	if (!q->reason)
		q->reason = q->behind ? QUERY_BEHIND : q->unbelievable ? QUERY_UNBELIEVABLE : QUERY_NO_SERVER;
	brief = q->reason == QUERY_BEHIND || q->reason == QUERY_BUDGET;
	cache_put_failure(&q->r->cache, &q->ask, q->reason,
			  now_of(q) + (brief ? QUERY_RETRY_SECONDS : CACHE_FAILED_SECONDS));
	query_close(q);
	query_tell_none(q, UINT64_MAX, q->reason);
	return QUERY_DONE;
}

/* The loop. It ends: each round sends a question, follows a referral or uses up a server, all of them counted. */
void query_run(struct query *q)
{
	static enum query_state (*const steps[])(struct query *) = {
		[QUERY_AIM] = aim,    [QUERY_PICK] = pick,	 [QUERY_ASK] = ask,
		[QUERY_WAIT] = NULL,  [QUERY_LINGER] = NULL,	 [QUERY_JUDGE] = judge,
		[QUERY_RENEW] = NULL, [QUERY_RENEWED] = renewed, [QUERY_GIVE_UP] = give_up,
		[QUERY_DONE] = NULL,
	};

	q->stepping = true;
	while (steps[q->state])
		q->state = steps[q->state](q);
	q->stepping = false;
	query_settle(q);
}
