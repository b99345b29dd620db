// SPDX-License-Identifier: Apache-2.0
#include "rtnl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "netlink.h"

/* ---- links ---- */

#define LOWER_UP (1u << 16) /* IFF_LOWER_UP, of a header that net/if.h does not go with */

static void text_from(const struct nlattr *attr, char *out, size_t size)
{
	if (attr)
		snprintf(out, size, "%s", mnl_attr_get_str(attr));
}

static int link_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[NETLINK_ATTRS] = {}, *in[NETLINK_ATTRS] = {};
	struct rtnl_link *link = arg;

	mnl_attr_parse(nlh, sizeof(*info), netlink_attr, tb);
	*link = (struct rtnl_link){ .ifindex = info->ifi_index,
				    .up = info->ifi_flags & IFF_UP,
				    .carrier = info->ifi_flags & LOWER_UP };
	text_from(tb[IFLA_IFNAME], link->name, sizeof(link->name));
	if (tb[IFLA_MTU])
		link->mtu = mnl_attr_get_u32(tb[IFLA_MTU]);
	/* The attribute is aligned to four bytes, the structure to eight. */
	if (tb[IFLA_STATS64] && mnl_attr_get_payload_len(tb[IFLA_STATS64]) >= sizeof(link->received))
		memcpy(&link->received,
		       mnl_attr_get_payload(tb[IFLA_STATS64]) +
			       offsetof(struct rtnl_link_stats64, rx_packets),
		       sizeof(link->received));
	if (tb[IFLA_MASTER])
		link->master = mnl_attr_get_u32(tb[IFLA_MASTER]);
	if (tb[IFLA_ADDRESS] && mnl_attr_get_payload_len(tb[IFLA_ADDRESS]) == sizeof(link->mac))
		memcpy(&link->mac, mnl_attr_get_payload(tb[IFLA_ADDRESS]), sizeof(link->mac));
	link->peer_elsewhere = tb[IFLA_LINK_NETNSID];
	if (tb[IFLA_LINKINFO]) {
		mnl_attr_parse_nested(tb[IFLA_LINKINFO], netlink_attr, in);
		text_from(in[IFLA_INFO_KIND], link->kind, sizeof(link->kind));
		text_from(in[IFLA_INFO_SLAVE_KIND], link->member_kind, sizeof(link->member_kind));
	}
	return MNL_CB_OK;
}

int rtnl_link_by_index(int ifindex, struct rtnl_link *out)
{
	struct netlink r;
	struct rtnl_link link = {};
	struct ifinfomsg *info = netlink_start(&r, RTM_GETLINK, NLM_F_ACK, sizeof(*info));
	int rc;

	info->ifi_index = ifindex;
	rc = netlink_run(&r, link_parse, &link);
	if (!rc)
		*out = link;
	return rc;
}

int rtnl_link_by_name(const char *name, struct rtnl_link *out)
{
	unsigned int ifindex = if_nametoindex(name);

	return ifindex ? rtnl_link_by_index(ifindex, out) : -ENODEV;
}

int rtnl_bridge_member_set(int ifindex, bool closed)
{
	struct netlink r;
	struct ifinfomsg *info = netlink_start(&r, RTM_SETLINK, NLM_F_ACK, sizeof(*info));
	struct nlattr *nest;

	info->ifi_family = AF_BRIDGE;
	info->ifi_index = ifindex;
	nest = mnl_attr_nest_start(r.nlh, IFLA_PROTINFO);
	mnl_attr_put_u8(r.nlh, IFLA_BRPORT_ISOLATED, closed);
	mnl_attr_put_u8(r.nlh, IFLA_BRPORT_LEARNING, !closed);
	mnl_attr_put_u8(r.nlh, IFLA_BRPORT_UNICAST_FLOOD, !closed);
	mnl_attr_put_u8(r.nlh, IFLA_BRPORT_MCAST_FLOOD, !closed);
	mnl_attr_put_u8(r.nlh, IFLA_BRPORT_BCAST_FLOOD, !closed);
	mnl_attr_put(r.nlh, IFLA_BRPORT_FLUSH, 0, NULL);
	mnl_attr_nest_end(r.nlh, nest);
	return netlink_run(&r, NULL, NULL);
}

