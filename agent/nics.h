/* SPDX-License-Identifier: Apache-2.0 */
/* The underlay's devices, and this host's registration under their addresses. */
#ifndef DOVE_NICS_H
#define DOVE_NICS_H

#include "agent.h"
#include "control.h"

int nics_open(struct agent *a, struct nics **out, struct error *err);
void nics_close(struct nics *n);

/* nics_attach(), nics_detach() - the commands; they answer the request. */
void nics_attach(struct nics *n, const char *device, enum loader_ingress mode, struct request *rq);
void nics_detach(struct nics *n, const char *device, struct request *rq);

/* nics_register() - tell the service where this host is; again, until it took it. */
void nics_register(struct nics *n);

/* nics_changed() - a device or an address changed. */
void nics_changed(struct nics *n);
void nics_device_gone(struct nics *n, int ifindex);

int nics_member_of(const struct nics *n, int bridge); /* ifindex of a NIC that is a member of it, or 0 */
/* nics_mtu() - the largest inner packet that all of them carry; 1500 where there are none. */
uint32_t nics_mtu(const struct nics *n);
bool nics_have(const struct nics *n, int ifindex);
int nics_count(const struct nics *n);
/* nics_queue() - of one of the NICs, as rtnl_pacing_queue(); nics_queueing() - it may have changed, or all (0). */
uint32_t nics_queue(const struct nics *n, int ifindex);
void nics_queueing(struct nics *n, int ifindex);

cJSON *nics_show(const struct nics *n);
/* nics_restore() - find what an earlier process attached, by its pins, and register again. */
void nics_restore(struct nics *n);

#endif
