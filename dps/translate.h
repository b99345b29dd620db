/* SPDX-License-Identifier: Apache-2.0 */
/* An answer as a translation that its authority signs (lib/translation.h). */
#ifndef DPS_TRANSLATE_H
#define DPS_TRANSLATE_H

#include "dps/resolve.h"
#include "lib/translation.h"

/* Who signs. key NULL: nobody; then answers go out unsigned. Both are the owner's. */
struct signer {
	const struct sign_key *key;
	const char *zone; /* the domain; "": the root, or a service that stands alone */
};

/*
 * translate() - *out is what the answer to this question says, issued `now`
 * (unix seconds), for `lifetime` seconds. False: there is nothing to sign, as
 * no network stands behind the answer.
 */
bool translate(const struct model *m, const struct question *q, const struct answer *answer,
	       const struct signer *signer, int64_t now, unsigned int lifetime, struct translation *out);

/*
 * translate_answer_text() - the ANSWER of docs/api.md, with "signed" where there is a key, up to its last
 * field's value: that is its lifetime, which gets less while the text is kept.
 */
void translate_answer_text(const struct model *m, const struct question *q, const struct answer *answer,
			   const struct signer *signer, int64_t now, unsigned int lifetime,
			   struct json_text *out);

/* translate_answer_json() - the same, whole, as a tree, the caller's. */
cJSON *translate_answer_json(const struct model *m, const struct question *q, const struct answer *answer,
			     const struct signer *signer, int64_t now, unsigned int lifetime);

#endif
