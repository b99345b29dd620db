// SPDX-License-Identifier: Apache-2.0
/* Questions about packets: which policy decides, and what it asks for. */
#include <criterion/criterion.h>
#include <string.h>

#include "dps_world.h"

WORLD_SUITE(resolve);

static void expect(const char *from, const char *to, int proto, int from_port, int to_port,
		   enum verdict verdict, const char *policy, const char *path)
{
	struct answer a = world_ask(&w, from, to, proto, from_port, to_port);

	cr_assert_eq(a.verdict, verdict, "%s -> %s %d/%d: %s", from, to, proto, to_port,
		     resolve_verdict_name(a.verdict));
	cr_assert_str_eq(a.outcome.policy->o.spec->name, policy, "%s -> %s %d/%d", from, to, proto, to_port);
	cr_assert_str_eq(world_path(&a.outcome), path, "%s -> %s %d/%d", from, to, proto, to_port);
}

static void reference_policies(void)
{
	apply("[{'kind':'policy','network':'blue','name':'a','priority':100,"
	      "'from':{'endpoints':['vm1']},'to':'any','action':'allow','path':['firewall']},"
	      "{'kind':'policy','network':'blue','name':'b','priority':200,"
	      "'from':{'endpoints':['vm1','vm2','vm5']},'to':{'endpoints':['vm7','vm8']},"
	      "'action':'deny'},"
	      "{'kind':'policy','network':'blue','name':'c','priority':50,"
	      "'from':{'endpoints':['vm3']},'to':'any','proto':'tcp','from_port':443,"
	      "'action':'allow','path':['ssl-accelerator']},"
	      "{'kind':'policy','network':'blue','name':'d','priority':50,'from':'any',"
	      "'to':{'endpoints':['vm3']},'proto':'tcp','to_port':443,'action':'allow',"
	      "'path':['ssl-accelerator']}]");
}

Test(resolve, R10_reference_table)
{
	static const char *const denied[] = { "blue/vm1", "blue/vm2", "blue/vm5" };

	reference_policies();
	expect("blue/vm1", "blue/vm2", 6, 40000, 80, VERDICT_ALLOW, "a", "firewall");
	expect("blue/vm1", "blue/vm6", 1, 0, 0, VERDICT_ALLOW, "a", "firewall");
	for (int i = 0; i < 3; i++) {
		expect(denied[i], "blue/vm7", 6, 40000, 80, VERDICT_DENY, "b", "");
		expect(denied[i], "blue/vm8", 1, 0, 0, VERDICT_DENY, "b", "");
	}
	expect("blue/vm3", "blue/vm4", 6, 443, 40000, VERDICT_ALLOW, "c", "ssl-accelerator");
	expect("blue/vm3", "blue/vm4", 6, 444, 40000, VERDICT_ALLOW, "default", "");
	expect("blue/vm4", "blue/vm3", 6, 40000, 443, VERDICT_ALLOW, "d", "ssl-accelerator");
	expect("blue/vm4", "blue/vm3", 17, 40000, 443, VERDICT_ALLOW, "default", "");
	expect("blue/vm4", "blue/vm5", 6, 40000, 443, VERDICT_ALLOW, "default", "");
}

Test(resolve, R13_services_add_up)
{
	reference_policies();
	expect("blue/vm1", "blue/vm3", 6, 40000, 443, VERDICT_ALLOW, "a", "firewall,ssl-accelerator");
	apply("[{'kind':'policy','network':'blue','name':'a','priority':100,"
	      "'from':{'endpoints':['vm1']},'to':'any','action':'allow','path':['firewall'],"
	      "'final':true}]");
	expect("blue/vm1", "blue/vm3", 6, 40000, 443, VERDICT_ALLOW, "a", "firewall");
}

Test(resolve, R13_rules_of_a_pair_add_up_too)
{
	struct answer a;

	reference_policies();
	a = world_ask(&w, "blue/vm1", "blue/vm3", 0, 0, 0);
	cr_assert_str_eq(world_path(&a.outcome), "firewall");
	cr_assert_eq(a.scope, SCOPE_PROTO | SCOPE_TO_PORT);
	cr_assert_eq(a.n_rules, 2);
	cr_assert_eq(a.rules[0].match.proto, 6);
	cr_assert_eq(a.rules[0].match.to_port[1], 443);
	cr_assert_str_eq(world_path(&a.rules[0].outcome), "firewall,ssl-accelerator");
	cr_assert(flow_is_all(&a.rules[1].match));
	cr_assert_str_eq(world_path(&a.rules[1].outcome), "firewall");
}

