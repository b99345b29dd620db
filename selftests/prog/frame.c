// SPDX-License-Identifier: Apache-2.0
#include "frame.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

uint16_t internet_checksum(const void *data, size_t len)
{
	const uint8_t *byte = data;
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? byte[i] : (uint32_t)byte[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum);
}

void frame_put(struct frame *f, size_t at, size_t size, uint32_t value)
{
	for (size_t i = 0; i < size; i++)
		f->b[at + i] = value >> 8 * (size - 1 - i);
}

uint32_t frame_get(const struct frame *f, size_t at, size_t size)
{
	uint32_t value = 0;

	for (size_t i = 0; i < size; i++)
		value = value << 8 | f->b[at + i];
	return value;
}

void frame_insert(struct frame *f, size_t at, size_t n)
{
	memmove(f->b + at + n, f->b + at, f->len - at);
	memset(f->b + at, 0, n);
	f->len += n;
}

static void put_bytes(struct frame *f, const void *bytes, size_t n)
{
	memcpy(f->b + f->len, bytes, n);
	f->len += n;
}

static void put(struct frame *f, size_t size, uint32_t value)
{
	frame_put(f, f->len, size, value);
	f->len += size;
}

static void put_ethernet(struct frame *f, const uint8_t *dmac, const uint8_t *smac, uint16_t proto)
{
	put_bytes(f, dmac, 6);
	put_bytes(f, smac, 6);
	put(f, 2, proto);
}

static void put_ipv4(struct frame *f, uint32_t src, uint32_t dst, uint8_t proto, uint16_t frag_off,
		     uint8_t option_words, size_t behind)
{
	size_t at = f->len, header = 20 + option_words * 4;
	uint16_t check;

	put(f, 1, 0x40 | (header / 4));
	put(f, 1, 0);
	put(f, 2, header + behind);
	put(f, 2, 0);
	put(f, 2, frag_off);
	put(f, 1, 64);
	put(f, 1, proto);
	put(f, 2, 0);
	put(f, 4, src);
	put(f, 4, dst);
	for (int i = 0; i < option_words; i++)
		put(f, 4, 0x01010101); /* no operation */
	check = internet_checksum(f->b + at, header);
	memcpy(f->b + at + 10, &check, 2);
}

static size_t l4_len(const struct vm_frame *v)
{
	if (v->frag_off & 0x1fff)
		return 0;
	switch (v->proto) {
	case IPPROTO_TCP:
		return 20;
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
		return 8;
	}
	return 0;
}

static void put_l4(struct frame *f, const struct vm_frame *v)
{
	if (!l4_len(v))
		return;
	if (v->proto == IPPROTO_ICMP) {
		put(f, 4, 0x0800f7ff); /* echo request */
		put(f, 4, 0);
		return;
	}
	put(f, 2, v->from_port);
	put(f, 2, v->to_port);
	if (v->proto == IPPROTO_UDP) {
		put(f, 2, 8 + v->payload);
		put(f, 2, 0);
		return;
	}
	put(f, 4, 1);
	put(f, 4, 0);
	put(f, 4, 0x50100400); /* 5 words, ACK, window */
	put(f, 4, 0);
}

struct frame frame_vm(const struct vm_frame *v)
{
	struct frame f = {};

	put_ethernet(&f, v->dmac, v->smac, v->eth_proto);
	put_ipv4(&f, v->src, v->dst, v->proto, v->frag_off, v->option_words, l4_len(v) + v->payload);
	put_l4(&f, v);
	for (uint32_t i = 0; i < v->payload; i++)
		put(&f, 1, i * 7 + 1);
	return f;
}

struct frame frame_arp(const struct arp_fields *a)
{
	struct frame f = {};

	put_ethernet(&f, a->dmac, a->smac, ETH_P_ARP);
	put(&f, 2, a->hardware);
	put(&f, 2, a->protocol);
	put(&f, 1, a->hardware_len);
	put(&f, 1, a->protocol_len);
	put(&f, 2, a->operation);
	put_bytes(&f, a->sender_mac, 6);
	put(&f, 4, a->sender_ip);
	put_bytes(&f, a->target_mac, 6);
	put(&f, 4, a->target_ip);
	return f;
}

struct frame frame_encapsulated(const struct outer_frame *o, const struct frame *inner)
{
	struct frame f = {};
	size_t udp = 8 + 8 + 20 + inner->len;

	put_ethernet(&f, o->dmac, o->smac, ETH_P_IP);
	put_ipv4(&f, o->src, o->dst, IPPROTO_UDP, 0x4000, 0, udp);
	put(&f, 2, o->source_port);
	put(&f, 2, 6081);
	put(&f, 2, udp);
	put(&f, 2, 0);
	put(&f, 4, 0x05406558); /* version 0, 5 words of options; C; Ethernet */
	put(&f, 4, o->vnid << 8);
	put(&f, 4, 0xff018104);
	put(&f, 4, o->policy);
	put(&f, 4, o->sequence);
	put(&f, 4, o->source);
	put(&f, 4, o->source_vnid);
	put_bytes(&f, inner->b, inner->len);
	return f;
}

void frame_checksum_outer(struct frame *f)
{
	uint16_t check;

	frame_put(f, OUTER_AT(ip.check), 2, 0);
	check = internet_checksum(f->b + OUTER_AT(ip), 20);
	memcpy(f->b + OUTER_AT(ip.check), &check, 2);
}
