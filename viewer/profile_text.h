/* SPDX-License-Identifier: MIT */
/*
 * The texts of ?debug=1, as Go writes them and pprof's readers of old formats accept them, made from the same profile
 * that would be packed. Every record has an address; addresses are return addresses, the comment lines below
 * name the call. The memory map stands at the end, so that the text is symbolizable.
 */
#pragma once

#include "viewer/profile.h"

/*
 * "NAME profile: total N": profiles that count things (threads, creations, a program's own). Value 0 counts; labels
 * with a text are shown.
 */
void profile_text_count(const struct profile *profile, const char *name, GString *out);

/*
 * "heap profile: …". Values are objects and bytes allocated, objects and bytes in use, as sampled, with one mean
 * distance `rate` in bytes. `tail`: lines that begin with '#', to stand after the records.
 */
void profile_text_heap(
	const struct profile *profile, uint64_t rate, const char *tail, GString *out);

/* "--- contention:" or "--- mutex:". Values are the number of waits and their ns. */
void profile_text_contention(const struct profile *profile, int is_mutex, GString *out);

/*
 * One record's comment lines, "#\t0xPC\tFUNCTION+0xOFFSET\tFILE:LINE", in columns; inlined functions have
 * lines of their own. Locations are ids, leaf first.
 */
void profile_text_frames(
	const struct profile *profile, const uint64_t *locations, size_t n_locations, GString *out);

/*
 * The frames for people, two lines each: "FUNCTION(...)\n\tFILE:LINE +0xOFFSET\n". What has no file is shown with its
 * module.
 */
void profile_text_trace(
	const struct profile *profile, const uint64_t *locations, size_t n_locations, GString *out);

/*
 * "created by FUNCTION in goroutine ID" and its place: the innermost of these locations that is not part of the C++
 * library's threads.
 */
void profile_text_created(const struct profile *profile, const uint64_t *locations,
	size_t n_locations, uint32_t creator, GString *out);

/* "FUNCTION (FILE:LINE)" of one location, the innermost function there; to g_free(). */
char *profile_text_place(const struct profile *profile, uint64_t location);

/* Appends `text` in double quotes as Go writes strings. */
void profile_text_quote(const char *text, GString *out);

/* For the writers: " 0xPC 0xPC…" of a record, and "--- Memory map: ---" with all mappings. */
void profile_text_addresses(
	const struct profile *profile, const uint64_t *locations, size_t n_locations, GString *out);
void profile_text_map(const struct profile *profile, GString *out);
