// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "agent/checksum.h"

/* Ethernet, IPv4 10.1.0.11 -> 10.1.0.12, UDP 7 -> 9 with 5 bytes of payload (an odd length). */
static const uint8_t udp[] = {
	2,    0, 0, 0,	1, 2,  2,    0, 0,   0,	  1,   1,   8,	 0,			 /* Ethernet */
	0x45, 0, 0, 33, 0, 0,  0x40, 0, 64,  17,  0,   0,   10,	 1, 0, 11, 10, 1, 0, 12, /* IPv4 */
	0,    7, 0, 9,	0, 13, 0,    0, 'h', 'e', 'l', 'l', 'o',
};
#define UDP_SUM (14 + 20 + 6)

/* The whole sum over pseudo header and segment, as a receiver makes it: 0xffff when it is right. */
static uint16_t receiver_sum(const uint8_t *frame, size_t len)
{
	const uint8_t *ip = frame + 14;
	uint32_t l4_len = len - 34, sum = ip[9] + l4_len;

	for (int i = 12; i < 20; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	for (uint32_t i = 0; i < l4_len; i++)
		sum += i & 1 ? ip[20 + i] : ip[20 + i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void put_partial(uint8_t *frame, size_t len, size_t at)
{
	uint32_t sum;

	memset(frame + at, 0, 2);
	/* What the sender's kernel leaves there: the pseudo header's sum alone, not inverted. */
	sum = frame[14 + 9] + (len - 34);
	for (int i = 26; i < 34; i += 2)
		sum += frame[i] << 8 | frame[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	frame[at] = sum >> 8;
	frame[at + 1] = sum;
}

Test(checksum, R11_partial_udp_is_completed)
{
	uint8_t frame[sizeof(udp)];

	memcpy(frame, udp, sizeof(udp));
	put_partial(frame, sizeof(frame), UDP_SUM);
	cr_assert_neq(receiver_sum(frame, sizeof(frame)), 0xffff);
	checksum_repair(frame, sizeof(frame));
	cr_assert_eq(receiver_sum(frame, sizeof(frame)), 0xffff);
}

Test(checksum, R11_partial_tcp_is_completed)
{
	uint8_t frame[14 + 20 + 20 + 7];

	memcpy(frame, udp, 34);
	memset(frame + 34, 0x5a, sizeof(frame) - 34);
	frame[14 + 3] = sizeof(frame) - 14;
	frame[14 + 9] = 6;
	put_partial(frame, sizeof(frame), 34 + 16);
	checksum_repair(frame, sizeof(frame));
	cr_assert_eq(receiver_sum(frame, sizeof(frame)), 0xffff);
}

Test(checksum, a_complete_or_a_wrong_one_stays)
{
	uint8_t frame[sizeof(udp)], before[sizeof(udp)];

	memcpy(frame, udp, sizeof(udp));
	put_partial(frame, sizeof(frame), UDP_SUM);
	checksum_repair(frame, sizeof(frame));
	memcpy(before, frame, sizeof(frame));
	checksum_repair(frame, sizeof(frame));
	cr_assert_arr_eq(frame, before, sizeof(frame), "a complete checksum was changed");
	frame[UDP_SUM] ^= 0x40;
	memcpy(before, frame, sizeof(frame));
	checksum_repair(frame, sizeof(frame));
	cr_assert_arr_eq(frame, before, sizeof(frame), "corruption was covered up");
}

Test(checksum, what_is_not_whole_stays)
{
	uint8_t frame[sizeof(udp)], before[sizeof(udp)];

	for (size_t len = 0; len < sizeof(udp); len++) {
		memcpy(frame, udp, sizeof(udp));
		put_partial(frame, sizeof(frame), UDP_SUM);
		memcpy(before, frame, sizeof(frame));
		checksum_repair(frame, len);
		cr_assert_arr_eq(frame, before, sizeof(frame), "cut off after %zu bytes", len);
	}
	memcpy(frame, before, sizeof(frame));
	frame[14 + 6] |= 0x20; /* more fragments: the checksum covers what is elsewhere */
	memcpy(before, frame, sizeof(frame));
	checksum_repair(frame, sizeof(frame));
	cr_assert_arr_eq(frame, before, sizeof(frame), "a fragment was changed");
}
