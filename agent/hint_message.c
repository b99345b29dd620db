// SPDX-License-Identifier: Apache-2.0
#include <cbor.h>
#include <errno.h>
#include <string.h>

#include "hint.h"
#include "lib/cleanup.h"

#define VERSION 1

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
	F_FLOW_SOURCE,
	F_FLOW_PEER,
	F_SIGNED_BODY,
	F_SIGNED_KEY,
	F_SIGNATURE,
	F_COUNT,
};

/* Which fields a message has: those of a packet, and perhaps one group more. */
#define BIT(field) (1u << (field))
#define OF_PACKET (BIT(F_TO_PORT + 1) - BIT(F_VERSION))
#define OF_FLOW (OF_PACKET | BIT(F_FLOW_SOURCE) | BIT(F_FLOW_PEER))
#define OF_SIGNED (OF_PACKET | BIT(F_SIGNED_BODY) | BIT(F_SIGNED_KEY) | BIT(F_SIGNATURE))

static const char *const reasons[] = {
	[DOVE_EVENT_STALE] = "stale", [DOVE_EVENT_REFUSED] = "refused",
	[DOVE_EVENT_MOVED] = "moved", [DOVE_EVENT_UNKNOWN_ENDPOINT] = "unknown",
	[HINT_FLOW] = "flow",
};

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

static bool put_flow(cbor_item_t *map, const struct hint_message *m)
{
	return put(map, F_FLOW_SOURCE, cbor_build_bytestring(m->src.b, sizeof(m->src.b))) &&
	       put(map, F_FLOW_PEER, cbor_build_uint32(m->peer));
}

static bool put_signed(cbor_item_t *map, const struct hint_signed *s)
{
	return put(map, F_SIGNED_BODY, cbor_build_bytestring(s->body, s->len)) &&
	       put(map, F_SIGNED_KEY, cbor_build_string(s->key)) &&
	       put(map, F_SIGNATURE, cbor_build_bytestring(s->sig, sizeof(s->sig)));
}

size_t hint_write(const struct hint_message *m, uint8_t *buf, size_t size)
{
	uint32_t fields = m->ev.type == HINT_FLOW ? OF_FLOW : m->signature.len ? OF_SIGNED : OF_PACKET;
	cbor_item_t *map = cbor_new_definite_map(__builtin_popcount(fields));
	size_t len = 0;

	if (put_event(map, &m->ev) && (fields != OF_FLOW || put_flow(map, m)) &&
	    (fields != OF_SIGNED || put_signed(map, &m->signature)))
		len = cbor_serialize(map, buf, size);
	cbor_decref(&map);
	return len;
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

static bool read_signed(enum field field, const struct item *item, struct hint_signed *s)
{
	switch (field) {
	case F_SIGNED_BODY:
		if (item->kind != ITEM_BYTES || !item->n || item->n > sizeof(s->body))
			return false;
		memcpy(s->body, item->bytes, item->n);
		s->len = item->n;
		return true;
	case F_SIGNED_KEY:
		if (item->kind != ITEM_TEXT || item->n != sizeof(s->key) - 1)
			return false;
		memcpy(s->key, item->bytes, item->n);
		return strspn(s->key, "0123456789abcdef") == item->n;
	default:
		if (item->kind != ITEM_BYTES || item->n != sizeof(s->sig))
			return false;
		memcpy(s->sig, item->bytes, item->n);
		return true;
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
	case F_SIGNED_BODY:
	case F_SIGNED_KEY:
	case F_SIGNATURE:
		return read_signed(field, item, &m->signature);
	case F_DELIVERED:
		m->ev.processed = item->n == 1;
		return item->kind == ITEM_BOOL;
	default:
		return read_number(field, item, &m->ev);
	}
}

/* Every field exactly once; those of a flow where it is one, and a signed translation with all that belongs to it. */
static bool read_map(struct reader *r, struct hint_message *m)
{
	struct item map = item_next(r), key, value;
	uint32_t seen = 0;

	if (map.kind != ITEM_MAP || map.n >= F_COUNT)
		return false;
	for (uint64_t i = 0; i < map.n; i++) {
		key = item_next(r);
		value = item_next(r);
		if (key.kind != ITEM_UINT || !key.n || key.n >= F_COUNT || seen & 1u << key.n ||
		    !read_field(key.n, &value, m))
			return false;
		seen |= 1u << key.n;
	}
	return m->ev.type == HINT_FLOW ? seen == OF_FLOW : seen == OF_PACKET || seen == OF_SIGNED;
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
