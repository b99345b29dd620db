/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole hierarchy in one process: servers, the network between them, and
 * time are all made up here, so that hundreds of servers run through hours in
 * a moment, and twice the same from one seed. Only the servers are real.
 *
 * The world knows the truth: who owned which VNIDs when, and what each
 * network's policies were at each revision. Hostile servers send what hostile()
 * makes of an honest reply.
 */
#ifndef UNIT_HIER_WORLD_H
#define UNIT_HIER_WORLD_H

#include "dps/node.h"

#define HIER_EPOCH 1700000000 /* unix time at tick 0 */
#define HIER_SERVICES 4	      /* of a domain, at most */
#define HIER_VMS 8	      /* addresses 10.1.0.1 to .8 of each network may be VMs' */

/* What a hostile server replies. */
#define HIER_LIES(X)                                                                                         \
	X(NONE, "none")                                                                                      \
	X(FORGE, "forge")     /* the right zone's answer, signed with a key of its own */                    \
	X(OUTSIDE, "outside") /* its own zone's answer, whatever was asked */                                \
	X(OTHER, "other")     /* a true answer to another question */                                        \
	X(CORRUPT, "corrupt") /* an honest reply with a byte changed */                                      \
	X(TURN, "turn")	      /* an honest answer with its verdict turned round */                           \
	X(POSE, "pose")	      /* an honest referral with itself put in, and then as who it poses */          \
	X(REPLAY, "replay")   /* what it has said to this question long ago */                               \
	X(SELF, "self")	      /* a referral to itself */                                                     \
	X(UPWARD, "upward")   /* a referral to the top */                                                    \
	X(STEAL, "steal")     /* a delegation of what isn't its own, signed with its key */                  \
	X(DENY, "deny")	      /* its own word that there is nothing */                                       \
	X(LAME, "lame")	      /* that it is not responsible */                                               \
	X(FAIL, "fail")	      /* that it doesn't know */                                                     \
	X(MISNAME, "misname") /* a name that leads to another's VNID */                                      \
	X(ANY, "any")	      /* each time one of these */                                                   \
	X(USURP, "usurp")     /* its own zone's answer to what is its child's; to strangers that is no lie */

#define HIER_LIE_ENUM(name, text) LIE_##name,
enum hier_lie { HIER_LIES(HIER_LIE_ENUM) LIE_COUNT };
#undef HIER_LIE_ENUM

struct hier;

struct hier_network {
	uint32_t vnid;
	char name[LABEL_MAX + 1];
	struct hier_domain *domain;
	uint64_t revision;
	uint64_t made; /* tick */
	uint64_t gone; /* tick; 0: it is there */
	struct {
		uint64_t at; /* tick */
		bool is[HIER_VMS], allow[HIER_VMS];
	} * history; /* by revision, from 1 */
	struct hier_network *next;
};

/* A time in which a domain had VNIDs. */
struct hier_tenure {
	struct vnid_ranges ranges;
	uint64_t from, until; /* ticks; UINT64_MAX: still */
};

struct hier_domain {
	char name[DOMAIN_ROOM];
	struct hier *h;
	struct sign_key *key, *old_keys[8];
	size_t n_old;
	struct sign_public keys[ZONE_KEYS_MAX]; /* published */
	size_t n_keys;
	struct authority authority;
	struct hier_domain *parent;
	struct hier_network *networks;
	struct hier_tenure *tenures;
	size_t n_tenures;
	uint32_t lifetime, stale;
	struct {
		char name[LABEL_MAX + 1];
		int instances; /* -1: there is no such service */
	} services[HIER_SERVICES];
	bool lags; /* its servers are behind: they see nothing later than this revision */
	uint64_t lag;
	uint64_t caught_up; /* tick: when they last did */
	struct hier_domain *next;
};

struct hier_node {
	struct node node;
	char name[SERVER_NAME_ROOM];
	struct server_address addr;
	struct hier *h;
	struct hier_domain *domain; /* NULL: none */
	struct sign_key *own_key;   /* for forgeries */
	bool dead, refuses, running;
	uint32_t delay, jitter; /* ms, one way */
	uint32_t loss;		/* percent, each way */
	enum hier_lie lie;
	uint64_t received;
	struct server_name parent; /* of a cache that forwards */
	struct server_name primary;
	struct hier_memory *memory; /* its first reply to each question */
	struct hier_node *next;
};

struct hier_event;

struct hier {
	uint64_t ticks;
	uint64_t random;
	struct hier_node *nodes;
	struct hier_domain *domains, *root;
	struct timers events;
	struct root_zone *zone; /* as last published */
	struct signed_doc succession[SUCCESSIONS_MAX];
	size_t n_succession;
	size_t messages, max_messages;
	uint16_t ports;
	bool tending;
	uint64_t changes; /* of anything that answers depend on */
};

/* What an asker got. */
struct hier_result {
	bool done;
	unsigned int times;   /* must end up as 1 */
	uint64_t asked, told; /* ticks */
	struct ask ask;
	struct query_result result; /* its pointers are NULL here */
	struct signed_doc doc;
	struct statement statement; /* of doc, where it is one */
	char zone[DOMAIN_ROOM];
	struct hier *h;
};

void hier_init(struct hier *h, uint64_t seed);
void hier_free(struct hier *h);
uint32_t hier_random(struct hier *h, uint32_t below);
int64_t hier_now(const struct hier *h); /* unix seconds */

/* Building. Servers of a domain are made by hier_server(), and listed by the next hier_delegate(). */
struct hier_domain *hier_domain(struct hier *h, const char *name);
struct hier_domain *hier_find_domain(struct hier *h, const char *name);
void hier_service(struct hier_domain *d, const char *name, int instances); /* -1: there is none any more */
struct hier_node *hier_server(struct hier *h, const char *name, struct hier_domain *domain);
struct hier_node *hier_cache(struct hier *h, const char *name, const char *via); /* via NULL: the root */
struct hier_node *hier_find(struct hier *h, const char *name);
int hier_delegate(struct hier_domain *d, const struct vnid_ranges *ranges, struct json_error *err);
int hier_withdraw(struct hier_domain *d, struct json_error *err);
void hier_publish(struct hier *h); /* a new root zone; root servers have it at once */
void hier_boot(struct hier *h);	   /* publish, then let every node start with it */

/* hier_rekey() - a new key: published beside the old one, which goes when it is rolled. */
void hier_add_key(struct hier_domain *d);
void hier_roll_key(struct hier_domain *d);
void hier_drop_keys(struct hier_domain *d);

struct hier_network *hier_network(struct hier_domain *d, const char *name, uint32_t vnid);
struct hier_network *hier_find_network(struct hier *h, uint32_t vnid);
void hier_change(struct hier_network *net, int vm, bool is,
		 bool allow); /* vm -1: nothing, but a new revision */
void hier_remove(struct hier_network *net);
void hier_lag(struct hier_domain *d, uint64_t revision); /* its servers are behind; 0: no more */
struct ip_addr hier_address(int vm);

/* hier_ask() - result must stay until it is done. within: ms, 0: the default. */
void hier_ask(struct hier_node *node, const struct ask *ask, uint32_t within, struct hier_result *result);
void hier_result_free(struct hier_result *result);

/* hier_run() - time goes on by so many ms. */
void hier_run(struct hier *h, uint64_t ms);
bool hier_wait(struct hier *h, const struct hier_result *result); /* until it is done; false: it never is */

/* hier_truth() - is what was told true, or was it lately enough? Else a sentence; NULL: true. */
const char *hier_truth(struct hier *h, const struct hier_result *result);

const char *hier_lie_name(enum hier_lie lie);

#endif
