// SPDX-License-Identifier: Apache-2.0
/* JSON written as text: what cJSON reads in it is what was meant. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json_text.h"

static void expect(struct json_text *t, const char *want)
{
	cr_assert_str_eq(json_text_end(t), want);
	cr_assert_eq(t->len, strlen(want), "the end does not count");
	free(t->text);
}

Test(json_text, commas_come_of_themselves)
{
	struct json_text t = { 0 };

	json_text_open(&t, NULL, '{');
	json_text_uint(&t, "a", 0);
	json_text_open(&t, "b", '[');
	json_text_uint(&t, NULL, 18446744073709551615u);
	json_text_str(&t, NULL, "x");
	json_text_open(&t, NULL, '{');
	json_text_close(&t, '}');
	json_text_open(&t, NULL, '[');
	json_text_close(&t, ']');
	json_text_close(&t, ']');
	json_text_true(&t, "no", false);
	json_text_true(&t, "yes", true);
	json_text_str(&t, "none", NULL);
	json_text_value(&t, "raw");
	json_text_raw(&t, "1.5", 3);
	json_text_close(&t, '}');
	expect(&t,
	       "{\"a\":0,\"b\":[18446744073709551615,\"x\",{},[]],\"yes\":true,\"none\":null,\"raw\":1.5}");
}

Test(json_text, strings_are_quoted)
{
	struct json_text t = { 0 };

	json_text_open(&t, NULL, '[');
	json_text_str(&t, NULL, "");
	json_text_str(&t, NULL, "[");
	json_text_str(&t, NULL, "a\"b\\c\n\x1f\x7f\xc3\xa4\"");
	json_text_close(&t, ']');
	expect(&t, "[\"\",\"[\",\"a\\u0022b\\u005cc\\u000a\\u001f\x7f\xc3\xa4\\u0022\"]");
}

Test(json_text, it_grows)
{
	struct json_text t = { 0 };
	size_t n = 100000;

	json_text_open(&t, NULL, '[');
	for (size_t i = 0; i < n; i++)
		json_text_uint(&t, NULL, 7);
	json_text_close(&t, ']');
	cr_assert_eq(t.len, 1 + 2 * n);
	cr_assert_eq(strlen(json_text_end(&t)), t.len);
	free(t.text);
}
