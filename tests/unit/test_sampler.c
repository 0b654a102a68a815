/* SPDX-License-Identifier: MIT */
/* CPU timers and the handler of SIGPROF, in this process: what is counted, what is kept, whom a signal belongs to. */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "own_blackbox.h"
#include "proto/stack.h"
#include "tracer/dump.h"
#include "tracer/eintr.h"
#include "tracer/sampler.h"
#include "tracer/sigprof.h"
#include "tracer/stack.h"
#include "tracer/sys.h"
#include "tracer/thread.h"

#define N_SLOTS 4

int fr_on = 1;
static struct fr_control control = { .stack_depth = 64 };
const struct fr_control *fr_control = &control;
struct fr_range fr_lttng_all, fr_own;
__thread struct fr_thread fr_self __attribute__((tls_model("initial-exec")));
static struct fr_private *privates;

int fr_is_lttng_slow(uintptr_t address)
{
	return address - fr_lttng_all.start < fr_lttng_all.end - fr_lttng_all.start;
}

uint32_t thread_table(struct fr_slot **slots_out, struct fr_private **privates_out)
{
	*slots_out = (struct fr_slot *)((char *)fr_blackbox + fr_blackbox->off_slots);
	*privates_out = privates;
	return __atomic_load_n(&fr_blackbox->n_threads, __ATOMIC_ACQUIRE);
}

/* What thread_attach() does of it. */
static void attach(void)
{
	struct fr_slot *slots;
	uint32_t i = __atomic_fetch_add(&fr_blackbox->n_threads, 1, __ATOMIC_SEQ_CST);

	if (i >= N_SLOTS)
		abort();
	thread_table(&slots, &privates);
	fr_self.tid = (uint32_t)sys(SYS_gettid);
	fr_self.slot = &slots[i];
	fr_self.private = &privates[i];
	fr_self.random = fr_now();
	fr_self.slot->tid = fr_self.tid;
	fr_self.slot->is_exited = 0;
	fr_self.stage = FR_STAGE_ON;
	sampler_attach(&fr_self);
}

static void detach(void)
{
	sampler_detach(&fr_self);
	fr_self.slot->is_exited = 1;
	fr_self.slot = NULL;
	fr_self.private = NULL;
	fr_self.stage = FR_STAGE_OFF;
	__atomic_fetch_sub(&fr_blackbox->n_threads, 1, __ATOMIC_SEQ_CST);
}

static uint64_t cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* In a section of its own, so that the linker says where it begins and ends. */
extern const char __start_burning[], __stop_burning[];
#define BURNING __attribute__((noinline, section("burning")))

static BURNING void burn(unsigned ms)
{
	uint64_t end = cpu_now() + (uint64_t)ms * 1000000;

	while (cpu_now() < end)
		for (volatile int i = 0; i < 1000; i++)
			;
}

/*
 * Until the ticks, at 1000 Hz, are those of the CPU time used since `begin_ns` but for three at most. The kernel looks at
 * timers at its own clock tick, for the thread that runs at that moment: one that always runs in between, as happens where
 * several share a processor, gets its ticks half a second late and all at once. What is late is not lost.
 */
static BURNING void burn_until_ticked(uint64_t begin_ns)
{
	uint64_t used_ns, ticks;

	do {
		burn(1);
		used_ns = cpu_now() - begin_ns;
		ticks = __atomic_load_n(&fr_blackbox->counters.cpu_ticks, __ATOMIC_RELAXED);
	} while (used_ns > (ticks + 3) * 1000000 && used_ns < 30000000000u);
}

/* Sums over the table of CPU samples; those whose stack has a frame in [lo, hi) in *inside_out, too. */
static void sum(
	uint64_t *ticks_out, uint64_t *ns_out, uintptr_t lo, uintptr_t hi, uint64_t *inside_out)
{
	const struct fr_bucket *table =
		(struct fr_bucket *)((char *)fr_blackbox + fr_blackbox->off_buckets[FR_BUCKET_CPU]);
	const uint8_t *arena = (uint8_t *)fr_blackbox + fr_blackbox->off_stack_arena;

	*ticks_out = *ns_out = *inside_out = 0;
	for (uint32_t i = 0; i < fr_bucket_number(FR_BUCKET_CPU); i++) {
		uint64_t frames[FR_STACK_MAX_FRAMES];
		unsigned flags;
		size_t n;

		if (table[i].tag <= FR_BUCKET_WRITING)
			continue;
		*ticks_out += table[i].value[0];
		*ns_out += table[i].value[1];
		n = stack_record_decode(arena, fr_blackbox->stack_arena_used, table[i].stack,
			frames, FR_STACK_MAX_FRAMES, &flags);
		for (size_t k = 0; k < n; k++)
			if (frames[k] - 1 - lo < hi - lo) {
				*inside_out += table[i].value[0];
				break;
			}
	}
}

