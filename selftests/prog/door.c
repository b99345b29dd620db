// SPDX-License-Identifier: Apache-2.0
#include "door.h"

#include <string.h>

struct frame behind_door(uint16_t way, uint32_t ifindex, const struct frame *f)
{
	struct dove_door head = { .magic = DOVE_DOOR_MAGIC, .ifindex = ifindex, .way = way };
	struct frame out = *f;

	frame_insert(&out, 0, sizeof(head));
	memcpy(out.b, &head, sizeof(head));
	/* As Ethernet's protocol, so that the kernel can segment what is behind it. */
	frame_put(&out, 12, 2, frame_get(f, 12, 2) == ETH_P_IPV6 ? ETH_P_IPV6 : ETH_P_IP);
	return out;
}

struct run run_door(uint16_t way, uint32_t ifindex, const struct frame *f)
{
	struct frame whole = behind_door(way, ifindex, f);
	struct run r = run_skb(dove->progs.dove_door, &whole, NULL);

	r.in = *f;
	r.sends = way != DOVE_DOOR_RECEIVED;
	return r;
}

void expect_door_reason(enum dove_reason reason)
{
	check(dove->bss->door_reason == reason, "the agent reads %s, expected %s",
	      reason_name(dove->bss->door_reason), reason_name(reason));
}
