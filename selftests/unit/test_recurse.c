// SPDX-License-Identifier: Apache-2.0
/*
 * R24: what agents are told again is what they would be told if it were made anew, and is never told where that
 * would not be: neither below a floor, nor of a statement that is over or replaced, nor by a key that is gone.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "dps/recurse.h"
#include "lib/translation.h"

#define NOW 1700000000
#define ACME 256
#define GLOBEX 600
#define LIFE 600

static struct hierarchy h;
static struct resolver *r = &h.node.r;
static int64_t clock_now;
static struct sign_key *acme, *globex, *stranger;
static char *told;

static int64_t now(void *arg)
{
	return clock_now;
}

static uint64_t ticks(void *arg)
{
	return 1 + (uint64_t)(clock_now - NOW) * 1000;
}

static uint32_t chance(void *arg)
{
	return 1;
}

static int send_it(void *arg, uint64_t id, const struct server_name *server,
		   const struct server_address *addr, const struct ask *ask, const struct errand *errand)
{
	return 0; /* nobody ever replies */
}

static void anchor(const char *domain, uint32_t first, uint32_t last, const struct sign_key *key)
{
	struct delegation d = { .ranges = { .v = { { first, last } }, .n = 1 }, .n_servers = 1, .n_keys = 1 };

	strcpy(d.domain, domain);
	strcpy(d.servers[0].name, "ns");
	d.servers[0].addresses[0].port = 1;
	d.servers[0].n_addresses = 1;
	d.keys[0] = *sign_key_public(key);
	reference_anchor(&r->ref, &d);
}

static void setup(void)
{
	const struct query_env env = { .now = now, .ticks = ticks, .random = chance, .send = send_it };
	const struct query_config config = { .name = "here" };
	struct error err;

	clock_now = NOW;
	cr_assert(!sign_key_make(&acme, &err) && !sign_key_make(&globex, &err) &&
		  !sign_key_make(&stranger, &err));
	query_init(r, &env, &config);
	anchor("", 1, VNID_LAST, stranger);
	anchor("acme", ACME, ACME + 255, acme);
	anchor("globex", GLOBEX, GLOBEX + 99, globex);
	r->ref.root_issued = NOW;
	r->ref.root_expires = NOW + 86400;
}

static void teardown(void)
{
	free(told);
	told = NULL;
	query_free(r);
	sign_key_free(acme);
	sign_key_free(globex);
	sign_key_free(stranger);
}

TestSuite(recurse, .init = setup, .fini = teardown);

/* ---- what authorities have said ---- */

static struct translation word(const char *zone, uint32_t vnid, uint32_t policy)
{
	struct translation t = { .vnid = vnid, .from_vnid = ACME, .source = 5, .sequence = 7, .issued = NOW };

	strcpy(t.zone, zone);
	t.expires = NOW + 2 * LIFE;
	t.outcome.policy = policy;
	t.outcome.dscp = -1;
	t.has_destination = true;
	t.destination.id = 9;
	t.destination.vnid = vnid;
	strcpy(t.destination.name, "net/vm");
	return t;
}

static void add_rule(struct translation *t, uint8_t proto, uint16_t first, uint16_t last, uint32_t policy,
		     enum translation_verdict verdict)
{
	struct translation_rule *rule = &t->rules[t->n_rules++];

	*rule = (struct translation_rule){ .proto = proto,
					   .from_port = { 0, 65535 },
					   .to_port = { first, last } };
	rule->outcome.verdict = verdict;
	rule->outcome.policy = policy;
	rule->outcome.dscp = -1;
	t->scope = TRANSLATION_PROTO | TRANSLATION_TO_PORT;
}

static cJSON *answer_of(const struct translation *t, const struct sign_key *key)
{
	cJSON *out = translation_answer(t, NOW), *list = cJSON_CreateArray();
	struct translation_doc doc;

	cr_assert_eq(translation_sign(t, key, &doc), 0);
	cJSON_AddItemToArray(list, translation_doc_json(&doc));
	cJSON_AddItemToObject(out, "signed", list);
	translation_doc_free(&doc);
	return out;
}

static struct ask question(uint32_t vnid)
{
	struct ask ask = {
		.kind = ASK_POLICY, .vnid = vnid, .source = 5, .from_vnid = vnid == ACME ? 0 : ACME
	};