/* An address on a device of ours would be one more way into the host. */
int rtnl_link_no_addresses(int ifindex)
{
	struct netlink r;
	struct ifinfomsg *info = netlink_start(&r, RTM_SETLINK, NLM_F_ACK, sizeof(*info));
	struct nlattr *spec, *inet6;
	int rc;

	info->ifi_index = ifindex;
	spec = mnl_attr_nest_start(r.nlh, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(r.nlh, AF_INET6);
	mnl_attr_put_u8(r.nlh, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(r.nlh, inet6);
	mnl_attr_nest_end(r.nlh, spec);
	rc = netlink_run(&r, NULL, NULL);
	return rc == -EAFNOSUPPORT ? 0 : rc; /* no IPv6 here, and no addresses of it */
}

int rtnl_link_up(int ifindex)
{
	struct netlink r;
	struct ifinfomsg *info = netlink_start(&r, RTM_NEWLINK, NLM_F_ACK, sizeof(*info));

	info->ifi_index = ifindex;
	info->ifi_flags = info->ifi_change = IFF_UP;
	return netlink_run(&r, NULL, NULL);
}

int rtnl_link_mtu(int ifindex, uint32_t mtu)
{
	struct netlink r;
	struct ifinfomsg *info = netlink_start(&r, RTM_NEWLINK, NLM_F_ACK, sizeof(*info));

	info->ifi_index = ifindex;
	mnl_attr_put_u32(r.nlh, IFLA_MTU, mtu);
	return netlink_run(&r, NULL, NULL);
}

int rtnl_link_delete(int ifindex)
{
	struct netlink r;
	struct ifinfomsg *info = netlink_start(&r, RTM_DELLINK, NLM_F_ACK, sizeof(*info));

	info->ifi_index = ifindex;
	return netlink_run(&r, NULL, NULL);
}

static void tunnel_attrs(struct nlmsghdr *nlh, bool geneve, uint16_t port)
{
	if (geneve) {
		mnl_attr_put(nlh, IFLA_GENEVE_COLLECT_METADATA, 0, NULL);
		mnl_attr_put_u16(nlh, IFLA_GENEVE_PORT, htons(port));
		mnl_attr_put_u8(nlh, IFLA_GENEVE_UDP_ZERO_CSUM6_RX, 1);
		return;
	}
	mnl_attr_put_u8(nlh, IFLA_VXLAN_COLLECT_METADATA, 1);
	mnl_attr_put_u16(nlh, IFLA_VXLAN_PORT, htons(port));
	mnl_attr_put_u8(nlh, IFLA_VXLAN_LEARNING, 0);
	mnl_attr_put_u8(nlh, IFLA_VXLAN_UDP_ZERO_CSUM6_RX, 1);
}

int rtnl_tunnel_add(const char *name, const char *kind, uint16_t port)
{
	struct netlink r;
	struct nlattr *info, *data;

	netlink_start(&r, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(r.nlh, IFLA_IFNAME, name);
	info = mnl_attr_nest_start(r.nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(r.nlh, IFLA_INFO_KIND, kind);
	data = mnl_attr_nest_start(r.nlh, IFLA_INFO_DATA);
	tunnel_attrs(r.nlh, !strcmp(kind, "geneve"), port);
	mnl_attr_nest_end(r.nlh, data);
	mnl_attr_nest_end(r.nlh, info);
	return netlink_run(&r, NULL, NULL);
}

int rtnl_veth_add(const char *name, const struct mac_addr *mac, const char *peer, uint32_t mtu)
{
	struct netlink r;
	struct ifinfomsg *info =
		netlink_start(&r, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(*info));
	struct nlattr *link, *data, *other;

	info->ifi_flags = info->ifi_change = IFF_NOARP;
	mnl_attr_put_strz(r.nlh, IFLA_IFNAME, name);
	mnl_attr_put(r.nlh, IFLA_ADDRESS, sizeof(mac->b), mac->b);
	mnl_attr_put_u32(r.nlh, IFLA_MTU, mtu);
	link = mnl_attr_nest_start(r.nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(r.nlh, IFLA_INFO_KIND, "veth");
	data = mnl_attr_nest_start(r.nlh, IFLA_INFO_DATA);
	other = mnl_attr_nest_start(r.nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(r.nlh, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(r.nlh, IFLA_IFNAME, peer);
	mnl_attr_put_u32(r.nlh, IFLA_MTU, mtu);
	mnl_attr_nest_end(r.nlh, other);
	mnl_attr_nest_end(r.nlh, data);
	mnl_attr_nest_end(r.nlh, link);
	return netlink_run(&r, NULL, NULL);
}

/* ---- addresses ---- */

struct addr_list {
	struct ip_addr *at;
	int ifindex, n, max;
};

static int addr_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[NETLINK_ATTRS] = {};
	struct addr_list *list = arg;

	mnl_attr_parse(nlh, sizeof(*info), netlink_attr, tb);
	if ((int)info->ifa_index != list->ifindex || info->ifa_scope != RT_SCOPE_UNIVERSE ||
	    list->n >= list->max)
		return MNL_CB_OK;
	if (netlink_get_addr(tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS], &list->at[list->n]))
		list->n++;
	return MNL_CB_OK;
}

int rtnl_addrs(int ifindex, struct ip_addr *out, int max)
{
	struct netlink r;
	struct addr_list list = { .at = out, .ifindex = ifindex, .max = max };
	int rc;

	netlink_start(&r, RTM_GETADDR, NLM_F_DUMP, sizeof(struct ifaddrmsg));
	rc = netlink_run(&r, addr_parse, &list);
	return rc ? rc : list.n;
}

/* ---- routes and neighbours ---- */

static int route_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *tb[NETLINK_ATTRS] = {}, *metrics[NETLINK_ATTRS] = {};
	struct rtnl_route *route = arg;

	mnl_attr_parse(nlh, sizeof(struct rtmsg), netlink_attr, tb);
	if (tb[RTA_OIF])
		route->ifindex = mnl_attr_get_u32(tb[RTA_OIF]);
	netlink_get_addr(tb[RTA_GATEWAY], &route->next_hop);
	netlink_get_addr(tb[RTA_PREFSRC], &route->source);
	if (tb[RTA_METRICS]) {
		mnl_attr_parse_nested(tb[RTA_METRICS], netlink_attr, metrics);
		if (metrics[RTAX_MTU])
			route->mtu = mnl_attr_get_u32(metrics[RTAX_MTU]);
	}
	return MNL_CB_OK;
}

int rtnl_route_get(const struct ip_addr *dst, struct rtnl_route *out)
{
	struct netlink r;
	struct rtnl_route route = { .next_hop = *dst };
	struct rtmsg *msg = netlink_start(&r, RTM_GETROUTE, NLM_F_ACK, sizeof(*msg));
	int rc;

	msg->rtm_family = netlink_family(dst);
	msg->rtm_dst_len = ip_is_v4(dst) ? 32 : 128;
	netlink_put_addr(r.nlh, RTA_DST, dst);
	rc = netlink_run(&r, route_parse, &route);
	if (rc)
		return rc;
	if (!route.ifindex)
		return -ENETUNREACH;
	*out = route;
	return 0;
}

struct neigh_seen {
	struct mac_addr mac;
	bool valid;
};

static int neigh_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct ndmsg *msg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[NETLINK_ATTRS] = {};
	struct neigh_seen *seen = arg;
	const uint16_t usable = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;

	mnl_attr_parse(nlh, sizeof(*msg), netlink_attr, tb);
	if (!(msg->ndm_state & usable) || !tb[NDA_LLADDR] ||
	    mnl_attr_get_payload_len(tb[NDA_LLADDR]) != sizeof(seen->mac))
		return MNL_CB_OK;
	memcpy(&seen->mac, mnl_attr_get_payload(tb[NDA_LLADDR]), sizeof(seen->mac));
	seen->valid = true;
	return MNL_CB_OK;
}

int rtnl_neigh_get(int ifindex, const struct ip_addr *addr, struct mac_addr *out)
{
	struct netlink r;
	struct neigh_seen seen = {};
	struct ndmsg *msg = netlink_start(&r, RTM_GETNEIGH, NLM_F_ACK, sizeof(*msg));
	int rc;

	msg->ndm_family = netlink_family(addr);
	msg->ndm_ifindex = ifindex;
	netlink_put_addr(r.nlh, NDA_DST, addr);
	rc = netlink_run(&r, neigh_parse, &seen);
	if (rc == -ENOENT || (!rc && !seen.valid))
		return -EAGAIN;
	if (!rc)
		*out = seen.mac;
	return rc;
}

static int neigh_ask(int ifindex, const struct ip_addr *addr, uint8_t flags, uint32_t flags_ext)
{
	struct netlink r;
	struct ndmsg *msg = netlink_start(&r, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE, sizeof(*msg));

	msg->ndm_family = netlink_family(addr);
	msg->ndm_ifindex = ifindex;
	msg->ndm_flags = flags;
	netlink_put_addr(r.nlh, NDA_DST, addr);
	if (flags_ext)
		mnl_attr_put_u32(r.nlh, NDA_FLAGS_EXT, flags_ext);
	return netlink_run(&r, NULL, NULL);
}

int rtnl_neigh_keep(int ifindex, const struct ip_addr *addr)
{
	if (!neigh_ask(ifindex, addr, 0, NTF_EXT_MANAGED))
		return 0;
	return neigh_ask(ifindex, addr, NTF_USE, 0);
}

/* ---- queueing ---- */

/* Flows share the queue's places: how many must find one at once, for a flow's own limit to be its to fill. */
#define QUEUE_SHARES 64

struct queueing {
	int ifindex;
	uint32_t least; /* of all fq's flow limits; 0: none was seen */
	bool other;	/* something else queues, too */
};

static uint32_t flow_limit(const struct nlattr *options)
{
	const struct nlattr *tb[NETLINK_ATTRS] = {};

	uint32_t flow, all;

	if (options)
		mnl_attr_parse_nested(options, netlink_attr, tb);
	if (!tb[TCA_FQ_FLOW_PLIMIT] || !tb[TCA_FQ_PLIMIT])
		return 0;
	flow = mnl_attr_get_u32(tb[TCA_FQ_FLOW_PLIMIT]);
	all = mnl_attr_get_u32(tb[TCA_FQ_PLIMIT]) / QUEUE_SHARES;
	return flow < all ? flow : all;
}

static int qdisc_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct tcmsg *msg = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[NETLINK_ATTRS] = {};
	struct queueing *q = arg;
	const char *kind;
	uint32_t limit;

	mnl_attr_parse(nlh, sizeof(*msg), netlink_attr, tb);
	if (msg->tcm_ifindex != q->ifindex || msg->tcm_parent == TC_H_CLSACT || !tb[TCA_KIND])
		return MNL_CB_OK;
	kind = mnl_attr_get_str(tb[TCA_KIND]);
	limit = strcmp(kind, "fq") ? 0 : flow_limit(tb[TCA_OPTIONS]);
	if (limit && (!q->least || limit < q->least))
		q->least = limit;
	q->other |= !limit && strcmp(kind, "mq");
	return MNL_CB_OK;
}

uint32_t rtnl_pacing_queue(int ifindex)
{
	struct queueing q = { .ifindex = ifindex };
	struct netlink r;
	struct tcmsg *msg = netlink_start(&r, RTM_GETQDISC, NLM_F_DUMP, sizeof(*msg));

	msg->tcm_ifindex = ifindex;
	return netlink_run(&r, qdisc_parse, &q) || q.other ? 0 : q.least;
}

/* ---- clsact ---- */

static int clsact_request(uint16_t type, uint16_t flags, int ifindex)
{
	struct netlink r;
	struct tcmsg *msg = netlink_start(&r, type, NLM_F_ACK | flags, sizeof(*msg));

	msg->tcm_ifindex = ifindex;
	msg->tcm_parent = TC_H_CLSACT;
	msg->tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
	mnl_attr_put_strz(r.nlh, TCA_KIND, "clsact");
	return netlink_run(&r, NULL, NULL);
}

int rtnl_clsact_add(int ifindex)
{
	return clsact_request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, ifindex);
}

int rtnl_clsact_del(int ifindex)
{
	return clsact_request(RTM_DELQDISC, 0, ifindex);
}

static int filter_seen(const struct nlmsghdr *nlh, void *arg)
{
	*(bool *)arg = true;
	return MNL_CB_OK;
}

bool rtnl_clsact_in_use(int ifindex)
{
	const uint32_t sides[] = { TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
				   TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS) };
	bool seen = false;

	for (size_t i = 0; i < ARRAY_SIZE(sides); i++) {
		struct netlink r;
		struct tcmsg *msg = netlink_start(&r, RTM_GETTFILTER, NLM_F_DUMP, sizeof(*msg));

		msg->tcm_ifindex = ifindex;
		msg->tcm_parent = sides[i];
		/* When the kernel won't tell, it counts as in use. */
		if (netlink_run(&r, filter_seen, &seen))
			return true;
	}
	return seen;
}

