/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The short way of what is asked most: POST /v1/resolve, where the request is
 * there in one piece, has nothing unusual about it, and can be answered at
 * once. evhttp takes more time to read and write such a request than we to
 * answer it. Whatever is not so, refusals too, goes evhttp's way from its first
 * byte on, and nothing has happened to it before.
 */
#ifndef DPS_SHORT_H
#define DPS_SHORT_H

#include "dps/api.h"
#include "dps/guard.h"

#define SHORT_REQUEST_MAX (64 << 10) /* headers and body */

/* short_way() - guard_at_once()'s; arg is the struct api. */
enum guard_took short_way(struct bufferevent *bev, void *arg);

/*
 * short_body() - the body of a request that is all of the text, for POST /v1/resolve by
 * HTTP/1.1 and with headers that change nothing of how it is read or answered. NULL: it is another.
 */
const char *short_body(const char *text, size_t len, size_t *body_len);

#endif
