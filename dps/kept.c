// SPDX-License-Identifier: Apache-2.0
#include "dps/kept.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/mem.h"
#include "lib/json.h"

/* ---- rules ---- */

static void read_range(const cJSON *rule, const char *field, uint16_t out[2])
{
	const cJSON *range = json_get(rule, field);
	uint64_t first = 0, last = 0;
	bool good = json_whole(cJSON_GetArrayItem(range, 0), 0, PORT_MAX, &first) &&
		    json_whole(cJSON_GetArrayItem(range, 1), 0, PORT_MAX, &last);

	out[0] = good ? first : 1; /* of what can't be read no packet is: a range without ports */
	out[1] = good ? last : 0;
}

static struct flow_box box_of(const cJSON *rule)
{
	struct flow_box box;
	uint64_t proto = 0;

	read_range(rule, "from_port", box.from_port);
	read_range(rule, "to_port", box.to_port);
	if (!json_whole(json_get(rule, "proto"), 0, UINT8_MAX, &proto))
		read_range(NULL, "", box.to_port);
	box.proto = proto;
	return box;
}

static bool in_range(const uint16_t range[2], uint16_t port)
{
	return port >= range[0] && port <= range[1];
}

static bool is_any(const uint16_t range[2])
{
	return !range[0] && range[1] == PORT_MAX;
}

static bool matches(const struct flow_box *box, const struct packet_fields *packet)
{
	if (box->proto && box->proto != packet->proto)
		return false;
	if (!packet->proto || !flow_has_ports(packet->proto))
		return is_any(box->from_port) && is_any(box->to_port);
	return in_range(box->from_port, packet->from_port) && in_range(box->to_port, packet->to_port);
}

int kept_rule(const cJSON *answer, const struct packet_fields *packet)
{
	const cJSON *rule;
	int n = 0;

	cJSON_ArrayForEach (rule, json_get(answer, "rules")) {
		struct flow_box box = box_of(rule);

		if (matches(&box, packet))
			return n;
		n++;
	}
	return -1;
}

/* ---- texts ---- */

const struct kept_text *kept_find(const struct kept *k, uint64_t first, const struct packet_fields *packet)
{
	int i = 0;

	if (k->first != first)
		return NULL;
	while (i < k->n_rules && !matches(&k->rules[i], packet))
		i++;
	if (i == k->n_rules)
		i = KEPT_RULES_MAX;
	return k->texts[i].text ? &k->texts[i] : NULL;
}

char *kept_say(const struct kept_text *text, uint32_t lifetime)
{
	char end[16], *out;
	int len = snprintf(end, sizeof(end), "%u}", lifetime);

	out = mem_alloc(text->len + len + 1);
	memcpy(out, text->text, text->len);
	memcpy(out + text->len, end, len);
	return out;
}

static long clear(struct kept *k)
{
	long bytes = 0;

	for (int i = 0; i <= KEPT_RULES_MAX; i++) {
		bytes += (long)k->texts[i].len;
		free(k->texts[i].text);
		k->texts[i] = (struct kept_text){ 0 };
	}
	return bytes;
}

long kept_put(struct kept *k, uint64_t first, const cJSON *answer, int rule, char *text)
{
	const cJSON *list = json_get(answer, "rules"), *one;
	struct kept_text *at;
	long more = k->first != first ? -clear(k) : 0;

	k->first = first;
	if (cJSON_GetArraySize(list) > KEPT_RULES_MAX) {
		free(text);
		return more;
	}
	k->n_rules = 0;
	cJSON_ArrayForEach (one, list)
		k->rules[k->n_rules++] = box_of(one);
	at = &k->texts[rule < 0 ? KEPT_RULES_MAX : rule];
	more -= (long)at->len;
	free(at->text);
	*at = (struct kept_text){ text, strlen(text) };
	return more + (long)at->len;
}

void kept_free(struct kept *k)
{
	if (k)
		clear(k);
	free(k);
}
