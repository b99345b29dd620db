/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything the service knows, in memory. Questions, checks and watches are
 * answered from here and never from the store. Only commit.c (and persist.c,
 * at start-up) changes it; nothing in here touches a socket, a clock or a file.
 */
#ifndef DPS_MODEL_H
#define DPS_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "dps/load.h"
#include "dps/mem.h"
#include "dps/objects.h"

#define VNID_MAX 0xffffff
#define CLAIM_ROOM 33 /* a claim id is 32 hex digits and a NUL */

/* What all kinds have in common. First member of each of the structs below. */
struct object {
	enum kind kind;
	uint32_t id; /* never zero, never reused; a network's is its VNID */
	char key[KEY_ROOM];
	struct network *net; /* NULL for kinds that are in none */
	struct spec *spec;   /* NULL: deleted */
	uint64_t revision;   /* of the last change to this object's content */
	uint64_t sequence;   /* docs/staleness.md, as floor is */
	uint64_t floor;
	uint64_t made_by;	    /* the transaction that created it, as long as this process lives */
	uint64_t touched_by;	    /* the transaction that touched it last */
	struct object *prev, *next; /* among its network's objects of this kind */
	UT_hash_handle hh;	    /* by key, one table per kind */
	UT_hash_handle hh_id;	    /* by id: networks, endpoints, externals, policies, hosts */
};

struct host {
	struct object o;
	struct endpoint *endpoints; /* placed here */
};

struct place {
	struct host *host; /* NULL: nowhere */
	char claim[CLAIM_ROOM];
	uint64_t revision; /* of the last change; 0: never had one */
	bool idle;	   /* its host says that nobody is behind the device; not stored */
	struct load load;  /* of an instance of a service; not stored */
};

/*
 * What packets come from and go to: an endpoint, or an external network, which
 * has no place and no groups. Their ids are of one count, their names in a
 * network of one kind.
 */
struct endpoint {
	struct object o; /* KIND_ENDPOINT or KIND_EXTERNAL */
	struct place place;
	struct idset groups;	      /* by its own list and by group objects */
	struct endpoint *prev, *next; /* among its host's */
};

struct policy {
	struct object o; /* a tombstone has no spec */
	int64_t until;	 /* unix time at which a tombstone may go */
};

/* Another network that policies tie to this one. */
struct joint {
	struct network *other;
	unsigned int policies; /* of either network, that name the other */
};

struct network {
	struct object o;
	uint64_t revision;	 /* the network's: raised once by each commit that changes it */
	struct policy *fallback; /* its default policy */
	struct object *endpoints, *externals, *groups, *policies, *tombstones;
	size_t n_policies;
	struct order *order; /* its policies, first match first (order.c) */
	bool order_stale;    /* not as the policies are; so at the start */
	struct joint *joints;
	size_t n_joints;
	struct endpoint stranger; /* of a foreign one: whoever is in it, to our policies */
	uint64_t joined_by;	  /* the transaction that joined it with another network last, or parted it */
};

/* An endpoint that was on a host lately: where packets that still come are to go. */
struct gone {
	uint32_t vnid, endpoint;
	struct host *host; /* where it was */
	struct ip_addr *addresses;
	size_t n_addresses;
	uint64_t revision; /* the place's */
	int64_t until;	   /* unix time */
	struct gone *prev, *next;
};

struct owner;
struct group_id;

struct model {
	struct object *by_key[KIND_COUNT];
	struct object *by_id[KIND_COUNT];
	struct owner *owners;	 /* addresses and MACs */
	struct group_id *groups; /* a small number for each group's name */
	struct gone *gone;
	uint32_t last_id[KIND_COUNT];
	uint32_t last_group;
	uint64_t commits; /* counts commits; the revision of hosts and services */
	uint64_t serial;  /* of the last transaction, in memory only */

	/* next_id() - the id after `last` for a new object; 0: none is left. NULL: they are counted. */
	uint32_t (*next_id)(void *arg, enum kind kind, uint32_t last);
	void *next_id_arg;
	const char
		*domain; /* whose it is: services are named with it to hosts; NULL: one that stands alone */
};

void model_init(struct model *m);
void model_free(struct model *m);

/* Lookups: NULL where there is nothing. */
struct object *model_find(const struct model *m, enum kind kind, const char *key);
struct object *model_find_in(const struct model *m, enum kind kind, const char *network, const char *name);
struct network *model_network(const struct model *m, uint32_t vnid);
struct endpoint *model_endpoint(const struct model *m, uint32_t id);
struct endpoint *model_party(const struct model *m, uint32_t id); /* an endpoint or an external network */
struct endpoint *model_find_party(const struct model *m, const char *key);
struct policy *model_policy(const struct model *m, uint32_t id); /* tombstones too */
struct host *model_host(const struct model *m, uint32_t id);

bool model_is_foreign(const struct network *net); /* another authority's */

/* model_at() - the endpoint of this network that has the address, listed or given by its MAC. */
struct endpoint *model_at(const struct model *m, uint32_t vnid, const struct ip_addr *addr);

/* model_subnet() - the subnet of this network that the address lies in. */
const struct subnet *model_subnet(const struct network *net, const struct ip_addr *addr);

/* model_external() - the external network of this one that holds the address, by the longest prefix. */
struct endpoint *model_external(const struct network *net, const struct ip_addr *addr);
bool model_is_external(const struct endpoint *ep);
bool model_is_edge(const struct host *host, const struct object *ext); /* is its gateway there? */

/* model_host_of() - where packets to it go: its place, or the gateway. NULL: nowhere now. */
struct host *model_host_of(const struct model *m, const struct endpoint *ep);

/* model_is_gateway() - is this the gateway of a subnet of the network, and no endpoint's address? */
bool model_is_gateway(const struct model *m, const struct network *net, const struct ip_addr *addr);

/* model_gateway() - the gateway of the subnet that the address lies in; NULL: it is in none, or an
 * endpoint has the gateway's address. */
const struct ip_addr *model_gateway(const struct model *m, const struct network *net,
				    const struct ip_addr *addr);

/* model_create() - an object of no content yet, in the tables. id 0: the next free one; NULL: none
 * left. */
struct object *model_create(struct model *m, enum kind kind, const char *key, struct network *net,
			    uint32_t id);

/* model_unlist()/model_list() - out of, and back into, the tables that names are looked up in. */
void model_unlist(struct model *m, struct object *obj);
void model_list(struct model *m, struct object *obj);

/* model_bury() - an unlisted policy becomes a tombstone of its network. */
void model_bury(struct model *m, struct policy *p);

/* model_destroy() - free an unlisted object, or a tombstone, with its spec. */
void model_destroy(struct model *m, struct object *obj);

/* model_own()/model_disown() - an address or MAC gets its owner; the present one, if another, is
 * returned. */
struct object *model_own(struct model *m, uint32_t vnid, const struct ip_addr *addr, struct object *obj);
void model_disown(struct model *m, uint32_t vnid, const struct ip_addr *addr);
struct ip_addr model_mac_key(const struct mac_addr *mac); /* a MAC, as key of the same table */

uint32_t model_group_id(struct model *m, const char *network, const char *name);

/* model_set_place() - move an endpoint, keeping its hosts' lists. */
void model_set_place(struct endpoint *ep, const struct place *place);

/* Ties between networks, counted. */
bool model_joined(const struct network *a, const struct network *b);
void model_join(struct model *m, struct network *a, struct network *b);
void model_part(struct model *m, struct network *a, struct network *b);

void model_free_gone(struct model *m, struct gone *gone);

#endif
