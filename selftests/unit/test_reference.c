// SPDX-License-Identifier: Apache-2.0
/* Who is responsible for what: chains of delegations, the root zone, and who signs them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/authority.h"
#include "dps/reference.h"

#define NOW 1700000000

static struct sign_key *root_key, *acme_key, *eng_key, *globex_key, *other_key;
static struct reference ref;
static struct json_error err;

static struct delegation make(const char *domain, uint32_t first, uint32_t last, const struct sign_key *key,
			      uint64_t serial)
{
	struct delegation d = { .n_servers = 1,
				.n_keys = 1,
				.serial = serial,
				.issued = NOW,
				.expires = NOW + 3600,
				.keys = { *sign_key_public(key) } };

	strcpy(d.domain, domain);
	cr_assert_eq(ranges_add(&d.ranges, first, last), 0);
	strcpy(d.servers[0].name, "ns");
	cr_assert_eq(server_address_parse("192.0.2.1:6083", &d.servers[0].addresses[0]), 0);
	d.servers[0].n_addresses = 1;
	return d;
}

static struct signed_doc seal(const struct delegation *d, const struct sign_key *by)
{
	struct signed_doc doc;

	cr_assert_eq(delegation_sign(d, by, &doc), 0);
	return doc;
}

static void setup(void)
{
	struct sign_key **const keys[] = { &root_key, &acme_key, &eng_key, &globex_key, &other_key };
	struct delegation root = { .n_keys = 1, .n_servers = 1 };

	for (size_t i = 0; i < 5; i++)
		cr_assert_eq(sign_key_make(keys[i], NULL), 0);
	root.keys[0] = *sign_key_public(root_key);
	reference_init(&ref, 0);
	reference_anchor(&ref, &root);
}

static void teardown(void)
{
	struct sign_key *const keys[] = { root_key, acme_key, eng_key, globex_key, other_key };

	reference_free(&ref);
	for (size_t i = 0; i < 5; i++)
		sign_key_free(keys[i]);
}

TestSuite(reference, .init = setup, .fini = teardown);

static enum learned learn_at(const struct delegation *d, const struct sign_key *by, int64_t now)
{
	struct signed_doc doc = seal(d, by);
	enum learned rc = reference_learn(&ref, &doc, now, NULL);

	signed_free(&doc);
	return rc;
}

static enum learned learn(const char *domain, uint32_t first, uint32_t last, const struct sign_key *key,
			  uint64_t serial, const struct sign_key *by)
{
	struct delegation d = make(domain, first, last, key, serial);

	return learn_at(&d, by, NOW);
}

/* The zone that answers for the VNID. */
static const char *whose(uint32_t vnid, int64_t now)
{
	return reference_closest_vnid(&ref, vnid, now)->d.domain;
}

static void two_levels(void)
{
	cr_assert_eq(learn("acme", 256, 511, acme_key, 1, root_key), LEARN_NEW);
	cr_assert_eq(learn("acme/eng", 300, 399, eng_key, 1, acme_key), LEARN_NEW);
	cr_assert_eq(learn("globex", 600, 699, globex_key, 2, root_key), LEARN_NEW);
}

Test(reference, R21_the_deepest_is_responsible)
{
	two_levels();
	cr_assert_str_eq(whose(300, NOW), "acme/eng");
	cr_assert_str_eq(whose(399, NOW), "acme/eng");
	cr_assert_str_eq(whose(400, NOW), "acme");
	cr_assert_str_eq(whose(600, NOW), "globex");
	cr_assert_str_eq(whose(512, NOW), "");
	cr_assert_str_eq(reference_closest_domain(&ref, "acme/eng/x", NOW)->d.domain, "acme/eng");
	cr_assert_str_eq(reference_closest_domain(&ref, "acme/ops", NOW)->d.domain, "acme");
	cr_assert_str_eq(reference_closest_domain(&ref, "initech", NOW)->d.domain, "");
}

Test(reference, R25_only_what_the_parent_has_signed)
{
	cr_assert_eq(learn("acme/eng", 300, 399, eng_key, 1, acme_key), LEARN_ORPHAN);
	cr_assert_eq(learn("acme", 256, 511, acme_key, 1, other_key), LEARN_KEY);
	two_levels();
	cr_assert_eq(learn("acme/ops", 400, 410, other_key, 1, root_key), LEARN_KEY, "the grandparent");
	cr_assert_eq(learn("acme/ops", 400, 410, other_key, 1, globex_key), LEARN_KEY, "a neighbour");
	cr_assert_eq(learn("acme/ops", 400, 410, other_key, 1, eng_key), LEARN_KEY, "a sibling");
	cr_assert_eq(learn("acme/eng", 300, 399, other_key, 9, eng_key), LEARN_KEY, "itself");
	cr_assert_str_eq(whose(400, NOW), "acme");
}

