// SPDX-License-Identifier: Apache-2.0
/* Fragments at egress: later ones have no ports, and are held to those of their first. */
#include <bpf/libbpf.h>
#include <string.h>

#include "flows.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT });
}

TestSuite(fragments, .init = load);

enum { FIRST = MORE_FRAGMENTS, SECOND_PART = MORE_FRAGMENTS | 100, LAST = 200 };

static struct run send_part(const struct vm_frame *v, uint16_t frag_off)
{
	struct vm_frame part = *v;

	part.frag_off = frag_off;
	counters_clear();
	return run_vm(&part);
}

/* Another address of VM 1's. */
static struct dove_ip second_address(enum family f)
{
	static const struct vm second = { 0x0a010063, 101, { 0x02, 0, 0, 0, 1, 1 } };

	port_put(PORT, &second, DOVE_PORT_VM);
	return ip_in(f, second.ip);
}

static struct vm_frame fragmented(enum family f, uint8_t proto, uint16_t to_port)
{
	struct vm_frame v = udp_in(f, &vm2);

	v.proto = proto;
	v.to_port = to_port;
	v.id = 0x4711;
	return v;
}

/* To port 53 UDP and TCP are denied, to port 80 rejected, all else is allowed. */
static void begin_by_port(const char *name)
{
	struct dove_translation t = allow_to(&vm2);

	t.scope = DOVE_SCOPE_TO_PORT;
	t.n_rules = 3;
	t.rules[0] = (struct dove_rule){ POLICY, 0, 0xffff, 53, 53, 0, DOVE_VERDICT_DENY, 0, 0, 0 };
	t.rules[1] = (struct dove_rule){ POLICY, 0, 0xffff, 80, 80, 0, DOVE_VERDICT_REJECT, 0, 0, 0 };
	t.rules[2] = (struct dove_rule){ POLICY, 0, 0xffff, 0, 0xffff, 0, DOVE_VERDICT_ALLOW, 0, 0, 0 };
	begin(name);
	cache_put(&vm2, &t);
}

/* ---- where ports decide ---- */

Test(fragments, R9_later_ones_follow_their_first)
{
	static const uint8_t protos[] = { 17, 6 };

	for (size_t i = 0; i < ARRAY_SIZE(protos) * FAMILIES; i++) {
		struct vm_frame v = fragmented(i % FAMILIES, protos[i / FAMILIES], 54);
		struct run r;

		begin_by_port(case_text("IPv%zu, protocol %u, allowed", i % FAMILIES ? 6 : 4ul, v.proto));
		r = send_part(&v, FIRST);
		expect_sent(&r, DOVE_ENCAPSULATED);
		r = send_part(&v, SECOND_PART);
		expect_sent(&r, DOVE_ENCAPSULATED);
		r = send_part(&v, LAST);
		expect_sent(&r, DOVE_ENCAPSULATED);

		begin_by_port(case_text("IPv%zu, protocol %u, denied", i % FAMILIES ? 6 : 4ul, v.proto));
		v.to_port = 53;
		r = send_part(&v, FIRST);
		expect_dropped(&r, DOVE_DENIED);
		r = send_part(&v, LAST);
		expect_dropped_again(&r, DOVE_DENIED);
	}
}

Test(fragments, R9_a_later_one_whose_first_was_not_seen_ends)
{
	static const char *const fields[] = { "no first at all", "another id", "another protocol",
					      "another source", "another destination" };

	for (size_t i = 0; i < ARRAY_SIZE(fields) * FAMILIES; i++) {
		enum family f = i % FAMILIES;
		struct vm_frame v = fragmented(f, 17, 54), first = v;
		struct run r;

		begin_by_port(case_text("IPv%u: %s", f ? 6 : 4, fields[i / FAMILIES]));
		first.id ^= i / FAMILIES == 1;
		if (i / FAMILIES == 2)
			first.proto = 6;
		if (i / FAMILIES == 3)
			first.src = second_address(f);
		if (i / FAMILIES == 4)
			first.dst.b[15]++;
		if (i / FAMILIES)
			send_part(&first, FIRST);
		rings_clear();
		r = send_part(&v, LAST);
		expect_dropped(&r, DOVE_FRAGMENT);
	}
}

