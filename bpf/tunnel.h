/* SPDX-License-Identifier: GPL-2.0 */
/* What stands before a VM's frame on the underlay (maps/wire.h): writing it, reading it, taking it off. */
#ifndef DOVE_TUNNEL_H
#define DOVE_TUNNEL_H

#include "count.h"
#include "maps.bpf.h"
#include "packet.h"
#include "rows.h"

#define EINVAL 22
#define EALREADY 114
/* linux/bpf.h: length of the inner Ethernet header, in the flags' upper byte. */
#define ADJ_ROOM_ENCAP_L2(len) ((__u64)(len) << 56)
/* linux/bpf.h has these since 6.3. */
#define ADJ_ROOM_DECAP_L3_IPV4 (1ull << 7)
#define ADJ_ROOM_DECAP_L3_IPV6 (1ull << 8)
#define OUTER_TTL 64
/* RFC 8926, 3.3: source ports from the dynamic range, by the inner flow. */
#define SOURCE_PORT_BASE 0xC000

/* Accessed by words, though it lies at an odd number of half words: no architecture that loads these programs minds. */
struct tunnel {
	struct udphdr udp;
	struct geneve_hdr geneve;
	struct dove_option option;
} __attribute__((packed, aligned(4)));

struct outer4 {
	struct ethhdr eth;
	struct iphdr ip;
	struct tunnel tunnel;
} __attribute__((packed));

struct outer6 {
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct tunnel tunnel;
} __attribute__((packed));

_Static_assert(sizeof(struct outer4) == DOVE_OVERHEAD_V4, "what is added is what stands before the frame");
_Static_assert(sizeof(struct outer6) == DOVE_OVERHEAD_V6, "what is added is what stands before the frame");

/* What the option and the VNI say of a packet that is sent. */
struct label {
	__u32 vnid;
	__u32 policy;
	__u32 sequence;
	bool track;
	bool reverse;
	__u8 stage;
};

/* ---- marks of the header: RFC 6040 for ECN, RFC 2983 for DSCP, RFC 6438 for the flow label ---- */

#define ECN_MASK 0x3
#define ECN_ECT1 0x1
#define ECN_ECT0 0x2
#define ECN_CE 0x3

/*
 * ECN as the packet has it; DSCP too, unless a policy, or else this host, sets
 * another one. That is the outer header's alone, the VM's own arrives: the
 * pipe model of RFC 2983.
 */
static __always_inline __u8 outer_tos(const struct packet *p)
{
	if (p->marked)
		return (__u8)((p->marked - 1) << 2) | (p->tos & ECN_MASK);
	return cfg_outer_dscp < 0 ? p->tos : (__u8)(cfg_outer_dscp << 2) | (p->tos & ECN_MASK);
}

/* RFC 6040, 4.2: what the inner ECN field becomes, or -1 where the packet must be dropped. */
static __always_inline int ecn_combined(__u8 inner, __u8 outer)
{
	inner &= ECN_MASK;
	outer &= ECN_MASK;
	if (outer == ECN_CE)
		return inner ? ECN_CE : -1;
	return outer == ECN_ECT1 && inner == ECN_ECT0 ? ECN_ECT1 : inner;
}

/* Write it into the inner header at `at`, whose bounds are checked already by the parser's being there. */
static __always_inline int ecn_receive(void *at, void *end, struct packet *p)
{
	int ecn = ecn_combined(p->tos, p->outer_tos);
	struct iphdr *ip4 = at;
	struct ipv6hdr *ip6 = at;
	__u32 check;

	if (ecn < 0)
		return -DOVE_CONGESTED;
	if (likely(ecn == (p->tos & ECN_MASK)))
		return 0;
	if (p->eth_proto == bpf_htons(ETH_P_IPV6)) {
		if ((void *)(ip6 + 1) > end)
			return -DOVE_TRUNCATED;
		ip6->flow_lbl[0] = (ip6->flow_lbl[0] & 0xcf) | ecn << 4;
		return 0;
	}
	if ((void *)(ip4 + 1) > end)
		return -DOVE_TRUNCATED;
	/* RFC 1624: the field grows by the difference, its complement in the sum shrinks. */
	check = (__u16)~ip4->check;
	check += bpf_htons(ecn) + (__u16)~bpf_htons(ip4->tos & ECN_MASK);
	check = (check & 0xffff) + (check >> 16);
	check = (check & 0xffff) + (check >> 16);
	ip4->check = ~check;
	ip4->tos = (ip4->tos & ~ECN_MASK) | ecn;
	return 0;
}

