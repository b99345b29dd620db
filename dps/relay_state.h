/* SPDX-License-Identifier: Apache-2.0 */
/* What relay.c and relay_watch.c share: hosts, where they have claimed something, and how to reach an authority. */
#ifndef DPS_RELAY_STATE_H
#define DPS_RELAY_STATE_H

#include "dps/relay.h"

#define RELAY_TIMEOUT_MS 4000L /* an agent waits 5 s */
#define RELAY_DOMAINS_MAX 64   /* of one host */

/* A host that has claimed something through us. */
struct relay_host {
	char name[NAME_MAX_LEN + 1];
	char *domains[RELAY_DOMAINS_MAX];
	size_t n_domains;
	UT_hash_handle hh;
};

/* A network that a claim led to. */
struct relay_network {
	uint32_t vnid;
	char domain[DOMAIN_ROOM];
	UT_hash_handle hh;
};

struct relay_watcher;

struct relay {
	struct hierarchy *h;
	struct relay_host *hosts;
	struct relay_network *networks;
	struct relay_watcher *watchers;
};

struct relay_target {
	struct server_name server;
	struct server_address addr;
};

/*
 * relay_find() - a server of the domain; found is called once, maybe at once;
 * target NULL: none, and why says why. Not to be cancelled: arg must outlive it.
 */
void relay_find(struct relay *r, const char *domain,
		void (*found)(const struct relay_target *target, const char *why, void *arg), void *arg);

struct relay_host *relay_host(struct relay *r, const char *name); /* NULL: never claimed anything */

/* relay_watch_domain() - the host has claimed something there for the first time (relay_watch.c). */
void relay_watch_domain(struct relay *r, const struct relay_host *host, const char *domain);
void relay_watch_close(struct relay *r);

#endif
