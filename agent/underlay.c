// SPDX-License-Identifier: Apache-2.0
#include "underlay.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/translation.h"
#include "loader/rtnl.h"
#include "maps/wire.h"
#include "miss.h"
#include "moved.h"
#include "nics.h"
#include "rows.h"

/* Changes of routes and neighbours come in bursts: look once after this. */
#define REFRESH_DELAY_MS 5
/* A neighbour that does not answer is tried again. */
#define RETRY_MS 500
/* What a router said of a way's width holds so long. */
#define PATH_MTU_NS (600 * SECOND_NS)
/* Other authorities' hosts are looked over so often; and those that an earlier process knew stay so long. */
#define GUESTS_S 10
/* So long an answer may lead by a router after it was named. */
/* Another authority names those of its paths: so many are looked after, and what leads by more is held. */
#define ROUTERS_KNOWN_MAX 1024
#define ROUTER_NS (TRANSLATION_LIFE_MAX * SECOND_NS)

/* Or a router that a path begins with: in a table and a map of their own, for they are nobody who sends. */
struct host {
	struct ip_addr addr; /* key */
	uint32_t id;
	char name[64];
	bool router;
	bool self;
	bool serves; /* has instances of services */
	bool needed;
	bool seen;		 /* between underlay_begin() and underlay_end() */
	uint64_t guest_until;	 /* no watch need name it until then */
	struct dove_host row;	 /* as it stands in the map */
	struct ip_addr next_hop; /* of the underlay; zero until it was looked up */
	uint32_t path_mtu;	 /* what a router said of the way; 0: nothing */
	uint64_t path_mtu_until;
	UT_hash_handle hh;
};

struct underlay {
	struct agent *agent;
	struct host *hosts;   /* by address */
	struct host *routers; /* the same */
	struct event *refresh;
	struct event *guests; /* those whose time is over go */
	struct event *widen;  /* a router's word ends: look whether the way has become wider */
	bool families[2];     /* of this host's addresses: IPv4, IPv6 */
	bool soon;	      /* it is due after REFRESH_DELAY_MS, not after RETRY_MS */
};

static struct host *host_find(const struct underlay *u, const struct ip_addr *addr)
{
	struct host *h;

	HASH_FIND(hh, u->hosts, addr, sizeof(*addr), h);
	return h;
}

static struct host *host_new(const struct ip_addr *addr)
{
	struct host *h = calloc(1, sizeof(*h));

	if (!h)
		abort();
	h->addr = *addr;
	return h;
}

static struct host *host_make(struct underlay *u, const struct ip_addr *addr)
{
	struct host *h = host_find(u, addr);

	if (h)
		return h;
	h = host_new(addr);
	HASH_ADD(hh, u->hosts, addr, sizeof(h->addr), h);
	return h;
}

static struct host *router_find(const struct underlay *u, const struct ip_addr *addr)
{
	struct host *h;

	HASH_FIND(hh, u->routers, addr, sizeof(*addr), h);
	return h;
}

static struct host *router_make(struct underlay *u, const struct ip_addr *addr)
{
	struct host *h = router_find(u, addr);

	if (!h && HASH_COUNT(u->routers) >= ROUTERS_KNOWN_MAX)
		return NULL;
	if (!h) {
		h = host_new(addr);
		h->router = h->needed = true;
		ip_format(addr, h->name);
		HASH_ADD(hh, u->routers, addr, sizeof(h->addr), h);
	}
	h->guest_until = clock_now() + ROUTER_NS;
	return h;
}

static void host_store(struct underlay *u, struct host *h)
{
	struct dove_ip key = to_dove_ip(&h->addr);

	if (h->router) {
		if (row_put(u->agent, u->agent->maps->routers, &key, &h->row, BPF_ANY)) {
			log_error("dove_routers: %s: %s", h->name, strerror(errno));
			h->row = (struct dove_host){}; /* the next look tries again */
		}
		return;
	}
	h->row.id = h->id;
	h->row.flags = (h->row.flags & DOVE_HOST_REACHABLE) | (h->self ? DOVE_HOST_SELF : 0) |
		       (h->serves ? DOVE_HOST_SERVICES : 0);
	if (row_put(u->agent, u->agent->maps->hosts, &key, &h->row, BPF_ANY))
		log_error("dove_hosts: %s: %s", h->name, strerror(errno));
}

