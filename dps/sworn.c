// SPDX-License-Identifier: Apache-2.0
#include "dps/sworn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/claim.h"
#include "lib/domain.h"

static const struct sign_public *key_in(const struct network_spec *net, const char *host)
{
	for (size_t i = 0; i < net->n_host_keys; i++)
		if (!strcmp(net->host_keys[i].host, host))
			return &net->host_keys[i].key;
	return NULL;
}

static int refuse(struct json_error *err, const char *host, const char *why)
{
	json_fail(err, "signed", "host %s must sign this: %s", host, why);
	return -EACCES;
}

static const char *reason(int rc)
{
	return rc == -EKEYREJECTED ? "it is not signed by its key"
	       : rc == -ETIME	   ? "what it has signed is not of now"
				   : "what it has signed says something else";
}

/* "blue", or "acme:blue", as the host calls it. */
static int check_claim(const struct endpoint *ep, const char *domain, const struct sign_public *key,
		       struct claim claim, const struct signed_doc *doc, int64_t now)
{
	char full[FULL_NAME_ROOM];
	int rc = claim_check(doc, key, &claim, now);

	if (rc != -EINVAL || !*domain)
		return rc;
	snprintf(full, sizeof(full), "%s:%s", domain, ep->o.net->o.key);
	claim.network = full;
	return claim_check(doc, key, &claim, now);
}

int sworn_claim(const struct endpoint *ep, const char *domain, const struct host *host, uint64_t revision,
		const struct signed_doc *doc, int64_t now, struct json_error *err)
{
	const struct sign_public *key = key_in(&ep->o.net->o.spec->u.network, host->o.key);
	struct claim claim = { .host = host->o.key,
			       .network = ep->o.net->o.key,
			       .endpoint = ep->o.spec->name,
			       .revision = revision };
	int rc;

	if (!key)
		return 0;
	if (!doc)
		return refuse(err, host->o.key, "nothing signed came with it");
	rc = check_claim(ep, domain, key, claim, doc, now);
	return rc ? refuse(err, host->o.key, reason(rc)) : 0;
}

/* By any of the keys that networks here have for it. -ENOKEY: none has one. */
static int check_host(const struct model *m, const char *name, const struct host_spec *want, int64_t *issued)
{
	cJSON *addresses = objects_addresses_json(want->addresses, want->n_addresses);
	int rc = -ENOKEY;

	for (const struct object *o = m->by_key[KIND_NETWORK]; o && rc; o = o->hh.next) {
		const struct sign_public *key = o->spec ? key_in(&o->spec->u.network, name) : NULL;

		if (key)
			rc = want->sworn.body ? claim_host_check(&want->sworn, key, name, addresses, issued)
					      : -EKEYREJECTED;
	}
	cJSON_Delete(addresses);
	return rc;
}

int sworn_host(const struct model *m, const char *name, const struct host_spec *want, struct json_error *err)
{
	const struct object *had = model_find(m, KIND_HOST, name);
	int64_t issued = 0;
	int rc = check_host(m, name, want, &issued);

	if (rc == -ENOKEY)
		return 0;
	if (rc)
		return refuse(err, name, reason(rc));
	if (had && had->spec->u.host.sworn.body && claim_host_issued(&had->spec->u.host.sworn) > issued)
		return refuse(err, name, "it has signed another since");
	return 0;
}
