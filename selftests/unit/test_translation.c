// SPDX-License-Identifier: Apache-2.0
/* Translations as their authority signs them: one encoding each, and nothing else is taken. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/translate.h"
#include "dps_world.h"

#define NOW 1700000000
#define LIFETIME 3600

WORLD_OWN
static struct sign_key *key;
static struct signer signer;

static void setup(void)
{
	struct error err;

	world_init(&w);
	world_reference(&w);
	cr_assert_eq(sign_key_make(&key, &err), 0);
	signer = (struct signer){ .key = key, .zone = "acme/eng" };
	w.m.domain = "acme/eng";
}

static void teardown(void)
{
	sign_key_free(key);
	world_free(&w);
}

TestSuite(translation, .init = setup, .fini = teardown);

static struct question about(const char *from, const char *to, int proto, int port)
{
	struct question q = { .source = world_endpoint(&w, from)->o.id,
			      .destination = world_endpoint(&w, to)->o.id,
			      .packet = flow_all };

	q.packet.proto = proto;
	if (port)
		q.packet.to_port[0] = q.packet.to_port[1] = port;
	return q;
}

static struct translation translated(const struct question *q)
{
	struct translation t;
	struct answer a;

	resolve(&w.m, q, &a);
	cr_assert(translate(&w.m, q, &a, &signer, NOW, LIFETIME, &t));
	return t;
}

static const char *rich =
	"[{'kind':'policy','network':'blue','name':'in','priority':10,'from':'any',"
	"'to':{'endpoints':['vm3']},'proto':'tcp','to_port':'443-500','action':'allow',"
	"'path':['firewall','ssl-accelerator'],'qos':{'dscp':46,'rate_mbps':100,'class':'gold'}},"
	"{'kind':'underlay_path','name':'gold','vlan':100,'mpls':[{'label':100,'tc':5},200]},"
	"{'kind':'policy','network':'blue','name':'out','priority':20,'from':'any',"
	"'to':{'endpoints':['vm3']},'proto':'udp','action':'reject'}]";

static size_t encode_rich(uint8_t *buf, struct translation *t)
{
	struct question q;
	size_t len;

	apply(rich);
	q = about("blue/vm1", "blue/vm3", 6, 443);
	*t = translated(&q);
	len = translation_encode(t, buf, TRANSLATION_MAX);
	cr_assert_gt(len, 100);
	return len;
}

Test(translation, says_what_the_answer_says)
{
	static const char *const pairs[][2] = { { "blue/vm1", "blue/vm3" },
						{ "blue/vm3", "blue/vm1" },
						{ "blue/vm2", "blue/vm7" } };
	uint8_t buf[TRANSLATION_MAX];
	struct translation t, again;
	size_t len;

	apply(rich);
	for (size_t i = 0; i < 3; i++) {
		struct question q = about(pairs[i][0], pairs[i][1], 6, 443);
		struct answer a;
		cJSON *said, *meant;

		resolve(&w.m, &q, &a);
		t = translated(&q);
		len = translation_encode(&t, buf, sizeof(buf));
		cr_assert_eq(translation_decode(buf, len, &again), 0);
		said = translation_answer(&again, NOW);
		meant = world_answer_json(&w, &a, LIFETIME);
		cJSON_DeleteItemFromObject(meant, "floor"); /* who was handed it on takes the sequence */
		cr_assert(cJSON_Compare(said, meant, true), "%s\n%s", cJSON_Print(said), cJSON_Print(meant));
		cJSON_Delete(said);
		cJSON_Delete(meant);
	}
	cr_assert_eq(t.vnid, world_network(&w, "blue")->o.id);
	cr_assert_eq(t.from_vnid, t.vnid);
	cr_assert_str_eq(again.zone, "acme/eng");
	cr_assert_eq(again.issued, NOW);
	cr_assert_eq(again.expires, NOW + LIFETIME);
}

