/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/*
 * What stands on the underlay: outer Ethernet, IPv4 without options or IPv6
 * without extension headers, UDP to port 6081, Geneve (RFC 8926) with exactly
 * one option, ours, and the VM's frame. All fields in network byte order. The
 * UDP checksum is zero (RFC 8926, 3.3; over IPv6 by RFC 6935 and 6936), the DF
 * bit set.
 *
 * Include after <linux/types.h> or vmlinux.h.
 */
#ifndef DOVE_WIRE_H
#define DOVE_WIRE_H

#define DOVE_GENEVE_PORT 6081
#define DOVE_CONTROL_PORT 6082

#define GENEVE_PROTO_ETHERNET 0x6558 /* Trans Ether Bridging */
#define GENEVE_FLAG_CRITICAL 0x40    /* C: an option that must be understood is there */
#define GENEVE_FLAG_CONTROL 0x80     /* O: a control packet; we send none */

#define DOVE_OPT_CLASS 0xFF01 /* RFC 8926, 7: experimental range */
#define DOVE_OPT_TYPE 0x81    /* high bit: critical */
#define DOVE_OPT_WORDS 4      /* length of its body in 4-byte words */

struct geneve_hdr {
	__u8 ver_opt_len; /* version (2 bits) 0, options' length in words (6 bits) */
	__u8 flags;
	__be16 proto;
	__be32 vni; /* the destination's VNID in the upper 24 bits, lower 8 zero */
} __attribute__((packed));

struct dove_option {
	__be16 opt_class;
	__u8 type;
	__u8 words; /* upper 3 bits reserved, zero */
	__be32 policy;
	__be32 sequence;   /* low 32 bits of the revision that the translation was made at */
	__be32 source;	   /* endpoint id of the sender */
	__be32 stage_vnid; /* stage (4 bits) | flags (4 bits) | source's VNID (24 bits) */
} __attribute__((packed));

/* Flags of stage_vnid. */
#define DOVE_FLAG_RELAYED 0x3  /* a count: how often an old host sent it on, at most 2 */
#define DOVE_FLAG_REVERSE 0x1  /* in its place above stage 0: a reply, on the path back */
#define DOVE_FLAG_RETURNED 0x4 /* given back to its origin */
#define DOVE_FLAG_TRACK 0x8    /* remember the flow: replies to it pass */

#define DOVE_OPT_LEN sizeof(struct dove_option)
#define DOVE_GENEVE_LEN (sizeof(struct geneve_hdr) + DOVE_OPT_LEN)
/* What encapsulation adds to an inner IP packet: the outer IP header + 8 + 28 + 14. */
#define DOVE_OVERHEAD_V4 70
#define DOVE_OVERHEAD_V6 90

_Static_assert(sizeof(struct geneve_hdr) == 8, "RFC 8926");
_Static_assert(sizeof(struct dove_option) == 20, "4 bytes of option header and 16 of body");

#endif
