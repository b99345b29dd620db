// SPDX-License-Identifier: Apache-2.0
#include "lib/translation.h"

#include <cbor.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/translation_wire.h"

/* Writing: items one after another, by libcbor's encoders, which write numbers as short as they can be. */
struct writer {
	uint8_t *at;
	size_t left;
	bool full;
	uint8_t version;
};

static void wrote(struct writer *w, size_t n)
{
	w->full |= !n;
	w->at += n;
	w->left -= n;
}

static void put_uint(struct writer *w, uint64_t n)
{
	wrote(w, cbor_encode_uint(n, w->at, w->left));
}

static void put_array(struct writer *w, size_t n)
{
	wrote(w, cbor_encode_array_start(n, w->at, w->left));
}

static void put_raw(struct writer *w, const void *data, size_t len)
{
	if (len > w->left) {
		w->full = true;
		return;
	}
	if (len)
		memcpy(w->at, data, len);
	w->at += len;
	w->left -= len;
}

static void put_text(struct writer *w, const char *text)
{
	wrote(w, cbor_encode_string_start(strlen(text), w->at, w->left));
	put_raw(w, text, strlen(text));
}

static void put_bytes(struct writer *w, const void *data, size_t len)
{
	wrote(w, cbor_encode_bytestring_start(len, w->at, w->left));
	put_raw(w, data, len);
}

static void put_labels(struct writer *w, const struct labels *labels)
{
	put_array(w, labels->n);
	for (size_t i = 0; i < labels->n; i++)
		put_uint(w, labels->at[i]);
}

static void put_routers(struct writer *w, const struct routers *routers)
{
	put_array(w, routers->n);
	for (size_t i = 0; i < routers->n; i++)
		put_bytes(w, routers->at[i].b, sizeof(routers->at[i].b));
}

static void put_outcome_fields(struct writer *w, const struct translation_outcome *out)
{
	put_uint(w, out->verdict);
	put_uint(w, out->flags);
	put_uint(w, out->policy);
	put_array(w, out->n_path);
	for (size_t i = 0; i < out->n_path; i++)
		put_text(w, out->path[i]);
	put_uint(w, out->dscp < 0 ? DSCP_UNSAID : (uint64_t)out->dscp);
	put_uint(w, out->rate_mbps);
	put_uint(w, out->rate_policy);
	put_text(w, out->class);
	put_uint(w, out->vlan);
	if (w->version >= TRANSLATION_VERSION_LABELS)
		put_labels(w, &out->labels);
	if (w->version >= TRANSLATION_VERSION_ROUTERS)
		put_routers(w, &out->routers);
}

static void put_destination(struct writer *w, const struct translation_destination *d)
{
	put_array(w, DESTINATION_ITEMS);
	put_uint(w, d->id);
	put_uint(w, d->vnid);
	put_text(w, d->name);
	put_bytes(w, d->mac.b, sizeof(d->mac.b));
	put_uint(w, d->external);
	put_text(w, d->host);
	put_array(w, d->n_host_addresses);
	for (size_t i = 0; i < d->n_host_addresses; i++)
		put_bytes(w, d->host_addresses[i].b, sizeof(d->host_addresses[i].b));
}

static void put_packet(struct writer *w, const struct translation *t)
{
	put_array(w, PACKET_ITEMS);
	put_uint(w, t->proto);
	put_uint(w, t->from_port);
	put_uint(w, t->to_port);
}

static void put_rules(struct writer *w, const struct translation *t)
{
	put_array(w, t->n_rules);
	for (size_t i = 0; i < t->n_rules; i++) {
		const struct translation_rule *rule = &t->rules[i];

		put_array(w, RULE_ITEMS + outcome_items(w->version));
		put_uint(w, rule->proto);
		put_uint(w, rule->from_port[0]);
		put_uint(w, rule->from_port[1]);
		put_uint(w, rule->to_port[0]);
		put_uint(w, rule->to_port[1]);
		put_outcome_fields(w, &rule->outcome);
	}
}

