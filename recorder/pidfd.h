/* SPDX-License-Identifier: MIT */
/* Handles of processes: they end on them, and cannot be mistaken for a later process of the same number. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

/* A descriptor that polls readable when the process has ended; or -errno (-ESRCH: it is gone, -ENOSYS: Linux before 5.3). */
int pidfd_open_process(pid_t pid);

/*
 * The wait status of a process that ended and is not our child. From the kernel's word on it (PIDFD_INFO_EXIT, Linux
 * 6.15), or of a zombie from /proc/PID/stat, which must be allowed. False: not known (yet).
 */
bool pidfd_wait_status(int fd, pid_t pid, int *status_out);