static void strips_own_frames(void)
{
	uintptr_t frames[16];
	int is_own = 7;

	fr_own = (struct fr_range){ 0x1000, 0x2000 };
	fr_lttng_all = (struct fr_range){ 0x3000, 0x4000 };
#define STRIP(is_busy, ...)                                                                     \
	(memcpy(frames, (uintptr_t[]){ __VA_ARGS__ }, sizeof((uintptr_t[]){ __VA_ARGS__ })),    \
		sampler_strip(frames, sizeof((uintptr_t[]){ __VA_ARGS__ }) / sizeof(uintptr_t), \
			is_busy, &is_own))
	/* The program in its own code. */
	CHECK_INT(STRIP(0, 0x9001, 0x9101), 2);
	CHECK_INT(is_own, 0);
	/* In a real call below a hook: only the hook's frame goes. */
	CHECK_INT(STRIP(0, 0x8001, 0x1101, 0x9101), 2);
	CHECK_INT(is_own, 0);
	CHECK_INT(frames[0], 0x8001);
	CHECK_INT(frames[1], 0x9101);
	/* In the hook itself, guard not yet taken. */
	CHECK_INT(STRIP(0, 0x1101, 0x9101), 1);
	CHECK_INT(is_own, 1);
	/* Our work: libc below liblttng-ust below us. */
	CHECK_INT(STRIP(1, 0x8001, 0x3001, 0x1201, 0x1101, 0x9101, 0x9201), 2);
	CHECK_INT(is_own, 1);
	CHECK_INT(frames[0], 0x9101);
	/* liblttng-ust called malloc(), which is ours, too. */
	CHECK_INT(STRIP(1, 0x8001, 0x1301, 0x3001, 0x1201, 0x9101), 1);
	CHECK_INT(frames[0], 0x9101);
	/* A constructor that ran inside dlopen(), and is in one of our hooks: ld.so and dlopen()'s caller stay. */
	CHECK_INT(STRIP(1, 0x1301, 0x9001, 0x7001, 0x1101, 0x9101), 3);
	CHECK_INT(frames[0], 0x9001);
	CHECK_INT(frames[1], 0x7001);
	CHECK_INT(frames[2], 0x9101);
	/* The program's own lttng tracepoints are its own doing. */
	CHECK_INT(STRIP(0, 0x3001, 0x9101), 2);
	CHECK_INT(is_own, 0);
	/* Nothing but us. */
	CHECK_INT(STRIP(1, 0x1101), 0);
	CHECK_INT(is_own, 1);
	CHECK_INT(sampler_strip(frames, 0, 1, &is_own), 0);
	CHECK_INT(is_own, 0);
	fr_own = fr_lttng_all = (struct fr_range){ 0, 0 };
}

static void ticks_measure_cpu_time(void)
{
	uint64_t ticks, ns, inside, before, used, lost = fr_blackbox->counters.cpu_lost;
	uint64_t missed = fr_blackbox->counters.cpu_missed;

	attach();
	sampler_set_rate(1000);
	CHECK_INT(fr_blackbox->cpu_hz, 1000);
	CHECK_INT(fr_blackbox->cpu_refusal, FR_CPU_OK);
	before = cpu_now();
	burn(400);
	burn_until_ticked(before);
	used = cpu_now() - before;
	sampler_set_rate(0);
	CHECK_INT(fr_blackbox->cpu_hz, 0);
	sum(&ticks, &ns, (uintptr_t)__start_burning, (uintptr_t)__stop_burning, &inside);
	/* One period at either end, on top of three. */
	CHECK(ns + 5000000 > used && ns < used + 5000000);
	CHECK_INT(ns, ticks * 1000000);
	CHECK_INT(fr_blackbox->counters.cpu_ticks, ticks);
	CHECK_INT(fr_blackbox->counters.cpu_lost, lost);
	/* A kernel of less than 1000 Hz delivers several at once; of 250 Hz three in four. */
	CHECK(fr_blackbox->counters.cpu_missed - missed < ticks);
	CHECK(inside * 10 > ticks * 9);
	burn(50);
	sum(&used, &ns, 0, 0, &inside);
	CHECK_INT(used, ticks);
	detach();
}

