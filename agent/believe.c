// SPDX-License-Identifier: Apache-2.0
#include "believe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "chains.h"
#include "dps.h"
#include "install.h"
#include "lib/log.h"
#include "lib/translation.h"
#include "ports.h"
#include "watch.h"

#define HALVES_MAX 2
#define LOG_INTERVAL_NS SECOND_NS

struct believe {
	struct agent *agent;
	struct translation said; /* 10 kB: not on the stack */
	struct sign_memo memo;
	uint64_t logged;
	struct believe_counters counters;
};

const struct believe_counters *believe_counters(struct believe *b)
{
	b->counters.again = b->memo.again;
	return &b->counters;
}

struct trust_question believe_question(const struct agent *a, const struct dove_cache_key *key)
{
	return (struct trust_question){ .source = key->source,
					.vnid = ports_vnid(a->ports, key->source),
					.destination = external_of(&key->dst),
					.address = from_dove_ip(&key->dst),
					.proto = key->proto,
					.from_port = key->from_port,
					.to_port = key->to_port };
}

/* ---- nothing passes ---- */

static bool is_nobody(const cJSON *answer)
{
	const char *verdict = cJSON_GetStringValue(json_get(answer, "verdict"));

	return verdict && (!strcmp(verdict, "no_endpoint") || !strcmp(verdict, "no_source")) &&
	       !json_get(answer, "signed");
}

/* As the service says it, and no word more. */
static cJSON *closed(uint32_t vnid, uint64_t sequence, uint64_t lifetime)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddNumberToObject(out, "vnid", vnid);
	cJSON_AddStringToObject(out, "verdict", "no_endpoint");
	cJSON_AddNumberToObject(out, "policy", 0);
	cJSON_AddNumberToObject(out, "sequence", (double)sequence);
	cJSON_AddNumberToObject(out, "lifetime", (double)lifetime);
	return out;
}

static cJSON *nobody(const cJSON *answer)
{
	uint64_t vnid = 0, sequence = 0, lifetime = 0;

	json_whole(json_get(answer, "vnid"), 0, 0xffffff, &vnid);
	json_whole(json_get(answer, "sequence"), 0, JSON_INT_MAX, &sequence);
	json_whole(json_get(answer, "lifetime"), 0, REFUSAL_LIFETIME_S, &lifetime);
	return closed(vnid, sequence, lifetime);
}

/* Of today: a change of the network is a reason to ask again. */
static cJSON *refusal(const struct believe *b, const struct trust_question *q)
{
	return closed(q->vnid ? q->vnid : 1, watch_revision(b->agent->watch, q->vnid), REFUSAL_LIFETIME_S);
}

static const char *reason_of(int rc)
{
	switch (-rc) {
	case EKEYREJECTED:
	case ENOKEY:
		return "it is not signed by a key that is believed";
	case EACCES:
	case ERANGE:
		return "its signer does not speak for that network";
	case EXDEV:
		return "an authority's half is missing";
	case EBADMSG:
		return "it is about something else";
	case ESTALE:
		return "it is older than was asked for";
	case ETIME:
		return "it is over";
	case EAGAIN:
		return "it is of the future";
	default:
		return strerror(-rc);
	}
}

static int refuse(struct believe *b, const struct trust_question *q, int rc, cJSON **out)
{
	uint64_t now = clock_now();
	char text[IP_TEXT];

	b->counters.refused++;
	if (!b->logged || now - b->logged > LOG_INTERVAL_NS)
		log_warn("an answer of the service for endpoint %u to %s is not believed: %s", q->source,
			 ip_format(&q->address, text), reason_of(rc));
	b->logged = now;
	*out = refusal(b, q);
	return -EPERM;
}

/* ---- what is signed ---- */

/*
 * What only whoever answers can say: for how much less it holds, and how old a packet may
 * be that means the same path, which at a hop saves packets. Neither lets anything pass.
 */
