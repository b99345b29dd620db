// SPDX-License-Identifier: Apache-2.0
/*
 * R24, R25: requests past evhttp, by TCP and by TLS. The reply is evhttp's, byte for byte; whatever is
 * not whole and plain is evhttp's to read, from its first byte; and who does not read gets all in the end.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dps/short.h"

#define TURNS 100000 /* of a tenth of a millisecond, where nothing comes: machines are slow at times */
#define ROOM (32 << 20)
#define MANY 300
#define SHORT_KEYS 90 /* a request that is read in one piece */
#define ONE "{\"keys\":[{\"source\":1,\"to\":\"10.1.0.12\"}]}"

static struct {
	struct api api;
	struct evhttp *http;
	struct bufferevent *bev; /* of the last connection, the server's end */
	struct sockaddr_in addr;
	SSL_CTX *server, *client;
	int fd;
	SSL *ssl;	/* of the client's end; NULL: without TLS */
	const char *at; /* of what has come: behind the last whole reply */
	size_t n;
	int replies, status;
} s;
static char got[ROOM];

/* ---- a server ---- */

static struct bufferevent *accept_one(struct event_base *base, void *arg)
{
	struct bufferevent *bev = s.server ? bufferevent_openssl_socket_new(base, -1, SSL_new(s.server),
									    BUFFEREVENT_SSL_ACCEPTING,
									    BEV_OPT_CLOSE_ON_FREE)
					   : bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	guard_add(s.api.guard, bev);
	s.bev = bev;
	return bev;
}

