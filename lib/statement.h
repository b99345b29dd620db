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
 *   policy         {"vnid", "source", "address", "verdict", ...}: an ANSWER of docs/api.md. With "packet":
 *                  {"proto", "from_port", "to_port"} it holds for packets like that one only (proto 0: for
 *                  those that no rule with ports or protocol matches), without for all of the pair. "from_vnid": the sender's network, where this is the half of the
 *                  destination's authority. "beyond": the destination's network, where this is the half of
 *                  the source's authority and the other half has to be asked for.
 *   name           {"name", "vnid", ...}: what a full name leads to
 *   no_network     {"vnids": [a,b]} or {"name"}: the zone is responsible, and there is none
 *   no_delegation  {"vnids": [a,b]} or {"between": ["acme","globex"]}: the zone has delegated none of these
 *                  VNIDs, no child whose name is strictly between (by bytes; "" at an end: open) and has
 *                  no network there
 *
 * Fields that are not listed are for those who read the answer's content; the
 * parser leaves them alone.
 */
#ifndef DOVE_STATEMENT_H
#define DOVE_STATEMENT_H

#include "lib/addr.h"
#include "lib/domain.h"
#include "lib/ranges.h"
#include "lib/signed.h"

#define STATEMENT_LIFE_MAX 86400 /* seconds from issued to expires, and of `stale` */

enum statement_kind { STATEMENT_POLICY, STATEMENT_NAME, STATEMENT_NO_NETWORK, STATEMENT_NO_DELEGATION };

/* A packet as far as an answer may depend on it. */
struct packet_fields {
	uint8_t proto;
	uint16_t from_port, to_port; /* host order */
};

struct statement {
	enum statement_kind kind;
	char zone[DOMAIN_ROOM];
	uint32_t vnid, from_vnid, beyond, source;
	struct ip_addr address;
	bool whole; /* holds for every packet of the pair; of other kinds always true */
	struct packet_fields packet;
	char name[FULL_NAME_ROOM]; /* "": none */
	struct vnid_range vnids;   /* {0, 0}: none */
	bool between;		   /* the next two are said */
	char after[DOMAIN_ROOM], before[DOMAIN_ROOM];
	bool allow;  /* a policy's verdict, or that of one of its rules, lets pass */
	bool absent; /* a policy's verdict is that source or destination do not exist */
	uint64_t sequence;
	int64_t issued, expires;
	uint32_t lifetime, stale;
};

/* statement_parse() - the body of a document. 0 or -EINVAL with *err. */
int statement_parse(const char *body, size_t len, struct statement *out, struct json_error *err);

/*
 * statement_render() - the fields above, put in front of `content` (taken over;
 * NULL: none), as the body of a document, the caller's. A field of content that
 * is there already is left out. NULL: no memory.
 */
char *statement_render(const struct statement *s, cJSON *content);

const char *statement_kind_name(enum statement_kind kind);

/* Times, of a statement whose signature and zone are good. */
bool statement_valid(const struct statement *s, int64_t now); /* issued, and not expired */
bool statement_fresh(const struct statement *s, int64_t now); /* and needs not be asked for again */

/* statement_refuses() - is it a policy that lets nothing pass? */
bool statement_refuses(const struct statement *s);

/* statement_stale_until() - unix time until which it may be used with nobody to ask. */
int64_t statement_stale_until(const struct statement *s);

#endif
