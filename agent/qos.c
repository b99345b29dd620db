// SPDX-License-Identifier: Apache-2.0
#include "qos.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/labels.h"
#include "lib/log.h"
#include "lib/routers.h"
#include "underlay.h"

#define MIB (1u << 20)
/* As much as a sender may run ahead of its rate: docs/qos.md says why. */
#define BURST_NS (250ull * 1000000)
#define BURST_BYTES (64u << 10)
#define RATE_MAX_MBPS 10000000
#define VLAN_MAX 4094
/* Rows whose names collide stand one after the other. */
#define PROBES_MAX 16
#define NO_ROW UINT32_MAX

/* ---- rows ---- */

/* What so many bytes cost at 1 Mbit/s: 8,000 ns each. */
static uint64_t cost_ns(uint64_t bytes, uint64_t mbps)
{
	return (bytes * 8000 + mbps - 1) / mbps;
}

static void rate_set(struct dove_qos *row, uint64_t mbps, uint64_t policy)
{
	uint64_t least = cost_ns(BURST_BYTES, mbps);

	row->ns_per_mib = cost_ns(MIB, mbps);
	row->burst_ns = least > BURST_NS ? least : BURST_NS;
	row->policy = policy;
}

static uint64_t rate_mbps(const struct dove_qos *row)
{
	return row->ns_per_mib ? (cost_ns(MIB, 1) + row->ns_per_mib / 2) / row->ns_per_mib : 0;
}

/* "1:10" as tc has it, both in hex, or a number (SO_PRIORITY). */
static bool priority_parse(const cJSON *value, uint32_t *out)
{
	unsigned int major, minor;
	uint64_t number;
	int used = 0;

	if (json_whole(value, 1, UINT32_MAX, &number)) {
		*out = number;
		return true;
	}
	if (!cJSON_IsString(value) || sscanf(value->valuestring, "%4x:%4x%n", &major, &minor, &used) != 2 ||
	    value->valuestring[used] || !major)
		return false;
	*out = major << 16 | minor;
	return true;
}

int qos_classes_check(const cJSON *classes, struct json_error *err)
{
	const cJSON *one;
	uint32_t priority;

	if (classes && !cJSON_IsObject(classes))
		return json_fail(err, "classes", "is an object like {\"gold\": \"1:10\"}");
	cJSON_ArrayForEach (one, classes)
		if (!priority_parse(one, &priority))
			return json_fail(err, "classes",
					 "'%.60s' is neither \"MAJOR:MINOR\" nor a number above 0",
					 one->string);
	return 0;
}

/* RFC 3032, 2.1: label and traffic class, then this bit in the last entry, then the time to live, as our outer IP's. */
#define LABEL_BOTTOM 0x100u
#define LABEL_TTL 64

#define V4_HEADER 20
#define V6_HEADER 40

static void labels_set(struct dove_qos *row, const struct labels *labels)
{
	row->laid = DOVE_LAID_LABELS;
	row->n_laid = labels->n;
	row->laid_len = labels->n * sizeof(row->labels[0]);
	for (size_t i = 0; i < labels->n; i++)
		row->labels[i] =
			htonl(labels->at[i] << 9 | (i + 1 == labels->n ? LABEL_BOTTOM : 0) | LABEL_TTL);
}

/* What labels_set() was given. */
static struct labels labels_of(const struct dove_qos *row)
{
	struct labels labels = { .n = row->laid == DOVE_LAID_LABELS ? row->n_laid : 0 };

	for (size_t i = 0; i < labels.n; i++)
		labels.at[i] = ntohl(row->labels[i]) >> 9;
	return labels;
}

static void routers_set(struct dove_qos *row, const struct routers *routers)
{
	bool v4 = ip_is_v4(&routers->at[0]);

	row->laid = v4 ? DOVE_LAID_ROUTERS_V4 : DOVE_LAID_ROUTERS_V6;
	row->n_laid = routers->n;
	row->laid_len = routers->n * (v4 ? V4_HEADER : V6_HEADER);
	for (size_t i = 0; i < routers->n; i++)
		row->routers[i] = to_dove_ip(&routers->at[i]);
}

