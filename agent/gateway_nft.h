/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nftables and conntrack do for external networks, in a table of our own
 * (`nft list table inet dove`), by libnftables:
 *
 *   zones       connections that begin at a network's device are told apart by
 *               a zone of its own: two networks may have the same addresses
 *   marks       packets from it, and the replies to them, have its mark, which
 *               leads them to its routing table
 *   masquerade  what comes in by it leaves under the address of the device it
 *               leaves by
 *   walls       from it nobody reaches the host itself, another network, a
 *               link-local address, or, in this host's name, the tunnels and
 *               agents of other hosts
 *   segments    of TCP are no longer than fit, where ICMP is filtered too
 */
#ifndef DOVE_GATEWAY_NFT_H
#define DOVE_GATEWAY_NFT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/error.h"

/*
 * Number N, of one external network of this host: its devices are "dvxN" (the
 * kernel's side) and "dvpN" (the port's), N is its conntrack zone, and the mark
 * of its packets and connections and the number of its routing table are this.
 */
#define GATEWAY_DEVICE "dvx"
#define GATEWAY_PORT "dvp"
#define GATEWAY_MARK 0xde000000u
#define GATEWAY_MARK_OF(n) (GATEWAY_MARK | (n))
#define GATEWAY_NUMBER_MAX 0xffff

/* gateway_nft_text() - the table for these numbers; the caller's. None: what removes the table. */
char *gateway_nft_text(const uint16_t *numbers, int n, uint32_t mtu);

/* gateway_nft_load() - have the table so, in one step. 0 or -EIO. */
int gateway_nft_load(const char *text, struct error *err);

/* gateway_nft_loaded() - is it there? Another's `nft flush ruleset` takes it, too. */
bool gateway_nft_loaded(void);

/* gateway_nft_forget() - end all connections with the mark. */
void gateway_nft_forget(uint32_t mark);

/* gateway_nft_monitor() - a non-blocking descriptor that becomes readable when anyone changes tables; or -errno. */
int gateway_nft_monitor(void);

#endif
