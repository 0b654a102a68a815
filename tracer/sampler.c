/* SPDX-License-Identifier: MIT */
/*
 * Who makes and deletes a thread's timer is settled by one word per slot, `timer` of struct fr_private:
 *
 *   round << 32 | TIMER_CLOSED   no thread here
 *   round << 32 | TIMER_NONE     a living thread without a timer
 *   round << 32 | TIMER_BUSY     somebody makes one; nobody else touches it
 *   round << 32 | id + TIMER_ID  there is one; who takes it out of the word deletes it
 *
 * `round` counts the threads that had the slot, so that one who was slow never stores into another's.
 *
 * The rate is one word, sampler_hz, and it is written before the slots are gone through; a thread makes its slot
 * known before it reads the rate. So either the thread sees the rate, or it is seen. Who has stored a timer
 * looks at the rate once more, and takes the timer out again when it has changed.
 */
#include "tracer/sampler.h"

#include <signal.h>
#include <stddef.h>
#include <sys/auxv.h>

#include "tracer/blackbox.h"
#include "tracer/eintr.h"
#include "tracer/sigprof.h"
#include "tracer/sys.h"
#include "tracer/thread.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define LOW_HZ 50
#define CLOCK_TICKS 100 /* per second, the least a kernel is built with */

enum { TIMER_CLOSED, TIMER_NONE, TIMER_BUSY, TIMER_ID };

uint32_t sampler_cookie;
uint32_t eintr_reach = EINTR_MIN_REACH;
static uint32_t sampler_hz; /* rate of timers that may be made now; 0 none */
static int is_over;

static uint32_t code_of(uint64_t word)
{
	return (uint32_t)word;
}

static uint64_t with_code(uint64_t word, uint32_t code)
{
	return (word & ~(uint64_t)UINT32_MAX) | code;
}

