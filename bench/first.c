// SPDX-License-Identifier: Apache-2.0
/*
 * first FROM-NS TO-NS[,TO-NS] latency ADDR COUNT
 * first FROM-NS TO-NS[,TO-NS] rate ADDR COUNT RATE
 * first FROM-NS TO-NS[,TO-NS] wait ADDR SECONDS
 *
 * First packets to many destinations: COUNT addresses from ADDR on, each of
 * which leads to one of the namespaces (paths) where its packets are looked for
 * by a packet socket, whether the address is there or not.
 *   latency  to each two packets, one after the other: prints the
 *            microseconds that the first took, its p50 and p99, and the second
 *   rate     one to each, RATE a second (0: at once); prints how many were sent
 *            and arrived, and the seconds from the first sent to the last there
 *   wait     to ADDR again and again until one arrives; prints when it was sent,
 *            in seconds since the epoch
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define PORT 5301
#define TO_MAX 2
#define COUNT_MAX (1u << 20)
/* How long nothing more may come before what is missing counts as lost. */
#define QUIET (SECOND * 3 / 2)
#define PATIENCE (SECOND * 5)
#define COLLECT_US 500

struct probe {
	struct iphdr ip;
	struct udphdr udp;
	uint32_t number;
} __attribute__((packed));

static int out, in[TO_MAX], n_in;
static uint32_t base, next_number;
static atomic_uint arrived;
static atomic_ullong last;

static void sockets(const char *from, char *to)
{
	int size = 64 << 20;

	for (char *ns = strtok(to, ","); ns && n_in < TO_MAX; ns = strtok(NULL, ",")) {
		enter(ns);
		in[n_in] = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_IP));
		if (in[n_in] < 0)
			die("packet socket");
		setsockopt(in[n_in++], SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	}
	enter(from);
	out = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (out < 0)
		die("socket");
}

static uint32_t send_to(uint32_t i)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(PORT),
				  .sin_addr.s_addr = htonl(base + i) };
	uint32_t number = next_number++;

	while (sendto(out, &number, sizeof(number), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		if (errno != ENOBUFS && errno != EAGAIN)
			die("sendto");
	return number;
}

static bool is_probe(const struct probe *p, ssize_t len)
{
	return len == sizeof(*p) && p->ip.protocol == IPPROTO_UDP && p->ip.ihl == 5 &&
	       p->udp.dest == htons(PORT);
}

/* A probe that has come there; false: it was another packet, or none. */
static bool receive(int fd, struct probe *p)
{
	return is_probe(p, recv(fd, p, sizeof(*p), MSG_DONTWAIT));
}

static bool wait_for(uint32_t number, uint64_t patience)
{
	uint64_t end = now_ns(CLOCK_MONOTONIC) + patience;
	struct probe p;

	do {
		/* Looked for without a pause: to be woken would add to both what neither costs. */
		for (int i = 0; i < n_in; i++)
			if (receive(in[i], &p) && p.number >= number)
				return true;
	} while (now_ns(CLOCK_MONOTONIC) < end);
	return false;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static uint32_t took(uint32_t i)
{
	uint64_t from = now_ns(CLOCK_MONOTONIC);

	if (!wait_for(send_to(i), PATIENCE))
		die("a packet did not arrive");
	return now_ns(CLOCK_MONOTONIC) - from;
}

static void latency(uint32_t count)
{
	uint32_t *first = calloc(count, sizeof(*first)), *second = calloc(count, sizeof(*second));

	if (!first || !second)
		die("calloc");
	for (uint32_t i = 0; i < count; i++) {
		first[i] = took(i);
		usleep(300); /* the entry opens when nobody waits any more */
		second[i] = took(i);
	}
	qsort(first, count, sizeof(*first), by_value);
	qsort(second, count, sizeof(*second), by_value);
	printf("%.1f %.1f %.1f %.1f\n", first[count / 2] / 1e3, first[count * 99 / 100] / 1e3,
	       second[count / 2] / 1e3, second[count * 99 / 100] / 1e3);
}

/* How many probes wait there. */
static uint32_t collect(int fd)
{
	struct probe p;
	uint32_t n = 0;
	ssize_t len;

	while ((len = recv(fd, &p, sizeof(p), MSG_DONTWAIT)) >= 0)
		n += is_probe(&p, len);
	return n;
}

/* A bunch at a time: to be woken for each would take the processor from whoever sends the next one on. */
static void *count_arrivals(void *arg)
{
	for (;;) {
		uint32_t n = collect((intptr_t)arg);

		if (n) {
			last = now_ns(CLOCK_MONOTONIC);
			arrived += n;
		}
		usleep(COLLECT_US);
	}
	return NULL;
}

static void rate(uint32_t count, uint32_t per_second)
{
	pthread_t t;
	uint64_t from;

	for (int i = 0; i < n_in; i++)
		if (pthread_create(&t, NULL, count_arrivals, (void *)(intptr_t)in[i]))
			die("pthread_create");
	from = last = now_ns(CLOCK_MONOTONIC);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t due = per_second ? from + i * SECOND / per_second : 0, at;

		/* In bunches of a millisecond, asleep between: the others need the processor. */
		while ((at = now_ns(CLOCK_MONOTONIC)) < due)
			if (due - at > SECOND / 20000)
				usleep(1000);
		send_to(i);
	}
	while (arrived < count && now_ns(CLOCK_MONOTONIC) - (last > from ? last : from) < QUIET)
		usleep(10000);
	printf("%u %u %.4f\n", count, arrived, (last - from) / 1e9);
	fflush(stdout);
	_exit(0);
}

static void wait_until(double seconds)
{
	uint64_t end = now_ns(CLOCK_MONOTONIC) + seconds * SECOND, sent;

	do {
		sent = now_ns(CLOCK_REALTIME);
		if (wait_for(send_to(0), SECOND / 2000)) {
			printf("%.6f\n", sent / 1e9);
			return;
		}
	} while (now_ns(CLOCK_MONOTONIC) < end);
	die("nothing arrived");
}

int main(int argc, char **argv)
{
	uint32_t count;

	if (argc < 6)
		goto usage;
	base = ntohl(inet_addr(argv[4]));
	count = atoi(argv[5]);
	if (base == INADDR_NONE || !count || count > COUNT_MAX)
		goto usage;
	sockets(argv[1], argv[2]);
	if (!strcmp(argv[3], "latency"))
		latency(count);
	else if (!strcmp(argv[3], "rate") && argc == 7)
		rate(count, atoi(argv[6]));
	else if (!strcmp(argv[3], "wait"))
		wait_until(atof(argv[5]));
	else
		goto usage;
	return 0;
usage:
	fprintf(stderr, "usage: first FROM-NS TO-NS[,TO-NS] latency|rate|wait ADDR COUNT|SECONDS [RATE]\n");
	return 2;
}
