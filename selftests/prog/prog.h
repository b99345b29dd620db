/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running the programs on crafted packets, by BPF_PROG_TEST_RUN.
 *
 * A suite loads what it runs (TestSuite(x, .init = x_load)), without pinning
 * anything, in a network namespace of the test's own. A test, or a case of a
 * table, begins with begin(), which makes the little world below anew; then
 * it changes what the case is about, runs a program and says what must have
 * come of it. The expect_ functions look at what the program returned, at
 * every counter and at both ring buffers, so nothing happens unnoticed.
 *
 * Where the kernel doesn't let us load, tests are skipped and say so.
 */
#ifndef DOVE_TEST_PROG_H
#define DOVE_TEST_PROG_H

#include <criterion/criterion.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "frame.h"
#include "lib/cleanup.h"
#include "maps/maps.h"

/* Has variables of types of ours. */
#include "dove.skel.h"

#define SECOND 1000000000ull

/* ---- the data path ---- */

enum prog_bits {
	PROG_PORT = 1,
	PROG_NIC_EGRESS = 2,
	PROG_NIC_INGRESS = 4,
	PROG_XDP = 8,
	PROG_TUNNEL = 16,
	PROG_DOOR = 32,
	PROG_TRACE = 64,
};

struct prog_config {
	unsigned programs; /* enum prog_bits */
	bool no_origin_check, refuse_stale, tunnel_vxlan;
	enum dove_refused refused;
	int outer_dscp; /* plus 1; 0: the VM's own */
	bool door;	/* super-packets that can't be encapsulated go out of `door` */
};

extern struct dove *dove; /* the skeleton that prog_load() made */

void prog_load(struct prog_config config);
void skip(const char *why); /* end the test here, and say why */

/* ---- what a program made of a frame ---- */

struct run {
	int action;
	struct frame in, out;
	uint32_t mark; /* of the skb, afterwards */
	bool sends;    /* by a program that looks up where to: it counts hits and misses */
};

/* ctx may be NULL: the packet then came in by loopback. */
struct run run_skb(struct bpf_program *prog, const struct frame *f, const struct __sk_buff *ctx);
struct run run_xdp(const struct frame *f);
struct run run_xdp_in_pieces(const struct frame *f,
			     uint32_t linear); /* so much in the first; a skip before 6.18 */
struct run run_port(const struct frame *f);    /* a VM's frame at PORT */
struct run run_port_at(uint32_t ifindex, const struct frame *f);
struct run run_vm(const struct vm_frame *v); /* run_port() of that */

/* ---- maps ---- */

/* As the agent does, they tell the programs when numbers have changed. */
#define map_put(map, key, value) map_put_sized(dove->maps.map, key, sizeof(*(key)), value, sizeof(*(value)))
#define map_get(map, key, value) map_get_sized(dove->maps.map, key, sizeof(*(key)), value, sizeof(*(value)))
#define map_del(map, key) map_del_sized(dove->maps.map, key, sizeof(*(key)))

/* version_put() - as the agent: 0 while it changes numbers, then another one than ever before. */
void version_put(uint64_t version);

void map_put_sized(struct bpf_map *map, const void *key, size_t key_len, const void *value, size_t value_len);
int map_del_sized(struct bpf_map *map, const void *key, size_t key_len);
bool map_get_sized(struct bpf_map *map, const void *key, size_t key_len, void *value, size_t value_len);

/*
 * The world. This host has one port, VM 1's, on the loopback device, whose
 * index TEST_RUN gives to what it runs; VM 3 is here too; VM 2 is elsewhere.
 *
 *   VM 1, VM 3 -- host 1 (192.0.2.1) ----- host 2 (198.51.100.2) -- VM 2
 *
 * All are of BLUE, which is watched up to REVISION; POLICY's numbers are
 * below it. VMs, hosts and the gateway (10.1.0.1) have an IPv6 address beside
 * each IPv4 one: ip_in(). No translations: a case puts in what it needs.
 */
