/* SPDX-License-Identifier: GPL-2.0 */
/* The egress path: from a VM's interface to another VM's, or to the underlay. */
#ifndef DOVE_SEND_H
#define DOVE_SEND_H

#include "answer.h"
#include "count.h"
#include "deliver.h"
#include "flow.h"
#include "group.h"
#include "icmp.h"
#include "laid.h"
#include "packet.h"
#include "path.h"
#include "qos.h"
#include "route.h"
#include "rows.h"
#include "sender.h"
#include "translation.h"
#include "tunnel.h"
#include "upcall.h"

/* Out of a device of the agent's that cuts super-packets. */
static __always_inline int cut_by(struct __sk_buff *skb, struct packet *p, __u32 ifindex, __u16 way)
{
	struct dove_door door = {
		.magic = DOVE_DOOR_MAGIC, .ifindex = p->ifindex, .way = way, .proto = p->eth_proto
	};

	__builtin_memcpy(&door.routed, &p->to_gateway, 1);

	if (!ifindex || bpf_skb_change_head(skb, sizeof(door), 0) ||
	    bpf_skb_store_bytes(skb, 0, &door, sizeof(door), 0))
		return -DOVE_ENCAP_FAILED;
	return send_out(skb, p, ifindex) ? -DOVE_ENCAP_FAILED : -DOVE_SEGMENTING;
}

/*
 * A super-packet that is encapsulated already, by a tunnel inside the VM, can
 * get no further headers that segmentation would understand. The agent's
 * device can't take super-packets, so the kernel cuts it on the way there, and
 * what comes out comes back one by one, and is a plain packet then.
 */
static __always_inline int segment_first(struct __sk_buff *skb, struct packet *p)
{
	return skb->ifindex == cfg_door ? -DOVE_ENCAP_FAILED : cut_by(skb, p, cfg_door, DOVE_DOOR_SENT);
}

/* The kernel keeps it up to the NIC's queue. Fails for what is not IP, and outer headers are. */
static __always_inline void depart_later(struct __sk_buff *skb, const struct packet *p)
{
	if (unlikely(p->departs))
		bpf_skb_set_tstamp(skb, p->departs, BPF_SKB_TSTAMP_DELIVERY_MONO);
}

/*
 * So must one be that leaves under labels, or by routers: behind what those
 * put before it the kernel would look for headers that it does not know. That
 * is no rarity, so what cuts it is a pair of devices, and the agent sees
 * nothing of it.
 */
static __always_inline int segment_in_kernel(struct __sk_buff *skb, struct packet *p)
{
	if (p->hook == HOOK_CUT)
		return -DOVE_ENCAP_FAILED;
	depart_later(skb, p);
	return cut_by(skb, p, cutter, DOVE_DOOR_PAIR);
}

/* Its sender was to be told: rc says whether that was possible. */
static __always_inline int told(struct __sk_buff *skb, struct packet *p, int rc, int yes, int no)
{
	if (rc == -ENOTSUPP)
		return segment_first(skb, p) == -DOVE_SEGMENTING ? -DOVE_SEGMENTING : no;
	return rc ? no : yes;
}

/* What comes out of an appliance is not its own: who sent it can't be told there. */
static __always_inline int too_big(struct __sk_buff *skb, struct packet *p, __u32 mtu)
{
	if (p->stage)
		return -DOVE_TOO_BIG;
	return told(skb, p, complain(skb, p, TOO_BIG, mtu), -DOVE_TOO_BIG_ANSWERED, -DOVE_TOO_BIG);
}

/*
 * Room for the outer headers, and a hop less to live inside. Only in this order: what is cut first comes back,
 * and must have its hop left. A global function: the verifier looks at it once, and not for each way there is.
 */
__noinline int outer_room(struct __sk_buff *skb, struct packet *p, bool v4)
{
	int rc;

	if (!p)
		return -DOVE_ENCAP_FAILED;
	if (unlikely(p->laid && skb->gso_size))
		return segment_in_kernel(skb, p);
	rc = make_room(skb, !v4);
	if (rc == -EALREADY)
		return segment_first(skb, p);
	if (rc)
		return -DOVE_ENCAP_FAILED;
	if (!p->to_gateway)
		return 0;
	return v4 ? route_hop(skb, p, sizeof(struct outer4)) : route_hop(skb, p, sizeof(struct outer6));
}

