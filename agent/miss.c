// SPDX-License-Identifier: Apache-2.0
#include "miss.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "across.h"
#include "believe.h"
#include "check.h"
#include "dps.h"
#include "flows.h"
#include "group.h"
#include "install.h"
#include "lib/cleanup.h"
#include "lib/json_text.h"
#include "lib/log.h"
#include "moved.h"
#include "ports.h"
#include "strangers.h"
#include "underlay.h"
#include "watch.h"

/* Bounds of what waits. One pair's first packets are few; a port may have many pairs; the host has some memory. */
#define QUESTION_PACKETS_MAX 2048
#define PORT_QUESTIONS_MAX 8192	 /* without an answer */
#define ALL_QUESTIONS_MAX 131072 /* with those that linger */
#define PORT_BYTES_MAX (4u << 20)
#define ALL_BYTES_MAX (64u << 20)
/* Keys in one request, and requests under way: what is above waits its turn, port by port. */
#define REQUEST_KEYS_MAX 64
#define REQUESTS_MAX 4
/* The service reads 4 KiB at once, and answers what is there by then at once (dps/short.h). */
#define REQUEST_BYTES 3500
/* A packet waits so long for an answer or a next hop; then its sender had better try again. */
#define WAIT_NS (3 * SECOND_NS)
/* A chain that does not come is asked for again with the question. */
#define PROOF_NS SECOND_NS
/* An answered question is remembered for those of its packets that were on their way up. */
#define LINGER_NS (SECOND_NS / 2)
#define RETRY_MS 200
#define TICK_MS 100
/* The answer to a packet may need a second question (its ports), seldom a third (a change meanwhile). */
#define TRIES_MAX 4
_Static_assert(REQUEST_KEYS_MAX <= INSTALL_ANSWERS_MAX && REQUEST_KEYS_MAX <= DOVE_OPENINGS_MAX,
	       "a request's answers go into the maps at once");
/* Translations asked for ahead of their expiry in one go. */
#define REFRESH_AT_ONCE 256
#define SCAN_BATCH 512
#define SCAN_MAX_MS 30000
/* A round that lets questions go may make others ready; those beyond wait for the next tick. */
#define SETTLE_ROUNDS_MAX 4
/* Who sends faster than the agent sends on would never find the way open. */
#define RELEASE_ROUNDS_MAX 32
/* Frames on the wire are no longer than this; so many are sent on before others get their turn. */
#define CUT_FRAME_MAX 16384
#define CUT_AT_ONCE 1024
/* More records than the ring can hold: what waits there now comes out in one go, what comes meanwhile need not. */
#define DRAIN_MAX 32768

struct packet {
	struct packet *prev, *next;
	struct dove_cache_key key;
	uint64_t since;
	uint32_t ifindex;
	uint32_t len, gso_size;
	uint16_t way; /* DOVE_DOOR_*: where it came from */
	uint8_t data[];
};

enum question_state {
	QUEUED,	  /* waits for its port's turn */
	ASKED,	  /* the service has it */
	SERVICES, /* answered; where a service on its path has instances is to come */
	PROOF,	  /* answered; a zone's chain is to come, by which that is proven */
	NEXT_HOP, /* answered; the way to the host is not open yet */
	ANSWERED, /* lingers for stragglers */
};

struct pair {
	struct dove_ip dst;
	uint32_t source;
};

/* An entry that packets still wait for while the question was asked again for another of them. */
struct left_pending {
	struct left_pending *next;
	struct installed in;
};

struct question {
	struct pair pair;
	enum question_state state;
	struct dove_cache_key asked; /* the packet that it is asked for */
	uint32_t least_vnid; /* of this network no answer helps that is older than `least`; 0: any does */
	uint64_t least;
	uint32_t heard_vnid; /* the same, heard of while the service had the question */
	uint64_t heard;
	uint32_t vnid; /* of the source, where it is elsewhere and the packet has said it; else 0 */
	struct packet *waiting;
	uint32_t n_waiting, tries;
	uint64_t changed; /* when it came to its state */
	struct installed in;
	struct left_pending *left; /* list: earlier answers, for other ports of the pair */
	struct port_queue *port;
	struct question *prev, *next; /* in its port's queue, while QUEUED */
	UT_hash_handle hh;
};

