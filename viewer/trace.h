/* SPDX-License-Identifier: MIT */
/*
 * A whole trace: what its state trace defines (processes, threads, modules, stacks, totals), read when it is
 * opened, and its events, handed in time order to any number of passes. Every analysis is a pass with its
 * own tables, keyed by the ids here. Memory grows with distinct things, not with events.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "viewer/event.h"
#include "viewer/idmap.h"
#include "viewer/source.h"
#include "viewer/stacks.h"
#include "viewer/strings.h"
#include "viewer/unpack.h"

#define THREAD_NONE UINT32_MAX

/* All times are CLOCK_MONOTONIC ns; all texts string ids. */
struct process {
	uint64_t start_ns, end_ns; /* end 0: alive at the end of the window */
	uint32_t proc, pid, ppid, parent_proc, uid;
	uint32_t state; /* enum fr_process_state */
	uint32_t exe, command;
	uint32_t exit_kind;	  /* enum fr_exit_kind */
	int32_t exit_code;	  /* of exit_kind */
	uint32_t signal;	  /* that killed it; 0: none, or unknown */
	int is_oom;		  /* killed because memory was short */
	uint32_t n_live_overflow; /* sampled objects whose free is not followed */
	int is_defined;		  /* 0: events name it, the state trace does not; pid 0 */
};

struct thread {
	uint64_t start_ns, end_ns; /* end 0: alive at the end of the window */
	uint64_t start_routine;
	uint64_t since_ns, obj, task; /* of `state`, at the end of the window */
	/* By the kernel, within the whole window; -1 unknown. */
	int64_t cpu_ns, delay_ns;	    /* delay: ready to run, but not running */
	int64_t n_slices;		    /* times it was put on a CPU */
	int64_t n_voluntary, n_involuntary; /* switches */
	uint32_t process;		    /* index */
	uint32_t tid, creator;		    /* kernel ids; creator 0: none */
	uint32_t name, labels;
	uint32_t state, call, holder;  /* at the end of the window */
	uint32_t stack, creator_stack; /* indices */
	int32_t fd;
	uint32_t next; /* later thread with the same tid in the same process; THREAD_NONE */
	int is_seen; /* it wrote an event; else, where not defined, only the kernel named it: our own threads */
	int is_defined, is_exited; /* is_exited: its exit event was seen */
};

struct call_total {
	uint64_t n, n_short, dur_ns, short_ns, bytes;
	uint32_t process, call;
};

struct live {
	uint64_t addr, size, time_ns;
	uint32_t process, stack; /* indices */
	uint32_t tid;
};

struct counter {
	uint64_t value;
	uint32_t process, name;
};

struct pair {
	uint32_t key, value;
};

/* A thread at the moment of the signal that killed its process. */
struct crash {
	uint64_t time_ns, addr, pc, sp;
	uint32_t process, stack; /* indices */
	uint32_t tid, signal, sender_pid, sender_uid;
	int32_t code;	 /* si_code */
	int is_overflow; /* of the stack */
	uint32_t registers, code_bytes, stack_bytes;
};

/* Why the trace was written without being asked for, or what would have been a reason. */
struct trigger {
	uint64_t time_ns, value, limit, obj;
	uint32_t process, stack; /* indices */
	uint32_t tid, call;
	uint32_t kind, reason;
};

struct trace {
	struct strings *strings; /* owned */
	struct stacks stacks;
	GArray *processes;	      /* struct process */
	GArray *threads;	      /* struct thread */
	GArray *totals;		      /* struct call_total */
	GArray *lives;		      /* struct live */
	GArray *counters;	      /* struct counter */
	GArray *env, *receipt;	      /* struct pair, in the order of the trace */
	GArray *crashes;	      /* struct crash */
	GArray *triggers;	      /* struct trigger */
	struct idmap by_proc;	      /* (proc, 0) → process */
	struct idmap by_tid;	      /* (proc, tid) → its first thread */
	struct idmap fds;	      /* (proc, fd) → string: target at the end of the window */
	uint64_t begin_ns, end_ns;    /* window; 0 while unknown */
	uint64_t first_ns, last_ns;   /* times of the first and last event; 0 before trace_run() */
	uint64_t n_events, n_outside; /* handed out; outside the window and left out */
	int is_narrowed;	      /* by trace_narrow() */
	uint64_t n_untraced;	      /* the kernel's records of processes that are not traced */
	struct unpacked files;
	struct source_report report;
	GPtrArray *notes; /* owned char *: what the reader has to say, one sentence each */
};

