// SPDX-License-Identifier: Apache-2.0
/*
 * What a host believes by the root's key alone: a list of delegations, all
 * signed by that key here, and then a translation under the last one's zone.
 */
#include <string.h>

#include "fuzz.h"
#include "lib/proof.h"

#define CHAIN_MAX (DOMAIN_DEPTH_MAX + 1)

static size_t sign_chain(const cJSON *list, struct signed_doc *chain)
{
	const cJSON *one;
	size_t n = 0;

	cJSON_ArrayForEach (one, list)
		if (n < CHAIN_MAX)
			fuzz_check(!signed_make(fuzz_key(), SIGNED_DELEGATION, cJSON_PrintUnformatted(one),
						&chain[n++]),
				   "no signature");
	return n;
}

/* Is it said of the zone anywhere that it has the VNID? */
static bool has_vnid(const struct signed_doc *chain, size_t n, const char *zone, uint32_t vnid)
{
	static struct delegation d;
	struct json_error err = {};

	for (size_t i = 0; i < n; i++)
		if (!delegation_parse(chain[i].body, chain[i].len, &d, &err) && !strcmp(d.domain, zone) &&
		    ranges_has(&d.ranges, vnid))
			return true;
	return false;
}

static void believe(const struct proofs *proofs, const struct signed_doc *chain, size_t n, const char *zone)
{
	struct translation_doc doc = {};
	static struct translation out;

	fuzz_translation(zone, &doc);
	if (!proof_translation(proofs, &doc, FUZZ_NOW, &out))
		fuzz_check(!*zone || has_vnid(chain, n, zone, FUZZ_VNID), "'%s' is believed of %u", zone,
			   FUZZ_VNID);
	translation_doc_free(&doc);
}

FUZZ(proof)
{
	static struct signed_doc chain[CHAIN_MAX];
	cJSON *json = fuzz_json(data, size);
	size_t n = cJSON_IsArray(json) ? sign_chain(json, chain) : 0;
	struct proofs *proofs;

	cJSON_Delete(json);
	if (!n)
		return;
	proofs = proof_open(sign_key_public(fuzz_key()), 1);
	proof_learn(proofs, chain, n, FUZZ_NOW);
	proof_learn(proofs, chain, n, FUZZ_NOW);
	believe(proofs, chain, n, "acme");
	believe(proofs, chain, n, "acme/eng");
	believe(proofs, chain, n, "");
	proof_close(proofs);
	for (size_t i = 0; i < n; i++)
		signed_free(&chain[i]);
}
