// SPDX-License-Identifier: Apache-2.0
/* What routers say of a way that is too narrow, and who only says so. */
#include <criterion/criterion.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip6.h>
#include <stdint.h>
#include <string.h>

#include "agent/pmtu.h"

struct too_big {
	struct icmp6_hdr icmp;
	struct ip6_hdr quoted;
};

static int parse(uint8_t proto, uint32_t said, uint32_t *mtu)
{
	struct too_big m = { .icmp = { .icmp6_type = ICMP6_PACKET_TOO_BIG } };
	struct ip_addr from, to;

	m.icmp.icmp6_mtu = htonl(said);
	m.quoted.ip6_nxt = proto;
	m.quoted.ip6_src.s6_addr[0] = 0x20;
	m.quoted.ip6_dst.s6_addr[0] = 0x30;
	*mtu = 0;
	return pmtu_parse((const uint8_t *)&m, sizeof(m), true, &from, &to, mtu);
}

Test(pmtu, R14_an_mtu_that_none_has_is_not_believed)
{
	uint32_t mtu;

	cr_expect_eq(parse(IPPROTO_IPV6, 1400, &mtu), PMTU_ROUTER);
	cr_expect_eq(mtu, 1400);
	cr_expect_eq(parse(IPPROTO_IPV6, 1280, &mtu), PMTU_ROUTER);
	cr_expect_eq(parse(IPPROTO_IPV6, 65535, &mtu), PMTU_ROUTER);
	/* Headers of a path are added to it: it must not begin anew at zero. */
	cr_expect_lt(parse(IPPROTO_IPV6, UINT32_MAX, &mtu), 0);
	cr_expect_lt(parse(IPPROTO_IPV6, 65536, &mtu), 0);
	cr_expect_lt(parse(IPPROTO_IPV6, 1279, &mtu), 0);
	cr_expect_lt(parse(IPPROTO_TCP, 1400, &mtu), 0);
}
