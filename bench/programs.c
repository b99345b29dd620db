// SPDX-License-Identifier: Apache-2.0
/*
 * programs [--rounds N] [--repeat N] [--entries N,N,... | --policies N,N,...]
 *
 * What the data path's programs take for one packet, by BPF_PROG_TEST_RUN, in
 * a network namespace of its own; nothing is pinned. For each number of
 * entries (translations, and VMs of this host) with one destination, and with
 * one of all of them drawn for each packet. A round runs everything in turn,
 * the programs that do nothing among it.
 *
 * bench/programs.bpf.c undoes after each packet what it did, and says how that
 * is taken off again: a figure is that of the program and of the harness, as
 * a program that does nothing has it too.
 *
 * Prints one JSON object: encap_ns, decap_xdp_ns, decap_tc_ns, miss_ns.
 *
 * With --policies, encapsulation on the way to the first of two services, where
 * there are so many policies that lead through services, with 10,000 destinations
 * among them. Each number has programs and maps of its own, so that a round runs
 * all of them in turn. Prints what bench/report.py reads: a line a figure, and
 * the ratio of the last number's to the first one's in each round.
 */
#include <argp.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/ip.h>
#include <linux/types.h>
#include <linux/udp.h>
#include <net/ethernet.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "lib/cleanup.h"
#include "maps/maps.h"
#include "maps/wire.h"
#include "selftests/tools/ip.h"

/* Has variables of types of ours, and of the kernel's. */
struct outer4 {
	struct ether_header eth;
	struct iphdr ip;
	struct udphdr udp;
	struct geneve_hdr geneve;
	struct dove_option option;
} __attribute__((packed));

#include "programs.skel.h"

#define VNID 7
#define POLICY 9
#define SELF 5 /* the endpoint that sends */
#define PORT 1 /* the loopback device's index, which TEST_RUN gives to what it runs */
#define REVISION 1000
#define ROUNDS_MAX 64
#define SIZES_MAX 8
#define FIRST 0x0b000000u     /* 11.0.0.0: the destinations */
#define NOBODY 0x0a0100ffu    /* has no translation */
#define FIRST_LED 0x0c000000u /* 12.0.0.0: destinations of policies that lead through services */
#define FIRST_LEADER 1000     /* those policies' ids */
#define LED 10000u	      /* so many of them */
#define SERVICES 20u
#define PATHS 200u
#define HOST1 0xc0000201u
#define HOST2 0xc6336402u
/* What the ring buffer has room for. */
#define MISSES_AT_ONCE 10000

/* 64 bytes with its frame check sequence. */
struct vm_frame {
	struct ether_header eth;
	struct iphdr ip;
	struct udphdr udp;
	uint8_t payload[18];
} __attribute__((packed));

struct wire_frame {
	struct outer4 outer;
	struct vm_frame inner;
} __attribute__((packed));

static const struct ether_header vm_ethernet = { { 2, 0, 0, 0, 1, 2 }, { 2, 0, 0, 0, 1, 1 }, 0 };
static const uint8_t nic_mac[6] = { 2, 0xaa, 0, 0, 0, 1 }, hop_mac[6] = { 2, 0xaa, 0, 0, 0, 0xfe };

static struct programs *obj;
static struct vm_frame vm_frame;
static struct wire_frame wire_frame;

static struct {
	unsigned rounds, repeat, n_sizes, n_policies;
	uint32_t sizes[SIZES_MAX], policies[SIZES_MAX];
} asked = { .rounds = 5, .repeat = 200000, .n_sizes = 4, .sizes = { 1, 1000, 100000, 1000000 } };

/* ---- the packets ---- */

static struct iphdr ip_header(uint32_t from, uint32_t to, size_t len)
{
	struct iphdr ip = { .version = 4,
			    .ihl = 5,
			    .ttl = 64,
			    .protocol = IPPROTO_UDP,
			    .tot_len = htons(len),
			    .saddr = htonl(from),
			    .daddr = htonl(to) };

