// SPDX-License-Identifier: Apache-2.0
/* Quality of service: whose word it is, and the paths that are laid out for classes. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "dps_world.h"

WORLD_SUITE(qos_policy);

#define VM1_TO_VM2 "'network':'blue','from':{'endpoints':['vm1']},'to':{'endpoints':['vm2']},'action':'allow'"
#define ANY_TO_ANY "'network':'blue','from':'any','to':'any','action':'allow'"

static uint64_t sequence_of(const char *policy)
{
	return world_policy(&w, policy)->o.sequence;
}

static uint64_t floor_of(const char *policy)
{
	return world_policy(&w, policy)->o.floor;
}

/* The first policy that says something of a part is the one whose word it is; the verdict is another's. */
Test(qos_policy, R8_each_part_is_the_first_word)
{
	struct answer a;

	apply("[{'kind':'policy','name':'top','priority':30," VM1_TO_VM2 "},"
	      "{'kind':'policy','name':'mark','priority':20,'qos':{'dscp':46}," VM1_TO_VM2 "},"
	      "{'kind':'policy','name':'rate','priority':10,'qos':{'dscp':8,'rate_mbps':100,'class':'gold'}"
	      "," VM1_TO_VM2 "},"
	      "{'kind':'policy','name':'low','priority':5,'qos':{'rate_mbps':5,'class':'lead'}," ANY_TO_ANY
	      "}]");
	a = world_ask(&w, "blue/vm1", "blue/vm2", 0, 0, 0);
	cr_assert_eq(a.outcome.policy, world_policy(&w, "blue/top"));
	cr_assert_eq(a.outcome.dscp, 46);
	cr_assert_eq(a.outcome.rate_mbps, 100);
	cr_assert_eq(a.outcome.rate_policy, world_policy(&w, "blue/rate")->o.id);
	cr_assert_str_eq(a.outcome.class, "gold");
	a = world_ask(&w, "blue/vm2", "blue/vm1", 0, 0, 0);
	cr_assert_eq(a.outcome.rate_policy, world_policy(&w, "blue/low")->o.id);
	cr_assert_str_eq(a.outcome.class, "lead");
	cr_assert_eq(a.outcome.dscp, -1);
}

Test(qos_policy, R28_a_class_becomes_the_path_that_is_laid_out_for_it)
{
	struct answer a;

	apply("[{'kind':'policy','name':'p','qos':{'dscp':46,'class':'gold'}," VM1_TO_VM2 "}]");
	a = world_ask(&w, "blue/vm1", "blue/vm2", 0, 0, 0);
	cr_assert_eq(a.outcome.vlan, 0, "nothing is laid out");
	cr_assert_eq(a.outcome.dscp, 46);
	apply("[{'kind':'underlay_path','name':'gold','vlan':100},{'kind':'underlay_path','name':'lead','"
	      "vlan':7}]");
	a = world_ask(&w, "blue/vm1", "blue/vm2", 0, 0, 0);
	cr_assert_eq(a.outcome.vlan, 100);
	cr_assert_eq(a.outcome.dscp, 46, "the path says nothing of it");
	apply("[{'kind':'underlay_path','name':'gold','dscp':34}]");
	a = world_ask(&w, "blue/vm1", "blue/vm2", 0, 0, 0);
	cr_assert_eq(a.outcome.vlan, 0);
	cr_assert_eq(a.outcome.dscp, 34, "the path's word goes first");
	a = world_ask(&w, "blue/vm2", "blue/vm1", 0, 0, 0);
	cr_assert_eq(a.outcome.dscp, -1, "no policy names a class here");
	cr_assert_eq(world_delete(&w, "underlay_path", "gold"), 0, "%s", w.err.text);
	a = world_ask(&w, "blue/vm1", "blue/vm2", 0, 0, 0);
	cr_assert_eq(a.outcome.dscp, 46);
}

Test(qos_policy, R28_a_path_of_labels)
{
	struct answer a;
	char *before, *after;

	apply("[{'kind':'underlay_path','name':'gold','mpls':[{'label':1048575,'tc':7},200]},"
	      "{'kind':'policy','name':'p','qos':{'class':'gold'}," VM1_TO_VM2 "}]");
	a = world_ask(&w, "blue/vm1", "blue/vm2", 0, 0, 0);
	cr_assert_eq(a.outcome.labels.n, 2);
	cr_assert_eq(a.outcome.labels.at[0], 1048575u * 8 + 7);
	cr_assert_eq(a.outcome.labels.at[1], 200u * 8);
	a = world_ask(&w, "blue/vm2", "blue/vm1", 0, 0, 0);
	cr_assert_eq(a.outcome.labels.n, 0);
	before = world_dump(&w);
	apply("[{'kind':'underlay_path','name':'gold','mpls':[{'tc':7,'label':1048575},{'label':200,'tc':0}]}"
	      "]");
	after = world_dump(&w);
	cr_assert_str_eq(before, after, "the same in other words");
	free(before);
	free(after);
}

static struct ip_addr router(const char *text)
{
	struct ip_addr addr;

	cr_assert_eq(ip_parse(text, &addr), 0);
	return addr;
}

