/* SPDX-License-Identifier: MIT */
/* Disk space for one recording while it is made: a hidden folder. */
#pragma once

#include <stdint.h>

#include "recorder/owned_dir.h"

struct staging {
	struct owned_dir dir;
	char *data; /* owned; folder below it for the raw data */
};

/* Space that stays free for the packed file and for everybody else. */
#define STAGING_RESERVE (16u << 20)

/*
 * Makes the folder in `output_dir`, else in TMPDIR, /var/tmp or /tmp, whichever first lets us in and has
 * `want_bytes` free. Returns 0, or -errno and one sentence in *why_out (g_free).
 */
int staging_create(
	const char *output_dir, uint64_t want_bytes, struct staging *staging_out, char **why_out);

/* Removes it. A struct of zeros is fine. */
void staging_remove(struct staging *staging);

/*
 * Keeps the raw recording for the user as OUTPUT_DIR/trace-TIME.raw, or where it is when that cannot be. Returns
 * its path, to g_free().
 */
char *staging_keep(struct staging *staging, const char *output_dir);

/* Removes what killed recorders left in output_dir and the temporary folders. */
void staging_clean(const char *output_dir);
