// SPDX-License-Identifier: Apache-2.0
/*
 * Super-packets (GSO), as devices without offloads make packets of them in the end.
 *
 *   VM 1's tap, a super-packet -> dove_port -> NIC's tap, or VM 3's: segments
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "door.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT | PROG_DOOR, .door = true });
}

TestSuite(super, .init = load);

#define SEGMENT 1000u
#define SEGMENTS 3u

static struct tap port1, port3, nic;

static void taps_open(void)
{
	begin("taps");
	port1 = tap_open_vnet("port1");
	port3 = tap_open("port3");
	nic = tap_open("nic");
}

static void devices(void)
{
	taps_open();
	tap_attach(&port1, dove->progs.dove_port);
}

static void begin_super(const char *name)
{
	begin(name);
	port_put(port1.ifindex, &vm1, DOVE_PORT_VM);
	local_deliver(&vm3, port3.ifindex, DOVE_DELIVER_REDIRECT);
	host2_put(nic.ifindex, 0);
}

/* Two and a half segments. */
static struct vm_frame super_packet(enum family f, const struct vm *to, uint8_t proto)
{
	struct vm_frame v = udp_in(f, to);

	v.proto = proto;
	v.payload = SEGMENT * 5 / 2;
	return v;
}

/* What the kernel makes of the i-th: TCP's numbers go on, IPv4's ids too. */
static struct frame segment(const struct vm_frame *v, unsigned i)
{
	struct frame whole = frame_vm(v);
	struct vm_frame part = *v;

	part.data = whole.b + whole.len - v->payload + i * SEGMENT;
	part.payload = i + 1 < SEGMENTS ? SEGMENT : v->payload - i * SEGMENT;
	part.tcp_seq += i * SEGMENT;
	part.id = family_of(&v->src) == V4 ? i : 0;
	return frame_vm(&part);
}

static void expect_encapsulated(enum family outer, const struct frame *inner, unsigned i)
{
	struct frame got, want;

	check(tap_read(&nic, &got), "segment %u did not leave", i);
	want = on_the_wire(outer, inner, &got);
	if (outer == V4)
		frame_put(&want, OUTER_AT(ip.id), 2, i);
	frame_checksum_outer(&want);
	expect_bytes(&got, &want);
}

Test(super, R13_segments_are_encapsulated_each)
{
	static const uint8_t protos[] = { 6, 17 };

	devices();
	for (size_t i = 0; i < ARRAY_SIZE(protos) * 4; i++) {
		enum family inner = i & 1, outer = i >> 1 & 1;
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = super_packet(inner, &vm2, protos[i / 4]);

		begin_super(case_text("protocol %u, IPv%u in IPv%u", v.proto, inner ? 6 : 4, outer ? 6 : 4));
		t.host = ip_in(outer, HOST2);
		cache_put(&vm2, &t);
		tap_write_offloaded(&port1, &v, SEGMENT);
		check(counted(DOVE_ENCAPSULATED) == 1, "not encapsulated");
		for (unsigned n = 0; n < SEGMENTS; n++) {
			struct frame part = segment(&v, n);

			expect_encapsulated(outer, &part, n);
		}
		tap_silent(&nic);
	}
}

Test(super, R4_neighbours_get_segments)
{
	devices();
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = allow_to(&vm3);
		struct vm_frame v = super_packet(f, &vm3, 6);

		begin_super(case_text("IPv%u", f ? 6 : 4));
		cache_put(&vm3, &t);
		tap_write_offloaded(&port1, &v, SEGMENT);
		check(counted(DOVE_DELIVERED_LOCAL) == 1, "not delivered");
		for (unsigned n = 0; n < SEGMENTS; n++) {
			struct frame part = segment(&v, n), got;

			check(tap_read(&port3, &got), "segment %u did not come", n);
			expect_bytes(&got, &part);
		}
		tap_silent(&port3);
	}
}

/* One packet whose checksum is still to be made. */
Test(super, R13_a_checksum_that_was_to_be_made_is_made)
{
	devices();
	for (unsigned mix = 0; mix < 4; mix++) {
		enum family inner = mix & 1, outer = mix >> 1;
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = udp_in(inner, &vm2);
		struct frame whole;

		begin_super(case_text("IPv%u in IPv%u", inner ? 6 : 4, outer ? 6 : 4));
		v.proto = 6;
		t.host = ip_in(outer, HOST2);
		cache_put(&vm2, &t);
		tap_write_offloaded(&port1, &v, 0);
		whole = frame_vm(&v);
		expect_encapsulated(outer, &whole, 0);
	}
}

/* ---- a tunnel inside the VM ---- */

#define VXLAN_HEADERS 50

/* Headers of VM 1's own for a super-packet of its own tunnel: IP, UDP, VXLAN, Ethernet. */
static struct vm_frame vxlan_of(const struct vm_frame *inside, uint8_t *payload)
{
	struct vm_frame v = udp_to(&vm2);
	struct frame f = frame_vm(inside);

	memcpy(payload, (uint8_t[8]){ 0x08 }, 8);
	memcpy(payload + 8, f.b, f.len);
	v.to_port = 4789;
	v.data = payload;
	v.payload = 8 + f.len;
	return v;
}

static unsigned put_chunk(struct bpf_insn *at, const uint8_t *bytes, int offset)
{
	uint32_t low, high;

	memcpy(&low, bytes, 4);
	memcpy(&high, bytes + 4, 4);
	at[0] = (struct bpf_insn){ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1, .imm = low };
	at[1] = (struct bpf_insn){ .imm = high };
	at[2] = (struct bpf_insn){
		.code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_10, .src_reg = BPF_REG_1, .off = offset
	};
	return 3;
}

