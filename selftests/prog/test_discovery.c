// SPDX-License-Identifier: Apache-2.0
/* Neighbour discovery (RFC 4861), which a VM gets answered where it asks. */
#include <string.h>

#include "prog.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT });
}

TestSuite(discovery, .init = load);

#define ROUTER 0x80000000u
#define SOLICITED 0x40000000u
#define OVERRIDE 0x20000000u

static void begin_known(const char *name)
{
	struct dove_translation t = allow_to(&vm2);

	begin(name);
	cache_put(&vm2, &t);
}

static struct nd_fields solicitation(void)
{
	struct dove_ip target = ip6_of(vm2.ip);

	return solicitation_for(&target);
}

static struct run ask(const struct nd_fields *n)
{
	struct frame f = frame_nd(n);

	return run_port(&f);
}

/* RFC 4861, 7.2.4; the target's link-layer address is in an option of its own. */
static void expect_advertised(const struct run *r, const struct nd_fields *asked, const uint8_t *mac,
			      uint32_t flags)
{
	struct nd_fields answer = { .src = asked->target,
				    .dst = asked->src,
				    .target = asked->target,
				    .type = 136,
				    .hop_limit = 255,
				    .flags = flags,
				    .option = 2 };
	struct frame want;

	if (!(flags & SOLICITED))
		answer.dst = ip6_text("ff02::1");
	memcpy(answer.dmac, vm1.mac, 6);
	memcpy(answer.smac, mac, 6);
	memcpy(answer.option_mac, mac, 6);
	want = frame_nd(&answer);
	expect_sent(r, DOVE_ND_ANSWERED);
	expect_bytes(&r->out, &want);
}

Test(discovery, R11_answered_in_place_byte_by_byte)
{
	struct nd_fields n = solicitation();
	struct run r;

	begin_known("to the solicited-node address");
	r = ask(&n);
	expect_advertised(&r, &n, vm2.mac, SOLICITED | OVERRIDE);

	begin_known("unicast, to keep an entry alive, without an option");
	n.dst = n.target;
	n.option = 0;
	memcpy(n.dmac, vm2.mac, 6);
	r = ask(&n);
	expect_advertised(&r, &n, vm2.mac, SOLICITED | OVERRIDE);

	begin_known("an option that is not the link-layer address: a nonce (RFC 3971)");
	n.option = 14;
	memset(n.option_mac, 0x5a, 6);
	r = ask(&n);
	expect_advertised(&r, &n, vm2.mac, SOLICITED | OVERRIDE);
}

/* RFC 4862, 5.4: who is about to use an address asks from none, and all nodes get the answer. */
Test(discovery, R6_an_address_that_somebody_has_is_found_to_be_a_duplicate)
{
	struct nd_fields n = solicitation();
	struct run r;

	begin_known("from ::");
	n.src = ip6_text("::");
	n.option = 0;
	r = ask(&n);
	expect_advertised(&r, &n, vm2.mac, OVERRIDE);
}

/* It gave itself the address, which nobody else is told of: only the answer goes there. */
Test(discovery, R11_a_link_local_address_that_nobody_knows_may_ask)
{
	struct nd_fields n = solicitation();
	struct run r;

	begin_known("from a link-local address");
	n.src = ip6_text("fe80::1234");
	r = ask(&n);
	expect_advertised(&r, &n, vm2.mac, SOLICITED | OVERRIDE);

	begin_known("the last of them");
	n.src = ip6_text("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
	r = ask(&n);
	expect_advertised(&r, &n, vm2.mac, SOLICITED | OVERRIDE);

	begin_known("past the last of them");
	n.src = ip6_text("fec0::1");
	r = ask(&n);
	expect_dropped(&r, DOVE_SPOOFED_IP);
}

Test(discovery, R11_answered_whatever_the_policy_says)
{
	static const enum dove_verdict verdicts[] = { DOVE_VERDICT_DENY, DOVE_VERDICT_NO_PLACE,
						      DOVE_VERDICT_NO_SERVICE, DOVE_VERDICT_REJECT };

	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		struct dove_translation t = answer_to(&vm2, verdicts[i]);
		struct nd_fields n = solicitation();
		struct run r;

		begin(case_text("verdict %u", verdicts[i]));
		answer_put(&vm2, &t);
		r = ask(&n);
		expect_advertised(&r, &n, vm2.mac, SOLICITED | OVERRIDE);
	}
}

