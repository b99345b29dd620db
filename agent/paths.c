// SPDX-License-Identifier: Apache-2.0
#include "paths.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "alive.h"
#include "lib/cleanup.h"
#include "lib/domain.h"
#include "lib/json.h"
#include "lib/log.h"
#include "ports.h"
#include "state.h"
#include "underlay.h"

#define WEIGHT_MAX 100
#define PARTS 8
#define MASK_BITS 64
#define SERVING_MAX 4096 /* addresses of hosts that have instances */
/* Services that are known, or that paths name: dove_hops has room for the slots of so many. */
#define SERVICES_MAX 1024

struct instance {
	char name[160]; /* "network/endpoint" */
	uint32_t id, out;
	uint32_t weight;
	uint32_t aside; /* so many of PARTS parts of its flows are for others */
	bool up;	/* as the service says */
	bool routed, proxy;
	bool probed; /* frames that are no IP may be sent through it, to see whether it hangs */
	bool alive;  /* as it is in use */
	bool far;    /* on another host */
	uint32_t slots;
	struct ip_addr addr; /* of its host, where far */
};

/*
 * By its full name: ids that domains give count in each of them for itself. The
 * number is this host's own, for dove_paths and dove_hops, and outlives the agent.
 */
struct service {
	uint32_t id;
	char name[FULL_NAME_ROOM];
	struct instance *instances;
	int n;
	bool told; /* the watch has it; else only a path names it */
	UT_hash_handle hh, hh_id;
};

struct paths {
	struct agent *agent;
	struct alive *hosts;   /* those that have instances */
	struct probes *probes; /* through those that are here */
	struct service *services, *by_id;
	uint32_t last_id;
	struct event *save;		   /* numbers were given that the run directory does not have */
	cJSON *told;			   /* what the watch has said last: {DOMAIN: [SERVICE, ...]} */
	cJSON *across;			   /* what other domains state: {NAME: SERVICE} */
	struct dove_path rows[DOVE_PATHS]; /* from 1 */
	uint32_t n_rows;
	uint32_t bits[MASK_BITS]; /* which service a bit of a mask stands for */
	int n_bits;
	struct ip_addr serving[SERVING_MAX];
	int n_serving;
};

static struct service *service_by_name(const struct paths *p, const char *name)
{
	struct service *s;

	HASH_FIND_STR(p->services, name, s);
	return s;
}

static struct service *service_by_id(const struct paths *p, uint32_t id)
{
	struct service *s;

	HASH_FIND(hh_id, p->by_id, &id, sizeof(id), s);
	return s;
}

static void service_add(struct paths *p, const char *name, uint32_t id)
{
	struct service *s = calloc(1, sizeof(*s));

	if (!s)
		abort();
	s->id = id;
	snprintf(s->name, sizeof(s->name), "%s", name);
	HASH_ADD_STR(p->services, name, s);
	HASH_ADD(hh_id, p->by_id, id, sizeof(s->id), s);
}

/*
 * New or known; NULL: there are too many. A number that stands in a map when the agent dies, and
 * was not saved, is found out by the next one (rows_adopt()).
 */
static struct service *service_get(struct paths *p, const char *name)
{
	static const struct timeval at_once;

	if (service_by_name(p, name) || HASH_COUNT(p->services) >= SERVICES_MAX ||
	    strlen(name) >= FULL_NAME_ROOM)
		return service_by_name(p, name);
	do
		p->last_id++;
	while (!p->last_id || service_by_id(p, p->last_id));
	service_add(p, name, p->last_id);
	evtimer_add(p->save, &at_once);
	return service_by_name(p, name);
}

static void service_free(struct paths *p, struct service *s)
{
	HASH_DEL(p->services, s);
	HASH_DELETE(hh_id, p->by_id, s);
	free(s->instances);
	free(s);
}

/* For a network's endpoints its own domain speaks; "blue", without one, is of the only one that there is. */
static bool speaks_for(const struct service *s, const char *network)
{
	char domain[DOMAIN_ROOM];

	return !domain_of_name(network, domain) || domain_has(domain, s->name);
}

