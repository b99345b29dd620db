/* SPDX-License-Identifier: GPL-2.0 */
/* What a VM asks its network, and gets answered where it asked. */
#ifndef DOVE_ANSWER_H
#define DOVE_ANSWER_H

#include "deliver.h"
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

/*
 * arp_answer() - answer for every VM of the network that the service knows.
 *
 * The question to the service is that of the pair, so the packet that follows
 * finds its translation there already. Policies have no say in this: also a
 * VM that may not be spoken to exists.
 */
static __always_inline int arp_answer(struct __sk_buff *skb, struct packet *p)
{
	struct arp_packet *arp = arp_at(skb);
	struct dove_cache_key key = {};
	struct decision d = {};

	if (!arp)
		return -DOVE_TRUNCATED;
	TRY(arp_parse(arp, p));
	if (own_address(p))
		return -DOVE_ARP_UNASKED;
	TRY(translation_of_pair(p, &key, &d));
	if (d.verdict == DOVE_VERDICT_NO_ENDPOINT)
		return translation_of_nobody(&d);
	TRY(arp_turn(skb, p, d.t->mac));
	return send_out(skb, p, p->ifindex) ? -DOVE_ENCAP_FAILED : -DOVE_ARP_ANSWERED;
}

#define ICMP_DEST_UNREACH 3
#define ICMP_FRAG_NEEDED 4
#define ICMP_ECHO_REPLY 0
#define ICMP_ECHO 8

/* RFC 792: the error quotes the IP header and 8 bytes; RFC 1191 adds the next hop's MTU. */
struct too_big {
	struct ethhdr eth;
	struct iphdr ip;
	__u8 type;
	__u8 code;
	__sum16 check;
	__be16 unused;
	__be16 mtu;
	__u8 quoted[sizeof(struct iphdr) + 8];
} __attribute__((packed));

/* RFC 1122, 3.2.2: no error about an error, nor about a later fragment. */
static __always_inline bool may_be_answered(struct __sk_buff *skb, const struct packet *p)
{
	__u8 type = 0;

	if (p->later_fragment || p->l3_len != sizeof(struct iphdr))
		return false;
	if (p->l4_proto != IPPROTO_ICMP)
		return true;
	bpf_skb_load_bytes(skb, sizeof(struct ethhdr) + sizeof(struct iphdr), &type, 1);
	return type == ICMP_ECHO || type == ICMP_ECHO_REPLY;
}

/*
 * too_big_answer() - tell the sender the largest IP packet that has room in
 * the tunnel (RFC 1191), at once and in the destination's name: a network has
 * no router of its own to speak for it.
 */
static __always_inline int too_big_answer(struct __sk_buff *skb, struct packet *p, __u32 mtu)
{
	struct too_big t = {};

	if (!may_be_answered(skb, p) || bpf_skb_load_bytes(skb, sizeof(t.eth), t.quoted, sizeof(t.quoted)))
		return -DOVE_TOO_BIG;
	__builtin_memcpy(t.eth.h_dest, p->smac, 6);
	__builtin_memcpy(t.eth.h_source, p->dmac, 6);
	t.eth.h_proto = bpf_htons(ETH_P_IP);
	t.ip = (struct iphdr){ .version = 4,
			       .ihl = 5,
			       .tot_len = bpf_htons(sizeof(t) - sizeof(t.eth)),
			       .ttl = 64,
			       .protocol = IPPROTO_ICMP,
			       .saddr = ip_to_v4(&p->dst),
			       .daddr = ip_to_v4(&p->src) };
	t.ip.check = checksum(&t.ip, sizeof(t.ip));
	t.type = ICMP_DEST_UNREACH;
	t.code = ICMP_FRAG_NEEDED;
	t.mtu = bpf_htons(mtu);
	t.check = checksum(&t.type, sizeof(t) - sizeof(t.eth) - sizeof(t.ip));
	if (bpf_skb_change_tail(skb, sizeof(t), 0) || bpf_skb_store_bytes(skb, 0, &t, sizeof(t), 0))
		return -DOVE_TOO_BIG;
	return send_out(skb, p, p->ifindex) ? -DOVE_TOO_BIG : -DOVE_TOO_BIG_ANSWERED;
}

#endif
