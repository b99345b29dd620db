// SPDX-License-Identifier: Apache-2.0
/* An agent's configuration: what is taken is within what the data path can do. */
#include "agent/options.h"
#include "agent/trust.h"
#include "fuzz.h"
#include "lib/json.h"

FUZZ(agent_config)
{
	cJSON *json = fuzz_json(data, size);
	struct agent_config c = { .hold_rate = 65536, .hold_burst = 65536, .answer_rate = 1, .copy_rate = 1 };
	struct json_error err = {};

	if (json && !options_config(json, &c, &err)) {
		fuzz_check(c.outer_dscp >= -1 && c.outer_dscp < 64, "DSCP %d", c.outer_dscp);
		fuzz_check(c.hold_rate >= 65536 && c.hold_burst >= 65536 && c.answer_rate && c.copy_rate,
			   "no limit");
		fuzz_check(!c.cache_entries || (c.cache_entries >= 1024 && c.cache_entries <= 1u << 24),
			   "%u entries", c.cache_entries);
	}
	trust_free(c.trust);
	cJSON_Delete(json);
}
