// SPDX-License-Identifier: Apache-2.0
/*
 * Reading what somebody sent. Item by item, by libcbor's streaming decoder: it
 * makes nothing of what the bytes claim to be, where its tree of items would
 * take their word for the size of an array. What was read is then written
 * again: other bytes that say the same are not the authority's.
 */
#include <cbor.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/ranges.h"
#include "lib/translation.h"
#include "lib/translation_wire.h"

struct item {
	enum { ITEM_OTHER, ITEM_UINT, ITEM_TEXT, ITEM_BYTES, ITEM_ARRAY, ITEM_MAP } kind;
	uint64_t n; /* the number, or how many items, pairs or bytes */
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

static void on_array(void *item, size_t n)
{
	*(struct item *)item = (struct item){ .kind = ITEM_ARRAY, .n = n };
}

static void on_map(void *item, size_t n)
{
	*(struct item *)item = (struct item){ .kind = ITEM_MAP, .n = n };
}

static void on_text(void *item, cbor_data bytes, size_t len)
{
	*(struct item *)item = (struct item){ .kind = ITEM_TEXT, .n = len, .bytes = bytes };
}

static void on_bytes(void *item, cbor_data bytes, size_t len)
{
	*(struct item *)item = (struct item){ .kind = ITEM_BYTES, .n = len, .bytes = bytes };
}

/* Once something is not as it must be, everything that follows is nothing. */
struct reader {
	const uint8_t *at;
	size_t left;
	bool bad;
	uint8_t version;
};

static struct item next(struct reader *r)
{
	struct cbor_callbacks on = cbor_empty_callbacks;
	struct cbor_decoder_result result;
	struct item item = { 0 };

	on.uint8 = on_uint8;
	on.uint16 = on_uint16;
	on.uint32 = on_uint32;
	on.uint64 = on_uint64;
	on.array_start = on_array;
	on.map_start = on_map;
	on.string = on_text;
	on.byte_string = on_bytes;
	result = cbor_stream_decode(r->at, r->left, &on, &item);
	if (r->bad || result.status != CBOR_DECODER_FINISHED) {
		r->bad = true;
		return (struct item){ 0 };
	}
	r->at += result.read;
	r->left -= result.read;
	return item;
}

static uint64_t get_uint(struct reader *r, uint64_t most)
{
	struct item item = next(r);

	if (item.kind == ITEM_UINT && item.n <= most)
		return item.n;
	r->bad = true;
	return 0;
}

static size_t get_array(struct reader *r, size_t least, size_t most)
{
	struct item item = next(r);

	if (item.kind == ITEM_ARRAY && item.n >= least && item.n <= most)
		return item.n;
	r->bad = true;
	return 0;
}

static void get_text(struct reader *r, char *out, size_t room)
{
	struct item item = next(r);

	out[0] = '\0';
	if (item.kind != ITEM_TEXT || item.n >= room || memchr(item.bytes, 0, item.n)) {
		r->bad = true;
		return;
	}
	memcpy(out, item.bytes, item.n);
	out[item.n] = '\0';
}

static void get_bytes(struct reader *r, uint8_t *out, size_t len)
{
	struct item item = next(r);

	if (item.kind == ITEM_BYTES && item.n == len)
		memcpy(out, item.bytes, len);
	else
		r->bad = true;
}

static void get_labels(struct reader *r, struct labels *labels)
{
	labels->n = get_array(r, 0, LABELS_MAX);
	for (size_t i = 0; i < labels->n; i++) {
		labels->at[i] = get_uint(r, LABEL_CODE_LAST);
		r->bad |= labels->at[i] < LABEL_CODE_FIRST;
	}
}

static void get_routers(struct reader *r, struct routers *routers)
{
	size_t n = get_array(r, 0, ROUTERS_MAX);

	for (size_t i = 0; i < n; i++) {
		struct ip_addr *addr = &routers->at[i];

		get_bytes(r, addr->b, sizeof(addr->b));
		r->bad |= !routers_may(routers, addr);
		routers->n++;
	}
}

static void get_outcome_fields(struct reader *r, enum translation_verdict last,
			       struct translation_outcome *out)
{
	uint64_t dscp;

