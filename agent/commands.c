// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "across.h"
#include "believe.h"
#include "chains.h"
#include "check.h"
#include "events.h"
#include "flows.h"
#include "gateway.h"
#include "group.h"
#include "hint.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/version.h"
#include "miss.h"
#include "moved.h"
#include "nics.h"
#include "paths.h"
#include "ports.h"
#include "qos.h"
#include "strangers.h"
#include "trace.h"
#include "underlay.h"
#include "watch.h"

/* More than the cache has by default; a guard, and a bound of what one answer may become. */
#define CACHE_SHOW_MAX 100000

static const char *arg_str(const cJSON *json, const char *name)
{
	const char *text = cJSON_GetStringValue(json_get(json, name));

	return text ? text : "";
}

static void do_attach(struct agent *a, const cJSON *json, struct request *rq)
{
	const char *mode = arg_str(json, "ingress");

	nics_attach(a->nics, arg_str(json, "device"),
		    !strcmp(mode, "xdp")  ? LOADER_INGRESS_XDP
		    : !strcmp(mode, "tc") ? LOADER_INGRESS_TC
					  : LOADER_INGRESS_AUTO,
		    rq);
}

static void do_detach(struct agent *a, const cJSON *json, struct request *rq)
{
	nics_detach(a->nics, arg_str(json, "device"), rq);
}

static void do_port_add(struct agent *a, const cJSON *json, struct request *rq)
{
	ports_add(a->ports, arg_str(json, "device"), arg_str(json, "network"), arg_str(json, "endpoint"), rq);
}

static void do_port_del(struct agent *a, const cJSON *json, struct request *rq)
{
	ports_del(a->ports, arg_str(json, "device"), rq);
}

static void do_port_list(struct agent *a, const cJSON *json, struct request *rq)
{
	cJSON *list = ports_show(a->ports);

	gateway_show_ports(a->gateway, list);
	control_done(rq, list);
}

/* How full those maps are that fill with what VMs and others do. The LRU ones make room by themselves. */
static cJSON *maps_json(struct agent *a)
{
	const struct {
		const char *name;
		int fd;
		bool lru;
	} maps[] = { { "cache", a->maps->cache, true },	       { "denied", a->maps->denied, true },
		     { "flows", a->maps->flows, true },	       { "groups", a->maps->groups, true },
		     { "policies", a->maps->policies, false }, { "moved", a->maps->moved, false } };
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		struct bpf_map_info info = {};
		uint32_t size = sizeof(info);
		cJSON *one = cJSON_CreateObject();

		bpf_map_get_info_by_fd(maps[i].fd, &info, &size);
		cJSON_AddStringToObject(one, "name", maps[i].name);
		cJSON_AddNumberToObject(one, "entries",
					map_count(maps[i].fd, info.key_size, info.max_entries));
		cJSON_AddNumberToObject(one, "room", info.max_entries);
		cJSON_AddBoolToObject(one, "lru", maps[i].lru);
		cJSON_AddItemToArray(list, one);
	}
	return list;
}

static void do_status(struct agent *a, const cJSON *json, struct request *rq)
{
	cJSON *s = cJSON_CreateObject();

	cJSON_AddStringToObject(s, "host", a->config.host);
	cJSON_AddStringToObject(s, "version", DOVE_VERSION);
	cJSON_AddStringToObject(s, "dps", a->config.dps);
	cJSON_AddBoolToObject(s, "connected", watch_connected(a->watch));
	cJSON_AddStringToObject(s, "pin_dir", a->config.pin_dir);
	cJSON_AddItemToObject(s, "nics", nics_show(a->nics));
	cJSON_AddNumberToObject(s, "ports", ports_count(a->ports));
	cJSON_AddItemToObject(s, "networks", watch_show(a->watch));
	cJSON_AddItemToObject(s, "hosts", underlay_show(a->underlay));
	cJSON_AddItemToObject(s, "routers", underlay_routers(a->underlay));
	cJSON_AddItemToObject(s, "services", paths_show(a->paths));
	cJSON_AddItemToObject(s, "across", across_show(a->across));
	cJSON_AddItemToObject(s, "externals", gateway_show(a->gateway));
	cJSON_AddItemToObject(s, "forwarding", gateway_show_forwarding());
	cJSON_AddItemToObject(s, "maps", maps_json(a));
	control_done(rq, s);
}

/* ---- stats ---- */

static uint64_t stat_sum(const struct agent *a, uint32_t index)
{
	return map_stats(a->maps->stats, index).packets;
}

