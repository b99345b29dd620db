// SPDX-License-Identifier: Apache-2.0
/* The control message: what is taken says the same when it is written again. */
#include <string.h>

#include "agent/hint.h"
#include "fuzz.h"

FUZZ(hint)
{
	struct hint_message m = {}, again = {};
	uint8_t buf[HINT_DATAGRAM_MAX];
	size_t len;

	if (hint_parse(data, size, &m))
		return;
	fuzz_check(m.signature.len <= sizeof(m.signature.body), "a body of %zu bytes", m.signature.len);
	len = hint_write(&m, buf, sizeof(buf));
	fuzz_check(len, "it can't be written");
	fuzz_check(!hint_parse(buf, len, &again), "what was written isn't taken");
	fuzz_check(!memcmp(&m, &again, sizeof(m)), "it says something else");
}
