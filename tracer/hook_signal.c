/* SPDX-License-Identifier: MIT */
/*
 * What the program itself does with the signals that we stand in for: SIGPROF (sigprof.h) and the fatal ones (fatal.h);
 * all others go straight through. libc's functions call each other inside, so each of them has a hook of its own.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/gmon.h>
#include <sys/profil.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tracer/call.h"
#include "tracer/eintr.h"
#include "tracer/fatal.h"
#include "tracer/helper.h"
#include "tracer/process.h"
#include "tracer/sampler.h"
#include "tracer/sigprof.h"

int __sigaction(int number, const struct sigaction *action, struct sigaction *old);
disposition_handler __sysv_signal(int number, disposition_handler handler);
disposition_handler sysv_signal(int number, disposition_handler handler);
disposition_handler bsd_signal(int number, disposition_handler handler);
void monstartup(u_long low, u_long high);
void moncontrol(int mode);

/* Old names are called by old programs. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/*
 * Ours to look at? liblttng-ust leaves these signals alone, and before our constructor nothing of ours is there. NULL:
 * no.
 */
static struct disposition *find(int number)
{
	if (!process_is_ready())
		return NULL;
	return number == SIGPROF ? &sigprof_disposition : fatal_disposition(number);
}

/* The program has given SIGPROF back: who is to be sampled may be sampled now. */
static void look_again(int number, int is_passive)
{
	int saved_errno = errno;

	if (number == SIGPROF && is_passive && fr_on && !fr_self.in_vfork &&
		fr_blackbox->cpu_refusal == FR_CPU_SIGPROF_TAKEN)
		helper_wake();
	errno = saved_errno;
}

/* Against the compiler's belief that what the header calls nonnull cannot be NULL. */
static __attribute__((noinline)) int is_given(uintptr_t pointer)
{
	return pointer != 0;
}

static int is_passive(disposition_handler handler)
{
	return handler == SIG_DFL || handler == SIG_IGN;
}

#define ACTION_HOOK(name)                                                                     \
	FR_REAL(name)                                                                         \
	FR_EXPORT int name(int number, const struct sigaction *action, struct sigaction *old) \
	{                                                                                     \
		struct disposition *d = find(number);                                         \
		int ret;                                                                      \
                                                                                              \
		if (!d)                                                                       \
			return REAL(name)(number, action, old);                               \
		ret = disposition_action(d, action, old);                                     \
		look_again(number, action &&is_passive(action->sa_handler));                  \
		return ret;                                                                   \
	}

ACTION_HOOK(sigaction)
ACTION_HOOK(__sigaction)

#define SIGNAL_HOOK(name, flags)                                                    \
	FR_REAL(name)                                                               \
	FR_EXPORT disposition_handler name(int number, disposition_handler handler) \
	{                                                                           \
		struct disposition *d = find(number);                               \
		disposition_handler ret;                                            \
                                                                                    \
		if (!d)                                                             \
			return REAL(name)(number, handler);                         \
		ret = disposition_signal(d, REAL(name), handler, flags);            \
		look_again(number, is_passive(handler));                            \
		return ret;                                                         \
	}

SIGNAL_HOOK(signal, SA_RESTART)
SIGNAL_HOOK(bsd_signal, SA_RESTART)
SIGNAL_HOOK(ssignal, SA_RESTART)
SIGNAL_HOOK(sysv_signal, SA_RESETHAND | SA_NODEFER)
SIGNAL_HOOK(__sysv_signal, SA_RESETHAND | SA_NODEFER)
SIGNAL_HOOK(sigset, 0)

/* They read and write the disposition inside libc. The program means the signal: it gets it, for the moment. */
FR_REAL(siginterrupt)
FR_EXPORT int siginterrupt(int number, int is_wanted)
{
	struct disposition *d = find(number);
	int ret;

	if (!d || fr_self.in_vfork)
		return REAL(siginterrupt)(number, is_wanted);
	disposition_yield(d);
	ret = REAL(siginterrupt)(number, is_wanted);
	disposition_return(d);
	look_again(number, 1);
	return ret;
}

FR_REAL(sigignore)
FR_EXPORT int sigignore(int number)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct disposition *d = find(number);

	return d ? disposition_action(d, &ignore, NULL) : REAL(sigignore)(number);
}

/* A profiler of the program's own begins, with or before its handler; when the timer stops, it is over. */
FR_REAL(setitimer)
FR_EXPORT int setitimer(__itimer_which_t which, const struct itimerval *new, struct itimerval *old)
{
	int is_on = new && (new->it_value.tv_sec || new->it_value.tv_usec);

	if (which == ITIMER_PROF && is_on && process_is_ready())
		sigprof_yield();
	return REAL(setitimer)(which, new, old);
}

