// SPDX-License-Identifier: Apache-2.0
/*
 * XDP and TC one behind the other, as on a NIC: frames that dove_xdp passes
 * go through the kernel to dove_nic_ingress, and from there to a VM's tap.
 *
 *   TEST_RUN, live frames -> dove_xdp -> lo -> dove_nic_ingress -> tap
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "ingress.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_NIC_INGRESS | PROG_XDP });
}

TestSuite(chain, .init = load);

/* meta_len: so much of the frame's beginning is metadata that a program before ours has put there. */
static void arrive_with_meta(const struct frame *f, uint32_t meta_len)
{
	struct xdp_md ctx = { .data = meta_len, .data_end = f->len };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->b, .data_size_in = f->len, .repeat = 1,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .flags = BPF_F_TEST_XDP_LIVE_FRAMES,
		    .batch_size = 1);

	if (bpf_prog_test_run_opts(bpf_program__fd(dove->progs.dove_xdp), &opts))
		skip("no live frames in this kernel");
}

static void arrive_live(const struct frame *f)
{
	arrive_with_meta(f, 0);
}

static struct tap vm3_on_a_tap(const char *name)
{
	struct tap port = tap_open(name);

	local_put(BLUE, &vm3, port.ifindex, 1, 1);
	tap_attach(&(struct tap){ .ifindex = PORT }, dove->progs.dove_nic_ingress);
	return port;
}

static void expect_counted_twice(enum dove_reason at_xdp, enum dove_reason at_tc)
{
	check(counted(at_xdp) == 1 && counted(at_tc) == 1, "%s %llu, %s %llu", reason_name(at_xdp),
	      (unsigned long long)counted(at_xdp), reason_name(at_tc), (unsigned long long)counted(at_tc));
}

Test(chain, R14_stripped_by_xdp_is_delivered_by_tc)
{
	struct tap port;

	begin("a tap");
	port = vm3_on_a_tap("port3");
	for (struct way w = { .hook = AT_XDP }; w.hook < AT_COUNT; way_next(&w)) {
		struct frame inner = the_inner(w.inner), f = wrap(w.outer, &inner), got;

		begin_way(&w, "accepted");
		local_put(BLUE, &vm3, port.ifindex, 1, 1);
		arrive_live(&f);
		check(tap_read(&port, &got), "nothing came to the VM");
		expect_bytes(&got, &inner);
		expect_counted_twice(DOVE_STRIPPED, DOVE_DELIVERED);
		tap_silent(&port);
		expect_quiet();
	}
}

/* A stripped frame is told from others by its metadata alone: the same frame without is foreign. */
Test(chain, R14_a_bare_frame_is_not_taken_for_a_stripped_one)
{
	struct frame inner = the_inner(V4);
	struct tap port;

	begin("bare inner frame at the NIC");
	port = vm3_on_a_tap("port3");
	arrive_live(&inner);
	check(counted(DOVE_PASSED) == 1, "not passed");
	tap_silent(&port);
}

static struct frame with_meta(const struct frame *f, uint32_t magic, uint32_t ifindex)
{
	struct dove_meta meta = { .magic = magic, .ifindex = ifindex };
	struct frame out = *f;

	frame_insert(&out, 0, sizeof(meta));
	memcpy(out.b, &meta, sizeof(meta));
	return out;
}

/* Other programs leave metadata, too, as long as ours and with anything in it. */
Test(chain, R14_metadata_of_others_means_nothing)
{
	static const uint32_t magics[] = { 0, 0xd07e0000, DOVE_META_MAGIC + 1, 0xffffffff };
	struct frame inner = the_inner(V4), f, got;
	struct tap port;

	begin("a tap");
	port = vm3_on_a_tap("port3");
	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		begin(case_text("bare frame, magic %x", magics[i]));
		f = with_meta(&inner, magics[i], port.ifindex);
		arrive_with_meta(&f, sizeof(struct dove_meta));
		check(counted(DOVE_PASSED) == 1 && !counted(DOVE_DELIVERED), "not passed");
	}
	tap_silent(&port);

	begin("encapsulated frame with foreign metadata");
	local_put(BLUE, &vm3, port.ifindex, 1, 1);
	f = wrap(V4, &inner);
	f = with_meta(&f, 0x12345678, 1);
	arrive_with_meta(&f, sizeof(struct dove_meta));
	check(counted(DOVE_DELIVERED) == 1, "not delivered");
	check(tap_read(&port, &got), "nothing came to the VM");
	expect_bytes(&got, &inner);
}

Test(chain, R15_what_xdp_leaves_is_held_by_tc)
{
	struct frame inner = the_inner(V4), f = wrap(V4, &inner);
	struct run r = { .action = TC_ACT_SHOT, .in = f };
	struct tap port;

	begin("policy not known");
	port = vm3_on_a_tap("port3");
	map_del(dove_policies, &((struct dove_policy_key){ .vnid = BLUE, .policy = POLICY }));
	arrive_live(&f);
	expect_end(&r, TC_ACT_SHOT, DOVE_HELD_UNKNOWN);
	expect_record(&r, DOVE_HELD_UNKNOWN);
	expect_event(DOVE_EVENT_UNKNOWN); /* XDP's; TC's is too soon after it */
	expect_quiet();
	tap_silent(&port);
}

Test(chain, R17_refused_by_xdp_goes_nowhere)
{
	struct frame inner = the_inner(V4), f = wrap(V4, &inner);
	struct run r = { .action = XDP_DROP, .in = f };
	struct tap port;

	begin("below the network's floor");
	port = vm3_on_a_tap("port3");
	network_put(BLUE, REVISION + 1, REVISION + 1);
	arrive_live(&f);
	expect_end(&r, XDP_DROP, DOVE_REFUSED);
	tap_silent(&port);
}
