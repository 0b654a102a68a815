/* SPDX-License-Identifier: MIT */
/* What a trace defines, as tables in memory: small beside the events. */
#include "viewer/sql_internal.h"

#define EMPTY_TO_NULL(text) (*(text) ? (text) : NULL)

static const struct {
	const char *name, *about, *columns;
} definitions[] = {
	{ "process", "traced processes",
		"id INTEGER PRIMARY KEY, pid INTEGER, ppid INTEGER, uid INTEGER, exe TEXT, command "
		"TEXT, start INTEGER, end INTEGER" },
	{ "thread", "their threads; cpu: ns within the window, NULL: not known",
		"id INTEGER PRIMARY KEY, process INTEGER, tid INTEGER, name TEXT, labels TEXT, "
		"start INTEGER, end INTEGER, cpu INTEGER, creator_stack INTEGER" },
	{ "stack", "site: the place it stands for",
		"id INTEGER PRIMARY KEY, process INTEGER, depth INTEGER, site TEXT, is_whole "
		"INTEGER" },
	{ "frame", "level 0 is the innermost; functions inlined into an address share it",
		"stack INTEGER, level INTEGER, function TEXT, file TEXT, line INTEGER, module "
		"TEXT, addr INTEGER" },
	{ "module", "what was mapped",
		"process INTEGER, path TEXT, build_id TEXT, start INTEGER, end INTEGER, base "
		"INTEGER" },
	{ "call_total", "exact totals of calls, also of those too short for an event",
		"process INTEGER, call TEXT, n INTEGER, n_short INTEGER, dur INTEGER, dur_short "
		"INTEGER, bytes INTEGER" },
	{ "receipt", "what the trace covers, and what it lacks", "key TEXT, value TEXT" },
	{ "env", "where it was recorded, and how", "key TEXT, value TEXT" },
};

/* A statement that inserts one row after the other. */
struct inserter {
	sqlite3_stmt *statement;
	int n, rc;
};

static struct inserter insert_into(sqlite3 *db, const char *table, int n_columns)
{
	GString *text = g_string_new(NULL);
	struct inserter inserter = { .n = 0 };

	g_string_printf(text, "INSERT INTO \"%s\" VALUES(", table);
	for (int i = 0; i < n_columns; i++)
		g_string_append(text, i ? ",?" : "?");
	g_string_append_c(text, ')');
	inserter.rc = sqlite3_prepare_v2(db, text->str, -1, &inserter.statement, NULL);
	g_string_free(text, TRUE);
	return inserter;
}

static void put_number(struct inserter *inserter, int64_t value)
{
	sqlite3_bind_int64(inserter->statement, ++inserter->n, value);
}

static void put_time(struct inserter *inserter, const struct index *index, uint64_t time_ns)
{
	if (time_ns)
		put_number(inserter, (int64_t)(time_ns - index->origin_ns));
	else
		sqlite3_bind_null(inserter->statement, ++inserter->n);
}

/* "" is SQL's NULL. The text stays until put_row(). */
static void put_text(struct inserter *inserter, const char *text)
{
	sqlite3_bind_text(
		inserter->statement, ++inserter->n, EMPTY_TO_NULL(text), -1, SQLITE_TRANSIENT);
}

static void put_row(struct inserter *inserter)
{
	if (inserter->rc == SQLITE_OK && sqlite3_step(inserter->statement) != SQLITE_DONE)
		inserter->rc = SQLITE_ERROR;
	sqlite3_reset(inserter->statement);
	inserter->n = 0;
}

static int finish(struct inserter *inserter)
{
	sqlite3_finalize(inserter->statement);
	return inserter->rc;
}

static const char *text_of(const struct index *index, uint32_t id)
{
	return strings_get(index->trace->strings, id);
}

static int fill_processes(sqlite3 *db, const struct index *index)
{
	struct inserter into = insert_into(db, "process", 8);

	for (guint i = 0; i < index->trace->processes->len; i++) {
		const struct process *process = trace_process(index->trace, i);

		put_number(&into, i);
		put_number(&into, process->pid);
		put_number(&into, process->ppid);
		put_number(&into, process->uid);
		put_text(&into, text_of(index, process->exe));
		put_text(&into, text_of(index, process->command));
		put_time(&into, index, process->start_ns);
		put_time(&into, index, process->end_ns);
		put_row(&into);
	}
	return finish(&into);
}

static int fill_threads(sqlite3 *db, const struct index *index)
{
	struct inserter into = insert_into(db, "thread", 9);

	for (guint i = 0; i < index->trace->threads->len; i++) {
		const struct thread *thread = trace_thread(index->trace, i);

		put_number(&into, i);
		put_number(&into, thread->process);
		put_number(&into, thread->tid);
		put_text(&into, trace_thread_name(index->trace, i));
		put_text(&into, text_of(index, thread->labels));
		put_time(&into, index, thread->start_ns);
		put_time(&into, index, thread->end_ns);
		if (thread->cpu_ns >= 0)
			put_number(&into, thread->cpu_ns);
		else
			into.n++;
		put_number(&into, thread->creator_stack);
		put_row(&into);
		sqlite3_clear_bindings(into.statement);
	}
	return finish(&into);
}

static int fill_stacks(sqlite3 *db, const struct index *index)
{
	struct stacks *stacks = &index->trace->stacks;
	struct inserter into = insert_into(db, "stack", 5);

	for (guint i = 0; i < stacks->stacks->len; i++) {
		const struct stack *stack = stacks_get(stacks, i);
		uint32_t process = idmap_get(&index->trace->by_proc, stack->proc, 0);

		put_number(&into, i);
		put_number(&into, process == IDMAP_NONE ? -1 : (int64_t)process);
		put_number(&into, stack->n_frames);
		put_text(&into, text_of(index, stacks_site(stacks, i)));
		put_number(&into, stack->flags == 0);
		put_row(&into);
	}
	return finish(&into);
}

