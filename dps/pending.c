// SPDX-License-Identifier: Apache-2.0
#include "dps/pending.h"

static void closed(struct evhttp_connection *conn, void *arg)
{
	struct pending *p = arg;

	(void)conn;
	/* evhttp lets go of a request that is still being answered: it is ours to free then. */
	if (!evhttp_request_get_connection(p->call.req))
		evhttp_request_free(p->call.req);
	p->call.req = NULL;
	p->gone(p->arg);
}

void pending_start(struct pending *p, const struct api_call *call, void (*gone)(void *arg), void *arg)
{
	*p = (struct pending){ .call = *call, .gone = gone, .arg = arg };
	p->call.n_args = 0;
	evhttp_connection_set_closecb(evhttp_request_get_connection(call->req), closed, p);
}

void pending_end(struct pending *p)
{
	evhttp_connection_set_closecb(evhttp_request_get_connection(p->call.req), NULL, NULL);
}