static struct bpf_insn move(uint8_t reg, int value)
{
	return (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = reg, .imm = value };
}

static struct bpf_insn copy(uint8_t to, uint8_t from)
{
	return (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = to, .src_reg = from };
}

static struct bpf_insn call(int helper)
{
	return (struct bpf_insn){ .code = BPF_JMP | BPF_CALL, .imm = helper };
}

/* A program before ours that does what a VM's tunnel device does: puts these headers behind the Ethernet header. */
static int vm_tunnel(const uint8_t head[VXLAN_HEADERS])
{
	uint64_t flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 |
			 BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2_ETH |
			 BPF_F_ADJ_ROOM_ENCAP_L2(14);
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_TCX_INGRESS);
	struct bpf_insn code[64];
	uint8_t padded[56] = {};
	unsigned n = 0;

	memcpy(padded, head, VXLAN_HEADERS);
	code[n++] = copy(BPF_REG_6, BPF_REG_1);
	code[n++] = move(BPF_REG_2, VXLAN_HEADERS);
	code[n++] = move(BPF_REG_3, BPF_ADJ_ROOM_MAC);
	code[n++] =
		(struct bpf_insn){ .code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_4, .imm = flags };
	code[n++] = (struct bpf_insn){ .imm = flags >> 32 };
	code[n++] = call(BPF_FUNC_skb_adjust_room);
	for (int i = 0; i < 56; i += 8)
		n += put_chunk(code + n, padded + i, i - 56);
	code[n++] = copy(BPF_REG_1, BPF_REG_6);
	code[n++] = move(BPF_REG_2, 14);
	code[n++] = copy(BPF_REG_3, BPF_REG_10);
	code[n++] =
		(struct bpf_insn){ .code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_3, .imm = -56 };
	code[n++] = move(BPF_REG_4, VXLAN_HEADERS);
	code[n++] = move(BPF_REG_5, 0);
	code[n++] = call(BPF_FUNC_skb_store_bytes);
	code[n++] = move(BPF_REG_0, TC_ACT_UNSPEC);
	code[n++] = (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };
	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "vm_tunnel", "GPL", code, n, &opts);
}

static void tunnel_attach(const struct tap *t, const struct frame *outside)
{
	int fd = vm_tunnel(outside->b + 14);

	cr_assert(fd >= 0, "the VM's tunnel: %s", strerror(errno));
	if (bpf_link_create(fd, t->ifindex, BPF_TCX_INGRESS, NULL) < 0)
		skip("no TCX in this kernel");
}

/* One frame that came out of the agent's device, without what stands before it. */
static struct frame take_cut(uint32_t ifindex)
{
	struct dove_door head;
	struct frame got;

	check(tap_read(&door, &got), "nothing came out of the agent's device");
	memcpy(&head, got.b, sizeof(head));
	check(head.magic == DOVE_DOOR_MAGIC && head.ifindex == ifindex, "magic %x, interface %u", head.magic,
	      head.ifindex);
	got.len -= sizeof(head);
	memmove(got.b, got.b + sizeof(head), got.len);
	return got;
}

/*
 * A super-packet of such a tunnel can get no second one's headers. It is cut
 * on its way to the agent, who sends the pieces on by the door, one by one,
 * each as the VM would have sent it: no hop may have been counted yet.
 */
static void expect_cut(bool routed)
{
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame inside = super_packet(V4, &vm3, 6), v;
	uint8_t payload[FRAME_MAX];
	struct frame outside;

	inside.payload = SEGMENT * 2;
	v = vxlan_of(&inside, payload);
	if (routed)
		memcpy(v.dmac, gateway.mac, 6);
	outside = frame_vm(&v);
	tunnel_attach(&port1, &outside);
	tap_attach(&port1, dove->progs.dove_port);
	begin_super(routed ? "routed" : "inside a subnet");
	cache_put(&vm2, &t);
	memcpy(inside.dmac, v.dmac, 6); /* as it is before the tunnel's headers come */
	memcpy(inside.smac, v.smac, 6);
	tap_write_offloaded(&port1, &inside, SEGMENT);
	check(counted(DOVE_SEGMENTING) == 1, "not cut");
	for (unsigned i = 0; i < 2; i++) {
		struct frame cut = take_cut(port1.ifindex);
		struct run r;

		check(cut.b[14 + 8] == 64, "TTL %u", cut.b[14 + 8]);
		check(frame_get(&cut, 16, 2) == cut.len - 14 &&
			      cut.len == 14 + 20 + 8 + 8 + 14 + 40 + SEGMENT,
		      "piece %u has %u bytes", i, cut.len);
		counters_clear();
		r = run_door(DOVE_DOOR_CUT, port1.ifindex, &cut);
		expect_end(&r, TC_ACT_REDIRECT, DOVE_ENCAPSULATED);
		check(r.out.b[OUTER_LEN + 14 + 8] == 64 - routed, "TTL %u", r.out.b[OUTER_LEN + 14 + 8]);
	}
	tap_silent(&door);
	tap_silent(&nic);
}

Test(super, R13_a_vms_tunnels_are_cut_first)
{
	taps_open();
	expect_cut(false);
}

Test(super, R3_and_routed_once)
{
	taps_open();
	expect_cut(true);
}
