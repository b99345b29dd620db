/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * The one contract between the programs in the kernel and user space: keys,
 * values, events and pin names. Compiled by both.
 *
 * Unless a field says otherwise: integers are in host byte order, addresses
 * and MACs are bytes in network order, times are nanoseconds of
 * CLOCK_MONOTONIC (programs read its coarse form). Padding is explicit and
 * zero, for keys are compared whole.
 * The maps' sizes and types stand in bpf/maps.bpf.h.
 *
 * Include after <linux/bpf.h> or vmlinux.h.
 */
#ifndef DOVE_MAPS_H
#define DOVE_MAPS_H

#include "reasons.h"

/*
 * Layout version, part of the pin path (PIN_DIR/vN) and of the XDP metadata's
 * magic. Raise it with every change of a key, value, event or map type.
 */
#define DOVE_LAYOUT 7
#define DOVE_LAYOUT_DIR "v7"

#define DOVE_DEFAULT_PIN_DIR "/sys/fs/bpf/dove"

/* An address of either family; IPv4 as ::ffff:a.b.c.d. Its words are what is compared and copied. */
struct dove_ip {
	union {
		__u8 b[16];
		__be32 w[4];
	};
};

/*
 * The one MAC of every network's gateway: each host answers for it itself, so
 * it is never seen on an underlay.
 */
#define DOVE_GATEWAY_MAC                                                                                     \
	{                                                                                                    \
		0x02, 0xd0, 0x7e, 0x00, 0x00, 0x01                                                           \
	}

/*
 * An external network in the place of an address: 100::/64 is the discard
 * prefix (RFC 6666), which nobody has; the id stands in the last four bytes,
 * network order.
 */
#define DOVE_EXTERNAL_WORD 0x01000000u /* the first of its four words, in host byte order */

/* dove_ports: ifindex -> what is behind that interface. Writer: agent. Readers: all programs. */
enum dove_port_kind {
	DOVE_PORT_VM = 1,	/* frames are taken at the port and leave by redirect */
	DOVE_PORT_BRIDGED = 2,	/* member of a Linux bridge: checked at the port, encapsulated at the NIC */
	DOVE_PORT_EXTERNAL = 3, /* the host's own kernel stands behind it and routes to an external network */
	DOVE_PORT_SERVICE = 4,	/* an appliance: out comes what went in, and goes on on its path */
};

enum dove_delivery {
	DOVE_DELIVER_REDIRECT = 0, /* bpf_redirect() to the interface's egress */
	DOVE_DELIVER_PEER = 1,	   /* bpf_redirect_peer(): veth whose peer is in another namespace */
	DOVE_DELIVER_TUNNEL =
		2, /* by the tunnel device, which leaves super-packets whole; then as REDIRECT */
};

struct dove_port {
	__u32 vnid;
	__u32 endpoint;
	__u8 kind;     /* enum dove_port_kind */
	__u8 delivery; /* enum dove_delivery */
	__u8 mac[6];   /* what it must send from */
	__u32 qos;     /* key of dove_qos: its limit for all that it sends; 0: none */
};

/*
 * dove_budgets: what a device (ifindex), a network (VNID with the bit
 * DOVE_BUDGET_NETWORK) or another host (its id with DOVE_BUDGET_HOST) may cost others, as leaky buckets (ITU-T I.371, GCRA).
 * The agent makes the entry and sets the limits, the programs move used_until.
 */
#define DOVE_BUDGET_NETWORK 0x80000000u
#define DOVE_BUDGET_HOST 0x40000000u

enum dove_budget_kind {
	DOVE_BUDGET_HELD,    /* packets given to the agent; unit: a byte */
	DOVE_BUDGET_ANSWERS, /* ICMP errors, resets and packets given back; unit: one */
	DOVE_BUDGET_COPIES,  /* of its broadcasts and multicasts; unit: one */
	DOVE_BUDGET_KINDS,
};

struct dove_bucket {
	__u64 used_until;
	__u64 ns_per_1024; /* what 1024 units cost */
	__u64 burst_ns;	   /* how far ahead of its budget it may run */
};