Test(translation, has_the_documented_bytes)
{
	/* docs/translations.md has these as its example */
	static const char want[] = "ac"
				   "0102"
				   "026461636d65"
				   "03190100"
				   "04190100"
				   "0505"
				   "065000000000000000000000ffff0a01000c"
				   "0889010003801840"
				   "00006000"
				   "096764656661756c74"
				   "0a00"
				   "0e182a"
				   "0f1a6553f100"
				   "101a6553ff10";
	struct translation t = { .zone = "acme",
				 .vnid = 256,
				 .from_vnid = 256,
				 .source = 5,
				 .has_address = true,
				 .outcome = { .verdict = TRANSLATION_DENY, .policy = 3, .dscp = -1 },
				 .policy_name = "default",
				 .sequence = 42,
				 .issued = NOW,
				 .expires = NOW + LIFETIME };
	uint8_t buf[256];
	char hex[513] = "";
	size_t len;

	cr_assert_eq(ip_parse("10.1.0.12", &t.address), 0);
	len = translation_encode(&t, buf, sizeof(buf));
	for (size_t i = 0; i < len; i++)
		sprintf(hex + 2 * i, "%02x", buf[i]);
	cr_assert_str_eq(hex, want);
}

/* Who knows no labels still reads what has none. */
Test(translation, is_of_the_older_version_without_labels)
{
	uint8_t buf[TRANSLATION_MAX];
	struct translation t, out;
	size_t len = encode_rich(buf, &t);

	cr_assert_eq(buf[2], TRANSLATION_VERSION_LABELS);
	cr_assert_eq(translation_decode(buf, len, &out), 0);
	cr_assert_eq(out.rules[1].outcome.labels.n, 2);
	cr_assert_eq(out.rules[1].outcome.labels.at[0], LABEL_CODE(100, 5));
	cr_assert_eq(out.rules[0].outcome.labels.n, 0);
	buf[2] = TRANSLATION_VERSION;
	cr_assert_eq(translation_decode(buf, len, &out), -EINVAL, "labels in version 2");
	buf[2] = TRANSLATION_VERSION_LABELS + 1;
	cr_assert_eq(translation_decode(buf, len, &out), -EINVAL, "a version that nobody knows");
	t.outcome.labels.at[0] = LABEL_CODE_FIRST - 1;
	len = translation_encode(&t, buf, sizeof(buf));
	cr_assert_eq(translation_decode(buf, len, &out), -EINVAL, "a reserved label");
	t.outcome.labels.n = 0;
	for (size_t i = 0; i < t.n_rules; i++)
		t.rules[i].outcome.labels.n = 0;
	len = translation_encode(&t, buf, sizeof(buf));
	cr_assert_eq(buf[2], TRANSLATION_VERSION);
	cr_assert_eq(translation_decode(buf, len, &out), 0);
	buf[2] = TRANSLATION_VERSION_LABELS;
	cr_assert_eq(translation_decode(buf, len, &out), -EINVAL, "version 3 without labels");
}

/* And who knows labels alone, what leads by no routers. */
Test(translation, is_of_the_latest_version_with_routers_alone)
{
	static const char *const bad[] = { "2001:db8::9", "224.0.0.5", "127.0.0.1" };
	uint8_t buf[TRANSLATION_MAX];
	struct translation t, out;
	size_t len = encode_rich(buf, &t);
	struct routers *routers = &t.rules[0].outcome.routers;

	for (size_t n = 1; n <= ROUTERS_MAX; n++) {
		cr_assert_eq(ip_parse("192.0.2.9", &routers->at[n - 1]), 0);
		routers->at[n - 1].b[15] += n;
		routers->n = n;
		len = translation_encode(&t, buf, sizeof(buf));
		cr_assert_eq(buf[2], TRANSLATION_VERSION_ROUTERS);
		cr_assert_eq(translation_decode(buf, len, &out), 0);
		cr_assert_eq(memcmp(&out.rules[0].outcome.routers, routers, sizeof(*routers)), 0);
		cr_assert_eq(out.rules[1].outcome.labels.n, 2, "and another rule's labels");
		cr_assert_eq(out.rules[1].outcome.routers.n, 0);
		cr_assert_eq(out.outcome.routers.n, 0);
	}
	buf[2] = TRANSLATION_VERSION_LABELS;
	cr_assert_eq(translation_decode(buf, len, &out), -EINVAL, "routers in version 3");
	buf[2] = TRANSLATION_VERSION_ROUTERS + 1;
	cr_assert_eq(translation_decode(buf, len, &out), -EINVAL, "a version that nobody knows");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ip_addr was = routers->at[3];

		cr_assert_eq(ip_parse(bad[i], &routers->at[3]), 0);
		len = translation_encode(&t, buf, sizeof(buf));
		cr_assert_eq(translation_decode(buf, len, &out), -EINVAL, "by %s", bad[i]);
		routers->at[3] = was;
	}
	t.rules[0].outcome.labels = t.rules[1].outcome.labels;
	len = translation_encode(&t, buf, sizeof(buf));
	cr_assert_eq(translation_decode(buf, len, &out), -EINVAL, "labels and routers");
	t.rules[0].outcome.labels.n = 0;
	routers->n = 0;
	len = translation_encode(&t, buf, sizeof(buf));
	cr_assert_eq(buf[2], TRANSLATION_VERSION_LABELS);
	buf[2] = TRANSLATION_VERSION_ROUTERS;
	cr_assert_eq(translation_decode(buf, len, &out), -EINVAL, "version 4 without routers");
}

