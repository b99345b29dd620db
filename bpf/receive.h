/* SPDX-License-Identifier: GPL-2.0 */
/* The ingress path: from the underlay to a VM. One parser and one set of checks serve XDP and TC. */
#ifndef DOVE_RECEIVE_H
#define DOVE_RECEIVE_H

#include "deliver.h"
#include "packet.h"
#include "send.h"
#include "stale.h"
#include "upcall.h"

/* Up to the inner ports: what a parser may need in one piece. */
#define OUTER_HEADERS (sizeof(struct outer) + VM_HEADERS)
/* A plain stream has at least this in its linear part: outer, Ethernet, IPv4, and ports. */
#define OUTER_LEAST (sizeof(struct outer) + sizeof(struct ethhdr) + sizeof(struct iphdr) + 4)

/* Ours is what is UDP to port 6081 of one of this host's underlay addresses; -DOVE_PASSED else. */
static __always_inline int outer_is_ours(const struct outer *o, const void *end)
{
	struct dove_ip to;
	struct dove_host *self;

	if ((void *)&o->geneve > end)
		return -DOVE_PASSED;
	if (o->eth.h_proto != bpf_htons(ETH_P_IP) || o->ip.protocol != IPPROTO_UDP || o->ip.version != 4)
		return -DOVE_PASSED;
	/* Only a first fragment has ports; without it the others end in the host's stack. */
	if (o->ip.frag_off & bpf_htons(IP_OFFSET))
		return -DOVE_PASSED;
	if (o->ip.ihl != 5) {
		/* With options the UDP header is elsewhere: all UDP with options is foreign to us. */
		return -DOVE_PASSED;
	}
	if (o->udp.dest != bpf_htons(DOVE_GENEVE_PORT))
		return -DOVE_PASSED;
	to = ip_from_v4(o->ip.daddr);
	self = bpf_map_lookup_elem(&dove_hosts, &to);
	return self && self->flags & DOVE_HOST_SELF ? 0 : -DOVE_PASSED;
}

static __always_inline int outer_ip_udp(const struct outer *o, __u32 frame_len)
{
	__u32 ip_len = bpf_ntohs(o->ip.tot_len), udp_len = bpf_ntohs(o->udp.len);

	if (o->ip.frag_off & bpf_htons(IP_MF))
		return -DOVE_OUTER_FRAGMENT;
	if (checksum(&o->ip, sizeof(o->ip)))
		return -DOVE_OUTER_MALFORMED;
	if (!ip_len && !udp_len) /* a super-packet, see outer_write() */
		return frame_len > 0xffff ? 0 : -DOVE_OUTER_MALFORMED;
	if (ip_len + sizeof(o->eth) > frame_len || udp_len + sizeof(o->ip) != ip_len)
		return -DOVE_OUTER_MALFORMED;
	if (ip_len < sizeof(*o))
		return -DOVE_TRUNCATED;
	return 0;
}

static __always_inline int outer_geneve(const struct outer *o, struct packet *p)
{
	if (o->geneve.ver_opt_len >> 6 || o->geneve.flags & GENEVE_FLAG_CONTROL)
		return -DOVE_GENEVE_VERSION;
	if (o->geneve.proto != bpf_htons(GENEVE_PROTO_ETHERNET))
		return -DOVE_GENEVE_PROTOCOL;
	if (o->geneve.ver_opt_len != sizeof(o->option) / 4 || !(o->geneve.flags & GENEVE_FLAG_CRITICAL) ||
	    o->option.opt_class != bpf_htons(DOVE_OPT_CLASS) || o->option.type != DOVE_OPT_TYPE ||
	    o->option.words != DOVE_OPT_WORDS)
		return -DOVE_GENEVE_OPTION;
	/* Stages and returned packets belong to service paths; none leads to a host without appliances. */
	if (bpf_ntohl(o->option.stage_vnid) >> 24)
		return -DOVE_GENEVE_OPTION;
	p->vnid = bpf_ntohl(o->geneve.vni) >> 8;
	p->policy = bpf_ntohl(o->option.policy);
	p->sequence = bpf_ntohl(o->option.sequence);
	p->source = bpf_ntohl(o->option.source);
	p->source_vnid = bpf_ntohl(o->option.stage_vnid) & 0xffffff;
	return 0;
}

