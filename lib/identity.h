/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who a certificate is for: the only URI of the scheme "dove" in its
 * subjectAltName (docs/pki.md).
 *
 *   dove://host/h1     dove://admin/acme     dove://server/acme     dove://admin/ is the root's
 */
#ifndef DOVE_IDENTITY_H
#define DOVE_IDENTITY_H

#include "lib/domain.h"

enum role {
	ROLE_NOBODY, /* a certificate without such a name, or with two */
	ROLE_ANYONE, /* nobody is told apart here: no certificates are asked for */
	ROLE_HOST,
	ROLE_ADMIN,
	ROLE_SERVER,
};

struct identity {
	enum role role;
	char name[DOMAIN_ROOM]; /* the host's, or a domain; "": the root, or none */
};

/* identity_parse() - of a URI. False: it is none of the above; *out is ROLE_NOBODY then. */
bool identity_parse(const char *uri, size_t len, struct identity *out);

/* identity_text() - for people: "host h1", "the administrator of acme". Returns buf. */
#define IDENTITY_TEXT (DOMAIN_ROOM + 32)
const char *identity_text(const struct identity *id, char buf[IDENTITY_TEXT]);

#endif
