/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a query goes. query_steps.c has one function for each state that does
 * something, and the loop; query.c has who waits and what they are told.
 *
 *        +--------------------------------------+
 *        v                                      | closer
 *       AIM --> PICK --> ASK --> WAIT --> JUDGE-+--> DONE
 *        ^      ^  |              ^ |      | |
 *        |      |  +-> LINGER     +-+      | | not usable
 *        |      +--------------------------|-+
 *   changed                                | unknown key
 *        +-- RENEWED <-- RENEW <-----------+   (or PICK finds nobody left)
 *                 |
 *                 +--> PICK, GIVE_UP
 */
#ifndef DPS_QUERY_STATE_H
#define DPS_QUERY_STATE_H

#include "dps/judge.h"
#include "dps/query.h"

enum query_state {
	QUERY_AIM,     /* which zone, of those that we can prove, is closest to the question? */
	QUERY_PICK,    /* which of its servers is to be asked next? */
	QUERY_ASK,     /* the question goes out, if the budget allows it */
	QUERY_WAIT,    /* a server has the question, and some time to reply */
	QUERY_LINGER,  /* nobody is left to be asked; who was too slow may still reply */
	QUERY_JUDGE,   /* a reply is here: what is it worth? */
	QUERY_RENEW,   /* the zone's keys or servers may be others by now: its parent is being asked */
	QUERY_RENEWED, /* the parent's word is here: has it changed anything? */
	QUERY_GIVE_UP, /* no answer: what is stale and may be served, else the reason */
	QUERY_DONE,    /* everybody was told */
};

/* A question that is, or was, out. */
struct attempt {
	struct server_address addr;
	char *zone;	  /* for which it was asked */
	uint64_t bit;	  /* its place in `tried` */
	uint64_t version; /* of the zone: `bit` means something while the query is aimed at it */
	uint64_t sent;	  /* ticks */
	bool open;	  /* a reply is still taken */
	bool forward;	  /* a parent was asked, to find the answer */
};

struct waiter {
	struct query *query;
	uint64_t serial;
	uint64_t min_revision;
	uint64_t deadline; /* ticks */
	query_done done;
	void *arg;
	struct waiter **handle; /* emptied when it is told; NULL: nobody looks */
	struct waiter *prev, *next;
};

struct query {
	struct timer timer; /* first, so that a timer leads to its query */
	struct resolver *r;
	char key[ASK_TEXT];
	uint64_t serial;
	struct ask ask; /* min_revision: the highest that a waiter wants */
	struct errand errand;
	enum query_state state;
	bool stepping; /* the loop runs: who changes the state from outside need not start it */
	struct waiter *waiters;
	size_t n_waiters;
	uint64_t started;  /* ticks */
	uint64_t deadline; /* ticks: of the most patient waiter */
	uint64_t earliest; /* and of the least */
	bool ahead;	   /* it is asked before anybody needs it: it goes on with nobody waiting */
	bool closed;	   /* nobody can join it any more */

	/* where it is being asked */
	char zone[DOMAIN_ROOM];
	uint64_t version;  /* of the zone, as it was aimed at */
	bool aimed;	   /* the two above are set */
	bool forward;	   /* at our parents instead */
	bool forward_over; /* they couldn't help */
	uint64_t tried;	   /* servers' addresses that were asked in this round */
	uint64_t spent;	   /* those that replied, and won't be asked again */
	unsigned int rounds;
	struct upstream_choice choice;

	struct attempt attempts[QUERY_UPSTREAM_MAX];
	unsigned int n_attempts, current;
	uint64_t patience;     /* ticks: when WAIT, or LINGER, is over */
	unsigned int budget;   /* questions that may be sent yet */
	unsigned int upstream; /* that were sent, by renewals too */
	unsigned int referrals, renewals;

	/* the reply that is being judged: of attempts[judged_attempt] */
	struct judged judged;
	const struct reply *reply;
	unsigned int judged_attempt;

	struct waiter *renewal; /* our place in the query that asks the parent */
	char renewing[DOMAIN_ROOM];
	uint64_t renewing_version;
	bool suspect; /* because of attempts[judged_attempt]'s reply */

	bool behind, unbelievable; /* why servers could not help */
	enum query_reason reason;
	UT_hash_handle hh_key, hh_serial;
};

/* query_steps.c */
void query_run(struct query *q);			/* until it waits or is done; q may be gone then */
void query_late(struct query *q);			/* WAIT's or LINGER's time is over */
void query_lost(struct query *q, unsigned int attempt); /* there will be no reply to it */
void query_judge(struct query *q, unsigned int attempt, const struct reply *reply);

/* query.c */

/* query_note() - to env.note, if somebody listens. */
void query_note(const struct query *q, const char *event, const char *zone, const struct server_address *addr,
		const char *detail);

/* query_start() - a query in its first state, not run yet. forced: as if nobody else could know the answer. */
struct query *query_start(struct resolver *r, const struct ask *ask, const struct errand *errand, bool forced,
			  unsigned int budget);
struct query *query_running(struct resolver *r, const struct ask *ask); /* NULL: none for this key */
struct waiter *query_join(struct query *q, uint64_t min_revision, uint64_t deadline, query_done done,
			  void *arg);

/* query_settle() - after the loop: sets its timer, or ends a query that is done. */
void query_settle(struct query *q);

/* query_close() - nobody can join any more: it is about to tell all. */
void query_close(struct query *q);

/* query_tell() - every waiter that the result is new enough for. */
void query_tell(struct query *q, const struct query_result *result);

/* query_tell_none() - those whose deadline is not after this tick: what is stale, else the reason. */
void query_tell_none(struct query *q, uint64_t overdue, enum query_reason reason);

/* query_keep() - into the cache, and a result of it. */
void query_keep(struct query *q, const struct statement *s, const struct signed_doc *doc,
		struct query_result *out);

/* query_keep_young() - a zone that is in use is renewed before it ends. */
void query_keep_young(struct resolver *r, struct zone *zone);

#endif
