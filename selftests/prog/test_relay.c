// SPDX-License-Identifier: Apache-2.0
/* Packets that came to the wrong place: sent on after their VM, kept until it is known where it is, given back. */
#include <string.h>

#include "ingress.h"

static void relay_load(void)
{
	prog_load((struct prog_config){ .programs = PROG_PORT | PROG_NIC_INGRESS | PROG_XDP,
					.refused = DOVE_REFUSED_RETURN });
}

static void forward_load(void)
{
	prog_load((struct prog_config){ .programs = PROG_NIC_INGRESS | PROG_XDP,
					.refused = DOVE_REFUSED_FORWARD });
}

TestSuite(relay, .init = relay_load);
TestSuite(relay_forward, .init = forward_load);

#define HOST3 0xcb007103u
#define NIC3 9901u
#define MOVED_AT (REVISION + 3)

/* Host 3, in the family of the outer header: the next hop is another than host 2's. */
static void host3_put(enum family outer, uint32_t flags, uint32_t mtu)
{
	struct dove_ip addr = ip_in(outer, HOST3);
	struct dove_host host = { .source = ip_in(outer, HOST1),
				  .id = 3,
				  .ifindex = NIC3,
				  .mtu = mtu,
				  .flags = flags,
				  .src_mac = { 2, 0, 0, 0, 9, 1 },
				  .dst_mac = { 2, 0, 0, 0, 9, 3 } };

	map_put(dove_hosts, &addr, &host);
}

/* VM 3 is here no more; on host 3, or nobody knows (host: NULL). */
static void moved_put(const struct way *w, const struct dove_ip *host, uint64_t until)
{
	struct dove_moved moved = { .revision = MOVED_AT, .until = until };
	struct dove_place_key key = { .addr = ip_in(w->inner, vm3.ip), .vnid = BLUE };

	if (host)
		moved.host = *host;
	local_del(BLUE, &vm3);
	map_put(dove_moved, &key, &moved);
}

static void begin_moved(const struct way *w, const char *name)
{
	struct dove_ip host3 = ip_in(w->outer, HOST3);

	begin_way(w, name);
	host3_put(w->outer, DOVE_HOST_REACHABLE, HOST2_MTU);
	moved_put(w, &host3, now_ns() + 60 * SECOND);
}

/* The frame as it must leave: other addresses, one hop less, one relay more. */
static struct frame sent_on(const struct way *w, const struct frame *f, uint32_t to, const uint8_t *dmac,
			    const uint8_t *smac, uint8_t flags)
{
	struct frame out = *f;
	struct dove_ip from = ip_in(w->outer, HOST1), dst = ip_in(w->outer, to);

	memcpy(out.b, dmac, 6);
	memcpy(out.b + 6, smac, 6);
	if (w->outer == V6) {
		out.b[OUTER6_AT(ip.hop_limit)]--;
		memcpy(out.b + OUTER6_AT(ip.saddr), from.b, 16);
		memcpy(out.b + OUTER6_AT(ip.daddr), dst.b, 16);
	} else {
		out.b[OUTER_AT(ip.ttl)]--;
		memcpy(out.b + OUTER_AT(ip.saddr), from.b + 12, 4);
		memcpy(out.b + OUTER_AT(ip.daddr), dst.b + 12, 4);
		frame_checksum_outer(&out);
	}
	out.b[outer_at(w->outer, OUTER_AT(option.stage_vnid))] = flags;
	return out;
}

static struct frame with_flags(const struct way *w, uint8_t flags)
{
	struct outer_frame o = outer_from_host2(w->outer);
	struct frame inner = the_inner(w->inner);

	o.stage_flags = flags;
	return frame_encapsulated(&o, &inner);
}

static const uint8_t mac3[6] = { 2, 0, 0, 0, 9, 3 }, nic3[6] = { 2, 0, 0, 0, 9, 1 };

/* At XDP the packet is left to TC as it is. */
static bool passed_by_xdp(const struct way *w, const struct run *r)
{
	if (w->hook == AT_TC)
		return false;
	expect_untouched_by_xdp(r);
	return true;
}

Test(relay, R19_sent_on_to_where_the_vm_is)
{
	static const uint8_t flags[][2] = {
		{ 0, 1 },
		{ DOVE_FLAG_TRACK, DOVE_FLAG_TRACK | 1 },
		{ 1, 2 },
	};

	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
			struct frame f = with_flags(&w, flags[i][0]),
				     want = sent_on(&w, &f, HOST3, mac3, nic3, flags[i][1]);
			struct dove_event e;
			struct run r;

			begin_moved(&w, case_text("flags %x", flags[i][0]));
			r = arrive(w.hook, &f);
			e = expect_event(DOVE_EVENT_MOVED);
			expect_from_vm2(&w, &e, true);
			check(e.wanted == MOVED_AT && e.relays == (flags[i][0] & 3), "wanted %llx, relays %u",
			      e.wanted, e.relays);
			if (passed_by_xdp(&w, &r))
				continue;
			expect_sent(&r, DOVE_RELAYED);
			expect_bytes(&r.out, &want);
		}
	}
}