Test(reference, R25_a_wrong_signature)
{
	struct delegation d = make("acme", 256, 511, acme_key, 1);
	struct signed_doc doc = seal(&d, root_key);

	doc.sig[7] ^= 1;
	cr_assert_eq(reference_learn(&ref, &doc, NOW, NULL), LEARN_FORGED);
	doc.sig[7] ^= 1;
	doc.body[strlen(doc.body) - 2] ^= 1; /* in "expires" */
	cr_assert_eq(reference_learn(&ref, &doc, NOW, NULL), LEARN_FORGED);
	doc.body[0] = '[';
	cr_assert_eq(reference_learn(&ref, &doc, NOW, NULL), LEARN_MALFORMED);
	cr_assert_str_eq(whose(256, NOW), "");
	signed_free(&doc);
}

Test(reference, R25_a_statement_is_no_delegation)
{
	struct delegation d = make("acme", 256, 511, acme_key, 1);
	struct signed_doc doc;

	cr_assert_eq(signed_make(root_key, SIGNED_STATEMENT, delegation_render(&d), &doc), 0);
	cr_assert_eq(reference_learn(&ref, &doc, NOW, NULL), LEARN_FORGED);
	signed_free(&doc);
}

Test(reference, R21_no_more_than_the_parent_has)
{
	two_levels();
	cr_assert_eq(learn("acme/ops", 500, 512, other_key, 2, acme_key), LEARN_RANGE);
	cr_assert_eq(learn("acme/ops", 255, 256, other_key, 2, acme_key), LEARN_RANGE);
	cr_assert_eq(learn("acme/eng/x", 299, 310, other_key, 2, eng_key), LEARN_RANGE);
	cr_assert_eq(learn("acme/ops", 500, 511, other_key, 2, acme_key), LEARN_NEW);
	/* what the parent loses its children lose, though they say otherwise */
	cr_assert_eq(learn("acme", 256, 350, acme_key, 3, root_key), LEARN_NEW);
	cr_assert_str_eq(whose(300, NOW), "acme", "eng has more than acme, and so nothing");
	cr_assert_str_eq(whose(505, NOW), "");
}

Test(reference, R21_siblings_never_overlap)
{
	two_levels();
	cr_assert_eq(learn("acme/ops", 390, 410, other_key, 2, acme_key), LEARN_NEW,
		     "later: eng's is outdated");
	cr_assert_str_eq(whose(395, NOW), "acme/ops");
	cr_assert_str_eq(whose(300, NOW), "acme");
	cr_assert_eq(learn("acme/eng", 300, 399, eng_key, 1, acme_key), LEARN_OLD);
	cr_assert_str_eq(whose(300, NOW), "acme");
	cr_assert_eq(learn("acme/eng", 300, 389, eng_key, 3, acme_key), LEARN_NEW);
	cr_assert_str_eq(whose(389, NOW), "acme/eng");
	cr_assert_str_eq(whose(390, NOW), "acme/ops");
}

Test(reference, R21_ends_with_its_time_and_its_parent)
{
	struct delegation d;

	two_levels();
	cr_assert_str_eq(whose(300, NOW + 3599), "acme/eng");
	cr_assert_str_eq(whose(300, NOW + 3600), "");
	d = make("acme/eng", 300, 399, eng_key, 5);
	d.expires = NOW + 7200;
	cr_assert_eq(learn_at(&d, acme_key, NOW), LEARN_NEW);
	cr_assert_str_eq(whose(300, NOW + 3600), "", "it outlives its parent in words only");
	d = make("acme", 256, 511, acme_key, 6);
	d.issued = NOW + 3000;
	d.expires = NOW + 9000;
	cr_assert_eq(learn_at(&d, root_key, NOW), LEARN_TIME);
	cr_assert_eq(learn_at(&d, root_key, NOW + 3000), LEARN_NEW);
	cr_assert_str_eq(whose(300, NOW + 3600), "acme/eng");
	cr_assert_str_eq(whose(300, NOW + 7200), "acme");
}

