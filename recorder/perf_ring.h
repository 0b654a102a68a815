/* SPDX-License-Identifier: MIT */
/*
 * A ring of perf events: mapped from the kernel, read record by record. Knows the layout of the records that our
 * sampling events write (PERF_RING_SAMPLE_TYPE, sample_id_all), and no other. One reader.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/perf_event.h>

#include "recorder/perf_regs.h"

#define PERF_RING_SAMPLE_TYPE                                                                  \
	(PERF_SAMPLE_IDENTIFIER | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_REGS_USER | \
		PERF_SAMPLE_STACK_USER)

/* A record, parsed. Pointers lie in the ring and hold until perf_ring_next(). */
struct perf_record {
	uint32_t type; /* PERF_RECORD_*; 0: of a kind that is passed over */
	uint64_t time_ns;
	uint64_t id; /* of the event, PERF_EVENT_IOC_ID; of the one inherited from */
	pid_t pid, tid;
	union {
		struct {
			bool has_regs; /* of a 64-bit program; else it has neither regs nor stack */
			uint64_t regs[PERF_REGS_N];
			const uint8_t *stack; /* 8-aligned */
			uint32_t n_stack;     /* bytes */
			bool is_short;	      /* there was more stack than room for it */
		} sample;
		struct {
			uint64_t start, end, offset;
			const char *path;
		} mmap;
		struct {
			const char *name;
			bool is_exec;
		} comm;
		struct {
			pid_t parent_pid; /* FORK; `pid` and `tid` above are the child's */
		} task;
		struct {
			uint64_t n; /* records */
		} lost;
	};
};

/* Set up by perf_ring_map(), or in tests over ordinary memory: `page`, `data` and `size` then. */
struct perf_ring {
	struct perf_event_mmap_page *page;
	uint8_t *data;
	uint64_t size;	  /* bytes, a power of two */
	uint64_t at, end; /* what is to be read now, counted as the kernel does */
	uint8_t *scratch; /* owned: 64 KiB for a record that wraps around */
	uint64_t n_damaged;
};

/* Maps the ring of event `fd`. Returns 0 or -errno (-EPERM: more than may be locked). */
int perf_ring_map(struct perf_ring *ring, int fd, size_t size);
void perf_ring_unmap(struct perf_ring *ring);

/* Makes what has been written so far readable. */
void perf_ring_look(struct perf_ring *ring);

/*
 * The next record; false: there is none. What cannot be one is skipped, with all behind it, and counted in n_damaged.
 */
bool perf_ring_peek(struct perf_ring *ring, struct perf_record *record_out);

/* Passes over the record that perf_ring_peek() gave. */
void perf_ring_next(struct perf_ring *ring);

/* Gives the room of all that was passed over back to the kernel. */
void perf_ring_release(struct perf_ring *ring);
