// SPDX-License-Identifier: Apache-2.0
#include "group.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "believe.h"
#include "dps.h"
#include "install.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"
#include "miss.h"
#include "ports.h"
#include "underlay.h"
#include "watch.h"

/* Bounds of what waits: a sender's first few for each list, and so many lists at once. */
#define WAITING_MAX 64
#define QUESTIONS_MAX 1024
/* Keys in one request: the service takes 256. */
#define KEYS_MAX 256
#define TARGETS_MAX (DOVE_TARGETS_MAX * DOVE_GROUP_PARTS_MAX)
/* How long the way to a host may take to be found before the copies go without that host's. */
#define NEXT_HOP_MS 300
/* Who sends to many without a pause must not keep the gate shut. */
#define ROUNDS_MAX 64
/* A list holds for one revision; this is for those that nothing changes. */
#define LIST_NS (60 * SECOND_NS)

struct packet {
	struct packet *prev, *next;
	uint16_t way;
	uint32_t ifindex, len, gso_size;
	uint8_t data[];
};

/* One list in the making. */
struct question {
	struct dove_group_key key;
	struct group *group;
	struct packet *waiting;
	uint32_t n_waiting;
	struct port_ref ports[TARGETS_MAX]; /* those of the network here; then those that may have it */
	int n_ports, n_asked, n_allowed;
	struct ip_addr hosts[TARGETS_MAX];
	int n_hosts;
	bool off;
	uint64_t revision;
	struct event *timer;
	UT_hash_handle hh;
};

struct group {
	struct agent *agent;
	struct question *questions;
	struct group_counters counters;
};

const struct group_counters *group_counters(const struct group *g)
{
	return &g->counters;
}

/* ---- packets that wait ---- */

static void packet_wait(struct question *q, const struct dove_held *held)
{
	struct packet *p = q->n_waiting < WAITING_MAX ? malloc(sizeof(*p) + held->len) : NULL;

	if (!p) {
		q->group->counters.dropped++;
		return;
	}
	*p = (struct packet){ .way = q->key.side == DOVE_GROUP_SENT ? DOVE_DOOR_SENT : DOVE_DOOR_RECEIVED,
			      .ifindex = held->ifindex,
			      .len = held->len,
			      .gso_size = held->gso_size };
	memcpy(p->data, held->data, held->len);
	DL_APPEND(q->waiting, p);
	q->n_waiting++;
}

static void question_free(struct question *q)
{
	struct packet *p, *tmp;

	DL_FOREACH_SAFE(q->waiting, p, tmp)
	{
		DL_DELETE(q->waiting, p);
		free(p);
	}
	if (q->timer)
		event_free(q->timer);
	HASH_DEL(q->group->questions, q);
	free(q);
}

static void question_fail(struct question *q, const char *why)
{
	log_warn("a broadcast of endpoint %u: %s", q->key.source, why);
	q->group->counters.dropped += q->n_waiting;
	question_free(q);
}

/* ---- the list ---- */

/* Parts come in the order of their kinds; the last one says that none follows. */
struct writer {
	struct question *q;
	struct dove_group part;
	uint8_t n_parts;
	uint64_t gate, expires;
};

static void part_store(struct writer *w, bool more)
{
	struct dove_group_key key = w->q->key;

	key.part = w->n_parts++;
	w->part.revision = w->q->revision;
	w->part.expires = w->expires;
	w->part.gate = w->gate;
	w->part.off = w->q->off;
	w->part.more = more;
	if (bpf_map_update_elem(w->q->group->agent->maps->groups, &key, &w->part, BPF_ANY))
		log_error("dove_groups: %s", strerror(errno));
	w->part = (struct dove_group){};
}

static void target_add(struct writer *w, uint8_t kind, const struct dove_target *target)
{
	if (w->part.n && (w->part.kind != kind || w->part.n == DOVE_TARGETS_MAX)) {
		if (w->n_parts == DOVE_GROUP_PARTS_MAX - 1)
			return;
		part_store(w, true);
	}
	w->part.kind = kind;
	w->part.at[w->part.n++] = *target;
}

/* Returns when it expires, by which dove_open_group knows it. */
static uint64_t list_store(struct question *q, uint64_t gate)
{
	struct writer w = { .q = q, .gate = gate, .expires = clock_now() + LIST_NS };

	for (int i = 0; i < q->n_allowed; i++)
		target_add(&w, DOVE_GROUP_PORTS,
			   &(struct dove_target){ .ifindex = q->ports[i].ifindex,
						  .endpoint = q->ports[i].endpoint });
	for (int v6 = 0; v6 < 2; v6++)
		for (int i = 0; i < q->n_hosts; i++)
			if (ip_is_v4(&q->hosts[i]) != v6)
				target_add(&w, v6 ? DOVE_GROUP_HOSTS_V6 : DOVE_GROUP_HOSTS_V4,
					   &(struct dove_target){ .host = to_dove_ip(&q->hosts[i]) });
	part_store(&w, false);
	return w.expires;
}

