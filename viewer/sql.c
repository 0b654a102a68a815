/* SPDX-License-Identifier: MIT */
#include "viewer/sql.h"

#include "viewer/sql_internal.h"

#define CACHE_KB 65536
#define STEPS_PER_LOOK 100000

struct sql {
	sqlite3 *db;
	uint64_t limit_ns, deadline_ns; /* monotonic; 0: none */
	int is_late;
};

static GQuark sql_error_quark(void)
{
	return g_quark_from_static_string("sql");
}

/* Nothing but reading: no file is opened, nothing changed. */
static int authorize(
	void *user, int action, const char *a, const char *b, const char *c, const char *d)
{
	(void)user;
	(void)c;
	(void)d;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		return g_strcmp0(b, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
	case SQLITE_PRAGMA:
		return g_strcmp0(a, "table_info") == 0 || g_strcmp0(a, "table_list") == 0
			       ? SQLITE_OK
			       : SQLITE_DENY;
	default:
		return SQLITE_DENY;
	}
}

static int on_progress(void *user)
{
	struct sql *sql = user;

	if (sql->deadline_ns && (uint64_t)g_get_monotonic_time() * 1000 > sql->deadline_ns)
		sql->is_late = 1;
	return sql->is_late;
}

struct sql *sql_open(const struct index *index, GError **error)
{
	struct sql *sql = g_new0(struct sql, 1);
	int rc = sqlite3_open_v2(":memory:", &sql->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY |
			SQLITE_OPEN_NOMUTEX,
		NULL);
	g_autofree char *cache = g_strdup_printf("PRAGMA cache_size=-%d", CACHE_KB);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(sql->db, cache, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sql_register_tables(sql->db, index);
	if (rc == SQLITE_OK)
		rc = sql_define(sql->db, index);
	if (rc != SQLITE_OK) {
		g_set_error(error, sql_error_quark(), rc, "SQLite cannot be used: %s",
			sqlite3_errmsg(sql->db));
		sql_close(sql);
		return NULL;
	}
	sqlite3_limit(sql->db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_set_authorizer(sql->db, authorize, NULL);
	sqlite3_progress_handler(sql->db, STEPS_PER_LOOK, on_progress, sql);
	return sql;
}

void sql_close(struct sql *sql)
{
	if (!sql)
		return;
	sqlite3_close(sql->db);
	g_free(sql);
}

void sql_set_limit(struct sql *sql, uint64_t ns)
{
	sql->limit_ns = ns;
}

static void tell_names(sqlite3_stmt *statement, sql_row_fn fn, void *user)
{
	int n = sqlite3_column_count(statement);
	g_autofree const char **names = g_new(const char *, n);

	for (int i = 0; i < n; i++)
		names[i] = sqlite3_column_name(statement, i);
	fn(user, n, names, NULL);
}

/* Steps to the end; SQLITE_DONE or an error. */
static int tell_rows(sqlite3_stmt *statement, sql_row_fn fn, void *user)
{
	int n = sqlite3_column_count(statement), rc;
	g_autofree const char **values = g_new(const char *, n);
	g_autofree int *types = g_new(int, n);

	while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
		for (int i = 0; i < n; i++) {
			types[i] = sqlite3_column_type(statement, i);
			values[i] = (const char *)sqlite3_column_text(statement, i);
		}
		if (fn(user, n, values, types))
			return SQLITE_DONE;
	}
	return rc;
}

static void explain(struct sql *sql, int rc, GError **error)
{
	if (sql->is_late)
		g_set_error(error, sql_error_quark(), rc,
			"The query took longer than its limit of %" G_GUINT64_FORMAT " s",
			sql->limit_ns / 1000000000);
	else if (rc == SQLITE_AUTH)
		g_set_error(error, sql_error_quark(), rc,
			"Not allowed: a trace can only be read (SELECT); \"%s\"",
			sqlite3_errmsg(sql->db));
	else
		g_set_error(error, sql_error_quark(), rc, "SQL: %s", sqlite3_errmsg(sql->db));
}

gboolean sql_run(struct sql *sql, const char *text, sql_row_fn fn, void *user, GError **error)
{
	int n_statements = 0;

	sql->is_late = 0;
	sql->deadline_ns =
		sql->limit_ns ? (uint64_t)g_get_monotonic_time() * 1000 + sql->limit_ns : 0;
	while (*text) {
		sqlite3_stmt *statement = NULL;
		int rc = sqlite3_prepare_v2(sql->db, text, -1, &statement, &text);

		if (rc == SQLITE_OK && statement) {
			n_statements++;
			tell_names(statement, fn, user);
			rc = tell_rows(statement, fn, user);
		}
		if (rc != SQLITE_OK && rc != SQLITE_DONE) {
			explain(sql, rc, error);
			sqlite3_finalize(statement);
			return FALSE;
		}
		sqlite3_finalize(statement);
	}
	if (n_statements)
		return TRUE;
	g_set_error(error, sql_error_quark(), SQLITE_MISUSE, "There is no statement in the query");
	return FALSE;
}

void sql_describe(void (*fn)(void *user, const char *table, const char *column, const char *about),
	void *user)
{
	sql_describe_tables(fn, user);
	sql_describe_definitions(fn, user);
}