static const struct instance *instance_find(const struct paths *p, uint32_t endpoint, const char *network)
{
	for (struct service *s = p->services; s; s = s->hh.next)
		for (int i = 0; i < s->n && speaks_for(s, network); i++)
			if (s->instances[i].id == endpoint || s->instances[i].out == endpoint)
				return &s->instances[i];
	return NULL;
}

bool paths_have(const struct paths *p, uint32_t endpoint, const char *network)
{
	return instance_find(p, endpoint, network);
}

bool paths_known(const struct paths *p, const char *network)
{
	char domain[DOMAIN_ROOM] = "";

	domain_of_name(network, domain);
	return cJSON_GetObjectItemCaseSensitive(p->told, domain) ||
	       cJSON_GetObjectItemCaseSensitive(p->told, "");
}

const char *paths_instance(const struct paths *p, uint32_t endpoint)
{
	const struct instance *i = instance_find(p, endpoint, "");

	return i ? i->name : "?";
}

/* ---- numbers of paths ---- */

static void row_store(struct paths *p, uint32_t number)
{
	if (bpf_map_update_elem(p->agent->maps->paths, &number, &p->rows[number], BPF_ANY))
		log_error("dove_paths: %s", strerror(errno));
}

static void mask_add(struct paths *p, struct dove_path *row, uint32_t service)
{
	int bit = 0;

	while (bit < p->n_bits && p->bits[bit] != service)
		bit++;
	if (bit == MASK_BITS) {
		row->flags |= DOVE_PATH_MANY;
		return;
	}
	p->bits[bit] = service;
	p->n_bits = bit < p->n_bits ? p->n_bits : bit + 1;
	row->mask |= 1ull << bit;
}

static void rows_forget(struct paths *p, const char *why)
{
	log_warn("%s: all translations are asked for anew", why);
	agent_forget_translations(p->agent);
	memset(p->rows, 0, sizeof(p->rows));
	for (uint32_t i = 1; i < DOVE_PATHS; i++)
		row_store(p, i);
	p->n_rows = p->n_bits = 0;
}

/* A service that nobody told us of has no instance; nor has 0, where there are too many. */
static struct dove_path row_of(struct paths *p, const cJSON *services, bool open)
{
	struct dove_path row = { .flags = open ? DOVE_PATH_OPEN : 0 };
	const cJSON *one;

	cJSON_ArrayForEach (one, services) {
		const char *name = cJSON_GetStringValue(one);
		const struct service *s = name ? service_get(p, name) : NULL;

		if (row.n == DOVE_PATH_HOPS)
			break;
		row.services[row.n++] = s ? s->id : 0;
		mask_add(p, &row, s ? s->id : 0);
	}
	return row;
}

uint8_t paths_number(struct paths *p, const cJSON *services, bool open)
{
	struct dove_path row;

	if (!cJSON_GetArraySize(services))
		return 0;
	row = row_of(p, services, open);
	for (uint32_t i = 1; i <= p->n_rows; i++)
		if (!memcmp(&p->rows[i], &row, sizeof(row)))
			return i;
	if (p->n_rows == DOVE_PATHS - 1) {
		rows_forget(p, "there are more paths than can be remembered");
		row = row_of(p, services, open);
	}
	p->rows[++p->n_rows] = row;
	row_store(p, p->n_rows);
	return p->n_rows;
}

/*
 * An earlier process's numbers stand in translations that are still in use. False:
 * of some it is not known whose they are.
 */
static bool rows_adopt(struct paths *p)
{
	for (uint32_t i = 1; i < DOVE_PATHS; i++) {
		struct dove_path *row = &p->rows[i];

		if (bpf_map_lookup_elem(p->agent->maps->paths, &i, row) || !row->n || row->n > DOVE_PATH_HOPS)
			return true;
		row->mask = 0;
		row->flags &= ~DOVE_PATH_MANY;
		for (uint32_t j = 0; j < row->n; j++) {
			if (row->services[j] && !service_by_id(p, row->services[j]))
				return false;
			mask_add(p, row, row->services[j]);
		}
		row_store(p, i);
		p->n_rows = i;
	}
	return true;
}

