/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resolver: finds out what others know. It sees time, chance and the
 * network only through struct query_env, keeps no thread and no socket, and
 * never blocks: the one who runs it hands in replies and calls query_tick().
 *
 * A question that our own store or the cache can answer is answered at once.
 * Any other becomes a query, one for each key (ask_text()) however many wait
 * for it; dps/query_state.h says how a query goes. It ends with a statement
 * that was verified up to the root, or with a reason why there is none; never
 * later than its deadline, and never after more than QUERY_UPSTREAM_MAX
 * questions to other servers.
 */
#ifndef DPS_QUERY_H
#define DPS_QUERY_H

#include "dps/cache.h"
#include "dps/reference.h"
#include "dps/timers.h"
#include "dps/upstream.h"

#define QUERY_DEADLINE_MS 3000 /* where the asker says none: a VM's SYN is sent again after 1 s and 3 s */
#define QUERY_DEADLINE_MOST_MS 10000 /* whatever the asker says: nobody holds a place longer */
#define QUERY_UPSTREAM_MAX 32	     /* questions to others, renewals included: 16 zones, each asked twice */
#define QUERY_REFERRALS_MAX 16	     /* as many as a domain has labels */
#define QUERY_RENEWALS_MAX 2	     /* zones whose delegation is asked for again on the way */
#define QUERY_RENEW_MS 2000	     /* a zone's delegation is asked for again not more often than this */
#define QUERY_ROUNDS_MAX 3	     /* how often a zone's silent servers are asked by one query */
#define QUERY_RUNNING_MAX 10000	     /* queries at once: 100 MB; beyond that an honest "busy" */
#define QUERY_WAITERS_MAX 1000	     /* askers of one query */
#define QUERY_AHEAD_MAX 64	     /* queries at once that nobody waits for yet */
#define QUERY_RETRY_SECONDS                                                                                  \
	1 /* after an end that time or budget brought about: CACHE_FAILED_SECONDS is for the rest */

struct query_env {
	int64_t (*now)(void *arg);    /* unix seconds */
	uint64_t (*ticks)(void *arg); /* milliseconds, never going back, never 0 */
	uint32_t (*random)(void *arg);

	/*
	 * send() - put the question to a server; its reply comes by query_reply(),
	 * and not from inside this call. 0 or -errno: it cannot be sent.
	 */
	int (*send)(void *arg, uint64_t id, const struct server_name *server,
		    const struct server_address *addr, const struct ask *ask, const struct errand *errand);

	/*
	 * own() - what we are an authority for ourselves: *out (zeroed before,
	 * reply_free()d after) is REPLY_ANSWER or REPLY_ROOT, believed as it is;
	 * or REPLY_REFERRAL with the delegation of our child. False: not ours.
	 * May be NULL.
	 */
	bool (*own)(void *own_arg, const struct ask *ask, struct reply *out);
	void *own_arg;

	/*
	 * note() - for logs, as a question goes its way: its id (errand), what has
	 * happened ("ask", "reply", "silence", "end"), for which zone, at which
	 * server (NULL: none), and a word on it. May be NULL.
	 */
	void (*note)(void *arg, const char *id, const char *event, const char *zone,
		     const struct server_address *addr, const char *detail);
	void *arg; /* of all the others */
};

struct query_config {
	const char *name;		   /* of this server, as it stands in paths; not copied */
	const struct server_name *parents; /* asked first, recursively; not copied */
	size_t n_parents;		   /* 0: none, the root is asked */
	const struct server_name
		*primaries; /* asked for the root zone, in place of the root servers; not copied */
	size_t n_primaries;
	size_t cache_entries, cache_bytes; /* of the cache's first room; 0: 100,000 and 256 MB */
	size_t zones;			   /* 0: REFERENCE_MAX */
};

/* Why there is no answer: name and text for people. */
#define QUERY_REASONS(X)                                                                                     \
	X(NONE, "")                                                                                          \
	X(NO_ROOT, "no root is known")                                                                       \
	X(NO_SERVER, "no server of the zone replies")                                                        \
	X(UNBELIEVABLE, "no server of the zone gives a reply that can be believed")                          \
	X(BEHIND, "the zone's servers are behind the revision that is wanted")                               \
	X(DEADLINE, "the time is over")                                                                      \
	X(BUDGET, "it took too many questions")                                                              \
	X(REFERRALS, "it took too many referrals")                                                           \
	X(BUSY, "too many questions are waiting")