static __noinline int encapsulate(struct __sk_buff *skb, struct packet *p, const struct decision *d,
				  const struct dove_host *host)
{
	struct label label = { .vnid = d->t->vnid,
			       .policy = d->policy,
			       .sequence = d->t->revision,
			       .track = d->flags & DOVE_RULE_TRACK && d->verdict == DOVE_VERDICT_ALLOW };

	return outer_write(skb, p, &d->t->host, host, &label, d->t->mac);
}

/*
 * Behind a bridge the packet is on the NIC already and goes on by itself; by
 * another NIC it passes that one's egress program next, which knows it by its
 * mark.
 */
static __always_inline int leave_by(struct __sk_buff *skb, struct packet *p, const struct dove_host *host)
{
	depart_later(skb, p);
	/* What waits has one of the NIC's queues for each sender, for others' packets in it wait, too. */
	if (unlikely(p->departs))
		bpf_set_hash(skb, p->source * 0x9e3779b1);
	if (unlikely(p->laid))
		TRY(laid_push(skb, p));
	/* The tag of the path stays beside the packet until a device that can't do that writes it. */
	else if (unlikely(p->vlan) && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), p->vlan))
		return -DOVE_ENCAP_FAILED;
	if (p->hook == HOOK_NIC_EGRESS && host->ifindex == skb->ifindex) {
		p->action = TC_ACT_UNSPEC;
		return -DOVE_ENCAPSULATED;
	}
	if (p->hook != HOOK_PORT)
		skb->mark = DOVE_MARK_ENCAPSULATED;
	return send_out(skb, p, host->ifindex) ? -DOVE_ENCAP_FAILED : -DOVE_ENCAPSULATED;
}

/* To another host. */
static __always_inline int send_to_host(struct __sk_buff *skb, struct packet *p, const struct decision *d)
{
	struct dove_host *host = host_find(&d->t->host, p);
	__u32 mtu = host ? host->mtu : 0;

	if (unlikely(p->laid))
		host = laid_way(p, &d->t->host, host, &mtu);
	if (!host || !(host->flags & DOVE_HOST_REACHABLE))
		return -DOVE_HELD_NEXT_HOP;
	if (wire_size(skb, p) > mtu)
		return too_big(skb, p, mtu);
	if (p->hook == HOOK_TRACE)
		return -DOVE_ENCAPSULATED;
	TRY(outer_room(skb, p, ip_is_v4(&d->t->host)));
	TRY(encapsulate(skb, p, d, host));
	return leave_by(skb, p, host);
}

/* The destination's and the sender's MAC on the frame itself. */
static __always_inline int readdress(struct __sk_buff *skb, const struct packet *p, const __u8 *dmac)
{
	__u8 macs[12];

	__builtin_memcpy(macs, dmac, 6);
	__builtin_memcpy(macs + 6, p->smac, 6);
	return bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0);
}

/* To a VM of this host, under the same numbers that hold for packets from elsewhere. */
static __noinline int send_to_neighbour(struct __sk_buff *skb, struct packet *p, struct decision *d)
{
	struct dove_place_key key = { .addr = route_target(p), .vnid = d->t->vnid };
	struct dove_local *to = bpf_map_lookup_elem(&dove_local, &key);

	if (!to || d->judged.sequence < to->floor)
		return -DOVE_HELD_MISS;
	if (unlikely(to->held_until && bpf_ktime_get_coarse_ns() < to->held_until))
		return -DOVE_HELD_NEXT_HOP;
	if (d->judged.sequence < to->sequence) {
		d->judged.fresh = STALE;
		d->judged.wanted = newest(d->judged.wanted, to->sequence);
	}
	if (wire_size(skb, p) > to->mtu)
		return too_big(skb, p, to->mtu);
	if (p->hook == HOOK_TRACE)
		return -DOVE_DELIVERED_LOCAL;
	if (d->flags & DOVE_RULE_TRACK && d->verdict == DOVE_VERDICT_ALLOW)
		flow_remember(p, key.vnid, to->endpoint, d->judged.sequence);
	if (p->to_gateway)
		TRY(route_hop(skb, p, 0));
	if (readdress(skb, p, to->mac))
		return -DOVE_ENCAP_FAILED;
	skb->mark = 0;
	return send_to_vm(skb, p, to->ifindex, to->delivery) ? -DOVE_ENCAP_FAILED : -DOVE_DELIVERED_LOCAL;
}