/* What one port has waiting. */
struct port_queue {
	uint32_t ifindex;
	uint32_t n_questions, n_open, bytes;
	struct question *queued;
	UT_hash_handle hh;
};

struct request_keys {
	struct miss *miss;
	struct question *at[REQUEST_KEYS_MAX];
	int n;
};

struct miss {
	struct agent *agent;
	struct ring_buffer *ring;
	struct event *readable, *cut, *tick, *retry, *scan;
	struct question *questions;
	struct install_batch batch;
	struct port_queue *ports, *turn;
	struct miss_counters counters;
	uint64_t bytes, lifetime;
	int requests, drained;
	bool consuming, held_back;
	bool settling;	 /* questions are being released: not from within */
	bool opened;	 /* a next hop was found: questions in NEXT_HOP may go on */
	bool stragglers; /* packets came for questions that are answered */
};

const struct miss_counters *miss_counters(const struct miss *m)
{
	return &m->counters;
}

uint32_t miss_waiting(const struct miss *m)
{
	uint32_t n = 0;
	struct question *q, *tmp;

	HASH_ITER (hh, m->questions, q, tmp)
		n += q->n_waiting;
	return n;
}

/* ---- questions and the packets that wait for them ---- */

static struct port_queue *port_queue(struct miss *m, uint32_t ifindex)
{
	struct port_queue *p;

	HASH_FIND(hh, m->ports, &ifindex, sizeof(ifindex), p);
	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		abort();
	p->ifindex = ifindex;
	HASH_ADD(hh, m->ports, ifindex, sizeof(p->ifindex), p);
	return p;
}

/* Ports come and go; none is remembered that asks nothing. */
static void port_queue_free(struct miss *m, struct port_queue *p)
{
	if (m->turn == p)
		m->turn = p->hh.next;
	HASH_DEL(m->ports, p);
	free(p);
}

static void question_state(struct question *q, enum question_state state)
{
	if (q->state == QUEUED && state != QUEUED)
		DL_DELETE(q->port->queued, q);
	else if (q->state != QUEUED && state == QUEUED)
		DL_APPEND(q->port->queued, q);
	q->port->n_open += (state != ANSWERED) - (q->state != ANSWERED);
	q->state = state;
	q->changed = clock_now();
}

static struct question *question_find(const struct miss *m, const struct dove_cache_key *key)
{
	struct pair pair = { .dst = key->dst, .source = key->source };
	struct question *q;

	HASH_FIND(hh, m->questions, &pair, sizeof(pair), q);
	return q;
}

static struct question *question_new(struct miss *m, const struct dove_cache_key *key, uint32_t ifindex)
{
	struct port_queue *port = port_queue(m, ifindex);
	struct question *q;

	if (port->n_open >= PORT_QUESTIONS_MAX || HASH_COUNT(m->questions) >= ALL_QUESTIONS_MAX)
		return NULL;
	q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->pair = (struct pair){ .dst = key->dst, .source = key->source };
	q->asked = *key;
	q->port = port;
	q->changed = clock_now();
	port->n_questions++;
	port->n_open++;
	DL_APPEND(port->queued, q);
	HASH_ADD(hh, m->questions, pair, sizeof(q->pair), q);
	return q;
}

static void packet_drop(struct miss *m, struct question *q, struct packet *p)
{
	DL_DELETE(q->waiting, p);
	q->n_waiting--;
	q->port->bytes -= p->len;
	m->bytes -= p->len;
	free(p);
}

/* Nobody waits any more: new packets may pass in the kernel, by whatever was answered. True: all of it is open. */
static bool question_open(struct miss *m, struct question *q)
{
	struct left_pending *left, *tmp;

	LL_FOREACH_SAFE(q->left, left, tmp)
	{
		if (!install_open(m->agent, &left->in))
			continue;
		LL_DELETE(q->left, left);
		free(left);
	}
	return install_open(m->agent, &q->in) && !q->left;
}

/* Nobody waits here; who came in this moment may be overtaken, which is better than that all wait. */
static void question_open_anyway(struct miss *m, struct question *q)
{
	while (q->left) {
		struct left_pending *left = q->left;

		LL_DELETE(q->left, left);
		install_open_anyway(m->agent, &left->in);
		free(left);
	}
	install_open_anyway(m->agent, &q->in);
}

