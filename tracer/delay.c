/* SPDX-License-Identifier: MIT */
/*
 * Three system calls, 1.3 us, and twice that just after a sleep: switches from getrusage(), CPU time from the thread's clock, and the time that it was ready
 * to run from its schedstat, which is a file. They are made once MIN_WAITED_NS of long waits have come together,
 * so that they cost no more than a hundredth of these; nothing is lost, since what is told are differences.
 *
 * The file stays open, at a number out of the program's way: opened anew each time, it would take the lowest free
 * number, which the program may be about to get, again and again. Of a number that the program closes
 * nevertheless its word in the channel table goes (channel.h), and we leave it alone from then on. Threads beyond the
 * first MAX_FILES, and where there is no file (no /proc, no room), tell all but `delay`.
 */
#include "tracer/delay.h"

#include <fcntl.h>
#include <sys/resource.h>

#include "tracer/channel.h"
#include "tracer/events_sched.h"
#include "tracer/lttng_fd.h"
#include "tracer/sys.h"

#define MIN_WAITED_NS 250000
#define MAX_FILES 128
#define OURS 7u /* word of our descriptors: no channel has id 0 */
#define UNKNOWN UINT64_MAX

enum file_state {
	FILE_NEW = 0, /* not tried yet */
	FILE_OPEN,
	FILE_NONE, /* could not be had, or was taken away */
};

static int32_t files[MAX_FILES]; /* descriptor + 1; -1: place taken; 0: free. Atomic */
static uint32_t is_stopped;

static int place_take(void)
{
	int i;

	for (i = 0; i < MAX_FILES; i++) {
		int32_t unused = 0;

		if (__atomic_compare_exchange_n(
			    &files[i], &unused, -1, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return i;
	}
	return -1;
}

static void file_open(struct fr_delay *delay)
{
	int place = place_take();
	long fd;

	delay->file = FILE_NONE;
	if (place < 0)
		return;
	fd = sys(SYS_openat, AT_FDCWD, "/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		fd = lttng_fd_move_own((int)fd);
	if (fd < 0 || fd >= CHANNEL_FDS) {
		if (fd >= 0)
			sys(SYS_close, fd);
		__atomic_store_n(&files[place], 0, __ATOMIC_RELAXED);
		return;
	}
	channel_join((int)fd, OURS);
	__atomic_store_n(&files[place], (int32_t)fd + 1, __ATOMIC_RELAXED);
	delay->place = (uint8_t)place;
	delay->file = FILE_OPEN;
}

static void file_close(struct fr_delay *delay)
{
	int32_t fd;

	if (delay->file != FILE_OPEN)
		return;
	delay->file = FILE_NONE;
	fd = __atomic_load_n(&files[delay->place], __ATOMIC_RELAXED) - 1;
	if (channel_end(fd) == OURS) {
		channel_forget(fd);
		sys(SYS_close, fd);
	}
	__atomic_store_n(&files[delay->place], 0, __ATOMIC_RELAXED);
}

/* A decimal number that ends with `end`; NULL when that is not what stands there. */
static const char *number(const char *at, char end, uint64_t *out)
{
	const char *begin = at;

	*out = 0;
	while (*at >= '0' && *at <= '9')
		*out = *out * 10 + (uint64_t)(*at++ - '0');
	return at > begin && *at == end ? at + 1 : NULL;
}

/* ns ready to run but not running since the thread began, or UNKNOWN. */
static uint64_t run_delay(struct fr_delay *delay)
{
	uint64_t cpu, waited, slices;
	const char *at;
	char text[96];
	int32_t fd;
	long n;

	if (delay->file == FILE_NEW)
		file_open(delay);
	if (delay->file != FILE_OPEN)
		return UNKNOWN;
	fd = __atomic_load_n(&files[delay->place], __ATOMIC_RELAXED) - 1;
	n = channel_end(fd) == OURS ? sys(SYS_pread64, fd, text, sizeof(text) - 1, 0) : -1;
	text[n > 0 ? n : 0] = '\0';
	at = number(text, ' ', &cpu);
	at = at ? number(at, ' ', &waited) : NULL;
	at = at ? number(at, '\n', &slices) : NULL;
	if (at && slices)
		return waited;
	/* It is something else now; or the kernel does not count. */
	file_close(delay);
	return UNKNOWN;
}

/* Counts since the thread began: so are the first differences. */
static void emit(struct fr_thread *t, struct fr_delay *delay, uint64_t dur)
{
	struct fr_event_delay e = { .dur = dur, .delay = UNKNOWN };
	uint64_t now = fr_now(), waited = run_delay(delay), cpu_ns;
	struct timespec cpu = { 0, 0 };
	struct rusage usage = { 0 };
	int saved_errno = errno;

	sys(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, &cpu);
	sys(SYS_getrusage, RUSAGE_THREAD, &usage);
	cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
	e.interval = now - delay->since_ns;
	if (waited != UNKNOWN && waited >= delay->waited)
		e.delay = waited - delay->waited;
	e.cpu = cpu_ns - delay->cpu_ns;
	e.voluntary = (uint32_t)((uint64_t)usage.ru_nvcsw - delay->voluntary);
	e.involuntary = (uint32_t)((uint64_t)usage.ru_nivcsw - delay->involuntary);
	delay->since_ns = now;
	if (waited != UNKNOWN)
		delay->waited = waited;
	delay->cpu_ns = cpu_ns;
	delay->voluntary = (uint64_t)usage.ru_nvcsw;
	delay->involuntary = (uint64_t)usage.ru_nivcsw;
	fr_event_init(&e.common, t, FR_STACK_NONE);
	lttng_ust_tracepoint(flightrec_sched, delay, &e);
	fr_count_own(t, events, 1);
	errno = saved_errno;
}

void delay_note(struct fr_thread *t, uint64_t dur)
{
	struct fr_delay *delay;

	if (unlikely(!t->private) || __atomic_load_n(&is_stopped, __ATOMIC_RELAXED) ||
		!fr_wants(FR_EVENTS_SCHED))
		return;
	delay = &t->private->delay;
	delay->long_ns += dur;
	if (delay->long_ns < MIN_WAITED_NS)
		return;
	delay->long_ns = 0;
	emit(t, delay, dur);
}

void delay_attach(struct fr_thread *t)
{
	t->private->delay = (struct fr_delay){ .since_ns = t->slot->start_ns };
}

void delay_detach(struct fr_thread *t)
{
	if (!__atomic_load_n(&is_stopped, __ATOMIC_RELAXED))
		file_close(&t->private->delay);
}

void delay_after_fork(void)
{
	int i;

	for (i = 0; i < MAX_FILES; i++) {
		if (files[i] > 0 && channel_end(files[i] - 1) == OURS) {
			channel_ends[files[i] - 1] = 0;
			sys(SYS_close, files[i] - 1);
		}
		files[i] = 0;
	}
}

void delay_stop(void)
{
	__atomic_store_n(&is_stopped, 1, __ATOMIC_RELAXED);
}

int delay_is_stopped(void)
{
	return __atomic_load_n(&is_stopped, __ATOMIC_RELAXED) != 0;
}