struct dove_budget {
	struct dove_bucket of[DOVE_BUDGET_KINDS];
};

/* dove_addrs: who may speak with which address at which port. Writer: agent. Reader: egress. */
struct dove_addr_key {
	struct dove_ip addr;
	__u32 vnid;
	__u32 ifindex;
};

struct dove_addr {
	struct dove_ip gateway; /* of the address's subnet; all zero: none */
	__u32 endpoint;
	__u8 mac[6];
	__u8 pad[2];
};

/*
 * dove_prefixes: where a packet goes that a VM sends to its gateway, longest
 * prefix first. Key: an LPM trie's, `bits` counts from vnid on; IPv4 prefixes
 * are those of ::ffff:0:0/96. Writer: agent. Readers: both.
 */
struct dove_prefix_key {
	__u32 bits;
	__be32 vnid;
	struct dove_ip addr;
};

struct dove_prefix {
	__u32 external; /* id of an external network; 0: inside, the address decides */
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
	DOVE_VERDICT_REJECT = 5,  /* denied, and the sender is told */
	DOVE_VERDICT_GATEWAY = 6, /* the address is the gateway's */
};

/* What a rule, or an answer without rules, says beside its verdict. */
#define DOVE_RULE_TRACK 0x1   /* allowed: the destination remembers the flow, for its replies */
#define DOVE_RULE_REPLIES 0x2 /* denied: but replies to what is remembered pass */
#define DOVE_RULE_THROUGH 0x4 /* replies to what is remembered go back through its services */

/*
 * dove_translation.gate, dove_group.gate: 0 is open. While packets that came before still wait
 * in the agent it is shut, and who comes joins them: the low half counts who
 * came, the upper half (below the bit that shuts it) who is in the ring. The
 * agent opens it by comparing and swapping (the programs dove_open*), which
 * can't succeed while anybody is on the way whom it has not seen.
 */
#define DOVE_GATE_SHUT 0x8000000000000000ull
#define DOVE_GATE_HELD 0x100000000ull

#define DOVE_RULES_MAX 8

/* One rule of a pair, first match wins. Port ranges are inclusive, 0..65535 is any (also no ports). */
struct dove_rule {
	__u32 policy;
	__u16 from_lo, from_hi;
	__u16 to_lo, to_hi;
	__u8 proto;   /* 0: any */
	__u8 verdict; /* enum dove_verdict */
	__u8 flags;   /* DOVE_RULE_* */
	__u8 path;    /* key of dove_paths; 0: straight to the destination */
	__u32 qos;    /* key of dove_qos; 0: nothing */
};

struct dove_translation {
	struct dove_ip host; /* underlay address of the destination's host: key of dove_hosts */
	__u64 revision;	     /* S: destination network's revision it was made at */
	__u64 expires;
	__u64 gate;  /* DOVE_GATE_* */
	__u64 floor; /* since that revision the same services are asked for */
	__u64 refuses_until; /* where its network is not watched: asked again from then on, instead of refusing; 0: never */
	__u32 vnid;	/* the destination's; of a refusal, the network whose policy refuses */
	__u32 endpoint; /* the destination's */
	__u32 policy;
	__u8 verdict; /* enum dove_verdict */
	__u8 path;    /* as in a rule */
	__u8 scope;   /* DOVE_SCOPE_*; 0: decided here, by rules or at once */
	__u8 n_rules; /* 0: verdict and policy hold for every packet of the key */
	__u8 mac[6];  /* the destination's */
	__u8 local;   /* destination is on this host */
	__u8 flags;   /* DOVE_RULE_* */
	__u32 qos;    /* key of dove_qos; 0: nothing */
	__u32 pad2;
	struct dove_rule rules[DOVE_RULES_MAX];
};

/*
 * What the agent has done by the programs dove_write and dove_open, many at a time: a system call for
 * each takes longer than the work. Not maps of their own, but variables of the programs: `writes`, `openings`.
 */
