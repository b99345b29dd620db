// SPDX-License-Identifier: Apache-2.0
/* The configuration of a server. */
#include "dps/config.h"
#include "fuzz.h"

FUZZ(config)
{
	struct config config = {};
	struct json_error err = {};

	if (!config_take((const char *)data, size, &config, &err))
		config_finish(&config, &err);
	config_free(&config);
}
