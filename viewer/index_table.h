/* SPDX-License-Identifier: MIT */
/*
 * The tables of an index: one row per thing that happened. What SQL, exports and the page know of them stands here
 * once. Every table's first two columns are `end` and `dur`: rows come in the order of `end`. Times are ns since the
 * index's origin.
 */
#pragma once

#include "viewer/pool.h"

enum index_table_id {
	INDEX_WAIT,
	INDEX_SYSCALL,
	INDEX_WOKEN,
	INDEX_ALLOC,
	INDEX_FREE,
	INDEX_REGION,
	INDEX_TASK,
	INDEX_LOG,
	INDEX_COUNTER,
	INDEX_SAMPLE,
	INDEX_THREAD_EVENT,
	INDEX_N_TABLES,
};

/* What the number in a column means. */
enum index_column_kind {
	INDEX_TIME,   /* ns since the origin */
	INDEX_NS,     /* a length of time */
	INDEX_NUMBER, /* unsigned */
	INDEX_SIGNED, /* 64 bits of an int64_t, or 32 of an int32_t */
	INDEX_HEX,    /* an address or id */
	INDEX_STRING, /* id in trace->strings */
	INDEX_THREAD, /* index of a thread; INDEX_NONE: not known */
	INDEX_STACK,  /* index of a stack */
	INDEX_LOCK,   /* enum fr_lock */
	INDEX_CALL,   /* enum fr_call */
	INDEX_ALLOC_KIND,
	INDEX_WHAT, /* enum index_thread_event */
};

#define INDEX_NONE UINT32_MAX

enum index_thread_event { INDEX_STARTED, INDEX_EXITED, INDEX_NAMED, INDEX_LABELLED };

struct index_column {
	const char *name;
	uint8_t width;
	uint8_t kind; /* enum index_column_kind */
};

struct index_table {
	const char *name, *about;
	const struct index_column *columns;
	uint32_t n_columns;
};

/* By enum index_table_id. */
extern const struct index_table index_tables[INDEX_N_TABLES];

enum { INDEX_END, INDEX_DUR };
enum {
	WAIT_THREAD = 2,
	WAIT_KIND,
	WAIT_OBJ,
	WAIT_STACK,
	WAIT_HOLDER,
	WAIT_HOLDER_STACK,
	WAIT_RET,
	WAIT_WAKE,
	WAIT_N
};
enum { CALL_THREAD = 2, CALL_CALL, CALL_FD, CALL_RET, CALL_STACK, CALL_PATH, CALL_N };
enum {
	WOKEN_THREAD = 2,
	WOKEN_CALL,
	WOKEN_FD,
	WOKEN_OBJ,
	WOKEN_STACK,
	WOKEN_WAKER,
	WOKEN_WAKER_STACK,
	WOKEN_WAKE,
	WOKEN_N
};
enum { ALLOC_THREAD = 2, ALLOC_KIND, ALLOC_ADDR, ALLOC_SIZE, ALLOC_RATE, ALLOC_STACK, ALLOC_N };
/* Of a free `dur` is the age of what was freed. */
enum { FREE_THREAD = 2, FREE_ADDR, FREE_SIZE, FREE_STACK, FREE_N };
enum {
	REGION_THREAD = 2,
	REGION_TYPE,
	REGION_TASK,
	REGION_DEPTH,
	REGION_STACK,
	REGION_IS_OPEN,
	REGION_N
};
enum {
	TASK_THREAD = 2,
	TASK_TYPE,
	TASK_ID,
	TASK_PARENT,
	TASK_END_THREAD,
	TASK_STACK,
	TASK_IS_OPEN,
	TASK_N
};
enum { LOG_THREAD = 2, LOG_TASK, LOG_CATEGORY, LOG_MESSAGE, LOG_STACK, LOG_N };
enum { COUNTER_THREAD = 2, COUNTER_NAME, COUNTER_VALUE, COUNTER_N };
enum { SAMPLE_THREAD = 2, SAMPLE_WEIGHT, SAMPLE_STACK, SAMPLE_LABELS, SAMPLE_N };
enum { EVENT_THREAD = 2, EVENT_WHAT, EVENT_TEXT, EVENT_OTHER, EVENT_STACK, EVENT_N_COLUMNS };

/* The series of a table in the pool. */
struct pool_key index_table_key(enum index_table_id id);

struct pool_schema index_table_schema(enum index_table_id id);

/* Schema of any series of an index (lanes, tiles, tables), for pool_open(). */
struct pool_schema index_schema_of(struct pool_key key);
