/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much the appliances of this host have to do: what the data path has put
 * into their ports, as the service is told in renewals of their claims: when it
 * has changed, and every ten seconds.
 */
#ifndef DOVE_LOAD_H
#define DOVE_LOAD_H

#include "agent.h"

int load_open(struct agent *a, struct load **out, struct error *err);
void load_close(struct load *l);

#endif
