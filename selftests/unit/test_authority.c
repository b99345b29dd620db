// SPDX-License-Identifier: Apache-2.0
/* R21: who gives what to whom. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/authority.h"

#define NOW 1700000000

static struct sign_key *key, *child_key;
static struct authority a;
static struct json_error err;
static uint32_t own_vnid;
static uint64_t own_revision;
static unsigned int found;

static int find(void *arg, const struct ask *ask, struct finding *out)
{
	found++;
	if (ask->kind == ASK_POLICY && ask->vnid == own_vnid) {
		*out = (struct finding){ .kind = STATEMENT_POLICY,
					 .whole = true,
					 .vnid = own_vnid,
					 .sequence = own_revision,
					 .lifetime = 100 };
		out->answer = cJSON_CreateObject();
		cJSON_AddStringToObject(out->answer, "verdict", "allow");
		cJSON_AddNumberToObject(out->answer, "vnid", own_vnid);
	}
	return 0;
}

static uint64_t version(void *arg)
{
	return own_revision;
}

static uint32_t used(void *arg, struct vnid_range r)
{
	return own_vnid >= r.first && own_vnid <= r.last ? own_vnid : 0;
}

static void setup(void)
{
	const struct authority_env env = { .find = find, .version = version, .used = used };
	struct vnid_ranges ranges = { .v = { { 256, 511 } }, .n = 1 };

	cr_assert_eq(sign_key_make(&key, NULL), 0);
	cr_assert_eq(sign_key_make(&child_key, NULL), 0);
	authority_init(&a, "acme", key, &ranges, 10, &env);
	own_vnid = 256;
	own_revision = 3;
}

static void teardown(void)
{
	authority_free(&a);
	sign_key_free(key);
	sign_key_free(child_key);
}

TestSuite(authority, .init = setup, .fini = teardown);

static int give(const char *domain, uint32_t first, uint32_t last, int64_t now)
{
	struct delegation d = { .n_servers = 1, .n_keys = 1, .keys = { *sign_key_public(child_key) } };

	strcpy(d.domain, domain);
	cr_assert_eq(ranges_add(&d.ranges, first, last), 0);
	strcpy(d.servers[0].name, "ns");
	cr_assert_eq(server_address_parse("192.0.2.1:6083", &d.servers[0].addresses[0]), 0);
	d.servers[0].n_addresses = 1;
	memset(&err, 0, sizeof(err));
	return authority_delegate(&a, &d, now, &err);
}

static const struct child *child_of(uint32_t vnid)
{
	struct ask ask = { .kind = ASK_POLICY, .vnid = vnid };

	return authority_child(&a, &ask);
}

Test(authority, R21_what_it_may_give)
{
	struct delegation empty = { .domain = "acme/x" };

	cr_assert_eq(give("acme/eng", 300, 399, NOW), 0, "%s", err.text);
	cr_assert_eq(a.serial, 11);
	cr_assert_eq(give("acme/ops", 399, 410, NOW), -EEXIST);
	cr_assert_str_eq(err.field, "ranges");
	cr_assert_eq(give("acme/ops", 500, 512, NOW), -ERANGE);
	cr_assert_eq(give("acme/ops", 256, 260, NOW), -EEXIST, "a network of its own is there");
	cr_assert_eq(give("acme", 300, 310, NOW), -EINVAL);
	cr_assert_eq(give("acme/eng/x", 400, 410, NOW), -EINVAL, "a grandchild");
	cr_assert_eq(give("globex", 400, 410, NOW), -EINVAL);
	cr_assert_eq(authority_delegate(&a, &empty, NOW, &err), -EINVAL);
	cr_assert_str_eq(err.field, "ranges");
	cr_assert_eq(a.serial, 11, "a refusal changes nothing");
	cr_assert_eq(give("acme/ops", 400, 410, NOW), 0);
	cr_assert_eq(give("acme/eng", 290, 399, NOW), 0, "more for the same");
	cr_assert_str_eq(child_of(290)->d.domain, "acme/eng");
	cr_assert_null(child_of(411));
}

Test(authority, R21_what_one_has_lost_waits)
{
	uint64_t serial;

	cr_assert_eq(give("acme/eng", 300, 399, NOW), 0);
	cr_assert_eq(give("acme/eng", 300, 349, NOW + 100), 0);
	cr_assert_eq(give("acme/ops", 340, 380, NOW + 101), -EEXIST);
	cr_assert_eq(give("acme/ops", 360, 380, NOW + 101), -EEXIST, "it may still be believed to be eng's");
	cr_assert_eq(authority_next_vnid(&a, 349, NOW + 101), 400);
	cr_assert_eq(give("acme/ops", 360, 380, NOW + AUTHORITY_LIFE), 0);
	cr_assert_eq(authority_next_vnid(&a, 349, NOW + AUTHORITY_LIFE), 350);
	serial = a.serial;
	cr_assert_eq(authority_withdraw(&a, "acme/eng", &err), 0);
	cr_assert_gt(a.serial, serial, "of two words the later shows");
	cr_assert_eq(authority_withdraw(&a, "acme/eng", &err), -ENOENT);
	cr_assert_eq(give("acme/ops", 345, 380, NOW + AUTHORITY_LIFE), -EEXIST);
	cr_assert_eq(give("acme/eng", 345, 349, NOW + AUTHORITY_LIFE), 0, "but for the same one");
	authority_renew(&a, NOW + 4 * AUTHORITY_LIFE);
	cr_assert_null(a.leaving);
}

Test(authority, R21_is_renewed_and_signed_anew)
{
	struct sign_public keys[2] = { *sign_key_public(key), *sign_key_public(child_key) };
	const struct child *child;

	cr_assert_eq(give("acme/eng", 300, 399, NOW), 0);
	cr_assert_eq(authority_renew(&a, NOW + AUTHORITY_LIFE / 2 - 1), 0);
	cr_assert_eq(authority_renew(&a, NOW + AUTHORITY_LIFE / 2), 1);
	child = child_of(300);
	cr_assert_eq(child->d.expires, NOW + AUTHORITY_LIFE / 2 + AUTHORITY_LIFE);
	cr_assert_eq(child->d.serial, 12);
	authority_rekey(&a, child_key, NOW);
	cr_assert_eq(signed_by(&child->doc, SIGNED_DELEGATION, keys, 2), &keys[1]);
}

Test(authority, R21_children_are_cut_to_what_is_left)
{
	struct vnid_ranges less = { .v = { { 256, 320 } }, .n = 1 };

	cr_assert_eq(give("acme/eng", 300, 399, NOW), 0);
	cr_assert_eq(give("acme/ops", 400, 410, NOW), 0);
	cr_assert_eq(give("acme/it", 270, 280, NOW), 0);
	cr_assert_eq(authority_resize(&a, &less, NOW), 2);
	cr_assert_str_eq(child_of(320)->d.domain, "acme/eng");
	cr_assert_null(child_of(321));
	cr_assert_null(child_of(400));
	cr_assert_str_eq(child_of(270)->d.domain, "acme/it");
}

/* At random: whatever was given, at every moment what may be believed of two children never overlaps. */
Test(authority, R21_ranges_never_overlap)
{
	static struct {
		struct vnid_ranges ranges;
		int64_t until;
		int child;
	} given[4000];
	size_t n = 0, refused = 0;
	uint32_t vnid;

	srandom(7);
	for (int64_t now = NOW; n < 2000; now += random() % 600) {
		int child = (int)(random() % 5);
		uint32_t first = 257 + random() % 255, last = first + random() % 40;
		char name[16];

		snprintf(name, sizeof(name), "acme/c%d", child);
		authority_renew(&a, now);
		for (const struct child *c = a.children; c; c = c->hh.next)
			for (size_t i = 0; i < n; i++)
				if (given[i].child == c->d.domain[6] - '0' &&
				    ranges_equal(&given[i].ranges, &c->d.ranges))
					given[i].until = c->d.expires;
		if (random() % 4 == 0) {
			authority_withdraw(&a, name, &err);
			continue;
		}
		if (give(name, first, last, now)) {
			refused++;
			continue;
		}
		given[n].child = child;
		given[n].until = now + AUTHORITY_LIFE;
		given[n].ranges = (struct vnid_ranges){ .v = { { first, last } }, .n = 1 };
		for (size_t i = 0; i < n; i++)
			cr_assert(given[i].child == child || given[i].until <= now ||
					  !ranges_meet(&given[i].ranges, &given[n].ranges, &vnid),
				  "VNID %u is believed to be c%d's and c%d's", vnid, given[i].child, child);
		cr_assert_not(ranges_has(&given[n].ranges, own_vnid));
		n++;
	}
	cr_assert_gt(refused, 100, "the test refuses too little to be one");
}

