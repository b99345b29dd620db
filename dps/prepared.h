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

/* prepared_get() - the text that prepared_put() was given, and when it ends; NULL: none, or too old. */
const char *prepared_get(struct prepared *p, const struct question *q, uint64_t version, int64_t now,
			 uint64_t *sequence, int64_t *expires);

/* prepared_put() - keep it, if it is by ids; text is taken over then. False: it isn't, and stays the caller's. */
bool prepared_put(struct prepared *p, const struct question *q, char *text, uint64_t sequence, int64_t now,
		  int64_t expires);
void prepared_clear(struct prepared *p);

#endif
