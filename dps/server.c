// SPDX-License-Identifier: Apache-2.0
#include "dps/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "dps/access.h"
#include "dps/api.h"
#include "dps/guard.h"
#include "dps/hierarchy.h"
#include "dps/persist.h"
#include "dps/relay.h"
#include "dps/short.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/notify.h"

#define LISTEN_BACKLOG 1024
#define EXPIRE_SECONDS 60
#define FILES (GUARD_CONNECTIONS + 1024)

struct server {
	struct api api;
	struct event *term, *intr, *second, *expire;
	struct evhttp *http;
	SSL_CTX *tls;
	struct sign_key *key; /* of a service that stands alone */
	struct hierarchy *h;  /* NULL: it does */
};

/* Where to listen */

static int parse_port(const char *text, uint16_t *port)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > 65535)
		return -EINVAL;
	*port = htons(value);
	return 0;
}

static void set_v4(struct listen_addr *out, const struct in_addr *addr, uint16_t port)
{
	struct sockaddr_in *sin = (struct sockaddr_in *)&out->addr;

	sin->sin_family = AF_INET;
	sin->sin_addr = *addr;
	sin->sin_port = port;
	out->len = sizeof(*sin);
	out->loopback = ntohl(addr->s_addr) >> 24 == 127;
}

static void set_v6(struct listen_addr *out, const struct in6_addr *addr, uint16_t port)
{
	struct sockaddr_in6 *sin = (struct sockaddr_in6 *)&out->addr;

	sin->sin6_family = AF_INET6;
	sin->sin6_addr = *addr;
	sin->sin6_port = port;
	out->len = sizeof(*sin);
	out->loopback = IN6_IS_ADDR_LOOPBACK(addr);
}

int server_parse_listen(const char *text, struct listen_addr *out)
{
	const char *colon = strrchr(text, ':');
	char host[64];
	struct in_addr v4;
	struct in6_addr v6;
	uint16_t port;
	size_t len;

	if (!colon || parse_port(colon + 1, &port))
		return -EINVAL;
	len = colon - text;
	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	host[len] = '\0';
	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, host, &v4) == 1) {
		set_v4(out, &v4, port);
		return 0;
	}
	if (len < 2 || host[0] != '[' || host[len - 1] != ']')
		return -EINVAL;
	host[len - 1] = '\0';
	if (inet_pton(AF_INET6, host + 1, &v6) != 1)
		return -EINVAL;
	set_v6(out, &v6, port);
	return 0;
}

