// SPDX-License-Identifier: Apache-2.0
#include "gateway.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway_host.h"
#include "gateway_nft.h"
#include "gateway_pair.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"
#include "loader/routes.h"
#include "nics.h"
#include "rows.h"
#include "state.h"

/* Between two tries of what failed. */
#define RETRY_S 5

struct external {
	struct external *next;
	struct gateway_pair pair;
	char network[64], name[64]; /* "?" until the service has named it */
	cJSON *prefixes;	    /* as the service writes them */
	struct ip_prefix *subnets;  /* of its network */
	int n_subnets;
	bool named;	  /* by the service, in its last word on the network */
	bool up;	  /* all is there, as of that word */
	char failed[128]; /* why not */
};

struct gateway {
	struct agent *agent;
	struct external *list;
	struct event *work, *tables; /* there is something to do; somebody changed nftables */
	char *rules;		     /* that nftables has; NULL: not known */
	uint32_t mtu;
	bool settled;	/* a snapshot was complete: what is not named may go */
	bool leftovers; /* something may be there that is nobody's any more */
	bool warned[GATEWAY_FAMILIES];
	struct gateway_host host;
};

static struct external *external_find(const struct gateway *g, uint32_t id)
{
	struct external *e = g->list;

	while (e && e->pair.id != id)
		e = e->next;
	return e;
}

static struct external *external_add(struct gateway *g, const struct gateway_pair *pair)
{
	struct external *e = calloc(1, sizeof(*e));

	if (!e)
		abort();
	*e = (struct external){ .next = g->list, .pair = *pair, .network = "?", .name = "?" };
	g->list = e;
	return e;
}

static void external_free(struct external *e)
{
	cJSON_Delete(e->prefixes);
	free(e->subnets);
	free(e);
}

static const struct external *external_at(const struct gateway *g, int ifindex)
{
	const struct external *e = g->list;

	while (e && !gateway_pair_has(&e->pair, ifindex))
		e = e->next;
	return e;
}

bool gateway_refuses(const struct gateway *g, int ifindex, struct request *rq)
{
	const struct external *e = external_at(g, ifindex);

	if (!e)
		return false;
	control_fail(rq, "%s, %s: are the way out to external network %s/%s", e->pair.device.name,
		     e->pair.port.name, e->network, e->name);
	return true;
}

const char *gateway_device(const struct gateway *g, uint32_t id)
{
	const struct external *e = external_find(g, id);

	return e ? e->pair.device.name : "?";
}

int gateway_view(const struct gateway *g, const char *port, struct port_view *out)
{
	static const struct mac_addr mac = { .b = DOVE_GATEWAY_MAC };

	for (struct external *e = g->list; e; e = e->next) {
		if (strcmp(e->pair.port.name, port) || !e->pair.port.ifindex)
			continue;
		*out = (struct port_view){ .ifindex = e->pair.port.ifindex,
					   .vnid = e->pair.vnid,
					   .id = e->pair.id,
					   .device = e->pair.port.name,
					   .network = e->network,
					   .endpoint = e->name,
					   .mac = mac,
					   .external = true };
		return 0;
	}
	return -ENODEV;
}

static void work_soon(struct gateway *g, int seconds)
{
	evtimer_add(g->work, &(struct timeval){ .tv_sec = seconds });
}

/* ---- numbers ---- */

/* Who has which: a list of GATEWAY_NUMBER_MAX + 1, the caller's. */
static bool *numbers_taken(const struct gateway *g)
{
	bool *taken = calloc(GATEWAY_NUMBER_MAX + 1, sizeof(*taken));

	if (!taken)
		abort();
	for (struct external *e = g->list; e; e = e->next)
		taken[e->pair.number] = true;
	return taken;
}

/* One that nobody has; 0: there is none. */
static uint16_t number_free(const struct gateway *g)
{
	_free_ bool *taken = numbers_taken(g);
	uint32_t number = 1;

	while (number <= GATEWAY_NUMBER_MAX && taken[number])
		number++;
	return number <= GATEWAY_NUMBER_MAX ? number : 0;
}

