/* SPDX-License-Identifier: MIT */
/*
 * The repeated-stack check: every hit is compared with a fresh walk. The callers below reach the same capture
 * at the same stack address in different ways, which is what could fool it.
 */
#include "check.h"
#include "repeat.h"

#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <ucontext.h>

/* A second caller with a frame of the same size: pc and sp of the capture are the same, the stack is not. */
static NOINLINE void caller_b(void)
{
	AFTER(leaf());
}

static void same_key_two_stacks(void)
{
	uint32_t id_a, id_b;
	uintptr_t sp_a;

	reset();
	for (unsigned i = 0; i < 10; i++) {
		AFTER(caller_a());
		id_a = last_id;
		sp_a = last_sp;
		AFTER(caller_b());
		id_b = last_id;
		CHECK(id_a != id_b);
		CHECK(sp_a == last_sp);
	}
	CHECK_INT(n_misses, 2);
	CHECK_INT(n_hits, 18);
	CHECK_INT(n_wrong, 0);
}

static void more_stacks_than_ways(void)
{
	reset();
	for (unsigned round = 0; round < 200; round++)
		for (unsigned path = 0; path < 16; path++)
			fork_in_the_road(path, 4);
	CHECK_INT(n_wrong, 0);
	CHECK(n_misses > 0);
	for (unsigned round = 0; round < 200; round++)
		AFTER(fork_in_the_road(5, 4));
	CHECK(n_hits >= 199);
	CHECK_INT(n_wrong, 0);
}

/* Frames that rbp describes, of sizes that change while their sum, and so the leaf's sp, does not. */
static NOINLINE UNWIND_RAW void inner_variable(size_t size)
{
	volatile char *room = alloca(size);

	room[0] = 1;
	AFTER(leaf());
}

static NOINLINE UNWIND_RAW void outer_variable(size_t size, size_t rest)
{
	volatile char *room = alloca(size);

	room[0] = 1;
	AFTER(inner_variable(rest));
}

static void frames_described_by_rbp(void)
{
	uintptr_t sp = 0;
	unsigned n_same_sp = 0;

	reset();
	for (unsigned round = 0; round < 50; round++)
		for (size_t size = 16; size <= 256; size += 16) {
			outer_variable(size, 512 - size);
			n_same_sp += last_sp == sp;
			sp = last_sp;
		}
	CHECK(n_same_sp > 700);
	CHECK_INT(n_wrong, 0);
	for (unsigned round = 0; round < 50; round++)
		outer_variable(64, 448);
	CHECK(n_hits >= 49);
	CHECK_INT(n_wrong, 0);
}

static void rbp_that_does_not_matter(void)
{
	reset();
	for (uintptr_t i = 0; i < 100; i++)
		AFTER(with_rbp(caller_a, i * 0x12345678));
	CHECK_INT(n_misses, 1);
	CHECK_INT(n_hits, 99);
	CHECK_INT(n_wrong, 0);
}

/*
 * Calls `fn` with two outermost frames on the stack, of which rbp selects one: all words of either stay what
 * they are when the other is selected.
 */
void two_frames(void (*fn)(void), uintptr_t which);
__asm__(".text\n"
	".type two_frames, @function\n"
	"two_frames:\n"
	".cfi_startproc\n"
	"push %rbp\n"
	".cfi_def_cfa_offset 16\n"
	".cfi_offset %rbp, -16\n"
	"sub $32, %rsp\n"
	".cfi_def_cfa_offset 48\n"
	"movq $0, (%rsp)\n"
	"lea first_end(%rip), %rax\n"
	"mov %rax, 8(%rsp)\n"
	"movq $0, 16(%rsp)\n"
	"lea second_end(%rip), %rax\n"
	"mov %rax, 24(%rsp)\n"
	"shl $4, %rsi\n"
	"lea (%rsp,%rsi), %rbp\n"
	".cfi_remember_state\n"
	".cfi_def_cfa %rbp, 16\n"
	"call *%rdi\n"
	".cfi_restore_state\n"
	"add $32, %rsp\n"
	".cfi_def_cfa_offset 16\n"
	"pop %rbp\n"
	".cfi_def_cfa_offset 8\n"
	".cfi_restore %rbp\n"
	"ret\n"
	".cfi_endproc\n"
	".size two_frames, . - two_frames\n"
	".cfi_startproc\n"
	".cfi_undefined %rip\n"
	"nop\n"
	"first_end: nop\n"
	"second_end: nop\n"
	".cfi_endproc\n");

static NOINLINE void save_rbp_and_capture(void)
{
	AFTER(with_rbp(capture, 5));
}

static void check_two_frames(void (*fn)(void))
{
	uint32_t first;

	reset();
	for (volatile unsigned i = 0; i < 10; i++) {
		two_frames(fn, 0);
		first = last_id;
		two_frames(fn, 1);
		CHECK(first != last_id);
	}
	CHECK_INT(n_misses, 2);
	CHECK_INT(n_hits, 18);
	CHECK_INT(n_wrong, 0);
}

static void rbp_of_the_start(void)
{
	check_two_frames(capture);
}

static void rbp_saved_further_down(void)
{
	check_two_frames(save_rbp_and_capture);
}

static void other_rules_and_depths(void)
{
	reset();
	for (volatile unsigned i = 0; i < 6; i++) {
		if (i == 2)
			unwind_invalidate();
		if (i == 4)
			depth = 2;
		AFTER(caller_a());
	}
	CHECK_INT(n_misses, 3);
	CHECK_INT(n_hits, 3);
	CHECK_INT(n_wrong, 0);
}