Test(resolve, R9_priorities_and_ties)
{
	apply("[{'kind':'policy','network':'blue','name':'m','priority':5,'from':'any','to':'any',"
	      "'action':'allow'}]");
	expect("blue/vm1", "blue/vm2", 6, 1, 2, VERDICT_ALLOW, "m", "");
	apply("[{'kind':'policy','network':'blue','name':'z','priority':5,'from':'any','to':'any',"
	      "'action':'deny'}]");
	expect("blue/vm1", "blue/vm2", 6, 1, 2, VERDICT_DENY, "z", "");
	apply("[{'kind':'policy','network':'blue','name':'y','priority':5,'from':'any','to':'any',"
	      "'action':'deny'}]");
	expect("blue/vm1", "blue/vm2", 6, 1, 2, VERDICT_DENY, "y", "");
	apply("[{'kind':'policy','network':'blue','name':'k','priority':6,'from':'any','to':'any',"
	      "'action':'allow'}]");
	expect("blue/vm1", "blue/vm2", 6, 1, 2, VERDICT_ALLOW, "k", "");
}

static void expect_reject(const char *from, const char *to, int proto, bool reject)
{
	struct answer a = world_ask(&w, from, to, proto, 1, 2);

	cr_assert_eq(a.verdict, VERDICT_DENY);
	cr_assert_eq(a.outcome.reject, reject, "%s -> %s %d", from, to, proto);
}

Test(resolve, R8_a_reject_tells_the_sender)
{
	struct answer a;
	cJSON *json;

	apply("[{'kind':'policy','network':'blue','name':'n','priority':5,'from':'any',"
	      "'to':{'endpoints':['vm2']},'action':'reject'},"
	      "{'kind':'policy','network':'blue','name':'a','priority':5,'from':'any','to':'any',"
	      "'proto':'udp','action':'allow'}]");
	expect("blue/vm1", "blue/vm2", 17, 1, 2, VERDICT_DENY, "n", "");
	expect_reject("blue/vm1", "blue/vm2", 17, true);
	apply("[{'kind':'policy','network':'blue','name':'z','priority':5,'from':'any','to':'any',"
	      "'proto':'tcp','action':'deny'}]");
	expect("blue/vm1", "blue/vm2", 6, 1, 2, VERDICT_DENY, "z", "");
	expect_reject("blue/vm1", "blue/vm2", 6, false);
	a = world_ask(&w, "blue/vm1", "blue/vm2", 0, 0, 0);
	json = world_answer_json(&w, &a, 60);
	cr_assert(cJSON_IsTrue(json_get(json, "reject")));
	cJSON_Delete(json);
	cr_assert_eq(a.n_rules, 2);
	cr_assert(!a.rules[0].outcome.reject && a.rules[1].outcome.reject);
}

Test(resolve, R8_a_network_may_reject_inside_and_denies_outside)
{
	apply("[{'kind':'network','name':'blue','default':'reject'},"
	      "{'kind':'policy','network':'blue','name':'out','from':'any','to':{'network':'green'},"
	      "'proto':'tcp','action':'allow'}]");
	expect("blue/vm1", "blue/vm2", 6, 1, 2, VERDICT_DENY, "default", "");
	expect_reject("blue/vm1", "blue/vm2", 6, true);
	expect_reject("blue/vm1", "green/vm2", 17, false);
	expect_reject("green/vm1", "blue/vm2", 6, false);
	apply("[{'kind':'policy','network':'green','name':'in','from':{'network':'blue'},'to':'any',"
	      "'proto':'tcp','action':'reject'}]");
	expect_reject("blue/vm1", "green/vm2", 6, true);
}

Test(resolve, R20_whether_the_sender_is_told_is_no_requirement)
{
	uint64_t floor, sequence;

	apply("[{'kind':'policy','network':'blue','name':'n','from':'any','to':{'endpoints':['vm2']},"
	      "'action':'deny'},{'kind':'network','name':'green','default':'deny'}]");
	floor = world_policy(&w, "blue/n")->o.floor;
	sequence = world_policy(&w, "blue/n")->o.sequence;
	apply("[{'kind':'policy','network':'blue','name':'n','from':'any','to':{'endpoints':['vm2']},"
	      "'action':'reject'}]");
	cr_assert_eq(world_policy(&w, "blue/n")->o.floor, floor);
	cr_assert_gt(world_policy(&w, "blue/n")->o.sequence, sequence);
	cr_assert_leq(world_endpoint(&w, "blue/vm2")->o.floor, floor);
	floor = world_policy(&w, "green/default")->o.floor;
	apply("[{'kind':'network','name':'green','default':'reject'}]");
	cr_assert_eq(world_policy(&w, "green/default")->o.floor, floor);
	cr_assert_eq(world_policy(&w, "green/default")->o.sequence, world_network(&w, "green")->revision);
}

