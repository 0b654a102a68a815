/* SPDX-License-Identifier: MIT */
/*
 * For perf events, EACCES comes from kernel.perf_event_paranoid, EPERM from a seccomp filter; for BPF, EPERM is either: which, our
 * capabilities tell.
 */
#include "recorder/sched_refusal.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib.h>

#include "recorder/perf_refusal.h"

#define FIRST_PID_NAMESPACE \
	0xeffffffcu /* inode of the first one; PROC_PID_INIT_INO since Linux 3.8 */
#define TYPES_FILE "/sys/kernel/btf/vmlinux"
#define CAP_SYS_ADMIN_BIT 21
#define CAP_PERFMON_BIT 38
#define CAP_BPF_BIT 39

static bool has_capability(unsigned bit)
{
	g_autofree char *text = NULL;
	const char *line;

	if (!g_file_get_contents("/proc/self/status", &text, NULL, NULL))
		return false;
	line = strstr(text, "\nCapEff:");
	return line && (strtoull(line + strlen("\nCapEff:"), NULL, 16) >> bit & 1);
}

char *sched_refusal_of_place(void)
{
	struct stat st;

	if (stat("/proc/self/ns/pid", &st) == 0 && st.st_ino != FIRST_PID_NAMESPACE)
		return g_strdup("BPF does not know processes by the numbers that they have in this "
				"container: run trace-record outside it, or the container with "
				"--pid=host");
	if (access(TYPES_FILE, R_OK) < 0)
		return g_strdup_printf(
			"this kernel does not describe its structures for BPF (" TYPES_FILE
			": %s): use one that is built with CONFIG_DEBUG_INFO_BTF",
			g_strerror(errno));
	return NULL;
}

char *sched_refusal_of_build(void)
{
	return g_strdup("this trace-record was built without BPF: build it where libbpf-dev and "
			"clang are installed");
}

char *sched_refusal_of_bpf(int err)
{
	bool is_able = has_capability(CAP_SYS_ADMIN_BIT) ||
		       (has_capability(CAP_BPF_BIT) && has_capability(CAP_PERFMON_BIT));

	switch (err) {
	case -EPERM:
	case -EACCES:
		if (!is_able)
			return g_strdup(
				"BPF needs privileges: run trace-record as root, or give it "
				"the capabilities (setcap cap_bpf,cap_perfmon+ep)");
		return g_strdup(
			"BPF is not permitted here in spite of the capabilities, as in "
			"containers whose seccomp profile blocks it, or by kernel lockdown: "
			"start the container with --cap-add BPF --cap-add PERFMON");
	case -ENOMEM:
		return g_strdup("there is too little memory for BPF's maps, or too little may be "
				"locked: raise RLIMIT_MEMLOCK (ulimit -l)");
	case -ENOSYS:
		return g_strdup("this kernel has no BPF: use one that is built with "
				"CONFIG_BPF_SYSCALL");
	default:
		return g_strdup_printf("this kernel does not take our BPF program (%s): use Linux "
				       "5.11 or later",
			g_strerror(-err));
	}
}

char *sched_refusal_of_events(int err, int is_ring)
{
	int level = perf_refusal_paranoid();

	if (is_ring)
		return err == -EPERM
			       ? g_strdup("the memory that perf events of this user may lock is "
					  "used up: raise kernel.perf_event_mlock_kb or "
					  "RLIMIT_MEMLOCK (ulimit -l), or end other profilers")
			       : g_strdup_printf("the rings of perf events could not be set up "
						 "(%s): free memory",
					 g_strerror(-err));
	switch (err) {
	case -EACCES:
		if (level > 2)
			return g_strdup_printf(
				"the kernel refuses perf events to ordinary users "
				"(kernel.perf_event_paranoid = %d): set it to 2 (sysctl "
				"kernel.perf_event_paranoid=2), or give trace-record the "
				"capability (setcap cap_perfmon+ep)",
				level);
		return g_strdup_printf("a security policy of this machine refuses perf events "
				       "(permission denied at kernel.perf_event_paranoid = %d): "
				       "permit perf_event to trace-record there",
			level);
	case -EPERM:
		return g_strdup("perf_event_open is not permitted here, as in containers whose "
				"seccomp profile blocks it: start the container with --cap-add "
				"PERFMON");
	case -ENOSYS:
	case -EOPNOTSUPP:
		return g_strdup("this kernel has no perf events: use one that is built with "
				"CONFIG_PERF_EVENTS");
	case -EMFILE:
	case -ENFILE:
		return g_strdup("there are too few file descriptors for perf events (one for each "
				"thread and CPU): raise the limit (ulimit -Hn)");
	default:
		return g_strdup_printf("perf_event_open failed (%s)", g_strerror(-err));
	}
}
