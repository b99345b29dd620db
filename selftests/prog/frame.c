// SPDX-License-Identifier: Apache-2.0
#include "frame.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

/* ---- addresses ---- */

struct dove_ip ip_of(uint32_t v4)
{
	return (struct dove_ip){ .b = { [10] = 0xff, [11] = 0xff, v4 >> 24, v4 >> 16, v4 >> 8, v4 } };
}

struct dove_ip ip6_of(uint32_t v4)
{
	struct dove_ip ip = ip_of(v4);

	memcpy(ip.b, (uint8_t[12]){ 0x20, 0x01, 0x0d, 0xb8 }, 12);
	return ip;
}

struct dove_ip ip_in(enum family family, uint32_t v4)
{
	return family == V6 ? ip6_of(v4) : ip_of(v4);
}

struct dove_ip ip6_text(const char *text)
{
	struct dove_ip ip = {};

	inet_pton(AF_INET6, text, ip.b);
	return ip;
}

enum family family_of(const struct dove_ip *ip)
{
	struct dove_ip v4 = ip_of(0);

	return memcmp(ip, &v4, 12) ? V6 : V4;
}

bool ip_is(const struct dove_ip *ip, const struct dove_ip *want)
{
	return !memcmp(ip, want, sizeof(*ip));
}

void multicast_mac(uint8_t mac[6], const struct dove_ip *group)
{
	if (family_of(group) == V6) {
		memcpy(mac,
		       (uint8_t[6]){ 0x33, 0x33, group->b[12], group->b[13], group->b[14], group->b[15] }, 6);
		return;
	}
	memcpy(mac, (uint8_t[6]){ 0x01, 0x00, 0x5e, group->b[13] & 0x7f, group->b[14], group->b[15] }, 6);
}

uint8_t icmp_proto(enum family family)
{
	return family == V6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
}

/* ---- bytes ---- */

