/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The gate before what the agent has just put into a map (DOVE_GATE_*): shut
 * while packets that came before still wait, so that nobody overtakes them.
 */
#ifndef DOVE_GATE_H
#define DOVE_GATE_H

#include "packet.h"

/*
 * gate_lets() - may the packet go by? If not it is counted, and gate_left() is
 * due. The agent may open the gate between a look at it and the count: then
 * the count says so.
 */
static __always_inline bool gate_lets(__u64 *gate, struct packet *p)
{
	if (!(*gate & DOVE_GATE_SHUT) || p->hook == HOOK_DOOR || p->hook == HOOK_TRACE)
		return true;
	p->follows = __sync_fetch_and_add(gate, 1) & DOVE_GATE_SHUT;
	return !p->follows;
}

/* gate_left() - the packet that was counted is in the ring, or has come to nothing. */
static __always_inline void gate_left(__u64 *gate, bool held)
{
	__sync_fetch_and_add(gate, held ? DOVE_GATE_HELD : -1ull);
}

/*
 * gate_open() - of the agent: those that waited are all sent. True if it was as
 * the agent has seen it last, or open; else *seen is how it is.
 */
static __always_inline bool gate_open(__u64 *gate, __u64 *seen)
{
	__u64 before = __sync_val_compare_and_swap(gate, *seen, 0);

	if (before == *seen || !(before & DOVE_GATE_SHUT))
		return true;
	*seen = before;
	return false;
}

#endif