static void add_details(cJSON *out, const cJSON *answer, const struct translation *t)
{
	cJSON *lifetime = cJSON_GetObjectItemCaseSensitive(out, "lifetime");
	uint64_t n = 0;

	if (json_whole(json_get(answer, "lifetime"), 0, (uint64_t)lifetime->valuedouble, &n))
		cJSON_SetNumberValue(lifetime, (double)n);
	if (json_whole(json_get(answer, "sequence"), t->sequence, t->sequence, &n) &&
	    json_whole(json_get(answer, "floor"), 0, t->sequence, &n))
		cJSON_AddNumberToObject(out, "floor", (double)n);
}

static int prove(struct believe *b, const struct trust_question *q, const cJSON *list, int64_t now)
{
	struct translation_doc docs[HALVES_MAX] = {};
	struct json_error err = {};
	const cJSON *one;
	int rc = cJSON_GetArraySize(list) <= HALVES_MAX ? 0 : -EINVAL, n = 0;

	cJSON_ArrayForEach (one, list) {
		if (rc)
			break;
		rc = translation_doc_parse(one, &docs[n], &err);
		docs[n++].memo = &b->memo;
	}
	rc = rc ? rc : trust_answer(b->agent->config.trust, q, docs, n, now, &b->said);
	while (n > 0)
		translation_doc_free(&docs[--n]);
	return rc;
}

int believe(struct believe *b, const struct trust_question *q, const cJSON *answer, cJSON **out)
{
	int64_t now = time(NULL);
	int rc;

	*out = NULL;
	if (!b->agent->config.prove)
		return 0;
	if (is_nobody(answer)) {
		b->counters.nobody++;
		*out = nobody(answer);
		return 0;
	}
	rc = prove(b, q, json_get(answer, "signed"), now);
	if (rc == -ENOKEY && chains_want(b->agent->chains, b->said.zone)) {
		b->counters.waited++;
		return -EAGAIN;
	}
	if (rc)
		return refuse(b, q, rc, out);
	b->counters.proven++;
	*out = translation_answer(&b->said, now);
	add_details(*out, answer, &b->said);
	return 0;
}

static int prove_statement(struct believe *b, const struct signed_doc *doc, struct statement *out)
{
	struct json_error err = {};
	int64_t now = time(NULL);
	int rc;

	if (!b->agent->config.prove) {
		rc = statement_parse(doc->body, doc->len, out, &err);
		return rc || statement_valid(out, now) ? rc : -ETIME;
	}
	rc = trust_statement(b->agent->config.trust, doc, now, out);
	if (rc == -ENOKEY && chains_want(b->agent->chains, out->zone)) {
		b->counters.waited++;
		return -EAGAIN;
	}
	if (rc) {
		b->counters.refused++;
		log_warn("a statement of zone '%.60s' is not believed: %s", out->zone, reason_of(rc));
	} else {
		b->counters.proven++;
	}
	return rc;
}

int believe_statement(struct believe *b, const struct dps_reply *r, struct statement *out, cJSON **answer)
{
	struct signed_doc doc = {};
	struct json_error err = {};
	cJSON *body;
	int rc = dps_ok(r) ? signed_parse(json_get(r->json, "statement"), SIGNED_BODY_MAX, &doc, &err)
			   : -ENOENT;

	memset(out, 0, sizeof(*out));
	rc = rc ? rc : prove_statement(b, &doc, out);
	body = rc ? NULL : json_parse(doc.body, doc.len, &err);
	signed_free(&doc);
	if (!rc)
		*answer = cJSON_DetachItemFromObject(body, "answer");
	cJSON_Delete(body);
	return rc;
}

int believe_open(struct agent *a, struct believe **out, struct error *err)
{
	struct believe *b = calloc(1, sizeof(*b));

	if (!b)
		return error_set(err, -ENOMEM, "out of memory");
	b->agent = a;
	*out = b;
	return 0;
}

void believe_close(struct believe *b)
{
	free(b);
}
