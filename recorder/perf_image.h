/* SPDX-License-Identifier: MIT */
/*
 * The unwind tables of an ELF file, for stacks of other processes. A file is read once however many processes map
 * it; its tables (.eh_frame and its index) are copied into memory when they are first asked for, so that a file
 * that is cut short under us cannot harm. Single-threaded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tracer/unwind_cfi.h"

/* What all images together may hold in memory; beyond, tables are not read and stacks end there. */
#define PERF_IMAGES_MAX_BYTES (256u << 20)

struct perf_images;
struct perf_image;

/* Where an image may be found: an executable mapping of a process that may have ended. */
struct perf_image_place {
	pid_t pid;
	uint64_t start, end, offset;
	const char *path; /* as in /proc/PID/maps or an mmap record: absolute, or "[vdso]" */
};

struct perf_images *perf_images_new(void);

/* Images opened from it must not be used any more. */
void perf_images_free(struct perf_images *images);

/* Tables left out because of PERF_IMAGES_MAX_BYTES. */
unsigned perf_images_n_refused(const struct perf_images *images);

/*
 * The image of a mapping; NULL when no ELF file can be read there. *base_out gets the load bias (address less the
 * file's virtual address). Borrowed from `images`. Looked at: what the process has mapped (/proc/PID/map_files, only
 * root may), the path as the process sees it, the path here, for the vdso our own; for a file that was deleted
 * the process's memory.
 */
struct perf_image *perf_images_open(
	struct perf_images *images, const struct perf_image_place *place, uint64_t *base_out);

/* Length of the build-id, 0: none; it is copied to build_id_out (32 bytes). */
size_t perf_image_build_id(const struct perf_image *image, uint8_t build_id_out[32]);

/*
 * The row of unwind rules at `address`, a virtual address of the file. Expressions of the row lie at fde->lo.
 * CFI_NO_FDE too when the file has no tables or they could not be read.
 */
enum cfi_status perf_image_row(struct perf_images *images, struct perf_image *image,
	uint64_t address, struct cfi_fde *fde_out, struct cfi_row *row_out);

/* As perf_image_row(), without the row: is there a function that begins exactly here? */
bool perf_image_is_function_start(
	struct perf_images *images, struct perf_image *image, uint64_t address);
