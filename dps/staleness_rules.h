/* SPDX-License-Identifier: Apache-2.0 */
/* What the rules of policies and groups (staleness.c) and those of places (staleness_places.c) share. */
#ifndef DPS_STALENESS_RULES_H
#define DPS_STALENESS_RULES_H

#include "dps/staleness.h"

/* Raise an object's number to its network's revision. */
void staleness_sequence(struct txn *txn, struct object *obj);
void staleness_floor(struct txn *txn, struct object *obj);

/* staleness_externals() - what addresses mean to the network may have changed: who has what is beyond
 * its edges. */
void staleness_externals(struct txn *txn, struct network *net);

/* What was changed, by kind. */
void staleness_endpoint(struct txn *txn, struct change *change);
void staleness_external(struct txn *txn, struct change *change);
void staleness_network(struct txn *txn, struct change *change);
void staleness_host(struct txn *txn, struct host *host);

/* staleness_service() - of the policies, of any network, that have it in their path. */
void staleness_service(struct txn *txn, const char *service);

#endif
