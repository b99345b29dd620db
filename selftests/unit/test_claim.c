// SPDX-License-Identifier: Apache-2.0
/* What a host signs, and what else it is not. */
#include <criterion/criterion.h>
#include <errno.h>

#include "lib/claim.h"

#define NOW 1700000000

static struct sign_key *mine, *other;

static void setup(void)
{
	cr_assert(!sign_key_make(&mine, NULL) && !sign_key_make(&other, NULL));
}

static void teardown(void)
{
	sign_key_free(mine);
	sign_key_free(other);
}

TestSuite(claim, .init = setup, .fini = teardown);

static const struct claim said = {
	.host = "h1", .network = "acme:blue", .endpoint = "vm1", .revision = 41, .issued = NOW
};

static int check(const struct claim *claim, const struct sign_key *key, int64_t now)
{
	struct signed_doc doc;
	int rc;

	cr_assert_eq(claim_sign(mine, &said, &doc), 0);
	rc = claim_check(&doc, sign_key_public(key), claim, now);
	signed_free(&doc);
	return rc;
}

Test(claim, R25_just_this)
{
	struct claim c = said;

	cr_assert_eq(check(&c, mine, NOW + CLAIM_SECONDS), 0);
	cr_assert_eq(check(&c, mine, NOW + CLAIM_SECONDS + 1), -ETIME);
	cr_assert_eq(check(&c, mine, NOW - CLAIM_SECONDS - 1), -ETIME);
	cr_assert_eq(check(&c, other, NOW), -EKEYREJECTED);
	c.host = "h2";
	cr_assert_eq(check(&c, mine, NOW), -EINVAL);
	c = said;
	c.network = "acme:red";
	cr_assert_eq(check(&c, mine, NOW), -EINVAL);
	c = said;
	c.endpoint = "vm2";
	cr_assert_eq(check(&c, mine, NOW), -EINVAL);
	c = said;
	c.revision = 42;
	cr_assert_eq(check(&c, mine, NOW), -EINVAL, "the place has changed since: the same words again");
}

Test(claim, R25_addresses)
{
	cJSON *at = cJSON_CreateArray(), *elsewhere = cJSON_CreateArray();
	struct signed_doc doc, as_claim;
	int64_t issued = 0;

	cJSON_AddItemToArray(at, cJSON_CreateString("192.0.2.1"));
	cJSON_AddItemToArray(elsewhere, cJSON_CreateString("192.0.2.2"));
	cr_assert_eq(claim_host_sign(mine, "h1", at, NOW, &doc), 0);
	cr_assert_eq(claim_host_check(&doc, sign_key_public(mine), "h1", at, &issued), 0);
	cr_assert_eq(issued, NOW);
	cr_assert_eq(claim_host_issued(&doc), NOW);
	cr_assert_eq(claim_host_check(&doc, sign_key_public(mine), "h1", elsewhere, &issued), -EINVAL);
	cr_assert_eq(claim_host_check(&doc, sign_key_public(mine), "h2", at, &issued), -EINVAL);
	cr_assert_eq(claim_host_check(&doc, sign_key_public(other), "h1", at, &issued), -EKEYREJECTED);
	cr_assert_eq(claim_sign(mine, &said, &as_claim), 0);
	cr_assert_eq(claim_host_check(&as_claim, sign_key_public(mine), "h1", at, &issued), -EKEYREJECTED,
		     "a claim is no registration");
	signed_free(&doc);
	signed_free(&as_claim);
	cJSON_Delete(at);
	cJSON_Delete(elsewhere);
}
