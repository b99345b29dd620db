// SPDX-License-Identifier: Apache-2.0
/* Ranges of VNIDs, names of domains, and what a delegation says. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/delegation.h"

static struct vnid_ranges set(const char *text)
{
	struct vnid_ranges out = { .n = 0 };
	unsigned int first, last;
	int used;

	for (; sscanf(text, "%u-%u%n", &first, &last, &used) == 2; text += used + (text[used] == ','))
		cr_assert_eq(ranges_add(&out, first, last), 0);
	return out;
}

static const char *show(const struct vnid_ranges *r)
{
	static char text[512];
	size_t len = 0;

	*text = '\0';
	for (size_t i = 0; i < r->n; i++)
		len += snprintf(text + len, sizeof(text) - len, "%s%u-%u", i ? "," : "", r->v[i].first,
				r->v[i].last);
	return text;
}

static const char *without(const char *a, const char *b)
{
	struct vnid_ranges x = set(a), y = set(b);

	cr_assert_eq(ranges_remove(&x, &y), 0);
	return show(&x);
}

Test(ranges, R21_are_sorted_and_apart)
{
	struct vnid_ranges r = set("10-19,40-49,20-29,5-5");

	cr_assert_str_eq(show(&r), "5-5,10-29,40-49");
	cr_assert_eq(ranges_add(&r, 30, 39), 0);
	cr_assert_str_eq(show(&r), "5-5,10-49");
	cr_assert_eq(ranges_add(&r, 49, 60), -EEXIST);
	cr_assert_eq(ranges_add(&r, 1, 5), -EEXIST);
	cr_assert_eq(ranges_add(&r, 0, 4), -EINVAL);
	cr_assert_eq(ranges_add(&r, 60, 59), -EINVAL);
	cr_assert_eq(ranges_add(&r, 60, VNID_LAST + 1), -EINVAL);
	cr_assert_str_eq(show(&r), "5-5,10-49");
}

Test(ranges, R21_taking_away)
{
	cr_assert_str_eq(without("10-20", "12-14"), "10-11,15-20");
	cr_assert_str_eq(without("10-20", "1-9,21-30"), "10-20");
	cr_assert_str_eq(without("10-20", "1-10,20-20"), "11-19");
	cr_assert_str_eq(without("10-20,30-40", "15-35"), "10-14,36-40");
	cr_assert_str_eq(without("10-20,30-40", "1-100"), "");
	cr_assert_str_eq(without("1-16777215", "16777215-16777215"), "1-16777214");
}

/* By bits, for all pairs of small sets. */
static uint32_t bits_of(const struct vnid_ranges *r)
{
	uint32_t bits = 0;

	for (uint32_t v = 1; v <= 8; v++)
		bits |= ranges_has(r, v) ? 1u << v : 0;
	return bits;
}

static struct vnid_ranges of_bits(uint32_t bits)
{
	struct vnid_ranges out = { .n = 0 };

	for (uint32_t v = 1; v <= 8; v++)
		if (bits & 1u << v)
			cr_assert_eq(ranges_add(&out, v, v), 0);
	return out;
}

Test(ranges, R21_as_sets_of_bits)
{
	for (uint32_t i = 0; i < 256; i++)
		for (uint32_t j = 0; j < 256; j++) {
			struct vnid_ranges a = of_bits(i << 1), b = of_bits(j << 1), c = a;
			uint32_t meet = i & j, excess = i & ~j, vnid = 0;

			cr_assert_eq(ranges_meet(&a, &b, &vnid), meet != 0);
			cr_assert(!meet || vnid == (uint32_t)__builtin_ctz(meet) + 1);
			cr_assert_eq(ranges_exceed(&a, &b, &vnid), excess != 0);
			cr_assert(!excess || (ranges_has(&a, vnid) && !ranges_has(&b, vnid)) ||
				  vnid == VNID_LAST + 1);
			cr_assert_eq(ranges_remove(&c, &b), 0);
			cr_assert_eq(bits_of(&c), excess << 1);
			cr_assert_eq(ranges_equal(&a, &b), i == j);
		}
}

