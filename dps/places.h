/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds an endpoint's place. A claim compares on the place's revision that
 * the claimant read, so of two only one wins; a renewal or a release holds only
 * while the place still has that claim, so a host that comes back late steals
 * nothing. -EEXIST with *err: lost, and not to be tried again. -EACCES: the network does not list the host.
 */
#ifndef DPS_PLACES_H
#define DPS_PLACES_H

#include "dps/commit.h"

/* places_claim() - revision: the place's, or ANY_REVISION. id: the new claim's, CLAIM_ROOM - 1
 * characters. */
int places_claim(const struct commit_context *ctx, struct endpoint *ep, struct host *host, uint64_t revision,
		 const char *id, struct json_error *err);
int places_renew(const struct endpoint *ep, const struct host *host, const char *claim,
		 struct json_error *err);
int places_release(const struct commit_context *ctx, struct endpoint *ep, const char *claim,
		   struct json_error *err);

#endif
