// SPDX-License-Identifier: Apache-2.0
/* R22, R25: which replies are believed. One honest world, and each rule of dps/judge.h broken by itself. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/judge.h"

#define NOW 1700000000

/* "" (root), acme 256-511, acme/eng 300-399, globex 600-699, each with its key. */
enum who { ROOT, ACME, ENG, GLOBEX, NOBODY, WHOS };

static const char *const names[WHOS] = { "", "acme", "acme/eng", "globex", "nobody" };
static struct sign_key *keys[WHOS];
static struct reference ref;
static struct reply reply;
static struct judged judged;

static void setup(void)
{
	struct delegation root = { .n_keys = 1, .n_servers = 1 };

	for (int i = 0; i < WHOS; i++)
		cr_assert_eq(sign_key_make(&keys[i], NULL), 0);
	root.keys[0] = *sign_key_public(keys[ROOT]);
	reference_init(&ref, 0);
	reference_anchor(&ref, &root);
}

static void teardown(void)
{
	reply_free(&reply);
	reference_free(&ref);
	for (int i = 0; i < WHOS; i++)
		sign_key_free(keys[i]);
}

TestSuite(judge, .init = setup, .fini = teardown);

static struct delegation delegation_of(enum who who, uint64_t serial)
{
	static const uint32_t first[] = { 1, 256, 300, 600, 700 }, last[] = { VNID_LAST, 511, 399, 699, 799 };
	struct delegation d = { .n_servers = 1,
				.n_keys = 1,
				.serial = serial,
				.issued = NOW,
				.expires = NOW + 3600,
				.keys = { *sign_key_public(keys[who]) } };

	strcpy(d.domain, names[who]);
	cr_assert_eq(ranges_add(&d.ranges, first[who], last[who]), 0);
	strcpy(d.servers[0].name, "ns");
	d.servers[0].addresses[0].port = 1;
	d.servers[0].n_addresses = 1;
	return d;
}

static void add(const struct delegation *d, enum who by)
{
	struct signed_doc doc;

	cr_assert_eq(delegation_sign(d, keys[by], &doc), 0);
	reply_add(&reply, &doc);
	signed_free(&doc);
}

/* The honest delegation, by its parent. */
static void link_to(enum who who)
{
	struct delegation d = delegation_of(who, 5);

	add(&d, who == ENG ? ACME : ROOT);
}

static struct ask question(uint32_t vnid)
{
	struct ask ask = { .kind = ASK_POLICY, .vnid = vnid, .source = 1 };

	cr_assert_eq(ip_parse("10.1.0.1", &ask.to.address), 0);
	return ask;
}

static struct statement statement_of(enum who who, uint32_t vnid)
{
	struct ask ask = question(vnid);
	struct statement s = { .kind = STATEMENT_POLICY,
			       .whole = true,
			       .vnid = vnid,
			       .source = 1,
			       .to = ask.to,
			       .sequence = 7,
			       .issued = NOW,
			       .expires = NOW + 100,
			       .lifetime = 60 };

	strcpy(s.zone, names[who]);
	return s;
}

static void state(const struct statement *s, enum who by)
{
	cJSON *content = cJSON_CreateObject();

	cJSON_AddStringToObject(content, "verdict", "allow");
	cJSON_AddNumberToObject(content, "vnid", s->decided_by ? s->decided_by : s->vnid);
	signed_free(&reply.doc);
	cr_assert_eq(signed_make(keys[by], SIGNED_STATEMENT, statement_render(s, content), &reply.doc), 0);
}

/* The reply, which is used up, to a question for a zone. */
static enum judgement judge_at(int64_t now, const struct ask *ask, const char *zone, enum reply_status status)
{
	reply.status = status;
	judge_reply(&ref, ask, zone, &reply, now, &judged);
	reply_free(&reply);
	return judged.judgement;
}

static enum judgement judge(const struct ask *ask, const char *zone, enum reply_status status)
{
	return judge_at(NOW, ask, zone, status);
}

