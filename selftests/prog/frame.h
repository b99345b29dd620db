/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames to feed to the programs, built field by field and independently of
 * the code under test. A builder makes a correct frame, checksums and all;
 * what a case wants wrong it changes afterwards, by name (struct vm_frame),
 * or in the bytes.
 *
 * Numbers are in host byte order here, addresses of both families are struct
 * dove_ip: the source's family is the header's.
 */
#ifndef DOVE_TEST_FRAME_H
#define DOVE_TEST_FRAME_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/maps.h"
#include "maps/wire.h"

/* BPF_PROG_TEST_RUN takes a little more than 3,600 bytes; a tap also more than a page, not all of it in one piece. */
#define FRAME_MAX 4800

struct frame {
	uint32_t len;
	uint8_t b[FRAME_MAX];
};

/* ---- addresses ---- */

enum family { V4, V6, FAMILIES };

struct dove_ip ip_of(uint32_t v4);
struct dove_ip ip6_of(uint32_t v4); /* 2001:db8::/96, the IPv4 address in its last four bytes */
struct dove_ip ip_in(enum family family, uint32_t v4);
struct dove_ip ip6_text(const char *text);
enum family family_of(const struct dove_ip *ip);
bool ip_is(const struct dove_ip *ip, const struct dove_ip *want);
/* Where a group's packets go on an Ethernet: RFC 1112, RFC 2464. */
void multicast_mac(uint8_t mac[6], const struct dove_ip *group);

/* ---- what a VM sends or gets ---- */

#define EXTENSIONS 8

/* Of IPv6; a fragment header (44) has frag_off and id, the others `len` times 8 bytes behind their first 8. */
struct extension_field {
	uint8_t type, len;
};

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10

struct vm_frame {
	uint8_t dmac[6], smac[6];
	uint16_t eth_proto;
	struct dove_ip src, dst;
	uint8_t tos, ttl;
	uint8_t proto; /* TCP, UDP, ICMP, ICMPv6: with a correct header; others: the payload alone */
	uint16_t from_port, to_port;
	uint16_t icmp;	    /* type << 8 | code */
	uint32_t icmp_rest; /* the second word: of an echo identifier << 16 | number */
	uint8_t tcp_flags;
	uint32_t tcp_seq, tcp_ack;
	uint16_t tcp_window;
	uint16_t frag_off; /* as in the IPv4 header, flags and all; of IPv6: a fragment header is put in */
	uint32_t id;
	uint8_t option_words;			      /* of IPv4 */
	struct extension_field extension[EXTENSIONS]; /* of IPv6, up to the first of type and length 0 */
	uint32_t n_extensions;
	uint32_t payload; /* bytes behind the innermost header */
	const void *data; /* they; NULL: whatever */
};

struct frame frame_vm(const struct vm_frame *v);
struct frame frame_offloaded(const struct vm_frame *v); /* TCP or UDP, whose checksum is still to be made */
/* l4_at() - where what follows the IP header, or the extension headers, begins in the frame. */
size_t l4_at(const struct vm_frame *v);
uint8_t icmp_proto(enum family family);

#define MORE_FRAGMENTS 0x2000
#define DONT_FRAGMENT 0x4000

/* ---- ARP and neighbour discovery ---- */

struct arp_fields {
	uint8_t dmac[6], smac[6]; /* of the Ethernet header */
	uint16_t hardware, protocol, operation;
	uint8_t hardware_len, protocol_len;
	uint8_t sender_mac[6], target_mac[6];
	uint32_t sender_ip, target_ip;
};

struct frame frame_arp(const struct arp_fields *a);

/* Solicitation, advertisement; with option 0 it has none. */
struct nd_fields {
	uint8_t dmac[6], smac[6];
	struct dove_ip src, dst, target;
	uint8_t type, code, hop_limit;
	uint32_t flags;
	uint8_t option, option_mac[6];
};

struct frame frame_nd(const struct nd_fields *n);

/* ---- on the underlay ---- */

struct outer_frame {
	uint8_t dmac[6], smac[6];
	struct dove_ip src, dst;
	uint8_t tos;
	uint32_t flow_label; /* of IPv6 */
	uint16_t source_port;
	uint32_t vnid, policy, sequence, source, source_vnid;
	uint8_t stage_flags; /* the byte before the source's VNID */
};

struct frame frame_encapsulated(const struct outer_frame *o, const struct frame *inner);
size_t outer_len(enum family outer);

/* The outer headers as they lie in the frame: for offsetof() in tables of cases. */
struct outer_bytes {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct geneve_hdr geneve;
	struct dove_option option;
	struct ethhdr inner_eth;
	struct iphdr inner_ip;
	struct udphdr inner_udp;
} __attribute__((packed));

struct outer6_bytes {
	struct ethhdr eth;
	struct ipv6hdr ip;
	struct udphdr udp;
	struct geneve_hdr geneve;
	struct dove_option option;
	struct ethhdr inner_eth;
} __attribute__((packed));

#define OUTER_AT(field) offsetof(struct outer_bytes, field)
#define OUTER6_AT(field) offsetof(struct outer6_bytes, field)
#define OUTER_LEN OUTER_AT(inner_eth)
#define OUTER6_LEN OUTER6_AT(inner_eth)
/* What stands at `at` (an OUTER_AT() behind the outer IP header) where the outer header is of that family. */
size_t outer_at(enum family outer, size_t at);

/* ---- changing them ---- */

/* frame_checksum_ip() - make the IPv4 header's checksum at offset `at` right again after a change. */
void frame_checksum_ip(struct frame *f, size_t at);
void frame_checksum_outer(struct frame *f); /* of the outer header, where it has one */
/* frame_checksum_l4() - the checksum of `proto` at offset `at`, behind the IP header at `ip_at`, up to `end`. */
void frame_checksum_l4(struct frame *f, size_t ip_at, uint8_t proto, size_t at, size_t end);
/* frame_put() - `size` bytes (1, 2, 4) of value, network order, at offset `at`. */
void frame_put(struct frame *f, size_t at, size_t size, uint32_t value);
uint32_t frame_get(const struct frame *f, size_t at, size_t size);
/* frame_insert() - n zero bytes at offset `at`, what is behind moves. */
void frame_insert(struct frame *f, size_t at, size_t n);
/* internet_checksum() - RFC 1071 over len bytes, network order in the low 16 bits' memory. */
uint16_t internet_checksum(const void *data, size_t len);

#endif
