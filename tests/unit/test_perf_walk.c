/* SPDX-License-Identifier: MIT */
/*
 * Stacks of this very process, copied as perf copies them: the walk over the copy, with tables read from files, against
 * the tracer's walk, which reads the same stack and the same tables where they lie.
 */
#include "recorder/perf_walk.h"

#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "proto/schema.h"
#include "recorder/perf_regs.h"
#include "tracer/unwind.h"

unsigned busy_round(unsigned seed);

#define STACK_COPY (32u << 10)
#define MAX_FRAMES 200
#define N_SAMPLES 2000

struct sample {
	arch_context context;
	uintptr_t frames[MAX_FRAMES];
	size_t n_frames, n_stack;
	unsigned flags;
	_Alignas(8) uint8_t stack[STACK_COPY]; /* from sp on */
};

static struct sample *samples; /* owned mapping */
static unsigned n_samples;
static bool is_done;
static struct unwind_bounds bounds;
static pthread_t busy_thread;
static struct perf_spaces spaces;

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

	if (n_samples == N_SAMPLES || bounds.hi - start.sp > STACK_COPY)
		return;
	memcpy(&sample->context, context, ARCH_CONTEXT_SIZE);
	sample->n_stack = bounds.hi - start.sp;
	copy_stack(sample->stack, start.sp, sample->n_stack);
	sample->n_frames = unwind_walk(&start, &bounds, sample->frames, MAX_FRAMES, &sample->flags);
	__atomic_store_n(&n_samples, n_samples + 1, __ATOMIC_RELAXED);
}

static void *send_signals(void *argument)
{
	struct timespec pause = { 0, 60000 };

	while (!__atomic_load_n(&is_done, __ATOMIC_RELAXED)) {
		pthread_kill(busy_thread, SIGPROF);
		nanosleep(&pause, NULL);
	}
	return argument;
}

static size_t walk_sample(const struct sample *sample, size_t n_stack, bool is_short,
	struct perf_walk_frame *frames, size_t max, unsigned *flags)
{
	struct perf_walk_start start = { &sample->context, sample->stack, n_stack, is_short };

	return perf_walk(
		&spaces, perf_spaces_get(&spaces, getpid(), 1), &start, frames, max, flags);
}

static void print_stacks(
	const struct sample *sample, const struct perf_walk_frame *frames, size_t n)
{
	for (size_t i = 0; i < n || i < sample->n_frames; i++) {
		uintptr_t theirs = i < sample->n_frames ? sample->frames[i] : 0;
		Dl_info info = { 0 };

		dladdr((void *)theirs, &info);
		printf("#   %2zu %#jx %#jx %s\n", i, i < n ? (uintmax_t)frames[i].address : 0,
			(uintmax_t)theirs, info.dli_sname ? info.dli_sname : "?");
	}
}

static void test_agrees(void)
{
	unsigned n_same = 0, n_differ = 0;
	size_t n_frames = 0;

	for (unsigned i = 0; i < n_samples; i++) {
		const struct sample *sample = &samples[i];
		struct perf_walk_frame frames[MAX_FRAMES];
		unsigned flags;
		size_t n = walk_sample(sample, sample->n_stack, false, frames, MAX_FRAMES, &flags);
		bool is_same = n == sample->n_frames && flags == sample->flags;

		for (size_t j = 0; j < n && is_same; j++)
			is_same = frames[j].address == sample->frames[j];
		n_same += is_same;
		n_frames += n;
		if (!is_same && n_differ++ < 3) {
			printf("# flags %u, the tracer's %u\n", flags, sample->flags);
			print_stacks(sample, frames, n);
		}
	}
	CHECK_INT(n_same, N_SAMPLES);
	CHECK(n_frames > 5 * (size_t)N_SAMPLES);
}

/* A copy that ends somewhere in the stack: the same frames, as far as it goes. */
static void test_short_copy(void)
{
	unsigned n_wrong = 0, n_cut = 0;

	for (unsigned i = 0; i < n_samples; i++) {
		const struct sample *sample = &samples[i];
		size_t n_stack = (size_t)rand() % sample->n_stack & ~(size_t)7;
		struct perf_walk_frame frames[MAX_FRAMES];
		unsigned flags;
		size_t n = walk_sample(sample, n_stack, true, frames, MAX_FRAMES, &flags);

		n_wrong += n == 0 || n > sample->n_frames;
		for (size_t j = 0; j < n && j < sample->n_frames; j++)
			n_wrong += frames[j].address != sample->frames[j];
		if (n < sample->n_frames && !(sample->flags & FR_STACK_BROKEN))
			n_wrong += !(flags & FR_STACK_CUT);
		n_cut += (flags & FR_STACK_CUT) != 0;
		/* The thread's whole stack, as the kernel said: then it is damaged, not cut. */
		walk_sample(sample, n_stack, false, frames, MAX_FRAMES, &flags);
		n_wrong += (flags & FR_STACK_CUT) != 0;
	}
	CHECK_INT(n_wrong, 0);
	CHECK(n_cut > N_SAMPLES / 4);
}

