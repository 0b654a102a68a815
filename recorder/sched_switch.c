/* SPDX-License-Identifier: MIT */
/*
 * Each CPU's ring belongs to an event on ourselves that records nothing, so that it outlives those on the program's threads, which
 * are pointed at it. Events are inherited: by threads, by children, by what they exec(). The kernel takes them off where
 * a set-uid program is executed, which shows as switches that schedstat counts and no record tells of.
 */
#include "recorder/sched_switch.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "recorder/procfs.h"
#include "recorder/sched_refusal.h"
#include "recorder/sched_ring.h"

/*
 * 43,000 records: 0.1 s of the 200,000 switches a second that one CPU may have in bursts; looked at every 25 ms or sooner. A quarter of it
 * will do, which is less than every user may lock; on very many CPUs it is all that is asked for.
 */
#define RING_BYTES (1u << 20)
#define FAIR_RING_BYTES (256u << 10)
#define MANY_CPUS 64u
#define MIN_RING_BYTES (16u << 10)
#define MAX_THREADS 65536u
#define MAX_PASSES 4

struct cpu {
	unsigned number;
	int fd; /* owned */
	struct sched_ring ring;
};

struct sched_switch {
	struct cpu *cpus; /* owned */
	unsigned n_cpus;
	GArray *fds; /* owned: int, of events on threads of the program */
};

/* Whom sched_ring_take() gives records to. */
struct taker {
	sched_record_fn fn;
	void *user;
	unsigned cpu;
};

static int event_open(struct perf_event_attr *attr, pid_t tid, unsigned cpu)
{
	long fd = syscall(SYS_perf_event_open, attr, tid, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

static struct perf_event_attr ring_attr(void)
{
	return (struct perf_event_attr){
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(struct perf_event_attr),
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = SCHED_RING_SAMPLE_TYPE,
		.sample_id_all = 1,
		.exclude_kernel =
			1, /* all that an ordinary user is given; switches are seen all the same */
		.exclude_hv = 1,
		.write_backward = 1,
		/* The ring is looked at by the clock: threads need wake nobody. */
		.watermark = 1,
		.wakeup_watermark = UINT32_MAX,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};
}

static void close_rings(struct sched_switch *sw)
{
	for (unsigned i = 0; i < sw->n_cpus; i++) {
		sched_ring_unmap(&sw->cpus[i].ring);
		close(sw->cpus[i].fd);
	}
	sw->n_cpus = 0;
}

/* Rings of `size` on all CPUs. Returns 0 or -errno, with nothing left open then. */
static int open_rings(struct sched_switch *sw, unsigned n_cpus, size_t size, int *is_map_out)
{
	struct perf_event_attr attr = ring_attr();

	for (unsigned number = 0; number < n_cpus; number++) {
		struct cpu *cpu = &sw->cpus[sw->n_cpus];
		int fd = event_open(&attr, 0, number), err = fd;

		if (fd == -ENODEV || (fd == -EINVAL && sw->n_cpus > 0)) /* offline */
			continue;
		*is_map_out = fd >= 0;
		if (fd >= 0)
			err = sched_ring_map(&cpu->ring, fd, size);
		if (err < 0) {
			if (fd >= 0)
				close(fd);
			close_rings(sw);
			return err;
		}
		cpu->number = number;
		cpu->fd = fd;
		sw->n_cpus++;
	}
	return sw->n_cpus ? 0 : -ENODEV;
}

static void close_from(struct sched_switch *sw, guint first)
{
	for (guint i = first; i < sw->fds->len; i++)
		close(g_array_index(sw->fds, int, i));
	g_array_set_size(sw->fds, first);
}

/* Events of one thread on all CPUs, or none. Returns 0 or -errno. */
static int open_thread(struct sched_switch *sw, pid_t tid, bool is_before_exec)
{
	struct perf_event_attr attr = ring_attr();
	guint first = sw->fds->len;

	attr.context_switch = 1;
	attr.inherit = 1;
	attr.disabled = attr.enable_on_exec = is_before_exec;
	for (unsigned i = 0; i < sw->n_cpus; i++) {
		int fd = event_open(&attr, tid, sw->cpus[i].number), err = fd;

		if (fd >= 0) {
			g_array_append_val(sw->fds, fd);
			if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, sw->cpus[i].fd) < 0)
				err = -errno;
		}
		if (err < 0 && err != -ENODEV) {
			close_from(sw, first);
			return err;
		}
	}
	return 0;
}

