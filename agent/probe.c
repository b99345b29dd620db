// SPDX-License-Identifier: Apache-2.0
#include "probe.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/if_ether.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uthash.h>

#include "events.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/rtnl.h"
#include "ports.h"

/* Asked so often; hanging after so many questions without an answer, which is within 0.9 s, and back after so many. */
#define ASK_MS 150
#define MISSES_MAX 5
#define PASSES_MIN 3
/* Who asks later than that is late himself. */
#define LATE_NS (ASK_MS * 3 / 2 * SECOND_NS / 1000)
/* Answers to so many questions back are heard: an appliance may have a queue. */
#define ANSWERS_LATE 8
/* An appliance that lets through so much from one question to the next does not hang, though it drops probes. */
#define BUSY_PACKETS 8

struct way {
	uint32_t in; /* key */
	struct probe_way at;
	struct probe_judged judged;
	uint64_t received; /* by the port that it leads out of, when a question had no answer; else 0 */
	bool asked, seen;
	UT_hash_handle hh;
};

struct probes {
	struct agent *agent;
	struct way *ways;
	int fd;
	uint64_t token, number; /* of the last question */
	uint64_t asked_at;
	struct event *tick;
	void (*changed)(void *arg);
	void *arg;
};

struct probe_frame {
	struct ether_header eth;
	union {
		struct dove_probe probe;
		struct ether_arp arp;
		uint8_t all[ETH_ZLEN - sizeof(struct ether_header)];
	};
} __attribute__((packed));

const char *probe_name(enum probe_state state)
{
	static const char *const names[] = {
		[PROBE_NONE] = "none",
		[PROBE_PASSING] = "passing",
		[PROBE_FAILED] = "failed",
	};

	return names[state];
}

bool probe_judge(struct probe_judged *j, bool excused)
{
	enum probe_state before = j->state;

	if (j->heard) {
		j->missed = 0;
		j->passed += j->passed < PASSES_MIN;
		if (j->passed == PASSES_MIN)
			j->state = PROBE_PASSING;
	} else {
		j->passed = 0;
		j->missed += !excused && j->missed < MISSES_MAX;
		if (j->missed == MISSES_MAX && j->state == PROBE_PASSING)
			j->state = PROBE_FAILED;
	}
	j->heard = false;
	return j->state != before;
}

static struct way *find(const struct probes *p, uint32_t in)
{
	struct way *w;

	HASH_FIND(hh, p->ways, &in, sizeof(in), w);
	return w;
}

static struct way *get(struct probes *p, uint32_t in)
{
	struct way *w = find(p, in);

	if (w)
		return w;
	w = calloc(1, sizeof(*w));
	if (!w)
		abort();
	w->in = in;
	HASH_ADD(hh, p->ways, in, sizeof(w->in), w);
	return w;
}

enum probe_state probes_state(const struct probes *p, uint32_t in)
{
	const struct way *w = find(p, in);

	return w ? w->judged.state : PROBE_NONE;
}

void probes_failed(struct probes *p, uint32_t in)
{
	get(p, in)->judged.state = PROBE_FAILED;
}

static bool asks(const struct way *w)
{
	static const struct ip_addr none;

	return !ip_equal(&w->at.asked, &none);
}

void probes_heard(struct probes *p, const struct dove_event *ev)
{
	struct way *w = find(p, ev->policy);

	if (!w || ev->source != w->at.out)
		return;
	if (asks(w) ? !ev->wanted : ev->wanted == p->token && p->number - ev->sequence < ANSWERS_LATE)
		w->judged.heard = true;
}

/* ---- asking ---- */

/*
 * A MAC of the port's own, which is one end of all probes through it: a bridge
 * between an appliance's ports learns each where it is, and floods no probe
 * once it has seen those of the other way. `side`: the other end, where there
 * is no other port.
 */
static void mac_of(uint32_t endpoint, bool side, uint8_t mac[ETH_ALEN])
{
	mac[0] = side ? 0x0a : DOVE_PROBE_MAC_0;
	mac[1] = DOVE_PROBE_MAC_1;
	memcpy(mac + 2, &endpoint, sizeof(endpoint));
}

/* Through one port both ends take turns to be the source. */
static void frame_through(const struct probes *p, const struct way *w, struct probe_frame *f)
{
	bool one = w->at.in == w->at.out, turn = one && p->number & 1;

	f->eth.ether_type = htons(DOVE_PROBE_PROTO);
	f->probe = (struct dove_probe){
		.magic = DOVE_PROBE_MAGIC, .endpoint = w->in, .number = p->number, .token = p->token
	};
	mac_of(w->at.in, turn, f->eth.ether_shost);
	mac_of(w->at.out, one && !turn, f->eth.ether_dhost);
}

