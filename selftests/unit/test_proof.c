// SPDX-License-Identifier: Apache-2.0
/* What a host believes with the root's keys alone. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "lib/proof.h"
#include "lib/succession.h"

#define NOW 1700000000

static struct sign_key *root, *acme, *eng, *other;
static struct proofs *proofs;
static uint64_t serial;

static void setup(void)
{
	struct sign_key **keys[] = { &root, &acme, &eng, &other };

	for (size_t i = 0; i < 4; i++)
		cr_assert_eq(sign_key_make(keys[i], NULL), 0);
	proofs = proof_open(sign_key_public(root), 1);
	serial = 1;
}

static void teardown(void)
{
	proof_close(proofs);
	sign_key_free(root);
	sign_key_free(acme);
	sign_key_free(eng);
	sign_key_free(other);
}

TestSuite(proof, .init = setup, .fini = teardown);

static struct signed_doc delegate(const char *domain, uint32_t first, uint32_t last,
				  const struct sign_key *key, const struct sign_key *by, int64_t life)
{
	struct delegation d = {
		.serial = serial++, .issued = NOW, .expires = NOW + life, .n_servers = 1, .n_keys = 1
	};
	struct signed_doc doc;

	strcpy(d.domain, domain);
	cr_assert_eq(ranges_add(&d.ranges, first, last), 0);
	strcpy(d.servers[0].name, "ns1");
	d.servers[0].n_addresses = 1;
	cr_assert_eq(server_address_parse("192.0.2.1:1", &d.servers[0].addresses[0]), 0);
	d.keys[0] = *sign_key_public(key);
	cr_assert_eq(delegation_sign(&d, by, &doc), 0);
	return doc;
}

static int learn(struct signed_doc a, struct signed_doc b, int64_t now)
{
	struct signed_doc chain[2] = { a, b };
	int rc = proof_learn(proofs, chain, b.body ? 2 : 1, now);

	signed_free(&chain[0]);
	signed_free(&chain[1]);
	return rc;
}

static const struct signed_doc nothing;

static int believe(const char *zone, uint32_t vnid, const struct sign_key *by, int64_t now)
{
	struct translation t = { .vnid = vnid,
				 .from_vnid = vnid,
				 .source = 5,
				 .issued = NOW,
				 .expires = NOW + 10000,
				 .outcome.dscp = -1 },
			   out;
	struct translation_doc doc;
	int rc;

	strcpy(t.zone, zone);
	cr_assert_eq(translation_sign(&t, by, &doc), 0);
	rc = proof_translation(proofs, &doc, now, &out);
	if (rc == -ENOKEY)
		cr_assert_str_eq(out.zone, zone, "it says whose chain is missing");
	translation_doc_free(&doc);
	return rc;
}

Test(proof, by_chain)
{
	cr_assert_eq(believe("acme/eng", 300, eng, NOW), -ENOKEY);
	cr_assert_eq(learn(delegate("acme", 256, 511, acme, root, 3600),
			   delegate("acme/eng", 300, 399, eng, acme, 3600), NOW),
		     0);
	cr_assert_eq(believe("acme/eng", 300, eng, NOW), 0);
	cr_assert_eq(believe("acme", 256, acme, NOW), 0);
	cr_assert_eq(believe("", 7, root, NOW), 0, "a service that stands alone");
}

Test(proof, only_for_its_own)
{
	learn(delegate("acme", 256, 511, acme, root, 3600), delegate("acme/eng", 300, 399, eng, acme, 3600),
	      NOW);
	cr_assert_eq(believe("acme/eng", 400, eng, NOW), -ERANGE);
	cr_assert_eq(believe("acme", 300, acme, NOW), -ERANGE, "it has delegated that away");
	cr_assert_eq(believe("", 300, root, NOW), -ERANGE);
	cr_assert_eq(believe("acme/eng", 300, acme, NOW), -ENOKEY, "the parent's key is not the child's");
	cr_assert_eq(believe("acme/eng", 300, other, NOW), -ENOKEY);
	cr_assert_eq(believe("", 7, other, NOW), -EKEYREJECTED);
}

Test(proof, bad_chains)
{
	cr_assert_eq(learn(delegate("acme", 256, 511, acme, other, 3600), nothing, NOW), -EKEYREJECTED);
	cr_assert_eq(learn(delegate("acme/eng", 300, 399, eng, root, 3600), nothing, NOW), -EINVAL,
		     "not the root's child");
	cr_assert_eq(learn(delegate("acme", 256, 511, acme, root, 3600),
			   delegate("acme/eng", 500, 600, eng, acme, 3600), NOW),
		     -ERANGE);
	cr_assert_eq(believe("acme", 256, acme, NOW), 0, "what held of it is learnt");
	cr_assert_eq(believe("acme/eng", 500, eng, NOW), -ENOKEY);
	cr_assert_eq(learn(delegate("globex", 600, 699, other, root, 60), nothing, NOW + 60), -ETIME);
	cr_assert_eq(learn(delegate("globex", 600, 699, other, root, 600), nothing, NOW - CLOCK_SKEW - 1),
		     -EAGAIN);
}

Test(proof, what_ends_above_ends_below)
{
	learn(delegate("acme", 256, 511, acme, root, 1000), delegate("acme/eng", 300, 399, eng, acme, 3600),
	      NOW);
	cr_assert_eq(believe("acme/eng", 300, eng, NOW + 999), 0);
	cr_assert_eq(believe("acme/eng", 300, eng, NOW + 1000), -ENOKEY);
	/* renewed, with another key: what the old one signed is worth nothing */
	cr_assert_eq(learn(delegate("acme", 256, 511, other, root, 3600), nothing, NOW + 900), 0);
	cr_assert_eq(believe("acme/eng", 300, eng, NOW + 900), -ENOKEY);
	cr_assert_eq(believe("acme", 256, other, NOW + 900), 0);
	cr_assert_eq(believe("acme", 256, acme, NOW + 900), -ENOKEY);
}

