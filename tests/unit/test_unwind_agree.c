/* SPDX-License-Identifier: MIT */
/*
 * Samples of a busy C++ program that throws in a loop, at moments a second thread picks: the walk in the
 * handler against libdw, which unwinds a copy of registers and stack afterwards. UNWIND_SAMPLES sets how many.
 */
#include "check.h"
#include "libdw_walk.h"
#include "walk.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "proto/schema.h"
#include "tracer/unwind.h"

unsigned busy_round(unsigned seed);

#define STACK_COPY (32u << 10)
#define SAMPLE_FRAMES 200

struct sample {
	uintptr_t registers[17]; /* by DWARF number; 16 is the pc */
	uintptr_t frames[SAMPLE_FRAMES];
	size_t n_frames, n_stack;
	unsigned flags;
	enum unwind_end end;
	_Alignas(8) uint8_t stack[STACK_COPY]; /* from the red zone below sp on */
};

static struct sample *samples; /* owned mapping */
static unsigned n_wanted, n_samples;
static unsigned n_deep; /* stacks too deep for the copy */
static struct unwind_bounds bounds;
static pthread_t busy_thread;

/* Word by word, without what a sanitizer thinks of other functions' frames. */
UNWIND_RAW static void copy_stack(uint8_t *out, uintptr_t from, size_t size)
{
	for (size_t i = 0; i + 8 <= size; i += 8)
		*(volatile uintptr_t *)(void *)(out + i) = *(const volatile uintptr_t *)(from + i);
}

static void on_sample(int signal, siginfo_t *info, void *context)
{
	struct unwind_start start = unwind_start_context(context);
	struct sample *sample = &samples[n_samples];

	if (n_samples == n_wanted)
		return;
	if (bounds.hi - start.sp + ARCH_RED_ZONE > STACK_COPY) {
		n_deep++;
		return;
	}
	for (unsigned i = 0; i < 17; i++)
		arch_context_register(context, i, &sample->registers[i]);
	sample->n_stack = bounds.hi - start.sp + ARCH_RED_ZONE;
	copy_stack(sample->stack, start.sp - ARCH_RED_ZONE, sample->n_stack);
	sample->n_frames = unwind_walk_end(
		&start, &bounds, sample->frames, SAMPLE_FRAMES, &sample->flags, &sample->end);
	__atomic_store_n(&n_samples, n_samples + 1, __ATOMIC_RELAXED);
}

static void *send_signals(void *argument)
{
	struct timespec pause = { 0, 60000 };

	while (__atomic_load_n(&n_samples, __ATOMIC_RELAXED) < n_wanted) {
		pthread_kill(busy_thread, SIGPROF);
		nanosleep(&pause, NULL);
	}
	return argument;
}

static void take_samples(void)
{
	struct sigaction action = { .sa_sigaction = on_sample,
		.sa_flags = SA_SIGINFO | SA_RESTART };
	pthread_t sender;
	unsigned round = 0;

	bounds = walk_own_bounds();
	busy_thread = pthread_self();
	sigaction(SIGPROF, &action, NULL);
	pthread_create(&sender, NULL, send_signals, NULL);
	while (__atomic_load_n(&n_samples, __ATOMIC_RELAXED) < n_wanted)
		round += busy_round(round);
	pthread_join(sender, NULL);
	action.sa_handler = SIG_IGN;
	action.sa_flags = 0;
	sigaction(SIGPROF, &action, NULL);
}

static void check_samples(void)
{
	static struct walk_result walk, reference;
	unsigned n_agreed = 0, n_whole = 0, n_guessed = 0;
	uint64_t n_frames = 0;
	Dwfl *dwfl;

	take_samples();
	dwfl = libdw_open(getpid());
	CHECK(dwfl != NULL);
	if (!dwfl) {
		printf("# libdw: %s\n", dwfl_errmsg(-1));
		return;
	}
	for (unsigned i = 0; i < n_samples; i++) {
		const struct sample *sample = &samples[i];
		const struct libdw_copy copy = { sample->registers, sample->stack,
			sample->registers[ARCH_REG_SP] - ARCH_RED_ZONE, sample->n_stack };

		reference.n = libdw_walk(dwfl, &copy, reference.addr, WALK_MAX, NULL);
		memcpy(walk.addr, sample->frames, sizeof(sample->frames));
		walk.n = sample->n_frames;
		walk.flags = sample->flags;
		walk.end = sample->end;
		n_agreed += (unsigned)walk_agrees(&walk, &reference);
		n_whole += walk.end == UNWIND_END_START;
		n_guessed += (walk.flags & FR_STACK_GUESSED) != 0;
		n_frames += walk.n;
	}
	dwfl_end(dwfl);
	printf("# %u samples, %.1f frames each: %u agree with libdw, %u are whole, %u guessed; %u "
	       "too deep for the copy\n",
		n_samples, (double)n_frames / n_samples, n_agreed, n_whole, n_guessed, n_deep);
	CHECK_INT(n_samples, n_wanted);
	CHECK(n_agreed >= n_wanted - n_wanted / 1000);
}

int main(void)
{
	const char *wanted = getenv("UNWIND_SAMPLES");

	setvbuf(stdout, NULL, _IOLBF, 0);
	n_wanted = wanted ? (unsigned)strtoul(wanted, NULL, 10) : 3000;
	samples = mmap(NULL, (size_t)n_wanted * sizeof(*samples), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (n_wanted == 0 || samples == MAP_FAILED) {
		printf("Bail out! cannot keep %u samples\n", n_wanted);
		return 1;
	}
	CASE(check_samples, "99.9 % of the samples of a program that throws agree with libdw");
	return CHECK_DONE();
}
