/* SPDX-License-Identifier: MIT */
/* Shared by sql.c and the tables it registers. */
#pragma once

#include "viewer/sql.h"

/* Registers the virtual tables of the index (sql_table.c). Returns SQLite's code. */
int sql_register_tables(sqlite3 *db, const struct index *index);

/* Makes and fills the small tables of definitions (sql_define.c). Returns SQLite's code. */
int sql_define(sqlite3 *db, const struct index *index);

/* For sql_describe(). */
void sql_describe_tables(
	void (*fn)(void *user, const char *table, const char *column, const char *about),
	void *user);
void sql_describe_definitions(
	void (*fn)(void *user, const char *table, const char *column, const char *about),
	void *user);
