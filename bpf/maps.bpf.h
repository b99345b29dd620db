/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The maps. What they hold, and who writes it, stands in maps/maps.h. Sizes
 * are defaults; the loader may set others before it loads. LRU maps evict in
 * batches, so they never get fewer than 256 entries a CPU.
 */
#ifndef DOVE_MAPS_BPF_H
#define DOVE_MAPS_BPF_H

#include "maps/maps.h"

/*
 * One leg of a packet's path, between two stops. It does not fit on the stack
 * under all that makes and sends a packet; no two are under way on a CPU.
 */
struct leg {
	__u64 sequence; /* what the packet is labelled with, as is what follows */
	__u32 vnid;
	__u32 policy;
	__u32 source;
	__u8 path;    /* key of dove_paths */
	__u8 stage;   /* services ahead */
	__u8 reverse; /* the path is that of the other direction, and taken backwards */
	__u8 pad;
	__u8 dmac[6]; /* of the frame */
	__u8 pad2[2];
	struct dove_hop hop;	     /* where it leads */
	struct dove_context_key key; /* room for what goes into an appliance */
	struct dove_context context;
};

/* What a processor has read of dove_networks and dove_policies last, see numbers_find(). */
#define NUMBERS_SLOTS 256

struct numbers {
	__u64 version; /* of both maps, when they were read */
	__u32 vnid;
	__u32 policy;
	__u8 watched; /* there is such a network, and `net` is its row */
	__u8 known;   /* there is such a policy in it */
	__u8 pad[6];
	struct dove_network net;
	struct dove_policy of;
};

/* And of dove_ports, dove_addrs, dove_hosts, dove_local and dove_routers, see row_find(). */
enum seen_kind { SEEN_PORT, SEEN_ADDR, SEEN_HOST, SEEN_PLACE, SEEN_ROUTER, SEEN_KINDS };
#define SEEN_SLOTS 64

struct seen {
	__u64 version;
	__u32 key[6];
	__u64 row[6];
};

/* The coarse clock, as it was when jiffies were so many. */
struct tick {
	__u64 jiffies;
	__u64 now;
};

#define MAP(name, map_type, key_type, value_type, entries, flag_bits)                                        \
	struct {                                                                                             \
		__uint(type, map_type);                                                                      \
		__type(key, key_type);                                                                       \
		__type(value, value_type);                                                                   \
		__uint(max_entries, entries);                                                                \
		__uint(map_flags, flag_bits);                                                                \
	} name SEC(".maps")

MAP(dove_ports, BPF_MAP_TYPE_HASH, __u32, struct dove_port, 4096, 0);
MAP(dove_budgets, BPF_MAP_TYPE_HASH, __u32, struct dove_budget, 65536, BPF_F_NO_PREALLOC);
MAP(dove_addrs, BPF_MAP_TYPE_HASH, struct dove_addr_key, struct dove_addr, 65536, BPF_F_NO_PREALLOC);
MAP(dove_cache, BPF_MAP_TYPE_LRU_HASH, struct dove_cache_key, struct dove_translation, 65536, 0);
MAP(dove_denied, BPF_MAP_TYPE_LRU_HASH, struct dove_cache_key, struct dove_translation, 16384, 0);
MAP(dove_prefixes, BPF_MAP_TYPE_LPM_TRIE, struct dove_prefix_key, struct dove_prefix, 65536,
    BPF_F_NO_PREALLOC);
MAP(dove_qos, BPF_MAP_TYPE_HASH, __u32, struct dove_qos, 16384, BPF_F_NO_PREALLOC);
MAP(dove_meters, BPF_MAP_TYPE_HASH, struct dove_meter_key, struct dove_meter, 65536, BPF_F_NO_PREALLOC);
MAP(dove_local, BPF_MAP_TYPE_HASH, struct dove_place_key, struct dove_local, 65536, BPF_F_NO_PREALLOC);
MAP(dove_moved, BPF_MAP_TYPE_HASH, struct dove_place_key, struct dove_moved, 16384, BPF_F_NO_PREALLOC);
MAP(dove_policies, BPF_MAP_TYPE_HASH, struct dove_policy_key, struct dove_policy, 1048576, BPF_F_NO_PREALLOC);
MAP(dove_networks, BPF_MAP_TYPE_HASH, __u32, struct dove_network, 65536, BPF_F_NO_PREALLOC);
MAP(dove_numbers, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct numbers, NUMBERS_SLOTS + 1, 0);
MAP(dove_tick, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct tick, 1, 0);
MAP(dove_seen, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct seen, SEEN_KINDS *(SEEN_SLOTS + 1), 0);
/*
 * What the rows that are remembered are of; 0 while the agent changes any, and afterwards one that has never been.
 * In a map, so that programs of an earlier agent hear of it, too.
 */
