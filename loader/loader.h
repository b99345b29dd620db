/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading the data path, pinning it, attaching and adopting it.
 *
 * Everything lives in PIN_DIR/vN (N: DOVE_LAYOUT): the maps under their
 * names, and in links/ one pin for each program on a device, named
 * "IFINDEX-ROLE". Where the kernel has TCX (6.6) and XDP links the pin is the
 * link; where it only has cls_bpf it is the program, by whose id our filter
 * is known from a stranger's. So the pins alone say what is ours, and outlive
 * the process.
 *
 * Functions return 0 or -errno and describe the failure in *err.
 */
#ifndef DOVE_LOADER_H
#define DOVE_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

struct loader;

struct loader_config {
	const char *pin_dir;	/* on a bpffs: see loader_prepare_pin_dir() */
	bool origin_check;	/* hold our own packets to the numbers we watch */
	bool refuse_stale;	/* drop stale packets whose delivery would be safe */
	unsigned int refused;	/* enum dove_refused */
	bool tcx;		/* false: attach by cls_bpf also where TCX is there */
	int outer_dscp;		/* of what is sent, 0..63; -1: the VM's own */
	uint32_t cache_entries; /* 0: the default of bpf/maps.bpf.h */
};

enum loader_ingress { LOADER_INGRESS_AUTO, LOADER_INGRESS_XDP, LOADER_INGRESS_TC };

/* The maps that user space works with, as file descriptors that the loader owns. */
struct loader_maps {
	int ports, budgets, addrs, prefixes, cache, denied, qos, meters, local, moved, policies, networks,
		version, hosts, routers, flows, groups, paths, hops, contexts, packets, events, stats,
		hop_stats, policy_stats;
};

/*
 * loader_prepare_pin_dir() - see that the directory is there and on a bpffs.
 *
 * Where it is not, a bpffs is mounted on it. A mount made in a mount namespace
 * of its own (`ip netns exec` makes one, and hides /sys/fs/bpf with it) would
 * end with that namespace, so the calling process first joins that of its
 * parent, or of PID 1.
 * Call before other threads exist; the working directory may change.
 */
int loader_prepare_pin_dir(const char *pin_dir, struct error *err);

/*
 * loader_open() - load the programs, over the maps that are pinned or new
 * ones, and let everything that is attached already run them from now on.
 *
 * *out is the caller's, until loader_close(). Pinned links whose device is
 * gone are removed. A pin directory in use by another process is refused
 * with -EBUSY.
 */
int loader_open(const struct loader_config *config, struct loader **out, struct error *err);

/* loader_close() - give back memory and descriptors. What is attached and pinned goes on. */
void loader_close(struct loader *l);

/* loader_unpin() - remove the maps' pins too, for a host that has nothing attached any more. */
void loader_unpin(struct loader *l);

const struct loader_maps *loader_maps(const struct loader *l);

/* loader_possible_cpus() - values in an entry of a per-CPU map. */
int loader_possible_cpus(void);

/*
 * loader_attach_nic() - egress and ingress on the underlay's device: TC first,
 * XDP on top of it where `mode` asks for it. AUTO is native XDP where the
 * driver has it, except on a veth, whose peer would lose its segmentation
 * offload. When a step fails those before it are undone. *used is the mode
 * that it came to. -EEXIST: attached already; -EBUSY: somebody else's XDP
 * program is there; -EOPNOTSUPP: XDP was asked for and the driver has none.
 */
int loader_attach_nic(struct loader *l, int ifindex, enum loader_ingress mode, enum loader_ingress *used,
		      struct error *err);

/* loader_attach_port() - the egress program on a VM's interface. -EEXIST: attached already. */
int loader_attach_port(struct loader *l, int ifindex, struct error *err);

/* loader_detach() - take all our programs off a device, XDP first; no error where there are none. */
void loader_detach(struct loader *l, int ifindex);

enum loader_role {
	LOADER_PORT,
	LOADER_NIC_EGRESS,
	LOADER_NIC_INGRESS,
	LOADER_NIC_XDP,
	LOADER_DOOR,   /* the agent's own devices: loader/door.h, loader/cutter.h */
	LOADER_TUNNEL, /* the tunnel device: loader/tunnel.h */
	LOADER_ROLES,
};

bool loader_is_attached(const struct loader *l, int ifindex, enum loader_role role);
const char *loader_role_name(enum loader_role role);

/* loader_each() - call `on` for everything that is attached. */
void loader_each(const struct loader *l, void (*on)(int ifindex, enum loader_role role, void *arg),
		 void *arg);

/*
 * loader_cutter() - the pair of devices that cuts super-packets which leave
 * under MPLS labels (loader/cutter.h); made where there is none yet.
 */
int loader_cutter(struct loader *l, struct error *err);

/* loader_tunnel() - is there a tunnel device, by which super-packets reach taps whole? */
bool loader_tunnel(const struct loader *l);

/*
 * loader_send_on() - let a packet that waited go on through the data path.
 *
 * way: DOVE_DOOR_SENT, from the port `ifindex`; DOVE_DOOR_RECEIVED, from the
 * underlay, at the NIC `ifindex`; DOVE_DOOR_CUT, as came out of
 * loader_read_cut(). frame: as it came up, len bytes; gso_size as it came up.
 * Returns the reason (enum dove_reason) that its way ended with, -EINPROGRESS
 * where the kernel will only tell itself, or -errno.
 */
int loader_send_on(struct loader *l, uint16_t way, uint32_t ifindex, const void *frame, uint32_t len,
		   uint32_t gso_size);

/*
 * loader_cut_fd() - readable when super-packets of tunnels inside VMs have been
 * cut into frames, which loader_read_cut() takes: as door_read().
 */
int loader_cut_fd(const struct loader *l);
int loader_read_cut(struct loader *l, uint32_t *ifindex, void *frame, uint32_t room);

/* loader_write() - write these translations, at most DOVE_WRITES_MAX: row->rc says what became of each. */
struct dove_write;
void loader_write(struct loader *l, struct dove_write *rows, uint32_t n);

/*
 * loader_open_gates() - open the gates of translations, at most DOVE_OPENINGS_MAX, each if it still is as
 * opening->gate says. opening->open 0: it is not, and opening->gate is what it is now.
 * Open is also an entry that is gone, or is another.
 */
struct dove_opening;
void loader_open_gates(struct loader *l, struct dove_opening *openings, uint32_t n);

/* loader_open_group() - the same, of a list of those who get what goes to many. True: open. */
struct dove_group_opening;
bool loader_open_group(struct loader *l, struct dove_group_opening *opening);

/* loader_trace() - what would become of a frame (as from a port's VM): 0 and *out, or -errno. */
struct dove_traced;
int loader_trace(struct loader *l, uint32_t ifindex, const void *frame, uint32_t len,
		 struct dove_traced *out);

#endif
