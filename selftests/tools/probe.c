// SPDX-License-Identifier: Apache-2.0
/*
 * probe send ADDR PORT RATE SECONDS FILE [FLOWS]
 * probe receive PORT SECONDS FILE
 * probe judge SENT RECEIVED WINDOWS
 * probe between SENT RECEIVED FROM TO
 * probe silence RECEIVED FROM
 * probe chart SENT RECEIVED WINDOWS [TITLE]
 *
 * A stream of numbered datagrams, RATE a second, with the time that each was
 * sent and came at (CLOCK_REALTIME, nanoseconds), in files. With FLOWS it comes
 * from as many source ports, one after the other. `receive` ends
 * when nothing has come for so many seconds. WINDOWS: a file with lines "FROM
 * TO", between which the receiver was not attached anywhere. `judge` prints
 *   sent N, received N, lost N (N while detached), doubled N, overtaken N (N near a move)
 * where near is from such a time until 1.25 s after it, as what was kept for the receiver comes late; `between` prints
 *   sent N, of those received N, received then N
 * of what was sent, and of what came, from one time to another; `silence`
 *   N us from N us on
 * of the longest time without an arrival that ends after FROM, and when it began, from there; `chart` makes an SVG of the time
 * each probe took around the windows, and of those that were lost.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define SECOND 1000000000ull
#define PROBES_MAX (4u << 20)
#define WINDOWS_MAX 4096
#define NEAR (SECOND * 5 / 4)
/* Clocks of one machine; but what is said to be detached was told a little before, or after. */
#define SLACK (SECOND / 500)
#define SIZE 64

struct arrival {
	uint32_t number;
	uint64_t at;
} __attribute__((packed));

struct window {
	uint64_t from, to;
};

static struct window windows[WINDOWS_MAX];
static int n_windows;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * SECOND + ts.tv_nsec;
}

static void *file_read(const char *name, size_t item, size_t *n)
{
	void *all = malloc(PROBES_MAX * item);
	FILE *f = fopen(name, "r");

	if (!f || !all)
		die(name);
	*n = fread(all, item, PROBES_MAX, f);
	fclose(f);
	return all;
}

/* ---- sending and receiving ---- */

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

static int udp_socket(void)
{
	int fd = socket(AF_INET6, SOCK_DGRAM, 0), zero = 0;

	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)))
		die("socket");
	return fd;
}

#define FLOWS_MAX 4096

/* Each at its time from the start, so that what was late is made up for; what can't be sent was not sent. */
static int do_send(char **argv, uint32_t flows)
{
	static int fds[FLOWS_MAX];
	uint32_t rate = atoi(argv[4]), count = rate * atoi(argv[5]);
	uint64_t *at = calloc(count, sizeof(*at)), start = now();
	struct sockaddr_in6 to;
	uint8_t buf[SIZE] = {};
	FILE *f = fopen(argv[6], "w");

	if (!at || !f || count > PROBES_MAX || !flows || flows > FLOWS_MAX)
		die("probe send");
	for (uint32_t i = 0; i < flows; i++)
		fds[i] = udp_socket();
	address(argv[2], atoi(argv[3]), &to);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t due = start + i * SECOND / rate, t = now();
		uint32_t number = htonl(i);

		if (t + 20000 < due) {
			struct timespec pause = { .tv_nsec = due - t };

			nanosleep(&pause, NULL);
		}
		memcpy(buf, &number, sizeof(number));
		at[i] = now();
		if (sendto(fds[i % flows], buf, sizeof(buf), 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			at[i] = 0;
	}
	fwrite(at, sizeof(*at), count, f);
	return fclose(f) != 0;
}

static int do_receive(char **argv)
{
	struct timeval quiet = { .tv_sec = atoi(argv[3]) };
	struct sockaddr_in6 self;
	uint8_t buf[2048];
	int fd = udp_socket(), room = 32 << 20;
	FILE *f = fopen(argv[4], "w");

	address("::", atoi(argv[2]), &self);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (!f || bind(fd, (struct sockaddr *)&self, sizeof(self)))
		die("probe receive");
	printf("listening\n");
	fflush(stdout);
	while (recv(fd, buf, sizeof(buf), 0) >= 4) {
		struct arrival a = { .at = now() };

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &quiet, sizeof(quiet));
		memcpy(&a.number, buf, sizeof(a.number));
		a.number = ntohl(a.number);
		fwrite(&a, sizeof(a), 1, f);
	}
	return fclose(f) != 0;
}

