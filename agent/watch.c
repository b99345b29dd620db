// SPDX-License-Identifier: Apache-2.0
#include "watch.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "dps.h"
#include "events.h"
#include "flows.h"
#include "gateway.h"
#include "lib/cleanup.h"
#include "lib/domain.h"
#include "lib/json.h"
#include "lib/log.h"
#include "miss.h"
#include "moved.h"
#include "nics.h"
#include "paths.h"
#include "ports.h"
#include "prefixes.h"
#include "rows.h"
#include "underlay.h"

/* design: a watch silent for more than 5 s can't be judged by any more. */
#define ALIVE_NS (5 * SECOND_NS)
/* Longest that the service lets an answer hold, where it does not say. */
#define DEFAULT_LIFETIME_S 3600
#define RECONNECT_MIN_MS 100
#define RECONNECT_MAX_MS 5000
#define LIST_MAX (1u << 24)

struct policy {
	uint32_t id;
	char name[64];
	bool seen;
	UT_hash_handle hh;
};

struct endpoint {
	struct watch_endpoint e;
	UT_hash_handle hh;
};

struct network {
	uint32_t vnid;
	char name[FULL_NAME_ROOM];
	struct dove_network row;
	struct policy *policies;
	struct endpoint *endpoints;
	cJSON *externals; /* as the service lists them, for their names */
	bool seen;
	UT_hash_handle hh;
};

struct watch {
	struct agent *agent;
	struct network *networks;
	struct event *retry;
	long retry_ms;
	uint64_t lifetime; /* seconds */
	bool streaming;	   /* a stream is open, or about to be opened again */
	bool connected;
};

static struct network *network_find(const struct watch *w, uint32_t vnid)
{
	struct network *n;

	HASH_FIND(hh, w->networks, &vnid, sizeof(vnid), n);
	return n;
}

bool watch_connected(const struct watch *w)
{
	return w->connected;
}

uint64_t watch_revision(const struct watch *w, uint32_t vnid)
{
	struct network *n = network_find(w, vnid);

	return n ? n->row.revision : 0;
}

bool watch_has(const struct watch *w, uint32_t vnid)
{
	return network_find(w, vnid);
}

void watch_expect(struct watch *w, uint32_t vnid, uint64_t revision)
{
	uint64_t now = clock_now();
	struct dove_network row = { .revision = revision,
				    .alive_until = now + ALIVE_NS,
				    .judge_until = now + ALIVE_NS };

	if (network_find(w, vnid))
		return;
	row_put(w->agent, w->agent->maps->networks, &vnid, &row, BPF_NOEXIST);
}

uint64_t watch_extend(const struct watch *w, uint32_t vnid, uint32_t sequence)
{
	uint64_t watched = watch_revision(w, vnid);
	int64_t full = (int64_t)watched + (int32_t)(sequence - (uint32_t)watched);

	return full < 0 ? sequence : full;
}

const char *watch_network_name(const struct watch *w, uint32_t vnid)
{
	struct network *n = network_find(w, vnid);

	return n ? n->name : "?";
}

/* Where there is one domain alone, names have none. */
bool watch_is_beyond(const struct watch *w, uint32_t vnid, uint32_t other)
{
	char domain[DOMAIN_ROOM];

	return domain_of_name(watch_network_name(w, vnid), domain) &&
	       !domain_has(domain, watch_network_name(w, other));
}

const char *watch_policy_name(const struct watch *w, uint32_t vnid, uint32_t id)
{
	struct network *n = network_find(w, vnid);
	struct policy *p = NULL;

	if (n)
		HASH_FIND(hh, n->policies, &id, sizeof(id), p);
	return p ? p->name : "";
}

const char *watch_external_name(const struct watch *w, uint32_t id)
{
	struct network *n, *tmp;
	const cJSON *one;
	const char *name;
	uint64_t whole;

	HASH_ITER (hh, w->networks, n, tmp)
		cJSON_ArrayForEach (one, n->externals) {
			name = cJSON_GetStringValue(json_get(one, "name"));
			if (name && json_whole(json_get(one, "id"), id, id, &whole))
				return name;
		}
	return "";
}

const struct watch_endpoint *watch_find(const struct watch *w, uint32_t vnid, uint32_t id)
{
	struct network *n = network_find(w, vnid);
	struct endpoint *e = NULL;

	if (n)
		HASH_FIND(hh, n->endpoints, &id, sizeof(id), e);
	return e ? &e->e : NULL;
}

