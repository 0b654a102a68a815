/* SPDX-License-Identifier: MIT */
#include "tracer/disposition.h"

#include <errno.h>
#include <stddef.h>

#include "tracer/internal.h"
#include "tracer/sys.h"

#define ALL_SIGNALS (~0ull)
#define MASK_SIZE sizeof(uint64_t)
#define KERNEL_SA_RESTORER 0x04000000ul

static uint32_t locked_by;   /* the process whose thread has the lock; 0: nobody */
static uintptr_t trampoline; /* of libc's handlers; 0: not known */

FR_REAL(sigaction)

/* As the kernel has it. */
struct kernel_action {
	uintptr_t handler;
	unsigned long flags;
	uintptr_t restorer;
	uint64_t mask;
};

uint64_t disposition_lock(void)
{
	struct timespec moment = { 0, 50000 };
	const uint32_t own = (uint32_t)sys(SYS_getpid);
	const uint64_t all = ALL_SIGNALS;
	uint64_t mask = 0;

	sys(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask, MASK_SIZE);
	for (;;) {
		uint32_t holder = __atomic_load_n(&locked_by, __ATOMIC_RELAXED);

		/*
		 * One of the parent's had it at the fork: the program's own pthread_atfork() handlers come before ours. Acquire:
		 * pairs with the release below.
		 */
		if (holder != own && __atomic_compare_exchange_n(&locked_by, &holder, own, 0,
					     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return mask;
		sys(SYS_nanosleep, &moment, NULL);
	}
}

void disposition_unlock(uint64_t mask)
{
	__atomic_store_n(&locked_by, 0, __ATOMIC_RELEASE);
	sys(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, MASK_SIZE);
}

static int is_ours(const struct disposition *d, const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == d->handler;
}

/* May ours stand in place of it? No code of the program's. */
static int is_passive(const struct disposition *d, disposition_handler handler)
{
	return handler == SIG_DFL || (handler == SIG_IGN && d->is_for_ignored);
}

static int install(struct disposition *d)
{
	struct sigaction action = { .sa_flags = d->flags | SA_SIGINFO };
	struct kernel_action kernel = { 0 };

	action.sa_sigaction = d->handler;
	sigfillset(&action.sa_mask);
	if (d->is_nestable) {
		sigdelset(&action.sa_mask, SIGSEGV);
		sigdelset(&action.sa_mask, SIGBUS);
	}
	if (REAL(sigaction)(d->signal, &action, NULL) != 0)
		return -errno;
	if (!trampoline && sys(SYS_rt_sigaction, d->signal, NULL, &kernel, MASK_SIZE) == 0 &&
		(kernel.flags & KERNEL_SA_RESTORER))
		trampoline = kernel.restorer;
	__atomic_store_n(&d->is_installed, 1, __ATOMIC_RELEASE);
	return 0;
}

static void leave(struct disposition *d)
{
	if (d->on_leave)
		d->on_leave();
}

void disposition_uninstall(struct disposition *d)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	if (!d->is_installed)
		return;
	leave(d);
	/* To ignore the signal for a moment drops what is pending on any thread. */
	if (d->is_sent_by_us)
		REAL(sigaction)(d->signal, &ignore, NULL);
	REAL(sigaction)(d->signal, &d->seen, NULL);
	__atomic_store_n(&d->is_installed, 0, __ATOMIC_RELEASE);
}

int disposition_install(struct disposition *d)
{
	struct sigaction now = { 0 };
	int ret = -EBUSY, saved_errno = errno;

	if (REAL(sigaction)(d->signal, NULL, &now) != 0)
		goto out;
	if (!is_ours(d, &now)) {
		/* A program that calls the kernel itself may have put another one over ours. */
		if (d->is_installed)
			leave(d);
		d->is_installed = 0;
		if (!is_passive(d, now.sa_handler))
			goto out;
		d->seen = now;
		if (install(d) != 0)
			goto out;
	}
	ret = 0;
out:
	errno = saved_errno;
	return ret;
}

/* In a vfork child: its own table of handlers, on the parent's memory. Only what it is told needs care. */
static int action_in_child(
	const struct disposition *d, const struct sigaction *action, struct sigaction *old)
{
	struct sigaction now = { 0 };
	int ret = REAL(sigaction)(d->signal, action, &now);

	if (ret == 0 && old)
		*old = is_ours(d, &now) ? d->seen : now;
	return ret;
}

/* As the kernel would remember it, had libc told it. */
static void see(struct disposition *d, const struct sigaction *action)
{
	d->seen = *action;
#ifdef __x86_64__
	d->seen.sa_flags |= (int)KERNEL_SA_RESTORER;
	d->seen.sa_restorer = (void (*)(void))trampoline;
#endif
}

/* The program has set something itself: is it a moment for ours to come back? */
static void come_back(struct disposition *d, int is_given_back)
{
	if (is_given_back && d->is_wanted && !d->is_installed)
		disposition_install(d);
}

int disposition_action(struct disposition *d, const struct sigaction *action, struct sigaction *old)
{
	struct sigaction was;
	uint64_t mask;
	int ret = 0;

	if (fr_self.in_vfork)
		return action_in_child(d, action, old);
	/* Also when ours is not there: it may be about to be. */
	mask = disposition_lock();
	was = d->seen;
	if (!d->is_installed) {
		ret = REAL(sigaction)(d->signal, action, old);
		come_back(d, ret == 0 && action && is_passive(d, action->sa_handler));
	} else {
		if (action && is_passive(d, action->sa_handler)) {
			see(d, action);
		} else if (action) {
			disposition_uninstall(d);
			ret = REAL(sigaction)(d->signal, action, NULL);
		}
		if (ret == 0 && old)
			*old = was;
	}
	disposition_unlock(mask);
	return ret;
}

void disposition_yield(struct disposition *d)
{
	int saved_errno = errno;
	uint64_t mask = disposition_lock();

	disposition_uninstall(d);
	disposition_unlock(mask);
	errno = saved_errno;
}

void disposition_return(struct disposition *d)
{
	int saved_errno = errno;
	uint64_t mask = disposition_lock();

	come_back(d, 1);
	disposition_unlock(mask);
	errno = saved_errno;
}

/* sigset() looks at the mask and changes it, and under the lock all is blocked. */
static disposition_handler signal_unlocked(struct disposition *d,
	disposition_handler (*real)(int, disposition_handler), disposition_handler handler)
{
	disposition_handler was;

	disposition_yield(d);
	was = real(d->signal, handler);
	disposition_return(d);
	/* cppcheck-suppress CastIntegerToAddressAtReturn; it is no integer */
	return was;
}

disposition_handler disposition_signal(struct disposition *d,
	disposition_handler (*real)(int, disposition_handler), disposition_handler handler,
	int flags)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = flags };
	disposition_handler was;
	uint64_t mask;

	if (fr_self.in_vfork) {
		was = real(d->signal, handler);
		/* cppcheck-suppress CastIntegerToAddressAtReturn; it is no integer */
		return was == (disposition_handler)(void (*)(void))d->handler ? d->seen.sa_handler
									      : was;
	}
	mask = disposition_lock();
	was = d->seen.sa_handler;
	if (d->is_installed && flags && is_passive(d, handler)) {
		if (flags & SA_RESTART)
			sigaddset(&action.sa_mask, d->signal);
		see(d, &action);
	} else if (!flags) {
		disposition_unlock(mask);
		return signal_unlocked(d, real, handler);
	} else {
		disposition_uninstall(d);
		was = real(d->signal, handler);
		come_back(d, was != SIG_ERR && is_passive(d, handler));
	}
	disposition_unlock(mask);
	return was;
}

void disposition_show_ignored(struct disposition *d, int is_shown)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	int saved_errno = errno;

	if (is_shown)
		REAL(sigaction)(d->signal, &ignore, NULL);
	else
		install(d);
	errno = saved_errno;
}

void disposition_after_fork(struct disposition *d)
{
	struct sigaction now = { 0 };
	int saved_errno = errno;

	locked_by = 0;
	/* Another thread of the parent may have been in disposition_uninstall(). */
	if (d->is_installed && REAL(sigaction)(d->signal, NULL, &now) == 0 && !is_ours(d, &now)) {
		REAL(sigaction)(d->signal, &d->seen, NULL);
		d->is_installed = 0;
	}
	errno = saved_errno;
}

int disposition_is_trampoline(uintptr_t frame)
{
	/* unwind_walk() writes a trampoline as pc + 1. */
	return trampoline && frame == trampoline + 1;
}
