// SPDX-License-Identifier: Apache-2.0
#include "check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "believe.h"
#include "dps.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"
#include "maps/wire.h"
#include "miss.h"
#include "watch.h"

/* Questions under way, packets that wait for one, and bytes in all. */
#define QUESTIONS_MAX 256
#define WAITING_MAX 2048
#define BYTES_MAX (8u << 20)

struct packet {
	struct packet *prev, *next;
	uint32_t ifindex, len, gso_size;
	uint8_t data[];
};

/* All that the answer depends on. */
struct asked {
	struct dove_cache_key key;
	uint32_t vnid, policy, sequence;
};

struct question {
	struct asked asked;
	struct packet *waiting;
	uint32_t n_waiting;
	UT_hash_handle hh;
};

struct check {
	struct agent *agent;
	struct question *questions;
	uint64_t bytes;
	struct check_counters counters;
};

/* The question may have gone when the answer comes. */
struct pending {
	struct check *check;
	struct asked asked;
};

const struct check_counters *check_counters(const struct check *c)
{
	return &c->counters;
}

cJSON *check_json(const struct agent *a, const struct dove_held *held)
{
	cJSON *json = miss_key_json(&held->key);

	cJSON_AddNumberToObject(json, "vnid", held->vnid);
	cJSON_AddNumberToObject(json, "policy", held->policy);
	cJSON_AddNumberToObject(json, "sequence", watch_extend(a->watch, held->vnid, held->sequence));
	return json;
}

/* ---- packets that wait ---- */

static void question_free(struct check *c, struct question *q)
{
	struct packet *p, *tmp;

	DL_FOREACH_SAFE(q->waiting, p, tmp)
	{
		DL_DELETE(q->waiting, p);
		c->bytes -= p->len;
		free(p);
	}
	HASH_DEL(c->questions, q);
	free(q);
}

static bool packet_wait(struct check *c, struct question *q, const struct dove_held *held)
{
	struct packet *p;

	if (q->n_waiting >= WAITING_MAX || c->bytes + held->len > BYTES_MAX)
		return false;
	p = malloc(sizeof(*p) + held->len);
	if (!p)
		return false;
	*p = (struct packet){ .ifindex = held->ifindex, .len = held->len, .gso_size = held->gso_size };
	memcpy(p->data, held->data, held->len);
	DL_APPEND(q->waiting, p);
	q->n_waiting++;
	c->bytes += p->len;
	return true;
}

/* ---- the answer ---- */

/* Our option in a frame from the underlay, whose headers the programs have checked; NULL: it is cut off. */
static struct dove_option *option_of(struct packet *p)
{
	const struct ethhdr *eth = (void *)p->data;
	size_t at = sizeof(*eth) + sizeof(struct udphdr) + sizeof(struct geneve_hdr);

	at += eth->h_proto == htons(ETH_P_IPV6) ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
	return p->len < at + sizeof(struct dove_option) ? NULL : (void *)(p->data + at);
}

/* Under another policy than it came with; the programs judge it by that. */
static bool relabel(struct packet *p, uint32_t policy, uint64_t sequence)
{
	struct dove_option *option = option_of(p);

	if (!option)
		return false;
	option->policy = htonl(policy);
	option->sequence = htonl((uint32_t)sequence);
	return true;
}

static void deliver(struct check *c, const struct packet *p)
{
	loader_send_on(c->agent->loader, DOVE_DOOR_RECEIVED, p->ifindex, p->data, p->len, p->gso_size);
}

/* May packets of the question go to their VM under the new answer? Then by which policy, and since when. */
static bool lets(const struct check *c, const cJSON *answer, uint32_t *policy, uint64_t *sequence)
{
	const char *verdict = cJSON_GetStringValue(json_get(answer, "verdict"));
	const char *host = cJSON_GetStringValue(json_get(json_get(answer, "destination"), "host"));
	uint64_t id;

	if (!verdict || strcmp(verdict, "allow") || cJSON_GetArraySize(json_get(answer, "path")) || !host ||
	    strcmp(host, c->agent->config.host) ||
	    !json_whole(json_get(answer, "policy"), 1, UINT32_MAX, &id) ||
	    !json_whole(json_get(answer, "sequence"), 0, JSON_INT_MAX, sequence))
		return false;
	*policy = id;
	return true;
}

static bool lets_now(const struct check *c, const struct question *q, const cJSON *answer, uint32_t *policy,
		     uint64_t *sequence)
{
	struct trust_question about = believe_question(c->agent, &q->asked.key);
	cJSON *proven = NULL;
	bool good = !believe(c->agent->believe, &about, answer, &proven) &&
		    lets(c, proven ? proven : answer, policy, sequence);

	cJSON_Delete(proven);
	return good;
}

static void question_answered(struct check *c, struct question *q, const cJSON *json)
{
	bool current = cJSON_IsTrue(json_get(json, "current"));
	uint64_t sequence = 0;
	uint32_t policy = 0;
	struct packet *p;

	watch_policy(c->agent->watch, q->asked.vnid, json_get(json, "policy"));
	if (!current && (c->agent->config.refused == DOVE_REFUSED_DROP ||
			 !lets_now(c, q, json_get(json, "answer"), &policy, &sequence))) {
		c->counters.dropped += q->n_waiting;
		return;
	}
	DL_FOREACH (q->waiting, p) {
		if (current) {
			c->counters.current++;
			deliver(c, p);
		} else if (relabel(p, policy, sequence)) {
			c->counters.forwarded++;
			deliver(c, p);
		}
	}
}

static void on_answer(const struct dps_reply *r, void *arg)
{
	_free_ struct pending *pending = arg;
	struct check *c = pending->check;
	struct question *q;

	HASH_FIND(hh, c->questions, &pending->asked, sizeof(pending->asked), q);
	if (!q)
		return;
	if (dps_ok(r))
		question_answered(c, q, r->json);
	else
		c->counters.dropped += q->n_waiting;
	question_free(c, q);
}

static struct question *question_new(struct check *c, const struct asked *asked, const struct dove_held *held)
{
	struct question *q = HASH_COUNT(c->questions) < QUESTIONS_MAX ? calloc(1, sizeof(*q)) : NULL;
	struct pending *pending;

	if (!q)
		return NULL;
	q->asked = *asked;
	HASH_ADD(hh, c->questions, asked, sizeof(q->asked), q);
	pending = malloc(sizeof(*pending));
	if (!pending)
		abort();
	*pending = (struct pending){ .check = c, .asked = *asked };
	c->counters.asked++;
	dps_call(c->agent->dps, "POST", "/v1/check", check_json(c->agent, held), on_answer, pending);
	return q;
}

void check_take(struct check *c, const struct dove_held *held)
{
	struct asked asked = {
		.key = held->key, .vnid = held->vnid, .policy = held->policy, .sequence = held->sequence
	};
	struct question *q;

	HASH_FIND(hh, c->questions, &asked, sizeof(asked), q);
	if (!q)
		q = question_new(c, &asked, held);
	if (!q || !packet_wait(c, q, held))
		c->counters.dropped++;
}

int check_open(struct agent *a, struct check **out, struct error *err)
{
	struct check *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(err, -ENOMEM, "out of memory");
	c->agent = a;
	*out = c;
	return 0;
}

void check_close(struct check *c)
{
	struct question *q, *tmp;

	if (!c)
		return;
	HASH_ITER (hh, c->questions, q, tmp)
		question_free(c, q);
	free(c);
}