/* An answer that is written at once says the same as one that was signed and read. */
Test(translation, says_which_routers)
{
	struct translation t;
	struct question q;
	cJSON *said, *qos;

	apply("[{'kind':'underlay_path','name':'gold','hops':['192.0.2.9','192.0.2.13']},"
	      "{'kind':'policy','network':'blue','name':'p','from':'any','to':{'endpoints':['vm3']},"
	      "'action':'allow','qos':{'class':'gold'}}]");
	q = about("blue/vm1", "blue/vm3", 0, 0);
	t = translated(&q);
	said = translation_answer(&t, NOW);
	qos = cJSON_GetObjectItem(said, "qos");
	cr_assert_eq(cJSON_GetArraySize(cJSON_GetObjectItem(qos, "hops")), 2);
	cr_assert_str_eq(cJSON_GetArrayItem(cJSON_GetObjectItem(qos, "hops"), 1)->valuestring, "192.0.2.13");
	cJSON_Delete(said);
}

Test(translation, has_one_encoding)
{
	uint8_t buf[TRANSLATION_MAX + 1], longer[TRANSLATION_MAX];
	struct translation t, out;
	size_t len = encode_rich(buf, &t);

	cr_assert_eq(translation_decode(buf, len, &out), 0);
	for (size_t cut = 0; cut < len; cut++)
		cr_assert_eq(translation_decode(buf, cut, &out), -EINVAL, "cut off at %zu", cut);
	buf[len] = 0;
	cr_assert_eq(translation_decode(buf, len + 1, &out), -EINVAL, "something follows");
	/* the version as a number of two bytes: the same, said longer */
	memcpy(longer, buf, 2);
	longer[2] = 0x18;
	memcpy(longer + 3, buf + 2, len - 2);
	cr_assert_eq(translation_decode(longer, len + 1, &out), -EINVAL, "a number longer than it need be");
}

Test(translation, no_byte_can_be_changed)
{
	uint8_t buf[TRANSLATION_MAX], again[TRANSLATION_MAX];
	struct translation t, out;
	size_t len = encode_rich(buf, &t);
	struct translation_doc doc;

	cr_assert_eq(translation_sign(&t, key, &doc), 0);
	cr_assert_eq(doc.len, len);
	cr_assert_eq(translation_open(&doc, sign_key_public(key), 1, NOW, &out), 0);
	for (size_t i = 0; i < len; i++)
		for (int bit = 0; bit < 8; bit++) {
			size_t n;

			buf[i] ^= 1 << bit;
			if (!translation_decode(buf, len, &out)) { /* it may well be another translation */
				n = translation_encode(&out, again, sizeof(again));
				cr_assert(n == len && !memcmp(again, buf, n), "byte %zu bit %d", i, bit);
			}
			buf[i] ^= 1 << bit;
			if (bit)
				continue;
			doc.body[i] ^= 1;
			cr_assert_eq(translation_open(&doc, sign_key_public(key), 1, NOW, &out),
				     -EKEYREJECTED);
			doc.body[i] ^= 1;
		}
	translation_doc_free(&doc);
}

