/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses in text and in bytes. An IP address of either family is 16 bytes
 * in network order, IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), which is how
 * every map and table of DOVE keeps one.
 */
#ifndef DOVE_ADDR_H
#define DOVE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ip_addr {
	uint8_t b[16];
};

struct ip_prefix {
	struct ip_addr addr;
	uint8_t bits; /* of the 128: an IPv4 prefix a.b.c.d/N has 96 + N */
};

struct mac_addr {
	uint8_t b[6];
};

#define IP_TEXT 46		     /* room for any address as text, with the NUL */
#define IP_PREFIX_TEXT (IP_TEXT + 4) /* and with "/128" */
#define MAC_TEXT 18		     /* room for "aa:bb:cc:dd:ee:ff", with the NUL */

/*
 * Parsers return 0 and fill *out, or -EINVAL and leave *out alone. They take
 * exactly the whole text: no blanks, no trailing characters, no zone index.
 * IPv4 is written a.b.c.d and in no other way: ::ffff:a.b.c.d is refused.
 */
int ip_parse(const char *text, struct ip_addr *out);
int ip_prefix_parse(const char *text, struct ip_prefix *out); /* -EINVAL also when host bits are set */
int mac_parse(const char *text, struct mac_addr *out);	      /* six hex pairs, ':' between */

/* Formatters write into buf (IP_TEXT, IP_PREFIX_TEXT or MAC_TEXT bytes) and return it. */
const char *ip_format(const struct ip_addr *addr, char *buf);
const char *ip_prefix_format(const struct ip_prefix *prefix, char *buf);
const char *mac_format(const struct mac_addr *mac, char *buf);

struct ip_addr ip_from_v4(uint32_t be);	       /* be: network order */
uint32_t ip_to_v4(const struct ip_addr *addr); /* network order; only where ip_is_v4() */
bool ip_is_v4(const struct ip_addr *addr);
bool ip_equal(const struct ip_addr *a, const struct ip_addr *b);
bool ip_prefix_equal(const struct ip_prefix *a, const struct ip_prefix *b);

/* ip_prefix_contains() - a prefix has addresses of its own family only: ::/0 none of IPv4. */
bool ip_prefix_contains(const struct ip_prefix *prefix, const struct ip_addr *addr);

/* ip_is_host() - could a VM have this address: not unspecified, loopback, multicast or broadcast. */
bool ip_is_host(const struct ip_addr *addr);

/* ip_prefix_has_hosts() - is there such an address in the prefix? */
bool ip_prefix_has_hosts(const struct ip_prefix *prefix);

/* ip_is_link_local() - in fe80::/10? */
bool ip_is_link_local(const struct ip_addr *addr);

/* ip_link_local() - the one that the MAC address gives: modified EUI-64 (RFC 4291, appendix A). */
struct ip_addr ip_link_local(const struct mac_addr *mac);

/* mac_is_host() - could a VM have this address: unicast and not zero. */
bool mac_is_host(const struct mac_addr *mac);

#endif