	cr_assert_eq(ip_parse("10.1.0.9", &ask.to.address), 0);
	return ask;
}

/* As if its server had just replied. */
static void arrives(const struct translation *t, const struct sign_key *key, uint32_t beyond)
{
	struct ask ask = question(t->vnid);
	struct statement s = { .kind = STATEMENT_POLICY,
			       .vnid = t->vnid,
			       .from_vnid = ask.from_vnid,
			       .beyond = beyond,
			       .source = 5,
			       .to = ask.to,
			       .whole = true,
			       .decided_by = t->vnid,
			       .sequence = t->sequence,
			       .issued = clock_now,
			       .expires = clock_now + 2 * LIFE,
			       .lifetime = LIFE };
	struct signed_doc doc = { 0 };

	strcpy(s.zone, t->zone);
	doc.body = statement_render(&s, answer_of(t, key));
	doc.len = strlen(doc.body);
	sign_id(sign_key_public(key), doc.key);
	cr_assert(cache_put(&r->cache, &ask, &s, &doc, clock_now));
	signed_free(&doc);
}

/* ---- what the agent is told ---- */

static void on_answer(char *answer, void *arg)
{
	free(told);
	told = answer;
}

/* NULL: others have to be asked. */
static const char *ask_for(uint8_t proto, uint16_t to_port, uint64_t min_revision)
{
	struct recurse_key key = { .source = 5,
				   .vnid = ACME,
				   .by_address = true,
				   .packet = { proto, proto ? 40000 : 0, to_port },
				   .min_revision = min_revision };
	struct recurse *pending;

	free(told);
	told = NULL;
	cr_assert_eq(ip_parse("10.1.0.9", &key.address), 0);
	pending = recurse_start(&h, &key, "1", on_answer, NULL);
	cr_assert(!pending == !!told);
	if (pending)
		recurse_cancel(pending);
	return told;
}

static double number(const char *text, const char *field)
{
	cJSON *json = cJSON_Parse(text);
	double n;

	cr_assert(json, "it is JSON");
	n = cJSON_GetObjectItemCaseSensitive(json, field)->valuedouble;
	cJSON_Delete(json);
	return n;
}

static void expect(const char *text, unsigned int policy, unsigned int lifetime)
{
	cr_assert(text, "from the cache");
	cr_assert_eq(number(text, "policy"), policy, "%s", text);
	cr_assert_eq(number(text, "lifetime"), lifetime, "%s", text);
}

/* Twice: what is told the second time, without the first having been read again, is the same. */
static void expect_again(uint8_t proto, uint16_t to_port, unsigned int policy)
{
	uint64_t before;
	char *first;

	cr_assert(ask_for(proto, to_port, 0));
	first = strdup(told);
	expect(first, policy, LIFE);
	before = r->cache.said_again;
	cr_assert_str_eq(ask_for(proto, to_port, 0), first);
	cr_assert_eq(r->cache.said_again, before + 1, "it was not made anew");
	free(first);
}

Test(recurse, R24_an_answer_is_said_again_with_what_is_left_of_its_life)
{
	struct translation t = word("acme", ACME, 11);

	arrives(&t, acme, 0);
	expect_again(6, 443, 11);
	clock_now += 100;
	expect(ask_for(6, 443, 0), 11, LIFE - 100);
	cr_assert_eq(r->cache.said_again, 2);
	clock_now = NOW + LIFE;
	cr_assert_null(ask_for(6, 443, 0), "it is over");
}

Test(recurse, R24_each_packet_is_told_its_rule)
{
	struct translation t = word("acme", ACME, 11);

	add_rule(&t, 6, 443, 443, 12, TRANSLATION_DENY);
	add_rule(&t, 0, 0, 65535, 13, TRANSLATION_ALLOW);
	arrives(&t, acme, 0);
	expect_again(6, 443, 12);
	expect_again(6, 80, 13);
	expect_again(17, 443, 13 /* the same rule, other ports */);
	expect_again(6, 443, 12);
	cr_assert(strstr(told, "\"verdict\":\"deny\""));
}

