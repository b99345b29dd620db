/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the service tells this host without being asked: its networks'
 * revisions and floors, their policies' numbers, the endpoints placed here,
 * the hosts there are. It goes straight into dove_networks, dove_policies and
 * dove_moved, and to the rooms for ports and the underlay.
 */
#ifndef DOVE_WATCH_H
#define DOVE_WATCH_H

#include "agent.h"

struct watch_endpoint {
	uint32_t id;
	uint64_t sequence, floor; /* seq(E), floor(E) */
	struct mac_addr mac;
	struct ip_addr *addrs;
	struct ip_addr *gateways; /* of each address; all zero: none */
	int n_addrs;
	uint32_t rate_mbps; /* of all that it sends; 0: no limit */
};

int watch_open(struct agent *a, struct watch **out, struct error *err);
void watch_close(struct watch *w);
/* watch_start() - begin, once the service knows this host; nothing when it runs already. */
void watch_start(struct watch *w);

bool watch_connected(const struct watch *w);

/* watch_find() - an endpoint of this host as last heard of; NULL when not. Valid until the loop runs again. */
const struct watch_endpoint *watch_find(const struct watch *w, uint32_t vnid, uint32_t id);

/* watch_has() - does this host watch that network? */
bool watch_has(const struct watch *w, uint32_t vnid);

/* watch_revision() - how far the network has been watched; 0 when it is not served here. */
uint64_t watch_revision(const struct watch *w, uint32_t vnid);

/*
 * watch_expect() - a VM of this network is about to be placed here: until the
 * watch covers the network, packets for it are judged by this revision alone,
 * and what that can't say the service is asked for. Nothing where it is watched.
 */
void watch_expect(struct watch *w, uint32_t vnid, uint64_t revision);

/* watch_extend() - the revision with these low 32 bits, as on the wire, that is nearest to the watched one. */
uint64_t watch_extend(const struct watch *w, uint32_t vnid, uint32_t sequence);

/* watch_network_name() - "?" when not served here. */
const char *watch_network_name(const struct watch *w, uint32_t vnid);
/* watch_is_beyond() - is the other network of another domain than this one, or of one not known here? */
bool watch_is_beyond(const struct watch *w, uint32_t vnid, uint32_t other);

/* watch_policy_name(), watch_external_name() - "" when not known. */
const char *watch_policy_name(const struct watch *w, uint32_t vnid, uint32_t id);
const char *watch_external_name(const struct watch *w, uint32_t id);

/*
 * watch_policy() - the service answered /v1/check with a policy's numbers: enter
 * them, unless the watch has named the policy meanwhile; its word may be newer.
 */
void watch_policy(struct watch *w, uint32_t vnid, const cJSON *policy);

cJSON *watch_show(const struct watch *w);

#endif
