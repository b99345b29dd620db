// SPDX-License-Identifier: Apache-2.0
/*
 * MPLS label stacks of paths on the underlay.
 *
 *   VM 1's tap -> dove_port -> [the pair that cuts -> dove_door] -> NIC's tap: labelled frames
 */
#include <arpa/inet.h>
#include <string.h>

#include "door.h"
#include "loader/cutter.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT | PROG_DOOR | PROG_TRACE, .door = true });
}

TestSuite(labels, .init = load);

#define ROW 0x7005u
#define SEGMENT 1000u
#define SEGMENTS 3u
#define VLAN 100u

/* A label's entry, from outside in; the last one has the S bit: RFC 3032. */
static const uint32_t stack[] = { 100 << 12 | 5 << 9 | 64, 0xfffffe40, 16 << 12 | 64, 200 << 12 | 64 };

static uint32_t entry(unsigned i, unsigned n)
{
	return stack[i] | (i + 1 == n ? 0x100 : 0);
}

/* VM 1 to VM 2, who is behind that address of host 2, by a path of so many labels. */
static void laid_out(enum family outer, unsigned n, uint16_t vlan)
{
	struct dove_qos row = { .dscp = DOVE_DSCP_UNSAID,
				.vlan = vlan,
				.laid = n ? DOVE_LAID_LABELS : DOVE_LAID_NOTHING,
				.n_laid = n,
				.laid_len = 4 * n };
	struct dove_translation t = allow_to(&vm2);
	uint32_t id = ROW;

	for (unsigned i = 0; i < n; i++)
		row.labels[i] = htonl(entry(i, n));
	t.host = ip_in(outer, HOST2);
	t.qos = ROW;
	cache_put(&vm2, &t);
	map_put(dove_qos, &id, &row);
}

/* The frame as it is behind a tag and labels. */
static struct frame labelled(const struct frame *plain, unsigned n, uint16_t vlan)
{
	struct frame f = *plain;
	uint32_t before = 12 + (vlan ? 4 : 0) + 2, after = before + 4 * n;

	if (vlan)
		frame_put(&f, 12, 4, 0x81000000 | vlan);
	frame_put(&f, before - 2, 2, 0x8847);
	for (unsigned i = 0; i < n; i++)
		frame_put(&f, before + 4 * i, 4, entry(i, n));
	memcpy(f.b + after, plain->b + 14, plain->len - 14);
	f.len = after + plain->len - 14;
	return f;
}

/* What of the outer header only the sender could know stands behind the labels. */
static void expect_labelled(const struct frame *got, enum family outer, const struct frame *inner, unsigned n,
			    uint16_t vlan)
{
	uint32_t before = 14 + (vlan ? 4 : 0) + 4 * n;
	struct frame bare = *got, want;

	check(got->len > before, "%u bytes", got->len);
	memcpy(bare.b + 14, got->b + before, got->len - before);
	bare.len = got->len - before + 14;
	frame_put(&bare, 12, 2, outer == V6 ? 0x86dd : 0x0800);
	want = on_the_wire(outer, inner, &bare);
	if (outer == V4)
		frame_put(&want, OUTER_AT(ip.id), 2, frame_get(&bare, OUTER_AT(ip.id), 2));
	frame_checksum_outer(&want);
	want = labelled(&want, n, vlan);
	expect_bytes(got, &want);
}

Test(labels, R28_stand_between_ethernet_and_the_outer_header)
{
	for (unsigned mix = 0; mix < 4 * DOVE_LAID_MAX; mix++) {
		enum family inner = mix & 1, outer = mix >> 1 & 1;
		struct vm_frame v = udp_in(inner, &vm2);
		unsigned n = mix / 4 + 1;
		struct run r;

		begin(case_text("%u labels, IPv%u in IPv%u", n, inner ? 6 : 4, outer ? 6 : 4));
		laid_out(outer, n, 0);
		r = run_vm(&v);
		expect_sent(&r, DOVE_ENCAPSULATED);
		memcpy(r.in.b, vm2.mac, 6);
		expect_labelled(&r.out, outer, &r.in, n, 0);
	}
}

