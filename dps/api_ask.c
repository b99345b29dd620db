// SPDX-License-Identifier: Apache-2.0
/* What servers, and agents that walk the tree themselves, ask: POST /v1/ask. */
#include <stdio.h>
#include <stdlib.h>

#include "dps/access.h"
#include "dps/hierarchy.h"
#include "dps/pending.h"
#include "lib/log.h"

struct asking;

struct question_slot {
	struct asking *asking;
	struct node_call *call;
	cJSON *reply;
};

struct asking {
	struct pending pending;
	struct hierarchy *h;
	struct question_slot *slots;
	size_t n, left;
	bool starting;
};

static void free_asking(struct asking *a)
{
	for (size_t i = 0; i < a->n; i++)
		cJSON_Delete(a->slots[i].reply);
	free(a->slots);
	free(a);
}

static void on_gone(void *arg)
{
	struct asking *a = arg;

	for (size_t i = 0; i < a->n; i++)
		if (a->slots[i].call)
			node_cancel(a->slots[i].call);
	hierarchy_arm(a->h);
	free_asking(a);
}

static void reply_all(struct asking *a)
{
	cJSON *out = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(out, "replies");

	for (size_t i = 0; i < a->n; i++) {
		cJSON_AddItemToArray(list, a->slots[i].reply);
		a->slots[i].reply = NULL;
	}
	pending_end(&a->pending);
	api_reply(&a->pending.call, HTTP_OK, out);
	free_asking(a);
}

static void on_reply(const struct reply *reply, const struct query_result *result, void *arg)
{
	struct question_slot *slot = arg;
	struct asking *a = slot->asking;

	(void)result;
	slot->call = NULL;
	slot->reply = reply_json(reply);
	if (!--a->left && !a->starting)
		reply_all(a);
}

static void ask_one(struct question_slot *slot, const struct ask *ask, const struct errand *errand)
{
	struct hierarchy *h = slot->asking->h;
	struct node_call *call;
	char key[ASK_TEXT];

	log_debug("query=%s event=asked zone=%s recursive=%d question=\"%s\"", *errand->id ? errand->id : "-",
		  *errand->zone ? errand->zone : ".", errand->recursive, ask_text(ask, false, key));
	call = node_ask(&h->node, ask, errand, on_reply, slot);
	if (call)
		slot->call = call;
}

struct parsed {
	struct ask ask;
	struct errand errand;
};

static int parse_all(struct api_call *call, const cJSON *list, struct parsed *out, struct json_error *err)
{
	const cJSON *item;
	size_t n = 0;

	cJSON_ArrayForEach (item, list) {
		snprintf(err->prefix, sizeof(err->prefix), "questions[%zu].", n);
		if (ask_parse(item, &out[n].ask, &out[n].errand, err))
			return -EINVAL;
		if (out[n].errand.recursive && !access_may_recurse(call))
			return json_fail(err, "recursive",
					 "this server finds answers for its own hosts only");
		n++;
	}
	err->prefix[0] = '\0';
	return n ? 0 : json_fail(err, "questions", "'questions' must not be empty");
}

static void start(struct api_call *call, const struct parsed *parsed, size_t n)
{
	struct asking *a = mem_alloc(sizeof(*a));

	a->h = call->api->h;
	a->n = a->left = n;
	a->slots = mem_alloc(n * sizeof(*a->slots));
	pending_start(&a->pending, call, on_gone, a);
	a->starting = true;
	for (size_t i = 0; i < n; i++) {
		a->slots[i].asking = a;
		ask_one(&a->slots[i], &parsed[i].ask, &parsed[i].errand);
	}
	a->starting = false;
	hierarchy_arm(call->api->h);
	if (!a->left)
		reply_all(a);
}

void api_ask(struct api_call *call)
{
	static const char *const fields[] = { "questions", NULL };
	struct json_error err = { 0 };
	const cJSON *list = NULL;
	struct parsed *parsed;
	cJSON *json;
	int rc;

	if (!access_asks(call) || !api_in_hierarchy(call))
		return;
	json = api_body(call, BODY_MAX);
	if (!json)
		return;
	rc = cJSON_IsObject(json) ? json_only(json, fields, &err)
				  : json_fail(&err, NULL, "an object with 'questions' is asked");
	rc = rc ? rc : json_list(json, "questions", KEYS_MAX, &list, &err);
	parsed = mem_alloc(((size_t)cJSON_GetArraySize(list) + 1) * sizeof(*parsed));
	rc = rc ? rc : parse_all(call, list, parsed, &err);
	if (rc)
		api_refuse(call, rc, &err);
	else
		start(call, parsed, cJSON_GetArraySize(list));
	cJSON_Delete(json);
	free(parsed);
}
