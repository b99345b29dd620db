/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DOVE_SEGMENT_H
#define DOVE_SEGMENT_H

#include <stddef.h>

/*
 * segment() - cut a super-packet into the packets that it stands for.
 *
 * A VM's kernel hands over up to 64 KiB at once and leaves the cutting to its
 * NIC (GSO); a packet that waited here has no NIC to leave it to. frame:
 * Ethernet, IPv4 and TCP or UDP, len bytes; size: payload of each packet
 * (skb's gso_size). `each` gets them in order, with lengths, sequence numbers,
 * flags and checksums as the kernel's segmentation would write them
 * (RFC 9293, 3.1; linux tcp_gso_segment()). Returns how many, or -EINVAL when
 * the frame is no such super-packet.
 */
int segment(const void *frame, size_t len, size_t size,
	    void (*each)(const void *packet, size_t len, void *arg), void *arg);

#endif
