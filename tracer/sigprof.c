/* SPDX-License-Identifier: MIT */
/*
 * Our handler, once installed, stays when no timer runs any more: a tick that is still under way would kill a program
 * whose disposition is the default one.
 */
#include "tracer/sigprof.h"

#include <errno.h>
#include <stddef.h>

#include "tracer/internal.h"
#include "tracer/sampler.h"
#include "tracer/sys.h"

#define BIT(signal) (1ull << ((signal)-1))
#define MASK_SIZE sizeof(uint64_t)

static uint32_t is_given_up;
static uint32_t n_execs;  /* threads that replace the image */
static uint32_t n_sends;  /* signals that are being sent */
static uint32_t n_spawns; /* spawns that need the program's own disposition */

/* As the kernel has it. */
struct kernel_action {
	uintptr_t handler;
	unsigned long flags;
	uintptr_t restorer;
	uint64_t mask;
};

static void leave(void)
{
	sampler_off();
	fr_blackbox->cpu_refusal = FR_CPU_SIGPROF_TAKEN;
}

struct disposition sigprof_disposition = {
	.signal = SIGPROF,
	.flags = SA_RESTART | SA_ONSTACK,
	.is_for_ignored = 1,
	.is_sent_by_us = 1,
	.handler = sampler_on_signal,
	.on_leave = leave,
};

static int is_installed(void)
{
	return __atomic_load_n(&sigprof_disposition.is_installed, __ATOMIC_ACQUIRE) != 0;
}

int sigprof_take(uint32_t *word, uint32_t value)
{
	uint64_t mask = disposition_lock();
	int ret = -EBUSY;

	if (!__atomic_load_n(&is_given_up, __ATOMIC_RELAXED))
		ret = disposition_install(&sigprof_disposition);
	if (ret == 0 && word)
		__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	disposition_unlock(mask);
	return ret;
}

void sigprof_yield(void)
{
	if (is_installed() && !fr_self.in_vfork)
		disposition_yield(&sigprof_disposition);
}

void sigprof_give_up(void)
{
	__atomic_store_n(&is_given_up, 1, __ATOMIC_SEQ_CST);
	sigprof_yield();
}

void sigprof_foreign(int number)
{
	struct kernel_action standard = { .handler = (uintptr_t)SIG_DFL };

	if (sigprof_disposition.seen.sa_handler != SIG_DFL)
		return;
	/* It ends the program, as it does without us: once more, and now nobody is in the way. */
	sys(SYS_rt_sigaction, number, &standard, NULL, MASK_SIZE);
	sys(SYS_tgkill, sys(SYS_getpid), sys(SYS_gettid), number);
}

/* Takes our signals off the calling thread, which has SIGPROF blocked; those of others go back. Was there one? */
static int drain(void)
{
	const struct timespec now = { 0, 0 };
	const uint64_t only = BIT(SIGPROF);
	siginfo_t info, other;
	int has_other = 0, n;
	uint32_t value;

	for (n = 0; n < 4 && sys(SYS_rt_sigtimedwait, &only, &info, &now, MASK_SIZE) > 0; n++) {
		if (sampler_is_ours(&info, &value))
			continue;
		other = info;
		has_other = 1;
	}
	if (has_other &&
		sys(SYS_rt_tgsigqueueinfo, sys(SYS_getpid), sys(SYS_gettid), SIGPROF, &other) < 0)
		sys(SYS_tgkill, sys(SYS_getpid), sys(SYS_gettid), SIGPROF);
	return has_other;
}

int sigprof_is_pending(void)
{
	return drain();
}

void sigprof_before_exec(struct sigprof_exec *exec)
{
	struct timespec moment = { 0, 50000 };
	const uint64_t only = BIT(SIGPROF);
	struct fr_thread *t = &fr_self;
	uint64_t mask;
	int n;

	*exec = (struct sigprof_exec){ 0 };
	if (!is_installed())
		return;
	if (!t->in_vfork && fr_on && t->private && fr_blackbox->pid == (uint32_t)sys(SYS_getpid)) {
		exec->is_held = 1;
		/* Either the sender sees this, or we see that it is sending: see sigprof_send_begin(). */
		__atomic_fetch_add(&n_execs, 1, __ATOMIC_SEQ_CST);
		for (n = 0; n < 2000 && __atomic_load_n(&n_sends, __ATOMIC_SEQ_CST); n++)
			sys(SYS_nanosleep, &moment, NULL);
		sys(SYS_rt_sigprocmask, SIG_BLOCK, &only, &mask, MASK_SIZE);
		sampler_detach(t);
		drain();
		sys(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, MASK_SIZE);
	}
	if (sigprof_disposition.seen.sa_handler == SIG_IGN) {
		exec->was_hidden = 1;
		disposition_show_ignored(&sigprof_disposition, 1);
	}
}

void sigprof_exec_failed(const struct sigprof_exec *exec)
{
	if (exec->was_hidden)
		disposition_show_ignored(&sigprof_disposition, 0);
	if (exec->is_held) {
		__atomic_fetch_sub(&n_execs, 1, __ATOMIC_SEQ_CST);
		sampler_attach(&fr_self);
	}
}

int sigprof_before_spawn(void)
{
	if (!is_installed() || sigprof_disposition.seen.sa_handler != SIG_IGN)
		return 0;
	if (__atomic_fetch_add(&n_spawns, 1, __ATOMIC_SEQ_CST) == 0)
		disposition_show_ignored(&sigprof_disposition, 1);
	return 1;
}

void sigprof_after_spawn(void)
{
	if (__atomic_sub_fetch(&n_spawns, 1, __ATOMIC_SEQ_CST) == 0)
		disposition_show_ignored(&sigprof_disposition, 0);
}

int sigprof_send_begin(void)
{
	__atomic_fetch_add(&n_sends, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&n_execs, __ATOMIC_SEQ_CST))
		return 1;
	sigprof_send_end();
	return 0;
}

void sigprof_send_end(void)
{
	__atomic_fetch_sub(&n_sends, 1, __ATOMIC_SEQ_CST);
}

void sigprof_after_fork(void)
{
	n_execs = n_sends = n_spawns = 0;
	disposition_after_fork(&sigprof_disposition);
}
