// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "across.h"
#include "agent.h"
#include "believe.h"
#include "chains.h"
#include "check.h"
#include "control.h"
#include "dps.h"
#include "events.h"
#include "flows.h"
#include "gateway.h"
#include "group.h"
#include "hint.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/notify.h"
#include "lib/sign.h"
#include "load.h"
#include "loader/rtnl.h"
#include "miss.h"
#include "moved.h"
#include "nics.h"
#include "paths.h"
#include "pmtu.h"
#include "ports.h"
#include "qos.h"
#include "state.h"
#include "strangers.h"
#include "underlay.h"
#include "watch.h"

uint64_t clock_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND_NS + now.tv_nsec;
}

uint32_t map_count(int map_fd, uint32_t key_size, uint32_t max)
{
	_free_ char *key = malloc(key_size);
	uint32_t n = 0;

	if (!key || bpf_map_get_next_key(map_fd, NULL, key))
		return 0;
	do
		n++;
	while (n < max && !bpf_map_get_next_key(map_fd, key, key));
	return n;
}

struct dove_stats map_stats(int map_fd, uint32_t key)
{
	int cpus = loader_possible_cpus();
	_free_ struct dove_stats *values = calloc(cpus, sizeof(*values));
	struct dove_stats sum = {};

	if (!values || bpf_map_lookup_elem(map_fd, &key, values))
		return sum;
	for (int i = 0; i < cpus; i++) {
		sum.packets += values[i].packets;
		sum.bytes += values[i].bytes;
	}
	return sum;
}

int map_clear(int map_fd, uint32_t key_size, bool (*keep)(const void *key, void *arg), void *arg)
{
	_free_ char *key = malloc(key_size), *next = malloc(key_size);
	int n = 0;
	bool have;

	if (!key || !next)
		return 0;
	have = !bpf_map_get_next_key(map_fd, NULL, next);
	while (have) {
		memcpy(key, next, key_size);
		/* Step on before the key goes: from one that is gone the walk would begin anew. */
		have = !bpf_map_get_next_key(map_fd, key, next);
		if (keep && keep(key, arg))
			continue;
		n += !bpf_map_delete_elem(map_fd, key);
	}
	return n;
}

int agent_forget_translations(struct agent *a)
{
	return map_clear(a->maps->cache, sizeof(struct dove_cache_key), NULL, NULL) +
	       map_clear(a->maps->denied, sizeof(struct dove_cache_key), NULL, NULL);
}

#define RETURNS_PER_ANSWER 20

static struct dove_bucket bucket(uint64_t rate, uint64_t burst)
{
	return (struct dove_bucket){ .ns_per_1024 = SECOND_NS * 1024 / rate,
				     .burst_ns = SECOND_NS * burst / rate };
}

void agent_set_budget(const struct agent *a, uint32_t id, uint32_t ports)
{
	const struct agent_config *c = &a->config;
	/* A host stands for all of its ports, and gets back what is its own. */
	uint32_t answers = id & DOVE_BUDGET_HOST ? c->answer_rate * RETURNS_PER_ANSWER : c->answer_rate;
	struct dove_budget budget = {
		.of = { [DOVE_BUDGET_HELD] =
				bucket((uint64_t)c->hold_rate * ports, (uint64_t)c->hold_burst * ports),
			[DOVE_BUDGET_ANSWERS] = bucket(answers, answers),
			[DOVE_BUDGET_COPIES] = bucket(c->copy_rate, c->copy_rate) },
	};

	if (bpf_map_update_elem(a->maps->budgets, &id, &budget, BPF_ANY))
		log_error("dove_budgets: %s", strerror(errno));
}

/* ---- what the kernel says ---- */

struct changes {
	struct agent *agent;
	bool path, link;
};