	ip.check = ip_sum(&ip);
	return ip;
}

static struct vm_frame frame_to(uint32_t to)
{
	struct vm_frame f = { .eth = vm_ethernet,
			      .ip = ip_header(0x0a01000b, to, sizeof(f) - sizeof(f.eth)),
			      .udp = { .source = htons(1000),
				       .dest = htons(2000),
				       .len = htons(sizeof(f.udp) + sizeof(f.payload)) } };

	f.eth.ether_type = htons(ETHERTYPE_IP);
	return f;
}

static struct wire_frame frame_on_wire(const struct vm_frame *inner)
{
	struct outer4 outer = {
		.eth = { .ether_type = htons(ETHERTYPE_IP) },
		.ip = ip_header(HOST2, HOST1, sizeof(struct wire_frame) - sizeof(struct ether_header)),
		.udp = { .source = htons(50000),
			 .dest = htons(DOVE_GENEVE_PORT),
			 .len = htons(sizeof(struct wire_frame) - sizeof(struct ether_header) -
				      sizeof(struct iphdr)) },
		.geneve = { .ver_opt_len = sizeof(struct dove_option) / 4,
			    .flags = GENEVE_FLAG_CRITICAL,
			    .proto = htons(GENEVE_PROTO_ETHERNET),
			    .vni = htonl(VNID << 8) },
		.option = { .opt_class = htons(DOVE_OPT_CLASS),
			    .type = DOVE_OPT_TYPE,
			    .words = DOVE_OPT_WORDS,
			    .policy = htonl(POLICY),
			    .sequence = htonl(REVISION),
			    .source = htonl(SELF),
			    .stage_vnid = htonl(VNID) },
	};

	memcpy(outer.eth.ether_dhost, nic_mac, 6);
	memcpy(outer.eth.ether_shost, hop_mac, 6);
	return (struct wire_frame){ .outer = outer, .inner = *inner };
}

/* ---- the maps ---- */

static struct dove_ip ip_of(uint32_t v4)
{
	return (struct dove_ip){ .w = { 0, 0, htonl(0xffff), htonl(v4) } };
}

static void put(struct bpf_map *map, const void *key, const void *value)
{
	if (bpf_map__update_elem(map, key, bpf_map__key_size(map), value, bpf_map__value_size(map), BPF_ANY))
		die(bpf_map__name(map));
}

static void hosts_put(void)
{
	struct dove_ip here = ip_of(HOST1), there = ip_of(HOST2);
	struct dove_host self = { .source = here, .id = 1, .ifindex = PORT, .flags = DOVE_HOST_SELF };
	struct dove_host other = {
		.source = here, .id = 2, .ifindex = PORT, .mtu = 1430, .flags = DOVE_HOST_REACHABLE
	};

	memcpy(other.src_mac, nic_mac, 6);
	memcpy(other.dst_mac, hop_mac, 6);
	put(obj->maps.dove_hosts, &here, &self);
	put(obj->maps.dove_hosts, &there, &other);
}

static void port_put(void)
{
	uint32_t ifindex = PORT;
	struct dove_port port = { .vnid = VNID, .endpoint = SELF, .kind = DOVE_PORT_VM };
	struct dove_addr_key key = { .addr = ip_of(0x0a01000b), .vnid = VNID, .ifindex = PORT };
	struct dove_addr addr = { .gateway = ip_of(0x0a010001), .endpoint = SELF };
	struct dove_budget budget = {};

	memcpy(port.mac, vm_ethernet.ether_shost, 6);
	memcpy(addr.mac, vm_ethernet.ether_shost, 6);
	for (int i = 0; i < DOVE_BUDGET_KINDS; i++)
		budget.of[i].burst_ns = SECOND;
	put(obj->maps.dove_ports, &ifindex, &port);
	put(obj->maps.dove_addrs, &key, &addr);
	put(obj->maps.dove_budgets, &ifindex, &budget);
}