/* ---- writing ---- */

static __always_inline void tunnel_write(struct tunnel *t, const struct packet *p, const struct label *label,
					 __u32 hash, __u32 udp_len)
{
	__u32 flags = label->stage << 4 | (label->track ? DOVE_FLAG_TRACK : 0) |
		      (label->reverse ? DOVE_FLAG_REVERSE : 0);

	*t = (struct tunnel){
		.udp = { .source = bpf_htons(SOURCE_PORT_BASE | (hash & 0x3fff)),
			 .dest = bpf_htons(DOVE_GENEVE_PORT),
			 .len = bpf_htons(udp_len) },
		.geneve = { .ver_opt_len = sizeof(t->option) / 4,
			    .flags = GENEVE_FLAG_CRITICAL,
			    .proto = bpf_htons(GENEVE_PROTO_ETHERNET),
			    .vni = bpf_htonl(label->vnid << 8) },
		.option = { .opt_class = bpf_htons(DOVE_OPT_CLASS),
			    .type = DOVE_OPT_TYPE,
			    .words = DOVE_OPT_WORDS,
			    .policy = bpf_htonl(label->policy),
			    .sequence = bpf_htonl(label->sequence),
			    .source = bpf_htonl(p->source),
			    .stage_vnid = bpf_htonl(flags << 24 | (p->source_vnid & 0xffffff)) },
	};
}

static __always_inline void ethernet_write(struct ethhdr *eth, const struct dove_host *host, __be16 proto)
{
	mac_copy(eth->h_dest, host->dst_mac);
	mac_copy(eth->h_source, host->src_mac);
	eth->h_proto = proto;
}

/* A super-packet is longer than the length fields can say; then they are 0, and segmentation writes them anew. */
static __always_inline void outer4_write(struct outer4 *o, const struct dove_ip *to,
					 const struct dove_host *host, const struct packet *p,
					 const struct label *label, __u32 hash, __u32 inner_len)
{
	__u32 udp_len = inner_len + sizeof(o->tunnel), ip_len = udp_len + sizeof(o->ip);
	struct iphdr *ip = &o->ip; /* by words, too */

	if (ip_len > 0xffff)
		ip_len = udp_len = 0;
	ethernet_write(&o->eth, host, bpf_htons(ETH_P_IP));
	*ip = (struct iphdr){ .version = 4,
			      .ihl = 5,
			      .tos = outer_tos(p),
			      .tot_len = bpf_htons(ip_len),
			      .frag_off = bpf_htons(IP_DF),
			      .ttl = OUTER_TTL,
			      .protocol = IPPROTO_UDP,
			      .saddr = ip_to_v4(&host->source),
			      .daddr = ip_to_v4(to) };
	ip->check = checksum(ip, sizeof(*ip));
	tunnel_write(&o->tunnel, p, label, hash, udp_len);
}

static __always_inline void outer6_write(struct outer6 *o, const struct dove_ip *to,
					 const struct dove_host *host, const struct packet *p,
					 const struct label *label, __u32 hash, __u32 inner_len)
{
	__u32 udp_len = inner_len + sizeof(o->tunnel);
	__u8 tos = outer_tos(p);

	if (udp_len > 0xffff)
		udp_len = 0;
	ethernet_write(&o->eth, host, bpf_htons(ETH_P_IPV6));
	o->ip = (struct ipv6hdr){ .version = 6,
				  .priority = tos >> 4,
				  .flow_lbl = { tos << 4 | (hash >> 16 & 0xf), hash >> 8, hash },
				  .payload_len = bpf_htons(udp_len),
				  .nexthdr = IPPROTO_UDP,
				  .hop_limit = OUTER_TTL };
	__builtin_memcpy(&o->ip.saddr, &host->source, sizeof(o->ip.saddr));
	__builtin_memcpy(&o->ip.daddr, to, sizeof(o->ip.daddr));
	tunnel_write(&o->tunnel, p, label, hash, udp_len);
}

