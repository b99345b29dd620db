/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routers of the physical network that a path leads by, as its administrator
 * lays it out: the field "hops", the first one first.
 */
#ifndef DOVE_ROUTERS_H
#define DOVE_ROUTERS_H

#include <stddef.h>

#include "lib/addr.h"
#include "lib/json.h"

#define ROUTERS_MAX 4

struct routers {
	struct ip_addr at[ROUTERS_MAX]; /* of one family; the rest zero */
	size_t n;			/* 0: none */
};

/*
 * routers_parse() - the field "hops" of obj: a list of 1 to 4 addresses, all
 * IPv4 or all IPv6. 0, with *out empty where there is no such field, or
 * -EINVAL with *err.
 */
int routers_parse(const cJSON *obj, struct routers *out, struct json_error *err);

/* routers_render() - add that field to obj, as routers_parse() reads it; nothing where there are none. */
void routers_render(cJSON *obj, const struct routers *routers);

/* routers_may() - may this address be one of a path: unicast, valid beyond its link, of the others' family? */
bool routers_may(const struct routers *routers, const struct ip_addr *addr);

#endif
