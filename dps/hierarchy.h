/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server's part in the hierarchy: the node (dps/node.h) on the event loop
 * and on HTTP, and the domains that it answers for, each with a model, a store
 * and a key of its own. docs/hierarchy.md says how it all goes.
 */
#ifndef DPS_HIERARCHY_H
#define DPS_HIERARCHY_H

#include "dps/api.h"
#include "dps/http.h"
#include "dps/node.h"

/* A domain of ours. */
struct domain {
	struct authority authority;
	struct api *api; /* its networks; of the root zone's writer the service's own, which has none */
	struct api own;
	struct sign_key *key;
	const struct config_authority *config;
	struct delegation self; /* as we say of ourselves until our parent does */
	uint64_t saved;		/* the serial that the store has */
	struct hierarchy *h;
};

struct hierarchy {
	struct node node;
	struct http *http;
	const struct config *config;
	struct api *base; /* the service's own: hosts of a local server, the root zone */
	struct domain *domains[CONFIG_AUTHORITIES_MAX + 1];
	size_t n_domains;
	struct domain *writer; /* of the root zone; NULL: not here */
	uint64_t zone_saved;   /* serial of the root zone that the store has */
	struct event *tick, *tend;
	struct sources
		*sources;    /* which networks the endpoints are of that hosts have here (dps/sources.h) */
	struct relay *relay; /* of a local server; else NULL */
	uint64_t ids;	     /* of questions, for logs */
};

/* hierarchy_open() - config: with a root; must last. 0, or -errno with *err and *out untouched. */
int hierarchy_open(struct api *base, const struct config *config, struct hierarchy **out,
		   struct json_error *err);
void hierarchy_close(struct hierarchy *h); /* NULL is fine */

/* hierarchy_arm() - after every call into the node: sets the timer for what it waits for. */
void hierarchy_arm(struct hierarchy *h);

/* Domains of ours; NULL: it isn't. domain "": the root zone's writer. */
struct domain *hierarchy_domain(const struct hierarchy *h, const char *domain);
/* hierarchy_default_api() - of requests that name no domain: the only one's, else the service's own. */
struct api *hierarchy_default_api(struct api *base);
struct domain *hierarchy_domain_of_vnid(const struct hierarchy *h, uint32_t vnid);

/* hierarchy_new_id() - a question's id for logs. */
void hierarchy_new_id(struct hierarchy *h, char id[ERRAND_ID_ROOM]);

/* hierarchy_changed() - delegations of this domain were changed: make it durable, and the root zone anew. 0 or -EIO. */
int hierarchy_changed(struct domain *d);

/* domain_find.c: what the domain's own model says to a question (authority_env). */
int domain_find(void *arg, const struct ask *ask, struct finding *out);
uint64_t domain_version(void *arg);
uint32_t domain_used(void *arg, struct vnid_range r);

/* domain_next_id() - ids by the domain's ranges (model.next_id). 0: none are left. */
uint32_t domain_next_id(void *arg, enum kind kind, uint32_t last);

/* domain_store.c: what of an authority outlives a restart. 0 or -errno. */
int domain_load(struct domain *d, int64_t now, struct json_error *err);
int domain_save(struct domain *d);
int domain_save_zone(struct store *store, const struct signed_doc *doc);
int domain_load_zone(struct store *store, struct signed_doc *out); /* -ENOENT: none */

#endif
