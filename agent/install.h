/* SPDX-License-Identifier: Apache-2.0 */
/* An answer of the service (docs/api.md, ANSWER) -> entries of dove_cache and dove_denied. */
#ifndef DOVE_INSTALL_H
#define DOVE_INSTALL_H

#include "agent.h"
#include "lib/json.h"

/* How long a refusal is remembered before the service is asked again. */
#define REFUSAL_LIFETIME_S 5
/* And where nobody would tell this host that it has ended, because it does not watch the network that refuses. */
#define REFUSAL_UNWATCHED_S 1

/* What an answer led to: the entry that decides, to be made active when nobody waits any more. */
struct installed {
	struct dove_cache_key key;
	struct dove_translation t;
	struct ip_addr host; /* where packets go, when there is a host to go to */
	bool has_host;
};

/* Entries to be written in one go: two at most for each of so many answers. */
#define INSTALL_ANSWERS_MAX (DOVE_WRITES_MAX / 2)

struct install_batch {
	struct dove_write rows[DOVE_WRITES_MAX];
	uint32_t n;
};

/*
 * install_answer() - the pair's entry and, where the pair depends on ports and
 * its rules do not fit into the entry, the exact one for `asked`: install_write() writes them.
 *
 * pending: packets wait for it, see DOVE_GATE_SHUT. -EINVAL: the answer can't
 * be read, err says why; nothing is to be written.
 */
int install_answer(struct agent *a, const cJSON *answer, const struct dove_cache_key *asked, bool pending,
		   struct install_batch *batch, struct installed *out, struct json_error *err);

/* install_write() - write what is in the batch, which is empty then. */
void install_write(struct agent *a, struct install_batch *batch);

/* install_all_held() - nobody is between the count of those who came (DOVE_GATE_*) and the ring. */
bool install_all_held(uint64_t gate);

/*
 * install_open() - let packets pass by it from now on, all that waited being
 * sent. False: others came meanwhile; they are in the ring, or about to be.
 */
bool install_open(struct agent *a, struct installed *in);

/* install_open_all() - the same of several, at most DOVE_OPENINGS_MAX: those whose gate is 0 then are open. */
void install_open_all(struct agent *a, struct installed *const *ins, uint32_t n);

/* install_open_anyway() - the same, and those that came meanwhile may be overtaken. */
void install_open_anyway(struct agent *a, struct installed *in);

#endif
