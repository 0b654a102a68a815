/* SPDX-License-Identifier: MIT */
/*
 * The file is 50 MiB long and almost all hole. A hole in tmpfs that is touched through a mapping is
 * allocated, and when tmpfs is full the toucher dies of SIGBUS: so every region is committed with
 * fallocate() in chunks of 64 KiB before it is first used, reading included. The file is reopened for
 * that, since a descriptor kept open would show in the program's table and may be closed by it.
 */
#include "tracer/blackbox.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tracer/internal.h"
#include "tracer/sys.h"

#define CHUNK_SHIFT 16
#define CHUNK (1ull << CHUNK_SHIFT)
#define MAX_CHUNKS 1024
#define PAGE_ALIGN(n) (((uint64_t)(n) + 4095) & ~4095ull)

static char file_path[256];
static uint64_t committed[MAX_CHUNKS / 64]; /* a bit per chunk, set after the fallocate */

int blackbox_is_committed(uint64_t offset, uint64_t size)
{
	uint64_t chunk;

	for (chunk = offset >> CHUNK_SHIFT; chunk <= (offset + size - 1) >> CHUNK_SHIFT; chunk++) {
		/* Acquire: pairs with the release in commit_chunks(). */
		uint64_t word = __atomic_load_n(&committed[chunk / 64], __ATOMIC_ACQUIRE);

		if (!(word >> (chunk % 64) & 1))
			return 0;
	}
	return 1;
}

static int commit_chunks(int fd, uint64_t offset, uint64_t size)
{
	uint64_t first = offset >> CHUNK_SHIFT, last = (offset + size - 1) >> CHUNK_SHIFT, chunk;
	uint64_t end = (last + 1) << CHUNK_SHIFT;
	long ret;

	if (last >= MAX_CHUNKS)
		return -EFBIG;
	if (end > fr_blackbox->file_size)
		end = fr_blackbox->file_size;
	do {
		ret = sys(SYS_fallocate, fd, FALLOC_FL_KEEP_SIZE, first << CHUNK_SHIFT,
			end - (first << CHUNK_SHIFT));
	} while (ret == -EINTR);
	/* A file system without fallocate: then the pages come as they are touched. */
	if (ret < 0 && ret != -EOPNOTSUPP)
		return (int)ret;
	for (chunk = first; chunk <= last; chunk++)
		__atomic_fetch_or(&committed[chunk / 64], 1ull << (chunk % 64), __ATOMIC_RELEASE);
	return 0;
}

