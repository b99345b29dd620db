/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The one contract between the programs in the kernel and user space: keys,
 * values, events and pin names. Compiled by both.
 *
 * Unless a field says otherwise: integers are in host byte order, addresses
 * and MACs are bytes in network order, times are nanoseconds of
 * CLOCK_MONOTONIC (programs read its coarse form). Padding is explicit and zero, for keys are compared whole.
 * The maps' sizes and types stand in bpf/maps.bpf.h.
 *
 * Include after <linux/types.h> or vmlinux.h.
 */
#ifndef DOVE_MAPS_H
#define DOVE_MAPS_H

#include "reasons.h"

/*
 * Layout version, part of the pin path (PIN_DIR/vN) and of the XDP metadata's
 * magic. Raise it with every change of a key, value, event or map type.
 */
#define DOVE_LAYOUT 1
#define DOVE_LAYOUT_DIR "v1"

#define DOVE_DEFAULT_PIN_DIR "/sys/fs/bpf/dove"

/* An address of either family; IPv4 as ::ffff:a.b.c.d. */
struct dove_ip {
	__u8 b[16];
};

/* dove_ports: ifindex -> what is behind that interface. Writer: agent. Readers: all programs. */
enum dove_port_kind {
	DOVE_PORT_VM = 1,      /* frames are taken at the port and leave by redirect */
	DOVE_PORT_BRIDGED = 2, /* member of a Linux bridge: checked at the port, encapsulated at the NIC */
};

enum dove_delivery {
	DOVE_DELIVER_REDIRECT = 0, /* bpf_redirect() to the interface's egress */
	DOVE_DELIVER_PEER = 1,	   /* bpf_redirect_peer(): veth whose peer is in another namespace */
};

struct dove_port {
	__u32 vnid;
	__u32 endpoint;
	__u8 kind;     /* enum dove_port_kind */
	__u8 delivery; /* enum dove_delivery */
	__u8 mac[6];   /* what it must send from */
};

/*
 * dove_budgets: ifindex of a port or NIC -> its share of the way to the agent,
 * a leaky bucket (ITU-T I.371, GCRA) in bytes. The agent makes the entry and
 * sets the limits, the programs move used_until.
 */
struct dove_budget {
	__u64 used_until;
	__u64 ns_per_kib; /* what a KiB given to the agent costs */
	__u64 burst_ns;	  /* how far ahead of its budget the device may run */
};

/* dove_addrs: who may speak with which address at which port. Writer: agent. Reader: egress. */
struct dove_addr_key {
	struct dove_ip addr;
	__u32 vnid;
	__u32 ifindex;
};

struct dove_addr {
	__u32 endpoint;
	__u8 mac[6];
	__u8 pad[2];
};

/*
 * dove_cache (allowed) and dove_denied (all other answers): the translations.
 * The entry with exact == 0 answers for the pair, whatever the ports. It may
 * say that the pair's answer depends on ports: by rules held in it, or by
 * `scope`: then the entry with exact == 1 and those fields filled decides,
 * and where there is none it is a miss.
 */
#define DOVE_SCOPE_PROTO 0x1
#define DOVE_SCOPE_FROM_PORT 0x2
#define DOVE_SCOPE_TO_PORT 0x4

struct dove_cache_key {
	struct dove_ip dst;
	__u32 source; /* endpoint id; ids are unique over all networks */
	__u16 from_port;
	__u16 to_port;
	__u8 proto;
	__u8 exact;
	__u8 pad[2];
};

enum dove_verdict {
	DOVE_VERDICT_ALLOW = 0,
	DOVE_VERDICT_DENY = 1,
	DOVE_VERDICT_NO_ENDPOINT = 2,
	DOVE_VERDICT_NO_PLACE = 3,
	DOVE_VERDICT_NO_SERVICE = 4,
};

enum dove_state {
	DOVE_ACTIVE = 0,
	DOVE_PENDING = 1, /* packets before this one still wait in the agent: follow them */
};

#define DOVE_RULES_MAX 8

/* One rule of a pair, first match wins. Port ranges are inclusive, 0..65535 is any (also no ports). */
struct dove_rule {
	__u32 policy;
	__u16 from_lo, from_hi;
	__u16 to_lo, to_hi;
	__u8 proto;   /* 0: any */
	__u8 verdict; /* enum dove_verdict */
	__u8 pad[2];
};

struct dove_translation {
	struct dove_ip host; /* underlay address of the destination's host: key of dove_hosts */
	__u64 revision;	     /* S: destination network's revision it was made at */
	__u64 expires;
	__u32 vnid;	/* the destination's; of a refusal, the network whose policy refuses */
	__u32 endpoint; /* the destination's */
	__u32 policy;
	__u8 verdict; /* enum dove_verdict */
	__u8 state;   /* enum dove_state */
	__u8 scope;   /* DOVE_SCOPE_*; 0: decided here, by rules or at once */
	__u8 n_rules; /* 0: verdict and policy hold for every packet of the key */
	__u8 mac[6];  /* the destination's */
	__u8 local;   /* destination is on this host */
	__u8 pad;
	struct dove_rule rules[DOVE_RULES_MAX];
};

/* dove_local: VMs of this host by network and address. Writer: agent. Readers: ingress, egress. */
struct dove_place_key {
	struct dove_ip addr;
	__u32 vnid;
};

