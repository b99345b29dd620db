/* SPDX-License-Identifier: Apache-2.0 */
/* What those who write packets themselves, here and in bench/, have in common. */
#ifndef DOVE_TOOLS_IP_H
#define DOVE_TOOLS_IP_H

#include <stdint.h>
#include <string.h>

/* ip_sum() - the checksum of an IPv4 header without options, whose own field is 0. */
static inline uint16_t ip_sum(const void *header)
{
	uint16_t words[10];
	uint32_t sum = 0;

	memcpy(words, header, sizeof(words));
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

#endif