Test(recurse, R24_two_authorities_halves)
{
	struct translation first = word("acme", ACME, 11), second = word("globex", GLOBEX, 21);

	first.beyond = GLOBEX;
	first.has_destination = false;
	add_rule(&second, 6, 443, 443, 22, TRANSLATION_ALLOW);
	add_rule(&second, 0, 0, 65535, 23, TRANSLATION_DENY);
	arrives(&first, acme, GLOBEX);
	arrives(&second, globex, 0);
	expect_again(6, 443, 22);
	expect_again(6, 80, 23);
	clock_now += 50;
	second.outcome.policy = second.rules[0].outcome.policy = 32;
	arrives(&second, globex, 0);
	expect(ask_for(6, 443, 0), 32, LIFE - 50);
	first.outcome.verdict = TRANSLATION_DENY;
	first.outcome.policy = 41;
	arrives(&first, acme, GLOBEX);
	expect(ask_for(6, 443, 0), 41, LIFE);
	cr_assert_eq(number(told, "sequence"), 7);
	first.outcome.verdict = TRANSLATION_ALLOW;
	arrives(&first, acme, GLOBEX);
	expect(ask_for(6, 443, 0), 32, LIFE);
	expect(ask_for(6, 443, 0), 32, LIFE);
}

Test(recurse, R24_one_half_replaced_makes_all_anew)
{
	struct translation first = word("acme", ACME, 11), second = word("globex", GLOBEX, 21);

	first.beyond = GLOBEX;
	first.has_destination = false;
	arrives(&first, acme, GLOBEX);
	arrives(&second, globex, 0);
	expect_again(6, 443, 21);
	clock_now += 10;
	first.outcome.rate_mbps = 100;
	first.outcome.rate_policy = 12;
	arrives(&first, acme, GLOBEX);
	cr_assert(strstr(ask_for(6, 443, 0), "\"rate_mbps\":100"),
		  "the source's half, too, is the new one: %s", told);
	cr_assert_eq(number(told, "lifetime"), LIFE - 10);
	cache_raise_floor(&r->cache, GLOBEX, 8);
	cr_assert_null(ask_for(6, 443, 0), "the destination's is below its floor");
}

Test(recurse, R20_not_below_a_floor_or_the_revision_that_is_wanted)
{
	struct translation t = word("acme", ACME, 11);

	arrives(&t, acme, 0);
	expect_again(6, 443, 11);
	cr_assert_null(ask_for(6, 443, 8), "an older one won't do");
	cr_assert(ask_for(6, 443, 7));
	cache_raise_floor(&r->cache, ACME, 8);
	cr_assert_null(ask_for(6, 443, 0));
	t.sequence = 8;
	t.outcome.policy = 12;
	arrives(&t, acme, 0);
	expect_again(6, 443, 12);
}

Test(recurse, R22_not_when_its_zone_has_other_keys_or_less_networks)
{
	struct translation t = word("acme", ACME, 11);

	arrives(&t, acme, 0);
	expect_again(6, 443, 11);
	anchor("acme", ACME, ACME + 255, stranger);
	cr_assert_null(ask_for(6, 443, 0), "nobody signs by that key any more");
	anchor("acme", ACME, ACME + 255, acme);
	expect(ask_for(6, 443, 0), 11, LIFE);
	anchor("acme", ACME + 1, ACME + 255, acme);
	cr_assert_null(ask_for(6, 443, 0), "the network is not the zone's any more");
}

Test(recurse, R26_what_is_kept_counts_among_the_cache_s_bytes)
{
	struct translation t = word("acme", ACME, 11);
	size_t before;

	arrives(&t, acme, 0);
	before = r->cache.bytes[CACHE_POLICY];
	ask_for(6, 443, 0);
	cr_assert_gt(r->cache.bytes[CACHE_POLICY], before + strlen(told) / 2);
	arrives(&t, acme, 0);
	cr_assert_eq(r->cache.bytes[CACHE_POLICY], before, "it went with its statement");
	r->cache.limits[CACHE_POLICY].bytes = before + 100;
	expect(ask_for(6, 443, 0), 11, LIFE);
	cr_assert_leq(r->cache.bytes[CACHE_POLICY], before + 100,
		      "there is no room for more than the statement");
	expect(ask_for(6, 443, 0), 11, LIFE);
	cr_assert_eq(r->cache.said_again, 0);
	cr_assert_eq(r->cache.n[CACHE_POLICY], 1);
}
