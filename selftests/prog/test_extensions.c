// SPDX-License-Identifier: Apache-2.0
/* IPv6 extension headers (RFC 8200, 4): what stands behind them decides, on the way out and on the way in. */
#include <string.h>

#include "ingress.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT | PROG_NIC_INGRESS | PROG_XDP });
}

TestSuite(extensions, .init = load, .timeout = 120);

enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, AUTHENTICATION = 51, NOTHING = 59, OPTIONS = 60 };

struct chain {
	const char *name;
	uint32_t n;
	struct extension_field of[EXTENSIONS];
	uint8_t proto; /* 0: UDP */
	bool refused;
};

/* At most four headers, and at most 128 bytes of them. */
static const struct chain chains[] = {
	{ "none", 0, {}, 0, false },
	{ "hop-by-hop", 1, { { HOP_BY_HOP, 0 } }, 0, false },
	{ "routing", 1, { { ROUTING, 2 } }, 0, false },
	{ "destination options", 1, { { OPTIONS, 1 } }, 0, false },
	{ "atomic fragment", 1, { { FRAGMENT, 0 } }, 0, false },
	{ "one of each",
	  4,
	  { { HOP_BY_HOP, 0 }, { ROUTING, 0 }, { FRAGMENT, 0 }, { OPTIONS, 0 } },
	  0,
	  false },
	{ "TCP behind two", 2, { { HOP_BY_HOP, 1 }, { OPTIONS, 3 } }, 6, false },
	{ "ICMPv6 behind two", 2, { { HOP_BY_HOP, 1 }, { OPTIONS, 3 } }, 58, false },
	{ "no ports behind one", 1, { { OPTIONS, 0 } }, 47, false },
	{ "an authentication header is none to us", 1, { { OPTIONS, 0 } }, AUTHENTICATION, false },
	{ "nothing behind it", 1, { { OPTIONS, 0 } }, NOTHING, false },
	{ "as long as they may be", 1, { { OPTIONS, 15 } }, 0, false },
	{ "two, as long as they may be", 2, { { HOP_BY_HOP, 8 }, { OPTIONS, 6 } }, 0, false },
	{ "one too long", 1, { { OPTIONS, 16 } }, 0, true },
	{ "two too long", 2, { { HOP_BY_HOP, 8 }, { OPTIONS, 7 } }, 0, true },
	{ "four too long",
	  4,
	  { { HOP_BY_HOP, 3 }, { ROUTING, 3 }, { ROUTING, 3 }, { OPTIONS, 4 } },
	  0,
	  true },
	{ "a fragment behind long ones", 2, { { OPTIONS, 15 }, { FRAGMENT, 0 } }, 0, true },
	{ "as long as can be", 1, { { OPTIONS, 255 } }, 0, true },
	{ "five",
	  5,
	  { { HOP_BY_HOP, 0 }, { OPTIONS, 0 }, { ROUTING, 0 }, { FRAGMENT, 0 }, { OPTIONS, 0 } },
	  0,
	  true },
};

static struct vm_frame with_chain(const struct vm *from, const struct vm *to, const struct chain *c)
{
	struct vm_frame v = udp_between(V6, from, to);

	memcpy(v.extension, c->of, sizeof(v.extension));
	v.n_extensions = c->n;
	v.proto = c->proto ? c->proto : 17;
	return v;
}

static bool has_ports(uint8_t proto)
{
	return proto == 6 || proto == 17;
}

/* What a miss says of the packet is what the parser made of it. */
Test(extensions, R9_ports_are_found_behind_them)
{
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		struct vm_frame v = with_chain(&vm1, &vm2, &chains[i]);
		struct dove_cache_key key = { .dst = v.dst,
					      .source = vm1.endpoint,
					      .from_port = has_ports(v.proto) ? 4000 : 0,
					      .to_port = has_ports(v.proto) ? 53 : 0,
					      .proto = v.proto,
					      .exact = 1 };
		const struct dove_held *held;
		struct run r;

		begin(chains[i].name);
		r = run_vm(&v);
		if (chains[i].refused) {
			expect_dropped(&r, DOVE_MALFORMED);
			continue;
		}
		held = expect_held(&r, DOVE_HELD_MISS);
		check(!memcmp(&held->key, &key, sizeof(key)), "protocol %u, ports %u and %u", held->key.proto,
		      held->key.from_port, held->key.to_port);
	}
}

Test(extensions, R13_they_travel_along)
{
	for (size_t i = 0; i < ARRAY_SIZE(chains) * FAMILIES; i++) {
		const struct chain *c = &chains[i / FAMILIES];
		enum family outer = i % FAMILIES;
		struct vm_frame v = with_chain(&vm1, &vm2, c);
		struct dove_translation t = allow_to(&vm2);
		struct frame want;
		struct run r;

		if (c->refused)
			continue;
		begin(case_text("%s in IPv%u", c->name, outer ? 6 : 4));
		t.host = ip_in(outer, HOST2);
		cache_put(&vm2, &t);
		r = run_vm(&v);
		expect_sent(&r, DOVE_ENCAPSULATED);
		want = on_the_wire(outer, &r.in, &r.out);
		expect_bytes(&r.out, &want);
	}
}

Test(extensions, R14_they_arrive)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		for (size_t i = 0; w.inner == V6 && i < ARRAY_SIZE(chains); i++) {
			struct vm_frame v = with_chain(&vm2, &vm3, &chains[i]);
			struct frame inner = frame_vm(&v), f = wrap(w.outer, &inner);
			struct run r;

			begin_way(&w, chains[i].name);
			r = arrive(w.hook, &f);
			if (chains[i].refused)
				expect_refused(w.hook, &r, DOVE_MALFORMED);
			else
				expect_accepted(w.hook, &r, &inner);
			expect_quiet();
		}
	}
}

