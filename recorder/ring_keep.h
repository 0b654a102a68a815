/* SPDX-License-Identifier: MIT */
/*
 * Second names of the ring's files, below RUNDIR/kept: LTTng's consumer removes its own when the session daemon is killed,
 * as it is with us, and --recover shall find them.
 */
#pragma once

/* Gives names to files that have come, and takes them from those of rings that others have replaced. Cheap. */
void ring_keep_update(const char *rundir);

/*
 * The newest ring that any program has written to, below RUNDIR/kept or in its own place: a folder for ring_read_new(), to
 * g_free(); NULL: none.
 */
char *ring_keep_find(const char *rundir);