Test(resolve, R9_ranges_and_combinations)
{
	struct answer a;

	apply("[{'kind':'policy','network':'blue','name':'p','priority':9,"
	      "'from':{'endpoints':['vm1']},'to':{'endpoints':['vm2']},'proto':'tcp',"
	      "'from_port':'1024-65535','to_port':'8000-8099','action':'deny'}]");
	expect("blue/vm1", "blue/vm2", 6, 1024, 8000, VERDICT_DENY, "p", "");
	expect("blue/vm1", "blue/vm2", 6, 65535, 8099, VERDICT_DENY, "p", "");
	expect("blue/vm1", "blue/vm2", 6, 1023, 8000, VERDICT_ALLOW, "default", "");
	expect("blue/vm1", "blue/vm2", 6, 1024, 7999, VERDICT_ALLOW, "default", "");
	expect("blue/vm1", "blue/vm2", 6, 1024, 8100, VERDICT_ALLOW, "default", "");
	expect("blue/vm1", "blue/vm2", 17, 1024, 8000, VERDICT_ALLOW, "default", "");
	expect("blue/vm2", "blue/vm1", 6, 1024, 8000, VERDICT_ALLOW, "default", "");
	a = world_ask(&w, "blue/vm1", "blue/vm2", 0, 0, 0);
	cr_assert_eq(a.scope, SCOPE_PROTO | SCOPE_FROM_PORT | SCOPE_TO_PORT);
	a = world_ask(&w, "blue/vm1", "blue/vm3", 0, 0, 0);
	cr_assert_eq(a.scope, 0, "another pair is not concerned");
}

Test(resolve, R9_ports_of_any_protocol_leave_icmp_alone)
{
	apply("[{'kind':'policy','network':'blue','name':'p','from':'any','to':'any','to_port':53,"
	      "'action':'deny'}]");
	expect("blue/vm1", "blue/vm2", 17, 9, 53, VERDICT_DENY, "p", "");
	expect("blue/vm1", "blue/vm2", 132, 9, 53, VERDICT_DENY, "p", "");
	expect("blue/vm1", "blue/vm2", 1, 0, 0, VERDICT_ALLOW, "default", "");
}

Test(resolve, R11_many_rules_are_left_to_single_questions)
{
	struct answer a;

	for (int i = 0; i < 9; i++)
		cr_assert_eq(world_apply(&w,
					 "[{'kind':'policy','network':'blue','name':'p%d',"
					 "'from':'any','to':'any','proto':'tcp','to_port':%d,"
					 "'action':'deny'}]",
					 i, 100 + i),
			     0);
	a = world_ask(&w, "blue/vm1", "blue/vm2", 0, 0, 0);
	cr_assert_eq(a.n_rules, 0);
	cr_assert_eq(a.scope, SCOPE_PROTO | SCOPE_TO_PORT);
	expect("blue/vm1", "blue/vm2", 6, 9, 104, VERDICT_DENY, "p4", "");
	expect("blue/vm1", "blue/vm2", 6, 9, 99, VERDICT_ALLOW, "default", "");
}

Test(resolve, R8_groups_by_list_and_by_object)
{
	apply("[{'kind':'policy','network':'blue','name':'p','from':{'groups':['web']},"
	      "'to':{'groups':['db']},'action':'deny'},"
	      "{'kind':'group','network':'blue','name':'db','endpoints':['vm4']},"
	      "{'kind':'endpoint','network':'blue','name':'vm1','mac':'02:00:00:00:01:01',"
	      "'addresses':['10.1.0.11'],'groups':['web']}]");
	expect("blue/vm1", "blue/vm4", 6, 1, 2, VERDICT_DENY, "p", "");
	expect("blue/vm1", "blue/vm5", 6, 1, 2, VERDICT_ALLOW, "default", "");
	cr_assert_eq(world_delete(&w, "group", "blue/db"), 0);
	expect("blue/vm1", "blue/vm4", 6, 1, 2, VERDICT_ALLOW, "default", "");
}

