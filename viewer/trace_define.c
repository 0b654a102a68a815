/* SPDX-License-Identifier: MIT */
/* Definitions of a state trace, put into the tables of a trace as they come; trace_defined() joins them. */
#include "viewer/trace.h"

static void define_process(struct trace *trace, const struct event *event)
{
	struct process *process = trace_process(trace, trace_find_process(trace, event->proc));

	process->is_defined = 1;
	process->pid = event->def_process.pid;
	process->ppid = event->def_process.ppid;
	process->parent_proc = event->def_process.parent_proc;
	process->uid = event->def_process.uid;
	process->start_ns = event->def_process.start;
	process->end_ns = event->def_process.end;
	process->state = event->def_process.state;
	process->exit_kind = event->def_process.exit_kind;
	process->exit_code = event->def_process.exit_code;
	process->signal = event->def_process.signal;
	process->is_oom = event->def_process.is_oom != 0;
	process->exe = strings_add(trace->strings, event->def_process.exe);
	process->command = strings_add(trace->strings, event->def_process.command);
}

static void define_thread(struct trace *trace, const struct event *event)
{
	struct thread thread = {
		.start_ns = event->def_thread.start,
		.end_ns = event->def_thread.end,
		.start_routine = event->def_thread.start_routine,
		.since_ns = event->def_thread.since,
		.obj = event->def_thread.obj,
		.task = event->def_thread.task,
		.cpu_ns = event->def_thread.cpu,
		.delay_ns = event->def_thread.delay,
		.n_slices = event->def_thread.slices,
		.n_voluntary = event->def_thread.voluntary,
		.n_involuntary = event->def_thread.involuntary,
		.process = trace_find_process(trace, event->proc),
		.tid = event->tid,
		.creator = event->def_thread.creator,
		.name = strings_add(trace->strings, event->def_thread.name),
		.labels = strings_add(trace->strings, event->def_thread.labels),
		.state = event->def_thread.state,
		.call = event->def_thread.call,
		.holder = event->def_thread.holder,
		.fd = event->def_thread.fd,
		/* Ids until trace_defined(), when the stacks are all known. */
		.stack = event->stack,
		.creator_stack = event->def_thread.creator_stack,
		.is_defined = 1,
	};

	trace_add_thread(trace, thread);
}

static void add_pair(struct trace *trace, GArray *pairs, const struct event *event)
{
	struct pair pair = {
		strings_add(trace->strings, event->pair.key),
		strings_add(trace->strings, event->pair.value),
	};

	g_array_append_val(pairs, pair);
}

static void define_call_total(struct trace *trace, const struct event *event)
{
	struct call_total total = {
		.n = event->def_call_total.n,
		.n_short = event->def_call_total.n_short,
		.dur_ns = event->def_call_total.dur,
		.short_ns = event->def_call_total.short_ns,
		.bytes = event->def_call_total.bytes,
		.process = trace_find_process(trace, event->proc),
		.call = event->def_call_total.call,
	};

	g_array_append_val(trace->totals, total);
}

static void define_crash(struct trace *trace, const struct event *event)
{
	struct crash crash = {
		.time_ns = event->time_ns,
		.addr = event->def_crash.addr,
		.pc = event->def_crash.pc,
		.sp = event->def_crash.sp,
		.process = trace_find_process(trace, event->proc),
		.tid = event->tid,
		.stack = event->stack,
		.signal = event->def_crash.signal,
		.sender_pid = event->def_crash.sender_pid,
		.sender_uid = event->def_crash.sender_uid,
		.code = event->def_crash.code,
		.is_overflow = event->def_crash.is_overflow != 0,
		.registers = strings_add(trace->strings, event->def_crash.registers),
		.code_bytes = strings_add(trace->strings, event->def_crash.code_bytes),
		.stack_bytes = strings_add(trace->strings, event->def_crash.stack_bytes),
	};

	g_array_append_val(trace->crashes, crash);
}

static void define_trigger(struct trace *trace, const struct event *event)
{
	struct trigger trigger = {
		.time_ns = event->time_ns,
		.value = event->def_trigger.value,
		.limit = event->def_trigger.limit,
		.obj = event->def_trigger.obj,
		.process = trace_find_process(trace, event->proc),
		.tid = event->tid,
		.stack = event->stack,
		.call = event->def_trigger.call,
		.kind = strings_add(trace->strings, event->def_trigger.kind),
		.reason = strings_add(trace->strings, event->def_trigger.reason),
	};

	g_array_append_val(trace->triggers, trigger);
}

void trace_define(struct trace *trace, const struct event *event)
{
	switch (event->kind) {
	case EVENT_DEF_ENV:
		add_pair(trace, trace->env, event);
		break;
	case EVENT_DEF_RECEIPT:
		add_pair(trace, trace->receipt, event);
		break;
	case EVENT_DEF_PROCESS:
		define_process(trace, event);
		break;
	case EVENT_DEF_MODULE:
		stacks_add_module(&trace->stacks, event);
		break;
	case EVENT_DEF_THREAD:
		define_thread(trace, event);
		break;
	case EVENT_DEF_CALL_TOTAL:
		define_call_total(trace, event);
		break;
	case EVENT_DEF_COUNTER: {
		struct counter counter = { event->def_counter.value,
			trace_find_process(trace, event->proc),
			strings_add(trace->strings, event->def_counter.name) };
		g_array_append_val(trace->counters, counter);
		if (g_str_equal(event->def_counter.name, "live_overflow"))
			trace_process(trace, counter.process)->n_live_overflow =
				(uint32_t)MIN(counter.value, UINT32_MAX);
		break;
	}
	case EVENT_DEF_FD:
		idmap_set(&trace->fds, event->proc, (uint32_t)event->def_fd.fd,
			strings_add(trace->strings, event->def_fd.target));
		break;
	case EVENT_DEF_LIVE: {
		struct live live = { event->def_live.addr, event->def_live.size,
			event->def_live.time, trace_find_process(trace, event->proc), event->stack,
			event->tid };
		g_array_append_val(trace->lives, live);
		break;
	}
	case EVENT_DEF_STACK:
		stacks_add_stack(&trace->stacks, event);
		break;
	case EVENT_DEF_SYMBOL:
		stacks_add_symbol(&trace->stacks, event);
		break;
	case EVENT_DEF_CRASH:
		define_crash(trace, event);
		break;
	case EVENT_DEF_TRIGGER:
		define_trigger(trace, event);
		break;
	default:
		break;
	}
}