/* The next answer may be for other ports, and this one's entry is to be opened, too, when the time has come. */
static void question_leave(struct question *q)
{
	struct left_pending *left;

	if (!q->in.t.gate)
		return;
	left = malloc(sizeof(*left));
	if (!left)
		abort();
	left->in = q->in;
	LL_APPEND(q->left, left);
	q->in.t.gate = 0;
}

/* An entry that the new answer has replaced must not come back. */
static void question_forget_left(struct question *q)
{
	struct left_pending *left, *tmp;

	LL_FOREACH_SAFE(q->left, left, tmp)
	{
		if (memcmp(&left->in.key, &q->in.key, sizeof(q->in.key)))
			continue;
		LL_DELETE(q->left, left);
		free(left);
	}
}

static void question_free(struct miss *m, struct question *q)
{
	while (q->waiting)
		packet_drop(m, q, q->waiting);
	question_open_anyway(m, q);
	if (q->state == QUEUED)
		DL_DELETE(q->port->queued, q);
	q->port->n_open -= q->state != ANSWERED;
	if (!--q->port->n_questions)
		port_queue_free(m, q->port);
	HASH_DEL(m->questions, q);
	free(q);
}

static bool packet_wait(struct miss *m, struct question *q, const struct dove_held *held)
{
	struct packet *p;

	if (q->n_waiting >= QUESTION_PACKETS_MAX || q->port->bytes + held->len > PORT_BYTES_MAX ||
	    m->bytes + held->len > ALL_BYTES_MAX)
		return false;
	p = malloc(sizeof(*p) + held->len);
	if (!p)
		return false;
	p->key = held->key;
	p->since = clock_now();
	p->ifindex = held->ifindex;
	p->len = held->len;
	p->gso_size = held->gso_size;
	p->way = held->reason == DOVE_HELD_HOP ? DOVE_DOOR_RECEIVED : DOVE_DOOR_SENT;
	memcpy(p->data, held->data, held->len);
	DL_APPEND(q->waiting, p);
	q->n_waiting++;
	q->port->bytes += p->len;
	m->bytes += p->len;
	return true;
}

/* ---- sending on ---- */

/* Ask again, for this packet: the answer that is there does not decide it. */
static void question_again(struct miss *m, struct question *q, struct packet *p)
{
	if (++q->tries < TRIES_MAX) {
		question_leave(q);
		q->asked = p->key;
		question_state(q, QUEUED);
		return;
	}
	log_warn("a packet to be asked for again and again: dropped (%u waiting)", q->n_waiting);
	m->counters.dropped_late += q->n_waiting;
	while (q->waiting)
		packet_drop(m, q, q->waiting);
}

static int packet_send(struct miss *m, const struct packet *p)
{
	return loader_send_on(m->agent->loader, p->way, p->ifindex, p->data, p->len, p->gso_size);
}

static int packet_try(struct miss *m, struct question *q, const struct packet *p)
{
	int reason = packet_send(m, p);

	if (reason == DOVE_HELD_NEXT_HOP && q->in.has_host && underlay_need(m->agent->underlay, &q->in.host))
		reason = packet_send(m, p);
	return reason;
}

/* True when the packet is done with, whichever way its way ended. */
static bool packet_send_on(struct miss *m, struct question *q, struct packet *p)
{
	int reason = packet_try(m, q, p);

	if (reason == DOVE_HELD_MISS || reason == DOVE_HELD_HOP) {
		question_again(m, q, p);
		return false;
	}
	if (reason == DOVE_HELD_NEXT_HOP) {
		question_state(q, NEXT_HOP);
		return false;
	}
	if (reason < 0 && reason != -EINPROGRESS)
		log_warn("sending a packet on: %s", strerror(-reason));
	else
		m->counters.sent_on++;
	/* The next one may have other ports, and questions of its own. */
	q->tries = 0;
	packet_drop(m, q, p);
	return true;
}

/* True: all that wait are. */
static bool question_send(struct miss *m, struct question *q)
{
	while (q->waiting)
		if (!packet_send_on(m, q, q->waiting))
			return false;
	return true;
}

static void ring_drain(struct miss *m);

/*
 * In order: those that wait, those that came up meanwhile, and only when there
 * are none may new ones pass in the kernel.
 */
static void question_release(struct miss *m, struct question *q)
{
	bool open = false;

	for (int round = 0; round < RELEASE_ROUNDS_MAX && !open; round++) {
		if (!question_send(m, q))
			return;
		ring_drain(m);
		open = !q->waiting && question_open(m, q);
	}
	if (!open)
		question_open_anyway(m, q);
	question_state(q, ANSWERED);
}

