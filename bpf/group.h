/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a VM sends to many: broadcasts and multicasts go to every VM of the
 * network that policy lets have them. The sender's host makes a copy for each
 * VM of its own and one for each other host (head-end replication), which
 * makes those for its VMs. Who gets one is the agents' work: a list in
 * dove_groups for each sender, protocol and ports, good for one revision.
 */
#ifndef DOVE_GROUP_H
#define DOVE_GROUP_H

#include "deliver.h"
#include "flow.h"
#include "gate.h"
#include "icmp.h"
#include "maps.bpf.h"
#include "packet.h"
#include "translation.h"
#include "tunnel.h"
#include "upcall.h"

/* A list, on its way part by part through bpf_loop(), which the verifier looks at once. */
struct copies {
	struct __sk_buff *skb;
	const struct packet *p;
	const struct dove_group *group; /* the part that is at hand */
	__u16 room;			/* that the skb has for outer headers */
	__u16 mtu;			/* the least of all ways to other hosts; 0: not looked at */
	short rc;			/* 0, or why the rest gets none */
	bool skipped;			/* some host's copy was too big */
};

/*
 * One part of the packet's list. A function of its own: its key is not to be on
 * the stack under all that makes the copies.
 */
static __noinline struct dove_group *group_part(const struct packet *p, __u32 part)
{
	struct dove_group_key key = { .vnid = p->vnid,
				      .source = p->source,
				      .from_port = p->from_port,
				      .to_port = p->to_port,
				      .proto = p->l4_proto,
				      .side = p->group - 1,
				      .part = part };

	return bpf_map_lookup_elem(&dove_groups, &key);
}

/* The list that is good now; NULL: the agent makes one. */
static __noinline const struct dove_group *group_find(struct packet *p, __u32 side)
{
	__u32 vnid = p->vnid; /* 6.1 takes no key out of a global function's argument */
	struct dove_network *net = bpf_map_lookup_elem(&dove_networks, &vnid);
	struct dove_group *group;

	p->group = side + 1;
	group = group_part(p, 0);
	if (!net || !group || group->revision < net->revision || bpf_ktime_get_coarse_ns() >= group->expires)
		return 0;
	return gate_lets(&group->gate, p) ? group : 0;
}

/* group_left() - a packet that was counted at its list's gate is in the ring, or has come to nothing. */
static __noinline int group_left(const struct packet *p, bool held)
{
	struct dove_group *group = p->follows && p->group ? group_part(p, 0) : 0;

	if (group)
		gate_left(&group->gate, held);
	return 0;
}

/* The interface must still be that VM's: indexes are used again, and lists outlive ports. */
static long copy_to_port(__u32 i, struct copies *c)
{
	const struct dove_target *to;
	struct dove_port *port;
	__u32 ifindex;

	if (i >= DOVE_TARGETS_MAX || i >= c->group->n)
		return 1;
	to = &c->group->at[i];
	ifindex = to->ifindex;
	port = bpf_map_lookup_elem(&dove_ports, &ifindex);
	if (port && port->endpoint == to->endpoint && ifindex != c->p->ifindex)
		bpf_clone_redirect(c->skb, ifindex, 0);
	return 0;
}

/* The same skb, with the next host's outer header; the clones keep what they had. */
static long copy_to_host(__u32 i, struct copies *c)
{
	struct label label = { .vnid = c->p->vnid, .sequence = c->group->revision };
	struct dove_host *host;
	struct dove_ip addr;

	if (i >= DOVE_TARGETS_MAX || i >= c->group->n)
		return 1;
	addr = c->group->at[i].host;
	host = bpf_map_lookup_elem(&dove_hosts, &addr);
	if (!host || !(host->flags & DOVE_HOST_REACHABLE)) {
		count(DOVE_COUNT_COPIES_LOST, c->skb->len);
		return 0;
	}
	if (c->skb->len - c->room - sizeof(struct ethhdr) > host->mtu) {
		c->skipped = true;
		return 0;
	}
	if (outer_write(c->skb, c->p, &addr, host, &label, c->p->dmac))
		return 1;
	bpf_clone_redirect(c->skb, host->ifindex, 0);
	return 0;
}

/* Room for the outer headers of the kind of hosts that comes now; IPv6's is larger, and comes after IPv4's. */
static __always_inline int copies_room(struct copies *c, bool v6)
{
	__u32 want = v6 ? sizeof(struct outer6) : sizeof(struct outer4);
	int rc = 0;

	if (!c->room)
		rc = make_room(c->skb, v6);
	else if (c->room < want)
		rc = bpf_skb_adjust_room(c->skb, sizeof(struct outer6) - sizeof(struct outer4),
					 BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_NO_CSUM_RESET);
	c->room = want;
	/* On a NIC that is a bridge's member our program at its egress sees them, too. */
	c->skb->mark = DOVE_MARK_ENCAPSULATED;
	return rc;
}

