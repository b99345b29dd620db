// SPDX-License-Identifier: Apache-2.0
#include "lib/halves.h"

#include <stdio.h>
#include <string.h>

#include "lib/flow.h"

/* Services, with whose they are */

static bool has_service(const struct translation_outcome *out, const char *name)
{
	for (size_t i = 0; i < out->n_path; i++)
		if (!strcmp(out->path[i], name))
			return true;
	return false;
}

/* False: there are more than a path can hold, or the name is too long. */
static bool add_services(struct translation_outcome *out, const char *zone,
			 const struct translation_outcome *from)
{
	char name[DOMAIN_ROOM + TRANSLATION_NAME_ROOM];

	for (size_t i = 0; i < from->n_path; i++) {
		snprintf(name, sizeof(name), "%s:%s", zone, from->path[i]);
		if (has_service(out, name))
			continue;
		if (out->n_path == TRANSLATION_PATH_MAX || strlen(name) >= TRANSLATION_NAME_ROOM)
			return false;
		strcpy(out->path[out->n_path++], name);
	}
	return true;
}

/* One packet */

/* Neither lets it pass of itself, and neither denies it: replies of the other direction's flows may. */
static bool lets_replies(const struct translation_outcome *a, const struct translation_outcome *b)
{
	return a->flags & TRANSLATION_REPLIES && b->flags & TRANSLATION_REPLIES;
}

static void refuse(struct translation_outcome *out, uint32_t policy, unsigned int flags)
{
	*out = (struct translation_outcome){
		.verdict = TRANSLATION_DENY, .policy = policy, .flags = flags, .dscp = -1
	};
}

/* A class comes with its path, and the path's DSCP went before the policies' already. */
static void join_class(const struct translation_outcome *a, const struct translation_outcome *b,
		       struct translation_outcome *out)
{
	const struct translation_outcome *from = *a->class ? a : b;

	strcpy(out->class, from->class);
	out->vlan = from->vlan;
	out->labels = from->labels;
	out->routers = from->routers;
}

static void pass(const char *zones[2], const struct translation_outcome *a,
		 const struct translation_outcome *b, struct translation_outcome *out)
{
	*out = (struct translation_outcome){ .verdict = TRANSLATION_ALLOW, .policy = b->policy };
	out->flags = a->flags & b->flags & TRANSLATION_REPLY;
	out->dscp = a->dscp >= 0 ? a->dscp : b->dscp;
	out->rate_mbps = a->rate_mbps ? a->rate_mbps : b->rate_mbps;
	out->rate_policy = a->rate_mbps ? a->rate_policy : b->rate_policy;
	join_class(a, b, out);
	if (!add_services(out, zones[0], a) || !add_services(out, zones[1], b))
		refuse(out, b->policy, 0);
}

static void join(const char *zones[2], const struct translation_outcome *a,
		 const struct translation_outcome *b, struct translation_outcome *out)
{
	const struct translation_outcome *refuses = a->verdict == TRANSLATION_ALLOW ? b : a;

	pass(zones, a, b, out);
	if (out->verdict != TRANSLATION_ALLOW ||
	    (a->verdict == TRANSLATION_ALLOW && b->verdict == TRANSLATION_ALLOW))
		return;
	if (lets_replies(a, b)) {
		out->verdict = TRANSLATION_DENY;
		out->flags = TRANSLATION_REPLIES;
	} else {
		refuse(out, refuses->policy, refuses->flags & TRANSLATION_REJECT);
	}
}

/* All packets of the pair */

static struct flow_box box_of(const struct translation_rule *rule)
{
	return (struct flow_box){ .proto = rule->proto,
				  .from_port = { rule->from_port[0], rule->from_port[1] },
				  .to_port = { rule->to_port[0], rule->to_port[1] } };
}

static void set_box(struct translation_rule *rule, const struct flow_box *box)
{
	rule->proto = box->proto;
	memcpy(rule->from_port, box->from_port, sizeof(rule->from_port));
	memcpy(rule->to_port, box->to_port, sizeof(rule->to_port));
}

/* A half's rules; one that has none says the same of every packet. */
static size_t rules_of(const struct translation *t, struct translation_rule *one,
		       const struct translation_rule **rules)
{
	if (t->n_rules) {
		*rules = t->rules;
		return t->n_rules;
	}
	set_box(one, &flow_all);
	one->outcome = t->outcome;
	*rules = one;
	return 1;
}

static bool is_hidden(const struct translation *out, const struct flow_box *box)
{
	for (size_t i = 0; i < out->n_rules; i++) {
		struct flow_box above = box_of(&out->rules[i]);

		if (flow_contains(&above, box))
			return true;
	}
	return false;
}

/* The first rule of each that matches decides, so pairs of rules in this order do. False: they are too many. */
static bool join_rules(const char *zones[2], const struct translation *a, const struct translation *b,
		       struct translation *out)
{
	struct translation_rule whole[2];
	const struct translation_rule *left, *right;
	size_t n = rules_of(a, &whole[0], &left), m = rules_of(b, &whole[1], &right);

	for (size_t i = 0; i < n * m; i++) {
		const struct translation_rule *x = &left[i / m], *y = &right[i % m];
		struct flow_box both, p = box_of(x), q = box_of(y);

		if (!flow_meet(&p, &q, &both) || is_hidden(out, &both))
			continue;
		if (out->n_rules == TRANSLATION_RULES_MAX)
			return false;
		set_box(&out->rules[out->n_rules], &both);
		join(zones, &x->outcome, &y->outcome, &out->rules[out->n_rules++].outcome);
	}
	return true;
}

static bool is_whole(const struct translation *t)
{
	return !t->scope || t->n_rules;
}

bool halves_refused(const struct translation *t)
{
	if (t->outcome.verdict != TRANSLATION_DENY || t->outcome.flags & TRANSLATION_REPLIES)
		return false;
	for (size_t i = 0; i < t->n_rules; i++)
		if (t->rules[i].outcome.verdict != TRANSLATION_DENY ||
		    t->rules[i].outcome.flags & TRANSLATION_REPLIES)
			return false;
	return true;
}

void halves_join(const struct translation *first, const struct translation *second, struct translation *out)
{
	const char *zones[2] = { first->zone, second->zone };

	if (halves_refused(first) || !second->has_destination) {
		*out = halves_refused(first) ? *first : *second;
		return;
	}
	*out = *second;
	out->n_rules = 0;
	out->scope = first->scope | second->scope;
	out->expires = first->expires < second->expires ? first->expires : second->expires;
	join(zones, &first->outcome, &second->outcome, &out->outcome);
	out->outcome.flags |= (first->outcome.flags | second->outcome.flags) & TRANSLATION_THROUGH;
	if (!out->scope || (is_whole(first) && is_whole(second) && join_rules(zones, first, second, out)))
		return;
	out->n_rules = 0;
}
