// SPDX-License-Identifier: Apache-2.0
/* ARP, which a VM gets answered where it asks. */
#include <string.h>

#include "prog.h"

static void load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT });
}

TestSuite(arp, .init = load);

static void begin_known(const char *name)
{
	struct dove_translation t = allow_to(&vm2);

	begin(name);
	cache_put(&vm2, &t);
}

static void expect_reply(const struct run *r, const struct arp_fields *asked, const uint8_t *mac)
{
	struct arp_fields reply = *asked;
	struct frame want;

	reply.operation = 2;
	memcpy(reply.dmac, vm1.mac, 6);
	memcpy(reply.smac, mac, 6);
	memcpy(reply.sender_mac, mac, 6);
	memcpy(reply.target_mac, vm1.mac, 6);
	reply.sender_ip = asked->target_ip;
	reply.target_ip = asked->sender_ip;
	want = frame_arp(&reply);
	want.len = r->in.len; /* a padded request gets a padded reply */
	expect_sent(r, DOVE_ARP_ANSWERED);
	expect_bytes(&r->out, &want);
}

Test(arp, R11_answered_in_place_byte_by_byte)
{
	struct arp_fields a = arp_for(vm2.ip);
	struct frame f = frame_arp(&a);
	struct run r;

	begin_known("broadcast request");
	r = run_port(&f);
	expect_reply(&r, &a, vm2.mac);

	begin_known("padded to 60 bytes");
	f.len = 60;
	r = run_port(&f);
	expect_reply(&r, &a, vm2.mac);

	begin_known("unicast request, to keep an entry alive");
	memcpy(a.dmac, vm2.mac, 6);
	f = frame_arp(&a);
	r = run_port(&f);
	expect_reply(&r, &a, vm2.mac);

	begin_known("probe for an address that somebody has");
	a = arp_for(vm2.ip);
	a.sender_ip = 0;
	f = frame_arp(&a);
	r = run_port(&f);
	expect_reply(&r, &a, vm2.mac);
}

/* Also a VM that may not be spoken to exists, and one that is placed nowhere. */
Test(arp, R11_answered_whatever_the_policy_says)
{
	static const enum dove_verdict verdicts[] = { DOVE_VERDICT_DENY, DOVE_VERDICT_NO_PLACE,
						      DOVE_VERDICT_NO_SERVICE, DOVE_VERDICT_REJECT };

	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		struct arp_fields a = arp_for(vm2.ip);
		struct dove_translation t = answer_to(&vm2, verdicts[i]);
		struct frame f = frame_arp(&a);
		struct run r;

		begin(case_text("verdict %u", verdicts[i]));
		answer_put(&vm2, &t);
		r = run_port(&f);
		expect_reply(&r, &a, vm2.mac);
	}
}

Test(arp, R11_asks_the_service_where_nothing_is_known)
{
	struct arp_fields a = arp_for(vm2.ip);
	struct dove_translation t = allow_to(&vm2);
	const struct dove_held *held;
	struct dove_cache_key key;
	struct frame f = frame_arp(&a);
	struct run r;

	begin("miss");
	r = run_port(&f);
	held = expect_held(&r, DOVE_HELD_MISS);
	key = pair_key(&vm2);
	key.exact = 1;
	check(!memcmp(&held->key, &key, sizeof(key)), "the record's key is not the pair's");
	check(held->vnid == BLUE && held->ifindex == PORT, "network %x, port %u", held->vnid, held->ifindex);

	begin("expired");
	t.expires = now_ns() - SECOND;
	cache_put(&vm2, &t);
	r = run_port(&f);
	expect_held(&r, DOVE_HELD_MISS);

	begin("nobody had it, but the network has moved on");
	t = answer_to(&vm2, DOVE_VERDICT_NO_ENDPOINT);
	answer_put(&vm2, &t);
	network_put(BLUE, REVISION + 1, 1);
	r = run_port(&f);
	expect_held(&r, DOVE_HELD_MISS);
}

Test(arp, R11_nobody_has_it)
{
	struct arp_fields a = arp_for(vm2.ip);
	struct dove_translation t = answer_to(&vm2, DOVE_VERDICT_NO_ENDPOINT);
	struct frame f = frame_arp(&a);
	struct run r;

	begin("no such endpoint");
	answer_put(&vm2, &t);
	r = run_port(&f);
	expect_dropped(&r, DOVE_NO_ENDPOINT);
}

