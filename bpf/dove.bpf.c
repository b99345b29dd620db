// SPDX-License-Identifier: GPL-2.0
/*
 * The data path's entry programs. Read send.h for the way out of a VM and
 * receive.h for the way in; each program here names its hook, lets the packet
 * go its way and ends in the one exit that counts it.
 */
#include "vmlinux.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "door.h"
#include "probe.h"
#include "receive.h"
#include "send.h"

/* What a VM sends, at its own interface. */
SEC("tcx/ingress")
int dove_port(struct __sk_buff *skb)
{
	struct packet p = { .hook = HOOK_PORT, .ifindex = skb->ifindex, .len = skb->len };
	struct dove_port *port = port_find(&p.ifindex, &p);
	struct decision d = {};

	int rc = port ? send(skb, &p, port, &d) : -DOVE_NO_PORT;

	if (unlikely(rc == -DOVE_NOT_IP || rc == -DOVE_ARP_UNASKED) && port &&
	    port->kind == DOVE_PORT_SERVICE)
		rc = probe_take(skb, &p, port->endpoint, rc);
	return send_finish(skb, &p, &d, rc);
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
	struct decision d = {};
	struct dove_port *port;
	int rc;

	if (skb->mark == DOVE_MARK_ENCAPSULATED) {
		skb->mark = 0;
		return TC_ACT_UNSPEC; /* counted where it was encapsulated */
	}
	port = p.ifindex ? bpf_map_lookup_elem(&dove_ports, &p.ifindex) : 0;
	if (!port || port->kind != DOVE_PORT_BRIDGED)
		return TC_ACT_UNSPEC;
	p.to_gateway = skb->mark == DOVE_MARK_ROUTED;
	skb->mark = 0;
	rc = send(skb, &p, port, &d);
	return send_finish(skb, &p, &d, rc);
}

/* What arrives at the NIC, stripped by XDP before or not. */
SEC("tcx/ingress")
int dove_nic_ingress(struct __sk_buff *skb)
{
	struct packet p = { .hook = HOOK_NIC_INGRESS, .ifindex = skb->ifindex };
	struct decision d = {};

	return receive_finish(skb, &p, &d, receive_skb(skb, &p, &d));
}

/* The same, as early as the driver has it. What can't be done here TC does. */
SEC("xdp.frags")
int dove_xdp(struct xdp_md *ctx)
{
	struct packet p = { .hook = HOOK_XDP, .len = bpf_xdp_get_buff_len(ctx), .action = XDP_PASS };
	int rc = receive_early(ctx, &p);

	if (rc == -DOVE_TRUNCATED && ctx->data_end - ctx->data < p.len)
		return XDP_PASS; /* headers beyond the frame's first piece: TC can put them together */
	if (!rc)
		rc = strip_xdp(ctx, &p);
	switch (-rc) { /* what only TC can do: copy, send on, give to the agent */
	case DOVE_PASSED:
	case DOVE_HELD_UNKNOWN:
	case DOVE_HELD_MOVED:
	case DOVE_HELD_REFUSED:
	case DOVE_HELD_RETURNED:
	case DOVE_HELD_HOP:
	case DOVE_REPLICATED:
	case DOVE_RELAYED:
	case DOVE_RETURNED:
	case DOVE_TO_SERVICE:
		return XDP_PASS;
	}
	return finish(&p, rc) == XDP_PASS && rc == -DOVE_STRIPPED ? XDP_PASS : XDP_DROP;
}

/* What the tunnel device made of a frame that was accepted and left to it; anything else has no business there. */
SEC("tcx/ingress")
int dove_tunnel(struct __sk_buff *skb)
{
	struct packet p = { .hook = HOOK_TUNNEL, .ifindex = skb->ifindex, .len = skb->len };
	__u32 mark = skb->mark;

	if ((mark & ~DOVE_MARK_IFINDEX) != DOVE_MARK_DELIVER)
		return finish(&p, -DOVE_NOT_ACCEPTED);
	skb->mark = 0;
	p.ifindex = mark & DOVE_MARK_IFINDEX;
	p.delivery = DOVE_DELIVER_REDIRECT;
	return finish(&p, deliver(skb, &p));
}

/* What the agent sends on through its own device: as if it came again to where it was held. */
SEC("tcx/ingress")
int dove_door(struct __sk_buff *skb)
{
	struct packet p = { .hook = HOOK_DOOR };
	struct decision d = {};
	struct dove_port *port;
	__u32 way = 0;
	int rc = door_open(skb, &p, &way);

	if (!rc && way == DOVE_DOOR_RECEIVED) {
		rc = receive_skb(skb, &p, &d);
		door_reason = -rc;
		return receive_finish(skb, &p, &d, rc);
	}
	if (way >= DOVE_DOOR_CUT)
		p.hook = HOOK_CUT;
	port = bpf_map_lookup_elem(&dove_ports, &p.ifindex);
	if (!rc)
		rc = port ? send(skb, &p, port, &d) : -DOVE_NO_PORT;
	if (way != DOVE_DOOR_PAIR) /* the agent is not waiting for what became of these */
		door_reason = -rc;
	return send_finish(skb, &p, &d, rc);
}

/* `dove-agent trace`, by BPF_PROG_TEST_RUN: what would become of a VM's frame. Nothing is sent, counted or kept. */
static struct packet traced_packet; /* not on the stack: what is traced goes deep */

SEC("tc")
int dove_trace(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ingress_ifindex;
	struct dove_port *port = bpf_map_lookup_elem(&dove_ports, &ifindex);
	struct packet *p = &traced_packet;
	struct decision d = {};

	__builtin_memset(p, 0, sizeof(*p));
	p->hook = HOOK_TRACE;
	p->ifindex = ifindex;
	p->len = skb->len;
	traced_hop = (struct dove_hop){};
	traced_sequence = 0;
	trace_note(p, &d, port ? send(skb, p, port, &d) : -DOVE_NO_PORT);
	return 0;
}

/* The agent, by BPF_PROG_TEST_RUN: these entries are to be there. */
SEC("syscall")
int dove_write(void *ctx)
{
	for (__u32 i = 0; i < DOVE_WRITES_MAX && i < n_writes; i++) {
		struct dove_write *w = &writes[i];

		if (w->denied) {
			w->rc = bpf_map_update_elem(&dove_denied, &w->key, &w->t, BPF_ANY);
			bpf_map_delete_elem(&dove_cache, &w->key);
		} else {
			w->rc = bpf_map_update_elem(&dove_cache, &w->key, &w->t, BPF_ANY);
			bpf_map_delete_elem(&dove_denied, &w->key);
		}
	}
	return 0;
}

/* The packets that waited for these entries are all sent. */
SEC("syscall")
int dove_open(void *ctx)
{
	for (__u32 i = 0; i < DOVE_OPENINGS_MAX && i < n_openings; i++) {
		struct dove_opening *asked = &openings[i];
		struct dove_translation *t = translation_lookup(&asked->key);

		asked->open = !t || t->expires != asked->expires || gate_open(&t->gate, &asked->gate);
	}
	return 0;
}

/*
 * Of who gets what goes to many. 0: its gate is open now, or it is another
 * entry. 1: somebody came meanwhile, and `gate` says who.
 */
SEC("syscall")
int dove_open_group(struct dove_group_opening *asked)
{
	struct dove_group_key key = asked->key;
	struct dove_group *group = bpf_map_lookup_elem(&dove_groups, &key);

	return group && group->expires == asked->expires && !gate_open(&group->gate, &asked->gate);
}

char LICENSE[] SEC("license") = "GPL";