static void on_change(enum rtnl_change what, int ifindex, void *arg)
{
	struct changes *c = arg;

	switch (what) {
	case RTNL_LINK:
		ports_device_changed(c->agent->ports, ifindex);
		nics_queueing(c->agent->nics, ifindex); /* a default one comes with the link, and is not told of */
		c->link = true;
		break;
	case RTNL_LINK_GONE:
		gateway_device_gone(c->agent->gateway, ifindex);
		ports_device_gone(c->agent->ports, ifindex);
		nics_device_gone(c->agent->nics, ifindex);
		break;
	case RTNL_QDISC:
		nics_queueing(c->agent->nics, ifindex);
		break;
	case RTNL_PATH:
		c->path = true;
		break;
	}
}

/* Addresses are read once for all the changes that came: a neighbour table alone tells of many. */
static void on_rtnl(evutil_socket_t fd, short what, void *arg)
{
	struct changes c = { .agent = arg };

	rtnl_monitor_read(fd, on_change, &c);
	if (c.path)
		nics_changed(c.agent->nics);
	if (c.link)
		gateway_refresh(c.agent->gateway);
	underlay_refresh(c.agent->underlay);
}

/* ---- life ---- */

static void on_stop(evutil_socket_t signal, short what, void *arg)
{
	event_base_loopbreak(arg);
}

