// SPDX-License-Identifier: Apache-2.0
/* The resolver's contract with who runs it: bounds, cancelling, ends. What it finds out: test_scenarios.c. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "dps/query.h"

static struct resolver r;
static uint64_t ticks;
static uint64_t last_id;
static unsigned int sent, told;
static int refuse;
static enum query_reason reason;

static int64_t now(void *arg)
{
	return 1700000000 + (int64_t)(ticks / 1000);
}

static uint64_t clock_ticks(void *arg)
{
	return ticks;
}

static uint32_t chance(void *arg)
{
	return 1;
}

static int send_it(void *arg, uint64_t id, const struct server_name *server,
		   const struct server_address *addr, const struct ask *ask, const struct errand *errand)
{
	sent++;
	last_id = id;
	return refuse;
}

static void setup(void)
{
	const struct query_env env = { .now = now, .ticks = clock_ticks, .random = chance, .send = send_it };
	const struct query_config config = { .name = "here" };
	struct delegation root = { .n_keys = 1, .n_servers = 1 };

	ticks = 1;
	strcpy(root.servers[0].name, "root");
	root.servers[0].addresses[0].port = 1;
	root.servers[0].n_addresses = 1;
	query_init(&r, &env, &config);
	reference_anchor(&r.ref, &root);
	r.ref.root_issued = now(NULL); /* as if it had just been fetched */
	r.ref.root_expires = now(NULL) + 86400;
}

static void teardown(void)
{
	query_free(&r);
}

TestSuite(query, .init = setup, .fini = teardown);

static void done(const struct query_result *result, void *arg)
{
	cr_assert_eq(result->kind, RESULT_FAILED);
	reason = result->reason;
	told++;
}

static struct ask question(uint32_t vnid)
{
	return (struct ask){ .kind = ASK_POLICY, .vnid = vnid, .source = 1 };
}

static struct waiter *ask(uint32_t vnid, uint32_t within)
{
	const struct errand errand = { .deadline = within };
	struct ask what = question(vnid);

	return query_ask(&r, &what, &errand, done, NULL);
}

static void run(uint64_t ms)
{
	uint64_t end = ticks + ms;

	while (query_next(&r) <= end) {
		ticks = query_next(&r) > ticks ? query_next(&r) : ticks;
		query_tick(&r);
	}
	ticks = end;
}

Test(query, R22_no_more_wait_than_there_is_room_for)
{
	for (int i = 0; i < QUERY_WAITERS_MAX; i++)
		cr_assert(ask(7, 0));
	cr_assert_eq(sent, 1);
	cr_assert_null(ask(7, 0));
	cr_assert_eq(told, 1);
	cr_assert_eq(reason, QUERY_BUSY);
	run(QUERY_DEADLINE_MS);
	cr_assert_eq(told, QUERY_WAITERS_MAX + 1);
	cr_assert_eq(r.running, 0);
	cr_assert_eq(query_next(&r), UINT64_MAX);
}

Test(query, R22_no_more_run_than_there_is_room_for)
{
	for (uint32_t i = 1; i <= QUERY_RUNNING_MAX; i++)
		cr_assert(ask(i, 0));
	cr_assert_null(ask(QUERY_RUNNING_MAX + 1, 0));
	cr_assert_eq(reason, QUERY_BUSY);
	cr_assert(ask(1, 0), "who asks what is being asked may still join");
	run(QUERY_DEADLINE_MS);
	cr_assert_eq(told, QUERY_RUNNING_MAX + 2);
	cr_assert_eq(r.running, 0);
}

Test(query, R22_who_cancels_hears_nothing)
{
	struct waiter *one = ask(7, 0), *two = ask(7, 0);

	query_cancel(&r, one);
	cr_assert_eq(r.running, 1);
	query_cancel(&r, two);
	cr_assert_eq(r.running, 0, "nobody waits for it any more");
	cr_assert_eq(told, 0);
	query_broken(&r, last_id);
	run(10000);
	cr_assert_eq(told, 0);
}

Test(query, R22_what_cannot_be_sent_is_not_waited_for)
{
	refuse = -EHOSTUNREACH;
	cr_assert_null(ask(7, 0));
	cr_assert_eq(reason, QUERY_NO_SERVER);
	cr_assert_leq(sent, QUERY_ROUNDS_MAX);
}

Test(query, R22_no_more_than_its_budget)
{
	struct delegation root = { .n_keys = 1, .n_servers = ZONE_SERVERS_MAX };

	for (int i = 0; i < ZONE_SERVERS_MAX; i++)
		for (int j = 0; j < SERVER_ADDRESSES_MAX; j++)
			root.servers[i].addresses[root.servers[i].n_addresses++].port = 1 + 10 * i + j;
	reference_anchor(&r.ref, &root);
	cr_assert(ask(7, 0));
	for (int i = 0; i < 1000 && !told; i++)
		query_broken(&r, last_id);
	cr_assert_eq(told, 1);
	cr_assert_eq(sent, QUERY_UPSTREAM_MAX);
	cr_assert_eq(reason, QUERY_BUDGET);
}

Test(query, R22_replies_to_nobody_are_passed_over)
{
	struct reply reply = { .status = REPLY_FAILED };

	cr_assert(ask(7, 0));
	query_reply(&r, 12345678, &reply);
	query_reply(&r, last_id + 1, &reply);
	cr_assert_eq(told, 0);
	query_reply(&r, last_id, &reply); /* the only server can't tell */
	cr_assert_eq(told, 1);
	query_reply(&r, last_id, &reply);
	cr_assert_eq(told, 1);
	cr_assert_null(ask(7, 0));
	cr_assert(told == 2 && sent == 1, "it isn't asked again at once");
	run(CACHE_FAILED_SECONDS * 1000);
	cr_assert(ask(7, 0));
	cr_assert_eq(sent, 2);
}

Test(query, R22_the_end_tells_all)
{
	cr_assert(ask(7, 0) && ask(8, 0) && ask(8, 0));
	query_free(&r);
	cr_assert_eq(told, 3);
	cr_assert_eq(reason, QUERY_BUSY);
	setup();
}

static struct waiter *other;

static void ask_again(const struct query_result *result, void *arg)
{
	const struct errand errand = { .deadline = 50 };
	struct ask what = question(7);

	told++;
	if (other)
		query_cancel(&r, other);
	other = NULL;
	if (told < 4)
		query_ask(&r, &what, &errand, ask_again, NULL);
}

Test(query, R22_who_is_told_may_ask_and_cancel)
{
	const struct errand errand = { .deadline = 100 };
	struct ask what = question(7);

	cr_assert(query_ask(&r, &what, &errand, ask_again, NULL));
	other = query_ask(&r, &what, &errand, done, NULL);
	run(1000);
	cr_assert_eq(told, 4);
	cr_assert_eq(r.running, 0);
}

Test(query, R22_nothing_is_known_without_a_root)
{
	query_free(&r);
	setup();
	reference_free(&r.ref);
	reference_init(&r.ref, 0);
	cr_assert_null(ask(7, 0));
	cr_assert_eq(reason, QUERY_NO_ROOT);
}
