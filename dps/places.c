// SPDX-License-Identifier: Apache-2.0
#include "dps/places.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int lost(struct json_error *err)
{
	json_fail(err, "claim", "the place is not held by this claim any more");
	return -EEXIST;
}

static bool holds(const struct endpoint *ep, const char *claim)
{
	return ep->place.host && !strcmp(ep->place.claim, claim);
}

/* A network may list the hosts that its endpoints can be on. */
static bool may_claim(const struct endpoint *ep, const struct host *host)
{
	const struct names *hosts = &ep->o.net->o.spec->u.network.hosts;

	for (size_t i = 0; i < hosts->n; i++)
		if (!strcmp(hosts->v[i], host->o.key))
			return true;
	return !hosts->n;
}

int places_claim(const struct commit_context *ctx, struct endpoint *ep, struct host *host, uint64_t revision,
		 const char *id, struct json_error *err)
{
	if (!may_claim(ep, host)) {
		json_fail(err, "host", "host %s is none of those that network %s lists", host->o.key,
			  ep->o.net->o.key);
		return -EACCES;
	}
	if (revision == ANY_REVISION || revision == ep->place.revision)
		return commit_place(ctx, ep, host, id, err);
	json_fail(err, "revision", "the place is at revision %" PRIu64 ", not %" PRIu64, ep->place.revision,
		  revision);
	return -EEXIST;
}

int places_renew(const struct endpoint *ep, const struct host *host, const char *claim,
		 struct json_error *err)
{
	return holds(ep, claim) && ep->place.host == host ? 0 : lost(err);
}

int places_release(const struct commit_context *ctx, struct endpoint *ep, const char *claim,
		   struct json_error *err)
{
	return holds(ep, claim) ? commit_place(ctx, ep, NULL, "", err) : lost(err);
}
