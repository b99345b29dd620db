/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's own device: frames with a struct dove_door before them. */
#ifndef DOVE_TEST_DOOR_H
#define DOVE_TEST_DOOR_H

#include "prog.h"

/* What the agent writes: whose it is, which way it goes, the frame. */
struct frame behind_door(uint16_t way, uint32_t ifindex, const struct frame *f);
/* run_door() - dove_door on that; the run's `in` is the frame without what stands before it, as it is counted. */
struct run run_door(uint16_t way, uint32_t ifindex, const struct frame *f);
/* expect_door_reason() - what the agent reads of the last of them. */
void expect_door_reason(enum dove_reason reason);

#endif