static char *rules_text(const struct gateway *g)
{
	_free_ uint16_t *list = calloc(GATEWAY_NUMBER_MAX, sizeof(*list));
	int n = 0;

	if (!list)
		abort();
	for (struct external *e = g->list; e; e = e->next)
		list[n++] = e->pair.number;
	return gateway_nft_text(list, n, g->mtu);
}

/* ---- the work: what should be, is made ---- */

/* Those that the service does not name any more. */
static void externals_sweep(struct gateway *g)
{
	for (struct external **at = &g->list; *at;) {
		struct external *e = *at;

		if (e->named) {
			at = &e->next;
			continue;
		}
		log_info("%s: external network %s/%s leaves this host", e->pair.device.name, e->network,
			 e->name);
		gateway_pair_down(g->agent, &e->pair);
		g->leftovers = true;
		*at = e->next;
		external_free(e);
	}
}

/* Another MTU is news for all of them. */
static void mtu_look(struct gateway *g)
{
	uint32_t mtu = nics_mtu(g->agent->nics);

	for (struct external *e = g->list; e && mtu != g->mtu; e = e->next)
		e->up = false;
	g->mtu = mtu;
}

/* Written down before it is done: whoever comes after a crash knows what to give back. */
static void host_prepare(struct gateway *g)
{
	bool change = g->list ? gateway_host_wanting(&g->host) : gateway_host_give(&g->host);

	if (change)
		state_save(g->agent);
	if (g->list)
		gateway_host_take(&g->host);
}

static int rules_load(struct gateway *g, struct error *err)
{
	_free_ char *text = rules_text(g);
	int rc;

	if (g->rules && !strcmp(g->rules, text))
		return 0;
	rc = gateway_nft_load(text, err);
	if (rc)
		return rc;
	free(g->rules);
	g->rules = take_ptr(text);
	return 0;
}

/* A number's routing rule comes before all else of it, and goes last: it tells of leftovers. */
static int walls_raise(struct gateway *g, struct error *err)
{
	for (struct external *e = g->list; e; e = e->next) {
		int rc = e->up ? 0 : routes_rule_add(GATEWAY_MARK_OF(e->pair.number));

		if (rc)
			return error_set(err, rc, "routing rules: %m");
	}
	return g->list || g->leftovers ? rules_load(g, err) : 0;
}

static void external_failed(struct external *e, const char *why)
{
	e->up = false;
	if (strncmp(e->failed, why, sizeof(e->failed) - 1))
		log_error("external network %s/%s: %s", e->network, e->name, why);
	snprintf(e->failed, sizeof(e->failed), "%s", why);
}

static void external_up(struct gateway *g, struct external *e)
{
	bool new = !e->pair.placed;
	struct error err;

	if (gateway_pair_up(g->agent, &e->pair, e->subnets, e->n_subnets, g->mtu, &err)) {
		external_failed(e, err.text);
		return;
	}
	e->up = true;
	e->failed[0] = '\0';
	if (new)
		log_info("%s: the way out to external network %s/%s, mark 0x%08x", e->pair.device.name,
			 e->network, e->name, GATEWAY_MARK_OF(e->pair.number));
}

static bool place_is_known(const void *key, void *arg)
{
	const struct dove_place_key *place = key;
	uint32_t id = external_of(&place->addr);

	return !id || external_find(arg, id);
}

static bool port_is_known(const void *key, void *arg)
{
	const struct gateway *g = arg;
	struct dove_port row;

	return bpf_map_lookup_elem(g->agent->maps->ports, key, &row) || row.kind != DOVE_PORT_EXTERNAL ||
	       external_at(g, *(const uint32_t *)key);
}

