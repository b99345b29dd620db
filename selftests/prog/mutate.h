/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that were right until something happened to them, and rounds of
 * them: first those of selftests/fuzz/corpus/NAME/, which were found once,
 * then ROUNDS made up ones from a seed that is always the same. `make fuzz`
 * asks for another seed (DOVE_FUZZ_SEED) and for as many as there is time for
 * (DOVE_FUZZ_MS, for each family).
 */
#ifndef DOVE_TEST_MUTATE_H
#define DOVE_TEST_MUTATE_H

#include <glob.h>

#include "prog.h"

#define ROUNDS 20000
#define LEAST                                                                                                \
	54 /* TEST_RUN wants Ethernet and IP whole; shorter ones have tests of their own, at every length */

uint32_t any(uint32_t below); /* number, by the seed */

void flip_bit(struct frame *f, uint32_t below);
void mutate(struct frame *f);
/* mutate_outer() - the same, or lengths that agree with one another but not with the frame. */
void mutate_outer(struct frame *f, enum family outer);

/* any_packet() - a right one, in IPv4 or IPv6, of any protocol. */
struct vm_frame any_packet(enum family f, const struct vm *from, const struct vm *to);

struct rounds {
	const char *name;   /* of the corpus */
	enum family family; /* of the outer header; where there is none, V4 */
	struct frame (*make)(enum family family);
	void (*world)(void); /* what they come to; it ages, and is made anew now and then */
	uint64_t world_until;
	uint64_t counted[DOVE_REASON_COUNT]; /* up to the packet before, by reason */
	uint32_t n;			     /* made up so far */
	glob_t found;
	size_t replayed;
	uint64_t until; /* 0: `most` of them are enough */
	uint32_t most;
	struct frame *now; /* being looked at */
};

/*
 * rounds_begin() - name: of the corpus, "prog-ingress". A family has files of
 * its own there, "v4-..." and "v6-...".
 */
struct rounds rounds_begin(const char *name, enum family family, void (*world)(void),
			   struct frame (*make)(enum family family));

/*
 * rounds_next() - the next packet, under a name for failures; false: it was the
 * last. While it is being looked at it lies in DOVE_FUZZ_FOUND, however the
 * test ends.
 */
bool rounds_next(struct rounds *r, struct frame *f);

/* rounds_reason() - the one reason that was counted since, and once; DOVE_REASON_COUNT for none. */
uint32_t rounds_reason(struct rounds *r);

#endif
