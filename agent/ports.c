// SPDX-License-Identifier: Apache-2.0
#include "ports.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "dps.h"
#include "events.h"
#include "gateway.h"
#include "lib/claim.h"
#include "lib/cleanup.h"
#include "lib/domain.h"
#include "lib/json.h"
#include "lib/log.h"
#include "loader/rtnl.h"
#include "miss.h"
#include "moved.h"
#include "nics.h"
#include "paths.h"
#include "qos.h"
#include "rows.h"
#include "state.h"
#include "watch.h"

#define PORTS_MAX 4096
#define ADDRS_MAX 4096
/* How long a new port waits for the service's watch to cover its network. */
#define WATCH_WAIT_MS 5000
/* How long packets are kept for a VM that is not at its device. */
#define HOLD_NS (3 * SECOND_NS)
/* A VM whose device is gone may be on its way to another host: its place is given up when none has claimed it. */
#define RELEASE_AFTER_S 2
/* A place that was given up between our looking and our claim may be claimed all the same. */
#define CLAIMS_MAX 3

enum port_state {
	PORT_CLAIMING, /* asking the service for the place */
	PORT_STARTING, /* attached, waiting for the watch */
	PORT_UP,
	PORT_LOST, /* the endpoint is elsewhere now, or no more */
};

struct port {
	struct port *next;
	struct ports *ports;
	enum port_state state;
	int ifindex;
	char device[IF_NAMESIZE];
	char network[FULL_NAME_ROOM], endpoint[64];
	uint32_t vnid, id;
	char claim[64];
	struct mac_addr mac;
	struct ip_addr *addrs; /* those entered in the maps */
	int n_addrs;
	uint8_t kind, delivery;
	uint32_t mtu;	       /* the device's */
	uint32_t qos;	       /* row of its own limit; 0: none */
	uint32_t rate_mbps;    /* that limit */
	bool heard;	       /* the watch has said what its limit is */
	uint64_t held_until;   /* the device has nobody behind it; else 0 */
	uint64_t place_before; /* revision of the place before our claim */
	char host_before[64];  /* and whose it was; "": nobody's */
	int claims;
	bool prepared;	    /* what belongs to it is in the maps, though the place is not ours yet */
	struct request *rq; /* the `port add` that waits */
	struct event *timeout;
	bool closed_member;
	bool vanished; /* its device is gone */
};

struct ports {
	struct agent *agent;
	struct port *list;
	bool peer_redirect; /* the kernel's is fit for use */
	bool restoring;
};

static const char *const state_names[] = {
	[PORT_CLAIMING] = "claiming",
	[PORT_STARTING] = "starting",
	[PORT_UP] = "up",
	[PORT_LOST] = "lost",
};

static const char *const kind_names[] = {
	[DOVE_PORT_VM] = "vm",
	[DOVE_PORT_BRIDGED] = "bridged",
	[DOVE_PORT_SERVICE] = "service",
};

static struct port *port_find(const struct ports *p, int ifindex)
{
	for (struct port *port = p->list; port; port = port->next)
		if (port->ifindex == ifindex)
			return port;
	return NULL;
}

static struct port *port_by_endpoint(const struct ports *p, uint32_t id)
{
	for (struct port *port = p->list; port; port = port->next)
		if (port->id == id && port->state != PORT_CLAIMING)
			return port;
	return NULL;
}

int ports_in(const struct ports *p, uint32_t vnid, struct port_ref *out, int max)
{
	int n = 0;

	for (struct port *port = p->list; port && n < max; port = port->next)
		if (port->vnid == vnid && port->state == PORT_UP)
			out[n++] = (struct port_ref){ .ifindex = port->ifindex, .endpoint = port->id };
	return n;
}

int ports_place(const struct ports *p, uint32_t endpoint, struct port_place *out)
{
	const struct port *port = port_by_endpoint(p, endpoint);

	if (!port || port->state != PORT_UP || port->held_until)
		return -ENODEV;
	*out = (struct port_place){ .ifindex = port->ifindex,
				    .delivery = port->delivery,
				    .mac = port->mac,
				    .network = port->network };
	for (int n = 0; n < port->n_addrs; n++)
		if (ip_is_v4(&port->addrs[n])) {
			out->v4 = port->addrs[n];
			break;
		}
	return 0;
}

int ports_view(const struct ports *p, const char *device, struct port_view *out)
{
	for (const struct port *port = p->list; port; port = port->next) {
		if (strcmp(port->device, device))
			continue;
		*out = (struct port_view){ .ifindex = port->ifindex,
					   .vnid = port->vnid,
					   .id = port->id,
					   .device = port->device,
					   .network = port->network,
					   .endpoint = port->endpoint,
					   .mac = port->mac,
					   .addrs = port->addrs,
					   .n_addrs = port->n_addrs };
		return 0;
	}
	return -ENODEV;
}

uint32_t ports_vnid(const struct ports *p, uint32_t endpoint)
{
	const struct port *port = port_by_endpoint(p, endpoint);

	return port ? port->vnid : 0;
}

