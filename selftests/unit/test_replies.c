// SPDX-License-Identifier: Apache-2.0
/* Replies: which flows are to be remembered, and which denials let pass what answers them. */
#include <criterion/criterion.h>
#include <string.h>

#include "dps_world.h"

WORLD_SUITE(replies);

static void expect(const char *from, const char *to, int proto, bool allow, bool reply, bool replies)
{
	struct answer a = world_ask(&w, from, to, proto, 1000, 80);
	const struct network *net = world_endpoint(&w, to)->o.net;

	cr_assert_eq(a.outcome.allow, allow, "%s -> %s", from, to);
	cr_assert_eq(a.outcome.reply, reply, "%s -> %s: reply", from, to);
	cr_assert_eq(a.outcome.replies, replies, "%s -> %s: replies", from, to);
	if (!replies)
		return;
	cr_assert_eq(a.vnid, net->o.id);
	cr_assert_eq(a.outcome.policy, net->fallback);
	cr_assert_eq(a.sequence, net->revision);
	cr_assert_eq(a.destination, world_endpoint(&w, to));
}

static void close_blue(void)
{
	apply("[{'kind':'network','name':'blue','default':'deny'}]");
}

static void open_tcp(const char *more)
{
	cr_assert_eq(world_apply(&w,
				 "[{'kind':'policy','network':'blue','name':'p','from':{'endpoints':['vm1']},"
				 "'to':{'endpoints':['vm2']},'proto':'tcp','action':'allow'%s}]",
				 more),
		     0, "%s", w.err.text);
}

Test(replies, a_network_that_is_open_remembers_nothing)
{
	open_tcp("");
	expect("blue/vm1", "blue/vm2", 6, true, false, false);
	expect("blue/vm2", "blue/vm1", 6, true, false, false);
}

Test(replies, a_network_that_is_closed_lets_them_pass)
{
	struct answer a;

	close_blue();
	expect("blue/vm2", "blue/vm1", 6, false, false, false);
	open_tcp("");
	expect("blue/vm1", "blue/vm2", 6, true, true, false);
	expect("blue/vm1", "blue/vm2", 17, false, false, false);
	expect("blue/vm2", "blue/vm1", 6, false, false, true);
	expect("blue/vm3", "blue/vm1", 6, false, false, false);
	a = world_ask(&w, "blue/vm1", "blue/vm2", 0, 0, 0);
	cr_assert_eq(a.n_rules, 2);
	cr_assert(a.rules[0].outcome.reply && !a.rules[1].outcome.replies);
	open_tcp(",'reply':false");
	expect("blue/vm1", "blue/vm2", 6, true, false, false);
	expect("blue/vm2", "blue/vm1", 6, false, false, false);
}

Test(replies, a_denial_is_stronger)
{
	struct answer a;

	close_blue();
	open_tcp("");
	apply("[{'kind':'policy','network':'blue','name':'no','from':{'endpoints':['vm2']},'to':'any',"
	      "'proto':'udp','action':'deny'}]");
	expect("blue/vm2", "blue/vm1", 17, false, false, false);
	expect("blue/vm2", "blue/vm1", 6, false, false, true);
	a = world_ask(&w, "blue/vm2", "blue/vm1", 0, 0, 0);
	cr_assert_eq(a.n_rules, 2);
	cr_assert(!a.rules[0].outcome.replies && a.rules[1].outcome.replies);
	cr_assert_eq(a.rules[1].outcome.policy, world_network(&w, "blue")->fallback);
}

Test(replies, what_an_allow_hides_counts_for_nothing)
{
	close_blue();
	open_tcp("");
	apply("[{'kind':'policy','network':'blue','name':'no','priority':5,'from':'any',"
	      "'to':{'endpoints':['vm2']},'action':'deny'}]");
	expect("blue/vm2", "blue/vm1", 6, false, false, false);
	apply("[{'kind':'policy','network':'blue','name':'no','priority':5,'from':'any',"
	      "'to':{'endpoints':['vm2']},'proto':'tcp','action':'deny'}]");
	expect("blue/vm2", "blue/vm1", 6, false, false, false);
	apply("[{'kind':'policy','network':'blue','name':'no','priority':5,'from':'any',"
	      "'to':{'endpoints':['vm2']},'proto':'tcp','to_port':22,'action':'deny'}]");
	expect("blue/vm2", "blue/vm1", 6, false, false, true);
}

