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
	[DOVE_EVENT_STALE] = "stale",
	[DOVE_EVENT_REFUSED] = "refused",
	[DOVE_EVENT_MOVED] = "moved",
	[DOVE_EVENT_UNKNOWN_ENDPOINT] = "unknown",
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

size_t hint_write(const struct dove_event *ev, uint8_t *buf, size_t size)
{
	cbor_item_t *map = cbor_new_definite_map(F_COUNT);
	size_t len = 0;

	if (put(map, F_VERSION, cbor_build_uint8(VERSION)) &&
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
	    put(map, F_TO_PORT, cbor_build_uint16(ev->to_port)))
		len = cbor_serialize(map, buf, size);
	cbor_decref(&map);
	return len;
}

void hint_send(struct hint *h, const struct dove_event *ev)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(DOVE_CONTROL_PORT) };
	struct ip_addr origin = from_dove_ip(&ev->origin);
	uint8_t buf[DATAGRAM_MAX];
	size_t len;

	if (!h->agent->config.hints || h->fd < 0 || !ip_is_v4(&origin) ||
	    underlay_is_self(h->agent->underlay, &origin))
		return;
	if (!bucket_takes(&h->out)) {
		h->counters.limited++;
		return;
	}
	len = hint_write(ev, buf, sizeof(buf));
	to.sin_addr.s_addr = ip_to_v4(&origin);
	if (len && sendto(h->fd, buf, len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) == (ssize_t)len)
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

static bool read_destination(const struct item *item, struct dove_event *ev)
{
	if (item->kind != ITEM_BYTES || item->n != sizeof(ev->dst.b))
		return false;
	memcpy(ev->dst.b, item->bytes, sizeof(ev->dst.b));
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

static bool read_field(enum field field, const struct item *item, struct dove_event *ev)
{
	switch (field) {
	case F_REASON:
		return read_reason(item, ev);
	case F_DESTINATION:
		return read_destination(item, ev);
	case F_DELIVERED:
		ev->processed = item->n == 1;
		return item->kind == ITEM_BOOL;
	default:
		return read_number(field, item, ev);
	}
}

/* Every field exactly once. */
static bool read_map(struct reader *r, struct dove_event *ev)
{
	struct item map = item_next(r), key, value;
	uint32_t seen = 0;

	if (map.kind != ITEM_MAP || map.n != F_COUNT)
		return false;
	for (int i = 0; i < F_COUNT; i++) {
		key = item_next(r);
		value = item_next(r);
		if (key.kind != ITEM_UINT || !key.n || key.n > F_COUNT || seen & 1u << key.n ||
		    !read_field(key.n, &value, ev))
			return false;
		seen |= 1u << key.n;
	}
	return true;
}

int hint_parse(const void *data, size_t len, struct dove_event *out)
{
	struct reader r = { .at = data, .left = len };
	struct dove_event ev = {};

	if (!read_map(&r, &ev) || r.left)
		return -EINVAL;
	*out = ev;
	return 0;
}

/* Do we hold what it speaks of, and is ours older? Then the service may tell more. */
static bool concerns_us(struct agent *a, const struct dove_event *ev, uint64_t wanted)
{
	struct dove_cache_key key = { .dst = ev->dst, .source = ev->source };
	struct dove_translation t;

	return !bpf_map_lookup_elem(a->maps->cache, &key, &t) && t.revision < wanted;
}

static void hint_take(struct hint *h, const struct ip_addr *from, const void *data, size_t len)
{
	struct dove_event ev;
	uint64_t wanted;

	if (!underlay_knows(h->agent->underlay, from) || underlay_is_self(h->agent->underlay, from) ||
	    hint_parse(data, len, &ev)) {
		h->counters.refused++;
		return;
	}
	if (!bucket_takes(&h->in)) {
		h->counters.limited++;
		return;
	}
	h->counters.received++;
	wanted = ev.wanted > ev.sequence ? ev.wanted : ev.sequence + 1;
	if (!concerns_us(h->agent, &ev, wanted)) {
		h->counters.useless++;
		return;
	}
	struct dove_cache_key key = { .dst = ev.dst,
				      .source = ev.source,
				      .from_port = ev.from_port,
				      .to_port = ev.to_port,
				      .proto = ev.proto,
				      .exact = 1 };
	miss_refresh(h->agent->miss, &key, wanted);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct hint *h = arg;
	struct sockaddr_in from = {};
	uint8_t buf[DATAGRAM_MAX + 1];

	for (int i = 0; i < PER_WAKEUP_MAX; i++) {
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
		struct ip_addr addr;

		if (n < 0)
			return;
		addr = ip_from_v4(from.sin_addr.s_addr);
		hint_take(h, &addr, buf, n);
	}
}

int hint_open(struct agent *a, struct hint **out, struct error *err)
{
	struct sockaddr_in self = { .sin_family = AF_INET, .sin_port = htons(DOVE_CONTROL_PORT) };
	struct hint *h = calloc(1, sizeof(*h));

	if (!h)
		return error_set(err, -ENOMEM, "out of memory");
	h->agent = a;
	h->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (h->fd < 0 || bind(h->fd, (struct sockaddr *)&self, sizeof(self))) {
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
