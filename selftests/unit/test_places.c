// SPDX-License-Identifier: Apache-2.0
/* Places: who gets one, who keeps it, and what hosts are told of it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/feed.h"
#include "dps/places.h"
#include "dps_world.h"

WORLD_SUITE(places);

static struct host *host(const char *name)
{
	return (struct host *)model_find(&w.m, KIND_HOST, name);
}

static struct endpoint *vm1(void)
{
	return world_endpoint(&w, "blue/vm1");
}

Test(places, R19_of_two_claims_one_wins)
{
	struct commit_context ctx = world_context(&w);
	uint64_t read = vm1()->place.revision, before = world_network(&w, "blue")->revision;

	cr_assert_eq(places_claim(&ctx, vm1(), host("h2"), read, "two", &w.err), 0);
	cr_assert_eq(places_claim(&ctx, vm1(), host("h3"), read, "three", &w.err), -EEXIST);
	cr_assert_str_eq(w.err.field, "revision");
	cr_assert_eq(vm1()->place.host, host("h2"));
	cr_assert_eq(vm1()->place.revision, before + 1);
	cr_assert_eq(world_network(&w, "blue")->revision, before + 1, "a lost claim changes nothing");
	cr_assert_eq(places_claim(&ctx, vm1(), host("h3"), ANY_REVISION, "three", &w.err), 0);
}

Test(places, R19_a_late_host_steals_nothing)
{
	struct commit_context ctx = world_context(&w);
	uint64_t revision;

	cr_assert_eq(places_renew(vm1(), host("h1"), "first", &w.err), 0);
	cr_assert_eq(places_claim(&ctx, vm1(), host("h2"), ANY_REVISION, "two", &w.err), 0);
	revision = world_network(&w, "blue")->revision;
	cr_assert_eq(places_renew(vm1(), host("h1"), "first", &w.err), -EEXIST);
	cr_assert_eq(places_release(&ctx, vm1(), "first", &w.err), -EEXIST);
	cr_assert_eq(places_renew(vm1(), host("h1"), "two", &w.err), -EEXIST);
	cr_assert_eq(places_renew(vm1(), host("h2"), "two", &w.err), 0);
	cr_assert_eq(world_network(&w, "blue")->revision, revision, "a renewal changes nothing");
	cr_assert_eq(places_release(&ctx, vm1(), "two", &w.err), 0);
	cr_assert_null(vm1()->place.host);
	cr_assert_eq(places_release(&ctx, vm1(), "", &w.err), -EEXIST);
}

Test(places, R19_a_move_raises_no_floor)
{
	uint64_t floor = vm1()->o.floor, network = world_network(&w, "blue")->o.floor;

	cr_assert_eq(world_place(&w, "blue/vm1", "h3", "x"), 0);
	cr_assert_eq(vm1()->o.sequence, world_network(&w, "blue")->revision);
	cr_assert_eq(vm1()->o.floor, floor);
	cr_assert_eq(world_network(&w, "blue")->o.floor, network);
	cr_assert_eq(world_policy(&w, "blue/default")->o.sequence, 1);
}

Test(places, R15_a_thousand_starts_invalidate_nothing)
{
	uint64_t floor = world_network(&w, "green")->o.floor;
	char key[32];

	cr_assert_eq(world_apply(&w, "[{'kind':'network','name':'big'},"
				     "{'kind':'policy','network':'big','name':'p','from':{'groups':['web']},"
				     "'to':'any','action':'deny'}]"),
		     0);
	floor = world_network(&w, "big")->o.floor;
	for (int i = 0; i < 1000; i++) {
		cr_assert_eq(world_apply(&w,
					 "[{'kind':'endpoint','network':'big','name':'v%d',"
					 "'mac':'02:00:00:00:%02x:%02x','addresses':['10.5.%d.%d'],"
					 "'groups':['web']}]",
					 i, i >> 8, i & 255, i >> 8, i & 255),
			     0, "%s", w.err.text);
		snprintf(key, sizeof(key), "big/v%d", i);
		cr_assert_eq(world_place(&w, key, "h1", "c"), 0);
	}
	cr_assert_eq(world_network(&w, "big")->o.floor, floor);
	cr_assert_eq(world_policy(&w, "big/p")->o.sequence, 1);
	cr_assert_eq(world_policy(&w, "big/default")->o.sequence, 1);
}

/* What a host is told */