static bool row_has(const struct paths *p, uint32_t service)
{
	for (uint32_t i = 1; i <= p->n_rows; i++)
		for (uint32_t j = 0; j < p->rows[i].n; j++)
			if (p->rows[i].services[j] == service)
				return true;
	return false;
}

cJSON *paths_save(const struct paths *p)
{
	cJSON *list = cJSON_CreateArray();

	for (const struct service *s = p->services; s; s = s->hh.next) {
		cJSON *one = cJSON_CreateObject();

		cJSON_AddStringToObject(one, "name", s->name);
		cJSON_AddNumberToObject(one, "id", s->id);
		cJSON_AddItemToArray(list, one);
	}
	return list;
}

void paths_restore(struct paths *p, const cJSON *saved)
{
	const cJSON *one;

	cJSON_ArrayForEach (one, saved) {
		const char *name = cJSON_GetStringValue(json_get(one, "name"));
		uint64_t id;

		if (!name || strlen(name) >= FULL_NAME_ROOM ||
		    !json_whole(json_get(one, "id"), 1, UINT32_MAX, &id) || service_by_name(p, name) ||
		    service_by_id(p, id))
			continue;
		service_add(p, name, id);
		p->last_id = id > p->last_id ? id : p->last_id;
	}
	if (!rows_adopt(p))
		rows_forget(p, "paths lead through services that the run directory does not name");
}

/* ---- which instance has which flows ---- */

/* The finaliser of MurmurHash3, 64 bits. */
static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdull;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53ull;
	return h ^ h >> 33;
}

/* The more it stands aside, the more slots, and those of before are among them. */
static bool stands_aside(const struct instance *i, uint32_t slot)
{
	return mix(~((uint64_t)i->id << 32 | slot)) % PARTS < i->aside;
}

/*
 * Highest random weight (Thaler and Ravishankar, 1998): every host comes to the
 * same, and when an instance goes only its own flows go elsewhere. A weight is
 * so many draws.
 */
static struct instance *draw(struct service *s, uint32_t slot, bool all)
{
	struct instance *best = NULL;
	uint64_t most = 0;

	for (int i = 0; i < s->n; i++) {
		struct instance *one = &s->instances[i];

		if (!one->alive || (!all && stands_aside(one, slot)))
			continue;
		for (uint32_t w = 0; w < one->weight; w++) {
			uint64_t draw = mix((uint64_t)one->id << 32 | slot << 8 | w);

			if (best && draw <= most)
				continue;
			most = draw;
			best = one;
		}
	}
	return best;
}

/* Who has too much to do is better than nobody. */
static struct instance *choose(struct service *s, uint32_t slot)
{
	struct instance *best = draw(s, slot, false);

	return best ? best : draw(s, slot, true);
}

static void hop_here(const struct paths *p, const struct instance *i, struct dove_hop *hop)
{
	struct port_place in, out;

	ports_place(p->agent->ports, i->id, &in);
	out = in;
	if (i->out)
		ports_place(p->agent->ports, i->out, &out);
	hop->in = in.ifindex;
	hop->out = out.ifindex;
	hop->delivery = in.delivery;
	memcpy(hop->in_mac, in.mac.b, sizeof(hop->in_mac));
	memcpy(hop->out_mac, out.mac.b, sizeof(hop->out_mac));
}

static void slot_store(struct paths *p, const struct service *s, uint32_t slot, const struct instance *i)
{
	struct dove_hop_key key = { .service = s->id, .slot = slot };
	struct dove_hop hop = {};

	if (!i) {
		bpf_map_delete_elem(p->agent->maps->hops, &key);
		return;
	}
	hop.endpoint = i->id;
	hop.routed = i->routed;
	hop.proxy = i->proxy;
	if (i->far)
		hop.host = to_dove_ip(&i->addr);
	else
		hop_here(p, i, &hop);
	if (bpf_map_update_elem(p->agent->maps->hops, &key, &hop, BPF_ANY))
		log_error("dove_hops: %s: %s", s->name, strerror(errno));
}