int blackbox_commit(uint64_t offset, uint64_t size)
{
	long fd;
	int ret;

	if (likely(blackbox_is_committed(offset, size)))
		return 0;
	fd = sys(SYS_openat, AT_FDCWD, file_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return (int)fd;
	ret = commit_chunks((int)fd, offset, size);
	sys(SYS_close, fd);
	return ret;
}

/* Creates the first free name from a start that spreads processes over the 65535 names. */
static int create_file(const char *rundir, uint16_t *proc_out)
{
	unsigned start = (unsigned)sys(SYS_getpid) % 65535, i;

	for (i = 0; i < 65535; i++) {
		unsigned proc = (start + i) % 65535 + 1;
		long fd;

		snprintf(file_path, sizeof(file_path), "%s/blackbox/%05u", rundir, proc);
		fd = sys(SYS_openat, AT_FDCWD, file_path,
			O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd == -EEXIST)
			continue;
		*proc_out = (uint16_t)proc;
		return (int)fd;
	}
	return -EEXIST;
}

static uint64_t lay_out(struct fr_blackbox *header)
{
	uint64_t at = PAGE_ALIGN(sizeof(*header));

	/* What a crash and a trigger write is in the first chunk, which is always there. */
	header->off_triggers = at;
	at = PAGE_ALIGN(at + sizeof(struct fr_trigger) * FR_BB_TRIGGERS);
	header->off_crash = at;
	at = PAGE_ALIGN(at + sizeof(struct fr_crash));
	header->off_calls = at;
	at = PAGE_ALIGN(at + sizeof(struct fr_call_total) * FR_BB_MAX_CALLS * FR_BB_CALL_SHARDS);
	header->off_slots = at;
	at = PAGE_ALIGN(at + sizeof(struct fr_slot) * FR_BB_MAX_THREADS);
	header->off_modules = at;
	at = PAGE_ALIGN(at + sizeof(struct fr_module) * FR_BB_MAX_MODULES);
	header->off_stack_index = at;
	at = PAGE_ALIGN(at + sizeof(uint64_t) * FR_BB_STACK_INDEX);
	header->off_live = at;
	at = PAGE_ALIGN(at + sizeof(struct fr_live) * FR_BB_MAX_LIVE);
	for (int kind = 0; kind < FR_BUCKET_N_KINDS; kind++) {
		header->off_buckets[kind] = at;
		at = PAGE_ALIGN(at + sizeof(struct fr_bucket) * fr_bucket_number(kind));
	}
	header->off_labels = at;
	at = PAGE_ALIGN(at + sizeof(struct fr_label_set) * FR_BB_MAX_LABELS);
	header->off_custom = at;
	at = PAGE_ALIGN(at + sizeof(struct fr_custom) * FR_BB_MAX_CUSTOM);
	header->off_custom_live = at;
	at = PAGE_ALIGN(at + sizeof(struct fr_custom_entry) * FR_BB_MAX_CUSTOM_LIVE);
	header->off_samples = at;
	at = PAGE_ALIGN(at + sizeof(struct fr_cpu_sample) * FR_BB_SAMPLES);
	header->off_stack_arena = at;
	return PAGE_ALIGN(at + FR_BB_STACK_ARENA);
}

static void fill_header(struct fr_blackbox *header, uint16_t proc, uint16_t parent_proc)
{
	struct timespec wall;
	long n;

	header->version = FR_BLACKBOX_VERSION;
	header->size_header = sizeof(*header);
	header->proc = proc;
	header->parent_proc = parent_proc;
	header->pid = (uint32_t)sys(SYS_getpid);
	header->ppid = (uint32_t)sys(SYS_getppid);
	header->uid = (uint32_t)sys(SYS_getuid);
	header->state = FR_PROCESS_STARTING;
	header->start_ns = fr_now();
	clock_gettime(CLOCK_REALTIME, &wall);
	header->start_realtime_ns = (uint64_t)wall.tv_sec * 1000000000u + (uint64_t)wall.tv_nsec;
	n = sys(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", header->exe, sizeof(header->exe) - 1);
	header->exe[n > 0 ? n : 0] = '\0';
	header->entry = getauxval(AT_ENTRY);
	/* Release: a reader that sees the magic sees the rest. */
	__atomic_store_n(&header->magic, FR_BLACKBOX_MAGIC, __ATOMIC_RELEASE);
}

static void *map_file(int fd, uint64_t size)
{
	long ret = sys(
		SYS_mmap, NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	return ret < 0 && ret > -4096 ? NULL : (void *)ret;
}

/*
 * A child of a fork has its parent's modules. They are copied, since to ask the loader takes its lock, which
 * another thread of the parent may have held at the fork.
 */
static void inherit_modules(int fd, const struct fr_blackbox *parent)
{
	uint32_t n = parent->n_modules < FR_BB_MAX_MODULES ? parent->n_modules : FR_BB_MAX_MODULES;
	uint64_t size = n * sizeof(struct fr_module);

	if (!n || commit_chunks(fd, fr_blackbox->off_modules, size) < 0)
		return;
	memcpy((char *)fr_blackbox + fr_blackbox->off_modules,
		(const char *)parent + parent->off_modules, size);
	fr_blackbox->n_modules = n;
}

int blackbox_open(const char *rundir, uint16_t parent_proc, char *why_out, size_t why_size)
{
	struct fr_blackbox layout = { 0 }, *old = fr_blackbox;
	uint64_t size = lay_out(&layout);
	struct rlimit limit;
	uint16_t proc = 0;
	long ret;
	int fd;

	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < size) {
		snprintf(why_out, why_size, "the file size limit (ulimit -f) is below %llu KiB",
			(unsigned long long)(size >> 10));
		return -EFBIG;
	}
	fd = create_file(rundir, &proc);
	if (fd < 0) {
		snprintf(why_out, why_size, "cannot create %s: error %d", file_path, -fd);
		return fd;
	}
	ret = sys(SYS_ftruncate, fd, size);
	fr_blackbox = ret == 0 ? map_file(fd, size) : NULL;
	if (!fr_blackbox) {
		snprintf(why_out, why_size, "cannot map %s: error %ld", file_path, -ret);
		ret = ret ? ret : -ENOMEM;
		goto fail;
	}
	memset(committed, 0, sizeof(committed));
	layout.file_size = size;
	/* file_size is read by commit_chunks(): the header's first page is the one write before its commit. */
	ret = sys(SYS_fallocate, fd, FALLOC_FL_KEEP_SIZE, 0, CHUNK);
	if (ret == 0 || ret == -EOPNOTSUPP) {
		*fr_blackbox = layout;
		ret = commit_chunks(fd, 0,
			layout.off_calls +
				FR_BB_CALL_SHARED * FR_BB_MAX_CALLS * sizeof(struct fr_call_total));
	}
	if (ret < 0) {
		snprintf(why_out, why_size, "no room for %s: error %ld", file_path, -ret);
		sys(SYS_munmap, fr_blackbox, size);
		goto fail;
	}
	fill_header(fr_blackbox, proc, parent_proc);
	if (parent_proc && old)
		inherit_modules(fd, old);
	fr_proc = proc;
	sys(SYS_close, fd);
	if (old)
		sys(SYS_munmap, old, old->file_size);
	return 0;

fail:
	fr_blackbox = old;
	sys(SYS_unlinkat, AT_FDCWD, file_path, 0);
	sys(SYS_close, fd);
	return (int)ret;
}
