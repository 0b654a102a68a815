/* SPDX-License-Identifier: MIT */
/*
 * tracer/unwind.c against libgcc's unwinder: hooks and handlers on all kinds of stacks, objects that come and
 * go, code without tables, garbage. This file is compiled without frame pointers.
 */
#include "check.h"
#include "walk.h"

#include <alloca.h>
#include <dlfcn.h>
#include <link.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "proto/schema.h"
#include "unwind_plugin.h"

static __thread struct unwind_bounds bounds; /* what the hooks below use */
static size_t max_frames = WALK_MAX;
static struct walk_result last; /* of the last hook */
static unsigned n_walks, n_agreed;
static bool is_partial; /* the hooks' walks are meant not to agree with libgcc's */

__attribute__((noinline)) static void hook(void)
{
	struct unwind_start start = WALK_START_IN_CALLER();
	static struct walk_result reference;

	walk_from(&start, &bounds, max_frames, &last);
	n_walks++;
	if (!is_partial) {
		walk_reference(&reference);
		n_agreed += walk_agrees(&last, &reference);
	}
	__asm__ volatile("" ::: "memory"); /* not a tail call */
}

static void reset(void)
{
	bounds = walk_own_bounds();
	max_frames = WALK_MAX;
	n_walks = n_agreed = 0;
	is_partial = false;
	errno = 12345;
}

static void check_agreed(unsigned n_expected, enum unwind_end end)
{
	CHECK_INT(n_walks, n_expected);
	CHECK_INT(n_agreed, n_expected);
	CHECK_INT(last.end, end);
	CHECK_INT(last.flags, 0);
}

__attribute__((noinline)) static int recurse(int depth)
{
	volatile char *data = alloca((size_t)(depth * 37 % 3000) + 1);

	data[0] = 1;
	if (depth == 0)
		hook();
	else
		recurse(depth - 1);
	return data[0];
}

static void check_depths(void)
{
	reset();
	for (int depth = 0; depth < 500; depth += 7)
		recurse(depth);
	check_agreed(72, UNWIND_END_START);
	CHECK_INT(errno, 12345);
}

static void check_cut(void)
{
	size_t n;

	reset();
	recurse(30);
	n = last.n;
	CHECK(n > 31 && n < 40);
	max_frames = n;
	recurse(30);
	check_agreed(2, UNWIND_END_START);
	is_partial = true;
	max_frames = n - 1;
	recurse(30);
	CHECK_INT(last.n, n - 1);
	CHECK_INT(last.flags, FR_STACK_CUT);
	CHECK_INT(last.end, UNWIND_END_DEPTH);
	max_frames = 0;
	recurse(30);
	CHECK_INT(last.n, 0);
	CHECK_INT(last.flags, FR_STACK_CUT);
}

static int compare(const void *a, const void *b)
{
	hook();
	return *(const int *)a - *(const int *)b;
}

static void check_qsort(void)
{
	int numbers[64];

	reset();
	for (int i = 0; i < 64; i++)
		numbers[i] = i * 37 % 64;
	qsort(numbers, 64, sizeof(numbers[0]), compare);
	CHECK(n_walks > 100);
	check_agreed(n_walks, UNWIND_END_START);
}

/* A frame that realigns its stack, 70 KB large: the CFA is an expression or rbp-based. */
__attribute__((noinline)) static int realigned(int n)
{
	_Alignas(64) volatile char data[70000];
	volatile char *more = alloca((size_t)n);

	data[n] = more[0] = 1;
	hook();
	return data[n] + more[0];
}

static void check_realigned(void)
{
	reset();
	realigned(17);
	check_agreed(1, UNWIND_END_START);
}

static struct walk_result from_context;

static void on_signal(int signal, siginfo_t *info, void *context)
{
	struct unwind_start start = unwind_start_context(context);
	static struct walk_result reference;
	struct unwind_bounds own = { bounds.own_lo, bounds.own_hi, 0, 0 };

	hook();
	walk_reference(&reference);
	walk_from(&start, own.hi ? &own : &bounds, WALK_MAX, &from_context);
	n_walks++;
	n_agreed += walk_agrees(&from_context, &reference);
}

static void raise_on(int flags)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags };

	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
}

static void check_signal(void)
{
	reset();
	raise_on(0);
	check_agreed(2, UNWIND_END_START);
	CHECK_INT(from_context.end, UNWIND_END_START);
	CHECK(from_context.n + 2 <= last.n);
}

static void check_alternate(void)
{
	stack_t stack = { .ss_sp = malloc(1 << 16), .ss_size = 1 << 16 },
		off = { .ss_flags = SS_DISABLE };
	struct unwind_bounds own;

	reset();
	own = bounds;
	sigaltstack(&stack, NULL);
	/* Both stacks known; only the alternate one (the other is then probed); neither. */
	bounds = (struct unwind_bounds){ (uintptr_t)stack.ss_sp,
		(uintptr_t)stack.ss_sp + stack.ss_size, own.lo, own.hi };
	raise_on(SA_ONSTACK);
	bounds.own_lo = bounds.own_hi = 0;
	raise_on(SA_ONSTACK);
	bounds.lo = bounds.hi = 0;
	raise_on(SA_ONSTACK);
	check_agreed(6, UNWIND_END_START);
	sigaltstack(&off, NULL);
	free(stack.ss_sp);
}