static void numbers_put(void)
{
	uint32_t vnid = VNID;
	struct dove_policy_key key = { .vnid = VNID, .policy = POLICY };
	uint64_t hour = now_ns(CLOCK_MONOTONIC) + 3600 * SECOND, version;
	uint32_t first = 0;

	put(obj->maps.dove_networks, &vnid,
	    &(struct dove_network){
		    .revision = REVISION, .floor = 1, .alive_until = hour, .judge_until = hour });
	put(obj->maps.dove_policies, &key, &(struct dove_policy){ .sequence = 100, .floor = 50 });
	version = now_ns(CLOCK_MONOTONIC);
	put(obj->maps.dove_version, &first, &version);
}

static struct dove_translation translation_to_host2(void)
{
	struct dove_translation t = { .host = ip_of(HOST2),
				      .revision = REVISION,
				      .expires = now_ns(CLOCK_MONOTONIC) + 3600 * SECOND,
				      .vnid = VNID,
				      .endpoint = 10,
				      .policy = POLICY };

	memcpy(t.mac, vm_ethernet.ether_dhost, 6);
	return t;
}

/* Destinations up to `n`: a translation that leads to host 2, and the same address as that of a VM here. */
static void destinations_put(uint32_t n)
{
	static uint32_t have;
	struct dove_translation t = translation_to_host2();
	struct dove_local local = { .sequence = 1, .floor = 1, .ifindex = PORT, .endpoint = 10, .mtu = 1500 };

	memcpy(local.mac, vm_ethernet.ether_dhost, 6);
	for (; have < n; have++) {
		put(obj->maps.dove_cache,
		    &(struct dove_cache_key){ .dst = ip_of(FIRST + have), .source = SELF }, &t);
		put(obj->maps.dove_local,
		    &(struct dove_place_key){ .addr = ip_of(FIRST + have), .vnid = VNID }, &local);
	}
}

/* Each path is of two services; whichever instance has a packet's flow, it is at host 2. */
static void services_put(void)
{
	struct dove_hop hop = { .host = ip_of(HOST2), .endpoint = 500 };

	for (uint32_t s = 1; s <= SERVICES; s++)
		for (uint32_t slot = 0; slot < DOVE_SLOTS; slot++)
			put(obj->maps.dove_hops, &(struct dove_hop_key){ .service = s, .slot = slot }, &hop);
	for (uint32_t i = 0; i < PATHS; i++) {
		uint32_t number = i + 1, second = (i + 1 + i / SERVICES) % SERVICES;
		struct dove_path path = { .n = 2, .services = { 1 + i % SERVICES, 1 + second } };

		put(obj->maps.dove_paths, &number, &path);
	}
}

/* n policies, and the same number of destinations however many those are: they are told apart by nothing else. */
static void leaders_put(uint32_t n)
{
	struct dove_translation t = translation_to_host2();
	struct dove_policy policy = { .sequence = 100, .floor = 50, .through = 1 };

	for (uint32_t i = 0; i < n; i++)
		put(obj->maps.dove_policies,
		    &(struct dove_policy_key){ .vnid = VNID, .policy = FIRST_LEADER + i }, &policy);
	t.floor = 50;
	for (uint32_t i = 0; i < LED; i++) {
		t.policy = FIRST_LEADER + i % n;
		t.path = 1 + i % n % PATHS;
		put(obj->maps.dove_cache,
		    &(struct dove_cache_key){ .dst = ip_of(FIRST_LED + i), .source = SELF }, &t);
	}
}

/* Room for `most` destinations. */
static void load(uint32_t most)
{
	obj = programs__open();
	if (!obj)
		die("opening the programs");
	/* An LRU map evicts before it is full. */
	bpf_map__set_max_entries(obj->maps.dove_cache, most + most / 4 + 4096);
	bpf_map__set_max_entries(obj->maps.dove_local, most + 4096);
	if (programs__load(obj))
		die("loading the programs");
	vm_frame = frame_to(FIRST);
	wire_frame = frame_on_wire(&vm_frame);
	memcpy(&obj->bss->vm_ethernet, &vm_frame.eth, sizeof(vm_frame.eth));
	memcpy(&obj->bss->outer, &wire_frame.outer, sizeof(wire_frame.outer));
	obj->bss->first_key = FIRST;
	hosts_put();
	port_put();
	numbers_put();
}

