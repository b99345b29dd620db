// SPDX-License-Identifier: Apache-2.0
#include "dps/prepared.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

/* A question by ids, without holes: its bytes are its key. */
struct prepared_key {
	struct ip_addr address;
	uint32_t source, destination;
	uint16_t from_port[2], to_port[2];
	uint8_t proto, by_address;
	uint8_t any_packet; /* of the pair: ports and protocol are 0 */
	uint8_t pad;
};

_Static_assert(sizeof(struct prepared_key) == 36, "no hidden padding in a key");

struct prepared_answer {
	struct prepared_key key;
	struct prepared_text said;
	size_t bytes;
	int64_t made;
	UT_hash_handle hh;
	char text[];
};

static bool make_key(const struct question *q, bool any_packet, struct prepared_key *out)
{
	memset(out, 0, sizeof(*out));
	if (!q->source || (!q->by_address && !q->destination))
		return false;
	out->any_packet = any_packet;
	out->source = q->source;
	out->destination = q->destination;
	out->by_address = q->by_address;
	if (q->by_address)
		out->address = q->address;
	if (any_packet)
		return true;
	memcpy(out->from_port, q->packet.from_port, sizeof(out->from_port));
	memcpy(out->to_port, q->packet.to_port, sizeof(out->to_port));
	out->proto = q->packet.proto;
	return true;
}

static void drop(struct prepared *p, struct prepared_answer *a)
{
	HASH_DEL(p->answers, a);
	p->n--;
	p->bytes -= a->bytes;
	free(a);
}

void prepared_clear(struct prepared *p)
{
	struct prepared_answer *a, *next;

	HASH_ITER (hh, p->answers, a, next)
		drop(p, a);
}

static struct prepared_answer *find(struct prepared *p, const struct prepared_key *key)
{
	struct prepared_answer *a;

	HASH_FIND(hh, p->answers, key, sizeof(*key), a);
	return a;
}

bool prepared_get(struct prepared *p, const struct question *q, uint64_t version, int64_t now,
		  struct prepared_text *out)
{
	struct prepared_answer *a = NULL;
	struct prepared_key key;

	if (p->version != version)
		prepared_clear(p);
	p->version = version;
	for (int any = 1; !a && any >= 0 && make_key(q, any, &key); any--)
		a = find(p, &key);
	if (!a || a->made > now || (a->said.expires - now) * PREPARED_PART < a->said.expires - a->made) {
		p->misses++;
		return false;
	}
	p->hits++;
	*out = a->said;
	return true;
}

void prepared_put(struct prepared *p, const struct question *q, bool any_packet,
		  const struct prepared_text *said, int64_t now)
{
	struct prepared_answer *a;
	struct prepared_key key;

	if (!make_key(q, any_packet, &key))
		return;
	a = find(p, &key);
	if (a)
		drop(p, a);
	if (p->n >= PREPARED_MAX || p->bytes >= PREPARED_BYTES)
		prepared_clear(p);
	a = mem_alloc(sizeof(*a) + said->len);
	memcpy(a->text, said->text, said->len);
	a->key = key;
	a->said = *said;
	a->said.text = a->text;
	a->bytes = sizeof(*a) + said->len;
	a->made = now;
	HASH_ADD(hh, p->answers, key, sizeof(a->key), a);
	p->n++;
	p->bytes += a->bytes;
}
