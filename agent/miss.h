/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The miss path. A packet for which the kernel has no usable translation
 * comes up whole, and waits; its pair (source endpoint, destination address)
 * is asked for once, however many wait; the answer goes into the maps; the
 * waiting ones go through the data path in the order in which they came; then
 * the entry is opened to those that follow.
 *
 * Everything is bounded, by key, port and in all, and what is over a bound is
 * dropped and counted. Ports take turns in asking.
 */
#ifndef DOVE_MISS_H
#define DOVE_MISS_H

#include "agent.h"

struct miss_counters {
	uint64_t questions;	/* keys sent to the service */
	uint64_t requests;	/* HTTP requests that carried them */
	uint64_t failed;	/* requests without an answer */
	uint64_t refreshed;	/* questions without a packet: ahead of expiry, or after a stale event */
	uint64_t sent_on;	/* packets that waited and went on their way */
	uint64_t dropped_bound; /* packets over a bound */
	uint64_t dropped_late;	/* packets that waited in vain */
	uint64_t cut;		/* frames that super-packets of tunnels inside VMs were cut into */
};

int miss_open(struct agent *a, struct miss **out, struct error *err);
void miss_close(struct miss *m);

/* miss_next_hop() - the way to some host has opened: packets that waited for one may go. */
void miss_next_hop(struct miss *m);

/* miss_proven() - the chain of a zone has come: what waits for one is asked for again. */
void miss_proven(struct miss *m);

/* miss_services() - instances have come that were asked for, or will not: what waits for such may go. */
void miss_services(struct miss *m);

/* miss_take() - a packet that another room has held (DOVE_HELD_HOP), and that waits here from now on. */
void miss_take(struct miss *m, const struct dove_held *held);

/* miss_path() - ask for the path of packets of a VM elsewhere (in network vnid), though none waits here. */
void miss_path(struct miss *m, const struct dove_cache_key *key, uint32_t vnid);

/* miss_walk() - every translation that is held, until `each` says false. */
typedef bool miss_each(const struct dove_cache_key *key, const struct dove_translation *t, void *arg);
void miss_walk(const struct miss *m, miss_each *each, void *arg);

/* miss_drain() - take what the kernel has given up to now, also for others: broadcasts, replies. */
void miss_drain(struct miss *m);

/*
 * miss_refresh() - ask anew for a translation that is in use and known to be
 * old. `wanted`: the least revision that helps, of the network `vnid` (0: not
 * known which); one that is newer already, or being asked for, makes this
 * nothing. Who says so need not be believed: a service that knows of no such
 * revision is asked again without it.
 */
void miss_refresh(struct miss *m, const struct dove_cache_key *key, uint32_t vnid, uint64_t wanted);

/* miss_moved() - refresh what leads to these addresses of that network and is older than the revision. */
void miss_moved(struct miss *m, uint32_t vnid, const struct ip_addr *addrs, int n, uint64_t revision);

/*
 * miss_beyond() - policies of the network have changed: what leads from it, or by a service here,
 * into another authority's is given up. Such packets carry that one's numbers, by which
 * nobody could tell.
 */
void miss_beyond(struct miss *m, uint32_t vnid);

/*
 * miss_store() - what another host handed on, and its authority signed, as if
 * the service had answered it: in place of an older translation that is held,
 * or of an answer that packets wait for. False: of neither there is one.
 */
bool miss_store(struct miss *m, const struct dove_cache_key *key, uint64_t revision, const cJSON *answer);

/* miss_key_json() - the key as the service is asked for it. */
cJSON *miss_key_json(const struct dove_cache_key *key);

const struct miss_counters *miss_counters(const struct miss *m);
uint32_t miss_waiting(const struct miss *m);

#endif