bool ports_endpoint(const struct ports *p, uint32_t endpoint, uint32_t vnid)
{
	const struct port *port = port_by_endpoint(p, endpoint);

	return port && port->vnid == vnid && port->state != PORT_LOST;
}

bool ports_have(const struct ports *p, int ifindex)
{
	return port_find(p, ifindex);
}

int ports_count(const struct ports *p)
{
	int n = 0;

	for (struct port *port = p->list; port; port = port->next)
		n++;
	return n;
}

/* ---- the maps ---- */

static void port_row_store(struct port *port)
{
	const struct agent *a = port->ports->agent;
	uint32_t key = port->ifindex;
	struct dove_port before;
	struct dove_port row = {
		.vnid = port->vnid,
		.endpoint = port->id,
		.kind = port->kind,
		.delivery = port->delivery,
	};

	/* Before the watch speaks again, what an agent before us has entered holds. */
	if (!port->heard && !bpf_map_lookup_elem(a->maps->ports, &key, &before) &&
	    before.endpoint == port->id)
		port->qos = before.qos;
	row.qos = port->qos;
	memcpy(row.mac, port->mac.b, sizeof(row.mac));
	agent_set_budget(a, key, 1);
	if (row_put(a, a->maps->ports, &key, &row, BPF_ANY))
		log_error("dove_ports: %s: %s", port->device, strerror(errno));
}

static void addr_store(struct port *port, const struct ip_addr *addr, const struct ip_addr *gateway,
		       const struct watch_endpoint *e)
{
	const struct agent *a = port->ports->agent;
	struct dove_addr_key key = { .addr = to_dove_ip(addr), .vnid = port->vnid, .ifindex = port->ifindex };
	struct dove_place_key place = { .addr = key.addr, .vnid = port->vnid };
	struct dove_addr may = { .endpoint = port->id, .gateway = to_dove_ip(gateway) };
	struct dove_local local = { .sequence = e->sequence,
				    .floor = e->floor,
				    .ifindex = port->ifindex,
				    .endpoint = port->id,
				    .mtu = port->mtu,
				    .held_until = port->held_until,
				    .delivery = port->delivery };

	memcpy(may.mac, e->mac.b, sizeof(may.mac));
	memcpy(local.mac, e->mac.b, sizeof(local.mac));
	if (row_put(a, a->maps->addrs, &key, &may, BPF_ANY) ||
	    row_put(a, a->maps->local, &place, &local, BPF_ANY))
		log_error("%s: entering an address: %s", port->device, strerror(errno));
	if (!port->held_until)
		moved_here(a->moved, port->vnid, addr);
}

static void addr_remove(struct port *port, const struct ip_addr *addr)
{
	const struct agent *a = port->ports->agent;
	struct dove_addr_key key = { .addr = to_dove_ip(addr), .vnid = port->vnid, .ifindex = port->ifindex };
	struct dove_place_key place = { .addr = key.addr, .vnid = port->vnid };
	struct dove_local local;

	row_delete(a, a->maps->addrs, &key);
	/* The address may be another port's by now. */
	if (!bpf_map_lookup_elem(a->maps->local, &place, &local) && local.ifindex == (uint32_t)port->ifindex)
		row_delete(a, a->maps->local, &place);
}

static bool has_addr(const struct ip_addr *list, int n, const struct ip_addr *addr)
{
	for (int i = 0; i < n; i++)
		if (ip_equal(&list[i], addr))
			return true;
	return false;
}

/* RFC 4291, appendix A: the address that each interface with that MAC gives itself. */
static struct ip_addr link_local(const struct mac_addr *mac)
{
	const uint8_t *m = mac->b;

	return (struct ip_addr){ .b = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3],
					m[4], m[5] } };
}

/* Mute: nothing the VM sends has a sender, nothing to it finds it. */
static void port_silence(struct port *port)
{
	for (int i = 0; i < port->n_addrs; i++)
		addr_remove(port, &port->addrs[i]);
	free(port->addrs);
	port->addrs = NULL;
	port->n_addrs = 0;
}

/* What it may send in all. No room for the row: nothing, which is closed, and said. */
static void port_limit(struct port *port, uint32_t rate_mbps)
{
	if (port->heard && port->rate_mbps == rate_mbps)
		return;
	port->heard = true;
	port->rate_mbps = rate_mbps;
	port->qos = qos_port(port->ports->agent, rate_mbps);
	port_row_store(port);
}

/* Enter what the watch says of the port's endpoint: addresses, MAC, numbers. True where state.json is old now. */
static bool port_speak(struct port *port, const struct watch_endpoint *e)
{
	static const struct ip_addr none;
	struct ip_addr *now = calloc(e->n_addrs + 1, sizeof(*now));
	int n = e->n_addrs;
	bool changed;

	if (!now)
		abort();
	memcpy(now, e->addrs, n * sizeof(*now));
	now[n] = link_local(&e->mac);
	if (!has_addr(now, n, &now[n]))
		n++;
	changed = memcmp(&port->mac, &e->mac, sizeof(port->mac)) || port->n_addrs != n;
	if (memcmp(&port->mac, &e->mac, sizeof(port->mac))) {
		port->mac = e->mac;
		port_row_store(port);
	}
	port_limit(port, e->rate_mbps);
	for (int i = 0; i < n; i++)
		addr_store(port, &now[i], i < e->n_addrs ? &e->gateways[i] : &none, e);
	for (int i = 0; i < port->n_addrs; i++) {
		if (has_addr(now, n, &port->addrs[i]))
			continue;
		addr_remove(port, &port->addrs[i]);
		changed = true;
	}
	free(port->addrs);
	port->addrs = now;
	port->n_addrs = n;
	return changed;
}

