/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is to be woken when: a binary heap. A timer is part of what it wakes and
 * belongs to its owner. Times are ticks (milliseconds).
 */
#ifndef DPS_TIMERS_H
#define DPS_TIMERS_H

#include <stddef.h>
#include <stdint.h>

struct timer {
	uint64_t at;
	size_t place; /* in the heap, from 1; 0: not set. A zeroed timer is not set. */
};

struct timers {
	struct timer **heap; /* from 1 */
	size_t n, room;
};

void timers_free(struct timers *t);

/* timers_set() - wake at this tick, and not at the one that was set before. */
void timers_set(struct timers *t, struct timer *timer, uint64_t at);
void timers_clear(struct timers *t, struct timer *timer);

/* timers_first() - the one that is due first, still set; NULL: none is set. */
struct timer *timers_first(const struct timers *t);

#endif
