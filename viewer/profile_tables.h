/* SPDX-License-Identifier: MIT */
/* The tables inside a profile: shared by profile.c, which fills them, and those who write them. */
#pragma once

#include "viewer/profile.h"
#include "viewer/strings.h"

struct profile_tables_mapping {
	uint64_t start, limit, file_offset;
	uint32_t filename, build_id; /* strings */
	uint32_t n_locations, n_named, n_filed, n_lined;
};

struct profile_tables_function {
	uint32_t name, system_name, filename; /* strings */
	int64_t start_line;
};

struct profile_tables_line {
	uint64_t function;
	int64_t line;
};

struct profile_tables_location {
	uint64_t mapping, address;
	uint64_t offset; /* of address in its function; not written to the file */
	uint32_t first_line, n_lines;
};

struct profile_tables_label {
	uint32_t key, text; /* strings; text 0: a number */
	int64_t number;
};

struct profile_tables_sample {
	uint32_t first_location, n_locations; /* in sample_locations */
	uint32_t first_label, n_labels;
	int64_t values[PROFILE_MAX_VALUES];
};

struct profile_tables_type {
	uint32_t type, unit;
};

/* Ids are indices + 1. Strings of the profile are exactly those of `strings`, in its order. */
struct profile {
	struct strings *strings; /* owned */
	uint32_t n_strings;
	struct profile_tables_type types[PROFILE_MAX_VALUES], period_type;
	size_t n_types;
	uint32_t default_type; /* string; 0 none */
	int64_t period, time_ns, duration_ns;
	GArray *mappings, *functions, *lines, *locations;
	GArray *samples, *sample_locations /* uint64_t */, *labels;
	GArray *comments; /* int64_t: strings */
	GHashTable *by_sample;	 /* GBytes key → index in samples */
	GHashTable *by_function; /* GBytes key → id */
	GHashTable *by_address;	 /* uint64_t * (owned) → id */
};
