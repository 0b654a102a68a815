/* SPDX-License-Identifier: MIT */
/*
 * Everything goes through pread(): a mapping would allocate the holes it touches, and end in SIGBUS on a
 * file that was cut. Nothing in the file is trusted: the traced program can write into it by accident.
 *
 * The sequence lock over pread: the number, the slot, the number again. System calls are not reordered
 * against each other, so equal even numbers enclose a copy without a write in it.
 */
#include "recorder/blackbox_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/schema.h"
#include "proto/stack.h"
#include "recorder/procfs.h"

#define SEQ_TRIES 200
#define LIVE_PER_READ 4096
/* Largest record: header, 512 frames of 10 bytes, padding. */
#define MAX_RECORD (8 + 10 * FR_STACK_MAX_FRAMES + 8)
/* /proc tells a process's start in ticks of 10 ms: two of them as slack. */
#define START_SLACK_NS 20000000ull

/* Reads exactly n bytes. Returns 0, -errno, or -EIO at the end of the file. */
static int read_exact(int fd, void *buffer, size_t n, uint64_t offset)
{
	char *at = buffer;

	while (n) {
		ssize_t got = pread(fd, at, n, (off_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		at += got;
		offset += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

static int is_region_inside(uint64_t offset, uint64_t n, uint64_t size, uint64_t file_size)
{
	uint64_t bytes, end;

	return offset % 8 == 0 && offset >= sizeof(struct fr_blackbox) &&
	       !__builtin_mul_overflow(n, size, &bytes) &&
	       !__builtin_add_overflow(offset, bytes, &end) && end <= file_size;
}

/* What a process says of its samples, triggers and crash. */
static int are_moments_inside(const struct fr_blackbox *header, uint64_t file_size)
{
	return is_region_inside(header->off_samples, FR_BB_SAMPLES, sizeof(struct fr_cpu_sample),
		       file_size) &&
	       is_region_inside(header->off_triggers, FR_BB_TRIGGERS, sizeof(struct fr_trigger),
		       file_size) &&
	       is_region_inside(header->off_crash, 1, sizeof(struct fr_crash), file_size);
}

/* The tables of the sampled profiles. */
static int are_tables_inside(const struct fr_blackbox *header, uint64_t file_size)
{
	for (unsigned kind = 0; kind < FR_BUCKET_N_KINDS; kind++)
		if (!is_region_inside(header->off_buckets[kind], fr_bucket_number(kind),
			    sizeof(struct fr_bucket), file_size))
			return 0;
	return is_region_inside(header->off_labels, FR_BB_MAX_LABELS, sizeof(struct fr_label_set),
		       file_size) &&
	       is_region_inside(
		       header->off_custom, FR_BB_MAX_CUSTOM, sizeof(struct fr_custom), file_size) &&
	       is_region_inside(header->off_custom_live, FR_BB_MAX_CUSTOM_LIVE,
		       sizeof(struct fr_custom_entry), file_size);
}

static int header_check(struct fr_blackbox *header, uint64_t file_size)
{
	if (header->magic != FR_BLACKBOX_MAGIC)
		return BLACKBOX_E_MAGIC;
	if (header->version != FR_BLACKBOX_VERSION || header->size_header != sizeof(*header))
		return BLACKBOX_E_VERSION;
	if (header->proc == 0 || header->proc > 65535 || header->parent_proc > 65535 ||
		header->pid == 0 || header->pid > INT32_MAX ||
		header->n_threads > FR_BB_MAX_THREADS || header->n_modules > FR_BB_MAX_MODULES)
		return BLACKBOX_E_DAMAGED;
	if (!is_region_inside(
		    header->off_slots, FR_BB_MAX_THREADS, sizeof(struct fr_slot), file_size) ||
		!is_region_inside(header->off_modules, FR_BB_MAX_MODULES, sizeof(struct fr_module),
			file_size) ||
		!is_region_inside(header->off_calls, FR_BB_MAX_CALLS * FR_BB_CALL_SHARDS,
			sizeof(struct fr_call_total), file_size) ||
		!is_region_inside(
			header->off_stack_index, FR_BB_STACK_INDEX, sizeof(uint64_t), file_size) ||
		!is_region_inside(header->off_stack_arena, FR_BB_STACK_ARENA, 1, file_size) ||
		!is_region_inside(
			header->off_live, FR_BB_MAX_LIVE, sizeof(struct fr_live), file_size) ||
		!are_tables_inside(header, file_size) || !are_moments_inside(header, file_size))
		return BLACKBOX_E_DAMAGED;
	header->exe[sizeof(header->exe) - 1] = '\0';
	header->why[sizeof(header->why) - 1] = '\0';
	return 0;
}

int blackbox_open(const char *path, struct blackbox **blackbox_out)
{
	struct blackbox *blackbox = NULL;
	struct stat st;
	int err, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	blackbox = g_new0(struct blackbox, 1);
	blackbox->fd = fd;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < sizeof(blackbox->header))
		err = BLACKBOX_E_MAGIC;
	else
		err = read_exact(fd, &blackbox->header, sizeof(blackbox->header), 0);
	if (!err)
		err = header_check(&blackbox->header, (uint64_t)st.st_size);
	if (err) {
		blackbox_close(blackbox);
		return err;
	}
	*blackbox_out = blackbox;
	return 0;
}

void blackbox_close(struct blackbox *blackbox)
{
	if (!blackbox)
		return;
	close(blackbox->fd);
	g_free(blackbox);
}

int blackbox_read(const struct blackbox *blackbox, void *buffer, size_t n, uint64_t offset)
{
	return read_exact(blackbox->fd, buffer, n, offset);
}

const char *blackbox_error(int err)
{
	switch (err) {
	case BLACKBOX_E_MAGIC:
		return "it is not a blackbox, or not complete yet";
	case BLACKBOX_E_VERSION:
		return "it was written by another version of libflightrec.so";
	case BLACKBOX_E_DAMAGED:
		return "it is damaged";
	default:
		return g_strerror(-err);
	}
}

static int number_compare(const void *a, const void *b)
{
	return *(const uint16_t *)a - *(const uint16_t *)b;
}

GArray *blackbox_list(const char *rundir)
{
	GArray *numbers = g_array_new(FALSE, FALSE, sizeof(uint16_t));
	char *path = g_build_filename(rundir, "blackbox", NULL);
	DIR *dir = opendir(path);
	struct dirent *entry;

	g_free(path);
	if (!dir)
		return numbers;
	while ((entry = readdir(dir)) != NULL) {
		unsigned long value;
		uint16_t number;

		if (strlen(entry->d_name) != 5 || strspn(entry->d_name, "0123456789") != 5)
			continue;
		value = strtoul(entry->d_name, NULL, 10);
		if (value == 0 || value > 65535)
			continue;
		number = (uint16_t)value;
		g_array_append_val(numbers, number);
	}
	closedir(dir);
	g_array_sort(numbers, number_compare);
	return numbers;
}

int blackbox_open_proc(const char *rundir, uint16_t proc, struct blackbox **blackbox_out)
{
	char *path = g_strdup_printf("%s/blackbox/%05u", rundir, proc);
	struct blackbox *blackbox = NULL;
	int err = blackbox_open(path, &blackbox);

	g_free(path);
	if (err || !blackbox)
		return err ? err : -EIO;
	if (blackbox->header.proc != proc) {
		blackbox_close(blackbox);
		return BLACKBOX_E_DAMAGED;
	}
	*blackbox_out = blackbox;
	return 0;
}

int blackbox_is_alive(const struct blackbox *blackbox)
{
	const struct fr_blackbox *header = &blackbox->header;
	struct procfs_stat stat;

	if (header->end_ns || header->state == FR_PROCESS_EXITED ||
		header->state == FR_PROCESS_EXECED)
		return 0;
	if (procfs_stat_read((pid_t)header->pid, 0, &stat) != 0 || stat.state == 'Z' ||
		stat.state == 'X')
		return 0;
	return stat.start_ns <= header->start_ns + START_SLACK_NS;
}

/* Whether a consistent copy of the slot came out. */
static int slot_read(int fd, uint64_t offset, struct fr_slot *slot)
{
	for (int i = 0; i < SEQ_TRIES; i++) {
		uint32_t before, after;

		if (read_exact(fd, &before, sizeof(before), offset) ||
			read_exact(fd, slot, sizeof(*slot), offset) ||
			read_exact(fd, &after, sizeof(after), offset)) {
			memset(slot, 0, sizeof(*slot));
			return 0;
		}
		if (before == after && before % 2 == 0 && slot->seq == before)
			return 1;
		if (i > SEQ_TRIES / 2)
			sched_yield();
	}
	return 0;
}

GArray *blackbox_slots(struct blackbox *blackbox, unsigned *n_torn_out)
{
	GArray *slots = g_array_new(FALSE, FALSE, sizeof(struct fr_slot));
	unsigned n_torn = 0;

	for (uint32_t i = 0; i < blackbox->header.n_threads; i++) {
		struct fr_slot slot;
		int is_whole = slot_read(blackbox->fd,
			blackbox->header.off_slots + i * sizeof(struct fr_slot), &slot);

		if (!slot.tid || slot.tid > INT32_MAX)
			continue;
		slot.name[sizeof(slot.name) - 1] = '\0';
		slot.labels[sizeof(slot.labels) - 1] = '\0';
		if (!is_whole || slot.state >= FR_STATE_N || slot.call >= FR_CALL_N) {
			n_torn++;
			slot.state = slot.is_exited ? FR_STATE_EXITED : FR_STATE_RUNNING;
			slot.call = slot.holder = slot.stack = 0;
			slot.since_ns = slot.obj = 0;
			slot.fd = -1;
		}
		g_array_append_val(slots, slot);
	}
	if (n_torn_out)
		*n_torn_out = n_torn;
	return slots;
}

GArray *blackbox_modules(struct blackbox *blackbox)
{
	GArray *modules = g_array_new(FALSE, FALSE, sizeof(struct fr_module));

	for (uint32_t i = 0; i < blackbox->header.n_modules; i++) {
		struct fr_module module;

		if (read_exact(blackbox->fd, &module, sizeof(module),
			    blackbox->header.off_modules + i * sizeof(module)))
			break;
		if (module.seq % 2 || module.start >= module.end ||
			module.n_build_id > sizeof(module.build_id))
			continue;
		module.path[sizeof(module.path) - 1] = '\0';
		g_array_append_val(modules, module);
	}
	return modules;
}

void blackbox_counters(
	struct blackbox *blackbox, const GArray *slots, struct fr_counters *counters_out)
{
	/* A fresh copy: the header's is as old as the open. */
	if (read_exact(blackbox->fd, counters_out, sizeof(*counters_out),
		    offsetof(struct fr_blackbox, counters)))
		*counters_out = blackbox->header.counters;
	for (guint i = 0; i < slots->len; i++) {
		const struct fr_slot *slot = &g_array_index(slots, struct fr_slot, i);

		counters_out->locks_free += slot->locks_free;
		counters_out->syscalls += slot->syscalls;
		counters_out->syscalls_short += slot->syscalls_short;
		counters_out->events += slot->events;
		counters_out->repeat_hits += slot->repeat_hits;
		counters_out->repeat_misses += slot->repeat_misses;
	}
}

int blackbox_calls(struct blackbox *blackbox, struct fr_call_total totals_out[FR_BB_MAX_CALLS])
{
	struct fr_call_total *shard = g_new(struct fr_call_total, FR_BB_MAX_CALLS);
	const size_t size = sizeof(*shard) * FR_BB_MAX_CALLS;
	int err = 0;

	memset(totals_out, 0, size);
	for (size_t i = 0; i < FR_BB_CALL_SHARDS && !err; i++) {
		err = read_exact(blackbox->fd, shard, size, blackbox->header.off_calls + i * size);
		for (size_t k = 0; k < FR_BB_MAX_CALLS && !err; k++) {
			totals_out[k].n += shard[k].n;
			totals_out[k].n_short += shard[k].n_short;
			totals_out[k].dur_ns += shard[k].dur_ns;
			totals_out[k].short_ns += shard[k].short_ns;
			totals_out[k].bytes += shard[k].bytes;
		}
	}
	g_free(shard);
	return err;
}

GArray *blackbox_live(struct blackbox *blackbox)
{
	GArray *objects = g_array_new(FALSE, FALSE, sizeof(struct fr_live));
	struct fr_live *part = g_new(struct fr_live, LIVE_PER_READ);

	for (size_t i = 0; i < FR_BB_MAX_LIVE; i += LIVE_PER_READ) {
		if (read_exact(blackbox->fd, part, LIVE_PER_READ * sizeof(*part),
			    blackbox->header.off_live + i * sizeof(*part)))
			break;
		for (size_t k = 0; k < LIVE_PER_READ; k++)
			if (part[k].addr > 2)
				g_array_append_val(objects, part[k]);
	}
	g_free(part);
	return objects;
}

int blackbox_stacks(struct blackbox *blackbox, blackbox_stack_fn fn, void *data)
{
	const size_t index_size = FR_BB_STACK_INDEX * sizeof(uint64_t);
	uint64_t *index = g_malloc(index_size), frames[FR_STACK_MAX_FRAMES];
	uint32_t max_id = 0;
	uint8_t *arena = NULL;
	size_t n_arena = 0;
	int ret = read_exact(blackbox->fd, index, index_size, blackbox->header.off_stack_index);

	for (size_t i = 0; i < FR_BB_STACK_INDEX && !ret; i++)
		if (stack_entry_id(index[i]) < FR_BB_STACK_ARENA / 8)
			max_id = MAX(max_id, stack_entry_id(index[i]));
	if (!ret && max_id >= FR_STACK_FIRST_ID) {
		n_arena = MIN((size_t)max_id * 8 + MAX_RECORD, FR_BB_STACK_ARENA);
		arena = g_malloc(n_arena);
		ret = read_exact(blackbox->fd, arena, n_arena, blackbox->header.off_stack_arena);
	}
	if (ret)
		n_arena = 0;
	for (size_t i = 0; i < FR_BB_STACK_INDEX && n_arena; i++) {
		unsigned flags;
		size_t n;

		if (!index[i])
			continue;
		n = stack_record_decode(arena, n_arena, stack_entry_id(index[i]), frames,
			FR_STACK_MAX_FRAMES, &flags);
		if (n)
			fn(data, stack_entry_id(index[i]), flags, frames, n);
		else
			ret++;
	}
	g_free(arena);
	g_free(index);
	return ret;
}

size_t blackbox_stack(
	struct blackbox *blackbox, uint32_t id, uint64_t *frames_out, uint32_t *flags_out)
{
	uint8_t record[MAX_RECORD] __attribute__((aligned(8)));
	uint64_t at = (uint64_t)id * 8;
	unsigned flags = 0;
	size_t n;

	if (id < FR_STACK_FIRST_ID || at >= FR_BB_STACK_ARENA)
		return 0;
	/* The decoder takes an id within an arena: give it one that begins two words before the record. */
	n = MIN(sizeof(record) - 16, FR_BB_STACK_ARENA - at);
	memset(record, 0, 16);
	if (read_exact(blackbox->fd, record + 16, n, blackbox->header.off_stack_arena + at))
		return 0;
	n = stack_record_decode(
		record, n + 16, FR_STACK_FIRST_ID, frames_out, FR_STACK_MAX_FRAMES, &flags);
	*flags_out = flags;
	return n;
}

void blackbox_sum(const char *rundir, struct blackbox_sum *sum_out)
{
	GArray *numbers = blackbox_list(rundir);

	memset(sum_out, 0, sizeof(*sum_out));
	for (guint i = 0; i < numbers->len; i++) {
		struct fr_counters counters;
		struct blackbox *blackbox = NULL;
		GArray *slots;
		int is_alive;

		if (blackbox_open_proc(rundir, g_array_index(numbers, uint16_t, i), &blackbox)) {
			sum_out->n_unreadable++;
			continue;
		}
		is_alive = blackbox_is_alive(blackbox);
		slots = blackbox_slots(blackbox, NULL);
		blackbox_counters(blackbox, slots, &counters);
#define FR_X(field, text) sum_out->counters.field += counters.field;
		FR_COUNTER_TABLE(FR_X)
#undef FR_X
		sum_out->n_processes++;
		sum_out->n_alive += (uint32_t)is_alive;
		for (guint k = 0; k < slots->len && is_alive; k++)
			sum_out->n_threads += !g_array_index(slots, struct fr_slot, k).is_exited;
		g_array_unref(slots);
		blackbox_close(blackbox);
	}
	g_array_unref(numbers);
}
