/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing rows that the programs remember (bpf/rows.h): of dove_networks,
 * dove_policies, dove_ports, dove_addrs, dove_hosts, dove_local and
 * dove_routers. Whoever changes one does it by these functions.
 */
#ifndef DOVE_AGENT_ROWS_H
#define DOVE_AGENT_ROWS_H

#include "agent.h"

/*
 * rows_change() - before the first of several rows is written: from here on
 * the programs use nothing that they remember. Until as many rows_changed()
 * have followed, each of which belongs to one.
 */
void rows_change(const struct agent *a);
void rows_changed(const struct agent *a);

/* row_put(), row_delete() - one row, as bpf_map_update_elem() and bpf_map_delete_elem() do it, errno as well. */
int row_put(const struct agent *a, int map_fd, const void *key, const void *row, uint64_t flags);
int row_delete(const struct agent *a, int map_fd, const void *key);

/* rows_clear() - as map_clear(). */
int rows_clear(const struct agent *a, int map_fd, uint32_t key_size, bool (*keep)(const void *key, void *arg),
	       void *arg);

#endif
