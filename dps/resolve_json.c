// SPDX-License-Identifier: Apache-2.0
/* Answers as JSON. */
#include "dps/resolve.h"
#include "lib/domain.h"

static const char *const verdicts[] = {
	[VERDICT_ALLOW] = "allow",	   [VERDICT_DENY] = "deny",
	[VERDICT_GATEWAY] = "gateway",	   [VERDICT_NO_ENDPOINT] = "no_endpoint",
	[VERDICT_NO_SOURCE] = "no_source",
};

static const struct {
	enum scope bit;
	const char *name;
} scopes[] = {
	{ SCOPE_PROTO, "proto" },
	{ SCOPE_FROM_PORT, "from_port" },
	{ SCOPE_TO_PORT, "to_port" },
};

const char *resolve_verdict_name(enum verdict verdict)
{
	return verdicts[verdict];
}

/* The name of where it is: a gateway has it also where no such host is registered. */
const char *resolve_host_name(const struct answer *answer)
{
	if (model_is_external(answer->destination))
		return answer->destination->o.spec->u.external.gateway;
	return answer->host ? answer->host->o.key : NULL;
}

static void add_host(struct json_text *out, const struct answer *answer)
{
	const struct host_spec *spec = answer->host ? &answer->host->o.spec->u.host : NULL;
	char text[IP_TEXT];

	json_text_str(out, "host", resolve_host_name(answer));
	json_text_open(out, "host_addresses", '[');
	for (size_t i = 0; spec && i < spec->n_addresses; i++)
		json_text_str(out, NULL, ip_format(&spec->addresses[i], text));
	json_text_close(out, ']');
}

static void add_destination(struct json_text *out, const struct answer *answer)
{
	const struct endpoint *ep = answer->destination;
	bool external = model_is_external(ep);
	char mac[MAC_TEXT];

	json_text_open(out, "destination", '{');
	json_text_uint(out, "id", ep->o.id);
	json_text_str(out, "name", ep->o.key);
	json_text_true(out, "external", external);
	json_text_uint(out, "vnid", ep->o.net->o.id);
	json_text_str(out, "mac", mac_format(external ? &gateway_mac : &ep->o.spec->u.endpoint.mac, mac));
	add_host(out, answer);
	json_text_close(out, '}');
}

/* Who has VMs of several domains must know whose firewall is meant. */
static void add_path(struct json_text *out, const struct model *m, const struct outcome *outcome)
{
	char name[FULL_NAME_ROOM];

	json_text_open(out, "path", '[');
	for (size_t i = 0; i < outcome->n_path; i++)
		json_text_str(out, NULL, domain_full(m->domain, outcome->path[i], name));
	json_text_close(out, ']');
}

/* As labels_render() does. */
static void add_labels(struct json_text *out, const struct labels *labels)
{
	if (!labels->n)
		return;
	json_text_open(out, "mpls", '[');
	for (size_t i = 0; i < labels->n; i++) {
		json_text_open(out, NULL, '{');
		json_text_uint(out, "label", labels->at[i] >> 3);
		if (labels->at[i] & LABEL_TC_LAST)
			json_text_uint(out, "tc", labels->at[i] & LABEL_TC_LAST);
		json_text_close(out, '}');
	}
	json_text_close(out, ']');
}

/* As routers_render() does. */
static void add_routers(struct json_text *out, const struct routers *routers)
{
	char text[IP_TEXT];

	if (!routers->n)
		return;
	json_text_open(out, "hops", '[');
	for (size_t i = 0; i < routers->n; i++)
		json_text_str(out, NULL, ip_format(&routers->at[i], text));
	json_text_close(out, ']');
}

static void add_qos(struct json_text *out, const struct outcome *outcome)
{
	json_text_open(out, "qos", '{');
	if (outcome->dscp >= 0)
		json_text_uint(out, "dscp", (uint64_t)outcome->dscp);
	if (outcome->rate_mbps) {
		json_text_uint(out, "rate_mbps", outcome->rate_mbps);
		json_text_uint(out, "rate_policy", outcome->rate_policy);
	}
	if (outcome->class)
		json_text_str(out, "class", outcome->class);
	if (outcome->vlan)
		json_text_uint(out, "vlan", outcome->vlan);
	add_labels(out, &outcome->labels);
	add_routers(out, &outcome->routers);
	json_text_close(out, '}');
}

static void add_range(struct json_text *out, const char *field, const uint16_t range[2])
{
	json_text_open(out, field, '[');
	json_text_uint(out, NULL, range[0]);
	json_text_uint(out, NULL, range[1]);
	json_text_close(out, ']');
}

