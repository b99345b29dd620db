// SPDX-License-Identifier: Apache-2.0
#include "strangers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "across.h"
#include "believe.h"
#include "dps.h"
#include "lib/cleanup.h"
#include "lib/domain.h"
#include "lib/json.h"
#include "lib/log.h"
#include "miss.h"
#include "underlay.h"
#include "watch.h"

#define TICK_MS 50
/* Somebody may make up senders: so many are looked after at once, and so many packets wait for one. */
#define STRANGERS_MAX 64
#define PACKETS_MAX 64
#define BYTES_MAX (1u << 20)
/* As long as packets wait for an answer; as long is it remembered that it was of no use. */
#define WAIT_NS (3 * SECOND_NS)
/* A host that has turned out to be one stays known; that it still is costs another question. */
#define KNOWN_NS (600 * SECOND_NS)

struct packet {
	struct packet *prev, *next;
	struct dove_held *held;
};

struct who {
	struct ip_addr origin;
	uint32_t source, vnid;
};

struct stranger {
	struct who who;
	struct dove_cache_key key; /* of its first packet */
	struct packet *waiting;
	unsigned int n_waiting;
	uint64_t since, again; /* again: to be asked once more; 0: not */
	UT_hash_handle hh;
};

struct strangers {
	struct agent *agent;
	struct stranger *strangers;
	size_t bytes;
	struct event *tick;
	struct strangers_counters counters;
};

struct pending {
	struct strangers *strangers;
	struct who who;
};

const struct strangers_counters *strangers_counters(const struct strangers *s)
{
	return &s->counters;
}

/* The outer header's source, of a frame whose headers the programs have checked. */
static bool origin_of(const struct dove_held *held, struct ip_addr *out)
{
	const struct ethhdr *eth = (const void *)held->data;
	const struct iphdr *ip4 = (const void *)(eth + 1);
	const struct ipv6hdr *ip6 = (const void *)(eth + 1);

	*out = (struct ip_addr){};
	if (held->len < sizeof(*eth) + sizeof(*ip6))
		return false;
	if (eth->h_proto == htons(ETH_P_IPV6)) {
		memcpy(out->b, &ip6->saddr, sizeof(out->b));
		return true;
	}
	out->b[10] = out->b[11] = 0xff;
	memcpy(out->b + 12, &ip4->saddr, sizeof(ip4->saddr));
	return true;
}

/* ---- packets ---- */

static bool packet_wait(struct strangers *s, struct stranger *st, const struct dove_held *held)
{
	size_t len = sizeof(*held) + held->len;
	struct packet *p;

	if (st->n_waiting >= PACKETS_MAX || s->bytes + len > BYTES_MAX)
		return false;
	p = malloc(sizeof(*p));
	if (!p)
		abort();
	p->held = malloc(len);
	if (!p->held)
		abort();
	memcpy(p->held, held, len);
	DL_APPEND(st->waiting, p);
	st->n_waiting++;
	s->bytes += len;
	return true;
}

static void packet_free(struct strangers *s, struct stranger *st, struct packet *p)
{
	DL_DELETE(st->waiting, p);
	st->n_waiting--;
	s->bytes -= sizeof(*p->held) + p->held->len;
	free(p->held);
	free(p);
}

static void stranger_free(struct strangers *s, struct stranger *st)
{
	while (st->waiting)
		packet_free(s, st, st->waiting);
	HASH_DEL(s->strangers, st);
	free(st);
}

/* Its host is known now. At a hop the path may have to be asked for yet: then it waits with those that miss. */
static void let_in(struct strangers *s, struct stranger *st)
{
	struct packet *p;

	s->counters.known++;
	DL_FOREACH (st->waiting, p) {
		int reason = loader_send_on(s->agent->loader, DOVE_DOOR_RECEIVED, p->held->ifindex,
					    p->held->data, p->held->len, p->held->gso_size);

		if (reason == DOVE_HELD_HOP)
			miss_take(s->agent->miss, p->held);
	}
	stranger_free(s, st);
}

/* ---- who is it? ---- */

static void ask(struct strangers *s, struct stranger *st);

/* It may be a hop of the path: then the path says so, and the instances of its services. */
static void ask_path(struct strangers *s, const struct stranger *st)
{
	miss_path(s->agent->miss, &st->key, st->who.vnid);
}

static bool is_there(const struct stranger *st, const struct statement *said)
{
	return said->kind == STATEMENT_PLACE && !said->absent && said->vnid == st->who.vnid &&
	       said->source == st->who.source && ip_equal(&said->to.address, &st->who.origin);
}

