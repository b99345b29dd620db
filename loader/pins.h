/* SPDX-License-Identifier: Apache-2.0 */
/* The pin directory: PIN_DIR/vN/MAP and PIN_DIR/vN/links/IFINDEX-ROLE. */
#ifndef DOVE_PINS_H
#define DOVE_PINS_H

#include <limits.h>

#include "loader.h"

#define PINS_PATH (PATH_MAX)

struct pins {
	char dir[PATH_MAX - 64];
	int lock; /* flock(2) of the directory: one process at a time */
};

/*
 * pins_open() - make and lock the directory of this layout. What an agent of
 * an earlier layout left attached is taken over: its links come here, where
 * they will run the new programs; its maps, which those can't read, go.
 */
int pins_open(struct pins *pins, const char *pin_dir, struct error *err);
void pins_close(struct pins *pins);
void pins_remove(struct pins *pins); /* the directories, when they are empty */

void pins_map_path(const struct pins *pins, const char *map, char path[static PINS_PATH]);
bool pins_have_maps(const struct pins *pins);

int pins_put(const struct pins *pins, int fd, int ifindex, const char *role);
int pins_get(const struct pins *pins, int ifindex,
	     const char *role); /* a descriptor, the caller's, or -errno */
bool pins_have(const struct pins *pins, int ifindex, const char *role);
void pins_unlink(const struct pins *pins, int ifindex, const char *role);
void pins_each(const struct pins *pins, void (*on)(int ifindex, enum loader_role role, void *arg), void *arg);

#endif