Test(proof, an_old_word_changes_nothing)
{
	struct signed_doc old = delegate("acme", 256, 511, other, root, 3600);

	cr_assert_eq(learn(delegate("acme", 256, 300, acme, root, 3600), nothing, NOW), 0);
	cr_assert_eq(learn(old, nothing, NOW), 0);
	cr_assert_eq(believe("acme", 256, acme, NOW), 0);
	cr_assert_eq(believe("acme", 256, other, NOW), -ENOKEY);
	cr_assert_eq(believe("acme", 400, acme, NOW), -ERANGE);
}

/* A root zone as far as a host looks at it: `by` signs it, and `keys` are those of today. */
static struct signed_doc root_zone(uint64_t number, const struct sign_key *by, const struct sign_key *key,
				   const struct signed_doc *succession, int64_t issued)
{
	cJSON *json = cJSON_CreateObject(), *list;
	struct signed_doc doc;

	cJSON_AddNumberToObject(json, "serial", (double)number);
	cJSON_AddNumberToObject(json, "issued", (double)issued);
	cJSON_AddNumberToObject(json, "expires", (double)issued + 3600);
	cJSON_AddItemToObject(json, "keys", keys_json(sign_key_public(key), 1));
	list = cJSON_AddArrayToObject(json, "succession");
	if (succession)
		cJSON_AddItemToArray(list, signed_json(succession));
	cr_assert_eq(signed_make(by, SIGNED_ROOT_ZONE, cJSON_PrintUnformatted(json), &doc), 0);
	cJSON_Delete(json);
	return doc;
}

static int take(struct signed_doc zone, int64_t now)
{
	int rc = proof_root(proofs, &zone, now);

	signed_free(&zone);
	return rc;
}

