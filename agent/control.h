/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket, RUN_DIR/agent.sock: one JSON object a line each way.
 *
 *   -> {"command": "port add", "device": "tap0", ...}
 *   <- {"result": ...} or {"error": "one line"}
 *
 * A command that follows (events -f) gets one line after the other instead,
 * each {"event": ...}.
 */
#ifndef DOVE_CONTROL_H
#define DOVE_CONTROL_H

#include "agent.h"

struct request;

int control_open(struct agent *a, struct control **out, struct error *err);
void control_close(struct control *c);

/* control_done() - answer and end the request. result is taken. Call exactly one of these three, once. */
void control_done(struct request *rq, cJSON *result);
void control_fail(struct request *rq, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* control_follow() - keep it: it gets every control_event() from now on, until its client leaves. */
void control_follow(struct request *rq);

/* control_event() - to all that follow. event stays the caller's. */
void control_event(struct control *c, const cJSON *event);

#endif
