/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What applies: the translation of (sender, destination, protocol, ports).
 * The pair's entry is asked first; it decides by itself, by the few rules
 * that it holds, or says which fields the exact entry has.
 */
#ifndef DOVE_TRANSLATION_H
#define DOVE_TRANSLATION_H

#include "gate.h"
#include "maps.bpf.h"
#include "packet.h"
#include "route.h"
#include "stale.h"

struct decision {
	struct dove_translation *t;
	__u32 policy;
	__u8 verdict; /* enum dove_verdict */
	__u8 flags;   /* DOVE_RULE_* */
	__u8 rule;    /* of t, from 1, that decided; 0: t itself */
	__u8 path;    /* key of dove_paths; 0: none */
	struct judgement judged;
};

static __always_inline struct dove_translation *translation_lookup(const struct dove_cache_key *key)
{
	struct dove_translation *t = bpf_map_lookup_elem(&dove_cache, key);

	return t ? t : bpf_map_lookup_elem(&dove_denied, key);
}

/* What was counted at the translation's gate is in the ring, or has come to nothing. */
static __always_inline void decision_left(const struct packet *p, struct decision *d, bool held)
{
	if (p->follows && d->t)
		gate_left(&d->t->gate, held);
}

static __always_inline bool usable(struct decision *d, struct packet *p)
{
	return d->t && tick_now() < d->t->expires && gate_lets(&d->t->gate, p);
}

static __always_inline bool rule_matches(const struct dove_rule *r, const struct packet *p)
{
	bool any_ports = r->from_lo == 0 && r->from_hi == 0xffff && r->to_lo == 0 && r->to_hi == 0xffff;

	if (r->proto && r->proto != p->l4_proto)
		return false;
	if (any_ports)
		return true;
	return p->has_ports && p->from_port >= r->from_lo && p->from_port <= r->from_hi &&
	       p->to_port >= r->to_lo && p->to_port <= r->to_hi;
}

/*
 * The first rule that matches, or -1. A global function, which the verifier
 * looks at once by itself, and not on each of the ways that lead here.
 */
__noinline int rule_index(const struct dove_translation *t, const struct packet *p)
{
	if (!t || !p)
		return -1;
	for (int i = 0; i < DOVE_RULES_MAX && i < t->n_rules; i++)
		if (rule_matches(&t->rules[i], p))
			return i;
	return -1;
}

static __always_inline int decide_by_rules(const struct packet *p, struct decision *d)
{
	__u32 i = rule_index(d->t, p);

	if (i >= DOVE_RULES_MAX)
		return -DOVE_HELD_MISS;
	d->policy = d->t->rules[i].policy;
	d->verdict = d->t->rules[i].verdict;
	d->flags = d->t->rules[i].flags;
	d->rule = i + 1;
	d->path = d->t->rules[i].path;
	return 0;
}

static __always_inline int decide_exactly(struct packet *p, struct dove_cache_key *key, struct decision *d)
{
	__u8 scope = d->t->scope;

	key->exact = 1;
	if (scope & DOVE_SCOPE_PROTO)
		key->proto = p->l4_proto;
	if (scope & DOVE_SCOPE_FROM_PORT)
		key->from_port = p->from_port;
	if (scope & DOVE_SCOPE_TO_PORT)
		key->to_port = p->to_port;
	d->t = translation_lookup(key);
	if (!usable(d, p))
		return -DOVE_HELD_MISS;
	d->policy = d->t->policy;
	d->verdict = d->t->verdict;
	d->flags = d->t->flags;
	d->path = d->t->path;
	return 0;
}

/* The pair's entry alone, as ARP needs it; -DOVE_HELD_MISS where there is none that can be used. */
static __always_inline int translation_of_pair(struct packet *p, struct dove_cache_key *key,
					       struct decision *d)
{
	key->dst = route_target(p);
	key->source = p->source;
	d->t = translation_lookup(key);
	if (!usable(d, p))
		return -DOVE_HELD_MISS;
	d->policy = d->t->policy;
	d->verdict = d->t->verdict;
	d->flags = d->t->flags;
	d->path = d->t->path;
	return 0;
}

/* A refusal is asked again at once when anything that it rests on has changed. */
static __always_inline int refuse_old(const struct decision *d)
{
	if (d->judged.fresh == STALE_REFUSED)
		return -DOVE_HELD_MISS;
	return d->judged.fresh == STALE && d->verdict != DOVE_VERDICT_ALLOW ? -DOVE_HELD_MISS : 0;
}

/*
 * And every so often where nobody would tell this host: what it refuses no
 * destination sees. Due only when nothing else has let the packet through; a
 * trace says what is refused, and by what, until there is another answer.
 */
static __always_inline bool refusal_due(const struct packet *p, const struct decision *d)
{
	return p->hook != HOOK_TRACE && !d->judged.watched && d->t->refuses_until &&
	       bpf_ktime_get_coarse_ns() >= d->t->refuses_until;
}

/* What rests on no policy (nobody has the address, or the gateway) is asked again when the network has moved on. */
static __always_inline int translation_of_nobody(const struct packet *p, struct decision *d, int rc)
{
	judge_sent(d->t, 0, p->hook == HOOK_TRACE, &d->judged);
	TRY(refuse_old(d));
	return refusal_due(p, d) ? -DOVE_HELD_MISS : rc;
}

static __always_inline int verdict_reason(__u8 verdict)
{
	switch (verdict) {
	case DOVE_VERDICT_ALLOW:
		return 0;
	case DOVE_VERDICT_NO_ENDPOINT:
		return -DOVE_NO_ENDPOINT;
	case DOVE_VERDICT_NO_PLACE:
		return -DOVE_NO_PLACE;
	case DOVE_VERDICT_NO_SERVICE:
		return -DOVE_NO_SERVICE;
	case DOVE_VERDICT_GATEWAY:
		return -DOVE_GATEWAY;
	case DOVE_VERDICT_REJECT:
		return -DOVE_REJECTED;
	}
	return -DOVE_DENIED;
}

/*
 * translation_find() - what applies to the packet, as its sender may know it now.
 *
 * 0: allowed, d->t says where to. -DOVE_HELD_MISS: the service must be asked.
 * A later fragment whose pair depends on ports, and whose first was not seen,
 * can't be decided and ends.
 */
static __noinline int translation_find(struct packet *p, struct decision *d)
{
	struct dove_cache_key key = {};

	TRY(translation_of_pair(p, &key, d));
	if (d->t->scope) {
		if (p->later_fragment && !p->has_ports &&
		    d->t->scope & (DOVE_SCOPE_FROM_PORT | DOVE_SCOPE_TO_PORT))
			return -DOVE_FRAGMENT;
		if (d->t->n_rules)
			TRY(decide_by_rules(p, d));
		else
			TRY(decide_exactly(p, &key, d));
	}
	/* What stays on this host has no other side that would find it out. */
	if (cfg_origin_check || d->t->local || d->verdict != DOVE_VERDICT_ALLOW) {
		judge_sent(d->t, d->policy, p->hook == HOOK_TRACE, &d->judged);
		TRY(refuse_old(d));
	}
	return verdict_reason(d->verdict);
}

#endif
