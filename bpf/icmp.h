/* SPDX-License-Identifier: GPL-2.0 */
/* What a sender is told of a packet that does not go on: ICMP errors, resets; and the gateway's own echo. */
#ifndef DOVE_ICMP_H
#define DOVE_ICMP_H

#include "deliver.h"
#include "flow.h"
#include "packet.h"
#include "upcall.h"

#define ICMP_TTL 64

enum complaint {
	TOO_BIG,	  /* RFC 1191, RFC 8201 */
	TIME_EXCEEDED,	  /* in transit */
	HOST_UNREACHABLE, /* nobody has the address */
	PORT_UNREACHABLE, /* the gateway offers no service */
	PROHIBITED,	  /* administratively: a policy rejects it */
	COMPLAINTS,
};

/* type << 8 | code: RFC 792, RFC 1812; RFC 4443. */
static const __u16 icmp4_types[COMPLAINTS] = { 0x0304, 0x0b00, 0x0301, 0x0303, 0x030d };
static const __u16 icmp6_types[COMPLAINTS] = { 0x0200, 0x0300, 0x0103, 0x0104, 0x0101 };

/* Frames are built behind so many bytes, so that what follows the Ethernet header is aligned. */
#define FRAME_ALIGN 2

/* The frame becomes this one. */
static __always_inline int frame_replace(struct __sk_buff *skb, const void *frame, __u32 len)
{
	return bpf_skb_change_tail(skb, len, 0) || bpf_skb_store_bytes(skb, 0, frame, len, 0);
}

/* RFC 792: an error quotes the IP header and 8 bytes. */
struct icmp4_error {
	__u8 align[FRAME_ALIGN];
	struct ethhdr eth;
	struct iphdr ip;
	__be16 type;
	__sum16 check;
	__be16 unused;
	__be16 mtu;
	__u8 quoted[sizeof(struct iphdr) + 8];
};

/* RFC 4443: as much as there is room for; this much names the flow. */
struct icmp6_error {
	__u8 align[FRAME_ALIGN];
	struct ethhdr eth;
	struct ipv6hdr ip;
	__be16 type;
	__sum16 check;
	__be32 mtu;
	__u8 quoted[sizeof(struct ipv6hdr) + 8];
};

/* RFC 8200, 8.1: the checksum of `bytes` behind an IPv6 header covers the addresses, the length and the protocol. */
static __always_inline __sum16 checksum6(const struct ipv6hdr *ip, const void *at, const __u32 bytes)
{
	const __u16 *word = at, *addrs = (const void *)&ip->saddr;
	__u32 sum = bpf_htons(bytes) + bpf_htons(ip->nexthdr);

	for (__u32 i = 0; i < 16; i++)
		sum += addrs[i];
	for (__u32 i = 0; i < bytes / 2; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline void ethernet_back(struct ethhdr *eth, const struct packet *p)
{
	__builtin_memcpy(eth->h_dest, p->smac, 6);
	__builtin_memcpy(eth->h_source, p->dmac, 6);
	eth->h_proto = p->eth_proto;
}

/*
 * In whose name: a router has an address of its own; inside a subnet there is
 * none, and the destination speaks.
 */
static __always_inline const struct dove_ip *speaker(const struct packet *p)
{
	return p->to_gateway && !ip_is_unspecified(&p->gateway) &&
			       ip_is_v4(&p->gateway) == ip_is_v4(&p->src)
		       ? &p->gateway
		       : &p->dst;
}

static __always_inline int icmp4_error(struct __sk_buff *skb, struct packet *p, __u16 type, __u32 mtu)
{
	struct icmp4_error e = {};

	if (p->l3_len != sizeof(struct iphdr) ||
	    bpf_skb_load_bytes(skb, sizeof(struct ethhdr), e.quoted, sizeof(e.quoted)))
		return -1;
	ethernet_back(&e.eth, p);
	e.ip = (struct iphdr){ .version = 4,
			       .ihl = 5,
			       .tot_len = bpf_htons(sizeof(e) - offsetof(struct icmp4_error, ip)),
			       .ttl = ICMP_TTL,
			       .protocol = IPPROTO_ICMP,
			       .saddr = ip_to_v4(speaker(p)),
			       .daddr = ip_to_v4(&p->src) };
	e.ip.check = checksum(&e.ip, sizeof(e.ip));
	e.type = bpf_htons(type);
	e.mtu = bpf_htons(mtu);
	e.check = checksum(&e.type, sizeof(e) - offsetof(struct icmp4_error, type));
	return frame_replace(skb, &e.eth, sizeof(e) - FRAME_ALIGN);
}

static __always_inline int icmp6_error(struct __sk_buff *skb, struct packet *p, __u16 type, __u32 mtu)
{
	struct icmp6_error e = {};
	const __u32 len = sizeof(e) - offsetof(struct icmp6_error, type);

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), e.quoted, sizeof(e.quoted)))
		return -1;
	ethernet_back(&e.eth, p);
	e.ip = (struct ipv6hdr){ .version = 6,
				 .payload_len = bpf_htons(len),
				 .nexthdr = IPPROTO_ICMPV6,
				 .hop_limit = ICMP_TTL };
	__builtin_memcpy(&e.ip.saddr, speaker(p), sizeof(e.ip.saddr));
	__builtin_memcpy(&e.ip.daddr, &p->src, sizeof(e.ip.daddr));
	e.type = bpf_htons(type);
	e.mtu = bpf_htonl(mtu);
	e.check = checksum6(&e.ip, &e.type, len);
	return frame_replace(skb, &e.eth, sizeof(e) - FRAME_ALIGN);
}