static bool is_router(const struct instance *i)
{
	return i->routed && !i->proxy;
}

/* It answers at the port that it is asked by. */
static void way_ask(struct probe_way *way, const struct port_place *port)
{
	way->out = way->in;
	way->out_ifindex = way->in_ifindex;
	way->asked = port->v4;
	way->mac = port->mac;
}

/* At this host, in a network of the service's domain, with somebody behind each of its ports: the ways into it. */
static bool is_placed(const struct paths *p, const struct service *s, const struct instance *i,
		      struct probe_way ways[2])
{
	struct port_place in, out;

	if (ports_place(p->agent->ports, i->id, &in) || !speaks_for(s, in.network))
		return false;
	out = in;
	if (i->out && (ports_place(p->agent->ports, i->out, &out) || !speaks_for(s, out.network)))
		return false;
	ways[0] = (struct probe_way){ .in = i->id,
				      .out = i->out ? i->out : i->id,
				      .in_ifindex = in.ifindex,
				      .out_ifindex = out.ifindex };
	ways[1] = (struct probe_way){
		.in = ways[0].out, .out = ways[0].in, .in_ifindex = out.ifindex, .out_ifindex = in.ifindex
	};
	if (is_router(i)) {
		way_ask(&ways[0], &in);
		way_ask(&ways[1], &out);
	}
	return true;
}

/* Either way may hang alone. */
static enum probe_state instance_probe(const struct paths *p, const struct instance *i)
{
	enum probe_state in = probes_state(p->probes, i->id);
	enum probe_state out = i->out ? probes_state(p->probes, i->out) : in;

	return in > out ? in : out;
}

static bool is_here(const struct paths *p, const struct service *s, const struct instance *i)
{
	struct probe_way ways[2];

	return is_placed(p, s, i, ways) && instance_probe(p, i) != PROBE_FAILED;
}

static void service_refresh(struct paths *p, struct service *s)
{
	for (int i = 0; i < s->n; i++) {
		struct instance *one = &s->instances[i];

		one->alive = one->up && (one->far ? alive_is(p->hosts, &one->addr) : is_here(p, s, one));
		one->slots = 0;
		if (one->alive && one->far)
			underlay_need(p->agent->underlay, &one->addr);
	}
	for (uint32_t slot = 0; slot < DOVE_SLOTS; slot++) {
		struct instance *i = choose(s, slot);

		slot_store(p, s, slot, i);
		if (i)
			i->slots++;
	}
}

/* A router without an IPv4 address there is nothing to ask. */
static int ways_add(const struct paths *p, const struct service *s, const struct instance *i,
		    struct probe_way *out)
{
	struct probe_way ways[2] = { { .in = i->id }, { .in = i->out } };
	int n = i->out ? 2 : 1;

	if (!is_placed(p, s, i, ways) && i->probed)
		return 0;
	for (int k = 0; k < n; k++) {
		out[k] = ways[k];
		out[k].off = !i->probed || (is_router(i) && !ip_is_v4(&ways[k].asked));
	}
	return n;
}

/* What the administrator has taken out is probed as the rest is: so it is known when it is wanted again. */
static void probes_choose(struct paths *p)
{
	struct probe_way *ways;
	int n = 0, room = 0;

	for (const struct service *s = p->services; s; s = s->hh.next)
		room += 2 * s->n;
	ways = calloc(room + 1, sizeof(*ways));
	if (!ways)
		abort();
	for (const struct service *s = p->services; s; s = s->hh.next)
		for (int i = 0; i < s->n; i++)
			n += ways_add(p, s, &s->instances[i], ways + n);
	probes_watch(p->probes, ways, n);
	free(ways);
}