static uint32_t sum_up(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? byte[i] : (uint32_t)byte[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

uint16_t internet_checksum(const void *data, size_t len)
{
	return htons(~sum_up(data, len, 0));
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

/* ---- checksums ---- */

void frame_checksum_ip(struct frame *f, size_t at)
{
	uint16_t check;

	frame_put(f, at + 10, 2, 0);
	check = internet_checksum(f->b + at, (f->b[at] & 15) * 4);
	memcpy(f->b + at + 10, &check, 2);
}

void frame_checksum_outer(struct frame *f)
{
	if (f->b[OUTER_AT(ip)] >> 4 == 4)
		frame_checksum_ip(f, OUTER_AT(ip));
}

/* RFC 793, RFC 768, RFC 8200: addresses, protocol and length count; ICMP for IPv4 (RFC 792) has no such sum. */
static uint32_t pseudo_sum(const struct frame *f, size_t ip_at, uint8_t proto, size_t len)
{
	if (proto == IPPROTO_ICMP)
		return 0;
	if (f->b[ip_at] >> 4 == 6)
		return sum_up(f->b + ip_at + 8, 32, proto + len);
	return sum_up(f->b + ip_at + 12, 8, proto + len);
}

void frame_checksum_l4(struct frame *f, size_t ip_at, uint8_t proto, size_t at, size_t end)
{
	size_t field = proto == IPPROTO_TCP ? at + 16 : proto == IPPROTO_UDP ? at + 6 : at + 2;
	uint16_t check;

	frame_put(f, field, 2, 0);
	check = ~sum_up(f->b + at, end - at, pseudo_sum(f, ip_at, proto, end - at));
	if (proto == IPPROTO_UDP && !check)
		check = 0xffff;
	frame_put(f, field, 2, check);
}

/* ---- IP ---- */

static void put_ipv4(struct frame *f, const struct vm_frame *v, size_t behind)
{
	size_t at = f->len, header = 20 + v->option_words * 4;

	put(f, 1, 0x40 | (header / 4));
	put(f, 1, v->tos);
	put(f, 2, header + behind);
	put(f, 2, v->id);
	put(f, 2, v->frag_off);
	put(f, 1, v->ttl);
	put(f, 1, v->proto);
	put(f, 2, 0);
	put_bytes(f, v->src.b + 12, 4);
	put_bytes(f, v->dst.b + 12, 4);
	for (int i = 0; i < v->option_words; i++)
		put(f, 4, 0x01010101); /* no operation */
	frame_checksum_ip(f, at);
}

static size_t extension_len(const struct extension_field *e)
{
	return e->type == IPPROTO_FRAGMENT ? 8 : 8 + e->len * 8;
}

static size_t extensions_len(const struct vm_frame *v)
{
	size_t len = 0;

	for (uint32_t i = 0; i < v->n_extensions; i++)
		len += extension_len(&v->extension[i]);
	return len;
}

/* Options of the one kind that is a single zero byte; a routing header of no segments. */
static void put_extension(struct frame *f, const struct vm_frame *v, uint32_t i)
{
	const struct extension_field *e = &v->extension[i];

	put(f, 1, i + 1 < v->n_extensions ? e[1].type : v->proto);
	if (e->type == IPPROTO_FRAGMENT) {
		put(f, 1, 0);
		put(f, 2, (v->frag_off & 0x1fff) << 3 | (v->frag_off & MORE_FRAGMENTS ? 1 : 0));
		put(f, 4, v->id);
		return;
	}
	put(f, 1, e->len);
	for (size_t n = 2; n < extension_len(e); n++)
		put(f, 1, 0);
}

static void put_ipv6(struct frame *f, const struct vm_frame *v, size_t behind)
{
	put(f, 4, 6u << 28 | v->tos << 20);
	put(f, 2, extensions_len(v) + behind);
	put(f, 1, v->n_extensions ? v->extension[0].type : v->proto);
	put(f, 1, v->ttl);
	put_bytes(f, v->src.b, 16);
	put_bytes(f, v->dst.b, 16);
	for (uint32_t i = 0; i < v->n_extensions; i++)
		put_extension(f, v, i);
}

/* ---- what is behind it ---- */

static size_t l4_len(const struct vm_frame *v)
{
	if (v->frag_off & 0x1fff)
		return 0;
	switch (v->proto) {
	case IPPROTO_TCP:
		return 20;
	case IPPROTO_UDP:
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return 8;
	}
	return 0;
}

static void put_l4(struct frame *f, const struct vm_frame *v)
{
	if (!l4_len(v))
		return;
	if (v->proto == IPPROTO_ICMP || v->proto == IPPROTO_ICMPV6) {
		put(f, 4, (uint32_t)v->icmp << 16);
		put(f, 4, v->icmp_rest);
		return;
	}
	put(f, 2, v->from_port);
	put(f, 2, v->to_port);
	if (v->proto == IPPROTO_UDP) {
		put(f, 4, (uint32_t)(8 + v->payload) << 16);
		return;
	}
	put(f, 4, v->tcp_seq);
	put(f, 4, v->tcp_ack);
	put(f, 4, 0x50000000 | v->tcp_flags << 16 | v->tcp_window); /* 5 words */
	put(f, 4, 0);
}

static void put_payload(struct frame *f, const struct vm_frame *v)
{
	if (v->data) {
		put_bytes(f, v->data, v->payload);
		return;
	}
	for (uint32_t i = 0; i < v->payload; i++)
		put(f, 1, i * 7 + 1);
}

/* A fragment's header comes behind those that a case asks for. */
static struct vm_frame with_fragment_header(const struct vm_frame *v)
{
	struct vm_frame out = *v;

	for (uint32_t i = 0; i < out.n_extensions; i++)
		if (out.extension[i].type == IPPROTO_FRAGMENT)
			return out;
	if (out.frag_off & ~DONT_FRAGMENT && out.n_extensions < EXTENSIONS)
		out.extension[out.n_extensions++] = (struct extension_field){ .type = IPPROTO_FRAGMENT };
	return out;
}

size_t l4_at(const struct vm_frame *v)
{
	struct vm_frame whole = with_fragment_header(v);

	return family_of(&v->src) == V6 ? 14 + 40 + extensions_len(&whole) : 14 + 20 + v->option_words * 4u;
}

struct frame frame_vm(const struct vm_frame *v)
{
	struct vm_frame whole = with_fragment_header(v);
	size_t behind = l4_len(v) + v->payload;
	struct frame f = {};

	put_ethernet(&f, v->dmac, v->smac, v->eth_proto);
	if (family_of(&v->src) == V6)
		put_ipv6(&f, &whole, behind);
	else
		put_ipv4(&f, v, behind);
	put_l4(&f, v);
	put_payload(&f, v);
	if (l4_len(v))
		frame_checksum_l4(&f, 14, v->proto, l4_at(v), f.len);
	return f;
}

/* Virtio 1.2, 5.1.6.2: the field has the sum over what stands for the IP header, and the device adds the rest. */
struct frame frame_offloaded(const struct vm_frame *v)
{
	struct frame f = frame_vm(v);
	size_t at = l4_at(v);

	frame_put(&f, at + (v->proto == IPPROTO_TCP ? 16 : 6), 2, pseudo_sum(&f, 14, v->proto, f.len - at));
	return f;
}

/* ---- ARP and neighbour discovery ---- */

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

struct frame frame_nd(const struct nd_fields *n)
{
	uint8_t body[24] = {};
	struct vm_frame v = { .eth_proto = ETH_P_IPV6,
			      .src = n->src,
			      .dst = n->dst,
			      .ttl = n->hop_limit,
			      .proto = IPPROTO_ICMPV6,
			      .icmp = n->type << 8 | n->code,
			      .icmp_rest = n->flags,
			      .payload = n->option ? 24 : 16,
			      .data = body };

	memcpy(v.dmac, n->dmac, 6);
	memcpy(v.smac, n->smac, 6);
	memcpy(body, &n->target, 16);
	body[16] = n->option;
	body[17] = 1;
	memcpy(body + 18, n->option_mac, 6);
	return frame_vm(&v);
}

/* ---- on the underlay ---- */

size_t outer_len(enum family outer)
{
	return outer == V6 ? OUTER6_LEN : OUTER_LEN;
}

size_t outer_at(enum family outer, size_t at)
{
	return outer == V6 && at >= OUTER_AT(udp) ? at + OUTER6_LEN - OUTER_LEN : at;
}

static void put_outer_ip(struct frame *f, const struct outer_frame *o, size_t udp)
{
	struct vm_frame v = { .src = o->src,
			      .dst = o->dst,
			      .tos = o->tos,
			      .ttl = 64,
			      .frag_off = DONT_FRAGMENT,
			      .proto = IPPROTO_UDP };

	if (family_of(&o->src) == V4) {
		put_ipv4(f, &v, udp);
		return;
	}
	put_ipv6(f, &v, udp);
	frame_put(f, 14, 4, 6u << 28 | o->tos << 20 | o->flow_label);
}

struct frame frame_encapsulated(const struct outer_frame *o, const struct frame *inner)
{
	struct frame f = {};
	size_t udp = 8 + 8 + 20 + inner->len;

	put_ethernet(&f, o->dmac, o->smac, family_of(&o->src) == V6 ? ETH_P_IPV6 : ETH_P_IP);
	put_outer_ip(&f, o, udp);
	put(&f, 2, o->source_port);
	put(&f, 2, 6081);
	put(&f, 2, udp);
	put(&f, 2, 0);		/* no checksum: RFC 8926, 3.3; RFC 6935 */
	put(&f, 4, 0x05406558); /* version 0, 5 words of options; C; Ethernet */
	put(&f, 4, o->vnid << 8);
	put(&f, 4, 0xff018104);
	put(&f, 4, o->policy);
	put(&f, 4, o->sequence);
	put(&f, 4, o->source);
	put(&f, 4, (uint32_t)o->stage_flags << 24 | o->source_vnid);
	put_bytes(&f, inner->b, inner->len);
	return f;
}
