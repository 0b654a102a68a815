/* SPDX-License-Identifier: MIT */
#include "tracer/census.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>

#include "tracer/internal.h"
#include "tracer/sys.h"

/* The program's threads, and which of the others are liblttng-ust's and ours (of this process: a fork leaves old ones). */
static int n_program_threads;
static int is_first_gone;
static struct {
	uint32_t pid, tid;
} own_threads[CENSUS_MAX_OWN];
static uint32_t n_own_threads;
static int n_own_starting; /* that have not said who they are */

void census_add(int step)
{
	__atomic_fetch_add(&n_program_threads, step, __ATOMIC_RELAXED);
}

void census_add_own(void)
{
	uint32_t i = __atomic_fetch_add(&n_own_threads, 1, __ATOMIC_RELAXED) % CENSUS_MAX_OWN;

	fr_self.stage = FR_STAGE_OFF;
	own_threads[i].pid = (uint32_t)sys(SYS_getpid);
	__atomic_store_n(&own_threads[i].tid, (uint32_t)sys(SYS_gettid), __ATOMIC_RELEASE);
}

void census_own_starts(int step)
{
	__atomic_fetch_add(&n_own_starting, step, __ATOMIC_RELEASE);
}

/* A moment until those that were just created are known; at most 1 s. */
static void await_own_threads(void)
{
	struct timespec moment = { 0, 100000 };
	int n;

	for (n = 0; n < 10000 && __atomic_load_n(&n_own_starting, __ATOMIC_ACQUIRE) > 0; n++)
		sys(SYS_nanosleep, &moment, NULL);
}

static int is_own_thread(uint32_t pid, uint32_t tid)
{
	int i;

	for (i = 0; i < CENSUS_MAX_OWN; i++)
		if (own_threads[i].tid == tid && own_threads[i].pid == pid)
			return 1;
	return 0;
}

int census_is_single(void)
{
	return __atomic_load_n(&n_program_threads, __ATOMIC_RELAXED) <= 1;
}

uint32_t census_own(uint32_t i)
{
	uint32_t tid = __atomic_load_n(&own_threads[i].tid, __ATOMIC_ACQUIRE);

	return own_threads[i].pid == (uint32_t)sys(SYS_getpid) ? tid : 0;
}

/* Is any thread left that is neither this one, nor the first one, nor liblttng-ust's or ours? Unknown counts as yes. */
static int has_other_threads(uint32_t self)
{
	uint32_t pid = (uint32_t)sys(SYS_getpid);
	char buf[1024] __attribute__((aligned(8))) = "";
	int has_others;
	long fd, n, at;

	await_own_threads();
	fd = sys(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	has_others = fd < 0;

	while (fd >= 0 && !has_others && (n = sys(SYS_getdents64, fd, buf, sizeof(buf))) != 0) {
		has_others = n < 0;
		for (at = 0; at < n; at += ((const struct dirent64 *)(buf + at))->d_reclen) {
			uint32_t tid =
				(uint32_t)atoi(((const struct dirent64 *)(buf + at))->d_name);

			if (tid && tid != self && tid != pid && !is_own_thread(pid, tid))
				has_others = 1;
		}
	}
	if (fd >= 0)
		sys(SYS_close, fd);
	return has_others;
}

void census_leave(uint32_t tid)
{
	if (tid == (uint32_t)sys(SYS_getpid))
		__atomic_store_n(&is_first_gone, 1, __ATOMIC_SEQ_CST);
	if (__atomic_sub_fetch(&n_program_threads, 1, __ATOMIC_SEQ_CST) <= 0 &&
		__atomic_load_n(&is_first_gone, __ATOMIC_SEQ_CST) && !has_other_threads(tid))
		exit(0);
}

int census_is_alone(void)
{
	return __atomic_load_n(&n_program_threads, __ATOMIC_RELAXED) <= 1;
}

void census_after_fork(void)
{
	n_program_threads = 1;
	n_own_starting = 0;
	is_first_gone = 0;
}
