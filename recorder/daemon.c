/* SPDX-License-Identifier: MIT */
/*
 * Root's programs all talk to one daemon in a fixed place, unless LTTNG_HOME points elsewhere, and liblttng-ctl
 * looks there only when the caller is not root. So under root the daemon, and the thread that talks to it,
 * take an unprivileged uid that nobody else has.
 */
#include "recorder/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "recorder/lttng_ctl.h"
#include "recorder/procfs.h"

/* A range that systemd's list of uids keeps for nobody; it lies below 65536, which containers map. */
#define FIRST_UID 60578u
#define LAST_UID 61183u
/* The daemon closes every possible descriptor at its start, 0.8 µs each. */
#define DAEMON_FILES 4096
#define READY_MS 10000
/*
 * It ends in 60 ms, or in 650 ms while it still has a stream (fixed timers). All it has is in our runtime folder, which
 * goes too, so there is no harm in not waiting that long.
 */
#define STOP_MS 150
/* In root's place it has to tidy up itself. */
#define STOP_SHARED_MS 5000
#define KILL_MS 1000
#define MAX_LOG (1 << 20)

static bool has_capability(unsigned capability)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	return syscall(SYS_capget, &header, data) == 0 &&
	       (data[capability / 32].effective & (1u << (capability % 32)));
}

/* Uids of all processes, so that none of them can reach the daemon. */
static GHashTable *uids_in_use(void)
{
	GHashTable *uids = g_hash_table_new(NULL, NULL);
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct stat st;

		if (g_ascii_isdigit(entry->d_name[0]) &&
			fstatat(dirfd(dir), entry->d_name, &st, 0) == 0)
			g_hash_table_add(uids, GUINT_TO_POINTER(st.st_uid));
	}
	if (dir)
		closedir(dir);
	return uids;
}

/* Outside the user namespace's map a uid cannot be taken. */
static bool is_mapped(const char *map_path, unsigned id)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;

	if (!g_file_get_contents(map_path, &text, NULL, NULL))
		return true;
	lines = g_strsplit(text, "\n", -1);
	for (size_t i = 0; lines[i]; i++) {
		unsigned long inside, outside, n;

		if (sscanf(lines[i], "%lu %lu %lu", &inside, &outside, &n) == 3 && id >= inside &&
			id - inside < n)
			return true;
	}
	return false;
}

void daemon_user_choose(struct daemon_user *user_out, char **note_out)
{
	unsigned n = LAST_UID - FIRST_UID + 1;
	GHashTable *used;

	if (geteuid() != 0) {
		*user_out = (struct daemon_user){ .uid = geteuid(), .gid = getegid() };
		return;
	}
	*user_out = (struct daemon_user){ .is_shared = true };
	if (!has_capability(CAP_SETUID) || !has_capability(CAP_SETGID) ||
		!has_capability(CAP_CHOWN)) {
		*note_out =
			g_strdup("Root has no CAP_SETUID, CAP_SETGID or CAP_CHOWN here, so the "
				 "machine's session daemon is used: other recorders that use it "
				 "too see the same events");
		return;
	}
	used = uids_in_use();
	for (unsigned i = 0; i < n; i++) {
		unsigned id = FIRST_UID + ((unsigned)getpid() + i) % n;

		if (g_hash_table_contains(used, GUINT_TO_POINTER(id)) || getpwuid(id) ||
			getgrgid(id) || !is_mapped("/proc/self/uid_map", id) ||
			!is_mapped("/proc/self/gid_map", id))
			continue;
		g_hash_table_destroy(used);
		*user_out = (struct daemon_user){ .uid = id, .gid = id, .is_switched = true };
		return;
	}
	g_hash_table_destroy(used);
	*note_out = g_strdup_printf(
		"No uid from %u to %u is free, so the machine's session daemon is used: other "
		"recorders that use it too see the same events",
		FIRST_UID, LAST_UID);
}

static void __attribute__((noreturn)) run_daemon(const char *sessiond, char *const envp[],
	const struct daemon_user *user, pid_t parent, int log_fd)
{
	static char *const argv[] = { (char *)(uintptr_t) "lttng-sessiond",
		(char *)(uintptr_t) "--no-kernel", NULL };
	struct rlimit files;
	sigset_t none;
	int null_fd = open("/dev/null", O_RDWR);

	/* Its own session: the terminal's ^C is for the program. */
	setsid();
	dup2(null_fd, STDIN_FILENO);
	dup2(null_fd, STDOUT_FILENO);
	dup2(log_fd, STDERR_FILENO);
	close_range(3, ~0u, 0);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = MIN(files.rlim_max, DAEMON_FILES);
		setrlimit(RLIMIT_NOFILE, &files);
	}
	if (user->is_switched &&
		(setgroups(0, NULL) < 0 || setresgid(user->gid, user->gid, user->gid) < 0 ||
			setresuid(user->uid, user->uid, user->uid) < 0))
		_exit(126);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/*
	 * After the change of uid, which clears it. Not SIGTERM: a daemon that ends in order removes the ring, which is all
	 * there is of the program's last minutes when we were killed.
	 */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	if (chdir("/") < 0)
		_exit(126);
	execve(sessiond, argv, envp);
	_exit(127);
}