Test(resolve, R8_two_networks_must_both_allow)
{
	struct answer a;

	expect("blue/vm1", "green/vm2", 6, 1, 80, VERDICT_DENY, "default", "");
	apply("[{'kind':'policy','network':'blue','name':'out','from':'any',"
	      "'to':{'network':'green'},'action':'allow','path':['firewall']}]");
	expect("blue/vm1", "green/vm2", 6, 1, 80, VERDICT_DENY, "default", "");
	apply("[{'kind':'policy','network':'green','name':'in','from':{'network':'blue',"
	      "'endpoints':['vm1']},'to':'any','proto':'tcp','action':'allow','path':['ips']}]");
	expect("blue/vm1", "green/vm2", 6, 1, 80, VERDICT_ALLOW, "in", "firewall,ips");
	expect("blue/vm1", "green/vm2", 17, 1, 80, VERDICT_DENY, "default", "");
	expect("blue/vm2", "green/vm2", 6, 1, 80, VERDICT_DENY, "default", "");
	expect("green/vm2", "blue/vm1", 6, 80, 1, VERDICT_DENY, "default", "");
	a = world_ask(&w, "blue/vm1", "green/vm2", 6, 1, 80);
	cr_assert_eq(a.vnid, world_network(&w, "green")->o.id);
	cr_assert_eq(a.sequence, world_network(&w, "green")->revision);
	apply("[{'kind':'policy','network':'blue','name':'no','priority':9,'from':'any',"
	      "'to':{'network':'green'},'action':'deny'}]");
	a = world_ask(&w, "blue/vm1", "green/vm2", 6, 1, 80);
	cr_assert_eq(a.verdict, VERDICT_DENY);
	cr_assert_eq(a.vnid, world_network(&w, "blue")->o.id, "the half that denies is named");
}

Test(resolve, R6_R11_questions_without_an_answer)
{
	struct question q = { .source = 9999, .to = "vm1", .packet = flow_all };
	struct answer a;

	resolve(&w.m, &q, &a);
	cr_assert_eq(a.verdict, VERDICT_NO_SOURCE);
	q.source = world_endpoint(&w, "blue/vm1")->o.id;
	q.by_address = true;
	cr_assert_eq(ip_parse("10.1.0.200", &q.address), 0);
	resolve(&w.m, &q, &a);
	cr_assert_eq(a.verdict, VERDICT_NO_ENDPOINT);
	cr_assert_null(a.outcome.policy);
	world_place(&w, "blue/vm2", NULL, "");
	a = world_ask(&w, "blue/vm1", "blue/vm2", 6, 1, 2);
	cr_assert_eq(a.verdict, VERDICT_ALLOW, "policies hold wherever the destination is");
	cr_assert_null(a.destination->place.host);
	cr_assert_str_eq(a.outcome.policy->o.spec->name, "default");
}

Test(resolve, R1_default_of_a_network)
{
	expect("blue/vm1", "blue/vm2", 6, 1, 2, VERDICT_ALLOW, "default", "");
	apply("[{'kind':'network','name':'blue','subnets':['10.1.0.0/24'],'default':'deny'}]");
	expect("blue/vm1", "blue/vm2", 6, 1, 2, VERDICT_DENY, "default", "");
	expect("green/vm1", "green/vm2", 6, 1, 2, VERDICT_ALLOW, "default", "");
}

static void expect_gateway(const char *from, const char *address, const char *network)
{
	struct answer a = world_ask_at(&w, from, address);

	cr_assert_eq(a.verdict, VERDICT_GATEWAY, "%s -> %s: %s", from, address,
		     resolve_verdict_name(a.verdict));
	cr_assert_eq(a.vnid, world_network(&w, network)->o.id);
	cr_assert_eq(a.sequence, world_network(&w, network)->revision);
	cr_assert_null(a.outcome.policy);
	cr_assert_null(a.destination);
}

Test(resolve, gateways_answer_their_networks_and_joined_ones)
{
	apply("[{'kind':'network','name':'blue','subnets':['10.1.0.0/24',"
	      "{'prefix':'10.1.9.0/24','gateway':'10.1.9.254'},'fd00:1::/64']}]");
	expect_gateway("blue/vm1", "10.1.0.1", "blue");
	expect_gateway("blue/vm1", "10.1.9.254", "blue");
	expect_gateway("blue/vm1", "fd00:1::1", "blue");
	cr_assert_eq(world_ask_at(&w, "blue/vm1", "10.1.9.1").verdict, VERDICT_NO_ENDPOINT);
	cr_assert_eq(world_ask_at(&w, "blue/vm1", "10.2.0.1").verdict, VERDICT_NO_ENDPOINT, "not joined");
	apply("[{'kind':'policy','network':'green','name':'p','from':{'network':'blue'},'to':'any',"
	      "'action':'deny'}]");
	expect_gateway("blue/vm1", "10.2.0.1", "green");
	expect_gateway("green/vm1", "10.1.9.254", "blue");
}

