/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One packet from the underlay at both hooks, and what "accepted", "refused"
 * and "passed" look like at each.
 */
#ifndef DOVE_TEST_INGRESS_H
#define DOVE_TEST_INGRESS_H

#include "prog.h"

enum at { AT_TC, AT_XDP, AT_COUNT };

/* begin(), with the hook in the case's name. */
void begin_hook(enum at h, const char *name);

/* UDP from VM 2 to VM 3, 82 bytes; and any such frame as host 2 sends it, under POLICY at REVISION. */
struct frame the_inner(void);
struct frame wrap(const struct frame *inner);

struct run arrive(enum at h, const struct frame *f);

/* A change of the_inner() as wrapped; EDIT_CHECKSUM makes the outer IP checksum right again. */
#define EDIT_CHECKSUM true
struct edit {
	const char *name;
	size_t at, size;
	uint32_t value;
	bool checksum;
};

struct frame edited(const struct edit *edit);
struct run arrive_edited(enum at h, const struct edit *edit); /* a case of its own */

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
void expect_from_vm2(const struct dove_event *e, bool processed);

#endif
