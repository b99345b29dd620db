// SPDX-License-Identifier: Apache-2.0
/* Services, their instances, and what answers and watches say of paths. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "dps/feed.h"
#include "dps_world.h"
#include "lib/cleanup.h"

WORLD_SUITE(paths);

static void refuses(const char *text, const char *object, const char *field)
{
	char *before = world_dump(&w), *after;

	cr_assert_neq(world_apply(&w, "%s", text), 0, "%s", text);
	cr_assert_str_eq(w.err.object, object, "%s", text);
	cr_assert_str_eq(w.err.field, field, "%s", text);
	after = world_dump(&w);
	cr_assert_str_eq(before, after);
	free(before);
	free(after);
}

Test(paths, R8_what_an_instance_may_not_be)
{
#define SERVICE(instance) "[{'kind':'service','name':'s','instances':[{" instance "}]}]"
	refuses(SERVICE("'out':'blue/vm1'"), "service s", "instances[0].endpoint");
	refuses(SERVICE("'endpoint':'blue/vm1','out':'blue/vm1'"), "service s", "instances[0].out");
	refuses(SERVICE("'endpoint':'blue/vm1','out':'vm2'"), "service s", "instances[0].out");
	refuses(SERVICE("'endpoint':'blue/vm1','out':'blue/nobody'"), "service s", "instances[0]");
	refuses(SERVICE("'endpoint':'blue/vm1','weight':0"), "service s", "instances[0].weight");
	refuses(SERVICE("'endpoint':'blue/vm1','weight':101"), "service s", "instances[0].weight");
	refuses(SERVICE("'endpoint':'blue/vm1','capacity_mbps':0"), "service s",
		"instances[0].capacity_mbps");
	refuses(SERVICE("'endpoint':'blue/vm1','state':'tired'"), "service s", "instances[0].state");
	refuses(SERVICE("'endpoint':'blue/vm1','mode':'bridge'"), "service s", "instances[0].mode");
	refuses(SERVICE("'endpoint':'blue/vm1','probe':'no'"), "service s", "instances[0].probe");
	refuses(SERVICE("'endpoint':'blue/vm1','address':'10.1.0.1'"), "service s", "instances[0].address");
	refuses(SERVICE("'endpoint':'blue/vm1'},{'endpoint':'blue/vm1'"), "service s", "instances");
	apply("[{'kind':'service','name':'ips','instances':[{'endpoint':'blue/vm2','out':'blue/vm5'}]}]");
	refuses(SERVICE("'endpoint':'blue/vm5'"), "service s", "instances");
#define POLICY(more)                                                                                         \
	"[{'kind':'policy','network':'blue','name':'p','from':'any','to':'any','action':'allow'," more "}]"
	refuses(POLICY("'path':['firewall'],'on_failure':'maybe'"), "policy blue/p", "on_failure");
	refuses(POLICY("'on_failure':'open'"), "policy blue/p", "on_failure");
}

Test(paths, R8_the_same_again_changes_nothing)
{
	static const char rich[] =
		SERVICE("'endpoint':'blue/vm1','out':'blue/"
			"vm2','weight':3,'capacity_mbps':100,'state':'down','mode':'routed'");

	apply(rich);
	apply(rich);
	cr_assert_eq(w.counts.unchanged, 1);
	apply(SERVICE("'endpoint':'blue/vm1','mode':'proxy'"));
	apply(SERVICE("'endpoint':'blue/vm1','mode':'proxy'"));
	cr_assert_eq(w.counts.unchanged, 1);
	apply(SERVICE("'endpoint':'blue/vm1','probe':false"));
	apply(SERVICE("'endpoint':'blue/vm1','probe':false"));
	cr_assert_eq(w.counts.unchanged, 1);
	apply(SERVICE("'endpoint':'blue/vm1','weight':1,'state':'up','mode':'transparent','probe':true"));
	apply(SERVICE("'endpoint':'blue/vm1'"));
	cr_assert_eq(w.counts.unchanged, 1);
}

static struct answer about(const char *from, const char *to)
{
	return world_ask(&w, from, to, 6, 40000, 80);
}

Test(paths, R13_replies_take_the_path_back)
{
	apply(POLICY("'priority':9,'path':['firewall']"));
	cr_assert(about("blue/vm1", "blue/vm2").outcome.reply,
		  "open network, yet the flow is to be remembered");
	cr_assert(about("blue/vm1", "blue/vm2").through);
	apply(POLICY("'priority':9,'path':['firewall'],'reply':false"));
	cr_assert_not(about("blue/vm1", "blue/vm2").outcome.reply);
	cr_assert_not(about("blue/vm1", "blue/vm2").through);
	apply("[{'kind':'policy','network':'blue','name':'p','from':{'endpoints':['vm1']},'to':'any','action'"
	      ":'allow','path':['firewall']}]");
	cr_assert_not(about("blue/vm1", "blue/vm2").through, "nothing leads VM 2's packets anywhere");
	cr_assert(about("blue/vm2", "blue/vm1").through);
	cr_assert_not(about("blue/vm2", "blue/vm1").outcome.n_path);
}

Test(paths, R13_open_only_where_all_say_so)
{
	apply(POLICY("'priority':9,'path':['firewall'],'on_failure':'open'"));
	cr_assert(about("blue/vm1", "blue/vm2").outcome.open);
	apply("[{'kind':'policy','network':'blue','name':'q','from':'any','to':'any','action':'allow','path':"
	      "['ips']}]");
	cr_assert_eq(about("blue/vm1", "blue/vm2").outcome.n_path, 2);
	cr_assert_not(about("blue/vm1", "blue/vm2").outcome.open);
}

Test(paths, R15_the_floor_says_since_when_the_path_is_so)
{
	struct answer before = about("blue/vm1", "blue/vm2"), after;

	apply("[{'kind':'policy','network':'blue','name':'q','from':{'endpoints':['vm1']},'to':{'endpoints':["
	      "'vm2']},'action':'allow','path':['ips']}]");
	after = about("blue/vm1", "blue/vm2");
	cr_assert_gt(after.floor, before.sequence, "a path came: %lu, %lu", after.floor, before.sequence);
	apply("[{'kind':'policy','network':'blue','name':'r','from':{'endpoints':['vm5']},'to':{'endpoints':["
	      "'vm7']},'action':'deny'}]");
	cr_assert_eq(about("blue/vm1", "blue/vm2").floor, after.floor,
		     "another pair's policy is nothing to it");
}

Test(paths, R20_what_decides_the_replies_is_stale_when_a_path_comes)
{
	uint64_t before;

	apply("[{'kind':'policy','network':'blue','name':'back','from':{'endpoints':['vm2']},'to':{'"
	      "endpoints':['vm1']},'action':'allow'}]");
	before = world_policy(&w, "blue/back")->o.sequence;
	apply("[{'kind':'policy','network':'blue','name':'there','from':{'endpoints':['vm1']},'to':{'"
	      "endpoints':['vm2']},'action':'allow','path':['ips']}]");
	cr_assert_gt(world_policy(&w, "blue/back")->o.sequence, before);
}

/* ---- what hosts are told ---- */