static void host_remove(struct underlay *u, struct host *h)
{
	struct dove_ip key = to_dove_ip(&h->addr);

	row_delete(u->agent, u->agent->maps->hosts, &key);
	HASH_DEL(u->hosts, h);
	free(h);
}

static void router_remove(struct underlay *u, struct host *h)
{
	struct dove_ip key = to_dove_ip(&h->addr);

	row_delete(u->agent, u->agent->maps->routers, &key);
	HASH_DEL(u->routers, h);
	free(h);
}

/* ---- next hops ---- */

/* Whoever waits for the way to some host. */
static void way_found(const struct agent *a)
{
	miss_next_hop(a->miss);
	moved_next_hop(a->moved);
}

/*
 * The device that frames really leave by: the route may lead to a bridge, of
 * which one of our NICs is a member.
 */
static int leaving_device(const struct underlay *u, int ifindex)
{
	int nic = nics_member_of(u->agent->nics, ifindex);

	return nic ? nic : ifindex;
}

/* What is left of the way's MTU: the least of what the device has, the route says, and a router on it said. */
static uint32_t inner_mtu(const struct host *h, const struct rtnl_route *route, const struct rtnl_link *link)
{
	uint32_t overhead = ip_is_v4(&h->addr) ? DOVE_OVERHEAD_V4 : DOVE_OVERHEAD_V6, mtu = link->mtu;

	if (route->mtu && route->mtu < mtu)
		mtu = route->mtu;
	if (h->path_mtu && h->path_mtu < mtu && clock_now() < h->path_mtu_until)
		mtu = h->path_mtu;
	return mtu > overhead ? mtu - overhead : 0;
}

/* -EAGAIN: *row and *next_hop say which way, but its neighbour is not resolved yet. */
static int next_hop_find(struct underlay *u, const struct host *h, struct dove_host *row,
			 struct ip_addr *next_hop)
{
	struct rtnl_route route;
	struct rtnl_link link;
	struct mac_addr mac;
	int rc = rtnl_route_get(&h->addr, &route);

	if (!rc)
		rc = rtnl_link_by_index(route.ifindex, &link);
	if (rc)
		return rc;
	*row = (struct dove_host){ .source = to_dove_ip(&route.source),
				   .ifindex = leaving_device(u, route.ifindex),
				   .mtu = inner_mtu(h, &route, &link) };
	row->queue = nics_queue(u->agent->nics, row->ifindex);
	memcpy(row->src_mac, link.mac.b, sizeof(row->src_mac));
	*next_hop = route.next_hop;
	rc = rtnl_neigh_get(route.ifindex, next_hop, &mac);
	if (rc == -EAGAIN) {
		rc = rtnl_neigh_keep(route.ifindex, next_hop);
		if (!rc)
			rc = rtnl_neigh_get(route.ifindex, next_hop, &mac);
	}
	if (rc)
		return rc;
	memcpy(row->dst_mac, mac.b, sizeof(row->dst_mac));
	row->flags = DOVE_HOST_REACHABLE;
	return 0;
}

static void refresh_in(struct underlay *u, long ms)
{
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (!evtimer_pending(u->refresh, NULL))
		evtimer_add(u->refresh, &tv);
}

