/* SPDX-License-Identifier: Apache-2.0 */
/* Between the model and the store's records. */
#ifndef DPS_PERSIST_H
#define DPS_PERSIST_H

#include "dps/commit.h"

/* Kinds of records that are not the model's, but of the hierarchy's (domain_store.c). */
#define PERSIST_DELEGATION "delegation"
#define PERSIST_LEAVING "leaving"
#define PERSIST_ROOT_ZONE "root zone"

/* persist_txn() - store what the transaction did. 0 or -errno; nothing is kept on failure. */
int persist_txn(struct txn *txn);

/* persist_load() - fill an empty model. 0 or -errno with *err. */
int persist_load(struct model *m, struct store *store, struct json_error *err);

#endif
