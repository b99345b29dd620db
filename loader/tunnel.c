// SPDX-License-Identifier: Apache-2.0
#include "tunnel.h"

#include <errno.h>
#include <string.h>

#include "lib/log.h"
#include "rtnl.h"
#include <linux/types.h>

#include "maps/wire.h"

static enum tunnel_kind kind_of(const struct rtnl_link *link)
{
	if (!strcmp(link->kind, "geneve"))
		return TUNNEL_GENEVE;
	return strcmp(link->kind, "vxlan") ? TUNNEL_NONE : TUNNEL_VXLAN;
}

enum tunnel_kind tunnel_open(int *ifindex)
{
	static const char *const kinds[] = { "geneve", "vxlan" };
	struct rtnl_link link;
	int rc = 0;

	if (rtnl_link_by_name(TUNNEL_DEVICE, &link)) {
		for (int i = 0; i < 2; i++) {
			rc = rtnl_tunnel_add(TUNNEL_DEVICE, kinds[i], DOVE_GENEVE_PORT);
			if (!rc || rc == -EEXIST || rc == -EADDRINUSE)
				break;
		}
		if (!rc)
			rc = rtnl_link_by_name(TUNNEL_DEVICE, &link);
	}
	if (!rc)
		rc = rtnl_link_no_addresses(link.ifindex);
	if (!rc)
		rc = rtnl_link_up(link.ifindex);
	if (rc) {
		log_warn("no tunnel device on port %d, super-packets will reach taps cut up: %s",
			 DOVE_GENEVE_PORT, strerror(-rc));
		*ifindex = 0;
		return TUNNEL_NONE;
	}
	*ifindex = link.ifindex;
	return kind_of(&link);
}

void tunnel_remove(void)
{
	struct rtnl_link link;

	if (!rtnl_link_by_name(TUNNEL_DEVICE, &link))
		rtnl_link_delete(link.ifindex);
}
