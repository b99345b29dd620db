/* SPDX-License-Identifier: Apache-2.0 */
/* Flows that are remembered for their replies, in dove_flows. */
#ifndef DOVE_TEST_FLOWS_H
#define DOVE_TEST_FLOWS_H

#include "prog.h"

/* The entry for replies of `replier` to this packet. */
struct dove_flow_key flow_of(const struct vm_frame *v, uint32_t replier);
/* The one under which VM 1 may send this packet, as if it had been let through by POLICY at REVISION, seen `ago`. */
struct dove_flow_key flow_for(const struct vm_frame *reply);
void flow_put(const struct dove_flow_key *key, uint64_t ago);
/* expect_flow() - it is remembered, since just now, as of POLICY at REVISION in BLUE. */
void expect_flow(const struct dove_flow_key *key, uint32_t peer);
void expect_no_flow(void);

#endif
