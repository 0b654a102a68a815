/* SPDX-License-Identifier: MIT */
/*
 * The walk at every single instruction: the processor's trap flag stops after each one, and the handler
 * compares the walk from its context, and from its own frame, with libgcc's. So every prologue, epilogue, PLT
 * entry and step of lazy binding is met. Also random registers and threads that walk while others invalidate.
 */
#include "check.h"
#include "random.h"
#include "walk.h"

#include <alloca.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/schema.h"

static struct unwind_bounds bounds;
static unsigned n_steps, n_agreed, n_without_rule;

#define TRAP_FLAG 0x100
static volatile bool is_over;

/* The first stop is at an instruction where the stack pointer is what the tables say again. */
__attribute__((noinline)) static void start_stepping(void)
{
	is_over = false;
	__asm__ volatile("sub $128, %%rsp\n\tpushfq\n\torq %0, (%%rsp)\n\tpopfq\n\tadd $128, %%rsp"
			 :
			 : "i"(TRAP_FLAG)
			 : "memory", "cc");
}

static void on_step(int signal, siginfo_t *info, void *context)
{
	struct unwind_start start = unwind_start_context(context), handler = WALK_START_IN_CALLER();
	static struct walk_result walk, from_handler, reference;

	if (is_over) {
		((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
		return;
	}
	n_steps++;
	walk_from(&start, &bounds, WALK_MAX, &walk);
	if (walk.flags &
		FR_STACK_GUESSED) { /* start-up stubs that have no tables: libgcc gives up */
		n_without_rule++;
		return;
	}
	walk_from(&handler, &bounds, WALK_MAX, &from_handler);
	walk_reference(&reference);
	n_agreed += walk_agrees(&walk, &reference) && walk_agrees(&from_handler, &reference);
}

static int order(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/*
 * No frame is realigned here: in the epilogue of such a frame gcc's tables are wrong for three instructions,
 * and libgcc, which believes everything, reads where nothing is.
 */
__attribute__((noinline)) static int shapes(int n, const char *text)
{
	volatile char buffer[256];
	char *grown = alloca((size_t)n + 1);
	struct timespec now;
	int numbers[16];

	clock_gettime(CLOCK_MONOTONIC, &now); /* in the vdso */
	snprintf(grown, (size_t)n, "%s %d %.3f %s", text, n, n / 7.0, strerror(n));
	for (int i = 0; i < 16; i++)
		numbers[i] = i * 7 % 16;
	qsort(numbers, 16, sizeof(int), order);
	buffer[n % 256] = grown[0];
	if (n > 20)
		return shapes(n - 10, text) + buffer[n % 256];
	return numbers[3] + (int)strtol(grown, NULL, 10) + (getenv("HOME") != NULL);
}

static void step_through(void (*work)(void))
{
	struct sigaction action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };

	bounds = walk_own_bounds();
	n_steps = n_agreed = n_without_rule = 0;
	sigaction(SIGTRAP, &action, NULL);
	start_stepping();
	work();
	is_over = true;
	printf("# %u steps, %u in code without tables\n", n_steps, n_without_rule);
	CHECK_INT(n_agreed + n_without_rule, n_steps);
#ifndef __SANITIZE_ADDRESS__ /* which replaces vfork by assembly without tables */
	CHECK(n_without_rule <= n_steps / 1000);
#endif
}

static volatile int sink;

static void do_shapes(void)
{
	sink = shapes(40, "text");
}

static void check_step_shapes(void)
{
	step_through(do_shapes);
	CHECK(n_steps > 5000);
}

static void do_vfork(void)
{
	int status;
	pid_t child = vfork();

	if (child == 0)
		_exit(0);
	waitpid(child, &status, 0);
}

static void check_step_vfork(void)
{
	step_through(do_vfork);
	CHECK(n_steps > 30);
}

/* An address that is wrong in an interesting way. `stack` has `size` bytes between pages without access. */
static uintptr_t odd_address(uintptr_t stack, size_t size)
{
	static const uintptr_t odd[] = { 0, 1, 8, 4095, 4096, 0x7fffffffffff, 0x800000000000,
		UINTPTR_MAX, UINTPTR_MAX - 7, UINTPTR_MAX - 128 };

	switch (random_next() % 8) {
	case 0:
		return odd[random_next() % (sizeof(odd) / sizeof(odd[0]))];
	case 1:
		return random_next();
	case 2: /* code of ours or of libc */
		return (uintptr_t)&shapes + random_next() % 4096;
	case 3:
		return (uintptr_t)&qsort + random_next() % 65536;
	case 4:
		return (uintptr_t)&_Unwind_Backtrace + random_next() % 32768;
	case 5: /* just outside the stack */
		return stack + (random_next() & 1 ? size : 0u - 64) + random_next() % 64;
	default:
		return stack + (random_next() % size & ~(random_next() & 1 ? 7ull : 0ull));
	}
}

static void check_garbage(void)
{
	size_t size = 16 * 4096;
	uint8_t *stack = mmap(NULL, size + 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned ends[UNWIND_END_N] = { 0 }, n_kinds = 0, n_wrong = 0;
	static struct walk_result walk;
	uintptr_t *words = (uintptr_t *)(void *)(stack + 4096);

	mprotect(words, size, PROT_READ | PROT_WRITE);
	for (unsigned round = 0; round < 400; round++) {
		for (size_t i = 0; i < size / 8; i++)
			words[i] = odd_address((uintptr_t)words, size);
		for (unsigned k = 0; k < 1000; k++) {
			struct unwind_bounds own = { (uintptr_t)words, (uintptr_t)words + size, 0,
				0 };
			struct unwind_start start = {
				.pc = odd_address((uintptr_t)words, size),
				.sp = odd_address((uintptr_t)words, size),
				.fp = odd_address((uintptr_t)words, size),
				.bx = odd_address((uintptr_t)words, size),
				.is_call = random_next() & 1,
			};
			size_t max = random_next() % 70;

			if (k % 20 == 0) /* costs a system call per page */
				own = (struct unwind_bounds){ 0 };
			else if (random_next() & 1) /* mostly on the stack */
				start.sp = (uintptr_t)(words + random_next() % (size / 8));
			walk_from(&start, &own, max, &walk);
			n_wrong += walk.n > max;
			ends[walk.end]++;
		}
	}
	CHECK_INT(n_wrong, 0);
	for (unsigned i = 0; i < UNWIND_END_N; i++) {
		if (ends[i])
			printf("# %7u %s\n", ends[i], unwind_end_text((enum unwind_end)i));
		n_kinds += ends[i] != 0;
	}
	CHECK(n_kinds >= 8);
	munmap(stack, size + 8192);
}

static int is_walking;

struct tally {
	unsigned n_walks, n_whole;
};

__attribute__((noinline)) static unsigned walk_here(const struct unwind_bounds *own, int depth)
{
	struct unwind_start start = WALK_START_IN_CALLER();
	struct walk_result walk;
	unsigned n = 0;

	if (depth > 0)
		n = walk_here(own, depth - 1);
	walk_from(&start, own, WALK_MAX, &walk);
	return n + (walk.end == UNWIND_END_START && walk.flags == 0);
}

static void *walk_many(void *argument)
{
	struct unwind_bounds own = walk_own_bounds();
	struct tally *tally = argument;

	while (__atomic_load_n(&is_walking, __ATOMIC_RELAXED)) {
		tally->n_whole += walk_here(&own, 9);
		tally->n_walks += 10;
	}
	return NULL;
}

static void *invalidate_often(void *argument)
{
	for (int i = 0; i < 500; i++) { /* the generation wraps every 31 times */
		unwind_invalidate();
		usleep(100);
	}
	return argument;
}

static void check_threads(void)
{
	pthread_t walker[4], invalidator[2];
	struct tally tally[4] = { { 0, 0 } };

	is_walking = 1;
	for (int i = 0; i < 4; i++)
		pthread_create(&walker[i], NULL, walk_many, &tally[i]);
	for (int i = 0; i < 2; i++)
		pthread_create(&invalidator[i], NULL, invalidate_often, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(invalidator[i], NULL);
	__atomic_store_n(&is_walking, 0, __ATOMIC_RELAXED);
	for (int i = 0; i < 4; i++) {
		pthread_join(walker[i], NULL);
		CHECK(tally[i].n_walks > 0);
		CHECK_INT(tally[i].n_whole, tally[i].n_walks);
	}
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	CASE(check_step_shapes,
		"every instruction of printf, qsort, the vdso, lazy binding agrees");
	CASE(check_step_vfork, "every instruction of vfork agrees, in parent and child");
	CASE(check_garbage, "random registers and stacks end walks, never crash, stay in bounds");
	CASE(check_threads, "threads walk whole stacks while others invalidate the cache");
	return CHECK_DONE();
}
