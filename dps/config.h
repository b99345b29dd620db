/* SPDX-License-Identifier: Apache-2.0 */
/* What the service is told: from a JSON file, and from options, which win. */
#ifndef DPS_CONFIG_H
#define DPS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/json.h"

#define LIFETIME_DEFAULT 3600
#define LIFETIME_MAX 86400
#define LISTEN_DEFAULT "127.0.0.1:6083"
#define DATA_DEFAULT "/var/lib/dove"

/* Strings are the configuration's own. NULL: not said. */
struct config {
	char *data, *listen;
	char *tls_cert, *tls_key, *tls_ca;
	bool insecure, verbose;
	unsigned int lifetime; /* seconds; 0: not said */
};

/* config_read() - take from the file what *config does not say yet. 0 or -errno with *err. */
int config_read(const char *path, struct config *config, struct json_error *err);

/* config_finish() - defaults, and whether all of it goes together. 0 or -EINVAL with *err. */
int config_finish(struct config *config, struct json_error *err);
void config_free(struct config *config);

/* config_lifetime() - seconds from text; 0: not 1..LIFETIME_MAX. */
unsigned int config_lifetime(const char *text);

#endif
