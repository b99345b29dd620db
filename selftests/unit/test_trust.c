// SPDX-License-Identifier: Apache-2.0
/* Whose signed translations an agent believes, and for which networks. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "agent/trust.h"

#define NOW 1700000000

static struct sign_key *root, *acme, *other;
static struct trust *trust;

static const char *public_text(const struct sign_key *key)
{
	static char text[SIGN_PUBLIC_TEXT];

	sign_to_text(sign_key_public(key)->b, SIGN_PUBLIC_BYTES, text);
	return text;
}

static void zone_add(cJSON *list, const char *zone, const char *vnids, const struct sign_key *key)
{
	cJSON *one = cJSON_CreateObject();

	cJSON_AddStringToObject(one, "zone", zone);
	cJSON_AddItemToArray(cJSON_AddArrayToObject(one, "vnids"), cJSON_CreateString(vnids));
	cJSON_AddItemToArray(cJSON_AddArrayToObject(one, "keys"), cJSON_CreateString(public_text(key)));
	cJSON_AddItemToArray(list, one);
}

static void setup(void)
{
	cJSON *list = cJSON_CreateArray();
	struct json_error err = {};
	struct error e;

	cr_assert(!sign_key_make(&root, &e) && !sign_key_make(&acme, &e) && !sign_key_make(&other, &e));
	zone_add(list, "", "1-16777215", root);
	zone_add(list, "acme", "256-511", acme);
	cr_assert_eq(trust_parse(list, &trust, &err), 0, "%s: %s", err.field, err.text);
	cJSON_Delete(list);
}

static void teardown(void)
{
	trust_free(trust);
	sign_key_free(root);
	sign_key_free(acme);
	sign_key_free(other);
}

TestSuite(trust, .init = setup, .fini = teardown);

static struct translation said(const char *zone, uint32_t vnid)
{
	struct translation t = { .vnid = vnid,
				 .from_vnid = vnid,
				 .source = 7,
				 .has_address = true,
				 .address = { .b = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 9 } },
				 .outcome = { .verdict = TRANSLATION_NO_ENDPOINT, .dscp = -1 },
				 .sequence = 42,
				 .issued = NOW - 1,
				 .expires = NOW + 60 };

	strcpy(t.zone, zone);
	return t;
}

static int opened(const struct translation *t, const struct sign_key *key)
{
	struct translation_doc doc = {};
	struct translation out;
	int rc;

	cr_assert_eq(translation_sign(t, key, &doc), 0);
	rc = trust_open(trust, &doc, NOW, &out);
	if (!rc)
		cr_assert_eq(out.sequence, 42);
	translation_doc_free(&doc);
	return rc;
}

Test(trust, R16_the_zone_that_has_the_network)
{
	struct translation mine = said("acme", 300), roots = said("", 1000);

	cr_assert_eq(opened(&mine, acme), 0);
	cr_assert_eq(opened(&roots, root), 0);
}

Test(trust, R25_no_other)
{
	struct translation t = said("acme", 300);

	cr_assert_eq(opened(&t, other), -EKEYREJECTED, "a key that nobody gave us");
	cr_assert_eq(opened(&t, root), -EACCES, "the root's key in another zone's name");
	t = said("", 300);
	cr_assert_eq(opened(&t, root), -EACCES, "the root, of what it delegated away");
	cr_assert_eq(opened(&t, acme), -EACCES, "in another's name");
	t = said("acme", 1000);
	cr_assert_eq(opened(&t, acme), -EACCES, "of another's network");
}

Test(trust, R8_half_an_answer_is_none)
{
	struct translation t = said("acme", 300);

	t.from_vnid = 1000;
	cr_assert_eq(opened(&t, acme), -EXDEV, "what may enter, without what may leave");
	t.from_vnid = 301;
	cr_assert_eq(opened(&t, acme), 0, "both networks are acme's");
}

Test(trust, R16_of_now)
{
	struct translation t = said("acme", 300);

	t.expires = NOW;
	cr_assert_eq(opened(&t, acme), -ETIME);
	t = said("acme", 300);
	t.issued = NOW + 3600;
	t.expires = NOW + 7200;
	cr_assert_eq(opened(&t, acme), -EAGAIN);
}

Test(trust, R16_without_keys_nobody_is_believed)
{
	struct translation t = said("acme", 300);
	struct json_error err = {};

	trust_free(trust);
	cr_assert_eq(trust_parse(NULL, &trust, &err), 0);
	cr_assert_not(trust_any(trust));
	cr_assert_eq(opened(&t, acme), -EKEYREJECTED);
}

Test(trust, R24_the_root_alone)
{
	cJSON *list = cJSON_CreateArray(), *one = cJSON_CreateObject();
	struct translation t = said("acme", 300);
	struct json_error err = {};

	trust_free(trust);
	cJSON_AddStringToObject(one, "root", public_text(root));
	cJSON_AddItemToArray(list, one);
	cr_assert_eq(trust_parse(list, &trust, &err), 0, "%s: %s", err.field, err.text);
	cJSON_Delete(list);
	cr_assert(trust_any(trust) && trust_proofs(trust));
	cr_assert_eq(opened(&t, acme), -ENOKEY, "its chain is missing (test_proof.c goes on)");
	t = said("", 300);
	cr_assert_eq(opened(&t, root), 0);
	cr_assert_eq(opened(&t, other), -EKEYREJECTED);
}

Test(trust, R16_a_wrong_list_is_refused)
{
	static const struct {
		const char *json, *field;
	} cases[] = {
		{ "{}", "trust" },
		{ "[1]", "trust" },
		{ "[{\"root\": \"AAAA\"}]", "trust.root" },
		{ "[{\"root\": []}]", "root" },
		{ "[{\"zone\": \"a\", \"vnids\": [\"1\"], \"keys\": []}]", "trust.keys" },
		{ "[{\"zone\": \"a\", \"vnids\": [\"1\"], \"keys\": [\"AAAA\"]}]", "trust.keys" },
		{ "[{\"zone\": \"a\", \"vnids\": [\"9-3\"], \"keys\": []}]", "trust.vnids" },
		{ "[{\"zone\": \"a\", \"vnids\": [\"0\"], \"keys\": []}]", "trust.vnids" },
		{ "[{\"zone\": \"a\", \"vnids\": [\"1x\"], \"keys\": []}]", "trust.vnids" },
		{ "[{\"zone\": \"a\", \"vnids\": [7], \"keys\": []}]", "trust.vnids" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		cJSON *json = cJSON_Parse(cases[i].json);
		struct json_error err = {};
		struct trust *out = NULL;

		cr_assert_eq(trust_parse(json, &out, &err), -EINVAL, "%s", cases[i].json);
		cr_assert_str_eq(err.field, cases[i].field, "%s", cases[i].json);
		cr_assert_null(out);
		cJSON_Delete(json);
	}
}

/* ---- answers ---- */