/* ---- running ---- */

static uint64_t counted(enum dove_reason reason)
{
	struct dove_stats stats[256] = {};
	uint32_t index = reason;
	uint64_t sum = 0;

	if (libbpf_num_possible_cpus() > (int)ARRAY_SIZE(stats) ||
	    bpf_map_lookup_elem(bpf_map__fd(obj->maps.dove_stats), &index, stats))
		die("dove_stats");
	for (int i = 0; i < libbpf_num_possible_cpus(); i++)
		sum += stats[i].packets;
	return sum;
}

/* Nanoseconds a packet. */
static double run(struct bpf_program *prog, const void *frame, size_t len, unsigned repeat)
{
	struct __sk_buff skb = { .ifindex = PORT, .ingress_ifindex = PORT };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .repeat = repeat);

	if (bpf_program__type(prog) == BPF_PROG_TYPE_SCHED_CLS) {
		opts.ctx_in = &skb;
		opts.ctx_size_in = sizeof(skb);
	}
	if (bpf_prog_test_run_opts(bpf_program__fd(prog), &opts))
		die(bpf_program__name(prog));
	/* Whole nanoseconds, without the time for which others had the processor. */
	return opts.duration;
}

/* The same, where all must come to this end. */
static double run_to(enum dove_reason reason, struct bpf_program *prog, const void *frame, size_t len,
		     unsigned repeat)
{
	uint64_t before = counted(reason);
	double ns = run(prog, frame, len, repeat);

	if (counted(reason) - before != repeat) {
		fprintf(stderr, "programs: %s: %lu of %u packets came to the end that was meant\n",
			bpf_program__name(prog), (unsigned long)(counted(reason) - before), repeat);
		exit(1);
	}
	return ns;
}

static int on_held(void *ctx, void *data, size_t len)
{
	return 0;
}

/* A miss changes nothing of the packet: the program itself is repeated, and the ring emptied aside. */
static double run_miss(void)
{
	static struct ring_buffer *ring;
	static struct vm_frame frame;
	double sum = 0;
	unsigned n = (asked.repeat + MISSES_AT_ONCE - 1) / MISSES_AT_ONCE;

	if (!ring) {
		ring = ring_buffer__new(bpf_map__fd(obj->maps.dove_packets), on_held, NULL, NULL);
		frame = frame_to(NOBODY);
	}
	for (unsigned i = 0; i < n; i++) {
		ring_buffer__consume(ring);
		sum += run_to(DOVE_HELD_MISS, obj->progs.dove_port, &frame, sizeof(frame), MISSES_AT_ONCE);
	}
	ring_buffer__consume(ring);
	return sum / n;
}

/* ---- the measures ---- */

enum measure { ENCAP, DECAP_XDP, DECAP_TC, MEASURES };
static const char *const measure_names[MEASURES] = { "encap_ns", "decap_xdp_ns", "decap_tc_ns" };
enum keys { RANDOM, HOT, KEYS };
static const char *const keys_names[KEYS] = { "random", "hot" };

/* Over the rounds: without what undoes the run, and as repeated, with it. */
static struct {
	double net[ROUNDS_MAX], gross[ROUNDS_MAX];
} figures[MEASURES][SIZES_MAX][KEYS];
static double noop_tc[SIZES_MAX * ROUNDS_MAX], noop_xdp[SIZES_MAX * ROUNDS_MAX], miss[ROUNDS_MAX];

