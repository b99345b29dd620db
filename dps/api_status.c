// SPDX-License-Identifier: Apache-2.0
/* What the service says of itself. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "dps/api.h"
#include "dps/guard.h"
#include "dps/hierarchy.h"
#include "lib/version.h"

static int64_t uptime(const struct api *api)
{
	return api_monotonic() - api->started;
}

static unsigned int count(const struct api *api, enum kind kind)
{
	return HASH_COUNT(api->model.by_key[kind]);
}

/* Networks' own default policies are not counted: nobody wrote them. */
static unsigned int count_policies(const struct api *api)
{
	return count(api, KIND_POLICY) - count(api, KIND_NETWORK);
}

void api_status(struct api_call *call)
{
	const struct api *api = call->api;
	cJSON *out = cJSON_CreateObject(), *revisions;
	const struct object *net;

	cJSON_AddStringToObject(out, "version", DOVE_VERSION);
	cJSON_AddNumberToObject(out, "uptime", uptime(api));
	cJSON_AddNumberToObject(out, "networks", count(api, KIND_NETWORK));
	cJSON_AddNumberToObject(out, "endpoints", count(api, KIND_ENDPOINT));
	cJSON_AddNumberToObject(out, "externals", count(api, KIND_EXTERNAL));
	cJSON_AddNumberToObject(out, "policies", count_policies(api));
	cJSON_AddNumberToObject(out, "hosts", count(api, KIND_HOST));
	cJSON_AddNumberToObject(out, "services", count(api, KIND_SERVICE));
	revisions = cJSON_AddObjectToObject(out, "revisions");
	for (net = api->model.by_key[KIND_NETWORK]; net; net = net->hh.next)
		cJSON_AddNumberToObject(revisions, net->key, ((const struct network *)net)->revision);
	cJSON_AddNumberToObject(out, "questions", api->questions);
	cJSON_AddNumberToObject(out, "commits", api->model.commits);
	cJSON_AddNumberToObject(out, "watchers", api->n_watchers);
	api_reply(call, HTTP_OK, out);
}

void api_healthz(struct api_call *call)
{
	api_reply_text(call, "text/plain", "ok\n");
}

static void add_metric(struct ptrs *lines, const char *name, const char *type, uint64_t value)
{
	ptrs_push(lines, mem_printf("# TYPE dove_dps_%s %s\ndove_dps_%s %llu\n", name, type, name,
				    (unsigned long long)value));
}

/* What the resolver of a server in a hierarchy counts: a field of struct query_counters, and what it means. */
#define RESOLVER_COUNTERS(X)                                                                                 \
	X(questions, "questions to the resolver, of agents and of servers")                                  \
	X(hits, "answered from the cache")                                                                   \
	X(own, "answered by an authority in this process")                                                   \
	X(joined, "that waited for a query which was under way")                                             \
	X(upstream, "questions to other servers")                                                            \
	X(referrals, "referrals followed")                                                                   \
	X(timeouts, "questions to other servers without a reply in time")                                    \
	X(lies, "replies that break the rules of what may be believed")                                      \
	X(lame, "replies of servers that are listed for a zone and not responsible")                         \
	X(renewals, "delegations asked for again because of a doubt")                                        \
	X(ahead, "queries ahead of time, so that nobody waits")                                              \
	X(stale, "stale answers given, because nobody could be asked")                                       \
	X(failed, "questions that nobody could answer")

static void add_counter(struct ptrs *lines, const char *name, const char *help, uint64_t value)
{
	ptrs_push(lines, mem_printf("# HELP dove_dps_resolver_%s_total %s\n"
				    "# TYPE dove_dps_resolver_%s_total counter\n"
				    "dove_dps_resolver_%s_total %llu\n",
				    name, help, name, name, (unsigned long long)value));
}

static void add_connections(struct ptrs *lines, const struct guard *guard)
{
	const struct guard_counters *c = guard_counters(guard);

	add_metric(lines, "connections", "gauge", guard_count(guard));
	add_metric(lines, "connections_accepted_total", "counter", c->accepted);
	add_metric(lines, "connections_slow_total", "counter", c->slow);
	add_metric(lines, "connections_idle_total", "counter", c->idle);
	add_metric(lines, "connections_crowded_total", "counter", c->crowded);
	add_metric(lines, "connections_large_total", "counter", c->large);
}

static void add_resolver(struct ptrs *lines, const struct hierarchy *h)
{
	const struct resolver *r = &h->node.r;

#define ADD_COUNTER(field, help) add_counter(lines, #field, help, r->counters.field);
	RESOLVER_COUNTERS(ADD_COUNTER)
#undef ADD_COUNTER
	add_metric(lines, "resolver_running", "gauge", r->running);
	add_metric(lines, "resolver_zones", "gauge", r->ref.n);
	add_metric(lines, "cache_answers", "gauge", r->cache.n[CACHE_POLICY]);
	add_metric(lines, "cache_negative", "gauge", r->cache.n[CACHE_NEGATIVE]);
	add_metric(lines, "cache_failed", "gauge", r->cache.n[CACHE_FAILED]);
	add_metric(lines, "cache_said_again_total", "counter", r->cache.said_again);
	add_metric(lines, "root_zone_serial", "gauge", h->node.root ? h->node.root->serial : 0);
	add_metric(lines, "loops_total", "counter", h->node.loops);
}

static char *join(struct ptrs *lines)
{
	char *text = mem_copy("");

	for (size_t i = 0; i < lines->n; i++) {
		char *longer = mem_printf("%s%s", text, (char *)lines->v[i]);

		free(text);
		free(lines->v[i]);
		text = longer;
	}
	ptrs_free(lines);
	return text;
}

void api_metrics(struct api_call *call)
{
	const struct api *api = call->api, *base = api->h ? api->h->base : api;
	struct ptrs lines = { 0 };
	char *text;

	add_metric(&lines, "uptime_seconds", "gauge", uptime(api));
	add_metric(&lines, "requests_total", "counter", base->requests);
	add_metric(&lines, "errors_total", "counter", api->errors + (base != api ? base->errors : 0));
	add_metric(&lines, "questions_total", "counter", api->questions);
	add_metric(&lines, "commits_total", "counter", api->model.commits);
	add_metric(&lines, "watchers", "gauge", api->n_watchers);
	add_metric(&lines, "networks", "gauge", count(api, KIND_NETWORK));
	add_metric(&lines, "endpoints", "gauge", count(api, KIND_ENDPOINT));
	add_metric(&lines, "externals", "gauge", count(api, KIND_EXTERNAL));
	add_metric(&lines, "policies", "gauge", count_policies(api));
	add_metric(&lines, "hosts", "gauge", count(api, KIND_HOST));
	add_metric(&lines, "services", "gauge", count(api, KIND_SERVICE));
	add_metric(&lines, "short_ways_total", "counter", base->short_ways);
	add_metric(&lines, "prepared_hits_total", "counter", api->prepared.hits);
	add_metric(&lines, "prepared_misses_total", "counter", api->prepared.misses);
	add_connections(&lines, api->guard);
	if (api->h)
		add_resolver(&lines, api->h);
	text = join(&lines);
	api_reply_text(call, "text/plain; version=0.0.4", text);
	free(text);
}