/* What to ask for: CPU profiles by perf events want to lock memory as well, out of the same allowance. */
static size_t ring_bytes(unsigned n_cpus)
{
	struct rlimit locked = { .rlim_cur = 0 };

	getrlimit(RLIMIT_MEMLOCK, &locked);
	if (n_cpus > MANY_CPUS ||
		(geteuid() != 0 && locked.rlim_cur / 2 < (rlim_t)n_cpus * RING_BYTES))
		return FAIR_RING_BYTES;
	return RING_BYTES;
}

struct sched_switch *sched_switch_new(pid_t pid, char **why_out, char **note_out)
{
	unsigned n_cpus = (unsigned)MAX(sysconf(_SC_NPROCESSORS_CONF), 1);
	struct sched_switch *sw = g_new0(struct sched_switch, 1);
	size_t size = ring_bytes(n_cpus);
	int err, is_map = 0;

	*why_out = *note_out = NULL;
	sw->cpus = g_new0(struct cpu, n_cpus);
	sw->fds = g_array_new(FALSE, FALSE, sizeof(int));
	while ((err = open_rings(sw, n_cpus, size, &is_map)) < 0 && is_map &&
		(err == -EPERM || err == -ENOMEM) && size > MIN_RING_BYTES)
		size /= 2;
	if (err == 0) {
		is_map = 0;
		err = open_thread(sw, pid, true);
	}
	if (err < 0) {
		*why_out = sched_refusal_of_events(err, is_map);
		sched_switch_free(sw);
		return NULL;
	}
	if (size < FAIR_RING_BYTES)
		*note_out = g_strdup_printf(
			"the memory that perf events may lock (kernel.perf_event_mlock_kb, "
			"RLIMIT_MEMLOCK) allows rings of %zu KiB for each CPU only",
			size >> 10);
	return sw;
}

void sched_switch_free(struct sched_switch *sw)
{
	if (!sw)
		return;
	close_from(sw, 0);
	close_rings(sw);
	g_array_unref(sw->fds);
	g_free(sw->cpus);
	g_free(sw);
}

void sched_switch_detach(struct sched_switch *sw)
{
	close_from(sw, 0);
}

int sched_switch_attach(struct sched_switch *sw, const GArray *pids, unsigned *n_missed_out)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
	int n_new = 1, refused = -ESRCH;

	*n_missed_out = 0;
	/* Again until nothing is new: threads whose creator had no event yet when they were born. */
	for (int pass = 0; pass < MAX_PASSES && n_new > 0; pass++) {
		n_new = 0;
		for (guint i = 0; i < pids->len; i++) {
			pid_t pid = g_array_index(pids, pid_t, i);
			g_autoptr(GArray) threads = procfs_threads(pid, MAX_THREADS);

			for (guint k = 0; k < threads->len; k++) {
				pid_t tid = g_array_index(threads, pid_t, k);
				int err;

				if (!g_hash_table_add(seen, GINT_TO_POINTER(tid)))
					continue;
				err = open_thread(sw, tid, false);
				n_new += err == 0;
				if (err == -EMFILE || err == -ENFILE)
					++*n_missed_out;
				if (err < 0 && err != -ESRCH)
					refused = err;
			}
		}
	}
	return sw->fds->len ? 0 : refused;
}

static void take(const struct sched_switch_record *from, void *user)
{
	const struct taker *taker = user;
	struct sched_record record = {
		.ns = from->ns,
		.kind = SCHED_IN,
		.cpu = taker->cpu,
		.pid = (uint32_t)from->pid,
		.tid = (uint32_t)from->tid,
	};

	if (from->is_out)
		record.kind = from->is_preempted ? SCHED_PREEMPTED : SCHED_OUT;
	taker->fn(&record, taker->user);
}

struct sched_drained sched_switch_drain(struct sched_switch *sw, sched_record_fn fn, void *user)
{
	struct sched_drained drained = { 0 };

	for (unsigned i = 0; i < sw->n_cpus; i++) {
		struct taker taker = { fn, user, sw->cpus[i].number };
		struct sched_ring *ring = &sw->cpus[i].ring;
		uint64_t before = ring->last_head;

		drained.n_lost += sched_ring_take(ring, take, &taker);
		drained.share =
			MAX(drained.share, (double)(before - ring->last_head) / (double)ring->size);
	}
	return drained;
}
