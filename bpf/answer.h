/* SPDX-License-Identifier: GPL-2.0 */
/* What a VM asks its network, and gets answered where it asked. */
#ifndef DOVE_ANSWER_H
#define DOVE_ANSWER_H

#include "deliver.h"
#include "icmp.h"
#include "packet.h"
#include "sender.h"
#include "translation.h"

#define ARPHRD_ETHER 1
#define ARPOP_REQUEST 1
#define ARPOP_REPLY 2

/* RFC 826 for Ethernet and IPv4. */
struct arp_packet {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_len;
	__u8 protocol_len;
	__be16 operation;
	__u8 sender_mac[6];
	__u8 sender_ip[4];
	__u8 target_mac[6];
	__u8 target_ip[4];
} __attribute__((packed));

#define ARP_FRAME (sizeof(struct ethhdr) + sizeof(struct arp_packet))

static __always_inline struct arp_packet *arp_at(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	return data + ARP_FRAME > end ? 0 : data + sizeof(struct ethhdr);
}

/*
 * A request from one of the port's addresses, or from none at all (the probe
 * of RFC 5227 before an address is used: answered only where another has it).
 */
static __always_inline int arp_parse(const struct arp_packet *arp, struct packet *p)
{
	__be32 sender, target;

	if (arp->hardware != bpf_htons(ARPHRD_ETHER) || arp->protocol != bpf_htons(ETH_P_IP) ||
	    arp->hardware_len != 6 || arp->protocol_len != 4)
		return -DOVE_ARP_MALFORMED;
	if (!mac_equal(arp->sender_mac, p->smac))
		return -DOVE_SPOOFED_MAC;
	__builtin_memcpy(&sender, arp->sender_ip, sizeof(sender));
	__builtin_memcpy(&target, arp->target_ip, sizeof(target));
	p->src = ip_from_v4(sender);
	p->dst = ip_from_v4(target);
	if (sender)
		TRY(sender_speaks_with(&p->src, arp->sender_mac, p));
	if (arp->operation != bpf_htons(ARPOP_REQUEST) || sender == target)
		return -DOVE_ARP_UNASKED;
	return 0;
}

/* Is the address one that this port itself speaks with? */
static __always_inline bool own_address(const struct packet *p)
{
	struct dove_addr_key key = { .addr = p->dst, .vnid = p->source_vnid, .ifindex = p->ifindex };

	return bpf_map_lookup_elem(&dove_addrs, &key);
}

/* Turn the request into its reply. */
static __always_inline int arp_turn(struct __sk_buff *skb, const struct packet *p, const __u8 *mac)
{
	struct arp_packet *arp = arp_at(skb);
	struct ethhdr *eth = (void *)(long)skb->data;
	__u8 asked[4];

	if (!arp)
		return -DOVE_ARP_MALFORMED;
	__builtin_memcpy(eth->h_dest, p->smac, 6);
	__builtin_memcpy(eth->h_source, mac, 6);
	__builtin_memcpy(asked, arp->target_ip, 4);
	__builtin_memcpy(arp->target_mac, arp->sender_mac, 6);
	__builtin_memcpy(arp->target_ip, arp->sender_ip, 4);
	__builtin_memcpy(arp->sender_mac, mac, 6);
	__builtin_memcpy(arp->sender_ip, asked, 4);
	arp->operation = bpf_htons(ARPOP_REPLY);
	return 0;
}

/* Who has the asked address: anybody, or the gateway. */
static __always_inline int address_find(struct packet *p, struct dove_cache_key *key, struct decision *d)
{
	int rc = translation_of_pair(p, key, d);

	if (rc) {
		decision_left(p, d, false); /* a question need not keep its place among packets */
		return rc;
	}
	if (d->verdict == DOVE_VERDICT_NO_ENDPOINT)
		return translation_of_nobody(p, d, -DOVE_NO_ENDPOINT);
	return d->verdict == DOVE_VERDICT_GATEWAY ? translation_of_nobody(p, d, 0) : 0;
}

/*
 * arp_answer() - answer for every VM of the network that the service knows.
 *
 * The question to the service is that of the pair, so the packet that follows
 * finds its translation there already. Policies have no say in this: also a
 * VM that may not be spoken to exists.
 */
__noinline int arp_answer(struct __sk_buff *skb, struct packet *p)
{
	struct arp_packet *arp = arp_at(skb);
	struct dove_cache_key key = {};
	struct decision d = {};

	if (!p || !arp)
		return -DOVE_TRUNCATED;
	TRY(arp_parse(arp, p));
	if (own_address(p))
		return -DOVE_ARP_UNASKED;
	TRY(address_find(p, &key, &d));
	TRY(arp_turn(skb, p, d.t->mac));
	return send_out(skb, p, p->ifindex) ? -DOVE_ENCAP_FAILED : -DOVE_ARP_ANSWERED;
}

/* ---- neighbour discovery, RFC 4861 ---- */

#define ICMPV6_ROUTER_ADVERTISEMENT 134
#define ICMPV6_NEIGHBOUR_SOLICITATION 135
#define ICMPV6_NEIGHBOUR_ADVERTISEMENT 136
#define ICMPV6_REDIRECT 137
#define ND_HOP_LIMIT 255
#define ND_OPT_SOURCE_LINK_ADDR 1
#define ND_OPT_TARGET_LINK_ADDR 2
#define NA_ROUTER 0x80000000u
#define NA_SOLICITED 0x40000000u
#define NA_OVERRIDE 0x20000000u