/* A stale translation is used once more, and the agent told to get the new one. */
static __always_inline void report_old(struct packet *p, const struct decision *d)
{
	if (d->judged.fresh == STALE)
		event_report(DOVE_EVENT_ORIGIN_STALE, p, &d->judged, DOVE_DELIVERED);
}

/* parse_frame() as a global function: the verifier looks at it once, and forgets its many ways. */
__noinline int frame_begin(struct __sk_buff *skb, struct packet *p)
{
	return p ? parse_frame(skb, p) : -DOVE_TRUNCATED;
}

/* What a VM may send at all: IP, in its own name. What it asks its network is answered here, and ends. */
static __always_inline int send_begin(struct __sk_buff *skb, struct packet *p, const struct dove_port *port)
{
	TRY(frame_begin(skb, p));
	TRY(sender_port(port, p));
	if (p->eth_proto == bpf_htons(ETH_P_ARP))
		return arp_answer(skb, p);
	if (!is_ip(p->eth_proto))
		return -DOVE_NOT_IP;
	if (unlikely(is_discovery(p)))
		return discovery_answer(skb, p);
	TRY(sender_check(skb, port, p));
	if (unlikely(!(p->dmac[0] & 1) && ip_is_multicast(&p->dst)))
		return -DOVE_MALFORMED;
	route_begin(p);
	return 0;
}

/* A refusal that its sender may be told of; a reply to what was let through is none. */
static __always_inline int refuse(struct __sk_buff *skb, struct packet *p, const struct decision *d, int rc)
{
	if (rc == -DOVE_GATEWAY)
		return told(skb, p, gateway_answer(skb, p), -DOVE_GATEWAY_ANSWERED, rc);
	if (route_ends(p))
		return told(skb, p, complain(skb, p, TIME_EXCEEDED, 0), -DOVE_EXPIRED_ANSWERED,
			    -DOVE_EXPIRED);
	if (rc == -DOVE_NO_ENDPOINT && p->to_gateway)
		return told(skb, p, complain(skb, p, HOST_UNREACHABLE, 0), -DOVE_UNREACHABLE_ANSWERED, rc);
	if (rc == -DOVE_REJECTED && p->l4_proto == IPPROTO_TCP)
		return told(skb, p, reset(skb, p), rc, -DOVE_DENIED);
	if (rc == -DOVE_REJECTED)
		return told(skb, p, complain(skb, p, PROHIBITED, 0), rc, -DOVE_DENIED);
	return rc;
}

/* The translation, and what it makes of this packet: 0, to be sent, or its end. */
static __always_inline int decide(struct __sk_buff *skb, struct packet *p, struct decision *d)
{
	int rc;

	if (unlikely(p->first_fragment || p->later_fragment))
		fragment_ports(p);
	rc = translation_find(p, d);
	p->policy = d->policy;
	if (((rc == -DOVE_DENIED || rc == -DOVE_REJECTED) && d->flags & DOVE_RULE_REPLIES) ||
	    (!rc && d->flags & DOVE_RULE_THROUGH)) {
		int reply = flow_lets(skb, p);

		if (reply != -DOVE_DENIED)
			rc = reply;
	}
	if (d->t && d->verdict != DOVE_VERDICT_ALLOW && rc == verdict_reason(d->verdict) && refusal_due(p, d))
		rc = -DOVE_HELD_MISS;
	if (rc == -DOVE_DENIED || rc == -DOVE_REJECTED)
		count_policy(p, p->vnid, d->policy, POLICY_DENIED);
	return rc == -DOVE_HELD_MISS || rc == -DOVE_HELD_FLOW || (!rc && !route_ends(p))
		       ? rc
		       : refuse(skb, p, d, rc);
}

/*
 * Does the NIC that the packet leaves by pace what has a departure time? Of
 * what is delivered here no NIC sees anything, and where a service's path
 * leads is not known yet: that is policed.
 */
static __always_inline void queue_find(struct packet *p, const struct decision *d)
{
	struct dove_host *host = 0;

	if (!d->t->local && !d->path)
		host = bpf_map_lookup_elem(&dove_hosts, &d->t->host);
	p->queue = host ? host->queue : 0;
}

