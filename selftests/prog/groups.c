// SPDX-License-Identifier: Apache-2.0
#include "groups.h"

#include <string.h>

struct vm_frame to_many(enum family family, const struct vm *from)
{
	struct vm_frame v = udp_between(family, from, &vm2);

	v.dst = family == V6 ? ip6_text("ff02::fb") : ip_of(0xffffffff);
	multicast_mac(v.dmac, &v.dst);
	if (family == V4)
		memset(v.dmac, 0xff, 6);
	return v;
}

struct dove_group_key group_key(const struct vm_frame *v, const struct vm *from, enum dove_group_side side)
{
	return (struct dove_group_key){ .vnid = BLUE,
					.source = from->endpoint,
					.from_port = v->from_port,
					.to_port = v->to_port,
					.proto = v->proto,
					.side = side };
}

struct dove_group group_of(enum dove_group_kind kind)
{
	return (struct dove_group){ .revision = REVISION, .expires = now_ns() + 60 * SECOND, .kind = kind };
}

void group_add_port(struct dove_group *g, uint32_t ifindex, uint32_t endpoint)
{
	g->at[g->n++] = (struct dove_target){ .ifindex = ifindex, .endpoint = endpoint };
}

void group_add_host(struct dove_group *g, const struct dove_ip *host)
{
	g->at[g->n++] = (struct dove_target){ .host = *host };
}

void group_put_part(const struct dove_group_key *key, unsigned part, struct dove_group *g, bool more)
{
	struct dove_group_key of_part = *key;

	of_part.part = part;
	g->more = more;
	map_put(dove_groups, &of_part, g);
}

void group_put(const struct dove_group_key *key, const struct dove_group *g)
{
	map_put(dove_groups, key, g);
}

void tap_expect(const struct tap *t, const struct frame *want)
{
	struct frame got;

	check(tap_read(t, &got), "nothing came out of interface %u", t->ifindex);
	expect_bytes(&got, want);
}
