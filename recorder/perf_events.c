/* SPDX-License-Identifier: MIT */
/*
 * Each ring belongs to an event of our own that counts nothing, so that its size is settled before any thread is
 * opened and it outlives them all; the sampling events are pointed at it. They start at once: what comes before
 * all are open is for the reader to drop by its time.
 */
#include "recorder/perf_events.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "recorder/perf_refusal.h"
#include "recorder/procfs.h"

#ifndef PERF_FORMAT_LOST
#define PERF_FORMAT_LOST (1u << 4)
#endif

/*
 * A ring holds a quarter of a second, and 15 samples at least; it is emptied every 50 ms when we get the CPU. perf's
 * own default copies 8 KiB of a stack; known programs use 4 on average.
 */
#define RING_SAMPLES 16u
#define MAX_STACK_BYTES (32u << 10)
#define MIN_RING_BYTES (64u << 10)
#define MAX_RING_BYTES (4u << 20)
#define SPARE_FILES 64u /* descriptors left for others */
#define MAX_THREADS 65536u
#define MAX_MACHINE_CPUS 128u /* more are sampled whole only where descriptors are short */
#define MAX_PASSES 4

static int event_open(struct perf_event_attr *attr, pid_t tid, int cpu)
{
	long fd = syscall(SYS_perf_event_open, attr, tid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

static struct perf_event_attr sampling_attr(const struct perf_events *events)
{
	return (struct perf_event_attr){
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(struct perf_event_attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = events->period_ns,
		.sample_type = PERF_RING_SAMPLE_TYPE,
		.read_format = events->has_lost_count ? PERF_FORMAT_LOST : 0,
		.inherit = !events->is_machine_wide,
		.exclude_kernel = !events->is_kernel_seen,
		.exclude_hv = 1,
		.exclude_idle = 1,
		.mmap = 1,
		.mmap2 = 1,
		.comm = 1,
		.comm_exec = 1,
		.task = 1,
		.sample_id_all = 1,
		/* The ring is looked at by the clock: threads need wake nobody. */
		.watermark = 1,
		.wakeup_watermark = UINT32_MAX,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
		.sample_regs_user = PERF_REGS_MASK,
		.sample_stack_user = events->stack_bytes,
	};
}

/* Finds out on ourselves what is allowed. Returns 0 or -errno. */
static int find_settings(struct perf_events *events)
{
	int fd = -EACCES;

	for (int i = 0; i < 4 && fd < 0; i++) {
		struct perf_event_attr attr;

		events->is_kernel_seen = i < 2;
		events->has_lost_count = i % 2 == 0;
		attr = sampling_attr(events);
		fd = event_open(&attr, 0, -1);
	}
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static void close_rings(struct perf_events *events)
{
	for (unsigned i = 0; i < events->n_cpus; i++) {
		perf_ring_unmap(&events->rings[i]);
		close(events->ring_fds[i]);
	}
	events->n_cpus = 0;
}

/* Rings of `size` on all CPUs. Returns 0 or -errno, with nothing left open then. */
static int open_rings(struct perf_events *events, unsigned n_cpus, size_t size)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.watermark = 1,
		.wakeup_watermark = UINT32_MAX,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC };

	for (unsigned cpu = 0; cpu < n_cpus; cpu++) {
		int fd = event_open(&attr, 0, (int)cpu), err;

		if (fd == -ENODEV) /* offline */
			continue;
		err = fd < 0 ? fd : perf_ring_map(&events->rings[events->n_cpus], fd, size);
		if (err < 0) {
			if (fd >= 0)
				close(fd);
			close_rings(events);
			return err;
		}
		events->cpus[events->n_cpus] = cpu;
		events->ring_fds[events->n_cpus++] = fd;
	}
	return events->n_cpus ? 0 : -ENODEV;
}

static void note_small_rings(struct perf_events *events, size_t size)
{
	g_ptr_array_add(events->notes,
		g_strdup_printf(
			"The memory that perf events may lock (kernel.perf_event_mlock_kb, "
			"RLIMIT_MEMLOCK) allows %zu KiB for each CPU: of a stack, the innermost "
			"%u KiB are seen; raise kernel.perf_event_mlock_kb for more",
			size >> 10, events->stack_bytes >> 10));
}

int perf_events_init(struct perf_events *events, unsigned hz, bool is_per_thread, char **why_out)
{
	unsigned n_cpus = (unsigned)MAX(sysconf(_SC_NPROCESSORS_CONF), 1);
	size_t wanted = MAX_STACK_BYTES * RING_SAMPLES, size;
	int err;

	*events = (struct perf_events){
		.period_ns = 1000000000u / hz, .stack_bytes = 4096, .is_per_thread = is_per_thread
	};
	err = find_settings(events);
	if (err < 0) {
		*why_out = perf_refusal(err, 0);
		return err;
	}
	while (wanted < MAX_RING_BYTES && wanted / MAX_STACK_BYTES < hz / 4)
		wanted *= 2;
	events->rings = g_new0(struct perf_ring, n_cpus);
	events->cpus = g_new0(unsigned, n_cpus);
	events->ring_fds = g_new0(int, n_cpus);
	for (size = wanted;; size /= 2) {
		err = open_rings(events, n_cpus, size);
		if ((err != -EPERM && err != -ENOMEM) || size <= MIN_RING_BYTES)
			break;
	}
	if (err < 0) {
		*why_out = perf_refusal_of_rings(err);
		g_free(events->rings);
		g_free(events->cpus);
		g_free(events->ring_fds);
		return err;
	}
	events->stack_bytes = (uint32_t)MIN(size / RING_SAMPLES, MAX_STACK_BYTES);
	events->fds = g_array_new(FALSE, FALSE, sizeof(int));
	events->origins = g_hash_table_new(NULL, NULL);
	events->notes = g_ptr_array_new_with_free_func(g_free);
	if (events->stack_bytes < MAX_STACK_BYTES)
		note_small_rings(events, size);
	return 0;
}

void perf_events_fini(struct perf_events *events)
{
	for (guint i = 0; i < events->fds->len; i++)
		close(g_array_index(events->fds, int, i));
	close_rings(events);
	if (events->files.rlim_cur)
		setrlimit(RLIMIT_NOFILE, &events->files);
	g_array_unref(events->fds);
	g_hash_table_destroy(events->origins);
	g_ptr_array_unref(events->notes);
	g_free(events->rings);
	g_free(events->cpus);
	g_free(events->ring_fds);
}

/* Makes room for n more descriptors as far as the hard limit goes. False: that is not enough. */
static bool reserve_files(struct perf_events *events, uint64_t n)
{
	uint64_t needed = n + events->fds->len + SPARE_FILES;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return true;
	/* Descriptors of others are few beside these; that many again are left for them. */
	needed += SPARE_FILES + events->n_cpus;
	if (needed <= files.rlim_cur)
		return true;
	if (!events->files.rlim_cur)
		events->files = files;
	files.rlim_cur = MIN(files.rlim_max, MAX(needed, files.rlim_cur));
	setrlimit(RLIMIT_NOFILE, &files);
	return needed <= files.rlim_cur;
}

/* Points a new event at its CPU's ring and keeps it. Returns 0 or -errno. */
static int keep(struct perf_events *events, int fd, unsigned i)
{
	uint64_t id, period_ns = events->period_ns;

	if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, events->ring_fds[i]) < 0 ||
		ioctl(fd, PERF_EVENT_IOC_PERIOD, &period_ns) < 0 ||
		ioctl(fd, PERF_EVENT_IOC_ID, &id) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	g_array_append_val(events->fds, fd);
	g_hash_table_insert(
		events->origins, GSIZE_TO_POINTER(id), GUINT_TO_POINTER(events->n_origins));
	return 0;
}

/* All CPUs of one thread, or with tid -1 of all threads. Returns 0 or -errno; what was opened stays. */
static int open_thread(struct perf_events *events, pid_t tid)
{
	struct perf_event_attr attr = sampling_attr(events);

	events->n_origins++;
	for (unsigned i = 0; i < events->n_cpus; i++) {
		int fd, err;

		/*
		 * Up to the first tick any time is as likely as any other. With a whole period, threads that use
		 * less than that of a CPU would have none for certain.
		 */
		attr.sample_period = 1 + g_random_double() * (double)events->period_ns;
		err = fd = event_open(&attr, tid, (int)events->cpus[i]);

		if (fd >= 0)
			err = keep(events, fd, i);
		if (err < 0 && err != -ENODEV)
			return err;
	}
	return 0;
}

static void close_from(struct perf_events *events, guint first)
{
	for (guint i = first; i < events->fds->len; i++)
		close(g_array_index(events->fds, int, i));
	g_array_set_size(events->fds, first);
}

static uint64_t count_threads(const pid_t *pids, size_t n_pids)
{
	uint64_t n = 0;

	for (size_t i = 0; i < n_pids; i++) {
		g_autoptr(GArray) threads = procfs_threads(pids[i], MAX_THREADS);

		n += threads->len;
	}
	return n;
}

/* One pass over the threads of a process. Returns how many were new, or -errno: it is refused. */
static int open_process(struct perf_events *events, pid_t pid, GHashTable *seen)
{
	g_autoptr(GArray) threads = procfs_threads(pid, MAX_THREADS);
	int n_new = 0;

	for (guint i = 0; i < threads->len; i++) {
		pid_t tid = g_array_index(threads, pid_t, i);
		guint first = events->fds->len;
		int err;

		if (!g_hash_table_add(seen, GINT_TO_POINTER(tid)))
			continue;
		err = open_thread(events, tid);
		if (err == -EMFILE || err == -ENFILE) {
			/* A thread on some CPUs only would look idle on the others. */
			close_from(events, first);
			events->n_threads_missed++;
		} else if (err < 0 && err != -ESRCH) {
			close_from(events, first);
			return err;
		} else if (err == 0) {
			n_new++;
		}
	}
	return n_new;
}

/* All threads of the machine; whether that is allowed, is tried. */
static int open_machine(struct perf_events *events)
{
	int err;

	if (events->is_per_thread || events->fds->len)
		return -EINVAL;
	events->is_machine_wide = true;
	err = open_thread(events, -1);
	if (err < 0) {
		close_from(events, 0);
		events->is_machine_wide = false;
	}
	return err;
}

static void note_missed(struct perf_events *events)
{
	g_ptr_array_add(events->notes,
		g_strdup_printf(
			"%u threads got no event: there are too few file descriptors (one for each "
			"thread and CPU); raise the limit (ulimit -Hn), or give trace-record "
			"CAP_PERFMON, with which one for each CPU is enough",
			events->n_threads_missed));
}

int perf_events_add(struct perf_events *events, const pid_t *pids, size_t n_pids, char **why_out)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
	g_autofree int *errors = g_new0(int, n_pids + 1);
	unsigned n_sampled = 0, missed_before = events->n_threads_missed;
	uint64_t n_threads = count_threads(pids, n_pids);
	int n_new = 1, err = -ESRCH;
	pid_t refused = 0;

	if (n_threads > 0 &&
		(events->is_machine_wide ||
			(events->n_cpus <= MAX_MACHINE_CPUS && open_machine(events) == 0) ||
			(!reserve_files(events, n_threads * events->n_cpus) &&
				open_machine(events) == 0)))
		return 0;
	/* Again until nothing is new: threads whose creator had no event yet when they were born. */
	for (int pass = 0; pass < MAX_PASSES && n_new > 0; pass++) {
		n_new = 0;
		for (size_t i = 0; i < n_pids; i++) {
			int got = errors[i] < 0 ? errors[i] : open_process(events, pids[i], seen);

			if (got < 0)
				errors[i] = got;
			else if (got > 0)
				errors[i] = 1; /* sampled */
			n_new += got > 0 ? got : 0;
		}
	}
	for (size_t i = 0; i < n_pids; i++) {
		n_sampled += errors[i] > 0;
		if (errors[i] < 0) {
			err = errors[i];
			refused = pids[i];
		}
	}
	if (n_sampled == 0) {
		if (err == -ESRCH && events->n_threads_missed > missed_before)
			err = -EMFILE;
		*why_out = perf_refusal(err, refused);
		return err;
	}
	for (size_t i = 0; i < n_pids; i++)
		if (errors[i] < 0)
			g_ptr_array_add(events->notes, perf_refusal(errors[i], pids[i]));
	if (events->n_threads_missed > missed_before)
		note_missed(events);
	return 0;
}