MAP(dove_version, BPF_MAP_TYPE_ARRAY, __u32, __u64, 1, 0);
MAP(dove_hosts, BPF_MAP_TYPE_HASH, struct dove_ip, struct dove_host, 65536, BPF_F_NO_PREALLOC);
MAP(dove_routers, BPF_MAP_TYPE_HASH, struct dove_ip, struct dove_host, 4096, BPF_F_NO_PREALLOC);
MAP(dove_flows, BPF_MAP_TYPE_LRU_HASH, struct dove_flow_key, struct dove_flow, 131072, 0);
MAP(dove_paths, BPF_MAP_TYPE_ARRAY, __u32, struct dove_path, DOVE_PATHS, 0);
MAP(dove_hops, BPF_MAP_TYPE_HASH, struct dove_hop_key, struct dove_hop, 131072, BPF_F_NO_PREALLOC);
MAP(dove_contexts, BPF_MAP_TYPE_LRU_HASH, struct dove_context_key, struct dove_context, 65536, 0);
MAP(dove_legs, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct leg, 1, 0);
MAP(dove_fragments, BPF_MAP_TYPE_LRU_HASH, struct dove_fragment_key, struct dove_fragment, 8192, 0);
MAP(dove_groups, BPF_MAP_TYPE_LRU_HASH, struct dove_group_key, struct dove_group, 4096, 0);
MAP(dove_event_times, BPF_MAP_TYPE_LRU_HASH, struct dove_event_key, __u64, 4096, 0);
MAP(dove_stats, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct dove_stats, DOVE_STATS_MAX, 0);
MAP(dove_hop_stats, BPF_MAP_TYPE_LRU_PERCPU_HASH, __u32, struct dove_stats, 16384, 0);
MAP(dove_policy_stats, BPF_MAP_TYPE_LRU_PERCPU_HASH, struct dove_policy_key, struct dove_policy_stats, 16384,
    0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} dove_packets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 << 10);
} dove_events SEC(".maps");

/* Set before load, the verifier drops what is switched off. */
const volatile bool cfg_origin_check = true;  /* hold our own packets to the numbers we watch */
const volatile bool cfg_refuse_stale = false; /* drop what is stale, where delivering it would be safe */
const volatile __u32 cfg_refused = DOVE_REFUSED_RETURN; /* enum dove_refused */
const volatile bool cfg_policy_stats = true;
const volatile __s32 cfg_outer_dscp = -1; /* of what we send; -1: the VM's own */
const volatile bool cfg_tunnel_vxlan =
	false;			   /* the tunnel device is a VXLAN one: this kernel has no Geneve */
const volatile __u32 cfg_door = 0; /* ifindex of the agent's own device */

/*
 * 0, and the verifier does not know. Up to 6.6 it looks at the body of a loop
 * by bpf_loop() once, with what holds before the loop, and takes out what can't
 * happen then: what the body changes and reads again must begin with this.
 */
volatile __u32 unknown_zero;

/* What the agent has done many at a time. */
struct dove_write writes[DOVE_WRITES_MAX];
struct dove_opening openings[DOVE_OPENINGS_MAX];
__u32 n_writes, n_openings;

/* ifindex of the agent's device that cuts super-packets, whose peer has dove_door; 0: there is none. */
__u32 cutter;
/* What became of the packet that came through the agent's device last. */
__u32 door_reason;
/* What became of the packet that was traced last. */
struct dove_traced traced;
/* Its first stop on a path. */
struct dove_hop traced_hop;
__u64 traced_sequence;

#endif
