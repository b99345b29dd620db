// SPDX-License-Identifier: Apache-2.0
#include "pins.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <mntent.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "maps/maps.h"

/* By this a bpffs that we mounted is known again. */
#define MOUNT_SOURCE "dove"
/* More pins than a host has devices; a guard against a directory that never ends. */
#define PINS_MAX 100000

static bool on_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (uint64_t)fs.f_type == BPF_FS_MAGIC;
}

/* mkdir -p; what exists is fine. */
static int make_dirs(const char *path)
{
	char part[PATH_MAX];

	if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
		return -ENAMETOOLONG;
	for (char *c = part + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = '\0';
		if (mkdir(part, 0755) && errno != EEXIST)
			return -errno;
		*c = '/';
	}
	return mkdir(part, 0755) && errno != EEXIST ? -errno : 0;
}

/* The nearest existing ancestor decides which file system a new directory would be on. */
static bool would_be_on_bpffs(const char *path)
{
	char part[PATH_MAX];
	char *slash;

	snprintf(part, sizeof(part), "%s", path);
	while (access(part, F_OK) && (slash = strrchr(part, '/')) && slash != part)
		*slash = '\0';
	return on_bpffs(part);
}

/* Join the mount namespace of another process, if it is one that differs from ours. */
static int join_mount_namespace_of(pid_t pid)
{
	char path[64];
	struct stat ours, theirs;
	_close_ int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &theirs) || stat("/proc/self/ns/mnt", &ours))
		return -errno;
	if (ours.st_ino == theirs.st_ino)
		return -EALREADY;
	return setns(fd, CLONE_NEWNS) ? -errno : 0;
}

/*
 * `ip netns exec` gives what it runs a mount namespace that ends with it, and
 * every pin on a bpffs mounted in there, too. Mounts outlive us where we were
 * started from, or else where PID 1 is. True when we are there now.
 */
static bool join_lasting_mount_namespace(void)
{
	const pid_t from[] = { getppid(), 1 };
	bool other = false;

	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		int rc = join_mount_namespace_of(from[i]);

		if (!rc) {
			log_debug("joined the mount namespace of process %d", from[i]);
			return true;
		}
		other |= rc != -EALREADY;
	}
	return !other;
}

/*
 * A bpffs mounted for one agent goes on its pin directory, or on the
 * directory of the system, /sys/fs/bpf, when the pins are to lie beneath it.
 */
static int mount_bpffs(const char *pin_dir, struct error *err)
{
	const char *system = "/sys/fs/bpf";
	const char *where = strncmp(pin_dir, system, strlen(system)) ? pin_dir : system;
	int rc = where == system ? 0 : make_dirs(pin_dir);

	if (rc)
		return error_set(err, rc, "%s: %m", pin_dir);
	if (mount(MOUNT_SOURCE, where, "bpf", 0, "mode=0700"))
		return error_set(err, -errno, "%s: mounting a bpffs: %m", where);
	return 0;
}

int loader_prepare_pin_dir(const char *pin_dir, struct error *err)
{
	int rc = 0;

	if (pin_dir[0] != '/')
		return error_set(err, -EINVAL, "%s: the pin directory must be an absolute path", pin_dir);
	if (!would_be_on_bpffs(pin_dir)) {
		if (!join_lasting_mount_namespace())
			log_warn("no bpffs at the pin directory: what is mounted now may end with this "
				 "process");
		if (!would_be_on_bpffs(pin_dir))
			rc = mount_bpffs(pin_dir, err);
	}
	if (rc)
		return rc;
	rc = make_dirs(pin_dir);
	return rc ? error_set(err, rc, "%s: %m", pin_dir) : 0;
}

/* ---- earlier layouts ---- */

/* A link can be pinned twice; a rename across directories is not for every bpffs. */
static void link_take(int ifindex, enum loader_role role, void *arg)
{
	struct pins *const *pins = arg; /* the old ones, the new ones */
	const char *name = loader_role_name(role);
	_close_ int fd = pins_get(pins[0], ifindex, name);

	if (fd >= 0)
		pins_put(pins[1], fd, ifindex, name);
	pins_unlink(pins[0], ifindex, name);
}

static void maps_drop(const char *dir)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	char path[PINS_PATH];

	while (d && (entry = readdir(d))) {
		if (snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) < (int)sizeof(path) &&
		    !strncmp(entry->d_name, "dove_", 5))
			unlink(path);
	}
	if (d)
		closedir(d);
}

static void layouts_take_over(struct pins *pins, const char *pin_dir)
{
	for (int layout = 1; layout < DOVE_LAYOUT; layout++) {
		struct pins old = { .lock = -1 };
		struct pins *both[] = { &old, pins };
		char links[PINS_PATH];

		snprintf(old.dir, sizeof(old.dir), "%s/v%d", pin_dir, layout);
		if (access(old.dir, F_OK))
			continue;
		log_info("%s: taking over what is attached", old.dir);
		pins_each(&old, link_take, both);
		maps_drop(old.dir);
		snprintf(links, sizeof(links), "%s/links", old.dir);
		rmdir(links);
		rmdir(old.dir);
	}
}

