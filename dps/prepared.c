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
	uint8_t proto, by_address, pad[2];
};

_Static_assert(sizeof(struct prepared_key) == 36, "no hidden padding in a key");

struct prepared_answer {
	struct prepared_key key;
	char *text;
	size_t bytes;
	uint64_t sequence;
	int64_t made, expires;
	UT_hash_handle hh;
};

static bool make_key(const struct question *q, struct prepared_key *out)
{
	memset(out, 0, sizeof(*out));
	if (!q->source || (!q->by_address && !q->destination))
		return false;
	out->source = q->source;
	out->destination = q->destination;
	out->by_address = q->by_address;
	if (q->by_address)
		out->address = q->address;
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
	free(a->text);
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

const char *prepared_get(struct prepared *p, const struct question *q, uint64_t version, int64_t now,
			 uint64_t *sequence, int64_t *expires)
{
	struct prepared_answer *a = NULL;
	struct prepared_key key;

	if (p->version != version)
		prepared_clear(p);
	p->version = version;
	if (make_key(q, &key))
		a = find(p, &key);
	if (!a || a->made > now || (a->expires - now) * PREPARED_PART < a->expires - a->made) {
		p->misses++;
		return NULL;
	}
	p->hits++;
	*sequence = a->sequence;
	*expires = a->expires;
	return a->text;
}

bool prepared_put(struct prepared *p, const struct question *q, char *text, uint64_t sequence, int64_t now,
		  int64_t expires)
{
	struct prepared_answer *a;
	struct prepared_key key;

	if (!make_key(q, &key))
		return false;
	a = find(p, &key);
	if (a)
		drop(p, a);
	if (p->n >= PREPARED_MAX || p->bytes >= PREPARED_BYTES)
		prepared_clear(p);
	a = mem_alloc(sizeof(*a));
	a->key = key;
	a->text = text;
	a->bytes = sizeof(*a) + strlen(text) + 1;
	a->sequence = sequence;
	a->made = now;
	a->expires = expires;
	HASH_ADD(hh, p->answers, key, sizeof(a->key), a);
	p->n++;
	p->bytes += a->bytes;
	return true;
}
