/* SPDX-License-Identifier: MIT */
/*
 * One decoded event, and the table that says which fields each kind of event has. proto/schema.md is
 * the prose behind it. Nothing here knows how events are stored: decode.c fills a struct event from
 * CTF, tests fill it from text.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum event_kind {
	EVENT_WAIT,
	EVENT_CALL,
	EVENT_PATH, /* a call with `path`; same members as EVENT_CALL */
	EVENT_SAMPLE,
	EVENT_FREE,
	EVENT_START,
	EVENT_EXIT,
	EVENT_NAME,
	EVENT_PROCESS,
	EVENT_TASK_BEGIN,
	EVENT_TASK_END,
	EVENT_REGION_BEGIN,
	EVENT_REGION_END,
	EVENT_LOG,
	EVENT_COUNTER,
	EVENT_LABEL,
	EVENT_WOKEN,
	EVENT_DELAY,
	EVENT_CPU, /* flightrec_cpu:sample */
	EVENT_SWITCH_IN,
	EVENT_SWITCH_OUT,
	EVENT_WAKEUP,
	/* From here on: definitions, found in the state trace only. */
	EVENT_DEF_ENV,
	EVENT_DEF_RECEIPT,
	EVENT_DEF_PROCESS,
	EVENT_DEF_MODULE,
	EVENT_DEF_THREAD,
	EVENT_DEF_COUNTER,
	EVENT_DEF_CALL_TOTAL,
	EVENT_DEF_FD,
	EVENT_DEF_LIVE,
	EVENT_DEF_STACK,
	EVENT_DEF_SYMBOL,
	EVENT_DEF_CRASH,
	EVENT_DEF_TRIGGER,
	EVENT_N,
};
#define EVENT_FIRST_DEF EVENT_DEF_ENV

/* The kernel's records: `proc` 0 is a process that is not traced. */
static inline int event_is_kernel(enum event_kind kind)
{
	return kind >= EVENT_SWITCH_IN && kind <= EVENT_WAKEUP;
}

/*
 * Names are those of the schema. Strings and frames are borrowed from the reader and valid only
 * while the event is handled; a string is never NULL once its kind has it (an absent field is "").
 * Numbers that an older trace does not have are 0, or -1 where the schema says that -1 is unknown.
 */
