// SPDX-License-Identifier: Apache-2.0
#include "netlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void *netlink_start(struct netlink *r, uint16_t type, uint16_t flags, size_t extra)
{
	r->filtered = false;
	r->nlh = mnl_nlmsg_put_header(r->room);
	r->nlh->nlmsg_type = type;
	r->nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	r->nlh->nlmsg_seq = 1;
	return mnl_nlmsg_put_extra_header(r->nlh, extra);
}

static int converse(struct mnl_socket *sock, struct netlink *r, char *buf, mnl_cb_t cb, void *arg)
{
	const int on = 1;
	ssize_t n;
	int rc;

	if (r->filtered && mnl_socket_setsockopt(sock, NETLINK_GET_STRICT_CHK, (void *)&on, sizeof(on)))
		return -errno;
	if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_sendto(sock, r->nlh, r->nlh->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(sock, buf, NETLINK_ROOM);
		rc = n < 0 ? -1 : mnl_cb_run(buf, n, 1, mnl_socket_get_portid(sock), cb, arg);
	} while (rc > 0);
	return rc < 0 ? -errno : 0;
}

int netlink_run_on(int bus, struct netlink *r, mnl_cb_t cb, void *arg)
{
	struct mnl_socket *sock = mnl_socket_open2(bus, SOCK_CLOEXEC);
	char *buf = malloc(NETLINK_ROOM);
	int rc;

	rc = !sock ? -errno : !buf ? -ENOMEM : converse(sock, r, buf, cb, arg);
	free(buf);
	if (sock)
		mnl_socket_close(sock);
	return rc;
}

int netlink_run(struct netlink *r, mnl_cb_t cb, void *arg)
{
	return netlink_run_on(NETLINK_ROUTE, r, cb, arg);
}

int netlink_attr(const struct nlattr *attr, void *table)
{
	const struct nlattr **at = table;

	if (mnl_attr_get_type(attr) < NETLINK_ATTRS)
		at[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

void netlink_put_addr(struct nlmsghdr *nlh, uint16_t type, const struct ip_addr *addr)
{
	if (ip_is_v4(addr))
		mnl_attr_put(nlh, type, 4, addr->b + 12);
	else
		mnl_attr_put(nlh, type, 16, addr->b);
}

bool netlink_get_addr(const struct nlattr *attr, struct ip_addr *out)
{
	if (!attr)
		return false;
	if (mnl_attr_get_payload_len(attr) == 4) {
		*out = ip_from_v4(*(const uint32_t *)mnl_attr_get_payload(attr));
		return true;
	}
	if (mnl_attr_get_payload_len(attr) != 16)
		return false;
	memcpy(out->b, mnl_attr_get_payload(attr), 16);
	return true;
}

uint8_t netlink_family(const struct ip_addr *addr)
{
	return ip_is_v4(addr) ? AF_INET : AF_INET6;
}
