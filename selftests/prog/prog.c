// SPDX-License-Identifier: Apache-2.0
#include "prog.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct dove *dove;

/* ---- ring buffers: what came up, in order ---- */

#define RECORDS 4096

static struct ring_buffer *rings;
static void *held[RECORDS];
static struct dove_event events[RECORDS];
static unsigned n_held, next_held, n_events, next_event;

static int on_packet(void *ctx, void *data, size_t len)
{
	if (n_held == RECORDS)
		return -ENOSPC;
	held[n_held] = malloc(len);
	memcpy(held[n_held++], data, len);
	return 0;
}

static int on_event(void *ctx, void *data, size_t len)
{
	if (n_events == RECORDS)
		return -ENOSPC;
	memcpy(&events[n_events++], data, sizeof(events[0]));
	return 0;
}

static void rings_open(void)
{
	rings = ring_buffer__new(bpf_map__fd(dove->maps.dove_packets), on_packet, NULL, NULL);
	cr_assert(rings && !ring_buffer__add(rings, bpf_map__fd(dove->maps.dove_events), on_event, NULL));
}

void rings_clear(void)
{
	ring_buffer__consume(rings);
	while (n_held)
		free(held[--n_held]);
	next_held = n_events = next_event = 0;
}

const struct dove_held *take_packet(void)
{
	ring_buffer__consume(rings);
	return next_held < n_held ? held[next_held++] : NULL;
}

bool take_event(struct dove_event *out)
{
	ring_buffer__consume(rings);
	if (next_event == n_events)
		return false;
	*out = events[next_event++];
	return true;
}

/* ---- loading ---- */

static int say(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

/* Criterion tells of a skipped test only when it is verbose. */
void skip(const char *why)
{
	fprintf(stderr, "SKIP: %s\n", why);
	cr_skip_test("%s", why);
}

/* Loading asks for more than this probe does, but whoever may not do this may not load either. */
static void skip_unless_allowed(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	int fd;

	if (unshare(CLONE_NEWNET))
		skip("no network namespace of our own may be made");
	libbpf_set_print(quiet);
	fd = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "probe", 4, 4, 256, &opts);
	if (fd < 0)
		skip("BPF may not be loaded");
	close(fd);
	libbpf_set_print(say);
}

static void choose_programs(unsigned wanted)
{
	const struct {
		struct bpf_program *prog;
		enum prog_bits bit;
	} all[] = {
		{ dove->progs.dove_port, PROG_PORT },
		{ dove->progs.dove_nic_egress, PROG_NIC_EGRESS },
		{ dove->progs.dove_nic_ingress, PROG_NIC_INGRESS },
		{ dove->progs.dove_xdp, PROG_XDP },
		{ dove->progs.dove_tunnel, PROG_TUNNEL },
		{ dove->progs.dove_door, PROG_DOOR },
		{ dove->progs.dove_trace, PROG_TRACE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		bpf_program__set_autoload(all[i].prog, wanted & all[i].bit);
}

void prog_load(struct prog_config config)
{
	struct bpf_map *map;

	skip_unless_allowed();
	dove = dove__open();
	cr_assert(dove, "opening the data path: %s", strerror(errno));
	dove->rodata->cfg_origin_check = !config.no_origin_check;
	dove->rodata->cfg_refuse_stale = config.refuse_stale;
	dove->rodata->cfg_refused = config.refused;
	dove->rodata->cfg_tunnel_vxlan = config.tunnel_vxlan;
	dove->rodata->cfg_outer_dscp = config.outer_dscp - 1;
	if (config.door) {
		door = tap_open_vnet("door");
		dove->rodata->cfg_door = door.ifindex;
	}
	choose_programs(config.programs);
	bpf_object__for_each_map (map, dove->obj)
		if (bpf_map__max_entries(map) > 4096 && bpf_map__type(map) != BPF_MAP_TYPE_RINGBUF)
			bpf_map__set_max_entries(map, 4096);
	cr_assert(!dove__load(dove), "loading the data path: %s", strerror(errno));
	rings_open();
}

/* ---- running ---- */

/* Which programs look up where a packet goes. */
static bool sends(const struct bpf_program *prog)
{
	return prog == dove->progs.dove_port || prog == dove->progs.dove_nic_egress ||
	       prog == dove->progs.dove_door;
}

static struct run run(struct bpf_program *prog, const struct frame *f, struct __sk_buff *ctx)
{
	struct run r = { .in = *f, .sends = sends(prog) };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = r.in.b, .data_size_in = f->len, .data_out = r.out.b,
		    .data_size_out = sizeof(r.out.b), .repeat = 1);
	int rc;

	if (ctx) {
		opts.ctx_in = opts.ctx_out = ctx;
		opts.ctx_size_in = opts.ctx_size_out = sizeof(*ctx);
	}
	rc = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);
	cr_assert(!rc, "%s: TEST_RUN of %u bytes: %s", case_name(), f->len, strerror(errno));
	r.action = opts.retval;
	r.out.len = opts.data_size_out;
	r.mark = ctx ? ctx->mark : 0;
	return r;
}

struct run run_skb(struct bpf_program *prog, const struct frame *f, const struct __sk_buff *ctx)
{
	struct __sk_buff both = ctx ? *ctx : (struct __sk_buff){ .ingress_ifindex = PORT };

	return run(prog, f, &both);
}

struct run run_xdp(const struct frame *f)
{
	return run(dove->progs.dove_xdp, f, NULL);
}

struct run run_xdp_in_pieces(const struct frame *f, uint32_t linear)
{
	struct run r = { .in = *f };
	struct xdp_md ctx = { .data_end = linear };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = r.in.b, .data_size_in = f->len, .data_out = r.out.b,
		    .data_size_out = sizeof(r.out.b), .repeat = 1, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx));

	if (bpf_prog_test_run_opts(bpf_program__fd(dove->progs.dove_xdp), &opts))
		skip("no XDP frames in pieces in this kernel's TEST_RUN");
	r.action = opts.retval;
	r.out.len = opts.data_size_out;
	return r;
}

struct run run_port_at(uint32_t ifindex, const struct frame *f)
{
	struct __sk_buff ctx = { .ifindex = ifindex, .ingress_ifindex = ifindex };

	return run(dove->progs.dove_port, f, &ctx);
}

struct run run_port(const struct frame *f)
{
	return run_port_at(PORT, f);
}

struct run run_vm(const struct vm_frame *v)
{
	struct frame f = frame_vm(v);

	return run_port(&f);
}
