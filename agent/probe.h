/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Do the appliances of this host let anything through? A process may hang while
 * its device is as it was. So a small frame goes into each of their ports (struct
 * dove_probe), and comes out of the other one, or of the same where there is
 * one; by the event DOVE_EVENT_PROBE it is heard of. What never came out says
 * nothing: an appliance need not know the frame's protocol.
 */
#ifndef DOVE_AGENT_PROBE_H
#define DOVE_AGENT_PROBE_H

#include "agent.h"

enum probe_state {
	PROBE_NONE, /* nothing has come through yet, or the appliance is not probed */
	PROBE_PASSING,
	PROBE_FAILED, /* what came through does not any more */
};

/* What is known of one way into an appliance; all zero: nothing. */
struct probe_judged {
	enum probe_state state;
	int passed, missed; /* in a row, up to what matters */
	bool heard;	    /* since the last time of judging: set by whoever hears */
};

/*
 * probe_judge() - the time of the next question has come; true: the state is another now.
 *
 * excused: that nothing was heard is no sign: the question did not go out, or who asks was late himself, or other
 * packets came out.
 */
bool probe_judge(struct probe_judged *j, bool excused);

struct probes;

/*
 * A way into an appliance: a port's endpoint and device, and those of the port that it leads out of. A router does not
 * let the frame through: it is asked for its own address, by ARP, and answers by the same port.
 */
struct probe_way {
	uint32_t in, out;
	int in_ifindex, out_ifindex;
	struct ip_addr asked; /* IPv4; all zero: a frame goes through */
	struct mac_addr mac;  /* whose that is */
	bool off;	      /* nothing is to be asked, and what was known is to be forgotten; all but `in` is nothing */
};

/* probes_open() - `changed` is called when an appliance hangs, or does not any more. */
int probes_open(struct agent *a, void (*changed)(void *arg), void *arg, struct probes **out,
		struct error *err);
void probes_close(struct probes *p);

/*
 * probes_watch() - from now on these ways, and no others; what is known of those of before stays. One that has failed
 * is remembered as long as its port is there: that its device had no carrier meanwhile is no sign of health.
 */
void probes_watch(struct probes *p, const struct probe_way *ways, int n);

/* probes_heard() - the programs have seen a probe: an event of DOVE_EVENT_PROBE. */
void probes_heard(struct probes *p, const struct dove_event *ev);

/* probes_state() - of the way into a port, by its endpoint. */
enum probe_state probes_state(const struct probes *p, uint32_t in);

/* probes_failed() - an earlier agent has seen this way fail: it does until something comes through. */
void probes_failed(struct probes *p, uint32_t in);

/* probe_name() - "none", "passing", "failed". */
const char *probe_name(enum probe_state state);

#endif