/* ---- the maps ---- */

static void network_store(struct watch *w, struct network *n)
{
	uint64_t now = clock_now();

	n->row.alive_until = now + ALIVE_NS;
	n->row.judge_until = now + ALIVE_NS + w->lifetime * SECOND_NS;
	if (row_put(w->agent, w->agent->maps->networks, &n->vnid, &n->row, BPF_ANY))
		log_error("dove_networks: %s: %s", n->name, strerror(errno));
}

static void endpoint_drop(struct network *n, struct endpoint *e)
{
	HASH_DEL(n->endpoints, e);
	free(e->e.addrs);
	free(e->e.gateways);
	free(e);
}

static void policy_drop(struct watch *w, struct network *n, struct policy *p)
{
	struct dove_policy_key key = { .vnid = n->vnid, .policy = p->id };

	row_delete(w->agent, w->agent->maps->policies, &key);
	HASH_DEL(n->policies, p);
	free(p);
}

static void network_drop(struct watch *w, struct network *n)
{
	struct policy *p, *ptmp;
	struct endpoint *e, *etmp;

	row_delete(w->agent, w->agent->maps->networks, &n->vnid);
	bpf_map_delete_elem(w->agent->maps->budgets, &(uint32_t){ n->vnid | DOVE_BUDGET_NETWORK });
	prefixes_clear(w->agent, n->vnid);
	gateway_drop(w->agent->gateway, n->vnid);
	HASH_ITER (hh, n->policies, p, ptmp)
		policy_drop(w, n, p);
	HASH_ITER (hh, n->endpoints, e, etmp)
		endpoint_drop(n, e);
	HASH_DEL(w->networks, n);
	cJSON_Delete(n->externals);
	free(n);
}

/* ---- one item of a frame each ---- */

static int host_item(struct watch *w, const cJSON *json, struct json_error *err)
{
	const cJSON *addrs, *one;
	const char *name;
	struct ip_addr addr;
	uint64_t id;

	if (json_uint(json, "id", 1, UINT32_MAX, &id, err) || json_str(json, "name", &name, err) ||
	    json_list(json, "addresses", LIST_MAX, &addrs, err))
		return -EINVAL;
	cJSON_ArrayForEach (one, addrs)
		if (!ip_parse(cJSON_GetStringValue(one), &addr) &&
		    !underlay_is_self(w->agent->underlay, &addr))
			underlay_host(w->agent->underlay, id, name, &addr);
	return 0;
}

static int policy_item(struct watch *w, struct network *n, const cJSON *json, struct json_error *err)
{
	struct dove_policy_key key = { .vnid = n->vnid };
	struct dove_policy row = {};
	uint64_t id, sequence, floor;
	const char *name = "";
	bool deleted = false, through = false;
	struct policy *p;

	if (json_uint(json, "id", 1, UINT32_MAX, &id, err) ||
	    json_uint(json, "sequence", 0, JSON_INT_MAX, &sequence, err) ||
	    json_uint(json, "floor", 0, JSON_INT_MAX, &floor, err) ||
	    json_str_opt(json, "name", &name, err) || json_bool_opt(json, "deleted", &deleted, err) ||
	    json_bool_opt(json, "through", &through, err))
		return -EINVAL;
	key.policy = id;
	row = (struct dove_policy){
		.sequence = sequence, .floor = floor, .deleted = deleted, .through = through
	};
	if (row_put(w->agent, w->agent->maps->policies, &key, &row, BPF_ANY))
		log_error("dove_policies: %s/%s: %s", n->name, name, strerror(errno));
	HASH_FIND(hh, n->policies, &key.policy, sizeof(key.policy), p);
	if (!p) {
		p = calloc(1, sizeof(*p));
		p->id = id;
		HASH_ADD(hh, n->policies, id, sizeof(p->id), p);
	}
	p->seen = true;
	snprintf(p->name, sizeof(p->name), "%s", name);
	return 0;
}

static int addrs_item(const cJSON *json, struct ip_addr **out, int *n_out, struct json_error *err)
{
	const cJSON *list, *one;
	struct ip_addr *addrs;
	int n = 0;

	if (json_list(json, "addresses", LIST_MAX, &list, err))
		return -EINVAL;
	addrs = calloc(cJSON_GetArraySize(list) + 1, sizeof(*addrs));
	cJSON_ArrayForEach (one, list)
		if (!ip_parse(cJSON_GetStringValue(one), &addrs[n]))
			n++;
	*out = addrs;
	*n_out = n;
	return 0;
}

