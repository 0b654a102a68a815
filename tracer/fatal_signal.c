/* SPDX-License-Identifier: MIT */
/*
 * The handler of the fatal signals. What it interrupted may be anything, and anything may be broken: it takes no locks, reads
 * memory only after a look whether it is there, and a fault of its own ends the record, not the way the program dies.
 *
 * A fault is let happen again: the default is put in place, and the instruction runs once more. What was sent, or would
 * not happen again, is sent again with what it said. So the wait status, the core and its siginfo are those of the
 * program without us.
 */
#include <string.h>

#include "proto/stack.h"
#include "tracer/census.h"
#include "tracer/fatal.h"
#include "tracer/helper.h"
#include "tracer/internal.h"
#include "tracer/stack.h"
#include "tracer/sys.h"
#include "tracer/unwind_arch.h"

#define MASK_SIZE sizeof(uint64_t)
#define OTHERS_NS 50000000u /* for the stacks of the other threads; they run on meanwhile */
#define TELLER_NS 100000000u
#define CODE_BEFORE 16 /* bytes of code kept before the pc */
#define OVERFLOW_REACH (64u << 10)
#define MAX_FRAME (1u << 20)

static uint32_t teller;	  /* tid of the thread that writes the record; 0 none yet */
static uint32_t has_told; /* the record is complete, or given up */
static void *recover[5];  /* where the teller goes on after a fault of its own */
static uintptr_t frames[FR_STACK_MAX_FRAMES];

void fatal_signal_after_fork(void)
{
	teller = has_told = 0;
}

/* Copies what is readable of [address, address + n), up to the first byte that is not. Returns how much. */
UNWIND_RAW static uint32_t copy(uint8_t *out, uintptr_t address, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n; i++) {
		if ((i == 0 || (address + i) % ARCH_PAGE == 0) &&
			((address + i) >> ARCH_ADDRESS_BITS || address + i < ARCH_PAGE ||
				!arch_probe((address + i) & ~(uintptr_t)7)))
			break;
		out[i] = *(const volatile uint8_t *)(address + i);
	}
	return i;
}

static void save_code(struct fr_crash *crash)
{
	uintptr_t start = crash->pc - CODE_BEFORE;

	/* The page before may be missing. */
	if (start / ARCH_PAGE != crash->pc / ARCH_PAGE && !arch_probe(start & ~(uintptr_t)7))
		start = crash->pc & ~(uintptr_t)(ARCH_PAGE - 1);
	crash->code_start = start;
	crash->n_code = copy(crash->code_bytes, start, sizeof(crash->code_bytes));
}

/* A call that led nowhere: there is no code at the pc, and the caller is where such a call leaves it. */
static int is_lost(const struct fr_crash *crash)
{
	return crash->n_code <= crash->pc - crash->code_start ||
	       (crash->signal == SIGSEGV && crash->code > 0 && crash->addr == crash->pc);
}

static void set_caller(struct unwind_start *start)
{
	uintptr_t address = 0;

	if (ARCH_HAS_LINK) {
		address = start->bx;
	} else if (copy((uint8_t *)&address, start->sp, sizeof(address)) == sizeof(address)) {
		start->sp += sizeof(address);
	} else {
		address = 0;
	}
	start->pc = address;
	start->is_call = 1;
	start->context = NULL;
}

/* No bounds are trusted: the walk looks at every page before it reads there. */
static uint32_t capture(const struct fr_crash *crash, const ucontext_t *context)
{
	struct unwind_start start = unwind_start_context(context);
	const struct unwind_bounds unknown = { 0 };
	unsigned flags = 0;
	size_t n = 0;

	if (is_lost(crash)) {
		frames[n++] = crash->pc + 1;
		set_caller(&start);
	}
	n += unwind_walk(&start, &unknown, frames + n, FR_STACK_MAX_FRAMES - n, &flags);
	/* In our own code it would be our fault: then our frames are what is looked for. */
	if (!fr_is_own(crash->pc))
		n = fr_strip_own(frames, 0, n);
	if (flags & FR_STACK_CUT)
		fr_count(stacks_cut, 1);
	if (flags & FR_STACK_BROKEN)
		fr_count(stacks_broken, 1);
	return stack_intern(frames, n, flags);
}

/* A fault near sp, where sp is at the lower end of its stack or below it. */
static uint32_t is_overflow(const struct fr_thread *t, const struct fr_crash *crash)
{
	const struct unwind_bounds *bounds = &t->bounds;

	if (crash->signal != SIGSEGV || crash->code <= 0 || bounds->own_lo >= bounds->own_hi ||
		crash->sp >= bounds->own_lo + OVERFLOW_REACH)
		return 0;
	return crash->addr + MAX_FRAME >= crash->sp && crash->addr < crash->sp + OVERFLOW_REACH;
}