static struct ptrs lines;

static void collect(const char *line, void *arg)
{
	ptrs_push(&lines, strdup(line));
	(void)arg;
}

static void forget_lines(void)
{
	for (size_t i = 0; i < lines.n; i++)
		free(lines.v[i]);
	ptrs_free(&lines);
}

static void tell(const struct txn *txn, void *arg)
{
	struct feed_news *news = feed_news(txn);

	feed_tell(arg, news);
	feed_news_free(news);
}

static void follow(struct feed *feed, const char *name)
{
	*feed = (struct feed){ .emit = collect };
	snprintf(feed->host, sizeof(feed->host), "%s", name);
	feed_start(feed, &w.m, 3600);
	w.committed = tell;
	w.arg = feed;
}

/* Frame i has all of these texts, up to a NULL. */
static void expect(size_t i, const char *const *texts)
{
	cr_assert(i < lines.n, "frame %zu is missing", i);
	for (; *texts; texts++)
		cr_assert(strstr(lines.v[i], *texts), "no %s in %s", *texts, (char *)lines.v[i]);
}

#define EXPECT(i, ...) expect(i, (const char *const[]){ __VA_ARGS__, NULL })

Test(places, R15_watch_snapshot_and_commits)
{
	struct feed feed;

	follow(&feed, "h1");
	cr_assert_eq(lines.n, 1);
	EXPECT(0, "\"type\":\"snapshot\"", "\"lifetime\":3600", "\"name\":\"blue\"", "\"name\":\"green\"",
	       "\"name\":\"default\",\"sequence\":1,\"floor\":1,\"deleted\":false", "\"name\":\"vm1\"");
	cr_assert_null(strstr(lines.v[0], "\"mac\":\"02:00:00:00:01:02\",\"addresses\":[\"10.1.0.12\"]"),
		       "vm2 of blue is not here");
	forget_lines();
	cr_assert_eq(world_apply(&w, "[{'kind':'policy','network':'blue','name':'p','from':'any',"
				     "'to':{'endpoints':['vm1','vm2']},'action':'deny'}]"),
		     0);
	cr_assert_eq(lines.n, 1);
	EXPECT(0, "\"type\":\"commit\",\"vnid\":1", "\"name\":\"p\"", "\"name\":\"default\"",
	       "\"name\":\"vm1\"", "\"gone\":[]");
	cr_assert_null(strstr(lines.v[0], "\"name\":\"vm2\""));
	forget_lines();
	cr_assert_eq(world_delete(&w, "policy", "blue/p"), 0);
	EXPECT(0, "\"name\":\"p\"", "\"deleted\":true");
	forget_lines();
	feed_stop(&feed);
	follow(&feed, "h1");
	EXPECT(0, "\"name\":\"p\"", "\"deleted\":true");
	forget_lines();
	feed_stop(&feed);
}

Test(places, R19_watch_tells_where_it_went)
{
	struct feed feed;

	follow(&feed, "h1");
	forget_lines();
	cr_assert_eq(world_place(&w, "blue/vm1", "h2", "x"), 0);
	cr_assert_eq(lines.n, 1);
	EXPECT(0, "\"type\":\"commit\"", "\"endpoints\":[]",
	       "\"addresses\":[\"10.1.0.11\"],\"host\":\"h2\",\"host_addresses\":[\"192.0.2.2\"]");
	forget_lines();
	cr_assert_eq(world_place(&w, "blue/vm1", "h3", "y"), 0);
	EXPECT(0, "\"host\":\"h3\"");
	forget_lines();
	cr_assert_eq(world_place(&w, "blue/vm1", "h1", "z"), 0);
	EXPECT(0, "\"name\":\"vm1\"", "\"gone\":[]");
	forget_lines();
	cr_assert_eq(world_place(&w, "blue/vm1", NULL, ""), 0);
	EXPECT(0, "\"host\":null", "\"endpoints\":[]");
	forget_lines();
	cr_assert_eq(world_apply(&w, "[{'kind':'host','name':'h2','addresses':['192.0.2.77']}]"), 0);
	EXPECT(0, "\"type\":\"hosts\",\"hosts\":[{\"id\":2,\"name\":\"h2\",\"addresses\":[\"192.0.2.77\"]}]");
	forget_lines();
	feed_stop(&feed);
}