/*
 * Room for the outer headers between Ethernet and IP. The flags keep a
 * super-packet one, and its checksum offloaded. A frame that is encapsulated
 * already (a tunnel inside the VM) is refused with them, -EALREADY, and gets
 * plain room, which is right as long as nothing must be segmented.
 *
 * The flow's hash is made before: the kernel keeps it, while afterwards it
 * would be that of the headers of which nothing is written yet.
 */
static __always_inline int make_room(struct __sk_buff *skb, bool v6)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET | BPF_F_ADJ_ROOM_ENCAP_L4_UDP |
		      BPF_F_ADJ_ROOM_ENCAP_L2_ETH | ADJ_ROOM_ENCAP_L2(sizeof(struct ethhdr));
	int len = v6 ? sizeof(struct outer6) : sizeof(struct outer4), rc;

	bpf_get_hash_recalc(skb);
	flags |= v6 ? BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 : BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
	rc = bpf_skb_adjust_room(skb, len, BPF_ADJ_ROOM_MAC, flags);
	if (rc == -EALREADY && !skb->gso_size)
		rc = bpf_skb_adjust_room(skb, len, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_NO_CSUM_RESET);
	return rc;
}

/* The VM's Ethernet header, which make_room() has left before the room, behind the outer headers. */
static __always_inline int inner_ethernet_write(void *at, void *end, const struct packet *p, const __u8 *dmac)
{
	struct ethhdr *inner = at;

	if ((void *)(inner + 1) > end)
		return -DOVE_ENCAP_FAILED;
	mac_copy(inner->h_dest, dmac);
	mac_copy(inner->h_source, p->smac);
	inner->h_proto = p->eth_proto;
	return 0;
}

/* Fill the room that make_room() made, for the host at the underlay's address `to`. */
static __always_inline int outer_write(struct __sk_buff *skb, const struct packet *p,
				       const struct dove_ip *to, const struct dove_host *host,
				       const struct label *label, const __u8 *dmac)
{
	__u32 hash = skb->hash; /* as make_room() has left it */
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (ip_is_v4(to)) {
		TRY(inner_ethernet_write(data + sizeof(struct outer4), end, p, dmac));
		outer4_write(data, to, host, p, label, hash, skb->len - sizeof(struct outer4));
	} else {
		TRY(inner_ethernet_write(data + sizeof(struct outer6), end, p, dmac));
		outer6_write(data, to, host, p, label, hash, skb->len - sizeof(struct outer6));
	}
	return 0;
}

/* ---- reading ---- */

/*
 * Is it for one of this host's underlay addresses? That from which its sender would be answered is one: then
 * what says who the sender is says that, too, and nothing else has to be looked up.
 */
static __always_inline bool is_for_us(struct packet *p, const struct dove_ip *to)
{
	struct dove_ip origin = p->origin; /* 6.1 takes no key out of a global function's argument */
	struct dove_host *from = host_find(&origin, p), *self;

	p->known = from && !(from->flags & DOVE_HOST_SELF);
	p->served = p->known && from->flags & DOVE_HOST_SERVICES;
	if (likely(p->known && from->flags & DOVE_HOST_REACHABLE && ip_equal(&from->source, to)))
		return true;
	self = bpf_map_lookup_elem(&dove_hosts, to);
	return self && self->flags & DOVE_HOST_SELF;
}

/* Lengths as the headers say, against the frame: a super-packet says 0, see outer4_write(). */
static __always_inline int lengths_check(__u32 ip_len, __u32 udp_len, __u32 ip_header, __u32 frame_len)
{
	if (!ip_len && !udp_len)
		return frame_len > 0xffff ? 0 : -DOVE_OUTER_MALFORMED;
	if (ip_len + sizeof(struct ethhdr) > frame_len || udp_len + ip_header != ip_len)
		return -DOVE_OUTER_MALFORMED;
	if (udp_len < sizeof(struct tunnel) + sizeof(struct ethhdr))
		return -DOVE_TRUNCATED;
	return 0;
}

