// SPDX-License-Identifier: Apache-2.0
/* What authorities state, and the questions and replies around it. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dps/ask.h"
#include "dps/reply.h"

static struct statement example(void)
{
	struct statement s = { .kind = STATEMENT_POLICY,
			       .zone = "acme/eng",
			       .vnid = 300,
			       .source = 5,
			       .packet = { 6, 40000, 443 },
			       .sequence = 42,
			       .issued = 1000,
			       .expires = 2000,
			       .lifetime = 600,
			       .stale = 300 };

	cr_assert_eq(ip_parse("10.1.0.12", &s.to.address), 0);
	return s;
}

static cJSON *verdict(const char *text)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddStringToObject(out, "verdict", text);
	cJSON_AddNumberToObject(out, "vnid", 301);
	return out;
}

/* Rendered with this content and parsed again. */
static struct statement again(const struct statement *s, cJSON *content)
{
	char *body = statement_render(s, content);
	struct json_error err = { 0 };
	struct statement out;

	cr_assert_eq(statement_parse(body, strlen(body), &out, &err), 0, "%s: %s: %s", err.field, err.text,
		     body);
	free(body);
	return out;
}

Test(statement, R24_there_and_back)
{
	struct statement s = example(), t = again(&s, verdict("allow"));

	cr_assert(!t.refuses && !t.absent && !t.whole);
	cr_assert_eq(t.decided_by, 301);
	cr_assert_str_eq(t.zone, "acme/eng");
	cr_assert_eq(t.vnid, 300);
	cr_assert_eq(t.packet.to_port, 443);
	cr_assert(target_equal(&t.to, &s.to));
	cr_assert_eq(t.sequence, 42);
	cr_assert_eq(t.stale, 300);
	s.whole = true;
	s.from_vnid = 7;
	t = again(&s, verdict("no_endpoint"));
	cr_assert(t.whole && t.absent && !t.refuses && t.from_vnid == 7);
	s.to = (struct target){ .id = 9 };
	t = again(&s, verdict("deny"));
	cr_assert(t.to.id == 9 && t.refuses);
	t = again(&(struct statement){ .kind = STATEMENT_NO_DELEGATION,
				       .between = true,
				       .before = "globex",
				       .issued = 1,
				       .expires = 2 },
		  NULL);
	cr_assert(t.between && t.whole);
	cr_assert_str_eq(t.before, "globex");
	cr_assert_str_eq(t.zone, "");
}

Test(statement, R24_what_lets_anything_pass_is_no_refusal)
{
	struct statement s = example(), t;
	cJSON *content = verdict("deny"), *rules = cJSON_AddArrayToObject(content, "rules");

	cJSON_AddItemToArray(rules, verdict("deny"));
	cJSON_AddItemToArray(rules, verdict("allow"));
	t = again(&s, content);
	cr_assert_not(t.refuses);
	content = verdict("deny");
	cJSON_AddBoolToObject(content, "replies", true);
	t = again(&s, content);
	cr_assert_not(t.refuses);
	t = again(&s, verdict("gateway"));
	cr_assert(!t.refuses && !t.absent);
}

static void refused(const char *body, const char *field)
{
	struct json_error err = { 0 };
	struct statement out = { .sequence = 7 };

	cr_assert_eq(statement_parse(body, strlen(body), &out, &err), -EINVAL, "%s", body);
	cr_assert_str_eq(err.field, field, "%s: %s: %s", body, err.field, err.text);
	cr_assert_eq(out.sequence, 7);
}

#define TIMES "\"sequence\":1,\"issued\":1,\"expires\":9,\"lifetime\":2"
#define ALLOW ",\"answer\":{\"verdict\":\"allow\",\"vnid\":1}"
#define PAIR "\"zone\":\"acme\",\"kind\":\"policy\",\"vnid\":1,\"source\":1,\"to\":\"10.1.0.1\""