/* The gateway is a router that every host is itself; no policy says so, only the network's revision. */
Test(discovery, R3_the_gateway_is_a_router)
{
	struct dove_translation t = answer_to(&gateway, DOVE_VERDICT_GATEWAY);
	struct dove_ip target = ip6_of(gateway.ip);
	struct nd_fields n = solicitation_for(&target);
	struct run r;

	begin("current");
	answer_put(&gateway, &t);
	r = ask(&n);
	expect_advertised(&r, &n, gateway.mac, ROUTER | SOLICITED | OVERRIDE);

	begin("the network has moved on");
	answer_put(&gateway, &t);
	network_put(BLUE, REVISION + 1, 1);
	r = ask(&n);
	expect_held(&r, DOVE_HELD_MISS);
}

Test(discovery, R11_asks_the_service_where_nothing_is_known)
{
	struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_NO_ENDPOINT);
	struct dove_cache_key key = pair_key_in(V6, &vm2);
	struct nd_fields n = solicitation();
	const struct dove_held *held;
	struct run r;

	begin("miss");
	r = ask(&n);
	held = expect_held(&r, DOVE_HELD_MISS);
	key.exact = 1;
	check(!memcmp(&held->key, &key, sizeof(key)), "the record's key is not the pair's");
	check(held->vnid == BLUE && held->ifindex == PORT, "network %x, port %u", held->vnid, held->ifindex);

	begin("from ::, the port says who asks");
	n.src = ip6_text("::");
	n.option = 0;
	r = ask(&n);
	check(expect_held(&r, DOVE_HELD_MISS)->key.source == vm1.endpoint, "not VM 1");

	begin("nobody has it");
	answer_put(&vm2, &t);
	r = ask(&n);
	expect_dropped(&r, DOVE_NO_ENDPOINT);

	begin("nobody had it, but the network has moved on");
	answer_put(&vm2, &t);
	network_put(BLUE, REVISION + 1, 1);
	r = ask(&n);
	expect_held(&r, DOVE_HELD_MISS);
}

/* A VM makes sure that nobody else has its address: an answer would take it away from it. */
Test(discovery, R6_probe_for_the_own_address_gets_silence)
{
	struct dove_translation t = allow_to(&vm1);
	struct dove_ip target = ip6_of(vm1.ip);
	struct nd_fields n = solicitation_for(&target);
	struct run r;

	begin("from ::");
	cache_put(&vm1, &t);
	n.src = ip6_text("::");
	n.option = 0;
	r = ask(&n);
	expect_dropped(&r, DOVE_ARP_UNASKED);

	begin("from itself");
	cache_put(&vm1, &t);
	n.src = target;
	r = ask(&n);
	expect_dropped(&r, DOVE_ARP_UNASKED);
}

Test(discovery, R6_wrong_or_unasked)
{
	static const struct {
		const char *name;
		size_t at;
		uint8_t value;
		enum dove_reason reason;
	} cases[] = {
		{ "hop limit 254: from beyond a router", 14 + 7, 254, DOVE_ND_MALFORMED },
		{ "hop limit 0", 14 + 7, 0, DOVE_ND_MALFORMED },
		{ "code 1", 54 + 1, 1, DOVE_ND_MALFORMED },
		{ "multicast target", 54 + 8, 0xff, DOVE_ND_MALFORMED },
		{ "link-layer address of another", 54 + 24 + 2 + 5, 0x77, DOVE_SPOOFED_MAC },
		{ "source is VM 2", 14 + 8 + 15, 12, DOVE_SPOOFED_IP },
		{ "router advertisement", 54, 134, DOVE_ROUTER_CLAIM },
		{ "redirect", 54, 137, DOVE_ROUTER_CLAIM },
		{ "advertisement", 54, 136, DOVE_ARP_UNASKED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct nd_fields n = solicitation();
		struct frame f = frame_nd(&n);
		struct run r;

		begin_known(cases[i].name);
		f.b[cases[i].at] = cases[i].value;
		r = run_port(&f);
		expect_dropped(&r, cases[i].reason);
	}
}

/* Targets that would be taken for something else in the maps. */
Test(discovery, R6_targets_that_mean_something_else)
{
	static const char *const targets[] = { "::ffff:10.1.0.12", "100::1f41" };

	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		struct nd_fields n = solicitation();
		struct run r;

		begin_known(targets[i]);
		n.target = ip6_text(targets[i]);
		r = ask(&n);
		expect_dropped(&r, DOVE_ND_MALFORMED);
	}
}

