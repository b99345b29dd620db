/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packets that came to the wrong place. Those for a VM that has left this host
 * are sent on to where it is now, under the label that they came with, until
 * their origins know better. Those that must not be delivered under the policy
 * that they were sent by are given back to their origin.
 */
#ifndef DOVE_RELAY_H
#define DOVE_RELAY_H

#include "deliver.h"
#include "maps.bpf.h"
#include "packet.h"
#include "route.h"
#include "translation.h"
#include "tunnel.h"
#include "upcall.h"

/* Hosts that a packet may be sent on by, lest two that point at each other keep it: docs/staleness.md. */
#define RELAYS_MAX 2

/*
 * relay_find() - the VM is not here. -DOVE_RELAYED: it has moved, and the
 * packet was sent before; *j has its number and that of the move.
 * -DOVE_HELD_MOVED: it was here lately, and nobody has
 * said yet where it is. 0: nothing is known of it here; a packet that knows of
 * its new place, and comes here, is none of ours.
 */
static __always_inline int relay_find(const struct packet *p, const struct dove_place_key *key,
				      struct judgement *j)
{
	struct dove_moved *moved = bpf_map_lookup_elem(&dove_moved, key);

	if (!moved || bpf_ktime_get_coarse_ns() >= moved->until)
		return 0;
	if (ip_is_unspecified(&moved->host))
		return -DOVE_HELD_MOVED;
	j->sequence = extend(p->sequence, moved->revision);
	j->wanted = moved->revision;
	return j->sequence < moved->revision ? -DOVE_RELAYED : 0;
}

/* From us to the host, one hop less to live. The outer UDP checksum, which covers the addresses, is zero. */
static __always_inline int relay4_write(struct __sk_buff *skb, const struct dove_ip *to,
					const struct dove_host *host)
{
	struct {
		struct iphdr ip;
		struct udphdr udp;
	} h;

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &h, sizeof(h)) || h.ip.ttl <= 1)
		return -DOVE_MOVED;
	h.ip.ttl--;
	h.ip.saddr = ip_to_v4(&host->source);
	h.ip.daddr = ip_to_v4(to);
	h.ip.check = 0;
	h.ip.check = checksum(&h.ip, sizeof(h.ip));
	h.udp.check = 0;
	return bpf_skb_store_bytes(skb, sizeof(struct ethhdr), &h, sizeof(h), BPF_F_RECOMPUTE_CSUM);
}

static __always_inline int relay6_write(struct __sk_buff *skb, const struct dove_ip *to,
					const struct dove_host *host)
{
	struct {
		struct ipv6hdr ip;
		struct udphdr udp;
	} h;

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &h, sizeof(h)) || h.ip.hop_limit <= 1)
		return -DOVE_MOVED;
	h.ip.hop_limit--;
	__builtin_memcpy(&h.ip.saddr, &host->source, sizeof(h.ip.saddr));
	__builtin_memcpy(&h.ip.daddr, to, sizeof(h.ip.daddr));
	h.udp.check = 0;
	return bpf_skb_store_bytes(skb, sizeof(struct ethhdr), &h, sizeof(h), BPF_F_RECOMPUTE_CSUM);
}

/* The upper half of the option's last word: stage and flags. */
static __always_inline int flags_write(struct __sk_buff *skb, const struct packet *p, __u8 flags)
{
	return bpf_skb_store_bytes(skb, p->outer_len - sizeof(__be32), &flags, sizeof(flags),
				   BPF_F_RECOMPUTE_CSUM);
}

static __always_inline int relay_rewrite(struct __sk_buff *skb, const struct packet *p,
					 const struct dove_ip *to, const struct dove_host *host, __u8 flags)
{
	struct ethhdr eth;
	bool v4 = p->outer_len == sizeof(struct outer4);

	if (p->track)
		flags |= DOVE_FLAG_TRACK;
	if (v4 ? relay4_write(skb, to, host) : relay6_write(skb, to, host))
		return -DOVE_MOVED;
	/* Not by ethernet_write(), for the stack must be written by aligned words. */
	__builtin_memcpy(eth.h_dest, host->dst_mac, 6);
	__builtin_memcpy(eth.h_source, host->src_mac, 6);
	eth.h_proto = v4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	if (flags_write(skb, p, flags) ||
	    bpf_skb_store_bytes(skb, 0, &eth, sizeof(eth), BPF_F_RECOMPUTE_CSUM))
		return -DOVE_MOVED;
	return 0;
}

