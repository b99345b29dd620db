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
	static char text[32];
	struct prepared_text said;

	if (!prepared_get(&p, q, version, now, &said))
		return NULL;
	cr_assert(said.sequence == 7 && said.expires == NOW + 100 && said.len < sizeof(text));
	memcpy(text, said.text, said.len);
	text[said.len] = '\0';
	return text;
}

static void put(const struct question *q, bool any_packet, const char *text)
{
	prepared_put(&p, q, any_packet, &(struct prepared_text){ text, strlen(text), 7, NOW + 100 }, NOW);
}

Test(prepared, by_question_version_and_age)
{
	struct question q = { .source = 5, .destination = 7, .packet = flow_all }, other = q;

	cr_assert_null(get(&q, 1, NOW));
	put(&q, false, "text");
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

	get(&q, 1, NOW);
	put(&q, false, "text");
	put(&q, true, "text");
	cr_assert_null(get(&q, 1, NOW));
	cr_assert_eq(p.n, 0);
}

Test(prepared, the_last_answer_to_a_question_counts)
{
	struct question q = { .source = 5, .destination = 7, .packet = flow_all };

	get(&q, 1, NOW);
	put(&q, false, "old");
	put(&q, false, "new");
	cr_assert_str_eq(get(&q, 1, NOW), "new");
	cr_assert_eq(p.n, 1);
}

Test(prepared, for_every_packet_of_the_pair)
{
	struct question q = { .source = 5, .destination = 7, .packet = flow_all }, other = q;

	get(&q, 1, NOW);
	put(&q, false, "of no packet");
	other.packet.proto = 6;
	cr_assert_null(get(&other, 1, NOW), "it may depend on the protocol");
	put(&q, true, "of any");
	cr_assert_str_eq(get(&other, 1, NOW), "of any");
	other.destination = 8;
	cr_assert_null(get(&other, 1, NOW), "another pair");
}
