/* SPDX-License-Identifier: GPL-2.0 */
/* Probes that the agent sends through appliances, to see whether these still let anything through. */
#ifndef DOVE_PROBE_H
#define DOVE_PROBE_H

#include "answer.h"
#include "count.h"
#include "maps.bpf.h"
#include "packet.h"
#include "upcall.h"

static __always_inline bool is_probe(struct __sk_buff *skb, struct dove_probe *probe)
{
	return !bpf_skb_load_bytes(skb, sizeof(struct ethhdr), probe, sizeof(*probe)) &&
	       probe->magic == DOVE_PROBE_MAGIC;
}

/* A reply to the port's probe by ARP: to no address, and to the MAC that asked. */
static __always_inline bool is_probe_reply(struct __sk_buff *skb, __u32 endpoint)
{
	struct arp_packet arp;
	__u32 to, asked;

	if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &arp, sizeof(arp)))
		return false;
	__builtin_memcpy(&to, arp.target_ip, sizeof(to));
	__builtin_memcpy(&asked, arp.target_mac + 2, sizeof(asked));
	return arp.operation == bpf_htons(ARPOP_REPLY) && !to && arp.target_mac[0] == DOVE_PROBE_MAC_0 &&
	       arp.target_mac[1] == DOVE_PROBE_MAC_1 && asked == endpoint;
}

/*
 * probe_take() - what came out of an appliance, and would end as -DOVE_NOT_IP or -DOVE_ARP_UNASKED: if it is a
 * probe, or the reply to one, the agent is told, and it ends as -DOVE_PROBED; else as it would. Whose it is the
 * agent sees. The port pays, as for answers: an appliance may send what it has seen as often as it likes. A global
 * function: the verifier looks at it once.
 */
__noinline int probe_take(struct __sk_buff *skb, const struct packet *p, __u32 endpoint, int rc)
{
	struct dove_probe probe = {};
	struct dove_event *event;

	if (!p)
		return rc;
	if (rc == -DOVE_ARP_UNASKED && is_probe_reply(skb, endpoint))
		probe.endpoint = endpoint;
	else if (p->eth_proto != bpf_htons(DOVE_PROBE_PROTO) || !is_probe(skb, &probe))
		return rc;
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
