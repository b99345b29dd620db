/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a host must know to judge packets, as lines of JSON: one snapshot, then
 * what each commit changed. Knows no connection: lines go to emit().
 */
#ifndef DPS_FEED_H
#define DPS_FEED_H

#include "dps/commit.h"

struct feed {
	char host[NAME_MAX_LEN + 1];
	struct idset served; /* VNIDs of the networks that the host serves, as it was told */
	char *services;	     /* the services, as it was told */
	void (*emit)(const char *line, void *arg); /* one frame, no newline */
	void *arg;
};

/* feed_start() - the snapshot; lifetime: the longest that an answer holds, in seconds. */
void feed_start(struct feed *feed, const struct model *m, unsigned int lifetime);
void feed_stop(struct feed *feed);

/* A commit's frames are made once for all watches. */
struct feed_news;
struct feed_news *feed_news(const struct txn *txn);
void feed_news_free(struct feed_news *news);

/* feed_tell() - what of the news concerns this host. */
void feed_tell(struct feed *feed, const struct feed_news *news);

/* feed_tell_services() - an instance has come or gone without a commit: its host says so. */
void feed_tell_services(struct feed *feed, const struct model *m);

void feed_progress(struct feed *feed, const struct model *m);

/* JSON of docs/api.md (feed_json.c); the trees are the caller's. */
cJSON *feed_host_json(const struct host *host);
cJSON *feed_policy_json(const struct object *policy); /* or a tombstone */
cJSON *feed_endpoint_json(const struct model *m, const struct endpoint *ep);
cJSON *feed_gone_json(const struct model *m, const struct gone *gone);
cJSON *feed_service_json(const struct model *m, const struct object *service);
cJSON *feed_services_json(const struct model *m); /* all of them, with where their instances are */
cJSON *feed_network_json(const struct model *m, const struct network *net, const struct host *host);

/* feed_add_addresses() - an endpoint's "addresses" and, one for one, their "gateways". */
void feed_add_addresses(cJSON *out, const struct model *m, const struct endpoint *ep);

/*
 * feed_add_map() - "externals" and "subnets": what addresses mean to the network
 * where no endpoint has them. Both lists are complete.
 */
void feed_add_map(cJSON *out, const struct network *net, const struct host *host);

#endif
