// SPDX-License-Identifier: Apache-2.0
/* Answers that are sent again: of this version, of this question, and not too old. */
#include <criterion/criterion.h>
#include <string.h>

#include "dps/prepared.h"

#define NOW 1700000000

static struct prepared p;

static void teardown(void)
{
	prepared_clear(&p);
}

TestSuite(prepared, .fini = teardown);

static const char *get(const struct question *q, uint64_t version, int64_t now)
{
	uint64_t sequence = 0;
	int64_t expires = 0;
	const char *text = prepared_get(&p, q, version, now, &sequence, &expires);

	cr_assert(!text || (sequence == 7 && expires == NOW + 100));
	return text;
}

Test(prepared, by_question_version_and_age)
{
	struct question q = { .source = 5, .destination = 7, .packet = flow_all }, other = q;

	cr_assert_null(get(&q, 1, NOW));
	cr_assert(prepared_put(&p, &q, mem_copy("text"), 7, NOW, NOW + 100));
	cr_assert_str_eq(get(&q, 1, NOW), "text");
	other.packet.proto = 6;
	cr_assert_null(get(&other, 1, NOW), "another packet");
	other = (struct question){ .source = 5, .by_address = true, .packet = flow_all };
	cr_assert_null(get(&other, 1, NOW), "an address");
	cr_assert_str_eq(get(&q, 1, NOW + 50), "text");
	cr_assert_null(get(&q, 1, NOW + 51), "half of its life is over");
	cr_assert_null(get(&q, 1, NOW - 1), "the clock went back");
	cr_assert_null(get(&q, 2, NOW), "the model is another");
	cr_assert_eq(p.n, 0);
	cr_assert_eq(p.bytes, 0);
}

Test(prepared, names_are_not_kept)
{
	struct question q = { .network = "blue", .from = "vm1", .destination = 7, .packet = flow_all };
	char *text = mem_copy("text");

	cr_assert(!prepared_put(&p, &q, text, 7, NOW, NOW + 100));
	cr_assert_str_eq(text, "text");
	free(text);
}

Test(prepared, the_last_answer_to_a_question_counts)
{
	struct question q = { .source = 5, .destination = 7, .packet = flow_all };

	prepared_get(&p, &q, 1, NOW, &(uint64_t){ 0 }, &(int64_t){ 0 });
	cr_assert(prepared_put(&p, &q, mem_copy("old"), 7, NOW, NOW + 100));
	cr_assert(prepared_put(&p, &q, mem_copy("new"), 7, NOW, NOW + 100));
	cr_assert_str_eq(get(&q, 1, NOW), "new");
	cr_assert_eq(p.n, 1);
}