static int open_socket(const char *text, struct json_error *err)
{
	struct listen_addr addr;
	_close_ int fd = -1;
	int one = 1, zero = 0;

	if (server_parse_listen(text, &addr))
		return json_fail(err, "listen", "'%s' is not ADDR:PORT", text);
	fd = socket(addr.addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return json_fail(err, NULL, "cannot make a socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* Inherited by what is accepted; TLS writes records apart, which Nagle would hold back. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	/* [::] is all addresses, of both families: hosts of an underlay may have the one or the other. */
	if (addr.addr.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(fd, (struct sockaddr *)&addr.addr, addr.len) || listen(fd, LISTEN_BACKLOG))
		return json_fail(err, NULL, "cannot listen on %s: %s", text, strerror(errno));
	return take_fd(fd);
}

/* TLS */

static int tls_fail(struct json_error *err, const char *what, const char *path)
{
	const char *why = ERR_reason_error_string(ERR_get_error());

	return json_fail(err, NULL, "cannot use %s %s: %s", what, path, why ? why : "not readable");
}

static int tls_load(SSL_CTX *tls, const struct config *config, struct json_error *err)
{
	if (SSL_CTX_use_certificate_chain_file(tls, config->tls_cert) != 1)
		return tls_fail(err, "certificate", config->tls_cert);
	if (SSL_CTX_use_PrivateKey_file(tls, config->tls_key, SSL_FILETYPE_PEM) != 1)
		return tls_fail(err, "key", config->tls_key);
	if (SSL_CTX_check_private_key(tls) != 1)
		return tls_fail(err, "key", config->tls_key);
	if (!config->tls_ca)
		return 0;
	if (SSL_CTX_load_verify_locations(tls, config->tls_ca, NULL) != 1)
		return tls_fail(err, "CA", config->tls_ca);
	SSL_CTX_set_client_CA_list(tls, SSL_load_client_CA_file(config->tls_ca));
	SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return 0;
}

static int open_tls(struct server *server, const struct config *config, struct json_error *err)
{
	static const unsigned char session[] = "dove-dps";

	if (!config->tls_cert)
		return 0;
	server->tls = SSL_CTX_new(TLS_server_method());
	if (!server->tls)
		return tls_fail(err, "TLS", "");
	SSL_CTX_set_min_proto_version(server->tls, TLS1_3_VERSION);
	SSL_CTX_set_session_id_context(server->tls, session, sizeof(session) - 1);
	return tls_load(server->tls, config, err);
}

/* evhttp wants a connection for a socket that it has accepted. */
static struct bufferevent *accept_one(struct event_base *base, void *arg)
{
	struct server *server = arg;
	struct bufferevent *bev;

	if (server->tls)
		bev = bufferevent_openssl_socket_new(base, -1, SSL_new(server->tls),
						     BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	else
		bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	guard_add(server->api.guard, bev);
	return bev;
}

/* The loop */

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

static void each_second(struct api *api)
{
	struct commit_context ctx = api_context(api);

	load_balance(&ctx, api_monotonic());
	api_watch_progress(api);
}

static void on_second(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;

	(void)fd;
	(void)what;
	each_second(&server->api);
	if (server->h && server->h->relay)
		relay_progress(server->h->relay);
	for (size_t i = 0; server->h && i < server->h->n_domains; i++)
		if (server->h->domains[i]->api != &server->api)
			each_second(server->h->domains[i]->api);
}

static void expire(struct api *api)
{
	struct commit_context ctx = api_context(api);
	struct json_error err;

	if (commit_expire(&ctx, &err))
		log_warn("cannot drop what has expired: %s", err.text);
}

static void on_expire(evutil_socket_t fd, short what, void *arg)
{
	struct server *server = arg;

	(void)fd;
	(void)what;
	expire(&server->api);
	for (size_t i = 0; server->h && i < server->h->n_domains; i++)
		if (server->h->domains[i]->api != &server->api)
			expire(server->h->domains[i]->api);
}

static int open_events(struct server *server)
{
	struct event_base *base = server->api.base;
	const struct timeval second = { 1, 0 }, expire = { EXPIRE_SECONDS, 0 };

	server->term = evsignal_new(base, SIGTERM, on_signal, base);
	server->intr = evsignal_new(base, SIGINT, on_signal, base);
	server->second = event_new(base, -1, EV_PERSIST, on_second, server);
	server->expire = event_new(base, -1, EV_PERSIST, on_expire, server);
	if (!server->term || !server->intr || !server->second || !server->expire)
		return -ENOMEM;
	return event_add(server->term, NULL) || event_add(server->intr, NULL) ||
			       event_add(server->second, &second) || event_add(server->expire, &expire)
		       ? -ENOMEM
		       : 0;
}

static int open_http(struct server *server, const struct config *config, struct json_error *err)
{
	int fd = open_socket(config->listen, err);

	if (fd < 0)
		return fd;
	server->http = evhttp_new(server->api.base);
	evhttp_set_max_headers_size(server->http, HEADERS_MAX);
	evhttp_set_max_body_size(server->http, APPLY_BODY_MAX);
	evhttp_set_allowed_methods(server->http,
				   EVHTTP_REQ_GET | EVHTTP_REQ_PUT | EVHTTP_REQ_POST | EVHTTP_REQ_DELETE);
	evhttp_set_gencb(server->http, api_handle, &server->api);
	evhttp_set_bevcb(server->http, accept_one, server);
	if (!evhttp_accept_socket_with_handle(server->http, fd)) {
		close(fd);
		return json_fail(err, NULL, "cannot accept on %s", config->listen);
	}
	return 0;
}

/* A service that stands alone signs as the root would. */
static int open_key(struct server *server, const struct config *config, struct json_error *err)
{
	struct error why;
	int rc = config->sign_key ? sign_key_load(config->sign_key, &server->key, &why) : 0;

	if (rc)
		return json_fail(err, "sign-key", "%.300s", why.text);
	server->api.signer = (struct signer){ .key = server->key, .zone = "" };
	return 0;
}

/* Whose server we are says who administers what is no domain's: a local server's hosts. */
static int read_own_name(struct server *server, struct json_error *err)
{
	struct identity id;

	if (!server->tls)
		return 0;
	access_identity_of(SSL_CTX_get0_certificate(server->tls), &id);
	if (id.role == ROLE_SERVER)
		strcpy(server->api.admin, id.name);
	else if (SSL_CTX_get_verify_mode(server->tls) & SSL_VERIFY_PEER)
		return json_fail(err, "tls-cert",
				 "it is no server's: no name like dove://server/acme is in it");
	return 0;
}

/* Before anybody is served: what is given out from now on is above all that ever was. */
static int restored(struct server *server, struct json_error *err)
{
	struct commit_context ctx = { .m = &server->api.model,
				      .store = server->api.store,
				      .now = time(NULL),
				      .lifetime = server->api.lifetime };
	int rc = commit_restored(&ctx, err);

	if (!rc)
		log_info("a restored backup: all revisions have been raised above those given out since");
	return rc;
}

/*
 * What evhttp changes back and forth while it answers reaches the kernel once a round. (It must not
 * be used with duplicates of a descriptor; there are none here.)
 */
static struct event_base *open_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config && !event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST))
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

/* As many as connections may be open, and some: what a process begins with is often 1,024 in all. */
static void raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= FILES)
		return;
	limit.rlim_cur = limit.rlim_max < FILES ? limit.rlim_max : FILES;
	if (setrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur < FILES)
		log_warn("only %llu files may be open: not all of %d connections",
			 (unsigned long long)limit.rlim_cur, GUARD_CONNECTIONS);
}

