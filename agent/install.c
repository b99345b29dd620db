// SPDX-License-Identifier: Apache-2.0
#include "install.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "paths.h"
#include "qos.h"
#include "underlay.h"

static int verdict_parse(const cJSON *json, uint8_t *out, struct json_error *err)
{
	static const struct {
		const char *name;
		uint8_t verdict;
	} verdicts[] = {
		{ "allow", DOVE_VERDICT_ALLOW },
		{ "deny", DOVE_VERDICT_DENY },
		{ "no_endpoint", DOVE_VERDICT_NO_ENDPOINT },
		{ "no_source", DOVE_VERDICT_NO_ENDPOINT },
		{ "gateway", DOVE_VERDICT_GATEWAY },
	};
	const char *name;

	if (json_str(json, "verdict", &name, err))
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		if (strcmp(name, verdicts[i].name))
			continue;
		*out = verdicts[i].verdict;
		if (*out == DOVE_VERDICT_DENY && cJSON_IsTrue(json_get(json, "reject")))
			*out = DOVE_VERDICT_REJECT;
		return 0;
	}
	return json_fail(err, "verdict", "'%s' is no verdict", name);
}

static uint8_t flags_parse(const cJSON *json)
{
	return (cJSON_IsTrue(json_get(json, "reply")) ? DOVE_RULE_TRACK : 0) |
	       (cJSON_IsTrue(json_get(json, "replies")) ? DOVE_RULE_REPLIES : 0) |
	       (cJSON_IsTrue(json_get(json, "through")) ? DOVE_RULE_THROUGH : 0);
}

static uint8_t path_parse(struct agent *a, const cJSON *json)
{
	return paths_number(a->paths, json_get(json, "path"), cJSON_IsTrue(json_get(json, "open")));
}

static int scope_parse(const cJSON *json, uint8_t *out, struct json_error *err)
{
	static const struct {
		const char *name;
		uint8_t bit;
	} fields[] = {
		{ "proto", DOVE_SCOPE_PROTO },
		{ "from_port", DOVE_SCOPE_FROM_PORT },
		{ "to_port", DOVE_SCOPE_TO_PORT },
	};
	const cJSON *one;

	*out = 0;
	cJSON_ArrayForEach (one, json_get(json, "scope")) {
		const char *name = cJSON_GetStringValue(one);
		uint8_t bit = 0;

		for (size_t i = 0; name && i < ARRAY_SIZE(fields); i++)
			if (!strcmp(name, fields[i].name))
				bit = fields[i].bit;
		if (!bit)
			return json_fail(err, "scope", "'%s' is no field of a packet", name ? name : "");
		*out |= bit;
	}
	return 0;
}

static int range_parse(const cJSON *rule, const char *field, __u16 *lo, __u16 *hi, struct json_error *err)
{
	const cJSON *range = json_get(rule, field);
	uint64_t from = 0, to = 0xffff;

	if (range && (!json_whole(cJSON_GetArrayItem(range, 0), 0, 0xffff, &from) ||
		      !json_whole(cJSON_GetArrayItem(range, 1), from, 0xffff, &to)))
		return json_fail(err, field, "not a range of ports");
	*lo = from;
	*hi = to;
	return 0;
}

static int rule_parse(struct agent *a, const cJSON *json, struct dove_rule *out, struct json_error *err)
{
	uint64_t proto, policy;

	if (json_uint(json, "proto", 0, 255, &proto, err) ||
	    json_uint(json, "policy", 1, UINT32_MAX, &policy, err) ||
	    verdict_parse(json, &out->verdict, err) ||
	    range_parse(json, "from_port", &out->from_lo, &out->from_hi, err) ||
	    range_parse(json, "to_port", &out->to_lo, &out->to_hi, err) ||
	    qos_install(a, json_get(json, "qos"), &out->qos, err))
		return -EINVAL;
	out->proto = proto;
	out->policy = policy;
	out->flags = flags_parse(json);
	out->path = path_parse(a, json);
	return 0;
}

