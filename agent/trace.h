/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would become of a packet, and why, from the maps as they are: the
 * program that decides it runs on a packet made for the question, in a mode in
 * which it sends, counts and keeps nothing.
 */
#ifndef DOVE_TRACE_H
#define DOVE_TRACE_H

#include "agent.h"

/*
 * trace_run() - a packet from the VM at the port "device": "to" (an address,
 * required), "from" (one of the port's addresses; the first of to's family),
 * "proto" (1, 6, 17, ...: default ICMP), "from_port", "to_port".
 *
 * 0 and *out, the caller's: {"device", "network", "endpoint", "from", "to",
 * "proto", "from_port", "to_port", "steps": [{"step", "says"}, ...], "end"
 * (a reason's name), "class", "says"}; or -errno, described in *err.
 */
int trace_run(struct agent *a, const cJSON *question, cJSON **out, struct error *err);

#endif
