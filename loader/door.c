// SPDX-License-Identifier: Apache-2.0
#include "door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "rtnl.h"
#include <linux/bpf.h>

#include "maps/maps.h"
#include "maps/wire.h"

/* Of headers newer than Debian 12's. */
#define GSO_UDP_L4 5 /* VIRTIO_NET_HDR_GSO_UDP_L4 */

#define TCP_CWR 0x80
#define EXTENSIONS_MAX 8

/* ---- offloads ---- */

struct segment {
	size_t l3, l4; /* where the headers begin */
	size_t end;    /* of the packet; Ethernet may have padded it */
	uint8_t proto;
	bool v6, fragment;
};

static uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static bool is_extension(uint8_t next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_FRAGMENT;
}

static bool parse6(const uint8_t *frame, size_t len, struct segment *s)
{
	if (len < s->l3 + 40)
		return false;
	s->proto = frame[s->l3 + 6];
	s->l4 = s->l3 + 40;
	s->end = s->l4 + get16(frame + s->l3 + 4);
	for (int i = 0; i < EXTENSIONS_MAX && is_extension(s->proto); i++) {
		if (len < s->l4 + 8)
			return false;
		s->fragment |= s->proto == IPPROTO_FRAGMENT;
		s->proto = frame[s->l4];
		s->l4 += s->fragment ? 8 : 8 + frame[s->l4 + 1] * 8;
	}
	return true;
}

static bool parse4(const uint8_t *frame, size_t len, struct segment *s)
{
	if (len < s->l3 + 20)
		return false;
	s->proto = frame[s->l3 + 9];
	s->l4 = s->l3 + (frame[s->l3] & 0xf) * 4;
	s->end = s->l3 + get16(frame + s->l3 + 2);
	s->fragment = get16(frame + s->l3 + 6) & 0x3fff;
	return s->l4 >= s->l3 + 20;
}

/* The header behind that of IP, options and all, where it is one that has a checksum to be made. */
static size_t l4_header(const uint8_t *frame, const struct segment *s)
{
	return s->proto == IPPROTO_TCP ? (frame[s->l4 + 12] >> 4) * 4 : 8;
}

static bool parse(const uint8_t *frame, size_t len, struct segment *s)
{
	*s = (struct segment){ .l3 = ETH_HLEN };
	if (len < ETH_HLEN)
		return false;
	s->v6 = get16(frame + 12) == ETH_P_IPV6;
	if (s->v6 ? !parse6(frame, len, s) : get16(frame + 12) != ETH_P_IP || !parse4(frame, len, s))
		return false;
	if (s->end > len ||
	    s->end == s->l3 + (s->v6 ? 40 : 0)) /* a super-packet that its field can't count */
		s->end = len;
	if (s->l4 + (s->proto == IPPROTO_TCP ? 20 : 8) > s->end)
		return false;
	return s->proto != IPPROTO_TCP ||
	       (l4_header(frame, s) >= 20 && s->l4 + l4_header(frame, s) <= s->end);
}

static uint32_t sum(const uint8_t *at, size_t len, uint32_t from)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		from += get16(at + i);
	return from;
}

static uint16_t fold(uint32_t total)
{
	total = (total & 0xffff) + (total >> 16);
	return (total & 0xffff) + (total >> 16);
}

/* RFC 9293, 3.1; RFC 8200, 8.1: the sum over what stands for the IP header. */
static uint16_t pseudo_sum(const uint8_t *frame, const struct segment *s)
{
	size_t l4_len = s->end - s->l4;
	uint32_t from = s->proto + (l4_len & 0xffff) + (l4_len >> 16);

	return fold(s->v6 ? sum(frame + s->l3 + 8, 32, from) : sum(frame + s->l3 + 12, 8, from));
}

static uint8_t gso_type(const uint8_t *frame, const struct segment *s)
{
	if (s->proto == IPPROTO_UDP)
		return GSO_UDP_L4;
	return (s->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4) |
	       (frame[s->l4 + 13] & TCP_CWR ? VIRTIO_NET_HDR_GSO_ECN : 0);
}

struct virtio_net_hdr door_describe(const uint8_t *frame, size_t len, uint32_t gso_size, uint16_t before)
{
	struct virtio_net_hdr hdr = {};
	struct segment s;
	size_t at;

	if (!parse(frame, len, &s) || s.fragment || (s.proto != IPPROTO_TCP && s.proto != IPPROTO_UDP))
		return hdr;
	at = s.proto == IPPROTO_TCP ? 16 : 6;
	if (!gso_size && get16(frame + s.l4 + at) != pseudo_sum(frame, &s))
		return hdr;
	hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	hdr.csum_start = before + s.l4;
	hdr.csum_offset = at;
	if (gso_size) {
		hdr.gso_type = gso_type(frame, &s);
		hdr.gso_size = gso_size;
		hdr.hdr_len = before + s.l4 + l4_header(frame, &s);
	}
	return hdr;
}

/* ---- the device ---- */

static int device_up(const char *name)
{
	_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {};

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		return -errno;
	ifr.ifr_flags |= IFF_UP | IFF_NOARP;
	return ioctl(fd, SIOCSIFFLAGS, &ifr) ? -errno : 0;
}

int door_open(int *ifindex, struct error *err)
{
	struct ifreq ifr = { .ifr_name = "dove-door%d", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	_close_ int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int rc;

	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
		return error_set(err, -errno, "/dev/net/tun: making the agent's device: %m");
	*ifindex = if_nametoindex(ifr.ifr_name);
	rc = rtnl_link_no_addresses(*ifindex);
	if (!rc)
		rc = device_up(ifr.ifr_name);
	if (rc)
		return error_set(err, rc, "%s: %s", ifr.ifr_name, strerror(-rc));
	return take_fd(fd);
}

int door_write(int fd, uint16_t way, uint32_t ifindex, const void *frame, size_t len, uint32_t gso_size)
{
	struct dove_door door = { .magic = DOVE_DOOR_MAGIC, .ifindex = ifindex, .way = way };
	bool v6 = len >= ETH_HLEN && get16((const uint8_t *)frame + 12) == ETH_P_IPV6;
	/* Of what came from the underlay it is the frame inside that has offloads. */
	size_t outer = way != DOVE_DOOR_RECEIVED ? 0 : v6 ? DOVE_OVERHEAD_V6 : DOVE_OVERHEAD_V4;
	struct virtio_net_hdr hdr;
	struct iovec parts[] = { { &hdr, sizeof(hdr) }, { &door, sizeof(door) }, { (void *)frame, len } };

	if (len < outer + ETH_HLEN)
		return -EINVAL;
	hdr = door_describe((const uint8_t *)frame + outer, len - outer, gso_size, sizeof(door) + outer);
	/* What is neither family gets a header of the one: only its own program looks at it. */
	door.proto = htons(v6 ? ETH_P_IPV6 : ETH_P_IP);
	return writev(fd, parts, 3) < 0 ? -errno : 0;
}

ssize_t door_read(int fd, uint32_t *ifindex, void *frame, size_t room)
{
	struct virtio_net_hdr hdr;
	struct dove_door door;
	struct iovec parts[] = { { &hdr, sizeof(hdr) }, { &door, sizeof(door) }, { frame, room } };
	ssize_t n = readv(fd, parts, 3);

	if (n < 0)
		return -errno;
	if (n < (ssize_t)(sizeof(hdr) + sizeof(door)) || door.magic != DOVE_DOOR_MAGIC)
		return -EBADMSG;
	*ifindex = door.ifindex;
	return n - sizeof(hdr) - sizeof(door);
}
