/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Service paths: dove_paths, the lists of services that this host's
 * translations lead through, and dove_hops, which live instance of a service
 * has which flows. What instances there are, and where, the watch says; of
 * those at ports of this host also whether anybody is behind the port.
 */
#ifndef DOVE_PATHS_H
#define DOVE_PATHS_H

#include "agent.h"
#include "probe.h"

int paths_open(struct agent *a, struct paths **out, struct error *err);
void paths_close(struct paths *p);

/*
 * paths_services() - all services of a domain, as the watch says (docs/api.md, SERVICE),
 * named in full; "": all that there are.
 */
void paths_services(struct paths *p, const char *domain, const cJSON *services);

/*
 * paths_across() - a service of a domain of which no watch tells (SERVICE, of that name), as its authority
 * states it; NULL: it is not known any more. Where a watch tells of the domain that counts.
 */
void paths_across(struct paths *p, const char *name, const cJSON *service);

/* paths_told() - does a watch tell of the service's domain, or would it? */
bool paths_told(const struct paths *p, const char *name);

/* paths_save(), paths_restore() - the services' numbers, as kept in the run directory. */
cJSON *paths_save(const struct paths *p);
void paths_restore(struct paths *p, const cJSON *saved);

/* paths_refresh() - ports, or ways to other hosts, have changed: choose anew. */
void paths_refresh(struct paths *p);

/*
 * paths_number() - the number of a path, new or known. services: their full
 * names in order; none is 0. `open`: those without a live instance are left out. When all
 * numbers are taken every translation is forgotten, and they begin anew.
 */
uint8_t paths_number(struct paths *p, const cJSON *services, bool open);

/*
 * paths_have() - is the endpoint of that network a port of an instance? Only the network's
 * own domain can say so, and before paths_known() nobody knows.
 */
bool paths_have(const struct paths *p, uint32_t endpoint, const char *network);
bool paths_known(const struct paths *p, const char *network);

/* paths_forget_port() - nothing that went in comes out of that device any more. */
void paths_forget_port(struct paths *p, int ifindex);

/* paths_json() - the services of a path, by name; the caller's. */
cJSON *paths_json(const struct paths *p, uint8_t number);

/*
 * paths_hops() - the stops of a path for the flows of a slot, in the order in
 * which they are met: "stage" (services ahead), "service", and where it has a
 * live instance "instance" and "host", and "packets" and "bytes" that this host
 * has handed to it; the caller's.
 */
cJSON *paths_hops(const struct paths *p, uint8_t number, bool reverse, uint32_t slot);

/* paths_here() - the endpoints of instances at ports of this host, at most max; how many. */
int paths_here(const struct paths *p, uint32_t *endpoints, int max);

/* paths_handed() - what this host has sent to an instance, or put into its port; by its endpoint's id. */
struct dove_stats paths_handed(const struct paths *p, uint32_t endpoint);

/*
 * paths_probe() - do probes that are sent into a port of an instance here come through, by its endpoint?
 * paths_probe_failed() - they did not when an earlier agent ended. paths_probed() - an event of DOVE_EVENT_PROBE.
 */
enum probe_state paths_probe(const struct paths *p, uint32_t endpoint);
void paths_probe_failed(struct paths *p, uint32_t endpoint);
void paths_probed(struct paths *p, const struct dove_event *ev);

/* paths_instance() - an instance by its endpoint's id: "network/endpoint"; "?": there is none. */
const char *paths_instance(const struct paths *p, uint32_t endpoint);

/* paths_show() - services and instances, with the share of flows that each has; the caller's. */
cJSON *paths_show(const struct paths *p);

#endif
