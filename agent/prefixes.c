// SPDX-License-Identifier: Apache-2.0
#include "prefixes.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "lib/json.h"
#include "lib/log.h"

/* What precedes the address in the key, and an IPv4 address within it, in bits. */
#define VNID_BITS 32
#define MAPPED_BITS 96

static void prefix_store(struct agent *a, uint32_t vnid, const char *text, uint32_t external)
{
	struct dove_prefix row = { .external = external };
	struct dove_prefix_key key = { .vnid = htonl(vnid) };
	struct ip_prefix prefix;

	if (!text || ip_prefix_parse(text, &prefix))
		return;
	key.bits = VNID_BITS + prefix.bits;
	key.addr = to_dove_ip(&prefix.addr);
	/* A subnet that is inside stays so, whatever an external network says of it. */
	if (bpf_map_update_elem(a->maps->prefixes, &key, &row, external ? BPF_NOEXIST : BPF_ANY) &&
	    errno != EEXIST)
		log_error("dove_prefixes: %s: %s", text, strerror(errno));
}

struct others {
	uint32_t vnid;
};

static bool of_another(const void *key, void *arg)
{
	const struct dove_prefix_key *k = key;
	const struct others *o = arg;

	return ntohl(k->vnid) != o->vnid;
}

void prefixes_clear(struct agent *a, uint32_t vnid)
{
	struct others others = { .vnid = vnid };

	map_clear(a->maps->prefixes, sizeof(struct dove_prefix_key), of_another, &others);
}

static void externals_store(struct agent *a, uint32_t vnid, const cJSON *list)
{
	const cJSON *one, *prefix;
	uint64_t id;

	cJSON_ArrayForEach (one, list)
		if (json_whole(json_get(one, "id"), 1, UINT32_MAX, &id))
			cJSON_ArrayForEach (prefix, json_get(one, "prefixes"))
				prefix_store(a, vnid, cJSON_GetStringValue(prefix), id);
}

/*
 * Anew as a whole: it changes seldom. A packet that finds nothing meanwhile is
 * asked for by its address, which nobody has, and answered for a moment as if
 * there were no way out.
 */
void prefixes_update(struct agent *a, uint32_t vnid, const char *name, const cJSON *json)
{
	const cJSON *one, *externals = json_get(json, "externals");

	prefixes_clear(a, vnid);
	cJSON_ArrayForEach (one, json_get(json, "subnets"))
		prefix_store(a, vnid, cJSON_GetStringValue(json_get(one, "prefix")), 0);
	if (!cJSON_GetArraySize(externals))
		return;
	externals_store(a, vnid, externals);
	/* IPv4 addresses are ::ffff:a.b.c.d in the key, and no part of ::/0. */
	struct dove_prefix_key mapped = { .bits = VNID_BITS + MAPPED_BITS,
					  .vnid = htonl(vnid),
					  .addr = { .b = { [10] = 0xff, [11] = 0xff } } };
	bpf_map_update_elem(a->maps->prefixes, &mapped, &(struct dove_prefix){}, BPF_NOEXIST);
	log_debug("%s: %d external networks", name, cJSON_GetArraySize(externals));
}