Test(qos_policy, R28_a_path_by_routers)
{
	struct ip_addr first = router("192.0.2.9"), second = router("192.0.2.13"),
		       six = router("2001:db8::9");
	struct answer a;
	char *before, *after;

	apply("[{'kind':'underlay_path','name':'gold','dscp':10,'vlan':7,'hops':['192.0.2.9','192.0.2.13']},"
	      "{'kind':'policy','name':'p','qos':{'class':'gold'}," VM1_TO_VM2 "}]");
	a = world_ask(&w, "blue/vm1", "blue/vm2", 0, 0, 0);
	cr_assert_eq(a.outcome.routers.n, 2);
	cr_assert(ip_equal(&a.outcome.routers.at[0], &first));
	cr_assert(ip_equal(&a.outcome.routers.at[1], &second));
	cr_assert_eq(a.outcome.vlan, 7);
	a = world_ask(&w, "blue/vm2", "blue/vm1", 0, 0, 0);
	cr_assert_eq(a.outcome.routers.n, 0);
	apply("[{'kind':'underlay_path','name':'gold','hops':['2001:db8::9','2001:db8::10','2001:db8::9',"
	      "'2001:db8:0:1::1']}]");
	a = world_ask(&w, "blue/vm1", "blue/vm2", 0, 0, 0);
	cr_assert_eq(a.outcome.routers.n, 4);
	cr_assert(ip_equal(&a.outcome.routers.at[2], &six), "one may be passed twice");
	before = world_dump(&w);
	apply("[{'kind':'underlay_path','name':'gold','hops':['2001:0db8::0009','2001:DB8::10','2001:db8::9',"
	      "'2001:db8:0:1::1']}]");
	after = world_dump(&w);
	cr_assert_str_eq(before, after, "the same in other words");
	free(before);
	free(after);
}

Test(qos_policy, R28_rules_have_paths_too)
{
	struct answer a;

	apply("[{'kind':'underlay_path','name':'gold','vlan':100},"
	      "{'kind':'policy','name':'p','proto':'tcp','to_port':80,'qos':{'class':'gold'}," VM1_TO_VM2
	      "}]");
	a = world_ask(&w, "blue/vm1", "blue/vm2", 0, 0, 0);
	cr_assert_eq(a.n_rules, 2);
	cr_assert_eq(a.rules[0].outcome.vlan, 100);
	cr_assert_eq(a.rules[1].outcome.vlan, 0);
}

/* What is sent on another path is old at once, and still delivered. */
Test(qos_policy, R20_R28_another_path_raises_the_sequence_of_the_policies_that_use_it)
{
	static const char *const changes[] = {
		"[{'kind':'underlay_path','name':'gold','vlan':100}]",
		"[{'kind':'underlay_path','name':'gold','vlan':200}]",
		"[{'kind':'underlay_path','name':'gold','vlan':200,'dscp':10}]",
		"[{'kind':'underlay_path','name':'gold','vlan':200,'dscp':10,'mpls':[100]}]",
		"[{'kind':'underlay_path','name':'gold','vlan':200,'dscp':10,'mpls':[{'label':100,'tc':1}]}]",
		"[{'kind':'underlay_path','name':'gold','hops':['192.0.2.9','192.0.2.13']}]",
		"[{'kind':'underlay_path','name':'gold','hops':['192.0.2.13','192.0.2.9']}]",
		NULL, /* it is taken away */
	};
	uint64_t other;

	apply("[{'kind':'policy','name':'p','priority':5,'qos':{'class':'gold'}," VM1_TO_VM2 "},"
	      "{'kind':'policy','name':'above','priority':9," VM1_TO_VM2 "},"
	      "{'kind':'policy','name':'apart','network':'blue','from':{'endpoints':['vm3']},"
	      "'to':{'endpoints':['vm2']},'action':'allow','qos':{'class':'lead'}}]");
	other = sequence_of("blue/apart");
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		uint64_t before = sequence_of("blue/p"), above = sequence_of("blue/above");
		uint64_t floor = floor_of("blue/p"), net = world_network(&w, "blue")->o.floor;

		if (changes[i])
			apply(changes[i]);
		else
			cr_assert_eq(world_delete(&w, "underlay_path", "gold"), 0);
		cr_assert_gt(sequence_of("blue/p"), before, "change %zu", i);
		cr_assert_gt(sequence_of("blue/above"), above, "it decides packets that have the class");
		cr_assert_eq(floor_of("blue/p"), floor);
		cr_assert_eq(world_network(&w, "blue")->o.floor, net);
		cr_assert_eq(sequence_of("blue/apart"), other, "another class");
	}
}

Test(qos_policy, R20_equal_content_changes_nothing)
{
	static const char text[] =
		"[{'kind':'underlay_path','name':'gold','vlan':100,'dscp':10},"
		"{'kind':'policy','name':'p','qos':{'dscp':1,'rate_mbps':2,'class':'gold'}," VM1_TO_VM2 "}]";
	char *before, *after;

	apply(text);
	before = world_dump(&w);
	apply(text);
	after = world_dump(&w);
	cr_assert_str_eq(before, after);
	free(before);
	free(after);
}

Test(qos_policy, R20_another_rate_or_class_raises_the_sequence_and_no_floor)
{
	static const char *const more[] = { "{'rate_mbps':10}", "{'rate_mbps':20}",
					    "{'rate_mbps':20,'class':'gold'}", "{'class':'gold'}" };
	uint64_t before = 0, floor = 0;

	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		cr_assert_eq(
			world_apply(&w, "[{'kind':'policy','name':'p','qos':%s," VM1_TO_VM2 "}]", more[i]),
			0);
		cr_assert_gt(sequence_of("blue/p"), before);
		if (i)
			cr_assert_eq(floor_of("blue/p"), floor);
		before = sequence_of("blue/p");
		floor = floor_of("blue/p");
	}
}