/* What routers_set() was given. */
static struct routers routers_of(const struct dove_qos *row)
{
	bool is = row->laid == DOVE_LAID_ROUTERS_V4 || row->laid == DOVE_LAID_ROUTERS_V6;
	struct routers routers = { .n = is ? row->n_laid : 0 };

	for (size_t i = 0; i < routers.n; i++)
		routers.at[i] = from_dove_ip(&row->routers[i]);
	return routers;
}

/* What this host has for the class; nothing where it has none. */
static int class_set(const struct agent *a, struct dove_qos *row, const char *class, struct json_error *err)
{
	const cJSON *mine = class ? cJSON_GetObjectItemCaseSensitive(a->config.classes, class) : NULL;

	if (class && strlen(class) >= sizeof(row->class))
		return json_fail(err, "class", "is too long");
	if (class)
		strcpy(row->class, class);
	if (mine)
		priority_parse(mine, &row->priority);
	return 0;
}

static int row_parse(const struct agent *a, const cJSON *qos, struct dove_qos *row, struct json_error *err)
{
	uint64_t dscp = DOVE_DSCP_UNSAID, rate = 0, policy = 0, vlan = 0;
	const char *class = NULL;
	struct routers routers = {};
	struct labels labels = {};

	if (json_uint_opt(qos, "dscp", 0, 63, &dscp, err) ||
	    json_uint_opt(qos, "rate_mbps", 1, RATE_MAX_MBPS, &rate, err) ||
	    json_uint_opt(qos, "rate_policy", 1, UINT32_MAX, &policy, err) ||
	    json_uint_opt(qos, "vlan", 1, VLAN_MAX, &vlan, err) || labels_parse(qos, &labels, err) ||
	    routers_parse(qos, &routers, err) || json_str_opt(qos, "class", &class, err))
		return -EINVAL;
	if (labels.n && routers.n)
		return json_fail(err, "hops", "beside 'mpls'");
	if (rate && !policy)
		return json_fail(err, "rate_policy", "is missing");
	*row = (struct dove_qos){ .dscp = dscp, .vlan = vlan };
	if (rate)
		rate_set(row, rate, policy);
	if (labels.n)
		labels_set(row, &labels);
	if (routers.n)
		routers_set(row, &routers);
	return class_set(a, row, class, err);
}

static bool asks_nothing(const struct dove_qos *row)
{
	return row->dscp == DOVE_DSCP_UNSAID && !row->ns_per_mib && !row->class[0];
}

/* FNV-1a, 32 bits. */
static uint32_t name_of(const struct dove_qos *row)
{
	const uint8_t *byte = (const uint8_t *)row;
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < sizeof(*row); i++)
		hash = (hash ^ byte[i]) * 16777619u;
	return hash;
}

/* 0: it is there; 1: there may be room for it under *id; -ENOSPC: not, and *id is no row's. */
static int row_find(int map, const struct dove_qos *row, uint32_t *id)
{
	struct dove_qos there;

	*id = name_of(row);
	for (int i = 0; i < PROBES_MAX; i++, ++*id) {
		if (!*id || *id == NO_ROW)
			continue;
		if (bpf_map_lookup_elem(map, id, &there))
			return 1;
		if (!memcmp(&there, row, sizeof(there)))
			return 0;
	}
	*id = NO_ROW;
	return -ENOSPC;
}

/* ---- rows that nobody uses ---- */

struct ids {
	uint32_t *v;
	size_t n, room;
	bool lost; /* no memory for all */
};

static void ids_add(struct ids *ids, uint32_t id)
{
	uint32_t *more;

	if (!id)
		return;
	if (ids->n == ids->room) {
		more = realloc(ids->v, (2 * ids->room + 64) * sizeof(*more));
		ids->lost |= !more;
		if (!more)
			return;
		ids->v = more;
		ids->room = 2 * ids->room + 64;
	}
	ids->v[ids->n++] = id;
}

