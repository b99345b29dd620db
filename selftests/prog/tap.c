// SPDX-License-Identifier: Apache-2.0
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "prog.h"

static void bring_up(struct ifreq *request)
{
	_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	cr_assert(!ioctl(fd, SIOCGIFFLAGS, request));
	request->ifr_flags |= IFF_UP;
	cr_assert(!ioctl(fd, SIOCSIFFLAGS, request), "%s up: %m", request->ifr_name);
}

struct tap tap_open(const char *name)
{
	struct tap t = { .fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK) };
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	if (t.fd < 0)
		skip("/dev/net/tun can't be opened");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	cr_assert(!ioctl(t.fd, TUNSETIFF, &request), "%s: %m", name);
	bring_up(&request);
	t.ifindex = if_nametoindex(name);
	return t;
}

struct tap tap_attached(const char *name, struct bpf_program *prog)
{
	struct tap t = tap_open(name);

	if (!bpf_program__attach_tcx(prog, t.ifindex, NULL))
		skip("no TCX in this kernel");
	return t;
}

void tap_is_port(const struct tap *t)
{
	struct dove_addr_key key = { .addr = ip_of(vm1.ip), .vnid = BLUE, .ifindex = PORT };
	struct dove_port port;
	struct dove_addr addr;

	cr_assert(map_get(dove_ports, &(uint32_t){ PORT }, &port) && map_get(dove_addrs, &key, &addr));
	key.ifindex = t->ifindex;
	map_put(dove_ports, &t->ifindex, &port);
	map_put(dove_addrs, &key, &addr);
}

struct run run_tc(const struct tap *t, struct bpf_program *prog, const struct frame *f)
{
	if (frame_get(f, 12, 2) != ETH_P_IP || f->len >= 34)
		return run_skb(prog, f, NULL);
	tap_write(t, f);
	return (struct run){ .in = *f, .out = *f, .action = TC_ACT_SHOT };
}

void tap_write(const struct tap *t, const struct frame *f)
{
	cr_assert(write(t->fd, f->b, f->len) == (ssize_t)f->len, "writing to the tap: %m");
}

bool tap_read(const struct tap *t, struct frame *out)
{
	struct pollfd ready = { .fd = t->fd, .events = POLLIN };

	while (poll(&ready, 1, 300) == 1) {
		ssize_t n = read(t->fd, out->b, sizeof(out->b));

		out->len = n > 0 ? n : 0;
		/* The kernel's own IPv6 chatter is not what a test waits for. */
		if (n >= 14 && frame_get(out, 12, 2) != ETH_P_IPV6)
			return true;
	}
	return false;
}