Test(translation, is_believed_by_key_and_time_only)
{
	struct question q = about("blue/vm1", "blue/vm2", 0, 0);
	struct translation t = translated(&q), out;
	struct sign_public keys[2] = { { { 1 } } };
	struct translation_doc doc;
	struct sign_key *other;
	struct error err;

	cr_assert_eq(translation_sign(&t, key, &doc), 0);
	cr_assert_eq(sign_key_make(&other, &err), 0);
	cr_assert_eq(translation_open(&doc, sign_key_public(other), 1, NOW, &out), -EKEYREJECTED);
	keys[1] = *sign_key_public(key);
	cr_assert_eq(translation_open(&doc, keys, 2, NOW, &out), 0, "a key's successor is beside it");
	cr_assert_eq(translation_open(&doc, keys, 1, NOW, &out), -EKEYREJECTED);
	cr_assert_eq(translation_open(&doc, keys, 2, NOW + LIFETIME - 1, &out), 0);
	cr_assert_eq(translation_open(&doc, keys, 2, NOW + LIFETIME, &out), -ETIME);
	cr_assert_eq(translation_open(&doc, keys, 2, NOW - TRANSLATION_SKEW, &out), 0);
	cr_assert_eq(translation_open(&doc, keys, 2, NOW - TRANSLATION_SKEW - 1, &out), -EAGAIN);
	translation_doc_free(&doc);
	sign_key_free(other);
}

Test(translation, a_signature_of_another_kind_is_worth_nothing)
{
	struct question q = about("blue/vm1", "blue/vm2", 0, 0);
	struct translation t = translated(&q), out;
	struct translation_doc doc;

	cr_assert_eq(translation_sign(&t, key, &doc), 0);
	cr_assert_eq(sign_bytes(key, "statement", doc.body, doc.len, doc.sig), 0);
	cr_assert_eq(translation_open(&doc, sign_key_public(key), 1, NOW, &out), -EKEYREJECTED);
	translation_doc_free(&doc);
}

Test(translation, what_lives_too_long_is_malformed)
{
	struct question q = about("blue/vm1", "blue/vm2", 0, 0);
	struct translation t = translated(&q), out;
	uint8_t buf[TRANSLATION_MAX];

	t.expires = t.issued + TRANSLATION_LIFE_MAX;
	cr_assert_eq(translation_decode(buf, translation_encode(&t, buf, sizeof(buf)), &out), 0);
	t.expires++;
	cr_assert_eq(translation_decode(buf, translation_encode(&t, buf, sizeof(buf)), &out), -EINVAL);
	cr_assert_eq(translation_encode(&t, buf, 20), 0, "no room is said");
}

Test(translation, travels_in_answers)
{
	struct question q = about("blue/vm1", "blue/vm2", 0, 0);
	struct json_error err = { 0 };
	struct translation_doc doc;
	struct translation out;
	struct answer a;
	cJSON *json, *one;

	resolve(&w.m, &q, &a);
	json = translate_answer_json(&w.m, &q, &a, &signer, NOW, LIFETIME);
	one = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "signed"), 0);
	cr_assert_eq(translation_doc_parse(one, &doc, &err), 0, "%s", err.text);
	cr_assert_eq(translation_open(&doc, sign_key_public(key), 1, NOW, &out), 0);
	cr_assert_eq(out.source, q.source);
	cr_assert_eq(out.destination.id, q.destination);
	translation_doc_free(&doc);
	cJSON_ReplaceItemInObject(one, "body", cJSON_CreateString("AAA"));
	cr_assert_eq(translation_doc_parse(one, &doc, &err), -EINVAL);
	cr_assert_str_eq(err.field, "body");
	cJSON_Delete(json);
	signer.key = NULL;
	json = translate_answer_json(&w.m, &q, &a, &signer, NOW, LIFETIME);
	cr_assert_null(cJSON_GetObjectItem(json, "signed"), "nobody signs");
	cJSON_Delete(json);
}

Test(translation, an_answer_to_nobody_is_not_signed)
{
	struct question q = { .source = 4711, .destination = 1, .packet = flow_all };
	struct translation t;
	struct answer a;

	resolve(&w.m, &q, &a);
	cr_assert(!translate(&w.m, &q, &a, &signer, NOW, LIFETIME, &t));
}
