/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects as administrators write them: JSON on one side, a struct spec on the
 * other. A spec is what one object says, checked for all that can be seen
 * without the others; commit.c links it to them. Once it is in the model it
 * never changes: a change is a new spec in its place.
 */
#ifndef DPS_OBJECTS_H
#define DPS_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dps/mem.h"
#include "lib/addr.h"
#include "lib/flow.h"
#include "lib/json.h"
#include "lib/labels.h"
#include "lib/routers.h"
#include "lib/signed.h"

#define NAME_MAX_LEN 63
#define KEY_ROOM (2 * NAME_MAX_LEN + 2) /* "network/name" with the NUL */
#define SUBNETS_MAX 64
#define ADDRESSES_MAX 4096 /* of an endpoint */
#define HOST_ADDRESSES_MAX 16
#define PREFIXES_MAX 64	   /* of an external network */
#define CLAIMANTS_MAX 4096 /* hosts that a network lists */
#define GROUPS_MAX 64	   /* of an endpoint */
#define MEMBERS_MAX 65536  /* of a group, or endpoints named by one side of a policy */
#define INSTANCES_MAX 1024
#define WEIGHT_MAX 100
#define PATH_MAX_HOPS 15 /* the wire counts hops in four bits */
#define PRIORITY_MAX 1000000
#define RATE_MAX_MBPS 10000000
#define VLAN_MAX 4094		 /* IEEE 802.1Q: 0 is no VLAN, 4095 reserved */
#define DEFAULT_POLICY "default" /* the name that each network's own default policy has */

/* The order is that in which a file's objects are put in place. */
enum kind {
	KIND_NETWORK,
	KIND_HOST,
	KIND_ENDPOINT,
	KIND_EXTERNAL,
	KIND_GROUP,
	KIND_SERVICE,
	KIND_UNDERLAY_PATH,
	KIND_POLICY,
	KIND_COUNT
};

struct names {
	char **v;
	size_t n;
};

struct subnet {
	struct ip_prefix prefix;
	struct ip_addr gateway;
	bool named; /* the gateway was given, not derived */
};

/* A host that signs what it claims and registers (lib/claim.h). */
struct host_key {
	char *host;
	struct sign_public key;
};

struct network_spec {
	struct subnet *subnets;
	size_t n_subnets;
	char *foreign;		    /* the full name that it has at its own authority; NULL: it is ours */
	uint32_t vnid;		    /* of a foreign one; else 0 */
	struct names hosts;	    /* that may claim its endpoints; none: all may */
	struct host_key *host_keys; /* hosts whose claims must be signed */
	size_t n_host_keys;
	bool allow, reject; /* what its default policy says */
	bool broadcast;	    /* what is sent to all reaches its members */
};

struct host_spec {
	struct ip_addr *addresses;
	size_t n_addresses;
	struct signed_doc sworn; /* its registration as it has signed it; empty: it has not */
};

struct endpoint_spec {
	struct mac_addr mac;
	struct ip_addr *addresses;
	size_t n_addresses;
	struct names groups;
	uint32_t rate_mbps; /* of all that it sends; 0: no limit */
};

/* What lies beyond a network's edge. */
struct external_spec {
	struct ip_prefix *prefixes;
	size_t n_prefixes;
	char *gateway; /* the host where the edge is, registered or not; NULL: none */
};

struct group_spec {
	struct names endpoints;
	struct idset ids; /* linked */
};

/* One that gives a service: an appliance with one port, or with two. */
struct instance {
	char *out;	 /* "network/endpoint" of its other port; NULL: what goes in comes out of the same */
	uint32_t weight; /* of 1 to WEIGHT_MAX: its share of the flows */
	uint32_t capacity_mbps; /* above which others are to have some of them; 0: it can any */
	bool down;		/* the administrator has taken it out */
	bool routed;		/* it wants packets for its own MAC */
	bool unprobed;		/* nothing but packets is sent through it */
	bool proxy;		/* so does one that ends flows and begins them anew, in both ends' names */
};

struct service_spec {
	struct names instances; /* "network/endpoint" */
	struct instance *more;	/* one for one */
	struct idset ids;	/* linked: of all their ports */
};

/* What the physical network's administrator has laid out for a class: at least one of these. */
struct underlay_spec {
	int dscp;      /* -1: none; goes before what policies say */
	uint16_t vlan; /* 0: none */
	struct labels labels;
	struct routers routers; /* not beside labels */
};

/* One side of a policy. With neither ids nor groups it means all endpoints of the network. */
struct selector {
	bool any;
	char *network; /* NULL: the policy's own */
	struct names endpoints, groups;
	char *external;	     /* NULL: none; of the policy's own network */
	struct network *net; /* linked, as the sets are */
	struct idset ids;    /* of endpoints and of the external network */
	struct idset group_ids;
};

struct policy_spec {
	uint32_t priority;
	struct selector from, to;
	struct flow_box match;
	bool allow, final, reply;
	bool reject; /* does not allow, and the sender is told */
	struct names path;
	bool open;	    /* where a service of the path has no live instance packets go on without it */
	int dscp;	    /* -1: unsaid */
	uint32_t rate_mbps; /* 0: unsaid */
	char *class;	    /* NULL: unsaid */
};

struct spec {
	enum kind kind;
	char key[KEY_ROOM]; /* "name" or "network/name" */
	char *network;	    /* NULL for kinds that are in none */
	char *name;
	char *body; /* canonical JSON: equal bodies say the same */
	union {
		struct network_spec network;
		struct host_spec host;
		struct endpoint_spec endpoint;
		struct external_spec external;
		struct group_spec group;
		struct service_spec service;
		struct underlay_spec underlay;
		struct policy_spec policy;
	} u;
};

/* The gateway's MAC address in every network: 02:d0:7e:00:00:01, no endpoint's. */
extern const struct mac_addr gateway_mac;

const char *objects_kind_name(enum kind kind);
int objects_kind(const char *name); /* -EINVAL: no such kind */
bool objects_in_network(enum kind kind);

/* objects_parse() - one object to a spec, the caller's (objects_free()). 0 or -EINVAL with *err. */
int objects_parse(const cJSON *json, struct spec **out, struct json_error *err);
void objects_free(struct spec *spec);

/* objects_default_policy() - the spec of network's own default policy. */
struct spec *objects_default_policy(const char *network, const struct network_spec *net);

/* objects_check_name() - a name by the rules: 1..63 of [A-Za-z0-9._-], no IP address. */
bool objects_check_name(const char *name);

/* objects_addresses_json() - a JSON list of addresses, the caller's. */
cJSON *objects_addresses_json(const struct ip_addr *addresses, size_t n);

/* For the parsers of single kinds (objects_network.c, objects_policy.c). */
int objects_names(const cJSON *json, const char *field, size_t max, const char *what, struct names *out,
		  struct json_error *err);
cJSON *objects_names_json(const struct names *names);
void objects_free_names(struct names *names);
int objects_action(const cJSON *json, const char *field, bool *allow, bool *reject, struct json_error *err);
const char *objects_action_name(bool allow, bool reject);
int network_parse(const cJSON *json, struct spec *spec, struct json_error *err);
void network_render(const struct spec *spec, cJSON *out);
void network_free(struct spec *spec);
int external_parse(const cJSON *json, struct spec *spec, struct json_error *err);
void external_render(const struct spec *spec, cJSON *out);
void external_free(struct spec *spec);
int policy_parse(const cJSON *json, struct policy_spec *out, struct json_error *err);
void policy_render(const struct policy_spec *spec, cJSON *out);
void policy_free(struct policy_spec *spec);

#endif
