// SPDX-License-Identifier: Apache-2.0
/* The body of a delegation: what is taken says the same when it is written again. */
#include <string.h>

#include "fuzz.h"
#include "lib/cleanup.h"
#include "lib/delegation.h"

FUZZ(delegation)
{
	static struct delegation d, again;
	struct json_error err = {};
	_free_ char *text = NULL;

	memset(&d, 0, sizeof(d));
	memset(&again, 0, sizeof(again));
	if (delegation_parse((const char *)data, size, &d, &err))
		return;
	fuzz_check(d.n_keys && d.n_servers && d.ranges.n, "one without keys, servers or VNIDs");
	text = delegation_render(&d);
	fuzz_check(!delegation_parse(text, strlen(text), &again, &err), "%s: %s in %s", err.field, err.text,
		   text);
	fuzz_check(!memcmp(&d, &again, sizeof(d)), "it says something else: %s", text);
}