static void measure(enum measure m, unsigned size, enum keys keys, unsigned round, double noop)
{
	const struct {
		struct bpf_program *prog, *idle, *twice;
		enum dove_reason reason;
		bool out;
	} all[MEASURES] = {
		[ENCAP] = { obj->progs.encap, obj->progs.encap_idle, obj->progs.encap_idle_twice,
			    DOVE_ENCAPSULATED, true },
		[DECAP_XDP] = { obj->progs.decap_xdp, obj->progs.decap_xdp_idle,
				obj->progs.decap_xdp_idle_twice, DOVE_STRIPPED, false },
		[DECAP_TC] = { obj->progs.decap_tc, obj->progs.decap_tc_idle, obj->progs.decap_tc_idle_twice,
			       DOVE_DELIVERED, false },
	}, *a = &all[m];
	const void *frame = a->out ? (void *)&vm_frame : (void *)&wire_frame;
	size_t len = a->out ? sizeof(vm_frame) : sizeof(wire_frame);
	double ns, idle, twice;

	obj->bss->n_keys = keys == HOT ? 0 : asked.sizes[size];
	idle = run(a->idle, frame, len, asked.repeat);
	ns = run_to(a->reason, a->prog, frame, len, asked.repeat);
	twice = run(a->twice, frame, len, asked.repeat);
	figures[m][size][keys].gross[round] = ns;
	/* 2 * idle - twice is the harness, the choice and the undoing, without the doing. */
	figures[m][size][keys].net[round] = ns - (2 * idle - twice) + noop;
}

static void round_of(unsigned size, unsigned round)
{
	unsigned i = size * asked.rounds + round;

	noop_tc[i] = run(obj->progs.noop_tc, &vm_frame, sizeof(vm_frame), asked.repeat);
	noop_xdp[i] = run(obj->progs.noop_xdp, &wire_frame, sizeof(wire_frame), asked.repeat);
	for (enum keys k = 0; k < KEYS; k++)
		for (enum measure m = 0; m < MEASURES; m++)
			measure(m, size, k, round, m == DECAP_XDP ? noop_xdp[i] : noop_tc[i]);
	if (size == asked.n_sizes - 1)
		miss[round] = run_miss();
}

/* ---- with so many policies that lead through services ---- */

/* As measure(), of the programs that are loaded now. */
static double led_ns(enum keys keys)
{
	double noop, ns, idle, twice;

	obj->bss->n_keys = keys == HOT ? 0 : LED;
	noop = run(obj->progs.noop_tc, &vm_frame, sizeof(vm_frame), asked.repeat);
	idle = run(obj->progs.encap_idle, &vm_frame, sizeof(vm_frame), asked.repeat);
	ns = run_to(DOVE_ENCAPSULATED, obj->progs.encap, &vm_frame, sizeof(vm_frame), asked.repeat);
	twice = run(obj->progs.encap_idle_twice, &vm_frame, sizeof(vm_frame), asked.repeat);
	return ns - (2 * idle - twice) + noop;
}

static void led_round(struct programs *const *loaded)
{
	for (enum keys k = 0; k < KEYS; k++) {
		double first = 0, ns = 0;

		for (unsigned i = 0; i < asked.n_policies; i++) {
			obj = loaded[i];
			ns = led_ns(k);
			first = i ? first : ns;
			printf("path_lookup_ns %s_%u %.1f ns\n", keys_names[k], asked.policies[i], ns);
		}
		printf("path_lookup_ns %s_ratio %.3f ns\n", keys_names[k], ns / first);
	}
}

static void led_run(void)
{
	struct programs *loaded[SIZES_MAX];

	for (unsigned i = 0; i < asked.n_policies; i++) {
		load(LED);
		services_put();
		leaders_put(asked.policies[i]);
		vm_frame = frame_to(FIRST_LED);
		obj->bss->first_key = FIRST_LED;
		loaded[i] = obj;
	}
	for (unsigned r = 0; r < asked.rounds; r++)
		led_round(loaded);
	for (unsigned i = 0; i < asked.n_policies; i++)
		programs__destroy(loaded[i]);
}

