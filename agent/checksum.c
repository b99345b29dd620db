// SPDX-License-Identifier: Apache-2.0
#include "checksum.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <stdint.h>
#include <string.h>

uint16_t checksum_words(const uint8_t *at, size_t len, uint32_t start)
{
	for (; len > 1; at += 2, len -= 2)
		start += at[0] << 8 | at[1];
	if (len)
		start += at[0] << 8;
	while (start >> 16)
		start = (start & 0xffff) + (start >> 16);
	return start;
}

static size_t checksum_offset(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	}
	return 0;
}

void checksum_repair(void *frame, size_t len)
{
	uint8_t *ip = (uint8_t *)frame + ETH_HLEN, *l4;
	size_t header, total, l4_len, at;
	uint16_t pseudo, found, full;

	if (len < ETH_HLEN + sizeof(struct iphdr) || ip[0] >> 4 != 4)
		return;
	header = (ip[0] & 0xf) * 4;
	total = ip[2] << 8 | ip[3];
	at = checksum_offset(ip[9]);
	/* A fragment's checksum covers what is not here. */
	if (!at || (ip[6] & 0x3f) || ip[7] || total > len - ETH_HLEN || total < header + at + 2)
		return;
	l4 = ip + header;
	l4_len = total - header;
	pseudo = checksum_words(ip + 12, 8, ip[9] + l4_len);
	found = l4[at] << 8 | l4[at + 1];
	if (found != pseudo)
		return;
	l4[at] = l4[at + 1] = 0;
	full = ~checksum_words(l4, l4_len, pseudo);
	if (!full)
		full = 0xffff;
	l4[at] = full >> 8;
	l4[at + 1] = full & 0xff;
}
