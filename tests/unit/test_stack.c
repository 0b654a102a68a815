/* SPDX-License-Identifier: MIT */
/* tracer/stack.c and proto/stack.h: interning, reading back, overflow, threads, signals, damage. */
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/blackbox.h"
#include "proto/schema.h"
#include "proto/stack.h"
#include "random.h"
#include "tracer/stack.h"

#define PAGE 4096u
#define OFF_INDEX (((uint64_t)sizeof(struct fr_blackbox) + PAGE - 1) & ~(uint64_t)(PAGE - 1))
#define OFF_ARENA (OFF_INDEX + FR_BB_STACK_INDEX * sizeof(uint64_t))
#define FILE_SIZE (OFF_ARENA + FR_BB_STACK_ARENA)

static struct fr_blackbox *blackbox;
static uint8_t *arena;
static uint64_t n_committed, commit_limit;

/* Pages that were not committed have no access, so that touching one too early is a crash. */
static int commit(uint64_t offset, uint64_t size)
{
	if (__atomic_add_fetch(&n_committed, size, __ATOMIC_RELAXED) > commit_limit) {
		__atomic_sub_fetch(&n_committed, size, __ATOMIC_RELAXED);
		return -ENOSPC;
	}
	if (offset < OFF_INDEX || offset + size > FILE_SIZE)
		return -EINVAL;
	return mprotect((uint8_t *)blackbox + offset, size, PROT_READ | PROT_WRITE) ? -errno : 0;
}