/* ---- life ---- */

static void port_free(struct port *port)
{
	struct port **at = &port->ports->list;

	while (*at && *at != port)
		at = &(*at)->next;
	if (*at)
		*at = port->next;
	if (port->timeout)
		event_free(port->timeout);
	free(port->addrs);
	free(port);
}

static void place_path(const struct port *port, char *path, size_t size)
{
	_free_ char *network = dps_escape(port->network), *endpoint = dps_escape(port->endpoint);

	snprintf(path, size, "/v1/endpoints/%s/%s/place", network, endpoint);
}

static void on_released(const struct dps_reply *r, void *arg)
{
	if (!dps_ok(r) && r->status != 409 && r->status != 404)
		log_warn("giving up a place: %s", r->error);
}

/* A release that waits; by its claim's id it can't hit whoever has the place by then. */
struct release {
	struct agent *agent;
	char path[512];
};

static void on_release_due(evutil_socket_t fd, short what, void *arg)
{
	_free_ struct release *release = arg;

	dps_call(release->agent->dps, "DELETE", release->path, NULL, on_released, NULL);
}

static void place_release(const struct port *port, int after_s)
{
	struct release *release = malloc(sizeof(*release));
	struct timeval tv = { .tv_sec = after_s };
	size_t len;

	if (!release)
		abort();
	release->agent = port->ports->agent;
	place_path(port, release->path, sizeof(release->path));
	len = strlen(release->path);
	snprintf(release->path + len, sizeof(release->path) - len, "?claim=%s", port->claim);
	if (after_s)
		event_base_once(release->agent->base, -1, EV_TIMEOUT, on_release_due, release, &tv);
	else
		on_release_due(-1, 0, release);
}

/* Packets that still come for it are kept until it is known where it is. */
static void port_leave(struct port *port)
{
	if (port->state == PORT_UP)
		moved_left(port->ports->agent->moved, port->vnid, port->addrs, port->n_addrs);
	port_silence(port);
}

static void port_renew(const struct port *port, cJSON *load);

/* Take the port apart, in the order in which nothing slips through: mute, detach, forget. */
static void port_remove(struct port *port, bool release)
{
	struct agent *a = port->ports->agent;
	uint32_t key = port->ifindex;
	bool service = port->kind == DOVE_PORT_SERVICE;

	port_leave(port);
	loader_detach(a->loader, port->ifindex);
	row_delete(a, a->maps->ports, &key);
	bpf_map_delete_elem(a->maps->budgets, &key);
	if (port->closed_member)
		rtnl_bridge_member_set(port->ifindex, false);
	if (release && port->claim[0] && port->state != PORT_LOST) {
		/* Its place is kept for a while; its flows don't wait for it. */
		if (service && port->vanished) {
			port->held_until = clock_now() + HOLD_NS;
			port_renew(port, NULL);
		}
		place_release(port, port->vanished ? RELEASE_AFTER_S : 0);
	}
	port_free(port);
	if (service)
		paths_forget_port(a->paths, key);
	/* While ports are being restored the file knows more than the list does. */
	if (!a->ports->restoring)
		state_save(a);
}

static void port_fail(struct port *port, const char *why)
{
	if (port->rq)
		control_fail(port->rq, "%s", why);
	port->rq = NULL;
	if (port->state == PORT_CLAIMING && !port->prepared)
		port_free(port);
	else
		port_remove(port, port->state != PORT_CLAIMING);
}

/* ---- port add, step by step ---- */

static cJSON *port_json(const struct port *port)
{
	cJSON *one = cJSON_CreateObject(), *list;
	char text[IP_TEXT], mac[MAC_TEXT];

	cJSON_AddStringToObject(one, "device", port->device);
	cJSON_AddNumberToObject(one, "ifindex", port->ifindex);
	cJSON_AddStringToObject(one, "network", port->network);
	cJSON_AddNumberToObject(one, "vnid", port->vnid);
	cJSON_AddStringToObject(one, "endpoint", port->endpoint);
	if (port->rate_mbps)
		cJSON_AddNumberToObject(one, "rate_mbps", port->rate_mbps);
	cJSON_AddNumberToObject(one, "id", port->id);
	cJSON_AddStringToObject(one, "mac", mac_format(&port->mac, mac));
	list = cJSON_AddArrayToObject(one, "addresses");
	for (int i = 0; i < port->n_addrs; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(ip_format(&port->addrs[i], text)));
	cJSON_AddStringToObject(one, "kind", kind_names[port->kind]);
	cJSON_AddStringToObject(one, "state", state_names[port->state]);
	if (port->kind == DOVE_PORT_SERVICE)
		cJSON_AddStringToObject(one, "probe",
					probe_name(paths_probe(port->ports->agent->paths, port->id)));
	return one;
}

