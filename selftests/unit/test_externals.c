// SPDX-License-Identifier: Apache-2.0
/* External networks: what is beyond a network's edge, and who gets there and back. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dps/feed.h"
#include "dps_world.h"
#include "lib/cleanup.h"

WORLD_OWN

static void setup(void)
{
	world_init(&w);
	world_reference(&w);
	apply("[{'kind':'external','network':'blue','name':'internet','prefixes':['0.0.0.0/0','::/0'],"
	      "'gateway':{'host':'h3'}},"
	      "{'kind':'external','network':'blue','name':'office','prefixes':['198.51.100.0/24',"
	      "'2001:db8:77::/48']}]");
}

static void teardown(void)
{
	world_free(&w);
}

TestSuite(externals, .init = setup, .fini = teardown);

static struct endpoint *party(const char *key)
{
	return model_find_party(&w.m, key);
}

static struct answer ask(const char *from, const char *to, int proto)
{
	struct question q = { .source = party(from)->o.id,
			      .destination = party(to)->o.id,
			      .packet = flow_all };
	struct answer a;

	q.packet.proto = proto;
	resolve(&w.m, &q, &a);
	return a;
}

static void expect(const char *from, const char *to, enum verdict verdict, const char *policy)
{
	struct answer a = ask(from, to, 6);

	cr_assert_eq(a.verdict, verdict, "%s -> %s: %s", from, to, resolve_verdict_name(a.verdict));
	cr_assert_str_eq(a.outcome.policy->o.spec->name, policy, "%s -> %s", from, to);
}

static void expect_at(const char *from, const char *address, const char *to)
{
	struct answer a = world_ask_at(&w, from, address);

	cr_assert_eq(a.destination, to ? party(to) : NULL, "%s -> %s: %s", from, address,
		     a.destination ? a.destination->o.key : resolve_verdict_name(a.verdict));
}

Test(externals, the_longest_prefix_has_an_address)
{
	expect_at("blue/vm1", "203.0.113.5", "blue/internet");
	expect_at("blue/vm1", "198.51.100.5", "blue/office");
	expect_at("blue/vm1", "2001:db8:77::5", "blue/office");
	expect_at("blue/vm1", "2001:db8:78::5", "blue/internet");
	expect_at("blue/vm1", "10.1.0.12", "blue/vm2");
	expect_at("blue/vm1", "10.1.0.200", NULL);
	expect_at("blue/vm1", "10.1.0.1", NULL);
	expect_at("blue/vm1", "10.2.0.12", "blue/internet");
	expect_at("blue/vm1", "224.0.0.1", NULL);
	expect_at("blue/vm1", "fe80::77", NULL);
	expect_at("green/vm1", "203.0.113.5", NULL);
	cr_assert_eq(world_delete(&w, "external", "blue/office"), 0);
	expect_at("blue/vm1", "198.51.100.5", "blue/internet");
}

Test(externals, what_joined_networks_have_is_not_beyond_the_edge)
{
	apply("[{'kind':'policy','network':'blue','name':'p','from':'any','to':{'network':'green'},"
	      "'action':'allow'}]");
	expect_at("blue/vm1", "10.2.0.12", "green/vm2");
	expect_at("blue/vm1", "10.2.0.200", NULL);
	cr_assert_eq(world_ask_at(&w, "blue/vm1", "10.2.0.1").verdict, VERDICT_GATEWAY);
	expect_at("green/vm1", "203.0.113.5", NULL);
	cr_assert_eq(world_ask_at(&w, "green/vm1", "203.0.113.5").verdict, VERDICT_NO_ENDPOINT);
}

Test(externals, R8_only_policies_let_anything_out_or_in)
{
	struct answer a;

	expect("blue/vm1", "blue/internet", VERDICT_DENY, "default");
	expect("blue/internet", "blue/vm1", VERDICT_DENY, "default");
	apply("[{'kind':'policy','network':'blue','name':'all','from':{'network':'blue'},"
	      "'to':{'network':'blue'},'action':'allow'}]");
	expect("blue/vm1", "blue/internet", VERDICT_DENY, "default");
	apply("[{'kind':'policy','network':'blue','name':'out','from':{'endpoints':['vm1']},"
	      "'to':{'external':'internet'},'proto':'tcp','action':'allow','path':['firewall']},"
	      "{'kind':'policy','network':'blue','name':'in','from':{'external':'office'},"
	      "'to':{'endpoints':['vm2']},'action':'reject'}]");
	expect("blue/vm1", "blue/internet", VERDICT_ALLOW, "out");
	expect("blue/vm1", "blue/office", VERDICT_DENY, "default");
	expect("blue/vm2", "blue/internet", VERDICT_DENY, "default");
	expect("blue/office", "blue/vm2", VERDICT_DENY, "in");
	cr_assert(ask("blue/office", "blue/vm2", 6).outcome.reject);
	a = ask("blue/vm1", "blue/internet", 6);
	cr_assert_str_eq(world_path(&a.outcome), "firewall");
	apply("[{'kind':'policy','network':'blue','name':'any','from':'any','to':'any','action':'allow'}]");
	expect("blue/vm3", "blue/internet", VERDICT_ALLOW, "any");
	expect("blue/internet", "blue/vm3", VERDICT_ALLOW, "any");
	expect("blue/internet", "blue/office", VERDICT_DENY, "default");
}

Test(externals, a_default_that_rejects_rejects_nothing_beyond_the_edge)
{
	apply("[{'kind':'network','name':'blue','default':'reject'}]");
	expect("blue/vm1", "blue/internet", VERDICT_DENY, "default");
	cr_assert(!ask("blue/vm1", "blue/internet", 6).outcome.reject);
}

Test(externals, replies_come_back)
{
	struct answer a;

	apply("[{'kind':'policy','network':'blue','name':'out','from':{'endpoints':['vm1']},"
	      "'to':{'external':'internet'},'proto':'tcp','action':'allow'}]");
	a = ask("blue/vm1", "blue/internet", 6);
	cr_assert(a.outcome.allow && a.outcome.reply);
	a = ask("blue/internet", "blue/vm1", 6);
	cr_assert(!a.outcome.allow && a.outcome.replies);
	cr_assert_eq(a.vnid, world_network(&w, "blue")->o.id);
	cr_assert_eq(a.outcome.policy, world_network(&w, "blue")->fallback);
	cr_assert_eq(a.sequence, world_network(&w, "blue")->revision);
	cr_assert(!ask("blue/internet", "blue/vm2", 6).outcome.replies);
	cr_assert(!ask("blue/office", "blue/vm1", 6).outcome.replies);
	a = ask("blue/vm1", "blue/internet", 0);
	cr_assert_eq(a.n_rules, 2);
	cr_assert(a.rules[0].outcome.reply && !a.rules[1].outcome.allow);
	apply("[{'kind':'policy','network':'blue','name':'no','from':{'external':'internet'},'to':'any',"
	      "'action':'deny'}]");
	cr_assert(!ask("blue/internet", "blue/vm1", 6).outcome.replies);
	cr_assert_eq(world_network(&w, "blue")->o.floor, world_network(&w, "blue")->revision);
}

Test(externals, other_networks_have_no_part_in_them)
{
	apply("[{'kind':'policy','network':'blue','name':'out','from':'any','to':'any','action':'allow'},"
	      "{'kind':'policy','network':'blue','name':'join','from':'any','to':{'network':'green'},"
	      "'action':'allow'},"
	      "{'kind':'policy','network':'green','name':'all','from':'any','to':'any','action':'allow'}]");
	expect("blue/vm1", "green/vm1", VERDICT_ALLOW, "all");
	cr_assert_eq(ask("green/vm1", "blue/internet", 6).verdict, VERDICT_NO_ENDPOINT);
	cr_assert_eq(ask("blue/internet", "green/vm1", 6).verdict, VERDICT_NO_ENDPOINT);
}

static void expect_json(const char *from, const char *to, const char *text)
{
	struct answer a = ask(from, to, 6);
	cJSON *json = world_answer_json(&w, &a, 60);
	_free_ char *got = cJSON_PrintUnformatted(json_get(json, "destination"));

	cr_assert_null(json_get(json, "address"));
	cr_assert_str_eq(got, text);
	cJSON_Delete(json);
}

Test(externals, answers_name_the_gateway)
{
	char text[256];
	unsigned int id = party("blue/internet")->o.id;

	snprintf(text, sizeof(text),
		 "{\"id\":%u,\"name\":\"blue/internet\",\"external\":true,\"vnid\":1,"
		 "\"mac\":\"02:d0:7e:00:00:01\",\"host\":\"h3\",\"host_addresses\":[\"192.0.2.3\"]}",
		 id);
	expect_json("blue/vm1", "blue/internet", text);
	snprintf(text, sizeof(text),
		 "{\"id\":%u,\"name\":\"blue/office\",\"external\":true,\"vnid\":1,"
		 "\"mac\":\"02:d0:7e:00:00:01\",\"host\":null,\"host_addresses\":[]}",
		 id + 1);
	expect_json("blue/vm1", "blue/office", text);
	apply("[{'kind':'external','network':'blue','name':'office','prefixes':['198.51.100.0/24'],"
	      "'gateway':{'host':'h9'}}]");
	cr_assert(strstr(party("blue/office")->o.spec->body, "\"gateway\":{\"host\":\"h9\"}"));
	snprintf(text, sizeof(text),
		 "{\"id\":%u,\"name\":\"blue/office\",\"external\":true,\"vnid\":1,"
		 "\"mac\":\"02:d0:7e:00:00:01\",\"host\":\"h9\",\"host_addresses\":[]}",
		 id + 1);
	expect_json("blue/vm1", "blue/office", text);
}

Test(externals, ids_are_of_one_count_and_never_come_again)
{
	uint32_t id = party("blue/office")->o.id;

	cr_assert_eq(world_delete(&w, "external", "blue/office"), 0);
	apply("[{'kind':'endpoint','network':'green','name':'office','mac':'02:00:00:00:07:01'}]");
	cr_assert_eq(world_endpoint(&w, "green/office")->o.id, id + 1);
	apply("[{'kind':'external','network':'blue','name':'office','prefixes':['198.51.100.0/24']}]");
	cr_assert_eq(party("blue/office")->o.id, id + 2);
	cr_assert_eq(world_apply(&w, "[{'kind':'endpoint','network':'blue','name':'office',"
				     "'mac':'02:00:00:00:07:02'}]"),
		     -EEXIST);
	cr_assert_str_eq(w.err.field, "name");
}

Test(externals, R27_what_a_policy_names_stays)
{
	apply("[{'kind':'policy','network':'blue','name':'p','from':{'external':'office'},'to':'any',"
	      "'action':'deny'}]");
	cr_assert_eq(world_delete(&w, "external", "blue/office"), -EEXIST);
	cr_assert(strstr(w.err.text, "policy blue/p"), "%s", w.err.text);
	cr_assert_eq(world_delete(&w, "policy", "blue/p"), 0);
	cr_assert_eq(world_delete(&w, "external", "blue/office"), 0);
	cr_assert_eq(world_apply(&w, "[%s]", party("blue/internet")->o.spec->body), 0, "%s", w.err.text);
	cr_assert_eq(w.counts.unchanged, 1, "what is shown is not what was applied");
}

/* What rises */