struct dove_local {
	__u64 sequence; /* seq(E) */
	__u64 floor;	/* floor(E) */
	__u32 ifindex;
	__u32 endpoint;
	__u8 mac[6];
	__u8 delivery; /* enum dove_delivery */
	__u8 pad;
};

/* dove_moved: where a VM that was here has gone. Writer: agent. Reader: ingress. */
struct dove_moved {
	struct dove_ip host; /* all zero: not known */
	__u64 revision;	     /* of its new place */
	__u64 until;
};

/* dove_policies: numbers of the policies of networks that this host serves. Writer: agent. */
struct dove_policy_key {
	__u32 vnid;
	__u32 policy;
};

struct dove_policy {
	__u64 sequence; /* seq(P) */
	__u64 floor;	/* floor(P) */
	__u32 deleted;
	__u32 pad;
};

/* dove_networks: VNID -> how far this host has watched it. Writer: agent. */
struct dove_network {
	__u64 revision;
	__u64 floor;	   /* floor(N) */
	__u64 alive_until; /* after this the watch counts as silent */
	__u64 judge_until; /* after this no answer that was given while it spoke can still hold */
};

/* dove_hosts: underlay address -> host and the way to it. Writer: agent. Readers: both. */
#define DOVE_HOST_SELF 0x1
#define DOVE_HOST_REACHABLE 0x2

struct dove_host {
	struct dove_ip source; /* our underlay address towards it */
	__u32 id;
	__u32 ifindex; /* of the NIC towards it */
	__u32 mtu;     /* largest inner IP packet */
	__u8 flags;    /* DOVE_HOST_* */
	__u8 src_mac[6];
	__u8 dst_mac[6];
	__u8 pad[3];
};

/* dove_policy_stats: packets that this host sent or refused under a policy. Writer: programs. */
struct dove_policy_stats {
	__u64 packets;
	__u64 bytes;
	__u64 denied;
};

/* dove_stats: per CPU, index enum dove_reason, then enum dove_counter. */
struct dove_stats {
	__u64 packets;
	__u64 bytes;
};

/* dove_events: small records. Limited per kind, network and policy: see dove_event_times. */
enum dove_event_type {
	DOVE_EVENT_STALE = 1,
	DOVE_EVENT_REFUSED,
	DOVE_EVENT_UNKNOWN,
	DOVE_EVENT_NEWER,
	DOVE_EVENT_MOVED,
	DOVE_EVENT_UNKNOWN_ENDPOINT,
	DOVE_EVENT_CANNOT_JUDGE,
	DOVE_EVENT_ORIGIN_STALE, /* seen at our own egress */
};

struct dove_event {
	__u64 time;
	__u64 sequence;	       /* S of the packet, extended to 64 bits */
	__u64 wanted;	       /* least revision that would do */
	struct dove_ip origin; /* underlay address it came from; zero: this host */
	struct dove_ip dst;    /* inner destination */
	__u32 type;	       /* enum dove_event_type */
	__u32 vnid;
	__u32 policy;
	__u32 source; /* endpoint id of the sender */
	__u16 from_port;
	__u16 to_port;
	__u8 proto;
	__u8 processed; /* 1: the packet was delivered all the same */
	__u8 pad[2];
};

struct dove_event_key {
	struct dove_ip origin;
	__u32 type;
	__u32 vnid;
	__u32 policy;
	__u32 source;
};

/*
 * dove_packets: whole packets for the agent. `reason` is DOVE_HELD_*. Egress
 * packets start at the VM's Ethernet header, DOVE_HELD_UNKNOWN ones at the
 * outer one. A record is as long as the smallest class that fits.
 */
struct dove_held {
	__u64 time;
	__u32 ifindex; /* port it came from; DOVE_HELD_UNKNOWN: the NIC */
	__u32 len;     /* bytes of data[] that are packet */
	__u32 reason;
	__u32 vnid;
	__u32 gso_size;
	__u32 pad;
	struct dove_cache_key key; /* exact == 1, all fields as in the packet; ARP: proto 0 */
	__u32 policy;		   /* DOVE_HELD_UNKNOWN: what the packet says */
	__u32 sequence;
	__u8 data[];
};

#define DOVE_HELD_SMALL 192
#define DOVE_HELD_FRAME 1600
#define DOVE_HELD_JUMBO 9232
#define DOVE_HELD_MAX 65664 /* a super-packet of 64 KiB with its headers */

/* Metadata that XDP puts before a frame it stripped. Constant per flow, or GRO merges nothing. */
struct dove_meta {
	__u32 magic;
	__u32 ifindex;
	__u32 delivery;
	__u32 pad;
};

#define DOVE_META_MAGIC (0xD07E0000u + DOVE_LAYOUT)

/* skb->mark of a packet that is encapsulated already, between the agent's injection and the NIC. */
#define DOVE_MARK_ENCAPSULATED 0xD07E6081u

_Static_assert(sizeof(struct dove_cache_key) == 28, "no hidden padding in a key");
_Static_assert(sizeof(struct dove_addr_key) == 24, "no hidden padding in a key");
_Static_assert(sizeof(struct dove_place_key) == 20, "no hidden padding in a key");
_Static_assert(sizeof(struct dove_event_key) == 32, "no hidden padding in a key");
_Static_assert(sizeof(struct dove_rule) == 16, "no hidden padding");
_Static_assert(sizeof(struct dove_translation) == 56 + 16 * DOVE_RULES_MAX, "no hidden padding");
_Static_assert(sizeof(struct dove_host) == 44, "no hidden padding");

#endif
