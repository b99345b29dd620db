// SPDX-License-Identifier: Apache-2.0
#include "hint.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <uthash.h>

#include "chains.h"
#include "dps.h"
#include "flows.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/translation.h"
#include "maps/wire.h"
#include "miss.h"
#include "trust.h"
#include "underlay.h"

/* More than a host whose origins are all stale at once has to send, or to take; and from, or to, one of them. */
#define PER_SECOND_MAX 2000
#define PER_PEER_MAX 200
#define PER_WAKEUP_MAX 256
#define RECEIVE_BUFFER (4 << 20)
/* Messages that wait for what they are to carry. */
#define ASKED_MAX 1024

struct bucket {
	uint64_t second;
	uint32_t used;
};

/* Another host: what it may cost of what all may. */
struct peer {
	struct ip_addr addr;
	struct bucket out, in;
	UT_hash_handle hh;
};

struct hint {
	struct agent *agent;
	int fd;
	struct event *readable;
	struct peer *peers;
	struct bucket out, in;
	int asked;
	struct hint_counters counters;
};

const struct hint_counters *hint_counters(const struct hint *h)
{
	return &h->counters;
}

static bool bucket_takes(struct bucket *b, uint32_t most)
{
	uint64_t second = clock_now() / SECOND_NS;

	if (b->second != second)
		*b = (struct bucket){ .second = second };
	return b->used++ < most;
}

/* Only of known hosts, so there are no more than those. */
static struct peer *peer_of(struct hint *h, const struct ip_addr *addr)
{
	struct peer *p;

	HASH_FIND(hh, h->peers, addr, sizeof(*addr), p);
	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		abort();
	p->addr = *addr;
	HASH_ADD(hh, h->peers, addr, sizeof(p->addr), p);
	return p;
}

static struct dove_cache_key key_of(const struct dove_event *ev)
{
	return (struct dove_cache_key){ .dst = ev->dst,
					.source = ev->source,
					.from_port = ev->from_port,
					.to_port = ev->to_port,
					.proto = ev->proto,
					.exact = 1 };
}

/* ---- sending ---- */

/* One socket for both families: an IPv4 address is ::ffff:a.b.c.d to it, as it is to us. */
static bool message_send(struct hint *h, const struct ip_addr *host, const struct hint_message *m)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(DOVE_CONTROL_PORT) };
	uint8_t buf[HINT_DATAGRAM_MAX];
	size_t len = hint_write(m, buf, sizeof(buf));

	memcpy(&to.sin6_addr, host->b, sizeof(to.sin6_addr));
	return len &&
	       sendto(h->fd, buf, len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) == (ssize_t)len;
}

/* ---- what it carries ---- */

/* The peer is known by its address: the hint may wait longer than the peer is remembered. */
struct asked {
	struct hint *hint;
	struct hint_message m;
};

static void sent(struct hint *h, const struct hint_message *m)
{
	struct ip_addr origin = from_dove_ip(&m->ev.origin);

	if (!message_send(h, &origin, m))
		return;
	h->counters.sent++;
	h->counters.attached += m->signature.len != 0;
}

/* The one signed translation of an answer, if there is one and it fits; both halves of two authorities would not. */
static void attach(const cJSON *answer, struct hint_signed *out)
{
	const cJSON *list = json_get(answer, "signed");
	struct translation_doc doc = {};
	struct json_error err;

	if (cJSON_GetArraySize(list) != 1 || translation_doc_parse(list->child, &doc, &err))
		return;
	if (doc.len <= sizeof(out->body) && strlen(doc.key) == sizeof(out->key) - 1) {
		out->len = doc.len;
		memcpy(out->body, doc.body, doc.len);
		memcpy(out->key, doc.key, sizeof(out->key));
		memcpy(out->sig, doc.sig, sizeof(out->sig));
	}
	translation_doc_free(&doc);
}

