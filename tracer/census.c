/* SPDX-License-Identifier: MIT */
#include "tracer/census.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>

#include "tracer/internal.h"
#include "tracer/sys.h"

/* The program's threads, and which of the others are liblttng-ust's (of this process: a fork leaves old ones). */
static int n_program_threads;
static int is_first_gone;
static struct {
	uint32_t pid, tid;
} lttng_threads[16];
static uint32_t n_lttng_threads;

void census_add(int step)
{
	__atomic_fetch_add(&n_program_threads, step, __ATOMIC_RELAXED);
}

void census_add_lttng(void)
{
	uint32_t i = __atomic_fetch_add(&n_lttng_threads, 1, __ATOMIC_RELAXED) % 16;

	fr_self.stage = FR_STAGE_OFF;
	lttng_threads[i].pid = (uint32_t)sys(SYS_getpid);
	__atomic_store_n(&lttng_threads[i].tid, (uint32_t)sys(SYS_gettid), __ATOMIC_RELEASE);
}

static int is_lttng_thread(uint32_t pid, uint32_t tid)
{
	int i;

	for (i = 0; i < 16; i++)
		if (lttng_threads[i].tid == tid && lttng_threads[i].pid == pid)
			return 1;
	return 0;
}

/* Is any thread left that is neither this one, nor the first one, nor liblttng-ust's? Unknown counts as yes. */
static int has_other_threads(uint32_t self)
{
	uint32_t pid = (uint32_t)sys(SYS_getpid);
	char buf[1024] __attribute__((aligned(8))) = "";
	long fd = sys(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int has_others = fd < 0;
	long n, at;

	while (fd >= 0 && !has_others && (n = sys(SYS_getdents64, fd, buf, sizeof(buf))) != 0) {
		has_others = n < 0;
		for (at = 0; at < n; at += ((const struct dirent64 *)(buf + at))->d_reclen) {
			uint32_t tid =
				(uint32_t)atoi(((const struct dirent64 *)(buf + at))->d_name);

			if (tid && tid != self && tid != pid && !is_lttng_thread(pid, tid))
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

void census_after_fork(void)
{
	n_program_threads = 1;
	is_first_gone = 0;
}