static void join(const char *out, const char *in)
{
	cr_assert_eq(world_apply(&w,
				 "[{'kind':'policy','network':'blue','name':'out','from':'any',"
				 "'to':{'network':'green'},'action':'allow'%s},"
				 "{'kind':'policy','network':'green','name':'in','from':{'network':'blue'},"
				 "'to':'any','proto':'tcp','action':'allow'%s}]",
				 out, in),
		     0, "%s", w.err.text);
}

Test(replies, R8_two_networks_must_both_let_them_pass)
{
	expect("green/vm2", "blue/vm1", 6, false, false, false);
	join("", "");
	expect("blue/vm1", "green/vm2", 6, true, true, false);
	expect("green/vm2", "blue/vm1", 6, false, false, true);
	join(",'reply':false", "");
	expect("blue/vm1", "green/vm2", 6, true, false, false);
	expect("green/vm2", "blue/vm1", 6, false, false, false);
	join("", ",'reply':false");
	expect("blue/vm1", "green/vm2", 6, true, false, false);
	expect("green/vm2", "blue/vm1", 6, false, false, false);
}

Test(replies, either_network_may_deny_them)
{
	struct answer a;

	join("", "");
	apply("[{'kind':'policy','network':'green','name':'no','from':{'endpoints':['vm2']},"
	      "'to':{'network':'blue'},'action':'deny'}]");
	expect("green/vm2", "blue/vm1", 6, false, false, false);
	a = world_ask(&w, "green/vm2", "blue/vm1", 6, 80, 1);
	cr_assert_eq(a.vnid, world_network(&w, "green")->o.id);
	expect("green/vm3", "blue/vm1", 6, false, false, true);
	apply("[{'kind':'policy','network':'blue','name':'no','from':{'network':'green'},"
	      "'to':{'endpoints':['vm1']},'action':'deny'}]");
	expect("green/vm3", "blue/vm1", 6, false, false, false);
	expect("green/vm3", "blue/vm2", 6, false, false, true);
}

Test(replies, they_pass_the_services_that_one_network_has_for_them)
{
	struct answer a;

	join("", "");
	apply("[{'kind':'policy','network':'green','name':'all','from':{'endpoints':['vm2']},'to':'any',"
	      "'action':'allow','path':['firewall']}]");
	expect("green/vm2", "blue/vm1", 6, false, false, true);
	a = world_ask(&w, "green/vm2", "blue/vm1", 6, 80, 1);
	cr_assert_str_eq(world_path(&a.outcome), "firewall");
}

/* A translation for replies, as its destination judges it. */
static bool is_current(const struct answer *a, const char *from)
{
	struct question q = { .source = world_endpoint(&w, from)->o.id,
			      .by_address = true,
			      .address = a->address,
			      .packet = { 6, { 80, 80 }, { 1000, 1000 } } };
	struct check c = { .vnid = a->vnid, .policy = a->outcome.policy->o.id, .sequence = a->sequence };

	resolve_check(&w.m, &q, &c);
	return c.current;
}

static bool is_refused(const struct answer *a)
{
	const struct network *net = model_network(&w.m, a->vnid);

	return a->sequence < net->o.floor || a->sequence < net->fallback->o.floor ||
	       a->sequence < a->destination->o.floor;
}

Test(replies, R20_a_denial_put_against_them_refuses_them)
{
	struct answer a;

	join("", "");
	a = world_ask(&w, "green/vm2", "blue/vm1", 6, 80, 1000);
	cr_assert(a.outcome.replies && is_current(&a, "green/vm2") && !is_refused(&a));
	apply("[{'kind':'policy','network':'green','name':'no','from':{'endpoints':['vm2']},"
	      "'to':{'network':'blue'},'action':'deny'}]");
	cr_assert(!is_current(&a, "green/vm2") && is_refused(&a));
	cr_assert_eq(world_delete(&w, "policy", "green/no"), 0);
	a = world_ask(&w, "green/vm2", "blue/vm1", 6, 80, 1000);
	cr_assert(a.outcome.replies && is_current(&a, "green/vm2"));
	apply("[{'kind':'policy','network':'blue','name':'no','from':{'network':'green'},"
	      "'to':{'endpoints':['vm1']},'action':'deny'}]");
	cr_assert(!is_current(&a, "green/vm2") && is_refused(&a));
}