static void port_lose(struct port *port)
{
	port_leave(port);
	port->state = PORT_LOST;
	if (port->rq)
		control_fail(port->rq, "%s/%s went to another host meanwhile", port->network, port->endpoint);
	port->rq = NULL;
	state_save(port->ports->agent);
}

/* A renewal under way; the port may be gone, or be another claim's, when the answer comes. */
struct renewal {
	struct ports *ports;
	uint32_t endpoint;
	char claim[64];
};

static void on_renewed(const struct dps_reply *r, void *arg)
{
	_free_ struct renewal *renewal = arg;
	struct port *port = port_by_endpoint(renewal->ports, renewal->endpoint);

	if ((r->status != 409 && r->status != 404) || !port || strcmp(port->claim, renewal->claim) ||
	    port->state == PORT_LOST)
		return;
	log_warn("%s: the claim on %s/%s is not ours any more: %s", port->device, port->network,
		 port->endpoint, r->error);
	port_lose(port);
}

/* Is anybody behind an appliance's device, and lets through what goes into it? */
static bool port_serves(const struct port *port)
{
	return !port->held_until && paths_probe(port->ports->agent->paths, port->id) != PROBE_FAILED;
}

/* Of an appliance the service is told that, too, and its load, if any; taken over. */
static void port_renew(const struct port *port, cJSON *load)
{
	const struct agent *a = port->ports->agent;
	struct renewal *renewal = calloc(1, sizeof(*renewal));
	cJSON *body = cJSON_CreateObject();
	char path[512];

	if (!renewal)
		abort();
	*renewal = (struct renewal){ .ports = port->ports, .endpoint = port->id };
	memcpy(renewal->claim, port->claim, sizeof(renewal->claim));
	cJSON_AddStringToObject(body, "host", a->config.host);
	cJSON_AddStringToObject(body, "claim", port->claim);
	if (port->kind == DOVE_PORT_SERVICE)
		cJSON_AddBoolToObject(body, "up", port_serves(port));
	if (load)
		cJSON_AddItemToObject(body, "load", load);
	place_path(port, path, sizeof(path));
	dps_call(a->dps, "PUT", path, body, on_renewed, renewal);
}

void ports_tell_load(const struct ports *p, uint32_t endpoint, uint32_t kbps, uint64_t packets)
{
	const struct port *port = port_by_endpoint(p, endpoint);
	cJSON *load;

	if (!port || port->state != PORT_UP || port->kind != DOVE_PORT_SERVICE)
		return;
	load = cJSON_CreateObject();
	cJSON_AddNumberToObject(load, "kbps", kbps);
	cJSON_AddNumberToObject(load, "packets", packets);
	port_renew(port, load);
}

void ports_probed(struct ports *p, uint32_t endpoint)
{
	const struct port *port = port_by_endpoint(p, endpoint);
	enum probe_state now = paths_probe(p->agent->paths, endpoint);

	if (!port || port->state != PORT_UP)
		return;
	if (now == PROBE_FAILED)
		log_warn("%s: %s/%s lets nothing through any more", port->device, port->network,
			 port->endpoint);
	else
		log_info("%s: %s/%s %s", port->device, port->network, port->endpoint,
			 now == PROBE_PASSING ? "lets packets through again" : "is not probed any more");
	port_renew(port, NULL);
	state_save(p->agent);
}

static void port_up(struct port *port)
{
	struct request *rq = port->rq;

	port->state = PORT_UP;
	port->rq = NULL;
	if (port->kind == DOVE_PORT_SERVICE) {
		paths_refresh(port->ports->agent->paths);
		if (!port_serves(port))
			port_renew(port, NULL);
	}
	if (port->timeout)
		event_free(port->timeout);
	port->timeout = NULL;
	state_save(port->ports->agent);
	if (rq)
		control_done(rq, port_json(port));
}

static void port_try_up(struct port *port)
{
	const struct watch_endpoint *e = watch_find(port->ports->agent->watch, port->vnid, port->id);
	bool changed;

	if (!e || port->state == PORT_LOST || port->state == PORT_CLAIMING)
		return;
	changed = port_speak(port, e);
	if (port->state == PORT_STARTING) {
		port_up(port);
	} else if (changed) { /* not with each commit: it writes down all ports */
		if (port->kind == DOVE_PORT_SERVICE)
			paths_refresh(port->ports->agent->paths);
		state_save(port->ports->agent);
	}
}

static void on_watch_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct port *port = arg;

	event_free(port->timeout);
	port->timeout = NULL;
	port_fail(port, "the policy service's watch does not answer");
}

static bool cached_for(const void *key, void *arg)
{
	const struct dove_cache_key *k = key;
	const struct watch_endpoint *e = arg;
	struct ip_addr dst = from_dove_ip(&k->dst);

	return !has_addr(e->addrs, e->n_addrs, &dst);
}

/*
 * Own translations may still lead to where the VM was. One that never was
 * anywhere has none.
 */