struct vm {
	uint32_t ip, endpoint;
	uint8_t mac[6];
};

extern const struct vm vm1, vm2, vm3, gateway;
extern const uint8_t nic_mac[6], hop_mac[6]; /* of host 1's NIC, and of the next hop towards host 2 */

#define BLUE 0xb10e01u
#define GREEN 0x9ee402u
#define POLICY 0x00070001u
#define PORT 1u
#define PORT3 77u /* VM 3's */
#define HOST1 0xc0000201u
#define HOST2 0xc6336402u
#define HOST2_MTU 1430u /* over IPv4; over IPv6 HOST2_MTU6 */
#define HOST2_MTU6 1410u
#define PORT_MTU 1500u
#define REVISION 0x0000000500001000ull
#define POLICY_SEQ 0x0000000500000400ull
#define POLICY_FLOOR 0x0000000500000300ull

/* begin() - the world as above; `name` is what failures are told under. */
void begin(const char *name);

uint64_t now_ns(void); /* the clock that expiry times are held against */

struct dove_translation allow_to(const struct vm *to); /* by POLICY, made at REVISION */
struct dove_translation answer_to(const struct vm *to, enum dove_verdict verdict);
struct dove_cache_key pair_key(const struct vm *to); /* from VM 1, IPv4 */
struct dove_cache_key pair_key_in(enum family family, const struct vm *to);
/* For both of its addresses. */
void cache_put(const struct vm *to, const struct dove_translation *t);
void denied_put(const struct vm *to, const struct dove_translation *t);
void answer_put(const struct vm *to, const struct dove_translation *t); /* where its verdict belongs */
void network_put(uint32_t vnid, uint64_t revision, uint64_t floor);
void policy_put(uint32_t vnid, uint32_t policy, uint64_t sequence, uint64_t floor);
void policy_del(uint32_t vnid, uint32_t policy);
void local_put(uint32_t vnid, const struct vm *vm, uint32_t ifindex, uint64_t sequence, uint64_t floor);
void local_del(uint32_t vnid, const struct vm *vm);
void local_deliver(const struct vm *vm, uint32_t ifindex, enum dove_delivery delivery);
void local_mtu(const struct vm *vm, uint32_t mtu);
/* The NIC towards host 2, for both of its addresses, and what fits through it (0: as it was). */
void host2_put(uint32_t ifindex, uint32_t mtu);
/* A port like PORT, VM 1's or another's, as good as it, until the next begin(). */
void port_put(uint32_t ifindex, const struct vm *vm, enum dove_port_kind kind);
void addr_del(uint32_t ifindex, const struct vm *vm);
struct dove_ip external_addr(uint32_t external); /* what stands for that external network */
void prefix_put(uint32_t vnid, const struct dove_ip *addr, uint32_t bits, uint32_t external);
/* What one kind of budget may cost: units at once, no more comes back in a test's life; other kinds as they were. */
void budget_put(uint32_t id, enum dove_budget_kind kind, uint32_t units);

/* Frames of VM 1 to another VM; and one from VM 2 to VM 3 as it is on the wire. */
struct vm_frame udp_to(const struct vm *to);
struct vm_frame udp_in(enum family family, const struct vm *to);
struct vm_frame udp_between(enum family family, const struct vm *from, const struct vm *to);
struct vm_frame echo_in(enum family family, const struct vm *to); /* request */
struct arp_fields arp_for(uint32_t target);			  /* VM 1's request */
struct nd_fields solicitation_for(const struct dove_ip *target);  /* VM 1's */
struct outer_frame outer_from_host2(enum family outer);
/* What VM 1 sends to VM 2, as it must leave: source port and flow label are what they are in `got`. */
struct outer_frame outer_to_host2(enum family outer, const struct frame *got);
struct frame on_the_wire(enum family outer, const struct frame *inner, const struct frame *got);

/* ---- what must have come of it ---- */

