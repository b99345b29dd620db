// SPDX-License-Identifier: Apache-2.0
/* Whether an appliance hangs, by what was heard of probes from one question to the next. */
#include <criterion/criterion.h>

#include "agent/probe.h"

/* One question after the other: '+' its answer was heard, '.' it was not, 'x' it was not, and that is excused. */
static enum probe_state after(struct probe_judged *j, const char *questions)
{
	for (; *questions; questions++) {
		enum probe_state before = j->state;
		bool changed;

		j->heard = *questions == '+';
		changed = probe_judge(j, *questions == 'x');
		cr_assert_eq(changed, j->state != before, "at '%s'", questions);
		cr_assert_not(j->heard);
	}
	return j->state;
}

Test(probe, R28_what_is_made_of_the_answers)
{
	static const struct {
		const char *questions;
		enum probe_state state;
	} cases[] = {
		{ "", PROBE_NONE },
		{ "..........", PROBE_NONE },
		{ "++", PROBE_NONE },
		{ "++.++.++", PROBE_NONE },
		{ "++x+", PROBE_NONE },
		{ "+++", PROBE_PASSING },
		{ "......+++", PROBE_PASSING },
		{ "+++....", PROBE_PASSING },
		{ "+++....+....", PROBE_PASSING },
		{ "+++.....", PROBE_FAILED },
		{ "+++..........", PROBE_FAILED },
		{ "+++xxxxxxxx", PROBE_PASSING },
		{ "+++..x..x.", PROBE_FAILED },
		{ "+++....xxx+....", PROBE_PASSING },
		{ "+++.....+", PROBE_FAILED },
		{ "+++.....++.++.++", PROBE_FAILED },
		{ "+++.....+++", PROBE_PASSING },
		{ "+++.....+++....", PROBE_PASSING },
		{ "+++.....+++.....", PROBE_FAILED },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct probe_judged j = {};

		cr_assert_eq(after(&j, cases[i].questions), cases[i].state, "%s: %s", cases[i].questions,
			     probe_name(j.state));
	}
}

/* As an agent has it that finds in its run directory that the way had failed. */
Test(probe, R28_what_an_earlier_agent_saw_holds_until_something_comes_through)
{
	struct probe_judged j = { .state = PROBE_FAILED };

	cr_assert_eq(after(&j, "........"), PROBE_FAILED);
	cr_assert_eq(after(&j, "++"), PROBE_FAILED);
	cr_assert_eq(after(&j, "+"), PROBE_PASSING);
}