static void forget_old_ways(const struct port *port, struct ip_addr *addrs, int n)
{
	const struct loader_maps *maps = port->ports->agent->maps;
	struct watch_endpoint e = { .addrs = addrs, .n_addrs = n };

	if (!port->place_before)
		return;
	map_clear(maps->cache, sizeof(struct dove_cache_key), cached_for, &e);
	map_clear(maps->denied, sizeof(struct dove_cache_key), cached_for, &e);
}

/* An appliance's packets are to be encapsulated again, which needs the tunnel device's help on their way in. */
static uint8_t delivery_for(const struct port *port, const struct rtnl_link *link)
{
	const struct ports *p = port->ports;

	if (!strcmp(link->kind, "veth") && !paths_have(p->agent->paths, port->id, port->network))
		return link->peer_elsewhere && p->peer_redirect ? DOVE_DELIVER_PEER : DOVE_DELIVER_REDIRECT;
	/* A veth takes a super-packet as it is; others get it cut, unless the tunnel device has had it. */
	return loader_tunnel(p->agent->loader) && link->ifindex <= (int)DOVE_MARK_IFINDEX
		       ? DOVE_DELIVER_TUNNEL
		       : DOVE_DELIVER_REDIRECT;
}

static uint8_t kind_for(const struct port *port, const struct rtnl_link *link)
{
	const struct agent *a = port->ports->agent;
	bool bridged = link->master && nics_member_of(a->nics, link->master);

	if (paths_have(a->paths, port->id, port->network))
		return DOVE_PORT_SERVICE;

	return bridged ? DOVE_PORT_BRIDGED : DOVE_PORT_VM;
}

/*
 * A VM whose end of the device is closed is paused, or on its way to another
 * host: what comes for it meanwhile is kept for a while.
 */
static void port_carrier(struct port *port, bool there)
{
	if (there == !port->held_until)
		return;
	port->held_until = there ? 0 : clock_now() + HOLD_NS;
	if (port->kind == DOVE_PORT_SERVICE) {
		paths_refresh(port->ports->agent->paths);
		if (port->state == PORT_UP)
			port_renew(port, NULL);
	}
	if (there)
		miss_next_hop(port->ports->agent->miss);
}

/*
 * What the device is now. One that was closed off on its bridge encapsulates at
 * the NIC there; without that NIC its frames would leave as they are, so it
 * does all at its own interface, as any other.
 */
static void port_look(struct port *port, const struct rtnl_link *link)
{
	bool early = port->kind == DOVE_PORT_SERVICE &&
		     !paths_known(port->ports->agent->paths, port->network);
	uint8_t delivery = delivery_for(port, link);
	uint8_t kind = kind_for(port, link);

	if (kind == DOVE_PORT_BRIDGED && !port->closed_member)
		kind = DOVE_PORT_VM;

	if (early) { /* it was one when we were started */
		kind = port->kind;
		delivery = port->delivery;
	}
	port_carrier(port, link->up && link->carrier);
	if (delivery == port->delivery && kind == port->kind && link->mtu == port->mtu)
		return;
	port->delivery = delivery;
	port->kind = kind;
	port->mtu = link->mtu;
	port_row_store(port);
}

static int port_attach(struct port *port, struct error *err)
{
	struct rtnl_link link;
	int rc = rtnl_link_by_index(port->ifindex, &link);

	if (rc)
		return error_set(err, rc, "%s: the device went away", port->device);
	port->delivery = delivery_for(port, &link);
	port->kind = kind_for(port, &link);
	port->mtu = link.mtu;
	port->held_until = link.up && link.carrier ? 0 : clock_now() + HOLD_NS;
	if (port->kind == DOVE_PORT_BRIDGED) {
		rc = rtnl_bridge_member_set(port->ifindex, true);
		if (rc)
			return error_set(err, rc, "%s: closing it off on its bridge: %m", port->device);
		port->closed_member = true;
	}
	port_row_store(port);
	/* Adopted from an agent whose state was lost: its program is there already. */
	if (loader_is_attached(port->ports->agent->loader, port->ifindex, LOADER_PORT))
		return 0;
	return loader_attach_port(port->ports->agent->loader, port->ifindex, err);
}

/* Who the endpoint is. Its addresses are entered as expected: packets for it find it from the moment of our claim on. */
static int identity_parse(struct port *port, const cJSON *json, struct json_error *err)
{
	uint64_t vnid, id;
	const char *mac;
	const cJSON *addrs, *one;

	if (json_uint(json, "vnid", 1, 0xffffff, &vnid, err) ||
	    json_uint(json, "id", 1, UINT32_MAX, &id, err) || json_str(json, "mac", &mac, err) ||
	    json_list(json, "addresses", ADDRS_MAX, &addrs, err))
		return -EINVAL;
	if (mac_parse(mac, &port->mac))
		return json_fail(err, "mac", "not a MAC address");
	port->vnid = vnid;
	port->id = id;
	free(port->addrs);
	port->n_addrs = 0;
	port->addrs = calloc(cJSON_GetArraySize(addrs) + 1, sizeof(*port->addrs));
	cJSON_ArrayForEach (one, addrs)
		if (!ip_parse(cJSON_GetStringValue(one), &port->addrs[port->n_addrs]))
			port->n_addrs++;
	return 0;
}