Test(places, watch_tells_the_gateways)
{
	struct feed feed;

	follow(&feed, "h3");
	cr_assert_eq(world_place(&w, "blue/vm1", "h3", "x"), 0);
	EXPECT(1, "\"addresses\":[\"10.1.0.11\"],\"gateways\":[\"10.1.0.1\"]");
	forget_lines();
	cr_assert_eq(world_apply(&w, "[{'kind':'endpoint','network':'blue','name':'router',"
				     "'mac':'02:00:00:00:02:01','addresses':['10.1.0.1']}]"),
		     0);
	EXPECT(0, "\"type\":\"commit\"", "\"name\":\"vm1\"", "\"gateways\":[null]");
	forget_lines();
	cr_assert_eq(world_apply(&w, "[{'kind':'endpoint','network':'blue','name':'router',"
				     "'mac':'02:00:00:00:02:01','addresses':['10.1.0.2']}]"),
		     0);
	EXPECT(0, "\"name\":\"vm1\"", "\"gateways\":[\"10.1.0.1\"]");
	forget_lines();
	cr_assert_eq(world_apply(&w, "[{'kind':'endpoint','network':'blue','name':'router',"
				     "'mac':'02:00:00:00:02:01','addresses':['10.1.0.3']}]"),
		     0);
	EXPECT(0, "\"endpoints\":[]");
	forget_lines();
	cr_assert_eq(world_apply(&w, "[{'kind':'network','name':'blue','subnets':"
				     "[{'prefix':'10.1.0.0/16','gateway':'10.1.255.1'}]}]"),
		     0, "%s", w.err.text);
	EXPECT(0, "\"name\":\"vm1\"", "\"gateways\":[\"10.1.255.1\"]");
	forget_lines();
	cr_assert_eq(world_apply(&w, "[{'kind':'network','name':'blue'}]"), 0);
	EXPECT(0, "\"name\":\"vm1\"", "\"gateways\":[null]");
	forget_lines();
	feed_stop(&feed);
}

Test(places, R15_watch_begins_and_ends_to_serve)
{
	struct commit_context ctx = world_context(&w);
	struct feed feed;

	cr_assert_eq(world_apply(&w, "[{'kind':'host','name':'h9','addresses':['192.0.2.9']}]"), 0);
	follow(&feed, "h9");
	EXPECT(0, "\"networks\":[]");
	forget_lines();
	cr_assert_eq(world_place(&w, "blue/vm1", "h9", "x"), 0);
	cr_assert_eq(lines.n, 1);
	EXPECT(0, "\"type\":\"network\"", "\"name\":\"blue\"", "\"name\":\"vm1\"");
	forget_lines();
	cr_assert_eq(world_place(&w, "blue/vm1", "h1", "y"), 0);
	EXPECT(0, "\"type\":\"commit\"", "\"host\":\"h1\"");
	forget_lines();
	feed_progress(&feed, &w.m);
	EXPECT(0, "\"type\":\"progress\",\"networks\":[{\"vnid\":1,\"revision\":");
	forget_lines();
	ctx = world_context(&w);
	ctx.now += 3601;
	cr_assert_eq(commit_expire(&ctx, &w.err), 0);
	cr_assert_eq(lines.n, 1);
	EXPECT(0, "\"type\":\"forget\",\"vnid\":1");
	forget_lines();
	feed_stop(&feed);
}