#define DOVE_WRITES_MAX 128
#define DOVE_OPENINGS_MAX 64

/* An entry, into the map for its kind and out of the other. */
struct dove_write {
	struct dove_cache_key key;
	__u32 denied; /* into dove_denied */
	struct dove_translation t;
	__s32 rc; /* out: 0, or -errno */
	__u32 pad;
};

/* A gate to be opened. */
struct dove_opening {
	struct dove_cache_key key;
	__u32 open; /* out: it is, or it is another entry. 0: somebody came meanwhile, and `gate` says who */
	__u64 expires; /* tells this entry from one that has replaced it */
	__u64 gate;    /* as the agent has seen it last */
};

/*
 * dove_qos: what answers ask for beside their verdict. A row is named by what
 * it says, and never changes: another rate is another row. Writer: agent.
 * Reader: egress; where there is no row the service is asked again.
 */
#define DOVE_DSCP_UNSAID 64
#define DOVE_CLASS_ROOM 64 /* a class's name, the rest zero */
#define DOVE_LAID_MAX 4

/* What else than a tag and a mark the class's path on the underlay is. */
enum dove_laid {
	DOVE_LAID_NOTHING,
	DOVE_LAID_LABELS,     /* MPLS label stack */
	DOVE_LAID_ROUTERS_V4, /* routers that it leads by: an outer header for each */
	DOVE_LAID_ROUTERS_V6,
};

struct dove_qos {
	__u64 ns_per_mib; /* what 2^20 bytes cost; 0: no limit */
	__u64 burst_ns;	  /* how far ahead of its rate a sender may run */
	__u32 policy;	  /* whose limit that is */
	__u32 priority;	  /* of the skb, by which a qdisc classifies; 0: none. This host's for `class` */
	__u16 vlan;	  /* the tag of the class's path on the underlay; 0: none */
	__u8 dscp;	  /* of the outer header; DOVE_DSCP_UNSAID */
	__u8 laid;	  /* enum dove_laid */
	__u8 n_laid;	  /* how many of these: up to DOVE_LAID_MAX */
	__u8 laid_len;	  /* bytes that they take before the outer header; 0: none */
	__u8 pad[2];
	__be32 labels[DOVE_LAID_MAX];	       /* as they leave (RFC 3032), outermost first; the rest zero */
	struct dove_ip routers[DOVE_LAID_MAX]; /* first one first, whose way dove_routers has */
	char class[DOVE_CLASS_ROOM];	       /* the name that policies have for it; for people */
};

/*
 * dove_meters: how much of a limit is used. A policy's limit is each sender's
 * own: what it gets does not depend on who else is on its host. Bytes are
 * those of the sender's frames, from Ethernet on, each segment of a
 * super-packet with its headers. Writer: programs; the agent deletes.
 */
struct dove_meter_key {
	__u32 policy; /* id; ids are unique over all networks. 0: the port's own limit */
	__u32 source; /* endpoint id */
};

struct dove_meter {
	__u64 used_until;
	__u64 paced_until; /* the same of those alone that have a departure time */
	struct bpf_spin_lock lock;
	__u32 mean; /* size of a packet of late, bytes */
};

/* dove_local: VMs of this host by network and address. Writer: agent. Readers: ingress, egress. */
struct dove_place_key {
	struct dove_ip addr;
	__u32 vnid;
};

struct dove_local {
	__u64 sequence; /* seq(E) */
	__u64 floor;	/* floor(E) */
	__u64 held_until; /* its device has nobody behind it: the agent holds what comes up to then; 0: deliver */
	__u32 ifindex;
	__u32 endpoint;
	__u32 mtu; /* largest IP packet that its device takes */
	__u8 mac[6];
	__u8 delivery; /* enum dove_delivery */
	__u8 pad[5];
};

/* What becomes of a packet that was sent under a policy below a floor. */
enum dove_refused {
	DOVE_REFUSED_DROP = 0,	  /* its sender's transport sends it again */
	DOVE_REFUSED_RETURN = 1,  /* given back to its origin, which asks anew and sends it again */
	DOVE_REFUSED_FORWARD = 2, /* sent on from here, if the service's new answer lets it */
};

