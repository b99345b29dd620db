// SPDX-License-Identifier: Apache-2.0
/*
 * Watches under random commits: what a host has put together from its frames,
 * as docs/api.md says that it may, is what a new snapshot would tell it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dps/feed.h"
#include "dps_random.h"
#include "lib/cleanup.h"

#define SEEDS 20
#define STEPS 200
#define HOSTS 4

static const char *const lists[] = { "policies", "endpoints", "gone", "externals", "subnets" };

struct follower {
	struct feed feed;
	cJSON *networks; /* NETWORK by VNID, as text */
};

static struct follower followers[HOSTS];

/* A host's own account */

static char *name_of(const cJSON *json, char *name)
{
	sprintf(name, "%.0f", cJSON_GetNumberValue(json_get(json, "vnid")));
	return name;
}

static void set_item(cJSON *object, const char *field, cJSON *item)
{
	cJSON_DeleteItemFromObject(object, field);
	cJSON_AddItemToObject(object, field, item);
}

static void drop_id(cJSON *list, const cJSON *item)
{
	double id = cJSON_GetNumberValue(json_get(item, "id"));

	for (int i = cJSON_GetArraySize(list); i > 0; i--)
		if (cJSON_GetNumberValue(json_get(cJSON_GetArrayItem(list, i - 1), "id")) == id)
			cJSON_DeleteItemFromArray(list, i - 1);
}

/* Those of the frame take the place of those that were there, in this list; in the other they end. */
static void merge(cJSON *network, const cJSON *frame, const char *field, const char *other)
{
	cJSON *list = cJSON_GetObjectItem(network, field), *item;

	cJSON_ArrayForEach (item, json_get(frame, field)) {
		drop_id(list, item);
		if (other)
			drop_id(cJSON_GetObjectItem(network, other), item);
		cJSON_AddItemToArray(list, cJSON_Duplicate(item, true));
	}
}

static void take_commit(cJSON *network, const cJSON *frame)
{
	static const char *const whole[] = { "revision", "floor", "externals", "subnets" };

	merge(network, frame, "policies", NULL);
	merge(network, frame, "gone", "endpoints");
	merge(network, frame, "endpoints", "gone");
	for (size_t i = 0; i < ARRAY_SIZE(whole); i++)
		if (json_get(frame, whole[i]))
			set_item(network, whole[i], cJSON_Duplicate(json_get(frame, whole[i]), true));
}

static void take_networks(struct follower *f, const cJSON *networks)
{
	const cJSON *item;
	char name[16];

	cJSON_ArrayForEach (item, networks)
		set_item(f->networks, name_of(item, name), cJSON_Duplicate(item, true));
}

static void take(const char *line, void *arg)
{
	struct follower *f = arg;
	cJSON *frame = cJSON_Parse(line);
	const char *type = cJSON_GetStringValue(json_get(frame, "type"));
	char name[16];

	if (!strcmp(type, "snapshot"))
		take_networks(f, json_get(frame, "networks"));
	else if (!strcmp(type, "network"))
		set_item(f->networks, name_of(json_get(frame, "network"), name),
			 cJSON_Duplicate(json_get(frame, "network"), true));
	else if (!strcmp(type, "forget"))
		cJSON_DeleteItemFromObject(f->networks, name_of(frame, name));
	else if (!strcmp(type, "commit"))
		take_commit(cJSON_GetObjectItem(f->networks, name_of(frame, name)), frame);
	cJSON_Delete(frame);
}

static void follow(struct follower *f, const struct model *m, int host)
{
	*f = (struct follower){ .feed = { .emit = take, .arg = f }, .networks = cJSON_CreateObject() };
	snprintf(f->feed.host, sizeof(f->feed.host), "h%d", host);
	feed_start(&f->feed, m, 3600);
}

static void unfollow(struct follower *f)
{
	feed_stop(&f->feed);
	cJSON_Delete(f->networks);
}

static void tell(const struct txn *txn, void *arg)
{
	struct feed_news *news = feed_news(txn);

	(void)arg;
	for (int i = 0; i < HOSTS; i++)
		feed_tell(&followers[i].feed, news);
	feed_news_free(news);
}

/* Comparing */

static int compare_texts(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

/* A list's items as text, in an order that depends on nothing else. */
static void print_list(const cJSON *list, FILE *out)
{
	size_t n = cJSON_GetArraySize(list), i = 0;
	_free_ char **texts = calloc(n + 1, sizeof(*texts));
	const cJSON *item;

	cJSON_ArrayForEach (item, list)
		texts[i++] = cJSON_PrintUnformatted(item);
	qsort(texts, n, sizeof(*texts), compare_texts);
	for (i = 0; i < n; i++) {
		fprintf(out, "  %s\n", texts[i]);
		free(texts[i]);
	}
}

static char *account(const struct follower *f)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (unsigned int vnid = 1; vnid <= NETWORKS; vnid++) {
		char name[16];
		const cJSON *network;

		snprintf(name, sizeof(name), "%u", vnid);
		network = json_get(f->networks, name);
		if (!network)
			continue;
		fprintf(out, "%s at %.0f, floor %.0f\n", name,
			cJSON_GetNumberValue(json_get(network, "revision")),
			cJSON_GetNumberValue(json_get(network, "floor")));
		for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
			fprintf(out, " %s\n", lists[i]);
			print_list(json_get(network, lists[i]), out);
		}
	}
	fclose(out);
	return text;
}

static void compare(int host, const struct model *m, unsigned int run, unsigned int step)
{
	const struct follower *f = &followers[host];
	struct follower fresh;
	_free_ char *kept = account(f), *told = NULL;

	follow(&fresh, m, host);
	told = account(&fresh);
	cr_assert_str_eq(kept, told, "seed %u step %u, host %s has\n%sand a snapshot says\n%s", run, step,
			 f->feed.host, kept, told);
	unfollow(&fresh);
}

static void play(unsigned int run)
{
	struct world w;

	random_world(&w, run);
	w.committed = tell;
	for (int i = 0; i < HOSTS; i++)
		follow(&followers[i], &w.m, i);
	for (unsigned int step = 0; step < STEPS; step++) {
		random_commit(&w);
		for (int i = 0; i < HOSTS; i++)
			compare(i, &w.m, run, step);
	}
	for (int i = 0; i < HOSTS; i++)
		unfollow(&followers[i]);
	world_free(&w);
}

Test(feed, R15_random_commits, .timeout = 120)
{
	unsigned int first = random_seeds("feed", SEEDS);

	for (unsigned int i = 0; i < SEEDS; i++)
		play(first + i);
}
