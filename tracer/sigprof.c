/* SPDX-License-Identifier: MIT */
/*
 * `seen` is what the program has set, as long as our handler stands in its place. A lock guards the change from one to
 * the other; its holder has all signals blocked, so that no handler of its own thread can want it.
 *
 * Our handler, once installed, stays when no timer runs any more: a tick that is still under way would kill a program
 * whose disposition is the default one.
 */
#include "tracer/sigprof.h"

#include <errno.h>
#include <stddef.h>

#include "tracer/internal.h"
#include "tracer/sampler.h"
#include "tracer/sys.h"

#define ALL_SIGNALS (~0ull)
#define BIT(signal) (1ull << ((signal)-1))
#define MASK_SIZE sizeof(uint64_t)
#define KERNEL_SA_RESTORER 0x04000000ul

static uint32_t is_locked;
static uint32_t is_given_up;
static uint32_t
	is_installed; /* our handler is there, as far as we know. Atomic; written under the lock */
static struct sigaction seen; /* valid while is_installed */
static uintptr_t trampoline;  /* of libc's handlers; 0: not known */
static uint32_t n_execs;      /* threads that replace the image */
static uint32_t n_sends;      /* signals that are being sent */
static uint32_t n_spawns;     /* spawns that need the program's own disposition */

FR_REAL(sigaction)

/* As the kernel has it. */
struct kernel_action {
	uintptr_t handler;
	unsigned long flags;
	uintptr_t restorer;
	uint64_t mask;
};

static uint64_t lock(void)
{
	struct timespec moment = { 0, 50000 };
	const uint64_t all = ALL_SIGNALS;
	uint64_t mask = 0;

	sys(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, MASK_SIZE);
	/* Acquire: pairs with the release below. */
	while (__atomic_exchange_n(&is_locked, 1, __ATOMIC_ACQUIRE))
		sys(SYS_nanosleep, &moment, NULL);
	return mask;
}

static void unlock(uint64_t mask)
{
	__atomic_store_n(&is_locked, 0, __ATOMIC_RELEASE);
	sys(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, MASK_SIZE);
}

static int is_ours(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == sampler_on_signal;
}

/* Default, or ignored: no code of the program's. */
static int is_passive(const struct sigaction *action)
{
	return action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN;
}

static int install(void)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK };
	struct kernel_action kernel = { 0 };

	action.sa_sigaction = sampler_on_signal;
	sigfillset(&action.sa_mask);
	if (REAL(sigaction)(SIGPROF, &action, NULL) != 0)
		return -errno;
	if (sys(SYS_rt_sigaction, SIGPROF, NULL, &kernel, MASK_SIZE) == 0 &&
		(kernel.flags & KERNEL_SA_RESTORER))
		trampoline = kernel.restorer;
	__atomic_store_n(&is_installed, 1, __ATOMIC_RELEASE);
	return 0;
}

/* The kernel gets the program's disposition back. To ignore the signal for a moment drops what is pending on any thread. */
static void uninstall(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sampler_off();
	REAL(sigaction)(SIGPROF, &ignore, NULL);
	REAL(sigaction)(SIGPROF, &seen, NULL);
	__atomic_store_n(&is_installed, 0, __ATOMIC_RELEASE);
}

int sigprof_take(uint32_t *word, uint32_t value)
{
	uint64_t mask = lock();
	struct sigaction now = { 0 };
	int ret = -EBUSY, saved_errno = errno;

	if (__atomic_load_n(&is_given_up, __ATOMIC_RELAXED) ||
		REAL(sigaction)(SIGPROF, NULL, &now) != 0)
		goto out;
	if (!is_ours(&now)) {
		/* A program that calls the kernel itself may have put another one over ours. */
		if (is_installed)
			sampler_off();
		is_installed = 0;
		if (!is_passive(&now))
			goto out;
		seen = now;
		if (install() != 0)
			goto out;
	}
	if (word)
		__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	ret = 0;
out:
	errno = saved_errno;
	unlock(mask);
	return ret;
}

void sigprof_yield(void)
{
	int saved_errno = errno;
	uint64_t mask;

	if (!__atomic_load_n(&is_installed, __ATOMIC_ACQUIRE) || fr_self.in_vfork)
		return;
	mask = lock();
	if (is_installed) {
		uninstall();
		fr_blackbox->cpu_refusal = FR_CPU_SIGPROF_TAKEN;
	}
	unlock(mask);
	errno = saved_errno;
}

void sigprof_give_up(void)
{
	__atomic_store_n(&is_given_up, 1, __ATOMIC_SEQ_CST);
	sigprof_yield();
}

/* In a vfork child: its own table of handlers, on the parent's memory. Only what it is told needs care. */
static int action_in_child(const struct sigaction *action, struct sigaction *old)
{
	struct sigaction now = { 0 };
	int ret = REAL(sigaction)(SIGPROF, action, &now);

	if (ret == 0 && old)
		*old = is_ours(&now) ? seen : now;
	return ret;
}

