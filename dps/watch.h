/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host must know to judge packets, as lines of JSON: one snapshot, then
 * what each commit changed. Knows no connection: lines go to emit().
 */
#ifndef DPS_WATCH_H
#define DPS_WATCH_H

#include "dps/commit.h"

struct watch {
	char host[NAME_MAX_LEN + 1];
	struct idset served; /* VNIDs of the networks that the host serves, as it was told */
	void (*emit)(const char *line, void *arg); /* one frame, no newline */
	void *arg;
};

/* watch_start() - the snapshot; lifetime: the longest that an answer holds, in seconds. */
void watch_start(struct watch *watch, const struct model *m, unsigned int lifetime);
void watch_stop(struct watch *watch);

/* A commit's frames are made once for all watches. */
struct watch_news;
struct watch_news *watch_news(const struct txn *txn);
void watch_news_free(struct watch_news *news);

/* watch_tell() - what of the news concerns this host. */
void watch_tell(struct watch *watch, const struct watch_news *news);

void watch_progress(struct watch *watch, const struct model *m);

/* watch_host_json() - HOST of docs/api.md; the tree is the caller's. */
cJSON *watch_host_json(const struct host *host);

#endif