static int run_dir_lock(const char *dir, struct error *err)
{
	char path[4096];
	_close_ int fd = -1;

	if (mkdir(dir, 0700) && errno != EEXIST)
		return error_set(err, -errno, "%s: %m", dir);
	snprintf(path, sizeof(path), "%s/agent.lock", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_set(err, -errno, "%s: %m", path);
	if (flock(fd, LOCK_EX | LOCK_NB))
		return error_set(err, -EBUSY, "%s: an agent runs with this run directory already", dir);
	return take_fd(fd);
}

static int rooms_open(struct agent *a, struct error *err)
{
	int rc = dps_open(a, &a->dps, err);

	if (!rc)
		rc = nics_open(a, &a->nics, err);
	if (!rc)
		rc = ports_open(a, &a->ports, err);
	if (!rc)
		rc = underlay_open(a, &a->underlay, err);
	if (!rc)
		rc = paths_open(a, &a->paths, err);
	if (!rc)
		rc = load_open(a, &a->load, err);
	if (!rc)
		rc = watch_open(a, &a->watch, err);
	if (!rc)
		rc = miss_open(a, &a->miss, err);
	if (!rc)
		rc = group_open(a, &a->group, err);
	if (!rc)
		rc = flows_open(a, &a->flows, err);
	if (!rc)
		rc = moved_open(a, &a->moved, err);
	if (!rc)
		rc = check_open(a, &a->check, err);
	if (!rc)
		rc = pmtu_open(a, &a->pmtu, err);
	if (!rc)
		rc = gateway_open(a, &a->gateway, err);
	if (!rc)
		rc = chains_open(a, &a->chains, err);
	if (!rc)
		rc = believe_open(a, &a->believe, err);
	if (!rc)
		rc = across_open(a, &a->across, err);
	if (!rc)
		rc = strangers_open(a, &a->strangers, err);
	if (!rc)
		rc = hint_open(a, &a->hint, err);
	if (!rc)
		rc = control_open(a, &a->control, err);
	if (!rc)
		rc = events_open(a, &a->events, err);
	return rc;
}

static void rooms_close(struct agent *a)
{
	events_close(a->events);
	control_close(a->control);
	dps_close(a->dps);
	hint_close(a->hint);
	strangers_close(a->strangers);
	across_close(a->across);
	believe_close(a->believe);
	chains_close(a->chains);
	miss_close(a->miss);
	group_close(a->group);
	flows_close(a->flows);
	moved_close(a->moved);
	check_close(a->check);
	pmtu_close(a->pmtu);
	gateway_close(a->gateway);
	watch_close(a->watch);
	load_close(a->load);
	paths_close(a->paths);
	underlay_close(a->underlay);
	ports_close(a->ports);
	nics_close(a->nics);
}

static void adopt(struct agent *a)
{
	cJSON *state = state_load(a);

	paths_restore(a->paths, cJSON_GetObjectItemCaseSensitive(state, "services"));
	nics_restore(a->nics);
	gateway_restore(a->gateway, cJSON_GetObjectItemCaseSensitive(state, "gateway"));
	ports_restore(a->ports, cJSON_GetObjectItemCaseSensitive(state, "ports"));
	cJSON_Delete(state);
	if (nics_count(a->nics) || ports_count(a->ports))
		log_info("adopted %d underlay devices and %d ports", nics_count(a->nics),
			 ports_count(a->ports));
}

static void on_idle(evutil_socket_t fd, short what, void *arg)
{
	qos_forget_idle(arg);
}

static void serve(struct agent *a, int rtnl_fd)
{
	static const struct timeval often = { .tv_sec = QOS_IDLE_S };
	struct event *term = evsignal_new(a->base, SIGTERM, on_stop, a->base);
	struct event *intr = evsignal_new(a->base, SIGINT, on_stop, a->base);
	struct event *rtnl = event_new(a->base, rtnl_fd, EV_READ | EV_PERSIST, on_rtnl, a);
	struct event *idle = event_new(a->base, -1, EV_PERSIST, on_idle, a);

	event_add(term, NULL);
	event_add(intr, NULL);
	event_add(rtnl, NULL);
	event_add(idle, &often);
	adopt(a);
	log_info("host %s, policy service %s: ready", a->config.host, a->config.dps);
	notify_ready();
	event_base_dispatch(a->base);
	event_free(idle);
	event_free(rtnl);
	event_free(intr);
	event_free(term);
}

/* With nothing attached there is nothing to keep for a next agent. */
static void leave_nothing(struct agent *a)
{
	char path[4096];

	if (nics_count(a->nics) || ports_count(a->ports))
		return;
	gateway_leave(a->gateway);
	loader_unpin(a->loader);
	snprintf(path, sizeof(path), "%s/state.json", a->config.run_dir);
	unlink(path);
}

static int agent_start(struct agent *a, struct error *err)
{
	struct loader_config loader = { .pin_dir = a->config.pin_dir,
					.origin_check = a->config.origin_check,
					.refuse_stale = a->config.refuse_stale,
					.refused = a->config.refused,
					.tcx = a->config.tcx,
					.outer_dscp = a->config.outer_dscp,
					.cache_entries = a->config.cache_entries };
	int rc = a->config.sign_key ? sign_key_load(a->config.sign_key, &a->sign_key, err) : 0;

	if (!rc)
		rc = loader_prepare_pin_dir(a->config.pin_dir, err);

	if (!rc)
		rc = loader_open(&loader, &a->loader, err);
	if (rc)
		return rc;
	a->maps = loader_maps(a->loader);
	return rooms_open(a, err);
}

int agent_run(const struct agent_config *config)
{
	struct agent a = { .config = *config };
	_close_ int lock = -1, rtnl_fd = -1;
	struct error err = {};
	int rc;

	signal(SIGPIPE, SIG_IGN);
	lock = run_dir_lock(config->run_dir, &err);
	rc = lock < 0 ? lock : 0;
	a.base = event_base_new();
	if (!rc)
		rc = agent_start(&a, &err);
	if (!rc) {
		rtnl_fd = rtnl_monitor_open();
		rc = rtnl_fd < 0 ? error_set(&err, rtnl_fd, "rtnetlink: %m") : 0;
	}
	if (rc) {
		log_error("%s", err.text);
	} else {
		serve(&a, rtnl_fd);
		leave_nothing(&a);
		log_info("stopped; what is attached goes on");
	}
	rooms_close(&a);
	loader_close(a.loader);
	sign_key_free(a.sign_key);
	event_base_free(a.base);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