/* Beside the addresses; null, or a service that says nothing of gateways, is none. */
static struct ip_addr *gateways_item(const cJSON *json, int n)
{
	const cJSON *list = json_get(json, "gateways");
	struct ip_addr *gateways = calloc(n + 1, sizeof(*gateways));

	if (!gateways)
		abort();
	for (int i = 0; i < n; i++)
		ip_parse(cJSON_GetStringValue(cJSON_GetArrayItem(list, i)), &gateways[i]);
	return gateways;
}

static int endpoint_item(struct watch *w, struct network *n, const cJSON *json, struct json_error *err)
{
	uint64_t id, sequence, floor, rate = 0;
	const char *mac;
	struct endpoint *e;
	struct mac_addr parsed;
	struct ip_addr *addrs;
	uint32_t id32;
	int n_addrs;

	if (json_uint(json, "id", 1, UINT32_MAX, &id, err) || json_str(json, "mac", &mac, err) ||
	    json_uint(json, "sequence", 0, JSON_INT_MAX, &sequence, err) ||
	    json_uint(json, "floor", 0, JSON_INT_MAX, &floor, err) ||
	    json_uint_opt(json, "rate_mbps", 1, UINT32_MAX, &rate, err) || mac_parse(mac, &parsed) ||
	    addrs_item(json, &addrs, &n_addrs, err))
		return -EINVAL;
	id32 = id;
	HASH_FIND(hh, n->endpoints, &id32, sizeof(id32), e);
	if (!e) {
		e = calloc(1, sizeof(*e));
		e->e.id = id32;
		HASH_ADD(hh, n->endpoints, e.id, sizeof(e->e.id), e);
	}
	free(e->e.addrs);
	free(e->e.gateways);
	e->e = (struct watch_endpoint){ .id = id32,
					.sequence = sequence,
					.floor = floor,
					.mac = parsed,
					.addrs = addrs,
					.gateways = gateways_item(json, n_addrs),
					.n_addrs = n_addrs,
					.rate_mbps = rate };
	return 0;
}

static int gone_item(struct watch *w, struct network *n, const cJSON *json, struct json_error *err)
{
	const char *host = cJSON_GetStringValue(json_get(json, "host"));
	struct ip_addr *addrs, to;
	uint64_t id, revision = 0;
	struct endpoint *e;
	uint32_t id32;
	int n_addrs;

	if (json_uint(json, "id", 1, UINT32_MAX, &id, err) ||
	    json_uint_opt(json, "revision", 0, JSON_INT_MAX, &revision, err) ||
	    addrs_item(json, &addrs, &n_addrs, err))
		return -EINVAL;
	id32 = id;
	HASH_FIND(hh, n->endpoints, &id32, sizeof(id32), e);
	if (e)
		endpoint_drop(n, e);
	ports_gone(w->agent->ports, id32, host);
	if (host && strcmp(host, w->agent->config.host)) {
		bool known = !underlay_choose(w->agent->underlay, json_get(json, "host_addresses"), &to);

		for (int i = 0; i < n_addrs; i++)
			moved_to(w->agent->moved, n->vnid, &addrs[i], known ? &to : NULL, revision);
		flows_move(w->agent->flows, id32, known ? &to : NULL);
	}
	free(addrs);
	return 0;
}

/* Endpoints anywhere that have another place now: what leads to where they were is asked for anew, if it is in use. */
static int moved_item(struct watch *w, struct network *n, const cJSON *json, struct json_error *err)
{
	_free_ struct ip_addr *addrs = NULL;
	uint64_t revision;
	int n_addrs;

	if (json_uint(json, "revision", 0, JSON_INT_MAX, &revision, err) ||
	    addrs_item(json, &addrs, &n_addrs, err))
		return -EINVAL;
	if (w->agent->config.origin_check)
		miss_moved(w->agent->miss, n->vnid, addrs, n_addrs, revision);
	return 0;
}

typedef int item_fn(struct watch *w, struct network *n, const cJSON *json, struct json_error *err);

static int each_item(struct watch *w, struct network *n, const cJSON *json, const char *field, item_fn *item,
		     struct json_error *err)
{
	const cJSON *one;

