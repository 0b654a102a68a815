/* SPDX-License-Identifier: MIT */
/* The file behind a mapped module: found, checked against the build-id, opened with libdwfl. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <elfutils/libdwfl.h>

#include "common/symbol.h"

struct symbol_image;

/* Why a module has no image. Positive, besides -errno. */
enum {
	SYMBOL_IMAGE_E_MISSING = 1,  /* no file there, or none that we may read */
	SYMBOL_IMAGE_E_MISMATCH = 2, /* files were found, none of them with this build-id */
	SYMBOL_IMAGE_E_FORMAT = 3,   /* not an ELF file that libdwfl takes */
};

/*
 * Opens the image of `module` (borrowed until symbol_image_free()). Looked at, in this order: the path as
 * the process sees it, the path here, /proc/PID/exe and /proc/PID/map_files for a file that was deleted or
 * replaced, our own vDSO. Only a file with the module's build-id is taken.
 */
int symbol_image_open(const struct symbol_module *module, const struct symbol_options *options,
	struct symbol_image **image_out);
void symbol_image_free(struct symbol_image *image);

/*
 * Drops everything libdw has read and opens the same files again: line tables stay in memory until then.
 * All that was borrowed from the old module is gone. Returns 0 or a SYMBOL_IMAGE_E_*.
 */
int symbol_image_reopen(struct symbol_image *image);

/* Borrowed; reported at its own virtual addresses, so that a runtime address minus the load bias fits. */
Dwfl_Module *symbol_image_module(struct symbol_image *image);

/* The build-id inside an ELF file. Returns its length, or 0. */
size_t symbol_build_id_of_fd(int fd, uint8_t *build_id, size_t size);
