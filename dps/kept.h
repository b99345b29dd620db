/* SPDX-License-Identifier: Apache-2.0 */
/*
 * As what a cached statement was told, beside it: the ANSWER's text, one for
 * each of its rules. To read and write JSON takes longer than to find the
 * statement. A text goes with its entry; so whether it may be said (times,
 * floors, keys, zones) is decided as of the statement, each time, and the
 * lifetime, which is last in a text, is said anew.
 *
 * Where two authorities say a half each, beside the source's half is only where
 * it leads to. The text is beside the destination's, and names the other by its number.
 */
#ifndef DPS_KEPT_H
#define DPS_KEPT_H

#include <cjson/cJSON.h>

#include "lib/flow.h"
#include "lib/statement.h"

#define KEPT_RULES_MAX 8 /* as many as an answer of ours has; one with more is read each time */

struct kept_text {
	char *text; /* up to the lifetime's number; NULL: none yet */
	size_t len;
};

struct kept {
	uint32_t beyond; /* of a source's half: the network that the other half is of; 0: it is all */
	uint64_t first;	 /* the number of the source's half that the texts are of, too; 0: none */
	struct flow_box rules[KEPT_RULES_MAX];
	int n_rules;
	struct kept_text texts[KEPT_RULES_MAX + 1]; /* by rule; the last: of packets under none */
};

/* kept_rule() - the first of an ANSWER's rules that the packet is under; -1: none. proto 0: any packet. */
int kept_rule(const cJSON *answer, const struct packet_fields *packet);

/* kept_find() - the packet's text; NULL: there is none. first: the number of the other half, or 0. */
const struct kept_text *kept_find(const struct kept *k, uint64_t first, const struct packet_fields *packet);

/* kept_say() - the whole ANSWER, the caller's. */
char *kept_say(const struct kept_text *text, uint32_t lifetime);

/*
 * kept_put() - the text for packets under that rule (-1: under none) of the answer, taken over,
 * and freed if it is not to be kept. Texts of another first half go. How many bytes more it is now.
 */
long kept_put(struct kept *k, uint64_t first, const cJSON *answer, int rule, char *text);
void kept_free(struct kept *k); /* NULL is fine */

#endif