static void on_checked(const struct dps_reply *r, void *arg)
{
	_free_ struct asked *asked = arg;

	asked->hint->asked--;
	/* The service may know what we do not: then nothing is old. */
	if (dps_ok(r) && cJSON_IsTrue(json_get(r->json, "current")))
		return;
	if (dps_ok(r))
		attach(json_get(r->json, "answer"), &asked->m.signature);
	sent(asked->hint, &asked->m);
}

static void ask(struct hint *h, const struct hint_message *m)
{
	struct dove_cache_key key = key_of(&m->ev);
	cJSON *body = miss_key_json(&key);
	struct asked *asked = malloc(sizeof(*asked));

	if (!asked)
		abort();
	*asked = (struct asked){ .hint = h, .m = *m };
	cJSON_AddNumberToObject(body, "vnid", m->ev.vnid);
	cJSON_AddNumberToObject(body, "policy", m->ev.policy);
	cJSON_AddNumberToObject(body, "sequence", m->ev.sequence);
	h->asked++;
	h->counters.asked++;
	dps_call(h->agent->dps, "POST", "/v1/check", body, on_checked, asked);
}

void hint_send(struct hint *h, const struct dove_event *ev)
{
	struct hint_message m = { .ev = *ev };
	struct ip_addr origin = from_dove_ip(&ev->origin);

	/* Who only sent it on has no translation of it; and has told its origin. */
	if (!h->agent->config.hints || ev->relays || underlay_is_self(h->agent->underlay, &origin))
		return;
	/* What is refused next can be given back. */
	underlay_need(h->agent->underlay, &origin);
	if (!bucket_takes(&peer_of(h, &origin)->out, PER_PEER_MAX) ||
	    !bucket_takes(&h->out, PER_SECOND_MAX)) {
		h->counters.limited++;
		return;
	}
	if (h->agent->config.attach && h->asked < ASKED_MAX)
		ask(h, &m);
	else
		sent(h, &m);
}

void hint_flow(struct hint *h, const struct ip_addr *host, const struct dove_flow_key *key,
	       const struct dove_flow *flow)
{
	struct hint_message m = { .src = key->src,
				  .peer = flow->peer,
				  .ev = { .type = HINT_FLOW,
					  .vnid = flow->vnid,
					  .policy = flow->policy,
					  .sequence = flow->revision,
					  .dst = key->dst,
					  .source = key->source,
					  .proto = key->proto,
					  .from_port = key->from_port,
					  .to_port = key->to_port } };

	if (message_send(h, host, &m))
		h->counters.sent++;
}

/* ---- taking ---- */

/* Do we hold what it speaks of, and is ours older? Then the service may tell more. */
static bool concerns_us(struct agent *a, const struct dove_event *ev, uint64_t wanted)
{
	struct dove_cache_key key = { .dst = ev->dst, .source = ev->source };
	struct dove_translation t;

	return !bpf_map_lookup_elem(a->maps->cache, &key, &t) && t.revision < wanted;
}

static void flow_take(struct hint *h, const struct hint_message *m)
{
	struct dove_flow_key key = { .src = m->src,
				     .dst = m->ev.dst,
				     .source = m->ev.source,
				     .from_port = m->ev.from_port,
				     .to_port = m->ev.to_port,
				     .proto = m->ev.proto };
	struct dove_flow flow = { .vnid = m->ev.vnid, .policy = m->ev.policy, .peer = m->peer };

	flows_receive(h->agent->flows, &key, &flow);
}

static void stale_take(struct hint *h, const struct dove_event *ev)
{
	uint64_t wanted = ev->wanted > ev->sequence ? ev->wanted : ev->sequence + 1;
	struct dove_cache_key key = key_of(ev);

	if (concerns_us(h->agent, ev, wanted))
		miss_refresh(h->agent->miss, &key, ev->vnid, wanted);
	else
		h->counters.useless++;
}

/*
 * A translation that its authority signed: of the pair that the message is
 * about, and of now. Whether it is newer than what is held miss_store() sees.
 */
