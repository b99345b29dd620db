// SPDX-License-Identifier: Apache-2.0
#include "events.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "control.h"
#include "hint.h"
#include "lib/cleanup.h"
#include "miss.h"
#include "paths.h"
#include "underlay.h"
#include "watch.h"

/* How many are remembered for those who ask later. */
#define EVENTS_KEPT 512

struct events {
	struct agent *agent;
	struct ring_buffer *ring;
	struct event *readable;
	cJSON *kept; /* list */
};

static const char *const type_names[] = {
	[DOVE_EVENT_STALE] = "stale",
	[DOVE_EVENT_REFUSED] = "refused",
	[DOVE_EVENT_UNKNOWN] = "unknown",
	[DOVE_EVENT_NEWER] = "newer",
	[DOVE_EVENT_MOVED] = "moved",
	[DOVE_EVENT_UNKNOWN_ENDPOINT] = "unknown_endpoint",
	[DOVE_EVENT_CANNOT_JUDGE] = "cannot_judge",
	[DOVE_EVENT_ORIGIN_STALE] = "origin_stale",
	[DOVE_EVENT_DROPPED] = "dropped",
};

static const char *const reason_names[] = {
#define X(NAME, name, class, text) [DOVE_##NAME] = #name,
	DOVE_REASONS(X)
#undef X
};

void events_note(struct events *e, const char *type, cJSON *event)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	cJSON_AddStringToObject(event, "type", type);
	cJSON_AddNumberToObject(event, "time", now.tv_sec + now.tv_nsec / 1e9);
	control_event(e->agent->control, event);
	cJSON_AddItemToArray(e->kept, event);
	if (cJSON_GetArraySize(e->kept) > EVENTS_KEPT)
		cJSON_DeleteItemFromArray(e->kept, 0);
}

cJSON *events_show(const struct events *e)
{
	return cJSON_Duplicate(e->kept, true);
}

static void add_destination(const struct watch *w, cJSON *json, const struct dove_ip *ip)
{
	struct ip_addr dst = from_dove_ip(ip);
	uint32_t external = external_of(ip);
	char text[IP_TEXT];

	if (!external) {
		cJSON_AddStringToObject(json, "destination", ip_format(&dst, text));
		return;
	}
	cJSON_AddNumberToObject(json, "external", external);
	cJSON_AddStringToObject(json, "external_name", watch_external_name(w, external));
}

static cJSON *event_json(const struct events *e, const struct dove_event *ev)
{
	static const struct dove_ip here;
	struct ip_addr origin = from_dove_ip(&ev->origin), src = from_dove_ip(&ev->src);
	const struct agent *a = e->agent;
	cJSON *json = cJSON_CreateObject();
	char text[IP_TEXT];

	cJSON_AddStringToObject(json, "network", watch_network_name(a->watch, ev->vnid));
	cJSON_AddNumberToObject(json, "vnid", ev->vnid);
	cJSON_AddNumberToObject(json, "policy", ev->policy);
	cJSON_AddStringToObject(json, "policy_name", watch_policy_name(a->watch, ev->vnid, ev->policy));
	cJSON_AddNumberToObject(json, "source", ev->source);
	cJSON_AddStringToObject(json, "source_address", ip_format(&src, text));
	add_destination(a->watch, json, &ev->dst);
	cJSON_AddNumberToObject(json, "proto", ev->proto);
	cJSON_AddNumberToObject(json, "from_port", ev->from_port);
	cJSON_AddNumberToObject(json, "to_port", ev->to_port);
	if (memcmp(&ev->origin, &here, sizeof(here))) {
		cJSON_AddStringToObject(json, "origin", underlay_name(a->underlay, &origin));
		cJSON_AddStringToObject(json, "origin_address", ip_format(&origin, text));
	} else {
		cJSON_AddStringToObject(json, "origin", a->config.host);
	}
	cJSON_AddNumberToObject(json, "sequence", ev->sequence);
	cJSON_AddNumberToObject(json, "wanted", ev->wanted);
	cJSON_AddBoolToObject(json, "delivered", ev->processed);
	if (ev->reason < ARRAY_SIZE(reason_names))
		cJSON_AddStringToObject(json, "reason", reason_names[ev->reason]);
	return json;
}

/* Our own translation is behind: get the new one, the packets go on meanwhile. */
static void refresh_own(struct agent *a, const struct dove_event *ev)
{
	struct dove_cache_key key = { .dst = ev->dst,
				      .source = ev->source,
				      .from_port = ev->from_port,
				      .to_port = ev->to_port,
				      .proto = ev->proto,
				      .exact = 1 };

	miss_refresh(a->miss, &key, ev->vnid, ev->wanted);
}

static void act(struct agent *a, const struct dove_event *ev)
{
	switch (ev->type) {
	case DOVE_EVENT_ORIGIN_STALE:
		refresh_own(a, ev);
		break;
	case DOVE_EVENT_STALE:
	case DOVE_EVENT_REFUSED:
	case DOVE_EVENT_MOVED:
	case DOVE_EVENT_UNKNOWN_ENDPOINT:
		hint_send(a->hint, ev);
		break;
	}
}

static int on_event(void *arg, void *data, size_t size)
{
	struct events *e = arg;
	const struct dove_event *ev = data;

	if (size >= sizeof(*ev) && ev->type == DOVE_EVENT_PROBE) {
		paths_probed(e->agent->paths, ev);
		return 0;
	}
	if (size < sizeof(*ev) || ev->type >= ARRAY_SIZE(type_names) || !type_names[ev->type])
		return 0;
	act(e->agent, ev);
	events_note(e, type_names[ev->type], event_json(e, ev));
	return 0;
}

void events_take(struct events *e)
{
	ring_buffer__consume(e->ring);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	events_take(arg);
}

int events_open(struct agent *a, struct events **out, struct error *err)
{
	struct events *e = calloc(1, sizeof(*e));

	if (!e)
		return error_set(err, -ENOMEM, "out of memory");
	e->agent = a;
	e->kept = cJSON_CreateArray();
	e->ring = ring_buffer__new(a->maps->events, on_event, e, NULL);
	if (!e->ring) {
		events_close(e);
		return error_set(err, -errno, "dove_events: %m");
	}
	e->readable =
		event_new(a->base, ring_buffer__epoll_fd(e->ring), EV_READ | EV_PERSIST, on_readable, e);
	event_add(e->readable, NULL);
	*out = e;
	return 0;
}

void events_close(struct events *e)
{
	if (!e)
		return;
	if (e->readable)
		event_free(e->readable);
	ring_buffer__free(e->ring);
	cJSON_Delete(e->kept);
	free(e);
}
