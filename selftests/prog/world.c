// SPDX-License-Identifier: Apache-2.0
#include <bpf/libbpf.h>
#include <string.h>
#include <time.h>

#include "prog.h"

const struct vm vm1 = { 0x0a01000b, 101, { 0x02, 0, 0, 0, 1, 1 } };
const struct vm vm2 = { 0x0a01000c, 102, { 0x02, 0, 0, 0, 1, 2 } };
const struct vm vm3 = { 0x0a01000d, 103, { 0x02, 0, 0, 0, 1, 3 } };
const struct vm gateway = { 0x0a010001, 0, DOVE_GATEWAY_MAC };
const uint8_t nic_mac[6] = { 0x02, 0xaa, 0, 0, 0, 1 };
const uint8_t hop_mac[6] = { 0x02, 0xaa, 0, 0, 0, 0xfe };

/* ---- maps ---- */

void version_put(uint64_t version)
{
	bpf_map__update_elem(dove->maps.dove_version, &(uint32_t){ 0 }, sizeof(uint32_t), &version,
			     sizeof(version), BPF_ANY);
}

/* As the agent: what the programs remember of these holds no longer. */
static void rows_changed(const struct bpf_map *map)
{
	if (map == dove->maps.dove_networks || map == dove->maps.dove_policies ||
	    map == dove->maps.dove_ports || map == dove->maps.dove_addrs || map == dove->maps.dove_hosts ||
	    map == dove->maps.dove_local || map == dove->maps.dove_routers)
		version_put(now_ns());
}

void map_put_sized(struct bpf_map *map, const void *key, size_t key_len, const void *value, size_t value_len)
{
	cr_assert(!bpf_map__update_elem(map, key, key_len, value, value_len, BPF_ANY), "%s: %s: %s",
		  case_name(), bpf_map__name(map), strerror(errno));
	rows_changed(map);
}

int map_del_sized(struct bpf_map *map, const void *key, size_t key_len)
{
	int rc = bpf_map__delete_elem(map, key, key_len, 0);

	rows_changed(map);
	return rc;
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

static bool has_keys(const struct bpf_map *map)
{
	switch (bpf_map__type(map)) {
	case BPF_MAP_TYPE_HASH:
	case BPF_MAP_TYPE_LRU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
	case BPF_MAP_TYPE_LPM_TRIE:
		return true;
	default:
		return false;
	}
}

uint32_t map_count(struct bpf_map *map)
{
	uint8_t key[64], next[64];
	uint32_t n = 0;

	for (void *at = NULL; !bpf_map__get_next_key(map, at, next, bpf_map__key_size(map)); at = key, n++)
		memcpy(key, next, sizeof(key));
	return n;
}

/* ---- numbers ---- */

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
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

void policy_del(uint32_t vnid, uint32_t policy)
{
	map_del(dove_policies, &((struct dove_policy_key){ .vnid = vnid, .policy = policy }));
}

/* ---- places ---- */

static struct dove_place_key place_of(enum family family, uint32_t vnid, const struct vm *vm)
{
	return (struct dove_place_key){ .addr = ip_in(family, vm->ip), .vnid = vnid };
}

void local_put(uint32_t vnid, const struct vm *vm, uint32_t ifindex, uint64_t sequence, uint64_t floor)
{
	struct dove_local local = { .sequence = sequence,
				    .floor = floor,
				    .ifindex = ifindex,
				    .endpoint = vm->endpoint,
				    .mtu = PORT_MTU };

	memcpy(local.mac, vm->mac, 6);
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_place_key key = place_of(f, vnid, vm);

		map_put(dove_local, &key, &local);
	}
}

void local_del(uint32_t vnid, const struct vm *vm)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_place_key key = place_of(f, vnid, vm);

		map_del(dove_local, &key);
	}
}

static void local_change(const struct vm *vm, void (*change)(struct dove_local *, uint32_t, uint32_t),
			 uint32_t a, uint32_t b)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_place_key key = place_of(f, BLUE, vm);
		struct dove_local local;

		check(map_get(dove_local, &key, &local), "VM %u is not here", vm->endpoint);
		change(&local, a, b);
		map_put(dove_local, &key, &local);
	}
}

static void set_delivery(struct dove_local *local, uint32_t ifindex, uint32_t delivery)
{
	local->ifindex = ifindex;
	local->delivery = delivery;
}

static void set_mtu(struct dove_local *local, uint32_t mtu, uint32_t unused)
{
	local->mtu = mtu;
}

void local_deliver(const struct vm *vm, uint32_t ifindex, enum dove_delivery delivery)
{
	local_change(vm, set_delivery, ifindex, delivery);
}

void local_mtu(const struct vm *vm, uint32_t mtu)
{
	local_change(vm, set_mtu, mtu, 0);
}

/* ---- ports ---- */

static struct dove_addr_key addr_of(enum family family, uint32_t ifindex, const struct vm *vm)
{
	return (struct dove_addr_key){ .addr = ip_in(family, vm->ip), .vnid = BLUE, .ifindex = ifindex };
}

