// SPDX-License-Identifier: Apache-2.0
#include "addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t v4_mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

struct ip_addr ip_from_v4(uint32_t be)
{
	struct ip_addr a;

	memcpy(a.b, v4_mapped, sizeof(v4_mapped));
	memcpy(a.b + 12, &be, 4);
	return a;
}

uint32_t ip_to_v4(const struct ip_addr *addr)
{
	uint32_t be;

	memcpy(&be, addr->b + 12, 4);
	return be;
}

bool ip_is_v4(const struct ip_addr *addr)
{
	return !memcmp(addr->b, v4_mapped, sizeof(v4_mapped));
}

bool ip_equal(const struct ip_addr *a, const struct ip_addr *b)
{
	return !memcmp(a->b, b->b, sizeof(a->b));
}

int ip_parse(const char *text, struct ip_addr *out)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (!text)
		return -EINVAL;
	if (inet_pton(AF_INET, text, &v4) == 1) {
		*out = ip_from_v4(v4.s_addr);
		return 0;
	}
	if (inet_pton(AF_INET6, text, &v6) != 1 || IN6_IS_ADDR_V4MAPPED(&v6))
		return -EINVAL;
	memcpy(out->b, &v6, sizeof(out->b));
	return 0;
}

static bool host_bits_set(const struct ip_prefix *p)
{
	for (unsigned int i = p->bits; i < 128; i++)
		if (p->addr.b[i / 8] & (0x80 >> (i % 8)))
			return true;
	return false;
}

int ip_prefix_parse(const char *text, struct ip_prefix *out)
{
	char addr[IP_TEXT];
	struct ip_prefix p;
	const char *slash = text ? strchr(text, '/') : NULL;
	unsigned long bits;
	char *end;

	if (!slash || (size_t)(slash - text) >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, slash - text);
	addr[slash - text] = '\0';
	if (ip_parse(addr, &p.addr))
		return -EINVAL;
	if (slash[1] < '0' || slash[1] > '9')
		return -EINVAL;
	bits = strtoul(slash + 1, &end, 10);
	if (*end || bits > (ip_is_v4(&p.addr) ? 32 : 128))
		return -EINVAL;
	p.bits = ip_is_v4(&p.addr) ? 96 + bits : bits;
	if (host_bits_set(&p))
		return -EINVAL;
	*out = p;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int mac_parse(const char *text, struct mac_addr *out)
{
	struct mac_addr mac;

	if (!text || strlen(text) != MAC_TEXT - 1)
		return -EINVAL;
	for (int i = 0; i < 6; i++) {
		int hi = hex_digit(text[i * 3]), lo = hex_digit(text[i * 3 + 1]);

		if (hi < 0 || lo < 0 || (i < 5 && text[i * 3 + 2] != ':'))
			return -EINVAL;
		mac.b[i] = hi << 4 | lo;
	}
	*out = mac;
	return 0;
}

const char *ip_format(const struct ip_addr *addr, char *buf)
{
	if (ip_is_v4(addr))
		inet_ntop(AF_INET, addr->b + 12, buf, IP_TEXT);
	else
		inet_ntop(AF_INET6, addr->b, buf, IP_TEXT);
	return buf;
}

const char *ip_prefix_format(const struct ip_prefix *prefix, char *buf)
{
	char addr[IP_TEXT];
	int bits = ip_is_v4(&prefix->addr) ? prefix->bits - 96 : prefix->bits;

	snprintf(buf, IP_PREFIX_TEXT, "%s/%d", ip_format(&prefix->addr, addr), bits);
	return buf;
}

const char *mac_format(const struct mac_addr *mac, char *buf)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < 6; i++) {
		buf[3 * i] = digits[mac->b[i] >> 4];
		buf[3 * i + 1] = digits[mac->b[i] & 0xf];
		buf[3 * i + 2] = i < 5 ? ':' : '\0';
	}
	return buf;
}

bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->bits == b->bits && ip_equal(&a->addr, &b->addr);
}

bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_addr *addr)
{
	unsigned int whole = prefix->bits / 8, rest = prefix->bits % 8;
	uint8_t mask = rest ? 0xff << (8 - rest) : 0;

	if (ip_is_v4(&prefix->addr) != ip_is_v4(addr) || memcmp(prefix->addr.b, addr->b, whole))
		return false;
	return !rest || ((prefix->addr.b[whole] ^ addr->b[whole]) & mask) == 0;
}

/* By the first byte of an IPv4 address: not "this network", loopback, multicast or reserved. */
static bool v4_is_host(unsigned int first)
{
	return first != 0 && first != 127 && first < 224;
}

static bool is_zero(const uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (b[i])
			return false;
	return true;
}

bool ip_is_host(const struct ip_addr *addr)
{
	if (ip_is_v4(addr))
		return v4_is_host(addr->b[12]);
	return addr->b[0] != 0xff && !is_zero(addr->b, 15); /* :: and ::1 (and ::N, which nothing uses) */
}

static bool v4_has_hosts(const struct ip_prefix *prefix)
{
	unsigned int first = prefix->addr.b[12], last = first;

	if (prefix->bits < 104)
		last |= 0xff >> (prefix->bits - 96);
	for (; first <= last; first++)
		if (v4_is_host(first))
			return true;
	return false;
}

bool ip_prefix_has_hosts(const struct ip_prefix *prefix)
{
	const uint8_t *b = prefix->addr.b;

	if (ip_is_v4(&prefix->addr))
		return v4_has_hosts(prefix);
	return (prefix->bits < 8 || b[0] != 0xff) && (prefix->bits < 120 || !is_zero(b, 15));
}

bool ip_is_link_local(const struct ip_addr *addr)
{
	return addr->b[0] == 0xfe && (addr->b[1] & 0xc0) == 0x80;
}

struct ip_addr ip_link_local(const struct mac_addr *mac)
{
	const uint8_t *b = mac->b;

	return (struct ip_addr){ { 0xfe, 0x80, [8] = b[0] ^ 0x02, b[1], b[2], 0xff, 0xfe, b[3], b[4],
				   b[5] } };
}

bool mac_is_host(const struct mac_addr *mac)
{
	static const struct mac_addr zero;

	return !(mac->b[0] & 1) && memcmp(mac, &zero, sizeof(zero));
}
