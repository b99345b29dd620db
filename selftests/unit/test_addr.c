// SPDX-License-Identifier: Apache-2.0
#include <criterion/criterion.h>
#include <errno.h>

#include "lib/addr.h"
#include "lib/cleanup.h"

Test(addr, addresses_there_and_back)
{
	static const char *const good[] = { "10.1.0.11", "0.0.0.0", "255.255.255.255", "::", "2001:db8::1" };
	struct ip_addr addr;
	char text[IP_TEXT];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		cr_assert_eq(ip_parse(good[i], &addr), 0, "%s", good[i]);
		cr_assert_str_eq(ip_format(&addr, text), good[i]);
	}
}

Test(addr, what_is_no_address_is_refused_and_changes_nothing)
{
	static const char *const bad[] = { "",
					   "10.1.0",
					   "10.1.0.256",
					   "10.1.0.1 ",
					   " 10.1.0.1",
					   "10.1.0.1/24",
					   "010.1.0.1x",
					   "::g",
					   "fe80::1%eth0",
					   "1",
					   "10.1.0.1.2",
					   "::ffff:10.1.0.1",
					   "::ffff:a01:1" };
	struct ip_addr addr = ip_from_v4(0x01020304), before = addr;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_assert_eq(ip_parse(bad[i], &addr), -EINVAL, "'%s'", bad[i]);
		cr_assert(ip_equal(&addr, &before));
	}
	cr_assert_eq(ip_parse(NULL, &addr), -EINVAL);
}

Test(addr, prefixes)
{
	static const struct {
		const char *text;
		int rc;
		unsigned int bits;
	} cases[] = {
		{ "10.1.0.0/24", 0, 120 },	  { "0.0.0.0/0", 0, 96 },
		{ "10.1.0.1/32", 0, 128 },	  { "2001:db8::/32", 0, 32 },
		{ "10.1.0.1/24", -EINVAL, 0 },	  { "10.1.0.0/33", -EINVAL, 0 },
		{ "10.1.0.0", -EINVAL, 0 },	  { "10.1.0.0/", -EINVAL, 0 },
		{ "10.1.0.0/-1", -EINVAL, 0 },	  { "10.1.0.0/2x", -EINVAL, 0 },
		{ "2001:db8::/129", -EINVAL, 0 }, { "::/0", 0, 0 },
		{ "::ffff:0:0/96", -EINVAL, 0 },  { "::ffff:10.0.0.0/24", -EINVAL, 0 },
	};
	char text[IP_PREFIX_TEXT];
	struct ip_prefix p;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_assert_eq(ip_prefix_parse(cases[i].text, &p), cases[i].rc, "%s", cases[i].text);
		if (cases[i].rc)
			continue;
		cr_assert_eq(p.bits, cases[i].bits, "%s", cases[i].text);
		cr_assert_str_eq(ip_prefix_format(&p, text), cases[i].text);
	}
}

Test(addr, prefixes_that_have_hosts)
{
	static const char *const good[] = { "0.0.0.0/0",     "::/0",	    "10.0.0.0/8", "126.0.0.0/7",
					    "0.0.0.0/7",     "128.0.0.0/1", "fe00::/7",	  "::/64",
					    "2001:db8::/32", "fe80::/64" };
	static const char *const bad[] = { "127.0.0.0/8", "127.1.0.0/16", "224.0.0.0/4", "224.0.0.0/3",
					   "0.0.0.0/8",	  "ff00::/8",	  "ff02::1/128", "::1/128",
					   "::/128",	  "::/120" };
	struct ip_prefix p;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		cr_assert(!ip_prefix_parse(good[i], &p) && ip_prefix_has_hosts(&p), "%s", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert(!ip_prefix_parse(bad[i], &p) && !ip_prefix_has_hosts(&p), "%s", bad[i]);
}

static bool inside(const char *prefix, const char *addr)
{
	struct ip_prefix p;
	struct ip_addr a;

	cr_assert(!ip_prefix_parse(prefix, &p) && !ip_parse(addr, &a));
	return ip_prefix_contains(&p, &a);
}

Test(addr, containment_at_the_edges)
{
	cr_assert(inside("10.1.0.0/23", "10.1.1.255"));
	cr_assert_not(inside("10.1.0.0/23", "10.1.2.0"));
	cr_assert_not(inside("10.1.0.0/23", "10.0.255.255"));
	cr_assert(inside("0.0.0.0/0", "203.0.113.9"));
	cr_assert_not(inside("0.0.0.0/0", "2001:db8::1"), "one family is not in the other");
	cr_assert_not(inside("::/0", "203.0.113.9"), "nor the other way");
	cr_assert(inside("::/0", "2001:db8::1"));
	cr_assert(inside("2001:db8::/33", "2001:db8:7fff::1"));
	cr_assert_not(inside("2001:db8::/33", "2001:db8:8000::1"));
	cr_assert(inside("10.1.0.7/32", "10.1.0.7"));
	cr_assert_not(inside("10.1.0.7/32", "10.1.0.6"));
}

Test(addr, macs)
{
	static const char *const bad[] = { "",
					   "02:00:00:00:01",
					   "02:00:00:00:01:0g",
					   "020000000101",
					   "02-00-00-00-01-01",
					   "02:00:00:00:01:01 ",
					   "02:00:00:00:01:011" };
	struct mac_addr mac;
	char text[MAC_TEXT];

	cr_assert_eq(mac_parse("02:Ab:00:00:01:fF", &mac), 0);
	cr_assert_str_eq(mac_format(&mac, text), "02:ab:00:00:01:ff");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(mac_parse(bad[i], &mac), -EINVAL, "'%s'", bad[i]);
	cr_assert(!mac_parse("02:00:00:00:00:01", &mac) && mac_is_host(&mac));
	cr_assert(!mac_parse("01:00:5e:00:00:01", &mac) && !mac_is_host(&mac));
	cr_assert(!mac_parse("00:00:00:00:00:00", &mac) && !mac_is_host(&mac));
}

Test(addr, link_local_by_mac)
{
	struct mac_addr mac;
	struct ip_addr addr;
	char text[IP_TEXT];

	cr_assert_eq(mac_parse("34:56:78:9a:bc:de", &mac), 0); /* the RFC's own example */
	addr = ip_link_local(&mac);
	cr_assert_str_eq(ip_format(&addr, text), "fe80::3656:78ff:fe9a:bcde");
	cr_assert(ip_is_link_local(&addr));
	cr_assert_eq(mac_parse("02:00:00:00:01:01", &mac), 0);
	addr = ip_link_local(&mac);
	cr_assert_str_eq(ip_format(&addr, text), "fe80::ff:fe00:101");
	cr_assert(!ip_parse("febf::1", &addr) && ip_is_link_local(&addr));
	cr_assert(!ip_parse("fec0::1", &addr) && !ip_is_link_local(&addr));
	cr_assert(!ip_parse("169.254.1.1", &addr) && !ip_is_link_local(&addr));
}