/* The sender must be a host that the service named to us. */
static __always_inline int outer_origin(const struct outer *o, struct packet *p)
{
	struct dove_host *host;

	p->origin = ip_from_v4(o->ip.saddr);
	host = bpf_map_lookup_elem(&dove_hosts, &p->origin);
	return host && !(host->flags & DOVE_HOST_SELF) ? 0 : -DOVE_UNKNOWN_HOST;
}

/* For the VM's frame: what the outer header says, for a trailer is no part of it. A super-packet says nothing. */
static __always_inline __u32 inner_room(const struct outer *o, __u32 frame_len)
{
	__u32 ip_len = bpf_ntohs(o->ip.tot_len);

	return (ip_len ? ip_len + sizeof(o->eth) : frame_len) - sizeof(*o);
}

/* The VM's frame inside: untagged Ethernet, unicast IPv4. */
static __always_inline int inner_parse(void *at, void *end, __u32 room, struct packet *p)
{
	TRY(parse_ethernet(at, end, p));
	if (p->eth_proto != bpf_htons(ETH_P_IP))
		return -DOVE_NOT_IP;
	if (p->dmac[0] & 1)
		return -DOVE_MULTICAST;
	return parse_ipv4(at + sizeof(struct ethhdr), end, room - sizeof(struct ethhdr), p);
}

/* Who shall have it. One that has moved away, or was never here, is somebody else's. */
static __always_inline int destination_find(struct packet *p, struct dove_local **to)
{
	struct dove_place_key key = { .addr = p->dst, .vnid = p->vnid };
	struct judgement none = {};
	struct dove_moved *moved;

	*to = bpf_map_lookup_elem(&dove_local, &key);
	if (*to)
		return 0;
	if (!bpf_map_lookup_elem(&dove_networks, &p->vnid))
		return -DOVE_UNKNOWN_NETWORK;
	none.sequence = p->sequence;
	moved = bpf_map_lookup_elem(&dove_moved, &key);
	if (moved && bpf_ktime_get_coarse_ns() < moved->until) {
		none.wanted = moved->revision;
		event_report(DOVE_EVENT_MOVED, p, &none, false);
		return -DOVE_MOVED;
	}
	event_report(DOVE_EVENT_UNKNOWN_ENDPOINT, p, &none, false);
	return -DOVE_UNKNOWN_ENDPOINT;
}

/* Is the policy that it was sent under still good enough? The checks of docs/staleness.md, in order. */
static __always_inline int policy_check(const struct packet *p, const struct dove_local *to)
{
	struct judgement j = {};

	judge_received(p, to, &j);
	switch (j.fresh) {
	case FRESH:
		return 0;
	case FRESH_NEWER:
		count(DOVE_COUNT_NEWER, p->len);
		event_report(DOVE_EVENT_NEWER, p, &j, true);
		return 0;
	case FRESH_UNWATCHED:
		event_report(DOVE_EVENT_CANNOT_JUDGE, p, &j, true);
		return 0;
	case STALE:
		count(DOVE_COUNT_STALE, p->len);
		event_report(DOVE_EVENT_STALE, p, &j, !cfg_refuse_stale);
		return cfg_refuse_stale ? -DOVE_STALE_REFUSED : 0;
	case STALE_REFUSED:
		event_report(DOVE_EVENT_REFUSED, p, &j, false);
		return -DOVE_REFUSED;
	case STALE_UNKNOWN:
		event_report(DOVE_EVENT_UNKNOWN, p, &j, false);
		return -DOVE_HELD_UNKNOWN;
	case STALE_CANNOT_JUDGE:
		event_report(DOVE_EVENT_CANNOT_JUDGE, p, &j, false);
		return -DOVE_CANNOT_JUDGE;
	case STALE_NO_NETWORK:
		break;
	}
	return -DOVE_UNKNOWN_NETWORK;
}

/*
 * receive() - may this frame from the underlay go to one of our VMs, and to which?
 *
 * data..end is its linear part, frame_len all of it. 0: accepted for *to.
 */