#define QUERY_REASON_ENUM(name, text) QUERY_##name,
enum query_reason { QUERY_REASONS(QUERY_REASON_ENUM) QUERY_REASON_COUNT };
#undef QUERY_REASON_ENUM

enum result_kind {
	RESULT_ANSWER,	      /* policy or name */
	RESULT_NO_VM,	      /* the authority knows no such source or destination */
	RESULT_NO_NETWORK,    /* the authority has no such network */
	RESULT_NO_DELEGATION, /* nobody is responsible */
	RESULT_ZONE,	      /* the delegation of a domain */
	RESULT_ROOT,	      /* the root zone */
	RESULT_FAILED,	      /* nobody could tell: see reason */
};

/* Good while the callback runs, until it calls the resolver again. */
struct query_result {
	enum result_kind kind;
	enum query_reason reason;
	const struct signed_doc *doc; /* what was signed; NULL when failed, or of an anchor */
	const char *zone;	      /* whose word it is, or the domain that was asked for; "": root */
	uint64_t sequence;
	int64_t fresh, expires; /* unix time until which it may be used without asking, and at all */
	bool stale;		/* served although it isn't fresh, because nobody could be asked */
	const struct cached
		*entry; /* where it lies in the cache; NULL: it does not, or was not looked for there */
	unsigned int upstream, referrals; /* what it took; 0: it was here */
};

typedef void (*query_done)(const struct query_result *result, void *arg);

struct query;
struct waiter;

struct query_counters {
	uint64_t questions, hits, own, joined, upstream, referrals, timeouts, lies, lame, renewals, ahead,
		stale, failed;
};

struct resolver {
	struct query_env env;
	struct query_config config;
	struct reference ref;
	struct cache cache;
	struct upstream upstream;
	struct timers timers;
	struct query *by_key, *by_serial;
	size_t running, ahead;
	uint64_t serials;
	struct query_counters counters;
};

/* query_init() - nothing can be found out until reference_anchor(&r->ref, root) was called. */
void query_init(struct resolver *r, const struct query_env *env, const struct query_config *config);

/* query_free() - who still waits is told QUERY_BUSY. */
void query_free(struct resolver *r);

/*
 * query_ask() - done is called exactly once, maybe before this returns (NULL
 * then). errand: its deadline and path are taken; NULL: an own question. The
 * waiter is good until done is called, or query_cancel(): done is not called then.
 */
struct waiter *query_ask(struct resolver *r, const struct ask *ask, const struct errand *errand,
			 query_done done, void *arg);

/* query_here() - the same from what is here, before this returns. False, and done is not called: it is not. */
bool query_here(struct resolver *r, const struct ask *ask, query_done done, void *arg);

/* query_ask_others() - the same, as if we knew nothing ourselves. */
struct waiter *query_ask_others(struct resolver *r, const struct ask *ask, const struct errand *errand,
				query_done done, void *arg);
void query_cancel(struct resolver *r, struct waiter *waiter);

/*
 * query_ahead() - ask for it although nobody waits, unless it is being asked
 * for, has just failed, or too much is asked ahead. forced: not our parents,
 * who may know no more than we do.
 */
void query_ahead(struct resolver *r, const struct ask *ask, bool forced);

/* query_reply() - to the question that was sent under this id. The reply stays the caller's. */
void query_reply(struct resolver *r, uint64_t id, const struct reply *reply);

/* query_broken() - there will be none: connection refused, reset, not TLS, no JSON. */
void query_broken(struct resolver *r, uint64_t id);

/* query_next() - the tick at which query_tick() is to be called next; UINT64_MAX: none. Changes with every call. */
uint64_t query_next(const struct resolver *r);
void query_tick(struct resolver *r);

const char *query_reason_name(enum query_reason reason); /* "NO_SERVER" */
const char *query_reason_text(enum query_reason reason);
const char *result_kind_name(enum result_kind kind);

#endif
