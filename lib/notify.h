/* SPDX-License-Identifier: Apache-2.0 */
/* What systemd wants to hear of a service (sd_notify(3)), without its library. */
#ifndef DOVE_NOTIFY_H
#define DOVE_NOTIFY_H

/*
 * notify_ready() - tell systemd that the daemon serves: sd_notify(3) without
 * its library, one datagram to $NOTIFY_SOCKET. Nothing where that is not set;
 * a failure is logged.
 */
void notify_ready(void);

#endif