/* A way that was good stays in use while its neighbour is merely being asked again. */
static void host_look(struct underlay *u, struct host *h)
{
	struct dove_host row = {};
	bool was = h->row.flags & DOVE_HOST_REACHABLE;
	struct ip_addr next_hop = {};
	int rc = next_hop_find(u, h, &row, &next_hop);

	if (rc == -EAGAIN && was && row.ifindex == h->row.ifindex && ip_equal(&next_hop, &h->next_hop))
		return;
	h->next_hop = next_hop;
	row.id = h->id;
	row.flags |= h->serves ? DOVE_HOST_SERVICES : 0;
	if (memcmp(&row, &h->row, sizeof(row))) {
		h->row = row;
		host_store(u, h);
		log_debug("host %s: %s", h->name, rc ? strerror(-rc) : "reachable");
	}
	if (!rc && !was)
		way_found(u->agent);
	if (rc)
		refresh_in(u, RETRY_MS);
}

static void on_refresh(evutil_socket_t fd, short what, void *arg)
{
	struct underlay *u = arg;
	struct host *h, *tmp;

	u->soon = false;
	HASH_ITER (hh, u->hosts, h, tmp)
		if (h->needed && !h->self)
			host_look(u, h);
	HASH_ITER (hh, u->routers, h, tmp)
		host_look(u, h);
}

/* From the first change on: an underlay that never rests must not put it off for ever. */
void underlay_refresh(struct underlay *u)
{
	if (u->soon)
		return;
	u->soon = true;
	evtimer_del(u->refresh);
	refresh_in(u, REFRESH_DELAY_MS);
}

static void path_mtu(struct underlay *u, struct host *h, uint32_t mtu)
{
	char text[IP_TEXT];

	if (!h || h->self || !h->needed ||
	    (h->path_mtu && h->path_mtu <= mtu && clock_now() < h->path_mtu_until))
		return;
	log_info("the way to %s %s (%s) takes %u bytes", h->router ? "router" : "host", h->name,
		 ip_format(&h->addr, text), mtu);
	h->path_mtu = mtu;
	h->path_mtu_until = clock_now() + PATH_MTU_NS;
	host_look(u, h);
	evtimer_add(u->widen, &(struct timeval){ .tv_sec = PATH_MTU_NS / SECOND_NS + 1 });
}

void underlay_path_mtu(struct underlay *u, const struct ip_addr *addr, uint32_t mtu)
{
	path_mtu(u, host_find(u, addr), mtu);
}

void underlay_router_mtu(struct underlay *u, const struct ip_addr *addr, uint32_t mtu)
{
	path_mtu(u, router_find(u, addr), mtu);
}

void underlay_router(struct underlay *u, const struct ip_addr *addr)
{
	struct host *h;

	if (!u->families[ip_is_v4(addr) ? 0 : 1])
		return;
	h = router_make(u, addr);
	if (h && !(h->row.flags & DOVE_HOST_REACHABLE))
		host_look(u, h);
}

bool underlay_need(struct underlay *u, const struct ip_addr *addr)
{
	struct host *h = host_make(u, addr);

	if (!h->needed || !(h->row.flags & DOVE_HOST_REACHABLE)) {
		h->needed = true;
		host_look(u, h);
	}
	return h->row.flags & DOVE_HOST_REACHABLE;
}

/* ---- who is there ---- */

void underlay_host(struct underlay *u, uint32_t id, const char *name, const struct ip_addr *addr)
{
	struct host *h = host_make(u, addr);

	h->seen = true;
	if (h->id == id && !strcmp(h->name, name))
		return;
	if (h->id != id)
		agent_set_budget(u->agent, id | DOVE_BUDGET_HOST, 1);
	h->id = id;
	snprintf(h->name, sizeof(h->name), "%s", name);
	host_store(u, h);
}

void underlay_guest(struct underlay *u, const char *name, const struct ip_addr *addr, uint64_t until)
{
	struct host *h = host_make(u, addr);

	if (h->self)
		return;
	if (until > h->guest_until)
		h->guest_until = until;
	if (!h->id && name)
		snprintf(h->name, sizeof(h->name), "%s", name);
	host_store(u, h);
}

