// SPDX-License-Identifier: Apache-2.0
#include "gateway_pair.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway_host.h"
#include "gateway_nft.h"
#include "loader/routes.h"
#include "rows.h"

static const struct mac_addr gateway_mac = { .b = DOVE_GATEWAY_MAC };

struct gateway_pair gateway_pair_named(uint16_t number)
{
	struct gateway_pair p = { .number = number };

	snprintf(p.device.name, sizeof(p.device.name), GATEWAY_DEVICE "%u", number);
	snprintf(p.port.name, sizeof(p.port.name), GATEWAY_PORT "%u", number);
	return p;
}

bool gateway_pair_has(const struct gateway_pair *p, int ifindex)
{
	return ifindex && (p->device.ifindex == ifindex || p->port.ifindex == ifindex);
}

/* ---- the maps ---- */

static struct dove_place_key place_of(const struct gateway_pair *p)
{
	return (struct dove_place_key){
		.vnid = p->vnid,
		.addr = { .w = { htonl(DOVE_EXTERNAL_WORD), 0, 0, htonl(p->id) } },
	};
}

/* By the tunnel device, where there is one: what the kernel goes on with must not look encapsulated. */
static uint8_t delivery(const struct agent *a, const struct gateway_pair *p)
{
	return loader_tunnel(a->loader) && p->port.ifindex <= (int)DOVE_MARK_IFINDEX ? DOVE_DELIVER_TUNNEL
										     : DOVE_DELIVER_REDIRECT;
}

static int port_store(const struct agent *a, const struct gateway_pair *p)
{
	struct dove_port row = {
		.vnid = p->vnid, .endpoint = p->id, .kind = DOVE_PORT_EXTERNAL, .delivery = delivery(a, p)
	};
	uint32_t key = p->port.ifindex;

	memcpy(row.mac, gateway_mac.b, sizeof(row.mac));
	agent_set_budget(a, key, 1);
	return row_put(a, a->maps->ports, &key, &row, BPF_ANY) ? -errno : 0;
}

int gateway_pair_place(const struct agent *a, struct gateway_pair *p)
{
	struct dove_place_key key = place_of(p);
	struct dove_local row = { .sequence = p->sequence,
				  .floor = p->floor,
				  .ifindex = p->port.ifindex,
				  .endpoint = p->id,
				  .mtu = p->port.mtu,
				  .delivery = delivery(a, p) };

	memcpy(row.mac, gateway_mac.b, sizeof(row.mac));
	p->placed = !row_put(a, a->maps->local, &key, &row, BPF_ANY);
	return p->placed ? 0 : -errno;
}

/* ---- up, step by step ---- */

static int devices_open(struct gateway_pair *p, uint32_t mtu)
{
	int rc = 0;

	if (rtnl_link_by_name(p->device.name, &p->device))
		rc = rtnl_veth_add(p->device.name, &gateway_mac, p->port.name, mtu);
	if (!rc)
		rc = rtnl_link_by_name(p->device.name, &p->device);
	return rc ? rc : rtnl_link_by_name(p->port.name, &p->port);
}

static int devices_set(struct gateway_pair *p, uint32_t mtu)
{
	const int ends[] = { p->device.ifindex, p->port.ifindex };
	int rc = 0;

	for (int i = 0; i < 2 && !rc; i++) {
		rc = rtnl_link_no_addresses(ends[i]);
		if (!rc)
			rc = rtnl_link_mtu(ends[i], mtu);
	}
	if (!rc)
		p->device.mtu = p->port.mtu = mtu;
	return rc;
}

static int devices_up(const struct gateway_pair *p)
{
	int rc = rtnl_link_up(p->device.ifindex);

	return rc ? rc : rtnl_link_up(p->port.ifindex);
}

/* The program is there before anything can come by the port; the place, by which VMs' packets find it, is last. */
int gateway_pair_up(const struct agent *a, struct gateway_pair *p, const struct ip_prefix *subnets, int n,
		    uint32_t mtu, struct error *err)
{
	int rc = devices_open(p, mtu);

	if (!rc)
		rc = devices_set(p, mtu);
	if (rc)
		return error_set(err, rc, "%s, %s: %m", p->device.name, p->port.name);
	rc = gateway_host_device(p->device.name, err);
	if (rc)
		return rc;
	rc = port_store(a, p);
	if (rc)
		return error_set(err, rc, "dove_ports: %m");
	if (!loader_is_attached(a->loader, p->port.ifindex, LOADER_PORT))
		rc = loader_attach_port(a->loader, p->port.ifindex, err);
	if (rc)
		return rc;
	rc = devices_up(p);
	if (!rc)
		rc = routes_set(GATEWAY_MARK_OF(p->number), p->device.ifindex, subnets, n);
	if (rc)
		return error_set(err, rc, "routes by %s: %m", p->device.name);
	rc = gateway_pair_place(a, p);
	return rc ? error_set(err, rc, "dove_local: %m") : 0;
}

/* ---- and down ---- */

void gateway_pair_lost(const struct agent *a, struct gateway_pair *p)
{
	struct dove_place_key place = place_of(p);
	uint32_t key = p->port.ifindex;

	row_delete(a, a->maps->local, &place);
	loader_detach(a->loader, p->port.ifindex);
	row_delete(a, a->maps->ports, &key);
	bpf_map_delete_elem(a->maps->budgets, &key);
	p->placed = false;
	p->device.ifindex = p->port.ifindex = 0;
}

void gateway_pair_down(const struct agent *a, struct gateway_pair *p)
{
	struct rtnl_link link;

	gateway_pair_lost(a, p);
	if (!rtnl_link_by_name(p->device.name, &link))
		rtnl_link_delete(link.ifindex);
	gateway_nft_forget(GATEWAY_MARK_OF(p->number));
}

/* ---- found again ---- */

bool gateway_pair_adopt(const struct agent *a, const char *device, struct gateway_pair *out)
{
	struct gateway_pair p;
	struct dove_place_key place;
	struct dove_local local;
	struct dove_port row;
	unsigned int number;
	int end = 0;

	if (sscanf(device, GATEWAY_DEVICE "%5u%n", &number, &end) != 1 || device[end] || !number ||
	    number > GATEWAY_NUMBER_MAX)
		return false;
	p = gateway_pair_named(number);
	if (rtnl_link_by_name(device, &p.device) || strcmp(p.device.kind, "veth"))
		return false;
	if (!rtnl_link_by_name(p.port.name, &p.port) &&
	    !bpf_map_lookup_elem(a->maps->ports, &(uint32_t){ p.port.ifindex }, &row) &&
	    row.kind == DOVE_PORT_EXTERNAL) {
		p.vnid = row.vnid;
		p.id = row.endpoint;
		place = place_of(&p);
		p.placed = !bpf_map_lookup_elem(a->maps->local, &place, &local);
	}
	*out = p;
	return true;
}
