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
#include "rows.h"

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
	bool watched;	/* at the origin: this host hears of it when the network, or its policy, changes */
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

static __noinline int numbers_read(struct numbers *n, __u32 vnid, __u32 policy, __u64 version)
{
	struct dove_policy_key key = { .vnid = vnid, .policy = policy };
	struct dove_network *net;
	struct dove_policy *of;

	rows_begin(&n->version);
	net = bpf_map_lookup_elem(&dove_networks, &key.vnid);
	of = bpf_map_lookup_elem(&dove_policies, &key);
	n->version = version;
	n->vnid = vnid;
	n->policy = policy;
	n->watched = net != 0;
	n->known = of != 0;
	if (net)
		n->net = *net;
	if (of)
		n->of = *of;
	return 0;
}

/*
 * numbers_find() - the rows of a network and of one of its policies, as they
 * are now, remembered as in rows.h. What is traced has a slot of its own.
 */
static __always_inline const struct numbers *numbers_find(__u32 vnid, __u32 policy, bool traced)
{
	__u32 slot = traced ? NUMBERS_SLOTS : (vnid * 61 + policy) % NUMBERS_SLOTS;
	struct numbers *n = bpf_map_lookup_elem(&dove_numbers, &slot);
	__u64 version = rows_version();

	if (!n)
		return 0;
	if (unlikely(!version || n->version != version || n->vnid != vnid || n->policy != policy))
		numbers_read(n, vnid, policy, version);
	return n;
}

/* Numbers of network, policy and, where it is known here (else 0), destination against S. */
static __always_inline enum freshness judge_numbers(const struct numbers *n, __u64 dst_sequence,
						    __u64 dst_floor, struct judgement *j)
{
	j->through = n->known && n->of.through;
	if (j->sequence > n->net.revision)
		return FRESH_NEWER;
	if (!n->known)
		return STALE_UNKNOWN;
	j->wanted = newest(newest(n->net.floor, n->of.floor), dst_floor);
	if (j->sequence < j->wanted)
		return STALE_REFUSED;
	j->wanted = newest(n->of.sequence, dst_sequence);
	if (j->sequence < j->wanted)
		return STALE;
	return FRESH;
}

/* At the destination: a packet that carries (policy, low 32 bits of S) for one of our VMs. */
static __always_inline void judge_received(const struct packet *p, const struct dove_local *to,
					   struct judgement *j)
{
	const struct numbers *n = numbers_find(p->vnid, p->policy, p->hook == HOOK_TRACE);
	__u64 now = tick_now();

	if (!n || !n->watched) {
		j->fresh = STALE_NO_NETWORK;
		return;
	}
	j->sequence = extend(p->sequence, n->net.revision);
	j->fresh = judge_numbers(n, to->sequence, to->floor, j);
	/* What is refused or not known stays so; what would be delivered needs a watch that speaks. */
	if (likely(now < n->net.alive_until) ||
	    (j->fresh != FRESH && j->fresh != FRESH_NEWER && j->fresh != STALE))
		return;
	if (now >= n->net.judge_until)
		j->fresh = STALE_CANNOT_JUDGE;
	else if (j->fresh != STALE)
		j->fresh = FRESH_UNWATCHED;
}

/*
 * At the origin: our own translation, by the same numbers. What this host
 * does not know (a network that it does not serve, a policy that it has not
 * watched) is left to the destination.
 */
__noinline int judge_sent(const struct dove_translation *t, __u32 policy, bool traced, struct judgement *j)
{
	const struct numbers *n;

	if (!t || !j)
		return 0;
	j->sequence = t->revision;
	j->fresh = FRESH;
	n = numbers_find(t->vnid, policy, traced);
	if (!n || !n->watched)
		return 0;
	j->watched = n->known || !policy;
	if (!policy) /* an answer that no policy gave: good for that revision only */
		j->fresh = n->net.revision > t->revision ? STALE : FRESH;
	else
		j->fresh = judge_numbers(n, 0, 0, j);
	return 0;
}

#endif
