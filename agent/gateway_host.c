// SPDX-License-Identifier: Apache-2.0
#include "gateway_host.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/cleanup.h"
#include "lib/log.h"

static const char *const reflects[GATEWAY_FAMILIES] = { "ipv4/fwmark_reflect", "ipv6/fwmark_reflect" };
static const char *const forwards[GATEWAY_FAMILIES] = { "ipv4/ip_forward", "ipv6/conf/all/forwarding" };

static int sysctl_open(const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	return open(path, flags | O_CLOEXEC);
}

/* The value without its newline; "" where there is no such thing. */
static void sysctl_read(const char *name, char *out, size_t size)
{
	_close_ int fd = sysctl_open(name, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, out, size - 1);

	out[n < 0 ? 0 : n] = '\0';
	out[strcspn(out, "\n")] = '\0';
}

/* What the kernel does not have, or has so already, is no error. */
static int sysctl_write(const char *name, const char *value)
{
	char now[8];
	_close_ int fd = -1;

	sysctl_read(name, now, sizeof(now));
	if (!now[0] || !strcmp(now, value))
		return 0;
	fd = sysctl_open(name, O_WRONLY);
	return fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value) ? 0 : -errno;
}

/*
 * Our side forwards, whatever other devices do. Where sources are checked by
 * the way back (rp_filter), the mark is what finds it. IPv6 may be off for new
 * devices; VMs' packets need it all the same.
 */
int gateway_host_device(const char *device, struct error *err)
{
	static const struct {
		const char *of, *value;
	} wants[] = {
		{ "ipv4/conf/%s/forwarding", "1" },
		{ "ipv4/conf/%s/src_valid_mark", "1" },
		{ "ipv6/conf/%s/disable_ipv6", "0" },
		{ "ipv6/conf/%s/accept_ra", "0" },
	};
	char name[80];

	for (size_t i = 0; i < ARRAY_SIZE(wants); i++) {
		int rc;

		snprintf(name, sizeof(name), wants[i].of, device);
		rc = sysctl_write(name, wants[i].value);
		if (rc)
			return error_set(err, rc, "/proc/sys/net/%s: %m", name);
	}
	return 0;
}

bool gateway_host_wanting(struct gateway_host *h)
{
	bool wanting = false;
	char now[8];

	for (int i = 0; i < GATEWAY_FAMILIES; i++) {
		sysctl_read(reflects[i], now, sizeof(now));
		if (!now[0] || !strcmp(now, "1"))
			continue;
		memcpy(h->before[i], now, sizeof(now));
		wanting = true;
	}
	return wanting;
}

void gateway_host_take(struct gateway_host *h)
{
	for (int i = 0; i < GATEWAY_FAMILIES; i++) {
		int rc = h->before[i][0] ? sysctl_write(reflects[i], "1") : 0;

		if (rc && !h->warned)
			log_warn("/proc/sys/net/%s: %s: this host's ICMP errors don't reach VMs", reflects[i],
				 strerror(-rc));
		h->warned |= rc;
	}
}

bool gateway_host_taken(const struct gateway_host *h)
{
	return h->before[0][0] || h->before[1][0];
}

bool gateway_host_give(struct gateway_host *h)
{
	bool given = false;

	for (int i = 0; i < GATEWAY_FAMILIES; i++) {
		if (!h->before[i][0])
			continue;
		sysctl_write(reflects[i], h->before[i]);
		h->before[i][0] = '\0';
		given = true;
	}
	return given;
}

bool gateway_host_forwards(int family)
{
	char now[8];

	sysctl_read(forwards[family], now, sizeof(now));
	return strcmp(now, "") && strcmp(now, "0");
}

cJSON *gateway_host_save(const struct gateway_host *h)
{
	cJSON *json = cJSON_CreateObject();

	for (int i = 0; i < GATEWAY_FAMILIES; i++)
		if (h->before[i][0])
			cJSON_AddStringToObject(json, reflects[i], h->before[i]);
	return json;
}

void gateway_host_restore(struct gateway_host *h, const cJSON *saved)
{
	for (int i = 0; i < GATEWAY_FAMILIES; i++) {
		const char *before =
			cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(saved, reflects[i]));

		snprintf(h->before[i], sizeof(h->before[i]), "%s", before ? before : "");
	}
}
