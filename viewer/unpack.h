/* SPDX-License-Identifier: MIT */
/* From what a user names (a trace.out, or a folder) to trace folders that babeltrace2 can open. */
#pragma once

#include <glib.h>
#include <stdint.h>

#define UNPACK_MAX_SIZE_DEFAULT (UINT64_C(16) << 30)
#define UNPACK_MAX_FILES 65536

enum view_error {
	VIEW_ERROR_INPUT, /* the file is not ours, damaged or too large */
	VIEW_ERROR_SYSTEM,
	VIEW_ERROR_INTERRUPTED,
};
#define VIEW_ERROR (view_error_quark())
GQuark view_error_quark(void);

struct unpacked {
	char *dir;	   /* owned: private temporary folder; removed by unpack_fini() */
	char *state;	   /* owned: folder of the state trace; NULL when there is none */
	GPtrArray *events; /* owned char *: folders of all other traces */
	GPtrArray *notes;  /* owned char *: sentences about what is missing or damaged */
	int is_cut;	   /* the archive ends early */
};

/*
 * Unpacks the file `path`, or lays links to the files of the folder `path`, in a new folder below $TMPDIR
 * (default: the system's place for large temporary files); nothing at `path` is changed. Stream files are
 * cut after their last whole packet. Names that are absolute, contain "..", or belong to anything but files
 * and folders are refused; so is more than `max_size` bytes. Returns FALSE with a one-sentence error;
 * *out is then empty.
 */
gboolean unpack_open(const char *path, uint64_t max_size, struct unpacked *out, GError **error);

/* Removes the folder and frees. Fine on a zeroed struct. */
void unpack_fini(struct unpacked *unpacked);

/* Asks a running unpack_open() to give up (it then fails, folder removed). Context: signal handler. */
void unpack_interrupt(void);
int unpack_is_interrupted(void);
