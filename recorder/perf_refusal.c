/* SPDX-License-Identifier: MIT */
/*
 * EACCES comes from kernel.perf_event_paranoid or from the rules of ptrace(), EPERM from a seccomp filter, as containers
 * have. What has a capability tells them apart.
 */
#include "recorder/perf_refusal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <glib.h>

#include "recorder/procfs.h"

#define SIGNALS "or sample by signals (--cpu-engine=signal)"

int perf_refusal_paranoid(void)
{
	g_autofree char *text = NULL;

	if (!g_file_get_contents("/proc/sys/kernel/perf_event_paranoid", &text, NULL, NULL))
		return -2;
	return (int)strtol(text, NULL, 10);
}

static char *refusal_of_all(int err)
{
	int level = perf_refusal_paranoid();

	switch (err) {
	case -EACCES:
		if (level > 2)
			return g_strdup_printf(
				"The kernel refuses perf events to ordinary users "
				"(kernel.perf_event_paranoid = %d): set it to 2 (sysctl "
				"kernel.perf_event_paranoid=2), give trace-record the capability "
				"(setcap cap_perfmon+ep), " SIGNALS,
				level);
		return g_strdup_printf("A security policy of this machine refuses perf events "
				       "(permission denied at kernel.perf_event_paranoid = %d): "
				       "permit perf_event to trace-record there, " SIGNALS,
			level);
	case -EPERM:
		return g_strdup("perf_event_open is not permitted here, as in containers whose "
				"seccomp profile blocks it: start the container with --cap-add "
				"PERFMON or a profile that permits the call, " SIGNALS);
	case -ENOSYS:
		return g_strdup("This kernel has no perf events: sample by signals "
				"(--cpu-engine=signal)");
	case -EMFILE:
	case -ENFILE:
		return g_strdup("There are too few file descriptors for perf events (one for each "
				"thread and CPU): raise the limit (ulimit -n), " SIGNALS);
	default:
		return g_strdup_printf(
			"perf_event_open failed: %s; sample by signals (--cpu-engine=signal)",
			g_strerror(-err));
	}
}

char *perf_refusal(int err, pid_t pid)
{
	struct procfs_stat stat = { .comm = "?" };

	if (err == -ESRCH)
		return pid ? g_strdup_printf("Process %d has ended", (int)pid)
			   : g_strdup("No process is left to be sampled");
	if (pid == 0 || err != -EACCES)
		return refusal_of_all(err);
	/* We may sample ourselves, or it would not have come to this. */
	procfs_stat_read(pid, 0, &stat);
	return g_strdup_printf(
		"The kernel refuses to let us sample process %d (%s): it belongs to another user, "
		"or "
		"has changed its user or privileges; run trace-record as root or with CAP_PERFMON "
		"(setcap cap_perfmon+ep), " SIGNALS,
		(int)pid, stat.comm);
}

char *perf_refusal_of_rings(int err)
{
	if (err == -EPERM)
		return g_strdup(
			"The memory that this user's perf events may lock is used up by other "
			"processes: raise kernel.perf_event_mlock_kb or RLIMIT_MEMLOCK (ulimit "
			"-l), "
			"end other profilers, " SIGNALS);
	return g_strdup_printf("The rings of the perf events could not be set up: %s; free memory, "
			       "or sample by signals (--cpu-engine=signal)",
		g_strerror(-err));
}