	cJSON_ArrayForEach (one, json_get(json, field))
		if (item(w, n, one, err))
			return -EINVAL;
	return 0;
}

/* ---- frames ---- */

static int network_numbers(struct network *n, const cJSON *json, struct json_error *err)
{
	uint64_t revision, floor;

	if (json_uint(json, "revision", 0, JSON_INT_MAX, &revision, err) ||
	    json_uint(json, "floor", 0, JSON_INT_MAX, &floor, err))
		return -EINVAL;
	if (revision < n->row.revision)
		log_error(
			"network %s went back from revision %llu to %llu: a service that was restored from a "
			"backup is to be started with --restored",
			n->name, (unsigned long long)n->row.revision, (unsigned long long)revision);
	n->row.revision = revision;
	n->row.floor = floor;
	return 0;
}

static void externals_update(struct watch *w, struct network *n, const cJSON *json)
{
	const cJSON *externals = json_get(json, "externals");

	if (!externals && !json_get(json, "subnets"))
		return;
	cJSON_Delete(n->externals);
	n->externals = cJSON_Duplicate(externals, true);
	prefixes_update(w->agent, n->vnid, n->name, json);
	gateway_update(w->agent->gateway, n->vnid, n->name, json);
}

/* The revision goes in last: what a packet is judged by is there before it counts as watched. */
static int network_update(struct watch *w, struct network *n, const cJSON *json, struct json_error *err)
{
	if (each_item(w, n, json, "policies", policy_item, err) ||
	    each_item(w, n, json, "endpoints", endpoint_item, err) ||
	    each_item(w, n, json, "gone", gone_item, err) ||
	    each_item(w, n, json, "moved", moved_item, err) || network_numbers(n, json, err))
		return -EINVAL;
	externals_update(w, n, json);
	ports_numbers(w->agent->ports, n->vnid);
	network_store(w, n);
	return 0;
}

static int network_snapshot(struct watch *w, const cJSON *json, struct json_error *err)
{
	struct policy *p, *tmp;
	struct endpoint *e, *etmp;
	const char *name;
	struct network *n;
	uint64_t vnid;

	if (json_uint(json, "vnid", 1, 0xffffff, &vnid, err) || json_str(json, "name", &name, err))
		return -EINVAL;
	n = network_find(w, vnid);
	if (!n) {
		n = calloc(1, sizeof(*n));
		n->vnid = vnid;
		HASH_ADD(hh, w->networks, vnid, sizeof(n->vnid), n);
		agent_set_budget(w->agent, vnid | DOVE_BUDGET_NETWORK, 1);
	}
	n->seen = true;
	snprintf(n->name, sizeof(n->name), "%s", name);
	HASH_ITER (hh, n->policies, p, tmp)
		p->seen = false;
	HASH_ITER (hh, n->endpoints, e, etmp)
		endpoint_drop(n, e);
	if (network_update(w, n, json, err))
		return -EINVAL;
	HASH_ITER (hh, n->policies, p, tmp)
		if (!p->seen)
			policy_drop(w, n, p);
	return 0;
}

static bool policy_is_listed(const void *key, void *arg)
{
	const struct dove_policy_key *k = key;
	struct network *n = network_find(arg, k->vnid);
	struct policy *p = NULL;

	if (n)
		HASH_FIND(hh, n->policies, &k->policy, sizeof(k->policy), p);
	return p;
}

static bool network_is_listed(const void *key, void *arg)
{
	return network_find(arg, *(const uint32_t *)key);
}

static int on_snapshot(struct watch *w, const cJSON *json, struct json_error *err)
{
	struct network *n, *tmp;
	const cJSON *one;

	w->lifetime = DEFAULT_LIFETIME_S;
	if (json_uint_opt(json, "lifetime", 1, 86400, &w->lifetime, err))
		return -EINVAL;
	underlay_begin(w->agent->underlay);
	cJSON_ArrayForEach (one, json_get(json, "hosts"))
		if (host_item(w, one, err))
			return -EINVAL;
	underlay_end(w->agent->underlay);
	/* A service of several domains tells of these one by one, once it has heard of them. */
	if (json_get(json, "services"))
		paths_services(w->agent->paths, "", json_get(json, "services"));
	HASH_ITER (hh, w->networks, n, tmp)
		n->seen = false;
	cJSON_ArrayForEach (one, json_get(json, "networks"))
		if (network_snapshot(w, one, err))
			return -EINVAL;
	HASH_ITER (hh, w->networks, n, tmp)
		if (!n->seen)
			network_drop(w, n);
	/* Rows that the snapshot does not name are an earlier process's. */
	rows_clear(w->agent, w->agent->maps->policies, sizeof(struct dove_policy_key), policy_is_listed, w);
	rows_clear(w->agent, w->agent->maps->networks, sizeof(uint32_t), network_is_listed, w);
	gateway_settle(w->agent->gateway);
	if (!w->connected)
		log_info("watching the policy service: %u networks", HASH_COUNT(w->networks));
	w->connected = true;
	w->retry_ms = RECONNECT_MIN_MS;
	ports_claim(w->agent->ports);
	return 0;
}