Test(relay, R19_also_of_a_network_that_left_with_it)
{
	struct way w = {};
	struct frame f = with_flags(&w, 0), want = sent_on(&w, &f, HOST3, mac3, nic3, 1);
	uint32_t vnid = BLUE;
	struct run r;

	begin_moved(&w, "network not served any more");
	map_del(dove_networks, &vnid);
	r = arrive(w.hook, &f);
	expect_event(DOVE_EVENT_MOVED);
	expect_sent(&r, DOVE_RELAYED);
	expect_bytes(&r.out, &want);
}

/* What ends here: relayed enough, at the end of its life, too large for the way, of the other family. */
Test(relay, R19_relays_are_bounded)
{
	struct dove_ip other;

	for (struct way w = {}; w.hook < AT_XDP; way_next(&w)) {
		struct edit ttl = { "", w.outer ? OUTER6_AT(ip.hop_limit) : OUTER_AT(ip.ttl), 1, 1,
				    w.outer ? EDIT_OUTER6 : EDIT_CHECKSUM };
		struct frame f = with_flags(&w, 2);
		struct run r;

		begin_moved(&w, "relayed twice");
		r = arrive(w.hook, &f);
		expect_event(DOVE_EVENT_MOVED);
		expect_refused(w.hook, &r, DOVE_MOVED);

		begin_moved(&w, "TTL 1");
		f = edited(&w, &ttl);
		r = arrive(w.hook, &f);
		expect_event(DOVE_EVENT_MOVED);
		expect_refused(w.hook, &r, DOVE_MOVED);

		begin_moved(&w, "too large for the way");
		host3_put(w.outer, DOVE_HOST_REACHABLE, 60);
		f = with_flags(&w, 0);
		r = arrive(w.hook, &f);
		expect_event(DOVE_EVENT_MOVED);
		expect_refused(w.hook, &r, DOVE_TOO_BIG);

		begin_moved(&w, "the host has an address of the other family");
		other = ip_in(w.outer ? V4 : V6, HOST3);
		host3_put(w.outer ? V4 : V6, DOVE_HOST_REACHABLE, HOST2_MTU);
		moved_put(&w, &other, now_ns() + 60 * SECOND);
		r = arrive(w.hook, &f);
		expect_event(DOVE_EVENT_MOVED);
		expect_refused(w.hook, &r, DOVE_MOVED);
	}
}

Test(relay, R19_who_knows_of_the_new_place_is_not_sent_on)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct frame f = wrap_sent_at(&w, MOVED_AT);
		struct run r;

		begin_moved(&w, "sent at the place's revision");
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_UNKNOWN_ENDPOINT);
		expect_event(DOVE_EVENT_UNKNOWN_ENDPOINT);

		begin_moved(&w, "moved long ago");
		moved_put(&w, &(struct dove_ip){ .w = { 1 } }, now_ns() - SECOND);
		f = with_flags(&w, 0);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_UNKNOWN_ENDPOINT);
		expect_event(DOVE_EVENT_UNKNOWN_ENDPOINT);

		begin_moved(&w, "came back");
		local_put(BLUE, &vm3, PORT3, 1, 1);
		r = arrive(w.hook, &f);
		f = the_inner(w.inner);
		expect_accepted(w.hook, &r, &f);
		expect_quiet();
	}
}

Test(relay, R19_kept_until_it_is_known_where_to)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct frame f = with_flags(&w, 0);
		const struct dove_held *held;
		struct run r;

		begin_way(&w, "it has just left");
		moved_put(&w, NULL, now_ns() + SECOND);
		r = arrive(w.hook, &f);
		if (!passed_by_xdp(&w, &r)) {
			held = expect_held(&r, DOVE_HELD_MOVED);
			check(held->vnid == BLUE && held->ifindex == PORT, "network %x", held->vnid);
		}

		begin_moved(&w, "the way to its host is not known");
		host3_put(w.outer, 0, HOST2_MTU);
		r = arrive(w.hook, &f);
		expect_event(DOVE_EVENT_MOVED);
		if (!passed_by_xdp(&w, &r))
			expect_held(&r, DOVE_HELD_MOVED);
	}
}

/* ---- below a floor ---- */

