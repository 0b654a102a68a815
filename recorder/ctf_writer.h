/* SPDX-License-Identifier: MIT */
/* Writes one stream of a CTF 1.8 trace: event classes from a table, fields put one by one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <glib.h>

enum ctf_type {
	CTF_U16 = 1,
	CTF_U32,
	CTF_U64,
	CTF_S32,
	CTF_S64,
	CTF_STRING,
	CTF_U64_SEQUENCE,
};

/* A field; the list of an event ends with name NULL. */
struct ctf_field {
	const char *name;
	enum ctf_type type;
	const char *const *labels; /* of a CTF_U32: labels[value], NULL-terminated; else NULL */
};

/* An event class; its id is its index in the table. */
struct ctf_class {
	const char *name;
	const struct ctf_field *fields;
};

/* The clock of all times. It says `absolute = true`: without it no reader merges two traces. */
struct ctf_clock {
	char name[64];
	char uuid[40];	  /* text form, or "" for none */
	uint64_t freq;	  /* ticks a second */
	int64_t offset_s; /* seconds, and … */
	int64_t offset;	  /* … ticks from the epoch to the clock's 0 */
};

/* A pair for the metadata's env block. */
struct ctf_env {
	const char *key, *value;
};

struct ctf_writer;

/*
 * Starts a stream in `fd` (borrowed; written from its current position on). `classes` (borrowed, n of
 * them) and `clock` must stay until ctf_writer_free().
 */
struct ctf_writer *ctf_writer_new(
	int fd, const struct ctf_class *classes, size_t n_classes, const struct ctf_clock *clock);
void ctf_writer_free(struct ctf_writer *writer);

/* The metadata text. `env` may be NULL. The caller frees the string. */
GString *ctf_writer_metadata(
	const struct ctf_writer *writer, const struct ctf_env *env, size_t n_env);

/* Begins an event. Times of one stream never go back: an earlier one is raised to the last. */
void ctf_writer_begin(struct ctf_writer *writer, size_t class, uint64_t timestamp);

/*
 * The fields, in the class's order (asserted). Strings become valid UTF-8 without NUL; bytes that are not
 * are written as \xNN. NULL and "" become "-" (proto/schema.md says why).
 */
void ctf_put_u16(struct ctf_writer *writer, uint16_t value);
void ctf_put_u32(struct ctf_writer *writer, uint32_t value);
void ctf_put_u64(struct ctf_writer *writer, uint64_t value);
void ctf_put_s32(struct ctf_writer *writer, int32_t value);
void ctf_put_s64(struct ctf_writer *writer, int64_t value);
void ctf_put_string(struct ctf_writer *writer, const char *value);
void ctf_put_sequence(struct ctf_writer *writer, const uint64_t *values, size_t n);

/* Ends the event. Errors are kept until ctf_writer_flush(). */
void ctf_writer_end(struct ctf_writer *writer);

/* Writes the last packet. Returns 0 or the first -errno of all writes. *n_bytes_out: the stream's size. */
int ctf_writer_flush(struct ctf_writer *writer, uint64_t *n_bytes_out);