/* What is said of the pair holds for each rule. */
static int rules_parse(struct agent *a, const cJSON *json, struct dove_translation *t, struct json_error *err)
{
	const cJSON *rules = json_get(json, "rules"), *one;

	if (cJSON_GetArraySize(rules) > DOVE_RULES_MAX)
		return json_fail(err, "rules", "more than %d", DOVE_RULES_MAX);
	cJSON_ArrayForEach (one, rules) {
		if (rule_parse(a, one, &t->rules[t->n_rules], err))
			return -EINVAL;
		t->rules[t->n_rules++].flags |= t->flags & DOVE_RULE_THROUGH;
	}
	return 0;
}

static int destination_parse(struct agent *a, const cJSON *json, struct dove_translation *t,
			     struct installed *in, struct json_error *err)
{
	const cJSON *d = json_get(json, "destination");
	const char *mac, *host = cJSON_GetStringValue(json_get(d, "host"));
	static const uint8_t gateway[] = DOVE_GATEWAY_MAC;
	struct mac_addr parsed;
	uint64_t id;

	if (t->verdict == DOVE_VERDICT_GATEWAY)
		memcpy(t->mac, gateway, sizeof(t->mac));
	if (!d)
		return t->verdict == DOVE_VERDICT_NO_ENDPOINT || t->verdict == DOVE_VERDICT_GATEWAY
			       ? 0
			       : json_fail(err, "destination", "is missing");
	if (json_uint(d, "id", 1, UINT32_MAX, &id, err) || json_str(d, "mac", &mac, err))
		return -EINVAL;
	if (mac_parse(mac, &parsed))
		return json_fail(err, "destination.mac", "not a MAC address");
	t->endpoint = id;
	memcpy(t->mac, parsed.b, sizeof(t->mac));
	t->local = host && !strcmp(host, a->config.host);
	if (t->local)
		return 0;
	/*
	 * Attached nowhere, or on a host without an address: what policies say
	 * matters again when it has a place, which is a new revision. Until then
	 * no policy stands behind this answer.
	 */
	if (underlay_choose(a->underlay, json_get(d, "host_addresses"), &in->host)) {
		if (t->scope || (t->verdict != DOVE_VERDICT_DENY && t->verdict != DOVE_VERDICT_REJECT))
			t->verdict = DOVE_VERDICT_NO_PLACE;
		if (t->verdict == DOVE_VERDICT_NO_PLACE)
			t->policy = 0;
		t->n_rules = t->scope = 0;
		return 0;
	}
	in->has_host = true;
	t->host = to_dove_ip(&in->host);
	return 0;
}

/* What is worth keeping for as long as it holds: the gateway is as good as any address. */
static bool allows_anything(const struct dove_translation *t)
{
	if ((t->scope && !t->n_rules) || t->verdict == DOVE_VERDICT_GATEWAY)
		return true;
	for (int i = 0; i < t->n_rules; i++)
		if (t->rules[i].verdict == DOVE_VERDICT_ALLOW || t->rules[i].flags & DOVE_RULE_REPLIES)
			return true;
	return !t->n_rules && (t->verdict == DOVE_VERDICT_ALLOW || t->flags & DOVE_RULE_REPLIES);
}

static int translation_parse(struct agent *a, const cJSON *json, struct dove_translation *t,
			     struct installed *in, struct json_error *err)
{
	uint64_t vnid, policy = 0, sequence, floor, lifetime;

	*t = (struct dove_translation){};
	if (json_uint(json, "vnid", 1, 0xffffff, &vnid, err) ||
	    json_uint_opt(json, "policy", 0, UINT32_MAX, &policy, err) ||
	    json_uint(json, "sequence", 0, JSON_INT_MAX, &sequence, err) ||
	    json_uint(json, "lifetime", 0, 86400, &lifetime, err) || verdict_parse(json, &t->verdict, err) ||
	    scope_parse(json, &t->scope, err))
		return -EINVAL;
	floor = sequence; /* unless it says more */
	if (json_uint_opt(json, "floor", 0, sequence, &floor, err))
		return -EINVAL;
	t->flags = flags_parse(json);
	t->path = path_parse(a, json);
	if (rules_parse(a, json, t, err) || qos_install(a, json_get(json, "qos"), &t->qos, err))
		return -EINVAL;
	t->vnid = vnid;
	t->policy = policy;
	t->floor = floor;
	t->revision = sequence;
	if (destination_parse(a, json, t, in, err))
		return -EINVAL;
	if (!allows_anything(t) && lifetime > REFUSAL_LIFETIME_S)
		lifetime = REFUSAL_LIFETIME_S;
	t->expires = clock_now() + lifetime * SECOND_NS;
	t->refuses_until = clock_now() + REFUSAL_UNWATCHED_S * SECOND_NS;
	return 0;
}

