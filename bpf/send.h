/* SPDX-License-Identifier: GPL-2.0 */
/* The egress path: from a VM's interface to another VM's, or to the underlay. */
#ifndef DOVE_SEND_H
#define DOVE_SEND_H

#include "answer.h"
#include "count.h"
#include "deliver.h"
#include "packet.h"
#include "sender.h"
#include "translation.h"
#include "upcall.h"

#define EALREADY 114
/* linux/bpf.h: length of the inner Ethernet header, in the flags' upper byte. */
#define ADJ_ROOM_ENCAP_L2(len) ((__u64)(len) << 56)
#define OUTER_TTL 64
/* RFC 8926, 3.3: source ports from the dynamic range, by the inner flow. */
#define SOURCE_PORT_BASE 0xC000

/* Outer Ethernet, IPv4, UDP, Geneve and option, as they precede the VM's frame. */
struct outer {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct geneve_hdr geneve;
	struct dove_option option;
} __attribute__((packed));

_Static_assert(sizeof(struct outer) == DOVE_OVERHEAD_V4, "what is added is what stands before the frame");

static __always_inline void outer_write(struct outer *o, const struct dove_host *host, const struct packet *p,
					const struct decision *d, __u32 flow_hash, __u32 inner_len)
{
	__u32 udp_len = inner_len + sizeof(*o) - sizeof(o->eth) - sizeof(o->ip);
	__u32 ip_len = udp_len + sizeof(o->ip);

	/* A super-packet is longer than the fields can say; segmentation writes them anew. */
	if (ip_len > 0xffff)
		ip_len = udp_len = 0;
	*o = (struct outer){
		.eth.h_proto = bpf_htons(ETH_P_IP),
		.ip = { .version = 4,
			.ihl = 5,
			.tot_len = bpf_htons(ip_len),
			.frag_off = bpf_htons(IP_DF),
			.ttl = OUTER_TTL,
			.protocol = IPPROTO_UDP,
			.saddr = ip_to_v4(&host->source),
			.daddr = ip_to_v4(&d->t->host) },
		.udp = { .source = bpf_htons(SOURCE_PORT_BASE | (flow_hash & 0x3fff)),
			 .dest = bpf_htons(DOVE_GENEVE_PORT),
			 .len = bpf_htons(udp_len) },
		.geneve = { .ver_opt_len = sizeof(o->option) / 4,
			    .flags = GENEVE_FLAG_CRITICAL,
			    .proto = bpf_htons(GENEVE_PROTO_ETHERNET),
			    .vni = bpf_htonl(d->t->vnid << 8) },
		.option = { .opt_class = bpf_htons(DOVE_OPT_CLASS),
			    .type = DOVE_OPT_TYPE,
			    .words = DOVE_OPT_WORDS,
			    .policy = bpf_htonl(d->policy),
			    .sequence = bpf_htonl(d->t->revision),
			    .source = bpf_htonl(p->source),
			    .stage_vnid = bpf_htonl(p->source_vnid & 0xffffff) },
	};
	__builtin_memcpy(o->eth.h_dest, host->dst_mac, 6);
	__builtin_memcpy(o->eth.h_source, host->src_mac, 6);
	o->ip.check = checksum(&o->ip, sizeof(o->ip));
}

/*
 * Room for the outer headers between Ethernet and IP. The flags keep a
 * super-packet one, and its checksum offloaded. A frame that is encapsulated
 * already (a tunnel inside the VM) is refused with them, -EALREADY, and gets
 * plain room, which is right as long as nothing must be segmented.
 */
static __always_inline int make_room(struct __sk_buff *skb)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 |
		      BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2_ETH |
		      ADJ_ROOM_ENCAP_L2(sizeof(struct ethhdr));
	int rc = bpf_skb_adjust_room(skb, sizeof(struct outer), BPF_ADJ_ROOM_MAC, flags);

	if (rc == -EALREADY && !skb->gso_size)
		rc = bpf_skb_adjust_room(skb, sizeof(struct outer), BPF_ADJ_ROOM_MAC,
					 BPF_F_ADJ_ROOM_NO_CSUM_RESET);
	return rc;
}

/* The largest IP packet that this one becomes on the wire, before encapsulation. */
static __always_inline __u32 wire_size(struct __sk_buff *skb, const struct packet *p)
{
	__u8 data_offset = 0;

	if (!skb->gso_size)
		return skb->len - (__u32)sizeof(struct ethhdr);
	if (p->l4_proto != IPPROTO_TCP)
		return skb->gso_size + p->l3_len + (__u32)sizeof(struct udphdr);
	/* The upper four bits of byte 12 count the TCP header's words. */
	bpf_skb_load_bytes(skb, sizeof(struct ethhdr) + p->l3_len + 12, &data_offset, 1);
	return skb->gso_size + p->l3_len + (data_offset >> 4) * 4;
}

static __always_inline int encapsulate(struct __sk_buff *skb, struct packet *p, const struct decision *d,
				       const struct dove_host *host)
{
	__u32 hash = bpf_get_hash_recalc(skb), inner_len = skb->len;
	void *data, *end;
	struct outer *o;
	struct ethhdr *inner;

	if (make_room(skb))
		return -DOVE_ENCAP_FAILED;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	o = data;
	inner = data + sizeof(*o);
	if ((void *)(inner + 1) > end)
		return -DOVE_ENCAP_FAILED;
	outer_write(o, host, p, d, hash, inner_len);
	__builtin_memcpy(inner->h_dest, d->t->mac, 6);
	__builtin_memcpy(inner->h_source, p->smac, 6);
	inner->h_proto = p->eth_proto;
	return 0;
}

/*
 * To another host. Behind a bridge the packet is on the NIC already and goes
 * on by itself. An injected one passes the NIC's egress program next, which
 * knows it by its mark.
 */