static uint64_t now(void)
{
	return world_network(&w, "blue")->revision;
}

Test(externals, R20_numbers_rise_as_those_of_an_endpoint)
{
	const struct object *x = &party("blue/internet")->o, *office = &party("blue/office")->o;
	uint64_t floor = x->floor, made = now();

	apply("[{'kind':'external','network':'blue','name':'internet','prefixes':['0.0.0.0/0','::/0'],"
	      "'gateway':{'host':'h2'}}]");
	cr_assert(x->sequence == now() && x->floor == floor, "the gateway is another");
	apply("[{'kind':'host','name':'h2','addresses':['192.0.2.22']}]");
	cr_assert(x->sequence == now() && x->floor == floor, "its gateway's address is another");
	apply("[{'kind':'external','network':'blue','name':'internet','prefixes':['0.0.0.0/0'],"
	      "'gateway':{'host':'h2'}}]");
	cr_assert(x->sequence == now() && x->floor == now(), "its prefixes are others");
	cr_assert_leq(office->floor, made, "no prefix of its own is around those that went");
	apply("[{'kind':'external','network':'blue','name':'office','prefixes':['203.0.113.0/24']}]");
	cr_assert_eq(x->floor, now(), "198.51.100.0/24 falls to it");
	made = now();
	apply("[{'kind':'endpoint','network':'blue','name':'vm9','mac':'02:00:00:00:01:09',"
	      "'addresses':['10.1.0.99']}]");
	cr_assert_lt(x->floor, now(), "subnets are no part of it");
	apply("[{'kind':'network','name':'blue'}]");
	cr_assert_eq(x->floor, now(), "now they are");
	cr_assert_eq(world_delete(&w, "endpoint", "blue/vm9"), 0);
	cr_assert_eq(x->floor, now(), "and so is what an endpoint had");
}

