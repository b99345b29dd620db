/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers as they were sent, to be sent again: JSON takes longer to write, and
 * a signature much longer to make, than an answer to find. All are of one
 * version of the model, and go with it. Bounded in number and in bytes; who is
 * full begins anew. Times are unix seconds.
 */
#ifndef DPS_PREPARED_H
#define DPS_PREPARED_H

#include "dps/resolve.h"

#define PREPARED_MAX 100000
#define PREPARED_BYTES ((size_t)128 << 20)
#define PREPARED_PART 2 /* an answer is made anew when less than this part (1/2) of its life is left */

struct prepared_answer;

struct prepared {
	struct prepared_answer *answers;
	size_t n, bytes;
	uint64_t version; /* of the model that they are of */
	uint64_t hits, misses;
};

/* An answer's text, not terminated. */
struct prepared_text {
	const char *text;
	size_t len;
	uint64_t sequence;
	int64_t expires;
};

/* prepared_get() - what prepared_put() was given, until either is called again. False: nothing, or it is too old. */
bool prepared_get(struct prepared *p, const struct question *q, uint64_t version, int64_t now,
		  struct prepared_text *out);

/*
 * prepared_put() - keep a copy, if the question is by ids. any_packet: it is the answer for every packet of
 * the pair, whatever its protocol and ports: the next connection has another port.
 */
void prepared_put(struct prepared *p, const struct question *q, bool any_packet,
		  const struct prepared_text *said, int64_t now);
void prepared_clear(struct prepared *p);

#endif