/*
 * Ready to receive before the claim: nobody sends here before that, and from
 * then on everybody may, though the watch has not brought the numbers yet. It
 * can't send yet, for no address is its own.
 */
static void port_expect(struct port *port, uint64_t revision)
{
	struct agent *a = port->ports->agent;
	struct dove_local local = { .sequence = port->place_before,
				    .ifindex = port->ifindex,
				    .endpoint = port->id,
				    .mtu = port->mtu,
				    .delivery = port->delivery };

	memcpy(local.mac, port->mac.b, sizeof(local.mac));
	watch_expect(a->watch, port->vnid, revision);
	for (int i = 0; i < port->n_addrs; i++) {
		struct dove_place_key place = { .addr = to_dove_ip(&port->addrs[i]), .vnid = port->vnid };

		if (row_put(a, a->maps->local, &place, &local, BPF_NOEXIST) && errno != EEXIST)
			log_error("dove_local: %s: %s", port->device, strerror(errno));
	}
}

static void place_read(struct port *port);

static void on_placed(const struct dps_reply *r, void *arg)
{
	struct port *port = arg;
	struct timeval wait = { .tv_sec = WATCH_WAIT_MS / 1000 };
	struct json_error err = {};
	const char *claim;

	if (r->status == 409 && port->claims < CLAIMS_MAX) {
		place_read(port);
		return;
	}
	if (!dps_ok(r) || !r->json) {
		port_fail(port, r->error[0] ? r->error : "the policy service gave no answer");
		return;
	}
	if (identity_parse(port, r->json, &err) || json_str(r->json, "claim", &claim, &err)) {
		port_fail(port, err.text);
		return;
	}
	snprintf(port->claim, sizeof(port->claim), "%s", claim);
	port->state = PORT_STARTING;
	if (port->ifindex < 0) {
		port_fail(port, "the device went away");
		return;
	}
	forget_old_ways(port, port->addrs, port->n_addrs);
	state_save(port->ports->agent);
	port->timeout = evtimer_new(port->ports->agent->base, on_watch_timeout, port);
	evtimer_add(port->timeout, &wait);
	port_try_up(port);
}

/* Our own word, which who passes it on can't make. */
static void add_signed(const struct port *port, cJSON *body)
{
	const struct agent *a = port->ports->agent;
	const struct claim claim = { .host = a->config.host,
				     .network = port->network,
				     .endpoint = port->endpoint,
				     .revision = port->place_before,
				     .issued = time(NULL) };
	struct signed_doc doc = {};

	if (a->sign_key && !claim_sign(a->sign_key, &claim, &doc))
		cJSON_AddItemToObject(body, "signed", signed_json(&doc));
	signed_free(&doc);
}

static void place_claim(struct port *port)
{
	cJSON *body = cJSON_CreateObject();
	char path[512];

	port->claims++;
	cJSON_AddStringToObject(body, "host", port->ports->agent->config.host);
	cJSON_AddNumberToObject(body, "revision", port->place_before);
	add_signed(port, body);
	place_path(port, path, sizeof(path));
	dps_call(port->ports->agent->dps, "PUT", path, body, on_placed, port);
}

/* Another host was faster: the place is not what we saw, and not free. */
static bool place_is_lost(const struct port *port, const char *host)
{
	return port->claims && host[0] && strcmp(host, port->host_before);
}

static void on_place_read(const struct dps_reply *r, void *arg)
{
	struct port *port = arg;
	const char *host = cJSON_GetStringValue(json_get(r->json, "host"));
	struct json_error json_err = {};
	uint64_t revision;
	struct error err;

	if (!dps_ok(r) || !r->json ||
	    json_uint(r->json, "revision", 0, JSON_INT_MAX, &port->place_before, &json_err) ||
	    json_uint(r->json, "network_revision", 0, JSON_INT_MAX, &revision, &json_err) ||
	    identity_parse(port, r->json, &json_err)) {
		port_fail(port, r->error[0] ? r->error : json_err.text);
		return;
	}
	if (place_is_lost(port, host ? host : "")) {
		port_fail(port, "another host has claimed the place meanwhile");
		return;
	}
	snprintf(port->host_before, sizeof(port->host_before), "%s", host ? host : "");
	if (!port->prepared) {
		port->prepared = true;
		if (port_attach(port, &err)) {
			port_fail(port, err.text);
			return;
		}
	}
	port_expect(port, revision);
	place_claim(port);
}

static void place_read(struct port *port)
{
	char path[512];

	place_path(port, path, sizeof(path));
	dps_call(port->ports->agent->dps, "GET", path, NULL, on_place_read, port);
}

/* A bridge carries one network: its members have nothing else that keeps two apart. */
static const struct port *other_network_on(const struct ports *p, const struct rtnl_link *link,
					   const char *network)
{
	struct rtnl_link other;

	for (const struct port *port = p->list; link->master && port; port = port->next)
		if (strcmp(port->network, network) && !rtnl_link_by_index(port->ifindex, &other) &&
		    other.master == link->master)
			return port;
	return NULL;
}

