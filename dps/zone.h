/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The root zone: one signed, numbered document by one writer (context
 * SIGNED_ROOT_ZONE, by a root key). Root servers pull it, refuse a lower
 * serial, and stop when it expires. They hold no key: what they hand out was
 * signed by the writer, also the word that something does not exist.
 *
 *   {"serial": 12, "issued": t, "expires": t,
 *    "keys": ["<root key>", ...], "servers": [as in a delegation],
 *    "succession": [SIGNED, ...],     from every root key that was, to today's
 *    "delegations": [SIGNED, ...],    of single-label domains, none overlapping another, no serial above the zone's
 *    "denials": [SIGNED, ...]}        no_delegation statements for every gap between them
 */
#ifndef DPS_ZONE_H
#define DPS_ZONE_H

#include "lib/delegation.h"
#include "lib/statement.h"
#include "lib/succession.h"

#define ZONE_DELEGATIONS_MAX 16384

/* A part of the root zone as sent, and the words that it is found by. */
struct zone_delegation {
	struct signed_doc doc;
	struct delegation *d;
};

struct zone_denial {
	struct signed_doc doc;
	struct vnid_range vnids; /* {0, 0}: it is about names */
	char *after, *before;
};

struct root_zone {
	uint64_t serial;
	int64_t issued, expires;
	struct sign_public keys[ZONE_KEYS_MAX];
	size_t n_keys;
	struct server_name servers[ZONE_SERVERS_MAX];
	size_t n_servers;
	struct signed_doc succession[SUCCESSIONS_MAX];
	size_t n_succession;
	struct zone_delegation *delegations; /* zone_open() sorts them by domain */
	size_t n_delegations;
	struct zone_denial *denials;
	size_t n_denials;
	struct signed_doc doc; /* all of it */
};

/*
 * zone_open() - is this a root zone that may be believed? It must be signed by
 * one of its own keys, and that one be among the anchors or descend from one;
 * be of `now`; and have at least the serial. 0 and *out (zone_free()), or with
 * *err: -EINVAL (malformed, or parts that contradict one another),
 * -EKEYREJECTED (not signed by whom we trust), -ESTALE (an older serial),
 * -ETIME (expired), -EAGAIN (from the future).
 */
int zone_open(const struct signed_doc *doc, const struct sign_public *anchors, size_t n_anchors,
	      uint64_t least_serial, int64_t now, struct root_zone **out, struct json_error *err);
void zone_free(struct root_zone *zone); /* NULL is fine */

/* zone_sign() - the writer's: fill in zone->doc from the rest. 0 or -ENOMEM. */
int zone_sign(struct root_zone *zone, const struct sign_key *key);

/* zone_denial() - the document that says that there is none, or NULL. By VNID, or by domain where that is not
 * NULL. */
const struct signed_doc *zone_denial(const struct root_zone *zone, uint32_t vnid, const char *domain);

#endif
