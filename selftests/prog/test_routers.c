// SPDX-License-Identifier: Apache-2.0
/*
 * Paths on the underlay that lead by routers: IP in IP.
 *
 *   VM 1's tap -> dove_port -> [the pair that cuts -> dove_door] -> NIC's tap: a header for each router
 */
#include <string.h>

#include "door.h"
#include "ingress.h"
#include "loader/cutter.h"

static void load(void)
{
	prog_load((struct prog_config){
		.programs = PROG_PORT | PROG_DOOR | PROG_TRACE | PROG_NIC_INGRESS | PROG_XDP, .door = true });
}

TestSuite(routers, .init = load);

#define ROW 0x7006u
#define SEGMENT 1000u
#define SEGMENTS 3u
#define VLAN 100u
#define TOS 0xba /* expedited forwarding, ECT(0) */
#define ROUTER 0xc0000209u
#define ROUTER_MTU (HOST2_MTU - 10)
#define DEVICE 4711u
#define HEADER(family) ((family) == V6 ? 40u : 20u)

static const uint8_t router_mac[6] = { 0x02, 0xaa, 0, 0, 0, 0x77 };

static struct dove_ip router(enum family family, unsigned i)
{
	return ip_in(family, ROUTER + 4 * i);
}

static void router_put(enum family family, uint32_t ifindex, uint32_t flags, uint32_t mtu)
{
	struct dove_host row = {
		.source = ip_in(family, HOST1), .ifindex = ifindex, .mtu = mtu, .flags = flags
	};
	struct dove_ip key = router(family, 0);

	memcpy(row.src_mac, nic_mac, sizeof(row.src_mac));
	memcpy(row.dst_mac, router_mac, sizeof(row.dst_mac));
	map_put(dove_routers, &key, &row);
}

/* VM 1 to VM 2, who is behind that address of host 2, by so many routers of a family. */
static void laid_out(enum family outer, enum family family, unsigned n, uint16_t vlan)
{
	struct dove_qos row = { .dscp = DOVE_DSCP_UNSAID,
				.vlan = vlan,
				.laid = family == V4 ? DOVE_LAID_ROUTERS_V4 : DOVE_LAID_ROUTERS_V6,
				.n_laid = n,
				.laid_len = n * HEADER(family) };
	struct dove_translation t = allow_to(&vm2);
	uint32_t id = ROW;

	for (unsigned i = 0; i < n; i++)
		row.routers[i] = router(family, i);
	t.host = ip_in(outer, HOST2);
	t.qos = ROW;
	cache_put(&vm2, &t);
	map_put(dove_qos, &id, &row);
}

static void header4(struct frame *f, uint32_t at, uint32_t len, const struct dove_ip *to)
{
	frame_put(f, at, 4, 0x45u << 24 | TOS << 16 | len);
	frame_put(f, at + 4, 4, DONT_FRAGMENT);
	frame_put(f, at + 8, 4, 64u << 24 | 4 << 16);
	frame_put(f, at + 12, 4, HOST1);
	memcpy(f->b + at + 16, to->b + 12, 4);
	frame_checksum_ip(f, at);
}

static void header6(struct frame *f, uint32_t at, uint32_t len, uint32_t flow_label, const struct dove_ip *to)
{
	struct dove_ip from = ip6_of(HOST1);

	frame_put(f, at, 4, 6u << 28 | TOS << 20 | flow_label);
	frame_put(f, at + 4, 4, (len - 40) << 16 | 41 << 8 | 64);
	memcpy(f->b + at + 8, from.b, 16);
	memcpy(f->b + at + 24, to->b, 16);
}

