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

static void add_host(cJSON *out, const struct answer *answer)
{
	const char *name = resolve_host_name(answer);
	const struct host_spec *spec = answer->host ? &answer->host->o.spec->u.host : NULL;

	if (name)
		cJSON_AddStringToObject(out, "host", name);
	else
		cJSON_AddNullToObject(out, "host");
	cJSON_AddItemToObject(out, "host_addresses",
			      spec ? objects_addresses_json(spec->addresses, spec->n_addresses)
				   : cJSON_CreateArray());
}

static cJSON *destination_json(const struct answer *answer)
{
	const struct endpoint *ep = answer->destination;
	bool external = model_is_external(ep);
	cJSON *out = cJSON_CreateObject();
	char mac[MAC_TEXT];

	cJSON_AddNumberToObject(out, "id", ep->o.id);
	cJSON_AddStringToObject(out, "name", ep->o.key);
	if (external)
		cJSON_AddTrueToObject(out, "external");
	cJSON_AddNumberToObject(out, "vnid", ep->o.net->o.id);
	cJSON_AddStringToObject(out, "mac",
				mac_format(external ? &gateway_mac : &ep->o.spec->u.endpoint.mac, mac));
	add_host(out, answer);
	return out;
}

/* Who has VMs of several domains must know whose firewall is meant. */
static void add_path(cJSON *out, const struct model *m, const struct outcome *outcome)
{
	cJSON *path = cJSON_AddArrayToObject(out, "path");
	char name[FULL_NAME_ROOM];

	for (size_t i = 0; i < outcome->n_path; i++)
		cJSON_AddItemToArray(path,
				     cJSON_CreateString(domain_full(m->domain, outcome->path[i], name)));
}

static void add_qos(cJSON *out, const struct outcome *outcome)
{
	cJSON *qos = cJSON_AddObjectToObject(out, "qos");

	if (outcome->dscp >= 0)
		cJSON_AddNumberToObject(qos, "dscp", outcome->dscp);
	if (outcome->rate_mbps) {
		cJSON_AddNumberToObject(qos, "rate_mbps", outcome->rate_mbps);
		cJSON_AddNumberToObject(qos, "rate_policy", outcome->rate_policy);
	}
	if (outcome->class)
		cJSON_AddStringToObject(qos, "class", outcome->class);
	if (outcome->vlan)
		cJSON_AddNumberToObject(qos, "vlan", outcome->vlan);
	labels_render(qos, &outcome->labels);
}

static void add_range(cJSON *out, const char *field, const uint16_t range[2])
{
	cJSON *list = cJSON_AddArrayToObject(out, field);

	cJSON_AddItemToArray(list, cJSON_CreateNumber(range[0]));
	cJSON_AddItemToArray(list, cJSON_CreateNumber(range[1]));
}

/* What is said beside the verdict, where it is so. */
static void add_marks(cJSON *out, const struct outcome *outcome)
{
	if (outcome->reject)
		cJSON_AddTrueToObject(out, "reject");
	if (outcome->reply)
		cJSON_AddTrueToObject(out, "reply");
	if (outcome->replies)
		cJSON_AddTrueToObject(out, "replies");
	if (outcome->open && outcome->n_path)
		cJSON_AddTrueToObject(out, "open");
}

static cJSON *rule_json(const struct model *m, const struct rule *rule)
{
	cJSON *out = cJSON_CreateObject();

	cJSON_AddNumberToObject(out, "proto", rule->match.proto);
	add_range(out, "from_port", rule->match.from_port);
	add_range(out, "to_port", rule->match.to_port);
	cJSON_AddStringToObject(out, "verdict", rule->outcome.allow ? "allow" : "deny");
	add_marks(out, &rule->outcome);
	cJSON_AddNumberToObject(out, "policy", rule->outcome.policy->o.id);
	add_path(out, m, &rule->outcome);
	add_qos(out, &rule->outcome);
	return out;
}

static void add_rules(cJSON *out, const struct model *m, const struct answer *answer)
{
	cJSON *scope = cJSON_AddArrayToObject(out, "scope"), *rules;

	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		if (answer->scope & scopes[i].bit)
			cJSON_AddItemToArray(scope, cJSON_CreateString(scopes[i].name));
	if (!answer->n_rules)
		return;
	rules = cJSON_AddArrayToObject(out, "rules");
	for (size_t i = 0; i < answer->n_rules; i++)
		cJSON_AddItemToArray(rules, rule_json(m, &answer->rules[i]));
}

cJSON *resolve_answer_json(const struct model *m, const struct answer *answer, unsigned int lifetime)
{
	const struct policy *policy = answer->outcome.policy;
	cJSON *out = cJSON_CreateObject();
	char text[IP_TEXT];

	cJSON_AddNumberToObject(out, "vnid", answer->vnid);
	cJSON_AddNumberToObject(out, "source", answer->source);
	if (answer->has_address)
		cJSON_AddStringToObject(out, "address", ip_format(&answer->address, text));
	if (answer->destination)
		cJSON_AddItemToObject(out, "destination", destination_json(answer));
	cJSON_AddStringToObject(out, "verdict", verdicts[answer->verdict]);
	add_marks(out, &answer->outcome);
	if (answer->through)
		cJSON_AddTrueToObject(out, "through");
	cJSON_AddNumberToObject(out, "policy", policy ? policy->o.id : 0);
	cJSON_AddStringToObject(out, "policy_name", policy ? policy->o.spec->name : "");
	add_path(out, m, &answer->outcome);
	add_qos(out, &answer->outcome);
	add_rules(out, m, answer);
	cJSON_AddNumberToObject(out, "sequence", answer->sequence);
	cJSON_AddNumberToObject(out, "floor", answer->floor);
	cJSON_AddNumberToObject(out, "lifetime", lifetime);
	return out;
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
