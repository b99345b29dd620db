/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMs' interfaces. Adding one claims the endpoint's place at the service,
 * attaches the egress program, waits until the service's watch covers the
 * network, and only then lets the VM speak and be spoken to.
 */
#ifndef DOVE_PORTS_H
#define DOVE_PORTS_H

#include "agent.h"
#include "control.h"

int ports_open(struct agent *a, struct ports **out, struct error *err);
void ports_close(struct ports *p);

/* ports_add(), ports_del() - the commands; they answer the request. */
void ports_add(struct ports *p, const char *device, const char *network, const char *endpoint,
	       struct request *rq);
void ports_del(struct ports *p, const char *device, struct request *rq);

/* ports_numbers() - the watch has something new of a network; enter it for the ports that are in it. */
void ports_numbers(struct ports *p, uint32_t vnid);

/*
 * ports_gone() - the service says that an endpoint is not here any more. Its
 * port keeps its program, and stays mute; the claim is not fought for.
 */
void ports_gone(struct ports *p, uint32_t endpoint, const char *new_host);

/* ports_claim() - renew all claims, after the service was away or the agent restarted. */
void ports_claim(struct ports *p);

/* ports_nic_gone() - a NIC is none of ours any more, and its program goes next: let no port rely on it. */
void ports_nic_gone(struct ports *p);

void ports_device_changed(struct ports *p, int ifindex);
void ports_device_gone(struct ports *p, int ifindex);

struct port_ref {
	uint32_t ifindex;
	uint32_t endpoint;
};

/* ports_in() - the network's VMs that are up here, at most max; how many. */
int ports_in(const struct ports *p, uint32_t vnid, struct port_ref *out, int max);
/* What others may see of a port; the texts and addresses are the port's, valid until the loop runs again. */
struct port_view {
	uint32_t ifindex, vnid, id;
	const char *device, *network, *endpoint;
	struct mac_addr mac;
	const struct ip_addr *addrs;
	int n_addrs;
	bool external; /* no VM's: see gateway_view() */
};

/* ports_view() - the port at a device; -ENODEV where there is none. */
int ports_view(const struct ports *p, const char *device, struct port_view *out);
/* Where an endpoint of this host is, for packets that are to go into its device. */
struct port_place {
	int ifindex;
	uint8_t delivery; /* enum dove_delivery */
	struct mac_addr mac;
	struct ip_addr v4;   /* its first IPv4 address; all zero: it has none */
	const char *network; /* the port's, valid until the loop runs again */
};

/* ports_place() - 0 and *out; -ENODEV where it is not here, or nobody is behind its device. */
int ports_place(const struct ports *p, uint32_t endpoint, struct port_place *out);

/* ports_tell_load() - to the service, what an appliance here has to do; one that is not up is left out. */
void ports_tell_load(const struct ports *p, uint32_t endpoint, uint32_t kbps, uint64_t packets);

/* ports_probed() - the way into an appliance's port does not let anything through any more, or does again, or is not
 * probed any more: the service is told. */
void ports_probed(struct ports *p, uint32_t endpoint);

/* ports_services() - which endpoints are instances of services may be others now. */
void ports_services(struct ports *p);

/* ports_vnid() - the network of an endpoint of this host; 0: it is not here. */
uint32_t ports_vnid(const struct ports *p, uint32_t endpoint);

/* ports_endpoint() - is the endpoint of that network up here? */
bool ports_endpoint(const struct ports *p, uint32_t endpoint, uint32_t vnid);

bool ports_have(const struct ports *p, int ifindex);
int ports_count(const struct ports *p);
cJSON *ports_show(const struct ports *p);

/* ports_save(), ports_restore() - as kept in the run directory. */
cJSON *ports_save(const struct ports *p);
void ports_restore(struct ports *p, const cJSON *saved);

#endif