static void write_record(int number, const siginfo_t *info, const ucontext_t *context)
{
	struct fr_crash *crash = (struct fr_crash *)((char *)fr_blackbox + fr_blackbox->off_crash);
	struct fr_thread *t = &fr_self;

	__atomic_store_n(&crash->state, 1, __ATOMIC_RELEASE);
	crash->signal = (uint32_t)number;
	crash->code = info->si_code;
	crash->error = info->si_errno;
	crash->tid = teller;
	crash->time_ns = fr_now();
	crash->sender_pid = info->si_code <= 0 ? (uint32_t)info->si_pid : 0;
	crash->sender_uid = info->si_code <= 0 ? (uint32_t)info->si_uid : 0;
	crash->addr = info->si_code > 0 ? (uint64_t)info->si_addr : 0;
	crash->pc = arch_context_pc(context);
	crash->sp = arch_context_sp(context);
	crash->n_regs = arch_context_save(context, crash->regs);
	crash->stack = FR_STACK_NONE;
	crash->n_code = crash->n_stack_bytes = 0;
	crash->is_overflow = is_overflow(t, crash);
	/* What is there by now tells most: a fault in what follows loses only that. */
	__atomic_store_n(&crash->state, 2, __ATOMIC_RELEASE);
	save_code(crash);
	crash->stack = capture(crash, context);
	crash->stack_start = crash->sp;
	crash->n_stack_bytes = copy(crash->stack_bytes, crash->sp, sizeof(crash->stack_bytes));
}

/* It has said that it ends by itself, and does not. */
static void take_back_end(void)
{
	if (fr_blackbox->state != FR_PROCESS_EXITED)
		return;
	fr_blackbox->end_ns = 0;
	fr_blackbox->exit_kind = FR_EXIT_UNKNOWN;
	__atomic_store_n(&fr_blackbox->state, FR_PROCESS_RUNNING, __ATOMIC_RELEASE);
}

/*
 * A frame of its own for the place to come back to: no local variable of others lives across it. Everything that a nested
 * handler leaves behind is on the stack below.
 */
static __attribute__((noinline)) void tell(
	int number, const siginfo_t *info, const ucontext_t *context)
{
	if (__builtin_setjmp(recover) == 0) {
		take_back_end();
		write_record(number, info, context);
		if (!census_is_single())
			helper_dump(OTHERS_NS);
	}
	__atomic_store_n(&has_told, 1, __ATOMIC_RELEASE);
}

static __attribute__((noinline, noreturn)) void give_up(void)
{
	__builtin_longjmp(recover, 1);
}

/* Another thread was first: the process ends with its signal, when its record is complete. */
static void wait_for_teller(void)
{
	struct timespec moment = { 0, 1000000 };
	uint64_t end_ns = fr_now() + TELLER_NS;

	while (!__atomic_load_n(&has_told, __ATOMIC_ACQUIRE) && fr_now() < end_ns)
		sys(SYS_nanosleep, &moment, NULL);
}

/* Is the blackbox of this process, and this thread one that may write there? */
static int is_traced(void)
{
	return fr_blackbox && !fr_self.in_vfork && fr_blackbox->pid == (uint32_t)sys(SYS_getpid);
}

static int is_after_syscall(const ucontext_t *context)
{
	uint8_t code[ARCH_SYSCALL_SIZE];

	return copy(code, arch_context_pc(context) - sizeof(code), sizeof(code)) == sizeof(code) &&
	       arch_is_syscall(code);
}

/* Does the instruction at the pc raise it again? Not when the kernel said it on its way out of a system call. */
static int is_repeated(int number, const siginfo_t *info, const ucontext_t *context)
{
	if (info->si_code <= 0 || number == SIGTRAP || number == SIGSYS || number == SIGABRT)
		return 0;
	if (number == SIGBUS && info->si_code == BUS_MCEERR_AO)
		return 0;
	return info->si_code != SI_KERNEL || !is_after_syscall(context);
}

static void let_go(int number, siginfo_t *info, const ucontext_t *context)
{
	static const uint64_t standard[4]; /* the kernel's struct sigaction: SIG_DFL, no flags */
	static const uint64_t all = ~0ull;
	long pid = sys(SYS_getpid), tid = sys(SYS_gettid);

	sys(SYS_rt_sigaction, number, standard, NULL, MASK_SIZE);
	if (is_repeated(number, info, context))
		return;
	/* It arrives as this handler returns, and finds the program where it was. */
	sys(SYS_rt_sigprocmask, SIG_BLOCK, &all, NULL, MASK_SIZE);
	/* By tgkill() where that says the same: abort() has just made it, and a seccomp filter may know no other. */
	if ((info->si_code == SI_TKILL && info->si_pid == pid) ||
		sys(SYS_rt_tgsigqueueinfo, pid, tid, number, info) < 0)
		sys(SYS_tgkill, pid, tid, number);
}

void fatal_on_signal(int number, siginfo_t *info, void *argument)
{
	uint32_t tid = (uint32_t)sys(SYS_gettid), first = 0;
	int saved_errno = errno;

	if (is_traced()) {
		if (__atomic_compare_exchange_n(
			    &teller, &first, tid, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			tell(number, info, argument);
		else if (first != tid)
			wait_for_teller();
		else if (!__atomic_load_n(&has_told, __ATOMIC_RELAXED) && info->si_code > 0)
			give_up();
		else if (!__atomic_load_n(&has_told, __ATOMIC_RELAXED))
			return; /* Sent while we tell of another: that one ends the program. */
	}
	let_go(number, info, argument);
	errno = saved_errno;
}