/* ---- judging ---- */

static void windows_read(const char *name)
{
	FILE *f = fopen(name, "r");
	unsigned long long from, to;

	if (!f)
		die(name);
	while (n_windows < WINDOWS_MAX && fscanf(f, "%llu %llu", &from, &to) == 2)
		windows[n_windows++] = (struct window){ from, to };
	fclose(f);
}

static bool in_window(uint64_t t, uint64_t before, uint64_t after)
{
	for (int i = 0; i < n_windows; i++)
		if (t + before >= windows[i].from && t <= windows[i].to + after)
			return true;
	return false;
}

static int do_judge(char **argv)
{
	size_t sent = 0, n, got, lost = 0, lost_detached = 0, doubled = 0, overtaken = 0, near = 0, shown = 0;
	uint64_t *at = file_read(argv[2], sizeof(*at), &n);
	struct arrival *a = file_read(argv[3], sizeof(*a), &got);
	uint8_t *seen = calloc(n + 1, 1);
	uint32_t highest = 0;

	windows_read(argv[4]);
	for (size_t i = 0; i < got; i++) {
		if (a[i].number >= n)
			continue;
		doubled += seen[a[i].number];
		if (!seen[a[i].number] && a[i].number < highest) {
			overtaken++;
			near += in_window(a[i].at, SLACK, NEAR);
		}
		seen[a[i].number] = 1;
		if (a[i].number > highest)
			highest = a[i].number;
	}
	for (size_t i = 0; i < n; i++) {
		sent += at[i] != 0;
		if (!at[i] || seen[i])
			continue;
		lost++;
		if (in_window(at[i], SLACK, SLACK))
			lost_detached++;
		else if (shown++ < 5)
			fprintf(stderr, "lost: %zu, sent at %llu\n", i, (unsigned long long)at[i]);
	}
	printf("sent %zu, received %zu, lost %zu (%zu while detached), doubled %zu, overtaken %zu (%zu near "
	       "a move)\n",
	       sent, got, lost, lost_detached, doubled, overtaken, near);
	return 0;
}

static int do_between(char **argv)
{
	uint64_t from = strtoull(argv[4], NULL, 10), to = strtoull(argv[5], NULL, 10);
	size_t n, got, sent = 0, of_those = 0, then = 0;
	uint64_t *at = file_read(argv[2], sizeof(*at), &n);
	struct arrival *a = file_read(argv[3], sizeof(*a), &got);

	for (size_t i = 0; i < n; i++)
		sent += at[i] >= from && at[i] < to;
	for (size_t i = 0; i < got; i++) {
		then += a[i].at >= from && a[i].at < to;
		of_those += a[i].number < n && at[a[i].number] >= from && at[a[i].number] < to;
	}
	printf("sent %zu, of those received %zu, received then %zu\n", sent, of_those, then);
	return 0;
}

/* Until the first arrival nothing is said: it may never have begun. */
static int do_silence(char **argv)
{
	uint64_t from = strtoull(argv[3], NULL, 10), longest = 0, since = from;
	size_t got;
	struct arrival *a = file_read(argv[2], sizeof(*a), &got);

	for (size_t i = 1; i < got; i++) {
		if (a[i].at <= from || a[i].at < a[i - 1].at + longest)
			continue;
		longest = a[i].at - a[i - 1].at;
		since = a[i - 1].at;
	}
	printf("%llu us from %lld us on\n", (unsigned long long)longest / 1000,
	       ((long long)since - (long long)from) / 1000);
	return 0;
}

/* ---- drawing ---- */

#define WIDTH 960
#define HEIGHT 320
#define LEFT 60
#define TOP 40
#define BOTTOM 50

static double scale_x(double t, double from, double to)
{
	return LEFT + (t - from) / (to - from) * (WIDTH - LEFT - 20);
}

