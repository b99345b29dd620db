/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pair of endpoints, of which one may be an external network, and what the policies say of its packets: those that
 * could match it, in order, of one network or of two; what they decide for one
 * packet (pair.c); and the same as ordered rules for all (pair_rules.c).
 */
#ifndef DPS_PAIR_H
#define DPS_PAIR_H

#include "dps/model.h"

#define RULES_MAX 8  /* rules that an answer carries; beyond that each packet is asked for */
#define BOXES_MAX 64 /* that a pair's rules may be cut into before we give up: answers hold few */

/* The fields of a packet that a pair's decision depends on. */
enum scope { SCOPE_PROTO = 1, SCOPE_FROM_PORT = 2, SCOPE_TO_PORT = 4 };

/* What is decided for a packet. Strings belong to the model. */
struct outcome {
	bool allow;
	bool reject;  /* denied, and the sender is told */
	bool reply;   /* allowed, and the flow is to be remembered so that its replies pass */
	bool replies; /* denied, but not to replies to a remembered flow of the other direction */
	const struct policy *policy;	 /* that decided; its network's numbers are those that count */
	const char *path[PATH_MAX_HOPS]; /* to be passed by what passes, replies too */
	size_t n_path;
	bool open; /* what has no live instance is left out, by every policy that asks for something */
	int dscp;  /* -1: unsaid */
	uint32_t rate_mbps;	/* 0: unsaid */
	uint32_t rate_policy;	/* the policy whose limit that is; 0: none */
	const char *class;	/* NULL: unsaid */
	uint16_t vlan;		/* of the class's path, as its dscp; 0: none. resolve() looks it up, */
	struct labels labels;	/* and these, */
	struct routers routers; /* and these */
};

struct rule {
	struct flow_box match;
	struct outcome outcome;
};

/* The policies of one network, its default apart, that could match a pair, first match first. */
struct half {
	struct network *net;
	struct ptrs policies;
	bool inner; /* both are its endpoints: its default decides what policies do not */
};

struct pair {
	const struct endpoint *from, *to;
	struct half halves[2]; /* the source's network, then the destination's */
	int n_halves;	       /* one inside a network */
	bool closed;	       /* only policies let anything pass, here and in the other direction */
	bool foreign;	       /* one side is another authority's: halves[0] is ours, and the only one */
	bool answered;	       /* policies let the other direction pass, and its replies this one */
	bool answerable;       /* replies to the other direction may pass where no policy decides */
	bool barred;	       /* the source's network lets nothing out, whatever the packet */
	bool through; /* the other direction may go through services, and its replies come back through them */
};

/* pair_init() - find the policies; until pair_free() the model must not change. */
void pair_init(struct pair *pair, const struct endpoint *from, const struct endpoint *to);
void pair_free(struct pair *pair);

/* pair_decide() - for the packets of a box that lies wholly in or out of each policy. */
void pair_decide(const struct pair *pair, const struct flow_box *box, struct outcome *out);

/* pair_decide_alone() - the same inside a network, by this policy and no other. */
void pair_decide_alone(const struct pair *pair, const struct policy *policy, struct outcome *out);

unsigned int pair_scope(const struct pair *pair); /* enum scope, or-ed */

/* pair_rules() - for all packets, into room for RULES_MAX. How many; 0: it would take more. */
size_t pair_rules(const struct pair *pair, struct rule *rules);

/* pair_adds() - does an allow ask for something: services, quality, or an end to what is added? */
bool pair_adds(const struct policy_spec *p);

#endif
