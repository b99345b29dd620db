/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One packet on its way through a program, and the parsers that fill it.
 *
 * Everything that decides a packet's fate returns 0 to go on or -DOVE_<REASON>
 * to end; maps/reasons.h lists them, finish() in count.h counts them.
 */
#ifndef DOVE_PACKET_H
#define DOVE_PACKET_H

#include "maps/maps.h"
#include "maps/wire.h"

#define ETH_P_IP 0x0800
#define ETH_P_ARP 0x0806
#define ETH_P_IPV6 0x86DD
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88A8
#define ETH_P_QINQ1 0x9100
#define ETH_P_MPLS_UC 0x8847

#define IP_DF 0x4000
#define IP_MF 0x2000
#define IP_OFFSET 0x1FFF

#define IPPROTO_HOPOPTS 0
#define IPPROTO_ICMP 1
#define IPPROTO_IPIP 4
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_DCCP 33
#define IPPROTO_IPV6 41
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_ICMPV6 58
#define IPPROTO_DSTOPTS 60
#define IPPROTO_SCTP 132
#define IPPROTO_UDPLITE 136

/* Go on: to other programs and filters of the device, and then as if there were none. TC_ACT_OK would end that. */
#define TC_ACT_UNSPEC (-1)
#define TC_ACT_SHOT 2
#define PACKET_HOST 0
#define BPF_SKB_TSTAMP_DELIVERY_MONO 1

/* Go on only while all is well. */
#define TRY(step)                                                                                            \
	do {                                                                                                 \
		int _rc = (step);                                                                            \
		if (_rc)                                                                                     \
			return _rc;                                                                          \
	} while (0)

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Which program the packet is in: what may be done with it differs. */
enum hook {
	HOOK_PORT,	  /* TC ingress of a VM's interface */
	HOOK_NIC_EGRESS,  /* TC egress of the NIC, for members of a bridge */
	HOOK_NIC_INGRESS, /* TC ingress of the NIC */
	HOOK_XDP,	  /* XDP of the NIC */
	HOOK_DOOR,	  /* TC ingress of the agent's own device: packets that waited there */
	HOOK_CUT,	  /* the same: frames that a super-packet was cut into */
	HOOK_TUNNEL,	  /* TC ingress of the tunnel device */
	HOOK_TRACE,	  /* BPF_PROG_TEST_RUN for `dove-agent trace`: nothing is sent or changed */
};

struct packet {
	enum hook hook : 8;
	__u8 delivery; /* how it gets to the port it goes to: DOVE_DELIVER_* */
	__u32 ifindex; /* the port it came from, or that it goes to */
	__u32 len;     /* of the frame as it came */
	int action;    /* what the program returns to the kernel */

	/* the VM's frame */
	__u8 dmac[6] __attribute__((aligned(8))); /* compared by words */
	__u16 vlan;				  /* the tag that it leaves with; 0: none */
	__u8 smac[6] __attribute__((aligned(8)));
	__be16 eth_proto;
	__u32 ip_len; /* of the IP packet: Ethernet pads short ones */
	__u16 l3_len; /* of the IP header with its options, or extension headers */
	__u8 l4_proto;
	__u8 tos; /* DSCP and ECN */
	__u8 ttl;
	__u8 icmp_type;
	__u16 icmp_id; /* of an echo, host byte order */
	__u16 from_port;
	__u16 to_port;
	bool has_ports;
	bool first_fragment;
	bool later_fragment;
	bool to_gateway; /* by the MAC: it is to be routed */
	__u32 fragment;	 /* its identification */
	struct dove_ip src;
	struct dove_ip dst;

