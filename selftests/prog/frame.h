/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames to feed to the programs, built field by field and independently of
 * the code under test. A builder makes a correct frame; what a case wants
 * wrong it changes afterwards, by name (struct vm_frame), or in the bytes.
 *
 * Addresses and numbers are in host byte order here.
 */
#ifndef DOVE_TEST_FRAME_H
#define DOVE_TEST_FRAME_H

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/types.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "maps/wire.h"

/* A little less than the most that BPF_PROG_TEST_RUN takes. */
#define FRAME_MAX 3600

struct frame {
	uint32_t len;
	uint8_t b[FRAME_MAX];
};

/* What a VM sends or gets. */
struct vm_frame {
	uint8_t dmac[6], smac[6];
	uint16_t eth_proto;
	uint32_t src, dst;
	uint8_t proto; /* TCP, UDP, ICMP: with a correct header; others: the payload alone */
	uint16_t from_port, to_port;
	uint16_t frag_off; /* as in the IP header, flags and all */
	uint8_t option_words;
	uint32_t payload; /* bytes behind the innermost header */
};

/* What stands around it on the underlay. */
struct outer_frame {
	uint8_t dmac[6], smac[6];
	uint32_t src, dst;
	uint16_t source_port;
	uint32_t vnid, policy, sequence, source, source_vnid;
};

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

#define OUTER_AT(field) offsetof(struct outer_bytes, field)
#define OUTER_LEN OUTER_AT(inner_eth)

struct arp_fields {
	uint8_t dmac[6], smac[6]; /* of the Ethernet header */
	uint16_t hardware, protocol, operation;
	uint8_t hardware_len, protocol_len;
	uint8_t sender_mac[6], target_mac[6];
	uint32_t sender_ip, target_ip;
};

struct frame frame_vm(const struct vm_frame *v);
struct frame frame_arp(const struct arp_fields *a);
struct frame frame_encapsulated(const struct outer_frame *o, const struct frame *inner);

/* frame_checksum_outer() - make the outer IP header's checksum right again after a change. */
void frame_checksum_outer(struct frame *f);
/* frame_put() - `size` bytes (1, 2, 4) of value, network order, at offset `at`. */
void frame_put(struct frame *f, size_t at, size_t size, uint32_t value);
uint32_t frame_get(const struct frame *f, size_t at, size_t size);
/* frame_insert() - n zero bytes at offset `at`, what is behind moves. */
void frame_insert(struct frame *f, size_t at, size_t n);
/* internet_checksum() - RFC 1071 over len bytes, network order in the low 16 bits' memory. */
uint16_t internet_checksum(const void *data, size_t len);

#endif
