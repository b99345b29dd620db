// SPDX-License-Identifier: Apache-2.0
#include "dps/recurse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/kept.h"
#include "lib/cleanup.h"
#include "lib/halves.h"

#define FAILED_SECONDS 1       /* that a failure is to be taken for one: the cache knows for how long it is */
#define STALE_SECONDS 10       /* that a stale answer is given out for: who can be asked again soon, is */
#define ANSWER_SECONDS_LEAST 1 /* of one that is just over when it is passed on */

enum step { STEP_SOURCE, STEP_DESTINATION, STEP_FIRST, STEP_SECOND };

struct recurse {
	struct hierarchy *h;
	struct recurse_key key;
	struct errand errand;
	enum step step;
	struct ask ask;
	struct waiter *waiter;
	cJSON *first;	       /* the source's half: the statement's answer; NULL: it was not read */
	uint64_t first_number; /* of its entry in the cache; 0: it has none */
	uint32_t lifetime;     /* that the halves leave */
	bool reading;	       /* what is kept has not been enough: both halves are read */
	void (*done)(char *answer, void *arg);
	void *arg;
	bool here;     /* nobody else is asked */
	bool starting; /* still inside recurse_start() */
	bool over;
};

static void free_recurse(struct recurse *r)
{
	cJSON_Delete(r->first);
	free(r);
}

static void finish(struct recurse *r, char *answer)
{
	r->over = true;
	r->waiter = NULL;
	r->done(answer, r->arg);
	if (!r->starting)
		free_recurse(r);
}

static void finish_json(struct recurse *r, cJSON *answer)
{
	char *text = cJSON_PrintUnformatted(answer);

	cJSON_Delete(answer);
	finish(r, text);
}

/* ---- answers of our own making: nothing passes ---- */

static cJSON *closed_answer(const struct recurse *r, const char *verdict, uint32_t lifetime)
{
	cJSON *out = cJSON_CreateObject();
	char text[IP_TEXT];

	cJSON_AddNumberToObject(out, "vnid", r->key.vnid);
	cJSON_AddNumberToObject(out, "source", r->key.source);
	if (r->key.by_address)
		cJSON_AddStringToObject(out, "address", ip_format(&r->key.address, text));
	cJSON_AddStringToObject(out, "verdict", verdict);
	cJSON_AddNumberToObject(out, "policy", 0);
	cJSON_AddStringToObject(out, "policy_name", "");
	cJSON_AddArrayToObject(out, "path");
	cJSON_AddObjectToObject(out, "qos");
	cJSON_AddArrayToObject(out, "scope");
	cJSON_AddNumberToObject(out, "sequence", 0);
	cJSON_AddNumberToObject(out, "lifetime", lifetime);
	return out;
}

/* Nobody could tell. To the packet it is as if there were no destination; to people it is said. */
static void fail(struct recurse *r, const char *reason, const char *text)
{
	cJSON *out = closed_answer(r, "no_endpoint", FAILED_SECONDS);

	cJSON_AddStringToObject(out, "failed", reason);
	cJSON_AddStringToObject(out, "error", text);
	finish_json(r, out);
}

/* There is none: of the kind that the step was about. */
static void none(struct recurse *r, enum result_kind kind)
{
	bool source = r->step == STEP_SOURCE || r->step == STEP_FIRST;
	cJSON *out = closed_answer(r, source ? "no_source" : "no_endpoint", CACHE_NO_VM_SECONDS);

	cJSON_AddStringToObject(out, "reason", result_kind_name(kind));
	finish_json(r, out);
}

/* ---- what a statement says ---- */

static cJSON *body_of(const struct query_result *result)
{
	struct json_error err = { 0 };

	return result->doc && result->doc->body ? json_parse(result->doc->body, result->doc->len, &err)
						: NULL;
}

static uint32_t lifetime_of(const struct recurse *r, const struct query_result *result)
{
	const struct query_env *env = &r->h->node.r.env;
	int64_t left = (result->stale ? result->expires : result->fresh) - env->now(env->arg);

	if (result->stale && (left > STALE_SECONDS || left <= 0)) /* a refusal may be served beyond its end */
		left = STALE_SECONDS;
	return left < ANSWER_SECONDS_LEAST ? ANSWER_SECONDS_LEAST : (uint32_t)left;
}

