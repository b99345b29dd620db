// SPDX-License-Identifier: Apache-2.0
#include "lib/curl_loop.h"

#include <stdlib.h>

struct curl_loop {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	void (*stirred)(void *arg);
	void *arg;
};

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct curl_loop *l = arg;
	int action = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
	int running;

	curl_multi_socket_action(l->multi, fd, action, &running);
	l->stirred(l->arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct curl_loop *l = arg;
	int running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	l->stirred(l->arg);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socketp)
{
	struct curl_loop *l = arg;
	struct event *ev = socketp;
	short events = EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
		       (what & CURL_POLL_OUT ? EV_WRITE : 0);

	(void)easy;
	if (ev)
		event_free(ev);
	ev = NULL;
	if (what != CURL_POLL_REMOVE) {
		ev = event_new(l->base, fd, events, on_socket, l);
		event_add(ev, NULL);
	}
	curl_multi_assign(l->multi, fd, ev);
	return 0;
}

static int want_timer(CURLM *multi, long ms, void *arg)
{
	struct curl_loop *l = arg;
	struct timeval tv = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	(void)multi;
	if (ms < 0)
		evtimer_del(l->timer);
	else
		evtimer_add(l->timer, &tv);
	return 0;
}

struct curl_loop *curl_loop_open(struct event_base *base, long connections, void (*stirred)(void *arg),
				 void *arg)
{
	struct curl_loop *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	*l = (struct curl_loop){ .base = base, .multi = curl_multi_init(), .stirred = stirred, .arg = arg };
	l->timer = evtimer_new(base, on_timer, l);
	curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
	curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
	curl_multi_setopt(l->multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
	return l;
}

void curl_loop_close(struct curl_loop *l)
{
	if (!l)
		return;
	curl_multi_cleanup(l->multi);
	event_free(l->timer);
	free(l);
}

void curl_loop_add(struct curl_loop *l, CURL *easy)
{
	curl_multi_add_handle(l->multi, easy);
}

void curl_loop_remove(struct curl_loop *l, CURL *easy)
{
	curl_multi_remove_handle(l->multi, easy);
}

CURL *curl_loop_over(struct curl_loop *l, CURLcode *code)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(l->multi, &left))) {
		CURL *easy = msg->easy_handle;

		if (msg->msg != CURLMSG_DONE)
			continue;
		*code = msg->data.result; /* the message is gone with the handle */
		curl_multi_remove_handle(l->multi, easy);
		return easy;
	}
	return NULL;
}