/* The same of those that were just answered, with one look at the ring and one call of the kernel for all. */
static void questions_release(struct miss *m, struct question *const *list, int n)
{
	struct installed *ins[REQUEST_KEYS_MAX];
	uint32_t n_ins = 0;

	for (int i = 0; i < n; i++)
		question_send(m, list[i]);
	ring_drain(m);
	for (int i = 0; i < n; i++)
		if (list[i]->state == ANSWERED && !list[i]->waiting && !list[i]->left && list[i]->in.t.gate)
			ins[n_ins++] = &list[i]->in;
	if (n_ins)
		install_open_all(m->agent, ins, n_ins);
	for (int i = 0; i < n; i++)
		if (list[i]->state == ANSWERED && (list[i]->waiting || list[i]->left || list[i]->in.t.gate))
			question_release(m, list[i]);
}

static void ask_queued(struct miss *m);

/*
 * Let go whatever may go now, and ask what is to be asked. Comes after each
 * thing that can have changed either: answers, packets, next hops. A release
 * may find a next hop, too; then the one that is under way takes a further round.
 */
static void settle(struct miss *m)
{
	struct question *q, *tmp;

	if (m->settling)
		return;
	m->settling = true;
	for (int round = 0; round < SETTLE_ROUNDS_MAX && (m->opened || m->stragglers); round++) {
		bool opened = m->opened;

		m->opened = m->stragglers = false;
		HASH_ITER (hh, m->questions, q, tmp)
			if ((opened && q->state == NEXT_HOP) || (q->state == ANSWERED && q->waiting))
				question_release(m, q);
	}
	m->settling = false;
	ask_queued(m);
}

void miss_next_hop(struct miss *m)
{
	if (!m)
		return;
	m->opened = true;
	settle(m);
}

/* ---- asking ---- */

/* Without its braces: there may be more of it. */
static void add_key(struct json_text *out, const struct dove_cache_key *key)
{
	struct ip_addr dst = from_dove_ip(&key->dst);
	uint32_t external = external_of(&key->dst);
	char text[IP_TEXT];

	json_text_uint(out, "source", key->source);
	if (external)
		json_text_uint(out, "destination", external);
	else
		json_text_str(out, "to", ip_format(&dst, text));
	if (key->proto) {
		json_text_uint(out, "proto", key->proto);
		json_text_uint(out, "from_port", key->from_port);
		json_text_uint(out, "to_port", key->to_port);
	}
}

cJSON *miss_key_json(const struct dove_cache_key *key)
{
	struct json_text text = {};
	cJSON *json;

	json_text_open(&text, NULL, '{');
	add_key(&text, key);
	json_text_close(&text, '}');
	json = cJSON_ParseWithLength(text.text, text.len);
	free(text.text);
	return json;
}

static void scan_later(struct miss *m)
{
	/* Several times in the fifth of a lifetime in which entries come due. */
	uint64_t ms = m->lifetime * 1000 / 20 > SCAN_MAX_MS ? SCAN_MAX_MS : m->lifetime * 1000 / 20;
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	evtimer_add(m->scan, &tv);
}

/* How long answers hold is the service's to say, and may change. */
static void lifetime_seen(struct miss *m, const struct dove_translation *t)
{
	uint64_t lifetime = (t->expires - clock_now()) / SECOND_NS + 1;

	if (lifetime == m->lifetime)
		return;
	m->lifetime = lifetime;
	scan_later(m);
}

/* What was heard of meanwhile holds for the next question, if the answer is older than that. */
static bool is_outdated(struct question *q)
{
	bool outdated = q->heard_vnid && q->heard_vnid == q->in.t.vnid && q->in.t.revision < q->heard;

	q->least_vnid = outdated ? q->heard_vnid : 0;
	q->least = outdated ? q->heard : 0;
	q->heard_vnid = 0;
	q->heard = 0;
	return outdated;
}

