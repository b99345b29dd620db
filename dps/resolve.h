/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions and their answers. A question goes key -> the two endpoints, of
 * which one may be an external network -> the policies that could match the pair, in order -> what they say of this packet
 * and, as ordered rules, of every packet of the pair. Reads the model, changes
 * nothing but its sorted orders.
 */
#ifndef DPS_RESOLVE_H
#define DPS_RESOLVE_H

#include "dps/pair.h"
#include "lib/json_text.h"

enum verdict { VERDICT_ALLOW, VERDICT_DENY, VERDICT_GATEWAY, VERDICT_NO_ENDPOINT, VERDICT_NO_SOURCE };

/* By id or by name; packet fields that the question leaves open are those of flow_all. */
struct question {
	uint32_t source;     /* 0: by name */
	uint32_t from_vnid;  /* 0: the source is ours; else of this network of another authority's */
	uint32_t vnid;	     /* the source's network, where that is said; else 0 */
	const char *network; /* with from: the source by name */
	const char *from;
	bool by_address;
	struct ip_addr address;
	uint32_t destination; /* 0: by name */
	const char *to;	      /* "name" or "network/name" */
	struct flow_box packet;
	uint32_t least_vnid; /* of this network an answer must be at least of that revision; 0: unsaid */
	uint64_t least_revision;
	bool explain; /* say which policies were considered */
};

struct answer {
	enum verdict verdict;
	uint32_t vnid;
	uint32_t source;
	bool has_address;
	struct ip_addr address;
	const struct endpoint *destination; /* NULL: none */
	uint32_t beyond; /* it is in this network of another authority's, whose half is missing; 0: none */
	const struct host *host; /* where that is; NULL: nowhere, or not registered */
	struct outcome outcome;	 /* no policy: nothing was decided */
	unsigned int scope;	 /* enum scope, or-ed */
	struct rule rules[RULES_MAX];
	size_t n_rules;
	bool through; /* its packets may be replies to what went through services, and then go that way back */
	uint64_t sequence;
	uint64_t
		floor; /* since that revision the same services are asked for; of the destination's network */
};

void resolve(struct model *m, const struct question *question, struct answer *out);

/* resolve_source() - whom the question is of, by id or by name. NULL: nobody. */
const struct endpoint *resolve_source(const struct model *m, const struct question *question);

/* A translation that a packet carried, and what it is worth today. */
struct check {
	uint32_t vnid, policy;
	uint64_t sequence;
	/* out */
	bool current;
	uint64_t revision;	    /* the network's, 0: no such network */
	const struct policy *found; /* NULL: never was, or is long gone */
	struct answer answer;
};

void resolve_check(struct model *m, const struct question *question, struct check *check);

/* resolve_considered() - "considered" of docs/api.md: the policies that the answer was made of, in order; the caller's. */
cJSON *resolve_considered(const struct model *m, const struct question *question,
			  const struct answer *answer);

/* resolve_answer_text() - the ANSWER of docs/api.md, as an object without its lifetime and its end. */
void resolve_answer_text(const struct model *m, const struct answer *answer, struct json_text *out);
const char *resolve_verdict_name(enum verdict verdict);

/* resolve_host_name() - where the destination is, by name: of a gateway also where no such host is registered;
 * NULL: nowhere. Only where there is a destination. */
const char *resolve_host_name(const struct answer *answer);

#endif
