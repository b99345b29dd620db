/* SPDX-License-Identifier: GPL-2.0 */
/* Probes that the agent sends through appliances, to see whether these still let anything through. */
#ifndef DOVE_PROBE_H
#define DOVE_PROBE_H

#include "count.h"
#include "maps.bpf.h"
#include "packet.h"
#include "upcall.h"

/*
 * probe_take() - what came out of an appliance, and is not IP: if it is a probe the agent is told, and it ends here,
 * as -DOVE_PROBED; else -DOVE_NOT_IP. Whose it is the agent sees. The port pays, as for answers: an appliance may
 * send one it has seen as often as it likes. A global function: the verifier looks at it once.
 */
__noinline int probe_take(struct __sk_buff *skb, const struct packet *p, __u32 endpoint)
{
	struct dove_probe probe = {};
	struct dove_event *event;

	if (!p || p->eth_proto != bpf_htons(DOVE_PROBE_PROTO) ||
	    bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &probe, sizeof(probe)) ||
	    probe.magic != DOVE_PROBE_MAGIC)
		return -DOVE_NOT_IP;
	if (!budget_allows(p->ifindex, DOVE_BUDGET_ANSWERS, 1))
		return -DOVE_PROBED;
	event = bpf_ringbuf_reserve(&dove_events, sizeof(*event), 0);
	if (!event) {
		count(DOVE_COUNT_EVENTS_LOST, 0);
		return -DOVE_PROBED;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->time = bpf_ktime_get_ns();
	event->type = DOVE_EVENT_PROBE;
	event->source = endpoint;
	event->policy = probe.endpoint;
	event->sequence = probe.number;
	event->wanted = probe.token;
	bpf_ringbuf_submit(event, 0);
	return -DOVE_PROBED;
}

#endif
