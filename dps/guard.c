// SPDX-License-Identifier: Apache-2.0
#include "dps/guard.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <uthash.h>

#include "dps/mem.h"
#include "lib/addr.h"

/* What a connection is doing. */
enum state {
	STATE_READING, /* a request, or a handshake, is on its way */
	STATE_SERVING, /* a request is being answered */
	STATE_IDLE,
};

struct peer {
	struct ip_addr addr;
	unsigned int n;
	UT_hash_handle hh;
};

struct guarded {
	struct guard *g;
	struct bufferevent *bev; /* held: evhttp may let go of it before we look */
	struct event *check;	 /* as soon as it has its socket: whose is it? */
	enum state state;
	int64_t since; /* monotonic seconds of the state */
	size_t bytes;  /* of the request so far */
	struct peer *peer;
	bool shut;
	UT_hash_handle hh;
};

struct guard {
	struct event_base *base;
	struct event *second;
	struct guarded *all;
	struct peer *peers;
	unsigned int per_peer;
	enum guard_took (*at_once)(struct bufferevent *bev, void *arg);
	void *at_once_arg;
	struct guard_counters counters;
};

static int64_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* ---- peers ---- */

static bool peer_address(const struct bufferevent *bev, struct ip_addr *out)
{
	struct sockaddr_storage addr = { 0 };
	socklen_t len = sizeof(addr);
	evutil_socket_t fd = bufferevent_getfd((struct bufferevent *)bev);

	if (fd < 0 || getpeername(fd, (struct sockaddr *)&addr, &len))
		return false;
	if (addr.ss_family == AF_INET)
		*out = ip_from_v4(((struct sockaddr_in *)&addr)->sin_addr.s_addr);
	else
		memcpy(out->b, &((struct sockaddr_in6 *)&addr)->sin6_addr, sizeof(out->b));
	return true;
}

static struct peer *peer_take(struct guard *g, const struct ip_addr *addr)
{
	struct peer *peer;

	HASH_FIND(hh, g->peers, addr, sizeof(*addr), peer);
	if (!peer) {
		peer = mem_alloc(sizeof(*peer));
		peer->addr = *addr;
		HASH_ADD(hh, g->peers, addr, sizeof(peer->addr), peer);
	}
	peer->n++;
	return peer;
}

static void peer_give(struct guard *g, struct peer *peer)
{
	if (!peer || --peer->n)
		return;
	HASH_DEL(g->peers, peer);
	free(peer);
}

/* ---- connections ---- */

static void shut(struct guarded *c, uint64_t *counter)
{
	evutil_socket_t fd = bufferevent_getfd(c->bev);

	++*counter;
	c->shut = true;
	if (fd >= 0)
		shutdown(fd, SHUT_RDWR);
}

static void drop(struct guarded *c);

/* evhttp takes its callbacks off what it lets go of. */
static bool is_over(const struct guarded *c)
{
	bufferevent_data_cb read = NULL, write = NULL;
	bufferevent_event_cb event = NULL;
	void *arg = NULL;

	bufferevent_getcb(c->bev, &read, &write, &event, &arg);
	return !read && !write && !event;
}

static void sweep(struct guard *g)
{
	struct guarded *c, *next;

	HASH_ITER (hh, g->all, c, next)
		if (is_over(c))
			drop(c);
}

static void on_check(evutil_socket_t fd, short what, void *arg)
{
	struct guarded *c = arg;
	struct ip_addr addr;

	(void)fd;
	(void)what;
	if (is_over(c) || !peer_address(c->bev, &addr))
		return;
	c->peer = peer_take(c->g, &addr);
	if (c->peer->n > c->g->per_peer) /* some may be over already, and not looked at since */
		sweep(c->g);
	if (c->peer->n > c->g->per_peer || HASH_COUNT(c->g->all) > GUARD_CONNECTIONS)
		shut(c, &c->g->counters.crowded);
}

static void set_state(struct guarded *c, enum state state)
{
	c->state = state;
	c->since = seconds();
	c->bytes = 0;
}

/* The first bytes of a request: evhttp has read all before them, and nothing of it. */
static bool begins(const struct guarded *c, const struct evbuffer_cb_info *info)
{
	return c->state != STATE_SERVING && !c->bytes && !info->orig_size && c->peer && !c->shut &&
	       !is_over(c);
}

static bool is_answered(struct guarded *c)
{
	enum guard_took took = c->g->at_once(c->bev, c->g->at_once_arg);

	if (took != GUARD_LEFT)
		set_state(c, took == GUARD_SENT ? STATE_IDLE : STATE_SERVING);
	return took != GUARD_LEFT;
}

