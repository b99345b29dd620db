// SPDX-License-Identifier: Apache-2.0
#include "dps/access.h"

#include <errno.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "dps/hierarchy.h"

/* ---- who it is ---- */

/* The only URI of ours; two of them are none. */
static void read_names(const GENERAL_NAMES *names, struct identity *out)
{
	bool found = false;

	*out = (struct identity){ .role = ROLE_NOBODY };
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;

		if (name->type != GEN_URI || ASN1_STRING_length(uri) < 7 ||
		    memcmp(ASN1_STRING_get0_data(uri), "dove://", 7) != 0)
			continue;
		if (found ||
		    !identity_parse((const char *)ASN1_STRING_get0_data(uri), ASN1_STRING_length(uri), out)) {
			*out = (struct identity){ .role = ROLE_NOBODY };
			return;
		}
		found = true;
	}
}

void access_identity_of(X509 *cert, struct identity *out)
{
	GENERAL_NAMES *names = cert ? X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL) : NULL;

	*out = (struct identity){ .role = ROLE_NOBODY };
	if (names)
		read_names(names, out);
	GENERAL_NAMES_free(names);
}

static void free_kept(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	(void)parent;
	(void)ad;
	(void)idx;
	(void)argl;
	(void)argp;
	free(ptr);
}

/* Read once for each connection. */
static const struct identity *kept(SSL *ssl)
{
	static int index = -1;
	struct identity *id;

	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_kept);
	id = SSL_get_ex_data(ssl, index);
	if (id)
		return id;
	id = mem_alloc(sizeof(*id));
	access_identity_of(SSL_get0_peer_certificate(ssl), id);
	SSL_set_ex_data(ssl, index, id);
	return id;
}

void access_identity_bev(struct bufferevent *bev, struct identity *out)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);

	if (ssl && SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER)
		*out = *kept(ssl);
	else
		*out = (struct identity){ .role = ROLE_ANYONE };
}

void access_identity(struct evhttp_request *req, struct identity *out)
{
	access_identity_bev(evhttp_connection_get_bufferevent(evhttp_request_get_connection(req)), out);
}

/* ---- what it may do ---- */

static bool refuse(struct api_call *call, const char *what)
{
	struct json_error err = { 0 };
	char text[IDENTITY_TEXT];

	json_fail(&err, NULL, "%s may not %s", identity_text(&call->who, text), what);
	api_refuse_status(call, 403, &err);
	return false;
}

static bool is_anyone(const struct api_call *call)
{
	return call->who.role == ROLE_ANYONE;
}

bool access_owns(const struct api_call *call, const char *domain)
{
	return is_anyone(call) || (call->who.role == ROLE_ADMIN && !strcmp(call->who.name, domain));
}

bool access_administers(struct api_call *call, const char *domain)
{
	char what[DOMAIN_ROOM + 32];

	if (access_owns(call, domain))
		return true;
	snprintf(what, sizeof(what), "administer %s", *domain ? domain : "the root");
	return refuse(call, what);
}

bool access_is_admin(struct api_call *call)
{
	if (is_anyone(call) || call->who.role == ROLE_ADMIN)
		return true;
	return refuse(call, "administer anything");
}

bool access_asks(struct api_call *call)
{
	if (is_anyone(call) || call->who.role == ROLE_SERVER || call->who.role == ROLE_HOST)
		return true;
	return refuse(call, "ask what servers ask each other");
}

/* A server that speaks for hosts: it must have been named. */
static bool is_relay(const struct api_call *call)
{
	const struct hierarchy *h = call->api->h;

	if (call->who.role != ROLE_SERVER || !h)
		return false;
	for (size_t i = 0; i < h->config->n_relays; i++)
		if (!strcmp(h->config->relays[i], call->who.name))
			return true;
	return false;
}

bool access_may_recurse(const struct api_call *call)
{
	const struct hierarchy *h = call->api->h;

	return h && h->config->local && (is_anyone(call) || call->who.role == ROLE_SERVER);
}

bool access_host(struct api_call *call, const char *host)
{
	char what[NAME_MAX_LEN + 32];

	if (is_anyone(call) || is_relay(call))
		return true;
	if (call->who.role == ROLE_HOST && !strcmp(call->who.name, host))
		return true;
	if (call->who.role == ROLE_ADMIN && !strcmp(call->who.name, call->api->admin))
		return true;
	snprintf(what, sizeof(what), "speak for host %.63s", host);
	return refuse(call, what);
}

bool access_may_question(const struct api_call *call, const char *domain)
{
	return access_owns(call, domain) || access_owns(call, call->api->admin) ||
	       call->who.role == ROLE_HOST || is_relay(call);
}

bool access_questions(struct api_call *call, const char *domain)
{
	if (access_may_question(call, domain))
		return true;
	return refuse(call, "ask for translations here");
}

const char *access_speaks_for(const struct api_call *call)
{
	return call->who.role == ROLE_HOST ? call->who.name : NULL;
}
