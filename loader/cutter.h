/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pair of devices that cuts super-packets: what a program sends out of the
 * first is segmented by the kernel, for the device takes none whole, and comes
 * in at the second. It belongs to the network namespace and outlives the agent.
 */
#ifndef DOVE_CUTTER_H
#define DOVE_CUTTER_H

#define CUTTER_DEVICE "dove-cut"
#define CUTTER_PEER "dove-cut-out"

struct cutter {
	int ifindex, peer;
};

/* cutter_find() - the pair that is there: 0, or -ENODEV and *out untouched. */
int cutter_find(struct cutter *out);

/* cutter_make() - make it, up and without addresses: 0 or -errno, and then there is none. */
int cutter_make(struct cutter *out);

/* cutter_remove() - take it away. */
void cutter_remove(void);

#endif
