// SPDX-License-Identifier: Apache-2.0
/* R8, R25: networks of other authorities, as far as our policies know them: one half of an answer each. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "dps_world.h"

static struct world acme, globex;

static void apply(struct world *w, const char *text)
{
	cr_assert_eq(world_apply(w, "%s", text), 0, "%s %s: %s", w->err.object, w->err.field, w->err.text);
}

static void setup(void)
{
	world_init(&acme);
	world_init(&globex);
	apply(&acme,
	      "[{'kind':'network','name':'blue','subnets':['10.1.0.0/24']},"
	      "{'kind':'network','name':'green','foreign':'globex:green','vnid':600,'subnets':['10.2.0.0/"
	      "24']},"
	      "{'kind':'endpoint','network':'blue','name':'vm1','mac':'02:00:00:00:01:01','addresses':['10.1."
	      "0.11']},"
	      "{'kind':'endpoint','network':'blue','name':'vm2','mac':'02:00:00:00:01:02','addresses':['10.1."
	      "0.12']},"
	      "{'kind':'service','name':'firewall'},"
	      "{'kind':'policy','network':'blue','name':'out','priority':10,'from':{'endpoints':['vm1']},"
	      "'to':{'network':'green'},'action':'allow','path':['firewall']}]");
	apply(&globex,
	      "[{'kind':'network','name':'green','subnets':['10.2.0.0/24']},"
	      "{'kind':'network','name':'blue','foreign':'acme:blue','vnid':256,'subnets':['10.1.0.0/24']},"
	      "{'kind':'endpoint','network':'green','name':'db','mac':'02:00:00:00:02:01','addresses':['10.2."
	      "0.11']},"
	      "{'kind':'policy','network':'green','name':'in','priority':10,'from':{'network':'blue'},"
	      "'to':{'endpoints':['db']},'proto':'tcp','to_port':443,'action':'allow'}]");
}

static void teardown(void)
{
	world_free(&acme);
	world_free(&globex);
}

TestSuite(foreign, .init = setup, .fini = teardown);

static struct answer leave(const char *from)
{
	struct question q = { .source = world_endpoint(&acme, from)->o.id,
			      .by_address = true,
			      .packet = flow_all };
	struct answer a;

	cr_assert_eq(ip_parse("10.2.0.11", &q.address), 0);
	resolve(&acme.m, &q, &a);
	return a;
}

static struct answer enter(uint32_t from_vnid, const char *to, int proto, int port)
{
	struct question q = { .source = 5, .from_vnid = from_vnid, .by_address = true, .packet = flow_all };
	struct answer a;

	q.packet.proto = proto;
	q.packet.to_port[0] = q.packet.to_port[1] = port;
	cr_assert_eq(ip_parse(to, &q.address), 0);
	resolve(&globex.m, &q, &a);
	return a;
}

Test(foreign, the_source_says_what_may_leave)
{
	struct answer a = leave("blue/vm1");

	cr_assert_eq(a.verdict, VERDICT_ALLOW);
	cr_assert_eq(a.beyond, 600);
	cr_assert_null(a.destination, "where it is only its authority knows");
	cr_assert_eq(a.vnid, world_network(&acme, "blue")->o.id);
	cr_assert_eq(a.sequence, world_network(&acme, "blue")->revision);
	cr_assert_str_eq(world_path(&a.outcome), "firewall");
	a = leave("blue/vm2");
	cr_assert_eq(a.verdict, VERDICT_DENY, "between networks nothing passes but what a policy allows");
	cr_assert_eq(a.beyond, 600);
}

Test(foreign, the_destination_says_what_may_enter)
{
	struct answer a = enter(256, "10.2.0.11", 6, 443);

	cr_assert_eq(a.verdict, VERDICT_ALLOW);
	cr_assert_eq(a.vnid, world_network(&globex, "green")->o.id);
	cr_assert_eq(a.destination, world_endpoint(&globex, "green/db"));
	cr_assert_eq(enter(256, "10.2.0.11", 6, 80).verdict, VERDICT_DENY);
	cr_assert_eq(enter(256, "10.2.0.12", 6, 443).verdict, VERDICT_NO_ENDPOINT);
	cr_assert_eq(enter(257, "10.2.0.11", 6, 443).verdict, VERDICT_NO_ENDPOINT,
		     "no policy knows that network");
	cr_assert_eq(enter(600, "10.2.0.11", 6, 443).verdict, VERDICT_NO_ENDPOINT,
		     "it is no other authority's");
}

Test(foreign, replies_pass_by_both_halves)
{
	struct question q = { .source = world_endpoint(&globex, "green/db")->o.id,
			      .by_address = true,
			      .packet = flow_all };
	struct answer back;

	cr_assert_eq(ip_parse("10.1.0.11", &q.address), 0);
	resolve(&globex.m, &q, &back);
	cr_assert_eq(back.verdict, VERDICT_DENY);
	cr_assert(back.outcome.replies, "what the other direction lets in may be answered");
	cr_assert_eq(back.outcome.policy, world_network(&globex, "green")->fallback);
	cr_assert_eq(back.beyond, 256);
}

Test(foreign, a_deny_there_leaves_no_replies)
{
	struct answer a;

	apply(&acme,
	      "[{'kind':'policy','network':'blue','name':'no','priority':99,'from':{'endpoints':['vm1']},"
	      "'to':{'network':'green'},'action':'deny'}]");
	a = leave("blue/vm1");
	cr_assert_eq(a.verdict, VERDICT_DENY);
	cr_assert(!a.outcome.replies);
	cr_assert_str_eq(a.outcome.policy->o.spec->name, "no");
}

static void refused(const char *text, int rc, const char *field)
{
	cr_assert_eq(world_apply(&acme, "%s", text), rc, "%s: %s", text, acme.err.text);
	cr_assert_str_eq(acme.err.field, field, "%s", acme.err.text);
}

Test(foreign, what_is_refused)
{
	refused("[{'kind':'network','name':'x','foreign':'globex:x'}]", -EINVAL, "vnid");
	refused("[{'kind':'network','name':'x','vnid':7}]", -EINVAL, "vnid");
	refused("[{'kind':'network','name':'x','foreign':'globex','vnid':7}]", -EINVAL, "foreign");
	refused("[{'kind':'network','name':'x','foreign':'globex:x','vnid':600}]", -EEXIST, "vnid");
	refused("[{'kind':'network','name':'x','foreign':'globex:x','vnid':1}]", -EEXIST, "vnid");
	refused("[{'kind':'network','name':'x','foreign':'globex:x','vnid':7,'default':'deny'}]", -EINVAL,
		"default");
	refused("[{'kind':'network','name':'green','foreign':'globex:green','vnid':601}]", -EEXIST, "vnid");
	refused("[{'kind':'network','name':'blue','foreign':'globex:blue','vnid':7}]", -EEXIST, "vnid");
	refused("[{'kind':'network','name':'green'}]", -EEXIST, "foreign");
	refused("[{'kind':'endpoint','network':'green','name':'a','mac':'02:00:00:00:09:01','addresses':[]}]",
		-EINVAL, "network");
	refused("[{'kind':'network','name':'y','foreign':'globex:y','vnid':9},"
		"{'kind':'endpoint','network':'y','name':'a','mac':'02:00:00:00:09:01','addresses':[]}]",
		-EINVAL, "network");
	refused("[{'kind':'policy','network':'green','name':'p','priority':1,'from':'any','to':'any','action'"
		":'deny'}]",
		-EINVAL, "network");
	cr_assert_null(world_network(&acme, "y"), "all or none");
}

Test(foreign, overlapping_networks_cannot_be_joined)
{
	apply(&acme, "[{'kind':'network','name':'twin','foreign':'globex:twin','vnid':601,'subnets':['10.1.0."
		     "0/25']}]");
	refused("[{'kind':'policy','network':'blue','name':'p','priority':1,'from':'any','to':{'network':'"
		"twin'},"
		"'action':'allow'}]",
		-EEXIST, "to.network");
}

/* R15: the destination's authority about a packet whose sender it does not know. */
Test(foreign, a_packet_from_there_is_checked_by_its_policy)
{
	struct question q = { .source = 4711, .by_address = true, .packet = flow_all };
	struct check check = { .vnid = world_network(&globex, "green")->o.id,
			       .policy = world_policy(&globex, "green/in")->o.id,
			       .sequence = world_network(&globex, "green")->revision };

	q.packet.proto = 6;
	q.packet.to_port[0] = q.packet.to_port[1] = 443;
	cr_assert_eq(ip_parse("10.2.0.11", &q.address), 0);
	resolve_check(&globex.m, &q, &check);
	cr_assert(check.current);
	q.packet.to_port[0] = q.packet.to_port[1] = 80;
	resolve_check(&globex.m, &q, &check);
	cr_assert(!check.current, "the policy does not let that in");
	q.packet.to_port[0] = q.packet.to_port[1] = 443;
	check.policy = world_network(&globex, "green")->fallback->o.id;
	resolve_check(&globex.m, &q, &check);
	cr_assert(!check.current, "the default lets nothing in");
	apply(&globex,
	      "[{'kind':'policy','network':'green','name':'shut','priority':99,'from':{'network':'blue'},"
	      "'to':{'endpoints':['db']},'action':'deny'}]");
	check.policy = world_policy(&globex, "green/in")->o.id;
	resolve_check(&globex.m, &q, &check);
	cr_assert(!check.current, "it decides no more");
}

Test(foreign, hosts_that_may_claim)
{
	apply(&acme, "[{'kind':'host','name':'h1','addresses':['192.0.2.1']},"
		     "{'kind':'host','name':'h2','addresses':['192.0.2.2']},"
		     "{'kind':'network','name':'blue','subnets':['10.1.0.0/24'],'hosts':['h1']}]");
	refused("[{'kind':'network','name':'z','hosts':[]}]", -EINVAL, "hosts");
	cr_assert_eq(strcmp(world_network(&acme, "blue")->o.spec->u.network.hosts.v[0], "h1"), 0);
}
