/* SPDX-License-Identifier: Apache-2.0 */
/* A request that is answered later, and whose connection may go away before. */
#ifndef DPS_PENDING_H
#define DPS_PENDING_H

#include "dps/api.h"

struct pending {
	struct api_call call; /* its args are not kept */
	void (*gone)(void *arg);
	void *arg;
};

/*
 * pending_start() - from the handler on, until pending_end(). gone is called
 * at most once, when nobody waits any more; call->req is not to be used then,
 * and pending_end() not to be called.
 */
void pending_start(struct pending *p, const struct api_call *call, void (*gone)(void *arg), void *arg);

/* pending_end() - p->call is about to be replied to. */
void pending_end(struct pending *p);

#endif