/* What it is answered by is to be written; true: then it is to be released. */
static bool question_installed(struct miss *m, struct question *q, const cJSON *answer)
{
	struct json_error err = {};

	if (install_answer(m->agent, answer, &q->asked, q->waiting, &m->batch, &q->in, &err)) {
		log_warn("an answer that can't be used: %s: %s", err.field, err.text);
		m->counters.dropped_late += q->n_waiting;
		question_free(m, q);
		return false;
	}
	question_forget_left(q);
	if (is_outdated(q)) {
		question_state(q, QUEUED);
		return false;
	}
	if (q->in.has_host)
		underlay_need(m->agent->underlay, &q->in.host);
	if (q->in.t.verdict == DOVE_VERDICT_ALLOW)
		lifetime_seen(m, &q->in.t);
	if (across_note(m->agent->across, &q->asked, q->vnid, answer) && q->waiting) {
		question_state(q, SERVICES);
		return false;
	}
	question_state(q, ANSWERED);
	return true;
}

/* What is not proven is no reason to give up what was. */
static bool question_answered(struct miss *m, struct question *q, const cJSON *answer)
{
	struct trust_question about = believe_question(m->agent, &q->asked);
	bool installed = false;
	cJSON *proven;
	int rc;

	about.least_vnid = q->least_vnid;
	about.least = q->least;
	rc = believe(m->agent->believe, &about, answer, &proven);
	if (rc == -EAGAIN)
		question_state(q, PROOF);
	else if (rc && !q->waiting)
		question_free(m, q);
	else
		installed = question_installed(m, q, proven ? proven : answer);
	cJSON_Delete(proven);
	return installed;
}

void miss_proven(struct miss *m)
{
	struct question *q, *tmp;

	HASH_ITER (hh, m->questions, q, tmp)
		if (q->state == PROOF)
			question_state(q, QUEUED);
	settle(m);
}

void miss_services(struct miss *m)
{
	struct question *q, *tmp;

	m->settling = true;
	HASH_ITER (hh, m->questions, q, tmp)
		if (q->state == SERVICES) {
			question_state(q, ANSWERED);
			question_release(m, q);
		}
	m->settling = false;
	settle(m);
}

static void retry_later(struct miss *m)
{
	struct timeval tv = { .tv_usec = RETRY_MS * 1000 };

	m->held_back = true;
	evtimer_add(m->retry, &tv);
}

static void on_answers(const struct dps_reply *r, void *arg)
{
	_free_ struct request_keys *keys = arg;
	struct miss *m = keys->miss;
	const cJSON *answers = json_get(r->json, "answers");
	bool good = dps_ok(r) && cJSON_GetArraySize(answers) == keys->n;
	/* The service knows of no such revision: whoever told us of it may not be believed. */
	bool unheard_of = !good && keys->n == 1 && keys->at[0]->least_vnid;
	const cJSON *answer = good ? answers->child : NULL;
	struct question *installed[REQUEST_KEYS_MAX];
	int n_installed = 0;

	m->requests--;
	m->settling = true;
	if (unheard_of) {
		keys->at[0]->least_vnid = 0;
		keys->at[0]->least = 0;
	} else if (!good) {
		if (!m->counters.failed++ || !m->held_back)
			log_warn("asking for translations: %s",
				 r->error[0] ? r->error : "an answer that can't be used");
		retry_later(m);
	}
	for (int i = 0; i < keys->n; i++) {
		struct question *q = keys->at[i];

		if (good) {
			if (question_answered(m, q, answer))
				installed[n_installed++] = q;
		} else if (q->waiting || unheard_of) {
			question_state(q, QUEUED);
		} else {
			question_free(m, q);
		}
		answer = answer ? answer->next : NULL;
	}
	install_write(m->agent, &m->batch);
	questions_release(m, installed, n_installed);
	m->settling = false;
	settle(m);
}

/* The next question, the ports taking turns. */
static struct question *next_question(struct miss *m)
{
	unsigned int ports = HASH_COUNT(m->ports);

	for (unsigned int i = 0; i < ports; i++) {
		struct port_queue *p = m->turn ? m->turn : m->ports;

		m->turn = p->hh.next;
		if (p->queued)
			return p->queued;
	}
	return NULL;
}

static void add_question(struct json_text *out, const struct question *q)
{
	json_text_open(out, NULL, '{');
	add_key(out, &q->asked);
	if (q->least_vnid) {
		json_text_open(out, "least", '{');
		json_text_uint(out, "vnid", q->least_vnid);
		json_text_uint(out, "revision", q->least);
		json_text_close(out, '}');
	}
	if (q->vnid)
		json_text_uint(out, "vnid", q->vnid);
	json_text_close(out, '}');
}

