// SPDX-License-Identifier: Apache-2.0
/*
 * Requests to a service that has a small world: one after another, a line of
 * "%" between them, each a line "METHOD PATH" with the body behind it. They go
 * by HTTP through a socket, over one connection each; every one is answered,
 * and never with an error of the service's own but "not now".
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dps/api.h"
#include "dps/guard.h"
#include "fuzz.h"
#include "lib/cleanup.h"

#define REQUESTS_MAX 8
#define TURNS_MAX 10000 /* of the loop, for one request: a watch's snapshot takes some */

/* With ' for ". */
static char world[] = "[{'kind':'network','name':'blue','subnets':['10.1.0.0/24','2001:db8:1::/64']},"
		      "{'kind':'network','name':'green','subnets':['10.2.0.0/24'],'default':'deny'},"
		      "{'kind':'host','name':'h1','addresses':['192.0.2.1']},"
		      "{'kind':'endpoint','network':'blue','name':'vm1','mac':'02:00:00:00:01:01',"
		      "'addresses':['10.1.0.11']},"
		      "{'kind':'endpoint','network':'blue','name':'vm2','mac':'02:00:00:00:01:02',"
		      "'addresses':['10.1.0.12']},"
		      "{'kind':'endpoint','network':'green','name':'vm1','mac':'02:00:00:00:02:01',"
		      "'addresses':['10.2.0.11']},"
		      "{'kind':'external','network':'blue','name':'out','prefixes':['0.0.0.0/0'],"
		      "'gateway':{'host':'h1'}},"
		      "{'kind':'group','network':'blue','name':'db','endpoints':['vm2']},"
		      "{'kind':'service','name':'fw','instances':[{'endpoint':'blue/vm1'}]},"
		      "{'kind':'policy','network':'blue','name':'p','priority':10,'from':'any',"
		      "'to':{'groups':['db']},'proto':'tcp','to_port':'443','action':'allow'},"
		      "{'kind':'policy','network':'green','name':'q','priority':20,'from':{'network':'blue'},"
		      "'to':{'endpoints':['vm1']},'action':'allow','path':['fw']}]";

static struct {
	struct event_base *base;
	struct evhttp *http;
	struct sockaddr_un addr;
	socklen_t addr_len;
	struct guard *guard;
	struct api api;
} s;

static struct bufferevent *accept_one(struct event_base *base, void *arg)
{
	struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	guard_add(s.guard, bev);
	return bev;
}

/* An abstract address, the kernel's choice. */
static void listen_once(void)
{
	int fd;

	if (s.http)
		return;
	signal(SIGPIPE, SIG_IGN); /* as server_run() does */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	s.addr.sun_family = AF_UNIX;
	fuzz_check(fd >= 0 && !bind(fd, (struct sockaddr *)&s.addr, sizeof(sa_family_t)) && !listen(fd, 16),
		   "no socket");
	s.addr_len = sizeof(s.addr);
	getsockname(fd, (struct sockaddr *)&s.addr, &s.addr_len);
	s.base = event_base_new();
	s.guard = guard_open(s.base, 0);
	s.http = evhttp_new(s.base);
	evhttp_set_bevcb(s.http, accept_one, NULL);
	evhttp_set_max_headers_size(s.http, HEADERS_MAX);
	evhttp_set_max_body_size(s.http, APPLY_BODY_MAX);
	evhttp_set_allowed_methods(s.http,
				   EVHTTP_REQ_GET | EVHTTP_REQ_PUT | EVHTTP_REQ_POST | EVHTTP_REQ_DELETE);
	evhttp_set_gencb(s.http, api_handle, &s.api);
	fuzz_check(!evhttp_accept_socket(s.http, fd), "can't accept");
}

