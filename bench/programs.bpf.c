// SPDX-License-Identifier: GPL-2.0
/*
 * The data path's programs, made so that BPF_PROG_TEST_RUN can repeat them on
 * one packet: what a run changed is undone at its end, and each run may have
 * another destination. What the undoing and the choosing cost is what the
 * programs that do nothing else are for: bench/programs.c takes it off.
 *
 * One thing is not as in a packet's life: the flags that tell the kernel of an
 * encapsulation can't be taken back by any helper, and would have every run
 * but the first refused. They are left out; room is made all the same.
 */
#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 0ull

/* Forward, so that what is measured is in one piece with what undoes it. */
struct __sk_buff;
struct xdp_md;
__attribute__((always_inline)) int dove_port(struct __sk_buff *skb);
__attribute__((always_inline)) int dove_nic_ingress(struct __sk_buff *skb);
__attribute__((always_inline)) int dove_xdp(struct xdp_md *ctx);

#include "bpf/dove.bpf.c"

/* The keys: so many addresses from `first_key` on, host byte order. */
volatile __u32 first_key, n_keys;
/* The VM's Ethernet header, and all that stands before its frame on the wire. */
struct ethhdr vm_ethernet;
struct outer4 outer;

#define ROOM sizeof(struct outer4)
#define ROOM_FLAGS (BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET)

/* Another destination for the VM's packet, whose IPv4 header is at `ip`. */
static __always_inline void destination_choose(struct iphdr *ip, void *end)
{
	__u32 n = n_keys;

	if ((void *)(ip + 1) <= end && n)
		ip->daddr = bpf_htonl(first_key + bpf_get_prandom_u32() % n);
}

static __always_inline void skb_choose(struct __sk_buff *skb, __u32 before)
{
	destination_choose((void *)(long)skb->data + before + sizeof(struct ethhdr),
			   (void *)(long)skb->data_end);
}

static __always_inline void ethernet_put_back(struct __sk_buff *skb)
{
	struct ethhdr *eth = (void *)(long)skb->data;

	if ((void *)(eth + 1) <= (void *)(long)skb->data_end)
		*eth = vm_ethernet;
}

static __always_inline void outer_put_back(struct __sk_buff *skb)
{
	struct outer4 *o = (void *)(long)skb->data;
	struct ethhdr *inner = (void *)(o + 1);

	if ((void *)(inner + 1) > (void *)(long)skb->data_end)
		return;
	*o = outer;
	*inner = vm_ethernet;
}

/* ---- out of a VM ---- */

SEC("tcx/ingress")
int encap(struct __sk_buff *skb)
{
	int action;

	skb_choose(skb, 0);
	action = dove_port(skb);
	bpf_skb_adjust_room(skb, -(int)ROOM, BPF_ADJ_ROOM_MAC, ROOM_FLAGS);
	ethernet_put_back(skb);
	return action;
}

/* Choose, room, undo. */
SEC("tcx/ingress")
int encap_idle(struct __sk_buff *skb)
{
	skb_choose(skb, 0);
	bpf_skb_adjust_room(skb, ROOM, BPF_ADJ_ROOM_MAC, ROOM_FLAGS);
	bpf_skb_adjust_room(skb, -(int)ROOM, BPF_ADJ_ROOM_MAC, ROOM_FLAGS);
	ethernet_put_back(skb);
	return 0;
}

/* Choose, room in two pieces, undo: a room more than encap_idle(). */
SEC("tcx/ingress")
int encap_idle_twice(struct __sk_buff *skb)
{
	skb_choose(skb, 0);
	bpf_skb_adjust_room(skb, ROOM / 2, BPF_ADJ_ROOM_MAC, ROOM_FLAGS);
	bpf_skb_adjust_room(skb, ROOM / 2, BPF_ADJ_ROOM_MAC, ROOM_FLAGS);
	bpf_skb_adjust_room(skb, -(int)ROOM, BPF_ADJ_ROOM_MAC, ROOM_FLAGS);
	ethernet_put_back(skb);
	return 0;
}

