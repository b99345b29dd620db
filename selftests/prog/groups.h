/* SPDX-License-Identifier: Apache-2.0 */
/* Packets to many, and the lists of who gets them, in dove_groups. */
#ifndef DOVE_TEST_GROUPS_H
#define DOVE_TEST_GROUPS_H

#include "prog.h"

/* To the IPv4 broadcast address, or to ff02::fb, ports 4000 to 53 like all. */
struct vm_frame to_many(enum family family, const struct vm *from);

/* The list for such packets of `from`, good for now, and without targets. */
struct dove_group_key group_key(const struct vm_frame *v, const struct vm *from, enum dove_group_side side);
struct dove_group group_of(enum dove_group_kind kind);
void group_add_port(struct dove_group *g, uint32_t ifindex, uint32_t endpoint);
void group_add_host(struct dove_group *g, const struct dove_ip *host);
/* group_put_part() - into the map; `more`: another part follows it. */
void group_put_part(const struct dove_group_key *key, unsigned part, struct dove_group *g, bool more);
void group_put(const struct dove_group_key *key, const struct dove_group *g);

/* tap_expect() - exactly these bytes came out of it next. */
void tap_expect(const struct tap *t, const struct frame *want);

#endif