static void ask_some(struct miss *m)
{
	struct request_keys *keys = calloc(1, sizeof(*keys));
	struct json_text body = {};
	struct question *q;

	if (!keys)
		return;
	keys->miss = m;
	json_text_open(&body, NULL, '{');
	json_text_str(&body, "host", m->agent->config.host);
	json_text_open(&body, "keys", '[');
	while (keys->n < REQUEST_KEYS_MAX && body.len < REQUEST_BYTES && (q = next_question(m))) {
		/* By itself: what it is good for is another's word. */
		if (q->least_vnid && keys->n)
			break;
		add_question(&body, q);
		question_state(q, ASKED);
		if (!q->waiting)
			m->counters.refreshed++;
		keys->at[keys->n++] = q;
		if (q->least_vnid)
			break;
	}
	json_text_close(&body, ']');
	json_text_close(&body, '}');
	m->counters.questions += keys->n;
	m->counters.requests++;
	m->requests++;
	dps_call_text(m->agent->dps, "POST", "/v1/resolve", json_text_end(&body), on_answers, keys);
}

static bool anything_queued(const struct miss *m)
{
	for (struct port_queue *p = m->ports; p; p = p->hh.next)
		if (p->queued)
			return true;
	return false;
}

static void ask_queued(struct miss *m)
{
	while (!m->held_back && m->requests < REQUESTS_MAX && anything_queued(m))
		ask_some(m);
}

static void on_retry(evutil_socket_t fd, short what, void *arg)
{
	struct miss *m = arg;

	m->held_back = false;
	ask_queued(m);
}

/* ---- the ring ---- */

/* A packet that was given back is asked for anew, unless that has been done since it was sent. */
static bool answers_returned(const struct question *q, const struct dove_held *held)
{
	return held->reason != DOVE_HELD_RETURNED || (uint32_t)q->in.t.revision != held->sequence;
}

static void packet_take(struct miss *m, const struct dove_held *held)
{
	struct question *q = question_find(m, &held->key);

	if (!q)
		q = question_new(m, &held->key, held->ifindex);
	if (q && (held->reason == DOVE_HELD_HOP || held->reason == DOVE_HELD_PATH))
		q->vnid = held->source_vnid;
	if (!q || !packet_wait(m, q, held))
		m->counters.dropped_bound++;
	else if (q->state == ANSWERED && !answers_returned(q, held)) {
		/* By an answer that was refused already it would come back again. */
		q->asked = held->key;
		question_state(q, QUEUED);
	} else if (q->state == ANSWERED)
		m->stragglers = true;
}

void miss_take(struct miss *m, const struct dove_held *held)
{
	packet_take(m, held);
	settle(m);
}

void miss_path(struct miss *m, const struct dove_cache_key *key, uint32_t vnid)
{
	struct question *q = question_find(m, key);

	if (q)
		return;
	q = question_new(m, key, 0);
	if (q)
		q->vnid = vnid;
	ask_queued(m);
}

static int on_held(void *arg, void *data, size_t size)
{
	struct miss *m = arg;
	const struct dove_held *held = data;

	if (size >= sizeof(*held) && held->len <= size - sizeof(*held)) {
		if (held->group)
			group_take(m->agent->group, held);
		else if (held->reason == DOVE_HELD_UNKNOWN || held->reason == DOVE_HELD_REFUSED)
			check_take(m->agent->check, held);
		else if (held->reason == DOVE_HELD_MOVED)
			moved_take(m->agent->moved, held);
		else if (held->reason == DOVE_HELD_FLOW)
			flows_take(m->agent->flows, held);
		else if (held->reason != DOVE_HELD_HOP || !strangers_take(m->agent->strangers, held))
			packet_take(m, held);
	}
	return ++m->drained < DRAIN_MAX ? 0 : -EAGAIN;
}

static void ring_drain(struct miss *m)
{
	if (m->consuming)
		return;
	m->consuming = true;
	m->drained = 0;
	ring_buffer__consume(m->ring);
	m->consuming = false;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct miss *m = arg;

	ring_drain(m);
	settle(m);
}

void miss_drain(struct miss *m)
{
	ring_drain(m);
}

