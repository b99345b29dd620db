// SPDX-License-Identifier: Apache-2.0
/*
 * datagram ADDR PORT HEX [COUNT [FROM]]: send these bytes by UDP to an IPv4
 * address, COUNT times; or once from each of COUNT addresses, from FROM on.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A socket with the address that is so many further on. */
static int from(const char *first, uint32_t by)
{
	struct sockaddr_in self = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (inet_pton(AF_INET, first, &self.sin_addr) != 1)
		return -1;
	self.sin_addr.s_addr = htonl(ntohl(self.sin_addr.s_addr) + by);
	return bind(fd, (struct sockaddr *)&self, sizeof(self)) ? -1 : fd;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	static uint8_t bytes[65536];
	size_t n = 0;
	int fd = socket(AF_INET, SOCK_DGRAM, 0), count = argc > 4 ? atoi(argv[4]) : 1;

	if (argc < 4 || argc > 6 || fd < 0 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: datagram ADDR PORT HEX [COUNT [FROM]]\n");
		return 2;
	}
	to.sin_port = htons(atoi(argv[2]));
	for (const char *at = argv[3]; at[0] && at[1] && n < sizeof(bytes); at += 2)
		if (sscanf(at, "%2hhx", &bytes[n++]) != 1)
			return 2;
	for (int i = 0; i < count; i++) {
		if (argc > 5) {
			close(fd);
			fd = from(argv[5], i);
		}
		if (fd < 0 || sendto(fd, bytes, n, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
			return perror("datagram"), 1;
	}
	return 0;
}