/* The frame as it is behind a tag and the routers' headers. */
static struct frame sent_by(const struct frame *plain, enum family outer, unsigned n, uint16_t vlan,
			    uint32_t flow_label)
{
	uint32_t tag = vlan ? 4 : 0, first = 14 + tag, last = first + n * HEADER(outer);
	struct frame f = *plain;

	if (vlan)
		frame_put(&f, 12, 4, 0x81000000 | vlan);
	frame_put(&f, first - 2, 2, outer == V6 ? 0x86dd : 0x0800);
	memcpy(f.b + last, plain->b + 14, plain->len - 14);
	f.len = last + plain->len - 14;
	for (unsigned i = 0; i < n; i++) {
		struct dove_ip to = router(outer, i);
		uint32_t at = first + i * HEADER(outer);

		if (outer == V6)
			header6(&f, at, f.len - at, flow_label, &to);
		else
			header4(&f, at, f.len - at, &to);
	}
	return f;
}

/* What of the outer header only the sender could know stands behind the others. */
static void expect_routed(const struct frame *got, enum family outer, const struct frame *inner, unsigned n,
			  uint16_t vlan)
{
	uint32_t before = 14 + (vlan ? 4 : 0) + n * HEADER(outer);
	struct frame bare = *got, want;
	struct outer_frame o;

	check(got->len > before, "%u bytes", got->len);
	memcpy(bare.b + 14, got->b + before, got->len - before);
	bare.len = got->len - before + 14;
	o = outer_to_host2(outer, &bare);
	o.tos = TOS;
	memcpy(o.dmac, router_mac, sizeof(o.dmac));
	want = frame_encapsulated(&o, inner);
	want = sent_by(&want, outer, n, vlan, o.flow_label);
	expect_bytes(got, &want);
}

static struct vm_frame marked(enum family inner)
{
	struct vm_frame v = udp_in(inner, &vm2);

	v.tos = TOS;
	return v;
}

Test(routers, R28_have_a_header_each_before_the_outer_one)
{
	for (unsigned mix = 0; mix < 4 * DOVE_LAID_MAX; mix++) {
		enum family inner = mix & 1, outer = mix >> 1 & 1;
		struct vm_frame v = marked(inner);
		unsigned n = mix / 4 + 1;
		struct run r;

		begin(case_text("%u routers, IPv%u in IPv%u", n, inner ? 6 : 4, outer ? 6 : 4));
		laid_out(outer, outer, n, 0);
		router_put(outer, DEVICE, DOVE_HOST_REACHABLE, ROUTER_MTU);
		r = run_vm(&v);
		expect_sent(&r, DOVE_ENCAPSULATED);
		memcpy(r.in.b, vm2.mac, 6);
		expect_routed(&r.out, outer, &r.in, n, 0);
	}
}

/* The way to the host itself need not be known, nor is it taken. */
Test(routers, R28_the_first_one_is_where_packets_go)
{
	struct dove_ip host2 = ip_of(HOST2);
	struct vm_frame v = marked(V4);
	struct run r;

	begin("nobody knows the way to the host");
	map_del(dove_hosts, &host2);
	laid_out(V4, V4, 2, 0);
	router_put(V4, DEVICE, DOVE_HOST_REACHABLE, ROUTER_MTU);
	r = run_vm(&v);
	expect_sent(&r, DOVE_ENCAPSULATED);
	memcpy(r.in.b, vm2.mac, 6);
	expect_routed(&r.out, V4, &r.in, 2, 0);
	begin("the router is not resolved");
	laid_out(V4, V4, 2, 0);
	router_put(V4, DEVICE, 0, ROUTER_MTU);
	r = run_vm(&v);
	expect_held(&r, DOVE_HELD_NEXT_HOP);
	begin("nobody knows the way to the router");
	laid_out(V4, V4, 1, 0);
	r = run_vm(&v);
	expect_held(&r, DOVE_HELD_NEXT_HOP);
}

Test(routers, R28_lead_to_no_host_of_the_other_family)
{
	for (enum family outer = V4; outer < FAMILIES; outer++) {
		struct vm_frame v = marked(V4);
		struct outer_frame o;
		struct frame want;
		struct run r;

		begin(case_text("to a host by IPv%u", outer ? 6 : 4));
		laid_out(outer, !outer, 3, 0);
		router_put(!outer, DEVICE, DOVE_HOST_REACHABLE, ROUTER_MTU);
		v.payload = (outer == V6 ? HOST2_MTU6 : HOST2_MTU) - 28;
		r = run_vm(&v);
		expect_sent(&r, DOVE_ENCAPSULATED);
		o = outer_to_host2(outer, &r.out);
		o.tos = TOS;
		memcpy(r.in.b, vm2.mac, 6);
		want = frame_encapsulated(&o, &r.in);
		expect_bytes(&r.out, &want);
	}
}

