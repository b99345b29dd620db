// SPDX-License-Identifier: Apache-2.0
#include "flows.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#include "believe.h"
#include "dps.h"
#include "hint.h"
#include "lib/cleanup.h"
#include "lib/json.h"
#include "lib/log.h"
#include "ports.h"

/* Replies that wait for one flow's question, and such questions at once. */
#define WAITING_MAX 32
#define QUESTIONS_MAX 4096

struct packet {
	struct packet *prev, *next;
	uint32_t ifindex, len, gso_size;
	uint8_t data[];
};

struct question {
	struct dove_flow_key key;
	struct flows *flows;
	struct packet *waiting;
	uint32_t n_waiting;
	UT_hash_handle hh;
};

struct flows {
	struct agent *agent;
	struct question *questions;
	struct flows_counters counters;
};

const struct flows_counters *flows_counters(const struct flows *f)
{
	return &f->counters;
}

/* ---- which flow a reply belongs to ---- */

/* ICMP echo replies by their identifier; errors about a flow are left to the flow's other packets. */
static bool icmp_ports(const uint8_t *icmp, const uint8_t *end, uint8_t reply, struct dove_flow_key *key)
{
	if (icmp + 8 > end || icmp[0] != reply)
		return false;
	key->from_port = key->to_port = icmp[4] << 8 | icmp[5];
	return true;
}

static bool key_of(const struct dove_held *held, struct dove_flow_key *key)
{
	const uint8_t *ip = held->data + ETH_HLEN, *end = held->data + held->len;

	*key = (struct dove_flow_key){ .dst = held->key.dst,
				       .source = held->key.source,
				       .from_port = held->key.from_port,
				       .to_port = held->key.to_port,
				       .proto = held->key.proto };
	if (ip + 40 > end)
		return false;
	if (ip[0] >> 4 == 6) {
		memcpy(key->src.b, ip + 8, 16);
		return key->proto != IPPROTO_ICMPV6 || icmp_ports(ip + 40, end, 129, key);
	}
	key->src = (struct dove_ip){ .b = { [10] = 0xff, [11] = 0xff } };
	memcpy(key->src.b + 12, ip + 12, 4);
	return key->proto != IPPROTO_ICMP || icmp_ports(ip + (ip[0] & 0xf) * 4, end, 0, key);
}

/* ---- asking again ---- */

static void question_free(struct question *q)
{
	struct packet *p, *tmp;

	DL_FOREACH_SAFE(q->waiting, p, tmp)
	{
		DL_DELETE(q->waiting, p);
		free(p);
	}
	HASH_DEL(q->flows->questions, q);
	free(q);
}

static void packet_wait(struct question *q, const struct dove_held *held)
{
	struct packet *p = q->n_waiting < WAITING_MAX ? malloc(sizeof(*p) + held->len) : NULL;

	if (!p) {
		q->flows->counters.dropped++;
		return;
	}
	*p = (struct packet){ .ifindex = held->ifindex, .len = held->len, .gso_size = held->gso_size };
	memcpy(p->data, held->data, held->len);
	DL_APPEND(q->waiting, p);
	q->n_waiting++;
}

/* The question may have gone while the service thought about it. */
struct asked {
	struct flows *flows;
	struct dove_flow_key key;
	uint32_t peer;
};

/* The service lets it through today: so it was let through today. */
static bool flow_enter(struct flows *f, const struct dove_flow_key *key, const cJSON *answer)
{
	const char *verdict = cJSON_GetStringValue(json_get(answer, "verdict"));
	uint64_t sequence, policy, vnid;
	struct dove_flow flow;

	if (!verdict || strcmp(verdict, "allow") || !cJSON_IsTrue(json_get(answer, "reply")) ||
	    !json_whole(json_get(answer, "sequence"), 0, JSON_INT_MAX, &sequence) ||
	    !json_whole(json_get(answer, "policy"), 1, UINT32_MAX, &policy) ||
	    !json_whole(json_get(answer, "vnid"), 1, 0xffffff, &vnid) ||
	    bpf_map_lookup_elem(f->agent->maps->flows, key, &flow))
		return false;
	flow.revision = sequence;
	flow.policy = policy;
	flow.vnid = vnid;
	return !bpf_map_update_elem(f->agent->maps->flows, key, &flow, BPF_EXIST);
}

static bool flow_renew(struct flows *f, const struct asked *asked, const cJSON *answer)
{
	const struct dove_flow_key *key = &asked->key;
	const struct trust_question about = { .source = asked->peer,
					      .destination = key->source,
					      .proto = key->proto,
					      .from_port = key->to_port,
					      .to_port = key->from_port };
	cJSON *proven = NULL;
	bool good = !believe(f->agent->believe, &about, answer, &proven) &&
		    flow_enter(f, key, proven ? proven : answer);

	cJSON_Delete(proven);
	return good;
}

