/* SPDX-License-Identifier: MIT */
/* Writes a blackbox as the tracer lays it out, for tests of those who read it. */
#pragma once

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "proto/blackbox.h"
#include "proto/schema.h"
#include "proto/stack.h"

struct blackbox_file {
	int fd;
	struct fr_blackbox *header; /* the mapped file */
	uint64_t arena_used;
};

static inline void *blackbox_file_at(struct blackbox_file *file, uint64_t offset)
{
	return (char *)file->header + offset;
}

/* A file with a valid header and empty tables, of a process that runs now: this one. */
static inline struct blackbox_file blackbox_file_create(const char *path, uint16_t proc)
{
	struct blackbox_file file = { .arena_used = 16 };
	struct fr_blackbox header = { .magic = FR_BLACKBOX_MAGIC, .version = FR_BLACKBOX_VERSION };
	uint64_t at = 8192;
	struct timespec now;

	header.size_header = sizeof(header);
	header.proc = proc;
	header.pid = (uint32_t)getpid();
	header.ppid = (uint32_t)getppid();
	header.state = FR_PROCESS_RUNNING;
	clock_gettime(CLOCK_MONOTONIC, &now);
	header.start_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	header.off_slots = at;
	at += sizeof(struct fr_slot) * FR_BB_MAX_THREADS;
	header.off_modules = at;
	at += sizeof(struct fr_module) * FR_BB_MAX_MODULES;
	header.off_calls = at;
	at += sizeof(struct fr_call_total) * FR_BB_MAX_CALLS * FR_BB_CALL_SHARDS;
	header.off_stack_index = at;
	at += sizeof(uint64_t) * FR_BB_STACK_INDEX;
	header.off_live = at;
	at += sizeof(struct fr_live) * FR_BB_MAX_LIVE;
	for (unsigned kind = 0; kind < FR_BUCKET_N_KINDS; kind++) {
		header.off_buckets[kind] = at;
		at += sizeof(struct fr_bucket) * fr_bucket_number(kind);
	}
	header.off_labels = at;
	at += sizeof(struct fr_label_set) * FR_BB_MAX_LABELS;
	header.off_custom = at;
	at += sizeof(struct fr_custom) * FR_BB_MAX_CUSTOM;
	header.off_custom_live = at;
	at += sizeof(struct fr_custom_entry) * FR_BB_MAX_CUSTOM_LIVE;
	header.off_samples = at;
	at += sizeof(struct fr_cpu_sample) * FR_BB_SAMPLES;
	header.off_triggers = at;
	at += sizeof(struct fr_trigger) * FR_BB_TRIGGERS;
	header.off_crash = at;
	at += sizeof(struct fr_crash);
	header.off_stack_arena = at;
	header.file_size = at + FR_BB_STACK_ARENA;
	strcpy(header.exe, "/usr/bin/example");
	file.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (file.fd < 0 || ftruncate(file.fd, (off_t)header.file_size) < 0)
		abort();
	file.header = mmap(NULL, header.file_size, PROT_READ | PROT_WRITE, MAP_SHARED, file.fd, 0);
	if (file.header == MAP_FAILED)
		abort();
	*file.header = header;
	return file;
}

static inline void blackbox_file_close(struct blackbox_file *file)
{
	munmap(file->header, file->header->file_size);
	close(file->fd);
}

/* The next thread slot, empty but for its tid. */
static inline struct fr_slot *blackbox_file_slot(struct blackbox_file *file, uint32_t tid)
{
	struct fr_slot *slot = blackbox_file_at(file, file->header->off_slots);

	slot += file->header->n_threads++;
	slot->tid = tid;
	slot->fd = -1;
	return slot;
}

static inline struct fr_module *blackbox_file_module(struct blackbox_file *file)
{
	struct fr_module *module = blackbox_file_at(file, file->header->off_modules);

	return module + file->header->n_modules++;
}

/* Interns a stack as the tracer does, and returns its id. */
static inline uint32_t blackbox_file_stack(
	struct blackbox_file *file, const uint64_t *addr, size_t n, unsigned flags)
{
	uint64_t *index = blackbox_file_at(file, file->header->off_stack_index);
	uint64_t hash = stack_record_hash(addr, n, flags);
	uint32_t id = (uint32_t)(file->arena_used / 8);
	size_t entry = hash & (FR_BB_STACK_INDEX - 1);

	stack_record_encode(
		blackbox_file_at(file, file->header->off_stack_arena + file->arena_used), hash,
		addr, n, flags);
	file->arena_used += stack_record_size(addr, n);
	file->header->stack_arena_used = file->arena_used;
	while (index[entry])
		entry = (entry + 1) & (FR_BB_STACK_INDEX - 1);
	index[entry] = hash >> 32 << 32 | id;
	return id;
}

/* A new bucket, found by nobody but readers who look at all of them: at entry `i` of its table. */
static inline struct fr_bucket *blackbox_file_bucket(
	struct blackbox_file *file, enum fr_bucket_kind kind, uint32_t i, uint32_t stack)
{
	struct fr_bucket *bucket = blackbox_file_at(file, file->header->off_buckets[kind]);

	bucket += i;
	bucket->kind = kind;
	bucket->stack = stack;
	bucket->tag = 0x1234 + i;
	return bucket;
}
