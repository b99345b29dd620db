/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose signed translations this host believes, also from the mouth of others
 * (docs/translations.md, "Believing one"): by configuration, "trust", a list of
 *
 *   {"zone": "acme", "vnids": ["256-511"], "keys": ["<base64 of a public key>", ...]}
 *
 * "" is the zone of a service that stands alone, or of the root.
 */
#ifndef DOVE_TRUST_H
#define DOVE_TRUST_H

#include <cjson/cJSON.h>

#include "lib/json.h"
#include "lib/translation.h"

struct trust;

/*
 * trust_parse() - from the list; NULL: one that believes nobody. 0 and *out, to
 * be freed with trust_free(), or -EINVAL and *err.
 */
int trust_parse(const cJSON *list, struct trust **out, struct json_error *err);
void trust_free(struct trust *t);

/* trust_any() - does it believe anybody? */
bool trust_any(const struct trust *t);

/*
 * trust_open() - 0 and *out, when a key signed it that is believed for its zone
 * and VNID, and it is of now (unix seconds). Else as translation_open();
 * -EACCES: the key's zone has nothing to say of that VNID.
 */
int trust_open(const struct trust *t, const struct translation_doc *doc, int64_t now,
	       struct translation *out);

#endif