static bool half_of(const cJSON *answer, struct translation *out)
{
	const cJSON *one = cJSON_GetArrayItem(json_get(answer, "signed"), 0);
	struct translation_doc doc;
	struct json_error err = { 0 };
	int rc;

	if (!one || translation_doc_parse(one, &doc, &err))
		return false;
	rc = translation_decode(doc.body, doc.len, out); /* its signature is inside the statement's */
	translation_doc_free(&doc);
	return !rc;
}

/* ---- the packet that was asked for, where an answer has rules for all ---- */

static void take_field(cJSON *answer, const cJSON *rule, const char *field)
{
	const cJSON *value = json_get(rule, field);

	cJSON_DeleteItemFromObject(answer, field);
	if (value)
		cJSON_AddItemToObject(answer, field, cJSON_Duplicate(value, true));
}

/* A kept answer's own verdict is of the packet that it was first asked for. */
static void fit_rule(cJSON *answer, int i)
{
	static const char *const fields[] = {
		"verdict", "reject", "reply", "replies", "policy", "path", "qos"
	};
	const cJSON *rule = cJSON_GetArrayItem(json_get(answer, "rules"), i),
		    *policy = json_get(answer, "policy");
	double before = policy ? policy->valuedouble : 0;

	for (size_t f = 0; f < ARRAY_SIZE(fields); f++)
		take_field(answer, rule, fields[f]);
	policy = json_get(answer, "policy");
	if (policy && policy->valuedouble != before) {
		cJSON_DeleteItemFromObject(answer, "policy_name");
		cJSON_AddStringToObject(answer, "policy_name", ""); /* rules don't name them */
	}
}

static void set_lifetime(cJSON *answer, uint32_t lifetime)
{
	cJSON_DeleteItemFromObject(answer, "lifetime");
	cJSON_AddNumberToObject(answer, "lifetime", lifetime);
}

static void add_signed(const cJSON *answer, cJSON *list)
{
	const cJSON *one;

	cJSON_ArrayForEach (one, json_get(answer, "signed"))
		cJSON_AddItemToArray(list, cJSON_Duplicate(one, true));
}

/* The lifetime is last, and said anew whenever the rest is said again. */
static void keep(struct recurse *r, const struct cached *entry, uint64_t first, const cJSON *answer, int rule,
		 const char *text)
{
	const char *end = strrchr(text, ':');

	cache_keep(&r->h->node.r.cache, entry, first, answer, rule,
		   mem_printf("%.*s", (int)(end + 1 - text), text));
}

/* What is ready: for this packet, for as long as its parts live. entry: where it is kept, or NULL. */
static void give(struct recurse *r, cJSON *answer, const struct cached *entry, uint64_t first)
{
	int rule = kept_rule(answer, &r->key.packet);
	char *text;

	if (rule >= 0)
		fit_rule(answer, rule);
	set_lifetime(answer, r->lifetime);
	text = cJSON_PrintUnformatted(answer);
	if (entry && text)
		keep(r, entry, first, answer, rule, text);
	cJSON_Delete(answer);
	finish(r, text);
}

/* The destination's authority knows nobody there: there is nothing to sign. */
static bool is_nobody(const cJSON *answer)
{
	const char *verdict = cJSON_GetStringValue(json_get(answer, "verdict"));

	return verdict && !strcmp(verdict, "no_endpoint");
}

static void ask_next(struct recurse *r);

/* Nobody has read the source's half, as what it leads to was kept; but now it is needed. */
static void read_both(struct recurse *r)
{
	r->reading = true;
	r->step = STEP_FIRST;
	ask_next(r);
}

static void join_halves(struct recurse *r, const cJSON *second, const struct cached *entry)
{
	_free_ struct translation *t = mem_alloc(3 * sizeof(*t));
	cJSON *out, *list;

	if (is_nobody(second)) {
		none(r, RESULT_NO_VM);
		return;
	}
	if (!r->first) {
		read_both(r);
		return;
	}
	if (!half_of(r->first, &t[0]) || !half_of(second, &t[1])) {
		fail(r, "UNSIGNED", "an authority's half is not signed");
		return;
	}
	halves_join(&t[0], &t[1], &t[2]);
	out = translation_answer(&t[2], t[2].issued);
	list = cJSON_CreateArray();
	add_signed(r->first, list);
	add_signed(second, list);
	cJSON_AddItemToObject(out, "signed", list);
	give(r, out, r->first_number ? entry : NULL, r->first_number);
}

