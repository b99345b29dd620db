// SPDX-License-Identifier: Apache-2.0
/*
 * agents ADDR PORT PKI-DIR HOSTS COUNT FIRST TO [MARK...]: COUNT agents as the service sees them, of
 * the hosts h1 to hHOSTS in turn, by their certificates (PKI-DIR/host-hN.pem). Each has two TLS
 * connections that stay open: a watch, and one on which it asks once a second how its host's endpoint
 * (of h1's the id is FIRST, of h2's the next) gets to the address TO. Prints
 *   ready N SECONDS   all watch, and all have been answered
 *   told MARK TIME    the last watcher, too, has got a line with this text; unix time
 *   over MARK N       somebody has not, 20 s after the first
 *   asked N SLOWEST FAILED WATCHES   at the end (SIGTERM): answers, ms of the slowest, those that
 *                     were none, and the watches that are still open
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HOSTS_MAX 1000
#define MARKS_MAX 8
#define LINE_ROOM (64 << 10)
#define OVER_MS 20000
#define ASK_MS 1000
#define OPENING_MAX 64 /* handshakes at once */

struct end {
	SSL *ssl;
	int fd;
	int host; /* from 0 */
	bool watch;
	uint32_t marks; /* a watch: those that have come */
	double asked;	/* else: when; 0: nothing is on its way */
	size_t n;
	char *text; /* what of a line, or of a reply, has come */
};

static struct {
	struct sockaddr_in addr;
	SSL_CTX *tls[HOSTS_MAX];
	struct end *ends;
	int n_ends, n_hosts, epoll;
	uint32_t first_id;
	const char *to;
	char **marks;
	int n_marks, told[MARKS_MAX];
	double began[MARKS_MAX];
	bool done[MARKS_MAX];
	int opening, open, answers, failed;
	double slowest;
} s;

static volatile sig_atomic_t stopped;

