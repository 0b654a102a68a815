/* SPDX-License-Identifier: MIT */
/*
 * A ring of perf events that the kernel writes from the end to the beginning, over what is oldest, without ever waiting
 * for us. It is copied and given out in the order of time; the kernel is never asked to pause. One reader.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/perf_event.h>

/* All that is recorded of a switch: ids and time, behind every record (sample_id_all). */
#define SCHED_RING_SAMPLE_TYPE (PERF_SAMPLE_TID | PERF_SAMPLE_TIME)

struct sched_switch_record {
	uint64_t ns;
	pid_t pid, tid;
	int is_out, is_preempted;
};

typedef void (*sched_ring_fn)(const struct sched_switch_record *record, void *user);

/* Set up by sched_ring_map(), or in tests over ordinary memory: `page`, `data` and `size` then, and `copy` as long. */
struct sched_ring {
	const struct perf_event_mmap_page *page;
	const uint8_t *data;
	uint64_t size;			 /* bytes, a power of two */
	uint64_t last_head;		 /* where the last take began; counts downwards */
	uint8_t *copy;			 /* owned */
	struct sched_switch_record last; /* given out */
};

/* Maps the ring of event `fd`, which has write_backward set. Returns 0 or -errno (-EPERM: more than may be locked). */
int sched_ring_map(struct sched_ring *ring, int fd, size_t size);
void sched_ring_unmap(struct sched_ring *ring);

/*
 * Gives out what is new, oldest first. A record that says the same of the same thread as the one before it is left out: two
 * events saw the switch. Returns how many records were written over before they were read.
 */
uint64_t sched_ring_take(struct sched_ring *ring, sched_ring_fn fn, void *user);
