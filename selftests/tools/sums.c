// SPDX-License-Identifier: Apache-2.0
/*
 * sums DEV
 *
 * Verify the checksum of every IPv4 and IPv6 packet that comes in by DEV: the
 * IPv4 header's, and TCP's, UDP's, ICMP's. Where the kernel still has it undone
 * (CHECKSUM_PARTIAL, as the virtio header says) the field must hold the
 * pseudo-header's sum, and the place that it is to be filled in at be right.
 *
 * Prints "ready"; wrong ones as they come; at SIGINT or SIGTERM
 *   checked N, undone N, wrong N
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FRAME_MAX (65536 + 1024)
#define SHOWN_MAX 5

static volatile sig_atomic_t ended;

struct l4 {
	uint8_t proto;
	uint32_t at, len;
	uint32_t pseudo; /* sum of the addresses, the protocol and the length */
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void on_signal(int sig)
{
	(void)sig;
	ended = 1;
}

/* RFC 1071, not complemented. */
static uint32_t add(uint32_t sum, const uint8_t *at, uint32_t len)
{
	uint64_t wide = sum;

	for (uint32_t i = 0; i + 1 < len; i += 2)
		wide += at[i] << 8 | at[i + 1];
	if (len & 1)
		wide += at[len - 1] << 8;
	while (wide >> 16)
		wide = (wide & 0xffff) + (wide >> 16);
	return wide;
}

/* 0 and 0xffff are the same number. */
static bool equal(uint32_t a, uint32_t b)
{
	return a % 0xffff == b % 0xffff;
}

/* Where the checksum stands, -1 where there is none that we know. */
static int field_of(uint8_t proto)
{
	switch (proto) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 2;
	}
	return -1;
}

/* NULL and *l4 filled in, or what is wrong; l4->len 0: nothing further to check. */
static const char *parse(const uint8_t *frame, uint32_t len, struct l4 *l4)
{
	const uint8_t *ip = frame + ETH_HLEN;
	bool v4 = frame[12] == 0x08 && frame[13] == 0x00, v6 = frame[12] == 0x86 && frame[13] == 0xdd;
	uint32_t header, total, left = len - ETH_HLEN;

	*l4 = (struct l4){};
	if (!v4 && !v6)
		return NULL;
	header = v4 ? (ip[0] & 0xf) * 4 : sizeof(struct ip6_hdr);
	total = v4 ? (uint32_t)(ip[2] << 8 | ip[3]) : (ip[4] << 8 | ip[5]) + header;
	if (left < header || total > left)
		return "truncated";
	if (v4 && add(0, ip, header) != 0xffff)
		return "IPv4 header";
	if (v4 && (ip[6] & 0x3f || ip[7]))
		return NULL; /* a fragment */
	l4->proto = v4 ? ip[9] : ip[6];
	l4->at = ETH_HLEN + header;
	l4->len = (total > header ? total : left) - header;
	if (l4->proto != IPPROTO_ICMP)
		l4->pseudo = add(l4->proto + l4->len, v4 ? ip + 12 : ip + 8, v4 ? 8 : 32);
	return NULL;
}

static const char *verify(const uint8_t *frame, const struct virtio_net_hdr *h, const struct l4 *l4)
{
	int field = field_of(l4->proto);
	uint32_t now;

	if (field < 0 || l4->len < (uint32_t)field + 2)
		return NULL;
	now = frame[l4->at + field] << 8 | frame[l4->at + field + 1];
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (h->csum_start != l4->at || h->csum_offset != field)
			return "undone, at another place";
		return equal(now, l4->pseudo) ? NULL : "undone, pseudo-header";
	}
	if (h->gso_type != VIRTIO_NET_HDR_GSO_NONE)
		return "a super-packet whose checksum is done";
	if (l4->proto == IPPROTO_UDP && !now)
		return NULL;
	if (equal(add(l4->pseudo, frame + l4->at, l4->len), 0))
		return NULL;
	return h->flags & VIRTIO_NET_HDR_F_DATA_VALID ? "said to be verified, and wrong" : "done";
}

int main(int argc, char **argv)
{
	struct sockaddr_ll self = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) }, from;
	uint64_t checked = 0, undone = 0, wrong = 0;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1, room = 16 << 20;
	static uint8_t buf[FRAME_MAX];
	struct sigaction action = { .sa_handler = on_signal };

	if (argc != 2) {
		fprintf(stderr, "usage: sums DEV\n");
		return 2;
	}
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	self.sll_ifindex = if_nametoindex(argv[1]);
	if (fd < 0 || !self.sll_ifindex || setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&self, sizeof(self)))
		die(argv[1]);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	printf("ready\n");
	fflush(stdout);
	while (!ended) {
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, buf, sizeof(buf), 0, (struct sockaddr *)&from, &from_len);
		const uint8_t *frame = buf + sizeof(struct virtio_net_hdr);
		struct virtio_net_hdr h;
		const char *what;
		struct l4 l4;

		/* EINVAL: a super-packet of a kind that the header can't say. */
		if (n < 0 && errno != EINTR && errno != EINVAL)
			die("recvfrom");
		if (n < (ssize_t)(sizeof(h) + ETH_HLEN + sizeof(struct iphdr)) ||
		    from.sll_pkttype == PACKET_OUTGOING)
			continue;
		memcpy(&h, buf, sizeof(h));
		what = parse(frame, n - sizeof(h), &l4);
		if (!what && l4.len)
			what = verify(frame, &h, &l4);
		checked += l4.len > 0;
		undone += l4.len && h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
		wrong += what != NULL;
		if (what && wrong <= SHOWN_MAX)
			printf("wrong: %s: protocol %u, %zd bytes, flags %u, gso %u, start %u, offset %u\n",
			       what, l4.proto, n - sizeof(h), h.flags, h.gso_type, h.csum_start,
			       h.csum_offset);
	}
	printf("checked %lu, undone %lu, wrong %lu\n", (unsigned long)checked, (unsigned long)undone,
	       (unsigned long)wrong);
	return 0;
}