/* From the underlay's side and by whatever address: what a router says comes from no VM. */
Test(discovery, R6_no_vm_is_a_router)
{
	static const char *const groups[] = { "ff02::1", "ff02::2", "2001:db8::a01:c" };
	static const uint8_t types[] = { 134, 137 };

	for (size_t i = 0; i < ARRAY_SIZE(groups) * 2; i++) {
		struct nd_fields n = solicitation();
		struct run r;

		begin_known(case_text("type %u to %s", types[i % 2], groups[i / 2]));
		n.src = ip6_text("fe80::1");
		n.dst = ip6_text(groups[i / 2]);
		n.type = types[i % 2];
		r = ask(&n);
		expect_dropped(&r, DOVE_ROUTER_CLAIM);
	}
}

/*
 * Hidden behind extension headers it is what it is; in fragments, too: one
 * whose first part ends before the ICMP header says nothing (RFC 7113, 2).
 */
Test(discovery, R6_no_vm_is_a_router_behind_extension_headers_either)
{
	static const struct {
		const char *name;
		struct extension_field extension;
		uint16_t frag_off;
	} cases[] = {
		{ "hop-by-hop", { 0, 0 }, 0 },
		{ "destination options", { 60, 1 }, 0 },
		{ "routing", { 43, 0 }, 0 },
		{ "atomic fragment", { 44, 0 }, 0 },
		{ "first fragment", { 44, 0 }, MORE_FRAGMENTS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vm_frame v = udp_in(V6, &vm2);
		struct run r;

		begin_known(cases[i].name);
		v.proto = 58;
		v.icmp = 134 << 8;
		v.extension[0] = cases[i].extension;
		v.n_extensions = 1;
		v.frag_off = cases[i].frag_off;
		r = run_vm(&v);
		expect_dropped(&r, DOVE_ROUTER_CLAIM);
	}
}

Test(discovery, R6_a_first_fragment_without_its_icmp_header_says_nothing)
{
	for (uint32_t missing = 1; missing <= 8; missing++) {
		struct vm_frame v = udp_in(V6, &vm2);
		struct frame f;
		struct run r;

		begin_known(case_text("%u of 8 bytes are missing", missing));
		v.proto = 58;
		v.icmp = 134 << 8;
		v.extension[0].type = 44;
		v.extension[1].type = 60;
		v.n_extensions = 2;
		v.frag_off = MORE_FRAGMENTS;
		v.payload = 0;
		f = frame_vm(&v);
		f.len -= missing;
		frame_put(&f, 18, 2, f.len - 54);
		r = run_port(&f);
		expect_dropped(&r, DOVE_TRUNCATED);
	}
}

/* What is behind the target is an option, of which a part is none. */
Test(discovery, R6_truncated_at_every_length)
{
	struct nd_fields n = solicitation();
	struct frame whole = frame_nd(&n);

	for (uint32_t len = 54 + 1; len <= whole.len; len++) {
		struct frame f = whole;
		struct run r;

		begin_known(case_text("%u of %u bytes", len, whole.len));
		f.len = len;
		frame_put(&f, 18, 2, len - 54);
		r = run_port(&f);
		if (len >= whole.len - 8)
			expect_sent(&r, DOVE_ND_ANSWERED);
		else
			expect_dropped(&r, len < 62 ? DOVE_TRUNCATED : DOVE_ND_MALFORMED);
	}
}
