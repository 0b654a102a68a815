/* SPDX-License-Identifier: MIT */
/*
 * The object file is a part of ours (sched_object.S). The rings are mapped, so that reading them takes no system call; a ring
 * is copied first, and then what was written over meanwhile is dropped from the copy. Built without libbpf or clang,
 * there is only the sentence that says so.
 */
#include "recorder/sched_bpf.h"

#include "recorder/sched_refusal.h"

#ifdef FLIGHTREC_HAS_BPF

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recorder/bpf/sched_record.h"

/* Elsewhere the newest record's parts might be seen in another order than they were written: it waits for the next time. */
#ifdef __x86_64__
#define N_FRESH 0u
#else
#define N_FRESH 1u
#endif

extern const unsigned char sched_object[], sched_object_end[];

/* The first ones stay while the others are paused. */
enum {
	LINK_FORK,
	LINK_EXIT,
	LINK_TIMER, /* of x86 only, like the next */
	LINK_TIMER_END,
	LINK_DEVICE,
	LINK_DEVICE_END,
	LINK_WAKING,
	LINK_SWITCH,
	LINK_N,
};

struct sched_bpf {
	struct bpf_object *object;	/* owned */
	struct bpf_link *links[LINK_N]; /* owned; NULL: paused */
	const uint8_t *rings;		/* mapped */
	size_t map_bytes, ring_bytes;
	unsigned n_cpus;
	uint64_t *n_read;		  /* owned, of each CPU */
	struct sched_bpf_record *scratch; /* owned, as long as a ring */
	int wakers;			  /* borrowed from object */
};

static const char *const programs[LINK_N] = {
	[LINK_FORK] = "on_fork",
	[LINK_EXIT] = "on_exit",
	[LINK_TIMER] = "on_timer",
	[LINK_TIMER_END] = "on_timer_end",
	[LINK_DEVICE] = "on_device",
	[LINK_DEVICE_END] = "on_device_end",
	[LINK_WAKING] = "on_waking",
	[LINK_SWITCH] = "on_switch",
};

static int be_quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static int attach(struct sched_bpf *bpf, int i)
{
	struct bpf_program *program = bpf_object__find_program_by_name(bpf->object, programs[i]);

	if (!program)
		return -ENOENT;
	if (!bpf_program__autoload(program))
		return 0;
	if (!bpf->links[i])
		bpf->links[i] = bpf_program__attach(program);
	return bpf->links[i] ? 0 : -errno;
}

/* Rings for all CPUs, mapped. Returns 0 or -errno. */
static int map_rings(struct sched_bpf *bpf)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *map;

	bpf->ring_bytes = (sizeof(struct sched_bpf_ring) + 7) & ~(size_t)7;
	bpf->map_bytes = (bpf->ring_bytes * bpf->n_cpus + page - 1) & ~(page - 1);
	map = mmap(NULL, bpf->map_bytes, PROT_READ, MAP_SHARED,
		bpf_object__find_map_fd_by_name(bpf->object, "rings"), 0);
	if (map == MAP_FAILED)
		return -errno;
	bpf->rings = map;
	return 0;
}

/* Opens and loads the programs. Returns 0 or -errno. */
static int load_object(struct sched_bpf *bpf, bool has_timer)
{
	int err;

	bpf->object =
		bpf_object__open_mem(sched_object, (size_t)(sched_object_end - sched_object), NULL);
	if (!bpf->object)
		return -errno;
	err = bpf_map__set_max_entries(
		bpf_object__find_map_by_name(bpf->object, "rings"), bpf->n_cpus);
	for (int i = LINK_TIMER; i <= LINK_TIMER_END && !has_timer; i++)
		bpf_program__set_autoload(
			bpf_object__find_program_by_name(bpf->object, programs[i]), false);
	if (err == 0)
		err = bpf_object__load(bpf->object);
	if (err < 0) {
		bpf_object__close(bpf->object);
		bpf->object = NULL;
	}
	return err;
}

static int load(struct sched_bpf *bpf, pid_t pid)
{
	uint32_t key = (uint32_t)pid;
	uint8_t yes = 1;
	int err = load_object(bpf, true);

	/* Refusals are the same without; a kernel that has no such tracepoint does not mind. */
	if (err < 0 && err != -EPERM && err != -EACCES)
		err = load_object(bpf, false);
	if (err == 0)
		err = map_rings(bpf);
	if (err == 0)
		err = bpf_map_update_elem(bpf_object__find_map_fd_by_name(bpf->object, "processes"),
			&key, &yes, BPF_ANY);
	for (int i = 0; err == 0 && i < LINK_N; i++)
		err = attach(bpf, i);
	return err;
}

struct sched_bpf *sched_bpf_new(pid_t pid, char **why_out)
{
	struct sched_bpf *bpf;
	int err;

