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

/* More than stands before a VM's TCP or UDP header, and room enough to take it off. */
#define FRONT_MAX (VM_HEADERS)
#define FRONT_AND_MORE (FRONT_MAX + sizeof(struct ethhdr) + sizeof(struct ipv6hdr) + 2)

/* What newer kernels say to a tunnel's packet, of inside a VM without a kernel of its own. */
#define ENOTSUPP 524

/*
 * The frame becomes this one. Where the VM left a checksum to be filled in, the
 * kernel would still do so, somewhere in this frame; it only forgets that when
 * the place where the sum begins is cut off.
 */
static __always_inline int frame_replace(struct __sk_buff *skb, const void *frame, __u32 len)
{
	TRY(bpf_skb_change_tail(skb, FRONT_AND_MORE, 0));
	TRY(bpf_skb_adjust_room(skb, -(__s32)FRONT_MAX, BPF_ADJ_ROOM_MAC, 0));
	TRY(bpf_skb_change_tail(skb, len, 0));
	return bpf_skb_store_bytes(skb, 0, frame, len, 0);
}

/* How much of the packet an error quotes: RFC 1812, 4.3.2.3 and RFC 4443, 2.4 say how long it may be. */
#define QUOTED4_MAX (576 - sizeof(struct iphdr) - ICMP_HEADER)
#define QUOTED6_MAX (1280 - sizeof(struct ipv6hdr) - ICMP_HEADER)
#define ICMP_HEADER 8
/* bpf_csum_diff() takes so much at once. */
#define SUM_MAX 512u
#define SUM_PARTS 3

struct icmp_error {
	__be16 type;
	__sum16 check;
	__be32 mtu; /* of IPv4 the lower half */
	__u8 quoted[SUM_PARTS * SUM_MAX - ICMP_HEADER];
};

struct icmp4_error {
	__u8 align[FRAME_ALIGN];
	struct ethhdr eth;
	struct iphdr ip;
	struct icmp_error e;
};

struct icmp6_error {
	__u8 align[FRAME_ALIGN];
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct icmp_error e;
};

/* Too long for the stack: one for each CPU. */
union icmp_scratch {
	struct icmp4_error v4;
	struct icmp6_error v6;
};

MAP(dove_scratch, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, union icmp_scratch, 1, 0);

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
	/* Behind a bridge the frame has another MAC by now than that which the VM sent it to. */
	__builtin_memcpy(eth->h_source, p->to_gateway ? gateway_mac : p->dmac, 6);
	eth->h_proto = p->eth_proto;
}

/*
 * In whose name: a router has an address of its own; inside a subnet there is
 * none, and the destination speaks.
 */
static __always_inline const struct dove_ip *speaker(const struct packet *p)
{
	return p->to_gateway && !ip_is_unspecified(&p->gateway) && ip_is_v4(&p->gateway) == ip_is_v4(&p->src)
		       ? &p->gateway
		       : &p->dst;
}

/* Quote the packet that it is about; *len is what the error has then, from its type on. */
static __always_inline int quote(struct __sk_buff *skb, const struct packet *p, struct icmp_error *e,
				 const __u32 max, __u32 *len)
{
	__u32 n = p->ip_len;

	if (n > max)
		n = max;
	/* As in hold_in(): out of both bounds in one comparison 6.1 reads no lower one. */
	barrier_var(n);
	if (n < sizeof(struct iphdr))
		return -1;
	barrier_var(n);
	if (n > max || bpf_skb_load_bytes(skb, sizeof(struct ethhdr), e->quoted, n))
		return -1;
	for (__u32 i = 0; i < 4; i++) /* sums are of whole words */
		e->quoted[n + i] = 0;
	*len = ICMP_HEADER + n;
	return 0;
}

static __always_inline __sum16 icmp_sum(const struct icmp_error *e, __u32 len, __s64 sum)
{
	len = (len + 3) & ~3u;
	for (__u32 i = 0; i < SUM_PARTS; i++) {
		__u32 part = len - i * SUM_MAX;

		if (len <= i * SUM_MAX)
			break;
		if (part > SUM_MAX)
			part = SUM_MAX;
		sum = bpf_csum_diff(0, 0, (void *)e + i * SUM_MAX, part, sum);
	}
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff);
	return ~((sum & 0xffff) + (sum >> 16));
}

static __always_inline int icmp4_error(struct __sk_buff *skb, struct packet *p, struct icmp4_error *f,
				       __u16 type, __u32 mtu)
{
	__u32 len;

	if (quote(skb, p, &f->e, QUOTED4_MAX, &len))
		return -1;
	ethernet_back(&f->eth, p);
	f->ip = (struct iphdr){ .version = 4,
				.ihl = 5,
				.tot_len = bpf_htons(sizeof(f->ip) + len),
				.ttl = ICMP_TTL,
				.protocol = IPPROTO_ICMP,
				.saddr = ip_to_v4(speaker(p)),
				.daddr = ip_to_v4(&p->src) };
	f->ip.check = checksum(&f->ip, sizeof(f->ip));
	f->e.type = bpf_htons(type);
	f->e.check = 0;
	f->e.mtu = bpf_htonl(mtu & 0xffff);
	f->e.check = icmp_sum(&f->e, len, 0);
	return frame_replace(skb, &f->eth, sizeof(f->eth) + sizeof(f->ip) + len);
}

static __always_inline int icmp6_error(struct __sk_buff *skb, struct packet *p, struct icmp6_error *f,
				       __u16 type, __u32 mtu)
{
	const __u16 *addrs = (const void *)&f->ip.saddr;
	__u32 len, sum = 0;

	if (quote(skb, p, &f->e, QUOTED6_MAX, &len))
		return -1;
	ethernet_back(&f->eth, p);
	f->ip = (struct ipv6hdr){
		.version = 6, .payload_len = bpf_htons(len), .nexthdr = IPPROTO_ICMPV6, .hop_limit = ICMP_TTL
	};
	__builtin_memcpy(&f->ip.saddr, speaker(p), sizeof(f->ip.saddr));
	__builtin_memcpy(&f->ip.daddr, &p->src, sizeof(f->ip.daddr));
	f->e.type = bpf_htons(type);
	f->e.check = 0;
	f->e.mtu = bpf_htonl(mtu);
	for (__u32 i = 0; i < 16; i++)
		sum += addrs[i];
	f->e.check = icmp_sum(&f->e, len, sum + bpf_htons(len) + bpf_htons(IPPROTO_ICMPV6));
	return frame_replace(skb, &f->eth, sizeof(f->eth) + sizeof(f->ip) + len);
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
	union icmp_scratch *scratch;
	__u32 zero = 0;
	int rc;

	if (!p || what >= COMPLAINTS || !may_be_told(p))
		return -1;
	if (p->hook == HOOK_TRACE)
		return 0;
	if (!budget_allows(p->ifindex, DOVE_BUDGET_ANSWERS, 1))
		return -1;
	scratch = bpf_map_lookup_elem(&dove_scratch, &zero);
	if (!scratch)
		return -1;
	if (p->eth_proto == bpf_htons(ETH_P_IPV6))
		rc = icmp6_error(skb, p, &scratch->v6, icmp6_types[what], mtu);
	else
		rc = icmp4_error(skb, p, &scratch->v4, icmp4_types[what], mtu);
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
	len = p->ip_len - p->l3_len - in.doff * 4 + in.syn + in.fin;
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
	if (p->l4_proto == IPPROTO_TCP)
		return reset(skb, p);
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