static void put_who(struct writer *w, const struct translation *t)
{
	put_uint(w, FIELD_VERSION);
	put_uint(w, w->version);
	put_uint(w, FIELD_ZONE);
	put_text(w, t->zone);
	put_uint(w, FIELD_VNID);
	put_uint(w, t->vnid);
	put_uint(w, FIELD_FROM_VNID);
	put_uint(w, t->from_vnid);
	put_uint(w, FIELD_SOURCE);
	put_uint(w, t->source);
	if (t->has_address) {
		put_uint(w, FIELD_ADDRESS);
		put_bytes(w, t->address.b, sizeof(t->address.b));
	}
	if (t->has_destination) {
		put_uint(w, FIELD_DESTINATION);
		put_destination(w, &t->destination);
	}
}

static void put_what(struct writer *w, const struct translation *t)
{
	put_uint(w, FIELD_OUTCOME);
	put_array(w, outcome_items(w->version));
	put_outcome_fields(w, &t->outcome);
	put_uint(w, FIELD_POLICY_NAME);
	put_text(w, t->policy_name);
	put_uint(w, FIELD_SCOPE);
	put_uint(w, t->scope);
	if (translation_has_packet(t)) {
		put_uint(w, FIELD_PACKET);
		put_packet(w, t);
	}
	if (t->n_rules) {
		put_uint(w, FIELD_RULES);
		put_rules(w, t);
	}
	if (t->beyond) {
		put_uint(w, FIELD_BEYOND);
		put_uint(w, t->beyond);
	}
}

static void put_when(struct writer *w, const struct translation *t)
{
	put_uint(w, FIELD_SEQUENCE);
	put_uint(w, t->sequence);
	put_uint(w, FIELD_ISSUED);
	put_uint(w, t->issued);
	put_uint(w, FIELD_EXPIRES);
	put_uint(w, t->expires);
}

static size_t count_fields(const struct translation *t)
{
	return FIELDS_ALWAYS + t->has_address + t->has_destination + translation_has_packet(t) +
	       (t->n_rules > 0) + (t->beyond > 0);
}

static uint8_t version_of(const struct translation_outcome *out)
{
	if (out->routers.n)
		return TRANSLATION_VERSION_ROUTERS;
	return out->labels.n ? TRANSLATION_VERSION_LABELS : TRANSLATION_VERSION;
}

static uint8_t least_version(const struct translation *t)
{
	uint8_t least = version_of(&t->outcome);

	for (size_t i = 0; i < t->n_rules; i++)
		if (version_of(&t->rules[i].outcome) > least)
			least = version_of(&t->rules[i].outcome);
	return least;
}

size_t translation_encode(const struct translation *t, uint8_t *buf, size_t size)
{
	struct writer w = { .at = buf, .left = size, .version = least_version(t) };

	wrote(&w, cbor_encode_map_start(count_fields(t), w.at, w.left));
	put_who(&w, t);
	put_what(&w, t);
	put_when(&w, t);
	return w.full ? 0 : (size_t)(w.at - buf);
}

/* Signatures */

int translation_sign(const struct translation *t, const struct sign_key *key, struct translation_doc *out)
{
	struct translation_doc doc = { .body = malloc(TRANSLATION_MAX) };
	uint8_t *body;

	doc.len = doc.body ? translation_encode(t, doc.body, TRANSLATION_MAX) : 0;
	if (!doc.len || sign_bytes(key, SIGNED_TRANSLATION, doc.body, doc.len, doc.sig)) {
		free(doc.body);
		return -ENOMEM;
	}
	body = realloc(doc.body, doc.len);
	doc.body = body ? body : doc.body;
	sign_id(sign_key_public(key), doc.key);
	*out = doc;
	return 0;
}

static bool is_signed_by(const struct translation_doc *doc, const struct sign_public *key)
{
	char id[SIGN_ID_ROOM];

	sign_id(key, id);
	return !strcmp(id, doc->key) &&
	       sign_verify_memo(doc->memo, key, SIGNED_TRANSLATION, doc->body, doc->len, doc->sig);
}

int translation_open(const struct translation_doc *doc, const struct sign_public *keys, size_t n_keys,
		     int64_t now, struct translation *out)
{
	size_t i = 0;

	while (i < n_keys && !is_signed_by(doc, &keys[i]))
		i++;
	if (i == n_keys)
		return -EKEYREJECTED;
	if (translation_decode(doc->body, doc->len, out))
		return -EINVAL;
	if (out->issued > now + TRANSLATION_SKEW)
		return -EAGAIN;
	return out->expires > now ? 0 : -ETIME;
}

void translation_doc_free(struct translation_doc *doc)
{
	free(doc->body);
	memset(doc, 0, sizeof(*doc));
}
