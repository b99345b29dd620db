/* SPDX-License-Identifier: Apache-2.0 */
/* Random commits to a small world: some take, some are refused. */
#ifndef UNIT_DPS_RANDOM_H
#define UNIT_DPS_RANDOM_H

#include "dps_world.h"

#define NETWORKS 3
#define VMS 4	    /* of each network */
#define EXTERNALS 2 /* of each network */
#define PARTIES (NETWORKS * (VMS + EXTERNALS))
#define OUTSIDES 7 /* addresses that VMs seldom have */

/* random_seeds() - the first of n seeds: DOVE_SEED, or the time. Says so. */
unsigned int random_seeds(const char *test, int n);

/* random_world() - networks, hosts, services and VMs; what follows depends on the seed alone. */
void random_world(struct world *w, unsigned int seed);

/* random_any() - 0 to below - 1. */
unsigned int random_any(unsigned int below);

/* random_party() - i of PARTIES: first the VMs, then the external networks. NULL: not there now. */
struct endpoint *random_party(struct world *w, unsigned int i);

/* random_outside() - address i of OUTSIDES. */
struct ip_addr random_outside(unsigned int i);

/* random_commit() - change something; nothing is left behind where it is refused. */
void random_commit(struct world *w);

#endif
