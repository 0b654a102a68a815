/* SPDX-License-Identifier: MIT */
#include <unistd.h>

#include "viewer/export.h"
#include "viewer/sql_internal.h"

static int save_table(sqlite3 *db, const char *table, const char *where)
{
	g_autofree char *text = g_strdup_printf(
		"CREATE TABLE saved.\"%s\" AS SELECT * FROM main.\"%s\"%s", table, table, where);

	return sqlite3_exec(db, text, NULL, NULL, NULL);
}

struct saving {
	sqlite3 *db;
	const char *where, *last; /* where: of tables that have threads */
	int rc;
};

static void on_column(void *user, const char *table, const char *column, const char *about)
{
	struct saving *saving = user;
	int is_event = 0;

	(void)column;
	(void)about;
	if (saving->rc != SQLITE_OK || g_strcmp0(saving->last, table) == 0)
		return;
	saving->last = table;
	is_event = g_str_equal(table, "slice");
	for (int i = 0; i < INDEX_N_TABLES; i++)
		is_event |= g_str_equal(table, index_tables[i].name);
	saving->rc = save_table(saving->db, table, is_event ? saving->where : "");
}

static int save(sqlite3 *db, const struct export_part *part, const char *path)
{
	g_autoptr(GString) where = g_string_new("");
	struct saving saving = { .db = db, .rc = SQLITE_OK };
	char *attach = sqlite3_mprintf("ATTACH %Q AS saved", path);

	for (guint i = 0; part->threads && i < part->index->trace->threads->len; i++)
		if (part->threads[i])
			g_string_append_printf(where, "%s%u", where->len ? "," : "", i);
	if (part->threads) {
		g_string_prepend(where, " WHERE thread IN (");
		g_string_append_c(where, ')');
	}
	saving.where = where->str;
	saving.rc = sqlite3_exec(db, attach, NULL, NULL, NULL);
	sqlite3_free(attach);
	if (saving.rc == SQLITE_OK)
		saving.rc = sqlite3_exec(db,
			"PRAGMA saved.journal_mode=OFF; PRAGMA saved.synchronous=OFF; BEGIN", NULL,
			NULL, NULL);
	sql_describe(on_column, &saving);
	if (saving.rc == SQLITE_OK)
		saving.rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	return saving.rc;
}

gboolean export_sqlite(const struct export_part *part, const char *path, GError **error)
{
	sqlite3 *db = NULL;
	int rc;

	if (access(path, F_OK) == 0) {
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_SYSTEM,
			"%s is there already; name a new file, or remove it", path);
		return FALSE;
	}
	rc = sqlite3_open(":memory:", &db);
	if (rc == SQLITE_OK)
		rc = sql_register_tables(db, part->index);
	if (rc == SQLITE_OK)
		rc = sql_define(db, part->index);
	if (rc == SQLITE_OK)
		rc = save(db, part, path);
	if (rc != SQLITE_OK)
		g_set_error(error, VIEW_ERROR, VIEW_ERROR_SYSTEM, "SQLite cannot write %s: %s",
			path, sqlite3_errmsg(db));
	sqlite3_close(db);
	return rc == SQLITE_OK;
}
