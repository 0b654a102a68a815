/* SPDX-License-Identifier: MIT */
/* Separate debug files on this machine, each checked to belong to its program. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What a program says about its debug file. All borrowed. */
struct symbol_debug_want {
	const char *path;	 /* of the program: debug files are looked for near it */
	const uint8_t *build_id; /* may be NULL with n_build_id 0 */
	size_t n_build_id;
	const char *link; /* .gnu_debuglink, or NULL */
	uint32_t crc;
};

/*
 * A descriptor of the debug file, or -1. Looked at: /usr/lib/debug/.build-id, then by debuglink beside the
 * program, in .debug there and below /usr/lib/debug. Taken when the build-id is the same; where the program
 * has none, when the CRC is.
 */
int symbol_debug_file_find(const struct symbol_debug_want *want);

/*
 * A descriptor of what dwz moved out of several debug files, or -1. `name` is from .gnu_debugaltlink in the
 * file at `from`, whose folder it may be relative to. Only a file with this build-id is taken.
 */
int symbol_debug_file_alt(
	const char *from, const char *name, const uint8_t *build_id, size_t n_build_id);
