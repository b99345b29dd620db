/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of VNIDs (24 bits; 0 is none) as ranges, both ends included. A set is
 * always sorted, its ranges are apart by at least one VNID, so equal sets have
 * equal ranges. As JSON a list of pairs: [[256,511],[600,600]].
 */
#ifndef DOVE_RANGES_H
#define DOVE_RANGES_H

#include "lib/json.h"

#define VNID_LAST 0xffffff
#define IDS_PER_VNID 256 /* endpoint ids that a domain has for each VNID: unique wherever they meet */
#define RANGES_MAX 64	 /* of one delegation; who needs more asks for a larger one */

struct vnid_range {
	uint32_t first, last;
};

struct vnid_ranges {
	struct vnid_range v[RANGES_MAX];
	size_t n;
};

/*
 * ranges_add() - 0; -EINVAL: no range of VNIDs; -EEXIST: some of it is in the
 * set already; -ENOSPC: too many ranges. The set is untouched on failure.
 */
int ranges_add(struct vnid_ranges *set, uint32_t first, uint32_t last);

/* ranges_remove() - take out what is in `gone` too. 0, or -ENOSPC with the set untouched. */
int ranges_remove(struct vnid_ranges *set, const struct vnid_ranges *gone);

bool ranges_has(const struct vnid_ranges *set, uint32_t vnid);
bool ranges_equal(const struct vnid_ranges *a, const struct vnid_ranges *b);

/* ranges_exceed() - is something of inner not in outer? Then *vnid is the lowest such. */
bool ranges_exceed(const struct vnid_ranges *inner, const struct vnid_ranges *outer, uint32_t *vnid);

/* ranges_meet() - have they a VNID in common? Then *vnid is the lowest. */
bool ranges_meet(const struct vnid_ranges *a, const struct vnid_ranges *b, uint32_t *vnid);

/* ranges_next() - the lowest VNID of the set above `after`; 0: none. */
uint32_t ranges_next(const struct vnid_ranges *set, uint32_t after);

/* JSON; the tree is the caller's. ranges_parse(): 0 or -EINVAL with *err; an empty list is refused. */
cJSON *ranges_json(const struct vnid_ranges *set);
int ranges_parse(const cJSON *obj, const char *field, struct vnid_ranges *out, struct json_error *err);

/* range_parse() - one pair, as item i of `field`. */
int range_parse(const cJSON *pair, const char *field, size_t i, struct vnid_range *out,
		struct json_error *err);

#endif
