// SPDX-License-Identifier: Apache-2.0
/*
 * frame DEV COUNT HEX [OFFSET]: send one Ethernet frame, given in hex (blanks
 * are allowed), COUNT times out of DEV. With OFFSET the 16 bits there count up
 * from frame to frame. For tests that must send what a well-behaved stack
 * would not.
 */
#include <ctype.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static int hex(char c)
{
	return isdigit(c) ? c - '0' : tolower(c) - 'a' + 10;
}

int main(int argc, char **argv)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_halen = 6 };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), half = -1;
	uint8_t frame[2048];
	size_t len = 0, at = argc > 4 ? atoi(argv[4]) : 0;

	if (argc < 4 || argc > 5) {
		fprintf(stderr, "usage: frame DEV COUNT HEX [OFFSET]\n");
		return 2;
	}
	for (const char *c = argv[3]; *c && len < sizeof(frame); c++) {
		if (!isxdigit((unsigned char)*c))
			continue;
		if (half < 0) {
			half = hex(*c);
			continue;
		}
		frame[len++] = half << 4 | hex(*c);
		half = -1;
	}
	to.sll_ifindex = if_nametoindex(argv[1]);
	for (int i = atoi(argv[2]); i > 0; i--) {
		if (at && at + 2 <= len && !++frame[at + 1])
			frame[at]++;
		if (sendto(fd, frame, len, 0, (struct sockaddr *)&to, sizeof(to)) != (ssize_t)len) {
			perror(argv[1]);
			return 1;
		}
	}
	return 0;
}