/* What the answer asks for beside its verdict, before anything is done to the packet. */
static __noinline int qos_begin(struct __sk_buff *skb, struct packet *p, const struct decision *d, __u32 port)
{
	__u32 id = qos_id(d);
	int rc;

	if (likely(!id && !port))
		return 0;
	queue_find(p, d);
	rc = id ? qos_apply(skb, p, id) : 0;

	if (!rc && port)
		rc = qos_port(skb, p, port);
	if (rc == -DOVE_RATE_LIMITED)
		count_policy(p, d->t->vnid, d->policy, POLICY_LIMITED);
	return rc;
}

/* ---- through services ---- */

#define STRAIGHT_ON 1 /* no reason, and no end: the destination is next */

static __noinline int hop_encapsulate(struct __sk_buff *skb, struct packet *p, const struct leg *leg,
				      const struct dove_host *host)
{
	struct label label = { .vnid = leg->vnid,
			       .policy = leg->policy,
			       .sequence = leg->sequence,
			       .reverse = leg->reverse,
			       .stage = leg->stage };

	p->source = leg->source;
	return outer_write(skb, p, &leg->hop.host, host, &label, leg->dmac);
}

/* Into an appliance of this host. */
static __noinline int hop_enter(struct __sk_buff *skb, struct packet *p, const struct leg *leg)
{
	__u32 ifindex = leg->reverse ? leg->hop.out : leg->hop.in;
	__u8 mac[6];

	if (p->to_gateway)
		TRY(route_hop(skb, p, 0));
	TRY(context_write(p));
	__builtin_memcpy(mac, leg->dmac, sizeof(mac));
	if (leg->hop.routed)
		__builtin_memcpy(mac, leg->reverse ? leg->hop.out_mac : leg->hop.in_mac, sizeof(mac));
	if (readdress(skb, p, mac))
		return -DOVE_ENCAP_FAILED;
	skb->mark = 0;
	count_hop(leg->hop.endpoint, p->len);
	return send_out(skb, p, ifindex) ? -DOVE_ENCAP_FAILED : -DOVE_TO_SERVICE;
}

/* To the next stop of its leg. */
static __noinline int hop_send(struct __sk_buff *skb, struct packet *p)
{
	struct leg *leg = leg_here();
	struct dove_host *host;
	__u32 mtu;

	if (!leg)
		return -DOVE_NO_SERVICE;
	if (p->hook == HOOK_TRACE) {
		traced_hop = leg->hop;
		traced_sequence = leg->sequence;
	}
	if (leg->hop.in)
		return p->hook == HOOK_TRACE ? -DOVE_TO_SERVICE : hop_enter(skb, p, leg);
	host = host_find(&leg->hop.host, p);
	mtu = host ? host->mtu : 0;
	if (unlikely(p->laid))
		host = laid_way(p, &leg->hop.host, host, &mtu);
	if (!host || !(host->flags & DOVE_HOST_REACHABLE))
		return -DOVE_HELD_NEXT_HOP;
	if (wire_size(skb, p) > mtu)
		return too_big(skb, p, mtu);
	if (p->hook == HOOK_TRACE)
		return -DOVE_ENCAPSULATED;
	TRY(outer_room(skb, p, ip_is_v4(&leg->hop.host)));
	TRY(hop_encapsulate(skb, p, leg, host));
	count_hop(leg->hop.endpoint, p->len);
	return leave_by(skb, p, host);
}

/*
 * A reply to what went through services goes back through them, in reverse,
 * unless its own policies ask for others as well. *d is that path's on a miss.
 */
static __noinline int path_back(struct packet *p, struct decision *d, struct leg *leg)
{
	struct decision first = {};
	__u32 own = p->source;
	int rc;

	p->reverse = true;
	rc = path_find(p, &first);
	if (rc == -DOVE_HELD_MISS) {
		p->vnid = d->t->vnid; /* of the network that it answers to */
		*d = first;
		return -DOVE_HELD_PATH;
	}
	if (rc) { /* what it answers may not pass any more, and left the packet turned */
		packet_turn(p, own);
		p->reverse = false;
		return rc;
	}
	p->reverse = first.path && (!d->path || path_covers(d->path, first.path));
	if (!p->reverse)
		return 0;
	leg->sequence = first.t->revision;
	leg->vnid = first.t->vnid;
	leg->policy = first.policy;
	leg->path = first.path;
	leg->source = p->peer;
	leg->reverse = true;
	return 0;
}

