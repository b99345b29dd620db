/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ties between objects: a name in one becomes the id of another, an address
 * gets its owner, networks become joined. All of a commit's new contents are
 * indexed first and linked afterwards, so that they may refer to each other in
 * any order.
 */
#ifndef DPS_LINK_H
#define DPS_LINK_H

#include "dps/model.h"

/*
 * link_index() - give the object the addresses that its spec claims.
 * 0, or -EEXIST with *err when another object has one (nothing is kept then).
 */
int link_index(struct model *m, struct object *obj, struct json_error *err);
void link_unindex(struct model *m, struct object *obj);

/*
 * link_resolve() - find what the spec refers to, and check it against that.
 * 0, -EINVAL or -EEXIST with *err. The spec keeps the ids; a policy's networks
 * become joined. link_release() undoes the joining.
 */
int link_resolve(struct model *m, struct object *obj, struct json_error *err);
void link_release(struct model *m, struct object *obj);

/* link_groups() - the groups that an endpoint is in, by its own list and by group objects. */
void link_groups(struct model *m, const struct endpoint *ep, struct idset *out);

/* link_referrer() - an object that refers to obj and so keeps it from being deleted, or NULL. */
const struct object *link_referrer(const struct model *m, const struct object *obj);

#endif
