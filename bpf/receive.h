/* SPDX-License-Identifier: GPL-2.0 */
/* The ingress path: from the underlay to a VM. One parser and one set of checks serve XDP and TC. */
#ifndef DOVE_RECEIVE_H
#define DOVE_RECEIVE_H

#include "deliver.h"
#include "flow.h"
#include "group.h"
#include "packet.h"
#include "path.h"
#include "relay.h"
#include "route.h"
#include "rows.h"
#include "stale.h"
#include "tunnel.h"
#include "upcall.h"

/* Up to the inner ports: what a parser may need in one piece. */
#define OUTER_HEADERS (sizeof(struct outer6) + VM_HEADERS)
/* A plain stream has at least this in its linear part: outer, Ethernet, IP, and ports. */
#define OUTER_LEAST (sizeof(struct outer6) + sizeof(struct ethhdr) + sizeof(struct ipv6hdr) + 4)

/* As least_linear(), behind outer headers of either kind. */
static __always_inline __u32 least_received(void *data, void *end)
{
	struct outer4 *o4 = data;
	struct outer6 *o6 = data;
	struct ethhdr *inner;

	if (data + OUTER_LEAST > end)
		return OUTER_HEADERS;
	inner = o4->eth.h_proto == bpf_htons(ETH_P_IPV6) ? (void *)(o6 + 1) : (void *)(o4 + 1);
	return is_plain(inner->h_proto, inner + 1) ? OUTER_LEAST : OUTER_HEADERS;
}

/*
 * The sender must be a host that the service named to us. Another authority's VMs are at hosts of which
 * no watch of ours tells, and may send to networks that are here: the agent finds out about those.
 */
static __noinline int origin_check(struct packet *p)
{
	__u32 to = p->vnid, from = p->source_vnid;

	if (!bpf_map_lookup_elem(&dove_networks, &to) || bpf_map_lookup_elem(&dove_networks, &from))
		return -DOVE_UNKNOWN_HOST;
	return -DOVE_HELD_HOP;
}

/* The VM's frame inside: untagged Ethernet, IP. */
static __always_inline int inner_parse(void *at, void *end, __u32 room, struct packet *p)
{
	TRY(parse_ethernet(at, end, p));
	if (!is_ip(p->eth_proto))
		return -DOVE_NOT_IP;
	return parse_ip(at + sizeof(struct ethhdr), end, room - sizeof(struct ethhdr), p);
}

/* Who is here and has the address, or is the way out to the external network that has it. */
static __always_inline struct dove_local *local_find(struct packet *p, struct dove_place_key *key)
{
	struct dove_local *to = place_find(key, p);

	if (likely(to))
		return to;
	p->external = prefix_external(p->vnid, &p->dst);
	if (!p->external)
		return 0;
	key->addr = external_ip(p->external);
	return bpf_map_lookup_elem(&dove_local, key);
}

/* Who shall have it: one who is here, or who has left lately; then *j says how it is with its number. */
static __noinline int destination_find(struct packet *p, struct dove_local **to, struct judgement *j)
{
	struct dove_place_key key = { .addr = p->dst, .vnid = p->vnid };

	*to = local_find(p, &key);
	if (*to)
		return likely(!(*to)->held_until) || bpf_ktime_get_coarse_ns() >= (*to)->held_until
			       ? 0
			       : -DOVE_HELD_MOVED;
	/* Its network may have left with it. */
	TRY(relay_find(p, &key, j));
	j->sequence = p->sequence;
	return bpf_map_lookup_elem(&dove_networks, &key.vnid) ? -DOVE_UNKNOWN_ENDPOINT
							      : -DOVE_UNKNOWN_NETWORK;
}

/* It is not for one who is here: who sent it shall know better. */
static __always_inline int report_missed(struct packet *p, const struct judgement *j, int rc)
{
	if (rc == -DOVE_RELAYED)
		event_report(DOVE_EVENT_MOVED, p, j, DOVE_RELAYED);
	else if (rc == -DOVE_UNKNOWN_ENDPOINT)
		event_report(DOVE_EVENT_UNKNOWN_ENDPOINT, p, j, DOVE_UNKNOWN_ENDPOINT);
	return rc;
}