Test(ranges, R21_next)
{
	struct vnid_ranges r = set("10-12,20-20");

	cr_assert_eq(ranges_next(&r, 0), 10);
	cr_assert_eq(ranges_next(&r, 10), 11);
	cr_assert_eq(ranges_next(&r, 12), 20);
	cr_assert_eq(ranges_next(&r, 20), 0);
}

Test(domain, R21_names)
{
	static const char *const good[] = { "acme", "acme/eng", "a.b-c_d/9",
					    "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a" };
	static const char *const bad[] = { "",
					   "/",
					   "acme/",
					   "/acme",
					   "acme//eng",
					   "-a",
					   "a b",
					   "a:b",
					   "acme/../x",
					   "..",
					   "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a",
					   "a\xc3\xa4" };
	char text[DOMAIN_ROOM];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		cr_assert(domain_check(good[i]), "%s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_not(domain_check(bad[i]), "%s", bad[i]);
	cr_assert_eq(domain_depth(""), 0);
	cr_assert_eq(domain_depth("acme/eng"), 2);
	domain_parent("acme/eng", text);
	cr_assert_str_eq(text, "acme");
	domain_parent(text, text);
	cr_assert_str_eq(text, "");
	cr_assert(domain_within("acme/eng", "acme") && domain_within("acme", "acme") &&
		  domain_within("acme", ""));
	cr_assert_not(domain_within("acmeng", "acme"));
	cr_assert_not(domain_within("acme", "acme/eng"));
	cr_assert(domain_is_child("acme", "") && domain_is_child("acme/eng", "acme"));
	cr_assert_not(domain_is_child("acme/eng", ""));
	cr_assert_not(domain_is_child("", ""));
	cr_assert(domain_toward("acme/eng/x", "acme", text));
	cr_assert_str_eq(text, "acme/eng");
	cr_assert(domain_toward("acme/eng", "", text));
	cr_assert_str_eq(text, "acme");
	cr_assert_not(domain_toward("acme", "acme", text));
	cr_assert_not(domain_toward("globex", "acme", text));
}

Test(domain, R21_full_names)
{
	char text[DOMAIN_ROOM];

	cr_assert(domain_of_name("acme/eng:blue/vm1", text));
	cr_assert_str_eq(text, "acme/eng");
	cr_assert(domain_of_name("acme:blue", text));
	cr_assert_not(domain_of_name("acme", text));
	cr_assert_not(domain_of_name(":blue", text));
	cr_assert_not(domain_of_name("acme:", text));
	cr_assert_not(domain_of_name("acme:blue/vm1/x", text));
	cr_assert_not(domain_of_name("acme:blue:x", text));
}

/* Delegations */

static struct delegation example(void)
{
	struct delegation d = { .domain = "acme/eng",
				.ranges = set("300-399,500-500"),
				.n_servers = 2,
				.n_keys = 2,
				.serial = 7,
				.issued = 1700000000,
				.expires = 1700003600 };

	strcpy(d.servers[0].name, "ns1.eng.acme");
	cr_assert_eq(server_address_parse("192.0.2.1:6083", &d.servers[0].addresses[0]), 0);
	cr_assert_eq(server_address_parse("[2001:db8::1]:6084", &d.servers[0].addresses[1]), 0);
	d.servers[0].n_addresses = 2;
	strcpy(d.servers[1].name, "ns2.eng.acme");
	d.servers[1].addresses[0] = d.servers[0].addresses[0];
	d.servers[1].n_addresses = 1;
	memset(d.keys[0].b, 1, SIGN_PUBLIC_BYTES);
	memset(d.keys[1].b, 2, SIGN_PUBLIC_BYTES);
	return d;
}

Test(delegation, R21_there_and_back)
{
	struct delegation d = example(), again;
	struct json_error err = { 0 };
	char *body = delegation_render(&d), *twice;

	cr_assert_eq(delegation_parse(body, strlen(body), &again, &err), 0, "%s: %s", err.field, err.text);
	cr_assert_str_eq(again.domain, "acme/eng");
	cr_assert(ranges_equal(&again.ranges, &d.ranges));
	cr_assert_eq(again.n_servers, 2);
	cr_assert_str_eq(again.servers[0].name, "ns1.eng.acme");
	cr_assert(server_address_equal(&again.servers[0].addresses[1], &d.servers[0].addresses[1]));
	cr_assert(delegation_has_key(&again, &d.keys[1]));
	cr_assert_eq(again.serial, 7);
	cr_assert_eq(again.expires, 1700003600);
	twice = delegation_render(&again);
	cr_assert_str_eq(body, twice);
	free(body);
	free(twice);
}

/* The example with one field's JSON replaced (NULL: taken out) is refused, and the field named. */
static void refused(const char *field, const char *value, const char *named)
{
	struct delegation d = example(), out = { .serial = 99 };
	struct json_error err = { 0 };
	char *body = delegation_render(&d);
	cJSON *json = cJSON_Parse(body);

	free(body);
	cJSON_DeleteItemFromObject(json, field);
	if (value)
		cJSON_AddItemToObject(json, field, cJSON_Parse(value));
	body = cJSON_PrintUnformatted(json);
	cJSON_Delete(json);
	cr_assert_eq(delegation_parse(body, strlen(body), &out, &err), -EINVAL, "%s", body);
	cr_assert_str_eq(err.field, named, "%s: %s", err.field, err.text);
	cr_assert_eq(out.serial, 99);
	free(body);
}

Test(delegation, R21_what_is_wrong_is_named)
{
	refused("domain", NULL, "domain");
	refused("domain", "\"acme//eng\"", "domain");
	refused("domain", "\"\"", "domain");
	refused("ranges", "[]", "ranges");
	refused("ranges", "[[300,399],[399,400]]", "ranges[1]");
	refused("ranges", "[[0,5]]", "ranges[0]");
	refused("ranges", "[[5,4]]", "ranges[0]");
	refused("ranges", "[[5,16777216]]", "ranges[0]");
	refused("ranges", "[[5]]", "ranges[0]");
	refused("ranges", "[5,6]", "ranges[0]");
	refused("servers", "[]", "servers");
	refused("servers",
		"[{\"name\":\"a\",\"addresses\":[\"192.0.2.1:1\"]},{\"name\":\"b\",\"addresses\":[]}]",
		"servers[1].addresses");
	refused("servers", "[{\"name\":\"a b\",\"addresses\":[\"192.0.2.1:1\"]}]", "servers[0].name");
	refused("servers", "[{\"name\":\"a\",\"addresses\":[\"192.0.2.1\"]}]", "servers[0].addresses[0]");
	refused("servers", "[{\"name\":\"a\",\"addresses\":[\"192.0.2.1:0\"]}]", "servers[0].addresses[0]");
	refused("servers", "[{\"name\":\"a\",\"addresses\":[\"2001:db8::1:6083\"]}]",
		"servers[0].addresses[0]");
	refused("servers", "[{\"name\":\"a\",\"addresses\":[\"[192.0.2.1]:6083\"]}]",
		"servers[0].addresses[0]");
	refused("keys", "[]", "keys");
	refused("keys", "[\"AAAA\"]", "keys[0]");
	refused("serial", "0", "serial");
	refused("serial", "1.5", "serial");
	refused("issued", "-1", "issued");
	refused("expires", "1700000000", "expires");
	refused("expires", "1700086401", "expires");
	refused("more", "1", "more");
}

Test(delegation, R21_times)
{
	cr_assert_eq(delegation_times(1000, 2000, 1000), 0);
	cr_assert_eq(delegation_times(1000, 2000, 1999), 0);
	cr_assert_eq(delegation_times(1000, 2000, 2000), -ETIME);
	cr_assert_eq(delegation_times(1000, 2000, 1000 - CLOCK_SKEW), 0);
	cr_assert_eq(delegation_times(1000, 2000, 999 - CLOCK_SKEW), -EAGAIN);
}

Test(delegation, any_bytes_are_parsed_or_refused)
{
	struct delegation d = example(), out;
	struct json_error err = { 0 };
	char *body = delegation_render(&d);
	size_t len = strlen(body);

	for (size_t i = 0; i < len; i++) {
		cr_assert_eq(delegation_parse(body, i, &out, &err), -EINVAL);
		for (int bit = 0; bit < 8; bit++) {
			body[i] ^= 1 << bit;
			delegation_parse(body, len, &out, &err);
			body[i] ^= 1 << bit;
		}
	}
	free(body);
}
