/* SPDX-License-Identifier: MIT */
/*
 * A trace as an SQL database: SQLite over the index, nothing is copied. Read-only: no statement can change the index or
 * touch a file. Not thread-safe; open one per thread.
 */
#pragma once

#include <glib.h>
#include <sqlite3.h>

#include "viewer/index.h"

struct sql;

/* `index` is borrowed. NULL with a sentence when SQLite cannot be used. */
struct sql *sql_open(const struct index *index, GError **error);
void sql_close(struct sql *sql);

/* A query may run for so long; 0: as long as it takes. */
void sql_set_limit(struct sql *sql, uint64_t ns);

/*
 * What is told of each row: n texts of values, NULL for SQL's NULL; `types` are SQLite's (SQLITE_INTEGER …). Non-zero ends
 * the query without an error. Called with names as values, and types NULL, before the first row.
 */
typedef int (*sql_row_fn)(void *user, int n, const char *const *values, const int *types);

/*
 * Runs the statements in `text`, and tells their rows to `fn`, the names before those of each. FALSE with a sentence when it
 * is no SQL, is not allowed, or took too long.
 */
gboolean sql_run(struct sql *sql, const char *text, sql_row_fn fn, void *user, GError **error);

/* Names and columns of all tables, for help and for the page: rows (table, column, type, about). */
void sql_describe(void (*fn)(void *user, const char *table, const char *column, const char *about),
	void *user);
