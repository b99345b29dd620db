/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which network an endpoint is of, for questions that name it by id alone: as
 * authorities told it when a host claimed its place through this server, or by
 * the watches that pass here. Ids are unique over all domains.
 */
#ifndef DPS_SOURCES_H
#define DPS_SOURCES_H

#include <stdint.h>

#include "dps/objects.h"

#define SOURCES_MAX 1000000 /* 150 bytes each; beyond that the oldest go */

struct sources;

struct sources *sources_open(void);
void sources_close(struct sources *s);

/* sources_put() - endpoint `id` is of network `vnid`, and was last claimed by this host. */
void sources_put(struct sources *s, uint32_t id, uint32_t vnid, const char *host);

/* sources_vnid() - 0: not known. *host (may be NULL): who claimed it last, good until the next change. */
uint32_t sources_vnid(const struct sources *s, uint32_t id, const char **host);

#endif
