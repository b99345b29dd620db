/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a sequence number says of the policy that a packet was sent under.
 * The numbers are what this host's agent has watched; docs/staleness.md has
 * the rules by which the service raises them.
 */
#ifndef DOVE_STALE_H
#define DOVE_STALE_H

#include "maps.bpf.h"
#include "packet.h"

enum freshness {
	FRESH,
	FRESH_NEWER,	    /* from a revision that we have not watched yet */
	FRESH_UNWATCHED,    /* the watch is silent, an answer may still hold */
	STALE,		    /* changed since, the security requirements did not */
	STALE_REFUSED,	    /* below a floor: the security requirements changed since */
	STALE_UNKNOWN,	    /* no such policy here */
	STALE_CANNOT_JUDGE, /* the watch is silent for longer than answers live */
	STALE_NO_NETWORK,   /* this host does not serve the network */
};

struct judgement {
	enum freshness fresh;
	bool through;	/* what passes under its policy must have been through a service */
	__u64 sequence; /* of the packet, 64 bits */
	__u64 wanted;	/* least revision that would do */
};

static __always_inline __u64 newest(__u64 a, __u64 b)
{
	return a > b ? a : b;
}

/* The 64-bit value with these low 32 bits that is nearest to the watched revision, never below 0. */
static __always_inline __u64 extend(__u32 sequence, __u64 watched)
{
	__s64 full = (__s64)watched + (__s32)(sequence - (__u32)watched);

	return full < 0 ? 0 : full;
}

/* Numbers of network, policy and, where it is known here (else 0), destination against S. */
static __always_inline enum freshness judge_numbers(const struct dove_network *net, __u32 vnid, __u32 policy,
						    __u64 dst_sequence, __u64 dst_floor, struct judgement *j)
{
	struct dove_policy_key key = { .vnid = vnid, .policy = policy };
	struct dove_policy *numbers;

	numbers = bpf_map_lookup_elem(&dove_policies, &key);
	j->through = numbers && numbers->through;
	if (j->sequence > net->revision)
		return FRESH_NEWER;
	if (!numbers)
		return STALE_UNKNOWN;
	j->wanted = newest(newest(net->floor, numbers->floor), dst_floor);
	if (j->sequence < j->wanted)
		return STALE_REFUSED;
	j->wanted = newest(numbers->sequence, dst_sequence);
	if (j->sequence < j->wanted)
		return STALE;
	return FRESH;
}

/* At the destination: a packet that carries (policy, low 32 bits of S) for one of our VMs. */
static __always_inline void judge_received(const struct packet *p, const struct dove_local *to,
					   struct judgement *j)
{
	__u32 vnid = p->vnid; /* as in judge_sent() */
	struct dove_network *net = bpf_map_lookup_elem(&dove_networks, &vnid);
	__u64 now = bpf_ktime_get_coarse_ns();

	if (!net) {
		j->fresh = STALE_NO_NETWORK;
		return;
	}
	j->sequence = extend(p->sequence, net->revision);
	j->fresh = judge_numbers(net, p->vnid, p->policy, to->sequence, to->floor, j);
	/* What is refused or not known stays so; what would be delivered needs a watch that speaks. */
	if (likely(now < net->alive_until) ||
	    (j->fresh != FRESH && j->fresh != FRESH_NEWER && j->fresh != STALE))
		return;
	if (now >= net->judge_until)
		j->fresh = STALE_CANNOT_JUDGE;
	else if (j->fresh != STALE)
		j->fresh = FRESH_UNWATCHED;
}

/*
 * At the origin: our own translation, by the same numbers. What this host
 * does not know (a network that it does not serve, a policy that it has not
 * watched) is left to the destination.
 */
__noinline int judge_sent(const struct dove_translation *t, __u32 policy, struct judgement *j)
{
	struct dove_network *net;
	__u32 vnid;

	if (!t || !j)
		return 0;
	vnid = t->vnid; /* 6.1 takes no key out of a global function's argument */
	j->sequence = t->revision;
	j->fresh = FRESH;
	net = bpf_map_lookup_elem(&dove_networks, &vnid);
	if (!net)
		return 0;
	if (!policy) /* an answer that no policy gave: good for that revision only */
		j->fresh = net->revision > t->revision ? STALE : FRESH;
	else
		j->fresh = judge_numbers(net, t->vnid, policy, 0, 0, j);
	return 0;
}

#endif