static void waiting_send(struct question *q)
{
	struct packet *p, *tmp;

	DL_FOREACH_SAFE(q->waiting, p, tmp)
	{
		loader_send_on(q->group->agent->loader, p->way, p->ifindex, p->data, p->len, p->gso_size);
		DL_DELETE(q->waiting, p);
		q->n_waiting--;
		free(p);
	}
}

/* Nobody waits, and nobody is between the gate and the ring: from now on all go by. */
static bool list_opened(struct question *q, struct dove_group_opening *opening)
{
	if (q->waiting)
		return false;
	/* What is not all in the ring yet can't be as expected, and is looked at again. */
	if (!install_all_held(opening->gate))
		opening->gate = 0;
	return loader_open_group(q->group->agent->loader, opening);
}

/* First those that wait, and those that came up meanwhile; then the list is open to all. */
static void list_release(struct question *q)
{
	struct dove_group_opening opening = { .key = q->key, .gate = DOVE_GATE_SHUT };
	int rounds = 0;

	opening.expires = list_store(q, DOVE_GATE_SHUT);
	do {
		waiting_send(q);
		miss_drain(q->group->agent->miss);
	} while (!list_opened(q, &opening) && ++rounds < ROUNDS_MAX);
	waiting_send(q);
	if (rounds == ROUNDS_MAX)
		list_store(q, 0);
	q->group->counters.lists++;
	question_free(q);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	list_release(arg);
}

static void list_done(struct question *q)
{
	struct timeval tv = { .tv_usec = NEXT_HOP_MS * 1000 };
	bool open = true;

	for (int i = 0; i < q->n_hosts; i++)
		open &= underlay_need(q->group->agent->underlay, &q->hosts[i]);
	if (open) {
		list_release(q);
		return;
	}
	q->timer = evtimer_new(q->group->agent->base, on_timer, q);
	evtimer_add(q->timer, &tv);
}

/* ---- asking ---- */

static void ask_ports(struct question *q);

/* The question may have gone, with its agent's room, while the service thought about it. */
struct asked {
	struct group *group;
	struct dove_group_key key;
	int n;
};

static struct question *question_find(const struct group *g, const struct dove_group_key *key)
{
	struct question *q;

	HASH_FIND(hh, g->questions, key, sizeof(*key), q);
	return q;
}

static struct asked *asked_new(const struct question *q)
{
	struct asked *asked = malloc(sizeof(*asked));

	if (!asked)
		abort();
	*asked = (struct asked){ .group = q->group, .key = q->key };
	return asked;
}

static bool lets_through(const cJSON *answer)
{
	const char *verdict = cJSON_GetStringValue(json_get(answer, "verdict"));

	return verdict && !strcmp(verdict, "allow") && !cJSON_GetArraySize(json_get(answer, "path"));
}

static void revision_seen(struct question *q, const cJSON *json, const char *field)
{
	uint64_t revision;

	if (json_whole(json_get(json, field), 0, JSON_INT_MAX, &revision) && revision < q->revision)
		q->revision = revision;
}

/* May the port have it? -EAGAIN: that is not proven yet. */
static int allow(struct question *q, const struct port_ref *port, const cJSON *answer)
{
	const struct trust_question about = { .source = q->key.source,
					      .vnid = q->key.side == DOVE_GROUP_SENT ? q->key.vnid : 0,
					      .destination = port->endpoint,
					      .proto = q->key.proto,
					      .from_port = q->key.from_port,
					      .to_port = q->key.to_port };
	cJSON *proven;
	int rc = believe(q->group->agent->believe, &about, answer, &proven);

	if (!rc && lets_through(proven ? proven : answer))
		q->ports[q->n_allowed++] = *port;
	cJSON_Delete(proven);
	return rc == -EAGAIN ? rc : 0;
}

static void on_answers(const struct dps_reply *r, void *arg)
{
	_free_ struct asked *asked = arg;
	struct question *q = question_find(asked->group, &asked->key);
	const cJSON *answers = json_get(r->json, "answers"), *answer;
	int i = q ? q->n_asked - asked->n : 0;

	if (!q)
		return;
	if (!dps_ok(r) || cJSON_GetArraySize(answers) != asked->n) {
		question_fail(q, r->error[0] ? r->error : "an answer that can't be used");
		return;
	}
	cJSON_ArrayForEach (answer, answers) {
		uint64_t vnid = 0;

		if (json_whole(json_get(answer, "vnid"), 1, 0xffffff, &vnid) && vnid == q->key.vnid)
			revision_seen(q, answer, "sequence");
		if (allow(q, &q->ports[i++], answer)) {
			question_fail(q, "an answer is not proven yet");
			return;
		}
	}
	ask_ports(q);
}