#define is(expected, ...)                                                                                    \
	do {                                                                                                 \
		enum judgement _j = (__VA_ARGS__);                                                           \
		cr_assert_eq(_j, expected, "%s (%s)", judgement_name(_j), judged.why);                       \
	} while (0)

static void know_acme_and_eng(void)
{
	struct ask ask = question(300);

	link_to(ACME);
	link_to(ENG);
	is(JUDGE_REFERRAL, judge(&ask, "", REPLY_REFERRAL));
}

Test(judge, R22_referrals_step_by_step)
{
	struct ask ask = question(300);

	link_to(ACME);
	is(JUDGE_REFERRAL, judge(&ask, "", REPLY_REFERRAL));
	link_to(ENG);
	is(JUDGE_REFERRAL, judge(&ask, "acme", REPLY_REFERRAL));
	cr_assert_str_eq(reference_closest(&ref, &ask, NOW)->d.domain, "acme/eng");
}

Test(judge, R22_referrals_begin_below_the_zone_asked)
{
	struct ask ask = question(300);

	know_acme_and_eng();
	link_to(ACME);
	link_to(ENG);
	is(JUDGE_LIE, judge(&ask, "acme", REPLY_REFERRAL)); /* upward */
	link_to(ENG);
	is(JUDGE_LIE, judge(&ask, "acme/eng", REPLY_REFERRAL)); /* to itself */
	link_to(ENG);
	is(JUDGE_LIE, judge(&ask, "", REPLY_REFERRAL)); /* a step is left out */
	link_to(ENG);
	link_to(ACME);
	is(JUDGE_LIE, judge(&ask, "", REPLY_REFERRAL)); /* back again */
	link_to(ACME);
	link_to(ACME);
	is(JUDGE_LIE, judge(&ask, "", REPLY_REFERRAL)); /* twice */
}

Test(judge, R22_referrals_lead_somewhere)
{
	struct ask ask = question(300);
	size_t before;

	is(JUDGE_LIE, judge(&ask, "", REPLY_REFERRAL)); /* none at all */
	know_acme_and_eng();
	is(JUDGE_LIE, judge(&ask, "acme", REPLY_REFERRAL)); /* though we know more than who was asked */
	before = ref.n;
	link_to(GLOBEX);
	is(JUDGE_LIE, judge(&ask, "", REPLY_REFERRAL)); /* true, and beside the point */
	cr_assert_eq(ref.n, before, "what nobody asked for is not learnt");
	link_to(GLOBEX);
	state(&(struct statement){ 0 }, ENG);
	is(JUDGE_LIE, judge(&ask, "", REPLY_ANSWER));
	cr_assert_eq(ref.n, before);
}

Test(judge, R25_referrals_are_signed_by_who_refers)
{
	struct ask ask = question(300), nobody = question(700);
	struct delegation d = delegation_of(ENG, 9);

	know_acme_and_eng();
	add(&d, NOBODY);
	is(JUDGE_KEY, judge(&ask, "acme", REPLY_REFERRAL));
	cr_assert_str_eq(judged.zone, "acme", "whose keys may be others by now");
	d = delegation_of(NOBODY, 9);
	add(&d, ACME);
	is(JUDGE_KEY, judge(&nobody, "", REPLY_REFERRAL));
	cr_assert_str_eq(judged.zone, "");
	d = delegation_of(ENG, 9);
	d.ranges.v[0].last = 600;
	add(&d, ACME);
	is(JUDGE_LIE, judge(&ask, "acme", REPLY_REFERRAL)); /* more than acme has */
	cr_assert_str_eq(reference_closest(&ref, &ask, NOW)->d.domain, "acme/eng");
}

