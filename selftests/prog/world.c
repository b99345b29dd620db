// SPDX-License-Identifier: Apache-2.0
#include <bpf/libbpf.h>
#include <string.h>
#include <time.h>

#include "prog.h"

const struct vm vm1 = { 0x0a01000b, 101, { 0x02, 0, 0, 0, 1, 1 } };
const struct vm vm2 = { 0x0a01000c, 102, { 0x02, 0, 0, 0, 1, 2 } };
const struct vm vm3 = { 0x0a01000d, 103, { 0x02, 0, 0, 0, 1, 3 } };
const uint8_t nic_mac[6] = { 0x02, 0xaa, 0, 0, 0, 1 };
const uint8_t hop_mac[6] = { 0x02, 0xaa, 0, 0, 0, 0xfe };

/* ---- maps ---- */

void map_put_sized(struct bpf_map *map, const void *key, size_t key_len, const void *value, size_t value_len)
{
	cr_assert(!bpf_map__update_elem(map, key, key_len, value, value_len, BPF_ANY), "%s: %s: %s",
		  case_name(), bpf_map__name(map), strerror(errno));
}

bool map_get_sized(struct bpf_map *map, const void *key, size_t key_len, void *value, size_t value_len)
{
	return !bpf_map__lookup_elem(map, key, key_len, value, value_len, 0);
}

static void map_clear(struct bpf_map *map)
{
	uint8_t key[64];

	while (!bpf_map__get_next_key(map, NULL, key, bpf_map__key_size(map)))
		bpf_map__delete_elem(map, key, bpf_map__key_size(map), 0);
}

static bool is_hash(const struct bpf_map *map)
{
	switch (bpf_map__type(map)) {
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
		return true;
	default:
		return false;
	}
}

/* ---- the world ---- */

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

struct dove_ip ip_of(uint32_t v4)
{
	return (struct dove_ip){ { [10] = 0xff, [11] = 0xff, v4 >> 24, v4 >> 16, v4 >> 8, v4 } };
}

bool ip_is(const struct dove_ip *ip, uint32_t v4)
{
	struct dove_ip want = ip_of(v4);

	return !memcmp(ip, &want, sizeof(want));
}

void network_put(uint32_t vnid, uint64_t revision, uint64_t floor)
{
	map_put(dove_networks, &vnid,
		&((struct dove_network){ .revision = revision,
					 .floor = floor,
					 .alive_until = now_ns() + 60 * SECOND,
					 .judge_until = now_ns() + 120 * SECOND }));
}

void policy_put(uint32_t vnid, uint32_t policy, uint64_t sequence, uint64_t floor)
{
	map_put(dove_policies, &((struct dove_policy_key){ .vnid = vnid, .policy = policy }),
		&((struct dove_policy){ .sequence = sequence, .floor = floor }));
}

void local_put(uint32_t vnid, const struct vm *vm, uint32_t ifindex, uint64_t sequence, uint64_t floor)
{
	struct dove_local local = {
		.sequence = sequence, .floor = floor, .ifindex = ifindex, .endpoint = vm->endpoint
	};

	memcpy(local.mac, vm->mac, 6);
	map_put(dove_local, &((struct dove_place_key){ .addr = ip_of(vm->ip), .vnid = vnid }), &local);
}

static void port_make(void)
{
	struct dove_port port = { .vnid = BLUE, .endpoint = vm1.endpoint, .kind = DOVE_PORT_VM };
	struct dove_addr addr = { .endpoint = vm1.endpoint };

	memcpy(port.mac, vm1.mac, 6);
	memcpy(addr.mac, vm1.mac, 6);
	map_put(dove_ports, &(uint32_t){ PORT }, &port);
	map_put(dove_addrs, &((struct dove_addr_key){ .addr = ip_of(vm1.ip), .vnid = BLUE, .ifindex = PORT }),
		&addr);
	map_put(dove_budgets, &(uint32_t){ PORT },
		&((struct dove_budget){ .ns_per_kib = 1000, .burst_ns = SECOND }));
}