static cJSON *policy_stats(struct agent *a)
{
	int cpus = loader_possible_cpus();
	_free_ struct dove_policy_stats *values = calloc(cpus, sizeof(*values));
	struct dove_policy_key key, next;
	cJSON *list = cJSON_CreateArray();
	void *at = NULL;

	while (!bpf_map_get_next_key(a->maps->policy_stats, at, &next)) {
		struct dove_policy_stats sum = {};
		cJSON *one;

		key = next;
		at = &key;
		if (bpf_map_lookup_elem(a->maps->policy_stats, &key, values))
			continue;
		for (int i = 0; i < cpus; i++) {
			sum.packets += values[i].packets;
			sum.bytes += values[i].bytes;
			sum.denied += values[i].denied;
			sum.limited += values[i].limited;
		}
		one = cJSON_CreateObject();
		cJSON_AddStringToObject(one, "network", watch_network_name(a->watch, key.vnid));
		cJSON_AddNumberToObject(one, "vnid", key.vnid);
		cJSON_AddNumberToObject(one, "policy", key.policy);
		cJSON_AddStringToObject(one, "name", watch_policy_name(a->watch, key.vnid, key.policy));
		cJSON_AddNumberToObject(one, "packets", sum.packets);
		cJSON_AddNumberToObject(one, "bytes", sum.bytes);
		cJSON_AddNumberToObject(one, "denied", sum.denied);
		cJSON_AddNumberToObject(one, "limited", sum.limited);
		cJSON_AddItemToArray(list, one);
	}
	return list;
}

static const char *const reason_names[] = {
#define X(NAME, name, class, text) [DOVE_##NAME] = #name,
	DOVE_REASONS(X)
#undef X
};

static void do_stats(struct agent *a, const cJSON *json, struct request *rq)
{
	const struct miss_counters *m = miss_counters(a->miss);
	const struct hint_counters *h = hint_counters(a->hint);
	cJSON *s = cJSON_CreateObject();
	cJSON *reasons = cJSON_AddObjectToObject(s, "reasons"), *sub;

	for (uint32_t i = 0; i < ARRAY_SIZE(reason_names); i++)
		cJSON_AddNumberToObject(reasons, reason_names[i], stat_sum(a, i));
	cJSON_AddNumberToObject(s, "hits", stat_sum(a, DOVE_COUNT_HITS));
	cJSON_AddNumberToObject(s, "misses", stat_sum(a, DOVE_COUNT_MISSES));
	cJSON_AddNumberToObject(s, "questions",
				m->questions + check_counters(a->check)->asked +
					moved_counters(a->moved)->asked + h->asked);
	cJSON_AddNumberToObject(s, "stale", stat_sum(a, DOVE_COUNT_STALE));
	cJSON_AddNumberToObject(s, "newer", stat_sum(a, DOVE_COUNT_NEWER));
	cJSON_AddNumberToObject(s, "events_lost", stat_sum(a, DOVE_COUNT_EVENTS_LOST));
	cJSON_AddNumberToObject(s, "flows", stat_sum(a, DOVE_COUNT_FLOWS));
	cJSON_AddNumberToObject(s, "flows_full", stat_sum(a, DOVE_COUNT_FLOWS_FULL));
	cJSON_AddNumberToObject(s, "copies_lost", stat_sum(a, DOVE_COUNT_COPIES_LOST));
	sub = cJSON_AddObjectToObject(s, "agent");
	cJSON_AddNumberToObject(sub, "requests", m->requests);
	cJSON_AddNumberToObject(sub, "requests_failed", m->failed);
	cJSON_AddNumberToObject(sub, "refreshed", m->refreshed);
	cJSON_AddNumberToObject(sub, "waiting", miss_waiting(a->miss));
	cJSON_AddNumberToObject(sub, "sent_on", m->sent_on);
	cJSON_AddNumberToObject(sub, "dropped_bound", m->dropped_bound);
	cJSON_AddNumberToObject(sub, "dropped_late", m->dropped_late);
	cJSON_AddNumberToObject(sub, "cut", m->cut);
	sub = cJSON_AddObjectToObject(s, "hints");
	cJSON_AddNumberToObject(sub, "sent", h->sent);
	cJSON_AddNumberToObject(sub, "received", h->received);
	cJSON_AddNumberToObject(sub, "asked", h->asked);
	cJSON_AddNumberToObject(sub, "attached", h->attached);
	cJSON_AddNumberToObject(sub, "stored", h->stored);
	cJSON_AddNumberToObject(sub, "distrusted", h->distrusted);
	cJSON_AddNumberToObject(sub, "useless", h->useless);
	cJSON_AddNumberToObject(sub, "refused", h->refused);
	cJSON_AddNumberToObject(sub, "limited", h->limited);
	sub = cJSON_AddObjectToObject(s, "chains");
	cJSON_AddNumberToObject(sub, "asked", chains_counters(a->chains)->asked);
	cJSON_AddNumberToObject(sub, "learnt", chains_counters(a->chains)->learnt);
	cJSON_AddNumberToObject(sub, "refused", chains_counters(a->chains)->refused);
	cJSON_AddNumberToObject(sub, "roots", chains_counters(a->chains)->roots);
	sub = cJSON_AddObjectToObject(s, "answers");
	cJSON_AddNumberToObject(sub, "proven", believe_counters(a->believe)->proven);
	cJSON_AddNumberToObject(sub, "again", believe_counters(a->believe)->again);
	cJSON_AddNumberToObject(sub, "nobody", believe_counters(a->believe)->nobody);
	cJSON_AddNumberToObject(sub, "refused", believe_counters(a->believe)->refused);
	cJSON_AddNumberToObject(sub, "waited", believe_counters(a->believe)->waited);
	sub = cJSON_AddObjectToObject(s, "broadcast");
	cJSON_AddNumberToObject(sub, "lists", group_counters(a->group)->lists);
	cJSON_AddNumberToObject(sub, "dropped", group_counters(a->group)->dropped);
	sub = cJSON_AddObjectToObject(s, "replies");
	cJSON_AddNumberToObject(sub, "asked", flows_counters(a->flows)->asked);
	cJSON_AddNumberToObject(sub, "ended", flows_counters(a->flows)->ended);
	cJSON_AddNumberToObject(sub, "sent", flows_counters(a->flows)->sent);
	cJSON_AddNumberToObject(sub, "received", flows_counters(a->flows)->received);
	cJSON_AddNumberToObject(sub, "dropped", flows_counters(a->flows)->dropped);
	sub = cJSON_AddObjectToObject(s, "strangers");
	cJSON_AddNumberToObject(sub, "asked", (double)strangers_counters(a->strangers)->asked);
	cJSON_AddNumberToObject(sub, "known", (double)strangers_counters(a->strangers)->known);
	cJSON_AddNumberToObject(sub, "dropped", (double)strangers_counters(a->strangers)->dropped);
	sub = cJSON_AddObjectToObject(s, "relays");
	cJSON_AddNumberToObject(sub, "waited", moved_counters(a->moved)->waited);
	cJSON_AddNumberToObject(sub, "sent_on", moved_counters(a->moved)->sent_on);
	cJSON_AddNumberToObject(sub, "dropped", moved_counters(a->moved)->dropped);
	cJSON_AddNumberToObject(sub, "asked", moved_counters(a->moved)->asked);
	sub = cJSON_AddObjectToObject(s, "checks");
	cJSON_AddNumberToObject(sub, "asked", check_counters(a->check)->asked);
	cJSON_AddNumberToObject(sub, "current", check_counters(a->check)->current);
	cJSON_AddNumberToObject(sub, "forwarded", check_counters(a->check)->forwarded);
	cJSON_AddNumberToObject(sub, "dropped", check_counters(a->check)->dropped);
	cJSON_AddItemToObject(s, "policies", policy_stats(a));
	control_done(rq, s);
}

