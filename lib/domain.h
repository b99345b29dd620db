/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of the hierarchy. A domain is 1 to 16 labels, the widest first, with
 * '/' between: "acme", "acme/eng". The root is "". A label is 1 to 63 of
 * A-Z a-z 0-9 . _ -, a letter or digit first; case matters. A network's full
 * name is "acme/eng:blue", an endpoint's "acme/eng:blue/vm1".
 */
#ifndef DOVE_DOMAIN_H
#define DOVE_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>

#define LABEL_MAX 63
#define DOMAIN_ROOM 256
#define DOMAIN_DEPTH_MAX 16 /* as many referrals as a question may follow, one a label */
#define FULL_NAME_ROOM (DOMAIN_ROOM + 2 * LABEL_MAX + 2)

bool domain_check(const char *domain); /* a domain, and not the root */
unsigned int domain_depth(const char *domain);

/* domain_parent() - "acme" of "acme/eng", "" of "acme" and of "". */
void domain_parent(const char *domain, char out[DOMAIN_ROOM]);

bool domain_within(const char *domain, const char *above); /* the same, or below it */
bool domain_is_child(const char *child, const char *parent);

/*
 * domain_toward() - the child of `above` on the way to `domain`: "acme" for
 * ("acme/eng/x", ""). False unless domain is truly below above.
 */
bool domain_toward(const char *domain, const char *above, char out[DOMAIN_ROOM]);

/* domain_of_name() - the domain of "acme/eng:blue[/vm1]". False: no such name, out untouched. */
bool domain_of_name(const char *name, char out[DOMAIN_ROOM]);

/* domain_full() - "acme:firewall" of ("acme", "firewall"); as it is where it has a domain, or there is none (NULL, ""). */
const char *domain_full(const char *domain, const char *name, char out[FULL_NAME_ROOM]);

/* domain_has() - is the full name one of that domain's own? "" has the names without a domain. */
bool domain_has(const char *domain, const char *name);

#endif