/* As the kernel would remember it, had libc told it. */
static void see(const struct sigaction *action)
{
	seen = *action;
#ifdef __x86_64__
	seen.sa_flags |= (int)KERNEL_SA_RESTORER;
	seen.sa_restorer = (void (*)(void))trampoline;
#endif
}

int sigprof_action(const struct sigaction *action, struct sigaction *old)
{
	struct sigaction was;
	uint64_t mask;
	int ret = 0;

	if (fr_self.in_vfork)
		return action_in_child(action, old);
	/* Also when ours is not there: it may be about to be. */
	mask = lock();
	was = seen;
	if (!is_installed) {
		ret = REAL(sigaction)(SIGPROF, action, old);
	} else {
		if (action && is_passive(action)) {
			see(action);
		} else if (action) {
			uninstall();
			fr_blackbox->cpu_refusal = FR_CPU_SIGPROF_TAKEN;
			ret = REAL(sigaction)(SIGPROF, action, NULL);
		}
		if (ret == 0 && old)
			*old = was;
	}
	unlock(mask);
	return ret;
}

sigprof_handler sigprof_signal(
	sigprof_handler (*real)(int, sigprof_handler), sigprof_handler handler, int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	sigprof_handler was;
	uint64_t mask;

	if (fr_self.in_vfork)
		/* cppcheck-suppress CastIntegerToAddressAtReturn; it is no integer */
		return real(SIGPROF, handler);
	mask = lock();
	was = seen.sa_handler;
	if (is_installed && (handler == SIG_DFL || handler == SIG_IGN)) {
		if (flags & SA_RESTART)
			sigaddset(&action.sa_mask, SIGPROF);
		see(&action);
	} else {
		if (is_installed) {
			uninstall();
			fr_blackbox->cpu_refusal = FR_CPU_SIGPROF_TAKEN;
		}
		if (!flags) {
			/* sigset() looks at the mask and changes it, and under the lock all is blocked. */
			unlock(mask);
			/* cppcheck-suppress CastIntegerToAddressAtReturn; it is no integer */
			return real(SIGPROF, handler);
		}
		was = real(SIGPROF, handler);
	}
	unlock(mask);
	return was;
}

void sigprof_foreign(int number)
{
	struct kernel_action standard = { .handler = (uintptr_t)SIG_DFL };

	if (seen.sa_handler != SIG_DFL)
		return;
	/* It ends the program, as it does without us: once more, and now nobody is in the way. */
	sys(SYS_rt_sigaction, number, &standard, NULL, MASK_SIZE);
	sys(SYS_tgkill, sys(SYS_getpid), sys(SYS_gettid), number);
}

int sigprof_is_trampoline(uintptr_t frame)
{
	/* unwind_walk() writes a trampoline as pc + 1. */
	return trampoline && frame == trampoline + 1;
}

/* The kernel learns that SIGPROF is ignored, or has our handler again. Without the lock: a vfork child comes here, too. */
static void show_ignored(int is_shown)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	int saved_errno = errno;

	if (is_shown)
		REAL(sigaction)(SIGPROF, &ignore, NULL);
	else
		install();
	errno = saved_errno;
}

/* Takes our signals off the calling thread, which has SIGPROF blocked; those of others go back. */
static void drain(void)
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
}

void sigprof_before_exec(struct sigprof_exec *exec)
{
	struct timespec moment = { 0, 50000 };
	const uint64_t only = BIT(SIGPROF);
	struct fr_thread *t = &fr_self;
	uint64_t mask;
	int n;

	*exec = (struct sigprof_exec){ 0 };
	if (!__atomic_load_n(&is_installed, __ATOMIC_ACQUIRE))
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
	if (seen.sa_handler == SIG_IGN) {
		exec->was_hidden = 1;
		show_ignored(1);
	}
}

void sigprof_exec_failed(const struct sigprof_exec *exec)
{
	if (exec->was_hidden)
		show_ignored(0);
	if (exec->is_held) {
		__atomic_fetch_sub(&n_execs, 1, __ATOMIC_SEQ_CST);
		sampler_attach(&fr_self);
	}
}

int sigprof_before_spawn(void)
{
	if (!__atomic_load_n(&is_installed, __ATOMIC_ACQUIRE) || seen.sa_handler != SIG_IGN)
		return 0;
	if (__atomic_fetch_add(&n_spawns, 1, __ATOMIC_SEQ_CST) == 0)
		show_ignored(1);
	return 1;
}

void sigprof_after_spawn(void)
{
	if (__atomic_sub_fetch(&n_spawns, 1, __ATOMIC_SEQ_CST) == 0)
		show_ignored(0);
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
	struct sigaction now = { 0 };
	int saved_errno = errno;

	is_locked = n_execs = n_sends = n_spawns = 0;
	/* Another thread of the parent may have been in uninstall(). */
	if (is_installed && REAL(sigaction)(SIGPROF, NULL, &now) == 0 && !is_ours(&now)) {
		REAL(sigaction)(SIGPROF, &seen, NULL);
		is_installed = 0;
	}
	errno = saved_errno;
}