	/* what is known of it */
	struct dove_ip gateway; /* the sender's; zero: none */
	__u32 external;		/* the external network that has the destination; 0: none */
	__u32 source;		/* endpoint id of the sender */
	__u32 source_vnid;
	__u32 vnid; /* the destination's */
	__u32 policy;
	__u32 sequence;	       /* as on the wire */
	struct dove_ip origin; /* underlay address of the sending host; zero: this one */
	__u8 outer_len;	       /* of the headers that it came in */
	__u8 outer_tos;
	__u8 group;    /* to many: DOVE_GROUP_* of this side, plus 1 */
	bool known;    /* the sending host is one that the service named to us, and not this one */
	bool track;    /* its flow is to be remembered, for the replies */
	bool returned; /* it was ours, and is given back */
	bool follows;  /* it met a shut gate and was counted there: it goes where those before it went */
	__u8 marked;   /* the outer header's DSCP that policy wants, plus 1; 0: none */
	__u8 relays;   /* how many hosts have sent it on, because its VM had moved */
	__u8 stage;    /* services ahead of it as it came; 0: none, or it comes from a VM */
	bool reverse;  /* a reply, on the path of what it answers: its label is that one's */
	bool served;   /* the sending host has instances of services */
	__u8 laid;     /* bytes that its path puts before the outer header; 0: none */
	__u32 quality; /* key of dove_qos: the row that has them */
	__u32 queue;   /* as in dove_host, of the NIC that it leaves by; 0: it is not paced */
	__u64 departs; /* when its rate lets it leave the NIC; 0: at once */
	__u32 peer;    /* of a reply: endpoint id of who began the flow; 0: it is none */
};

static __always_inline struct dove_ip ip_from_v4(__be32 addr)
{
	return (struct dove_ip){ .w = { 0, 0, bpf_htonl(0xffff), addr } };
}

static __always_inline struct dove_ip ip_from_v6(const struct in6_addr *addr)
{
	struct dove_ip ip;

	__builtin_memcpy(&ip, addr, sizeof(ip));
	return ip;
}

static __always_inline __be32 ip_to_v4(const struct dove_ip *ip)
{
	return ip->w[3];
}

static __always_inline bool ip_equal(const struct dove_ip *a, const struct dove_ip *b)
{
	return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->w[2] == b->w[2] && a->w[3] == b->w[3];
}

static __always_inline bool mac_equal(const __u8 *a, const __u8 *b)
{
	return *(__u32 *)a == *(__u32 *)b && *(__u16 *)(a + 4) == *(__u16 *)(b + 4);
}

/*
 * In two accesses, wherever it lies. By bytes, as for what is aligned to none, takes six; and who reads as words
 * what was written as bytes waits until all of them are in the cache.
 */
static __always_inline void mac_copy(void *to, const void *from)
{
	*(__u32 *)to = *(const __u32 *)from;
	*(__u16 *)(to + 4) = *(const __u16 *)(from + 4);
}

static __always_inline bool has_ports(__u8 proto)
{
	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_DCCP:
	case IPPROTO_SCTP:
	case IPPROTO_UDPLITE:
		return true;
	}
	return false;
}

static __always_inline bool is_tag(__be16 eth_proto)
{
	return eth_proto == bpf_htons(ETH_P_8021Q) || eth_proto == bpf_htons(ETH_P_8021AD) ||
	       eth_proto == bpf_htons(ETH_P_QINQ1);
}