/* The same once more, one by one: numbers without a gap, times that grow, and all of the CPU time. */
static void samples_are_kept_in_order(void)
{
	const struct fr_cpu_sample *ring =
		(const struct fr_cpu_sample *)((char *)fr_blackbox + fr_blackbox->off_samples);
	uint64_t first = fr_blackbox->samples_next, before, used, ns = 0, time_ns = fr_now();
	int n_bad = 0;

	attach();
	sampler_set_rate(1000);
	before = cpu_now();
	burn(100);
	used = cpu_now() - before;
	sampler_set_rate(0);
	CHECK(fr_blackbox->samples_next > first);
	for (uint64_t n = first; n < fr_blackbox->samples_next; n++) {
		const struct fr_cpu_sample *sample = &ring[n % FR_BB_SAMPLES];

		n_bad += sample->seq != n + 1 || sample->time_ns < time_ns ||
			 sample->tid != fr_self.tid || sample->stack < FR_STACK_FIRST_ID;
		time_ns = sample->time_ns;
		ns += sample->weight_ns;
	}
	CHECK_INT(n_bad, 0);
	CHECK(time_ns <= fr_now());
	CHECK(ns + 12000000 > used && ns < used + 12000000);
	/* At the end of the ring it goes on at its beginning. */
	fr_blackbox->samples_next = 3 * FR_BB_SAMPLES - 2;
	sampler_set_rate(1000);
	burn(40);
	sampler_set_rate(0);
	CHECK(fr_blackbox->samples_next >= 3 * FR_BB_SAMPLES);
	CHECK_INT(ring[FR_BB_SAMPLES - 1].seq, 3 * FR_BB_SAMPLES);
	CHECK_INT(ring[0].seq, 3 * FR_BB_SAMPLES + 1);
	detach();
}

static void *short_life(void *unused)
{
	attach();
	burn(3);
	detach();
	return unused;
}

/*
 * 100 threads of 3 ms at 100 Hz: each has a chance of 3 in 10 of a tick. What the kernel's own clock tick comes too
 * late for is counted as lost.
 */
static void short_threads_count_for_what_they_use(void)
{
	const struct fr_counters *counters = &fr_blackbox->counters;
	uint64_t before = counters->cpu_ticks + counters->cpu_lost, n;
	pthread_t thread;

	attach();
	sampler_set_rate(100);
	for (int i = 0; i < 100; i++) {
		pthread_create(&thread, NULL, short_life, NULL);
		pthread_join(thread, NULL);
	}
	sampler_set_rate(0);
	detach();
	n = counters->cpu_ticks + counters->cpu_lost - before;
	/* 30 expected, with a deviation of 4.6; beyond six of them is beyond chance. */
	CHECK(n > 30 - 28 && n < 30 + 28);
}

static void *churn(void *is_over)
{
	while (!__atomic_load_n((int *)is_over, __ATOMIC_RELAXED)) {
		attach();
		detach();
	}
	return NULL;
}

/* Both sides make and delete timers as fast as they can; in the end none is left. */
static void no_timer_is_left_behind(void)
{
	int is_over = 0, n_timers = 0;
	char line[256];
	pthread_t thread;
	FILE *file;

	attach();
	pthread_create(&thread, NULL, churn, &is_over);
	for (int i = 0; i < 20000; i++)
		sampler_set_rate(i % 3 ? (uint32_t)(100 + i % 7) : 0);
	__atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	sampler_set_rate(0);
	detach();
	file = fopen("/proc/self/timers", "r");
	if (!file) {
		printf("# no /proc/self/timers: another look\n");
		CHECK(privates[0].timer % 2 == 0);
		return;
	}
	while (fgets(line, sizeof(line), file))
		n_timers += strncmp(line, "ID:", 3) == 0;
	fclose(file);
	CHECK_INT(n_timers, 0);
}