/* What is said beside the verdict, where it is so. */
static void add_marks(struct json_text *out, const struct outcome *outcome)
{
	json_text_true(out, "reject", outcome->reject);
	json_text_true(out, "reply", outcome->reply);
	json_text_true(out, "replies", outcome->replies);
	json_text_true(out, "open", outcome->open && outcome->n_path);
}

static void add_rule(struct json_text *out, const struct model *m, const struct rule *rule)
{
	json_text_open(out, NULL, '{');
	json_text_uint(out, "proto", rule->match.proto);
	add_range(out, "from_port", rule->match.from_port);
	add_range(out, "to_port", rule->match.to_port);
	json_text_str(out, "verdict", rule->outcome.allow ? "allow" : "deny");
	add_marks(out, &rule->outcome);
	json_text_uint(out, "policy", rule->outcome.policy->o.id);
	add_path(out, m, &rule->outcome);
	add_qos(out, &rule->outcome);
	json_text_close(out, '}');
}

static void add_rules(struct json_text *out, const struct model *m, const struct answer *answer)
{
	json_text_open(out, "scope", '[');
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		if (answer->scope & scopes[i].bit)
			json_text_str(out, NULL, scopes[i].name);
	json_text_close(out, ']');
	if (!answer->n_rules)
		return;
	json_text_open(out, "rules", '[');
	for (size_t i = 0; i < answer->n_rules; i++)
		add_rule(out, m, &answer->rules[i]);
	json_text_close(out, ']');
}

void resolve_answer_text(const struct model *m, const struct answer *answer, struct json_text *out)
{
	const struct policy *policy = answer->outcome.policy;
	char text[IP_TEXT];

	json_text_open(out, NULL, '{');
	json_text_uint(out, "vnid", answer->vnid);
	json_text_uint(out, "source", answer->source);
	if (answer->has_address)
		json_text_str(out, "address", ip_format(&answer->address, text));
	if (answer->destination)
		add_destination(out, answer);
	json_text_str(out, "verdict", verdicts[answer->verdict]);
	add_marks(out, &answer->outcome);
	json_text_true(out, "through", answer->through);
	json_text_uint(out, "policy", policy ? policy->o.id : 0);
	json_text_str(out, "policy_name", policy ? policy->o.spec->name : "");
	add_path(out, m, &answer->outcome);
	add_qos(out, &answer->outcome);
	add_rules(out, m, answer);
	json_text_uint(out, "sequence", answer->sequence);
	json_text_uint(out, "floor", answer->floor);
}

/* ---- why ---- */

/* What a policy has to do with the packet, in words; *over: nothing below says anything any more. */
static const char *part_of(const struct policy_spec *p, const struct flow_box *packet, bool *decided,
			   bool *over)
{
	bool first = !*decided;

	if (!flow_contains(&p->match, packet))
		return "its protocol or ports are others";
	if (*over)
		return "below one that ends the search";
	*decided = true;
	*over = !p->allow ? first : p->final;
	if (first)
		return "it matches first, and decides";
	return p->allow ? "adds its services and quality" : "below one that allows";
}

static cJSON *considered_json(const struct policy *policy, const char *part)
{
	const struct policy_spec *p = &policy->o.spec->u.policy;
	cJSON *out = cJSON_CreateObject();

	cJSON_AddNumberToObject(out, "policy", policy->o.id);
	cJSON_AddStringToObject(out, "name", policy->o.key);
	cJSON_AddNumberToObject(out, "priority", p->priority);
	cJSON_AddStringToObject(out, "action", objects_action_name(p->allow, p->reject));
	cJSON_AddItemToObject(out, "path", objects_names_json(&p->path));
	cJSON_AddStringToObject(out, "why", part);
	return out;
}

cJSON *resolve_considered(const struct model *m, const struct question *q, const struct answer *answer)
{
	const struct endpoint *from = model_party(m, answer->source), *to = answer->destination;
	cJSON *list = cJSON_CreateArray();
	struct pair pair;

	if (!from || !to)
		return list;
	pair_init(&pair, from, to);
	for (int h = 0; h < pair.n_halves; h++) {
		bool decided = false, over = false;

		for (size_t i = 0; i < pair.halves[h].policies.n; i++) {
			const struct policy *policy = pair.halves[h].policies.v[i];
			const struct policy_spec *p = &policy->o.spec->u.policy;

			cJSON_AddItemToArray(
				list, considered_json(policy, part_of(p, &q->packet, &decided, &over)));
		}
		if (!decided)
			cJSON_AddItemToArray(
				list, considered_json(pair.halves[h].net->fallback, "no other matches"));
	}
	pair_free(&pair);
	return list;
}