static void on_guests(evutil_socket_t fd, short what, void *arg)
{
	struct underlay *u = arg;
	uint64_t now = clock_now();
	struct host *h, *tmp;

	HASH_ITER (hh, u->hosts, h, tmp)
		if (!h->id && !h->self && h->guest_until && now >= h->guest_until)
			host_remove(u, h);
	HASH_ITER (hh, u->routers, h, tmp)
		if (now >= h->guest_until)
			router_remove(u, h);
}

void underlay_begin(struct underlay *u)
{
	struct host *h, *tmp;

	HASH_ITER (hh, u->hosts, h, tmp)
		h->seen = h->self;
}

static bool host_is_listed(const void *key, void *arg)
{
	struct ip_addr addr = from_dove_ip(key);

	return host_find(arg, &addr);
}

void underlay_end(struct underlay *u)
{
	uint64_t now = clock_now();
	struct host *h, *tmp;

	HASH_ITER (hh, u->hosts, h, tmp)
		if (!h->seen && now >= h->guest_until)
			host_remove(u, h);
	/* Rows of an earlier process that nobody names any more. */
	rows_clear(u->agent, u->agent->maps->hosts, sizeof(struct dove_ip), host_is_listed, u);
}

static bool has_addr(const struct ip_addr *list, int n, const struct ip_addr *addr)
{
	for (int i = 0; i < n; i++)
		if (ip_equal(&list[i], addr))
			return true;
	return false;
}

void underlay_only(struct underlay *u, uint32_t id, const struct ip_addr *addrs, int n)
{
	struct host *h, *tmp;

	HASH_ITER (hh, u->hosts, h, tmp)
		if (h->id == id && !h->self && !has_addr(addrs, n, &h->addr))
			host_remove(u, h);
}

void underlay_serving(struct underlay *u, const struct ip_addr *addrs, int n)
{
	struct host *h, *tmp;

	HASH_ITER (hh, u->hosts, h, tmp) {
		bool serves = has_addr(addrs, n, &h->addr);

		if (serves == h->serves)
			continue;
		h->serves = serves;
		host_store(u, h);
	}
}

void underlay_self(struct underlay *u, const struct ip_addr *addrs, int n)
{
	struct host *h, *tmp;

	HASH_ITER (hh, u->hosts, h, tmp)
		h->seen = false;
	u->families[0] = u->families[1] = false;
	for (int i = 0; i < n; i++) {
		u->families[ip_is_v4(&addrs[i]) ? 0 : 1] = true;
		h = host_make(u, &addrs[i]);
		h->seen = h->self = true;
		snprintf(h->name, sizeof(h->name), "%s", u->agent->config.host);
		host_store(u, h);
	}
	HASH_ITER (hh, u->hosts, h, tmp)
		if (h->self && !h->seen)
			host_remove(u, h);
}

bool underlay_is_self(const struct underlay *u, const struct ip_addr *addr)
{
	struct host *h = host_find(u, addr);

	return h && h->self;
}

bool underlay_knows(const struct underlay *u, const struct ip_addr *addr)
{
	return host_find(u, addr);
}

int underlay_choose(const struct underlay *u, const cJSON *addresses, struct ip_addr *out)
{
	const cJSON *one;
	struct ip_addr addr;

	cJSON_ArrayForEach (one, addresses)
		if (!ip_parse(cJSON_GetStringValue(one), &addr) && u->families[ip_is_v4(&addr) ? 0 : 1]) {
			*out = addr;
			return 0;
		}
	return -ENOENT;
}

const char *underlay_name(const struct underlay *u, const struct ip_addr *addr)
{
	struct host *h = host_find(u, addr);

	return h && h->name[0] ? h->name : "?";
}

static void add_way(cJSON *one, const struct host *h)
{
	char mac[MAC_TEXT], dev[IF_NAMESIZE] = "";

	cJSON_AddBoolToObject(one, "reachable", h->row.flags & DOVE_HOST_REACHABLE);
	if (!(h->row.flags & DOVE_HOST_REACHABLE))
		return;
	if_indextoname(h->row.ifindex, dev);
	cJSON_AddStringToObject(one, "device", dev);
	cJSON_AddStringToObject(one, "next_hop", mac_format((const struct mac_addr *)h->row.dst_mac, mac));
	cJSON_AddNumberToObject(one, "mtu", h->row.mtu);
}