Test(statement, what_is_wrong_is_named)
{
	refused("[]", "");
	refused("{\"kind\":\"policy\"}", "zone");
	refused("{\"zone\":\"a/\",\"kind\":\"policy\"}", "zone");
	refused("{\"zone\":\"a\",\"kind\":\"guess\"}", "kind");
	refused("{" PAIR "}", "answer.verdict");
	refused("{" PAIR ",\"answer\":{\"verdict\":\"allow\"}}", "answer.vnid");
	refused("{" PAIR ALLOW ",\"packet\":{\"proto\":256}}", "packet.proto");
	refused("{" PAIR ALLOW "}", "sequence");
	refused("{" PAIR ALLOW ",\"sequence\":1,\"issued\":5,\"expires\":5,\"lifetime\":0}", "expires");
	refused("{" PAIR ALLOW ",\"sequence\":1,\"issued\":5,\"expires\":9,\"lifetime\":5}", "lifetime");
	refused("{" PAIR ALLOW ",\"sequence\":1,\"issued\":0,\"expires\":86401,\"lifetime\":5}", "expires");
	refused("{\"zone\":\"a\",\"kind\":\"name\",\"name\":\"acme\",\"vnid\":1," TIMES "}", "name");
	refused("{\"zone\":\"a\",\"kind\":\"name\",\"name\":\"acme:x\"," TIMES "}", "vnid");
	refused("{\"zone\":\"a\",\"kind\":\"no_network\"," TIMES "}", "name");
	refused("{\"zone\":\"a\",\"kind\":\"no_delegation\"," TIMES "}", "between");
	refused("{\"zone\":\"a\",\"kind\":\"no_delegation\",\"between\":[\"a\"]," TIMES "}", "between");
	refused("{\"zone\":\"a\",\"kind\":\"no_delegation\",\"vnids\":[9,1]," TIMES "}", "vnids[0]");
}

Test(statement, R24_times)
{
	struct statement s = example();

	cr_assert_not(statement_valid(&s, 1000 - 61));
	cr_assert(statement_fresh(&s, 1000) && statement_fresh(&s, 1599));
	cr_assert(!statement_fresh(&s, 1600) && statement_valid(&s, 1999));
	cr_assert_not(statement_valid(&s, 2000));
	cr_assert_eq(statement_stale_until(&s), 1900);
	s.stale = 5000;
	cr_assert_eq(statement_stale_until(&s), 2000, "an allowance ends where it was signed to end");
	s.refuses = true;
	cr_assert_eq(statement_stale_until(&s), 6600, "a refusal doesn't");
	s.refuses = false;
	s.kind = STATEMENT_NAME;
	cr_assert_eq(statement_stale_until(&s), 2000, "a name isn't a refusal");
}

/* Is it about the question? */

static struct ask question(void)
{
	struct ask ask = {
		.kind = ASK_POLICY, .vnid = 300, .source = 5, .packet = { 6, 40000, 443 }, .min_revision = 3
	};

	cr_assert_eq(ip_parse("10.1.0.12", &ask.to.address), 0);
	return ask;
}

Test(statement, R22_is_about_one_question)
{
	struct ask ask = question(), other;
	struct statement s = example();

	cr_assert(ask_answered(&ask, &s));
	other = ask;
	other.vnid = 301;
	cr_assert_not(ask_answered(&other, &s));
	other = ask;
	other.source = 6;
	cr_assert_not(ask_answered(&other, &s));
	other = ask;
	other.from_vnid = 7;
	cr_assert_not(ask_answered(&other, &s));
	other = ask;
	other.to.address.b[15]++;
	cr_assert_not(ask_answered(&other, &s));
	other = ask;
	other.packet.to_port = 80;
	cr_assert_not(ask_answered(&other, &s));
	s.whole = true;
	cr_assert(ask_answered(&other, &s));
	other = (struct ask){ .kind = ASK_NAME, .name = "acme:blue" };
	cr_assert_not(ask_answered(&other, &s));
}

