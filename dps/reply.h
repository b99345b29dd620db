/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server replies. A referral is an object of its own: a chain of
 * delegations, each the child of the one before, that begins below the zone
 * for which the server was asked and leads towards the question. An answer
 * carries such a chain too when it is another zone's. JSON:
 *
 *   {"status": "answer", "chain": [SIGNED, ...], "statement": SIGNED}
 *   {"status": "referral", "chain": [SIGNED, ...]}
 *   {"status": "root", "root": SIGNED}
 *   {"status": "behind" | "not_mine" | "failed" | "loop", "reason": "..."}
 *
 * An answer's statement may well be a negative one (lib/statement.h). The
 * last four are nobody's signed word: they make the asker try elsewhere and
 * are never remembered as an answer.
 */
#ifndef DPS_REPLY_H
#define DPS_REPLY_H

#include "lib/domain.h"
#include "lib/signed.h"

#define REPLY_CHAIN_MAX DOMAIN_DEPTH_MAX
#define REPLY_REASON_ROOM 128
#define ROOT_ZONE_BODY_MAX ((size_t)16 << 20) /* some 15,000 delegations */

enum reply_status {
	REPLY_ANSWER,
	REPLY_REFERRAL,
	REPLY_ROOT,
	REPLY_BEHIND,	/* it is at an older revision than the question wants */
	REPLY_NOT_MINE, /* it is not responsible, and knows nobody who is nearer */
	REPLY_FAILED,	/* it could not find out */
	REPLY_LOOP,	/* it is in the question's path already */
	REPLY_STATUSES
};

/* The owner frees with reply_free(). A zeroed one is an answer without a statement, which nobody believes. */
struct reply {
	enum reply_status status;
	struct signed_doc doc; /* the statement, or the root zone */
	struct signed_doc chain[REPLY_CHAIN_MAX];
	size_t n_chain;
	char reason[REPLY_REASON_ROOM]; /* for people; "": none */
};

void reply_free(struct reply *reply);

/* reply_add() - a copy at the chain's end; what doesn't fit any more is left out. */
void reply_add(struct reply *reply, const struct signed_doc *doc);

/* reply_say() - a reply of only a status and a sentence. */
void reply_say(struct reply *reply, enum reply_status status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

const char *reply_status_name(enum reply_status status);

cJSON *reply_json(const struct reply *reply); /* the caller's */

/* reply_parse() - 0, or -EINVAL with *err and *out empty. */
int reply_parse(const cJSON *json, struct reply *out, struct json_error *err);

#endif
