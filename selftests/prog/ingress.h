/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One packet from the underlay at both hooks, in IPv4 and in IPv6, with either
 * inside; and what "accepted", "refused" and "passed" look like at each.
 */
#ifndef DOVE_TEST_INGRESS_H
#define DOVE_TEST_INGRESS_H

#include "prog.h"

enum at { AT_TC, AT_XDP, AT_COUNT };

/* Where it arrives, and of which families it is: for (struct way w = {}; w.hook < AT_COUNT; way_next(&w)) */
struct way {
	enum at hook;
	enum family outer, inner;
};

void way_next(struct way *w);

/* begin(), with the way in the case's name; begin_hook(): the hook alone. */
void begin_way(const struct way *w, const char *name);
void begin_hook(enum at h, const char *name);

/* UDP from VM 2 to VM 3, 82 bytes of IPv4 or 102 of IPv6; and any such frame as host 2 sends it, under POLICY at
 * REVISION. */
struct vm_frame udp_from_vm2(enum family inner);
struct frame the_inner(enum family inner);
struct frame wrap(enum family outer, const struct frame *inner);
/* the_inner() as wrapped, with another sequence. */
struct frame wrap_sent_at(const struct way *w, uint64_t sequence);

/* Make the outer lengths right again, save that the last `trailer` bytes lie behind the packet. */
void frame_lengths_outer(struct frame *f, enum family outer, size_t trailer);

struct run arrive(enum at h, const struct frame *f);

/* take_meta() - TEST_RUN gives an XDP program's metadata and frame in one piece: the frame. */
struct frame take_meta(const struct frame *out, struct dove_meta *meta);

/* A change of the_inner() as wrapped, at an offset of struct outer_bytes. */
enum {
	EDIT_CHECKSUM = 1, /* then the outer IP checksum is made right again */
	EDIT_OUTER6 = 2,   /* the offset is one of struct outer6_bytes */
};

struct edit {
	const char *name;
	size_t at, size;
	uint32_t value;
	unsigned how;
};

struct frame edited(const struct way *w, const struct edit *edit);
struct run arrive_edited(const struct way *w, const struct edit *edit); /* a case of its own */

/*
 * TC: redirected, counted as delivered. XDP: passed, counted as stripped, with
 * metadata that names the port. Both: `inner` came out. At VM 3, or at another port.
 */
void expect_accepted(enum at h, const struct run *r, const struct frame *inner);
void expect_accepted_for(enum at h, const struct run *r, const struct frame *inner, uint32_t ifindex);
void expect_refused(enum at h, const struct run *r, enum dove_reason reason);
/* TC: counted as passed. XDP counts nothing, TC comes next. Both: the frame as it was. */
void expect_passed(enum at h, const struct run *r);
void expect_untouched_by_xdp(const struct run *r);

/* An event that tells of the_inner(), as wrapped. */
void expect_from_vm2(const struct way *w, const struct dove_event *e, bool processed);

#endif
