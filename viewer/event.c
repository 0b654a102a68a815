/* SPDX-License-Identifier: MIT */
/* The fields of every kind of event as a table, so that reading, showing and testing share one list. */
#include "viewer/event.h"

#include <glib.h>
#include <string.h>

#include "proto/schema.h"

/* clang-format off */
#define N(name, member, type, show) { name, offsetof(struct event, member), type, show, 0 }
/* The same, -1 where it is missing. */
#define M(name, member, type, show) { name, offsetof(struct event, member), type, show, 1 }

static const struct event_field wait_fields[] = {
	N("kind", wait.kind, EVENT_U32, SHOW_LOCK),
	N("obj", wait.obj, EVENT_U64, SHOW_HEX),
	N("dur", wait.dur, EVENT_U64, SHOW_NUMBER),
	N("holder", wait.holder, EVENT_U32, SHOW_NUMBER),
	N("holder_stack", wait.holder_stack, EVENT_U32, SHOW_STACK),
	N("ret", wait.ret, EVENT_S32, SHOW_NUMBER),
	N("wake", wait.wake, EVENT_U64, SHOW_NUMBER),
};
static const struct event_field path_fields[] = {
	N("call", call.call, EVENT_U32, SHOW_CALL),
	N("fd", call.fd, EVENT_S32, SHOW_NUMBER),
	N("ret", call.ret, EVENT_S64, SHOW_NUMBER),
	N("dur", call.dur, EVENT_U64, SHOW_NUMBER),
	N("path", call.path, EVENT_STRING, SHOW_NUMBER),
};
static const struct event_field sample_fields[] = {
	N("kind", sample.kind, EVENT_U32, SHOW_ALLOC),
	N("addr", sample.addr, EVENT_U64, SHOW_HEX),
	N("size", sample.size, EVENT_U64, SHOW_NUMBER),
	N("rate", sample.rate, EVENT_U64, SHOW_NUMBER),
};
static const struct event_field free_fields[] = {
	N("addr", free.addr, EVENT_U64, SHOW_HEX),
	N("size", free.size, EVENT_U64, SHOW_NUMBER),
	N("age", free.age, EVENT_U64, SHOW_NUMBER),
};
static const struct event_field start_fields[] = {
	N("creator", start.creator, EVENT_U32, SHOW_NUMBER),
	N("start_routine", start.start_routine, EVENT_U64, SHOW_HEX),
	N("name", start.name, EVENT_STRING, SHOW_NUMBER),
};
static const struct event_field exit_fields[] = {
	N("cpu", exit.cpu, EVENT_U64, SHOW_NUMBER),
};
static const struct event_field name_fields[] = {
	N("name", name.name, EVENT_STRING, SHOW_NUMBER),
};
static const struct event_field process_fields[] = {
	N("pid", process.pid, EVENT_U32, SHOW_NUMBER),
	N("ppid", process.ppid, EVENT_U32, SHOW_NUMBER),
	N("parent_proc", process.parent_proc, EVENT_U32, SHOW_NUMBER),
	N("exe", process.exe, EVENT_STRING, SHOW_NUMBER),
};
static const struct event_field task_begin_fields[] = {
	N("task", task.task, EVENT_U64, SHOW_NUMBER),
	N("parent", task.parent, EVENT_U64, SHOW_NUMBER),
	N("type", task.type, EVENT_STRING, SHOW_NUMBER),
};
static const struct event_field task_end_fields[] = {
	N("task", task.task, EVENT_U64, SHOW_NUMBER),
};
static const struct event_field region_begin_fields[] = {
	N("task", region.task, EVENT_U64, SHOW_NUMBER),
	N("type", region.type, EVENT_STRING, SHOW_NUMBER),
};
static const struct event_field region_end_fields[] = {
	N("task", region.task, EVENT_U64, SHOW_NUMBER),
	N("type", region.type, EVENT_STRING, SHOW_NUMBER),
	N("dur", region.dur, EVENT_U64, SHOW_NUMBER),
};
static const struct event_field log_fields[] = {
	N("task", log.task, EVENT_U64, SHOW_NUMBER),
	N("category", log.category, EVENT_STRING, SHOW_NUMBER),
	N("message", log.message, EVENT_STRING, SHOW_NUMBER),
};
static const struct event_field counter_fields[] = {
	N("name", counter.name, EVENT_STRING, SHOW_NUMBER),
	N("value", counter.value, EVENT_S64, SHOW_NUMBER),
};
static const struct event_field label_fields[] = {
	N("labels", label.labels, EVENT_STRING, SHOW_NUMBER),
};
static const struct event_field woken_fields[] = {
	N("call", woken.call, EVENT_U32, SHOW_CALL),
	N("fd", woken.fd, EVENT_S32, SHOW_NUMBER),
	N("obj", woken.obj, EVENT_U64, SHOW_HEX),
	N("dur", woken.dur, EVENT_U64, SHOW_NUMBER),
	N("waker", woken.waker, EVENT_U32, SHOW_NUMBER),
	N("waker_stack", woken.waker_stack, EVENT_U32, SHOW_STACK),
	N("wake", woken.wake, EVENT_U64, SHOW_NUMBER),
};
static const struct event_field delay_fields[] = {
	N("dur", delay.dur, EVENT_U64, SHOW_NUMBER),
	N("interval", delay.interval, EVENT_U64, SHOW_NUMBER),
	N("delay", delay.delay, EVENT_U64, SHOW_NUMBER),
	N("cpu", delay.cpu, EVENT_U64, SHOW_NUMBER),
	N("voluntary", delay.voluntary, EVENT_U32, SHOW_NUMBER),
	N("involuntary", delay.involuntary, EVENT_U32, SHOW_NUMBER),
};
static const struct event_field cpu_fields[] = {
	N("weight", cpu.weight, EVENT_U64, SHOW_NUMBER),
	N("labels", cpu.labels, EVENT_STRING, SHOW_NUMBER),
};
static const struct event_field switch_fields[] = {
	N("cpu", kernel_switch.cpu, EVENT_U32, SHOW_NUMBER),
	N("is_preempted", kernel_switch.is_preempted, EVENT_U32, SHOW_NUMBER),
};
static const struct event_field wakeup_fields[] = {
	N("cpu", wakeup.cpu, EVENT_U32, SHOW_NUMBER),
	N("waker_pid", wakeup.waker_pid, EVENT_U32, SHOW_NUMBER),
	N("waker_tid", wakeup.waker_tid, EVENT_U32, SHOW_NUMBER),
	N("waker_comm", wakeup.waker_comm, EVENT_STRING, SHOW_NUMBER),
};
static const struct event_field pair_fields[] = {
	N("key", pair.key, EVENT_STRING, SHOW_NUMBER),
	N("value", pair.value, EVENT_STRING, SHOW_NUMBER),
};
static const struct event_field def_process_fields[] = {
	N("pid", def_process.pid, EVENT_U32, SHOW_NUMBER),
	N("ppid", def_process.ppid, EVENT_U32, SHOW_NUMBER),
	N("parent_proc", def_process.parent_proc, EVENT_U32, SHOW_NUMBER),
	N("uid", def_process.uid, EVENT_U32, SHOW_NUMBER),
	N("start", def_process.start, EVENT_U64, SHOW_NUMBER),
	N("end", def_process.end, EVENT_U64, SHOW_NUMBER),
	N("state", def_process.state, EVENT_U32, SHOW_NUMBER),
	N("exe", def_process.exe, EVENT_STRING, SHOW_NUMBER),
	N("command", def_process.command, EVENT_STRING, SHOW_NUMBER),
	N("exit_kind", def_process.exit_kind, EVENT_U32, SHOW_NUMBER),
	N("exit_code", def_process.exit_code, EVENT_S32, SHOW_NUMBER),
	N("signal", def_process.signal, EVENT_U32, SHOW_NUMBER),
	N("is_oom", def_process.is_oom, EVENT_U32, SHOW_NUMBER),
};
static const struct event_field def_module_fields[] = {
	N("base", def_module.base, EVENT_U64, SHOW_HEX),
	N("start", def_module.start, EVENT_U64, SHOW_HEX),
	N("end", def_module.end, EVENT_U64, SHOW_HEX),
	N("file_offset", def_module.file_offset, EVENT_U64, SHOW_HEX),
	N("load", def_module.load, EVENT_U64, SHOW_NUMBER),
	N("unload", def_module.unload, EVENT_U64, SHOW_NUMBER),
	N("build_id", def_module.build_id, EVENT_STRING, SHOW_NUMBER),
	N("path", def_module.path, EVENT_STRING, SHOW_NUMBER),
};
static const struct event_field def_thread_fields[] = {
	N("creator", def_thread.creator, EVENT_U32, SHOW_NUMBER),
	N("creator_stack", def_thread.creator_stack, EVENT_U32, SHOW_STACK),
	N("start_routine", def_thread.start_routine, EVENT_U64, SHOW_HEX),
	N("start", def_thread.start, EVENT_U64, SHOW_NUMBER),
	N("end", def_thread.end, EVENT_U64, SHOW_NUMBER),
	N("name", def_thread.name, EVENT_STRING, SHOW_NUMBER),
	N("labels", def_thread.labels, EVENT_STRING, SHOW_NUMBER),
	N("state", def_thread.state, EVENT_U32, SHOW_STATE),
	N("call", def_thread.call, EVENT_U32, SHOW_CALL),
	N("since", def_thread.since, EVENT_U64, SHOW_NUMBER),
	N("obj", def_thread.obj, EVENT_U64, SHOW_HEX),
	N("fd", def_thread.fd, EVENT_S32, SHOW_NUMBER),
	N("holder", def_thread.holder, EVENT_U32, SHOW_NUMBER),
	N("task", def_thread.task, EVENT_U64, SHOW_NUMBER),
	M("cpu", def_thread.cpu, EVENT_S64, SHOW_NUMBER),
	M("delay", def_thread.delay, EVENT_S64, SHOW_NUMBER),
	M("slices", def_thread.slices, EVENT_S64, SHOW_NUMBER),
	M("voluntary", def_thread.voluntary, EVENT_S64, SHOW_NUMBER),
	M("involuntary", def_thread.involuntary, EVENT_S64, SHOW_NUMBER),
};
static const struct event_field def_counter_fields[] = {
	N("name", def_counter.name, EVENT_STRING, SHOW_NUMBER),
	N("value", def_counter.value, EVENT_U64, SHOW_NUMBER),
};
static const struct event_field def_call_total_fields[] = {
	N("call", def_call_total.call, EVENT_U32, SHOW_CALL),
	N("n", def_call_total.n, EVENT_U64, SHOW_NUMBER),
	N("n_short", def_call_total.n_short, EVENT_U64, SHOW_NUMBER),
	N("dur", def_call_total.dur, EVENT_U64, SHOW_NUMBER),
	N("short", def_call_total.short_ns, EVENT_U64, SHOW_NUMBER),
	N("bytes", def_call_total.bytes, EVENT_U64, SHOW_NUMBER),
};
static const struct event_field def_fd_fields[] = {
	N("fd", def_fd.fd, EVENT_S32, SHOW_NUMBER),
	N("target", def_fd.target, EVENT_STRING, SHOW_NUMBER),
};
static const struct event_field def_live_fields[] = {
	N("addr", def_live.addr, EVENT_U64, SHOW_HEX),
	N("size", def_live.size, EVENT_U64, SHOW_NUMBER),
	N("time", def_live.time, EVENT_U64, SHOW_NUMBER),
};
static const struct event_field def_stack_fields[] = {
	N("id", def_stack.id, EVENT_U32, SHOW_NUMBER),
	N("flags", def_stack.flags, EVENT_U32, SHOW_NUMBER),
	N("frames", def_stack.frames, EVENT_FRAMES, SHOW_HEX),
};
static const struct event_field def_symbol_fields[] = {
	N("addr", def_symbol.addr, EVENT_U64, SHOW_HEX),
	N("depth", def_symbol.depth, EVENT_U32, SHOW_NUMBER),
	N("func", def_symbol.func, EVENT_STRING, SHOW_NUMBER),
	N("system_name", def_symbol.system_name, EVENT_STRING, SHOW_NUMBER),
	N("file", def_symbol.file, EVENT_STRING, SHOW_NUMBER),
	N("line", def_symbol.line, EVENT_U32, SHOW_NUMBER),
	N("func_line", def_symbol.func_line, EVENT_U32, SHOW_NUMBER),
};
static const struct event_field def_crash_fields[] = {
	N("signal", def_crash.signal, EVENT_U32, SHOW_NUMBER),
	N("code", def_crash.code, EVENT_S32, SHOW_NUMBER),
	N("addr", def_crash.addr, EVENT_U64, SHOW_HEX),
	N("pc", def_crash.pc, EVENT_U64, SHOW_HEX),
	N("sp", def_crash.sp, EVENT_U64, SHOW_HEX),
	N("sender_pid", def_crash.sender_pid, EVENT_U32, SHOW_NUMBER),
	N("sender_uid", def_crash.sender_uid, EVENT_U32, SHOW_NUMBER),
	N("is_overflow", def_crash.is_overflow, EVENT_U32, SHOW_NUMBER),
	N("registers", def_crash.registers, EVENT_STRING, SHOW_NUMBER),
	N("code_bytes", def_crash.code_bytes, EVENT_STRING, SHOW_NUMBER),
	N("stack_bytes", def_crash.stack_bytes, EVENT_STRING, SHOW_NUMBER),
};
static const struct event_field def_trigger_fields[] = {
	N("kind", def_trigger.kind, EVENT_STRING, SHOW_NUMBER),
	N("reason", def_trigger.reason, EVENT_STRING, SHOW_NUMBER),
	N("value", def_trigger.value, EVENT_U64, SHOW_NUMBER),
	N("limit", def_trigger.limit, EVENT_U64, SHOW_NUMBER),
	N("obj", def_trigger.obj, EVENT_U64, SHOW_HEX),
	N("call", def_trigger.call, EVENT_U32, SHOW_NUMBER),
};

