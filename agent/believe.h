/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the service's answers are used. With "unproven": "refuse" those that
 * are proven by the keys of "trust" (trust.h), as their authorities have signed
 * them: what else stands in an answer is not looked at. So whoever hands answers
 * on, a local server for one, can hold them back, and make none up. That there is
 * no such endpoint nobody signs, and whoever is asked may say it.
 */
#ifndef DOVE_BELIEVE_H
#define DOVE_BELIEVE_H

#include "agent.h"
#include "trust.h"

struct dps_reply;

struct believe_counters {
	uint64_t proven;
	uint64_t again;	  /* signatures of these that were verified before */
	uint64_t nobody;  /* nothing signed: no such endpoint */
	uint64_t refused; /* not proven: nothing passes by them */
	uint64_t waited;  /* for a zone's chain; asked for again */
};

int believe_open(struct agent *a, struct believe **out, struct error *err);
void believe_close(struct believe *b);

/* believe_question() - what the key asks for, of the VM that it is from. */
struct trust_question believe_question(const struct agent *a, const struct dove_cache_key *key);

/*
 * believe() - what is to be made of an answer: 0 and *out, the caller's, by
 * which it is to be replaced; NULL: it is good as it is. -EPERM and *out, a refusal:
 * it is not proven. -EAGAIN: it may be, once a zone's chain has come; then
 * miss_proven() is called, and the question is to be asked again.
 */
int believe(struct believe *b, const struct trust_question *q, const cJSON *answer, cJSON **out);

/*
 * believe_statement() - the same of the reply of `POST /v1/statement`, on a service or a place: 0, *out, and
 * *answer, the caller's (NULL: there is none). Else, with nothing to be freed, -EAGAIN (its zone's chain is being
 * fetched: to be asked again), -ENOENT (there is none), or -errno.
 */
int believe_statement(struct believe *b, const struct dps_reply *r, struct statement *out, cJSON **answer);

const struct believe_counters *believe_counters(struct believe *b);

#endif