/* ---- steps ---- */

/* Does every packet stay here already? Then nobody need be asked what may enter there. */
static bool is_refused(const cJSON *answer)
{
	const char *verdict = cJSON_GetStringValue(json_get(answer, "verdict"));

	return verdict && strcmp(verdict, "allow") != 0 && !cJSON_IsTrue(json_get(answer, "replies")) &&
	       !json_get(answer, "rules");
}

/* The revision that an answer of this network must have. */
static uint64_t least_of(const struct recurse *r, uint32_t vnid, uint64_t otherwise)
{
	return vnid == r->key.least_vnid && r->key.least_revision > otherwise ? r->key.least_revision
									      : otherwise;
}

static void shorten(struct recurse *r, uint32_t lifetime)
{
	if (lifetime < r->lifetime)
		r->lifetime = lifetime;
}

static void ask_second(struct recurse *r, uint32_t beyond, const struct cached *first)
{
	r->first_number = first ? first->number : 0;
	r->ask.from_vnid = r->ask.vnid;
	r->ask.vnid = beyond;
	r->ask.min_revision = least_of(r, beyond, 0);
	r->step = STEP_SECOND;
	ask_next(r);
}

static void take_policy(struct recurse *r, const struct query_result *result, cJSON *body)
{
	cJSON *answer = cJSON_DetachItemFromObject(body, "answer");
	const cJSON *beyond = json_get(body, "beyond");

	shorten(r, lifetime_of(r, result));
	if (r->step == STEP_FIRST && cJSON_IsNumber(beyond) && !is_refused(answer)) {
		r->first = answer;
		if (result->entry)
			cache_keep_beyond(&r->h->node.r.cache, result->entry, (uint32_t)beyond->valuedouble);
		ask_second(r, (uint32_t)beyond->valuedouble, result->entry);
		return;
	}
	if (r->step == STEP_SECOND) {
		join_halves(r, answer, result->entry);
		cJSON_Delete(answer);
		return;
	}
	give(r, answer, result->entry, 0);
}

/* What was said of these very entries before, where it was. False: they have to be read. */
static bool say_again(struct recurse *r, const struct query_result *result)
{
	const struct kept *kept = result->entry ? result->entry->kept : NULL;
	const struct kept_text *text;

	if (!kept || r->reading || (r->step != STEP_FIRST && r->step != STEP_SECOND))
		return false;
	if (r->step == STEP_FIRST && kept->beyond) {
		shorten(r, lifetime_of(r, result));
		ask_second(r, kept->beyond, result->entry);
		return true;
	}
	text = kept_find(kept, r->first_number, &r->key.packet);
	if (!text)
		return false;
	shorten(r, lifetime_of(r, result));
	r->h->node.r.cache.said_again++;
	finish(r, kept_say(text, r->lifetime));
	return true;
}

static bool read_name(const cJSON *body, uint32_t *vnid, uint32_t *id)
{
	uint64_t n = 0, m = 0;
	const cJSON *answer = json_get(body, "answer");

	if (!json_whole(json_get(body, "vnid"), 1, VNID_LAST, &n) ||
	    !json_whole(json_get(answer, "id"), 1, UINT32_MAX, &m))
		return false;
	*vnid = n;
	*id = m;
	return true;
}

/* Of another network its address means it: by id only its own authority knows it. */
static bool take_destination(struct recurse *r, const cJSON *body)
{
	const cJSON *first = cJSON_GetArrayItem(json_get(json_get(body, "answer"), "addresses"), 0);
	const char *address = cJSON_GetStringValue(first);
	uint32_t vnid, id;

	if (!read_name(body, &vnid, &id))
		return false;
	r->key.destination = vnid == r->key.vnid || !address ? id : 0;
	r->key.by_address = !r->key.destination;
	return r->key.destination || !ip_parse(address, &r->key.address);
}

