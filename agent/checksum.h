/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DOVE_CHECKSUM_H
#define DOVE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/*
 * checksum_words() - RFC 1071: the folded, not inverted sum of 16-bit words in
 * network order, begun with `start`; an odd length is padded with zero.
 */
uint16_t checksum_words(const uint8_t *at, size_t len, uint32_t start);

/*
 * checksum_repair() - complete what the sender left to its NIC.
 *
 * A VM's packet comes up with only the pseudo header summed in its TCP or UDP
 * checksum (CHECKSUM_PARTIAL), and whoever sends it on from user space can't
 * leave the rest to offload any more. frame: Ethernet and IPv4, len bytes. A
 * checksum that is complete, or wrong in another way, stays as it is.
 */
void checksum_repair(void *frame, size_t len);

#endif
