// SPDX-License-Identifier: Apache-2.0
/*
 * tapvm TAP NETNS MAC [--mtu N] [--plain]
 *
 * Play a virtual machine on a tap, as QEMU does: make the tap TAP here, and a
 * second one named eth0 with that MAC in the namespace NETNS (a path), which is
 * the machine; carry frames between the two with their virtio headers, so that
 * checksums and segmentation stay undone from the machine's stack to the host
 * and back. --plain: the host's side is told that the machine takes neither.
 *
 * Prints "ready"; at SIGUSR1 what it carried since the last time:
 *   to_vm frames N bytes N max N merged N, from_vm frames N bytes N max N merged N
 * where `max` is the longest and `merged` the bytes of those above 1,514.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRAME_MAX (65536 + 1024)
#define WIRE_FRAME 1514

/* Of headers newer than Debian 12's. */
#ifndef TUN_F_USO4
#define TUN_F_USO4 0x20
#define TUN_F_USO6 0x40
#endif

struct way {
	int from, to;
	atomic_ulong frames, bytes, max, merged;
};

static struct way to_vm, from_vm;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* A tap with virtio headers. What the reader of its descriptor can take is said by `offload`. */
static int tap_open(const char *name, bool offload)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	unsigned int all = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC), len = sizeof(struct virtio_net_hdr);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) || ioctl(fd, TUNSETVNETHDRSZ, &len))
		die(name);
	if (offload && ioctl(fd, TUNSETOFFLOAD, all | TUN_F_USO4 | TUN_F_USO6) &&
	    ioctl(fd, TUNSETOFFLOAD, all))
		die("TUNSETOFFLOAD");
	if (!offload && ioctl(fd, TUNSETOFFLOAD, 0))
		die("TUNSETOFFLOAD");
	return fd;
}

static void device_set(const char *name, const char *mac, int mtu)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {};
	unsigned int m[6];

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	ifr.ifr_mtu = mtu;
	if (ioctl(fd, SIOCSIFMTU, &ifr))
		die("SIOCSIFMTU");
	if (mac) {
		if (sscanf(mac, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6)
			die(mac);
		ifr.ifr_hwaddr.sa_family = ARPHRD_ETHER;
		for (int i = 0; i < 6; i++)
			ifr.ifr_hwaddr.sa_data[i] = m[i];
		if (ioctl(fd, SIOCSIFHWADDR, &ifr))
			die("SIOCSIFHWADDR");
	}
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		die("SIOCGIFFLAGS");
	ifr.ifr_flags |= IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr))
		die("SIOCSIFFLAGS");
	close(fd);
}

static void *carry(void *arg)
{
	struct way *w = arg;
	uint8_t *buf = malloc(FRAME_MAX);

	if (!buf)
		die("malloc");
	for (;;) {
		ssize_t n = read(w->from, buf, FRAME_MAX);
		unsigned long len = n - sizeof(struct virtio_net_hdr);

		if (n < (ssize_t)sizeof(struct virtio_net_hdr)) {
			if (n < 0 && errno != EINTR && errno != EIO)
				die("read");
			continue;
		}
		atomic_fetch_add(&w->frames, 1);
		atomic_fetch_add(&w->bytes, len);
		if (len > WIRE_FRAME)
			atomic_fetch_add(&w->merged, len);
		if (len > atomic_load(&w->max))
			atomic_store(&w->max, len);
		if (write(w->to, buf, n) < 0 && errno != EIO && errno != EINVAL && errno != ENOBUFS)
			die("write");
	}
	return NULL;
}

static void tell(const char *name, struct way *w, const char *end)
{
	printf("%s frames %lu bytes %lu max %lu merged %lu%s", name, atomic_exchange(&w->frames, 0),
	       atomic_exchange(&w->bytes, 0), atomic_exchange(&w->max, 0), atomic_exchange(&w->merged, 0),
	       end);
}

int main(int argc, char **argv)
{
	bool plain = false;
	int mtu = 1500, here, machine, ns;
	pthread_t threads[2];
	sigset_t set;

	if (argc < 4)
		goto usage;
	for (int i = 4; i < argc; i++) {
		if (!strcmp(argv[i], "--plain"))
			plain = true;
		else if (!strcmp(argv[i], "--mtu") && i + 1 < argc)
			mtu = atoi(argv[++i]);
		else
			goto usage;
	}
	here = tap_open(argv[1], !plain);
	device_set(argv[1], NULL, mtu);
	ns = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (ns < 0 || setns(ns, CLONE_NEWNET))
		die(argv[2]);
	/* What leaves the machine's stack by its eth0 is read here; it may be as undone as it likes. */
	machine = tap_open("eth0", true);
	device_set("eth0", argv[3], mtu);
	to_vm = (struct way){ .from = here, .to = machine };
	from_vm = (struct way){ .from = machine, .to = here };
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&threads[0], NULL, carry, &to_vm) ||
	    pthread_create(&threads[1], NULL, carry, &from_vm))
		die("pthread_create");
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int sig;

		sigwait(&set, &sig);
		tell("to_vm", &to_vm, ", ");
		tell("from_vm", &from_vm, "\n");
		fflush(stdout);
	}
usage:
	fprintf(stderr, "usage: tapvm TAP NETNS MAC [--mtu N] [--plain]\n");
	return 2;
}
