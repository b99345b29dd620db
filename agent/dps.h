/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP to the policy service (docs/api.md), without blocking: libcurl's multi interface on the event loop. */
#ifndef DOVE_DPS_CLIENT_H
#define DOVE_DPS_CLIENT_H

#include "agent.h"

struct dps_reply {
	long status;	   /* HTTP; 0: the service was not reached */
	const cJSON *json; /* the body, or NULL; valid during the callback */
	char error[512];   /* one line for people when status is not 2xx, else "" */
};

typedef void (*dps_done)(const struct dps_reply *reply, void *arg);
/* The tree is valid during the call, too. */
typedef int (*dps_line)(const cJSON *json, void *arg);

int dps_open(struct agent *a, struct dps **out, struct error *err);
/* dps_close() - ends everything under way, without callbacks. */
void dps_close(struct dps *d);

/*
 * dps_call() - one request; `done` is called exactly once, from the event
 * loop, never from within dps_call(). path begins with "/v1/". body is taken
 * (and freed), NULL for none.
 */
void dps_call(struct dps *d, const char *method, const char *path, cJSON *body, dps_done done, void *arg);

/* dps_call_text() - the same, of a body that is text, taken (and freed). */
void dps_call_text(struct dps *d, const char *method, const char *path, char *body, dps_done done, void *arg);

/*
 * dps_stream() - a GET whose body is NDJSON: `line` for each, `end` once when
 * it is over for any reason. A line that returns other than 0 ends it. Both
 * are called from the event loop. At most one at a time.
 */
void dps_stream(struct dps *d, const char *path, dps_line line, dps_done end, void *arg);

/* dps_escape() - a path segment, percent-encoded; free() it. */
char *dps_escape(const char *text);

static inline bool dps_ok(const struct dps_reply *reply)
{
	return reply->status >= 200 && reply->status < 300;
}

#endif
