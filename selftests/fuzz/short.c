// SPDX-License-Identifier: Apache-2.0
/* A request that is taken past evhttp: what is taken is what RFC 9112 calls one, whole, and says nothing else. */
#include <string.h>
#include <strings.h>

#include "dps/short.h"
#include "fuzz.h"

#define START "POST /v1/resolve HTTP/1.1\r\n"

/* Printable, and ended by CR LF alone. Returns what follows. */
static const char *check_line(const char *line, const char *end)
{
	const char *lf = memchr(line, '\n', (size_t)(end - line));

	fuzz_check(lf && lf > line && lf[-1] == '\r', "a line without its end");
	for (const char *c = line; c < lf - 1; c++)
		fuzz_check((*c >= ' ' || *c == '\t') && *c != 0x7f, "a control character in a header");
	return lf + 1;
}

static bool begins_with(const char *line, const char *end, const char *name)
{
	size_t len = strlen(name);

	return (size_t)(end - line) >= len && !strncasecmp(line, name, len);
}

FUZZ(short)
{
	static const char *const not_ours[] = { "Transfer-Encoding", "Connection", "Expect", "Upgrade",
						"Content-Encoding",  "TE",	   "Trailer" };
	const char *text = (const char *)data, *end = text + size, *body, *line;
	unsigned int lengths = 0;
	size_t len = 0;

	body = short_body(text, size, &len);
	if (!body)
		return;
	fuzz_check(body > text && body <= end && (size_t)(end - body) == len, "a body of %zu", len);
	fuzz_check(begins_with(text, body, START), "another request line");
	for (line = check_line(text, body); line < body - 2; line = check_line(line, body)) {
		fuzz_check(memchr(line, ':', (size_t)(body - line)) && *line != ' ' && *line != '\t',
			   "not a header");
		lengths += begins_with(line, body, "Content-Length:");
		for (size_t i = 0; i < sizeof(not_ours) / sizeof(*not_ours); i++)
			fuzz_check(!begins_with(line, body, not_ours[i]), "%s passed over", not_ours[i]);
	}
	fuzz_check(line == body - 2 && !memcmp(line, "\r\n", 2), "no end of the headers");
	fuzz_check(lengths == 1, "%u lengths", lengths);
}