/* Rules and rows of numbers that are nobody's. */
static void leftovers_clear(struct gateway *g)
{
	const int max = 2 * GATEWAY_NUMBER_MAX; /* of both families */
	_free_ uint32_t *marks = calloc(max, sizeof(*marks));
	_free_ bool *taken = numbers_taken(g);
	int n;

	if (!marks)
		abort();
	n = routes_rules(marks, max);
	for (int i = 0; i < n; i++)
		if (!taken[marks[i] & GATEWAY_NUMBER_MAX])
			routes_rule_del(marks[i]);
	rows_clear(g->agent, g->agent->maps->local, sizeof(struct dove_place_key), place_is_known, g);
	rows_clear(g->agent, g->agent->maps->ports, sizeof(uint32_t), port_is_known, g);
	g->leftovers = false;
}

/* Say it once when the host does not forward what some network has subnets of. */
static void host_check(struct gateway *g)
{
	static const char *const settings[GATEWAY_FAMILIES] = {
		"IPv4 forwarding is off (net.ipv4.ip_forward)",
		"IPv6 forwarding is off (net.ipv6.conf.all.forwarding)",
	};
	bool wants[GATEWAY_FAMILIES] = {};

	for (struct external *e = g->list; e; e = e->next)
		for (int i = 0; i < e->n_subnets; i++)
			wants[!ip_is_v4(&e->subnets[i].addr)] = true;
	for (int i = 0; i < GATEWAY_FAMILIES; i++) {
		bool warn = wants[i] && !gateway_host_forwards(i);

		if (warn && !g->warned[i])
			log_warn("this host is a gateway, but its %s: its kernel passes nothing on",
				 settings[i]);
		g->warned[i] = warn;
	}
}

/* Nothing gets in before nftables watches over it: host and walls first, then the devices. */
static void on_work(evutil_socket_t fd, short what, void *arg)
{
	struct gateway *g = arg;
	struct error err = {};
	bool again;

	if (g->settled)
		externals_sweep(g);
	mtu_look(g);
	host_prepare(g);
	again = walls_raise(g, &err);
	for (struct external *e = g->list; e; e = e->next) {
		if (err.text[0])
			external_failed(e, err.text);
		else if (e->named && !e->up)
			external_up(g, e);
		again |= e->named && !e->up;
	}
	if (g->settled && g->leftovers && !err.text[0])
		leftovers_clear(g);
	host_check(g);
	if (again)
		work_soon(g, RETRY_S);
}

/* ---- what the service says ---- */

static int external_parse(struct external *e, const cJSON *json, struct json_error *err)
{
	const cJSON *prefixes;
	const char *name;

	if (json_str(json, "name", &name, err) ||
	    json_uint(json, "sequence", 0, JSON_INT_MAX, &e->pair.sequence, err) ||
	    json_uint(json, "floor", 0, JSON_INT_MAX, &e->pair.floor, err) ||
	    json_list(json, "prefixes", INT32_MAX, &prefixes, err))
		return -EINVAL;
	snprintf(e->name, sizeof(e->name), "%s", name);
	cJSON_Delete(e->prefixes);
	e->prefixes = cJSON_Duplicate(prefixes, true);
	return 0;
}

/* Its own network's alone: those of joined ones have no way to it. */
static void subnets_take(struct external *e, const cJSON *list)
{
	const cJSON *one;
	uint64_t vnid;

	free(e->subnets);
	e->subnets = calloc(cJSON_GetArraySize(list) + 1, sizeof(*e->subnets));
	if (!e->subnets)
		abort();
	e->n_subnets = 0;
	cJSON_ArrayForEach (one, list)
		if (json_whole(json_get(one, "vnid"), e->pair.vnid, e->pair.vnid, &vnid) &&
		    !ip_prefix_parse(cJSON_GetStringValue(json_get(one, "prefix")),
				     &e->subnets[e->n_subnets]))
			e->n_subnets++;
}