Test(statement, R22_denials_are_about_what_they_span)
{
	struct statement s = { .kind = STATEMENT_NO_DELEGATION, .vnids = { 200, 300 }, .whole = true };
	struct ask ask = question(), name = { .kind = ASK_NAME, .name = "acme/eng:blue" };
	struct ask zone = { .kind = ASK_ZONE, .name = "globex" };

	cr_assert(ask_answered(&ask, &s));
	ask.vnid = 301;
	cr_assert_not(ask_answered(&ask, &s));
	cr_assert_not(ask_answered(&name, &s));
	s = (struct statement){
		.kind = STATEMENT_NO_DELEGATION, .between = true, .after = "aaa", .before = "globex"
	};
	cr_assert(ask_answered(&name, &s), "acme is between");
	cr_assert_not(ask_answered(&zone, &s), "an end is not");
	cr_assert_not(ask_answered(&(struct ask){ .kind = ASK_ZONE, .name = "aaa" }, &s), "nor is the other");
	s.before[0] = '\0';
	cr_assert(ask_answered(&zone, &s));
	strcpy(s.zone, "acme");
	strcpy(s.after, "acme/a");
	cr_assert(ask_answered(&name, &s), "acme/eng is, too");
	cr_assert_not(ask_answered(&zone, &s), "globex is not acme's");
	s = (struct statement){ .kind = STATEMENT_NO_NETWORK, .name = "acme/eng:blue" };
	cr_assert(ask_answered(&name, &s));
	strcpy(name.name, "acme/eng:red");
	cr_assert_not(ask_answered(&name, &s));
}

/* Questions and replies on the wire */

Test(message, R22_questions_there_and_back)
{
	struct ask ask = question(), out;
	struct errand errand = { .zone = "acme", .recursive = true, .deadline = 2500, .n_path = 2 }, way;
	struct json_error err = { 0 };
	char a[ASK_TEXT], b[ASK_TEXT];
	cJSON *json;

	strcpy(errand.path[0], "one");
	strcpy(errand.path[1], "two");
	json = ask_json(&ask, &errand);
	cr_assert_eq(ask_parse(json, &out, &way, &err), 0, "%s: %s", err.field, err.text);
	cJSON_Delete(json);
	cr_assert_str_eq(ask_text(&ask, false, a), ask_text(&out, false, b));
	cr_assert_str_eq(a, "policy 300 0/5 10.1.0.12 6 40000 443");
	cr_assert_str_eq(ask_text(&ask, true, a), "policy 300 0/5 10.1.0.12");
	cr_assert_eq(out.min_revision, 3);
	cr_assert(way.recursive && way.deadline == 2500 && way.n_path == 2);
	cr_assert_str_eq(way.zone, "acme");
	cr_assert_str_eq(way.path[1], "two");
}

static void bad_question(const char *text, const char *field)
{
	struct json_error err = { 0 };
	struct errand errand;
	struct ask ask;
	cJSON *json = cJSON_Parse(text);

	cr_assert(json, "%s", text);
	cr_assert_eq(ask_parse(json, &ask, &errand, &err), -EINVAL, "%s", text);
	cr_assert_str_eq(err.field, field, "%s: %s: %s", text, err.field, err.text);
	cJSON_Delete(json);
}

Test(message, what_is_wrong_in_a_question_is_named)
{
	bad_question("[]", "");
	bad_question("{}", "kind");
	bad_question("{\"kind\":\"gossip\"}", "kind");
	bad_question("{\"kind\":\"policy\",\"vnid\":0}", "vnid");
	bad_question("{\"kind\":\"policy\",\"vnid\":16777216}", "vnid");
	bad_question("{\"kind\":\"policy\",\"vnid\":1,\"source\":0}", "source");
	bad_question("{\"kind\":\"policy\",\"vnid\":1,\"source\":1,\"to\":\"vm1\"}", "to");
	bad_question("{\"kind\":\"policy\",\"vnid\":1,\"source\":1,\"to\":\"10.1.0.1\",\"to_port\":65536}",
		     "to_port");
	bad_question("{\"kind\":\"name\",\"name\":\"acme\"}", "name");
	bad_question("{\"kind\":\"zone\",\"name\":\"acme:blue\"}", "name");
	bad_question("{\"kind\":\"root\",\"zone\":\"a b\"}", "zone");
	bad_question("{\"kind\":\"root\",\"deadline\":60001}", "deadline");
	bad_question("{\"kind\":\"root\",\"path\":[1]}", "path[0]");
	bad_question("{\"kind\":\"root\",\"path\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}",
		     "path");
	bad_question("{\"kind\":\"root\",\"more\":1}", "more");
}

