// SPDX-License-Identifier: Apache-2.0
#include "lib/routers.h"

#include <errno.h>

bool routers_may(const struct routers *routers, const struct ip_addr *addr)
{
	return ip_is_host(addr) && !ip_is_link_local(addr) &&
	       (!routers->n || ip_is_v4(addr) == ip_is_v4(&routers->at[0]));
}

static int router_parse(const cJSON *item, struct routers *routers, struct json_error *err)
{
	struct ip_addr addr;

	if (!cJSON_IsString(item) || ip_parse(item->valuestring, &addr))
		return json_fail_item(err, "hops", routers->n, "a hop is the address of a router");
	if (!routers_may(routers, &addr))
		return json_fail_item(err, "hops", routers->n,
				      "a router's address is unicast, valid beyond its link, and of the same "
				      "family as the others'");
	routers->at[routers->n++] = addr;
	return 0;
}

int routers_parse(const cJSON *obj, struct routers *out, struct json_error *err)
{
	struct routers routers = { .n = 0 };
	const cJSON *list = NULL, *item;
	int rc = json_list_opt(obj, "hops", ROUTERS_MAX, &list, err);

	if (!rc && list && !cJSON_GetArraySize(list))
		rc = json_fail(err, "hops", "a path has 1 to %d hops, or no 'hops'", ROUTERS_MAX);
	cJSON_ArrayForEach (item, list) {
		rc = rc ? rc : router_parse(item, &routers, err);
		if (rc)
			return rc;
	}
	if (!rc)
		*out = routers;
	return rc;
}

void routers_render(cJSON *obj, const struct routers *routers)
{
	cJSON *list = routers->n ? cJSON_AddArrayToObject(obj, "hops") : NULL;
	char text[IP_TEXT];

	for (size_t i = 0; i < routers->n; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(ip_format(&routers->at[i], text)));
}
