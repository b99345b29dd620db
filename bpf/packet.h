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
#define ETH_P_8021Q 0x8100
#define ETH_P_8021AD 0x88A8
#define ETH_P_QINQ1 0x9100

#define IP_DF 0x4000
#define IP_MF 0x2000
#define IP_OFFSET 0x1FFF

#define IPPROTO_ICMP 1
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_DCCP 33
#define IPPROTO_SCTP 132
#define IPPROTO_UDPLITE 136

/* Go on: to other programs and filters of the device, and then as if there were none. TC_ACT_OK would end that. */
#define TC_ACT_UNSPEC (-1)
#define TC_ACT_SHOT 2
#define PACKET_HOST 0

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
	HOOK_INJECT,	  /* BPF_PROG_TEST_RUN by the agent: redirects by clone */
};

struct packet {
	enum hook hook;
	__u32 ifindex; /* the port it came from, or that it goes to */
	__u32 len;     /* of the frame as it came */
	int action;    /* what the program returns to the kernel */

	/* the VM's frame */
	__u8 dmac[6] __attribute__((aligned(8))); /* compared by words */
	__u8 smac[6] __attribute__((aligned(8)));
	__be16 eth_proto;
	__u8 l4_proto;
	__u8 l3_len; /* of the IP header with its options */
	bool has_ports;
	bool later_fragment;
	__u16 from_port;
	__u16 to_port;
	struct dove_ip src;
	struct dove_ip dst;

	/* what is known of it */
	__u32 source; /* endpoint id of the sender */
	__u32 source_vnid;
	__u32 vnid; /* the destination's */
	__u32 policy;
	__u32 sequence;	       /* as on the wire */
	struct dove_ip origin; /* underlay address of the sending host; zero: this one */
};

static __always_inline struct dove_ip ip_from_v4(__be32 addr)
{
	struct dove_ip ip = { .b = { [10] = 0xff, [11] = 0xff } };

	__builtin_memcpy(&ip.b[12], &addr, sizeof(addr));
	return ip;
}

static __always_inline __be32 ip_to_v4(const struct dove_ip *ip)
{
	__be32 addr;

	__builtin_memcpy(&addr, &ip->b[12], sizeof(addr));
	return addr;
}

static __always_inline bool mac_equal(const __u8 *a, const __u8 *b)
{
	return *(__u32 *)a == *(__u32 *)b && *(__u16 *)(a + 4) == *(__u16 *)(b + 4);
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

/* RFC 1071 over an even, constant number of bytes; 0 where the sum that they contain is right. */
static __always_inline __sum16 checksum(const void *at, const __u32 bytes)
{
	const __u16 *word = at;
	__u32 sum = 0;

	for (__u32 i = 0; i < bytes / 2; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Ethernet header at `at`; -DOVE_TAGGED also for a tag inside, which we would carry unseen. */
static __always_inline int parse_ethernet(void *at, void *end, struct packet *p)
{
	struct ethhdr *eth = at;

	if ((void *)(eth + 1) > end)
		return -DOVE_TRUNCATED;
	__builtin_memcpy(p->dmac, eth->h_dest, sizeof(p->dmac));
	__builtin_memcpy(p->smac, eth->h_source, sizeof(p->smac));
	p->eth_proto = eth->h_proto;
	return is_tag(p->eth_proto) ? -DOVE_TAGGED : 0;
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
	__be16 *ports;

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
	p->src = ip_from_v4(ip->saddr);
	p->dst = ip_from_v4(ip->daddr);
	p->l4_proto = ip->protocol;
	p->l3_len = header;
	p->later_fragment = ip->frag_off & bpf_htons(IP_OFFSET);
	if (p->later_fragment || !has_ports(ip->protocol))
		return 0;
	ports = at + header;
	if ((void *)(ports + 2) > end)
		return -DOVE_TRUNCATED;
	if (total && total < header + 4)
		return -DOVE_TRUNCATED;
	p->has_ports = true;
	p->from_port = bpf_ntohs(ports[0]);
	p->to_port = bpf_ntohs(ports[1]);
	return 0;
}

/* Ethernet, IPv4 with all its options, ports. */
#define VM_HEADERS (sizeof(struct ethhdr) + 60 + 4)

/*
 * A VM's frame at TC. Headers may lie in fragments of the skb: a plain stream
 * has at least Ethernet, IPv4 and TCP in its linear part, all else is pulled.
 */
static __always_inline int parse_frame(struct __sk_buff *skb, struct packet *p)
{
	__u32 least = sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct tcphdr);
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	p->len = skb->len;
	if (skb->vlan_present)
		return -DOVE_TAGGED;
	if (unlikely(data + least > end)) {
		bpf_skb_pull_data(skb, skb->len < VM_HEADERS ? skb->len : VM_HEADERS);
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
	}
	TRY(parse_ethernet(data, end, p));
	if (p->eth_proto != bpf_htons(ETH_P_IP))
		return 0;
	return parse_ipv4(data + sizeof(struct ethhdr), end, skb->len - sizeof(struct ethhdr), p);
}

#endif