/*
 * Ours is what is UDP to port 6081 of one of this host's underlay addresses,
 * in IP without options; -DOVE_PASSED else. Later fragments have no ports, and
 * end in the host's stack without their first.
 */
static __always_inline int outer4_parse(struct outer4 *o, void *end, __u32 frame_len, struct packet *p)
{
	struct iphdr *ip = &o->ip;
	struct tunnel *tunnel = &o->tunnel;
	struct dove_ip to;

	if ((void *)&tunnel->geneve > end)
		return -DOVE_PASSED;
	if (ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_UDP ||
	    ip->frag_off & bpf_htons(IP_OFFSET) || tunnel->udp.dest != bpf_htons(DOVE_GENEVE_PORT))
		return -DOVE_PASSED;
	to = ip_from_v4(ip->daddr);
	p->origin = ip_from_v4(ip->saddr);
	if (!is_for_us(p, &to))
		return -DOVE_PASSED;
	if ((void *)(o + 1) > end)
		return -DOVE_TRUNCATED;
	if (ip->frag_off & bpf_htons(IP_MF))
		return -DOVE_OUTER_FRAGMENT;
	if (checksum(ip, sizeof(*ip)))
		return -DOVE_OUTER_MALFORMED;
	p->outer_len = sizeof(*o);
	p->outer_tos = ip->tos;
	return lengths_check(bpf_ntohs(ip->tot_len), bpf_ntohs(tunnel->udp.len), sizeof(*ip), frame_len);
}

static __always_inline int outer6_parse(struct outer6 *o, void *end, __u32 frame_len, struct packet *p)
{
	__u32 payload;
	struct dove_ip to;

	if ((void *)&o->tunnel.geneve > end)
		return -DOVE_PASSED;
	if (o->ip.version != 6 || o->ip.nexthdr != IPPROTO_UDP ||
	    o->tunnel.udp.dest != bpf_htons(DOVE_GENEVE_PORT))
		return -DOVE_PASSED;
	to = ip_from_v6(&o->ip.daddr);
	p->origin = ip_from_v6(&o->ip.saddr);
	if (!is_for_us(p, &to))
		return -DOVE_PASSED;
	if ((void *)(o + 1) > end)
		return -DOVE_TRUNCATED;
	p->outer_len = sizeof(*o);
	p->outer_tos = o->ip.priority << 4 | o->ip.flow_lbl[0] >> 4;
	payload = bpf_ntohs(o->ip.payload_len);
	return lengths_check(payload ? payload + sizeof(o->ip) : 0, bpf_ntohs(o->tunnel.udp.len),
			     sizeof(o->ip), frame_len);
}

static __always_inline int tunnel_parse(const struct tunnel *t, struct packet *p)
{
	__u32 bits = bpf_ntohl(t->option.stage_vnid);

	if (t->geneve.ver_opt_len >> 6 || t->geneve.flags & GENEVE_FLAG_CONTROL)
		return -DOVE_GENEVE_VERSION;
	if (t->geneve.proto != bpf_htons(GENEVE_PROTO_ETHERNET))
		return -DOVE_GENEVE_PROTOCOL;
	if (t->geneve.ver_opt_len != sizeof(t->option) / 4 || !(t->geneve.flags & GENEVE_FLAG_CRITICAL) ||
	    t->option.opt_class != bpf_htons(DOVE_OPT_CLASS) || t->option.type != DOVE_OPT_TYPE ||
	    t->option.words != DOVE_OPT_WORDS)
		return -DOVE_GENEVE_OPTION;
	p->stage = bits >> 28;
	p->reverse = p->stage && bits >> 24 & DOVE_FLAG_REVERSE;
	p->vnid = bpf_ntohl(t->geneve.vni) >> 8;
	p->policy = bpf_ntohl(t->option.policy);
	p->sequence = bpf_ntohl(t->option.sequence);
	p->source = bpf_ntohl(t->option.source);
	p->source_vnid = bits & 0xffffff;
	p->track = bits >> 24 & DOVE_FLAG_TRACK;
	p->relays = p->stage ? 0 : bits >> 24 & DOVE_FLAG_RELAYED;
	p->returned = bits >> 24 & DOVE_FLAG_RETURNED;
	/* What is at a hop of its path is neither for many nor given back. */
	return p->stage && p->returned ? -DOVE_GENEVE_OPTION : 0;
}