/* ---- cache ---- */

static const char *const verdict_names[] = {
	[DOVE_VERDICT_ALLOW] = "allow",
	[DOVE_VERDICT_DENY] = "deny",
	[DOVE_VERDICT_NO_ENDPOINT] = "no_endpoint",
	[DOVE_VERDICT_NO_PLACE] = "no_place",
	[DOVE_VERDICT_NO_SERVICE] = "no_service",
	[DOVE_VERDICT_REJECT] = "reject",
	[DOVE_VERDICT_GATEWAY] = "gateway",
};

static const char *verdict_name(uint8_t verdict)
{
	return verdict < ARRAY_SIZE(verdict_names) ? verdict_names[verdict] : "?";
}

static cJSON *range_json(uint16_t lo, uint16_t hi)
{
	const int range[2] = { lo, hi };

	return cJSON_CreateIntArray(range, 2);
}

/* Where something is asked for beside the verdict. */
static void qos_add(struct agent *a, cJSON *one, uint32_t id)
{
	cJSON *qos = qos_json(a, id);

	if (qos)
		cJSON_AddItemToObject(one, "qos", qos);
}

static void rules_json(struct agent *a, cJSON *one, const struct dove_translation *t)
{
	cJSON *list;

	if (!t->n_rules)
		return;
	list = cJSON_AddArrayToObject(one, "rules");
	for (int i = 0; i < t->n_rules && i < DOVE_RULES_MAX; i++) {
		const struct dove_rule *r = &t->rules[i];
		cJSON *rule = cJSON_CreateObject();

		cJSON_AddNumberToObject(rule, "proto", r->proto);
		cJSON_AddItemToObject(rule, "from_port", range_json(r->from_lo, r->from_hi));
		cJSON_AddItemToObject(rule, "to_port", range_json(r->to_lo, r->to_hi));
		cJSON_AddStringToObject(rule, "verdict", verdict_name(r->verdict));
		cJSON_AddNumberToObject(rule, "policy", r->policy);
		qos_add(a, rule, r->qos);
		if (r->path)
			cJSON_AddItemToObject(rule, "path", paths_json(a->paths, r->path));
		cJSON_AddItemToArray(list, rule);
	}
}