static void addrs_put(uint32_t ifindex, const struct vm *vm)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_addr addr = { .gateway = ip_in(f, gateway.ip), .endpoint = vm->endpoint };
		struct dove_addr_key key = addr_of(f, ifindex, vm);

		memcpy(addr.mac, vm->mac, 6);
		map_put(dove_addrs, &key, &addr);
	}
}

void addr_del(uint32_t ifindex, const struct vm *vm)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_addr_key key = addr_of(f, ifindex, vm);

		map_del(dove_addrs, &key);
	}
}

static const struct dove_bucket plenty = { .ns_per_1024 = 1000, .burst_ns = SECOND };

static void budget_of_plenty(uint32_t id)
{
	struct dove_budget budget;

	for (int i = 0; i < DOVE_BUDGET_KINDS; i++)
		budget.of[i] = plenty;
	map_put(dove_budgets, &id, &budget);
}

void port_put(uint32_t ifindex, const struct vm *vm, enum dove_port_kind kind)
{
	struct dove_port port = { .vnid = BLUE, .endpoint = vm->endpoint, .kind = kind };

	memcpy(port.mac, vm->mac, 6);
	map_put(dove_ports, &ifindex, &port);
	budget_of_plenty(ifindex);
	addrs_put(ifindex, vm);
}

/* So dear that none comes back while a test runs. */
#define NS_PER_UNIT (100 * SECOND)

void budget_put(uint32_t id, enum dove_budget_kind kind, uint32_t units)
{
	struct dove_bucket bucket = { .ns_per_1024 = NS_PER_UNIT * 1024 };
	struct dove_budget budget = {};

	map_get(dove_budgets, &id, &budget);
	if (units)
		bucket.burst_ns = (units - 1) * NS_PER_UNIT + NS_PER_UNIT / 2;
	else
		bucket.used_until = now_ns() + NS_PER_UNIT;
	budget.of[kind] = bucket;
	map_put(dove_budgets, &id, &budget);
}

struct dove_ip external_addr(uint32_t external)
{
	struct dove_ip ip = ip6_text("100::");

	for (int i = 0; i < 4; i++)
		ip.b[12 + i] = external >> 8 * (3 - i);
	return ip;
}

/* dove_prefix_key counts bits from the VNID on, and IPv4 prefixes from ::ffff:0:0/96. */
void prefix_put(uint32_t vnid, const struct dove_ip *addr, uint32_t bits, uint32_t external)
{
	struct dove_prefix_key key = { .bits = 32 + bits + (family_of(addr) == V4 ? 96 : 0),
				       .vnid = __builtin_bswap32(vnid),
				       .addr = *addr };

	map_put(dove_prefixes, &key, &((struct dove_prefix){ .external = external }));
}

/* ---- hosts ---- */

static void hosts_make(enum family family)
{
	struct dove_ip key1 = ip_in(family, HOST1), key2 = ip_in(family, HOST2);
	struct dove_host self = { .source = key1, .id = 1, .ifindex = 1, .flags = DOVE_HOST_SELF };
	struct dove_host other = { .source = key1,
				   .id = 2,
				   .ifindex = 1,
				   .mtu = family == V6 ? HOST2_MTU6 : HOST2_MTU,
				   .flags = DOVE_HOST_REACHABLE };

	memcpy(other.src_mac, nic_mac, 6);
	memcpy(other.dst_mac, hop_mac, 6);
	map_put(dove_hosts, &key1, &self);
	map_put(dove_hosts, &key2, &other);
	budget_of_plenty(DOVE_BUDGET_HOST | other.id);
}

void host2_put(uint32_t ifindex, uint32_t mtu)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_ip key = ip_in(f, HOST2);
		struct dove_host host;

		check(map_get(dove_hosts, &key, &host), "no host 2");
		host.ifindex = ifindex;
		host.mtu = mtu ? mtu : host.mtu;
		map_put(dove_hosts, &key, &host);
	}
}

/* ---- the world ---- */

void begin(const char *name)
{
	struct bpf_map *map;

	case_set(name);
	bpf_object__for_each_map (map, dove->obj)
		if (has_keys(map))
			map_clear(map);
	counters_clear();
	rings_clear();
	port_put(PORT, &vm1, DOVE_PORT_VM);
	hosts_make(V4);
	hosts_make(V6);
	network_put(BLUE, REVISION, 1);
	policy_put(BLUE, POLICY, POLICY_SEQ, POLICY_FLOOR);
	local_put(BLUE, &vm1, PORT, 1, 1);
	local_put(BLUE, &vm3, PORT3, 1, 1);
}

/* ---- translations ---- */

struct dove_translation answer_to(const struct vm *to, enum dove_verdict verdict)
{
	struct dove_translation t = { .revision = REVISION,
				      .expires = now_ns() + 60 * SECOND,
				      .vnid = BLUE,
				      .endpoint = to->endpoint,
				      .policy = POLICY,
				      .verdict = verdict,
				      .local = to == &vm3 || to == &vm1 };

