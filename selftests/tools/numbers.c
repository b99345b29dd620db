// SPDX-License-Identifier: Apache-2.0
/*
 * numbers send ADDR PORT COUNT [STREAMS [SIZE [INTERVAL-US [SEGMENTS]]]]
 * numbers receive PORT SECONDS
 *
 * Numbered UDP datagrams, to find out what was lost, doubled or overtaken on
 * the way. `send` sends COUNT of them to each of STREAMS addresses, one after
 * the other from ADDR on, of SIZE bytes, one each INTERVAL-US; with SEGMENTS so
 * many at once as one super-packet (UDP_SEGMENT). `receive` counts until
 * nothing has come for so many seconds and prints
 *   received N, doubled N, overtaken N, streams N
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define STREAMS_MAX 65536
#define SEGMENTS_MAX 128
#define DATAGRAM_MAX 65000

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

struct number {
	uint32_t stream;
	uint32_t number; /* from 1 */
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void address(const char *text, int port, struct sockaddr_in6 *out)
{
	struct in_addr v4;

	*out = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
	if (inet_pton(AF_INET6, text, &out->sin6_addr) == 1)
		return;
	if (inet_pton(AF_INET, text, &v4) != 1)
		die(text);
	out->sin6_addr.s6_addr[10] = out->sin6_addr.s6_addr[11] = 0xff;
	memcpy(out->sin6_addr.s6_addr + 12, &v4, sizeof(v4));
}

/* The address so many further on. */
static void further(struct sockaddr_in6 *addr, uint32_t by)
{
	uint32_t word;

	memcpy(&word, addr->sin6_addr.s6_addr + 12, sizeof(word));
	word = htonl(ntohl(word) + by);
	memcpy(addr->sin6_addr.s6_addr + 12, &word, sizeof(word));
}

/* When the next one is due: from a fixed start, so that a late one does not put off the rest. */
static void wait_until(struct timespec *at, long us)
{
	at->tv_nsec += us * 1000;
	at->tv_sec += at->tv_nsec / 1000000000;
	at->tv_nsec %= 1000000000;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, at, NULL);
}

static int do_send(int fd, char **argv, int argc)
{
	int count = atoi(argv[4]), streams = argc > 5 ? atoi(argv[5]) : 1,
	    size = argc > 6 ? atoi(argv[6]) : 64;
	int interval = argc > 7 ? atoi(argv[7]) : 1000, segments = argc > 8 ? atoi(argv[8]) : 1;
	static uint8_t buf[SEGMENTS_MAX * 1500 > DATAGRAM_MAX ? SEGMENTS_MAX * 1500 : DATAGRAM_MAX];
	struct sockaddr_in6 first;
	struct timespec at;

	if (size < (int)sizeof(struct number) || segments < 1 || segments > SEGMENTS_MAX ||
	    size * segments > DATAGRAM_MAX || streams > STREAMS_MAX)
		die("numbers: size");
	address(argv[2], atoi(argv[3]), &first);
	if (segments > 1 && setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size)))
		die("UDP_SEGMENT");
	clock_gettime(CLOCK_MONOTONIC, &at);
	for (int n = 0; n < count; n += segments) {
		for (int stream = 0; stream < streams; stream++) {
			struct sockaddr_in6 to = first;
			int now = count - n < segments ? count - n : segments;

			further(&to, stream);
			for (int i = 0; i < now; i++)
				memcpy(buf + i * size,
				       &(struct number){ .stream = htonl(stream),
							 .number = htonl(n + i + 1) },
				       sizeof(struct number));
			/* Too large for the way: the next try fits. */
			for (int try = 0;
			     sendto(fd, buf, now * size, 0, (struct sockaddr *)&to, sizeof(to)) < 0; try++)
				if (try == 3)
					die("sendto");
			wait_until(&at, interval);
		}
	}
	return 0;
}

static int do_receive(int fd, char **argv)
{
	static uint32_t last[STREAMS_MAX];
	struct timeval quiet = { .tv_sec = atoi(argv[3]) };
	struct sockaddr_in6 self;
	uint32_t received = 0, doubled = 0, overtaken = 0, streams = 0;
	int room = 8 << 20;
	uint8_t buf[DATAGRAM_MAX];

	address("::", atoi(argv[2]), &self);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &quiet, sizeof(quiet)) ||
	    bind(fd, (struct sockaddr *)&self, sizeof(self)))
		die("bind");
	printf("listening\n");
	fflush(stdout);
	while (recv(fd, buf, sizeof(buf), 0) >= (ssize_t)sizeof(struct number)) {
		struct number n;

		memcpy(&n, buf, sizeof(n));
		n.stream = ntohl(n.stream);
		n.number = ntohl(n.number);
		if (!n.number || n.stream >= STREAMS_MAX)
			continue;
		memset(buf, 0, sizeof(n));
		received++;
		streams += !last[n.stream];
		doubled += n.number == last[n.stream];
		overtaken += n.number < last[n.stream];
		if (n.number > last[n.stream])
			last[n.stream] = n.number;
	}
	printf("received %u, doubled %u, overtaken %u, streams %u\n", received, doubled, overtaken, streams);
	return 0;
}

int main(int argc, char **argv)
{
	int fd = socket(AF_INET6, SOCK_DGRAM, 0), zero = 0;
	bool sends = argc >= 5 && argc <= 9 && !strcmp(argv[1], "send");

	if (!sends && (argc != 4 || strcmp(argv[1], "receive"))) {
		fprintf(stderr,
			"usage: numbers send ADDR PORT COUNT [STREAMS [SIZE [INTERVAL-US [SEGMENTS]]]]\n"
			"       numbers receive PORT SECONDS\n");
		return 2;
	}
	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)))
		die("socket");
	return sends ? do_send(fd, argv, argc) : do_receive(fd, argv);
}