void paths_refresh(struct paths *p)
{
	if (!p || (!p->told->child && !p->across->child))
		return;
	probes_choose(p);
	for (struct service *s = p->services; s; s = s->hh.next)
		service_refresh(p, s);
	underlay_serving(p->agent->underlay, p->serving, p->n_serving);
}

static void on_life(void *arg)
{
	paths_refresh(arg);
}

/* Those whose instances this host may choose among. */
static void hosts_watch(struct paths *p)
{
	struct ip_addr *addrs;
	int n = 0, room = 0;

	for (const struct service *s = p->services; s; s = s->hh.next)
		room += s->n;
	addrs = calloc(room + 1, sizeof(*addrs));
	if (!addrs)
		abort();
	for (const struct service *s = p->services; s; s = s->hh.next)
		for (int i = 0; i < s->n; i++)
			if (s->instances[i].far && s->instances[i].up)
				addrs[n++] = s->instances[i].addr;
	alive_watch(p->hosts, addrs, n);
	free(addrs);
}

/* ---- what the watch says ---- */

static void serving_add(struct paths *p, const cJSON *addresses)
{
	const cJSON *one;

	cJSON_ArrayForEach (one, addresses)
		if (p->n_serving < SERVING_MAX &&
		    !ip_parse(cJSON_GetStringValue(one), &p->serving[p->n_serving]))
			p->n_serving++;
}

static void instance_parse(struct paths *p, const cJSON *json, struct instance *out)
{
	const char *name = cJSON_GetStringValue(json_get(json, "endpoint"));
	const char *host = cJSON_GetStringValue(json_get(json, "host"));
	const cJSON *addresses = json_get(json, "host_addresses");
	uint64_t id = 0, other = 0, weight = 1, aside = 0;

	json_whole(json_get(json, "id"), 1, UINT32_MAX, &id);
	json_whole(json_get(json, "out"), 1, UINT32_MAX, &other);
	json_whole(json_get(json, "weight"), 1, WEIGHT_MAX, &weight);
	json_whole(json_get(json, "aside"), 0, PARTS, &aside);
	*out = (struct instance){ .id = id,
				  .out = other,
				  .weight = weight,
				  .aside = aside,
				  .up = cJSON_IsTrue(json_get(json, "up")),
				  .routed = cJSON_IsTrue(json_get(json, "routed")),
				  .proxy = cJSON_IsTrue(json_get(json, "proxy")),
				  .probed = !cJSON_IsFalse(json_get(json, "probe")),
				  .far = host && strcmp(host, p->agent->config.host) };
	snprintf(out->name, sizeof(out->name), "%s", name ? name : "?");
	serving_add(p, addresses);
	if (out->far && underlay_choose(p->agent->underlay, addresses, &out->addr))
		out->up = false;
}

static void service_parse(struct paths *p, const char *domain, const cJSON *json)
{
	const cJSON *instances = json_get(json, "instances"), *one;
	const char *name = cJSON_GetStringValue(json_get(json, "name"));
	struct service *s;

	/* Of one domain among several: its own alone. */
	if (!name || (*domain && !domain_has(domain, name)))
		return;
	s = service_get(p, name);
	if (!s) {
		log_warn("service %s: there are more than %d", name, SERVICES_MAX);
		return;
	}
	s->told = true;
	free(s->instances);
	s->n = 0;
	s->instances = calloc(cJSON_GetArraySize(instances) + 1, sizeof(*s->instances));
	if (!s->instances)
		abort();
	cJSON_ArrayForEach (one, instances)
		instance_parse(p, one, &s->instances[s->n++]);
}

/* A path may name it still: its number stays its. */
static void service_drop(struct paths *p, struct service *s)
{
	for (uint32_t slot = 0; slot < DOVE_SLOTS; slot++)
		slot_store(p, s, slot, NULL);
	s->n = 0;
	if (!row_has(p, s->id))
		service_free(p, s);
}

