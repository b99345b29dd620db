// SPDX-License-Identifier: Apache-2.0
#include "attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "rtnl.h"

/* linux/bpf.h has these since 6.6, and Debian 12's is older; the numbers are the kernel's ABI. */
enum {
	TCX_INGRESS = 46,   /* BPF_TCX_INGRESS */
	TCX_EGRESS = 47,    /* BPF_TCX_EGRESS */
	LINK_TYPE_TCX = 11, /* BPF_LINK_TYPE_TCX; its info begins with the ifindex, as XDP's does */
};

#define TCX_BEFORE (1u << 3) /* BPF_F_BEFORE; before none: before all */

/* Where our cls_bpf filters sit: late, so that others may come before. */
#define FILTER_PRIORITY 0xD0
#define FILTER_HANDLE 0xD07E

static const char *const role_names[LOADER_ROLES] = {
	[LOADER_PORT] = "port",	  [LOADER_NIC_EGRESS] = "egress", [LOADER_NIC_INGRESS] = "ingress",
	[LOADER_NIC_XDP] = "xdp", [LOADER_DOOR] = "door",	  [LOADER_TUNNEL] = "tunnel",
};

const char *loader_role_name(enum loader_role role)
{
	return role_names[role];
}

static int tcx_type(enum loader_role role)
{
	return role == LOADER_NIC_EGRESS ? TCX_EGRESS : TCX_INGRESS;
}

bool attach_auto_takes_xdp(int ifindex)
{
	struct rtnl_link link;

	return !rtnl_link_by_index(ifindex, &link) && strcmp(link.kind, "veth");
}

static uint32_t program_id(int prog_fd)
{
	struct bpf_prog_info info = {};
	uint32_t size = sizeof(info);

	return bpf_prog_get_info_by_fd(prog_fd, &info, &size) ? 0 : info.id;
}

/* ---- cls_bpf ---- */

static struct bpf_tc_hook filter_hook(const struct attachment *a)
{
	return (struct bpf_tc_hook){
		.sz = sizeof(struct bpf_tc_hook),
		.ifindex = a->ifindex,
		.attach_point = a->role == LOADER_NIC_EGRESS ? BPF_TC_EGRESS : BPF_TC_INGRESS,
	};
}

static int filter_set(const struct attachment *a, int prog_fd, uint32_t flags)
{
	struct bpf_tc_hook hook = filter_hook(a);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY,
		    .prog_fd = prog_fd, .flags = flags);

	return bpf_tc_attach(&hook, &opts);
}

/* The id of the program in our place on the hook, 0 where there is none. */
static uint32_t filter_program(const struct attachment *a)
{
	struct bpf_tc_hook hook = filter_hook(a);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);

	return bpf_tc_query(&hook, &opts) ? 0 : opts.prog_id;
}

/* A clsact that we made ourselves goes when nothing hangs on it any more; a pin remembers that we did. */
static void clsact_release(int ifindex, const struct pins *pins)
{
	if (!pins_have(pins, ifindex, "clsact") || rtnl_clsact_in_use(ifindex))
		return;
	rtnl_clsact_del(ifindex);
	pins_unlink(pins, ifindex, "clsact");
}

static int filter_attach(struct attachment *a, int prog_fd, const struct pins *pins, struct error *err)
{
	int rc = rtnl_clsact_add(a->ifindex);
	bool made = !rc;

	if (rc && rc != -EEXIST)
		return error_set(err, rc, "clsact on device %d: %m", a->ifindex);
	rc = filter_set(a, prog_fd, 0);
	if (!rc)
		rc = pins_put(pins, prog_fd, a->ifindex, role_names[a->role]);
	if (!rc && made)
		rc = pins_put(pins, prog_fd, a->ifindex, "clsact");
	a->filter = true;
	if (rc) {
		attach_undo(a, pins);
		if (made && !rtnl_clsact_in_use(a->ifindex))
			rtnl_clsact_del(a->ifindex);
		return error_set(err, rc, "TC filter on device %d: %m", a->ifindex);
	}
	return 0;
}

static void filter_detach(struct attachment *a, const struct pins *pins)
{
	struct bpf_tc_hook hook = filter_hook(a);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FILTER_HANDLE, .priority = FILTER_PRIORITY);
	_close_ int pinned = pins_get(pins, a->ifindex, role_names[a->role]);

	/* A stranger may have taken our place; then it is not ours to remove. */
	if (pinned >= 0 && filter_program(a) == program_id(pinned))
		bpf_tc_detach(&hook, &opts);
	pins_unlink(pins, a->ifindex, role_names[a->role]);
	clsact_release(a->ifindex, pins);
}

/* ---- links ---- */

