// SPDX-License-Identifier: Apache-2.0
#include "hint.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <cbor.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "flows.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "maps/wire.h"
#include "miss.h"
#include "underlay.h"

#define VERSION 1
#define DATAGRAM_MAX 512
/* More than a host whose origins are all stale at once has to send, or to take. */
#define PER_SECOND_MAX 2000
#define PER_WAKEUP_MAX 256

enum field {
	F_VERSION = 1,
	F_REASON,
	F_VNID,
	F_POLICY,
	F_SEQUENCE,
	F_WANTED,
	F_DESTINATION,
	F_SOURCE,
	F_DELIVERED,
	F_PROTO,
	F_FROM_PORT,
	F_TO_PORT,
	F_COUNT = F_TO_PORT,
	F_FLOW_SOURCE,
	F_FLOW_PEER,
	F_FLOW_COUNT = F_FLOW_PEER,
};

struct bucket {
	uint64_t second;
	uint32_t used;
};

struct hint {
	struct agent *agent;
	int fd;
	struct event *readable;
	struct bucket out, in;
	struct hint_counters counters;
};

static const char *const reasons[] = {
	[DOVE_EVENT_STALE] = "stale", [DOVE_EVENT_REFUSED] = "refused",
	[DOVE_EVENT_MOVED] = "moved", [DOVE_EVENT_UNKNOWN_ENDPOINT] = "unknown",
	[HINT_FLOW] = "flow",
};

const struct hint_counters *hint_counters(const struct hint *h)
{
	return &h->counters;
}

static bool bucket_takes(struct bucket *b)
{
	uint64_t second = clock_now() / SECOND_NS;

	if (b->second != second)
		*b = (struct bucket){ .second = second };
	return b->used++ < PER_SECOND_MAX;
}

/* ---- writing ---- */

static bool put(cbor_item_t *map, enum field field, cbor_item_t *value)
{
	return cbor_map_add(map, (struct cbor_pair){ .key = cbor_move(cbor_build_uint8(field)),
						     .value = cbor_move(value) });
}

static bool put_event(cbor_item_t *map, const struct dove_event *ev)
{
	return put(map, F_VERSION, cbor_build_uint8(VERSION)) &&
	       put(map, F_REASON, cbor_build_string(reasons[ev->type])) &&
	       put(map, F_VNID, cbor_build_uint32(ev->vnid)) &&
	       put(map, F_POLICY, cbor_build_uint32(ev->policy)) &&
	       put(map, F_SEQUENCE, cbor_build_uint64(ev->sequence)) &&
	       put(map, F_WANTED, cbor_build_uint64(ev->wanted)) &&
	       put(map, F_DESTINATION, cbor_build_bytestring(ev->dst.b, sizeof(ev->dst.b))) &&
	       put(map, F_SOURCE, cbor_build_uint32(ev->source)) &&
	       put(map, F_DELIVERED, cbor_build_bool(ev->processed)) &&
	       put(map, F_PROTO, cbor_build_uint8(ev->proto)) &&
	       put(map, F_FROM_PORT, cbor_build_uint16(ev->from_port)) &&
	       put(map, F_TO_PORT, cbor_build_uint16(ev->to_port));
}

size_t hint_write(const struct hint_message *m, uint8_t *buf, size_t size)
{
	bool flow = m->ev.type == HINT_FLOW;
	cbor_item_t *map = cbor_new_definite_map(flow ? F_FLOW_COUNT : F_COUNT);
	size_t len = 0;

	if (put_event(map, &m->ev) &&
	    (!flow || (put(map, F_FLOW_SOURCE, cbor_build_bytestring(m->src.b, sizeof(m->src.b))) &&
		       put(map, F_FLOW_PEER, cbor_build_uint32(m->peer)))))
		len = cbor_serialize(map, buf, size);
	cbor_decref(&map);
	return len;
}