static bool hop_is_listed(const void *key, void *arg)
{
	const struct dove_hop_key *k = key;
	const struct service *s = service_by_id(arg, k->service);

	return s && s->told;
}

/* Names without a domain are of a service that stands alone. */
bool paths_told(const struct paths *p, const char *name)
{
	char domain[DOMAIN_ROOM];

	return !domain_of_name(name, domain) || cJSON_GetObjectItemCaseSensitive(p->told, domain) ||
	       cJSON_GetObjectItemCaseSensitive(p->told, "");
}

/* All of them, of all domains, as they were told last. */
static void services_update(struct paths *p)
{
	struct service *s, *tmp;
	const cJSON *list, *one;
	char domain[DOMAIN_ROOM];

	p->n_serving = 0;
	for (s = p->services; s; s = s->hh.next)
		s->told = false;
	cJSON_ArrayForEach (list, p->told)
		cJSON_ArrayForEach (one, list)
			service_parse(p, list->string, one);
	cJSON_ArrayForEach (one, p->across)
		if (!paths_told(p, one->string) && domain_of_name(one->string, domain))
			service_parse(p, domain, one);
	HASH_ITER (hh, p->services, s, tmp)
		if (!s->told)
			service_drop(p, s);
	map_clear(p->agent->maps->hops, sizeof(struct dove_hop_key), hop_is_listed, p);
	hosts_watch(p);
	ports_services(p->agent->ports);
	paths_refresh(p);
}

void paths_services(struct paths *p, const char *domain, const cJSON *services)
{
	if (!*domain) {
		cJSON_Delete(p->told);
		p->told = cJSON_CreateObject();
	}
	cJSON_DeleteItemFromObjectCaseSensitive(p->told, domain);
	cJSON_AddItemToObject(p->told, domain, cJSON_Duplicate(services, true));
	services_update(p);
}

void paths_across(struct paths *p, const char *name, const cJSON *service)
{
	const cJSON *before = cJSON_GetObjectItemCaseSensitive(p->across, name);

	if (service ? before && cJSON_Compare(before, service, true) : !before)
		return;
	cJSON_DeleteItemFromObjectCaseSensitive(p->across, name);
	if (service)
		cJSON_AddItemToObject(p->across, name, cJSON_Duplicate(service, true));
	services_update(p);
}

/* ---- ports ---- */

static bool is_other_port(const void *key, void *arg)
{
	const struct dove_context_key *k = key;

	return k->ifindex != *(uint32_t *)arg;
}

void paths_forget_port(struct paths *p, int ifindex)
{
	uint32_t port = ifindex;

	map_clear(p->agent->maps->contexts, sizeof(struct dove_context_key), is_other_port, &port);
	paths_refresh(p);
}

/* ---- probes ---- */

enum probe_state paths_probe(const struct paths *p, uint32_t endpoint)
{
	return probes_state(p->probes, endpoint);
}

void paths_probe_failed(struct paths *p, uint32_t endpoint)
{
	probes_failed(p->probes, endpoint);
}

void paths_probed(struct paths *p, const struct dove_event *ev)
{
	probes_heard(p->probes, ev);
}

/* ---- showing ---- */

int paths_here(const struct paths *p, uint32_t *endpoints, int max)
{
	int n = 0;

	for (const struct service *s = p->services; s; s = s->hh.next)
		for (int i = 0; i < s->n && n < max; i++)
			if (is_here(p, s, &s->instances[i]))
				endpoints[n++] = s->instances[i].id;
	return n;
}

struct dove_stats paths_handed(const struct paths *p, uint32_t endpoint)
{
	return map_stats(p->agent->maps->hop_stats, endpoint);
}

static void add_handed(const struct paths *p, cJSON *out, uint32_t endpoint)
{
	struct dove_stats handed = paths_handed(p, endpoint);

	cJSON_AddNumberToObject(out, "packets", handed.packets);
	cJSON_AddNumberToObject(out, "bytes", handed.bytes);
}