/* A path that leads nowhere is a refusal, and asked for again as one. */
static __always_inline int path_refused(const struct packet *p, struct decision *d, int rc)
{
	judge_sent(d->t, d->policy, p->hook == HOOK_TRACE, &d->judged);
	return d->judged.fresh == STALE || d->judged.fresh == STALE_REFUSED || refusal_due(p, d)
		       ? -DOVE_HELD_MISS
		       : rc;
}

/* From a VM: STRAIGHT_ON where no service is ahead. */
static __noinline int path_begin(struct __sk_buff *skb, struct packet *p, struct decision *d)
{
	struct leg *leg = leg_here();
	int rc;

	if (!leg)
		return -DOVE_NO_SERVICE;
	leg->sequence = d->t->revision;
	leg->vnid = d->t->vnid;
	leg->policy = d->policy;
	leg->source = p->source;
	leg->path = d->path;
	leg->reverse = false;
	__builtin_memcpy(leg->dmac, d->t->mac, sizeof(leg->dmac));
	if (d->flags & DOVE_RULE_THROUGH && p->peer)
		TRY(path_back(p, d, leg));
	if (!leg->path)
		return STRAIGHT_ON;
	d->path = leg->path;
	leg->stage = path_length(leg->path);
	if (!leg->stage)
		return -DOVE_NO_SERVICE;
	rc = leg_find(p);
	if (rc)
		return path_refused(p, d, rc);
	return leg->stage ? hop_send(skb, p) : STRAIGHT_ON;
}

/* Of a reply that has been through all services: who sends it now, and what lets it pass. */
static __always_inline int reply_find(struct packet *p, struct decision *d)
{
	__u32 vnid = d->t->vnid;
	int rc;

	p->source = d->t->endpoint;
	p->source_vnid = vnid;
	rc = translation_find(p, d);
	d->flags &= ~DOVE_RULE_TRACK;
	if ((rc == -DOVE_DENIED || rc == -DOVE_REJECTED) && d->flags & DOVE_RULE_REPLIES)
		rc = 0;
	if (rc == -DOVE_HELD_MISS)
		return -DOVE_HELD_PATH;
	return rc ? rc : STRAIGHT_ON;
}

/* Out of an appliance: STRAIGHT_ON where *d says where the destination is. */
static __noinline int path_continue(struct __sk_buff *skb, struct packet *p, struct decision *d)
{
	struct leg *leg = leg_here();
	__u32 n;

	TRY(context_take(p));
	if (!leg)
		return -DOVE_OFF_PATH;
	if (unlikely(p->first_fragment || p->later_fragment))
		fragment_ports(p);
	TRY(path_find(p, d));
	TRY(path_holds(d, leg->vnid, leg->sequence));
	/* The class holds on each leg; its rate was the origin's to hold. */
	if (unlikely(qos_id(d)) && !p->reverse)
		qos_mark(skb, p, qos_id(d));
	n = path_length(d->path);
	if (p->stage > n)
		return -DOVE_REFUSED;
	leg->path = d->path;
	leg->stage = p->stage - 1;
	if (leg->stage)
		TRY(leg_find(p));
	if (leg->stage)
		return hop_send(skb, p);
	return p->reverse ? reply_find(p, d) : STRAIGHT_ON;
}

static __always_inline int send_plain(struct __sk_buff *skb, struct packet *p, struct decision *d)
{
	int rc = d->t->local ? send_to_neighbour(skb, p, d) : send_to_host(skb, p, d);

	report_old(p, d);
	if (rc == -DOVE_ENCAPSULATED || rc == -DOVE_DELIVERED_LOCAL)
		count_policy(p, d->t->vnid, d->policy, POLICY_SENT);
	return rc;
}

