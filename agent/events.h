/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs saw and what the agent did about it: remembered, shown, acted on. */
#ifndef DOVE_EVENTS_H
#define DOVE_EVENTS_H

#include "agent.h"

int events_open(struct agent *a, struct events **out, struct error *err);
void events_close(struct events *e);

/* events_note() - something that the agent itself saw or did. event is taken; "time" and "type" are added. */
void events_note(struct events *e, const char *type, cJSON *event);

/* events_take() - act on all that the programs have told until now; the loop does the same when it comes to it. */
void events_take(struct events *e);

/* events_show() - the latest, oldest first, as a JSON list. */
cJSON *events_show(const struct events *e);

#endif