#define E(name, fields) { name, fields, G_N_ELEMENTS(fields) }

const struct event_info event_infos[EVENT_N] = {
	[EVENT_WAIT] = E("flightrec_lock:wait", wait_fields),
	/* The same members as path, which stands last, without it. */
	[EVENT_CALL] = { "flightrec_syscall:call", path_fields, G_N_ELEMENTS(path_fields) - 1 },
	[EVENT_PATH] = E("flightrec_syscall:path", path_fields),
	[EVENT_SAMPLE] = E("flightrec_alloc:sample", sample_fields),
	[EVENT_FREE] = E("flightrec_alloc:free", free_fields),
	[EVENT_START] = E("flightrec_thread:start", start_fields),
	[EVENT_EXIT] = E("flightrec_thread:exit", exit_fields),
	[EVENT_NAME] = E("flightrec_thread:name", name_fields),
	[EVENT_PROCESS] = E("flightrec_thread:process", process_fields),
	[EVENT_TASK_BEGIN] = E("flightrec_user:task_begin", task_begin_fields),
	[EVENT_TASK_END] = E("flightrec_user:task_end", task_end_fields),
	[EVENT_REGION_BEGIN] = E("flightrec_user:region_begin", region_begin_fields),
	[EVENT_REGION_END] = E("flightrec_user:region_end", region_end_fields),
	[EVENT_LOG] = E("flightrec_user:log", log_fields),
	[EVENT_COUNTER] = E("flightrec_user:counter", counter_fields),
	[EVENT_LABEL] = E("flightrec_user:label", label_fields),
	[EVENT_WOKEN] = E("flightrec_sched:woken", woken_fields),
	[EVENT_DELAY] = E("flightrec_sched:delay", delay_fields),
	[EVENT_CPU] = E("flightrec_cpu:sample", cpu_fields),
	/* As switch_out, without the last field. */
	[EVENT_SWITCH_IN] = { "flightrec_kernel:switch_in", switch_fields,
		G_N_ELEMENTS(switch_fields) - 1 },
	[EVENT_SWITCH_OUT] = E("flightrec_kernel:switch_out", switch_fields),
	[EVENT_WAKEUP] = E("flightrec_kernel:wakeup", wakeup_fields),
	[EVENT_DEF_ENV] = E("flightrec_state:env", pair_fields),
	[EVENT_DEF_RECEIPT] = E("flightrec_state:receipt", pair_fields),
	[EVENT_DEF_PROCESS] = E("flightrec_state:process", def_process_fields),
	[EVENT_DEF_MODULE] = E("flightrec_state:module", def_module_fields),
	[EVENT_DEF_THREAD] = E("flightrec_state:thread", def_thread_fields),
	[EVENT_DEF_COUNTER] = E("flightrec_state:counter", def_counter_fields),
	[EVENT_DEF_CALL_TOTAL] = E("flightrec_state:call_total", def_call_total_fields),
	[EVENT_DEF_FD] = E("flightrec_state:fd", def_fd_fields),
	[EVENT_DEF_LIVE] = E("flightrec_state:live", def_live_fields),
	[EVENT_DEF_STACK] = E("flightrec_state:stack", def_stack_fields),
	[EVENT_DEF_SYMBOL] = E("flightrec_state:symbol", def_symbol_fields),
	[EVENT_DEF_CRASH] = E("flightrec_state:crash", def_crash_fields),
	[EVENT_DEF_TRIGGER] = E("flightrec_state:trigger", def_trigger_fields),
};

