// SPDX-License-Identifier: Apache-2.0
/* Questions: resolve, check and members. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dps/access.h"
#include "dps/api.h"
#include "dps/hierarchy.h"
#include "dps/members.h"
#include "dps/relay.h"
#include "dps/resolve.h"
#include "lib/json_arena.h"

static int read_port(const cJSON *json, const char *field, uint16_t out[2], struct json_error *err)
{
	uint64_t port = 0;
	int rc = json_uint_opt(json, field, 0, PORT_MAX, &port, err);

	if (!rc && json_get(json, field))
		out[0] = out[1] = port;
	return rc;
}

static int read_packet(const cJSON *json, struct flow_box *out, struct json_error *err)
{
	uint64_t proto = 0;
	int rc = json_uint_opt(json, "proto", 0, 255, &proto, err);

	*out = flow_all;
	out->proto = proto;
	rc = rc ? rc : read_port(json, "from_port", out->from_port, err);
	rc = rc ? rc : read_port(json, "to_port", out->to_port, err);
	if (!rc && !flow_has_ports(proto)) { /* what an ICMP header has there is no port */
		*out = flow_all;
		out->proto = proto;
	}
	return rc;
}

static int read_address(const cJSON *json, struct question *q, struct json_error *err)
{
	const char *text = NULL;
	int rc = json_str(json, "to", &text, err);

	if (rc)
		return rc;
	if (ip_parse(text, &q->address))
		return json_fail(err, "to", "'%.60s' is not an IP address", text);
	q->by_address = true;
	return 0;
}

static int read_source(const cJSON *json, struct question *q, struct json_error *err)
{
	uint64_t source = 0;
	int rc;

	if (json_get(json, "source")) {
		rc = json_uint(json, "source", 1, UINT32_MAX, &source, err);
		q->source = source;
		return rc;
	}
	rc = json_str(json, "network", &q->network, err);
	return rc ? rc : json_str(json, "from", &q->from, err);
}

static int read_destination(const cJSON *json, struct question *q, struct json_error *err)
{
	uint64_t destination = 0;
	int rc;

	if (json_get(json, "to_endpoint"))
		return json_str(json, "to_endpoint", &q->to, err);
	if (!json_get(json, "destination"))
		return read_address(json, q, err);
	rc = json_uint(json, "destination", 1, UINT32_MAX, &destination, err);
	q->destination = destination;
	return rc;
}

/* {"vnid": 600, "revision": 43}: the asker knows that the network has been so far. */
static int read_least(const cJSON *json, struct question *q, struct json_error *err)
{
	static const char *const fields[] = { "vnid", "revision", NULL };
	const cJSON *least = json_get(json, "least");
	uint64_t vnid = 0;
	int rc;

	if (!least)
		return 0;
	rc = cJSON_IsObject(least)
		     ? json_only(least, fields, err)
		     : json_fail(err, "least", "'least' is an object with 'vnid' and 'revision'");
	rc = rc ? rc : json_uint(least, "vnid", 1, VNID_MAX, &vnid, err);
	q->least_vnid = vnid;
	return rc ? rc : json_uint(least, "revision", 0, JSON_INT_MAX, &q->least_revision, err);
}

int api_read_key(const cJSON *json, struct question *q, struct json_error *err)
{
	static const char *const fields[] = { "source",	     "network", "from",	     "to",	"destination",
					      "to_endpoint", "proto",	"from_port", "to_port", "vnid",
					      "least",	     "explain", NULL };
	uint64_t vnid = 0;
	int rc = cJSON_IsObject(json) ? json_only(json, fields, err)
				      : json_fail(err, NULL, "a key is an object");

	*q = (struct question){ 0 };
	rc = rc ? rc : json_uint_opt(json, "vnid", 1, VNID_MAX, &vnid, err);
	rc = rc ? rc : read_source(json, q, err);
	rc = rc ? rc : read_destination(json, q, err);
	q->vnid = vnid;
	rc = rc ? rc : json_bool_opt(json, "explain", &q->explain, err);
	rc = rc ? rc : read_least(json, q, err);
	return rc ? rc : read_packet(json, &q->packet, err);
}

static int check_revision(uint64_t sequence, uint64_t min_revision, struct json_error *err)
{
	if (sequence >= min_revision)
		return 0;
	json_fail(err, NULL, "behind: at revision %llu of this network, not %llu",
		  (unsigned long long)sequence, (unsigned long long)min_revision);
	return -EAGAIN;
}

