/* SPDX-License-Identifier: Apache-2.0 */
/* One program on one hook of one device: TCX or XDP link, or a cls_bpf filter. */
#ifndef DOVE_ATTACH_H
#define DOVE_ATTACH_H

#include "loader.h"
#include "pins.h"

struct attachment {
	struct attachment *next;
	int ifindex;
	enum loader_role role;
	int fd;	     /* the link; -1 for a filter */
	bool filter; /* by cls_bpf */
};

/*
 * attach_program() - attach and pin; fills a->fd and a->filter. Undone when
 * the pin fails. `tcx` false takes cls_bpf at once.
 */
int attach_program(struct attachment *a, int prog_fd, const struct pins *pins, bool tcx, struct error *err);

/*
 * attach_adopt() - take over what an earlier process pinned, with this
 * program in place of the old one. -ENODEV: its device is gone, the pin was
 * removed.
 */
int attach_adopt(struct attachment *a, int prog_fd, const struct pins *pins);

/* attach_undo() - detach and unpin, only what is ours. */
void attach_undo(struct attachment *a, const struct pins *pins);

/* attach_auto_takes_xdp() - not on a veth: XDP there takes TSO from the peer, and TCP falls to a fifth. */
bool attach_auto_takes_xdp(int ifindex);

#endif
