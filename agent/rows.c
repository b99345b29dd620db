// SPDX-License-Identifier: Apache-2.0
#include "rows.h"

#include <bpf/bpf.h>
#include <errno.h>

static unsigned changing; /* how many have begun and not ended */
static uint64_t last;	  /* version that was given */

static void version_store(const struct agent *a, uint64_t version)
{
	bpf_map_update_elem(a->maps->version, &(uint32_t){ 0 }, &version, BPF_ANY);
}

void rows_change(const struct agent *a)
{
	if (!changing++)
		version_store(a, 0);
}

void rows_changed(const struct agent *a)
{
	uint64_t now = clock_now();

	if (--changing)
		return;
	/* By the clock, for what the programs remember outlives the agent. */
	last = now > last ? now : last + 1;
	version_store(a, last);
}

int row_put(const struct agent *a, int map_fd, const void *key, const void *row, uint64_t flags)
{
	int rc, error;

	rows_change(a);
	rc = bpf_map_update_elem(map_fd, key, row, flags);
	error = errno;
	rows_changed(a);
	errno = error;
	return rc;
}

int row_delete(const struct agent *a, int map_fd, const void *key)
{
	int rc, error;

	rows_change(a);
	rc = bpf_map_delete_elem(map_fd, key);
	error = errno;
	rows_changed(a);
	errno = error;
	return rc;
}

int rows_clear(const struct agent *a, int map_fd, uint32_t key_size, bool (*keep)(const void *key, void *arg),
	       void *arg)
{
	int n;

	rows_change(a);
	n = map_clear(map_fd, key_size, keep, arg);
	rows_changed(a);
	return n;
}