static bool signed_take(struct hint *h, const struct hint_message *m)
{
	struct translation_doc doc = { .body = (uint8_t *)m->signature.body, .len = m->signature.len };
	struct ip_addr dst = from_dove_ip(&m->ev.dst);
	struct dove_cache_key key = key_of(&m->ev);
	struct translation t;
	int64_t now = time(NULL);
	cJSON *answer;
	bool stored;
	int rc;

	memcpy(doc.key, m->signature.key, sizeof(doc.key));
	memcpy(doc.sig, m->signature.sig, sizeof(doc.sig));
	rc = trust_open(h->agent->config.trust, &doc, now, &t);
	if (rc == -ENOKEY) /* the next one will be believed; this is a hint meanwhile */
		chains_want(h->agent->chains, t.zone);
	if (rc || t.source != m->ev.source || t.beyond || !t.has_address || !ip_equal(&t.address, &dst)) {
		h->counters.distrusted++;
		return false;
	}
	/* It holds for such packets only: those are what it is entered for, whatever the message says it is about. */
	if (t.scope && !t.n_rules) {
		key.proto = t.proto;
		key.from_port = t.from_port;
		key.to_port = t.to_port;
	}
	answer = translation_answer(&t, now);
	stored = miss_store(h->agent->miss, &key, t.sequence, answer);
	cJSON_Delete(answer);
	h->counters.stored += stored;
	h->counters.useless += !stored;
	return true;
}

static void hint_take(struct hint *h, const struct ip_addr *from, const void *data, size_t len)
{
	struct hint_message m;

	if (!underlay_knows(h->agent->underlay, from) || underlay_is_self(h->agent->underlay, from) ||
	    hint_parse(data, len, &m)) {
		h->counters.refused++;
		return;
	}
	if (m.ev.type != HINT_FLOW &&
	    (!bucket_takes(&peer_of(h, from)->in, PER_PEER_MAX) || !bucket_takes(&h->in, PER_SECOND_MAX))) {
		h->counters.limited++;
		return;
	}
	h->counters.received++;
	if (m.ev.type == HINT_FLOW)
		flow_take(h, &m);
	else if (!m.signature.len || !signed_take(h, &m))
		stale_take(h, &m.ev);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct hint *h = arg;
	struct sockaddr_in6 from = {};
	uint8_t buf[HINT_DATAGRAM_MAX + 1];

	for (int i = 0; i < PER_WAKEUP_MAX; i++) {
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
		struct ip_addr addr;

		if (n < 0)
			return;
		memcpy(addr.b, &from.sin6_addr, sizeof(addr.b));
		hint_take(h, &addr, buf, n);
	}
}

int hint_open(struct agent *a, struct hint **out, struct error *err)
{
	struct sockaddr_in6 self = { .sin6_family = AF_INET6, .sin6_port = htons(DOVE_CONTROL_PORT) };
	struct hint *h = calloc(1, sizeof(*h));

	if (!h)
		return error_set(err, -ENOMEM, "out of memory");
	h->agent = a;
	h->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->fd < 0 || setsockopt(h->fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 0 }, sizeof(int)) ||
	    bind(h->fd, (struct sockaddr *)&self, sizeof(self))) {
		int rc = -errno;

		hint_close(h);
		return error_set(err, rc, "UDP port %d: %m", DOVE_CONTROL_PORT);
	}
	/* All origins of a popular VM may be told by it at once, or tell it. */
	setsockopt(h->fd, SOL_SOCKET, SO_RCVBUFFORCE, &(int){ RECEIVE_BUFFER }, sizeof(int));
	h->readable = event_new(a->base, h->fd, EV_READ | EV_PERSIST, on_readable, h);
	event_add(h->readable, NULL);
	*out = h;
	return 0;
}

void hint_close(struct hint *h)
{
	struct peer *p, *tmp;

	if (!h)
		return;
	HASH_ITER (hh, h->peers, p, tmp) {
		HASH_DEL(h->peers, p);
		free(p);
	}
	if (h->readable)
		event_free(h->readable);
	if (h->fd >= 0)
		close(h->fd);
	free(h);
}
