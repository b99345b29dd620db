/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to the kernel over netlink, and its answers. Put the header
 * with netlink_start(), attributes behind it by libmnl, and let it run.
 */
#ifndef DOVE_NETLINK_H
#define DOVE_NETLINK_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/addr.h"

/* Large enough for any one message of the kernel's (a page of a dump is at most 32 KiB). */
#define NETLINK_ROOM 32768

struct netlink {
	char room[1024];
	struct nlmsghdr *nlh;
	bool filtered; /* a dump, of what matches its header and attributes; else of everything (Linux 4.20) */
};

/* Room for a table of attributes; an attribute's type is its index. */
#define NETLINK_ATTRS 128

/* netlink_start() - begin a request; returns its `extra` bytes behind the header, zeroed. */
void *netlink_start(struct netlink *r, uint16_t type, uint16_t flags, size_t extra);

/*
 * netlink_run() - send it to the kernel, and run cb (NULL: none) over the
 * answers until the acknowledgement or the end of the dump. 0 or -errno.
 */
int netlink_run(struct netlink *r, mnl_cb_t cb, void *arg);

/* netlink_run_on() - the same on another bus (NETLINK_*) than that of links and routes. */
int netlink_run_on(int bus, struct netlink *r, mnl_cb_t cb, void *arg);

/* netlink_attr() - for mnl_attr_parse(): into a table of NETLINK_ATTRS. */
int netlink_attr(const struct nlattr *attr, void *table);

/* Addresses go as 4 or 16 bytes; of an attribute that holds none, or is not there, false. */
void netlink_put_addr(struct nlmsghdr *nlh, uint16_t type, const struct ip_addr *addr);
bool netlink_get_addr(const struct nlattr *attr, struct ip_addr *out);
uint8_t netlink_family(const struct ip_addr *addr);

#endif
