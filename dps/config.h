/* SPDX-License-Identifier: Apache-2.0 */
/* What the service is told: from a JSON file, and from options, which win. docs/hierarchy.md has the roles. */
#ifndef DPS_CONFIG_H
#define DPS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/delegation.h"
#include "lib/json.h"
#include "lib/succession.h"

#define LIFETIME_DEFAULT 3600
#define LIFETIME_MAX 86400
#define LISTEN_DEFAULT "127.0.0.1:6083"
#define DATA_DEFAULT "/var/lib/dove"
#define CONFIG_AUTHORITIES_MAX 63 /* and the root's, if it is ours */
#define CONFIG_RELAYS_MAX 64
#define STALE_DEFAULT 300 /* seconds that an answer may be served past its freshness, with nobody to ask */

/* A domain that this server answers for. */
struct config_authority {
	char domain[DOMAIN_ROOM];  /* "": the root zone's writer */
	char *sign_key;		   /* file of the domain's private key */
	struct vnid_ranges ranges; /* until the parent says; the root has all */
	struct server_name servers[ZONE_SERVERS_MAX];
	size_t n_servers;
	unsigned int life; /* seconds that its delegations live; 0: AUTHORITY_LIFE, and a day at the root */
	struct signed_doc succession[SUCCESSIONS_MAX]; /* of the root's keys, for the zone */
	size_t n_succession;
};

/* Strings and lists are the configuration's own. NULL, 0: not said. */
struct config {
	char *data, *listen;
	char *tls_cert, *tls_key, *tls_ca;
	bool insecure, verbose;
	bool restored;	       /* the data is a backup */
	unsigned int lifetime; /* seconds; 0: not said */
	unsigned int per_peer; /* connections from one address; 0: GUARD_PER_PEER */
	char *sign_key;	       /* of a service that stands alone */

	char *name; /* of this server, as in delegations, certificates and paths */
	bool local; /* find answers for agents */
	bool root_server;
	struct config_authority *authorities;
	size_t n_authorities;
	struct delegation *root; /* keys and servers of the root; NULL: there is no hierarchy */
	struct server_name parents[ZONE_SERVERS_MAX], primaries[ZONE_SERVERS_MAX];
	size_t n_parents, n_primaries;
	char relays[CONFIG_RELAYS_MAX][DOMAIN_ROOM]; /* domains whose servers may speak for hosts */
	size_t n_relays;
};

/* config_read() - take from the file what *config does not say yet. 0 or -errno with *err. */
int config_read(const char *path, struct config *config, struct json_error *err);

/* config_take() - the same from JSON text. */
int config_take(const char *text, size_t len, struct config *config, struct json_error *err);

/* config_roles() - the part of it that is about the hierarchy (config_roles.c). 0 or -EINVAL with *err. */
int config_roles(const cJSON *json, struct config *config, struct json_error *err);

/* config_check_roles() - do the roles go together? 0 or -EINVAL with *err. */
int config_check_roles(const struct config *config, struct json_error *err);

/* config_finish() - defaults, and whether all of it goes together. 0 or -EINVAL with *err. */
int config_finish(struct config *config, struct json_error *err);
void config_free(struct config *config);

/* config_lifetime() - seconds from text; 0: not 1..LIFETIME_MAX. */
unsigned int config_lifetime(const char *text);

#endif