/* dove_moved: where a VM that was here has gone. Writer: agent. Reader: ingress. */
struct dove_moved {
	struct dove_ip host; /* all zero: not known yet, the agent holds what comes */
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
	__u32 through; /* what passes under it comes from a host that has instances of services */
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
#define DOVE_HOST_SERVICES 0x4 /* instances of services are there */

struct dove_host {
	struct dove_ip source; /* our underlay address towards it */
	__u32 id;
	__u32 ifindex; /* of the NIC towards it */
	__u32 mtu;     /* largest inner IP packet */
	__u8 flags;    /* DOVE_HOST_* */
	__u8 src_mac[6];
	__u8 dst_mac[6];
	__u8 pad[3];
	__u32 queue; /* packets of one flow that the NIC holds until their departure time (fq); 0: it holds none */
};

/*
 * dove_routers: underlay address of a path's first router -> the way to it, as a row of dove_hosts. A
 * map of its own: who is only passed is nobody from whom packets are taken. Writer: agent. Reader: egress.
 */

/*
 * dove_flows: flows whose replies pass although nothing else lets them, as the
 * replies look: from whom, to whom. Writers: programs, where a packet is
 * delivered under a policy that says so (DOVE_FLAG_TRACK on the wire); the
 * agent, for a VM that came here with open connections. Reader: egress. The
 * entry holds as long as no floor has risen above its revision; then the agent
 * asks the service whether it still does.
 */
struct dove_flow_key {
	struct dove_ip src;
	struct dove_ip dst;
	__u32 source; /* endpoint id of the one that may reply */
	__u16 from_port;
	__u16 to_port; /* ICMP echo: both ports are its identifier */
	__u8 proto;
	__u8 pad[3];
};

struct dove_flow {
	__u64 seen; /* last packet of either direction, to within DOVE_FLOW_TOUCH_NS */
	__u64 revision;
	__u32 vnid; /* the policy's network */
	__u32 policy;
	__u32 peer; /* endpoint id of the one that began it */
	__u32 pad;
};

#define DOVE_FLOW_TOUCH_NS 1000000000ull
/* How long a silent flow is remembered: RFC 5382 (REQ-5), RFC 4787 (REQ-5), RFC 5508 (REQ-1). */
#define DOVE_FLOW_TCP_NS (7440ull * 1000000000)
#define DOVE_FLOW_UDP_NS (300ull * 1000000000)
#define DOVE_FLOW_ICMP_NS (60ull * 1000000000)

/*
 * dove_paths: number of a path -> the services that it leads through, in order,
 * by their ids at the service; 0 is one that nobody told us of. The numbers are
 * this host's own. Writer: agent.
 */
#define DOVE_PATHS 256
#define DOVE_PATH_HOPS 15 /* the wire counts those ahead in four bits */

struct dove_path {
	__u64 mask;  /* a bit for each service: what has all of another's bits has all of its services */
	__u32 n;     /* 0: no such path */
	__u32 flags; /* DOVE_PATH_* */
	__u32 services[DOVE_PATH_HOPS];
	__u32 pad;
};

#define DOVE_PATH_OPEN 0x1 /* a service without a live instance is left out */
#define DOVE_PATH_MANY 0x2 /* of some of its services the mask says nothing */

/*
 * dove_hops: which instance of a service has a flow, by the flow's hash, the
 * same for both directions and at all hosts that know of the same instances.
 * Dead ones are in no slot; no entry: none is alive. Writer: agent.
 */
#define DOVE_SLOTS 128

struct dove_hop_key {
	__u32 service;
	__u32 slot;
};

struct dove_hop {
	struct dove_ip host; /* where it is: key of dove_hosts; all zero: here */
	__u32 endpoint;
	__u32 in;      /* of one that is here: the port for what goes the path's way ... */
	__u32 out;     /* ... and for what comes back; the same where it has one only */
	__u8 delivery; /* enum dove_delivery, of both */
	__u8 routed;   /* packets must be for its own MAC */
	__u8 in_mac[6];
	__u8 out_mac[6];
	__u8 proxy; /* what goes into a port is answered out of it, too */
	__u8 pad;
};

/*
 * dove_contexts: what went into an appliance, as it is to come out: by the port
 * that it comes out of, and its flow in that direction; of a proxy also by the
 * port that it went into, turned round. Writers, readers: programs.
 */
struct dove_context_key {
	struct dove_ip src;
	struct dove_ip dst;
	__u32 ifindex;
	__u16 from_port; /* of fragments 0; ICMP echo: both ports are its identifier */
	__u16 to_port;
	__u8 proto;
	__u8 pad[3];
};

struct dove_context {
	__u64 seen;	/* as in dove_flow */
	__u64 revision; /* S that it came with, and its network and policy */
	__u32 vnid;
	__u32 policy;
	__u32 source; /* endpoint id of who began the flow */
	__u32 source_vnid;
	__u8 stage; /* services ahead when it came: this one is among them */
	__u8 reverse;
	__u8 smac[6]; /* as it came */
	__u8 dmac[6];
	__u8 pad[2];
};

/* dove_fragments: the ports of a fragmented packet, for its later fragments. Writer, reader: egress. */
struct dove_fragment_key {
	struct dove_ip src;
	struct dove_ip dst;
	__u32 source;
	__u32 id;
	__u8 proto;
	__u8 pad[3];
};

struct dove_fragment {
	__u64 since;
	__u16 from_port;
	__u16 to_port;
	__u32 pad;
};

/* RFC 791: as long as a receiver waits for the rest. */
#define DOVE_FRAGMENT_NS (30ull * 1000000000)

/*
 * dove_groups: who gets what a VM sends to many: at its own host the other
 * hosts of the network and the VMs here, at those hosts the VMs there. Each
 * VM is in it only where policy lets a packet of that sender, protocol and
 * ports reach it. Holds for one revision of the network. Writer: agent.
 */
enum dove_group_side { DOVE_GROUP_SENT = 0, DOVE_GROUP_RECEIVED = 1 };

struct dove_group_key {
	__u32 vnid;
	__u32 source;
	__u16 from_port;
	__u16 to_port;
	__u8 proto;
	__u8 side; /* enum dove_group_side */
	__u8 part; /* a long list has several, from 0 */
	__u8 pad;
};

enum dove_group_kind { DOVE_GROUP_PORTS = 0, DOVE_GROUP_HOSTS_V4 = 1, DOVE_GROUP_HOSTS_V6 = 2 };

struct dove_target {
	struct dove_ip host; /* of DOVE_GROUP_HOSTS_*: key of dove_hosts */
	__u32 ifindex;	     /* of DOVE_GROUP_PORTS */
	__u32 endpoint;
};

#define DOVE_TARGETS_MAX 64
#define DOVE_GROUP_PARTS_MAX 16

struct dove_group {
	__u64 revision;
	__u64 expires;
	__u64 gate; /* DOVE_GATE_*: of the first part, for all */
	__u32 n;
	__u8 kind; /* enum dove_group_kind: of all targets of this part */
	__u8 more; /* another part follows; parts come in the order of their kinds */
	__u8 off;  /* the network carries no broadcast */
	__u8 pad;
	struct dove_target at[DOVE_TARGETS_MAX];
};

/* What dove_open_group is asked, and answers: `gate` is what it was when that was not as expected. */
struct dove_group_opening {
	struct dove_group_key key;
	__u64 expires;
	__u64 gate;
};

/* dove_policy_stats: packets that this host sent or refused under a policy. Writer: programs. */
struct dove_policy_stats {
	__u64 packets;
	__u64 bytes;
	__u64 denied;
	__u64 limited; /* above its rate, or another's that applies too */
};

/* dove_stats: per CPU, index enum dove_reason, then enum dove_counter. */
struct dove_stats {
	__u64 packets;
	__u64 bytes;
};

/*
 * dove_hop_stats: an instance's endpoint id -> what this host has handed to it: sent to its host, or put into its
 * port here. Bytes are those of the inner frames. Writer: programs. Values: struct dove_stats.
 */

/* dove_events: small records. Limited per kind, origin, network, policy and sender: see dove_event_times. */
enum dove_event_type {
	DOVE_EVENT_STALE = 1,
	DOVE_EVENT_REFUSED,
	DOVE_EVENT_UNKNOWN,
	DOVE_EVENT_NEWER,
	DOVE_EVENT_MOVED,
	DOVE_EVENT_UNKNOWN_ENDPOINT,
	DOVE_EVENT_CANNOT_JUDGE,
	DOVE_EVENT_ORIGIN_STALE, /* seen at our own egress */
	DOVE_EVENT_DROPPED,	 /* a sample of what ended: `reason` says why */
	DOVE_EVENT_PROBE, /* a probe came out of an appliance; of the port's endpoint (source): see dove_probe */
};

struct dove_event {
	__u64 time;
	__u64 sequence;	       /* S of the packet, extended to 64 bits */
	__u64 wanted;	       /* least revision that would do */
	struct dove_ip origin; /* underlay address it came from; zero: this host */
	struct dove_ip src;    /* inner source */
	struct dove_ip dst;    /* inner destination, or what stands for its external network */
	__u32 type;	       /* enum dove_event_type */
	__u32 vnid;
	__u32 policy;
	__u32 source; /* endpoint id of the sender */
	__u16 from_port;
	__u16 to_port;
	__u8 proto;
	__u8 processed; /* 1: the packet was delivered all the same */
	__u8 reason;	/* of DOVE_EVENT_DROPPED: enum dove_reason */
	__u8 relays;	/* hosts that have sent it on since its origin: `origin` is the last of them */
};

/*
 * What the agent sends into an appliance's port, to see it come out of the other one: behind an Ethernet header
 * of its own. DOVE_EVENT_PROBE has the number as `sequence`, the token as `wanted`, the endpoint as `policy`.
 * To a routed one it is a request by ARP, from no address (RFC 5227), and by the MAC that is the port's as the
 * end of probes: these two bytes, and its endpoint. Of the reply the event has neither number nor token.
 */
#define DOVE_PROBE_MAC_0 0x06 /* locally administered, unicast */
#define DOVE_PROBE_MAC_1 0xd0
#define DOVE_PROBE_PROTO 0x88B5 /* IEEE Std 802, 9.2.3: for local experiments */
#define DOVE_PROBE_MAGIC 0xD07EA11Eu

struct dove_probe {
	__u32 magic;
	__u32 endpoint; /* of the port that it goes into */
	__u64 number;
	__u64 token; /* of the agent's run: nobody else knows it who has not had the probe */
};

struct dove_event_key {
	struct dove_ip origin;
	__u32 type;
	__u32 vnid;
	__u32 policy;
	__u32 source;
	__u32 reason;
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
	__u32 group; /* to many: the question is that of dove_groups, side DOVE_GROUP_*, plus 1 */
	struct dove_cache_key key; /* exact == 1, all fields as in the packet; ARP, ND: proto 0 */
	__u32 policy;		   /* DOVE_HELD_UNKNOWN: what the packet says */
	__u32 sequence;
	__u32 source_vnid; /* network of key.source, as the packet says */
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

/*
 * skb->mark between two of our programs: encapsulated already; from a bridge's
 * member to its gateway; accepted for the port whose ifindex is in the lower
 * 24 bits, on its way through the tunnel device.
 */
#define DOVE_MARK_ENCAPSULATED 0xD07E6081u
#define DOVE_MARK_ROUTED 0xD07E6082u
#define DOVE_MARK_DELIVER 0xDD000000u
#define DOVE_MARK_IFINDEX 0x00FFFFFFu

/*
 * What stands before a frame that goes through the agent's own device: an
 * Ethernet header of its own, so that the kernel can segment what is behind it.
 */
struct dove_door {
	__u32 magic;
	__u32 ifindex; /* the port, or the NIC of DOVE_DOOR_RECEIVED */
	__u16 way;     /* DOVE_DOOR_* */
	__u8 routed;   /* it is to go by its gateway, whatever its MAC says: 0 or 1 */
	__u8 pad;
	__be16 proto; /* the frame's own */
} __attribute__((packed));

#define DOVE_DOOR_MAGIC 0xD07ED002u
#define DOVE_DOOR_SENT 1     /* a VM's frame that waited */
#define DOVE_DOOR_RECEIVED 2 /* one from the underlay that waited */
#define DOVE_DOOR_CUT 3	     /* of a VM's super-packet, cut on its way out of the device; may wait yet */
#define DOVE_DOOR_PAIR 4     /* the same, cut on its way through the agent's pair of devices */

/* What `dove-agent trace` learns of a packet beside its reason (enum dove_reason). */
struct dove_traced {
	struct dove_ip src, dst;
	struct dove_ip host;
	__u64 revision; /* of the translation; 0: none was found */
	__u64 wanted;	/* least revision that would do */
	__u32 reason;
	__u32 source, source_vnid;
	__u32 endpoint, vnid;
	__u32 policy;
	__u32 external;
	__u32 ifindex; /* of the NIC or port that it would leave by */
	__u32 mtu;
	__u32 qos; /* key of dove_qos */
	__u16 from_port, to_port;
	__u8 proto;
	__u8 verdict; /* enum dove_verdict */
	__u8 flags;   /* DOVE_RULE_* */
	__u8 fresh;   /* enum freshness of bpf/stale.h: 0 is fresh */
	__u8 local;
	__u8 to_gateway;
	__u8 path;	     /* key of dove_paths; 0: none */
	__u8 reverse;	     /* it takes that path backwards, being a reply */
	struct dove_hop hop; /* its first stop on it; endpoint 0: none */
	__u64 path_sequence; /* S that it is labelled with on its way there */
};

_Static_assert(sizeof(struct dove_cache_key) == 28, "no hidden padding in a key");
_Static_assert(sizeof(struct dove_addr_key) == 24, "no hidden padding in a key");
_Static_assert(sizeof(struct dove_place_key) == 20, "no hidden padding in a key");
_Static_assert(sizeof(struct dove_event_key) == 36, "no hidden padding in a key");
_Static_assert(sizeof(struct dove_rule) == 20, "no hidden padding");
_Static_assert(sizeof(struct dove_translation) == 88 + 20 * DOVE_RULES_MAX, "no hidden padding");
_Static_assert(sizeof(struct dove_qos) == 48 + 16 * DOVE_LAID_MAX + DOVE_CLASS_ROOM,
	       "its bytes are its name: no hidden padding");
_Static_assert(sizeof(struct dove_host) == 48, "no hidden padding");
_Static_assert(sizeof(struct dove_flow_key) == 44, "no hidden padding in a key");
_Static_assert(sizeof(struct dove_context_key) == 44, "no hidden padding in a key");
_Static_assert(sizeof(struct dove_context) == 48, "no hidden padding");
_Static_assert(sizeof(struct dove_path) == 80, "no hidden padding");
_Static_assert(sizeof(struct dove_hop) == 44, "no hidden padding");
_Static_assert(sizeof(struct dove_fragment_key) == 44, "no hidden padding in a key");
_Static_assert(sizeof(struct dove_group_key) == 16, "no hidden padding in a key");
_Static_assert(sizeof(struct dove_group) == 32 + 24 * DOVE_TARGETS_MAX, "no hidden padding");
_Static_assert(sizeof(struct dove_local) == 48, "no hidden padding");
_Static_assert(sizeof(struct dove_probe) == 24, "no hidden padding");
_Static_assert(sizeof(struct dove_door) == 14, "it is an Ethernet header to the kernel");

#endif