static char *last[8];
static int n_last;

static void note(const char *line, void *arg)
{
	if (n_last < 8)
		last[n_last++] = strdup(line);
}

static void tell(const struct txn *txn, void *arg)
{
	struct feed_news *news = feed_news(txn);

	feed_tell(arg, news);
	feed_news_free(news);
}

static bool told(const char *text)
{
	bool found = false;

	for (int i = 0; i < n_last; i++) {
		found |= strstr(last[i], text) != NULL;
		free(last[i]);
	}
	n_last = 0;
	return found;
}

Test(paths, R28_hosts_are_told_where_instances_are)
{
	struct feed feed = { .host = "h9", .emit = note };

	apply("[{'kind':'host','name':'h1','addresses':['192.0.2.1']},{'kind':'host','name':'h9','addresses':"
	      "['192.0.2.9']}]");
	cr_assert_eq(world_place(&w, "blue/vm8", NULL, ""), 0);
	feed_start(&feed, &w.m, 60);
	cr_assert(told("\"services\":[{"));
	w.committed = tell;
	w.arg = &feed;
	apply("[{'kind':'service','name':'firewall','instances':[{'endpoint':'blue/vm8','weight':2}]}]");
	cr_assert(told("\"up\":false,\"routed\":false,\"proxy\":false,\"host\":null"));
	cr_assert_eq(world_place(&w, "blue/vm8", "h1", "claim"), 0);
	cr_assert(told("\"up\":true,\"routed\":false,\"proxy\":false,\"host\":\"h1\","
		       "\"host_addresses\":[\"192.0.2.1\"]"));
	world_endpoint(&w, "blue/vm8")->place.idle = true;
	feed_tell_services(&feed, &w.m);
	cr_assert(told("\"up\":false,\"routed\":false,\"proxy\":false,\"host\":\"h1\""));
	feed_tell_services(&feed, &w.m);
	cr_assert_not(told("services"), "what is as it was is not told again");
	apply("[{'kind':'service','name':'firewall','instances':[{'endpoint':'blue/vm8','mode':'proxy'}]}]");
	cr_assert(told("\"routed\":true,\"proxy\":true,"), "a proxy wants packets for its own MAC, too");
	w.committed = NULL;
	feed_stop(&feed);
}

Test(paths, R13_a_hop_watches_the_networks_that_come_by)
{
	struct feed feed = { .host = "h9", .emit = note };

	apply("[{'kind':'network','name':'tools'},{'kind':'endpoint','network':'tools','name':'fw','mac':'02:"
	      "00:00:00:77:01'},"
	      "{'kind':'host','name':'h9','addresses':['192.0.2.9']},"
	      "{'kind':'service','name':'firewall','instances':[{'endpoint':'tools/fw'}]}]");
	cr_assert_eq(world_place(&w, "tools/fw", "h9", "claim"), 0);
	feed_start(&feed, &w.m, 60);
	cr_assert_not(told("\"name\":\"blue\""));
	w.committed = tell;
	w.arg = &feed;
	apply(POLICY("'path':['firewall']"));
	cr_assert(told("\"type\":\"network\",\"network\":{\"vnid\""));
	apply(POLICY("'path':['ips']"));
	cr_assert(told("\"type\":\"forget\""));
	w.committed = NULL;
	feed_stop(&feed);
}
