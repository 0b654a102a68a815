/* SPDX-License-Identifier: MIT */
/* The handler of fatal signals in children of this process: what it writes down, and that they die as they would. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "own_blackbox.h"
#include "proto/stack.h"
#include "tracer/census.h"
#include "tracer/fatal.h"
#include "tracer/helper.h"
#include "tracer/stack.h"

int fr_on = 1;
static struct fr_control control = { .stack_depth = 64 };
const struct fr_control *fr_control = &control;
struct fr_range fr_lttng_all, fr_own;
__thread struct fr_thread fr_self __attribute__((tls_model("initial-exec")));

static volatile int is_helper_broken, is_helper_slow, zero;

int fr_is_lttng_slow(uintptr_t address)
{
	(void)address;
	return 0;
}

int census_is_single(void)
{
	return 0;
}

/* Called when the record is complete. */
void helper_dump(uint64_t wait_ns)
{
	(void)wait_ns;
	if (is_helper_broken)
		*(volatile int *)(uintptr_t)(is_helper_broken * 8) = 1;
	if (is_helper_slow)
		usleep(30000);
}

static struct fr_crash *crash_record(void)
{
	return (struct fr_crash *)((char *)fr_blackbox + fr_blackbox->off_crash);
}

/* Runs `act` in a child that is traced; returns its wait status. */
static int status_of(void (*act)(void))
{
	struct rlimit none = { 0, 0 };
	int status = -1;
	pid_t pid;

	memset(crash_record(), 0, sizeof(struct fr_crash));
	fr_blackbox->state = FR_PROCESS_RUNNING;
	pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		fr_blackbox->pid = (uint32_t)getpid();
		fatal_start();
		alarm(20);
		act();
		_exit(42);
	}
	waitpid(pid, &status, 0);
	return status;
}

static __attribute__((noinline)) void fault(void)
{
	*(volatile int *)(uintptr_t)(0x123 + zero) = 1;
}

static void raise_abort(void)
{
	raise(SIGABRT);
}

static void queue_segv(void)
{
	union sigval value = { .sival_int = 3 };

	sigqueue(getpid(), SIGSEGV, value);
	usleep(1000);
}

static void a_fault_is_recorded(void)
{
	const struct fr_crash *crash = crash_record();
	uint64_t frames[FR_STACK_MAX_FRAMES];
	unsigned flags = 0;
	size_t n;

	CHECK_INT(status_of(fault), SIGSEGV);
	CHECK_INT(crash->state, 2);
	CHECK_INT(crash->signal, SIGSEGV);
	CHECK_INT(crash->code, SEGV_MAPERR);
	CHECK_INT(crash->addr, 0x123);
	CHECK_INT(crash->sender_pid, 0);
	CHECK_INT(crash->tid, fr_blackbox->pid);
	CHECK(crash->pc - (uintptr_t)fault < 100);
	CHECK_INT(crash->n_code, 64);
	/* The same code at the same place: a fork. */
	CHECK(memcmp(crash->code_bytes, (void *)(uintptr_t)crash->code_start, 64) == 0);
	CHECK(crash->n_stack_bytes > 0 && crash->stack_start == crash->sp);
	CHECK(crash->time_ns <= fr_now());
#ifdef __x86_64__
	CHECK_INT(crash->n_regs, NGREG);
	CHECK(crash->regs[REG_RIP] == crash->pc && crash->regs[REG_RSP] == crash->sp);
#endif
	n = stack_record_decode((uint8_t *)fr_blackbox + fr_blackbox->off_stack_arena,
		fr_blackbox->stack_arena_used, crash->stack, frames, FR_STACK_MAX_FRAMES, &flags);
	CHECK(n >= 3);
	CHECK_INT(frames[0], crash->pc + 1);
	CHECK(frames[1] - (uintptr_t)status_of < 1000);
}

static void what_was_sent_is_sent_again(void)
{
	const struct fr_crash *crash = crash_record();

	CHECK_INT(status_of(raise_abort), SIGABRT);
	CHECK_INT(crash->state, 2);
	CHECK_INT(crash->code, SI_TKILL);
	CHECK_INT(crash->sender_pid, fr_blackbox->pid);
	CHECK_INT(crash->addr, 0);
	CHECK_INT(status_of(abort), SIGABRT);
	CHECK_INT(crash->state, 2);
	CHECK_INT(status_of(queue_segv), SIGSEGV);
	CHECK_INT(crash->code, SI_QUEUE);
}