static int link_device(int fd, int *ifindex)
{
	struct bpf_link_info info = {};
	uint32_t size = sizeof(info);

	if (bpf_link_get_info_by_fd(fd, &info, &size))
		return -errno;
	switch ((int)info.type) {
	case LINK_TYPE_TCX:
	case BPF_LINK_TYPE_XDP:
		*ifindex = info.xdp.ifindex;
		return 0;
	default:
		return -EINVAL;
	}
}

static int link_pin(struct attachment *a, int fd, const struct pins *pins, struct error *err)
{
	int rc = pins_put(pins, fd, a->ifindex, role_names[a->role]);

	if (rc) {
		close(fd);
		return error_set(err, rc, "pinning the link of device %d: %m", a->ifindex);
	}
	a->fd = fd;
	return 0;
}

/* GRO merges what XDP passes on only where it is on; attaching XDP may have left it off. */
static void gro_on(int ifindex)
{
	struct ethtool_value value = { .cmd = ETHTOOL_SGRO, .data = 1 };
	struct ifreq ifr = { .ifr_data = (void *)&value };
	_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || !if_indextoname(ifindex, ifr.ifr_name) || ioctl(fd, SIOCETHTOOL, &ifr))
		log_warn("device %d: can't switch GRO on: %s", ifindex, strerror(errno));
}

static int xdp_attach(struct attachment *a, int prog_fd, const struct pins *pins, struct error *err)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = XDP_FLAGS_DRV_MODE);
	uint32_t other = 0;
	int fd, rc;

	if (!bpf_xdp_query_id(a->ifindex, 0, &other) && other)
		return error_set(err, -EBUSY,
				 "another XDP program (id %u) is on the device; use --ingress tc", other);
	fd = bpf_link_create(prog_fd, a->ifindex, BPF_XDP, &opts);
	if (fd == -EOPNOTSUPP || fd == -EINVAL)
		return error_set(err, -EOPNOTSUPP, "the device's driver has no native XDP; use --ingress tc");
	if (fd < 0)
		return error_set(err, fd, "XDP on device %d: %m", a->ifindex);
	rc = link_pin(a, fd, pins, err);
	if (!rc)
		gro_on(a->ifindex);
	return rc;
}

int attach_program(struct attachment *a, int prog_fd, const struct pins *pins, bool tcx, struct error *err)
{
	LIBBPF_OPTS(bpf_link_create_opts, first, .flags = TCX_BEFORE);
	int fd;

	if (a->role == LOADER_NIC_XDP)
		return xdp_attach(a, prog_fd, pins, err);
	if (!tcx)
		return filter_attach(a, prog_fd, pins, err);
	/* First in line: a program before ours that ends the line would let stripped frames into the stack. */
	fd = bpf_link_create(prog_fd, a->ifindex, tcx_type(a->role), &first);
	/* Before 6.6 the kernel does not know this kind of link. */
	if (fd == -EINVAL || fd == -EOPNOTSUPP)
		return filter_attach(a, prog_fd, pins, err);
	if (fd < 0)
		return error_set(err, fd, "TC on device %d: %m", a->ifindex);
	return link_pin(a, fd, pins, err);
}

static int adopt_filter(struct attachment *a, int prog_fd, int pinned, const struct pins *pins)
{
	int rc;

	if (filter_program(a) != program_id(pinned)) {
		pins_unlink(pins, a->ifindex, role_names[a->role]);
		return -ENODEV;
	}
	rc = filter_set(a, prog_fd, BPF_TC_F_REPLACE);
	if (rc)
		return rc;
	pins_unlink(pins, a->ifindex, role_names[a->role]);
	a->filter = true;
	return pins_put(pins, prog_fd, a->ifindex, role_names[a->role]);
}

int attach_adopt(struct attachment *a, int prog_fd, const struct pins *pins)
{
	_close_ int fd = pins_get(pins, a->ifindex, role_names[a->role]);
	int device = 0, rc;

	if (fd < 0)
		return fd;
	rc = link_device(fd, &device);
	if (rc) /* no link: the program of a filter */
		return adopt_filter(a, prog_fd, fd, pins);
	if (device != a->ifindex) {
		pins_unlink(pins, a->ifindex, role_names[a->role]);
		return -ENODEV;
	}
	if (bpf_link_update(fd, prog_fd, NULL))
		return -errno;
	a->fd = take_fd(fd);
	return 0;
}

void attach_undo(struct attachment *a, const struct pins *pins)
{
	if (a->filter) {
		filter_detach(a, pins);
		return;
	}
	pins_unlink(pins, a->ifindex, role_names[a->role]);
	/* Closing alone would leave it to whoever else holds the link. */
	bpf_link_detach(a->fd);
	close(a->fd);
	a->fd = -1;
}
