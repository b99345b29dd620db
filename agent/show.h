/* SPDX-License-Identifier: Apache-2.0 */
/* How results look to people; programs take --json. */
#ifndef DOVE_SHOW_H
#define DOVE_SHOW_H

#include "options.h"

void show_nothing(const cJSON *result, const struct options *o);
void show_attach(const cJSON *result, const struct options *o);
void show_port(const cJSON *result, const struct options *o);
void show_ports(const cJSON *result, const struct options *o);
void show_status(const cJSON *result, const struct options *o);
void show_stats(const cJSON *result, const struct options *o);
void show_cache(const cJSON *result, const struct options *o);
void show_events(const cJSON *result, const struct options *o);
void show_trace(const cJSON *result, const struct options *o);
void show_flush(const cJSON *result, const struct options *o);

#endif