static bool port_add_refused(const struct ports *p, const char *device, const char *network,
			     const char *endpoint, struct rtnl_link *link, struct request *rq)
{
	const struct port *port;

	if (rtnl_link_by_name(device, link)) {
		control_fail(rq, "%s: no such device", device);
		return true;
	}
	if (nics_have(p->agent->nics, link->ifindex)) {
		control_fail(rq, "%s: is attached as an underlay device", device);
		return true;
	}
	if (gateway_refuses(p->agent->gateway, link->ifindex, rq))
		return true;
	port = port_find(p, link->ifindex);
	if (port) {
		control_fail(rq, "%s: is the port of %s/%s already", device, port->network, port->endpoint);
		return true;
	}
	for (port = p->list; port; port = port->next)
		if (!strcmp(port->network, network) && !strcmp(port->endpoint, endpoint)) {
			control_fail(rq, "%s/%s: is at port %s of this host already", network, endpoint,
				     port->device);
			return true;
		}
	port = other_network_on(p, link, network);
	if (port) {
		control_fail(rq, "%s: its bridge carries network %s (port %s); one bridge, one network",
			     device, port->network, port->device);
		return true;
	}
	if (ports_count(p) >= PORTS_MAX) {
		control_fail(rq, "%s: this host has %d ports already", device, PORTS_MAX);
		return true;
	}
	return false;
}

void ports_add(struct ports *p, const char *device, const char *network, const char *endpoint,
	       struct request *rq)
{
	struct rtnl_link link;
	struct port *port;

	if (port_add_refused(p, device, network, endpoint, &link, rq))
		return;
	port = calloc(1, sizeof(*port));
	if (!port)
		abort();
	*port = (struct port){ .ports = p, .ifindex = link.ifindex, .rq = rq, .next = p->list };
	snprintf(port->device, sizeof(port->device), "%s", device);
	snprintf(port->network, sizeof(port->network), "%s", network);
	snprintf(port->endpoint, sizeof(port->endpoint), "%s", endpoint);
	p->list = port;
	place_read(port);
}

void ports_del(struct ports *p, const char *device, struct request *rq)
{
	for (struct port *port = p->list; port; port = port->next) {
		if (strcmp(port->device, device))
			continue;
		if (port->rq) {
			control_fail(rq, "%s: is being added", device);
			return;
		}
		port_remove(port, true);
		control_done(rq, cJSON_CreateObject());
		return;
	}
	if (!gateway_refuses(p->agent->gateway, if_nametoindex(device), rq))
		control_fail(rq, "%s: %s", device,
			     if_nametoindex(device) ? "is not a port" : "no such device");
}

/* ---- what others report ---- */

void ports_numbers(struct ports *p, uint32_t vnid)
{
	struct port *next;

	for (struct port *port = p->list; port; port = next) {
		next = port->next;
		if (port->vnid == vnid)
			port_try_up(port);
	}
}

void ports_gone(struct ports *p, uint32_t endpoint, const char *new_host)
{
	struct port *port = port_by_endpoint(p, endpoint);

	if (!port || port->state == PORT_LOST)
		return;
	log_warn("%s: %s/%s is %s%s now", port->device, port->network, port->endpoint,
		 new_host ? "on host " : "removed", new_host ? new_host : "");
	port_lose(port);
}

void ports_claim(struct ports *p)
{
	for (struct port *port = p->list; port; port = port->next)
		if (port->state == PORT_UP)
			port_renew(port, NULL);
}

void ports_device_changed(struct ports *p, int ifindex)
{
	struct port *port = port_find(p, ifindex);
	struct rtnl_link link;

	if (!port || port->state == PORT_CLAIMING || rtnl_link_by_index(ifindex, &link))
		return;
	port_look(port, &link);
	port_try_up(port);
}

void ports_services(struct ports *p)
{
	struct rtnl_link link;

	for (struct port *port = p->list; port; port = port->next)
		if (port->state != PORT_CLAIMING && !rtnl_link_by_index(port->ifindex, &link))
			port_look(port, &link);
}

void ports_nic_gone(struct ports *p)
{
	struct rtnl_link link;

	for (struct port *port = p->list; port; port = port->next)
		if (port->kind == DOVE_PORT_BRIDGED && !rtnl_link_by_index(port->ifindex, &link))
			port_look(port, &link);
}

void ports_device_gone(struct ports *p, int ifindex)
{
	struct port *port = port_find(p, ifindex);

	if (!port)
		return;
	log_warn("%s: the device of %s/%s is gone", port->device, port->network, port->endpoint);
	port->closed_member = false;
	port->vanished = true;
	if (port->state == PORT_CLAIMING) {
		port_silence(port);
		port->ifindex = -1; /* the claim under way will find no device, and undo itself */
	} else {
		port_fail(port, "the device went away");
	}
}

/* ---- showing and keeping ---- */