/* ---- from the underlay, at TC ---- */

SEC("tcx/ingress")
int decap_tc(struct __sk_buff *skb)
{
	int action;

	skb_choose(skb, ROOM);
	action = dove_nic_ingress(skb);
	bpf_skb_adjust_room(skb, ROOM, BPF_ADJ_ROOM_MAC, ROOM_FLAGS);
	outer_put_back(skb);
	return action;
}

SEC("tcx/ingress")
int decap_tc_idle(struct __sk_buff *skb)
{
	skb_choose(skb, ROOM);
	bpf_skb_adjust_room(skb, -(int)ROOM, BPF_ADJ_ROOM_MAC, ROOM_FLAGS);
	bpf_skb_adjust_room(skb, ROOM, BPF_ADJ_ROOM_MAC, ROOM_FLAGS);
	outer_put_back(skb);
	return 0;
}

SEC("tcx/ingress")
int decap_tc_idle_twice(struct __sk_buff *skb)
{
	skb_choose(skb, ROOM);
	bpf_skb_adjust_room(skb, -(int)ROOM / 2, BPF_ADJ_ROOM_MAC, ROOM_FLAGS);
	bpf_skb_adjust_room(skb, -(int)ROOM / 2, BPF_ADJ_ROOM_MAC, ROOM_FLAGS);
	bpf_skb_adjust_room(skb, ROOM, BPF_ADJ_ROOM_MAC, ROOM_FLAGS);
	outer_put_back(skb);
	return 0;
}

/* ---- from the underlay, at XDP ---- */

static __always_inline void xdp_choose(struct xdp_md *ctx)
{
	destination_choose((void *)(long)ctx->data + ROOM + sizeof(struct ethhdr),
			   (void *)(long)ctx->data_end);
}

/* The frame itself is untouched; only where it has moved to did the metadata come over what was before it. */
static __always_inline void xdp_put_back(struct xdp_md *ctx, int meta)
{
	struct outer4 *o;

	bpf_xdp_adjust_meta(ctx, meta);
	bpf_xdp_adjust_head(ctx, -(int)ROOM);
	o = (void *)(long)ctx->data;
	if ((void *)(o + 1) <= (void *)(long)ctx->data_end)
		o->tunnel.option = outer.tunnel.option;
}

SEC("xdp.frags")
int decap_xdp(struct xdp_md *ctx)
{
	int action;

	xdp_choose(ctx);
	action = dove_xdp(ctx);
	xdp_put_back(ctx, sizeof(struct dove_meta));
	return action;
}

SEC("xdp.frags")
int decap_xdp_idle(struct xdp_md *ctx)
{
	xdp_choose(ctx);
	bpf_xdp_adjust_meta(ctx, -(int)sizeof(struct dove_meta));
	bpf_xdp_adjust_head(ctx, ROOM);
	xdp_put_back(ctx, sizeof(struct dove_meta));
	return XDP_PASS;
}

SEC("xdp.frags")
int decap_xdp_idle_twice(struct xdp_md *ctx)
{
	xdp_choose(ctx);
	bpf_xdp_adjust_meta(ctx, -(int)sizeof(struct dove_meta));
	bpf_xdp_adjust_head(ctx, ROOM / 2);
	bpf_xdp_adjust_meta(ctx, -4);
	bpf_xdp_adjust_head(ctx, ROOM / 2);
	xdp_put_back(ctx, sizeof(struct dove_meta) + 4);
	return XDP_PASS;
}

/* ---- nothing at all ---- */

SEC("tcx/ingress")
int noop_tc(struct __sk_buff *skb)
{
	return 0;
}

SEC("tcx/ingress")
int noop_tc_choose(struct __sk_buff *skb)
{
	skb_choose(skb, 0);
	return 0;
}

SEC("xdp.frags")
int noop_xdp(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp.frags")
int noop_xdp_choose(struct xdp_md *ctx)
{
	xdp_choose(ctx);
	return XDP_PASS;
}