static struct trust_question asked(void)
{
	return (struct trust_question){ .source = 7,
					.vnid = 300,
					.address = { .b = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 9 } },
					.proto = 6,
					.from_port = 4000,
					.to_port = 80 };
}

static int answered(const struct trust_question *q, const struct translation *a, const struct sign_key *ka,
		    const struct translation *b, const struct sign_key *kb, struct translation *out)
{
	struct translation_doc docs[2] = {};
	size_t n = b ? 2 : 1;
	int rc;

	cr_assert_eq(translation_sign(a, ka, &docs[0]), 0);
	cr_assert(!b || !translation_sign(b, kb, &docs[1]));
	rc = trust_answer(trust, q, docs, n, NOW, out);
	translation_doc_free(&docs[0]);
	translation_doc_free(&docs[1]);
	return rc;
}

static struct translation leaving(void)
{
	struct translation t = said("acme", 300);

	t.outcome.verdict = TRANSLATION_ALLOW;
	t.outcome.policy = 3;
	strcpy(t.outcome.path[t.outcome.n_path++], "firewall");
	t.beyond = 1000;
	return t;
}

static struct translation entering(void)
{
	struct translation t = said("", 1000);

	t.from_vnid = 300;
	t.outcome.verdict = TRANSLATION_ALLOW;
	t.outcome.policy = 4;
	t.has_destination = true;
	t.destination = (struct translation_destination){ .id = 9, .vnid = 1000, .name = "green/g1" };
	return t;
}