static int status_of_child(void (*act)(void))
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		act();
		_exit(42);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void raise_default(void)
{
	sigprof_after_fork();
	if (sigprof_take(NULL, 0) == 0)
		sys(SYS_tgkill, getpid(), getpid(), SIGPROF);
}

static void raise_ignored(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	sigprof_after_fork();
	if (sigprof_take(NULL, 0) == 0 &&
		disposition_action(&sigprof_disposition, &ignore, NULL) == 0)
		sys(SYS_tgkill, getpid(), getpid(), SIGPROF);
}

static int n_handled;

static void on_own(int number)
{
	n_handled += number == SIGPROF;
}

static void raise_handled(void)
{
	struct sigaction action = { .sa_handler = on_own }, old;

	sigprof_after_fork();
	if (sigprof_take(NULL, 0) != 0 ||
		disposition_action(&sigprof_disposition, &action, &old) != 0 ||
		old.sa_handler != SIG_DFL)
		_exit(1);
	sys(SYS_tgkill, getpid(), getpid(), SIGPROF);
	if (n_handled != 1 || sigprof_take(NULL, 0) == 0)
		_exit(2);
	action.sa_handler = SIG_DFL;
	if (disposition_action(&sigprof_disposition, &action, &old) != 0 ||
		old.sa_handler != on_own || sigprof_take(NULL, 0) != 0)
		_exit(3);
}

static void given_up(void)
{
	sigprof_after_fork();
	sigprof_give_up();
	if (sigprof_take(NULL, 0) == 0)
		_exit(1);
}

static void others_signals_do_what_they_did(void)
{
	CHECK_INT(status_of_child(raise_default), -SIGPROF);
	CHECK_INT(status_of_child(raise_ignored), 42);
	CHECK_INT(status_of_child(raise_handled), 42);
	CHECK_INT(status_of_child(given_up), 42);
}

static uint32_t slot_dump_seq(void)
{
	return __atomic_load_n(&fr_self.slot->dump_seq, __ATOMIC_ACQUIRE);
}

static int is_burning;

static BURNING void burn_until_answered(uint32_t seq)
{
	uint64_t end = cpu_now() + 30000000000u;

	__atomic_store_n(&is_burning, 1, __ATOMIC_RELEASE);
	while (slot_dump_seq() != seq && cpu_now() < end)
		burn(1);
}

static void *ask(void *seq)
{
	while (!__atomic_load_n(&is_burning, __ATOMIC_ACQUIRE))
		sched_yield();
	dump_take((uint32_t)(uintptr_t)seq);
	return NULL;
}

static void a_running_thread_answers(void)
{
	uint64_t frames[FR_STACK_MAX_FRAMES];
	unsigned flags = 0;
	pthread_t thread;
	int is_in_burn = 0;
	size_t n;

	attach();
	pthread_create(&thread, NULL, ask, (void *)5);
	burn_until_answered(5);
	pthread_join(thread, NULL);
	CHECK_INT(slot_dump_seq(), 5);
	n = stack_record_decode((uint8_t *)fr_blackbox + fr_blackbox->off_stack_arena,
		fr_blackbox->stack_arena_used, fr_self.slot->dump_stack, frames,
		FR_STACK_MAX_FRAMES, &flags);
	for (size_t i = 0; i < n; i++)
		is_in_burn |= frames[i] - (uintptr_t)__start_burning <
			      (uintptr_t)(__stop_burning - __start_burning);
	CHECK(is_in_burn);
	/* One that says that it waits is left alone. */
	fr_self.slot->state = FR_STATE_POLL;
	pthread_create(&thread, NULL, ask, (void *)6);
	burn(5);
	pthread_join(thread, NULL);
	CHECK_INT(slot_dump_seq(), 5);
	fr_self.slot->state = FR_STATE_RUNNING;
	detach();
}

/* One signal of ours to this thread. */
static void send_own(void)
{
	siginfo_t info = { .si_signo = SIGPROF, .si_code = SI_QUEUE };

	info.si_value.sival_ptr = (void *)((uint64_t)sampler_cookie << 32);
	sys(SYS_rt_tgsigqueueinfo, getpid(), sys(SYS_gettid), SIGPROF, &info);
}