Test(arp, R6_wrong_or_unasked)
{
	static const struct {
		const char *name;
		unsigned at, size;
		uint32_t value;
		enum dove_reason reason;
	} cases[] = {
		{ "hardware type 6", 14, 2, 6, DOVE_ARP_MALFORMED },
		{ "protocol IPv6", 16, 2, 0x86dd, DOVE_ARP_MALFORMED },
		{ "hardware length 8", 18, 1, 8, DOVE_ARP_MALFORMED },
		{ "hardware length 0", 18, 1, 0, DOVE_ARP_MALFORMED },
		{ "protocol length 16", 19, 1, 16, DOVE_ARP_MALFORMED },
		{ "reply", 20, 2, 2, DOVE_ARP_UNASKED },
		{ "RARP request", 20, 2, 3, DOVE_ARP_UNASKED },
		{ "operation 0", 20, 2, 0, DOVE_ARP_UNASKED },
		{ "sender's MAC is another's", 24, 4, 0x02000102, DOVE_SPOOFED_MAC },
		{ "sender's address is VM 2's", 28, 4, 0x0a01000c, DOVE_SPOOFED_IP },
		{ "sender's address is nobody's", 28, 4, 0x0a0100aa, DOVE_SPOOFED_IP },
		{ "gratuitous: asks for the sender's own", 38, 4, 0x0a01000b, DOVE_ARP_UNASKED },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct arp_fields a = arp_for(vm2.ip);
		struct frame f = frame_arp(&a);
		struct run r;

		begin_known(cases[i].name);
		frame_put(&f, cases[i].at, cases[i].size, cases[i].value);
		r = run_port(&f);
		expect_dropped(&r, cases[i].reason);
	}
}

/* Without an address of its own there is only the MAC to know the sender by, on the frame and inside. */
Test(arp, R6_probe_in_the_name_of_another_mac)
{
	struct arp_fields a = arp_for(vm2.ip);
	struct frame f;
	struct run r;

	begin_known("probe");
	a.sender_ip = 0;
	memcpy(a.sender_mac, vm3.mac, 6);
	f = frame_arp(&a);
	r = run_port(&f);
	expect_dropped(&r, DOVE_SPOOFED_MAC);
}

/* A VM makes sure that nobody else has its address: an answer would take it away from it (RFC 5227). */
Test(arp, R6_probe_for_the_own_address_gets_silence)
{
	struct vm self = vm1;
	struct dove_translation t = allow_to(&self);
	struct arp_fields a = arp_for(vm1.ip);
	struct frame f;
	struct run r;

	begin("probe");
	cache_put(&self, &t);
	a.sender_ip = 0;
	f = frame_arp(&a);
	r = run_port(&f);
	expect_dropped(&r, DOVE_ARP_UNASKED);
}

Test(arp, R6_one_address_of_the_port_asks_for_another)
{
	struct vm second = { .ip = 0x0a010063 };
	struct dove_translation t = allow_to(&vm1);
	struct dove_addr addr = { .endpoint = vm1.endpoint };
	struct arp_fields a = arp_for(second.ip);
	struct frame f = frame_arp(&a);
	struct run r;

	begin("both are its own");
	memcpy(addr.mac, vm1.mac, 6);
	map_put(dove_addrs,
		&((struct dove_addr_key){ .addr = ip_of(second.ip), .vnid = BLUE, .ifindex = PORT }), &addr);
	cache_put(&second, &t);
	r = run_port(&f);
	expect_dropped(&r, DOVE_ARP_UNASKED);
}

/* The gateway is a router that every host is itself; no policy says so, only the network's revision. */
Test(arp, R3_the_gateway_has_the_mac_of_all_gateways)
{
	struct dove_translation t = answer_to(&gateway, DOVE_VERDICT_GATEWAY);
	struct arp_fields a = arp_for(gateway.ip);
	struct frame f = frame_arp(&a);
	struct run r;

	begin("current");
	answer_put(&gateway, &t);
	r = run_port(&f);
	expect_reply(&r, &a, gateway.mac);

	begin("the network has moved on");
	answer_put(&gateway, &t);
	network_put(BLUE, REVISION + 1, 1);
	r = run_port(&f);
	expect_held(&r, DOVE_HELD_MISS);
}