static void on_answer(const struct dps_reply *r, void *arg)
{
	_free_ struct asked *asked = arg;
	struct flows *f = asked->flows;
	struct question *q;
	struct packet *p;

	HASH_FIND(hh, f->questions, &asked->key, sizeof(asked->key), q);
	if (!q)
		return;
	if (!dps_ok(r)) {
		f->counters.dropped += q->n_waiting;
	} else if (flow_renew(f, asked, cJSON_GetArrayItem(json_get(r->json, "answers"), 0))) {
		DL_FOREACH (q->waiting, p)
			loader_send_on(f->agent->loader, DOVE_DOOR_SENT, p->ifindex, p->data, p->len,
				       p->gso_size);
	} else {
		f->counters.ended++;
		bpf_map_delete_elem(f->agent->maps->flows, &q->key);
	}
	question_free(q);
}

/* The question is that of the flow's own direction: may its first packet still pass? */
static void ask(struct question *q, uint32_t peer)
{
	struct asked *asked = malloc(sizeof(*asked));
	cJSON *body = cJSON_CreateObject(), *keys = cJSON_AddArrayToObject(body, "keys");
	cJSON *key = cJSON_CreateObject();

	if (!asked)
		abort();
	*asked = (struct asked){ .flows = q->flows, .key = q->key, .peer = peer };
	cJSON_AddNumberToObject(key, "source", peer);
	cJSON_AddNumberToObject(key, "destination", q->key.source);
	cJSON_AddNumberToObject(key, "proto", q->key.proto);
	cJSON_AddNumberToObject(key, "from_port", q->key.to_port);
	cJSON_AddNumberToObject(key, "to_port", q->key.from_port);
	cJSON_AddItemToArray(keys, key);
	q->flows->counters.asked++;
	dps_call(q->flows->agent->dps, "POST", "/v1/resolve", body, on_answer, asked);
}

static struct question *question_new(struct flows *f, const struct dove_flow_key *key)
{
	struct question *q = HASH_COUNT(f->questions) < QUESTIONS_MAX ? calloc(1, sizeof(*q)) : NULL;

	if (!q)
		return NULL;
	q->flows = f;
	q->key = *key;
	HASH_ADD(hh, f->questions, key, sizeof(q->key), q);
	return q;
}

void flows_take(struct flows *f, const struct dove_held *held)
{
	struct dove_flow_key key;
	struct dove_flow flow;
	struct question *q;

	if (!key_of(held, &key) || bpf_map_lookup_elem(f->agent->maps->flows, &key, &flow)) {
		f->counters.dropped++;
		return;
	}
	HASH_FIND(hh, f->questions, &key, sizeof(key), q);
	if (q) {
		packet_wait(q, held);
		return;
	}
	q = question_new(f, &key);
	if (!q) {
		f->counters.dropped++;
		return;
	}
	packet_wait(q, held);
	ask(q, flow.peer);
}

/* ---- moving with their VM ---- */

void flows_move(struct flows *f, uint32_t endpoint, const struct ip_addr *host)
{
	int fd = f->agent->maps->flows;
	struct dove_flow_key key, next;
	struct dove_flow flow;
	bool have = !bpf_map_get_next_key(fd, NULL, &next);

	while (have) {
		key = next;
		/* Step on before the key goes: from one that is gone the walk would begin anew. */
		have = !bpf_map_get_next_key(fd, &key, &next);
		if (key.source != endpoint || bpf_map_lookup_elem(fd, &key, &flow))
			continue;
		if (host) {
			hint_flow(f->agent->hint, host, &key, &flow);
			f->counters.sent++;
		}
		bpf_map_delete_elem(fd, &key);
	}
}

void flows_receive(struct flows *f, const struct dove_flow_key *key, const struct dove_flow *flow)
{
	struct dove_flow row = *flow;

	if (!ports_endpoint(f->agent->ports, key->source, flow->vnid))
		return;
	row.seen = clock_now();
	row.revision = 0;
	if (!bpf_map_update_elem(f->agent->maps->flows, key, &row, BPF_NOEXIST))
		f->counters.received++;
}

int flows_open(struct agent *a, struct flows **out, struct error *err)
{
	struct flows *f = calloc(1, sizeof(*f));

	if (!f)
		return error_set(err, -ENOMEM, "out of memory");
	f->agent = a;
	*out = f;
	return 0;
}

void flows_close(struct flows *f)
{
	struct question *q, *tmp;

	if (!f)
		return;
	HASH_ITER (hh, f->questions, q, tmp)
		question_free(q);
	free(f);
}
