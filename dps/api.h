/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP on one side, calls on the other: docs/api.md. api.c finds the handler
 * and knows how replies look; a handler replies exactly once.
 */
#ifndef DPS_API_H
#define DPS_API_H

#include <event2/event.h>
#include <event2/http.h>

#include "dps/commit.h"
#include "dps/config.h"
#include "dps/prepared.h"
#include "dps/translate.h"
#include "lib/identity.h"

#define BODY_MAX (1 << 20)	  /* of a request */
#define APPLY_BODY_MAX (64 << 20) /* of an apply */
#define HEADERS_MAX (16 << 10)
#define PATH_PARTS_MAX 8
#define KEYS_MAX 256		    /* of one resolve */
#define WATCH_BACKLOG_MAX (8 << 20) /* bytes a watcher may be behind before it is dropped */

struct api_watcher;
struct hierarchy;
struct domain;

struct api {
	struct model model;
	struct store *store; /* NULL: nothing is kept */
	struct event_base *base;
	struct guard *guard;   /* of the connections; NULL: none */
	struct hierarchy *h;   /* NULL: the service stands alone */
	struct domain *domain; /* whose networks these are; NULL: nobody's */
	unsigned int lifetime;
	char admin[DOMAIN_ROOM]; /* whose administrator changes objects here */
	struct signer signer;	 /* of answers; without a key they go out unsigned */
	struct prepared prepared;
	int64_t started; /* monotonic seconds */
	uint64_t requests, errors, questions, short_ways;
	struct api_watcher *watchers;
	unsigned int n_watchers;
};

/* A request on its way: the parts of its path, decoded, that the route left open. */
struct api_call {
	struct api *api;
	struct evhttp_request *req;
	struct identity who;
	const char *args[PATH_PARTS_MAX];
	int n_args;
};

/* api_handle() - the evhttp callback; arg is the struct api. */
void api_handle(struct evhttp_request *req, void *arg);

/* Replies. json is taken over; err->object and err->field are said where they are known. */
void api_reply(struct api_call *call, int status, cJSON *json);
void api_reply_buffer(struct api_call *call, int status, struct evbuffer *json); /* taken over */
void api_reply_text(struct api_call *call, const char *type, const char *text);
void api_refuse(struct api_call *call, int rc, const struct json_error *err); /* rc: -errno */
void api_refuse_status(struct api_call *call, int status, const struct json_error *err);

/* api_body() - the request's JSON, the caller's; NULL: it has been refused already. */
cJSON *api_body(struct api_call *call, size_t max);

/* api_query() - a parameter of the query, decoded; NULL: not there. The caller's. */
char *api_query(const struct api_call *call, const char *name);

struct commit_context api_context(struct api *api);
int64_t api_monotonic(void); /* seconds */

/* Handlers, by file. */
void api_apply(struct api_call *call);
void api_list_objects(struct api_call *call);
void api_get_object(struct api_call *call);
void api_put_object(struct api_call *call);
void api_delete_object(struct api_call *call);

void api_put_host(struct api_call *call);
void api_get_place(struct api_call *call);
void api_put_place(struct api_call *call);
void api_delete_place(struct api_call *call);

void api_resolve(struct api_call *call);

/*
 * api_resolve_at_once() - the reply's body, to that of a request that is not whole HTTP (call->req NULL).
 * False, and nothing has been done: it is to be refused, or takes longer.
 */
bool api_resolve_at_once(struct api_call *call, const char *body, size_t len, struct json_text *out);
bool api_resolve_far_at_once(struct api_call *call, const cJSON *json,
			     struct json_text *out);		/* of api_resolve_far() */
void api_resolve_far(struct api_call *call, const cJSON *json); /* where others may have to be asked */

/* Parts of these: 0, or -errno with *err. */
int api_read_key(const cJSON *json, struct question *q, struct json_error *err); /* strings are the tree's */
int api_read_questions(const cJSON *json, uint64_t *min_revision, const cJSON **keys, struct json_error *err);

/* api_answer() - add the ANSWER's text to out. host: who asks, for what it serves only; NULL: for anything. */
int api_answer(struct api *api, const struct question *question, const char *host, uint64_t min_revision,
	       struct json_text *out, struct json_error *err);

struct relay;
struct recurse_key;

/* api_resolve_key() - a key (KEY of docs/api.md) of api_resolve_far(), as this caller may ask it; *passer as of
 * api_passes(), NULL: whatever is answered is the caller's. 0 or -EINVAL. */
int api_resolve_key(const struct api_call *call, const cJSON *json, struct recurse_key *out,
		    const char **passer, struct json_error *err);

/* api_passes() - do packets of the answer's pair come by that host's instances, end there, or reply to some that do? */
bool api_passes(const struct relay *relay, const char *host, const cJSON *answer);
void api_statement(struct api_call *call);
void api_check(struct api_call *call);
void api_members(struct api_call *call);

void api_ask(struct api_call *call);
void api_list_delegations(struct api_call *call);
void api_get_delegation(struct api_call *call);
void api_put_delegation(struct api_call *call);
void api_delete_delegation(struct api_call *call);
void api_get_root(struct api_call *call);
void api_get_chain(struct api_call *call);

/* api_in_hierarchy() - false: this service stands alone, and the request has been refused. */
bool api_in_hierarchy(struct api_call *call);

void api_status(struct api_call *call);
void api_healthz(struct api_call *call);
void api_metrics(struct api_call *call);

void api_watch(struct api_call *call);
void api_watch_committed(const struct txn *txn, void *arg);
void api_watch_services(struct api *api); /* instances have come or gone without a commit */
void api_watch_progress(struct api *api);
void api_watch_close(struct api *api);

/*
 * api_watch_inside() - the same frames to a function of this process, from the snapshot on,
 * which is told before this returns. The host must be registered. Until api_watch_leave().
 */
struct api_watcher *api_watch_inside(struct api *api, const char *host,
				     void (*emit)(const char *line, void *arg), void *arg);
void api_watch_leave(struct api_watcher *w);

#endif