static void do_nothing(int number)
{
	(void)number;
}

/* With all of `signals` pending at once, ends a ppoll(); was its EINTR ours alone? */
static __attribute__((noinline)) int is_claimed(const int *signals, int n)
{
	sigset_t blocked, before;
	int is_eintr, is_ours;

	sigfillset(&blocked);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	for (int i = 0; i < n; i++) {
		if (signals[i] == SIGPROF)
			send_own();
		else
			sys(SYS_tgkill, getpid(), sys(SYS_gettid), signals[i]);
	}
	eintr_begin();
	/* The thread's own mask while it waits: what is let through is that of `before`, as for poll(). */
	is_eintr = ppoll(NULL, 0, NULL, &before) == -1 && errno == EINTR;
	is_ours = eintr_is_ours(FR_FRAME());
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return is_eintr ? is_ours : -1;
}

static void only_ours_alone_is_hidden(void)
{
	struct sigaction action = { .sa_handler = do_nothing };
	struct timespec moment = { 0, 1000000 };

	attach();
	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	CHECK_INT(sigprof_take(NULL, 0), 0);
	CHECK_INT(is_claimed((int[]){ SIGPROF }, 1), 1);
	/* SIGALRM has a lower number: its handler's frame lies below ours. */
	CHECK_INT(is_claimed((int[]){ SIGPROF, SIGALRM }, 2), 0);
	CHECK_INT(is_claimed((int[]){ SIGALRM }, 1), 0);
	/* A claim is of one call: the next that is interrupted by another signal is not ours. */
	CHECK_INT(is_claimed((int[]){ SIGPROF }, 1), 1);
	CHECK_INT(is_claimed((int[]){ SIGUSR1 }, 1), 0);
	/* Interrupted between calls: nothing to claim. */
	eintr_begin();
	send_own();
	CHECK_INT(eintr_is_ours(FR_FRAME()), 0);
	CHECK_INT(nanosleep(&moment, NULL), 0);
	detach();
}

static void timeouts_go_on(void)
{
	struct eintr_wait wait = { .begin_ns = fr_now() - 3000000000u };
	const struct timespec *left;
	struct timespec half = { 0, 500000000 }, huge = { INT64_MAX, 0 };
	int ms = eintr_left_ms(&wait, 10000);

	CHECK(ms > 0 && ms <= 7000);
	/* What is left counts from the beginning, whatever is passed the second time. */
	CHECK(eintr_left_ms(&wait, ms) <= ms);
	CHECK_INT(eintr_left_ms(&wait, -1), -1);
	CHECK_INT(eintr_left_ms(&wait, 0), 0);
	wait = (struct eintr_wait){ .begin_ns = fr_now() - 2000000000u };
	CHECK_INT(eintr_left_ms(&wait, 100), 0);
	wait = (struct eintr_wait){ .begin_ns = fr_now() - 100000000 };
	left = eintr_left_time(&wait, &half);
	CHECK(left->tv_sec == 0 && left->tv_nsec <= 400000000);
	CHECK(!eintr_left_time(&wait, NULL));
	CHECK(eintr_left_time(&wait, &huge)->tv_sec > 1000000000);
}

int main(void)
{
	privates = calloc(N_SLOTS, sizeof(*privates));
	if (!privates || !own_blackbox_open("test_sampler"))
		return 1;
	stack_init(fr_blackbox, blackbox_commit);
	sampler_init();
	CASE(strips_own_frames, "frames of ours are taken out of a stack");
	CASE(ticks_measure_cpu_time, "ticks add up to the CPU time, with the stack that used it");
	CASE(samples_are_kept_in_order, "samples are kept in their order, the newest ones");
	CASE(short_threads_count_for_what_they_use, "short threads count for what they use");
	CASE(no_timer_is_left_behind, "no timer is left behind by threads and rates that change");
	CASE(others_signals_do_what_they_did, "a SIGPROF of others does what it did before");
	CASE(a_running_thread_answers,
		"a running thread answers a request, a waiting one is left alone");
	CASE(only_ours_alone_is_hidden, "an EINTR is claimed when it is ours alone");
	CASE(timeouts_go_on, "a call made again waits for the rest of its time");
	return CHECK_DONE();
}
