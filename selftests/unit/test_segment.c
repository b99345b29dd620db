// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "agent/segment.h"

#define HEADERS (14 + 20 + 32)
#define PAYLOAD 3333
#define SIZE 1000

static uint8_t whole[HEADERS + PAYLOAD];
static uint8_t got[PAYLOAD];
static size_t got_len;
static int packets;

static void build(uint8_t protocol)
{
	static const uint8_t
		head
			[] = {
				2,    0,    0, 0,    1,	   2,	 2,    0,    0,	 0, 1, 1, 8,	0, /* Ethernet */
				0x45, 0,    0, 0,    0x12, 0xfe, 0x40, 0,    64, 6, 0, 0, 10,	1,    0,
				11,   10,   1, 0,    12, /* IPv4, id 0x12fe */
				0x9c, 0x40, 1, 0xbb, 0xff, 0xff, 0xff, 0x00, 0,	 0, 0, 1, 0x80, 0x99, 1,
				1, /* TCP, seq near 2^32 */
			};

	memset(whole, 0, sizeof(whole));
	memcpy(whole, head, sizeof(head));
	whole[23] = protocol;
	for (int i = 0; i < PAYLOAD; i++)
		whole[HEADERS + i] = i * 7 + i / 256;
}

static uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

/* 0xffff over a header or over pseudo header and segment: the checksum in it is right. */
static uint16_t sum(const uint8_t *at, size_t len, uint32_t start)
{
	for (size_t i = 0; i < len; i++)
		start += i & 1 ? at[i] : at[i] << 8;
	while (start >> 16)
		start = (start & 0xffff) + (start >> 16);
	return start;
}

static void take(const void *packet, size_t len, void *arg)
{
	const uint8_t *p = packet;
	size_t headers = *(size_t *)arg;

	cr_assert_eq(get16(p + 16), len - 14, "IP length of packet %d", packets);
	cr_assert_eq(get16(p + 18), 0x12fe + packets, "IP id of packet %d", packets);
	cr_assert_eq(sum(p + 14, 20, 0), 0xffff, "IP checksum of packet %d", packets);
	cr_assert_eq(sum(p + 34, len - 34, sum(p + 26, 8, p[23] + len - 34)), 0xffff, "checksum of packet %d",
		     packets);
	if (p[23] == 6) {
		uint32_t seq = (uint32_t)get16(p + 38) << 16 | get16(p + 40);

		cr_assert_eq(seq, (uint32_t)(0xffffff00u + got_len), "sequence of packet %d", packets);
		cr_assert_eq(p[47],
			     packets == 0			  ? 0x90
			     : got_len + len - headers == PAYLOAD ? 0x19
								  : 0x10,
			     "flags of packet %d: %02x", packets, p[47]);
	} else {
		cr_assert_eq(get16(p + 38), len - 34, "UDP length of packet %d", packets);
	}
	memcpy(got + got_len, p + headers, len - headers);
	got_len += len - headers;
	packets++;
}

Test(segment, R11_tcp)
{
	size_t headers = HEADERS;

	build(6);
	cr_assert_eq(segment(whole, sizeof(whole), SIZE, take, &headers), 4);
	cr_assert_eq(packets, 4);
	cr_assert_eq(got_len, PAYLOAD);
	cr_assert_arr_eq(got, whole + HEADERS, PAYLOAD);
}

Test(segment, R11_udp)
{
	size_t headers = 14 + 20 + 8;

	build(17);
	cr_assert_eq(segment(whole, 14 + 20 + 8 + 2500, SIZE, take, &headers), 3);
	cr_assert_eq(got_len, 2500);
	cr_assert_arr_eq(got, whole + headers, 2500);
}

static void never(const void *packet, size_t len, void *arg)
{
	cr_assert_fail("a packet came out");
}

Test(segment, what_is_no_super_packet_is_refused)
{
	build(6);
	for (size_t len = 0; len <= HEADERS; len++)
		cr_assert_eq(segment(whole, len, SIZE, never, NULL), -EINVAL, "%zu bytes", len);
	cr_assert_eq(segment(whole, sizeof(whole), 0, never, NULL), -EINVAL);
	cr_assert_eq(segment(whole, sizeof(whole), 60000, never, NULL), -EINVAL);
	build(1);
	cr_assert_eq(segment(whole, sizeof(whole), SIZE, never, NULL), -EINVAL, "ICMP");
	build(6);
	whole[14] = 0x65;
	cr_assert_eq(segment(whole, sizeof(whole), SIZE, never, NULL), -EINVAL, "not IPv4");
	whole[14] = 0x41;
	cr_assert_eq(segment(whole, sizeof(whole), SIZE, never, NULL), -EINVAL, "header of 4 bytes");
	whole[14] = 0x45;
	whole[46] = 0x10;
	cr_assert_eq(segment(whole, sizeof(whole), SIZE, never, NULL), -EINVAL, "TCP header of 4 bytes");
}
