/* SPDX-License-Identifier: MIT */
/*
 * The repeated-stack check under what comes at random: trees of calls through frames of all kinds, and handlers
 * at any instruction of a capture. Every hit is compared with a fresh walk. REPEAT_ROUNDS sets how many.
 */
#include "check.h"
#include "random.h"
#include "repeat.h"

#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/time.h>

static sigjmp_buf handler_escape;
static volatile sig_atomic_t n_interrupted, may_jump;

static void on_timer(int signal)
{
	n_interrupted++;
	AFTER(caller_a());
	AFTER(fork_in_the_road((unsigned)n_interrupted, 3));
	if (may_jump && n_interrupted % 7 == 0)
		siglongjmp(handler_escape, 1);
}

/* A handler captures at any instruction of a capture, and jumps out of some. */
static void handlers_interrupt(bool is_jumping)
{
	struct sigaction action = { .sa_handler = on_timer, .sa_flags = SA_NODEFER };
	struct itimerval tick = { { 0, 200 }, { 0, 200 } }, off = { { 0, 0 }, { 0, 0 } };

	reset();
	n_interrupted = 0;
	sigaction(SIGALRM, &action, NULL);
	(void)sigsetjmp(handler_escape, 1);
	may_jump = is_jumping;
	setitimer(ITIMER_REAL, &tick, NULL);
	for (volatile unsigned i = 0; n_interrupted < 300 && n_misses + n_hits < 200000000; i++)
		AFTER(fork_in_the_road(i / 3, 4));
	may_jump = 0;
	setitimer(ITIMER_REAL, &off, NULL);
	CHECK(n_interrupted >= 300);
	CHECK(n_hits > 1000);
	CHECK_INT(n_wrong, 0);
}

static void handlers_that_return(void)
{
	handlers_interrupt(false);
}

static void handlers_that_jump(void)
{
	handlers_interrupt(true);
}

/* Random trees of calls through all of the above. */
static unsigned any(unsigned n)
{
	return (unsigned)(random_next() >> 33) % n;
}

static void wander(void);

static NOINLINE void wander_plain(void)
{
	AFTER(wander());
}

static NOINLINE void wander_large(void)
{
	volatile char room[600];

	room[any(600)] = 1;
	AFTER(wander());
	(void)room[0];
}

static NOINLINE void wander_variable(void)
{
	volatile char *room = alloca(16 * (1 + any(3)));

	room[0] = 1;
	AFTER(wander());
}

#ifdef __clang__
#define FRAMED __attribute__((noinline))
#else
#define FRAMED __attribute__((noinline, noclone, optimize("no-omit-frame-pointer")))
#endif

static FRAMED void wander_framed(void)
{
	AFTER(wander());
}

static NOINLINE void wander_realigned(void)
{
	_Alignas(64) volatile char room[64];

	room[any(64)] = 1;
	AFTER(wander());
	(void)room[0];
}

static unsigned left; /* levels to go */

static NOINLINE void wander(void)
{
	if (left == 0) {
		AFTER(capture());
		return;
	}
	left--;
	switch (any(6)) {
	case 0:
		AFTER(with_rbp(wander, random_state));
		break;
	case 1:
		AFTER(wander_plain());
		break;
	case 2:
		AFTER(wander_variable());
		break;
	case 3:
		AFTER(wander_framed());
		break;
	case 4:
		AFTER(wander_realigned());
		break;
	default:
		AFTER(wander_large());
	}
	__asm__ volatile("" ::: "memory");
}

static void random_calls(void)
{
	const char *wanted = getenv("REPEAT_ROUNDS");
	unsigned n = wanted ? (unsigned)strtoul(wanted, NULL, 10) : 300000;

	reset();
	for (unsigned i = 0; i < n; i++) {
		/* Few seeds, so that many trees come again. */
		random_state = 1 + any(40) * 7919ull + i / 5000 % 7;
		left = any(6);
		AFTER(wander());
		random_state += i;
		any(2);
	}
	printf("# %u hits, %u misses\n", n_hits, n_misses);
	CHECK(n_hits > n / 4);
	CHECK(n_misses > 100);
	CHECK_INT(n_wrong, 0);
}

int main(void)
{
	if (!repeat_begin())
		return 1;
	CASE(handlers_that_return, "captures in handlers that interrupt captures are right");
	CASE(handlers_that_jump, "handlers that jump out of a capture leave right records");
	CASE(random_calls, "every hit of random trees of calls equals a fresh walk");
	return CHECK_DONE();
}
