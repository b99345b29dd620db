/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a processor remembers of the agent's rows, and of the time. Nearly
 * every packet needs the rows of the one before it, and a look into a hash
 * costs more than what is done with them: what was read holds until the agent
 * changes a row of any such map. dove_version is 0 while it does, and
 * afterwards one that has never been; it is read before the rows, and raised
 * after them.
 *
 * No two packets are under way on a processor. But up to 6.2 they interrupt
 * what BPF_PROG_TEST_RUN runs: what is traced has slots of its own.
 */
#ifndef DOVE_ROWS_H
#define DOVE_ROWS_H

#include "maps.bpf.h"
#include "packet.h"

/* Of what the maps hold now; 0: of nothing that may be remembered. */
static __always_inline __u64 rows_version(void)
{
	__u32 first = 0;
	volatile __u64 *version = bpf_map_lookup_elem(&dove_version, &first);

	return version ? *version : 0;
}

/* A barrier: processors that read ahead must not have the rows from before the version. */
static __always_inline void rows_begin(__u64 *version)
{
	__sync_val_compare_and_swap(version, 0, 0);
}

static __always_inline bool words_equal(const __u32 *a, const __u32 *b, const __u32 bytes)
{
	__u32 differ = 0;

	for (__u32 i = 0; i < bytes / 4; i++)
		differ |= a[i] ^ b[i];
	return !differ;
}

/*
 * FIND(name, ...) defines name(key, packet): the row of `map`, as it is now;
 * NULL: there is none, which is not remembered. The key is looked up where it
 * is to be kept: the stack has no room for more.
 */
#define FIND(name, map, kind, key_type, row_type, hash)                                                      \
	_Static_assert(sizeof(key_type) <= sizeof(((struct seen *)0)->key) &&                                \
			       sizeof(row_type) <= sizeof(((struct seen *)0)->row),                          \
		       "a slot has room for it");                                                            \
                                                                                                             \
	static __noinline int name##_read(struct seen *seen, __u64 version)                                  \
	{                                                                                                    \
		row_type *row;                                                                               \
                                                                                                             \
		rows_begin(&seen->version);                                                                  \
		row = bpf_map_lookup_elem(&map, seen->key);                                                  \
		seen->version = row ? version : 0;                                                           \
		if (!row)                                                                                    \
			return -1;                                                                           \
		*(row_type *)seen->row = *row;                                                               \
		return 0;                                                                                    \
	}                                                                                                    \
                                                                                                             \
	static __always_inline row_type *name(const key_type *key, const struct packet *p)                   \
	{                                                                                                    \
		__u32 slot = kind * (SEEN_SLOTS + 1) +                                                       \
			     (p->hook == HOOK_TRACE ? SEEN_SLOTS : (hash) % SEEN_SLOTS);                     \
		struct seen *seen = bpf_map_lookup_elem(&dove_seen, &slot);                                  \
		__u64 version = rows_version();                                                              \
                                                                                                             \
		if (!seen)                                                                                   \
			return 0;                                                                            \
		if (unlikely(!version || seen->version != version ||                                         \
			     !words_equal(seen->key, (const __u32 *)key, sizeof(*key)))) {                   \
			*(key_type *)seen->key = *key;                                                       \
			if (name##_read(seen, version))                                                      \
				return 0;                                                                    \
		}                                                                                            \
		return (row_type *)seen->row;                                                                \
	}

static __always_inline __u32 ip_hash(const struct dove_ip *ip)
{
	return (ip->w[0] ^ ip->w[1] ^ ip->w[2] ^ ip->w[3]) * 0x9e3779b1u >> 16;
}

FIND(port_find, dove_ports, SEEN_PORT, __u32, struct dove_port, *key)
FIND(addr_find, dove_addrs, SEEN_ADDR, struct dove_addr_key, struct dove_addr,
     ip_hash(&key->addr) + key->ifindex)
FIND(host_find, dove_hosts, SEEN_HOST, struct dove_ip, struct dove_host, ip_hash(key))
FIND(router_find, dove_routers, SEEN_ROUTER, struct dove_ip, struct dove_host, ip_hash(key))
FIND(place_find, dove_local, SEEN_PLACE, struct dove_place_key, struct dove_local,
     ip_hash(&key->addr) + key->vnid)

/*
 * tick_now() - bpf_ktime_get_coarse_ns(), which the same tick moves on as
 * jiffies: asked once for each of them, so at most a tick behind it.
 */
static __always_inline __u64 tick_now(void)
{
	__u64 jiffies = bpf_jiffies64();
	__u32 first = 0;
	struct tick *tick = bpf_map_lookup_elem(&dove_tick, &first);

	if (!tick)
		return bpf_ktime_get_coarse_ns();
	if (unlikely(tick->jiffies != jiffies)) {
		tick->now = bpf_ktime_get_coarse_ns();
		tick->jiffies = jiffies;
	}
	return tick->now;
}

#endif
