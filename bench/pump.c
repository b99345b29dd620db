// SPDX-License-Identifier: Apache-2.0
/*
 * pump FROM-NS TO-NS ADDR WHAT [--seconds S] [--congestion NAME]
 *
 * Traffic between two network namespaces (paths), both ends in one process, a
 * thread each, so that nothing but the way between them is started, paired or
 * waited for. ADDR is the receiving end's. WHAT is
 *   tcp N   N streams, written and read in pieces of 128 KiB as iperf3 does;
 *           prints "MBITS CPU": megabits a second of payload that arrived, and
 *           seconds of processor time that the whole machine spent on a gigabit
 *   pps     datagrams of 18 bytes, 64 on a wire, by sendmmsg(); prints how many a
 *           second arrived in the socket
 *   rr      one byte there and back, one after the other; prints the
 *           microseconds of a round trip: median and mean
 * What happens in the first fifth of the time counts for nothing.
 */
#include <argp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

#define PORT 5300
#define PIECE (128 * 1024)
#define STREAMS_MAX 64
#define BATCH 64
#define PAYLOAD 18
#define TRIPS_MAX (1u << 20)

static struct {
	const char *from, *to, *what, *congestion;
	struct sockaddr_in addr;
	double seconds;
	unsigned streams;
} asked = { .seconds = 1, .streams = 1 };

static atomic_ullong arrived; /* bytes, or datagrams */
static atomic_bool done;

/* A socket of that namespace; the thread is in it then. */
static int socket_in(const char *ns, int type)
{
	int fd, size = 8 << 20;

	enter(ns);
	fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	if (type == SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	else if (asked.congestion &&
		 setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, asked.congestion, strlen(asked.congestion)))
		die(asked.congestion);
	return fd;
}

static int bound(int type)
{
	int fd = socket_in(asked.to, type), yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&asked.addr, sizeof(asked.addr)))
		die("bind");
	return fd;
}

static int connected(int type)
{
	int fd = socket_in(asked.from, type);

	if (connect(fd, (struct sockaddr *)&asked.addr, sizeof(asked.addr)))
		die("connect");
	return fd;
}

static void begin(void *(*thread)(void *), int fd)
{
	pthread_t t;

	if (pthread_create(&t, NULL, thread, (void *)(intptr_t)fd))
		die("pthread_create");
}

/* Ticks that the processors were busy: all but idle and waiting. */
static double busy_seconds(void)
{
	unsigned long long v[8] = {};
	FILE *f = fopen("/proc/stat", "re");
	int n = f ? fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
			   &v[4], &v[5], &v[6], &v[7])
		  : 0;

	if (n < 7)
		die("/proc/stat");
	fclose(f);
	return (double)(v[0] + v[1] + v[2] + v[5] + v[6]) / sysconf(_SC_CLK_TCK);
}

/* So much a second, after the first fifth; *cpu: what the machine spent meanwhile. */
static double rate(double *cpu)
{
	uint64_t before, from;
	double busy;

	usleep(asked.seconds * 1e6 / 5);
	before = arrived;
	busy = busy_seconds();
	from = now_ns(CLOCK_MONOTONIC);
	usleep(asked.seconds * 1e6 * 4 / 5);
	*cpu = busy_seconds() - busy;
	return (arrived - before) * 1e9 / (now_ns(CLOCK_MONOTONIC) - from);
}

/* ---- streams ---- */

static void *tcp_read(void *arg)
{
	char *piece = malloc(PIECE);
	ssize_t n;

	while (piece && (n = recv((intptr_t)arg, piece, PIECE, 0)) > 0)
		arrived += n;
	return NULL;
}

static void *tcp_write(void *arg)
{
	char *piece = calloc(1, PIECE);

	while (piece && !done && send((intptr_t)arg, piece, PIECE, MSG_NOSIGNAL) > 0)
		;
	return NULL;
}

static void tcp(void)
{
	int in[STREAMS_MAX], out[STREAMS_MAX], listening = bound(SOCK_STREAM);
	double per_second, cpu;

	if (listen(listening, STREAMS_MAX))
		die("listen");
	for (unsigned i = 0; i < asked.streams; i++) {
		out[i] = connected(SOCK_STREAM);
		in[i] = accept(listening, NULL, NULL);
		if (in[i] < 0)
			die("accept");
		begin(tcp_read, in[i]);
	}
	for (unsigned i = 0; i < asked.streams; i++)
		begin(tcp_write, out[i]);
	per_second = rate(&cpu);
	printf("%.1f %.4f\n", per_second * 8 / 1e6, cpu / (per_second * 8 / 1e9 * asked.seconds * 4 / 5));
}