static void add_text(struct json_text *out, const char *text, size_t len, int64_t lifetime)
{
	json_text_raw(out, text, len);
	json_text_uint(out, NULL, (uint64_t)lifetime);
	json_text_close(out, '}');
}

static int answer_anew(struct api *api, const struct question *q, uint64_t min_revision, int64_t now,
		       struct json_text *out, struct json_error *err)
{
	struct json_text text = { 0 };
	struct answer answer;
	int rc;

	resolve(&api->model, q, &answer);
	rc = answer.verdict == VERDICT_NO_SOURCE ? 0 : check_revision(answer.sequence, min_revision, err);
	if (rc)
		return rc;
	translate_answer_text(&api->model, q, &answer, &api->signer, now, api->lifetime, &text);
	add_text(out, text.text, text.len, api->lifetime);
	if (answer.verdict != VERDICT_NO_SOURCE && !q->explain)
		prepared_put(
			&api->prepared, q, !answer.scope,
			&(struct prepared_text){ text.text, text.len, answer.sequence, now + api->lifetime },
			now);
	free(text.text);
	return 0;
}

static bool is_at(const struct model *m, const struct endpoint *ep, const char *host)
{
	const struct host *at = model_host_of(m, ep);

	return at && !strcmp(at->o.key, host);
}

static bool has_instance(const struct model *m, const char *service, const char *host)
{
	const struct object *obj = model_find(m, KIND_SERVICE, service);
	const struct idset *ids = obj ? &obj->spec->u.service.ids : NULL;

	for (uint32_t i = 0; ids && i < ids->n; i++) {
		const struct endpoint *ep = model_endpoint(m, ids->v[i]);

		if (ep && is_at(m, ep, host))
			return true;
	}
	return false;
}

static bool has_hop(const struct model *m, const struct outcome *outcome, const char *host)
{
	for (size_t i = 0; i < outcome->n_path; i++)
		if (has_instance(m, outcome->path[i], host))
			return true;
	return false;
}

static bool meets_hop(struct model *m, const struct question *q, const char *host)
{
	struct answer answer;
	bool met;

	resolve(m, q, &answer);
	met = has_hop(m, &answer.outcome, host);
	for (size_t i = 0; i < answer.n_rules; i++)
		met |= has_hop(m, &answer.rules[i].outcome, host);
	return met;
}

/* Packets of the pair come by there, or are replies to some that do. */
static bool is_passed(struct model *m, const struct question *q, const struct endpoint *from,
		      const struct endpoint *to, const char *host)
{
	struct question back = { .packet = q->packet };

	if (meets_hop(m, q, host))
		return true;
	if (!to)
		return false;
	back.source = to->o.id;
	back.destination = from->o.id;
	memcpy(back.packet.from_port, q->packet.to_port, sizeof(back.packet.from_port));
	memcpy(back.packet.to_port, q->packet.from_port, sizeof(back.packet.to_port));
	return meets_hop(m, &back, host);
}

/* A host asks for what it serves: to others it is as if there were none. */
static bool is_served(struct api *api, const struct question *q, const char *host)
{
	const struct endpoint *from = host ? resolve_source(&api->model, q) : NULL;
	const struct endpoint *to = q->destination ? model_party(&api->model, q->destination) : NULL;

	if (!from) /* an administrator asks, or nobody is asked about */
		return true;
	if (q->by_address)
		to = model_at(&api->model, from->o.net->o.id, &q->address);
	return is_at(&api->model, from, host) || (to && is_at(&api->model, to, host)) ||
	       is_passed(&api->model, q, from, to, host);
}

/* What a model says is all of one time: it is behind with all of a network, or with nothing. */
static int check_least(const struct api *api, const struct question *q, struct json_error *err)
{
	const struct network *net = q->least_vnid ? model_network(&api->model, q->least_vnid) : NULL;

	return net && !model_is_foreign(net) ? check_revision(net->revision, q->least_revision, err) : 0;
}

int api_answer(struct api *api, const struct question *question, const char *host, uint64_t min_revision,
	       struct json_text *out, struct json_error *err)
{
	static const struct question nobody = { .source = UINT32_MAX, .by_address = true };
	const struct question *q = is_served(api, question, host) ? question : &nobody;
	struct prepared_text said;
	int64_t now = time(NULL);
	int rc;

