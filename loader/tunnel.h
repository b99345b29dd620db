/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tunnel device: a UDP tunnel of the kernel's on our port. Its socket lets
 * the NIC's GRO merge Geneve frames before TC sees them, and its receive path
 * takes the encapsulation's marks off super-packets for taps (bpf/tunnel.h).
 * It belongs to the network namespace and outlives the agent.
 */
#ifndef DOVE_TUNNEL_DEVICE_H
#define DOVE_TUNNEL_DEVICE_H

enum tunnel_kind {
	TUNNEL_NONE,   /* the port is another's, or the kernel has neither */
	TUNNEL_GENEVE, /* merges and decapsulates Geneve */
	TUNNEL_VXLAN,  /* the kernel has no Geneve: decapsulates what became VXLAN */
};

#define TUNNEL_DEVICE "dove-tunnel"

/* tunnel_open() - the device that is there, or a new one; its ifindex, or 0 with TUNNEL_NONE. */
enum tunnel_kind tunnel_open(int *ifindex);

/* tunnel_remove() - take it away. */
void tunnel_remove(void);

#endif
