// SPDX-License-Identifier: Apache-2.0
/* What the programs remember of the agent's rows: nothing that is not so any more. */
#include <bpf/libbpf.h>

#include "ingress.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT | PROG_NIC_INGRESS | PROG_XDP });
}

TestSuite(rows, .init = load);

enum taken { NO_PORT, NO_ADDR, NO_HOST, TAKEN };

static struct bpf_map *map_of(enum taken what)
{
	struct bpf_map *const maps[TAKEN] = { [NO_PORT] = dove->maps.dove_ports,
					      [NO_ADDR] = dove->maps.dove_addrs,
					      [NO_HOST] = dove->maps.dove_hosts };

	return maps[what];
}

static const void *key_of(enum taken what)
{
	static uint32_t port = PORT;
	static struct dove_addr_key addr = { .vnid = BLUE, .ifindex = PORT };
	static struct dove_ip host;
	const void *const keys[TAKEN] = { [NO_PORT] = &port, [NO_ADDR] = &addr, [NO_HOST] = &host };

	addr.addr = ip_of(vm1.ip);
	host = ip_of(HOST2);
	return keys[what];
}

/* As map_del(), but nobody is told. */
static void take(enum taken what)
{
	struct bpf_map *map = map_of(what);

	check(!bpf_map__delete_elem(map, key_of(what), bpf_map__key_size(map), 0), "no row to take");
}

static void expect_without(enum taken what, const struct vm_frame *v)
{
	struct run r = run_vm(v);

	if (what == NO_HOST)
		expect_held(&r, DOVE_HELD_NEXT_HOP);
	else
		expect_dropped(&r, what == NO_PORT ? DOVE_NO_PORT : DOVE_SPOOFED_IP);
}

/* While the agent writes, and when it has written; what was read in between is forgotten with it. */
Test(rows, R15_a_row_that_is_gone_is_gone_at_once)
{
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = udp_to(&vm2);

	for (enum taken what = 0; what < TAKEN; what++) {
		struct run r;

		begin("there");
		cache_put(&vm2, &t);
		r = run_vm(&v);
		expect_sent(&r, DOVE_ENCAPSULATED);

		begin("while it is written");
		cache_put(&vm2, &t);
		run_vm(&v);
		counters_clear();
		version_put(0);
		take(what);
		expect_without(what, &v);

		begin("written, and read meanwhile");
		cache_put(&vm2, &t);
		version_put(0);
		run_vm(&v);
		take(what);
		version_put(now_ns());
		counters_clear();
		expect_without(what, &v);
	}
}

Test(rows, R15_so_is_one_who_was_here)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct dove_place_key key = { .addr = ip_in(w.inner, vm3.ip), .vnid = BLUE };
		struct frame inner = the_inner(w.inner), f = wrap(w.outer, &inner);
		struct run r;

		begin_way(&w, "there");
		r = arrive(w.hook, &f);
		expect_accepted(w.hook, &r, &inner);

		begin_way(&w, "while it is written");
		arrive(w.hook, &f);
		counters_clear();
		version_put(0);
		bpf_map__delete_elem(dove->maps.dove_local, &key, sizeof(key), 0);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_UNKNOWN_ENDPOINT);

		begin_way(&w, "written");
		arrive(w.hook, &f);
		counters_clear();
		local_del(BLUE, &vm3);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_UNKNOWN_ENDPOINT);
	}
}
