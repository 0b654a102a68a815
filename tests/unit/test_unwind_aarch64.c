/* SPDX-License-Identifier: MIT */
/*
 * The walk on aarch64 against libgcc's, built by a cross compiler and run by qemu-user: frames of all sizes,
 * leaf functions, callbacks, threads, signal handlers from the hook and from the context; and repeated stacks.
 */
#include "check.h"
#include "walk.h"

#include <alloca.h>
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>

#include "proto/schema.h"
#include "tracer/stack_repeat.h"
#include "tracer/unwind_cfi.h"

#define NOINLINE __attribute__((noinline, noclone))
#define AFTER(call)                                \
	do {                                       \
		call;                              \
		__asm__ volatile("" ::: "memory"); \
	} while (0)

static __thread struct unwind_bounds bounds;
static unsigned n_agreed, n_walked, n_whole;
static struct walk_result last;

/* The state of the caller just after its call of us. */
#define START_IN_CALLER()                                                     \
	((struct unwind_start){ .pc = (uintptr_t)__builtin_return_address(0), \
		.sp = (uintptr_t)__builtin_dwarf_cfa(),                       \
		.fp = *(const uintptr_t *)__builtin_frame_address(0),         \
		.is_call = 1 })

static NOINLINE void hook(void)
{
	struct unwind_start start = START_IN_CALLER();
	struct walk_result reference;

	walk_from(&start, &bounds, WALK_MAX, &last);
	AFTER(walk_reference(&reference));
	n_walked++;
	n_agreed += (unsigned)walk_agrees(&last, &reference);
	n_whole += last.end == UNWIND_END_START;
}

static void reset(void)
{
	n_agreed = n_walked = n_whole = 0;
}

static NOINLINE void recurse(unsigned depth, size_t size)
{
	volatile char *room = alloca(size);

	room[0] = 1;
	if (depth == 0)
		AFTER(hook());
	else
		AFTER(recurse(depth - 1, size * 7 % 3001 + 1));
}

static NOINLINE void large_frame(unsigned depth)
{
	volatile char room[20000];

	room[depth] = 1;
	if (depth == 0)
		AFTER(hook());
	else
		AFTER(large_frame(depth - 1));
	(void)room[depth];
}

static void frames_of_all_sizes(void)
{
	reset();
	for (unsigned depth = 0; depth < 40; depth++) {
		AFTER(recurse(depth, 16 + depth * 97));
		AFTER(large_frame(depth % 10));
	}
	CHECK_INT(n_walked, 80);
	CHECK_INT(n_agreed, n_walked);
	CHECK_INT(n_whole, n_walked);
}

static int compare(const void *a, const void *b)
{
	int order = *(const int *)a - *(const int *)b;

	AFTER(hook());
	return order;
}

static void callbacks(void)
{
	int numbers[] = { 3, 1, 2, 5, 4 };

	reset();
	qsort(numbers, 5, sizeof(numbers[0]), compare);
	CHECK(n_walked > 4);
	CHECK_INT(n_agreed, n_walked);
}

static void *thread_routine(void *argument)
{
	bounds = walk_own_bounds();
	AFTER(recurse(10, 100));
	return argument;
}

static void threads(void)
{
	pthread_t thread;

	reset();
	CHECK_INT(pthread_create(&thread, NULL, thread_routine, NULL), 0);
	pthread_join(thread, NULL);
	CHECK_INT(n_walked, 1);
	CHECK_INT(n_agreed, 1);
	CHECK_INT(n_whole, 1);
}

static NOINLINE void walk_only(void)
{
	struct unwind_start start = START_IN_CALLER();

	AFTER(walk_from(&start, &bounds, WALK_MAX, &last));
}

/* A handler that interrupts a leaf, which has its return address in x30 alone. */
static volatile uintptr_t leaf_lo, leaf_hi;
static struct walk_result from_context;

void spin_in_leaf(volatile int *flag);
__asm__(".text\n"
	".type spin_in_leaf, %function\n"
	"spin_in_leaf:\n"
	".cfi_startproc\n"
	"1: ldr w1, [x0]\n"
	"cbz w1, 1b\n"
	"ret\n"
	".cfi_endproc\n"
	".size spin_in_leaf, . - spin_in_leaf\n");

static volatile int flag;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	struct unwind_start start = unwind_start_context(context);

	walk_from(&start, &bounds, WALK_MAX, &from_context);
	AFTER(walk_only());
	flag = 1;
}

static NOINLINE void call_leaf(void)
{
	AFTER(spin_in_leaf(&flag));
}

static void *send_signal(void *argument)
{
	struct timespec pause = { 0, 50000000 };

	nanosleep(&pause, NULL);
	pthread_kill(*(pthread_t *)argument, SIGUSR1);
	return NULL;
}