Test(proof, the_root_key_is_followed)
{
	struct signed_doc next, forged;

	cr_assert_eq(succession_sign(root, sign_key_public(acme), NOW, &next), 0);
	cr_assert_eq(succession_sign(other, sign_key_public(eng), NOW, &forged), 0);
	cr_assert_eq(take(root_zone(5, acme, acme, NULL, NOW), NOW), -EKEYREJECTED, "nobody said so");
	cr_assert_eq(take(root_zone(5, eng, eng, &forged, NOW), NOW), -EKEYREJECTED, "nobody of ours did");
	cr_assert_eq(take(root_zone(5, root, acme, &next, NOW), NOW), -EKEYREJECTED, "none of its own keys");
	cr_assert_eq(take(root_zone(5, acme, acme, &next, NOW), NOW + 3600), -ETIME);
	cr_assert_eq(take(root_zone(5, acme, acme, &next, NOW + 3600), NOW), -EAGAIN);
	cr_assert_eq(learn(delegate("globex", 600, 699, other, acme, 3600), nothing, NOW), -EKEYREJECTED);
	cr_assert_eq(take(root_zone(5, acme, acme, &next, NOW), NOW), 0);
	cr_assert_eq(learn(delegate("globex", 600, 699, other, acme, 3600), nothing, NOW), 0);
	cr_assert_eq(believe("globex", 600, other, NOW), 0);
	cr_assert_eq(learn(delegate("initech", 700, 799, other, root, 3600), nothing, NOW), -EKEYREJECTED,
		     "the old key is none of today's");
	cr_assert_eq(take(root_zone(4, acme, acme, &next, NOW), NOW), -ESTALE);
	cr_assert_eq(take(root_zone(9, root, root, NULL, NOW), NOW), -EKEYREJECTED, "nor does it come back");
	signed_free(&next);
	signed_free(&forged);
}

/* R25: the instances of a service, where a VM is: who may say it. */
static int state(enum statement_kind kind, const char *zone, const char *name, uint32_t vnid,
		 const struct sign_key *by, int64_t now)
{
	struct statement s = { .kind = kind,
			       .whole = true,
			       .vnid = vnid,
			       .source = vnid * IDS_PER_VNID,
			       .issued = NOW,
			       .expires = NOW + 64,
			       .lifetime = 4 },
			 out;
	struct signed_doc doc;
	int rc;

	strcpy(s.zone, zone);
	strcpy(s.name, name);
	cr_assert_eq(signed_make(by, SIGNED_STATEMENT, statement_render(&s, cJSON_CreateObject()), &doc), 0);
	rc = proof_statement(proofs, &doc, now, &out);
	signed_free(&doc);
	return rc;
}

Test(proof, R25_services_are_told_by_their_own_domain)
{
	cr_assert_eq(state(STATEMENT_SERVICE, "acme", "acme:fw", 0, acme, NOW), -ENOKEY);
	learn(delegate("acme", 256, 511, acme, root, 3600), delegate("acme/eng", 300, 399, eng, acme, 3600),
	      NOW);
	cr_assert_eq(state(STATEMENT_SERVICE, "acme", "acme:fw", 0, acme, NOW), 0);
	cr_assert_eq(state(STATEMENT_SERVICE, "acme/eng", "acme/eng:fw", 0, eng, NOW), 0);
	cr_assert_eq(state(STATEMENT_SERVICE, "acme", "acme/eng:fw", 0, acme, NOW), -ERANGE, "the child's");
	cr_assert_eq(state(STATEMENT_SERVICE, "acme/eng", "acme:fw", 0, eng, NOW), -ERANGE, "the parent's");
	cr_assert_eq(state(STATEMENT_SERVICE, "acme", "acme:fw", 0, other, NOW), -ENOKEY, "not its key");
	cr_assert_eq(state(STATEMENT_SERVICE, "acme", "acme:fw", 0, acme, NOW + 64), -ETIME);
	cr_assert_eq(state(STATEMENT_NAME, "acme", "acme:fw", 256, acme, NOW), -EINVAL, "of another kind");
}

Test(proof, R25_places_are_told_by_who_speaks_for_the_network)
{
	learn(delegate("acme", 256, 511, acme, root, 3600), delegate("acme/eng", 300, 399, eng, acme, 3600),
	      NOW);
	cr_assert_eq(state(STATEMENT_PLACE, "acme", "", 256, acme, NOW), 0);
	cr_assert_eq(state(STATEMENT_PLACE, "acme", "", 300, acme, NOW), -ERANGE, "it has delegated that");
	cr_assert_eq(state(STATEMENT_PLACE, "acme/eng", "", 300, eng, NOW), 0);
	cr_assert_eq(state(STATEMENT_PLACE, "acme/eng", "", 256, eng, NOW), -ERANGE);
}
