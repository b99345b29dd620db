// SPDX-License-Identifier: Apache-2.0
#include "dps/judge.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
	[JUDGE_ANSWER] = "answer", [JUDGE_REFERRAL] = "referral", [JUDGE_ROOT] = "root",
	[JUDGE_BEHIND] = "behind", [JUDGE_KEY] = "unknown key",	  [JUDGE_LAME] = "lame",
	[JUDGE_LIE] = "lie",	   [JUDGE_FAILED] = "failed",	  [JUDGE_OVER] = "over",
};

const char *judgement_name(enum judgement judgement)
{
	return names[judgement];
}

static enum judgement say(struct judged *out, enum judgement judgement, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static enum judgement say(struct judged *out, enum judgement judgement, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out->why, sizeof(out->why), fmt, ap);
	va_end(ap);
	return judgement;
}

/* The chain */

static bool leads_toward(const struct ask *ask, const struct delegation *d)
{
	char domain[DOMAIN_ROOM];

	if (ask_domain(ask, domain))
		return domain_within(domain, d->domain);
	return ranges_has(&d->ranges, ask->vnid);
}

static enum judgement judge_link(struct reference *ref, const struct ask *ask, const char *above,
				 const struct signed_doc *doc, int64_t now, struct delegation *d,
				 struct judged *out)
{
	struct json_error err = { 0 };
	enum learned learned;

	if (delegation_parse(doc->body, doc->len, d, &err))
		return say(out, JUDGE_LIE, "a delegation: %.90s", err.text);
	if (!domain_is_child(d->domain, above) || !leads_toward(ask, d))
		return say(out, JUDGE_LIE, "refers to %.40s, which isn't closer", d->domain);
	learned = reference_learn(ref, doc, now, NULL);
	if (learned <= LEARN_OLD)
		return JUDGE_ANSWER;
	if (learned == LEARN_KEY)
		strcpy(out->zone, above);
	return say(out, learned == LEARN_KEY ? JUDGE_KEY : JUDGE_LIE, "delegation of %.40s: %s", d->domain,
		   reference_learned_text(learned));
}

/* JUDGE_ANSWER: no fault found. */
static enum judgement judge_chain(struct reference *ref, const struct ask *ask, const char *zone,
				  const struct reply *reply, int64_t now, struct judged *out)
{
	enum judgement rc = JUDGE_ANSWER;
	struct delegation d;
	char at[DOMAIN_ROOM];

	strcpy(at, zone);
	for (size_t i = 0; rc == JUDGE_ANSWER && i < reply->n_chain; i++) {
		rc = judge_link(ref, ask, at, &reply->chain[i], now, &d, out);
		strcpy(at, d.domain);
	}
	out->reached = rc == JUDGE_ANSWER && reply->n_chain && ask->kind == ASK_ZONE &&
		       !strcmp(at, ask->name);
	return rc;
}

static enum judgement judge_referral(struct reference *ref, const struct ask *ask, const char *zone,
				     const struct reply *reply, int64_t now, struct judged *out)
{
	const struct zone *closest = reference_closest(ref, ask, now);

	if (!reply->n_chain || !closest || !domain_within(closest->d.domain, zone) ||
	    !strcmp(closest->d.domain, zone))
		return say(out, JUDGE_LIE, "a referral that leads nowhere");
	return JUDGE_REFERRAL;
}

/* The statement */

/* What a name leads to, and the network whose policy decides, must be the zone's own. */
static bool vnid_is_of(struct reference *ref, uint32_t vnid, const struct zone *zone, int64_t now)
{
	return reference_closest_vnid(ref, vnid, now) == zone;
}

/* The zone that may make this statement, if the one that made it is such; else NULL. */
static struct zone *speaker(struct reference *ref, const struct ask *ask, const struct statement *s,
			    int64_t now)
{
	struct zone *closest = reference_closest(ref, ask, now), *zone;

	if (!closest || !strcmp(closest->d.domain, s->zone))
		return closest;
	if (s->kind != STATEMENT_NO_DELEGATION || !domain_within(closest->d.domain, s->zone))
		return NULL;
	zone = reference_get(ref, s->zone, now);
	return zone && (!ask_by_vnid(ask) || ranges_has(&zone->d.ranges, ask->vnid)) ? zone : NULL;
}

static enum judgement judge_content(struct reference *ref, const struct ask *ask, const struct zone *zone,
				    struct judged *out, int64_t now)
{
	const struct statement *s = &out->statement;

