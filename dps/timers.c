// SPDX-License-Identifier: Apache-2.0
#include "dps/timers.h"

#include <stdlib.h>
#include <string.h>

#include "dps/mem.h"

void timers_free(struct timers *t)
{
	free(t->heap);
	memset(t, 0, sizeof(*t));
}

static void put(struct timers *t, size_t place, struct timer *timer)
{
	t->heap[place] = timer;
	timer->place = place;
}

static void rise(struct timers *t, struct timer *timer)
{
	size_t place = timer->place;

	for (; place > 1 && t->heap[place / 2]->at > timer->at; place /= 2)
		put(t, place, t->heap[place / 2]);
	put(t, place, timer);
}

static void sink(struct timers *t, struct timer *timer)
{
	size_t place = timer->place, child;

	for (; (child = place * 2) <= t->n; place = child) {
		if (child < t->n && t->heap[child + 1]->at < t->heap[child]->at)
			child++;
		if (t->heap[child]->at >= timer->at)
			break;
		put(t, place, t->heap[child]);
	}
	put(t, place, timer);
}

void timers_set(struct timers *t, struct timer *timer, uint64_t at)
{
	timer->at = at;
	if (!timer->place) {
		if (t->n + 1 >= t->room) {
			t->room = t->room ? t->room * 2 : 16;
			t->heap = mem_resize(t->heap, t->room, sizeof(*t->heap));
		}
		put(t, ++t->n, timer);
	}
	rise(t, timer);
	sink(t, timer);
}

void timers_clear(struct timers *t, struct timer *timer)
{
	struct timer *last;
	size_t place = timer->place;

	if (!place)
		return;
	timer->place = 0;
	last = t->heap[t->n--];
	if (last == timer)
		return;
	put(t, place, last);
	rise(t, last);
	sink(t, last);
}

struct timer *timers_first(const struct timers *t)
{
	return t->n ? t->heap[1] : NULL;
}
