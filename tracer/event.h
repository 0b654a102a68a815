/* SPDX-License-Identifier: MIT */
/*
 * The arguments of the tracepoints. Fields and units: proto/schema.md. One header per provider follows
 * (events_*.h), as lttng-ust wants; each is read several times by the preprocessor, so it has a guard of
 * its own kind. A tracepoint takes one pointer, and its fields are copied from there into the ring.
 */
#pragma once

#include <stdint.h>

#include "proto/schema.h"

/* What every event carries. */
struct fr_event {
	uint32_t tid;
	uint32_t stack;
	uint16_t proc;
};

struct fr_event_wait {
	struct fr_event common;
	uint8_t kind;
	int32_t ret;
	uint64_t obj, dur, wake;
	uint32_t holder, holder_stack;
};

struct fr_event_woken {
	struct fr_event common;
	uint16_t call;
	int32_t fd;
	uint64_t obj, dur, wake;
	uint32_t waker, waker_stack;
};

struct fr_event_delay {
	struct fr_event common;
	uint64_t interval, dur, delay, cpu;
	uint32_t voluntary, involuntary;
};

struct fr_event_call {
	struct fr_event common;
	uint16_t call;
	int32_t fd;
	int64_t ret;
	uint64_t dur;
	const char *path; /* only for syscall:path */
};

struct fr_event_alloc {
	struct fr_event common;
	uint8_t kind;
	uint64_t addr, size;
	uint64_t rate; /* sample */
	uint64_t age;  /* free */
};

struct fr_event_thread {
	struct fr_event common;
	uint32_t creator;
	uint64_t start_routine;
	uint64_t cpu;
	const char *name;
	uint32_t pid, ppid, parent_proc;
};

struct fr_event_user {
	struct fr_event common;
	uint64_t task, parent, dur;
	int64_t value;
	const char *name, *text;
};

/* clang-format off */
#define FR_COMMON_FIELDS \
	lttng_ust_field_integer(uint16_t, proc, e->common.proc) \
	lttng_ust_field_integer(uint32_t, tid, e->common.tid) \
	lttng_ust_field_integer(uint32_t, stack, e->common.stack)
/* clang-format on */

/* Rows of the tables in proto/schema.h → labels of an enum field. */
#define FR_ENUM_LOCK(id, name, state) lttng_ust_field_enum_value(name, id)
#define FR_ENUM_ALLOC(id, name) lttng_ust_field_enum_value(name, id)
#define FR_ENUM_CALL(name, class, state) lttng_ust_field_enum_value(#name, FR_CALL_##name)