static void apply_world(void)
{
	struct commit_context ctx = { .m = &s.api.model, .now = FUZZ_NOW, .lifetime = 3600 };
	struct commit_counts counts;
	struct json_error err = {};
	struct spec *specs[16];
	const cJSON *one;
	cJSON *json;
	size_t n = 0;

	for (char *c = world; *c; c++)
		if (*c == '\'')
			*c = '"';
	json = json_parse(world, strlen(world), &err);
	fuzz_check(json, "%s", err.text);
	cJSON_ArrayForEach (one, json)
		fuzz_check(!objects_parse(one, &specs[n++], &err), "%s: %s", err.field, err.text);
	cJSON_Delete(json);
	fuzz_check(!commit_apply(&ctx, specs, n, ANY_REVISION, &counts, &err), "%s: %s", err.object,
		   err.text);
}

/* A line that HTTP is about, and not our part of it. */
static bool is_line(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] <= ' ' && line[i] != ' ')
			return false;
	return len && len < 4096 && memchr(line, ' ', len);
}

static size_t write_request(const char *text, size_t len, char **out)
{
	const char *nl = memchr(text, '\n', len);
	size_t line = nl ? (size_t)(nl - text) : len, body = nl ? len - line - 1 : 0;
	size_t n;
	FILE *f;

	if (!is_line(text, line))
		return 0;
	f = open_memstream(out, &n);
	fwrite(text, 1, line, f);
	fprintf(f, " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n");
	if (body)
		fprintf(f, "Content-Length: %zu\r\n", body);
	fprintf(f, "\r\n");
	fwrite(text + len - body, 1, body, f);
	fclose(f);
	return n;
}

static bool is_over(const char *reply, ssize_t n)
{
	/* A watch is endless: its snapshot is enough. */
	return n == 0 || (n > 0 && memmem(reply, n, "application/x-ndjson", 20));
}

/* Its status line and what else comes at once. */
static void converse(int fd, const char *request, size_t len)
{
	char reply[65536];
	size_t sent = 0, got = 0;
	bool over = false;
	int status = 0;

	for (int turn = 0; !over && turn < TURNS_MAX; turn++) {
		ssize_t n = sent < len ? send(fd, request + sent, len - sent, MSG_NOSIGNAL) : 0;

		sent += n > 0 ? n : 0;
		event_base_loop(s.base, EVLOOP_NONBLOCK);
		n = recv(fd, reply + (got ? 4096 : 0), got ? sizeof(reply) - 4096 : 4096, 0);
		over = is_over(reply, n) || (n < 0 && errno != EAGAIN);
		got += n > 0 ? n : 0;
	}
	fuzz_check(over, "no end of %.200s", request);
	fuzz_check(got && sscanf(reply, "HTTP/1.%*d %d", &status) == 1, "no answer to %.200s", request);
	fuzz_check(status < 500 || status == HTTP_NOTIMPLEMENTED || status == HTTP_SERVUNAVAIL,
		   "status %d to %.200s", status, request);
}

static void send_one(const char *text, size_t len)
{
	_close_ int fd = -1;
	_free_ char *request = NULL;
	size_t n = write_request(text, len, &request);

	if (!n)
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	fuzz_check(!connect(fd, (struct sockaddr *)&s.addr, s.addr_len), "can't connect");
	converse(fd, request, n);
}

static void start(void)
{
	listen_once();
	memset(&s.api, 0, sizeof(s.api));
	model_init(&s.api.model);
	s.api.base = s.base;
	s.api.guard = s.guard;
	s.api.lifetime = 3600;
	s.api.signer = (struct signer){ .key = fuzz_key(), .zone = "" };
	apply_world();
}

/* Watchers end with their connections, which are closed by now. */
static void end(void)
{
	for (int turn = 0; s.api.watchers && turn < TURNS_MAX; turn++)
		event_base_loop(s.base, EVLOOP_NONBLOCK);
	fuzz_check(!s.api.watchers, "a watcher stays");
	prepared_clear(&s.api.prepared);
	model_free(&s.api.model);
}

FUZZ(api)
{
	const char *text = (const char *)data, *stop = text + size, *next;

	start();
	for (int i = 0; i < REQUESTS_MAX && text < stop; i++, text = next) {
		const char *mark = memmem(text, stop - text, "\n%\n", 3);

		send_one(text, (mark ? mark : stop) - text);
		api_watch_progress(&s.api);
		next = mark ? mark + 3 : stop;
	}
	end();
}
