/* SPDX-License-Identifier: Apache-2.0 */
/* One request to the service, and its answer. */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include <cjson/cJSON.h>

#define CLIENT_TIMEOUT_SECONDS 120L
#define CLIENT_ANSWER_MAX ((size_t)1 << 30)

struct client {
	const char *url; /* of the service, no slash at its end needed */
	const char *tls_cert, *tls_key, *tls_ca;
	const char *domain; /* of those that the service has; NULL: the only one */
};

/*
 * client_call() - path is what follows the URL, body NULL or JSON text.
 * 0 and *out, the caller's; else -1, and one line on standard error has said why.
 */
int client_call(const struct client *client, const char *method, const char *path, const char *body,
		cJSON **out);

/* client_escape() - a part of a path, percent-encoded; the caller's. NULL: no memory. */
char *client_escape(const char *text);

#endif
