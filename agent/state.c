// SPDX-License-Identifier: Apache-2.0
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "paths.h"
#include "ports.h"

static void path_of(const struct agent *a, const char *suffix, char *path, size_t size)
{
	snprintf(path, size, "%s/state.json%s", a->config.run_dir, suffix);
}

static int write_file(const char *path, const char *text)
{
	_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t len = strlen(text);

	if (fd < 0)
		return -errno;
	return write(fd, text, len) == (ssize_t)len && !fsync(fd) ? 0 : -errno;
}

void state_save(struct agent *a)
{
	cJSON *state = cJSON_CreateObject();
	_free_ char *text = NULL;
	char path[4096], new[4096];
	int rc;

	path_of(a, "", path, sizeof(path));
	path_of(a, ".new", new, sizeof(new));
	cJSON_AddItemToObject(state, "ports", ports_save(a->ports));
	cJSON_AddItemToObject(state, "gateway", gateway_save(a->gateway));
	cJSON_AddItemToObject(state, "services", paths_save(a->paths));
	text = cJSON_Print(state);
	cJSON_Delete(state);
	rc = text ? write_file(new, text) : -ENOMEM;
	if (!rc && rename(new, path))
		rc = -errno;
	if (rc)
		log_error("%s: %s", path, strerror(-rc));
}

cJSON *state_load(struct agent *a)
{
	char path[4096];
	_fclose_ FILE *f = NULL;
	_free_ char *text = NULL;
	struct stat st;

	path_of(a, "", path, sizeof(path));
	f = fopen(path, "re");
	if (!f || fstat(fileno(f), &st))
		return NULL;
	text = malloc(st.st_size + 1);
	if (!text || fread(text, 1, st.st_size, f) != (size_t)st.st_size)
		return NULL;
	return cJSON_ParseWithLength(text, st.st_size);
}