	if (s->kind == STATEMENT_NAME && !vnid_is_of(ref, s->vnid, zone, now))
		return say(out, JUDGE_LIE, "VNID %u is not %.60s's", s->vnid, s->zone);
	if (s->kind == STATEMENT_POLICY && s->decided_by && !vnid_is_of(ref, s->decided_by, zone, now))
		return say(out, JUDGE_LIE, "'%.60s' decides for VNID %u", s->zone, s->decided_by);
	if (s->kind == STATEMENT_SERVICE && !domain_has(s->zone, s->name))
		return say(out, JUDGE_LIE, "%.60s is no service of '%.40s'", s->name, s->zone);
	if (s->kind == STATEMENT_PLACE && !vnid_is_of(ref, s->source / IDS_PER_VNID, zone, now))
		return say(out, JUDGE_LIE, "endpoint %u is not %.60s's", s->source, s->zone);
	if (s->kind == STATEMENT_NO_DELEGATION && !reference_withdraw(ref, s->zone, ask, s->sequence))
		return say(out, JUDGE_BEHIND, "it denies a delegation that is newer than this word");
	out->believed = true;
	if (s->sequence < ask->min_revision && s->kind != STATEMENT_NO_NETWORK &&
	    s->kind != STATEMENT_NO_DELEGATION)
		return say(out, JUDGE_BEHIND, "at revision %llu", (unsigned long long)s->sequence);
	return JUDGE_ANSWER;
}

static enum judgement judge_statement(struct reference *ref, const struct ask *ask,
				      const struct signed_doc *doc, int64_t now, struct judged *out)
{
	struct statement *s = &out->statement;
	struct json_error err = { 0 };
	const struct zone *zone;

	if (!doc->body || statement_parse(doc->body, doc->len, s, &err))
		return say(out, JUDGE_LIE, "a statement: %.90s", err.text);
	if (!ask_answered(ask, s))
		return say(out, JUDGE_LIE, "it answers another question");
	if (!statement_valid(s, now))
		return say(out, JUDGE_LIE, "it is not of this time");
	zone = speaker(ref, ask, s, now);
	if (!zone)
		return say(out, JUDGE_LIE, "'%.60s' has nothing to say about it", s->zone);
	if (!signed_named(doc, zone->d.keys, zone->d.n_keys)) {
		strcpy(out->zone, s->zone);
		return say(out, JUDGE_KEY, "signed by key %s, which '%.60s' hasn't", doc->key, s->zone);
	}
	if (!signed_by(doc, SIGNED_STATEMENT, zone->d.keys, zone->d.n_keys))
		return say(out, JUDGE_LIE, "its signature is wrong");
	return judge_content(ref, ask, zone, out, now);
}

void judge_reply(struct reference *ref, const struct ask *ask, const char *zone, const struct reply *reply,
		 int64_t now, struct judged *out)
{
	enum judgement rc;

	memset(out, 0, sizeof(*out));
	snprintf(out->why, sizeof(out->why), "%.100s", reply->reason);
	switch (reply->status) {
	case REPLY_ANSWER:
	case REPLY_REFERRAL:
		if (!reference_get(ref, zone, now)) {
			out->judgement = say(out, JUDGE_OVER, "the delegation of '%.60s' has ended", zone);
			return;
		}
		rc = judge_chain(ref, ask, zone, reply, now, out);
		if (rc == JUDGE_ANSWER)
			rc = reply->status == REPLY_ANSWER ? judge_statement(ref, ask, &reply->doc, now, out)
							   : judge_referral(ref, ask, zone, reply, now, out);
		out->judgement = rc;
		return;
	case REPLY_ROOT:
		out->judgement = ask->kind == ASK_ROOT ? JUDGE_ROOT : JUDGE_LIE;
		return;
	case REPLY_BEHIND:
		out->judgement = JUDGE_BEHIND;
		return;
	case REPLY_NOT_MINE:
		out->judgement = JUDGE_LAME;
		return;
	default:
		out->judgement = JUDGE_FAILED;
	}
}

bool judge_still(struct reference *ref, const struct ask *ask, const struct cached *entry, int64_t now)
{
	const struct zone *zone = reference_closest(ref, ask, now);

	if (!zone || strcmp(zone->d.domain, entry->zone) != 0 ||
	    !signed_named(&entry->doc, zone->d.keys, zone->d.n_keys))
		return false;
	return !entry->vnid || vnid_is_of(ref, entry->vnid, zone, now);
}