cJSON *ports_show(const struct ports *p)
{
	cJSON *list = cJSON_CreateArray();

	for (struct port *port = p->list; port; port = port->next)
		cJSON_AddItemToArray(list, port_json(port));
	return list;
}

cJSON *ports_save(const struct ports *p)
{
	cJSON *list = cJSON_CreateArray();

	for (struct port *port = p->list; port; port = port->next) {
		cJSON *one;

		if (port->state == PORT_CLAIMING)
			continue;
		one = port_json(port);
		cJSON_AddStringToObject(one, "claim", port->claim);
		cJSON_AddBoolToObject(one, "closed_member", port->closed_member);
		cJSON_AddItemToArray(list, one);
	}
	return list;
}

static int port_parse(struct port *port, const cJSON *json, struct json_error *err)
{
	const char *device, *network, *endpoint, *mac, *claim, *state, *kind = "", *probe = "";
	const cJSON *addrs, *one;
	uint64_t ifindex, vnid, id;
	struct dove_port row;

	if (json_str(json, "device", &device, err) || json_str(json, "network", &network, err) ||
	    json_str(json, "endpoint", &endpoint, err) || json_str(json, "mac", &mac, err) ||
	    json_str(json, "claim", &claim, err) || json_str(json, "state", &state, err) ||
	    json_str_opt(json, "kind", &kind, err) || json_str_opt(json, "probe", &probe, err) ||
	    json_uint(json, "ifindex", 1, INT32_MAX, &ifindex, err) ||
	    json_uint(json, "vnid", 1, 0xffffff, &vnid, err) ||
	    json_uint(json, "id", 1, UINT32_MAX, &id, err) ||
	    json_list(json, "addresses", ADDRS_MAX, &addrs, err) ||
	    json_bool_opt(json, "closed_member", &port->closed_member, err) || mac_parse(mac, &port->mac))
		return -EINVAL;
	snprintf(port->device, sizeof(port->device), "%s", device);
	snprintf(port->network, sizeof(port->network), "%s", network);
	snprintf(port->endpoint, sizeof(port->endpoint), "%s", endpoint);
	snprintf(port->claim, sizeof(port->claim), "%s", claim);
	port->ifindex = ifindex;
	port->vnid = vnid;
	port->id = id;
	if (!strcmp(kind, kind_names[DOVE_PORT_SERVICE])) {
		port->kind = DOVE_PORT_SERVICE;
		if (!bpf_map_lookup_elem(port->ports->agent->maps->ports, &port->ifindex, &row))
			port->delivery = row.delivery;
		if (!strcmp(probe, probe_name(PROBE_FAILED)))
			paths_probe_failed(port->ports->agent->paths, port->id);
	}
	port->state = strcmp(state, state_names[PORT_LOST]) ? PORT_UP : PORT_LOST;
	port->addrs = calloc(cJSON_GetArraySize(addrs) + 1, sizeof(*port->addrs));
	cJSON_ArrayForEach (one, addrs)
		if (!ip_parse(cJSON_GetStringValue(one), &port->addrs[port->n_addrs]))
			port->n_addrs++;
	return 0;
}

/* A port whose device or program has gone meanwhile is taken apart; the place is given up. */
static void port_restore(struct ports *p, const cJSON *json)
{
	struct port *port = calloc(1, sizeof(*port));
	struct json_error err = {};
	struct rtnl_link link;

	if (!port)
		abort();
	port->ports = p;
	if (port_parse(port, json, &err)) {
		log_error("state.json: a port is not readable (%s %s)", err.field, err.text);
		free(port->addrs);
		free(port);
		return;
	}
	port->next = p->list;
	p->list = port;
	if (rtnl_link_by_index(port->ifindex, &link) || strcmp(link.name, port->device) ||
	    !loader_is_attached(p->agent->loader, port->ifindex, LOADER_PORT)) {
		log_warn("%s: the device of %s/%s went away while no agent ran", port->device, port->network,
			 port->endpoint);
		port->closed_member = false;
		port_remove(port, true);
		return;
	}
	port_look(port, &link);
}

void ports_restore(struct ports *p, const cJSON *saved)
{
	const cJSON *one;

	p->restoring = true;
	cJSON_ArrayForEach (one, saved)
		port_restore(p, one);
	p->restoring = false;
	if (saved)
		state_save(p->agent);
}

/* Linux 6.1's bpf_redirect_peer() loses what it should keep; from 6.6 on it is fit for use. */
static bool kernel_at_least(int major, int minor)
{
	struct utsname name;
	int a, b;

	return !uname(&name) && sscanf(name.release, "%d.%d", &a, &b) == 2 &&
	       (a > major || (a == major && b >= minor));
}

int ports_open(struct agent *a, struct ports **out, struct error *err)
{
	struct ports *p = calloc(1, sizeof(*p));

	if (!p)
		return error_set(err, -ENOMEM, "out of memory");
	p->agent = a;
	p->peer_redirect = kernel_at_least(6, 6);
	*out = p;
	return 0;
}

void ports_close(struct ports *p)
{
	if (!p)
		return;
	while (p->list) {
		p->list->rq = NULL;
		port_free(p->list);
	}
	free(p);
}