static void take_name(struct recurse *r, const cJSON *body)
{
	bool good = r->step == STEP_SOURCE ? read_name(body, &r->key.vnid, &r->key.source)
					   : take_destination(r, body);

	if (!good) {
		fail(r, "UNUSABLE", "a name leads to nothing that sends or receives");
		return;
	}
	r->step++;
	ask_next(r);
}

static void on_result(const struct query_result *result, void *arg)
{
	struct recurse *r = arg;
	cJSON *body;

	r->waiter = NULL;
	if (say_again(r, result))
		return;
	switch (result->kind) {
	case RESULT_FAILED:
		fail(r, query_reason_name(result->reason), query_reason_text(result->reason));
		return;
	case RESULT_NO_NETWORK:
	case RESULT_NO_DELEGATION:
		none(r, result->kind);
		return;
	default:
		break;
	}
	body = body_of(result);
	if (!body)
		fail(r, "UNUSABLE", "what was answered cannot be read");
	else if (r->step == STEP_SOURCE || r->step == STEP_DESTINATION)
		take_name(r, body);
	else
		take_policy(r, result, body);
	cJSON_Delete(body);
}

static void ask_name(struct recurse *r, const char *name)
{
	r->ask = (struct ask){ .kind = ASK_NAME };
	snprintf(r->ask.name, sizeof(r->ask.name), "%s", name);
}

static void ask_policy(struct recurse *r)
{
	const struct recurse_key *key = &r->key;

	r->ask = (struct ask){ .kind = ASK_POLICY,
			       .vnid = key->vnid,
			       .source = key->source,
			       .packet = key->packet,
			       .min_revision = least_of(r, key->vnid, key->min_revision) };
	r->ask.to.id = key->by_address ? 0 : key->destination;
	r->ask.to.address = key->address;
}

static void ask_next(struct recurse *r)
{
	struct waiter *waiter;

	if (r->step == STEP_SOURCE && !*r->key.from)
		r->step = STEP_DESTINATION;
	if (r->step == STEP_DESTINATION && !*r->key.to)
		r->step = STEP_FIRST;
	if (r->step == STEP_SOURCE)
		ask_name(r, r->key.from);
	else if (r->step == STEP_DESTINATION)
		ask_name(r, r->key.to);
	else if (r->step == STEP_FIRST)
		ask_policy(r);
	if (r->here) { /* where it does not: recurse_here() has nothing to give */
		query_here(&r->h->node.r, &r->ask, on_result, r);
		return;
	}
	waiter = query_ask(&r->h->node.r, &r->ask, &r->errand, on_result, r);
	if (waiter) /* else it is answered already, and r may be gone */
		r->waiter = waiter;
}

static struct recurse *new_recurse(struct hierarchy *h, const struct recurse_key *key,
				   void (*done)(char *answer, void *arg), void *arg)
{
	struct recurse *r = mem_alloc(sizeof(*r));

	r->h = h;
	r->key = *key;
	r->done = done;
	r->arg = arg;
	r->lifetime = LIFETIME_MAX;
	return r;
}

static void on_here(char *answer, void *arg)
{
	*(char **)arg = answer;
}

char *recurse_here(struct hierarchy *h, const struct recurse_key *key)
{
	char *answer = NULL;
	struct recurse *r = new_recurse(h, key, on_here, &answer);

	r->here = r->starting = true;
	ask_next(r);
	free_recurse(r);
	return answer;
}

struct recurse *recurse_start(struct hierarchy *h, const struct recurse_key *key, const char *id,
			      void (*done)(char *answer, void *arg), void *arg)
{
	struct recurse *r = new_recurse(h, key, done, arg);

	r->errand.recursive = true;
	snprintf(r->errand.id, sizeof(r->errand.id), "%s", id);
	r->starting = true;
	ask_next(r);
	r->starting = false;
	if (!r->over)
		return r;
	free_recurse(r);
	return NULL;
}

void recurse_cancel(struct recurse *r)
{
	if (r->waiter)
		query_cancel(&r->h->node.r, r->waiter);
	free_recurse(r);
}