/* RFC 1071 over an even, constant number of bytes, on top of `sum`; 0 where the sum that they contain is right. */
static __always_inline __sum16 checksum_from(__u32 sum, const void *at, const __u32 bytes)
{
	const __u16 *word = at;

	for (__u32 i = 0; i < bytes / 2; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline __sum16 checksum(const void *at, const __u32 bytes)
{
	return checksum_from(0, at, bytes);
}

/* Ethernet header at `at`; -DOVE_TAGGED also for a tag inside, which we would carry unseen. */
static __always_inline int parse_ethernet(void *at, void *end, struct packet *p)
{
	struct ethhdr *eth = at;

	if ((void *)(eth + 1) > end)
		return -DOVE_TRUNCATED;
	mac_copy(p->dmac, eth->h_dest);
	mac_copy(p->smac, eth->h_source);
	p->eth_proto = eth->h_proto;
	return is_tag(p->eth_proto) ? -DOVE_TAGGED : 0;
}

/* Packets hold no other address that looks so: ip_is_reserved(). */
static __always_inline bool ip_is_v4(const struct dove_ip *ip)
{
	return !ip->w[0] && !ip->w[1] && ip->w[2] == bpf_htonl(0xffff);
}

/* No address of its own yet: 0.0.0.0 or ::. */
static __always_inline bool ip_is_unspecified(const struct dove_ip *ip)
{
	return !ip->w[0] && !ip->w[1] && !ip->w[3] && (!ip->w[2] || ip->w[2] == bpf_htonl(0xffff));
}

static __always_inline bool ip_is_multicast(const struct dove_ip *ip)
{
	return ip->b[0] == 0xff || (ip_is_v4(ip) && (ip->b[12] >> 4 == 0xe || ip->b[12] == 0xff));
}

/*
 * What must not stand in an IPv6 packet, for it means something else to us:
 * IPv4 addresses (::ffff:0:0/96) and external networks (100::/64).
 */
static __always_inline bool ip_is_reserved(const struct dove_ip *ip)
{
	return ip_is_v4(ip) || (ip->w[0] == bpf_htonl(DOVE_EXTERNAL_WORD) && !ip->w[1]);
}

/* IPv6 unicast that is valid on its link alone. */
static __always_inline bool ip_is_link_local(const struct dove_ip *ip)
{
	return ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

/* Ports, or type and identifier of ICMP; `left` is what the packet has from here on. */
static __always_inline int parse_l4(void *at, void *end, __u32 left, struct packet *p)
{
	__be16 *words = at;

	if (p->later_fragment)
		return 0;
	if (has_ports(p->l4_proto)) {
		if ((void *)(words + 2) > end || left < 4)
			return -DOVE_TRUNCATED;
		p->has_ports = true;
		p->from_port = bpf_ntohs(words[0]);
		p->to_port = bpf_ntohs(words[1]);
		return 0;
	}
	if (p->l4_proto == IPPROTO_ICMP || p->l4_proto == IPPROTO_ICMPV6) {
		/* RFC 7112: a first fragment has all headers, or else nobody could say what it is. */
		if ((void *)(words + 4) > end || left < 8)
			return -DOVE_TRUNCATED;
		p->icmp_type = *(__u8 *)at;
		p->icmp_id = bpf_ntohs(words[2]);
	}
	return 0;
}

/*
 * Inner IPv4 header and, where the protocol has them, ports. `room` is what
 * the frame has from here on, linear or not; super-packets above 64 KiB say
 * a total length of 0.
 */
static __always_inline int parse_ipv4(void *at, void *end, __u32 room, struct packet *p)
{
	struct iphdr *ip = at;
	__u32 header, total;

	if ((void *)(ip + 1) > end)
		return -DOVE_TRUNCATED;
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (ip->version != 4 || header < sizeof(*ip))
		return -DOVE_MALFORMED;
	if (!total && room <= 0xffff)
		return -DOVE_MALFORMED;
	if (total && (total < header || total > room))
		return -DOVE_TRUNCATED;
	total = total ? total : room;
	p->src = ip_from_v4(ip->saddr);
	p->dst = ip_from_v4(ip->daddr);
	p->ip_len = total;
	p->l4_proto = ip->protocol;
	p->l3_len = header;
	p->tos = ip->tos;
	p->ttl = ip->ttl;
	p->later_fragment = ip->frag_off & bpf_htons(IP_OFFSET);
	p->first_fragment = !p->later_fragment && ip->frag_off & bpf_htons(IP_MF);
	p->fragment = ip->id;
	return parse_l4(at + header, end, total - header, p);
}

/* RFC 8200, 4: what may stand between IPv6's header and the payload. As many as real packets have. */
#define EXTENSIONS_MAX 4
#define EXTENSIONS_LEN_MAX 128

struct extension {
	__u8 next;
	__u8 len;	    /* in 8 bytes, less the first; of a fragment header: reserved */
	__be16 frag_offset; /* of a fragment header: offset (13 bits), reserved, more fragments */
	__be32 frag_id;
};

static __always_inline bool is_extension(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
	       next == IPPROTO_DSTOPTS;
}

/* Walk the extension headers: p->l4_proto and p->l3_len go on to what follows them. */
static __always_inline int parse_extensions(void *at, void *end, struct packet *p)
{
	for (int i = 0; i < EXTENSIONS_MAX && is_extension(p->l4_proto) && !p->later_fragment; i++) {
		__u32 offset = p->l3_len;
		struct extension *ext;

		if (offset > sizeof(struct ipv6hdr) + EXTENSIONS_LEN_MAX)
			return -DOVE_MALFORMED;
		ext = at + offset;
		if ((void *)(ext + 1) > end)
			return -DOVE_TRUNCATED;
		if (p->l4_proto == IPPROTO_FRAGMENT) {
			p->later_fragment = ext->frag_offset & bpf_htons(0xfff8);
			p->first_fragment = !p->later_fragment && ext->frag_offset & bpf_htons(1);
			p->fragment = ext->frag_id;
			p->l3_len = offset + 8;
		} else {
			p->l3_len = offset + 8 + ext->len * 8;
		}
		p->l4_proto = ext->next;
	}
	if (is_extension(p->l4_proto) || p->l3_len > sizeof(struct ipv6hdr) + EXTENSIONS_LEN_MAX)
		return p->later_fragment ? 0 : -DOVE_MALFORMED;
	return 0;
}

/* As parse_ipv4(). */
static __always_inline int parse_ipv6(void *at, void *end, __u32 room, struct packet *p)
{
	struct ipv6hdr *ip = at;
	__u32 total, header;

	if ((void *)(ip + 1) > end)
		return -DOVE_TRUNCATED;
	total = bpf_ntohs(ip->payload_len);
	if (ip->version != 6 || (!total && room <= 0xffff))
		return -DOVE_MALFORMED;
	total = total ? total + sizeof(*ip) : room;
	if (total > room)
		return -DOVE_TRUNCATED;
	p->src = ip_from_v6(&ip->saddr);
	p->dst = ip_from_v6(&ip->daddr);
	if (ip_is_reserved(&p->src) || ip_is_reserved(&p->dst))
		return -DOVE_MALFORMED;
	p->ip_len = total;
	p->l4_proto = ip->nexthdr;
	p->l3_len = sizeof(*ip);
	p->tos = ip->priority << 4 | ip->flow_lbl[0] >> 4;
	p->ttl = ip->hop_limit;
	if (unlikely(is_extension(p->l4_proto)))
		TRY(parse_extensions(at, end, p));
	header = p->l3_len;
	if (header > total)
		return -DOVE_TRUNCATED;
	if (header > sizeof(*ip) + EXTENSIONS_LEN_MAX)
		return -DOVE_MALFORMED;
	return parse_l4(at + header, end, total - header, p);
}

static __always_inline bool is_ip(__be16 eth_proto)
{
	return eth_proto == bpf_htons(ETH_P_IP) || eth_proto == bpf_htons(ETH_P_IPV6);
}

/* The IP packet behind an Ethernet header that is parsed; 0 also for what is not IP. */
static __always_inline int parse_ip(void *at, void *end, __u32 room, struct packet *p)
{
	if (p->eth_proto == bpf_htons(ETH_P_IP))
		return parse_ipv4(at, end, room, p);
	if (p->eth_proto == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(at, end, room, p);
	return 0;
}

/* Ethernet, IP with all that may follow it, ports. */
#define VM_HEADERS (sizeof(struct ethhdr) + sizeof(struct ipv6hdr) + EXTENSIONS_LEN_MAX + 8)

/* Does the IP header, whose bounds are checked, say that nothing stands between it and what follows? */
static __always_inline bool is_plain(__be16 eth_proto, const void *ip)
{
	const struct ipv6hdr *ip6 = ip;
	const struct iphdr *ip4 = ip;

	if (eth_proto == bpf_htons(ETH_P_IP))
		return ip4->ihl == 5;
	return eth_proto != bpf_htons(ETH_P_IPV6) || !is_extension(ip6->nexthdr);
}

/* What a plain stream has in its linear part, Ethernet, IP, TCP; of other packets all headers are wanted there. */
static __always_inline __u32 least_linear(void *data, void *end)
{
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) + sizeof(struct ipv6hdr) > end || !is_plain(eth->h_proto, eth + 1))
		return VM_HEADERS;
	return sizeof(*eth) + sizeof(struct tcphdr) +
	       (eth->h_proto == bpf_htons(ETH_P_IPV6) ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
}

/* A VM's frame at TC. Headers may lie in fragments of the skb: all but a plain stream's are pulled. */
static __always_inline int parse_frame(struct __sk_buff *skb, struct packet *p)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	p->len = skb->len;
	if (skb->vlan_present)
		return -DOVE_TAGGED;
	if (unlikely(data + least_linear(data, end) > end)) {
		bpf_skb_pull_data(skb, skb->len < VM_HEADERS ? skb->len : VM_HEADERS);
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
	}
	TRY(parse_ethernet(data, end, p));
	return parse_ip(data + sizeof(struct ethhdr), end, skb->len - sizeof(struct ethhdr), p);
}

#endif