	api->questions++;
	rc = check_least(api, q, err);
	if (rc)
		return rc;
	if (q->explain || !prepared_get(&api->prepared, q, api->model.commits, now, &said))
		return answer_anew(api, q, min_revision, now, out, err);
	rc = check_revision(said.sequence, min_revision, err);
	if (!rc)
		add_text(out, said.text, said.len, said.expires - now);
	return rc;
}

static int answer_key(struct api *api, const cJSON *item, const char *host, uint64_t min_revision,
		      struct json_text *out, struct json_error *err)
{
	struct question q;
	int rc = api_read_key(item, &q, err);

	return rc ? rc : api_answer(api, &q, host, min_revision, out, err);
}

int api_read_questions(const cJSON *json, uint64_t *min_revision, const cJSON **keys, struct json_error *err)
{
	static const char *const fields[] = { "host", "min_revision", "keys", NULL };
	const char *host = NULL;
	int rc = cJSON_IsObject(json) ? json_only(json, fields, err)
				      : json_fail(err, NULL, "a question is an object with 'keys'");

	rc = rc ? rc : json_str_opt(json, "host", &host, err);
	rc = rc ? rc : json_uint_opt(json, "min_revision", 0, JSON_INT_MAX, min_revision, err);
	rc = rc ? rc : json_list(json, "keys", KEYS_MAX, keys, err);
	if (!rc && !cJSON_GetArraySize(*keys))
		rc = json_fail(err, "keys", "'keys' must not be empty");
	return rc;
}

static int answer_all(struct api *api, const cJSON *json, const char *host, struct json_text *out,
		      struct json_error *err)
{
	const cJSON *keys = NULL, *item;
	uint64_t min_revision = 0;
	size_t n = 0;
	int rc = api_read_questions(json, &min_revision, &keys, err);

	if (rc)
		return rc;
	cJSON_ArrayForEach (item, keys) {
		snprintf(err->prefix, sizeof(err->prefix), "keys[%zu].", n);
		n++;
		json_text_value(out, NULL);
		rc = answer_key(api, item, host, min_revision, out, err);
		if (rc)
			return rc;
	}
	return 0;
}

static void begin_answers(struct json_text *out)
{
	json_text_raw(out, "{\"answers\":[", 12);
}

static void end_answers(struct json_text *out)
{
	json_text_raw(out, "]}", 2);
}

static void resolve_alone(struct api_call *call, const cJSON *json)
{
	struct json_error err = { 0 };
	struct json_text out = { 0 };
	int rc;

	begin_answers(&out);
	rc = answer_all(call->api, json, access_speaks_for(call), &out, &err);
	end_answers(&out);
	if (rc)
		api_refuse(call, rc, &err);
	else
		api_reply_text(call, "application/json", json_text_end(&out));
	free(out.text);
}

void api_resolve(struct api_call *call)
{
	cJSON *json = access_questions(call, call->api->admin) ? api_body(call, BODY_MAX) : NULL;

	if (!json)
		return;
	if (call->api->h)
		api_resolve_far(call, json);
	else
		resolve_alone(call, json);
	cJSON_Delete(json);
}

bool api_resolve_at_once(struct api_call *call, const char *body, size_t len, struct json_text *out)
{
	static struct json_arena arena;
	struct json_error err = { 0 };
	uint64_t questions = call->api->questions;
	cJSON *json = NULL;
	bool good;

	if (access_may_question(call, call->api->admin)) {
		json_arena_enter(&arena);
		json = json_parse(body, len, &err);
		json_arena_leave();
	}
	good = json;
	begin_answers(out);
	if (json && call->api->h)
		good = api_resolve_far_at_once(call, json, out);
	else if (json)
		good = !answer_all(call->api, json, access_speaks_for(call), out, &err);
	end_answers(out);
	json_arena_clear(&arena);
	if (!good)
		call->api->questions = questions;
	return good;
}

/* Of the domains here that one answers whose network it is about. */
static void choose_domain(struct api_call *call, const cJSON *json)
{
	const struct domain *d = NULL;
	uint64_t vnid = 0;

	if (call->api->h && json_whole(json_get(json, "vnid"), 1, VNID_LAST, &vnid))
		d = hierarchy_domain_of_vnid(call->api->h, (uint32_t)vnid);
	if (d)
		call->api = d->api;
}