Test(reference, R25_ends_with_its_parents_key)
{
	struct delegation d;

	two_levels();
	d = make("acme", 256, 511, other_key, 3);
	cr_assert_eq(learn_at(&d, root_key, NOW), LEARN_NEW);
	cr_assert_str_eq(whose(300, NOW), "acme");
	cr_assert_eq(learn("acme/eng", 300, 399, eng_key, 1, acme_key), LEARN_KEY);
	cr_assert_eq(learn("acme/eng", 300, 399, eng_key, 2, other_key), LEARN_NEW);
	cr_assert_str_eq(whose(300, NOW), "acme/eng");
	d.keys[1] = *sign_key_public(acme_key);
	d.n_keys = 2;
	d.serial = 4;
	cr_assert_eq(learn_at(&d, root_key, NOW), LEARN_NEW);
	cr_assert_eq(learn("acme/eng", 300, 399, eng_key, 3, acme_key), LEARN_NEW,
		     "both are good for a while");
}

Test(reference, R21_an_older_one_is_not_taken_again)
{
	struct ask ask = { .kind = ASK_POLICY, .vnid = 300 };

	two_levels();
	cr_assert_eq(learn("acme/eng", 300, 310, eng_key, 7, acme_key), LEARN_NEW);
	cr_assert_eq(learn("acme/eng", 300, 399, eng_key, 1, acme_key), LEARN_OLD);
	cr_assert_str_eq(whose(320, NOW), "acme");
	cr_assert_not(reference_withdraw(&ref, "acme", &ask, 6), "a word from before");
	cr_assert_str_eq(whose(300, NOW), "acme/eng");
	cr_assert(reference_withdraw(&ref, "acme", &ask, 8));
	cr_assert_str_eq(whose(300, NOW), "acme");
	cr_assert_eq(learn("acme/eng", 300, 310, eng_key, 7, acme_key), LEARN_WITHDRAWN);
	cr_assert_eq(learn("acme/eng", 300, 310, eng_key, 8, acme_key), LEARN_WITHDRAWN);
	cr_assert_eq(learn("acme/eng", 300, 310, eng_key, 9, acme_key), LEARN_NEW);
	ask = (struct ask){ .kind = ASK_ZONE, .name = "acme/eng/deep" };
	cr_assert(reference_withdraw(&ref, "acme", &ask, 9), "by name, on the way to it");
	cr_assert_str_eq(whose(300, NOW), "acme");
}

Test(reference, R21_our_own_needs_no_proof)
{
	struct delegation self = make("acme", 256, 511, acme_key, 0);
	struct reply chain = { 0 };

	reference_anchor(&ref, &self);
	cr_assert_str_eq(whose(300, NOW + 1000000), "acme");
	cr_assert_eq(learn("acme/eng", 300, 399, eng_key, 1, acme_key), LEARN_NEW);
	cr_assert_str_eq(whose(300, NOW), "acme/eng");
	cr_assert_not(reference_chain(&ref, "", "acme/eng", NOW, &chain), "but to others");
	cr_assert_eq(learn("acme", 256, 300, acme_key, 4, root_key), LEARN_NEW);
	cr_assert_str_eq(whose(511, NOW), "acme", "what the parent says is only shown");
	cr_assert(reference_chain(&ref, "", "acme/eng", NOW, &chain));
	cr_assert_eq(chain.n_chain, 2);
	cr_assert_eq(learn("acme", 256, 300, acme_key, 3, root_key), LEARN_OLD);
	cr_assert_not(reference_withdraw(&ref, "", &(struct ask){ .kind = ASK_POLICY, .vnid = 300 }, 99));
	reply_free(&chain);
}

Test(reference, R22_chains)
{
	struct reply chain = { 0 };

	two_levels();
	cr_assert(reference_chain(&ref, "", "acme/eng", NOW, &chain));
	cr_assert_eq(chain.n_chain, 2);
	cr_assert(strstr(chain.chain[0].body, "\"acme\"") && strstr(chain.chain[1].body, "\"acme/eng\""));
	reply_free(&chain);
	cr_assert(reference_chain(&ref, "acme", "acme/eng", NOW, &chain));
	cr_assert_eq(chain.n_chain, 1);
	cr_assert(reference_chain(&ref, "acme/eng", "acme/eng", NOW, &chain));
	cr_assert_eq(chain.n_chain, 1, "nothing to prove");
	cr_assert_not(reference_chain(&ref, "globex", "acme/eng", NOW, &chain));
	cr_assert_not(reference_chain(&ref, "acme/eng", "acme", NOW, &chain));
	cr_assert_not(reference_chain(&ref, "", "acme/eng", NOW + 3600, &chain), "over");
	cr_assert_eq(chain.n_chain, 1);
	reply_free(&chain);
}