static struct reply ask_it(struct ask ask, int64_t now)
{
	struct reply reply = { 0 };

	cr_assert(authority_covers(&a, &ask));
	authority_answer(&a, &ask, now, &reply);
	return reply;
}

static struct statement read_statement(const struct reply *reply)
{
	struct statement s;

	cr_assert_eq(reply->status, REPLY_ANSWER);
	cr_assert(signed_by(&reply->doc, SIGNED_STATEMENT, sign_key_public(key), 1));
	cr_assert_eq(statement_parse(reply->doc.body, reply->doc.len, &s, &err), 0, "%s: %s", err.field,
		     err.text);
	return s;
}

Test(authority, R24_answers_are_signed_once_a_version)
{
	struct ask ask = { .kind = ASK_POLICY, .vnid = 256, .source = 1 };
	struct reply one = ask_it(ask, NOW), two = ask_it(ask, NOW + 40);
	struct statement s = read_statement(&one);

	cr_assert(!s.refuses && s.decided_by == 256 && s.sequence == 3 && s.lifetime == 100);
	cr_assert_eq(found, 1);
	cr_assert(signed_equal(&one.doc, &two.doc));
	reply_free(&two);
	two = ask_it(ask, NOW + 60); /* half of its life is over */
	cr_assert_eq(found, 2);
	reply_free(&two);
	own_revision = 4;
	two = ask_it(ask, NOW + 60);
	s = read_statement(&two);
	cr_assert_eq(s.sequence, 4);
	reply_free(&one);
	reply_free(&two);
}

