/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents' questions that more than one authority may have to answer: a name
 * becomes an id, the source's authority says its half, the destination's the
 * other, and both are one ANSWER (docs/api.md). Through the node's resolver,
 * so from its cache where that knows; and what was made of that is kept beside
 * it (dps/kept.h), so that it is not read again.
 */
#ifndef DPS_RECURSE_H
#define DPS_RECURSE_H

#include "dps/hierarchy.h"

/* A question as an agent, or an administrator, puts it: by ids or by names. */
struct recurse_key {
	uint32_t source, vnid;	   /* vnid: the source's network; 0: unsaid */
	char from[FULL_NAME_ROOM]; /* full name; "": by id */
	uint32_t destination;	   /* id */
	char to[FULL_NAME_ROOM];
	bool by_address;
	struct ip_addr address;
	struct packet_fields packet;
	uint64_t min_revision; /* of the source's network */
	uint32_t least_vnid;   /* of this network, whichever side's, an answer is at least of that revision */
	uint64_t least_revision;
};

struct recurse;

/*
 * recurse_start() - done is called exactly once, maybe before this returns
 * (NULL then), with the ANSWER's text, which is done's. An answer that nobody could
 * give has "failed": it lets nothing pass, and lives for a second. id: of the
 * question, for logs. The call is good until then, or recurse_cancel().
 */
struct recurse *recurse_start(struct hierarchy *h, const struct recurse_key *key, const char *id,
			      void (*done)(char *answer, void *arg), void *arg);

/* recurse_here() - the same from what is here, the caller's; NULL: others would have to be asked. */
char *recurse_here(struct hierarchy *h, const struct recurse_key *key);
void recurse_cancel(struct recurse *r);

#endif
