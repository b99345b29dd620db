/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's own device: a tap that lives as long as the agent. What the
 * agent writes to it enters the kernel there, also super-packets and frames of
 * any size; super-packets that the kernel sends out of it come out cut into
 * what they stand for.
 */
#ifndef DOVE_DOOR_H
#define DOVE_DOOR_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/error.h"

/* The longest frame: a super-packet with its headers. */
#define DOOR_FRAME_MAX 65664

/* door_open() - make the device, up and without addresses; a descriptor that is the caller's, or -errno. */
int door_open(int *ifindex, struct error *err);

/*
 * door_write() - let a frame in. way: DOVE_DOOR_*; ifindex: whose it is;
 * gso_size: 0, or what the super-packet is to be cut into. 0 or -errno.
 */
int door_write(int fd, uint16_t way, uint32_t ifindex, const void *frame, size_t len, uint32_t gso_size);

/*
 * door_read() - one frame that came out, as its port sent it: *ifindex says
 * which. Its length, or -errno (-EAGAIN: there is none; -EBADMSG: it was not ours).
 */
ssize_t door_read(int fd, uint32_t *ifindex, void *frame, size_t room);

/*
 * door_describe() - what the kernel must know of a VM's frame's offloads.
 *
 * A frame that was copied on its way out of a VM may carry only the pseudo
 * header's sum where its TCP or UDP checksum will be (CHECKSUM_PARTIAL); one
 * with gso_size always does. `before` bytes will precede the frame.
 */
struct virtio_net_hdr door_describe(const uint8_t *frame, size_t len, uint32_t gso_size, uint16_t before);

#endif
