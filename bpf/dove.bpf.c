// SPDX-License-Identifier: GPL-2.0
/*
 * The data path's entry programs. Read send.h for the way out of a VM and
 * receive.h for the way in; each program here names its hook, lets the packet
 * go its way and ends in the one exit that counts it.
 */
#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "receive.h"
#include "send.h"

/* What a VM sends, at its own interface. */
SEC("tcx/ingress")
int dove_port(struct __sk_buff *skb)
{
	struct packet p = { .hook = HOOK_PORT, .ifindex = skb->ifindex, .len = skb->len };
	struct dove_port *port = bpf_map_lookup_elem(&dove_ports, &p.ifindex);

	if (!port)
		return finish(&p, -DOVE_NO_PORT);
	if (port->kind == DOVE_PORT_BRIDGED)
		return send_finish(skb, &p, send_over_bridge(skb, &p, port));
	return send_finish(skb, &p, send(skb, &p, port));
}

/*
 * What leaves by the NIC: only frames that came over a bridge from one of its
 * member ports are ours to encapsulate. The host's own traffic has no ingress
 * interface, that which it routes has the bridge's.
 */
SEC("tcx/egress")
int dove_nic_egress(struct __sk_buff *skb)
{
	struct packet p = { .hook = HOOK_NIC_EGRESS, .ifindex = skb->ingress_ifindex, .len = skb->len };
	struct dove_port *port;

	if (skb->mark == DOVE_MARK_ENCAPSULATED) {
		skb->mark = 0;
		return TC_ACT_UNSPEC; /* counted where it was encapsulated */
	}
	port = p.ifindex ? bpf_map_lookup_elem(&dove_ports, &p.ifindex) : 0;
	if (!port || port->kind != DOVE_PORT_BRIDGED)
		return TC_ACT_UNSPEC;
	return send_finish(skb, &p, send(skb, &p, port));
}

/* What arrives at the NIC, stripped by XDP before or not. */
SEC("tcx/ingress")
int dove_nic_ingress(struct __sk_buff *skb)
{
	struct packet p = { .hook = HOOK_NIC_INGRESS, .ifindex = skb->ifindex };
	int rc = receive_skb(skb, &p);

	return finish(&p, rc == -DOVE_HELD_UNKNOWN ? hold(skb, &p, rc) : rc);
}

/* The same, as early as the driver has it. What can't be done here TC does. */
SEC("xdp.frags")
int dove_xdp(struct xdp_md *ctx)
{
	struct packet p = { .hook = HOOK_XDP, .len = bpf_xdp_get_buff_len(ctx), .action = XDP_PASS };
	struct dove_local *to;
	int rc;

	rc = receive((void *)(long)ctx->data, (void *)(long)ctx->data_end, p.len, &p, &to);
	if (!rc)
		rc = strip_xdp(ctx, to);
	if (rc == -DOVE_PASSED || rc == -DOVE_HELD_UNKNOWN)
		return XDP_PASS;
	return finish(&p, rc) == XDP_PASS && rc == -DOVE_STRIPPED ? XDP_PASS : XDP_DROP;
}

/*
 * A packet that waited in the agent, sent on by BPF_PROG_TEST_RUN: the way of
 * dove_port, with pending translations open to it. Returns the reason.
 */
SEC("tc")
int dove_inject(struct __sk_buff *skb)
{
	struct packet p = { .hook = HOOK_INJECT, .ifindex = skb->ingress_ifindex, .len = skb->len };
	struct dove_port *port = bpf_map_lookup_elem(&dove_ports, &p.ifindex);
	int rc = port ? send(skb, &p, port) : -DOVE_NO_PORT;

	send_finish(skb, &p, rc);
	return -rc;
}

/* A packet from the underlay that waited in the agent for its policy's numbers. Returns the reason. */
SEC("tc")
int dove_inject_received(struct __sk_buff *skb)
{
	struct packet p = { .hook = HOOK_INJECT, .ifindex = skb->ingress_ifindex };
	int rc = receive_skb(skb, &p);

	finish(&p, rc);
	return -rc;
}

char LICENSE[] SEC("license") = "GPL";