static cJSON *entry_json(struct agent *a, const struct dove_cache_key *key, const struct dove_translation *t)
{
	struct ip_addr dst = from_dove_ip(&key->dst), host = from_dove_ip(&t->host);
	uint32_t external = external_of(&key->dst);
	cJSON *one = cJSON_CreateObject();
	char text[IP_TEXT], mac[MAC_TEXT];
	double left = ((double)t->expires - clock_now()) / SECOND_NS;

	cJSON_AddNumberToObject(one, "source", key->source);
	if (external) {
		cJSON_AddNumberToObject(one, "external", external);
		cJSON_AddStringToObject(one, "external_name", watch_external_name(a->watch, external));
	} else {
		cJSON_AddStringToObject(one, "to", ip_format(&dst, text));
	}
	if (key->exact) {
		cJSON_AddNumberToObject(one, "proto", key->proto);
		cJSON_AddNumberToObject(one, "from_port", key->from_port);
		cJSON_AddNumberToObject(one, "to_port", key->to_port);
	}
	cJSON_AddNumberToObject(one, "vnid", t->vnid);
	cJSON_AddStringToObject(one, "network", watch_network_name(a->watch, t->vnid));
	cJSON_AddStringToObject(one, "verdict",
				t->scope ? (t->n_rules ? "by rules" : "by exact entry")
					 : verdict_name(t->verdict));
	cJSON_AddNumberToObject(one, "policy", t->policy);
	cJSON_AddNumberToObject(one, "sequence", t->revision);
	cJSON_AddStringToObject(one, "state", t->gate & DOVE_GATE_SHUT ? "pending" : "active");
	cJSON_AddNumberToObject(one, "expires_in", left > 0 ? (int64_t)left : 0);
	cJSON_AddStringToObject(one, "mac", mac_format((const struct mac_addr *)t->mac, mac));
	cJSON_AddBoolToObject(one, "local", t->local);
	if (t->local || memcmp(&t->host, &(struct dove_ip){}, sizeof(t->host)))
		cJSON_AddStringToObject(one, "host",
					t->local ? a->config.host : underlay_name(a->underlay, &host));
	qos_add(a, one, t->qos);
	if (t->path)
		cJSON_AddItemToObject(one, "path", paths_json(a->paths, t->path));
	rules_json(a, one, t);
	return one;
}

static void entries_json(struct agent *a, int map_fd, cJSON *list)
{
	struct dove_cache_key key, next;
	struct dove_translation t;
	void *at = NULL;

	for (int i = 0; i < CACHE_SHOW_MAX && !bpf_map_get_next_key(map_fd, at, &next); i++) {
		key = next;
		at = &key;
		if (!bpf_map_lookup_elem(map_fd, &key, &t))
			cJSON_AddItemToArray(list, entry_json(a, &key, &t));
	}
}

static void do_cache(struct agent *a, const cJSON *json, struct request *rq)
{
	cJSON *list = cJSON_CreateArray();

	entries_json(a, a->maps->cache, list);
	entries_json(a, a->maps->denied, list);
	control_done(rq, list);
}

static void do_trace(struct agent *a, const cJSON *json, struct request *rq)
{
	struct error err = {};
	cJSON *result;

	if (trace_run(a, json, &result, &err))
		control_fail(rq, "%s", err.text);
	else
		control_done(rq, result);
}

static void do_flush(struct agent *a, const cJSON *json, struct request *rq)
{
	cJSON *result = cJSON_CreateObject();

	cJSON_AddNumberToObject(result, "flushed", agent_forget_translations(a));
	control_done(rq, result);
}

static void do_events(struct agent *a, const cJSON *json, struct request *rq)
{
	if (cJSON_IsTrue(json_get(json, "follow")))
		control_follow(rq);
	else
		control_done(rq, events_show(a->events));
}

static const struct {
	const char *name;
	void (*run)(struct agent *a, const cJSON *json, struct request *rq);
} commands[] = {
	{ "attach", do_attach },     { "detach", do_detach },	    { "port add", do_port_add },
	{ "port del", do_port_del }, { "port list", do_port_list }, { "status", do_status },
	{ "stats", do_stats },	     { "cache", do_cache },	    { "events", do_events },
	{ "trace", do_trace },	     { "flush", do_flush },
};

void commands_run(struct agent *a, const cJSON *json, struct request *rq)
{
	const char *name = arg_str(json, "command");

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(name, commands[i].name)) {
			commands[i].run(a, json, rq);
			return;
		}
	control_fail(rq, "'%s' is no command of this agent", name);
}
