// SPDX-License-Identifier: Apache-2.0
#include "segment.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "checksum.h"

/* A packet on the wire is no longer than a jumbo frame. */
#define PACKET_MAX 9216

#define TCP_FIN 0x01
#define TCP_PSH 0x08
#define TCP_CWR 0x80

struct cut {
	size_t ip_len, l4_len; /* of the headers */
	uint8_t protocol;
};

static uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static int cut_parse(const uint8_t *frame, size_t len, struct cut *cut)
{
	const uint8_t *ip = frame + ETH_HLEN;

	if (len < ETH_HLEN + 20 || ip[0] >> 4 != 4)
		return -EINVAL;
	cut->ip_len = (ip[0] & 0xf) * 4;
	cut->protocol = ip[9];
	if (len < ETH_HLEN + cut->ip_len + 20)
		return -EINVAL;
	if (cut->protocol == IPPROTO_TCP)
		cut->l4_len = (ip[cut->ip_len + 12] >> 4) * 4;
	else if (cut->protocol == IPPROTO_UDP)
		cut->l4_len = 8;
	else
		return -EINVAL;
	return cut->ip_len >= 20 && cut->l4_len >= 8 && ETH_HLEN + cut->ip_len + cut->l4_len < len ? 0
												   : -EINVAL;
}

static void tcp_write(uint8_t *tcp, size_t offset, bool first, bool last)
{
	uint32_t seq = ((uint32_t)get16(tcp + 4) << 16 | get16(tcp + 6)) + offset;

	put16(tcp + 4, seq >> 16);
	put16(tcp + 6, seq);
	if (!first)
		tcp[13] &= ~TCP_CWR;
	if (!last)
		tcp[13] &= ~(TCP_FIN | TCP_PSH);
}

/* The headers of packet number `index`, whose payload begins at `offset` of the whole. */
static void headers_write(uint8_t *packet, size_t len, const struct cut *cut, unsigned int index,
			  size_t offset, bool last)
{
	uint8_t *ip = packet + ETH_HLEN, *l4 = ip + cut->ip_len;
	size_t ip_total = len - ETH_HLEN, l4_total = ip_total - cut->ip_len;
	size_t sum_at = cut->protocol == IPPROTO_TCP ? 16 : 6;

	put16(ip + 2, ip_total);
	put16(ip + 4, get16(ip + 4) + index);
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~checksum_words(ip, cut->ip_len, 0));
	if (cut->protocol == IPPROTO_TCP)
		tcp_write(l4, offset, !offset, last);
	else
		put16(l4 + 4, l4_total);
	/* As the sender's kernel leaves it: the pseudo header's sum. */
	put16(l4 + sum_at, checksum_words(ip + 12, 8, cut->protocol + l4_total));
	checksum_repair(packet, len);
}

int segment(const void *frame, size_t len, size_t size,
	    void (*each)(const void *packet, size_t len, void *arg), void *arg)
{
	uint8_t packet[PACKET_MAX];
	struct cut cut;
	size_t headers, payload;
	int n = 0;

	if (cut_parse(frame, len, &cut))
		return -EINVAL;
	headers = ETH_HLEN + cut.ip_len + cut.l4_len;
	payload = len - headers;
	if (!size || headers + size > sizeof(packet))
		return -EINVAL;
	for (size_t at = 0; at < payload; at += size, n++) {
		size_t part = payload - at < size ? payload - at : size;

		memcpy(packet, frame, headers);
		memcpy(packet + headers, (const uint8_t *)frame + headers + at, part);
		headers_write(packet, headers + part, &cut, n, at, at + part == payload);
		each(packet, headers + part, arg);
	}
	return n;
}