uint32_t perf_events_origin(const struct perf_events *events, uint64_t id)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(events->origins, GSIZE_TO_POINTER(id)));
}

void perf_events_read(const struct perf_events *events, uint64_t *cpu_ns_out, uint64_t *n_lost_out)
{
	uint64_t cpu_ns = events->closed_cpu_ns, n_lost = events->closed_n_lost;

	for (guint i = 0; i < events->fds->len; i++) {
		uint64_t values[2] = { 0, 0 }; /* value, lost */

		if (read(g_array_index(events->fds, int, i), values, sizeof(values)) < 8)
			continue;
		cpu_ns += values[0];
		n_lost += values[1];
	}
	*cpu_ns_out = events->is_machine_wide ? 0 : cpu_ns;
	*n_lost_out = n_lost;
}

int perf_events_reopen(
	struct perf_events *events, const pid_t *pids, size_t n_pids, uint64_t period_ns)
{
	uint64_t before_ns = events->period_ns;
	g_autofree char *why = NULL;
	unsigned missed_before = events->n_threads_missed;
	GArray *old = events->fds, *new;
	uint64_t cpu_ns, n_lost;
	int err;

	events->fds = g_array_new(FALSE, FALSE, sizeof(int));
	events->period_ns = period_ns;
	err = perf_events_add(events, pids, n_pids, &why);
	if (err < 0 || events->is_machine_wide || events->n_threads_missed > missed_before) {
		events->n_threads_missed = missed_before;
		close_from(events, 0);
		g_array_unref(events->fds);
		events->fds = old;
		events->period_ns = before_ns;
		events->is_machine_wide = false;
		return err < 0 ? err : -EMFILE;
	}
	new = events->fds;
	events->fds = old;
	perf_events_read(events, &cpu_ns, &n_lost);
	events->closed_cpu_ns = cpu_ns;
	events->closed_n_lost = n_lost;
	close_from(events, 0);
	g_array_unref(old);
	events->fds = new;
	return 0;
}

int perf_events_check(pid_t pid, char **why_out)
{
	struct perf_events events = { .period_ns = 10000000, .stack_bytes = 4096 };
	g_autoptr(GArray) threads = procfs_threads(pid, MAX_THREADS);
	int fd = find_settings(&events);
	struct perf_event_attr attr;

	if (fd < 0) {
		*why_out = perf_refusal(fd, 0);
		return fd;
	}
	attr = sampling_attr(&events);
	fd = -ESRCH;
	for (guint i = 0; i < threads->len && fd == -ESRCH; i++)
		fd = event_open(&attr, g_array_index(threads, pid_t, i), 0);
	if (fd < 0) {
		*why_out = perf_refusal(fd, pid);
		return fd;
	}
	close(fd);
	return 0;
}
