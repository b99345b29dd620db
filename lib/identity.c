// SPDX-License-Identifier: Apache-2.0
#include "lib/identity.h"

#include <stdio.h>
#include <string.h>

#define SCHEME "dove://"

static const struct {
	enum role role;
	const char *name, *text;
} roles[] = {
	{ ROLE_HOST, "host/", "host" },
	{ ROLE_ADMIN, "admin/", "the administrator of" },
	{ ROLE_SERVER, "server/", "a server of" },
};

static bool is_name(enum role role, const char *name)
{
	if (role == ROLE_HOST)
		return domain_check(name) && domain_depth(name) == 1;
	return !*name || domain_check(name);
}

bool identity_parse(const char *uri, size_t len, struct identity *out)
{
	char text[DOMAIN_ROOM + 32];
	const char *path = text + strlen(SCHEME);

	*out = (struct identity){ .role = ROLE_NOBODY };
	if (len >= sizeof(text) || memchr(uri, 0, len))
		return false;
	memcpy(text, uri, len);
	text[len] = '\0';
	if (strncmp(text, SCHEME, strlen(SCHEME)) != 0)
		return false;
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
		const char *name = path + strlen(roles[i].name);

		if (strncmp(path, roles[i].name, strlen(roles[i].name)) != 0 || strlen(name) >= DOMAIN_ROOM ||
		    !is_name(roles[i].role, name))
			continue;
		out->role = roles[i].role;
		strcpy(out->name, name);
		return true;
	}
	return false;
}

const char *identity_text(const struct identity *id, char buf[IDENTITY_TEXT])
{
	for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
		if (roles[i].role == id->role) {
			snprintf(buf, IDENTITY_TEXT, "%s %s", roles[i].text,
				 *id->name ? id->name : "the root");
			return buf;
		}
	snprintf(buf, IDENTITY_TEXT, "%s",
		 id->role == ROLE_ANYONE ? "anyone" : "a certificate without a name");
	return buf;
}