Test(fragments, R9_of_another_vm_too)
{
	struct vm_frame v = fragmented(V4, 17, 54);
	struct dove_fragment_key key = { .src = v.src,
					 .dst = v.dst,
					 .source = vm3.endpoint,
					 .id = __builtin_bswap16(0x4711),
					 .proto = 17 };
	struct dove_fragment first = { .since = now_ns(), .from_port = 4000, .to_port = 54 };
	struct run r;

	begin_by_port("endpoint 103's");
	map_put(dove_fragments, &key, &first);
	r = send_part(&v, LAST);
	expect_dropped(&r, DOVE_FRAGMENT);

	begin_by_port("its own");
	key.source = vm1.endpoint;
	map_put(dove_fragments, &key, &first);
	r = send_part(&v, LAST);
	expect_sent(&r, DOVE_ENCAPSULATED);
}

/* RFC 791: the rest has as long as a receiver waits for it. */
Test(fragments, R9_a_first_is_remembered_for_half_a_minute)
{
	static const int64_t ages[] = { -1, 1 };

	for (size_t i = 0; i < ARRAY_SIZE(ages) * FAMILIES; i++) {
		enum family f = i % FAMILIES;
		struct vm_frame v = fragmented(f, 17, 54);
		struct dove_fragment_key key;
		struct dove_fragment first;
		struct run r;

		begin_by_port(case_text("IPv%u, %s", f ? 6 : 4, ages[i / FAMILIES] < 0 ? "before" : "after"));
		send_part(&v, FIRST);
		check(!bpf_map__get_next_key(dove->maps.dove_fragments, NULL, &key, sizeof(key)) &&
			      map_get(dove_fragments, &key, &first),
		      "not remembered");
		check(first.from_port == 4000 && first.to_port == 54, "ports %u and %u", first.from_port,
		      first.to_port);
		first.since = now_ns() - DOVE_FRAGMENT_NS - ages[i / FAMILIES] * (int64_t)SECOND;
		map_put(dove_fragments, &key, &first);
		r = send_part(&v, LAST);
		if (ages[i / FAMILIES] < 0)
			expect_sent(&r, DOVE_ENCAPSULATED);
		else
			expect_dropped(&r, DOVE_FRAGMENT);
	}
}

/* An exact entry that depends on ports is no less one. */
Test(fragments, R9_exact_entries)
{
	struct dove_translation t = allow_to(&vm2);
	struct vm_frame v = fragmented(V4, 17, 54);
	struct dove_cache_key key = pair_key(&vm2);
	struct run r;

	begin("by port");
	t.scope = DOVE_SCOPE_TO_PORT;
	cache_put(&vm2, &t);
	key.exact = 1;
	key.to_port = 54;
	t.scope = 0;
	map_put(dove_cache, &key, &t);
	r = send_part(&v, LAST);
	expect_dropped(&r, DOVE_FRAGMENT);
	r = send_part(&v, FIRST);
	expect_sent(&r, DOVE_ENCAPSULATED);
	r = send_part(&v, LAST);
	expect_sent(&r, DOVE_ENCAPSULATED);

	begin("by protocol alone");
	key.to_port = 0;
	key.proto = 17;
	map_put(dove_cache, &key, &t);
	t.scope = DOVE_SCOPE_PROTO;
	cache_put(&vm2, &t);
	r = send_part(&v, LAST);
	expect_sent(&r, DOVE_ENCAPSULATED);
}

/* ---- where they don't ---- */

