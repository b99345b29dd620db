// SPDX-License-Identifier: Apache-2.0
/* R25: VNIDs and ids come from the ranges of their domain. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "dps/hierarchy.h"
#include "dps/places.h"
#include "dps_world.h"

static struct world w;
static struct domain d;
static struct hierarchy h;
static struct api api;
static struct sign_key *key;
static struct json_error err;

/* acme, with VNIDs 256 to 511, on the world's model. */
static void setup(void)
{
	const struct authority_env env = {
		.find = domain_find, .version = domain_version, .used = domain_used, .arg = &d
	};
	struct vnid_ranges ranges = { .n = 0 };

	world_init(&w);
	cr_assert_eq(sign_key_make(&key, NULL), 0);
	ranges_add(&ranges, 256, 511);
	authority_init(&d.authority, "acme", key, &ranges, 0, &env);
	d.h = &h;
	d.api = &api;
	w.m.next_id = domain_next_id;
	w.m.next_id_arg = &d;
}

static void sync(void)
{
	api.model = w.m; /* what the domain looks at */
	api.lifetime = 600;
	api.signer = (struct signer){ .key = key, .zone = "acme" };
}

static void teardown(void)
{
	authority_free(&d.authority);
	sign_key_free(key);
	world_free(&w);
}

TestSuite(domain, .init = setup, .fini = teardown);

static void apply(const char *text)
{
	cr_assert_eq(world_apply(&w, "%s", text), 0, "%s %s: %s", w.err.object, w.err.field, w.err.text);
	sync();
}

static int delegate(uint32_t first, uint32_t last)
{
	struct delegation child = { .domain = "acme/eng", .n_servers = 1, .n_keys = 1 };

	child.keys[0] = *sign_key_public(key);
	ranges_add(&child.ranges, first, last);
	return authority_delegate(&d.authority, &child, 1700000000, &err);
}

static void make_endpoints(unsigned int n)
{
	sync();
	for (unsigned int i = 0; i < n; i++) {
		cr_assert_eq(world_apply(&w,
					 "[{'kind':'endpoint','network':'blue','name':'e%u',"
					 "'mac':'02:00:00:00:%02x:%02x','addresses':[]}]",
					 i, i >> 8, i & 255),
			     0);
		sync();
	}
}

Test(domain, VNIDs_of_its_range)
{
	sync();
	cr_assert_eq(delegate(257, 300), 0, "%s", err.text);
	apply("[{'kind':'network','name':'blue'}]");
	apply("[{'kind':'network','name':'red'}]");
	cr_assert_eq(world_network(&w, "blue")->o.id, 256);
	cr_assert_eq(world_network(&w, "red")->o.id, 301, "what is delegated is passed over");
	cr_assert_eq(delegate(256, 300), -EEXIST, "a network has one of them");
	cr_assert_eq(delegate(257, 301), -EEXIST);
	cr_assert_eq(delegate(257, 512), -ERANGE);
}

Test(domain, ids_are_unique_over_all_domains)
{
	sync();
	cr_assert_eq(delegate(257, 300), 0);
	apply("[{'kind':'network','name':'blue'}]");
	make_endpoints(300);
	cr_assert_eq(world_endpoint(&w, "blue/e0")->o.id, 256 * 256);
	cr_assert_eq(world_endpoint(&w, "blue/e255")->o.id, 256 * 256 + 255);
	cr_assert_eq(world_endpoint(&w, "blue/e256")->o.id, 301 * 256, "not of the child's");
	cr_assert_eq(delegate(257, 301), -EEXIST, "ids of that VNID are in use");
	cr_assert_eq(delegate(257, 300), 0);
	cr_assert_eq(delegate(302, 511), 0);
	make_endpoints(330);
	cr_assert_eq(world_endpoint(&w, "blue/e329")->o.id, 301 * 256 + 73,
		     "those that are there keep theirs");
}

