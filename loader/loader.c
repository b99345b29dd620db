// SPDX-License-Identifier: Apache-2.0
#include "loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "attach.h"
#include "cutter.h"
#include "door.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "pins.h"
#include "tunnel.h"
#include <linux/bpf.h>

#include "maps/maps.h"
/* Has variables of types of ours. */
#include "dove.skel.h"

struct loader {
	struct dove *skel;
	int door_fd, door_ifindex, tunnel_ifindex;
	enum tunnel_kind tunnel;
	struct loader_maps maps;
	struct pins pins;
	bool tcx;
	struct attachment *attached; /* list */
};

static int libbpf_say(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char line[900];
	size_t n;

	if (level == LIBBPF_DEBUG)
		return 0;
	vsnprintf(line, sizeof(line), fmt, ap);
	n = strlen(line);
	while (n && line[n - 1] == '\n')
		line[--n] = '\0';
	log_msg(level == LIBBPF_WARN ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG, "%s", line);
	return 0;
}

int loader_possible_cpus(void)
{
	return libbpf_num_possible_cpus();
}

const struct loader_maps *loader_maps(const struct loader *l)
{
	return &l->maps;
}

static int program_fd(const struct loader *l, enum loader_role role)
{
	const struct bpf_program *progs[LOADER_ROLES] = {
		[LOADER_PORT] = l->skel->progs.dove_port,
		[LOADER_NIC_EGRESS] = l->skel->progs.dove_nic_egress,
		[LOADER_NIC_INGRESS] = l->skel->progs.dove_nic_ingress,
		[LOADER_NIC_XDP] = l->skel->progs.dove_xdp,
		[LOADER_DOOR] = l->skel->progs.dove_door,
		[LOADER_TUNNEL] = l->skel->progs.dove_tunnel,
	};

	return bpf_program__fd(progs[role]);
}

/* ---- load ---- */

/* Every map but those that the compiler made for constants is pinned by its name. */
static int maps_pin(struct loader *l, struct error *err)
{
	struct bpf_map *map;
	char path[PINS_PATH];

	bpf_object__for_each_map (map, l->skel->obj) {
		if (strncmp(bpf_map__name(map), "dove_", 5) || bpf_map__is_internal(map))
			continue;
		pins_map_path(&l->pins, bpf_map__name(map), path);
		if (bpf_map__set_pin_path(map, path))
			return error_set(err, -errno, "%s: %m", path);
	}
	return 0;
}

static int skeleton_load(struct loader *l, const struct loader_config *config, struct error *err)
{
	int rc;

	l->skel = dove__open();
	if (!l->skel)
		return error_set(err, -errno, "opening the data path: %m");
	l->skel->rodata->cfg_origin_check = config->origin_check;
	l->skel->rodata->cfg_refuse_stale = config->refuse_stale;
	l->skel->rodata->cfg_refused = config->refused;
	l->skel->rodata->cfg_outer_dscp = config->outer_dscp;
	l->skel->rodata->cfg_tunnel_vxlan = l->tunnel == TUNNEL_VXLAN;
	l->skel->rodata->cfg_door = l->door_ifindex;
	if (config->cache_entries)
		bpf_map__set_max_entries(l->skel->maps.dove_cache, config->cache_entries);
	rc = maps_pin(l, err);
	if (rc)
		return rc;
	rc = dove__load(l->skel);
	if (rc == -EINVAL && pins_have_maps(&l->pins))
		return error_set(
			err, rc,
			"%s: pinned maps do not fit this version of the data path (or a changed cache size)",
			l->pins.dir);
	if (rc)
		return error_set(err, rc, "loading the data path into the kernel: %m");
	return 0;
}

