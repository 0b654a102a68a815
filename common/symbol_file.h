/* SPDX-License-Identifier: MIT */
/* The file behind a mapped module: found, and checked against the build-id that the process had. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/symbol.h"

/* Why a module has no file. Positive. */
enum {
	SYMBOL_FILE_E_MISSING = 1,  /* no file there, or none that we may read */
	SYMBOL_FILE_E_MISMATCH = 2, /* files were found, none of them with this build-id */
};

/*
 * Opens the file of `module`: *fd_out is the caller's to close. Looked at, in this order: the path as the
 * process sees it, the path here, /proc/PID/exe and /proc/PID/map_files for a file that was deleted or
 * replaced, our own vDSO. Only a file with the module's build-id is taken. Returns 0 or SYMBOL_FILE_E_*.
 */
int symbol_file_open(const struct symbol_module *module, int *fd_out);

/* The module's path without the " (deleted)" of the kernel; to g_free(). */
char *symbol_file_path(const struct symbol_module *module);

/* A read-only descriptor of `path` if that is a regular file, else -1. Never waits (FIFOs). */
int symbol_file_open_regular(const char *path);

/* The build-id inside an ELF file. Returns its length, or 0. */
size_t symbol_build_id_of_fd(int fd, uint8_t *build_id, size_t size);

/* Whether the ELF file has exactly this build-id. */
int symbol_file_has_build_id(int fd, const uint8_t *build_id, size_t n_build_id);