/* What becomes of a packet below a floor. Who relayed it is not who sent it, and has no use for it. */
static __always_inline __u32 refused_reason(const struct packet *p)
{
	if (p->stage || cfg_refused == DOVE_REFUSED_DROP || p->hook == HOOK_DOOR)
		return DOVE_REFUSED;
	return cfg_refused == DOVE_REFUSED_RETURN && !p->relays ? DOVE_RETURNED : DOVE_HELD_REFUSED;
}

/* Is the policy that it was sent under still good enough? The checks of docs/staleness.md, in order. */
static __always_inline int policy_check(const struct packet *p, const struct dove_local *to,
					struct judgement *j)
{
	judge_received(p, to, j);
	switch (j->fresh) {
	case FRESH:
		return 0;
	case FRESH_NEWER:
		count(DOVE_COUNT_NEWER, p->len);
		event_report(DOVE_EVENT_NEWER, p, j, DOVE_DELIVERED);
		return 0;
	case FRESH_UNWATCHED:
		event_report(DOVE_EVENT_CANNOT_JUDGE, p, j, DOVE_DELIVERED);
		return 0;
	case STALE:
		count(DOVE_COUNT_STALE, p->len);
		event_report(DOVE_EVENT_STALE, p, j, cfg_refuse_stale ? DOVE_STALE_REFUSED : DOVE_DELIVERED);
		return cfg_refuse_stale ? -DOVE_STALE_REFUSED : 0;
	case STALE_REFUSED:
		event_report(DOVE_EVENT_REFUSED, p, j, refused_reason(p));
		return -(int)refused_reason(p);
	case STALE_UNKNOWN:
		event_report(DOVE_EVENT_UNKNOWN, p, j, DOVE_HELD_UNKNOWN);
		return -DOVE_HELD_UNKNOWN;
	case STALE_CANNOT_JUDGE:
		event_report(DOVE_EVENT_CANNOT_JUDGE, p, j, DOVE_CANNOT_JUDGE);
		return -DOVE_CANNOT_JUDGE;
	case STALE_NO_NETWORK:
		break;
	}
	return -DOVE_UNKNOWN_NETWORK;
}

/*
 * receive() - may this frame from the underlay go to one of our VMs, and to which?
 *
 * data..end is its linear part, frame_len all of it. 0: accepted, for the port
 * p->ifindex.
 * -DOVE_REPLICATED: it is for many; whoever may have it decides.
 * -DOVE_TO_SERVICE: a service of its path is here; hop_receive() decides.
 */
static __always_inline int receive(void *data, void *end, __u32 frame_len, struct packet *p)
{
	struct judgement j = {};
	struct dove_local *to;
	void *inner;
	__u32 room;
	int rc;

	TRY(outer_parse(data, end, frame_len, p, &room));
	inner = data +
		(p->outer_len == sizeof(struct outer4) ? sizeof(struct outer4) : sizeof(struct outer6));
	if (unlikely(!p->known)) {
		rc = origin_check(p);
		if (rc != -DOVE_HELD_HOP)
			return rc;
	}
	TRY(inner_parse(inner, end, room, p));
	if (unlikely(!p->known))
		return -DOVE_HELD_HOP;
	if (unlikely(p->dmac[0] & 1 || p->stage)) {
		TRY(ecn_receive(inner + sizeof(struct ethhdr), end, p));
		return p->stage ? -DOVE_TO_SERVICE : -DOVE_REPLICATED;
	}
	if (unlikely(p->returned))
		return returned_find(p);
	rc = destination_find(p, &to, &j);
	if (unlikely(rc))
		return report_missed(p, &j, rc);
	TRY(policy_check(p, to, &j));
	/* Whose numbers are right need not have been where it should: any other host could say that there was no service. */
	if (unlikely(j.through && !p->served))
		return -DOVE_BYPASSED;
	if (p->track)
		flow_remember(p, p->vnid, to->endpoint, j.sequence);
	p->ifindex = to->ifindex;
	p->delivery = to->delivery;
	return ecn_receive(inner + sizeof(struct ethhdr), end, p);
}

