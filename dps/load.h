/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances of services that have more to do than they can: they stand aside
 * for a part of the flows that would be theirs, in eighths, and those go to the
 * others. Their hosts say how much they have to do (docs/api.md); what they can
 * is in the service's object, and where it is not there nothing is judged.
 *
 * It must last before anything changes, what is given up is taken again only
 * where that would not be too much again, and each time that it was, later.
 * Times are monotonic seconds.
 */
#ifndef DPS_LOAD_H
#define DPS_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#define LOAD_PARTS 8
#define LOAD_HIGH 80	    /* percent of what it can: too much */
#define LOAD_AIM 60	    /* what it is to come to by a change */
#define LOAD_HIGH_SECONDS 3 /* that it is too much before it stands aside */
#define LOAD_LOW_SECONDS                                                                                     \
	20 /* that it is little before it takes flows again; twice as long with each relapse */
#define LOAD_LOW_SECONDS_MAX 320
#define LOAD_CALM_SECONDS 600 /* with all of its flows, until the relapses are forgotten */
#define LOAD_FRESH_SECONDS 25 /* hosts tell every 10 s, and sooner what has changed */

struct commit_context;

enum load_trend { LOAD_FITS, LOAD_TOO_MUCH, LOAD_LITTLE };

/* All zero: nothing was told, and nothing is given up. */
struct load {
	uint32_t kbps;
	uint64_t packets; /* since its host's data path was loaded */
	int64_t told;
	uint8_t aside; /* eighths of its flows that others have */
	enum load_trend trend;
	int64_t since; /* of that trend */
	int64_t changed;
	uint32_t wait; /* LOAD_LOW_SECONDS, or longer; 0: it never stood aside */
};

/* load_tell() - what its host says. now is above 0. */
void load_tell(struct load *l, uint32_t kbps, uint64_t packets, int64_t now);

/* load_percent() - of what it can; -1: not known, or not any more. */
int load_percent(const struct load *l, uint32_t capacity_mbps, int64_t now);

/*
 * load_judge() - the eighths that it is to stand aside for from now on; asked
 * about once a second. room: another instance has some for what this one gives up.
 */
uint8_t load_judge(struct load *l, uint32_t capacity_mbps, bool room, int64_t now);

/* load_balance() - judge all instances; each that is to have another part of its flows is a commit. */
void load_balance(const struct commit_context *ctx, int64_t now);

#endif
