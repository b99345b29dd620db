/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's side of the commands. */
#ifndef DOVE_COMMANDS_H
#define DOVE_COMMANDS_H

#include "agent.h"
#include "control.h"

/* commands_run() - carry out {"command": NAME, ...} and answer the request. */
void commands_run(struct agent *a, const cJSON *json, struct request *rq);

#endif
