// SPDX-License-Identifier: Apache-2.0
#include "pmtu.h"

#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "maps/wire.h"
#include "qos.h"
#include "underlay.h"

#define MESSAGE_MAX 1500
#define PER_WAKEUP_MAX 64
#define ICMP_HEADER 8
/* RFC 1191, 3: no link of today is narrower; a message that says less is not believed. RFC 8200, 5. */
#define LEAST_V4 576
#define LEAST_V6 1280

struct pmtu {
	struct agent *agent;
	int fd[2]; /* ICMP, ICMPv6 */
	struct event *readable[2];
};

static uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

/* By what the packet had inside, of which no more than 8 bytes need be there (RFC 792). */
static int of_whom(uint8_t proto, uint8_t in_ip, const uint8_t *inside, const uint8_t *end)
{
	if (proto == in_ip)
		return PMTU_ROUTER;
	return proto == IPPROTO_UDP && inside + 4 <= end && get16(inside + 2) == DOVE_GENEVE_PORT ? PMTU_HOST
												  : -ENOMSG;
}

static int parse4(const uint8_t *icmp, const uint8_t *end, struct ip_addr *from, struct ip_addr *to,
		  uint32_t *mtu)
{
	const uint8_t *ip = icmp + ICMP_HEADER;
	uint32_t addr;

	if (ip + 20 > end || icmp[0] != ICMP_DEST_UNREACH || icmp[1] != ICMP_FRAG_NEEDED)
		return -ENOMSG;
	memcpy(&addr, ip + 12, sizeof(addr));
	*from = ip_from_v4(addr);
	memcpy(&addr, ip + 16, sizeof(addr));
	*to = ip_from_v4(addr);
	*mtu = get16(icmp + 6);
	return *mtu >= LEAST_V4 ? of_whom(ip[9], IPPROTO_IPIP, ip + (ip[0] & 0xf) * 4, end) : -ENOMSG;
}

static int parse6(const uint8_t *icmp, const uint8_t *end, struct ip_addr *from, struct ip_addr *to,
		  uint32_t *mtu)
{
	const uint8_t *ip = icmp + ICMP_HEADER;

	if (ip + 40 > end || icmp[0] != ICMP6_PACKET_TOO_BIG)
		return -ENOMSG;
	memcpy(from->b, ip + 8, sizeof(from->b));
	memcpy(to->b, ip + 24, sizeof(to->b));
	*mtu = (uint32_t)get16(icmp + 4) << 16 | get16(icmp + 6);
	return *mtu >= LEAST_V6 && *mtu <= UINT16_MAX ? of_whom(ip[6], IPPROTO_IPV6, ip + 40, end) : -ENOMSG;
}

int pmtu_parse(const uint8_t *icmp, size_t len, bool v6, struct ip_addr *from, struct ip_addr *to,
	       uint32_t *mtu)
{
	return v6 ? parse6(icmp, icmp + len, from, to, mtu) : parse4(icmp, icmp + len, from, to, mtu);
}

static void message_take(struct pmtu *p, const uint8_t *icmp, size_t len, bool v6)
{
	struct ip_addr from, to;
	uint32_t mtu;
	int of = pmtu_parse(icmp, len, v6, &from, &to, &mtu);

	if (of < 0 || !underlay_is_self(p->agent->underlay, &from))
		return;
	if (of == PMTU_ROUTER)
		qos_path_mtu(p->agent, &to, mtu);
	else
		underlay_path_mtu(p->agent->underlay, &to, mtu);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct pmtu *p = arg;
	bool v6 = fd == p->fd[1];
	uint8_t buf[MESSAGE_MAX];

	for (int i = 0; i < PER_WAKEUP_MAX; i++) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		/* A raw socket gives the IP header with it, of IPv4 only. */
		size_t header = v6 || n < 1 ? 0 : (buf[0] & 0xf) * 4;

		if (n < 0)
			return;
		if ((size_t)n > header + ICMP_HEADER)
			message_take(p, buf + header, n - header, v6);
	}
}

static int socket_open(bool v6)
{
	struct icmp_filter only4 = { .data = ~(1u << ICMP_DEST_UNREACH) };
	_close_ int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
				v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	struct icmp6_filter only6;

	if (fd < 0)
		return -errno;
	ICMP6_FILTER_SETBLOCKALL(&only6);
	ICMP6_FILTER_SETPASS(ICMP6_PACKET_TOO_BIG, &only6);
	if (v6 ? setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &only6, sizeof(only6))
	       : setsockopt(fd, SOL_RAW, ICMP_FILTER, &only4, sizeof(only4)))
		return -errno;
	return take_fd(fd);
}

int pmtu_open(struct agent *a, struct pmtu **out, struct error *err)
{
	struct pmtu *p = calloc(1, sizeof(*p));

	if (!p)
		return error_set(err, -ENOMEM, "out of memory");
	*p = (struct pmtu){ .agent = a, .fd = { -1, -1 } };
	for (int v6 = 0; v6 < 2; v6++) {
		p->fd[v6] = socket_open(v6);
		/* A host without IPv6 is none that sends over it. */
		if (p->fd[v6] < 0 && !(v6 && p->fd[v6] == -EAFNOSUPPORT)) {
			int rc = p->fd[v6];

			pmtu_close(p);
			return error_set(err, rc, "listening for ICMP: %s", strerror(-rc));
		}
		if (p->fd[v6] < 0)
			continue;
		p->readable[v6] = event_new(a->base, p->fd[v6], EV_READ | EV_PERSIST, on_readable, p);
		event_add(p->readable[v6], NULL);
	}
	*out = p;
	return 0;
}

void pmtu_close(struct pmtu *p)
{
	if (!p)
		return;
	for (int v6 = 0; v6 < 2; v6++) {
		if (p->readable[v6])
			event_free(p->readable[v6]);
		if (p->fd[v6] >= 0)
			close(p->fd[v6]);
	}
	free(p);
}