static void put_frame(struct inserter *into, const struct index *index, guint stack, uint32_t level,
	const struct location *location, uint32_t line)
{
	const struct stacks *stacks = &index->trace->stacks;
	g_autoptr(GString) function = g_string_new(NULL);
	const struct line *at =
		line < location->n_lines
			? &g_array_index(stacks->lines, struct line, location->first_line + line)
			: NULL;

	stacks_append_function(stacks, location, line, function);
	put_number(into, stack);
	put_number(into, level);
	put_text(into, function->str);
	put_text(into, at ? text_of(index, at->file) : "");
	put_number(into, at ? at->line : 0);
	put_text(into, location->module == MODULE_NONE
			       ? ""
			       : text_of(index, g_array_index(stacks->modules, struct module,
							location->module)
							.path));
	put_number(into, (int64_t)location->addr);
	put_row(into);
}

static int fill_frames(sqlite3 *db, const struct index *index)
{
	const struct stacks *stacks = &index->trace->stacks;
	struct inserter into = insert_into(db, "frame", 7);

	for (guint i = 0; i < stacks->stacks->len; i++) {
		const struct stack *stack = stacks_get(stacks, i);
		uint32_t level = 0;

		for (uint32_t k = 0; k < stack->n_frames; k++) {
			const struct location *location = stacks_frame(stacks, stack, k);

			for (uint32_t line = 0; line < MAX(location->n_lines, 1); line++)
				put_frame(&into, index, i, level++, location, line);
		}
	}
	return finish(&into);
}

static int fill_modules(sqlite3 *db, const struct index *index)
{
	struct inserter into = insert_into(db, "module", 6);

	for (guint i = 0; i < index->trace->stacks.modules->len; i++) {
		const struct module *module =
			&g_array_index(index->trace->stacks.modules, struct module, i);
		uint32_t process = idmap_get(&index->trace->by_proc, module->proc, 0);

		put_number(&into, process == IDMAP_NONE ? -1 : (int64_t)process);
		put_text(&into, text_of(index, module->path));
		put_text(&into, text_of(index, module->build_id));
		put_number(&into, (int64_t)module->start);
		put_number(&into, (int64_t)module->end);
		put_number(&into, (int64_t)module->base);
		put_row(&into);
	}
	return finish(&into);
}

static int fill_totals(sqlite3 *db, const struct index *index)
{
	struct inserter into = insert_into(db, "call_total", 7);

	for (guint i = 0; i < index->trace->totals->len; i++) {
		const struct call_total *total =
			&g_array_index(index->trace->totals, struct call_total, i);

		put_number(&into, total->process);
		put_text(&into, event_call_name(total->call));
		put_number(&into, (int64_t)total->n);
		put_number(&into, (int64_t)total->n_short);
		put_number(&into, (int64_t)total->dur_ns);
		put_number(&into, (int64_t)total->short_ns);
		put_number(&into, (int64_t)total->bytes);
		put_row(&into);
	}
	return finish(&into);
}

static int fill_pairs(
	sqlite3 *db, const struct index *index, const char *table, const GArray *pairs)
{
	struct inserter into = insert_into(db, table, 2);

	for (guint i = 0; i < pairs->len; i++) {
		const struct pair *pair = &g_array_index(pairs, struct pair, i);

		put_text(&into, text_of(index, pair->key));
		put_text(&into, text_of(index, pair->value));
		put_row(&into);
	}
	return finish(&into);
}

static int create(sqlite3 *db)
{
	int rc = SQLITE_OK;

	for (size_t i = 0; i < G_N_ELEMENTS(definitions) && rc == SQLITE_OK; i++) {
		g_autofree char *text = g_strdup_printf(
			"CREATE TABLE \"%s\"(%s)", definitions[i].name, definitions[i].columns);

		rc = sqlite3_exec(db, text, NULL, NULL, NULL);
	}
	return rc;
}

int sql_define(sqlite3 *db, const struct index *index)
{
	static int (*const fills[])(sqlite3 *, const struct index *) = { fill_processes,
		fill_threads, fill_stacks, fill_frames, fill_modules, fill_totals };
	int rc = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);

	if (rc == SQLITE_OK)
		rc = create(db);
	for (size_t i = 0; i < G_N_ELEMENTS(fills) && rc == SQLITE_OK; i++)
		rc = fills[i](db, index);
	if (rc == SQLITE_OK)
		rc = fill_pairs(db, index, "receipt", index->trace->receipt);
	if (rc == SQLITE_OK)
		rc = fill_pairs(db, index, "env", index->trace->env);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(
			db, "CREATE INDEX frame_stack ON frame(stack); COMMIT", NULL, NULL, NULL);
	return rc;
}

void sql_describe_definitions(
	void (*fn)(void *user, const char *table, const char *column, const char *about),
	void *user)
{
	for (size_t i = 0; i < G_N_ELEMENTS(definitions); i++) {
		g_auto(GStrv) columns = g_strsplit(definitions[i].columns, ", ", -1);

		for (char **column = columns; *column; column++) {
			(*column)[strcspn(*column, " ")] = '\0';
			fn(user, definitions[i].name, *column,
				column == columns ? definitions[i].about : "");
		}
	}
}
