// SPDX-License-Identifier: Apache-2.0
#include "nics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dps.h"
#include "gateway.h"
#include "lib/claim.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"
#include "loader/rtnl.h"
#include "maps/wire.h"
#include "ports.h"
#include "underlay.h"
#include "watch.h"

#define NICS_MAX 16
#define NIC_ADDRS_MAX 32
#define RETRY_MIN_MS 250
#define RETRY_MAX_MS 5000

/* What comes for a VM that has just left waits in the agent: streams to several at a time. */
#define PORTS_OF_NIC 8

struct nic {
	int ifindex;
	char name[IF_NAMESIZE];
	enum loader_ingress ingress; /* XDP or TC */
	uint32_t queue;		     /* rtnl_pacing_queue() */
};

struct nics {
	struct agent *agent;
	struct nic at[NICS_MAX];
	int n;
	struct ip_addr addrs[NIC_ADDRS_MAX]; /* as last registered, or on their way to it */
	int n_addrs;
	bool registered;
	struct event *retry;
	long retry_ms;
	struct request *waiting; /* the attach that wants to know the outcome */
	int waiting_ifindex;
};

static struct nic *nic_find(const struct nics *n, int ifindex)
{
	for (int i = 0; i < n->n; i++)
		if (n->at[i].ifindex == ifindex)
			return (struct nic *)&n->at[i];
	return NULL;
}

bool nics_have(const struct nics *n, int ifindex)
{
	return nic_find(n, ifindex);
}

uint32_t nics_queue(const struct nics *n, int ifindex)
{
	const struct nic *nic = nic_find(n, ifindex);

	return nic ? nic->queue : 0;
}

static void queue_look(struct nic *nic)
{
	nic->queue = rtnl_pacing_queue(nic->ifindex);
	log_info("%s: rates are %s", nic->name, nic->queue ? "paced" : "policed");
}

void nics_queueing(struct nics *n, int ifindex)
{
	for (int i = 0; i < n->n; i++) {
		struct nic *nic = &n->at[i];

		if ((ifindex && nic->ifindex != ifindex) || rtnl_pacing_queue(nic->ifindex) == nic->queue)
			continue;
		queue_look(nic);
		underlay_refresh(n->agent->underlay);
	}
}

int nics_count(const struct nics *n)
{
	return n->n;
}

int nics_member_of(const struct nics *n, int bridge)
{
	struct rtnl_link link;

	for (int i = 0; i < n->n; i++)
		if (!rtnl_link_by_index(n->at[i].ifindex, &link) && link.master == bridge)
			return n->at[i].ifindex;
	return 0;
}

static void nic_remove(struct nics *n, struct nic *nic)
{
	int ifindex = nic->ifindex;

	*nic = n->at[--n->n];
	gateway_refresh(n->agent->gateway);
	ports_nic_gone(n->agent->ports);
	loader_detach(n->agent->loader, ifindex);
}

/* The addresses of a NIC that is a member of a bridge are the bridge's. */
static int nic_addrs(const struct nic *nic, struct ip_addr *out, int max)
{
	struct ip_addr all[NIC_ADDRS_MAX];
	struct rtnl_link link;
	int n = rtnl_addrs(nic->ifindex, all, NIC_ADDRS_MAX), kept = 0;

	if (n <= 0 && !rtnl_link_by_index(nic->ifindex, &link) && link.master)
		n = rtnl_addrs(link.master, all, NIC_ADDRS_MAX);
	for (int i = 0; i < n && kept < max; i++)
		out[kept++] = all[i];
	return kept;
}

static int all_addrs(const struct nics *n, struct ip_addr *out)
{
	int total = 0;

	for (int i = 0; i < n->n; i++)
		total += nic_addrs(&n->at[i], out + total, NIC_ADDRS_MAX - total);
	return total;
}

uint32_t nics_mtu(const struct nics *n)
{
	struct ip_addr addrs[NIC_ADDRS_MAX];
	uint32_t least = 0;

	for (int i = 0; i < n->n; i++) {
		int count = nic_addrs(&n->at[i], addrs, NIC_ADDRS_MAX);
		uint32_t overhead = DOVE_OVERHEAD_V4;
		struct rtnl_link link;

		if (rtnl_link_by_index(n->at[i].ifindex, &link))
			continue;
		for (int k = 0; k < count; k++)
			if (!ip_is_v4(&addrs[k]))
				overhead = DOVE_OVERHEAD_V6;
		if (!least || link.mtu - overhead < least)
			least = link.mtu - overhead;
	}
	return least ? least : 1500;
}