static void *thread_main(void *argument)
{
	if (argument)
		bounds = walk_own_bounds();
	recurse(20);
	return argument;
}

static void run_thread(void *stack, size_t size, bool is_known)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	if (stack)
		pthread_attr_setstack(&attr, stack, size);
	pthread_create(&thread, &attr, thread_main, is_known ? &attr : NULL);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attr);
}

#define USER_STACK (4u << 20) /* sanitizers need a lot */

static void check_threads(void)
{
	void *stack = aligned_alloc(4096, USER_STACK);

	reset();
	run_thread(NULL, 0, true);
	run_thread(NULL, 0, false);
	run_thread(stack, USER_STACK, true);
	run_thread(stack, USER_STACK, false);
	check_agreed(4, UNWIND_END_START);
	free(stack);
}

static ucontext_t main_context, coroutine_context;

static void coroutine(void)
{
	recurse(10);
	raise_on(0);
	swapcontext(&coroutine_context, &main_context);
	recurse(5);
}

static void check_coroutine(void)
{
	size_t size = 1 << 17;
	char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* Guard pages right below and above, which no walk may touch. */
	mprotect(stack, 4096, PROT_NONE);
	mprotect(stack + size - 4096, 4096, PROT_NONE);
	for (int round = 0; round < 2; round++) {
		reset();
		if (round == 1) /* the thread's bounds, as if nobody had noticed the switch */
			bounds.own_lo = bounds.own_hi = 0;
		else
			bounds = (struct unwind_bounds){ 0 };
		getcontext(&coroutine_context);
		coroutine_context.uc_stack.ss_sp = stack + 4096;
		coroutine_context.uc_stack.ss_size = size - 8192;
		coroutine_context.uc_link = &main_context;
		makecontext(&coroutine_context, coroutine, 0);
		swapcontext(&main_context, &coroutine_context);
		swapcontext(&main_context, &coroutine_context);
		check_agreed(4, UNWIND_END_CONTEXT);
	}
	munmap(stack, size);
}

static void check_vfork(void)
{
	int status = 0;
	pid_t child;

	reset();
	child = vfork();
	if (child == 0) {
		hook();
		_exit((int)n_agreed);
	}
	waitpid(child, &status, 0);
	CHECK(WIFEXITED(status));
	CHECK_INT(WEXITSTATUS(status), 1);
	n_walks = n_agreed = 0;
	hook();
	check_agreed(1, UNWIND_END_START);
}

static char plugin_dir[512]; /* where this program lies, with a slash */

static void *load(const char *name)
{
	char path[600];
	void *object;

	snprintf(path, sizeof(path), "%slib%s.so", plugin_dir, name);
	object = dlopen(path, RTLD_LAZY);
	if (!object)
		printf("# %s\n", dlerror());
	return object;
}

static void check_reuse(void)
{
	uintptr_t before = 0;
	unsigned n_reused = 0;

	reset();
	for (int i = 0; i < 200; i++) {
		void *object = load(i & 1 ? "unwind_plugin_b" : "unwind_plugin_a");
		int (*call)(void (*)(void));

		*(void **)&call = object ? dlsym(object, "plugin_call") : NULL;
		CHECK(call != NULL);
		if (!call)
			return;
		n_reused += (uintptr_t)call == before;
		before = (uintptr_t)call;
		call(hook);
		unwind_closing(1);
		dlclose(object);
		unwind_closing(0);
		unwind_invalidate();
	}
#ifndef __SANITIZE_ADDRESS__ /* which keeps addresses apart */
	CHECK(n_reused > 100);
#endif
	check_agreed(200, UNWIND_END_START);
}

static void check_lazy(void)
{
	void *object = load("unwind_lazy");
	int (*lazily)(int), (*call)(void (*)(void));

	*(void **)&lazily = object ? dlsym(object, "plugin_call_lazily") : NULL;
	*(void **)&call = object ? dlsym(object, "plugin_call") : NULL;
	CHECK(lazily && call);
	if (!lazily || !call)
		return;
	reset();
	call(hook);
	CHECK_INT(lazily(5), 7);
	check_agreed(2, UNWIND_END_START);
	dlclose(object);
	unwind_invalidate();
}

