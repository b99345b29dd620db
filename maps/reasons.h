/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * Why a packet ended where it ended: the one list. Every program counts each
 * packet it decides under exactly one of these (dove_stats); the enum, the
 * names in `dove-agent stats` and their texts all come from here.
 *
 * X(NAME, name, class, text); classes:
 *   SENT     it went where it should
 *   HELD     the agent has it, and sends it on when it knows more
 *   PASSED   not ours: the kernel goes on with it
 *   DROPPED  it ended here
 *
 * New ones go to the end of their class's block; the order is no contract, the names are.
 */
#ifndef DOVE_REASONS_H
#define DOVE_REASONS_H

/* clang-format off */
#define DOVE_REASONS(X)                                                                                                      \
	X(ENCAPSULATED,         encapsulated,         SENT,    "encapsulated and sent to another host")                      \
	X(DELIVERED_LOCAL,      delivered_local,      SENT,    "delivered to a VM on the same host")                         \
	X(DELIVERED,            delivered,            SENT,    "decapsulated and delivered to a VM")                         \
	X(STRIPPED,             stripped,             SENT,    "decapsulated by XDP, delivered by TC next")                  \
	X(BRIDGED,              bridged,              SENT,    "sender checked, sent on over the bridge")                    \
	X(ARP_ANSWERED,         arp_answered,         SENT,    "ARP request answered in place")                              \
	X(ND_ANSWERED,          nd_answered,          SENT,    "neighbour solicitation answered in place")                   \
	X(TOO_BIG_ANSWERED,     too_big_answered,     SENT,    "larger than the path, sender told by ICMP")                  \
	X(EXPIRED_ANSWERED,     expired_answered,     SENT,    "TTL used up at the gateway, sender told by ICMP")            \
	X(UNREACHABLE_ANSWERED, unreachable_answered, SENT,    "nobody there, sender told by the gateway")                   \
	X(GATEWAY_ANSWERED,     gateway_answered,     SENT,    "for the gateway itself, which answered")                     \
	X(REJECTED,             rejected,             SENT,    "a policy rejects it, sender told")                           \
	X(REPLICATED,           replicated,           SENT,    "to many: a copy sent to each that may have it")              \
	X(SEGMENTING,           segmenting,           SENT,    "super-packet of a tunnel inside a VM, to be cut first")      \
	X(TUNNELED,             tunneled,             SENT,    "accepted, left to the tunnel device for its port")           \
	X(RELAYED,              relayed,              SENT,    "its VM has moved: sent on to where it is now")               \
	X(RETURNED,             returned,             SENT,    "refused, given back to the host that it came from")          \
	X(TO_SERVICE,           to_service,           SENT,    "delivered to an instance of a service on its path")          \
	X(PROBED,               probed,               SENT,    "the agent's, to see whether an appliance lets it through")   \
	X(HELD_MISS,            held_miss,            HELD,    "no translation yet: the agent asks")                         \
	X(HELD_NEXT_HOP,        held_next_hop,        HELD,    "next hop not resolved yet: the agent asks")                  \
	X(HELD_UNKNOWN,         held_unknown,         HELD,    "policy of the packet not known: the agent asks")             \
	X(HELD_FLOW,            held_flow,            HELD,    "a reply whose flow may not hold any more: the agent asks")   \
	X(HELD_MOVED,           held_moved,           HELD,    "its VM has just left: the agent waits to hear where to")     \
	X(HELD_REFUSED,         held_refused,         HELD,    "refused: the agent asks whether it may pass now")            \
	X(HELD_RETURNED,        held_returned,        HELD,    "given back to us: the agent asks anew and sends it again")   \
	X(HELD_HOP,             held_hop,             HELD,    "at a hop of its path: the agent asks which path it is")      \
	X(HELD_PATH,            held_path,            HELD,    "a reply: the agent asks for the path that it goes back")     \
	X(PASSED,               passed,               PASSED,  "no overlay traffic")                                         \
	X(TRUNCATED,            truncated,            DROPPED, "shorter than its headers say")                               \
	X(TAGGED,               tagged,               DROPPED, "802.1Q or 802.1ad tag, from a VM or around it")              \
	X(SPOOFED_MAC,          spoofed_mac,          DROPPED, "source MAC is not the port's")                               \
	X(SPOOFED_IP,           spoofed_ip,           DROPPED, "source address is not the port's")                           \
	X(NO_PORT,              no_port,              DROPPED, "interface is not a port (any more)")                         \
	X(NOT_IP,               not_ip,               DROPPED, "protocol that the overlay does not carry")                   \
	X(MULTICAST,            multicast,            DROPPED, "broadcast or multicast where the network carries none")      \
	X(MALFORMED,            malformed,            DROPPED, "inner IP header is wrong")                                   \
	X(ARP_MALFORMED,        arp_malformed,        DROPPED, "ARP that is not Ethernet and IPv4, or wrong")                \
	X(ARP_UNASKED,          arp_unasked,          DROPPED, "ARP or ND that asks nothing: reply, announcement")           \
	X(ND_MALFORMED,         nd_malformed,         DROPPED, "neighbour solicitation that RFC 4861 forbids")               \
	X(ROUTER_CLAIM,         router_claim,         DROPPED, "router advertisement or redirect from a VM")                 \
	X(FRAGMENT,             fragment,             DROPPED, "later fragment where the decision needs ports")              \
	X(EXPIRED,              expired,              DROPPED, "TTL used up at the gateway")                                 \
	X(GATEWAY,              gateway,              DROPPED, "for the gateway itself, which has no answer to it")          \
	X(DENIED,               denied,               DROPPED, "a policy denies it")                                         \
	X(NO_ENDPOINT,          no_endpoint,          DROPPED, "nobody has the destination address")                         \
	X(NO_PLACE,             no_place,             DROPPED, "destination VM is attached nowhere")                         \
	X(NO_SERVICE,           no_service,           DROPPED, "no live instance of a service on its path")                  \
	X(NO_NEXT_HOP,          no_next_hop,          DROPPED, "destination host can't be reached")                          \
	X(TOO_BIG,              too_big,              DROPPED, "larger than the path, sender can't be told")                 \
	X(MISS_LIMITED,         miss_limited,         DROPPED, "port has too many open questions")                           \
	X(GROUP_LIMITED,        group_limited,        DROPPED, "port sends too much to many")                                \
	X(RATE_LIMITED,         rate_limited,         DROPPED, "above the rate of a policy, or of its port")                  \
	X(RING_FULL,            ring_full,            DROPPED, "ring buffer to the agent is full")                           \
	X(ENCAP_FAILED,         encap_failed,         DROPPED, "kernel refused to make room for the headers")                \
	X(OUTER_MALFORMED,      outer_malformed,      DROPPED, "outer IP or UDP header is wrong")                            \
	X(OUTER_FRAGMENT,       outer_fragment,       DROPPED, "outer packet is a fragment")                                 \
	X(GENEVE_VERSION,       geneve_version,       DROPPED, "Geneve version or control bit not ours")                     \
	X(GENEVE_PROTOCOL,      geneve_protocol,      DROPPED, "Geneve payload is not Ethernet")                             \
	X(GENEVE_OPTION,        geneve_option,        DROPPED, "DOVE option missing or wrong")                               \
	X(UNKNOWN_HOST,         unknown_host,         DROPPED, "outer source is no host of ours")                            \
	X(UNKNOWN_NETWORK,      unknown_network,      DROPPED, "network that this host does not serve")                      \
	X(UNKNOWN_ENDPOINT,     unknown_endpoint,     DROPPED, "nobody here has the destination address")                    \
	X(MOVED,                moved,                DROPPED, "destination VM moved, and it could not be sent on there")    \
	X(REFUSED,              refused,              DROPPED, "sent under a policy that must not be used now")              \
	X(NOT_OURS,             not_ours,             DROPPED, "given back by a host that we had not sent it to")            \
	X(STALE_REFUSED,        stale_refused,        DROPPED, "stale, and configured to be dropped")                        \
	X(CANNOT_JUDGE,         cannot_judge,         DROPPED, "service silent for longer than answers live")                \
	X(NOT_CURRENT,          not_current,          DROPPED, "the service says: not current any more")                     \
	X(CONGESTED,            congested,            DROPPED, "congestion marked on a packet that knows no ECN (RFC 6040)") \
	X(NOT_ACCEPTED,         not_accepted,         DROPPED, "reached the tunnel device without being accepted")           \
	X(OFF_PATH,             off_path,             DROPPED, "out of an appliance came what had not gone in")              \
	X(BYPASSED,             bypassed,             DROPPED, "its policy leads through services, and it comes past them")  \
	X(TAKEN,                taken,                DROPPED, "its flow is another's in that appliance")                    \
	X(DECAP_FAILED,         decap_failed,         DROPPED, "kernel refused to take the headers off")
/* clang-format on */

enum dove_reason {
#define X(NAME, name, class, text) DOVE_##NAME,
	DOVE_REASONS(X)
#undef X
		DOVE_REASON_COUNT,
};

/*
 * Counters beside the verdicts, in dove_stats after the reasons: a hit or a
 * miss of the cache, and a packet delivered although its policy is stale, ...
 */
enum dove_counter {
	DOVE_COUNT_HITS = DOVE_REASON_COUNT,
	DOVE_COUNT_MISSES,
	DOVE_COUNT_STALE,
	DOVE_COUNT_NEWER,
	DOVE_COUNT_EVENTS_LOST,
	DOVE_COUNT_FLOWS,	/* entries made in dove_flows */
	DOVE_COUNT_FLOWS_FULL,	/* entries that found no room: their replies may not pass */
	DOVE_COUNT_COPIES_LOST, /* of what went to many: the way to that host is not known */
	DOVE_STATS_MAX,
};

#endif