static void fits(enum family outer, uint32_t mtu)
{
	struct vm_frame v = udp_to(&vm2);
	struct run r;

	counters_clear();
	v.payload = mtu - 28;
	r = run_vm(&v);
	expect_sent(&r, DOVE_ENCAPSULATED);
	counters_clear();
	v.payload++;
	r = run_vm(&v);
	check(counted(DOVE_TOO_BIG_ANSWERED) == 1, "not told");
	check(frame_get(&r.out, 14 + 20 + 6, 2) == mtu, "of %u bytes", frame_get(&r.out, 14 + 20 + 6, 2));
}

Test(routers, R28_a_packet_has_room_for_them_or_its_sender_is_told)
{
	for (unsigned mix = 0; mix < 2 * DOVE_LAID_MAX; mix++) {
		enum family outer = mix & 1;
		unsigned n = mix / 2 + 1;

		begin(case_text("%u routers of IPv%u", n, outer ? 6 : 4));
		laid_out(outer, outer, n, 0);
		router_put(outer, DEVICE, DOVE_HOST_REACHABLE, ROUTER_MTU);
		fits(outer, ROUTER_MTU - n * HEADER(outer));
		case_set("narrower behind the last router than before it");
		host2_put(DEVICE, 1000);
		fits(outer, 1000);
	}
}

/* On a service's path each leg goes by them. */
Test(routers, R28_lead_to_services_too)
{
	struct dove_hop hop = { .endpoint = 500, .host = ip_in(V4, HOST2) };
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = marked(V4);
	struct frame bare;
	struct run r;

	begin("a service elsewhere");
	laid_out(V4, V4, 2, 0);
	router_put(V4, DEVICE, DOVE_HOST_REACHABLE, ROUTER_MTU);
	map_put(dove_paths, &(uint32_t){ 7 },
		&((struct dove_path){ .n = 1, .mask = 1, .services = { 900 } }));
	for (uint32_t slot = 0; slot < DOVE_SLOTS; slot++)
		map_put(dove_hops, &((struct dove_hop_key){ .service = 900, .slot = slot }), &hop);
	t.path = 7;
	t.floor = POLICY_FLOOR;
	t.qos = ROW;
	t.host = ip_in(V4, HOST1);
	cache_put(&vm2, &t);
	r = run_vm(&v);
	expect_sent(&r, DOVE_ENCAPSULATED);
	bare = r.out;
	check(frame_get(&bare, 14 + 16, 4) == ROUTER && frame_get(&bare, 34 + 16, 4) == ROUTER + 4 &&
		      frame_get(&bare, 54 + 16, 4) == HOST2,
	      "not by both routers to host 2");
}

/* An address is not believed for being passed. */
Test(routers, R12_are_no_senders)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct frame inner = the_inner(w.inner), f;
		struct outer_frame o = outer_from_host2(w.outer);
		struct run r;

		o.src = router(w.outer, 0);
		f = frame_encapsulated(&o, &inner);
		begin_way(&w, "from a router");
		router_put(w.outer, DEVICE, DOVE_HOST_REACHABLE, ROUTER_MTU);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_UNKNOWN_HOST);
	}
}

/* ---- through devices ---- */

static struct tap port1, nic;

static void devices(void)
{
	begin("taps");
	port1 = tap_open_vnet("port1");
	nic = tap_open("nic");
	tap_attach(&port1, dove->progs.dove_port);
}

static void begin_devices(const char *name, enum family outer, unsigned n, uint16_t vlan)
{
	begin(name);
	port_put(port1.ifindex, &vm1, DOVE_PORT_VM);
	laid_out(outer, outer, n, vlan);
	router_put(outer, nic.ifindex, DOVE_HOST_REACHABLE, ROUTER_MTU);
}