cJSON *underlay_show(const struct underlay *u)
{
	cJSON *list = cJSON_CreateArray();
	struct host *h, *tmp;

	HASH_ITER (hh, u->hosts, h, tmp) {
		cJSON *one = cJSON_CreateObject();
		char text[IP_TEXT];

		cJSON_AddStringToObject(one, "name", h->name);
		cJSON_AddNumberToObject(one, "id", h->id);
		cJSON_AddStringToObject(one, "address", ip_format(&h->addr, text));
		cJSON_AddBoolToObject(one, "self", h->self);
		add_way(one, h);
		cJSON_AddItemToArray(list, one);
	}
	return list;
}

cJSON *underlay_routers(const struct underlay *u)
{
	cJSON *list = cJSON_CreateArray();
	struct host *h, *tmp;

	HASH_ITER (hh, u->routers, h, tmp) {
		cJSON *one = cJSON_CreateObject();

		cJSON_AddStringToObject(one, "address", h->name);
		add_way(one, h);
		cJSON_AddItemToArray(list, one);
	}
	return list;
}

/*
 * What an earlier process knew stays in use until the service has spoken:
 * an agent that restarts while the service is down must not forget who is there.
 */
static void adopt_rows(struct underlay *u)
{
	struct dove_ip key, next;
	struct dove_host row;
	void *at = NULL;

	while (!bpf_map_get_next_key(u->agent->maps->hosts, at, &next)) {
		key = next;
		at = &key;
		if (!bpf_map_lookup_elem(u->agent->maps->hosts, &key, &row)) {
			struct ip_addr addr = from_dove_ip(&key);
			struct host *h = host_make(u, &addr);

			h->id = row.id;
			h->row = row;
			h->self = row.flags & DOVE_HOST_SELF;
			h->needed = row.flags & DOVE_HOST_REACHABLE;
			h->serves = row.flags & DOVE_HOST_SERVICES;
			if (!h->id && !h->self)
				h->guest_until = clock_now() + GUESTS_S * SECOND_NS;
		}
	}
}

/* An answer of before may still lead by them. */
static void adopt_routers(struct underlay *u)
{
	struct dove_ip key, next;
	struct dove_host row;
	void *at = NULL;

	while (!bpf_map_get_next_key(u->agent->maps->routers, at, &next)) {
		key = next;
		at = &key;
		if (!bpf_map_lookup_elem(u->agent->maps->routers, &key, &row)) {
			struct ip_addr addr = from_dove_ip(&key);
			struct host *h = router_make(u, &addr);

			if (h)
				h->row = row;
		}
	}
}

int underlay_open(struct agent *a, struct underlay **out, struct error *err)
{
	struct underlay *u = calloc(1, sizeof(*u));

	if (!u)
		return error_set(err, -ENOMEM, "out of memory");
	u->agent = a;
	u->refresh = evtimer_new(a->base, on_refresh, u);
	u->widen = evtimer_new(a->base, on_refresh, u);
	u->guests = event_new(a->base, -1, EV_PERSIST, on_guests, u);
	event_add(u->guests, &(struct timeval){ .tv_sec = GUESTS_S });
	adopt_rows(u);
	adopt_routers(u);
	refresh_in(u, REFRESH_DELAY_MS);
	*out = u;
	return 0;
}

void underlay_close(struct underlay *u)
{
	struct host *h, *tmp;

	if (!u)
		return;
	HASH_ITER (hh, u->hosts, h, tmp) {
		HASH_DEL(u->hosts, h);
		free(h);
	}
	HASH_ITER (hh, u->routers, h, tmp) {
		HASH_DEL(u->routers, h);
		free(h);
	}
	event_free(u->refresh);
	event_free(u->widen);
	event_free(u->guests);
	free(u);
}
