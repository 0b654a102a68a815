/* SPDX-License-Identifier: MIT */
/*
 * --cpuprofile=F, --memprofile=F, --blockprofile=F and --mutexprofile=F: profiles of the program's whole life, written
 * when it has ended, however it ended; each file appears complete or not at all.
 */
#pragma once

#include <stdbool.h>

#include "recorder/options.h"
#include "recorder/profiles.h"
#include "recorder/store.h"

enum output_profile {
	OUTPUT_CPU,
	OUTPUT_MEM,
	OUTPUT_BLOCK,
	OUTPUT_MUTEX,
	OUTPUT_N,
};

struct output_profiles {
	struct store_file files[OUTPUT_N]; /* fd -1: not asked for */
	bool is_cpu_on;
};

/* Nothing is asked for. */
#define OUTPUT_PROFILES_NONE                                                         \
	{                                                                            \
		.files = { { .fd = -1 }, { .fd = -1 }, { .fd = -1 }, { .fd = -1 } }, \
	}

/*
 * Shows that the files can be made, under temporary names. Returns 0, or -errno and one sentence in *why_out (g_free);
 * then nothing is left.
 */
int output_profiles_open(
	const struct options *options, struct output_profiles *outputs, char **why_out);

/*
 * As soon as the program has its pid: begins the CPU profile, if one is asked for. `profiles` NULL: the program runs untraced;
 * says so and drops the files. Failures are told on stderr.
 */
void output_profiles_begin(struct output_profiles *outputs, const struct options *options,
	struct profiles *profiles, pid_t pid);

/* After its end: writes all. Failures are told on stderr. */
void output_profiles_write(struct output_profiles *outputs, struct profiles *profiles);

/* Drops what was not written. */
void output_profiles_discard(struct output_profiles *outputs);
