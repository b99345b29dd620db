// SPDX-License-Identifier: Apache-2.0
/* The embedded store: one SQLite file, write-ahead log, every commit synced. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dps/mem.h"
#include "dps/store.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define SCHEMA_VERSION 1

enum statement {
	PUT_LOGICAL,
	PUT_PHYSICAL,
	REMOVE_LOGICAL,
	REMOVE_PHYSICAL,
	PUT_COUNTER,
	CLEAR_LOGICAL,
	CLEAR_PHYSICAL,
	STATEMENTS
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	int lock;
};

#define TABLE(name)                                                                                          \
	"CREATE TABLE IF NOT EXISTS " name " (kind TEXT NOT NULL, key TEXT NOT NULL, "                       \
	"id INTEGER NOT NULL, revision INTEGER NOT NULL, sequence INTEGER NOT NULL, "                        \
	"floor INTEGER NOT NULL, until INTEGER NOT NULL, body TEXT NOT NULL, "                               \
	"PRIMARY KEY (kind, key)) WITHOUT ROWID"
#define PUT(name) "INSERT OR REPLACE INTO " name " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
#define REMOVE(name) "DELETE FROM " name " WHERE kind = ? AND key = ?"
#define CLEAR(name) "DELETE FROM " name " WHERE kind = ?"
#define LOAD(name) "SELECT kind, key, id, revision, sequence, floor, until, body FROM " name

static const char *const schema[] = {
	"BEGIN",
	TABLE("logical"),
	TABLE("physical"),
	"CREATE TABLE IF NOT EXISTS counters "
	"(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
	"PRAGMA user_version = 1",
	"COMMIT",
};

static const char *const texts[STATEMENTS] = {
	[PUT_LOGICAL] = PUT("logical"),
	[PUT_PHYSICAL] = PUT("physical"),
	[REMOVE_LOGICAL] = REMOVE("logical"),
	[REMOVE_PHYSICAL] = REMOVE("physical"),
	[CLEAR_LOGICAL] = CLEAR("logical"),
	[CLEAR_PHYSICAL] = CLEAR("physical"),
	[PUT_COUNTER] = "INSERT OR REPLACE INTO counters VALUES (?, ?)",
};

static const char *const loads[STORE_TABLES] = {
	[STORE_LOGICAL] = LOAD("logical"),
	[STORE_PHYSICAL] = LOAD("physical"),
};

static int to_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return -EACCES;
	default:
		return -EIO;
	}
}

static int check(struct store *store, int rc, const char *doing)
{
	int err = to_errno(rc);

	if (err)
		log_error("store: %s: %s", doing, sqlite3_errmsg(store->db));
	return err;
}

static int exec(struct store *store, const char *sql, const char *doing)
{
	return check(store, sqlite3_exec(store->db, sql, NULL, NULL, NULL), doing);
}

static int take_lock(struct store *store, const char *dir, struct json_error *err)
{
	_free_ char *path = mem_printf("%s/dove-dps.lock", dir);

	if (mkdir(dir, 0750) && errno != EEXIST)
		return json_fail(err, NULL, "cannot make %s: %s", dir, strerror(errno));
	store->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
	if (store->lock < 0)
		return json_fail(err, NULL, "cannot write in %s: %s", dir, strerror(errno));
	if (flock(store->lock, LOCK_EX | LOCK_NB))
		return json_fail(err, NULL, "%s is in use by another dove-dps", dir);
	return 0;
}

static int read_version(struct store *store, int *version)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &stmt, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*version = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return check(store, rc, "reading the schema's version");
}

static int prepare(struct store *store)
{
	int version = 0;
	int rc = exec(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;", "opening");

	rc = rc ? rc : read_version(store, &version);
	if (rc)
		return rc;
	if (version > SCHEMA_VERSION)
		return -EPROTONOSUPPORT;
	for (size_t i = 0; !rc && !version && i < ARRAY_SIZE(schema); i++)
		rc = exec(store, schema[i], "making the tables");
	for (int i = 0; !rc && i < STATEMENTS; i++)
		rc = check(store, sqlite3_prepare_v2(store->db, texts[i], -1, &store->statements[i], NULL),
			   "preparing");
	return rc;
}

static int open_db(struct store *store, const char *dir, struct json_error *err)
{
	_free_ char *path = mem_printf("%s/dps.sqlite", dir);
	int rc = sqlite3_open_v2(path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);

	if (rc != SQLITE_OK)
		return json_fail(err, NULL, "cannot open %s: %s", path, sqlite3_errmsg(store->db));
	rc = prepare(store);
	if (rc == -EPROTONOSUPPORT)
		return json_fail(err, NULL, "%s was written by a newer dove-dps", path);
	if (rc)
		return json_fail(err, NULL, "cannot use %s: %s", path, sqlite3_errmsg(store->db));
	return 0;
}

int store_open(const char *dir, struct store **out, struct json_error *err)
{
	struct store *store = mem_alloc(sizeof(*store));
	int rc;

	memset(err, 0, sizeof(*err));
	store->lock = -1;
	rc = take_lock(store, dir, err);
	rc = rc ? rc : open_db(store, dir, err);
	if (rc)
		store_close(store);
	else
		*out = store;
	return rc;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(store->statements[i]);
	sqlite3_close(store->db);
	if (store->lock >= 0)
		close(store->lock);
	free(store);
}

static const char *text_at(sqlite3_stmt *stmt, int column)
{
	const char *text = (const char *)sqlite3_column_text(stmt, column);

	return text ? text : "";
}

static void read_record(sqlite3_stmt *stmt, struct store_record *record)
{
	record->kind = text_at(stmt, 0);
	record->key = text_at(stmt, 1);
	record->id = sqlite3_column_int64(stmt, 2);
	record->revision = sqlite3_column_int64(stmt, 3);
	record->sequence = sqlite3_column_int64(stmt, 4);
	record->floor = sqlite3_column_int64(stmt, 5);
	record->until = sqlite3_column_int64(stmt, 6);
	record->body = text_at(stmt, 7);
}

static int load_table(struct store *store, enum store_table table,
		      int (*fn)(const struct store_record *record, void *arg), void *arg)
{
	struct store_record record = { .table = table };
	sqlite3_stmt *stmt = NULL;
	int rc = check(store, sqlite3_prepare_v2(store->db, loads[table], -1, &stmt, NULL), "loading");
	int step = SQLITE_DONE;

	while (!rc && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
		read_record(stmt, &record);
		rc = fn(&record, arg);
	}
	rc = rc ? rc : check(store, step, "loading");
	sqlite3_finalize(stmt);
	return rc;
}

int store_load(struct store *store, int (*fn)(const struct store_record *record, void *arg), void *arg)
{
	int rc = 0;

	for (int table = 0; !rc && table < STORE_TABLES; table++)
		rc = load_table(store, table, fn, arg);
	return rc;
}

int store_load_counters(struct store *store, int (*fn)(const char *name, uint64_t value, void *arg),
			void *arg)
{
	sqlite3_stmt *stmt = NULL;
	int rc = check(store,
		       sqlite3_prepare_v2(store->db, "SELECT name, value FROM counters", -1, &stmt, NULL),
		       "loading");
	int step = SQLITE_DONE;

	while (!rc && (step = sqlite3_step(stmt)) == SQLITE_ROW)
		rc = fn(text_at(stmt, 0), sqlite3_column_int64(stmt, 1), arg);
	rc = rc ? rc : check(store, step, "loading");
	sqlite3_finalize(stmt);
	return rc;
}

static int run(struct store *store, sqlite3_stmt *stmt)
{
	int rc = check(store, sqlite3_step(stmt), "writing");

	sqlite3_reset(stmt);
	return rc;
}

int store_begin(struct store *store)
{
	return exec(store, "BEGIN IMMEDIATE", "beginning");
}

int store_put(struct store *store, const struct store_record *record)
{
	sqlite3_stmt *stmt = store->statements[PUT_LOGICAL + record->table];

	sqlite3_bind_text(stmt, 1, record->kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, record->key, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 3, record->id);
	sqlite3_bind_int64(stmt, 4, record->revision);
	sqlite3_bind_int64(stmt, 5, record->sequence);
	sqlite3_bind_int64(stmt, 6, record->floor);
	sqlite3_bind_int64(stmt, 7, record->until);
	sqlite3_bind_text(stmt, 8, record->body, -1, SQLITE_STATIC);
	return run(store, stmt);
}

int store_remove(struct store *store, enum store_table table, const char *kind, const char *key)
{
	sqlite3_stmt *stmt = store->statements[REMOVE_LOGICAL + table];

	sqlite3_bind_text(stmt, 1, kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, key, -1, SQLITE_STATIC);
	return run(store, stmt);
}

int store_remove_kind(struct store *store, enum store_table table, const char *kind)
{
	sqlite3_stmt *stmt = store->statements[CLEAR_LOGICAL + table];

	sqlite3_bind_text(stmt, 1, kind, -1, SQLITE_STATIC);
	return run(store, stmt);
}

int store_put_counter(struct store *store, const char *name, uint64_t value)
{
	sqlite3_stmt *stmt = store->statements[PUT_COUNTER];

	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_int64(stmt, 2, value);
	return run(store, stmt);
}

int store_commit(struct store *store)
{
	int rc = exec(store, "COMMIT", "committing");

	if (rc)
		store_rollback(store);
	return rc;
}

void store_rollback(struct store *store)
{
	if (!sqlite3_get_autocommit(store->db))
		exec(store, "ROLLBACK", "rolling back");
}