static void ids_used_in(int map, struct ids *ids)
{
	struct dove_cache_key key, next;
	struct dove_translation t;

	for (void *at = NULL; !bpf_map_get_next_key(map, at, &next); at = &key) {
		key = next;
		if (bpf_map_lookup_elem(map, &key, &t))
			continue;
		ids_add(ids, t.qos);
		for (int i = 0; i < t.n_rules && i < DOVE_RULES_MAX; i++)
			ids_add(ids, t.rules[i].qos);
	}
}

static void ids_used_by_ports(int map, struct ids *ids)
{
	uint32_t key, next;
	struct dove_port row;

	for (void *at = NULL; !bpf_map_get_next_key(map, at, &next); at = &key) {
		key = next;
		if (!bpf_map_lookup_elem(map, &key, &row))
			ids_add(ids, row.qos);
	}
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static bool keep_used(const void *key, void *arg)
{
	const struct ids *ids = arg;

	return ids->lost || bsearch(key, ids->v, ids->n, sizeof(*ids->v), compare_ids);
}

/* It reads all translations. A packet whose row is gone is a miss. */
static void rows_sweep(struct agent *a)
{
	struct ids ids = {};

	ids_used_in(a->maps->cache, &ids);
	ids_used_in(a->maps->denied, &ids);
	ids_used_by_ports(a->maps->ports, &ids);
	if (ids.n)
		qsort(ids.v, ids.n, sizeof(*ids.v), compare_ids);
	log_info("dove_qos is full: %d rows that nobody uses are forgotten",
		 map_clear(a->maps->qos, sizeof(*ids.v), keep_used, &ids));
	free(ids.v);
}

/*
 * The row's key. Where there is no room the row is not there: packets that it
 * is for are asked for again, or dropped at a port that it limits. Full, the
 * map is swept, and the lack of room said, at most once a second.
 */
static uint32_t row_store(struct agent *a, const struct dove_qos *row)
{
	static uint64_t next;
	uint32_t id;
	int found = row_find(a->maps->qos, row, &id);

	if (!found || (found > 0 && !bpf_map_update_elem(a->maps->qos, &id, row, BPF_ANY)))
		return id;
	if (clock_now() < next)
		return id;
	next = clock_now() + SECOND_NS;
	rows_sweep(a);
	if (row_find(a->maps->qos, row, &id) < 0 || bpf_map_update_elem(a->maps->qos, &id, row, BPF_ANY))
		log_error("dove_qos: no room for another row");
	return id;
}

/* Without it what is small enough still leaves by its path. */
static void cutter_need(struct agent *a)
{
	static uint64_t next;
	struct error err;

	if (!loader_cutter(a->loader, &err) || clock_now() < next)
		return;
	next = clock_now() + SECOND_NS;
	log_error("super-packets can't be sent by paths of labels or hops: %s", err.text);
}

int qos_install(struct agent *a, const cJSON *qos, uint32_t *id, struct json_error *err)
{
	struct dove_qos row = {};
	struct routers routers;

	*id = 0;
	if (!qos)
		return 0;
	if (row_parse(a, qos, &row, err))
		return -EINVAL;
	if (row.laid)
		cutter_need(a);
	routers = routers_of(&row);
	if (routers.n)
		underlay_router(a->underlay, &routers.at[0]);
	if (!asks_nothing(&row))
		*id = row_store(a, &row);
	return 0;
}

uint32_t qos_port(struct agent *a, uint32_t rate_mbps)
{
	struct dove_qos row = { .dscp = DOVE_DSCP_UNSAID };

	if (!rate_mbps)
		return 0;
	rate_set(&row, rate_mbps, 0);
	return row_store(a, &row);
}

/* ---- meters ---- */

struct idle {
	int map;
	uint64_t before;
};

static bool keep_busy(const void *key, void *arg)
{
	const struct idle *idle = arg;
	struct dove_meter meter;

	return bpf_map_lookup_elem(idle->map, key, &meter) || meter.used_until >= idle->before;
}

void qos_forget_idle(struct agent *a)
{
	struct idle idle = { .map = a->maps->meters, .before = clock_now() - SECOND_NS };

	map_clear(idle.map, sizeof(struct dove_meter_key), keep_busy, &idle);
}

/* ---- ways ---- */

static void narrow(struct agent *a, const struct routers *routers, const struct ip_addr *router, uint32_t mtu)
{
	for (size_t i = 0; i < routers->n; i++)
		if (ip_equal(&routers->at[i], router))
			underlay_router_mtu(a->underlay, &routers->at[0],
					    mtu + i * (ip_is_v4(router) ? V4_HEADER : V6_HEADER));
}

void qos_path_mtu(struct agent *a, const struct ip_addr *router, uint32_t mtu)
{
	static uint64_t next;
	uint32_t key, at;
	struct dove_qos row;

	/* It looks through all rows, for a message that anybody can make: the next packet brings another one. */
	if (clock_now() < next)
		return;
	next = clock_now() + SECOND_NS / 10;
	for (void *from = NULL; !bpf_map_get_next_key(a->maps->qos, from, &at); from = &key) {
		key = at;
		if (!bpf_map_lookup_elem(a->maps->qos, &key, &row)) {
			struct routers routers = routers_of(&row);

			narrow(a, &routers, router, mtu);
		}
	}
}

uint32_t qos_way(struct agent *a, uint32_t id, const struct dove_ip *host, struct dove_ip *first)
{
	struct ip_addr to = from_dove_ip(host);
	struct dove_qos row;

	*first = (struct dove_ip){};
	if (!id || bpf_map_lookup_elem(a->maps->qos, &id, &row))
		return 0;
	if (row.laid == DOVE_LAID_ROUTERS_V4 || row.laid == DOVE_LAID_ROUTERS_V6) {
		if (ip_is_v4(&to) != (row.laid == DOVE_LAID_ROUTERS_V4))
			return 0;
		*first = row.routers[0];
	}
	return row.laid_len;
}

/* ---- what is shown ---- */

cJSON *qos_json(struct agent *a, uint32_t id)
{
	struct routers routers;
	struct labels labels;
	struct dove_qos row;
	cJSON *out;

	if (!id || bpf_map_lookup_elem(a->maps->qos, &id, &row))
		return NULL;
	out = cJSON_CreateObject();
	if (row.dscp != DOVE_DSCP_UNSAID)
		cJSON_AddNumberToObject(out, "dscp", row.dscp);
	if (row.ns_per_mib) {
		cJSON_AddNumberToObject(out, "rate_mbps", rate_mbps(&row));
		if (row.policy)
			cJSON_AddNumberToObject(out, "rate_policy", row.policy);
	}
	if (row.class[0])
		cJSON_AddStringToObject(out, "class", row.class);
	if (row.priority)
		cJSON_AddNumberToObject(out, "priority", row.priority);
	if (row.vlan)
		cJSON_AddNumberToObject(out, "vlan", row.vlan);
	labels = labels_of(&row);
	labels_render(out, &labels);
	routers = routers_of(&row);
	routers_render(out, &routers);
	return out;
}

const char *qos_words(struct agent *a, uint32_t id, char *buf, size_t size)
{
	cJSON *qos = qos_json(a, id), *one;
	size_t len = 0;

	buf[0] = '\0';
	cJSON_ArrayForEach (one, qos) {
		char *value = cJSON_PrintUnformatted(one);

		if (value && len < size)
			len += snprintf(buf + len, size - len, "%s%s %s", len ? ", " : "", one->string,
					value);
		cJSON_free(value);
	}
	cJSON_Delete(qos);
	return buf;
}
