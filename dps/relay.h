/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A local server's other half: what hosts do not ask but do (register, claim,
 * check, list members, watch) goes on to the authority of the network that it
 * is about, which takes it from us where its "relays" name our domain. Nothing
 * of it is kept here but who has claimed what through us, so that we know whom
 * to watch for a host, and of which network its endpoints are.
 */
#ifndef DPS_RELAY_H
#define DPS_RELAY_H

#include "dps/hierarchy.h"

struct relay;

struct relay *relay_open(struct hierarchy *h);
void relay_close(struct relay *r);

/* relay_place() - a GET, PUT or DELETE of a place whose network is named in full. False: it is for a domain of ours. */
bool relay_place(struct api_call *call);

/* relay_question() - POST of a body about a VNID (check, members). False: it is ours, or nobody's here. Takes json over if true. */
bool relay_question(struct api_call *call, const char *path, cJSON *json);

/* relay_watch() - a host's watch over our own domains and all where it has claimed something. False: it is for one domain of ours. */
bool relay_watch(struct api_call *call, const char *host);

/* relay_serves() - has the host that watches here an instance of this service, named in full, or of any (NULL)? */
bool relay_serves(const struct relay *r, const char *host, const char *service);

/* relay_registered() - a host has said its addresses here; the domains that know it are told. */
void relay_registered(struct hierarchy *h, const char *host);

/* relay_progress() - once a second: drops watchers that do not keep up. */
void relay_progress(struct relay *r);

#endif