Test(externals, R20_a_denial_reaches_them)
{
	const struct object *x = &party("blue/internet")->o, *office = &party("blue/office")->o;
	uint64_t floor = office->floor;

	apply("[{'kind':'policy','network':'blue','name':'no','from':'any','to':{'external':'internet'},"
	      "'action':'deny'}]");
	cr_assert_eq(x->floor, now());
	cr_assert_eq(office->floor, floor);
	cr_assert_lt(world_network(&w, "blue")->o.floor, now());
}

/* What a gateway is told */

static char told[1 << 16];

static void keep(const char *line, void *arg)
{
	(void)arg;
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "%s\n", line);
}

static void tell(const struct txn *txn, void *arg)
{
	struct feed_news *news = feed_news(txn);

	feed_tell(arg, news);
	feed_news_free(news);
}

static void expect_told(const char *text)
{
	cr_assert(strstr(told, text), "no %s in %s", text, told);
	*told = '\0';
}

Test(externals, gateways_serve_their_network)
{
	struct feed feed = { .emit = keep, .host = "h3" };

	feed_start(&feed, &w.m, 3600);
	cr_assert(strstr(told, "\"name\":\"internet\",\"prefixes\":[\"0.0.0.0/0\",\"::/0\"],\"here\":true"),
		  "%s", told);
	cr_assert(strstr(told, "\"name\":\"office\",\"prefixes\":[\"198.51.100.0/24\","
			       "\"2001:db8:77::/48\"],\"here\":false"),
		  "%s", told);
	expect_told("\"subnets\":[{\"prefix\":\"10.1.0.0/24\",\"gateway\":\"10.1.0.1\",\"vnid\":1}]");
	w.committed = tell;
	w.arg = &feed;
	apply("[{'kind':'policy','network':'blue','name':'p','from':'any','to':{'network':'green'},"
	      "'action':'allow'}]");
	expect_told("{\"prefix\":\"10.2.0.0/24\",\"gateway\":\"10.2.0.1\",\"vnid\":2}]");
	apply("[{'kind':'group','network':'blue','name':'g','endpoints':['vm1']}]");
	cr_assert_null(strstr(told, "externals"), "%s", told);
	*told = '\0';
	apply("[{'kind':'external','network':'blue','name':'office','prefixes':['10.1.0.0/25','10.0.0.0/"
	      "8']}]");
	expect_told("\"name\":\"office\",\"prefixes\":[\"10.0.0.0/8\"]");
	apply("[{'kind':'network','name':'green','subnets':['10.2.0.0/24','10.3.0.0/24']}]");
	expect_told("{\"prefix\":\"10.3.0.0/24\",\"gateway\":\"10.3.0.1\",\"vnid\":2}]");
	apply("[{'kind':'external','network':'blue','name':'internet','prefixes':['::/0'],"
	      "'gateway':{'host':'h1'}}]");
	expect_told("{\"type\":\"forget\",\"vnid\":1}");
	apply("[{'kind':'external','network':'blue','name':'office','prefixes':['10.0.0.0/8'],"
	      "'gateway':{'host':'h3'}}]");
	expect_told("{\"type\":\"network\",\"network\":{\"vnid\":1,\"name\":\"blue\"");
	feed_stop(&feed);
}