/*
 * outer_parse() - the outer headers of a frame that is for us; p->outer_len says how long they are.
 *
 * data..end is the linear part, frame_len the whole. *room is what the outer
 * headers leave to the VM's frame: a trailer is no part of it.
 */
static __always_inline int outer_parse(void *data, void *end, __u32 frame_len, struct packet *p, __u32 *room)
{
	struct outer4 *o4 = data;
	struct outer6 *o6 = data;
	struct ethhdr *eth = data;
	__u32 udp_len;

	if (data + sizeof(struct ethhdr) > end)
		return -DOVE_PASSED;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		TRY(outer4_parse(o4, end, frame_len, p));
		TRY(tunnel_parse(&o4->tunnel, p));
		udp_len = bpf_ntohs(o4->tunnel.udp.len);
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		TRY(outer6_parse(o6, end, frame_len, p));
		TRY(tunnel_parse(&o6->tunnel, p));
		udp_len = bpf_ntohs(o6->tunnel.udp.len);
	} else {
		return -DOVE_PASSED;
	}
	*room = udp_len ? udp_len - sizeof(struct tunnel) : frame_len - p->outer_len;
	return 0;
}

/* ---- taking it off ---- */

static __always_inline void ethernet_copy(struct ethhdr *to, const struct ethhdr *from)
{
	mac_copy(to->h_dest, from->h_dest);
	mac_copy(to->h_source, from->h_source);
	to->h_proto = from->h_proto;
}

/*
 * The family of what is inside may be another than that which the kernel knows
 * the packet by. Since 6.3 the flag says the new one. Before, only
 * bpf_skb_change_proto() can, and it takes away, or adds, the difference of
 * the two headers itself: what is behind the Ethernet header is written anew.
 */
static __always_inline int strip_room(struct __sk_buff *skb, const struct packet *p)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET;
	bool v6_in = p->eth_proto == bpf_htons(ETH_P_IPV6), v6_out = p->outer_len == sizeof(struct outer6);
	__u8 head[sizeof(struct outer6) - sizeof(struct outer4)];
	int rc;

	if (v6_in == v6_out)
		return bpf_skb_adjust_room(skb, -(__s32)p->outer_len, BPF_ADJ_ROOM_MAC, flags);
	rc = bpf_skb_adjust_room(skb, -(__s32)p->outer_len, BPF_ADJ_ROOM_MAC,
				 flags | (v6_in ? ADJ_ROOM_DECAP_L3_IPV6 : ADJ_ROOM_DECAP_L3_IPV4));
	if (rc != -EINVAL)
		return rc;
	if (!v6_in) {
		rc = bpf_skb_adjust_room(skb, -(__s32)sizeof(struct outer4), BPF_ADJ_ROOM_MAC, flags);
		return rc ? rc : bpf_skb_change_proto(skb, bpf_htons(ETH_P_IP), 0);
	}
	if (bpf_skb_load_bytes(skb, sizeof(struct outer4) + sizeof(struct ethhdr), head, sizeof(head)))
		return -EINVAL;
	rc = bpf_skb_adjust_room(skb, -(__s32)sizeof(struct outer6), BPF_ADJ_ROOM_MAC, flags);
	rc = rc ? rc : bpf_skb_change_proto(skb, bpf_htons(ETH_P_IPV6), 0);
	return rc ? rc : bpf_skb_store_bytes(skb, sizeof(struct ethhdr), head, sizeof(head), 0);
}

/*
 * Take the outer headers off at TC. What is removed lies behind the outer
 * Ethernet header, which then becomes the inner one: no sum over the packet
 * begins before what is behind it.
 */
