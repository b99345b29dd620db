/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dove_prefixes: where a VM's packets go that it sends to its gateway. Each
 * network served here has its own subnets and those of the networks that it
 * is joined with (inside: the address decides), and the prefixes of its
 * external networks.
 */
#ifndef DOVE_PREFIXES_H
#define DOVE_PREFIXES_H

#include "agent.h"

/*
 * prefixes_update() - enter what the watch says of the network: its lists
 * "subnets" and "externals", complete as they are now. `name`: for messages.
 */
void prefixes_update(struct agent *a, uint32_t vnid, const char *name, const cJSON *json);

/* prefixes_clear() - the network is served here no more. */
void prefixes_clear(struct agent *a, uint32_t vnid);

#endif
