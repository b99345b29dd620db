// SPDX-License-Identifier: Apache-2.0
/* What a server says to a question, and the chain of delegations that it names. */
#include "dps/reply.h"
#include "fuzz.h"
#include "lib/delegation.h"
#include "lib/statement.h"

static void read_bodies(const struct reply *reply)
{
	static struct delegation d;
	static struct statement s;
	struct json_error err = {};

	if (reply->doc.body)
		statement_parse(reply->doc.body, reply->doc.len, &s, &err);
	for (size_t i = 0; i < reply->n_chain; i++)
		delegation_parse(reply->chain[i].body, reply->chain[i].len, &d, &err);
}

FUZZ(reply)
{
	cJSON *json = fuzz_json(data, size);
	struct reply reply = {}, again = {};
	struct json_error err = {};
	cJSON *out;

	if (json && !reply_parse(json, &reply, &err)) {
		read_bodies(&reply);
		out = reply_json(&reply);
		fuzz_check(!reply_parse(out, &again, &err), "%s: %s", err.field, err.text);
		fuzz_same_json(out, reply_json(&again), "another reply");
	}
	reply_free(&reply);
	reply_free(&again);
	cJSON_Delete(json);
}