/* One socket for both families: an IPv4 address is ::ffff:a.b.c.d to it, as it is to us. */
static bool message_send(struct hint *h, const struct ip_addr *host, const struct hint_message *m)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(DOVE_CONTROL_PORT) };
	uint8_t buf[DATAGRAM_MAX];
	size_t len = hint_write(m, buf, sizeof(buf));

	memcpy(&to.sin6_addr, host->b, sizeof(to.sin6_addr));
	return len &&
	       sendto(h->fd, buf, len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) == (ssize_t)len;
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
	if (!bucket_takes(&h->out)) {
		h->counters.limited++;
		return;
	}
	h->counters.sent += message_send(h, &origin, &m);
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

/* ---- reading ---- */

/*
 * Item by item, by libcbor's streaming decoder: it makes nothing of what the
 * message claims to be. Its tree of items would take the sender's word for
 * the size of an array, and its accessors assert what the sender decides.
 */
struct item {
	enum { ITEM_OTHER, ITEM_UINT, ITEM_TEXT, ITEM_BYTES, ITEM_BOOL, ITEM_MAP } kind;
	uint64_t n; /* the number, the boolean, the map's size, the length of bytes or text */
	const uint8_t *bytes;
};

static void on_uint8(void *item, uint8_t n)
{
	*(struct item *)item = (struct item){ .kind = ITEM_UINT, .n = n };
}

static void on_uint16(void *item, uint16_t n)
{
	*(struct item *)item = (struct item){ .kind = ITEM_UINT, .n = n };
}

static void on_uint32(void *item, uint32_t n)
{
	*(struct item *)item = (struct item){ .kind = ITEM_UINT, .n = n };
}

static void on_uint64(void *item, uint64_t n)
{
	*(struct item *)item = (struct item){ .kind = ITEM_UINT, .n = n };
}

static void on_bool(void *item, bool yes)
{
	*(struct item *)item = (struct item){ .kind = ITEM_BOOL, .n = yes };
}

static void on_map(void *item, size_t pairs)
{
	*(struct item *)item = (struct item){ .kind = ITEM_MAP, .n = pairs };
}

static void on_text(void *item, cbor_data bytes, size_t len)
{
	*(struct item *)item = (struct item){ .kind = ITEM_TEXT, .n = len, .bytes = bytes };
}

static void on_bytes(void *item, cbor_data bytes, size_t len)
{
	*(struct item *)item = (struct item){ .kind = ITEM_BYTES, .n = len, .bytes = bytes };
}

struct reader {
	const uint8_t *at;
	size_t left;
};

/* The next item; what no message of ours has comes out as ITEM_OTHER, as does what is cut off. */
static struct item item_next(struct reader *r)
{
	struct cbor_callbacks on = cbor_empty_callbacks;
	struct item item = {};
	struct cbor_decoder_result result;

	on.uint8 = on_uint8;
	on.uint16 = on_uint16;
	on.uint32 = on_uint32;
	on.uint64 = on_uint64;
	on.boolean = on_bool;
	on.map_start = on_map;
	on.string = on_text;
	on.byte_string = on_bytes;
	result = cbor_stream_decode(r->at, r->left, &on, &item);
	if (result.status != CBOR_DECODER_FINISHED)
		return (struct item){};
	r->at += result.read;
	r->left -= result.read;
	return item;
}

static bool read_reason(const struct item *item, struct dove_event *ev)
{
	for (size_t i = 0; item->kind == ITEM_TEXT && i < ARRAY_SIZE(reasons); i++)
		if (reasons[i] && item->n == strlen(reasons[i]) && !memcmp(item->bytes, reasons[i], item->n))
			ev->type = i;
	return ev->type;
}

static bool read_address(const struct item *item, struct dove_ip *out)
{
	if (item->kind != ITEM_BYTES || item->n != sizeof(out->b))
		return false;
	memcpy(out->b, item->bytes, sizeof(out->b));
	return true;
}