/* What the VM left to the device to fill in, which knows nothing of so many headers, is filled in. */
Test(routers, R28_checksums_and_a_tag)
{
	devices();
	for (unsigned mix = 0; mix < 16; mix++) {
		enum family inner = mix & 1, outer = mix >> 1 & 1;
		unsigned n = mix & 4 ? 4 : 1;
		uint16_t vlan = mix & 8 ? VLAN : 0;
		struct vm_frame v = marked(inner);
		struct frame got, whole;

		begin_devices(case_text("%u routers, VLAN %u, IPv%u in IPv%u", n, vlan, inner ? 6 : 4,
					outer ? 6 : 4),
			      outer, n, vlan);
		v.proto = mix & 1 ? 6 : 17;
		tap_write_offloaded(&port1, &v, 0);
		check(counted(DOVE_ENCAPSULATED) == 1, "not encapsulated");
		check(tap_read(&nic, &got), "did not leave");
		whole = frame_vm(&v);
		expect_routed(&got, outer, &whole, n, vlan);
		tap_silent(&nic);
	}
}

static void cutter(void)
{
	struct cutter pair;
	struct tap out = {};

	check(!cutter_make(&pair), "no pair");
	out.ifindex = pair.peer;
	tap_attach(&out, dove->progs.dove_door);
	dove->bss->cutter = pair.ifindex;
}

/* Two and a half segments, of which each goes by all routers. */
Test(routers, R28_super_packets_are_cut_before)
{
	static const uint8_t protos[] = { 6, 17 };

	devices();
	cutter();
	for (unsigned mix = 0; mix < 16; mix++) {
		enum family inner = mix & 1, outer = mix >> 1 & 1;
		unsigned n = mix & 4 ? 4 : 1;
		uint16_t vlan = mix & 4 ? VLAN : 0;
		struct vm_frame v = marked(inner), part;
		struct frame whole, got;

		v.proto = protos[mix >> 3];
		v.payload = SEGMENT * 5 / 2;
		begin_devices(case_text("protocol %u, %u routers, IPv%u in IPv%u", v.proto, n, inner ? 6 : 4,
					outer ? 6 : 4),
			      outer, n, vlan);
		tap_write_offloaded(&port1, &v, SEGMENT);
		check(counted(DOVE_SEGMENTING) == 1, "not cut");
		whole = frame_vm(&v);
		for (unsigned i = 0; i < SEGMENTS; i++) {
			part = v;
			part.data = whole.b + whole.len - v.payload + i * SEGMENT;
			part.payload = i + 1 < SEGMENTS ? SEGMENT : v.payload - i * SEGMENT;
			part.tcp_seq += i * SEGMENT;
			part.id = inner == V4 ? i : 0;
			struct frame inside = frame_vm(&part);

			check(tap_read(&nic, &got), "segment %u did not leave", i);
			expect_routed(&got, outer, &inside, n, vlan);
		}
		check(counted(DOVE_ENCAPSULATED) == SEGMENTS, "%llu sent",
		      (unsigned long long)counted(DOVE_ENCAPSULATED));
		tap_silent(&nic);
	}
}

/* One that leads to no host of the other family leaves it whole. */
Test(routers, R28_super_packets_without_headers_stay_whole)
{
	struct vm_frame v = marked(V4);

	devices();
	cutter();
	begin("by IPv6 routers to a host of IPv4");
	port_put(port1.ifindex, &vm1, DOVE_PORT_VM);
	host2_put(nic.ifindex, 0);
	laid_out(V4, V6, 2, 0);
	router_put(V6, nic.ifindex, DOVE_HOST_REACHABLE, ROUTER_MTU);
	v.proto = 6;
	v.payload = SEGMENT * 2;
	tap_write_offloaded(&port1, &v, SEGMENT);
	check(counted(DOVE_ENCAPSULATED) == 1, "not one packet");
	check(!counted(DOVE_SEGMENTING), "cut");
}
