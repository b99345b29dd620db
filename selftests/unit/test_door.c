// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "loader/door.h"

#define BEFORE 14

/* Ethernet, IPv4 10.1.0.11 -> 10.1.0.12, UDP 7 -> 9 with 5 bytes of payload. */
static const uint8_t udp4[] = {
	2,    0, 0, 0,	1, 2,  2,    0, 0,   0,	  1,   1,   8,	 0,			 /* Ethernet */
	0x45, 0, 0, 33, 0, 0,  0x40, 0, 64,  17,  0,   0,   10,	 1, 0, 11, 10, 1, 0, 12, /* IPv4 */
	0,    7, 0, 9,	0, 13, 0,    0, 'h', 'e', 'l', 'l', 'o',
};

/* The same over IPv6, fd00::11 -> fd00::12. */
static const uint8_t udp6[] = {
	2,    0, 0, 0, 1, 2,  2,  0,  0,    0, 1, 1, 0x86, 0xdd, /* Ethernet */
	0x60, 0, 0, 0, 0, 13, 17, 64,				 /* IPv6 */
	0xfd, 0, 0, 0, 0, 0,  0,  0,  0,    0, 0, 0, 0,	   0,	 0,  0x11, 0xfd, 0,   0,   0,	0,   0,	  0,
	0,    0, 0, 0, 0, 0,  0,  0,  0x12, 0, 7, 0, 9,	   0,	 13, 0,	   0,	 'h', 'e', 'l', 'l', 'o',
};

static uint32_t sum(const uint8_t *at, int n, uint32_t from)
{
	for (int i = 0; i < n; i += 2)
		from += at[i] << 8 | at[i + 1];
	return from;
}

/* What a sender's kernel leaves in the field of an offloaded checksum: the pseudo header's sum, not inverted. */
static void put_partial(uint8_t *frame, size_t len, size_t l4, size_t field)
{
	uint8_t proto = l4 == 34 ? frame[23] : frame[20];
	uint32_t total = l4 == 34 ? sum(frame + 26, 8, proto + len - l4)
				  : sum(frame + 22, 32, proto + len - l4);

	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	frame[l4 + field] = total >> 8;
	frame[l4 + field + 1] = total;
}

static void is_plain(const uint8_t *frame, size_t len, const char *what)
{
	struct virtio_net_hdr hdr = door_describe(frame, len, 0, BEFORE);

	cr_assert_eq(hdr.flags, 0, "%s: flags %u", what, hdr.flags);
	cr_assert_eq(hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE, "%s", what);
}

Test(door, R11_partial_checksum_is_named)
{
	uint8_t four[sizeof(udp4)], six[sizeof(udp6)];
	struct virtio_net_hdr hdr;

	memcpy(four, udp4, sizeof(four));
	put_partial(four, sizeof(four), 34, 6);
	hdr = door_describe(four, sizeof(four), 0, BEFORE);
	cr_assert_eq(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	cr_assert_eq(hdr.csum_start, BEFORE + 34);
	cr_assert_eq(hdr.csum_offset, 6);
	memcpy(six, udp6, sizeof(six));
	put_partial(six, sizeof(six), 54, 6);
	hdr = door_describe(six, sizeof(six), 0, BEFORE);
	cr_assert_eq(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	cr_assert_eq(hdr.csum_start, BEFORE + 54);
}

Test(door, padding_is_no_part_of_the_packet)
{
	uint8_t frame[sizeof(udp4) + 7] = {};

	memcpy(frame, udp4, sizeof(udp4));
	put_partial(frame, sizeof(udp4), 34, 6);
	cr_assert_eq(door_describe(frame, sizeof(frame), 0, BEFORE).flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
}

Test(door, a_complete_or_a_wrong_checksum_stays)
{
	uint8_t frame[sizeof(udp4)];

	memcpy(frame, udp4, sizeof(frame));
	is_plain(frame, sizeof(frame), "none at all");
	put_partial(frame, sizeof(frame), 34, 6);
	frame[34 + 6] ^= 0x40;
	is_plain(frame, sizeof(frame), "corrupted");
}

Test(door, what_is_not_whole_stays)
{
	uint8_t frame[sizeof(udp6)];

	for (size_t len = 0; len < sizeof(udp4) - 5; len++) {
		memcpy(frame, udp4, sizeof(udp4));
		put_partial(frame, sizeof(udp4), 34, 6);
		is_plain(frame, len, "cut off");
	}
	memcpy(frame, udp4, sizeof(udp4));
	frame[14 + 6] |= 0x20; /* more fragments: the checksum covers what is elsewhere */
	put_partial(frame, sizeof(udp4), 34, 6);
	is_plain(frame, sizeof(udp4), "fragment");
}

Test(door, R11_super_packet_is_described)
{
	static uint8_t frame[54 + 20 + 4000];
	struct virtio_net_hdr hdr;

	memcpy(frame, udp6, 54);
	frame[18] = (20 + 4000) >> 8;
	frame[19] = (20 + 4000) & 0xff;
	frame[20] = 6;
	frame[54 + 12] = 5 << 4;
	hdr = door_describe(frame, sizeof(frame), 1400, BEFORE);
	cr_assert_eq(hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV6);
	cr_assert_eq(hdr.gso_size, 1400);
	cr_assert_eq(hdr.hdr_len, BEFORE + 54 + 20);
	cr_assert_eq(hdr.csum_start, BEFORE + 54);
	cr_assert_eq(hdr.csum_offset, 16);
	frame[54 + 13] = 0x80; /* CWR: only the first of the segments says so */
	cr_assert_eq(door_describe(frame, sizeof(frame), 1400, BEFORE).gso_type,
		     VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN);
}