Test(judge, R22_answers_of_the_responsible)
{
	struct ask ask = question(300);
	struct statement s = statement_of(ENG, 300);

	link_to(ACME);
	link_to(ENG);
	state(&s, ENG);
	is(JUDGE_ANSWER, judge(&ask, "", REPLY_ANSWER)); /* with its proof */
	cr_assert_eq(judged.statement.sequence, 7);
	state(&s, ENG);
	is(JUDGE_ANSWER, judge(&ask, "acme/eng", REPLY_ANSWER)); /* which is known by now */
}

Test(judge, R25_answers_of_others)
{
	struct ask ask = question(300);
	struct statement s = statement_of(ENG, 300);

	state(&s, ENG);
	is(JUDGE_LIE, judge(&ask, "", REPLY_ANSWER)); /* nobody knows eng yet */
	know_acme_and_eng();
	state(&s, ACME);
	is(JUDGE_KEY, judge(&ask, "acme/eng", REPLY_ANSWER)); /* in eng's name */
	cr_assert_str_eq(judged.zone, "acme/eng");
	s = statement_of(ACME, 300);
	state(&s, ACME);
	is(JUDGE_LIE, judge(&ask, "acme", REPLY_ANSWER)); /* it has given it away */
	link_to(GLOBEX);
	s = statement_of(GLOBEX, 300);
	state(&s, GLOBEX);
	is(JUDGE_LIE, judge(&ask, "", REPLY_ANSWER));
	ask = question(600);
	link_to(GLOBEX);
	is(JUDGE_REFERRAL, judge(&ask, "", REPLY_REFERRAL));
	ask = question(300);
	state(&s, GLOBEX);
	is(JUDGE_LIE, judge(&ask, "globex", REPLY_ANSWER)); /* a neighbour that is well known */
	s = statement_of(ROOT, 300);
	state(&s, ROOT);
	is(JUDGE_LIE, judge(&ask, "", REPLY_ANSWER)); /* the root itself */
}

Test(judge, R25_answers_that_are_wrong_in_themselves)
{
	struct ask ask = question(300);
	struct statement s = statement_of(ENG, 300);

	know_acme_and_eng();
	state(&s, ENG);
	reply.doc.sig[3] ^= 1;
	is(JUDGE_LIE, judge(&ask, "acme/eng", REPLY_ANSWER));
	state(&s, ENG);
	*strstr(reply.doc.body, "allow") = 'A';
	is(JUDGE_LIE, judge(&ask, "acme/eng", REPLY_ANSWER));
	s.vnid = 301;
	state(&s, ENG);
	is(JUDGE_LIE, judge(&ask, "acme/eng", REPLY_ANSWER)); /* to another question */
	s = statement_of(ENG, 300);
	s.issued = NOW - 200;
	s.expires = NOW;
	state(&s, ENG);
	is(JUDGE_LIE, judge(&ask, "acme/eng", REPLY_ANSWER)); /* over */
	s.issued = NOW + CLOCK_SKEW + 1;
	s.expires = NOW + 1000;
	state(&s, ENG);
	is(JUDGE_LIE, judge(&ask, "acme/eng", REPLY_ANSWER)); /* not yet */
	is(JUDGE_LIE, judge(&ask, "acme/eng", REPLY_ANSWER)); /* nothing at all */
}

Test(judge, R20_answers_that_are_too_old)
{
	struct ask ask = question(300);
	struct statement s = statement_of(ENG, 300);

	know_acme_and_eng();
	ask.min_revision = 8;
	state(&s, ENG);
	is(JUDGE_BEHIND, judge(&ask, "acme/eng", REPLY_ANSWER));
	cr_assert(judged.believed, "it is true, if old");
	is(JUDGE_BEHIND, judge(&ask, "acme/eng", REPLY_BEHIND));
	cr_assert_not(judged.believed);
}