/* ---- registration ---- */

static void attach_answer(struct nics *n, const struct dps_reply *r)
{
	struct request *rq = n->waiting;
	struct nic *nic = nic_find(n, n->waiting_ifindex);
	cJSON *result;

	n->waiting = NULL;
	if (!nic) {
		control_fail(rq, "the device went away");
		return;
	}
	if (r->status == 409) {
		nic_remove(n, nic);
		nics_changed(n);
		control_fail(rq, "%s", r->error);
		return;
	}
	result = cJSON_CreateObject();
	cJSON_AddStringToObject(result, "device", nic->name);
	cJSON_AddStringToObject(result, "ingress", nic->ingress == LOADER_INGRESS_XDP ? "xdp" : "tc");
	cJSON_AddBoolToObject(result, "registered", dps_ok(r));
	if (!dps_ok(r))
		cJSON_AddStringToObject(result, "warning", r->error);
	control_done(rq, result);
}

static void on_registered(const struct dps_reply *r, void *arg)
{
	struct nics *n = arg;

	n->registered = dps_ok(r);
	if (n->waiting)
		attach_answer(n, r);
	if (dps_ok(r)) {
		n->retry_ms = RETRY_MIN_MS;
		watch_start(n->agent->watch);
		return;
	}
	if (n->retry_ms == RETRY_MIN_MS || r->status)
		log_warn("registering host %s: %s", n->agent->config.host, r->error);
	struct timeval tv = { .tv_sec = n->retry_ms / 1000, .tv_usec = n->retry_ms % 1000 * 1000 };
	evtimer_add(n->retry, &tv);
	n->retry_ms = n->retry_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : n->retry_ms * 2;
}

void nics_register(struct nics *n)
{
	_free_ char *host = dps_escape(n->agent->config.host);
	cJSON *body = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(body, "addresses");
	struct signed_doc doc = {};
	char path[512], text[IP_TEXT];

	for (int i = 0; i < n->n_addrs; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(ip_format(&n->addrs[i], text)));
	if (n->agent->sign_key &&
	    !claim_host_sign(n->agent->sign_key, n->agent->config.host, list, time(NULL), &doc))
		cJSON_AddItemToObject(body, "signed", signed_json(&doc));
	signed_free(&doc);
	evtimer_del(n->retry);
	n->registered = false;
	snprintf(path, sizeof(path), "/v1/hosts/%s", host);
	dps_call(n->agent->dps, "PUT", path, body, on_registered, n);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	nics_register(arg);
}

void nics_changed(struct nics *n)
{
	struct ip_addr now[NIC_ADDRS_MAX];
	int count = all_addrs(n, now);

	if (count == n->n_addrs && !memcmp(now, n->addrs, count * sizeof(now[0])))
		return;
	memcpy(n->addrs, now, count * sizeof(now[0]));
	n->n_addrs = count;
	underlay_self(n->agent->underlay, now, count);
	nics_register(n);
}

void nics_device_gone(struct nics *n, int ifindex)
{
	struct nic *nic = nic_find(n, ifindex);

	if (!nic)
		return;
	log_warn("%s: the device is gone", nic->name);
	nic_remove(n, nic);
	nics_changed(n);
}

/* ---- commands ---- */

