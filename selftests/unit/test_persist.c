// SPDX-License-Identifier: Apache-2.0
/* What was acknowledged is there again, whatever ended the process. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dps/persist.h"
#include "dps_world.h"

#define DUMP_ROOM (1 << 20)

static char dir[64];

static void setup(void)
{
	strcpy(dir, "/tmp/dove-persist-XXXXXX");
	cr_assert(mkdtemp(dir));
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(persist, .init = setup, .fini = teardown);

static void open_world(struct world *w)
{
	world_init(w);
	cr_assert_eq(store_open(dir, &w->store, &w->err), 0, "%s", w->err.text);
	cr_assert_eq(persist_load(&w->m, w->store, &w->err), 0, "%s", w->err.text);
}

static void fill(struct world *w)
{
	world_reference(w);
	cr_assert_eq(world_apply(w, "[{'kind':'policy','network':'blue','name':'p','from':{'groups':['g']},"
				    "'to':{'network':'green'},'action':'allow','path':['ips']},"
				    "{'kind':'policy','network':'blue','name':'q','from':'any','to':'any',"
				    "'action':'deny'},"
				    "{'kind':'group','network':'blue','name':'g','endpoints':['vm1','vm2']},"
				    "{'kind':'external','network':'blue','name':'internet',"
				    "'prefixes':['0.0.0.0/0','::/0'],'gateway':{'host':'h3'}},"
				    "{'kind':'policy','network':'blue','name':'r','from':'any',"
				    "'to':{'external':'internet'},'action':'reject'},"
				    "{'kind':'network','name':'red','default':'reject','broadcast':false}]"),
		     0);
	cr_assert_eq(world_delete(w, "policy", "blue/q"), 0);
	cr_assert_eq(world_place(w, "blue/vm1", "h3", "moved"), 0);
	cr_assert_eq(world_place(w, "blue/vm2", NULL, ""), 0);
	cr_assert_eq(world_delete(w, "endpoint", "green/vm9"), 0);
}

Test(persist, R26_all_is_there_after_sigkill)
{
	char *kept = mmap(NULL, DUMP_ROOM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct world w;
	char *now;
	pid_t pid = fork();
	int status;

	if (!pid) {
		open_world(&w);
		fill(&w);
		snprintf(kept, DUMP_ROOM, "%s", world_dump(&w));
		kill(getpid(), SIGKILL);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status));
	open_world(&w);
	now = world_dump(&w);
	cr_assert_str_eq(now, kept);
	free(now);
	cr_assert_eq(world_ask(&w, "blue/vm3", "blue/vm4", 6, 1, 2).verdict, VERDICT_ALLOW);
	world_free(&w);
}

Test(persist, ids_and_revisions_are_not_used_again)
{
	struct world w;
	uint32_t id, network;
	uint64_t revision;

	open_world(&w);
	fill(&w);
	id = world_policy(&w, "blue/p")->o.id;
	network = world_network(&w, "red")->o.id;
	cr_assert_eq(world_delete(&w, "policy", "blue/p"), 0);
	cr_assert_eq(world_delete(&w, "network", "red"), 0);
	revision = world_network(&w, "blue")->revision;
	world_free(&w);
	open_world(&w);
	cr_assert_eq(world_network(&w, "blue")->revision, revision);
	cr_assert(model_policy(&w.m, id), "the tombstone is there");
	cr_assert_eq(world_apply(&w, "[{'kind':'network','name':'red'},{'kind':'policy','network':'blue',"
				     "'name':'p','from':'any','to':'any','action':'deny'}]"),
		     0);
	cr_assert_gt(world_policy(&w, "blue/p")->o.id, id);
	cr_assert_gt(world_network(&w, "red")->o.id, network);
	w.now += TOMBSTONE_SECONDS + 1;
	struct commit_context ctx = world_context(&w);
	cr_assert_eq(commit_expire(&ctx, &w.err), 0);
	cr_assert_null(model_policy(&w.m, id));
	world_free(&w);
	open_world(&w);
	cr_assert_null(model_policy(&w.m, id));
	cr_assert_null(w.m.gone);
	world_free(&w);
}

Test(persist, a_full_disk_refuses_and_changes_nothing)
{
	struct rlimit limit;
	struct world w;
	char *before, *after;

	open_world(&w);
	fill(&w);
	before = world_dump(&w);
	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = 4096;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_assert_eq(world_apply(&w, "[{'kind':'network','name':'x'},{'kind':'policy','network':'blue',"
				     "'name':'p','from':'any','to':{'network':'x'},'action':'deny'},"
				     "{'kind':'endpoint','network':'blue','name':'vm4',"
				     "'mac':'02:00:00:00:09:09','groups':['g']}]"),
		     -EIO);
	cr_assert(strstr(w.err.text, "store"), "%s", w.err.text);
	cr_assert_eq(world_place(&w, "blue/vm3", "h2", "x"), -EIO);
	cr_assert_eq(world_delete(&w, "policy", "blue/p"), -EIO);
	cr_assert_eq(world_delete(&w, "endpoint", "blue/vm5"), -EIO);
	cr_assert_eq(world_delete(&w, "network", "red"), -EIO);
	after = world_dump(&w);
	cr_assert_str_eq(before, after);
	limit.rlim_cur = limit.rlim_max;
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	cr_assert_eq(world_delete(&w, "network", "red"), 0, "%s", w.err.text);
	free(before);
	free(after);
	world_free(&w);
}

Test(persist, newer_data_is_refused)
{
	char path[128];
	struct world w;
	sqlite3 *db;

	open_world(&w);
	world_free(&w);
	snprintf(path, sizeof(path), "%s/dps.sqlite", dir);
	cr_assert_eq(sqlite3_open(path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, "PRAGMA user_version = 2", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	world_init(&w);
	cr_assert(store_open(dir, &w.store, &w.err));
	cr_assert(strstr(w.err.text, "newer"), "%s", w.err.text);
	world_free(&w);
}

Test(persist, one_process_a_directory)
{
	struct world w, other;

	open_world(&w);
	world_init(&other);
	cr_assert(store_open(dir, &other.store, &other.err));
	cr_assert(strstr(other.err.text, "in use"), "%s", other.err.text);
	world_free(&other);
	world_free(&w);
}
