// SPDX-License-Identifier: Apache-2.0
/* A root zone, signed for this by a key that is trusted. */
#include "dps/zone.h"
#include "fuzz.h"
#include "lib/cleanup.h"

FUZZ(zone)
{
	struct root_zone *zone = NULL;
	struct signed_doc doc = {};
	struct json_error err = {};

	fuzz_check(!signed_make(fuzz_key(), SIGNED_ROOT_ZONE, fuzz_text(data, size), &doc), "no signature");
	if (!zone_open(&doc, sign_key_public(fuzz_key()), 1, 1, FUZZ_NOW, &zone, &err)) {
		zone_denial(zone, 0x1234, NULL);
		zone_denial(zone, 0, "acme");
		fuzz_check(!zone_sign(zone, fuzz_key()), "it can't be written again");
	}
	zone_free(zone);
	signed_free(&doc);
}
