// SPDX-License-Identifier: Apache-2.0
#include "dps/load.h"

#include "dps/commit.h"
#include "lib/log.h"

void load_tell(struct load *l, uint32_t kbps, uint64_t packets, int64_t now)
{
	l->kbps = kbps;
	l->packets = packets;
	l->told = now;
}

int load_percent(const struct load *l, uint32_t capacity_mbps, int64_t now)
{
	if (!capacity_mbps || !l->told || now - l->told > LOAD_FRESH_SECONDS)
		return -1;
	return (int)((uint64_t)l->kbps / capacity_mbps / 10);
}

/* So many eighths of its flows would be as much as it is to have, if all flows are alike. At least one. */
static int fitting(int taken, int percent)
{
	int fit = percent ? taken * LOAD_AIM / percent : LOAD_PARTS;

	return fit < 1 ? 1 : fit > LOAD_PARTS ? LOAD_PARTS : fit;
}

static enum load_trend trend_of(int taken, int percent, bool room)
{
	if (percent > LOAD_HIGH && taken > 1)
		return room ? LOAD_TOO_MUCH : LOAD_FITS;
	return fitting(taken, percent) > taken ? LOAD_LITTLE : LOAD_FITS;
}

static void relapse(struct load *l)
{
	l->wait = l->wait ? 2 * l->wait : LOAD_LOW_SECONDS;
	if (l->wait > LOAD_LOW_SECONDS_MAX)
		l->wait = LOAD_LOW_SECONDS_MAX;
}

uint8_t load_judge(struct load *l, uint32_t capacity_mbps, bool room, int64_t now)
{
	int percent = load_percent(l, capacity_mbps, now), taken = LOAD_PARTS - l->aside;
	enum load_trend trend = percent < 0 ? LOAD_FITS : trend_of(taken, percent, room);

	if (!l->aside && l->wait && now - l->changed >= LOAD_CALM_SECONDS)
		l->wait = 0;
	if (trend != l->trend) {
		l->trend = trend;
		l->since = now;
	}
	if (trend == LOAD_FITS || now - l->since < (trend == LOAD_TOO_MUCH ? LOAD_HIGH_SECONDS : l->wait))
		return l->aside;
	if (trend == LOAD_TOO_MUCH)
		relapse(l);
	l->trend = LOAD_FITS;
	l->changed = now;
	return LOAD_PARTS - fitting(taken, percent);
}

/* ---- all of them ---- */

/* Where it gets flows at all: as the watch says to hosts (feed_json.c). */
static struct endpoint *working(const struct model *m, const struct service_spec *service, size_t i)
{
	struct endpoint *ep = (struct endpoint *)model_find(m, KIND_ENDPOINT, service->instances.v[i]);

	return ep && ep->place.host && !ep->place.idle && !service->more[i].down ? ep : NULL;
}

static bool has_room(const struct model *m, const struct service_spec *service, size_t but, int64_t now)
{
	for (size_t i = 0; i < service->instances.n; i++) {
		const struct endpoint *ep = i == but ? NULL : working(m, service, i);
		uint32_t capacity = service->more[i].capacity_mbps;
		int percent = ep ? load_percent(&ep->place.load, capacity, now) : -1;

		if (ep && (!capacity || (percent >= 0 && percent < LOAD_AIM)))
			return true;
	}
	return false;
}

static void balance(const struct commit_context *ctx, const struct object *obj, size_t i, int64_t now)
{
	const struct service_spec *service = &obj->spec->u.service;
	uint32_t capacity = service->more[i].capacity_mbps;
	struct endpoint *ep = working(ctx->m, service, i);
	struct json_error err;
	uint8_t aside;

	if (!ep || (!capacity && !ep->place.load.aside))
		return;
	/* Whose bound was taken away has none to be above. */
	aside = capacity ? load_judge(&ep->place.load, capacity, has_room(ctx->m, service, i, now), now) : 0;
	if (aside == ep->place.load.aside)
		return;
	log_info("service %s: %s has %u kbit/s to do, of %u Mbit/s that it can: %d of 8 parts of its flows",
		 obj->key, ep->o.key, ep->place.load.kbps, capacity, LOAD_PARTS - aside);
	if (commit_aside(ctx, ep, aside, &err))
		log_warn("service %s: %s", obj->key, err.text);
}

void load_balance(const struct commit_context *ctx, int64_t now)
{
	const struct object *obj;

	for (obj = ctx->m->by_key[KIND_SERVICE]; obj; obj = obj->hh.next)
		for (size_t i = 0; i < obj->spec->u.service.instances.n; i++)
			balance(ctx, obj, i, now);
}