Test(judge, R25_names_lead_to_their_own)
{
	struct ask ask = { .kind = ASK_NAME, .name = "acme/eng:blue" };
	struct statement s = statement_of(ENG, 300);

	know_acme_and_eng();
	s.kind = STATEMENT_NAME;
	strcpy(s.name, ask.name);
	state(&s, ENG);
	is(JUDGE_ANSWER, judge(&ask, "acme/eng", REPLY_ANSWER));
	s.vnid = 400;
	state(&s, ENG);
	is(JUDGE_LIE, judge(&ask, "acme/eng", REPLY_ANSWER)); /* acme's */
	s.vnid = 600;
	state(&s, ENG);
	is(JUDGE_LIE, judge(&ask, "acme/eng", REPLY_ANSWER)); /* globex's */
}

Test(judge, R25_policies_decide_for_their_own)
{
	struct ask ask = question(300);
	struct statement s = statement_of(ENG, 300);

	know_acme_and_eng();
	s.decided_by = 301;
	state(&s, ENG);
	is(JUDGE_ANSWER, judge(&ask, "acme/eng", REPLY_ANSWER)); /* of one authority's two networks */
	s.decided_by = 400;
	state(&s, ENG);
	is(JUDGE_LIE, judge(&ask, "acme/eng", REPLY_ANSWER));
	s.decided_by = 600;
	state(&s, ENG);
	is(JUDGE_LIE, judge(&ask, "acme/eng", REPLY_ANSWER));
}

Test(judge, R22_denials_come_from_above_and_end_what_they_deny)
{
	struct ask ask = question(300), zone = { .kind = ASK_ZONE, .name = "acme/eng" };
	struct statement s = { .kind = STATEMENT_NO_DELEGATION,
			       .zone = "acme",
			       .between = true,
			       .sequence = 4,
			       .issued = NOW,
			       .expires = NOW + 100,
			       .lifetime = 60 };

	know_acme_and_eng();
	state(&s, ACME);
	is(JUDGE_BEHIND, judge(&zone, "acme", REPLY_ANSWER)); /* from before eng was made (serial 5) */
	s.sequence = 6;
	state(&s, NOBODY);
	is(JUDGE_KEY, judge(&zone, "acme", REPLY_ANSWER));
	strcpy(s.zone, "acme/eng");
	state(&s, ENG);
	is(JUDGE_LIE, judge(&zone, "acme/eng", REPLY_ANSWER)); /* not of itself */
	strcpy(s.zone, "acme");
	cr_assert_str_eq(reference_closest(&ref, &ask, NOW)->d.domain, "acme/eng");
	state(&s, ACME);
	is(JUDGE_ANSWER, judge(&zone, "acme", REPLY_ANSWER));
	cr_assert_str_eq(reference_closest(&ref, &ask, NOW)->d.domain, "acme");
	link_to(ENG);
	is(JUDGE_LIE, judge(&ask, "acme", REPLY_REFERRAL)); /* withdrawn */
}

Test(judge, R25_a_zone_denies_only_its_own_vnids)
{
	struct ask ask = question(700);
	struct statement s = { .kind = STATEMENT_NO_DELEGATION,
			       .zone = "acme",
			       .vnids = { 1, VNID_LAST },
			       .sequence = 9,
			       .issued = NOW,
			       .expires = NOW + 100,
			       .lifetime = 60 };

	know_acme_and_eng();
	state(&s, ACME);
	is(JUDGE_LIE, judge(&ask, "", REPLY_ANSWER));
	s.zone[0] = '\0';
	state(&s, ROOT);
	is(JUDGE_ANSWER, judge(&ask, "", REPLY_ANSWER));
}

Test(judge, R22_what_is_no_answer)
{
	struct ask ask = question(300);

	is(JUDGE_LAME, judge(&ask, "", REPLY_NOT_MINE));
	is(JUDGE_FAILED, judge(&ask, "", REPLY_FAILED));
	is(JUDGE_FAILED, judge(&ask, "", REPLY_LOOP));
	is(JUDGE_LIE, judge(&ask, "", REPLY_ROOT));
	ask.kind = ASK_ROOT;
	is(JUDGE_ROOT, judge(&ask, "", REPLY_ROOT));
}

