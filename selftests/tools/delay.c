// SPDX-License-Identifier: Apache-2.0
/*
 * delay PORT TO_ADDR TO_PORT MS: a TCP relay (IPv4) that hands what the other
 * end says on so much later. A process for each connection, until it ends.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHUNK 4096

struct chunk {
	struct chunk *next;
	uint64_t due; /* milliseconds */
	size_t len;   /* 0: the end */
	uint8_t data[CHUNK];
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ull + ts.tv_nsec / 1000000;
}

static int all_written(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n <= 0)
			return -1;
		data += n;
		len -= n;
	}
	return 0;
}

static void carry(int near, int far, uint64_t delay)
{
	struct chunk *first = NULL, **last = &first, *c;
	uint8_t buf[CHUNK];
	struct pollfd fds[2] = { { .fd = near, .events = POLLIN }, { .fd = far, .events = POLLIN } };

	for (;;) {
		uint64_t now = now_ms();
		ssize_t n;

		if (poll(fds, 2, !first ? -1 : first->due > now ? (int)(first->due - now) : 0) < 0)
			return;
		if (fds[0].revents) {
			n = read(near, buf, sizeof(buf));
			if (n <= 0 || all_written(far, buf, n))
				return;
		}
		if (fds[1].revents) {
			c = calloc(1, sizeof(*c));
			n = c ? read(far, c->data, sizeof(c->data)) : -1;
			if (n < 0)
				return;
			c->len = n;
			c->due = now_ms() + delay;
			*last = c;
			last = &c->next;
			if (!n)
				fds[1].fd = -1;
		}
		for (now = now_ms(); first && first->due <= now; free(c)) {
			c = first;
			if (!c->len || all_written(near, c->data, c->len))
				return;
			first = c->next;
			last = first ? last : &first;
		}
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in self = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (argc != 5 || inet_pton(AF_INET, argv[2], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: delay PORT TO_ADDR TO_PORT MS\n");
		return 2;
	}
	self.sin_port = htons(atoi(argv[1]));
	to.sin_port = htons(atoi(argv[3]));
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&self, sizeof(self)) || listen(listener, 64))
		return perror("delay"), 1;
	printf("listening\n");
	fflush(stdout);
	for (;;) {
		int near = accept(listener, NULL, NULL), far;

		if (near >= 0 && !fork()) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			close(listener);
			far = socket(AF_INET, SOCK_STREAM, 0);
			if (!connect(far, (struct sockaddr *)&to, sizeof(to)))
				carry(near, far, strtoull(argv[4], NULL, 10));
			return 0;
		}
		close(near);
	}
}