static const char *const lock_names[] = {
#define FR_X(id, name, state) name,
	FR_LOCK_TABLE(FR_X)
#undef FR_X
};
static const uint8_t lock_states[] = {
#define FR_X(id, name, state) state,
	FR_LOCK_TABLE(FR_X)
#undef FR_X
};
static const char *const alloc_names[] = {
#define FR_X(id, name) name,
	FR_ALLOC_TABLE(FR_X)
#undef FR_X
};
static const char *const state_names[] = {
#define FR_X(id, name) name,
	FR_STATE_TABLE(FR_X)
#undef FR_X
};
static const struct {
	const char *name;
	uint8_t class, state;
} calls[] = {
#define FR_X(name, class, state) { #name, class, state },
	FR_CALL_TABLE(FR_X)
#undef FR_X
};

static const uint8_t byte_calls[FR_CALL_N] = {
	[FR_CALL_read] = 1, [FR_CALL_write] = 1, [FR_CALL_pread64] = 1, [FR_CALL_pwrite64] = 1,
	[FR_CALL_readv] = 1, [FR_CALL_writev] = 1, [FR_CALL_preadv] = 1, [FR_CALL_pwritev] = 1,
	[FR_CALL_preadv2] = 1, [FR_CALL_pwritev2] = 1, [FR_CALL_sendfile] = 1, [FR_CALL_splice] = 1,
	[FR_CALL_tee] = 1, [FR_CALL_vmsplice] = 1, [FR_CALL_copy_file_range] = 1,
	[FR_CALL_send] = 1, [FR_CALL_sendto] = 1, [FR_CALL_sendmsg] = 1, [FR_CALL_recv] = 1,
	[FR_CALL_recvfrom] = 1, [FR_CALL_recvmsg] = 1, [FR_CALL_getrandom] = 1,
};
/* clang-format on */