static void maps_find(struct loader *l)
{
	struct dove *s = l->skel;

	l->maps = (struct loader_maps){
		.ports = bpf_map__fd(s->maps.dove_ports),
		.budgets = bpf_map__fd(s->maps.dove_budgets),
		.addrs = bpf_map__fd(s->maps.dove_addrs),
		.prefixes = bpf_map__fd(s->maps.dove_prefixes),
		.cache = bpf_map__fd(s->maps.dove_cache),
		.denied = bpf_map__fd(s->maps.dove_denied),
		.qos = bpf_map__fd(s->maps.dove_qos),
		.meters = bpf_map__fd(s->maps.dove_meters),
		.local = bpf_map__fd(s->maps.dove_local),
		.moved = bpf_map__fd(s->maps.dove_moved),
		.policies = bpf_map__fd(s->maps.dove_policies),
		.networks = bpf_map__fd(s->maps.dove_networks),
		.version = bpf_map__fd(s->maps.dove_version),
		.hosts = bpf_map__fd(s->maps.dove_hosts),
		.routers = bpf_map__fd(s->maps.dove_routers),
		.flows = bpf_map__fd(s->maps.dove_flows),
		.groups = bpf_map__fd(s->maps.dove_groups),
		.paths = bpf_map__fd(s->maps.dove_paths),
		.hops = bpf_map__fd(s->maps.dove_hops),
		.contexts = bpf_map__fd(s->maps.dove_contexts),
		.packets = bpf_map__fd(s->maps.dove_packets),
		.events = bpf_map__fd(s->maps.dove_events),
		.stats = bpf_map__fd(s->maps.dove_stats),
		.hop_stats = bpf_map__fd(s->maps.dove_hop_stats),
		.policy_stats = bpf_map__fd(s->maps.dove_policy_stats),
	};
}

/* ---- what is attached ---- */

static struct attachment *attachment_find(const struct loader *l, int ifindex, enum loader_role role)
{
	for (struct attachment *a = l->attached; a; a = a->next)
		if (a->ifindex == ifindex && a->role == role)
			return a;
	return NULL;
}

static int attachment_add(struct loader *l, int ifindex, enum loader_role role, struct error *err)
{
	struct attachment *a;
	int rc;

	if (attachment_find(l, ifindex, role))
		return error_set(err, -EEXIST, "the device is attached already");
	a = calloc(1, sizeof(*a));
	if (!a)
		return error_set(err, -ENOMEM, "out of memory");
	*a = (struct attachment){ .ifindex = ifindex, .role = role, .fd = -1 };
	rc = attach_program(a, program_fd(l, role), &l->pins, l->tcx, err);
	if (rc) {
		free(a);
		return rc;
	}
	a->next = l->attached;
	l->attached = a;
	return 0;
}

static void attachment_remove(struct loader *l, int ifindex, enum loader_role role)
{
	for (struct attachment **at = &l->attached; *at; at = &(*at)->next) {
		struct attachment *a = *at;

		if (a->ifindex != ifindex || a->role != role)
			continue;
		attach_undo(a, &l->pins);
		*at = a->next;
		free(a);
		return;
	}
}

/*
 * The pair that an earlier process made stays in use. Where its program is
 * missing it is none: better no pair than one that swallows what goes in.
 */
static void cutter_adopt(struct loader *l)
{
	struct cutter cutter;

	if (cutter_find(&cutter))
		return;
	if (attachment_find(l, cutter.peer, LOADER_DOOR) ||
	    !attachment_add(l, cutter.peer, LOADER_DOOR, NULL))
		l->skel->bss->cutter = cutter.ifindex;
}

int loader_cutter(struct loader *l, struct error *err)
{
	struct cutter cutter;
	int rc;

	if (l->skel->bss->cutter && if_nametoindex(CUTTER_DEVICE) == l->skel->bss->cutter)
		return 0; /* and nobody has taken it away */
	l->skel->bss->cutter = 0;
	cutter_remove();
	rc = cutter_make(&cutter);
	if (rc)
		return error_set(err, rc, "%s: %s", CUTTER_DEVICE, strerror(-rc));
	rc = attachment_add(l, cutter.peer, LOADER_DOOR, err);
	if (rc)
		cutter_remove();
	else
		l->skel->bss->cutter = cutter.ifindex;
	return rc;
}