/* ---- cut off ---- */

/* Headers up to what must be there of the protocol behind them. */
static uint32_t least(const struct vm_frame *v)
{
	return l4_at(v) + (has_ports(v->proto) ? 4 : v->proto == 58 ? 8 : 0);
}

/* The packet ends at `len`: the frame, too, or it goes on with bytes that Ethernet put there. */
static struct frame cut_at(const struct frame *whole, uint32_t len, bool padded)
{
	struct frame f = *whole;

	frame_put(&f, 18, 2, len - 54);
	f.len = padded ? whole->len : len;
	return f;
}

Test(extensions, R6_cut_off_at_every_byte_by_the_vm)
{
	for (size_t i = 0; i < ARRAY_SIZE(chains) * 2; i++) {
		const struct chain *c = &chains[i / 2];
		struct vm_frame v = with_chain(&vm1, &vm2, c);
		struct dove_translation t = allow_to(&vm2);
		struct frame whole = frame_vm(&v);

		for (uint32_t len = 54 + 1; !c->refused && len <= whole.len; len++) {
			struct frame f = cut_at(&whole, len, i % 2);
			struct run r;

			begin(case_text("%s: %u of %u bytes%s", c->name, len, whole.len,
					i % 2 ? ", padded" : ""));
			cache_put(&vm2, &t);
			r = run_port(&f);
			if (len >= least(&v))
				expect_sent(&r, DOVE_ENCAPSULATED);
			else
				expect_dropped(&r, DOVE_TRUNCATED);
		}
	}
}

static void expect_cut(const struct way *w, const struct chain *c)
{
	struct vm_frame v = with_chain(&vm2, &vm3, c);
	struct frame whole = frame_vm(&v);

	for (uint32_t len = 54 + 1; len <= whole.len; len++) {
		struct frame inner = cut_at(&whole, len, false), f = wrap(w->outer, &inner);
		struct run r;

		begin_way(w, case_text("%s: %u of %u bytes", c->name, len, whole.len));
		r = arrive(w->hook, &f);
		if (len >= least(&v))
			expect_accepted(w->hook, &r, &inner);
		else
			expect_refused(w->hook, &r, DOVE_TRUNCATED);
	}
}

Test(extensions, R14_cut_off_at_every_byte_on_the_way)
{
	static const size_t some[] = { 5, 7, 12 }; /* of chains */

	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w))
		for (size_t i = 0; w.inner == V6 && i < ARRAY_SIZE(some); i++)
			expect_cut(&w, &chains[some[i]]);
}

/* ---- where the kernel keeps only the beginning of a frame in one piece ---- */

#define IN_PIECES 4100 /* payload: what is shorter than a page comes in one */

static struct vm_frame long_frame(enum family family, const struct vm *from, const struct vm *to)
{
	struct vm_frame v = udp_between(family, from, to);

	if (family == V6)
		v = with_chain(from, to, &chains[12]);
	else
		v.option_words = 10;
	v.payload = IN_PIECES;
	return v;
}

Test(extensions, R13_headers_that_lie_in_pieces_are_found)
{
	struct dove_translation t = allow_to(&vm2);
	struct tap tap;

	begin("a tap");
	tap = tap_open_vnet("pieces");
	tap_attach(&tap, dove->progs.dove_port);
	for (uint32_t i = 14 * FAMILIES; i < 250 * FAMILIES; i++) {
		struct vm_frame v = long_frame(i % FAMILIES, &vm1, &vm2);
		struct frame f = frame_vm(&v);

		begin(case_text("IPv%u, %u bytes in the first piece", i % FAMILIES ? 6 : 4, i / FAMILIES));
		port_put(tap.ifindex, &vm1, DOVE_PORT_VM);
		host2_put(1, 9000);
		cache_put(&vm2, &t);
		tap_write_in_pieces(&tap, &f, i / FAMILIES);
		check(counted(DOVE_ENCAPSULATED) == 1, "not encapsulated");
	}
}

Test(extensions, R14_headers_that_arrive_in_pieces_are_found)
{
	struct tap tap;

	begin("a tap");
	tap = tap_open_vnet("pieces");
	tap_attach(&tap, dove->progs.dove_nic_ingress);
	for (struct way w = {}; w.hook == AT_TC; way_next(&w)) {
		struct vm_frame v = long_frame(w.inner, &vm2, &vm3);
		struct frame inner = frame_vm(&v), f = wrap(w.outer, &inner);

		for (uint32_t linear = 14; linear < 340; linear++) {
			begin_way(&w, case_text("%u bytes in the first piece", linear));
			tap_write_in_pieces(&tap, &f, linear);
			check(counted(DOVE_DELIVERED) == 1, "not delivered");
		}
	}
}

/* XDP can't put pieces together, and so leaves the frame to TC. */
Test(extensions, R14_headers_in_pieces_pass_xdp)
{
	for (struct way w = { .hook = AT_XDP }; w.hook < AT_COUNT; way_next(&w)) {
		struct vm_frame v = long_frame(w.inner, &vm2, &vm3);
		struct frame inner, f;

		v.payload = 500;
		inner = frame_vm(&v);
		f = wrap(w.outer, &inner);
		for (uint32_t linear = 14; linear < 340; linear++) {
			struct run r;

			begin_way(&w, case_text("%u bytes in the first piece", linear));
			r = run_xdp_in_pieces(&f, linear);
			if (linear < outer_len(w.outer) + l4_at(&v) + 4)
				expect_untouched_by_xdp(&r);
			else
				expect_accepted(AT_XDP, &r, &inner);
		}
	}
}