/* An event with what it refers to looked up. `begin_ns` and `dur_ns` are clipped to the window. */
struct trace_event {
	const struct event *event;
	uint32_t process, thread; /* indices */
	uint64_t begin_ns, dur_ns;
	int is_outside; /* of the window; only passes with is_unclipped see it */
};

/* An analysis. A result other than 0 from `event` ends the run early. */
struct trace_pass {
	int (*event)(void *self, struct trace *trace, const struct trace_event *event);
	void *self;
	int is_unclipped; /* wants the events outside the window too */
	uint64_t kinds;	  /* bits by enum event_kind: what it is called for; 0: everything */
};
#define TRACE_KIND(kind) (UINT64_C(1) << (kind))

/* Opens the file or folder `path` and reads its definitions. NULL with a one-sentence error. */
struct trace *trace_open(const char *path, uint64_t max_size, GError **error);

/* An empty trace, to be filled with trace_define(). For tests and for live data. */
struct trace *trace_new(void);
void trace_free(struct trace *trace);

/* Takes one definition (kinds from EVENT_FIRST_DEF on); others are ignored. */
void trace_define(struct trace *trace, const struct event *event);
/* Joins the definitions. Call once, after the last of them and before the first trace_feed(). */
void trace_defined(struct trace *trace);

/* Hands one event to the passes. Returns non-zero when a pass wants no more. */
int trace_feed(struct trace *trace, const struct event *event, const struct trace_pass *passes,
	size_t n_passes);

/* Reads every event of an opened trace through the passes. FALSE with a sentence when nothing can be read. */
gboolean trace_run(
	struct trace *trace, const struct trace_pass *passes, size_t n_passes, GError **error);

/* Value of `key` in the environment or receipt, or NULL. Borrowed from the trace. */
const char *trace_env(const struct trace *trace, const char *key);
const char *trace_receipt(const struct trace *trace, const char *key);

/* Index of process `proc`, and of a thread; made where the trace has none. For what fills a trace. */
uint32_t trace_find_process(struct trace *trace, uint32_t proc);
uint32_t trace_add_thread(struct trace *trace, struct thread thread);

/*
 * Narrows the window to what is seen of it from begin_ns to end_ns. What the trace says of the whole window (CPU times, totals of
 * calls) is forgotten. Between opening and running.
 */
void trace_narrow(struct trace *trace, uint64_t begin_ns, uint64_t end_ns);

/* Thread `tid` of process `process` (an index) at time_ns; THREAD_NONE when the trace has none. */
uint32_t trace_find_thread(
	const struct trace *trace, uint32_t process, uint32_t tid, uint64_t time_ns);

/* Name of a thread: its own, else that of its program; never empty. Of a program: basename of exe. */
const char *trace_thread_name(const struct trace *trace, uint32_t thread);
const char *trace_process_name(const struct trace *trace, uint32_t process);

static inline struct process *trace_process(const struct trace *trace, uint32_t index)
{
	return &g_array_index(trace->processes, struct process, index);
}

static inline struct thread *trace_thread(const struct trace *trace, uint32_t index)
{
	return &g_array_index(trace->threads, struct thread, index);
}

/* Whether the program's tracer knows the thread; not those of the tracer itself. */
static inline int trace_thread_is_traced(const struct trace *trace, uint32_t index)
{
	return trace_thread(trace, index)->is_defined || trace_thread(trace, index)->is_seen;
}

static inline uint32_t trace_stack(struct trace *trace, uint32_t process, uint32_t id)
{
	return stacks_find(&trace->stacks, trace_process(trace, process)->proc, id);
}