struct event {
	uint64_t time_ns; /* CLOCK_MONOTONIC; when it was finished */
	enum event_kind kind;
	uint32_t proc, tid, stack;
	union {
		struct {
			uint64_t obj, dur, wake;
			uint32_t kind, holder, holder_stack;
			int32_t ret;
		} wait;
		struct {
			int64_t ret;
			uint64_t dur;
			uint32_t call;
			int32_t fd;
			const char *path;
		} call;
		struct {
			uint64_t addr, size, rate;
			uint32_t kind;
		} sample;
		struct {
			uint64_t addr, size, age;
		} free;
		struct {
			uint64_t start_routine;
			uint32_t creator;
			const char *name;
		} start;
		struct {
			uint64_t cpu;
		} exit;
		struct {
			const char *name;
		} name;
		struct {
			uint32_t pid, ppid, parent_proc;
			const char *exe;
		} process;
		struct {
			uint64_t task, parent;
			const char *type;
		} task;
		struct {
			uint64_t task, dur;
			const char *type;
		} region;
		struct {
			uint64_t task;
			const char *category, *message;
		} log;
		struct {
			int64_t value;
			const char *name;
		} counter;
		struct {
			const char *labels;
		} label;
		struct {
			uint64_t obj, dur, wake;
			uint32_t call, waker, waker_stack;
			int32_t fd;
		} woken;
		struct {
			uint64_t dur, interval, delay, cpu;
			uint32_t voluntary, involuntary;
		} delay;
		struct {
			uint64_t weight;
			const char *labels;
		} cpu;
		struct {
			uint32_t cpu, is_preempted;
		} kernel_switch; /* in and out */
		struct {
			uint32_t cpu, waker_pid, waker_tid;
			const char *waker_comm;
		} wakeup;
		struct {
			const char *key, *value;
		} pair; /* env, receipt */
		struct {
			uint64_t start, end;
			uint32_t pid, ppid, parent_proc, uid, state;
			uint32_t exit_kind, signal, is_oom;
			int32_t exit_code;
			const char *exe, *command;
		} def_process;
		struct {
			uint64_t base, start, end, file_offset, load, unload;
			const char *build_id, *path;
		} def_module;
		struct {
			uint64_t start_routine, start, end, since, obj, task;
			int64_t cpu, delay, slices, voluntary, involuntary;
			uint32_t creator, creator_stack, state, call, holder;
			int32_t fd;
			const char *name, *labels;
		} def_thread;
		struct {
			uint64_t value;
			const char *name;
		} def_counter;
		struct {
			uint64_t n, n_short, dur, short_ns, bytes;
			uint32_t call;
		} def_call_total;
		struct {
			int32_t fd;
			const char *target;
		} def_fd;
		struct {
			uint64_t addr, size, time;
		} def_live;
		struct {
			const uint64_t *frames;
			uint32_t n_frames, id, flags;
		} def_stack;
		struct {
			uint64_t addr;
			uint32_t depth, line, func_line;
			const char *func, *system_name, *file;
		} def_symbol;
		struct {
			uint64_t addr, pc, sp;
			uint32_t signal, sender_pid, sender_uid, is_overflow;
			int32_t code;
			const char *registers, *code_bytes, *stack_bytes;
		} def_crash;
		struct {
			uint64_t value, limit, obj;
			uint32_t call;
			const char *kind, *reason;
		} def_trigger;
	};
};

/* How a field is held in struct event. */
enum event_type {
	EVENT_U32,
	EVENT_U64,
	EVENT_S32,
	EVENT_S64,
	EVENT_STRING,
	EVENT_FRAMES, /* a pointer to addresses; its count is the u32 n_frames */
};

/* How a person reads it. */
enum event_show {
	SHOW_NUMBER,
	SHOW_HEX,
	SHOW_LOCK,  /* enum fr_lock */
	SHOW_ALLOC, /* enum fr_alloc */
	SHOW_CALL,  /* enum fr_call */
	SHOW_STATE, /* enum fr_state */
	SHOW_STACK, /* id in the stack table of the event's process */
};

struct event_field {
	const char *name;
	uint32_t offset; /* in struct event */
	enum event_type type;
	enum event_show show;
	uint8_t is_unknown_minus; /* a number that is missing is -1, unknown, rather than 0 */
};

struct event_info {
	const char *name;		  /* "flightrec_lock:wait" */
	const struct event_field *fields; /* in the order of the schema; without proc, tid, stack */
	uint32_t n_fields;
};

/* Every kind of event, by enum event_kind. */
extern const struct event_info event_infos[EVENT_N];

/* Kind of the event called `name`, or EVENT_N when it is none of ours. */
enum event_kind event_kind_of(const char *name);

/*
 * Name of `value` in the enumeration that `show` names, or NULL when it has none (a newer trace).
 * Static.
 */
const char *event_enum_name(enum event_show show, uint64_t value);

/* Name of a call ("read") or "call#N"; of a state, of a lock kind. Never NULL, static. */
const char *event_call_name(uint32_t call);
const char *event_state_name(uint32_t state);
const char *event_lock_name(uint32_t lock);

/* State of a thread inside `call` or waiting for lock kind `lock`; FR_STATE_SYSCALL/MUTEX if unknown. */
uint32_t event_call_state(uint32_t call);
uint32_t event_lock_state(uint32_t lock);
/* enum fr_call_class of `call`; FR_CALL_OTHER if unknown. */
uint32_t event_call_class(uint32_t call);
/* Whether a positive result of `call` is a number of bytes moved. */
int event_call_moves_bytes(uint32_t call);