/* The server of a zone whose delegation, or that of a zone above, has ended while it was being asked is no liar. */
Test(judge, R24_what_led_to_the_server_has_ended)
{
	struct ask ask = question(300);
	struct statement s = statement_of(ENG, 300);
	struct delegation acme = delegation_of(ACME, 5);

	acme.expires = NOW + 10;
	add(&acme, ROOT);
	link_to(ENG);
	is(JUDGE_REFERRAL, judge(&ask, "", REPLY_REFERRAL));
	state(&s, ENG);
	is(JUDGE_ANSWER, judge_at(NOW + 9, &ask, "acme/eng", REPLY_ANSWER));
	state(&s, ENG);
	is(JUDGE_OVER, judge_at(NOW + 10, &ask, "acme/eng", REPLY_ANSWER));
	state(&s, ENG);
	is(JUDGE_LIE, judge_at(NOW + 10, &ask, "", REPLY_ANSWER));
}

Test(judge, R24_what_is_kept_ends_with_its_zone)
{
	struct ask ask = question(300);
	struct statement s = statement_of(ENG, 300);
	const struct cached *entry;
	struct delegation d;
	struct cache cache;

	cache_init(&cache, 10, 10000);
	know_acme_and_eng();
	state(&s, ENG);
	entry = cache_put(&cache, &ask, &s, &reply.doc, NOW);
	cr_assert(judge_still(&ref, &ask, entry, NOW));
	cr_assert_not(judge_still(&ref, &ask, entry, NOW + 3600), "its delegation is over");
	d = delegation_of(ENG, 6);
	d.keys[0] = *sign_key_public(keys[NOBODY]);
	reply_free(&reply);
	add(&d, ACME);
	cr_assert_eq(reference_learn(&ref, &reply.chain[0], NOW, NULL), LEARN_NEW);
	cr_assert_not(judge_still(&ref, &ask, entry, NOW), "it has another key");
	cache_free(&cache);
}

Test(judge, R25_a_service_is_of_its_own_domain)
{
	struct ask ask = { .kind = ASK_SERVICE, .name = "acme/eng:fw" };
	struct statement s = statement_of(ENG, 300);

	know_acme_and_eng();
	s.kind = STATEMENT_SERVICE;
	s.vnid = s.source = 0;
	strcpy(s.name, ask.name);
	state(&s, ENG);
	is(JUDGE_ANSWER, judge(&ask, "acme/eng", REPLY_ANSWER));
	strcpy(s.name, "acme/eng:ips");
	state(&s, ENG);
	is(JUDGE_LIE, judge(&ask, "acme/eng", REPLY_ANSWER)); /* another one */
	strcpy(ask.name, "acme/ops:fw");
	strcpy(s.name, ask.name);
	strcpy(s.zone, "acme");
	state(&s, ACME);
	is(JUDGE_LIE, judge(&ask, "acme", REPLY_ANSWER)); /* acme's word about a domain below it */
}

Test(judge, R25_a_place_is_of_the_zones_own_endpoint)
{
	struct statement s = statement_of(ENG, 300);
	struct ask ask = { .kind = ASK_PLACE, .vnid = 300, .source = 300 * IDS_PER_VNID, .to = s.to };

	know_acme_and_eng();
	s.kind = STATEMENT_PLACE;
	s.source = ask.source;
	state(&s, ENG);
	is(JUDGE_ANSWER, judge(&ask, "acme/eng", REPLY_ANSWER));
	s.to.address.b[15]++;
	state(&s, ENG);
	is(JUDGE_LIE, judge(&ask, "acme/eng", REPLY_ANSWER)); /* at another host */
	s.to = ask.to;
	s.source = ask.source = 400 * IDS_PER_VNID;
	state(&s, ENG);
	is(JUDGE_LIE, judge(&ask, "acme/eng", REPLY_ANSWER)); /* acme's endpoint */
}