/* ---- datagrams ---- */

static void *udp_read(void *arg)
{
	static char data[BATCH][PAYLOAD];
	struct iovec iov[BATCH];
	struct mmsghdr m[BATCH] = {};
	int n;

	for (int i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ data[i], PAYLOAD };
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	/* Looked for now and then: to be woken for each one would cost more than all its way. */
	for (;;) {
		n = recvmmsg((intptr_t)arg, m, BATCH, MSG_DONTWAIT, NULL);
		if (n > 0)
			arrived += n;
		if (n < BATCH)
			usleep(200);
	}
	return NULL;
}

static void *udp_write(void *arg)
{
	static char data[PAYLOAD];
	struct iovec iov = { data, PAYLOAD };
	struct mmsghdr m[BATCH] = {};

	for (int i = 0; i < BATCH; i++)
		m[i].msg_hdr = (struct msghdr){ .msg_iov = &iov, .msg_iovlen = 1 };
	while (!done && (sendmmsg((intptr_t)arg, m, BATCH, 0) >= 0 || errno == ENOBUFS))
		;
	return NULL;
}

static void pps(void)
{
	int in = bound(SOCK_DGRAM), out = connected(SOCK_DGRAM);
	double cpu;

	begin(udp_read, in);
	begin(udp_write, out);
	printf("%.0f\n", rate(&cpu));
}

/* ---- there and back ---- */

static void *echo(void *arg)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	char byte;

	while (recvfrom((intptr_t)arg, &byte, 1, 0, (struct sockaddr *)&from, &len) == 1)
		sendto((intptr_t)arg, &byte, 1, 0, (struct sockaddr *)&from, len);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void rr(void)
{
	int in = bound(SOCK_DGRAM), out = connected(SOCK_DGRAM);
	uint32_t *trips = malloc(TRIPS_MAX * sizeof(*trips)), n = 0;
	uint64_t from = now_ns(CLOCK_MONOTONIC), end = from + asked.seconds * SECOND, at = from, sum = 0;
	struct timeval patience = { .tv_sec = 1 };
	char byte = 0;

	begin(echo, in);
	setsockopt(out, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	while (trips && n < TRIPS_MAX && at < end) {
		uint64_t sent = now_ns(CLOCK_MONOTONIC);

		if (send(out, &byte, 1, 0) != 1 || recv(out, &byte, 1, 0) != 1)
			die("no answer");
		at = now_ns(CLOCK_MONOTONIC);
		if (at - from < (end - from) / 5)
			continue;
		trips[n++] = at - sent;
		sum += at - sent;
	}
	if (!n)
		die("no round trip");
	qsort(trips, n, sizeof(*trips), by_value);
	printf("%.2f %.2f\n", trips[n / 2] / 1e3, (double)sum / n / 1e3);
}

static error_t on_option(int key, char *arg, struct argp_state *state)
{
	switch (key) {
	case 's':
		asked.seconds = atof(arg);
		return asked.seconds > 0 ? 0 : EINVAL;
	case 'c':
		asked.congestion = arg;
		return 0;
	case ARGP_KEY_ARG:
		switch (state->arg_num) {
		case 0:
			asked.from = arg;
			return 0;
		case 1:
			asked.to = arg;
			return 0;
		case 2:
			asked.addr = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(PORT) };
			return inet_pton(AF_INET, arg, &asked.addr.sin_addr) == 1 ? 0 : EINVAL;
		case 3:
			asked.what = arg;
			return 0;
		case 4:
			asked.streams = atoi(arg);
			return asked.streams >= 1 && asked.streams <= STREAMS_MAX ? 0 : EINVAL;
		}
		return ARGP_ERR_UNKNOWN;
	case ARGP_KEY_END:
		return asked.what ? 0 : EINVAL;
	}
	return ARGP_ERR_UNKNOWN;
}

int main(int argc, char **argv)
{
	const struct argp_option options[] = {
		{ "seconds", 's', "S", 0, "how long (1)", 0 },
		{ "congestion", 'c', "NAME", 0, "control of TCP (the machine's)", 0 },
		{},
	};
	const struct argp argp = { options, on_option, "FROM-NS TO-NS ADDR tcp [N]|pps|rr", NULL, NULL,
				   NULL,    NULL };

	if (argp_parse(&argp, argc, argv, 0, NULL, NULL))
		return 2;
	if (!strcmp(asked.what, "tcp"))
		tcp();
	else if (!strcmp(asked.what, "pps"))
		pps();
	else if (!strcmp(asked.what, "rr"))
		rr();
	else
		return 2;
	fflush(stdout);
	_exit(0); /* the threads end with us */
}
