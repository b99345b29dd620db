// SPDX-License-Identifier: Apache-2.0
/* A pair's packets cut into boxes, and the boxes put in order. */
#include <string.h>

#include "dps/pair.h"

static const struct policy_spec *spec_of(const struct policy *p)
{
	return &p->o.spec->u.policy;
}

/* Rules for the whole pair */

struct boxes {
	struct flow_box v[BOXES_MAX];
	size_t n;
};

static bool add_box(struct boxes *boxes, const struct flow_box *box)
{
	for (size_t i = 0; i < boxes->n; i++)
		if (flow_equal(&boxes->v[i], box))
			return true;
	if (boxes->n == BOXES_MAX)
		return false;
	boxes->v[boxes->n++] = *box;
	return true;
}

/* The boxes of the policies and all their intersections. */
static bool cut_by(struct boxes *boxes, const struct half *half)
{
	for (size_t i = 0; i < half->policies.n; i++) {
		size_t n = boxes->n;

		for (size_t j = 0; j < n; j++) {
			struct flow_box both;

			if (flow_meet(&boxes->v[j], &spec_of(half->policies.v[i])->match, &both) &&
			    !add_box(boxes, &both))
				return false;
		}
	}
	return true;
}

/*
 * Smaller boxes first. The boxes are closed under intersection, so the first
 * that holds a packet is the smallest, and is wholly in or out of each policy.
 */
static void sort_boxes(struct boxes *boxes)
{
	for (size_t i = 1; i < boxes->n; i++) {
		struct flow_box box = boxes->v[i];
		size_t j = i;

		for (; j > 0 && flow_volume(&boxes->v[j - 1]) > flow_volume(&box); j--)
			boxes->v[j] = boxes->v[j - 1];
		boxes->v[j] = box;
	}
}

static bool classes_equal(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool outcomes_equal(const struct outcome *a, const struct outcome *b)
{
	if (a->allow != b->allow || a->reject != b->reject || a->reply != b->reply ||
	    a->replies != b->replies || a->policy != b->policy || a->n_path != b->n_path ||
	    a->open != b->open || a->dscp != b->dscp || a->rate_mbps != b->rate_mbps ||
	    a->rate_policy != b->rate_policy || !classes_equal(a->class, b->class))
		return false;
	for (size_t i = 0; i < a->n_path; i++)
		if (strcmp(a->path[i], b->path[i]))
			return false;
	return true;
}

/* Would its packets, without this rule, all meet the same outcome further down? */
static bool is_idle(const struct rule *rules, size_t i, size_t n)
{
	struct flow_box both;

	for (size_t j = i + 1; j < n; j++) {
		if (!flow_meet(&rules[i].match, &rules[j].match, &both))
			continue;
		if (!outcomes_equal(&rules[i].outcome, &rules[j].outcome))
			return false;
		if (flow_contains(&rules[j].match, &rules[i].match))
			return true;
	}
	return false;
}

static size_t drop_idle(struct rule *rules, size_t n)
{
	for (size_t i = n; i > 0; i--)
		if (is_idle(rules, i - 1, n)) {
			memmove(&rules[i - 1], &rules[i], (n - i) * sizeof(*rules));
			n--;
		}
	return n;
}

static size_t rules_by_boxes(const struct pair *pair, struct rule *rules)
{
	struct boxes boxes = { .v = { flow_all }, .n = 1 };

	for (int i = 0; i < pair->n_halves; i++)
		if (!cut_by(&boxes, &pair->halves[i]))
			return 0;
	sort_boxes(&boxes);
	for (size_t i = 0; i < boxes.n; i++) {
		rules[i].match = boxes.v[i];
		pair_decide(pair, &boxes.v[i], &rules[i].outcome);
	}
	return drop_idle(rules, boxes.n);
}

/* Does the order of one network's policies, each taken alone, say everything? */
static bool is_plain(const struct pair *pair)
{
	const struct ptrs *list = &pair->halves[0].policies;
	struct flow_box both;

	if (pair->n_halves > 1 || list->n >= BOXES_MAX)
		return false;
	for (size_t i = 0; i < list->n; i++)
		for (size_t j = i + 1; j < list->n; j++)
			if (spec_of(list->v[i])->allow && pair_adds(spec_of(list->v[j])) &&
			    flow_meet(&spec_of(list->v[i])->match, &spec_of(list->v[j])->match, &both))
				return false;
	return true;
}

static size_t rules_by_order(const struct pair *pair, struct rule *rules)
{
	const struct ptrs *list = &pair->halves[0].policies;

	for (size_t i = 0; i < list->n; i++) {
		rules[i].match = spec_of(list->v[i])->match;
		pair_decide_alone(pair, list->v[i], &rules[i].outcome);
		if (flow_is_all(&rules[i].match))
			return i + 1;
	}
	rules[list->n].match = flow_all;
	pair_decide(pair, &flow_all, &rules[list->n].outcome);
	return list->n + 1;
}

size_t pair_rules(const struct pair *pair, struct rule *out)
{
	struct rule rules[BOXES_MAX];
	size_t n = is_plain(pair) ? rules_by_order(pair, rules) : rules_by_boxes(pair, rules);

	if (n > RULES_MAX)
		return 0;
	memcpy(out, rules, n * sizeof(*rules));
	return n;
}