/* receive() at XDP. A global function: the verifier looks at it once, and forgets its many ways. */
__noinline int receive_early(struct xdp_md *ctx, struct packet *p)
{
	return p ? receive((void *)(long)ctx->data, (void *)(long)ctx->data_end, p->len, p) : -DOVE_TRUNCATED;
}

/*
 * Take the outer headers off at XDP. TC ingress delivers by the metadata. Room
 * for it is made first: where there is none the frame goes on as it came, and
 * TC does the whole work.
 */
static __always_inline int strip_xdp(struct xdp_md *ctx, const struct packet *p)
{
	struct dove_meta *meta;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return -DOVE_PASSED;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return -DOVE_PASSED;
	meta->magic = 0;
	if (bpf_xdp_adjust_head(ctx, p->outer_len))
		return -DOVE_PASSED;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return -DOVE_DECAP_FAILED;
	meta->magic = DOVE_META_MAGIC;
	meta->ifindex = p->ifindex;
	meta->delivery = p->delivery;
	meta->pad = 0;
	return -DOVE_STRIPPED;
}

/* Has XDP stripped the frame, and said where it goes? Else it is an ordinary one. */
static __always_inline bool was_stripped(struct __sk_buff *skb, struct packet *p)
{
	struct dove_meta *meta = (void *)(long)skb->data_meta;

	if ((void *)(meta + 1) > (void *)(long)skb->data || meta->magic != DOVE_META_MAGIC)
		return false;
	p->ifindex = meta->ifindex;
	p->delivery = meta->delivery;
	return true;
}

static __always_inline int deliver(struct __sk_buff *skb, struct packet *p)
{
	/* The underlay's Ethernet header made the packet another host's in the kernel's eyes, or will. */
	if (unlikely(skb->pkt_type != PACKET_HOST))
		bpf_skb_change_type(skb, PACKET_HOST);
	return send_to_vm(skb, p, p->ifindex, p->delivery) ? -DOVE_DECAP_FAILED : -DOVE_DELIVERED;
}

/* ---- for a service ---- */

/* By its own answer, which is newer: who sent it asks for that one, too. */
static __always_inline void report_refused(struct packet *p, struct decision *d, __u64 sequence)
{
	d->judged.sequence = sequence;
	d->judged.wanted = d->t->floor;
	event_report(DOVE_EVENT_REFUSED, p, &d->judged, DOVE_REFUSED);
}

/* Which of this host's appliances has it next; in the leg. */
static __noinline int hop_find(struct packet *p, struct decision *d)
{
	static const struct dove_local nobody; /* a hop has no numbers but its network's and its policy's */
	struct leg *leg = leg_here();
	bool far;
	__u32 n;
	int rc;

	if (!leg)
		return -DOVE_NO_SERVICE;
	p->peer = p->source;
	find_external(p);
	if (p->reverse)
		packet_turn(p, p->peer);
	rc = policy_check(p, &nobody, &d->judged);
	far = rc == -DOVE_UNKNOWN_NETWORK;
	if (rc && !far)
		return rc;
	if (p->reverse)
		packet_turn(p, p->peer);
	leg->sequence = d->judged.sequence;
	leg->vnid = p->vnid;
	leg->policy = p->policy;
	leg->source = p->source;
	leg->stage = p->stage;
	leg->reverse = p->reverse;
	__builtin_memcpy(leg->dmac, p->dmac, sizeof(leg->dmac));
	if (unlikely(p->first_fragment || p->later_fragment))
		fragment_ports(p);
	rc = path_find(p, d);
	/* Of another authority's network there are no numbers here, but those of the answer. */
	if (!rc && far)
		leg->sequence = extend(p->sequence, d->t->revision);
	if (!rc)
		rc = path_holds(d, leg->vnid, leg->sequence);
	if (rc == -DOVE_REFUSED && !p->reverse)
		report_refused(p, d, leg->sequence);
	if (rc)
		return rc == -DOVE_HELD_MISS ? -DOVE_HELD_HOP : rc;
	leg->path = d->path;
	n = path_length(leg->path);
	if (p->stage > n)
		return -DOVE_REFUSED;
	/* Who has not the first service before it has had it from another. */
	if (p->stage < n && !p->served)
		return -DOVE_BYPASSED;
	TRY(leg_find(p));
	return leg->stage == p->stage && leg->hop.in ? 0 : -DOVE_NO_SERVICE;
}

