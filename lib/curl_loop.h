/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl's multi interface driven by a libevent loop (curl_multi_socket_action(3)). */
#ifndef LIB_CURL_LOOP_H
#define LIB_CURL_LOOP_H

#include <curl/curl.h>
#include <event2/event.h>

struct curl_loop;

/*
 * curl_loop_open() - transfers on `base`, with at most so many connections to
 * a host. `stirred` is called after anything happened: transfers may be over
 * (curl_loop_over()), or have brought data. It may add and remove transfers.
 * Returns NULL when there is no memory. Free with curl_loop_close().
 */
struct curl_loop *curl_loop_open(struct event_base *base, long connections, void (*stirred)(void *arg),
				 void *arg);

/* curl_loop_close() - every transfer has been removed before. NULL is nothing. */
void curl_loop_close(struct curl_loop *l);

void curl_loop_add(struct curl_loop *l, CURL *easy);
void curl_loop_remove(struct curl_loop *l, CURL *easy);

/* curl_loop_over() - a transfer that is over, removed, and how it ended; NULL: none is. The handle is the caller's. */
CURL *curl_loop_over(struct curl_loop *l, CURLcode *code);

#endif