/* Super-packets of tunnels inside VMs, cut into frames (bpf/send.h): each goes its port's way again. */
static void on_cut(evutil_socket_t fd, short what, void *arg)
{
	static uint8_t frame[CUT_FRAME_MAX];
	struct miss *m = arg;

	for (int i = 0; i < CUT_AT_ONCE; i++) {
		uint32_t ifindex;
		int len = loader_read_cut(m->agent->loader, &ifindex, frame, sizeof(frame));

		if (len == -EAGAIN)
			return;
		if (len <= 0) /* what the kernel itself says on the device */
			continue;
		m->counters.cut++;
		loader_send_on(m->agent->loader, DOVE_DOOR_CUT, ifindex, frame, len, 0);
	}
}

/* ---- time ---- */

static void packets_expire(struct miss *m, struct question *q, uint64_t now)
{
	while (q->waiting && now - q->waiting->since > WAIT_NS) {
		m->counters.dropped_late++;
		packet_drop(m, q, q->waiting);
	}
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct miss *m = arg;
	uint64_t now = clock_now();
	struct question *q, *tmp;

	HASH_ITER (hh, m->questions, q, tmp) {
		packets_expire(m, q, now);
		if (q->state == PROOF && now - q->changed > PROOF_NS)
			question_state(q, QUEUED);
		if (q->waiting || q->state == ASKED)
			continue;
		question_open_anyway(m, q);
		if (now - q->changed > LINGER_NS)
			question_free(m, q);
	}
	settle(m);
}

void miss_refresh(struct miss *m, const struct dove_cache_key *key, uint32_t vnid, uint64_t wanted)
{
	struct question *q = question_find(m, key);

	if (!q) {
		q = question_new(m, key, 0);
	} else if (q->state == ANSWERED && q->in.t.revision < wanted) {
		q->asked = *key;
		question_state(q, QUEUED);
	}
	if (q && q->state == QUEUED && vnid && wanted > q->least) {
		q->least_vnid = vnid;
		q->least = wanted;
	} else if (q && q->state == ASKED && vnid && wanted > q->heard) {
		q->heard_vnid = vnid;
		q->heard = wanted;
	}
	ask_queued(m);
}

static bool holds_older(const struct miss *m, const struct dove_cache_key *key, uint64_t revision)
{
	struct dove_cache_key pair = { .dst = key->dst, .source = key->source };
	struct dove_translation t;

	return (!bpf_map_lookup_elem(m->agent->maps->cache, &pair, &t) ||
		!bpf_map_lookup_elem(m->agent->maps->denied, &pair, &t)) &&
	       t.revision < revision;
}

bool miss_store(struct miss *m, const struct dove_cache_key *key, uint64_t revision, const cJSON *answer)
{
	struct question *q = question_find(m, key);
	struct json_error err = {};
	struct installed in;
	bool installed;

	if (q && q->state == QUEUED) {
		q->asked = *key;
		installed = question_installed(m, q, answer);
		install_write(m->agent, &m->batch);
		if (installed)
			question_release(m, q);
		return true;
	}
	/* The service is being asked, or packets wait under its answer: its word comes, or has come. */
	if (q && (q->state != ANSWERED || q->waiting))
		return false;
	if (!holds_older(m, key, revision))
		return false;
	if (install_answer(m->agent, answer, key, false, &m->batch, &in, &err)) {
		log_warn("a signed translation that can't be used: %s: %s", err.field, err.text);
		return false;
	}
	install_write(m->agent, &m->batch);
	if (in.has_host)
		underlay_need(m->agent->underlay, &in.host);
	return true;
}

/* Spread over the last fifth of the lifetime, the same for an entry each time it is looked at. */
static bool is_due(const struct dove_cache_key *key, const struct dove_translation *t, uint64_t now,
		   uint64_t lifetime)
{
	uint64_t span = lifetime * SECOND_NS / 5;
	uint32_t spread;

	memcpy(&spread, key->dst.b + 12, sizeof(spread));
	spread = (spread ^ key->source) * 2654435761u;
	return t->expires < now + span / 2 + span / 2 * (spread >> 16) / 65536;
}

