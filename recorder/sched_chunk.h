/* SPDX-License-Identifier: MIT */
/*
 * A piece of one CPU's records, packed, which is read without any other: times as differences, threads by their number in
 * a list that the piece itself holds. Counted; complete ones never change.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "recorder/sched_history.h"

#define SCHED_CHUNK_BYTES (16u << 10)

/* A nameless file that pieces are moved to. Counted by the pieces in it. */
struct sched_spool {
	int fd; /* owned */
	uint64_t n_bytes;
};

struct sched_chunk {
	uint32_t cpu;
	uint64_t begin_ns, end_ns; /* of its first and last record */
	uint32_t n_records, n_bytes;
	uint8_t *data;		   /* owned; NULL: it is in `spool` */
	struct sched_spool *spool; /* counted; NULL: it is in memory */
	uint64_t offset;	   /* there */
};

/* Packs one CPU's records into its current piece. */
struct sched_packer {
	struct sched_chunk *chunk; /* counted; NULL: none begun */
	uint32_t n_threads;
	struct {
		uint32_t pid, tid, number;
	} recent[256]; /* by tid; valid if number < n_threads and its tid matches */
};

/* False: the piece is full (or there is none): take it with sched_packer_take(), and try again. */
bool sched_packer_add(struct sched_packer *packer, const struct sched_record *record);

/* Begins a piece for `cpu`. */
void sched_packer_begin(struct sched_packer *packer, uint32_t cpu);

/* The piece so far, now complete, for the caller; NULL: it has none, or an empty one. */
struct sched_chunk *sched_packer_take(struct sched_packer *packer);

/* A copy of the piece so far, which goes on. */
struct sched_chunk *sched_packer_copy(const struct sched_packer *packer);

/* Counts may change on any thread. */
struct sched_chunk *sched_chunk_get(struct sched_chunk *chunk);
void sched_chunk_put(struct sched_chunk *chunk);

/* Writes a complete piece to the file: *moved_out is the same one there, for the caller. Returns 0 or -errno. */
int sched_chunk_spool(
	const struct sched_chunk *chunk, struct sched_spool *spool, struct sched_chunk **moved_out);

struct sched_spool *sched_spool_new(const char *folder, int *err_out);
void sched_spool_put(struct sched_spool *spool);

/* Unpacks a piece. */
struct sched_unpacker {
	struct sched_chunk *chunk; /* counted */
	uint8_t *data;		   /* owned if the piece is in a file */
	const uint8_t *at, *end;
	uint32_t left; /* records */
	uint64_t ns;
	GArray *threads; /* owned: struct { pid, tid } as two uint32_t */
};

/* Takes over the caller's count. Returns 0 or -errno. */
int sched_unpacker_begin(struct sched_unpacker *unpacker, struct sched_chunk *chunk);
/* False: it is at its end, or damaged. */
bool sched_unpacker_next(struct sched_unpacker *unpacker, struct sched_record *record_out);
void sched_unpacker_end(struct sched_unpacker *unpacker);
