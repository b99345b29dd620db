/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What one packet says of others: replies pass because of the packet that
 * they answer, later fragments are held to the ports of their first.
 */
#ifndef DOVE_FLOW_H
#define DOVE_FLOW_H

#include "count.h"
#include "maps.bpf.h"
#include "packet.h"
#include "route.h"
#include "stale.h"

#define ICMP_ECHO_REPLY 0
#define ICMP_DEST_UNREACH 3
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER_PROBLEM 12
#define ICMPV6_ERROR_MAX 127 /* RFC 4443, 2.1: below are errors */
#define ICMPV6_ECHO 128
#define ICMPV6_ECHO_REPLY 129

static __always_inline bool is_icmp(const struct packet *p)
{
	return p->l4_proto == (p->eth_proto == bpf_htons(ETH_P_IP) ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/* RFC 1122, 3.2.2 and RFC 4443, 2.4: an error, about which no further one may be sent. */
static __always_inline bool is_icmp_error(const struct packet *p)
{
	if (!is_icmp(p) || p->later_fragment)
		return false;
	if (p->l4_proto == IPPROTO_ICMPV6)
		return p->icmp_type <= ICMPV6_ERROR_MAX;
	return p->icmp_type != ICMP_ECHO && p->icmp_type != ICMP_ECHO_REPLY && p->icmp_type < 13;
}

static __always_inline __u8 echo_reply_type(const struct packet *p)
{
	return p->l4_proto == IPPROTO_ICMP ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY;
}

static __always_inline __u64 flow_lifetime(__u8 proto)
{
	switch (proto) {
	case IPPROTO_TCP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		return DOVE_FLOW_TCP_NS;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return DOVE_FLOW_ICMP_NS;
	}
	return DOVE_FLOW_UDP_NS;
}

/* The coarse clock is behind that of user space, and an entry may be of after it was read: less than nothing then. */
static __always_inline __s64 since(__u64 now, __u64 then)
{
	return now - then;
}

/* ---- remembering ---- */

/* The packet's flow, as its replies will look. False for what nothing replies to. */
static __always_inline bool flow_key_of_replies(const struct packet *p, __u32 replier,
						struct dove_flow_key *key)
{
	/* Field by field: a compound literal would be made on the stack first. */
	__builtin_memset(key, 0, sizeof(*key));
	key->src = p->dst;
	key->dst = p->src;
	key->source = replier;
	key->from_port = p->to_port;
	key->to_port = p->from_port;
	key->proto = p->l4_proto;
	if (!is_icmp(p))
		return !p->later_fragment;
	key->from_port = key->to_port = p->icmp_id;
	return p->icmp_type == ICMP_ECHO || p->icmp_type == ICMPV6_ECHO;
}

/*
 * flow_remember() - the packet was let through to `replier`, under (vnid,
 * policy, sequence): its replies may pass. Where there is no room they may
 * not, which is counted. A global function: the verifier looks at it once.
 */
__noinline int flow_remember(const struct packet *p, __u32 vnid, __u32 replier, __u64 sequence)
{
	struct dove_flow now = { .seen = bpf_ktime_get_coarse_ns(), .revision = sequence, .vnid = vnid };
	struct dove_flow_key key;
	struct dove_flow *flow;

	if (!p || !flow_key_of_replies(p, replier, &key))
		return 0;
	now.policy = p->policy;
	now.peer = p->source;
	flow = bpf_map_lookup_elem(&dove_flows, &key);
	if (flow && flow->revision == sequence && flow->policy == p->policy &&
	    since(now.seen, flow->seen) < (__s64)DOVE_FLOW_TOUCH_NS)
		return 0;
	if (bpf_map_update_elem(&dove_flows, &key, &now, BPF_ANY))
		count(DOVE_COUNT_FLOWS_FULL, p->len);
	else if (!flow)
		count(DOVE_COUNT_FLOWS, p->len);
	return 0;
}

/* ---- replies ---- */

struct quoted4 {
	struct iphdr ip;
	__be16 ports[4];
};

struct quoted6 {
	struct ipv6hdr ip;
	__be16 ports[4];
};

/* Of the packet that is quoted: its ports, turned round; of an echo twice its identifier. */
static __always_inline void key_ports(struct dove_flow_key *key, const __be16 *quoted, bool echo)
{
	__u16 from = bpf_ntohs(quoted[0]), to = bpf_ntohs(quoted[1]), id = bpf_ntohs(quoted[2]);

	barrier_var(
		from); /* or the compiler chooses among pointers to the stack, which the verifier forbids */
	barrier_var(to);
	barrier_var(id);
	key->from_port = echo ? id : to;
	key->to_port = echo ? id : from;
}

/* An ICMP error is part of the flow that it quotes a packet of. */
static __always_inline bool flow_key_of_quoted4(struct __sk_buff *skb, __u32 at, struct dove_flow_key *key)
{
	struct quoted4 q;

	if (bpf_skb_load_bytes(skb, at, &q, sizeof(q)) || q.ip.ihl != 5)
		return false;
	key->src = ip_from_v4(q.ip.daddr);
	key->dst = ip_from_v4(q.ip.saddr);
	key->proto = q.ip.protocol;
	key_ports(key, q.ports, q.ip.protocol == IPPROTO_ICMP);
	return true;
}

static __always_inline bool flow_key_of_quoted6(struct __sk_buff *skb, __u32 at, struct dove_flow_key *key)
{
	struct quoted6 q;

	if (bpf_skb_load_bytes(skb, at, &q, sizeof(q)))
		return false;
	key->src = ip_from_v6(&q.ip.daddr);
	key->dst = ip_from_v6(&q.ip.saddr);
	key->proto = q.ip.nexthdr;
	key_ports(key, q.ports, q.ip.nexthdr == IPPROTO_ICMPV6);
	return true;
}

/* What it quotes must have come from where it goes itself: else anybody could be sent errors about somebody's flow. */
static __always_inline bool flow_key_of_error(struct __sk_buff *skb, const struct packet *p,
					      struct dove_flow_key *key)
{
	__u32 at = sizeof(struct ethhdr) + p->l3_len + 8;

	if (p->eth_proto == bpf_htons(ETH_P_IP) ? !flow_key_of_quoted4(skb, at, key)
						: !flow_key_of_quoted6(skb, at, key))
		return false;
	return ip_equal(&key->dst, &p->dst);
}

/* Of a later fragment only the ports are known, where its first was seen; nothing that is in it is a header. */
static __always_inline bool flow_key_of_reply(struct __sk_buff *skb, const struct packet *p,
					      struct dove_flow_key *key)
{
	*key = (struct dove_flow_key){ .src = p->src,
				       .dst = p->dst,
				       .source = p->source,
				       .from_port = p->from_port,
				       .to_port = p->to_port,
				       .proto = p->l4_proto };
	if (p->later_fragment && !p->has_ports && !p->icmp_id)
		return false;
	if (!is_icmp(p))
		return true;
	if (is_icmp_error(p))
		return flow_key_of_error(skb, p, key);
	key->from_port = key->to_port = p->icmp_id;
	return p->icmp_type == echo_reply_type(p);
}

/* Has anything that the flow rests on changed so that it may not be let through any more? */
static __always_inline bool flow_is_doubtful(const struct dove_flow *flow, const struct packet *p)
{
	const struct numbers *n = numbers_find(flow->vnid, flow->policy, p->hook == HOOK_TRACE);
	struct dove_place_key place = { .addr = p->src, .vnid = flow->vnid };
	struct dove_local *self;

	if (!n || !n->watched || !n->known || flow->revision < newest(n->net.floor, n->of.floor))
		return true;
	if (mac_equal(p->smac, gateway_mac)) /* an external network's port has the gateway's MAC */
		place.addr = external_ip(p->source);
	self = bpf_map_lookup_elem(&dove_local, &place);
	return self && flow->revision < self->floor;
}

/*
 * flow_lets() - is the packet a reply to one that was let through?
 *
 * 0: it is, and p->peer says to whom. -DOVE_HELD_FLOW: it is, but the policy may not hold any more, and
 * the agent asks. -DOVE_DENIED: it is none.
 */
__noinline int flow_lets(struct __sk_buff *skb, struct packet *p)
{
	__u64 now = bpf_ktime_get_coarse_ns();
	struct dove_flow_key key;
	struct dove_flow *flow;

	if (!p || !flow_key_of_reply(skb, p, &key))
		return -DOVE_DENIED;
	flow = bpf_map_lookup_elem(&dove_flows, &key);
	if (!flow || since(now, flow->seen) > (__s64)flow_lifetime(key.proto))
		return -DOVE_DENIED;
	if (flow_is_doubtful(flow, p))
		return -DOVE_HELD_FLOW;
	if (since(now, flow->seen) > (__s64)DOVE_FLOW_TOUCH_NS && p->hook != HOOK_TRACE)
		flow->seen = now;
	p->peer = flow->peer;
	return 0;
}

/* ---- fragments ---- */

static __always_inline struct dove_fragment_key fragment_key(const struct packet *p)
{
	return (struct dove_fragment_key){
		.src = p->src, .dst = p->dst, .source = p->source, .id = p->fragment, .proto = p->l4_proto
	};
}

static __always_inline void fragment_remember(const struct packet *p, const struct dove_fragment_key *key)
{
	bool reply = is_icmp(p) && p->icmp_type == echo_reply_type(p);
	struct dove_fragment first = { .since = bpf_ktime_get_coarse_ns(),
				       .from_port = reply ? p->icmp_id : p->from_port,
				       .to_port = p->to_port };

	if ((p->has_ports || reply) && p->hook != HOOK_TRACE)
		bpf_map_update_elem(&dove_fragments, key, &first, BPF_ANY);
}

/*
 * Later fragments are decided by the ports of the first, which is remembered
 * for them; of an echo's reply it is the identifier.
 */
__noinline int fragment_ports(struct packet *p)
{
	struct dove_fragment_key key;
	struct dove_fragment *known;

	if (!p)
		return 0;
	key = fragment_key(p);
	if (p->first_fragment) {
		fragment_remember(p, &key);
		return 0;
	}
	known = bpf_map_lookup_elem(&dove_fragments, &key);
	if (!known || since(bpf_ktime_get_coarse_ns(), known->since) > (__s64)DOVE_FRAGMENT_NS)
		return 0;
	if (is_icmp(p)) {
		p->icmp_type = echo_reply_type(p);
		p->icmp_id = known->from_port;
		return 0;
	}
	p->has_ports = true;
	p->from_port = known->from_port;
	p->to_port = known->to_port;
	return 0;
}

#endif
