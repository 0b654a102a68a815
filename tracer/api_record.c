/* SPDX-License-Identifier: MIT */
/* What a program asks its recorder for: rates, CPU profiles, traces, the flight recorder. */
#include "tracer/api_record.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "tracer/ask.h"
#include "tracer/flightrec.h"
#include "tracer/internal.h"
#include "tracer/sys.h"

/* Asks for something whose answer is only whether it went well. */
static int command(uintptr_t frame, const char *method, const char *target)
{
	struct ask_reply reply;
	int ret = ask(frame, method, target, -1, &reply);

	return ret < 0 ? ret : ask_error(&reply);
}

static int set_rate(uintptr_t frame, const char *name, uint64_t value)
{
	char target[100];

	snprintf(target, sizeof(target), "/debug/flightrec/rates?%s=%llu", name,
		(unsigned long long)value);
	return command(frame, "POST", target);
}

static uint64_t at_least_0(int64_t value)
{
	return value > 0 ? (uint64_t)value : 0;
}

FR_EXPORT int64_t flightrec_set_block_rate(int64_t ns)
{
	int64_t before;
	int ret;

	if (!fr_on)
		return -ENOTCONN;
	before = (int64_t)__atomic_load_n(&fr_control->block_rate_ns, __ATOMIC_RELAXED);
	ret = set_rate(FR_FRAME(), "block_ns", at_least_0(ns));
	return ret < 0 ? ret : before;
}

FR_EXPORT int flightrec_set_mutex_fraction(int n)
{
	int before, ret;

	if (!fr_on)
		return -ENOTCONN;
	before = (int)__atomic_load_n(&fr_control->mutex_fraction, __ATOMIC_RELAXED);
	ret = n < 0 ? 0 : set_rate(FR_FRAME(), "mutex_fraction", (uint64_t)n);
	return ret < 0 ? ret : before;
}

FR_EXPORT int64_t flightrec_set_alloc_rate(int64_t bytes)
{
	int64_t before;
	int ret;

	if (!fr_on)
		return -ENOTCONN;
	before = (int64_t)__atomic_load_n(&fr_control->alloc_rate, __ATOMIC_RELAXED);
	ret = set_rate(FR_FRAME(), "alloc_rate", at_least_0(bytes));
	return ret < 0 ? ret : before;
}

/*
 * A profile or trace that this process has started, and the descriptor that it is to be written to: a copy, since the
 * program may close its own and get the number for something else.
 */
#define NONE (-1)
#define CHANGING (-2)
static int cpu_fd = NONE, trace_fd = NONE;

static int start(uintptr_t frame, int *held, int fd, const char *target)
{
	int none = NONE, ret;
	long copy;

	if (!fr_on)
		return -ENOTCONN;
	if (!__atomic_compare_exchange_n(
		    held, &none, CHANGING, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return -EBUSY;
	copy = sys(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
	ret = copy < 0 ? (int)copy : command(frame, "POST", target);
	if (ret < 0 && copy >= 0)
		sys(SYS_close, copy);
	__atomic_store_n(held, ret < 0 ? NONE : (int)copy, __ATOMIC_RELEASE);
	return ret;
}

static int stop(uintptr_t frame, int *held, const char *target)
{
	int fd = __atomic_load_n(held, __ATOMIC_RELAXED), ret;
	struct ask_reply reply;

	do {
		if (fd < 0)
			return 0;
	} while (!__atomic_compare_exchange_n(
		held, &fd, CHANGING, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	ret = ask(frame, "POST", target, fd, &reply);
	sys(SYS_close, fd);
	__atomic_store_n(held, NONE, __ATOMIC_RELEASE);
	return ret < 0 ? ret : ask_error(&reply);
}

void api_record_after_fork(void)
{
	int *const all[] = { &cpu_fd, &trace_fd };
	unsigned i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (*all[i] >= 0)
			sys(SYS_close, *all[i]);
		*all[i] = NONE;
	}
}

FR_EXPORT int flightrec_cpu_profile_start(int fd, int hz)
{
	char target[100] = "/debug/flightrec/cpu/start";

	if (hz < 0)
		return -EINVAL;
	if (hz)
		snprintf(target, sizeof(target), "/debug/flightrec/cpu/start?hz=%d", hz);
	return start(FR_FRAME(), &cpu_fd, fd, target);
}

FR_EXPORT int flightrec_cpu_profile_stop(void)
{
	char target[100];

	snprintf(target, sizeof(target), "/debug/flightrec/cpu/stop?pid=%ld", sys(SYS_getpid));
	return stop(FR_FRAME(), &cpu_fd, target);
}

FR_EXPORT int flightrec_trace_start(int fd)
{
	return start(FR_FRAME(), &trace_fd, fd, "/debug/flightrec/trace/start");
}

FR_EXPORT int flightrec_trace_stop(void)
{
	return stop(FR_FRAME(), &trace_fd, "/debug/flightrec/trace/stop");
}

FR_EXPORT int flightrec_recorder_is_enabled(void)
{
	return fr_on && __atomic_load_n(&fr_control->is_run, __ATOMIC_RELAXED);
}

FR_EXPORT int flightrec_recorder_start(int64_t ms)
{
	char target[100];

	if (ms <= 0)
		return -EINVAL;
	snprintf(
		target, sizeof(target), "/debug/trace/recorder/run?duration=%lldms", (long long)ms);
	return command(FR_FRAME(), "GET", target);
}

FR_EXPORT int flightrec_recorder_stop(void)
{
	return command(FR_FRAME(), "GET", "/debug/trace/recorder/stop");
}

FR_EXPORT int flightrec_recorder_snapshot(int fd)
{
	struct ask_reply reply;
	int ret = ask(FR_FRAME(), "GET", "/debug/trace/recorder/snapshot?download=1", fd, &reply);

	return ret < 0 ? ret : ask_error(&reply);
}

/* Under another name first: whoever finds `path` finds all of it. */
FR_EXPORT int flightrec_recorder_snapshot_file(const char *path)
{
	char temporary[4096];
	long fd, ret;
	int n;

	if (!path)
		return -EINVAL;
	n = snprintf(temporary, sizeof(temporary), "%s.%ld.tmp", path, sys(SYS_gettid));
	if (n < 0 || n >= (int)sizeof(temporary))
		return -ENAMETOOLONG;
	fd = sys(SYS_openat, AT_FDCWD, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return (int)fd;
	ret = flightrec_recorder_snapshot((int)fd);
	if (ret == 0)
		ret = sys(SYS_fsync, fd);
	sys(SYS_close, fd);
	/* Not rename(): aarch64 has only this one. */
	if (ret == 0)
		ret = sys(SYS_renameat2, AT_FDCWD, temporary, AT_FDCWD, path, 0);
	if (ret < 0)
		sys(SYS_unlinkat, AT_FDCWD, temporary, 0);
	return (int)ret;
}