Test(labels, R28_a_packet_has_room_for_them_or_its_sender_is_told)
{
	for (unsigned n = 0; n <= DOVE_LAID_MAX; n++) {
		struct vm_frame v = udp_to(&vm2);
		struct run r;

		begin(case_text("%u labels", n));
		laid_out(V4, n, 0);
		v.payload = HOST2_MTU - 4 * n - 28;
		r = run_vm(&v);
		expect_sent(&r, DOVE_ENCAPSULATED);
		counters_clear();
		v.payload++;
		r = run_vm(&v);
		check(counted(DOVE_TOO_BIG_ANSWERED) == 1, "not told");
		check(frame_get(&r.out, 14 + 20 + 6, 2) == HOST2_MTU - 4 * n, "of %u bytes",
		      frame_get(&r.out, 14 + 20 + 6, 2));
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
	host2_put(nic.ifindex, 0);
	laid_out(outer, n, vlan);
}

/* What the VM left to the device to fill in, which knows nothing of labels, is filled in. */
Test(labels, R28_checksums_and_a_tag)
{
	devices();
	for (unsigned mix = 0; mix < 16; mix++) {
		enum family inner = mix & 1, outer = mix >> 1 & 1;
		unsigned n = mix & 4 ? 3 : 1;
		uint16_t vlan = mix & 8 ? VLAN : 0;
		struct vm_frame v = udp_in(inner, &vm2);
		struct frame got, whole;

		begin_devices(case_text("%u labels, VLAN %u, IPv%u in IPv%u", n, vlan, inner ? 6 : 4,
					outer ? 6 : 4),
			      outer, n, vlan);
		v.proto = mix & 1 ? 6 : 17;
		tap_write_offloaded(&port1, &v, 0);
		check(counted(DOVE_ENCAPSULATED) == 1, "not encapsulated");
		check(tap_read(&nic, &got), "did not leave");
		whole = frame_vm(&v);
		expect_labelled(&got, outer, &whole, n, vlan);
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

/* Two and a half segments, of which each goes under all labels. */
Test(labels, R28_super_packets_are_cut_before)
{
	static const uint8_t protos[] = { 6, 17 };

	devices();
	cutter();
	for (unsigned mix = 0; mix < 16; mix++) {
		enum family inner = mix & 1, outer = mix >> 1 & 1;
		unsigned n = mix & 4 ? 3 : 1;
		uint16_t vlan = mix & 4 ? VLAN : 0;
		struct vm_frame v = udp_in(inner, &vm2), part;
		struct frame whole, got;

		v.proto = protos[mix >> 3];
		v.payload = SEGMENT * 5 / 2;
		begin_devices(case_text("protocol %u, %u labels, IPv%u in IPv%u", v.proto, n, inner ? 6 : 4,
					outer ? 6 : 4),
			      outer, n, vlan);
		dove->bss->door_reason = DOVE_PASSED;
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
			expect_labelled(&got, outer, &inside, n, vlan);
		}
		check(counted(DOVE_ENCAPSULATED) == SEGMENTS, "%llu sent",
		      (unsigned long long)counted(DOVE_ENCAPSULATED));
		check(dove->bss->door_reason == DOVE_PASSED, "the agent was told what it did not ask");
		tap_silent(&nic);
	}
}

/* A routed one has its hop less once, though it is decided twice. */
Test(labels, R28_what_is_cut_and_routed_loses_one_hop)
{
	struct vm_frame v = udp_to(&vm2);
	struct frame got;

	devices();
	cutter();
	begin_devices("by the gateway", V4, 1, 0);
	v.proto = 6;
	v.payload = SEGMENT * 2;
	v.ttl = 9;
	memcpy(v.dmac, (const uint8_t[])DOVE_GATEWAY_MAC, 6);
	tap_write_offloaded(&port1, &v, SEGMENT);
	for (unsigned i = 0; i < 2; i++) {
		check(tap_read(&nic, &got), "segment %u did not leave", i);
		check(got.b[4 + DOVE_OVERHEAD_V4 + 14 + 8] == 8, "%u hops left",
		      got.b[4 + DOVE_OVERHEAD_V4 + 14 + 8]);
	}
}

Test(labels, R28_without_the_pair_super_packets_are_dropped)
{
	struct vm_frame v = udp_to(&vm2);

	devices();
	begin_devices("no pair", V4, 1, 0);
	v.proto = 6;
	v.payload = SEGMENT * 2;
	tap_write_offloaded(&port1, &v, SEGMENT);
	check(counted(DOVE_ENCAP_FAILED) == 1, "not dropped");
	tap_silent(&nic);
}
