/* SPDX-License-Identifier: MIT */
/*
 * clone(): a child with memory of its own is a fork, and treated so. One that shares the memory of its parent but has no
 * thread block of its own (no CLONE_SETTLS) has its parent's, two tasks with one guard and one slot: it must not be
 * traced. When the parent waits for it (CLONE_VFORK) that is as in vfork.S; else the parent is not traced
 * any more either, since nobody says when the child ends. With CLONE_SETTLS it is a thread of the program's own making:
 * it attaches at its first hook.
 */
#include <sched.h>
#include <stdarg.h>

#include "tracer/census.h"
#include "tracer/fork.h"
#include "tracer/internal.h"
#include "tracer/process.h"
#include "tracer/sys.h"

/* What the child begins with; in its parent's frame, of which it has a copy. */
struct clone_start {
	int (*routine)(void *);
	void *argument;
	struct fork_state state;
	int is_raw;
};

static int clone_run(void *argument)
{
	struct clone_start *start = argument;
	int status;

	if (start->is_raw)
		process_is_raw_child();
	else
		fork_after(&start->state, 1);
	status = start->routine(start->argument);
	/* libc ends the thread, not the process: liblttng-ust's would stay behind. */
	if (!start->is_raw && census_is_alone()) {
		process_end(FR_EXIT_DIRECT, status);
		sys(SYS_exit_group, status);
	}
	return status;
}

FR_REAL(clone)
FR_EXPORT int clone(int (*routine)(void *), void *stack, int flags, void *argument, ...)
{
	struct clone_start start = { .routine = routine, .argument = argument };
	struct fr_thread *t = &fr_self;
	pid_t *parent_tid, *child_tid;
	va_list list;
	void *tls;
	int pid;

	va_start(list, argument);
	parent_tid = va_arg(list, pid_t *);
	tls = va_arg(list, void *);
	child_tid = va_arg(list, pid_t *);
	va_end(list);
	if (!process_is_ready() || flags & (CLONE_THREAD | CLONE_SETTLS) || !routine || !stack)
		return REAL(clone)(routine, stack, flags, argument, parent_tid, tls, child_tid);
	if (flags & CLONE_VM) {
		uint8_t in_vfork = t->in_vfork;

		if (flags & CLONE_VFORK)
			t->in_vfork = 1;
		else
			t->stage = FR_STAGE_OFF;
		if (fr_on)
			fr_count(forks_raw, 1);
		pid = REAL(clone)(routine, stack, flags, argument, parent_tid, tls, child_tid);
		t->in_vfork = in_vfork;
		return pid;
	}
	/* Descriptors shared with the parent: liblttng-ust, starting anew, would close those of its own. */
	start.is_raw = (flags & CLONE_FILES) != 0;
	if (!start.is_raw)
		fork_before(&start.state);
	pid = REAL(clone)(clone_run, stack, flags, &start, parent_tid, tls, child_tid);
	if (!start.is_raw)
		fork_after(&start.state, 0);
	return pid;
}
