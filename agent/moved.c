// SPDX-License-Identifier: Apache-2.0
#include "moved.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "check.h"
#include "dps.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"
#include "underlay.h"
#include "watch.h"

/* How long packets are sent on: origins are told at once, and again with each tenth of a second of old packets. */
#define RELAY_NS (60 * SECOND_NS)
/* How long packets wait to hear where to; a VM that is moved cold is elsewhere by then, or is not moved. */
#define WAIT_NS (3 * SECOND_NS)
#define TICK_MS 100
/* Bounds of what waits: for one VM, and in all. What came first goes first; the last is what it has not seen yet. */
#define VM_BYTES_MAX (2u << 20)
#define ALL_BYTES_MAX (16u << 20)

struct packet {
	struct packet *prev, *next;
	uint64_t since;
	uint32_t ifindex, len, gso_size;
	uint8_t data[];
};

/* A VM that packets wait for. */
struct awaited {
	struct dove_place_key key;
	struct packet *waiting;
	uint32_t bytes;
	bool asked;
	struct dove_held first; /* what the service is asked about; no data */
	UT_hash_handle hh;
};

struct moved {
	struct agent *agent;
	struct awaited *awaited;
	uint64_t bytes;
	struct event *tick;
	struct moved_counters counters;
};

const struct moved_counters *moved_counters(const struct moved *m)
{
	return &m->counters;
}

/* ---- packets that wait ---- */

static void packet_free(struct moved *m, struct awaited *w, struct packet *p)
{
	DL_DELETE(w->waiting, p);
	w->bytes -= p->len;
	m->bytes -= p->len;
	free(p);
}

static void awaited_free(struct moved *m, struct awaited *w)
{
	while (w->waiting)
		packet_free(m, w, w->waiting);
	HASH_DEL(m->awaited, w);
	free(w);
}

static struct awaited *awaited_find(const struct moved *m, const struct dove_place_key *key)
{
	struct awaited *w;

	HASH_FIND(hh, m->awaited, key, sizeof(*key), w);
	return w;
}

static void tick_later(struct moved *m)
{
	struct timeval tv = { .tv_usec = TICK_MS * 1000 };

	if (!evtimer_pending(m->tick, NULL))
		evtimer_add(m->tick, &tv);
}

static struct awaited *awaited_new(struct moved *m, const struct dove_held *held)
{
	struct awaited *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	w->key = (struct dove_place_key){ .addr = held->key.dst, .vnid = held->vnid };
	w->first = *held;
	HASH_ADD(hh, m->awaited, key, sizeof(w->key), w);
	return w;
}

/* The programs, with what is known now; false: not yet. */
static bool packet_send(struct moved *m, struct awaited *w, struct packet *p)
{
	struct dove_moved row;
	struct ip_addr host;
	int rc = loader_send_on(m->agent->loader, DOVE_DOOR_RECEIVED, p->ifindex, p->data, p->len,
				p->gso_size);

	if (rc != DOVE_HELD_MOVED) {
		m->counters.sent_on++;
		return true;
	}
	if (bpf_map_lookup_elem(m->agent->maps->moved, &w->key, &row) ||
	    !memcmp(&row.host, &(struct dove_ip){}, sizeof(row.host)))
		return false;
	host = from_dove_ip(&row.host);
	if (!underlay_need(m->agent->underlay, &host))
		return false;
	loader_send_on(m->agent->loader, DOVE_DOOR_RECEIVED, p->ifindex, p->data, p->len, p->gso_size);
	m->counters.sent_on++;
	return true;
}

static void awaited_release(struct moved *m, struct awaited *w)
{
	while (w->waiting) {
		if (!packet_send(m, w, w->waiting))
			return;
		packet_free(m, w, w->waiting);
	}
	awaited_free(m, w);
}

void moved_take(struct moved *m, const struct dove_held *held)
{
	struct dove_place_key key = { .addr = held->key.dst, .vnid = held->vnid };
	struct awaited *w = awaited_find(m, &key);
	struct packet *p = malloc(sizeof(*p) + held->len);

	if (!p)
		return;
	*p = (struct packet){
		.since = clock_now(), .ifindex = held->ifindex, .len = held->len, .gso_size = held->gso_size
	};
	memcpy(p->data, held->data, held->len);
	m->counters.waited++;
	if (!w)
		w = awaited_new(m, held);
	while (w->waiting && (w->bytes + p->len > VM_BYTES_MAX || m->bytes + p->len > ALL_BYTES_MAX)) {
		m->counters.dropped++;
		packet_free(m, w, w->waiting);
	}
	DL_APPEND(w->waiting, p);
	w->bytes += p->len;
	m->bytes += p->len;
	/* It may be known by now. */
	awaited_release(m, w);
	tick_later(m);
}

void moved_next_hop(struct moved *m)
{
	struct awaited *w, *tmp;

	if (!m)
		return;
	HASH_ITER (hh, m->awaited, w, tmp)
		awaited_release(m, w);
}

