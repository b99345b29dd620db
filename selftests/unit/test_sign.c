// SPDX-License-Identifier: Apache-2.0
/* Keys, signatures, signed documents, successions. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/signed.h"
#include "lib/succession.h"

static struct sign_key *keys[6];
static char dir[] = "/tmp/dove-sign-XXXXXX", path[64];

static void setup(void)
{
	for (int i = 0; i < 6; i++)
		cr_assert_eq(sign_key_make(&keys[i], NULL), 0);
	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/key.pem", dir);
}

static void teardown(void)
{
	for (int i = 0; i < 6; i++)
		sign_key_free(keys[i]);
	unlink(path);
	rmdir(dir);
}

TestSuite(sign, .init = setup, .fini = teardown);

Test(sign, R25_a_signature_is_of_one_key_one_context_and_these_bytes)
{
	const struct sign_public *public = sign_key_public(keys[0]);
	uint8_t sig[SIGN_BYTES];

	cr_assert_eq(sign_bytes(keys[0], "statement", "abc", 3, sig), 0);
	cr_assert(sign_verify(public, "statement", "abc", 3, sig));
	cr_assert_not(sign_verify(public, "delegation", "abc", 3, sig));
	cr_assert_not(sign_verify(public, "statemenT", "abc", 3, sig));
	cr_assert_not(sign_verify(public, "statemen", "tabc", 4, sig));
	cr_assert_not(sign_verify(public, "statement", "abd", 3, sig));
	cr_assert_not(sign_verify(public, "statement", "ab", 2, sig));
	cr_assert_not(sign_verify(sign_key_public(keys[1]), "statement", "abc", 3, sig));
	for (int i = 0; i < SIGN_BYTES; i++) {
		sig[i] ^= 0x10;
		cr_assert_not(sign_verify(public, "statement", "abc", 3, sig));
		sig[i] ^= 0x10;
	}
}

Test(sign, R25_key_files_are_their_owners)
{
	struct sign_key *loaded = NULL;
	struct error err;
	struct stat st;

	cr_assert_eq(sign_key_save(keys[0], path, &err), 0, "%s", err.text);
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(sign_key_save(keys[1], path, &err), -EEXIST, "a key was overwritten");
	cr_assert_eq(sign_key_load(path, &loaded, &err), 0, "%s", err.text);
	cr_assert(sign_public_equal(sign_key_public(loaded), sign_key_public(keys[0])));
	sign_key_free(loaded);
	loaded = NULL;
	cr_assert_eq(chmod(path, 0640), 0);
	cr_assert_eq(sign_key_load(path, &loaded, &err), -EPERM);
	cr_assert_eq(chmod(path, 0600), 0);
	cr_assert_eq(truncate(path, 40), 0);
	cr_assert_eq(sign_key_load(path, &loaded, &err), -EINVAL);
	cr_assert_eq(sign_key_load("/nonexistent/key", &loaded, &err), -ENOENT);
	cr_assert_null(loaded);
}

Test(sign, base64_has_one_text_for_each_value)
{
	uint8_t data[4] = { 1, 2, 3, 4 }, out[4];
	char text[16];

	sign_to_text(data, 4, text);
	cr_assert_str_eq(text, "AQIDBA==");
	cr_assert_eq(sign_from_text(text, out, 4), 0);
	cr_assert_arr_eq(out, data, 4);
	cr_assert_eq(sign_from_text("AQIDBB==", out, 4), -EINVAL, "stray bits");
	cr_assert_eq(sign_from_text("AQIDBA=", out, 4), -EINVAL);
	cr_assert_eq(sign_from_text("AQIDBAA=", out, 4), -EINVAL, "five bytes");
	cr_assert_eq(sign_from_text("AQ DBA==", out, 4), -EINVAL);
	cr_assert_eq(sign_from_text("\nAQIDBA=", out, 4), -EINVAL);
}

Test(sign, R25_a_document_is_the_bytes_as_they_were_sent)
{
	struct sign_public public[2] = { *sign_key_public(keys[1]), *sign_key_public(keys[0]) };
	struct signed_doc doc, again;
	struct json_error err = { 0 };
	char *text;
	cJSON *json;

	cr_assert_eq(signed_make(keys[0], SIGNED_STATEMENT,
				 strdup("{\"a\": \"\xc3\xa4\\n\\\"\",  \"b\":1.0}"), &doc),
		     0);
	json = signed_json(&doc);
	text = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	json = json_parse(text, strlen(text), &err);
	free(text);
	cr_assert_eq(signed_parse(json, 100, &again, &err), 0, "%s %s", err.field, err.text);
	cJSON_Delete(json);
	cr_assert(signed_equal(&doc, &again));
	cr_assert_eq(signed_by(&again, SIGNED_STATEMENT, public, 2), &public[1]);
	cr_assert_null(signed_by(&again, SIGNED_DELEGATION, public, 2));
	cr_assert_null(signed_by(&again, SIGNED_STATEMENT, public, 1));
	again.body[5] ^= 1;
	cr_assert_eq(signed_named(&again, public, 2), &public[1]);
	cr_assert_null(signed_by(&again, SIGNED_STATEMENT, public, 2));
	signed_free(&doc);
	signed_free(&again);
}

static void refused(const char *text, const char *field)
{
	struct signed_doc doc = { .len = 7 };
	struct json_error err = { 0 };
	cJSON *json = json_parse(text, strlen(text), &err);

	cr_assert(json);
	cr_assert_eq(signed_parse(json, 10, &doc, &err), -EINVAL, "%s", text);
	cr_assert_str_eq(err.field, field, "%s: %s", text, err.field);
	cr_assert_eq(doc.len, 7);
	cJSON_Delete(json);
}

#define SIG "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="

Test(sign, a_malformed_document_is_refused_by_field)
{
	refused("{\"key\":\"0123456789abcdef\",\"sig\":\"" SIG "\"}", "body");
	refused("{\"body\":\"\",\"key\":\"0123456789abcdef\",\"sig\":\"" SIG "\"}", "body");
	refused("{\"body\":\"12345678901\",\"key\":\"0123456789abcdef\",\"sig\":\"" SIG "\"}", "body");
	refused("{\"body\":\"x\",\"key\":\"0123456789abcdeF\",\"sig\":\"" SIG "\"}", "key");
	refused("{\"body\":\"x\",\"key\":\"0123\",\"sig\":\"" SIG "\"}", "key");
	refused("{\"body\":\"x\",\"key\":\"0123456789abcdef\",\"sig\":\"AAAA\"}", "sig");
	refused("{\"body\":\"x\",\"key\":\"0123456789abcdef\",\"sig\":\"" SIG "\",\"more\":1}", "more");
	refused("[]", "");
}

/* keys[0] -> 1 -> 2 -> 3, in the order given. */
static size_t follow(const int *from, size_t n, struct sign_public *out, size_t max)
{
	struct signed_doc docs[8];
	size_t count = 1;

	for (size_t i = 0; i < n; i++)
		cr_assert_eq(succession_sign(keys[from[i]], sign_key_public(keys[from[i] + 1]), 1, &docs[i]),
			     0);
	out[0] = *sign_key_public(keys[0]);
	succession_follow(docs, n, out, &count, max);
	for (size_t i = 0; i < n; i++)
		signed_free(&docs[i]);
	return count;
}

