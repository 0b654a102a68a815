/* SPDX-License-Identifier: MIT */
/* Reads the tables of the sampled profiles out of a blackbox, at any moment: see blackbox_read.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "recorder/blackbox_read.h"

/*
 * The buckets in use: a GArray of struct fr_bucket in no order. Several may have the same key: add them up. Values are
 * totals since the start that only grow; those of a bucket may be a moment apart.
 */
GArray *blackbox_buckets(const struct blackbox *blackbox, enum fr_bucket_kind kind);

/* Text of a label set. False, and an empty text, when there is none of that id. */
bool blackbox_label(const struct blackbox *blackbox, uint32_t id, char text_out[160]);

/* A profile that the program made, with its place in the table. */
struct blackbox_custom {
	uint32_t index;
	char name[64];
};

/* All of them, a GArray of struct blackbox_custom. Names are not empty and end. */
GArray *blackbox_customs(const struct blackbox *blackbox);

/* What is in them now: a GArray of struct fr_custom_entry. */
GArray *blackbox_custom_entries(const struct blackbox *blackbox);

/*
 * CPU samples taken at `begin_ns` (CLOCK_MONOTONIC) or later, into a new GArray of struct fr_cpu_sample by ascending time:
 * whole ones, with stacks and label sets as the process wrote them. Returns how many of that time are missing, at
 * least: written over before they were read, or never finished.
 */
uint64_t blackbox_samples(
	const struct blackbox *blackbox, uint64_t begin_ns, GArray **samples_out);

/*
 * Triggers from number `from` on, a GArray of struct fr_trigger by ascending number (seq - 1): their reasons end, their
 * kinds are known. *next_out (may be NULL): the number to go on from.
 */
GArray *blackbox_triggers(const struct blackbox *blackbox, uint64_t from, uint64_t *next_out);

/* The crash that the process wrote down; false: none, or it was killed while it wrote. Counts are within their bounds. */
bool blackbox_crash(const struct blackbox *blackbox, struct fr_crash *crash_out);

/* fr_blackbox.helper_tid, helper_seq and cpu_refusal as they are now. */
uint32_t blackbox_helper_tid(const struct blackbox *blackbox);
uint32_t blackbox_helper_seq(const struct blackbox *blackbox);
uint32_t blackbox_cpu_refusal(const struct blackbox *blackbox);