static int on_network(struct watch *w, const cJSON *json, struct json_error *err)
{
	return network_snapshot(w, json_get(json, "network"), err);
}

static int frame_network(struct watch *w, const cJSON *json, struct network **out, struct json_error *err)
{
	uint64_t vnid;

	if (json_uint(json, "vnid", 1, 0xffffff, &vnid, err))
		return -EINVAL;
	*out = network_find(w, vnid);
	return 0;
}

static int on_commit(struct watch *w, const cJSON *json, struct json_error *err)
{
	struct network *n;

	if (frame_network(w, json, &n, err))
		return -EINVAL;
	if (!n)
		return 0;
	if (network_update(w, n, json, err))
		return -EINVAL;
	if (cJSON_GetArraySize(json_get(json, "policies")))
		miss_beyond(w->agent->miss, n->vnid);
	return 0;
}

/* Addresses that the host had, and is not named with any more. */
static int host_others_drop(struct watch *w, const cJSON *json, struct json_error *err)
{
	_free_ struct ip_addr *addrs = NULL;
	uint64_t id;
	int n;

	if (json_uint(json, "id", 1, UINT32_MAX, &id, err) || addrs_item(json, &addrs, &n, err))
		return -EINVAL;
	underlay_only(w->agent->underlay, id, addrs, n);
	return 0;
}

static int on_hosts(struct watch *w, const cJSON *json, struct json_error *err)
{
	const cJSON *one;
	uint64_t id;

	cJSON_ArrayForEach (one, json_get(json, "gone"))
		if (json_whole(one, 1, UINT32_MAX, &id))
			underlay_only(w->agent->underlay, id, NULL, 0);
	cJSON_ArrayForEach (one, json_get(json, "hosts"))
		if (host_item(w, one, err) || host_others_drop(w, one, err))
			return -EINVAL;
	paths_refresh(w->agent->paths);
	return 0;
}

static int on_services(struct watch *w, const cJSON *json, struct json_error *err)
{
	const char *domain = "";

	if (json_str_opt(json, "domain", &domain, err))
		return -EINVAL;
	paths_services(w->agent->paths, domain, json_get(json, "services"));
	return 0;
}

static int on_forget(struct watch *w, const cJSON *json, struct json_error *err)
{
	struct network *n;

	if (frame_network(w, json, &n, err))
		return -EINVAL;
	if (n)
		network_drop(w, n);
	return 0;
}

static int on_progress(struct watch *w, const cJSON *json, struct json_error *err)
{
	const cJSON *one;
	uint64_t revision;

	cJSON_ArrayForEach (one, json_get(json, "networks")) {
		struct network *n;

		if (frame_network(w, one, &n, err) ||
		    json_uint(one, "revision", 0, JSON_INT_MAX, &revision, err))
			return -EINVAL;
		/* A commit that we do not have: what we know is not enough to judge by. */
		if (n && revision > n->row.revision)
			return json_fail(err, n->name, "is at revision %llu, seen was %llu",
					 (unsigned long long)revision, (unsigned long long)n->row.revision);
		if (n && revision == n->row.revision)
			network_store(w, n);
	}
	return 0;
}

static const struct {
	const char *type;
	int (*on)(struct watch *w, const cJSON *json, struct json_error *err);
} frames[] = {
	{ "snapshot", on_snapshot }, { "network", on_network },	  { "commit", on_commit },
	{ "hosts", on_hosts },	     { "progress", on_progress }, { "forget", on_forget },
	{ "services", on_services },
};

/*
 * A frame that can't be read ends the stream: what it said is missing from
 * then on, and only a new snapshot brings it.
 */
