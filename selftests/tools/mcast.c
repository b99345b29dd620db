// SPDX-License-Identifier: Apache-2.0
/*
 * mcast DEV GROUP PORT send TEXT [COUNT [SIZE]] | listen
 *
 * UDP datagrams to many, as mDNS and its like send them: GROUP is a multicast
 * address of either family, or 255.255.255.255. `send` sends "TEXT 1",
 * "TEXT 2", ..., padded to SIZE bytes, from the port that it sends to; `listen`
 * joins the group and prints each that comes, until it is ended.
 */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SIZE_MAX_UDP 60000

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Bound to the port on that device, and a member of the group; *to says where to send. */
static int open_socket(const char *dev, const char *group, int port, struct sockaddr_in6 *to)
{
	struct sockaddr_in6 self = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct ipv6_mreq join6 = { .ipv6mr_interface = if_nametoindex(dev) };
	struct ip_mreqn join4 = { .imr_ifindex = join6.ipv6mr_interface };
	int fd = socket(AF_INET6, SOCK_DGRAM, 0), zero = 0, one = 1;

	*to = self;
	to->sin6_scope_id = join6.ipv6mr_interface;
	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, dev, strlen(dev)) ||
	    bind(fd, (struct sockaddr *)&self, sizeof(self)))
		die(dev);
	if (inet_pton(AF_INET6, group, &join6.ipv6mr_multiaddr) == 1) {
		to->sin6_addr = join6.ipv6mr_multiaddr;
		if (setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &join4.imr_ifindex, sizeof(int)) ||
		    setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &join6, sizeof(join6)))
			die(group);
		return fd;
	}
	if (inet_pton(AF_INET, group, &join4.imr_multiaddr) != 1)
		die(group);
	to->sin6_addr.s6_addr[10] = to->sin6_addr.s6_addr[11] = 0xff;
	memcpy(to->sin6_addr.s6_addr + 12, &join4.imr_multiaddr, 4);
	if (IN_MULTICAST(ntohl(join4.imr_multiaddr.s_addr)) &&
	    (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &join4, sizeof(join4)) ||
	     setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &join4, sizeof(join4))))
		die(group);
	return fd;
}

static void listen_to(int fd)
{
	static char buf[SIZE_MAX_UDP + 1];

	for (;;) {
		struct sockaddr_in6 from;
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, SIZE_MAX_UDP, 0, (struct sockaddr *)&from, &len);
		char text[INET6_ADDRSTRLEN];

		if (n < 0)
			die("recvfrom");
		buf[n] = '\0'; /* the padding is zeroes */
		printf("%s %zd %s\n", inet_ntop(AF_INET6, &from.sin6_addr, text, sizeof(text)), n, buf);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	static char buf[SIZE_MAX_UDP];
	struct sockaddr_in6 to;
	int fd, count = argc > 6 ? atoi(argv[6]) : 1, size = argc > 7 ? atoi(argv[7]) : 0;

	if (argc < 5 || size > SIZE_MAX_UDP ||
	    (strcmp(argv[4], "listen") && (strcmp(argv[4], "send") || argc < 6))) {
		fprintf(stderr, "usage: mcast DEV GROUP PORT send TEXT [COUNT [SIZE]] | listen\n");
		return 2;
	}
	fd = open_socket(argv[1], argv[2], atoi(argv[3]), &to);
	if (!strcmp(argv[4], "listen"))
		listen_to(fd);
	for (int i = 1; i <= count; i++) {
		int len = snprintf(buf, sizeof(buf), "%s %d", argv[5], i);

		if (sendto(fd, buf, len < size ? size : len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			die("sendto");
		usleep(1000);
	}
	return 0;
}