Test(resolve, an_endpoint_may_have_an_unnamed_gateways_address)
{
	struct answer a;

	apply("[{'kind':'endpoint','network':'blue','name':'router','mac':'02:00:00:00:02:01',"
	      "'addresses':['10.1.0.1']}]");
	a = world_ask_at(&w, "blue/vm1", "10.1.0.1");
	cr_assert_eq(a.verdict, VERDICT_ALLOW);
	cr_assert_eq(a.destination, world_endpoint(&w, "blue/router"));
	cr_assert_eq(world_delete(&w, "endpoint", "blue/router"), 0);
	expect_gateway("blue/vm1", "10.1.0.1", "blue");
}

Test(resolve, link_local_addresses_mean_the_own_network)
{
	struct answer a;

	apply("[{'kind':'policy','network':'blue','name':'out','from':'any','to':{'network':'green'},"
	      "'action':'allow'},"
	      "{'kind':'endpoint','network':'green','name':'g','mac':'02:00:00:00:03:01',"
	      "'addresses':['10.2.0.99','fe80::99']},"
	      "{'kind':'endpoint','network':'blue','name':'b','mac':'02:00:00:00:03:02',"
	      "'addresses':['10.1.0.98','fe80::98','fe80::ff:fe00:302']}]");
	a = world_ask_at(&w, "blue/vm1", "fe80::ff:fe00:102");
	cr_assert_eq(a.destination, world_endpoint(&w, "blue/vm2"));
	cr_assert_eq(a.verdict, VERDICT_ALLOW);
	a = world_ask_at(&w, "green/vm1", "fe80::ff:fe00:102");
	cr_assert_eq(a.destination, world_endpoint(&w, "green/vm2"));
	cr_assert_eq(world_ask_at(&w, "blue/vm1", "fe80::98").destination, world_endpoint(&w, "blue/b"));
	cr_assert_eq(world_ask_at(&w, "blue/vm1", "fe80::ff:fe00:302").destination,
		     world_endpoint(&w, "blue/b"));
	cr_assert_eq(world_ask_at(&w, "blue/vm1", "10.2.0.99").destination, world_endpoint(&w, "green/g"));
	cr_assert_eq(world_ask_at(&w, "blue/vm1", "fe80::99").verdict, VERDICT_NO_ENDPOINT);
	cr_assert_eq(world_ask_at(&w, "blue/vm1", "fe80::ff:fe00:301").verdict, VERDICT_NO_ENDPOINT);
	apply("[{'kind':'endpoint','network':'blue','name':'b','mac':'02:00:00:00:03:03'}]");
	cr_assert_eq(world_ask_at(&w, "blue/vm1", "fe80::98").verdict, VERDICT_NO_ENDPOINT);
	cr_assert_eq(world_ask_at(&w, "blue/vm1", "fe80::ff:fe00:302").verdict, VERDICT_NO_ENDPOINT);
	cr_assert_eq(world_ask_at(&w, "blue/vm1", "fe80::ff:fe00:303").destination,
		     world_endpoint(&w, "blue/b"));
	cr_assert_eq(world_delete(&w, "endpoint", "blue/b"), 0);
	cr_assert_eq(world_ask_at(&w, "blue/vm1", "fe80::ff:fe00:303").verdict, VERDICT_NO_ENDPOINT);
}

static struct check check(const char *from, const char *to, const char *policy, uint64_t sequence)
{
	struct check c = { .vnid = world_endpoint(&w, to)->o.net->o.id, .sequence = sequence };
	struct question q = { .source = world_endpoint(&w, from)->o.id,
			      .by_address = true,
			      .packet = flow_all };

	if (world_policy(&w, policy))
		c.policy = world_policy(&w, policy)->o.id;
	q.address = world_endpoint(&w, to)->o.spec->u.endpoint.addresses[0];
	resolve_check(&w.m, &q, &c);
	return c;
}

Test(resolve, R15_check)
{
	uint64_t s = world_network(&w, "blue")->revision;
	struct check c = check("blue/vm1", "blue/vm2", "blue/default", s);

	cr_assert(c.current);
	cr_assert_eq(c.revision, s);
	apply("[{'kind':'policy','network':'blue','name':'p','from':'any','to':'any',"
	      "'action':'allow'}]");
	c = check("blue/vm1", "blue/vm2", "blue/default", s);
	cr_assert(!c.current);
	cr_assert_eq(c.found->o.sequence, s + 1);
	cr_assert_str_eq(c.answer.outcome.policy->o.spec->name, "p");
	cr_assert(check("blue/vm1", "blue/vm2", "blue/p", s + 1).current);
	cr_assert(!check("blue/vm1", "blue/vm2", "blue/p", s).current);
	cr_assert_null(check("blue/vm1", "blue/vm2", "blue/none", s).found);
}