/* hop_receive() - a packet with services ahead, of which the next is here: into its appliance, as its sender sent it. */
static __noinline int hop_receive(struct __sk_buff *skb, struct packet *p, struct decision *d)
{
	struct leg *leg = leg_here();
	__u32 ifindex;

	TRY(hop_find(p, d));
	if (!leg)
		return -DOVE_NO_SERVICE;
	TRY(context_write(p));
	count_hop(leg->hop.endpoint, p->len - p->outer_len);
	ifindex = leg->reverse ? leg->hop.out : leg->hop.in;
	if (leg->hop.routed &&
	    bpf_skb_store_bytes(skb, p->outer_len, leg->reverse ? leg->hop.out_mac : leg->hop.in_mac, 6,
				BPF_F_RECOMPUTE_CSUM))
		return -DOVE_DECAP_FAILED;
	/* The tunnel device also takes off the marks by which the appliance's packets could not be encapsulated again. */
	if (leg->hop.delivery == DOVE_DELIVER_TUNNEL && p->len <= 0xffff && p->hook != HOOK_DOOR)
		return leave_to_tunnel(skb, p, ifindex) == -DOVE_TUNNELED ? -DOVE_TO_SERVICE
									  : -DOVE_DECAP_FAILED;
	TRY(strip_skb(skb, p));
	bpf_skb_change_type(skb, PACKET_HOST);
	return send_out(skb, p, ifindex) ? -DOVE_DECAP_FAILED : -DOVE_TO_SERVICE;
}

/* receive() at TC, in the same way. */
__noinline int receive_frame(struct __sk_buff *skb, struct packet *p)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (!p)
		return -DOVE_TRUNCATED;
	/* A short one is there in one piece with less, too. */
	if (data + least_received(data, end) > end && (__u64)(end - data) < skb->len) {
		bpf_skb_pull_data(skb, skb->len < OUTER_HEADERS ? skb->len : OUTER_HEADERS);
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
	}
	return receive(data, end, skb->len, p);
}

/* The ingress path at TC, from the frame to the VM. */
static __always_inline int receive_skb(struct __sk_buff *skb, struct packet *p, struct decision *d)
{
	int rc;

	p->len = skb->len;
	if ((skb->mark & ~DOVE_MARK_IFINDEX) == DOVE_MARK_DELIVER)
		skb->mark = 0; /* ours alone to give */
	/*
	 * Another VLAN on the wire is another network, and none of ours. A driver
	 * that takes the tag off before XDP has it let a frame of one be stripped.
	 */
	if (skb->vlan_present)
		return was_stripped(skb, p) ? -DOVE_TAGGED : -DOVE_PASSED;
	if (was_stripped(skb, p))
		return deliver(skb, p);
	rc = receive_frame(skb, p);
	if (rc == -DOVE_REPLICATED)
		return group_copy(skb, p, DOVE_GROUP_RECEIVED);
	if (rc == -DOVE_TO_SERVICE)
		return hop_receive(skb, p, d);
	if (rc == -DOVE_RELAYED)
		return relay(skb, p);
	if (rc == -DOVE_RETURNED)
		return give_back(skb, p);
	if (rc == -DOVE_HELD_RETURNED)
		return returned_take(skb, p);
	if (rc)
		return rc;
	/*
	 * A length that the UDP header can't say is one that the kernel's tunnel
	 * would refuse; and from the agent's device no way leads there, for the
	 * frame is not for that device's MAC.
	 */
	if (p->delivery == DOVE_DELIVER_TUNNEL && p->len <= 0xffff && p->hook != HOOK_DOOR)
		return leave_to_tunnel(skb, p, p->ifindex);
	TRY(strip_skb(skb, p));
	return deliver(skb, p);
}

/* receive_skb(), and what can't be decided yet to the agent. */
static __always_inline int receive_finish(struct __sk_buff *skb, struct packet *p, struct decision *d, int rc)
{
	if (-rc >= DOVE_HELD_MISS && -rc < DOVE_PASSED)
		rc = hold_in_order(skb, p, d, rc);
	return finish(p, rc);
}

#endif