/* The copies of one part. Who pays: the port; of what came from elsewhere the network. */
static __always_inline int copies_make(struct copies *c)
{
	if (!budget_allows(hold_payer(c->p), DOVE_BUDGET_COPIES, c->group->n))
		return -DOVE_GROUP_LIMITED;
	if (c->group->kind == DOVE_GROUP_PORTS) {
		bpf_loop(DOVE_TARGETS_MAX, copy_to_port, c, 0);
		return 0;
	}
	if (copies_room(c, c->group->kind == DOVE_GROUP_HOSTS_V6))
		return -DOVE_ENCAP_FAILED;
	bpf_loop(DOVE_TARGETS_MAX, copy_to_host, c, 0);
	return 0;
}

static long copy_part(__u32 part, struct copies *c)
{
	c->group = group_part(c->p, part);
	if (!c->group)
		return 1;
	c->rc = copies_make(c);
	return c->rc || !c->group->more;
}

/* In whose name a sender to many is told something: its gateway's, by that one's MAC if there is no address. */
static __always_inline void speak_as_gateway(struct packet *p)
{
	__builtin_memcpy(p->dmac, gateway_mac, sizeof(p->dmac));
	p->dst = p->gateway;
	if (ip_is_unspecified(&p->gateway) || ip_is_v4(&p->gateway))
		p->dst = (struct dove_ip){ .b = { 0xfe, 0x80, [9] = 0xd0, 0x7e, 0xff, 0xfe, [15] = 1 } };
}

static long host_mtu(__u32 i, struct copies *c)
{
	struct dove_host *host;
	struct dove_ip addr;

	if (i >= DOVE_TARGETS_MAX || i >= c->group->n)
		return 1;
	addr = c->group->at[i].host;
	host = bpf_map_lookup_elem(&dove_hosts, &addr);
	if (host && host->flags & DOVE_HOST_REACHABLE && (!c->mtu || host->mtu < c->mtu))
		c->mtu = host->mtu;
	return 0;
}

static long part_mtu(__u32 part, struct copies *c)
{
	c->group = group_part(c->p, part);
	if (!c->group)
		return 1;
	if (c->group->kind != DOVE_GROUP_PORTS)
		bpf_loop(DOVE_TARGETS_MAX, host_mtu, c, 0);
	return !c->group->more;
}

/* RFC 8200, 5: every IPv6 link takes packets of this size. */
#define IPV6_LEAST_MTU 1280

/*
 * Is it too big for any of the hosts? RFC 4443, 2.4 (e.3) has its sender told,
 * also of what went to many; RFC 1122, 3.2.2 has not.
 */
static __always_inline int copies_fit(struct copies *c, struct packet *p)
{
	__u32 len = c->skb->len - (__u32)sizeof(struct ethhdr);

	if (likely(len <= IPV6_LEAST_MTU || p->eth_proto != bpf_htons(ETH_P_IPV6)))
		return 0;
	bpf_loop(DOVE_GROUP_PARTS_MAX, part_mtu, c, 0);
	if (!c->mtu || len <= c->mtu)
		return 0;
	speak_as_gateway(p);
	return complain(c->skb, p, TOO_BIG, c->mtu) ? -DOVE_TOO_BIG : -DOVE_TOO_BIG_ANSWERED;
}

/* Later fragments go where their first went. */
static __always_inline int group_fragment(struct packet *p)
{
	if (likely(!p->first_fragment && !p->later_fragment))
		return 0;
	fragment_ports(p);
	return p->later_fragment && has_ports(p->l4_proto) && !p->has_ports ? -DOVE_FRAGMENT : 0;
}

/*
 * group_copy() - make all copies of the frame; at its sender's host, or behind
 * the outer headers that are still on it. Returns the reason that its way
 * ended with. A global function: the verifier looks at it once.
 */
__noinline int group_copy(struct __sk_buff *skb, struct packet *p, __u32 side)
{
	struct copies c = { .skb = skb, .p = p, .room = unknown_zero, .mtu = unknown_zero };

	if (!p)
		return -DOVE_MULTICAST;
	TRY(group_fragment(p));
	c.group = group_find(p, side);
	if (!c.group)
		return -DOVE_HELD_MISS;
	if (c.group->off)
		return -DOVE_MULTICAST;
	if (p->hook == HOOK_TRACE)
		return -DOVE_REPLICATED;
	if (side == DOVE_GROUP_RECEIVED) {
		TRY(strip_skb(skb, p));
		bpf_skb_change_type(skb, PACKET_HOST);
	} else {
		TRY(copies_fit(&c, p));
	}
	bpf_loop(DOVE_GROUP_PARTS_MAX, copy_part, &c, 0);
	if (c.rc)
		return c.rc;
	return c.skipped ? -DOVE_TOO_BIG : -DOVE_REPLICATED;
}

/* hold_in_order() - to the agent, and the gate at which the packet was counted hears what became of it. */
static __always_inline int hold_in_order(struct __sk_buff *skb, struct packet *p, struct decision *d, int rc)
{
	rc = hold(skb, p, rc);
	if (p->group)
		group_left(p, !is_drop(-rc));
	else
		decision_left(p, d, !is_drop(-rc));
	return rc;
}

#endif
