// SPDX-License-Identifier: Apache-2.0
#include "alive.h"

#include <errno.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uthash.h>

#include "lib/log.h"
#include "underlay.h"

/* Asked so often, and dead after so many questions without an answer: within 0.8 s. */
#define ASK_MS 150
#define MISSES_MAX 5

struct asked {
	struct ip_addr addr; /* key */
	int misses;
	bool answered, dead, seen;
	UT_hash_handle hh;
};

struct alive {
	struct agent *agent;
	struct asked *hosts;
	int fd4, fd6;
	uint16_t ident;
	struct event *tick, *readable4, *readable6;
	void (*changed)(void *arg);
	void *arg;
};

struct echo {
	uint8_t type, code;
	uint16_t check, ident, sequence;
};

static struct asked *find(const struct alive *l, const struct ip_addr *addr)
{
	struct asked *h;

	HASH_FIND(hh, l->hosts, addr, sizeof(*addr), h);
	return h;
}

bool alive_is(const struct alive *l, const struct ip_addr *addr)
{
	const struct asked *h = find(l, addr);

	return !h || !h->dead;
}

static void answered(struct alive *l, const struct ip_addr *addr)
{
	struct asked *h = find(l, addr);

	if (!h)
		return;
	h->misses = 0;
	h->answered = true;
	if (!h->dead)
		return;
	h->dead = false;
	log_info("host %s answers again", underlay_name(l->agent->underlay, addr));
	l->changed(l->arg);
}

/* ---- asking ---- */

/* RFC 1071. ICMPv6's is the kernel's, for it has the addresses. */
static uint16_t checksum(const struct echo *e)
{
	uint32_t sum = (uint32_t)(e->type | e->code << 8) + e->ident + e->sequence;

	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

static void ask(struct alive *l, const struct asked *h)
{
	bool v4 = ip_is_v4(&h->addr);
	struct echo e = { .type = v4 ? ICMP_ECHO : ICMP6_ECHO_REQUEST, .ident = l->ident };
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };

	if (v4) {
		e.check = checksum(&e);
		memcpy(&to4.sin_addr, h->addr.b + 12, sizeof(to4.sin_addr));
		sendto(l->fd4, &e, sizeof(e), MSG_DONTWAIT, (struct sockaddr *)&to4, sizeof(to4));
	} else {
		memcpy(&to6.sin6_addr, h->addr.b, sizeof(to6.sin6_addr));
		sendto(l->fd6, &e, sizeof(e), MSG_DONTWAIT, (struct sockaddr *)&to6, sizeof(to6));
	}
}

/* ---- answers: a raw socket sees all of the host's ---- */

static void take4(struct alive *l)
{
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	uint8_t buf[128];
	ssize_t n;

	while ((n = recvfrom(l->fd4, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from, &len)) >= 0) {
		size_t at = n ? (buf[0] & 0xf) * 4u : 0;
		struct ip_addr addr = { .b = { [10] = 0xff, [11] = 0xff } };
		struct echo e;

		len = sizeof(from);
		if (at < sizeof(struct iphdr) || at + sizeof(e) > (size_t)n)
			continue;
		memcpy(&e, buf + at, sizeof(e));
		memcpy(addr.b + 12, &from.sin_addr, 4);
		if (e.type == ICMP_ECHOREPLY && e.ident == l->ident)
			answered(l, &addr);
	}
}

static void take6(struct alive *l)
{
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	uint8_t buf[128];
	ssize_t n;

	while ((n = recvfrom(l->fd6, buf, sizeof(buf), MSG_DONTWAIT, (struct sockaddr *)&from, &len)) >= 0) {
		struct ip_addr addr;
		struct echo e;

		len = sizeof(from);
		if ((size_t)n < sizeof(e))
			continue;
		memcpy(&e, buf, sizeof(e));
		memcpy(addr.b, &from.sin6_addr, sizeof(addr.b));
		if (e.type == ICMP6_ECHO_REPLY && e.ident == l->ident)
			answered(l, &addr);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct alive *l = arg;

	if (fd == l->fd4)
		take4(l);
	else
		take6(l);
}

/* By questions and not by time: who could not ask for a while has heard nothing, and knows nothing. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct alive *l = arg;
	struct asked *h, *tmp;
	bool changed = false;

	take4(l);
	take6(l);
	HASH_ITER (hh, l->hosts, h, tmp) {
		if (h->answered && !h->dead && h->misses >= MISSES_MAX) {
			h->dead = changed = true;
			log_warn("host %s does not answer: its appliances are left",
				 underlay_name(l->agent->underlay, &h->addr));
		}
		h->misses++;
		ask(l, h);
	}
	if (changed)
		l->changed(l->arg);
}

void alive_watch(struct alive *l, const struct ip_addr *addrs, int n)
{
	struct asked *h, *tmp;

	HASH_ITER (hh, l->hosts, h, tmp)
		h->seen = false;
	for (int i = 0; i < n; i++) {
		h = find(l, &addrs[i]);
		if (!h) {
			h = calloc(1, sizeof(*h));
			if (!h)
				abort();
			h->addr = addrs[i];
			HASH_ADD(hh, l->hosts, addr, sizeof(h->addr), h);
		}
		h->seen = true;
	}
	HASH_ITER (hh, l->hosts, h, tmp)
		if (!h->seen) {
			HASH_DEL(l->hosts, h);
			free(h);
		}
	if (!l->hosts)
		evtimer_del(l->tick);
	else if (!evtimer_pending(l->tick, NULL))
		event_add(l->tick, &(struct timeval){ .tv_usec = ASK_MS * 1000 });
}

static struct event *listen_at(struct alive *l, int fd)
{
	struct event *ev = event_new(l->agent->base, fd, EV_READ | EV_PERSIST, on_readable, l);

	event_add(ev, NULL);
	return ev;
}

int alive_open(struct agent *a, void (*changed)(void *arg), void *arg, struct alive **out, struct error *err)
{
	struct icmp_filter replies4 = { .data = ~(1u << ICMP_ECHOREPLY) };
	struct icmp6_filter replies6;
	struct alive *l = calloc(1, sizeof(*l));

	if (!l)
		return error_set(err, -ENOMEM, "out of memory");
	*l = (struct alive){ .agent = a, .changed = changed, .arg = arg, .ident = getpid() };
	l->fd4 = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
	l->fd6 = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMPV6);
	if (l->fd4 < 0)
		log_warn("no raw socket for ICMP: %s; hosts of appliances count as there", strerror(errno));
	ICMP6_FILTER_SETBLOCKALL(&replies6);
	ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &replies6);
	if (l->fd6 >= 0) { /* a kernel may have no IPv6 */
		setsockopt(l->fd6, IPPROTO_ICMPV6, ICMP6_FILTER, &replies6, sizeof(replies6));
		l->readable6 = listen_at(l, l->fd6);
	}
	if (l->fd4 >= 0) {
		setsockopt(l->fd4, SOL_RAW, ICMP_FILTER, &replies4, sizeof(replies4));
		l->readable4 = listen_at(l, l->fd4);
	}
	l->tick = event_new(a->base, -1, EV_PERSIST, on_tick, l);
	*out = l;
	return 0;
}

void alive_close(struct alive *l)
{
	if (!l)
		return;
	alive_watch(l, NULL, 0);
	event_free(l->tick);
	if (l->readable4)
		event_free(l->readable4);
	if (l->readable6)
		event_free(l->readable6);
	if (l->fd4 >= 0)
		close(l->fd4);
	if (l->fd6 >= 0)
		close(l->fd6);
	free(l);
}