/* RFC 1812, 4.3.2.7; RFC 4443, 2.4: not about an error, a later fragment, or what went to many. */
static __always_inline bool may_be_told(const struct packet *p)
{
	return !p->later_fragment && !is_icmp_error(p) && !(p->dmac[0] & 1) && !ip_is_multicast(&p->src) &&
	       !ip_is_unspecified(&p->src);
}

/*
 * complain() - tell the sender, by ICMP, at once and limited: 0, or why it
 * can't be told. A global function: the verifier looks at it once.
 */
__noinline int complain(struct __sk_buff *skb, struct packet *p, __u32 what, __u32 mtu)
{
	int rc;

	if (!p || what >= COMPLAINTS || !may_be_told(p))
		return -1;
	if (p->hook == HOOK_TRACE)
		return 0;
	if (!budget_allows(p->ifindex, DOVE_BUDGET_ANSWERS, 1))
		return -1;
	if (p->eth_proto == bpf_htons(ETH_P_IPV6))
		rc = icmp6_error(skb, p, icmp6_types[what], mtu);
	else
		rc = icmp4_error(skb, p, icmp4_types[what], mtu);
	return rc ? rc : send_out(skb, p, p->ifindex);
}

/* ---- resets ---- */

struct reset4 {
	__u8 align[FRAME_ALIGN];
	struct ethhdr eth;
	struct iphdr ip;
	struct tcphdr tcp;
};

struct reset6 {
	__u8 align[FRAME_ALIGN];
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct tcphdr tcp;
};

/* RFC 9293, 3.10.7.1: what a closed port answers to a segment with `len` bytes; -1: nothing, it is a reset itself. */
static __always_inline int reset_of(struct __sk_buff *skb, const struct packet *p, struct tcphdr *out)
{
	struct tcphdr in;
	__u32 len;

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr) + p->l3_len, &in, sizeof(in)) || in.rst)
		return -1;
	len = skb->len - sizeof(struct ethhdr) - p->l3_len - in.doff * 4 + in.syn + in.fin;
	*out = (struct tcphdr){ .source = in.dest, .dest = in.source, .doff = 5, .rst = 1 };
	if (in.ack) {
		out->seq = in.ack_seq;
	} else {
		out->ack = 1;
		out->ack_seq = bpf_htonl(bpf_ntohl(in.seq) + len);
	}
	return 0;
}

static __always_inline int reset4(struct __sk_buff *skb, struct packet *p)
{
	struct reset4 r = {};
	__be32 pseudo[3];

	if (reset_of(skb, p, &r.tcp))
		return -1;
	ethernet_back(&r.eth, p);
	r.ip = (struct iphdr){ .version = 4,
			       .ihl = 5,
			       .tot_len = bpf_htons(sizeof(r) - offsetof(struct reset4, ip)),
			       .ttl = ICMP_TTL,
			       .protocol = IPPROTO_TCP,
			       .saddr = ip_to_v4(&p->dst),
			       .daddr = ip_to_v4(&p->src) };
	r.ip.check = checksum(&r.ip, sizeof(r.ip));
	pseudo[0] = r.ip.saddr;
	pseudo[1] = r.ip.daddr;
	pseudo[2] = bpf_htonl(IPPROTO_TCP << 16 | sizeof(r.tcp));
	r.tcp.check = checksum_from((__u16)~checksum(pseudo, sizeof(pseudo)), &r.tcp, sizeof(r.tcp));
	return frame_replace(skb, &r.eth, sizeof(r) - FRAME_ALIGN);
}