Test(domain, all_VNIDs_used)
{
	char text[64];

	sync();
	cr_assert_eq(delegate(258, 511), 0);
	for (int i = 0; i < 2; i++) {
		snprintf(text, sizeof(text), "[{'kind':'network','name':'n%d'}]", i);
		apply(text);
	}
	cr_assert_eq(world_apply(&w, "[{'kind':'network','name':'n2'}]"), -EEXIST);
	cr_assert_null(world_network(&w, "n2"));
}

static struct finding find(const struct ask *ask)
{
	struct finding f;

	cr_assert_eq(domain_find(&d, ask, &f), 0);
	return f;
}

Test(domain, finds_what_its_model_says)
{
	struct ask ask = { .kind = ASK_NAME, .name = "acme:blue/vm1" };
	struct finding f;

	apply("[{'kind':'network','name':'blue','subnets':['10.1.0.0/24']},"
	      "{'kind':'endpoint','network':'blue','name':'vm1','mac':'02:00:00:00:01:01','addresses':['10.1."
	      "0.11']},"
	      "{'kind':'endpoint','network':'blue','name':'vm2','mac':'02:00:00:00:01:02','addresses':['10.1."
	      "0.12']}]");
	f = find(&ask);
	cr_assert_eq(f.kind, STATEMENT_NAME);
	cr_assert_eq(f.vnid, 256);
	cr_assert_eq(cJSON_GetObjectItem(f.answer, "id")->valueint, 65536);
	cJSON_Delete(f.answer);
	strcpy(ask.name, "acme:blue/nobody");
	f = find(&ask);
	cr_assert_eq(f.kind, STATEMENT_NO_NETWORK);

	ask = (struct ask){ .kind = ASK_POLICY, .vnid = 256, .source = 65536 };
	cr_assert_eq(ip_parse("10.1.0.12", &ask.to.address), 0);
	f = find(&ask);
	cr_assert_eq(f.kind, STATEMENT_POLICY);
	cr_assert(f.whole && !f.absent);
	cr_assert_str_eq(cJSON_GetObjectItem(f.answer, "verdict")->valuestring, "allow");
	cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItem(f.answer, "signed")), 1);
	cJSON_Delete(f.answer);
	ask.source = 4711;
	f = find(&ask);
	cr_assert(f.absent, "no such source");
	cJSON_Delete(f.answer);
	ask.vnid = 300;
	f = find(&ask);
	cr_assert_eq(f.kind, STATEMENT_NO_NETWORK);
}

Test(domain, a_network_lists_who_may_claim)
{
	struct commit_context ctx;
	struct endpoint *ep;
	const char *id = "0123456789abcdef0123456789abcdef";

	apply("[{'kind':'host','name':'h1','addresses':['192.0.2.1']},{'kind':'host','name':'h2','addresses':"
	      "['192.0.2.2']},"
	      "{'kind':'network','name':'blue','hosts':['h1']},"
	      "{'kind':'endpoint','network':'blue','name':'vm1','mac':'02:00:00:00:01:01','addresses':[]}]");
	ctx = world_context(&w);
	ep = world_endpoint(&w, "blue/vm1");
	cr_assert_eq(places_claim(&ctx, ep, (struct host *)model_find(&w.m, KIND_HOST, "h2"), ANY_REVISION,
				  id, &err),
		     -EACCES);
	cr_assert_str_eq(err.field, "host");
	cr_assert_null(ep->place.host);
	cr_assert_eq(places_claim(&ctx, ep, (struct host *)model_find(&w.m, KIND_HOST, "h1"), ANY_REVISION,
				  id, &err),
		     0, "%s", err.text);
}

