/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A delegation: what a domain's parent has signed about it. The document is
 * JSON under the context SIGNED_DELEGATION, signed by a key of the parent:
 *
 *   {"domain": "acme/eng", "ranges": [[300,399]],
 *    "servers": [{"name": "ns1.eng.acme", "addresses": ["192.0.2.1:6083", "[2001:db8::1]:6083"]}],
 *    "keys": ["<base64 of a public key>"], "serial": 7, "issued": 1700000000, "expires": 1700003600}
 *
 * The parent is not said: it is the domain without its last label, the root
 * zone for a single label. `serial` counts the parent's changes; of two
 * delegations of one domain the one with the higher (serial, issued) is meant.
 * Times are unix seconds. A field that is not listed is refused, as are bytes
 * that say the same thing twice.
 */
#ifndef DOVE_DELEGATION_H
#define DOVE_DELEGATION_H

#include "lib/addr.h"
#include "lib/domain.h"
#include "lib/ranges.h"
#include "lib/signed.h"

#define DELEGATION_LIFE_MAX                                                                                  \
	86400		/* seconds from issued to expires: how long a withdrawn one may be believed */
#define CLOCK_SKEW 60	/* seconds that an issuer's clock may be ahead of ours */
#define ZONE_KEYS_MAX 4 /* today's key, its successor, and as many in reserve */
#define ZONE_SERVERS_MAX 8
#define SERVER_ADDRESSES_MAX 4
#define SERVER_NAME_ROOM 254
#define SERVER_ADDRESS_TEXT (IP_TEXT + 8) /* "[address]:65535" */

struct server_address {
	struct ip_addr ip;
	uint16_t port; /* host order, never 0 */
};

/* A server by the name that its certificate has, and where it listens. */
struct server_name {
	char name[SERVER_NAME_ROOM];
	struct server_address addresses[SERVER_ADDRESSES_MAX];
	size_t n_addresses;
};

struct delegation {
	char domain[DOMAIN_ROOM];
	struct vnid_ranges ranges;
	struct server_name servers[ZONE_SERVERS_MAX];
	size_t n_servers;
	struct sign_public keys[ZONE_KEYS_MAX];
	size_t n_keys;
	uint64_t serial;
	int64_t issued, expires;
};

/* What all checks of times return: 0, -ETIME (over) or -EAGAIN (from the future). */
int delegation_times(int64_t issued, int64_t expires, int64_t now);

/* delegation_parse() - the body of a document; nothing is said of who signed it. 0 or -EINVAL with *err. */
int delegation_parse(const char *body, size_t len, struct delegation *out, struct json_error *err);

/* delegation_render() - the body, the caller's; NULL: no memory. */
char *delegation_render(const struct delegation *d);

/* delegation_sign() - 0 or -ENOMEM. */
int delegation_sign(const struct delegation *d, const struct sign_key *parent, struct signed_doc *out);

/* delegation_newer() - is a meant rather than b? */
bool delegation_newer(const struct delegation *a, const struct delegation *b);

bool delegation_has_key(const struct delegation *d, const struct sign_public *key);

/* Parts that other documents have too. Lists of 1 to the maximum; 0 or -EINVAL with *err. */
int servers_parse(const cJSON *obj, struct server_name *out, size_t *n, struct json_error *err);
cJSON *servers_json(const struct server_name *servers, size_t n);
int keys_parse(const cJSON *obj, struct sign_public *out, size_t *n, struct json_error *err);
cJSON *keys_json(const struct sign_public *keys, size_t n);

/* "192.0.2.1:6083", "[2001:db8::1]:6083": 0 or -EINVAL. */
int server_address_parse(const char *text, struct server_address *out);
const char *server_address_format(const struct server_address *addr, char buf[SERVER_ADDRESS_TEXT]);
bool server_address_equal(const struct server_address *a, const struct server_address *b);

#endif
