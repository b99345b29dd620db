// SPDX-License-Identifier: Apache-2.0
/* A service without a guard (api.guard NULL) answers all the same. */
#include <criterion/criterion.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <string.h>

#include "dps/api.h"
#include "dps/guard.h"

static struct event_base *base;
static int status;
static char body[8192];

static void on_reply(struct evhttp_request *req, void *arg)
{
	int n = 0;

	(void)arg;
	status = req ? evhttp_request_get_response_code(req) : -1;
	if (req)
		n = evbuffer_copyout(evhttp_request_get_input_buffer(req), body, sizeof(body) - 1);
	body[n > 0 ? n : 0] = '\0';
	event_base_loopbreak(base);
}

static uint16_t port_of(struct evhttp_bound_socket *bound)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	cr_assert_eq(getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&addr, &len), 0);
	return ntohs(addr.sin_port);
}

static void get(uint16_t port, const char *path)
{
	struct evhttp_connection *conn = evhttp_connection_base_new(base, NULL, "127.0.0.1", port);

	status = 0;
	evhttp_make_request(conn, evhttp_request_new(on_reply, NULL), EVHTTP_REQ_GET, path);
	event_base_dispatch(base);
	evhttp_connection_free(conn);
}

Test(guard, none)
{
	struct api api = { .lifetime = 60 };
	struct evhttp_bound_socket *bound;
	struct evhttp *http;

	base = event_base_new();
	model_init(&api.model);
	api.base = base;
	http = evhttp_new(base);
	evhttp_set_gencb(http, api_handle, &api);
	bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	cr_assert_not_null(bound);
	get(port_of(bound), "/healthz");
	cr_expect_eq(status, 200);
	get(port_of(bound), "/metrics");
	cr_expect_eq(status, 200);
	cr_expect_not_null(strstr(body, "\ndove_dps_connections 0\n"), "%s", body);
	guard_add(NULL, NULL);
	evhttp_free(http);
	model_free(&api.model);
	event_base_free(base);
}