static void fresh_table(uint64_t limit)
{
	if (blackbox)
		munmap(blackbox, FILE_SIZE);
	blackbox = mmap(NULL, FILE_SIZE, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (blackbox == MAP_FAILED || mprotect(blackbox, OFF_INDEX, PROT_READ | PROT_WRITE) != 0)
		abort();
	blackbox->off_stack_index = OFF_INDEX;
	blackbox->off_stack_arena = OFF_ARENA;
	arena = (uint8_t *)blackbox + OFF_ARENA;
	n_committed = 0;
	commit_limit = limit;
	stack_init(blackbox, commit);
}

/* The same stack for the same number; real-looking addresses, 1 to 60 frames. */
static size_t make_stack(unsigned number, uintptr_t *addr)
{
	uint64_t state = (number + 1) * 0x9e3779b97f4a7c15ull;
	size_t n = 1 + random_from(&state) % 60;

	addr[0] = 0x7f0000000000u + number; /* all differ */
	for (size_t i = 1; i < n; i++)
		addr[i] = (random_from(&state) & 3 ? 0x555555554000u : 0x7f1234000000u) +
			  (random_from(&state) & 0xfffff);
	return n;
}

/* Whether the record reads back as this stack. */
static int reads_back(uint32_t id, const uintptr_t *addr, size_t n, unsigned flags)
{
	uint64_t out[FR_STACK_MAX_FRAMES];
	unsigned flags_out = ~0u;

	if (stack_record_decode(arena, blackbox->stack_arena_used, id, out, FR_STACK_MAX_FRAMES,
		    &flags_out) != n)
		return 0;
	return flags_out == flags && memcmp(out, addr, n * sizeof(*out)) == 0;
}

static void check_ids(void)
{
	uintptr_t addr[60];
	uint32_t first[1000];

	fresh_table(UINT64_MAX);
	CHECK_INT(stack_intern(addr, 0, 0), FR_STACK_NONE);
	for (unsigned i = 0; i < 1000; i++) {
		size_t n = make_stack(i, addr);

		first[i] = stack_intern(addr, n, i & 7);
		CHECK(first[i] >= FR_STACK_FIRST_ID);
		CHECK(reads_back(first[i], addr, n, i & 7));
	}
	for (unsigned i = 0; i < 1000; i++)
		CHECK_INT(stack_intern(addr, make_stack(i, addr), i & 7), first[i]);
	CHECK_INT(blackbox->counters.stacks, 1000);
	CHECK_INT(blackbox->counters.stacks_overflow, 0);
}

static void check_distinct(void)
{
	uintptr_t a[2] = { 0x1000, 0x2000 }, b[2] = { 0x2000, 0x1000 };
	uint32_t id;

	fresh_table(UINT64_MAX);
	id = stack_intern(a, 2, 0);
	CHECK(stack_intern(b, 2, 0) != id);
	CHECK(stack_intern(a, 1, 0) != id);
	CHECK(stack_intern(a, 2, FR_STACK_CUT) != id);
	CHECK_INT(stack_intern(a, 2, 0), id);
}

static void check_extremes(void)
{
	static uintptr_t addr[FR_STACK_MAX_FRAMES + 1];
	uint32_t id;

	fresh_table(UINT64_MAX);
	for (unsigned i = 0; i <= FR_STACK_MAX_FRAMES; i++)
		addr[i] = i & 1 ? UINT64_MAX : 0x8000000000000000u;
	id = stack_intern(addr, FR_STACK_MAX_FRAMES, 0);
	CHECK(reads_back(id, addr, FR_STACK_MAX_FRAMES, 0));
	id = stack_intern(addr, FR_STACK_MAX_FRAMES + 1, FR_STACK_GUESSED);
	CHECK(reads_back(id, addr, FR_STACK_MAX_FRAMES, FR_STACK_GUESSED | FR_STACK_CUT));
}

/* The figure that the format was chosen for; the frames are those of a deep interpreter stack. */
static void check_size(void)
{
	static const uint32_t text[] = { 0x1041a3, 0x1041a3, 0x10b7c2, 0x2f0044, 0x2f0a91,
		0x11c0de };
	uint64_t addr[27];

	for (unsigned i = 0; i < 27; i++)
		addr[i] = 0x557712340000u + text[i % 6];
	addr[0] = 0x7f33aa10c2f9u;
	addr[25] = 0x7f33aa027d0au;
	addr[26] = 0x7f33aa027dc5u;
	CHECK(stack_record_size(addr, 27) <= 110);
}

static void check_full_index(void)
{
	uintptr_t addr[1] = { 0 };
	unsigned n_kept = 0, n_lost = 0;

	fresh_table(UINT64_MAX);
	for (unsigned i = 1; i <= FR_BB_STACK_INDEX + 5000; i++) {
		addr[0] = i * 64;
		if (stack_intern(addr, 1, 0) == FR_STACK_OVERFLOW)
			n_lost++;
		else
			n_kept++;
	}
	CHECK(n_kept > FR_BB_STACK_INDEX * 95 / 100);
	CHECK(n_kept <= FR_BB_STACK_INDEX);
	CHECK_INT(blackbox->counters.stacks, n_kept);
	CHECK_INT(blackbox->counters.stacks_overflow, n_lost);
	addr[0] = 64;
	CHECK(reads_back(stack_intern(addr, 1, 0), addr, 1, 0));
}

static void check_full_arena(void)
{
	static uintptr_t addr[FR_STACK_MAX_FRAMES];
	uint64_t state = 1;
	unsigned n_kept = 0;

	fresh_table(UINT64_MAX);
	for (unsigned i = 0; i < 10000; i++) {
		for (unsigned k = 0; k < FR_STACK_MAX_FRAMES; k++)
			addr[k] = random_from(&state);
		n_kept += stack_intern(addr, FR_STACK_MAX_FRAMES, 0) != FR_STACK_OVERFLOW;
	}
	CHECK(blackbox->counters.stacks_overflow == 10000 - n_kept);
	CHECK(n_kept > 6000 && n_kept < 7500);
	CHECK(blackbox->stack_arena_used <= FR_BB_STACK_ARENA);
	CHECK(blackbox->stack_arena_used > FR_BB_STACK_ARENA - 6000);
}

static void check_file_full(void)
{
	uintptr_t addr[60];
	unsigned n_kept = 0, n_more = 0;

	fresh_table(600u << 10);
	for (unsigned i = 0; i < 20000; i++)
		n_kept += stack_intern(addr, make_stack(i, addr), 0) != FR_STACK_OVERFLOW;
	CHECK(n_kept > 0 && n_kept < 20000);
	CHECK_INT(blackbox->counters.stacks_overflow, 20000 - n_kept);
	/* Nothing was used up by the failures, and the table goes on when there is room again. */
	CHECK(blackbox->stack_arena_used <= 600u << 10);
	commit_limit = UINT64_MAX;
	for (unsigned i = 20000; i < 21000; i++)
		n_more += stack_intern(addr, make_stack(i, addr), 0) != FR_STACK_OVERFLOW;
	CHECK(n_more >= 1000 - 256);
}

#define N_THREADS 8
#define N_STACKS (FR_BB_STACK_INDEX / 4 * 3)
static uint32_t (*ids)[N_STACKS]; /* owned; per thread */
static pthread_barrier_t barrier;

static void *insert_all(void *argument)
{
	unsigned thread = (unsigned)(uintptr_t)argument;
	uintptr_t addr[60];

	pthread_barrier_wait(&barrier);
	for (unsigned i = 0; i < N_STACKS; i++) {
		unsigned number = thread & 1 ? N_STACKS - 1 - i : i;

		ids[thread][number] = stack_intern(addr, make_stack(number, addr), 0);
	}
	return NULL;
}

static void check_threads(void)
{
	pthread_t thread[N_THREADS];
	unsigned n_differ = 0, n_wrong = 0;
	uintptr_t addr[60];

	fresh_table(UINT64_MAX);
	ids = calloc(N_THREADS, sizeof(*ids));
	pthread_barrier_init(&barrier, NULL, N_THREADS);
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_create(&thread[i], NULL, insert_all, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < N_STACKS; i++) {
		size_t n = make_stack(i, addr);

		for (unsigned k = 1; k < N_THREADS; k++)
			n_differ += ids[k][i] != ids[0][i];
		n_wrong += !reads_back(ids[0][i], addr, n, 0);
	}
	CHECK_INT(n_differ, 0);
	CHECK_INT(n_wrong, 0);
	CHECK_INT(blackbox->counters.stacks, N_STACKS);
	CHECK_INT(blackbox->counters.stacks_overflow, 0);
	free(ids);
}

#define N_IN_SIGNAL (FR_BB_STACK_INDEX / 2)
static volatile sig_atomic_t n_signals;
static volatile unsigned handler_number;
static volatile unsigned n_handler_wrong;

static void intern_in_handler(int signal)
{
	uintptr_t addr[60];
	unsigned number = handler_number++ % N_IN_SIGNAL;
	size_t n = make_stack(number, addr);

	n_signals++;
	n_handler_wrong += !reads_back(stack_intern(addr, n, 0), addr, n, 0);
}

/* The handler inserts the very stacks that it interrupts the insertion of. */
static void check_signal(void)
{
	struct sigaction action = { .sa_handler = intern_in_handler };
	struct itimerspec every = { { 0, 50000 }, { 0, 50000 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	unsigned n_wrong = 0;
	uintptr_t addr[60];
	timer_t timer;

	fresh_table(UINT64_MAX);
	sigaction(SIGUSR1, &action, NULL);
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &every, NULL);
	for (unsigned i = 0; i < 200000; i++) {
		unsigned number = i % N_IN_SIGNAL;
		size_t n;

		if (i % 1000 == 0)
			handler_number = number;
		n = make_stack(number, addr);
		n_wrong += !reads_back(stack_intern(addr, n, 0), addr, n, 0);
	}
	timer_delete(timer);
	CHECK(n_signals > 100);
	CHECK_INT(n_wrong, 0);
	CHECK_INT(n_handler_wrong, 0);
	CHECK_INT(blackbox->counters.stacks, N_IN_SIGNAL);
}

/* A process killed at any moment leaves an index whose every entry can be read. */
static void check_kill(void)
{
	uint64_t *index;
	unsigned n_entries = 0, n_bad = 0;
	uint64_t out[FR_STACK_MAX_FRAMES];
	unsigned flags;
	pid_t child;

	fresh_table(UINT64_MAX);
	if (mprotect(blackbox, FILE_SIZE, PROT_READ | PROT_WRITE) != 0)
		abort();
	child = fork();
	if (child == 0) {
		uintptr_t addr[60];

		for (unsigned i = 0; i < 60000; i++)
			stack_intern(addr, make_stack(i, addr), 0);
		pause();
		_exit(0);
	}
	while (__atomic_load_n(&blackbox->counters.stacks, __ATOMIC_RELAXED) < 1000)
		usleep(100);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	index = (uint64_t *)(void *)((uint8_t *)blackbox + OFF_INDEX);
	for (unsigned i = 0; i < FR_BB_STACK_INDEX; i++) {
		if (!index[i])
			continue;
		n_entries++;
		n_bad += stack_record_decode(arena, blackbox->stack_arena_used,
				 stack_entry_id(index[i]), out, FR_STACK_MAX_FRAMES, &flags) == 0;
	}
	CHECK(n_entries >= 1000);
	CHECK_INT(n_bad, 0);
}

static void check_damage(void)
{
	uint64_t out[FR_STACK_MAX_FRAMES], state = 7;
	unsigned flags, n_read = 0;
	uintptr_t addr[60];

	fresh_table(UINT64_MAX);
	for (unsigned i = 0; i < 200; i++)
		stack_intern(addr, make_stack(i, addr), 0);
	CHECK(blackbox->stack_arena_used < 1 << 16);
	for (unsigned round = 0; round < 300; round++) {
		size_t size = random_from(&state) % blackbox->stack_arena_used;
		/* An allocation of its own, so that a sanitizer sees any read past the end. */
		uint8_t *copy = malloc(size + 1);

		memcpy(copy, arena, size);
		for (unsigned k = 0; size && k < 1 + size / 64; k++)
			copy[random_from(&state) % size] = (uint8_t)random_from(&state);
		for (uint32_t id = 0; id < size / 8 + 3; id++) {
			size_t max = random_from(&state) % FR_STACK_MAX_FRAMES;

			n_read += stack_record_decode(copy, size, id, out, max, &flags) > max;
		}
		free(copy);
	}
	CHECK_INT(n_read, 0);
	/* A changed byte of a record is noticed. */
	make_stack(0, addr);
	CHECK(stack_record_decode(arena, blackbox->stack_arena_used, FR_STACK_FIRST_ID, out,
		      FR_STACK_MAX_FRAMES, &flags) != 0);
	arena[FR_STACK_FIRST_ID * 8 + sizeof(struct fr_stack_record)] ^= 2;
	CHECK_INT(stack_record_decode(arena, blackbox->stack_arena_used, FR_STACK_FIRST_ID, out,
			  FR_STACK_MAX_FRAMES, &flags),
		0);
	CHECK_INT(stack_record_decode(arena, blackbox->stack_arena_used, UINT32_MAX, out,
			  FR_STACK_MAX_FRAMES, &flags),
		0);
	CHECK_INT(
		stack_record_decode(arena, 4, FR_STACK_FIRST_ID, out, FR_STACK_MAX_FRAMES, &flags),
		0);
}

int main(void)
{
	uintptr_t addr[1] = { 0x1000 };

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (stack_intern(addr, 1, 0) != FR_STACK_NONE)
		return 1;
	CASE(check_ids, "a stack has one id, reads back from it, and is counted once");
	CASE(check_distinct, "order, length and flags make different stacks");
	CASE(check_extremes,
		"the longest stack of the worst addresses is kept, longer ones are cut");
	CASE(check_size, "a stack of 27 frames takes at most 110 bytes");
	CASE(check_full_index, "a full index loses and counts new stacks, and keeps the old");
	CASE(check_full_arena, "a full arena loses and counts new stacks");
	CASE(check_file_full, "a file that cannot grow loses and counts stacks, and recovers");
	CASE(check_threads, "8 threads that insert the same stacks get the same ids");
	CASE(check_signal, "a handler may interrupt an insert and insert the same stack");
	CASE(check_kill, "a process killed while inserting leaves no half record");
	CASE(check_damage, "a damaged arena is refused without reading outside it");
	return CHECK_DONE();
}