static bool read_number(enum field field, const struct item *item, struct dove_event *ev)
{
	static const uint64_t most[] = {
		[F_VERSION] = VERSION,	   [F_VNID] = 0xffffff,	       [F_POLICY] = UINT32_MAX,
		[F_SEQUENCE] = UINT64_MAX, [F_WANTED] = UINT64_MAX,    [F_SOURCE] = UINT32_MAX,
		[F_PROTO] = UINT8_MAX,	   [F_FROM_PORT] = UINT16_MAX, [F_TO_PORT] = UINT16_MAX,
	};

	if (item->kind != ITEM_UINT || item->n > most[field])
		return false;
	switch (field) {
	case F_VERSION:
		return item->n == VERSION;
	case F_VNID:
		ev->vnid = item->n;
		return true;
	case F_POLICY:
		ev->policy = item->n;
		return true;
	case F_SEQUENCE:
		ev->sequence = item->n;
		return true;
	case F_WANTED:
		ev->wanted = item->n;
		return true;
	case F_SOURCE:
		ev->source = item->n;
		return true;
	case F_PROTO:
		ev->proto = item->n;
		return true;
	case F_FROM_PORT:
		ev->from_port = item->n;
		return true;
	case F_TO_PORT:
		ev->to_port = item->n;
		return true;
	default:
		return false;
	}
}

static bool read_field(enum field field, const struct item *item, struct hint_message *m)
{
	switch (field) {
	case F_REASON:
		return read_reason(item, &m->ev);
	case F_DESTINATION:
		return read_address(item, &m->ev.dst);
	case F_FLOW_SOURCE:
		return read_address(item, &m->src);
	case F_FLOW_PEER:
		m->peer = item->n;
		return item->kind == ITEM_UINT && item->n <= UINT32_MAX;
	case F_DELIVERED:
		m->ev.processed = item->n == 1;
		return item->kind == ITEM_BOOL;
	default:
		return read_number(field, item, &m->ev);
	}
}

/* Every field exactly once; those of a flow where it is one. */
static bool read_map(struct reader *r, struct hint_message *m)
{
	struct item map = item_next(r), key, value;
	uint32_t seen = 0;

	if (map.kind != ITEM_MAP || (map.n != F_COUNT && map.n != F_FLOW_COUNT))
		return false;
	for (uint64_t i = 0; i < map.n; i++) {
		key = item_next(r);
		value = item_next(r);
		if (key.kind != ITEM_UINT || !key.n || key.n > map.n || seen & 1u << key.n ||
		    !read_field(key.n, &value, m))
			return false;
		seen |= 1u << key.n;
	}
	return (map.n == F_FLOW_COUNT) == (m->ev.type == HINT_FLOW);
}

int hint_parse(const void *data, size_t len, struct hint_message *out)
{
	struct reader r = { .at = data, .left = len };
	struct hint_message m = {};

	if (!read_map(&r, &m) || r.left)
		return -EINVAL;
	*out = m;
	return 0;
}

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
	struct dove_cache_key key = { .dst = ev->dst,
				      .source = ev->source,
				      .from_port = ev->from_port,
				      .to_port = ev->to_port,
				      .proto = ev->proto,
				      .exact = 1 };

	if (concerns_us(h->agent, ev, wanted))
		miss_refresh(h->agent->miss, &key, wanted);
	else
		h->counters.useless++;
}

static void hint_take(struct hint *h, const struct ip_addr *from, const void *data, size_t len)
{
	struct hint_message m;

	if (!underlay_knows(h->agent->underlay, from) || underlay_is_self(h->agent->underlay, from) ||
	    hint_parse(data, len, &m)) {
		h->counters.refused++;
		return;
	}
	if (m.ev.type != HINT_FLOW && !bucket_takes(&h->in)) {
		h->counters.limited++;
		return;
	}
	h->counters.received++;
	if (m.ev.type == HINT_FLOW)
		flow_take(h, &m);
	else
		stale_take(h, &m.ev);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct hint *h = arg;
	struct sockaddr_in6 from = {};
	uint8_t buf[DATAGRAM_MAX + 1];

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
	h->readable = event_new(a->base, h->fd, EV_READ | EV_PERSIST, on_readable, h);
	event_add(h->readable, NULL);
	*out = h;
	return 0;
}

void hint_close(struct hint *h)
{
	if (!h)
		return;
	if (h->readable)
		event_free(h->readable);
	if (h->fd >= 0)
		close(h->fd);
	free(h);
}
