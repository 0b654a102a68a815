/* SPDX-License-Identifier: MIT */
/*
 * Samples of a profile before they have names: numbers by process, stack, labels, size. Stack ids never change
 * their meaning, so that the rows of two moments can be subtracted. Single-threaded.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <glib.h>

#include "proto/schema.h"
#include "viewer/profile.h"

struct profile_row {
	uint32_t process; /* profile_process.id */
	uint32_t stack;	  /* as the process knows it: FR_STACK_NONE and FR_STACK_OVERFLOW too */
	const char *
		pseudo; /* static text of a frame that is no code, instead of a stack; NULL: the stack */
	const char *labels; /* "k=v,k2=v2"; belongs to the rows; NULL none */
	uint64_t size;	    /* heap: class of sizes */
	uint64_t rate;	    /* heap: mean bytes between samples */
	int64_t values[PROFILE_MAX_VALUES];
	uint64_t bytes; /* heap: mean size of the objects; no part of the key; 0 unknown */
};

struct profile_rows {
	GPtrArray *all;	      /* owns struct profile_row, in the order they came */
	GHashTable *by_key;   /* rows, borrowed */
	GStringChunk *labels; /* owned: each text once */
};

struct profile_rows *profile_rows_new(void);
void profile_rows_free(struct profile_rows *rows);

/* The row with the key of `key` (all but its values), a new one with values 0 when there is none. */
struct profile_row *profile_rows_get(struct profile_rows *rows, const struct profile_row *key);

/* Takes the values of `before` off. Keys that only `before` has come in with negative values. */
void profile_rows_subtract(struct profile_rows *rows, const struct profile_rows *before);

/* Whether all values are 0: such a row is left out of a profile. */
bool profile_row_is_zero(const struct profile_row *row);