static __always_inline int receive(void *data, void *end, __u32 frame_len, struct packet *p,
				   struct dove_local **to)
{
	struct outer *o = data;

	TRY(outer_is_ours(o, end));
	if ((void *)(o + 1) > end)
		return -DOVE_TRUNCATED;
	TRY(outer_ip_udp(o, frame_len));
	TRY(outer_geneve(o, p));
	TRY(outer_origin(o, p));
	TRY(inner_parse(o + 1, end, inner_room(o, frame_len), p));
	TRY(destination_find(p, to));
	return policy_check(p, *to);
}

/*
 * Take the outer headers off at TC. What is removed lies behind the outer
 * Ethernet header, which then becomes the inner one.
 */
static __always_inline int strip_skb(struct __sk_buff *skb)
{
	struct ethhdr inner;

	if (bpf_skb_load_bytes(skb, sizeof(struct outer), &inner, sizeof(inner)))
		return -DOVE_DECAP_FAILED;
	if (bpf_skb_adjust_room(skb, -(__s32)sizeof(struct outer), BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET))
		return -DOVE_DECAP_FAILED;
	if (bpf_skb_store_bytes(skb, 0, &inner, sizeof(inner), BPF_F_RECOMPUTE_CSUM))
		return -DOVE_DECAP_FAILED;
	/* What the NIC verified was the outer checksum; fails where it verified none, which is fine. */
	bpf_csum_level(skb, BPF_CSUM_LEVEL_DEC);
	return 0;
}

/*
 * Take them off at XDP. TC ingress delivers by the metadata. Room for it is
 * made first: where there is none the frame goes on as it came, and TC does
 * the whole work.
 */
static __always_inline int strip_xdp(struct xdp_md *ctx, const struct dove_local *to)
{
	struct dove_meta *meta;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return -DOVE_PASSED;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return -DOVE_PASSED;
	meta->magic = 0;
	if (bpf_xdp_adjust_head(ctx, sizeof(struct outer)))
		return -DOVE_PASSED;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > (void *)(long)ctx->data)
		return -DOVE_DECAP_FAILED;
	meta->magic = DOVE_META_MAGIC;
	meta->ifindex = to->ifindex;
	meta->delivery = to->delivery;
	meta->pad = 0;
	return -DOVE_STRIPPED;
}

/* A frame that XDP has stripped: 0 and where it goes, else it is an ordinary one. */
static __always_inline bool was_stripped(struct __sk_buff *skb, struct dove_meta *out)
{
	struct dove_meta *meta = (void *)(long)skb->data_meta;

	if ((void *)(meta + 1) > (void *)(long)skb->data || meta->magic != DOVE_META_MAGIC)
		return false;
	*out = *meta;
	return true;
}

static __always_inline int deliver(struct __sk_buff *skb, struct packet *p, __u32 ifindex, __u32 delivery)
{
	/* The underlay's Ethernet header made the packet another host's in the kernel's eyes, or will. */
	bpf_skb_change_type(skb, PACKET_HOST);
	return send_to_vm(skb, p, ifindex, delivery) ? -DOVE_DECAP_FAILED : -DOVE_DELIVERED;
}

/* The ingress path at TC, from the frame to the VM. */
static __always_inline int receive_skb(struct __sk_buff *skb, struct packet *p)
{
	struct dove_local *to;
	struct dove_meta meta;
	void *data, *end;

	p->len = skb->len;
	/*
	 * Another VLAN on the wire is another network, and none of ours. A driver
	 * that takes the tag off before XDP has it let a frame of one be stripped.
	 */
	if (skb->vlan_present)
		return was_stripped(skb, &meta) ? -DOVE_TAGGED : -DOVE_PASSED;
	if (was_stripped(skb, &meta))
		return deliver(skb, p, meta.ifindex, meta.delivery);
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + OUTER_LEAST > end) {
		bpf_skb_pull_data(skb, skb->len < OUTER_HEADERS ? skb->len : OUTER_HEADERS);
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
	}
	TRY(receive(data, end, p->len, p, &to));
	TRY(strip_skb(skb));
	return deliver(skb, p, to->ifindex, to->delivery);
}

#endif
