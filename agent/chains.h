/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of delegations, fetched from the policy service when something is
 * signed by a zone that is not proven yet, or not any more (trust.h, with a
 * root). What they prove holds as long as they do, so a zone is asked for about
 * once in the life of its delegation. A chain that does not begin at a root key
 * that we know is a reason to ask for the root zone, which says the keys of
 * today and how they follow from the old.
 *
 * Whoever names zones without end causes a bounded number of requests.
 */
#ifndef DOVE_CHAINS_H
#define DOVE_CHAINS_H

#include "agent.h"

struct chains_counters {
	uint64_t asked, learnt, refused; /* requests; chains believed; chains or root zones not believed */
	uint64_t roots;			 /* root zones taken */
};

int chains_open(struct agent *a, struct chains **out, struct error *err);
void chains_close(struct chains *c);

/* chains_want() - fetch the zone's chain, unless that has just been tried. True: it is under way. */
bool chains_want(struct chains *c, const char *zone);

const struct chains_counters *chains_counters(const struct chains *c);

#endif