static void on_input(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	struct guarded *c = arg;

	(void)buffer;
	if (!info->n_added || (c->g->at_once && begins(c, info) && is_answered(c)))
		return;
	if (c->state == STATE_IDLE)
		set_state(c, STATE_READING);
	c->bytes += info->n_added;
}

void guard_add(struct guard *g, struct bufferevent *bev)
{
	static const struct timeval now = { 0 };
	struct guarded *c;

	if (!g || !bev)
		return;
	c = mem_alloc(sizeof(*c));
	c->g = g;
	c->bev = bev;
	bufferevent_incref(bev);
	set_state(c, STATE_READING);
	c->check = evtimer_new(g->base, on_check, c);
	evtimer_add(c->check, &now);
	evbuffer_add_cb(bufferevent_get_input(bev), on_input, c);
	HASH_ADD_PTR(g->all, bev, c);
	g->counters.accepted++;
}

static void drop(struct guarded *c)
{
	struct guard *g = c->g;

	HASH_DEL(g->all, c);
	evbuffer_remove_cb(bufferevent_get_input(c->bev), on_input, c);
	peer_give(g, c->peer);
	event_free(c->check);
	bufferevent_decref(c->bev);
	free(c);
}

static struct guarded *find(const struct guard *g, const struct bufferevent *bev)
{
	struct guarded *c;

	HASH_FIND_PTR(g->all, &bev, c);
	return c;
}

void guard_at_once(struct guard *g, enum guard_took (*at_once)(struct bufferevent *bev, void *arg), void *arg)
{
	g->at_once = at_once;
	g->at_once_arg = arg;
}

/* What has come meanwhile is of the next request. */
void guard_sent(struct guard *g, struct bufferevent *bev)
{
	struct guarded *c = find(g, bev);
	size_t waiting = evbuffer_get_length(bufferevent_get_input(bev));

	if (!c)
		return;
	set_state(c, waiting ? STATE_READING : STATE_IDLE);
	c->bytes = waiting;
}

static void on_sent(struct evhttp_request *req, void *arg)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(req);

	if (conn)
		guard_sent(arg, evhttp_connection_get_bufferevent(conn));
}

void guard_whole(struct guard *g, struct evhttp_request *req)
{
	struct evhttp_connection *conn = evhttp_request_get_connection(req);
	struct guarded *c = g ? find(g, evhttp_connection_get_bufferevent(conn)) : NULL;

	if (!c)
		return;
	set_state(c, STATE_SERVING);
	evhttp_request_set_on_complete_cb(req, on_sent, g);
}

/* ---- once a second ---- */

static void look_at(struct guarded *c, int64_t now)
{
	int64_t age = now - c->since;

	if (c->shut)
		return;
	if (c->state == STATE_IDLE && age > GUARD_IDLE_SECONDS)
		shut(c, &c->g->counters.idle);
	else if (c->state == STATE_READING && age > GUARD_REQUEST_SECONDS + (int64_t)(c->bytes / GUARD_RATE))
		shut(c, &c->g->counters.slow);
}

static struct guarded *largest(const struct guard *g, size_t *total)
{
	struct guarded *most = NULL;

	*total = 0;
	for (struct guarded *c = g->all; c; c = c->hh.next) {
		if (c->state != STATE_READING || c->shut)
			continue;
		*total += c->bytes;
		if (!most || c->bytes > most->bytes)
			most = c;
	}
	return most;
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct guard *g = arg;
	struct guarded *c, *next;
	int64_t now = seconds();
	size_t total;

	(void)fd;
	(void)what;
	sweep(g);
	HASH_ITER (hh, g->all, c, next)
		look_at(c, now);
	c = largest(g, &total);
	if (c && total > GUARD_BYTES)
		shut(c, &g->counters.large);
}

struct guard *guard_open(struct event_base *base, unsigned int per_peer)
{
	static const struct timeval second = { 1, 0 };
	struct guard *g = mem_alloc(sizeof(*g));

	g->base = base;
	g->per_peer = per_peer ? per_peer : GUARD_PER_PEER;
	g->second = event_new(base, -1, EV_PERSIST, on_second, g);
	event_add(g->second, &second);
	return g;
}

void guard_close(struct guard *g)
{
	struct guarded *c, *next;

	if (!g)
		return;
	HASH_ITER (hh, g->all, c, next)
		drop(c);
	event_free(g->second);
	free(g);
}

const struct guard_counters *guard_counters(const struct guard *g)
{
	static const struct guard_counters none;

	return g ? &g->counters : &none;
}

size_t guard_count(const struct guard *g)
{
	return g ? HASH_COUNT(g->all) : 0;
}
