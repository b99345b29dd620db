// SPDX-License-Identifier: Apache-2.0
#include "control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "commands.h"
#include "lib/cleanup.h"

/* A command is a few names; what a follower has not read after this much is lost to it, with its connection. */
#define LINE_MAX_BYTES 65536
#define FOLLOWER_BACKLOG (4u << 20)

struct request {
	struct request *next;
	struct control *control;
	struct bufferevent *bev; /* NULL: the client has left, the command goes on */
	bool started, following;
};

struct control {
	struct agent *agent;
	struct evconnlistener *listener;
	struct request *requests;
	char path[108];
};

static void request_free(struct request *rq)
{
	struct request **at = &rq->control->requests;

	while (*at && *at != rq)
		at = &(*at)->next;
	if (*at)
		*at = rq->next;
	if (rq->bev)
		bufferevent_free(rq->bev);
	free(rq);
}

static void send_line(struct request *rq, const char *key, cJSON *value)
{
	cJSON *line = cJSON_CreateObject();
	char *text;

	cJSON_AddItemToObject(line, key, value);
	text = cJSON_PrintUnformatted(line);
	cJSON_Delete(line);
	evbuffer_add_printf(bufferevent_get_output(rq->bev), "%s\n", text);
	free(text);
}

/* The last line has gone out: the connection can go. */
static void on_sent(struct bufferevent *bev, void *arg)
{
	request_free(arg);
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
	struct request *rq = arg;

	if (!rq->started || rq->following) {
		request_free(rq);
		return;
	}
	bufferevent_free(rq->bev);
	rq->bev = NULL;
}

static void finish(struct request *rq, const char *key, cJSON *value)
{
	if (!rq->bev) {
		cJSON_Delete(value);
		request_free(rq);
		return;
	}
	send_line(rq, key, value);
	bufferevent_disable(rq->bev, EV_READ);
	rq->started = false;
	bufferevent_setcb(rq->bev, NULL, on_sent, on_end, rq);
}

void control_done(struct request *rq, cJSON *result)
{
	finish(rq, "result", result);
}

void control_fail(struct request *rq, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	finish(rq, "error", cJSON_CreateString(text));
}

void control_follow(struct request *rq)
{
	rq->following = true;
}

void control_event(struct control *c, const cJSON *event)
{
	struct request *next;

	for (struct request *rq = c->requests; rq; rq = next) {
		next = rq->next;
		if (!rq->following)
			continue;
		if (evbuffer_get_length(bufferevent_get_output(rq->bev)) > FOLLOWER_BACKLOG)
			request_free(rq);
		else
			send_line(rq, "event", cJSON_Duplicate(event, true));
	}
}

static void on_line(struct bufferevent *bev, void *arg)
{
	struct request *rq = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t len;
	_free_ char *line = NULL;
	cJSON *json;

	if (rq->started) {
		evbuffer_drain(in, evbuffer_get_length(in));
		return;
	}
	line = evbuffer_readln(in, &len, EVBUFFER_EOL_LF);
	if (!line && evbuffer_get_length(in) < LINE_MAX_BYTES)
		return;
	rq->started = true;
	json = line ? cJSON_ParseWithLength(line, len) : NULL;
	if (cJSON_IsObject(json))
		commands_run(rq->control->agent, json, rq);
	else
		control_fail(rq, "the request is not a JSON object on one line");
	cJSON_Delete(json);
}

static void on_client(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr, int len,
		      void *arg)
{
	struct control *c = arg;
	struct request *rq = calloc(1, sizeof(*rq));

	if (!rq) {
		close(fd);
		return;
	}
	rq->control = c;
	rq->bev = bufferevent_socket_new(c->agent->base, fd, BEV_OPT_CLOSE_ON_FREE);
	rq->next = c->requests;
	c->requests = rq;
	bufferevent_setcb(rq->bev, on_line, NULL, on_end, rq);
	bufferevent_enable(rq->bev, EV_READ | EV_WRITE);
}

int control_open(struct agent *a, struct control **out, struct error *err)
{
	struct control *c = calloc(1, sizeof(*c));
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	mode_t mask;

	c->agent = a;
	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/agent.sock", a->config.run_dir) >=
	    (int)sizeof(addr.sun_path)) {
		free(c);
		return error_set(err, -ENAMETOOLONG, "%s: path too long for a socket", a->config.run_dir);
	}
	snprintf(c->path, sizeof(c->path), "%s", addr.sun_path);
	unlink(c->path); /* of an agent that was killed; the run directory's lock says that none lives */
	mask = umask(0077);
	c->listener = evconnlistener_new_bind(a->base, on_client, c,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 16,
					      (struct sockaddr *)&addr, sizeof(addr));
	umask(mask);
	if (!c->listener) {
		int rc = -errno;

		error_set(err, rc, "%s: %m", c->path);
		free(c);
		return rc;
	}
	*out = c;
	return 0;
}

void control_close(struct control *c)
{
	if (!c)
		return;
	while (c->requests)
		request_free(c->requests);
	evconnlistener_free(c->listener);
	unlink(c->path);
	free(c);
}