int daemon_start(const char *sessiond, const char *lttng_home, const struct daemon_user *user,
	struct daemon *daemon_out)
{
	g_autofree char *log_path = g_strdup_printf("%s/sessiond.log", lttng_home);
	g_autofree char *home = g_strdup_printf("LTTNG_HOME=%s", lttng_home);
	g_autofree char *path =
		g_strdup_printf("PATH=%s", g_getenv("PATH") ? g_getenv("PATH") : "/bin:/usr/bin");
	/* No LD_PRELOAD, no LTTNG_* of the user's: this daemon is ours alone. */
	char *const envp[] = { home, path, NULL };
	pid_t parent = getpid(), pid;
	int log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (log_fd < 0)
		return -errno;
	wait_shm_note(&daemon_out->wait_shm, user->uid,
		&(struct wait_shm_range){ .first = FIRST_UID, .last = LAST_UID });
	pid = fork();
	if (pid == 0)
		run_daemon(sessiond, envp, user, parent, log_fd);
	close(log_fd);
	if (pid < 0)
		return -errno;
	daemon_out->pid = pid;
	daemon_out->is_shared = user->is_shared;
	daemon_out->log_path = g_steal_pointer(&log_path);
	return 0;
}

int daemon_start_ready(const char *sessiond, const char *lttng_home, const struct daemon_user *user,
	struct lttng_ctl *ctl, struct daemon *daemon_out, char **why_out)
{
	g_autofree char *words = NULL;
	int err = daemon_start(sessiond, lttng_home, user, daemon_out);

	if (err) {
		*why_out = g_strdup_printf("Cannot start %s: %s", sessiond, strerror(-err));
		return err;
	}
	if (lttng_ctl_wait_daemon(ctl, READY_MS, daemon_out->pid) == 0)
		return 0;
	words = daemon_last_words(daemon_out);
	*why_out = g_strdup_printf("The session daemon %s did not come up%s%s", sessiond,
		words ? ": " : "", words ? words : "");
	return -ETIMEDOUT;
}

/* Waits up to `ms`; true when it is gone. */
static bool wait_gone(pid_t pid, unsigned ms)
{
	for (unsigned i = 0;; i++) {
		pid_t got = waitpid(pid, NULL, WNOHANG);

		if (got == pid || (got < 0 && errno == ECHILD))
			return true;
		if (i >= ms)
			return false;
		g_usleep(1000);
	}
}

/*
 * Its children, the consumer and a helper, which a daemon that ends in order takes along: a GArray of pid_t. Any
 * of its threads may have forked them.
 */
static GArray *children_of(pid_t pid)
{
	GArray *children = g_array_new(FALSE, FALSE, sizeof(pid_t));
	g_autofree char *tasks = g_strdup_printf("/proc/%d/task", (int)pid);
	DIR *dir = opendir(tasks);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		g_autofree char *path = g_strdup_printf("%s/%s/children", tasks, entry->d_name);
		g_autofree char *text = NULL;
		g_auto(GStrv) words = NULL;

		if (entry->d_name[0] == '.' || !g_file_get_contents(path, &text, NULL, NULL))
			continue;
		words = g_strsplit(text, " ", -1);
		for (size_t i = 0; words[i]; i++) {
			pid_t child = (pid_t)strtol(words[i], NULL, 10);

			if (child > 0)
				g_array_append_val(children, child);
		}
	}
	if (dir)
		closedir(dir);
	return children;
}

/* True while it runs. A zombie does not: its new parent may take a second to collect it, or for ever. */
static bool is_running(pid_t pid)
{
	struct procfs_stat stat;

	return procfs_stat_read(pid, 0, &stat) == 0 && stat.state != 'Z' && stat.state != 'X';
}

/* Gives processes that are not our children `ms` to end, kills those that have not, and waits until they are gone. */
static void end_all(const GArray *pids, unsigned ms)
{
	for (guint i = 0; i < pids->len; i++) {
		pid_t pid = g_array_index(pids, pid_t, i);

		for (; ms > 0 && is_running(pid); ms--)
			g_usleep(1000);
		kill(pid, SIGKILL);
	}
	for (guint i = 0; i < pids->len; i++) {
		for (ms = 0; ms < KILL_MS && is_running(g_array_index(pids, pid_t, i)); ms++)
			g_usleep(1000);
	}
}

void daemon_stop(struct daemon *daemon)
{
	if (daemon->pid > 0) {
		GArray *children = children_of(daemon->pid);
		unsigned grace_ms = KILL_MS;

		kill(daemon->pid, SIGTERM);
		if (!wait_gone(daemon->pid, daemon->is_shared ? STOP_SHARED_MS : STOP_MS)) {
			kill(daemon->pid, SIGKILL);
			wait_gone(daemon->pid, KILL_MS);
			grace_ms = 0;
		}
		end_all(children, grace_ms);
		g_array_unref(children);
	}
	wait_shm_remove(&daemon->wait_shm);
	g_clear_pointer(&daemon->log_path, g_free);
	daemon->pid = 0;
}

char *daemon_last_words(const struct daemon *daemon)
{
	g_autofree char *text = NULL;
	char *line;

	if (!daemon->log_path || !g_file_get_contents(daemon->log_path, &text, NULL, NULL))
		return NULL;
	g_strchomp(text);
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	return *line ? g_strdup(line) : NULL;
}

void daemon_trim_log(const struct daemon *daemon)
{
	struct stat st;

	if (daemon->log_path && stat(daemon->log_path, &st) == 0 && st.st_size > MAX_LOG &&
		truncate(daemon->log_path, 0) < 0)
		return;
}