/* ---- telling ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static void print_summary(const char *name, double *v, unsigned n)
{
	double middle = median(v, n);

	printf("\"%s\": %.1f, \"%s_min\": %.1f, \"%s_max\": %.1f", name, middle, name, v[0], name, v[n - 1]);
}

static void print_measure(enum measure m, double *noop)
{
	printf("  \"%s\": {\"unit\": \"ns\", ", measure_names[m]);
	print_summary("noop", noop, asked.n_sizes * asked.rounds);
	printf(",\n    \"entries\": {");
	for (unsigned s = 0; s < asked.n_sizes; s++) {
		printf("%s\n      \"%u\": {", s ? "," : "", asked.sizes[s]);
		for (enum keys k = 0; k < KEYS; k++) {
			char undone[32];

			snprintf(undone, sizeof(undone), "%s_with_undoing", keys_names[k]);
			print_summary(keys_names[k], figures[m][s][k].net, asked.rounds);
			printf(", ");
			print_summary(undone, figures[m][s][k].gross, asked.rounds);
			printf("%s", k + 1 < KEYS ? ",\n        " : "");
		}
		printf("}");
	}
	printf("}},\n");
}

/* How many there were; 0: none, or one that is not above 0. */
static unsigned numbers_parse(char *text, uint32_t out[static SIZES_MAX])
{
	unsigned n = 0;

	for (char *at = strtok(text, ","); at && n < SIZES_MAX; at = strtok(NULL, ",")) {
		if (atoi(at) <= 0)
			return 0;
		out[n++] = atoi(at);
	}
	return n;
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 'r':
		asked.rounds = atoi(arg);
		return asked.rounds < 1 || asked.rounds > ROUNDS_MAX ? EINVAL : 0;
	case 'n':
		asked.repeat = atoi(arg);
		return asked.repeat < MISSES_AT_ONCE ? EINVAL : 0;
	case 'e':
		asked.n_sizes = numbers_parse(arg, asked.sizes);
		return asked.n_sizes ? 0 : EINVAL;
	case 'p':
		asked.n_policies = numbers_parse(arg, asked.policies);
		return asked.n_policies ? 0 : EINVAL;
	}
	return ARGP_ERR_UNKNOWN;
}

int main(int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "rounds", 'r', "N", 0, "of everything in turn (5)", 0 },
		{ "repeat", 'n', "N", 0, "packets a run (200000)", 0 },
		{ "entries", 'e', "N,...", 0, "rising (1,1000,100000,1000000)", 0 },
		{ "policies", 'p', "N,...", 0, "on paths, with so many policies that lead through services",
		  0 },
		{},
	};
	const struct argp argp = { options, on_option, NULL, "What the programs take for a packet, as JSON.",
				   NULL,    NULL,      NULL };
	uint32_t most = 0;

	if (argp_parse(&argp, argc, argv, 0, NULL, NULL))
		return 2;
	if (unshare(CLONE_NEWNET))
		die("a network namespace");
	if (asked.n_policies) {
		led_run();
		return 0;
	}
	for (unsigned i = 0; i < asked.n_sizes; i++)
		most = asked.sizes[i] > most ? asked.sizes[i] : most;
	load(most);
	for (unsigned s = 0; s < asked.n_sizes; s++) {
		destinations_put(asked.sizes[s]);
		for (unsigned r = 0; r < asked.rounds; r++)
			round_of(s, r);
	}
	printf("{\n");
	for (enum measure m = 0; m < MEASURES; m++)
		print_measure(m, m == DECAP_XDP ? noop_xdp : noop_tc);
	printf("  \"miss_ns\": {\"unit\": \"ns\", ");
	print_summary("noop", noop_tc, asked.n_sizes * asked.rounds);
	printf(", ");
	print_summary("dove", miss, asked.rounds);
	printf("}\n}\n");
	programs__destroy(obj);
	return 0;
}
