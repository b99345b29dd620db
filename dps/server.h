/* SPDX-License-Identifier: Apache-2.0 */
/* The listener: address, TLS, limits, and the loop that everything runs in. */
#ifndef DPS_SERVER_H
#define DPS_SERVER_H

#include <stdbool.h>
#include <sys/socket.h>

#include "dps/config.h"

struct listen_addr {
	struct sockaddr_storage addr;
	socklen_t len;
	bool loopback;
};

/* server_parse_listen() - "127.0.0.1:6083", "[::1]:6083"; 0 or -EINVAL. */
int server_parse_listen(const char *text, struct listen_addr *out);

/* server_run() - serve until SIGTERM or SIGINT. 0, or -errno with the reason in *err. */
int server_run(const struct config *config, struct json_error *err);

#endif
