// SPDX-License-Identifier: Apache-2.0
#include "chains.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dps.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/proof.h"
#include "miss.h"
#include "trust.h"

/* A zone is tried again after so long; and so many are tried in that time, whoever names them. */
#define AGAIN_NS (5 * SECOND_NS)
/* One that was proven may have had little time left, or have other keys by now. */
#define ANEW_NS SECOND_NS
#define ZONES_MAX 64
#define CHAIN_MAX DOMAIN_DEPTH_MAX

struct wanted {
	char zone[DOMAIN_ROOM];
	uint64_t asked; /* when; 0: never */
	bool under_way;
	bool good;  /* it was proven when it was asked for last */
	bool again; /* its chain is to be looked at once more, with the root's keys of today */
	struct chains *chains;
};

struct chains {
	struct agent *agent;
	struct wanted zones[ZONES_MAX];
	uint64_t root_asked;
	struct chains_counters counters;
};

const struct chains_counters *chains_counters(const struct chains *c)
{
	return &c->counters;
}

static struct wanted *find(struct chains *c, const char *zone, uint64_t now)
{
	struct wanted *free_one = NULL;

	for (size_t i = 0; i < ZONES_MAX; i++) {
		struct wanted *w = &c->zones[i];

		if (w->asked && !strcmp(w->zone, zone))
			return w;
		if (!w->asked || (!w->under_way && now - w->asked > AGAIN_NS))
			free_one = w;
	}
	return free_one;
}

/* ---- the root's keys of today ---- */

static void ask_chain(struct wanted *w);

static void on_root(const struct dps_reply *r, void *arg)
{
	struct wanted *w = arg;
	struct chains *c = w->chains;
	struct json_error err = {};
	struct signed_doc doc = {};
	int rc = dps_ok(r) ? signed_parse(r->json, PROOF_ROOT_ZONE_MAX, &doc, &err) : -ENOENT;

	rc = rc ? rc : proof_root(trust_proofs(c->agent->config.trust), &doc, time(NULL));
	signed_free(&doc);
	w->under_way = false;
	if (rc) {
		c->counters.refused++;
		log_warn("the root zone cannot be used: %s", *r->error ? r->error : strerror(-rc));
		return;
	}
	c->counters.roots++;
	w->again = true;
	ask_chain(w);
}

static void ask_root(struct wanted *w)
{
	struct chains *c = w->chains;
	uint64_t now = clock_now();

	if (w->again || (c->root_asked && now - c->root_asked < AGAIN_NS))
		return;
	c->root_asked = now;
	w->under_way = true;
	dps_call(c->agent->dps, "GET", "/v1/root", NULL, on_root, w);
}

/* ---- a zone's chain ---- */

static int learn(struct proofs *proofs, const cJSON *json)
{
	const cJSON *list = json_get(json, "chain"), *item;
	struct signed_doc chain[CHAIN_MAX] = {};
	struct json_error err = {};
	int n = cJSON_GetArraySize(list), rc = n && n <= CHAIN_MAX ? 0 : -EINVAL, i = 0;

	cJSON_ArrayForEach (item, list)
		rc = rc ? rc : signed_parse(item, SIGNED_BODY_MAX, &chain[i++], &err);
	rc = rc ? rc : proof_learn(proofs, chain, n, time(NULL));
	while (i > 0)
		signed_free(&chain[--i]);
	return rc;
}

static void on_chain(const struct dps_reply *r, void *arg)
{
	struct wanted *w = arg;
	struct chains *c = w->chains;
	int rc = dps_ok(r) ? learn(trust_proofs(c->agent->config.trust), r->json) : -ENOENT;

	w->under_way = false;
	w->good = !rc;
	if (!rc) {
		c->counters.learnt++;
		miss_proven(c->agent->miss);
		return;
	}
	c->counters.refused++;
	log_warn("zone '%s' cannot be proven: %s", w->zone, *r->error ? r->error : strerror(-rc));
	if (rc == -EKEYREJECTED)
		ask_root(w);
}

static void ask_chain(struct wanted *w)
{
	_free_ char *zone = dps_escape(w->zone);
	char path[3 * DOMAIN_ROOM + 16];

	snprintf(path, sizeof(path), "/v1/chain/%s", zone ? zone : "");
	w->under_way = true;
	w->chains->counters.asked++;
	dps_call(w->chains->agent->dps, "GET", path, NULL, on_chain, w);
}

bool chains_want(struct chains *c, const char *zone)
{
	uint64_t now = clock_now();
	struct wanted *w = *zone ? find(c, zone, now) : NULL;

	if (!w || w->under_way || (w->asked && now - w->asked < (w->good ? ANEW_NS : AGAIN_NS)))
		return w && w->under_way;
	snprintf(w->zone, sizeof(w->zone), "%s", zone);
	w->asked = now;
	w->good = w->again = false;
	ask_chain(w);
	return true;
}

int chains_open(struct agent *a, struct chains **out, struct error *err)
{
	struct chains *c = calloc(1, sizeof(*c));

	if (!c)
		return error_set(err, -ENOMEM, "out of memory");
	c->agent = a;
	for (size_t i = 0; i < ZONES_MAX; i++)
		c->zones[i].chains = c;
	*out = c;
	return 0;
}

void chains_close(struct chains *c)
{
	free(c);
}
