// SPDX-License-Identifier: Apache-2.0
#include "cutter.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rtnl.h"

/* A cut packet is no longer than what it was cut from. */
#define CUTTER_MTU 65535
#define FEATURES_MAX 256

int cutter_find(struct cutter *out)
{
	struct rtnl_link link, peer;

	if (rtnl_link_by_name(CUTTER_DEVICE, &link) || rtnl_link_by_name(CUTTER_PEER, &peer))
		return -ENODEV;
	*out = (struct cutter){ .ifindex = link.ifindex, .peer = peer.ifindex };
	return 0;
}

void cutter_remove(void)
{
	struct rtnl_link link;

	if (!rtnl_link_by_name(CUTTER_DEVICE, &link))
		rtnl_link_delete(link.ifindex);
}

/* ---- offloads: all kinds of super-packets, by the kernel's names for them ---- */

static int ethtool(void *command)
{
	struct ifreq ifr = { .ifr_name = CUTTER_DEVICE, .ifr_data = command };
	_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || ioctl(fd, SIOCETHTOOL, &ifr) < 0 ? -errno : 0;
}

static int feature_count(uint32_t *out)
{
	struct {
		struct ethtool_sset_info info;
		uint32_t count;
	} ask = { .info = { .cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ull << ETH_SS_FEATURES } };
	int rc = ethtool(&ask);

	*out = ask.count;
	return rc ? rc : *out && *out <= FEATURES_MAX ? 0 : -ERANGE;
}

static bool is_segmentation(const char *name)
{
	const char *end = strstr(name, "-segmentation");

	return (!strncmp(name, "tx-", 3) && end && !end[strlen("-segmentation")]) ||
	       !strcmp(name, "tx-gso-list");
}

static int segmentation_off(void)
{
	_free_ struct ethtool_gstrings *names = calloc(1, sizeof(*names) + FEATURES_MAX * ETH_GSTRING_LEN);
	_free_ struct ethtool_sfeatures *set =
		calloc(1, sizeof(*set) + (FEATURES_MAX / 32) * sizeof(set->features[0]));
	uint32_t count;
	int rc = names && set ? feature_count(&count) : -ENOMEM;

	if (rc)
		return rc;
	names->cmd = ETHTOOL_GSTRINGS;
	names->string_set = ETH_SS_FEATURES;
	names->len = count;
	rc = ethtool(names);
	if (rc)
		return rc;
	set->cmd = ETHTOOL_SFEATURES;
	set->size = (count + 31) / 32;
	for (uint32_t i = 0; i < count; i++)
		if (is_segmentation((const char *)names->data + i * ETH_GSTRING_LEN))
			set->features[i / 32].valid |= 1u << i % 32;
	return ethtool(set);
}

/* ---- the pair ---- */

static int prepare(const struct cutter *c)
{
	int rc = segmentation_off();

	rc = rc ? rc : rtnl_link_no_addresses(c->ifindex);
	rc = rc ? rc : rtnl_link_no_addresses(c->peer);
	/* In this order: with nobody at its other end a device would drop what is sent, for a while even after. */
	rc = rc ? rc : rtnl_link_up(c->peer);
	return rc ? rc : rtnl_link_up(c->ifindex);
}

int cutter_make(struct cutter *out)
{
	static const struct mac_addr mac = { .b = { 0x02, 0xd0, 0x7e, 0x00, 0x00, 0x02 } };
	int rc = rtnl_veth_add(CUTTER_DEVICE, &mac, CUTTER_PEER, CUTTER_MTU);

	rc = rc ? rc : cutter_find(out);
	rc = rc ? rc : prepare(out);
	if (rc)
		cutter_remove();
	return rc;
}
