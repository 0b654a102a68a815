/* SPDX-License-Identifier: MIT */
/*
 * Builds a profile in pprof's format. Knows nothing of traces: it hands out ids 1..n in order, merges what is
 * equal, and writes gzip-compressed protobuf that every reader accepts. Single-threaded.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#define PROFILE_MAX_VALUES 4

struct profile_value_type {
	const char *type, *unit;
};

struct profile_mapping {
	uint64_t start, limit, file_offset;
	const char *filename, *build_id;
};

struct profile_line {
	const char *name, *system_name, *filename; /* "" unknown */
	int64_t line, func_line;		   /* 0 unknown */
};

/* A label of a sample: text when `text` is set, else a number. */
struct profile_label {
	const char *key;
	const char *text;
	int64_t number;
};

struct profile;

/* At most PROFILE_MAX_VALUES types. Texts are copied, here and below. */
struct profile *profile_new(const struct profile_value_type *types, size_t n_types,
	struct profile_value_type period_type, int64_t period);
void profile_free(struct profile *profile);

/* Wall clock, ns since 1970; 0 duration: not a window. */
void profile_set_time(struct profile *profile, int64_t time_ns, int64_t duration_ns);

/* What is shown unless the user asks for another type: the last one, without this call. */
void profile_set_default_type(struct profile *profile, const char *type);

/* A sentence for people: what the profile is of, and what it lacks. `pprof -comments` shows them. */
void profile_add_comment(struct profile *profile, const char *text);

/* Adds a mapping and returns its id. The first one must be the main program. */
uint64_t profile_add_mapping(struct profile *profile, const struct profile_mapping *mapping);

/*
 * Id of the location at `address`, which must be unique among different places and not 0; made from `lines`
 * (innermost first, none: unknown) when it is new. mapping 0: in none.
 */
uint64_t profile_location(struct profile *profile, uint64_t mapping, uint64_t address,
	const struct profile_line *lines, size_t n_lines);

/* How far the location's address is into its function, for texts. */
void profile_set_offset(struct profile *profile, uint64_t location, uint64_t offset);

/* Adds values to the sample with these locations (leaf first) and labels. */
void profile_add_sample(struct profile *profile, const uint64_t *locations, size_t n_locations,
	const int64_t *values, const struct profile_label *labels, size_t n_labels);

/*
 * Without the samples whose values are all 0, as they come out of a subtraction, and what only they used. Takes over
 * `profile`.
 */
struct profile *profile_drop_zeros(struct profile *profile);

size_t profile_n_samples(const struct profile *profile);

/* The finished profile as gzip-compressed protobuf. Owned by the caller. */
GByteArray *profile_pack(const struct profile *profile);
