/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A statement: what an authority says about policy, signed once per version
 * and independent of who asks (context SIGNED_STATEMENT, by a key of `zone`).
 * All have
 *
 *   "zone"      the domain that speaks; "" is the root
 *   "kind"      what it is, below
 *   "sequence"  the network's revision that it was made at; for no_delegation the zone's serial
 *   "issued", "expires"   unix seconds; it is worth nothing before and after
 *   "lifetime"  seconds after `issued` that it may be used without asking again
 *   "stale"     (absent: 0) seconds after that for which it may still be used while nobody
 *               who knows better can be reached: a refusal also beyond `expires`, all else never
 *
 * and by kind
 *
 *   policy         {"vnid", "source", "to", "answer": ANSWER of docs/api.md}: what is decided for packets of
 *                  endpoint `source` of network `vnid` to an address, or to the endpoint or external network
 *                  of that id. "sequence" is the answer's, of the answer's own `vnid`. With "packet":
 *                  {"proto", "from_port", "to_port"} it holds for packets like that one only (proto 0: for
 *                  those that no rule with ports or protocol matches), without for all of the pair. "from_vnid": the sender's network, where this is the half of the
 *                  destination's authority. "beyond": the destination's network, where this is the half of
 *                  the source's authority and the other half has to be asked for.
 *   name           {"name", "vnid", ...}: what a full name leads to
 *   service        {"name", "answer": SERVICE of docs/api.md}: the instances of a service, by its full name;
 *                  without "answer" there is no such service
 *   place          {"vnid", "source", "to", "answer": {}}: endpoint `source` of network `vnid` is at the host that
 *                  has the underlay address `to`; without "answer" it is not. "sequence" is the last revision at
 *                  which what that network's policies require of packets has changed
 *   no_network     {"vnids": [a,b]} or {"name"}: the zone is responsible, and there is none
 *   no_delegation  {"vnids": [a,b]} or {"between": ["acme","globex"]}: the zone has delegated none of these
 *                  VNIDs, no child whose name is strictly between (by bytes; "" at an end: open) and has
 *                  no network there
 *
 * Of the answer only what is said here is looked at. Fields that are not listed
 * are left alone.
 */
#ifndef DOVE_STATEMENT_H
#define DOVE_STATEMENT_H

#include "lib/addr.h"
#include "lib/domain.h"
#include "lib/ranges.h"
#include "lib/signed.h"

#define STATEMENT_LIFE_MAX 86400 /* seconds from issued to expires, and of `stale` */

enum statement_kind {
	STATEMENT_POLICY,
	STATEMENT_NAME,
	STATEMENT_NO_NETWORK,
	STATEMENT_NO_DELEGATION,
	STATEMENT_SERVICE,
	STATEMENT_PLACE,
};

/* A packet as far as an answer may depend on it. */
struct packet_fields {
	uint8_t proto;
	uint16_t from_port, to_port; /* host order */
};

/* Whom a packet is for: {"to": 7} or {"to": "10.1.0.12"}. */
struct target {
	uint32_t id; /* of an endpoint or external network; 0: by address */
	struct ip_addr address;
};

struct statement {
	enum statement_kind kind;
	char zone[DOMAIN_ROOM];
	uint32_t vnid, from_vnid, beyond, source;
	struct target to;
	bool whole; /* holds for every packet of the pair; of other kinds always true */
	struct packet_fields packet;
	char name[FULL_NAME_ROOM]; /* "": none */
	struct vnid_range vnids;   /* {0, 0}: none */
	bool between;		   /* the next two are said */
	char after[DOMAIN_ROOM], before[DOMAIN_ROOM];
	bool refuses; /* a policy that lets nothing pass, no replies either */
	bool absent; /* a policy's verdict is that source or destination do not exist; a service or place is none */
	uint32_t decided_by; /* of a policy: the network that `sequence` is of; 0: none */
	uint64_t sequence;
	int64_t issued, expires;
	uint32_t lifetime, stale;
};

/* statement_parse() - the body of a document. 0 or -EINVAL with *err. */
int statement_parse(const char *body, size_t len, struct statement *out, struct json_error *err);

/*
 * statement_render() - the body of a document, the caller's. answer (taken
 * over): of a policy; NULL: none. NULL: no memory.
 */
char *statement_render(const struct statement *s, cJSON *answer);

int target_parse(const cJSON *obj, struct target *out, struct json_error *err); /* its field "to" */
void target_put(cJSON *obj, const struct target *to);
bool target_equal(const struct target *a, const struct target *b);

const char *statement_kind_name(enum statement_kind kind);

/* Times, of a statement whose signature and zone are good. */
bool statement_valid(const struct statement *s, int64_t now); /* issued, and not expired */
bool statement_fresh(const struct statement *s, int64_t now); /* and needs not be asked for again */

/* statement_stale_until() - unix time until which it may be used with nobody to ask. */
int64_t statement_stale_until(const struct statement *s);

#endif
