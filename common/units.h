/* SPDX-License-Identifier: MIT */
/* Durations, sizes and counts as people type them. Pure functions, safe from any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Parses a duration in Go's syntax: a signed sequence of decimal numbers, each with a unit out of ns,
 * us, µs, ms, s, m, h: "1m30s", "1.5h", "500ms". A bare number is refused, except "0". Returns 0,
 * -EINVAL, or -ERANGE beyond ±292 years. The output is untouched on failure.
 */
int units_duration_parse(const char *text, int64_t *ns_out);

/* Writes the shortest form that units_duration_parse() reads back as the same value: "1m30s", "1.5s". */
void units_duration_format(int64_t ns, char *buf, size_t n_buf);

/*
 * Parses a size in bytes: a decimal number, fraction allowed, and K, M, G or T in powers of 1024
 * ("512K", "1.5G", "64MiB", "4096", "10B"). Returns 0, -EINVAL, or -ERANGE above 2^63 - 1.
 */
int units_size_parse(const char *text, uint64_t *bytes_out);

/* Writes a size for people: "64 MiB", "1.5 GiB", "300 B". */
void units_size_format(uint64_t bytes, char *buf, size_t n_buf);

/* Parses a decimal number of at most `max`. Returns 0, -EINVAL, or -ERANGE. */
int units_count_parse(const char *text, uint64_t max, uint64_t *count_out);