static struct external *external_new(struct gateway *g, uint32_t vnid, uint32_t id)
{
	struct gateway_pair pair = gateway_pair_named(number_free(g));

	if (!pair.number) {
		log_error("more than %d external networks at one host", GATEWAY_NUMBER_MAX);
		return NULL;
	}
	pair.vnid = vnid;
	pair.id = id;
	return external_add(g, &pair);
}

static void external_item(struct gateway *g, uint32_t vnid, const char *network, const cJSON *json,
			  const cJSON *subnets)
{
	struct json_error err = {};
	struct external *e;
	uint64_t id;

	if (!cJSON_IsTrue(json_get(json, "here")) || json_uint(json, "id", 1, UINT32_MAX, &id, &err))
		return;
	e = external_find(g, id);
	if (!e)
		e = external_new(g, vnid, id);
	if (!e)
		return;
	if (external_parse(e, json, &err)) {
		log_error("watch: external network %llu of %s: %s %s", (unsigned long long)id, network,
			  err.field, err.text);
		return;
	}
	snprintf(e->network, sizeof(e->network), "%s", network);
	subnets_take(e, subnets);
	e->named = true;
	e->up = false;
	/* Numbers are there before the revision that they belong to counts as watched. */
	if (e->pair.placed)
		gateway_pair_place(g->agent, &e->pair);
}

void gateway_update(struct gateway *g, uint32_t vnid, const char *network, const cJSON *json)
{
	const cJSON *one, *externals = json_get(json, "externals");

	if (!externals)
		return;
	gateway_drop(g, vnid);
	cJSON_ArrayForEach (one, externals)
		external_item(g, vnid, network, one, json_get(json, "subnets"));
	if (g->list)
		work_soon(g, 0);
}

void gateway_drop(struct gateway *g, uint32_t vnid)
{
	for (struct external *e = g->list; e; e = e->next) {
		if (e->pair.vnid != vnid)
			continue;
		e->named = false;
		work_soon(g, 0);
	}
}

void gateway_settle(struct gateway *g)
{
	uint32_t mark;

	if (g->settled)
		return;
	g->settled = true;
	g->leftovers = g->list || gateway_host_taken(&g->host) || routes_rules(&mark, 1);
	if (g->leftovers)
		work_soon(g, 0);
}

/* ---- what the kernel says ---- */

void gateway_refresh(struct gateway *g)
{
	if (g->list && nics_mtu(g->agent->nics) != g->mtu)
		work_soon(g, 0);
}

void gateway_device_gone(struct gateway *g, int ifindex)
{
	for (struct external *e = g->list; e; e = e->next) {
		if (!gateway_pair_has(&e->pair, ifindex))
			continue;
		log_warn("%s: the device of external network %s/%s is gone", e->pair.device.name, e->network,
			 e->name);
		gateway_pair_lost(g->agent, &e->pair);
		e->up = false;
		work_soon(g, 0);
	}
}

static void on_tables(evutil_socket_t fd, short what, void *arg)
{
	struct gateway *g = arg;
	char drain[4096];

	while (recv(fd, drain, sizeof(drain), 0) > 0 || errno == ENOBUFS)
		continue;
	if (!g->list || !g->rules || gateway_nft_loaded())
		return;
	log_warn("somebody took our table out of nftables: making it again");
	free(take_ptr(g->rules));
	work_soon(g, 0);
}

/* ---- showing and keeping ---- */

/* What `port list` and `status` have in common. */
static cJSON *external_json(const struct external *e)
{
	cJSON *one = cJSON_CreateObject();

	cJSON_AddStringToObject(one, "network", e->network);
	cJSON_AddNumberToObject(one, "vnid", e->pair.vnid);
	cJSON_AddNumberToObject(one, "id", e->pair.id);
	cJSON_AddStringToObject(one, "state", e->up ? "up" : e->failed[0] ? "failed" : "starting");
	return one;
}

static cJSON *prefixes_json(const struct external *e)
{
	return e->prefixes ? cJSON_Duplicate(e->prefixes, true) : cJSON_CreateArray();
}