static void on_statement(const struct dps_reply *r, void *arg)
{
	_free_ struct pending *pending = arg;
	struct strangers *s = pending->strangers;
	struct statement said;
	struct stranger *st;
	cJSON *answer = NULL;
	int rc;

	HASH_FIND(hh, s->strangers, &pending->who, sizeof(pending->who), st);
	if (!st)
		return;
	rc = believe_statement(s->agent->believe, r, &said, &answer);
	cJSON_Delete(answer);
	if (!rc)
		across_said(s->agent->across, &said);
	if (rc == -EAGAIN) {
		st->again = clock_now() + TICK_MS * 1000000ull;
	} else if (!rc && is_there(st, &said)) {
		underlay_guest(s->agent->underlay, NULL, &st->who.origin, clock_now() + KNOWN_NS);
		let_in(s, st);
	} else {
		ask_path(s, st);
	}
}

static void ask(struct strangers *s, struct stranger *st)
{
	struct pending *pending = malloc(sizeof(*pending));
	cJSON *body = cJSON_CreateObject();
	char text[IP_TEXT];

	if (!pending)
		abort();
	*pending = (struct pending){ .strangers = s, .who = st->who };
	cJSON_AddNumberToObject(body, "vnid", st->who.vnid);
	cJSON_AddNumberToObject(body, "source", st->who.source);
	cJSON_AddStringToObject(body, "address", ip_format(&st->who.origin, text));
	st->again = 0;
	dps_call(s->agent->dps, "POST", "/v1/statement", body, on_statement, pending);
}

/* Only while there is somebody to look after. */
static void tick_later(struct strangers *s)
{
	if (!evtimer_pending(s->tick, NULL))
		evtimer_add(s->tick, &(struct timeval){ .tv_usec = TICK_MS * 1000 });
}

static struct stranger *stranger_new(struct strangers *s, const struct who *who, const struct dove_held *held)
{
	struct stranger *st = HASH_COUNT(s->strangers) < STRANGERS_MAX ? calloc(1, sizeof(*st)) : NULL;

	if (!st)
		return NULL;
	st->who = *who;
	st->key = held->key;
	st->since = clock_now();
	HASH_ADD(hh, s->strangers, who, sizeof(st->who), st);
	tick_later(s);
	s->counters.asked++;
	ask(s, st);
	return st;
}

/* Where networks have no domain there is one authority alone, which has named all its hosts. */
static bool has_others(const struct strangers *s, uint32_t vnid)
{
	char domain[DOMAIN_ROOM];

	return domain_of_name(watch_network_name(s->agent->watch, vnid), domain);
}

bool strangers_take(struct strangers *s, const struct dove_held *held)
{
	struct who who = { .source = held->key.source, .vnid = held->source_vnid };
	struct stranger *st;

	if (!origin_of(held, &who.origin) || underlay_knows(s->agent->underlay, &who.origin))
		return false;
	if (!has_others(s, held->vnid)) {
		s->counters.dropped++;
		return true;
	}
	HASH_FIND(hh, s->strangers, &who, sizeof(who), st);
	if (!st)
		st = stranger_new(s, &who, held);
	if (!st || !packet_wait(s, st, held))
		s->counters.dropped++;
	return true;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct strangers *s = arg;
	uint64_t now = clock_now();
	struct stranger *st, *tmp;

	HASH_ITER (hh, s->strangers, st, tmp) {
		if (underlay_knows(s->agent->underlay, &st->who.origin)) {
			let_in(s, st);
		} else if (now - st->since > WAIT_NS) {
			s->counters.dropped += st->n_waiting;
			stranger_free(s, st);
		} else if (st->again && now >= st->again) {
			ask(s, st);
		}
	}
	if (s->strangers)
		tick_later(s);
}

int strangers_open(struct agent *a, struct strangers **out, struct error *err)
{
	struct strangers *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(err, -ENOMEM, "out of memory");
	s->agent = a;
	s->tick = evtimer_new(a->base, on_tick, s);
	agent_set_budget(a, DOVE_BUDGET_HOST, 1); /* of all that will be guests: those have no ids */
	*out = s;
	return 0;
}

void strangers_close(struct strangers *s)
{
	struct stranger *st, *tmp;

	if (!s)
		return;
	HASH_ITER (hh, s->strangers, st, tmp)
		stranger_free(s, st);
	event_free(s->tick);
	free(s);
}
