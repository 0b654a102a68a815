/* SPDX-License-Identifier: MIT */
/* CPU samples by the function that was running. */
#pragma once

#include "viewer/trace.h"

struct cpu_site {
	uint64_t n, ns;
	uint32_t site; /* string */
};

struct cpu_samples {
	GArray *sites; /* struct cpu_site */
	struct idmap by_site;
	uint64_t n, ns;
};

void cpu_samples_init(struct cpu_samples *samples);
void cpu_samples_fini(struct cpu_samples *samples);
struct trace_pass cpu_samples_pass(struct cpu_samples *samples);
