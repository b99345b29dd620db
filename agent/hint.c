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

static size_t hint_write(const struct dove_event *ev, uint8_t *buf, size_t size)
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

static bool read_uint(const cbor_item_t *item, uint64_t max, uint64_t *out)
{
	if (!cbor_isa_uint(item) || cbor_get_int(item) > max)
		return false;
	*out = cbor_get_int(item);
	return true;
}

static bool read_reason(const cbor_item_t *item, struct dove_event *ev)
{
	if (!cbor_isa_string(item) || !cbor_string_is_definite(item))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i] && cbor_string_length(item) == strlen(reasons[i]) &&
		    !memcmp(cbor_string_handle(item), reasons[i], strlen(reasons[i])))
			ev->type = i;
	return ev->type;
}

static bool read_destination(const cbor_item_t *item, struct dove_event *ev)
{
	if (!cbor_isa_bytestring(item) || !cbor_bytestring_is_definite(item) ||
	    cbor_bytestring_length(item) != sizeof(ev->dst.b))
		return false;
	memcpy(ev->dst.b, cbor_bytestring_handle(item), sizeof(ev->dst.b));
	return true;
}

static bool read_field(enum field field, const cbor_item_t *item, struct dove_event *ev)
{
	uint64_t n;

	switch (field) {
	case F_VERSION:
		return read_uint(item, UINT8_MAX, &n) && n == VERSION;
	case F_REASON:
		return read_reason(item, ev);
	case F_DESTINATION:
		return read_destination(item, ev);
	case F_DELIVERED:
		/* cbor_is_bool() asserts what the sender decides: that it is no floating-point number. */
		if (!cbor_isa_float_ctrl(item) || !cbor_float_ctrl_is_ctrl(item) || !cbor_is_bool(item))
			return false;
		ev->processed = cbor_get_bool(item);
		return true;
	case F_VNID:
		return read_uint(item, 0xffffff, &n) && (ev->vnid = n, true);
	case F_POLICY:
		return read_uint(item, UINT32_MAX, &n) && (ev->policy = n, true);
	case F_SEQUENCE:
		return read_uint(item, UINT64_MAX, &n) && (ev->sequence = n, true);
	case F_WANTED:
		return read_uint(item, UINT64_MAX, &n) && (ev->wanted = n, true);
	case F_SOURCE:
		return read_uint(item, UINT32_MAX, &n) && (ev->source = n, true);
	case F_PROTO:
		return read_uint(item, UINT8_MAX, &n) && (ev->proto = n, true);
	case F_FROM_PORT:
		return read_uint(item, UINT16_MAX, &n) && (ev->from_port = n, true);
	case F_TO_PORT:
		return read_uint(item, UINT16_MAX, &n) && (ev->to_port = n, true);
	}
	return false;
}

/* Every field exactly once. */
static bool read_map(const cbor_item_t *map, struct dove_event *ev)
{
	uint32_t seen = 0;
	uint64_t field;

	if (!cbor_isa_map(map) || !cbor_map_is_definite(map) || cbor_map_size(map) != F_COUNT)
		return false;
	for (size_t i = 0; i < F_COUNT; i++) {
		const struct cbor_pair *pair = &cbor_map_handle(map)[i];

		if (!read_uint(pair->key, F_COUNT, &field) || seen & 1u << field ||
		    !read_field(field, pair->value, ev))
			return false;
		seen |= 1u << field;
	}
	return true;
}

int hint_parse(const void *data, size_t len, struct dove_event *out)
{
	struct cbor_load_result result;
	cbor_item_t *item = len ? cbor_load(data, len, &result) : NULL;
	struct dove_event ev = {};
	bool good = item && result.read == len && read_map(item, &ev);

	if (item)
		cbor_decref(&item);
	if (!good)
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