Test(relay, R18_given_back_to_its_origin)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct frame f = with_flags(&w, DOVE_FLAG_TRACK),
			     want = sent_on(&w, &f, HOST2, hop_mac, nic_mac,
					    DOVE_FLAG_TRACK | DOVE_FLAG_RETURNED);
		struct dove_event e;
		struct run r;

		begin_way(&w, "below the policy's floor");
		policy_put(BLUE, POLICY, REVISION + 1, REVISION + 1);
		network_put(BLUE, REVISION + 1, 1);
		r = arrive(w.hook, &f);
		e = expect_event(DOVE_EVENT_REFUSED);
		expect_from_vm2(&w, &e, false);
		if (passed_by_xdp(&w, &r))
			continue;
		expect_sent(&r, DOVE_RETURNED);
		expect_bytes(&r.out, &want);

		begin_way(&w, "relayed: who sent it on has no use for it");
		policy_put(BLUE, POLICY, REVISION + 1, REVISION + 1);
		network_put(BLUE, REVISION + 1, 1);
		f = with_flags(&w, 1);
		r = arrive(w.hook, &f);
		expect_event(DOVE_EVENT_REFUSED);
		expect_held(&r, DOVE_HELD_REFUSED);

		begin_way(&w, "more than the host may have");
		policy_put(BLUE, POLICY, REVISION + 1, REVISION + 1);
		network_put(BLUE, REVISION + 1, 1);
		budget_put(DOVE_BUDGET_HOST | 2, DOVE_BUDGET_ANSWERS, 1);
		f = with_flags(&w, 0);
		r = arrive(w.hook, &f);
		r = arrive(w.hook, &f);
		r = arrive(w.hook, &f);
		check(counted(DOVE_REFUSED) >= 1 && counted(DOVE_RETURNED) + counted(DOVE_REFUSED) == 3,
		      "refused %llu", (unsigned long long)counted(DOVE_REFUSED));
	}
}

Test(relay_forward, R18_the_agent_sends_it_on)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct frame f = with_flags(&w, 0);
		struct run r;

		begin_way(&w, "below the policy's floor");
		policy_put(BLUE, POLICY, REVISION + 1, REVISION + 1);
		network_put(BLUE, REVISION + 1, 1);
		r = arrive(w.hook, &f);
		expect_event(DOVE_EVENT_REFUSED);
		if (!passed_by_xdp(&w, &r))
			expect_held(&r, DOVE_HELD_REFUSED);
	}
}

/* ---- given back to us ---- */

/* What VM 1 sent to VM 2, as host 2 gives it back. */
static struct frame given_back(const struct way *w, const uint8_t *smac, uint32_t source)
{
	struct outer_frame o = outer_from_host2(w->outer);
	struct vm_frame v = udp_between(w->inner, &vm1, &vm2);
	struct frame inner = frame_vm(&v);

	memcpy(inner.b + 6, smac, 6);
	o.source = source;
	o.stage_flags = DOVE_FLAG_RETURNED;
	return frame_encapsulated(&o, &inner);
}

static void begin_given_back(const struct way *w, const char *name)
{
	struct dove_translation t = allow_to(&vm2);

	begin_way(w, name);
	t.host = ip_in(w->outer, HOST2);
	cache_put(&vm2, &t);
	local_put(BLUE, &vm1, PORT, 1, 1);
}

Test(relay, R18_ours_goes_up_to_be_asked_for_anew)
{
	static const uint8_t gateway_smac[6] = DOVE_GATEWAY_MAC;

	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct frame f = given_back(&w, vm1.mac, vm1.endpoint);
		const struct dove_held *held;
		struct run r;

		begin_given_back(&w, "as its VM sent it");
		r = arrive(w.hook, &f);
		if (passed_by_xdp(&w, &r))
			continue;
		expect_end(&r, TC_ACT_SHOT, DOVE_HELD_RETURNED);
		held = take_packet();
		check(held && held->reason == DOVE_HELD_RETURNED && held->ifindex == PORT &&
			      held->key.source == vm1.endpoint && held->sequence == (uint32_t)REVISION,
		      "not as from its port");
		check(held->len == f.len - outer_len(w.outer) &&
			      !memcmp(held->data, f.b + outer_len(w.outer), held->len),
		      "another frame");

		begin_given_back(&w, "one that was routed");
		f = given_back(&w, gateway_smac, vm1.endpoint);
		r = arrive(w.hook, &f);
		expect_end(&r, TC_ACT_SHOT, DOVE_HELD_RETURNED);
		held = take_packet();
		check(held && !memcmp(held->data, gateway_smac, 6) && !memcmp(held->data + 6, vm1.mac, 6),
		      "not for its gateway again");
	}
}

Test(relay, R18_what_is_not_ours_is_not_taken_back)
{
	for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) {
		struct frame f = given_back(&w, vm1.mac, vm1.endpoint);
		struct dove_translation t = allow_to(&vm2);
		struct run r;

		begin_given_back(&w, "it had gone to another host");
		host3_put(w.outer, DOVE_HOST_REACHABLE, HOST2_MTU);
		t.host = ip_in(w.outer, HOST3);
		cache_put(&vm2, &t);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_NOT_OURS);
		expect_quiet();

		begin_given_back(&w, "it was never sent");
		map_del(dove_cache, &(struct dove_cache_key[]){ pair_key_in(w.inner, &vm2) }[0]);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_NOT_OURS);

		begin_given_back(&w, "its VM is not here");
		local_del(BLUE, &vm1);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_NOT_OURS);

		begin_given_back(&w, "in another VM's name");
		f = given_back(&w, vm1.mac, vm1.endpoint + 1);
		r = arrive(w.hook, &f);
		expect_refused(w.hook, &r, DOVE_NOT_OURS);
		expect_quiet();
	}
}
