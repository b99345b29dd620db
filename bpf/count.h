/* SPDX-License-Identifier: GPL-2.0 */
/* The one exit: every packet is counted under exactly one reason. */
#ifndef DOVE_COUNT_H
#define DOVE_COUNT_H

#include "maps.bpf.h"
#include "packet.h"

static __always_inline void count(__u32 index, __u64 bytes)
{
	struct dove_stats *stats = bpf_map_lookup_elem(&dove_stats, &index);

	if (!stats)
		return;
	stats->packets++;
	stats->bytes += bytes;
}

/* Per policy: what this host sent, or refused to send, under it, or dropped above a rate. */
enum policy_count { POLICY_SENT, POLICY_DENIED, POLICY_LIMITED };

static __noinline void count_policy(const struct packet *p, __u32 vnid, __u32 policy, enum policy_count what)
{
	__u32 bytes = p->len;
	struct dove_policy_key key = { .vnid = vnid, .policy = policy };
	struct dove_policy_stats *stats, none = {};

	if (!cfg_policy_stats || !policy || p->hook == HOOK_TRACE)
		return;
	stats = bpf_map_lookup_elem(&dove_policy_stats, &key);
	if (!stats) {
		bpf_map_update_elem(&dove_policy_stats, &key, &none, BPF_NOEXIST);
		stats = bpf_map_lookup_elem(&dove_policy_stats, &key);
	}
	if (!stats)
		return;
	if (what == POLICY_DENIED) {
		stats->denied++;
	} else if (what == POLICY_LIMITED) {
		stats->limited++;
	} else {
		stats->packets++;
		stats->bytes += bytes;
	}
}

/* The first of the reasons for which a packet is dropped: maps/reasons.h has them in the order of their classes. */
static __always_inline bool is_drop(__u32 reason)
{
	return reason >= DOVE_TRUNCATED && reason < DOVE_REASON_COUNT;
}

/*
 * finish() - count the packet and tell the kernel what to do with it.
 *
 * reason is the negative reason that the packet's way ended with. What was
 * sent has its action from the redirect, what is not ours passes, all else is
 * dropped here (the agent has its copy of what is held).
 */
static __always_inline int finish(struct packet *p, int reason)
{
	if (p->hook == HOOK_TRACE)
		return TC_ACT_SHOT;
	count(-reason, p->len);
	switch (-reason) {
	case DOVE_ENCAPSULATED:
	case DOVE_DELIVERED_LOCAL:
	case DOVE_DELIVERED:
	case DOVE_STRIPPED:
	case DOVE_ARP_ANSWERED:
	case DOVE_ND_ANSWERED:
	case DOVE_TOO_BIG_ANSWERED:
	case DOVE_GATEWAY_ANSWERED:
	case DOVE_EXPIRED_ANSWERED:
	case DOVE_UNREACHABLE_ANSWERED:
	case DOVE_REJECTED:
	case DOVE_SEGMENTING:
	case DOVE_TUNNELED:
	case DOVE_RELAYED:
	case DOVE_RETURNED:
	case DOVE_TO_SERVICE:
		return p->action;
	case DOVE_PASSED:
	case DOVE_BRIDGED:
		return TC_ACT_UNSPEC;
	}
	return TC_ACT_SHOT;
}

#endif
