/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon of one host, and its rooms:
 *
 *   control.c   the control socket: commands in, JSON out
 *   nics.c      the underlay's devices; registers the host under their addresses
 *   ports.c     VMs' interfaces: claim the place, fill the maps, attach
 *   rows.c      writing what the programs remember
 *   watch.c     what the service says of our networks -> sequences and floors
 *   underlay.c  other hosts and the next hops to them
 *   pmtu.c      what routers say of the way to them
 *   miss.c      packets that wait: ask once, install, send on in order
 *   group.c     who gets what a VM sends to many
 *   check.c     packets from the underlay that only the service can judge
 *   paths.c     services on the way of packets, and their instances
 *   across.c    ... those of other authorities' services, of which no watch tells
 *   strangers.c packets from other authorities' hosts that are not known yet
 *   alive.c     are the hosts of those there?
 *   probe.c     and do those of this host let anything through?
 *   moved.c     VMs that have left: packets wait, and are sent on to where they are
 *   gateway.c   external networks whose gateway this host is
 *   flows.c     flows that replies rest on: ask again, move with their VM
 *   install.c   an answer of the service -> entries of dove_cache and dove_denied
 *   qos.c       ... and what it asks for beside its verdict -> rows of dove_qos
 *   events.c    stale, refused, moved ...: log them, and act on them
 *   trust.c     whose signed translations are believed
 *   believe.c   ... and which of the service's answers are used therefore
 *   chains.c    proofs that zones are who they say, fetched when needed
 *   hint.c      the control message between agents
 *   dps.c       HTTP to the policy service
 *
 * One thread, one event loop. Each room has its state behind its own pointer
 * in struct agent and is reached by its functions only.
 */
#ifndef DOVE_AGENT_H
#define DOVE_AGENT_H

#include <arpa/inet.h>
#include <cjson/cJSON.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/error.h"
#include "loader/loader.h"
#include <linux/bpf.h>

#include "maps/maps.h"

#define AGENT_DEFAULT_RUN_DIR "/run/dove"

struct trust;
struct sign_key;

struct agent_config {
	const char *host; /* our name at the service */
	const char *dps;  /* its URL */
	const char *run_dir;
	const char *pin_dir;
	const char *tls_cert, *tls_key, *tls_ca;
	const char *sign_key; /* file of the key that signs claims and addresses; NULL: they are not signed */
	bool origin_check;
	bool refuse_stale;
	bool tcx;
	enum dove_refused refused;
	struct trust *trust;	/* whose signed translations are believed */
	bool prove;		/* of the service's answers those alone that trust's keys prove */
	bool attach;		/* tell it what holds now, too, as its authority signed it */
	bool hints;		/* tell an origin that its policy is stale */
	uint32_t cache_entries; /* 0: default */
	uint32_t hold_rate;	/* bytes a second that a device's packets for the agent may have */
	uint32_t hold_burst;	/* bytes at once */
	uint32_t answer_rate;	/* ICMP errors and resets a second that a port may cause */
	uint32_t copy_rate;	/* copies of its broadcasts and multicasts a second */
	const cJSON *classes; /* classes of policies -> priority of packets, "1:10" or a number; NULL: none */
	int outer_dscp;	      /* of what is sent; -1: the VM's own */
};

struct agent {
	struct agent_config config;
	struct sign_key *sign_key; /* NULL: none */
	struct event_base *base;
	struct loader *loader;
	const struct loader_maps *maps;
	struct dps *dps;
	struct control *control;
	struct nics *nics;
	struct ports *ports;
	struct watch *watch;
	struct underlay *underlay;
	struct miss *miss;
	struct events *events;
	struct hint *hint;
	struct chains *chains;
	struct believe *believe;
	struct state *state;
	struct group *group;
	struct flows *flows;
	struct moved *moved;
	struct check *check;
	struct pmtu *pmtu;
	struct gateway *gateway;
	struct paths *paths;
	struct load *load;
	struct across *across;
	struct strangers *strangers;
};

/* Conversions between the addresses of lib/addr.h and those of the maps: the same 16 bytes. */
static inline struct dove_ip to_dove_ip(const struct ip_addr *addr)
{
	struct dove_ip ip;

	__builtin_memcpy(ip.b, addr->b, sizeof(ip.b));
	return ip;
}

static inline struct ip_addr from_dove_ip(const struct dove_ip *ip)
{
	struct ip_addr addr;

	__builtin_memcpy(addr.b, ip->b, sizeof(addr.b));
	return addr;
}

/* external_of() - the external network that stands in the place of an address (maps/maps.h); 0: an address. */
static inline uint32_t external_of(const struct dove_ip *ip)
{
	if (ip->w[0] != htonl(DOVE_EXTERNAL_WORD) || ip->w[1] || ip->w[2])
		return 0;
	return ntohl(ip->w[3]);
}

/* clock_now() - nanoseconds of CLOCK_MONOTONIC, the clock of the maps. */
uint64_t clock_now(void);
#define SECOND_NS 1000000000ull

/* agent_run() - be the daemon until SIGTERM or SIGINT; the process's exit status. */
int agent_run(const struct agent_config *config);

/* agent_forget_translations() - empty dove_cache and dove_denied; returns how many entries there were. */
int agent_forget_translations(struct agent *a);

/* agent_set_budget() - what a device (ifindex), a network (VNID | DOVE_BUDGET_NETWORK), or a host (id | DOVE_BUDGET_HOST), may cost others.
 * `ports`: for how many ports it stands; what it may give to the agent is so many times a port's. */
void agent_set_budget(const struct agent *a, uint32_t id, uint32_t ports);

/* map_count() - entries of a map, counted up to max: those that change meanwhile may count twice, or not. */
uint32_t map_count(int map_fd, uint32_t key_size, uint32_t max);

/* map_stats() - of a per-CPU map of struct dove_stats, the sum over all processors; zero where there is no such key. */
struct dove_stats map_stats(int map_fd, uint32_t key);

/* map_clear() - delete every entry for which `keep` (NULL: none) says false; returns how many. */
int map_clear(int map_fd, uint32_t key_size, bool (*keep)(const void *key, void *arg), void *arg);

#endif