/* gprof's: libc installs a handler for itself, unseen. */
FR_REAL(profil)
FR_EXPORT int profil(unsigned short *histogram, size_t size, size_t offset, unsigned scale)
{
	if (is_given((uintptr_t)histogram) && process_is_ready())
		sigprof_give_up();
	return REAL(profil)(histogram, size, offset, scale);
}

FR_REAL(sprofil)
FR_EXPORT int sprofil(struct prof *histograms, int n, struct timeval *period, unsigned flags)
{
	if (process_is_ready())
		sigprof_give_up();
	return REAL(sprofil)(histograms, n, period, flags);
}

FR_REAL(monstartup)
FR_EXPORT void monstartup(u_long low, u_long high)
{
	if (process_is_ready())
		sigprof_give_up();
	REAL(monstartup)(low, high);
}

FR_REAL(moncontrol)
FR_EXPORT void moncontrol(int mode)
{
	if (mode && process_is_ready())
		sigprof_give_up();
	REAL(moncontrol)(mode);
}

/* The descriptor delivers what is pending, whoever sent it. */
FR_REAL(signalfd)
FR_EXPORT int signalfd(int fd, const sigset_t *set, int flags)
{
	struct call call;
	int ret;

	if (is_given((uintptr_t)set) && process_is_ready() && sigismember(set, SIGPROF) == 1)
		sigprof_give_up();
	if (!CALL_BEGIN(&call, FR_CALL_signalfd, fd))
		return REAL(signalfd)(fd, set, flags);
	ret = REAL(signalfd)(fd, set, flags);
	call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}

/*
 * Waiting for signals by name. Programs that block them all and wait for all of them in one thread are common: a
 * tick of that thread's own timer is not for them.
 */
FR_REAL(sigtimedwait)
static int wait_for(const sigset_t *set, siginfo_t *info_out, const struct timespec *timeout,
	uint64_t begin_ns, uintptr_t frame)
{
	struct eintr_wait wait = { .begin_ns = begin_ns };
	siginfo_t info = { 0 };
	uint32_t value;
	int ret;

	for (;;) {
		eintr_begin();
		ret = REAL(sigtimedwait)(set, &info, timeout);
		if (ret == SIGPROF ? !sampler_is_ours(&info, &value)
				   : ret != -1 || errno != EINTR || !eintr_is_ours(frame))
			break;
		timeout = eintr_left_time(&wait, timeout);
	}
	if (ret > 0 && info_out)
		*info_out = info;
	return ret;
}

static uint64_t begin_of(const struct call *call, int is_traced)
{
	return is_traced ? call->begin_ns : fr_now();
}

FR_EXPORT int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *timeout)
{
	struct call call;
	int is_traced = CALL_BEGIN(&call, FR_CALL_sigtimedwait, -1);
	int ret = wait_for(set, info, timeout, begin_of(&call, is_traced), FR_FRAME());

	if (is_traced)
		call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}

FR_EXPORT int sigwaitinfo(const sigset_t *set, siginfo_t *info)
{
	struct call call;
	int is_traced = CALL_BEGIN(&call, FR_CALL_sigwaitinfo, -1);
	int ret = wait_for(set, info, NULL, 0, FR_FRAME());

	if (is_traced)
		call_end(&call, CALL_RESULT(ret), NULL);
	return ret;
}

/* Never says EINTR, and returns an error number. */
FR_EXPORT int sigwait(const sigset_t *set, int *number_out)
{
	int saved_errno = errno, ret;
	struct call call;
	int is_traced = CALL_BEGIN(&call, FR_CALL_sigwait, -1);

	do {
		ret = wait_for(set, NULL, NULL, 0, FR_FRAME());
	} while (ret == -1 && errno == EINTR);
	if (ret > 0)
		*number_out = ret;
	ret = ret > 0 ? 0 : errno;
	errno = saved_errno;
	if (is_traced)
		call_end(&call, -(int64_t)ret, NULL);
	return ret;
}

/* A tick that waits for its thread to let it through is not the program's to see. */
FR_REAL(sigpending)
FR_EXPORT int sigpending(sigset_t *set)
{
	int ret = REAL(sigpending)(set), saved_errno = errno;

	if (ret == 0 && fr_on && fr_self.private && !fr_self.in_vfork && fr_blackbox->cpu_hz &&
		sigismember(set, SIGPROF) == 1 && !sigprof_is_pending())
		sigdelset(set, SIGPROF);
	errno = saved_errno;
	return ret;
}
