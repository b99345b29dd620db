/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Are hosts there? Asked by ICMP echo (RFC 792, RFC 4443), which the host's
 * kernel answers, so that an agent may be restarted and its appliances go on.
 * A host that has never answered is believed to be there: something on the way
 * may not let pings pass.
 */
#ifndef DOVE_ALIVE_H
#define DOVE_ALIVE_H

#include "agent.h"

struct alive;

/* alive_open() - `changed` is called when a host that was there is not, or is again. */
int alive_open(struct agent *a, void (*changed)(void *arg), void *arg, struct alive **out, struct error *err);
void alive_close(struct alive *l);

/* alive_watch() - from now on ask these, and no others; what is known of those that were asked before stays. */
void alive_watch(struct alive *l, const struct ip_addr *addrs, int n);

/* alive_is() - false only where it has answered once, and does not any more. */
bool alive_is(const struct alive *l, const struct ip_addr *addr);

#endif
