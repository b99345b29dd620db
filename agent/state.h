/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RUN_DIR/state.json: what a restarted agent can't read off the kernel: the
 * ports' names and claims. Written whole, to a new file, renamed.
 */
#ifndef DOVE_STATE_H
#define DOVE_STATE_H

#include "agent.h"

void state_save(struct agent *a);
/* state_load() - what was saved, the caller's; NULL where there is nothing. */
cJSON *state_load(struct agent *a);

#endif
