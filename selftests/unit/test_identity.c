// SPDX-License-Identifier: Apache-2.0
/* Names in certificates. */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/identity.h"

static enum role role(const char *uri, const char *name)
{
	struct identity id;
	bool good = identity_parse(uri, strlen(uri), &id);

	cr_assert_eq(good, id.role != ROLE_NOBODY, "%s", uri);
	if (good)
		cr_assert_str_eq(id.name, name, "%s", uri);
	return id.role;
}

Test(identity, names)
{
	cr_assert_eq(role("dove://host/h1", "h1"), ROLE_HOST);
	cr_assert_eq(role("dove://admin/acme/eng", "acme/eng"), ROLE_ADMIN);
	cr_assert_eq(role("dove://admin/", ""), ROLE_ADMIN);
	cr_assert_eq(role("dove://server/acme", "acme"), ROLE_SERVER);
	cr_assert_eq(role("dove://server/", ""), ROLE_SERVER);
}

Test(identity, no_names)
{
	static const char *const none[] = { "",
					    "dove://",
					    "dove://host/",
					    "dove://host/a/b",
					    "dove://root/",
					    "dove:/host/h1",
					    "http://host/h1",
					    "dove://admin/acme/",
					    "dove://admin",
					    "dove://host/h1/",
					    "dove://host/h 1",
					    "DOVE://host/h1" };

	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		cr_assert_eq(role(none[i], ""), ROLE_NOBODY, "%s", none[i]);
}

Test(identity, a_nul_ends_nothing)
{
	static const char uri[] = "dove://host/h1\0.example";
	struct identity id;

	cr_assert(!identity_parse(uri, sizeof(uri) - 1, &id));
	cr_assert_eq(id.role, ROLE_NOBODY);
}

Test(identity, text)
{
	struct identity id = { .role = ROLE_ADMIN };
	char buf[IDENTITY_TEXT];

	cr_assert_str_eq(identity_text(&id, buf), "the administrator of the root");
	strcpy(id.name, "acme");
	cr_assert_str_eq(identity_text(&id, buf), "the administrator of acme");
	id.role = ROLE_NOBODY;
	cr_assert_str_eq(identity_text(&id, buf), "a certificate without a name");
}
