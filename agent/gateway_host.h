/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel of a gateway host is set to (sysctl).
 *
 * Of our own devices: what they need. Of the host one thing, while it has an
 * external network: fwmark_reflect, of both families. By it the kernel's own
 * ICMP errors (too big, time exceeded) have the mark of the packet that they
 * are about, and find its network. What it was before is given back.
 *
 * Forwarding is the administrator's: no host becomes a router behind its
 * owner's back. Without it nothing comes back from outside, and status says so.
 */
#ifndef DOVE_GATEWAY_HOST_H
#define DOVE_GATEWAY_HOST_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "lib/error.h"

#define GATEWAY_FAMILIES 2 /* 0: IPv4, 1: IPv6 */

struct gateway_host {
	char before[GATEWAY_FAMILIES][8]; /* of what we have switched on; "": nothing */
	bool warned;
};

/* gateway_host_device() - the kernel's side of a pair, before it is up. 0 or -errno. */
int gateway_host_device(const char *device, struct error *err);

/* gateway_host_wanting() - fill in what is to be switched on. True where there is something; keep it, then take. */
bool gateway_host_wanting(struct gateway_host *h);
void gateway_host_take(struct gateway_host *h);
/* gateway_host_give() - all as it was before. True where something had to be changed. */
bool gateway_host_give(struct gateway_host *h);

bool gateway_host_taken(const struct gateway_host *h);

/* gateway_host_forwards() - does the host route packets of that family? */
bool gateway_host_forwards(int family);

/* As kept in the run directory. */
cJSON *gateway_host_save(const struct gateway_host *h);
void gateway_host_restore(struct gateway_host *h, const cJSON *saved);

#endif