void nics_attach(struct nics *n, const char *device, enum loader_ingress mode, struct request *rq)
{
	struct rtnl_link link;
	struct error err;
	struct nic *nic;

	if (rtnl_link_by_name(device, &link)) {
		control_fail(rq, "%s: no such device", device);
		return;
	}
	if (nic_find(n, link.ifindex)) {
		control_fail(rq, "%s: attached already", device);
		return;
	}
	if (ports_have(n->agent->ports, link.ifindex)) {
		control_fail(rq, "%s: is a VM's port", device);
		return;
	}
	if (gateway_refuses(n->agent->gateway, link.ifindex, rq))
		return;
	if (n->n == NICS_MAX || n->waiting) {
		control_fail(rq, "%s: %s", device,
			     n->waiting ? "another attach is under way" : "too many devices");
		return;
	}
	nic = &n->at[n->n];
	*nic = (struct nic){ .ifindex = link.ifindex };
	snprintf(nic->name, sizeof(nic->name), "%s", device);
	if (loader_attach_nic(n->agent->loader, link.ifindex, mode, &nic->ingress, &err)) {
		control_fail(rq, "%s: %s", device, err.text);
		return;
	}
	n->n++;
	queue_look(nic);
	agent_set_budget(n->agent, link.ifindex, PORTS_OF_NIC);
	gateway_refresh(n->agent->gateway);
	n->waiting = rq;
	n->waiting_ifindex = link.ifindex;
	n->n_addrs = all_addrs(n, n->addrs);
	if (!n->n_addrs)
		log_warn("%s: no address on it: other hosts can't reach this one", device);
	underlay_self(n->agent->underlay, n->addrs, n->n_addrs);
	underlay_refresh(n->agent->underlay);
	nics_register(n);
}

void nics_detach(struct nics *n, const char *device, struct request *rq)
{
	struct rtnl_link link;
	struct nic *nic;

	if (rtnl_link_by_name(device, &link)) {
		control_fail(rq, "%s: no such device", device);
		return;
	}
	nic = nic_find(n, link.ifindex);
	if (!nic) {
		control_fail(rq, "%s: not attached", device);
		return;
	}
	nic_remove(n, nic);
	nics_changed(n);
	control_done(rq, cJSON_CreateObject());
}

/* ---- showing, and finding again ---- */

static cJSON *nic_json(const struct nics *n, const struct nic *nic)
{
	cJSON *one = cJSON_CreateObject(), *list;
	struct ip_addr addrs[NIC_ADDRS_MAX];
	int count = nic_addrs(nic, addrs, NIC_ADDRS_MAX);
	char text[IP_TEXT];

	cJSON_AddStringToObject(one, "device", nic->name);
	cJSON_AddNumberToObject(one, "ifindex", nic->ifindex);
	cJSON_AddStringToObject(one, "ingress", nic->ingress == LOADER_INGRESS_XDP ? "xdp" : "tc");
	list = cJSON_AddArrayToObject(one, "addresses");
	for (int i = 0; i < count; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(ip_format(&addrs[i], text)));
	cJSON_AddBoolToObject(one, "registered", n->registered);
	cJSON_AddStringToObject(one, "rates", nic->queue ? "paced" : "policed");
	if (nic->queue)
		cJSON_AddNumberToObject(one, "queue", nic->queue);
	return one;
}

cJSON *nics_show(const struct nics *n)
{
	cJSON *list = cJSON_CreateArray();

	for (int i = 0; i < n->n; i++)
		cJSON_AddItemToArray(list, nic_json(n, &n->at[i]));
	return list;
}

static void on_attached(int ifindex, enum loader_role role, void *arg)
{
	struct nics *n = arg;
	struct nic *nic = nic_find(n, ifindex);

	if (role == LOADER_PORT)
		return;
	if (!nic) {
		if (n->n == NICS_MAX)
			return;
		nic = &n->at[n->n++];
		*nic = (struct nic){ .ifindex = ifindex, .ingress = LOADER_INGRESS_TC };
		if_indextoname(ifindex, nic->name);
		queue_look(nic);
	}
	if (role == LOADER_NIC_XDP)
		nic->ingress = LOADER_INGRESS_XDP;
}

/* The pins say what is attached; nothing else has to be remembered. */
void nics_restore(struct nics *n)
{
	loader_each(n->agent->loader, on_attached, n);
	n->n_addrs = all_addrs(n, n->addrs);
	underlay_self(n->agent->underlay, n->addrs, n->n_addrs);
	nics_register(n);
}

int nics_open(struct agent *a, struct nics **out, struct error *err)
{
	struct nics *n = calloc(1, sizeof(*n));

	if (!n)
		return error_set(err, -ENOMEM, "out of memory");
	n->agent = a;
	n->retry_ms = RETRY_MIN_MS;
	n->retry = evtimer_new(a->base, on_retry, n);
	*out = n;
	return 0;
}

void nics_close(struct nics *n)
{
	if (!n)
		return;
	event_free(n->retry);
	free(n);
}