/* Solicitation and advertisement look alike; in Ethernet the option is eight bytes. */
struct neighbour {
	__u8 type;
	__u8 code;
	__sum16 check;
	__be32 flags;
	__u8 target[16];
	__u8 opt_type;
	__u8 opt_len;
	__u8 opt_mac[6];
} __attribute__((packed));

#define SOLICITATION_LEAST (sizeof(struct neighbour) - 8) /* without an option: RFC 4861, 7.1.1 */

struct advertisement {
	__u8 align[FRAME_ALIGN];
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct neighbour n;
};

/* Is it neighbour discovery, which ends here, or an ordinary packet? */
static __always_inline bool is_discovery(const struct packet *p)
{
	return p->eth_proto == bpf_htons(ETH_P_IPV6) && p->l4_proto == IPPROTO_ICMPV6 &&
	       p->icmp_type >= ICMPV6_ROUTER_ADVERTISEMENT && p->icmp_type <= ICMPV6_REDIRECT;
}

/*
 * A solicitation from one of the port's addresses, or from none at all (RFC
 * 4862: before an address is used). Who asks under a link-local address that
 * we do not know may: only the port itself gets the answer.
 */
static __noinline int solicitation_parse(struct __sk_buff *skb, struct packet *p)
{
	struct neighbour n = {};
	__u8 mac[6] __attribute__((aligned(8)));
	int rc;

	if (p->ttl != ND_HOP_LIMIT ||
	    bpf_skb_load_bytes(skb, sizeof(struct ethhdr) + p->l3_len, &n, SOLICITATION_LEAST))
		return -DOVE_ND_MALFORMED;
	bpf_skb_load_bytes(skb, sizeof(struct ethhdr) + p->l3_len + SOLICITATION_LEAST, &n.opt_type, 8);
	if (n.code || n.target[0] == 0xff)
		return -DOVE_ND_MALFORMED;
	__builtin_memcpy(mac, n.opt_mac, sizeof(mac));
	if (n.opt_type == ND_OPT_SOURCE_LINK_ADDR && !mac_equal(mac, p->smac))
		return -DOVE_SPOOFED_MAC;
	if (!ip_is_unspecified(&p->src)) {
		rc = sender_speaks_with(&p->src, p->smac, p);
		if (rc && !(rc == -DOVE_SPOOFED_IP && ip_is_link_local(&p->src)))
			return rc;
	}
	__builtin_memcpy(&p->dst, n.target, sizeof(p->dst));
	return ip_is_reserved(&p->dst) ? -DOVE_ND_MALFORMED : 0;
}

/* Turn the solicitation into its advertisement; RFC 4861, 7.2.4. */
static __noinline int solicitation_turn(struct __sk_buff *skb, struct packet *p, const __u8 *mac, bool router)
{
	struct advertisement a = {};
	bool probe = ip_is_unspecified(&p->src);

	__builtin_memcpy(a.eth.h_dest, p->smac, 6);
	__builtin_memcpy(a.eth.h_source, mac, 6);
	a.eth.h_proto = bpf_htons(ETH_P_IPV6);
	a.ip = (struct ipv6hdr){ .version = 6,
				 .payload_len = bpf_htons(sizeof(a.n)),
				 .nexthdr = IPPROTO_ICMPV6,
				 .hop_limit = ND_HOP_LIMIT };
	__builtin_memcpy(&a.ip.saddr, &p->dst, sizeof(a.ip.saddr));
	__builtin_memcpy(&a.ip.daddr, &p->src, sizeof(a.ip.daddr));
	if (probe) { /* to all nodes, ff02::1 */
		a.ip.daddr.in6_u.u6_addr8[0] = 0xff;
		a.ip.daddr.in6_u.u6_addr8[1] = 0x02;
		a.ip.daddr.in6_u.u6_addr8[15] = 0x01;
	}
	a.n.type = ICMPV6_NEIGHBOUR_ADVERTISEMENT;
	a.n.flags = bpf_htonl(NA_OVERRIDE | (probe ? 0 : NA_SOLICITED) | (router ? NA_ROUTER : 0));
	__builtin_memcpy(a.n.target, &p->dst, sizeof(a.n.target));
	a.n.opt_type = ND_OPT_TARGET_LINK_ADDR;
	a.n.opt_len = 1;
	__builtin_memcpy(a.n.opt_mac, mac, 6);
	a.n.check = checksum6(&a.ip, &a.n, sizeof(a.n));
	return frame_replace(skb, &a.eth, sizeof(a) - FRAME_ALIGN);
}

/* discovery_answer() - as arp_answer(). A VM is no router: what it says as one ends here. */
__noinline int discovery_answer(struct __sk_buff *skb, struct packet *p)
{
	struct dove_cache_key key = {};
	struct decision d = {};

	if (!p)
		return -DOVE_ND_MALFORMED;
	if (p->icmp_type == ICMPV6_ROUTER_ADVERTISEMENT || p->icmp_type == ICMPV6_REDIRECT)
		return -DOVE_ROUTER_CLAIM;
	if (p->icmp_type != ICMPV6_NEIGHBOUR_SOLICITATION)
		return -DOVE_ARP_UNASKED;
	TRY(solicitation_parse(skb, p));
	p->l4_proto = 0; /* the question is the pair's */
	if (own_address(p))
		return -DOVE_ARP_UNASKED;
	TRY(address_find(p, &key, &d));
	if (solicitation_turn(skb, p, d.t->mac, d.verdict == DOVE_VERDICT_GATEWAY))
		return -DOVE_ENCAP_FAILED;
	return send_out(skb, p, p->ifindex) ? -DOVE_ENCAP_FAILED : -DOVE_ND_ANSWERED;
}

#endif