Test(replies, R20_a_denial_that_comes_to_light_refuses_them)
{
	struct answer a;

	join("", "");
	apply("[{'kind':'policy','network':'blue','name':'all','priority':9,'from':{'network':'green'},"
	      "'to':'any','action':'allow'},"
	      "{'kind':'policy','network':'blue','name':'no','from':{'network':'green'},'to':'any',"
	      "'action':'deny'}]");
	a = world_ask(&w, "green/vm2", "blue/vm1", 6, 80, 1000);
	cr_assert(a.outcome.replies && is_current(&a, "green/vm2"));
	cr_assert_eq(world_delete(&w, "policy", "blue/all"), 0);
	cr_assert(is_refused(&a));
	expect("green/vm2", "blue/vm1", 6, false, false, false);
}

Test(replies, R20_so_does_leaving_the_group_that_hid_it)
{
	struct answer a;

	join("", "");
	apply("[{'kind':'policy','network':'blue','name':'all','priority':9,'to':'any','action':'allow',"
	      "'from':{'network':'green','groups':['g']}},"
	      "{'kind':'policy','network':'blue','name':'no','from':{'network':'green'},'to':'any',"
	      "'action':'deny'},"
	      "{'kind':'group','network':'green','name':'g','endpoints':['vm2']}]");
	a = world_ask(&w, "green/vm2", "blue/vm1", 6, 80, 1000);
	cr_assert(a.outcome.replies && is_current(&a, "green/vm2"));
	apply("[{'kind':'group','network':'green','name':'g'}]");
	cr_assert(is_refused(&a));
}

Test(replies, R20_two_networks_that_part_refuse_them)
{
	struct answer a;

	join("", "");
	a = world_ask(&w, "green/vm2", "blue/vm1", 6, 80, 1000);
	cr_assert_eq(world_delete(&w, "policy", "blue/out"), 0);
	expect("green/vm2", "blue/vm1", 6, false, false, false);
	cr_assert(!is_refused(&a), "still joined: what the flow was remembered by is refused");
	cr_assert_eq(world_delete(&w, "policy", "green/in"), 0);
	cr_assert(is_refused(&a));
}

Test(replies, R20_an_allow_in_their_place_makes_them_stale)
{
	struct answer a;

	join("", "");
	a = world_ask(&w, "green/vm2", "blue/vm1", 6, 80, 1000);
	apply("[{'kind':'policy','network':'blue','name':'back','from':{'network':'green'},'to':'any',"
	      "'action':'allow'},"
	      "{'kind':'policy','network':'green','name':'back','from':'any','to':{'network':'blue'},"
	      "'action':'allow'}]");
	cr_assert(!is_refused(&a));
	cr_assert_lt(a.sequence, world_network(&w, "blue")->fallback->o.sequence);
	expect("green/vm2", "blue/vm1", 6, true, true, false);
}

Test(replies, R20_a_new_default_makes_flows_ask_whether_to_be_remembered)
{
	uint64_t before;

	open_tcp("");
	before = world_network(&w, "blue")->revision;
	close_blue();
	cr_assert_gt(world_policy(&w, "blue/p")->o.sequence, before);
	cr_assert_leq(world_policy(&w, "blue/p")->o.floor, before);
}

Test(replies, answers_say_so)
{
	struct answer a;
	cJSON *json;

	close_blue();
	open_tcp("");
	a = world_ask(&w, "blue/vm1", "blue/vm2", 0, 0, 0);
	json = world_answer_json(&w, &a, 60);
	cr_assert_null(json_get(json, "reply"));
	cr_assert(cJSON_IsTrue(json_get(cJSON_GetArrayItem(json_get(json, "rules"), 0), "reply")));
	cJSON_Delete(json);
	a = world_ask(&w, "blue/vm2", "blue/vm1", 0, 0, 0);
	json = world_answer_json(&w, &a, 60);
	cr_assert(cJSON_IsTrue(json_get(json, "replies")));
	cJSON_Delete(json);
}