/* Tenths of a decade from 10 us to 10 s. */
static double scale_y(double us)
{
	double y = 0;

	for (us /= 10; us >= 1.2589; us /= 1.2589)
		y += 0.1;
	return HEIGHT - BOTTOM - y / 6 * (HEIGHT - TOP - BOTTOM);
}

static void axes(const char *title)
{
	static const char *const labels[] = { "10 us", "100 us", "1 ms", "10 ms", "100 ms", "1 s", "10 s" };

	printf("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
	       "font-size=\"12\">\n<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n"
	       "<text x=\"%d\" y=\"22\" font-size=\"15\">%s</text>\n",
	       WIDTH, HEIGHT, WIDTH, HEIGHT, LEFT, title);
	for (int i = 0; i < 7; i++) {
		double y = HEIGHT - BOTTOM - i / 6.0 * (HEIGHT - TOP - BOTTOM);

		printf("<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>"
		       "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
		       LEFT, WIDTH - 20, y, y, LEFT - 6, y + 4, labels[i]);
	}
}

static void dots_begin(const char *colour)
{
	printf("<path stroke=\"%s\" stroke-width=\"2.4\" stroke-linecap=\"round\" d=\"", colour);
}

/* A tenth of a second before the first window to half a second behind its end. */
static int do_chart(char **argv, const char *title)
{
	size_t n, got;
	uint64_t *at = file_read(argv[2], sizeof(*at), &n);
	struct arrival *a = file_read(argv[3], sizeof(*a), &got);
	uint8_t *seen = calloc(n + 1, 1);
	double from, to;

	windows_read(argv[4]);
	if (!n_windows)
		return 1;
	from = windows[0].from - SECOND / 10;
	to = windows[0].to + SECOND / 2;
	axes(title);
	printf("<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"#fbe3c0\"/>\n",
	       scale_x(windows[0].from, from, to), TOP,
	       scale_x(windows[0].to, from, to) - scale_x(windows[0].from, from, to), HEIGHT - TOP - BOTTOM);
	dots_begin("#2a6f97");
	for (size_t i = 0; i < got; i++) {
		uint64_t sent = a[i].number < n ? at[a[i].number] : 0;

		if (!sent)
			continue;
		seen[a[i].number] = 1;
		/* One in ten says all of those that nothing kept. */
		if (sent < from || sent > to || a[i].number % (a[i].at - sent < SECOND / 1000 ? 10 : 2))
			continue;
		printf("M%.1f %.1fh0", scale_x(sent, from, to), scale_y((a[i].at - sent) / 1000.0));
	}
	printf("\"/>\n");
	dots_begin("#c1121f");
	for (size_t i = 0; i < n; i++)
		if (at[i] && !seen[i] && at[i] >= from && at[i] <= to)
			printf("M%.1f %dh0", scale_x(at[i], from, to), TOP + 6);
	printf("\"/>\n");
	printf("<text x=\"%d\" y=\"%d\">time that a probe was sent at, %.0f ms in all; shaded: its VM was "
	       "detached; "
	       "red: lost</text>\n</svg>\n",
	       LEFT, HEIGHT - 16, (to - from) / 1e6);
	return 0;
}

int main(int argc, char **argv)
{
	if ((argc == 7 || argc == 8) && !strcmp(argv[1], "send"))
		return do_send(argv, argc == 8 ? atoi(argv[7]) : 1);
	if (argc == 5 && !strcmp(argv[1], "receive"))
		return do_receive(argv);
	if (argc == 5 && !strcmp(argv[1], "judge"))
		return do_judge(argv);
	if (argc == 6 && !strcmp(argv[1], "between"))
		return do_between(argv);
	if (argc == 4 && !strcmp(argv[1], "silence"))
		return do_silence(argv);
	if ((argc == 5 || argc == 6) && !strcmp(argv[1], "chart"))
		return do_chart(argv, argc == 6 ? argv[5] : "probes around a move");
	fprintf(stderr, "usage: probe send ADDR PORT RATE SECONDS FILE [FLOWS]\n"
			"       probe receive PORT SECONDS FILE\n"
			"       probe judge|chart SENT RECEIVED WINDOWS [TITLE]\n"
			"       probe between SENT RECEIVED FROM TO\n"
			"       probe silence RECEIVED FROM\n");
	return 2;
}