cJSON *paths_json(const struct paths *p, uint8_t number)
{
	cJSON *list = cJSON_CreateArray();
	const struct dove_path *row = &p->rows[number];

	for (uint32_t i = 0; i < row->n; i++) {
		const struct service *s = service_by_id(p, row->services[i]);

		cJSON_AddItemToArray(list, cJSON_CreateString(s ? s->name : "?"));
	}
	return list;
}

cJSON *paths_hops(const struct paths *p, uint8_t number, bool reverse, uint32_t slot)
{
	cJSON *list = cJSON_CreateArray();
	const struct dove_path *row = &p->rows[number];

	for (uint32_t i = 0; i < row->n; i++) {
		const struct service *s = service_by_id(p, row->services[reverse ? row->n - 1 - i : i]);
		struct dove_hop_key key = { .service = s ? s->id : 0, .slot = slot };
		cJSON *one = cJSON_CreateObject();
		struct ip_addr host;
		struct dove_hop hop;

		cJSON_AddNumberToObject(one, "stage", row->n - i);
		cJSON_AddStringToObject(one, "service", s ? s->name : "?");
		cJSON_AddItemToArray(list, one);
		if (bpf_map_lookup_elem(p->agent->maps->hops, &key, &hop))
			continue;
		host = from_dove_ip(&hop.host);
		cJSON_AddStringToObject(one, "instance", paths_instance(p, hop.endpoint));
		cJSON_AddStringToObject(one, "host",
					hop.in ? p->agent->config.host
					       : underlay_name(p->agent->underlay, &host));
		add_handed(p, one, hop.endpoint);
	}
	return list;
}

static cJSON *instance_json(const struct paths *p, const struct instance *i)
{
	cJSON *one = cJSON_CreateObject();

	cJSON_AddStringToObject(one, "endpoint", i->name);
	cJSON_AddStringToObject(one, "host",
				i->far ? underlay_name(p->agent->underlay, &i->addr) : p->agent->config.host);
	cJSON_AddBoolToObject(one, "alive", i->alive);
	if (!i->far)
		cJSON_AddStringToObject(one, "probe", probe_name(instance_probe(p, i)));
	cJSON_AddNumberToObject(one, "weight", i->weight);
	cJSON_AddNumberToObject(one, "aside", i->aside);
	cJSON_AddNumberToObject(one, "share", (double)i->slots / DOVE_SLOTS);
	add_handed(p, one, i->id);
	return one;
}

cJSON *paths_show(const struct paths *p)
{
	cJSON *list = cJSON_CreateArray();

	for (const struct service *s = p->services; s; s = s->hh.next) {
		cJSON *one, *instances;

		if (!s->told)
			continue;
		one = cJSON_CreateObject();
		cJSON_AddStringToObject(one, "name", s->name);
		instances = cJSON_AddArrayToObject(one, "instances");
		for (int i = 0; i < s->n; i++)
			cJSON_AddItemToArray(instances, instance_json(p, &s->instances[i]));
		cJSON_AddItemToArray(list, one);
	}
	return list;
}

static void on_save(evutil_socket_t fd, short what, void *arg)
{
	struct paths *p = arg;

	state_save(p->agent);
}

int paths_open(struct agent *a, struct paths **out, struct error *err)
{
	struct paths *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return error_set(err, -ENOMEM, "out of memory");
	p->agent = a;
	p->told = cJSON_CreateObject();
	p->across = cJSON_CreateObject();
	p->save = evtimer_new(a->base, on_save, p);
	*out = p;
	rc = alive_open(a, on_life, p, &p->hosts, err);
	return rc ? rc : probes_open(a, on_life, p, &p->probes, err);
}

void paths_close(struct paths *p)
{
	struct service *s, *tmp;

	if (!p)
		return;
	HASH_ITER (hh, p->services, s, tmp)
		service_free(p, s);
	cJSON_Delete(p->told);
	cJSON_Delete(p->across);
	event_free(p->save);
	alive_close(p->hosts);
	probes_close(p->probes);
	free(p);
}