/*
 * The run's packet was counted under `reason`, once with its length, nothing
 * else was; a hit or a miss where that reason is one; no other counter but
 * those that were announced; `action` came back.
 */
void expect_end(const struct run *r, int action, enum dove_reason reason);
/* expect_end() with TC_ACT_REDIRECT, and the agent heard nothing of it. */
void expect_sent(const struct run *r, enum dove_reason reason);
/*
 * expect_end() with TC_ACT_SHOT; the agent has at most the event that samples
 * what senders' packets end for. `again`: one was sent already, and the next
 * only comes when 100 ms have gone by, which none here waits for or rules out.
 */
void expect_dropped(const struct run *r, enum dove_reason reason);
void expect_dropped_again(const struct run *r, enum dove_reason reason);
/* expect_sample() - that event. */
void expect_sample(const struct run *r, enum dove_reason reason);
/* Dropped here because the agent has it, whole, in one record, which is returned (until the next begin()). */
const struct dove_held *expect_held(const struct run *r, enum dove_reason reason);
/* will_count() - this counter will rise by so much, until the next begin() or counters_clear(). */
void will_count(enum dove_counter counter, uint64_t packets);
void expect_counter(enum dove_counter counter, uint64_t packets);
void expect_nothing_counted(void);
/* expect_held()'s second half: one record, with the whole packet. */
const struct dove_held *expect_record(const struct run *r, enum dove_reason reason);
/* One event of this type is there, and returned; expect_quiet(): neither events nor packets are left. */
struct dove_event expect_event(enum dove_event_type type);
void expect_quiet(void);
void expect_bytes(const struct frame *got, const struct frame *want);
struct dove_policy_stats stats_of_policy(uint32_t vnid, uint32_t policy);
void expect_handed(uint32_t instance, const struct frame *inner);
uint32_t map_count(struct bpf_map *map); /* entries of a hash */

uint64_t counted(uint32_t index);
void counters_clear(void);
void rings_clear(void);
const struct dove_held *take_packet(void); /* NULL: none */
bool take_event(struct dove_event *out);

/* check() - an assertion that tells the case's name. */
#define check(condition, ...) cr_assert(condition, "%s: %s", case_name(), case_text(__VA_ARGS__))
const char *case_name(void);
void case_set(const char *name);
const char *case_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
const char *reason_name(uint32_t index); /* of a reason or a counter */

/* ---- a device whose other end the test holds ---- */

struct tap {
	int fd;
	uint32_t ifindex;
	bool vnet; /* frames have a struct virtio_net_hdr before them */
};

extern struct tap door; /* where prog_config.door is set */

struct tap tap_open(const char *name);
struct tap tap_open_vnet(const char *name);
void tap_attach(const struct tap *t,
		struct bpf_program *prog); /* a TC program, behind those that are there */
struct tap tap_attached(const char *name, struct bpf_program *prog);
/* tap_write() - a frame that arrives at the device, the programs have run when this returns. */
void tap_write(const struct tap *t, const struct frame *f);
/* tap_write_offloaded() - its checksum is still to be made; with gso_size it is a super-packet. */
void tap_write_offloaded(const struct tap *t, const struct vm_frame *v, uint16_t gso_size);
/* tap_write_in_pieces() - only the first `linear` bytes lie where the programs can read them at once. */
void tap_write_in_pieces(const struct tap *t, const struct frame *f, uint16_t linear);
/* tap_read() - the next frame that the kernel sent out of it; false: there is none. */
bool tap_read(const struct tap *t, struct frame *out);
/* tap_silent() - nothing came out of it. */
void tap_silent(const struct tap *t);
/*
 * run_tc() - a frame cut to f->len bytes, through dove_port or dove_nic_ingress.
 *
 * TEST_RUN refuses frames that end before their IP header does; those arrive
 * through the tap, where no return value is seen: it is taken for
 * TC_ACT_SHOT, which the tests of the counters stand in for.
 */
struct run run_tc(const struct tap *t, struct bpf_program *prog, const struct frame *f);

#endif