static __always_inline int reset6(struct __sk_buff *skb, struct packet *p)
{
	struct reset6 r = {};

	if (reset_of(skb, p, &r.tcp))
		return -1;
	ethernet_back(&r.eth, p);
	r.ip = (struct ipv6hdr){ .version = 6,
				 .payload_len = bpf_htons(sizeof(r.tcp)),
				 .nexthdr = IPPROTO_TCP,
				 .hop_limit = ICMP_TTL };
	__builtin_memcpy(&r.ip.saddr, &p->dst, sizeof(r.ip.saddr));
	__builtin_memcpy(&r.ip.daddr, &p->src, sizeof(r.ip.daddr));
	r.tcp.check = checksum6(&r.ip, &r.tcp, sizeof(r.tcp));
	return frame_replace(skb, &r.eth, sizeof(r) - FRAME_ALIGN);
}

/* reset() - a policy rejects a TCP segment: its sender gets a reset in the destination's name; as complain(). */
__noinline int reset(struct __sk_buff *skb, struct packet *p)
{
	int rc;

	if (!p || !may_be_told(p))
		return -1;
	if (p->hook == HOOK_TRACE)
		return 0;
	if (!budget_allows(p->ifindex, DOVE_BUDGET_ANSWERS, 1))
		return -1;
	rc = p->eth_proto == bpf_htons(ETH_P_IPV6) ? reset6(skb, p) : reset4(skb, p);
	return rc ? rc : send_out(skb, p, p->ifindex);
}

/* ---- the gateway's echo ---- */

/* The request becomes its reply where it stands: addresses change places, which no checksum notices. */
static __always_inline int echo_turn4(struct __sk_buff *skb, struct packet *p)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	struct icmphdr *icmp = (void *)(ip + 1);
	__be32 from;
	__u32 check;

	if ((void *)(icmp + 1) > end || p->l3_len != sizeof(*ip))
		return -1;
	from = ip->saddr;
	ip->saddr = ip->daddr;
	ip->daddr = from;
	check = (__u16)~ip->check + (__u16)~bpf_htons(ip->ttl << 8) + bpf_htons(ICMP_TTL << 8);
	check = (check & 0xffff) + (check >> 16);
	ip->check = ~((check & 0xffff) + (check >> 16));
	ip->ttl = ICMP_TTL;
	check = icmp->checksum + bpf_htons(ICMP_ECHO << 8);
	icmp->checksum = check + (check >= 0xffff);
	icmp->type = ICMP_ECHO_REPLY;
	return 0;
}

static __always_inline int echo_turn6(struct __sk_buff *skb, struct packet *p)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ipv6hdr *ip = data + sizeof(struct ethhdr);
	struct icmphdr *icmp = (void *)(ip + 1);
	__u32 check;

	if ((void *)(icmp + 1) > end || p->l3_len != sizeof(*ip))
		return -1;
	__builtin_memcpy(&ip->saddr, &p->dst, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, &p->src, sizeof(ip->daddr));
	ip->hop_limit = ICMP_TTL;
	/* One more in the type's byte is one less in the sum's complement. */
	check = (__u16)~icmp->checksum + bpf_htons(1 << 8);
	icmp->checksum = ~((check & 0xffff) + (check >> 16));
	icmp->type = ICMPV6_ECHO_REPLY;
	return 0;
}

static __always_inline int echo_answer(struct __sk_buff *skb, struct packet *p)
{
	struct ethhdr *eth;
	int rc = p->eth_proto == bpf_htons(ETH_P_IPV6) ? echo_turn6(skb, p) : echo_turn4(skb, p);

	if (rc)
		return -1;
	eth = (void *)(long)skb->data;
	if ((void *)(eth + 1) > (void *)(long)skb->data_end)
		return -1;
	__builtin_memcpy(eth->h_dest, p->smac, 6);
	__builtin_memcpy(eth->h_source, gateway_mac, 6);
	return send_out(skb, p, p->ifindex);
}

/* gateway_answer() - a packet for the gateway itself, which answers pings and has no ports. */
__noinline int gateway_answer(struct __sk_buff *skb, struct packet *p)
{
	if (!p)
		return -1;
	if (!is_icmp(p))
		return complain(skb, p, PORT_UNREACHABLE, 0);
	if (p->hook == HOOK_TRACE)
		return 0;
	if (p->icmp_type != (p->l4_proto == IPPROTO_ICMP ? ICMP_ECHO : ICMPV6_ECHO) || p->later_fragment ||
	    p->first_fragment || !budget_allows(p->ifindex, DOVE_BUDGET_ANSWERS, 1))
		return -1;
	return echo_answer(skb, p);
}

#endif
