/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network's policies, first match first, and an index of them by the side
 * that says most: a question looks at those that name its endpoints or their
 * groups, and at those that name nobody. Made anew at the first question after
 * a change of the network's policies.
 */
#ifndef DPS_ORDER_H
#define DPS_ORDER_H

#include "dps/model.h"

struct order;

/* order_candidates() - add to *out, in order, every policy but the default that could match the
 * pair. */
void order_candidates(struct network *net, const struct endpoint *from, const struct endpoint *to,
		      struct ptrs *out);

/* order_has_paths() - does any of its policies lead through services? */
bool order_has_paths(struct network *net);
void order_free(struct order *order);

#endif