static void kinds_are_kept_apart(void)
{
	struct unwind_start start = WALK_START_IN_CALLER();

	reset();
	AFTER(capture_from(&start, FR_REPEAT_CALL));
	AFTER(capture_from(&start, FR_REPEAT_LOCK));
	AFTER(capture_from(&start, FR_REPEAT_ALLOC));
	CHECK_INT(n_misses, 3);
	AFTER(capture_from(&start, FR_REPEAT_LOCK));
	CHECK_INT(n_hits, 1);
	CHECK_INT(n_wrong, 0);
}

static jmp_buf escape;

static NOINLINE void jump_out(unsigned n)
{
	AFTER(capture());
	if (n > 100)
		return;
	if (n == 0)
		longjmp(escape, 1);
	AFTER(jump_out(n - 1));
}

static void stacks_left_by_longjmp(void)
{
	reset();
	for (volatile unsigned i = 0; i < 300; i++)
		if (setjmp(escape) == 0)
			jump_out(i % 5);
		else
			AFTER(fork_in_the_road(i, 3));
	CHECK(n_hits > 300);
	CHECK_INT(n_wrong, 0);
}

static ucontext_t main_context, coroutine;

static void coroutine_body(void)
{
	for (;;) {
		AFTER(caller_a());
		swapcontext(&coroutine, &main_context);
	}
}

static void coroutines_are_never_kept(void)
{
	const size_t size = 64u << 10;

	reset();
	for (unsigned round = 0; round < 3; round++) {
		char *stack = mmap(
			NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		getcontext(&coroutine);
		coroutine.uc_stack.ss_sp = stack;
		coroutine.uc_stack.ss_size = size;
		makecontext(&coroutine, coroutine_body, 0);
		for (unsigned i = 0; i < 5; i++)
			swapcontext(&main_context, &coroutine);
		munmap(stack, size);
	}
	CHECK_INT(n_hits, 0);
	CHECK_INT(n_kept, 0);
	CHECK_INT(n_misses, 15);
}

/* What a handler does that interrupts a capture between its look-up and its end. */
static NOINLINE void capture_within(const struct unwind_start *outer)
{
	struct repeat_query query;
	struct unwind_trail trail;
	uintptr_t frames[512];
	unsigned flags;
	uint32_t id;
	size_t n;

	CHECK_INT(stack_repeat_find(repeat, FR_REPEAT_CALL, outer, &bounds, depth, &flags, &query),
		FR_STACK_NONE);
	n = unwind_walk_trail(outer, &bounds, frames, depth, &flags, &trail);
	id = intern(frames, n, flags);
	n_kept = n_hits = 0;
	for (volatile unsigned i = 0; i < 2; i++)
		AFTER(caller_a());
	CHECK_INT(n_kept, 0);
	CHECK_INT(n_hits, 0);
	stack_repeat_keep(&query, &trail, id, flags);
	CHECK_INT(stack_repeat_find(repeat, FR_REPEAT_CALL, outer, &bounds, depth, &flags, &query),
		id);
	for (volatile unsigned i = 0; i < 2; i++)
		AFTER(caller_a());
	CHECK_INT(n_kept, 1);
	CHECK_INT(n_hits, 1);
}

static void handler_in_a_capture(void)
{
	struct unwind_start start = WALK_START_IN_CALLER();

	reset();
	AFTER(capture_within(&start));
	CHECK_INT(n_wrong, 0);
}

static NOINLINE void begin_capture(void)
{
	struct unwind_start start = WALK_START_IN_CALLER();
	struct repeat_query query;
	unsigned flags;

	AFTER(stack_repeat_find(repeat, FR_REPEAT_CALL, &start, &bounds, depth, &flags, &query));
}

static NOINLINE void begin_capture_deeper(void)
{
	char room[4096];

	__asm__ volatile("" : : "r"(room) : "memory");
	AFTER(begin_capture());
}

static void capture_left_behind(void)
{
	reset();
	AFTER(begin_capture_deeper());
	for (volatile unsigned i = 0; i < 5; i++)
		AFTER(caller_a());
	CHECK_INT(n_kept, 1);
	CHECK_INT(n_hits, 4);
	CHECK_INT(n_wrong, 0);
}

/* The walk's dependence on other frames: a stack through a handler is not kept. */
static void on_signal(int signal)
{
	AFTER(caller_a());
}

static void signal_frames_are_never_kept(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	reset();
	sigaction(SIGUSR1, &action, NULL);
	for (unsigned i = 0; i < 5; i++)
		raise(SIGUSR1);
	CHECK_INT(n_hits, 0);
	CHECK_INT(n_kept, 0);
}

int main(void)
{
	if (!repeat_begin())
		return 1;
	CASE(same_key_two_stacks, "two stacks with one pc and sp are told apart, and both hit");
	CASE(more_stacks_than_ways, "more stacks of one pc and sp than ways are never mixed up");
	CASE(frames_described_by_rbp, "frames described by rbp that move are noticed");
	CASE(rbp_that_does_not_matter, "a value in rbp that no rule uses does not matter");
	CASE(rbp_of_the_start, "rbp of the start is compared where a rule uses it");
	CASE(rbp_saved_further_down, "so is a saved rbp");
	CASE(handler_in_a_capture, "a capture inside a capture leaves the records alone");
	CASE(capture_left_behind, "a capture that was left does not keep the records");
	CASE(other_rules_and_depths, "an invalidation and another depth limit drop all");
	CASE(kinds_are_kept_apart, "kinds of events have records of their own");
	CASE(stacks_left_by_longjmp, "stacks left by longjmp are no trouble");
	CASE(coroutines_are_never_kept, "stacks of coroutines are never kept");
	CASE(signal_frames_are_never_kept, "stacks through a signal frame are never kept");
	return CHECK_DONE();
}
