/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what, by the name in the certificate (docs/pki.md). Without TLS,
 * or without a CA to check certificates by, nobody is told apart: a service
 * for one machine, or for a network that is trusted (--insecure).
 *
 * All that return bool and take the call: false means that the request has
 * been refused already (403), but for access_may_... and access_owns(), which
 * only tell.
 */
#ifndef DPS_ACCESS_H
#define DPS_ACCESS_H

#include "dps/api.h"
#include "lib/identity.h"

/* access_identity() - who calls: from the connection's certificate. ROLE_ANYONE where nobody is told apart. */
void access_identity(struct evhttp_request *req, struct identity *out);
struct bufferevent;
void access_identity_bev(struct bufferevent *bev, struct identity *out);

/* access_identity_of() - the same of a certificate (X509 *; NULL: nobody). */
struct x509_st;
void access_identity_of(struct x509_st *cert, struct identity *out);

/* The administrator of this domain ("": the root, or a service that stands alone). */
bool access_administers(struct api_call *call, const char *domain);
bool access_owns(const struct api_call *call, const char *domain);
bool access_is_admin(struct api_call *call); /* of whatever */

/* Servers, and hosts that find answers themselves. */
bool access_asks(struct api_call *call);
bool access_may_recurse(const struct api_call *call);

/* The host itself, its own administrator, or a server that may speak for hosts. */
bool access_host(struct api_call *call, const char *host);

/* Whoever has a certificate and a reason to look: administrators and servers of the domain, hosts. */
bool access_questions(struct api_call *call, const char *domain);
bool access_may_question(const struct api_call *call, const char *domain); /* the same, without refusing */

/* access_speaks_for() - the host in whose name it asks; NULL: it is not bound to one. */
const char *access_speaks_for(const struct api_call *call);

#endif
