/* SPDX-License-Identifier: MIT */
/* Sampled allocations by stack and size, and which of them were in use at the end of the window. */
#pragma once

#include "viewer/trace.h"

#define ALLOC_RATE_DEFAULT 524288
#define ALLOC_MAX_RATES 64

struct alloc_site {
	uint64_t size;		 /* bytes requested */
	uint64_t rate;		 /* mean bytes between samples; 0 or 1: every allocation */
	uint64_t n_alloc;	 /* sampled within the window */
	uint64_t n_in_use;	 /* sampled, alive at its end; allocated at any time */
	uint32_t process, stack; /* indices */
};

struct allocs {
	GArray *sites; /* struct alloc_site */
	struct idmap by_site;
	struct idmap open; /* (process, address) → site: sampled and not yet freed */
	uint64_t rates[ALLOC_MAX_RATES]; /* met so far */
	uint32_t n_rates;
	uint64_t last_rate;
	uint64_t n_samples, n_frees;
};

void allocs_init(struct allocs *allocs);
void allocs_fini(struct allocs *allocs);
struct trace_pass allocs_pass(struct allocs *allocs);

/*
 * Decides what is in use: the sampled objects that the tracer listed as alive at the end; for a process
 * whose list is missing or overflowed, also those whose free was not seen. Call once, after the run.
 */
void allocs_finish(struct allocs *allocs, struct trace *trace);

/* How many allocations one sample of `size` bytes stands for: 1/(1-exp(-size/rate)). */
double alloc_scale(uint64_t size, uint64_t rate);
