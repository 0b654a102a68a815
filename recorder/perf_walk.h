/* SPDX-License-Identifier: MIT */
/*
 * The stack walk over a sample: registers and a copy of the top of the stack, with the unwind tables of the files
 * that the process has mapped. The rules are those of the tracer's walk (tracer/unwind.c), and so are its results.
 * Single-threaded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recorder/perf_space.h"
#include "tracer/unwind_arch.h"

struct perf_walk_start {
	const arch_context *context; /* borrowed: all registers */
	const uint8_t *stack; /* borrowed, 8-aligned: what lies at the stack pointer and above */
	size_t n_stack;	      /* bytes */
	bool is_short;	      /* the thread's stack goes on above the copy */
};

struct perf_walk_frame {
	uint64_t address; /* in the form of a return address: exact ones are pc + 1 */
	enum perf_code code;
};

/*
 * Writes at most `max` frames, leaf first, the sampled pc included. Returns their number, at least 1 for max ≥ 1.
 * *flags_out gets FR_STACK_* bits; FR_STACK_CUT also where the copy was too short.
 */
size_t perf_walk(struct perf_spaces *spaces, struct perf_space *space,
	const struct perf_walk_start *start, struct perf_walk_frame *frames_out, size_t max,
	unsigned *flags_out);

/*
 * Takes the tracer's frames out of a stack: those of libflightrec.so, and with LTTng's libraries all that they were
 * called for. Writes the addresses of the rest, at most n. `flags` are those of the walk. *is_own_out: the sample hit
 * the tracer's own work. False, and no outputs: it is from one of the tracer's own threads.
 */
bool perf_walk_strip(const struct perf_walk_frame *frames, size_t n, unsigned flags,
	uint64_t *addresses_out, size_t *n_out, bool *is_own_out);