static int server_open(struct server *server, const struct config *config, struct json_error *err)
{
	int rc;

	server->api.started = api_monotonic();
	server->api.lifetime = config->lifetime;
	model_init(&server->api.model);
	rc = open_tls(server, config, err);
	rc = rc ? rc : read_own_name(server, err);
	rc = rc ? rc : open_key(server, config, err);
	rc = rc ? rc : store_open(config->data, &server->api.store, err);
	rc = rc ? rc : persist_load(&server->api.model, server->api.store, err);
	rc = rc || !config->restored ? rc : restored(server, err);
	if (rc)
		return rc;
	server->api.base = open_base();
	if (!server->api.base || open_events(server))
		return json_fail(err, NULL, "cannot make the event loop");
	raise_files();
	server->api.guard = guard_open(server->api.base, config->per_peer);
	guard_at_once(server->api.guard, short_way, &server->api);
	rc = config->root ? hierarchy_open(&server->api, config, &server->h, err) : 0;
	return rc ? rc : open_http(server, config, err);
}

static void free_event(struct event *event)
{
	if (event)
		event_free(event);
}

static void server_close(struct server *server)
{
	if (server->h) { /* first: it watches our own domains, too */
		relay_close(server->h->relay);
		server->h->relay = NULL;
	}
	api_watch_close(&server->api);
	for (size_t i = 0; server->h && i < server->h->n_domains; i++)
		api_watch_close(server->h->domains[i]->api);
	if (server->http)
		evhttp_free(server->http);
	guard_close(server->api.guard);
	hierarchy_close(server->h);
	free_event(server->term);
	free_event(server->intr);
	free_event(server->second);
	free_event(server->expire);
	if (server->api.base)
		event_base_free(server->api.base);
	SSL_CTX_free(server->tls);
	prepared_clear(&server->api.prepared);
	sign_key_free(server->key);
	model_free(&server->api.model);
	store_close(server->api.store);
}

int server_run(const struct config *config, struct json_error *err)
{
	struct server server = { 0 };
	int rc;

	memset(err, 0, sizeof(*err));
	signal(SIGPIPE, SIG_IGN);
	rc = server_open(&server, config, err);
	if (!rc) {
		log_info("listening on %s%s, data in %s", config->listen, server.tls ? " (TLS)" : "",
			 config->data);
		notify_ready();
		rc = event_base_dispatch(server.api.base) < 0 ? -EIO : 0;
	}
	server_close(&server);
	return rc;
}
