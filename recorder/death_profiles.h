/* SPDX-License-Identifier: MIT */
/* The last profiles of a process that died, for its trace: members profiles/heap.pb.gz, …, built from its blackbox. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct archive_out;
struct profiles;

/* Borrowed. */
struct death_profiles {
	struct profiles *profiles;
	pid_t pid;	 /* 0: of all */
	unsigned cpu_hz; /* of the CPU samples that are always taken; 0: none are */
	uint64_t end_ns; /* CLOCK_MONOTONIC, when it ended; 0: now */
};

/* Adds them all; one that cannot be had is left out. `user` is a struct death_profiles. Returns 0 or -errno. */
int death_profiles_add(void *user, struct archive_out *out);