static int read_check(const cJSON *json, struct question *q, struct check *check, struct json_error *err)
{
	static const char *const fields[] = { "vnid",  "policy",    "sequence", "source", "to",
					      "proto", "from_port", "to_port",	NULL };
	uint64_t vnid = 0, policy = 0;
	int rc = cJSON_IsObject(json) ? json_only(json, fields, err)
				      : json_fail(err, NULL, "a check is an object");

	*q = (struct question){ 0 };
	rc = rc ? rc : json_uint(json, "vnid", 1, VNID_MAX, &vnid, err);
	rc = rc ? rc : json_uint(json, "policy", 0, UINT32_MAX, &policy, err);
	rc = rc ? rc : json_uint(json, "sequence", 0, JSON_INT_MAX, &check->sequence, err);
	rc = rc ? rc : read_source(json, q, err);
	rc = rc ? rc : read_address(json, q, err);
	check->vnid = vnid;
	check->policy = policy;
	return rc ? rc : read_packet(json, &q->packet, err);
}

static cJSON *numbers_json(const struct policy *p)
{
	cJSON *out;

	if (!p)
		return cJSON_CreateNull();
	out = cJSON_CreateObject();
	cJSON_AddNumberToObject(out, "id", p->o.id);
	cJSON_AddNumberToObject(out, "sequence", p->o.sequence);
	cJSON_AddNumberToObject(out, "floor", p->o.floor);
	cJSON_AddBoolToObject(out, "deleted", !p->o.spec);
	return out;
}

static void reply_check(struct api_call *call, const struct question *q, const struct check *check)
{
	const struct api *api = call->api;
	cJSON *out = cJSON_CreateObject();

	cJSON_AddBoolToObject(out, "current", check->current);
	cJSON_AddNumberToObject(out, "revision", check->revision);
	cJSON_AddItemToObject(out, "policy", numbers_json(check->found));
	if (!check->current)
		cJSON_AddItemToObject(out, "answer",
				      translate_answer_json(&api->model, q, &check->answer, &api->signer,
							    time(NULL), api->lifetime));
	api_reply(call, HTTP_OK, out);
}

void api_check(struct api_call *call)
{
	cJSON *json = access_questions(call, call->api->admin) ? api_body(call, BODY_MAX) : NULL;
	struct check check = { 0 };
	struct json_error err = { 0 };
	struct question q;
	int rc;

	if (!json || relay_question(call, "/v1/check", json))
		return;
	choose_domain(call, json);
	rc = read_check(json, &q, &check, &err);
	if (!rc) {
		call->api->questions++;
		resolve_check(&call->api->model, &q, &check);
		if (check.sequence > check.revision && check.revision)
			rc = json_fail(&err, NULL, "behind: at revision %llu of this network",
				       (unsigned long long)check.revision);
		if (rc)
			rc = -EAGAIN;
	}
	cJSON_Delete(json);
	if (rc)
		api_refuse(call, rc, &err);
	else
		reply_check(call, &q, &check);
}

static int read_members(const struct model *m, const cJSON *json, const struct network **out,
			struct json_error *err)
{
	static const char *const fields[] = { "vnid", "source", NULL };
	uint64_t vnid = 0, source = 0;
	int rc = cJSON_IsObject(json) ? json_only(json, fields, err)
				      : json_fail(err, NULL, "a question is an object");

	rc = rc ? rc : json_uint(json, "vnid", 1, VNID_MAX, &vnid, err);
	rc = rc ? rc : json_uint(json, "source", 1, UINT32_MAX, &source, err);
	return rc ? rc : members_find(m, vnid, source, out, err);
}

void api_members(struct api_call *call)
{
	cJSON *json = access_questions(call, call->api->admin) ? api_body(call, BODY_MAX) : NULL;
	const struct network *net = NULL;
	struct json_error err = { 0 };
	int rc;

	if (!json || relay_question(call, "/v1/members", json))
		return;
	choose_domain(call, json);
	call->api->questions++;
	rc = read_members(&call->api->model, json, &net, &err);
	cJSON_Delete(json);
	if (rc)
		api_refuse(call, rc, &err);
	else
		api_reply(call, HTTP_OK, members_json(&call->api->model, net));
}
