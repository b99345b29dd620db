/* SPDX-License-Identifier: Apache-2.0 */
/* Where a network's members are: the hosts that get what one of them sends to all. */
#ifndef DPS_MEMBERS_H
#define DPS_MEMBERS_H

#include "dps/model.h"

/* members_find() - of whom a source asks: its network. -ENOENT with *err. */
int members_find(const struct model *m, uint32_t vnid, uint32_t source, const struct network **out,
		 struct json_error *err);

/* members_json() - the reply of docs/api.md, the caller's. */
cJSON *members_json(const struct model *m, const struct network *net);

#endif