static cJSON *key_json(const struct question *q, const struct port_ref *port)
{
	cJSON *key = cJSON_CreateObject();

	cJSON_AddNumberToObject(key, "source", q->key.source);
	cJSON_AddNumberToObject(key, "destination", port->endpoint);
	cJSON_AddNumberToObject(key, "proto", q->key.proto);
	cJSON_AddNumberToObject(key, "from_port", q->key.from_port);
	cJSON_AddNumberToObject(key, "to_port", q->key.to_port);
	return key;
}

/* Which of the ports here may have it; as many requests as it takes, one after the other. */
static void ask_ports(struct question *q)
{
	struct asked *asked;
	cJSON *body, *keys;

	if (q->n_asked == q->n_ports) {
		list_done(q);
		return;
	}
	asked = asked_new(q);
	body = cJSON_CreateObject();
	keys = cJSON_AddArrayToObject(body, "keys");
	while (q->n_asked < q->n_ports && asked->n < KEYS_MAX) {
		cJSON_AddItemToArray(keys, key_json(q, &q->ports[q->n_asked++]));
		asked->n++;
	}
	dps_call(q->group->agent->dps, "POST", "/v1/resolve", body, on_answers, asked);
}

static void host_add(struct question *q, const cJSON *host)
{
	struct ip_addr addr;

	if (underlay_choose(q->group->agent->underlay, json_get(host, "addresses"), &addr) ||
	    underlay_is_self(q->group->agent->underlay, &addr) || q->n_hosts == TARGETS_MAX)
		return;
	q->hosts[q->n_hosts++] = addr;
}

static void on_members(const struct dps_reply *r, void *arg)
{
	_free_ struct asked *asked = arg;
	struct question *q = question_find(asked->group, &asked->key);
	const cJSON *host;

	if (!q)
		return;
	if (!dps_ok(r)) {
		question_fail(q, r->error);
		return;
	}
	revision_seen(q, r->json, "revision");
	q->off = cJSON_IsFalse(json_get(r->json, "broadcast"));
	cJSON_ArrayForEach (host, json_get(r->json, "hosts"))
		host_add(q, host);
	if (q->off)
		q->n_ports = q->n_hosts = 0;
	ask_ports(q);
}

static void ask_members(struct question *q)
{
	cJSON *body = cJSON_CreateObject();

	cJSON_AddNumberToObject(body, "vnid", q->key.vnid);
	cJSON_AddNumberToObject(body, "source", q->key.source);
	dps_call(q->group->agent->dps, "POST", "/v1/members", body, on_members, asked_new(q));
}

static struct question *question_new(struct group *g, const struct dove_group_key *key)
{
	struct question *q = HASH_COUNT(g->questions) < QUESTIONS_MAX ? calloc(1, sizeof(*q)) : NULL;
	int n;

	if (!q)
		return NULL;
	q->group = g;
	q->key = *key;
	/* The list can't be newer than what this host knows of the network's ports. */
	q->revision = watch_revision(g->agent->watch, key->vnid);
	n = ports_in(g->agent->ports, key->vnid, q->ports, TARGETS_MAX);
	for (int i = 0; i < n; i++)
		if (q->ports[i].endpoint != key->source)
			q->ports[q->n_ports++] = q->ports[i];
	HASH_ADD(hh, g->questions, key, sizeof(q->key), q);
	return q;
}

void group_take(struct group *g, const struct dove_held *held)
{
	struct dove_group_key key = { .vnid = held->vnid,
				      .source = held->key.source,
				      .from_port = held->key.from_port,
				      .to_port = held->key.to_port,
				      .proto = held->key.proto,
				      .side = held->group - 1 };
	struct question *q = question_find(g, &key);

	if (q) {
		packet_wait(q, held);
		return;
	}
	q = question_new(g, &key);
	if (!q) {
		g->counters.dropped++;
		return;
	}
	packet_wait(q, held);
	if (key.side == DOVE_GROUP_SENT)
		ask_members(q);
	else
		ask_ports(q);
}

int group_open(struct agent *a, struct group **out, struct error *err)
{
	struct group *g = calloc(1, sizeof(*g));

	if (!g)
		return error_set(err, -ENOMEM, "out of memory");
	g->agent = a;
	*out = g;
	return 0;
}

void group_close(struct group *g)
{
	struct question *q, *tmp;

	if (!g)
		return;
	HASH_ITER (hh, g->questions, q, tmp)
		question_free(q);
	free(g);
}