static int frame_take(struct watch *w, const cJSON *json)
{
	const char *type = cJSON_GetStringValue(json_get(json, "type"));
	struct json_error err = {};

	for (size_t i = 0; type && i < ARRAY_SIZE(frames); i++) {
		if (strcmp(type, frames[i].type) || !frames[i].on(w, json, &err))
			continue;
		log_warn("watch: frame \"%s\": %s %s", type, err.field, err.text);
		return -EBADMSG;
	}
	return 0;
}

static int on_frame(const cJSON *json, void *arg)
{
	struct watch *w = arg;
	int rc;

	rows_change(w->agent);
	rc = frame_take(w, json);
	rows_changed(w->agent);
	return rc;
}

/* ---- the connection ---- */

static void on_end(const struct dps_reply *r, void *arg);

static void stream(struct watch *w)
{
	_free_ char *host = dps_escape(w->agent->config.host);
	char path[512];

	snprintf(path, sizeof(path), "/v1/watch?host=%s", host);
	dps_stream(w->agent->dps, path, on_frame, on_end, w);
}

static void on_end(const struct dps_reply *r, void *arg)
{
	struct watch *w = arg;
	struct timeval tv;

	if (w->connected || w->retry_ms == RECONNECT_MIN_MS)
		log_warn("the watch ended: %s", r->error[0] ? r->error : "closed by the policy service");
	w->connected = false;
	tv = (struct timeval){ .tv_sec = w->retry_ms / 1000, .tv_usec = w->retry_ms % 1000 * 1000 };
	evtimer_add(w->retry, &tv);
	w->retry_ms = w->retry_ms * 2 > RECONNECT_MAX_MS ? RECONNECT_MAX_MS : w->retry_ms * 2;
}

void watch_start(struct watch *w)
{
	if (w->streaming)
		return;
	w->streaming = true;
	stream(w);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	/* A service that came back empty has forgotten this host: tell it again, and watch when it knows. */
	w->streaming = false;
	nics_register(w->agent->nics);
}

void watch_policy(struct watch *w, uint32_t vnid, const cJSON *policy)
{
	struct network *n = network_find(w, vnid);
	struct policy *known;
	struct json_error err = {};
	uint64_t whole;
	uint32_t id;

	if (!n || !json_whole(json_get(policy, "id"), 1, UINT32_MAX, &whole))
		return;
	id = whole;
	HASH_FIND(hh, n->policies, &id, sizeof(id), known);
	if (known)
		return;
	rows_change(w->agent);
	if (policy_item(w, n, policy, &err))
		log_warn("check: %s %s", err.field, err.text);
	rows_changed(w->agent);
}

cJSON *watch_show(const struct watch *w)
{
	cJSON *list = cJSON_CreateArray();
	struct network *n, *tmp;

	HASH_ITER (hh, w->networks, n, tmp) {
		cJSON *one = cJSON_CreateObject();

		cJSON_AddStringToObject(one, "name", n->name);
		cJSON_AddNumberToObject(one, "vnid", n->vnid);
		cJSON_AddNumberToObject(one, "revision", n->row.revision);
		cJSON_AddNumberToObject(one, "floor", n->row.floor);
		cJSON_AddNumberToObject(one, "policies", HASH_COUNT(n->policies));
		cJSON_AddNumberToObject(one, "endpoints", HASH_COUNT(n->endpoints));
		cJSON_AddItemToArray(list, one);
	}
	return list;
}

int watch_open(struct agent *a, struct watch **out, struct error *err)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (!w)
		return error_set(err, -ENOMEM, "out of memory");
	w->agent = a;
	w->retry_ms = RECONNECT_MIN_MS;
	w->lifetime = DEFAULT_LIFETIME_S;
	w->retry = evtimer_new(a->base, on_retry, w);
	*out = w;
	return 0;
}

void watch_close(struct watch *w)
{
	struct network *n, *tmp;

	if (!w)
		return;
	HASH_ITER (hh, w->networks, n, tmp) {
		struct policy *p, *ptmp;
		struct endpoint *e, *etmp;

		HASH_ITER (hh, n->policies, p, ptmp) {
			HASH_DEL(n->policies, p);
			free(p);
		}
		HASH_ITER (hh, n->endpoints, e, etmp)
			endpoint_drop(n, e);
		HASH_DEL(w->networks, n);
		cJSON_Delete(n->externals);
		free(n);
	}
	event_free(w->retry);
	free(w);
}