/* An appliance says nothing in its own name but what it asks its network; all else goes on as it went in. */
static __always_inline int send_from_service(struct __sk_buff *skb, struct packet *p,
					     const struct dove_port *port, struct decision *d)
{
	int rc;

	TRY(frame_begin(skb, p));
	if (p->eth_proto == bpf_htons(ETH_P_ARP)) {
		TRY(sender_port(port, p));
		return arp_answer(skb, p);
	}
	if (!is_ip(p->eth_proto))
		return -DOVE_NOT_IP;
	if (p->dmac[0] & 1)
		return -DOVE_OFF_PATH;
	rc = path_continue(skb, p, d);
	p->policy = d->policy;
	if (!d->t) /* as it is only where rc says why; the verifier does not know */
		return rc == STRAIGHT_ON ? -DOVE_OFF_PATH : rc;
	return rc == STRAIGHT_ON ? send_plain(skb, p, d) : rc;
}

/* To where policy lets it go. */
static __always_inline int send_on(struct __sk_buff *skb, struct packet *p, const struct dove_port *port,
				   struct decision *d)
{
	int rc;

	TRY(decide(skb, p, d));
	if (unlikely(qos_id(d) || port->qos))
		TRY(qos_begin(skb, p, d, port->qos));
	if (unlikely(d->path || (d->flags & DOVE_RULE_THROUGH && p->peer))) {
		rc = path_begin(skb, p, d);
		report_old(p, d);
		if (rc == -DOVE_ENCAPSULATED || rc == -DOVE_TO_SERVICE)
			count_policy(p, d->t->vnid, d->policy, POLICY_SENT);
		if (rc != STRAIGHT_ON)
			return rc;
	}
	return send_plain(skb, p, d);
}

/*
 * A bridge member's frame at its port: the NIC's egress program does the rest.
 *
 * The frame gets its destination's MAC, whatever the VM wrote, so that
 * nothing on the bridge but the NIC has a use for it: not the host itself,
 * not another member. Whether it was to be routed is in its mark.
 */
static __always_inline int send_over_bridge(struct __sk_buff *skb, struct packet *p, struct decision *d)
{
	struct dove_cache_key key = {};

	TRY(translation_of_pair(p, &key, d));
	if (d->verdict == DOVE_VERDICT_NO_ENDPOINT || d->verdict == DOVE_VERDICT_GATEWAY) {
		TRY(translation_of_nobody(p, d, 0));
		return refuse(skb, p, d, verdict_reason(d->verdict));
	}
	if (bpf_skb_store_bytes(skb, 0, d->t->mac, 6, 0))
		return -DOVE_ENCAP_FAILED;
	skb->mark = p->to_gateway ? DOVE_MARK_ROUTED : 0;
	return -DOVE_BRIDGED;
}

/*
 * send() - a VM's frame, from the interface it came in by.
 *
 * Returns the reason that its way ended with; *d is how it was decided.
 */
static __always_inline int send(struct __sk_buff *skb, struct packet *p, const struct dove_port *port,
				struct decision *d)
{
	if (unlikely(port->kind == DOVE_PORT_SERVICE))
		return send_from_service(skb, p, port, d);
	TRY(send_begin(skb, p, port));
	if (unlikely(p->dmac[0] & 1))
		return group_copy(skb, p, DOVE_GROUP_SENT);
	if (port->kind == DOVE_PORT_BRIDGED && p->hook == HOOK_PORT)
		return send_over_bridge(skb, p, d);
	return send_on(skb, p, port, d);
}

/* What can't be decided yet goes to the agent; what was looked up is a hit or a miss. */
static __always_inline int send_finish(struct __sk_buff *skb, struct packet *p, struct decision *d, int rc)
{
	switch (-rc) {
	case DOVE_HELD_MISS:
	case DOVE_HELD_NEXT_HOP:
	case DOVE_HELD_FLOW:
	case DOVE_HELD_PATH:
		count(DOVE_COUNT_MISSES, p->len);
		rc = hold_in_order(skb, p, d, rc);
		break;
	case DOVE_ENCAPSULATED:
	case DOVE_DELIVERED_LOCAL:
	case DOVE_TO_SERVICE:
	case DOVE_DENIED:
	case DOVE_REJECTED:
	case DOVE_ARP_ANSWERED:
	case DOVE_ND_ANSWERED:
	case DOVE_REPLICATED:
	case DOVE_TOO_BIG_ANSWERED:
	case DOVE_TOO_BIG:
		count(DOVE_COUNT_HITS, p->len);
	}
	if (is_drop(-rc))
		event_report(DOVE_EVENT_DROPPED, p, &d->judged, -rc);
	return finish(p, rc);
}

#endif