enum event_kind event_kind_of(const char *name)
{
	for (int i = 0; name && i < EVENT_N; i++)
		if (strcmp(event_infos[i].name, name) == 0)
			return i;
	return EVENT_N;
}

const char *event_enum_name(enum event_show show, uint64_t value)
{
	switch (show) {
	case SHOW_LOCK:
		return value < FR_LOCK_N ? lock_names[value] : NULL;
	case SHOW_ALLOC:
		return value < FR_ALLOC_N ? alloc_names[value] : NULL;
	case SHOW_CALL:
		return value < FR_CALL_N ? calls[value].name : NULL;
	case SHOW_STATE:
		return value < FR_STATE_N ? state_names[value] : NULL;
	default:
		return NULL;
	}
}

const char *event_call_name(uint32_t call)
{
	return call < FR_CALL_N ? calls[call].name : "unknown call";
}

const char *event_state_name(uint32_t state)
{
	return state < FR_STATE_N ? state_names[state] : "unknown state";
}

const char *event_lock_name(uint32_t lock)
{
	return lock < FR_LOCK_N ? lock_names[lock] : "unknown lock";
}

uint32_t event_call_state(uint32_t call)
{
	return call < FR_CALL_N ? calls[call].state : FR_STATE_SYSCALL;
}

uint32_t event_lock_state(uint32_t lock)
{
	return lock < FR_LOCK_N ? lock_states[lock] : FR_STATE_MUTEX;
}

uint32_t event_call_class(uint32_t call)
{
	return call < FR_CALL_N ? calls[call].class : FR_CALL_OTHER;
}

int event_call_moves_bytes(uint32_t call)
{
	return call < FR_CALL_N && byte_calls[call];
}