static __noinline int strip_skb(struct __sk_buff *skb, const struct packet *p)
{
	struct ethhdr *at = (void *)(long)skb->data + p->outer_len, inner;

	if ((void *)(at + 1) > (void *)(long)skb->data_end)
		return -DOVE_DECAP_FAILED;
	ethernet_copy(&inner, at);
	if (strip_room(skb, p))
		return -DOVE_DECAP_FAILED;
	at = (void *)(long)skb->data;
	if ((void *)(at + 1) > (void *)(long)skb->data_end)
		return -DOVE_DECAP_FAILED;
	ethernet_copy(at, &inner);
	/* What the NIC verified was the outer checksum; fails where it verified none, which is fine. */
	bpf_csum_level(skb, BPF_CSUM_LEVEL_DEC);
	return 0;
}

/* ---- leaving that to the tunnel device ---- */

#define VXLAN_FLAG_VNI 0x08000000u

struct vxlan_hdr {
	__be32 flags;
	__be32 vni;
};

/* The VXLAN header takes the place of Geneve's and our option, and is so much shorter. */
#define VXLAN_SHORTER (sizeof(struct geneve_hdr) + sizeof(struct dove_option) - sizeof(struct vxlan_hdr))

static __always_inline void udp_shorten(struct udphdr *udp)
{
	udp->len = bpf_htons(bpf_ntohs(udp->len) - VXLAN_SHORTER);
	udp->check = 0;
}

static __always_inline int vxlan_rewrite4(struct __sk_buff *skb, const struct vxlan_hdr *vxlan)
{
	struct {
		struct iphdr ip;
		struct udphdr udp;
		struct vxlan_hdr vxlan;
	} h;

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &h, sizeof(h)))
		return -EINVAL;
	h.vxlan = *vxlan;
	h.ip.tot_len = bpf_htons(bpf_ntohs(h.ip.tot_len) - VXLAN_SHORTER);
	h.ip.check = 0;
	h.ip.check = checksum(&h.ip, sizeof(h.ip));
	udp_shorten(&h.udp);
	if (bpf_skb_adjust_room(skb, -(__s32)VXLAN_SHORTER, BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET))
		return -EINVAL;
	return bpf_skb_store_bytes(skb, sizeof(struct ethhdr), &h, sizeof(h), 0);
}

static __always_inline int vxlan_rewrite6(struct __sk_buff *skb, const struct vxlan_hdr *vxlan)
{
	struct {
		struct ipv6hdr ip;
		struct udphdr udp;
		struct vxlan_hdr vxlan;
	} h;

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &h, sizeof(h)))
		return -EINVAL;
	h.vxlan = *vxlan;
	h.ip.payload_len = bpf_htons(bpf_ntohs(h.ip.payload_len) - VXLAN_SHORTER);
	udp_shorten(&h.udp);
	if (bpf_skb_adjust_room(skb, -(__s32)VXLAN_SHORTER, BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET))
		return -EINVAL;
	return bpf_skb_store_bytes(skb, sizeof(struct ethhdr), &h, sizeof(h), 0);
}

/*
 * leave_to_tunnel() - let an accepted frame fall into the tunnel device, for
 * the port `ifindex`. The kernel's own tunnel receive takes the encapsulation's
 * marks off a super-packet, which nothing in BPF can, and without which a tap
 * gets it cut to pieces. Where that device is a VXLAN one the frame becomes VXLAN.
 */
static __noinline int leave_to_tunnel(struct __sk_buff *skb, struct packet *p, __u32 ifindex)
{
	struct vxlan_hdr vxlan = { .flags = bpf_htonl(VXLAN_FLAG_VNI), .vni = bpf_htonl(p->vnid << 8) };
	int rc = 0;

	if (cfg_tunnel_vxlan)
		rc = p->outer_len == sizeof(struct outer6) ? vxlan_rewrite6(skb, &vxlan)
							   : vxlan_rewrite4(skb, &vxlan);
	if (rc)
		return -DOVE_DECAP_FAILED;
	skb->mark = DOVE_MARK_DELIVER | (ifindex & DOVE_MARK_IFINDEX);
	p->action = TC_ACT_UNSPEC;
	return -DOVE_TUNNELED;
}

#endif