cJSON *gateway_show(const struct gateway *g)
{
	cJSON *list = cJSON_CreateArray();
	char mark[16];

	for (struct external *e = g->list; e; e = e->next) {
		cJSON *one = external_json(e);

		snprintf(mark, sizeof(mark), "0x%08x", GATEWAY_MARK_OF(e->pair.number));
		cJSON_AddStringToObject(one, "name", e->name);
		cJSON_AddItemToObject(one, "prefixes", prefixes_json(e));
		cJSON_AddStringToObject(one, "device", e->pair.device.name);
		cJSON_AddStringToObject(one, "mark", mark);
		cJSON_AddNumberToObject(one, "mtu", e->pair.device.mtu);
		if (e->failed[0])
			cJSON_AddStringToObject(one, "error", e->failed);
		cJSON_AddItemToArray(list, one);
	}
	return list;
}

cJSON *gateway_show_forwarding(void)
{
	cJSON *one = cJSON_CreateObject();

	cJSON_AddBoolToObject(one, "ipv4", gateway_host_forwards(0));
	cJSON_AddBoolToObject(one, "ipv6", gateway_host_forwards(1));
	return one;
}

void gateway_show_ports(const struct gateway *g, cJSON *list)
{
	const struct mac_addr gateway = { .b = DOVE_GATEWAY_MAC };
	char mac[MAC_TEXT];

	for (struct external *e = g->list; e; e = e->next) {
		cJSON *one = external_json(e);

		cJSON_AddStringToObject(one, "device", e->pair.port.name);
		cJSON_AddNumberToObject(one, "ifindex", e->pair.port.ifindex);
		cJSON_AddStringToObject(one, "endpoint", e->name);
		cJSON_AddStringToObject(one, "mac", mac_format(&gateway, mac));
		cJSON_AddItemToObject(one, "addresses", prefixes_json(e));
		cJSON_AddStringToObject(one, "kind", "external");
		cJSON_AddItemToArray(list, one);
	}
}

cJSON *gateway_save(const struct gateway *g)
{
	return gateway_host_save(&g->host);
}

void gateway_restore(struct gateway *g, const cJSON *saved)
{
	gateway_host_restore(&g->host, saved);
}

/* ---- life ---- */

static void adopt(struct gateway *g)
{
	struct if_nameindex *all = if_nameindex();
	struct gateway_pair pair;

	for (struct if_nameindex *one = all; one && one->if_index; one++)
		if (gateway_pair_adopt(g->agent, one->if_name, &pair))
			external_add(g, &pair);
	if (all)
		if_freenameindex(all);
	if (g->list)
		work_soon(g, 0);
}

int gateway_open(struct agent *a, struct gateway **out, struct error *err)
{
	struct gateway *g = calloc(1, sizeof(*g));
	int fd;

	if (!g)
		return error_set(err, -ENOMEM, "out of memory");
	g->agent = a;
	g->work = evtimer_new(a->base, on_work, g);
	fd = gateway_nft_monitor();
	if (fd >= 0) {
		g->tables = event_new(a->base, fd, EV_READ | EV_PERSIST, on_tables, g);
		event_add(g->tables, NULL);
	}
	adopt(g);
	*out = g;
	return 0;
}

void gateway_leave(struct gateway *g)
{
	if (!g->list && !gateway_host_taken(&g->host))
		return;
	for (struct external *e = g->list; e; e = e->next)
		e->named = false;
	g->settled = true;
	on_work(-1, 0, g);
}

void gateway_close(struct gateway *g)
{
	if (!g)
		return;
	while (g->list) {
		struct external *e = g->list;

		g->list = e->next;
		external_free(e);
	}
	if (g->tables) {
		close(event_get_fd(g->tables));
		event_free(g->tables);
	}
	event_free(g->work);
	free(g->rules);
	free(g);
}
