// SPDX-License-Identifier: Apache-2.0
/* dove_port: what becomes of a VM's frame at its own interface. */
#include <string.h>

#include "prog.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT });
}

TestSuite(egress, .init = load);

/* VM 1's frame as it must be on the wire; the source port is the program's to choose, from a range. */
static struct frame on_the_wire(const struct run *r, const struct dove_translation *t)
{
	struct outer_frame o = { .src = HOST1,
				 .dst = HOST2,
				 .source_port = frame_get(&r->out, OUTER_AT(udp.source), 2),
				 .vnid = t->vnid,
				 .policy = t->policy,
				 .sequence = (uint32_t)t->revision,
				 .source = vm1.endpoint,
				 .source_vnid = BLUE };
	struct frame inner = r->in;

	check(o.source_port >= 0xc000, "source port %u is not dynamic", o.source_port);
	memcpy(o.dmac, hop_mac, 6);
	memcpy(o.smac, nic_mac, 6);
	memcpy(inner.b, t->mac, 6);
	return frame_encapsulated(&o, &inner);
}

Test(egress, R13_hit_is_encapsulated_byte_by_byte)
{
	const struct {
		const char *name;
		uint8_t proto, option_words;
		uint32_t payload;
	} cases[] = { { "UDP", 17, 0, 40 },    { "TCP", 6, 0, 1390 }, { "ICMP", 1, 0, 56 },
		      { "GRE, no ports", 47, 0, 4 }, { "UDP, empty", 17, 0, 0 }, { "UDP, IP options", 17, 10, 9 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vm_frame v = udp_to(&vm2);
		struct dove_translation t = allow_to(&vm2);
		struct frame f, want;
		struct run r;

		begin(cases[i].name);
		v.proto = cases[i].proto;
		v.payload = cases[i].payload;
		v.option_words = cases[i].option_words;
		memset(v.dmac, 0x0e, 6); /* what the VM believes its neighbour's MAC to be is of no weight */
		cache_put(&vm2, &t);
		f = frame_vm(&v);
		r = run_port(&f);
		expect_end(&r, TC_ACT_REDIRECT, DOVE_ENCAPSULATED);
		expect_counter(DOVE_COUNT_HITS, 1);
		expect_counter(DOVE_COUNT_MISSES, 0);
		want = on_the_wire(&r, &t);
		expect_bytes(&r.out, &want);
		expect_quiet();
	}
}