static int replace(uint64_t *word, uint64_t from, uint32_t code)
{
	return __atomic_compare_exchange_n(
		word, &from, with_code(from, code), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* The CPU clock of a thread of this process (see clock_getcpuclockid()). */
static long clock_of(uint32_t tid)
{
	return (long)((~(uint64_t)tid << 3 | 6) & UINT32_MAX);
}

static uint64_t cpu_ns_of(uint32_t tid)
{
	struct timespec ts = { 0, 0 };

	if (sys(SYS_clock_gettime, (int)clock_of(tid), &ts) != 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * Deletes a timer that was taken out of its slot's word. Ticks that were due and never came are lost: the thread blocks
 * SIGPROF, or lived for less than the kernel's clock tick, which is when timers are looked at. Where the thread goes on
 * (`slack` ticks), those of the last moment are not worth a word.
 */
static void delete_timer(
	uint32_t code, const struct fr_private *private, uint32_t tid, uint64_t slack)
{
	uint64_t now_ns = cpu_ns_of(tid), due;
	uint64_t got = __atomic_load_n(&private->timer_ticks, __ATOMIC_RELAXED);

	sys(SYS_timer_delete, code - TIMER_ID);
	if (now_ns < private->timer_first_ns)
		return;
	due = 1 + (now_ns - private->timer_first_ns) * private->timer_hz / 1000000000u;
	if (due > got + slack)
		fr_count(cpu_lost, due - got);
}

/* Makes and starts a timer for the thread `tid` of this process: its id, or -errno. */
static long make_timer(uint32_t tid, uint32_t hz, uint64_t first_ns)
{
	uint64_t period_ns = 1000000000u / hz;
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF };
	struct itimerspec spec = {
		.it_interval = { (time_t)(period_ns / 1000000000u),
			(long)(period_ns % 1000000000u) },
		.it_value = { (time_t)(first_ns / 1000000000u), (long)(first_ns % 1000000000u) },
	};
	int id = 0;
	long ret;

	event.sigev_notify_thread_id = (int)tid;
	event.sigev_value.sival_ptr = (void *)((uint64_t)sampler_cookie << 32 | hz);
	ret = sys(SYS_timer_create, (int)clock_of(tid), &event, &id);
	if (ret < 0)
		return ret;
	ret = sys(SYS_timer_settime, id, 0, &spec, NULL);
	if (ret < 0) {
		sys(SYS_timer_delete, id);
		return ret;
	}
	return id;
}

/* Gives a thread its timer, if it is to have one and has none. Returns 1, 0 when there is nothing to do, -errno. */
static long arm(struct fr_private *private, uint32_t tid, uint64_t random)
{
	uint64_t word, mine, first_ns;
	uint32_t hz;
	long id;

	for (;;) {
		hz = __atomic_load_n(&sampler_hz, __ATOMIC_SEQ_CST);
		word = __atomic_load_n(&private->timer, __ATOMIC_SEQ_CST);
		if (!hz || code_of(word) != TIMER_NONE ||
			!replace(&private->timer, word, TIMER_BUSY))
			return 0;
		word = with_code(word, TIMER_BUSY);
		private->timer_hz = hz;
		private->timer_ticks = 0;
		/* Anywhere in the first period, so that threads shorter than that count for what they use. */
		first_ns = 1 + random % (1000000000u / hz);
		private->timer_first_ns = cpu_ns_of(tid) + first_ns;
		id = make_timer(tid, hz, first_ns);
		if (id < 0) {
			replace(&private->timer, word, TIMER_NONE);
			return id;
		}
		/* The thread ended meanwhile, and nobody else knows of the timer. */
		if (!replace(&private->timer, word, (uint32_t)id + TIMER_ID)) {
			sys(SYS_timer_delete, id);
			return 0;
		}
		if (__atomic_load_n(&sampler_hz, __ATOMIC_SEQ_CST) == hz)
			return 1;
		mine = with_code(word, (uint32_t)id + TIMER_ID);
		if (!replace(&private->timer, mine, TIMER_NONE))
			return 0;
		sys(SYS_timer_delete, id);
	}
}

static void disarm(struct fr_private *private, uint32_t tid)
{
	uint64_t word = __atomic_load_n(&private->timer, __ATOMIC_SEQ_CST);

	if (code_of(word) >= TIMER_ID && replace(&private->timer, word, TIMER_NONE))
		delete_timer(code_of(word), private, tid, 1 + private->timer_hz / CLOCK_TICKS);
}

/* Does a thread live in this slot that may have a timer? */
static uint32_t living_tid(const struct fr_slot *slot)
{
	uint32_t tid = __atomic_load_n(&slot->tid, __ATOMIC_RELAXED);

	return __atomic_load_n(&slot->is_exited, __ATOMIC_RELAXED) ? 0 : tid;
}

static void disarm_all(void)
{
	struct fr_private *privates;
	struct fr_slot *slots;
	uint32_t n = thread_table(&slots, &privates), i;

	for (i = 0; i < n; i++)
		disarm(&privates[i], slots[i].tid);
}

static void arm_all(void)
{
	struct fr_private *privates;
	struct fr_slot *slots;
	uint32_t n = thread_table(&slots, &privates), i, n_good = 0, n_failed = 0;
	uint64_t random = fr_now() | 1;

	for (i = 0; i < n; i++) {
		uint32_t tid = living_tid(&slots[i]);
		uint32_t code = code_of(__atomic_load_n(&privates[i].timer, __ATOMIC_RELAXED));
		long ret;

		if (!tid)
			continue;
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		ret = arm(&privates[i], tid, random >> 20);
		if (ret < 0 && living_tid(&slots[i]) == tid) {
			n_failed++;
			fr_count(cpu_timers_failed, 1);
		}
		n_good += ret > 0 || code >= TIMER_BUSY;
	}
	if (n_failed && !n_good)
		fr_blackbox->cpu_refusal = FR_CPU_NO_TIMERS;
}

/*
 * The table of CPU samples is all there before the first handler needs it, which then makes no system calls for it. At
 * the low rate that is always on it grows as it is used: a program that ends soon would never need its megabyte.
 */
static void prepare_table(uint32_t hz)
{
	if (hz < LOW_HZ)
		return;
	blackbox_commit(fr_blackbox->off_buckets[FR_BUCKET_CPU],
		fr_bucket_number(FR_BUCKET_CPU) * sizeof(struct fr_bucket));
}

void sampler_set_rate(uint32_t hz)
{
	if (hz > SAMPLER_MAX_HZ)
		hz = SAMPLER_MAX_HZ;
	if (hz != __atomic_load_n(&sampler_hz, __ATOMIC_SEQ_CST))
		sampler_off();
	if (!hz || is_over) {
		fr_blackbox->cpu_refusal = FR_CPU_OK;
		return;
	}
	prepare_table(hz);
	/* The rate is set while SIGPROF is surely ours: a program that takes it takes the rate away first. */
	fr_blackbox->cpu_refusal =
		sigprof_take(&sampler_hz, hz) == 0 ? FR_CPU_OK : FR_CPU_SIGPROF_TAKEN;
	if (fr_blackbox->cpu_refusal != FR_CPU_OK)
		return;
	arm_all();
	if (fr_blackbox->cpu_refusal == FR_CPU_OK)
		fr_blackbox->cpu_hz = hz;
}

/* Is a timer being made by somebody who may not have seen that the rate is 0? */
static int is_any_busy(void)
{
	struct fr_private *privates;
	struct fr_slot *slots;
	uint32_t n = thread_table(&slots, &privates), i;

	for (i = 0; i < n; i++)
		if (code_of(__atomic_load_n(&privates[i].timer, __ATOMIC_SEQ_CST)) == TIMER_BUSY)
			return 1;
	return 0;
}

void sampler_off(void)
{
	struct timespec moment = { 0, 100000 };
	int n_rounds = 1000;

	__atomic_store_n(&sampler_hz, 0, __ATOMIC_SEQ_CST);
	fr_blackbox->cpu_hz = 0;
	disarm_all();
	while (is_any_busy() && n_rounds-- > 0) {
		sys(SYS_nanosleep, &moment, NULL);
		disarm_all();
	}
}

void sampler_end(void)
{
	is_over = 1;
	sampler_off();
}

void sampler_attach(struct fr_thread *t)
{
	uint64_t word;

	if (!t->private)
		return;
	word = __atomic_load_n(&t->private->timer, __ATOMIC_RELAXED);
	t->private->dump_wanted = 0;
	/* Before the rate is read in arm(): see the top. */
	__atomic_store_n(
		&t->private->timer, with_code(word + (1ull << 32), TIMER_NONE), __ATOMIC_SEQ_CST);
	if (unlikely(__atomic_load_n(&sampler_hz, __ATOMIC_SEQ_CST)) &&
		arm(t->private, t->tid, (fr_now() ^ t->tid) * 0x9e3779b97f4a7c15ull >> 24) < 0)
		fr_count(cpu_timers_failed, 1);
}

void sampler_detach(struct fr_thread *t)
{
	uint64_t word;

	if (!t->private)
		return;
	word = __atomic_load_n(&t->private->timer, __ATOMIC_RELAXED);
	word = __atomic_exchange_n(
		&t->private->timer, with_code(word, TIMER_CLOSED), __ATOMIC_SEQ_CST);
	if (unlikely(code_of(word) >= TIMER_ID))
		delete_timer(code_of(word), t->private, t->tid, 0);
}

void sampler_init(void)
{
	unsigned long frame = getauxval(AT_MINSIGSTKSZ);
	uint64_t seed = fr_now() * 0x9e3779b97f4a7c15ull ^ (uint64_t)sys(SYS_getpid) << 32;

	sampler_cookie = (uint32_t)(seed >> 32) | 1;
	if (frame > EINTR_MIN_REACH + EINTR_FRAME_PADDING && frame < 65536)
		eintr_reach = (uint32_t)frame - EINTR_FRAME_PADDING;
	/* In the child of a fork the rate goes on: its one thread attaches next, and makes its timer. */
	fr_blackbox->cpu_hz = __atomic_load_n(&sampler_hz, __ATOMIC_RELAXED);
}

int sampler_is_ours(const siginfo_t *info, uint32_t *value_out)
{
	uint64_t value = (uint64_t)info->si_value.sival_ptr;

	if ((info->si_code != SI_TIMER && info->si_code != SI_QUEUE) ||
		value >> 32 != sampler_cookie)
		return 0;
	*value_out = (uint32_t)value;
	return 1;
}