Test(authority, R22_says_what_there_is_not)
{
	struct reply r = ask_it((struct ask){ .kind = ASK_POLICY, .vnid = 257, .source = 1 }, NOW);
	struct statement s = read_statement(&r);

	cr_assert(s.kind == STATEMENT_NO_NETWORK && s.vnids.first == 257 && s.vnids.last == 257);
	reply_free(&r);
	cr_assert_eq(give("acme/eng", 300, 399, NOW), 0);
	cr_assert_eq(give("acme/ops", 400, 410, NOW), 0);
	r = ask_it((struct ask){ .kind = ASK_NAME, .name = "acme/it:blue" }, NOW);
	s = read_statement(&r);
	cr_assert(s.kind == STATEMENT_NO_DELEGATION && s.between);
	cr_assert_str_eq(s.after, "acme/eng");
	cr_assert_str_eq(s.before, "acme/ops");
	cr_assert_eq(s.sequence, a.serial);
	reply_free(&r);
	r = ask_it((struct ask){ .kind = ASK_NAME, .name = "acme/eng:blue" }, NOW);
	cr_assert_eq(r.status, REPLY_REFERRAL);
	cr_assert_eq(r.n_chain, 1);
	reply_free(&r);
	r = ask_it((struct ask){ .kind = ASK_POLICY, .vnid = 405, .source = 1 }, NOW);
	cr_assert_eq(r.status, REPLY_REFERRAL);
	reply_free(&r);
	cr_assert_not(authority_covers(&a, &(struct ask){ .kind = ASK_ZONE, .name = "acme" }),
		      "its parent's to say");
	cr_assert_not(authority_covers(&a, &(struct ask){ .kind = ASK_POLICY, .vnid = 512 }));
	cr_assert_not(authority_covers(&a, &(struct ask){ .kind = ASK_NAME, .name = "globex:blue" }));
}