static void hosts_make(void)
{
	struct dove_host self = { .source = ip_of(HOST1), .id = 1, .ifindex = 1, .flags = DOVE_HOST_SELF };
	struct dove_host other = {
		.source = ip_of(HOST1), .id = 2, .ifindex = 1, .mtu = 1430, .flags = DOVE_HOST_REACHABLE
	};
	struct dove_ip key = ip_of(HOST1);

	memcpy(other.src_mac, nic_mac, 6);
	memcpy(other.dst_mac, hop_mac, 6);
	map_put(dove_hosts, &key, &self);
	key = ip_of(HOST2);
	map_put(dove_hosts, &key, &other);
}

void counters_clear(void)
{
	struct dove_stats none[libbpf_num_possible_cpus()];

	memset(none, 0, sizeof(none));
	for (uint32_t i = 0; i < DOVE_STATS_MAX; i++)
		map_put_sized(dove->maps.dove_stats, &i, sizeof(i), none, sizeof(none));
}

void begin(const char *name)
{
	struct bpf_map *map;

	case_set(name);
	bpf_object__for_each_map (map, dove->obj)
		if (is_hash(map))
			map_clear(map);
	counters_clear();
	rings_clear();
	port_make();
	hosts_make();
	network_put(BLUE, REVISION, 1);
	policy_put(BLUE, POLICY, POLICY_SEQ, POLICY_FLOOR);
	local_put(BLUE, &vm1, PORT, 1, 1);
	local_put(BLUE, &vm3, PORT3, 1, 1);
}

struct dove_translation allow_to(const struct vm *to)
{
	struct dove_translation t = { .revision = REVISION,
				      .expires = now_ns() + 60 * SECOND,
				      .vnid = BLUE,
				      .endpoint = to->endpoint,
				      .policy = POLICY,
				      .verdict = DOVE_VERDICT_ALLOW,
				      .local = to != &vm2 };

	if (!t.local)
		t.host = ip_of(HOST2);
	memcpy(t.mac, to->mac, 6);
	return t;
}

struct dove_cache_key pair_key(const struct vm *to)
{
	return (struct dove_cache_key){ .dst = ip_of(to->ip), .source = vm1.endpoint };
}

void cache_put(const struct vm *to, const struct dove_translation *t)
{
	struct dove_cache_key key = pair_key(to);

	map_put(dove_cache, &key, t);
}

void denied_put(const struct vm *to, const struct dove_translation *t)
{
	struct dove_cache_key key = pair_key(to);

	map_put(dove_denied, &key, t);
}

static struct vm_frame udp_between(const struct vm *from, const struct vm *to)
{
	struct vm_frame v = { .eth_proto = ETH_P_IP,
			      .src = from->ip,
			      .dst = to->ip,
			      .proto = 17,
			      .from_port = 4000,
			      .to_port = 53,
			      .payload = 40 };

	memcpy(v.dmac, to->mac, 6);
	memcpy(v.smac, from->mac, 6);
	return v;
}

struct vm_frame udp_to(const struct vm *to)
{
	return udp_between(&vm1, to);
}

struct vm_frame udp_from_vm2(void)
{
	return udp_between(&vm2, &vm3);
}

struct outer_frame outer_from_host2(void)
{
	struct outer_frame o = { .src = HOST2,
				 .dst = HOST1,
				 .source_port = 0xc123,
				 .vnid = BLUE,
				 .policy = POLICY,
				 .sequence = (uint32_t)REVISION,
				 .source = vm2.endpoint,
				 .source_vnid = BLUE };

	memcpy(o.dmac, nic_mac, 6);
	memcpy(o.smac, hop_mac, 6);
	return o;
}

struct arp_fields arp_for(uint32_t target)
{
	struct arp_fields a = { .dmac = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
				.hardware = 1,
				.protocol = ETH_P_IP,
				.operation = 1,
				.hardware_len = 6,
				.protocol_len = 4,
				.sender_ip = vm1.ip,
				.target_ip = target };

	memcpy(a.smac, vm1.mac, 6);
	memcpy(a.sender_mac, vm1.mac, 6);
	return a;
}