	out->verdict = get_uint(r, last);
	out->flags = get_uint(r, TRANSLATION_FLAGS_ALL);
	out->policy = get_uint(r, UINT32_MAX);
	out->n_path = get_array(r, 0, TRANSLATION_PATH_MAX);
	for (size_t i = 0; i < out->n_path; i++)
		get_text(r, out->path[i], sizeof(out->path[i]));
	dscp = get_uint(r, DSCP_UNSAID);
	out->dscp = dscp == DSCP_UNSAID ? -1 : (int)dscp;
	out->rate_mbps = get_uint(r, UINT32_MAX);
	out->rate_policy = get_uint(r, UINT32_MAX);
	get_text(r, out->class, sizeof(out->class));
	out->vlan = get_uint(r, TRANSLATION_VLAN_MAX);
	if (r->version >= TRANSLATION_VERSION_LABELS)
		get_labels(r, &out->labels);
	if (r->version >= TRANSLATION_VERSION_ROUTERS)
		get_routers(r, &out->routers);
	r->bad |= out->labels.n && out->routers.n;
}

static void get_destination(struct reader *r, struct translation_destination *d)
{
	get_array(r, DESTINATION_ITEMS, DESTINATION_ITEMS);
	d->id = get_uint(r, UINT32_MAX);
	d->vnid = get_uint(r, VNID_LAST);
	get_text(r, d->name, sizeof(d->name));
	get_bytes(r, d->mac.b, sizeof(d->mac.b));
	d->external = get_uint(r, 1);
	get_text(r, d->host, sizeof(d->host));
	d->n_host_addresses = get_array(r, 0, TRANSLATION_HOST_ADDRESSES);
	for (size_t i = 0; i < d->n_host_addresses; i++)
		get_bytes(r, d->host_addresses[i].b, sizeof(d->host_addresses[i].b));
}

static void get_rule(struct reader *r, struct translation_rule *rule)
{
	size_t items = RULE_ITEMS + outcome_items(r->version);

	get_array(r, items, items);
	rule->proto = get_uint(r, UINT8_MAX);
	rule->from_port[0] = get_uint(r, UINT16_MAX);
	rule->from_port[1] = get_uint(r, UINT16_MAX);
	rule->to_port[0] = get_uint(r, UINT16_MAX);
	rule->to_port[1] = get_uint(r, UINT16_MAX);
	get_outcome_fields(r, TRANSLATION_DENY, &rule->outcome);
	r->bad |= rule->from_port[0] > rule->from_port[1] || rule->to_port[0] > rule->to_port[1];
}

static void get_who(struct reader *r, enum translation_field field, struct translation *t)
{
	switch (field) {
	case FIELD_VERSION:
		r->version = get_uint(r, TRANSLATION_VERSION_ROUTERS);
		r->bad |= r->version < TRANSLATION_VERSION;
		return;
	case FIELD_ZONE:
		get_text(r, t->zone, sizeof(t->zone));
		r->bad |= *t->zone && !domain_check(t->zone);
		return;
	case FIELD_VNID:
		t->vnid = get_uint(r, VNID_LAST);
		return;
	case FIELD_FROM_VNID:
		t->from_vnid = get_uint(r, VNID_LAST);
		return;
	case FIELD_SOURCE:
		t->source = get_uint(r, UINT32_MAX);
		return;
	case FIELD_ADDRESS:
		t->has_address = true;
		get_bytes(r, t->address.b, sizeof(t->address.b));
		return;
	default:
		t->has_destination = true;
		get_destination(r, &t->destination);
	}
}

static void get_packet(struct reader *r, struct translation *t)
{
	get_array(r, PACKET_ITEMS, PACKET_ITEMS);
	t->proto = get_uint(r, UINT8_MAX);
	t->from_port = get_uint(r, UINT16_MAX);
	t->to_port = get_uint(r, UINT16_MAX);
}

static void get_what(struct reader *r, enum translation_field field, struct translation *t)
{
	switch (field) {
	case FIELD_OUTCOME:
		get_array(r, outcome_items(r->version), outcome_items(r->version));
		get_outcome_fields(r, TRANSLATION_VERDICTS - 1, &t->outcome);
		return;
	case FIELD_POLICY_NAME:
		get_text(r, t->policy_name, sizeof(t->policy_name));
		return;
	case FIELD_SCOPE:
		t->scope = get_uint(r, TRANSLATION_SCOPE_ALL);
		return;
	case FIELD_PACKET:
		get_packet(r, t);
		return;
	case FIELD_RULES:
		t->n_rules = get_array(r, 1, TRANSLATION_RULES_MAX);
		for (size_t i = 0; i < t->n_rules; i++)
			get_rule(r, &t->rules[i]);
		return;
	default:
		t->beyond = get_uint(r, VNID_LAST);
	}
}

static void get_when(struct reader *r, enum translation_field field, struct translation *t)
{
	switch (field) {
	case FIELD_SEQUENCE:
		t->sequence = get_uint(r, JSON_INT_MAX);
		return;
	case FIELD_ISSUED:
		t->issued = (int64_t)get_uint(r, JSON_INT_MAX);
		return;
	case FIELD_EXPIRES:
		t->expires = (int64_t)get_uint(r, JSON_INT_MAX);
		return;
	default:
		r->bad = true;
	}
}

static void get_field(struct reader *r, uint64_t field, struct translation *t)
{
	if (field <= FIELD_DESTINATION)
		get_who(r, field, t);
	else if (field <= FIELD_BEYOND)
		get_what(r, field, t);
	else
		get_when(r, field, t);
}

static bool get_all(struct reader *r, struct translation *t)
{
	struct item map = next(r);
	uint64_t before = 0, field;

	if (map.kind != ITEM_MAP || map.n > FIELD_EXPIRES)
		return false;
	for (uint64_t i = 0; i < map.n && !r->bad; i++, before = field) {
		field = get_uint(r, FIELD_EXPIRES);
		if (field <= before)
			return false;
		get_field(r, field, t);
	}
	return !r->bad && !r->left;
}

/* Is it about something, and for a time that is allowed? */
static bool is_sane(const struct translation *t)
{
	return t->vnid && t->from_vnid && t->source && t->expires > t->issued &&
	       t->expires - t->issued <= TRANSLATION_LIFE_MAX;
}

int translation_decode(const void *data, size_t len, struct translation *out)
{
	struct reader r = { .at = data, .left = len };
	_free_ uint8_t *again = len && len <= TRANSLATION_MAX ? malloc(len) : NULL;

	memset(out, 0, sizeof(*out));
	if (!again || !get_all(&r, out) || !is_sane(out))
		return -EINVAL;
	return translation_encode(out, again, len) == len && !memcmp(again, data, len) ? 0 : -EINVAL;
}