static void check_closing(void)
{
	reset();
	is_partial = true;
	unwind_invalidate();
	unwind_closing(1);
	unwind_closing(1);
	hook();
	CHECK_INT(last.n, 1);
	CHECK_INT(last.flags, FR_STACK_BROKEN);
	CHECK_INT(last.end, UNWIND_END_CLOSING);
	unwind_closing(0);
	hook();
	CHECK_INT(last.end, UNWIND_END_CLOSING);
	unwind_closing(0);
	reset();
	hook();
	check_agreed(1, UNWIND_END_START);
	/* What is in the cache is still used while an object is unloaded. */
	for (volatile int i = 0; i < 2; i++) { /* one call site, however it is optimized */
		if (i == 1)
			unwind_closing(1);
		hook();
	}
	unwind_closing(0);
	check_agreed(3, UNWIND_END_START);
	CHECK(unwind_stats_now()->ends[UNWIND_END_CLOSING - 1] >= 2);
}

static unsigned n_reports, n_refused;
static struct link_map *reported[64];

static bool on_object(const struct dl_find_object *object)
{
	if (n_refused < 3) {
		n_refused++;
		return false;
	}
	if (n_reports < 64)
		reported[n_reports] = object->dlfo_link_map;
	n_reports++;
	return true;
}

static void check_report(void)
{
	reset();
	unwind_on_object = on_object;
	unwind_invalidate();
	for (int i = 0; i < 10; i++)
		recurse(20);
	unwind_on_object = NULL;
	check_agreed(10, UNWIND_END_START);
	CHECK_INT(n_refused, 3);
	CHECK_INT(n_reports, 2); /* this program, libc */
	CHECK(reported[0] != reported[1]);
}

static int pin_object(struct dl_phdr_info *info, size_t size, void *argument)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X)
			unwind_pin(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr,
				info->dlpi_addr + info->dlpi_phdr[i].p_vaddr +
					info->dlpi_phdr[i].p_memsz);
	return 0;
}

/* What was there at the start is never unloaded: its tables may be read at any time. Stays pinned: the last case. */
static void check_pinned(void)
{
	reset();
	unwind_closing(1);
	unwind_invalidate();
	hook();
	CHECK_INT(last.end, UNWIND_END_CLOSING);
	dl_iterate_phdr(pin_object, NULL);
	reset();
	recurse(20);
	unwind_closing(0);
	check_agreed(1, UNWIND_END_START);
}

/* Code that a JIT compiler could have made: with and without a frame pointer. */
static void check_jit(void)
{
	static const uint8_t with_fp[] = { 0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3 };
	static const uint8_t without_fp[] = { 0x55, 0x31, 0xed, 0xff, 0xd7, 0x5d, 0xc3 };
	uint8_t *code = mmap(
		NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void (*call)(void (*)(void)) = NULL;
	struct walk_result outer;

	reset();
	hook();
	outer = last;
	memcpy(code, with_fp, sizeof(with_fp));
	memcpy(code + 64, without_fp, sizeof(without_fp));
	*(void **)&call = code;
	is_partial = true;
	call(hook);
	/* hook's caller is the code; then come the frames of this function, at another call. */
	CHECK_INT(last.n, outer.n + 1);
	CHECK_INT(last.addr[0], (uintptr_t)code + 6);
	CHECK(memcmp(last.addr + 2, outer.addr + 1, (outer.n - 1) * sizeof(outer.addr[0])) == 0);
	CHECK_INT(last.flags, FR_STACK_GUESSED);
	CHECK_INT(last.end, UNWIND_END_START);
	/* Nobody can know where this one was called from. */
	*(void **)&call = code + 64;
	call(hook);
	CHECK_INT(last.n, 1);
	CHECK_INT(last.flags, FR_STACK_BROKEN);
	CHECK_INT(last.end, UNWIND_END_NO_OBJECT);
	munmap(code, 4096);
}

int main(int argc, char **argv)
{
	char *slash;

	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(plugin_dir, sizeof(plugin_dir), "%s", argv[0]);
	slash = strrchr(plugin_dir, '/');
	snprintf(slash ? slash : plugin_dir, 16, "/../lib/");
	CASE(check_depths, "frames of all sizes agree with libgcc at many depths; errno is kept");
	CASE(check_cut, "a stack is marked as cut exactly when frames are missing");
	CASE(check_qsort, "callbacks of libc's qsort agree");
	CASE(check_realigned, "a realigned frame of 70 KB agrees");
	CASE(check_signal, "a handler's stack agrees, from the hook and from the context");
	CASE(check_alternate, "a handler on an alternate stack agrees and goes on to the thread's");
	CASE(check_threads, "threads agree, on stacks of their own and the user's");
	CASE(check_coroutine, "coroutines agree on an unknown stack between guard pages");
	CASE(check_vfork, "child and parent of vfork agree");
	CASE(check_reuse, "objects loaded at a reused address agree after invalidation");
	CASE(check_lazy, "a resolver inside lazy binding agrees");
	CASE(check_closing, "while an object is unloaded, misses are refused and hits are not");
	CASE(check_report, "each object is reported once");
	CASE(check_jit, "code without tables is crossed by frame pointer, and marked");
	CASE(check_pinned, "objects that are pinned are read while another is unloaded");
	return CHECK_DONE();
}