Test(reference, R26_is_bounded)
{
	char name[32];

	reference_free(&ref);
	reference_init(&ref, 100);
	reference_anchor(&ref, &(struct delegation){ .n_keys = 1, .keys = { *sign_key_public(root_key) } });
	cr_assert_eq(learn("acme", 256, 511, acme_key, 1, root_key), LEARN_NEW);
	cr_assert_eq(learn("acme/eng", 300, 399, eng_key, 1, acme_key), LEARN_NEW);
	for (uint32_t i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "d%u", i);
		cr_assert_eq(learn(name, 1000 + i, 1000 + i, other_key, 10 + i, root_key), LEARN_NEW);
		cr_assert_leq(ref.n, 100);
		cr_assert_str_eq(whose(300, NOW), "acme/eng", "what is in use stays");
	}
	cr_assert_str_eq(whose(1299, NOW), "d299");
	cr_assert_str_eq(whose(1000, NOW), "");
}

/* The root zone */

static struct authority writer;

static void open_writer(const struct sign_key *key)
{
	const struct authority_env env = { 0 };
	struct delegation d;

	authority_init(&writer, "", key, NULL, 0, &env);
	d = make("acme", 256, 511, acme_key, 0);
	cr_assert_eq(authority_delegate(&writer, &d, NOW, &err), 0);
	d = make("globex", 600, 699, globex_key, 0);
	cr_assert_eq(authority_delegate(&writer, &d, NOW, &err), 0);
}

static struct root_zone *write_zone(const struct sign_key *key, const struct signed_doc *succession, size_t n)
{
	struct delegation d = make("x", 1, 1, key, 1);

	return authority_zone(&writer, d.keys, 1, succession, n, d.servers, 1, NOW);
}

static int open_zone(const struct signed_doc *doc, uint64_t least, int64_t now, struct root_zone **out)
{
	return zone_open(doc, ref.root->d.keys, ref.root->d.n_keys, least, now, out, &err);
}

Test(reference, R21_root_zone)
{
	struct root_zone *zone, *again;

	open_writer(root_key);
	zone = write_zone(root_key, NULL, 0);
	cr_assert_eq(open_zone(&zone->doc, 0, NOW, &again), 0, "%s: %s", err.field, err.text);
	cr_assert_eq(again->serial, zone->serial);
	cr_assert_eq(again->n_delegations, 2);
	reference_root(&ref, again, true, NOW);
	cr_assert_str_eq(whose(300, NOW), "acme");
	cr_assert_str_eq(whose(600, NOW), "globex");
	zone_free(again);
	cr_assert_eq(open_zone(&zone->doc, zone->serial, NOW, &again), 0, "the same again is no rollback");
	zone_free(again);
	cr_assert_eq(open_zone(&zone->doc, zone->serial + 1, NOW, &again), -ESTALE);
	cr_assert_eq(open_zone(&zone->doc, 0, zone->expires, &again), -ETIME);
	cr_assert_eq(open_zone(&zone->doc, 0, NOW - CLOCK_SKEW - 1, &again), -EAGAIN);
	zone->doc.sig[0] ^= 1;
	cr_assert_eq(open_zone(&zone->doc, 0, NOW, &again), -EKEYREJECTED);
	zone_free(zone);
	/* what isn't in the next one is gone, and does not come back by its old delegation */
	cr_assert_eq(authority_withdraw(&writer, "acme", &err), 0);
	zone = write_zone(root_key, NULL, 0);
	reference_root(&ref, zone, true, NOW);
	cr_assert_str_eq(whose(300, NOW), "");
	cr_assert_eq(learn("acme", 256, 511, acme_key, 2, root_key), LEARN_WITHDRAWN);
	zone_free(zone);
	authority_free(&writer);
}

Test(reference, R21_root_zone_of_somebody_else)
{
	struct root_zone *zone, *again;

	open_writer(other_key);
	zone = write_zone(other_key, NULL, 0);
	cr_assert_eq(open_zone(&zone->doc, 0, NOW, &again), -EKEYREJECTED);
	zone_free(zone);
	authority_free(&writer);
}

