// SPDX-License-Identifier: Apache-2.0
/* Who gets what a network sends to all. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dps/members.h"
#include "dps_world.h"
#include "lib/cleanup.h"

WORLD_SUITE(members);

static void expect(const char *name, const char *text)
{
	const struct network *net = world_network(&w, name);
	cJSON *json = members_json(&w.m, net);
	_free_ char *got = cJSON_PrintUnformatted(json);
	char head[64];

	cJSON_Delete(json);
	snprintf(head, sizeof(head), "{\"vnid\":%u,\"revision\":%lu,", net->o.id, net->revision);
	cr_assert(!strncmp(got, head, strlen(head)), "%s", got);
	cr_assert_str_eq(got + strlen(head), text);
}

Test(members, each_host_once)
{
	static const char *const both = "\"broadcast\":true,\"hosts\":["
					"{\"name\":\"h1\",\"addresses\":[\"192.0.2.1\"]},"
					"{\"name\":\"h2\",\"addresses\":[\"192.0.2.2\",\"2001:db8::2\"]}]}";

	cr_assert_eq(world_apply(&w, "[{'kind':'host','name':'h2','addresses':['192.0.2.2','2001:db8::2']},"
				     "{'kind':'network','name':'empty'}]"),
		     0);
	expect("blue", both);
	expect("green", both);
	expect("empty", "\"broadcast\":true,\"hosts\":[]}");
}

Test(members, hosts_that_cannot_be_reached_are_left_out)
{
	cr_assert_eq(world_apply(&w, "[{'kind':'host','name':'h1'},{'kind':'host','name':'h2'}]"), 0);
	expect("blue", "\"broadcast\":true,\"hosts\":[]}");
	cr_assert_eq(world_place(&w, "blue/vm1", "h3", "x"), 0);
	expect("blue", "\"broadcast\":true,\"hosts\":[{\"name\":\"h3\",\"addresses\":[\"192.0.2.3\"]}]}");
	cr_assert_eq(world_place(&w, "blue/vm1", NULL, ""), 0);
	expect("blue", "\"broadcast\":true,\"hosts\":[]}");
}

Test(members, a_network_may_have_no_broadcast)
{
	uint64_t revision = world_network(&w, "blue")->revision;

	cr_assert_eq(world_apply(&w, "[{'kind':'network','name':'blue','subnets':['10.1.0.0/24'],"
				     "'broadcast':false}]"),
		     0, "%s", w.err.text);
	cr_assert_eq(world_network(&w, "blue")->revision, revision + 1);
	expect("blue", "\"broadcast\":false,\"hosts\":[]}");
	cr_assert(strstr(world_network(&w, "blue")->o.spec->body, "\"broadcast\":false"));
}

Test(members, strangers_are_not_told)
{
	uint32_t blue = world_network(&w, "blue")->o.id, vm = world_endpoint(&w, "blue/vm1")->o.id;
	const struct network *net = NULL;

	cr_assert_eq(members_find(&w.m, blue, vm, &net, &w.err), 0);
	cr_assert_eq(net, world_network(&w, "blue"));
	cr_assert_eq(members_find(&w.m, 999, vm, &net, &w.err), -ENOENT);
	cr_assert_str_eq(w.err.field, "vnid");
	cr_assert_eq(members_find(&w.m, blue, world_endpoint(&w, "green/vm1")->o.id, &net, &w.err), -ENOENT);
	cr_assert_str_eq(w.err.field, "source");
	cr_assert_eq(members_find(&w.m, blue, 999, &net, &w.err), -ENOENT);
	cr_assert_str_eq(w.err.field, "source");
}
