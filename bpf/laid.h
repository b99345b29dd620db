/* SPDX-License-Identifier: GPL-2.0 */
/* Paths that are laid out on the underlay: labels, or routers to pass. A tag alone is put on where packets leave. */
#ifndef DOVE_BPF_LAID_H
#define DOVE_BPF_LAID_H

#include "labels.h"
#include "maps.bpf.h"
#include "packet.h"
#include "routers.h"
#include "rows.h"

/*
 * laid_way() - the way of a packet whose path puts something before its outer
 * header, to the host at `to`, and what that leaves of its MTU. `host` and *mtu
 * are the plain way's; where the path leads by routers it is the first one's.
 * They lead to no host of the other family: such a packet goes without them.
 */
static __noinline struct dove_host *laid_way(struct packet *p, const struct dove_ip *to,
					     struct dove_host *host, __u32 *mtu)
{
	__u32 id = p->quality, narrow = *mtu;
	struct dove_qos *q = bpf_map_lookup_elem(&dove_qos, &id);

	if (q && q->laid != DOVE_LAID_LABELS) {
		if ((q->laid == DOVE_LAID_ROUTERS_V4) != ip_is_v4(to)) {
			p->laid = 0;
			return host;
		}
		host = router_find(&q->routers[0], p);
		*mtu = host ? host->mtu : 0;
	}
	*mtu = *mtu > p->laid ? *mtu - p->laid : 0;
	/* Behind the last router it is the plain packet, and what is known of the way to its host holds. */
	if (narrow && narrow < *mtu)
		*mtu = narrow;
	return host;
}

/*
 * laid_push() - what the path that the packet's row of dove_qos says puts before
 * the outer header, and its tag. A global function: the verifier looks at it once.
 */
__noinline int laid_push(struct __sk_buff *skb, const struct packet *p)
{
	__u32 id = p ? p->quality : 0;
	struct dove_qos *q = bpf_map_lookup_elem(&dove_qos, &id);

	if (!p || !q)
		return -DOVE_ENCAP_FAILED;
	if (q->laid == DOVE_LAID_LABELS)
		return labels_push(skb, p, q);
	if (q->laid == DOVE_LAID_ROUTERS_V4)
		TRY(routers_push4(skb, q));
	else
		TRY(routers_push6(skb, q));
	return p->vlan && bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), p->vlan) ? -DOVE_ENCAP_FAILED : 0;
}

#endif