Test(fragments, R9_where_no_port_matters_all_pass)
{
	static const uint16_t parts[] = { FIRST, SECOND_PART, LAST };

	for (size_t i = 0; i < ARRAY_SIZE(parts) * FAMILIES; i++) {
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = fragmented(i % FAMILIES, 17, 53);
		struct frame want;
		struct run r;

		begin(case_text("offset %04x", parts[i / FAMILIES]));
		cache_put(&vm2, &t);
		r = send_part(&v, parts[i / FAMILIES]);
		expect_sent(&r, DOVE_ENCAPSULATED);
		want = on_the_wire(V4, &r.in, &r.out);
		expect_bytes(&r.out, &want);
	}
}

/* A whole packet's source port on the underlay is its flow's; fragments must not be told apart by what not all have. */
Test(fragments, R13_all_of_one_packet_take_one_way)
{
	for (unsigned mix = 0; mix < 4; mix++) {
		enum family inner = mix & 1, outer = mix >> 1;
		struct dove_translation t = allow_to(&vm2);
		struct vm_frame v = fragmented(inner, 17, 53);
		struct run first, last;

		begin(case_text("IPv%u in IPv%u", inner ? 6 : 4, outer ? 6 : 4));
		t.host = ip_in(outer, HOST2);
		cache_put(&vm2, &t);
		first = send_part(&v, FIRST);
		last = send_part(&v, LAST);
		check(outer_to_host2(outer, &first.out).source_port ==
			      outer_to_host2(outer, &last.out).source_port,
		      "two source ports");
	}
}

/* What a miss says of a later fragment is what its first had. */
Test(fragments, R11_a_miss_has_the_ports_of_the_first)
{
	struct vm_frame v = fragmented(V6, 17, 54);
	const struct dove_held *held;
	struct run r;

	begin("miss");
	send_part(&v, FIRST);
	rings_clear();
	r = send_part(&v, LAST);
	held = expect_held(&r, DOVE_HELD_MISS);
	check(held->key.from_port == 4000 && held->key.to_port == 54, "ports %u and %u", held->key.from_port,
	      held->key.to_port);

	begin("first not seen");
	r = send_part(&v, LAST);
	held = expect_held(&r, DOVE_HELD_MISS);
	check(!held->key.from_port && !held->key.to_port, "ports %u and %u", held->key.from_port,
	      held->key.to_port);
}

/* ---- replies ---- */

Test(fragments, R8_later_fragments_of_a_reply_pass_with_their_first)
{
	for (enum family f = V4; f < FAMILIES; f++) {
		struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_DENY);
		struct vm_frame v = fragmented(f, 17, 54);
		struct dove_flow_key key = flow_for(&v);
		struct run r;

		begin(case_text("IPv%u", f ? 6 : 4));
		t.flags = DOVE_RULE_REPLIES;
		answer_put(&vm2, &t);
		flow_put(&key, 0);
		r = send_part(&v, LAST);
		expect_dropped(&r, DOVE_DENIED);
		r = send_part(&v, FIRST);
		expect_sent(&r, DOVE_ENCAPSULATED);
		r = send_part(&v, LAST);
		expect_sent(&r, DOVE_ENCAPSULATED);
	}
}

/* ---- IPv6: what stands before and behind the fragment header ---- */

Test(fragments, R9_behind_other_extension_headers)
{
	struct vm_frame v = fragmented(V6, 17, 53);
	struct run r;

	begin_by_port("hop-by-hop before it");
	v.extension[0].type = 0;
	v.n_extensions = 1;
	r = send_part(&v, FIRST);
	expect_dropped(&r, DOVE_DENIED);
	r = send_part(&v, LAST);
	expect_dropped_again(&r, DOVE_DENIED);
}

/* Whole, for all that it has a fragment header (RFC 6946): it has ports, and nothing of it is remembered. */
Test(fragments, R9_an_atomic_fragment_is_whole)
{
	struct vm_frame v = fragmented(V6, 17, 53);
	struct run r;

	begin_by_port("denied");
	v.extension[0].type = 44;
	v.n_extensions = 1;
	r = send_part(&v, 0);
	expect_dropped(&r, DOVE_DENIED);
	check(!map_count(dove->maps.dove_fragments), "remembered");
}
