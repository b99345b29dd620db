/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What answers ask for beside their verdict -> rows of dove_qos; docs/qos.md.
 *
 * A row is named by its content, so equal ones are one row, and a row that
 * somebody uses never changes. It is made before the entry that names it.
 */
#ifndef DOVE_QOS_H
#define DOVE_QOS_H

#include "agent.h"
#include "lib/json.h"

/*
 * qos_install() - the "qos" of an answer, or of a rule of it (docs/api.md).
 * *id: its row's key; 0 where it asks for nothing. Where there is no room for the
 * row its packets stay misses. -EINVAL with *err: it can't be read.
 */
int qos_install(struct agent *a, const cJSON *qos, uint32_t *id, struct json_error *err);

/*
 * qos_port() - the row of a port's own limit; 0: none is asked for. Where there
 * is no room for it the row that it names is not there, and the port's packets
 * go nowhere (rate_limited).
 */
uint32_t qos_port(struct agent *a, uint32_t rate_mbps);

/* qos_classes_check() - the configuration's "classes": what this host's qdiscs have for policies' classes. -EINVAL with *err. */
int qos_classes_check(const cJSON *classes, struct json_error *err);

/*
 * qos_forget_idle() - delete the meters of those who have used nothing lately,
 * which says the same as no meter: so the map holds who sends, and not what was
 * ever decided. To be called every QOS_IDLE_S seconds.
 */
#define QOS_IDLE_S 10
void qos_forget_idle(struct agent *a);

/*
 * qos_path_mtu() - a router says that the next link on the way to this one, of some paths, takes so many bytes of
 * IP: with the headers of the routers before it their first ones' ways take that much more.
 */
void qos_path_mtu(struct agent *a, const struct ip_addr *router, uint32_t mtu);

/*
 * qos_way() - what the row's path puts before the outer header of what is sent to the host at that address, in bytes;
 * *first is the router that the way begins with, zero where there is none.
 */
uint32_t qos_way(struct agent *a, uint32_t id, const struct dove_ip *host, struct dove_ip *first);

/* qos_json() - what the row says; NULL where there is none. The tree is the caller's. */
cJSON *qos_json(struct agent *a, uint32_t id);

/* qos_words() - the same as text; "" where it says nothing. */
const char *qos_words(struct agent *a, uint32_t id, char *buf, size_t size);

#endif