Test(sign, R25_an_old_key_signs_its_successor)
{
	struct sign_public out[8];

	cr_assert_eq(follow((int[]){ 0, 1, 2 }, 3, out, 8), 4);
	cr_assert(sign_public_equal(&out[3], sign_key_public(keys[3])));
	cr_assert_eq(follow((int[]){ 2, 1, 0 }, 3, out, 8), 4, "in any order");
	cr_assert_eq(follow((int[]){ 1, 2 }, 2, out, 8), 1, "a link is missing");
	cr_assert_eq(follow((int[]){ 0, 0, 0 }, 3, out, 8), 2);
	cr_assert_eq(follow((int[]){ 0, 1, 2 }, 3, out, 3), 3, "no more than there is room for");
}

Test(sign, R25_nobody_signs_for_an_old_key)
{
	struct sign_public out[4] = { *sign_key_public(keys[0]) };
	struct signed_doc doc;
	size_t n = 1;
	char *body;

	/* says that it is keys[0]'s successor, and is signed by itself */
	cr_assert_eq(succession_sign(keys[0], sign_key_public(keys[4]), 1, &doc), 0);
	body = strdup(doc.body);
	signed_free(&doc);
	cr_assert_eq(signed_make(keys[4], SIGNED_SUCCESSION, body, &doc), 0);
	succession_follow(&doc, 1, out, &n, 4);
	cr_assert_eq(n, 1);
	signed_free(&doc);
}

Test(sign, R24_what_was_verified_is_not_verified_again)
{
	static struct sign_memo memo;
	struct sign_key *key, *other;
	uint8_t sig[SIGN_BYTES];
	struct error err;

	cr_assert(!sign_key_make(&key, &err) && !sign_key_make(&other, &err));
	cr_assert_eq(sign_bytes(key, "statement", "abc", 3, sig), 0);
	cr_assert_not(sign_verify_memo(&memo, sign_key_public(other), "statement", "abc", 3, sig));
	cr_assert(sign_verify_memo(&memo, sign_key_public(key), "statement", "abc", 3, sig));
	cr_assert_eq(memo.again, 0, "what is wrong is not remembered, what is new is verified");
	cr_assert(sign_verify_memo(&memo, sign_key_public(key), "statement", "abc", 3, sig));
	cr_assert_eq(memo.again, 1);
	cr_assert_not(sign_verify_memo(&memo, sign_key_public(other), "statement", "abc", 3, sig), "its key");
	cr_assert_not(sign_verify_memo(&memo, sign_key_public(key), "delegation", "abc", 3, sig), "its kind");
	cr_assert_not(sign_verify_memo(&memo, sign_key_public(key), "statement", "abd", 3, sig), "its words");
	sig[0] ^= 1;
	cr_assert_not(sign_verify_memo(&memo, sign_key_public(key), "statement", "abc", 3, sig), "itself");
	cr_assert_eq(memo.again, 1);
	sign_key_free(key);
	sign_key_free(other);
}
