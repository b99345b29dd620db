// SPDX-License-Identifier: Apache-2.0
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "prog.h"

#define WAIT_MS 300

struct tap door;

/* The kernel's own chatter is not what a test waits for. */
static void no_ipv6(const char *name)
{
	_free_ char *path = NULL;
	_fclose_ FILE *f = NULL;

	if (asprintf(&path, "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name) >= 0)
		f = fopen(path, "w");
	if (f)
		fputs("1", f);
}

static void bring_up(struct ifreq *request)
{
	_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	no_ipv6(request->ifr_name);
	cr_assert(!ioctl(fd, SIOCGIFFLAGS, request));
	request->ifr_flags |= IFF_UP | IFF_NOARP;
	cr_assert(!ioctl(fd, SIOCSIFFLAGS, request), "%s up: %m", request->ifr_name);
}

static struct tap open_with(const char *name, short flags)
{
	struct tap t = { .fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK),
			 .vnet = flags & IFF_VNET_HDR };
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | flags };

	if (t.fd < 0)
		skip("/dev/net/tun can't be opened");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	cr_assert(!ioctl(t.fd, TUNSETIFF, &request), "%s: %m", name);
	bring_up(&request);
	t.ifindex = if_nametoindex(name);
	return t;
}

struct tap tap_open(const char *name)
{
	return open_with(name, 0);
}

struct tap tap_open_vnet(const char *name)
{
	return open_with(name, IFF_VNET_HDR);
}

void tap_attach(const struct tap *t, struct bpf_program *prog)
{
	if (!bpf_program__attach_tcx(prog, t->ifindex, NULL))
		skip("no TCX in this kernel");
}

struct tap tap_attached(const char *name, struct bpf_program *prog)
{
	struct tap t = tap_open(name);

	tap_attach(&t, prog);
	return t;
}

static void write_with(const struct tap *t, const struct frame *f, struct virtio_net_hdr *hdr)
{
	struct iovec parts[] = { { hdr, t->vnet ? sizeof(*hdr) : 0 }, { (void *)f->b, f->len } };

	cr_assert(writev(t->fd, parts, 2) == (ssize_t)(parts[0].iov_len + f->len),
		  "%s: writing to the tap: %m", case_name());
}

void tap_write(const struct tap *t, const struct frame *f)
{
	struct virtio_net_hdr hdr = {};

	write_with(t, f, &hdr);
}

void tap_write_offloaded(const struct tap *t, const struct vm_frame *v, uint16_t gso_size)
{
	struct virtio_net_hdr hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				      .csum_start = l4_at(v),
				      .csum_offset = v->proto == 6 ? 16 : 6,
				      .hdr_len = l4_at(v) + (v->proto == 6 ? 20 : 8),
				      .gso_size = gso_size };
	struct frame f = frame_offloaded(v);

	if (gso_size)
		hdr.gso_type = v->proto == 17		  ? 5 /* VIRTIO_NET_HDR_GSO_UDP_L4 */
			       : family_of(&v->src) == V6 ? VIRTIO_NET_HDR_GSO_TCPV6
							  : VIRTIO_NET_HDR_GSO_TCPV4;
	write_with(t, &f, &hdr);
}

/* The kernel keeps what it believes to be headers together, of frames longer than a page. */
void tap_write_in_pieces(const struct tap *t, const struct frame *f, uint16_t linear)
{
	struct virtio_net_hdr hdr = { .hdr_len = linear };

	write_with(t, f, &hdr);
}

static bool read_within(const struct tap *t, struct frame *out, int ms)
{
	struct pollfd ready = { .fd = t->fd, .events = POLLIN };
	struct virtio_net_hdr hdr;
	struct iovec parts[] = { { &hdr, t->vnet ? sizeof(hdr) : 0 }, { out->b, sizeof(out->b) } };
	ssize_t n;

	if (poll(&ready, 1, ms) != 1)
		return false;
	n = readv(t->fd, parts, 2);
	cr_assert(n >= (ssize_t)parts[0].iov_len, "%s: reading from the tap: %m", case_name());
	out->len = n - parts[0].iov_len;
	return true;
}

bool tap_read(const struct tap *t, struct frame *out)
{
	return read_within(t, out, WAIT_MS);
}

void tap_silent(const struct tap *t)
{
	struct frame f;

	check(!read_within(t, &f, 0), "%u bytes came out of interface %u", f.len, t->ifindex);
}

static uint32_t ip_header_end(const struct frame *f)
{
	switch (frame_get(f, 12, 2)) {
	case ETH_P_IP:
		return 14 + 20;
	case ETH_P_IPV6:
		return 14 + 40;
	}
	return 0;
}

struct run run_tc(const struct tap *t, struct bpf_program *prog, const struct frame *f)
{
	if (f->len >= ip_header_end(f))
		return run_skb(prog, f, NULL);
	tap_write(t, f);
	return (struct run){
		.in = *f, .out = *f, .action = TC_ACT_SHOT, .sends = prog == dove->progs.dove_port
	};
}