static void signals(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	pthread_t self = pthread_self(), thread;
	size_t skip = 0;

	reset();
	flag = 0;
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, send_signal, &self);
	AFTER(call_leaf());
	pthread_join(thread, NULL);
	/* From the context: the leaf, then its caller by x30, then the rest. */
	CHECK(from_context.n >= 4);
	CHECK_INT(from_context.end, UNWIND_END_START);
	CHECK(from_context.addr[0] - (uintptr_t)spin_in_leaf <= 12);
	CHECK(from_context.addr[1] > (uintptr_t)call_leaf &&
		from_context.addr[1] < (uintptr_t)call_leaf + 64);
	/* From the hook in the handler: the same frames, after the handler's and the trampoline. */
	CHECK_INT(last.end, UNWIND_END_START);
	while (skip < last.n && last.addr[skip] != from_context.addr[0])
		skip++;
	CHECK_INT(last.n - skip, from_context.n);
	CHECK(last.n > skip && memcmp(last.addr + skip, from_context.addr,
				       from_context.n * sizeof(uintptr_t)) == 0);
}

/* Rules of libc: nearly all have the forms that fit in a cache word. */
static void rules_are_read(void)
{
	unsigned n_rows = 0, n_pairs = 0, n_others = 0;

	for (uintptr_t pc = (uintptr_t)qsort; pc < (uintptr_t)qsort + 100000; pc += 4) {
		struct dl_find_object object;
		struct cfi_fde fde;
		struct cfi_row row;

		if (cfi_find(pc, &fde, &object) != CFI_OK)
			continue;
		if (cfi_row_at(&fde, pc, &row) != CFI_OK || row.cfa.kind != CFI_REGISTER) {
			CHECK(false);
			return;
		}
		n_rows++;
		/* x16 while a large frame is made. */
		n_others += row.cfa.reg != ARCH_REG_SP && row.cfa.reg != ARCH_REG_FP;
		if (row.fp.kind == CFI_OFFSET && row.ra.kind == CFI_OFFSET)
			n_pairs += row.ra.value == row.fp.value + 8;
		if (n_rows == 2000)
			break;
	}
	printf("# %u rows, %u with a pair of x29 and x30\n", n_rows, n_pairs);
	CHECK(n_rows > 1000);
	CHECK(n_pairs > 300);
	CHECK(n_others < n_rows / 20);
}

static struct stack_repeat repeat;
static unsigned n_hits, n_wrong;

static NOINLINE void capture(void)
{
	struct unwind_start start = START_IN_CALLER();
	uintptr_t frames[64];
	struct repeat_query query;
	struct unwind_trail trail;
	unsigned flags;
	uint32_t id;
	size_t n;

	id = stack_repeat_find(&repeat, FR_REPEAT_CALL, &start, &bounds, 64, &flags, &query);
	n = unwind_walk_trail(&start, &bounds, frames, 64, &flags, &trail);
	if (id != FR_STACK_NONE) {
		n_hits++;
		n_wrong += id != (uint32_t)(frames[2] & 0xffff) + 2;
		return;
	}
	/* Its third frame names the stack here. */
	AFTER(stack_repeat_keep(
		&query, &trail, n > 2 ? (uint32_t)(frames[2] & 0xffff) + 2 : 0, flags));
}

static NOINLINE void leaf(void)
{
	AFTER(capture());
}

static NOINLINE void caller_a(void)
{
	AFTER(leaf());
}

static NOINLINE void caller_b(void)
{
	AFTER(leaf());
}

static void repeated_stacks(void)
{
	for (volatile int i = 0; i < 10; i++) {
		AFTER(caller_a());
		AFTER(caller_b());
	}
	CHECK_INT(n_hits, 18);
	CHECK_INT(n_wrong, 0);
}

static void authenticated_addresses(void)
{
	CHECK_INT(arch_address(0x00aa123456789abcu), 0x123456789abc);
	CHECK(arch_probe((uintptr_t)&repeat));
	CHECK(!arch_probe(8));
}

int main(void)
{
	if (!cfi_is_available()) {
		printf("1..0 # skip this C library has no _dl_find_object\n");
		return 77;
	}
	bounds = walk_own_bounds();
	CASE(frames_of_all_sizes, "frames of all sizes agree with libgcc");
	CASE(callbacks, "callbacks of libc's qsort agree");
	CASE(threads, "threads agree");
	CASE(signals,
		"a handler that interrupts a leaf agrees, from the hook and from the context");
	CASE(rules_are_read, "rules have the forms that the cache words expect");
	CASE(repeated_stacks, "repeated stacks are known, and told apart");
	CASE(authenticated_addresses, "addresses are stripped, memory is probed");
	return CHECK_DONE();
}
