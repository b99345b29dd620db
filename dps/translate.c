// SPDX-License-Identifier: Apache-2.0
#include "dps/translate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"

_Static_assert((int)TRANSLATION_NO_SOURCE == (int)VERDICT_NO_SOURCE, "verdicts are the wire's");
_Static_assert((int)TRANSLATION_TO_PORT == (int)SCOPE_TO_PORT, "scopes are the wire's");
_Static_assert(TRANSLATION_RULES_MAX == RULES_MAX, "an answer's rules fit");
_Static_assert(TRANSLATION_PATH_MAX == PATH_MAX_HOPS, "a path's services fit");
_Static_assert(TRANSLATION_HOST_ADDRESSES == HOST_ADDRESSES_MAX, "a host's addresses fit");
_Static_assert(TRANSLATION_NAME_ROOM > NAME_MAX_LEN && TRANSLATION_KEY_ROOM >= KEY_ROOM, "names fit");

static void fill_outcome(const struct outcome *from, enum translation_verdict verdict,
			 struct translation_outcome *out)
{
	out->verdict = verdict;
	out->flags = (from->reject ? TRANSLATION_REJECT : 0) | (from->reply ? TRANSLATION_REPLY : 0) |
		     (from->replies ? TRANSLATION_REPLIES : 0) |
		     (from->open && from->n_path ? TRANSLATION_OPEN : 0);
	out->policy = from->policy ? from->policy->o.id : 0;
	out->n_path = from->n_path;
	for (size_t i = 0; i < from->n_path; i++)
		snprintf(out->path[i], sizeof(out->path[i]), "%s", from->path[i]);
	out->dscp = from->dscp;
	out->rate_mbps = from->rate_mbps;
	out->rate_policy = from->rate_policy;
	snprintf(out->class, sizeof(out->class), "%s", from->class ? from->class : "");
	out->vlan = from->vlan;
	out->labels = from->labels;
	out->routers = from->routers;
}

static void fill_host(const struct answer *answer, struct translation_destination *out)
{
	const struct host_spec *spec = answer->host ? &answer->host->o.spec->u.host : NULL;
	const char *name = resolve_host_name(answer);

	snprintf(out->host, sizeof(out->host), "%s", name ? name : "");
	for (size_t i = 0; spec && i < spec->n_addresses; i++)
		out->host_addresses[out->n_host_addresses++] = spec->addresses[i];
}

static void fill_destination(const struct answer *answer, struct translation_destination *out)
{
	const struct endpoint *ep = answer->destination;

	out->id = ep->o.id;
	out->vnid = ep->o.net->o.id;
	snprintf(out->name, sizeof(out->name), "%s", ep->o.key);
	out->external = model_is_external(ep);
	out->mac = out->external ? gateway_mac : ep->o.spec->u.endpoint.mac;
	fill_host(answer, out);
}

static void fill_rules(const struct answer *answer, struct translation *out)
{
	out->n_rules = answer->n_rules;
	for (size_t i = 0; i < answer->n_rules; i++) {
		const struct rule *rule = &answer->rules[i];

		out->rules[i].proto = rule->match.proto;
		memcpy(out->rules[i].from_port, rule->match.from_port, sizeof(out->rules[i].from_port));
		memcpy(out->rules[i].to_port, rule->match.to_port, sizeof(out->rules[i].to_port));
		fill_outcome(&rule->outcome, rule->outcome.allow ? TRANSLATION_ALLOW : TRANSLATION_DENY,
			     &out->rules[i].outcome);
	}
}

/* A port that the question leaves open is 0, as the packet's fields of flow_all begin there. */
static void fill_packet(const struct question *q, struct translation *out)
{
	if (!out->scope || out->n_rules)
		return;
	out->proto = q->packet.proto;
	out->from_port = q->packet.from_port[0];
	out->to_port = q->packet.to_port[0];
}

bool translate(const struct model *m, const struct question *q, const struct answer *answer,
	       const struct signer *signer, int64_t now, unsigned int lifetime, struct translation *out)
{
	const struct endpoint *from = q->from_vnid ? NULL : model_party(m, answer->source);

	memset(out, 0, sizeof(*out));
	if ((!from && !q->from_vnid) || !answer->vnid)
		return false;
	snprintf(out->zone, sizeof(out->zone), "%s", signer->zone);
	out->vnid = answer->vnid;
	out->from_vnid = from ? from->o.net->o.id : q->from_vnid;
	out->beyond = answer->beyond;
	out->source = answer->source;
	out->has_address = answer->has_address;
	out->address = answer->address;
	out->has_destination = answer->destination;
	if (answer->destination)
		fill_destination(answer, &out->destination);
	fill_outcome(&answer->outcome, (enum translation_verdict)answer->verdict, &out->outcome);
	out->outcome.flags |= answer->through ? TRANSLATION_THROUGH : 0;
	if (answer->outcome.policy)
		snprintf(out->policy_name, sizeof(out->policy_name), "%s",
			 answer->outcome.policy->o.spec->name);
	out->scope = answer->scope;
	fill_rules(answer, out);
	fill_packet(q, out);
	out->sequence = answer->sequence;
	out->issued = now;
	out->expires = now + lifetime;
	return true;
}

static cJSON *sign(const struct model *m, const struct question *q, const struct answer *answer,
		   const struct signer *signer, int64_t now, unsigned int lifetime)
{
	struct translation_doc doc = { 0 };
	struct translation t;
	cJSON *list;

	if (!signer->key || !translate(m, q, answer, signer, now, lifetime, &t))
		return NULL;
	if (translation_sign(&t, signer->key, &doc)) {
		log_error("cannot sign an answer of VNID %u", t.vnid);
		return NULL;
	}
	list = cJSON_CreateArray();
	cJSON_AddItemToArray(list, translation_doc_json(&doc));
	translation_doc_free(&doc);
	return list;
}

/* The tree is used up. */
static void add_tree(struct json_text *out, const char *name, cJSON *tree)
{
	char *text = tree ? cJSON_PrintUnformatted(tree) : NULL;

	if (text) {
		json_text_value(out, name);
		json_text_raw(out, text, strlen(text));
	}
	free(text);
	cJSON_Delete(tree);
}

void translate_answer_text(const struct model *m, const struct question *q, const struct answer *answer,
			   const struct signer *signer, int64_t now, unsigned int lifetime,
			   struct json_text *out)
{
	resolve_answer_text(m, answer, out);
	add_tree(out, "signed", sign(m, q, answer, signer, now, lifetime));
	if (q->explain)
		add_tree(out, "considered", resolve_considered(m, q, answer));
	json_text_value(out, "lifetime");
}

cJSON *translate_answer_json(const struct model *m, const struct question *q, const struct answer *answer,
			     const struct signer *signer, int64_t now, unsigned int lifetime)
{
	struct json_text text = { 0 };
	cJSON *out;

	translate_answer_text(m, q, answer, signer, now, lifetime, &text);
	json_text_uint(&text, NULL, lifetime);
	json_text_close(&text, '}');
	out = cJSON_ParseWithLength(text.text, text.len);
	free(text.text);
	return out;
}