Test(domain, R25_instances_are_told_to_whom_an_answer_names_the_service)
{
	struct ask ask = { .kind = ASK_SERVICE, .name = "acme:fw", .vnid = 256 };
	struct finding f;

	apply("[{'kind':'network','name':'blue','subnets':['10.1.0.0/24']},"
	      "{'kind':'network','name':'green','foreign':'globex:green','vnid':600,'subnets':['10.3.0.0/"
	      "24']},"
	      "{'kind':'endpoint','network':'blue','name':'vm1','mac':'02:00:00:00:01:01','addresses':['10.1."
	      "0.11']},"
	      "{'kind':'endpoint','network':'blue','name':'vm2','mac':'02:00:00:00:01:02','addresses':['10.1."
	      "0.12']},"
	      "{'kind':'endpoint','network':'blue','name':'fw','mac':'02:00:00:00:01:09'},"
	      "{'kind':'service','name':'fw','instances':[{'endpoint':'blue/fw'}]},"
	      "{'kind':'service','name':'ips','instances':[]},"
	      "{'kind':'policy','network':'blue','name':'out','from':{'endpoints':['vm1']},'to':{'network':'"
	      "green'},"
	      "'action':'allow','proto':'tcp','to_port':443,'path':['fw']},"
	      "{'kind':'policy','network':'blue','name':'in','from':{'network':'green'},'to':{'endpoints':['"
	      "vm2']},"
	      "'action':'allow','path':['ips']}]");
	ask.source = world_endpoint(&w, "blue/vm1")->o.id;
	cr_assert_eq(ip_parse("10.3.0.5", &ask.to.address), 0);
	f = find(&ask);
	cr_assert_eq(f.kind, STATEMENT_SERVICE);
	cr_assert(!f.absent, "for one of the pair's packets it leads through it");
	cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItem(f.answer, "instances")), 1);
	cr_assert_str_eq(cJSON_GetObjectItem(f.answer, "name")->valuestring, "fw");
	cJSON_Delete(f.answer);
	ask.source = world_endpoint(&w, "blue/vm2")->o.id;
	cr_assert(find(&ask).absent, "vm2's packets do not meet it");
	ask.source = world_endpoint(&w, "blue/vm1")->o.id;
	cr_assert_eq(ip_parse("10.1.0.12", &ask.to.address), 0);
	cr_assert(find(&ask).absent, "nor do vm1's, to a neighbour");
	ask.vnid = 600;
	cr_assert(find(&ask).absent, "of another's network it has nothing to say");
	strcpy(ask.name, "acme:ips");
	ask.vnid = 256;
	ask.from_vnid = 600;
	ask.source = 600 * 256;
	f = find(&ask);
	cr_assert(!f.absent, "what enters meets this one");
	cJSON_Delete(f.answer);
	strcpy(ask.name, "acme:nothing");
	cr_assert(find(&ask).absent, "there is no such service");
	strcpy(ask.name, "acme:ips");
	ask.vnid = 0;
	cr_assert(find(&ask).absent, "who names no answer is told nothing");
}

Test(domain, R25_a_place_is_told_to_who_knows_it)
{
	struct ask ask = { .kind = ASK_PLACE, .vnid = 256, .source = 65536 };
	struct finding f;

	apply("[{'kind':'network','name':'blue'},{'kind':'network','name':'red'},"
	      "{'kind':'host','name':'h1','addresses':['192.0.2.1','2001:db8::1']},"
	      "{'kind':'endpoint','network':'blue','name':'vm1','mac':'02:00:00:00:01:01'}]");
	cr_assert_eq(ip_parse("2001:db8::1", &ask.to.address), 0);
	f = find(&ask);
	cr_assert_eq(f.kind, STATEMENT_PLACE);
	cr_assert(f.absent, "it is nowhere");
	cr_assert_eq(world_place(&w, "blue/vm1", "h1", NULL), 0);
	sync();
	f = find(&ask);
	cr_assert(!f.absent, "there");
	cJSON_Delete(f.answer);
	ask.to.address.b[15]++;
	cr_assert(find(&ask).absent, "and nowhere else");
	ask.to.address.b[15]--;
	ask.vnid = 257;
	cr_assert(find(&ask).absent, "it is of another network");
	ask.vnid = 300;
	cr_assert_eq(find(&ask).kind, STATEMENT_NO_NETWORK);
}