static void die(const char *what)
{
	fprintf(stderr, "agents: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double now_ms(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void on_signal(int number)
{
	(void)number;
	stopped = 1;
}

static SSL_CTX *tls_of(const char *pki, int host)
{
	SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
	char ca[512], cert[512], key[512];

	snprintf(ca, sizeof(ca), "%s/ca.pem", pki);
	snprintf(cert, sizeof(cert), "%s/host-h%d.pem", pki, host);
	snprintf(key, sizeof(key), "%s/host-h%d.key", pki, host);
	SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION);
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS); /* two thousand of them are in this one process */
	if (SSL_CTX_load_verify_locations(tls, ca, NULL) != 1 ||
	    SSL_CTX_use_certificate_file(tls, cert, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
		die(cert);
	return tls;
}

static void say(struct end *e, const char *text)
{
	if (SSL_write(e->ssl, text, (int)strlen(text)) <= 0)
		die("write");
}

static void ask(struct end *e)
{
	char text[1024], body[256];

	snprintf(body, sizeof(body), "{\"keys\":[{\"source\":%u,\"to\":\"%s\"}]}",
		 s.first_id + (uint32_t)e->host, s.to);
	snprintf(text, sizeof(text),
		 "POST /v1/resolve HTTP/1.1\r\nHost: dps\r\nAccept: */*\r\nContent-Type: application/json\r\n"
		 "Content-Length: %zu\r\n\r\n%s",
		 strlen(body), body);
	e->asked = now_ms(CLOCK_MONOTONIC);
	say(e, text);
}

static void watch(struct end *e)
{
	char text[256];

	snprintf(text, sizeof(text), "GET /v1/watch?host=h%d HTTP/1.1\r\nHost: dps\r\nAccept: */*\r\n\r\n",
		 e->host + 1);
	say(e, text);
}

/* As far as it goes; who is through begins. */
static void shake(struct end *e)
{
	int rc = SSL_connect(e->ssl);

	if (rc != 1 && SSL_get_error(e->ssl, rc) != SSL_ERROR_WANT_READ)
		die("handshake");
	if (rc != 1)
		return;
	s.opening--;
	if (e->watch)
		watch(e);
	else
		ask(e);
}

static void open_end(struct end *e)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = e };
	int one = 1;

	e->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (e->fd < 0 || connect(e->fd, (struct sockaddr *)&s.addr, sizeof(s.addr)))
		die("connect");
	setsockopt(e->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	e->ssl = SSL_new(s.tls[e->host]);
	e->text = malloc(LINE_ROOM);
	if (!e->ssl || !e->text)
		die("memory");
	SSL_set_fd(e->ssl, e->fd);
	fcntl(e->fd, F_SETFL, O_NONBLOCK);
	if (epoll_ctl(s.epoll, EPOLL_CTL_ADD, e->fd, &event))
		die("epoll");
	s.opening++;
	shake(e);
}

/* ---- what comes ---- */

static void line(struct end *e, const char *text)
{
	for (int i = 0; i < s.n_marks; i++) {
		if (e->marks & 1u << i || !strstr(text, s.marks[i]))
			continue;
		e->marks |= 1u << i;
		if (!s.told[i]++)
			s.began[i] = now_ms(CLOCK_MONOTONIC);
	}
}

/* Whole lines, whatever pieces HTTP made of them. */
static void take_lines(struct end *e)
{
	char *at = e->text, *nl;

	e->text[e->n] = '\0';
	while ((nl = strchr(at, '\n'))) {
		*nl = '\0';
		line(e, at);
		at = nl + 1;
	}
	e->n -= (size_t)(at - e->text);
	memmove(e->text, at, e->n);
}

static void take_reply(struct end *e)
{
	const char *body, *length;
	double took = now_ms(CLOCK_MONOTONIC) - e->asked;

	e->text[e->n] = '\0';
	body = strstr(e->text, "\r\n\r\n");
	length = strstr(e->text, "Content-Length: ");
	if (!body || !length || e->n < (size_t)(body + 4 - e->text) + strtoul(length + 16, NULL, 10))
		return;
	s.answers++;
	s.failed += !strstr(body, "\"verdict\":\"allow\"");
	if (took > s.slowest)
		s.slowest = took;
	e->asked = 0;
	e->n = 0;
}

static void take(struct end *e)
{
	int n;

	if (!SSL_is_init_finished(e->ssl))
		shake(e);
	if (!SSL_is_init_finished(e->ssl))
		return;
	while ((n = SSL_read(e->ssl, e->text + e->n, (int)(LINE_ROOM - 1 - e->n))) > 0) {
		e->n += (size_t)n;
		if (e->watch)
			take_lines(e);
		else
			take_reply(e);
		if (e->n == LINE_ROOM - 1)
			die("a line without an end");
	}
	if (SSL_get_error(e->ssl, n) == SSL_ERROR_WANT_READ)
		return;
	epoll_ctl(s.epoll, EPOLL_CTL_DEL, e->fd, NULL);
	s.open -= e->watch;
	s.failed += !e->watch;
	e->asked = -1;
}

static void wait_for(int ms)
{
	struct epoll_event events[256];
	int n = epoll_wait(s.epoll, events, 256, ms);

	for (int i = 0; i < n; i++)
		take(events[i].data.ptr);
}

static void report(void)
{
	double now = now_ms(CLOCK_MONOTONIC);

	for (int i = 0; i < s.n_marks; i++) {
		if (s.done[i] || !s.told[i])
			continue;
		if (s.told[i] == s.n_ends / 2)
			printf("told %s %.3f\n", s.marks[i], now_ms(CLOCK_REALTIME) / 1e3);
		else if (now - s.began[i] > OVER_MS)
			printf("over %s %d\n", s.marks[i], s.told[i]);
		else
			continue;
		s.done[i] = true;
	}
	fflush(stdout);
}

/* Each once a second, spread over it. */
static void go_on(void)
{
	double began = now_ms(CLOCK_MONOTONIC);
	int agents = s.n_ends / 2;
	long asked = 0;

	while (!stopped) {
		long due = (long)((now_ms(CLOCK_MONOTONIC) - began) * agents / ASK_MS);

		for (; asked < due; asked++)
			if (!s.ends[asked % agents * 2 + 1].asked)
				ask(&s.ends[asked % agents * 2 + 1]);
		wait_for(1);
		report();
	}
}

int main(int argc, char **argv)
{
	const struct rlimit many = { 1 << 16, 1 << 16 };
	double began = now_ms(CLOCK_MONOTONIC);
	struct rlimit limit;
	int count;

	if (argc < 8 || argc - 8 > MARKS_MAX) {
		fprintf(stderr, "usage: agents ADDR PORT PKI-DIR HOSTS COUNT FIRST TO [MARK...]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, on_signal);
	if (setrlimit(RLIMIT_NOFILE, &many) && !getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	s.addr = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2])) };
	s.n_hosts = atoi(argv[4]);
	count = atoi(argv[5]);
	if (inet_pton(AF_INET, argv[1], &s.addr.sin_addr) != 1 || s.n_hosts < 1 || s.n_hosts > HOSTS_MAX ||
	    count < 1)
		return 2;
	s.first_id = (uint32_t)atol(argv[6]);
	s.to = argv[7];
	s.marks = argv + 8;
	s.n_marks = argc - 8;
	s.n_ends = 2 * count;
	s.open = count;
	s.epoll = epoll_create1(EPOLL_CLOEXEC);
	s.ends = calloc((size_t)s.n_ends, sizeof(*s.ends));
	for (int i = 0; i < s.n_hosts; i++)
		s.tls[i] = tls_of(argv[3], i + 1);
	for (int i = 0; i < s.n_ends && !stopped; i++) {
		s.ends[i].host = i / 2 % s.n_hosts;
		s.ends[i].watch = i % 2 == 0;
		open_end(&s.ends[i]);
		do
			wait_for(s.opening >= OPENING_MAX ? 100 : 0);
		while (s.opening >= OPENING_MAX && !stopped);
	}
	while (s.answers < count && !stopped)
		wait_for(100);
	printf("ready %d %.1f\n", s.answers, (now_ms(CLOCK_MONOTONIC) - began) / 1e3);
	fflush(stdout);
	s.slowest = 0;
	go_on();
	printf("asked %d %.0f %d %d\n", s.answers, s.slowest, s.failed, s.open);
	return 0;
}
