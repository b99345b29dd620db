// SPDX-License-Identifier: Apache-2.0
#include "routes.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "netlink.h"

static const uint8_t families[] = { AF_INET, AF_INET6 };

/* ---- rules ---- */

static int rule_request(uint16_t type, uint16_t flags, uint8_t family, uint32_t mark)
{
	struct netlink r;
	struct fib_rule_hdr *hdr = netlink_start(&r, type, NLM_F_ACK | flags, sizeof(*hdr));

	hdr->family = family;
	hdr->action = FR_ACT_TO_TBL;
	mnl_attr_put_u32(r.nlh, FRA_FWMARK, mark);
	mnl_attr_put_u32(r.nlh, FRA_FWMASK, UINT32_MAX);
	mnl_attr_put_u32(r.nlh, FRA_TABLE, mark);
	mnl_attr_put_u32(r.nlh, FRA_PRIORITY, ROUTES_PRIORITY);
	mnl_attr_put_u8(r.nlh, FRA_PROTOCOL, ROUTES_PROTOCOL);
	return netlink_run(&r, NULL, NULL);
}

int routes_rule_add(uint32_t mark)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_SIZE(families) && !rc; i++) {
		rc = rule_request(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, families[i], mark);
		if (rc == -EEXIST || (rc == -EAFNOSUPPORT && families[i] == AF_INET6))
			rc = 0;
	}
	return rc;
}

int routes_rule_del(uint32_t mark)
{
	int rc = 0, one;

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		one = rule_request(RTM_DELRULE, 0, families[i], mark);
		if (one && one != -ENOENT && one != -EAFNOSUPPORT)
			rc = one;
	}
	return rc;
}

struct marks {
	uint32_t *at;
	int n, max;
};

static void mark_add(struct marks *marks, uint32_t mark)
{
	for (int i = 0; i < marks->n; i++)
		if (marks->at[i] == mark)
			return;
	if (marks->n < marks->max)
		marks->at[marks->n++] = mark;
}

static int rule_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[NETLINK_ATTRS] = {};

	mnl_attr_parse(nlh, sizeof(struct fib_rule_hdr), netlink_attr, tb);
	if (tb[FRA_FWMARK] && tb[FRA_PROTOCOL] && mnl_attr_get_u8(tb[FRA_PROTOCOL]) == ROUTES_PROTOCOL)
		mark_add(arg, mnl_attr_get_u32(tb[FRA_FWMARK]));
	return MNL_CB_OK;
}

int routes_rules(uint32_t *out, int max)
{
	struct marks marks = { .at = out, .max = max };

	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct netlink r;
		struct fib_rule_hdr *hdr = netlink_start(&r, RTM_GETRULE, NLM_F_DUMP, sizeof(*hdr));

		hdr->family = families[i];
		netlink_run(&r, rule_parse, &marks);
	}
	return marks.n;
}

/* ---- routes ---- */

static int family_bits(const struct ip_prefix *prefix)
{
	return ip_is_v4(&prefix->addr) ? prefix->bits - 96 : prefix->bits;
}

static int route_request(uint16_t type, uint16_t flags, uint32_t table, int ifindex,
			 const struct ip_prefix *prefix)
{
	struct netlink r;
	struct rtmsg *msg = netlink_start(&r, type, NLM_F_ACK | flags, sizeof(*msg));

	msg->rtm_family = netlink_family(&prefix->addr);
	msg->rtm_dst_len = family_bits(prefix);
	msg->rtm_protocol = ROUTES_PROTOCOL;
	msg->rtm_scope = RT_SCOPE_LINK;
	msg->rtm_type = RTN_UNICAST;
	netlink_put_addr(r.nlh, RTA_DST, &prefix->addr);
	mnl_attr_put_u32(r.nlh, RTA_TABLE, table);
	mnl_attr_put_u32(r.nlh, RTA_OIF, ifindex);
	return netlink_run(&r, NULL, NULL);
}

#define ROUTES_MAX 256 /* more than a network has subnets */

struct routes {
	struct ip_prefix at[ROUTES_MAX];
	int n;
};

static int route_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct rtmsg *msg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[NETLINK_ATTRS] = {};
	struct ip_prefix prefix = {};
	struct routes *routes = arg;

	mnl_attr_parse(nlh, sizeof(*msg), netlink_attr, tb);
	if (msg->rtm_protocol != ROUTES_PROTOCOL || routes->n == ROUTES_MAX)
		return MNL_CB_OK;
	if (msg->rtm_family == AF_INET)
		prefix.addr = ip_from_v4(0);
	netlink_get_addr(tb[RTA_DST], &prefix.addr);
	prefix.bits = msg->rtm_dst_len + (msg->rtm_family == AF_INET ? 96 : 0);
	routes->at[routes->n++] = prefix;
	return MNL_CB_OK;
}

static void routes_get(uint32_t table, int ifindex, struct routes *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct netlink r;
		struct rtmsg *msg = netlink_start(&r, RTM_GETROUTE, NLM_F_DUMP, sizeof(*msg));

		r.filtered = true;
		msg->rtm_family = families[i];
		mnl_attr_put_u32(r.nlh, RTA_TABLE, table);
		mnl_attr_put_u32(r.nlh, RTA_OIF, ifindex);
		netlink_run(&r, route_parse, out); /* -ENOENT: there is no such table yet */
	}
}

static bool has(const struct ip_prefix *list, int n, const struct ip_prefix *prefix)
{
	for (int i = 0; i < n; i++)
		if (ip_prefix_equal(&list[i], prefix))
			return true;
	return false;
}

int routes_set(uint32_t table, int ifindex, const struct ip_prefix *prefixes, int n)
{
	struct routes old = {};
	int rc = 0, one;

	routes_get(table, ifindex, &old);
	for (int i = 0; i < old.n; i++)
		if (!has(prefixes, n, &old.at[i]))
			route_request(RTM_DELROUTE, 0, table, ifindex, &old.at[i]);
	for (int i = 0; i < n; i++) {
		if (has(old.at, old.n, &prefixes[i]))
			continue;
		one = route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, table, ifindex, &prefixes[i]);
		if (one && one != -EEXIST)
			rc = one;
	}
	return rc;
}