Test(message, R22_replies_there_and_back)
{
	struct sign_key *key;
	struct reply reply = { .status = REPLY_ANSWER }, out;
	struct json_error err = { 0 };
	struct signed_doc doc;
	cJSON *json;

	cr_assert_eq(sign_key_make(&key, NULL), 0);
	cr_assert_eq(signed_make(key, SIGNED_STATEMENT, strdup("{\"x\":1}"), &reply.doc), 0);
	cr_assert_eq(signed_make(key, SIGNED_DELEGATION, strdup("{\"y\":2}"), &doc), 0);
	for (int i = 0; i < REPLY_CHAIN_MAX + 3; i++)
		reply_add(&reply, &doc);
	cr_assert_eq(reply.n_chain, REPLY_CHAIN_MAX);
	json = reply_json(&reply);
	cr_assert_eq(reply_parse(json, &out, &err), 0, "%s: %s", err.field, err.text);
	cr_assert(signed_equal(&out.doc, &reply.doc) && signed_equal(&out.chain[15], &doc));
	cJSON_DeleteItemFromObject(json, "statement");
	reply_free(&out);
	cr_assert_eq(reply_parse(json, &out, &err), -EINVAL);
	cr_assert_str_eq(err.field, "statement");
	cr_assert_eq(out.n_chain, 0);
	cJSON_Delete(json);
	reply_free(&reply);
	signed_free(&doc);
	sign_key_free(key);
}

Test(statement, R22_services_and_places)
{
	struct statement s = { .kind = STATEMENT_SERVICE,
			       .zone = "acme",
			       .name = "acme:firewall",
			       .issued = 1000,
			       .expires = 1064,
			       .lifetime = 4 },
			 got;
	struct ask ask = question(), parsed, service = { .kind = ASK_SERVICE, .name = "acme:firewall" };
	struct errand errand;
	struct json_error err = { 0 };
	char *text = statement_render(&s, cJSON_CreateObject()), key[ASK_TEXT];
	cJSON *json;

	cr_assert_eq(statement_parse(text, strlen(text), &got, &err), 0, "%s", err.text);
	cr_assert(!got.absent && ask_answered(&service, &got));
	free(text);
	text = statement_render(&s, NULL);
	cr_assert_eq(statement_parse(text, strlen(text), &got, &err), 0);
	cr_assert(got.absent && ask_answered(&service, &got), "there is no such service");
	free(text);
	cr_assert_not(ask_answered(&(struct ask){ .kind = ASK_NAME, .name = "acme:firewall" }, &got));

	/* What the asker has a service's name from goes along, and is no part of the question. */
	ask.kind = ASK_SERVICE;
	strcpy(ask.name, "acme:firewall");
	json = ask_json(&ask, NULL);
	cr_assert_eq(ask_parse(json, &parsed, &errand, &err), 0, "%s", err.text);
	cr_assert(parsed.vnid == 300 && parsed.source == 5 && parsed.packet.to_port == 443);
	cr_assert_str_eq(ask_text(&parsed, false, key), "service acme:firewall");
	cJSON_Delete(json);

	s.kind = STATEMENT_PLACE;
	s.name[0] = '\0';
	s.vnid = 300;
	s.source = 5;
	s.whole = true;
	s.to = ask.to;
	text = statement_render(&s, cJSON_CreateObject());
	cr_assert_eq(statement_parse(text, strlen(text), &got, &err), 0, "%s", err.text);
	free(text);
	ask = (struct ask){ .kind = ASK_PLACE, .vnid = 300, .source = 5, .to = s.to };
	cr_assert(!got.absent && ask_answered(&ask, &got));
	json = ask_json(&ask, NULL);
	cr_assert_eq(ask_parse(json, &parsed, &errand, &err), 0, "%s", err.text);
	cr_assert(ask_answered(&parsed, &got));
	cJSON_ReplaceItemInObject(json, "to", cJSON_CreateNumber(7));
	cr_assert_eq(ask_parse(json, &parsed, &errand, &err), -EINVAL, "a host is meant by an address");
	cJSON_Delete(json);
}