/* ---- what is known ---- */

static bool row_is_valid(const void *key, void *arg)
{
	const struct moved *m = arg;
	struct dove_moved row;

	return !bpf_map_lookup_elem(m->agent->maps->moved, key, &row) && clock_now() < row.until;
}

static void row_store(struct moved *m, const struct dove_place_key *key, const struct dove_moved *row)
{
	int fd = m->agent->maps->moved;

	if (!bpf_map_update_elem(fd, key, row, BPF_ANY))
		return;
	/* Those whose time is over make room when it is needed. */
	map_clear(fd, sizeof(*key), row_is_valid, m);
	if (bpf_map_update_elem(fd, key, row, BPF_ANY))
		log_error("dove_moved: %s", strerror(errno));
}

void moved_left(struct moved *m, uint32_t vnid, const struct ip_addr *addrs, int n)
{
	struct dove_moved row = { .until = clock_now() + WAIT_NS }, known;

	for (int i = 0; i < n; i++) {
		struct dove_place_key key = { .addr = to_dove_ip(&addrs[i]), .vnid = vnid };

		/* The service may have said already where it is. */
		if (bpf_map_lookup_elem(m->agent->maps->moved, &key, &known) || known.until < clock_now())
			row_store(m, &key, &row);
	}
}

void moved_to(struct moved *m, uint32_t vnid, const struct ip_addr *addr, const struct ip_addr *host,
	      uint64_t revision)
{
	struct dove_place_key key = { .addr = to_dove_ip(addr), .vnid = vnid };
	struct dove_moved row = { .revision = revision, .until = clock_now() + RELAY_NS };
	struct awaited *w = awaited_find(m, &key);

	if (host) {
		row.host = to_dove_ip(host);
		underlay_need(m->agent->underlay, host);
		row_store(m, &key, &row);
	}
	if (w)
		awaited_release(m, w);
}

void moved_here(struct moved *m, uint32_t vnid, const struct ip_addr *addr)
{
	struct dove_place_key key = { .addr = to_dove_ip(addr), .vnid = vnid };
	struct awaited *w = awaited_find(m, &key);

	bpf_map_delete_elem(m->agent->maps->moved, &key);
	if (w)
		awaited_release(m, w);
}

/* ---- asking: the watch need not say it, for a network whose last VM has left is not watched any more ---- */

struct asked {
	struct moved *moved;
	struct dove_place_key key;
};

static void on_answer(const struct dps_reply *r, void *arg)
{
	_free_ struct asked *asked = arg;
	struct moved *m = asked->moved;
	struct awaited *w = awaited_find(m, &asked->key);
	const cJSON *answer = json_get(r->json, "answer"), *to = json_get(answer, "destination");
	const char *host = cJSON_GetStringValue(json_get(to, "host"));
	struct ip_addr addr = from_dove_ip(&asked->key.addr), at;
	uint64_t revision;

	if (!w)
		return;
	w->asked = false;
	if (!dps_ok(r) || !host || !strcmp(host, m->agent->config.host) ||
	    !json_whole(json_get(answer, "sequence"), 0, JSON_INT_MAX, &revision) ||
	    underlay_choose(m->agent->underlay, json_get(to, "host_addresses"), &at))
		return;
	moved_to(m, asked->key.vnid, &addr, &at, revision);
}

static void ask(struct moved *m, struct awaited *w)
{
	struct asked *asked = malloc(sizeof(*asked));

	if (!asked)
		abort();
	*asked = (struct asked){ .moved = m, .key = w->key };
	w->asked = true;
	m->counters.asked++;
	dps_call(m->agent->dps, "POST", "/v1/check", check_json(m->agent, &w->first), on_answer, asked);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct moved *m = arg;
	uint64_t now = clock_now();
	struct awaited *w, *tmp;

	HASH_ITER (hh, m->awaited, w, tmp) {
		while (w->waiting && now - w->waiting->since > WAIT_NS) {
			m->counters.dropped++;
			packet_free(m, w, w->waiting);
		}
		awaited_release(m, w);
	}
	HASH_ITER (hh, m->awaited, w, tmp)
		if (!w->asked)
			ask(m, w);
	if (m->awaited)
		tick_later(m);
}

int moved_open(struct agent *a, struct moved **out, struct error *err)
{
	struct moved *m = calloc(1, sizeof(*m));

	if (!m)
		return error_set(err, -ENOMEM, "out of memory");
	m->agent = a;
	m->tick = evtimer_new(a->base, on_tick, m);
	*out = m;
	return 0;
}

void moved_close(struct moved *m)
{
	struct awaited *w, *tmp;

	if (!m)
		return;
	HASH_ITER (hh, m->awaited, w, tmp)
		awaited_free(m, w);
	event_free(m->tick);
	free(m);
}
