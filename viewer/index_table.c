/* SPDX-License-Identifier: MIT */
#include "viewer/index_table.h"

#include "viewer/tile.h"

#define TABLE_KIND 100

/* clang-format off */
static const struct index_column wait_columns[] = {
	{ "end", 6, INDEX_TIME }, { "dur", 6, INDEX_NS }, { "thread", 4, INDEX_THREAD },
	{ "kind", 1, INDEX_LOCK }, { "obj", 8, INDEX_HEX }, { "stack", 4, INDEX_STACK },
	{ "holder", 4, INDEX_THREAD }, { "holder_stack", 4, INDEX_STACK },
	{ "ret", 4, INDEX_SIGNED }, { "wake", 6, INDEX_NS },
};
static const struct index_column call_columns[] = {
	{ "end", 6, INDEX_TIME }, { "dur", 6, INDEX_NS }, { "thread", 4, INDEX_THREAD },
	{ "call", 2, INDEX_CALL }, { "fd", 4, INDEX_SIGNED }, { "ret", 8, INDEX_SIGNED },
	{ "stack", 4, INDEX_STACK }, { "path", 4, INDEX_STRING },
};
static const struct index_column woken_columns[] = {
	{ "end", 6, INDEX_TIME }, { "dur", 6, INDEX_NS }, { "thread", 4, INDEX_THREAD },
	{ "call", 2, INDEX_CALL }, { "fd", 4, INDEX_SIGNED }, { "obj", 8, INDEX_HEX },
	{ "stack", 4, INDEX_STACK }, { "waker", 4, INDEX_THREAD },
	{ "waker_stack", 4, INDEX_STACK }, { "wake", 6, INDEX_NS },
};
static const struct index_column alloc_columns[] = {
	{ "end", 6, INDEX_TIME }, { "dur", 1, INDEX_NS }, { "thread", 4, INDEX_THREAD },
	{ "kind", 1, INDEX_ALLOC_KIND }, { "addr", 8, INDEX_HEX }, { "size", 8, INDEX_NUMBER },
	{ "rate", 8, INDEX_NUMBER }, { "stack", 4, INDEX_STACK },
};
static const struct index_column free_columns[] = {
	{ "end", 6, INDEX_TIME }, { "dur", 6, INDEX_NS }, { "thread", 4, INDEX_THREAD },
	{ "addr", 8, INDEX_HEX }, { "size", 8, INDEX_NUMBER }, { "stack", 4, INDEX_STACK },
};
static const struct index_column region_columns[] = {
	{ "end", 6, INDEX_TIME }, { "dur", 6, INDEX_NS }, { "thread", 4, INDEX_THREAD },
	{ "type", 4, INDEX_STRING }, { "task", 8, INDEX_HEX }, { "depth", 2, INDEX_NUMBER },
	{ "stack", 4, INDEX_STACK }, { "is_open", 1, INDEX_NUMBER },
};
static const struct index_column task_columns[] = {
	{ "end", 6, INDEX_TIME }, { "dur", 6, INDEX_NS }, { "thread", 4, INDEX_THREAD },
	{ "type", 4, INDEX_STRING }, { "id", 8, INDEX_HEX }, { "parent", 8, INDEX_HEX },
	{ "end_thread", 4, INDEX_THREAD }, { "stack", 4, INDEX_STACK },
	{ "is_open", 1, INDEX_NUMBER },
};
static const struct index_column log_columns[] = {
	{ "end", 6, INDEX_TIME }, { "dur", 1, INDEX_NS }, { "thread", 4, INDEX_THREAD },
	{ "task", 8, INDEX_HEX }, { "category", 4, INDEX_STRING },
	{ "message", 4, INDEX_STRING }, { "stack", 4, INDEX_STACK },
};
static const struct index_column counter_columns[] = {
	{ "end", 6, INDEX_TIME }, { "dur", 1, INDEX_NS }, { "thread", 4, INDEX_THREAD },
	{ "name", 4, INDEX_STRING }, { "value", 8, INDEX_SIGNED },
};
static const struct index_column sample_columns[] = {
	{ "end", 6, INDEX_TIME }, { "dur", 1, INDEX_NS }, { "thread", 4, INDEX_THREAD },
	{ "weight", 6, INDEX_NS }, { "stack", 4, INDEX_STACK }, { "labels", 4, INDEX_STRING },
};
static const struct index_column event_columns[] = {
	{ "end", 6, INDEX_TIME }, { "dur", 1, INDEX_NS }, { "thread", 4, INDEX_THREAD },
	{ "what", 1, INDEX_WHAT }, { "text", 4, INDEX_STRING }, { "other", 4, INDEX_THREAD },
	{ "stack", 4, INDEX_STACK },
};


#define TABLE(id, name, about, columns) [id] = { name, about, columns, G_N_ELEMENTS(columns) }

const struct index_table index_tables[INDEX_N_TABLES] = {
	TABLE(INDEX_WAIT, "wait", "waits for locks", wait_columns),
	TABLE(INDEX_SYSCALL, "syscall", "calls of libc's system call functions", call_columns),
	TABLE(INDEX_WOKEN, "woken", "calls that waited for another thread of the program",
		woken_columns),
	TABLE(INDEX_ALLOC, "alloc", "sampled allocations", alloc_columns),
	TABLE(INDEX_FREE, "free", "frees of sampled allocations", free_columns),
	TABLE(INDEX_REGION, "region", "the program's regions", region_columns),
	TABLE(INDEX_TASK, "task", "the program's tasks", task_columns),
	TABLE(INDEX_LOG, "log", "the program's log messages", log_columns),
	TABLE(INDEX_COUNTER, "counter", "the program's counters", counter_columns),
	TABLE(INDEX_SAMPLE, "sample", "samples of CPU time", sample_columns),
	TABLE(INDEX_THREAD_EVENT, "thread_event", "threads that began, ended, got a name or labels",
		event_columns),
};
/* clang-format on */

struct pool_key index_table_key(enum index_table_id id)
{
	return (struct pool_key){ .kind = TABLE_KIND + id };
}

struct pool_schema index_table_schema(enum index_table_id id)
{
	static uint8_t widths[INDEX_N_TABLES][POOL_MAX_COLUMNS];
	static gsize is_filled;

	if (g_once_init_enter(&is_filled)) {
		for (int i = 0; i < INDEX_N_TABLES; i++)
			for (uint32_t k = 0; k < index_tables[i].n_columns; k++)
				widths[i][k] = index_tables[i].columns[k].width;
		g_once_init_leave(&is_filled, 1);
	}
	return (struct pool_schema){ widths[id], index_tables[id].n_columns };
}

struct pool_schema index_schema_of(struct pool_key key)
{
	if (key.kind > 0 && key.kind < LANE_KIND_END)
		return lane_schema;
	if (key.kind > LANE_KIND_END && key.kind < 2 * LANE_KIND_END)
		return tile_schema;
	if (key.kind >= TABLE_KIND && key.kind < TABLE_KIND + INDEX_N_TABLES)
		return index_table_schema((enum index_table_id)(key.kind - TABLE_KIND));
	return (struct pool_schema){ .n_columns = 0 };
}