/*
 * relay() - send the packet on to where its VM is now, as it is but for the
 * outer addresses. At TC: from XDP a veth would pass a checksum on that is not
 * filled in yet.
 */
static __noinline int relay(struct __sk_buff *skb, struct packet *p)
{
	struct dove_place_key key = { .addr = p->dst, .vnid = p->vnid };
	struct dove_moved *moved = bpf_map_lookup_elem(&dove_moved, &key);
	struct dove_host *host;

	if (!moved || p->relays >= RELAYS_MAX)
		return -DOVE_MOVED;
	key.addr = moved->host;
	host = bpf_map_lookup_elem(&dove_hosts, &key.addr);
	if (!host || !(host->flags & DOVE_HOST_REACHABLE))
		return -DOVE_HELD_MOVED;
	if (ip_is_v4(&key.addr) != (p->outer_len == sizeof(struct outer4)))
		return -DOVE_MOVED;
	if (!skb->gso_size && p->len - p->outer_len - sizeof(struct ethhdr) > host->mtu)
		return -DOVE_TOO_BIG;
	TRY(relay_rewrite(skb, p, &key.addr, host, p->relays + 1));
	return send_out(skb, p, host->ifindex) ? -DOVE_MOVED : -DOVE_RELAYED;
}

/*
 * give_back() - the packet to its origin as it came, marked as returned. One
 * for one, and no more a second than that host may have. Where the way there
 * is not known the agent sees what can be done.
 */
static __noinline int give_back(struct __sk_buff *skb, struct packet *p)
{
	struct dove_ip origin = p->origin;
	struct dove_host *host = bpf_map_lookup_elem(&dove_hosts, &origin);

	if (!host || !(host->flags & DOVE_HOST_REACHABLE))
		return -DOVE_HELD_REFUSED;
	if (!budget_allows(DOVE_BUDGET_HOST | host->id, DOVE_BUDGET_ANSWERS, 1) ||
	    relay_rewrite(skb, p, &origin, host, DOVE_FLAG_RETURNED) || send_out(skb, p, host->ifindex))
		return -DOVE_REFUSED;
	return -DOVE_RETURNED;
}

/*
 * returned_find() - a packet that another host gives back: ours, if one of our
 * VMs sent it and our translation leads to that host; p->ifindex is the VM's
 * port then. The rest is as if the VM had just sent it.
 */
static __noinline int returned_find(struct packet *p)
{
	struct dove_place_key from = { .addr = p->src, .vnid = p->source_vnid };
	struct dove_local *vm = bpf_map_lookup_elem(&dove_local, &from);
	struct dove_cache_key key = { .source = p->source };
	struct dove_translation *t;

	if (!vm || vm->endpoint != p->source)
		return -DOVE_NOT_OURS;
	p->to_gateway = mac_equal(p->smac, gateway_mac);
	p->external = p->to_gateway ? prefix_external(p->source_vnid, &p->dst) : 0;
	key.dst = route_target(p);
	t = translation_lookup(&key);
	if (!t || !ip_equal(&t->host, &p->origin))
		return -DOVE_NOT_OURS;
	__builtin_memcpy(p->smac, vm->mac, sizeof(p->smac));
	p->ifindex = vm->ifindex;
	return -DOVE_HELD_RETURNED;
}

/* returned_take() - the VM's frame as it was, to the agent: the answer that we have is the one that was refused. */
static __always_inline int returned_take(struct __sk_buff *skb, struct packet *p)
{
	TRY(strip_skb(skb, p));
	if (bpf_skb_store_bytes(skb, sizeof(p->dmac), p->smac, sizeof(p->smac), 0))
		return -DOVE_DECAP_FAILED;
	return -DOVE_HELD_RETURNED;
}

#endif