void miss_walk(const struct miss *m, miss_each *each, void *arg)
{
	static struct dove_cache_key keys[SCAN_BATCH];
	static struct dove_translation values[SCAN_BATCH];
	bool more = true;
	void *from = NULL;
	uint32_t at, n;

	while (more) {
		n = SCAN_BATCH;
		more = !bpf_map_lookup_batch(m->agent->maps->cache, from, &at, keys, values, &n, NULL);
		if (!more && errno != ENOENT)
			return;
		from = &at;
		for (uint32_t i = 0; i < n; i++)
			if (!each(&keys[i], &values[i], arg))
				return;
	}
}

struct scan {
	struct miss *miss;
	uint64_t now;
	uint32_t due;
};

static bool refresh_due(const struct dove_cache_key *key, const struct dove_translation *t, void *arg)
{
	struct scan *scan = arg;

	if (is_due(key, t, scan->now, scan->miss->lifetime) && t->expires > scan->now) {
		miss_refresh(scan->miss, key, 0, t->revision + 1);
		scan->due++;
	}
	return scan->due < REFRESH_AT_ONCE;
}

/* Walk the cache, ask ahead for what will soon expire. */
static void on_scan(evutil_socket_t fd, short what, void *arg)
{
	struct scan scan = { .miss = arg, .now = clock_now() };

	miss_walk(scan.miss, refresh_due, &scan);
	scan_later(scan.miss);
}

struct moved_search {
	struct miss *miss;
	uint32_t vnid;
	const struct ip_addr *addrs;
	int n;
	uint64_t revision;
};

static bool refresh_moved(const struct dove_cache_key *key, const struct dove_translation *t, void *arg)
{
	const struct moved_search *search = arg;
	struct ip_addr dst = from_dove_ip(&key->dst);

	if (t->vnid != search->vnid || t->revision >= search->revision)
		return true;
	for (int i = 0; i < search->n; i++)
		if (ip_equal(&search->addrs[i], &dst))
			miss_refresh(search->miss, key, search->vnid, search->revision);
	return true;
}

void miss_moved(struct miss *m, uint32_t vnid, const struct ip_addr *addrs, int n, uint64_t revision)
{
	struct moved_search search = {
		.miss = m, .vnid = vnid, .addrs = addrs, .n = n, .revision = revision
	};

	miss_walk(m, refresh_moved, &search);
}

struct beyond {
	struct miss *miss;
	uint32_t vnid;
};

static bool give_up_beyond(const struct dove_cache_key *key, const struct dove_translation *t, void *arg)
{
	const struct beyond *b = arg;
	const struct agent *a = b->miss->agent;
	uint32_t from = ports_vnid(a->ports, key->source);

	if ((!from || from == b->vnid) && watch_is_beyond(a->watch, b->vnid, t->vnid))
		bpf_map_delete_elem(a->maps->cache, key);
	return true;
}

void miss_beyond(struct miss *m, uint32_t vnid)
{
	struct beyond b = { .miss = m, .vnid = vnid };

	miss_walk(m, give_up_beyond, &b);
}

int miss_open(struct agent *a, struct miss **out, struct error *err)
{
	struct miss *m = calloc(1, sizeof(*m));
	struct timeval tick = { .tv_usec = TICK_MS * 1000 };

	if (!m)
		return error_set(err, -ENOMEM, "out of memory");
	m->agent = a;
	m->lifetime = 3600;
	m->ring = ring_buffer__new(a->maps->packets, on_held, m, NULL);
	if (!m->ring) {
		free(m);
		return error_set(err, -errno, "dove_packets: %m");
	}
	m->readable =
		event_new(a->base, ring_buffer__epoll_fd(m->ring), EV_READ | EV_PERSIST, on_readable, m);
	m->cut = event_new(a->base, loader_cut_fd(a->loader), EV_READ | EV_PERSIST, on_cut, m);
	m->tick = event_new(a->base, -1, EV_PERSIST, on_tick, m);
	m->retry = evtimer_new(a->base, on_retry, m);
	m->scan = evtimer_new(a->base, on_scan, m);
	event_add(m->readable, NULL);
	event_add(m->cut, NULL);
	event_add(m->tick, &tick);
	event_add(m->scan, &tick);
	*out = m;
	return 0;
}

void miss_close(struct miss *m)
{
	struct question *q, *tmp;

	if (!m)
		return;
	HASH_ITER (hh, m->questions, q, tmp)
		question_free(m, q);
	event_free(m->readable);
	event_free(m->cut);
	event_free(m->tick);
	event_free(m->retry);
	event_free(m->scan);
	ring_buffer__free(m->ring);
	free(m);
}