/*
 * bpffs files can't be locked, its directories can: an open directory is
 * enough for flock(2).
 */
int pins_open(struct pins *pins, const char *pin_dir, struct error *err)
{
	char links[PINS_PATH];
	int rc;

	pins->lock = -1;
	if (snprintf(pins->dir, sizeof(pins->dir), "%s/" DOVE_LAYOUT_DIR, pin_dir) >= (int)sizeof(pins->dir))
		return error_set(err, -ENAMETOOLONG, "%s: path too long", pin_dir);
	snprintf(links, sizeof(links), "%s/links", pins->dir);
	rc = make_dirs(links);
	if (rc)
		return error_set(err, rc, "%s: %m", links);
	pins->lock = open(pins->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (pins->lock < 0)
		return error_set(err, -errno, "%s: %m", pins->dir);
	if (flock(pins->lock, LOCK_EX | LOCK_NB))
		return error_set(err, -EBUSY, "%s: another agent uses this pin directory", pins->dir);
	layouts_take_over(pins, pin_dir);
	return 0;
}

void pins_close(struct pins *pins)
{
	if (pins->lock >= 0)
		close(take_fd(pins->lock));
}

static bool mounted_by_us(const char *dir)
{
	_fclose_ FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	bool ours = false;

	while (f && (m = getmntent(f)))
		if (!strcmp(m->mnt_dir, dir))
			ours = !strcmp(m->mnt_fsname, MOUNT_SOURCE) && !strcmp(m->mnt_type, "bpf");
	return ours;
}

void pins_remove(struct pins *pins)
{
	char path[PINS_PATH];

	snprintf(path, sizeof(path), "%s/links", pins->dir);
	rmdir(path);
	rmdir(pins->dir);
	*strrchr(pins->dir, '/') = '\0';
	if (mounted_by_us(pins->dir)) {
		pins_close(pins); /* the lock keeps it busy */
		umount(pins->dir);
		/* Where a mount namespace of our own had a copy of it, there is the original to go, too. */
		if (join_lasting_mount_namespace() && mounted_by_us(pins->dir))
			umount(pins->dir);
	}
	rmdir(pins->dir); /* stays when it is a mount point, or holds another version's pins */
}

void pins_map_path(const struct pins *pins, const char *map, char path[static PINS_PATH])
{
	snprintf(path, PINS_PATH, "%s/%s", pins->dir, map);
}

bool pins_have_maps(const struct pins *pins)
{
	char path[PINS_PATH];

	pins_map_path(pins, "dove_ports", path);
	return !access(path, F_OK);
}

static void pin_path(const struct pins *pins, int ifindex, const char *role, char path[static PINS_PATH])
{
	snprintf(path, PINS_PATH, "%s/links/%d-%s", pins->dir, ifindex, role);
}

int pins_put(const struct pins *pins, int fd, int ifindex, const char *role)
{
	char path[PINS_PATH];

	pin_path(pins, ifindex, role, path);
	return bpf_obj_pin(fd, path) ? -errno : 0;
}

int pins_get(const struct pins *pins, int ifindex, const char *role)
{
	char path[PINS_PATH];
	int fd;

	pin_path(pins, ifindex, role, path);
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

bool pins_have(const struct pins *pins, int ifindex, const char *role)
{
	char path[PINS_PATH];

	pin_path(pins, ifindex, role, path);
	return !access(path, F_OK);
}

void pins_unlink(const struct pins *pins, int ifindex, const char *role)
{
	char path[PINS_PATH];

	pin_path(pins, ifindex, role, path);
	unlink(path);
}

static int role_by_name(const char *name)
{
	for (int role = 0; role < LOADER_ROLES; role++)
		if (!strcmp(name, loader_role_name(role)))
			return role;
	return -1;
}

struct pin_name {
	int ifindex, role;
};

/* All names first: what is called may add and remove pins. */
static int pins_list(const struct pins *pins, struct pin_name **out)
{
	char path[PINS_PATH], role[32];
	struct pin_name *list = NULL;
	struct dirent *entry;
	int n = 0, ifindex;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/links", pins->dir);
	dir = opendir(path);
	while (dir && n < PINS_MAX && (entry = readdir(dir))) {
		struct pin_name *more;

		if (sscanf(entry->d_name, "%d-%31s", &ifindex, role) != 2 || role_by_name(role) < 0)
			continue;
		more = realloc(list, (n + 1) * sizeof(*list));
		if (!more)
			break;
		list = more;
		list[n++] = (struct pin_name){ .ifindex = ifindex, .role = role_by_name(role) };
	}
	if (dir)
		closedir(dir);
	*out = list;
	return n;
}

void pins_each(const struct pins *pins, void (*on)(int ifindex, enum loader_role role, void *arg), void *arg)
{
	_free_ struct pin_name *list = NULL;
	int n = pins_list(pins, &list);

	for (int i = 0; i < n; i++)
		on(list[i].ifindex, list[i].role, arg);
}