/* Into the map for its kind, and out of the other: a key is in one of them. */
static void entry_store(struct agent *a, const struct dove_cache_key *key, const struct dove_translation *t)
{
	int into = allows_anything(t) ? a->maps->cache : a->maps->denied;
	int out_of = into == a->maps->cache ? a->maps->denied : a->maps->cache;

	if (bpf_map_update_elem(into, key, t, BPF_ANY))
		log_error("%s: %s", into == a->maps->cache ? "dove_cache" : "dove_denied", strerror(errno));
	bpf_map_delete_elem(out_of, key);
}

static void entry_add(struct install_batch *b, const struct dove_cache_key *key,
		      const struct dove_translation *t)
{
	b->rows[b->n++] = (struct dove_write){ .key = *key, .denied = !allows_anything(t), .t = *t };
}

void install_write(struct agent *a, struct install_batch *batch)
{
	if (batch->n)
		loader_write(a->loader, batch->rows, batch->n);
	for (uint32_t i = 0; i < batch->n; i++)
		if (batch->rows[i].rc)
			log_error("%s: %s", batch->rows[i].denied ? "dove_denied" : "dove_cache",
				  strerror(-batch->rows[i].rc));
	batch->n = 0;
}

/* The fields that the pair's answer depends on, as in the packet that was asked for. */
static struct dove_cache_key exact_key(const struct dove_cache_key *pair, uint8_t scope,
				       const struct dove_cache_key *asked)
{
	struct dove_cache_key key = *pair;

	key.exact = 1;
	if (scope & DOVE_SCOPE_PROTO)
		key.proto = asked->proto;
	if (scope & DOVE_SCOPE_FROM_PORT)
		key.from_port = asked->from_port;
	if (scope & DOVE_SCOPE_TO_PORT)
		key.to_port = asked->to_port;
	return key;
}

int install_answer(struct agent *a, const cJSON *answer, const struct dove_cache_key *asked, bool pending,
		   struct install_batch *batch, struct installed *out, struct json_error *err)
{
	struct installed in = { .key = { .dst = asked->dst, .source = asked->source } };

	if (translation_parse(a, answer, &in.t, &in, err))
		return -EINVAL;
	if (in.t.scope && !in.t.n_rules) {
		entry_add(batch, &in.key, &in.t);
		in.key = exact_key(&in.key, in.t.scope, asked);
		in.t.scope = 0;
		if (in.t.verdict != DOVE_VERDICT_ALLOW)
			in.t.expires = clock_now() + REFUSAL_LIFETIME_S * SECOND_NS;
	}
	in.t.gate = pending ? DOVE_GATE_SHUT : 0;
	entry_add(batch, &in.key, &in.t);
	*out = in;
	return 0;
}

bool install_all_held(uint64_t gate)
{
	return (uint32_t)gate == (uint32_t)((gate & ~DOVE_GATE_SHUT) / DOVE_GATE_HELD);
}

void install_open_all(struct agent *a, struct installed *const *ins, uint32_t n)
{
	struct dove_opening openings[DOVE_OPENINGS_MAX];

	for (uint32_t i = 0; i < n; i++)
		openings[i] = (struct dove_opening){ .key = ins[i]->key,
						     .expires = ins[i]->t.expires,
						     .gate = install_all_held(ins[i]->t.gate) ? ins[i]->t.gate
											      : 0 };
	loader_open_gates(a->loader, openings, n);
	for (uint32_t i = 0; i < n; i++)
		ins[i]->t.gate = openings[i].open ? 0 : openings[i].gate;
}

bool install_open(struct agent *a, struct installed *in)
{
	if (in->t.gate)
		install_open_all(a, &in, 1);
	return !in->t.gate;
}

void install_open_anyway(struct agent *a, struct installed *in)
{
	if (!in->t.gate)
		return;
	in->t.gate = 0;
	entry_store(a, &in->key, &in->t);
}
