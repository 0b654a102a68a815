/* SPDX-License-Identifier: MIT */
#include "tracer/helper.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "tracer/census.h"
#include "tracer/dump.h"
#include "tracer/internal.h"
#include "tracer/sampler.h"
#include "tracer/sys.h"

/* It calls nothing deep. Static TLS of the program lies on the stack, too: with much of it libc refuses, see below. */
#define STACK_SIZE (64u << 10)
/* SIGCANCEL and SIGSETXID of libc, which all of its threads answer. */
#define LIBC_SIGNALS (1ull << 31 | 1ull << 32)

static uint32_t is_woken;
static uint32_t dump_wish; /* of helper_dump(): 0 none, 1 wanted, 2 done. A futex of this process */
static uint32_t seen_recorder; /* its process id, once it was seen to live */
static uint32_t dump_done;     /* the last dump_seq that was carried out, or found at the start */

FR_REAL(pthread_create)

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/*
 * Has the recorder died without an order to stop? Only what was seen alive can have died: in another namespace of
 * process ids it is never seen.
 */
static int is_recorder_gone(void)
{
	uint32_t pid = load(&fr_control->recorder_pid);

	if (!pid || sys(SYS_kill, pid, 0) != -ESRCH) {
		seen_recorder = pid;
		return 0;
	}
	return pid == seen_recorder;
}

static void carry_out_wish(void)
{
	if (__atomic_load_n(&dump_wish, __ATOMIC_ACQUIRE) != 1)
		return;
	dump_take(FR_DUMP_CRASH);
	__atomic_store_n(&dump_wish, 2, __ATOMIC_RELEASE);
	sys(SYS_futex, &dump_wish, FUTEX_WAKE_PRIVATE, INT32_MAX);
}

static void carry_out(void)
{
	uint32_t dump = load(&fr_control->dump_seq), proc = load(&fr_control->dump_proc);
	uint32_t hz = load(&fr_control->cpu_hz);

	if (!__atomic_load_n(&fr_on, __ATOMIC_ACQUIRE))
		return;
	sampler_set_rate(hz && is_recorder_gone() ? 0 : hz);
	if (dump == dump_done)
		return;
	dump_done = dump;
	if (!proc || proc == fr_proc)
		dump_take(dump);
}

/*
 * While samples are taken it looks once a second whether SIGPROF is still ours: programs that make system calls
 * without libc take it unseen, and those that have given it back should be sampled again. And whether somebody
 * is there for whom the samples are.
 */
static void await(uint32_t seq)
{
	static const struct timespec second = { 1, 0 };

	sys(SYS_futex, &fr_control->command_seq, FUTEX_WAIT, seq,
		load(&fr_control->cpu_hz) ? &second : NULL);
}

static void *run(void *unused)
{
	uint32_t done;

	(void)unused;
	census_add_own();
	census_own_starts(-1);
	sys(SYS_prctl, PR_SET_NAME, "flightrec");
	fr_blackbox->helper_tid = (uint32_t)sys(SYS_gettid);
	for (;;) {
		/* Acquire: pairs with the release of the recorder; the order is complete. */
		done = __atomic_load_n(&fr_control->command_seq, __ATOMIC_ACQUIRE);
		__atomic_store_n(&is_woken, 0, __ATOMIC_SEQ_CST);
		carry_out_wish();
		carry_out();
		/* Release: who sees the number sees what came of it. */
		__atomic_store_n(&fr_blackbox->helper_seq, done, __ATOMIC_RELEASE);
		if (!__atomic_load_n(&is_woken, __ATOMIC_SEQ_CST))
			await(done);
	}
	return NULL;
}

static int create(size_t stack_size)
{
	long policy = sys(SYS_sched_getscheduler, 0) & ~SCHED_RESET_ON_FORK;
	pthread_attr_t attributes;
	pthread_t thread;
	int ret;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	if (policy == SCHED_FIFO || policy == SCHED_RR) {
		/* Orders are not urgent enough for that. */
		pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
		pthread_attr_setschedpolicy(&attributes, SCHED_OTHER);
	}
	if (stack_size)
		pthread_attr_setstacksize(&attributes, stack_size);
	ret = REAL(pthread_create)(&thread, &attributes, run, NULL);
	pthread_attr_destroy(&attributes);
	return ret;
}

void helper_start(void)
{
	const uint64_t blocked = ~LIBC_SIGNALS;
	struct fr_thread *t = &fr_self;
	uint8_t was_busy = t->busy;
	uint64_t mask;
	int ret;

	dump_done = load(&fr_control->dump_seq);
	dump_wish = 0;
	/* At once, so that also a program that ends soon is sampled from its beginning. */
	if (load(&fr_control->cpu_hz))
		sampler_set_rate(load(&fr_control->cpu_hz));
	sys(SYS_rt_sigprocmask, SIG_SETMASK, &blocked, &mask, sizeof(mask));
	census_own_starts(1);
	/* The memory of a thread of ours is not the program's. */
	if (!was_busy) {
		t->busy = 1;
		t->busy_frame = FR_FRAME();
	}
	ret = create(STACK_SIZE);
	if (ret != 0)
		ret = create(0);
	t->busy = was_busy;
	sys(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof(mask));
	if (ret != 0) {
		census_own_starts(-1);
		sampler_off();
		fr_blackbox->cpu_refusal = FR_CPU_NO_HELPER;
	}
}

void helper_wake(void)
{
	if (!fr_on || !fr_blackbox->helper_tid)
		return;
	__atomic_store_n(&is_woken, 1, __ATOMIC_SEQ_CST);
	sys(SYS_futex, &fr_control->command_seq, FUTEX_WAKE, INT32_MAX);
}

void helper_dump(uint64_t wait_ns)
{
	/* Looked at again so often: a wake-up that comes between its look and its wait is lost to the helper. */
	const struct timespec part = { 0, 2000000 };
	uint64_t end_ns = fr_now() + wait_ns;

	if (!fr_on || !fr_blackbox->helper_tid)
		return;
	__atomic_store_n(&dump_wish, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&dump_wish, __ATOMIC_ACQUIRE) != 2 && fr_now() < end_ns) {
		helper_wake();
		sys(SYS_futex, &dump_wish, FUTEX_WAIT_PRIVATE, 1, &part);
	}
}
