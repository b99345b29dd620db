/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is a reply worth? Decided by signatures, zones and times alone, whoever
 * sent it. The rules:
 *
 * 1. Each delegation of the chain is the child of the one before it (the first:
 *    of the zone for which the server was asked), leads towards the question,
 *    and is believed by the reference. So referrals get strictly more specific,
 *    and stay inside the range of who refers.
 * 2. A referral ends deeper than the zone asked.
 * 3. A statement is about this very question, valid now, and signed by the
 *    closest zone to the question that we know of. Who delegated a network away
 *    has nothing to say of it any more, nor has a sibling. The VNID that a name
 *    leads to, and that of the network whose policy decides, are the zone's own.
 *    The name of a service is of the zone itself, and so is the id of an endpoint whose place is told.
 * 4. Only the denial of a delegation comes from above: it stands unless we know
 *    a delegation that its zone has made since.
 */
#ifndef DPS_JUDGE_H
#define DPS_JUDGE_H

#include "dps/cache.h"
#include "dps/reference.h"
#include "dps/reply.h"

enum judgement {
	JUDGE_ANSWER,	/* the statement is to be believed */
	JUDGE_REFERRAL, /* the reference leads closer now */
	JUDGE_ROOT,	/* a root zone; it was not looked into */
	JUDGE_BEHIND,	/* believable, but below the revision that is wanted; or it says so itself */
	JUDGE_KEY,	/* signed by a key that we don't know to be `zone`'s: ours may be old */
	JUDGE_LAME,	/* the server is not what it is listed as */
	JUDGE_LIE,	/* against the rules above */
	JUDGE_FAILED,	/* it could not find out, or the question was there already */
	JUDGE_OVER, /* the delegation by which the server was asked has ended since: nothing is said of it */
};

struct judged {
	enum judgement judgement;
	struct statement statement; /* of JUDGE_ANSWER, and of JUDGE_BEHIND where it is believed */
	bool believed;
	char zone[DOMAIN_ROOM]; /* of JUDGE_KEY */
	bool reached;		/* the chain had the delegation of the domain that was asked for */
	char why[128];		/* for people; "": nothing to say */
};

/* judge_reply() - zone: for which the server was asked. Delegations that are believed are learnt, in any case. */
void judge_reply(struct reference *ref, const struct ask *ask, const char *zone, const struct reply *reply,
		 int64_t now, struct judged *out);

/* judge_still() - is what the cache holds for this question still its zone's word today? */
bool judge_still(struct reference *ref, const struct ask *ask, const struct cached *entry, int64_t now);

const char *judgement_name(enum judgement judgement);

#endif