/* A fault while it tells of an abort: still an abort, and the record is there. */
static void a_fault_of_its_own_changes_nothing(void)
{
	is_helper_broken = 1;
	CHECK_INT(status_of(raise_abort), SIGABRT);
	CHECK_INT(crash_record()->state, 2);
	CHECK_INT(crash_record()->signal, SIGABRT);
	CHECK_INT(status_of(fault), SIGSEGV);
	CHECK_INT(crash_record()->addr, 0x123);
	is_helper_broken = 0;
}

static void *fault_in_thread(void *unused)
{
	fault();
	return unused;
}

static void fault_together(void)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, fault_in_thread, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

/* The others wait until the first one has told. */
static void one_of_many_tells(void)
{
	is_helper_slow = 1;
	CHECK_INT(status_of(fault_together), SIGSEGV);
	CHECK_INT(crash_record()->state, 2);
	CHECK(crash_record()->tid != fr_blackbox->pid && crash_record()->n_stack_bytes > 0);
	is_helper_slow = 0;
}

static void on_own(int number)
{
	_exit(number);
}

static void handle_and_fault(void)
{
	struct sigaction own = { .sa_handler = on_own }, old;

	if (disposition_action(fatal_disposition(SIGSEGV), &own, &old) != 0 ||
		old.sa_handler != SIG_DFL || old.sa_flags || !fatal_disposition(SIGBUS) ||
		fatal_disposition(SIGTERM))
		_exit(1);
	fault();
}

static void ignore_and_abort(void)
{
	struct sigaction ignored = { .sa_handler = SIG_IGN }, old;

	if (disposition_action(fatal_disposition(SIGABRT), &ignored, NULL) != 0 ||
		disposition_action(fatal_disposition(SIGABRT), NULL, &old) != 0 ||
		old.sa_handler != SIG_IGN)
		_exit(1);
	raise(SIGABRT);
}

static void give_back_and_abort(void)
{
	struct sigaction own = { .sa_handler = on_own }, standard = { .sa_handler = SIG_DFL }, old;

	if (disposition_action(fatal_disposition(SIGABRT), &own, NULL) != 0 ||
		disposition_action(fatal_disposition(SIGABRT), &standard, &old) != 0 ||
		old.sa_handler != on_own)
		_exit(1);
	raise(SIGABRT);
}

static void the_programs_handler_wins(void)
{
	CHECK_INT(status_of(handle_and_fault), SIGSEGV << 8);
	CHECK_INT(crash_record()->state, 0);
	CHECK_INT(status_of(ignore_and_abort), 42 << 8);
	CHECK_INT(crash_record()->state, 0);
	CHECK_INT(status_of(give_back_and_abort), SIGABRT);
	CHECK_INT(crash_record()->state, 2);
}

static void fault_untraced(void)
{
	fr_blackbox->pid = 1;
	fault();
}

static void fault_in_vfork(void)
{
	fr_self.in_vfork = 1;
	fault();
}

static void ends_in_destructor(void)
{
	fr_blackbox->state = FR_PROCESS_EXITED;
	fr_blackbox->end_ns = 5;
	fr_blackbox->exit_kind = FR_EXIT_NORMAL;
	raise(SIGABRT);
}

static void only_of_its_own_process(void)
{
	CHECK_INT(status_of(fault_untraced), SIGSEGV);
	CHECK_INT(crash_record()->state, 0);
	CHECK_INT(status_of(fault_in_vfork), SIGSEGV);
	CHECK_INT(crash_record()->state, 0);
	/* It said that it ends by itself, and then did not. */
	CHECK_INT(status_of(ends_in_destructor), SIGABRT);
	CHECK_INT(fr_blackbox->state, FR_PROCESS_RUNNING);
	CHECK_INT(fr_blackbox->end_ns, 0);
	CHECK_INT(fr_blackbox->exit_kind, FR_EXIT_UNKNOWN);
}

int main(void)
{
	if (!own_blackbox_open("test_fatal"))
		return 1;
	stack_init(fr_blackbox, blackbox_commit);
	CASE(a_fault_is_recorded, "a fault has its registers, code, stack and frames, and happens");
	CASE(what_was_sent_is_sent_again, "a signal that was sent is sent again as it was");
	CASE(a_fault_of_its_own_changes_nothing, "a fault inside the handler changes nothing");
	CASE(one_of_many_tells, "of threads that crash together one tells, and none is in its way");
	CASE(the_programs_handler_wins, "the program's own handlers win, and may be given back");
	CASE(only_of_its_own_process, "children that are not traced, and ends that are none");
	return CHECK_DONE();
}