Test(reference, R25_root_key_changes)
{
	struct root_zone *zone, *again;
	struct signed_doc links[2];

	cr_assert_eq(succession_sign(root_key, sign_key_public(eng_key), NOW, &links[0]), 0);
	cr_assert_eq(succession_sign(eng_key, sign_key_public(other_key), NOW, &links[1]), 0);
	open_writer(other_key);
	zone = write_zone(other_key, links, 1);
	cr_assert_eq(open_zone(&zone->doc, 0, NOW, &again), -EKEYREJECTED, "a link is missing");
	zone_free(zone);
	zone = write_zone(other_key, links, 2);
	cr_assert_eq(open_zone(&zone->doc, 0, NOW, &again), 0, "%s", err.text);
	reference_root(&ref, again, true, NOW);
	cr_assert_str_eq(whose(300, NOW), "acme");
	cr_assert_eq(learn("initech", 700, 799, acme_key, 9, root_key), LEARN_KEY,
		     "the first key is worth nothing now");
	zone_free(again);
	zone_free(zone);
	authority_free(&writer);
	/* and a zone signed by it is not taken any more */
	open_writer(root_key);
	writer.serial = 1000;
	zone = write_zone(root_key, NULL, 0);
	cr_assert_eq(open_zone(&zone->doc, 0, NOW, &again), -EKEYREJECTED);
	zone_free(zone);
	authority_free(&writer);
	signed_free(&links[0]);
	signed_free(&links[1]);
}

/* A zone that contradicts itself, though it is signed. */
static void contradicts(struct root_zone *zone, const char *field)
{
	struct root_zone *again;

	cr_assert_eq(zone_sign(zone, root_key), 0);
	cr_assert_eq(open_zone(&zone->doc, 0, NOW, &again), -EINVAL);
	cr_assert_str_eq(err.field, field, "%s: %s", err.field, err.text);
	memset(&err, 0, sizeof(err));
}

static void replace(struct root_zone *zone, size_t i, const struct delegation *d, const struct sign_key *by)
{
	signed_free(&zone->delegations[i].doc);
	zone->delegations[i].doc = seal(d, by);
}

Test(reference, R21_root_zone_parts_are_looked_at)
{
	struct delegation d = make("globex", 500, 699, globex_key, 1);
	struct root_zone *zone;

	open_writer(root_key);
	zone = write_zone(root_key, NULL, 0);
	replace(zone, 1, &d, root_key);
	contradicts(zone, "delegations");
	d = make("acme", 700, 799, globex_key, 1);
	replace(zone, 1, &d, root_key);
	contradicts(zone, "delegations");
	d = make("globex/eng", 600, 699, globex_key, 1);
	replace(zone, 1, &d, root_key);
	contradicts(zone, "delegations[1].domain");
	d = make("globex", 600, 699, globex_key, 1);
	replace(zone, 1, &d, other_key);
	contradicts(zone, "delegations[1].key");
	replace(zone, 1, &d, root_key);
	zone->expires = zone->issued + DELEGATION_LIFE_MAX + 1;
	contradicts(zone, "expires");
	zone->expires--;
	zone->n_servers = 0;
	contradicts(zone, "servers");
	zone_free(zone);
	authority_free(&writer);
}

Test(reference, R22_root_zone_says_what_there_is_not)
{
	struct ask ask = { .kind = ASK_POLICY }, name = { .kind = ASK_ZONE };
	struct root_zone *zone;
	struct statement s;

	open_writer(root_key);
	zone = write_zone(root_key, NULL, 0);
	for (uint32_t vnid = 1; vnid < 800; vnid++) {
		const struct signed_doc *doc = zone_denial(zone, vnid, NULL);
		bool delegated = (vnid >= 256 && vnid <= 511) || (vnid >= 600 && vnid <= 699);

		cr_assert_eq(doc == NULL, delegated, "VNID %u", vnid);
		if (!doc)
			continue;
		cr_assert(signed_by(doc, SIGNED_STATEMENT, zone->keys, 1));
		cr_assert_eq(statement_parse(doc->body, doc->len, &s, &err), 0);
		ask.vnid = vnid;
		cr_assert(ask_answered(&ask, &s), "VNID %u: %s", vnid, doc->body);
	}
	cr_assert(zone_denial(zone, VNID_LAST, NULL));
	for (const char *const *n = (const char *const[]){ "aaa", "acme1", "initech", "zzz", NULL }; *n;
	     n++) {
		const struct signed_doc *doc = zone_denial(zone, 0, *n);

		cr_assert(doc, "%s", *n);
		cr_assert_eq(statement_parse(doc->body, doc->len, &s, &err), 0);
		strcpy(name.name, *n);
		cr_assert(ask_answered(&name, &s), "%s: %s", *n, doc->body);
	}
	cr_assert_null(zone_denial(zone, 0, "acme"));
	cr_assert_null(zone_denial(zone, 0, "globex"));
	zone_free(zone);
	authority_free(&writer);
}