/* From no address, as one asks before taking it (RFC 5227): who answers has nothing to learn from that. */
static void frame_asking(const struct way *w, struct probe_frame *f)
{
	f->eth.ether_type = htons(ETHERTYPE_ARP);
	f->arp.ea_hdr = (struct arphdr){ .ar_hrd = htons(ARPHRD_ETHER),
					 .ar_pro = htons(ETHERTYPE_IP),
					 .ar_hln = ETH_ALEN,
					 .ar_pln = 4,
					 .ar_op = htons(ARPOP_REQUEST) };
	mac_of(w->at.in, false, f->eth.ether_shost);
	memcpy(f->eth.ether_dhost, w->at.mac.b, ETH_ALEN);
	memcpy(f->arp.arp_sha, f->eth.ether_shost, ETH_ALEN);
	memcpy(f->arp.arp_tpa, w->at.asked.b + 12, 4);
}

/* Into the device, as what is delivered to the appliance is. */
static bool ask(const struct probes *p, const struct way *w)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = w->at.in_ifindex };
	struct probe_frame f = {};

	if (asks(w))
		frame_asking(w, &f);
	else
		frame_through(p, w, &f);
	to.sll_protocol = f.eth.ether_type;
	return sendto(p->fd, &f, sizeof(f), MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to)) == sizeof(f);
}

/* Looked at only where an answer is missing; of the first one nothing can be said yet. */
static bool is_busy(struct way *w)
{
	uint64_t before = w->received;
	struct rtnl_link link;

	w->received = 0;
	if (w->judged.heard || w->judged.state != PROBE_PASSING ||
	    rtnl_link_by_index(w->at.out_ifindex, &link))
		return false;
	w->received = link.received;
	return before && link.received - before >= BUSY_PACKETS;
}

/* By questions and not by time: who could not ask for a while has heard nothing, and knows nothing. */
static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct probes *p = arg;
	uint64_t now = clock_now();
	bool late = now - p->asked_at > LATE_NS, changed = false;
	struct way *w, *tmp;

	events_take(p->agent->events);
	p->asked_at = now;
	p->number++;
	HASH_ITER (hh, p->ways, w, tmp) {
		enum probe_state before = w->judged.state;
		bool busy;

		if (!w->seen)
			continue;
		busy = is_busy(w);

		/* That something passes for the first time is news to nobody. */
		if (probe_judge(&w->judged, late || busy || !w->asked) && before != PROBE_NONE) {
			changed = true;
			ports_probed(p->agent->ports, w->in);
		}
		w->asked = ask(p, w);
	}
	if (changed)
		p->changed(p->arg);
}

/* Of one that is asked for another address than before nothing is known. */
static void way_set(struct probes *p, const struct probe_way *at)
{
	struct way *w = get(p, at->in);
	bool other = w->at.in && !ip_equal(&w->at.asked, &at->asked);
	bool failed = other && w->judged.state == PROBE_FAILED;

	w->at = *at;
	w->seen = true;
	if (other)
		w->judged = (struct probe_judged){};
	if (failed)
		ports_probed(p->agent->ports, w->in);
}

static void way_forget(struct probes *p, struct way *w)
{
	bool failed = w->judged.state == PROBE_FAILED;

	HASH_DEL(p->ways, w);
	if (failed) /* nobody says so any more */
		ports_probed(p->agent->ports, w->in);
	free(w);
}

void probes_watch(struct probes *p, const struct probe_way *ways, int n)
{
	struct timeval tick = { .tv_usec = ASK_MS * 1000 };
	struct way *w, *tmp;

	HASH_ITER (hh, p->ways, w, tmp)
		w->seen = false;
	for (int i = 0; i < n; i++) {
		if (!ways[i].off)
			way_set(p, &ways[i]);
		else if ((w = find(p, ways[i].in)))
			way_forget(p, w);
	}
	HASH_ITER (hh, p->ways, w, tmp) {
		if (w->seen)
			continue;
		if (w->judged.state == PROBE_FAILED && ports_vnid(p->agent->ports, w->in))
			w->asked = false;
		else
			way_forget(p, w);
	}
	if (!p->ways)
		event_del(p->tick);
	else if (p->fd >= 0 && !event_pending(p->tick, EV_TIMEOUT, NULL))
		event_add(p->tick, &tick);
}

int probes_open(struct agent *a, void (*changed)(void *arg), void *arg, struct probes **out,
		struct error *err)
{
	struct probes *p = calloc(1, sizeof(*p));

	if (!p)
		return error_set(err, -ENOMEM, "out of memory");
	*p = (struct probes){ .agent = a, .changed = changed, .arg = arg };
	if (getrandom(&p->token, sizeof(p->token), 0) != sizeof(p->token)) {
		free(p);
		return error_set(err, -errno, "random numbers: %m");
	}
	/* Of protocol 0: it only sends. */
	p->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->fd < 0)
		log_warn("no packet socket: %s; appliances that hang are not noticed", strerror(errno));
	p->tick = event_new(a->base, -1, EV_PERSIST, on_tick, p);
	*out = p;
	return 0;
}

void probes_close(struct probes *p)
{
	struct way *w, *tmp;

	if (!p)
		return;
	HASH_ITER (hh, p->ways, w, tmp) {
		HASH_DEL(p->ways, w);
		free(w);
	}
	event_free(p->tick);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}
