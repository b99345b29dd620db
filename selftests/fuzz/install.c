// SPDX-License-Identifier: Apache-2.0
/*
 * An answer of the service, on an agent without maps: what it is understood as
 * never lets pass more than it says.
 */
#include <event2/event.h>
#include <string.h>

#include "agent/install.h"
#include "agent/paths.h"
#include "agent/underlay.h"
#include "fuzz.h"
#include "lib/log.h"

static struct agent *no_maps(void)
{
	static struct loader_maps maps;
	static struct agent a = { .config = { .host = "h1" }, .maps = &maps };
	struct ip_addr own;
	struct error err;

	if (a.base)
		return &a;
	memset(&maps, 0xff, sizeof(maps));
	log_init("fuzz", 0);
	a.base = event_base_new();
	fuzz_check(a.base && !underlay_open(&a, &a.underlay, &err) && !paths_open(&a, &a.paths, &err) &&
			   !ip_parse("192.0.2.1", &own),
		   "no agent");
	underlay_self(a.underlay, &own, 1);
	return &a;
}

static void allowed_as_said(const struct installed *in, const cJSON *json)
{
	const char *verdict = cJSON_GetStringValue(json_get(json, "verdict"));
	const cJSON *rule = json_get(json, "rules");

	if (in->t.verdict == DOVE_VERDICT_ALLOW) {
		fuzz_check(!strcmp(verdict, "allow"), "allowed by '%s'", verdict);
		fuzz_check(in->t.endpoint && (in->t.local || in->has_host), "allowed to nowhere");
	}
	fuzz_check(in->t.n_rules <= DOVE_RULES_MAX, "%u rules", in->t.n_rules);
	rule = rule ? rule->child : NULL;
	for (int i = 0; i < in->t.n_rules; i++, rule = rule->next) {
		const char *said = cJSON_GetStringValue(json_get(rule, "verdict"));

		fuzz_check(in->t.rules[i].verdict != DOVE_VERDICT_ALLOW || !strcmp(said, "allow"),
			   "rule %d allows by '%s'", i, said);
		fuzz_check(in->t.rules[i].from_lo <= in->t.rules[i].from_hi &&
				   in->t.rules[i].to_lo <= in->t.rules[i].to_hi,
			   "rule %d has no ports", i);
	}
}

FUZZ(install)
{
	static const struct dove_cache_key asked = {
		.source = 5, .proto = 6, .from_port = 40000, .to_port = 443
	};
	cJSON *json = fuzz_json(data, size);
	struct json_error err = {};
	static struct install_batch batch;
	struct installed in;

	batch.n = 0;
	if (json && !install_answer(no_maps(), json, &asked, true, &batch, &in, &err))
		allowed_as_said(&in, json);
	cJSON_Delete(json);
}