/* ---- changes ---- */

int rtnl_monitor_open(void)
{
	const int groups[] = { RTNLGRP_LINK,	    RTNLGRP_NEIGH,	RTNLGRP_IPV4_IFADDR,
			       RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
			       RTNLGRP_TC };
	struct sockaddr_nl self = { .nl_family = AF_NETLINK };
	_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&self, sizeof(self)))
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i])))
			return -errno;
	return take_fd(fd);
}

struct monitor {
	void (*on)(enum rtnl_change what, int ifindex, void *arg);
	void *arg;
};

static int change_parse(const struct nlmsghdr *nlh, void *arg)
{
	const struct monitor *m = arg;
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(nlh);
	const struct tcmsg *tc = mnl_nlmsg_get_payload(nlh);

	switch (nlh->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		/* The bridge speaks of its members in messages of its own. */
		if (info->ifi_family == AF_UNSPEC)
			m->on(nlh->nlmsg_type == RTM_NEWLINK ? RTNL_LINK : RTNL_LINK_GONE, info->ifi_index,
			      m->arg);
		return MNL_CB_OK;
	case RTM_NEWQDISC:
	case RTM_DELQDISC:
		m->on(RTNL_QDISC, tc->tcm_ifindex, m->arg);
		return MNL_CB_OK;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
	case RTM_NEWADDR:
	case RTM_DELADDR:
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		m->on(RTNL_PATH, 0, m->arg);
	}
	return MNL_CB_OK;
}

void rtnl_monitor_read(int fd, void (*on)(enum rtnl_change what, int ifindex, void *arg), void *arg)
{
	static char buf[NETLINK_ROOM];
	struct monitor m = { .on = on, .arg = arg };
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) != 0) {
		if (n > 0)
			mnl_cb_run(buf, n, 0, 0, change_parse, &m);
		else if (errno != ENOBUFS)
			return;
		else {
			on(RTNL_PATH, 0, arg);
			on(RTNL_QDISC, 0, arg);
		}
	}
}