Test(trust, R24_an_answer_is_about_its_question)
{
	struct trust_question q = asked();
	struct translation t = said("acme", 300), out;

	cr_assert_eq(answered(&q, &t, acme, NULL, NULL, &out), 0);
	cr_assert_eq(answered(&q, &t, other, NULL, NULL, &out), -EKEYREJECTED);
	q.source = 8;
	cr_assert_eq(answered(&q, &t, acme, NULL, NULL, &out), -EBADMSG, "another VM's");
	q = asked();
	q.vnid = 301;
	cr_assert_eq(answered(&q, &t, acme, NULL, NULL, &out), -EBADMSG, "another network's");
	q = asked();
	q.address.b[15] = 10;
	cr_assert_eq(answered(&q, &t, acme, NULL, NULL, &out), -EBADMSG, "to another address");
	q = asked();
	q.least_vnid = 300;
	q.least = 43;
	cr_assert_eq(answered(&q, &t, acme, NULL, NULL, &out), -ESTALE);
	q.least_vnid = 301;
	cr_assert_eq(answered(&q, &t, acme, NULL, NULL, &out), 0, "of another network that says nothing");
	t.scope = TRANSLATION_TO_PORT;
	t.proto = 6;
	t.from_port = 4000;
	t.to_port = 80;
	q = asked();
	cr_assert_eq(answered(&q, &t, acme, NULL, NULL, &out), 0);
	q.to_port = 81;
	cr_assert_eq(answered(&q, &t, acme, NULL, NULL, &out), -EBADMSG, "to another port");
}

Test(trust, R8_both_halves_or_none)
{
	struct trust_question q = asked();
	struct translation first = leaving(), second = entering(), out;

	cr_assert_eq(answered(&q, &first, acme, &second, root, &out), 0);
	cr_assert_eq(out.outcome.verdict, TRANSLATION_ALLOW);
	cr_assert_eq(out.vnid, 1000);
	cr_assert_str_eq(out.outcome.path[0], "acme:firewall");
	cr_assert_eq(answered(&q, &first, acme, NULL, NULL, &out), -EXDEV,
		     "what may leave, and no word more");
	cr_assert_eq(answered(&q, &second, root, NULL, NULL, &out), -EXDEV, "what may enter alone");
	cr_assert_eq(answered(&q, &second, root, &first, acme, &out), -EXDEV, "in the wrong order");
	cr_assert_eq(answered(&q, &first, acme, &first, acme, &out), -EXDEV, "the same half twice");
	second.from_vnid = 301;
	cr_assert_eq(answered(&q, &first, acme, &second, root, &out), -EXDEV, "from another network");
	second = entering();
	second.vnid = second.destination.vnid = 1001;
	cr_assert_eq(answered(&q, &first, acme, &second, root, &out), -EXDEV, "into another one");
	second = entering();
	second.source = 8;
	cr_assert_eq(answered(&q, &first, acme, &second, root, &out), -EBADMSG, "of another VM");
	first.outcome = (struct translation_outcome){ .verdict = TRANSLATION_DENY, .policy = 3, .dscp = -1 };
	cr_assert_eq(answered(&q, &first, acme, NULL, NULL, &out), 0,
		     "refused at the source: nobody else matters");
}

Test(trust, R9_the_rule_that_is_the_packets)
{
	struct trust_question q = asked();
	struct translation t = said("acme", 300), out;

	t.scope = TRANSLATION_PROTO | TRANSLATION_TO_PORT;
	t.outcome.verdict = TRANSLATION_ALLOW;
	t.n_rules = 2;
	t.rules[0] = (struct translation_rule){
		.proto = 6,
		.from_port = { 0, 65535 },
		.to_port = { 80, 80 },
		.outcome = { .verdict = TRANSLATION_DENY, .policy = 5, .dscp = -1 }
	};
	t.rules[1] = (struct translation_rule){
		.from_port = { 0, 65535 },
		.to_port = { 0, 65535 },
		.outcome = { .verdict = TRANSLATION_ALLOW, .policy = 6, .dscp = -1 }
	};
	cr_assert_eq(answered(&q, &t, acme, NULL, NULL, &out), 0);
	cr_assert_eq(out.outcome.policy, 5);
	q.to_port = 81;
	cr_assert_eq(answered(&q, &t, acme, NULL, NULL, &out), 0);
	cr_assert_eq(out.outcome.policy, 6);
}