	*why_out = sched_refusal_of_place();
	if (*why_out)
		return NULL;
	bpf = g_new0(struct sched_bpf, 1);
	bpf->n_cpus = (unsigned)MAX(sysconf(_SC_NPROCESSORS_CONF), 1);
	bpf->n_read = g_new0(uint64_t, bpf->n_cpus);
	bpf->scratch = g_new(struct sched_bpf_record, SCHED_BPF_RECORDS);
	libbpf_set_print(be_quiet);
	err = load(bpf, pid);
	if (err < 0) {
		*why_out = sched_refusal_of_bpf(err);
		sched_bpf_free(bpf);
		return NULL;
	}
	bpf->wakers = bpf_object__find_map_fd_by_name(bpf->object, "wakers");
	return bpf;
}

void sched_bpf_free(struct sched_bpf *bpf)
{
	if (!bpf)
		return;
	for (int i = LINK_N - 1; i >= 0; i--)
		bpf_link__destroy(bpf->links[i]);
	if (bpf->rings)
		munmap((void *)(uintptr_t)bpf->rings, bpf->map_bytes);
	bpf_object__close(bpf->object);
	g_free(bpf->n_read);
	g_free(bpf->scratch);
	g_free(bpf);
}

int sched_bpf_pause(struct sched_bpf *bpf)
{
	for (int i = LINK_WAKING; i <= LINK_SWITCH; i++) {
		bpf_link__destroy(bpf->links[i]);
		bpf->links[i] = NULL;
	}
	return 0;
}

int sched_bpf_resume(struct sched_bpf *bpf)
{
	int err = attach(bpf, LINK_WAKING);

	return err < 0 ? err : attach(bpf, LINK_SWITCH);
}

static uint64_t drain_cpu(struct sched_bpf *bpf, unsigned cpu, sched_record_fn fn, void *user)
{
	const struct sched_bpf_ring *ring = (const void *)(bpf->rings + cpu * bpf->ring_bytes);
	uint64_t from = bpf->n_read[cpu], n_lost = 0, oldest;
	/* Acquire: pairs with the program's store after the record. */
	uint64_t end = __atomic_load_n(&ring->n_written, __ATOMIC_ACQUIRE);

	end -= MIN(N_FRESH, end - from);
	if (end - from >= SCHED_BPF_RECORDS) {
		n_lost = end - from - (SCHED_BPF_RECORDS - 1);
		from += n_lost;
	}
	for (uint64_t at = from; at < end; at++)
		bpf->scratch[at - from] = ring->records[at % SCHED_BPF_RECORDS];
	bpf->n_read[cpu] = end;
	/* What is written now takes the place of the oldest; so does the record that is just being written. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	oldest = __atomic_load_n(&ring->n_written, __ATOMIC_RELAXED) + 1;
	oldest -= MIN(oldest, SCHED_BPF_RECORDS);
	for (uint64_t at = from; at < end; at++) {
		const struct sched_bpf_record *in = &bpf->scratch[at - from];
		struct sched_record record = {
			.ns = in->ns,
			.kind = in->tid_kind >> 30,
			.cpu = cpu,
			.pid = in->pid,
			.tid = in->tid_kind & ((1u << 30) - 1),
			.waker_pid = in->waker_pid,
			.waker_tid = in->waker_tid,
		};

		if (at < oldest)
			n_lost++;
		else
			fn(&record, user);
	}
	return n_lost;
}

struct sched_drained sched_bpf_drain(struct sched_bpf *bpf, sched_record_fn fn, void *user)
{
	struct sched_drained drained = { 0 };

	for (unsigned cpu = 0; cpu < bpf->n_cpus; cpu++) {
		uint64_t before = bpf->n_read[cpu];

		drained.n_lost += drain_cpu(bpf, cpu, fn, user);
		drained.share =
			MAX(drained.share, (double)(bpf->n_read[cpu] - before) / SCHED_BPF_RECORDS);
	}
	return drained;
}

bool sched_bpf_waker(struct sched_bpf *bpf, uint32_t tid, char comm_out[16])
{
	struct sched_bpf_waker waker;

	if (bpf_map_lookup_elem(bpf->wakers, &tid, &waker) < 0)
		return false;
	memcpy(comm_out, waker.comm, 16);
	comm_out[15] = '\0';
	return true;
}

#else

struct sched_bpf *sched_bpf_new(pid_t pid, char **why_out)
{
	*why_out = sched_refusal_of_build();
	return NULL;
}

void sched_bpf_free(struct sched_bpf *bpf)
{
}

int sched_bpf_pause(struct sched_bpf *bpf)
{
	return 0;
}

int sched_bpf_resume(struct sched_bpf *bpf)
{
	return 0;
}

struct sched_drained sched_bpf_drain(struct sched_bpf *bpf, sched_record_fn fn, void *user)
{
	return (struct sched_drained){ 0 };
}

bool sched_bpf_waker(struct sched_bpf *bpf, uint32_t tid, char comm_out[16])
{
	return false;
}

#endif