	if (!t.local)
		t.host = ip_of(HOST2);
	if (verdict == DOVE_VERDICT_GATEWAY || verdict == DOVE_VERDICT_NO_ENDPOINT)
		t.policy = 0;
	memcpy(t.mac, to->mac, 6);
	return t;
}

struct dove_translation allow_to(const struct vm *to)
{
	return answer_to(to, DOVE_VERDICT_ALLOW);
}

struct dove_cache_key pair_key_in(enum family family, const struct vm *to)
{
	return (struct dove_cache_key){ .dst = ip_in(family, to->ip), .source = vm1.endpoint };
}

struct dove_cache_key pair_key(const struct vm *to)
{
	return pair_key_in(V4, to);
}

static void put_in(struct bpf_map *map, const struct vm *to, const struct dove_translation *t)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_cache_key key = pair_key_in(f, to);

		map_put_sized(map, &key, sizeof(key), t, sizeof(*t));
	}
}

void cache_put(const struct vm *to, const struct dove_translation *t)
{
	put_in(dove->maps.dove_cache, to, t);
}

void denied_put(const struct vm *to, const struct dove_translation *t)
{
	put_in(dove->maps.dove_denied, to, t);
}

void answer_put(const struct vm *to, const struct dove_translation *t)
{
	if (t->verdict == DOVE_VERDICT_ALLOW)
		cache_put(to, t);
	else
		denied_put(to, t);
}

/* ---- frames ---- */

struct vm_frame udp_between(enum family family, const struct vm *from, const struct vm *to)
{
	struct vm_frame v = { .eth_proto = family == V6 ? ETH_P_IPV6 : ETH_P_IP,
			      .src = ip_in(family, from->ip),
			      .dst = ip_in(family, to->ip),
			      .ttl = 64,
			      .proto = 17,
			      .from_port = 4000,
			      .to_port = 53,
			      .icmp = family == V6 ? 0x8000 : 0x0800,
			      .icmp_rest = 0x1234 << 16 | 1,
			      .tcp_flags = TCP_ACK,
			      .tcp_seq = 1,
			      .tcp_window = 0x0400,
			      .payload = 40 };

	memcpy(v.dmac, to->mac, 6);
	memcpy(v.smac, from->mac, 6);
	return v;
}

struct vm_frame udp_in(enum family family, const struct vm *to)
{
	return udp_between(family, &vm1, to);
}

struct vm_frame udp_to(const struct vm *to)
{
	return udp_in(V4, to);
}

struct vm_frame echo_in(enum family family, const struct vm *to)
{
	struct vm_frame v = udp_in(family, to);

	v.proto = icmp_proto(family);
	return v;
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

/* To the solicited-node address of the target: RFC 4291, 2.7.1. */
struct nd_fields solicitation_for(const struct dove_ip *target)
{
	struct nd_fields n = { .src = ip6_of(vm1.ip),
			       .dst = ip6_text("ff02::1:ff00:0"),
			       .target = *target,
			       .type = 135,
			       .hop_limit = 255,
			       .option = 1 };

	memcpy(n.dst.b + 13, target->b + 13, 3);
	multicast_mac(n.dmac, &n.dst);
	memcpy(n.smac, vm1.mac, 6);
	memcpy(n.option_mac, vm1.mac, 6);
	return n;
}

struct outer_frame outer_from_host2(enum family outer)
{
	struct outer_frame o = { .src = ip_in(outer, HOST2),
				 .dst = ip_in(outer, HOST1),
				 .source_port = 0xc123,
				 .flow_label = 0x54321,
				 .vnid = BLUE,
				 .policy = POLICY,
				 .sequence = (uint32_t)REVISION,
				 .source = vm2.endpoint,
				 .source_vnid = BLUE };

	memcpy(o.dmac, nic_mac, 6);
	memcpy(o.smac, hop_mac, 6);
	return o;
}

struct outer_frame outer_to_host2(enum family outer, const struct frame *got)
{
	struct outer_frame o = outer_from_host2(outer);
	struct dove_ip from = o.dst;

	o.dst = o.src;
	o.src = from;
	o.source = vm1.endpoint;
	o.source_port = frame_get(got, outer_at(outer, OUTER_AT(udp.source)), 2);
	o.flow_label = outer == V6 ? frame_get(got, OUTER6_AT(ip), 4) & 0xfffff : 0;
	check(o.source_port >= 0xc000, "source port %u is not dynamic", o.source_port);
	memcpy(o.dmac, hop_mac, 6);
	memcpy(o.smac, nic_mac, 6);
	return o;
}

struct frame on_the_wire(enum family outer, const struct frame *inner, const struct frame *got)
{
	struct outer_frame o = outer_to_host2(outer, got);

	return frame_encapsulated(&o, inner);
}