static void test_depth_limit(void)
{
	const struct sample *sample = &samples[0];
	struct perf_walk_frame frames[3];
	unsigned flags;

	CHECK(sample->n_frames > 3);
	CHECK_INT(walk_sample(sample, sample->n_stack, false, frames, 3, &flags), 3);
	CHECK_INT(flags, FR_STACK_CUT);
	CHECK_INT(frames[2].address, sample->frames[2]);
}

/* Registers and stack that are no stack: at least the pc, and an end. */
static void test_garbage(void)
{
	static struct sample sample;
	unsigned n_wrong = 0;

	for (unsigned i = 0; i < 20000; i++) {
		struct perf_walk_frame frames[MAX_FRAMES];
		uint64_t regs[PERF_REGS_N];
		unsigned flags;
		size_t n;

		for (unsigned k = 0; k < PERF_REGS_N; k++)
			regs[k] = (uint64_t)rand() << (rand() % 40);
		perf_regs_to_context(regs, &sample.context);
		/* Half of them with a pc that is in code. */
		if (i % 2)
			sample.context = samples[i % N_SAMPLES].context;
		for (unsigned k = 0; k < 512; k += 8) {
			uint64_t word = rand() % 3 ? (uint64_t)rand() << (rand() % 30)
						   : samples[rand() % N_SAMPLES].frames[1];

			memcpy(sample.stack + k, &word, 8);
		}
		n = walk_sample(&sample, 512, rand() % 2, frames, MAX_FRAMES, &flags);
		n_wrong += n < 1 || n > MAX_FRAMES;
	}
	CHECK_INT(n_wrong, 0);
}

struct strip_case {
	const char *codes; /* a letter for each frame, leaf first: Program, System, Tracer, Ust */
	unsigned flags;
	const char *kept; /* NULL: one of the tracer's threads */
	bool is_own;
};

static void test_strip(void)
{
	static const struct strip_case cases[] = {
		{ "PPSS", 0, "PPSS", false },
		{ "SPPSS", 0, "SPPSS", false },
		{ "TPPS", 0, "PPS", true },	      /* in a hook */
		{ "STPPS", 0, "SPPS", false },	      /* in what a hook called for the program */
		{ "UTPPS", 0, "PPS", true },	      /* writing an event */
		{ "SUUTPPS", 0, "PPS", true },	      /* what LTTng called meanwhile */
		{ "PPTSS", 0, "PPSS", false },	      /* a thread's start goes through the tracer */
		{ "SUSS", 0, NULL, false },	      /* LTTng's listener */
		{ "STS", 0, NULL, false },	      /* the tracer's own thread */
		{ "SUT", FR_STACK_BROKEN, "", true }, /* whose thread is not known */
		{ "SS", 0, "SS", false },
		{ "P", 0, "P", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct strip_case *c = &cases[i];
		struct perf_walk_frame frames[16];
		uint64_t addresses[16];
		size_t n = strlen(c->codes), n_kept = 0;
		bool is_own = false, is_program;
		char kept[16] = "";

		for (size_t j = 0; j < n; j++) {
			frames[j].address = (uint64_t)c->codes[j];
			frames[j].code = c->codes[j] == 'P'   ? PERF_CODE_PROGRAM
					 : c->codes[j] == 'S' ? PERF_CODE_SYSTEM
					 : c->codes[j] == 'T' ? PERF_CODE_TRACER
							      : PERF_CODE_UST;
		}
		is_program = perf_walk_strip(frames, n, c->flags, addresses, &n_kept, &is_own);
		CHECK_INT(is_program, c->kept != NULL);
		if (!c->kept || !is_program)
			continue;
		for (size_t j = 0; j < n_kept; j++)
			kept[j] = (char)addresses[j];
		CHECK_STR(kept, c->kept);
		CHECK_INT(is_own, c->is_own);
	}
}

static void collect(void)
{
	struct sigaction action = { .sa_sigaction = on_sample,
		.sa_flags = SA_SIGINFO | SA_RESTART };
	pthread_attr_t attr;
	pthread_t sender;
	unsigned seed = 1;
	size_t size;
	void *low;

	samples = mmap(NULL, N_SAMPLES * sizeof(*samples), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (samples == MAP_FAILED)
		abort();
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &low, &size);
	pthread_attr_destroy(&attr);
	bounds = (struct unwind_bounds){ (uintptr_t)low, ((uintptr_t)low + size) & ~(uintptr_t)7, 0,
		0 };
	busy_thread = pthread_self();
	sigaction(SIGPROF, &action, NULL);
	pthread_create(&sender, NULL, send_signals, NULL);
	while (__atomic_load_n(&n_samples, __ATOMIC_RELAXED) < N_SAMPLES)
		seed = busy_round(seed);
	__atomic_store_n(&is_done, true, __ATOMIC_RELAXED);
	pthread_join(sender, NULL);
}

int main(void)
{
	perf_spaces_init(&spaces);
	collect();
	CASE(test_agrees, "a copy of a stack gives the frames that the tracer sees in place");
	CASE(test_short_copy, "a copy that ends early gives the inner frames, and says so");
	CASE(test_depth_limit, "the depth limit cuts, and says so");
	CASE(test_garbage, "what is no stack ends the walk");
	CASE(test_strip, "the tracer's own frames and threads are told apart");
	perf_spaces_fini(&spaces);
	munmap(samples, N_SAMPLES * sizeof(*samples));
	return CHECK_DONE();
}
