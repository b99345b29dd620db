// SPDX-License-Identifier: Apache-2.0
#include "load.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

#include "paths.h"
#include "ports.h"

#define INSTANCES_MAX 1024
#define TELL_AT_LEAST_NS (10 * SECOND_NS)
#define CHANGE_PART 8 /* what differs by more than such a part of it is told at once */

struct measured {
	uint32_t endpoint; /* key */
	uint64_t bytes, at;
	uint32_t told_kbps;
	uint64_t told_at; /* 0: never */
	bool seen;
	UT_hash_handle hh;
};

struct load {
	struct agent *agent;
	struct measured *all;
	struct event *tick;
};

static bool is_news(const struct measured *m, uint32_t kbps, uint64_t now)
{
	uint32_t more = kbps > m->told_kbps ? kbps : m->told_kbps;
	uint32_t less = kbps > m->told_kbps ? m->told_kbps : kbps;

	return !m->told_at || now - m->told_at >= TELL_AT_LEAST_NS || more - less > more / CHANGE_PART;
}

static void measure(struct load *l, struct measured *m, uint64_t now)
{
	struct dove_stats stats = paths_handed(l->agent->paths, m->endpoint);
	uint64_t ns = now - m->at;
	/* Less than before: the counters began anew. */
	uint64_t bytes = m->at && stats.bytes > m->bytes ? stats.bytes - m->bytes : 0;
	uint64_t kbps = ns ? bytes * 8 * 1000000 / ns : 0;

	m->bytes = stats.bytes;
	m->at = now;
	if (kbps > UINT32_MAX)
		kbps = UINT32_MAX;
	if (!is_news(m, kbps, now))
		return;
	m->told_kbps = kbps;
	m->told_at = now;
	ports_tell_load(l->agent->ports, m->endpoint, kbps, stats.packets);
}

static struct measured *measured_of(struct load *l, uint32_t endpoint)
{
	struct measured *m;

	HASH_FIND(hh, l->all, &endpoint, sizeof(endpoint), m);
	if (m)
		return m;
	m = calloc(1, sizeof(*m));
	if (!m)
		abort();
	m->endpoint = endpoint;
	HASH_ADD(hh, l->all, endpoint, sizeof(m->endpoint), m);
	return m;
}

static void forget(struct load *l, struct measured *m)
{
	HASH_DEL(l->all, m);
	free(m);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	static uint32_t here[INSTANCES_MAX];
	struct load *l = arg;
	int n = paths_here(l->agent->paths, here, INSTANCES_MAX);
	struct measured *m, *tmp;
	uint64_t now = clock_now();

	HASH_ITER (hh, l->all, m, tmp)
		m->seen = false;
	for (int i = 0; i < n; i++) {
		m = measured_of(l, here[i]);
		m->seen = true;
		measure(l, m, now);
	}
	HASH_ITER (hh, l->all, m, tmp)
		if (!m->seen)
			forget(l, m);
}

int load_open(struct agent *a, struct load **out, struct error *err)
{
	struct timeval second = { .tv_sec = 1 };
	struct load *l = calloc(1, sizeof(*l));

	if (!l)
		return error_set(err, -ENOMEM, "out of memory");
	l->agent = a;
	l->tick = event_new(a->base, -1, EV_PERSIST, on_tick, l);
	event_add(l->tick, &second);
	*out = l;
	return 0;
}

void load_close(struct load *l)
{
	struct measured *m, *tmp;

	if (!l)
		return;
	HASH_ITER (hh, l->all, m, tmp)
		forget(l, m);
	event_free(l->tick);
	free(l);
}
