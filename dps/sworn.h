/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What hosts have signed (lib/claim.h), as far as an authority asks for it: of a host
 * that has a key in a network's "host_keys", for claims of that network's endpoints;
 * and of one that has a key in any network here, for its addresses.
 */
#ifndef DPS_SWORN_H
#define DPS_SWORN_H

#include "dps/model.h"

/*
 * sworn_claim() - is the host's claim of this place, at this revision, good without or
 * with this document (NULL: none)? domain: whose networks these are ("": nobody's).
 * 0, or -EACCES with *err.
 */
int sworn_claim(const struct endpoint *ep, const char *domain, const struct host *host, uint64_t revision,
		const struct signed_doc *doc, int64_t now, struct json_error *err);

/* sworn_host() - may the host register under these addresses, with what it has signed? 0, or -EACCES with *err. */
int sworn_host(const struct model *m, const char *name, const struct host_spec *want, struct json_error *err);

#endif