static void start_tls(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();

	X509_set_pubkey(cert, key);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	cr_assert_gt(X509_sign(cert, key, EVP_sha256()), 0);
	s.server = SSL_CTX_new(TLS_server_method());
	s.client = SSL_CTX_new(TLS_client_method());
	cr_assert_eq(SSL_CTX_use_certificate(s.server, cert), 1);
	cr_assert_eq(SSL_CTX_use_PrivateKey(s.server, key), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void apply(void)
{
	const char text[] =
		"[{\"kind\":\"network\",\"name\":\"blue\",\"subnets\":[\"10.1.0.0/24\"]},"
		"{\"kind\":\"endpoint\",\"network\":\"blue\",\"name\":\"a\",\"mac\":\"02:00:00:00:01:01\","
		"\"addresses\":[\"10.1.0.11\"]},{\"kind\":\"endpoint\",\"network\":\"blue\",\"name\":\"b\","
		"\"mac\":\"02:00:00:00:01:02\",\"addresses\":[\"10.1.0.12\"]}]";
	struct commit_context ctx = { .m = &s.api.model, .now = time(NULL), .lifetime = 3600 };
	struct commit_counts counts;
	struct json_error err = { 0 };
	struct spec *specs[3];
	const cJSON *one;
	cJSON *json = json_parse(text, strlen(text), &err);
	size_t n = 0;

	cJSON_ArrayForEach (one, json)
		cr_assert_eq(objects_parse(one, &specs[n++], &err), 0, "%s", err.text);
	cJSON_Delete(json);
	cr_assert_eq(commit_apply(&ctx, specs, n, ANY_REVISION, &counts, &err), 0, "%s", err.text);
}

static void turn(void)
{
	event_base_loop(s.api.base, EVLOOP_NONBLOCK);
}

static void start(bool tls)
{
	struct evhttp_bound_socket *bound;
	socklen_t len = sizeof(s.addr);

	if (tls)
		start_tls();
	s.api.lifetime = 3600;
	s.api.base = event_base_new();
	model_init(&s.api.model);
	apply();
	s.api.guard = guard_open(s.api.base, 0);
	guard_at_once(s.api.guard, short_way, &s.api);
	s.at = got;
	s.http = evhttp_new(s.api.base);
	evhttp_set_bevcb(s.http, accept_one, NULL);
	evhttp_set_gencb(s.http, api_handle, &s.api);
	bound = evhttp_bind_socket_with_handle(s.http, "127.0.0.1", 0);
	cr_assert(bound);
	cr_assert_eq(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&s.addr, &len), 0);
}

static void finish(void)
{
	SSL_free(s.ssl);
	close(s.fd);
	for (int i = 0; i < 10; i++)
		turn();
	evhttp_free(s.http);
	guard_close(s.api.guard);
	prepared_clear(&s.api.prepared);
	model_free(&s.api.model);
	event_base_free(s.api.base);
	SSL_CTX_free(s.server);
	SSL_CTX_free(s.client);
	memset(&s, 0, sizeof(s));
}

/* ---- a client ---- */

static void dial(int room)
{
	int one = 1;

	s.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (room)
		setsockopt(s.fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	cr_assert_eq(connect(s.fd, (struct sockaddr *)&s.addr, sizeof(s.addr)), 0);
	evutil_make_socket_nonblocking(s.fd);
	setsockopt(s.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (s.client) {
		s.ssl = SSL_new(s.client);
		SSL_set_fd(s.ssl, s.fd);
		for (int i = 0; i < TURNS && SSL_connect(s.ssl) != 1; i++)
			turn();
		cr_assert(SSL_is_init_finished(s.ssl));
	}
	for (int i = 0; i < 10; i++) /* until the guard knows whose it is */
		turn();
}

static void say(const char *text, size_t len)
{
	ssize_t n = s.ssl ? SSL_write(s.ssl, text, (int)len) : write(s.fd, text, len);

	cr_assert_eq(n, (ssize_t)len);
	for (int i = 0; i < 10; i++)
		turn();
}

static size_t request(char *out, size_t room, const char *more, const char *body)
{
	return (size_t)snprintf(out, room,
				"POST /v1/resolve HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n%s",
				more, strlen(body), body);
}

static void ask(const char *more, const char *body)
{
	char *text = malloc(strlen(body) + 1024);

	say(text, request(text, strlen(body) + 1024, more, body));
	free(text);
}

/* How many replies are whole so far; s.status: of the last. */
static int replies(void)
{
	while (s.at < got + s.n) {
		const char *at = s.at, *body = strstr(at, "\r\n\r\n"), *length;

		if (!body)
			break;
		length = strstr(at, "Content-Length: ");
		cr_assert(length && length < body);
		body += 4 + strtol(length + 16, NULL, 10);
		if (body > got + s.n)
			break;
		cr_assert_eq(sscanf(at, "HTTP/1.1 %3d", &s.status), 1);
		s.at = body;
		s.replies++;
	}
	return s.replies;
}

static int hear(int want)
{
	for (int i = 0; i < TURNS && replies() < want; i++) {
		ssize_t n = s.ssl ? SSL_read(s.ssl, got + s.n, 65536) : read(s.fd, got + s.n, 65536);

		if (n <= 0)
			usleep(100);
		s.n += n > 0 ? (size_t)n : 0;
		got[s.n] = '\0';
		turn();
	}
	cr_assert_eq(replies(), want, "%d, not %d: %.200s", replies(), want, got);
	return s.status;
}

/* ---- tests ---- */

Test(short, R24_what_is_plain)
{
	static const char *const others[] = {
		"Content-Length: 2\r\n\r\n{}",
		"GET /v1/resolve HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
		"POST /v1/resolve?domain=acme HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
		"POST /v1/resolve HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}",
		"POST /v1/resolve HTTP/1.1\r\n\r\n{}",
		"POST /v1/resolve HTTP/1.1\r\nContent-Length: 2\r\n\r\n{",
		"POST /v1/resolve HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}{",
		"POST /v1/resolve HTTP/1.1\r\nContent-Length: 2\r\n",
		"POST /v1/resolve HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"POST /v1/resolve HTTP/1.1\r\nContent-Length: +2\r\n\r\n{}",
		"POST /v1/resolve HTTP/1.1\r\nContent-Length:\r\n\r\n",
		"POST /v1/resolve HTTP/1.1\r\nContent-Length : 2\r\n\r\n{}",
		"POST /v1/resolve HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n{}",
		"POST /v1/resolve HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
		"POST /v1/resolve HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
		"POST /v1/resolve HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n{}",
		"POST /v1/resolve HTTP/1.1\r\nHost: x\r\n Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
		"POST /v1/resolve HTTP/1.1\nContent-Length: 2\n\n{}",
		"POST /v1/resolve HTTP/1.1\r\nHost: a\nContent-Length: 2\r\n\r\n{}",
	};
	static const char plain[] =
		"POST /v1/resolve HTTP/1.1\r\nhost: x\r\nAccept: */*\r\ncontent-length:2\r\n\r\n{}";
	size_t len = 0;
	const char *body;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		cr_assert_null(short_body(others[i], strlen(others[i]), &len), "%s", others[i]);
	body = short_body(plain, strlen(plain), &len);
	cr_assert_str_eq(body, "{}");
	cr_assert_eq(len, 2);
	for (size_t n = 0; n < strlen(plain); n++)
		cr_assert_null(short_body(plain, n, &len), "%zu bytes of it", n);
}

static void same(void)
{
	size_t first;

	dial(0);
	ask("Connection: keep-alive\r\n", ONE);
	cr_assert_eq(hear(1), 200);
	cr_assert_eq(s.api.short_ways, 0, "a header that evhttp must see");
	first = s.n;
	ask("", ONE);
	cr_assert_eq(hear(2), 200);
	cr_assert_eq(s.api.short_ways, 1);
	cr_assert_eq(s.n, 2 * first);
	for (size_t i = 0; i < first; i++) /* but for the seconds of Date and lifetime */
		cr_assert(got[i] == got[first + i] || (got[i] >= '0' && got[i] <= '9'), "%s", got);
	ask("", "{\"keys\":[]}");
	cr_assert_eq(hear(3), 400);
	ask("", "{\"min_revision\":1000,\"keys\":[{\"source\":1,\"to\":\"10.1.0.12\"}]}");
	cr_assert_eq(hear(4), 503);
	cr_assert_eq(s.api.short_ways, 1, "refusals are evhttp's");
	cr_assert_eq(s.api.errors, 2);
	ask("", ONE);
	cr_assert_eq(hear(5), 200);
	cr_assert_eq(s.api.short_ways, 2);
	cr_assert_eq(s.api.requests, 5);
}

static void in_pieces(void)
{
	char text[512], inner[256], both[1024];
	size_t len = request(text, sizeof(text), "", ONE), n;

	dial(0);
	say(text, len - 5);
	say(text + len - 5, 5);
	cr_assert_eq(hear(1), 200);
	for (size_t i = 0; i < len; i++)
		say(text + i, 1);
	cr_assert_eq(hear(2), 200);
	cr_assert_eq(s.api.short_ways, 0);
	/* One, and of the next the headers; its body looks like a request, and comes by itself. */
	n = request(inner, sizeof(inner), "", ONE);
	memcpy(both, text, len);
	len += (size_t)snprintf(both + len, sizeof(both) - len,
				"POST /v1/resolve HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", n);
	say(both, len);
	cr_assert_eq(hear(3), 200);
	say(inner, n);
	cr_assert_eq(hear(4), 400);
	for (int i = 0; i < 100; i++)
		turn();
	cr_assert_eq(hear(4), 400, "it was a body, and only that");
	cr_assert_eq(s.api.short_ways, 0);
	say(inner, n);
	cr_assert_eq(hear(5), 200);
	cr_assert_eq(s.api.short_ways, 1, "from the next request on it goes the short way again");
}

/* Who asks and does not read: until the connection has no room for an answer, and then for more. */
static void ask_unread(int times)
{
	char body[SHORT_KEYS * 40] = "{\"keys\":[", *at = body + strlen(body);

	for (int i = 0; i < SHORT_KEYS; i++)
		at += sprintf(at, "%s{\"source\":1,\"to\":\"10.1.0.12\"}", i ? "," : "");
	sprintf(at, "]}");
	dial(4096);
	for (int i = 0; i < times; i++)
		ask("", body);
	cr_assert(s.api.short_ways > 1 && s.api.short_ways < (uint64_t)times, "%lu of %d had room",
		  (unsigned long)s.api.short_ways, times);
}

static void unread(void)
{
	uint64_t before;

	ask_unread(MANY);
	cr_assert_lt(evbuffer_get_length(bufferevent_get_input(s.bev)), SHORT_REQUEST_MAX,
		     "who does not read is read");
	cr_assert_eq(hear(MANY), 200);
	before = s.api.short_ways;
	ask("", ONE);
	cr_assert_eq(hear(MANY + 1), 200);
	cr_assert_eq(s.api.short_ways, before + 1);
}

static void goes_away(void)
{
	ask_unread(MANY);
	cr_assert_eq(guard_count(s.api.guard), 1);
}

#define BOTH(name)                                                                                           \
	Test(short, name##_by_tcp)                                                                           \
	{                                                                                                    \
		start(false);                                                                                \
		name();                                                                                      \
		finish();                                                                                    \
	}                                                                                                    \
	Test(short, name##_by_tls)                                                                           \
	{                                                                                                    \
		start(true);                                                                                 \
		name();                                                                                      \
		finish();                                                                                    \
	}

BOTH(same)
BOTH(in_pieces)
BOTH(unread)
BOTH(goes_away)
