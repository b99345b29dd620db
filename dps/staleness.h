/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of docs/staleness.md: which sequences and floors a commit raises.
 * Runs when the new contents are in place and linked, before they are stored.
 */
#ifndef DPS_STALENESS_H
#define DPS_STALENESS_H

#include "dps/commit.h"

void staleness_apply(struct txn *txn);

/* staleness_moved() - an endpoint's place changed. from: where it was, NULL: nowhere. */
void staleness_moved(struct txn *txn, struct endpoint *ep, const struct host *from);

/* staleness_instance() - an instance of services has other flows than before. */
void staleness_instance(struct txn *txn, const struct endpoint *ep);

#endif
