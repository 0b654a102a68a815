/* SPDX-License-Identifier: MIT */
/* RUNDIR of proto/control.h: control page, blackboxes, the private session daemon's home, the ring. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "proto/control.h"
#include "recorder/owned_dir.h"

struct runtime_dir {
	struct owned_dir dir;
	char *lttng_home; /* owned; PATH/lttng, belongs to the daemon's user */
	char *shm_parent; /* owned; PATH/lttng/shm: the ring's files go into new folders below */
	struct fr_control *control; /* owned mapping, shared with the traced programs */
	uint64_t free_bytes;	    /* of its file system, when it was made */
};

/*
 * Tidies up what dead recorders left, and says what of it is worth having (runtime_left.h); then makes a new runtime folder: on /dev/shm, else in XDG_RUNTIME_DIR, else in
 * /tmp. The first one with `want_bytes` free is taken, else the first with anything at all. Daemon files
 * are given to `uid` and `gid`. Returns 0, or -errno and one sentence in *why_out (g_free).
 */
int runtime_dir_create(
	uint64_t want_bytes, uid_t uid, gid_t gid, struct runtime_dir *dir_out, char **why_out);

/* What the ring leaves room for: blackboxes. */
#define RUNTIME_DIR_MARGIN (48ull << 20)

/* Bytes for the ring: those wanted, or fewer where there is little room, and then a sentence in *note_out (g_free). */
uint64_t runtime_dir_ring_bytes(
	const struct runtime_dir *dir, uint64_t want_bytes, char **note_out);

/* Unmaps and removes everything. A struct of zeros is fine. */
void runtime_dir_remove(struct runtime_dir *dir);
