/* SPDX-License-Identifier: Apache-2.0 */
/* What a sender is told of a packet of its own: ICMP errors, resets, the gateway's echo. */
#ifndef DOVE_TEST_ANSWERS_H
#define DOVE_TEST_ANSWERS_H

#include "prog.h"

enum told { TOLD_TOO_BIG, TOLD_EXPIRED, TOLD_HOST, TOLD_PORT, TOLD_PROHIBITED };

/*
 * The ICMP error (RFC 792, RFC 4443) about VM 1's frame, as it must look byte
 * by byte: from `speaker`, behind the MAC that the frame was sent to, and
 * quoting as much as RFC 1812 and RFC 4443 let it.
 */
struct frame icmp_error(const struct frame *of, enum told what, uint32_t mtu, const struct dove_ip *speaker);
/* expect_told() - that came out, for this reason, and the agent heard nothing of it. */
void expect_told(const struct run *r, enum dove_reason reason, enum told what, uint32_t mtu,
		 const struct dove_ip *speaker);

/*
 * The reset (RFC 9293, 3.10.7.1) that VM 1's segment brings forth, from whom
 * it was for: `len` is what the segment takes up in sequence numbers.
 */
struct frame tcp_reset(const struct vm_frame *of, uint32_t len);

#endif