/* One pin of an earlier run: let it run today's program, or clear it away when its device is gone. */
static void adopt(int ifindex, enum loader_role role, void *arg)
{
	struct loader *l = arg;
	struct attachment *a = calloc(1, sizeof(*a));
	int rc;

	if (!a)
		return;
	*a = (struct attachment){ .ifindex = ifindex, .role = role, .fd = -1 };
	rc = attach_adopt(a, program_fd(l, role), &l->pins);
	if (rc) {
		if (rc != -ENODEV)
			log_warn("%d-%s: can't adopt what is pinned: %s", ifindex, loader_role_name(role),
				 strerror(-rc));
		free(a);
		return;
	}
	a->next = l->attached;
	l->attached = a;
}

/* The devices that are the loader's own, before the programs that know them by their index. */
static int devices_open(struct loader *l, struct error *err)
{
	l->door_fd = door_open(&l->door_ifindex, err);
	if (l->door_fd < 0)
		return l->door_fd;
	l->tunnel = tunnel_open(&l->tunnel_ifindex);
	return 0;
}

static int devices_attach(struct loader *l, struct error *err)
{
	int rc = attachment_add(l, l->door_ifindex, LOADER_DOOR, err);

	if (!rc && l->tunnel_ifindex && !attachment_find(l, l->tunnel_ifindex, LOADER_TUNNEL))
		rc = attachment_add(l, l->tunnel_ifindex, LOADER_TUNNEL, err);
	return rc;
}

int loader_open(const struct loader_config *config, struct loader **out, struct error *err)
{
	struct loader *l = calloc(1, sizeof(*l));
	int rc;

	if (!l)
		return error_set(err, -ENOMEM, "out of memory");
	libbpf_set_print(libbpf_say);
	l->tcx = config->tcx;
	l->door_fd = -1;
	rc = pins_open(&l->pins, config->pin_dir, err);
	if (!rc)
		rc = devices_open(l, err);
	if (!rc)
		rc = skeleton_load(l, config, err);
	if (!rc) {
		maps_find(l);
		pins_each(&l->pins, adopt, l);
		cutter_adopt(l);
		rc = devices_attach(l, err);
	}
	if (rc) {
		loader_close(l);
		return rc;
	}
	*out = l;
	return 0;
}

void loader_close(struct loader *l)
{
	if (!l)
		return;
	while (l->attached) {
		struct attachment *a = l->attached;

		l->attached = a->next;
		if (a->fd >= 0)
			close(a->fd);
		free(a);
	}
	dove__destroy(l->skel);
	pins_close(&l->pins);
	if (l->door_fd >= 0)
		close(l->door_fd);
	free(l);
}

void loader_unpin(struct loader *l)
{
	struct cutter cutter;
	struct bpf_map *map;

	attachment_remove(l, l->door_ifindex, LOADER_DOOR);
	if (!cutter_find(&cutter)) {
		attachment_remove(l, cutter.peer, LOADER_DOOR);
		cutter_remove();
	}
	if (l->tunnel_ifindex) {
		attachment_remove(l, l->tunnel_ifindex, LOADER_TUNNEL);
		tunnel_remove();
	}
	bpf_object__for_each_map (map, l->skel->obj)
		if (bpf_map__is_pinned(map))
			bpf_map__unpin(map, NULL);
	pins_remove(&l->pins);
}

int loader_attach_port(struct loader *l, int ifindex, struct error *err)
{
	return attachment_add(l, ifindex, LOADER_PORT, err);
}

/* TC comes first and goes last: a frame that XDP has stripped must never meet the host's stack. */
static int attach_tc(struct loader *l, int ifindex, struct error *err)
{
	int rc = attachment_add(l, ifindex, LOADER_NIC_INGRESS, err);

	if (rc)
		return rc;
	rc = attachment_add(l, ifindex, LOADER_NIC_EGRESS, err);
	if (rc)
		attachment_remove(l, ifindex, LOADER_NIC_INGRESS);
	return rc;
}

int loader_attach_nic(struct loader *l, int ifindex, enum loader_ingress mode, enum loader_ingress *used,
		      struct error *err)
{
	bool want_xdp = mode == LOADER_INGRESS_XDP ||
			(mode == LOADER_INGRESS_AUTO && attach_auto_takes_xdp(ifindex));
	int rc = attach_tc(l, ifindex, err);