static __always_inline int send_to_host(struct __sk_buff *skb, struct packet *p, const struct decision *d)
{
	struct dove_host *host = bpf_map_lookup_elem(&dove_hosts, &d->t->host);

	if (!host || !(host->flags & DOVE_HOST_REACHABLE))
		return -DOVE_HELD_NEXT_HOP;
	if (wire_size(skb, p) > host->mtu)
		return too_big_answer(skb, p, host->mtu);
	TRY(encapsulate(skb, p, d, host));
	if (p->hook == HOOK_NIC_EGRESS && host->ifindex == skb->ifindex) {
		p->action = TC_ACT_UNSPEC;
		return -DOVE_ENCAPSULATED;
	}
	if (p->hook != HOOK_PORT)
		skb->mark = DOVE_MARK_ENCAPSULATED;
	return send_out(skb, p, host->ifindex) ? -DOVE_ENCAP_FAILED : -DOVE_ENCAPSULATED;
}

/* To a VM of this host, under the same numbers that hold for packets from elsewhere. */
static __always_inline int send_to_neighbour(struct __sk_buff *skb, struct packet *p, struct decision *d)
{
	struct dove_place_key key = { .addr = p->dst, .vnid = d->t->vnid };
	struct dove_local *to = bpf_map_lookup_elem(&dove_local, &key);

	if (!to || d->judged.sequence < to->floor)
		return -DOVE_HELD_MISS;
	if (d->judged.sequence < to->sequence) {
		d->judged.fresh = STALE;
		d->judged.wanted = newest(d->judged.wanted, to->sequence);
	}
	if (bpf_skb_store_bytes(skb, 0, to->mac, 6, 0))
		return -DOVE_ENCAP_FAILED;
	return send_to_vm(skb, p, to->ifindex, to->delivery) ? -DOVE_ENCAP_FAILED : -DOVE_DELIVERED_LOCAL;
}

/* A stale translation is used once more, and the agent told to get the new one. */
static __always_inline void report_old(struct packet *p, const struct decision *d)
{
	if (d->judged.fresh == STALE)
		event_report(DOVE_EVENT_ORIGIN_STALE, p, &d->judged, true);
}

/* What a VM may send at all: in its own name, and IPv4. ARP is answered here, and ends. */
static __always_inline int send_begin(struct __sk_buff *skb, struct packet *p, const struct dove_port *port)
{
	TRY(parse_frame(skb, p));
	TRY(sender_port(port, p));
	if (p->eth_proto == bpf_htons(ETH_P_ARP))
		return arp_answer(skb, p);
	if (p->eth_proto != bpf_htons(ETH_P_IP))
		return -DOVE_NOT_IP;
	return sender_speaks_with(&p->src, p->smac, p);
}

/*
 * send() - a VM's frame, from the interface it came in by to where policy lets it go.
 *
 * Returns the reason that its way ended with.
 */
static __always_inline int send(struct __sk_buff *skb, struct packet *p, const struct dove_port *port)
{
	struct decision d = {};
	int rc;

	TRY(send_begin(skb, p, port));
	if (p->dmac[0] & 1 || (p->dst.b[12] & 0xf0) == 0xe0 || p->dst.b[12] == 0xff)
		return -DOVE_MULTICAST;

	rc = translation_find(p, &d);
	p->policy = d.policy;
	if (rc == -DOVE_DENIED)
		count_policy(p->vnid, d.policy, p->len, true);
	if (rc)
		return rc;

	rc = d.t->local ? send_to_neighbour(skb, p, &d) : send_to_host(skb, p, &d);
	report_old(p, &d);
	if (rc == -DOVE_ENCAPSULATED || rc == -DOVE_DELIVERED_LOCAL)
		count_policy(d.t->vnid, d.policy, p->len, false);
	return rc;
}

/*
 * send_over_bridge() - a bridge member's frame at its port: who sent it, and
 * ARP, are settled here; the NIC's egress program does the rest.
 *
 * The frame gets its destination's MAC, whatever the VM wrote, so that
 * nothing on the bridge but the NIC has a use for it: not the host itself,
 * not another member.
 */
static __always_inline int send_over_bridge(struct __sk_buff *skb, struct packet *p,
					    const struct dove_port *port)
{
	struct dove_cache_key key = {};
	struct decision d = {};

	TRY(send_begin(skb, p, port));
	if (p->dmac[0] & 1)
		return -DOVE_MULTICAST;
	TRY(translation_of_pair(p, &key, &d));
	if (d.verdict == DOVE_VERDICT_NO_ENDPOINT)
		return translation_of_nobody(&d);
	if (bpf_skb_store_bytes(skb, 0, d.t->mac, 6, 0))
		return -DOVE_ENCAP_FAILED;
	skb->mark = 0;
	return -DOVE_BRIDGED;
}

/* What can't be decided yet goes to the agent; what was looked up is a hit or a miss. */
static __always_inline int send_finish(struct __sk_buff *skb, struct packet *p, int rc)
{
	if (rc == -DOVE_HELD_MISS || rc == -DOVE_HELD_NEXT_HOP) {
		count(DOVE_COUNT_MISSES, p->len);
		rc = p->hook == HOOK_INJECT ? rc : hold(skb, p, rc);
	} else if (rc == -DOVE_ENCAPSULATED || rc == -DOVE_DELIVERED_LOCAL || rc == -DOVE_DENIED ||
		   rc == -DOVE_ARP_ANSWERED || rc == -DOVE_TOO_BIG_ANSWERED || rc == -DOVE_TOO_BIG) {
		count(DOVE_COUNT_HITS, p->len);
	}
	return finish(p, rc);
}

#endif
