/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Which slot of dove_hops a flow has: the programs choose by it, the agent
 * tells by it. Include after maps.h.
 */
#ifndef DOVE_SLOT_H
#define DOVE_SLOT_H

static inline __attribute__((always_inline)) __u32 dove_side_hash(const struct dove_ip *ip, __u16 port)
{
	__u32 hash = port;

	for (int i = 0; i < 4; i++) {
		hash = (hash ^ ip->w[i]) * 0x9e3779b1u;
		hash ^= hash >> 15;
	}
	return hash;
}

/* The same for both directions. Ports in host byte order; of what has none 0. */
static inline __attribute__((always_inline)) __u32
dove_slot(const struct dove_ip *src, __u16 from_port, const struct dove_ip *dst, __u16 to_port, __u8 proto)
{
	__u32 hash = dove_side_hash(src, from_port) ^ dove_side_hash(dst, to_port);

	hash = (hash ^ proto) * 0x85ebca6bu;
	return (hash ^ hash >> 16) % DOVE_SLOTS;
}

#endif