	if (rc)
		return rc;
	*used = LOADER_INGRESS_TC;
	if (!want_xdp)
		return 0;
	rc = attachment_add(l, ifindex, LOADER_NIC_XDP, err);
	if (!rc) {
		*used = LOADER_INGRESS_XDP;
		return 0;
	}
	if (mode == LOADER_INGRESS_AUTO) {
		log_info("no native XDP on device %d, TC alone: %s", ifindex,
			 err ? err->text : strerror(-rc));
		return 0;
	}
	loader_detach(l, ifindex);
	return rc;
}

void loader_detach(struct loader *l, int ifindex)
{
	for (int role = LOADER_ROLES - 1; role >= 0; role--)
		attachment_remove(l, ifindex, role);
}

bool loader_is_attached(const struct loader *l, int ifindex, enum loader_role role)
{
	return attachment_find(l, ifindex, role);
}

void loader_each(const struct loader *l, void (*on)(int ifindex, enum loader_role role, void *arg), void *arg)
{
	for (struct attachment *a = l->attached; a; a = a->next)
		if (a->role != LOADER_DOOR && a->role != LOADER_TUNNEL)
			on(a->ifindex, a->role, arg);
}

/* ---- packets that waited ---- */

bool loader_tunnel(const struct loader *l)
{
	return l->tunnel != TUNNEL_NONE;
}

/* The program has run, and said what it did, when the write returns, unless somebody had it put off (RPS). */
#define NOT_YET UINT32_MAX

int loader_send_on(struct loader *l, uint16_t way, uint32_t ifindex, const void *frame, uint32_t len,
		   uint32_t gso_size)
{
	volatile uint32_t *reason = &l->skel->bss->door_reason;
	int rc;

	*reason = NOT_YET;
	rc = door_write(l->door_fd, way, ifindex, frame, len, gso_size);
	if (rc)
		return rc;
	return *reason == NOT_YET ? -EINPROGRESS : (int)*reason;
}

int loader_cut_fd(const struct loader *l)
{
	return l->door_fd;
}

int loader_read_cut(struct loader *l, uint32_t *ifindex, void *frame, uint32_t room)
{
	return door_read(l->door_fd, ifindex, frame, room);
}

/* ---- what the programs do for the agent ---- */

void loader_write(struct loader *l, struct dove_write *rows, uint32_t n)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);
	int rc;

	memcpy(l->skel->bss->writes, rows, n * sizeof(*rows));
	l->skel->bss->n_writes = n;
	rc = bpf_prog_test_run_opts(bpf_program__fd(l->skel->progs.dove_write), &opts);
	for (uint32_t i = 0; i < n; i++)
		rows[i].rc = rc ? rc : l->skel->bss->writes[i].rc;
}

void loader_open_gates(struct loader *l, struct dove_opening *openings, uint32_t n)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	for (uint32_t i = 0; i < n; i++)
		openings[i].open = 0;
	memcpy(l->skel->bss->openings, openings, n * sizeof(*openings));
	l->skel->bss->n_openings = n;
	if (!bpf_prog_test_run_opts(bpf_program__fd(l->skel->progs.dove_open), &opts))
		memcpy(openings, l->skel->bss->openings, n * sizeof(*openings));
}

bool loader_open_group(struct loader *l, struct dove_group_opening *opening)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = opening, .ctx_size_in = sizeof(*opening));

	return !bpf_prog_test_run_opts(bpf_program__fd(l->skel->progs.dove_open_group), &opts) &&
	       !opts.retval;
}

int loader_trace(struct loader *l, uint32_t ifindex, const void *frame, uint32_t len, struct dove_traced *out)
{
	struct __sk_buff ctx = { .ingress_ifindex = ifindex };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = 1);
	int rc = bpf_prog_test_run_opts(bpf_program__fd(l->skel->progs.dove_trace), &opts);

	if (!rc)
		*out = l->skel->bss->traced;
	return rc;
}
